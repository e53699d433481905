//! Writing a disk in any format, strictly in order.

use crate::error::unsupported;
use crate::pipeline::{default_threads, ordered};
use crate::plan::{Piece, Plan, part};
use crate::{Disk, Error, ErrorKind, Format, Result, Sink, Watch, qcow2, vhd, vhdx, vmdk};

/// Writes `disk` to `sink` in `format`. Only data is read; holes and zeros are never read, and reach the sink as
/// [`Sink::zeros`] where the format has room for them at all. `watch` is told the bytes of the disk that are done.
///
/// Memory does not grow with the disk, beyond a few bytes for each run of data.
pub fn export(disk: &dyn Disk, format: Format, sink: &mut dyn Sink, watch: Watch) -> Result<()> {
    match format {
        Format::VmdkStream => vmdk::export_stream(disk, sink, watch)?,
        Format::Qcow2Compressed => {
            return qcow2::export_frames(disk.size(), &qcow2::Packing::new(disk)?, sink, watch);
        }
        _ => send(disk, planned(disk, format)?, sink, watch)?,
    }
    sink.finish()
}

/// How long the exported file will be, where that is known without reading any data.
pub fn exported_size(disk: &dyn Disk, format: Format) -> Result<Option<u64>> {
    match format {
        Format::VmdkStream | Format::Qcow2Compressed => Ok(None),
        _ => Ok(Some(planned(disk, format)?.length)),
    }
}

fn planned(disk: &dyn Disk, format: Format) -> Result<Plan<'_>> {
    if disk.size() == 0 || !disk.size().is_multiple_of(crate::SECTOR) {
        return Err(unsupported(format!("a disk of {} bytes cannot be exported", disk.size())));
    }
    match format {
        Format::Raw => Ok(Plan { length: disk.size(), pieces: Box::new(part(disk, 0, disk.size())) }),
        Format::Vhd => vhd::plan_dynamic(disk),
        Format::VhdFixed => vhd::plan_fixed(disk),
        Format::Vhdx => vhdx::plan(disk),
        Format::Vmdk => vmdk::plan_sparse(disk),
        Format::Qcow2 => qcow2::plan(disk),
        Format::VmdkStream | Format::Qcow2Compressed => {
            Err(unsupported(format!("{format} has no length that is known beforehand")))
        }
    }
}

/// Reads what the plan wants of the disk, ahead and in several threads, and sends all in order.
fn send(disk: &dyn Disk, plan: Plan, sink: &mut dyn Sink, watch: Watch) -> Result<()> {
    let read = |piece| match piece {
        Piece::Copy { offset, length } => {
            let mut bytes = vec![0; length as usize];
            disk.read_at(&mut bytes, offset)?;
            Ok((Piece::Bytes(bytes), length))
        }
        other => Ok((other, 0)),
    };
    ordered(default_threads(), plan.pieces, read, |(piece, done)| {
        match piece {
            Piece::Bytes(bytes) => sink.data(&bytes)?,
            Piece::Zeros(length) => sink.zeros(length)?,
            Piece::Copy { .. } => {}
        }
        tell(watch, done)
    })
}

/// Reports progress; errs when the caller wants to stop.
pub(crate) fn tell(watch: Watch, more: u64) -> Result<()> {
    match watch(more) {
        std::ops::ControlFlow::Continue(()) => Ok(()),
        std::ops::ControlFlow::Break(()) => Err(Error::new(ErrorKind::Stopped, "stopped as asked")),
    }
}
