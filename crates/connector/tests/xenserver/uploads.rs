//! A disk gets there whole, or is not taken for one that did.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use shale_connector::{ErrorKind, Origin};
use shale_disk::{Content, Disk};
use xapi_sim::{Fault, Rule};

use crate::bench::{Bench, Difference, EXPORT, TestDisk, UPLOAD, go_on, id, no_command, spec};
use crate::outside::Administrator;

#[test]
fn only_data_is_sent_and_progress_is_told() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    let sent = AtomicU64::new(0);
    let count = |more| {
        sent.fetch_add(more, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    connector.ensure_disk(&bench.tag, &spec(disk.disk.size()), &disk.origin(1), &count).unwrap();
    let data: u64 = crate::bench::stretches(&disk.disk, Content::Data).iter().map(|(_, length)| length).sum();
    assert!(data < 6 << 20);
    assert_eq!(sent.into_inner(), data);
}

#[test]
fn an_upload_that_breaks_is_an_error_and_leaves_nothing_and_the_next_try_is_right() {
    let full =
        || Fault::ErrorAfter(["SR_BACKEND_FAILURE_44", "", "no space", ""].map(str::to_owned).to_vec());
    // (what goes wrong, what kind of error it is)
    let table = [
        (Fault::Cut(1 << 20), ErrorKind::Io),
        (Fault::Refuse, ErrorKind::Io),
        (full(), ErrorKind::Full),
        // Where space is given out as it is written, a full storage is a broken disk.
        (Fault::SrFull, ErrorKind::Io),
        // The pool says that all is well, and it is not.
        (Fault::ShortWrite(2 << 20), ErrorKind::Io),
    ];
    for (fault, kind) in table {
        let bench = Bench::new();
        let connector = bench.connect();
        let disk = bench.disk();
        // The first request only finds the host.
        bench.fault(UPLOAD, 2, fault.clone());
        let made = bench.make(&*connector, &disk);
        let error = made.expect_err(&format!("{fault:?}"));
        assert_eq!(error.kind(), kind, "{fault:?}: {error} {:?}", std::error::Error::source(&error));
        assert_eq!(kind.retry_later(), kind != ErrorKind::Full, "a task tries it again by itself");
        assert!(bench.base_disks().is_empty(), "{fault:?}");
        bench.is_clean(&*connector);
        bench.make(&*connector, &disk).unwrap();
        assert!(bench.bytes(&bench.packaging_disk()) == disk.bytes(), "{fault:?}");
    }
}

#[test]
fn a_disk_for_which_the_storage_has_no_room_is_refused_before_anything_is_sent() {
    let bench = Bench::with(|config| config.sr_size = 4 << 20);
    let connector = bench.connect();
    let error = bench.make(&*connector, &bench.disk()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(error.to_string().contains("4 MiB free"), "{error}");
    assert!(bench.disks().is_empty());
}

#[test]
fn a_session_lost_in_the_midst_of_an_upload_is_begun_anew() {
    for lost in [Fault::SessionLost(1 << 20), Fault::SessionLost(0)] {
        let bench = Bench::new();
        let connector = bench.connect();
        let disk = bench.disk();
        bench.fault(UPLOAD, 2, lost);
        if bench.make(&*connector, &disk).is_err() {
            bench.make(&*connector, &disk).unwrap();
        }
        assert!(bench.bytes(&bench.packaging_disk()) == disk.bytes());
        connector.remove(&bench.tag).unwrap();
        bench.is_clean(&*connector);
    }
}

#[test]
fn an_upload_whose_task_is_forgotten_is_proven_by_its_bytes() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    bench.fault(UPLOAD, 2, Fault::TaskLost);
    let made = bench.make(&*connector, &disk);
    // Either the proof tells that all is there, or it is sent again: never something else.
    if made.is_err() {
        bench.make(&*connector, &disk).unwrap();
    }
    assert!(bench.bytes(&bench.packaging_disk()) == disk.bytes());
}

#[test]
fn a_task_is_forgotten_65_minutes_after_its_end() {
    let bench = Bench::new();
    let connector = bench.connect();
    bench.make(&*connector, &bench.disk()).unwrap();
    bench.sim.advance(std::time::Duration::from_secs(66 * 60));
    connector.remove(&bench.tag).unwrap();
    bench.is_clean(&*connector);
}

#[test]
fn a_proof_that_fails_on_its_way_proves_nothing() {
    for fault in [Fault::Cut(3000), Fault::ErrorInBody(0), Fault::Refuse] {
        let bench = Bench::new();
        let connector = bench.connect();
        let disk = bench.disk();
        bench.fault(EXPORT, 1, fault.clone());
        let error = bench.make(&*connector, &disk).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{fault:?}: {error}");
        assert!(bench.base_disks().is_empty(), "{fault:?}");
        bench.make(&*connector, &disk).unwrap();
    }
}

#[test]
fn an_upload_is_stopped_when_asked_and_leaves_nothing() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    for limit in [0, 1 << 20] {
        let sent = AtomicU64::new(0);
        let stop = |more| {
            let sum = sent.fetch_add(more, Ordering::Relaxed) + more;
            if sum >= limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let stopped = connector.ensure_disk(&bench.tag, &spec(64 << 20), &disk.origin(1), &stop).unwrap_err();
        assert_eq!(stopped.kind(), ErrorKind::Stopped);
        assert!(bench.disks().is_empty(), "{:?}", bench.disks());
        bench.is_clean(&*connector);
    }
}

#[test]
fn a_disk_that_is_in_use_for_a_moment_after_its_upload_is_waited_for() {
    let bench = Bench::with(|config| config.detach_delay = std::time::Duration::from_millis(700));
    let connector = bench.connect();
    let disk = bench.disk();
    bench.make(&*connector, &disk).unwrap();
    connector.remove(&bench.tag).unwrap();
    bench.is_clean(&*connector);
}

#[test]
fn storage_of_another_host_is_reached_by_being_sent_there() {
    let bench = Bench::new();
    let connector = bench.connect_with(|s| s["storage_repository"] = "Local storage on host2".into());
    let disk = bench.disk();
    bench.make(&*connector, &disk).unwrap();
    assert!(bench.bytes(&bench.packaging_disk()) == disk.bytes());
    let changes = connector.open_changes(&bench.tag, &go_on).unwrap();
    assert_eq!(crate::bench::stretches(&*changes.disk, Content::Hole), [(0, 64 << 20)]);
}

#[test]
fn the_second_machine_of_an_origin_sends_nothing() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    bench.make(&*connector, &disk).unwrap();
    connector.remove(&bench.tag).unwrap();
    bench.sim.fault(Rule::always(UPLOAD, Fault::Refuse));
    let how = bench.make(&*connector, &disk).unwrap();
    assert!(how.contains("nothing was sent"), "{how}");
    assert!(bench.bytes(&bench.packaging_disk()) == disk.bytes());
}

