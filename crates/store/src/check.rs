//! Finds everything that is wrong, names it, and tells which bytes of which versions it costs.
//!
//! ```text
//!   index files ─▶ packs ─▶ (every frame, when data is read) ─▶ what is bad, by digest
//!   manifests ─▶ pages ─▶ blocks ─────────────────────────────▶ who needs it, by byte range
//! ```
//!
//! It goes on where everybody else stops: one damaged pack must not hide another.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::block;
use crate::digest::{Digest, VersionId};
use crate::error::{Error, Result};
use crate::index::{self, Index, Location};
use crate::lock::Lock;
use crate::manifest::{self, Manifest};
use crate::map::{PAGE_BLOCKS, Page};
use crate::pack::{self, Entry};
use crate::repository::{Inner, Repository};
use crate::{BLOCK, Watch};

/// Bytes of the disk that one page maps.
const PAGE_SPAN: u64 = (PAGE_BLOCKS * BLOCK) as u64;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Everything that is wrong; empty: the repository is sound.
    pub findings: Vec<Finding>,
    /// Versions looked at.
    pub versions: usize,
    /// Packs looked at.
    pub packs: usize,
    /// Frames in them.
    pub frames: u64,
    /// Bytes of frames that were read and verified; 0 when data was not read.
    pub bytes: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What it is about.
    pub object: Object,
    /// What is wrong with it, and what can be done.
    pub problem: String,
    /// Which versions cannot be read because of it, and where. Empty: none.
    pub affected: BTreeMap<VersionId, Vec<Range<u64>>>,
}

/// A thing in a repository that can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A pack, by its name.
    Pack(Digest),
    /// An index file, by its path.
    Index(String),
    /// The manifest of a version.
    Manifest(VersionId),
    /// A block or a map page in a pack.
    Frame {
        /// Digest of its plain bytes.
        digest: Digest,
        /// The pack that holds it,
        pack: Digest,
        /// and where in it.
        offset: u32,
    },
    /// Blocks and map pages that are in no pack, and no index tells in which they were.
    Lost,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pack(id) => write!(f, "pack {id}"),
            Self::Index(path) => write!(f, "index {path}"),
            Self::Manifest(id) => write!(f, "manifest of version {id}"),
            Self::Frame { digest, pack, offset } => write!(f, "{digest} at byte {offset} of pack {pack}"),
            Self::Lost => write!(f, "blocks in no pack"),
        }
    }
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, object: Object, problem: impl Into<String>) -> usize {
        self.findings.push(Finding { object, problem: problem.into(), affected: BTreeMap::new() });
        self.findings.len() - 1
    }
}

impl Repository {
    /// Looks at everything: settings were read when it was opened, here come index, packs, manifests and maps, and
    /// with `read_data` every byte of every pack. `watch` is told bytes of packs. Damage is in the report; an error
    /// means that the check itself could not be made.
    pub fn check(&self, read_data: bool, watch: Watch) -> Result<Report> {
        let inner = &*self.inner;
        // A collector must not take away what is being looked at.
        let _lock = Lock::shared(inner.place.root(), "check", watch)?;
        let mut check = Check { inner, report: Report::default(), sound: Vec::new(), bad: HashMap::new() };
        check.index_and_packs(read_data, watch)?;
        check.versions(watch)?;
        Ok(check.report)
    }
}

/// A check on its way.
struct Check<'a> {
    inner: &'a Inner,
    report: Report,
    /// What is in a sound pack; sorted.
    sound: Vec<Digest>,
    /// What is not readable, and by which finding.
    bad: HashMap<Digest, usize>,
}

