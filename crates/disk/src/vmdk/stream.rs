//! Writing streamOptimized: grains are deflated by several threads and sent in order; tables follow their grains.
//!
//! ```text
//!   marker   value u64 · size u32 · kind u32 (for size 0) · …      one sector
//!   grain    first sector u64 · size u32 · deflated bytes · padding to a sector
//! ```

use std::io::Write;
use std::sync::Arc;

use super::SECTOR;
use super::header::{AT_END, DESCRIPTOR_SECTORS, ENTRIES, GRAIN, Header, descriptor};
use crate::error::unsupported;
use crate::export::tell;
use crate::field::put;
use crate::pipeline::{default_threads, ordered};
use crate::plan::Runs;
use crate::{Disk, Error, Result, Sink, Watch};

const MARKER_END: u32 = 0;
const MARKER_TABLE: u32 = 1;
const MARKER_DIRECTORY: u32 = 2;
const MARKER_FOOTER: u32 = 3;
const GRAIN_BYTES: u64 = GRAIN * SECTOR;

/// Writes `disk`; the caller finishes the sink.
pub(crate) fn export_stream(disk: &dyn Disk, sink: &mut dyn Sink, watch: Watch) -> Result<()> {
    if disk.size() == 0 || !disk.size().is_multiple_of(SECTOR) {
        return Err(unsupported(format!("a disk of {} bytes cannot be exported", disk.size())));
    }
    let capacity = disk.size() / SECTOR;
    let mut header = Header {
        capacity,
        grain: GRAIN,
        entries: ENTRIES,
        descriptor: (1, DESCRIPTOR_SECTORS),
        redundant_directory: 0,
        directory: AT_END,
        overhead: GRAIN,
        compressed: true,
        zeroed_grains: false,
    };
    let mut front = header.encode().to_vec();
    front.extend(descriptor(capacity, "streamOptimized"));
    front.resize(GRAIN_BYTES as usize, 0);
    sink.data(&front)?;

    let runs = Arc::new(Runs::of(disk, GRAIN_BYTES)?);
    let mut out = Out { sink, sector: GRAIN, directory: vec![0; header.tables() as usize], table: None };
    let deflate = |grain| deflated(disk, grain).map(|packed| (grain, packed));
    ordered(default_threads(), Runs::into_blocks(runs).map(Ok), deflate, |(grain, packed)| {
        out.grain(grain, &packed)?;
        tell(watch, GRAIN_BYTES.min(disk.size() - grain * GRAIN_BYTES))
    })?;
    out.end_table()?;
    let mut directory: Vec<u8> = out.directory.iter().flat_map(|p| p.to_le_bytes()).collect();
    directory.resize(directory.len().next_multiple_of(SECTOR as usize), 0);
    header.directory = out.sector + 1;
    out.marked(MARKER_DIRECTORY, &directory)?;
    out.marked(MARKER_FOOTER, &header.encode())?;
    out.marked(MARKER_END, &[])
}

/// A grain with its marker.
fn deflated(disk: &dyn Disk, grain: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; GRAIN_BYTES as usize];
    let there = GRAIN_BYTES.min(disk.size() - grain * GRAIN_BYTES) as usize;
    disk.read_at(&mut bytes[..there], grain * GRAIN_BYTES)?;
    let mut packed = vec![0; 12];
    let mut encoder = flate2::write::ZlibEncoder::new(&mut packed, flate2::Compression::fast());
    let done = encoder.write_all(&bytes).and_then(|()| encoder.finish().map(drop));
    done.map_err(|e| Error::io(format!("cannot compress grain {grain}"), e))?;
    let size = packed.len() as u32 - 12;
    put(&mut packed, 0, &(grain * GRAIN).to_le_bytes());
    put(&mut packed, 8, &size.to_le_bytes());
    packed.resize(packed.len().next_multiple_of(SECTOR as usize), 0);
    Ok(packed)
}

/// What was written so far.
struct Out<'a> {
    sink: &'a mut dyn Sink,
    /// The next sector of the file.
    sector: u64,
    directory: Vec<u32>,
    /// The table of the grains being written, by its index.
    table: Option<(u64, Vec<u8>)>,
}

impl Out<'_> {
    fn grain(&mut self, grain: u64, packed: &[u8]) -> Result<()> {
        let index = grain / ENTRIES;
        if self.table.as_ref().is_some_and(|(open, _)| *open != index) {
            self.end_table()?;
        }
        let place = self.place(self.sector)?;
        let (_, table) = self.table.get_or_insert_with(|| (index, vec![0; ENTRIES as usize * 4]));
        put(table, (grain % ENTRIES) as usize * 4, &place.to_le_bytes());
        self.sink.data(packed)?;
        self.sector += packed.len() as u64 / SECTOR;
        Ok(())
    }

    fn end_table(&mut self) -> Result<()> {
        let Some((index, table)) = self.table.take() else { return Ok(()) };
        self.directory[index as usize] = self.place(self.sector + 1)?;
        self.marked(MARKER_TABLE, &table)
    }

    fn place(&self, sector: u64) -> Result<u32> {
        u32::try_from(sector).map_err(|_| {
            unsupported("more than 2 TiB of packed data do not fit into a VMDK: use another format")
        })
    }

    /// Whole sectors after a marker that says what they are.
    fn marked(&mut self, kind: u32, bytes: &[u8]) -> Result<()> {
        let sectors = bytes.len() as u64 / SECTOR;
        let mut marker = [0; SECTOR as usize];
        put(&mut marker, 0, &sectors.to_le_bytes());
        put(&mut marker, 12, &kind.to_le_bytes());
        self.sink.data(&marker)?;
        self.sink.data(bytes)?;
        self.sector += 1 + sectors;
        Ok(())
    }
}
