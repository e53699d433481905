//! Free clusters of NTFS, from `$Bitmap`.
//!
//! ```text
//!   0        boot sector: sizes, where the MFT begins
//!   MFT      record 0 $MFT · 2 $LogFile · 3 $Volume · 5 root folder · 6 $Bitmap · …
//!   record   "FILE", fix-ups, attributes: type, resident value or runs of clusters
//! ```
//!
//! Trusted only when the volume is not marked dirty, its log has no open client, and no hibernation image (also
//! Windows' "fast start-up") waits to continue with an older view of the disk. Structures: the Linux-NTFS project's
//! documentation; the rules for "clean" are those of ntfs-3g.

use crate::bytes::{Stretch, array, u16_at, u32_at, u64_at};
use crate::free::{Ranges, Unknown};
use crate::health::Health;

const LOG_FILE: u64 = 2;
const VOLUME: u64 = 3;
const ROOT: u64 = 5;
const BITMAP: u64 = 6;
const VOLUME_INFORMATION: u32 = 0x70;
const ATTRIBUTE_LIST: u32 = 0x20;
const DATA: u32 = 0x80;
const INDEX_ROOT: u32 = 0x90;
const INDEX_ALLOCATION: u32 = 0xa0;
const END: u32 = 0xffff_ffff;
/// Dirty, resize log, upgrade, mounted on NT4, delete USN, repair object ids: somebody wants to look first.
const UNFINISHED: u16 = 0x3f;
const RUNS_LIMIT: usize = 1 << 16;
const ATTRIBUTES_LIMIT: usize = 1 << 10;
/// A root folder has some dozens of entries.
const FOLDER_LIMIT: u64 = 4 << 20;
/// Bytes of a bitmap read at once.
const STROKE: u64 = 1 << 20;

/// A stretch of a file: clusters in the file, where they lie (`None`: sparse).
#[derive(Clone, Copy, Debug)]
struct Run {
    clusters: u64,
    at: Option<u64>,
}

/// An attribute's value.
enum Value {
    Resident(Vec<u8>),
    Runs { runs: Vec<Run>, size: u64 },
}

/// What the boot sector says.
struct Volume<'a> {
    stretch: &'a Stretch<'a>,
    cluster: u64,
    clusters: u64,
    mft: u64,
    record: usize,
}

pub(crate) fn free(stretch: &Stretch, ranges: &mut Ranges) -> Result<bool, Unknown> {
    if stretch.length < 512 {
        return Ok(false);
    }
    let boot = stretch.read(0, 512)?;
    if &boot[3..11] != b"NTFS    " || boot[510..] != [0x55, 0xaa] {
        return Ok(false);
    }
    let volume = Volume::parse(stretch, &boot)?;
    volume.is_clean()?;
    volume.log_is_closed()?;
    volume.is_awake()?;
    volume.clear_clusters(ranges)?;
    Ok(true)
}

/// How it was left. Windows that sleeps leaves the log open too: that comes first.
pub(crate) fn health(stretch: &Stretch) -> Result<Health, Unknown> {
    let volume = Volume::parse(stretch, &stretch.read(0, 512)?)?;
    let says = |checked: Result<(), Unknown>, health: fn(String) -> Health| match checked {
        Ok(()) => Ok(None),
        Err(Unknown::Because(why)) => Ok(Some(health(why))),
        Err(unreadable) => Err(unreadable),
    };
    let asleep = says(volume.is_awake(), Health::Hibernated)?;
    let dirty = || says(volume.is_clean(), Health::CheckNeeded);
    let open = || says(volume.log_is_closed(), Health::InUse);
    Ok(match (asleep, dirty()?) {
        (Some(health), _) | (None, Some(health)) => health,
        (None, None) => open()?.unwrap_or(Health::Clean),
    })
}

