//! The bytes of a transfer, with what is to go wrong on their way.

use super::Transfer;
use crate::fault::Fault;
use crate::http::Connection;
use std::io::{self, Read, Write};

/// The body of a request: as long as the client said, or until it closes.
pub(super) struct Incoming<'a> {
    connection: &'a mut Connection,
    left: u64,
    trouble: Trouble<'a>,
}

/// The body of a reply.
pub(super) struct Outgoing<'a> {
    connection: &'a mut Connection,
    trouble: Trouble<'a>,
}

/// What happens after so many bytes.
struct Trouble<'a> {
    transfer: &'a Transfer<'a>,
    seen: u64,
}

impl Trouble<'_> {
    /// After how many bytes something happens.
    fn after(&self) -> Option<u64> {
        match self.transfer.fault {
            Some(Fault::Cut(after) | Fault::SessionLost(after) | Fault::ErrorInBody(after)) => Some(after),
            _ => None,
        }
    }

    /// Lets it happen if it is time; errs where the transfer ends by it. Gives how many bytes may pass then.
    fn strike(&self, connection: &Connection) -> io::Result<usize> {
        let Some(after) = self.after() else { return Ok(usize::MAX) };
        if self.seen < after {
            return Ok(usize::try_from(after - self.seen).unwrap_or(usize::MAX));
        }
        match self.transfer.fault {
            Some(Fault::Cut(_)) => {
                connection.cut();
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            }
            Some(Fault::SessionLost(_)) => {
                self.transfer.pool.db().remove("session", &self.transfer.session);
                Ok(usize::MAX)
            }
            _ => Err(io::Error::other("as was asked for")),
        }
    }
}

impl<'a> Incoming<'a> {
    pub fn new(connection: &'a mut Connection, length: Option<u64>, transfer: &'a Transfer) -> Self {
        Self { connection, left: length.unwrap_or(u64::MAX), trouble: Trouble { transfer, seen: 0 } }
    }
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.trouble.strike(self.connection)?;
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX)).min(room);
        if most == 0 {
            return Ok(0); // asking the socket for nothing would wait for something
        }
        let read = self.connection.read(&mut buffer[..most])?;
        self.left -= read as u64;
        self.trouble.seen += read as u64;
        Ok(read)
    }
}

impl<'a> Outgoing<'a> {
    pub fn new(connection: &'a mut Connection, transfer: &'a Transfer) -> Self {
        Self { connection, trouble: Trouble { transfer, seen: 0 } }
    }
}

impl Write for Outgoing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = bytes.len().min(self.trouble.strike(self.connection)?);
        let written = self.connection.write(&bytes[..most])?;
        self.trouble.seen += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.connection.flush()
    }
}
