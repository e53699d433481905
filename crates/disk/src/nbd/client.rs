//! Reading a disk from an NBD server, over any connection. Source: NetworkBlockDevice/nbd, `doc/proto.md`.
//!
//! ```text
//!   Handshake::begin ──▶ Handshake<S> ──open──▶ Client<S> ─read, read_many─▶ bytes
//!                           │    ▲
//!                           └────┘ start_tls: the caller makes an encrypted connection of the plain one
//! ```
//!
//! Fixed newstyle and simple replies, which every server of today has. Requests go out several at a time, so that the
//! way to the server and back is not waited for again and again. The server is a stranger: what it says is bounded and
//! checked. Time limits are the connection's, so the caller's.

use std::io::{ErrorKind as Io, Read, Write};
use std::ops::Range;

use super::wire::*;
use crate::error::{corrupt, unsupported};
use crate::field::{be16, be32, be64};
use crate::{Error, Result, check_range};

/// Longest name of an export, in bytes, as the protocol has it.
const MAX_NAME: usize = 4096;
/// Longest reply to an option that is taken, and most replies to one option.
const MAX_REPLY: u32 = 64 << 10;
const MAX_REPLIES: usize = 64;
/// Bytes of one request, and requests under way at once.
const MOST: u64 = 1 << 20;
const WINDOW: usize = 8;

/// A connection on which no export is chosen yet.
#[derive(Debug)]
pub struct Handshake<S> {
    stream: S,
    /// Whether the answer to EXPORT_NAME ends in 124 bytes that mean nothing.
    zeroes: bool,
}

impl<S: Read + Write> Handshake<S> {
    /// Takes the server's greeting and answers it.
    pub fn begin(mut stream: S) -> Result<Self> {
        let mut hello = [0; 18];
        receive(&mut stream, &mut hello)?;
        if be64(&hello, 0) != HELLO {
            return Err(corrupt("what answers there is no NBD server"));
        }
        let flags = be16(&hello, 16);
        if be64(&hello, 8) != I_HAVE_OPT || flags & FIXED_NEWSTYLE == 0 {
            return Err(unsupported("the NBD server is too old: it does not speak fixed newstyle"));
        }
        let ours = flags & (FIXED_NEWSTYLE | NO_ZEROES);
        send(&mut stream, &u32::from(ours).to_be_bytes())?;
        Ok(Self { stream, zeroes: ours & NO_ZEROES == 0 })
    }

    /// Asks for TLS; `encrypt` is given the connection when the server agrees, and shakes hands on it.
    pub fn start_tls<T>(mut self, encrypt: impl FnOnce(S) -> Result<T>) -> Result<Handshake<T>> {
        self.ask(OPT_STARTTLS, &[])?;
        match self.answer(OPT_STARTTLS)? {
            (REP_ACK, _) => Ok(Handshake { stream: encrypt(self.stream)?, zeroes: self.zeroes }),
            (reply, why) => Err(refused("to encrypt the connection", reply, &why)),
        }
    }

    /// Chooses an export.
    pub fn open(mut self, export: &str) -> Result<Client<S>> {
        if export.len() > MAX_NAME {
            return Err(unsupported(format!("an NBD export's name cannot have {} bytes", export.len())));
        }
        let name = [&(export.len() as u32).to_be_bytes()[..], export.as_bytes()].concat();
        self.ask(OPT_GO, &[&name[..], &[0, 0]].concat())?;
        let mut size = None;
        for _ in 0..MAX_REPLIES {
            match self.answer(OPT_GO)? {
                (REP_INFO, data) if data.len() >= 12 && be16(&data, 0) == INFO_EXPORT => {
                    size = Some(be64(&data, 2));
                }
                (REP_INFO, _) => {}
                (REP_ACK, _) => {
                    let size = size.ok_or_else(|| corrupt("the NBD server does not tell the disk's size"))?;
                    return Ok(Client { stream: self.stream, size, next_cookie: 0 });
                }
                (REP_ERR_UNSUP, _) => return self.open_by_name(export),
                (reply, why) => return Err(refused("the disk", reply, &why)),
            }
        }
        Err(corrupt("the NBD server never comes to the point"))
    }

