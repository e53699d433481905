//! A new version of an operating system that was made with a platform layer on it, without that layer.
//!
//! ```text
//!   old ──platform──▶ composed ──the machine's changes──▶ now
//!    │                                   │
//!    └───────────────────────────────────┴─ but what belongs to the platform layer ──▶ Changes over old
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use shale_disk::{Disk, Error, ErrorKind, FileDisk, Result, Watch};

use crate::apply::{Contents, apply};
use crate::changes::Changes;
use crate::compose::Layer;
use crate::delta::{Body, Change, Delta, Item};
use crate::diff::{self, Compared};
use crate::files::{Files, Kind, Program, show};
use crate::merge::dpkg;
use crate::os::{OsVolume, os_volume};
use crate::outside::{differing, inside};
use crate::plan::{Plan, plan};
use crate::stored::{Copied, Stored, Writer};
use crate::together::{Together, put_together};
use crate::tree::{Tree, split};

/// dpkg's list of packages.
const PACKAGES: &[u8] = b"var/lib/dpkg/status";

/// An operating system's new state.
pub struct Without {
    /// Over the old version's disk; read it as [`Changes::disk`].
    pub changes: Arc<Changes>,
    /// Paths, with a slash in front, that the machine changed and that belong to the platform layer: they were left out.
    pub left_out: Vec<String>,
    /// What both changed, and what became of it.
    pub conflicts: Vec<String>,
}

/// The three states of a machine that had a platform layer.
pub struct States {
    /// The operating system's version that it began from; where the machine's disk was made larger, as large as that.
    pub old: Arc<dyn Disk>,
    /// What the machine was given: `old` with the platform layer.
    pub composed: Arc<dyn Disk>,
    /// As the machine left it.
    pub now: Arc<dyn Disk>,
}

/// Does to the old version what the machine did to the composed disk, without what belongs to `platform`. `changed` are the ranges
/// in which `composed` and `now` may differ, in order and apart; `None`: not known, and then the disk is read outside the
/// operating system's volume. Changes there are taken as they are. `folder` is for the changes and other files without
/// a name.
pub fn without(
    program: &Program,
    states: &States,
    changed: Option<&[Range<u64>]>,
    platform: &Layer,
    folder: &Path,
    watch: Watch,
) -> Result<Without> {
    let os = one_volume(program, states)?;
    let (brought, mut brought_content) = platform.open(&os)?;
    let all = 0..states.now.size();
    let changed_inside = changed.map(|changed| inside(changed, &os.range));
    let mut before = Files::open(program, states.composed.clone(), os.range.clone())?;
    let mut after = Files::open(program, states.now.clone(), os.range.clone())?;
    let compared = Compared { base: &mut before, now: &mut after, changed: changed_inside.as_deref() };
    let (delta, mut stored) = machines(compared, folder, watch)?;
    before.close()?;
    after.close()?;

    let changes = Arc::new(Changes::new(states.old.clone(), folder)?);
    let mut files = Files::open_to_write(program, changes.clone(), os.range.clone())?;
    let old = Tree::read(&mut files, watch)?;
    let parted = part(delta, &brought, &old);
    let mut plan = plan(&[&parted.kept], &old);
    let mut together = put_together(&mut plan, &mut files, &old, &mut [&mut stored], true)?;
    let mut conflicts = told(&parted, &plan, &together);
    conflicts.extend(lacking(&plan, &together, &brought, &mut brought_content)?);
    apply(&mut files, &old, &plan, &mut [&mut stored, &mut together.made], watch)?;
    files.close()?;
    let changed = changed.unwrap_or(std::slice::from_ref(&all));
    differing(&*states.composed, &*states.now, changed, &os.range, watch, |range, bytes| {
        changes.write_at(bytes, range.start)
    })?;
    let left_out = parted.left_out.iter().map(|path| format!("/{}", show(path))).collect();
    Ok(Without { changes, left_out, conflicts })
}

/// Packages that need one which only the platform layer has.
fn lacking(plan: &Plan, together: &Together, brought: &Delta, content: &mut Stored) -> Result<Vec<String>> {
    let item = |change: Option<&Change>| match change {
        Some(Change::Put(item)) => Some(item.body.clone()),
        _ => None,
    };
    let merged = plan.changes.get(PACKAGES).filter(|_| plan.merged.contains_key(PACKAGES));
    let (Some(Body::New(streams)), Some(Body::Merged { difference, .. })) =
        (item(merged.map(|planned| &planned.change)), item(brought.changes.get(PACKAGES)))
    else {
        return Ok(Vec::new());
    };
    let Some(list) = streams.get(&b""[..]).and_then(|list| together.made.bytes(list.offset)) else {
        return Ok(Vec::new());
    };
    let mut bytes = vec![0; difference.size as usize];
    content.read(&difference, 0, &mut bytes)?;
    let told = |(package, needed): (String, String)| {
        format!(
            "the package '{package}' needs '{needed}', which only the platform layer has: install it in the operating system, too"
        )
    };
    Ok(dpkg::lacking(list, &bytes)?.into_iter().map(told).collect())
}

