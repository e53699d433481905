//! Hives for tests: real ones, made ones, and what other programs read in them.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use shale_volume::hive::{Hive, Key, Name};

/// A hive that Windows wrote, by its name in tests/hives.
pub fn real(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hives").join(format!("{name}.xz"));
    let out = Command::new("xz").arg("-dc").arg(path).output().expect("xz is installed");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

/// A security descriptor: its owner is Administrators, its group has this number below BUILTIN, anybody may do anything.
pub fn descriptor(group: u32) -> Vec<u8> {
    let mut bytes = vec![1, 0, 0, 0x80, 20, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for part in [544, group] {
        bytes.extend([1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0]);
        bytes.extend(part.to_le_bytes());
    }
    bytes
}

/// A hive with nothing but a root, of version 1.`minor`.
pub fn empty(minor: u32) -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    let put = |bytes: &mut Vec<u8>, at: usize, new: &[u8]| bytes[at..at + new.len()].copy_from_slice(new);
    put(&mut bytes, 0, b"regf");
    for (at, number) in [(4, 1), (8, 1), (20, 1), (24, minor), (32, 1), (36, 32), (40, 4096), (44, 1)] {
        put(&mut bytes, at, &u32::to_le_bytes(number));
    }
    put(&mut bytes, 4096, b"hbin");
    put(&mut bytes, 4096 + 8, &4096u32.to_le_bytes());
    // The root: a key named ROOT with the security cell behind it.
    let (root, security) = (4096 + 32, 4096 + 32 + 88);
    put(&mut bytes, root, &(-88i32).to_le_bytes());
    put(&mut bytes, root + 4, b"nk\x2c\0");
    for at in [28, 32, 40, 48] {
        put(&mut bytes, root + 4 + at, &[0xff; 4]);
    }
    put(&mut bytes, root + 4 + 44, &120u32.to_le_bytes());
    put(&mut bytes, root + 4 + 72, &4u16.to_le_bytes());
    put(&mut bytes, root + 4 + 76, b"ROOT");
    let descriptor = descriptor(544);
    let length = (24 + descriptor.len()).next_multiple_of(8) as i32;
    put(&mut bytes, security, &(-length).to_le_bytes());
    put(&mut bytes, security + 4, b"sk\0\0");
    for (at, number) in [(4, 120), (8, 120), (12, 1), (16, descriptor.len() as u32)] {
        put(&mut bytes, security + 4 + at, &u32::to_le_bytes(number));
    }
    put(&mut bytes, security + 24, &descriptor);
    put(&mut bytes, security + length as usize, &(4096 - 120 - length as u32).to_le_bytes());
    seal(&mut bytes);
    bytes
}

/// Makes the checksum of a base block right.
pub fn seal(bytes: &mut [u8]) {
    let sum = bytes[..508].chunks(4).fold(0, |sum, four| sum ^ u32::from_le_bytes(four.try_into().unwrap()));
    bytes[508..512].copy_from_slice(&sum.to_le_bytes());
}

/// A key as we read it: class, security, whether it is a link, and values (type and data) by their folded names.
pub type Content = (Vec<u8>, Vec<u8>, bool, BTreeMap<Name, (u32, Vec<u8>)>);

/// All of a hive that counts, by path.
pub fn content(bytes: &[u8]) -> BTreeMap<String, Content> {
    fn walk(hive: &Hive, key: Key, path: &str, all: &mut BTreeMap<String, Content>) {
        let values = hive.values(key).unwrap().into_iter();
        let values = values.map(|value| (value.name.folded(), (value.kind, value.data))).collect();
        let facts =
            (hive.class(key).unwrap(), hive.security(key).unwrap().to_vec(), hive.is_link(key).unwrap());
        all.insert(path.to_owned(), (facts.0, facts.1, facts.2, values));
        for subkey in hive.subkeys(key).unwrap() {
            let name = hive.name(subkey).unwrap();
            assert_eq!(hive.subkey(key, &name).unwrap(), Some(subkey), "{path}\\{name} is found");
            walk(hive, subkey, &format!("{path}\\{}", name.folded()), all);
        }
    }
    let hive = Hive::open(bytes.to_vec()).unwrap();
    let mut all = BTreeMap::new();
    walk(&hive, hive.root().unwrap(), "", &mut all);
    all
}

/// What `hivexregedit` reads: every key and value, in order, as text.
pub fn exported(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let out = Command::new("hivexregedit").arg("--export").arg(file.path()).arg("\\").output();
    let out = out.expect("hivexregedit is installed");
    assert!(out.status.success(), "hivexregedit: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// What `hivexregedit` makes of a hive with a registration file, without the head.
pub fn imported(bytes: &[u8], text: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (hive, reg) = (folder.path().join("hive"), folder.path().join("changes.reg"));
    std::fs::write(&hive, bytes).unwrap();
    std::fs::write(&reg, format!("Windows Registry Editor Version 5.00\n\n{text}")).unwrap();
    let out = Command::new("hivexregedit").arg("--merge").arg(&hive).arg(&reg).output();
    let out = out.expect("hivexregedit is installed");
    assert!(out.status.success(), "hivexregedit: {}", String::from_utf8_lossy(&out.stderr));
    std::fs::read(&hive).unwrap()
}

/// What `reglookup` reads of each key, in order: path, owner, group, who may do what, class.
pub fn described(bytes: &[u8]) -> Vec<[String; 5]> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let out = Command::new("reglookup").args(["-H", "-s", "-t", "KEY"]).arg(file.path()).output();
    let out = out.expect("reglookup is installed");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && errors.is_empty(), "reglookup: {errors}");
    let mut keys: Vec<_> = String::from_utf8_lossy(&out.stdout)
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            [0, 4, 5, 7, 8].map(|field| fields[field].to_owned())
        })
        .collect();
    keys.sort();
    keys
}

/// What `hivexml` reads, with times, which are in no export; the whole tree must be readable for it.
pub fn xml(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let out = Command::new("hivexml").arg(file.path()).output().expect("hivexml is installed");
    assert!(out.status.success(), "hivexml: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Keys and values that the crate nt-hive reads; its walk checks every list, name and data.
pub fn counted(bytes: &[u8]) -> (usize, usize) {
    fn walk<B: zerocopy::SplitByteSlice>(key: &nt_hive::KeyNode<B>, counts: &mut (usize, usize)) {
        counts.0 += 1;
        for value in key.values().into_iter().flat_map(|values| values.unwrap()) {
            counts.1 += 1;
            let value = value.unwrap();
            value.name().unwrap();
            match value.data().unwrap() {
                nt_hive::KeyValueData::Small(_) => {}
                nt_hive::KeyValueData::Big(segments) => assert!(segments.map(Result::unwrap).count() > 0),
            }
        }
        for subkey in key.subkeys().into_iter().flat_map(|keys| keys.unwrap()) {
            let subkey = subkey.unwrap();
            let name = subkey.name().unwrap().to_string_lossy();
            assert!(key.subkey(&name).unwrap().is_ok(), "{name} is found");
            walk(&subkey, counts);
        }
    }
    let hive = nt_hive::Hive::new(bytes).unwrap();
    let mut counts = (0, 0);
    walk(&hive.root_key_node().unwrap(), &mut counts);
    counts
}
