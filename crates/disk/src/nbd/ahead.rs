//! Blocks kept for a while, and fetched before they are asked for when a client reads on and on.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::cache::Cache;
use crate::{Content, Disk, Result, check_range};

/// Unit of caching; below lie blocks of this size, each of which costs a decompression.
const BLOCK: u64 = 64 << 10;
/// Bytes kept, for all clients together.
const BUDGET: usize = 64 << 20;
/// How far ahead a stream is read: this much at first, then twice as much each time.
const FIRST_AHEAD: u64 = 256 << 10;
const MOST_AHEAD: u64 = 4 << 20;
/// Ranges waiting to be fetched; more are forgotten, since reading ahead is only a favour.
const WAITING: usize = 8;
/// Sequential streams told apart in one connection.
const STREAMS: usize = 8;

/// `offset..end`, to be fetched.
type Range = std::ops::Range<u64>;

/// The disk behind a block cache that all clients share.
pub(super) struct BlockCache {
    disk: Arc<dyn Disk>,
    blocks: Cache<u8>,
    /// Blocks being read right now: whoever wants one of them waits for it.
    busy: Mutex<HashSet<u64>>,
    freed: Condvar,
    asks: Mutex<Option<SyncSender<Range>>>,
    asked: Mutex<Receiver<Range>>,
}

impl BlockCache {
    pub fn new(disk: Arc<dyn Disk>) -> Arc<Self> {
        let (asks, asked) = sync_channel(WAITING);
        Arc::new(Self {
            disk,
            blocks: Cache::new(BUDGET),
            busy: Mutex::default(),
            freed: Condvar::new(),
            asks: Mutex::new(Some(asks)),
            asked: Mutex::new(asked),
        })
    }

    /// For extents and the size; data is read through the cache.
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Fills `buf` through the cache.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.disk.size(), offset, buf.len() as u64)?;
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let block = self.block(at / BLOCK)?;
            let inside = (at % BLOCK) as usize;
            let length = rest.len().min(block.len() - inside);
            let (part, tail) = rest.split_at_mut(length);
            part.copy_from_slice(&block[inside..inside + length]);
            at += length as u64;
            rest = tail;
        }
        Ok(())
    }

    /// One block, read at most once however many want it.
    fn block(&self, index: u64) -> Result<Arc<[u8]>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(block) = self.blocks.get(index) {
                return Ok(block);
            }
            if busy.insert(index) {
                break;
            }
            busy = self.freed.wait(busy).unwrap_or_else(PoisonError::into_inner);
        }
        drop(busy);
        let _turn = Turn { cache: self, index };
        let length = BLOCK.min(self.disk.size() - index * BLOCK) as usize;
        let mut block = vec![0; length];
        self.disk.read_at(&mut block, index * BLOCK)?;
        let block: Arc<[u8]> = block.into();
        self.blocks.put(index, block.clone());
        Ok(block)
    }

    /// Wishes that `range` be fetched in the background.
    pub fn ask_ahead(&self, range: Range) {
        if let Some(asks) = &*self.asks.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = asks.try_send(range); // too much to do already: never mind
        }
    }

    /// Fetches what was wished for, until [`Self::end_ahead`].
    pub fn run_ahead(&self) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(range) = asked.recv() {
            // Errors will be met, and told, by the one who reads there in earnest.
            let _ = self.fetch(range);
        }
    }

    /// Lets [`Self::run_ahead`] return.
    pub fn end_ahead(&self) {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn fetch(&self, range: Range) -> Result<()> {
        let end = range.end.min(self.disk.size());
        let mut at = range.start;
        while at < end {
            let extent = self.disk.extent_at(at)?;
            let stop = end.min(at + extent.length);
            if extent.content == Content::Data {
                for index in at / BLOCK..stop.div_ceil(BLOCK) {
                    self.block(index)?;
                }
            }
            at = stop;
        }
        Ok(())
    }
}

/// Whose turn it is to read a block; given back even when the disk below panics.
struct Turn<'a> {
    cache: &'a BlockCache,
    index: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.cache.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.index);
        self.cache.freed.notify_all();
    }
}

/// The sequential streams of a connection.
#[derive(Default)]
pub(super) struct Streams {
    known: Mutex<Vec<Stream>>,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    /// Where the next read is expected.
    next: u64,
    /// Up to where blocks were wished for.
    ahead: u64,
    /// How far to read ahead; 0 until a second read follows the first.
    window: u64,
}

impl Streams {
    /// Notes a read; answers what to fetch next when it goes on where an earlier one ended.
    pub fn follow(&self, offset: u64, length: u64) -> Option<Range> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let end = offset + length;
        // Requests of one stream arrive a little out of order, as several are under way at once.
        let met = known.iter().position(|s| offset <= s.next + FIRST_AHEAD && s.next <= offset + FIRST_AHEAD);
        let Some(met) = met else {
            if known.len() == STREAMS {
                known.remove(0);
            }
            known.push(Stream { next: end, ahead: end, window: 0 });
            return None;
        };
        let mut stream = known.remove(met);
        stream.next = stream.next.max(end);
        let wish = stream.next + stream.window;
        if stream.window == 0 {
            stream.window = FIRST_AHEAD;
        }
        // Wish again only when half of what was wished for is used up.
        let range = (stream.next + stream.window / 2 >= stream.ahead).then(|| {
            stream.window = (stream.window * 2).min(MOST_AHEAD);
            let range = stream.ahead.max(stream.next)..wish.max(stream.next + stream.window);
            stream.ahead = range.end;
            range
        });
        known.push(stream);
        range.filter(|r| !r.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Extent;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Counts how often each read comes through.
    struct Counted(AtomicUsize);

    impl Disk for Counted {
        fn size(&self) -> u64 {
            10 * BLOCK + 512
        }
        fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            buf.fill((offset / BLOCK) as u8);
            Ok(())
        }
        fn extent_at(&self, offset: u64) -> Result<Extent> {
            Ok(Extent { offset, length: self.size() - offset, content: Content::Data })
        }
    }

    #[test]
    fn a_block_is_read_once_for_many_readers() {
        let disk = Arc::new(Counted(AtomicUsize::new(0)));
        let cache = BlockCache::new(disk.clone());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut all = vec![0; cache.disk().size() as usize];
                    cache.read_at(&mut all, 0).unwrap();
                    assert_eq!(all[(10 * BLOCK) as usize], 10);
                });
            }
        });
        assert_eq!(disk.0.load(Ordering::Relaxed), 11);
    }

    #[test]
    fn reading_on_and_on_is_noticed_and_jumping_about_is_not() {
        let streams = Streams::default();
        assert_eq!(streams.follow(0, 4096), None);
        let first = streams.follow(4096, 4096).unwrap();
        assert_eq!(first.start, 8192);
        let mut reached = first.end;
        for at in (8192..4 << 20).step_by(4096) {
            if let Some(more) = streams.follow(at, 4096) {
                assert_eq!(more.start, reached, "nothing is wished for twice, nothing left out");
                assert!(more.end <= at + 4096 + 2 * MOST_AHEAD);
                reached = more.end;
            }
        }
        for i in 1..20 {
            assert_eq!(streams.follow(i << 30, 4096), None);
        }
    }
}
