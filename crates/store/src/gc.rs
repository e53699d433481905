//! Gives back what no version needs. A plan is made purely, can be read, and is then carried out.
//!
//! ```text
//!              no live byte          grace over, still no live byte
//!   in use ───────────────▶ marked ────────────────────────────────▶ deleted
//!     ▲ ▲                     │
//!     │ └─────────────────────┘ needed again (a save found its blocks)
//!     │
//!   mostly dead, or one of many small ones: live frames are copied to a new pack; the old one has no live byte then
//! ```
//!
//! Marks and their times are in `gc.json`. Nothing is deleted in the run that finds it unused. Deleting takes the
//! exclusive lock and plans again under it, so that no save can be about to refer to what goes; everything else
//! goes on beside saves.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::Watch;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::index;
use crate::live;
use crate::lock::{self, Lock};
use crate::pack::{self, Entry, Writer};
use crate::place::{self, Place};
use crate::repository::{Inner, Repository};

/// Below this share of live bytes a pack is rewritten.
const LIVE_PERCENT: u64 = 60;
/// A pack smaller than this is small,
const SMALL: u64 = 32 << 20;
/// and this many small ones are written into one.
const MANY_SMALL: usize = 32;
const MARKS_LIMIT: u64 = 256 << 20;

/// How a collection is made.
#[derive(Clone, Copy, Debug)]
pub struct GcOptions {
    /// What time it is.
    pub now: SystemTime,
    /// How long a pack stays after it was found unused.
    pub grace: Duration,
    /// Only tell what would be done.
    pub dry_run: bool,
}

impl GcOptions {
    /// A day's grace, but for an hour, so that a daily run deletes what the last one found.
    pub const GRACE: Duration = Duration::from_secs(23 * 3600);

    /// With the default grace.
    pub fn new(now: SystemTime) -> Self {
        Self { now, grace: Self::GRACE, dry_run: false }
    }
}

/// What is done with one pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Enough of it is needed.
    Keep,
    /// It was marked, and is needed again.
    Unmark,
    /// What is needed of it is copied, then it is marked.
    Rewrite,
    /// Nothing of it is needed: it is marked now.
    Mark,
    /// It is marked, and its grace is not over.
    Wait,
    /// It is marked, and its grace is over.
    Delete,
}

/// One pack and what is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackPlan {
    /// Its name.
    pub id: Digest,
    /// Length of its file.
    pub length: u64,
    /// Bytes of frames in it that are needed and not better found elsewhere.
    pub live: u64,
    /// What is done.
    pub action: Action,
}

/// What a collection does, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Every pack, by name.
    pub packs: Vec<PackPlan>,
}

/// What a collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// What it set out to do. With `dry_run` that is all.
    pub plan: Plan,
    /// Bytes of packs that were deleted.
    pub deleted: u64,
    /// Bytes of frames that were copied to new packs.
    pub copied: u64,
    /// Files that dead processes had left.
    pub swept: usize,
    /// Why nothing was deleted although something was due: who holds the repository. The next run does it.
    pub postponed: Option<String>,
}

impl Plan {
    /// Bytes of the packs with this action.
    pub fn bytes(&self, action: Action) -> u64 {
        self.with(action).map(|pack| pack.length).sum()
    }

    fn with(&self, action: Action) -> impl Iterator<Item = &PackPlan> {
        self.packs.iter().filter(move |pack| pack.action == action)
    }
}

/// A pack as the plan sees it.
#[derive(Clone, Copy, Debug)]
struct Usage {
    id: Digest,
    length: u64,
    /// Bytes of all its frames.
    frames: u64,
    /// Bytes of those that are needed, and that no better pack has.
    live: u64,
}

/// `gc.json`: since when packs are unused, in seconds since 1970.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Marks {
    unused: BTreeMap<String, u64>,
}

/// The decision, without a look at any file.
fn plan(usages: &[Usage], marks: &BTreeMap<Digest, u64>, now: u64, grace: u64) -> Plan {
    let small = |usage: &Usage| usage.length < SMALL && usage.live > 0 && !marks.contains_key(&usage.id);
    let many_small = usages.iter().filter(|usage| small(usage)).count() >= MANY_SMALL;
    let decide = |usage: &Usage| match (usage.live, marks.get(&usage.id)) {
        (0, None) => Action::Mark,
        (0, Some(since)) if now.saturating_sub(*since) >= grace => Action::Delete,
        (0, Some(_)) => Action::Wait,
        (_, Some(_)) => Action::Unmark,
        (live, None) if live.saturating_mul(100) < usage.frames.saturating_mul(LIVE_PERCENT) => {
            Action::Rewrite
        }
        (_, None) if many_small && small(usage) => Action::Rewrite,
        (_, None) => Action::Keep,
    };
    let packs = usages.iter().map(|usage| PackPlan {
        id: usage.id,
        length: usage.length,
        live: usage.live,
        action: decide(usage),
    });
    Plan { packs: packs.collect() }
}

