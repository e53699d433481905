//! Every sign that Wine can show, both ways: there it is found, gone it is not.

use crate::wine::{Wine, ran, stand_ins, wine};
use std::process::Stdio;

/// Checks that Windows is found to have this after `there`, and to be clean after `gone`.
#[track_caller]
fn both_ways(wine: &Wine, there: impl FnOnce(), code: &str, details: &str, gone: impl FnOnce()) {
    there();
    assert_eq!(wine.found(), [(code.to_owned(), details.to_owned())]);
    gone();
    assert_eq!(wine.found(), []);
}

const CURRENT: &str = r"HKLM\Software\Microsoft\Windows\CurrentVersion";
const CONTROL: &str = r"HKLM\System\CurrentControlSet\Control";
const SERVICES: &str = r"HKLM\System\CurrentControlSet\Services";

/// A key as the program writes it.
fn told(key: &str) -> String {
    key.replacen(r"HKLM\Software", "SOFTWARE", 1).replacen(r"HKLM\System", "SYSTEM", 1)
}

#[test]
fn keys_of_servicing_and_windows_update_want_a_restart() {
    let wine = wine();
    for key in [
        r"Component Based Servicing\RebootPending",
        r"Component Based Servicing\RebootInProgress",
        r"Component Based Servicing\PackagesPending",
        r"WindowsUpdate\Auto Update\RebootRequired",
    ] {
        let key = format!(r"{CURRENT}\{key}");
        both_ways(&wine, || wine.key(&key), "reboot_pending", &told(&key), || wine.unkey(&key));
    }
    let manager = r"HKLM\Software\Microsoft\ServerManager";
    let (name, attempts) = ("CurrentRebootAttempts", format!(r"{manager}\CurrentRebootAttempts"));
    both_ways(&wine, || wine.key(&attempts), "reboot_pending", &told(&attempts), || wine.unkey(&attempts));
    let there = || wine.set(manager, name, "REG_DWORD", "1");
    both_ways(&wine, there, "reboot_pending", &told(&attempts), || wine.unset(manager, name));
    // That asks for no restart: it waits for one to be reported.
    let reporting = format!(r"{CURRENT}\WindowsUpdate\Auto Update\PostRebootReporting");
    wine.key(&reporting);
    assert_eq!(wine.found(), []);
    wine.unkey(&reporting);
    let servicing = "windows/WinSxS/pending.xml";
    let remove = || std::fs::remove_file(wine.path(servicing)).unwrap();
    both_ways(
        &wine,
        || wine.write(servicing, ""),
        "reboot_pending",
        r"C:\windows\WinSxS\pending.xml",
        remove,
    );
}

#[test]
fn a_join_of_a_domain_and_a_new_name_want_a_restart() {
    let wine = wine();
    let netlogon = format!(r"{SERVICES}\Netlogon");
    for name in ["JoinDomain", "AvoidSpnSet"] {
        let details = format!(r"{}\{name}", told(&netlogon));
        let there = || wine.set(&netlogon, name, "REG_SZ", "1");
        both_ways(&wine, there, "reboot_pending", &details, || wine.unset(&netlogon, name));
    }
    let name = |which: &str, name: &str| {
        wine.set(&format!(r"{CONTROL}\ComputerName\{which}"), "ComputerName", "REG_SZ", name)
    };
    let there = || {
        name("ActiveComputerName", "OLD");
        name("ComputerName", "NEW");
    };
    let details = "the computer's name changes from OLD to NEW";
    both_ways(&wine, there, "reboot_pending", details, || name("ComputerName", "old"));
}

#[test]
fn an_update_that_waits_for_a_restart_is_found() {
    let wine = wine();
    let key = r"HKLM\Software\Microsoft\Updates";
    let set = |value| move |wine: &Wine| wine.set(key, "UpdateExeVolatile", "REG_DWORD", value);
    both_ways(&wine, || set("2")(&wine), "reboot_pending", "UpdateExeVolatile is 2", || set("0")(&wine));
}