impl Check<'_> {
    fn index_and_packs(&mut self, read_data: bool, watch: Watch) -> Result<()> {
        let place = &self.inner.place;
        let index = Index::load(place, true)?;
        for (path, why) in &index.damaged {
            let object = Object::Index(path.display().to_string());
            self.report.find(object, format!("{why}. It is not used; gc removes it"));
        }
        let mut bad_packs = HashMap::new();
        let mut whole = Vec::new();
        let packs = index::list_packs(place)?;
        self.report.packs = packs.len();
        let expected: BTreeMap<Digest, u64> = index.covered().map(|pack| (pack.id, pack.length)).collect();
        for (id, length) in &packs {
            let read = match expected.get(id) {
                Some(should) if should != length => Err(Error::damaged(format!(
                    "it is {length} bytes long and should be {should} (truncated, or something was added)"
                ))),
                _ => File::open(pack::path(place, *id))
                    .map_err(|e| Error::io(format!("pack {id} cannot be opened: {e}"), e))
                    .and_then(|file| Ok((pack::read_directory(&file, *id, *length)?, file))),
            };
            match read {
                Ok((entries, file)) => whole.push((*id, file, entries)),
                Err(e) => {
                    bad_packs.insert(*id, self.report.find(Object::Pack(*id), e.to_string()));
                }
            }
        }
        for id in expected.keys().filter(|id| !packs.contains_key(id)) {
            bad_packs.insert(*id, self.report.find(Object::Pack(*id), "it is missing"));
        }
        self.report.frames = whole.iter().map(|(_, _, entries)| entries.len() as u64).sum();
        self.sound = whole.iter().flat_map(|(_, _, entries)| entries.iter().map(|e| e.digest)).collect();
        self.sound.sort_unstable();
        let sound = &self.sound;
        let bad = &mut self.bad;
        index.each_entry(
            |id| bad_packs.contains_key(&id),
            |Location { pack, entry }| {
                // A block that is in another pack too is read from there.
                if sound.binary_search(&entry.digest).is_err() {
                    bad.insert(entry.digest, bad_packs[&pack]);
                }
                Ok(())
            },
        )?;
        if read_data { self.frames(whole, watch) } else { Ok(()) }
    }

    /// Reads every frame of the packs, on all cores.
    fn frames(&mut self, packs: Vec<(Digest, File, Vec<Entry>)>, watch: Watch) -> Result<()> {
        let next = AtomicUsize::new(0);
        let found = Mutex::new((Vec::new(), 0, None));
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    while let Some((id, file, entries)) = packs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = read_frames(*id, file, entries, watch);
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        match result {
                            Ok((bad, bytes)) => {
                                found.0.extend(bad);
                                found.1 += bytes;
                            }
                            Err(e) => {
                                found.2 = Some(e);
                                return;
                            }
                        }
                    }
                });
            }
        });
        let (mut bad, bytes, error) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = error {
            return Err(error);
        }
        self.report.bytes = bytes;
        bad.sort_by_key(|(location, _)| (location.pack, location.entry.offset));
        for (Location { pack, entry }, problem) in bad {
            let object = Object::Frame { digest: entry.digest, pack, offset: entry.offset };
            let finding = self.report.find(object, problem);
            self.bad.insert(entry.digest, finding);
        }
        Ok(())
    }

    fn versions(&mut self, watch: Watch) -> Result<()> {
        // A page that many versions share is looked at once; most have nothing wrong in them.
        let mut pages: HashMap<Digest, Vec<(Range<usize>, usize)>> = HashMap::new();
        let mut lost = None;
        for id in manifest::list(&self.inner.place)? {
            let manifest = match Manifest::read(&self.inner.place, id) {
                Ok(Some(manifest)) => manifest,
                Ok(None) => continue,
                Err(e) => {
                    let finding = self.report.find(Object::Manifest(id), e.to_string());
                    // How large its disk was nobody knows.
                    self.report.findings[finding].affected.entry(id).or_default().push(0..u64::MAX);
                    continue;
                }
            };
            self.report.versions += 1;
            if watch(0).is_break() {
                return Err(Error::stopped());
            }
            for (number, page) in (0u64..).zip(&manifest.pages) {
                if page.is_hole() {
                    continue;
                }
                if !pages.contains_key(page) {
                    let wrong = self.page(page, &mut lost);
                    pages.insert(*page, wrong);
                }
                for (slots, finding) in &pages[page] {
                    let at = |slot: usize| {
                        (number * PAGE_SPAN).saturating_add((slot * BLOCK) as u64).min(manifest.size)
                    };
                    let range = at(slots.start)..at(slots.end);
                    let ranges = self.report.findings[*finding].affected.entry(id).or_default();
                    match ranges.last_mut() {
                        Some(last) if last.end == range.start => last.end = range.end,
                        _ => ranges.push(range),
                    }
                }
            }
        }
        Ok(())
    }

    /// What is wrong with a page and the blocks that it names: which of them, by which finding.
    fn page(&mut self, digest: &Digest, lost: &mut Option<usize>) -> Vec<(Range<usize>, usize)> {
        if let Some(finding) = self.judge(digest, lost) {
            return vec![(0..PAGE_BLOCKS, finding)];
        }
        let page: Page = match self.inner.read_page(digest) {
            Ok(page) => page,
            Err(e) => {
                // Its frame is bad, and data was not read, or it went bad just now.
                let finding = match self.inner.index().find(digest) {
                    Ok(Some(Location { pack, entry })) => {
                        let object = Object::Frame { digest: *digest, pack, offset: entry.offset };
                        self.report.find(object, e.to_string())
                    }
                    _ => self.report.find(Object::Lost, e.to_string()),
                };
                self.bad.insert(*digest, finding);
                return vec![(0..PAGE_BLOCKS, finding)];
            }
        };
        let mut wrong: Vec<(Range<usize>, usize)> = Vec::new();
        for (slot, block) in page.0.iter().enumerate().filter(|(_, block)| !block.is_hole()) {
            let Some(finding) = self.judge(block, lost) else { continue };
            match wrong.last_mut() {
                Some((slots, last)) if slots.end == slot && *last == finding => slots.end += 1,
                _ => wrong.push((slot..slot + 1, finding)),
            }
        }
        wrong
    }

    /// The finding because of which `digest` cannot be read.
    fn judge(&mut self, digest: &Digest, lost: &mut Option<usize>) -> Option<usize> {
        if let Some(finding) = self.bad.get(digest) {
            return Some(*finding);
        }
        if self.sound.binary_search(digest).is_ok() {
            return None;
        }
        let report = &mut self.report;
        Some(*lost.get_or_insert_with(|| {
            report.find(Object::Lost, "they are in no pack that is there, and no index tells where they were")
        }))
    }
}

