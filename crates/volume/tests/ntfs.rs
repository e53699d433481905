//! What only NTFS has: it is read, becomes part of a delta, and is put back, as ntfsinfo, sleuthkit and ntfscat see it.

mod made;

use made::{Image, MIB, Made, info, output, record, run, see, there_and_back};
use shale_volume::files::{Attributes, Facts, Files, Filling, Kind, Making, Moment};

fn image() -> Image {
    Image::new(Made::Ntfs, 16 * MIB, None)
}

fn copy(image: &Image) -> Image {
    let copy = self::image();
    std::fs::copy(image.path(), copy.path()).unwrap();
    copy
}

fn attributes(pairs: &[(&str, &[u8])]) -> Attributes {
    pairs.iter().map(|(name, value)| (format!("system.ntfs_{name}").into_bytes(), value.to_vec())).collect()
}

fn facts(seconds: i64) -> Facts {
    let at = Moment { seconds, nanoseconds: 0 };
    Facts { modified: at, accessed: at, changed: at, born: at, ..Facts::default() }
}

/// Makes an entry of the root with these attributes.
fn make(files: &mut Files, name: &str, kind: &Kind, kept: &Attributes) -> u64 {
    let root = files.root();
    let node = files.make(Making { parent: root, name: name.as_bytes(), kind }).unwrap();
    files.describe(node, root, &facts(1_600_000_000), kept).unwrap();
    node
}

fn fill(files: &mut Files, node: u64, stream: &str, bytes: &[u8], compressed: bool) {
    let give = &mut |at: u64, buffer: &mut [u8]| {
        buffer.copy_from_slice(&bytes[at as usize..at as usize + buffer.len()]);
        Ok(())
    };
    let whole = 0..bytes.len() as u64;
    let filling =
        Filling { size: whole.end, ranges: std::slice::from_ref(&whole), compressed, content: give };
    files.fill(node, stream.as_bytes(), filling).unwrap();
}

#[track_caller]
fn says(text: &str, expected: &[&str]) {
    for expected in expected {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
}

/// A reparse point that leads to `target`: tag, and eight bytes of lengths (twelve for a symbolic link).
fn leads(tag: u32, target: &str) -> Vec<u8> {
    let text: Vec<u8> = target.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let length = (text.len() as u16).to_le_bytes();
    let mut data = [&[0, 0][..], &length, &(length_plus(&text)).to_le_bytes(), &[0, 0]].concat();
    if tag == SYMLINK {
        data.extend([0; 4]);
    }
    data.extend([&text[..], &[0; 4]].concat());
    [&tag.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), &[0, 0], &data].concat()
}

fn length_plus(text: &[u8]) -> u16 {
    text.len() as u16 + 2
}

const JUNCTION: u32 = 0xa000_0003;
const SYMLINK: u32 = 0xa000_000c;
const WOF: u32 = 0x8000_0017;