impl Repository {
    /// What [`Repository::gc`] would do now. Changes nothing.
    pub fn gc_plan(&self, options: &GcOptions) -> Result<Plan> {
        let marks = read_marks(&self.inner.place)?;
        Ok(survey(&self.inner, &marks, options)?.plan)
    }

    /// Marks what no version needs, copies the rest of packs that are mostly dead, and deletes what was marked long
    /// enough ago. Does nothing in a damaged repository: what is needed must be known. `watch` is told copied bytes.
    pub fn gc(&self, options: &GcOptions, watch: Watch) -> Result<Collected> {
        let inner = &*self.inner;
        if options.dry_run {
            return Ok(Collected { plan: self.gc_plan(options)?, ..Collected::default() });
        }
        inner.check_writable()?;
        let mut collected = self.mark_and_rewrite(options, watch)?;
        if collected.plan.with(Action::Delete).next().is_none() {
            return Ok(collected);
        }
        match Lock::exclusive_now(inner.place.root(), "gc") {
            Ok(lock) => collected.deleted = delete(inner, &lock, options)?,
            Err(e) if e.kind() == ErrorKind::Busy => collected.postponed = Some(e.to_string()),
            Err(e) => return Err(e),
        }
        Ok(collected)
    }

    /// The part that goes on beside saves.
    fn mark_and_rewrite(&self, options: &GcOptions, watch: Watch) -> Result<Collected> {
        let inner = &*self.inner;
        let lock = Lock::shared(inner.place.root(), "gc", watch)?;
        let swept = lock::sweep(inner.place.root());
        inner.refresh(&lock)?;
        for (path, _) in &index::Index::load(&inner.place, true)?.damaged {
            inner.place.remove(path)?;
        }
        inner.refresh(&lock)?;
        let mut marks = read_marks(&inner.place)?;
        let survey = survey(inner, &marks, options)?;
        let copied = rewrite(inner, &lock, &survey, watch)?;
        for pack in &survey.plan.packs {
            match pack.action {
                Action::Mark | Action::Rewrite => {
                    marks.insert(pack.id, seconds(options.now));
                }
                Action::Unmark => {
                    marks.remove(&pack.id);
                }
                Action::Keep | Action::Wait | Action::Delete => {}
            }
        }
        write_marks(&inner.place, &lock, &marks)?;
        Ok(Collected { plan: survey.plan, copied, swept, ..Collected::default() })
    }
}

/// A plan and what it was made from.
struct Survey {
    plan: Plan,
    /// What is live in each pack that is to be rewritten.
    rewritten: Vec<(Digest, Vec<Entry>)>,
}

fn survey(inner: &Inner, marks: &BTreeMap<Digest, u64>, options: &GcOptions) -> Result<Survey> {
    let live = live::live(inner)?;
    let packs = index::list_packs(&inner.place)?;
    let mut directories = Vec::new();
    for (id, length) in &packs {
        let file = File::open(pack::path(&inner.place, *id))
            .map_err(|e| Error::io(format!("cannot open pack {id}"), e))?;
        directories.push((*id, *length, pack::read_directory(&file, *id, *length)?));
    }
    // What lies in several packs counts in one: the first that is not marked. So a rewritten pack has nothing live.
    directories.sort_by_key(|(id, ..)| (marks.contains_key(id), *id));
    let mut counted: HashSet<Digest> = HashSet::with_capacity(live.len());
    let mut usages = Vec::new();
    let mut homes: HashMap<Digest, Vec<Entry>> = HashMap::new();
    for (id, length, entries) in directories {
        let frames = entries.iter().map(|entry| u64::from(entry.length)).sum();
        let home: Vec<Entry> =
            entries.into_iter().filter(|e| live.contains(&e.digest) && counted.insert(e.digest)).collect();
        let bytes = home.iter().map(|entry| u64::from(entry.length)).sum();
        usages.push(Usage { id, length, frames, live: bytes });
        if !home.is_empty() {
            homes.insert(id, home);
        }
    }
    if let Some(missing) = live.iter().find(|digest| !counted.contains(*digest)) {
        let text = format!("{missing} is needed and in no pack. Nothing was collected; run a check");
        return Err(Error::damaged(text));
    }
    usages.sort_by_key(|usage| usage.id);
    let plan = plan(&usages, marks, seconds(options.now), options.grace.as_secs());
    let rewritten = plan.with(Action::Rewrite);
    let rewritten = rewritten.filter_map(|pack| Some((pack.id, homes.remove(&pack.id)?))).collect();
    Ok(Survey { plan, rewritten })
}

