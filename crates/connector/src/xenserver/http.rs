//! HTTP/1.1 as XenServer speaks it: answers with a length, or up to the end of the connection.
//!
//! Its own client, not a library's, since it must do what those do not: read an answer that comes before the body was
//! sent, and go on with the bare connection after `CONNECT`.

use std::io::{self, Read, Write};

use super::address::Address;
use super::stream::Stream;
use super::trust::Trust;
use crate::{Error, ErrorKind, Result};

/// Longest head of an answer.
const MAX_HEAD: usize = 64 << 10;

/// A connection over which requests go.
pub(super) struct Connection {
    stream: Stream,
    address: Address,
    /// Read, and not yet taken.
    ahead: Vec<u8>,
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    /// `200`.
    pub status: u16,
    /// `OK`.
    pub reason: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// An answer with one header, for tests.
    #[cfg(test)]
    pub fn with(name: &str, value: &str) -> Self {
        Self { status: 302, reason: "Found".into(), headers: vec![(name.into(), value.into())] }
    }

    /// Bytes of the body, where told.
    fn length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// Whether the connection may be used again.
    pub fn keeps(&self) -> bool {
        self.length().is_some() && !self.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"))
    }
}

impl Connection {
    /// Connects.
    pub fn open(address: &Address, trust: &Trust) -> Result<Self> {
        Ok(Self { stream: Stream::connect(address, trust)?, address: address.clone(), ahead: Vec::new() })
    }

    /// Whom it is to.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The connection below.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Whether the host has closed it, or sent what nobody asked for.
    pub fn is_stale(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut ready = [PollFd::new(self.stream.tcp(), PollFlags::IN)];
        !self.ahead.is_empty() || poll(&mut ready, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
    }

    /// Sends the head of a request; a body of `length` bytes follows by [`Write`].
    pub fn ask(&mut self, method: &str, target: &str, length: Option<u64>) -> io::Result<()> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.address.authority());
        head.push_str(concat!("User-Agent: shale/", env!("CARGO_PKG_VERSION"), "\r\n"));
        if let Some(length) = length {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        if target == super::rpc::PATH {
            head.push_str("Content-Type: application/json\r\n");
        }
        head.push_str("\r\n");
        self.stream.write_all(head.as_bytes())?;
        self.stream.flush()
    }

    /// Reads the head of the answer.
    pub fn answer(&mut self) -> io::Result<Head> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut parsed = httparse::Response::new(&mut headers);
            if let httparse::Status::Complete(length) =
                parsed.parse(&self.ahead).map_err(|e| bad(&e.to_string()))?
            {
                let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                let head = Head {
                    status: parsed.code.unwrap_or(0),
                    reason: parsed.reason.unwrap_or_default().to_owned(),
                    headers: parsed.headers.iter().map(|h| (h.name.to_owned(), text(h.value))).collect(),
                };
                self.ahead.drain(..length);
                if head.header("transfer-encoding").is_some() {
                    return Err(bad("the answer is in a transfer encoding, which no XenServer uses"));
                }
                return Ok(head);
            }
            if self.ahead.len() > MAX_HEAD {
                return Err(bad("the head of the answer does not end"));
            }
            let mut buf = [0; 4096];
            match self.stream.read(&mut buf)? {
                0 => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the host hung up without an answer",
                    ));
                }
                read => self.ahead.extend_from_slice(&buf[..read]),
            }
        }
    }

    /// Reads the body that belongs to `head`, of at most `limit` bytes.
    pub fn body(&mut self, head: &Head, limit: u64) -> io::Result<Vec<u8>> {
        let too_long =
            || io::Error::new(io::ErrorKind::InvalidData, format!("the answer is longer than {limit} bytes"));
        let mut body = Vec::new();
        match head.length() {
            Some(length) if length > limit => return Err(too_long()),
            Some(length) => {
                self.take(length).read_to_end(&mut body)?;
                if body.len() as u64 != length {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer broke off"));
                }
            }
            None => {
                self.take(limit + 1).read_to_end(&mut body)?;
                if body.len() as u64 > limit {
                    return Err(too_long());
                }
            }
        }
        Ok(body)
    }

    /// The bare connection after `CONNECT`, and what came over it already.
    pub fn into_parts(self) -> (Stream, Vec<u8>) {
        (self.stream, self.ahead)
    }
}

impl Read for Connection {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            return self.stream.read(buf);
        }
        let length = self.ahead.len().min(buf.len());
        buf[..length].copy_from_slice(&self.ahead[..length]);
        self.ahead.drain(..length);
        Ok(length)
    }
}

impl Write for Connection {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.write(buf)
    }
    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(bufs)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// An error on the way to or from a host.
pub(super) fn broken(address: &Address, e: io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::InvalidData => {
            let what = format!("the host '{}' sent an answer that is not understood", address.host);
            Error::new(ErrorKind::Io, what).with_source(e)
        }
        _ => Error::io(format!("the connection to the host '{}' broke", address.host), e),
    }
}

/// `path?a=b&c=d` with the values encoded.
pub(super) fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let mut out = path.to_owned();
    for (index, (name, value)) in pairs.iter().enumerate() {
        out.push(if index == 0 && !path.contains('?') { '?' } else { '&' });
        out.push_str(&format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What becomes of an answer: the head and the body of at most 100 bytes.
    fn read(answer: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut host, _) = listener.accept().unwrap();
                // It may be hung up on before it has said all.
                let _ = host.write_all(answer);
                let _ = host.shutdown(std::net::Shutdown::Write);
                let _ = io::copy(&mut host, &mut io::sink());
            });
            let mut connection = Connection::open(&address, &Trust::new(&[]).unwrap()).unwrap();
            connection.ask("GET", "/", None).unwrap();
            let head = connection.answer()?;
            let body = connection.body(&head, 100)?;
            Ok((head.status, body))
        })
    }

    #[test]
    fn a_body_ends_by_its_length_or_with_the_connection() {
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap(), (200, b"hi".to_vec()));
        assert_eq!(read(b"HTTP/1.0 404 Not Found\r\n\r\nno").unwrap(), (404, b"no".to_vec()));
    }

    #[test]
    fn answers_that_are_short_endless_or_nonsense_are_errors() {
        let endless = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"x: y\r\n".repeat(20_000)].concat();
        let long = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 101]].concat();
        let table: [&[u8]; 8] = [
            b"",
            b"HTTP/1.1 200",
            b"SSH-2.0-OpenSSH\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
            b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\nhi",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &endless,
            &long,
        ];
        for answer in table {
            let shown = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
            assert!(read(answer).is_err(), "{shown}");
        }
    }

    #[test]
    fn values_in_a_query_are_encoded() {
        let query = with_query("/console?uuid=1", &[("session_id", "OpaqueRef:1&x")]);
        assert_eq!(query, "/console?uuid=1&session_id=OpaqueRef%3A1%26x");
        assert_eq!(with_query("/import_raw_vdi", &[("vdi", "a")]), "/import_raw_vdi?vdi=a");
    }
}
