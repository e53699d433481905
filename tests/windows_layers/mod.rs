//! Layers of Windows, without Windows: Wine's tree and registry on a disk, programs that Wine's `msiexec` installs on the
//! disks of packaging machines, by command line. What comes out is judged by tools that know nothing of Shale, and run.
//!
//! ```text
//!   Windows 1.0 ──┬─▶ app layer Abacus     its package, installed in a machine
//!                 ├─▶ app layer Sundial    likewise; both bring a library, and change some of the same values
//!                 └─▶ 1.1                  another file, other values: by a script, without a person
//!
//!   1.1 + Abacus + Sundial ──▶ image ──▶ ntfsfix, ntfsinfo, The Sleuth Kit, hivex ──▶ both run, and one is uninstalled again
//! ```
//!
//! No machine of these boots, as Wine has no kernel: each is started, found to do nothing, turned off, and what Windows would do
//! in it is done to its disk.

mod drive;
mod hives;
mod package;
mod registry;
mod wine;

use crate::programs::run;
use drive::{START, Source, Volume};
use hives::Hives;
use package::{ABACUS, Program, SUNDIAL};
use registry::Data;
use shale_tests::{Desk, program};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use wine::{Fresh, Windows};

/// How long a machine may take to be put together and started, on a busy host.
const PATIENCE: Duration = Duration::from_secs(600);
/// The disk of the operating system.
const SIZE: u64 = 1 << 30;
/// A file of the newer version.
const PATCHED: &str = "; patched\r\n";
/// What a machine leaves behind and no layer has.
const LEFT_BEHIND: [&str; 3] = ["pagefile.sys", "windows/temp/left.txt", "windows/Prefetch/LEFT.pf"];
/// What both packages bring.
const LIBRARY: &str = "Program Files/Common Files/Instruments/scale.dll";
/// Where Windows notes that something is outstanding: in a key that is there, or a value as regedit writes it.
struct Mark {
    /// The code of what is found.
    code: &'static str,
    /// What is said of it.
    told: &'static str,
    key: &'static str,
    value: &'static str,
}

const MARKS: [Mark; 5] = [
    Mark {
        code: "reboot_pending",
        told: "RebootRequired",
        key: r"HKEY_LOCAL_MACHINE\Software\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired",
        value: "",
    },
    Mark {
        code: "reboot_pending",
        told: "later.tmp",
        key: r"HKEY_LOCAL_MACHINE\System\CurrentControlSet\Control\Session Manager",
        value: "\"PendingFileRenameOperations\"=RENAMES",
    },
    Mark {
        code: "reboot_pending",
        told: "UpdateExeVolatile",
        key: r"HKEY_LOCAL_MACHINE\Software\Microsoft\Updates",
        value: "\"UpdateExeVolatile\"=dword:00000001",
    },
    Mark {
        code: "run_once_pending",
        told: "later: cmd",
        key: r"HKEY_LOCAL_MACHINE\Software\Microsoft\Windows\CurrentVersion\RunOnce",
        value: "\"later\"=\"cmd /c exit\"",
    },
    Mark {
        code: "ngen_needed",
        told: "RootstoreDirty",
        key: r"HKEY_LOCAL_MACHINE\Software\Microsoft\.NETFramework\v2.0.50727\NGenService\ListenedState",
        value: "\"RootstoreDirty\"=dword:00000001",
    },
];
const UNINSTALL: &str = r"Microsoft\Windows\CurrentVersion\Uninstall";
/// What starts the script of a machine without a person, and what it leaves; no version has it.
const STARTER: &str = r"ControlSet001\Services\shale-run";
const STARTED: [&str; 3] =
    ["windows/shale-run.exe", "ProgramData/Shale/run.jsonl", "ProgramData/Shale/run.json"];
/// A key that Wine makes, and a layer takes away.
const BORLAND: &str = "Borland";
const ENVIRONMENT: &str = r"ControlSet001\Control\Session Manager\Environment";
const DISKS: &str = r"ControlSet001\Control\Class\{4d36e967-e325-11ce-bfc1-08002be10318}";
/// When Wine made a driver; it is another time at each of its starts.
const DRIVER_DATE: &str = "DriverDateData";

