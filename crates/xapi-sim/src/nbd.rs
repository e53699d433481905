//! The NBD server of a host (`xapi-nbd`): VDIs to read, over TCP, encrypted where the network's purpose asks for it.
//! Source: NetworkBlockDevice/nbd, `doc/proto.md`; xen-api, `ocaml/nbd`.
//!
//! ```text
//!   greeting ─▶ options ──STARTTLS──▶ options again ──GO, EXPORT_NAME──▶ requests, one after the other
//!                  └ with TLS demanded, nothing else is answered before it
//! ```
//!
//! As plain as the real one: read-only, simple replies, no word of what is a hole. An export is named
//! `/<uuid of the VDI>?session_id=<session>`.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use shale_disk::nbd::wire::*;
use shale_disk::{Disk, Error, Result};
use uuid::Uuid;

/// Clients at once; more are turned away.
const MAX_CLIENTS: usize = 16;
/// Longest option data taken, and options before an export is chosen.
const MAX_OPTION: u32 = 8 << 10;
const MAX_OPTIONS: usize = 64;
/// How long a client may take to choose an export.
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon it is noticed that the server is to stop.
const STOP_CHECK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Transmission flags: there are flags; read-only.
const EXPORT_FLAGS: u16 = 1 | 1 << 1;

/// Finds the disk of a VDI for a session; `None` when there is none, or it is not for this session.
pub type Find = dyn Fn(Uuid, &str) -> Option<Arc<dyn Disk>> + Send + Sync;

/// A running server. Dropping it hangs up on everyone.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    find: Box<Find>,
    tls: Option<Arc<ServerConfig>>,
    clients: Mutex<Vec<(u64, TcpStream)>>,
    is_stopped: AtomicBool,
}

impl Server {
    /// Serves on `listener` what `find` finds. With `tls`, no client gets anything without encryption.
    pub fn start(listener: TcpListener, tls: Option<Arc<ServerConfig>>, find: Box<Find>) -> Result<Self> {
        let failed = |e| Error::io("the NBD server cannot listen", e);
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (clients, is_stopped) = (Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { find, tls, clients, is_stopped });
        let accepting = thread::Builder::new().name(format!("nbd {address}"));
        let accepting = accepting.spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        });
        Ok(Self { address, shared, accepting: Some(accepting.map_err(failed)?) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::Relaxed);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join(); // it errs when it panicked, which was told
        }
        for (_, client) in self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = client.shutdown(Shutdown::Both); // it may be gone already
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for number in 0.. {
        let client = loop {
            if shared.is_stopped.load(Ordering::Relaxed) {
                return;
            }
            let _ = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&STOP_CHECK)); // or try at once
            if let Ok((client, _)) = listener.accept() {
                break client;
            }
        };
        let Ok(seat) = client.try_clone() else { continue };
        let mut clients = shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS {
            continue;
        }
        clients.push((number, seat));
        drop(clients);
        let serving = shared.clone();
        let leave = move || {
            // A client that breaks the protocol or goes away is no concern of the others.
            let _ = serve(client, &serving);
            serving
                .clients
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|(seat, _)| *seat != number);
        };
        if thread::Builder::new().name("nbd client".to_owned()).spawn(leave).is_err() {
            shared.clients.lock().unwrap_or_else(PoisonError::into_inner).retain(|(seat, _)| *seat != number);
        }
    }
}

fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(PATIENCE))?;
    let mut hello = HELLO.to_be_bytes().to_vec();
    hello.extend(I_HAVE_OPT.to_be_bytes());
    hello.extend((FIXED_NEWSTYLE | NO_ZEROES).to_be_bytes());
    client.write_all(&hello)?;
    let flags = u32::from_be_bytes(take(&mut client)?);
    let options = Options { find: &shared.find, flags };
    let chosen = options.answer(&mut client, shared.tls.is_some())?;
    let socket = client.try_clone()?;
    match (chosen, &shared.tls) {
        (Choice::Disk(disk), _) => {
            socket.set_read_timeout(None)?;
            transmit(&mut client, &*disk)
        }
        (Choice::Encrypt, Some(tls)) => {
            let connection = ServerConnection::new(tls.clone()).map_err(io::Error::other)?;
            let mut client = StreamOwned::new(connection, client);
            let Choice::Disk(disk) = options.answer(&mut client, false)? else { return Ok(()) };
            socket.set_read_timeout(None)?;
            transmit(&mut client, &*disk)
        }
        _ => Ok(()),
    }
}

/// What a client chose.
enum Choice {
    Disk(Arc<dyn Disk>),
    Encrypt,
    Leave,
}

/// How options are answered.
struct Options<'a> {
    find: &'a Find,
    /// What the client said to the greeting.
    flags: u32,
}

