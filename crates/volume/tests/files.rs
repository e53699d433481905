//! Files as the file systems' own tools see them, in both directions; what is damaged or strange is refused.

mod made;

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::sync::Arc;
use std::time::Duration;

use made::{Image, MIB, Made, content, go_on, output, program, run, see};
use shale_disk::{Disk, ErrorKind, Memory};
use shale_volume::changes::Changes;
use shale_volume::exclude::Family;
use shale_volume::files::{Attributes, Facts, Files, Filling, Kind, Making, Moment, Program};
use shale_volume::known::{Known, volumes};
use shale_volume::tree::Tree;

/// A tree of the host with what a file system can hold without rights.
fn host_tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("etc/deep/er")).unwrap();
    fs::write(at("etc/small"), b"hello").unwrap();
    fs::write(at("etc/empty"), b"").unwrap();
    fs::write(at("etc/deep/er/large"), (0..3_000_000u32).map(|i| (i / 11) as u8).collect::<Vec<_>>())
        .unwrap();
    fs::hard_link(at("etc/small"), at("etc/deep/other name")).unwrap();
    symlink("../short", at("etc/short link")).unwrap();
    symlink("x".repeat(200), at("etc/long link")).unwrap();
    let sparse = fs::File::create(at("sparse")).unwrap();
    sparse.set_len(50 << 20).unwrap();
    sparse.write_all_at(&[7; 9000], 20 << 20).unwrap();
    for number in 0..400 {
        fs::write(at(&format!("etc/deep/file with a long name, number {number}")), [number as u8]).unwrap();
    }
    folder
}

#[test]
fn a_tree_is_read_from_ext_as_the_host_has_it() {
    let host = host_tree();
    for kind in [Made::Ext4, Made::Ext2] {
        let image = Image::new(kind, 64 * MIB, Some(host.path()));
        let mut files = image.open();
        assert_eq!(files.kind(), Known::Ext);
        let tree = Tree::read(&mut files, go_on()).unwrap();
        assert!(tree.0.len() > 410, "{}", tree.0.len());
        for (path, entry) in
            tree.0.iter().filter(|(path, _)| !path.is_empty() && !path.starts_with(b"lost+found"))
        {
            let path = host.path().join(std::str::from_utf8(path).unwrap());
            let expected = fs::symlink_metadata(&path).unwrap();
            assert_eq!(u32::from(entry.facts.mode), expected.mode() & 0o7777, "{path:?}");
            assert_eq!((entry.facts.owner, entry.facts.group), (expected.uid(), expected.gid()));
            assert_eq!(entry.facts.modified.seconds, expected.mtime());
            match &entry.kind {
                Kind::Folder => assert!(expected.is_dir()),
                Kind::Link { target } => {
                    assert_eq!(
                        std::str::from_utf8(target).unwrap(),
                        fs::read_link(&path).unwrap().to_str().unwrap()
                    );
                }
                _ => {
                    assert_eq!(u64::from(entry.links), expected.nlink());
                    assert!(content(&mut files, entry, b"") == fs::read(&path).unwrap(), "{path:?}");
                }
            }
        }
        let sparse = &tree.0[&b"sparse"[..]];
        let pieces = files.map(sparse.node, b"").unwrap().pieces;
        assert!(pieces.iter().map(|piece| piece.length).sum::<u64>() < 100_000, "{pieces:?}");
        let names = tree.names();
        assert_eq!(names.values().next().unwrap(), &[&b"etc/deep/other name"[..], b"etc/small"]);
        files.close().unwrap();
    }
}

fn facts(mode: u16, seconds: i64) -> Facts {
    let moment = |add| Moment { seconds: seconds + add, nanoseconds: 123_456_700 };
    Facts {
        mode,
        owner: 70_000,
        group: 1_000,
        flags: 0,
        modified: moment(0),
        accessed: moment(1),
        changed: moment(2),
        born: moment(3),
    }
}

fn attributes(pairs: &[(&str, &[u8])]) -> Attributes {
    pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect()
}

