//! A platform that is only in memory, and disks of a few blocks.

use shale_connector::{
    Changes, Check, Connector, Error, ErrorKind, MachineSpec, Observed, Origin, Power, Result, Tag,
};
use shale_disk::{Content, Disk, Extent, SECTOR, Watch};
use shale_store::{Source, SourceError, What};
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use uuid::Uuid;

/// Bytes of the disks here.
pub const SIZE: u64 = 1 << 20;
/// Bytes of one block of them.
pub const BLOCK: u64 = 64 << 10;

/// A first block of this byte begins as an encrypted volume does.
const LOCKED: u8 = 0x4c;
const LUKS: &[u8] = b"LUKS\xba\xbe";

/// What every guest here writes to its serial port.
static PROMPT: LazyLock<tempfile::NamedTempFile> = LazyLock::new(|| {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "tiny login: ").unwrap();
    file
});

pub fn tag(id: Uuid) -> Tag {
    Tag::parse(&id.to_string()).unwrap()
}

/// What the platform has under one tag.
#[derive(Clone, Debug, Default)]
struct Machine {
    disk: u64,
    made: bool,
    on: bool,
    was_on: bool,
    /// The guest encrypted its disk, which nobody can take.
    locked: bool,
}

/// What happens at a platform in the moment it is asked what it has.
type Meanwhile = Box<dyn FnOnce() + Send>;

/// A platform that is only in memory. Clones are the same platform.
#[derive(Clone, Default)]
pub struct Platform {
    machines: Arc<Mutex<BTreeMap<Tag, Machine>>>,
    before_listing: Arc<Mutex<Option<Meanwhile>>>,
    is_away: Arc<AtomicBool>,
}

impl Platform {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Tag, Machine>> {
        self.machines.lock().unwrap()
    }

    /// An equal platform.
    pub fn copy(&self) -> Self {
        Self { machines: Arc::new(Mutex::new(self.lock().clone())), ..Self::default() }
    }

    /// Lets something happen right before the next time it says what it has.
    pub fn before_listing(&self, meanwhile: impl FnOnce() + Send + 'static) {
        *self.before_listing.lock().unwrap() = Some(Box::new(meanwhile));
    }

    /// This platform, if it can be connected to.
    pub fn connect(&self) -> Result<Self> {
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(Error::new(ErrorKind::Io, "the platform does not answer")),
            false => Ok(self.clone()),
        }
    }

    /// From now on it cannot be connected to.
    pub fn go_away(&self) {
        self.is_away.store(true, Ordering::SeqCst);
    }

    /// Puts a machine there that nobody asked for.
    pub fn plant(&self, id: Uuid) {
        let machine = Machine { disk: SIZE, made: true, on: true, was_on: true, locked: false };
        self.lock().insert(tag(id), machine);
    }

    pub fn is_on(&self, id: Uuid) -> bool {
        self.lock().get(&tag(id)).is_some_and(|machine| machine.on)
    }

    /// The guest powers off by itself.
    pub fn guest_powers_off(&self, id: Uuid) {
        if let Some(machine) = self.lock().get_mut(&tag(id)) {
            machine.on = false;
        }
    }

    /// What the guest left outstanding is mended.
    pub fn guest_mends(&self, id: Uuid) {
        if let Some(machine) = self.lock().get_mut(&tag(id)) {
            machine.locked = false;
        }
    }

    /// The tags that are there.
    pub fn tags(&self) -> Vec<Tag> {
        self.lock().keys().cloned().collect()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock().iter().try_for_each(|(tag, machine)| writeln!(f, "machine {tag} {machine:?}"))
    }
}

fn absent(tag: &Tag) -> Error {
    Error::new(ErrorKind::Absent, format!("there is no machine {tag}"))
}

