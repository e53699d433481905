//! The command line against a server with canned replies: what is asked, what is printed, how it ends.

#![cfg(unix)]
#![allow(missing_docs, reason = "tests are named by sentences")]

mod kept;
mod server;
mod templates;

use serde_json::{Value, json};
use server::{
    Reply, Run, Server, connector, id, install, install_script, layer, machine, page, problem, shale, task,
    version,
};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const DONE: &str = "done";

fn needs_a_person() -> Value {
    let mut task = task(
        3,
        "action_required",
        json!([{"name": "Set up the machine", "state": "done"}, {"name": "Wait", "state": "waiting"}]),
    );
    task["needs"] = json!({
        "text": "The Packaging Disk has been published. The virtual machine 'd-2026-11-22_16-00-00.000' is off.",
        "machine_id": id(2), "actions": ["power_on", "finalize", "cancel"],
    });
    task
}

#[test]
fn a_list_is_read_page_by_page_and_printed_as_one_array() {
    let server = Server::start(vec![
        Reply::Json(200, json!({"items": [layer(1, "a"), layer(2, "b")], "next_page_token": "p/2"})),
        page(json!([layer(3, "c")])),
    ]);
    let run = server.run(&["layer", "list", "-o", "json"]);
    assert_eq!(run.exit, 0, "{run:?}");
    assert_eq!(run.json(), json!([layer(1, "a"), layer(2, "b"), layer(3, "c")]));
    assert_eq!(server.lines(), ["GET /layers", "GET /layers?page_token=p%2F2"]);
}

#[test]
fn every_form_of_a_list_is_what_it_says() {
    let forms: [(&[&str], &str); 4] = [
        (
            &[],
            "NAME  KIND  VERSIONS  CHANGED              TASK  DESCRIPTION\na     os    1         2026-11-22 16:00:00\n",
        ),
        (&["-o", "name"], "a\n"),
        (&["-q"], "01938f2e-7b1c-7c3a-9d55-000000000001\n"),
        (&["-o", "yaml"], "- id: 01938f2e-7b1c-7c3a-9d55-000000000001\n  kind: os\n  name: a\n"),
    ];
    for (form, out) in forms {
        let server = Server::start(vec![page(json!([layer(1, "a")]))]);
        let run = server.run(&[&["layer", "list"], form].concat());
        assert_eq!((run.exit, run.err.as_str()), (0, ""));
        assert!(run.out.starts_with(out), "{form:?}\n{}", run.out);
    }
}

#[test]
fn adding_a_version_ends_with_the_instruction_the_next_commands_and_exit_code_7() {
    let running = task(
        3,
        "running",
        json!([{"name": "Set up the machine", "state": "running"}, {"name": "Wait", "state": "pending"}]),
    );
    let server = Server::start(vec![
        page(json!([layer(1, "Debian GNU")])),
        page(json!([connector(9, "local")])),
        Reply::Json(201, json!({"version": version(2, "12.1", "editing"), "task": running})),
        Reply::Json(200, needs_a_person()),
        Reply::Json(200, version(2, "12.1", "finalizable")),
        Reply::Json(200, machine(2, "d-2026-11-22_16-00-00.000", "off")),
        Reply::Json(200, version(2, "12.1", "finalizable")),
    ]);
    let run = server.run(&[
        "version",
        "add",
        "Debian GNU",
        "12.1",
        "--connector",
        "local",
        "--disk",
        "d",
        "--comment",
        "patches",
    ]);
    assert_eq!(run.exit, 7, "{run:?}");
    for part in
        [&id(2), "d-2026-11-22_16-00-00.000", "The Packaging Disk has been published.", "action_required"]
    {
        assert!(run.out.contains(part), "{part} is not in\n{}", run.out);
    }
    let next = format!("  shale --server {} version finalize 'Debian GNU' 12.1\n", server.url);
    assert!(run.err.contains(&next), "{}", run.err);
    assert!(
        run.err.contains("machine start 'Debian GNU' 12.1\n")
            && run.err.contains(&format!("task cancel {}", id(3)))
    );
    assert!(run.err.starts_with(
        "[1/2] Set up the machine: running\n[1/2] Set up the machine: done\n[2/2] Wait: waiting\n"
    ));
    assert_eq!(
        server.lines()[..4],
        [
            "GET /layers?name=Debian%20GNU".to_owned(),
            "GET /connectors".into(),
            format!("POST /layers/{}/versions", id(1)),
            format!("GET /tasks/{}?wait=1", id(3)),
        ]
    );
    let body = &server.asked()[2].body;
    assert_eq!(body["connector_id"], json!(id(9)));
    assert_eq!(body["packaging_disk"], json!({"file_name": "d"}));
    assert_eq!(body["comment"], "patches");
}

