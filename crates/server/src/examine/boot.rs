//! What starts a system: boot loaders on EFI partitions, the menu of Windows, and what became of them.
//!
//! ```text
//!   FAT    \EFI\*\*.efi                    loaders; \EFI\BOOT\BOOT*.EFI is what firmware starts that knows no other
//!          \EFI\Microsoft\Boot\BCD         the menu of Windows, a hive
//!   NTFS   \Boot\BCD                       the same, on a BIOS
//! ```

use super::Finding;
use super::disk::{DiskFacts, Partition};
use super::room::Room;
use super::system::System;
use shale_disk::{Disk, ErrorKind, Result};
use shale_guest::catalogue::Code;
use shale_guest::linux::Look;
use shale_volume::files::{Files, Program};
use shale_volume::known::Known;
use std::sync::Arc;

/// Where the boot manager of Windows looks for its menu, on a BIOS and with EFI.
const MENUS: [&str; 2] = ["/Boot/BCD", "/EFI/Microsoft/Boot/BCD"];
/// Most that a menu has, in bytes: a thousand times what Windows makes.
const MENU: u64 = 16 << 20;
const EFI: &str = "/EFI";
/// How the path of the loader begins that firmware starts which knows of no other: that of every machine made of an image. What lies
/// beside it (`fbx64.efi`, `mmx64.efi`) is started by it.
const FALLBACK: &str = "/EFI/BOOT/BOOT";
/// Folders and entries of `\EFI` that are looked at, at most: far more than boot partitions have, and one that was made to mislead
/// may show the same folder a million times.
const ENTRIES: usize = 10_000;

/// What a partition has that starts a system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Boot {
    /// Paths of loaders.
    loaders: Vec<String>,
    /// Paths of menus, and why one is no hive.
    menus: Vec<(&'static str, Option<String>)>,
    /// What could not be read.
    unread: Option<String>,
}

/// What no longer starts a system on the disk `now`, which began as `base`.
pub fn examine(
    program: &Program,
    (now, after): (&Arc<dyn Disk>, &DiskFacts),
    (base, before): (&Arc<dyn Disk>, &DiskFacts),
    room: &Room,
) -> Result<Vec<Finding>> {
    let may_start = |part: &&Partition| matches!(part.known, Known::Ntfs | Known::Fat);
    let (mut gone, mut unread) = (Vec::new(), Vec::new());
    for old in before.partitions().iter().filter(may_start) {
        // One that is not there at all is told as lost.
        let Some(part) = after.at(old.range.start) else { continue };
        let covered = covered(old, part);
        if !old.is_clean() {
            unread.extend(covered.map(|lies| format!("what started the system from {old}, where {lies}")));
            continue;
        }
        let was = Boot::read(program, base, old, room)?;
        if let Some(lies) = covered {
            match (was.first(), &was.unread) {
                (Some(first), _) => gone.push(format!("{} was on {old}, where {lies}", shown(first))),
                (None, Some(why)) => {
                    unread.push(format!("what started the system from {old}, where {lies}: {why}"));
                }
                (None, None) => {}
            }
        }
        // One that was not left cleanly is told as that.
        if !may_start(&part) || !part.is_clean() {
            continue;
        }
        let is = Boot::read(program, now, part, room)?;
        match &is.unread {
            Some(why) if was.unread.is_none() => {
                unread.push(format!("what starts the system cannot be looked for on {part}: {why}"));
            }
            // It was so before: what is gone since then cannot be told.
            Some(_) => {}
            None => gone.extend(lost(&was, &is).into_iter().map(|what| format!("{what} {part}"))),
        }
    }
    Ok(Finding::of(Code::BootLoaderGone, gone)
        .into_iter()
        .chain(Finding::of(Code::NotChecked, unread))
        .collect())
}

impl Boot {
    fn read(program: &Program, disk: &Arc<dyn Disk>, part: &Partition, room: &Room) -> Result<Self> {
        let files = match Files::open(program, disk.clone(), part.range.clone()) {
            Ok(files) => files,
            Err(e) if e.kind() == ErrorKind::Io => return Err(e),
            Err(e) => return Ok(Self { unread: Some(crate::error::chain(&e)), ..Self::default() }),
        };
        let system = System::new(files, true, room);
        let menus = MENUS.into_iter().filter_map(|path| menu(&system, path)).collect();
        let loaders = if part.known == Known::Fat { loaders(&system) } else { Vec::new() };
        let unread =
            system.unasked().into_iter().next().map(|unread| format!("{}: {}", unread.what, unread.why));
        Ok(Self { loaders, menus, unread })
    }

    /// A loader, or else a menu.
    fn first(&self) -> Option<&str> {
        let loader = self.loaders.first().map(String::as_str);
        loader.or(self.menus.first().map(|(path, _)| *path))
    }
}

