//! Partition tables: GPT and MBR, read; a GPT moved to the end of a disk that grows; and a partition that takes the room
//! behind it.
//! Sources: UEFI specification 2.10 §5.3 (GPT), §5.2.1 (MBR).
//!
//! ```text
//!   MBR   [ boot code │ 4 entries │ 55aa ] ……                       an extended entry chains logical ones
//!   GPT   [ protective MBR │ header │ entries ] …… [ entries │ backup header ]
//! ```

mod enlarge;
mod gpt;
mod grown;
mod mbr;

pub use enlarge::{Enlarged, Limit, enlarged};
pub use grown::{grown, growth};

use uuid::{Uuid, uuid};

use crate::{Disk, Result};

/// Type of the EFI system partition.
pub const ESP: Uuid = uuid!("C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
/// Type of the partition that GRUB boots a GPT disk from on a BIOS.
pub const BIOS_BOOT: Uuid = uuid!("21686148-6449-6E6F-744E-656564454649");

/// Type of the partition with the recovery environment of Windows.
pub const RECOVERY: Uuid = uuid!("DE94BBA4-06D1-4D40-A16A-BFD50179D6AC");

/// What kind of table a disk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// None: empty, or a file system on the whole disk.
    None,
    /// Master boot record.
    Mbr,
    /// GUID partition table.
    Gpt,
}

/// What a partition is for, as its table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// GPT.
    Guid(Uuid),
    /// MBR.
    Byte(u8),
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number, as Linux counts: from 1; logical ones from 5.
    pub index: u32,
    /// What it is for.
    pub kind: Type,
    /// Its own GUID; none in an MBR.
    pub id: Option<Uuid>,
    /// Its name; empty in an MBR.
    pub name: String,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// What a disk can be booted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// BIOS.
    Bios,
    /// UEFI.
    Uefi,
}

/// A disk's partition table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// GPT, MBR or none.
    pub kind: Kind,
    /// Bytes of a sector, in which a GPT counts.
    pub sector: u64,
    /// The partitions, by number.
    pub partitions: Vec<Partition>,
    /// The GPT was read from its backup at the disk's end, as the first is damaged.
    pub from_backup: bool,
    /// There is something to run in the first sector.
    pub boot_code: bool,
}

impl Table {
    /// What firmware boots the disk, as far as the table tells; [`Firmware::Bios`] when both would.
    /// `None` when nothing bootable is to be seen.
    pub fn firmware(&self) -> Option<Firmware> {
        let has = |wanted| self.partitions.iter().any(|p| p.kind == wanted);
        let bios = match self.kind {
            // A protective MBR has no code unless a loader was put there, which then needs its partition.
            Kind::Gpt => has(Type::Guid(BIOS_BOOT)) || self.boot_code,
            Kind::Mbr | Kind::None => self.boot_code,
        };
        let uefi = has(Type::Guid(ESP)) || has(Type::Byte(0xef));
        match (bios, uefi) {
            (true, _) => Some(Firmware::Bios),
            (false, true) => Some(Firmware::Uefi),
            (false, false) => None,
        }
    }
}

/// Reads the partition table of `disk`. A disk without one has an empty table; a damaged one is an error.
pub fn partitions(disk: &dyn Disk) -> Result<Table> {
    let mut first = [0; 512];
    if disk.size() < 512 {
        return Ok(Table::none());
    }
    disk.read_at(&mut first, 0)?;
    let mbr = mbr::Record::parse(&first);
    let boot_code = first[..440].iter().any(|b| *b != 0);
    if mbr.as_ref().is_none_or(mbr::Record::is_protective)
        && let Some(found) = gpt::Found::read(disk, mbr.is_some())?
    {
        return Ok(Table {
            kind: Kind::Gpt,
            sector: found.sector,
            partitions: found.partitions(disk)?,
            from_backup: found.from_backup,
            boot_code,
        });
    }
    match mbr {
        Some(record) if record.is_plausible(disk.size() / 512) => Ok(Table {
            kind: Kind::Mbr,
            partitions: mbr::partitions(disk, &record)?,
            boot_code,
            ..Table::none()
        }),
        _ => Ok(Table { boot_code: mbr.is_some() && boot_code, ..Table::none() }),
    }
}

impl Table {
    fn none() -> Self {
        Self { kind: Kind::None, sector: 512, partitions: Vec::new(), from_backup: false, boot_code: false }
    }
}
