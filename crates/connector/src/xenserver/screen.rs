//! A machine's screen: `CONNECT` to the host that runs it, then bare RFB, passed on through a socket pair.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use serde_json::json;

use super::address::Address;
use super::http::{Connection, broken, with_query};
use super::machine;
use super::pool::Pool;
use super::record::{self, Console};
use super::stream::Stream;
use crate::{Error, ErrorKind, Result, Tag};

/// Bytes that wait for one side; more are not taken from the other.
const WAITING: usize = 256 << 10;

/// Opens the screen.
pub(super) fn open(pool: &Pool, tag: &Tag) -> Result<UnixStream> {
    let (_, vm) = machine::existing(pool, tag)?;
    if vm.power_state != "Running" {
        let what = format!("the machine '{}' is off: power it on to see its screen", vm.name_label);
        return Err(Error::new(ErrorKind::Busy, what));
    }
    let mut location = None;
    for console in &vm.consoles {
        let console: Console = record::one(pool.call("console.get_record", &[json!(console)])?)?;
        if console.protocol == "rfb" {
            location = Some(console.location);
        }
    }
    let Some(location) = location else {
        return Err(Error::new(
            ErrorKind::Busy,
            format!("the machine '{}' has no screen yet", vm.name_label),
        ));
    };
    let (host, target) = place(pool, &location)?;
    let mut connection = Connection::open(&host, &pool.trust)?;
    let target = with_query(&target, &[("session_id", &pool.access()?.session)]);
    let asked = connection.ask("CONNECT", &target, None).and_then(|()| connection.answer());
    let head = asked.map_err(|e| broken(&host, e))?;
    match head.status {
        200 => {}
        403 => {
            let what = "the user may not see screens; give the user the role VM Operator, or more";
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        status => {
            let what =
                format!("the host '{}' does not show the screen: HTTP {status} {}", host.host, head.reason);
            return Err(Error::new(ErrorKind::Io, what));
        }
    }
    let (stream, ahead) = connection.into_parts();
    let failed = |e| Error::io("the screen cannot be passed on", e);
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    ours.set_nonblocking(true).and_then(|()| stream.tcp().set_nonblocking(true)).map_err(failed)?;
    let pump = Pump { host: stream, viewer: ours, to_viewer: ahead, to_host: Vec::new() };
    let begun = thread::Builder::new().name("screen".into()).spawn(move || {
        // However it ends, both sides see the end of the stream.
        let _ = pump.run();
    });
    begun.map_err(failed)?;
    Ok(theirs)
}

/// The host and the target of a console's location: `https://<host>/console?uuid=…`.
fn place(pool: &Pool, location: &str) -> Result<(Address, String)> {
    let wrong = || Error::new(ErrorKind::Io, format!("the pool says that the screen is at {location:?}"));
    let told = Address::parse(location).map_err(|_| wrong())?;
    let rest = location.split_once("://").map_or(location, |(_, rest)| rest);
    let (authority, target) = rest.split_once('/').ok_or_else(wrong)?;
    if !pool.is_member(&told.host) || target.contains(|c: char| c.is_control() || c == ' ') {
        return Err(wrong());
    }
    let usual = pool.configured().of_host(&told.host);
    let has_port = authority.ends_with(&format!(":{}", told.port));
    Ok((if has_port && told.tls == usual.tls { told } else { usual }, format!("/{target}")))
}

/// Passes bytes between the host and the viewer until one of them ends.
struct Pump {
    host: Stream,
    viewer: UnixStream,
    to_viewer: Vec<u8>,
    to_host: Vec<u8>,
}

impl Pump {
    fn run(mut self) -> io::Result<()> {
        loop {
            let from_host = self.to_viewer.len() < WAITING && pull(&mut self.host, &mut self.to_viewer)?;
            let from_viewer = self.to_host.len() < WAITING && pull(&mut self.viewer, &mut self.to_host)?;
            push(&mut self.viewer, &mut self.to_viewer)?;
            push(&mut self.host, &mut self.to_host)?;
            if !from_host && !from_viewer {
                self.wait()?;
            }
        }
    }

    /// Waits until something can be taken or given.
    fn wait(&self) -> io::Result<()> {
        let when = |takes: bool, gives: bool| {
            let takes = if takes { PollFlags::IN } else { PollFlags::empty() };
            takes | if gives { PollFlags::OUT } else { PollFlags::empty() }
        };
        let tls_gives = matches!(&self.host, Stream::Tls(tls) if tls.conn.wants_write());
        let host = when(self.to_viewer.len() < WAITING, !self.to_host.is_empty() || tls_gives);
        let viewer = when(self.to_host.len() < WAITING, !self.to_viewer.is_empty());
        let mut ready = [PollFd::new(self.host.tcp(), host), PollFd::new(&self.viewer, viewer)];
        match poll(&mut ready, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

/// Takes what is there. Whether anything was; its end is an error.
fn pull(from: &mut impl Read, into: &mut Vec<u8>) -> io::Result<bool> {
    let mut buf = [0; 16 << 10];
    match from.read(&mut buf) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(read) => {
            into.extend_from_slice(&buf[..read]);
            Ok(true)
        }
        Err(e) if is_later(&e) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Gives as much as is taken.
fn push(to: &mut impl Write, from: &mut Vec<u8>) -> io::Result<()> {
    while !from.is_empty() {
        match to.write(from) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => drop(from.drain(..written)),
            Err(e) if is_later(&e) => return Ok(()),
            Err(e) => return Err(e),
        }
    }
    match to.flush() {
        Err(e) if !is_later(&e) => Err(e),
        _ => Ok(()),
    }
}

fn is_later(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::TimedOut)
}