/// The volume of the operating system, which is at the same place in all states.
fn one_volume(program: &Program, states: &States) -> Result<OsVolume> {
    let os = os_volume(program, &states.now)?;
    for disk in [&states.old, &states.composed] {
        if disk.size() != states.now.size() || os_volume(program, disk)? != os {
            let text = "the machine changed the partition or the size of its operating system's disk: \
                        make this version without a platform layer";
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
    }
    Ok(os)
}

/// What the machine did, in a file without a name.
fn machines(compared: Compared, folder: &Path, watch: Watch) -> Result<(Delta, Copied)> {
    let failed = |e| Error::io(format!("a file for changes cannot be made in '{}'", folder.display()), e);
    let file = tempfile::tempfile_in(folder).map_err(failed)?;
    let mut writer = Writer::new(file.try_clone().map_err(failed)?);
    let found = diff::layer(compared, None, &mut writer, watch)?;
    writer.finish(&found.delta)?;
    let (delta, stored) =
        Stored::open(Arc::new(FileDisk::new(file, Path::new("what the machine changed"))?))?;
    Ok((delta, Copied(stored)))
}

/// What a machine did, parted.
struct Parted {
    /// What is the operating system's.
    kept: Delta,
    /// Paths that are the platform layer's.
    left_out: Vec<Vec<u8>>,
    /// Paths of the operating system that the platform layer changed, too.
    both: Vec<Vec<u8>>,
}

/// Parts what a machine did from what belongs to the platform layer: that which only this layer brought, and all that is in
/// folders that only it brought.
fn part(machine: Delta, platform: &Delta, old: &Tree) -> Parted {
    let fold = |path: &[u8]| match machine.kind.ignores_case() {
        true => String::from_utf8_lossy(path).to_uppercase().into_bytes(),
        false => path.to_vec(),
    };
    let there: BTreeSet<Vec<u8>> = old.0.keys().map(|path| fold(path)).collect();
    let brought: BTreeMap<Vec<u8>, &Change> =
        platform.changes.iter().map(|(path, change)| (fold(path), change)).collect();
    let is_platforms = |path: &[u8]| {
        let path = fold(path);
        let mut at = Some(&path[..]);
        while let Some(path) = at {
            if !there.contains(path) && matches!(brought.get(path), Some(Change::Put(_))) {
                return true;
            }
            at = split(path).map(|(folder, _)| folder);
        }
        false
    };
    let mut parted = Parted {
        kept: Delta { kind: machine.kind, changes: BTreeMap::new(), was: machine.was },
        left_out: Vec::new(),
        both: Vec::new(),
    };
    let mut lost: BTreeMap<Vec<u8>, Body> = BTreeMap::new();
    for (path, mut change) in machine.changes {
        if is_platforms(&path) {
            if let Change::Put(Item { body, .. }) = &change {
                lost.insert(path.clone(), body.clone());
            }
            // A folder whose times changed is nothing to tell.
            if !matches!(&change, Change::Put(Item { kind: Kind::Folder, body: Body::Kept, .. })) {
                parted.left_out.push(path);
            }
            continue;
        }
        if let Change::Put(item) = &mut change {
            name_anew(&path, item, &mut lost);
        }
        if brought.contains_key(&fold(&path)) && is_told(&change) {
            parted.both.push(path.clone());
        }
        parted.kept.changes.insert(path, change);
    }
    parted
}

/// Where the first name of a file is left out, the next of its names becomes the first.
fn name_anew(path: &[u8], item: &mut Item, lost: &mut BTreeMap<Vec<u8>, Body>) {
    let Body::NameOf(first) = &item.body else { return };
    let Some(body) = lost.get(first).cloned() else { return };
    if !matches!(body, Body::NameOf(_)) {
        lost.insert(first.clone(), Body::NameOf(path.to_vec()));
    }
    item.body = body;
}

/// Whether a change of what the platform layer changed, too, says more than a rule puts together, or than metadata.
fn is_told(change: &Change) -> bool {
    !matches!(change, Change::Put(Item { body: Body::Kept | Body::Merged { .. }, .. }))
}

fn told(parted: &Parted, plan: &Plan, together: &Together) -> Vec<String> {
    let both = parted.both.iter().map(|path| {
        format!(
            "'/{}' was changed by the platform layer and in the machine: the machine's is taken, look at it",
            show(path)
        )
    });
    let conflicts = plan.conflicts.iter().map(|conflict| {
        format!(
            "'/{}' was changed in the machine, and the operating system does not have it: left out",
            show(&conflict.path)
        )
    });
    let records = together.both.iter().map(|(path, _, what)| {
        format!(
            "in '/{}', {what} was changed in the machine and is not the operating system's alone: look at it",
            show(path)
        )
    });
    both.chain(conflicts).chain(records).collect()
}
