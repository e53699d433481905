//! From the greeting to the agreement on an export.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use super::Export;
use super::wire::*;

/// Longest option data taken: a name and a few queries.
const MAX_OPTION: u32 = 16 << 10;
/// Options a client may send before it chooses.
const MAX_OPTIONS: usize = 256;
const PREFERRED_BLOCK: u32 = 64 << 10;

/// What was agreed on for the transmission phase.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terms {
    pub structured: bool,
    pub allocation: bool,
}

/// Talks until the client enters transmission (`Some`) or leaves.
pub(super) fn negotiate(mut stream: &UnixStream, export: &Export) -> io::Result<Option<Terms>> {
    let mut hello = Vec::new();
    hello.extend(HELLO.to_be_bytes());
    hello.extend(I_HAVE_OPT.to_be_bytes());
    hello.extend((FIXED_NEWSTYLE | NO_ZEROES).to_be_bytes());
    stream.write_all(&hello)?;
    let mut flags = [0; 4];
    stream.read_exact(&mut flags)?;
    let flags = u32::from_be_bytes(flags);
    if flags & !u32::from(FIXED_NEWSTYLE | NO_ZEROES) != 0 {
        return Ok(None);
    }
    let zeroes = flags & u32::from(NO_ZEROES) == 0;

    let mut terms = Terms::default();
    for _ in 0..MAX_OPTIONS {
        let Some((option, data)) = read_option(stream)? else { return Ok(None) };
        match option {
            OPT_EXPORT_NAME => {
                if !export.is_called(&String::from_utf8_lossy(&data)) {
                    return Ok(None); // the protocol has no other answer
                }
                let mut reply = export.description(terms);
                reply.resize(reply.len() + if zeroes { 124 } else { 0 }, 0);
                stream.write_all(&reply)?;
                return Ok(Some(terms));
            }
            OPT_ABORT => {
                let _ = stream.write_all(&option_reply(option, REP_ACK, &[])); // it may have hung up
                return Ok(None);
            }
            _ => {
                let (replies, chosen) = answer(option, &data, export, &mut terms);
                stream.write_all(&replies)?;
                if chosen {
                    return Ok(Some(terms));
                }
            }
        }
    }
    Ok(None)
}

/// The next option; `None` when it is not one, or too long to be meant seriously.
fn read_option(mut stream: &UnixStream) -> io::Result<Option<(u32, Vec<u8>)>> {
    let mut head = [0; 16];
    stream.read_exact(&mut head)?;
    let length = crate::field::be32(&head, 12);
    if crate::field::be64(&head, 0) != I_HAVE_OPT || length > MAX_OPTION {
        return Ok(None);
    }
    let mut data = vec![0; length as usize];
    stream.read_exact(&mut data)?;
    Ok(Some((crate::field::be32(&head, 8), data)))
}

/// All replies to one option, and whether transmission begins after them.
fn answer(option: u32, data: &[u8], export: &Export, terms: &mut Terms) -> (Vec<u8>, bool) {
    let reply = |kind, data: &[u8]| option_reply(option, kind, data);
    let invalid = (reply(REP_ERR_INVALID, b"malformed"), false);
    match option {
        OPT_LIST if data.is_empty() => {
            let mut server = (export.name.len() as u32).to_be_bytes().to_vec();
            server.extend(export.name.as_bytes());
            ([reply(REP_SERVER, &server), reply(REP_ACK, &[])].concat(), false)
        }
        OPT_STRUCTURED_REPLY if data.is_empty() => {
            terms.structured = true;
            (reply(REP_ACK, &[]), false)
        }
        OPT_LIST | OPT_STRUCTURED_REPLY => invalid,
        OPT_INFO | OPT_GO => match InfoRequest::parse(data) {
            None => invalid,
            Some(request) if !export.is_called(&request.name) => {
                (reply(REP_ERR_UNKNOWN, b"no such export"), false)
            }
            Some(request) => (info(option, &request, export, *terms), option == OPT_GO),
        },
        OPT_LIST_META_CONTEXT | OPT_SET_META_CONTEXT => match ContextRequest::parse(data) {
            Some(request) if terms.structured => (contexts(option, &request, export, terms), false),
            _ => invalid,
        },
        _ => (reply(REP_ERR_UNSUP, b"not supported"), false),
    }
}

fn info(option: u32, request: &InfoRequest, export: &Export, terms: Terms) -> Vec<u8> {
    let mut replies = Vec::new();
    let mut tell = |kind: u16, data: &[u8]| {
        let whole = [&kind.to_be_bytes()[..], data].concat();
        replies.extend(option_reply(option, REP_INFO, &whole));
    };
    tell(INFO_EXPORT, &export.description(terms));
    if request.wanted.contains(&INFO_NAME) {
        tell(INFO_NAME, export.name.as_bytes());
    }
    if request.wanted.contains(&INFO_BLOCK_SIZE) {
        tell(INFO_BLOCK_SIZE, &[1u32, PREFERRED_BLOCK, MAX_READ].map(u32::to_be_bytes).concat());
    }
    replies.extend(option_reply(option, REP_ACK, &[]));
    replies
}

fn contexts(option: u32, request: &ContextRequest, export: &Export, terms: &mut Terms) -> Vec<u8> {
    if !export.is_called(&request.name) {
        return option_reply(option, REP_ERR_UNKNOWN, b"no such export");
    }
    let listing = option == OPT_LIST_META_CONTEXT;
    let asked = request.queries.iter().any(|q| q == ALLOCATION || (listing && q == "base:"));
    let met = asked || (listing && request.queries.is_empty());
    if !listing {
        terms.allocation = met;
    }
    let mut replies = Vec::new();
    if met {
        let id = if listing { 0 } else { ALLOCATION_ID };
        let context = [&id.to_be_bytes()[..], ALLOCATION.as_bytes()].concat();
        replies.extend(option_reply(option, REP_META_CONTEXT, &context));
    }
    replies.extend(option_reply(option, REP_ACK, &[]));
    replies
}

impl Export {
    fn is_called(&self, name: &str) -> bool {
        name.is_empty() || name == self.name
    }

    /// Size and transmission flags.
    fn description(&self, terms: Terms) -> Vec<u8> {
        let flags = EXPORT_FLAGS | if terms.structured { EXPORT_CAN_DF } else { 0 };
        [&self.blocks.disk().size().to_be_bytes()[..], &flags.to_be_bytes()].concat()
    }
}
