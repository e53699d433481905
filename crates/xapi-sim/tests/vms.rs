//! VMs that really run: started, watched, asked, stopped by calls alone.

mod wire;

use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use wire::Client;
use xapi_sim::{Config, Sim};

/// Seconds that a guest may take for anything; a boot takes some 10 s where guests are translated.
const PATIENCE: f64 = 240.0;

fn start() -> (tempfile::TempDir, Sim, Client) {
    let state = tempfile::tempdir().unwrap();
    let sim = Sim::start(Config { machines: true, ..Config::new(state.path()) }).unwrap();
    let client = Client::root(&sim.url());
    (state, sim, client)
}

/// A disk that boots by itself and runs this script; see `tests/guest/make-tiny-disk.sh` of the project.
fn tiny_disk(folder: &Path, script: &str) -> PathBuf {
    let run = folder.join("run");
    fs::create_dir(&run).unwrap();
    fs::write(run.join("always"), script).unwrap();
    let disk = folder.join("tiny.raw");
    let maker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guest/make-tiny-disk.sh");
    assert!(Command::new(maker).arg(&disk).arg("both").arg(&run).status().unwrap().success());
    disk
}

/// A VM of the template with one disk; gives both.
fn machine(sim: &Sim, client: &Client, disk: &[u8], uefi: bool) -> (String, String) {
    let vdi = client.disk(&sim.shared_sr(), disk.len() as u64);
    assert_eq!(client.put(&format!("vdi={vdi}"), disk).1["status"], "success");
    let vm = client.text("VM.clone", json!([sim.template(uefi), "guest"]));
    client.call("VM.provision", json!([vm]));
    client.call("VM.set_memory", json!([vm, 256 << 20]));
    let device = json!({"VM": vm, "VDI": vdi, "userdevice": "0", "bootable": true, "mode": "RW", "type": "Disk",
        "empty": false, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}});
    client.call("VBD.create", json!([device]));
    (vm, vdi)
}

/// Follows a VM until its record is as wanted.
fn wait_for(client: &Client, vm: &str, is_so: impl Fn(&Value) -> bool) {
    let mut token = json!("");
    loop {
        let batch = client.call("event.from", json!([[format!("vm/{vm}")], token, PATIENCE]));
        let events = batch["events"].as_array().unwrap();
        assert!(!events.is_empty(), "nothing was heard of the VM in time");
        if events.iter().any(|event| is_so(&event["snapshot"])) {
            return;
        }
        token = batch["token"].clone();
    }
}

fn is_halted(vm: &Value) -> bool {
    vm["power_state"] == "Halted"
}

#[test]
fn a_guest_that_powers_itself_off_halts_its_vm_and_lets_go_of_its_disk() {
    let (state, sim, client) = start();
    let disk = fs::read(tiny_disk(state.path(), "echo changed >/disk/data; sync; touch /tmp/off")).unwrap();
    for uefi in [false, true] {
        let (vm, vdi) = machine(&sim, &client, &disk, uefi);
        client.call("VDI.enable_cbt", json!([vdi]));
        let before = client.text("VDI.snapshot", json!([vdi]));
        client.call("VM.start", json!([vm, false, false]));
        assert_eq!(client.fail("VDI.destroy", json!([vdi]))[0], "VDI_IN_USE");
        wait_for(&client, &vm, is_halted);
        let file = fs::read(sim.disk_file(&vdi).unwrap()).unwrap();
        assert!(file[..disk.len()] != disk, "the guest wrote nothing");
        let after = client.text("VDI.snapshot", json!([vdi]));
        assert!(client.text("VDI.list_changed_blocks", json!([before, after])).trim_matches('A') != "=");
        client.call("VM.destroy", json!([vm]));
        for disk in [before, after, vdi] {
            client.call("VDI.destroy", json!([disk]));
        }
    }
}

#[test]
fn a_running_vm_shows_its_screen_can_be_paused_and_listens_once_it_has_tools() {
    let (state, sim, client) = start();
    let disk = fs::read(tiny_disk(state.path(), "true")).unwrap();
    let (vm, vdi) = machine(&sim, &client, &disk, false);
    client.call("VM.start", json!([vm, false, false]));
    let console = client.call("VM.get_consoles", json!([vm]))[0].clone();
    let location = client.text("console.get_location", json!([console]));
    let path = &location[location.find("/console").unwrap()..];
    let mut screen = TcpStream::connect(sim.url().trim_start_matches("http://")).unwrap();
    write!(screen, "CONNECT {path}&session_id={} HTTP/1.0\r\n\r\n", client.session).unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"RFB 003.008\n") {
        let mut byte = [0];
        screen.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
    }
    assert!(said.starts_with(b"HTTP/1.1 200 OK\r\n"));

    client.call("VM.pause", json!([vm]));
    assert_eq!(client.text("VM.get_power_state", json!([vm])), "Paused");
    assert_eq!(
        client.fail("VM.start", json!([vm, false, false])),
        ["VM_BAD_POWER_STATE", &vm, "halted", "paused"]
    );
    client.call("VM.unpause", json!([vm]));
    let snapshot = client.text("VDI.snapshot", json!([vdi]));
    assert_eq!(client.call("VDI.get_is_a_snapshot", json!([snapshot])), true);

    assert_eq!(client.fail("VM.clean_shutdown", json!([vm])), ["VM_LACKS_FEATURE", vm.as_str()]);
    sim.install_tools(&vm);
    // The guest hears the button only once it is up.
    let log = state.path().join("machines").join(client.text("VM.get_uuid", json!([vm]))).join("serial.log");
    while !String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).contains("tiny guest: ready") {
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(client.text("VM.get_power_state", json!([vm])), "Running");
    }
    client.call("VM.clean_shutdown", json!([vm]));
    assert_eq!(client.text("VM.get_power_state", json!([vm])), "Halted");

    client.call("VM.start", json!([vm, true, false]));
    assert_eq!(client.text("VM.get_power_state", json!([vm])), "Paused");
    client.call("VM.hard_shutdown", json!([vm]));
    wait_for(&client, &vm, is_halted);
}
