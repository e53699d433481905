//! Takes out of a disk what makes a machine itself, so that many machines can start from it.
//!
//! ```text
//!   gone      ids, keys, leases, seeds, cloud-init's state, logs of the first start      (generalize.toml)
//!   empty     /etc/machine-id: systemd makes one at the next start
//!   written   /etc/hostname: localhost
//!             a unit that makes SSH host keys that are missing, where systemd and ssh-keygen are there
//! ```
//!
//! Files of the system are looked for in its own volume, those of its boot loader in every volume of FAT: that is what the EFI
//! partition is.
//!
//! Of Windows only our own files go. The rest is Sysprep's, which changes what only a running Windows can: docs/decisions/0018.

use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use shale_disk::{Disk, Error, ErrorKind, Result, Watch};

use crate::changes::Changes;
use crate::exclude::{Exclusions, Family};
use crate::files::{Attributes, Entry, Facts, Files, Filling, Kind, Making, Moment, Program};
use crate::known::{Known, volumes};
use crate::os::os_volume;
use crate::tree::Tree;

/// The lists.
const SHIPPED: &str = include_str!("generalize.toml");

/// Makes host keys before the SSH server starts. `ssh-keygen -A` makes those that are missing (ssh-keygen(1)). cloud-init makes keys
/// too, in the service that has the second name since its version 24.3; where it is switched off, nothing but this does. Not before
/// `ssh.socket`: sockets are before `basic.target`, and that is before this, so that systemd would drop one of them.
const UNIT: &str = "\
[Unit]
Description=Make the SSH host keys of this machine
After=cloud-init.service cloud-init-network.service
Before=ssh.service sshd.service
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A
RemainAfterExit=yes

[Install]
WantedBy=multi-user.target
";
/// Where the unit lies, and the link by which it starts.
const UNIT_PATH: &str = "etc/systemd/system/shale-ssh-host-keys.service";
const WANTED: &str = "etc/systemd/system/multi-user.target.wants/shale-ssh-host-keys.service";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lists {
    linux: List,
    windows: List,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    gone: Vec<String>,
    #[serde(default)]
    empty: Vec<String>,
    #[serde(default)]
    boot: Vec<String>,
}

impl List {
    fn shipped(family: Family) -> Result<Self> {
        let lists: Lists = toml::from_str(SHIPPED).map_err(|e| {
            Error::new(ErrorKind::Corrupt, "the list of what makes a machine itself is not understood")
                .with_source(e)
        })?;
        Ok(match family {
            Family::Linux => lists.linux,
            Family::Windows => lists.windows,
        })
    }
}

/// What was taken out of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generalized {
    /// What the disk's operating system is.
    pub family: Family,
    /// Paths of the system that are gone, without a slash in front.
    pub gone: Vec<Vec<u8>>,
    /// The same of its boot loader.
    pub boot: Vec<Vec<u8>>,
    /// Whether a unit makes SSH host keys at the first start.
    pub makes_keys: bool,
}

/// Takes out of the operating system that `changes` shows what makes a machine itself. `now` is the time, in seconds since
/// 1970, that files have which are written. After an error `changes` is to be thrown away.
pub fn generalize(program: &Program, changes: &Arc<Changes>, now: i64, watch: Watch) -> Result<Generalized> {
    let disk: Arc<dyn Disk> = Arc::new(changes.disk());
    let os = os_volume(program, &disk)?;
    let mut files = Files::open_to_write(program, changes.clone(), os.range)?;
    let tree = Tree::read(&mut files, watch)?;
    let mut guest = Guest { files: &mut files, tree, now };
    let list = List::shipped(os.family)?;
    let gone = guest.remove_all(&Exclusions::of(os.family, &list.gone)?)?;
    let empty = Exclusions::of(os.family, &list.empty)?;
    for path in matching(&guest.tree, &empty) {
        guest.write(&path, b"")?;
    }
    let makes_keys = os.family == Family::Linux && guest.begin_anew()?;
    files.close()?;
    let boot = of_boot_loaders(program, changes, &list, watch)?;
    Ok(Generalized { family: os.family, gone, boot, makes_keys })
}