#[test]
fn pending_renames_want_a_restart_and_those_of_drivers_are_told_as_such() {
    let wine = wine();
    let key = format!(r"{CONTROL}\Session Manager");
    let name = "PendingFileRenameOperations";
    for name in [name, "PendingFileRenameOperations2"] {
        let there = || wine.set(&key, name, "REG_MULTI_SZ", r"\??\C:\a.tmp\0\??\C:\a.dll");
        both_ways(&wine, there, "reboot_pending", r"\??\C:\a.tmp is to become \??\C:\a.dll", || {
            wine.unset(&key, name)
        });
    }
    wine.set_texts(&key, name, &[r"\??\C:\a.tmp", "", r"\??\C:\b.tmp", ""]);
    let details = r"\??\C:\a.tmp is to be deleted; \??\C:\b.tmp is to be deleted";
    assert_eq!(wine.found(), [("reboot_pending".to_owned(), details.to_owned())]);
    wine.unset(&key, name);
    let driver = r"!\??\C:\Windows\System32\drivers\stornvme.sys";
    let there = || wine.set(&key, name, "REG_MULTI_SZ", &format!(r"\??\C:\b.tmp\0{driver}"));
    let details = format!(r"\??\C:\b.tmp is to become {driver}");
    both_ways(&wine, there, "drivers_reboot_pending", &details, || wine.unset(&key, name));
}

#[test]
fn run_once_entries_of_both_word_sizes_are_found() {
    let wine = wine();
    for key in [
        r"HKLM\Software\Microsoft\Windows\CurrentVersion\RunOnce",
        r"HKLM\Software\Wow6432Node\Microsoft\Windows\CurrentVersion\RunOnce",
    ] {
        let there = || wine.set(key, "setup", "REG_EXPAND_SZ", r"%SystemRoot%\setup.exe /q");
        let details = format!(r"{}\setup: %SystemRoot%\setup.exe /q", told(key));
        both_ways(&wine, there, "run_once_pending", &details, || wine.unset(key, "setup"));
    }
}

#[test]
fn a_feature_update_is_found_by_its_folder_its_mark_and_its_processes() {
    let wine = wine();
    let folder = "$WINDOWS.~BT/NewOS/Windows/notepad.exe";
    let remove = || std::fs::remove_dir_all(wine.path("$WINDOWS.~BT")).unwrap();
    both_ways(&wine, || wine.write(folder, ""), "feature_update_staged", r"C:\$WINDOWS.~BT\NewOS", remove);
    let set = |value: &str| wine.set(r"HKLM\System\Setup", "SystemSetupInProgress", "REG_DWORD", value);
    both_ways(
        &wine,
        || set("1"),
        "feature_update_staged",
        r"SYSTEM\Setup\SystemSetupInProgress",
        || set("0"),
    );
    for name in ["SetupHost.exe", "SetupPrep.exe"] {
        let setup = wine.at_work(name, &[]);
        let details = format!("{} is running", name.to_lowercase());
        assert_eq!(wine.found(), [("feature_update_staged".to_owned(), details)]);
        drop(setup);
        assert_eq!(wine.found(), []);
    }
}

#[test]
fn an_installation_in_progress_is_found_by_its_key_and_its_mutex() {
    let wine = wine();
    let key = format!(r"{CURRENT}\Installer\InProgress");
    let details = "Windows Installer has noted an installation in progress";
    both_ways(&wine, || wine.key(&key), "msi_in_progress", details, || wine.unkey(&key));
    let installer = wine.at_work("setup.exe", &[r"Global\_MSIExecute"]);
    let details = "Windows Installer is running an installation";
    assert_eq!(wine.found(), [("msi_in_progress".to_owned(), details.to_owned())]);
    drop(installer);
    assert_eq!(wine.found(), []);
}