#[test]
fn a_person_is_told_on_stderr_when_stdout_is_for_a_program() {
    let server = Server::start(vec![
        Reply::Json(200, needs_a_person()),
        Reply::Json(200, version(2, "12.1", "finalizable")),
    ]);
    let run = server.run(&["task", "watch", &id(3), "-o", "json"]);
    assert_eq!((run.exit, run.json()), (7, needs_a_person()));
    assert!(run.err.contains("The Packaging Disk has been published."), "{}", run.err);
}

fn finding() -> Value {
    json!({
        "code": "packages_unfinished", "severity": "blocks", "remedy": "act", "message": "Packages are half installed.",
        "advice": "Finish it.", "details": ["nginx (half-configured)"],
    })
}

#[test]
fn what_is_outstanding_is_told_by_finalize_and_can_be_overruled_with_a_reason() {
    let mut waits = needs_a_person();
    waits["findings"] = json!([finding()]);
    waits["needs"]["actions"] = json!(["finalize", "finalize_anyway"]);
    let found = || Reply::Json(200, version(2, "12.1", "finalizable"));
    let server = Server::start(vec![
        found(),
        Reply::Json(202, waits),
        found(),
        found(),
        Reply::Json(202, task(3, DONE, json!([]))),
    ]);
    let run = server.run(&["version", "finalize", &id(2)]);
    assert_eq!(run.exit, 7, "{run:?}");
    assert!(run.err.contains("Finalizing is BLOCKED. The outstanding items are:\n"), "{}", run.err);
    assert!(
        run.err.contains("    Packages are half installed.\n      - nginx (half-configured)\n"),
        "{}",
        run.err
    );
    assert!(run.err.contains("--anyway --reason TEXT"), "{}", run.err);
    let run = server.run(&["version", "finalize", &id(2), "--anyway", "--reason", "it goes in 12.2"]);
    assert_eq!(run.exit, 0, "{run:?}");
    let body = server.asked().last().unwrap().body.clone();
    assert_eq!(body, json!({"comment": "", "anyway": true, "reason": "it goes in 12.2"}));
    assert_eq!(server.run(&["version", "finalize", &id(2), "--anyway"]).exit, 2, "a reason is needed");
}

#[test]
fn a_check_of_a_machine_ends_with_what_it_came_to() {
    for (result, exit, findings) in
        [("clean", 0, json!([])), ("blocked", 1, json!([finding()])), ("unknown", 5, json!([]))]
    {
        let check = json!({
            "machine_id": id(2), "checked_at": "2026-11-22T16:00:00Z", "result": result, "text": "So it is.",
            "findings": findings,
        });
        let server = Server::start(vec![Reply::Json(200, machine(2, "m", "off")), Reply::Json(200, check)]);
        let run = server.run(&["machine", "check", &id(2)]);
        assert_eq!(run.exit, exit, "{run:?}");
        assert!(run.out.ends_with("So it is.\n"), "{}", run.out);
        assert_eq!(run.out.contains("nginx (half-configured)"), result == "blocked", "{}", run.out);
    }
}

#[test]
fn a_task_that_fails_ends_with_exit_code_6_and_its_reason() {
    let mut failed = task(3, "failed", json!([]));
    failed["error"] = json!("The disk is full.");
    let server =
        Server::start(vec![Reply::Json(200, version(2, "12.1", "finalizable")), Reply::Json(202, failed)]);
    let run = server.run(&["version", "finalize", &id(2)]);
    assert_eq!(run.exit, 6, "{run:?}");
    let error = "error: Adding Version to Operating System Layer 'Debian GNU' failed: The disk is full.\nhint: shale ";
    assert!(run.err.starts_with(error), "{}", run.err);
}

