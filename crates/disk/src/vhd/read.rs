//! Reading VHD.

use std::sync::Arc;

use super::ABSENT;
use super::footer::{Footer, Kind, LENGTH, checksum};
use crate::error::{corrupt, unsupported};
use crate::field::{be32, be64, bytes};
use crate::{Content, Disk, Extent, Result, check_range};

pub(super) const HEADER: usize = 1024;
const SECTOR: u64 = crate::SECTOR;

/// A VHD alone. In a differencing disk [`Content::Hole`] means that the parent shows.
pub struct Vhd<S = Arc<dyn Disk>> {
    source: S,
    size: u64,
    layout: Layout,
    parent: Option<Parent>,
    uuid: [u8; 16],
}

/// What a differencing disk says about its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The parent's UUID as in its footer.
    pub uuid: [u8; 16],
    /// File names or paths to look for, as written, `\` turned into `/`; the likeliest first.
    pub names: Vec<String>,
}

enum Layout {
    Fixed,
    Sparse {
        block: u64,
        /// Bytes of bitmap before each block.
        bitmap: u64,
        table: Vec<u32>,
        /// Bitmaps count only where a clear bit shows the parent.
        differencing: bool,
    },
}

impl<S: Disk> Vhd<S> {
    /// Reads footer, header and block table of `source`.
    pub fn new(source: S) -> Result<Self> {
        let footer = read_footer(&source)?;
        let (layout, parent) = match footer.kind {
            Kind::Fixed => {
                check_range(source.size(), 0, footer.size)?;
                (Layout::Fixed, None)
            }
            kind => read_header(&source, &footer, kind == Kind::Differencing)?,
        };
        Ok(Self { source, size: footer.size, layout, parent, uuid: footer.uuid })
    }

    /// The parent of a differencing disk.
    pub fn parent(&self) -> Option<&Parent> {
        self.parent.as_ref()
    }

    /// What children call this disk by.
    pub fn uuid(&self) -> [u8; 16] {
        self.uuid
    }

    /// What is at `offset`, for how long, and where in the file.
    fn locate(&self, offset: u64) -> Result<(Extent, u64)> {
        check_range(self.size, offset, 1)?;
        let data = |length| Extent { offset, length, content: Content::Data };
        let Layout::Sparse { block, bitmap, ref table, differencing } = self.layout else {
            let below = self.source.extent_at(offset)?;
            return Ok((Extent { length: below.length.min(self.size - offset), ..below }, offset));
        };
        let index = offset / block;
        let (inside, rest) = (offset % block, (block - offset % block).min(self.size - offset));
        let entry = table[index as usize];
        if entry == ABSENT {
            let mut next = index + 1;
            while table.get(next as usize) == Some(&ABSENT) {
                next += 1;
            }
            let end = (next * block).min(self.size);
            return Ok((Extent { offset, length: end - offset, content: Content::Hole }, 0));
        }
        let place = u64::from(entry) * SECTOR;
        let found = place + bitmap + inside;
        if !differencing {
            return Ok((data(rest), found));
        }
        let mut bits = vec![0; bitmap as usize];
        self.source.read_at(&mut bits, place)?;
        let set = |sector: u64| bits[(sector / 8) as usize] & (0x80 >> (sector % 8)) != 0;
        let first = inside / SECTOR;
        let here = set(first);
        let end = (first + 1..block / SECTOR).find(|s| set(*s) != here).unwrap_or(block / SECTOR);
        let length = (end * SECTOR - inside).min(rest);
        let content = if here { Content::Data } else { Content::Hole };
        Ok((Extent { offset, length, content }, found))
    }
}

/// The footer at the end, or its copy at the start of a file that lost its end.
fn read_footer(source: &dyn Disk) -> Result<Footer> {
    let length = LENGTH as u64;
    let mut b = [0; LENGTH];
    let end = source.size().checked_sub(length).ok_or_else(|| corrupt("the VHD is truncated"))?;
    source.read_at(&mut b, end)?;
    let at_end = Footer::parse(&b);
    if at_end.is_ok() {
        return at_end;
    }
    source.read_at(&mut b, 0)?;
    match Footer::parse(&b) {
        Ok(copy) if copy.kind != Kind::Fixed => Ok(copy),
        _ => at_end,
    }
}

