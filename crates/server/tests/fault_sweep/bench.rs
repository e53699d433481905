//! A world without a hypervisor: real catalog, real repository, real files, and a platform that is only in memory.
//!
//! ```text
//!   Bench ─┬─ World: catalog.db, repository/   in a folder of its own; opened anew after a crash
//!          ├─ Platform: machines by tag        lives on when the server dies, as a hypervisor does
//!          └─ disk.raw, out/                   what is imported, where exports go
//! ```

use crate::platform::{BLOCK, Blocks, Bytes, Platform, SIZE, system_on};
use serde_json::json;
use shale_connector::Connector;
use shale_model::{LayerKind, VersionEvent, VersionState};
use shale_server::catalog::{
    Catalog, CompositionRow, ConnectorRow, Finished, ImageFilter, ImageRow, LayerFilter, LayerRow, Tx,
    VersionRow, Window, now,
};
use shale_server::place::Place;
use shale_server::world::World;
use shale_store::{NewVersion, Repository, VersionId, VersionInfo};
use std::fmt::Write;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// The runtime that answers for the catalogs of all worlds.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

/// A disk with a small Linux on it.
pub static FIRST_SYSTEM: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = folder();
    let (tree, image) = (folder.path().join("tree"), folder.path().join("image"));
    fs::create_dir_all(tree.join("usr/bin")).unwrap();
    fs::create_dir_all(tree.join("etc/ssh")).unwrap();
    fs::create_dir_all(tree.join("usr/lib/systemd")).unwrap();
    fs::write(tree.join("usr/lib/systemd/systemd"), "program").unwrap();
    fs::write(tree.join("usr/bin/app"), "program").unwrap();
    fs::write(tree.join("etc/os-release"), "ID=tiny\n").unwrap();
    fs::write(tree.join("etc/machine-id"), "0123456789abcdef0123456789abcdef\n").unwrap();
    let made = std::process::Command::new("mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-b", "1024", "-O", "^has_journal", "-d"])
        .args([&tree, &image])
        .arg("2M")
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .output()
        .expect("mke2fs is there");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::read(image).unwrap()
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

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            fs::create_dir(&to).unwrap();
            copy_files(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
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
            let settings = json!({});
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

    /// An equal world in a folder of its own; quicker than to make one. Nothing may be going on in this one.
    pub fn copy(&self) -> Self {
        let folder = folder();
        copy_files(self.folder.path(), folder.path());
        let platform = self.platform.copy();
        let world = open(folder.path(), &platform);
        Self { folder, platform, world: Some(world) }
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
        self.add_layer_on(id, LayerKind::Os, name, None);
    }

    /// A layer of any kind, on an OS layer if it is not one.
    pub fn add_layer_on(&self, id: Uuid, kind: LayerKind, name: &str, os_layer_id: Option<Uuid>) {
        let (at, name) = (now(), name.to_owned());
        let row = LayerRow {
            id,
            kind,
            name,
            os_layer_id,
            exclusions: String::new(),
            retention: None,
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
            os_version_id: None,
            platform_version_id: None,
            prerequisites: Vec::new(),
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

    /// A deployable version that is a small Linux, made by its own tools.
    pub fn add_system(&self, layer: Uuid, id: Uuid) {
        self.add_bytes(layer, id, "linux", &FIRST_SYSTEM);
    }

    /// A deployable version of these bytes.
    pub fn add_bytes(&self, layer: Uuid, id: Uuid, name: &str, bytes: &[u8]) {
        self.add_editing(layer, id, name, None);
        let source = Bytes(bytes.to_vec());
        let size = source.0.len() as u64;
        let new = NewVersion { id: id.into(), parent: None, size, created: now(), threads: 1 };
        let saved = self.world().repository.save(new, &source, &|_| ControlFlow::Continue(())).unwrap();
        let facts = Finished {
            virtual_bytes: size,
            logical_bytes: size,
            added_bytes: size,
            digest: saved.digest.to_string(),
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
        let (kept, images) = self.compositions();
        let mut systems = Vec::new();
        for version in repository.versions().unwrap() {
            // What was put together is kept for the next image, and its bytes tell when it was.
            if kept.contains(&version.id.into()) {
                continue;
            }
            let sum = version.parent.and_then(|parent| untimed(repository, &version, parent));
            systems.extend(sum.map(|sum| (version.digest.to_string(), sum)));
            let (id, size, data) = (version.id, version.size, version.data);
            writeln!(text, "stored {id} {size} {data} {} from {:?}", version.digest, version.parent).unwrap();
        }
        // What a row says is there is there: a task never leaves half of one.
        for half in kept.iter().filter(|id| repository.version((**id).into()).is_err()) {
            writeln!(text, "composition {half} is not in the repository").unwrap();
        }
        for image in images {
            let size = repository.version(image.into()).map(|version| version.size());
            writeln!(text, "composition {image} {:?} bytes", size.ok()).unwrap();
        }
        let report = repository.check(true, &|_| ControlFlow::Continue(())).unwrap();
        writeln!(text, "findings {:?}", report.findings).unwrap();
        writeln!(text, "{}", self.platform).unwrap();
        let mut files: Vec<_> =
            fs::read_dir(self.path("out")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let mut hasher = DefaultHasher::new();
            hasher.write(&bytes);
            let (name, sum) = (file.file_name().unwrap(), hasher.finish());
            writeln!(text, "file {name:?} {} bytes, sum {sum:x}", bytes.len()).unwrap();
        }
        systems.iter().fold(text, |text, (digest, sum)| text.replace(digest, sum))
    }

    /// All compositions that the catalog knows, and those that images are.
    fn compositions(&self) -> (Vec<Uuid>, Vec<Uuid>) {
        self.change(async |tx| {
            let kept = CompositionRow::list(tx).await?.into_iter().map(|row| row.id).collect();
            Ok((kept, ImageRow::compositions(tx).await?))
        })
    }

    /// `added_bytes` is left out: it tells what the last try added, and another try finds the blocks there.
    fn tell_catalog(&self, text: &mut String, states: bool) -> std::fmt::Result {
        let all = Window::all();
        let (layers, versions) = self.change(async |tx| {
            let listed = LayerFilter::default().list(tx, &all).await?;
            let layers: Vec<_> = listed.into_iter().map(|listed| listed.layer).collect();
            let mut versions = Vec::new();
            for layer in &layers {
                versions.extend(VersionRow::of_layer(tx, layer.id, &all).await?);
            }
            Ok((layers, versions))
        });
        let images = self.change(async |tx| ImageRow::list(tx, &ImageFilter::default(), &all).await);
        for image in images {
            let boot = image.report.boot.map(|boot| boot.came_up);
            let path = image.path.as_deref().and_then(Path::file_name);
            writeln!(text, "image {} {} {} {boot:?} {path:?}", image.id, image.name, image.state)?;
        }
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

/// What stands for the digest of an ext4 file system that was made of another: its blocks that are not its parent's, but for times.
fn untimed(repository: &Repository, version: &VersionInfo, parent: VersionId) -> Option<String> {
    let bytes = |id| {
        let disk = repository.version(id).unwrap();
        let mut bytes = system_on(disk.size(), |buf, at| disk.read_at(buf, at).unwrap())?;
        clear_times(&mut bytes);
        Some(bytes)
    };
    let (own, parent) = (bytes(version.id)?, bytes(parent).unwrap_or_default());
    let mut hasher = blake3::Hasher::new();
    let mut old = parent.chunks(BLOCK as usize);
    for (number, block) in own.chunks(BLOCK as usize).enumerate() {
        if old.next() != Some(block) {
            hasher.update(&number.to_le_bytes()).update(block);
        }
    }
    Some(format!("sum {}", hasher.finalize()))
}

/// Clears the times of an ext4 file system of one group and blocks of 1 KiB, and the checksums over them: the superblock's time of
/// writing, and all of each inode. The fields are those of the kernel's Documentation/filesystems/ext4.
fn clear_times(bytes: &mut [u8]) {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (inodes, size) = (number(0x400 + 0x28), number(0x400 + 0x58) & 0xffff);
    let table = number(0x800 + 8) << 10;
    bytes[0x430..0x434].fill(0);
    bytes[0x7fc..0x800].fill(0);
    for inode in bytes[table..].chunks_mut(size).take(inodes) {
        // When it was read, changed, written and removed; checksum; the rest of these times, and when it was made.
        for field in [0x08..0x18, 0x7c..0x7e, 0x82..0x98] {
            inode[field].fill(0);
        }
    }
}

/// Opens a world, as a start of the server does.
fn open(folder: &Path, platform: &Platform) -> World {
    let place = Place::hold(&folder.join("data")).expect("the lock of the world before is free");
    let catalog = RUNTIME.block_on(Catalog::open(&place.catalog())).unwrap();
    let repository = Repository::open_or_create(place.repository()).unwrap();
    let platform = platform.clone();
    let _runtime = RUNTIME.enter();
    let connect = move |_: &str, _: &serde_json::Value, _: &Path| {
        platform.connect().map(|platform| Box::new(platform) as Box<dyn Connector>)
    };
    World::new(catalog, repository, Arc::new(place), env!("CARGO_BIN_EXE_shaled").into(), Box::new(connect))
        .unwrap()
}