#[test]
fn the_next_version_sends_only_what_differs_from_the_base_disk_that_is_there() {
    let bench = Bench::new();
    let connector = bench.connect();
    let old = bench.disk();
    bench.make(&*connector, &old).unwrap();
    connector.remove(&bench.tag).unwrap();

    // Larger; something new; and what was in the middle is empty now.
    let new = TestDisk::new(
        &bench.folder,
        "new.raw",
        80 << 20,
        &[(0, 300_000, 1), (30 << 20, 70_000, 9), ((64 << 20) - 512, 512, 3)],
    );
    let mut before = old.bytes();
    before.resize(80 << 20, 0);
    let since = |asked: &shale_connector::Tag| -> Option<Box<dyn Disk + '_>> {
        (*asked == id(1)).then(|| Box::new(Difference { old: before.clone(), new: &new }) as Box<dyn Disk>)
    };
    let origin = Origin { id: id(2), disk: &new.disk, since: &since, total: &|_| {}, serve: no_command() };
    let how = connector.ensure_disk(&bench.tag, &spec(80 << 20), &origin, &go_on).unwrap();
    assert!(how.contains("differ from an older base disk"), "{how}");
    assert!(bench.bytes(&bench.packaging_disk()) == new.bytes());
    assert_eq!(bench.base_disks().len(), 2);
    // What it shares with the older one counts, too.
    let taken = |base: &String| {
        let config = &bench.sim.all("VDI")[base]["other_config"];
        config.member("shale:bytes").unwrap().text().parse::<u64>().unwrap()
    };
    assert!(bench.base_disks().iter().all(|base| taken(base) > 5 << 20));
}

