//! The Windows volume of a disk: offered by QEMU's storage daemon as a file, judged there, and mounted by ntfs-3g.
//!
//! ```text
//!   disk (raw, or a machine's overlay) ─▶ qemu-storage-daemon ─▶ volume (a file) ─▶ ntfs-3g ─▶ drive (a folder)
//!                                         └──────────── in mounts of their own, which go with them ────────┘
//! ```

use crate::programs::{run, tool};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Where the volume begins on the disk, behind its partition table.
pub const START: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(300);

/// Where a disk is, as QEMU's option that makes it the node `disk`.
pub struct Source(String);

impl Source {
    /// A raw disk in a file.
    pub fn raw(file: &Path) -> Self {
        Self(format!("driver=file,node-name=disk,filename={}", file.display()))
    }

    /// The disk of a packaging machine that is off: an overlay, which names what it is laid over.
    pub fn overlay(file: &Path) -> Self {
        Self(format!("driver=qcow2,node-name=disk,file.driver=file,file.filename={}", file.display()))
    }

    /// The disk of one that is on, and does nothing: its lock is passed over.
    pub fn in_use(file: &Path) -> Self {
        Self(format!("{},file.locking=off", Self::overlay(file).0))
    }
}

/// A volume, as a file in mounts of its own.
pub struct Volume {
    daemon: Child,
    file: PathBuf,
    folder: tempfile::TempDir,
}

impl Volume {
    /// The Windows volume of a disk.
    pub fn of(disk: &Source) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("volume");
        std::fs::write(&file, "").unwrap();
        let export =
            format!("type=fuse,id=volume,node-name=volume,writable=on,mountpoint={}", file.display());
        let node = format!("driver=raw,node-name=volume,file=disk,offset={START}");
        let words = ["--blockdev", &disk.0, "--blockdev", &node, "--export", &export];
        let volume = Self::kept_by("qemu-storage-daemon", &words, file, folder);
        volume.await_mount(&volume.file);
        volume
    }

    /// One that is a file already.
    pub fn alone(file: &Path) -> Self {
        Self::kept_by("sleep", &["infinity"], file.to_owned(), tempfile::tempdir().unwrap())
    }

    fn kept_by(program: &str, words: &[&str], file: PathBuf, folder: tempfile::TempDir) -> Self {
        let mut daemon = Command::new("unshare");
        daemon.arg("--mount").arg(program).args(words).stdin(Stdio::null());
        let mut volume = Self { daemon: daemon.spawn().unwrap(), file, folder };
        volume.await_own_mounts(program);
        volume
    }

    /// Who entered the mounts of the daemon before it had its own would mount where nobody looks, and before they were told from
    /// this host's, where all do. Both are done when `unshare` becomes the program.
    fn await_own_mounts(&mut self, program: &str) {
        let deadline = Instant::now() + PATIENCE;
        // The kernel cuts names at fifteen bytes.
        let (name, file) = (&program[..program.len().min(15)], format!("/proc/{}/comm", self.daemon.id()));
        while std::fs::read_to_string(&file).unwrap().trim_end() != name {
            assert_eq!(self.daemon.try_wait().unwrap(), None, "the daemon has ended");
            assert!(Instant::now() < deadline, "the daemon has no mounts of its own");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Runs a program where the volume is.
    pub fn command(&self, program: &str) -> Command {
        let mut command = tool("nsenter");
        command.args(["--target", &self.daemon.id().to_string(), "--mount", program]);
        command
    }

    /// What a program says that is given the volume.
    #[track_caller]
    pub fn ask(&self, program: &str, words: &[&str]) -> Output {
        let output = self.command(program).args(words).arg(&self.file).output().unwrap();
        assert!(output.status.success(), "{program} {words:?}: {output:?}");
        output
    }

    /// Its own tools and The Sleuth Kit find nothing wrong; answers the paths that the latter finds.
    #[track_caller]
    pub fn judge(&self) -> Vec<String> {
        let said = String::from_utf8_lossy(&self.ask("ntfsfix", &["-n"]).stdout).into_owned();
        assert!(said.contains("processed successfully"), "{said}");
        let said = String::from_utf8_lossy(&self.ask("ntfsinfo", &["-m"]).stdout).into_owned();
        assert!(said.contains("Volume Flags: 0x0000"), "{said}");
        let listed = self.ask("fls", &["-f", "ntfs", "-r", "-p", "-u"]);
        assert!(listed.stderr.is_empty(), "{listed:?}");
        let listed = String::from_utf8(listed.stdout).unwrap();
        listed.lines().map(|line| line.split_once(":\t").expect(line).1.to_owned()).collect()
    }

    /// A file's content as The Sleuth Kit reads it, which also knows the file's entry.
    #[track_caller]
    pub fn content(&self, path: &str) -> Vec<u8> {
        let listed = self.ask("fls", &["-f", "ntfs", "-r", "-p", "-u", "-F"]);
        let listed = String::from_utf8(listed.stdout).unwrap();
        let line = listed.lines().find(|line| line.ends_with(&format!(":\t{path}"))).expect(path);
        let inode = line.split_once(' ').unwrap().1.split(':').next().unwrap();
        let number = inode.split('-').next().unwrap();
        let ask = |tool: &str, inode: &str| {
            let output = self.command(tool).args(["-f", "ntfs"]).arg(&self.file).arg(inode).output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{tool} {path}: {output:?}");
            output.stdout
        };
        let told = String::from_utf8_lossy(&ask("istat", number)).into_owned();
        let name = path.rsplit('/').next().unwrap();
        assert!(told.contains("Allocated File") && told.contains(name), "{told}");
        ask("icat", inode)
    }

    /// Mounts it.
    pub fn mounted(&self) -> Drive<'_> {
        let folder = self.folder.path().join("drive");
        std::fs::create_dir_all(&folder).unwrap();
        let mut ntfs = self.command("ntfs-3g");
        ntfs.args(["-o", "no_detach,big_writes"]).arg(&self.file).arg(&folder);
        let mount = ntfs.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        self.await_mount(&folder);
        Drive { volume: self, mount, folder }
    }

    fn await_mount(&self, place: &Path) {
        let deadline = Instant::now() + PATIENCE;
        let mounts = format!("/proc/{}/mountinfo", self.daemon.id());
        let place = format!(" {} ", place.display());
        while !std::fs::read_to_string(&mounts).unwrap_or_default().contains(&place) {
            assert!(Instant::now() < deadline, "{place} is not mounted");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends with everything written.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        run("kill", &[&self.daemon.id().to_string()]);
        let ended = self.daemon.wait().unwrap();
        assert!(ended.success() || ended.signal().is_some(), "{ended:?}");
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.daemon.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.end();
        }
    }
}

/// A volume that is mounted, until it is dropped.
pub struct Drive<'a> {
    pub volume: &'a Volume,
    mount: Child,
    /// Where it is for programs that run where the volume is.
    pub folder: PathBuf,
}

impl Drive<'_> {
    /// Where it is for this process.
    pub fn path(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.volume.daemon.id()));
        root.join(self.folder.strip_prefix("/").unwrap())
    }
}

impl Drop for Drive<'_> {
    fn drop(&mut self) {
        let ended = self.volume.command("umount").arg(&self.folder).output().unwrap();
        if !ended.status.success() {
            // Somebody works there still: a test failed.
            let _ = self.mount.kill();
        }
        let _ = self.mount.wait();
        assert!(ended.status.success() || std::thread::panicking(), "{ended:?}");
    }
}
