//! Disks in and out, over the wire: every format, and every trap of the real server that a client must know.

mod wire;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::process::Command;
use std::time::Duration;
use wire::{Client, send};
use xapi_sim::{Config, Sim};

const MIB: usize = 1 << 20;

fn start() -> (tempfile::TempDir, Sim, Client) {
    start_with(|_| {})
}

fn start_with(change: impl Fn(&mut Config)) -> (tempfile::TempDir, Sim, Client) {
    let state = tempfile::tempdir().unwrap();
    let mut config = Config::new(state.path());
    change(&mut config);
    let sim = Sim::start(config).unwrap();
    let client = Client::root(&sim.url());
    (state, sim, client)
}

fn chunk(offset: u64, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap();
    [&offset.to_le_bytes()[..], &length.to_le_bytes(), data].concat()
}

/// What a disk holds now.
fn content(client: &Client, disk: &str) -> Vec<u8> {
    let (response, task) = client.get(&format!("vdi={disk}"));
    assert_eq!(task["status"], "success", "{task}");
    response.unwrap().body
}

#[test]
fn chunks_write_only_what_they_hold() {
    let (_state, sim, client) = start();
    let disk = client.disk(&sim.shared_sr(), 8 << 20);
    let body = [chunk(3 << 20, &[5; 512]), chunk(512, &[6; 1024]), chunk(0, &[])].concat();
    // Said with "false", it is chunked all the same.
    let (response, task) = client.put(&format!("vdi={disk}&format=raw&chunked=false"), &body);
    assert_eq!((response.unwrap().status, task["status"].as_str()), (200, Some("success")));
    let mut wanted = vec![0; 8 * MIB];
    wanted[3 * MIB..3 * MIB + 512].fill(5);
    wanted[512..1536].fill(6);
    assert!(content(&client, &disk) == wanted);
}

#[test]
fn a_delta_written_over_its_base_gives_the_child() {
    let (_state, sim, client) = start();
    let disk = client.disk(&sim.shared_sr(), 8 << 20);
    let base = vec![1; 8 * MIB];
    assert_eq!(client.put(&format!("vdi={disk}"), &base).1["status"], "success");
    let before = client.text("VDI.snapshot", json!([disk]));
    let change = [chunk(5 << 20, &[9; 4096]), chunk(0, &[])].concat();
    assert_eq!(client.put(&format!("vdi={disk}&chunked"), &change).1["status"], "success");
    let (response, task) = client.get(&format!("vdi={disk}&format=vhd&base={before}"));
    let (delta, head) = (response.unwrap(), task);
    assert_eq!(head["status"], "success");
    assert_eq!(delta.header("content-type"), Some("application/vhd"));
    assert!(delta.body.len() < 3 * MIB, "a delta of {} bytes", delta.body.len());
    let other = client.text("VDI.clone", json!([before]));
    assert_eq!(client.put(&format!("vdi={other}&format=vhd"), &delta.body).1["status"], "success");
    assert!(content(&client, &other) == content(&client, &disk));
}

#[test]
fn a_short_image_is_a_success_and_so_is_one_that_was_promised_longer() {
    let (_state, sim, client) = start();
    let disk = client.disk(&sim.shared_sr(), 4 << 20);
    assert_eq!(client.put(&format!("vdi={disk}"), &[1; 4096]).1["status"], "success");
    let task = client.text("task.create", json!(["transfer", ""]));
    let path = format!("/import_raw_vdi?session_id={}&task_id={task}&vdi={disk}", client.session);
    let promised = ("Content-Length".to_owned(), (4 * MIB).to_string());
    let response = send(&sim.url(), "PUT", &path, &[promised], &[2; 8192]);
    assert_eq!(response.unwrap().status, 200);
    assert_eq!(client.ended(&task)["status"], "success");
    assert!(content(&client, &disk)[8192..].iter().all(|byte| *byte == 0));
}

#[test]
fn what_cannot_be_read_fails_in_the_task_alone() {
    let (_state, sim, client) = start();
    let disk = client.disk(&sim.shared_sr(), 4 << 20);
    let unended = chunk(0, &[1; 512]);
    for (query, body) in [("chunked", &unended[..]), ("format=vhd", &[7; 4096])] {
        let (response, task) = client.put(&format!("vdi={disk}&{query}"), body);
        assert_eq!(response.unwrap().status, 200, "{query}");
        assert_eq!(task["error_info"], json!(["VDI_IO_ERROR", "Device I/O errors"]), "{query}");
    }
}

