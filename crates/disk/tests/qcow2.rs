//! qcow2 against qemu-img and qemu-io, both ways.

mod judge;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use judge::{assert_same, data_bytes, edge_samples, qemu_img, raw_sample, run, text};
use shale_disk::{Content, Disk, ErrorKind, Extent, extents, open, qcow2};

fn converted(raw: &Path, options: &[&str]) -> PathBuf {
    let image = raw.with_extension("qcow2");
    let mut args = vec!["convert", "-f", "raw", "-O", "qcow2"];
    args.extend(options);
    args.extend([text(raw), text(&image)]);
    qemu_img(&args);
    image
}

#[test]
fn every_kind_that_qemu_writes_is_read() {
    let kinds: [&[&str]; 7] = [
        &[],
        &["-o", "compat=0.10"],
        &["-o", "cluster_size=512"],
        &["-o", "cluster_size=2M"],
        &["-o", "extended_l2=on"],
        &["-c"],
        &["-c", "-o", "compression_type=zstd"],
    ];
    for (name, size, pieces) in edge_samples() {
        for kind in kinds {
            if size > 1 << 40 && kind == ["-o", "cluster_size=512"] {
                continue; // beyond that format's own limit
            }
            let dir = tempfile::tempdir().unwrap();
            let raw = raw_sample(dir.path(), name, size, &pieces);
            let image = converted(&raw, kind);
            println!("{name} {kind:?}");
            assert_same(&*open(&image).unwrap().disk, &raw);
        }
    }
}

#[test]
fn a_chain_shows_the_base_where_the_overlay_is_empty_and_zeros_hide_it() {
    let dir = tempfile::tempdir().unwrap();
    raw_sample(dir.path(), "base.raw", 8 << 20, &[(0, 8 << 20)]);
    let (middle, top) = (dir.path().join("middle.qcow2"), dir.path().join("top.qcow2"));
    qemu_img(&["create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", text(&middle)]);
    qemu_img(&["create", "-q", "-f", "qcow2", "-b", "middle.qcow2", "-F", "qcow2", text(&top), "10M"]);
    run("qemu-io", &["-f", "qcow2", "-c", "write -P 7 1M 128k", text(&middle)]);
    run("qemu-io", &["-f", "qcow2", "-c", "write -z 2M 64k", "-c", "write -P 9 9M 4k", text(&top)]);
    let flat = dir.path().join("flat.raw");
    qemu_img(&["convert", "-O", "raw", text(&top), text(&flat)]);
    let opened = open(&top).unwrap();
    assert_same(&*opened.disk, &flat);
    assert_eq!(opened.files().count(), 3);
    opened.unchanged().unwrap();

    let alone = qcow2::open_alone(&top).unwrap();
    let zero = Extent { offset: 2 << 20, length: 65536, content: Content::Zero };
    let held: Vec<_> = extents(&alone).map(|e| e.unwrap()).filter(|e| e.content != Content::Hole).collect();
    assert_eq!(held, [zero, Extent { offset: 9 << 20, length: 65536, content: Content::Data }]);
}

#[test]
fn an_overlay_we_create_is_taken_by_qemu_and_holds_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let base = raw_sample(dir.path(), "base.raw", 64 << 20, &[(1 << 20, 100_000)]);
    let overlay = dir.path().join("overlay.qcow2");
    // Larger than one L1 cluster can map, too.
    for size in [64 << 20, 100 << 30, 8 << 40] {
        qcow2::create_overlay(&overlay, size, text(&base), "raw").unwrap();
        qemu_img(&["check", "-f", "qcow2", text(&overlay)]);
        let info = qemu_img(&["info", text(&overlay)]);
        assert!(info.contains("backing file format: raw"), "{info}");
        run("qemu-io", &["-f", "qcow2", "-c", "write -P 5 3M 10k", "-c", "discard 1M 64k", text(&overlay)]);
        qemu_img(&["check", "-f", "qcow2", text(&overlay)]);
        let alone = qcow2::open_alone(&overlay).unwrap();
        assert_eq!((alone.size(), data_bytes(&alone)), (size, 65536));
        std::fs::remove_file(&overlay).unwrap();
    }
    qcow2::create_overlay(&overlay, 512, "nbd+unix:///?socket=/x.sock", "raw").unwrap();
    assert!(qemu_img(&["info", "-U", text(&overlay)]).contains("nbd+unix:///?socket=/x.sock"));
    let again = qcow2::create_overlay(&overlay, 512, "other", "raw").unwrap_err();
    assert!(again.to_string().contains("exists and is not replaced"), "{again}");
}

/// A small image, changed at one place.
fn damaged(dir: &Path, at: u64, bytes: &[u8]) -> PathBuf {
    let raw = raw_sample(dir, "sample", 1 << 20, &[(0, 300_000)]);
    let image = converted(&raw, &[]);
    File::options().write(true).open(&image).unwrap().write_all_at(bytes, at).unwrap();
    image
}

