//! The protocol's numbers, and its messages to and from bytes. No I/O. All is big-endian.
//!
//! ```text
//!   request   magic u32 · flags u16 · type u16 · cookie u64 · offset u64 · length u32
//!   option    IHAVEOPT u64 · option u32 · length u32 · data
//!   chunk     magic u32 · flags u16 · type u16 · cookie u64 · length u32 · data
//! ```

use crate::field::{be16, be32, be64};

/// Begins a greeting: `NBDMAGIC`.
pub const HELLO: u64 = 0x4e42_444d_4147_4943; // NBDMAGIC
/// Begins an option, and ends a greeting: `IHAVEOPT`.
pub const I_HAVE_OPT: u64 = 0x4948_4156_454f_5054;
pub(super) const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
pub(super) const REQUEST: u32 = 0x2560_9513;
pub(super) const SIMPLE_REPLY: u32 = 0x6744_6698;
pub(super) const STRUCTURED_REPLY: u32 = 0x668e_33ef;

/// Handshake flag, the server's and the client's: fixed newstyle.
pub const FIXED_NEWSTYLE: u16 = 1;
/// Handshake flag, the server's and the client's: no 124 zero bytes after EXPORT_NAME.
pub const NO_ZEROES: u16 = 2;

/// Transmission flags: has flags, read only, flush is fine, do-not-fragment is honoured, several connections agree.
pub(super) const EXPORT_FLAGS: u16 = 1 | 1 << 1 | 1 << 2 | 1 << 8;
pub(super) const EXPORT_CAN_DF: u16 = 1 << 7;

/// Chooses an export; all that older clients know.
pub const OPT_EXPORT_NAME: u32 = 1;
/// Leaves.
pub const OPT_ABORT: u32 = 2;
pub(super) const OPT_LIST: u32 = 3;
/// Asks for an encrypted connection.
pub const OPT_STARTTLS: u32 = 5;
/// Asks about an export.
pub const OPT_INFO: u32 = 6;
/// Chooses an export, with an answer.
pub const OPT_GO: u32 = 7;
pub(super) const OPT_STRUCTURED_REPLY: u32 = 8;
pub(super) const OPT_LIST_META_CONTEXT: u32 = 9;
pub(super) const OPT_SET_META_CONTEXT: u32 = 10;

/// Done.
pub const REP_ACK: u32 = 1;
pub(super) const REP_SERVER: u32 = 2;
/// A fact about an export.
pub const REP_INFO: u32 = 3;
pub(super) const REP_META_CONTEXT: u32 = 4;
/// The option is not known.
pub const REP_ERR_UNSUP: u32 = 1 << 31 | 1;
pub(super) const REP_ERR_POLICY: u32 = 1 << 31 | 2;
/// The option makes no sense.
pub const REP_ERR_INVALID: u32 = 1 << 31 | 3;
/// Not without encryption.
pub const REP_ERR_TLS_REQD: u32 = 1 << 31 | 5;
/// There is no such export.
pub const REP_ERR_UNKNOWN: u32 = 1 << 31 | 6;

/// Fact: size and transmission flags.
pub const INFO_EXPORT: u16 = 0;
pub(super) const INFO_NAME: u16 = 1;
pub(super) const INFO_BLOCK_SIZE: u16 = 3;

pub(super) const CHUNK_DONE: u16 = 1;
pub(super) const CHUNK_NONE: u16 = 0;
pub(super) const CHUNK_DATA: u16 = 1;
pub(super) const CHUNK_HOLE: u16 = 2;
pub(super) const CHUNK_BLOCK_STATUS: u16 = 5;
pub(super) const CHUNK_ERROR: u16 = 1 << 15 | 1;

pub(super) const STATE_HOLE: u32 = 1;
pub(super) const STATE_ZERO: u32 = 2;

/// The client asks for one chunk; for one extent.
pub(super) const FLAG_DF: u16 = 1 << 2;
pub(super) const FLAG_REQ_ONE: u16 = 1 << 3;

/// Error: not allowed.
pub const EPERM: u32 = 1;
/// Error: the disk could not be read.
pub const EIO: u32 = 5;
/// Error: the request makes no sense.
pub const EINVAL: u32 = 22;
/// Error: too much at once.
pub const EOVERFLOW: u32 = 75;

/// The one metadata context there is, and the number we give it.
pub(super) const ALLOCATION: &str = "base:allocation";
pub(super) const ALLOCATION_ID: u32 = 1;

/// Most that one read may ask for; told to the client.
pub const MAX_READ: u32 = 32 << 20;
/// Bytes of a request.
pub const REQUEST_BYTES: usize = 28;

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Bytes.
    Read,
    /// Refused, but its payload must be skipped.
    Write,
    /// To leave.
    Disconnect,
    /// Nothing to do on a read-only disk.
    Flush,
    /// What is data and what is not.
    BlockStatus,
    /// Writes without payload: refused.
    Modify,
    /// Not known here.
    Other,
}

