//! What is made on the pool, how it is found again, and that it goes.

use serde_json::json;
use shale_connector::{ErrorKind, Firmware, MachineSpec, Power};
use shale_disk::Disk;
use xapi_sim::{Fault, Rule, value::Value};

use crate::bench::{Bench, TestDisk, go_on, run_once, spec};
use crate::outside::Administrator;

#[test]
fn a_machine_is_made_found_by_another_connector_run_and_removed_without_trace() {
    let bench = Bench::new();
    let disk = bench.disk();
    let connector = bench.connect();
    connector.remove(&bench.tag).unwrap();
    let how = bench.make(&*connector, &disk).unwrap();
    assert!(how.contains("were sent") && how.contains("Proven"), "{how}");
    assert_eq!(bench.make(&*connector, &disk).unwrap(), "The disk was there already.");
    assert!(bench.bytes(&bench.packaging_disk()) == disk.bytes());

    let again = bench.connect();
    assert_eq!(again.inventory().unwrap(), std::slice::from_ref(&bench.tag));
    let seen = again.observe(&bench.tag).unwrap();
    assert_eq!(
        (seen.power, seen.was_powered_on, seen.detail, seen.name.as_str()),
        (Power::Off, false, None, "tiny")
    );
    assert!(seen.place.contains("Shared storage"), "{}", seen.place);
    run_once(&bench, &*again);
    assert!(again.observe(&bench.tag).unwrap().was_powered_on);
    assert!(bench.connect().observe(&bench.tag).unwrap().was_powered_on);

    again.remove(&bench.tag).unwrap();
    again.remove(&bench.tag).unwrap();
    assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Absent);
    bench.is_clean(&*connector);
    assert_eq!(bench.base_disks().len(), 1, "the base disk stays");
}

#[test]
fn a_machine_is_as_its_template_and_as_the_settings_say() {
    let bench = Bench::new();
    let template = bench.sim.template(false);
    bench.sim.set("VM", &template, "tags", Value::strings(["Lab"]));
    let config = Value::string_map([("folder", "/Packaging"), ("disks", "<provision/>")]);
    bench.sim.set("VM", &template, "other_config", config);
    let connector = bench.connect_with(|s| {
        s["memory_mib"] = json!(512);
        s["cpus"] = json!(3);
        s["power_on"] = json!(false);
    });
    assert!(!connector.powers_on_by_itself());
    bench.make(&*connector, &bench.disk()).unwrap();
    let all = bench.sim.all("VM");
    let vm = &all[&bench.machine()];
    let tags: Vec<&str> = match &vm["tags"] {
        Value::Set(tags) => tags.iter().map(Value::text).collect(),
        _ => Vec::new(),
    };
    assert_eq!(tags, ["Lab", "Shale", "Shale Packaging Machine"]);
    assert_eq!(vm["other_config"].member("folder").map(Value::text), Some("/Packaging"));
    assert!(vm["other_config"].member("disks").is_none());
    assert!(!vm["is_a_template"].is_true());
    assert_eq!([vm["memory_static_max"].int(), vm["memory_dynamic_min"].int()], [512 << 20; 2]);
    assert_eq!([vm["VCPUs_max"].int(), vm["VCPUs_at_startup"].int()], [3; 2]);
    assert_eq!(vm["HVM_boot_params"].member("order").map(|order| order.text().starts_with('c')), Some(true));
    let of_template =
        |class: &str| bench.sim.all(class).into_values().filter(|v| v["VM"].text() == template).count();
    assert_eq!([of_template("VIF"), of_template("VBD")], [1, 0], "the template is as it was");
}

#[test]
fn a_template_of_another_firmware_is_refused_before_anything_is_sent() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    let uefi = MachineSpec { firmware: Firmware::Uefi, ..spec(disk.disk.size()) };
    let refused = connector.ensure_disk(&bench.tag, &uefi, &disk.origin(1), &go_on).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    let text = refused.to_string();
    assert!(["Packaging (BIOS)", "BIOS", "UEFI"].iter().all(|word| text.contains(word)), "{text}");
    assert!(bench.disks().is_empty());
}

#[test]
fn a_guest_without_tools_is_told_of_and_not_cut() {
    let bench = Bench::new();
    let connector = bench.connect();
    bench.make(&*connector, &bench.disk()).unwrap();
    connector.shut_down(&bench.tag).unwrap();
    connector.power_on(&bench.tag).unwrap();
    let refused = connector.shut_down(&bench.tag).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("VM Tools"), "{refused}");
    assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Running);
    bench.sim.install_tools(&bench.machine());
    connector.shut_down(&bench.tag).unwrap();
    assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Off);
}

