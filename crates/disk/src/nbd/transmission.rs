//! Requests and replies, several at a time: one slow block does not hold up the others.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::Export;
use super::ahead::Streams;
use super::handshake::Terms;
use super::wire::*;
use crate::{Content, Error, Result};

/// Requests of one client worked on at once, and waiting.
const WORKERS: usize = 4;
const QUEUE: usize = 16;
/// Data of one chunk; what a worker holds in memory.
const PIECE: u64 = 1 << 20;
/// Descriptors in one block status reply.
const MAX_DESCRIPTORS: usize = 4096;

/// Serves one client until it leaves, breaks the protocol or is hung up on.
pub(super) fn serve(stream: &UnixStream, export: &Export, terms: Terms) -> io::Result<()> {
    let (queue, requests) = sync_channel(QUEUE);
    let requests = Mutex::new(requests);
    let client = Client { export, terms, stream: Mutex::new(stream), streams: Streams::default() };
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| client.work(&requests));
        }
        let received = receive(stream, &client, |request| queue.send(request).is_ok());
        drop(queue);
        received
    })
}

/// Reads requests and passes on those that need the disk.
fn receive(
    mut stream: &UnixStream,
    client: &Client,
    mut pass: impl FnMut(Request) -> bool,
) -> io::Result<()> {
    let mut bytes = [0; REQUEST_BYTES];
    loop {
        stream.read_exact(&mut bytes)?;
        let Some(request) = Request::parse(&bytes) else { return Ok(()) };
        match request.command {
            Command::Disconnect => return Ok(()),
            Command::Write => {
                // Its data must be skipped to find the next request.
                io::copy(&mut stream.take(u64::from(request.length)), &mut io::sink())?;
                client.refuse(request.cookie, EPERM, "the disk is read-only")?;
            }
            Command::Modify => client.refuse(request.cookie, EPERM, "the disk is read-only")?,
            Command::Other => client.refuse(request.cookie, EINVAL, "no such command")?,
            Command::Flush => client.done(request.cookie)?,
            Command::Read | Command::BlockStatus => {
                if !pass(request) {
                    return Ok(());
                }
            }
        }
    }
}

struct Client<'a> {
    export: &'a Export,
    terms: Terms,
    stream: Mutex<&'a UnixStream>,
    streams: Streams,
}