fn fill(files: &mut Files, node: u64, stream: &[u8], bytes: &[u8], ranges: &[(u64, u64)]) {
    let ranges: Vec<_> = ranges.iter().map(|(start, end)| *start..*end).collect();
    let mut content = |offset: u64, buffer: &mut [u8]| {
        buffer.copy_from_slice(&bytes[offset as usize..offset as usize + buffer.len()]);
        Ok(())
    };
    let filling =
        Filling { size: bytes.len() as u64, ranges: &ranges, compressed: false, content: &mut content };
    files.fill(node, stream, filling).unwrap();
}

/// Removes what the next test made.
fn empty(image: &Image) {
    image.change(|files| {
        let root = files.root();
        let found = files.folder(root).unwrap().into_iter().find(|(name, _)| name == b"folder");
        let folder = found.unwrap().1.node;
        for (name, _) in files.folder(folder).unwrap() {
            files.remove(folder, &name).unwrap();
        }
        files.remove(root, b"folder").unwrap();
        files.remove(root, b"second name").unwrap();
    });
}

#[test]
fn what_is_written_to_ext_is_what_debugfs_shows_and_e2fsck_finds_nothing() {
    for kind in [Made::Ext4, Made::Ext2] {
        let image = Image::new(kind, 64 * MIB, None);
        let large: Vec<u8> = (0..2_345_678u32).map(|i| (i / 13) as u8).collect();
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        image.change(|files| {
            let root = files.root();
            let folder = files.make(Making { parent: root, name: b"folder", kind: &Kind::Folder }).unwrap();
            let file = files.make(Making { parent: folder, name: b"file", kind: &Kind::File }).unwrap();
            fill(files, file, b"", &large, &[(0, 1 << 20), (2 << 20, large.len() as u64)]);
            files.link(root, b"second name", file).unwrap();
            let acl =
                [1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 0x39, 5, 0, 0, 4, 0, 4, 0, 0x10, 0, 4, 0, 0x20, 0, 0, 0];
            let kept = attributes(&[
                ("security.capability", &capability),
                ("system.posix_acl_access", &acl),
                ("user.long", &[9; 900]),
                ("user.short", b"value"),
            ]);
            files.describe(file, folder, &facts(0o4750, 5_000_000_000), &kept).unwrap();
            let target = b"y".repeat(300);
            for (name, kind) in [
                (&b"link"[..], Kind::Link { target: b"folder/file".to_vec() }),
                (b"long", Kind::Link { target }),
                (b"null", Kind::Characters { major: 1, minor: 3 }),
                (b"far", Kind::Blocks { major: 300, minor: 70_000 }),
                (b"pipe", Kind::Pipe),
                (b"socket", Kind::Socket),
            ] {
                let node = files.make(Making { parent: folder, name, kind: &kind }).unwrap();
                files.describe(node, folder, &facts(0o777, 1_700_000_000), &Attributes::new()).unwrap();
            }
            files.describe(folder, root, &facts(0o1777, -1000), &Attributes::new()).unwrap();
        });
        image.judge();
        let path = image.path();
        let path = path.to_str().unwrap();
        let dumped = image.folder.path().join("dumped");
        run("debugfs", &["-R", &format!("dump \"/second name\" {}", dumped.display()), path]);
        let mut expected = large.clone();
        expected[1 << 20..2 << 20].fill(0);
        assert!(fs::read(&dumped).unwrap() == expected);
        let shown = run("debugfs", &["-R", "stat /folder/file", path]);
        for expected in ["Mode:  04750", "User: 70000", "Group:  1000", "Links: 2", "security.capability"] {
            assert!(shown.contains(expected), "{expected} is not in {shown}");
        }
        assert!(run("debugfs", &["-R", "stat /folder/far", path]).contains("300:70000"));
        assert!(
            run("debugfs", &["-R", "stat /folder/link", path]).contains("Fast link dest: \"folder/file\"")
        );
        let seen = see(&mut image.open());
        assert_eq!(seen[&b"folder/file"[..]].facts, facts(0o4750, 5_000_000_000));
        assert_eq!(seen[&b"folder"[..]].facts, facts(0o1777, -1000));
        assert_eq!(seen[&b"folder/file"[..]].attributes.get(b"security.capability").unwrap(), capability);
        assert_eq!(seen[&b"folder/file"[..]].attributes.len(), 4);
        empty(&image);
        image.judge();
        assert_eq!(see(&mut image.open()).len(), 2, "only the root and lost+found are left");
    }
}

