//! A small Linux as an OS layer's disk: it starts its units as systemd does, which is all that an unattended run needs of a system.
//! Shutdown For Finalize in it is the real one, from the CD.

use crate::Desk;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// Where the disk's file system begins, see its maker.
pub const ROOT_OFFSET: u64 = 10 << 20;

/// What systemd would do: starts the wanted units in the system on the disk, and ends the machine once one asked for it.
const UNITS: &str = r#"
for module in ata_piix sr_mod isofs; do modprobe -q $module; done
mkdir -p dev proc sys run tmp
# A second disk is the CD of a platform that has no drive for it, linked as udev does.
[ -b /dev/vdb ] && mkdir -p /dev/disk/by-label && ln -s /dev/vdb /dev/disk/by-label/SHALE-TOOLS
mount -o bind /dev dev && mount -t proc proc proc && mount -t sysfs sysfs sys && mount -t tmpfs tmpfs run
for link in etc/systemd/system/multi-user.target.wants/*.service; do
    [ -L "$link" ] || continue
    unit=.$(readlink "$link")
    chroot . $(sed -n 's/^ExecStart=//p' "$unit") </dev/null
    echo "$link ended with $?"
done
leave=$(cat run/leave 2>/dev/null)
umount run/shale-tools
umount run sys proc dev
[ -n "$leave" ] || exit 0
sync
mount -o remount,ro /disk || mount
[ "$leave" = -P ] && touch /tmp/off && exit 0
reboot -f
"#;

/// The system's way to end: whoever started the unit does it.
const SHUTDOWN: &str = "#!/bin/sh\necho \"$1\" >/run/leave\n";

const PROGRAMS: [&str; 11] =
    ["sh", "cat", "cp", "echo", "ls", "mkdir", "mount", "rm", "sleep", "sync", "touch"];

/// The disk.
pub fn disk(desk: &Desk) -> String {
    let folder = |name: &str| {
        let folder = desk.folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    };
    fs::write(folder("run").join("always"), UNITS).unwrap();
    let system = folder("system");
    let write = |path: &str, text: &[u8], mode: u32| {
        let path = system.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write("etc/os-release", b"ID=tiny\nPRETTY_NAME=\"Tiny\"\n", 0o644);
    write("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644);
    write("usr/lib/systemd/systemd", b"The guest's init does its work.\n", 0o755);
    write("usr/sbin/shutdown", SHUTDOWN.as_bytes(), 0o755);
    write("bin/busybox", &fs::read("/usr/bin/busybox").or_else(|_| fs::read("/bin/busybox")).unwrap(), 0o755);
    PROGRAMS.iter().for_each(|name| symlink("busybox", system.join("bin").join(name)).unwrap());
    let disk = desk.path("tiny.raw");
    let maker = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest/make-tiny-disk.sh");
    let made = Command::new(maker).args([&disk, "bios"]).arg(folder("run")).arg(&system).status().unwrap();
    assert!(made.success());
    disk
}

/// Has Shutdown For Finalize for Linux built where the server looks for it.
pub fn build_tool() {
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/guest-tools");
    assert!(Command::new(build).arg("linux").status().unwrap().success(), "scripts/guest-tools linux");
}
