//! One call of the XenAPI: JSON-RPC 2.0 by `POST /jsonrpc`.

use std::io::Write;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::Fault;
use super::http::{Connection, broken};
use crate::{Error, ErrorKind};

/// Where JSON-RPC is served.
pub(super) const PATH: &str = "/jsonrpc";
/// Longest answer: a pool with some thousand machines tells them in a fraction of this.
const MAX_ANSWER: u64 = 256 << 20;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Value,
}

/// How far a call that failed had come.
pub(super) enum Failed {
    /// The pool said no.
    Refused(Fault),
    /// Nothing of it can have been carried out.
    Before(Error),
    /// It may have been carried out.
    Midway(Error),
}

/// Calls `method`. `silence` is how long the host may think.
/// A connection that may be used again is still good after `Ok` and [`Failed::Refused`] when the flag says so.
pub(super) fn call(
    connection: &mut Connection,
    method: &str,
    params: &[Value],
    silence: Duration,
) -> std::result::Result<(Value, bool), (Failed, bool)> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let address = connection.address().clone();
    let sent = connection
        .stream()
        .set_silence(silence)
        .and_then(|()| connection.ask("POST", PATH, Some(body.len() as u64)))
        .and_then(|()| connection.write_all(body.as_bytes()))
        .and_then(|()| connection.flush());
    sent.map_err(|e| (Failed::Midway(broken(&address, e)), false))?;
    let read =
        connection.answer().and_then(|head| connection.body(&head, MAX_ANSWER).map(|body| (head, body)));
    let (head, body) = read.map_err(|e| (Failed::Midway(broken(&address, e)), false))?;
    let unclear = |what: String| (Failed::Midway(Error::new(ErrorKind::Io, what)), false);
    if head.status != 200 {
        let (status, reason) = (head.status, &head.reason);
        return Err(unclear(format!(
            "the host '{}' answered HTTP {status} {reason} to {method}",
            address.host
        )));
    }
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|e| unclear(format!("the host '{}' answered no JSON-RPC to {method}: {e}", address.host)))?;
    match answer.error {
        None => Ok((answer.result, head.keeps())),
        Some(refusal) => Err((Failed::Refused(refusal.into_fault(method)), head.keeps())),
    }
}

impl Refusal {
    fn into_fault(self, method: &str) -> Fault {
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let params = match self.data {
            Value::Array(params) => params.into_iter().map(text).collect(),
            Value::Null => Vec::new(),
            other => vec![text(other)],
        };
        Fault { method: method.to_owned(), code: self.message, params }
    }
}

/// Whether a method only asks, so that it may be asked again when the answer was lost.
pub(super) fn is_question(method: &str) -> bool {
    let name = method.rsplit('.').next().unwrap_or_default();
    name.starts_with("get_") || matches!(method, "event.from" | "VDI.list_changed_blocks")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_questions_are_asked_again() {
        for question in ["VM.get_record", "event.from", "VDI.get_all_records", "VDI.list_changed_blocks"] {
            assert!(is_question(question), "{question}");
        }
        for deed in ["VM.clone", "Async.VM.start", "VDI.destroy", "task.create"] {
            assert!(!is_question(deed), "{deed}");
        }
    }
}
