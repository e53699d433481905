//! A Windows of Wine, one for all tests, used by one at a time.

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::thread::sleep;
use std::time::Duration;

/// The program's place in Windows, and that of its icon's target.
pub const PROGRAM: &str = r"C:\Program Files\Shale\shutdown-for-finalize.exe";

/// A Windows with the program in it, which is on.
pub struct Wine {
    prefix: PathBuf,
    kept_on: MutexGuard<'static, Option<Child>>,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub output: String,
    /// What Wine traced of processes.
    trace: String,
}

impl Run {
    /// Whether it told Windows to shut down and power off: Wine then starts this.
    pub fn shuts_down(&self) -> bool {
        self.trace
            .lines()
            .any(|line| line.contains("wineboot.exe --end-session") && line.contains("--shutdown"))
    }
}

/// A program of Windows at work, until it is dropped.
pub struct AtWork {
    child: Child,
    stop: PathBuf,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        fs::write(&self.stop, "").unwrap();
        self.child.wait().unwrap();
        fs::remove_file(&self.stop).unwrap();
    }
}

/// Windows, made anew by the first test, and after one that failed: that leaves what it set.
pub fn wine() -> Wine {
    static KEPT_ON: Mutex<Option<Child>> = Mutex::new(None);
    let mut kept_on = KEPT_ON.lock().unwrap_or_else(|failed| {
        KEPT_ON.clear_poison();
        let mut kept_on = failed.into_inner();
        *kept_on = None;
        kept_on
    });
    let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wine");
    // One that ended would have taken what others set with it.
    let is_on = kept_on.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
    if !is_on {
        make(&prefix);
        *kept_on = Some(turn_on(&prefix));
    }
    Wine { prefix, kept_on }
}

fn make(prefix: &Path) {
    if prefix.exists() {
        // What still runs there would write to it. Nothing may.
        end_all(prefix);
        fs::remove_dir_all(prefix).unwrap();
    }
    fs::create_dir_all(prefix).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/guest-tools");
    let built = Command::new(build).arg("windows").env("CARGO_TARGET_DIR", target).status().unwrap();
    assert!(built.success(), "scripts/guest-tools windows");
    let init = wine_command(prefix, "wineboot").arg("--init").output().expect("wine is installed");
    assert!(init.status.success(), "{init:?}");
    let folder = prefix.join("drive_c/Program Files/Shale");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(
        target.join("guest/windows/shutdown-for-finalize.exe"),
        folder.join("shutdown-for-finalize.exe"),
    )
    .unwrap();
    let stand_in = |source: &str, output: PathBuf, words: &[&str]| {
        let source = stand_ins().join(source);
        let output = output.to_str().unwrap();
        ran(
            "x86_64-w64-mingw32-gcc",
            &[&["-O", "-Wall", "-Werror", "-o", output, source.to_str().unwrap()], words].concat(),
        );
    };
    let drive = prefix.join("drive_c");
    stand_in("hold.c", drive.join("hold.exe"), &[]);
    stand_in("ngen.c", drive.join("ngen.exe"), &["-Wno-unused-result"]);
    stand_in("cfgmgr32.c", folder.join("cfgmgr32.dll"), &["-shared"]);
    stand_in("netapi32.c", folder.join("netapi32.dll"), &["-shared"]);
    stand_in("refuse.c", drive.join("refuse.dll"), &["-shared"]);
}

/// The folder of what stands in for programs that Wine lacks.
pub fn stand_ins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/windows/stand-ins")
}

/// What a tool of this host printed.
#[track_caller]
pub fn ran(program: &str, words: &[&str]) -> String {
    let ended =
        Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(ended.status.success(), "{program}: {ended:?}");
    String::from_utf8(ended.stdout).unwrap()
}

fn wine_command(prefix: &Path, program: &str) -> Command {
    let mut command = Command::new("wine");
    command.arg(program).env("WINEPREFIX", prefix).env("WINEDEBUG", "-all").env_remove("DISPLAY");
    // No questions for Wine's own browser and .NET.
    command.env("WINEDLLOVERRIDES", "mscoree,mshtml=").stdin(Stdio::null());
    command
}

impl Wine {
    /// A file of the drive `C:`.
    pub fn path(&self, path: &str) -> PathBuf {
        self.prefix.join("drive_c").join(path)
    }