#[test]
fn canceling_a_task_that_is_then_canceled_is_a_success() {
    let server = Server::start(vec![
        Reply::Json(202, task(3, "canceling", json!([]))),
        Reply::Json(200, task(3, "canceled", json!([]))),
        Reply::Json(202, task(3, DONE, json!([]))),
        Reply::Json(202, task(3, "stuck", json!([]))),
    ]);
    let run = server.run(&["task", "cancel", &id(3), "--comment", "mistake"]);
    assert_eq!((run.exit, run.err.as_str()), (0, ""), "{run:?}");
    assert_eq!(server.asked()[0].body, json!({"comment": "mistake"}));
    let late = server.run(&["task", "cancel", &id(3)]);
    assert!(late.exit == 6 && late.err.contains("was done before"), "{late:?}");
    let stuck = server.run(&["task", "cancel", &id(3), "-q"]);
    assert!(
        stuck.exit == 6 && stuck.err.contains(" is stuck\n") && stuck.err.contains("task retry"),
        "{stuck:?}"
    );
}

#[test]
fn without_waiting_a_task_is_only_started() {
    let server = Server::start(vec![Reply::Json(202, task(3, "pending", json!([])))]);
    let run = server.run(&["repository", "check", "--read-data", "--no-wait", "-q"]);
    assert_eq!((run.exit, run.out, run.err), (0, id(3) + "\n", String::new()));
    assert_eq!(server.asked()[0].body, json!({"read_data": true}));
}

#[test]
fn waiting_ends_after_the_timeout_with_exit_code_8_and_the_task_goes_on() {
    let server = Server::start(vec![Reply::Json(202, task(3, "running", json!([])))]);
    let run = server.run(&["repository", "gc", "--timeout", "0"]);
    assert_eq!(run.exit, 8, "{run:?}");
    assert!(run.err.contains(&format!("task watch {}", id(3))), "{}", run.err);
}