    /// As older servers have it. One that does not know the export hangs up.
    fn open_by_name(mut self, export: &str) -> Result<Client<S>> {
        self.ask(OPT_EXPORT_NAME, export.as_bytes())?;
        let mut answer = [0; 134];
        let length = if self.zeroes { 134 } else { 10 };
        match receive(&mut self.stream, &mut answer[..length]) {
            Ok(()) => Ok(Client { stream: self.stream, size: be64(&answer, 0), next_cookie: 0 }),
            Err(e) => {
                Err(unsupported("the NBD server hung up when it was asked for the disk").with_source(e))
            }
        }
    }

    fn ask(&mut self, option: u32, data: &[u8]) -> Result<()> {
        let mut request = I_HAVE_OPT.to_be_bytes().to_vec();
        request.extend(option.to_be_bytes());
        request.extend((data.len() as u32).to_be_bytes());
        request.extend(data);
        send(&mut self.stream, &request)
    }

    /// The next reply to `option`: its kind and data.
    fn answer(&mut self, option: u32) -> Result<(u32, Vec<u8>)> {
        let mut head = [0; 20];
        receive(&mut self.stream, &mut head)?;
        let length = be32(&head, 16);
        if be64(&head, 0) != OPTION_REPLY || be32(&head, 8) != option || length > MAX_REPLY {
            return Err(corrupt("the NBD server's answer makes no sense"));
        }
        let mut data = vec![0; length as usize];
        receive(&mut self.stream, &mut data)?;
        Ok((be32(&head, 12), data))
    }
}

/// What a server does not give, and why.
fn refused(what: &str, reply: u32, text: &[u8]) -> Error {
    let why = match reply {
        REP_ERR_UNSUP => "it cannot",
        REP_ERR_POLICY => "its settings forbid it",
        REP_ERR_TLS_REQD => "it demands encryption",
        REP_ERR_UNKNOWN => "it has none of that name",
        _ => "it answers with an error",
    };
    let mut sentence = format!("the NBD server refuses {what}: {why} ({reply:#x})");
    if !text.is_empty() {
        // Shown to people: only what can be shown, and not too much of it.
        let text = String::from_utf8_lossy(text);
        sentence.push_str("; it says: ");
        sentence.extend(text.chars().filter(|c| !c.is_control()).take(200));
    }
    unsupported(sentence)
}

/// A disk that a server gives.
#[derive(Debug)]
pub struct Client<S> {
    stream: S,
    size: u64,
    next_cookie: u64,
}

impl<S: Read + Write> Client<S> {
    /// Virtual size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills `buf` from `offset`. After an error the connection is of no more use.
    pub fn read(&mut self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.size, offset, buf.len() as u64)?;
        self.read_many(std::iter::once(offset..offset + buf.len() as u64), |at, bytes| {
            let start = (at - offset) as usize;
            buf[start..start + bytes.len()].copy_from_slice(bytes);
            Ok(())
        })
    }

    /// Reads ranges of the disk, several requests at a time. `take` is given where, and the bytes there: pieces of up to
    /// 1 MiB, in the order in which the server sends them. After an error the connection is of no more use.
    pub fn read_many(
        &mut self,
        ranges: impl IntoIterator<Item = Range<u64>>,
        mut take: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut requests = ranges.into_iter().flat_map(pieces);
        let mut waiting: Vec<(u64, Range<u64>)> = Vec::with_capacity(WINDOW);
        let mut buffer = Vec::new();
        loop {
            while waiting.len() < WINDOW {
                let Some(range) = requests.next() else { break };
                check_range(self.size, range.start, range.end - range.start)?;
                let cookie = self.request(&range)?;
                waiting.push((cookie, range));
            }
            if waiting.is_empty() {
                return Ok(());
            }
            let cookie = self.reply()?;
            let Some(met) = waiting.iter().position(|(known, _)| *known == cookie) else {
                return Err(corrupt("the NBD server answers what was not asked"));
            };
            let (_, range) = waiting.swap_remove(met);
            buffer.resize((range.end - range.start) as usize, 0);
            receive(&mut self.stream, &mut buffer)?;
            take(range.start, &buffer)?;
        }
    }

    /// Says goodbye and gives the connection back.
    pub fn leave(mut self) -> S {
        let _ = send(&mut self.stream, &head(2, 0, &(0..0))); // it may have hung up
        self.stream
    }

    fn request(&mut self, range: &Range<u64>) -> Result<u64> {
        let cookie = self.next_cookie;
        self.next_cookie += 1;
        send(&mut self.stream, &head(0, cookie, range))?;
        Ok(cookie)
    }

    /// The head of the next reply: which request it is to. Its data follow.
    fn reply(&mut self) -> Result<u64> {
        let mut head = [0; 16];
        receive(&mut self.stream, &mut head)?;
        match (be32(&head, 0), be32(&head, 4)) {
            (SIMPLE_REPLY, 0) => Ok(be64(&head, 8)),
            (SIMPLE_REPLY, error) => {
                let what = format!("the NBD server could not read the disk (error {error})");
                Err(Error::new(crate::ErrorKind::Io, what))
            }
            _ => Err(corrupt("the NBD server's reply makes no sense")),
        }
    }
}

