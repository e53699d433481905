//! What is remembered of a pool in the connector's folder, so that a restarted server goes on with the same session,
//! and finds the pool when the host it was told of is gone.
//!
//! ```text
//!   <folder>/
//!     owner          a UUID; what is made on the pool carries it, so that another server's things are left alone
//!     pool.json      which pool, its hosts with their certificates, who was the coordinator     0600
//!     session.json   the session, to be used again                                              0600
//! ```

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind as Io, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Tag};

/// A pool and its hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct KnownPool {
    /// The configured address for which this was found.
    pub address: String,
    /// The certificates that were confirmed when it was found: what the hosts told is believed no longer than those.
    pub pins: String,
    /// The pool's UUID.
    pub pool: String,
    /// Address of the coordinator.
    pub coordinator: String,
    /// All hosts.
    pub members: Vec<Member>,
}

/// A host of the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Member {
    /// Its address, as the pool tells it.
    pub address: String,
    /// SHA-256 of its certificate, if the pool tells it.
    pub fingerprint: Option<String>,
}

/// A session.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownSession {
    /// The configured address and user it was begun for.
    pub address: String,
    /// The user.
    pub user: String,
    /// Its reference, which is as good as the password while it lasts.
    pub session: String,
}

/// The file with what marks things as made by a connector.
const OWNER: &str = "owner";

/// Gives `to`, the folder of a connector that is tried, the owner of the one in `from`, if that has one: both find the same things.
pub(crate) fn lend_owner(from: &Path, to: &Path) -> Result<()> {
    match fs::copy(from.join(OWNER), to.join(OWNER)) {
        Err(e) if e.kind() != Io::NotFound => Err(Error::io(format!("cannot copy to '{}'", to.display()), e)),
        _ => Ok(()),
    }
}

/// The connector's folder.
pub(super) struct Memory {
    folder: PathBuf,
}

impl Memory {
    /// What is remembered in `folder`.
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The folder, made if it was not there.
    pub fn folder(&self) -> Result<&Path> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(|e| Error::io(format!("cannot make the folder '{}'", self.folder.display()), e))?;
        Ok(&self.folder)
    }

    /// Name for sessions, tasks: unique to this connector.
    pub fn originator(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
        format!("shale-{name}")
    }

    /// What marks things as made by this connector.
    pub fn owner(&self) -> Result<Tag> {
        let path = self.folder()?.join(OWNER);
        match fs::read_to_string(&path) {
            Ok(text) => return Tag::parse(text.trim()),
            Err(e) if e.kind() == Io::NotFound => {}
            Err(e) => return Err(Error::io(format!("cannot read '{}'", path.display()), e)),
        }
        let new = fs::read_to_string("/proc/sys/kernel/random/uuid")
            .map_err(|e| Error::io("the system gives no random UUID", e))?;
        let owner = Tag::parse(new.trim())?;
        self.publish(OWNER, format!("{owner}\n").as_bytes())?;
        Ok(owner)
    }

    /// The pool, if it was found for this address; without its hosts' certificates if others were confirmed then. One
    /// that cannot be read is found anew.
    pub fn pool(&self, address: &str, pins: &str) -> Option<KnownPool> {
        let mut known = self.read::<KnownPool>("pool.json").filter(|known| known.address == address)?;
        if known.pins != pins {
            known.members.iter_mut().for_each(|member| member.fingerprint = None);
        }
        Some(known)
    }

    /// Remembers the pool.
    pub fn keep_pool(&self, pool: &KnownPool) -> Result<()> {
        self.keep("pool.json", pool)
    }

    /// The session, if it was begun for this address and user.
    pub fn session(&self, address: &str, user: &str) -> Option<String> {
        let known = self.read::<KnownSession>("session.json")?;
        (known.address == address && known.user == user).then_some(known.session)
    }

    /// Remembers the session.
    pub fn keep_session(&self, session: &KnownSession) -> Result<()> {
        self.keep("session.json", session)
    }

    /// Forgets the session.
    pub fn forget_session(&self) {
        // One that stays is found to have ended when it is used.
        let _ = fs::remove_file(self.folder.join("session.json"));
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.folder.join(name)).ok()?).ok()
    }

    fn keep(&self, name: &str, what: &impl Serialize) -> Result<()> {
        let text = serde_json::to_vec(what)
            .map_err(|e| Error::new(crate::ErrorKind::Io, format!("cannot write {name}")).with_source(e))?;
        self.publish(name, &text)
    }

    /// Writes a file so that it appears whole or not at all, readable by us alone.
    fn publish(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder()?.join(name);
        let temporary = self.folder.join(format!("{name}.new"));
        let write = || {
            let mut how = OpenOptions::new();
            let mut file = how.create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|e| Error::io(format!("cannot write '{}'", path.display()), e))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_owner_is_made_once_and_a_session_is_readable_by_us_alone() {
        let place = tempfile::tempdir().unwrap();
        let memory = Memory::in_folder(&place.path().join("c"));
        assert_eq!(memory.owner().unwrap(), memory.owner().unwrap());
        let session = KnownSession { address: "a".into(), user: "u".into(), session: "OpaqueRef:1".into() };
        memory.keep_session(&session).unwrap();
        let mode = fs::metadata(place.path().join("c/session.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(memory.session("a", "u").as_deref(), Some("OpaqueRef:1"));
        assert_eq!(memory.session("a", "another"), None);
        memory.forget_session();
        assert_eq!(memory.session("a", "u"), None);
    }

    #[test]
    fn what_was_found_for_another_address_or_is_spoilt_is_not_known() {
        let place = tempfile::tempdir().unwrap();
        let memory = Memory::in_folder(place.path());
        memory.keep_pool(&KnownPool { address: "a".into(), ..KnownPool::default() }).unwrap();
        assert!(memory.pool("a", "").is_some());
        assert!(memory.pool("b", "").is_none());
        fs::write(place.path().join("pool.json"), "\0").unwrap();
        assert!(memory.pool("a", "").is_none());
    }

    #[test]
    fn certificates_of_hosts_are_forgotten_with_the_one_that_vouched_for_them() {
        let place = tempfile::tempdir().unwrap();
        let memory = Memory::in_folder(place.path());
        let member = Member { address: "m".into(), fingerprint: Some("F".into()) };
        let (address, pins) = ("a".to_owned(), "P".to_owned());
        memory
            .keep_pool(&KnownPool { address, pins, members: vec![member], ..KnownPool::default() })
            .unwrap();
        assert!(memory.pool("a", "P").unwrap().members[0].fingerprint.is_some());
        for changed in ["", "Q"] {
            let member = memory.pool("a", changed).unwrap().members.remove(0);
            assert_eq!((member.address.as_str(), member.fingerprint), ("m", None), "{changed}");
        }
    }
}
