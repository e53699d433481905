//! Platform and app layers made in real machines, on what other layers brought: each version has its own changes and nothing else.
//! And disks that are larger than the OS layer's: what became of the room is told in the task.

use crate::examined::wait_off;
use crate::service::{Service, new_layer, run, text};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use uuid::Uuid;

/// What the guest does, by the size of the disk that it was given: each machine here has another one.
const WORKS: &str = "gib=$(($(cat /sys/block/vda/size) / 2097152))
echo \"machine $gib has:\" $(cd opt && ls | sort)
case $gib in
1) echo one >opt/agent ;;
2) echo one >opt/tools ;;
3) echo one >opt/web ;;
4) echo two >opt/web; echo two >opt/web-more ;;
5) echo two >opt/agent ;;
esac
sync; touch /tmp/off
";

/// A service with a layer of a tiny system that boots: its layer and version.
struct Bench {
    service: Service,
    os: (String, String),
}

/// A version that is being made.
struct Made {
    version: String,
    task: Value,
    layer: String,
}

impl Bench {
    async fn start() -> Self {
        let service = Service::start().await;
        let folder = service.folder.path();
        let (disk, scripts, root) = (folder.join("tiny.raw"), folder.join("run"), folder.join("root"));
        fs::create_dir_all(&scripts).unwrap();
        fs::write(scripts.join("always"), WORKS).unwrap();
        for (path, text) in [("etc/os-release", "ID=tiny\n"), ("usr/bin/app", "app"), ("opt/own", "")] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), text).unwrap();
        }
        let maker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guest/make-tiny-disk.sh");
        assert!(
            Command::new(maker).arg(&disk).arg("bios").arg(&scripts).arg(&root).status().unwrap().success()
        );
        let os = imported(&service, &disk).await;
        Self { service, os }
    }

    /// What a machine of this size is made for, with `more` of what it has.
    async fn packaging(&self, gib: u32, more: Value) -> Value {
        let mut packaging = json!({
            "os_version_id": self.os.1,
            "connector_id": self.service.connector().await,
            "max_layer_size_gib": gib,
            "packaging_disk": { "file_name": format!("machine-{gib}") },
        });
        packaging.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        packaging
    }

    /// Begins a layer.
    async fn layer(&self, kind: &str, name: &str, gib: u32, more: Value) -> Made {
        let order = json!({
            "id": Uuid::now_v7(),
            "kind": kind,
            "name": name,
            "exclusions": "[linux]\npaths = [\"boots\"]\n",
            "version": { "id": Uuid::now_v7(), "name": "1" },
            "packaging": self.packaging(gib, more).await,
        });
        let made = self.service.post("/layers", order.clone()).await.expect(201);
        let (version, layer) = (text(&order["version"]["id"]), text(&order["id"]));
        Made { version, layer, task: made["task"].clone() }
    }

    /// Begins the second version of a layer.
    async fn second(&self, first: &Made, gib: u32, more: Value) -> Made {
        let mut order = self.packaging(gib, more).await;
        order["id"] = json!(Uuid::now_v7());
        order["name"] = json!("2");
        let made =
            self.service.post(&format!("/layers/{}/versions", first.layer), order.clone()).await.expect(201);
        Made { version: text(&order["id"]), layer: first.layer.clone(), task: made["task"].clone() }
    }

    /// Waits until the machine has done its work, and takes the version: what it had, and the steps of its task.
    async fn taken(&self, made: &Made) -> (String, Vec<Value>) {
        self.service.ends(&made.task, "action_required").await;
        let log = wait_off(&self.service, &made.version).await;
        let path = format!("/versions/{}/finalize", made.version);
        // Nobody runs the tool in these.
        self.service.post(&path, json!({ "anyway": true, "reason": "a test" })).await.expect(202);
        let done = self.service.ends(&made.task, "done").await;
        let had = log.lines().find_map(|line| line.split_once(" has: ")).unwrap_or_else(|| panic!("{log}")).1;
        (had.trim().to_owned(), done["steps"].as_array().unwrap().clone())
    }

    /// The paths that the version `name` brings, of a template of these app and platform layers' versions, but for the folders on
    /// the way.
    async fn brings(&self, name: &str, apps: &[&Made], platform: Option<&Made>) -> Vec<String> {
        let order = json!({
            "id": Uuid::now_v7(),
            "name": name.replace('/', "of"),
            "os_version_id": self.os.1,
            "app_version_ids": apps.iter().map(|made| &made.version).collect::<Vec<_>>(),
            "platform_version_id": platform.map(|made| &made.version),
            "disk": { "format": "raw", "size_gib": 1 },
        });
        let template = self.service.post("/templates", order).await.expect(201);
        let path = format!("/templates/{}/plan?limit=100", text(&template["id"]));
        let plan = self.service.get(&path).await.expect(200);
        let place = plan["layers"].as_array().unwrap().iter().position(|layer| layer["name"] == name);
        let is_its = |line: &&Value| line["layers"].as_array().unwrap().contains(&json!(place.unwrap()));
        let lines = plan["paths"]["items"].as_array().unwrap().iter().filter(is_its);
        lines.map(|line| text(&line["path"])).filter(|path| !["/", "/opt"].contains(&path.as_str())).collect()
    }
}

