//! The simulator as a whole: started, asked for what a test needs, stopped.

use crate::calls;
use crate::clock::Clock;
use crate::config::Config;
use crate::exports;
use crate::fault::Rule;
use crate::http::Listener;
use crate::pool::{Addresses, Pool};
use crate::save;
use crate::seed::{self, names};
use crate::storage::Repository;
use crate::tls;
use crate::value::{Record, Value};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How often any free port is tried that must be free on both hosts.
const TRIES: usize = 50;

/// The simulator cannot start.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}")]
pub struct Error {
    what: String,
    source: io::Error,
}

/// What starting gives.
pub type Result<T> = std::result::Result<T, Error>;

fn cannot<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Error {
    let what = what.into();
    |source| Error { what, source: source.into() }
}

/// A running simulator. Dropping it stops it.
pub struct Sim {
    pool: Arc<Pool>,
    hosts: Vec<String>,
    listeners: Vec<Listener>,
    /// What serves NBD and what saves the state.
    threads: Vec<JoinHandle<()>>,
}

/// The sockets of one host.
struct Sockets {
    http: TcpListener,
    https: Option<TcpListener>,
    nbd: TcpListener,
}

impl Sim {
    /// Starts a simulator with the state of an earlier run, or else a new pool.
    pub fn start(config: Config) -> Result<Self> {
        let state = config.state.clone();
        let in_state = |what: &str| format!("{what} in '{}'", state.display());
        std::fs::create_dir_all(state.join("sr")).map_err(cannot(in_state("make folders")))?;
        let loaded = save::load(&state).map_err(cannot(in_state("read the state")))?;
        let mut database = loaded.unwrap_or_else(|| seed::seed(&config, &Clock::default().now()));
        let gone: Vec<_> = database.all("session").map(|(session, _)| session.to_owned()).collect();
        gone.iter().for_each(|session| database.remove("session", session));

        let mut repositories = BTreeMap::new();
        for (sr, record) in database.all("SR") {
            let folder = state.join("sr").join(record.get("uuid").map_or("", Value::text));
            let repository = Repository::open(&folder, config.sr_size);
            let repository = repository.map_err(|e| cannot("open the storage")(io::Error::other(e)))?;
            repositories.insert(sr.to_owned(), Arc::new(repository));
        }
        let hosts: Vec<_> =
            names::HOSTS.iter().filter_map(|name| database.with("host", "name_label", name).pop()).collect();
        let identity =
            tls::identity(&state, &config.hosts).map_err(cannot(in_state("make a certificate")))?;
        let sockets = bind(&config, hosts.len()).map_err(cannot(format!("listen on {:?}", config.hosts)))?;
        let mut addresses = BTreeMap::new();
        for (host, sockets) in hosts.iter().zip(&sockets) {
            addresses.insert(host.clone(), sockets.addresses().map_err(cannot("learn where it listens"))?);
        }
        let pool = Arc::new(Pool::new(config, database, repositories, addresses, identity.certificate));
        calls::settle(&pool);
        let (mut listeners, mut exports) = (Vec::new(), Vec::new());
        for (host, sockets) in hosts.iter().zip(sockets) {
            let tls = sockets.https.map(|socket| (socket, Some(identity.server.clone())));
            for (socket, tls) in std::iter::once((sockets.http, None)).chain(tls) {
                let listener = Listener::start(pool.clone(), host.clone(), socket, tls);
                listeners.push(listener.map_err(cannot("start a thread"))?);
            }
            exports.push((host.clone(), sockets.nbd));
        }
        let exports =
            exports::serve(pool.clone(), exports, identity.server).map_err(cannot("start a thread"))?;
        let saving = save::keep_saving(pool.clone()).map_err(cannot("start a thread"))?;
        Ok(Self { pool, hosts, listeners, threads: vec![exports, saving] })
    }

    fn address(&self, host: usize) -> Option<Addresses> {
        self.hosts.get(host).and_then(|host| self.pool.addresses.get(host)).copied()
    }

    fn http(&self, host: usize) -> String {
        self.address(host).map(|at| format!("http://{}", at.http)).unwrap_or_default()
    }

    /// Where the first coordinator answers.
    pub fn url(&self) -> String {
        self.http(0)
    }

    /// Where the other host answers.
    pub fn member_url(&self) -> String {
        self.http(1)
    }

    /// The same as [`Sim::url`] by HTTPS; empty if that is off.
    pub fn tls_url(&self) -> String {
        let https = self.address(0).and_then(|at| at.https);
        https.map(|at| format!("https://{at}")).unwrap_or_default()
    }

    /// The same as [`Sim::member_url`] by HTTPS; empty if that is off.
    pub fn member_tls_url(&self) -> String {
        let https = self.address(1).and_then(|at| at.https);
        https.map(|at| format!("https://{at}")).unwrap_or_default()
    }

    /// The certificate of all hosts, as PEM.
    pub fn certificate(&self) -> &str {
        &self.pool.certificate
    }

    /// From now on something goes wrong.
    pub fn fault(&self, rule: Rule) {
        self.pool.faults().add(rule);
    }

