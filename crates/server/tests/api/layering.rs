//! Platform and app layers: what a request to make one, or a version of one, is held to. What their machines make of them is
//! shown with real guests (`tests/layering`).

use crate::service::{Service, new_layer, text};
use serde_json::{Value, json};
use shale_api::LayerKind;
use shale_model::VersionEvent;
use shale_server::catalog::{Finished, LayerRow, VersionRow, now};
use uuid::Uuid;

/// A service with two OS layers, `Debian` and `Fedora`, of one version each.
struct Layers {
    service: Service,
    /// Debian's layer and version.
    debian: (Uuid, Uuid),
    fedora: (Uuid, Uuid),
}

impl Layers {
    async fn start() -> Self {
        let service = Service::start().await;
        let id = |(layer, version): (String, String)| (layer.parse().unwrap(), version.parse().unwrap());
        let debian = id(service.layer("Debian").await);
        let fedora = id(service.layer("Fedora").await);
        Self { service, debian, fedora }
    }

    /// A layer as it is in the catalog, without versions.
    async fn layer(&self, kind: LayerKind, name: &str, os: Uuid) -> Uuid {
        let at = now();
        let row = LayerRow {
            id: Uuid::now_v7(),
            kind,
            name: name.into(),
            os_layer_id: Some(os),
            exclusions: String::new(),
            retention: None,
            description: String::new(),
            created_at: at.clone(),
            updated_at: at,
        };
        let mut tx = self.service.app.world.catalog.begin().await.unwrap();
        row.insert(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        row.id
    }

    /// A version of such a layer; deployable, if `events` end there.
    async fn version(&self, layer: Uuid, name: &str, events: &[VersionEvent]) -> Uuid {
        let (id, at) = (Uuid::now_v7(), now());
        let mut tx = self.service.app.world.catalog.begin().await.unwrap();
        let base = VersionRow::get(&mut tx, self.debian.1).await.unwrap().unwrap();
        let row = VersionRow {
            id,
            layer_id: layer,
            name: name.into(),
            state: shale_api::VersionState::Editing,
            created_at: at.clone(),
            updated_at: at,
            ..base
        };
        row.insert(&mut tx).await.unwrap();
        for event in events {
            VersionRow::happen(&mut tx, id, *event).await.unwrap();
        }
        let facts = Finished {
            virtual_bytes: 1 << 20,
            logical_bytes: 1 << 20,
            added_bytes: 1 << 20,
            digest: "d".repeat(64),
            firmware: "bios".into(),
        };
        VersionRow::finish(&mut tx, id, &facts).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// A layer with one deployable version, which is answered.
    async fn made(&self, kind: LayerKind, name: &str, os: Uuid) -> Uuid {
        let layer = self.layer(kind, name, os).await;
        self.version(layer, "1.0", &[VersionEvent::Imported]).await
    }

    /// The body that creates an app layer on Debian, with one thing of its packaging changed.
    async fn order(&self, field: &str, value: Value) -> Value {
        let mut order = json!({
            "id": Uuid::now_v7(),
            "kind": "app",
            "name": "Web",
            "version": { "id": Uuid::now_v7(), "name": "1.0" },
            "packaging": {
                "os_version_id": self.debian.1,
                "connector_id": self.service.connector().await,
                "max_layer_size_gib": 1,
                "packaging_disk": { "file_name": "web" },
            },
        });
        order["packaging"][field] = value;
        order
    }

    /// Why the order is refused at this field of its packaging.
    async fn refused(&self, field: &str, value: Value) -> String {
        let order = self.order(field, value).await;
        self.service.post("/layers", order).await.refused_field(&format!("/packaging/{field}"))
    }

    /// Nothing was begun.
    async fn nothing_came_of_it(&self) {
        assert_eq!(self.service.get("/machines").await.expect(200)["items"], json!([]));
        let open = self.service.get("/tasks?state=open").await.expect(200);
        assert_eq!(open["items"], json!([]));
        let layers = self.service.get("/layers").await.expect(200);
        let names = layers["items"].as_array().unwrap().iter().map(|layer| text(&layer["name"]));
        assert!(!names.collect::<Vec<_>>().contains(&"Web".to_owned()), "{layers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_is_made_on_a_deployable_version_of_an_os_layer() {
    let layers = Layers::start().await;
    let nobody = Uuid::now_v7();
    let app = layers.made(LayerKind::App, "Tools", layers.debian.0).await;
    let told = layers.refused("os_version_id", json!(nobody)).await;
    assert!(told.contains("no such OS version"), "{told}");
    let told = layers.refused("os_version_id", json!(app)).await;
    assert!(told.contains(&format!("no version {app} of a layer of the kind os")), "{told}");
    let editing = layers.version(layers.debian.0, "1.1", &[]).await;
    let told = layers.refused("os_version_id", json!(editing)).await;
    assert!(told.contains("'Debian / 1.1' is editing: choose a deployable one"), "{told}");
    layers.refused("connector_id", json!(nobody)).await;
    let told = layers.refused("max_layer_size_gib", json!(0)).await;
    assert!(!told.is_empty());
    layers.nothing_came_of_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_machine_has_besides_is_of_the_right_kind_and_of_the_same_os_layer() {
    let layers = Layers::start().await;
    let app = layers.made(LayerKind::App, "Tools", layers.debian.0).await;
    let platform = layers.made(LayerKind::Platform, "Agent", layers.debian.0).await;
    let told = layers.refused("platform_version_id", json!(app)).await;
    assert!(told.contains("of a layer of the kind platform"), "{told}");
    for wrong in [platform, layers.debian.1] {
        let told = layers.refused("prerequisite_version_ids", json!([wrong])).await;
        assert!(told.contains("of a layer of the kind app"), "{told}");
    }
    let strange = layers.made(LayerKind::App, "Strange", layers.fedora.0).await;
    let told = layers.refused("prerequisite_version_ids", json!([strange])).await;
    assert!(told.contains("'Strange / 1.0' belongs to another OS layer"), "{told}");
    let strange = layers.made(LayerKind::Platform, "Strange", layers.fedora.0).await;
    let told = layers.refused("platform_version_id", json!(strange)).await;
    assert!(told.contains("'Strange / 1.0' belongs to another OS layer"), "{told}");
    let unfinished = layers.layer(LayerKind::App, "Unfinished", layers.debian.0).await;
    let unfinished = layers.version(unfinished, "1.0", &[]).await;
    let told = layers.refused("prerequisite_version_ids", json!([unfinished])).await;
    assert!(told.contains("'Unfinished / 1.0' is editing"), "{told}");

    let mut order = layers.order("platform_version_id", json!(platform)).await;
    order["kind"] = json!("platform");
    let told = layers.service.post("/layers", order).await.refused_field("/packaging/platform_version_id");
    assert!(told.contains("without another platform layer"), "{told}");
    let mut order = layers.order("prerequisite_version_ids", json!([app])).await;
    order["kind"] = json!("platform");
    let told =
        layers.service.post("/layers", order).await.refused_field("/packaging/prerequisite_version_ids");
    assert!(told.contains("Only app layers have prerequisites"), "{told}");
    layers.nothing_came_of_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_is_there_once_and_not_under_itself() {
    let layers = Layers::start().await;
    let tools = layers.layer(LayerKind::App, "Tools", layers.debian.0).await;
    let old = layers.version(tools, "1.0", &[VersionEvent::Imported]).await;
    let new = layers.version(tools, "2.0", &[VersionEvent::Imported]).await;
    let told = layers.refused("prerequisite_version_ids", json!([old, new])).await;
    assert!(told.contains("are of one layer: choose one"), "{told}");

    let path = format!("/layers/{tools}/versions");
    let mut order = layers.service.new_version("3.0").await;
    order["prerequisite_version_ids"] = json!([old]);
    let told = layers.service.post(&path, order).await.refused_field("/prerequisite_version_ids");
    assert!(told.contains("no prerequisite of itself"), "{told}");
    let mut order = layers.service.new_version("3.0").await;
    order["os_version_id"] = json!(layers.fedora.1);
    let told = layers.service.post(&path, order).await.refused_field("/os_version_id");
    assert!(told.contains("'Fedora / 1.0' belongs to another OS layer"), "{told}");

    let path = format!("/layers/{}/versions", layers.debian.0);
    let mut order = layers.service.new_version("1.1").await;
    order["os_version_id"] = json!(layers.debian.1);
    let told = layers.service.post(&path, order).await.refused_field("/os_version_id");
    assert!(told.contains("base version is its OS version"), "{told}");
    let mut order = layers.service.new_version("1.1").await;
    order["prerequisite_version_ids"] = json!([old]);
    let told = layers.service.post(&path, order).await.refused_field("/prerequisite_version_ids");
    assert!(told.contains("Only app layers have prerequisites"), "{told}");
    layers.nothing_came_of_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_comes_from_a_disk_or_from_a_machine_as_its_kind_wants() {
    let layers = Layers::start().await;
    let disk = layers.service.disk("a.raw", 1);
    let mut order = layers.order("max_layer_size_gib", json!(1)).await;
    order["kind"] = json!("os");
    let told = layers.service.post("/layers", order).await.refused_field("/packaging");
    assert!(told.contains("made from a disk"), "{told}");
    for kind in ["app", "platform"] {
        let mut order = new_layer("Web", &disk);
        order["kind"] = json!(kind);
        layers.service.post("/layers", order.clone()).await.refused_field("/packaging");
        order["packaging"] = layers.order("max_layer_size_gib", json!(1)).await["packaging"].clone();
        layers.service.post("/layers", order).await.refused_field("/source");
    }
    layers.nothing_came_of_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exclusions_are_understood_before_they_are_kept() {
    let layers = Layers::start().await;
    let tools = layers.layer(LayerKind::App, "Tools", layers.debian.0).await;
    for wrong in
        ["[linux", "[linux]\npaths = 7\n", "[amiga]\npaths = [\"a\"]\n", "[linux]\npaths = [\"../a\"]\n"]
    {
        let mut order = layers.order("max_layer_size_gib", json!(1)).await;
        order["exclusions"] = json!(wrong);
        layers.service.post("/layers", order).await.refused_field("/exclusions");
        let edit = json!({ "exclusions": wrong });
        layers.service.patch(&format!("/layers/{tools}"), edit).await.refused_field("/exclusions");
    }
    let right = json!({ "exclusions": "[linux]\npaths = [\"srv/scratch/**\"]\n" });
    let kept = layers.service.patch(&format!("/layers/{tools}"), right.clone()).await.expect(200);
    assert_eq!(kept["exclusions"], right["exclusions"]);
    let debian = format!("/layers/{}", layers.debian.0);
    let told = layers.service.patch(&debian, right).await.refused_field("/exclusions");
    assert!(told.contains("whole disks"), "{told}");
    layers.nothing_came_of_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_no_disk_is_not_exported_and_its_view_says_so() {
    let layers = Layers::start().await;
    for (kind, name) in [(LayerKind::App, "an app layer"), (LayerKind::Platform, "a platform layer")] {
        let version = layers.made(kind, "Tools", layers.debian.0).await;
        let shown = layers.service.get(&format!("/versions/{version}")).await.expect(200);
        let export = shown["actions"].as_array().unwrap().iter().find(|action| action["name"] == "export");
        let reason = text(&export.unwrap()["reason"]);
        assert!(reason.contains(&format!("is of {name}, which is no disk")), "{reason}");
        let order = json!({ "format": "raw", "path": layers.service.path("out.raw") });
        let problem = layers
            .service
            .post(&format!("/versions/{version}/export"), order)
            .await
            .refused(409, "not_allowed");
        assert_eq!(text(&problem["detail"]), reason);
        let path = format!("/versions/{version}/disk?format=raw");
        let problem = layers.service.get(&path).await.refused(409, "not_allowed");
        assert_eq!(text(&problem["detail"]), reason);
    }
}
