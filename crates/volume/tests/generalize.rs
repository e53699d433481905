//! An image from which many machines start has nothing in it that makes a machine itself.

mod made;

use std::sync::Arc;

use made::guest::{edit, linux, read, text};
use made::{Image, MIB, Made, go_on, program};
use shale_disk::ErrorKind;
use shale_volume::changes::Changes;
use shale_volume::generalize::{Generalized, generalize};

fn generalized(image: &Image) -> shale_disk::Result<Generalized> {
    let changes = Arc::new(Changes::new(image.disk(), image.folder.path()).unwrap());
    let done = generalize(&program(), &changes, 1_700_000_000, go_on())?;
    image.take(&changes);
    image.judge();
    Ok(done)
}

/// A machine that has run.
fn used() -> Image {
    let image = linux();
    edit(&image, |guest| {
        guest.put("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        guest.chmod("etc/machine-id", 0o444);
        guest.put("etc/hostname", "mine\n");
        guest.put("etc/ssh/sshd_config", "Port 22\n");
        guest.put("etc/ssh/ssh_host_ed25519_key", "secret");
        guest.put("etc/ssh/ssh_host_ed25519_key.pub", "not secret");
        guest.put("var/lib/dhcp/dhclient.eth0.leases", "lease {}");
        guest.put("var/lib/systemd/random-seed", "seed");
        guest.put("var/lib/cloud/instances/i-1/sem/config", "done");
        guest.put("var/log/journal/0123/system.journal", "journal");
        guest.put("usr/bin/ssh-keygen", "program");
        guest.put("usr/lib/systemd/systemd", "program");
    });
    image
}

#[test]
fn what_makes_a_machine_itself_is_gone_and_made_anew_at_the_first_start() {
    let image = used();
    let done = generalized(&image).unwrap();
    assert!(done.makes_keys);
    for gone in [
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/ssh_host_ed25519_key.pub",
        "var/lib/dhcp/dhclient.eth0.leases",
        "var/lib/systemd/random-seed",
        "var/lib/cloud/instances/i-1/sem/config",
        "var/lib/cloud/instances/i-1",
        "var/log/journal/0123/system.journal",
    ] {
        assert_eq!(read(&image, gone), None, "{gone}");
    }
    assert_eq!(text(&image, "etc/machine-id"), "");
    assert_eq!(text(&image, "etc/hostname"), "localhost\n");
    assert_eq!(text(&image, "etc/ssh/sshd_config"), "Port 22\n");
    assert_eq!(text(&image, "usr/bin/app"), "version one");
    assert!(text(&image, "etc/systemd/system/shale-ssh-host-keys.service").contains("ssh-keygen -A"));
    let said = made::run(
        "debugfs",
        &[
            "-R",
            "stat /etc/systemd/system/multi-user.target.wants/shale-ssh-host-keys.service",
            image.path().to_str().unwrap(),
        ],
    );
    assert!(said.contains("/etc/systemd/system/shale-ssh-host-keys.service"), "{said}");
    let said = made::run("debugfs", &["-R", "stat /etc/machine-id", image.path().to_str().unwrap()]);
    assert!(said.contains("Mode:  0444"), "{said}");
}

#[test]
fn cloud_init_makes_the_keys_where_it_is_there() {
    let image = used();
    edit(&image, |guest| guest.put("usr/bin/cloud-init", "program"));
    assert!(!generalized(&image).unwrap().makes_keys);
    assert_eq!(read(&image, "etc/systemd/system/shale-ssh-host-keys.service"), None);
}

#[test]
fn generalizing_twice_is_generalizing_once() {
    let image = used();
    generalized(&image).unwrap();
    let before = made::comparable(&image);
    let again = generalized(&image).unwrap();
    assert!(again.gone.is_empty(), "{again:?}");
    assert_eq!(made::comparable(&image), before);
}

#[test]
fn windows_is_refused_with_what_to_do() {
    let image = Image::new(Made::Ntfs, 24 * MIB, None);
    edit(&image, |guest| guest.put("Windows/System32/kernel32.dll", "program"));
    let refused = generalized(&image).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("run Sysprep"), "{refused}");
}