impl<'a> Volume<'a> {
    fn parse(stretch: &'a Stretch, boot: &[u8]) -> Result<Self, Unknown> {
        let sector = u64::from(u16_at(boot, 0xb)?);
        // A negative number is a power of two.
        let scaled = |byte: u8, unit: u64| match byte {
            0 => None,
            1..=0x80 => u64::from(byte).checked_mul(unit),
            _ => 1u64.checked_shl(u32::from(byte.wrapping_neg())),
        };
        let per_cluster = match boot[0xd] {
            byte @ 1..=0x80 => Some(u64::from(byte)),
            byte => 1u64.checked_shl(u32::from(byte.wrapping_neg())),
        };
        let cluster = per_cluster.and_then(|count| count.checked_mul(sector)).unwrap_or(0);
        let record = scaled(boot[0x40], cluster).unwrap_or(0);
        let is_power = |n: u64, least, most| n.is_power_of_two() && (least..=most).contains(&n);
        if !is_power(sector, 512, 4096)
            || !is_power(cluster, sector, 2 << 20)
            || !is_power(record, 512, 65536)
        {
            return Err("its boot sector has absurd sizes".into());
        }
        let sectors = u64_at(boot, 0x28)?;
        let inside = sectors.checked_mul(sector).is_some_and(|bytes| bytes <= stretch.length);
        let clusters = sectors / (cluster / sector);
        let mft = u64_at(boot, 0x30)?;
        if !inside || mft >= clusters || mft == 0 {
            return Err("its boot sector claims more than there is room for".into());
        }
        Ok(Self { stretch, cluster, clusters, mft, record: record as usize })
    }

    /// `$Volume` has no flag that asks for attention.
    fn is_clean(&self) -> Result<(), Unknown> {
        let record = self.system_record(VOLUME)?;
        let Some(Value::Resident(value)) = self.attribute(&record, VOLUME_INFORMATION, "")? else {
            return Err("it has no volume information".into());
        };
        let (major, flags) = (*value.get(8).ok_or("its volume information is cut off")?, u16_at(&value, 10)?);
        if major != 3 {
            return Err(format!("NTFS version {major} is not understood").into());
        }
        if flags & UNFINISHED != 0 {
            return Err("it is marked dirty: let Windows check it (chkdsk)".into());
        }
        Ok(())
    }

    /// `$LogFile` was closed, or is empty, so that nothing waits to be replayed.
    fn log_is_closed(&self) -> Result<(), Unknown> {
        let record = self.system_record(LOG_FILE)?;
        let Some(Value::Runs { runs, size }) = self.attribute(&record, DATA, "")? else {
            return Err("it has no log file".into());
        };
        let page = self.read_runs(&runs, size, 0, 4096)?;
        if page.iter().all(|byte| *byte == 0xff) {
            return Ok(());
        }
        let second = u64::from(u32_at(&page, 0x10)?);
        if !(512..=65536).contains(&second) {
            return Err("its log file is not understood".into());
        }
        let other = self.read_runs(&runs, size, second, 4096)?;
        // Two restart pages are written in turn; the newer one counts.
        let mut newest = None;
        for page in [page, other].iter().filter(|page| page.starts_with(b"RSTR")) {
            let area = usize::from(u16_at(page, 0x18)?);
            let (lsn, client, flags) =
                (u64_at(page, area)?, u16_at(page, area + 12)?, u16_at(page, area + 14)?);
            let closed = client == 0xffff || flags & 2 != 0;
            newest = newest.max(Some((lsn, closed)));
        }
        match newest {
            Some((_, true)) => Ok(()),
            Some((_, false)) => Err("its log is open: Windows was not shut down".into()),
            None => Err("its log file is not understood".into()),
        }
    }

