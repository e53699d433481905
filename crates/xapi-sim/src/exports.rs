//! The NBD servers of the hosts: on as long as a network is for it, encrypted or not as its purpose says.

use crate::calls::control_domain::{self, Attached};
use crate::calls::{host, vdi};
use crate::facts::Role;
use crate::fault::Fault;
use crate::nbd;
use crate::pool::Pool;
use crate::rpc;
use crate::value::Value;
use rustls::ServerConfig;
use shale_disk::{Disk, Error, ErrorKind, Extent, FileDisk};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use uuid::Uuid;

/// What rules for faults call a client that asks for a disk.
const CALL: &str = "NBD";

/// How disks are served.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Off,
    Plain,
    Encrypted,
}

/// Serves on these ports of these hosts until the pool stops.
pub fn serve(
    pool: Arc<Pool>,
    listeners: Vec<(String, TcpListener)>,
    tls: Arc<ServerConfig>,
) -> io::Result<JoinHandle<()>> {
    let run = move || {
        let (mut now, mut servers) = (Mode::Off, Vec::new());
        while !pool.is_stopping() {
            let seen = pool.db().generation();
            let wanted = mode(&pool);
            if wanted != now {
                servers.clear(); // clients of the old kind are hung up on
                for (host, listener) in listeners.iter().filter(|_| wanted != Mode::Off) {
                    servers.extend(start(
                        &pool,
                        host,
                        listener,
                        (wanted == Mode::Encrypted).then(|| tls.clone()),
                    ));
                }
                now = wanted;
            }
            pool.wait(seen, Duration::from_secs(3600));
        }
    };
    thread::Builder::new().name("nbd".to_owned()).spawn(run)
}

fn mode(pool: &Pool) -> Mode {
    let db = pool.db();
    let mut purposes =
        db.all("network").filter_map(|(_, network)| network.get("purpose")).flat_map(Value::items);
    let first = purposes.find(|purpose| ["nbd", "insecure_nbd"].contains(&purpose.text()));
    match first.map(Value::text) {
        None => Mode::Off,
        Some("nbd") => Mode::Encrypted,
        Some(_) => Mode::Plain,
    }
}

fn start(
    pool: &Arc<Pool>,
    host: &str,
    listener: &TcpListener,
    tls: Option<Arc<ServerConfig>>,
) -> Option<nbd::Server> {
    let (weak, host) = (Arc::downgrade(pool), host.to_owned());
    let find = move |uuid: Uuid, session: &str| {
        let pool = weak.upgrade()?;
        open(&pool, &host, uuid, session).map(|disk| disk as Arc<dyn Disk>)
    };
    nbd::Server::start(listener.try_clone().ok()?, tls, Box::new(find)).ok()
}

/// Opens a disk for a session, if its owner may read it and this host sees it.
fn open(pool: &Arc<Pool>, host: &str, uuid: Uuid, session: &str) -> Option<Arc<Served>> {
    let fault = pool.fault(CALL);
    if fault == Some(Fault::Refuse) {
        return None;
    }
    rpc::require(pool, session, "VDI.get_nbd_info", Role::VmAdmin).ok()?;
    let vdi = pool.db().by_uuid("VDI", &uuid.to_string()).ok()?;
    let disk = vdi::Disk::find(pool, &vdi).ok()?;
    if !host::sees(pool, host, &disk.sr) {
        return None;
    }
    let attached = control_domain::attach(pool, host, &vdi, false).ok()?;
    let left = match fault {
        Some(Fault::Cut(bytes)) => bytes,
        _ => u64::MAX,
    };
    Some(Arc::new(Served {
        disk: disk.repository.disk(uuid).ok()?,
        left: AtomicU64::new(left),
        _attached: attached,
    }))
}

/// A disk that is in use as long as a client has it open.
struct Served {
    disk: FileDisk,
    /// Bytes until it fails, as a rule for faults may want.
    left: AtomicU64,
    _attached: Attached,
}

impl Disk for Served {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> shale_disk::Result<()> {
        let take = |left: u64| if left == u64::MAX { Some(left) } else { left.checked_sub(buf.len() as u64) };
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => self.disk.read_at(buf, offset),
            Err(_) => Err(Error::new(ErrorKind::Io, "the disk fails, as was asked for")),
        }
    }

    fn extent_at(&self, offset: u64) -> shale_disk::Result<Extent> {
        self.disk.extent_at(offset)
    }
}