#[test]
fn junctions_links_and_compressed_system_files_are_kept_as_they_are() {
    let a = image();
    a.change(|files| {
        make(files, "target", &Kind::Folder, &Attributes::new());
    });
    let b = copy(&a);
    // A file of Windows' own compression: its content is in a stream, the reparse point says so.
    let packed: Vec<u8> = (0..20_000u32).map(|i| (i * 7) as u8).collect();
    let wof = [
        &WOF.to_le_bytes()[..],
        &[16, 0, 0, 0],
        &1u32.to_le_bytes(),
        &2u32.to_le_bytes(),
        &1u32.to_le_bytes(),
        &0u32.to_le_bytes(),
    ]
    .concat();
    b.change(|files| {
        // A junction that leads to the folder it is in: nobody follows it here.
        make(
            files,
            "junction",
            &Kind::Folder,
            &attributes(&[("reparse_data", &leads(JUNCTION, r"\??\C:\"))]),
        );
        make(files, "link", &Kind::File, &attributes(&[("reparse_data", &leads(SYMLINK, r"target\file"))]));
        make(
            files,
            "folder link",
            &Kind::Folder,
            &attributes(&[("reparse_data", &leads(SYMLINK, "folder link"))]),
        );
        let node = make(files, "notepad.exe", &Kind::File, &Attributes::new());
        let nothing = &mut |_: u64, _: &mut [u8]| Ok(());
        files
            .fill(node, b"", Filling { size: 200_000, ranges: &[], compressed: false, content: nothing })
            .unwrap();
        fill(files, node, "WofCompressedData", &packed, false);
        let root = files.root();
        files.describe(node, root, &facts(1_600_000_000), &attributes(&[("reparse_data", &wof)])).unwrap();
        let folder = make(files, "with a stream", &Kind::Folder, &Attributes::new());
        fill(files, folder, "notes", b"on a folder", false);
        files.describe(folder, root, &facts(1_600_000_000), &Attributes::new()).unwrap();
    });
    b.judge();
    there_and_back(&a, &b);
    for (name, tag) in [
        ("junction", "0xa0000003"),
        ("link", "0xa000000c"),
        ("folder link", "0xa000000c"),
        ("notepad.exe", "0x80000017"),
    ] {
        says(&info(&a, name).to_lowercase(), &["$reparse_point", tag]);
    }
    let path = a.path();
    let stream = output("ntfscat", &["-f", "-n", "WofCompressedData", path.to_str().unwrap(), "notepad.exe"]);
    assert!(stream.stdout == packed);
    says(
        &run("fls", &["-f", "ntfs", "-r", path.to_str().unwrap()]),
        &["with a stream:notes", "notepad.exe:WofCompressedData"],
    );
    let seen = see(&mut a.open());
    assert_eq!(seen[&b"notepad.exe"[..]].streams[0].1, vec![0; 200_000], "its own content is a hole");
}

/// A self-relative security descriptor of this user: only the owner may do everything.
fn descriptor(user: u32) -> Vec<u8> {
    let id = [&[1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0][..], &user.to_le_bytes()].concat();
    let mut bytes = vec![1, 0, 4, 0x80, 48, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0];
    bytes
        .extend([2, 0, 28, 0, 1, 0, 0, 0, 0, 3, 20, 0, 0xff, 1, 0x1f, 0, 1, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0]);
    [bytes, id.clone(), id].concat()
}

/// The number under which a descriptor is in `$Secure`, where it must be once (and in the copy of each quarter MiB).
fn stored(image: &Image, descriptor: &[u8]) -> u32 {
    let told = output("ntfscat", &["-f", "-n", "$SDS", image.path().to_str().unwrap(), "$Secure"]).stdout;
    let places =
        told[..256 << 10].windows(descriptor.len()).enumerate().filter(|(_, part)| *part == descriptor);
    let places: Vec<usize> = places.map(|(at, _)| at).collect();
    assert_eq!(places.len(), 1, "{places:?}");
    u32::from_le_bytes(told[places[0] - 16..places[0] - 12].try_into().unwrap())
}

#[test]
fn security_descriptors_and_attributes_are_kept_and_equal_ones_are_stored_once() {
    let a = image();
    let acl = |user, bits: u32| attributes(&[("acl", &descriptor(user)), ("attrib", &bits.to_le_bytes())]);
    a.change(|files| {
        make(files, "changed", &Kind::File, &acl(1001, 0x20));
        make(files, "kept", &Kind::File, &acl(1001, 0x20));
    });
    let b = copy(&a);
    b.change(|files| {
        let root = files.root();
        let node =
            files.folder(root).unwrap().into_iter().find(|(name, _)| name == b"changed").unwrap().1.node;
        files.describe(node, root, &facts(1_600_000_000), &acl(1002, 0x27)).unwrap();
        make(files, "one", &Kind::File, &acl(1003, 0x2000));
        make(files, "two", &Kind::Folder, &acl(1003, 0x2));
    });
    b.judge();
    there_and_back(&a, &b);
    for (name, user) in [("changed", 1002), ("kept", 1001), ("one", 1003), ("two", 1003)] {
        let expected = format!("Security ID:\t\t {} (", stored(&a, &descriptor(user)));
        says(&info(&a, name), &[&expected]);
    }
    says(&info(&a, "changed"), &["READONLY HIDDEN SYSTEM ARCHIVE"]);
    says(&info(&a, "one"), &["NOT_CONTENT_INDEXED"]);
}

#[test]
fn names_for_dos_and_further_names_are_kept() {
    let a = image();
    a.change(|files| {
        make(files, "A long name.txt", &Kind::File, &attributes(&[("dos_name", b"ALONGN~1.TXT")]));
        make(files, "folder", &Kind::Folder, &Attributes::new());
    });
    let b = copy(&a);
    b.change(|files| {
        let root = files.root();
        let all = files.folder(root).unwrap();
        let node = |name: &[u8]| all.iter().find(|(found, _)| found == name).unwrap().1.node;
        let (file, folder) = (node(b"A long name.txt"), node(b"folder"));
        files
            .describe(file, root, &facts(1_600_000_000), &attributes(&[("dos_name", b"OTHER.TXT")]))
            .unwrap();
        files.link(folder, b"Another name of it.txt", file).unwrap();
        files
            .describe(file, root, &facts(1_600_000_000), &attributes(&[("dos_name", b"OTHER.TXT")]))
            .unwrap();
        make(files, "Program Files", &Kind::Folder, &attributes(&[("dos_name", b"PROGRA~1")]));
    });
    b.judge();
    there_and_back(&a, &b);
    let file = info(&a, "A long name.txt");
    says(
        &file,
        &["'OTHER.TXT'", "'A long name.txt'", "'Another name of it.txt'", "Number of Hard Links:\t 3"],
    );
    assert_eq!(record(&a, "A long name.txt"), record(&a, "folder/Another name of it.txt"));
    says(&info(&a, "Program Files"), &["'PROGRA~1'"]);
}

/// The numbers in which Windows tells that names in a folder differ by the size of letters.
const CASE_SENSITIVE: [u8; 12] = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn names_that_differ_by_letters_sizes_and_renames_of_only_that_are_kept() {
    let a = image();
    a.change(|files| {
        let node = make(files, "readme.TXT", &Kind::File, &Attributes::new());
        fill(files, node, "", b"the same words", false);
        let root = files.root();
        files.describe(node, root, &facts(1_600_000_000), &Attributes::new()).unwrap();
    });
    let b = copy(&a);
    b.change(|files| {
        let root = files.root();
        files.remove(root, b"readme.TXT").unwrap();
        let node = make(files, "ReadMe.txt", &Kind::File, &Attributes::new());
        fill(files, node, "", b"the same words", false);
        files.describe(node, root, &facts(1_600_000_000), &Attributes::new()).unwrap();
        let folder = make(files, "src", &Kind::Folder, &attributes(&[("versions", &CASE_SENSITIVE)]));
        for (name, content) in [("Makefile", b"one"), ("makefile", b"two")] {
            let node =
                files.make(Making { parent: folder, name: name.as_bytes(), kind: &Kind::File }).unwrap();
            fill(files, node, "", content, false);
            files.describe(node, folder, &facts(1_600_000_000), &Attributes::new()).unwrap();
        }
        let kept = attributes(&[("versions", &CASE_SENSITIVE)]);
        files.describe(folder, root, &facts(1_600_000_000), &kept).unwrap();
    });
    b.judge();
    there_and_back(&a, &b);
    let path = a.path();
    let listed = run("fls", &["-f", "ntfs", "-r", "-p", path.to_str().unwrap()]);
    says(&listed, &["\tReadMe.txt", "src/Makefile", "src/makefile"]);
    assert!(!listed.contains("readme.TXT"), "{listed}");
    for (name, content) in [("src/Makefile", "one"), ("src/makefile", "two")] {
        assert_eq!(run("icat", &["-f", "ntfs", path.to_str().unwrap(), &record(&a, name)]), content);
    }
    says(&info(&a, "src"), &["Version number:\t\t 1"]);
    let seen = see(&mut a.open());
    assert_eq!(seen[&b"src"[..]].attributes.get(b"system.ntfs_versions").unwrap(), CASE_SENSITIVE);
    assert!(seen[&b"ReadMe.txt"[..]].attributes.get(b"system.ntfs_versions").is_none());
}

#[test]
fn compressed_files_are_read_and_written_as_such() {
    let a = image();
    let words = |seed: u32| -> Vec<u8> {
        (0..300_000u32).map(|i| if i % 5000 < 4000 { b'x' } else { ((i * seed) >> 3) as u8 }).collect()
    };
    let (first, second) = (words(7), words(11));
    let put = |files: &mut Files, name: &str, bytes: &[u8]| {
        let node = make(files, name, &Kind::File, &Attributes::new());
        fill(files, node, "", bytes, true);
        let root = files.root();
        files
            .describe(node, root, &facts(1_600_000_000), &attributes(&[("attrib", &0x800u32.to_le_bytes())]))
            .unwrap();
    };
    a.change(|files| put(files, "packed", &first));
    let b = copy(&a);
    b.change(|files| {
        let root = files.root();
        files.remove(root, b"packed").unwrap();
        put(files, "packed", &second);
        put(files, "more", &first);
    });
    b.judge();
    there_and_back(&a, &b);
    let path = a.path();
    for (name, expected) in [("packed", &second), ("more", &first)] {
        let told = output("icat", &["-f", "ntfs", path.to_str().unwrap(), &record(&a, name)]);
        assert!(&told.stdout == expected, "{name} as sleuthkit unpacks it");
        let told = output("ntfscat", &["-f", path.to_str().unwrap(), name]);
        assert!(&told.stdout == expected, "{name} as ntfs-3g unpacks it");
        says(&info(&a, name), &["COMPRESSED"]);
    }
}
