//! Judges that know nothing of Shale: e2fsprogs and sleuthkit on a disk, and QEMU, which boots it.

use crate::programs::run;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where the root file system of the Debian disk begins: see `scripts/make-debian-disk`.
const ROOT: u64 = 66 << 20;

/// The root file system of a raw disk.
pub struct Root {
    disk: String,
    /// As e2fsprogs are told of it.
    place: String,
}

impl Root {
    /// On this disk; e2fsck finds nothing wrong in it.
    #[track_caller]
    pub fn sound(disk: &Path) -> Self {
        let place = format!("{}?offset={ROOT}", disk.display());
        run("e2fsck", &["-fn", &place]);
        Self { disk: disk.display().to_string(), place }
    }

    fn ask(&self, question: &str) -> String {
        run("debugfs", &["-R", question, &self.place])
    }

    /// Whether a path is there.
    pub fn has(&self, path: &str) -> bool {
        self.ask(&format!("stat \"{path}\"")).contains("Inode:")
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> String {
        self.ask(&format!("cat \"{path}\""))
    }

    /// All that sleuthkit finds.
    pub fn listed(&self) -> Listed<'_> {
        let told = run("fls", &["-r", "-p", "-o", &self.sector(), &self.disk]);
        // `r/r 1234:<tab>usr/bin/less`; what was deleted has a star.
        let entry = |line: &str| {
            let (what, path) = line.split_once(":\t")?;
            let inode = what.split_once(' ')?.1;
            inode.bytes().all(|byte| byte.is_ascii_digit()).then(|| (format!("/{path}"), inode.to_owned()))
        };
        Listed { root: self, inodes: told.lines().filter_map(entry).collect() }
    }

    fn sector(&self) -> String {
        (ROOT / 512).to_string()
    }
}

/// The paths of a file system, as sleuthkit lists them.
pub struct Listed<'a> {
    root: &'a Root,
    /// Path to inode.
    inodes: BTreeMap<String, String>,
}

impl Listed<'_> {
    /// Whether it lists a path, which may lead through a folder that Debian has moved to `/usr`.
    pub fn has(&self, path: &str) -> bool {
        self.inodes.contains_key(path) || self.inodes.contains_key(&format!("/usr{path}"))
    }

    /// The text of a file.
    #[track_caller]
    pub fn text(&self, path: &str) -> String {
        run("icat", &["-o", &self.root.sector(), &self.root.disk, &self.inodes[path]])
    }
}

/// A machine that has nothing to do with Shale.
pub struct Machine {
    qemu: Child,
    folder: PathBuf,
    /// `host:port` of its SSH server.
    pub ssh: String,
}

impl Machine {
    /// Boots a disk by BIOS; what it writes is thrown away. `folder` is for its sockets and logs.
    pub fn boot(disk: &Path, folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let agent = folder.join("agent");
        let qemu = Command::new("qemu-system-x86_64")
            .args(["-machine", "q35,accel=tcg", "-cpu", "max", "-m", "512", "-display", "none", "-snapshot"])
            .arg("-drive")
            .arg(format!("file={},if=virtio,format=raw", disk.display()))
            .arg("-serial")
            .arg(format!("file:{}", folder.join("serial.log").display()))
            .arg("-nic")
            .arg(format!("user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"))
            .args(["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"])
            .arg("-chardev")
            .arg(format!("socket,id=agent,server=on,wait=off,path={}", agent.display()))
            .args(["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { qemu, folder: folder.to_owned(), ssh: format!("127.0.0.1:{port}") }
    }

    /// What its serial port has shown so far.
    pub fn serial(&self) -> String {
        let bytes = std::fs::read(self.folder.join("serial.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What the guest agent answers.
    pub fn ask_agent(&self, command: &str) -> Value {
        let mut socket = UnixStream::connect(self.folder.join("agent")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        writeln!(socket, "{{\"execute\": \"{command}\"}}").unwrap();
        let mut line = String::new();
        BufReader::new(socket).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
