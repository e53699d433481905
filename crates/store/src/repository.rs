//! A repository: opened, asked for its versions, and the way from a digest to verified bytes.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::block;
use crate::digest::{Digest, VersionId};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Index, Location};
use crate::lock::{self, Holder, Lock};
use crate::manifest::{self, Manifest};
use crate::map::{self, Page};
use crate::pack;
use crate::place::{self, Place};
use crate::save::{self, NewVersion, Saved};
use crate::version::Version;
use crate::{Source, Watch};

/// The layout of the whole; counts up when an older Shale could not even tell what it misses.
const FORMAT: u32 = 1;
/// Features that a repository may name and that this Shale has. None yet.
const KNOWN_FEATURES: [&str; 0] = [];
const SETTINGS_LIMIT: u64 = 1 << 20;
/// Packs kept open at once.
const OPEN_PACKS: usize = 128;

/// `repository.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Settings {
    format: u32,
    #[serde(default)]
    features: Features,
}

/// As ext4 does it: what a reader that does not know a feature may still do.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Features {
    /// Everything.
    #[serde(default)]
    compatible: Vec<String>,
    /// Read, but not write.
    #[serde(default)]
    read_only_compatible: Vec<String>,
    /// Nothing.
    #[serde(default)]
    incompatible: Vec<String>,
}

/// An open repository. Cheap to clone; clones share what they know.
#[derive(Clone)]
pub struct Repository {
    pub(crate) inner: Arc<Inner>,
}

/// What [`Repository::versions`] tells of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// Its name.
    pub id: VersionId,
    /// The version that it was made from, which may be gone.
    pub parent: Option<VersionId>,
    /// Size of its disk in bytes.
    pub size: u64,
    /// Bytes of its disk that are not holes, in whole blocks.
    pub data: u64,
    /// When it was made, as its maker said.
    pub created: String,
    /// Digest of its disk.
    pub digest: Digest,
}

pub(crate) struct Inner {
    pub place: Place,
    index: RwLock<Arc<Index>>,
    packs: Mutex<HashMap<Digest, Arc<File>>>,
    /// A feature that forbids writing, if one is set that we do not know.
    read_only: Option<String>,
}

impl Repository {
    /// Makes a new repository in `directory`, which may exist but holds none yet.
    pub fn create(directory: impl Into<PathBuf>) -> Result<Self> {
        let place = Place::new(directory);
        let path = place.root().join(place::SETTINGS);
        if path.exists() {
            let text = format!("{} holds a repository already", place.root().display());
            return Err(Error::new(ErrorKind::Exists, text));
        }
        place.create_folders()?;
        let lock = Lock::shared_now(place.root(), "the making of the repository")?;
        let settings = Settings { format: FORMAT, features: Features::default() };
        let text = serde_json::to_vec_pretty(&settings).expect("settings are plain data");
        place.write(&lock, &path, &text)?;
        drop(lock);
        Self::open(place.root())
    }

