//! Every format both ways, judged by qemu-img: what it writes we read, what we write it checks and finds the same.

mod judge;

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use judge::{assert_same, data_bytes, edge_samples, qemu_img, raw_sample, text};
use shale_disk::{
    Content, Disk, ErrorKind, Extent, Format, Result, SparseFile, Stream, export, exported_size, open,
};

/// QEMU's name and whether it can check the format.
fn qemu_name(format: Format) -> (&'static str, bool) {
    match format {
        Format::Raw => ("raw", false),
        Format::Vhd | Format::VhdFixed => ("vpc", false),
        Format::Vhdx => ("vhdx", true),
        Format::Vmdk | Format::VmdkStream => ("vmdk", true),
        Format::Qcow2 | Format::Qcow2Compressed => ("qcow2", true),
    }
}

fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn exported(disk: &dyn Disk, format: Format, path: &Path) {
    let mut sink = SparseFile::new(File::create(path).unwrap()).unwrap();
    export(disk, format, &mut sink, &go_on).unwrap();
}

/// QEMU's VHDX does not know holes, and its VMDK goes through them by 64 KiB: of large disks only where the data is.
fn qemu_compare(qemu: &str, path: &Path, raw: &Path, size: u64, pieces: &[(u64, usize)]) {
    if !matches!(qemu, "vhdx" | "vmdk") || size < 1 << 40 {
        qemu_img(&["compare", "-q", "-f", qemu, "-F", "raw", text(path), text(raw)]);
        return;
    }
    for (offset, length) in pieces {
        let start = offset.saturating_sub(1 << 20);
        let window = format!(
            "driver=raw,offset={start},size={}",
            (offset + *length as u64 + (1 << 20)).min(size) - start
        );
        let ours = format!("{window},file.driver={qemu},file.file.filename={}", path.display());
        let theirs = format!("{window},file.filename={}", raw.display());
        qemu_img(&["compare", "-q", "--image-opts", &ours, &theirs]);
    }
}

#[test]
fn what_we_write_qemu_checks_and_finds_the_same_and_we_read_again() {
    for (name, size, pieces) in edge_samples() {
        let dir = tempfile::tempdir().unwrap();
        let raw = raw_sample(dir.path(), name, size, &pieces);
        let disk = open(&raw).unwrap().disk;
        for format in Format::ALL {
            println!("{name} as {format}");
            let path = dir.path().join(format!("out.{}", format.extension()));
            if size > 2040 << 30 && matches!(format, Format::Vhd | Format::VhdFixed) {
                let error = exported_size(&*disk, format).unwrap_err();
                assert!(error.to_string().contains("use VHDX"), "{error}");
                continue;
            }
            exported(&*disk, format, &path);
            let (qemu, checks) = qemu_name(format);
            if checks && (qemu != "vmdk" || size < 1 << 40) {
                qemu_img(&["check", "-q", "-f", qemu, text(&path)]);
            }
            qemu_compare(qemu, &path, &raw, size, &pieces);
            let info = qemu_img(&["info", "--output=json", "-f", qemu, text(&path)]);
            assert!(info.contains(&format!("\"virtual-size\": {size},")), "{info}");
            let length = std::fs::metadata(&path).unwrap().len();
            if let Some(expected) = exported_size(&*disk, format).unwrap() {
                assert_eq!(length, expected);
            }
            assert_same(&*open(&path).unwrap().disk, &raw);
            std::fs::remove_file(&path).unwrap();
        }
    }
}

#[test]
fn what_qemu_writes_we_read() {
    let kinds: [(&str, &[&str]); 8] = [
        ("vpc", &["-o", "force_size=on"]),
        ("vpc", &["-o", "force_size=on,subformat=fixed"]),
        ("vhdx", &[]),
        ("vhdx", &["-o", "subformat=fixed"]),
        ("vhdx", &["-o", "block_size=1M"]),
        ("vmdk", &[]),
        ("vmdk", &["-o", "subformat=streamOptimized"]),
        ("vmdk", &["-o", "subformat=monolithicFlat"]),
    ];
    for (name, size, pieces) in edge_samples() {
        for (format, options) in kinds {
            if size > 1 << 40 && (format == "vpc" || options.iter().any(|o| o.ends_with("fixed"))) {
                continue; // too large for the one, too much disk space for the others
            }
            println!("{name} as {format} {options:?}");
            let dir = tempfile::tempdir().unwrap();
            let raw = raw_sample(dir.path(), name, size, &pieces);
            let image = dir.path().join("image");
            let mut args = vec!["convert", "-f", "raw", "-O", format];
            args.extend(options);
            args.extend([text(&raw), text(&image)]);
            qemu_img(&args);
            assert_same(&*open(&image).unwrap().disk, &raw);
        }
    }
}

