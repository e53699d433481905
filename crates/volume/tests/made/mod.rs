//! File systems made by their own tools, in images, and what is in them as a test compares it.
#![allow(dead_code, reason = "each test program uses a part")]

pub mod forest;
pub mod guest;

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use shale_disk::{Content, Disk, FileDisk, Watch, extents};
use shale_volume::changes::Changes;
use shale_volume::files::{Attributes, Entry, Facts, Files, Kind, Moment, Program};
use shale_volume::tree::Tree;

pub const MIB: u64 = 1 << 20;

/// Never stops.
pub fn go_on() -> Watch<'static> {
    &|_| ControlFlow::Continue(())
}

pub fn program() -> Program {
    Program::at(env!("CARGO_BIN_EXE_shale-files"))
}

/// Runs a tool, whatever it says.
pub fn output(tool: &str, arguments: &[&str]) -> Output {
    Command::new(tool)
        .args(arguments)
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{tool} cannot be started: {e}"))
}

/// Runs a tool and returns what it says; it must succeed.
pub fn run(tool: &str, arguments: &[&str]) -> String {
    let output = output(tool, arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments:?}: {} {text}{errors}", output.status);
    text
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    Ext4,
    Ext2,
    Ntfs,
}

/// A folder with an image in it.
pub struct Image {
    pub folder: tempfile::TempDir,
    pub kind: Made,
}

impl Image {
    /// A new file system of this many bytes, with a tree of the host in it if it is ext.
    pub fn new(kind: Made, size: u64, tree: Option<&Path>) -> Self {
        let image = Self { folder: tempfile::tempdir().unwrap(), kind };
        let path = image.path();
        File::create(&path).unwrap().set_len(size).unwrap();
        let mut arguments = match kind {
            Made::Ext4 => vec!["-q", "-F", "-t", "ext4", "-b", "4096"],
            Made::Ext2 => vec!["-q", "-F", "-t", "ext2", "-b", "1024", "-I", "256"],
            Made::Ntfs => vec!["-q", "-F", "-Q"],
        };
        if let Some(tree) = tree {
            arguments.extend(["-d", tree.to_str().unwrap()]);
        }
        arguments.push(path.to_str().unwrap());
        run(if kind == Made::Ntfs { "mkntfs" } else { "mke2fs" }, &arguments);
        image
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(FileDisk::open(&self.path()).unwrap())
    }

    pub fn open(&self) -> Files {
        let disk = self.disk();
        let size = disk.size();
        Files::open(&program(), disk, 0..size).unwrap()
    }

    /// Opens the image to be changed by `work`, and makes what was written its content.
    pub fn change(&self, work: impl FnOnce(&mut Files)) {
        let changes = Arc::new(Changes::new(self.disk(), self.folder.path()).unwrap());
        let size = changes.size();
        let mut files = Files::open_to_write(&program(), changes.clone(), 0..size).unwrap();
        work(&mut files);
        files.close().unwrap();
        self.take(&changes);
    }

    pub fn take(&self, changes: &Arc<Changes>) {
        let file = File::options().write(true).open(self.path()).unwrap();
        for extent in extents(&**changes).map(Result::unwrap).filter(|extent| extent.content == Content::Data)
        {
            let mut bytes = vec![0; extent.length as usize];
            changes.read_at(&mut bytes, extent.offset).unwrap();
            file.write_all_at(&bytes, extent.offset).unwrap();
        }
    }

    /// The file system's own tools find nothing wrong.
    pub fn judge(&self) {
        let path = self.path();
        let path = path.to_str().unwrap();
        match self.kind {
            Made::Ext4 | Made::Ext2 => drop(run("e2fsck", &["-fn", path])),
            Made::Ntfs => {
                let said = run("ntfsfix", &["-n", path]);
                assert!(said.contains("processed successfully"), "{said}");
                drop(run("ntfsinfo", &["-m", "-f", path]));
                drop(run("fls", &["-f", "ntfs", "-r", path]));
            }
        }
    }
}

/// An entry as it is compared: without numbers that depend on where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub kind: Kind,
    pub facts: Facts,
    pub attributes: Attributes,
    pub streams: Vec<(Vec<u8>, Vec<u8>)>,
    /// The first of its names.
    pub first: Vec<u8>,
}

pub fn content(files: &mut Files, entry: &Entry, stream: &[u8]) -> Vec<u8> {
    let map = files.map(entry.node, stream).unwrap();
    let mut bytes = vec![0; map.size as usize];
    files.read(entry.node, stream, &map, 0, &mut bytes).unwrap();
    bytes
}

/// Everything in a file system.
pub fn see(files: &mut Files) -> BTreeMap<Vec<u8>, Seen> {
    let tree = Tree::read(files, go_on()).unwrap();
    let names = tree.names();
    let mut seen = BTreeMap::new();
    for (path, entry) in &tree.0 {
        let streams = entry.streams.iter();
        let streams =
            streams.map(|stream| (stream.name.clone(), content(files, entry, &stream.name))).collect();
        let first = names.get(&entry.node).map_or(path.as_slice(), |names| names[0]).to_vec();
        let Entry { kind, facts, attributes, .. } = entry.clone();
        seen.insert(path.clone(), Seen { kind, facts, attributes, streams, first });
    }
    seen
}

/// As it is compared: when something was read is no difference, and bits that follow from content are none.
pub fn comparable(image: &Image) -> BTreeMap<Vec<u8>, Seen> {
    let mut seen = see(&mut image.open());
    for entry in seen.values_mut() {
        entry.facts.accessed = Moment::default();
        if let Some(bits) = entry.attributes.get_mut(&b"system.ntfs_attrib"[..]) {
            bits[1] &= !2;
        }
    }
    seen
}

/// The blocks in which two images differ.
pub fn changed_blocks(base: &Image, now: &Image) -> Vec<std::ops::Range<u64>> {
    let (a, b) = (std::fs::read(base.path()).unwrap(), std::fs::read(now.path()).unwrap());
    let mut ranges: Vec<std::ops::Range<u64>> = Vec::new();
    for number in
        (0u64..).zip(a.chunks(4096).zip(b.chunks(4096))).filter(|(_, (a, b))| a != b).map(|(n, _)| n)
    {
        match ranges.last_mut() {
            Some(last) if last.end == number * 4096 => last.end += 4096,
            _ => ranges.push(number * 4096..(number + 1) * 4096),
        }
    }
    ranges
}
