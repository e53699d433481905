//! Which request is answered by whom.

use super::{Connection, Request, page, response};
use crate::pool::Pool;
use crate::rpc;
use crate::transfers;
use crate::wire::{Malformed, json, xml};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

/// Largest body of a call, in bytes.
const LARGEST_CALL: u64 = 300 << 10;
/// How long a client may take for the body of a call.
const CALL_PATIENCE: Duration = Duration::from_secs(60);
/// How long an idle connection is kept.
const IDLE_PATIENCE: Duration = Duration::from_secs(300);

/// Answers requests until one of both sides has enough.
pub(super) fn serve(pool: &Arc<Pool>, host: &str, connection: &mut Connection) -> io::Result<()> {
    loop {
        connection.set_patience(Some(IDLE_PATIENCE))?;
        let Some(head) = connection.read_head()? else { return Ok(()) };
        let Some(request) = Request::parse(&head) else {
            connection.write_all(page(400, "").as_bytes())?;
            return connection.flush();
        };
        if !answer(pool, host, connection, &request)? || request.closes() {
            return Ok(());
        }
    }
}

/// Answers one request; says whether the connection goes on.
fn answer(pool: &Arc<Pool>, host: &str, connection: &mut Connection, request: &Request) -> io::Result<bool> {
    connection.set_patience(Some(CALL_PATIENCE))?;
    let reply = match (request.method.as_str(), request.path.as_str()) {
        ("PUT", "/import_raw_vdi") => {
            transfers::import(pool, host, connection, request)?;
            return Ok(false);
        }
        ("GET", "/export_raw_vdi") => {
            transfers::export(pool, host, connection, request)?;
            return Ok(false);
        }
        ("CONNECT" | "GET", "/console") => {
            transfers::console(pool, host, connection, request)?;
            return Ok(false);
        }
        ("POST", path) => return call(pool, host, connection, request, path),
        ("OPTIONS", _) => {
            send(connection, response::OPTIONS)?;
            return Ok(true);
        }
        ("GET" | "PUT" | "CONNECT", _) => page(403, ""),
        _ => page(501, ""),
    };
    let head = reply.find("\r\n\r\n").map_or(reply.len(), |end| end + 4);
    send(connection, reply.get(..head).filter(|_| request.method == "HEAD").unwrap_or(&reply))?;
    linger(connection);
    Ok(false)
}

fn send(connection: &mut Connection, reply: &str) -> io::Result<()> {
    connection.write_all(reply.as_bytes())?;
    connection.flush()
}

/// Reads away what the client still sends, a little: a socket closed over unread bytes may take the reply with it.
fn linger(connection: &mut Connection) {
    if connection.set_patience(Some(Duration::from_millis(50))).is_ok() {
        let _ = io::copy(&mut connection.take(LARGEST_CALL), &mut io::sink()); // the reply is all that counts
    }
}

/// Answers a call by whichever protocol its path says.
fn call(
    pool: &Arc<Pool>,
    host: &str,
    connection: &mut Connection,
    request: &Request,
    path: &str,
) -> io::Result<bool> {
    let length = request.content_length().unwrap_or(0);
    let Some(length) = usize::try_from(length).ok().filter(|_| length <= LARGEST_CALL) else {
        send(connection, &page(413, ""))?;
        linger(connection);
        return Ok(false);
    };
    let body = connection.read_body(length)?;
    let body = String::from_utf8_lossy(&body);
    let outcome = if path == "/jsonrpc" {
        json::parse(&body).map(|(call, envelope)| {
            let outcome = rpc::answer(pool, host, call)?;
            Some(response::rpc("application/json", &json::reply(&envelope, &outcome)))
        })
    } else {
        xml::parse(&body).map(|call| {
            let method = call.method.clone();
            let outcome = rpc::answer(pool, host, call)?;
            Some(response::rpc("text/xml", &xml::reply(&method, &outcome)))
        })
    };
    match outcome {
        Ok(Some(reply)) => {
            send(connection, &reply)?;
            Ok(true)
        }
        Ok(None) => Ok(false),
        Err(Malformed(text)) => {
            send(connection, &response::failed_page(&text))?;
            Ok(false)
        }
    }
}