#[test]
fn a_vhd_sized_by_its_geometry_has_the_size_that_qemu_sees() {
    let dir = tempfile::tempdir().unwrap();
    for size in ["1M", "7654400", "10G", "127G", "200G"] {
        let path = dir.path().join("disk.vhd");
        qemu_img(&["create", "-q", "-f", "vpc", text(&path), size]);
        let info = qemu_img(&["info", "--output=json", "-f", "vpc", text(&path)]);
        let seen = open(&path).unwrap().disk.size();
        assert!(info.contains(&format!("\"virtual-size\": {seen},")), "{seen} is not in {info}");
    }
}

#[test]
fn vhd_geometry_does_not_change_the_size_of_what_we_write() {
    let dir = tempfile::tempdir().unwrap();
    // Around the steps of the geometry: 17, 31 and 63 sectors a track, and the largest.
    for sectors in [1, 67, 69_632, 69_633, 507_905, 1_032_193, 66_059_280, 267_382_800, 267_386_881] {
        let raw = raw_sample(dir.path(), "raw", sectors * 512, &[(0, 512)]);
        let path = dir.path().join("out.vhd");
        exported(&*open(&raw).unwrap().disk, Format::Vhd, &path);
        let info = qemu_img(&["info", "--output=json", "-f", "vpc", text(&path)]);
        assert!(info.contains(&format!("\"virtual-size\": {},", sectors * 512)), "{sectors}: {info}");
    }
}

/// A disk that fails the test when a byte is read that is known to be empty.
struct DataOnly {
    size: u64,
    read: AtomicU64,
}

impl Disk for DataOnly {
    fn size(&self) -> u64 {
        self.size
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let extent = self.extent_at(offset)?;
        assert_eq!(extent.content, Content::Data, "a hole was read at {offset}");
        assert!(extent.length >= buf.len() as u64, "a hole was read after {offset}");
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        buf.fill(1);
        Ok(())
    }
    fn extent_at(&self, offset: u64) -> Result<Extent> {
        // 64 KiB of data in every GiB.
        let inside = offset % (1 << 30);
        let (content, end) = if inside < 65536 { (Content::Data, 65536) } else { (Content::Hole, 1 << 30) };
        Ok(Extent { offset, length: (end - inside).min(self.size - offset), content })
    }
}

#[test]
fn holes_are_never_read_nor_stored() {
    let dir = tempfile::tempdir().unwrap();
    for format in Format::ALL {
        let disk = DataOnly { size: 100 << 30, read: AtomicU64::new(0) };
        let path = dir.path().join("out");
        exported(&disk, format, &path);
        let passes = if format == Format::Qcow2Compressed { 2 } else { 1 };
        assert_eq!(disk.read.load(Ordering::Relaxed), passes * 100 * 65536, "{format}");
        let stored = std::fs::metadata(&path).unwrap().blocks() * 512;
        assert!(stored < 40 << 20, "{format} stores {stored} bytes for 6.5 MB of data");
    }
}

#[test]
fn a_pipe_gets_the_same_bytes_as_a_sparse_file() {
    let dir = tempfile::tempdir().unwrap();
    let raw = raw_sample(dir.path(), "raw", 9 << 20, &[(0, 5000), (4 << 20, 70_000)]);
    let disk = open(&raw).unwrap().disk;
    // The others carry random identifiers.
    for format in [Format::Raw, Format::Qcow2, Format::Qcow2Compressed] {
        let path = dir.path().join("out");
        exported(&*disk, format, &path);
        let mut sink = Stream(Vec::new());
        export(&*disk, format, &mut sink, &go_on).unwrap();
        assert!(sink.0 == std::fs::read(&path).unwrap(), "{format}");
    }
}

