//! A world without a hypervisor: real catalog, real repository, real files, and a platform that is only in memory.
//!
//! ```text
//!   Bench ─┬─ World: catalog.db, repository/   in a folder of its own; opened anew after a crash
//!          ├─ Platform: machines by tag        lives on when the server dies, as a hypervisor does
//!          └─ disk.raw, out/                   what is imported, where exports go
//! ```

use shale_connector::{
    Check, Connector, Error, ErrorKind, MachineSpec, Observed, Origin, Power, Result, Tag,
};
use shale_disk::{Content, Disk, Extent, SECTOR, Watch};
use shale_model::{LayerKind, VersionEvent, VersionState};
use shale_server::catalog::{Catalog, ConnectorRow, Finished, LayerRow, Tx, VersionRow, Window, now};
use shale_server::place::Place;
use shale_server::world::World;
use shale_store::{NewVersion, Repository, Source, SourceError, What};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Bytes of the disks here.
pub const SIZE: u64 = 1 << 20;
/// Bytes of one block of them.
const BLOCK: u64 = 64 << 10;

/// The runtime that answers for the catalogs of all worlds.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

/// The id that ends in `n`.
pub const fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0198_b2c4_0000_7000_8000_0000_0000_0000 + n)
}

/// The connector configuration.
pub const CONNECTOR: Uuid = id(0xc0);
/// The layer that is there, and its two versions.
pub const LAYER: Uuid = id(0x10);
pub const FIRST: Uuid = id(0x11);
pub const SECOND: Uuid = id(0x12);
/// A machine, and a version of another layer, that no task here has to do with.
pub const FOREIGN: Uuid = id(0xf0);

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
}

/// A platform that is only in memory. Clones are the same platform.
#[derive(Clone, Default)]
pub struct Platform(Arc<Mutex<BTreeMap<Tag, Machine>>>);

impl Platform {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Tag, Machine>> {
        self.0.lock().unwrap()
    }

