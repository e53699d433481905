//! Hives of the registry: an empty one by hand, filled by `hivexregedit`.

use std::fs;
use std::process::Command;

/// A cell of this content.
fn cell(content: &[u8]) -> Vec<u8> {
    let size = (content.len() + 4).next_multiple_of(8);
    let mut cell = (-(size as i32)).to_le_bytes().to_vec();
    cell.extend(content);
    cell.resize(size, 0);
    cell
}

/// A hive with nothing but its root and one security descriptor.
fn empty() -> Vec<u8> {
    let number = |bytes: &mut Vec<u8>, at: usize, value: u32| {
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    };
    let (none, security_at) = (u32::MAX, 0x20 + 88);
    let mut root = vec![0; 76];
    root[..4].copy_from_slice(b"nk\x2c\0");
    for at in [16, 28, 32, 40, 48] {
        number(&mut root, at, none);
    }
    number(&mut root, 44, security_at);
    root[72] = 4;
    root.extend(b"ROOT");
    let mut security = vec![0; 40];
    security[..2].copy_from_slice(b"sk");
    for (at, value) in [(4, security_at), (8, security_at), (12, 1), (16, 20), (20, 0x8000_0001)] {
        number(&mut security, at, value);
    }
    let mut bin = vec![0; 32];
    bin[..4].copy_from_slice(b"hbin");
    number(&mut bin, 8, 0x1000);
    bin.extend(cell(&root));
    bin.extend(cell(&security));
    let free = 0x1000 - bin.len();
    bin.extend((free as u32).to_le_bytes());
    bin.resize(0x1000, 0);
    let mut base = vec![0; 0x1000];
    base[..4].copy_from_slice(b"regf");
    for (at, value) in [(4, 1), (8, 1), (20, 1), (24, 3), (32, 1), (36, 0x20), (40, 0x1000), (44, 1)] {
        number(&mut base, at, value);
    }
    let words = base[..508].chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
    let checksum = words.fold(0, |sum, word| sum ^ word);
    number(&mut base, 508, checksum);
    [base, bin].concat()
}

/// The keys that a key lies in, which the tool wants to be there before.
fn parents(key: &str) -> String {
    key.match_indices('\\').map(|(at, _)| format!("[\\{}]\n\n", &key[..at])).collect()
}

/// A hive with these keys and values, in the words of a `.reg` file below the root.
pub fn hive(registry: &str) -> Vec<u8> {
    merged(&empty(), registry)
}

/// A hive with these keys and values besides its own.
pub fn merged(bytes: &[u8], registry: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (hive, words) = (folder.path().join("hive"), folder.path().join("words.reg"));
    fs::write(&hive, bytes).unwrap();
    let with_parents = registry.lines().fold(String::new(), |text, line| match line.strip_prefix("[\\") {
        Some(key) => text + &parents(key) + line + "\n",
        None => text + line + "\n",
    });
    fs::write(&words, format!("Windows Registry Editor Version 5.00\n\n{with_parents}\n")).unwrap();
    let out = Command::new("hivexregedit").arg("--merge").arg(&hive).arg(&words).output();
    let out = out.expect("hivexregedit is installed");
    assert!(out.status.success(), "hivexregedit: {}", String::from_utf8_lossy(&out.stderr));
    fs::read(hive).unwrap()
}
