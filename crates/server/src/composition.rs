//! Compositions: an OS version's disk with layers on it, as machines and images start from it.
//!
//! ```text
//!   OS version ─▶ grown to the size wanted ─▶ volume grown ─▶ layers put on ─▶ (generalized) ─▶ in the repository
//!                                                                                                under its id
//! ```
//!
//! The id follows from all that goes in, so that what was put together once is found again and costs nothing. A composition
//! is no version: nobody sees it in a list, and the sweep lets go of those that were of no use for a while. Only what
//! differs from the OS version is written.

use crate::catalog::VersionRow;
use crate::error::{Error, Result};
use crate::starter;
use crate::stored::StoredDisk;
use crate::sysprep;
use crate::world::World;
use serde::{Deserialize, Serialize};
use shale_disk::{Disk, Watch};
use shale_store::Version;
use shale_volume::changes::Changes;
use shale_volume::compose::{Layer, Preview, preview};
use shale_volume::exclude::Family;
use shale_volume::grow::{self, Grown};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use uuid::Uuid;

/// Changes whenever the same parts would become another disk: it goes into every id.
const RECIPE: &str = "shale composition 3";

/// Changes whenever disks are generalized in another way: it goes into the ids of those that are.
const GENERALIZED: &str = "shale generalized 1";

/// Changes whenever the tools are put in another way: it goes into the ids of disks that have them.
const TOOLS: &str = "shale tools 1";

fn id_of(hasher: &blake3::Hasher) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// A version of a platform or app layer in a composition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The version.
    pub version_id: Uuid,
    /// `layer / version`, as people know it.
    pub name: String,
}

/// A disk to be put together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composition {
    /// Follows from all that goes in; also its id in the repository.
    pub id: Uuid,
    /// The OS version below.
    pub os_version_id: Uuid,
    /// What goes on it, the lowest first.
    pub layers: Vec<Part>,
    /// Bytes of the disk.
    pub disk_size: u64,
    /// Whether what makes a machine itself (its id, keys, leases) is taken out, by Sysprep of Windows: see [`crate::sysprep`].
    pub generalize: bool,
    /// For scripts of which systems, what starts an unattended machine's script is put in, if it is: see [`crate::starter`].
    #[serde(default, deserialize_with = "starter")]
    pub starter: Option<Family>,
    /// The stamp of the tools that are put in, if they are: see [`crate::installed`].
    #[serde(default)]
    pub tools: Option<String>,
}

/// Tasks that were begun when only Linux ran scripts say whether it is.
fn starter<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Option<Family>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Told {
        Whether(bool),
        Which(Option<Family>),
    }
    Ok(match Told::deserialize(from)? {
        Told::Whether(is_there) => is_there.then_some(Family::Linux),
        Told::Which(family) => family,
    })
}

impl Composition {
    /// `layers`, the lowest first, on `os`. All must be deployable: their digests make the id.
    pub fn new(os: &VersionRow, layers: &[(&VersionRow, String)], disk_size: u64) -> Result<Self> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(RECIPE.as_bytes());
        hasher.update(&disk_size.to_le_bytes());
        for version in std::iter::once(os).chain(layers.iter().map(|(version, _)| *version)) {
            let digest = version.digest.as_deref().filter(|digest| !digest.is_empty()).ok_or_else(|| {
                Error::not_allowed(format!("The version '{}' is not deployable.", version.name))
            })?;
            // A digest is of fixed length; the ids keep equal disks of two layers apart, which are deleted apart.
            hasher.update(version.id.as_bytes());
            hasher.update(digest.as_bytes());
        }
        let part =
            |(version, name): &(&VersionRow, String)| Part { version_id: version.id, name: name.clone() };
        Ok(Self {
            id: id_of(&hasher),
            os_version_id: os.id,
            layers: layers.iter().map(part).collect(),
            disk_size,
            generalize: false,
            starter: None,
            tools: None,
        })
    }

    /// The same without what makes a machine itself. `stamp` is that of the tools, of which one starts Sysprep where it is Windows.
    pub fn generalized(self, stamp: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(GENERALIZED.as_bytes());
        hasher.update(self.id.as_bytes());
        for part in sysprep::PARTS {
            hasher.update(part.as_bytes());
        }
        hasher.update(stamp.as_bytes());
        Self { id: id_of(&hasher), generalize: true, ..self }
    }

    /// The same, with what starts an unattended machine's script, which is for systems of this family. `stamp` is that of the tools.
    pub fn with_starter(self, family: Family, stamp: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.id.as_bytes());
        for part in starter::PARTS {
            hasher.update(part.as_bytes());
        }
        // Linux runs the tool from the CD, Windows from the disk.
        if family == Family::Windows {
            hasher.update(stamp.as_bytes());
        }
        Self { id: id_of(&hasher), starter: Some(family), ..self }
    }

    /// The same, with the tools of this stamp in its system.
    pub fn with_tools(self, stamp: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(TOOLS.as_bytes());
        hasher.update(self.id.as_bytes());
        hasher.update(stamp.as_bytes());
        Self { id: id_of(&hasher), tools: Some(stamp.to_owned()), ..self }
    }

    /// Whether it is an OS version and nothing but the tools: it stays as long as the version, since machines of the next version
    /// begin with what a platform has of it.
    pub fn is_bare(&self) -> bool {
        self.layers.is_empty() && !self.generalize && self.tools.is_some()
    }

    /// The versions in it, the OS version first.
    pub fn parts(&self) -> Vec<Uuid> {
        std::iter::once(self.os_version_id).chain(self.layers.iter().map(|part| part.version_id)).collect()
    }

    /// The disk of its OS version, with the wanted size and its volume grown, to be written over.
    pub fn grown(&self, world: &World, os: &Version) -> shale_disk::Result<(Arc<Changes>, Grown)> {
        let base = shale_disk::table::grown(Arc::new(StoredDisk(os.clone())), self.disk_size)?;
        let changes = Arc::new(Changes::new(base, &world.place.scratch())?);
        let grown = grow::os_volume(&world.files_program(), changes.clone())?;
        Ok((changes, grown))
    }

    /// Its layers, opened.
    pub fn open_layers(&self, world: &World) -> shale_store::Result<Vec<Layer>> {
        self.layers.iter().map(|part| part.open(world)).collect()
    }
}

