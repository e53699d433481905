//! The connector's test, line by line, and what there is to choose from.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;
use shale_connector::{Check, Outcome};
use xapi_sim::value::Value;
use xapi_sim::{Fault, Rule};

use crate::bench::Bench;

fn line<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no line {name}: {checks:#?}"))
}

#[test]
fn a_pool_that_has_all_is_told_of_line_by_line() {
    let bench = Bench::new();
    let connector = bench.connect();
    let checks = connector.test();
    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    let expected = [
        "reach",
        "certificate",
        "login",
        "version",
        "pool",
        "rights",
        "template",
        "storage",
        "space",
        "transfers",
    ];
    assert_eq!(names, expected);
    for check in &checks {
        let expected = if check.name == "transfers" { Outcome::Warn } else { Outcome::Ok };
        assert_eq!(check.outcome, expected, "{check:?}");
    }
    assert!(line(&checks, "certificate").detail.contains("confirmed"));
    assert!(line(&checks, "version").detail.contains("XenServer 8.4.0, XenAPI 2.21"));
    assert!(line(&checks, "pool").detail.contains("2 host(s)"));
    assert!(line(&checks, "template").detail.contains("BIOS"));
    bench.add_nbd();
    assert_eq!(line(&connector.test(), "transfers").outcome, Outcome::Ok);
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let bench = Bench::new();
    let cases = [
        ("password", json!("wrong"), "login", "password"),
        ("address", json!("https://127.0.0.1:1"), "reach", "cannot be reached"),
        ("template", json!("None such"), "template", "there is no template 'None such'"),
        ("template", json!("Other install media"), "template", "of your own"),
        ("template", json!(""), "template", "no template is chosen"),
        ("storage_repository", json!("Nowhere"), "storage", "there is no storage repository 'Nowhere'"),
    ];
    for (setting, value, name, expected) in cases {
        let checks = bench.connect_with(|s| s[setting] = value.clone()).test();
        let check = line(&checks, name);
        assert_eq!(check.outcome, Outcome::Failed, "{setting}={value}: {check:?}");
        assert!(check.detail.contains(expected), "{setting}={value}: {check:?}");
        assert!(!format!("{checks:?}").contains("wrong\""), "the password is not shown");
        let _ = std::fs::remove_dir_all(bench.folder.path().join("connector"));
    }
    let other_case = bench.connect_with(|s| s["storage_repository"] = json!("shared STORAGE")).test();
    let check = line(&other_case, "storage");
    assert_eq!(check.outcome, Outcome::Warn);
    assert!(check.hint.as_ref().unwrap().contains("'Shared storage'"));
}

#[test]
fn a_template_that_does_not_fit_and_a_storage_that_is_not_attached_are_told() {
    let bench = Bench::new();
    for pbd in bench.sim.all("PBD").keys() {
        bench.sim.set("PBD", pbd, "currently_attached", false.into());
    }
    let template = bench.sim.template(false);
    let vifs: Vec<String> = bench
        .sim
        .all("VIF")
        .into_iter()
        .filter(|(_, v)| v["VM"].text() == template)
        .map(|(r, _)| r)
        .collect();
    for vif in vifs {
        bench.sim.set("VIF", &vif, "VM", Value::string(bench.sim.template(true)));
    }
    bench.sim.set("VM", &template, "VIFs", Value::Set(Vec::new()));
    let checks = bench.connect().test();
    let check = line(&checks, "template");
    assert_eq!(check.outcome, Outcome::Failed);
    assert!(check.detail.contains("no network interface"), "{check:?}");
    let check = line(&checks, "storage");
    assert_eq!(check.outcome, Outcome::Failed);
    assert!(check.detail.contains("attached to no host"), "{check:?}");
}

#[test]
fn each_role_is_told_what_it_lacks() {
    let bench = Bench::new();
    let table = [
        ("read-only", Outcome::Failed),
        ("vm-operator", Outcome::Failed),
        ("vm-admin", Outcome::Ok),
        ("vm-power-admin", Outcome::Ok),
        ("pool-operator", Outcome::Ok),
        ("pool-admin", Outcome::Ok),
    ];
    for (role, expected) in table {
        let checks = bench.connect_with(|s| s["user"] = role.into()).test();
        let check = line(&checks, "rights");
        assert_eq!(check.outcome, expected, "{role}: {check:?}");
        if expected == Outcome::Failed {
            assert!(check.detail.contains("VDI.create"), "{check:?}");
            assert!(check.hint.as_ref().unwrap().contains("VM Admin"), "{check:?}");
        }
    }
}

