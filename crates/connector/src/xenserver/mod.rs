//! Machines in a XenServer or XCP-ng pool, by the XenAPI.
//!
//! ```text
//!   Origin ──sparse upload──▶ base disk ──clone──▶ packaging disk ──VBD──▶ machine ◀──clone── template
//!                             (kept, bounded)          │ snapshot             │ RFB by CONNECT
//!                                                      ▼                      ▼
//!                              changed blocks + NBD, else VHD difference,   open_screen
//!                              else all ──spool──▶ open_changes
//! ```
//!
//! | file | what |
//! |---|---|
//! | `settings`, `address` | what an administrator says |
//! | `trust`, `certificate`, `stream`, `http`, `rpc` | one call to one host |
//! | `pool`, `memory` | calls to a pool: session, coordinator, what a restart must know |
//! | `record`, `fault`, `task`, `labels` | the pool's words and ours |
//! | `place` | the template and the storage |
//! | `sparse`, `transfer`, `prove`, `base`, `disk` | a disk gets there |
//! | `machine`, `screen`, `cd` | the machine |
//! | `image` | a machine that is a published image, and stays |
//! | `bitmap`, `nbd`, `spool`, `changes` | what changed comes back |
//! | `belongings`, `cleanup` | what is ours, and that it goes |
//! | `check` | the test, and the choices |
//!
//! Nothing is kept of a machine here: it is found on the pool by its tag.

mod address;
mod base;
mod belongings;
mod bitmap;
mod cd;
mod certificate;
mod changes;
mod check;
mod cleanup;
mod disk;
mod fault;
mod http;
mod image;
mod labels;
mod machine;
mod memory;
mod nbd;
mod place;
mod pool;
mod prove;
mod record;
mod rpc;
mod screen;
mod settings;
mod sparse;
mod spool;
mod stream;
mod task;
mod transfer;
mod trust;

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use shale_disk::{Disk, Extent, Watch};

use base::UnderWay;
use labels::Purpose;
use memory::Memory;
pub(crate) use memory::lend_owner;
use pool::{Pool, held};
pub use settings::{FIELDS, Secret, Settings};

use crate::{
    Changes, Check, Choice, Connector, Error, ErrorKind, MachineSpec, Observed, Origin, Published, Result,
    Tag,
};

/// How long one wait for events is; the pool may be asked for other things in between.
const WAIT: Duration = Duration::from_secs(30);

/// The `xenserver` connector.
pub struct XenServer {
    pool: Pool,
    under_way: UnderWay,
    /// Machines whose changes are being read, with how many readers.
    reading: Arc<Mutex<BTreeMap<Tag, usize>>>,
    /// How far events were told.
    token: Mutex<Told>,
}

/// Which machines were watched, and from where the pool is to go on.
#[derive(Default)]
struct Told {
    classes: Vec<String>,
    token: String,
}

impl XenServer {
    /// Machines in the pool that `settings` tell of; `folder` keeps the session and what was learnt of the pool.
    pub fn new(folder: &Path, settings: Settings) -> Result<Self> {
        Ok(Self {
            pool: Pool::new(settings, Memory::in_folder(folder))?,
            under_way: UnderWay::default(),
            reading: Arc::default(),
            token: Mutex::default(),
        })
    }
}

