//! Machines: a real guest in QEMU, run off raw files, with its screen, its network and its power.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use uuid::Uuid;
use xapi_sim::machine::{Drive, End, Event, Forward, Machine, Settings};

/// A boot takes some 10 s where guests are translated and the host is otherwise idle.
const PATIENCE: Duration = Duration::from_secs(240);

/// A machine without a disk, in this folder.
fn settings(folder: &Path) -> Settings {
    Settings {
        name: "test".to_owned(),
        uuid: Uuid::new_v4(),
        memory: 256 << 20,
        cpus: 1,
        uefi: false,
        disks: Vec::new(),
        cd: None,
        cd_first: false,
        nics: vec!["02:16:3e:00:00:01".to_owned()],
        forwards: Vec::new(),
        folder: folder.join("machine"),
        paused: false,
    }
}

/// A disk that boots by itself and runs these scripts; see `tests/guest/make-tiny-disk.sh` of the project.
fn tiny_disk(folder: &Path, firmware: &str, scripts: &[(&str, &str)]) -> PathBuf {
    let run = folder.join("run");
    fs::create_dir(&run).unwrap();
    for (name, text) in scripts {
        fs::write(run.join(name), text).unwrap();
    }
    let disk = folder.join("tiny.raw");
    let maker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guest/make-tiny-disk.sh");
    assert!(Command::new(maker).arg(&disk).arg(firmware).arg(&run).status().unwrap().success());
    disk
}

fn start(settings: Settings) -> (Machine, Receiver<Event>) {
    let (tell, events) = channel();
    let machine = Machine::start(settings, move |event| drop(tell.send(event)));
    (machine.unwrap_or_else(|e| panic!("{e}")), events)
}

/// Waits until the guest has said this on its serial port.
fn wait_for(machine: &Machine, text: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = fs::read(machine.serial_log()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        if said.contains(text) {
            return;
        }
        assert!(Instant::now() < deadline && machine.is_running(), "waited in vain for {text:?}:\n{said}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// What QEMU answers a viewer that connects.
fn greeting(machine: &Machine) -> String {
    let mut hello = [0; 12];
    UnixStream::connect(machine.console()).unwrap().read_exact(&mut hello).unwrap();
    String::from_utf8_lossy(&hello).into_owned()
}

#[test]
fn a_guest_boots_restarts_is_reached_stands_still_and_goes_off_at_the_power_button() {
    let folder = tempfile::tempdir().unwrap();
    let disk = tiny_disk(folder.path(), "bios", &[("1", "echo kept >data/note; sync; reboot -f")]);
    let port = free_port();
    let (machine, events) = start(Settings {
        disks: vec![Drive { path: disk, read_only: false }],
        forwards: vec![Forward { host: port, guest: 22 }],
        ..settings(folder.path())
    });
    wait_for(&machine, "tiny guest: boot 2");
    assert_eq!(events.recv_timeout(PATIENCE).unwrap(), Event::Rebooted);
    wait_for(&machine, "tiny guest: ready");
    assert_eq!(greeting(&machine), "RFB 003.008\n");

    machine.pause().unwrap();
    let mut shell = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    shell.write_all(b"cat /disk/data/note; exit\n").unwrap();
    shell.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert!(shell.read(&mut [0]).is_err(), "a paused guest answers nothing");
    machine.resume().unwrap();
    shell.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut said = String::new();
    shell.read_to_string(&mut said).unwrap();
    assert!(said.ends_with("kept\n"), "{said}");

    machine.press_power_button().unwrap();
    let last =
        std::iter::from_fn(|| events.recv_timeout(PATIENCE).ok()).find(|event| *event != Event::Rebooted);
    assert_eq!(last, Some(Event::Ended(End::PoweredOff)));
    assert!(!machine.is_running());
    machine.power_off();
}

#[test]
fn a_guest_with_uefi_powers_itself_off_and_what_it_trimmed_is_a_hole() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        "dd if=/dev/urandom of=data/big bs=1M count=40; sync; rm data/big; sync; fstrim -v .; : >/tmp/off";
    let disk = tiny_disk(folder.path(), "uefi", &[("always", script)]);
    let (machine, events) = start(Settings {
        disks: vec![Drive { path: disk.clone(), read_only: false }],
        uefi: true,
        ..settings(folder.path())
    });
    let variables = folder.path().join("machine/efi-variables.fd");
    assert!(variables.is_file(), "the machine has UEFI variables of its own");
    let before = allocated(&disk);
    assert_eq!(events.recv_timeout(PATIENCE).unwrap(), Event::Ended(End::PoweredOff));
    let said = fs::read_to_string(machine.serial_log()).unwrap();
    assert!(said.contains("bytes trimmed"), "{said}");
    let grown = allocated(&disk).saturating_sub(before);
    assert!(grown < 20 << 20, "the disk grew by {grown} bytes, though 40 MiB were written and trimmed");
}

fn allocated(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).unwrap().blocks() * 512
}

#[test]
fn the_power_can_be_cut_and_a_cd_changed_at_any_time() {
    let folder = tempfile::tempdir().unwrap();
    let cd = folder.path().join("a,b.iso");
    fs::write(&cd, [0; 65536]).unwrap();
    let (machine, events) = start(Settings { paused: true, ..settings(folder.path()) });
    machine.insert_cd(&cd).unwrap();
    machine.insert_cd(&cd).unwrap();
    machine.eject_cd().unwrap();
    assert!(machine.insert_cd(&folder.path().join("none.iso")).is_err());
    machine.reset().unwrap();
    machine.resume().unwrap();
    machine.power_off();
    assert!(!machine.is_running());
    assert_eq!(events.recv_timeout(PATIENCE).unwrap(), Event::Ended(End::Stopped));
    assert!(machine.pause().is_err(), "there is nothing to pause");

    let (machine, _) = start(Settings { cd: Some(cd), cd_first: true, ..settings(folder.path()) });
    let pid = machine.pid();
    drop(machine);
    assert!(!is_alive(pid));
}

#[test]
fn a_machine_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Drive { path: folder.path().join("gone.raw"), read_only: false };
    let error =
        Machine::start(Settings { disks: vec![missing], ..settings(folder.path()) }, |_| {}).err().unwrap();
    assert!(error.to_string().contains("gone.raw"), "{error}");
}

/// Whether a process runs; a zombie does not.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn machines_die_with_the_process_that_started_them() {
    const IN_CHILD: &str = "XAPI_SIM_TEST_FOLDER";
    if let Some(folder) = std::env::var_os(IN_CHILD) {
        let (machine, events) = start(settings(Path::new(&folder)));
        println!("pid {}", machine.pid());
        let _ = events.recv(); // until it is killed
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut simulator = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "machines_die_with_the_process_that_started_them", "--nocapture"])
        .env(IN_CHILD, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(simulator.stdout.take().unwrap()).lines();
    let mut pids = lines.filter_map(|line| line.unwrap().strip_prefix("pid ")?.parse().ok());
    let pid: u32 = pids.next().expect("the other process tells the number of its machine");
    assert!(is_alive(pid));
    simulator.kill().unwrap();
    simulator.wait().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "process {pid} lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}
