//! Tar: the disk in pieces of 1 MiB, each with the xxHash64 of its bytes; pieces of zeros are left out.
//!
//! ```text
//!   vdi/00000000  1 MiB │ vdi/00000000.xxhash  16 hexadecimal digits │ vdi/00000005 … │ 1024 zeros
//! ```

use std::io::Write;

use shale_disk::{Content, Disk, Result, Watch, extents};
use twox_hash::XxHash64;

use super::{PIECE, tell, unwritable};

/// Everything in a tar file is whole blocks.
const BLOCK: usize = 512;

/// Sends the disk as a tar file.
pub fn export_tar(disk: &dyn Disk, output: &mut dyn Write, watch: Watch) -> Result<()> {
    let mut send = |bytes: &[u8]| {
        output.write_all(bytes).map_err(unwritable)?;
        tell(watch, bytes.len() as u64)
    };
    let zeros = vec![0; PIECE];
    let mut buffer = vec![0; PIECE];
    let mut next = 0;
    for extent in extents(disk) {
        let extent = extent?;
        if extent.content != Content::Data {
            continue;
        }
        let first = next.max(extent.offset / PIECE as u64);
        next = first.max((extent.offset + extent.length).div_ceil(PIECE as u64));
        for number in first..next {
            let offset = number * PIECE as u64;
            let length = (disk.size() - offset).min(PIECE as u64) as usize;
            let bytes = &mut buffer[..length];
            disk.read_at(bytes, offset)?;
            if *bytes == zeros[..length] {
                continue;
            }
            let name = format!("vdi/{number:08}");
            send(&member(&name, bytes))?;
            let checksum = format!("{:016X}", XxHash64::oneshot(0, bytes));
            send(&member(&format!("{name}.xxhash"), checksum.as_bytes()))?;
        }
    }
    send(&[0; 2 * BLOCK])?;
    output.flush().map_err(unwritable)
}

/// A file of the archive: head and content, in the oldest form of the format.
fn member(name: &str, content: &[u8]) -> Vec<u8> {
    let mut head = [0; BLOCK];
    let mut put = |at: usize, text: &str| head[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000400"); // mode
    put(108, "0000000"); // owner
    put(116, "0000000"); // group
    put(124, &format!("{:011o}", content.len()));
    put(136, "00000000000"); // time
    put(148, "        "); // what the checksum counts in its own place
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
    let mut member = [&head, content].concat();
    member.resize(member.len().next_multiple_of(BLOCK), 0);
    member
}
