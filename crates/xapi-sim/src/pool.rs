//! What the two hosts share: the database with those who wait for it, the storage, the machines, the clock.

use crate::calls::power::Running;
use crate::clock::Clock;
use crate::config::Config;
use crate::database::Database;
use crate::facts::Role;
use crate::failure::{Failure, Reply};
use crate::fault::{Fault, Faults};
use crate::http::Connections;
use crate::storage::Repository;
use crate::value::{NULL, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where one host listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// HTTP.
    pub http: SocketAddr,
    /// HTTPS, if it is on.
    pub https: Option<SocketAddr>,
    /// NBD.
    pub nbd: SocketAddr,
}

/// The pool.
pub struct Pool {
    /// What it is to be like.
    pub config: Config,
    /// Its time.
    pub clock: Clock,
    /// Its storage, by the reference of the SR.
    pub repositories: BTreeMap<String, Arc<Repository>>,
    /// Where each host listens, by its reference.
    pub addresses: BTreeMap<String, Addresses>,
    /// The certificate all hosts show, as PEM.
    pub certificate: String,
    /// VMs that run in QEMU, by the reference of the VM.
    pub machines: Mutex<BTreeMap<String, Arc<Running>>>,
    /// Who is connected.
    pub connections: Connections,
    faults: Mutex<Faults>,
    database: Mutex<Database>,
    changed: Condvar,
    down: Mutex<BTreeSet<String>>,
    stopping: AtomicBool,
}

/// Never poisoned: what a panicking thread left of a lock is as good as before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The database, held by one thread. Those who wait for a change are woken when it is given back changed.
pub struct Held<'a> {
    database: MutexGuard<'a, Database>,
    changed: &'a Condvar,
    before: u64,
}

impl Deref for Held<'_> {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Database {
        &mut self.database
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.database.generation() != self.before {
            self.changed.notify_all();
        }
    }
}

impl Pool {
    /// A pool with this database.
    pub fn new(
        config: Config,
        database: Database,
        repositories: BTreeMap<String, Arc<Repository>>,
        addresses: BTreeMap<String, Addresses>,
        certificate: String,
    ) -> Self {
        let mut faults = Faults::default();
        config.faults.iter().cloned().for_each(|rule| faults.add(rule));
        Self {
            config,
            clock: Clock::default(),
            repositories,
            addresses,
            certificate,
            machines: Mutex::default(),
            connections: Connections::default(),
            faults: Mutex::new(faults),
            database: Mutex::new(database),
            changed: Condvar::new(),
            down: Mutex::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// The database, for as long as the answer is kept. Never keep it over something slow.
    pub fn db(&self) -> Held<'_> {
        let database = lock(&self.database);
        Held { before: database.generation(), database, changed: &self.changed }
    }

    /// Waits until the database is newer than `seen`, the pool stops, or the time is over.
    pub fn wait(&self, seen: u64, longest: Duration) {
        let database = lock(&self.database);
        let unchanged = |database: &mut Database| database.generation() <= seen && !self.is_stopping();
        let waited = self.changed.wait_timeout_while(database, longest, unchanged);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether the simulator is about to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Wakes all who wait and tells them that the simulator ends.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        let _held = lock(&self.database); // nobody is between looking and waiting
        self.changed.notify_all();
    }

    /// What is to go wrong, to be changed.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    /// What goes wrong with this call.
    pub fn fault(&self, call: &str) -> Option<Fault> {
        self.faults().of(call)
    }

    /// The reference of the pool object and of the coordinator.
    pub fn coordinator(&self) -> (String, String) {
        let db = self.db();
        let found = db.all("pool").next().map(|(pool, record)| {
            (pool.to_owned(), record.get("master").map_or(NULL, Value::text).to_owned())
        });
        found.unwrap_or_else(|| (NULL.to_owned(), NULL.to_owned()))
    }

    /// Whether the host does not answer now.
    pub fn is_down(&self, host: &str) -> bool {
        lock(&self.down).contains(host)
    }

    /// Makes a host vanish or come back.
    pub fn set_down(&self, host: &str, down: bool) {
        let mut all = lock(&self.down);
        if down {
            all.insert(host.to_owned());
            self.connections.cut(Some(host));
        } else {
            all.remove(host);
        }
    }

    /// The storage of an SR.
    pub fn repository(&self, sr: &str) -> Reply<Arc<Repository>> {
        self.repositories.get(sr).cloned().ok_or_else(|| Failure::handle("SR", sr))
    }

    /// What the owner of a session may do, if the session is one.
    pub fn role_of(&self, session: &str) -> Reply<Role> {
        let db = self.db();
        let invalid = || Failure::new("SESSION_INVALID", [session]);
        let record = db.get("session", session).map_err(|_| invalid())?;
        if record.get("is_local_superuser").is_some_and(Value::is_true) {
            return Ok(Role::PoolAdmin);
        }
        let subject = record.get("subject").map_or(NULL, Value::text);
        let roles = db.field("subject", subject, "roles").map_err(|_| invalid())?;
        let names = roles.items().iter().filter_map(|role| db.text("role", role.text(), "name_label").ok());
        names.filter_map(|name| Role::named(&name)).max().ok_or_else(invalid)
    }
}
