//! `shale` and `shaled` together, as a person at a terminal uses them: commands, what they print, their exit codes.
//! The machine is a real one with nothing to boot.

use serde_json::Value;
use shale_tests::Desk;
use std::process::Command;

/// A desk with a layer `Tiny` of one version.
fn desk_with_layer() -> Desk {
    let desk = Desk::new();
    let disk: Vec<u8> = (0..4u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 | 1).collect();
    std::fs::write(desk.path("tiny.raw"), disk).unwrap();
    desk.ends(0, &["connector", "edit", "local", "--set", "memory_mib=128", "--set", "accelerator=tcg"]);
    let told =
        desk.ends(0, &["layer", "import", "Tiny", "--version", "1.0", "--file", &desk.path("tiny.raw")]);
    assert!(told.err.contains("commit: done") && told.out.contains("Tiny"), "{told:#?}");
    desk
}

#[test]
fn a_layer_is_imported_listed_in_every_form_exported_and_deleted() {
    let desk = desk_with_layer();
    assert_eq!(desk.ends(0, &["layer", "list", "-o", "name"]).out, "Tiny\n");
    let list = desk.json(&["layer", "list"]);
    assert_eq!((&list[0]["name"], &list[0]["version_count"]), (&Value::from("Tiny"), &Value::from(1)));
    let id = list[0]["id"].as_str().unwrap();
    assert_eq!(desk.ends(0, &["layer", "list", "-q"]).out, format!("{id}\n"));
    assert!(desk.ends(0, &["layer", "list", "-o", "yaml"]).out.contains("name: Tiny"));
    let table = desk.ends(0, &["layer", "list"]).out;
    assert!(table.lines().count() == 2 && table.contains("Tiny"), "{table}");
    let shown = desk.ends(0, &["layer", "show", "Tiny"]).out;
    assert!(shown.contains("1.0") && shown.contains("deployable"), "{shown}");
    assert_eq!(desk.json(&["version", "show", "Tiny", "1.0"])["state"], "deployable");

    let target = desk.path("out.qcow2");
    let export = ["version", "export", "Tiny", "1.0", "--format", "qcow2", "--to", &target];
    desk.ends(0, &export);
    let compared =
        Command::new("qemu-img").args(["compare", &desk.path("tiny.raw"), &target]).status().unwrap();
    assert!(compared.success());
    let told = desk.ends(2, &export);
    assert!(told.err.contains("exists"), "{told:#?}");
    desk.ends(0, &["version", "verify", "Tiny", "1.0"]);
    desk.ends(0, &["repository", "check", "--read-data"]);

    desk.ends(0, &["layer", "delete", "Tiny"]);
    assert_eq!(desk.ends(0, &["layer", "list", "-o", "name"]).out, "");
}

#[test]
fn exit_codes_say_what_kind_of_failure_it_was() {
    let desk = desk_with_layer();
    for words in
        [&["layer", "show", "Nobody"][..], &["version", "show", "Tiny", "9.9"], &["machine", "show", "none"]]
    {
        let told = desk.ends(4, words);
        assert!(told.out.is_empty() && !told.err.is_empty(), "{told:#?}");
    }
    for words in [
        &["layer"][..],
        &["layer", "import", "New"],
        &["layer", "import", "a/b", "--version", "1", "--file", &desk.path("tiny.raw")],
        &["layer", "import", "New", "--version", "1", "--file", &desk.path("missing.raw")],
        &["layer", "import", "Tiny", "--version", "1", "--file", &desk.path("tiny.raw")],
    ] {
        desk.ends(2, words);
    }
    std::fs::write(desk.path("empty.raw"), "").unwrap();
    let told = desk.ends(6, &["layer", "import", "New", "--version", "1", "--file", &desk.path("empty.raw")]);
    assert!(told.err.contains("is empty"), "{told:#?}");
    let told = desk.ends(5, &["version", "finalize", "Tiny", "1.0"]);
    assert!(told.err.contains("nothing to finalize"), "{told:#?}");
}

