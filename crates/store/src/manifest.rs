//! A version's manifest: what it is, what its disk is made of, and a digest over all of that.
//!
//! ```text
//!   0    magic "SHALEVER", u32 format, u32 zero
//!   16   id (16), parent's id (16; zero: none)
//!   48   u64 size of the disk in bytes, u64 blocks that hold data
//!   64   u64 blocks and u64 bytes that this version added to the repository when it was saved
//!   80   u32 block size, u32 blocks per page, u32 length of `created`, u32 pages
//!   96   content: BLAKE3 of "shale disk 1", size, page digests
//!   128  created (RFC 3339), page digests (32 each), BLAKE3 of everything before it
//! ```
//!
//! `content` is the digest of the *disk*: two versions with the same bytes have the same one, wherever they were
//! made.

use crate::digest::{Digest, VersionId};
use crate::error::{Error, Result};
use crate::pack::{array_at, u32_at, u64_at};
use crate::place::{self, Place};
use crate::{BLOCK, map};

const FORMAT: u32 = 1;
const MAGIC: &[u8; 8] = b"SHALEVER";
const HEAD: usize = 128;
/// The largest disk: 64 TiB, what VHDX can hold. Its manifest has 32 MiB.
pub const SIZE_LIMIT: u64 = 64 << 40;
/// No date is longer.
const CREATED_LIMIT: usize = 64;
const MANIFEST_LIMIT: u64 = HEAD as u64 + CREATED_LIMIT as u64 + 32 + (SIZE_LIMIT >> 26) * 32;

/// One version, without the bytes of its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub id: VersionId,
    pub parent: Option<VersionId>,
    pub size: u64,
    pub data_blocks: u64,
    pub new_blocks: u64,
    pub new_bytes: u64,
    pub created: String,
    pub pages: Vec<Digest>,
}

impl Manifest {
    /// Digest of the disk: its size and all its blocks.
    pub fn content(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"shale disk 1").update(&self.size.to_le_bytes());
        self.pages.iter().for_each(|page| {
            hasher.update(&page.0);
        });
        Digest(*hasher.finalize().as_bytes())
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.created.len() + self.pages.len() * 32 + 32);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.id.0);
        bytes.extend_from_slice(&self.parent.map_or([0; 16], |id| id.0));
        for number in [self.size, self.data_blocks, self.new_blocks, self.new_bytes] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [BLOCK, map::PAGE_BLOCKS, self.created.len(), self.pages.len()] {
            bytes.extend_from_slice(&(number as u32).to_le_bytes());
        }
        bytes.extend_from_slice(&self.content().0);
        bytes.extend_from_slice(self.created.as_bytes());
        self.pages.iter().for_each(|page| bytes.extend_from_slice(&page.0));
        bytes.extend_from_slice(&Digest::of(&bytes).0);
        bytes
    }

    /// Parses and verifies; the text of an error says what is wrong, without the name of the version.
    pub fn decode(bytes: &[u8]) -> std::result::Result<Self, &'static str> {
        if bytes.len() < HEAD + 32 {
            return Err("it is too short (truncated)");
        }
        if &bytes[..8] != MAGIC {
            return Err("it does not begin like a manifest");
        }
        if u32_at(bytes, 8) != FORMAT {
            return Err("its format is not one that this version of Shale reads");
        }
        let (body, digest) = bytes.split_at(bytes.len() - 32);
        if Digest::of(body).0 != digest {
            return Err("its digest does not match (truncated or altered)");
        }
        let (size, created, pages) = (u64_at(body, 48), u32_at(body, 88) as usize, u32_at(body, 92) as usize);
        if u32_at(body, 80) as usize != BLOCK || u32_at(body, 84) as usize != map::PAGE_BLOCKS {
            return Err("its block or page size is not one that this version of Shale reads");
        }
        if size == 0 || size > SIZE_LIMIT || map::page_count(size) != pages as u64 {
            return Err("its size does not fit its map");
        }
        if created > CREATED_LIMIT || body.len() != HEAD + created + pages * 32 {
            return Err("its length does not fit its contents");
        }
        let text = std::str::from_utf8(&body[HEAD..HEAD + created]).map_err(|_| "its date is not text")?;
        let parent = VersionId(array_at(body, 32));
        let manifest = Self {
            id: VersionId(array_at(body, 16)),
            parent: (parent.0 != [0; 16]).then_some(parent),
            size,
            data_blocks: u64_at(body, 56),
            new_blocks: u64_at(body, 64),
            new_bytes: u64_at(body, 72),
            created: text.to_owned(),
            pages: body[HEAD + created..].as_chunks::<32>().0.iter().map(|page| Digest(*page)).collect(),
        };
        if manifest.content().0 != body[96..128] {
            return Err("its content digest does not match its map");
        }
        Ok(manifest)
    }

    /// Reads the manifest of `id`; `None` when there is no such version.
    pub fn read(place: &Place, id: VersionId) -> Result<Option<Self>> {
        let Some(bytes) = place.read(&path(place, id), MANIFEST_LIMIT)? else { return Ok(None) };
        let manifest = Self::decode(&bytes)
            .map_err(|what| Error::damaged(format!("the manifest of version {id} is damaged: {what}")))?;
        if manifest.id != id {
            return Err(Error::damaged(format!(
                "the manifest of version {id} is damaged: it is that of version {}",
                manifest.id
            )));
        }
        Ok(Some(manifest))
    }
}

/// Where the manifest of `id` lies.
pub(crate) fn path(place: &Place, id: VersionId) -> std::path::PathBuf {
    place.path(place::VERSIONS, &format!("{id}.version"))
}

/// The ids of all versions, damaged or not, in order.
pub(crate) fn list(place: &Place) -> Result<Vec<VersionId>> {
    let names = place.list(place::VERSIONS, "version")?;
    Ok(names.iter().filter_map(|(name, _)| name.parse().ok()).collect())
}

/// Refuses what no manifest can hold.
pub(crate) fn check_request(size: u64, created: &str) -> Result<()> {
    let invalid = |text: String| Err(Error::new(crate::ErrorKind::Invalid, text));
    if size == 0 || size > SIZE_LIMIT {
        return invalid(format!("a disk of {size} bytes cannot be stored: it must have 1 byte to 64 TiB"));
    }
    if created.len() > CREATED_LIMIT {
        return invalid(format!("the date of a version cannot be {} bytes long", created.len()));
    }
    Ok(())
}