/// A range as requests that are not too long. Cuts lie at multiples of their length.
fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let stop = (at / MOST + 1).saturating_mul(MOST).min(range.end);
        let piece = at..stop;
        at = stop;
        (!piece.is_empty()).then_some(piece)
    })
}

fn head(command: u16, cookie: u64, range: &Range<u64>) -> Vec<u8> {
    let mut b = Vec::with_capacity(REQUEST_BYTES);
    b.extend(REQUEST.to_be_bytes());
    b.extend(0u16.to_be_bytes()); // flags
    b.extend(command.to_be_bytes());
    b.extend(cookie.to_be_bytes());
    b.extend(range.start.to_be_bytes());
    b.extend(((range.end - range.start) as u32).to_be_bytes()); // a piece, so not more than MOST
    b
}

fn send(stream: &mut impl Write, bytes: &[u8]) -> Result<()> {
    let sent = stream.write_all(bytes).and_then(|()| stream.flush());
    sent.map_err(|e| Error::io("cannot send to the NBD server", e))
}

fn receive(stream: &mut impl Read, bytes: &mut [u8]) -> Result<()> {
    stream.read_exact(bytes).map_err(|e| match e.kind() {
        Io::UnexpectedEof => Error::io("the NBD server hung up", e),
        _ => Error::io("cannot read from the NBD server", e),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    /// A server that has said all it will ever say.
    struct Canned<'a>(&'a [u8]);

    impl Read for Canned<'_> {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buf)
        }
    }

    impl Write for Canned<'_> {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            Ok(buf.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    const HELLO_BYTES: &[u8] = b"NBDMAGICIHAVEOPT\0\x03";

    /// A server with a disk of 4096 bytes, and what it says after that.
    fn go(rest: &[u8]) -> Vec<u8> {
        let mut info = INFO_EXPORT.to_be_bytes().to_vec();
        info.extend(4096u64.to_be_bytes());
        info.extend(3u16.to_be_bytes());
        [HELLO_BYTES, &option_reply(OPT_GO, REP_INFO, &info), &option_reply(OPT_GO, REP_ACK, &[]), rest]
            .concat()
    }

    #[test]
    fn ranges_become_requests_cut_at_multiples() {
        let cut = |range| pieces(range).map(|piece| (piece.start, piece.end)).collect::<Vec<_>>();
        assert_eq!(cut(5..5), []);
        assert_eq!(cut(5..MOST), [(5, MOST)]);
        assert_eq!(
            cut(MOST - 1..2 * MOST + 1),
            [(MOST - 1, MOST), (MOST, 2 * MOST), (2 * MOST, 2 * MOST + 1)]
        );
        assert_eq!(cut(u64::MAX - 1..u64::MAX), [(u64::MAX - 1, u64::MAX)]);
    }

    #[test]
    fn replies_may_come_in_any_order_but_only_to_what_was_asked() {
        let replies = [simple(0, 1), vec![2; 100], simple(0, 0), vec![1; 10]].concat();
        let server = go(&replies);
        let mut client = Handshake::begin(Canned(&server)).unwrap().open("disk").unwrap();
        let mut seen = Vec::new();
        let take = |at, bytes: &[u8]| {
            seen.push((at, bytes.to_vec()));
            Ok(())
        };
        client.read_many([0..10, 300..400], take).unwrap();
        assert_eq!(seen, [(300, vec![2; 100]), (0, vec![1; 10])]);

        let server = go(&simple(0, 77));
        let mut client = Handshake::begin(Canned(&server)).unwrap().open("disk").unwrap();
        assert_eq!(client.read(&mut [0; 10], 0).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn an_error_of_the_servers_disk_is_told_and_nothing_past_the_end_is_asked_for() {
        let server = go(&simple(5, 0));
        let mut client = Handshake::begin(Canned(&server)).unwrap().open("disk").unwrap();
        assert!(client.read(&mut [0; 10], 0).unwrap_err().to_string().contains("error 5"));
        let mut client = Handshake::begin(Canned(&server)).unwrap().open("disk").unwrap();
        assert_eq!(client.read(&mut [0; 10], 4090).unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(client.read(&mut [0; 10], u64::MAX).is_err());
    }

    #[test]
    fn a_server_that_does_not_know_go_is_asked_by_name() {
        let unknown = option_reply(OPT_GO, REP_ERR_UNSUP, b"what?");
        let export = [&8192u64.to_be_bytes()[..], &[0, 3]].concat();
        let short = [HELLO_BYTES, &unknown, &export].concat();
        assert_eq!(Handshake::begin(Canned(&short)).unwrap().open("x").unwrap().size(), 8192);
        // A server from before NO_ZEROES.
        let padded = [b"NBDMAGICIHAVEOPT\0\x01", &unknown[..], &export, &[0; 124]].concat();
        assert_eq!(Handshake::begin(Canned(&padded)).unwrap().open("x").unwrap().size(), 8192);
        let hangs_up = [HELLO_BYTES, &unknown].concat();
        assert!(Handshake::begin(Canned(&hangs_up)).unwrap().open("x").is_err());
    }

    #[test]
    fn servers_that_refuse_lie_or_ramble_are_left() {
        let begin = |bytes: &[u8]| Handshake::begin(Canned(bytes)).map(|_| ()).unwrap_err();
        assert!(begin(b"HTTP/1.1 400 Bad Request\r\n").to_string().contains("no NBD server"));
        assert!(begin(b"NBDMAGIC\0\0\x42\x02\x81\x86\x12\x53\0\0").to_string().contains("too old"));
        assert_eq!(begin(b"NBDMAGIC").kind(), ErrorKind::Io);
        let open = |replies: &[u8]| {
            let bytes = [HELLO_BYTES, replies].concat();
            Handshake::begin(Canned(&bytes)).unwrap().open("x").map(|_| ()).unwrap_err().to_string()
        };
        assert!(open(&option_reply(OPT_GO, REP_ERR_TLS_REQD, b"")).contains("demands encryption"));
        assert!(open(&option_reply(OPT_GO, REP_ERR_UNKNOWN, b"not\n here")).ends_with("it says: not here"));
        assert!(open(&option_reply(OPT_GO, REP_ACK, b"")).contains("size"));
        assert!(open(&option_reply(OPT_LIST, REP_ACK, b"")).contains("no sense"));
        assert!(
            open(&option_reply(OPT_GO, REP_INFO, &[0, 9]).repeat(100)).contains("never comes to the point")
        );
        let mut long = option_reply(OPT_GO, REP_INFO, &[]);
        long[16..].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(open(&long).contains("no sense"));
        let refusal = [HELLO_BYTES, &option_reply(OPT_STARTTLS, REP_ERR_POLICY, b"")].concat();
        let error = Handshake::begin(Canned(&refusal)).unwrap().start_tls(Ok).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("refuses to encrypt"), "{error}");
    }
}