impl Client<'_> {
    /// Answers requests until there are no more, or the client no longer listens.
    fn work(&self, requests: &Mutex<Receiver<Request>>) {
        let mut buffer = Vec::new();
        loop {
            let next = requests.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(request) = next else { return };
            let answered = match request.command {
                Command::BlockStatus => self.block_status(&request),
                _ => self.read(&request, &mut buffer),
            };
            if answered.is_err() {
                let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = stream.shutdown(std::net::Shutdown::Both); // wakes the receiver; may be shut already
                return;
            }
        }
    }

    /// One message, whole.
    fn send(&self, head: &[u8], data: &[u8]) -> io::Result<()> {
        let turn = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stream: &UnixStream = &turn;
        stream.write_all(head)?;
        stream.write_all(data)
    }

    fn done(&self, cookie: u64) -> io::Result<()> {
        let reply = match self.terms.structured {
            true => chunk(true, CHUNK_NONE, cookie, 0),
            false => simple(0, cookie),
        };
        self.send(&reply, &[])
    }

    fn refuse(&self, cookie: u64, error: u32, why: &str) -> io::Result<()> {
        if !self.terms.structured {
            return self.send(&simple(error, cookie), &[]);
        }
        let why = &why.as_bytes()[..why.len().min(4096)];
        let mut data = error.to_be_bytes().to_vec();
        data.extend((why.len() as u16).to_be_bytes());
        data.extend(why);
        self.send(&chunk(true, CHUNK_ERROR, cookie, data.len() as u32), &data)
    }

    fn failed(&self, cookie: u64, error: &Error) -> io::Result<()> {
        self.refuse(cookie, EIO, &error.to_string())
    }

    /// Refuses what lies outside the disk; `Ok(true)` when the request is fit to be answered.
    fn fits(&self, request: &Request, most: u32) -> io::Result<bool> {
        let size = self.export.blocks.disk().size();
        let end = request.offset.checked_add(u64::from(request.length));
        if request.length == 0 || end.is_none_or(|end| end > size) {
            self.refuse(request.cookie, EINVAL, "outside the disk")?;
        } else if request.length > most {
            self.refuse(request.cookie, EOVERFLOW, "more than may be asked for at once")?;
        } else {
            return Ok(true);
        }
        Ok(false)
    }

    fn read(&self, request: &Request, buffer: &mut Vec<u8>) -> io::Result<()> {
        if !self.fits(request, MAX_READ)? {
            return Ok(());
        }
        let (offset, length) = (request.offset, u64::from(request.length));
        if let Some(next) = self.streams.follow(offset, length) {
            self.export.blocks.ask_ahead(next);
        }
        if !self.terms.structured || request.flags & FLAG_DF != 0 {
            return self.read_whole(request, buffer);
        }
        let (mut at, end) = (offset, offset + length);
        while at < end {
            let (content, length) = match self.piece(at, end, buffer) {
                Ok(piece) => piece,
                Err(e) => return self.failed(request.cookie, &e),
            };
            let last = at + length == end;
            match content {
                Content::Data => {
                    let mut head = chunk(last, CHUNK_DATA, request.cookie, 8 + length as u32);
                    head.extend(at.to_be_bytes());
                    self.send(&head, buffer)?;
                }
                Content::Zero | Content::Hole => {
                    let mut head = chunk(last, CHUNK_HOLE, request.cookie, 12);
                    head.extend(at.to_be_bytes());
                    head.extend((length as u32).to_be_bytes());
                    self.send(&head, &[])?;
                }
            }
            at += length;
        }
        Ok(())
    }

    /// The next chunk of `at..end`: data (read into `buffer`) or a hole.
    fn piece(&self, at: u64, end: u64, buffer: &mut Vec<u8>) -> Result<(Content, u64)> {
        let extent = self.export.blocks.disk().extent_at(at)?;
        let mut length = extent.length.min(end - at);
        if extent.content == Content::Data {
            length = length.min(PIECE);
            buffer.resize(length as usize, 0);
            self.export.blocks.read_at(buffer, at)?;
        }
        Ok((extent.content, length))
    }

    /// One reply with all the data: the client can take no chunks, or asked for none.
    fn read_whole(&self, request: &Request, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.resize(request.length as usize, 0);
        let read = self.export.blocks.read_at(buffer, request.offset);
        let sent = match read {
            Err(e) => self.failed(request.cookie, &e),
            Ok(()) if self.terms.structured => {
                let mut head = chunk(true, CHUNK_DATA, request.cookie, 8 + request.length);
                head.extend(request.offset.to_be_bytes());
                self.send(&head, buffer)
            }
            Ok(()) => self.send(&simple(0, request.cookie), buffer),
        };
        buffer.truncate(PIECE as usize);
        buffer.shrink_to(PIECE as usize);
        sent
    }

    fn block_status(&self, request: &Request) -> io::Result<()> {
        if !self.terms.allocation {
            return self.refuse(request.cookie, EINVAL, "no metadata context was agreed on");
        }
        if !self.fits(request, u32::MAX)? {
            return Ok(());
        }
        let most = if request.flags & FLAG_REQ_ONE != 0 { 1 } else { MAX_DESCRIPTORS };
        match self.descriptors(request.offset, request.length, most) {
            Err(e) => self.failed(request.cookie, &e),
            Ok(descriptors) => {
                let mut data = ALLOCATION_ID.to_be_bytes().to_vec();
                for (length, state) in descriptors {
                    data.extend(length.to_be_bytes());
                    data.extend(state.to_be_bytes());
                }
                self.send(&chunk(true, CHUNK_BLOCK_STATUS, request.cookie, data.len() as u32), &data)
            }
        }
    }

    /// Lengths and states from `offset` on, neighbours of one state joined.
    fn descriptors(&self, offset: u64, length: u32, most: usize) -> Result<Vec<(u32, u32)>> {
        let end = offset + u64::from(length);
        let mut found: Vec<(u32, u32)> = Vec::new();
        let mut at = offset;
        while at < end {
            let extent = self.export.blocks.disk().extent_at(at)?;
            let length = extent.length.min(end - at) as u32; // `end - at` is no more than was asked for
            let state = match extent.content {
                Content::Data => 0,
                Content::Zero => STATE_ZERO,
                Content::Hole => STATE_ZERO | STATE_HOLE,
            };
            let full = found.len() == most;
            match found.last_mut() {
                Some((joined, same)) if *same == state => *joined += length,
                _ if full => break,
                _ => found.push((length, state)),
            }
            at += u64::from(length);
        }
        Ok(found)
    }
}
