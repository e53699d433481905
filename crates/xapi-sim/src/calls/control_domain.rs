//! Attaching a disk to the control domain of a host, as a transfer does: the disk counts as in use until it is let go,
//! and a little longer.

use super::vdi;
use crate::failure::{Failure, Reply};
use crate::pool::Pool;
use crate::value::{Record, Value};
use std::sync::Arc;
use std::thread;

/// A disk attached to a control domain. Dropping it detaches the disk.
pub struct Attached {
    pool: Arc<Pool>,
    vbd: String,
    vdi: String,
}

/// Attaches a disk, unless somebody else writes it; to write it, unless anybody else has it.
pub fn attach(pool: &Arc<Pool>, host: &str, vdi: &str, write: bool) -> Reply<Attached> {
    let mut db = pool.db();
    let uuid = db.text("VDI", vdi, "uuid")?;
    vdi::must_have_data(&db, vdi)?;
    if vdi::attachments(&db, vdi).iter().any(|writes| *writes || write) {
        let text = format!("The VDI is not available [opterr=VDI {uuid} already attached RW]");
        return Err(Failure::new("SR_BACKEND_FAILURE_46", ["", &text, ""]));
    }
    let domain = db
        .with("VM", "resident_on", host)
        .into_iter()
        .find(|vm| db.field("VM", vm, "is_control_domain").is_ok_and(Value::is_true));
    let domain = domain.ok_or_else(|| Failure::new("HOST_OFFLINE", [host]))?;
    let record = Record::from([
        ("VM".to_owned(), Value::String(domain)),
        ("VDI".to_owned(), Value::string(vdi)),
        ("userdevice".to_owned(), "autodetect".into()),
        ("mode".to_owned(), if write { "RW" } else { "RO" }.into()),
        ("type".to_owned(), "Disk".into()),
        ("currently_attached".to_owned(), true.into()),
    ]);
    let vbd = db.insert("VBD", record);
    vdi::allow(&mut db, vdi)?;
    Ok(Attached { pool: pool.clone(), vbd, vdi: vdi.to_owned() })
}

impl Attached {
    fn detach(pool: &Pool, vbd: &str, vdi: &str) {
        let mut db = pool.db();
        db.remove("VBD", vbd);
        let _ = vdi::allow(&mut db, vdi); // the disk may be gone
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let delay = self.pool.config.detach_delay;
        if delay.is_zero() {
            return Self::detach(&self.pool, &self.vbd, &self.vdi);
        }
        let (pool, vbd, vdi) = (self.pool.clone(), self.vbd.clone(), self.vdi.clone());
        thread::spawn(move || {
            thread::sleep(delay);
            Self::detach(&pool, &vbd, &vdi);
        });
    }
}