    /// From now on nothing more goes wrong.
    pub fn clear_faults(&self) {
        self.pool.faults().clear();
    }

    /// How many calls and transfers there were since the start: what [`Rule::nth`] counts for `*`.
    pub fn calls(&self) -> u32 {
        self.pool.faults().calls()
    }

    /// The coordinator vanishes and the other host takes over.
    pub fn fail_over(&self) {
        calls::pool::fail_over(&self.pool);
    }

    /// Every host that vanished is back, as a member if it lost the coordination.
    pub fn recover(&self) {
        self.hosts.iter().for_each(|host| self.pool.set_down(host, false));
    }

    /// Makes the host that is not the coordinator leave the pool for good.
    pub fn eject_member(&self) {
        let (_, coordinator) = self.pool.coordinator();
        for host in self.hosts.iter().filter(|host| **host != coordinator) {
            let _ = calls::pool::eject(&self.pool, host); // it may have left before
        }
    }

    /// Makes it later, for everything but what waits already.
    pub fn advance(&self, by: Duration) {
        self.pool.clock.advance(by);
    }

    /// The object of a class with this name; empty if there is none.
    pub fn named(&self, class: &str, name: &str) -> String {
        self.pool.db().with(class, "name_label", name).pop().unwrap_or_default()
    }

    /// All objects of a class.
    pub fn all(&self, class: &str) -> BTreeMap<String, Record> {
        self.pool.db().all(class).map(|(reference, record)| (reference.to_owned(), record.clone())).collect()
    }

    /// Changes a field behind the API's back.
    pub fn set(&self, class: &str, reference: &str, field: &str, value: Value) {
        let _ = self.pool.db().set(class, reference, field, value); // what is not there needs no change
    }

    /// The storage that all hosts see.
    pub fn shared_sr(&self) -> String {
        self.named("SR", names::SHARED_SR)
    }

    /// The storage that only this host sees: 0 for the first coordinator, 1 for the other.
    pub fn local_sr(&self, host: usize) -> String {
        names::LOCAL_SRS.get(host).map(|name| self.named("SR", name)).unwrap_or_default()
    }

    /// A template without disks, with one interface.
    pub fn template(&self, uefi: bool) -> String {
        self.named("VM", if uefi { names::UEFI_TEMPLATE } else { names::BIOS_TEMPLATE })
    }

    /// The network all hosts are plugged into.
    pub fn network(&self) -> String {
        self.named("network", names::NETWORK)
    }

    /// The file with the bytes of a disk.
    pub fn disk_file(&self, vdi: &str) -> Option<std::path::PathBuf> {
        let disk = calls::vdi::Disk::find(&self.pool, vdi).ok()?;
        Some(disk.repository.path(disk.uuid))
    }

    /// Makes a running VM one with guest tools, which listens when asked to shut down.
    pub fn install_tools(&self, vm: &str) {
        let mut db = self.pool.db();
        let guest = db.insert("VM_guest_metrics", [("live".to_owned(), true.into())].into());
        let _ = db.set("VM", vm, "guest_metrics", guest); // a VM that is not there needs no tools
    }

    /// Turns a running machine off as its guest would. For VMs without a process.
    pub fn guest_powers_off(&self, vm: &str) {
        calls::power::halted(&self.pool, vm);
    }

    /// Ends everything and saves the state.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.pool.stop();
        calls::power::end_all(&self.pool);
        self.pool.connections.cut(None);
        self.listeners.iter_mut().for_each(Listener::stop);
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // a panic in it was already told
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.end();
        }
    }
}

impl Sockets {
    fn addresses(&self) -> io::Result<Addresses> {
        let https = self.https.as_ref().map(TcpListener::local_addr).transpose()?;
        Ok(Addresses { http: self.http.local_addr()?, https, nbd: self.nbd.local_addr()? })
    }
}

/// Listens on one port of every host. They have the same, because a host is told by its address alone.
fn bind(config: &Config, hosts: usize) -> io::Result<Vec<Sockets>> {
    let ips = config.hosts.get(..hosts).unwrap_or_default();
    let http = bind_port(ips, config.port)?;
    let https = config.tls_port.map(|port| bind_port(ips, port)).transpose()?;
    let mut https = https.into_iter().flatten();
    let nbd = bind_port(ips, 0)?;
    let pairs = http.into_iter().zip(nbd);
    Ok(pairs.map(|(http, nbd)| Sockets { http, https: https.next(), nbd }).collect())
}

fn bind_port(ips: &[IpAddr], port: u16) -> io::Result<Vec<TcpListener>> {
    let mut tries = TRIES;
    loop {
        let mut wanted = port;
        let mut bound = Vec::new();
        for ip in ips {
            let socket = TcpListener::bind(SocketAddr::new(*ip, wanted));
            wanted = match &socket {
                Ok(socket) => socket.local_addr()?.port(),
                Err(_) => wanted,
            };
            bound.push(socket);
        }
        let bound: io::Result<Vec<_>> = bound.into_iter().collect();
        tries -= 1;
        if bound.is_ok() || port != 0 || tries == 0 {
            return bound;
        }
    }
}