    /// There is no `hiberfil.sys`, or Windows woke up from it.
    fn is_awake(&self) -> Result<(), Unknown> {
        let Some(number) = self.find_in_root("hiberfil.sys")? else { return Ok(()) };
        let record = self.any_record(number)?;
        let start = match self.attribute(&record, DATA, "")? {
            None => return Ok(()),
            Some(Value::Resident(value)) => value,
            Some(Value::Runs { size: 0, .. }) => return Ok(()),
            Some(Value::Runs { runs, size }) => self.read_runs(&runs, size, 0, size.min(4096) as usize)?,
        };
        let woken = start.iter().all(|byte| *byte == 0)
            || start.get(..4).is_some_and(|m| m.eq_ignore_ascii_case(b"wake"));
        if woken {
            return Ok(());
        }
        Err("Windows hibernates in it (or used fast start-up): shut it down fully".into())
    }

    /// The clear bits of `$Bitmap`.
    fn clear_clusters(&self, ranges: &mut Ranges) -> Result<(), Unknown> {
        let record = self.system_record(BITMAP)?;
        let (value, length) = match self.attribute(&record, DATA, "")? {
            Some(Value::Resident(value)) => (Value::Resident(value.clone()), value.len() as u64),
            Some(Value::Runs { runs, size }) => (Value::Runs { runs, size }, size),
            None => return Err("it has no bitmap".into()),
        };
        if length.checked_mul(8).is_none_or(|bits| bits < self.clusters) {
            return Err("its bitmap is too short".into());
        }
        let (mut first, end) = (0, self.clusters.div_ceil(8));
        while first < end {
            let count = (end - first).min(STROKE);
            let bytes = match &value {
                Value::Resident(value) => value[first as usize..(first + count) as usize].to_vec(),
                Value::Runs { runs, size } => self.read_runs(runs, *size, first, count as usize)?,
            };
            let is_free = |cluster: u64| match cluster.checked_sub(first * 8) {
                Some(bit) if bit < count * 8 => bytes[(bit / 8) as usize] & 1 << (bit % 8) == 0,
                _ => false,
            };
            // What is certainly in use must be so in its bitmap too.
            if is_free(0) || is_free(self.mft) {
                return Err("its bitmap is damaged: it calls the boot sector or the MFT free".into());
            }
            ranges.clear_bits(&bytes, first * 8, (count * 8).min(self.clusters - first * 8), self.cluster);
            first += count;
        }
        ranges.finish();
        Ok(())
    }

    /// One of the first 16 records, which lie where the boot sector says.
    fn system_record(&self, number: u64) -> Result<Vec<u8>, Unknown> {
        let at =
            self.mft.checked_mul(self.cluster).and_then(|at| at.checked_add(number * self.record as u64));
        self.fix_up(self.stretch.read(at.ok_or("its MFT lies nowhere")?, self.record)?, b"FILE")
    }

    /// Any record, through the runs of `$MFT`.
    fn any_record(&self, number: u64) -> Result<Vec<u8>, Unknown> {
        let mft = self.system_record(0)?;
        let Some(Value::Runs { runs, size }) = self.attribute(&mft, DATA, "")? else {
            return Err("its MFT has no runs".into());
        };
        let at = number.checked_mul(self.record as u64).ok_or("a record's number is absurd")?;
        self.fix_up(self.read_runs(&runs, size, at, self.record)?, b"FILE")
    }

    /// Puts back the last two bytes of each sector, which a torn write would leave different.
    fn fix_up(&self, mut record: Vec<u8>, magic: &[u8; 4]) -> Result<Vec<u8>, Unknown> {
        if !record.starts_with(magic) {
            return Err("a record is damaged: it does not begin as it should".into());
        }
        let (at, count) = (usize::from(u16_at(&record, 4)?), usize::from(u16_at(&record, 6)?));
        if count == 0 || (count - 1) * 512 != record.len() {
            return Err("a record is damaged: its fix-ups do not fit".into());
        }
        let mark: [u8; 2] = array(&record, at)?;
        for sector in 1..count {
            let right: [u8; 2] = array(&record, at + sector * 2)?;
            let end = &mut record[sector * 512 - 2..sector * 512];
            if end != mark {
                return Err("a record is damaged: it was written only in part".into());
            }
            end.copy_from_slice(&right);
        }
        Ok(record)
    }

