//! A console: bytes between whoever watches a machine and the socket where QEMU serves its screen.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};

/// Bytes carried at once. More than a TLS connection holds back between two reads.
const PIECE: usize = 64 << 10;

/// Carries bytes both ways until either side ends. `viewer` may be encrypted, so that reading it is not the same as
/// reading its socket: `socket` tells when there is something to read. A read of `viewer` must then hand out all that it
/// holds, up to 64 KiB (as rustls does). `early` came from the viewer before, with the request.
pub fn bridge<V: Read + Write>(
    viewer: &mut V,
    socket: &impl AsFd,
    early: &[u8],
    mut screen: UnixStream,
) -> io::Result<()> {
    screen.write_all(early)?;
    let mut buffer = vec![0; PIECE];
    loop {
        let mut ready = [PollFd::new(socket, PollFlags::IN), PollFd::new(&screen, PollFlags::IN)];
        match poll(&mut ready, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        let [from_viewer, from_screen] = ready.map(|fd| !fd.revents().is_empty());
        let carried = (!from_viewer || carry(viewer, &mut screen, &mut buffer)?)
            && (!from_screen || carry(&mut screen, viewer, &mut buffer)?);
        if !carried {
            let _ = screen.shutdown(Shutdown::Both); // it may be gone already
            return Ok(());
        }
    }
}

/// Carries what can be read; `false` at the end.
fn carry(from: &mut impl Read, to: &mut impl Write, buffer: &mut [u8]) -> io::Result<bool> {
    let length = match from.read(buffer) {
        Ok(length) => length,
        // Half a TLS record, or nothing after all.
        Err(e) if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&e.kind()) => return Ok(true),
        // How a viewer leaves that does not say goodbye.
        Err(e) if [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&e.kind()) => {
            return Ok(false);
        }
        Err(e) => return Err(e),
    };
    to.write_all(&buffer[..length])?;
    to.flush()?;
    Ok(length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    #[test]
    fn bytes_go_both_ways_until_one_side_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut viewer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut served, _) = listener.accept().unwrap();
        let (screen, mut qemu) = UnixStream::pair().unwrap();
        let bridged = thread::spawn(move || {
            let socket = served.try_clone().unwrap();
            bridge(&mut served, &socket, b"early ", screen)
        });
        // More than a buffer, both ways at once.
        let long: Vec<u8> = (0..300_000u32).map(|i| (i / 251) as u8).collect();
        thread::scope(|scope| {
            scope.spawn(|| qemu.try_clone().unwrap().write_all(&long).unwrap());
            viewer.write_all(b"late").unwrap();
            let mut seen = vec![0; long.len()];
            viewer.read_exact(&mut seen).unwrap();
            assert!(seen == long);
        });
        let mut typed = [0; 10];
        qemu.read_exact(&mut typed).unwrap();
        assert_eq!(&typed, b"early late");
        drop(viewer);
        bridged.join().unwrap().unwrap();
        assert_eq!(qemu.read(&mut [0]).unwrap(), 0, "the screen's side is closed");
    }
}
