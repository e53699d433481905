//! Layers of Linux, in real machines on a real Debian disk, by command line. What comes out is judged by tools that know
//! nothing of Shale.
//!
//! ```text
//!   Debian 1.0 ──┬─▶ app layer NSD         its service and user, libevent, two more libraries
//!                ├─▶ app layer OpenBGPD    its service and users, libevent, and a user with the id that NSD's has
//!                ├─▶ platform layer Agent  QEMU's guest agent, glib, two more libraries
//!                └─▶ 1.1, patched          made in a machine that has the platform layer, of which it keeps nothing
//!
//!   1.1 + NSD + OpenBGPD + Agent ──▶ image ──▶ e2fsck, debugfs ──▶ boots in a machine of its own: dpkg, systemd, the agent
//! ```

mod debian;
mod guest;
mod judge;

use debian::Debian;
use guest::Guest;
use judge::{Machine, Root};
use shale_tests::{Desk, program};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a guest may take to start or to stop: half a minute where guests are translated and the host is otherwise idle.
const PATIENCE: Duration = Duration::from_secs(600);
/// What a person, or the system, leaves behind in a packaging machine and no layer has.
const LEFT_BEHIND: [&str; 6] = [
    "/var/cache/fontconfig/left",
    "/tmp/left",
    "/var/tmp/left",
    "/var/log/left.log",
    "/var/cache/apt/archives/left.deb",
    "/var/lib/dhcp/dhclient.left.leases",
];
/// A configuration that connects to nobody.
const BGPD_CONF: &str = "AS 65001\nrouter-id 127.0.0.1\nfib-update no\nlisten on 127.0.0.1\n";

