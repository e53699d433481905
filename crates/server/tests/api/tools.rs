//! Shutdown For Finalize is in the system of every packaging machine that takes it, and in no version that is made of one. File systems
//! are made and judged by their own tools.

use crate::examined::build_tool;
use crate::service::{Service, new_layer, run, text};
use serde_json::{Value, json};
use shale_disk::{Disk, FileDisk};
use shale_server::catalog::CompositionRow;
use shale_volume::changes::Changes;
use shale_volume::files::{Files, Kind, Making};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

const MIB: u64 = 1 << 20;

/// The tool as it is built for a system.
fn built(system: &str, name: &str) -> Vec<u8> {
    let target = Path::new(env!("CARGO_BIN_EXE_shaled")).ancestors().nth(2).unwrap();
    std::fs::read(target.join("guest").join(system).join(name)).unwrap()
}

/// An ext4 file system with a small Linux.
fn linux(service: &Service) -> PathBuf {
    let (tree, image) = (service.path("tree"), service.path("linux.raw"));
    for path in ["usr/bin/app", "usr/local/bin/theirs", "etc/os-release"] {
        let path = tree.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "ID=tiny\n").unwrap();
    }
    let (tree, file) = (tree.to_str().unwrap(), image.to_str().unwrap());
    run("mke2fs", &["-q", "-F", "-t", "ext4", "-b", "4096", "-d", tree, file, "64M"]);
    image
}

/// An NTFS file system with the folders of a Windows.
fn windows(service: &Service) -> PathBuf {
    let image = service.path("windows.raw");
    std::fs::File::create(&image).unwrap().set_len(64 * MIB).unwrap();
    run("mkntfs", &["-F", "-Q", "-q", image.to_str().unwrap()]);
    let disk: Arc<dyn Disk> = Arc::new(FileDisk::open(&image).unwrap());
    let changes = Arc::new(Changes::new(disk, service.folder.path()).unwrap());
    let program = service.app.world.files_program();
    let mut files = Files::open_to_write(&program, changes.clone(), 0..64 * MIB).unwrap();
    for path in ["Windows/System32/drivers", "Users/Public/Desktop"] {
        let mut parent = files.root();
        for name in path.split('/') {
            parent = files.make(Making { parent, name: name.as_bytes(), kind: &Kind::Folder }).unwrap();
        }
    }
    files.close().unwrap();
    let file = std::fs::File::options().write(true).open(&image).unwrap();
    let mut bytes = vec![0; (64 * MIB) as usize];
    changes.disk().read_at(&mut bytes, 0).unwrap();
    file.write_all_at(&bytes, 0).unwrap();
    image
}

/// What a new version of a layer of this disk was made from, as a file, and the version itself, as another.
async fn made(service: &Service, disk: &Path) -> (PathBuf, PathBuf) {
    let order = new_layer("System", disk);
    let layer = service.post("/layers", order.clone()).await.expect(201);
    service.ends(&layer["task"], "done").await;
    let (version, task) = service.version_at_work(&text(&order["id"]), "1.1").await;
    let composed = task["steps"].as_array().unwrap().iter().find(|step| step["name"] == "compose").unwrap();
    assert!(composed["note"].as_str().unwrap().contains("was put into the system"), "{composed}");
    service.power_off(&version).await;
    // As the guest would, behind its file system: the disk is larger than what it was made from.
    service.write_in_overlay(&version, 0x5a, "900M", "64k").await;
    let anyway = json!({ "anyway": true, "reason": "this guest runs nothing" });
    let finalize = format!("/versions/{version}/finalize");
    service.post(&finalize, anyway).await.expect(202);
    service.ends(&task, "done").await;
    let exported = service.path("version.raw");
    let export = json!({ "format": "raw", "path": exported });
    let task = service.post(&format!("/versions/{version}/export"), export).await.expect(202);
    service.ends(&task, "done").await;
    (began(service).await, exported)
}

