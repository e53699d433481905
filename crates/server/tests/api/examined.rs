//! A real machine leaves its packages half configured, or is never checked: finalize refuses with that, the machine is mended and
//! checked by the tool on its CD, and finalize goes on.

use crate::service::{Service, new_layer, text};
use serde_json::{Value, json};
use shale_model::Role;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What the guest does when it starts for the first time: it becomes a system with a package in between, and powers off.
const BREAKS: &str = "mkdir -p usr etc var/lib/dpkg && echo ID=tiny >etc/os-release
printf 'Package: nginx\\nStatus: install ok half-configured\\n\\n' >var/lib/dpkg/status
sync; touch /tmp/off
";
/// Or one in which nothing is outstanding.
const IN_ORDER: &str = "mkdir -p usr etc var/lib/dpkg && echo ID=tiny >etc/os-release
printf 'Package: nginx\\nStatus: install ok installed\\n\\n' >var/lib/dpkg/status
sync; touch /tmp/off
";
/// And when it starts again: it is mended, and runs the tool from its CD.
const MENDS: &str = "printf 'Package: nginx\\nStatus: install ok installed\\n\\n' >var/lib/dpkg/status
modprobe -a ata_piix sr_mod isofs nls_utf8; mkdir -p /mnt
for i in $(seq 60); do mount -t iso9660 -o ro,iocharset=utf8 /dev/sr0 /mnt && break; sleep 1; done
sleep 1; /mnt/shutdown-for-finalize --root=/disk --check; echo \"the tool ended with $?\"
umount /mnt; sync; touch /tmp/off
";

/// A disk that boots by itself and runs this, and when it starts again [`MENDS`].
fn disk(folder: &Path, first: &str) -> std::path::PathBuf {
    let (disk, run) = (folder.join("tiny.raw"), folder.join("run"));
    fs::create_dir(&run).unwrap();
    fs::write(run.join("1"), first).unwrap();
    fs::write(run.join("2"), MENDS).unwrap();
    let maker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guest/make-tiny-disk.sh");
    assert!(Command::new(maker).arg(&disk).arg("bios").arg(&run).status().unwrap().success());
    disk
}

/// Has the tool for a system built where the server looks for it.
pub fn build_tool(system: &str) {
    let target = Path::new(env!("CARGO_BIN_EXE_shaled")).ancestors().nth(2).unwrap();
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/guest-tools");
    assert!(Command::new(build).arg(system).env("CARGO_TARGET_DIR", target).status().unwrap().success());
}

/// Waits until the guest has powered itself off, and answers what it said.
pub async fn wait_off(service: &Service, machine: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(240);
    loop {
        // In this order: what it said last, it said before it was off.
        let power = service.machine(machine).await["power"].clone();
        let log = service.get(&format!("/machines/{machine}/serial")).await;
        let log = String::from_utf8_lossy(&log.bytes).into_owned();
        if power == "off" {
            return log;
        }
        assert!(Instant::now() < deadline, "the guest is still {power}:\n{log}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// A machine that ran this and is off, and the task that it belongs to.
async fn machine_off(service: &Service, first: &str) -> (String, Value) {
    let order = new_layer("Tiny", &disk(service.folder.path(), first));
    let made = service.post("/layers", order.clone()).await.expect(201);
    service.ends(&made["task"], "done").await;
    let (machine, task) = service.version_at_work(&text(&order["id"]), "1.1").await;
    wait_off(service, &machine).await;
    (machine, task)
}

fn codes(findings: &Value) -> Vec<&str> {
    findings.as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_packages_half_configured_is_refused_mended_and_finalized() {
    build_tool("linux");
    let service = Service::start().await;
    let (machine, task) = machine_off(&service, BREAKS).await;
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
async fn a_machine_in_which_the_tool_was_never_run_is_refused_until_it_has_run() {
    build_tool("linux");
    let service = Service::start().await;
    let (machine, task) = machine_off(&service, IN_ORDER).await;

    let finalize = format!("/versions/{machine}/finalize");
    service.order(&finalize).await.expect(202);
    let waiting = service.ends(&task, "action_required").await;
    assert_eq!(codes(&waiting["findings"]), ["tool_not_run"], "{waiting:#}");
    let message = "Shutdown For Finalize was never run in this machine.";
    assert_eq!(waiting["findings"][0]["message"], message);
    let machine_now = service.machine(&machine).await;
    assert_eq!(machine_now["power"], "off", "nobody starts it unasked");

    service.order(&format!("/machines/{machine}/power_on")).await.expect(200);
    let log = wait_off(&service, &machine).await;
    assert!(log.contains("the tool ended with 0"), "{log}");
    service.order(&finalize).await.expect(202);
    let done = service.ends(&task, "done").await;
    assert_eq!(done.get("findings").unwrap_or(&json!([])), &json!([]), "{done:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_outstanding_is_taken_anyway_by_an_approver_who_says_why() {
    let mut service = Service::start().await;
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

    service.become_one("eve", Role::Editor);
    let refused = service.post(&path, json!({ "anyway": true, "reason": "CHG-4711" })).await;
    let refused = refused.refused(403, "forbidden");
    assert!(text(&refused["detail"]).contains("needs the role approver"), "{refused}");
    service.become_one("ann", Role::Approver);
    service.post(&path, json!({ "anyway": true })).await.refused_field("/reason");
    service.post(&path, json!({ "anyway": true, "reason": " " })).await.refused_field("/reason");
    service.post(&path, json!({ "anyway": true, "reason": "CHG-4711" })).await.expect(202);
    let done = service.ends(&task, "done").await;
    assert_eq!(codes(&done["findings"])[0], "volume_encrypted", "they are kept: {done:#}");
    service.become_one("ada", Role::Administrator);
    let audit = service.get("/audit").await.expect(200);
    let entry =
        audit["items"].as_array().unwrap().iter().find(|one| one["action"] == "finalize_anyway").unwrap();
    assert_eq!((&entry["comment"], &entry["who"]), (&json!("CHG-4711"), &json!("ann")));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_system_that_is_not_read_it_is_asked_on_the_port_whether_the_tool_ran() {
    let service = Service::start().await;
    let disk = service.disk("red.raw", 7);
    fs::File::options().write(true).open(&disk).unwrap().write_all_at(b"XFSB", 0).unwrap();
    let order = new_layer("Red", &disk);
    let made = service.post("/layers", order.clone()).await.expect(201);
    service.ends(&made["task"], "done").await;
    let (machine, task) = service.version_at_work(&text(&order["id"]), "1.1").await;
    service.power_off(&machine).await;
    let path = format!("/versions/{machine}/finalize");
    service.order(&path).await.expect(202);
    let waiting = service.ends(&task, "action_required").await;
    assert_eq!(codes(&waiting["findings"]), ["tool_not_run"], "{waiting:#}");

    let said = json!({ "line": "checked", "at": "2026-11-22T20:30:00Z", "findings": [] });
    let port = service.overlay(&machine).await.with_file_name("port.log");
    fs::write(port, format!("{said}\n")).unwrap();
    service.order(&path).await.expect(202);
    let done = service.ends(&task, "done").await;
    assert_eq!(codes(&done["findings"]), ["not_examined"], "{done:#}");
}
