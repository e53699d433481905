//! The NBD client, judged by other people's servers.

mod judge;

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use judge::{raw_sample, text};
use shale_disk::ErrorKind;
use shale_disk::nbd::client::{Client, Handshake};

const SIZE: u64 = (40 << 20) + 512;

/// A server's process, ended with the test.
struct Server(Child);

impl Server {
    fn start(program: &str, args: &[&str]) -> Self {
        let started = Command::new(program).args(args).stdin(Stdio::null()).spawn();
        Self(started.unwrap_or_else(|e| panic!("cannot run {program}: {e}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended
        let _ = self.0.wait();
    }
}

/// Connects as soon as the server listens.
fn connected<S>(server: &mut Server, connect: impl Fn() -> std::io::Result<S>) -> S {
    loop {
        if let Ok(stream) = connect() {
            return stream;
        }
        assert!(server.0.try_wait().unwrap().is_none(), "the server ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Reads the whole disk by both ways of reading and compares it with the file.
fn assert_reads<S: std::io::Read + Write>(mut client: Client<S>, raw: &Path) {
    let expected = std::fs::read(raw).unwrap();
    assert_eq!(client.size(), SIZE);
    let mut whole = vec![1; SIZE as usize];
    client.read(&mut whole, 0).unwrap();
    assert!(whole == expected);
    let ranges: Vec<_> = (0..200).map(|i| i * 200_704..i * 200_704 + 512 * (i + 1)).collect();
    let mut read = 0;
    let take = |at: u64, bytes: &[u8]| {
        assert!(bytes == &expected[at as usize..at as usize + bytes.len()], "at {at}");
        read += bytes.len() as u64;
        Ok(())
    };
    client.read_many(ranges.clone(), take).unwrap();
    assert_eq!(read, ranges.iter().map(|r| r.end - r.start).sum());
    client.leave();
}

fn sample(folder: &Path) -> std::path::PathBuf {
    raw_sample(folder, "disk.raw", SIZE, &[(0, 3 << 20), (20 << 20, 5_000_192), (SIZE - 512, 512)])
}

#[test]
fn qemu_nbd_is_read_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, socket) = (sample(folder.path()), folder.path().join("s"));
    let args = ["--read-only", "--persistent", "-f", "raw", "-x", "disk", "-k", text(&socket), text(&raw)];
    let mut server = Server::start("qemu-nbd", &args);
    let connect = || UnixStream::connect(&socket);
    let client = Handshake::begin(connected(&mut server, connect)).unwrap().open("disk").unwrap();
    assert_reads(client, &raw);
    let error = Handshake::begin(connect().unwrap()).unwrap().open("other").map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("none of that name"), "{error}");
}

#[test]
fn nbdkit_is_read_over_tcp_and_with_a_delay_as_far_away() {
    let folder = tempfile::tempdir().unwrap();
    let raw = sample(folder.path());
    // The server is handed the socket: a port that is free now may be another's in a moment, or our own end of a connection.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let run = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec nbdkit --foreground --readonly --filter=delay file \"$1\" rdelay=5ms";
    let mut shell = Command::new("sh");
    shell.args(["-c", run, "sh", text(&raw)]).stdin(OwnedFd::from(listener));
    let _server = Server(shell.spawn().unwrap());
    let stream = TcpStream::connect(address).unwrap();
    assert_reads(Handshake::begin(stream).unwrap().open("").unwrap(), &raw);
}

#[test]
fn a_server_that_ends_in_mid_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, socket) = (sample(folder.path()), folder.path().join("s"));
    let mut server = Server::start("nbdkit", &["--foreground", "--unix", text(&socket), "file", text(&raw)]);
    let stream = connected(&mut server, || UnixStream::connect(&socket));
    let mut client = Handshake::begin(stream).unwrap().open("").unwrap();
    client.read(&mut [0; 4096], 0).unwrap();
    drop(server);
    assert_eq!(client.read(&mut [0; 4096], 0).unwrap_err().kind(), ErrorKind::Io);
}
