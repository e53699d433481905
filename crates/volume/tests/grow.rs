//! Disks that are larger than their systems: the file systems' own tools find the grown ones without fault, and all files.

mod made;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use made::{Image, MIB, Made, program, run, see};
use shale_disk::{Content, Disk, FileDisk, extents, table};
use shale_volume::changes::Changes;
use shale_volume::files::{Files, Filling, Kind, Making};
use shale_volume::grow::{self, Grown};

/// What makes a volume one of an operating system, and some files that are looked for afterwards.
fn install(files: &mut Files, kind: Made) {
    let root = files.root();
    let mut folder = |parent, name: &[u8]| files.make(Making { parent, name, kind: &Kind::Folder }).unwrap();
    if kind == Made::Ntfs {
        let windows = folder(root, b"Windows");
        folder(windows, b"System32");
    } else {
        let etc = folder(root, b"etc");
        folder(root, b"usr");
        files.make(Making { parent: etc, name: b"os-release", kind: &Kind::File }).unwrap();
    }
    for number in 0..200u32 {
        let name = format!("file {number}");
        let node = files.make(Making { parent: root, name: name.as_bytes(), kind: &Kind::File }).unwrap();
        let whole = 0..u64::from(number) * 400 + 1;
        let content = &mut |_: u64, buffer: &mut [u8]| {
            buffer.fill(number as u8);
            Ok(())
        };
        let ranges = std::slice::from_ref(&whole);
        let filling = Filling { size: whole.end, ranges, compressed: false, content };
        files.fill(node, b"", filling).unwrap();
    }
}

/// A file system with a system in it, made with `options` of its tool.
fn volume(kind: Made, size: u64, options: &[&str]) -> Image {
    let image = Image::new(kind, size, None);
    if !options.is_empty() {
        let path = image.path();
        let tool = if kind == Made::Ntfs { "mkntfs" } else { "mke2fs" };
        run(tool, &[&["-q", "-F"], options, &[path.to_str().unwrap()]].concat());
    }
    image.change(|files| install(files, kind));
    image
}

/// A disk with the volume in its first partition, and what `more` has sgdisk make behind it.
fn disk_with(image: &Image, more: &[&str]) -> PathBuf {
    let path = image.folder.path().join("disk");
    let disk = File::create(&path).unwrap();
    let size = image.disk().size();
    disk.set_len(size + 4 * MIB).unwrap();
    let place = format!("-n1:2048:{}", 2048 + size / 512 - 1);
    run("sgdisk", &[&[&place[..]], more, &[path.to_str().unwrap()]].concat());
    copy(&*image.disk(), &disk, MIB);
    path
}

/// Copies data to `place`; holes stay holes.
fn copy(from: &dyn Disk, to: &File, place: u64) {
    for extent in extents(from).map(Result::unwrap).filter(|extent| extent.content == Content::Data) {
        for at in (extent.offset..extent.offset + extent.length).step_by(MIB as usize) {
            let mut bytes = vec![0; (extent.offset + extent.length - at).min(MIB) as usize];
            from.read_at(&mut bytes, at).unwrap();
            to.write_all_at(&bytes, place + at).unwrap();
        }
    }
}

/// Grows the system of the disk at `path`, made `size` bytes large, and keeps the result there; with it, the bytes that were
/// written.
fn grow(path: &Path, size: u64) -> (Grown, u64) {
    let disk: Arc<dyn Disk> = Arc::new(FileDisk::open(path).unwrap());
    let grown = table::grown(disk, size).unwrap();
    let changes = Arc::new(Changes::new(grown.clone(), path.parent().unwrap()).unwrap());
    let told = grow::os_volume(&program(), changes.clone()).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(size).unwrap();
    copy(&*grown, &file, 0);
    copy(&*changes, &file, 0);
    let data = extents(&*changes).map(Result::unwrap).filter(|extent| extent.content == Content::Data);
    (told, data.map(|extent| extent.length).sum())
}

/// The grown volume as an image of its own, for the tools that judge.
fn part(path: &Path, kind: Made, grown: &Grown) -> Image {
    let image = Image { folder: tempfile::tempdir().unwrap(), kind };
    let file = File::create(image.path()).unwrap();
    file.set_len(grown.range.end - grown.range.start).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(FileDisk::open(path).unwrap());
    let window = shale_disk::Window::new(disk, grown.range.start, grown.range.end - grown.range.start);
    copy(&window.unwrap(), &file, 0);
    image
}

