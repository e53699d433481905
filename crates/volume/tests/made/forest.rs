//! Generated trees, and how they come into an image.

use std::collections::BTreeMap;

use proptest::prelude::*;
use shale_volume::files::{Attributes, Facts, Files, Filling, Kind, Making, Moment};
use shale_volume::tree::Tree;

use super::{Image, Made, go_on};

/// What a generated entry is.
#[derive(Clone, Debug, PartialEq)]
pub struct Grown {
    pub what: What,
    pub mode: u16,
    pub owner: u32,
    pub time: i64,
    pub attributes: u8,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Folder,
    /// Seed of the content, bytes, and whether there is a hole in it.
    File(u8, usize, bool),
    Link(usize),
    Device(bool, u32, u32),
    Pipe,
    Socket,
    /// One more name of the file that comes as many files earlier.
    Name(usize),
}

/// A tree: paths from a few names, three folders deep.
pub type Forest = BTreeMap<String, Grown>;

fn grown(kind: Made) -> impl Strategy<Value = Grown> {
    let file = || {
        let size = prop_oneof![0usize..100, 600usize..9000, Just(4096), Just(300_000)];
        (any::<u8>(), size, any::<bool>()).prop_map(|(seed, size, hole)| What::File(seed, size, hole))
    };
    let what = if kind.is_fat() {
        prop_oneof![3 => Just(What::Folder), 5 => file()].boxed()
    } else if kind == Made::Ntfs {
        prop_oneof![3 => Just(What::Folder), 5 => file(), 1 => (0usize..3).prop_map(What::Name)].boxed()
    } else {
        prop_oneof![
            3 => Just(What::Folder),
            5 => file(),
            1 => prop_oneof![1usize..59, 60usize..400].prop_map(What::Link),
            1 => (any::<bool>(), 0u32..4096, 0u32..1 << 20).prop_map(|(b, major, minor)| What::Device(b, major, minor)),
            1 => Just(What::Pipe),
            1 => Just(What::Socket),
            2 => (0usize..3).prop_map(What::Name),
        ]
        .boxed()
    };
    (what, 0u16..0o10000, prop_oneof![0u32..3, any::<u32>()], -1_000_000_000i64..10_000_000_000, any::<u8>())
        .prop_map(|(what, mode, owner, time, attributes)| Grown { what, mode, owner, time, attributes })
}

pub fn forest(kind: Made) -> impl Strategy<Value = Forest> {
    let names = prop::sample::select(vec!["a", "b.x", "b", "Gruß", "with a rather long name.and ending"]);
    let path = prop::collection::vec(names, 1..4).prop_map(|names| names.join("/"));
    prop::collection::btree_map(path, grown(kind), 0..14).prop_map(move |mut forest| {
        // What is above an entry is a folder, and is there.
        for path in forest.keys().cloned().collect::<Vec<_>>() {
            for (at, _) in path.match_indices('/') {
                let folder =
                    Grown { what: What::Folder, mode: 0o755, owner: 0, time: 1_500_000_000, attributes: 0 };
                forest.entry(path[..at].to_owned()).or_insert_with(|| folder.clone()).what = What::Folder;
            }
        }
        if kind == Made::Ntfs { with_case(forest) } else { forest }
    })
}

/// Bits of [`Grown::attributes`] on NTFS: a security descriptor of its own, and a folder with case.
const DESCRIPTOR: u8 = 32;
const CASE: u8 = 64;

fn has_case(forest: &Forest, folder: &str) -> bool {
    forest.get(folder).is_some_and(|grown| grown.what == What::Folder && grown.attributes & CASE != 0)
}

/// Beside a file `a` there is another one, `A`, in folders with case.
fn with_case(mut forest: Forest) -> Forest {
    for (path, grown) in forest.clone() {
        if let (Some((folder, "a")), What::File(seed, size, hole)) = (path.rsplit_once('/'), &grown.what)
            && has_case(&forest, folder)
        {
            let what = What::File(!seed, *size, *hole);
            forest.insert(format!("{folder}/A"), Grown { what, ..grown });
        }
    }
    forest
}

/// Two states: the second is the first with some entries changed, taken away or added.
pub fn states(kind: Made) -> impl Strategy<Value = (Forest, Forest)> {
    (forest(kind), forest(kind), any::<u64>()).prop_map(|(first, other, choice)| {
        let mut second = other.clone();
        for (number, (path, grown)) in first.iter().enumerate() {
            let is_free = !other.contains_key(path)
                && !path
                    .match_indices('/')
                    .any(|(at, _)| other.get(&path[..at]).is_some_and(|g| g.what != What::Folder));
            if is_free && choice >> (number % 60) & 3 != 0 {
                second.insert(path.clone(), changed(grown, choice >> (number % 50)));
                for (at, _) in path.match_indices('/') {
                    second.entry(path[..at].to_owned()).or_insert_with(|| first[&path[..at]].clone());
                }
            }
        }
        // What came from the first state may be in a folder without case now.
        let folders = second.clone();
        second.retain(|path, _| {
            path.rsplit_once('/').is_none_or(|(folder, name)| name != "A" || has_case(&folders, folder))
        });
        (first, second)
    })
}

