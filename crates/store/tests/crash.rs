//! Processes that die while they save: killed at any moment, or out of room. Whole versions or none; nothing left.
//!
//! This test has its own `main`, because it starts itself as the process that dies: `crash child <folder> <n>`
//! saves version n again and again. Needs root for the full disk (it mounts a small tmpfs).

mod disks;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use disks::{Image, VersionIds, keep_going, new_version, read_all};
use shale_store::{BLOCK, ErrorKind, GcOptions, Repository, VersionId};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, child, folder, round] = &arguments[..]
        && child == "child"
    {
        return save_on_and_on(Path::new(folder), round.parse().expect("a number"));
    }
    let tests: [(&str, fn()); 3] = [
        ("a_killed_save_leaves_a_whole_version_or_none", a_killed_save_leaves_a_whole_version_or_none),
        ("a_dead_holder_blocks_nobody", a_dead_holder_blocks_nobody),
        ("a_full_disk_loses_nothing", a_full_disk_loses_nothing),
    ];
    for (name, test) in tests {
        test();
        println!("test {name} ... ok");
    }
}

fn image(round: u8, number: u8) -> Image {
    // Half of it is the same in all versions.
    let mut image = Image::text(24 * BLOCK, 1);
    image.bytes.extend(Image::text(8 * BLOCK, u64::from(round) * 256 + u64::from(number)).bytes);
    image
}

fn id(round: u8, number: u8) -> VersionId {
    let mut id = [round; 16];
    id[15] = number;
    VersionId(id)
}

fn save_on_and_on(folder: &Path, round: u8) {
    for number in 1..=u8::MAX {
        let repository = Repository::open_or_create(folder).expect("it opens");
        let image = image(round, number);
        let new = new_version(id(round, number), None, &image, 2);
        repository.save(new, &image, keep_going()).expect("it saves");
    }
}

fn child(folder: &Path, round: u8) -> std::process::Child {
    Command::new(std::env::current_exe().expect("it has a path"))
        .args(["child".as_ref(), folder.as_os_str(), round.to_string().as_ref()])
        .stdin(Stdio::null())
        .spawn()
        .expect("it starts")
}

/// Waits until there is a version.
fn await_version(folder: &Path, child: &mut std::process::Child) {
    let is_there = || Repository::open(folder).is_ok_and(|it| it.versions().is_ok_and(|all| !all.is_empty()));
    let deadline = std::time::Instant::now() + Duration::from_secs(300);
    while !is_there() {
        assert!(std::time::Instant::now() < deadline, "it runs and saves nothing");
        assert_eq!(child.try_wait().unwrap(), None, "it ended and saved nothing");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn a_killed_save_leaves_a_whole_version_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("r");
    let mut versions = 0;
    for round in 1..=30u8 {
        let mut child = child(&folder, round);
        std::thread::sleep(Duration::from_millis(20 + u64::from(round) * 7));
        if round == 30 && versions == 0 {
            // So slow is this machine that none has saved anything yet: the last one lives until it has.
            await_version(&folder, &mut child);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let repository = Repository::open_or_create(&folder).unwrap();
        let report = repository.check(true, keep_going()).unwrap();
        assert!(report.is_sound(), "round {round}: {:?}", report.findings);
        let there = repository.versions().unwrap();
        assert!(there.len() >= versions, "a version that was there is gone");
        versions = there.len();
        for info in there.iter().filter(|info| info.id.0[0] == round) {
            let whole = image(round, info.id.0[15]);
            assert!(read_all(&repository.version(info.id).unwrap()) == whole.bytes);
        }
    }
    assert!(versions > 0, "what the last one saved is gone");

    // What the dead left is swept, and what was published in vain is collected.
    let repository = Repository::open(&folder).unwrap();
    for info in repository.versions().unwrap() {
        repository.remove_version(info.id).unwrap();
    }
    let now = std::time::SystemTime::now();
    let options = GcOptions { grace: Duration::ZERO, ..GcOptions::new(now) };
    repository.gc(&options, keep_going()).unwrap();
    repository.gc(&options, keep_going()).unwrap();
    disks::assert_nothing_left(&folder);
}

fn a_dead_holder_blocks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    let mut child = child(folder.path(), 1);
    // Killed while it holds the lock, which it does nearly all the time.
    let pid = child.id();
    let held_by_it = |repository: &Repository| repository.holders().iter().any(|h| h.pid == pid);
    while !held_by_it(&repository) {
        assert_eq!(child.try_wait().unwrap(), None, "it ended and held nothing");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(repository.holders().is_empty(), "the dead hold nothing");
    let now = std::time::SystemTime::now();
    let options = GcOptions { grace: Duration::ZERO, ..GcOptions::new(now) };
    for info in repository.versions().unwrap() {
        repository.remove_version(info.id).unwrap();
    }
    repository.gc(&options, keep_going()).unwrap();
    assert_eq!(repository.gc(&options, keep_going()).unwrap().postponed, None);
    disks::assert_nothing_left(folder.path());
}

fn a_full_disk_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = |command: &str, arguments: &[&str]| {
        let status = Command::new(command).args(arguments).arg(folder.path()).status().expect("it runs");
        assert!(status.success(), "{command} {arguments:?}");
    };
    run("mount", &["-t", "tmpfs", "-o", "size=8m", "tmpfs"]);
    let result = std::panic::catch_unwind(|| {
        let repository = Repository::create(folder.path()).unwrap();
        let mut ids = VersionIds::default();
        let (first, second) = (ids.next(), ids.next());
        let small = Image::noise(3 << 20, 1);
        repository.save(new_version(first, None, &small, 2), &small, keep_going()).unwrap();
        let large = Image::noise(20 << 20, 2);
        let error = repository.save(new_version(second, None, &large, 2), &large, keep_going()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        assert_eq!(repository.versions().unwrap().len(), 1);
        assert!(repository.check(true, keep_going()).unwrap().is_sound());
        assert!(read_all(&repository.version(first).unwrap()) == small.bytes);
        // There is room again for what fits.
        let other = Image::noise(3 << 20, 3);
        repository.save(new_version(second, None, &other, 2), &other, keep_going()).unwrap();
    });
    run("umount", &[]);
    result.unwrap();
}
