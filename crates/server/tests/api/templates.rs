//! Image templates and layered images, on small file systems made by their own tools and judged by them.

use crate::service::{Service, run, text};
use serde_json::{Value, json};
use shale_disk::{Disk, FileDisk};
use shale_server::catalog::now;
use shale_store::{NewVersion, Source, SourceError, What};
use shale_volume::capture::layer_of;
use shale_volume::files::Program;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// A disk to be stored as it is.
struct Whole(FileDisk);

impl Source for Whole {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn extent_at(&self, offset: u64) -> Result<(u64, What), SourceError> {
        Ok((self.0.size() - offset, What::Data))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<(), SourceError> {
        Ok(Disk::read_at(&self.0, buf, offset)?)
    }
}

/// What every system here has.
const SYSTEM: [(&str, &str); 5] = [
    ("usr/bin/app", "program"),
    ("etc/os-release", "ID=tiny\n"),
    ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ("etc/ssh/ssh_host_ed25519_key", "secret"),
    ("etc/motd", "welcome"),
];

/// An OS layer, an app layer and a platform layer of it, and what each brings.
pub struct Bench {
    pub service: Service,
    pub os_layer: Uuid,
    os: Uuid,
    app: Uuid,
    platform: Uuid,
}

impl Bench {
    pub async fn start() -> Self {
        let service = Service::start().await;
        let mut bench =
            Self { service, os_layer: Uuid::nil(), os: Uuid::nil(), app: Uuid::nil(), platform: Uuid::nil() };
        bench.os_layer = bench.layer("os", "Debian", None).await;
        bench.os = bench.os_version(bench.os_layer, "12.1", &[]).await;
        let app_layer = bench.layer("app", "Editor", Some(bench.os_layer)).await;
        bench.app =
            bench.delta(app_layer, "1.0", &[("opt/editor", "an editor"), ("etc/motd", "edit!")]).await;
        let platform_layer = bench.layer("platform", "Tools", Some(bench.os_layer)).await;
        bench.platform =
            bench.delta(platform_layer, "7", &[("opt/tools", "tools"), ("etc/motd", "tools!")]).await;
        bench
    }