#[test]
fn a_version_is_added_cancelled_added_again_and_finalized() {
    let desk = desk_with_layer();
    let add = ["version", "add", "Tiny", "1.1", "--connector", "local", "--disk", "patch", "--size", "1"];
    let told = desk.ends(7, &add);
    let machine = desk.ends(0, &["machine", "list", "-o", "name"]).out.trim().to_owned();
    assert!(machine.starts_with("patch-20"), "{machine}");
    assert!(
        told.err.contains(&format!("'{machine}'")) || told.out.contains(&format!("'{machine}'")),
        "{told:#?}"
    );

    let told = desk.ends(5, &["version", "add", "Tiny", "1.2", "--connector", "local", "--disk", "patch"]);
    assert!(told.err.contains("busy"), "{told:#?}");
    let told = desk.ends(5, &["version", "finalize", "Tiny", "1.1"]);
    assert!(told.err.contains(&machine), "{told:#?}");
    desk.ends(5, &["layer", "delete", "Tiny"]);
    let open = desk.json(&["task", "list", "--state", "open"]);
    let task = open[0]["id"].as_str().unwrap();
    assert_eq!(open[0]["state"], "action_required");
    desk.ends(0, &["task", "cancel", task, "--comment", "another day"]);
    desk.ends(4, &["version", "show", "Tiny", "1.1"]);
    assert_eq!(desk.ends(0, &["machine", "list", "-q"]).out, "");

    desk.ends(7, &add);
    desk.ends(0, &["machine", "stop", "Tiny", "1.1", "--force"]);
    desk.ends(0, &["version", "finalize", "Tiny", "1.1", "--comment", "monthly patches"]);
    assert_eq!(desk.ends(0, &["version", "list", "Tiny", "-o", "name"]).out, "1.0\n1.1\n");
    let audit = desk.ends(0, &["audit"]).out;
    assert!(audit.contains("another day") && audit.contains("monthly patches"), "{audit}");
    desk.ends(0, &["version", "delete", "Tiny", "1.0"]);
    desk.ends(0, &["version", "verify", "Tiny", "1.1"]);
}

#[test]
fn people_and_programs_are_let_in_by_name_and_role() {
    let desk = Desk::new();
    let code = desk.ends(0, &["setup-code"]).out;
    assert_eq!(code.trim().len(), 9, "{code}");
    std::fs::write(desk.path("password"), "four words in a row\n").unwrap();
    let from = desk.path("password");
    desk.ends(2, &["user", "create", "ada", "--role", "administrator"]);
    desk.ends(0, &["user", "create", "ada", "--role", "administrator", "--password-file", &from]);
    desk.ends(5, &["setup-code"]);
    desk.ends(0, &["user", "create", "eve", "--role", "reader", "--password-file", &from]);
    desk.ends(2, &["user", "create", "Eve", "--role", "reader", "--password-file", &from]);
    let told = desk.ends(5, &["user", "delete", "ada"]);
    assert!(told.err.contains("only administrator"), "{told:#?}");
    desk.ends(0, &["user", "edit", "eve", "--role", "editor"]);
    desk.ends(0, &["user", "password", "EVE", "--password-file", &from]);
    assert_eq!(desk.json(&["user", "show", "eve"])["role"], "editor");
    desk.ends(0, &["user", "delete", "eve", "--comment", "left"]);
    let secret = desk.ends(0, &["token", "create", "ci", "--role", "reader", "--days", "1"]);
    assert!(secret.out.starts_with("shale_") && secret.err.contains("not shown again"), "{secret:#?}");
    assert_eq!(desk.json(&["token", "list"])[0]["name"], "ci");
    desk.ends(0, &["token", "delete", "ci"]);
    assert_eq!(desk.json(&["certificate", "show"])["self_made"], true);
}

#[test]
fn a_disk_and_files_are_sent_from_the_desk() {
    let desk = desk_with_layer();
    let sent = ["layer", "import", "Sent", "--version", "1.0", "--upload", &desk.path("tiny.raw")];
    desk.ends(0, &sent);
    assert_eq!(desk.json(&["upload", "list"]), Value::Array(vec![]));
    let digest = |layer| desk.json(&["version", "show", layer, "1.0"])["digest"].clone();
    assert_eq!(digest("Sent"), digest("Tiny"), "the same disk");
    desk.ends(
        7,
        &["version", "add", "Tiny", "1.1", "--connector", "local", "--disk", "patch", "--size", "1"],
    );
    std::fs::write(desk.path("one.txt"), "1").unwrap();
    std::fs::write(desk.path("two.txt"), "22").unwrap();
    let names = |files: Value| -> Vec<String> {
        files.as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap().to_owned()).collect()
    };
    desk.ends(0, &["machine", "attach", "Tiny", "1.1", "--file", &desk.path("one.txt")]);
    desk.ends(0, &["machine", "attach", "Tiny", "1.1", "--file", &desk.path("two.txt")]);
    assert_eq!(names(desk.json(&["machine", "files", "Tiny", "1.1"])), ["one.txt", "two.txt"]);
    desk.ends(0, &["machine", "attach", "Tiny", "1.1", "--replace", "--file", &desk.path("one.txt")]);
    assert_eq!(names(desk.json(&["machine", "files", "Tiny", "1.1"])), ["one.txt"]);
    desk.ends(0, &["machine", "detach", "Tiny", "1.1"]);
    assert!(names(desk.json(&["machine", "files", "Tiny", "1.1"])).is_empty());
    let task = desk.json(&["task", "list", "--state", "open"])[0]["id"].as_str().unwrap().to_owned();
    desk.ends(0, &["task", "cancel", &task]);
}