/// Makes an OS layer of a disk: its id and its version's.
async fn imported(service: &Service, disk: &Path) -> (String, String) {
    let order = new_layer(disk.file_stem().unwrap().to_str().unwrap(), disk);
    let made = service.post("/layers", order.clone()).await.expect(201);
    service.ends(&made["task"], "done").await;
    (text(&order["id"]), text(&order["version"]["id"]))
}

/// What a task tells of putting its disk together.
fn composed(steps: &[Value]) -> String {
    let step = steps.iter().find(|step| step["name"] == "compose");
    text(&step.unwrap_or_else(|| panic!("{steps:#?}"))["note"])
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_on_layers_and_their_second_versions_keep_only_their_own_changes() {
    let bench = Bench::start().await;
    let (agent, tools) = tokio::join!(
        bench.layer("platform", "Agent", 1, json!({})),
        bench.layer("app", "Tools", 2, json!({}))
    );
    let (had, steps) = bench.taken(&agent).await;
    assert_eq!(had, "own", "the operating system alone");
    let told = composed(&steps);
    assert!(told.contains(" grew from "), "{told}");
    assert_eq!(bench.taken(&tools).await.0, "own");
    assert_eq!(bench.brings("Agent / 1", &[], Some(&agent)).await, ["/opt/agent"]);
    assert_eq!(bench.brings("Tools / 1", &[&tools], None).await, ["/opt/tools"]);

    let with = json!({ "prerequisite_version_ids": [tools.version], "platform_version_id": agent.version });
    let web = bench.layer("app", "Web", 3, with.clone()).await;
    let (had, steps) = bench.taken(&web).await;
    assert_eq!(had, "agent own tools", "what it is made on");
    assert!(composed(&steps).starts_with("2 layers put on the disk, "), "{}", composed(&steps));
    assert_eq!(bench.brings("Web / 1", &[&tools, &web], None).await, ["/opt/web"]);

    let newer_web = bench.second(&web, 4, with).await;
    let newer_agent = bench.second(&agent, 5, json!({})).await;
    assert_eq!(bench.taken(&newer_web).await.0, "agent own tools web", "its own first version, too");
    assert_eq!(bench.taken(&newer_agent).await.0, "agent own", "its own first version");
    assert_eq!(bench.brings("Web / 2", &[&tools, &newer_web], None).await, ["/opt/web", "/opt/web-more"]);
    assert_eq!(bench.brings("Agent / 2", &[], Some(&newer_agent)).await, ["/opt/agent"]);
}

/// A disk with a small system, and behind it, if that is wanted, a recovery partition of Windows.
fn partitioned(service: &Service, name: &str, has_recovery: bool) -> std::path::PathBuf {
    let disk = service.path(&format!("{name}.raw"));
    fs::File::create(&disk).unwrap().set_len(64 << 20).unwrap();
    let mut parts = vec!["-n", "1:2048:+16M"];
    if has_recovery {
        parts.extend(["-n", "2:0:+4M", "-t", "2:2700", "-c", "2:Recovery"]);
    }
    run("sgdisk", &[&parts[..], &[disk.to_str().unwrap()]].concat());
    let tree = service.path(&format!("{name}-tree"));
    for path in ["etc/os-release", "usr/bin/app"] {
        fs::create_dir_all(tree.join(path).parent().unwrap()).unwrap();
        fs::write(tree.join(path), "ID=tiny\n").unwrap();
    }
    let options = format!("offset={}", 1 << 20);
    let arguments = ["-q", "-F", "-t", "ext4", "-b", "4096", "-E", &options, "-d", tree.to_str().unwrap()];
    run("mke2fs", &[&arguments[..], &[disk.to_str().unwrap(), "16M"]].concat());
    disk
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_the_room_of_a_larger_disk_is_told_in_the_task() {
    let mut service = Service::start().await;
    for (name, has_recovery, expected) in [
        ("Free", false, "the volume of the operating system grew from 16.0 MiB to "),
        ("Held", true, "a recovery partition (number 2, 'Recovery') lies behind it"),
    ] {
        let os = imported(&service, &partitioned(&service, name, has_recovery)).await;
        let bench = Bench { service, os };
        let layer = bench.layer("app", &format!("{name} app"), 1, json!({})).await;
        let waiting = bench.service.ends(&layer.task, "action_required").await;
        let told = composed(waiting["steps"].as_array().unwrap());
        assert!(told.to_lowercase().contains(&expected.to_lowercase()), "{told}");
        assert_eq!(told.contains("stays as large as it was"), has_recovery, "{told}");
        service = bench.service;
    }
}
