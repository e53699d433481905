//! The images that the layers become: looked into as they lie there, booted without Shale, and booted by it.

use super::guest::Guest;
use super::judge::{Machine, Root};
use super::patch::nothing_started_it;
use super::{LEFT_BEHIND, Proof, UEFI};
use crate::programs::run;
use std::path::Path;

/// The template, and the one whose images are generalized.
const TEMPLATE: &str = "Name server";
const GENERAL: &str = "Name servers";
/// Packages that the versions in the templates brought.
const BROUGHT: [&str; 7] =
    ["nsd", "openbgpd", "libevent-2.1-7:amd64", "libfstrm0:amd64", "qemu-guest-agent", "hello", "less"];

/// Makes both templates, on a larger disk than the OS layer has, and reads what they would come to.
pub fn templates(proof: &Proof) {
    let desk = &proof.desk;
    let layers = ["--os", "Debian/1.1", "--app", "NSD", "--app", "OpenBGPD", "--platform", "Agent"];
    let disk = ["--connector", "local", "--disk", "server", "--format", "raw", "--size", "5"];
    desk.ends(0, &[&["template", "create", TEMPLATE][..], &layers, &disk].concat());
    desk.ends(0, &["template", "clone", TEMPLATE, GENERAL]);
    desk.ends(0, &["template", "edit", GENERAL, "--generalize", "generalize"]);

    let plan = desk.json(&["template", "plan", TEMPLATE]);
    // The layers go together; the system has a newer version of one package of theirs.
    let conflicts = plan["conflicts"].as_array().unwrap();
    assert_eq!(conflicts.len(), 1, "{conflicts:#?}");
    let text = conflicts[0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("in '/var/lib/dpkg/status', 'NSD / 1.0' changes")
            && text.contains("libfstrm0:amd64"),
        "{text}"
    );
    let warnings = plan["warnings"].to_string();
    for layer in ["NSD", "OpenBGPD"] {
        assert!(warnings.contains(&format!("of '{layer} / 1.0' is")), "its users get other ids: {warnings}");
    }
}

/// The image as it is: every file that dpkg knows is there, nothing that is excluded is; it does its work where Shale is not.
pub fn as_it_is(proof: &Proof, machine_id: &str, ledger: &str) {
    let (desk, file) = (&proof.desk, proof.desk.path("image.raw"));
    desk.ends(0, &["image", "publish", TEMPLATE, "--to", &file]);
    let machine = Machine::boot(Path::new(&file), desk.folder.path());
    looked_into(proof, &file, machine_id);
    let guest = Guest::at(&machine.ssh, &proof.debian.key(), || machine.serial());
    for (question, answer) in QUESTIONS {
        assert_eq!(guest.run(question), answer, "{question}");
    }
    assert_eq!(guest.run("id -u ledger"), ledger, "the system's user keeps its id");
    assert_eq!(machine.ask_agent("guest-ping"), serde_json::json!({ "return": {} }));
}

fn looked_into(proof: &Proof, file: &str, machine_id: &str) {
    let told = run("sgdisk", &["-v", file]);
    assert!(told.contains("No problems found"), "{told}");
    let root = Root::sound(Path::new(file));
    let listed = root.listed();
    for package in BROUGHT {
        for path in root.text(&format!("/var/lib/dpkg/info/{package}.list")).lines().skip(1) {
            assert!(listed.has(path), "{path} of {package} is not there");
        }
    }
    assert_eq!(listed.text("/usr/share/doc/less/PATCHED"), "patched\n");

    for path in LEFT_BEHIND {
        assert!(!root.has(path), "{path} came along");
    }
    nothing_started_it(&root);
    assert!(!root.text("/var/log/apt/history.log").contains("nsd"), "a log came along");
    assert_eq!(root.text("/etc/machine-id"), machine_id, "a packaging machine's id came along");
    let key = "/etc/ssh/ssh_host_ed25519_key.pub";
    let original = Root::sound(&proof.debian.disk());
    assert_eq!(root.text(key), original.text(key), "the keys of a packaging machine came along");
}

/// What the image is asked when it runs, and what it must say.
const QUESTIONS: [(&str, &str); 14] = [
    ("systemctl is-system-running --wait", "running\n"),
    ("systemctl is-active nsd openbgpd", "active\nactive\n"),
    ("dpkg --audit", ""),
    ("dpkg -V", ""),
    ("stat -c %U:%G /var/lib/nsd /srv/routes /srv/ledger", "nsd:nsd\nroutes:routes\nledger:ledger\n"),
    ("getent group adm | cut -d: -f4 | tr , '\n' | sort", "ledger\nnsd\nroutes\n"),
    ("cat /etc/environment", "TOOLS_PATH=/srv/ledger:/opt/nsd:/opt/routes\n"),
    ("dpkg-query -f '${Version}' -W libfstrm0 | grep -c patched || true", "0\n"),
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
    ("find / -xdev -nouser -o -nogroup", ""),
    ("test $(findmnt -bno SIZE /) -gt $((4 << 30)) && echo grown", "grown\n"),
];

/// The generalized image: nothing in it says which machine it was, and Shale sees it become one, by UEFI. Its SSH server answers
/// only once it has made itself keys.
pub fn generalized(proof: &Proof) {
    let (desk, file) = (&proof.desk, proof.desk.path("general.raw"));
    desk.ends(0, &["image", "publish", GENERAL, "--to", &file, "--boot-and-check", "--boot-on", UEFI]);
    let images = desk.json(&["image", "list", "--template", GENERAL]);
    assert_eq!(images[0]["report"]["boot"]["came_up"], true, "{images}");

    let root = Root::sound(Path::new(&file));
    assert_eq!(root.text("/etc/machine-id"), "");
    for path in ["/etc/ssh/ssh_host_ed25519_key", "/var/lib/shutdown-for-finalize/integrity.json"] {
        assert!(!root.has(path), "{path} came along");
    }
}
