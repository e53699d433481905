//! The `local` connector with real guests in QEMU: the conformance suite, and what is its own.

mod conformance;
mod guest;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use shale_connector::local::{Local, Settings, StartsBy};
use shale_connector::{Connector, ErrorKind, Firmware, MachineSpec, Outcome, Power, ServeCommand, Tag};
use shale_disk::{Disk, Extent, FileDisk};

fn settings() -> Settings {
    Settings { memory_mib: 256, cpus: 1, ..Settings::default() }
}

/// A state folder whose machine is removed when the test ends, also when it fails.
struct Bench {
    folder: tempfile::TempDir,
    state: PathBuf,
    tag: Tag,
}

impl Bench {
    fn new(last_digits: &str) -> Self {
        // Processes are found by tag on the whole host, where these tests may run more than once at a time.
        let us = std::process::id();
        let tag = Tag::parse(&format!("0198b2c4-0000-7000-8000-{us:08x}{last_digits}")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        Self { folder, state, tag }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn connect(&self) -> Box<dyn Connector> {
        Box::new(Local::new(&self.state, settings()).unwrap())
    }

    fn machine(&self, name: &str) -> PathBuf {
        self.state.join(self.tag.as_str()).join(name)
    }

    /// Makes the machine from a disk, served by `qemu-nbd`.
    fn make(&self, disk: &Path) -> Box<dyn Connector> {
        let connector = self.connect();
        let opened = FileDisk::open(disk).unwrap();
        let origin = guest::origin(&opened, guest::serve_command(self.folder.path(), disk));
        let spec = spec(opened.size());
        connector.ensure_disk(&self.tag, &spec, &origin, &|_| ControlFlow::Continue(())).unwrap();
        connector.ensure_machine(&self.tag, &spec).unwrap();
        connector
    }

    /// A disk with nothing on it, for machines that need not boot.
    fn empty_disk(&self) -> PathBuf {
        let disk = self.path("empty.raw");
        fs::File::create(&disk).unwrap().set_len(64 << 20).unwrap();
        disk
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let removed = self.connect().remove(&self.tag);
        assert!(std::thread::panicking() || removed.is_ok(), "{removed:?}");
    }
}

fn spec(disk_size: u64) -> MachineSpec {
    MachineSpec { name: "tiny".into(), disk_size, firmware: Firmware::Bios }
}

/// The live processes that have this argument: with a disk socket's path, those that serve the disk.
fn pids_with(argument: &str) -> Vec<String> {
    let names = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let has_it = |pid: &String| {
        let args = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        args.split(|b| *b == 0).any(|arg| arg == argument.as_bytes())
    };
    names.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).filter(has_it).collect()
}

/// Kills a process and waits until it is gone: until it is scheduled once more, its socket takes connections.
fn kill(pid: &str) {
    assert!(Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
    while fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a command in the tiny guest by the shell on its port 22.
fn ask_guest(connector: &dyn Connector, tag: &Tag, command: &str) -> String {
    let address = connector.observe(tag).unwrap().ssh.unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    writeln!(stream, "{command}; exit").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn conforms(bench: &Bench, firmware: Firmware) {
    let scripts = conformance::scripts();
    let scripts: Vec<(&str, &[u8])> = scripts.iter().map(|(name, text)| (*name, text.as_slice())).collect();
    let disk = guest::make_disk(bench.folder.path(), &scripts);
    let serve = guest::serve_command(bench.folder.path(), &disk);
    conformance::run(&|| bench.connect(), &bench.tag, &disk, serve, firmware);
}

#[test]
fn a_bios_machine_conforms() {
    conforms(&Bench::new("0010"), Firmware::Bios);
}

#[test]
fn a_uefi_machine_conforms() {
    conforms(&Bench::new("0011"), Firmware::Uefi);
}

#[test]
fn a_machine_starts_by_the_firmware_that_is_set_whatever_its_disk_is_made_for() {
    let bench = Bench::new("0012");
    bench.make(&bench.empty_disk());
    for (firmware, is_uefi) in [(StartsBy::Uefi, true), (StartsBy::Auto, false)] {
        let connector = Local::new(&bench.state, Settings { firmware, ..settings() }).unwrap();
        connector.power_on(&bench.tag).unwrap();
        let pid = connector.observe(&bench.tag).unwrap().pid.unwrap();
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert_eq!(line.contains("pflash0=firmware"), is_uefi, "{firmware:?}: {line}");
        connector.power_off(&bench.tag).unwrap();
    }
}

#[test]
fn a_guest_reads_on_when_its_export_was_killed_and_is_reached_by_its_forwarded_port() {
    let bench = Bench::new("0001");
    let old = vec![b'x'; 3_000_000];
    let disk = guest::make_disk(bench.folder.path(), &[("old", &old)]);
    let connector = bench.make(&disk);
    connector.power_on(&bench.tag).unwrap();
    guest::wait_for(&*connector, &bench.tag, "tiny guest: ready");

    let socket = bench.machine("disk.sock").to_str().unwrap().to_owned();
    let killed = pids_with(&socket);
    assert_eq!(killed.len(), 1);
    kill(&killed[0]);
    // Asked while nothing serves the disk: the answer comes once somebody has looked at the machine.
    let answer = ask_guest(&*connector, &bench.tag, "wc -c run/old");
    assert!(answer.contains("3000000 run/old"), "{answer}");
    let now = pids_with(&socket);
    assert_eq!(now.len(), 1);
    assert_ne!(now, killed);
    assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Running);
}

/// A disk that must not be looked into.
struct Sealed(u64);

impl Disk for Sealed {
    fn size(&self) -> u64 {
        self.0
    }
    fn read_at(&self, _: &mut [u8], _: u64) -> shale_disk::Result<()> {
        panic!("the origin was read")
    }
    fn extent_at(&self, _: u64) -> shale_disk::Result<Extent> {
        panic!("the origin was scanned")
    }
}

#[test]
fn a_huge_disk_is_powered_on_without_being_read() {
    let bench = Bench::new("0002");
    let connector = bench.connect();
    let disk = bench.path("huge.raw");
    let size = 4 << 40;
    fs::File::create(&disk).unwrap().set_len(size).unwrap();
    let sealed = Sealed(size);
    let origin = guest::origin(&sealed, guest::serve_command(bench.folder.path(), &disk));
    let begun = std::time::Instant::now();
    connector.ensure_disk(&bench.tag, &spec(size), &origin, &|_| ControlFlow::Continue(())).unwrap();
    connector.ensure_machine(&bench.tag, &spec(size)).unwrap();
    connector.power_on(&bench.tag).unwrap();
    println!("from request to power-on: {:?}", begun.elapsed());
    let seen = connector.observe(&bench.tag).unwrap();
    assert_eq!(seen.power, Power::Running);

    // The screen answers as RFB does.
    let vnc = seen.vnc_socket.expect("no screen");
    let mut hello = [0; 4];
    std::os::unix::net::UnixStream::connect(vnc).unwrap().read_exact(&mut hello).unwrap();
    assert_eq!(&hello, b"RFB ");

    // Killed from outside: off, and what it wrote can be read.
    kill(&seen.pid.unwrap().to_string());
    guest::wait_off(&*connector, &bench.tag);
    assert_eq!(connector.open_changes(&bench.tag, &|_| ControlFlow::Continue(())).unwrap().disk.size(), size);
}

#[test]
fn a_deleted_overlay_is_told_and_never_comes_back_empty() {
    let bench = Bench::new("0003");
    let disk = bench.empty_disk();
    let connector = bench.make(&disk);
    connector.power_on(&bench.tag).unwrap();
    connector.power_off(&bench.tag).unwrap();
    fs::remove_file(bench.machine("overlay.qcow2")).unwrap();

    let seen = connector.observe(&bench.tag).unwrap();
    assert_eq!(seen.power, Power::Off);
    assert!(seen.detail.unwrap().contains("was deleted"));
    let opened = FileDisk::open(&disk).unwrap();
    let origin = guest::origin(&opened, guest::serve_command(bench.folder.path(), &disk));
    let made_again =
        connector.ensure_disk(&bench.tag, &spec(opened.size()), &origin, &|_| ControlFlow::Continue(()));
    let errors = [
        made_again.err(),
        connector.power_on(&bench.tag).err(),
        connector.open_changes(&bench.tag, &|_| ControlFlow::Continue(())).err(),
    ];
    for error in errors {
        assert_eq!(error.unwrap().kind(), ErrorKind::Damaged);
    }
}

#[test]
fn what_keeps_a_machine_from_starting_is_in_the_error() {
    let bench = Bench::new("0004");
    let connector = bench.make(&bench.empty_disk());
    fs::write(bench.machine("overlay.qcow2"), "not a disk").unwrap();
    let error = connector.power_on(&bench.tag).unwrap_err().to_string();
    assert!(error.contains("not in qcow2 format"), "{error}");
    let seen = connector.observe(&bench.tag).unwrap();
    assert_eq!((seen.power, seen.was_powered_on), (Power::Off, false));
    assert!(connector.open_changes(&bench.tag, &|_| ControlFlow::Continue(())).is_err());
}

#[test]
fn what_keeps_an_export_from_starting_is_in_the_error() {
    let bench = Bench::new("0005");
    let disk = bench.empty_disk();
    let connector = bench.connect();
    let opened = FileDisk::open(&disk).unwrap();
    let serve = |program: &str| ServeCommand {
        program: program.into(),
        args: vec!["-c".into(), "echo the shelf is empty >&2; exit 3".into()],
    };
    let table = [("/bin/sh", "the shelf is empty"), ("/no/such/program", "is missing")];
    for (program, expected) in table {
        let origin = guest::origin(&opened, serve(program));
        let spec = spec(opened.size());
        connector.ensure_disk(&bench.tag, &spec, &origin, &|_| ControlFlow::Continue(())).unwrap();
        connector.ensure_machine(&bench.tag, &spec).unwrap();
        let error = connector.power_on(&bench.tag).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Off);
    }
}

#[test]
fn a_machine_half_made_is_listed_and_completed() {
    let bench = Bench::new("0009");
    let connector = bench.connect();
    fs::create_dir_all(bench.machine("")).unwrap();
    assert_eq!(connector.inventory().unwrap(), std::slice::from_ref(&bench.tag));
    assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Absent);
    assert_eq!(connector.power_on(&bench.tag).unwrap_err().kind(), ErrorKind::Absent);

    let disk = bench.empty_disk();
    bench.make(&disk);
    assert_eq!(connector.observe(&bench.tag).unwrap().detail, None);
    // As a crash between the record and the overlay leaves it.
    fs::remove_file(bench.machine("overlay.qcow2")).unwrap();
    assert!(connector.observe(&bench.tag).unwrap().detail.is_some());
    bench.make(&disk);
    assert_eq!(connector.observe(&bench.tag).unwrap().detail, None);
}

#[test]
fn a_machine_half_removed_is_listed_and_its_processes_end() {
    let bench = Bench::new("000a");
    let connector = bench.make(&bench.empty_disk());
    connector.power_on(&bench.tag).unwrap();
    let socket = bench.machine("disk.sock").to_str().unwrap().to_owned();
    assert_eq!(pids_with(&socket).len(), 1);
    assert_eq!(pids_with(bench.tag.as_str()).len(), 1);
    // As a crash in the midst of a removal leaves it.
    fs::rename(bench.machine(""), bench.state.join(format!("{}.removing", bench.tag))).unwrap();
    assert_eq!(connector.inventory().unwrap(), std::slice::from_ref(&bench.tag));
    assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Absent);