#[test]
fn a_real_installation_is_found_while_it_runs() {
    let wine = wine();
    let package = wine.path("thing.msi");
    let package = package.to_str().unwrap();
    let source = stand_ins().join("thing.wxs");
    let folder = stand_ins();
    // It is a file of the package, too.
    let mut wixl = std::process::Command::new("wixl");
    let built = wixl.args(["-o", package]).arg(source).current_dir(folder).status().expect("wixl runs");
    assert!(built.success());
    // A program that it runs in its course: a command (34) in a folder.
    let hold = r"C:\hold.exe C:\stop";
    ran(
        "msibuild",
        &[
            package,
            "-q",
            &format!(
                "INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('Hold', 34, 'TARGETDIR', '{hold}')"
            ),
        ],
    );
    ran(
        "msibuild",
        &[package, "-q", "INSERT INTO `InstallExecuteSequence` (`Action`, `Sequence`) VALUES ('Hold', 1510)"],
    );
    let mut command = wine.system("msiexec");
    let mut installation =
        command.args(["/i", r"C:\thing.msi", "/qn"]).stdout(Stdio::null()).spawn().unwrap();
    let expected = [("msi_in_progress".to_owned(), "msiexec.exe is running".to_owned())];
    loop {
        let found = wine.found();
        assert!(installation.try_wait().unwrap().is_none(), "it ended");
        if found == expected {
            break;
        }
        assert_eq!(found, [], "it has not begun");
    }
    wine.write("stop", "");
    assert!(installation.wait().unwrap().success());
    std::fs::remove_file(wine.path("stop")).unwrap();
    assert!(wine.path("Program Files (x86)/Thing/thing.txt").exists(), "it was installed");
    assert_eq!(wine.found(), []);
}

#[test]
fn servicing_at_work_is_waited_for() {
    let wine = wine();
    for name in ["TiWorker.exe", "wusa.exe", "Dism.exe", "DismHost.exe"] {
        let worker = wine.at_work(name, &[]);
        let details = format!("{} is running", name.to_lowercase());
        assert_eq!(wine.found(), [("servicing_in_progress".to_owned(), details)]);
        assert_eq!(wine.report()["next"], "wait");
        drop(worker);
    }
    assert_eq!(wine.found(), []);
}

#[test]
fn the_identity_of_a_management_client_blocks_only_where_the_client_runs() {
    let wine = wine();
    let client = format!(r"{SERVICES}\CcmExec");
    wine.write("windows/SMSCFG.INI", "[Configuration - Client Properties]\n");
    assert_eq!(wine.found(), [], "without the client the file does nothing");
    let start = |value: &str| wine.set(&client, "Start", "REG_DWORD", value);
    both_ways(&wine, || start("2"), "sms_configuration_present", r"C:\windows\SMSCFG.INI", || start("4"));
    start("2");
    std::fs::remove_file(wine.path("windows/SMSCFG.INI")).unwrap();
    assert_eq!(wine.found(), []);
    wine.unkey(&client);
}

#[test]
fn an_encrypted_boot_volume_is_found() {
    let wine = wine();
    let key = format!(r"{CONTROL}\BitLockerStatus");
    let set = |value: &str| wine.set(&key, "BootStatus", "REG_DWORD", value);
    both_ways(&wine, || set("1"), "bitlocker_on", "the boot volume is protected", || set("0"));
}

#[test]
fn a_member_of_a_domain_is_told_so_and_shut_down_all_the_same_since_it_may_be_for_a_platform_layer() {
    let wine = wine();
    let gone = || std::fs::remove_file(wine.path("domain")).unwrap();
    wine.write("domain", "EXAMPLE");
    let run = wine.run(&["--check"]);
    assert!(run.code == 0 && run.output.contains("Leave the domain"), "{run:?}");
    both_ways(&wine, || (), "domain_joined", "EXAMPLE", gone);
}

#[test]
fn a_volume_that_is_nearly_full_is_told_and_stops_nothing() {
    let wine = wine();
    let library = wine.path("../full.so");
    let source = stand_ins().join("full.c");
    let words = ["-O", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library.to_str().unwrap()];
    ran("cc", &[&words[..], &[source.to_str().unwrap()]].concat());
    let mut check = wine.command(crate::wine::PROGRAM);
    let ended = check.arg("--check").env("LD_PRELOAD", &library).output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let report = wine.report();
    assert_eq!(report["findings"][0]["code"], "disk_nearly_full", "{report}");
    assert_eq!(report["findings"][0]["details"][0], r"C:\: 1024 MiB of 102400 MiB are free");
}

