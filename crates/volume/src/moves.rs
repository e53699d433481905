//! Files that are elsewhere in a later state of a file system, with the content they had.
//!
//! ```text
//!   a path that was not there ──same inode, born and modified then──▶ candidate ──same blocks, none changed──▶ moved
//! ```

use std::collections::HashMap;
use std::ops::Range;

use shale_disk::{Result, Watch};

use crate::diff::{AT_ONCE, compressed, is_untouched, told};
use crate::encrypted;
use crate::files::{Entry, Files, Kind, Map};
use crate::tree::Tree;

/// Longest stream that lies among metadata, in a record of its file.
const AMONG_METADATA: u64 = 4096;

/// Two states of a file system.
pub(crate) struct Moves<'a, 't> {
    pub base: &'a mut Files,
    pub now: &'a mut Files,
    pub old: &'t Tree,
    pub new: &'t Tree,
}

/// A file that may have been moved.
struct Candidate<'t> {
    from: &'t [u8],
    entry: &'t Entry,
}

impl<'t> Moves<'_, 't> {
    /// Node to old path of the files that were moved, of those that `can_move` (at the old and at the new path). `changed` are
    /// the ranges of the file system that may differ.
    pub fn find(
        mut self,
        changed: &[Range<u64>],
        can_move: impl Fn(&[u8], &Entry) -> bool,
        watch: Watch,
    ) -> Result<HashMap<u64, &'t [u8]>> {
        let candidates = self.candidates(can_move);
        let mut moved: HashMap<u64, &[u8]> =
            candidates.iter().map(|Candidate { from, entry }| (entry.node, *from)).collect();
        let streams: Vec<(u64, &[u8])> = candidates
            .iter()
            .flat_map(|Candidate { entry, .. }| entry.streams.iter().map(|stream| (entry.node, stream)))
            .filter(|(_, stream)| stream.size > 0)
            .map(|(node, stream)| (node, &stream.name[..]))
            .collect();
        for streams in streams.chunks(AT_ONCE) {
            told(watch, 0)?;
            let maps: Vec<_> = self.base.maps(streams)?.into_iter().zip(self.now.maps(streams)?).collect();
            for ((node, stream), maps) in streams.iter().zip(maps) {
                // What cannot be told of one of them is said where it is read.
                let is_same = match &maps {
                    (Ok(old), Ok(new)) => self.is_same(*node, stream, old, new, changed, watch)?,
                    _ => false,
                };
                if !is_same {
                    moved.remove(node);
                }
            }
        }
        Ok(moved)
    }

    /// Whether a stream has the content it had. One without blocks of its own, of few bytes, is read.
    fn is_same(
        &mut self,
        node: u64,
        stream: &[u8],
        old: &Map,
        new: &Map,
        changed: &[Range<u64>],
        watch: Watch,
    ) -> Result<bool> {
        if old == new && is_untouched(new, changed) {
            return Ok(true);
        }
        let has_blocks = |map: &Map| map.direct || !(map.in_record || map.pieces.is_empty());
        if has_blocks(old) || has_blocks(new) || old.size != new.size || new.size > AMONG_METADATA {
            return Ok(false);
        }
        told(watch, new.size)?;
        let (mut a, mut b) = (vec![0; old.size as usize], vec![0; new.size as usize]);
        self.base.read(node, stream, old, 0, &mut a)?;
        self.now.read(node, stream, new, 0, &mut b)?;
        Ok(a == b)
    }

    fn candidates(&self, can_move: impl Fn(&[u8], &Entry) -> bool) -> Vec<Candidate<'t>> {
        let is_file = |entry: &Entry| entry.kind == Kind::File && entry.streams.iter().any(|s| s.size > 0);
        let (old, new) = (self.old, self.new);
        // A file that another file took the place of was written anew, as far as can be told: both are told whole.
        let had_no_file = |tree: &Tree, path: &[u8]| tree.0.get(path).is_none_or(|it| it.kind != Kind::File);
        let arrived: HashMap<u64, &Entry> = new
            .0
            .iter()
            .filter(|(path, entry)| is_file(entry) && had_no_file(old, path) && can_move(path, entry))
            .map(|(_, entry)| (entry.node, entry))
            .collect();
        let mut candidates = Vec::new();
        for (from, old) in old.0.iter().filter(|(_, old)| arrived.contains_key(&old.node)) {
            let entry = arrived[&old.node];
            let is_it = is_file(old)
                && old.streams == entry.streams
                && (old.facts.modified, old.facts.born) == (entry.facts.modified, entry.facts.born)
                && compressed(old) == compressed(entry)
                && encrypted::is_alike(old, entry);
            if is_it && had_no_file(new, from) && can_move(from, old) {
                candidates.push(Candidate { from, entry });
            }
        }
        candidates
    }
}