#[test]
fn a_host_that_does_not_see_the_disk_names_one_that_does() {
    let (_state, sim, client) = start();
    let disk = client.disk(&sim.local_sr(1), 4 << 20);
    let (response, task) = {
        let path = format!("/import_raw_vdi?session_id={}&vdi={disk}&format=raw", client.session);
        let length = ("Content-Length".to_owned(), "512".to_owned());
        (send(&sim.url(), "PUT", &path, std::slice::from_ref(&length), &[1; 512]).unwrap(), path)
    };
    let location = response.header("location").unwrap();
    assert_eq!((response.status, location), (302, format!("{}{task}", sim.member_url()).as_str()));
    let there = Client { address: sim.member_url(), session: client.session.clone() };
    let length = ("Content-Length".to_owned(), "512".to_owned());
    let path = location.strip_prefix(&sim.member_url()).unwrap();
    assert_eq!(send(&there.address, "PUT", path, &[length], &[1; 512]).unwrap().status, 200);
    let file = std::fs::read(sim.disk_file(&disk).unwrap()).unwrap();
    assert_eq!(file[..513], [vec![1; 512], vec![0]].concat());
}

#[test]
fn a_disk_is_in_use_for_a_while_after_its_transfer() {
    let (_state, sim, client) = start_with(|config| config.detach_delay = Duration::from_secs(3600));
    let disk = client.disk(&sim.shared_sr(), 4 << 20);
    assert_eq!(client.put(&format!("vdi={disk}"), &[1; 512]).1["status"], "success");
    assert_eq!(client.fail("VDI.destroy", json!([disk])), ["VDI_IN_USE", disk.as_str(), "destroy"]);

    let (_state, sim, client) = start_with(|config| config.detach_delay = Duration::from_millis(20));
    let disk = client.disk(&sim.shared_sr(), 4 << 20);
    assert_eq!(client.put(&format!("vdi={disk}"), &[1; 512]).1["status"], "success");
    let mut token = json!("");
    while client.attempt("VDI.destroy", json!([disk])).unwrap().is_err() {
        token = client.call("event.from", json!([[format!("vdi/{disk}")], token, 10.0]))["token"].clone();
    }
}

#[test]
fn a_disk_that_a_vm_writes_cannot_be_transferred_but_its_snapshot_can() {
    let (_state, sim, client) = start();
    let disk = client.disk(&sim.shared_sr(), 4 << 20);
    let vm = client.text("VM.clone", json!([sim.template(false), "vm"]));
    client.call("VM.provision", json!([vm]));
    let device = json!({"VM": vm, "VDI": disk, "userdevice": "0", "bootable": true, "mode": "RW", "type": "Disk",
        "empty": false, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}});
    client.call("VBD.create", json!([device]));
    client.call("VM.start", json!([vm, false, false]));
    let (response, task) = client.get(&format!("vdi={disk}"));
    assert_eq!((response.unwrap().status, &task["error_info"][0]), (500, &json!("SR_BACKEND_FAILURE_46")));
    let snapshot = client.text("VDI.snapshot", json!([disk]));
    assert_eq!(content(&client, &snapshot).len(), 4 * MIB);
}

#[test]
fn changed_blocks_are_told_even_once_the_first_snapshots_data_are_gone() {
    let (_state, sim, client) = start();
    let disk = client.disk(&sim.shared_sr(), 8 << 20);
    assert_eq!(client.fail("VDI.list_changed_blocks", json!([disk, disk]))[0], "VDI_NO_CBT_METADATA");
    client.call("VDI.enable_cbt", json!([disk]));
    let before = client.text("VDI.snapshot", json!([disk]));
    let change = [chunk(64 << 10, &[9; 512]), chunk(0, &[])].concat();
    client.put(&format!("vdi={disk}&chunked"), &change);
    let after = client.text("VDI.snapshot", json!([disk]));
    client.call("VDI.data_destroy", json!([before]));
    assert_eq!(client.text("VDI.get_type", json!([before])), "cbt_metadata");
    let (response, task) = client.get(&format!("vdi={before}"));
    assert_eq!((response.unwrap().status, &task["error_info"][0]), (500, &json!("VDI_INCOMPATIBLE_TYPE")));
    let bitmap = STANDARD.decode(client.text("VDI.list_changed_blocks", json!([before, after]))).unwrap();
    // One bit for each 64 KiB, the first in the highest: the second is set.
    assert_eq!((bitmap.len(), bitmap[0]), (16, 0b0100_0000));
    assert!(bitmap[1..].iter().all(|byte| *byte == 0));
    let other = client.disk(&sim.shared_sr(), 8 << 20);
    client.call("VDI.enable_cbt", json!([other]));
    let unrelated = client.fail("VDI.list_changed_blocks", json!([before, other]));
    assert_eq!(unrelated[2], "Source and target VDI are unrelated");
}

