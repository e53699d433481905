//! The steps from a call to its reply.

use super::{Caller, Handler, Request, generic};
use crate::calls::{self, session, task};
use crate::facts::{Class, Facts, Message, Role};
use crate::failure::{Failure, Reply};
use crate::fault::Fault;
use crate::pool::Pool;
use crate::value::Value;
use crate::wire::Call;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// What became of a call: a reply, or a connection that ends without one.
pub type Outcome = Option<Reply>;

/// A method of the simulator: what the table says of it and what carries it out.
struct Method<'a> {
    class: &'a Class,
    message: &'a Message,
    is_async: bool,
}

impl Method<'_> {
    fn find(name: &str) -> Option<Self> {
        let plain = name.strip_prefix("Async.");
        let (class, message) = Facts::get().message(plain.unwrap_or(name))?;
        let method = Method { class, message, is_async: plain.is_some() };
        (method.handler().is_some() || generic::knows(class, message)).then_some(method)
    }

    fn name(&self) -> String {
        format!("{}.{}", self.class.name, self.message.name)
    }

    fn handler(&self) -> Option<Handler> {
        calls::handler(&self.name())
    }

    /// Fails unless the call has as many parameters as the message; the session is not counted.
    fn count(&self, called: &str, given: usize) -> Reply<()> {
        let session = usize::from(self.message.with_session);
        let most = self.message.parameters.len();
        let least = self.message.parameters.iter().filter(|parameter| parameter.required).count();
        if (least + session..=most + session).contains(&given) {
            return Ok(());
        }
        let expected = if given < least + session { least } else { most };
        // A call without even a session has "-1".
        let got = i64::try_from(given).unwrap_or(i64::MAX) - i64::from(self.message.with_session);
        let (expected, got) = (expected.to_string(), got.to_string());
        Err(Failure::new("MESSAGE_PARAMETER_COUNT_MISMATCH", [called, &expected, &got]))
    }

    fn convert(&self, parameters: Vec<Value>) -> Reply<Vec<Value>> {
        let pairs = self.message.parameters.iter().zip(parameters);
        pairs.map(|(parameter, sent)| parameter.kind.convert(sent, &parameter.name)).collect()
    }

    fn run_unless_full(&self, request: &Request, fault: Option<&Fault>) -> Reply {
        if fault == Some(&Fault::SrFull) { Err(calls::sr::full()) } else { self.run(request) }
    }

    fn run(&self, request: &Request) -> Reply {
        if let Some(role) = self.message.role.filter(|_| self.message.with_session) {
            require(&request.pool, &request.caller.session, &self.name(), role)?;
        }
        match self.handler() {
            Some(handler) => handler(request),
            None => generic::run(self.class, self.message, request),
        }
    }
}

/// Every method there is, in the order of the table.
pub fn served() -> Vec<String> {
    let messages = Facts::get().classes.values().flat_map(|class| {
        class.messages.values().map(move |message| Method { class, message, is_async: false })
    });
    let served = messages.filter(|method| Method::find(&method.name()).is_some());
    served.map(|method| method.name()).chain(["system.listMethods".to_owned()]).collect()
}

/// The name of the right to call a method.
pub fn permission(method: &str) -> String {
    method.to_lowercase()
}

/// Fails unless the owner of the session has the role that a right needs.
pub fn require(pool: &Pool, session: &str, method: &str, least: Role) -> Reply<()> {
    if pool.role_of(session)? >= least {
        return Ok(());
    }
    let able: Vec<_> = Role::ALL.into_iter().rev().filter(|role| *role >= least).map(Role::name).collect();
    let text = format!("No permission in user session. (Roles with this permission: {})", able.join(", "));
    Err(Failure::new("RBAC_PERMISSION_DENIED", [&permission(method), &text]))
}

/// Answers a call that came to `host`, with what is to go wrong with it.
pub fn answer(pool: &Arc<Pool>, host: &str, call: Call) -> Outcome {
    let fault = pool.fault(&call.method);
    match &fault {
        Some(Fault::ErrorBefore(strings)) => return Some(Err(Failure(strings.clone()))),
        Some(Fault::Refuse) => return None,
        Some(Fault::Slow(milliseconds)) => thread::sleep(Duration::from_millis(*milliseconds)),
        Some(Fault::CoordinatorLost) => {
            calls::pool::fail_over(pool);
            return None;
        }
        Some(Fault::SessionLost(_)) => {
            let session = call.parameters.first().map_or("", Value::text);
            pool.db().remove("session", session);
        }
        Some(Fault::Twice) => drop(reply(pool, host, call.clone(), None)),
        _ => {}
    }
    let reply = reply(pool, host, call, fault.as_ref());
    match fault {
        Some(Fault::LoseReply) => None,
        Some(Fault::ErrorAfter(strings)) => Some(Err(Failure(strings))),
        _ => Some(reply),
    }
}

fn reply(pool: &Arc<Pool>, host: &str, call: Call, fault: Option<&Fault>) -> Reply {
    if call.method == "system.listMethods" {
        return Ok(Value::strings(served()));
    }
    let unknown = || Failure::new("MESSAGE_METHOD_UNKNOWN", [&call.method]);
    let method = Method::find(&call.method).ok_or_else(unknown)?;
    method.count(&call.method, call.parameters.len())?;
    let (_, coordinator) = pool.coordinator();
    if host != coordinator {
        let address = pool.db().text("host", &coordinator, "address")?;
        return Err(Failure::new("HOST_IS_SLAVE", [&address]));
    }
    let mut parameters = call.parameters;
    let mut caller = Caller { session: String::new(), host: host.to_owned(), task: None };
    if method.message.with_session {
        caller.session = parameters.remove(0).text().to_owned();
        session::use_of(pool, &caller.session);
        pool.role_of(&caller.session)?;
    }
    task::collect(pool);
    let arguments = method.convert(parameters)?;
    let request = Request { pool: pool.clone(), caller, arguments };
    if method.is_async {
        return Ok(begin(&call.method, &method.name(), request, fault));
    }
    method.run_unless_full(&request, fault)
}

/// Starts a thread for a call and gives its task.
fn begin(called: &str, name: &str, mut request: Request, fault: Option<&Fault>) -> Value {
    let task = task::begin(&request.pool, &request.caller, called, "");
    request.caller.task = Some(task.clone());
    let (name, fault) = (name.to_owned(), fault.cloned());
    if fault == Some(Fault::TaskLost) {
        request.pool.db().remove("task", &task);
    }
    thread::spawn(move || {
        let Some(method) = Method::find(&name) else { return };
        let outcome = method.run_unless_full(&request, fault.as_ref());
        if let Some(task) = &request.caller.task {
            task::end(&request.pool, task, &outcome);
        }
    });
    Value::String(task)
}
