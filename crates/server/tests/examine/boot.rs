//! What starts a system: EFI partitions, and the menu of Windows.

use crate::hive::hive;
use crate::linux;
use crate::made::{Image, Tree, run};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

const MIB: u64 = 1 << 20;

/// A disk with an EFI partition that holds a tree, and behind it nothing.
fn disk(boot: &Tree) -> Image {
    let volume = Image::empty(8 * MIB);
    let inside = volume.path();
    let inside = inside.to_str().unwrap();
    run("mkfs.fat", &[inside]);
    for entry in fs::read_dir(boot.0.path()).unwrap().map(Result::unwrap) {
        run("mcopy", &["-s", "-i", inside, entry.path().to_str().unwrap(), "::/"]);
    }
    with_partition(&volume)
}

/// A disk whose first partition is this volume, and behind it is nothing.
fn with_partition(volume: &Image) -> Image {
    let bytes = fs::read(volume.path()).unwrap();
    let size = bytes.len() as u64 / MIB;
    let image = Image::empty((size + 8) * MIB);
    let path = image.path();
    partition(&image, &format!("start=2048,size={size}M,type=U\nsize=4M\n"));
    File::options().write(true).open(&path).unwrap().write_all_at(&bytes, MIB).unwrap();
    image
}

/// Gives a disk a GPT with these partitions, in the words of sfdisk.
fn partition(image: &Image, words: &str) {
    let script = format!("printf '%s' 'label: gpt\n{words}' | sfdisk -q '{}'", image.path().display());
    run("sh", &["-c", &script]);
}

/// A volume without anything, and one that is swap space.
fn empty_and_swap(size: u64) -> [Image; 2] {
    let swap = Image::empty(size);
    run("mkswap", &[swap.path().to_str().unwrap()]);
    [Image::empty(size), swap]
}

fn loaders() -> Tree {
    Tree::new()
        .write("/EFI/debian/shimx64.efi", "shim")
        .write("/EFI/BOOT/BOOTX64.EFI", "shim")
        .write("/EFI/debian/grub.cfg", "")
}

fn windows() -> Tree {
    let menu = hive("[\\Description]\n\"KeyName\"=\"BCD00000000\"");
    Tree::new().write("/EFI/Microsoft/Boot/bootmgfw.efi", "boots").write("/EFI/Microsoft/Boot/BCD", menu)
}

/// What is told of boot loaders, where a disk with one tree became one with another.
fn lost(was: &Tree, is: &Tree) -> Vec<(String, String)> {
    let mut found = disk(is).found(&disk(was));
    found.retain(|(code, _)| code != "not_examined");
    found
}

fn gone(details: &str) -> Vec<(String, String)> {
    vec![("boot_loader_gone".to_owned(), details.to_owned())]
}

#[test]
fn an_efi_partition_with_its_loaders_is_well_and_so_is_one_that_got_more() {
    assert_eq!(lost(&loaders(), &loaders()), []);
    assert_eq!(lost(&loaders(), &loaders().write("/EFI/other/other.efi", "new")), []);
    assert_eq!(lost(&Tree::new(), &loaders()), []);
    assert_eq!(lost(&Tree::new(), &Tree::new().write("/data", "no loader")), []);
    assert_eq!(lost(&windows(), &windows()), []);
}

#[test]
fn loaders_that_are_gone_are_told_with_their_partition() {
    let part = "partition 1 (FAT, 8 MiB)";
    let none = Tree::new().write("/EFI/debian/grub.cfg", "");
    assert_eq!(lost(&loaders(), &none), gone(&format!(r"no boot loader (\EFI\…\*.efi) is left on {part}")));
    let no_fallback = loaders().remove("/EFI/BOOT/BOOTX64.EFI");
    let expected = format!(r"\EFI\BOOT\BOOTX64.EFI, which firmware starts by itself, is gone from {part}");
    assert_eq!(lost(&loaders(), &no_fallback), gone(&expected));
    assert_eq!(lost(&no_fallback, &no_fallback), []);
}

#[test]
fn a_boot_partition_that_was_emptied_or_became_something_else_is_told() {
    let efi = disk(&loaders());
    let menu = with_partition(&Tree::new().write("/Boot/BCD", "the menu of a BIOS").ntfs());
    let bases = [
        (efi, 8, r"\EFI\BOOT\BOOTX64.EFI was on partition 1 (FAT, 8 MiB)"),
        (menu, 32, r"\Boot\BCD was on partition 1 (NTFS, 32 MiB)"),
    ];
    for (base, size, was) in bases {
        let lies = ["nothing that is known lies", "swap lies"];
        for (volume, lies) in empty_and_swap(size * MIB).iter().zip(lies) {
            let mut found = with_partition(volume).found(&base);
            found.retain(|(code, _)| code != "not_examined");
            assert_eq!(found, gone(&format!("{was}, where {lies} now")));
        }
    }
    // One that was not unmounted is not looked into: what is gone with it cannot be told.
    let in_use = disk(&loaders());
    File::options().write(true).open(in_use.path()).unwrap().write_all_at(&[1], MIB + 37).unwrap();
    let mut found = with_partition(&Image::empty(8 * MIB)).found(&in_use);
    found.retain(|(code, _)| code != "not_examined");
    let why = "what started the system from partition 1 (FAT, 8 MiB), where nothing that is known lies now";
    assert_eq!(found, [("not_checked".to_owned(), why.to_owned())]);
    let [before, now] = empty_and_swap(8 * MIB).map(|volume| with_partition(&volume));
    assert_eq!(now.found(&before).len(), 1, "nothing was started from there before");
}

