//! Layers for the sweep: a small Linux, a platform layer that was made on it, and guests that write into its file system.
//!
//! ```text
//!   linux 1.0 ──┬─ agent 1.0 (platform)    /usr/bin/agent
//!               │
//!               ├─▶ 1.3 of linux           in a machine that has the agent, too, of which it keeps nothing
//!               ├─▶ 2.0 of the agent       in a machine that has 1.0 of it
//!               └─▶ 1.0 of a new app layer in a machine that has the agent
//! ```
//!
//! Each is a task that puts disks together, whose guest changes `/usr/bin/app` and writes `/srv/data`.

use crate::bench::{Bench, CONNECTOR, FIRST_SYSTEM, LAYER, id};
use crate::{Job, NEW, NEW_LAYER, SYSTEM, json, put_together};
use serde_json::Value;
use shale_connector::Firmware;
use shale_disk::Memory;
use shale_model::LayerKind;
use shale_server::catalog::VersionRow;
use shale_server::composition::{Composition, Part};
use shale_server::jobs::{AddVersionInput, Makes};
use shale_task::sweep::Pairs;
use shale_volume::capture;
use shale_volume::files::Program;
use std::fs;
use std::io::{Read, Seek, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use uuid::Uuid;

/// The platform layer and its version.
const AGENT_LAYER: Uuid = id(0x50);
const AGENT: Uuid = id(0x51);

/// The platform layer's delta.
static DELTA: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let now = written(&FIRST_SYSTEM, &["write CONTENT /usr/bin/agent"]);
    let mut file = tempfile::tempfile().unwrap();
    let program = Program::at(Path::new(env!("CARGO_BIN_EXE_shaled")).with_file_name("shale-files"));
    let (old, now) = (Arc::new(Memory(FIRST_SYSTEM.clone())), Arc::new(Memory(now)));
    let copy = file.try_clone().unwrap();
    let made = capture::layer_of(&program, old, now, None, "", copy, &|_| ControlFlow::Continue(())).unwrap();
    assert!(made.entries > 0, "the platform layer brings a file: {made:?}");
    let mut delta = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut delta).unwrap();
    delta
});

/// An ext4 file system after these commands of debugfs, in which `CONTENT` is a file; at a time that is always the same, so
/// that what is made of it is.
fn written(system: &[u8], commands: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (image, content) = (folder.path().join("image"), folder.path().join("content"));
    fs::write(&image, system).unwrap();
    fs::write(&content, "what a guest wrote").unwrap();
    let mut debugfs = Command::new("debugfs")
        .args(["-w", "-f", "-"])
        .arg(&image)
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .env("E2FSPROGS_FAKE_TIME", "1700000000")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("debugfs is there");
    let script = commands.join("\n").replace("CONTENT", content.to_str().unwrap());
    writeln!(debugfs.stdin.take().unwrap(), "{script}").unwrap();
    let output = debugfs.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(image).unwrap()
}

/// What the guest of a machine leaves that began as `system`.
pub fn guest_writes(system: &[u8]) -> Vec<u8> {
    written(
        system,
        &["rm /usr/bin/app", "write CONTENT /usr/bin/app", "mkdir /srv", "write CONTENT /srv/data"],
    )
}

/// A version of each kind of layer. Both disks of the platform layer's task are put together in it; the others find theirs.
pub fn jobs() -> [Job; 3] {
    let job = |make| Job::new("add_version", make, Pairs::Every(499));
    [
        job(make_os).prepared(prepare_composed).requested(request_os),
        job(make_platform).prepared(prepare).requested(request_platform),
        job(make_app).prepared(prepare_composed).requested(request_app),
    ]
}

/// Puts the operating system and the platform layer into a world.
fn prepare(bench: &Bench) {
    bench.add_system(LAYER, SYSTEM);
    bench.add_layer_on(AGENT_LAYER, LayerKind::Platform, "Agent", Some(LAYER));
    bench.add_bytes(AGENT_LAYER, AGENT, "1.0", &DELTA);
}

/// The same, where both disks of machines were put together before.
fn prepare_composed(bench: &Bench) {
    prepare(bench);
    for with_agent in [false, true] {
        put_together(bench, composition(bench, with_agent));
    }
}

/// What the request for a version of the OS layer does, of the platform layer, and for a new app layer.
fn request_os(bench: &Bench) {
    bench.add_editing(LAYER, NEW, "1.3", Some(SYSTEM));
}

fn request_platform(bench: &Bench) {
    bench.add_editing(AGENT_LAYER, NEW, "2.0", Some(AGENT));
}

fn request_app(bench: &Bench) {
    bench.add_layer_on(NEW_LAYER, LayerKind::App, "Web", Some(LAYER));
    bench.add_editing(NEW_LAYER, NEW, "1.0", Some(SYSTEM));
}

fn make_os(bench: &Bench) -> Value {
    let (alone, machine) = (composition(bench, false), composition(bench, true));
    let makes = Makes::DiskWithout { against: alone.id, platform: part() };
    input(vec![alone, machine], makes, None)
}

fn make_platform(bench: &Bench) -> Value {
    let (alone, machine) = (composition(bench, false), composition(bench, true));
    let makes = Makes::Delta { against: alone.id };
    input(vec![alone, machine], makes, None)
}

fn make_app(bench: &Bench) -> Value {
    let machine = composition(bench, true);
    let makes = Makes::Delta { against: machine.id };
    input(vec![machine], makes, Some(NEW_LAYER))
}

fn part() -> Part {
    Part { version_id: AGENT, name: "Agent / 1.0".into() }
}

fn composition(bench: &Bench, with_agent: bool) -> Composition {
    bench.change(async |tx| {
        let os = VersionRow::get(tx, SYSTEM).await?.unwrap();
        let agent = VersionRow::get(tx, AGENT).await?.unwrap();
        let layers = [(&agent, part().name)];
        Composition::new(&os, if with_agent { &layers } else { &[] }, os.virtual_bytes)
    })
}

/// The machine starts from the last of `compositions`.
fn input(compositions: Vec<Composition>, makes: Makes, new_layer: Option<Uuid>) -> Value {
    let machine = compositions.last().unwrap();
    json(AddVersionInput {
        version_id: NEW,
        base_version_id: machine.id,
        connector_id: CONNECTOR,
        machine_name: "machine".into(),
        disk_size: machine.disk_size,
        firmware: Firmware::Bios,
        compositions,
        makes,
        new_layer,
        unattended: None,
    })
}