/// Takes out of every volume of FAT what its boot loader knows of the machine. One that cannot be looked into is refused: images
/// would share the secret in it.
fn of_boot_loaders(
    program: &Program,
    changes: &Arc<Changes>,
    list: &List,
    watch: Watch,
) -> Result<Vec<Vec<u8>>> {
    let patterns = Exclusions::ignoring_case(&list.boot)?;
    let mut gone = Vec::new();
    if list.boot.is_empty() {
        return Ok(gone);
    }
    for (number, volume) in (1..).zip(volumes(&changes.disk())?) {
        if volume.known == Known::Fat {
            let removed = remove_from(program, changes, volume.range, &patterns, watch).map_err(|e| {
                let text =
                    format!("what makes a machine itself cannot be taken out of partition {number} (FAT)");
                Error::new(e.kind(), text).with_source(e)
            })?;
            gone.extend(removed);
        }
    }
    Ok(gone)
}

/// Removes what fits from a volume. One that has nothing of it is only read.
fn remove_from(
    program: &Program,
    changes: &Arc<Changes>,
    range: Range<u64>,
    patterns: &Exclusions,
    watch: Watch,
) -> Result<Vec<Vec<u8>>> {
    let mut files = Files::open(program, Arc::new(changes.disk()), range.clone())?;
    let tree = Tree::read(&mut files, watch)?;
    files.close()?;
    if matching(&tree, patterns).is_empty() {
        return Ok(Vec::new());
    }
    let mut files = Files::open_to_write(program, changes.clone(), range)?;
    let gone = Guest { files: &mut files, tree, now: 0 }.remove_all(patterns)?;
    files.close()?;
    Ok(gone)
}

/// Paths that fit, those in folders before the folders.
fn matching(tree: &Tree, patterns: &Exclusions) -> Vec<Vec<u8>> {
    let fits = |(path, entry): &(&Vec<u8>, &Entry)| patterns.matches(path, entry.kind == Kind::Folder);
    tree.0.iter().rev().filter(fits).map(|(path, _)| path.clone()).collect()
}

/// A file system that is open to be changed, and what was in it.
struct Guest<'a> {
    files: &'a mut Files,
    tree: Tree,
    now: i64,
}

