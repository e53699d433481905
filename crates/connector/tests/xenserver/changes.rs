//! What a machine changed comes back right by every way, and by the next when one fails.

use shale_connector::{Changes, Connector, ErrorKind};
use shale_disk::Content;
use xapi_sim::{Fault, Rule};

use crate::bench::{Bench, EXPORT, TestDisk, go_on, noise, run_once, spec, stretches, whole};

const MIB: u64 = 1 << 20;

/// A machine that ran, and wrote: what its disk should be now.
fn worked(bench: &Bench, connector: &dyn Connector, disk: &TestDisk) -> Vec<u8> {
    bench.make(connector, disk).unwrap();
    run_once(bench, connector);
    let mut expected = disk.bytes();
    let zeros = vec![0; 2 * MIB as usize];
    for (offset, bytes) in [(100, &noise(5000, 7)[..]), (21 * MIB, &zeros), (50 * MIB, &noise(512, 8))] {
        bench.guest_writes(offset, bytes);
        expected[offset as usize..][..bytes.len()].copy_from_slice(bytes);
    }
    expected
}

fn read(bench: &Bench, connector: &dyn Connector) -> Changes {
    connector.open_changes(&bench.tag, &go_on).unwrap()
}

#[test]
fn nothing_has_changed_on_a_disk_that_was_only_made() {
    let bench = Bench::new();
    let connector = bench.connect();
    bench.make(&*connector, &bench.disk()).unwrap();
    let changes = read(&bench, &*connector);
    assert_eq!(stretches(&*changes.disk, Content::Hole), [(0, 64 * MIB)], "{}", changes.how);
}

#[test]
fn changed_blocks_and_nbd_bring_what_changed_and_no_more() {
    let bench = Bench::new();
    bench.add_nbd();
    let connector = bench.connect();
    let disk = bench.disk();
    let expected = worked(&bench, &*connector, &disk);
    let fetched = std::sync::atomic::AtomicU64::new(0);
    let count = |more| {
        fetched.fetch_add(more, std::sync::atomic::Ordering::Relaxed);
        std::ops::ControlFlow::Continue(())
    };
    let changes = connector.open_changes(&bench.tag, &count).unwrap();
    assert_eq!(changes.how, "Read were its changed blocks by NBD.");
    assert!(whole(&disk.bytes(), &changes) == expected);
    // 64 KiB for each of the two small changes, and 2 MiB that became empty.
    assert_eq!(fetched.into_inner(), 2 * MIB + (128 << 10));
    let zero: u64 = stretches(&*changes.disk, Content::Zero).iter().map(|(_, length)| length).sum();
    assert!(zero >= 2 * MIB, "what became empty is known to be: {zero}");
}

#[test]
fn without_nbd_a_vhd_of_what_differs_is_read() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    let expected = worked(&bench, &*connector, &disk);
    let changes = read(&bench, &*connector);
    assert!(changes.how.starts_with("Read was what differs from its snapshot"), "{}", changes.how);
    assert!(changes.how.contains("purpose 'nbd'"), "{}", changes.how);
    assert!(whole(&disk.bytes(), &changes) == expected);
    let hole: u64 = stretches(&*changes.disk, Content::Hole).iter().map(|(_, length)| length).sum();
    assert!(hole >= 54 * MIB, "only the blocks that changed came: {hole}");
}

#[test]
fn each_way_that_fails_is_followed_by_the_next_and_the_end_is_right() {
    let refusal = |code: &str| Fault::ErrorBefore(vec![code.into()]);
    let with_nbd = [
        ("VDI.list_changed_blocks", refusal("SR_BACKEND_FAILURE_460"), "what differs from its snapshot"),
        ("VDI.list_changed_blocks", refusal("LICENCE_RESTRICTION"), "what differs from its snapshot"),
    ];
    let without = [
        (EXPORT, Fault::ErrorInBody(3 * MIB), "the whole disk as a VHD"),
        (EXPORT, Fault::Cut(3 * MIB), "the whole disk as a VHD"),
        (EXPORT, Fault::ErrorInBody(0), "the whole disk as a VHD"),
        (EXPORT, Fault::TaskLost, "the whole disk as a VHD"),
    ];
    let cases = with_nbd.into_iter().map(|c| (true, c)).chain(without.into_iter().map(|c| (false, c)));
    for (nbd, (call, fault, expected_way)) in cases {
        let bench = Bench::new();
        if nbd {
            bench.add_nbd();
        }
        let connector = bench.connect();
        let disk = bench.disk();
        let expected = worked(&bench, &*connector, &disk);
        bench.fault(call, 1, fault.clone());
        let changes = read(&bench, &*connector);
        assert!(changes.how.contains(&format!("Read was {expected_way}")), "{fault:?}: {}", changes.how);
        assert!(changes.how.contains("failed"), "{fault:?}: {}", changes.how);
        assert!(whole(&disk.bytes(), &changes) == expected, "{fault:?}");
        drop(changes);
        connector.remove(&bench.tag).unwrap();
        bench.is_clean(&*connector);
    }
}

#[test]
fn a_whole_vhd_in_place_of_a_difference_is_taken_for_a_whole_disk() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    let mut expected = worked(&bench, &*connector, &disk);
    // What the guest discarded is in no block of a whole VHD.
    let file = bench.sim.disk_file(&bench.packaging_disk()).unwrap();
    let range = ["--punch-hole", "--offset", "22MiB", "--length", "2MiB"];
    assert!(std::process::Command::new("fallocate").args(range).arg(file).status().unwrap().success());
    expected[22 * MIB as usize..24 * MIB as usize].fill(0);
    bench.fault(EXPORT, 1, Fault::BaseIgnored);
    let changes = read(&bench, &*connector);
    assert!(whole(&disk.bytes(), &changes) == expected, "{}", changes.how);
    assert!(stretches(&*changes.disk, Content::Hole).is_empty());
}

