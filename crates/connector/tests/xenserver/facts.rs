//! What the connector calls and reads exists in the XenAPI: its sources against the simulator's table of facts, which is
//! made from the published data model.

use std::collections::BTreeSet;
use std::path::Path;

use xapi_sim::facts::{Class, Facts, Role};

/// Fields of a machine whose setters' names are put together.
const PUT_TOGETHER: [&str; 7] = [
    "is_a_template",
    "name_label",
    "name_description",
    "tags",
    "HVM_boot_params",
    "VCPUs_max",
    "VCPUs_at_startup",
];

fn sources() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/xenserver");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text =
        |path: &Path| std::fs::read_to_string(path).unwrap().split("#[cfg(test)]").next().unwrap().to_owned();
    files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), text(&path))).collect()
}

fn class(name: &str) -> Option<&'static Class> {
    Facts::get().classes.get(name)
}

/// The texts in quotation marks.
fn literals(source: &str) -> impl Iterator<Item = &str> {
    source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split('"').skip(1).step_by(2))
}

#[test]
fn every_method_that_is_called_is_in_the_data_model() {
    let mut found = BTreeSet::new();
    for (file, source) in sources() {
        for literal in literals(&source) {
            let literal = literal.strip_prefix("Async.").unwrap_or(literal);
            let Some((name, method)) = literal.split_once('.') else { continue };
            let Some(found_class) = class(name) else { continue };
            if method.contains('{') || method == "json" {
                continue;
            }
            assert!(found_class.messages.contains_key(method), "{file}: {literal} is not in the XenAPI");
            found.insert(literal.to_owned());
        }
    }
    // Names that are put together.
    for field in PUT_TOGETHER {
        assert!(class("VM").unwrap().messages.contains_key(&format!("set_{field}")), "{field}");
    }
    for name in ["host", "SR", "network"] {
        assert!(class(name).unwrap().messages.contains_key("get_name_label"), "{name}");
    }
    assert!(found.len() > 40, "{found:?}");
}

#[test]
fn every_field_that_is_read_is_in_the_data_model() {
    let classes = [
        ("PoolRecord", "pool"),
        ("Host", "host"),
        ("Sr", "SR"),
        ("Pbd", "PBD"),
        ("Network", "network"),
        ("Vif", "VIF"),
        ("Vbd", "VBD"),
        ("Vdi", "VDI"),
        ("Vm", "VM"),
        ("VmMetrics", "VM_metrics"),
        ("Console", "console"),
        ("Task", "task"),
        ("SessionRecord", "session"),
    ];
    let (_, source) = sources().into_iter().find(|(file, _)| file == "record.rs").unwrap();
    let mut checked = 0;
    for (name, class_name) in classes {
        let body = source.split_once(&format!("struct {name} {{")).unwrap().1.split_once("\n}").unwrap().0;
        let mut renamed = None;
        for line in body.lines().map(str::trim) {
            if let Some(rest) = line.split_once("rename = \"") {
                renamed = rest.1.split('"').next();
            } else if let Some(field) = line.strip_prefix("pub ").and_then(|rest| rest.split(':').next()) {
                let field = renamed.take().unwrap_or(field);
                assert!(
                    class(class_name).unwrap().field(field).is_some(),
                    "{class_name}.{field} is not in the XenAPI"
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn the_role_that_is_told_to_be_enough_may_make_every_call() {
    for (file, source) in sources() {
        for literal in literals(&source) {
            let literal = literal.strip_prefix("Async.").unwrap_or(literal);
            let Some((_, message)) = Facts::get().message(literal) else { continue };
            // Memory is set only where the settings say so, and the guide says what that takes.
            let allowed =
                message.role.is_none_or(|role| role <= Role::VmAdmin) || literal == "VM.set_memory_limits";
            assert!(allowed, "{file}: {literal} takes {:?}", message.role);
        }
    }
}

#[test]
fn the_rights_that_the_test_looks_for_are_those_that_the_calls_take() {
    let (_, check) = sources().into_iter().find(|(file, _)| file == "check.rs").unwrap();
    let list = check.split_once("const RIGHTS").unwrap().1.split_once("];").unwrap().0;
    let listed: BTreeSet<&str> = literals(list).filter(|right| !right.starts_with("http/")).collect();
    let without_list = check.replace(list, "");
    let mut needed = BTreeSet::new();
    for (file, source) in sources() {
        let source = if file == "check.rs" { &without_list } else { &source };
        for literal in literals(source) {
            let literal = literal.strip_prefix("Async.").unwrap_or(literal);
            let Some((_, message)) = Facts::get().message(literal) else { continue };
            // Everybody may read; memory is set only where the settings say so.
            if message.role > Some(Role::ReadOnly) && literal != "VM.set_memory_limits" {
                needed.insert(literal.to_owned());
            }
        }
    }
    needed.extend(PUT_TOGETHER.map(|field| format!("VM.set_{field}")));
    assert_eq!(listed, needed.iter().map(String::as_str).collect());
}
