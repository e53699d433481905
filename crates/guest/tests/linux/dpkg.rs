//! A real dpkg on a prepared machine: at work, failed, killed.

use crate::machine::Machine;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A machine with an empty package database.
fn machine() -> Machine {
    let machine = Machine::new();
    machine.write("/var/lib/dpkg/status", "");
    for folder in ["updates", "info", "triggers"] {
        fs::create_dir_all(machine.path(&format!("/var/lib/dpkg/{folder}"))).unwrap();
    }
    machine
}

/// A package without files whose scripts are these.
fn package(machine: &Machine, scripts: &[(&str, &str)]) -> PathBuf {
    machine.write(
        "/package/DEBIAN/control",
        "Package: thing\nVersion: 1\nArchitecture: all\nMaintainer: a\nDescription: b\n",
    );
    for (name, script) in scripts {
        let path = format!("/package/DEBIAN/{name}");
        machine.write(&path, &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(machine.path(&path), Permissions::from_mode(0o755)).unwrap();
    }
    let built = machine.path("/thing.deb");
    let mut build = Command::new("dpkg-deb");
    build
        .args(["--build", "--root-owner-group"])
        .args([&machine.path("/package"), &built])
        .stdout(Stdio::null());
    assert!(build.status().expect("dpkg-deb runs").success());
    built
}

fn dpkg(machine: &Machine) -> Command {
    let mut dpkg = Command::new("dpkg");
    dpkg.arg(format!("--root={}", machine.folder().display()));
    dpkg.args(["--force-not-root", "--force-script-chrootless", "--log=/dev/null"]);
    dpkg.env("MARK", machine.path("/mark")).stdout(Stdio::null()).stderr(Stdio::null());
    dpkg
}

fn one(code: &str, details: &str) -> [(String, String); 1] {
    [(code.to_owned(), details.to_owned())]
}

#[test]
fn a_package_whose_script_failed_is_unfinished_until_it_is_configured() {
    let machine = machine();
    let thing = package(&machine, &[("postinst", "test -e \"$MARK\"")]);
    assert!(!dpkg(&machine).arg("-i").arg(thing).status().unwrap().success(), "the script fails");
    assert_eq!(machine.found(), one("packages_unfinished", "thing (half-configured)"));
    machine.write("/mark", "");
    assert!(dpkg(&machine).args(["--configure", "-a"]).status().unwrap().success());
    assert_eq!(machine.found(), []);
}

#[test]
fn a_killed_dpkg_leaves_a_package_unfinished_until_it_is_installed_anew() {
    let machine = machine();
    let thing = package(&machine, &[("preinst", "test -e \"$MARK\" || kill -9 $PPID")]);
    let status = dpkg(&machine).arg("-i").arg(&thing).status().unwrap();
    assert_eq!(status.code(), None, "it was killed");
    assert_eq!(machine.found(), one("packages_unfinished", "thing (half-installed, reinstreq)"));
    assert_eq!(machine.run(&["--check"]).code, 1);
    machine.write("/mark", "");
    assert!(dpkg(&machine).arg("-i").arg(thing).status().unwrap().success());
    assert_eq!(machine.found(), []);
}

#[test]
fn a_dpkg_at_work_is_waited_for() {
    let machine = machine();
    let at_work = machine.path("/at-work");
    let script = format!("touch '{}'; until test -e \"$MARK\"; do sleep 0.05; done", at_work.display());
    let thing = package(&machine, &[("postinst", &script)]);
    let mut child = dpkg(&machine).arg("-i").arg(thing).spawn().unwrap();
    while !at_work.exists() {
        assert!(child.try_wait().unwrap().is_none(), "dpkg ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    machine.write(&format!("/proc/{}/comm", child.id()), "dpkg\n");
    let holder = format!("held by dpkg ({})", child.id());
    let details = format!("/var/lib/dpkg/lock-frontend is {holder}; /var/lib/dpkg/lock is {holder}");
    assert_eq!(machine.found(), one("packages_in_progress", &details));
    assert_eq!(machine.run(&["--check"]).code, 6);
    machine.write("/mark", "");
    assert!(child.wait().unwrap().success());
    assert_eq!(machine.found(), []);
}
