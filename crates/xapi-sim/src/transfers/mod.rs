//! What goes over HTTP that is no call: disks in and out, and consoles.
//!
//! ```text
//!   who? ─▶ may they? ─▶ task ─▶ which disk? ─▶ does this host see it? ─▶ attach ─▶ 200 ─▶ bytes ─▶ end of task
//!   401       403                 500             302 to one that does      500               │
//!                                                                only the task tells success ─┘
//! ```

mod body;
mod console;
mod export;
mod import;

pub use console::console;
pub use export::export;
pub use import::import;

use crate::calls::{host, session, task, vdi};
use crate::facts::Role;
use crate::failure::{Failure, Reply};
use crate::fault::Fault;
use crate::http::{Connection, Request, failed_page, page};
use crate::pool::Pool;
use crate::rpc::{self, Caller};
use crate::value::{NULL, Value};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A request of somebody who may make it.
struct Transfer<'a> {
    pool: &'a Arc<Pool>,
    host: &'a str,
    session: String,
    /// Whether the session was made for this request.
    passing: bool,
    fault: Option<Fault>,
    task: Option<String>,
}

/// How a transfer can end before its first byte: with this reply.
type Refused = String;

impl<'a> Transfer<'a> {
    /// Finds out who asks and whether they may. `action` is what the real server calls the request.
    fn admit(
        pool: &'a Arc<Pool>,
        host: &'a str,
        request: &Request,
        action: &str,
        least: Role,
    ) -> Result<Self, Refused> {
        let named = format!("{} {}", request.method, request.path);
        let mut transfer = Self {
            pool,
            host,
            session: String::new(),
            passing: false,
            fault: pool.fault(&named),
            task: request.parameter("task_id"),
        };
        let unknown = || page(401, &format!("WWW-Authenticate: Basic realm=\"{action}\"\r\n"));
        match (request.parameter("session_id"), request.credentials()) {
            (Some(session), _) => transfer.session = session,
            (None, Some((user, password))) => {
                let session = session::login(pool, host, &user, &password, "http");
                transfer.session = session.map_err(|_| unknown())?;
                transfer.passing = true;
            }
            (None, None) => return Err(unknown()),
        }
        pool.role_of(&transfer.session).map_err(|_| unknown())?;
        let allowed = rpc::require(pool, &transfer.session, &format!("http/{action}"), least);
        allowed.map_err(|failure| {
            transfer.end(&Err(failure));
            page(403, "")
        })?;
        Ok(transfer)
    }

    /// The task of the transfer; made if the client did not bring one.
    fn task(&mut self, label: &str) -> String {
        let caller = Caller { session: self.session.clone(), host: self.host.to_owned(), task: None };
        let made = || task::begin(self.pool, &caller, label, "");
        self.task.get_or_insert_with(made).clone()
    }

    fn end(&self, outcome: &Reply) {
        if let Some(task) = &self.task {
            task::end(self.pool, task, outcome);
        }
    }

    /// Ends the task with a failure and gives the page that tells of it.
    fn refuse(&self, failure: Failure) -> Refused {
        let text = format!("Api_errors.Server_error({failure})");
        self.end(&Err(failure));
        failed_page(&text)
    }

    /// The disk that a parameter names by reference or UUID.
    fn disk(&self, name: &str, action: &str) -> Result<vdi::Disk, Refused> {
        let db = self.pool.db();
        let vdi = if db.has("VDI", name) { Ok(name.to_owned()) } else { db.by_uuid("VDI", name) };
        drop(db);
        vdi.and_then(|vdi| vdi::Disk::find(self.pool, &vdi)).map_err(|_| {
            // What the task says is as misleading as what the real server's does.
            let text = format!("Db_exn.Read_missing_uuid(\"VDI\", \"\", \"{name}\")");
            self.end(&Err(Failure::new("RBAC_PERMISSION_DENIED", [&format!("http/{action}"), &text])));
            failed_page(&text)
        })
    }

    /// Sends the client to another host if this one does not see the SR.
    fn must_see(&self, sr: &str, connection: &Connection, request: &Request) -> Result<(), Refused> {
        if host::sees(self.pool, self.host, sr) {
            return Ok(());
        }
        let other =
            host::choose(self.pool, NULL, &[sr.to_owned()]).map_err(|failure| self.refuse(failure))?;
        let addresses = self.pool.addresses.get(&other);
        let at = addresses.map(|at| match at.https.filter(|_| connection.is_secure()) {
            Some(https) => format!("https://{https}"),
            None => format!("http://{}", at.http),
        });
        let at = at.ok_or_else(|| self.refuse(Failure::new("HOST_OFFLINE", [&other])))?;
        let location = format!("Location: {at}{}?{}\r\n", request.path, request.raw_query);
        Err(format!(
            "HTTP/1.1 302 Found\r\nConnection: close\r\nCache-Control: no-cache, no-store\r\n{location}\r\n"
        ))
    }

    /// What is to go wrong before anything else. Gives the reply, or nothing for a connection that just ends.
    fn strike(&self) -> Result<(), Option<Refused>> {
        match &self.fault {
            Some(Fault::Refuse) => Err(None),
            Some(Fault::ErrorBefore(strings)) => Err(Some(self.refuse(Failure(strings.clone())))),
            Some(Fault::Slow(milliseconds)) => {
                std::thread::sleep(std::time::Duration::from_millis(*milliseconds));
                Ok(())
            }
            Some(Fault::CoordinatorLost) => {
                crate::calls::pool::fail_over(self.pool);
                Err(None)
            }
            _ => Ok(()),
        }
    }

    /// Tells the task how far a transfer of `total` bytes is, and the transfer whether to go on.
    fn watch(&self, total: u64) -> impl Fn(u64) -> ControlFlow<()> + Sync {
        let (pool, task) = (self.pool.clone(), self.task.clone().unwrap_or_default());
        let (done, told) = (AtomicU64::new(0), AtomicU64::new(0));
        move |more| {
            let done = done.fetch_add(more, Ordering::Relaxed).saturating_add(more);
            let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0).min(99);
            let mut db = pool.db();
            if db.text("task", &task, "status").is_ok_and(|status| status == "cancelling") {
                return ControlFlow::Break(());
            }
            if told.fetch_max(percent, Ordering::Relaxed) < percent {
                #[expect(clippy::cast_precision_loss, reason = "a number below 100")]
                let progress = Value::Float(percent as f64 / 100.0);
                let _ = db.set("task", &task, "progress", progress); // the task may have been deleted
            }
            ControlFlow::Continue(())
        }
    }

    /// What a failed transfer is called.
    fn failure(&self, error: &shale_disk::Error) -> Failure {
        let task = self.task.as_deref().unwrap_or_default();
        match error.kind() {
            shale_disk::ErrorKind::Stopped => Failure::new("TASK_CANCELLED", [task]),
            _ => Failure::new("VDI_IO_ERROR", ["Device I/O errors"]),
        }
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        if self.passing {
            self.pool.db().remove("session", &self.session);
        }
    }
}

/// Sends a reply that ends the connection; none just ends it.
fn send(connection: &mut Connection, reply: Option<Refused>) -> io::Result<()> {
    if let Some(reply) = reply {
        connection.write_all(reply.as_bytes())?;
        connection.flush()?;
    }
    Ok(())
}