    /// The image of a system with these files besides.
    fn image(&self, more: &[(&str, &str)]) -> PathBuf {
        let tree = self.service.path(&format!("tree-{}", Uuid::now_v7()));
        for (path, content) in SYSTEM.iter().chain(more) {
            let path = tree.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
            // Files of the same content are the same in every image.
            File::options().write(true).open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        let image = tree.with_extension("raw");
        run(
            "mke2fs",
            &[
                "-q",
                "-F",
                "-t",
                "ext4",
                "-b",
                "4096",
                "-d",
                tree.to_str().unwrap(),
                image.to_str().unwrap(),
                "16M",
            ],
        );
        image
    }

    pub async fn sql(&self, text: &'static str, values: &[String]) {
        let mut tx = self.service.app.world.catalog.begin().await.unwrap();
        let mut query = sqlx::query(text);
        for value in values {
            query = query.bind(value.clone());
        }
        query.execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn layer(&self, kind: &str, name: &str, os_layer: Option<Uuid>) -> Uuid {
        let id = Uuid::now_v7();
        let os_layer = os_layer.map(|id| id.to_string()).unwrap_or_default();
        self.sql(
            "INSERT INTO layers (id, kind, name, description, os_layer_id, created_at, updated_at) \
             VALUES ($1, $2, $3, '', nullif($4, ''), $5, $5)",
            &[id.to_string(), kind.into(), name.into(), os_layer, now()],
        )
        .await;
        id
    }

    async fn stored(&self, layer: Uuid, name: &str, disk: &Path) -> Uuid {
        let id = Uuid::now_v7();
        let (world, disk) = (self.service.app.world.clone(), disk.to_owned());
        let saved = tokio::task::spawn_blocking(move || {
            let source = Whole(FileDisk::open(&disk).unwrap());
            let size = source.0.size();
            let new = NewVersion { id: id.into(), parent: None, size, created: now(), threads: 2 };
            let saved = world.repository.save(new, &source, &|_| ControlFlow::Continue(())).unwrap();
            (size, saved.digest.to_string())
        });
        let (size, digest) = saved.await.unwrap();
        self.sql(
            "INSERT INTO versions (id, layer_id, name, description, state, firmware, virtual_bytes, logical_bytes, \
             added_bytes, digest, created_at, updated_at) \
             VALUES ($1, $2, $3, '', 'deployable', 'bios', $4, $4, $4, $5, $6, $6)",
            &[id.to_string(), layer.to_string(), name.into(), size.to_string(), digest, now()],
        )
        .await;
        id
    }

    pub async fn os_version(&self, layer: Uuid, name: &str, more: &[(&str, &str)]) -> Uuid {
        self.stored(layer, name, &self.image(more)).await
    }

    /// A version of a layer that brings these files.
    async fn delta(&self, layer: Uuid, name: &str, files: &[(&str, &str)]) -> Uuid {
        let (base, now) = (self.image(&[]), self.image(files));
        let path = now.with_extension("delta");
        let (program, file) = (self.service.app.world.files_program(), path.clone());
        let captured = tokio::task::spawn_blocking(move || capture(&program, &base, &now, &file));
        captured.await.unwrap();
        self.stored(layer, name, &path).await
    }

    /// The body that makes a template of all three.
    fn template(&self, name: &str) -> Value {
        json!({
            "id": Uuid::now_v7(),
            "name": name,
            "os_version_id": self.os,
            "app_version_ids": [self.app],
            "platform_version_id": self.platform,
            "disk": { "format": "raw", "size_gib": 1 },
        })
    }

    pub async fn made(&self, name: &str) -> String {
        let order = self.template(name);
        text(&self.service.post("/templates", order).await.expect(201)["id"])
    }

    /// Publishes a template, and answers the image when it is there.
    async fn published(&self, template: &str, more: Value) -> Value {
        let mut order = json!({ "image_id": Uuid::now_v7() });
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let path = format!("/templates/{template}/publish");
        let created = self.service.post(&path, order.clone()).await.expect(201);
        assert_eq!(created["image"]["state"], "publishing");
        self.service.ends(&created["task"], "done").await;
        let image = self.service.get(&format!("/images/{}", text(&order["image_id"]))).await.expect(200);
        assert_eq!(image["state"], "published");
        image
    }
}

fn capture(program: &Program, base: &Path, now: &Path, file: &Path) {
    let open = |path: &Path| -> Arc<dyn Disk> { Arc::new(FileDisk::open(path).unwrap()) };
    let file = File::options().read(true).write(true).create_new(true).open(file).unwrap();
    let go_on = &|_| ControlFlow::Continue(());
    let captured = layer_of(program, open(base), open(now), None, "", file, go_on).unwrap();
    assert!(captured.entries > 0, "{captured:?}");
}

/// The text of a file in an image.
fn cat(image: &Path, path: &str) -> String {
    run("debugfs", &["-R", &format!("cat {path}"), image.to_str().unwrap()])
}

fn names(actions: &Value) -> Vec<String> {
    let allowed = actions.as_array().unwrap().iter().filter(|action| action["allowed"] == true);
    allowed.map(|action| text(&action["name"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_made_shown_changed_cloned_and_deleted() {
    let bench = Bench::start().await;
    let service = &bench.service;
    let order = bench.template("Desk");
    let made = service.post("/templates", order.clone()).await.expect(201);
    assert_eq!(service.post("/templates", order.clone()).await.expect(201), made, "a repeated request");
    assert_eq!((&made["state"], &made["os"]["layer_name"]), (&json!("publishable"), &json!("Debian")));
    assert_eq!(
        (&made["apps"][0]["version_name"], &made["platform"]["version_name"]),
        (&json!("1.0"), &json!("7"))
    );
    assert_eq!(made["disk_bytes"], 1 << 30);
    assert!(made["estimate_bytes"].as_u64().unwrap() >= 16 << 20);
    assert_eq!(names(&made["actions"]), ["publish", "edit", "clone", "delete"]);
    let mut other = order.clone();
    other["description"] = json!("another");
    service.post("/templates", other).await.refused(409, "exists");

    let path = format!("/templates/{}", text(&order["id"]));
    let change = json!({ "description": "for all", "platform_version_id": null, "generalize": "generalize" });
    let changed = service.patch(&path, change).await.expect(200);
    assert_eq!((&changed["description"], &changed["generalize"]), (&json!("for all"), &json!("generalize")));
    assert_eq!((&changed["platform"], &changed["apps"][0]["version_name"]), (&Value::Null, &json!("1.0")));

    let twin = json!({ "id": Uuid::now_v7(), "name": "Desk 2" });
    let cloned = service.post(&format!("{path}/clone"), twin.clone()).await.expect(201);
    assert_eq!((&cloned["name"], &cloned["description"]), (&json!("Desk 2"), &json!("for all")));
    let again = json!({ "id": Uuid::now_v7(), "name": "Desk" });
    service.post(&format!("{path}/clone"), again).await.refused_field("/name");
    let first = service.get("/templates?limit=1").await.expect(200);
    assert_eq!(first["items"][0]["name"], "Desk");
    let next = format!("/templates?limit=1&page_token={}", text(&first["next_page_token"]));
    assert_eq!(service.get(&next).await.expect(200)["items"][0]["name"], "Desk 2");
    let found = service.get("/templates?text=DESK%202").await.expect(200);
    assert_eq!(found["items"].as_array().unwrap().len(), 1);

    service.delete(&path).await.expect(204);
    service.get(&path).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_go_together_is_refused_at_its_field() {
    let bench = Bench::start().await;
    let service = &bench.service;
    let other_os = bench.layer("os", "Fedora", None).await;
    let foreign_app = bench.layer("app", "Player", Some(other_os)).await;
    let foreign = bench.delta(foreign_app, "1", &[("opt/player", "x")]).await;
    let editor = service.get(&format!("/versions/{}", bench.app)).await.expect(200);
    let editor = Uuid::parse_str(editor["layer_id"].as_str().unwrap()).unwrap();
    let newer = bench.delta(editor, "2.0", &[("opt/editor", "another")]).await;
    let broken = bench.delta(editor, "3.0", &[("opt/editor", "broken")]).await;
    bench.sql("UPDATE versions SET state = 'broken' WHERE id = $1", &[broken.to_string()]).await;
    let plugin = bench.layer("app", "Plugin", Some(bench.os_layer)).await;
    let plugin = bench.delta(plugin, "1", &[("opt/plugin", "x")]).await;
    let needs = [plugin.to_string(), json!([bench.app]).to_string()];
    bench.sql("UPDATE versions SET prerequisites = $2 WHERE id = $1", &needs).await;
    let nothing = Uuid::now_v7();
    for (change, pointer, told) in [
        (json!({ "os_version_id": nothing }), "/os_version_id", "no such version"),
        (json!({ "os_version_id": bench.app }), "/os_version_id", "not an OS layer"),
        (json!({ "app_version_ids": [bench.app, nothing] }), "/app_version_ids/1", "no such version"),
        (json!({ "app_version_ids": [bench.platform] }), "/app_version_ids/0", "not an app layer"),
        (json!({ "app_version_ids": [bench.app, foreign] }), "/app_version_ids/1", "another OS layer"),
        (json!({ "app_version_ids": [bench.app, newer] }), "/app_version_ids/1", "in the template already"),
        (json!({ "app_version_ids": [plugin] }), "/app_version_ids/0", "on top of the layer 'Editor'"),
        (json!({ "app_version_ids": [broken] }), "/app_version_ids/0", "is broken: choose a deployable one"),
        (json!({ "platform_version_id": bench.app }), "/platform_version_id", "not a platform layer"),
        (json!({ "connector_id": nothing }), "/connector_id", "no such connector"),
        (json!({ "disk": { "format": "zip" } }), "/disk/format", "zip"),
        (json!({ "disk": { "size_gib": 0 } }), "/disk/size_gib", "choose a size"),
        (json!({ "disk": { "file_name": "a/b" } }), "/disk/file_name", "looks like a path"),
        (json!({ "generalize": "sysprep" }), "/generalize", "choose none or generalize"),
        (json!({ "name": "a/b" }), "/name", "looks like a path"),
    ] {
        let mut order = bench.template("Desk");
        order.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let why = service.post("/templates", order).await.refused_field(pointer);
        assert!(why.contains(told), "{change}: {why}");
    }
    assert_eq!(service.get("/templates").await.expect(200)["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_moves_to_the_newest_versions_in_one_step_and_keeps_its_own_from_being_deleted() {
    let bench = Bench::start().await;
    let service = &bench.service;
    let path = format!("/templates/{}", bench.made("Desk").await);
    service.order(&format!("{path}/update")).await.refused(409, "not_allowed");
    let os = bench.os_version(bench.os_layer, "12.2", &[("etc/patched", "yes")]).await;
    let shown = service.get(&path).await.expect(200);
    assert_eq!((&shown["has_newer"], &shown["os"]["newer"]["version_name"]), (&json!(true), &json!("12.2")));
    let why = service.delete(&format!("/versions/{}", bench.os)).await.refused(409, "not_allowed");
    assert!(text(&why["detail"]).contains("the image template 'Desk'"), "{why}");

    let moved = service.order(&format!("{path}/update")).await.expect(200);
    assert_eq!((&moved["os"]["version_id"], &moved["has_newer"]), (&json!(os), &json!(false)));
    let task = service.delete(&format!("/versions/{}", bench.os)).await.expect(202);
    service.ends(&task, "done").await;

    bench.sql("UPDATE versions SET state = 'broken' WHERE id = $1", &[bench.app.to_string()]).await;
    let shown = service.get(&path).await.expect(200);
    assert_eq!(shown["state"], "not_publishable");
    assert!(text(&shown["obstacle"]).contains("'1.0' of the layer 'Editor' is broken"), "{shown}");
    let order = json!({ "image_id": Uuid::now_v7() });
    service.post(&format!("{path}/publish"), order).await.refused(409, "not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_tells_of_every_template_what_it_tells_of_itself() {
    let bench = Bench::start().await;
    let service = &bench.service;
    bench.made("Desk").await;
    bench.os_version(bench.os_layer, "12.2", &[("etc/patched", "yes")]).await;
    let lab = bench.made("Lab").await;
    service.order(&format!("/templates/{lab}/update")).await.expect(200);
    let listed = service.get("/templates").await.expect(200);
    let items = listed["items"].as_array().unwrap();
    let newer: Vec<&Value> = items.iter().map(|item| &item["has_newer"]).collect();
    assert_eq!(newer, [true, false]);
    for item in items {
        assert_eq!(*item, service.get(&format!("/templates/{}", text(&item["id"]))).await.expect(200));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_who_wins_and_what_conflicts_page_by_page() {
    let bench = Bench::start().await;
    let path = format!("/templates/{}/plan", bench.made("Desk").await);
    let plan = bench.service.get(&format!("{path}?limit=1")).await.expect(200);
    assert_eq!(plan["is_composed"], false);
    let layers: Vec<_> = plan["layers"].as_array().unwrap().iter().map(|l| text(&l["name"])).collect();
    assert_eq!(layers, ["Editor / 1.0", "Tools / 7"]);
    let conflict = &plan["conflicts"][0];
    assert_eq!((&conflict["path"], &conflict["winner"]), (&json!("/etc/motd"), &json!(1)));
    let (mut found, mut next) = (vec![], Some(String::new()));
    while let Some(token) = next {
        let page = bench.service.get(&format!("{path}?limit=1{token}")).await.expect(200)["paths"].clone();
        found.push(text(&page["items"][0]["path"]));
        next = page["next_page_token"].as_str().map(|token| format!("&page_token={token}"));
    }
    assert_eq!(found.len() as u64, plan["path_count"].as_u64().unwrap());
    assert!(found.is_sorted() && found.contains(&"/opt/editor".to_owned()), "{found:?}");
    let searched = bench.service.get(&format!("{path}?search=MOTD")).await.expect(200);
    assert_eq!(searched["paths"]["items"].as_array().unwrap().len(), 1);
    let line = &searched["paths"]["items"][0];
    assert_eq!((&line["action"], &line["layers"]), (&json!("replaced"), &json!([1])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_image_is_one_sound_disk_with_everything_on_it() {
    let bench = Bench::start().await;
    let service = &bench.service;
    let template = bench.made("Desk").await;
    std::fs::create_dir(service.path("out")).unwrap();
    let image = bench.published(&template, json!({ "path": service.path("out") })).await;
    let name = text(&image["name"]);
    let time = name.strip_prefix("Desk-").unwrap();
    assert!(jiff::civil::DateTime::strptime("%Y-%m-%d_%H-%M-%S", time).is_ok(), "{name}");
    let file = PathBuf::from(text(&image["path"]));
    assert_eq!(file, service.path("out").join(format!("{name}.raw")));
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 1 << 30);
    run("e2fsck", &["-fn", file.to_str().unwrap()]);
    assert_eq!(cat(&file, "/opt/editor"), "an editor");
    assert_eq!(cat(&file, "/opt/tools"), "tools");
    assert_eq!(cat(&file, "/etc/motd"), "tools!", "the platform layer wins");
    assert_eq!(cat(&file, "/etc/ssh/ssh_host_ed25519_key"), "secret", "it is not generalized");
    assert_eq!(image["report"]["conflicts"].as_array().unwrap().len(), 1);

    // The same again costs nothing, and has a name and a disk of its own.
    let order = json!({ "path": service.path("second.raw") });
    let second = bench.published(&template, order).await;
    assert_eq!(second["composition_id"], image["composition_id"]);
    assert!(text(&second["report"]["note"]).contains("put together before"), "{second}");
    assert_ne!(second["name"], image["name"]);
    run("cmp", &[file.to_str().unwrap(), service.path("second.raw").to_str().unwrap()]);

    let id = text(&image["id"]);
    let sent = service.get(&format!("/images/{id}/disk?format=qcow2-compressed")).await;
    assert_eq!(sent.status, 200);
    std::fs::write(service.path("sent.qcow2"), &sent.bytes).unwrap();
    let sent = service.path("sent.qcow2");
    run("qemu-img", &["compare", "-f", "qcow2", "-F", "raw", sent.to_str().unwrap(), file.to_str().unwrap()]);

    service.delete(&format!("/templates/{template}")).await.expect(204);
    assert_eq!(service.get(&format!("/images/{id}")).await.expect(200)["template_name"], "Desk");
    service.delete(&format!("/images/{id}")).await.expect(204);
    service.get(&format!("/images/{id}")).await.refused(404, "not_found");
    let left = service.get("/images").await.expect(200);
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    assert!(file.exists(), "the file is its owner's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_publish_is_safe_to_repeat_and_held_to_its_fields() {
    let bench = Bench::start().await;
    let service = &bench.service;
    let path = format!("/templates/{}/publish", bench.made("Desk").await);
    let order = json!({ "image_id": Uuid::now_v7() });
    let first = service.post(&path, order.clone()).await.expect(201);
    let second = service.post(&path, order.clone()).await.expect(201);
    assert_eq!(
        (&first["task"]["id"], &first["image"]["name"]),
        (&second["task"]["id"], &second["image"]["name"])
    );
    let mut other = order.clone();
    other["comment"] = json!("another");
    service.post(&path, other).await.refused(409, "exists");
    service.ends(&first["task"], "done").await;

    let taken = service.path("taken.raw");
    std::fs::write(&taken, "mine").unwrap();
    let with = |more: Value| {
        let mut order = json!({ "image_id": Uuid::now_v7() });
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        order
    };
    service.post(&path, with(json!({ "path": taken }))).await.refused_field("/path");
    service.post(&path, with(json!({ "path": "relative" }))).await.refused_field("/path");
    let nobody = with(json!({ "boot_and_check": true, "boot_connector_id": Uuid::now_v7() }));
    service.post(&path, nobody).await.refused_field("/boot_connector_id");
    service.post(&path, with(json!({ "connector_id": Uuid::now_v7() }))).await.refused_field("/connector_id");
    service.post(&path, with(json!({ "upload": true }))).await.refused_field("/connector_id");
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generalized_image_has_nothing_that_makes_a_machine_itself() {
    let bench = Bench::start().await;
    let template = bench.made("Desk").await;
    let change = json!({ "generalize": "generalize" });
    bench.service.patch(&format!("/templates/{template}"), change).await.expect(200);
    let file = bench.service.path("general.raw");
    bench.published(&template, json!({ "path": file })).await;
    run("e2fsck", &["-fn", file.to_str().unwrap()]);
    assert_eq!(cat(&file, "/etc/machine-id"), "");
    assert_eq!(cat(&file, "/opt/tools"), "tools");
    let keys = run("debugfs", &["-R", "ls -p /etc/ssh", file.to_str().unwrap()]);
    assert!(!keys.contains("ssh_host"), "{keys}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rpms_list_of_packages_that_two_layers_change_is_told_in_the_plan_and_kept_with_the_image() {
    let mut bench = Bench::start().await;
    let list = "var/lib/rpm/rpmdb.sqlite";
    for (kind, name) in [("app", "Nginx"), ("platform", "Agent")] {
        let layer = bench.layer(kind, name, Some(bench.os_layer)).await;
        let version = bench.delta(layer, "1", &[(list, name)]).await;
        *(if kind == "app" { &mut bench.app } else { &mut bench.platform }) = version;
    }
    let template = bench.made("Desk").await;
    let plan = bench.service.get(&format!("/templates/{template}/plan")).await.expect(200);
    let conflicts = plan["conflicts"].as_array().unwrap();
    assert_eq!(conflicts.len(), 1, "{plan:#}");
    let told = "'Nginx / 1' and 'Agent / 1' both change '/var/lib/rpm/rpmdb.sqlite': that of 'Agent / 1' is taken; it is rpm's \
                list of packages, which cannot be put together: rpm will know the packages of one layer only";
    assert_eq!((&conflicts[0]["text"], &conflicts[0]["winner"]), (&json!(told), &json!(1)));
    let image = bench.published(&template, json!({ "path": bench.service.path("rpm.raw") })).await;
    assert_eq!(image["report"]["conflicts"], json!([told]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_goes_on_working_with_a_newer_os_version_and_what_it_hides_of_that_is_told() {
    let bench = Bench::start().await;
    let service = &bench.service;
    let tools = service.get(&format!("/versions/{}", bench.platform)).await.expect(200);
    let tools = Uuid::parse_str(tools["layer_id"].as_str().unwrap()).unwrap();
    bench.delta(tools, "8", &[("opt/tools", "tools"), ("usr/bin/app", "wrapped by tools")]).await;
    let path = format!("/templates/{}", bench.made("Desk").await);
    service.order(&format!("{path}/update")).await.expect(200);
    let plan = service.get(&format!("{path}/plan")).await.expect(200);
    assert_eq!(plan["warnings"], json!([]), "on the OS version that it was made on");

    let newer = [("usr/bin/app", "a patched program"), ("etc/patched", "yes")];
    bench.os_version(bench.os_layer, "12.2", &newer).await;
    service.order(&format!("{path}/update")).await.expect(200);
    let plan = service.get(&format!("{path}/plan")).await.expect(200);
    let told = plan["warnings"].as_array().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["path"], &told[0]["layer"]), (&json!("/usr/bin/app"), &json!(1)));
    let told = text(&told[0]["text"]);
    assert!(told.contains("'Tools / 8' replaces '/usr/bin/app', which has changed"), "{told}");

    let file = service.path("newer.raw");
    let order = json!({ "path": file });
    let image = bench.published(path.strip_prefix("/templates/").unwrap(), order).await;
    assert_eq!(image["report"]["warnings"], json!([told]));
    run("e2fsck", &["-fn", file.to_str().unwrap()]);
    let found = ["/etc/patched", "/opt/tools", "/opt/editor", "/usr/bin/app"].map(|path| cat(&file, path));
    assert_eq!(found, ["yes", "tools", "an editor", "wrapped by tools"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_lets_go_of_a_composition_when_nothing_was_made_of_it_for_long() {
    let bench = Bench::start().await;
    let service = &bench.service;
    let template = bench.made("Desk").await;
    let image = bench.published(&template, json!({})).await;
    let composition = Uuid::parse_str(image["composition_id"].as_str().unwrap()).unwrap();
    let world = service.app.world.clone();
    let swept = async || {
        let world = world.clone();
        tokio::task::spawn_blocking(move || shale_server::sweep::sweep(&world).unwrap()).await.unwrap()
    };
    let stored = || world.repository.version(composition.into()).is_ok();
    let long_ago = ["2026-01-01T00:00:00.000Z".to_owned()];
    bench.sql("UPDATE compositions SET used_at = $1", &long_ago).await;
    assert!(swept().await.compositions.is_empty(), "a template and an image are it");
    service.delete(&format!("/templates/{template}")).await.expect(204);
    assert!(swept().await.compositions.is_empty(), "an image is it");
    service.delete(&format!("/images/{}", text(&image["id"]))).await.expect(204);
    bench.sql("UPDATE compositions SET used_at = $1", &[now()]).await;
    assert!(swept().await.compositions.is_empty(), "it was of use just now");
    assert!(stored());
    bench.sql("UPDATE compositions SET used_at = $1", &long_ago).await;
    assert_eq!(swept().await.compositions, [composition]);
    assert!(!stored());

    // Of disks with nothing but an OS version, the next version's machine begins with the one that was used last.
    let bare = [Uuid::now_v7(), Uuid::now_v7()];
    for (id, used_at) in bare.iter().zip(["2026-01-02T00:00:00.000Z", "2026-01-01T00:00:00.000Z"]) {
        let sql = "INSERT INTO compositions (id, parts, disk_size, created_at, used_at) VALUES ($1, $2, 1048576, $3, $3)";
        bench.sql(sql, &[id.to_string(), json!([bench.os]).to_string(), used_at.into()]).await;
    }
    assert_eq!(swept().await.compositions, [bare[1]]);
    assert!(swept().await.compositions.is_empty());
}