/// Registers a device; its identifier says how the stand-in tells of it.
fn device(wine: &Wine, id: &str, class: &str, name: &str) -> String {
    let key = format!(r"HKLM\System\CurrentControlSet\Enum\{id}");
    wine.set(&key, "ClassGUID", "REG_SZ", class);
    wine.set(&key, "DeviceDesc", "REG_SZ", name);
    key
}

#[test]
fn a_disk_controller_that_wants_a_restart_is_found() {
    let wine = wine();
    let class = "{4D36E97B-E325-11CE-BFC1-08002BE10318}";
    let working = device(&wine, r"PCI\VEN_1AF4&DEV_1001\WORKS", class, "Red Hat VirtIO SCSI controller");
    assert_eq!(wine.found(), []);
    let waiting = device(&wine, r"PCI\VEN_1AF4&DEV_1048\WAITS", class, "New controller");
    assert_eq!(wine.found(), [("drivers_reboot_pending".to_owned(), "New controller".to_owned())]);
    wine.unkey(&waiting);
    wine.unkey(&working);
    assert_eq!(wine.found(), []);
}

#[test]
fn adapters_that_are_gone_are_told_by_a_check_and_removed_before_the_shutdown() {
    let mut wine = wine();
    let class = "{4D36E972-E325-11CE-BFC1-08002BE10318}";
    let there = device(&wine, r"PCI\VEN_8086&DEV_100E\1", class, "Intel(R) PRO/1000 MT");
    let ours = device(&wine, r"ROOT\NET\GONE0000", class, "WAN Miniport");
    let ghost = device(&wine, r"PCI\VEN_15AD&DEV_07B0\GONE", class, "vmxnet3 Ethernet Adapter");
    assert_eq!(wine.found(), [("ghost_adapters".to_owned(), "vmxnet3 Ethernet Adapter".to_owned())]);
    assert!(wine.has_key(&ghost), "a check removes nothing");
    let run = wine.run(&[]);
    assert!(run.code == 0 && run.shuts_down(), "{run:?}");
    assert!(run.output.contains("Removed the unused network adapter vmxnet3 Ethernet Adapter."), "{run:?}");
    assert_eq!(wine.report()["removed"], serde_json::json!(["vmxnet3 Ethernet Adapter"]));
    wine.turn_off();
    assert_eq!([&ghost, &there, &ours].map(|key| wine.has_key(key)), [false, true, true]);
    wine.unkey(&there);
    wine.unkey(&ours);
}

#[test]
fn an_adapter_that_cannot_be_removed_is_told_of_and_the_machine_shut_down() {
    let mut wine = wine();
    let class = "{4D36E972-E325-11CE-BFC1-08002BE10318}";
    let installer = format!(r"{CONTROL}\Class\{class}");
    wine.set(&installer, "Installer32", "REG_SZ", r"C:\refuse.dll,Refuse");
    let ghost = device(&wine, r"PCI\VEN_15AD&DEV_07B0\GONE", class, "vmxnet3 Ethernet Adapter");
    let run = wine.run(&[]);
    assert!(run.code == 0 && run.shuts_down(), "{run:?}");
    let told = "The unused network adapter vmxnet3 Ethernet Adapter could not be removed: ";
    assert!(run.output.contains(told) && run.output.contains("Worth knowing:"), "{run:?}");
    let report = wine.report();
    assert_eq!((&report["removed"], &report["shutting_down"]), (&serde_json::json!([]), &true.into()));
    assert_eq!(report["findings"][0]["code"], "ghost_adapters");
    wine.turn_off();
    assert!(wine.has_key(&ghost));
    wine.unset(&installer, "Installer32");
    wine.unkey(&ghost);
    assert_eq!(wine.found(), []);
}