    pub fn program(&self) -> PathBuf {
        self.path("Program Files/Shale/shutdown-for-finalize.exe")
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A program, by its place.
    pub fn command(&self, program: &str) -> Command {
        wine_command(&self.prefix, program)
    }

    /// A program of Windows, by its place as well: one that is only named is started by another one, which seldom, in a
    /// Windows that was turned on just now, told that it could not ("ShellExecuteEx failed: Internal error").
    pub fn system(&self, program: &str) -> Command {
        self.command(&format!(r"C:\windows\system32\{program}.exe"))
    }

    /// Runs the program, with the stand-ins for libraries.
    pub fn run(&self, words: &[&str]) -> Run {
        let mut command = self.command(PROGRAM);
        command
            .args(words)
            .env("WINEDEBUG", "+process")
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=;cfgmgr32=n;netapi32=n,b");
        let ended = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Run { code: ended.status.code().unwrap(), output: text(&ended.stdout), trace: text(&ended.stderr) }
    }

    pub fn report(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("ProgramData/Shale/integrity.json")).unwrap()).unwrap()
    }

    /// What a check finds: codes with their details.
    #[track_caller]
    pub fn found(&self) -> Vec<(String, String)> {
        let run = self.run(&["--check"]);
        assert!([0, 1, 5, 6].contains(&run.code), "{run:?}");
        let report = self.report();
        let findings = report["findings"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let details =
            |value: &Value| value.as_array().unwrap().iter().map(text).collect::<Vec<_>>().join("; ");
        findings.iter().map(|one| (text(&one["code"]), details(&one["details"]))).collect()
    }

    /// Has `reg` change the registry. It only prepares a test, and is asked up to three times: once, in a Windows that was
    /// turned on just before, its process was gone before it had begun, and why was not to be found out.
    #[track_caller]
    fn registry(&self, words: &[&str]) {
        let mut failed = Vec::new();
        while failed.len() < 3 {
            let ended = self.system("reg").args(words).arg("/f").output().unwrap();
            // It says that it has: one that Windows ends says nothing, and ends well.
            if ended.status.success() && !ended.stdout.is_empty() {
                return;
            }
            failed.push(ended);
            sleep(Duration::from_secs(1));
        }
        panic!("reg {words:?}: {failed:?}\n{}", self.trace());
    }

    /// Sets a value in the registry.
    #[track_caller]
    pub fn set(&self, key: &str, name: &str, kind: &str, data: &str) {
        self.registry(&["add", key, "/v", name, "/t", kind, "/d", data]);
    }

    /// Sets a list of texts in the registry. Some may be empty, which `reg` cannot say.
    pub fn set_texts(&self, key: &str, name: &str, texts: &[&str]) {
        let key = key.replacen("HKLM", "HKEY_LOCAL_MACHINE", 1);
        let units = texts.iter().flat_map(|text| text.encode_utf16().chain([0])).chain([0]);
        let bytes: Vec<_> = units.flat_map(u16::to_le_bytes).map(|byte| format!("{byte:02x}")).collect();
        self.import(&format!("[{key}]\r\n\"{name}\"=hex(7):{}", bytes.join(",")));
    }

    /// Puts what is told in the words of a `.reg` file into the registry.
    pub fn import(&self, registry: &str) {
        let text = format!("\u{feff}Windows Registry Editor Version 5.00\r\n\r\n{registry}\r\n");
        let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        fs::write(self.path("import.reg"), text).unwrap();
        let ended = self.command(r"C:\windows\regedit.exe").arg(r"C:\import.reg").output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
    }

    /// Deletes a value from the registry.
    #[track_caller]
    pub fn unset(&self, key: &str, name: &str) {
        self.registry(&["delete", key, "/v", name]);
    }

    /// Makes a key in the registry.
    #[track_caller]
    pub fn key(&self, key: &str) {
        self.registry(&["add", key]);
    }

    /// Deletes a key from the registry.
    #[track_caller]
    pub fn unkey(&self, key: &str) {
        self.registry(&["delete", key]);
    }

    /// Whether the registry has this key.
    pub fn has_key(&self, key: &str) -> bool {
        self.system("reg").args(["query", key]).output().unwrap().status.success()
    }

    /// Starts a program under this name that works on, and holds a mutex if one is named.
    pub fn at_work(&self, name: &str, mutex: &[&str]) -> AtWork {
        let program = self.path(name);
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::copy(self.path("hold.exe"), &program).unwrap();
        let mut command = self.command(&format!(r"C:\{}", name.replace('/', r"\")));
        let mut child = command.arg(r"C:\stop").args(mutex).stdout(Stdio::piped()).spawn().unwrap();
        ready(&mut child);
        AtWork { child, stop: self.path("stop") }
    }

    /// What Wine traced of processes since it was turned on: those that started with it.
    pub fn trace(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.prefix.join("trace")).unwrap()).into_owned()
    }

    /// Turns Windows off, after it has shut down or not, and on again.
    pub fn turn_off(&mut self) {
        end_all(&self.prefix);
        *self.kept_on = Some(turn_on(&self.prefix));
    }
}

/// A program that runs as long as the tests do, so that Windows stays on between others: each time it starts it does what
/// is pending, as a real one does, and then that is not found any more.
fn turn_on(prefix: &Path) -> Child {
    let mut command = wine_command(prefix, r"C:\hold.exe");
    // What is started with Windows tells there what processes it starts.
    let trace = fs::File::create(prefix.join("trace")).unwrap();
    command.env("WINEDEBUG", "+process").stderr(trace);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    ready(&mut child);
    child
}

fn ready(child: &mut Child) {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "ready");
}

/// Ends Windows, and what was only about to start in it: that would begin another one by itself, and shut that down.
fn end_all(prefix: &Path) {
    loop {
        // SIGINT: it writes the registry, however long that takes. A bare `-k` kills it after ten seconds.
        server(prefix, &["-k2"]);
        server(prefix, &["-w"]);
        let left = processes_of(prefix);
        if left.is_empty() {
            return;
        }
        // One may have ended meanwhile.
        let _ = Command::new("kill").arg("-KILL").args(&left).stderr(Stdio::null()).status();
    }
}

/// The processes of this host that work for the Windows in `prefix`.
fn processes_of(prefix: &Path) -> Vec<String> {
    let meant = format!("WINEPREFIX={}", prefix.display());
    let names = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_its = |pid: &String| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == meant.as_bytes())
    };
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(is_its).collect()
}

fn server(prefix: &Path, words: &[&str]) -> ExitStatus {
    let mut server = Command::new("wineserver");
    server.args(words).env("WINEPREFIX", prefix).stderr(Stdio::null());
    server.status().expect("wineserver is installed")
}