/// What the dynamic header says of the blocks.
pub(super) struct Header {
    /// Bytes of a block.
    pub block: u64,
    /// Blocks that the disk has, so entries of the table that count.
    pub entries: u64,
    /// Where the table is.
    pub table_offset: u64,
}

impl Header {
    pub fn parse(h: &[u8; HEADER], footer: &Footer) -> Result<Self> {
        if &h[..8] != b"cxsparse" {
            return Err(corrupt(format!("no VHD header is at {}", footer.header_offset)));
        }
        if be32(h, 36) != checksum(h, 36) {
            return Err(corrupt("the VHD header's checksum is wrong"));
        }
        let block = u64::from(be32(h, 32));
        if !block.is_power_of_two() || !(512 << 10..=256 << 20).contains(&block) {
            return Err(unsupported(format!("VHD blocks of {block} bytes are not read")));
        }
        let (entries, there) = (footer.size.div_ceil(block), u64::from(be32(h, 28)));
        if there < entries {
            return Err(corrupt(format!("the VHD block table has {there} entries, {entries} are needed")));
        }
        Ok(Self { block, entries, table_offset: be64(h, 16) })
    }

    /// Bytes of the bitmap before each block.
    pub fn bitmap(&self) -> u64 {
        (self.block / SECTOR / 8).next_multiple_of(SECTOR)
    }
}

fn read_header(source: &dyn Disk, footer: &Footer, differencing: bool) -> Result<(Layout, Option<Parent>)> {
    let mut h = [0; HEADER];
    source.read_at(&mut h, footer.header_offset)?;
    let header = Header::parse(&h, footer)?;
    // What is read is really there, so that no more is allocated than the file is long.
    check_range(source.size(), header.table_offset, header.entries * 4)?;
    let mut raw = vec![0; (header.entries * 4) as usize];
    source.read_at(&mut raw, header.table_offset)?;
    let table = raw.chunks_exact(4).map(|b| be32(b, 0)).collect();
    let parent = if differencing { Some(read_parent(source, &h)?) } else { None };
    Ok((Layout::Sparse { block: header.block, bitmap: header.bitmap(), table, differencing }, parent))
}

/// Locators by likelihood: relative Windows path, absolute one, Mac URL; last the bare name.
fn read_parent(source: &dyn Disk, h: &[u8; HEADER]) -> Result<Parent> {
    const LONGEST: u32 = 4096;
    let mut names = Vec::new();
    for wanted in [b"W2ru", b"W2ku", b"MacX"] {
        for locator in (0..8).map(|i| &h[576 + i * 24..600 + i * 24]) {
            let length = be32(locator, 8);
            if &locator[..4] != wanted || length == 0 || length > LONGEST {
                continue;
            }
            let mut text = vec![0; length as usize];
            source.read_at(&mut text, be64(locator, 16))?;
            names.push(match wanted {
                b"MacX" => String::from_utf8_lossy(&text).trim_start_matches("file://").to_owned(),
                _ => utf16(&text, u16::from_le_bytes),
            });
        }
    }
    names.push(utf16(&h[64..576], u16::from_be_bytes));
    for name in &mut names {
        *name = name.replace('\\', "/");
    }
    names.retain(|n| !n.is_empty());
    Ok(Parent { uuid: bytes(h, 40), names })
}

fn utf16(b: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units: Vec<u16> = b.chunks_exact(2).map(|b| unit(bytes(b, 0))).take_while(|u| *u != 0).collect();
    String::from_utf16_lossy(&units)
}

impl<S: Disk> Disk for Vhd<S> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.size, offset, buf.len() as u64)?;
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let (extent, place) = self.locate(at)?;
            let (part, tail) = rest.split_at_mut(extent.length.min(rest.len() as u64) as usize);
            match extent.content {
                Content::Data => self.source.read_at(part, place)?,
                Content::Zero | Content::Hole => part.fill(0),
            }
            at += part.len() as u64;
            rest = tail;
        }
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        Ok(self.locate(offset)?.0)
    }
}
