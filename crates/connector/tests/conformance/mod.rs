//! What every connector must do, written against the trait only.
//!
//! The guest is the tiny disk with [`SCRIPTS`]: it changes its disk and powers off by itself in its first boot, and
//! waits in every later one. [`run_without_guest`] is for platforms on which no guest of ours boots.

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use shale_connector::{Connector, ErrorKind, Firmware, MachineSpec, Origin, Power, ServeCommand, Tag};
use shale_disk::{Content, Disk, FileDisk, Layered, Resized};

use crate::guest;

/// Bytes of the file that the guest deletes.
const OLD_FILE: usize = 4 << 20;
/// Where the tiny disk's file system begins, see its maker.
const ROOT_OFFSET: u64 = 10 << 20;

fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Makes a connector value as a restarted caller would.
pub type Connect<'a> = &'a dyn Fn() -> Box<dyn Connector + 'a>;

/// What the guest runs.
pub fn scripts() -> Vec<(&'static str, Vec<u8>)> {
    let first = "echo 'changed in boot 1' >data/changed\nrm run/old\nsync\nfstrim /disk\ntouch /tmp/off\n";
    // Must not compress to nothing nor be taken for zeros.
    let old = (0..OLD_FILE as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 | 1).collect();
    vec![("1", first.into()), ("old", old)]
}

/// Runs the suite. The platform holds nothing of ours at the start and at the end.
pub fn run(connect: Connect, tag: &Tag, disk: &Path, serve: ServeCommand, firmware: Firmware) {
    let connector = connect();
    let origin_disk = FileDisk::open(disk).unwrap();
    let origin = guest::origin(&origin_disk, serve);
    let spec = MachineSpec {
        name: "tiny-2026-11-22_10-00-00.000".into(),
        disk_size: origin_disk.size() + (64 << 20),
        firmware,
    };
    nothing_is_there(&*connector, tag);
    made_twice_is_made_once(&*connector, tag, &spec, &origin);
    it_runs_and_powers_itself_off(&*connector, tag);
    changes_hold_what_changed_and_no_more(&*connector, tag, &spec, disk);
    a_running_machine_is_found_again(connect, tag, &spec, &origin);
    removed_twice_is_gone(&*connector, tag);
}

/// Runs as much of the suite as needs no guest. `write` writes into the machine's disk while the machine is off, in a
/// guest's place.
#[allow(dead_code)] // not every connector's tests need it
pub fn run_without_guest(connect: Connect, tag: &Tag, disk: &Path, write: &dyn Fn(u64, &[u8])) {
    let connector = connect();
    let origin_disk = FileDisk::open(disk).unwrap();
    let nobody = ServeCommand { program: "/bin/false".into(), args: Vec::new() };
    let origin = guest::origin(&origin_disk, nobody);
    let name = "tiny-2026-11-22_10-00-00.000".into();
    let spec = MachineSpec { name, disk_size: origin_disk.size() + (64 << 20), firmware: Firmware::Bios };
    nothing_is_there(&*connector, tag);
    made_twice_is_made_once(&*connector, tag, &spec, &origin);

    let (near, far) = (vec![0x5a; 70_000 / 512 * 512], vec![0xa5; 512]);
    write(3 << 20, &near);
    write(spec.disk_size - 512, &far);
    let changes: Arc<dyn Disk> = connect().open_changes(tag, &go_on).unwrap().disk.into();
    let whole = Layered::new(changes, Resized::new(FileDisk::open(disk).unwrap(), spec.disk_size));
    let mut expected = std::fs::read(disk).unwrap();
    expected.resize(spec.disk_size as usize, 0);
    expected[3 << 20..][..near.len()].copy_from_slice(&near);
    expected[(spec.disk_size - 512) as usize..].copy_from_slice(&far);
    let mut found = vec![0; expected.len()];
    whole.read_at(&mut found, 0).unwrap();
    assert!(found == expected, "the disk is the origin with what was written");

    removed_twice_is_gone(&*connector, tag);
}

fn nothing_is_there(connector: &dyn Connector, tag: &Tag) {
    assert!(connector.inventory().unwrap().is_empty());
    assert_eq!(connector.observe(tag).unwrap().power, Power::Absent);
    connector.remove(tag).unwrap();
    connector.power_off(tag).unwrap();
    for error in [connector.power_on(tag).err(), connector.open_changes(tag, &go_on).err()] {
        assert_eq!(error.unwrap().kind(), ErrorKind::Absent);
    }
}

fn made_twice_is_made_once(connector: &dyn Connector, tag: &Tag, spec: &MachineSpec, origin: &Origin) {
    let stop = |_: u64| ControlFlow::Break(());
    let stopped = connector.ensure_disk(tag, spec, origin, &stop).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Stopped);
    let too_small = MachineSpec { disk_size: origin.disk.size() - 512, ..spec.clone() };
    assert!(connector.ensure_disk(tag, &too_small, origin, &go_on).is_err());

    for _ in 0..2 {
        connector.ensure_disk(tag, spec, origin, &go_on).unwrap();
    }
    for _ in 0..2 {
        connector.ensure_machine(tag, spec).unwrap();
    }
    assert_eq!(connector.inventory().unwrap(), std::slice::from_ref(tag));
    let seen = connector.observe(tag).unwrap();
    assert_eq!((seen.power, seen.was_powered_on, seen.detail), (Power::Off, false, None));
    assert_eq!(seen.name, spec.name);
    assert!(!seen.place.is_empty());
    let changes = connector.open_changes(tag, &go_on).unwrap().disk;
    assert_eq!(changes.size(), spec.disk_size);
    assert_eq!(bytes_of(&*changes, Content::Hole), spec.disk_size, "nothing has changed yet");
}