#[test]
fn absurd_headers_are_refused_by_name() {
    let cases: [(u64, &[u8], ErrorKind, &str); 12] = [
        (4, &[0, 0, 0, 9], ErrorKind::Unsupported, "version 9"),
        (20, &[0, 0, 0, 60], ErrorKind::Corrupt, "clusters of 2^60"),
        (24, &[0; 8], ErrorKind::Corrupt, "0 bytes"),
        (24, &[0xff; 8], ErrorKind::Corrupt, "absurd size"),
        (32, &[0, 0, 0, 1], ErrorKind::Unsupported, "AES"),
        (32, &[0, 0, 0, 2], ErrorKind::Unsupported, "LUKS"),
        (36, &[0, 0, 0, 0], ErrorKind::Corrupt, "L1 table has 0 entries"),
        (40, &[0x7f, 0, 0, 0, 0, 0, 0, 0], ErrorKind::Corrupt, "past the end"),
        (79, &[2], ErrorKind::Corrupt, "marked corrupt"),
        (79, &[4], ErrorKind::Unsupported, "external file"),
        (72, &[1], ErrorKind::Unsupported, "unknown features"),
        (8, &[0xff; 8], ErrorKind::Corrupt, "backing file's name"),
    ];
    for (at, bytes, kind, says) in cases {
        let dir = tempfile::tempdir().unwrap();
        let error = open(&damaged(dir.path(), at, bytes)).err().expect(says);
        assert!(error.kind() == kind && error.to_string().contains(says), "{says}: {error}");
    }
}

#[test]
fn a_dirty_image_is_read_and_a_truncated_one_refused_where_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let dirty = damaged(dir.path(), 79, &[1]);
    assert_same(&*open(&dirty).unwrap().disk, &dir.path().join("sample"));
    File::options().write(true).open(&dirty).unwrap().set_len(400_000).unwrap();
    let disk = open(&dirty).unwrap().disk;
    let error = disk.read_at(&mut vec![0; 300_000], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("truncated"), "{error}");
    File::options().write(true).open(&dirty).unwrap().set_len(50).unwrap();
    assert!(open(&dirty).err().unwrap().to_string().contains("header is truncated"));
}

#[test]
fn an_encrypted_image_of_qemu_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("secret.qcow2");
    let object = "secret,id=s,data=geheim";
    let options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10";
    // It measures the processor first, and gives up where a busy machine counts no time for that.
    let made = (0..20).any(|_| {
        let mut create = Command::new("qemu-img");
        create.args(["create", "-q", "--object", object, "-f", "qcow2", "-o", options, text(&image), "1M"]);
        create.status().expect("qemu-img is there").success()
    });
    assert!(made, "qemu-img makes an encrypted image");
    assert!(open(&image).err().unwrap().to_string().contains("encrypted (LUKS)"));
}

#[test]
fn circles_long_chains_and_odd_places_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let overlay = |name: &str, base: &str| qcow2::create_overlay(&at(name), 1 << 20, base, "qcow2").unwrap();
    overlay("a", "b");
    overlay("b", "a");
    overlay("self", "self");
    overlay("gone", "nowhere");
    for i in 0..70 {
        overlay(&format!("{i}"), &format!("{}", i + 1));
    }
    let inner = at("inner");
    std::fs::create_dir(&inner).unwrap();
    qcow2::create_overlay(&inner.join("up"), 512, "../a", "qcow2").unwrap();
    qcow2::create_overlay(&inner.join("shadow"), 512, "/etc/shadow", "raw").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", inner.join("link")).unwrap();
    qcow2::create_overlay(&inner.join("linked"), 512, "link", "raw").unwrap();
    for base in ["json:{\"driver\":\"raw\"}", "nbd://host/x", "https://host/x", "fd:3"] {
        let path = at("remote");
        qcow2::create_overlay(&path, 512, base, "raw").unwrap();
        let error = open(&path).err().unwrap();
        assert!(
            error.kind() == ErrorKind::Unsupported && error.to_string().contains("not followed"),
            "{error}"
        );
        std::fs::remove_file(&path).unwrap();
    }
    let cases = [
        (at("a"), "circle"),
        (at("self"), "circle"),
        (at("gone"), "cannot be found"),
        (at("0"), "more than 64"),
        (inner.join("up"), "outside its own folder"),
        (inner.join("shadow"), "outside its own folder"),
        (inner.join("linked"), "outside its own folder"),
    ];
    for (path, says) in cases {
        let error = open(&path).err().expect(says);
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
    let allowed = shale_disk::OpenOptions { allow_outside: true, format: None };
    assert!(allowed.open(&inner.join("linked")).is_ok());
}

#[test]
fn empty_files_and_packed_ones_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let cases: [(&[u8], &str); 4] = [
        (b"", "is empty"),
        (b"LUKS\xba\xbe\0\x01", "encrypted (LUKS)"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"PK\x03\x04", "ZIP"),
    ];
    for (bytes, says) in cases {
        std::fs::write(&path, bytes).unwrap();
        let error = open(&path).err().expect(says);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn walking_an_overlay_costs_by_what_it_holds_not_by_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let overlay = dir.path().join("overlay.qcow2");
    qcow2::create_overlay(&overlay, 8 << 40, "none", "raw").unwrap();
    let alone = qcow2::open_alone(&overlay).unwrap();
    assert_eq!(alone.extent_at(0).unwrap().length, 8 << 40, "one step over 16,384 absent tables");
}
