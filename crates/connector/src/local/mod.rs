//! Machines on this host, run by QEMU.
//!
//! The packaging disk is never copied: QEMU reads the origin by NBD from a process that serves it, and writes into
//! an overlay. Both processes run on their own; they, and the machine's folder, are found again by the tag.
//!
//! ```text
//!   ServeCommand ──disk.sock──▶ QEMU ──▶ overlay.qcow2 ──open_changes──▶ Disk (a hole: as in the origin)
//!   (export)                    │ qmp.sock, vnc.sock, serial.log
//!                               └ user-mode network, 127.0.0.1:port ─▶ guest:22
//! ```
//!
//! Nothing here reads a disk, so that a machine is on within a moment whatever its size.

mod accelerator;
mod cd;
mod check;
mod command;
mod export;
mod firmware;
mod folder;
mod power;
mod process;
mod qmp;
mod settings;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use folder::{Folder, Record};
pub use settings::{Accelerator, FIELDS, Settings, StartsBy};
use shale_disk::{Disk, Extent, Watch, qcow2};

use crate::{
    Changes, Check, Connector, Error, ErrorKind, Firmware, MachineSpec, Observed, Origin, Power, Result, Tag,
};

/// A machine's logs are emptied beyond this.
const LOG_LIMIT: u64 = 64 << 20;

/// How often machines are listed while something is waited for.
const ROUND: Duration = Duration::from_secs(5);

/// How a packaging disk is made here.
const HOW: &str = "Nothing was copied: the machine reads the repository, and writes into an overlay.";

/// The `local` connector.
pub struct Local {
    state: PathBuf,
    settings: Settings,
}

impl Local {
    /// Machines kept below `state`, an absolute path in UTF-8 (QEMU's options take no other).
    pub fn new(state: &Path, settings: Settings) -> Result<Self> {
        if !state.is_absolute() || state.to_str().is_none() {
            let what = format!("the connector's folder must be an absolute path in UTF-8: {state:?}");
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        Ok(Self { state: state.to_owned(), settings: settings.checked()? })
    }

    fn folder(&self, tag: &Tag) -> Folder {
        Folder::of(&self.state, tag)
    }

    /// The record of a machine whose overlay is there.
    fn whole(&self, folder: &Folder) -> Result<Record> {
        let record = folder.existing()?;
        if folder.overlay().exists() {
            return Ok(record);
        }
        let what = format!(
            "the disk '{}' of the machine '{}' was deleted, and with it all that was changed; cancel and start anew",
            folder.overlay().display(),
            record.spec.name
        );
        Err(Error::new(ErrorKind::Damaged, what))
    }

    /// Gives a machine that starts by UEFI variables of its own.
    fn ensure_variables(&self, folder: &Folder, spec: &MachineSpec) -> Result<()> {
        if self.settings.firmware.of(spec.firmware) == Firmware::Bios || folder.efi_variables().exists() {
            return Ok(());
        }
        let new = power::uefi()?.new_variables;
        let bytes = fs::read(&new).map_err(|e| Error::io(format!("cannot read '{}'", new.display()), e))?;
        folder.publish("efi-variables.fd", &bytes)
    }

    fn place(&self, folder: &Folder) -> String {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        format!("host {}, folder {}", host.trim(), folder.path.display())
    }
}

impl Connector for Local {
    fn kind(&self) -> &'static str {
        "local"
    }

    fn test(&self) -> Vec<Check> {
        check::all(&self.state, &self.settings)
    }

    fn inventory(&self) -> Result<Vec<Tag>> {
        folder::tags(&self.state)
    }