    /// The value of the first attribute with this type and name.
    fn attribute(&self, record: &[u8], kind: u32, name: &str) -> Result<Option<Value>, Unknown> {
        let mut at = usize::from(u16_at(record, 0x14)?);
        let mut found = None;
        for _ in 0..ATTRIBUTES_LIMIT {
            let this = u32_at(record, at)?;
            if this == END {
                return Ok(found);
            }
            if this == ATTRIBUTE_LIST {
                return Err("a system file is so fragmented that it needs an attribute list".into());
            }
            let length = u32_at(record, at + 4)? as usize;
            let end = at.checked_add(length).filter(|end| *end <= record.len() && length >= 0x18);
            let bytes = &record[at..end.ok_or("an attribute is cut off")?];
            if this == kind && found.is_none() && attribute_name(bytes)? == name {
                found = Some(self.value(bytes)?);
            }
            at += length;
        }
        Err("a record has too many attributes".into())
    }

    fn value(&self, attribute: &[u8]) -> Result<Value, Unknown> {
        if attribute[8] == 0 {
            let (length, at) = (u32_at(attribute, 0x10)? as usize, usize::from(u16_at(attribute, 0x14)?));
            let value = at.checked_add(length).and_then(|end| attribute.get(at..end));
            return Ok(Value::Resident(value.ok_or("a value is cut off")?.to_vec()));
        }
        // Compressed or encrypted system files do not exist.
        if u16_at(attribute, 0xc)? & 0x40ff != 0 || u64_at(attribute, 0x10)? != 0 {
            return Err("a system file is stored in a way that is not understood".into());
        }
        let runs = usize::from(u16_at(attribute, 0x20)?);
        let (size, initialised) = (u64_at(attribute, 0x30)?, u64_at(attribute, 0x38)?);
        if initialised < size {
            return Err("a system file is not initialised to its end".into());
        }
        let runs = parse_runs(attribute.get(runs..).ok_or("runs are cut off")?, self.clusters)?;
        Ok(Value::Runs { runs, size })
    }

    /// `length` bytes from `offset` on of a file of `size` bytes.
    fn read_runs(&self, runs: &[Run], size: u64, offset: u64, length: usize) -> Result<Vec<u8>, Unknown> {
        let end = offset.checked_add(length as u64).filter(|end| *end <= size);
        if end.is_none() {
            return Err("a system file is too short".into());
        }
        let mut bytes = Vec::with_capacity(length);
        let mut begin = 0u64;
        for run in runs {
            let run_end = begin.saturating_add(run.clusters.saturating_mul(self.cluster));
            let at = offset + bytes.len() as u64;
            if at < run_end && bytes.len() < length {
                let count = (run_end - at).min((length - bytes.len()) as u64) as usize;
                match run.at {
                    Some(cluster) => {
                        bytes.extend(self.stretch.read(cluster * self.cluster + (at - begin), count)?);
                    }
                    None => bytes.resize(bytes.len() + count, 0),
                }
            }
            begin = run_end;
        }
        if bytes.len() < length {
            return Err("a system file has fewer clusters than bytes".into());
        }
        Ok(bytes)
    }

