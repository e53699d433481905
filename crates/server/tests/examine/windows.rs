//! Windows on NTFS.

use crate::hive::hive;
use crate::made::Tree;
use serde_json::json;
use shale_volume::hive::{Hive, Value, kind};

const REPORT: &str = "/ProgramData/Shale/integrity.json";

/// The tool's report, made long after (or before) all the files here.
fn report(year: u32) -> String {
    let report = json!({
        "schema": 1, "tool": { "name": "shutdown-for-finalize", "version": "0.1.0" },
        "checked_at": format!("{year}-01-01T00:00:00Z"),
        "system": { "kind": "windows", "name": "Windows Server 2022", "build": "20348.2700" }, "outcome": "clean",
        "next": null, "shutting_down": true, "removed": [], "findings": [],
    });
    report.to_string()
}

/// A system with these words in its hives besides what all have.
pub fn system(system: &str, software: &str, security: &str) -> Tree {
    let system = format!("[\\Select]\n\"Current\"=dword:00000001\n\n[\\ControlSet001\\Control]\n\n{system}");
    let folder = "/Windows/System32/config";
    Tree::new()
        .write(&format!("{folder}/SYSTEM"), hive(&system))
        .write(&format!("{folder}/SOFTWARE"), hive(&format!("[\\Microsoft]\n\n{software}")))
        .write(&format!("{folder}/SECURITY"), hive(&format!("[\\Policy]\n\n{security}")))
        .write("/Windows/servicing/Packages/one.mum", "")
        .write("/Boot/BCD", "")
}

/// The same, after the tool has shut it down.
pub fn finished(words: (&str, &str, &str)) -> Tree {
    system(words.0, words.1, words.2).write(REPORT, report(2099))
}

#[track_caller]
pub fn finds(tree: &Tree, expected: &[(&str, &str)]) {
    let base = system("", "", "").ntfs();
    let found = tree.ntfs().found(&base);
    let found: Vec<_> = found.iter().map(|(code, details)| (code.as_str(), details.as_str())).collect();
    assert_eq!(found, expected);
}

/// Texts as a value of a `.reg` file has them.
pub fn texts(texts: &[&str]) -> String {
    let text: String = texts.iter().map(|text| format!("{text}\0")).collect::<String>() + "\0";
    let bytes: Vec<String> =
        text.encode_utf16().flat_map(u16::to_le_bytes).map(|byte| format!("{byte:02x}")).collect();
    format!("hex(7):{}", bytes.join(","))
}

#[test]
fn a_system_that_the_tool_shut_down_has_nothing_outstanding() {
    finds(&finished(("", "", "")), &[]);
}

#[test]
fn a_tool_that_never_ran_or_ran_too_early_is_said() {
    finds(&system("", "", ""), &[("tool_not_run", "it left no report on the disk")]);
    let early = system("", "", "").write(REPORT, report(2020));
    let found = early.ntfs().found(&system("", "", "").ntfs());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].0 == "tool_run_outdated" && found[0].1.starts_with("/Windows/servicing/Packages"),
        "{found:?}"
    );
}

#[test]
fn what_is_as_the_version_it_started_from_has_it_did_not_change_whatever_its_time() {
    let base = system("", "", "").ntfs();
    let image = Tree::new().write(REPORT, report(2020)).on_top_of(&base);
    assert_eq!(image.found(&base), [], "times of another clock are later than the tool's run");
}

/// A hive SOFTWARE in which programs are noted as installed, each with the year of the note.
fn installed(programs: &[(&str, i16)]) -> Vec<u8> {
    let above = r"Microsoft\Windows\CurrentVersion\Uninstall";
    let keys: String = programs.iter().map(|(name, _)| format!("[\\{above}\\{name}]\n\n")).collect();
    let mut hive = Hive::open(hive(&format!("[\\Microsoft]\n\n[\\{above}]\n\n{keys}"))).unwrap();
    let names = programs.iter().map(|(name, year)| (format!(r"{above}\{name}"), *year));
    for (path, year) in names.chain([(above.to_owned(), 2000)]) {
        let key = hive.find(&path).unwrap().unwrap();
        let since_1601 = jiff::civil::date(year, 6, 1).since(jiff::civil::date(1601, 1, 1)).unwrap();
        hive.set_written(key, since_1601.get_days() as u64 * 86400 * 10_000_000).unwrap();
    }
    hive.into_bytes().unwrap()
}