#[test]
fn base_disks_go_when_unknown_and_when_too_many() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    for number in [1, 2] {
        connector.ensure_disk(&id(50 + number), &spec(64 << 20), &disk.origin(number), &go_on).unwrap();
    }
    assert!(connector.trim(&|_| true).unwrap().is_empty());
    let gone = connector.trim(&|origin| *origin == id(2)).unwrap();
    assert_eq!(gone.len(), 1);
    assert!(gone[0].contains(id(1).as_str()), "{gone:?}");
    assert_eq!(bench.base_disks().len(), 1);
    let without_room = bench.connect_with(|s| s["base_disk_cache_gib"] = 0.into());
    assert_eq!(without_room.trim(&|_| true).unwrap().len(), 1);
    assert!(bench.base_disks().is_empty());
    assert_eq!(connector.inventory().unwrap().len(), 2, "what machines need stays");
}

#[test]
fn two_machines_of_one_origin_at_once_send_it_once() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    let hows: Vec<String> = std::thread::scope(|scope| {
        let make = |number| {
            let (connector, disk) = (&connector, &disk);
            scope.spawn(move || {
                connector.ensure_disk(&id(number), &spec(64 << 20), &disk.origin(1), &go_on).unwrap()
            })
        };
        let threads = [make(61), make(62)];
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(hows.iter().filter(|how| how.contains("nothing was sent")).count(), 1, "{hows:?}");
    assert_eq!(bench.base_disks().len(), 1);
}

#[test]
fn what_people_make_of_base_disks_is_theirs() {
    let bench = Bench::new();
    let connector = bench.connect();
    bench.make(&*connector, &bench.disk()).unwrap();
    connector.remove(&bench.tag).unwrap();
    let base = serde_json::json!(bench.base_disks()[0]);
    let administrator = Administrator::of(&bench.settings());
    administrator.call("VDI.snapshot", &[base.clone(), serde_json::json!({})]);
    let clone = administrator.call("VDI.clone", &[base, serde_json::json!({})]);
    administrator.call("VDI.set_name_label", &[clone, "mine".into()]);
    assert_eq!(connector.trim(&|_| true).unwrap(), Vec::<String>::new());
    assert_eq!(connector.trim(&|_| false).unwrap().len(), 1);
    assert_eq!(bench.disks().len(), 2, "{:?}", bench.disks());
}

#[test]
fn a_base_disk_that_goes_while_it_is_used_is_sent_again() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    let gone = ["HANDLE_INVALID", "VDI", "OpaqueRef:1"].map(str::to_owned).to_vec();
    bench.fault("Async.VDI.clone", 1, Fault::ErrorBefore(gone));
    bench.make(&*connector, &disk).unwrap();
    assert!(bench.bytes(&bench.packaging_disk()) == disk.bytes());
}

#[test]
fn a_base_disk_that_somebody_booted_is_not_used_any_more_and_goes_when_it_is_free() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    bench.make(&*connector, &disk).unwrap();
    connector.remove(&bench.tag).unwrap();
    let base = bench.base_disks()[0].clone();
    let administrator = Administrator::of(&bench.settings());
    let vm = administrator.call("VM.clone", &[bench.sim.template(false).into(), "theirs".into()]);
    let vbd = serde_json::json!({
        "VM": vm, "VDI": base, "userdevice": "0", "bootable": true, "mode": "RW", "type": "Disk", "unpluggable": false,
        "empty": false, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {},
    });
    let vbd = administrator.call("VBD.create", &[vbd]);
    let how = bench.make(&*connector, &disk).unwrap();
    assert!(how.contains("they stay as a base disk"), "{how}");
    assert_eq!(connector.trim(&|_| true).unwrap(), Vec::<String>::new());
    assert!(bench.base_disks().contains(&base));
    administrator.call("VBD.destroy", &[vbd]);
    assert_eq!(connector.trim(&|_| true).unwrap().len(), 1);
    assert!(!bench.base_disks().contains(&base));
}

#[test]
fn a_base_disk_that_somebody_wrote_to_is_sent_again_where_nbd_shows_it() {
    let bench = Bench::new();
    bench.add_nbd();
    let connector = bench.connect();
    let disk = bench.disk();
    bench.make(&*connector, &disk).unwrap();
    connector.remove(&bench.tag).unwrap();
    let file = bench.sim.disk_file(&bench.base_disks()[0]).unwrap();
    let file = std::fs::File::options().write(true).open(file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[9; 4096], 0).unwrap();
    let how = bench.make(&*connector, &disk).unwrap();
    assert!(how.contains("they stay as a base disk"), "{how}");
    assert!(bench.bytes(&bench.packaging_disk()) == disk.bytes());
}
