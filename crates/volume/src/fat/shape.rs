//! Where the parts of a FAT file system lie, as its boot sector says.
//!
//! ```text
//!   FAT12, FAT16   boot sector, reserved │ table, its copies │ root folder │ clusters 2, 3, …
//!   FAT32          boot sector, information, … │ table, its copies │ clusters 2, 3, …     the root folder is a chain
//! ```
//!
//! Source: Microsoft, "FAT: General Overview of On-Disk Format" 1.03. FAT32 is told as Linux does it, by a table length of 0 in
//! the old field: many boot partitions are FAT32 with fewer clusters than the paper asks for.

use std::ops::Range;

use crate::health::Health;

/// Bytes of the boot sector that are read.
pub(crate) const SECTOR: usize = 512;
/// Longest table, which is kept in memory: 16 million clusters of FAT32.
const TABLE_LIMIT: u64 = 64 << 20;
/// Clusters from which on a volume has entries of 16 bits, and of 32.
const SIXTEEN: u64 = 4085;
const THIRTY_TWO: u64 = 65_525;

/// How many bits a cluster's entry in the table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Twelve,
    Sixteen,
    ThirtyTwo,
}

/// Where the root folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// In a place of its own.
    Fixed(Range<u64>),
    /// A chain that begins with this cluster.
    Chain(u32),
}

/// Offsets are bytes from the first one of the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub width: Width,
    /// Bytes of a sector.
    pub sector: u64,
    /// Bytes of a cluster.
    pub cluster: u64,
    /// How many there are; the first has number 2.
    pub clusters: u32,
    /// Where the tables that count begin: all copies, or the one that is in use.
    pub tables: Vec<u64>,
    /// Bytes of one of them.
    pub table: u64,
    pub root: Root,
    /// Where cluster 2 begins.
    pub data: u64,
    /// The sector with what is free (FAT32).
    pub information: Option<u64>,
    /// The boot sector says that it was in use.
    pub in_use: bool,
}

