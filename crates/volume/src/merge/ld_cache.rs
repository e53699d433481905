//! `/etc/ld.so.cache`: where libraries lie, for the programs that need them.
//!
//! ```text
//!   48 bytes   glibc-ld.so.cache1.1 · u32 count · u32 bytes of strings · u8 flags · zeros
//!   24 each    i32 flags · u32 name · u32 file (offsets from the first byte) · u32 version · u64 hwcap
//!   …          strings, each with a zero behind
//! ```
//!
//! Rule: a library of one name for one kind of processor is a record. A cache that lacks what a layer brought would hide the
//! libraries of folders that only `/etc/ld.so.conf.d` names until `ldconfig` runs; one whose file is gone is passed over by
//! the loader. The names are in the order the loader searches by, highest first.
//!
//! Only the new form (alone, as glibc writes it since 2.32) of little-endian machines is understood. Its extensions, which
//! name folders for newer processors, are not kept: entries that need them are left out, and the loader then finds
//! the plain library. (glibc: `sysdeps/generic/dl-cache.h`.)

use std::cmp::Ordering;
use std::collections::HashMap;

use shale_disk::{Error, ErrorKind, Result};

use super::records::{Form, Records};

/// The cache.
pub struct LdCache;

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;
/// Says that the numbers are little-endian.
const LITTLE: u8 = 2;
/// Of `hwcap`: its low half names an extension.
const EXTENSION: u64 = 1 << 62;

impl Form for LdCache {
    const NAME: &'static str = "ld-cache";
    const MAY_STAY: bool = true;

    /// Key: name, zero, flags, version and hwcap; record: the file.
    fn parse(&self, file: &[u8]) -> Result<Records> {
        if file.is_empty() {
            return Ok(Records::new());
        }
        let count = file.get(20..24).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        let flags = file.get(28).copied().unwrap_or_default();
        let count =
            count.filter(|_| file.starts_with(MAGIC) && matches!(flags, 0 | LITTLE)).ok_or_else(unknown)?;
        let end = (count as usize).checked_mul(ENTRY).and_then(|length| length.checked_add(HEADER));
        let entries = end.and_then(|end| file.get(HEADER..end)).ok_or_else(unknown)?;
        let mut records = Records::new();
        for entry in entries.as_chunks::<ENTRY>().0 {
            let number =
                |at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]);
            let hwcap = u64::from(number(20)) << 32 | u64::from(number(16));
            if hwcap & EXTENSION == 0 {
                let name = string(file, number(4))?;
                let key = [name, b"\0", &entry[..4], &entry[12..]].concat();
                records.push((key, string(file, number(8))?.to_vec()));
            }
        }
        Ok(records)
    }

    fn print(&self, records: &Records) -> Vec<u8> {
        let mut entries: Vec<(&[u8], &[u8], &[u8])> =
            records.iter().filter_map(|(key, file)| split(key, file)).collect();
        if entries.is_empty() {
            return Vec::new();
        }
        // Highest first; of one name the entry for more special machines first.
        entries.sort_by(|a, b| compare(b.0, a.0).then_with(|| special(b.1).cmp(&special(a.1))));
        let base = HEADER + entries.len() * ENTRY;
        let (mut strings, mut places) = (Vec::new(), HashMap::new());
        for text in entries.iter().flat_map(|(name, _, file)| [*name, *file]) {
            places.entry(text).or_insert_with(|| {
                let at = (base + strings.len()) as u32;
                strings.extend([text, &b"\0"[..]].concat());
                at.to_le_bytes()
            });
        }
        let bytes: Vec<u8> = entries
            .iter()
            .flat_map(|(name, fixed, file)| [&fixed[..4], &places[name], &places[file], &fixed[4..]].concat())
            .collect();
        let count = (entries.len() as u32).to_le_bytes();
        let length = (strings.len() as u32).to_le_bytes();
        [MAGIC, &count, &length, &[LITTLE], &[0; 19], &bytes, &strings].concat()
    }
}

/// Name, the sixteen bytes of flags, version and hwcap, and file.
fn split<'a>(key: &'a [u8], file: &'a [u8]) -> Option<(&'a [u8], &'a [u8], &'a [u8])> {
    let (name, fixed) = key.split_at_checked(key.len().checked_sub(16)?)?;
    Some((name.strip_suffix(b"\0")?, fixed, file))
}

/// Hwcap, version and flags, by which entries of one name are ordered.
fn special(fixed: &[u8]) -> Vec<u8> {
    fixed.iter().rev().copied().collect()
}

