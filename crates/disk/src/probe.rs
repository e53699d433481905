//! What a file is, by its first and last bytes.

use crate::error::unsupported;
use crate::{Disk, Format, Result, qcow2};

/// Formats that are known, and not read: magic, where, name and advice.
const REFUSED: [(&[u8], usize, &str); 9] = [
    (b"LUKS\xba\xbe", 0, "an encrypted (LUKS) volume: decrypt it first"),
    (b"QED\0", 0, "a QED image: convert it to qcow2 first"),
    (b"COWD", 0, "a VMDK of the old COWD kind: convert it with vmkfstools first"),
    (b"\x7f\x10\xda\xbe", 64, "a VirtualBox VDI image: convert it first"),
    (b"\x1f\x8b\x08", 0, "compressed with gzip: unpack it first"),
    (b"\xfd7zXZ\0", 0, "compressed with xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", 0, "compressed with zstd: unpack it first"),
    (b"PK\x03\x04", 0, "a ZIP archive: unpack it first"),
    (b"BZh", 0, "compressed with bzip2: unpack it first"),
];

/// The format of `file`; [`Format::Raw`] when nothing else fits. Known formats that we do not read are refused by name.
pub(crate) fn probe(file: &dyn Disk) -> Result<Format> {
    let mut head = [0; 512];
    let there = file.size().min(512) as usize;
    file.read_at(&mut head[..there], 0)?;
    for (magic, at, name) in REFUSED {
        if head[at..].starts_with(magic) {
            return Err(unsupported(format!("the file is {name}")));
        }
    }
    if head.starts_with(&qcow2::MAGIC) {
        return Ok(Format::Qcow2);
    }
    Ok(Format::Raw)
}
