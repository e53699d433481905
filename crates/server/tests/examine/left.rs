//! How volumes were left: in use, dirty, encrypted, nearly full.

use crate::made::{Image, Tree, run};
use crate::{linux, logfile, windows};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

fn poke(image: &Image, at: u64, bytes: &[u8]) {
    File::options().write(true).open(image.path()).unwrap().write_all_at(bytes, at).unwrap();
}

fn whole() -> Tree {
    windows::finished(("", "", ""))
}

/// The codes and details that blocks which were changed make of a system of Windows.
fn changed(change: impl FnOnce(&Image)) -> Vec<(String, String)> {
    let (base, now) = (whole().ntfs(), whole().write("/new", "").ntfs());
    change(&now);
    now.found(&base)
}

#[test]
fn a_volume_of_windows_that_is_dirty_or_was_in_use_is_told_and_nothing_else_is_guessed() {
    let part = "the disk, without partitions (NTFS, 32 MiB)";
    let told = changed(|image| {
        let bytes = fs::read(image.path()).unwrap();
        logfile::flags(&bytes).into_iter().for_each(|at| poke(image, at, &[1]));
    });
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].0 == "disk_check_needed" && told[0].1.starts_with(&format!("{part}: it is marked dirty")),
        "{told:?}"
    );
    let told = changed(|image| {
        let (at, length) =
            logfile::place(&run("istat", &["-f", "ntfs", image.path().to_str().unwrap(), "2"]));
        poke(image, at, &logfile::in_use(length));
    });
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].0 == "file_system_unclean" && told[0].1.starts_with(&format!("{part}: its log is open")),
        "{told:?}"
    );
}

#[test]
fn a_volume_that_bitlocker_encrypted_is_told_by_its_name() {
    let told = changed(|image| poke(image, 3, b"-FVE-FS-"));
    assert_eq!(
        told,
        [("bitlocker_on".to_owned(), "the disk, without partitions (BitLocker, 32 MiB)".to_owned())]
    );
}

#[test]
fn a_disk_that_is_nearly_full_is_told_on_windows_and_on_linux() {
    let full = |found: Vec<(String, String)>| {
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "disk_nearly_full");
        found[0].1.clone()
    };
    let base = windows::system("", "", "").ntfs();
    let half = whole().write("/data", vec![1; 8 << 20]).ntfs();
    assert_eq!(half.found(&base), []);
    let told = full(whole().write("/data", vec![1; 57 << 19]).ntfs().found(&base));
    assert!(told.starts_with(r"C:\: ") && told.ends_with(" of 32 MiB are free"), "{told}");
    let base = linux::system().ext4();
    assert_eq!(linux::finished().write("/data", vec![1; 8 << 20]).ext4().found(&base), []);
    let told = full(linux::finished().write("/data", vec![1; 18 << 20]).ext4().found(&base));
    assert!(told.starts_with("/: ") && told.ends_with(" of 24 MiB are free"), "{told}");
}
