//! Images with a tree of files in them.

use shale_disk::{Content, Disk, FileDisk, extents};
use shale_server::examine::{Finding, Heard, examine};
use shale_volume::changes::Changes;
use shale_volume::files::{Files, Filling, Kind, Making, Program};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// `shale-files` of this build: beside the folder that tests lie in.
pub fn program() -> Program {
    let here = std::env::current_exe().unwrap();
    let path = here.ancestors().nth(2).unwrap().join("shale-files");
    assert!(path.exists(), "{} is missing: cargo build -p shale-volume makes it", path.display());
    Program::at(path)
}

/// Runs a tool, which must succeed.
#[track_caller]
pub fn run(tool: &str, arguments: &[&str]) -> String {
    let output = Command::new(tool).args(arguments).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").output();
    let output = output.unwrap_or_else(|e| panic!("{tool} cannot be run: {e}"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{tool}: {told}{}", String::from_utf8_lossy(&output.stderr));
    told
}

/// When the trees here were made: files are as old as one says.
pub fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000 + seconds)
}

/// A folder whose content becomes that of a file system.
pub struct Tree(pub tempfile::TempDir);

impl Tree {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    /// Writes a file that is as old as all are, and so are the folders it lies in.
    pub fn write(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let file = self.path(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        self.touch(path, 0)
    }

    pub fn remove(self, path: &str) -> Self {
        fs::remove_file(self.path(path)).unwrap();
        self.touch(Path::new(path).parent().unwrap().to_str().unwrap(), 0)
    }

    pub fn link(self, path: &str, target: &str) -> Self {
        std::os::unix::fs::symlink(target, self.path(path)).unwrap();
        self
    }

    /// Makes a file or folder, and the folders it lies in, of this age.
    pub fn touch(self, path: &str, seconds: u64) -> Self {
        for path in self.path(path).ancestors().take_while(|path| path.starts_with(self.0.path())) {
            File::open(path).unwrap().set_modified(time(seconds)).unwrap();
        }
        self
    }

    /// The tree as the only content of a disk, on NTFS.
    pub fn ntfs(&self) -> Image {
        let image = Image::empty(32 << 20);
        run("mkntfs", &["-q", "-F", "-Q", image.path().to_str().unwrap()]);
        self.put_on(image)
    }

    /// What `base` holds, on NTFS, and the tree besides.
    pub fn on_top_of(&self, base: &Image) -> Image {
        let image = Image::empty(32 << 20);
        fs::copy(base.path(), image.path()).unwrap();
        self.put_on(image)
    }

    fn put_on(&self, image: Image) -> Image {
        image.change(|changes| {
            let mut files = Files::open_to_write(&program(), changes.clone(), 0..32 << 20).unwrap();
            let root = files.root();
            put(&mut files, self.0.path(), root);
            files.close().unwrap();
        });
        image
    }

    /// A file of this size without any content, besides the tree.
    pub fn sparse(self, path: &str, size: u64) -> Self {
        let tree = self.write(path, "");
        File::options().write(true).open(tree.path(path)).unwrap().set_len(size).unwrap();
        tree.touch(path, 0)
    }

    /// The tree as the only content of a disk, on ext4.
    pub fn ext4(&self) -> Image {
        let image = Image::empty(24 << 20);
        let arguments = ["-q", "-F", "-t", "ext4", "-b", "4096", "-d", self.0.path().to_str().unwrap()];
        run("mke2fs", &[&arguments[..], &[image.path().to_str().unwrap()]].concat());
        image
    }
}

/// Copies what a folder holds.
fn put(files: &mut Files, from: &Path, parent: u64) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        let kind = if path.is_dir() { Kind::Folder } else { Kind::File };
        let node = files.make(Making { parent, name: name.as_encoded_bytes(), kind: &kind }).unwrap();
        if path.is_dir() {
            put(files, &path, node);
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let size = bytes.len() as u64;
        let ranges: Vec<_> = std::iter::once(0..size).filter(|all| !all.is_empty()).collect();
        let content = &mut |at: u64, part: &mut [u8]| {
            part.copy_from_slice(&bytes[at as usize..at as usize + part.len()]);
            Ok(())
        };
        files.fill(node, b"", Filling { size, ranges: &ranges, compressed: false, content }).unwrap();
    }
}

/// A disk in a file.
pub struct Image(tempfile::TempDir);

impl Image {
    pub fn empty(size: u64) -> Self {
        let image = Self(tempfile::tempdir().unwrap());
        File::create(image.path()).unwrap().set_len(size).unwrap();
        image
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("disk")
    }

    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(FileDisk::open(&self.path()).unwrap())
    }

    /// Changes what it holds.
    pub fn change(&self, work: impl FnOnce(&Arc<Changes>)) {
        let changes = Arc::new(Changes::new(self.disk(), self.0.path()).unwrap());
        work(&changes);
        self.take(&*changes);
    }

    /// Takes over what another disk has data for.
    pub fn take(&self, changes: &dyn Disk) {
        let file = File::options().write(true).open(self.path()).unwrap();
        for extent in extents(changes).map(Result::unwrap).filter(|extent| extent.content == Content::Data) {
            let mut bytes = vec![0; extent.length as usize];
            changes.read_at(&mut bytes, extent.offset).unwrap();
            file.write_all_at(&bytes, extent.offset).unwrap();
        }
    }

    /// What is found on it; it began as `base`.
    pub fn findings(&self, base: &Image) -> Vec<Finding> {
        self.findings_having(&Heard::NoPort, base)
    }

    /// The same, where this was heard of its machine.
    pub fn findings_having(&self, heard: &Heard, base: &Image) -> Vec<Finding> {
        examine(&program(), &self.disk(), &base.disk(), heard).unwrap()
    }

    /// The codes of that, with their details.
    pub fn found(&self, base: &Image) -> Vec<(String, String)> {
        let code = |one: &Finding| serde_json::to_value(one.code).unwrap().as_str().unwrap().to_owned();
        self.findings(base).iter().map(|one| (code(one), one.details.join("; "))).collect()
    }
}