impl Shape {
    /// From the boot sector of a file system that has room for `size` bytes.
    pub fn parse(boot: &[u8; SECTOR], size: u64) -> Result<Self, &'static str> {
        let u16_at = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
        let u32_at = |at: usize| u16_at(at) | u16_at(at + 2) << 16;
        let either = |short: usize, long: usize| match u16_at(short) {
            0 => u32_at(long),
            short => short,
        };
        let (sector, per_cluster) = (u16_at(11), u64::from(boot[13]));
        let (reserved, copies, root_entries) = (u16_at(14), u64::from(boot[16]), u16_at(17));
        let (sectors, per_table) = (either(19, 32), either(22, 36));
        let is_wide = u16_at(22) == 0;
        let cluster = sector * per_cluster;
        if boot[510..] != [0x55, 0xaa] || !matches!(sector, 512 | 1024 | 2048 | 4096) {
            return Err("its boot sector is not understood");
        }
        if !per_cluster.is_power_of_two()
            || cluster > 256 << 10
            || reserved == 0
            || !(1..=4).contains(&copies)
        {
            return Err("its boot sector has absurd sizes");
        }
        let table = per_table * sector;
        let tables = reserved * sector;
        let root_start = tables + copies * table;
        let root_end = (root_start + root_entries * 32).next_multiple_of(sector);
        let end = sectors * sector;
        if end > size || root_end >= end || table == 0 {
            return Err("its boot sector claims more than there is room for");
        }
        if table > TABLE_LIMIT {
            return Err("it has more than 16 million clusters, which is more than is read");
        }
        let clusters = (end - root_end) / cluster;
        let (width, bits) = match (is_wide, clusters) {
            (true, _) => (Width::ThirtyTwo, 32),
            (false, ..SIXTEEN) => (Width::Twelve, 12),
            (false, ..THIRTY_TWO) => (Width::Sixteen, 16),
            (false, _) => return Err("its boot sector contradicts itself"),
        };
        let known = table * 8 / bits;
        if clusters == 0 || known < clusters + 2 || is_wide != (root_entries == 0) {
            return Err("its boot sector contradicts itself");
        }
        let root = match u32_at(44) as u32 {
            _ if !is_wide => Root::Fixed(root_start..root_start + root_entries * 32),
            first => Root::Chain(first),
        };
        let (active, is_alone) = (u16_at(40) & 15, u16_at(40) & 0x80 != 0);
        let counting = if is_wide && is_alone { active..active + 1 } else { 0..copies };
        if counting.end > copies {
            return Err("its boot sector contradicts itself");
        }
        let information = u16_at(48);
        Ok(Self {
            width,
            sector,
            cluster,
            clusters: u32::try_from(clusters).map_err(|_| "it has too many clusters")?,
            tables: counting.map(|copy| tables + copy * table).collect(),
            table,
            root,
            data: root_end,
            information: (is_wide && (1..reserved).contains(&information)).then_some(information * sector),
            in_use: boot[if is_wide { 65 } else { 37 }] & 1 != 0,
        })
    }

    /// How the file system was left, from the boot sector and the first eight bytes of its table.
    pub fn health(&self, first: [u8; 8]) -> Health {
        let second = match self.width {
            Width::Twelve => u32::MAX,
            Width::Sixteen => u32::from(u16::from_le_bytes([first[2], first[3]])) << 12 | 0xfff,
            Width::ThirtyTwo => u32::from_le_bytes([first[4], first[5], first[6], first[7]]),
        };
        if self.in_use || second & 1 << 27 == 0 {
            return Health::InUse("it is marked as mounted: the machine was not shut down".to_owned());
        }
        match second & 1 << 26 {
            0 => Health::CheckNeeded(
                "it notes errors of the disk: let its own tool check it (fsck.fat, chkdsk)".to_owned(),
            ),
            _ => Health::Clean,
        }
    }

    /// Where a cluster begins, if it has a number that one can have.
    pub fn place(&self, cluster: u32) -> Option<u64> {
        let number = cluster.checked_sub(2).filter(|number| *number < self.clusters)?;
        Some(self.data + u64::from(number) * self.cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boot(fields: &[(usize, &[u8])]) -> [u8; SECTOR] {
        let mut boot = [0; SECTOR];
        boot[510..].copy_from_slice(&[0x55, 0xaa]);
        for (at, bytes) in fields {
            boot[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        boot
    }

    #[test]
    fn a_floppy_is_laid_out_as_every_floppy_is() {
        let floppy: &[(usize, &[u8])] =
            &[(11, &[0, 2, 1, 1, 0, 2, 224, 0, 0x40, 0x0b, 0xf0, 9, 0]), (21, &[0xf0, 9, 0])];
        let shape = Shape::parse(&boot(floppy), 1_474_560).unwrap();
        assert_eq!((shape.width, shape.cluster, shape.clusters), (Width::Twelve, 512, 2847));
        assert_eq!(shape.tables, [512, 512 * 10]);
        assert_eq!(shape.root, Root::Fixed(19 * 512..33 * 512));
        assert_eq!(
            (shape.place(2), shape.place(2848), shape.place(2849)),
            (Some(33 * 512), Some(2879 * 512), None)
        );
        assert_eq!(
            Shape::parse(&boot(floppy), 1_474_559).err(),
            Some("its boot sector claims more than there is room for")
        );
    }

    proptest! {
        #[test]
        fn whatever_a_boot_sector_says_all_parts_lie_inside(
            bytes in prop::collection::vec(any::<u8>(), 96),
            sector in 0usize..4, per_cluster in 0u32..8, size in 0u64..1 << 33,
        ) {
            let mut boot = boot(&[(0, &bytes)]);
            boot[11..13].copy_from_slice(&(512u16 << sector).to_le_bytes());
            boot[13] = 1 << per_cluster;
            boot[16] %= 3;
            if let Ok(shape) = Shape::parse(&boot, size) {
                let last = shape.place(shape.clusters + 1).unwrap();
                prop_assert!(last + shape.cluster <= size);
                prop_assert!(shape.tables.iter().all(|table| table + shape.table <= shape.data));
                prop_assert!(!shape.tables.is_empty());
            }
        }
    }
}