#[test]
fn a_program_that_was_installed_after_the_tool_ran_is_said() {
    let path = "/Windows/System32/config/SOFTWARE";
    let with = |tree: Tree, programs: &[(&str, i16)]| tree.write(path, installed(programs)).ntfs();
    let base = with(system("", "", ""), &[("Old", 2120)]);
    let finished = || finished(("", "", ""));
    assert_eq!(with(finished(), &[("Old", 2120)]).found(&base), [], "the base has it");
    assert_eq!(with(finished(), &[("Old", 2120), ("New", 2098)]).found(&base), [], "the tool has seen it");
    let later = |name: &str| {
        let why = format!(
            r"SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\{name} changed at 2121-06-01T00:00:00Z, it ran at 2099-01-01T00:00:00Z"
        );
        vec![("tool_run_outdated".to_owned(), why)]
    };
    assert_eq!(with(finished(), &[("Old", 2120), ("New", 2121)]).found(&base), later("New"));
    assert_eq!(with(finished(), &[("Old", 2121)]).found(&base), later("Old"));
}

#[test]
fn restarts_that_are_pending_are_found_in_the_hives() {
    let servicing = r"[\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending]";
    finds(
        &finished(("", servicing, "")),
        &[(
            "reboot_pending",
            r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending",
        )],
    );
    let update = r"[\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired]";
    finds(
        &finished(("", update, "")),
        &[(
            "reboot_pending",
            r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired",
        )],
    );
    let volatile = "[\\Microsoft\\Updates]\n\"UpdateExeVolatile\"=dword:00000002";
    finds(&finished(("", volatile, "")), &[("reboot_pending", "UpdateExeVolatile is 2")]);
    let join = "[\\ControlSet001\\Services\\Netlogon]\n\"JoinDomain\"=\"example\"";
    finds(
        &finished((join, "", "")),
        &[("reboot_pending", r"SYSTEM\CurrentControlSet\Services\Netlogon\JoinDomain")],
    );
    let rename =
        "[\\ControlSet001\\Services\\Tcpip\\Parameters]\n\"Hostname\"=\"OLD\"\n\"NV Hostname\"=\"NEW\"";
    finds(&finished((rename, "", "")), &[("reboot_pending", "the computer's name changes from OLD to NEW")]);
    let same =
        "[\\ControlSet001\\Services\\Tcpip\\Parameters]\n\"Hostname\"=\"win\"\n\"NV Hostname\"=\"WIN\"";
    finds(&finished((same, "", "")), &[]);
}

#[test]
fn files_that_are_to_be_renamed_are_told_in_pairs_and_drivers_apart() {
    let renames =
        texts(&[r"\??\C:\a.tmp", "", r"\??\C:\b.tmp", r"!\??\C:\Windows\System32\drivers\stor.sys"]);
    let words =
        format!("[\\ControlSet001\\Control\\Session Manager]\n\"PendingFileRenameOperations\"={renames}");
    finds(
        &finished((&words, "", "")),
        &[
            (
                "drivers_reboot_pending",
                r"\??\C:\b.tmp is to become !\??\C:\Windows\System32\drivers\stor.sys",
            ),
            ("reboot_pending", r"\??\C:\a.tmp is to be deleted"),
        ],
    );
}

#[test]
fn installers_ngen_and_run_once_entries_are_found() {
    let run_once = "[\\Microsoft\\Windows\\CurrentVersion\\RunOnce]\n\"go\"=\"setup.exe\"";
    finds(
        &finished(("", run_once, "")),
        &[("run_once_pending", r"SOFTWARE\Microsoft\Windows\CurrentVersion\RunOnce\go: setup.exe")],
    );
    let msi = r"[\Microsoft\Windows\CurrentVersion\Installer\InProgress]";
    finds(
        &finished(("", msi, "")),
        &[("msi_in_progress", "Windows Installer has noted an installation in progress")],
    );
    let ngen =
        "[\\Microsoft\\.NETFramework\\v2.0.50727\\NGenService\\State]\n\"PendingUpdate\"=dword:00000001";
    finds(
        &finished(("", ngen, "")),
        &[("ngen_needed", r"SOFTWARE\Microsoft\.NETFramework\v2.0.50727\NGenService\State\PendingUpdate")],
    );
}

