//! The tool as what starts Sysprep: started by the service control manager of Wine when Windows starts, it takes itself out, runs what
//! stands in for Sysprep, and is not there at the next start. Wine has no Sysprep, and this says nothing of what the real one does.

use crate::wine::{Wine, ran, stand_ins, wine};
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// In the set that Windows started with, and in the one that it takes next.
const KEYS: [&str; 2] = [
    r"HKLM\System\CurrentControlSet\Services\shale-sysprep",
    r"HKLM\System\ControlSet002\Services\shale-sysprep",
];
/// What a disk's registry has, in the words of regedit.
const REGISTRY: &str = r#"
[HKEY_LOCAL_MACHINE\System\CurrentControlSet\Services\shale-sysprep]
"Type"=dword:10
"Start"=dword:2
"ErrorControl"=dword:0
"ImagePath"="C:\\windows\\shale-sysprep.exe --sysprep"
"ObjectName"="LocalSystem"

[HKEY_LOCAL_MACHINE\System\ControlSet002\Services\shale-sysprep]
"Start"=dword:2

[HKEY_LOCAL_MACHINE\System\Select]
"Default"=dword:2

[HKEY_LOCAL_MACHINE\Software\Microsoft\Windows\CurrentVersion\Setup\State]
"ImageState"="IMAGE_STATE_COMPLETE"
"#;
const SELECT: &str = r"HKLM\System\Select";
const STATE: &str = r"HKLM\Software\Microsoft\Windows\CurrentVersion\Setup\State";
const SESSION: &str = r"HKLM\System\CurrentControlSet\Control\Session Manager";
const SYSPREP: &str = "windows/system32/sysprep";
/// For a Windows that starts while the host is busy.
const PATIENCE: Duration = Duration::from_secs(300);

/// A Windows as an image is given it, off.
struct Image(Wine);

impl Image {
    fn new(has_sysprep: bool) -> Self {
        let wine = wine();
        fs::copy(wine.program(), wine.path("windows/shale-sysprep.exe")).unwrap();
        wine.import(&REGISTRY.replace('\n', "\r\n"));
        if has_sysprep {
            fs::create_dir_all(wine.path(SYSPREP)).unwrap();
            let program = wine.path(SYSPREP).join("sysprep.exe");
            let source = stand_ins().join("sysprep.c");
            let words = ["-O", "-Wall", "-Werror", "-o", program.to_str().unwrap(), source.to_str().unwrap()];
            ran("x86_64-w64-mingw32-gcc", &words);
        }
        Self(wine)
    }

    /// Starts Windows; its log, once the last line of it is this.
    fn start(&mut self, last: &str) -> String {
        self.0.turn_off();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            if log.lines().last().is_some_and(|line| line.contains(last)) {
                return log;
            }
            assert!(Instant::now() < deadline, "'{last}' is not said: {log}");
            sleep(Duration::from_millis(100));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.0.path("ProgramData/Shale/sysprep.log")).unwrap_or_default()
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.0.path("sysprep-calls")).unwrap_or_default()
    }

    /// Starts Windows again: what ran is not there any more.
    fn start_again(&mut self) {
        let before = (self.log(), self.calls());
        self.0.turn_off();
        let program = self.0.path("windows/shale-sysprep.exe");
        let deadline = Instant::now() + PATIENCE;
        while program.exists() {
            assert!(Instant::now() < deadline, "its program stays");
            sleep(Duration::from_millis(100));
        }
        assert!((self.log(), self.calls()) == before, "nothing ran: {}", self.log());
    }

    /// Looks for the service, and takes out what the test put there.
    fn remove(self) {
        assert!(KEYS.iter().all(|key| !self.0.has_key(key)), "the service is in no control set");
        self.0.unset(SELECT, "Default");
        self.0.unkey(STATE);
        for file in
            ["windows/shale-sysprep.exe", "ProgramData/Shale/sysprep.log", "sysprep-calls", "sysprep-exit"]
        {
            let _ = fs::remove_file(self.0.path(file));
        }
        let _ = fs::remove_dir_all(self.0.path(SYSPREP));
    }
}

#[test]
fn sysprep_is_run_once_at_the_first_start_and_what_starts_it_is_gone_before() {
    let mut image = Image::new(true);
    let log = image.start("Sysprep has ended");
    assert!(log.contains("The service shale-sysprep was removed."), "{log}");
    assert!(log.contains(r"System32\Sysprep\sysprep.exe /generalize /oobe /reboot /quiet"), "{log}");
    assert!(log.contains("its state: IMAGE_STATE_COMPLETE"), "{log}");
    assert_eq!(image.calls().trim(), "/generalize /oobe /reboot /quiet");
    image.start_again();
    image.remove();
}

#[test]
fn a_sysprep_that_fails_or_is_not_there_is_told_of_in_the_log_and_not_tried_again() {
    let mut failing = Image::new(true);
    failing.0.write("sysprep-exit", "31");
    let log = failing.start("setuperr.log");
    assert!(log.contains("Sysprep failed (exit code: 31)") && log.contains("is not generalized"), "{log}");
    failing.0.unset(SESSION, "PendingFileRenameOperations");
    failing.remove();

    let mut missing = Image::new(false);
    let log = missing.start("could not be run");
    assert!(log.contains("is not generalized"), "{log}");
    assert_eq!(missing.calls(), "");
    missing.0.unset(SESSION, "PendingFileRenameOperations");
    missing.remove();
}