/// A self-relative security descriptor: owner and group Administrators, everyone may do everything.
const DESCRIPTOR: [u8; 76] = [
    1, 0, 4, 0x80, 48, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, // header
    2, 0, 28, 0, 1, 0, 0, 0, // one entry
    0, 3, 20, 0, 0xff, 1, 0x1f, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, // everyone
    1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0, // owner: the system
    1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0, // group
];

#[test]
fn what_is_written_to_ntfs_is_what_sleuthkit_shows_and_ntfsfix_finds_nothing() {
    let image = Image::new(Made::Ntfs, 64 * MIB, None);
    let large: Vec<u8> = (0..2_345_678u32).map(|i| (i / 13) as u8).collect();
    let reparse = [3, 0, 0, 0xa0, 14, 0, 0, 0, 0, 0, 2, 0, 4, 0, 0, 0, b'x', 0, 0, 0, 0, 0];
    let junction = attributes(&[("system.ntfs_reparse_data", &reparse), ("system.ntfs_acl", &DESCRIPTOR)]);
    image.change(|files| {
        let root = files.root();
        let folder = files
            .make(Making { parent: root, name: "Gruß an alle".as_bytes(), kind: &Kind::Folder })
            .unwrap();
        let file =
            files.make(Making { parent: folder, name: b"A long name.txt", kind: &Kind::File }).unwrap();
        fill(files, file, b"", &large, &[(0, large.len() as u64)]);
        fill(files, file, b"stream", b"hidden words", &[(0, 12)]);
        let kept = attributes(&[
            ("system.ntfs_acl", &DESCRIPTOR),
            ("system.ntfs_attrib", &0x23u32.to_le_bytes()),
            ("system.ntfs_dos_name", b"ALONGN~1.TXT"),
        ]);
        // A file with several names gets no DOS name any more, and every name sets its times.
        files.describe(file, folder, &facts(0, 1_600_000_000), &kept).unwrap();
        files.link(root, b"second", file).unwrap();
        files.describe(file, folder, &facts(0, 1_600_000_000), &kept).unwrap();
        let target = files.make(Making { parent: root, name: b"junction", kind: &Kind::Folder }).unwrap();
        files.describe(target, root, &facts(0, 1_500_000_000), &junction).unwrap();
        files
            .describe(folder, root, &facts(0, -1000), &attributes(&[("system.ntfs_acl", &DESCRIPTOR)]))
            .unwrap();
    });
    image.judge();
    let path = image.path();
    let path = path.to_str().unwrap();
    let listed = run("fls", &["-f", "ntfs", "-r", "-p", path]);
    for expected in ["A long name.txt:stream", "Gruß an alle/A long name.txt", "second", "junction"] {
        assert!(listed.contains(expected), "{expected} is not in {listed}");
    }
    let cat = output("ntfscat", &["-f", path, "second"]);
    assert!(cat.stdout == large, "{}", String::from_utf8_lossy(&cat.stderr));
    let cat = output("ntfscat", &["-f", "-n", "stream", path, "second"]);
    assert_eq!(cat.stdout, b"hidden words");
    let mut files = image.open();
    let seen = see(&mut files);
    let file = &seen["Gruß an alle/A long name.txt".as_bytes()];
    let expected = Facts { mode: 0, owner: 0, group: 0, ..facts(0, 1_600_000_000) };
    assert_eq!(file.facts, expected);
    assert_eq!(file.attributes.get(b"system.ntfs_dos_name").unwrap(), *b"ALONGN~1.TXT");
    assert_eq!(file.attributes.get(b"system.ntfs_acl").unwrap(), DESCRIPTOR);
    assert_eq!(file.attributes.get(b"system.ntfs_attrib").unwrap(), 0x23u32.to_le_bytes());
    assert_eq!(seen[&b"second"[..]].first, "Gruß an alle/A long name.txt".as_bytes());
    assert_eq!(seen[&b"junction"[..]].attributes.get(b"system.ntfs_reparse_data").unwrap(), reparse);
    assert_eq!(
        seen["Gruß an alle".as_bytes()].facts.modified,
        Moment { seconds: -1000, nanoseconds: 123_456_700 }
    );
    drop(files);
    image.change(|files| {
        let root = files.root();
        let folder =
            files.folder(root).unwrap().into_iter().find(|(name, _)| name.starts_with(b"Gru")).unwrap();
        files.remove(folder.1.node, b"A long name.txt").unwrap();
        for name in [&folder.0[..], b"second", b"junction"] {
            files.remove(root, name).unwrap();
        }
    });
    image.judge();
    assert_eq!(see(&mut image.open()).len(), 1, "only the root is left");
}