#[test]
fn what_a_hive_has_more_of_than_windows_makes_is_said_not_to_be_read() {
    let key = r"Microsoft\Windows\CurrentVersion\RunOnce";
    let values: String = (0..1100).map(|number| format!("\"{number}\"=\"x\"\n")).collect();
    let told = format!(r"SOFTWARE\{key}: it has more values than are looked at");
    finds(&finished(("", &format!("[\\{key}]\n{values}"), "")), &[("not_checked", &told)]);
    let with = |bytes: usize| {
        let session = r"ControlSet001\Control\Session Manager";
        let words = format!("[\\Select]\n\"Current\"=dword:00000001\n\n[\\{session}]\n\n");
        let mut hive = Hive::open(hive(&words)).unwrap();
        let key = hive.find(session).unwrap().unwrap();
        let name = "PendingFileRenameOperations".into();
        hive.set_value(key, &Value { name, kind: kind::TEXTS, data: vec![0; bytes] }).unwrap();
        finished(("", "", "")).write("/Windows/System32/config/SYSTEM", hive.into_bytes().unwrap())
    };
    finds(&with(1 << 20), &[]);
    let told = r"SYSTEM\CurrentControlSet\Control\Session Manager\PendingFileRenameOperations: it is larger than 1 MiB";
    finds(&with((1 << 20) + 2), &[("not_checked", told)]);
}

#[test]
fn a_management_clients_identity_a_staged_update_and_a_domain_are_found() {
    let client = "[\\ControlSet001\\Services\\CcmExec]\n\"Start\"=dword:00000002";
    let with = |words| finished((words, "", "")).write("/Windows/SMSCFG.INI", "[Configuration]");
    finds(&with(client), &[("sms_configuration_present", r"\Windows\SMSCFG.INI")]);
    finds(&with(""), &[]);
    let staged = finished(("", "", "")).write("/$WINDOWS.~BT/NewOS/x", "");
    finds(&staged, &[("feature_update_staged", r"\$WINDOWS.~BT\NewOS")]);
    let name = "0e,00,10,00,00,00,00,00,45,00,58,00,41,00,4d,00,50,00,4c,00,45,00";
    let member = format!(
        "[\\Policy\\PolPrDmN]\n@=hex(0):{name}\n\n[\\Policy\\PolPrDmS]\n@=hex(0):01,04,00,00,00,00,00,05,15,00,00,00"
    );
    finds(&finished(("", "", &member)), &[("domain_joined", "EXAMPLE")]);
    let nobody = "[\\Policy\\PolPrDmN]\n@=hex(0):00,00,00,00,00,00,00,00\n\n[\\Policy\\PolPrDmS]\n@=hex(0):";
    finds(&finished(("", "", nobody)), &[]);
}

#[test]
fn a_windows_that_sysprep_has_generalized_is_in_no_feature_update() {
    let setup = "[\\Setup]\n\"SystemSetupInProgress\"=dword:00000001";
    let state = |state: &str| {
        format!("[\\Microsoft\\Windows\\CurrentVersion\\Setup\\State]\n\"ImageState\"=\"{state}\"")
    };
    finds(&finished((setup, &state("IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"), "")), &[]);
    finds(
        &finished((setup, &state("IMAGE_STATE_UNDEPLOYABLE"), "")),
        &[("feature_update_staged", r"SYSTEM\Setup\SystemSetupInProgress")],
    );
}

#[test]
fn windows_that_sleeps_one_without_a_menu_and_one_without_a_hive_block() {
    let asleep = finished(("", "", "")).write("/hiberfil.sys", [b"HIBR".as_slice(), &[1; 8000]].concat());
    let found = asleep.ntfs().found(&system("", "", "").ntfs());
    assert_eq!(found.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(), ["system_hibernated"]);
    let menu = finished(("", "", "")).remove("/Boot/BCD");
    finds(
        &menu,
        &[("boot_loader_gone", r"\Boot\BCD is gone from the disk, without partitions (NTFS, 32 MiB)")],
    );
    let cut = finished(("", "", "")).write("/Windows/System32/config/SOFTWARE", "no hive");
    let found = cut.ntfs().found(&system("", "", "").ntfs());
    assert!(found[0].0 == "not_checked" && found[0].1.contains("config/SOFTWARE"), "{found:?}");
}

#[test]
fn the_hive_of_a_real_windows_gives_no_false_alarm() {
    let packed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../volume/tests/hives/system.xz");
    let hive =
        std::process::Command::new("xz").arg("-dc").arg(packed).output().expect("xz is installed").stdout;
    let real = |tree: Tree| tree.write("/Windows/System32/config/SYSTEM", hive.clone());
    let base = real(system("", "", "")).ntfs();
    assert_eq!(real(finished(("", "", ""))).ntfs().found(&base), []);
}
