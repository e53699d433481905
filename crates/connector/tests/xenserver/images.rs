//! Layered images in the pool: published, found again, left alone, removed.

use shale_connector::{ErrorKind, MachineSpec, Published, Result};
use shale_disk::Disk;
use xapi_sim::{Fault, value::Value};

use crate::bench::{Bench, TestDisk, go_on, run_once, spec};

impl Bench {
    /// Publishes the disk as the image with the bench's tag.
    fn publish(&self, disk: &TestDisk) -> Result<Published> {
        let size = disk.disk.size();
        self.connect().publish(&self.tag, &spec(size), &disk.origin(1), &go_on)
    }
}

#[test]
fn an_image_is_a_machine_that_is_off_with_the_whole_disk_and_the_templates_hardware() {
    let bench = Bench::new();
    let disk = bench.disk();
    let connector = bench.connect_with(|s| s["cpus"] = 7.into());
    let larger = MachineSpec { disk_size: 96 << 20, ..spec(96 << 20) };
    let told = connector.publish(&bench.tag, &larger, &disk.origin(1), &go_on).unwrap();
    assert!(told.how.contains("were sent") && told.place.contains("Shared storage"), "{told:?}");
    let mut expected = disk.bytes();
    expected.resize(96 << 20, 0);
    assert!(bench.bytes(&bench.packaging_disk()) == expected);
    let vm = &bench.sim.all("VM")[&bench.machine()];
    assert_eq!(vm["power_state"].text(), "Halted");
    assert!(!vm["is_a_template"].is_true());
    assert_eq!(vm["VCPUs_max"].int(), 1, "the settings size packaging machines only");
    let is_image = |tags: &Value| *tags == Value::strings(["Shale", "Shale Published Image"]);
    assert!(is_image(&vm["tags"]), "{:?}", vm["tags"]);
    let disks = bench.sim.all("VDI");
    assert!(is_image(&disks[&bench.packaging_disk()]["tags"]));
    assert!(disks.values().all(|vdi| !vdi["is_a_snapshot"].is_true() && !vdi["cbt_enabled"].is_true()));

    assert_eq!(connector.inventory().unwrap(), [], "it is the administrator's: no sweep sees it");
    connector.trim(&|_| true).unwrap();
    let again = bench.connect().publish(&bench.tag, &larger, &disk.origin(1), &go_on).unwrap();
    assert_eq!(again.how, "It was in the pool already.");
    connector.power_on(&bench.tag).unwrap();
    bench.sim.guest_powers_off(&bench.machine());
    connector.remove(&bench.tag).unwrap();
    bench.is_clean(&*connector);
}

#[test]
fn the_next_image_of_the_same_disk_sends_nothing() {
    let bench = Bench::new();
    let disk = bench.disk();
    bench.publish(&disk).unwrap();
    let second = crate::bench::id(101);
    let told = bench.connect().publish(&second, &spec(64 << 20), &disk.origin(1), &go_on).unwrap();
    assert!(told.how.contains("nothing was sent"), "{told:?}");
}

#[test]
fn an_image_that_somebody_uses_is_told_of() {
    let bench = Bench::new();
    let disk = bench.disk();
    let connector = bench.connect();
    assert_eq!(connector.claimed(&bench.tag).unwrap(), None, "absent");
    bench.publish(&disk).unwrap();
    assert_eq!(connector.claimed(&bench.tag).unwrap(), None);
    run_once(&bench, &*connector);
    let started = connector.claimed(&bench.tag).unwrap().unwrap();
    assert_eq!(started, "'tiny' was started");
    bench.sim.set("VM", &bench.machine(), "is_a_template", true.into());
    assert_eq!(connector.claimed(&bench.tag).unwrap().unwrap(), "'tiny' was made a template");
    // A template is no machine of ours any more, and its disk is held by it.
    connector.remove(&bench.tag).unwrap();
    assert!(bench.bytes(&bench.packaging_disk()) == disk.bytes());
}

#[test]
fn an_image_with_a_snapshot_is_claimed() {
    let bench = Bench::new();
    bench.publish(&bench.disk()).unwrap();
    let administrator = crate::outside::Administrator::of(&bench.settings());
    administrator.call("VM.snapshot", &[bench.machine().into(), "before".into()]);
    let told = bench.connect().claimed(&bench.tag).unwrap().unwrap();
    assert_eq!(told, "'tiny' has snapshots");
    bench.connect().trim(&|_| true).unwrap();
    assert_eq!(bench.connect().claimed(&bench.tag).unwrap().unwrap(), told, "a trim leaves it alone");
}

#[test]
fn an_image_that_is_not_whole_is_swept_and_what_a_repeated_call_left_goes() {
    let bench = Bench::new();
    let disk = bench.disk();
    bench.fault("VM.add_to_other_config", 1, Fault::Refuse);
    bench.publish(&disk).unwrap_err();
    let connector = bench.connect();
    assert_eq!(connector.inventory().unwrap(), std::slice::from_ref(&bench.tag));
    connector.remove(&bench.tag).unwrap();
    bench.is_clean(&*connector);

    bench.fault("Async.VM.clone", 1, Fault::Twice);
    bench.publish(&disk).unwrap();
    // The repeated call may do its work only now: then it goes with the next trim.
    bench.settle();
    bench.connect().trim(&|_| true).unwrap();
    let ours = |vm: &xapi_sim::value::Record| {
        vm["name_label"].text() == "tiny" || vm["name_label"].text().starts_with("shale ")
    };
    assert_eq!(bench.sim.all("VM").values().filter(|vm| ours(vm)).count(), 1);
}

#[test]
fn this_host_takes_no_images() {
    let folder = tempfile::tempdir().unwrap();
    let local = shale_connector::open("local", &serde_json::json!({}), folder.path()).unwrap();
    let bench_disk = TestDisk::new(&folder, "a.raw", 1 << 20, &[]);
    let tag = crate::bench::id(1);
    let refused = local.publish(&tag, &spec(1 << 20), &bench_disk.origin(1), &go_on).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(shale_connector::takes_images("xenserver") && !shale_connector::takes_images("local"));
    assert!(!shale_connector::boots_images("xenserver") && shale_connector::boots_images("local"));
}