#[test]
fn a_machine_half_made_is_made_anew() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    // The clone is there and nobody was told; the next time, it is there and not marked.
    for call in ["Async.VM.clone", "VM.set_other_config", "VBD.create"] {
        bench.fault(call, 1, Fault::LoseReply);
        assert!(bench.make(&*connector, &disk).is_err(), "{call}");
        assert_eq!(connector.inventory().unwrap(), std::slice::from_ref(&bench.tag), "{call}");
        assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Absent, "{call}");
        assert_eq!(connector.power_on(&bench.tag).unwrap_err().kind(), ErrorKind::Absent, "{call}");
    }
    bench.make(&*connector, &disk).unwrap();
    connector.power_on(&bench.tag).unwrap();
    let ours = |vm: &xapi_sim::value::Record| vm["other_config"].member("shale:tag").is_some();
    assert_eq!(bench.sim.all("VM").into_values().filter(ours).count(), 1);
    connector.remove(&bench.tag).unwrap();
    bench.is_clean(&*connector);
}

#[test]
fn a_disk_half_made_is_made_anew_and_a_stray_clone_is_trimmed() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    for call in ["Async.VDI.create", "Async.VDI.clone", "VDI.set_name_label", "Async.VDI.snapshot"] {
        bench.fault(call, 1, Fault::LoseReply);
        let made = bench.make(&*connector, &disk);
        assert!(made.is_err() || call == "Async.VDI.snapshot", "{call}");
    }
    connector.remove(&bench.tag).unwrap();
    bench.make(&*connector, &disk).unwrap();
    assert!(bench.bytes(&bench.packaging_disk()) == disk.bytes());
    connector.trim(&|_| true).unwrap();
    connector.remove(&bench.tag).unwrap();
    bench.is_clean(&*connector);
    assert_eq!(bench.base_disks().len(), 1, "{:?}", bench.disks());
}

#[test]
fn what_the_network_repeated_or_the_pool_forgot_is_cleaned_up_with_the_rest() {
    let repeated =
        ["Async.VDI.create", "Async.VDI.clone", "Async.VDI.snapshot", "Async.VM.clone", "VBD.create"];
    let forgotten =
        ["Async.VDI.clone", "Async.VDI.snapshot", "Async.VM.clone", "Async.VM.provision", "Async.VM.start"];
    let cases = repeated.map(|call| (call, Fault::Twice)).into_iter();
    for (call, fault) in cases.chain(forgotten.map(|call| (call, Fault::TaskLost))) {
        let bench = Bench::new();
        let connector = bench.connect();
        let disk = TestDisk::new(&bench.folder, "small.raw", 4 << 20, &[(0, 300_000, 1)]);
        bench.fault(call, 1, fault.clone());
        if bench.make(&*connector, &disk).is_err() {
            bench.make(&*connector, &disk).unwrap();
        }
        if connector.power_on(&bench.tag).is_err() {
            connector.power_on(&bench.tag).unwrap();
        }
        assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Running, "{call} {fault:?}");
        connector.remove(&bench.tag).unwrap();
        bench.settle();
        connector.trim(&|_| true).unwrap();
        bench.is_clean(&*connector);
        assert_eq!(bench.base_disks().len(), 1, "{call} {fault:?}");
    }
}

#[test]
fn another_servers_things_are_not_in_the_inventory() {
    let bench = Bench::new();
    let connector = bench.connect();
    bench.make(&*connector, &bench.disk()).unwrap();
    let folder = bench.folder.path().join("another");
    let another = shale_connector::open("xenserver", &bench.settings(), &folder).unwrap();
    assert!(another.inventory().unwrap().is_empty());
    assert!(another.trim(&|_| false).unwrap().is_empty());
    assert_eq!(bench.base_disks().len(), 1);
}

#[test]
fn events_end_the_wait_and_silence_does_not_end_it_early() {
    let bench = Bench::new();
    let connector = bench.connect();
    bench.make(&*connector, &bench.disk()).unwrap();
    connector.power_on(&bench.tag).unwrap();
    let long = std::time::Duration::from_secs(60);
    // The first answer tells all that there is.
    connector.await_change(long).unwrap();
    let machine = bench.machine();
    let begun = std::time::Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(300));
            bench.sim.guest_powers_off(&machine);
        });
        connector.await_change(long).unwrap();
    });
    assert!(begun.elapsed() < long, "the event ended the wait");
    assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Off);
}

