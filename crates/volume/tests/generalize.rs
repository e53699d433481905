//! An image from which many machines start has nothing in it that makes a machine itself.

mod made;

use std::fs;
use std::process::Command;
use std::sync::Arc;

use made::guest::{edit, linux, read, text};
use made::{Image, MIB, Made, go_on, program};
use shale_disk::{Disk, Memory};
use shale_volume::changes::Changes;
use shale_volume::exclude::Family;
use shale_volume::generalize::{Generalized, generalize};

const UNIT: &str = "etc/systemd/system/shale-ssh-host-keys.service";

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
        guest.put("usr/local/bin/shutdown-for-finalize", "tool");
        guest.put("var/lib/shutdown-for-finalize/integrity.json", "{}");
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
        "usr/local/bin/shutdown-for-finalize",
        "var/lib/shutdown-for-finalize/integrity.json",
    ] {
        assert_eq!(read(&image, gone), None, "{gone}");
    }
    assert_eq!(text(&image, "etc/machine-id"), "");
    assert_eq!(text(&image, "etc/hostname"), "localhost\n");
    assert_eq!(text(&image, "etc/ssh/sshd_config"), "Port 22\n");
    assert_eq!(text(&image, "usr/bin/app"), "version one");
    assert!(text(&image, UNIT).contains("ssh-keygen -A"));
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
fn the_unit_is_there_beside_cloud_init_which_may_be_switched_off_and_waits_for_it() {
    let image = used();
    edit(&image, |guest| guest.put("usr/bin/cloud-init", "program"));
    assert!(generalized(&image).unwrap().makes_keys);
    let unit = text(&image, UNIT);
    let after = unit.lines().find(|line| line.starts_with("After=")).unwrap();
    assert!(after.contains("cloud-init.service") && after.contains("cloud-init-network.service"), "{unit}");
    assert!(unit.contains("ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key"), "{unit}");
}

/// What systemd says of a machine with the unit of `image` and a server that is started by its socket.
fn said_by_systemd(image: &Image) -> String {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let name = UNIT.rsplit_once('/').unwrap().1;
    put(name, &text(image, UNIT));
    put("ssh.socket", "[Unit]\nBefore=sockets.target ssh.service\n[Socket]\nListenStream=22\n");
    put("ssh.service", "[Unit]\nAfter=network.target\n[Service]\nExecStart=/bin/true\n");
    for (target, wanted) in [("sockets", "ssh.socket"), ("multi-user", name)] {
        let wants = folder.path().join(format!("{target}.target.wants"));
        fs::create_dir(&wants).unwrap();
        std::os::unix::fs::symlink(format!("../{wanted}"), wants.join(wanted)).unwrap();
    }
    // The colon at the end: and the units of systemd itself.
    let judge = Command::new("systemd-analyze")
        .args(["verify", "multi-user.target", name, "ssh.socket"])
        .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display()))
        .output()
        .expect("systemd-analyze is there");
    String::from_utf8_lossy(&judge.stderr).into_owned()
}

#[test]
fn systemd_starts_the_unit_and_a_server_that_waits_for_its_socket() {
    let image = used();
    generalized(&image).unwrap();
    let said = said_by_systemd(&image);
    let about_it = |line: &&str| line.contains("ssh") || line.contains("cycle");
    assert_eq!(said.lines().filter(about_it).collect::<Vec<_>>(), [""; 0], "{said}");
}

/// A disk with an EFI partition before the system's, each in an image of its own.
fn with_efi(system: &Image, efi: &Image) -> Vec<u8> {
    let (efi, system) = (fs::read(efi.path()).unwrap(), fs::read(system.path()).unwrap());
    let mut bytes = vec![0; MIB as usize];
    let end = [1, 1 + efi.len() as u64 / MIB, 1 + (efi.len() + system.len()) as u64 / MIB];
    bytes.extend(efi);
    bytes.extend(system);
    bytes.resize(bytes.len() + MIB as usize, 0);
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::write(&disk, &bytes).unwrap();
    let part =
        |number: usize| format!("{number}:{}:{}", end[number - 1] * MIB / 512, end[number] * MIB / 512 - 1);
    made::run("sgdisk", &["-n", &part(1), "-t", "1:ef00", "-n", &part(2), disk.to_str().unwrap()]);
    fs::read(disk).unwrap()
}

#[test]
fn the_seed_of_the_boot_loader_is_gone_from_the_efi_partition() {
    let efi = Image::new(Made::Fat12, 4 * MIB, None);
    edit(&efi, |guest| {
        guest.put("EFI/BOOT/BOOTX64.EFI", "loader");
        guest.put("loader/loader.conf", "timeout 3");
        guest.put("loader/random-seed", "thirty-two bytes that are a seed");
    });
    let disk: Arc<dyn Disk> = Arc::new(Memory(with_efi(&used(), &efi)));
    let changes = Arc::new(Changes::new(disk, efi.folder.path()).unwrap());
    let done = generalize(&program(), &changes, 1_700_000_000, go_on()).unwrap();
    assert_eq!(done.boot, [b"loader/random-seed"]);
    let mut bytes = vec![0; 4 * MIB as usize];
    changes.disk().read_at(&mut bytes, MIB).unwrap();
    fs::write(efi.path(), bytes).unwrap();
    efi.judge();
    assert_eq!(read(&efi, "loader/random-seed"), None);
    assert_eq!(text(&efi, "loader/loader.conf"), "timeout 3");
    assert_eq!(text(&efi, "EFI/BOOT/BOOTX64.EFI"), "loader");
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
fn of_windows_our_own_files_go_and_all_others_stay() {
    let image = Image::new(Made::Ntfs, 24 * MIB, None);
    edit(&image, |guest| {
        guest.put("Windows/System32/kernel32.dll", "program");
        guest.put("Windows/System32/config/SAM", "accounts");
    });
    let before = made::comparable(&image);
    edit(&image, |guest| {
        for path in [
            "Program Files/Shale/shutdown-for-finalize.exe",
            "ProgramData/Shale/integrity.json",
            "ProgramData/Shale/run.jsonl",
            "ProgramData/Microsoft/Windows/Start Menu/Programs/Shale/Expedite NGen.lnk",
            "Users/Public/Desktop/Shutdown For Finalize.lnk",
            "Windows/shale-run.exe",
        ] {
            guest.put(path, "ours");
        }
    });
    let done = generalized(&image).unwrap();
    assert_eq!((done.family, done.makes_keys), (Family::Windows, false));
    assert_eq!(done.gone.len(), 6 + 3, "with the folders of ours: {done:?}");
    let after = made::comparable(&image);
    let is_folder = |path: &[u8]| path.starts_with(b"Program") || path.starts_with(b"Users");
    let rest: Vec<_> = after.keys().filter(|path| !is_folder(path)).collect();
    assert!(rest.into_iter().eq(before.keys()), "{:?}", after.keys());
    assert!(generalized(&image).unwrap().gone.is_empty());
}
