//! A platform that is only in memory, and disks of a few blocks.

use crate::layers::guest_writes;
use shale_connector::{
    Changes, Check, Connector, Error, ErrorKind, MachineSpec, Observed, Origin, Power, Published, Result, Tag,
};
use shale_disk::{Content, Disk, Extent, Watch};
use shale_store::{Source, SourceError, What};
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use uuid::Uuid;

/// Bytes of the disks here.
pub const SIZE: u64 = 1 << 20;
/// Bytes of one block of them.
pub const BLOCK: u64 = 64 << 10;

/// How an encrypted volume begins.
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
    /// There is a CD in its drive.
    has_cd: bool,
    /// It is an image, and stays.
    image: bool,
    /// The file system that the disk began as, where it is one, and what the guest made of it.
    system: Vec<u8>,
    written: Vec<u8>,
}

impl Machine {
    /// What the guest wrote: into its file system, or into one block of a disk that has none.
    fn changes(&self) -> Written {
        let mut blocks = BTreeMap::new();
        if self.was_on && self.system.is_empty() {
            blocks.insert(3, vec![0xee; BLOCK as usize]);
        }
        let pairs = self.system.chunks(BLOCK as usize).zip(self.written.chunks(BLOCK as usize));
        blocks.extend(
            (0..).zip(pairs).filter(|(_, (old, new))| old != new).map(|(n, (_, new))| (n, new.to_vec())),
        );
        if self.locked {
            let mut block = vec![0; BLOCK as usize];
            block[..LUKS.len()].copy_from_slice(LUKS);
            blocks.insert(0, block);
        }
        Written { size: self.disk, blocks }
    }
}

/// The bytes of a disk that is an ext file system; `None` of another. The superblock's magic is 1080 bytes in.
pub fn system_on(size: u64, read: impl Fn(&mut [u8], u64)) -> Option<Vec<u8>> {
    let mut magic = [0; 2];
    if size >= 2048 {
        read(&mut magic, 0x438);
    }
    (magic == [0x53, 0xef]).then(|| {
        let mut bytes = vec![0; size as usize];
        read(&mut bytes, 0);
        bytes
    })
}

/// What happens at a platform in the moment it is asked what it has.
type Meanwhile = Box<dyn FnOnce() + Send>;