impl Options<'_> {
    /// Until the client chose; before that it gets nothing if it must ask for encryption first.
    fn answer(&self, client: &mut (impl Read + Write), must_encrypt: bool) -> io::Result<Choice> {
        for _ in 0..MAX_OPTIONS {
            let head: [u8; 16] = take(client)?;
            let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
            let (option, length) = (number(8), number(12));
            if head[..8] != I_HAVE_OPT.to_be_bytes() || length > MAX_OPTION {
                return Ok(Choice::Leave);
            }
            let mut data = vec![0; length as usize];
            client.read_exact(&mut data)?;
            let mut reply = |kind, data: &[u8]| client.write_all(&option_reply(option, kind, data));
            match option {
                OPT_ABORT => {
                    let _ = reply(REP_ACK, &[]); // it may have hung up
                    return Ok(Choice::Leave);
                }
                OPT_STARTTLS if must_encrypt => {
                    reply(REP_ACK, &[])?;
                    return Ok(Choice::Encrypt);
                }
                OPT_EXPORT_NAME => {
                    // The protocol has no way to refuse but to hang up.
                    let found = self.disk(&String::from_utf8_lossy(&data)).filter(|_| !must_encrypt);
                    let Some(disk) = found else { return Ok(Choice::Leave) };
                    let mut about = description(&*disk);
                    let zeroes = self.flags & u32::from(NO_ZEROES) == 0;
                    about.resize(about.len() + if zeroes { 124 } else { 0 }, 0);
                    client.write_all(&about)?;
                    return Ok(Choice::Disk(disk));
                }
                _ if must_encrypt => reply(REP_ERR_TLS_REQD, &[])?,
                OPT_GO | OPT_INFO => match InfoRequest::parse(&data).map(|asked| self.disk(&asked.name)) {
                    None => reply(REP_ERR_INVALID, &[])?,
                    Some(None) => reply(REP_ERR_UNKNOWN, &[])?,
                    Some(Some(disk)) => {
                        reply(REP_INFO, &[&INFO_EXPORT.to_be_bytes(), &description(&*disk)[..]].concat())?;
                        reply(REP_ACK, &[])?;
                        if option == OPT_GO {
                            return Ok(Choice::Disk(disk));
                        }
                    }
                },
                _ => reply(REP_ERR_UNSUP, &[])?,
            }
        }
        Ok(Choice::Leave)
    }

    fn disk(&self, export: &str) -> Option<Arc<dyn Disk>> {
        let (vdi, session) = parse_name(export)?;
        (self.find)(vdi, session)
    }
}

/// The VDI and the session in the name of an export.
fn parse_name(export: &str) -> Option<(Uuid, &str)> {
    let (vdi, query) = export.strip_prefix('/')?.split_once('?')?;
    let session = query.split('&').find_map(|pair| pair.strip_prefix("session_id="))?;
    Some((Uuid::parse_str(vdi).ok()?, session))
}

/// Size and flags.
fn description(disk: &dyn Disk) -> Vec<u8> {
    [&disk.size().to_be_bytes()[..], &EXPORT_FLAGS.to_be_bytes()].concat()
}

/// Answers requests until the client leaves.
fn transmit(client: &mut (impl Read + Write), disk: &dyn Disk) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(request) = Request::parse(&take(client)?) else { return Ok(()) };
        let fits = request.offset.checked_add(request.length.into()).is_some_and(|end| end <= disk.size());
        let error = match request.command {
            Command::Disconnect => return Ok(()),
            Command::Read if request.length > MAX_READ => EOVERFLOW,
            Command::Read if !fits => EINVAL,
            Command::Read => {
                buffer.clear();
                buffer.extend(simple(0, request.cookie));
                let head = buffer.len();
                buffer.resize(head + request.length as usize, 0);
                match disk.read_at(&mut buffer[head..], request.offset) {
                    Ok(()) => 0,
                    Err(_) => EIO,
                }
            }
            Command::Write => {
                // Its data must be skipped to find the next request.
                io::copy(&mut client.take(request.length.into()), &mut io::sink())?;
                EPERM
            }
            Command::Modify => EPERM,
            Command::Flush | Command::BlockStatus | Command::Other => EINVAL,
        };
        match error {
            0 => client.write_all(&buffer)?,
            error => client.write_all(&simple(error, request.cookie))?,
        }
        client.flush()?;
    }
}

fn take<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exports_name_holds_a_vdi_and_a_session() {
        let vdi = "6c1d8a2e-4fd0-4c5e-8f1b-0123456789ab";
        let good = format!("/{vdi}?session_id=OpaqueRef:1");
        assert_eq!(parse_name(&good), Some((Uuid::parse_str(vdi).unwrap(), "OpaqueRef:1")));
        assert!(parse_name(&format!("/{vdi}?a=b&session_id=x")).is_some_and(|(_, session)| session == "x"));
        for bad in ["", "/", vdi, "/x?session_id=y", &format!("/{vdi}"), &format!("/{vdi}?session=y")] {
            assert_eq!(parse_name(bad), None, "{bad}");
        }
    }
}
