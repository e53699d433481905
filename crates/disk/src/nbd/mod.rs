//! A disk served read-only over NBD, on a unix socket: how QEMU boots off a disk that is never copied.
//! Source: NetworkBlockDevice/nbd, `doc/proto.md`.
//!
//! ```text
//!   accept ─▶ handshake ─GO─▶ receiver ─queue─▶ workers ─chunks─▶ client       one set for each client
//!                                                  │
//!                                              BlockCache ◀── read-ahead       one for all clients
//!                                                  │
//!                                                 Disk
//! ```
//!
//! Fixed newstyle, structured replies with holes, `base:allocation`. No TLS: the socket's permissions are the guard.
//! The other side, for servers elsewhere, is [`client`].

mod ahead;
pub mod client;
mod handshake;
mod transmission;
pub mod wire;

use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{Disk, Error, Result};
use ahead::BlockCache;

/// Clients at once; more are turned away.
const MAX_CLIENTS: usize = 32;
/// How soon `stop` is noticed.
const STOP_CHECK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// A client that does not take its replies for this long is dropped.
const WRITE_PATIENCE: Duration = Duration::from_secs(120);

/// What is served: one disk, under `name` and under the empty name.
struct Export {
    name: String,
    blocks: Arc<BlockCache>,
}

/// Serves `disk` to everyone who connects to `listener`, until `stop` is set; then hangs up on all clients and returns.
///
/// Errs only when the listener itself fails. A client's faults end that client's connection.
pub fn serve(listener: UnixListener, disk: Arc<dyn Disk>, name: &str, stop: &AtomicBool) -> Result<()> {
    let failed = |e| Error::io("the NBD server cannot listen", e);
    listener.set_nonblocking(true).map_err(failed)?;
    let export = Export { name: name.to_owned(), blocks: BlockCache::new(disk) };
    let clients = Clients::default();
    thread::scope(|scope| {
        let export = &export;
        let clients = &clients;
        scope.spawn(move || export.blocks.run_ahead());
        let served = accept_all(&listener, stop, |stream| {
            if let Some(seat) = clients.seat(&stream) {
                scope.spawn(move || {
                    // A client that breaks the protocol or goes away is no concern of the others.
                    let _ = serve_one(&stream, export);
                    clients.leave(seat);
                });
            }
        });
        clients.hang_up();
        export.blocks.end_ahead();
        served.map_err(failed)
    })
}

fn accept_all(
    listener: &UnixListener,
    stop: &AtomicBool,
    mut serve: impl FnMut(UnixStream),
) -> std::io::Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let mut ready = [PollFd::new(listener, PollFlags::IN)];
        match poll(&mut ready, Some(&STOP_CHECK)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(e) => return Err(e.into()),
        }
        match listener.accept() {
            Ok((stream, _)) => serve(stream),
            Err(e) => match e.kind() {
                std::io::ErrorKind::WouldBlock
                | std::io::ErrorKind::Interrupted
                | std::io::ErrorKind::ConnectionAborted => {}
                // Out of descriptors, perhaps: those who are connected go on.
                _ => thread::sleep(Duration::from_millis(100)),
            },
        }
    }
    Ok(())
}

fn serve_one(stream: &UnixStream, export: &Export) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(WRITE_PATIENCE))?;
    match handshake::negotiate(stream, export)? {
        Some(terms) => transmission::serve(stream, export, terms),
        None => Ok(()),
    }
}

/// Who is connected, so that all can be hung up on.
#[derive(Default)]
struct Clients {
    seats: Mutex<Vec<Option<UnixStream>>>,
}

impl Clients {
    /// A seat for `stream`, unless all are taken.
    fn seat(&self, stream: &UnixStream) -> Option<usize> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = stream.try_clone().ok()?;
        if let Some(free) = seats.iter().position(Option::is_none) {
            seats[free] = Some(copy);
            return Some(free);
        }
        if seats.len() >= MAX_CLIENTS {
            return None;
        }
        seats.push(Some(copy));
        Some(seats.len() - 1)
    }

    fn leave(&self, seat: usize) {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)[seat] = None;
    }

    fn hang_up(&self) {
        for stream in self.seats.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both); // it may be gone already
        }
    }
}