impl Guest<'_> {
    fn has(&self, path: &str) -> bool {
        self.tree.0.contains_key(path.as_bytes())
    }

    fn remove_all(&mut self, patterns: &Exclusions) -> Result<Vec<Vec<u8>>> {
        let paths = matching(&self.tree, patterns);
        for path in &paths {
            self.remove(path)?;
        }
        Ok(paths)
    }

    fn remove(&mut self, path: &[u8]) -> Result<()> {
        let (folder, name) = split(path);
        let parent = self.folder(folder)?;
        self.files.remove(parent, name)?;
        self.tree.0.remove(path);
        Ok(())
    }

    /// The node of a folder, which is made if need be, with those above it. What is there and is no folder is an error.
    fn folder(&mut self, path: &[u8]) -> Result<u64> {
        if path.is_empty() {
            return Ok(self.files.root());
        }
        match self.tree.0.get(path) {
            Some(entry) if entry.kind == Kind::Folder => Ok(entry.node),
            Some(_) => {
                let text = format!("'/{}' is no folder", String::from_utf8_lossy(path));
                Err(Error::new(ErrorKind::Unsupported, text))
            }
            None => {
                let (above, name) = split(path);
                let parent = self.folder(above)?;
                self.make(path, Making { parent, name, kind: &Kind::Folder }, 0o755)
            }
        }
    }

    /// Replaces what is at a path by a file with this text, of the same owner and mode.
    fn write(&mut self, path: &[u8], text: &[u8]) -> Result<()> {
        let old = self.tree.0.get(path).cloned();
        if old.is_some() {
            self.remove(path)?;
        }
        let (folder, name) = split(path);
        let parent = self.folder(folder)?;
        let making = Making { parent, name, kind: &Kind::File };
        let node = self.files.make(making)?;
        let size = text.len() as u64;
        let ranges: Vec<_> = (size > 0).then_some(0..size).into_iter().collect();
        let content = &mut |at: u64, buffer: &mut [u8]| {
            let at = at as usize;
            buffer.copy_from_slice(&text[at..at + buffer.len()]);
            Ok(())
        };
        self.files.fill(node, b"", Filling { size, ranges: &ranges, compressed: false, content })?;
        let old = old.filter(|old| old.kind == Kind::File);
        let (facts, attributes) = match old {
            Some(old) => (self.dated(old.facts), old.attributes),
            None => (self.facts(0o644), Attributes::new()),
        };
        self.files.describe(node, parent, &facts, &attributes)?;
        self.note(path, node)
    }

    fn make(&mut self, path: &[u8], making: Making, mode: u16) -> Result<u64> {
        let parent = making.parent;
        let node = self.files.make(making)?;
        let facts = self.facts(mode);
        self.files.describe(node, parent, &facts, &Attributes::new())?;
        self.note(path, node)?;
        Ok(node)
    }

    fn note(&mut self, path: &[u8], node: u64) -> Result<()> {
        let entry = self.files.entry(node)?;
        self.tree.0.insert(path.to_vec(), entry);
        Ok(())
    }

    /// Of root.
    fn facts(&self, mode: u16) -> Facts {
        self.dated(Facts { mode, ..Facts::default() })
    }

    fn dated(&self, facts: Facts) -> Facts {
        let now = Moment { seconds: self.now, nanoseconds: 0 };
        Facts { modified: now, accessed: now, changed: now, born: now, ..facts }
    }

    /// What a Linux machine needs that starts for the first time. Answers whether a unit makes its host keys.
    fn begin_anew(&mut self) -> Result<bool> {
        if self.has("etc/hostname") {
            self.write(b"etc/hostname", b"localhost\n")?;
        }
        self.make_keys_at_first_start()
    }

    fn make_keys_at_first_start(&mut self) -> Result<bool> {
        let is_wanted = self.has("usr/bin/ssh-keygen")
            && (self.has("usr/lib/systemd/systemd") || self.has("lib/systemd/systemd"));
        if !is_wanted || self.has(WANTED) {
            return Ok(is_wanted);
        }
        self.write(UNIT_PATH.as_bytes(), UNIT.as_bytes())?;
        let (folder, name) = split(WANTED.as_bytes());
        let parent = self.folder(folder)?;
        let link = Kind::Link { target: format!("/{UNIT_PATH}").into_bytes() };
        self.make(WANTED.as_bytes(), Making { parent, name, kind: &link }, 0o777)?;
        Ok(true)
    }
}

/// The folder of a path, and its name in it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_list_is_understood_and_spares_what_is_no_identity() {
        let gone = Exclusions::of(Family::Linux, &List::shipped(Family::Linux).unwrap().gone).unwrap();
        for path in [
            "etc/ssh/ssh_host_ed25519_key",
            "var/lib/cloud/instances/i-1/sem/x",
            "var/lib/dhcp/dhclient.leases",
        ] {
            assert!(gone.matches(path.as_bytes(), false), "{path}");
        }
        for path in ["etc/ssh/sshd_config", "etc/machine-id", "etc/hostname", "var/lib/cloud", "var/log"] {
            assert!(!gone.matches(path.as_bytes(), false), "{path}");
        }
    }

    #[test]
    fn of_windows_nothing_goes_but_what_is_ours() {
        let gone = Exclusions::of(Family::Windows, &List::shipped(Family::Windows).unwrap().gone).unwrap();
        for path in ["Program Files/Shale", "program files/shale/x.exe", "Windows/shale-run.exe"] {
            assert!(gone.matches(path.as_bytes(), false), "{path}");
        }
        for path in
            ["Program Files", "Program Files/Shale Oil/x", "Windows/System32/config/SAM", "Users/Public"]
        {
            assert!(!gone.matches(path.as_bytes(), true), "{path}");
        }
    }

    #[test]
    fn a_path_has_a_folder_and_a_name() {
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"c"), (&b""[..], &b"c"[..]));
    }
}
