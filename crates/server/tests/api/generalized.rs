//! Generalized images of Windows: what starts Sysprep is in them, and nothing of ours besides. Disks and hives are made and judged by
//! tools that know nothing of Shale.

use crate::examined::build_tool;
use crate::hive::hive;
use crate::service::{Service, new_layer, run, text};
use serde_json::{Value, json};
use shale_disk::{Disk, FileDisk};
use shale_volume::changes::Changes;
use shale_volume::files::{Files, Kind, Making};
use shale_volume::placed::{Placed, What, put};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

const SIZE: u64 = 64 << 20;
const CONFIG: &str = "Windows/System32/config";
/// Windows started with the second control set, and takes the third next.
const SYSTEM: &str = r#"
[\Select]
"Current"=dword:00000002
"Default"=dword:00000003

[\ControlSet001\Services\Other]

[\ControlSet002\Services\Other]

[\ControlSet002\Services\shale-run]

[\ControlSet003\Services\Other]

[\Setup]
"SystemSetupInProgress"=dword:00000000
"#;
/// What an unattended run, and finalize, left.
const OURS: [&str; 4] = [
    "Program Files/Shale/shutdown-for-finalize.exe",
    "ProgramData/Shale/integrity.json",
    "Users/Public/Desktop/Shutdown For Finalize.lnk",
    "Windows/shale-run.exe",
];

/// A hive `SOFTWARE` of a Windows of this build, in this state.
fn software(build: &str, state: &str) -> Vec<u8> {
    hive(&format!(
        "[\\Microsoft\\Windows NT\\CurrentVersion]\n\"CurrentBuild\"=\"{build}\"\n\n\
         [\\Microsoft\\Windows\\CurrentVersion\\Setup\\State]\n\"ImageState\"=\"{state}\""
    ))
}

/// A disk with a Windows.
fn windows(service: &Service, software: Vec<u8>, security: &str) -> PathBuf {
    let image = service.path(&format!("{}.raw", Uuid::now_v7()));
    std::fs::File::create(&image).unwrap().set_len(SIZE).unwrap();
    run("mkntfs", &["-F", "-Q", "-q", image.to_str().unwrap()]);
    let disk: Arc<dyn Disk> = Arc::new(FileDisk::open(&image).unwrap());
    let changes = Arc::new(Changes::new(disk, service.folder.path()).unwrap());
    let program = service.app.world.files_program();
    let mut files = Files::open_to_write(&program, changes.clone(), 0..SIZE).unwrap();
    // It is Windows once it has these.
    let mut parent = files.root();
    for name in ["Windows", "System32"] {
        let kind = &Kind::Folder;
        let making = Making { parent, name: name.as_bytes(), kind };
        parent = files.make(making).unwrap();
    }
    files.close().unwrap();
    let file = |path, bytes: &[u8]| Placed { path, mode: 0o644, what: What::File(bytes.to_vec()) };
    let mut things = vec![
        file("Windows/System32/config/SYSTEM", &hive(SYSTEM)),
        file("Windows/System32/config/SOFTWARE", &software),
        file("Windows/System32/config/SECURITY", &hive(security)),
        file("Users/Public/theirs.txt", b"theirs"),
    ];
    things.extend(OURS.map(|path| file(path, b"ours")));
    put(&program, &changes, 0, |_, _| Ok(things)).unwrap();
    let mut bytes = vec![0; SIZE as usize];
    changes.disk().read_at(&mut bytes, 0).unwrap();
    std::fs::File::options().write(true).open(&image).unwrap().write_all_at(&bytes, 0).unwrap();
    image
}

/// What was told of the image that a template of this disk became, or the task that failed; and where its file is.
async fn published(service: &Service, disk: &Path, generalize: &str, ends: &str) -> (Value, PathBuf) {
    let order = new_layer(&Uuid::now_v7().to_string(), disk);
    let layer = service.post("/layers", order.clone()).await.expect(201);
    service.ends(&layer["task"], "done").await;
    let template = json!({
        "id": Uuid::now_v7(), "name": Uuid::now_v7(), "os_version_id": order["version"]["id"],
        "disk": { "format": "raw", "size_gib": 1 }, "generalize": generalize,
    });
    let template = service.post("/templates", template).await.expect(201);
    let file = service.path(&format!("{}.image", Uuid::now_v7()));
    let id = Uuid::now_v7();
    let order = json!({ "image_id": id, "path": file });
    let path = format!("/templates/{}/publish", text(&template["id"]));
    let created = service.post(&path, order).await.expect(201);
    let task = service.ends(&created["task"], ends).await;
    if ends != "done" {
        return (task, file);
    }
    (service.get(&format!("/images/{id}")).await.expect(200)["report"]["warnings"].clone(), file)
}

