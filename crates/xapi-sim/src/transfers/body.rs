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
    /// Counts bytes; errs where the fault says the connection ends.
    fn pass(&mut self, bytes: usize, connection: &Connection) -> io::Result<()> {
        self.seen = self.seen.saturating_add(bytes as u64);
        match &self.transfer.fault {
            Some(Fault::Cut(after)) if self.seen >= *after => {
                connection.cut();
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            }
            Some(Fault::SessionLost(after)) if self.seen >= *after => {
                self.transfer.pool.db().remove("session", &self.transfer.session);
                Ok(())
            }
            Some(Fault::ErrorInBody(after)) if self.seen >= *after => {
                Err(io::Error::other("as was asked for"))
            }
            _ => Ok(()),
        }
    }

    /// How many bytes may pass before something happens.
    fn room(&self) -> usize {
        let after = match &self.transfer.fault {
            Some(Fault::Cut(after) | Fault::SessionLost(after) | Fault::ErrorInBody(after)) => *after,
            _ => return usize::MAX,
        };
        usize::try_from(after.saturating_sub(self.seen)).unwrap_or(usize::MAX).max(1)
    }
}

impl<'a> Incoming<'a> {
    pub fn new(connection: &'a mut Connection, length: Option<u64>, transfer: &'a Transfer) -> Self {
        Self { connection, left: length.unwrap_or(u64::MAX), trouble: Trouble { transfer, seen: 0 } }
    }
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most =
            buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX)).min(self.trouble.room());
        if most == 0 {
            return Ok(0); // asking the socket for nothing would wait for something
        }
        let read = self.connection.read(&mut buffer[..most])?;
        self.left -= read as u64;
        self.trouble.pass(read, self.connection)?;
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
        let most = bytes.len().min(self.trouble.room());
        let written = self.connection.write(&bytes[..most])?;
        self.trouble.pass(written, self.connection)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.connection.flush()
    }
}
