//! What is needed: everything that the manifests name. A page that versions share is visited once.

use std::collections::{HashMap, HashSet};

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{self, Manifest};
use crate::repository::Inner;

/// Who needs something: one version, by its place in the list, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    One(u32),
    Many,
}

impl Owner {
    fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Many }
    }
}

/// All manifests. One that is damaged is an error: what it needs is not known.
pub(crate) fn manifests(inner: &Inner) -> Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    for id in manifest::list(&inner.place)? {
        manifests.extend(Manifest::read(&inner.place, id)?);
    }
    Ok(manifests)
}

/// The digests of all pages and blocks that `manifests` name, and who needs them. About 50 bytes of memory each.
pub(crate) fn owners(inner: &Inner, manifests: &[Manifest]) -> Result<HashMap<Digest, Owner>> {
    let mut pages: HashMap<Digest, Owner> = HashMap::new();
    for (number, manifest) in (0..).zip(manifests) {
        for page in manifest.pages.iter().filter(|page| !page.is_hole()) {
            let owner = Owner::One(number);
            pages.entry(*page).and_modify(|known| *known = known.and(owner)).or_insert(owner);
        }
    }
    let mut owners = pages.clone();
    for (page, owner) in pages {
        let blocks = inner.read_page(&page).map_err(|e| {
            let text = format!("the map page {page} cannot be read, so that what is needed is not known");
            Error::new(if e.kind() == ErrorKind::Io { ErrorKind::Io } else { ErrorKind::Damaged }, text)
                .with_source(e)
        })?;
        for block in blocks.0.into_iter().filter(|block| !block.is_hole()) {
            owners.entry(block).and_modify(|known| *known = known.and(owner)).or_insert(owner);
        }
    }
    Ok(owners)
}

/// The digests of all pages and blocks that any manifest names.
pub(crate) fn live(inner: &Inner) -> Result<HashSet<Digest>> {
    Ok(owners(inner, &manifests(inner)?)?.into_keys().collect())
}
