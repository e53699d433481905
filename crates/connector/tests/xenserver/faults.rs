//! Lost replies and refusals at every call of a whole life: however it goes wrong, trying again ends right.

use shale_connector::{Connector, Power, Result};
use xapi_sim::{Fault, Rule};

use crate::bench::{Bench, TestDisk, go_on, whole};

/// A whole life; every step is tried again a few times, as a task does.
fn life(bench: &Bench, connector: &dyn Connector, disk: &TestDisk) {
    let tag = &bench.tag;
    again(|| bench.make(connector, disk));
    again(|| connector.power_on(tag));
    assert_eq!(again(|| connector.observe(tag)).power, Power::Running);
    bench.guest_writes(4096, &[0xab; 4096]);
    bench.sim.guest_powers_off(&bench.machine());
    let changes = again(|| connector.open_changes(tag, &go_on));
    let mut expected = disk.bytes();
    expected[4096..8192].fill(0xab);
    assert!(whole(&disk.bytes(), &changes) == expected, "{}", changes.how);
    drop(changes);
    again(|| connector.remove(tag));
}

#[track_caller]
fn again<T>(step: impl Fn() -> Result<T>) -> T {
    let mut last = None;
    for _ in 0..4 {
        match step() {
            Ok(done) => return done,
            Err(e) => last = Some(e),
        }
    }
    panic!("{last:?}")
}

/// The calls of an undisturbed life, the first one first.
fn calls() -> Vec<&'static str> {
    vec![
        "session.login_with_password",
        "pool.get_all_records",
        "host.get_all_records",
        "VDI.get_all_records",
        "VM.get_all_records",
        "SR.get_all_records",
        "PBD.get_all_records",
        "Async.VDI.create",
        "VDI.get_record",
        "task.create",
        "task.get_record",
        "task.destroy",
        "VDI.get_nbd_info",
        "VDI.set_other_config",
        "Async.VDI.clone",
        "VDI.set_name_label",
        "VDI.set_tags",
        "Async.VDI.enable_cbt",
        "Async.VDI.snapshot",
        "Async.VM.clone",
        "VM.set_other_config",
        "Async.VM.provision",
        "VM.set_is_a_template",
        "VM.set_name_label",
        "VBD.create",
        "VM.add_to_other_config",
        "Async.VM.start",
        "VM.get_record",
        "VBD.get_record",
        "VDI.list_changed_blocks",
        "Async.VM.destroy",
        "Async.VDI.destroy",
        "task.get_all_records",
        "PUT /import_raw_vdi",
        "GET /export_raw_vdi",
    ]
}

fn survives(calls: &[&str], fault: impl Fn() -> Fault) {
    for call in calls {
        let bench = Bench::new();
        let connector = bench.connect();
        let disk =
            TestDisk::new(&bench.folder, "small.raw", 8 << 20, &[(0, 300_000, 1), ((8 << 20) - 512, 512, 2)]);
        bench.sim.fault(Rule { call: (*call).into(), nth: 1, times: 1, fault: fault() });
        println!("{call}");
        life(&bench, &*connector, &disk);
        bench.sim.clear_faults();
        // What a lost reply hid is found by the sweep.
        connector.trim(&|_| true).unwrap();
        bench.is_clean(&*connector);
        assert!(bench.base_disks().len() <= 1, "{call}: {:?}", bench.disks());
    }
}

#[test]
fn every_lost_reply_is_survived() {
    survives(&calls(), || Fault::LoseReply);
}

#[test]
fn every_refused_connection_is_survived() {
    survives(&calls(), || Fault::Refuse);
}

#[test]
fn every_error_after_the_effect_is_survived() {
    survives(&calls(), || Fault::ErrorAfter(vec!["INTERNAL_ERROR".into(), "the database is away".into()]));
}

#[test]
fn every_loss_of_the_coordinator_is_survived() {
    // Before the first login is done, no other host is known.
    survives(&calls()[3..], || Fault::CoordinatorLost);
}