/// What lies where the partition `old` was, if that is of a kind whose files are not read. What is encrypted is told as that.
fn covered(old: &Partition, now: &Partition) -> Option<String> {
    match now.known {
        Known::Ntfs | Known::Fat | Known::BitLocker | Known::Luks => None,
        known if known == old.known => None,
        Known::Unknown => Some("nothing that is known lies now".to_owned()),
        known => Some(format!("{known} lies now")),
    }
}

/// A menu, and why it is no hive.
fn menu(system: &System, path: &'static str) -> Option<(&'static str, Option<String>)> {
    let hive = system.hive(path, MENU)?;
    Some((path, hive.err().map(|e| crate::error::chain(&e))))
}

/// The loaders in the folders of `\EFI`.
fn loaders(system: &System) -> Vec<String> {
    let (mut found, mut seen) = (Vec::new(), 0);
    for name in system.names(EFI) {
        for folder in [format!("{EFI}/{name}"), format!("{EFI}/{name}/Boot")] {
            let names = system.names(&folder);
            seen += 1 + names.len();
            let paths = names.into_iter().map(|name| format!("{folder}/{name}"));
            found.extend(paths.filter(|path| path.to_ascii_lowercase().ends_with(".efi")));
        }
        if seen > ENTRIES {
            system.note_text(EFI, "it has more entries than are looked at");
            break;
        }
    }
    found
}

/// What was there and is not, or is no longer what it was: sentences that end before the partition.
fn lost(was: &Boot, is: &Boot) -> Vec<String> {
    let mut lost = Vec::new();
    let fallback = |boot: &Boot| {
        let is_it = |path: &&String| {
            let parts = path.split_at_checked(FALLBACK.len());
            parts.is_some_and(|(start, rest)| start.eq_ignore_ascii_case(FALLBACK) && !rest.contains('/'))
        };
        boot.loaders.iter().find(is_it).cloned()
    };
    match (fallback(was), fallback(is)) {
        _ if !was.loaders.is_empty() && is.loaders.is_empty() => {
            lost.push(r"no boot loader (\EFI\…\*.efi) is left on".to_owned());
        }
        (Some(path), None) => {
            lost.push(format!("{}, which firmware starts by itself, is gone from", shown(&path)))
        }
        _ => {}
    }
    for (path, was_wrong) in &was.menus {
        match is.menus.iter().find(|(found, _)| found == path) {
            None => lost.push(format!("{} is gone from", shown(path))),
            Some((_, Some(why))) if was_wrong.is_none() => {
                lost.push(format!("{} cannot be read as a registry hive ({why}) on", shown(path)));
            }
            Some(_) => {}
        }
    }
    lost
}

/// A path as Windows and firmware write it.
fn shown(path: &str) -> String {
    path.replace('/', r"\")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(loaders: &[&str], menus: &[(&'static str, Option<&str>)]) -> Boot {
        let menus = menus.iter().map(|(path, why)| (*path, why.map(str::to_owned))).collect();
        Boot { loaders: loaders.iter().map(|path| (*path).to_owned()).collect(), menus, unread: None }
    }

    #[test]
    fn only_what_was_there_can_be_lost() {
        let (own, fallback) = ("/EFI/debian/shimx64.efi", "/efi/boot/BOOTX64.EFI");
        let menu = (MENUS[1], None);
        let whole = boot(&[own, fallback], &[menu]);
        assert_eq!(lost(&whole, &whole), Vec::<String>::new());
        assert_eq!(lost(&boot(&[], &[]), &boot(&[], &[])), Vec::<String>::new());
        assert_eq!(lost(&boot(&[own], &[]), &whole), Vec::<String>::new());
        let broken = boot(&[fallback], &[(MENUS[1], Some("no hive"))]);
        let told = lost(&whole, &broken);
        assert_eq!(told, [r"\EFI\Microsoft\Boot\BCD cannot be read as a registry hive (no hive) on"]);
        assert_eq!(lost(&broken, &broken), Vec::<String>::new(), "it was like that before");
        let told = lost(&whole, &boot(&[own], &[menu]));
        assert_eq!(told, [r"\efi\boot\BOOTX64.EFI, which firmware starts by itself, is gone from"]);
        let (beside, deeper) = ("/EFI/BOOT/fbx64.efi", "/EFI/BOOT/Boot/other.efi");
        let told = lost(&boot(&[beside, deeper, fallback], &[]), &boot(&[beside, deeper], &[]));
        assert_eq!(told, [r"\efi\boot\BOOTX64.EFI, which firmware starts by itself, is gone from"]);
        let told = lost(&whole, &boot(&[], &[]));
        assert_eq!(
            told,
            [r"no boot loader (\EFI\…\*.efi) is left on", r"\EFI\Microsoft\Boot\BCD is gone from"]
        );
    }
}
