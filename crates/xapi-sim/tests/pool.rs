//! Two hosts: who answers, who may what, what survives.

mod wire;

use serde_json::{Value, json};
use std::time::Duration;
use wire::Client;
use xapi_sim::{Config, Sim};

fn start() -> (tempfile::TempDir, Sim) {
    let state = tempfile::tempdir().unwrap();
    let sim = Sim::start(Config::new(state.path())).unwrap();
    (state, sim)
}

#[test]
fn a_member_sends_clients_to_the_coordinator_by_its_bare_address() {
    let (_state, sim) = start();
    let refused = Client::login(&sim.member_url(), "root").err().unwrap();
    assert_eq!(refused, ["HOST_IS_SLAVE", "127.0.0.1"]);
    let client = Client::root(&sim.url());
    let on_member = Client { address: sim.member_url(), session: client.session };
    assert_eq!(on_member.fail("VM.get_all", json!([])), ["HOST_IS_SLAVE", "127.0.0.1"]);
}

#[test]
fn after_a_failover_the_other_host_coordinates_and_the_first_comes_back_as_a_member() {
    let (_state, sim) = start();
    let client = Client::root(&sim.url());
    sim.fail_over();
    assert!(client.attempt("VM.get_all", json!([])).is_none(), "the lost host answers");
    let other = Client::root(&sim.member_url());
    let stale = Client { address: sim.member_url(), session: client.session.clone() };
    assert_eq!(stale.fail("VM.get_all", json!([])), ["SESSION_INVALID", client.session.as_str()]);
    let master = other.call("pool.get_all_records", json!([])).as_object().unwrap().values().next().unwrap()
        ["master"]
        .clone();
    assert_eq!(other.call("host.get_address", json!([master])), "127.0.0.2");
    sim.recover();
    assert_eq!(Client::login(&sim.url(), "root").err().unwrap(), ["HOST_IS_SLAVE", "127.0.0.2"]);
}

#[test]
fn an_ejected_host_is_no_longer_of_the_pool_nor_heard_of() {
    let (_state, sim) = start();
    let client = Client::root(&sim.url());
    sim.eject_member();
    assert_eq!(client.call("host.get_all", json!([])).as_array().unwrap().len(), 1);
    let on_member = Client { address: sim.member_url(), session: String::new() };
    assert!(on_member.attempt("host.get_all", json!([])).is_none());
}

#[test]
fn each_role_may_what_the_data_model_says() {
    let (_state, sim) = start();
    let sr = sim.shared_sr();
    let record = json!({"SR": sr, "virtual_size": 1, "type": "user", "sharable": false, "read_only": false, "other_config": {}});
    // The least role for each, and a call that then fails for another reason or works.
    let calls = [
        ("read-only", "VM.get_all", json!([])),
        ("vm-operator", "VM.start", json!(["OpaqueRef:NULL", false, false])),
        ("vm-admin", "VDI.create", json!([record])),
        ("vm-power-admin", "VM.snapshot", json!(["OpaqueRef:NULL", "x"])),
        ("pool-admin", "network.add_purpose", json!([sim.network(), "nbd"])),
    ];
    let roles = ["read-only", "vm-operator", "vm-admin", "vm-power-admin", "pool-operator", "pool-admin"];
    for (least, method, params) in calls {
        let least = roles.iter().position(|role| *role == least).unwrap();
        for (level, role) in roles.iter().enumerate() {
            let client = Client::login(&sim.url(), role).unwrap();
            let refused = client.attempt(method, params.clone()).unwrap().err().unwrap_or_default();
            let is_denied = refused.first().is_some_and(|code| code == "RBAC_PERMISSION_DENIED");
            assert_eq!(is_denied, level < least, "{role} calls {method}: {refused:?}");
            let rights = client.call("session.get_rbac_permissions", json!([client.session]));
            let told = rights.as_array().unwrap().contains(&json!(method.to_lowercase()));
            assert_eq!(told, !is_denied, "{role}'s rights and {method}");
        }
    }
    let reader = Client::login(&sim.url(), "read-only").unwrap();
    let task = reader.text("Async.VM.start", json!(["OpaqueRef:NULL", false, false]));
    assert_eq!(reader.ended(&task)["error_info"][0], "RBAC_PERMISSION_DENIED");
    let disk = Client::root(&sim.url()).disk(&sr, 1 << 20);
    let (response, task) = reader.put(&format!("vdi={disk}"), b"x");
    assert_eq!(response.unwrap().status, 403);
    assert_eq!(task["error_info"][0], "RBAC_PERMISSION_DENIED");
}