/// How a script in a guest ends, and the file that is then its second port's.
type Script = (&'static str, Arc<tempfile::NamedTempFile>);

/// A platform that is only in memory. Clones are the same platform.
#[derive(Clone, Default)]
pub struct Platform {
    machines: Arc<Mutex<BTreeMap<Tag, Machine>>>,
    before_listing: Arc<Mutex<Option<Meanwhile>>>,
    is_away: Arc<AtomicBool>,
    /// What comes of scripts in guests, where guests run any.
    script: Arc<Mutex<Option<Script>>>,
    /// What goes wrong next: see [`Platform::will_fail`].
    troubles: Arc<Mutex<Vec<(&'static str, ErrorKind)>>>,
}

impl Platform {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Tag, Machine>> {
        self.machines.lock().unwrap()
    }

    /// An equal platform.
    pub fn copy(&self) -> Self {
        let script = Arc::new(Mutex::new(self.script.lock().unwrap().clone()));
        Self { machines: Arc::new(Mutex::new(self.lock().clone())), script, ..Self::default() }
    }

    /// Lets something happen right before the next time it says what it has.
    pub fn before_listing(&self, meanwhile: impl FnOnce() + Send + 'static) {
        *self.before_listing.lock().unwrap() = Some(Box::new(meanwhile));
    }

    /// From now on guests with a CD run its script, which ends so: `done` or `failed`; or their machines go off with `restarting` as
    /// the last that was told, or `mute`, with nothing told at all.
    pub fn scripts_end(&self, outcome: &'static str) {
        let began = "boot messages, no line of ours\r\n\
             {\"line\":\"began\",\"run\":\"r\",\"script\":\"setup.sh\",\"start\":1}\n\
             {\"line\":\"output\",\"text\":\"said by the script\\n\"}\n";
        let code = if outcome == "done" { 0 } else { 7 };
        let ended = format!(
            "{{\"line\":\"ended\",\"outcome\":\"{outcome}\",\"exit_code\":{code},\"text\":\"The script ended with exit code {code}.\"}}\n"
        );
        let lines = match outcome {
            "mute" => String::new(),
            "restarting" => {
                format!("{began}{{\"line\":\"restarting\",\"text\":\"It is wanted.\",\"restarts\":1}}\n")
            }
            _ => format!("{began}{ended}"),
        };
        let port = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(port.path(), lines).unwrap();
        *self.script.lock().unwrap() = Some((outcome, Arc::new(port)));
    }

    /// What goes wrong next, first to last, where a disk is to be `read`, or a machine is to `start` again.
    pub fn will_fail(&self, troubles: impl IntoIterator<Item = (&'static str, ErrorKind)>) {
        self.troubles.lock().unwrap().extend(troubles);
    }

    fn trouble(&self, what: &str) -> Result<()> {
        let mut troubles = self.troubles.lock().unwrap();
        match troubles.first() {
            Some((wanted, _)) if *wanted == what => {
                Err(Error::new(troubles.remove(0).1, "the platform has trouble"))
            }
            _ => Ok(()),
        }
    }

    /// Whether all that was to go wrong has.
    pub fn had_trouble(&self) -> bool {
        self.troubles.lock().unwrap().is_empty()
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
        let machine = Machine { disk: SIZE, made: true, on: true, was_on: true, ..Machine::default() };
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
        self.lock().iter().try_for_each(|(tag, machine)| {
            let Machine { disk, made, on, was_on, locked, has_cd, image, .. } = machine;
            writeln!(f, "machine {tag} {disk} {:?}", (made, on, was_on, locked, has_cd, image))
        })
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
        let machines = self.lock();
        let found = machines.iter().filter(|(_, machine)| !machine.image);
        Ok(found.map(|(tag, _)| tag.clone()).collect())
    }

    fn ensure_disk(&self, tag: &Tag, spec: &MachineSpec, origin: &Origin, watch: Watch) -> Result<String> {
        if watch(0).is_break() {
            return Err(Error::new(ErrorKind::Stopped, "stopped"));
        }
        assert!(origin.disk.size() <= spec.disk_size, "the disk has room for its origin");
        let read = |buf: &mut [u8], at| origin.disk.read_at(buf, at).expect("the origin can be read");
        // A guest whose script is only told of writes one block, whatever is on its disk: to write all of it in each of so many
        // scenarios takes minutes.
        let tells_only = self.script.lock().unwrap().is_some();
        let system = system_on(origin.disk.size(), read).filter(|_| !tells_only).unwrap_or_default();
        let mut machines = self.lock();
        let machine = machines.entry(tag.clone()).or_default();
        (machine.disk, machine.system) = (spec.disk_size, system);
        Ok("made in memory".into())
    }

    fn ensure_machine(&self, tag: &Tag, _: &MachineSpec) -> Result<()> {
        self.lock().get_mut(tag).ok_or_else(|| absent(tag))?.made = true;
        Ok(())
    }

    fn power_on(&self, tag: &Tag) -> Result<()> {
        let mut machines = self.lock();
        let machine = machines.get_mut(tag).filter(|machine| machine.made).ok_or_else(|| absent(tag))?;
        if machine.was_on {
            self.trouble("start")?;
        } else {
            machine.locked = true;
            if !machine.system.is_empty() {
                machine.written = guest_writes(&machine.system);
            }
        }
        (machine.on, machine.was_on) = (true, true);
        // A script that does not fail shuts its machine down; a moment is no time here.
        let script = self.script.lock().unwrap();
        let goes_off = script.as_ref().is_some_and(|(outcome, _)| *outcome != "failed");
        machine.on = !(machine.has_cd && goes_off);
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
        let script = self.script.lock().unwrap();
        let ran = script.as_ref().filter(|_| machine.has_cd && machine.was_on);
        let port_log = ran.map(|(_, port)| port.path().to_owned());
        Ok(Observed { power, was_powered_on: machine.was_on, serial_log, port_log, ..Observed::absent() })
    }

    fn has_port(&self) -> bool {
        true
    }

    /// Only a machine with a script has a drive: others are as they were before there were scripts.
    fn set_cd(&self, tag: &Tag, image: Option<&Path>, _: Watch) -> Result<()> {
        if self.script.lock().unwrap().is_none() {
            return Err(Error::new(ErrorKind::Unsupported, "there is no drive"));
        }
        self.lock().get_mut(tag).ok_or_else(|| absent(tag))?.has_cd = image.is_some();
        Ok(())
    }

    fn open_screen(&self, tag: &Tag) -> Result<UnixStream> {
        Err(absent(tag))
    }

    fn open_changes(&self, tag: &Tag, _: Watch) -> Result<Changes> {
        let machine = self.lock().get(tag).cloned().ok_or_else(|| absent(tag))?;
        if machine.on {
            return Err(Error::new(ErrorKind::Busy, "the machine is on"));
        }
        self.trouble("read")?;
        Ok(Changes { disk: Box::new(machine.changes()), how: "read in memory".into() })
    }

    fn publish(&self, tag: &Tag, spec: &MachineSpec, origin: &Origin, watch: Watch) -> Result<Published> {
        self.ensure_disk(tag, spec, origin, watch)?;
        self.ensure_machine(tag, spec)?;
        if let Some(machine) = self.lock().get_mut(tag) {
            machine.image = true;
        }
        Ok(Published { how: "kept in memory".into(), place: "here".into() })
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

/// Fills `buf`, which is `offset` bytes into a disk, part by part, each within one block.
fn by_blocks(mut buf: &mut [u8], mut offset: u64, fill: impl Fn(&mut [u8], u64)) {
    while !buf.is_empty() {
        let (part, rest) = buf.split_at_mut(buf.len().min((BLOCK - offset % BLOCK) as usize));
        fill(part, offset);
        offset += part.len() as u64;
        buf = rest;
    }
}

impl Source for Blocks {
    fn size(&self) -> u64 {
        self.size
    }

    fn extent_at(&self, offset: u64) -> std::result::Result<(u64, What), SourceError> {
        let what = if self.byte_at(offset).is_some() { What::Data } else { What::Zero };
        Ok((BLOCK - offset % BLOCK, what))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
        by_blocks(buf, offset, |part, at| part.fill(self.byte_at(at).unwrap_or(0)));
        Ok(())
    }
}

/// Blocks that a guest wrote, by number; a hole elsewhere.
struct Written {
    size: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Disk for Written {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> shale_disk::Result<()> {
        by_blocks(buf, offset, |part, at| match self.blocks.get(&(at / BLOCK)) {
            Some(block) => part.copy_from_slice(&block[(at % BLOCK) as usize..][..part.len()]),
            None => part.fill(0),
        });
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> shale_disk::Result<Extent> {
        let written = self.blocks.contains_key(&(offset / BLOCK));
        let content = if written { Content::Data } else { Content::Hole };
        Ok(Extent { offset, length: BLOCK - offset % BLOCK, content })
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