impl Connector for XenServer {
    fn kind(&self) -> &'static str {
        "xenserver"
    }

    fn test(&self) -> Vec<Check> {
        check::all(&self.pool)
    }

    fn choices(&self) -> Result<Vec<Choice>> {
        check::choices(&self.pool)
    }

    fn inventory(&self) -> Result<Vec<Tag>> {
        cleanup::inventory(&self.pool)
    }

    fn ensure_disk(&self, tag: &Tag, spec: &MachineSpec, origin: &Origin, watch: Watch) -> Result<String> {
        let wanted = disk::Wanted { tag, spec, purpose: Purpose::Packaging };
        disk::ensure(&self.pool, &self.under_way, wanted, origin, watch)
    }

    fn ensure_machine(&self, tag: &Tag, spec: &MachineSpec) -> Result<()> {
        machine::ensure(&self.pool, tag, spec, Purpose::Packaging)
    }

    fn powers_on_by_itself(&self) -> bool {
        self.pool.settings.power_on
    }

    fn power_on(&self, tag: &Tag) -> Result<()> {
        if held(&self.reading).contains_key(tag) {
            let what = format!("the disk of the machine {tag} is being read; power it on when that is done");
            return Err(Error::new(ErrorKind::Busy, what));
        }
        machine::power_on(&self.pool, tag)
    }

    fn shut_down(&self, tag: &Tag) -> Result<()> {
        machine::shut_down(&self.pool, tag)
    }

    fn power_off(&self, tag: &Tag) -> Result<()> {
        machine::power_off(&self.pool, tag)
    }

    fn observe(&self, tag: &Tag) -> Result<Observed> {
        machine::observe(&self.pool, tag)
    }

    fn open_screen(&self, tag: &Tag) -> Result<UnixStream> {
        screen::open(&self.pool, tag)
    }

    fn set_cd(&self, tag: &Tag, image: Option<&Path>, watch: Watch) -> Result<()> {
        cd::set(&self.pool, tag, image, watch)
    }

    fn open_changes(&self, tag: &Tag, watch: Watch) -> Result<Changes> {
        *held(&self.reading).entry(tag.clone()).or_default() += 1;
        let kept_off = KeptOff { tag: tag.clone(), reading: self.reading.clone() };
        let Changes { disk, how } = changes::open(&self.pool, tag, watch)?;
        Ok(Changes { disk: Box::new(Read { disk, _kept_off: kept_off }), how })
    }

    fn remove(&self, tag: &Tag) -> Result<()> {
        held(&self.pool.machines).remove(tag);
        cleanup::remove(&self.pool, tag)
    }

    fn await_change(&self, patience: Duration) -> Result<()> {
        let begun = Instant::now();
        let machines: Vec<String> = held(&self.pool.machines).values().cloned().collect();
        if machines.is_empty() {
            // Nothing of ours that could change by itself.
            std::thread::sleep(patience);
            return Ok(());
        }
        let classes: Vec<String> = machines.iter().map(|vm| format!("vm/{vm}")).collect();
        let mut told = held(&self.token);
        if told.classes != classes {
            *told = Told { classes, token: String::new() };
        }
        loop {
            let left = patience.saturating_sub(begun.elapsed()).min(WAIT);
            match task::happened(&self.pool, &told.classes, &told.token, left.as_secs_f64()) {
                Ok(happened) => {
                    told.token = happened.token;
                    if !happened.events.is_empty() {
                        return Ok(());
                    }
                }
                // The pool went on without what it had told: look at all anew.
                Err(e) if fault::code(&e) == "EVENT_FROM_TOKEN_PARSE_FAILURE" => told.token.clear(),
                Err(e) => {
                    told.token.clear();
                    return Err(e);
                }
            }
            if begun.elapsed() >= patience {
                return Ok(());
            }
        }
    }

    fn publish(&self, tag: &Tag, spec: &MachineSpec, origin: &Origin, watch: Watch) -> Result<Published> {
        image::publish(&self.pool, &self.under_way, tag, spec, origin, watch)
    }

    fn claimed(&self, tag: &Tag) -> Result<Option<String>> {
        image::claimed(&self.pool, tag)
    }

    fn disconnect(&self) {
        self.pool.log_out();
    }

    fn trim(&self, known: &dyn Fn(&Tag) -> bool) -> Result<Vec<String>> {
        let room = u64::from(self.pool.settings.base_disk_cache_gib) << 30;
        cleanup::trim(&self.pool, &self.under_way, room, known)
    }
}

/// Keeps a machine from being powered on.
struct KeptOff {
    tag: Tag,
    reading: Arc<Mutex<BTreeMap<Tag, usize>>>,
}

impl Drop for KeptOff {
    fn drop(&mut self) {
        let mut reading = held(&self.reading);
        if let Some(readers) = reading.get_mut(&self.tag) {
            *readers -= 1;
            if *readers == 0 {
                reading.remove(&self.tag);
            }
        }
    }
}

/// The changes, with the machine kept off while they are read.
struct Read {
    disk: Box<dyn Disk>,
    _kept_off: KeptOff,
}

impl Disk for Read {
    fn size(&self) -> u64 {
        self.disk.size()
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> shale_disk::Result<()> {
        self.disk.read_at(buf, offset)
    }
    fn extent_at(&self, offset: u64) -> shale_disk::Result<Extent> {
        self.disk.extent_at(offset)
    }
}
