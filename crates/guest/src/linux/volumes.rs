//! The space on the machine's disks: every mounted file system of a block device that can be written to.

use super::Look;
use super::root::Root;
use crate::facts::{LinuxFacts, Volume};

pub(super) fn gather(root: &Root, facts: &mut LinuxFacts) {
    let mounts = root.text("/proc/self/mountinfo").unwrap_or_default();
    for name in mounted(&mounts) {
        let asked = rustix::fs::statvfs(root.path(&name)).map_err(Into::into);
        if let Some(space) = root.there(&name, asked) {
            let (size, free) =
                (space.f_blocks.saturating_mul(space.f_frsize), space.f_bfree.saturating_mul(space.f_frsize));
            facts.volumes.push(Volume { name, size, free });
        }
    }
}

/// Where block devices are mounted for writing; the first place of each. A line of proc(5)'s mountinfo:
///
/// ```text
/// 36 35 98:0 /root /mount/point rw,noatime shared:1 … - ext4 /dev/sda1 rw,errors=continue
///        device      place       options              type  source
/// ```
fn mounted(mounts: &str) -> Vec<String> {
    let mut devices = Vec::new();
    let mut places = Vec::new();
    for line in mounts.lines() {
        let Some((mount, source)) = line.split_once(" - ") else { continue };
        let mount: Vec<_> = mount.split(' ').collect();
        let mut source = source.split(' ').skip(1);
        let (Some(device), Some(place), Some(options)) = (mount.get(2), mount.get(4), mount.get(5)) else {
            continue;
        };
        let writable = options.split(',').any(|option| option == "rw");
        let on_disk = source
            .next()
            .is_some_and(|source| source.starts_with("/dev/") && !source.starts_with("/dev/loop"));
        if writable && on_disk && !devices.contains(device) {
            devices.push(device);
            places.push(unescaped(place));
        }
    }
    places
}

/// A place with its spaces, tabs, newlines and backslashes back: they are written in octal.
fn unescaped(place: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(place.to_owned(), |place, (code, character)| place.replace(code, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_that_can_be_written_to_are_counted_once() {
        let mounts = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
24 22 8:2 / /boot/my\\040disk rw - vfat /dev/sda2 rw
25 22 8:1 /srv /srv rw - ext4 /dev/sda1 rw
26 22 11:0 / /media ro - iso9660 /dev/sr0 ro
27 22 7:0 / /snap/core ro - squashfs /dev/loop0 ro
broken line
28 - x
";
        assert_eq!(mounted(mounts), ["/", "/boot/my disk"]);
    }
}
