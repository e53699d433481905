//! The tool as a service: started by the service control manager of Wine when Windows starts, it finds the CD, runs the script on
//! it, tells of it on the serial port, and restarts or shuts Windows down.

use crate::framework;
use crate::wine::{Wine, stand_ins, wine};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{ControlModes, tcgetattr};
use shale_guest::script::{Line, Lines, OnRestart, Orders, Outcome};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const KEY: &str = r"HKLM\System\CurrentControlSet\Services\shale-run";
const PORTS: &str = r"HKLM\Software\Wine\Ports";
/// For a Windows that starts while the host is busy.
const PATIENCE: Duration = Duration::from_secs(300);

/// The other end of `COM2`.
struct Port {
    name: String,
    /// Kept open: what is written while nobody has it open would be lost.
    line: OwnedFd,
    told: Receiver<Vec<u8>>,
    lines: Lines,
}

impl Port {
    fn new() -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let line = File::options().read(true).write(true).open(&name).unwrap().into();
        let (sender, told) = channel();
        let mut ours = File::from(ours);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = ours.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { name, line, told, lines: Lines::default() }
    }

    /// What was told since it was asked last, up to the line that ends a start of the machine.
    fn told(&mut self) -> Vec<Line> {
        let (mut told, deadline) = (Vec::new(), Instant::now() + PATIENCE);
        while !matches!(told.last(), Some(Line::Restarting { .. } | Line::Ended { .. })) {
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes = self.told.recv_timeout(left).unwrap_or_else(|e| panic!("{e}: {told:?}"));
            told.extend(self.lines.take(&bytes));
        }
        told
    }
}

/// A Windows with the service in it, off.
struct Unattended {
    wine: Wine,
    port: Port,
    cd: PathBuf,
}

impl Unattended {
    fn new(script: &str, text: &str, on_restart: OnRestart) -> Self {
        let wine = wine();
        fs::copy(wine.program(), wine.path("windows/shale-run.exe")).unwrap();
        let cd = wine.path("../cd");
        let _ = fs::remove_dir_all(&cd);
        fs::create_dir(&cd).unwrap();
        // Wine takes from it what a drive is called that is a folder.
        fs::write(cd.join(".windows-label"), "SHALE-TOOLS").unwrap();
        let on_failure = shale_guest::script::OnFailure::StayOn;
        let orders = Orders { run: script.to_owned(), script: script.to_owned(), on_failure, on_restart };
        fs::write(cd.join("shale-run.json"), serde_json::to_vec(&orders).unwrap()).unwrap();
        fs::write(cd.join(script), text).unwrap();
        let drive = wine.path("../dosdevices/r:");
        let _ = fs::remove_file(&drive);
        symlink(&cd, drive).unwrap();
        let port = Port::new();
        wine.set(PORTS, "COM2", "REG_SZ", &port.name);
        for (name, kind, data) in [
            ("Type", "REG_DWORD", "16"),
            ("Start", "REG_DWORD", "2"),
            ("ErrorControl", "REG_DWORD", "0"),
            ("ImagePath", "REG_EXPAND_SZ", r"%SystemRoot%\shale-run.exe --service"),
            ("ObjectName", "REG_SZ", "LocalSystem"),
        ] {
            wine.set(KEY, name, kind, data);
        }
        Self { wine, port, cd }
    }

    /// Starts Windows, and follows it to the end of that; what was told.
    fn start(&mut self) -> Vec<Line> {
        self.wine.turn_off();
        self.port.told()
    }

    /// Waits until Windows was told to leave: to power off, or to start again. Wine then starts this program.
    fn leaves(&self, off: bool) {
        let deadline = Instant::now() + PATIENCE;
        let told = |line: &&str| line.contains("wineboot.exe --end-session");
        loop {
            let trace = self.wine.trace();
            if let Some(line) = trace.lines().find(told) {
                assert_eq!(line.contains("--shutdown"), off, "{line}");
                return;
            }
            assert!(Instant::now() < deadline, "{trace}");
            sleep(Duration::from_millis(100));
        }
    }

    /// Waits until no process has this in its command.
    fn ends(&self, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        let here = self.wine.path("..").canonicalize().unwrap();
        let of_us = |process: &Path| {
            let told = |what| fs::read(process.join(what)).unwrap_or_default();
            let has =
                |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
            has(&told("cmdline"), what) && has(&told("environ"), here.to_str().unwrap())
        };
        while fs::read_dir("/proc").unwrap().flatten().any(|process| of_us(&process.path())) {
            assert!(Instant::now() < deadline, "{what} does not end");
            sleep(Duration::from_millis(100));
        }
    }

    fn on_disk(&self) -> Vec<Line> {
        Lines::default().take(&fs::read(self.wine.path("ProgramData/Shale/run.jsonl")).unwrap())
    }

