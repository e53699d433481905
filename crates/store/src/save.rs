//! Stores a disk as a version.
//!
//! ```text
//!   Batches ──▶ workers: read, find zeros, digest, look up, compress ──in order──▶ appender: pack, map pages
//!                                                                                      │ full, or 64 MiB more
//!                                                                                      ▼
//!                                                       closer: push to the device, write directory, fsync
//!   end:  name all packs ─▶ fsync folder ─▶ index ─▶ manifest (fsync, name, fsync folder)
//! ```
//!
//! Each worker holds one batch, so that memory is bounded by their number. Until the end all packs are temporary
//! files of this save's lock: whatever stops it, nothing is left, or what is left is swept.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::batch::{BATCH, Batch, Batches, Part, Run};
use crate::block::{self, Packer};
use crate::digest::{Digest, VersionId};
use crate::error::{Error, ErrorKind, Result};
use crate::index::Index;
use crate::lock::{self, Lock};
use crate::manifest::{self, Manifest};
use crate::map::{self, PAGE_BLOCKS, Page};
use crate::pack::{Closed, Entry, Writer};
use crate::place;
use crate::repository::{Inner, Repository};
use crate::version::Version;
use crate::{BLOCK, Source, Watch, What};

/// Bytes of a pack after which the next piece is pushed to the device.
const PUSH: u64 = 64 << 20;
/// New digests remembered, to find what occurs twice in one disk: 64 GiB of new blocks, about 64 MB of memory.
/// Behind that some blocks may be stored twice, which costs room and nothing else.
const SEEN_LIMIT: usize = 1 << 20;

/// Where the plain bytes of a block begin in memory, so that a source may read past the page cache (O_DIRECT).
const ALIGN: usize = 4096;

/// A version to be made.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// Its name, chosen by the caller: saving the same again is fine.
    pub id: VersionId,
    /// What [`What::Parent`] refers to. Never larger than the new version.
    pub parent: Option<VersionId>,
    /// Size of the disk in bytes.
    pub size: u64,
    /// When it was made (RFC 3339); only kept.
    pub created: String,
    /// How many threads read, digest and compress.
    pub threads: usize,
}

/// What a save did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Digest of the disk.
    pub digest: Digest,
    /// Bytes that were added to packs, map pages included.
    pub new_bytes: u64,
    /// Blocks that were added.
    pub new_blocks: u64,
    /// Blocks that were read and known already.
    pub known_blocks: u64,
    /// Blocks that became holes: known to be zero, or read and found to be.
    pub zero_blocks: u64,
    /// Blocks taken over from the parent without reading them.
    pub kept_blocks: u64,
}

/// What became of one block that was read.
enum Outcome {
    Zero,
    Known(Digest),
    /// Its frame lies at this range of the batch's frames.
    New(Entry, Range<usize>),
}

/// A batch, worked out.
struct Done {
    batch: Batch,
    /// One for each block of each [`Run::Read`].
    blocks: Vec<Outcome>,
    frames: Vec<u8>,
}

/// What all workers share.
struct Job<'a> {
    index: Arc<Index>,
    source: &'a dyn Source,
    parent: Option<Version>,
    batches: Mutex<Batches<'a>>,
    seen: Mutex<HashSet<Digest>>,
    turn: Mutex<Turn<'a>>,
    turned: Condvar,
    watch: Watch<'a>,
}

/// Whose batch is next, and what it is appended to.
struct Turn<'a> {
    next: u64,
    failed: Option<Error>,
    appender: Appender<'a>,
}

pub(crate) fn save(
    repository: &Repository,
    new: NewVersion,
    source: &dyn Source,
    watch: Watch,
) -> Result<Saved> {
    let inner = &*repository.inner;
    inner.check_writable()?;
    manifest::check_request(new.size, &new.created)?;
    if source.size() != new.size {
        let text =
            format!("version {} shall have {} bytes, but its disk has {}", new.id, new.size, source.size());
        return Err(Error::new(ErrorKind::Invalid, text));
    }
    let lock = Lock::shared(inner.place.root(), &format!("save of version {}", new.id), watch)?;
    lock::sweep(inner.place.root());
    inner.refresh(&lock)?;
    let parent = new.parent.map(|id| repository.version(id)).transpose()?;
    if let Some(parent) = parent.as_ref().filter(|parent| parent.size() > new.size) {
        let (id, size) = (parent.id(), parent.size());
        let text = format!("version {} cannot be smaller than its parent {id} of {size} bytes", new.id);
        return Err(Error::new(ErrorKind::Invalid, text));
    }

    let (to_closer, from_appender) = sync_channel(1);
    let appender = Appender::new(inner, &lock, parent.clone(), new.size, to_closer)?;
    let job = Job {
        index: inner.index(),
        source,
        parent,
        batches: Mutex::new(Batches::new(source, new.size)),
        seen: Mutex::default(),
        turn: Mutex::new(Turn { next: 0, failed: None, appender }),
        turned: Condvar::new(),
        watch,
    };
    let (built, packs) = std::thread::scope(|scope| {
        let closer = scope.spawn(|| close_packs(from_appender));
        let built = job.run(new.threads.max(1));
        // The appender is gone and with it its end of the channel: the closer ends.
        let packs = closer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (built, packs)
    });
    // When the closer failed, that is why the rest did.
    let packs = packs?;
    commit(inner, &lock, &new, built?, packs)
}

