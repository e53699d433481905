//! Calls to a pool: one session, whoever coordinates it.
//!
//! ```text
//!   call ─▶ session? ─no─▶ log in at: last coordinator, configured address, other members, in this order
//!             │                └ HOST_IS_SLAVE: where it says │ another pool's host: passed over │ silent: the next
//!             ▼
//!           coordinator ─▶ answer
//!             ├ SESSION_INVALID: nothing was done; log in again
//!             ├ HOST_IS_SLAVE, unreachable: nothing was done; look for the coordinator
//!             └ broken half-way: a question is asked again; of a deed, the caller is told
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::address::Address;
use super::fault::{self, Fault};
use super::http::Connection;
use super::memory::{KnownPool, KnownSession, Member, Memory};
use super::record::{self, Host, PoolRecord};
use super::rpc::{self, Failed};
use super::settings::Settings;
use super::trust::{Fingerprint, Trust};
use crate::{Error, ErrorKind, Result, Tag};

/// How long a host may think about a call.
const THINKING: Duration = Duration::from_secs(300);
/// Times that a call is begun.
const TRIES: usize = 4;
/// Connections that are kept open.
const IDLE: usize = 2;
/// Most hosts that are asked for their certificate: the largest pool there can be.
const MOST_HOSTS: usize = 64;

/// A pool, and our session with it.
pub(super) struct Pool {
    pub settings: Settings,
    pub memory: Memory,
    pub trust: Trust,
    configured: Address,
    owner: Mutex<Option<Tag>>,
    link: Mutex<Link>,
    idle: Mutex<Vec<Connection>>,
    /// Where machines were found last.
    pub machines: Mutex<BTreeMap<Tag, String>>,
    /// Tasks whose end is waited for.
    pub awaited: Mutex<BTreeSet<String>>,
    names: Mutex<BTreeMap<String, String>>,
}

/// Where the pool is, and by what right we ask.
#[derive(Default)]
struct Link {
    session: Option<String>,
    known: KnownPool,
    loaded: bool,
}

/// Who is asked, and by what right.
#[derive(Clone)]
pub(super) struct Access {
    /// The coordinator.
    pub host: Address,
    /// The session's reference.
    pub session: String,
}

pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// The pool of these settings. Nothing is sent yet.
    pub fn new(settings: Settings, memory: Memory) -> Result<Self> {
        let settings = settings.checked()?;
        Ok(Self {
            configured: settings.address()?,
            trust: Trust::new(&settings.pins()?)?,
            owner: Mutex::default(),
            link: Mutex::default(),
            idle: Mutex::default(),
            machines: Mutex::default(),
            awaited: Mutex::default(),
            names: Mutex::default(),
            settings,
            memory,
        })
    }

    /// What marks things on the pool as ours.
    pub fn owner(&self) -> Result<Tag> {
        let mut owner = held(&self.owner);
        if owner.is_none() {
            *owner = Some(self.memory.owner()?);
        }
        owner.clone().ok_or_else(|| Error::new(ErrorKind::Io, "the connector has no owner"))
    }

    /// The configured address.
    pub fn configured(&self) -> &Address {
        &self.configured
    }

    /// Calls `method`; the session is put before `params`.
    pub fn call(&self, method: &str, params: &[Value]) -> Result<Value> {
        self.call_for(method, params, THINKING)
    }

    /// Calls a method that may wait on purpose.
    pub fn call_for(&self, method: &str, params: &[Value], silence: Duration) -> Result<Value> {
        let mut last = None;
        for _ in 0..TRIES {
            let access = self.access()?;
            let mut all = vec![json!(access.session)];
            all.extend_from_slice(params);
            match self.ask(&access.host, method, &all, silence) {
                Ok(value) => return Ok(value),
                Err(Failed::Refused(fault)) => match fault.code.as_str() {
                    "SESSION_INVALID" => {
                        self.forget(&access.session);
                        last = Some(fault.into());
                    }
                    "HOST_IS_SLAVE" => {
                        self.moved(&access, fault.params.first().map(String::as_str));
                        last = Some(fault.into());
                    }
                    _ => return Err(fault.into()),
                },
                Err(Failed::Before(e)) => {
                    self.moved(&access, None);
                    last = Some(e);
                }
                Err(Failed::Midway(e)) if rpc::is_question(method) => last = Some(e),
                Err(Failed::Midway(e)) => return Err(e),
            }
        }
        Err(last.unwrap_or_else(|| Error::new(ErrorKind::Io, "the pool gave no answer")))
    }

    /// Asks the pool something by a new connection, as nobody who was connected before can.
    pub fn ask_anew(&self) -> Result<()> {
        held(&self.idle).clear();
        self.call("pool.get_all_records", &[]).map(drop)
    }

    /// Who is to be asked; logs in if need be.
    pub fn access(&self) -> Result<Access> {
        let mut link = held(&self.link);
        if !link.loaded {
            link.loaded = true;
            if let Some(known) = self.memory.pool(&self.settings.address, &self.trust.pins()) {
                self.trust.trust_members(fingerprints(&known));
                link.session = self.memory.session(&self.settings.address, &self.settings.user);
                link.known = known;
            }
        }
        if link.session.is_none() || link.known.coordinator.is_empty() {
            self.log_in(&mut link)?;
        }
        let session = link.session.clone().unwrap_or_default();
        Ok(Access { host: self.configured.of_host(&link.known.coordinator), session })
    }

    /// Whether this is the address of a host of the pool.
    pub fn is_member(&self, host: &str) -> bool {
        let link = held(&self.link);
        host == self.configured.host || link.known.members.iter().any(|member| member.address == host)
    }

    /// The name of a host or storage for people, asked for once.
    pub fn name_of(&self, class: &str, reference: &str) -> String {
        if let Some(name) = held(&self.names).get(reference) {
            return name.clone();
        }
        let told = self.call(&format!("{class}.get_name_label"), &[json!(reference)]);
        let name = told.ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
        if !name.is_empty() {
            held(&self.names).insert(reference.to_owned(), name.clone());
        }
        name
    }

    /// The session has ended.
    pub fn forget(&self, session: &str) {
        let mut link = held(&self.link);
        if link.session.as_deref() == Some(session) {
            link.session = None;
            self.memory.forget_session();
        }
    }

    /// The coordinator is another host, perhaps this one.
    fn moved(&self, access: &Access, to: Option<&str>) {
        held(&self.idle).clear();
        let mut link = held(&self.link);
        if link.known.coordinator == access.host.host {
            // The session may be known there as well: asking tells.
            link.known.coordinator = to.unwrap_or_default().to_owned();
        }
    }

    /// Ends the session.
    pub fn log_out(&self) {
        let known = held(&self.link).session.is_some()
            || self.memory.session(&self.settings.address, &self.settings.user).is_some();
        if let (true, Ok(access)) = (known, self.access()) {
            // A session that cannot be ended now ends by itself after a day.
            let _ = self.ask(&access.host, "session.logout", &[json!(access.session)], THINKING);
            self.forget(&access.session);
        }
        held(&self.idle).clear();
    }

    fn log_in(&self, link: &mut Link) -> Result<()> {
        let mut waiting = vec![link.known.coordinator.clone(), self.configured.host.clone()];
        waiting.extend(link.known.members.iter().map(|member| member.address.clone()));
        waiting.reverse();
        let mut asked: Vec<String> = vec![String::new()];
        let mut first_error: Option<Error> = None;
        while let Some(host) = waiting.pop() {
            if asked.contains(&host) {
                continue;
            }
            asked.push(host.clone());
            let failed = match self.log_in_at(&host, link) {
                Ok(()) => return Ok(()),
                Err(Failed::Refused(fault)) if fault.code == "HOST_IS_SLAVE" => {
                    let coordinator = fault.params.first().cloned().unwrap_or_default();
                    if Address::parse(&coordinator).is_ok() {
                        waiting.push(coordinator);
                    }
                    Error::from(fault)
                }
                Err(Failed::Refused(fault)) if fault.code == "SESSION_AUTHENTICATION_FAILED" => {
                    return Err(fault.into());
                }
                Err(Failed::Refused(fault)) => fault.into(),
                Err(Failed::Before(e) | Failed::Midway(e)) => e,
            };
            // What the configured host said is what a person can act on.
            if first_error.is_none() || host == self.configured.host {
                first_error = Some(failed);
            }
        }
        Err(first_error.unwrap_or_else(|| Error::new(ErrorKind::Io, "the pool has no host that answers")))
    }

    /// Goes on at a host with the session that there is, or begins one.
    fn log_in_at(&self, host: &str, link: &mut Link) -> std::result::Result<(), Failed> {
        let address = self.configured.of_host(host);
        if let Some(session) = link.session.clone() {
            match self.learn(&address, &session) {
                Ok(known) => return self.settle(link, host, known, session),
                Err(e) if fault::code(&e) == "SESSION_INVALID" => {}
                Err(e) => return Err(fault::fault(&e).cloned().map_or(Failed::Before(e), Failed::Refused)),
            }
        }
        let Settings { user, password, .. } = &self.settings;
        let params = [json!(user), json!(password.0), json!("2.0"), json!(self.memory.originator())];
        let session = self.ask(&address, "session.login_with_password", &params, THINKING)?;
        let session = session.as_str().unwrap_or_default().to_owned();
        let learnt = self.learn(&address, &session).map_err(Failed::Before);
        let settled = learnt.and_then(|known| self.settle(link, host, known, session.clone()));
        if settled.is_err() {
            let _ = self.ask(&address, "session.logout", &[json!(session)], THINKING);
        }
        settled
    }

    /// Takes a host for the coordinator, unless it is another pool's.
    fn settle(
        &self,
        link: &mut Link,
        host: &str,
        known: KnownPool,
        session: String,
    ) -> std::result::Result<(), Failed> {
        if !link.known.pool.is_empty() && known.pool != link.known.pool {
            let what = format!(
                "the host '{host}' does not belong any more to the pool that was configured; give the address of a host \
                 that does, or make a new connector for the other pool"
            );
            return Err(Failed::Before(Error::new(ErrorKind::Unsupported, what)));
        }
        self.trust.trust_members(fingerprints(&known));
        let Settings { address, user, .. } = &self.settings;
        let kept = KnownSession { address: address.clone(), user: user.clone(), session: session.clone() };
        // What cannot be written is asked for again after a restart.
        let _ = self.memory.keep_pool(&known).and_then(|()| self.memory.keep_session(&kept));
        link.known = known;
        link.session = Some(session);
        Ok(())
    }

    /// Which pool it is, and which hosts it has.
    fn learn(&self, at: &Address, session: &str) -> Result<KnownPool> {
        let ask = |method: &str, params: &[Value]| {
            let all = [&[json!(session)], params].concat();
            self.ask(at, method, &all, THINKING).map_err(|failed| match failed {
                Failed::Refused(fault) => fault.into(),
                Failed::Before(e) | Failed::Midway(e) => e,
            })
        };
        let pools = record::all::<PoolRecord>(ask("pool.get_all_records", &[])?)?;
        let hosts = record::all::<Host>(ask("host.get_all_records", &[])?)?;
        let mut members = Vec::new();
        for (host, told) in hosts.iter().take(MOST_HOSTS) {
            let pem = if at.tls { ask("host.get_server_certificate", &[json!(host)]).ok() } else { None };
            let fingerprint = pem.as_ref().and_then(Value::as_str).and_then(Fingerprint::of_pem);
            members.push(Member {
                address: told.address.clone(),
                fingerprint: fingerprint.map(|f| f.to_string()),
            });
        }
        Ok(KnownPool {
            address: self.settings.address.clone(),
            pins: self.trust.pins(),
            pool: pools.values().next().map(|pool| pool.uuid.clone()).unwrap_or_default(),
            coordinator: at.host.clone(),
            members,
        })
    }

    fn ask(
        &self,
        host: &Address,
        method: &str,
        params: &[Value],
        silence: Duration,
    ) -> std::result::Result<Value, Failed> {
        let kept = {
            let mut idle = held(&self.idle);
            idle.retain(|connection| !connection.is_stale());
            let at = idle.iter().position(|connection| connection.address() == host);
            at.map(|at| idle.swap_remove(at))
        };
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::open(host, &self.trust).map_err(Failed::Before)?,
        };
        let (result, keeps) = match rpc::call(&mut connection, method, params, silence) {
            Ok((value, keeps)) => (Ok(value), keeps),
            Err((failed, keeps)) => (Err(failed), keeps),
        };
        let mut idle = held(&self.idle);
        if keeps && idle.len() < IDLE {
            idle.push(connection);
        }
        result
    }
}

fn fingerprints(known: &KnownPool) -> impl Iterator<Item = Fingerprint> {
    let told = known.members.iter().filter_map(|member| member.fingerprint.as_deref());
    told.filter_map(|text| Fingerprint::parse(text).ok())
}

/// A fault of a transfer's task, as one of a call.
pub(super) fn fault_of_task(method: &str, info: &[String]) -> Error {
    let code = info.first().cloned().unwrap_or_else(|| "INTERNAL_ERROR".into());
    let params = info.iter().skip(1).cloned().collect();
    fault::Fault { method: method.to_owned(), code, params }.into()
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Refused(fault) => Fault::into(fault),
            Failed::Before(e) | Failed::Midway(e) => e,
        }
    }
}