    /// Puts a machine there that nobody asked for.
    pub fn plant(&self, id: Uuid) {
        let machine = Machine { disk: SIZE, made: true, on: true, was_on: true };
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

    /// The tags that are there.
    pub fn tags(&self) -> Vec<Tag> {
        self.lock().keys().cloned().collect()
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
        Ok(self.tags())
    }

    fn ensure_disk(&self, tag: &Tag, spec: &MachineSpec, origin: &Origin, watch: Watch) -> Result<()> {
        if watch(0).is_break() {
            return Err(Error::new(ErrorKind::Stopped, "stopped"));
        }
        assert_eq!(origin.disk.size(), spec.disk_size, "the origin is served with the size of the disk");
        self.lock().entry(tag.clone()).or_default().disk = spec.disk_size;
        Ok(())
    }

    fn ensure_machine(&self, tag: &Tag, _: &MachineSpec) -> Result<()> {
        self.lock().get_mut(tag).ok_or_else(|| absent(tag))?.made = true;
        Ok(())
    }

    fn power_on(&self, tag: &Tag) -> Result<()> {
        let mut machines = self.lock();
        let machine = machines.get_mut(tag).filter(|machine| machine.made).ok_or_else(|| absent(tag))?;
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
        Ok(Observed { power, was_powered_on: machine.was_on, ..Observed::absent() })
    }

    fn open_changes(&self, tag: &Tag) -> Result<Box<dyn Disk>> {
        let machine = self.lock().get(tag).cloned().ok_or_else(|| absent(tag))?;
        if machine.on {
            return Err(Error::new(ErrorKind::Busy, "the machine is on"));
        }
        Ok(Box::new(Blocks { size: machine.disk, written: if machine.was_on { vec![(3, 0xee)] } else { vec![] } }))
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

    fn bytes(&self) -> Vec<u8> {
        (0..self.size / BLOCK).flat_map(|n| vec![self.byte_at(n * BLOCK).unwrap_or(0); BLOCK as usize]).collect()
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

/// A world, and the folder it lies in.
pub struct Bench {
    folder: tempfile::TempDir,
    pub platform: Platform,
    /// Always there, but for the moment of a restart.
    world: Option<World>,
}

/// A folder in memory where the host has such a place: thousands of worlds are made, each with many fsyncs.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

impl Bench {
    /// A layer with two versions, a foreign machine and version, a disk to import, a folder to export to.
    pub fn new() -> Self {
        let folder = folder();
        fs::create_dir(folder.path().join("out")).unwrap();
        fs::write(folder.path().join("disk.raw"), Blocks::of(0x77).bytes()).unwrap();
        let platform = Platform::default();
        let world = open(folder.path(), &platform);
        let bench = Self { folder, platform, world: Some(world) };
        bench.platform.plant(FOREIGN);
        bench.change(async |tx| {
            let at = now();
            let settings = serde_json::json!({});
            let (name, kind) = ("simulated".to_owned(), "simulated".to_owned());
            ConnectorRow { id: CONNECTOR, name, kind, settings, created_at: at.clone(), updated_at: at }
                .insert(tx)
                .await
        });
        bench.add_layer(LAYER, "Debian 12");
        bench.add_stored(LAYER, FIRST, "1.0", 0x11);
        bench.add_stored(LAYER, SECOND, "1.1", 0x22);
        bench.add_layer(id(0xf1), "Foreign");
        bench.add_stored(id(0xf1), FOREIGN, "1.0", 0x33);
        bench
    }

    pub fn world(&self) -> &World {
        self.world.as_ref().unwrap()
    }

    /// The same, as the next process finds it.
    pub fn restarted(mut self) -> Self {
        self.world = None;
        self.world = Some(open(self.folder.path(), &self.platform));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Changes the catalog in one transaction.
    pub fn change<T>(&self, work: impl AsyncFnOnce(&mut Tx) -> shale_server::error::Result<T>) -> T {
        let world = self.world();
        world.wait(async {
            let mut tx = world.catalog.begin().await.unwrap();
            let value = work(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
            value
        })
    }

    pub fn add_layer(&self, id: Uuid, name: &str) {
        let (at, name) = (now(), name.to_owned());
        let row = LayerRow {
            id,
            kind: LayerKind::Os,
            name,
            description: String::new(),
            created_at: at.clone(),
            updated_at: at,
        };
        self.change(async |tx| row.insert(tx).await);
    }

    /// A version's row as a request makes it.
    pub fn add_editing(&self, layer: Uuid, id: Uuid, name: &str, base: Option<Uuid>) {
        let at = now();
        let row = VersionRow {
            id,
            layer_id: layer,
            name: name.into(),
            description: String::new(),
            state: VersionState::Editing,
            base_version_id: base,
            connector_id: base.map(|_| CONNECTOR),
            machine_name: base.map(|_| "machine".into()),
            firmware: "bios".into(),
            virtual_bytes: SIZE,
            logical_bytes: None,
            added_bytes: None,
            digest: None,
            created_at: at.clone(),
            updated_at: at,
        };
        self.change(async |tx| row.insert(tx).await);
    }

    /// A deployable version that is in the repository.
    fn add_stored(&self, layer: Uuid, id: Uuid, name: &str, byte: u8) {
        self.add_editing(layer, id, name, None);
        let digest = self.store(id, byte);
        let facts = Finished {
            virtual_bytes: SIZE,
            logical_bytes: 3 * BLOCK,
            added_bytes: 3 * BLOCK,
            digest,
            firmware: "bios".into(),
        };
        self.change(async |tx| {
            VersionRow::happen(tx, id, VersionEvent::Imported).await?;
            VersionRow::finish(tx, id, &facts).await
        });
    }

    /// Puts a version into the repository only. Answers its digest.
    pub fn store(&self, id: Uuid, byte: u8) -> String {
        let new = NewVersion { id: id.into(), parent: None, size: SIZE, created: now(), threads: 1 };
        let go_on = |_| ControlFlow::Continue(());
        self.world().repository.save(new, &Blocks::of(byte), &go_on).unwrap().digest.to_string()
    }

    /// All that there is, but for times. `states` is off where a version's state is not the task's to undo.
    pub fn snapshot(&self, states: bool) -> String {
        let mut text = String::new();
        self.tell_catalog(&mut text, states).unwrap();
        let repository = &self.world().repository;
        for version in repository.versions().unwrap() {
            let (id, size, data) = (version.id, version.size, version.data);
            writeln!(text, "stored {id} {size} {data} {} from {:?}", version.digest, version.parent).unwrap();
        }
        let report = repository.check(true, &|_| ControlFlow::Continue(())).unwrap();
        writeln!(text, "findings {:?}", report.findings).unwrap();
        for (tag, machine) in self.platform.lock().iter() {
            writeln!(text, "machine {tag} {machine:?}").unwrap();
        }
        let mut files: Vec<_> = fs::read_dir(self.path("out")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let mut hasher = DefaultHasher::new();
            hasher.write(&bytes);
            let (name, sum) = (file.file_name().unwrap(), hasher.finish());
            writeln!(text, "file {name:?} {} bytes, sum {sum:x}", bytes.len()).unwrap();
        }
        text
    }

    /// `added_bytes` is left out: it tells what the last try added, and another try finds the blocks there.
    fn tell_catalog(&self, text: &mut String, states: bool) -> std::fmt::Result {
        let all = Window::all();
        let (layers, versions) = self.change(async |tx| {
            let layers = LayerRow::list(tx, None, None, &all).await?;
            let mut versions = Vec::new();
            for layer in &layers {
                versions.extend(VersionRow::of_layer(tx, layer.id, &all).await?);
            }
            Ok((layers, versions))
        });
        for layer in layers {
            writeln!(text, "layer {} {}", layer.id, layer.name)?;
        }
        for row in versions {
            let state = if states { row.state.as_str() } else { "-" };
            let facts = (&row.digest, row.virtual_bytes, row.logical_bytes, &row.firmware);
            writeln!(text, "version {} {} {state} {facts:?}", row.id, row.name)?;
        }
        Ok(())
    }
}

/// Opens a world, as a start of the server does.
fn open(folder: &Path, platform: &Platform) -> World {
    let place = Place::hold(&folder.join("data")).unwrap();
    let catalog = RUNTIME.block_on(Catalog::open(&place.catalog())).unwrap();
    let repository = Repository::open_or_create(place.repository()).unwrap();
    let platform = platform.clone();
    let _runtime = RUNTIME.enter();
    let connect = move |_: &str, _: &serde_json::Value, _: &Path| Ok(Box::new(platform.clone()) as Box<dyn Connector>);
    World::new(catalog, repository, Arc::new(place), "/nowhere/shaled".into(), Box::new(connect))
}