/// Makes all of it visible, the manifest last.
fn commit(inner: &Inner, lock: &Lock, new: &NewVersion, built: Built, packs: Vec<Closed>) -> Result<Saved> {
    let Built { pages, data_blocks, saved } = built;
    let mut manifest = Manifest {
        id: new.id,
        parent: new.parent,
        size: new.size,
        data_blocks,
        new_blocks: saved.new_blocks,
        new_bytes: saved.new_bytes,
        created: new.created.clone(),
        pages,
    };
    let saved = Saved { digest: manifest.content(), ..saved };
    let path = manifest::path(&inner.place, new.id);
    let same = |there: &Manifest| {
        there.parent == new.parent && there.size == new.size && there.content() == saved.digest
    };
    match Manifest::read(&inner.place, new.id)? {
        // Made again, to mend what is missing: the manifest stays, the packs are welcome.
        Some(there) if same(&there) => manifest = there,
        Some(_) => return Err(taken(new.id)),
        None => {}
    }
    if !packs.is_empty() {
        for pack in packs {
            pack.publish(&inner.place)?;
        }
        inner.place.sync_folder(place::PACKS)?;
        inner.refresh(lock)?;
    }
    if inner.place.write_new(lock, &path, &manifest.encode())? {
        return Ok(saved);
    }
    // Somebody was faster, or it was there all the time.
    match Manifest::read(&inner.place, new.id)? {
        Some(there) if same(&there) => Ok(saved),
        _ => Err(taken(new.id)),
    }
}

fn taken(id: VersionId) -> Error {
    let text =
        format!("version {id} exists already and holds another disk. Versions never change: use a new id");
    Error::new(ErrorKind::Exists, text)
}

impl Job<'_> {
    fn run(self, threads: usize) -> Result<Built> {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| self.work());
            }
        });
        let turn = self.turn.into_inner().unwrap_or_else(PoisonError::into_inner);
        match turn.failed {
            Some(e) => Err(e),
            None => turn.appender.finish(),
        }
    }

    /// A worker: batches until there are no more, or one fails anywhere.
    fn work(&self) {
        let unwound = Unwound(self);
        if let Err(e) = self.work_batches() {
            self.fail(e);
        }
        drop(unwound);
    }

    fn work_batches(&self) -> Result<()> {
        let mut packer = Packer::new()?;
        let mut plain = vec![0; BATCH + ALIGN];
        let mut spare = Vec::with_capacity(BATCH);
        loop {
            if (self.watch)(0).is_break() {
                return Err(Error::stopped());
            }
            let batch = held(&self.batches).next()?;
            let Some(batch) = batch else { return Ok(()) };
            let (number, length) = (batch.number, batch.length);
            let done = self.work_out(batch, &mut packer, &mut plain, std::mem::take(&mut spare))?;
            let mut turn = held(&self.turn);
            while turn.next != number && turn.failed.is_none() {
                turn = self.turned.wait(turn).unwrap_or_else(PoisonError::into_inner);
            }
            if turn.failed.is_some() {
                return Ok(());
            }
            turn.appender.append(&done, &self.seen)?;
            turn.next += 1;
            drop(turn);
            self.turned.notify_all();
            spare = done.frames;
            if (self.watch)(length).is_break() {
                return Err(Error::stopped());
            }
        }
    }

    /// The first failure counts; everybody stops.
    fn fail(&self, error: Error) {
        held(&self.turn).failed.get_or_insert(error);
        self.turned.notify_all();
    }

    fn work_out(&self, batch: Batch, packer: &mut Packer, plain: &mut [u8], spare: Vec<u8>) -> Result<Done> {
        let (mut blocks, mut frames) = (Vec::new(), spare);
        frames.clear();
        let aligned = plain.as_ptr().align_offset(ALIGN);
        for run in &batch.runs {
            let Run::Read { first, count, parts } = run else { continue };
            let plain = &mut plain[aligned..][..*count as usize * BLOCK];
            let mut end = 0;
            for part in parts {
                let begin = (part.offset - first * BLOCK as u64) as usize;
                end = begin + part.length as usize;
                self.read_part(part, &mut plain[begin..end])?;
            }
            plain[end..].fill(0);
            for plain in plain.chunks_exact(BLOCK) {
                blocks.push(self.judge(plain, packer, &mut frames)?);
            }
        }
        Ok(Done { batch, blocks, frames })
    }

    /// Fills all of `buf`.
    fn read_part(&self, part: &Part, buf: &mut [u8]) -> Result<()> {
        let Part { offset, length, what } = *part;
        match (what, &self.parent) {
            (What::Zero, _) => {
                buf.fill(0);
                Ok(())
            }
            (What::Data, _) => self.source.read_at(buf, offset).map_err(|e| {
                let text = format!("what is to be stored cannot be read at byte {offset}");
                Error::new(ErrorKind::Source, text).with_source(e)
            }),
            (What::Parent, Some(parent)) => {
                // Behind the parent's end is nothing.
                let there = length.min(parent.size().saturating_sub(offset)) as usize;
                let (inside, behind) = buf.split_at_mut(there);
                behind.fill(0);
                if inside.is_empty() { Ok(()) } else { parent.read_at(inside, offset) }
            }
            (What::Parent, None) => Err(no_parent(offset)),
        }
    }

    /// Zero, known, or new; a new one is compressed.
    fn judge(&self, plain: &[u8], packer: &mut Packer, frames: &mut Vec<u8>) -> Result<Outcome> {
        if block::is_zero(plain) {
            return Ok(Outcome::Zero);
        }
        let digest = Digest::of(plain);
        if held(&self.seen).contains(&digest) || self.index.find(&digest)?.is_some() {
            return Ok(Outcome::Known(digest));
        }
        let begin = frames.len();
        let entry = packer.pack(digest, plain, false, frames);
        Ok(Outcome::New(entry, begin..frames.len()))
    }
}