#[test]
fn a_file_system_that_was_not_left_cleanly_is_refused() {
    let image = Image::new(Made::Ext4, 16 * MIB, None);
    let path = image.path();
    let refused = |expected: &str| {
        let disk = image.disk();
        let size = disk.size();
        let e = Files::open(&program(), disk, 0..size).err().unwrap();
        let source = std::error::Error::source(&e).unwrap().to_string();
        assert!(source.contains(expected), "{source}");
        assert_ne!(e.kind(), ErrorKind::Io);
    };
    run("debugfs", &["-w", "-R", "feature needs_recovery", path.to_str().unwrap()]);
    refused("journal");
    run("debugfs", &["-w", "-R", "feature -needs_recovery", path.to_str().unwrap()]);
    run("debugfs", &["-w", "-R", "set_super_value state 0", path.to_str().unwrap()]);
    refused("cleanly");
    run("debugfs", &["-w", "-R", "set_super_value state 3", path.to_str().unwrap()]);
    refused("e2fsck");
}

#[test]
fn what_is_no_file_system_of_ours_is_refused_by_name() {
    let refusal = |offset: usize, mark: &[u8]| {
        let mut bytes = vec![0; 1 << 20];
        bytes[offset..offset + mark.len()].copy_from_slice(mark);
        let e = Files::open(&program(), Arc::new(Memory(bytes)), 0..1 << 20).err().unwrap();
        assert_eq!(e.kind(), ErrorKind::Unsupported);
        e.to_string()
    };
    assert!(refusal(0, b"XFSB").contains("XFS"));
    assert!(refusal(0x1_0040, b"_BHRfS_M").contains("btrfs"));
    assert!(refusal(0, b"LUKS\xba\xbe").contains("encrypted (LUKS)"));
    assert!(refusal(3, b"-FVE-FS-").contains("encrypted (BitLocker)"));
    assert!(refusal(0, b"nothing").contains("no file system"));
}

#[test]
fn a_program_that_crashes_or_is_not_there_is_an_error_that_says_so() {
    let image = Image::new(Made::Ext4, 16 * MIB, None);
    let open = |program: &str| Files::open(&Program::at(program), image.disk(), 0..16 * MIB).err().unwrap();
    let missing = open("/nonexistent/shale-files");
    assert!(missing.to_string().contains("cannot be started"), "{missing}");
    let ended = open("/bin/true");
    assert!(std::error::Error::source(&ended).unwrap().to_string().contains("ended"), "{ended:?}");
    let programs = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs");
    for (program, text) in [("crashes", "crashed (signal 11)"), ("needs-memory", "needed more memory")] {
        let ended = open(&format!("{programs}/{program}"));
        assert_eq!(ended.kind(), ErrorKind::Corrupt, "{program}");
        assert!(std::error::Error::source(&ended).unwrap().to_string().contains(text), "{ended:?}");
    }
}

/// Takes its time once.
struct Slow(Arc<dyn Disk>, std::sync::Once);