/// A request in the transmission phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is wanted.
    pub command: Command,
    /// Command flags.
    pub flags: u16,
    /// Comes back with the reply.
    pub cookie: u64,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u32,
}

impl Request {
    /// `None` when the magic is wrong: the client has lost its way and cannot be answered.
    pub fn parse(b: &[u8; REQUEST_BYTES]) -> Option<Self> {
        if be32(b, 0) != REQUEST {
            return None;
        }
        let command = match be16(b, 6) {
            0 => Command::Read,
            1 => Command::Write,
            2 => Command::Disconnect,
            3 => Command::Flush,
            4 | 6 => Command::Modify,
            7 => Command::BlockStatus,
            _ => Command::Other,
        };
        Some(Self {
            command,
            flags: be16(b, 4),
            cookie: be64(b, 8),
            offset: be64(b, 16),
            length: be32(b, 24),
        })
    }
}

/// Data of INFO and GO: the export's name and what is asked about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoRequest {
    /// The export.
    pub name: String,
    /// `NBD_INFO_*` that are asked for.
    pub wanted: Vec<u16>,
}

impl InfoRequest {
    /// `None` when lengths do not add up or the name is not UTF-8.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (name, rest) = take_text(data)?;
        let (count, rest) = rest.split_first_chunk::<2>()?;
        if rest.len() != usize::from(u16::from_be_bytes(*count)) * 2 {
            return None;
        }
        Some(Self { name, wanted: rest.chunks_exact(2).map(|b| be16(b, 0)).collect() })
    }
}

/// Data of LIST_META_CONTEXT and SET_META_CONTEXT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextRequest {
    /// The export.
    pub name: String,
    /// `namespace:leaf`, or `namespace:` for all of it.
    pub queries: Vec<String>,
}

impl ContextRequest {
    /// `None` when lengths do not add up or a text is not UTF-8.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (name, rest) = take_text(data)?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        let mut queries = Vec::new();
        for _ in 0..u32::from_be_bytes(*count) {
            let (query, tail) = take_text(rest)?;
            queries.push(query);
            rest = tail;
        }
        rest.is_empty().then_some(Self { name, queries })
    }
}

/// A text after its 32-bit length, and what follows.
fn take_text(data: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = data.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((String::from_utf8(text.to_vec()).ok()?, rest))
}

/// Head of a structured reply chunk; `length` bytes follow.
pub(super) fn chunk(last: bool, kind: u16, cookie: u64, length: u32) -> Vec<u8> {
    let mut b = Vec::with_capacity(32);
    b.extend(STRUCTURED_REPLY.to_be_bytes());
    b.extend((if last { CHUNK_DONE } else { 0 }).to_be_bytes());
    b.extend(kind.to_be_bytes());
    b.extend(cookie.to_be_bytes());
    b.extend(length.to_be_bytes());
    b
}

/// Head of a simple reply; data follows when `error` is 0 and the request was a read.
pub fn simple(error: u32, cookie: u64) -> Vec<u8> {
    let mut b = Vec::with_capacity(16);
    b.extend(SIMPLE_REPLY.to_be_bytes());
    b.extend(error.to_be_bytes());
    b.extend(cookie.to_be_bytes());
    b
}

/// A reply to an option.
pub fn option_reply(option: u32, kind: u32, data: &[u8]) -> Vec<u8> {
    let mut b = Vec::with_capacity(20 + data.len());
    b.extend(OPTION_REPLY.to_be_bytes());
    b.extend(option.to_be_bytes());
    b.extend(kind.to_be_bytes());
    b.extend((data.len() as u32).to_be_bytes());
    b.extend(data);
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_with_the_wrong_magic_is_no_request() {
        let mut bytes = [0; REQUEST_BYTES];
        assert_eq!(Request::parse(&bytes), None);
        bytes[..4].copy_from_slice(&REQUEST.to_be_bytes());
        bytes[7] = 7;
        bytes[27] = 9;
        let request = Request::parse(&bytes).unwrap();
        assert_eq!((request.command, request.length), (Command::BlockStatus, 9));
    }

    #[test]
    fn option_data_whose_lengths_lie_is_refused() {
        assert_eq!(InfoRequest::parse(&[0, 0, 0, 1, b'x', 0, 1, 0, 3]).unwrap().wanted, [3]);
        assert_eq!(InfoRequest::parse(&[0, 0, 0, 9, b'x', 0, 0]), None);
        assert_eq!(InfoRequest::parse(&[0, 0, 0, 0, 0, 2, 0, 3]), None);
        assert_eq!(ContextRequest::parse(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(ContextRequest::parse(&[0, 0, 0, 0, 0, 0, 0, 0, 1]), None);
    }
}
