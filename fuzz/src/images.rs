//! Small file systems with every kind of entry, made by their own tools and filled by `shale-files` when a target begins. Needs mke2fs,
//! e2fsck and mkntfs.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use shale_disk::{Disk, Memory};
use shale_volume::changes::Changes;
use shale_volume::files::{Attributes, Facts, Files, Filling, Kind, Making, Moment};

use crate::child;

/// What damage is counted in.
pub const SECTOR: usize = 512;
const SIZE: usize = 2 << 20;
/// Zeros behind the file system, for it to grow into.
const ROOM: usize = 1 << 20;
/// What files are filled with: it is never damaged, as nobody parses it.
const FILL: u8 = 0xa5;
/// Bytes of file records and index blocks, at most.
const RECORD: usize = 4096;

/// A disk with a file system.
pub struct Image {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Where sectors with metadata begin.
    metadata: Vec<usize>,
    /// Where records of NTFS begin, with the bytes they have: the last two of each of their sectors are a check.
    pub records: Vec<(usize, usize)>,
}

impl Image {
    /// ext4 in groups of 1 MiB with content in inodes, ext2, and ext4 with large blocks.
    pub fn ext() -> Vec<Arc<Self>> {
        let kinds: [&[&str]; 3] = [
            &["-t", "ext4", "-b", "1024", "-g", "1024", "-O", "^metadata_csum,^has_journal,inline_data"],
            &["-t", "ext2", "-b", "1024", "-I", "128", "-O", "dir_index"],
            &["-t", "ext4", "-b", "4096", "-N", "512", "-O", "^metadata_csum,64bit"],
        ];
        // Only its tool makes a file that is kept in its inode.
        let tree = std::env::temp_dir().join(format!("shale-fuzz-tree-{}", std::process::id()));
        std::fs::create_dir_all(&tree).expect("room for a tree");
        std::fs::write(tree.join("small"), [FILL; 100]).expect("room for a file");
        let make = |options: &&[&str]| {
            let from = ["-d", tree.to_str().expect("a path in UTF-8")];
            let tool = [&["mke2fs", "-q", "-F"], *options, &from].concat();
            Arc::new(Self::new(&tool, fill_ext, &["e2fsck", "-fyD"]))
        };
        let images = kinds.iter().map(make).collect();
        std::fs::remove_dir_all(&tree).expect("the tree");
        images
    }

    /// NTFS with clusters of 4096 and of 512 bytes.
    pub fn ntfs() -> Vec<Arc<Self>> {
        let make = |size| Self::new(&["mkntfs", "-q", "-F", "-Q", "-c", size], fill_ntfs, &["ntfsfix", "-n"]);
        ["4096", "512"].into_iter().map(make).map(Arc::new).collect()
    }

    /// `tool` makes it, `fill` fills it, `check` finds it whole or mends it.
    fn new(tool: &[&str], fill: fn(&mut Files), check: &[&str]) -> Self {
        let path = std::env::temp_dir().join(format!("shale-fuzz-{}-{}", tool[0], std::process::id()));
        let write = |bytes: &[u8]| std::fs::write(&path, bytes).expect("room for an image");
        let read = || std::fs::read(&path).expect("the image");
        let run = |tool: &[&str]| {
            let output = Command::new(tool[0]).args(&tool[1..]).arg(&path).output().expect("its tool");
            // e2fsck: 1 when it made folders smaller.
            assert!(matches!(output.status.code(), Some(0 | 1)), "{tool:?} {output:?}");
        };
        write(&vec![0; SIZE]);
        run(tool);
        let fresh = read();
        let changes =
            Arc::new(Changes::new(Arc::new(Memory(fresh.clone())), Path::new("/tmp")).expect("room"));
        let mut files =
            Files::open_to_write(&child::program(), changes.clone(), 0..SIZE as u64).expect("it opens");
        fill(&mut files);
        files.close().expect("it closes");
        let mut filled = vec![0; SIZE];
        changes.disk().read_at(&mut filled, 0).expect("the changes");
        write(&filled);
        run(check);
        let mut bytes = read();
        std::fs::remove_file(&path).expect("the image");
        let records = records(&bytes);
        let metadata = metadata(&fresh, &bytes, &records);
        bytes.resize(SIZE + ROOM, 0);
        Self { bytes, metadata, records }
    }

    /// Where the sector of this number, of those with metadata, begins.
    pub fn sector(&self, number: u16) -> usize {
        self.metadata[usize::from(number) % self.metadata.len()]
    }
}

fn records(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for at in (0..bytes.len()).step_by(SECTOR) {
        let length = match &bytes[at..at + 4] {
            b"FILE" => 1024,
            b"INDX" => RECORD,
            _ => continue,
        };
        found.push((at, length.min(bytes.len() - at)));
    }
    found
}

fn metadata(fresh: &[u8], bytes: &[u8], records: &[(usize, usize)]) -> Vec<usize> {
    let inside = |at| records.iter().any(|(start, length)| (*start..*start + *length).contains(&at));
    let is_metadata = |at: &usize| {
        let (sector, before) = (&bytes[*at..*at + SECTOR], &fresh[*at..*at + SECTOR]);
        sector.iter().any(|byte| *byte != 0)
            && (*at < 4096 || inside(*at) || sector != before && sector[..16] != [FILL; 16])
    };
    (0..bytes.len()).step_by(SECTOR).filter(is_metadata).collect()
}

