//! Windows, as Wine knows it: made once, and turned on where a drive has it.

use super::drive::Drive;
use super::hives::{Hives, user_of};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// For a Windows that starts while the host is busy.
const PATIENCE: Duration = Duration::from_secs(600);
/// What Wine notes in the folder of a Windows, so that it is not set up anew at every start.
const STAMP: &str = ".update-timestamp";

/// A Windows that was just set up, in a folder.
pub struct Fresh {
    folder: tempfile::TempDir,
    /// The name of its user.
    pub user: String,
}

impl Fresh {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path();
        let run_in = |program: &str, word: &str| {
            let mut command = Command::new(program);
            let ended = prepared(&mut command, prefix).arg(word).output().expect("wine is installed");
            assert!(ended.status.success(), "{ended:?}");
        };
        run_in("wineboot", "--init");
        run_in("wineserver", "-w");
        let drive = prefix.join("drive_c");
        let user = user_of(&drive);
        for entry in fs::read_dir(drive.join("users").join(&user)).unwrap() {
            // Links to folders of this host.
            let path = entry.unwrap().path();
            if path.is_symlink() {
                fs::remove_file(&path).unwrap();
                fs::create_dir(&path).unwrap();
            }
        }
        // Two thirds of Wine's libraries is what debuggers want.
        let strip = "grep -rlaZ 'Wine builtin DLL' . | xargs -0 x86_64-w64-mingw32-strip --strip-debug";
        let stripped = Command::new("sh").args(["-c", strip]).current_dir(&drive).status().unwrap();
        assert!(stripped.success());
        Self { folder, user }
    }

    pub fn drive(&self) -> PathBuf {
        self.folder.path().join("drive_c")
    }

    /// Its registry.
    pub fn hives(&self) -> Hives {
        Hives::of_wine(self.folder.path())
    }
}

/// A Windows that is on: its drive is a volume's, its registry that of the hives there.
pub struct Windows<'a> {
    drive: &'a Drive<'a>,
    user: String,
    prefix: tempfile::TempDir,
    /// Its hives when it was turned on.
    was: Hives,
}

impl<'a> Windows<'a> {
    pub fn on(drive: &'a Drive<'a>, fresh: &Fresh) -> Self {
        let prefix = tempfile::tempdir().unwrap();
        let was = Hives::read(&drive.path(), &fresh.user);
        was.to_wine(prefix.path());
        fs::copy(fresh.folder.path().join(STAMP), prefix.path().join(STAMP)).unwrap();
        let devices = prefix.path().join("dosdevices");
        fs::create_dir(&devices).unwrap();
        symlink(&drive.folder, devices.join("c:")).unwrap();
        symlink("/", devices.join("z:")).unwrap();
        Self { drive, user: fresh.user.clone(), prefix, was }
    }

    /// Has a CD in a drive, which is a folder.
    pub fn with_cd(self, folder: &Path) -> Self {
        fs::write(folder.join(".windows-label"), "SHALE-TOOLS").unwrap();
        symlink(folder, self.prefix.path().join("dosdevices/r:")).unwrap();
        self
    }

    /// Turns it on, and lets it work by itself until `is_over`.
    #[track_caller]
    pub fn by_itself(&self, is_over: impl Fn() -> bool) {
        let mut command = self.drive.volume.command("wine");
        // Services alone do not keep Wine on.
        let command = prepared(&mut command, self.prefix.path()).args([&place("cmd"), "/c", "pause"]);
        let mut held = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !is_over() {
            assert!(Instant::now() < deadline, "its work is not over");
            sleep(Duration::from_millis(100));
        }
        drop(held.stdin.take());
        held.wait().unwrap();
    }

    /// Runs a program, named as Windows or as this host names it. What it says; it must succeed.
    #[track_caller]
    pub fn run(&self, program: &str, words: &[&str]) -> String {
        let mut command = self.drive.volume.command("wine");
        let output =
            prepared(&mut command, self.prefix.path()).arg(place(program)).args(words).output().unwrap();
        assert!(output.status.success(), "{program} {words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).replace('\r', "")
    }

    /// Installs a package of this host.
    #[track_caller]
    pub fn install(&self, package: &Path) {
        let place = format!("Z:{}", package.display()).replace('/', "\\");
        self.run("msiexec", &["/i", &place, "/qn"]);
    }

    /// Turns it off: what became of its registry is written into its hives, and answered.
    pub fn off(self) -> Hives {
        self.server("-w");
        let now = Hives::of_wine(self.prefix.path());
        now.write(&self.drive.path(), &self.user, &self.was);
        now
    }

    /// Has the process that all of Wine's talk to wait for their end (`-w`), or end them (`-k`).
    fn server(&self, word: &str) {
        let mut server = self.drive.volume.command("wineserver");
        let ended = prepared(&mut server, self.prefix.path()).arg(word).output().unwrap();
        assert!(ended.status.success() || word == "-k", "{ended:?}");
    }
}

impl Drop for Windows<'_> {
    fn drop(&mut self) {
        self.server("-k");
    }
}

/// The place of a program. Wine has another program start one that is only named, which may fail on a busy host.
fn place(program: &str) -> String {
    match program {
        _ if program.contains(['/', '\\']) => program.to_owned(),
        "regedit" => r"C:\windows\regedit.exe".to_owned(),
        _ => format!(r"C:\windows\system32\{program}.exe"),
    }
}

/// No word about what does not matter here, no screen, nothing of Wine's own browser and .NET, no menu of this host.
fn prepared<'c>(command: &'c mut Command, prefix: &Path) -> &'c mut Command {
    let none = "mscoree,mshtml=;winemenubuilder.exe=d";
    command.env("WINEPREFIX", prefix).env("WINEDEBUG", "-all").env("WINEDLLOVERRIDES", none);
    command.env("HOME", prefix).env_remove("DISPLAY").stdin(Stdio::null())
}