/// The same entry, or with other metadata, or other content, as the choice says.
fn changed(grown: &Grown, choice: u64) -> Grown {
    let mut grown = grown.clone();
    if choice & 4 != 0 {
        (grown.mode, grown.attributes) = (grown.mode ^ 0o111, grown.attributes ^ 0b1011);
    }
    if let (true, What::File(seed, size, _)) = (choice & 8 != 0, &mut grown.what) {
        (*seed, *size) = (seed.wrapping_add(1), *size + (choice & 16) as usize);
    }
    grown
}

fn facts(grown: &Grown, kind: Made) -> Facts {
    let moment = |add: u32| Moment { seconds: grown.time, nanoseconds: (grown.owner % 1000 + add) * 100_000 };
    let is_unix = kind.is_unix();
    Facts {
        mode: if is_unix { grown.mode } else { 0 },
        owner: if is_unix { grown.owner } else { 0 },
        group: if is_unix { grown.owner / 2 } else { 0 },
        flags: if is_unix && grown.attributes & 64 != 0 { 0x40 } else { 0 },
        modified: moment(1),
        accessed: moment(2),
        changed: moment(3),
        born: moment(4),
    }
}

/// An access list as ext4 keeps it: a version, then kind and permissions, with an id where the kind has one.
fn access_list(user: u32, permissions: u8) -> Vec<u8> {
    let entry = |kind: u8| [kind, 0, permissions & 7, 0];
    let user = [&entry(2)[..], &user.to_le_bytes()].concat();
    [&[1, 0, 0, 0][..], &entry(1), &user, &entry(4), &entry(16), &entry(32)].concat()
}

/// A security descriptor: owner, group, and one entry that gives everybody what `rights` says.
fn descriptor(rights: u16) -> Vec<u8> {
    let sid = |last: &[u32], authority: u8| {
        let mut sid = vec![1, last.len() as u8, 0, 0, 0, 0, 0, authority];
        sid.extend(last.iter().flat_map(|number| number.to_le_bytes()));
        sid
    };
    let (owner, group, everybody) = (sid(&[32, 544], 5), sid(&[18], 5), sid(&[0], 1));
    let mask = 0x0012_0089 | u32::from(rights) & 0x1ff;
    let entry = [&[0, 0, 20, 0][..], &mask.to_le_bytes(), &everybody].concat();
    let list = [&[2, 0, 28, 0, 1, 0, 0, 0][..], &entry].concat();
    let places = [20, 36, 0, 48u32].map(u32::to_le_bytes).concat();
    [&[1, 0, 4, 0x80][..], &places, &owner, &group, &list].concat()
}

/// The name for DOS of those names that are none themselves.
fn dos_name(path: &str) -> Option<&'static [u8]> {
    match path.rsplit_once('/').map_or(path, |(_, name)| name) {
        "Gruß" => Some(b"GRUSS~1"),
        "with a rather long name.and ending" => Some(b"WITHAR~1.AND"),
        _ => None,
    }
}

