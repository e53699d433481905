//! What the source keeps to, so that it stays easy to read: which crate knows which, how long things get, what they are
//! called.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest file and longest function, in lines.
const FILE_LINES: usize = 800;
const FUNCTION_LINES: usize = 70;
/// Most packages in the lock file, ours included. A new one is looked at before this number goes up.
const PACKAGES: usize = 360;

/// The crates that a crate may depend on: the table of ARCHITECTURE.md.
const EDGES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("task", &[]),
    ("disk", &[]),
    ("store", &[]),
    ("volume", &["disk"]),
    ("connector", &["disk"]),
    ("api", &["model"]),
    ("server", &["model", "task", "disk", "store", "volume", "connector", "api", "guest"]),
    ("cli", &["api"]),
    ("guest", &[]),
    ("xapi-sim", &["disk"]),
    ("tests", &[]),
];

/// Functions that were longer than allowed before there was a limit, with their lines. Only ever shorter.
const LONG: &[(&str, usize)] = &[("crates/store/src/index.rs::write", 74)];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The files that git keeps, with this ending, by their path from the root.
fn files(ending: &str) -> Vec<String> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let listed = listed.expect("git lists the files");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).unwrap();
    let there = |name: &&str| name.ends_with(ending) && root().join(name).is_file();
    let names: Vec<_> = names.split('\0').filter(there).map(str::to_owned).collect();
    assert!(!names.is_empty(), "no file ends with {ending}");
    names
}

fn read(name: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(root().join(name)).unwrap()).into_owned()
}

/// Fails with all that is wrong at once.
#[track_caller]
fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn crates_depend_only_on_those_below_them() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let ours = |name: &str| name.strip_prefix("shale-").map(str::to_owned);
    let mut found = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        // The simulator is there to be tested against.
        let for_tests = |edge: &&Value| edge["kind"] == "dev" && edge["name"] == "shale-xapi-sim";
        let edges = package["dependencies"].as_array().unwrap().iter().filter(|edge| !for_tests(edge));
        let edges: BTreeSet<_> = edges.filter_map(|edge| ours(edge["name"].as_str().unwrap())).collect();
        found.insert(ours(package["name"].as_str().unwrap()).expect("a package named shale-…"), edges);
    }
    let allowed: BTreeMap<_, BTreeSet<_>> = EDGES
        .iter()
        .map(|(name, edges)| ((*name).to_owned(), edges.iter().map(|edge| (*edge).to_owned()).collect()))
        .collect();
    assert_eq!(found, allowed, "the edges between crates (left) are not those of ARCHITECTURE.md (right)");
}

#[test]
fn the_table_in_the_architecture_page_is_the_one_that_is_kept() {
    let page = read("ARCHITECTURE.md");
    for (name, edges) in EDGES.iter().filter(|(name, _)| *name != "tests") {
        let row = page.lines().find(|line| line.starts_with('|') && line.contains(&format!("| `{name}`")));
        let row = row.unwrap_or_else(|| panic!("no row for {name} in ARCHITECTURE.md"));
        let allowed = row.split('|').nth(3).unwrap().trim();
        let told: BTreeSet<&str> = allowed.split('`').skip(1).step_by(2).collect();
        match allowed {
            "all above" => assert_eq!(edges.len(), 8, "{row}"),
            _ => assert_eq!(told, edges.iter().copied().collect(), "{row}"),
        }
    }
}

#[test]
fn what_is_below_the_server_is_not_asynchronous() {
    let mut found = Vec::new();
    for (name, _) in EDGES.iter().filter(|(name, _)| !["server", "cli", "tests"].contains(name)) {
        let manifest = read(&format!("crates/{name}/Cargo.toml"));
        found.extend(
            manifest.lines().filter(|line| line.starts_with("tokio")).map(|line| format!("{name}: {line}")),
        );
    }
    none("only the server knows tokio", found);
}

#[test]
fn every_file_says_what_it_is_for_and_is_short_enough() {
    let mut found = Vec::new();
    for name in files(".rs") {
        let text = read(&name);
        if !text.starts_with("//!") {
            found.push(format!("{name} does not begin with //!"));
        }
        let lines = text.lines().count();
        if lines > FILE_LINES {
            found.push(format!("{name} has {lines} lines"));
        }
    }
    none("files", found);
}

/// The functions of a formatted file with their lines: each ends with a brace that stands where it began.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let words = code.split_whitespace().take_while(|word| *word != "fn");
        let mut before = words.clone();
        let is_function = code.split_whitespace().any(|word| word == "fn")
            && before.all(|word| {
                word.starts_with("pub") || ["async", "const", "unsafe", "extern"].contains(&word)
            });
        if !is_function {
            continue;
        }
        // One that a trait only declares has no body.
        let signature = lines[start..].iter().find(|line| line.ends_with(['{', '}', ';']));
        if signature.is_some_and(|line| line.ends_with(';')) {
            continue;
        }
        let name = code.split("fn ").nth(1).unwrap_or_default();
        let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let close = format!("{indent}}}");
        let ends = |line: &&str| {
            **line == close || (line.starts_with(indent) && line[indent.len()..].starts_with("fn "))
        };
        let length = lines[start + 1..].iter().position(ends).map_or(1, |lines| lines + 2);
        let opens = lines[start..].iter().take(length).any(|line| line.ends_with('{'));
        if opens {
            found.push((name, length));
        }
    }
    found
}