    connector.remove(&bench.tag).unwrap();
    assert!(connector.inventory().unwrap().is_empty());
    assert!(pids_with(&socket).is_empty());
    assert!(pids_with(bench.tag.as_str()).is_empty());
}

#[test]
fn a_state_folder_too_long_for_sockets_still_runs_machines() {
    let mut bench = Bench::new("0006");
    bench.state = bench.path(&"long".repeat(25));
    let connector = bench.make(&bench.empty_disk());
    connector.power_on(&bench.tag).unwrap();
    let seen = connector.observe(&bench.tag).unwrap();
    let vnc = seen.vnc_socket.expect("no screen");
    assert!(!vnc.starts_with(&bench.state));
    assert!(vnc.exists());
    connector.remove(&bench.tag).unwrap();
    assert!(!vnc.parent().unwrap().exists(), "sockets elsewhere go as well");
}

#[test]
fn the_test_of_this_host_finds_what_machines_need() {
    let bench = Bench::new("0007");
    let checks = bench.connect().test();
    let names: Vec<&str> = checks.iter().map(|c| c.name.as_str()).collect();
    let expected = [
        "QEMU",
        "accelerator",
        "BIOS firmware",
        "UEFI firmware",
        "processes",
        "storage",
        "sockets",
        "memory",
    ];
    assert_eq!(names, expected);
    for check in &checks {
        assert_ne!(check.outcome, Outcome::Failed, "{check:?}");
        assert!(!check.detail.is_empty());
    }
}