    /// Opens the repository in `directory`.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let place = Place::new(directory);
        let read_only = check_settings(&place)?;
        let index = Index::load(&place, false)?;
        let inner = Inner { place, index: RwLock::new(Arc::new(index)), packs: Mutex::default(), read_only };
        if !inner.index().uncovered.is_empty() {
            inner.cover_now()?;
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Opens the repository in `directory`, or makes one where there is none.
    pub fn open_or_create(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        if directory.join(place::SETTINGS).exists() { Self::open(directory) } else { Self::create(directory) }
    }

    /// Where it lies.
    pub fn directory(&self) -> &Path {
        self.inner.place.root()
    }

    /// Makes sure that the version `new.id` holds what `source` holds. The version is visible, whole, when this
    /// returns, and not before; after an error or a crash nothing of it is visible. To save the same again is fine.
    /// `watch` is told bytes of the disk that are dealt with, read or known to need no reading; they sum up to its
    /// size.
    pub fn save(&self, new: NewVersion, source: &dyn Source, watch: Watch) -> Result<Saved> {
        save::save(self, new, source, watch)
    }

    /// The version `id`, to be read.
    pub fn version(&self, id: VersionId) -> Result<Version> {
        match Manifest::read(&self.inner.place, id)? {
            Some(manifest) => Ok(Version::new(self.clone(), manifest)),
            None => Err(Error::new(ErrorKind::NotFound, format!("the repository has no version {id}"))),
        }
    }

    /// All versions, by id. A damaged manifest is an error that names it.
    pub fn versions(&self) -> Result<Vec<VersionInfo>> {
        let mut versions = Vec::new();
        for id in manifest::list(&self.inner.place)? {
            // Removed since it was listed: not there.
            versions.extend(Manifest::read(&self.inner.place, id)?.map(|m| VersionInfo::of(&m)));
        }
        Ok(versions)
    }

    /// Forgets the version `id`; one that is not there is fine. Its blocks stay until [`Repository::gc`] finds that
    /// no version needs them. Versions made from it are whole without it.
    pub fn remove_version(&self, id: VersionId) -> Result<()> {
        self.inner.check_writable()?;
        let what = format!("removal of version {id}");
        let _lock = Lock::shared(self.directory(), &what, &|_| std::ops::ControlFlow::Continue(()))?;
        self.inner.place.remove(&manifest::path(&self.inner.place, id))?;
        self.inner.place.sync_folder(place::VERSIONS)
    }

    /// Who holds the repository now.
    pub fn holders(&self) -> Vec<Holder> {
        lock::holders(self.directory())
    }
}

impl VersionInfo {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        Self {
            id: manifest.id,
            parent: manifest.parent,
            size: manifest.size,
            data: manifest.data_blocks * crate::BLOCK as u64,
            created: manifest.created.clone(),
            digest: manifest.content(),
        }
    }
}

