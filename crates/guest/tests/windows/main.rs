//! The Windows program, as it is delivered, under Wine: against a real registry, real processes, a real installation.
//!
//! Wine has no native image generator, and of the configuration manager only an empty function: small programs stand in
//! for those (`stand-ins/`). What it cannot show at all is not shown here: servicing, encryption and feature updates are
//! seen by what Windows documents that they leave.
#![cfg(unix)]

mod framework;
mod icons;
mod service;
mod signs;
mod sysprep;
mod terminal;
mod wine;

use wine::wine;

#[test]
fn the_delivered_program_is_small_and_needs_only_what_every_windows_has() {
    let wine = wine();
    let size = wine.program().metadata().unwrap().len();
    assert!(size <= 2 << 20, "{size} bytes");
    let listed = wine::ran("x86_64-w64-mingw32-objdump", &["-p", wine.program().to_str().unwrap()]);
    let mut libraries: Vec<_> =
        listed.lines().filter_map(|line| line.trim().strip_prefix("DLL Name: ")).collect();
    libraries.retain(|name| !name.starts_with("api-ms-win-"));
    // None of them opens a connection: Windows' sockets are in ws2_32.dll.
    let known = [
        "advapi32.dll",
        "bcryptprimitives.dll",
        "cfgmgr32.dll",
        "kernel32.dll",
        "netapi32.dll",
        "msvcrt.dll",
        "ntdll.dll",
        "setupapi.dll",
        "shell32.dll",
        "user32.dll",
        "userenv.dll",
    ];
    assert!(!libraries.is_empty());
    for library in libraries {
        assert!(known.contains(&library.to_lowercase().as_str()), "{library}");
    }
}

#[test]
fn a_clean_machine_is_shut_down_and_one_with_something_outstanding_is_not() {
    let mut wine = wine();
    let key = r"HKLM\Software\Microsoft\Updates";
    wine.set(key, "UpdateExeVolatile", "REG_DWORD", "1");
    let run = wine.run(&[]);
    assert_eq!(run.code, 5, "{run:?}");
    assert!(!run.shuts_down() && run.output.contains("Finalizing is BLOCKED."), "{run:?}");
    assert_eq!(wine.report()["shutting_down"], false);
    wine.unset(key, "UpdateExeVolatile");
    let run = wine.run(&["--check"]);
    assert!(run.code == 0 && !run.shuts_down(), "{run:?}");
    let run = wine.run(&[]);
    assert!(run.code == 0 && run.shuts_down(), "{run:?}");
    let report = wine.report();
    assert_eq!((&report["outcome"], &report["shutting_down"]), (&"clean".into(), &true.into()));
    assert_eq!(report["system"]["kind"], "windows");
    assert!(!report["system"]["name"].as_str().unwrap().is_empty());
    wine.turn_off();
}

#[test]
fn json_is_what_lies_on_the_disk() {
    let wine = wine();
    let run = wine.run(&["--check", "--json"]);
    assert_eq!(run.code, 0);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&run.output).unwrap(), wine.report());
}
