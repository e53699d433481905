//! What may be outstanding in a machine, made for real: the package of a kernel, whose installation goes wrong.
//!
//! ```text
//!   dpkg -i, whose script waits ─▶ locks held ─▶ dpkg is killed ─▶ half configured ─▶ dpkg --configure ─▶ a newer kernel ─▶ purged
//!   Shutdown For Finalize ends with  6                              1                                     5                 0
//! ```

use super::guest::Guest;
use crate::programs::run;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Newer than any that runs.
const RELEASE: &str = "99.1.0-proof";
/// Waits as a script that asks a question does, and ends whoever runs it unless all is well by then.
const SCRIPT: &str = "#!/bin/sh
touch /run/at-work
until [ -e /run/go-on ]; do sleep 0.1; done
[ -e /run/well ] || kill -9 $PPID
";

/// The package, made in `folder`: the kernel's file, its initramfs, and the folder of its modules.
fn kernel(folder: &Path) -> PathBuf {
    let (name, tree) = (format!("linux-image-{RELEASE}"), folder.join("kernel"));
    let write = |path: &str, text: &str, mode: u32| {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let control = format!(
        "Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: a test\nDescription: a kernel\n"
    );
    write("DEBIAN/control", &control, 0o644);
    write("DEBIAN/postinst", SCRIPT, 0o755);
    for file in [format!("boot/vmlinuz-{RELEASE}"), format!("boot/initrd.img-{RELEASE}")] {
        write(&file, "nothing that starts\n", 0o644);
    }
    write(&format!("lib/modules/{RELEASE}/modules.order"), "", 0o644);
    let file = folder.join(format!("{name}.deb"));
    run("dpkg-deb", &["-b", "--root-owner-group", "-Znone", tree.to_str().unwrap(), file.to_str().unwrap()]);
    file
}

/// Shutdown For Finalize refuses to shut the machine down: it ends with this code, and names these.
#[track_caller]
fn refused(guest: &Guest, exit: i32, names: &[&str]) {
    let (code, told) = guest.ended("shutdown-for-finalize");
    assert_eq!(code, Some(exit), "{told}");
    for name in names.iter().chain(&["The machine is not shut down."]) {
        assert!(told.contains(name), "'{name}' is not in: {told}");
    }
}

/// One after the other. In the end nothing is outstanding, and nothing of it is left.
pub fn refused_until_mended(guest: &Guest, folder: &Path) {
    assert_eq!(guest.run("systemctl is-system-running --wait"), "running\n");
    let package = guest.put(&[kernel(folder)]);
    guest.run(&format!(
        "setsid dpkg -i {package} >/tmp/dpkg.log 2>&1 </dev/null & until [ -e /run/at-work ]; do sleep 0.1; done"
    ));
    refused(guest, 6, &["A package operation is in progress", "/var/lib/dpkg/lock-frontend is held by dpkg"]);

    guest.run("touch /run/go-on; while pgrep -x dpkg; do sleep 0.1; done");
    refused(
        guest,
        1,
        &["A package operation was interrupted", &format!("linux-image-{RELEASE} (half-configured)")],
    );

    guest.run("touch /run/well; dpkg --configure -a");
    let running = guest.run("uname -r");
    let kernels = format!("{RELEASE} is installed, {} is running", running.trim());
    refused(
        guest,
        5,
        &["A newer kernel is installed than the one that is running - please reboot", &kernels],
    );

    guest.run(&format!("dpkg --purge linux-image-{RELEASE} && rm -r /tmp/put /tmp/dpkg.log"));
    let (code, told) = guest.ended("shutdown-for-finalize --check");
    assert_eq!(code, Some(0), "{told}");
}