/// A worker that panics (in a source) must not let the others wait for its turn.
struct Unwound<'j, 'a>(&'j Job<'a>);

impl Drop for Unwound<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(Error::stopped());
        }
    }
}

fn no_parent(offset: u64) -> Error {
    let text = format!("byte {offset} shall be as in the parent, but the version has none");
    Error::new(ErrorKind::Invalid, text)
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Work for the closer.
enum ToClose {
    Push(File),
    Pack(Writer),
}

/// Makes packs durable while the next is filled. They are dropped, and so removed, when one fails.
fn close_packs(work: Receiver<ToClose>) -> Result<Vec<Closed>> {
    let mut closed = Vec::new();
    for item in work {
        match item {
            ToClose::Push(file) => file.sync_data().map_err(|e| Error::io("cannot sync a new pack", e))?,
            ToClose::Pack(writer) => closed.push(writer.close()?),
        }
    }
    Ok(closed)
}

/// A finished map and the facts about it.
struct Built {
    pages: Vec<Digest>,
    data_blocks: u64,
    saved: Saved,
}

/// Takes batches in order: frames into packs, digests into the map.
struct Appender<'a> {
    repository: &'a Inner,
    lock: &'a Lock,
    writer: Option<Writer>,
    pushed: u64,
    to_closer: SyncSender<ToClose>,
    parent: Option<Version>,
    index: Arc<Index>,
    packer: Packer,
    pages: Vec<Digest>,
    /// The page being changed: its number, what it was, what it becomes.
    open: Option<(usize, Arc<Page>, Page)>,
    data_blocks: u64,
    saved: Saved,
}

impl<'a> Appender<'a> {
    fn new(
        repository: &'a Inner,
        lock: &'a Lock,
        parent: Option<Version>,
        size: u64,
        to_closer: SyncSender<ToClose>,
    ) -> Result<Self> {
        let mut pages = parent.as_ref().map_or(Vec::new(), |parent| parent.manifest().pages.clone());
        pages.resize(map::page_count(size) as usize, Digest::HOLE);
        Ok(Self {
            repository,
            lock,
            writer: None,
            pushed: 0,
            to_closer,
            data_blocks: parent.as_ref().map_or(0, |parent| parent.manifest().data_blocks),
            parent,
            index: repository.index(),
            packer: Packer::new()?,
            pages,
            open: None,
            saved: Saved {
                digest: Digest::HOLE,
                new_bytes: 0,
                new_blocks: 0,
                known_blocks: 0,
                zero_blocks: 0,
                kept_blocks: 0,
            },
        })
    }

