//! `CONNECT /console`: the screen of a VM.

use super::{Transfer, send};
use crate::facts::Role;
use crate::http::{Connection, Request, page};
use crate::pool::{Pool, lock};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

const ACTION: &str = "connect_console";

/// Answers the request. From the blank line on, the connection speaks RFB.
pub fn console(
    pool: &Arc<Pool>,
    host: &str,
    connection: &mut Connection,
    request: &Request,
) -> io::Result<()> {
    let transfer = match Transfer::admit(pool, host, request, ACTION, Role::VmOperator) {
        Ok(transfer) => transfer,
        Err(reply) => return send(connection, Some(reply)),
    };
    if let Err(reply) = transfer.strike() {
        return send(connection, reply);
    }
    let screen = screen(pool, request).and_then(|path| UnixStream::connect(path).ok());
    let Some(screen) = screen.filter(|_| request.method == "CONNECT") else {
        return send(connection, Some(page(404, "")));
    };
    connection
        .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: no-cache, no-store\r\n\r\n")?;
    connection.flush()?;
    connection.set_patience(None)?;
    let (socket, early) = connection.hand_over()?;
    crate::console::bridge(connection, &socket, &early, screen)
}

/// Where QEMU serves the screen that the request names by the reference or UUID of its console, or of its VM.
fn screen(pool: &Pool, request: &Request) -> Option<std::path::PathBuf> {
    let db = pool.db();
    let (by_ref, by_uuid) = (request.parameter("ref"), request.parameter("uuid"));
    let vm = match (&by_ref, &by_uuid) {
        (Some(reference), _) if db.has("VM", reference) => reference.clone(),
        (Some(reference), _) => db.text("console", reference, "VM").ok()?,
        (None, Some(uuid)) => match db.by_uuid("console", uuid) {
            Ok(console) => db.text("console", &console, "VM").ok()?,
            Err(_) => db.by_uuid("VM", uuid).ok()?,
        },
        (None, None) => return None,
    };
    drop(db);
    let machines = lock(&pool.machines);
    machines.get(&vm).map(|running| running.machine.console())
}