#[test]
fn a_volume_for_boot_files_that_was_emptied_or_became_something_else_is_told() {
    let boot = Tree::new()
        .write("/vmlinuz-6.1.0-30", "kernel")
        .write("/initrd.img-6.1.0-30", "initramfs")
        .write("/grub/grub.cfg", "linux /vmlinuz-6.1.0-30");
    let with_boot = |root: &Tree, volume: &Image| {
        let image = with_partition(&root.ext4());
        let bytes = fs::read(volume.path()).unwrap();
        File::options().write(true).open(image.path()).unwrap().write_all_at(&bytes, 25 * MIB).unwrap();
        image
    };
    let whole = Image::empty(4 * MIB);
    let [tree, file] = [boot.0.path(), &whole.path()].map(|path| path.to_str().unwrap().to_owned());
    run("mke2fs", &["-q", "-F", "-t", "ext4", "-d", &tree, &file]);
    let base = with_boot(&linux::bare(), &whole);
    assert_eq!(with_boot(&linux::bare().write(linux::REPORT, linux::clean()), &whole).found(&base), []);
    for volume in empty_and_swap(4 * MIB) {
        let now = with_boot(&linux::bare().write(linux::REPORT, linux::clean()), &volume);
        assert_eq!(now.found(&base), gone("/boot/grub/grub.cfg is gone"));
    }
}

#[test]
fn what_a_bios_runs_is_told_when_it_is_gone_wherever_it_lies() {
    let lost = |base: &Image, at: u64| {
        let now = Image::empty(0);
        fs::copy(base.path(), now.path()).unwrap();
        File::options().write(true).open(now.path()).unwrap().write_all_at(&[0; 440], at).unwrap();
        let mut found = now.found(base);
        found.retain(|(code, _)| code != "not_examined");
        found
    };
    let code = |image: &Image, at: u64| {
        File::options().write(true).open(image.path()).unwrap().write_all_at(&[0xeb; 440], at).unwrap();
    };
    let is_gone = |place: &str| gone(&format!("there is nothing to run in {place}"));
    let gpt = Image::empty(8 * MIB);
    partition(&gpt, "start=2048,size=1M,type=21686148-6449-6E6F-744E-656564454649\n");
    code(&gpt, 0);
    code(&gpt, MIB);
    assert_eq!(lost(&gpt, 0), is_gone("the first sector"));
    assert_eq!(lost(&gpt, MIB), is_gone("the BIOS boot partition"));
    let mbr = Image::empty(8 * MIB);
    let mut sector = [0; 512];
    // One partition of Linux, from 1 MiB on.
    sector[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    File::options().write(true).open(mbr.path()).unwrap().write_all_at(&sector, 0).unwrap();
    code(&mbr, 0);
    code(&mbr, 512);
    assert_eq!(lost(&mbr, 512), is_gone("the sector behind the first"));
    assert_eq!(lost(&mbr, 0), is_gone("the first sector"));
    assert_eq!(lost(&mbr, 2 * MIB), [], "what is elsewhere is nothing that a BIOS runs");
}

#[test]
fn a_menu_of_windows_that_is_gone_or_no_hive_is_told() {
    let part = "partition 1 (FAT, 8 MiB)";
    let removed = windows().remove("/EFI/Microsoft/Boot/BCD");
    assert_eq!(lost(&windows(), &removed), gone(&format!(r"\EFI\Microsoft\Boot\BCD is gone from {part}")));
    let empty = windows().write("/EFI/Microsoft/Boot/BCD", "no hive");
    let found = lost(&windows(), &empty);
    assert!(found.len() == 1 && found[0].0 == "boot_loader_gone", "{found:?}");
    assert!(
        found[0].1.starts_with(r"\EFI\Microsoft\Boot\BCD cannot be read as a registry hive"),
        "{found:?}"
    );
    assert_eq!(lost(&empty, &empty), [], "it was so before");
}

#[test]
fn an_efi_partition_that_was_not_unmounted_or_is_damaged_blocks() {
    let (base, now) = (disk(&loaders()), disk(&loaders()));
    let poke = |at: u64, bytes: &[u8]| {
        File::options().write(true).open(now.path()).unwrap().write_all_at(bytes, MIB + at).unwrap();
    };
    let codes = || {
        now.found(&base)
            .into_iter()
            .map(|(code, _)| code)
            .filter(|code| code != "not_examined")
            .collect::<Vec<_>>()
    };
    assert!(codes().is_empty());
    poke(37, &[1]);
    assert_eq!(codes(), ["file_system_unclean"]);
    poke(37, &[0]);
    // The root folder's first entry leads to a cluster that is not there.
    let image = fs::read(now.path()).unwrap();
    let root = image.windows(11).position(|bytes| bytes == b"EFI        ").unwrap() as u64 - MIB;
    poke(root + 26, &[0xff, 0xff]);
    assert_eq!(codes(), ["not_checked"]);
}