    fn ensure_disk(&self, tag: &Tag, spec: &MachineSpec, origin: &Origin, watch: Watch) -> Result<String> {
        if watch(0).is_break() {
            return Err(Error::new(ErrorKind::Stopped, "stopped before the disk was made"));
        }
        if spec.disk_size < origin.disk.size() {
            let (size, least) = (spec.disk_size, origin.disk.size());
            let what = format!("a disk of {size} bytes is too small for an origin of {least} bytes");
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        let folder = self.folder(tag);
        folder.ensure()?;
        let _lock = folder.lock()?;
        let known = folder.record()?;
        if let Some(known) = known.as_ref().filter(|known| known.spec.disk_size != spec.disk_size) {
            let (is, asked) = (known.spec.disk_size, spec.disk_size);
            let what = format!("the disk of the machine {tag} was made with {is} bytes, not {asked}");
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        let sockets = match &known {
            Some(known) => known.sockets.clone(),
            None => folder::place_sockets(&folder.path, tag, &folder::runtime_folders())?,
        };
        let record =
            Record { format: 1, tag: tag.clone(), spec: spec.clone(), serve: origin.serve.clone(), sockets };
        if known.as_ref() != Some(&record) {
            folder.write_record(&record)?;
        }
        if folder.serial_log().exists() {
            // It was powered on: an overlay that is missing now is lost, and must not come back empty.
            return self.whole(&folder).map(|_| HOW.to_owned());
        }
        if folder.overlay().exists() {
            return Ok(HOW.to_owned());
        }
        let backing = format!("nbd+unix:///?socket={}", record.disk_socket().display());
        qcow2::create_overlay(&folder.overlay(), spec.disk_size, &backing, "raw")
            .map_err(|e| Error::disk(format!("the disk of the machine '{}' cannot be made", spec.name), e))?;
        Ok(HOW.to_owned())
    }

    fn ensure_machine(&self, tag: &Tag, spec: &MachineSpec) -> Result<()> {
        let folder = self.folder(tag);
        let _lock = folder.lock()?;
        let record = self.whole(&folder)?;
        if record.spec != *spec {
            folder.write_record(&Record { spec: spec.clone(), ..record })?;
        }
        self.ensure_variables(&folder, spec)
    }

    fn has_port(&self) -> bool {
        true
    }

    fn power_on(&self, tag: &Tag) -> Result<()> {
        let folder = self.folder(tag);
        let _lock = folder.lock()?;
        let record = self.whole(&folder)?;
        folder::make_private(&record.sockets)?;
        // The setting may be another one than it was when the machine was made.
        self.ensure_variables(&folder, &record.spec)?;
        export::ensure(&folder, &record)?;
        if !power::running(tag)?.is_empty() {
            match power::resume(&record) {
                // It was on its way off.
                Err(_) if power::running(tag)?.is_empty() => {}
                other => return other,
            }
        }
        power::start(&folder, &record, &self.settings)
    }

    fn shut_down(&self, tag: &Tag) -> Result<()> {
        let record = self.folder(tag).existing()?;
        if power::running(tag)?.is_empty() {
            return Ok(());
        }
        match power::press_button(&record) {
            // It went off while it was asked.
            Err(_) if power::running(tag)?.is_empty() => Ok(()),
            other => other,
        }
    }

    fn power_off(&self, tag: &Tag) -> Result<()> {
        match self.folder(tag).lock() {
            Err(e) if e.kind() == ErrorKind::Absent => power::cut(tag),
            lock => {
                let _lock = lock?;
                power::cut(tag)
            }
        }
    }

    fn observe(&self, tag: &Tag) -> Result<Observed> {
        let folder = self.folder(tag);
        let Some(record) = folder.record()? else { return Ok(Observed::absent()) };
        folder.bound_logs(LOG_LIMIT);
        let has_overlay = fs::metadata(folder.overlay());
        let mut seen = Observed {
            power: Power::Off,
            was_powered_on: folder.serial_log().exists(),
            name: record.spec.name.clone(),
            place: self.place(&folder),
            serial_log: Some(folder.serial_log()).filter(|path| path.exists()),
            port_log: Some(folder.port_log()).filter(|path| path.exists()),
            changed_bytes: has_overlay.map(|m| m.blocks() * 512).unwrap_or(0),
            ..Observed::absent()
        };
        let Some(process) = power::running(tag)?.pop() else {
            seen.detail = self.whole(&folder).err().map(|e| e.to_string());
            return Ok(seen);
        };
        let mended = power::mend_export(&folder, &record);
        let (state, detail) = power::state(&folder, &record);
        if power::running(tag)?.is_empty() {
            // It went off while it was asked.
            return Ok(seen);
        }
        seen.power = state;
        seen.detail = match mended {
            Ok(()) => detail,
            Err(e) => Some(format!("its disk is not served, so that it may stand still: {e}")),
        };
        seen.has_screen = true;
        seen.vnc_socket = Some(record.vnc_socket());
        seen.ssh = power::ssh_address(&process);
        seen.pid = Some(process.pid);
        Ok(seen)
    }

    fn open_screen(&self, tag: &Tag) -> Result<UnixStream> {
        let record = self.folder(tag).existing()?;
        if power::running(tag)?.is_empty() {
            let what = format!("the machine '{}' is off: power it on to see its screen", record.spec.name);
            return Err(Error::new(ErrorKind::Busy, what));
        }
        UnixStream::connect(record.vnc_socket()).map_err(|e| {
            Error::io(format!("the screen of the machine '{}' cannot be reached", record.spec.name), e)
        })
    }

    fn set_cd(&self, tag: &Tag, image: Option<&Path>, _: Watch) -> Result<()> {
        let folder = self.folder(tag);
        let _lock = folder.lock()?;
        let record = folder.existing()?;
        cd::place(&folder, image)?;
        match power::running(tag)?.is_empty() {
            true => Ok(()),
            false => cd::change(&folder, &record),
        }
    }

    fn open_changes(&self, tag: &Tag, _: Watch) -> Result<Changes> {
        let folder = self.folder(tag);
        let lock = folder.lock_shared()?;
        let record = self.whole(&folder)?;
        if !power::running(tag)?.is_empty() {
            let what = format!("the machine '{}' is on; shut it down first", record.spec.name);
            return Err(Error::new(ErrorKind::Busy, what));
        }
        let disk = qcow2::open_alone(&folder.overlay()).map_err(|e| {
            Error::disk(format!("the disk of the machine '{}' cannot be opened", record.spec.name), e)
        })?;
        let how = "Only the clusters that the overlay holds were read.".to_owned();
        Ok(Changes { disk: Box::new(KeptOff { disk, _lock: lock }), how })
    }

    fn await_change(&self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        let mut known: Option<Vec<u32>> = None;
        loop {
            let mut processes = Vec::new();
            for tag in self.inventory()? {
                processes.extend(power::running(&tag)?);
                processes.extend(export::of_tag(&tag)?);
            }
            let now: Vec<u32> = processes.iter().map(|process| process.pid).collect();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || known.is_some_and(|known| known != now) {
                return Ok(());
            }
            // An end is seen at once; a machine that was started is seen with the next list.
            process::any_end(&processes, left.min(ROUND));
            known = Some(now);
        }
    }

    fn remove(&self, tag: &Tag) -> Result<()> {
        let folder = self.folder(tag);
        let lock = match folder.lock() {
            Err(e) if e.kind() == ErrorKind::Absent => None,
            lock => Some(lock?),
        };
        let sockets = folder.record().ok().flatten().map(|record| record.sockets);
        folder.begin_removal()?;
        drop(lock);
        let mut processes = power::running(tag)?;
        processes.extend(export::of_tag(tag)?);
        process::end(&processes, Duration::from_secs(2))?;
        // Sockets that lie elsewhere: in the folder that was recorded, or, when the record is gone, in any. A
        // record may be spoilt: nothing is deleted that does not carry the tag.
        let elsewhere = folder::runtime_folders().into_iter().map(|dir| dir.join("shale").join(tag.as_str()));
        for dir in sockets.into_iter().chain(elsewhere) {
            if dir != folder.path && dir.ends_with(tag.as_str()) {
                let _ = fs::remove_dir_all(dir);
            }
        }
        folder.delete()
    }
}

/// The changes, with the machine kept off while they are read.
struct KeptOff<D> {
    disk: D,
    _lock: File,
}

impl<D: Disk> Disk for KeptOff<D> {
    fn size(&self) -> u64 {
        self.disk.size()
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> shale_disk::Result<()> {
        self.disk.read_at(buf, offset)
    }
    fn extent_at(&self, offset: u64) -> shale_disk::Result<Extent> {
        self.disk.extent_at(offset)
    }
}
