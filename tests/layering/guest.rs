//! A guest, as an administrator reaches it: by SSH, over one connection that stays. To make one takes seconds where a guest is
//! translated.

use super::PATIENCE;
use crate::programs::run;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A guest that runs, and the connection to it.
pub struct Guest {
    ssh: Child,
    /// Where the socket is by which commands reach the connection.
    folder: tempfile::TempDir,
}

impl Guest {
    /// The guest whose SSH server `address`, `host:port` on this host, leads to; waits until it lets us in. `serial` answers what its
    /// serial port has shown so far.
    pub fn at(address: &str, key: &Path, serial: impl Fn() -> String) -> Self {
        let deadline = Instant::now() + PATIENCE;
        // A forwarded port takes connections long before the guest does, and tries less and less often whether it does.
        while !serial().contains("login:") {
            assert!(Instant::now() < deadline, "the guest shows no login prompt: {}", serial());
            std::thread::sleep(Duration::from_millis(300));
        }
        loop {
            assert!(Instant::now() < deadline, "nobody answers SSH at {address}");
            let mut guest = Self::reach(address, key);
            while guest.ssh.try_wait().unwrap().is_none() {
                if guest.socket().exists() {
                    return guest;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Begins a connection. Its socket is there once it stands.
    fn reach(address: &str, key: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ssh = Command::new("ssh")
            .args(["-q", "-N", "-M", "-S", folder.path().join("ssh").to_str().unwrap()])
            .args(["-i", key.to_str().unwrap(), "-p", address.rsplit_once(':').unwrap().1])
            .args(["-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/dev/null"])
            .args(["-o", "StrictHostKeyChecking=no", "-o", "ConnectTimeout=20", "root@127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { ssh, folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("ssh")
    }

    /// Runs the tool on the CD, which powers the guest off. The connection may end before the tool does.
    pub fn shut_down_for_finalize(&self) {
        self.run("mount -o ro /dev/sr0 /mnt");
        self.shell("/mnt/shutdown-for-finalize --wait=5m", &[]);
    }

    fn shell(&self, script: &str, input: &[u8]) -> Output {
        let mut ssh = Command::new("ssh")
            .args(["-q", "-S", self.socket().to_str().unwrap(), "-o", "BatchMode=yes", "guest", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A guest that is not there takes nothing; its exit code says so.
        let _ = ssh.stdin.take().unwrap().write_all(input);
        ssh.wait_with_output().unwrap()
    }

    /// What a script prints, which must succeed.
    #[track_caller]
    pub fn run(&self, script: &str) -> String {
        self.fed(script, &[])
    }

    #[track_caller]
    fn fed(&self, script: &str, input: &[u8]) -> String {
        let output = self.shell(script, input);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{script}\n{told}{}", String::from_utf8_lossy(&output.stderr));
        told
    }

    /// The exit code of a script that may fail, and all that it prints.
    pub fn ended(&self, script: &str) -> (Option<i32>, String) {
        let output = self.shell(script, &[]);
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Copies files of this host there; answers what a shell knows them by.
    #[track_caller]
    pub fn put(&self, files: &[PathBuf]) -> String {
        let archive = self.folder.path().join("files.tar");
        let mut words = vec!["-cf", archive.to_str().unwrap(), "--transform", "s|.*/||", "-P"];
        words.extend(files.iter().map(|file| file.to_str().unwrap()));
        run("tar", &words);
        let fresh = "rm -rf /tmp/put && mkdir /tmp/put && tar -xC /tmp/put";
        self.fed(fresh, &std::fs::read(&archive).unwrap());
        "/tmp/put/*".to_owned()
    }

    /// Installs packages with apt, from files of this host: the guest needs no network.
    #[track_caller]
    pub fn install(&self, packages: &[PathBuf]) {
        let put = self.put(packages);
        self.run(&format!("DEBIAN_FRONTEND=noninteractive apt-get install -q -y {put} && rm -r /tmp/put"));
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.ssh.kill();
        let _ = self.ssh.wait();
    }
}
