//! A service in the registry of a Windows that is off: there as Windows wants it, judged by hivex, and nothing of it once it is
//! taken out.

mod hives;
mod made;

use std::process::Command;
use std::sync::Arc;

use hives::{empty, exported, imported, real};
use made::guest::{edit, linux};
use made::{Image, MIB, Made, comparable, program};
use shale_disk::Result;
use shale_volume::changes::Changes;
use shale_volume::hive::{Exclusions, Hive, Which, difference};
use shale_volume::placed;
use shale_volume::services::{Service, put, take_out};

const HIVE: &str = "Windows/System32/config/SYSTEM";
const OURS: Service =
    Service { name: "shale-run", title: "Ours", command: r"%SystemRoot%\ours.exe --service" };
const NOW: i64 = 1_700_000_000;

/// A Windows with this SYSTEM hive, and logs of it.
fn windows(hive: &[u8], logs: &[(&str, &[u8])]) -> Image {
    let image = Image::new(Made::Ntfs, 48 * MIB, None);
    edit(&image, |guest| {
        guest.put("Windows/System32/kernel32.dll", "kernel");
        guest.fill(HIVE, hive, 0);
        for (ending, log) in logs {
            guest.fill(&format!("{HIVE}{ending}"), log, 0);
        }
    });
    image
}

fn changed<T>(image: &Image, work: impl FnOnce(&Arc<Changes>) -> Result<T>) -> Result<T> {
    let changes = Arc::new(Changes::new(image.disk(), image.folder.path()).unwrap());
    let answer = work(&changes)?;
    image.take(&changes);
    image.judge();
    Ok(answer)
}

fn is_put(image: &Image) -> Result<()> {
    changed(image, |changes| put(&program(), changes, &OURS, NOW))
}

fn is_taken_out(image: &Image) -> Result<bool> {
    changed(image, |changes| take_out(&program(), changes, OURS.name))
}

fn hive(image: &Image) -> Vec<u8> {
    placed::read(&program(), &image.disk(), HIVE, 64 << 20).unwrap().unwrap()
}

/// What hivexsh says.
fn asked(hive: &[u8], script: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (file, commands) = (folder.path().join("SYSTEM"), folder.path().join("commands"));
    std::fs::write(&file, hive).unwrap();
    std::fs::write(&commands, script).unwrap();
    let out =
        Command::new("hivexsh").arg("-f").arg(commands).arg(file).output().expect("hivexsh is installed");
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn a_service_is_put_into_a_real_registry_and_taken_out_and_all_else_stays() {
    let before = real("system");
    let image = windows(&before, &[]);
    let entries = comparable(&image);
    is_put(&image).unwrap();
    let with = hive(&image);
    let set = Hive::open(before.clone()).unwrap().control_set().unwrap().unwrap();
    let values = asked(&with, &format!("cd {set}\\Services\\shale-run\nlsval\n"));
    let mut values: Vec<&str> = values.lines().collect();
    values.sort_unstable();
    assert_eq!(
        values,
        [
            "\"DisplayName\"=\"Ours\"",
            "\"ErrorControl\"=dword:00000000",
            "\"ImagePath\"=str(2):\"%SystemRoot%\\\\ours.exe --service\"",
            "\"ObjectName\"=\"LocalSystem\"",
            "\"Start\"=dword:00000002",
            "\"Type\"=dword:00000010",
        ]
    );
    let (text, text_with) = (exported(&before), exported(&with));
    let (start, end) = text_with.split_once(&format!("[\\{set}\\Services\\shale-run]")).unwrap();
    assert!(text == format!("{start}{}", end.split_once("\n\n").unwrap().1), "all else is as it was");

    assert!(is_taken_out(&image).unwrap());
    assert!(!is_taken_out(&image).unwrap(), "it is not there any more");
    let after = hive(&image);
    assert!(exported(&after) == text, "as it was");
    assert!(difference(&before, &after, &Exclusions::default()).unwrap().is_empty());
    let (path, seen) = (HIVE.as_bytes(), comparable(&image));
    assert!(seen.keys().eq(entries.keys()));
    assert_eq!(
        (&seen[path].facts, &seen[path].attributes),
        (&entries[path].facts, &entries[path].attributes)
    );
}

#[test]
fn it_is_in_the_control_sets_that_windows_starts_with_and_goes_from_copies_too() {
    let set = |at: u32| {
        let set = format!("\\ControlSet00{at}");
        format!("[{set}]\n\n[{set}\\Services]\n\n[{set}\\Services\\Other]\n\"Start\"=dword:00000001\n\n")
    };
    let sets: String = (1..4).map(set).collect();
    let select = "[\\Select]\n\"Current\"=dword:00000002\n\"Default\"=dword:00000003\n\n";
    let image = windows(&imported(&empty(5), &format!("{sets}{select}")), &[]);
    let before = hive(&image);
    is_put(&image).unwrap();
    is_put(&image).unwrap();
    let with_it = hive(&image);
    let with = exported(&with_it);
    let is_in = |set: u32| with.contains(&format!("[\\ControlSet00{set}\\Services\\shale-run]"));
    assert_eq!([1, 2, 3].map(is_in), [false, true, true], "{with}");
    // Windows keeps the set that it started well with.
    let copied = "[\\ControlSet001\\Services\\shale-run]\n\"Start\"=dword:00000002\n\n[\\ControlSet001\\Services\\shale-run\\Security]\n\"Security\"=hex:01\n\n";
    edit(&image, |guest| guest.fill(HIVE, &imported(&with_it, copied), 0));
    let machine = hive(&image);
    for (system, without) in [(Which::System, true), (Which::User, false)] {
        let told = difference(&before, &machine, &Exclusions::shipped(system).unwrap()).unwrap();
        assert_eq!(told.is_empty(), without, "no layer has it");
    }
    assert!(is_taken_out(&image).unwrap());
    let after = exported(&hive(&image));
    assert!(!after.contains("shale-run") && after.matches("Services\\Other]").count() == 3, "{after}");
}

#[test]
fn a_registry_that_was_not_written_to_its_end_is_read_with_its_logs_and_refused_without() {
    let logs = [real("dirty.LOG1"), real("dirty.LOG2")];
    let image = windows(&real("dirty"), &[(".LOG1", &logs[0]), (".LOG2", &logs[1])]);
    assert!(!is_taken_out(&image).unwrap(), "it is read, and has none");
    let image = windows(&real("dirty"), &[]);
    let error = is_put(&image).unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.to_string().contains("'shale-run' cannot be put into the registry"), "{error}");
    assert!(why.contains("its logs do not have what is missing. Start the machine"), "{why}");
    assert!(is_taken_out(&image).is_err());
    assert!(hive(&image) == real("dirty"), "nothing was written");
}

#[test]
fn a_system_without_such_a_registry_has_no_service() {
    let image = linux();
    assert!(!is_taken_out(&image).unwrap());
    is_put(&image).unwrap();
    let none = windows(&empty(5), &[]);
    let error = is_put(&none).unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("no control set"), "{why}");
}