    fn append(&mut self, done: &Done, seen: &Mutex<HashSet<Digest>>) -> Result<()> {
        self.append_frames(done, seen)?;
        let mut blocks = done.blocks.iter();
        for run in &done.batch.runs {
            match *run {
                Run::Keep { first, .. } if self.parent.is_none() => {
                    return Err(no_parent(first * BLOCK as u64));
                }
                Run::Keep { count, .. } => self.saved.kept_blocks += count,
                Run::Zero { first, count } => self.set_holes(first, count)?,
                Run::Read { first, count, .. } => {
                    for (number, block) in (first..first + count).zip(&mut blocks) {
                        let digest = match block {
                            Outcome::Zero => Digest::HOLE,
                            Outcome::Known(digest) => *digest,
                            Outcome::New(entry, _) => entry.digest,
                        };
                        self.saved.zero_blocks += u64::from(digest.is_hole());
                        self.set(number, digest)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the new frames; one that another batch brought meanwhile is left out.
    fn append_frames(&mut self, done: &Done, seen: &Mutex<HashSet<Digest>>) -> Result<()> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut range = 0..0;
        for block in &done.blocks {
            let (entry, frame) = match block {
                Outcome::Zero => continue,
                Outcome::Known(_) => {
                    self.saved.known_blocks += 1;
                    continue;
                }
                Outcome::New(entry, frame) => (entry, frame),
            };
            let mut seen = held(seen);
            if seen.len() >= SEEN_LIMIT {
                seen.clear();
            }
            if !seen.insert(entry.digest) {
                self.saved.known_blocks += 1;
                continue;
            }
            drop(seen);
            if range.end != frame.start {
                self.write(&done.frames[range.clone()], &entries)?;
                entries.clear();
                range = frame.clone();
            }
            range.end = frame.end;
            self.saved.new_blocks += 1;
            entries.push(*entry);
        }
        self.write(&done.frames[range], &entries)
    }

    fn write(&mut self, bytes: &[u8], entries: &[Entry]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => Writer::new(&self.repository.place, self.lock)?,
        };
        writer.append(bytes, entries.iter().copied())?;
        self.saved.new_bytes += bytes.len() as u64;
        // An error here means that the closer has failed, and it will say why.
        let gone = |_| Error::new(ErrorKind::Io, "cannot close a new pack");
        if writer.is_full() {
            self.pushed = 0;
            self.to_closer.send(ToClose::Pack(writer)).map_err(gone)?;
            return Ok(());
        }
        if writer.length() - self.pushed >= PUSH {
            // When the closer is busy, it is already doing what this asks for.
            let _ = self.to_closer.try_send(ToClose::Push(writer.handle()?));
            self.pushed = writer.length();
        }
        self.writer = Some(writer);
        Ok(())
    }

    fn set_holes(&mut self, first: u64, count: u64) -> Result<()> {
        self.saved.zero_blocks += count;
        let (mut block, end) = (first, first + count);
        while block < end {
            let page = (block / PAGE_BLOCKS as u64) as usize;
            let page_end = ((page + 1) * PAGE_BLOCKS) as u64;
            // A page of holes stays one: a terabyte of nothing costs a loop over its pages.
            let is_open = self.open.as_ref().is_some_and(|(open, ..)| *open == page);
            if is_open || !self.pages[page].is_hole() {
                for number in block..page_end.min(end) {
                    self.set(number, Digest::HOLE)?;
                }
            }
            block = page_end;
        }
        Ok(())
    }

    fn set(&mut self, block: u64, digest: Digest) -> Result<()> {
        let (number, slot) = ((block / PAGE_BLOCKS as u64) as usize, (block % PAGE_BLOCKS as u64) as usize);
        if self.open.as_ref().is_none_or(|(open, ..)| *open != number) {
            self.close_page()?;
            let old = match &self.parent {
                Some(parent) if !self.pages[number].is_hole() => parent.page(number)?,
                _ => Arc::new(Page::hole()),
            };
            let new = (*old).clone();
            self.open = Some((number, old, new));
        }
        if let Some((_, _, page)) = &mut self.open {
            page.0[slot] = digest;
        }
        Ok(())
    }

    /// Stores the open page when it changed.
    fn close_page(&mut self) -> Result<()> {
        let Some((number, old, new)) = self.open.take() else { return Ok(()) };
        if *old == new {
            return Ok(());
        }
        let blocks = new.data_blocks();
        self.data_blocks = self.data_blocks + blocks - old.data_blocks();
        self.pages[number] = Digest::HOLE;
        if blocks == 0 {
            return Ok(());
        }
        let plain = new.encode();
        let digest = Digest::of(&plain);
        self.pages[number] = digest;
        if self.index.find(&digest)?.is_none() {
            let mut frame = Vec::new();
            let entry = self.packer.pack(digest, &plain, true, &mut frame);
            self.write(&frame, &[entry])?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Built> {
        self.close_page()?;
        if let Some(writer) = self.writer.take() {
            // An error here means that the closer has failed, and it will say why.
            let _ = self.to_closer.send(ToClose::Pack(writer));
        }
        Ok(Built { pages: self.pages, data_blocks: self.data_blocks, saved: self.saved })
    }
}