/// The address of a disk for libnbd's tools.
fn nbd_uri(info: &serde_json::Value, encrypted: bool) -> String {
    let escape =
        |name: &str| name.replace('/', "%2F").replace('?', "%3F").replace('=', "%3D").replace(':', "%3A");
    let text = |field: &str| info[field].as_str().unwrap();
    let scheme = if encrypted { "nbds" } else { "nbd" };
    format!("{scheme}://{}:{}/{}", text("address"), info["port"], escape(text("exportname")))
}

#[test]
fn a_disk_is_served_by_nbd_once_a_network_is_for_it() {
    let (state, sim, client) = start();
    let disk = client.disk(&sim.shared_sr(), 4 << 20);
    let bytes: Vec<u8> = (0..4 * MIB).map(|at| (at / 777) as u8).collect();
    client.put(&format!("vdi={disk}"), &bytes);
    assert_eq!(client.call("VDI.get_nbd_info", json!([disk])), json!([]));
    client.call("network.add_purpose", json!([sim.network(), "insecure_nbd"]));
    let mixed = client.fail("network.add_purpose", json!([sim.network(), "nbd"]));
    assert_eq!(mixed[0], "NETWORK_INCOMPATIBLE_PURPOSES");
    let infos = client.call("VDI.get_nbd_info", json!([disk]));
    assert_eq!(infos.as_array().unwrap().len(), 2, "one for each host");
    for info in infos.as_array().unwrap() {
        let copy = state.path().join("copy.raw");
        let uri = nbd_uri(info, false);
        // The server starts when the purpose is seen.
        let copied = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            Command::new("nbdcopy").arg(&uri).arg(&copy).output().expect("nbdcopy runs").status.success()
        });
        assert!(copied, "{uri}");
        assert!(std::fs::read(&copy).unwrap() == bytes);
    }
    client.call("network.remove_purpose", json!([sim.network(), "insecure_nbd"]));
    assert_eq!(client.call("VDI.get_nbd_info", json!([disk])), json!([]));
}

#[test]
fn an_image_for_an_sr_makes_its_own_disk() {
    let (_state, sim, client) = start();
    let (response, task) = client.put(&format!("sr_id={}", sim.shared_sr()), &[3; 2 * MIB]);
    assert_eq!(response.unwrap().status, 200);
    let disk = task["result"]
        .as_str()
        .unwrap()
        .trim_start_matches("<value>")
        .trim_end_matches("</value>")
        .to_owned();
    assert_eq!(client.text("VDI.get_name_label", json!([disk])), "Imported VDI");
    assert!(content(&client, &disk) == [3; 2 * MIB]);
}

#[test]
fn a_full_repository_takes_no_more() {
    let (_state, sim, client) = start_with(|config| config.sr_size = 4 << 20);
    let disk = client.disk(&sim.shared_sr(), 16 << 20);
    let (response, task) = client.put(&format!("vdi={disk}"), &vec![1; 8 * MIB]);
    assert_eq!(
        (response.unwrap().status, &task["error_info"]),
        (200, &json!(["VDI_IO_ERROR", "Device I/O errors"]))
    );
    let full = client.attempt("VDI.copy", json!([disk])).unwrap().unwrap_err();
    assert_eq!(full[0], "SR_BACKEND_FAILURE_44");
}

#[test]
fn a_transfer_by_https_ends_in_good_order() {
    let (state, sim, client) = start();
    let disk = client.disk(&sim.shared_sr(), 4 << 20);
    let pem = state.path().join("pinned.pem");
    std::fs::write(&pem, sim.certificate()).unwrap();
    let script = "import socket, ssl, sys
pem, port, path = sys.argv[1:]
context = ssl.create_default_context(cafile=pem)
plain = socket.create_connection(('127.0.0.1', int(port)))
secure = context.wrap_socket(plain, server_hostname='127.0.0.1', suppress_ragged_eofs=False)
secure.sendall(f'GET {path} HTTP/1.1\\r\\n\\r\\n'.encode())
while piece := secure.recv(1 << 20):
    sys.stdout.buffer.write(piece)
";
    let port = sim.tls_url().rsplit(':').next().unwrap().to_owned();
    let path = format!("/export_raw_vdi?session_id={}&vdi={disk}", client.session);
    let python = Command::new("python3").args(["-c", script]).arg(&pem).args([port, path]).output();
    let output = python.expect("python3 runs");
    // Without the goodbye it ends with an error: what came could be half of it.
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.ends_with(&vec![0; 4 * MIB]));
}