#[test]
fn stopping_ends_every_export_and_progress_counts_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let raw = raw_sample(dir.path(), "raw", 40 << 20, &[(0, 8 << 20), (20 << 20, 8 << 20)]);
    let disk = open(&raw).unwrap().disk;
    for format in Format::ALL {
        let told = AtomicU64::new(0);
        export(&*disk, format, &mut Stream(std::io::sink()), &|n| {
            told.fetch_add(n, Ordering::Relaxed);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(told.load(Ordering::Relaxed), 16 << 20, "{format}");
        let error =
            export(&*disk, format, &mut Stream(std::io::sink()), &|_| ControlFlow::Break(())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Stopped, "{format}");
    }
}

#[test]
fn copying_to_a_file_keeps_data_and_holes() {
    let dir = tempfile::tempdir().unwrap();
    for (name, size, pieces) in edge_samples() {
        let raw = raw_sample(dir.path(), name, size, &pieces);
        let disk = open(&raw).unwrap().disk;
        let path = dir.path().join("copy.raw");
        std::fs::write(&path, vec![9; 100_000]).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        shale_disk::copy_to_file(&*disk, &file, 8, &go_on).unwrap();
        let copy = open(&path).unwrap().disk;
        assert_same(&*copy, &raw);
        assert!(data_bytes(&*copy) <= data_bytes(&*disk) + 8192 * pieces.len() as u64, "{name}");
        let error = shale_disk::copy_to_file(&*disk, &file, 3, &|_| ControlFlow::Break(()));
        assert!(pieces.is_empty() || error.unwrap_err().kind() == ErrorKind::Stopped);
    }
}

#[test]
fn a_full_target_is_told_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let raw = raw_sample(dir.path(), "raw", 1 << 20, &[(0, 1 << 20)]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let error = export(&*open(&raw).unwrap().disk, Format::Raw, &mut Stream(full), &go_on).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
}

/// A tar archive made by tar.
fn ova(dir: &Path, members: &[&str]) -> PathBuf {
    let path = dir.join("disk.ova");
    let mut args = vec!["-C", text(dir), "--format=ustar", "-cf", text(&path)];
    args.extend(members);
    judge::run("tar", &args);
    path
}

#[test]
fn the_disk_of_an_ova_is_read_in_place_whatever_its_format() {
    let dir = tempfile::tempdir().unwrap();
    let raw = raw_sample(dir.path(), "raw", (9 << 20) + 512, &[(0, 5000), (4 << 20, 70_000)]);
    let disk = open(&raw).unwrap().disk;
    std::fs::write(dir.path().join("vm.ovf"), "<Envelope/>").unwrap();
    for (format, name) in [
        (Format::VmdkStream, "d.vmdk"),
        (Format::Vmdk, "d.vmdk"),
        (Format::Vhd, "d.vhd"),
        (Format::VhdFixed, "d.VHD"),
    ] {
        exported(&*disk, format, &dir.path().join(name));
        assert_same(&*open(&ova(dir.path(), &["vm.ovf", name])).unwrap().disk, &raw);
    }
}

#[test]
fn archives_that_are_no_ova_with_one_plain_disk_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("a.vmdk", "x");
    write("b.vmdk", "x");
    write("a.vmdk.gz", "x");
    write("vm.ovf", "<Envelope/>");
    write("gz.ovf", "<File ovf:compression=\"gzip\"/>");
    let cases: [(&[&str], &str); 6] = [
        (&["a.vmdk"], "no OVF"),
        (&["vm.ovf"], "no disk"),
        (&["vm.ovf", "a.vmdk", "b.vmdk"], "2 disks"),
        (&["vm.ovf", "a.vmdk.gz"], "gzip"),
        (&["gz.ovf", "a.vmdk"], "gzip"),
        (&["vm.ovf", "a.vmdk"], "no disk that is read"),
    ];
    for (members, says) in cases {
        let error = open(&ova(dir.path(), members)).err().expect(says);
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
    let path = ova(dir.path(), &["vm.ovf", "a.vmdk"]);
    File::options().write(true).open(&path).unwrap().write_all_at(b"7777777", 1024 + 125).unwrap();
    assert!(open(&path).err().unwrap().to_string().contains("damaged"));
}

/// Every format, cut at many places: an error or a clean answer, and never a wrong size.
#[test]
fn truncated_files_of_every_format_are_refused_or_fail_to_read_but_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let raw = raw_sample(dir.path(), "raw", 6 << 20, &[(0, 300_000), (5 << 20, 1 << 20)]);
    let disk = open(&raw).unwrap().disk;
    for format in Format::ALL.into_iter().filter(|f| *f != Format::Raw) {
        let path = dir.path().join("image");
        exported(&*disk, format, &path);
        let whole = std::fs::metadata(&path).unwrap().len();
        let kind = shale_disk::OpenOptions { allow_outside: false, format: Some(format) };
        for part in (0..20).rev() {
            File::options().write(true).open(&path).unwrap().set_len(whole * part / 20).unwrap();
            let read = kind.open(&path).and_then(|o| {
                let mut all = vec![0; o.disk.size() as usize];
                o.disk.read_at(&mut all, 0)
            });
            let error = read.expect_err("a truncated disk was read whole");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{format} {part}: {error}");
        }
    }
}

