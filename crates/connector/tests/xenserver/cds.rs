//! CDs: in a drive where the pool can, as a disk where it cannot, replaced, taken out, and gone with the machine.

use std::path::PathBuf;

use shale_connector::{Connector, ErrorKind, Power};
use xapi_sim::value::Value;
use xapi_sim::{Fault, names};

use crate::bench::{Bench, go_on, noise};

impl Bench {
    /// A CD image of some sectors.
    fn image(&self, seed: u32) -> PathBuf {
        let path = self.folder.path().join(format!("{seed}.iso"));
        std::fs::write(&path, noise(300 * 2048, seed)).unwrap();
        path
    }

    /// Devices of the machine besides its boot disk: (type, mode, disk).
    fn media(&self) -> Vec<(String, String, String)> {
        let machine = self.machine();
        let of_machine = self.sim.all("VBD").into_values().filter(|vbd| {
            vbd["VM"].text() == machine && vbd["userdevice"].text() != "0" && !vbd["empty"].is_true()
        });
        let text = |vbd: &xapi_sim::value::Record, field: &str| vbd[field].text().to_owned();
        of_machine.map(|vbd| (text(&vbd, "type"), text(&vbd, "mode"), text(&vbd, "VDI"))).collect()
    }

    /// The CDs of ours on the pool.
    fn cds(&self) -> Vec<String> {
        let all = self.disks().into_iter().filter(|(_, name, _)| name.starts_with("SHALE-TOOLS"));
        all.map(|(vdi, _, _)| vdi).collect()
    }

    fn no_new_isos(&self) {
        let library = self.sim.named("SR", names::ISO_SR);
        self.sim.set("SR", &library, "allowed_operations", Value::strings(["scan"]));
    }

    /// The one CD holds what the image does.
    fn holds(&self, image: &std::path::Path) -> String {
        let [cd] = &self.cds()[..] else { panic!("{:?}", self.disks()) };
        let image = std::fs::read(image).unwrap();
        assert!(self.bytes(cd)[..image.len()] == image);
        cd.clone()
    }
}

fn ready(bench: &Bench) -> Box<dyn Connector> {
    let connector = bench.connect();
    bench.make(&*connector, &bench.disk()).unwrap();
    connector
}

#[test]
fn a_cd_is_inserted_replaced_while_the_machine_runs_and_taken_out() {
    let bench = Bench::new();
    let connector = ready(&bench);
    assert_eq!(connector.observe(&bench.tag).unwrap().no_cd, None);
    let (first, second) = (bench.image(1), bench.image(2));
    connector.set_cd(&bench.tag, Some(&first), &go_on).unwrap();
    let cd = bench.holds(&first);
    assert_eq!(bench.media(), [("CD".into(), "RO".into(), cd)]);
    assert_eq!(connector.observe(&bench.tag).unwrap().cd.unwrap(), "in its CD drive");

    connector.power_on(&bench.tag).unwrap();
    connector.set_cd(&bench.tag, Some(&second), &go_on).unwrap();
    let cd = bench.holds(&second);
    assert_eq!(bench.media(), [("CD".into(), "RO".into(), cd)]);
    connector.set_cd(&bench.tag, None, &go_on).unwrap();
    assert!(bench.media().is_empty() && bench.cds().is_empty());
    assert_eq!(connector.observe(&bench.tag).unwrap().cd, None);

    connector.set_cd(&bench.tag, Some(&first), &go_on).unwrap();
    bench.sim.guest_powers_off(&bench.machine());
    assert!(connector.open_changes(&bench.tag, &crate::bench::go_on).is_ok(), "the CD is no part of it");
    connector.remove(&bench.tag).unwrap();
    bench.is_clean(&*connector);
}

#[test]
fn where_the_pool_takes_no_images_the_machine_has_it_as_a_disk_that_it_cannot_write() {
    let bench = Bench::new();
    bench.no_new_isos();
    let connector = ready(&bench);
    let (first, second) = (bench.image(1), bench.image(2));
    for image in [&first, &second] {
        connector.set_cd(&bench.tag, Some(image), &go_on).unwrap();
        let cd = bench.holds(image);
        assert_eq!(bench.media(), [("Disk".into(), "RO".into(), cd)]);
    }
    let told = connector.observe(&bench.tag).unwrap().cd.unwrap();
    assert!(told.contains("read-only disk") && told.contains("SHALE-TOOLS"), "{told}");
    connector.power_on(&bench.tag).unwrap();
    let refused = connector.set_cd(&bench.tag, Some(&first), &go_on).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy);
    assert!(refused.to_string().contains("shut it down first"), "{refused}");
    bench.holds(&second);
    connector.power_off(&bench.tag).unwrap();
    connector.remove(&bench.tag).unwrap();
    bench.is_clean(&*connector);
}

#[test]
fn an_iso_storage_that_fails_is_done_without() {
    let bench = Bench::new();
    let connector = ready(&bench);
    let image = bench.image(1);
    let full = || Fault::ErrorBefore(vec!["SR_BACKEND_FAILURE_44".into(), String::new(), "full".into()]);
    bench.fault("Async.VDI.create", 1, full());
    connector.set_cd(&bench.tag, Some(&image), &go_on).unwrap();
    bench.holds(&image);
    assert_eq!(bench.media()[0].0, "Disk");
}

#[test]
fn whatever_call_goes_wrong_the_next_try_gives_the_cd_and_nothing_is_left_of_the_first() {
    let undisturbed = {
        let bench = Bench::new();
        let connector = ready(&bench);
        let before = bench.sim.calls();
        connector.set_cd(&bench.tag, Some(&bench.image(1)), &go_on).unwrap();
        bench.sim.calls() - before
    };
    assert!(undisturbed > 10, "{undisturbed} calls");
    for nth in 1..=undisturbed {
        for fault in [Fault::Refuse, Fault::LoseReply] {
            let bench = Bench::new();
            let connector = ready(&bench);
            let image = bench.image(1);
            bench.fault("*", nth, fault.clone());
            let first = connector.set_cd(&bench.tag, Some(&image), &go_on);
            bench.sim.clear_faults();
            connector.set_cd(&bench.tag, Some(&image), &go_on).unwrap();
            bench.holds(&image);
            assert_eq!(bench.media().len(), 1, "call {nth}: {fault:?}: {first:?}");
            assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Off);
            connector.remove(&bench.tag).unwrap();
            bench.is_clean(&*connector);
        }
    }
}

#[test]
fn an_image_that_somebody_inserted_makes_room_and_stays_on_its_storage() {
    let bench = Bench::new();
    let connector = ready(&bench);
    let administrator = crate::outside::Administrator::of(&bench.settings());
    let library = bench.sim.named("SR", names::ISO_SR);
    let theirs = administrator.call(
        "VDI.create",
        &[serde_json::json!({
            "name_label": "theirs.iso", "SR": library, "virtual_size": "4096", "type": "user", "sharable": true,
            "read_only": true, "other_config": {},
        })],
    );
    administrator.call(
        "VBD.create",
        &[serde_json::json!({
            "VM": bench.machine(), "VDI": theirs, "userdevice": "3", "bootable": false, "mode": "RO", "type": "CD",
            "empty": false, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {},
        })],
    );
    let image = bench.image(1);
    connector.set_cd(&bench.tag, Some(&image), &go_on).unwrap();
    let cd = bench.holds(&image);
    assert_eq!(bench.media(), [("CD".into(), "RO".into(), cd)]);
    connector.remove(&bench.tag).unwrap();
    assert!(bench.disks().iter().any(|(_, name, _)| name == "theirs.iso"));
}
