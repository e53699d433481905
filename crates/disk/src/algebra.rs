//! Disks made of disks.
//!
//! ```text
//!   Window    ··[====]··      a part of a disk, from 0 on
//!   Joined    [==][====]      one after the other
//!   Resized   [====]000       the same disk, cut or followed by a hole
//!   Layered   [.#.#]          what the top lacks (its holes) shows the base
//!             [#####]
//! ```

use std::sync::Arc;

use crate::{Content, Disk, Extent, Result, check_range};

impl<D: Disk + ?Sized> Disk for Arc<D> {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        (**self).read_at(buf, offset)
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        (**self).extent_at(offset)
    }
}

/// Bytes in memory, all of them data. For tests, fuzzing and small made-up disks.
#[derive(Clone, Debug)]
pub struct Memory(pub Vec<u8>);

impl Disk for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.size(), offset, buf.len() as u64)?;
        let start = offset as usize;
        buf.copy_from_slice(&self.0[start..start + buf.len()]);
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        check_range(self.size(), offset, 1)?;
        Ok(Extent { offset, length: self.size() - offset, content: Content::Data })
    }
}

/// `length` bytes of a disk from `start` on: a partition, a member of an archive.
#[derive(Clone)]
pub struct Window<D> {
    disk: D,
    start: u64,
    length: u64,
}

impl<D: Disk> Window<D> {
    /// Errs when the window is not wholly inside `disk`.
    pub fn new(disk: D, start: u64, length: u64) -> Result<Self> {
        check_range(disk.size(), start, length)?;
        Ok(Self { disk, start, length })
    }
}

impl<D: Disk> Disk for Window<D> {
    fn size(&self) -> u64 {
        self.length
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.length, offset, buf.len() as u64)?;
        self.disk.read_at(buf, self.start + offset)
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        check_range(self.length, offset, 1)?;
        let below = self.disk.extent_at(self.start + offset)?;
        Ok(Extent { offset, length: below.length.min(self.length - offset), content: below.content })
    }
}

/// Disks one after the other.
pub struct Joined {
    /// With the first byte of each.
    parts: Vec<(u64, Arc<dyn Disk>)>,
    size: u64,
}

impl Joined {
    /// `parts` in order; those without bytes are left out.
    pub fn new(parts: Vec<Arc<dyn Disk>>) -> Self {
        let mut size = 0;
        let mut placed = Vec::new();
        for part in parts.into_iter().filter(|p| p.size() > 0) {
            let start = size;
            size += part.size();
            placed.push((start, part));
        }
        Self { parts: placed, size }
    }

    /// The part that holds `offset`, which is inside the disk, and where in it.
    fn part(&self, offset: u64) -> (&dyn Disk, u64) {
        let index = self.parts.partition_point(|(start, _)| *start <= offset) - 1;
        let (start, part) = &self.parts[index];
        (&**part, offset - start)
    }
}

impl Disk for Joined {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.size, offset, buf.len() as u64)?;
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let (part, inside) = self.part(at);
            let length = (part.size() - inside).min(rest.len() as u64) as usize;
            let (here, tail) = rest.split_at_mut(length);
            part.read_at(here, inside)?;
            at += length as u64;
            rest = tail;
        }
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        check_range(self.size, offset, 1)?;
        let (part, inside) = self.part(offset);
        Ok(Extent { offset, ..part.extent_at(inside)? })
    }
}

/// A disk shown with another size: what is too much is cut, what is missing is a hole.
#[derive(Clone)]
pub struct Resized<D> {
    disk: D,
    size: u64,
}

impl<D: Disk> Resized<D> {
    /// `disk` as if it had `size` bytes.
    pub fn new(disk: D, size: u64) -> Self {
        Self { disk, size }
    }
}

impl<D: Disk> Disk for Resized<D> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.size, offset, buf.len() as u64)?;
        let there = self.disk.size().saturating_sub(offset).min(buf.len() as u64) as usize;
        let (inside, beyond) = buf.split_at_mut(there);
        beyond.fill(0);
        if inside.is_empty() { Ok(()) } else { self.disk.read_at(inside, offset) }
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        check_range(self.size, offset, 1)?;
        if offset >= self.disk.size() {
            return Ok(Extent { offset, length: self.size - offset, content: Content::Hole });
        }
        let below = self.disk.extent_at(offset)?;
        Ok(Extent { length: below.length.min(self.size - offset), ..below })
    }
}

/// An overlay on its base: where the overlay has a hole, the base shows. A base of another size is cut, or
/// reads as zero past its end.
#[derive(Clone)]
pub struct Layered<T, B> {
    top: T,
    base: Resized<B>,
}

impl<T: Disk, B: Disk> Layered<T, B> {
    /// `top` over `base`; the size is that of `top`.
    pub fn new(top: T, base: B) -> Self {
        let size = top.size();
        Self { top, base: Resized::new(base, size) }
    }
}

impl<T: Disk, B: Disk> Disk for Layered<T, B> {
    fn size(&self) -> u64 {
        self.top.size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.size(), offset, buf.len() as u64)?;
        let mut rest = buf;
        let mut at = offset;
        while !rest.is_empty() {
            let extent = self.top.extent_at(at)?;
            let length = extent.length.min(rest.len() as u64) as usize;
            let (part, tail) = rest.split_at_mut(length);
            match extent.content {
                Content::Data => self.top.read_at(part, at)?,
                Content::Zero => part.fill(0),
                Content::Hole => self.base.read_at(part, at)?,
            }
            at += length as u64;
            rest = tail;
        }
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        let top = self.top.extent_at(offset)?;
        if top.content != Content::Hole {
            return Ok(top);
        }
        let base = self.base.extent_at(offset)?;
        Ok(Extent { length: base.length.min(top.length), ..base })
    }
}
