//! A guest, as an administrator reaches it: by SSH.

use crate::PATIENCE;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A guest that runs.
pub struct Guest {
    port: String,
    key: PathBuf,
}

impl Guest {
    /// The guest whose SSH server `address`, `host:port` on this host, leads to; waits until it lets us in.
    pub fn at(address: &str, key: PathBuf) -> Self {
        let guest = Self { port: address.rsplit_once(':').unwrap().1.to_owned(), key };
        let deadline = Instant::now() + PATIENCE;
        // A forwarded port takes connections long before the guest does.
        while !guest.shell("true", &[]).status.success() {
            assert!(Instant::now() < deadline, "nobody answers SSH at {address}");
            std::thread::sleep(Duration::from_millis(500));
        }
        guest
    }

    /// Runs the tool on the CD, which powers the guest off. The connection may end before the tool does.
    pub fn shut_down_for_finalize(&self) {
        self.run("mount -o ro /dev/sr0 /mnt");
        self.shell("/mnt/shutdown-for-finalize --wait=5m", &[]);
    }

    fn shell(&self, script: &str, input: &[u8]) -> Output {
        let mut ssh = Command::new("ssh")
            .args(["-q", "-i", self.key.to_str().unwrap(), "-p", &self.port, "-o", "BatchMode=yes"])
            .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no"])
            .args(["-o", "ConnectTimeout=10", "root@127.0.0.1", script])
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

    /// Installs packages with apt, from files of this host: the guest needs no network.
    #[track_caller]
    pub fn install(&self, packages: &[PathBuf]) {
        self.run("mkdir /tmp/packages");
        for (number, package) in packages.iter().enumerate() {
            self.fed(&format!("cat >/tmp/packages/{number}.deb"), &bytes(package));
        }
        self.run(
            "DEBIAN_FRONTEND=noninteractive apt-get install -q -y /tmp/packages/*.deb && rm -r /tmp/packages",
        );
    }
}

fn bytes(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}
