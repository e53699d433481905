//! Machines on this host, run by QEMU.
mod settings;

use std::path::{Path, PathBuf};

use shale_disk::{Disk, Watch};

pub use settings::{Accelerator, Settings};

use crate::{Check, Connector, Error, ErrorKind, MachineSpec, Observed, Origin, Result, Tag};

/// The `local` connector.
pub struct Local {
    folder: PathBuf,
    settings: Settings,
}

impl Local {
    /// Machines kept below `folder`.
    pub fn new(folder: &Path, settings: Settings) -> Result<Self> {
        Ok(Self { folder: folder.to_owned(), settings: settings.checked()? })
    }
    fn later<T>(&self) -> Result<T> {
        let what =
            format!("{} {:?}: this connector cannot do that yet", self.folder.display(), self.settings);
        Err(Error::new(ErrorKind::Unsupported, what))
    }
}

impl Connector for Local {
    fn kind(&self) -> &'static str {
        "local"
    }
    fn test(&self) -> Vec<Check> {
        Vec::new()
    }
    fn inventory(&self) -> Result<Vec<Tag>> {
        self.later()
    }
    fn ensure_disk(&self, _: &Tag, _: &MachineSpec, _: &Origin, _: Watch) -> Result<()> {
        self.later()
    }
    fn ensure_machine(&self, _: &Tag, _: &MachineSpec) -> Result<()> {
        self.later()
    }
    fn power_on(&self, _: &Tag) -> Result<()> {
        self.later()
    }
    fn shut_down(&self, _: &Tag) -> Result<()> {
        self.later()
    }
    fn power_off(&self, _: &Tag) -> Result<()> {
        self.later()
    }
    fn observe(&self, _: &Tag) -> Result<Observed> {
        self.later()
    }
    fn open_changes(&self, _: &Tag) -> Result<Box<dyn Disk>> {
        self.later()
    }
    fn remove(&self, _: &Tag) -> Result<()> {
        self.later()
    }
}
