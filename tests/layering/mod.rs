//! Layers of Linux, in real machines on a real Debian disk, by command line. What comes out is judged by tools that know
//! nothing of Shale.
//!
//! ```text
//!   Debian 1.0 ──┬─▶ app layer NSD         its service and user, libevent, two more libraries
//!                ├─▶ app layer OpenBGPD    its service and users, libevent, and a user with the id that NSD's has
//!                ├─▶ platform layer Agent  QEMU's guest agent, glib, two more libraries
//!                └─▶ 1.1, patched          by a script, in a machine that has the platform layer, of which it keeps nothing; with a user
//!                                          of that id again, and a newer version of one of NSD's libraries
//!
//!   1.1 + NSD + OpenBGPD + Agent, on a larger disk ─┬─▶ image            e2fsck, debugfs, sleuthkit; boots by BIOS in a machine that
//!                                                   │                    knows nothing of Shale: dpkg, systemd, users, the agent
//!                                                   └─▶ the same, general   "boot and check", by UEFI
//! ```

mod debian;
mod guest;
mod image;
mod judge;
mod outstanding;
mod patch;

use debian::Debian;
use guest::Guest;
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
/// The connector whose machines start by UEFI.
const UEFI: &str = "UEFI";
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
        desk.ends(
            0,
            &[&["connector", "add", UEFI, "--kind", "local", "--set", "firmware=uefi"][..], &small].concat(),
        );
        Self { desk, debian }
    }

    /// Makes a version of a layer in its machine: `words` ask for it, `work` is done there. Answers what `work` does.
    fn make<T>(&self, layer: &str, version: &str, words: &[&str], work: impl FnOnce(&Guest) -> T) -> T {
        let place = ["--connector", "local", "--disk", "packaging", "--size", "4"];
        self.desk.ends(7, &[words, &place].concat());
        let machine = self.desk.json(&["machine", "show", layer, version]);
        let serial = || self.desk.ends(0, &["machine", "serial", layer, version]).out;
        let guest = Guest::at(machine["ssh"].as_str().unwrap(), &self.debian.key(), serial);
        let answer = work(&guest);
        guest.shut_down_for_finalize();
        let deadline = Instant::now() + PATIENCE;
        while self.desk.json(&["machine", "show", layer, version])["power"] != "off" {
            assert!(Instant::now() < deadline, "the machine of {layer} {version} does not shut down");
            std::thread::sleep(Duration::from_millis(500));
        }
        self.desk.ends(0, &["version", "finalize", layer, version]);
        answer
    }

    fn app<T>(&self, name: &str, work: impl FnOnce(&Guest) -> T) -> T {
        let words = ["layer", "app", "create", name, "--version", "1.0", "--os", "Debian/1.0"];
        self.make(name, "1.0", &words, work)
    }

    /// Answers the id of its user.
    fn nsd(&self) -> String {
        self.app("NSD", |guest| {
            self.install(guest, &["nsd", "libevent-2.1-7", "libfstrm0", "libprotobuf-c1"]);
            assert_eq!(guest.run("systemctl is-active nsd"), "active\n");
            guest.run(&format!(
                "for file in {}; do mkdir -p ${{file%/*}}; echo left >$file; done",
                LEFT_BEHIND.join(" ")
            ));
            // One is enough: to make them all takes a translated guest many seconds.
            guest.run(
                "rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key",
            );
            guest.run("usermod -aG adm nsd; echo TOOLS_PATH=/opt/nsd >>/etc/environment");
            guest.run("id -u nsd")
        })
    }

    /// Answers the id of the user `routes`.
    fn openbgpd(&self) -> String {
        self.app("OpenBGPD", |guest| {
            guest.run(&format!("printf '{BGPD_CONF}' >/etc/bgpd.conf; chmod 600 /etc/bgpd.conf"));
            self.install(guest, &["openbgpd", "libevent-2.1-7"]);
            assert_eq!(guest.run("systemctl is-active openbgpd"), "active\n");
            guest.run("adduser --quiet --system --group --home /srv/routes routes");
            guest.run("dpkg-statoverride --update --add routes routes 0750 /srv/routes");
            guest.run("usermod -aG adm routes; echo TOOLS_PATH=/opt/routes >>/etc/environment");
            guest.run("id -u routes")
        })
    }

    fn agent(&self) {
        let words = ["layer", "platform", "create", "Agent", "--version", "1.0", "--os", "Debian/1.0"];
        self.make("Agent", "1.0", &words, |guest| {
            self.install(guest, &["qemu-guest-agent", "libglib2.0-0", "libnuma1", "liburing2"]);
            outstanding::refused_until_mended(guest, self.desk.folder.path());
        });
    }

    fn install(&self, guest: &Guest, packages: &[&str]) {
        guest.install(&packages.iter().map(|name| self.debian.package(name)).collect::<Vec<_>>());
    }
}

#[test]
fn layers_made_in_machines_are_one_sound_system_when_they_are_put_together() {
    let proof = Proof::new();
    // Two machines at a time: neither of the two rows needs anything of the other.
    let (nsd, routes) = std::thread::scope(|scope| {
        scope.spawn(|| {
            proof.agent();
            patch::made_by_a_script(&proof);
        });
        (proof.nsd(), proof.openbgpd())
    });
    let (machine_id, ledger) = patch::is_without_the_platform_layer(&proof);
    assert_eq!([&nsd, &routes], [&ledger; 2], "users of all three got the same id, each in its own machine");
    image::templates(&proof);
    std::thread::scope(|scope| {
        scope.spawn(|| image::generalized(&proof));
        image::as_it_is(&proof, &machine_id, &ledger);
    });
}
