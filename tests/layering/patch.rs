//! The patched version of the OS layer: made by a script and nobody else, by the machine's own systemd, in a machine that has the
//! platform layer; and what it is by itself. It does what layers did that are older: a user with the id of theirs, in a group that theirs are
//! in; an entry of a search path; a package that one of them brings, in a newer version.

use super::Proof;
use super::judge::Root;
use std::path::Path;

/// Says what it finds, and installs what lies beside it.
const SCRIPT: &str = "set -e
dpkg-query -W qemu-guest-agent
echo \"pass $SHALE_PASS below $(cat /proc/1/comm)\"
cat /proc/self/cgroup
apt-get install -q -y ./*.deb
adduser --quiet --system --group --home /srv/ledger ledger
usermod -aG adm ledger
echo TOOLS_PATH=/srv/ledger >>/etc/environment
";
/// What the script must print, in this order.
const PRINTED: [&str; 4] =
    ["qemu-guest-agent\t", "pass 1 below systemd\n", "/shale-run.service\n", "Setting up less ("];
/// What started the script, and what it left behind, none of which is ever part of a version.
const STARTERS: [&str; 5] = [
    "/etc/systemd/system/shale-run.service",
    "/etc/systemd/system/multi-user.target.wants/shale-run.service",
    "/var/lib/shutdown-for-finalize/start",
    "/var/lib/shutdown-for-finalize/run.json",
    "/var/lib/shutdown-for-finalize/run.jsonl",
];

/// Makes it. Its task shows what the script prints.
pub fn made_by_a_script(proof: &Proof) {
    let (desk, debian) = (&proof.desk, &proof.debian);
    let patched = ["less", "libfstrm0"].map(|name| debian.patched(name, desk.folder.path()));
    let (script, hello) = (desk.path("setup.sh"), debian.package("hello"));
    std::fs::write(&script, SCRIPT).unwrap();
    let add = ["version", "add", "Debian", "1.1", "--platform", "Agent/1.0", "--connector", "local"];
    let disk = ["--disk", "packaging", "--size", "4", "--on-failure", "discard", "--script", &script];
    let files = patched.iter().chain([&hello]).map(|file| file.to_str().unwrap());
    let attached: Vec<&str> = files.flat_map(|file| ["--attach", file]).chain(["-o", "json"]).collect();
    let told = desk.shale(&[&add[..], &disk, &attached].concat());
    let answer: serde_json::Value =
        serde_json::from_str(&told.out).unwrap_or_else(|e| panic!("{e}: {told:#?}"));
    let output = desk.ends(0, &["task", "output", answer["task"]["id"].as_str().unwrap()]).out;
    assert_eq!(told.exit, 0, "{answer:#}\n{output}");
    let mut rest = &output[..];
    for text in PRINTED {
        let at = rest.find(text).unwrap_or_else(|| panic!("'{text}' does not follow in: {output}"));
        rest = &rest[at..];
    }
    assert!(rest.contains("ended well, and nothing is outstanding"), "{output}");
}

/// It is a system of its own, which never had the platform layer, nor anything that started the script. Answers its machine-id, and
/// the id of its user.
pub fn is_without_the_platform_layer(proof: &Proof) -> (String, String) {
    let disk = proof.desk.path("patched.raw");
    proof.desk.ends(0, &["version", "export", "Debian", "1.1", "--format", "raw", "--to", &disk]);
    let root = Root::sound(Path::new(&disk));
    let status = root.text("/var/lib/dpkg/status");
    assert!(status.contains("Package: hello\n"));
    assert_eq!(status.matches("+patched\n").count(), 2);
    assert!(root.has("/usr/bin/hello") && root.has("/usr/share/doc/less/PATCHED"));
    for package in ["qemu-guest-agent", "libglib2.0-0", "libnuma1", "liburing2"] {
        assert!(!status.contains(&format!("Package: {package}\n")), "{package}");
        assert!(!root.has(&format!("/usr/share/doc/{package}")), "{package}");
    }
    assert!(!root.has("/usr/sbin/qemu-ga") && !root.has("/etc/init.d/qemu-guest-agent"));
    assert!(root.has("/var/lib/shutdown-for-finalize/integrity.json"), "the report that the checks left");
    nothing_started_it(&root);
    let users = root.text("/etc/passwd");
    let ledger = users.lines().find_map(|line| line.strip_prefix("ledger:x:")).unwrap();
    let ids = (root.text("/etc/machine-id"), format!("{}\n", ledger.split(':').next().unwrap()));
    std::fs::remove_file(disk).unwrap();
    ids
}

/// Nothing on the disk started a script.
#[track_caller]
pub fn nothing_started_it(root: &Root) {
    for path in STARTERS {
        assert!(!root.has(path), "{path} came along");
    }
}
