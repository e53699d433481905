//! File systems made by their own tools, in images, and what is in them as a test compares it.
#![allow(dead_code, reason = "each test program uses a part")]

pub mod forest;
pub mod guest;
pub mod logfile;

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use shale_disk::{Content, Disk, Extent, FileDisk, Watch, extents};
use shale_volume::apply::apply;
use shale_volume::changes::Changes;
use shale_volume::diff::diff;
use shale_volume::exclude::Exclusions;
use shale_volume::files::{Attributes, Entry, Facts, Files, Kind, Moment, Program};
use shale_volume::plan::plan;
use shale_volume::stored::{Stored, Writer};
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
    Fat12,
    Fat16,
    Fat32,
}

impl Made {
    pub fn is_fat(self) -> bool {
        matches!(self, Self::Fat12 | Self::Fat16 | Self::Fat32)
    }

    /// Whether entries have owners and modes.
    pub fn is_unix(self) -> bool {
        matches!(self, Self::Ext4 | Self::Ext2)
    }
}

/// A disk that tells what is read of it.
pub struct Read {
    disk: Arc<dyn Disk>,
    ranges: Mutex<Vec<Range<u64>>>,
}

impl Read {
    pub fn of(image: &Image) -> Arc<Self> {
        Arc::new(Self { disk: image.disk(), ranges: Mutex::default() })
    }

    /// Bytes that were read inside of a range, each as often as it was.
    pub fn inside(&self, range: &Range<u64>) -> u64 {
        let both = |read: &Range<u64>| read.end.min(range.end).saturating_sub(read.start.max(range.start));
        self.ranges.lock().unwrap().iter().map(both).sum()
    }
}

impl Disk for Read {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> shale_disk::Result<()> {
        self.ranges.lock().unwrap().push(offset..offset + buf.len() as u64);
        self.disk.read_at(buf, offset)
    }

    fn extent_at(&self, offset: u64) -> shale_disk::Result<Extent> {
        self.disk.extent_at(offset)
    }
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
        if kind.is_fat() {
            // Sleuthkit takes FAT32 with fewer than 65525 clusters for damaged: they are as small as can be.
            let (width, sectors) = match kind {
                Made::Fat12 => ("12", "8"),
                Made::Fat16 => ("16", "2"),
                _ => ("32", "1"),
            };
            run("mkfs.fat", &["-F", width, "-s", sectors, path.to_str().unwrap()]);
            return image;
        }
        let mut arguments = match kind {
            Made::Ext4 => vec!["-q", "-F", "-t", "ext4", "-b", "4096"],
            Made::Ext2 => vec!["-q", "-F", "-t", "ext2", "-b", "1024", "-I", "256"],
            _ => vec!["-q", "-F", "-Q"],
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
        self.open_as(self.disk())
    }

    /// Opens what `disk` shows of it.
    pub fn open_as(&self, disk: Arc<dyn Disk>) -> Files {
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
            Made::Fat12 | Made::Fat16 | Made::Fat32 => {
                drop(run("fsck.fat", &["-n", path]));
                drop(run("fls", &["-f", "fat", "-r", path]));
            }
        }
    }
}

/// The file record at a path of NTFS, which sleuthkit tells.
pub fn record(image: &Image, name: &str) -> String {
    let path = image.path();
    let listed = run("fls", &["-f", "ntfs", "-r", "-p", path.to_str().unwrap()]);
    let line = listed
        .lines()
        .find(|line| line.ends_with(&format!("\t{name}")))
        .unwrap_or_else(|| panic!("{name} is not in {listed}"));
    line.split_whitespace().nth(1).unwrap().split('-').next().unwrap().to_owned()
}

/// What ntfsinfo tells of it.
pub fn info(image: &Image, name: &str) -> String {
    run("ntfsinfo", &["-f", "-v", "-i", &record(image, name), image.path().to_str().unwrap()])
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

/// The delta between two images, put on the first: it is the second then.
pub fn there_and_back(a: &Image, b: &Image) {
    let delta = |file: &Path| {
        let mut writer = Writer::new(File::create(file).unwrap());
        let (changed, none) = (changed_blocks(a, b), Exclusions::default());
        let delta = diff(&mut a.open(), &mut b.open(), Some(&changed), &none, &mut writer, go_on()).unwrap();
        writer.finish(&delta).unwrap();
        Stored::open(Arc::new(FileDisk::open(file).unwrap())).unwrap()
    };
    let file = a.folder.path().join("delta");
    let (found, mut stored) = delta(&file);
    let expected = comparable(b);
    let changes = Arc::new(Changes::new(a.disk(), a.folder.path()).unwrap());
    let mut files = Files::open_to_write(&program(), changes.clone(), 0..changes.size()).unwrap();
    let base = Tree::read(&mut files, go_on()).unwrap();
    let planned = plan(&[&found], &base);
    assert_eq!(planned.conflicts, []);
    apply(&mut files, &base, &planned, &mut [&mut stored], go_on()).unwrap();
    files.close().unwrap();
    a.take(&changes);
    a.judge();
    assert_eq!(comparable(a), expected);
    assert!(delta(&file).0.changes.is_empty(), "nothing is left to do");
}