impl Connector for Platform {
    fn kind(&self) -> &'static str {
        "simulated"
    }

    fn test(&self) -> Vec<Check> {
        Vec::new()
    }

    fn inventory(&self) -> Result<Vec<Tag>> {
        let meanwhile = self.before_listing.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        self.connect()?;
        Ok(self.tags())
    }

    fn ensure_disk(&self, tag: &Tag, spec: &MachineSpec, origin: &Origin, watch: Watch) -> Result<String> {
        if watch(0).is_break() {
            return Err(Error::new(ErrorKind::Stopped, "stopped"));
        }
        assert!(origin.disk.size() <= spec.disk_size, "the disk has room for its origin");
        self.lock().entry(tag.clone()).or_default().disk = spec.disk_size;
        Ok("made in memory".into())
    }

    fn ensure_machine(&self, tag: &Tag, _: &MachineSpec) -> Result<()> {
        self.lock().get_mut(tag).ok_or_else(|| absent(tag))?.made = true;
        Ok(())
    }

    fn power_on(&self, tag: &Tag) -> Result<()> {
        let mut machines = self.lock();
        let machine = machines.get_mut(tag).filter(|machine| machine.made).ok_or_else(|| absent(tag))?;
        machine.locked |= !machine.was_on;
        (machine.on, machine.was_on) = (true, true);
        Ok(())
    }

    fn shut_down(&self, tag: &Tag) -> Result<()> {
        self.power_off(tag)
    }

    fn power_off(&self, tag: &Tag) -> Result<()> {
        if let Some(machine) = self.lock().get_mut(tag) {
            machine.on = false;
        }
        Ok(())
    }

    fn observe(&self, tag: &Tag) -> Result<Observed> {
        let Some(machine) = self.lock().get(tag).cloned() else { return Ok(Observed::absent()) };
        let power = if machine.on { Power::Running } else { Power::Off };
        let serial_log = machine.on.then(|| PROMPT.path().to_owned());
        Ok(Observed { power, was_powered_on: machine.was_on, serial_log, ..Observed::absent() })
    }

    fn open_screen(&self, tag: &Tag) -> Result<UnixStream> {
        Err(absent(tag))
    }

    fn open_changes(&self, tag: &Tag, _: Watch) -> Result<Changes> {
        let machine = self.lock().get(tag).cloned().ok_or_else(|| absent(tag))?;
        if machine.on {
            return Err(Error::new(ErrorKind::Busy, "the machine is on"));
        }
        let mut written = if machine.was_on { vec![(3, 0xee)] } else { vec![] };
        if machine.locked {
            written.insert(0, (0, LOCKED));
        }
        let disk = Box::new(Blocks { size: machine.disk, written });
        Ok(Changes { disk, how: "read in memory".into() })
    }

    fn remove(&self, tag: &Tag) -> Result<()> {
        self.lock().remove(tag);
        Ok(())
    }
}

/// A disk of some blocks, each full of one byte; a hole elsewhere.
pub struct Blocks {
    size: u64,
    /// Number and byte of each.
    written: Vec<(u64, u8)>,
}

impl Blocks {
    /// A disk of [`SIZE`] with two blocks of `byte` and one that all such disks share.
    pub fn of(byte: u8) -> Self {
        Self { size: SIZE, written: vec![(1, byte), (7, byte), (9, 0x55)] }
    }

    fn byte_at(&self, offset: u64) -> Option<u8> {
        self.written.iter().find(|(n, _)| *n == offset / BLOCK).map(|(_, byte)| *byte)
    }

    /// All of it.
    pub fn bytes(&self) -> Vec<u8> {
        (0..self.size / BLOCK)
            .flat_map(|n| vec![self.byte_at(n * BLOCK).unwrap_or(0); BLOCK as usize])
            .collect()
    }
}

impl Disk for Blocks {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> shale_disk::Result<()> {
        let mut at = offset;
        for part in buf.chunks_mut(SECTOR as usize) {
            part.fill(self.byte_at(at).unwrap_or(0));
            if at == 0 && self.byte_at(0) == Some(LOCKED) && part.len() >= LUKS.len() {
                part[..LUKS.len()].copy_from_slice(LUKS);
            }
            at += SECTOR;
        }
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> shale_disk::Result<Extent> {
        let content = if self.byte_at(offset).is_some() { Content::Data } else { Content::Hole };
        Ok(Extent { offset, length: BLOCK - offset % BLOCK, content })
    }
}

impl Source for Blocks {
    fn size(&self) -> u64 {
        self.size
    }

    fn extent_at(&self, offset: u64) -> std::result::Result<(u64, What), SourceError> {
        let extent = Disk::extent_at(self, offset)?;
        Ok((extent.length, if extent.content == Content::Data { What::Data } else { What::Zero }))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
        Ok(Disk::read_at(self, buf, offset)?)
    }
}

/// A disk in memory.
pub struct Bytes(pub Vec<u8>);

impl Source for Bytes {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn extent_at(&self, offset: u64) -> std::result::Result<(u64, What), SourceError> {
        Ok((self.0.len() as u64 - offset, What::Data))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
        buf.copy_from_slice(&self.0[offset as usize..offset as usize + buf.len()]);
        Ok(())
    }
}
