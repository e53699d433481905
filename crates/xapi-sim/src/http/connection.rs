//! One connection, with or without TLS.

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Longest head of a request, in bytes.
const LONGEST_HEAD: usize = 64 << 10;

trait Stream: Read + Write + Send {
    /// Says that nothing more will come.
    fn say_goodbye(&mut self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn say_goodbye(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn say_goodbye(&mut self) -> io::Result<()> {
        self.conn.send_close_notify();
        self.flush()
    }
}

/// A connection: what was read too far stays for who reads next.
pub struct Connection {
    stream: Box<dyn Stream>,
    socket: TcpStream,
    ahead: Vec<u8>,
    secure: bool,
}

impl Connection {
    /// Takes over an accepted socket. The TLS handshake happens with the first byte that is read.
    pub fn new(socket: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let other = socket.try_clone()?;
        let secure = tls.is_some();
        let stream: Box<dyn Stream> = match tls {
            Some(tls) => {
                let session = ServerConnection::new(tls).map_err(io::Error::other)?;
                Box::new(StreamOwned::new(session, other))
            }
            None => Box::new(other),
        };
        Ok(Self { stream, socket, ahead: Vec::new(), secure })
    }

    /// Whether it is HTTPS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// How long a read or write may wait; `None` is forever.
    pub fn set_patience(&self, patience: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(patience)?;
        self.socket.set_write_timeout(patience)
    }

    /// For who carries bytes both ways from now on: the socket to wait on, and what was read too far.
    pub fn hand_over(&mut self) -> io::Result<(TcpStream, Vec<u8>)> {
        Ok((self.socket.try_clone()?, std::mem::take(&mut self.ahead)))
    }

    /// Ends it in good order, once all was said.
    pub fn finish(&mut self) {
        let _ = self.stream.say_goodbye().and_then(|()| self.socket.shutdown(Shutdown::Write)); // it may be gone already
    }

    /// Ends it at once, for both sides.
    pub fn cut(&self) {
        let _ = self.socket.shutdown(Shutdown::Both); // it may be gone already
    }

    /// Reads up to the blank line after a request's head. Nothing is left when the client hung up instead.
    pub fn read_head(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let rest = self.ahead.split_off(end + 4);
                return Ok(Some(std::mem::replace(&mut self.ahead, rest)));
            }
            if self.ahead.len() > LONGEST_HEAD {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the head of the request is too long",
                ));
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece)? {
                0 => return Ok(None),
                read => self.ahead.extend_from_slice(&piece[..read]),
            }
        }
    }

    /// Reads a body of known length.
    pub fn read_body(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.read_exact(&mut body)?;
        Ok(body)
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            return match self.stream.read(buffer) {
                // A client that closes without TLS's goodbye has closed all the same.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                read => read,
            };
        }
        let read = self.ahead.len().min(buffer.len());
        buffer[..read].copy_from_slice(&self.ahead[..read]);
        self.ahead.drain(..read);
        Ok(read)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
