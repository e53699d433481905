//! A real machine leaves its packages half configured: finalize refuses with that, the machine is mended and checked by the tool
//! on its CD, and finalize goes on.

use crate::service::{Service, new_layer, text};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What the guest does when it starts for the first time: it becomes a system with a package in between, and powers off.
const BREAKS: &str = "mkdir -p usr etc var/lib/dpkg && echo ID=tiny >etc/os-release
printf 'Package: nginx\\nStatus: install ok half-configured\\n\\n' >var/lib/dpkg/status
sync; touch /tmp/off
";
/// And when it starts again: it is mended, and runs the tool from its CD.
const MENDS: &str = "printf 'Package: nginx\\nStatus: install ok installed\\n\\n' >var/lib/dpkg/status
modprobe -a ata_piix sr_mod isofs nls_utf8; mkdir -p /mnt
for i in 1 2 3 4 5; do mount -t iso9660 -o ro,iocharset=utf8 /dev/sr0 /mnt && break; sleep 1; done
sleep 1; /mnt/shutdown-for-finalize --root=/disk --check; echo \"the tool ended with $?\"
umount /mnt; sync; touch /tmp/off
";

/// A disk that boots by itself and runs these.
fn disk(folder: &Path) -> std::path::PathBuf {
    let (disk, run) = (folder.join("tiny.raw"), folder.join("run"));
    fs::create_dir(&run).unwrap();
    fs::write(run.join("1"), BREAKS).unwrap();
    fs::write(run.join("2"), MENDS).unwrap();
    let maker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guest/make-tiny-disk.sh");
    assert!(Command::new(maker).arg(&disk).arg("bios").arg(&run).status().unwrap().success());
    disk
}

/// Has the tool built where the server looks for it.
fn build_tool() {
    let target = Path::new(env!("CARGO_BIN_EXE_shaled")).ancestors().nth(2).unwrap();
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/guest-tools");
    assert!(Command::new(build).arg("linux").env("CARGO_TARGET_DIR", target).status().unwrap().success());
}

/// Waits until the guest has powered itself off, and answers what it said.
async fn wait_off(service: &Service, machine: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(240);
    loop {
        let log = service.get(&format!("/machines/{machine}/serial")).await;
        let log = String::from_utf8_lossy(&log.bytes).into_owned();
        let power = service.get(&format!("/machines/{machine}")).await.expect(200)["power"].clone();
        if power == "off" {
            return log;
        }
        assert!(Instant::now() < deadline, "the guest is still {power}:\n{log}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

fn codes(findings: &Value) -> Vec<&str> {
    findings.as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_packages_half_configured_is_refused_mended_and_finalized() {
    build_tool();
    let service = Service::start().await;
    let order = new_layer("Tiny", &disk(service.folder.path()));
    let made = service.post("/layers", order.clone()).await.expect(201);
    service.ends(&made["task"], "done").await;
    let (machine, task) = service.version_at_work(&text(&order["id"]), "1.1").await;
    wait_off(&service, &machine).await;

    let finalize = format!("/versions/{machine}/finalize");
    service.order(&finalize).await.expect(202);
    let waiting = service.ends(&task, "action_required").await;
    assert_eq!(codes(&waiting["findings"]), ["packages_unfinished", "tool_not_run"], "{waiting:#}");
    assert_eq!(waiting["findings"][0]["details"], json!(["nginx (half-configured)"]));
    assert!(text(&waiting["needs"]["problem"]).starts_with("2 things are outstanding"), "{waiting:#}");
    assert!(waiting["needs"]["actions"].as_array().unwrap().contains(&json!("finalize_anyway")));
    let check = service.get(&format!("/machines/{machine}/check")).await.expect(200);
    assert_eq!((&check["result"], &check["findings"]), (&json!("blocked"), &waiting["findings"]));

    service.order(&format!("/machines/{machine}/power_on")).await.expect(200);
    let running = service.get(&format!("/machines/{machine}/check")).await.expect(200);
    assert_eq!(running["result"], "unknown", "{running}");
    let log = wait_off(&service, &machine).await;
    assert!(log.contains("the tool ended with 0"), "{log}");
    let check = service.get(&format!("/machines/{machine}/check")).await.expect(200);
    assert_eq!(check["result"], "clean", "{check:#}");
    service.order(&finalize).await.expect(202);
    let done = service.ends(&task, "done").await;
    let examined = done["steps"].as_array().unwrap().iter().find(|step| step["name"] == "examine").unwrap();
    assert!(text(&examined["note"]).starts_with("Nothing is outstanding"), "{done:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_outstanding_is_taken_anyway_by_an_administrator_who_says_why() {
    let service = Service::start().await;
    let (layer, _) = service.layer("Debian").await;
    let (version, task) = service.version_at_work(&layer, "1.1").await;
    service.power_off(&version).await;
    // The mark of an encrypted volume, over a base that had none.
    for (at, byte) in b"LUKS\xba\xbe".iter().enumerate() {
        service.write_in_overlay(&version, *byte, &at.to_string(), "1").await;
    }
    let path = format!("/versions/{version}/finalize");
    service.order(&path).await.expect(202);
    let waiting = service.ends(&task, "action_required").await;
    assert_eq!(codes(&waiting["findings"])[0], "volume_encrypted", "{waiting:#}");

    service.post(&path, json!({ "anyway": true })).await.refused_field("/reason");
    service.post(&path, json!({ "anyway": true, "reason": " " })).await.refused_field("/reason");
    service.post(&path, json!({ "anyway": true, "reason": "CHG-4711" })).await.expect(202);
    let done = service.ends(&task, "done").await;
    assert_eq!(codes(&done["findings"])[0], "volume_encrypted", "they are kept: {done:#}");
    let audit = service.get("/audit").await.expect(200);
    let entry =
        audit["items"].as_array().unwrap().iter().find(|one| one["action"] == "finalize_anyway").unwrap();
    assert_eq!((&entry["comment"], &entry["who"]), (&json!("CHG-4711"), &json!("a test")));
}
