//! Small operating systems in images, and machines that change them.

use std::fs::File;
use std::sync::Arc;

use shale_disk::{Disk, FileDisk};
use shale_volume::capture::{Captured, layer_of};
use shale_volume::changes::Changes;
use shale_volume::compose::{Layer, Preview, compose};
use shale_volume::files::{Attributes, Facts, Files, Filling, Kind, Making, Moment};
use shale_volume::tree::Tree;
use shale_volume::without::{States, Without, without};

use super::{Image, MIB, Made, changed_blocks, content, go_on, program};

pub const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n";
pub const GROUP: &str = "root:x:0:\nadm:x:4:\n";

/// A paragraph of dpkg.
pub fn package(name: &str, version: &str) -> String {
    format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n")
}

/// What makes a volume one of Linux.
pub fn linux() -> Image {
    let image = Image::new(Made::Ext4, 24 * MIB, None);
    edit(&image, |guest| {
        guest.put("usr/bin/app", "version one");
        guest.put("etc/passwd", PASSWD);
        guest.put("etc/group", GROUP);
        guest.put("etc/shells", "/bin/sh\n");
        guest.put("etc/motd", "welcome");
        guest.put("var/lib/dpkg/status", &(package("app", "1") + &package("libc6", "1")));
    });
    image
}

/// A file system that is open to be changed.
pub struct Guest<'a> {
    pub files: &'a mut Files,
    tree: Tree,
}

/// Changes an image; it is sound afterwards.
pub fn edit(image: &Image, work: impl FnOnce(&mut Guest)) {
    image.change(|files| {
        let tree = Tree::read(files, go_on()).unwrap();
        work(&mut Guest { files, tree });
    });
    image.judge();
}

impl Guest<'_> {
    /// A file of root; its time follows from its content.
    pub fn put(&mut self, path: &str, text: &str) {
        self.put_as(path, text, 0);
    }

    /// A file of a user and a group of the same id.
    pub fn put_as(&mut self, path: &str, text: &str, owner: u32) {
        self.fill(path, text.as_bytes(), owner);
    }

    pub fn fill(&mut self, path: &str, bytes: &[u8], owner: u32) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.folder(folder);
        if self.tree.0.contains_key(path.as_bytes()) {
            self.files.remove(parent, name.as_bytes()).unwrap();
        }
        let making = Making { parent, name: name.as_bytes(), kind: &Kind::File };
        let node = self.files.make(making).unwrap();
        let size = bytes.len() as u64;
        let ranges: Vec<_> = if size == 0 { vec![] } else { std::iter::once(0..size).collect() };
        let give = &mut |at: u64, buffer: &mut [u8]| {
            buffer.copy_from_slice(&bytes[at as usize..at as usize + buffer.len()]);
            Ok(())
        };
        let filling = Filling { size, ranges: &ranges, compressed: false, content: give };
        self.files.fill(node, b"", filling).unwrap();
        let seconds = bytes.iter().fold(7, |sum: i64, byte| (sum * 31 + i64::from(*byte)) % 1_000_000_007);
        self.describe(node, parent, 0o644, owner, seconds);
        let entry = self.files.entry(node).unwrap();
        self.tree.0.insert(path.as_bytes().to_vec(), entry);
    }

    pub fn describe(&mut self, node: u64, parent: u64, mode: u16, owner: u32, seconds: i64) {
        let time = Moment { seconds, nanoseconds: 0 };
        let is_unix = self.files.kind() == shale_volume::known::Known::Ext;
        let (mode, owner) = if is_unix { (mode, owner) } else { (0, 0) };
        let facts = Facts { mode, owner, group: owner, modified: time, changed: time, ..Facts::default() };
        let facts = Facts { accessed: time, born: time, ..facts };
        self.files.describe(node, parent, &facts, &Attributes::new()).unwrap();
    }

    pub fn chmod(&mut self, path: &str, mode: u16) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let (node, parent) = (self.node(path), self.node(folder));
        let entry = self.files.entry(node).unwrap();
        let facts = Facts { mode, ..entry.facts };
        self.files.describe(node, parent, &facts, &entry.attributes).unwrap();
    }

    /// Gives a file another time.
    pub fn touch(&mut self, path: &str) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.describe(self.node(path), self.node(folder), 0o644, 0, 1_234_567_890);
    }

    pub fn remove(&mut self, path: &str) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.files.remove(self.node(folder), name.as_bytes()).unwrap();
        self.tree.0.remove(path.as_bytes());
    }

    pub fn node(&self, path: &str) -> u64 {
        self.tree.0[path.as_bytes()].node
    }

    /// A folder, and those above it.
    pub fn folder(&mut self, path: &str) -> u64 {
        if let Some(entry) = self.tree.0.get(path.as_bytes()) {
            return entry.node;
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.folder(above);
        let making = Making { parent, name: name.as_bytes(), kind: &Kind::Folder };
        let node = self.files.make(making).unwrap();
        self.describe(node, parent, 0o755, 0, 1_500_000_000);
        let entry = self.files.entry(node).unwrap();
        self.tree.0.insert(path.as_bytes().to_vec(), entry);
        node
    }
}

pub fn copy(image: &Image) -> Image {
    let copy = Image::new(image.kind, image.disk().size(), None);
    std::fs::copy(image.path(), copy.path()).unwrap();
    copy
}

/// What a machine that begins with `base` makes of it.
pub fn machine(base: &Image, work: impl FnOnce(&mut Guest)) -> Image {
    let now = copy(base);
    edit(&now, work);
    now
}

/// The layer of what differs between two images.
pub fn layer(name: &str, base: &Image, now: &Image) -> Layer {
    captured(name, base, now, "").0
}

pub fn captured(name: &str, base: &Image, now: &Image, exclusions: &str) -> (Layer, Captured) {
    let path = now.folder.path().join(name);
    let file = File::create(&path).unwrap();
    let changed = changed_blocks(base, now);
    let captured = layer_of(&program(), base.disk(), now.disk(), Some(&changed), exclusions, file, go_on());
    let delta: Arc<dyn Disk> = Arc::new(FileDisk::open(&path).unwrap());
    (Layer { name: name.to_owned(), delta }, captured.unwrap())
}

/// An image with layers on it, judged by the file system's own tools.
pub fn composed(os: &Image, layers: &[Layer]) -> (Image, Preview) {
    let image = copy(os);
    let changes = Arc::new(Changes::new(os.disk(), os.folder.path()).unwrap());
    let preview = compose(&program(), &changes, layers, go_on()).unwrap();
    image.take(&changes);
    image.judge();
    (image, preview)
}

/// The text of a file, and who owns it; `None` if it is not there.
pub fn read(image: &Image, path: &str) -> Option<(String, u32)> {
    let mut files = image.open();
    let tree = Tree::read(&mut files, go_on()).unwrap();
    let entry = tree.0.get(path.as_bytes())?.clone();
    Some((String::from_utf8(content(&mut files, &entry, b"")).unwrap(), entry.facts.owner))
}

pub fn text(image: &Image, path: &str) -> String {
    read(image, path).unwrap_or_else(|| panic!("{path} is not there")).0
}

/// What is left of `now`, and what was said.
pub fn taken_away(os: &Image, platform: &Layer, composed: &Image, now: &Image) -> (Image, Without) {
    let states = States { old: os.disk(), composed: composed.disk(), now: now.disk() };
    let changed = changed_blocks(composed, now);
    let folder = os.folder.path();
    let done = without(&program(), &states, Some(&changed), platform, folder, go_on()).unwrap();
    let image = copy(os);
    image.take(&done.changes);
    image.judge();
    (image, done)
}