/// Has Shutdown For Finalize built where the server looks for it.
fn build_tool() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target = program("shaled");
    let mut build = Command::new(project.join("scripts/guest-tools"));
    let built = build.arg("windows").env("CARGO_TARGET_DIR", target.ancestors().nth(2).unwrap()).status();
    assert!(built.unwrap().success());
}

/// A desk with a Windows on it.
struct Proof {
    desk: Desk,
    fresh: Fresh,
}

impl Proof {
    fn new() -> Self {
        build_tool();
        let (desk, fresh) = (Desk::new(), Fresh::new());
        let disk = desk.path("windows.raw");
        make_disk(Path::new(&disk), &fresh);
        let small = ["--set", "memory_mib=256", "--set", "cpus=1"];
        desk.ends(0, &[&["connector", "edit", "local"][..], &small].concat());
        desk.ends(0, &["layer", "import", "Windows", "--version", "1.0", "--file", &disk]);
        fs::remove_file(disk).unwrap();
        Self { desk, fresh }
    }

    /// Makes a version of a layer in its machine: `words` ask for it, `work` is done there. Answers the registry that
    /// came of it.
    fn make(&self, layer: &str, version: &str, words: &[&str], work: impl FnOnce(&Path, &Windows)) -> Hives {
        let place = ["--connector", "local", "--disk", "packaging", "--size", "1"];
        self.desk.ends(7, &[words, &place].concat());
        self.desk.ends(0, &["machine", "stop", layer, version, "--force"]);
        let machine = self.desk.json(&["machine", "show", layer, version]);
        let machine = self.folder_of(machine["id"].as_str().unwrap());
        let mut hives = self.on(&machine, |drive, windows| {
            work(drive, windows);
            self.shut_down_for_finalize(&machine, windows);
        });
        if layer == SUNDIAL.name {
            hives = self.marks_are_found(&machine, &[layer, version]);
        }
        let checked = self.desk.json(&["machine", "check", layer, version]);
        assert_eq!(checked["result"], "clean", "{checked:#}");
        self.desk.ends(0, &["version", "finalize", layer, version]);
        hives
    }

    /// Does something in the Windows of a machine, which is then off again: its registry.
    fn on(&self, machine: &Path, work: impl FnOnce(&Path, &Windows)) -> Hives {
        let volume = Volume::of(&Source::overlay(&machine.join("overlay.qcow2")));
        let hives = {
            let drive = volume.mounted();
            let windows = Windows::on(&drive, &self.fresh);
            work(&drive.path(), &windows);
            windows.off()
        };
        volume.close();
        hives
    }