    /// The record of the file with this name (ASCII, any case) in the root folder. All entries are looked at: the
    /// order in the tree is not relied on.
    fn find_in_root(&self, name: &str) -> Result<Option<u64>, Unknown> {
        let record = self.system_record(ROOT)?;
        let Some(Value::Resident(root)) = self.attribute(&record, INDEX_ROOT, "$I30")? else {
            return Err("its root folder has no index".into());
        };
        // The index root: 16 bytes of head, then a node.
        if let Some(found) = find_in_node(root.get(0x10..).ok_or("an index is cut off")?, name)? {
            return Ok(Some(found));
        }
        let (runs, size) = match self.attribute(&record, INDEX_ALLOCATION, "$I30")? {
            None => return Ok(None),
            Some(Value::Runs { runs, size }) if size <= FOLDER_LIMIT => (runs, size),
            Some(_) => return Err("its root folder is absurdly large".into()),
        };
        let block = u32_at(&root, 8)? as usize;
        if !block.is_power_of_two() || !(512..=65536).contains(&block) {
            return Err("its root folder has absurd blocks".into());
        }
        for offset in (0..size / block as u64).map(|n| n * block as u64) {
            let bytes = self.read_runs(&runs, size, offset, block)?;
            if bytes.iter().all(|byte| *byte == 0) {
                continue;
            }
            let node = self.fix_up(bytes, b"INDX")?;
            if let Some(found) = find_in_node(&node[0x18..], name)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn attribute_name(attribute: &[u8]) -> Result<String, Unknown> {
    let (length, at) = (usize::from(attribute[9]), usize::from(u16_at(attribute, 10)?));
    utf16(attribute, at, length)
}

fn utf16(bytes: &[u8], at: usize, length: usize) -> Result<String, Unknown> {
    let units = (0..length).map(|i| u16_at(bytes, at + i * 2)).collect::<Result<Vec<u16>, Unknown>>()?;
    Ok(String::from_utf16_lossy(&units))
}

/// A node: u32 offset of the first entry, u32 end of the entries; entries: u64 file, u16 length, u16 key length,
/// u16 flags (2: last), key at 16: a file name (its length at 0x40, its characters from 0x42 on).
fn find_in_node(node: &[u8], name: &str) -> Result<Option<u64>, Unknown> {
    let (mut at, end) = (u32_at(node, 0)? as usize, u32_at(node, 4)? as usize);
    while at < end {
        let (length, flags) = (usize::from(u16_at(node, at + 8)?), u16_at(node, at + 12)?);
        if flags & 2 != 0 {
            break;
        }
        if length < 0x52 {
            return Err("an index entry is damaged".into());
        }
        let characters = usize::from(*node.get(at + 0x50).ok_or("an index entry is cut off")?);
        if utf16(node, at + 0x52, characters)?.eq_ignore_ascii_case(name) {
            return Ok(Some(u64_at(node, at)? & 0xffff_ffff_ffff));
        }
        at += length;
    }
    Ok(None)
}

/// Runs: a byte with the sizes of two numbers (low half: clusters, high half: where), the clusters, and the signed
/// distance from the run before; no distance: sparse.
fn parse_runs(mut bytes: &[u8], clusters: u64) -> Result<Vec<Run>, Unknown> {
    let mut runs = Vec::new();
    let mut last = 0i64;
    while let [head, rest @ ..] = bytes
        && *head != 0
    {
        let (length, distance) = (usize::from(head & 0xf), usize::from(head >> 4));
        let numbers = rest.get(..length + distance).filter(|_| (1..=8).contains(&length) && distance <= 8);
        let numbers = numbers.ok_or("runs are damaged")?;
        let count = signed(&numbers[..length]);
        if runs.len() >= RUNS_LIMIT || count <= 0 || count as u64 > clusters {
            return Err("runs are damaged".into());
        }
        let at = if distance == 0 {
            None
        } else {
            last = last.checked_add(signed(&numbers[length..])).ok_or("runs are damaged")?;
            let inside = u64::try_from(last).ok().filter(|at| at.saturating_add(count as u64) <= clusters);
            Some(inside.ok_or("a run lies outside the volume")?)
        };
        runs.push(Run { clusters: count as u64, at });
        bytes = &rest[length + distance..];
    }
    Ok(runs)
}

/// A little-endian number of 1 to 8 bytes with its sign.
fn signed(bytes: &[u8]) -> i64 {
    let fill = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
    let mut whole = [fill; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(whole)
}