/// Makes an entry and describes it.
fn make(files: &mut Files, parent: u64, name: &str, kind: Kind, attributes: &[(&str, &[u8])]) -> u64 {
    let node = files.make(Making { parent, name: name.as_bytes(), kind: &kind }).expect(name);
    let pairs = attributes.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
    let moment = Moment { seconds: 1_700_000_000, nanoseconds: 100 };
    let facts = Facts { mode: 0o4755, owner: 70_000, modified: moment, born: moment, ..Facts::default() };
    files.describe(node, parent, &facts, &pairs.collect::<Attributes>()).expect(name);
    node
}

/// Gives a stream data in some ranges.
fn fill(
    files: &mut Files,
    node: u64,
    stream: &str,
    size: u64,
    ranges: &[std::ops::Range<u64>],
    compressed: bool,
) {
    let content = &mut |_: u64, bytes: &mut [u8]| {
        bytes.fill(FILL);
        Ok(())
    };
    files.fill(node, stream.as_bytes(), Filling { size, ranges, compressed, content }).expect("room");
}

fn fill_ext(files: &mut Files) {
    let (root, long) = (files.root(), "long ".repeat(40));
    let list = [
        2, 0, 0, 0, 1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, 4, 0, 5, 0, 0xff, 0xff, 0xff, 0xff, 0x20, 0, 4, 0,
        0xff, 0xff, 0xff, 0xff,
    ];
    let outer = make(files, root, "outer", Kind::Folder, &[("user.folder", b"1")]);
    let inner = make(files, outer, "inner", Kind::Folder, &[("system.posix_acl_default", &list)]);
    make(files, inner, "deepest", Kind::Folder, &[]);
    let many = make(files, root, "many", Kind::Folder, &[]);
    for number in 0..24 {
        make(files, many, &format!("{}{number}", "one of many ".repeat(9)), Kind::File, &[]);
    }
    let plain = make(
        files,
        outer,
        "plain",
        Kind::File,
        &[("security.capability", b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0")],
    );
    fill(files, plain, "", 5000, &[0..5000], false);
    for name in ["again", "and again"] {
        files.link(inner, name.as_bytes(), plain).expect("a link");
    }
    let pieces: Vec<_> = (0..40u64).map(|piece| piece * 8192..piece * 8192 + 4096).collect();
    let sparse =
        make(files, outer, "sparse", Kind::File, &[("user.long", &[7; 300]), ("trusted.other", b"x")]);
    fill(files, sparse, "", 400_000, &pieces, false);
    let far = make(files, outer, "far", Kind::File, &[]);
    fill(files, far, "", 70 << 20, &[0..1, 12 << 12..13 << 12, 69 << 20..(69 << 20) + 4096], false);
    make(files, outer, "short link", Kind::Link { target: b"../outer/plain".to_vec() }, &[]);
    make(files, outer, "long link", Kind::Link { target: long.into_bytes() }, &[]);
    make(files, outer, "characters", Kind::Characters { major: 1, minor: 3 }, &[]);
    make(files, outer, "blocks", Kind::Blocks { major: 300, minor: 70_000 }, &[]);
    make(files, outer, "pipe", Kind::Pipe, &[]);
    make(files, outer, "socket", Kind::Socket, &[]);
}

fn fill_ntfs(files: &mut Files) {
    let (root, wide) =
        (files.root(), |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
    let listed = files
        .folder(root)
        .expect("the root")
        .into_iter()
        .find(|(_, entry)| entry.attributes.get(b"system.ntfs_acl").is_some());
    let descriptor = match listed {
        Some((_, entry)) => entry.attributes.get(b"system.ntfs_acl").expect("one").to_vec(),
        None => files.entry(root).expect("the root").attributes.get(b"system.ntfs_acl").expect("one").to_vec(),
    };
    let outer = make(files, root, "outer", Kind::Folder, &[("system.ntfs_acl", &descriptor)]);
    let inner = make(files, outer, "inner", Kind::Folder, &[("system.ntfs_attrib", &[6, 0, 0, 0])]);
    make(files, inner, "deepest", Kind::Folder, &[]);
    let many = make(files, root, "many", Kind::Folder, &[]);
    for number in 0..24 {
        make(files, many, &format!("{}{number}", "one of many ".repeat(9)), Kind::File, &[]);
    }
    let dos = [
        ("system.ntfs_dos_name", &b"PLAIN~1.TXT"[..]),
        ("system.ntfs_object_id", &[9; 16]),
        ("system.ntfs_versions", &[1; 12]),
    ];
    let plain = make(files, outer, "plain and long.text", Kind::File, &dos);
    fill(files, plain, "", 300, &[0..300], false);
    fill(files, plain, "second", 9000, &[0..9000], false);
    for number in 0..20 {
        files
            .link(inner, format!("one of its many long names, number {number}").as_bytes(), plain)
            .expect("a link");
    }
    let sparse = make(
        files,
        outer,
        "sparse",
        Kind::File,
        &[("system.ntfs_ea", &[16, 0, 0, 0, 0, 4, 3, 0, b'N', b'A', b'M', b'E', 0, 1, 2, 3])],
    );
    fill(files, sparse, "", 400_000, &[0..4096, 131_072..135_168, 262_144..266_240], false);
    let compressed = make(files, outer, "compressed", Kind::File, &[]);
    fill(files, compressed, "", 200_000, &[0..200_000], true);
    let target = [wide("\\??\\C:\\outer"), wide("C:\\outer")].concat();
    let lengths = [0, 24, 24, 16, 0].map(u16::to_le_bytes);
    let lengths = [lengths[0], lengths[1], lengths[2], lengths[3]].concat();
    let data = [
        &0xa000_0003u32.to_le_bytes()[..],
        &((8 + target.len()) as u16).to_le_bytes(),
        &[0; 2],
        &lengths,
        &target,
    ]
    .concat();
    make(files, outer, "junction", Kind::Folder, &[("system.ntfs_reparse_data", &data)]);
}