fn field(said: &str, name: &str) -> u64 {
    let line =
        said.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {said}"));
    line.trim().parse().unwrap()
}

/// Grows a volume in a partition and judges it. Returns what was told and written.
fn grow_and_judge(image: &Image, size: u64) -> (Grown, u64) {
    let before = see(&mut image.open());
    let path = disk_with(image, &[]);
    let (grown, written) = grow(&path, size);
    let verdict = run("sgdisk", &["-v", path.to_str().unwrap()]);
    assert!(verdict.contains("No problems found"), "{verdict}");
    let part = part(&path, image.kind, &grown);
    part.judge();
    let at = part.path();
    let at = at.to_str().unwrap();
    if image.kind == Made::Ntfs {
        run("ntfsresize", &["--check", "-f", at]);
        let said = run("ntfsresize", &["--info", "-f", at]);
        // It counts the second boot sector, too.
        assert!(said.contains(&format!("Current volume size: {} bytes", grown.after + 512)), "{said}");
        let boot = |at| {
            let mut sector = [0; 512];
            part.disk().read_at(&mut sector, at).unwrap();
            sector
        };
        assert_eq!(boot(0), boot(part.disk().size() - 512));
    } else {
        let said = run("dumpe2fs", &["-h", at]);
        assert_eq!(field(&said, "Block count:") * field(&said, "Block size:"), grown.after);
        run("resize2fs", &["-P", at]);
    }
    assert!(see(&mut part.open()) == before, "every entry is as it was");
    fill_up(&part, grown.before);
    (grown, written)
}

/// Files go where the room was added, and nothing is wrong with them there.
fn fill_up(image: &Image, size: u64) {
    image.change(|files| {
        let root = files.root();
        let node = files.make(Making { parent: root, name: b"large", kind: &Kind::File }).unwrap();
        let whole = 0..size;
        let ranges = std::slice::from_ref(&whole);
        let content = &mut |_: u64, buffer: &mut [u8]| {
            buffer.fill(7);
            Ok(())
        };
        files.fill(node, b"", Filling { size, ranges, compressed: false, content }).unwrap();
    });
    image.judge();
}

#[test]
fn ext_grows_whatever_its_features() {
    let all: [&[&str]; 8] = [
        &["-t", "ext4", "-b", "4096"],
        &["-t", "ext4", "-b", "1024"],
        &["-t", "ext4", "-b", "4096", "-O", "^64bit,^metadata_csum,uninit_bg"],
        &["-t", "ext4", "-b", "4096", "-O", "^flex_bg"],
        &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^uninit_bg", "-G", "4"],
        &["-t", "ext4", "-b", "4096", "-O", "orphan_file,metadata_csum_seed", "-i", "4096"],
        &["-t", "ext3", "-b", "4096"],
        &["-t", "ext2", "-b", "1024", "-I", "128"],
    ];
    for (options, old, new) in
        all.iter().zip([200, 70, 200, 140, 33, 256, 200, 41]).map(|(o, old)| (*o, old, 1100))
    {
        let image = volume(Made::Ext4, old * MIB, options);
        let (grown, written) = grow_and_judge(&image, new * MIB);
        assert_eq!(grown.before, old * MIB, "{options:?}");
        assert!(grown.after > (new - 40) * MIB, "{options:?}: {grown:?}");
        assert!(grown.text.contains("grew from"), "{}", grown.text);
        assert!(written < 30 * MIB, "{options:?} {written}");
    }
}

#[test]
fn ntfs_grows_with_its_bitmap_and_both_boot_sectors() {
    let all: [&[&str]; 3] = [&["-Q"], &["-Q", "-c", "512"], &["-Q", "-c", "65536"]];
    for (options, old, new) in [(all[0], 33, 5000), (all[1], 40, 700), (all[2], 64, 2000)] {
        let image = volume(Made::Ntfs, old * MIB, options);
        let (grown, written) = grow_and_judge(&image, new * MIB);
        assert!(grown.before < old * MIB && grown.after > (new - 3) * MIB, "{options:?}: {grown:?}");
        assert!(written < 10 * MIB, "{options:?} {written}");
    }
}