fn attributes(path: &str, grown: &Grown, kind: Made) -> Attributes {
    let mut found = Attributes::new();
    let mut put = |bit: u8, name: &str, value: Vec<u8>| {
        if grown.attributes & bit != 0 {
            found.insert(name.as_bytes().to_vec(), value);
        }
    };
    if kind.is_fat() {
        put(0xff, "system.fat_attrib", vec![grown.attributes & 0x27]);
    } else if kind == Made::Ntfs {
        put(0xff, "system.ntfs_attrib", [grown.attributes & 7, 0, 0, 0].to_vec());
        put(DESCRIPTOR, "system.ntfs_acl", descriptor(grown.mode));
        if let Some(name) = dos_name(path) {
            put(4, "system.ntfs_dos_name", name.to_vec());
        }
        if grown.what == What::Folder {
            put(CASE, "system.ntfs_versions", vec![0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        }
        put(8, "system.ntfs_ea", vec![16, 0, 0, 0, 0, 1, 4, 0, b'E', 0, 1, 2, 3, 4, 0, 0]);
        if !matches!(grown.what, What::Folder) {
            put(
                16,
                "system.ntfs_reparse_data",
                vec![0x17, 0, 0, 0x80, 4, 0, 0, 0, 1, 2, 3, grown.attributes],
            );
        }
    } else if !matches!(grown.what, What::Link(_)) {
        put(1, "user.one", vec![grown.attributes; 20]);
        put(2, "user.large", vec![grown.attributes; 700]);
        put(4, "security.capability", vec![1; 20]);
        put(8, "trusted.empty", Vec::new());
        put(16, "system.posix_acl_access", access_list(grown.owner, grown.attributes));
        if grown.what == What::Folder {
            put(32, "system.posix_acl_default", access_list(grown.owner / 3, grown.attributes >> 4));
        }
    }
    found
}

/// Makes a forest in an image.
pub fn plant(image: &Image, forest: &Forest) {
    let kind = image.kind;
    image.change(|files| {
        let mut nodes = BTreeMap::from([(String::new(), files.root())]);
        let mut named: Vec<(u64, String, Grown)> = Vec::new();
        for (path, grown) in forest {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let parent = nodes[folder];
            let (what, original) = match &grown.what {
                What::Name(back) if named.is_empty() => (What::File(*back as u8, 10, false), None),
                What::Name(back) => {
                    (grown.what.clone(), Some(named[named.len() - 1 - back % named.len()].clone()))
                }
                what => (what.clone(), None),
            };
            if let Some((node, of, grown)) = original {
                files.link(parent, name.as_bytes(), node).unwrap();
                let mut attributes = attributes(&of, &grown, kind);
                // A name for DOS belongs to one of a file's folders.
                if of.rsplit_once('/').map_or("", |(folder, _)| folder) != folder {
                    attributes.remove(&b"system.ntfs_dos_name"[..]);
                }
                files.describe(node, parent, &facts(&grown, kind), &attributes).unwrap();
                continue;
            }
            let entry = match &what {
                What::Folder => Kind::Folder,
                What::File(..) | What::Name(_) => Kind::File,
                What::Link(length) => Kind::Link { target: vec![b'x'; *length] },
                What::Device(true, major, minor) => Kind::Blocks { major: *major, minor: *minor },
                What::Device(false, major, minor) => Kind::Characters { major: *major, minor: *minor },
                What::Pipe => Kind::Pipe,
                What::Socket => Kind::Socket,
            };
            let node = files.make(Making { parent, name: name.as_bytes(), kind: &entry }).unwrap();
            nodes.insert(path.clone(), node);
            if let What::File(seed, size, hole) = what {
                fill(files, node, seed, size, hole);
                let grown = Grown { what, ..grown.clone() };
                if kind == Made::Ntfs && seed % 3 == 0 {
                    stream(files, node, seed);
                }
                named.push((node, path.clone(), grown));
            }
            files.describe(node, parent, &facts(grown, kind), &attributes(path, grown, kind)).unwrap();
        }
        for (path, grown) in forest.iter().rev().filter(|(_, grown)| grown.what == What::Folder) {
            let parent = nodes[path.rsplit_once('/').map_or("", |(folder, _)| folder)];
            files.describe(nodes[path], parent, &facts(grown, kind), &attributes(path, grown, kind)).unwrap();
        }
        // The root's times are those of the last change: not what is compared.
        let root = files.entry(files.root()).unwrap();
        let moment = Moment { seconds: 1_400_000_000, nanoseconds: 0 };
        let facts = Facts { modified: moment, changed: moment, accessed: moment, ..root.facts };
        files.describe(root.node, root.node, &facts, &root.attributes).unwrap();
    });
}

fn fill(files: &mut Files, node: u64, seed: u8, size: usize, hole: bool) {
    let size = size as u64;
    let mut ranges = Vec::new();
    if hole && size > 65536 * 3 {
        ranges.extend([0..65536, 65536 * 2..size]);
    } else if size > 0 {
        ranges.push(0..size);
    }
    let content = &mut |offset: u64, buffer: &mut [u8]| {
        for (byte, at) in buffer.iter_mut().zip(offset..) {
            *byte = (at / 3) as u8 ^ seed;
        }
        Ok(())
    };
    // A file that is compressed has no holes of its own.
    let compressed = files.kind() == shale_volume::known::Known::Ntfs && seed.is_multiple_of(5) && !hole;
    files.fill(node, b"", Filling { size, ranges: &ranges, compressed, content }).unwrap();
}

fn stream(files: &mut Files, node: u64, seed: u8) {
    let content = &mut |_: u64, buffer: &mut [u8]| {
        buffer.fill(seed);
        Ok(())
    };
    let whole = 0..u64::from(seed) * 40 + 1;
    let filling =
        Filling { size: whole.end, ranges: std::slice::from_ref(&whole), compressed: false, content };
    files.fill(node, "Zone.Ident".as_bytes(), filling).unwrap();
}

/// Empties an image and plants another forest: nodes are used again for other entries, as in a system that lives.
pub fn plant_over(image: &Image, forest: &Forest) {
    image.change(|files| {
        let tree = Tree::read(files, go_on()).unwrap();
        let skip = |path: &[u8]| path.is_empty() || path == b"lost+found";
        for path in tree.0.keys().rev().filter(|path| !skip(path)) {
            let at = path.iter().rposition(|byte| *byte == b'/');
            let (folder, name) = at.map_or((&[][..], &path[..]), |at| (&path[..at], &path[at + 1..]));
            files.remove(tree.0[folder].node, name).unwrap();
        }
    });
    plant(image, forest);
}

/// A file with a time of its own, so that a changed one is seen to be.
pub fn file(seed: u8, size: usize, time: i64) -> Grown {
    Grown { what: What::File(seed, size, false), mode: 0o644, owner: 0, time, attributes: 0 }
}

pub fn folder() -> Grown {
    Grown { what: What::Folder, mode: 0o755, owner: 0, time: 1_500_000_000, attributes: 0 }
}

pub fn forest_of(entries: &[(&str, Grown)]) -> Forest {
    entries.iter().map(|(path, grown)| ((*path).to_owned(), grown.clone())).collect()
}