impl Disk for Slow {
    fn size(&self) -> u64 {
        self.0.size()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> shale_disk::Result<()> {
        // What a disk is known by is read before.
        if offset > 4096 {
            self.1.call_once(|| std::thread::sleep(Duration::from_secs(6)));
        }
        self.0.read_at(buffer, offset)
    }
    fn extent_at(&self, offset: u64) -> shale_disk::Result<shale_disk::Extent> {
        self.0.extent_at(offset)
    }
}

#[test]
fn a_disk_that_takes_its_time_is_not_taken_for_a_damaged_file_system() {
    let image = Image::new(Made::Ext4, 16 * MIB, None);
    let disk: Arc<dyn Disk> = Arc::new(Slow(image.disk(), std::sync::Once::new()));
    let patient = program().with_longest(Duration::from_secs(5));
    let mut files = Files::open(&patient, disk, 0..16 * MIB).unwrap();
    let root = files.root();
    assert!(files.folder(root).unwrap().iter().any(|(name, _)| name == b"lost+found"));
}

#[test]
fn a_program_that_says_nothing_is_ended() {
    let image = Image::new(Made::Ext4, 16 * MIB, None);
    let silent = Program::at("/usr/bin/yes").with_patience(Duration::from_millis(200));
    let e = Files::open(&silent, image.disk(), 0..16 * MIB).err().unwrap();
    let source = std::error::Error::source(&e).unwrap().to_string();
    assert!(source.contains("took too long to open the file system"), "{source}");
}

#[test]
fn a_disk_that_fills_up_is_an_error_of_its_own() {
    for kind in [Made::Ext4, Made::Ntfs] {
        let image = Image::new(kind, 16 * MIB, None);
        let changes = Arc::new(Changes::new(image.disk(), image.folder.path()).unwrap());
        let mut files = Files::open_to_write(&program(), changes.clone(), 0..changes.size()).unwrap();
        let root = files.root();
        let node = files.make(Making { parent: root, name: b"too much", kind: &Kind::File }).unwrap();
        let mut content = |_: u64, buffer: &mut [u8]| {
            buffer.fill(1);
            Ok(())
        };
        let whole = 0..64 * MIB;
        let filling = Filling {
            size: 64 * MIB,
            ranges: std::slice::from_ref(&whole),
            compressed: false,
            content: &mut content,
        };
        let e = files.fill(node, b"", filling).err().unwrap();
        assert_eq!(e.kind(), ErrorKind::Full, "{kind:?}: {e}");
    }
}

#[test]
fn the_program_has_no_right_left_while_it_works() {
    let image = Image::new(Made::Ext4, 16 * MIB, None);
    let mut files = image.open();
    let ours = format!("PPid:\t{}", std::process::id());
    let mut found = 0;
    for folder in fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(status) = fs::read_to_string(folder.join("status")) else { continue };
        // The kernel cuts names at fifteen bytes. Other tests' programs are as good, but may still be starting.
        if !status.contains("Name:\tshale-files\n") || !status.lines().any(|line| line == ours) {
            continue;
        }
        if !status.contains("Seccomp:\t2") {
            continue;
        }
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        let limits = fs::read_to_string(folder.join("limits")).unwrap_or_default();
        let limit = |name: &str| limits.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        if let (Some(space), Some(files), Some(size)) =
            (limit("Max address space"), limit("Max open files"), limit("Max file size"))
        {
            assert!(space.contains(" 268435456 "), "{space}");
            assert!(files.contains(" 0 ") && size.contains(" 0 "), "{files} {size}");
            found += 1;
        }
    }
    assert!(found > 0, "a program that works was not seen");
    Tree::read(&mut files, go_on()).unwrap();
}

#[test]
fn the_volume_of_the_system_is_found_among_partitions() {
    let image = Image::new(Made::Ext4, 16 * MIB, None);
    image.change(|files| {
        let root = files.root();
        files.make(Making { parent: root, name: b"usr", kind: &Kind::Folder }).unwrap();
        let etc = files.make(Making { parent: root, name: b"etc", kind: &Kind::Folder }).unwrap();
        files.make(Making { parent: etc, name: b"os-release", kind: &Kind::File }).unwrap();
    });
    let windows = Image::new(Made::Ntfs, 16 * MIB, None);
    windows.change(|files| {
        let mut parent = files.root();
        for name in ["Windows", "System32", "Config"] {
            parent = files.make(Making { parent, name: name.as_bytes(), kind: &Kind::Folder }).unwrap();
        }
        files.make(Making { parent, name: b"SYSTEM", kind: &Kind::File }).unwrap();
    });
    let mut bytes = vec![0; 40 << 20];
    bytes[1 << 20..17 << 20].copy_from_slice(&fs::read(image.path()).unwrap());
    bytes[17 << 20..33 << 20].copy_from_slice(&fs::read(windows.path()).unwrap());
    let disk = image.folder.path().join("disk");
    fs::write(&disk, &bytes).unwrap();
    let arguments = ["-n", "1:2048:+16M", "-n", "2:0:+16M", "-n", "3:0:0", disk.to_str().unwrap()];
    run("sgdisk", &arguments);
    let disk: Arc<dyn Disk> = Arc::new(shale_disk::FileDisk::open(&disk).unwrap());
    let found = volumes(&*disk).unwrap();
    assert_eq!(found.iter().map(|v| v.known).collect::<Vec<_>>(), [Known::Ext, Known::Ntfs, Known::Unknown]);
    let family = |number: usize| {
        let mut files = Files::open(&program(), disk.clone(), found[number].range.clone()).unwrap();
        Family::of(&mut files).unwrap()
    };
    assert_eq!((family(0), family(1)), (Some(Family::Linux), Some(Family::Windows)));
    assert_eq!(Family::of(&mut Image::new(Made::Ext2, 16 * MIB, None).open()).unwrap(), None);
}