#[test]
fn the_role_that_the_test_calls_enough_is_enough() {
    let bench = Bench::new();
    let connector = bench.connect_with(|s| s["user"] = "vm-admin".into());
    let disk = bench.disk();
    bench.make(&*connector, &disk).unwrap();
    crate::bench::run_once(&bench, &*connector);
    bench.guest_writes(0, &[1; 512]);
    let changes = connector.open_changes(&bench.tag, &crate::bench::go_on).unwrap();
    assert!(changes.how.starts_with("Read was what differs"), "{}", changes.how);
    drop(changes);
    connector.remove(&bench.tag).unwrap();
    bench.is_clean(&*connector);
}

#[test]
fn templates_and_storages_are_offered_with_what_helps_to_choose() {
    let bench = Bench::new();
    let choices = bench.connect_with(|s| {
        s["template"] = json!("");
        s["storage_repository"] = json!("");
    });
    let choices = choices.choices().unwrap();
    let of = |field: &str| -> Vec<(String, String)> {
        let all = choices.iter().filter(|choice| choice.field == field);
        all.map(|choice| (choice.label.clone(), choice.detail.clone())).collect()
    };
    let mut templates = of("template");
    templates.sort();
    let labels: Vec<&str> = templates.iter().map(|(label, _)| label.as_str()).collect();
    assert_eq!(labels, ["Packaging (BIOS)", "Packaging (UEFI)"]);
    assert!(templates[1].1.contains("UEFI") && templates[1].1.contains("eth0"), "{templates:?}");
    let storages = of("storage_repository");
    assert_eq!(storages.len(), 3);
    assert!(storages.iter().all(|(_, detail)| detail.contains("GiB free")), "{storages:?}");
    for choice in &choices {
        let chosen = bench.connect_with(|s| s[choice.field] = choice.value.clone().into());
        assert!(chosen.test().iter().all(|check| check.outcome != Outcome::Failed), "{choice:?}");
    }
}

#[test]
fn a_pool_that_went_down_after_it_answered_is_told_to_be_down() {
    let bench = Bench::new();
    let connector = bench.connect();
    assert_eq!(line(&connector.test(), "reach").outcome, Outcome::Ok);
    bench.sim.fault(Rule::always("*", Fault::Refuse));
    assert_eq!(line(&connector.test(), "reach").outcome, Outcome::Failed);
    bench.sim.clear_faults();
    assert_eq!(line(&connector.test(), "reach").outcome, Outcome::Ok);
}

#[test]
fn a_certificate_that_changed_after_it_was_confirmed_is_told_with_the_new_one() {
    let (bench, other) = (Bench::new(), Bench::new());
    let pool = Doorway::to(&bench.sim.tls_url());
    let connector = bench.connect_with(|s| s["address"] = pool.url.clone().into());
    assert_eq!(line(&connector.test(), "certificate").outcome, Outcome::Ok);
    pool.lead_to(&other.sim.tls_url());
    let checks = connector.test();
    let check = line(&checks, "certificate");
    assert_eq!(check.outcome, Outcome::Failed);
    assert_eq!(check.fix.as_ref().unwrap().value, other.fingerprint());
}

#[test]
fn a_certificate_that_is_not_confirmed_any_more_is_not_trusted_for_what_was_told_of_it() {
    let bench = Bench::new();
    bench.connect().inventory().unwrap();
    let unpinned = bench.connect_with(|s| s["fingerprint"] = "".into());
    assert_eq!(line(&unpinned.test(), "certificate").outcome, Outcome::Failed);
}

/// An address behind which another pool may come to be.
struct Doorway {
    url: String,
    target: Arc<Mutex<String>>,
}

impl Doorway {
    fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let this = Self {
            url: format!("https://{}", listener.local_addr().unwrap()),
            target: Arc::new(Mutex::new(url.to_owned())),
        };
        let target = this.target.clone();
        std::thread::spawn(move || {
            for from in listener.incoming() {
                let from = from.unwrap();
                let address = target.lock().unwrap().strip_prefix("https://").unwrap().to_owned();
                let to = TcpStream::connect(address).unwrap();
                for (mut from, mut to) in [(from.try_clone().unwrap(), to.try_clone().unwrap()), (to, from)] {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Write);
                    });
                }
            }
        });
        this
    }

    fn lead_to(&self, url: &str) {
        *self.target.lock().unwrap() = url.to_owned();
    }
}
