//! What a packaging machine changed, as a stored delta: a version of a platform or app layer.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use shale_disk::{Disk, Error, ErrorKind, Result, Watch};

use crate::delta::{Body, Change, Item};
use crate::diff::{self, Compared, Keeper, diff};
use crate::exclude::Exclusions;
use crate::files::{Files, Kind, Program, show};
use crate::known::{Known, Volume};
use crate::os::os_volume;
use crate::outside;
use crate::stored::{Digest, Writer};

/// Notes about single files at most.
const NOTES: usize = 100;
/// Files of a boot partition that are named.
const NAMED: usize = 8;

/// A layer that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Of the whole delta.
    pub digest: Digest,
    /// Paths it says something of.
    pub entries: u64,
    /// Bytes of content it brings, each counted where it is used.
    pub bytes: u64,
    /// Changed paths that were left out, as the exclusions say.
    pub excluded: u64,
    /// What a person should know: changes that are no part of the layer, files that could not be taken apart.
    pub notes: Vec<String>,
}

/// Makes a layer of what differs between `base`, the disk that the packaging machine was given, and `now`, as the machine left
/// it. `changed` are the ranges of the disk that may differ, in order and apart; `None`: not known. `exclusions` are more
/// of the form of [`crate::exclude`], besides those of Shale. The delta is written into `file`, which is empty and can be
/// read and written, and is durable when this returns; `watch` is told the bytes of content that are read.
pub fn layer_of(
    program: &Program,
    base: Arc<dyn Disk>,
    now: Arc<dyn Disk>,
    changed: Option<&[Range<u64>]>,
    exclusions: &str,
    file: File,
    watch: Watch,
) -> Result<Captured> {
    let (before, after) = (os_volume(program, &base)?, os_volume(program, &now)?);
    if before.family != after.family {
        let text = format!(
            "the machine had {} and now has {}: no layer can be made of that",
            before.family, after.family
        );
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    let excluded = Exclusions::shipped(after.family)?.with(after.family, exclusions)?;
    let mut notes = Vec::new();
    for place in outside::places(&*base, &*now, changed.unwrap_or_default(), &after.range, watch)? {
        let paths = match &place.volume {
            Some(volume) if volume.known == Known::Fat => {
                boot_files(program, [&base, &now], volume, changed, watch)?
            }
            _ => None,
        };
        notes.extend(not_ours(&place.text, paths.as_deref()));
    }
    // Where the volume itself was moved, what changed says nothing of its files.
    let changed = changed.filter(|_| before.range.start == after.range.start);
    let changed = changed.map(|changed| outside::inside(changed, &after.range));
    let mut old = Files::open(program, base, before.range)?;
    let mut new = Files::open(program, now, after.range)?;
    let compared = Compared { base: &mut old, now: &mut new, changed: changed.as_deref() };
    let mut writer = Writer::new(file);
    let found = diff::layer(compared, Some(&excluded), &mut writer, watch)?;
    old.close()?;
    new.close()?;
    let delta = found.delta;
    for (path, why) in found.whole.iter().take(NOTES) {
        notes.push(format!("'/{}' is whole in the layer, and hides what others do to it: {why}", show(path)));
    }
    for path in found.encrypting.iter().take(NOTES) {
        notes.push(format!(
            "Windows encrypts (EFS) what is new in the folder '/{}': in the layer that folder is an ordinary one",
            show(path)
        ));
    }
    let digest = writer.finish(&delta)?;
    let (entries, bytes) = (delta.changes.len() as u64, delta.length());
    Ok(Captured { digest, entries, bytes, excluded: found.excluded, notes })
}

/// What is told of a place that is no part of a layer; nothing where none of its files changed.
fn not_ours(place: &str, paths: Option<&[String]>) -> Option<String> {
    let Some(paths) = paths else { return Some(format!("{place} changed: that is no part of the layer")) };
    let named = paths.iter().take(NAMED).map(|path| format!("'/{path}'")).collect::<Vec<_>>().join(", ");
    let more = match paths.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!paths.is_empty()).then(|| {
        format!(
            "{place} changed ({named}{more}): that is no part of the layer. What starts the system belongs to the OS layer: add a \
             version to that one to keep it"
        )
    })
}

/// The paths of a boot partition that differ. `None`: that cannot be told.
fn boot_files(
    program: &Program,
    [base, now]: [&Arc<dyn Disk>; 2],
    volume: &Volume,
    changed: Option<&[Range<u64>]>,
    watch: Watch,
) -> Result<Option<Vec<String>>> {
    let open = |disk: &Arc<dyn Disk>| Files::open_to_read_all(program, disk.clone(), volume.range.clone());
    let changed = changed.map(|changed| outside::inside(changed, &volume.range));
    let differs = || {
        diff(
            &mut open(base)?,
            &mut open(now)?,
            changed.as_deref(),
            &Exclusions::default(),
            &mut Nothing,
            watch,
        )
    };
    let is_told =
        |change: &Change| !matches!(change, Change::Put(Item { kind: Kind::Folder, body: Body::Kept, .. }));
    match differs() {
        Ok(delta) => {
            let told = delta.changes.iter().filter(|(_, change)| is_told(change));
            Ok(Some(told.map(|(path, _)| show(path)).collect()))
        }
        Err(e) if matches!(e.kind(), ErrorKind::Io | ErrorKind::Stopped) => Err(e),
        Err(_) => Ok(None),
    }
}

/// Keeps nothing: only what differs is asked for.
struct Nothing;

impl Keeper for Nothing {
    fn keep(
        &mut self,
        _: &[Range<u64>],
        _: &mut dyn FnMut(u64, &mut [u8]) -> Result<()>,
    ) -> Result<(Digest, u64)> {
        Ok((Digest::default(), 0))
    }
}
