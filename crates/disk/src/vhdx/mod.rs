//! VHDX: fixed, dynamic and differencing. Source: Microsoft, [MS-VHDX].
//!
//! ```text
//!   0 file type │ 64K header 1 │ 128K header 2 │ 192K region table │ 256K its copy │ 1M log, metadata, block table, blocks …
//! ```
//!
//! All numbers are little-endian, GUIDs in Microsoft's mixed order; headers, tables and log carry a CRC-32C.

mod export;
mod read;

pub(crate) use export::plan;
pub use read::Vhdx;

use uuid::{Uuid, uuid};

pub(crate) const SIGNATURE: [u8; 8] = *b"vhdxfile";
const MIB: u64 = 1 << 20;
const HEADERS: [u64; 2] = [64 << 10, 128 << 10];
const REGION_TABLES: [u64; 2] = [192 << 10, 256 << 10];
const HEADER: usize = 4096;
const TABLE: usize = 64 << 10;
/// Largest disk: 64 TiB.
const MAX_SIZE: u64 = 64 << 40;

const REGION_BLOCK_TABLE: Uuid = uuid!("2DC27766-F623-4200-9D64-115E9BFD4A08");
const REGION_METADATA: Uuid = uuid!("8B7CA206-4790-4B9A-B8FE-575F050F886E");
const FILE_PARAMETERS: Uuid = uuid!("CAA16737-FA36-4D43-B3B6-33F0AA44E76B");
const VIRTUAL_SIZE: Uuid = uuid!("2FA54224-CD1B-4876-B211-5DBED83BF4B8");
const DISK_ID: Uuid = uuid!("BECA12AB-B2E6-4523-93EF-C309E000C746");
const LOGICAL_SECTOR: Uuid = uuid!("8141BF1D-A96F-4709-BA47-F233A8FAAB5F");
const PHYSICAL_SECTOR: Uuid = uuid!("CDA348C7-445D-4471-9CC9-E9885251C556");
const PARENT_LOCATOR: Uuid = uuid!("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C");

/// CRC-32C of `b` with the four bytes at 4, where it is kept, taken as zero.
fn checksum(b: &[u8]) -> u32 {
    let start = crc32c::crc32c(&b[..4]);
    crc32c::crc32c_append(crc32c::crc32c_append(start, &[0; 4]), &b[8..])
}

/// Payload blocks between two entries for sector bitmaps.
fn chunk_ratio(block: u64, logical_sector: u64) -> u64 {
    (1 << 23) * logical_sector / block
}