/// Copies live frames as they are, verified, into new packs, and adds these to the index.
fn rewrite(inner: &Inner, lock: &Lock, survey: &Survey, watch: Watch) -> Result<u64> {
    let (mut writer, mut closed, mut copied) = (None, Vec::new(), 0);
    let mut frame = Vec::new();
    for (id, entries) in &survey.rewritten {
        let mut entries = entries.clone();
        entries.sort_unstable_by_key(|entry| entry.offset);
        for entry in entries {
            frame.resize(entry.length as usize, 0);
            let there = inner.read_pack(*id, u64::from(entry.offset), &mut frame)?.is_some();
            if !there || !entry.matches(&frame) {
                let text = format!("{} at byte {} of pack {id} is damaged", entry.digest, entry.offset);
                return Err(Error::damaged(text + ". It was not copied; run a check"));
            }
            let mut open = match writer.take() {
                Some(open) => open,
                None => Writer::new(&inner.place, lock)?,
            };
            open.append(&frame, std::iter::once(entry))?;
            copied += u64::from(entry.length);
            if open.is_full() {
                closed.push(open.close()?)
            } else {
                writer = Some(open)
            }
            if watch(u64::from(entry.length)).is_break() {
                return Err(Error::stopped());
            }
        }
    }
    closed.extend(writer.map(Writer::close).transpose()?);
    if closed.is_empty() {
        return Ok(0);
    }
    for pack in closed {
        pack.publish(&inner.place)?;
    }
    inner.place.sync_folder(place::PACKS)?;
    inner.refresh(lock)?;
    Ok(copied)
}

/// Plans again, alone, and deletes what is still due.
fn delete(inner: &Inner, lock: &Lock, options: &GcOptions) -> Result<u64> {
    inner.refresh(lock)?;
    let mut marks = read_marks(&inner.place)?;
    let plan = survey(inner, &marks, options)?.plan;
    let due: BTreeSet<Digest> = plan.with(Action::Delete).map(|pack| pack.id).collect();
    if due.is_empty() {
        return Ok(0);
    }
    // The index first: if we die between, packs that no index knows are found and taken in again, and are still
    // unused. The other way round the index would name packs that are missing, which looks like damage.
    inner.drop_from_index(lock, &due)?;
    for id in &due {
        inner.place.remove(&pack::path(&inner.place, *id))?;
        marks.remove(id);
    }
    inner.place.sync_folder(place::PACKS)?;
    inner.refresh(lock)?;
    write_marks(&inner.place, lock, &marks)?;
    Ok(plan.bytes(Action::Delete))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn read_marks(place: &Place) -> Result<BTreeMap<Digest, u64>> {
    let path = place.root().join(place::MARKS);
    let Some(bytes) = place.read(&path, MARKS_LIMIT)? else { return Ok(BTreeMap::new()) };
    // Without its marks a pack is found unused anew and waits again: nothing is lost but time.
    let marks: Marks = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(marks.unused.into_iter().filter_map(|(id, since)| Some((id.parse().ok()?, since))).collect())
}

fn write_marks(place: &Place, lock: &Lock, marks: &BTreeMap<Digest, u64>) -> Result<()> {
    let unused = marks.iter().map(|(id, since)| (id.to_string(), *since)).collect();
    let text = serde_json::to_vec_pretty(&Marks { unused }).expect("marks are plain data");
    place.write(lock, &place.root().join(place::MARKS), &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pack_meets_its_fate() {
        const DAY: u64 = 24 * 3600;
        let (now, large) = (10 * DAY, 1 << 30);
        let usage = |n: u8, live_percent: u64| Usage {
            id: Digest([n; 32]),
            length: large,
            frames: 1000,
            live: live_percent * 10,
        };
        let cases = [
            (usage(1, 100), None, Action::Keep),
            (usage(2, 60), None, Action::Keep),
            (usage(3, 59), None, Action::Rewrite),
            (usage(4, 0), None, Action::Mark),
            (usage(5, 0), Some(now), Action::Wait),
            (usage(6, 0), Some(now - DAY + 1), Action::Wait),
            (usage(7, 0), Some(now - DAY), Action::Delete),
            (usage(8, 0), Some(now + DAY), Action::Wait),
            (usage(9, 1), Some(now - 9 * DAY), Action::Unmark),
        ];
        let marks = cases.iter().filter_map(|(usage, mark, _)| Some((usage.id, (*mark)?))).collect();
        let usages: Vec<Usage> = cases.iter().map(|(usage, ..)| *usage).collect();
        for (pack, (_, _, action)) in plan(&usages, &marks, now, DAY).packs.iter().zip(&cases) {
            assert_eq!(pack.action, *action, "{pack:?}");
        }
    }

    #[test]
    fn many_small_packs_become_one() {
        let small = |n: usize| Usage { id: Digest([n as u8; 32]), length: SMALL - 1, frames: 10, live: 10 };
        let actions = |count: usize| {
            let usages: Vec<Usage> = (0..count).map(small).collect();
            plan(&usages, &BTreeMap::new(), 0, 0).packs.iter().map(|pack| pack.action).collect::<HashSet<_>>()
        };
        assert_eq!(actions(MANY_SMALL - 1), HashSet::from([Action::Keep]));
        assert_eq!(actions(MANY_SMALL), HashSet::from([Action::Rewrite]));
    }
}
