//! Judged by clients that others wrote: the official Python package and the connector of Xen Orchestra, unmodified, each
//! with a disk and a VM from beginning to end. They are installed from their registries into the build folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use xapi_sim::{Config, Sim};

/// What installs and runs the clients.
fn run(command: &mut Command) -> String {
    let output =
        command.output().unwrap_or_else(|e| panic!("{command:?} cannot run (scripts/setup test): {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// The folder where a client is installed, emptied unless it was installed from the same list before.
fn place(name: &str, list: &str) -> (PathBuf, bool) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients").join(name);
    let wanted = fs::read(scripts().join(list)).unwrap();
    let is_there = fs::read(folder.join("installed")).is_ok_and(|installed| installed == wanted);
    if !is_there {
        let _ = fs::remove_dir_all(&folder); // it may not be there
        fs::create_dir_all(&folder).unwrap();
    }
    (folder, is_there)
}

fn installed(folder: &Path, list: &str) {
    fs::copy(scripts().join(list), folder.join("installed")).unwrap();
}

fn start() -> (tempfile::TempDir, Sim) {
    let state = tempfile::tempdir().unwrap();
    let sim = Sim::start(Config::new(state.path())).unwrap();
    (state, sim)
}

#[test]
fn the_official_python_client_takes_a_disk_and_a_vm_from_beginning_to_end() {
    let (folder, is_there) = place("python", "requirements.txt");
    let python = folder.join("bin/python");
    if !is_there {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        let list = scripts().join("requirements.txt");
        run(Command::new(&python).args(["-m", "pip", "install", "-q", "-r"]).arg(list));
        installed(&folder, "requirements.txt");
    }
    let (_state, sim) = start();
    let script = scripts().join("life.py");
    let said = run(Command::new(&python).arg(script).args([sim.url(), sim.shared_sr(), sim.template(false)]));
    assert!(said.contains("all of it worked"), "{said}");
}

#[test]
fn the_connector_of_xen_orchestra_takes_a_disk_and_a_vm_from_beginning_to_end() {
    let (folder, is_there) = place("node", "package-lock.json");
    for file in ["package.json", "package-lock.json", "life.mjs"] {
        fs::copy(scripts().join(file), folder.join(file)).unwrap();
    }
    if !is_there {
        run(Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
            .current_dir(&folder));
        installed(&folder, "package-lock.json");
    }
    let (_state, sim) = start();
    let uuid = |class: &str, reference: &str| sim.all(class)[reference]["uuid"].text().to_owned();
    let (sr, template) = (uuid("SR", &sim.shared_sr()), uuid("VM", &sim.template(true)));
    let said = run(Command::new("node").arg(folder.join("life.mjs")).args([sim.url(), sr, template]));
    assert!(said.contains("all of it worked"), "{said}");
}