#[test]
fn a_disk_deleted_by_somebody_is_told() {
    let bench = Bench::new();
    let connector = bench.connect();
    bench.make(&*connector, &bench.disk()).unwrap();
    let vdi = bench.packaging_disk();
    Administrator::of(&bench.settings()).call("VDI.destroy", &[json!(vdi)]);
    let seen = connector.observe(&bench.tag).unwrap();
    assert!(seen.detail.unwrap().contains("was deleted"));
    assert_eq!(connector.open_changes(&bench.tag, &go_on).err().unwrap().kind(), ErrorKind::Damaged);
    connector.remove(&bench.tag).unwrap();
    bench.is_clean(&*connector);
}

#[test]
fn copies_that_people_make_of_a_machine_are_theirs_and_are_not_taken_for_it() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    bench.make(&*connector, &disk).unwrap();
    run_once(&bench, &*connector);
    let (machine, own) = (bench.machine(), bench.packaging_disk());
    let administrator = Administrator::of(&bench.settings());
    administrator.call("VM.snapshot", &[json!(machine), json!("before")]);
    administrator.call("VM.copy", &[json!(machine), json!("a copy"), json!("OpaqueRef:NULL")]);
    let clone = administrator.call("VM.clone", &[json!(machine), json!("a clone")]);
    let template = administrator.call("VM.clone", &[json!(machine), json!("a template")]);
    administrator.call("VM.set_is_a_template", &[template, json!(true)]);
    administrator.call("VM.snapshot", &[clone, json!("of a clone")]);
    let before: Vec<String> = bench.disks().into_iter().map(|(vdi, _, _)| vdi).collect();

    let file = std::fs::File::options().write(true).open(bench.sim.disk_file(&own).unwrap()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[7; 512], 0).unwrap();
    // Another connector has to find it, among its copies.
    let connector = bench.connect();
    assert_eq!(connector.observe(&bench.tag).unwrap().name, "tiny");
    let changes = connector.open_changes(&bench.tag, &go_on).unwrap();
    let mut read = vec![0; 512];
    changes.disk.read_at(&mut read, 0).unwrap();
    assert_eq!(read, [7; 512]);
    drop(changes);

    connector.remove(&bench.tag).unwrap();
    assert!(connector.inventory().unwrap().is_empty());
    let mut names: Vec<String> = bench
        .sim
        .all("VM")
        .into_values()
        .map(|vm| vm["name_label"].text().to_owned())
        .filter(|name| {
            name.starts_with("a ") || name.starts_with("of ") || name == "before" || name == "tiny"
        })
        .collect();
    names.sort();
    assert_eq!(names, ["a clone", "a copy", "a template", "of a clone"]);
    // The base disk, and one disk of each of the four.
    let after: Vec<String> = bench.disks().into_iter().map(|(vdi, _, _)| vdi).collect();
    assert_eq!(after.len(), 5, "{:?}", bench.disks());
    assert!(after.iter().all(|vdi| before.contains(vdi)) && !after.contains(&own));
}

#[test]
fn of_two_disks_that_could_be_the_machines_none_is_taken() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    let make = || connector.ensure_disk(&bench.tag, &spec(64 << 20), &disk.origin(1), &go_on);
    make().unwrap();
    let administrator = Administrator::of(&bench.settings());
    let copy = administrator.call("VDI.clone", &[json!(bench.packaging_disk()), json!({})]);
    let refused = make().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Damaged);
    assert!(refused.to_string().contains("delete the copies"), "{refused}");
    administrator.call("VDI.destroy", &[copy]);
    make().unwrap();
}

#[test]
fn tasks_that_were_left_on_the_pool_are_swept() {
    let bench = Bench::new();
    let connector = bench.connect();
    bench.sim.fault(Rule::always("task.destroy", Fault::Refuse));
    bench.make(&*connector, &bench.disk()).unwrap();
    bench.sim.clear_faults();
    let left = || {
        let tasks = bench.sim.all("task").into_values();
        tasks.filter(|task| task["other_config"].member("shale:owner").is_some()).count()
    };
    assert!(left() > 0);
    bench.connect().trim(&|_| true).unwrap();
    assert_eq!(left(), 0);
}