#[test]
fn when_vhds_fail_the_whole_disk_is_read_raw() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    let expected = worked(&bench, &*connector, &disk);
    for nth in [1, 2] {
        bench.fault(EXPORT, nth, Fault::Cut(100));
    }
    let changes = read(&bench, &*connector);
    assert!(changes.how.starts_with("Read was the whole disk, since"), "{}", changes.how);
    assert!(whole(&disk.bytes(), &changes) == expected);
    assert_eq!(stretches(&*changes.disk, Content::Hole), []);
}

#[test]
fn when_every_way_fails_each_is_told_and_nothing_is_left() {
    let bench = Bench::new();
    let connector = bench.connect();
    worked(&bench, &*connector, &bench.disk());
    bench.sim.fault(Rule::always(EXPORT, Fault::Cut(1000)));
    let error = connector.open_changes(&bench.tag, &go_on).err().unwrap();
    for way in ["what differs", "as a VHD", "reading the whole disk failed"] {
        assert!(error.to_string().contains(way), "{error}");
    }
    bench.sim.clear_faults();
    connector.remove(&bench.tag).unwrap();
    bench.is_clean(&*connector);
}

#[test]
fn a_disk_without_snapshot_is_read_whole() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    let full = ["SR_BACKEND_FAILURE_44", "", "no space", ""].map(str::to_owned).to_vec();
    bench.fault("Async.VDI.snapshot", 1, Fault::ErrorBefore(full));
    let expected = worked(&bench, &*connector, &disk);
    let changes = read(&bench, &*connector);
    assert!(changes.how.contains("there is no snapshot"), "{}", changes.how);
    assert!(whole(&disk.bytes(), &changes) == expected);
}

#[test]
fn a_machine_whose_disk_is_read_stays_off_until_that_is_done() {
    let bench = Bench::new();
    let connector = bench.connect();
    worked(&bench, &*connector, &bench.disk());
    let changes = read(&bench, &*connector);
    assert_eq!(connector.power_on(&bench.tag).unwrap_err().kind(), ErrorKind::Busy);
    drop(changes);
    connector.power_on(&bench.tag).unwrap();
    let refused = connector.open_changes(&bench.tag, &go_on).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Busy);
}

#[test]
fn a_larger_disk_has_its_partition_table_at_its_end_and_that_is_no_change() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = TestDisk::new(&bench.folder, "gpt.raw", 64 << 20, &[]);
    let sgdisk = |arguments: &[&str], file: &std::path::Path| {
        let ran = std::process::Command::new("sgdisk").args(arguments).arg(file).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
        String::from_utf8(ran.stdout).unwrap()
    };
    sgdisk(&["-n1:0:+20M"], &disk.path);

    let larger = spec(96 << 20);
    connector.ensure_disk(&bench.tag, &larger, &disk.origin(1), &go_on).unwrap();
    connector.ensure_machine(&bench.tag, &larger).unwrap();
    let file = bench.sim.disk_file(&bench.packaging_disk()).unwrap();
    let verdict = sgdisk(&["-v"], &file);
    assert!(verdict.contains("No problems found"), "{verdict}");
    let changes = read(&bench, &*connector);
    assert_eq!(changes.disk.size(), 96 << 20);
    assert_eq!(stretches(&*changes.disk, Content::Hole), [(0, 96 << 20)], "{}", changes.how);
    let another = connector.ensure_disk(&bench.tag, &spec(128 << 20), &disk.origin(1), &go_on);
    assert_eq!(another.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn nbd_in_the_clear_is_used_only_where_transfers_may_be_in_the_clear() {
    for (https, way) in [(true, "as a VHD"), (false, "by NBD")] {
        let bench = Bench::new();
        let purpose = xapi_sim::value::Value::strings(["insecure_nbd"]);
        bench.sim.set("network", &bench.sim.network(), "purpose", purpose);
        let connector = bench.connect_with(|s| {
            s["https_transfers"] = https.into();
            if !https {
                (s["address"], s["allow_plain_http"]) = (bench.sim.url().into(), true.into());
            }
        });
        let disk = bench.disk();
        let expected = worked(&bench, &*connector, &disk);
        let changes = connector.open_changes(&bench.tag, &go_on).unwrap();
        assert!(changes.how.contains(way) && !changes.how.contains("failed"), "{https}: {}", changes.how);
        assert!(whole(&disk.bytes(), &changes) == expected);
    }
}

#[test]
fn what_a_guest_wrote_where_storage_rounded_its_disk_up_is_not_cut_off_unseen() {
    for nbd in [true, false] {
        let bench = Bench::new();
        if nbd {
            bench.add_nbd();
        }
        let connector = bench.connect();
        let disk = TestDisk::new(&bench.folder, "odd.raw", (8 << 20) + 512, &[(0, 512, 1)]);
        bench.make(&*connector, &disk).unwrap();
        bench.guest_writes(8 << 20, &[1; 512]);
        let changes = read(&bench, &*connector);
        assert_eq!(changes.disk.size(), (8 << 20) + 512);
        drop(changes);
        bench.guest_writes((10 << 20) - 512, &[1; 512]);
        let refused = connector.open_changes(&bench.tag, &go_on).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert!(refused.to_string().contains("max layer size"), "{refused}");
    }
}