fn string(file: &[u8], at: u32) -> Result<&[u8]> {
    let rest = file.get(at as usize..).ok_or_else(unknown)?;
    let end = rest.iter().position(|byte| *byte == 0).ok_or_else(unknown)?;
    Ok(&rest[..end])
}

/// As glibc orders names: digits as numbers, and behind all else.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match (a.first(), b.first()) {
            (None, _) | (_, None) => return a.len().cmp(&b.len()),
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (first, second) = (&a[..digits(a)], &b[..digits(b)]);
                let value =
                    |text: &[u8]| text.iter().skip_while(|byte| **byte == b'0').copied().collect::<Vec<_>>();
                let (x, y) = (value(first), value(second));
                match x.len().cmp(&y.len()).then_with(|| x.cmp(&y)) {
                    Ordering::Equal => (a, b) = (&a[first.len()..], &b[second.len()..]),
                    other => return other,
                }
            }
            (Some(x), Some(y)) if x.is_ascii_digit() != y.is_ascii_digit() => {
                return x.is_ascii_digit().cmp(&y.is_ascii_digit());
            }
            (Some(x), Some(y)) if x != y => return (*x as i8).cmp(&(*y as i8)),
            _ => (a, b) = (&a[1..], &b[1..]),
        }
    }
}

fn unknown() -> Error {
    Error::new(ErrorKind::Unsupported, "the cache of libraries has a form that is not known")
}

#[cfg(test)]
mod tests {
    use super::super::{Rule, Terms};
    use super::*;
    use std::collections::BTreeSet;
    use std::process::Command;

    /// What glibc's own program finds in a cache.
    fn listed(cache: &[u8]) -> BTreeSet<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        std::fs::write(&path, cache).unwrap();
        let output = Command::new("ldconfig")
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .args(["-p", "-C", path.to_str().unwrap()])
            .output()
            .expect("ldconfig is of libc-bin");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter(|line| line.contains("=>")).map(|line| line.trim().to_owned()).collect()
    }

    fn record(name: &str, file: &str) -> (Vec<u8>, Vec<u8>) {
        let fixed = [3u8, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        ([name.as_bytes(), b"\0", &fixed].concat(), file.as_bytes().to_vec())
    }

    #[test]
    fn what_is_written_is_what_glibc_reads() {
        let cache = std::fs::read("/etc/ld.so.cache").unwrap();
        let records = LdCache.parse(&cache).unwrap();
        let printed = LdCache.print(&records);
        let plain = |line: &String| !line.contains("hwcap:");
        let expected: BTreeSet<String> = listed(&cache).into_iter().filter(plain).collect();
        assert!(expected.len() > 50);
        assert_eq!(listed(&printed), expected);
        assert!(LdCache.parse(&cache[..3000]).is_err() && LdCache.parse(b"ld.so-1.7.0").is_err());
    }

    #[test]
    fn libraries_of_two_layers_are_both_found() {
        let of = |records: &[(Vec<u8>, Vec<u8>)]| LdCache.print(&records.to_vec());
        let (c, a, b) = (
            record("libc.so.6", "/lib/libc.so.6"),
            record("liba.so.10", "/opt/a/liba.so.10"),
            record("liba.so.9", "/opt/b/liba.so.9"),
        );
        let origin = of(std::slice::from_ref(&c));
        let difference = LdCache.difference(&origin, &of(&[c.clone(), b.clone()]), None).unwrap();
        let merged =
            LdCache.merge(of(&[a.clone(), c.clone()]).into(), &difference, &mut Terms::default()).unwrap();
        assert_eq!(LdCache.parse(&merged.bytes).unwrap(), [c, a, b], "in the order the loader searches by");
        assert!(merged.both.is_empty());
        assert_eq!(listed(&merged.bytes).len(), 3);
    }

    #[test]
    fn names_are_ordered_as_glibc_does() {
        let sorted = ["liba.so", "liba.so.2", "liba.so.10", "liba-x.so", "libb.so", "lib9"];
        assert_eq!(compare(b"liba.so.2", b"liba.so.10"), Ordering::Less);
        assert_eq!(compare(b"lib9", b"liba"), Ordering::Greater);
        assert_eq!(compare(b"liba.so", b"liba.so"), Ordering::Equal);
        assert_eq!(compare(sorted[0].as_bytes(), sorted[1].as_bytes()), Ordering::Less);
    }
}
