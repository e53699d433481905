//! OVA: a tar archive of a description (OVF) and disks. A disk is read where it lies, nothing is unpacked.
//! Sources: DMTF DSP0243 (OVF), POSIX.1-1988 (ustar), GNU tar (base-256 sizes).

use crate::error::{corrupt, unsupported};
use crate::{Disk, Result, SECTOR};

/// Members looked at, and the longest description.
const MAX_MEMBERS: usize = 1000;
const MAX_OVF: u64 = 4 << 20;

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// As in the archive.
    pub name: String,
    /// First byte of its content.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// Whether `head`, the first sector of a file, begins a tar archive.
pub(crate) fn is_tar(head: &[u8; 512]) -> bool {
    &head[257..262] == b"ustar" && checksum_fits(head)
}

/// The files in the archive.
pub fn members(source: &dyn Disk) -> Result<Vec<Member>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + SECTOR <= source.size() {
        let mut head = [0; 512];
        source.read_at(&mut head, at)?;
        if head == [0; 512] {
            break;
        }
        if !checksum_fits(&head) {
            return Err(corrupt(format!("the archive is damaged at {at}")));
        }
        let length = size(&head[124..136])
            .ok_or_else(|| corrupt(format!("the archive has an absurd size at {at}")))?;
        let offset = at + SECTOR;
        let next = length.checked_next_multiple_of(SECTOR).and_then(|n| n.checked_add(offset));
        let next = next.ok_or_else(|| corrupt(format!("the archive has an absurd size at {at}")))?;
        if length > source.size() - offset {
            return Err(corrupt(format!("the archive is truncated: its member at {at} goes past the end")));
        }
        if matches!(head[156], b'0' | 0) {
            found.push(Member { name: text(&head[..100]), offset, length });
        }
        if found.len() > MAX_MEMBERS {
            return Err(corrupt("the archive has too many members"));
        }
        at = next;
    }
    Ok(found)
}

/// The one disk of the archive. Several disks, packed or split ones are refused by name.
pub fn disk_member(source: &dyn Disk) -> Result<Member> {
    let members = members(source)?;
    let described = members.iter().find(|m| ends_with(&m.name, ".ovf")).ok_or_else(|| {
        unsupported("the archive holds no OVF description: it is no OVA. Unpack it and import the disk")
    })?;
    if described.length > MAX_OVF {
        return Err(corrupt(format!("an OVF description of {} bytes is absurd", described.length)));
    }
    let mut ovf = vec![0; described.length as usize];
    source.read_at(&mut ovf, described.offset)?;
    let ovf = String::from_utf8_lossy(&ovf);
    if ovf.contains("chunkSize=") {
        return Err(unsupported("the OVA's disk is split into chunks: join them first"));
    }
    if ovf.contains("compression=\"gzip\"") {
        return Err(unsupported("the OVA's disk is compressed with gzip: unpack it first"));
    }
    let disks: Vec<_> =
        members.iter().filter(|m| ends_with(&m.name, ".vmdk") || ends_with(&m.name, ".vhd")).collect();
    match disks[..] {
        [disk] => Ok(disk.clone()),
        [] => match members.iter().find(|m| ends_with(&m.name, ".gz")) {
            Some(m) => Err(unsupported(format!(
                "the OVA's disk '{}' is compressed with gzip: unpack it first",
                m.name
            ))),
            None => Err(unsupported("the OVA holds no disk that is read (VMDK or VHD)")),
        },
        _ => {
            Err(unsupported(format!("the OVA holds {} disks: unpack it and import one of them", disks.len())))
        }
    }
}

fn ends_with(name: &str, suffix: &str) -> bool {
    name.to_ascii_lowercase().ends_with(suffix)
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// Octal digits, or big-endian bytes after 0x80 where those do not suffice.
fn size(field: &[u8]) -> Option<u64> {
    if field[0] == 0x80 {
        let (high, low) = field[1..].split_at(3);
        return (high == [0; 3]).then(|| u64::from_be_bytes(crate::field::bytes(low, 0)));
    }
    let digits = field.iter().skip_while(|b| **b == b' ').take_while(|b| !matches!(b, 0 | b' '));
    digits.into_iter().try_fold(0u64, |n, b| {
        matches!(b, b'0'..=b'7').then(|| n.checked_mul(8)?.checked_add(u64::from(b - b'0')))?
    })
}

/// The sum of all bytes, its own field taken as spaces.
fn checksum_fits(head: &[u8; 512]) -> bool {
    let sum: u64 =
        head.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { 32 } else { u64::from(*b) }).sum();
    size(&head[148..156]) == Some(sum)
}
