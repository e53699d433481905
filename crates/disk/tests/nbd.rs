//! The NBD server, judged by libnbd's tools and QEMU's.

mod judge;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use judge::{qemu_img, raw_sample, run, text};
use shale_disk::{Disk, Memory, nbd, open};

/// Serves `disk` while `body` runs; gives it the URI.
fn served(disk: Arc<dyn Disk>, body: impl FnOnce(&Path, &str)) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let server = scope.spawn(|| nbd::serve(listener, disk, "disk", &stop));
        let body = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            body(&socket, &format!("nbd+unix:///?socket={}", socket.display()));
        }));
        stop.store(true, Ordering::Relaxed);
        server.join().unwrap().unwrap();
        body.unwrap();
    });
}

fn sample(dir: &Path) -> PathBuf {
    let pieces: Vec<_> = (0..20).map(|i| (i * 7_000_064 / 512 * 512, 300_000 + i as usize * 512)).collect();
    raw_sample(dir, "disk.raw", (160 << 20) + 512, &pieces)
}

#[test]
fn nbdinfo_and_qemu_see_the_size_the_flags_and_the_holes() {
    let dir = tempfile::tempdir().unwrap();
    let raw = sample(dir.path());
    served(open(&raw).unwrap().disk, |_, uri| {
        let info = run("nbdinfo", &["--json", uri]);
        for line in [
            "\"protocol\": \"newstyle-fixed\"",
            "\"structured\": true",
            "\"export-size\": 167772672",
            "\"is_read_only\": true",
            "\"can_multi_conn\": true",
            "\"can_df\": true",
            "base:allocation",
        ] {
            assert!(info.contains(line), "no {line} in {info}");
        }
        assert!(run("nbdinfo", &["--list", uri]).contains("export=\"disk\""));
        run("nbdinfo", &[&uri.replace("///", "///disk")]);
        let map = |of: &str| qemu_img(&["map", "-f", "raw", "--output=json", of]);
        let plain = |of: &str| -> Vec<_> {
            // QEMU adds host offsets for a file, which a server cannot know.
            map(of).lines().map(|l| l.split(", \"offset\"").next().unwrap().to_owned()).collect()
        };
        let starts = |of: &str| -> Vec<String> {
            plain(of).iter().map(|l| l.split(", \"depth\"").next().unwrap().to_owned()).collect()
        };
        assert_eq!(starts(uri), starts(text(&raw)));
    });
}

#[test]
fn nbdcopy_and_qemu_img_read_exactly_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let raw = sample(dir.path());
    let copy = dir.path().join("copy.raw");
    served(open(&raw).unwrap().disk, |_, uri| {
        run("nbdcopy", &["--connections=4", "--requests=16", uri, text(&copy)]);
        run("cmp", &[text(&raw), text(&copy)]);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    qemu_img(&["compare", "-f", "raw", "-F", "raw", uri, text(&raw)]);
                });
            }
        });
    });
}

#[test]
fn a_client_without_structured_replies_reads_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let raw = sample(dir.path());
    served(open(&raw).unwrap().disk, |socket, _| {
        let mut client = UnixStream::connect(socket).unwrap();
        let mut hello = [0; 18];
        client.read_exact(&mut hello).unwrap();
        client.write_all(&[0, 0, 0, 1]).unwrap(); // fixed newstyle, with the 124 zeroes
        client.write_all(b"IHAVEOPT\0\0\0\x01\0\0\0\x04disk").unwrap();
        let mut export = [0; 134];
        client.read_exact(&mut export).unwrap();
        assert_eq!(u64::from_be_bytes(export[..8].try_into().unwrap()), (160 << 20) + 512);
        let mut ask = |kind: u8, offset: u64, length: u32| {
            client.write_all(&[0x25, 0x60, 0x95, 0x13, 0, 0, 0, kind]).unwrap();
            client.write_all(b"cookie!!").unwrap();
            client.write_all(&offset.to_be_bytes()).unwrap();
            client.write_all(&length.to_be_bytes()).unwrap();
            if kind == 1 {
                client.write_all(&vec![1; length as usize]).unwrap();
            }
            let mut reply = [0; 16];
            client.read_exact(&mut reply).unwrap();
            assert_eq!(&reply[8..], b"cookie!!");
            let error = u32::from_be_bytes(reply[4..8].try_into().unwrap());
            let mut data = vec![0; if kind == 0 && error == 0 { length as usize } else { 0 }];
            client.read_exact(&mut data).unwrap();
            (error, data)
        };
        assert_eq!(ask(1, 0, 70_000).0, 1, "writes are refused, and their data skipped");
        let (error, data) = ask(0, 1000, 400_000);
        let mut expected = vec![0; 400_000];
        open(&raw).unwrap().disk.read_at(&mut expected, 1000).unwrap();
        assert!(error == 0 && data == expected);
        assert_eq!(ask(0, (160 << 20) + 500, 100).0, 22, "past the end");
        assert_eq!(ask(0, u64::MAX - 5, 100).0, 22, "past all ends");
        assert_eq!(ask(0, 0, 33 << 20).0, 75, "too much at once");
        assert_eq!(ask(7, 0, 512).0, 22, "no context was agreed on");
        assert_eq!(ask(6, 0, 512).0, 1, "write zeroes");
    });
}

#[test]
fn clients_that_talk_nonsense_or_hang_do_not_disturb_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let raw = sample(dir.path());
    served(open(&raw).unwrap().disk, |socket, uri| {
        let silent = UnixStream::connect(socket).unwrap();
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\0\0\x03IHAVEOPT\0\0\0\x07\xff\xff\xff\xff", b"\0"]
        {
            let mut client = UnixStream::connect(socket).unwrap();
            client.write_all(bytes).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            // Ends: the server hung up (perhaps before it had read all, which resets).
            let _ = client.read_to_end(&mut answer);
            assert!(answer.len() < 100);
        }
        qemu_img(&["compare", "-f", "raw", "-F", "raw", uri, text(&raw)]);
        drop(silent);
    });
}

#[test]
fn stopping_hangs_up_on_clients_that_are_connected() {
    let mut client = None;
    served(Arc::new(Memory(vec![5; 4096])), |socket, _| {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.read_exact(&mut [0; 18]).unwrap();
        client = Some(stream);
    });
    assert_eq!(client.unwrap().read(&mut [0]).unwrap(), 0, "end of stream");
}

#[test]
fn qemu_runs_an_overlay_of_ours_on_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let raw = sample(dir.path());
    let overlay = dir.path().join("overlay.qcow2");
    served(open(&raw).unwrap().disk, |_, uri| {
        shale_disk::qcow2::create_overlay(&overlay, (160 << 20) + 512, uri, "raw").unwrap();
        let flat = dir.path().join("flat.raw");
        qemu_img(&["convert", "-O", "raw", text(&overlay), text(&flat)]);
        run("cmp", &[text(&raw), text(&flat)]);
        run(
            "qemu-io",
            &["-f", "qcow2", "-c", "write -P 3 1000 5000", "-c", "read -P 3 1000 5000", text(&overlay)],
        );
        let refused = Command::new("qemu-io").args(["-f", "raw", "-c", "write 0 512", uri]).output().unwrap();
        assert!(!refused.status.success(), "the export itself cannot be written");
    });
}
