#!/bin/sh
# Makes a small disk that boots by itself, without an installer, loop devices or root.
#
#   make-tiny-disk.sh OUT [bios|uefi|both] [RUN-FOLDER] [ROOT-FOLDER]
#
# OUT is a raw disk of 128 MiB (sparse, about 30 MiB of data), with GPT:
#
#   sector 0      GRUB's first stage, told where the second is
#   1  1 MiB      BIOS boot partition: GRUB's second stage
#   2  8 MiB      EFI system partition: \EFI\BOOT\BOOTX64.EFI, GRUB again
#   3  116 MiB    ext4 "tiny": /boot/vmlinuz, /boot/initrd, /boots (how often it booted), /run (see below), /data
#
# What the guest does (init, next to this script), all of it told on ttyS0 and tty1 in lines "tiny guest: …":
#   - counts its boots in /boots and says "boot N"
#   - runs /run/N, if there is one, else /run/always; the scripts come from RUN-FOLDER and run in the disk's root
#     (/disk); when one makes /tmp/off the guest powers off after it
#   - has what is in ROOT-FOLDER in its root, as if it were an operating system: the guest itself uses none of it
#   - gives a root shell to whoever connects to its port 22 (plain TCP, one shell per connection)
#   - says "ready" and waits; the power button powers it off
# It knows virtio disks and networks, and takes the address 10.0.2.15, as in QEMU's user-mode network. For a CD it has the
# modules (ata_piix sr_mod isofs), and leaves it to scripts to load them.
#
# Needs: apt (to fetch a kernel the first time), sgdisk, mke2fs 1.47, mtools, GRUB's modules (grub-pc-bin,
# grub-efi-amd64-bin), busybox-static. Kernel and initramfs are kept in build/tiny-guest of the project.
set -eu

out=$1
firmware=${2:-both}
run=${3:-}
system=${4:-}
case $firmware in bios | uefi | both) ;; *) echo "firmware is bios, uefi or both, not $firmware" >&2; exit 2 ;; esac