#[test]
fn a_volume_without_a_table_grows_with_its_disk_and_a_second_time_nothing_is_written() {
    for kind in [Made::Ext4, Made::Ntfs] {
        let image = volume(kind, 64 * MIB, &[]);
        let before = see(&mut image.open());
        let (grown, _) = grow(&image.path(), 400 * MIB);
        assert!(grown.after > 399 * MIB && grown.range == (0..400 * MIB), "{grown:?}");
        image.judge();
        assert!(see(&mut image.open()) == before);
        let (again, written) = grow(&image.path(), 400 * MIB);
        assert_eq!((again.before, again.after, written), (grown.after, grown.after, 0));
        assert!(again.text.contains("stays as large as it was"), "{}", again.text);
    }
}

#[test]
fn a_recovery_partition_behind_the_system_keeps_it_as_it_is_and_is_named() {
    let image = volume(Made::Ntfs, 64 * MIB, &[]);
    let path = disk_with(&image, &["-n2:0:+1M", "-t2:2700", "-c2:Recovery tools"]);
    let (grown, written) = grow(&path, 400 * MIB);
    assert_eq!((grown.before, written), (grown.after, 0));
    assert!(
        grown.text.contains("a recovery partition (number 2, 'Recovery tools') lies behind it"),
        "{}",
        grown.text
    );
    assert!(run("sgdisk", &["-v", path.to_str().unwrap()]).contains("No problems found"));
}

#[test]
fn ext_grows_no_further_than_its_descriptors_go_and_says_so() {
    let image = volume(Made::Ext4, 64 * MIB, &["-t", "ext4", "-b", "1024", "-O", "^resize_inode"]);
    // One block of them: 16 groups of 8 MiB.
    let (grown, _) = grow_and_judge(&image, 1000 * MIB);
    assert_eq!(grown.after, 128 * MIB + 1024);
    assert!(
        grown.text.contains("was made to become no larger, though its partition has 998.0 MiB"),
        "{}",
        grown.text
    );

    let image = volume(Made::Ext4, 64 * MIB, &["-t", "ext4", "-O", "meta_bg,^resize_inode"]);
    let path = disk_with(&image, &[]);
    let grown = table::grown(Arc::new(FileDisk::open(&path).unwrap()), 200 * MIB).unwrap();
    let changes = Arc::new(Changes::new(grown, image.folder.path()).unwrap());
    let e = grow::os_volume(&program(), changes).err().unwrap();
    assert!(e.to_string().contains("meta_bg"), "{e}");
}

#[test]
fn what_lay_behind_the_system_is_not_taken_for_metadata() {
    for options in [&["-t", "ext4"][..], &["-t", "ext3"]] {
        let image = volume(Made::Ext4, 64 * MIB, options);
        let path = disk_with(&image, &[]);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(500 * MIB).unwrap();
        file.write_all_at(&vec![0xa5; 300 << 20], 66 * MIB).unwrap();
        // Its table has moved before: what is behind it now is of some use that ended.
        run("sgdisk", &["-e", path.to_str().unwrap()]);
        let (grown, _) = grow(&path, 500 * MIB);
        assert!(grown.after > 490 * MIB, "{grown:?}");
        part(&path, Made::Ext4, &grown).judge();
    }
}

#[test]
fn growing_by_a_tebibyte_writes_a_thousandth_of_it_at_most() {
    let image = volume(Made::Ext4, 2048 * MIB, &[]);
    let path = image.path();
    let disk: Arc<dyn Disk> = Arc::new(FileDisk::open(&path).unwrap());
    let changes = Arc::new(Changes::new(table::grown(disk, 1 << 40).unwrap(), image.folder.path()).unwrap());
    let grown = grow::os_volume(&program(), changes.clone()).unwrap();
    assert_eq!(grown.after, 1 << 40);
    let data = extents(&*changes).map(Result::unwrap).filter(|extent| extent.content == Content::Data);
    let written: u64 = data.map(|extent| extent.length).sum();
    assert!(written < 64 * MIB, "{written}");
}
