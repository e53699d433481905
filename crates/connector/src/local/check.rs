//! The test of this host, line by line.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::folder::{self, Folder};
use super::{Settings, accelerator, firmware, power};
use crate::{Check, Outcome, Tag};

const GIB: u64 = 1 << 30;
/// Below this much free space a packaging machine is likely to fill its storage.
const SPACE_WANTED: u64 = 10 * GIB;

/// All lines.
pub(super) fn all(state: &Path, settings: &Settings) -> Vec<Check> {
    vec![
        qemu(),
        accelerator(settings),
        bios(),
        uefi(),
        processes(),
        storage(state),
        sockets(state),
        memory(settings),
    ]
}

fn line(name: &str, outcome: Outcome, detail: impl Into<String>, hint: Option<&str>) -> Check {
    Check { name: name.to_owned(), outcome, detail: detail.into(), hint: hint.map(str::to_owned), fix: None }
}

fn qemu() -> Check {
    let install = Some("install the package qemu-system-x86");
    let Some(program) = power::program() else {
        return line("QEMU", Outcome::Failed, format!("{} is not on the PATH", power::PROGRAM), install);
    };
    match Command::new(&program).arg("--version").output() {
        Ok(out) if out.status.success() => {
            let said = String::from_utf8_lossy(&out.stdout);
            let version = said.lines().next().unwrap_or_default();
            line("QEMU", Outcome::Ok, format!("{version}, {}", program.display()), None)
        }
        Ok(out) => {
            let said = String::from_utf8_lossy(&out.stderr);
            line("QEMU", Outcome::Failed, format!("{} does not run: {said}", program.display()), install)
        }
        Err(e) => line("QEMU", Outcome::Failed, format!("{} does not run: {e}", program.display()), install),
    }
}

fn accelerator(settings: &Settings) -> Check {
    match accelerator::choose(settings.accelerator) {
        Ok(choice) if choice.is_kvm => line("accelerator", Outcome::Ok, choice.reason, None),
        Ok(choice) => {
            let hint = "it works, about ten times slower; on a virtual host, switch on nested virtualization";
            line("accelerator", Outcome::Warn, choice.reason, Some(hint))
        }
        Err(e) => line("accelerator", Outcome::Failed, e.to_string(), None),
    }
}

fn bios() -> Check {
    match firmware::bios() {
        Some(path) => line("BIOS firmware", Outcome::Ok, path.display().to_string(), None),
        None => {
            let hint = Some("install the package seabios");
            line("BIOS firmware", Outcome::Warn, "SeaBIOS was not found where it is usually", hint)
        }
    }
}

fn uefi() -> Check {
    match firmware::uefi() {
        Some(uefi) => line("UEFI firmware", Outcome::Ok, uefi.code.display().to_string(), None),
        None => {
            let hint = Some("install the package ovmf");
            line("UEFI firmware", Outcome::Warn, "OVMF was not found; UEFI layers cannot be started", hint)
        }
    }
}

fn processes() -> Check {
    match Command::new("setsid").arg("--version").output() {
        Ok(_) => line("processes", Outcome::Ok, "machines run on when the server is restarted", None),
        Err(e) => {
            let hint = Some("install the package util-linux");
            line("processes", Outcome::Failed, format!("setsid does not run: {e}"), hint)
        }
    }
}

fn storage(state: &Path) -> Check {
    const NAME: &str = "storage";
    let shown = state.display();
    let writable = || -> std::io::Result<u64> {
        let probe = state.join(format!(".test-{}", std::process::id()));
        fs::write(&probe, b"test")?;
        fs::remove_file(&probe)?;
        let space = rustix::fs::statvfs(state)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    };
    if let Err(e) = folder::make_private(state) {
        return line(NAME, Outcome::Failed, e.to_string(), None);
    }
    match writable() {
        Ok(free) if free < SPACE_WANTED => {
            let detail = format!("'{shown}': only {:.1} GiB free", free as f64 / GIB as f64);
            line(NAME, Outcome::Warn, detail, Some("a machine is paused when its storage is full; make room"))
        }
        Ok(free) => line(NAME, Outcome::Ok, format!("'{shown}': {} GiB free", free / GIB), None),
        Err(e) => line(NAME, Outcome::Failed, format!("'{shown}' cannot be written to: {e}"), None),
    }
}

fn sockets(state: &Path) -> Check {
    // Every tag has the same length.
    let placed = Tag::parse("00000000-0000-0000-0000-000000000000").and_then(|tag| {
        folder::place_sockets(&Folder::of(state, &tag).path, &tag, &folder::runtime_folders())
    });
    match placed {
        Ok(path) => {
            let parent = path.parent().unwrap_or(&path);
            line("sockets", Outcome::Ok, format!("in '{}'", parent.display()), None)
        }
        Err(e) => line("sockets", Outcome::Failed, e.to_string(), None),
    }
}

fn memory(settings: &Settings) -> Check {
    let wanted = settings.memory_mib;
    let Some(available) = fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(available_mib) else {
        return line("memory", Outcome::Warn, "the host does not say how much memory is available", None);
    };
    let detail = format!("{available} MiB available, {wanted} MiB for each machine");
    if available < u64::from(wanted) {
        let hint = Some("lower memory_mib in the connector's configuration, or free memory");
        return line("memory", Outcome::Warn, detail, hint);
    }
    line("memory", Outcome::Ok, detail, None)
}

fn available_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_mebibytes() {
        let text = "MemTotal:       24683996 kB\nMemAvailable:   24437632 kB\n";
        assert_eq!(available_mib(text), Some(23864));
        assert_eq!(available_mib("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn storage_that_cannot_be_written_to_fails_the_test() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(storage(&file.join("below")).outcome, Outcome::Failed);
        assert_ne!(storage(folder.path()).outcome, Outcome::Failed);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left");
    }
}