/// Has Shutdown For Finalize built where the server looks for it.
fn build_tool() {
    let (shaled, project) = (program("shaled"), Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    let target = shaled.ancestors().nth(2).unwrap();
    let build = Command::new(project.join("scripts/guest-tools"))
        .arg("linux")
        .env("CARGO_TARGET_DIR", target)
        .status();
    assert!(build.unwrap().success());
}

/// A desk, and the disk that its layers begin with.
struct Proof {
    desk: Desk,
    debian: Debian,
}

impl Proof {
    fn new() -> Self {
        build_tool();
        let (debian, desk) = (Debian::ready(), Desk::new());
        let small = ["--set", "memory_mib=512", "--set", "cpus=1", "--set", "accelerator=tcg"];
        desk.ends(0, &[&["connector", "edit", "local"][..], &small].concat());
        let disk = debian.disk();
        let import = ["layer", "import", "Debian", "--version", "1.0", "--file", disk.to_str().unwrap()];
        desk.ends(0, &import);
        Self { desk, debian }
    }

    /// Makes a version of a layer in its machine: `words` ask for it, `work` is done there.
    fn make(&self, layer: &str, version: &str, words: &[&str], work: impl FnOnce(&Guest)) {
        let place = ["--connector", "local", "--disk", "packaging", "--size", "4"];
        self.desk.ends(7, &[words, &place].concat());
        let machine = self.desk.json(&["machine", "show", layer, version]);
        let guest = Guest::at(machine["ssh"].as_str().unwrap(), self.debian.key());
        work(&guest);
        guest.shut_down_for_finalize();
        let deadline = Instant::now() + PATIENCE;
        while self.desk.json(&["machine", "show", layer, version])["power"] != "off" {
            assert!(Instant::now() < deadline, "the machine of {layer} {version} does not shut down");
            std::thread::sleep(Duration::from_millis(500));
        }
        self.desk.ends(0, &["version", "finalize", layer, version]);
    }

    fn app(&self, name: &str, work: impl FnOnce(&Guest)) {
        let words = ["layer", "app", "create", name, "--version", "1.0", "--os", "Debian/1.0"];
        self.make(name, "1.0", &words, work);
    }

    fn nsd(&self) {
        self.app("NSD", |guest| {
            self.install(guest, &["nsd", "libevent-2.1-7", "libfstrm0", "libprotobuf-c1"]);
            assert_eq!(guest.run("systemctl is-active nsd"), "active\n");
            guest.run(&format!(
                "for file in {}; do mkdir -p ${{file%/*}}; echo left >$file; done",
                LEFT_BEHIND.join(" ")
            ));
            guest.run("rm /etc/ssh/ssh_host_*; ssh-keygen -A");
        });
    }

    fn openbgpd(&self) {
        self.app("OpenBGPD", |guest| {
            guest.run(&format!("printf '{BGPD_CONF}' >/etc/bgpd.conf; chmod 600 /etc/bgpd.conf"));
            self.install(guest, &["openbgpd", "libevent-2.1-7"]);
            assert_eq!(guest.run("systemctl is-active openbgpd"), "active\n");
            guest.run("adduser --quiet --system --group --home /srv/routes routes");
            guest.run("dpkg-statoverride --update --add routes routes 0750 /srv/routes");
        });
    }

    fn agent(&self) {
        let words = ["layer", "platform", "create", "Agent", "--version", "1.0", "--os", "Debian/1.0"];
        self.make("Agent", "1.0", &words, |guest| {
            self.install(guest, &["qemu-guest-agent", "libglib2.0-0", "libnuma1", "liburing2"]);
        });
    }

    /// In a machine that has the platform layer, too.
    fn patch(&self) {
        let patched = self.debian.patched("less", self.desk.folder.path());
        let words = ["version", "add", "Debian", "1.1", "--platform", "Agent/1.0"];
        self.make("Debian", "1.1", &words, |guest| {
            guest.run("dpkg-query -W qemu-guest-agent");
            guest.install(&[patched, self.debian.package("hello")]);
        });
    }

    fn install(&self, guest: &Guest, packages: &[&str]) {
        guest.install(&packages.iter().map(|name| self.debian.package(name)).collect::<Vec<_>>());
    }

    /// The patched version is a system of its own, which never had the platform layer.
    fn patched_version_is_without_the_platform_layer(&self) {
        let disk = self.desk.path("patched.raw");
        self.desk.ends(0, &["version", "export", "Debian", "1.1", "--format", "raw", "--to", &disk]);
        let root = Root::sound(Path::new(&disk));
        let status = root.text("/var/lib/dpkg/status");
        assert!(status.contains("Package: hello\n") && status.contains("+patched\n"));
        assert!(root.has("/usr/bin/hello") && root.has("/usr/share/doc/less/PATCHED"));
        for package in ["qemu-guest-agent", "libglib2.0-0", "libnuma1", "liburing2"] {
            assert!(!status.contains(&format!("Package: {package}\n")), "{package}");
            assert!(!root.has(&format!("/usr/share/doc/{package}")), "{package}");
        }
        assert!(!root.has("/usr/sbin/qemu-ga") && !root.has("/etc/init.d/qemu-guest-agent"));
        std::fs::remove_file(disk).unwrap();
    }
}

/// What the image is asked when it runs, and what it must say.
const QUESTIONS: [(&str, &str); 9] = [
    ("systemctl is-system-running --wait", "running\n"),
    ("systemctl is-active nsd openbgpd", "active\nactive\n"),
    ("dpkg --audit", ""),
    ("dpkg -V", ""),
    ("stat -c %U:%G /var/lib/nsd /srv/routes", "nsd:nsd\nroutes:routes\n"),
    (
        "dpkg-statoverride --list | sort | grep -v dbus",
        "nsd nsd 755 /var/lib/nsd\nroutes routes 750 /srv/routes\n",
    ),
    ("ps -eo user= | grep -xE 'nsd|_openbgpd' | sort -u", "_openbgpd\nnsd\n"),
    (
        "hello; ldconfig -p | grep -c libevent-2.1.so.7; cat /usr/share/doc/less/PATCHED",
        "Hello, world!\n1\npatched\n",
    ),
    ("getent passwd | cut -d: -f3 | sort | uniq -d; getent group | cut -d: -f3 | sort | uniq -d", ""),
];

#[test]
fn layers_made_in_machines_are_one_sound_system_when_they_are_put_together() {
    let proof = Proof::new();
    // Two machines at a time: neither of the two rows needs anything of the other.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            proof.agent();
            proof.patch();
        });
        proof.nsd();
        proof.openbgpd();
    });
    proof.patched_version_is_without_the_platform_layer();

    let desk = &proof.desk;
    let create =
        ["template", "create", "Name server", "--os", "Debian/1.1", "--app", "NSD", "--app", "OpenBGPD"];
    let disk = ["--platform", "Agent", "--disk", "server", "--format", "raw", "--size", "5"];
    desk.ends(0, &[&create[..], &disk].concat());
    let image = desk.path("image.raw");
    desk.ends(0, &["image", "publish", "Name server", "--to", &image]);

    let root = Root::sound(Path::new(&image));
    for path in LEFT_BEHIND {
        assert!(!root.has(path), "{path} came along");
    }
    let key = "/etc/ssh/ssh_host_ed25519_key.pub";
    let original = Root::sound(&proof.debian.disk());
    assert_eq!(root.text(key), original.text(key), "the keys of a packaging machine came along");

    let machine = Machine::boot(Path::new(&image), desk.folder.path());
    let guest = Guest::at(&machine.ssh, proof.debian.key());
    for (question, answer) in QUESTIONS {
        assert_eq!(guest.run(question), answer, "{question}");
    }
    assert_eq!(machine.ask_agent("guest-ping"), serde_json::json!({ "return": {} }));
}
