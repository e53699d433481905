//! `PUT /import_raw_vdi`: a disk comes in.

use super::body::Incoming;
use super::{Refused, Transfer, send};
use crate::calls::{control_domain, sr, task, vdi};
use crate::facts::Role;
use crate::failure::{Failure, Reply};
use crate::fault::Fault;
use crate::http::{Connection, Request, failed_page, page, transfer_head};
use crate::pool::Pool;
use crate::transfer;
use crate::value::{Record, Value};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const ACTION: &str = "put_import_raw_vdi";
/// How long a client may send nothing.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the body is.
#[derive(Clone, Copy, PartialEq)]
enum Format {
    Raw,
    Chunked,
    Vhd,
}

/// Answers the request.
pub fn import(
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
    let (disk, format) = match prepare(&mut transfer, connection, request) {
        Ok(prepared) => prepared,
        Err(reply) => return send(connection, reply),
    };
    let attached = match control_domain::attach(pool, host, &disk.vdi, true) {
        Ok(attached) => attached,
        Err(failure) => return send(connection, Some(transfer.refuse(failure))),
    };
    connection.set_patience(Some(PATIENCE))?;
    let task = transfer.task.clone().unwrap_or_default();
    if transfer.fault == Some(Fault::TaskLost) {
        pool.db().remove("task", &task);
    }
    // The real server says that all is well before it has read a byte.
    if transfer.fault != Some(Fault::LoseReply) {
        connection.write_all(transfer_head(&task, "application/octet-stream", None).as_bytes())?;
        connection.flush()?;
    }
    let outcome = receive(&transfer, connection, request, &disk, format);
    drop(attached);
    let _ = sr::refresh(pool, &disk.sr); // only statistics
    renew_content(pool, &disk.vdi);
    let outcome = match &transfer.fault {
        Some(Fault::ErrorAfter(strings)) => Err(Failure(strings.clone())),
        _ => outcome,
    };
    task::end(pool, &task, &outcome.map(|()| Value::string(&disk.vdi)));
    Ok(())
}

/// Which disk, and in what format; or the reply to a request that cannot be.
fn prepare(
    transfer: &mut Transfer,
    connection: &Connection,
    request: &Request,
) -> Result<(vdi::Disk, Format), Option<Refused>> {
    let fails = |transfer: &Transfer, text: &str, reply| {
        transfer.end(&Err(Failure::internal(text)));
        Err(reply)
    };
    // The mere presence of the parameter counts.
    let chunked = request.parameter("chunked").is_some();
    let format = request.parameter("format").unwrap_or_else(|| "raw".to_owned());
    let to_sr = sr_of(transfer.pool, request);
    let disk = match (request.parameter("vdi"), &to_sr) {
        (Some(vdi), _) => transfer.disk(&vdi, ACTION)?,
        (None, Some(sr)) if format == "raw" && !chunked => new_disk(transfer, sr, request).map_err(Some)?,
        (None, Some(_)) => return Err(Some(page(400, ""))),
        (None, None) => return Err(Some(failed_page("Failure(\"Missing vdi query parameter\")"))),
    };
    transfer.must_see(&disk.sr, connection, request)?;
    transfer.task("Importing raw VDI");
    if let Some(encoding) = request.header("transfer-encoding") {
        return fails(transfer, &format!("Cannot handle encoding: {encoding}"), None);
    }
    match (format.as_str(), chunked) {
        ("raw", false) => Ok((disk, Format::Raw)),
        ("raw", true) => Ok((disk, Format::Chunked)),
        ("vhd", false) => Ok((disk, Format::Vhd)),
        ("vhd", true) => fails(transfer, "Cannot handle chunked VHD", Some(page(404, ""))),
        (other, _) => fails(transfer, &format!("Unknown format {other}"), Some(page(404, ""))),
    }
}

fn sr_of(pool: &Pool, request: &Request) -> Option<String> {
    let db = pool.db();
    let by_uuid = || db.by_uuid("SR", &request.parameter("sr_uuid")?).ok();
    request.parameter("sr_id").filter(|sr| db.has("SR", sr)).or_else(by_uuid)
}

/// A disk for an image that names none, as long as the image.
fn new_disk(transfer: &Transfer, sr: &str, request: &Request) -> Result<vdi::Disk, Refused> {
    let length = request.content_length().ok_or_else(|| page(400, ""))?;
    let fields = [
        ("name_label", Value::string("Imported VDI")),
        ("type", "user".into()),
        ("sharable", false.into()),
        ("read_only", false.into()),
    ];
    let record: Record = fields.map(|(name, value)| (name.to_owned(), value)).into();
    let made = vdi::make(transfer.pool, sr, i64::try_from(length).unwrap_or(i64::MAX), record);
    made.and_then(|vdi| vdi::Disk::find(transfer.pool, &vdi)).map_err(|failure| transfer.refuse(failure))
}

/// Notes that the disk holds something else than before.
fn renew_content(pool: &Pool, vdi: &str) {
    let mut db = pool.db();
    if let Ok(Value::Map(mut other)) = db.field("VDI", vdi, "other_config").cloned() {
        other.insert("content_id".to_owned(), Value::String(Uuid::new_v4().to_string()));
        let _ = db.set("VDI", vdi, "other_config", Value::Map(other)); // the disk was just read
    }
}

fn receive(
    transfer: &Transfer,
    connection: &mut Connection,
    request: &Request,
    disk: &vdi::Disk,
    format: Format,
) -> Reply<()> {
    let failed = |e: shale_disk::Error| transfer.failure(&e);
    if transfer.fault == Some(Fault::SrFull) {
        return Err(Failure::new("VDI_IO_ERROR", ["Device I/O errors"]));
    }
    let writer = disk.repository.writer(disk.uuid).map_err(failed)?;
    let length = request.content_length().or((format != Format::Chunked).then_some(0));
    let watch = transfer.watch(length.unwrap_or(writer.size()));
    let mut body = Incoming::new(connection, length, transfer);
    let done = match (format, &transfer.fault) {
        (Format::Raw, Some(Fault::ShortWrite(after))) => {
            transfer::import_raw(&mut (&mut body).take(*after), &writer, &watch)
        }
        (Format::Raw, _) => transfer::import_raw(&mut body, &writer, &watch),
        (Format::Chunked, Some(Fault::ShortWrite(after))) => {
            // That the end is missing is what is not noticed.
            transfer::import_chunked(&mut (&mut body).take(*after), &writer, &watch)
                .or(Ok(Default::default()))
        }
        (Format::Chunked, _) => transfer::import_chunked(&mut body, &writer, &watch),
        (Format::Vhd, _) => transfer::import_vhd(&mut body, &writer, &watch),
    };
    done.map_err(failed)?;
    let _ = io::copy(&mut body, &mut io::sink()); // what was sent beyond the image
    Ok(())
}
