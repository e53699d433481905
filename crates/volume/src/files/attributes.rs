//! What a file system knows of an entry beside numbers: extended attributes.
//!
//! Of 100,000 entries most have the same few names and values. They are kept once ([`Pool`]), and each entry has a short list.

use std::collections::HashSet;
use std::sync::Arc;

/// Shortest value that is kept once: shorter ones differ mostly (names for DOS), and take no more than their place in the pool.
const SHARED: usize = 16;

/// Extended attributes: name to value, as they lie on the disk, in the order of names. Access lists and capabilities of ext are
/// among them (`system.posix_acl_access`, `security.capability`), and all of NTFS that has no other place, by the names of
/// ntfs-3g: `system.ntfs_acl` (the security descriptor), `system.ntfs_attrib`, `system.ntfs_dos_name`, `system.ntfs_ea`,
/// `system.ntfs_object_id`, `system.ntfs_reparse_data`; and `system.ntfs_versions`, three numbers that it does not show,
/// and `system.ntfs_efs_sum`, which tells the keys of an encrypted file from others and cannot be set. FAT has
/// `system.fat_attrib`, its bits, and `system.fat_short_name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Vec<(Bytes, Bytes)>);

type Bytes = Arc<[u8]>;

impl Attributes {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    /// The value of this name.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.place(name).ok().map(|place| &self.0[place].1[..])
    }

    /// The value of this name, to be changed.
    pub fn get_mut(&mut self, name: &[u8]) -> Option<&mut [u8]> {
        let place = self.place(name).ok()?;
        Some(Arc::make_mut(&mut self.0[place].1))
    }

    /// Adds a value, or replaces the one of that name.
    pub fn insert(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) {
        let (name, value) = (name.into(), value.into());
        match self.place(&name) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => self.0.insert(place, (name, value)),
        }
    }

    /// Takes the value of this name away, if there is one.
    pub fn remove(&mut self, name: &[u8]) {
        if let Ok(place) = self.place(name) {
            self.0.remove(place);
        }
    }

    fn place(&self, name: &[u8]) -> Result<usize, usize> {
        self.0.binary_search_by(|(there, _)| there[..].cmp(name))
    }
}

impl<N: Into<Bytes>, V: Into<Bytes>> FromIterator<(N, V)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut found = Self::new();
        pairs.into_iter().for_each(|(name, value)| found.insert(name, value));
        found
    }
}

/// What many entries have in common, kept once.
#[derive(Default)]
pub(super) struct Pool(HashSet<Bytes>);

impl Pool {
    /// These bytes.
    pub fn name(&mut self, bytes: &[u8]) -> Bytes {
        if let Some(known) = self.0.get(bytes) {
            return known.clone();
        }
        let new: Bytes = bytes.into();
        self.0.insert(new.clone());
        new
    }

    /// These bytes, which others may have too.
    pub fn value(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() < SHARED { bytes.into() } else { self.name(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_names_whatever_order_they_came_in() {
        let mut kept: Attributes =
            [(&b"user.b"[..], &b"2"[..]), (b"user.a", b"1"), (b"user.b", b"3")].into_iter().collect();
        assert_eq!(kept.iter().collect::<Vec<_>>(), [(&b"user.a"[..], &b"1"[..]), (b"user.b", b"3")]);
        assert_eq!((kept.get(b"user.b"), kept.get(b"user.c")), (Some(&b"3"[..]), None));
        kept.remove(b"user.a");
        assert_eq!((kept.len(), kept.get(b"user.a")), (1, None));
    }

    #[test]
    fn what_is_shared_is_changed_for_one_entry_only() {
        let mut pool = Pool::default();
        let list = [7; 40];
        let mut entry =
            || Attributes::from_iter([(pool.name(b"system.posix_acl_access"), pool.value(&list))]);
        let (mut one, other) = (entry(), entry());
        assert!(Arc::ptr_eq(&one.0[0].1, &other.0[0].1), "it is kept once");
        one.get_mut(b"system.posix_acl_access").unwrap()[0] = 8;
        let first = |entry: &Attributes| entry.get(b"system.posix_acl_access").unwrap()[0];
        assert_eq!((first(&one), first(&other)), (8, 7));
    }
}