#[test]
fn ctrl_c_ends_the_waiting_and_says_that_the_task_goes_on() {
    let server = Server::start(vec![Reply::Json(200, task(3, "running", json!([]))), Reply::Silence]);
    let mut command = server.command(&["task", "watch", &id(3)]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    server.wait_for(2);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!(run.exit, 130, "{run:?}");
    assert!(run.err.contains("The task goes on") && run.err.contains(&id(3)), "{}", run.err);
}

#[test]
fn a_server_that_restarts_is_waited_for() {
    let server = Server::start(vec![
        Reply::Json(200, task(3, "running", json!([]))),
        Reply::Nothing,
        Reply::Nothing,
        Reply::Nothing,
        Reply::Nothing,
        Reply::Nothing,
        Reply::Json(200, task(3, DONE, json!([]))),
    ]);
    let run = server.run(&["task", "watch", &id(3)]);
    assert_eq!(run.exit, 0, "{run:?}");
    assert!(run.err.contains("The server does not answer; trying again"), "{}", run.err);
}

#[test]
fn a_broken_connection_repeats_the_request_with_the_same_id() {
    let kinds = Reply::Json(200, json!({ "items": [] }));
    let server = Server::start(vec![kinds, Reply::Nothing, Reply::Json(201, connector(9, "local"))]);
    let run = server.run(&["connector", "add", "local", "--kind", "local", "--set", "memory_mib=2048"]);
    assert_eq!(run.exit, 0, "{run:?}");
    let asked = server.asked();
    assert_eq!(asked[1].body, asked[2].body);
    assert_eq!(asked[1].body["settings"], json!({"memory_mib": 2048}));
    assert_eq!(asked[1].body["id"].as_str().unwrap().as_bytes()[14], b'7', "a UUIDv7");
}

#[test]
fn a_request_without_an_id_is_sent_once() {
    let server = Server::start(vec![Reply::Nothing, Reply::Json(202, task(3, DONE, json!([])))]);
    let run = server.run(&["repository", "gc"]);
    assert_eq!((run.exit, server.asked().len()), (1, 1), "{run:?}");
}

#[test]
fn problems_become_exit_codes_texts_fields_and_hints() {
    let busy = json!({"task_id": id(7)});
    let fields = json!({"errors": [{"pointer": "/name", "detail": "It is longer than 100 characters."}]});
    let cases = [
        (problem(401, "unauthenticated", json!({})), 3, "--token-file"),
        (problem(404, "not_found", json!({})), 4, "layer list"),
        (problem(409, "exists", json!({})), 5, "layer list"),
        (problem(409, "not_allowed", json!({})), 5, "layer show"),
        (problem(409, "busy", busy), 5, "task watch 01938f2e-7b1c-7c3a-9d55-000000000007"),
        (problem(422, "invalid", fields), 2, "  name: It is longer than 100 characters.\n"),
        (problem(501, "unsupported", json!({})), 1, "Something is unsupported.\n"),
        (problem(500, "internal", json!({"request_id": "r-1"})), 1, "r-1"),
        (Reply::Json(403, json!("no problem at all")), 3, "answered HTTP 403"),
    ];
    for (reply, exit, text) in cases {
        let server = Server::start(vec![reply]);
        let run = server.run(&["layer", "show", &id(1)]);
        assert_eq!((run.exit, run.out.as_str()), (exit, ""), "{run:?}");
        assert!(run.err.starts_with("error: ") && run.err.contains(text), "{text}: {}", run.err);
    }
}

#[test]
fn a_name_is_exact_even_when_the_server_finds_more() {
    let server = Server::start(vec![page(json!([layer(1, "debian-12"), layer(2, "Debian")]))]);
    let run = server.run(&["layer", "show", "debian"]);
    assert_eq!(run.exit, 4);
    assert!(run.err.starts_with("error: There is no layer named 'debian'.\nhint: "), "{}", run.err);
}

#[test]
fn an_ambiguous_name_is_refused_with_the_candidates() {
    let mut app = layer(2, "office");
    app["kind"] = json!("app");
    let server = Server::start(vec![page(json!([layer(1, "office"), app]))]);
    let run = server.run(&["layer", "delete", "office"]);
    assert_eq!(run.exit, 2);
    let candidates = format!("  {} (os layer)\n  {} (app layer)\n", id(1), id(2));
    assert!(run.err.contains(&candidates), "{}", run.err);
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn what_can_be_done_is_shown_with_the_reasons_of_the_server() {
    let server = Server::start(vec![
        page(json!([layer(1, "Debian GNU")])),
        page(json!([version(2, "12.1", "editing"), version(4, "12.10", "deployable")])),
    ]);
    let run = server.run(&["version", "show", "Debian GNU", "12.1"]);
    assert_eq!(run.exit, 0, "{run:?}");
    assert!(
        run.out.ends_with("  ACTION    NOW  WHY NOT\n  finalize  no   The machine runs.\n"),
        "{}",
        run.out
    );
}

#[test]
fn deleting_sends_the_comment_and_an_empty_answer_is_fine() {
    let empty = Reply::Raw(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec());
    let server = Server::start(vec![page(json!([connector(9, "old")])), empty]);
    let run = server.run(&["connector", "delete", "old", "--comment", "unused"]);
    assert_eq!(run.exit, 0, "{run:?}");
    assert_eq!(server.asked()[1].body, json!({"comment": "unused"}));
}

#[test]
fn stopping_a_machine_waits_until_it_is_off() {
    let server = Server::start(vec![
        Reply::Json(200, machine(2, "d-1", "running")),
        Reply::Json(200, machine(2, "d-1", "running")),
        Reply::Json(200, machine(2, "d-1", "off")),
    ]);
    let run = server.run(&["machine", "stop", &id(2), "-o", "json"]);
    assert_eq!((run.exit, run.json()["power"].as_str()), (0, Some("off")), "{run:?}");
    assert!(server.lines()[1].ends_with("/shut_down"));
    // One write: a chunk after the head would meet a server that has answered and hung up.
    assert!(server.asked()[1].headers.contains(&"content-length: 0".to_owned()), "{:?}", server.asked()[1]);
}

fn events(seqs: &[u64]) -> Reply {
    let mut text =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n: hello\n\n"
            .to_owned();
    for seq in seqs {
        let event = json!({"seq": seq, "kind": "layer", "id": id(1), "change": "changed"});
        text += &format!("id: {seq}\nevent: layer\ndata: {event}\n\n");
    }
    Reply::Raw(text.into_bytes())
}

#[test]
fn events_are_taken_up_after_the_last_one_seen() {
    let server = Server::start(vec![events(&[41, 42]), Reply::Nothing, events(&[43])]);
    let run = server.run(&["events", "--kind", "layer,task", "--count", "3", "-o", "json"]);
    assert_eq!(run.exit, 0, "{run:?}");
    let seqs: Vec<u64> = run
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [41, 42, 43]);
    let asked = server.asked();
    assert_eq!(asked[0].line, "GET /api/v1/events?kinds=layer%2Ctask");
    assert!(!asked[0].headers.iter().any(|header| header.starts_with("last-event-id")));
    assert!(asked[2].headers.contains(&"last-event-id: 42".to_owned()), "{asked:?}");
}

fn disk(declared: usize, sent: &[u8]) -> Reply {
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {declared}\r\n\r\n");
    Reply::Raw([head.as_bytes(), sent].concat())
}

#[test]
fn a_download_is_put_in_place_whole_or_not_at_all() {
    let data = vec![7; 200_000];
    let found = || Reply::Json(200, version(2, "12.1", "deployable"));
    let server = Server::start(vec![
        found(),
        disk(data.len(), &data),
        found(),
        found(),
        disk(data.len(), &data[1000..]),
        found(),
        disk(data.len(), &data),
    ]);
    let export = |file: &str| server.run(&["version", "export", &id(2), "--format", "raw", "-O", file]);
    assert_eq!(export("a.raw").exit, 0);
    assert_eq!(fs::read(server.path("a.raw")).unwrap(), data);

    let again = export("a.raw");
    assert_eq!(again.exit, 5);
    assert!(again.err.contains("'a.raw' exists already"), "{}", again.err);

    let broken = export("b.raw");
    assert_eq!(broken.exit, 1);
    assert!(broken.err.contains("the download broke off"), "{}", broken.err);
    let mut names: Vec<_> =
        fs::read_dir(server.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.raw", "shaled.sock"]);

    let piped =
        server.command(&["version", "export", &id(2), "--format", "raw", "-O", "-"]).output().unwrap();
    assert_eq!((piped.status.code(), piped.stdout), (Some(0), data));
}

#[test]
fn a_relative_path_is_one_of_this_computer_when_the_server_is_here() {
    let server = Server::start(vec![problem(422, "invalid", json!({}))]);
    server.run(&["layer", "import", "debian", "--version", "12", "--file", "d.qcow2"]);
    let body = &server.asked()[0].body;
    assert_eq!(body["source"], json!({"file": fs::canonicalize(server.dir.path()).unwrap().join("d.qcow2")}));
    assert_eq!((&body["kind"], &body["drop_free_space"]), (&json!("os"), &json!(true)));
}

#[test]
fn any_request_can_be_sent_and_its_answer_is_printed_as_it_is() {
    let answer = json!({"a_field_of_a_newer_server": [1, 2]});
    let server = Server::start(vec![Reply::Json(200, answer.clone())]);
    let run = server.run(&["api", "post", "/layers?x=1", "--data", "{\"b\":2}"]);
    assert_eq!((run.exit, run.json()), (0, answer), "{run:?}");
    assert_eq!((server.lines()[0].as_str(), &server.asked()[0].body), ("POST /layers?x=1", &json!({"b": 2})));
}

#[test]
fn a_doctor_that_finds_something_ends_with_exit_code_1() {
    let checks = json!([{"name": "kvm", "outcome": "failed", "detail": "No /dev/kvm.", "hint": "Load kvm."}]);
    let server = Server::start(vec![Reply::Json(200, json!({"ok": false, "checks": checks}))]);
    let run = server.run(&["doctor"]);
    assert_eq!(run.exit, 1);
    assert!(run.out.contains("kvm    failed   No /dev/kvm.  Load kvm.\n"), "{}", run.out);
}

#[test]
fn a_server_that_is_not_there_is_named_with_what_to_do() {
    let run = Run::from(shale(&["--server", "unix:/nowhere/shaled.sock", "layer", "list"]).output().unwrap());
    assert_eq!(run.exit, 1);
    assert!(run.err.contains("unix:/nowhere/shaled.sock") && run.err.contains("shale serve"), "{}", run.err);
    let run = Run::from(shale(&["--server", "http://h:1", "layer", "list"]).output().unwrap());
    assert_eq!(run.exit, 2);
}

#[test]
fn https_trusts_the_given_certificate_only_and_sends_the_token() {
    let server = Server::start_tls(vec![page(json!([])), page(json!([]))]);
    fs::write(server.path("token"), "s3cret\n").unwrap();
    let run = server.run(&["layer", "list", "--ca", "cert.pem", "--token-file", "token", "-o", "json"]);
    assert_eq!((run.exit, run.out.as_str()), (0, "[]\n"), "{run:?}");
    assert!(server.asked()[0].headers.contains(&"authorization: bearer s3cret".to_owned()));

    let other = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    fs::write(server.path("other.pem"), other.cert.pem()).unwrap();
    let run = Run::from(
        server
            .command(&["layer", "list", "--ca", "other.pem"])
            .env("SHALE_TOKEN", "s3cret")
            .output()
            .unwrap(),
    );
    assert_eq!(run.exit, 3, "{run:?}");
    assert!(run.err.contains("--ca") && server.asked().len() == 1, "{}", run.err);
}

#[test]
fn the_server_of_a_data_directory_is_found_there() {
    let server = Server::start(vec![page(json!([]))]);
    let run =
        Run::from(shale(&["layer", "list", "-q"]).env("SHALE_DATA", server.dir.path()).output().unwrap());
    assert_eq!((run.exit, server.lines().len()), (0, 1), "{run:?}");
}

#[test]
fn without_a_token_or_certificate_https_is_not_tried() {
    let missing = shale(&["--server", "https://127.0.0.1:1", "layer", "list"])
        .env("HOME", "/nowhere")
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(3));
}

#[test]
fn ssh_gets_the_forwarded_port_the_command_and_the_last_word() {
    let mut forwarded = machine(2, "d-1", "running");
    forwarded["ssh"] = json!("127.0.0.1:2222");
    let server = Server::start(vec![Reply::Json(200, forwarded), Reply::Json(200, machine(2, "d-1", "off"))]);
    let ssh = server.path("ssh");
    install_script("#!/bin/sh\necho \"$@\"\nexit 42\n", &ssh);
    let run = || {
        let mut command = server.command(&["machine", "ssh", &id(2), "--", "-i", "key", "uname -r"]);
        Run::from(command.env("PATH", server.dir.path()).output().unwrap())
    };
    let ran = run();
    assert_eq!(ran.exit, 42, "{ran:?}");
    assert!(
        ran.out.starts_with("-p 2222 -l root ") && ran.out.ends_with(" 127.0.0.1 -i key uname -r\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains(&format!("HostKeyAlias=shale-{}", id(2))), "{}", ran.out);
    let off = run();
    assert_eq!(off.exit, 1);
    assert!(off.err.contains("'d-1' (off) has no SSH now"), "{}", off.err);
}

#[test]
fn serve_becomes_the_server_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let shale = dir.path().join("shale");
    install(Path::new(env!("CARGO_BIN_EXE_shale")), &shale);
    let shaled = dir.path().join("shaled");
    install_script("#!/bin/sh\necho \"$@\"\nexit 42\n", &shaled);
    let output = Command::new(&shale).args(["serve", "--data", "/srv/x", "--help"]).output().unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(42), b"serve --data /srv/x --help\n".as_slice())
    );
}