#[test]
fn functions_fit_a_screen() {
    let mut long = BTreeMap::new();
    for file in files(".rs") {
        for (name, lines) in functions(&read(&file)).into_iter().filter(|(_, lines)| *lines > FUNCTION_LINES)
        {
            long.insert(format!("{file}::{name}"), lines);
        }
    }
    let known: BTreeMap<_, _> = LONG.iter().map(|(name, lines)| ((*name).to_owned(), *lines)).collect();
    let grown = long.iter().filter(|(name, lines)| known.get(*name).is_none_or(|known| *lines > known));
    none(
        "longer than allowed: split them",
        grown.map(|(name, lines)| format!("{name}: {lines} lines")).collect(),
    );
    assert_eq!(long, known, "some got shorter (left): shorten the list (right) in tests/tidy.rs");
}

#[test]
fn the_length_of_functions_is_counted_right() {
    let text = "fn a() {\n    1\n}\n\nimpl A {\n    pub async fn b(\n        x: u8,\n    ) -> u8 {\n        x\n    }\n}\n";
    assert_eq!(functions(text), [("a".to_owned(), 3), ("b".to_owned(), 5)]);
    let declared = "trait A {\n    fn a(\n        &self,\n    ) -> u8;\n}\n\nimpl B {\n    fn b() {\n        1\n    }\n}\n";
    assert_eq!(functions(declared), [("b".to_owned(), 3)]);
}

#[test]
fn no_folder_is_named_for_nothing() {
    let empty = ["common", "utils", "util", "helpers", "misc", "core", "types"];
    let named = |name: &String| {
        Path::new(name).components().any(|part| {
            let part = part.as_os_str().to_string_lossy();
            empty.contains(&part.split('.').next().unwrap_or_default())
        })
    };
    none("names that say nothing", files("").into_iter().filter(named).collect());
}

/// Texts that git keeps: no images or disks.
fn texts() -> Vec<(String, String)> {
    let bytes = |name: String| (std::fs::read(root().join(&name)).unwrap(), name);
    let text = |(bytes, name)| Some((name, String::from_utf8(bytes).ok()?));
    files("").into_iter().map(bytes).filter_map(text).collect()
}

#[test]
fn nothing_is_left_for_later_and_nothing_knows_the_host_it_was_written_on() {
    let later = ["TODO", "FIXME", "XXX:"];
    // Folders of people and of builds: an absolute path there is one host's.
    let places = ["/root/", "/home/", "/work/", "/Users/"];
    let mut found = Vec::new();
    for (name, text) in texts().iter().filter(|(name, _)| name != "tests/tidy.rs" && name != "Cargo.lock") {
        for (number, line) in text.lines().enumerate() {
            let starts_a_path = |place: &str| {
                line.match_indices(place).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "}_-.*>]/~".contains(c))
                })
            };
            if later.iter().any(|word| line.contains(word)) || places.into_iter().any(starts_a_path) {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none("not for a committed text", found);
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut found = Vec::new();
    for name in files(".md") {
        let folder = root().join(&name).parent().unwrap().to_owned();
        let text = read(&name);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if !target.is_empty() && !link.contains("://") && !folder.join(target).exists() {
                found.push(format!("{name}: {link}"));
            }
        }
    }
    none("links that lead nowhere", found);
}

/// What stands between backticks, or between quotation marks, in the last column of a page's tables.
fn named_in_last_column(page: &str, mark: char) -> Vec<String> {
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let columns = rows.filter_map(|line| line.trim_end_matches(" |").rsplit(" | ").next());
    columns.flat_map(|text| text.split(mark).skip(1).step_by(2).map(str::to_owned)).collect()
}

#[test]
fn the_tests_that_the_walkthrough_names_exist() {
    let page = read("docs/seed-walkthrough.md");
    let text = |ending| files(ending).iter().map(|name| read(name)).collect::<String>();
    let (rust, browser) = (text(".rs"), text(".test.js"));
    let (functions, titles) = (named_in_last_column(&page, '`'), named_in_last_column(&page, '"'));
    assert!(functions.len() > 50 && titles.len() > 10, "the tables are not read");
    let missing = functions.into_iter().filter(|name| !rust.contains(&format!("fn {name}()")));
    let untold = titles.into_iter().filter(|title| !browser.contains(&format!("test('{title}'")));
    none("tests that docs/seed-walkthrough.md names and nobody wrote", missing.chain(untold).collect());
}

#[test]
fn the_lock_file_stays_within_its_budget() {
    let count = read("Cargo.lock").lines().filter(|line| *line == "[[package]]").count();
    println!("{count} packages in the lock file");
    assert!(
        count <= PACKAGES,
        "{count} packages in the lock file, {PACKAGES} are allowed: is the new one worth it?"
    );
}