impl Part {
    /// The layer that it is.
    pub fn open(&self, world: &World) -> shale_store::Result<Layer> {
        let delta: Arc<dyn Disk> = Arc::new(StoredDisk(world.repository.version(self.version_id.into())?));
        Ok(Layer { name: self.name.clone(), delta })
    }
}

/// The plan that was told last: a person pages through it, and it takes a while to make.
#[derive(Default)]
pub struct Previews(Mutex<Option<(Uuid, Arc<Preview>)>>);

impl Previews {
    /// What `wanted` would be. Those who ask at once wait for each other.
    pub fn of(&self, world: &World, wanted: &Composition, watch: Watch) -> Result<Arc<Preview>> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((id, known)) = &*last
            && *id == wanted.id
        {
            return Ok(known.clone());
        }
        let gone =
            |e| Error::unavailable("The repository did not give what the template is made of.").because(e);
        let os = world.repository.version(wanted.os_version_id.into()).map_err(gone)?;
        let layers = wanted.open_layers(world).map_err(gone)?;
        let made = wanted.grown(world, &os).and_then(|(changes, _)| {
            preview(&world.files_program(), Arc::new(changes.disk()), &layers, watch)
        });
        let made = Arc::new(made.map_err(|e| match e.kind().retry_later() {
            true => Error::unavailable("The plan could not be made now.").because(e),
            false => Error::unsupported("These versions cannot be put together.").because(e),
        })?);
        *last = Some((wanted.id, made.clone()));
        Ok(made)
    }
}

/// One lock for each composition that is being put together.
#[derive(Default)]
pub struct Composing(Mutex<HashMap<Uuid, Weak<Mutex<()>>>>);

impl Composing {
    /// The lock of the composition `id`.
    pub fn of(&self, id: Uuid) -> Arc<Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(&id).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::default();
        locks.insert(id, Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_generalized_is_another_one_and_another_with_other_tools() {
        let plain = Composition {
            id: Uuid::nil(),
            os_version_id: Uuid::nil(),
            layers: Vec::new(),
            disk_size: 1,
            generalize: false,
            starter: None,
            tools: None,
        };
        let made = ["", "one", "two"].map(|stamp| plain.clone().generalized(stamp));
        assert!(made.iter().all(|made| made.generalize));
        let ids: std::collections::HashSet<Uuid> = made.iter().chain([&plain]).map(|disk| disk.id).collect();
        assert_eq!(ids.len(), 4);
        assert_eq!(plain.clone().generalized("one"), made[1]);
    }

    #[test]
    fn what_older_tasks_say_of_scripts_is_understood() {
        let starter = |said: &str| {
            let text = format!(
                r#"{{"id":"{0}","os_version_id":"{0}","layers":[],"disk_size":1,"generalize":false{said}}}"#,
                Uuid::nil()
            );
            serde_json::from_str::<Composition>(&text).unwrap().starter
        };
        assert_eq!(starter(""), None);
        assert_eq!(starter(r#","starter":false"#), None);
        assert_eq!(starter(r#","starter":true"#), Some(Family::Linux));
        assert_eq!(starter(r#","starter":null"#), None);
        let now = serde_json::to_string(&Some(Family::Windows)).unwrap();
        assert_eq!(starter(&format!(r#","starter":{now}"#)), Some(Family::Windows));
    }
}