/// Frames that are not what they should be, and why; and how many bytes were read.
type BadFrames = (Vec<(Location, String)>, u64);

fn read_frames(pack: Digest, file: &File, entries: &[Entry], watch: Watch) -> Result<BadFrames> {
    let mut order: Vec<&Entry> = entries.iter().collect();
    order.sort_unstable_by_key(|entry| entry.offset);
    let (mut bad, mut bytes) = (Vec::new(), 0);
    let (mut frame, mut plain) = (Vec::new(), vec![0; BLOCK]);
    let mut seen = HashSet::new();
    for entry in order {
        let location = Location { pack, entry: *entry };
        frame.resize(entry.length as usize, 0);
        let verified = file
            .read_exact_at(&mut frame, u64::from(entry.offset))
            .map_err(|e| Error::io(format!("it cannot be read: {e}"), e))
            .and_then(|()| block::unpack(&location, &frame, &mut plain[..entry.coding.plain_length()]))
            .and_then(|()| match entry.matches(&frame) {
                true => Ok(()),
                false => Err(Error::damaged("its frame does not have its sum")),
            });
        if let Err(e) = verified
            && seen.insert(entry.digest)
        {
            bad.push((location, e.to_string()));
        }
        bytes += u64::from(entry.length);
        if watch(u64::from(entry.length)).is_break() {
            return Err(Error::stopped());
        }
    }
    Ok((bad, bytes))
}