    /// What the registry of a machine says is outstanding is found while it is off, until it is done.
    fn marks_are_found(&self, machine: &Path, version: &[&str]) -> Hives {
        let renames = Data::of_texts(&[r"\??\C:\later.tmp", r"!\??\C:\kept.tmp"]).written();
        let file = self.desk.path("marks.reg");
        let import = |windows: &Windows, words: String| {
            // In letters of two bytes; else the bytes of values count as letters of one.
            let words = format!("\u{feff}Windows Registry Editor Version 5.00\r\n\r\n{words}");
            fs::write(&file, words.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()).unwrap();
            windows.run("regedit", &["/S", &format!("Z:{}", file.replace('/', r"\"))]);
        };
        self.on(machine, |_, windows| {
            let set =
                MARKS.map(|mark| format!("[{}]\n{}\n\n", mark.key, mark.value.replace("RENAMES", &renames)));
            import(windows, set.concat());
        });
        let told = self.desk.ends(1, &[&["machine", "check", "-o", "json"][..], version].concat()).out;
        let checked: serde_json::Value = serde_json::from_str(&told).unwrap();
        for mark in MARKS {
            let found =
                checked["findings"].as_array().unwrap().iter().filter(|found| found["code"] == mark.code);
            assert!(
                found.map(|found| found.to_string()).any(|found| found.contains(mark.told)),
                "{checked:#}"
            );
        }
        self.on(machine, |_, windows| {
            let done = MARKS.map(|mark| match mark.value.split_once('=') {
                Some((name, _)) => format!("[{}]\n{name}=-\n\n", mark.key),
                None => format!("[-{}]\n\n", mark.key),
            });
            import(windows, done.concat());
            self.shut_down_for_finalize(machine, windows);
        })
    }

    /// Where the server keeps a machine.
    fn folder_of(&self, machine: &str) -> PathBuf {
        let overlay = format!("*/{machine}/overlay.qcow2");
        let found = run("find", &[&self.desk.path("data"), "-path", &overlay]);
        Path::new(found.trim()).parent().unwrap().to_owned()
    }

    /// What is on a machine's CD.
    fn cd_of(&self, machine: &Path) -> String {
        let (cd, folder) = (machine.join("cd.iso"), self.desk.path("cd"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        run("bsdtar", &["-xf", cd.to_str().unwrap(), "-C", &folder]);
        folder
    }

    /// Runs the tool on the machine's CD, which finds nothing outstanding.
    fn shut_down_for_finalize(&self, machine: &Path, windows: &Windows) {
        let folder = self.cd_of(machine);
        let said = windows.run(&format!("{folder}/shutdown-for-finalize.exe"), &[]);
        assert!(said.contains("Nothing is outstanding"), "{said}");
    }

    fn app(&self, program: &Program) -> Hives {
        let package = program.package(self.desk.folder.path());
        let words = ["layer", "app", "create", program.name, "--version", "1.0", "--os", "Windows/1.0"];
        self.make(program.name, "1.0", &words, |drive, windows| {
            for path in LEFT_BEHIND {
                let path = drive.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "left").unwrap();
            }
            windows.run("reg", &["delete", &format!(r"HKLM\Software\{BORLAND}"), "/f"]);
            windows.install(&package);
            assert_eq!(windows.run(&in_windows(&program.place()), &[]), program.says());
        })
    }
}

/// Patches the operating system.
const SCRIPT: &str = r#"@echo off
echo patched in pass %SHALE_PASS%
type PATCHED.INI >C:\windows\win.ini
reg add "HKLM\Software\Microsoft\Windows NT\CurrentVersion" /v UBR /t REG_DWORD /d 5000 /f
reg add HKLM\System\CurrentControlSet\Services\Patched /v Start /t REG_DWORD /d 3 /f
exit /b 0
"#;

impl Proof {
    /// A newer version of the operating system, by a script that Windows starts.
    fn newer(&self) -> Hives {
        let (script, file) = (self.desk.path("setup.cmd"), self.desk.path("PATCHED.INI"));
        fs::write(&script, SCRIPT.replace('\n', "\r\n")).unwrap();
        fs::write(&file, PATCHED).unwrap();
        let words = ["version", "add", "Windows", "1.1", "--script", &script, "--attach", &file, "--no-wait"];
        let place = ["--connector", "local", "--disk", "packaging", "--size", "1"];
        let added = self.desk.json(&[&words[..], &place].concat());
        let id = self.running("1.1");
        let machine = self.folder_of(&id);
        let volume = Volume::of(&Source::in_use(&machine.join("overlay.qcow2")));
        let mut hives = {
            let drive = volume.mounted();
            let windows = Windows::on(&drive, &self.fresh).with_cd(Path::new(&self.cd_of(&machine)));
            let record = drive.path().join(STARTED[1]);
            let ended = || fs::read_to_string(&record).is_ok_and(|told| told.contains("\"ended\""));
            windows.by_itself(ended);
            windows.off()
        };
        volume.close();
        assert!(hives.system.has(STARTER), "Windows ran with it");
        hives.system = hives.system.without(STARTER);
        // What Windows would do now.
        run("pkill", &["-TERM", "-f", "--", &format!("-uuid {id}")]);
        let told =
            self.desk.ends(0, &["task", "output", added["task"]["id"].as_str().unwrap(), "--follow"]).out;
        for text in ["patched in pass 1", "The script has ended well, and nothing is outstanding."] {
            assert!(told.contains(text), "{told}");
        }
        assert_eq!(self.desk.json(&["version", "show", "Windows", "1.1"])["state"], "deployable", "{told}");
        hives
    }

    /// The machine of a version of the operating system, once it is on.
    fn running(&self, version: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.desk.shale(&["machine", "show", "Windows", version, "-o", "json"]);
            let machine: serde_json::Value = serde_json::from_str(&shown.out).unwrap_or_default();
            if machine["power"] == "running" {
                return machine["id"].as_str().unwrap().to_owned();
            }
            let tasks = self.desk.ends(0, &["task", "list", "--state", "open", "-q"]).out;
            assert!(!tasks.is_empty() && Instant::now() < deadline, "no machine: {shown:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A disk with one partition, which has the tree and the hives.
fn make_disk(disk: &Path, fresh: &Fresh) {
    let part = disk.with_extension("part");
    for (file, size) in [(disk, SIZE), (&part, SIZE - START)] {
        fs::File::create(file).unwrap().set_len(size).unwrap();
    }
    let (disk, part) = (disk.to_str().unwrap(), part.to_str().unwrap());
    run("mkntfs", &["-q", "-F", "-Q", "-p", "2048", "-H", "255", "-S", "63", part]);
    let volume = Volume::alone(Path::new(part));
    {
        let drive = volume.mounted();
        let tree = fresh.drive().join(".");
        run("cp", &["-r", tree.to_str().unwrap(), drive.path().to_str().unwrap()]);
        fresh.hives().write(&drive.path(), &fresh.user, &Hives::default());
    }
    volume.judge();
    volume.close();
    run("sh", &["-c", &format!("echo 2048,,7,* | sfdisk -q --label dos '{disk}'")]);
    let seek = format!("seek={START}");
    run(
        "dd",
        &[
            &format!("if={part}"),
            &format!("of={disk}"),
            "conv=sparse,notrunc",
            "bs=64K",
            "oflag=seek_bytes",
            &seek,
        ],
    );
    fs::remove_file(part).unwrap();
}

/// A path of the drive, as Windows writes it.
fn in_windows(path: &str) -> String {
    format!(r"C:\{}", path.replace('/', r"\"))
}

/// Both bring the same library, which is no conflict; both set a value, which is one; both add to lists, which is none.
fn plan_tells_what_both_set(desk: &Desk) {
    let plan = desk.json(&["template", "plan", "Instruments"]);
    let conflicts: Vec<&str> =
        plan["conflicts"].as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap()).collect();
    let (both, other): (Vec<&str>, Vec<&str>) =
        conflicts.iter().partition(|text| text.contains(r"Instruments\Last"));
    assert_eq!(both.len(), 1, "{conflicts:?}");
    assert!(both[0].contains("'Sundial / 1.0' changes"), "{both:?}");
    assert!(other.iter().all(|text| text.contains(DRIVER_DATE)), "{other:?}");
}

/// What layers did to the registry, done to the newer version's.
fn together(old: &Hives, newer: Hives, layers: [&Hives; 2]) -> Hives {
    let mut all = newer;
    let path = all.system.value(ENVIRONMENT, "PATH").unwrap().text();
    layers.iter().for_each(|layer| old.done(layer, &mut all));
    let path = format!(r"{path};C:\Program Files\Abacus\;C:\Program Files\Sundial\");
    all.system.set(ENVIRONMENT, "PATH", Data::of_expanded(&path));
    all.system.set(DISKS, "UpperFilters", Data::of_texts(&["Abacus", "Sundial"]));
    all
}

/// The files that must be there are, and are what they were; what must not be there is not.
fn files_are_there(volume: &Volume, proof: &Proof) {
    let paths = volume.judge();
    for path in LEFT_BEHIND.into_iter().chain(STARTED) {
        assert!(!paths.iter().any(|there| there.eq_ignore_ascii_case(path)), "{path}");
    }
    for program in [&ABACUS, &SUNDIAL] {
        let built = fs::read(proof.desk.path(&format!("{}.exe", program.name))).unwrap();
        assert!(volume.content(&program.place()) == built, "{}", program.name);
        assert!(paths.contains(&program.entry(&proof.fresh.user)), "{}", program.name);
    }
    assert!(volume.content(LIBRARY) == fs::read(proof.desk.path("scale.dll")).unwrap());
    assert_eq!(String::from_utf8_lossy(&volume.content("windows/win.ini")), PATCHED);
    let kept = |path: &&String| path.starts_with("windows/Installer/") && path.ends_with(".msi");
    assert_eq!(paths.iter().filter(kept).count(), 2, "what uninstalls them");
}

/// The hives on a drive are those that are expected, and hivexsh reads them.
fn registry_is(drive: &Path, user: &str, expected: &Hives) {
    let there = Hives::read(drive, user);
    for ((place, expected), there) in hives::places(user).iter().zip(expected.all()).zip(there.all()) {
        assert!(!there.0.is_empty(), "{place}");
        let differs = expected.changes(there);
        assert!(!differs.contains('['), "{place} has, against what is expected: {differs}");
    }
    let [software, system, of_user, classes, _] = hives::places(user).map(|place| drive.join(place));
    for program in [&ABACUS, &SUNDIAL] {
        let uninstall = format!(r"{UNINSTALL}\{}", program.product());
        assert_eq!(hives::value(&software, &uninstall, "DisplayName"), program.name);
        let own = format!(r"Software\Instruments\{}", program.name);
        assert_eq!(hives::value(&of_user, &own, "Entry"), "1");
        assert_eq!(hives::value(&classes, &format!(".{}", program.name), "@"), program.name);
    }
    assert_eq!(hives::value(&software, "Instruments", "Last"), "Sundial");
    assert_eq!(hives::value(&system, r"ControlSet001\Services\Patched", "Start"), "3");
}

/// Both run, from the start menu too; one is uninstalled, and leaves the other what both need.
fn one_goes_and_one_stays(windows: Windows, drive: &Path, user: &str) {
    let listed = windows.run("reg", &["query", &format!(r"HKLM\Software\{UNINSTALL}")]);
    for program in [&ABACUS, &SUNDIAL] {
        assert!(listed.contains(&program.product()), "{listed}");
        assert_eq!(windows.run(&in_windows(&program.place()), &[]), program.says());
        windows.run("start", &["/wait", &in_windows(&program.entry(user))]);
    }
    windows.run("msiexec", &["/x", &ABACUS.product(), "/qn"]);
    assert_eq!(windows.run(&in_windows(&SUNDIAL.place()), &[]), SUNDIAL.says());
    assert!(drive.join(LIBRARY).exists());
    assert!(!drive.join(ABACUS.place()).exists() && !drive.join(ABACUS.entry(user)).exists());
    windows.off();
    let left = Hives::read(drive, user);
    assert!(!left.software.has(&format!(r"{UNINSTALL}\{}", ABACUS.product())));
    assert!(left.software.has(&format!(r"{UNINSTALL}\{}", SUNDIAL.product())));
    let path = left.system.value(ENVIRONMENT, "PATH").unwrap().text();
    assert!(!path.contains("Abacus") && path.ends_with(r"C:\Program Files\Sundial\"), "{path}");
}

/// Root may mount. For anybody else this test is run again as the root of a namespace of their own, and then was all there is.
fn is_done_as_root() -> bool {
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        return false;
    }
    let mut again = Command::new("unshare");
    again.args(["--map-root-user", "--map-auto", "--mount"]).args(std::env::args_os());
    assert!(again.status().unwrap().success());
    true
}

#[test]
fn programs_installed_in_two_layers_run_together_on_a_newer_version_and_one_can_be_uninstalled() {
    if is_done_as_root() {
        return;
    }
    let proof = Proof::new();
    let layers = [proof.app(&ABACUS), proof.app(&SUNDIAL)];
    let newer = proof.newer();
    let desk = &proof.desk;
    let parts = ["--os", "Windows/1.1", "--app", "Abacus", "--app", "Sundial"];
    // Larger than its layers: the volume grows.
    let disk = ["--disk", "instruments", "--format", "raw", "--size", "2"];
    desk.ends(0, &[&["template", "create", "Instruments"][..], &parts, &disk].concat());
    plan_tells_what_both_set(desk);
    let image = desk.path("image.raw");
    desk.ends(0, &["image", "publish", "Instruments", "--to", &image]);

    let volume = Volume::of(&Source::raw(Path::new(&image)));
    files_are_there(&volume, &proof);
    let user = &proof.fresh.user;
    {
        let drive = volume.mounted();
        let expected = together(&proof.fresh.hives(), newer, [&layers[0], &layers[1]]);
        assert!(!expected.software.has(BORLAND), "a layer took it away");
        registry_is(&drive.path(), user, &expected);
        one_goes_and_one_stays(Windows::on(&drive, &proof.fresh), &drive.path(), user);
    }
    volume.judge();
    volume.close();
}
