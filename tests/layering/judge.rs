//! Judges that know nothing of Shale: e2fsprogs on a disk, and QEMU, which boots it.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where the root file system of the Debian disk begins: behind 1 MiB of partition table and 1 MiB of GRUB.
const ROOT: u64 = 2 << 20;

/// Runs a program that must succeed; answers what it printed.
#[track_caller]
pub fn run(program: &str, words: &[&str]) -> String {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program).args(words).env("PATH", path).output();
    let output = output.unwrap_or_else(|e| panic!("{program} cannot be run: {e}"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program} {words:?}: {told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    told
}

/// The root file system of a raw disk.
pub struct Root(String);

impl Root {
    /// On this disk; e2fsck finds nothing wrong in it.
    #[track_caller]
    pub fn sound(disk: &Path) -> Self {
        let place = format!("{}?offset={ROOT}", disk.display());
        run("e2fsck", &["-fn", &place]);
        Self(place)
    }

    fn ask(&self, question: &str) -> String {
        run("debugfs", &["-R", question, &self.0])
    }

    /// Whether a path is there.
    pub fn has(&self, path: &str) -> bool {
        self.ask(&format!("stat \"{path}\"")).contains("Inode:")
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> String {
        self.ask(&format!("cat \"{path}\""))
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
    /// Boots a disk; what it writes is thrown away. `folder` is for its sockets and logs.
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