here=$(cd "$(dirname "$0")" && pwd -P)
cache=${TINY_GUEST_CACHE:-$here/../../build/tiny-guest}
busybox=$(command -v busybox)
PATH=$PATH:/usr/sbin:/sbin
export MTOOLS_SKIP_CHECK=1
mkdir -p "$cache"
cache=$(cd "$cache" && pwd -P)
work=$(mktemp -d "${TMPDIR:-/tmp}/tiny-guest.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Fetches a kernel package and the packages with its modules, unpacked to $1.
fetch_kernel() {
    for meta in linux-image-cloud-amd64 linux-image-virtual; do
        image=$(apt-cache depends "$meta" 2>/dev/null | awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
        [ -n "$image" ] && break
    done
    [ -n "$image" ] || { echo "apt knows no kernel package; run apt-get update" >&2; exit 1; }
    modules=$(apt-cache depends "$image" | awk '/Depends: linux-modules-[0-9]/ { print $2 }')
    mkdir -p "$work/debs"
    # shellcheck disable=SC2086 # one word or none
    (cd "$work/debs" && apt-get -q download "$image" $modules >"$work/apt.log" 2>&1) ||
        { cat "$work/apt.log" >&2; exit 1; }
    for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$1"; done
}

# $1: unpacked kernel. Writes the initramfs to $2: busybox, init, and the modules of virtual hardware.
make_initramfs() {
    root=$work/initramfs
    version=$(ls "$1/lib/modules")
    mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/lib/modules/$version"
    cp "$busybox" "$root/bin/busybox"
    cp "$here/init" "$root/init"
    chmod 755 "$root/init"
    (cd "$1/lib/modules/$version" && for name in virtio virtio_ring virtio_pci \
        virtio_pci_modern_dev virtio_pci_legacy_dev virtio_blk virtio_net net_failover failover virtio-rng rng-core \
        button evdev scsi_common scsi_mod libata ata_piix cdrom sr_mod isofs nls_utf8; do
        find kernel -name "$name.ko*"
    done | tar -c -T - | tar -x -C "$root/lib/modules/$version")
    cp "$1/lib/modules/$version/modules.builtin" "$1/lib/modules/$version/modules.order" \
        "$root/lib/modules/$version/"
    find "$root" -name '*.ko.xz' -exec xz -d {} +
    find "$root" -name '*.ko.zst' -exec zstd -q -d --rm {} +
    "$busybox" depmod -b "$root" "$version"
    (cd "$root" && find . | "$busybox" cpio -o -H newc 2>/dev/null) | gzip -1 >"$2"
}

# Kernel and initramfs, made again when init or this script is newer; several of us may run at once.
exec 9>"$cache/lock"
flock 9
if [ ! -s "$cache/vmlinuz" ]; then
    fetch_kernel "$work/kernel"
    rm -rf "$cache/kernel.new" && mkdir "$cache/kernel.new" "$cache/kernel.new/lib"
    cp -r "$work/kernel/lib/modules" "$cache/kernel.new/lib/"
    rm -rf "$cache/kernel" && mv "$cache/kernel.new" "$cache/kernel"
    cp "$work"/kernel/boot/vmlinuz-* "$cache/vmlinuz.new"
    chmod 644 "$cache/vmlinuz.new"
    mv "$cache/vmlinuz.new" "$cache/vmlinuz"
fi
if [ ! -s "$cache/initrd" ] || [ -n "$(find "$here" -type f -newer "$cache/initrd")" ]; then
    make_initramfs "$cache/kernel" "$cache/initrd.new"
    mv "$cache/initrd.new" "$cache/initrd"
fi
exec 9>&-

# The file system of partition 3.
tree=$work/tree
mkdir -p "$tree/boot" "$tree/run" "$tree/data"
cp "$cache/vmlinuz" "$cache/initrd" "$tree/boot/"
echo 0 >"$tree/boots"
if [ -n "$run" ]; then cp -r "$run/." "$tree/run/"; fi
if [ -n "$system" ]; then cp -a "$system/." "$tree/"; fi
truncate -s 116M "$work/root.img"
# GRUB 2.06 reads neither of the two features switched off.
mke2fs -q -t ext4 -L tiny -O '^metadata_csum_seed,^orphan_file' -E root_owner=0:0 -d "$tree" "$work/root.img"

# What GRUB does at start; no menu, no wait.
cat >"$work/grub.cfg" <<'GRUB'
set root=(hd0,gpt3)
linux /boot/vmlinuz console=tty1 console=ttyS0,115200 no_timer_check panic=10 loglevel=5
initrd /boot/initrd
boot
GRUB

rm -f "$out"
truncate -s 128M "$out"
sgdisk --clear \
    --new=1:2048:+1M --typecode=1:ef02 --change-name=1:bios-boot \
    --new=2:4096:+8M --typecode=2:ef00 --change-name=2:esp \
    --new=3:20480:+116M --typecode=3:8300 --change-name=3:tiny "$out" >/dev/null

# Copies file $1 to byte $3 of OUT, $2 bytes at a time.
put() { dd if="$1" of="$out" bs="$2" seek="$(($3 / $2))" conv=notrunc,sparse status=none; }
# Writes the number $1 as 32 bits, little-endian, to byte $3 of file $2.
put_number() {
    octets=$(printf '\\%03o\\%03o\\%03o\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24)))
    # shellcheck disable=SC2059 # the format is the data
    printf "$octets" | dd of="$2" bs=1 seek="$3" conv=notrunc status=none
}

put "$work/root.img" 1048576 10485760

if [ "$firmware" != uefi ]; then
    grub-mkimage -O i386-pc -p /boot/grub -c "$work/grub.cfg" -o "$work/core.img" biosdisk part_gpt ext2 linux
    # The last entry of the first sector's block list says where the rest of core.img lies: from the sector after.
    put_number 2049 "$work/core.img" $((512 - 12))
    put "$work/core.img" 512 1048576
    # Boot code only: the partition table of sector 0 stays. At 0x5c: the sector of core.img.
    dd if=/usr/lib/grub/i386-pc/boot.img of="$work/boot.img" bs=440 count=1 status=none
    put_number 2048 "$work/boot.img" $((0x5c))
    dd if="$work/boot.img" of="$out" bs=440 conv=notrunc status=none
fi

if [ "$firmware" != bios ]; then
    grub-mkimage -O x86_64-efi -p /boot/grub -c "$work/grub.cfg" -o "$work/BOOTX64.EFI" part_gpt ext2 linux
    truncate -s 8M "$work/esp.img"
    mformat -i "$work/esp.img" -v ESP ::
    mmd -i "$work/esp.img" ::/EFI ::/EFI/BOOT
    mcopy -i "$work/esp.img" "$work/BOOTX64.EFI" ::/EFI/BOOT/BOOTX64.EFI
    put "$work/esp.img" 1048576 2097152
fi
