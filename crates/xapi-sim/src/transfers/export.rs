//! `GET /export_raw_vdi`: a disk goes out.

use super::body::Outgoing;
use super::{Refused, Transfer, send};
use crate::calls::{control_domain, task, vdi};
use crate::facts::Role;
use crate::failure::Failure;
use crate::fault::Fault;
use crate::http::{Connection, Request, failed_page, page, transfer_head};
use crate::pool::Pool;
use crate::transfer::{self, Parent, VhdExport};
use shale_disk::FileDisk;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::time::Duration;

const ACTION: &str = "get_export_raw_vdi";
/// How long a client may read nothing.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes that are sent at once.
const PIECE: usize = 256 << 10;

/// What is asked for.
struct Export {
    disk: vdi::Disk,
    base: Option<vdi::Disk>,
    format: &'static str,
    content_type: &'static str,
}

/// Answers the request.
pub fn export(
    pool: &Arc<Pool>,
    host: &str,
    connection: &mut Connection,
    request: &Request,
) -> io::Result<()> {
    let mut transfer = match Transfer::admit(pool, host, request, ACTION, Role::VmAdmin) {
        Ok(transfer) => transfer,
        Err(reply) => return send(connection, Some(reply)),
    };
    if let Err(reply) = transfer.strike() {
        return send(connection, reply);
    }
    let export = match prepare(&mut transfer, connection, request) {
        Ok(export) => export,
        Err(reply) => return send(connection, Some(reply)),
    };
    let disks = std::iter::once(&export.disk).chain(&export.base);
    let attached: Result<Vec<_>, _> =
        disks.map(|disk| control_domain::attach(pool, host, &disk.vdi, false)).collect();
    let attached = match attached {
        Ok(attached) => attached,
        Err(failure) => return send(connection, Some(transfer.refuse(failure))),
    };
    connection.set_patience(Some(PATIENCE))?;
    let task = transfer.task.clone().unwrap_or_default();
    if transfer.fault == Some(Fault::TaskLost) {
        pool.db().remove("task", &task);
    }
    let name = format!("{}.{}", export.disk.uuid, export.format);
    connection.write_all(transfer_head(&task, export.content_type, Some(&name)).as_bytes())?;
    let mut sent = give(&transfer, connection, &export);
    drop(attached);
    if let Some(Fault::ErrorAfter(strings)) = &transfer.fault {
        sent = Err(Failure(strings.clone()));
    }
    match sent {
        Ok(()) => {
            task::end_without_result(pool, &task);
            connection.flush()
        }
        Err(failure) => {
            let text = failed_page(&format!("Api_errors.Server_error({failure})"));
            task::end(pool, &task, &Err(failure));
            // The reply has begun, so this lands in the midst of the disk. The real server does just that.
            send(connection, Some(text))
        }
    }
}

/// Which disk, against which other, in what format; or the reply to a request that cannot be.
fn prepare(transfer: &mut Transfer, connection: &Connection, request: &Request) -> Result<Export, Refused> {
    let vdi = request.parameter("vdi");
    let vdi = vdi.ok_or_else(|| failed_page("Failure(\"Missing vdi query parameter\")"))?;
    let disk = transfer.disk(&vdi, ACTION)?;
    let base = request.parameter("base").map(|base| transfer.disk(&base, ACTION)).transpose()?;
    transfer.must_see(&disk.sr, connection, request)?;
    transfer.task("Exporting raw VDI");
    let format = request.parameter("format").unwrap_or_else(|| "raw".to_owned());
    let (format, content_type) = match format.as_str() {
        "raw" => ("raw", "application/octet-stream"),
        "vhd" => ("vhd", "application/vhd"),
        "tar" => ("tar", "application/x-tar"),
        other => {
            transfer.end(&Err(Failure::internal(&format!("Unknown format {other}"))));
            return Err(page(404, ""));
        }
    };
    Ok(Export { disk, base, format, content_type })
}

fn give(transfer: &Transfer, connection: &mut Connection, export: &Export) -> Result<(), Failure> {
    let failed = |e: shale_disk::Error| transfer.failure(&e);
    let Export { disk, base, format, .. } = export;
    let source = disk.repository.disk(disk.uuid).map_err(failed)?;
    let watch = transfer.watch(shale_disk::Disk::size(&source));
    let mut out = BufWriter::with_capacity(PIECE, Outgoing::new(connection, transfer));
    let done = match *format {
        "raw" => transfer::export_raw(&source, &mut out, &watch),
        "tar" => transfer::export_tar(&source, &mut out, &watch),
        _ => vhd(&source, disk, base.as_ref().filter(|_| transfer.fault != Some(Fault::BaseIgnored)))
            .and_then(|vhd| vhd.send(&mut out, &watch)),
    };
    done.map_err(failed)?;
    out.flush().map_err(|_| Failure::new("VDI_IO_ERROR", ["Device I/O errors"]))
}

/// The whole disk as a VHD, or what differs from a base.
fn vhd<'a>(
    source: &'a FileDisk,
    disk: &vdi::Disk,
    base: Option<&vdi::Disk>,
) -> shale_disk::Result<VhdExport<'a>> {
    let Some(base) = base else { return VhdExport::full(source, disk.uuid) };
    let changed = disk.repository.changed_blocks(base.uuid, disk.uuid)?;
    let parent = Parent { uuid: base.uuid, path: format!("{}.vhd", base.uuid), modified: 0 };
    VhdExport::delta(source, disk.uuid, &parent, &changed)
}