/// A machine whose state folder is on a file system of a few MiB, which takes a mount namespace of its own: the
/// test runs itself again inside one.
#[test]
fn a_full_storage_pauses_the_guest_which_goes_on_once_there_is_room() {
    const INSIDE: &str = "SHALE_TEST_SMALL_STORAGE";
    const NAME: &str = "a_full_storage_pauses_the_guest_which_goes_on_once_there_is_room";
    if let Some(small) = std::env::var_os(INSIDE) {
        return fills_its_storage(Path::new(&small));
    }
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=24m none \"$1\" && exec \"$2\" --exact \"$3\" --nocapture";
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .arg(NAME)
        .env(INSIDE, folder.path())
        .status()
        .unwrap();
    assert!(status.success());
}

fn fills_its_storage(small: &Path) {
    let mut bench = Bench::new("0008");
    bench.state = small.join("state");
    let ballast = small.join("ballast");
    fs::write(&ballast, vec![1; 16 << 20]).unwrap();
    let script: &[u8] = b"yes full | head -c 12000000 >data/fill; sync; md5sum data/fill; touch /tmp/off\n";
    let disk = guest::make_disk(bench.folder.path(), &[("1", script)]);
    let connector = bench.make(&disk);
    connector.power_on(&bench.tag).unwrap();
    let seen = guest::wait_until(&*connector, &bench.tag, "a pause", |seen| seen.power == Power::Paused);
    assert!(seen.detail.unwrap().contains("is full"));
    assert_eq!(
        connector.open_changes(&bench.tag, &|_| ControlFlow::Continue(())).err().unwrap().kind(),
        ErrorKind::Busy
    );

    fs::remove_file(ballast).unwrap();
    connector.power_on(&bench.tag).unwrap();
    let seen = guest::wait_off(&*connector, &bench.tag);
    let expected = Command::new("sh").args(["-c", "yes full | head -c 12000000 | md5sum"]).output().unwrap();
    let sum = String::from_utf8(expected.stdout).unwrap();
    assert!(guest::has_said(&seen, sum.split(' ').next().unwrap()), "{}", guest::said(&seen));
}
