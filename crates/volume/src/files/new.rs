//! Entries that are made together: a question and its answer for each would cost more than the work.
//!
//! ```text
//!   make · room for a stream · … · describe │ make · …     sent at once; a request about node 0 is about what was made last
//!   node · map               · … ·          │ node · …     heard then, and content written where the maps say
//! ```

use std::ops::Range;

use shale_disk::{Error, Result};

use super::wire::{self, Answer};
use super::{Attributes, Facts, Files, Making, Map, describe_request};

/// Bytes of requests that are sent at once.
const TOGETHER: usize = 64 << 10;
/// The node in a request that stands for the entry that was made last.
const LAST: u64 = 0;

/// The room of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes it will have.
    pub size: u64,
    /// Where it has data, in order and apart; the rest are holes. Each but the last begins and ends with a block.
    pub ranges: Vec<Range<u64>>,
    /// Kept compressed (NTFS).
    pub compressed: bool,
}

/// An entry that is to be made, with everything but its content.
#[derive(Clone, Debug)]
pub struct New<'a> {
    /// Where, and what it is.
    pub making: Making<'a>,
    /// Its streams by name.
    pub streams: Vec<(&'a [u8], Room)>,
    /// Its metadata.
    pub facts: &'a Facts,
    /// Its attributes.
    pub attributes: &'a Attributes,
}

/// An entry that was made.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its node.
    pub node: u64,
    /// Where the content of each stream is to be written, in the order given.
    pub maps: Vec<Map>,
}

impl Files {
    /// Makes entries, in order. Content is still to be written ([`Files::write`]). The error comes with the number of the
    /// entry that it is about.
    pub fn make_all(&mut self, all: &[New]) -> std::result::Result<Vec<Placed>, (usize, Error)> {
        let mut made = Vec::new();
        let (mut first, mut messages) = (0, Vec::new());
        for (number, new) in all.iter().enumerate() {
            let requests = self.requests(new).map_err(|e| (number, e))?;
            if messages.len() + requests.len() > TOGETHER && first < number {
                self.exchange(&messages, &all[first..number], first, &mut made)?;
                messages.clear();
                first = number;
            }
            messages.extend(requests);
        }
        self.exchange(&messages, &all[first..], first, &mut made)?;
        Ok(made)
    }

    /// The messages that make one entry.
    fn requests(&self, new: &New) -> Result<Vec<u8>> {
        let mut messages = self.make_request(new.making)?.finish()?;
        for (name, room) in &new.streams {
            messages.extend(self.size_request(LAST, name, room)?.finish()?);
        }
        messages.extend(describe_request(LAST, new.making.parent, new.facts, new.attributes)?.finish()?);
        Ok(messages)
    }

    /// Sends the messages of some entries and takes the answers.
    fn exchange(
        &mut self,
        messages: &[u8],
        some: &[New],
        first: usize,
        made: &mut Vec<Placed>,
    ) -> std::result::Result<(), (usize, Error)> {
        if some.is_empty() {
            return Ok(());
        }
        let count = some.iter().map(|new| 2 + new.streams.len()).sum();
        let answers = self.process.ask_all(messages, count, wire::MAKE).map_err(|e| (first, e))?;
        let mut answers = answers.into_iter();
        for (number, new) in (first..).zip(some) {
            let answers = answers.by_ref().take(2 + new.streams.len());
            let answers = answers.collect::<Result<Vec<Answer>>>().map_err(|e| (number, e))?;
            made.push(self.made(answers, new).map_err(|e| (number, e))?);
        }
        Ok(())
    }

    fn made(&self, answers: Vec<Answer>, new: &New) -> Result<Placed> {
        let mut answers = answers.into_iter();
        let node = answers.next().ok_or_else(wire::nonsense)?.u64()?;
        let maps = answers.take(new.streams.len()).map(|mut answer| self.map_from(&mut answer));
        Ok(Placed { node, maps: maps.collect::<Result<_>>()? })
    }
}
