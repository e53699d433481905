//! Which file system, or what else, a part of a disk holds: told by its marks, never by a partition's type.

use std::fmt;
use std::ops::Range;

use shale_disk::{Disk, Error, ErrorKind, Result, table};

/// A part of a disk that may hold a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Bytes of the disk.
    pub range: Range<u64>,
    /// What it holds.
    pub known: Known,
}

/// The partitions of a disk, in the order of its table; a disk without a table is one volume.
pub fn volumes(disk: &dyn Disk) -> Result<Vec<Volume>> {
    let table = table::partitions(disk)?;
    let mut ranges: Vec<Range<u64>> = Vec::new();
    if table.kind == table::Kind::None {
        ranges.push(0..disk.size());
    }
    ranges.extend(table.partitions.iter().map(|part| part.offset..part.offset.saturating_add(part.length)));
    ranges.into_iter().map(|range| Ok(Volume { known: Known::of(disk, range.clone())?, range })).collect()
}

/// What is known by its marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// ext2, ext3 or ext4.
    Ext,
    /// NTFS.
    Ntfs,
    /// FAT12, FAT16 or FAT32.
    Fat,
    /// exFAT.
    ExFat,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
    /// ReFS.
    Refs,
    /// An encrypted volume of Linux.
    Luks,
    /// An encrypted volume of Windows.
    BitLocker,
    /// A part of a volume group of Linux.
    Lvm,
    /// A part of a RAID of Linux.
    Raid,
    /// Swap space.
    Swap,
    /// Nothing of these.
    Unknown,
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ext => "ext",
            Self::Ntfs => "NTFS",
            Self::Fat => "FAT",
            Self::ExFat => "exFAT",
            Self::Xfs => "XFS",
            Self::Btrfs => "btrfs",
            Self::Refs => "ReFS",
            Self::Luks => "LUKS",
            Self::BitLocker => "BitLocker",
            Self::Lvm => "LVM",
            Self::Raid => "RAID",
            Self::Swap => "swap",
            Self::Unknown => "unknown",
        })
    }
}

/// Offset and bytes. Encryption and volume managers first: whoever takes a partition over may leave old marks in it.
const MARKS: &[(Known, u64, &[u8])] = &[
    (Known::Luks, 0, b"LUKS\xba\xbe"),
    (Known::BitLocker, 3, b"-FVE-FS-"),
    (Known::Lvm, 0, b"LABELONE"),
    (Known::Lvm, 512, b"LABELONE"),
    (Known::Lvm, 1024, b"LABELONE"),
    (Known::Lvm, 1536, b"LABELONE"),
    (Known::Raid, 0, &[0xfc, 0x4e, 0x2b, 0xa9]),
    (Known::Raid, 4096, &[0xfc, 0x4e, 0x2b, 0xa9]),
    (Known::Swap, 4086, b"SWAPSPACE2"),
    (Known::Xfs, 0, b"XFSB"),
    (Known::Btrfs, 0x1_0040, b"_BHRfS_M"),
    (Known::Refs, 3, b"ReFS\0\0\0\0"),
    (Known::ExFat, 3, b"EXFAT   "),
    (Known::Ntfs, 3, b"NTFS    "),
    (Known::Ext, 1024 + 0x38, &[0x53, 0xef]),
    (Known::Fat, 54, b"FAT1"),
    (Known::Fat, 82, b"FAT32   "),
];

impl Known {
    /// What `range` of a disk holds. The only error is a disk that cannot be read.
    pub fn of(disk: &dyn Disk, range: Range<u64>) -> Result<Self> {
        let length = range.end.min(disk.size()).saturating_sub(range.start);
        for (known, offset, mark) in MARKS {
            let mut bytes = vec![0; mark.len()];
            if offset + mark.len() as u64 <= length {
                disk.read_at(&mut bytes, range.start + offset)?;
                if bytes == *mark {
                    return Ok(*known);
                }
            }
        }
        Ok(Self::Unknown)
    }

    /// Whether names that differ only in the size of letters are one.
    pub fn ignores_case(self) -> bool {
        matches!(self, Self::Ntfs | Self::Fat)
    }

    /// Why its files are not read.
    pub(crate) fn refused(self) -> Error {
        let why = match self {
            Self::Luks | Self::BitLocker => {
                format!("the volume is encrypted ({self}): its files can only be read once it is decrypted")
            }
            Self::Lvm | Self::Raid => {
                format!("the volume is a part of something larger ({self}), which is not read")
            }
            Self::Unknown => "there is no file system that is known".to_owned(),
            _ => format!(
                "files on {self} are not read or written; those on ext2, ext3, ext4, NTFS and FAT are"
            ),
        };
        Error::new(ErrorKind::Unsupported, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shale_disk::Memory;

    #[test]
    fn every_mark_is_told_and_encryption_wins_over_what_it_hides() {
        for (known, offset, mark) in MARKS {
            let mut bytes = vec![0; 128 << 10];
            bytes[*offset as usize..*offset as usize + mark.len()].copy_from_slice(mark);
            assert_eq!(Known::of(&Memory(bytes.clone()), 0..128 << 10).unwrap(), *known);
            bytes[..6].copy_from_slice(b"LUKS\xba\xbe");
            assert_eq!(Known::of(&Memory(bytes), 0..128 << 10).unwrap(), Known::Luks);
        }
        assert_eq!(Known::of(&Memory(vec![0; 20]), 0..100).unwrap(), Known::Unknown);
    }

    #[test]
    fn a_refusal_says_what_was_found() {
        for known in [Known::Luks, Known::BitLocker, Known::Xfs, Known::Btrfs, Known::Lvm] {
            assert!(known.refused().to_string().contains(&known.to_string()));
        }
    }
}