#[test]
fn features_of_newer_systems_are_read() {
    let host = host_tree();
    let all = [
        "inline_data,ea_inode,large_dir",
        "orphan_file,metadata_csum_seed",
        "bigalloc",
        "^extent,^64bit",
        "quota,project",
    ];
    for features in all {
        let image = Image::new(Made::Ext4, 64 * MIB, None);
        let path = image.path();
        let (path, tree) = (path.to_str().unwrap(), host.path().to_str().unwrap());
        run("mke2fs", &["-q", "-F", "-t", "ext4", "-I", "256", "-O", features, "-d", tree, path]);
        let mut files = image.open();
        let tree = Tree::read(&mut files, go_on()).unwrap();
        // mke2fs itself cuts sparse files short where small ones are kept in inodes.
        let sparse = (!features.contains("inline_data")).then_some("sparse");
        for name in ["etc/small", "etc/deep/er/large"].into_iter().chain(sparse) {
            let entry = &tree.0[name.as_bytes()];
            let expected = fs::read(host.path().join(name)).unwrap();
            assert!(content(&mut files, entry, b"") == expected, "{features} {name}");
        }
        let changes = Arc::new(Changes::new(image.disk(), image.folder.path()).unwrap());
        let size = changes.size();
        let opened = Files::open_to_write(&program(), changes, 0..size);
        let is_written = !["inline_data,ea_inode,large_dir", "bigalloc", "quota,project"].contains(&features);
        assert_eq!(opened.is_ok(), is_written, "{features}");
    }
}

#[test]
fn folders_with_an_index_stay_right_when_entries_come_and_go() {
    let host = host_tree();
    let image = Image::new(Made::Ext4, 64 * MIB, Some(host.path()));
    let path = image.path();
    let path = path.to_str().unwrap();
    // Sorts and indexes folders, as the kernel does; it says 1 for "changed".
    assert!(output("e2fsck", &["-fyD", path]).status.code().unwrap() <= 1);
    assert!(run("debugfs", &["-R", "htree_dump /etc/deep", path]).contains("Root node dump"));
    image.change(|files| {
        let tree = Tree::read(files, go_on()).unwrap();
        let parent = tree.0[&b"etc/deep"[..]].node;
        for number in 0..900 {
            let name = format!("one more file with a name that takes room, number {number}");
            files.make(Making { parent, name: name.as_bytes(), kind: &Kind::File }).unwrap();
        }
        for number in (0..400).step_by(2) {
            files.remove(parent, format!("file with a long name, number {number}").as_bytes()).unwrap();
        }
    });
    image.judge();
    let tree = Tree::read(&mut image.open(), go_on()).unwrap();
    assert_eq!(tree.0.keys().filter(|path| path.starts_with(b"etc/deep/")).count(), 2 + 1 + 200 + 900);
    assert!(run("debugfs", &["-R", "htree_dump /etc/deep", path]).contains("Root node dump"));
}

#[test]
fn a_file_of_the_first_seconds_of_1970_can_be_removed() {
    let image = Image::new(Made::Ext4, 24 * MIB, None);
    made::guest::edit(&image, |guest| {
        guest.put("folder/old", "old");
        let (node, parent) = (guest.node("folder/old"), guest.node("folder"));
        guest.describe(node, parent, 0o644, 0, 20);
    });
    // A time below the count of inodes must not be what says when the inode was freed: e2fsck takes that as a list.
    made::guest::edit(&image, |guest| guest.remove("folder/old"));
}