    /// Takes all of it out again.
    fn remove(mut self) {
        // It would end what else is run.
        self.ends("wineboot.exe");
        self.wine.unkey(KEY);
        self.wine.unset(PORTS, "COM2");
        fs::remove_file(self.wine.path("../dosdevices/r:")).unwrap();
        for file in ["windows/shale-run.exe", "ProgramData/Shale/run.json", "ProgramData/Shale/run.jsonl"] {
            fs::remove_file(self.wine.path(file)).unwrap();
        }
        fs::remove_dir_all(self.cd).unwrap();
        self.wine.turn_off();
    }
}

fn output(lines: &[Line]) -> String {
    let text = |line: &Line| match line {
        Line::Output { text } => text.clone(),
        _ => String::new(),
    };
    lines.iter().map(text).collect()
}

fn restarts(lines: &[Line]) -> u32 {
    match lines.last() {
        Some(Line::Restarting { restarts, .. }) => *restarts,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_script_is_run_when_windows_starts_again_after_a_restart_and_then_windows_shuts_down() {
    let text = "@echo off\r\necho pass %SHALE_PASS% in %CD% with %SHALE_FILES%\r\nif %SHALE_PASS%==1 exit /b 194\r\nexit /b 3010\r\n";
    let mut unattended = Unattended::new("set up & go.cmd", text, OnRestart::Restart);
    let first = unattended.start();
    assert!(matches!(&first[0], Line::Began { start: 1, .. }), "{first:?}");
    assert_eq!((output(&first).as_str(), restarts(&first)), ("pass 1 in R:\\ with R:\\\r\n", 1));
    unattended.leaves(false);
    let second = unattended.start();
    assert_eq!((output(&second).as_str(), restarts(&second)), ("pass 2 in R:\\ with R:\\\r\n", 2));
    unattended.leaves(false);
    let third = unattended.start();
    assert_eq!(output(&third), "", "the script has ended");
    let done = |line: &Line| matches!(line, Line::Ended { outcome: Outcome::Done, exit_code: Some(0), .. });
    assert!(third.last().is_some_and(done), "{third:?}");
    unattended.leaves(true);
    let report = unattended.wine.report();
    assert_eq!((&report["outcome"], &report["shutting_down"]), (&"clean".into(), &true.into()));
    let all = [first, second, third].concat();
    assert_eq!(unattended.on_disk(), all, "the disk has what the port told");
    let settings = tcgetattr(&unattended.port.line).unwrap();
    let modes = settings.control_modes;
    assert!(modes.contains(ControlModes::CS8) && !modes.contains(ControlModes::PARENB), "{modes:?}");
    assert_eq!(settings.output_speed(), 115_200);
    unattended.remove();
}

#[test]
fn powershell_runs_a_script_without_questions_and_one_that_fails_leaves_windows_on() {
    let mut unattended = Unattended::new("setup.ps1", "exit 7", OnRestart::PowerOff);
    // A program that prints its words, and ends as the last line of the script says.
    let shell = unattended.wine.path("windows/system32/WindowsPowerShell/v1.0/powershell.exe");
    let kept = shell.with_extension("kept");
    let had = fs::rename(&shell, &kept).is_ok();
    fs::create_dir_all(shell.parent().unwrap()).unwrap();
    let source = stand_ins().join("powershell.c");
    let words = ["-O", "-Wall", "-Werror", "-o", shell.to_str().unwrap(), source.to_str().unwrap()];
    crate::wine::ran("x86_64-w64-mingw32-gcc", &words);
    let lines = unattended.start();
    assert_eq!(
        output(&lines).replace('\r', ""),
        "-NoProfile -NonInteractive -ExecutionPolicy Bypass -File R:\\setup.ps1\non both outputs\n"
    );
    match lines.last() {
        Some(Line::Ended { outcome: Outcome::Failed, exit_code: Some(7), text }) => {
            assert_eq!(text, "The script failed with exit code 7.");
        }
        other => panic!("{other:?}"),
    }
    unattended.ends("shale-run.exe");
    assert!(!unattended.wine.trace().contains("--end-session"), "it stays on");
    fs::remove_file(&shell).unwrap();
    if had {
        fs::rename(kept, shell).unwrap();
    }
    unattended.remove();
}

#[test]
fn a_run_in_which_ngen_has_work_left_does_it_and_ends_well() {
    let mut unattended = Unattended::new("net.cmd", "@exit /b 0\r\n", OnRestart::Restart);
    framework::install(&unattended.wine, "stopped");
    unattended.wine.set(
        &format!(r"{}\ListenedState", framework::SERVICE),
        "RootstoreDirty",
        "REG_DWORD",
        "1",
    );
    let lines = unattended.start();
    let note = |text: &str| {
        lines.iter().any(|line| matches!(line, Line::Note { text: told } if told.contains(text)))
    };
    assert!(note("ngen.exe executeQueuedItems") && note(r"Compiling assembly C:\Windows\a.dll"), "{lines:?}");
    let done = |line: &Line| matches!(line, Line::Ended { outcome: Outcome::Done, .. });
    assert!(lines.last().is_some_and(done), "{lines:?}");
    unattended.leaves(true);
    unattended.wine.unkey(framework::SERVICE);
    framework::uninstall(&unattended.wine);
    unattended.remove();
}
