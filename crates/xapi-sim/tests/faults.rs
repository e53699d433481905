//! What goes wrong when it is asked to.

mod wire;

use serde_json::json;
use wire::Client;
use xapi_sim::{Config, Fault, Rule, Sim};

const MIB: usize = 1 << 20;

fn start() -> (tempfile::TempDir, Sim, Client) {
    let state = tempfile::tempdir().unwrap();
    let sim = Sim::start(Config::new(state.path())).unwrap();
    let client = Client::root(&sim.url());
    (state, sim, client)
}

fn failure(code: &str) -> Vec<String> {
    vec![code.to_owned(), "x".to_owned()]
}

/// How many VMs have this name.
fn count(client: &Client, name: &str) -> usize {
    client.call("VM.get_by_name_label", json!([name])).as_array().unwrap().len()
}

#[test]
fn a_call_fails_before_or_after_its_effect_or_loses_its_reply() {
    let (_state, sim, client) = start();
    let cases = [
        (Fault::ErrorBefore(failure("INTERNAL_ERROR")), Some("INTERNAL_ERROR"), 0),
        (Fault::ErrorAfter(failure("INTERNAL_ERROR")), Some("INTERNAL_ERROR"), 1),
        (Fault::LoseReply, None, 1),
        (Fault::Refuse, None, 0),
        (Fault::SrFull, Some("SR_BACKEND_FAILURE_44"), 0),
    ];
    for (number, (fault, code, made)) in cases.into_iter().enumerate() {
        let name = format!("vm{number}");
        sim.fault(Rule::next("VM.clone", fault.clone()));
        let outcome = client.attempt("VM.clone", json!([sim.template(false), name]));
        assert_eq!(outcome.map(|reply| reply.unwrap_err().remove(0)).as_deref(), code, "{fault:?}");
        assert_eq!(count(&client, &name), made, "{fault:?}");
    }
    client.text("VM.clone", json!([sim.template(false), "works again"]));
}

#[test]
fn a_call_is_done_twice() {
    let (_state, sim, client) = start();
    sim.fault(Rule::next("VM.clone", Fault::Twice));
    client.text("VM.clone", json!([sim.template(false), "twin"]));
    assert_eq!(count(&client, "twin"), 2);
}

#[test]
fn the_coordinator_is_lost_in_the_middle_of_a_call() {
    let (_state, sim, client) = start();
    sim.fault(Rule::next("Async.VM.clone", Fault::CoordinatorLost));
    assert!(client.attempt("Async.VM.clone", json!([sim.template(false), "x"])).is_none());
    let other = Client::root(&sim.member_url());
    assert_eq!(count(&other, "x"), 0);
}

#[test]
fn a_task_is_lost_while_its_work_goes_on() {
    let (_state, sim, client) = start();
    sim.fault(Rule::next("Async.VM.clone", Fault::TaskLost));
    let task = client.text("Async.VM.clone", json!([sim.template(false), "made"]));
    assert_eq!(client.fail("task.get_status", json!([task]))[0], "HANDLE_INVALID");
    let mut token = json!("");
    while count(&client, "made") == 0 {
        token = client.call("event.from", json!([["vm"], token, 10.0]))["token"].clone();
    }
}

#[test]
fn a_transfer_in_is_cut_and_its_task_fails() {
    let (_state, sim, client) = start();
    let disk = client.disk(&sim.shared_sr(), 4 << 20);
    sim.fault(Rule::next("PUT /import_raw_vdi", Fault::Cut(MIB as u64)));
    let (_, task) = client.put(&format!("vdi={disk}"), &vec![1; 4 * MIB]);
    assert_eq!(task["error_info"], json!(["VDI_IO_ERROR", "Device I/O errors"]));
    assert_eq!(client.put(&format!("vdi={disk}"), &vec![1; 4 * MIB]).1["status"], "success");
}

#[test]
fn a_transfer_in_says_it_worked_but_wrote_only_its_beginning() {
    let (_state, sim, client) = start();
    let disk = client.disk(&sim.shared_sr(), 4 << 20);
    sim.fault(Rule::next("PUT /import_raw_vdi", Fault::ShortWrite(MIB as u64)));
    let (response, task) = client.put(&format!("vdi={disk}"), &vec![1; 4 * MIB]);
    assert_eq!((response.unwrap().status, task["status"].as_str()), (200, Some("success")));
    let content = std::fs::read(sim.disk_file(&disk).unwrap()).unwrap();
    assert!(content[..MIB].iter().all(|byte| *byte == 1) && content[MIB..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_transfer_out_turns_into_the_text_of_an_error() {
    let (_state, sim, client) = start();
    let disk = client.disk(&sim.shared_sr(), 4 << 20);
    sim.fault(Rule::next("GET /export_raw_vdi", Fault::ErrorInBody(1000)));
    let (response, task) = client.get(&format!("vdi={disk}"));
    let response = response.unwrap();
    assert_eq!((response.status, task["status"].as_str()), (200, Some("failure")));
    assert!(response.body[1000..].starts_with(b"HTTP/1.1 500 Internal Error\r\n"));
    assert!(response.body[..1000].iter().all(|byte| *byte == 0));
}

#[test]
fn a_transfer_outlives_its_session() {
    let (_state, sim, client) = start();
    let disk = client.disk(&sim.shared_sr(), 4 << 20);
    sim.fault(Rule::next("PUT /import_raw_vdi", Fault::SessionLost(MIB as u64)));
    let length = ("Content-Length".to_owned(), (4 * MIB).to_string());
    let path = format!("/import_raw_vdi?session_id={}&vdi={disk}", client.session);
    let response = wire::send(&sim.url(), "PUT", &path, &[length], &vec![1; 4 * MIB]);
    assert_eq!(response.unwrap().status, 200);
    assert_eq!(client.fail("VM.get_all", json!([]))[0], "SESSION_INVALID");
    let content = std::fs::read(sim.disk_file(&disk).unwrap()).unwrap();
    assert!(content.iter().all(|byte| *byte == 1));
}