/// A file of the image, as The Sleuth Kit reads it.
fn read(image: &Path, path: &str, into: &Path) {
    let list = run("fls", &["-r", "-p", "-F", image.to_str().unwrap()]);
    let line = list.lines().find(|line| line.ends_with(&format!("\t{path}")));
    let line = line.unwrap_or_else(|| panic!("{path} is not in {list}"));
    let node = line.split_whitespace().nth(1).unwrap().trim_end_matches(':');
    let out = std::process::Command::new("icat").arg(image).arg(node).output().unwrap();
    assert!(out.status.success(), "{out:?}");
    std::fs::write(into, out.stdout).unwrap();
}

/// What `hivexsh` says of a key, if it is there.
fn key(hive: &Path, key: &str) -> Option<String> {
    let commands = hive.with_extension("commands");
    std::fs::write(&commands, format!("cd {key}\nlsval\n")).unwrap();
    let (commands, hive) = (commands.to_str().unwrap(), hive.to_str().unwrap());
    let out = std::process::Command::new("hivexsh").args(["-f", commands, hive]).output().unwrap();
    out.status.success().then(|| String::from_utf8(out.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generalized_image_of_windows_starts_sysprep_once_and_has_nothing_of_ours_besides() {
    build_tool("windows");
    let service = Service::start().await;
    let disk = windows(&service, software("20348", "IMAGE_STATE_COMPLETE"), "[\\Policy]");
    let (told, image) = published(&service, &disk, "generalize", "done").await;
    assert!(text(&told[0]).contains("runs Sysprep at its first start, as LocalSystem"), "{told}");
    run("ntfsfix", &["-n", image.to_str().unwrap()]);
    let list = run("fls", &["-r", "-p", "-u", image.to_str().unwrap()]);
    assert!(list.contains("Users/Public/theirs.txt"), "{list}");
    for path in OURS {
        assert!(!list.contains(path), "{path} is in {list}");
    }
    let tool = service.path("tool");
    read(&image, "Windows/shale-sysprep.exe", &tool);
    let target = Path::new(env!("CARGO_BIN_EXE_shaled")).ancestors().nth(2).unwrap();
    run(
        "cmp",
        &[tool.to_str().unwrap(), target.join("guest/windows/shutdown-for-finalize.exe").to_str().unwrap()],
    );
    let hive = service.path("SYSTEM");
    read(&image, &format!("{CONFIG}/SYSTEM"), &hive);
    for set in [2, 3] {
        let values = key(&hive, &format!(r"ControlSet00{set}\Services\shale-sysprep")).unwrap();
        assert!(
            values.contains(r#""ImagePath"=str(2):"%SystemRoot%\\shale-sysprep.exe --sysprep""#),
            "{values}"
        );
        assert!(values.contains(r#""Start"=dword:00000002"#), "{values}");
    }
    assert_eq!(key(&hive, r"ControlSet001\Services\shale-sysprep"), None, "Windows does not start with it");
    assert_eq!(key(&hive, r"ControlSet002\Services\shale-run"), None);
    assert!(key(&hive, r"ControlSet002\Services\Other").is_some());

    // The same versions without it are another disk.
    let (told, plain) = published(&service, &disk, "none", "done").await;
    assert_eq!(told, json!([]));
    let list = run("fls", &["-r", "-p", "-u", plain.to_str().unwrap()]);
    assert!(list.contains(OURS[0]) && !list.contains("shale-sysprep"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_windows_that_sysprep_has_generalized_is_taken_as_it_is() {
    let service = Service::start().await;
    let state = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE";
    let disk = windows(&service, software("26100", state), "[\\Policy]");
    let (told, image) = published(&service, &disk, "generalize", "done").await;
    assert!(text(&told[0]).contains("generalized by Sysprep before"), "{told}");
    run("ntfsfix", &["-n", image.to_str().unwrap()]);
    let list = run("fls", &["-r", "-p", "-u", image.to_str().unwrap()]);
    assert!(list.contains("theirs.txt") && !list.contains("shale") && !list.contains("Shale"), "{list}");
    let hive = service.path("SYSTEM");
    read(&image, &format!("{CONFIG}/SYSTEM"), &hive);
    assert_eq!(key(&hive, r"ControlSet002\Services\shale-sysprep"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_windows_that_sysprep_would_break_is_not_published_and_why_is_said() {
    let service = Service::start().await;
    let member = "[\\Policy\\PolPrDmS]\n@=hex(0):01,04,00,00,00,00,00,05,15,00,00,00";
    for (build, state, security, why) in [
        ("20348", "IMAGE_STATE_COMPLETE", member, "is a member of a domain"),
        ("26100", "IMAGE_STATE_COMPLETE", "[\\Policy]", "shows a black screen to users where a service ran"),
        ("20348", "IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE", "[\\Policy]", "is not ready to be generalized"),
    ] {
        let disk = windows(&service, software(build, state), security);
        let (task, image) = published(&service, &disk, "generalize", "failed").await;
        assert!(text(&task["error"]).contains(why), "{task:#}");
        assert!(!image.exists());
    }
}