#[test]
fn the_state_survives_a_restart_but_sessions_and_running_vms_do_not() {
    let state = tempfile::tempdir().unwrap();
    let sim = Sim::start(Config::new(state.path())).unwrap();
    let client = Client::root(&sim.url());
    let disk = client.disk(&sim.shared_sr(), 4 << 20);
    let content = vec![7; 4 << 20];
    assert_eq!(client.put(&format!("vdi={disk}"), &content).1["status"], "success");
    let vm = client.text("VM.clone", json!([sim.template(false), "kept"]));
    client.call("VM.provision", json!([vm]));
    client.call("VM.start", json!([vm, false, false]));
    let pending = client.text("task.create", json!(["mine", ""]));
    let certificate = sim.certificate().to_owned();
    sim.stop();

    let sim = Sim::start(Config::new(state.path())).unwrap();
    assert_eq!(sim.certificate(), certificate);
    let stale = Client { address: sim.url(), session: client.session };
    assert_eq!(stale.fail("VM.get_all", json!([]))[0], "SESSION_INVALID");
    let client = Client::root(&sim.url());
    assert_eq!(client.text("VM.get_name_label", json!([vm])), "kept");
    assert_eq!(client.text("VM.get_power_state", json!([vm])), "Halted");
    assert_eq!(client.text("task.get_status", json!([pending])), "cancelled");
    let (response, task) = client.get(&format!("vdi={disk}"));
    assert!(response.unwrap().body == content);
    assert_eq!(task["status"], "success");
}

#[test]
fn a_task_is_forgotten_65_minutes_after_its_end() {
    let (_state, sim) = start();
    let client = Client::root(&sim.url());
    let ended = client.text("Async.VDI.destroy", json!(["OpaqueRef:NULL"]));
    assert_eq!(client.ended(&ended)["error_info"], json!(["HANDLE_INVALID", "VDI", "OpaqueRef:NULL"]));
    let pending = client.text("task.create", json!(["mine", ""]));
    sim.advance(Duration::from_secs(66 * 60));
    assert_eq!(client.fail("task.get_status", json!([ended])), ["HANDLE_INVALID", "task", ended.as_str()]);
    assert_eq!(client.text("task.get_status", json!([pending])), "pending");
    sim.advance(Duration::from_secs(24 * 60 * 60));
    let client = Client::root(&sim.url());
    assert_eq!(client.fail("task.get_status", json!([pending]))[0], "HANDLE_INVALID");
}

#[test]
fn a_session_ends_once_it_was_idle_for_a_day() {
    let (_state, sim) = start();
    let (idle, used) = (Client::root(&sim.url()), Client::root(&sim.url()));
    for _ in 0..3 {
        sim.advance(Duration::from_secs(10 * 60 * 60));
        used.call("VM.get_all", json!([]));
    }
    assert_eq!(idle.fail("VM.get_all", json!([])), ["SESSION_INVALID", idle.session.as_str()]);
}

#[test]
fn an_sr_that_is_unplugged_is_seen_by_no_host() {
    let (_state, sim) = start();
    let client = Client::root(&sim.url());
    let sr = sim.shared_sr();
    let disk = client.disk(&sr, 4 << 20);
    for (pbd, record) in sim.all("PBD") {
        if record["SR"].text() == sr {
            client.call("PBD.unplug", json!([pbd]));
        }
    }
    let (response, task) = client.get(&format!("vdi={disk}"));
    assert_eq!((response.unwrap().status, &task["error_info"]), (500, &json!(["NO_HOSTS_AVAILABLE"])));
}

#[test]
fn a_follower_hears_of_a_change_without_asking_again() {
    let (_state, sim) = start();
    let client = Client::root(&sim.url());
    let vm = sim.template(false);
    let batch = client.call("event.from", json!([[format!("vm/{vm}")], "", 5.0]));
    assert_eq!(batch["events"][0]["operation"], "add");
    let token = batch["token"].clone();
    let waiting = std::thread::spawn({
        let client = Client { address: client.address.clone(), session: client.session.clone() };
        let vm = vm.clone();
        move || client.call("event.from", json!([[format!("vm/{vm}")], token, 60.0]))
    });
    client.call("VM.set_name_label", json!([vm, "renamed"]));
    let heard = waiting.join().unwrap();
    assert_eq!(heard["events"][0]["snapshot"]["name_label"], "renamed");
    assert_eq!(heard["events"].as_array().unwrap().len(), 1);
}

#[test]
fn a_follower_whose_session_ends_is_told() {
    let (_state, sim) = start();
    let client = Client::root(&sim.url());
    let waiting = Client { address: client.address.clone(), session: client.session.clone() };
    let token = client.call("event.from", json!([["vm"], "", 5.0]))["token"].clone();
    let waiting = std::thread::spawn(move || waiting.fail("event.from", json!([["vm"], token, 60.0])));
    client.call("session.logout", json!([]));
    assert_eq!(waiting.join().unwrap()[0], "SESSION_INVALID");
}

#[test]
fn https_answers_with_the_pools_certificate() {
    let (state, sim) = start();
    let pem = state.path().join("pinned.pem");
    std::fs::write(&pem, sim.certificate()).unwrap();
    for url in [sim.tls_url(), sim.member_tls_url()] {
        let output = std::process::Command::new("curl")
            .args(["-sS", "--cacert"])
            .arg(&pem)
            .args(["-d", r#"{"id":1,"method":"system.listMethods","params":[]}"#, &format!("{url}/jsonrpc")])
            .output()
            .expect("curl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(reply["result"].as_array().unwrap().contains(&json!("VM.start")));
    }
}
