//! Following what changes.

use crate::database::{Change, Token};
use crate::facts::Facts;
use crate::failure::{Failure, Reply};
use crate::rpc::{Handler, Request};
use crate::value::{Record, Value};
use std::thread;
use std::time::{Duration, Instant};

/// How long the server gathers changes before it answers, so that one answer tells many.
const GATHERING: Duration = Duration::from_millis(50);
/// Longest wait for a change, in seconds.
const LONGEST: f64 = 3600.0;

pub(super) const CALLS: &[(&str, Handler)] =
    &[("event.from", from), ("event.inject", inject), ("event.get_current_id", get_current_id)];

fn from(request: &Request) -> Reply {
    let filters: Vec<String> = request.value(0).items().iter().map(|class| class.text().to_owned()).collect();
    let token = Token::parse(request.text(1))?;
    let Value::Float(timeout) = request.value(2) else { return Err(Failure::internal("no timeout")) };
    let timeout = if timeout.is_finite() { timeout.clamp(0.0, LONGEST) } else { LONGEST };
    let until = Instant::now() + Duration::from_secs_f64(timeout);
    // Who follows tasks only wants to know at once.
    let gather =
        if filters.iter().all(|filter| filter.starts_with("task")) { Duration::ZERO } else { GATHERING };
    thread::sleep(gather);
    loop {
        request.pool.role_of(&request.caller.session)?;
        let db = request.pool.db();
        let seen = db.generation();
        let changes = db.changes(token, &filters);
        let left = until.saturating_duration_since(Instant::now());
        if !changes.is_empty() || left.is_zero() || request.pool.is_stopping() {
            let token = if changes.is_empty() { token } else { Token(seen) };
            let events = Value::Set(changes.into_iter().map(event).collect());
            let counts = Value::Map(db.counts());
            let token = Value::String(token.to_string());
            return Ok(Value::map([("events", events), ("valid_ref_counts", counts), ("token", token)]));
        }
        drop(changes);
        drop(db);
        request.pool.wait(seen, left);
        thread::sleep(gather.min(left));
    }
}

fn event(change: Change) -> Value {
    let mut event = Record::from([
        ("id".to_owned(), Value::String(change.generation.to_string())),
        ("timestamp".to_owned(), "0.0".into()),
        ("class".to_owned(), Value::String(change.class)),
        ("operation".to_owned(), change.operation.name().into()),
        ("ref".to_owned(), change.reference.into()),
    ]);
    if let Some(record) = change.record {
        event.insert("snapshot".to_owned(), Value::Map(record.clone()));
    }
    Value::Map(event)
}

fn inject(request: &Request) -> Reply {
    let wanted = request.text(0);
    let class = Facts::get().classes.keys().find(|class| class.eq_ignore_ascii_case(wanted));
    let class = class.ok_or_else(|| Failure::handle(wanted, request.text(1)))?;
    let mut db = request.pool.db();
    db.touch(class, request.text(1))?;
    Ok(Value::String(Token(db.generation()).to_string()))
}

fn get_current_id(request: &Request) -> Reply {
    Ok(Value::Int(i64::try_from(request.pool.db().generation()).unwrap_or(i64::MAX)))
}