#[test]
fn damaged_headers_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let raw = raw_sample(dir.path(), "raw", 6 << 20, &[(0, 300_000)]);
    let disk = open(&raw).unwrap().disk;
    let cases: [(Format, u64, &[u8], &str); 12] = [
        (Format::Vhd, 512, b"x", "no VHD header"),
        (Format::Vhd, 512 + 33, &[9], "checksum"),
        (Format::Vhd, 512 + 17, &[9], "checksum"),
        (Format::Vhdx, 64 << 10, &[0; 70 << 10], "both headers"),
        (Format::Vhdx, 192 << 10, &[0; 70 << 10], "both region tables"),
        (Format::Vhdx, 2 << 20, &[0], "metadata"),
        (Format::Vhdx, (2 << 20) + (64 << 10), &[1], "blocks of"),
        (Format::Vmdk, 4, &[9], "version 9"),
        (Format::Vmdk, 12, &[0; 8], "disk of 0 sectors"),
        (Format::Vmdk, 12, &[0xff; 8], "sectors"),
        (Format::Vmdk, 20, &[3], "grains of 3"),
        (Format::Vmdk, 75, b"\n", "transfer"),
    ];
    for (format, at, bytes, says) in cases {
        let path = dir.path().join("image");
        exported(&*disk, format, &path);
        File::options().write(true).open(&path).unwrap().write_all_at(bytes, at).unwrap();
        let error = open(&path).err().expect(says);
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
}

#[test]
fn a_vhdx_with_a_log_and_a_linked_vmdk_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let raw = raw_sample(dir.path(), "raw", 6 << 20, &[(0, 300_000)]);
    let vmdk = dir.path().join("base.vmdk");
    exported(&*open(&raw).unwrap().disk, Format::Vmdk, &vmdk);
    let clone = dir.path().join("clone.vmdk");
    qemu_img(&["create", "-q", "-f", "vmdk", "-b", text(&vmdk), "-F", "vmdk", text(&clone)]);
    assert!(open(&clone).err().unwrap().to_string().contains("linked clone"));
    let split = dir.path().join("split.vmdk");
    qemu_img(&["create", "-q", "-f", "vmdk", "-o", "subformat=twoGbMaxExtentSparse", text(&split), "1M"]);
    assert!(open(&split).err().unwrap().to_string().contains("SPARSE are not read"));
}

#[test]
fn the_parts_of_a_flat_vmdk_must_lie_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flat.vmdk");
    let cases = [
        ("RW 2 FLAT \"/etc/passwd\" 0", "outside its own folder"),
        ("RW 2 FLAT \"gone\" 0", "cannot be found"),
        ("RW 2 FLAT \"flat.vmdk\" 0", "circle"),
        ("RW 99999999999999999999 FLAT \"x\" 0", "malformed"),
        ("RW 0 FLAT \"x\" 0", "malformed"),
        ("RW", "malformed"),
        ("", "no extents"),
    ];
    for (line, says) in cases {
        std::fs::write(&path, format!("# Disk DescriptorFile\nversion=1\n{line}\n")).unwrap();
        let error = open(&path).err().expect(says);
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
}