fn it_runs_and_powers_itself_off(connector: &dyn Connector, tag: &Tag) {
    connector.power_on(tag).unwrap();
    let seen = connector.observe(tag).unwrap();
    assert_eq!((seen.power, seen.was_powered_on, seen.detail), (Power::Running, true, None));
    connector.power_on(tag).unwrap();
    assert_eq!(connector.observe(tag).unwrap().pid, seen.pid, "it is the same machine");
    let seen = guest::wait_off(connector, tag);
    assert!(guest::has_said(&seen, "ran run/1"), "{}", guest::said(&seen));
    assert!(seen.was_powered_on);
    assert!(seen.changed_bytes > 0);
    for _ in 0..2 {
        connector.power_off(tag).unwrap();
        connector.shut_down(tag).unwrap();
    }
}

fn changes_hold_what_changed_and_no_more(
    connector: &dyn Connector,
    tag: &Tag,
    spec: &MachineSpec,
    origin: &Path,
) {
    let changes: Arc<dyn Disk> = connector.open_changes(tag, &go_on).unwrap().disk.into();
    assert_eq!(changes.size(), spec.disk_size);
    let data = bytes_of(&*changes, Content::Data);
    assert!((1..8 << 20).contains(&data), "{data} bytes of data for a few small files");
    let zero = bytes_of(&*changes, Content::Zero);
    assert!(zero >= (OLD_FILE / 2) as u64, "what the guest discarded is known to be empty, not data: {zero}");

    // The whole disk as the guest left it, judged by the file system's own tools.
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.img");
    let whole = Layered::new(changes, Resized::new(FileDisk::open(origin).unwrap(), spec.disk_size));
    copy_root(&whole, &root);
    let check = Command::new("e2fsck").arg("-fn").arg(&root).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    assert_eq!(file_text(&root, "/data/changed"), "changed in boot 1\n");
    assert_eq!(file_text(&root, "/boots"), "1\n");
    assert_eq!(file_text(&root, "/run/old"), "");
}

fn a_running_machine_is_found_again(connect: Connect, tag: &Tag, spec: &MachineSpec, origin: &Origin) {
    let pid = {
        let connector = connect();
        connector.power_on(tag).unwrap();
        guest::wait_for(&*connector, tag, "boot 2");
        guest::wait_for(&*connector, tag, "tiny guest: ready").pid
    };
    let connector = connect();
    let seen = connector.observe(tag).unwrap();
    assert_eq!((seen.power, seen.pid, seen.name.as_str()), (Power::Running, pid, spec.name.as_str()));
    assert!(seen.has_screen);
    let mut hello = [0; 8];
    connector.open_screen(tag).unwrap().read_exact(&mut hello).unwrap();
    assert_eq!(&hello, b"RFB 003.");
    let refused = connector.open_changes(tag, &go_on).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Busy);
    assert!(refused.to_string().contains(&spec.name), "{refused}");
    connector.ensure_disk(tag, spec, origin, &go_on).unwrap();
    connector.ensure_machine(tag, spec).unwrap();
    assert_eq!(connector.observe(tag).unwrap().pid, pid, "ensuring again disturbs nothing");

    connector.shut_down(tag).unwrap();
    let seen = guest::wait_off(&*connector, tag);
    assert!(guest::has_said(&seen, "power button"));
    connector.open_changes(tag, &go_on).unwrap();
}

fn removed_twice_is_gone(connector: &dyn Connector, tag: &Tag) {
    connector.power_on(tag).unwrap();
    assert_eq!(connector.observe(tag).unwrap().power, Power::Running);
    connector.remove(tag).unwrap();
    connector.remove(tag).unwrap();
    nothing_is_there(connector, tag);
}

/// How many bytes of the disk have this content.
fn bytes_of(disk: &dyn Disk, content: Content) -> u64 {
    let (mut at, mut sum) = (0, 0);
    while at < disk.size() {
        let extent = disk.extent_at(at).unwrap();
        if extent.content == content {
            sum += extent.length;
        }
        at = extent.offset + extent.length;
    }
    sum
}

/// Copies the tiny disk's file system into a file of its own.
fn copy_root(disk: &dyn Disk, to: &Path) {
    let file = File::create(to).unwrap();
    let mut at = ROOT_OFFSET;
    while at < disk.size() {
        let extent = disk.extent_at(at).unwrap();
        let length = extent.length.min(1 << 20);
        if extent.content == Content::Data {
            let mut bytes = vec![0; length as usize];
            disk.read_at(&mut bytes, at).unwrap();
            file.write_all_at(&bytes, at - ROOT_OFFSET).unwrap();
        }
        at += length;
    }
    file.set_len(disk.size() - ROOT_OFFSET).unwrap();
}

/// What is in a file of an ext4 image; nothing when it is not there.
fn file_text(image: &Path, path: &str) -> String {
    let out = Command::new("debugfs").arg("-R").arg(format!("cat {path}")).arg(image).output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}