impl Inner {
    /// The index as it was when it was last loaded.
    pub fn index(&self) -> Arc<Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_index(&self, index: Index) {
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(index);
        // Packs may have gone too.
        self.packs.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Loads the index anew; packs that it lacks are added to it.
    pub fn refresh(&self, lock: &Lock) -> Result<()> {
        self.load_and_cover(lock, false, None)
    }

    /// Writes one index file that does not know these packs, in place of all.
    pub fn drop_from_index(&self, lock: &Lock, packs: &BTreeSet<Digest>) -> Result<()> {
        self.load_and_cover(lock, true, Some(packs))
    }

    fn load_and_cover(&self, lock: &Lock, thorough: bool, dropped: Option<&BTreeSet<Digest>>) -> Result<()> {
        let index = Index::load(&self.place, thorough)?.cover(&self.place, lock, dropped)?;
        self.set_index(index);
        Ok(())
    }

    /// For readers: the index may have been overtaken by a collector, or be damaged.
    fn cover_now(&self) -> Result<()> {
        let index = Index::load(&self.place, true)?;
        if index.uncovered.is_empty() {
            self.set_index(index);
            return Ok(());
        }
        // Where nothing can be written now, the packs that are covered can still be read.
        match Lock::shared_now(self.place.root(), "rebuild of the index") {
            Ok(lock) => self.load_and_cover(&lock, true, None),
            Err(_) => {
                self.set_index(index);
                Ok(())
            }
        }
    }

    /// Refuses to write where a feature forbids it.
    pub fn check_writable(&self) -> Result<()> {
        let Some(feature) = &self.read_only else { return Ok(()) };
        let text = format!(
            "the repository {} can only be read: it uses the feature \"{feature}\", which this version of Shale lacks",
            self.place.root().display()
        );
        Err(Error::new(ErrorKind::Unsupported, text))
    }

    /// Where `digest` lies. Looks again with a new index before it says that it is nowhere.
    pub fn locate(&self, digest: &Digest) -> Result<Location> {
        if let Some(location) = self.index().find(digest)? {
            return Ok(location);
        }
        self.cover_now()?;
        let missing = || {
            Error::damaged(format!(
                "{digest} is in no pack that is there. Run a check: it tells what is affected"
            ))
        };
        self.index().find(digest)?.ok_or_else(missing)
    }

    /// Reads `buf.len()` bytes of a pack. A pack that is not there gives `None`.
    pub fn read_pack(&self, id: Digest, offset: u64, buf: &mut [u8]) -> Result<Option<()>> {
        let file = match self.open_pack(id) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(format!("cannot open pack {id}"), e)),
        };
        match file.read_exact_at(buf, offset) {
            Ok(()) => Ok(Some(())),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Error::damaged(format!("pack {id} is damaged: it ends before byte {offset} (truncated)")))
            }
            Err(e) => Err(Error::io(format!("cannot read pack {id} at byte {offset}"), e)),
        }
    }

    fn open_pack(&self, id: Digest) -> io::Result<Arc<File>> {
        if let Some(file) = self.packs.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(file.clone());
        }
        let file = Arc::new(File::open(pack::path(&self.place, id))?);
        let mut packs = self.packs.lock().unwrap_or_else(PoisonError::into_inner);
        if packs.len() >= OPEN_PACKS {
            packs.clear();
        }
        packs.insert(id, file.clone());
        Ok(file)
    }

    /// The frame at `location`, as it is stored, into `frame`. When its pack went since it was located, it is
    /// located again: a collector never removes a block that is in use without another copy.
    pub fn read_frame(&self, location: &mut Location, frame: &mut Vec<u8>) -> Result<()> {
        frame.resize(location.entry.length as usize, 0);
        if self.read_pack(location.pack, u64::from(location.entry.offset), frame)?.is_some() {
            return Ok(());
        }
        self.cover_now()?;
        *location = self.locate(&location.entry.digest)?;
        frame.resize(location.entry.length as usize, 0);
        let again = self.read_pack(location.pack, u64::from(location.entry.offset), frame)?;
        again.ok_or_else(|| Error::damaged(format!("pack {} is missing", location.pack)))
    }

    /// The plain bytes with this digest, verified. Where they are not what was located, the index may be at fault: it is
    /// verified, what is damaged of it is made anew from the packs, and the bytes are looked for once more.
    pub fn read(&self, digest: &Digest, plain: &mut [u8]) -> Result<()> {
        match self.read_located(digest, plain) {
            Err(e) if e.kind() == ErrorKind::Damaged => {
                self.cover_now()?;
                self.read_located(digest, plain)
            }
            read => read,
        }
    }

    fn read_located(&self, digest: &Digest, plain: &mut [u8]) -> Result<()> {
        let mut location = self.locate(digest)?;
        let mut frame = Vec::new();
        self.read_frame(&mut location, &mut frame)?;
        block::unpack(&location, &frame, plain)
    }

    /// A page of a map.
    pub fn read_page(&self, digest: &Digest) -> Result<Page> {
        if digest.is_hole() {
            return Ok(Page::hole());
        }
        let mut bytes = vec![0; map::PAGE_BYTES];
        self.read(digest, &mut bytes)?;
        Ok(Page::decode(&bytes))
    }
}

/// Refuses what this Shale cannot read; the name of a feature that forbids writing, if there is one.
fn check_settings(place: &Place) -> Result<Option<String>> {
    let path = place.root().join(place::SETTINGS);
    let Some(bytes) = place.read(&path, SETTINGS_LIMIT)? else {
        let text = format!("{} holds no repository: it has no {}", place.root().display(), place::SETTINGS);
        return Err(Error::new(ErrorKind::NotFound, text));
    };
    let settings: Settings = serde_json::from_slice(&bytes)
        .map_err(|e| Error::damaged(format!("{} is damaged", path.display())).with_source(e))?;
    let unsupported = |text: String| Err(Error::new(ErrorKind::Unsupported, text));
    let root = place.root().display();
    if settings.format != FORMAT {
        let format = settings.format;
        return unsupported(format!(
            "the repository {root} has format {format}; this version of Shale reads format {FORMAT}"
        ));
    }
    let unknown = |names: &[String]| names.iter().find(|n| !KNOWN_FEATURES.contains(&n.as_str())).cloned();
    if let Some(feature) = unknown(&settings.features.incompatible) {
        return unsupported(format!(
            "the repository {root} uses the feature \"{feature}\", which this version of Shale lacks"
        ));
    }
    Ok(unknown(&settings.features.read_only_compatible))
}