/// The disk that the machine began as.
async fn began(service: &Service) -> PathBuf {
    let world = service.app.world.clone();
    let mut tx = world.catalog.read().await.unwrap();
    let [row] = &CompositionRow::list(&mut tx).await.unwrap()[..] else { panic!("one composition") };
    let disk = world.repository.version(row.id.into()).unwrap();
    let mut bytes = vec![0; disk.size() as usize];
    disk.read_at(&mut bytes, 0).unwrap();
    let path = service.path("began.raw");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Nothing of the tool's content is in the file, and what the guest wrote is.
fn is_free_of(version: &Path, tool: &[u8]) {
    let bytes = std::fs::read(version).unwrap();
    let part = &tool[tool.len() / 2..][..64];
    assert!(part.iter().any(|byte| *byte != 0));
    assert!(
        bytes.windows(part.len()).all(|window| window != part),
        "its content is not in free space either"
    );
    assert!(bytes[900 << 20..][..64 << 10].iter().all(|byte| *byte == 0x5a));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linux_machine_has_the_tool_and_its_version_has_not() {
    build_tool("linux");
    let service = Service::start().await;
    let disk = linux(&service);
    let (began, version) = made(&service, &disk).await;
    let tool = built("linux", "shutdown-for-finalize");
    let out = service.path("tool");
    let (file, out) = (began.to_str().unwrap(), out.to_str().unwrap());
    run("e2fsck", &["-fn", file]);
    run("debugfs", &["-R", &format!("dump -p /usr/local/bin/shutdown-for-finalize {out}"), file]);
    assert!(std::fs::read(out).unwrap() == tool);
    let stat = run("debugfs", &["-R", "stat /usr/local/bin/shutdown-for-finalize", file]);
    assert!(stat.contains("Mode:  0755") && stat.contains("User:     0"), "{stat}");
    let entry = run("debugfs", &["-R", "cat /usr/share/applications/shutdown-for-finalize.desktop", file]);
    assert!(entry.contains("Shutdown For Finalize"), "{entry}");

    let file = version.to_str().unwrap();
    run("e2fsck", &["-fn", file]);
    let there = run("debugfs", &["-R", "ls -p /usr/local/bin", file]);
    assert!(there.contains("theirs") && !there.contains("finalize"), "{there}");
    let there = run("debugfs", &["-R", "ls -p /usr/share/applications", file]);
    assert!(!there.contains("finalize"), "{there}");
    is_free_of(&version, &tool);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_windows_machine_has_the_tool_and_its_version_has_not() {
    build_tool("windows");
    let service = Service::start().await;
    let tools = &service.app.world.tools;
    let placed = tools.in_system(shale_volume::exclude::Family::Windows).unwrap();
    assert!(!placed.is_empty());
    let disk = windows(&service);
    let (began, version) = made(&service, &disk).await;
    let list = |file: &Path| run("fls", &["-r", "-p", "-u", file.to_str().unwrap()]);
    let there = list(&began);
    for thing in &placed {
        assert!(there.contains(thing.path), "{}: {there}", thing.path);
    }
    run("ntfsfix", &["-n", began.to_str().unwrap()]);
    is_free_of(&version, &built("windows", "shutdown-for-finalize.exe"));
    // Its judge looks for the last boot sector at the end of what it is given.
    std::fs::File::options().write(true).open(&version).unwrap().set_len(64 * MIB).unwrap();
    run("ntfsfix", &["-n", version.to_str().unwrap()]);
    let there = list(&version);
    assert!(there.contains("Users/Public/Desktop") && !there.contains("Shale"), "{there}");
    assert!(!there.contains("Shutdown For Finalize"), "{there}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_does_not_take_the_tool_is_as_it_was_and_the_next_machine_asks_no_more() {
    build_tool("linux");
    let service = Service::start().await;
    let (layer, first) = service.layer("Unknown").await;
    let note = async |name: &str| -> Value {
        let (version, task) = service.version_at_work(&layer, name).await;
        service.power_off(&version).await;
        service.order(&format!("/tasks/{}/cancel", text(&task["id"]))).await.expect(202);
        service.ends(&task, "canceled").await;
        task["steps"].as_array().unwrap().iter().find(|step| step["name"] == "compose").unwrap()["note"]
            .clone()
    };
    let told = note("1.1").await;
    assert!(told.as_str().unwrap().contains("it is on the machine's CD"), "{told}");
    let told = note("1.2").await;
    assert!(told.as_str().unwrap().contains("used again"), "{told}");
    let (first, began) = (Uuid::parse_str(&first).unwrap(), began(&service).await);
    let world = &service.app.world;
    let disk = world.repository.version(first.into()).unwrap();
    let mut bytes = vec![0; disk.size() as usize];
    disk.read_at(&mut bytes, 0).unwrap();
    assert!(std::fs::read(began).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_the_system_does_not_run_is_refused_before_there_is_a_machine() {
    build_tool("linux");
    build_tool("windows");
    let service = Service::start().await;
    let disks = [("Linux", linux(&service)), ("Windows", windows(&service))];
    for (name, disk) in &disks {
        let order = new_layer(name, disk);
        let layer = service.post("/layers", order.clone()).await.expect(201);
        service.ends(&layer["task"], "done").await;
        let expected = match *name {
            "Linux" => vec![
                ("setup.sh", "has no systemd"),
                ("setup.ps1", "operating system is Linux, which runs no scripts whose names end in .ps1"),
            ],
            // It has no registry.
            _ => vec![
                ("setup.sh", "operating system is Windows, which runs scripts whose names end in .ps1"),
                ("Setup.CMD", "service 'shale-run' cannot be put into the registry of Windows"),
            ],
        };
        for (script, why) in expected {
            let mut version = service.new_version("1.1").await;
            version["unattended"] = json!({ "script": { "name": script, "text": "exit" } });
            let path = format!("/layers/{}/versions", text(&order["id"]));
            let added = service.post(&path, version).await.expect(201);
            let task = service.ends(&added["task"], "failed").await;
            assert!(text(&task["error"]).contains(why), "{script}: {task:#}");
            assert_eq!(task["needs"], Value::Null, "nobody is asked");
        }
    }
}
