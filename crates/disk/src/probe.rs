//! What a file is, by its first and last bytes.

use crate::error::unsupported;
use crate::{Disk, Result, ova, qcow2, vhd, vhdx, vmdk};

/// What a file may turn out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Raw,
    Qcow2,
    Vhd,
    Vhdx,
    Vmdk,
    VmdkDescriptor,
    Ova,
}

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

/// What `file` is; [`Kind::Raw`] when nothing else fits. Known formats that we do not read are refused by name.
pub(crate) fn probe(file: &dyn Disk) -> Result<Kind> {
    let mut head = [0; 512];
    let there = file.size().min(512) as usize;
    file.read_at(&mut head[..there], 0)?;
    for (magic, at, name) in REFUSED {
        if head[at..].starts_with(magic) {
            return Err(unsupported(format!("the file is {name}")));
        }
    }
    let kinds: [(&[u8], Kind); 5] = [
        (&qcow2::MAGIC, Kind::Qcow2),
        (&vhd::COOKIE, Kind::Vhd),
        (&vhdx::SIGNATURE, Kind::Vhdx),
        (&vmdk::MAGIC, Kind::Vmdk),
        (vmdk::DESCRIPTOR, Kind::VmdkDescriptor),
    ];
    if let Some((_, kind)) = kinds.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Ok(*kind);
    }
    if ova::is_tar(&head) {
        return Ok(Kind::Ova);
    }
    // A fixed VHD begins with the guest's own bytes; only its end tells.
    if let Some(end) = file.size().checked_sub(512) {
        file.read_at(&mut head, end)?;
        if head.starts_with(&vhd::COOKIE) {
            return Ok(Kind::Vhd);
        }
    }
    Ok(Kind::Raw)
}
