//! An image template with all that it is made of: whether it can be published, what of it is old, and which disk it becomes.
//!
//! ```text
//!   TemplateRow ──read──▶ Template: versions with their layers ─┬─▶ facts (model) ─▶ actions
//!                                                               ├─▶ composition   (all deployable)
//!                                                               └─▶ view
//! ```

use crate::catalog::{ConnectorRow, LayerRow, TaskRow, TemplateRow, Tx, VersionRow};
use crate::composition::Composition;
use crate::error::{Error, Result};
use crate::view;
use shale_api as api;
use shale_model::{GIB, LayerKind, TemplateFacts, VersionState};
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// A version with its layer.
#[derive(Clone, Debug)]
pub struct Part {
    /// The version.
    pub version: VersionRow,
    /// Its layer.
    pub layer: LayerRow,
    /// The newest deployable version of the layer, if that is a newer one.
    pub newer: Option<VersionRow>,
    /// The layers that it was made on top of.
    pub needs: Vec<LayerRow>,
}

impl Part {
    /// `layer / version`.
    pub fn name(&self) -> String {
        self.version.name_in(&self.layer)
    }

    /// Why it cannot be part of an image on versions of the OS layer `os`; `wanted` is the kind it is to be.
    fn refused(&self, wanted: LayerKind, os: Uuid) -> Option<String> {
        let (version, layer) = (&self.version.name, &self.layer.name);
        let kind = match wanted {
            LayerKind::Os => "an OS",
            LayerKind::Platform => "a platform",
            LayerKind::App => "an app",
        };
        if self.layer.kind != wanted {
            return Some(format!("The layer '{layer}' is not {kind} layer: choose a version of one."));
        }
        if wanted != LayerKind::Os && self.layer.os_layer_id != Some(os) {
            return Some(format!(
                "The layer '{layer}' belongs to another OS layer: choose one of this OS layer."
            ));
        }
        self.not_deployable().map(|_| {
            format!(
                "The version '{version}' of the layer '{layer}' is {}: choose a deployable one.",
                self.version.state
            )
        })
    }

    fn not_deployable(&self) -> Option<String> {
        (self.version.state != VersionState::Deployable).then(|| {
            format!(
                "The version '{}' of the layer '{}' is {}: choose another version in the template.",
                self.version.name, self.layer.name, self.version.state
            )
        })
    }

    fn view(&self) -> api::TemplatePart {
        let newer = self.newer.as_ref();
        api::TemplatePart {
            version_id: self.version.id,
            version_name: self.version.name.clone(),
            layer_id: self.layer.id,
            layer_name: self.layer.name.clone(),
            state: self.version.state,
            logical_bytes: self.version.logical_bytes.unwrap_or(0),
            newer: newer.map(|row| api::NewerVersion { version_id: row.id, version_name: row.name.clone() }),
        }
    }
}

/// What templates are made of, asked for together.
struct Known {
    /// Their versions, and those that these need.
    versions: HashMap<Uuid, VersionRow>,
    /// The layers of all of them.
    layers: HashMap<Uuid, LayerRow>,
    /// The newest deployable version of each layer.
    newest: HashMap<Uuid, VersionRow>,
    /// Names of connector configurations.
    connectors: HashMap<Uuid, String>,
}

impl Known {
    async fn of(tx: &mut Tx, templates: &[TemplateRow]) -> Result<Self> {
        let parts = each_once(templates.iter().flat_map(TemplateRow::parts));
        let mut versions = VersionRow::with_ids(tx, &parts).await?;
        let newest =
            VersionRow::newest_deployable(tx, &each_once(versions.iter().map(|row| row.layer_id))).await?;
        let needs = each_once(versions.iter().flat_map(|row| row.prerequisites.iter().copied()));
        versions.extend(VersionRow::with_ids(tx, &needs).await?);
        let layers = LayerRow::with_ids(tx, &each_once(versions.iter().map(|row| row.layer_id))).await?;
        let connectors = ConnectorRow::list(tx).await?;
        Ok(Self {
            versions: versions.into_iter().map(|row| (row.id, row)).collect(),
            layers: layers.into_iter().map(|row| (row.id, row)).collect(),
            newest: newest.into_iter().map(|row| (row.layer_id, row)).collect(),
            connectors: connectors.into_iter().map(|row| (row.id, row.name)).collect(),
        })
    }

    /// The version `id` with its layer; `None`: there is no such version.
    fn part(&self, id: Uuid) -> Option<Part> {
        let version = self.versions.get(&id)?.clone();
        let layer = self.layers.get(&version.layer_id)?.clone();
        let newer = self.newest.get(&layer.id).filter(|newest| newest.id > id).cloned();
        let needs = version.prerequisites.iter().filter_map(|id| self.versions.get(id));
        let needs = needs.filter_map(|row| self.layers.get(&row.layer_id)).cloned().collect();
        Some(Part { version, layer, newer, needs })
    }
}

/// Sorted, so that equal questions are equal.
fn each_once(ids: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    ids.collect::<BTreeSet<_>>().into_iter().collect()
}

/// A template with all its parts.
#[derive(Clone, Debug)]
pub struct Template {
    /// As it is in the catalog.
    pub row: TemplateRow,
    /// The OS version.
    pub os: Part,
    /// App versions, the lowest priority first: a newer layer wins over an older one.
    pub apps: Vec<Part>,
    /// The platform version, above all of them.
    pub platform: Option<Part>,
    /// The name of its connector configuration.
    connector: Option<String>,
}

impl Template {
    /// Reads what a template is made of. A version that is not there is told at the field that names it.
    pub async fn read(tx: &mut Tx, row: TemplateRow) -> Result<Self> {
        let known = Known::of(tx, std::slice::from_ref(&row)).await?;
        Self::made(row, &known)
    }

    /// The same of many, with no more questions to the catalog than of one.
    pub async fn read_all(tx: &mut Tx, rows: Vec<TemplateRow>) -> Result<Vec<Self>> {
        let known = Known::of(tx, &rows).await?;
        rows.into_iter().map(|row| Self::made(row, &known)).collect()
    }

    fn made(row: TemplateRow, known: &Known) -> Result<Self> {
        let part = |id: Uuid, pointer: &str| {
            known.part(id).ok_or_else(|| Error::field(pointer, "There is no such version."))
        };
        let os = part(row.os_version_id, "/os_version_id")?;
        let apps = row.app_versions.iter().enumerate();
        let apps =
            apps.map(|(place, id)| part(*id, &format!("/app_version_ids/{place}"))).collect::<Result<_>>()?;
        let platform = row.platform_version_id.map(|id| part(id, "/platform_version_id")).transpose()?;
        let connector = row.connector_id.and_then(|id| known.connectors.get(&id).cloned());
        Ok(Self { row, os, apps, platform, connector }.in_order())
    }

    fn in_order(mut self) -> Self {
        self.apps.sort_by(|a, b| a.layer.age().cmp(&b.layer.age()));
        self
    }

    /// All parts, the lowest first.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.os).chain(&self.apps).chain(&self.platform)
    }

    /// Whether its parts go together: of the right kinds, of one OS layer, deployable, each app layer once, and with the layers
    /// that they need. What does not is
    /// told at its field.
    pub fn check(&self) -> Result<()> {
        let os_layer = self.os.layer.id;
        if let Some(why) = self.os.refused(LayerKind::Os, os_layer) {
            return Err(Error::field("/os_version_id", why));
        }
        for (place, id) in self.row.app_versions.iter().enumerate() {
            let pointer = format!("/app_version_ids/{place}");
            let Some(part) = self.apps.iter().find(|part| part.version.id == *id) else { continue };
            if let Some(why) = part.refused(LayerKind::App, os_layer) {
                return Err(Error::field(&pointer, why));
            }
            let is_there = |needed: &LayerRow| self.apps.iter().any(|part| part.layer.id == needed.id);
            if let Some(needed) = part.needs.iter().find(|needed| !is_there(needed)) {
                let text = format!(
                    "'{}' was made on top of the layer '{}': add a version of that to the template.",
                    part.name(),
                    needed.name
                );
                return Err(Error::field(&pointer, text));
            }
            let earlier = &self.row.app_versions[..place];
            let is_of_layer =
                |id: &Uuid| self.apps.iter().any(|p| p.version.id == *id && p.layer.id == part.layer.id);
            if earlier.iter().any(is_of_layer) {
                let text = format!(
                    "The layer '{}' is in the template already: choose one of its versions.",
                    part.layer.name
                );
                return Err(Error::field(&pointer, text));
            }
        }
        match self.platform.as_ref().and_then(|part| part.refused(LayerKind::Platform, os_layer)) {
            Some(why) => Err(Error::field("/platform_version_id", why)),
            None => Ok(()),
        }
    }

    /// What is known of it.
    pub fn facts(&self) -> TemplateFacts {
        TemplateFacts {
            name: self.row.name.clone(),
            obstacle: self.parts().find_map(Part::not_deployable),
            has_newer: self.parts().any(|part| part.newer.is_some()),
        }
    }

    /// The disk that it becomes. Refused unless all its parts are deployable. `stamp` is that of the server's tools, if it has any.
    pub fn composition(&self, stamp: Option<&str>) -> Result<Composition> {
        let layers: Vec<_> = self.parts().skip(1).map(|part| (&part.version, part.name())).collect();
        let disk = Composition::new(&self.os.version, &layers, self.row.disk_size)?;
        Ok(if self.row.generalize { disk.generalized(stamp.unwrap_or_default()) } else { disk })
    }

    /// With every part at its newest deployable version, and a disk that still has room for the OS version.
    pub fn updated(&self) -> TemplateRow {
        let newest = |part: &Part| part.newer.as_ref().unwrap_or(&part.version).id;
        let os = self.os.newer.as_ref().unwrap_or(&self.os.version);
        TemplateRow {
            os_version_id: os.id,
            app_versions: self.apps.iter().map(newest).collect(),
            platform_version_id: self.platform.as_ref().map(newest),
            disk_size: self.row.disk_size.max(os.virtual_bytes),
            ..self.row.clone()
        }
    }

    /// As people see it. `open` are the open tasks.
    pub fn view(self, open: &[TaskRow]) -> api::Template {
        let facts = self.facts();
        let publishes = |task: &&TaskRow| {
            task.kind == "publish_image"
                && task.input.get("template_id").and_then(|id| id.as_str()) == Some(&self.row.id.to_string())
        };
        let estimate = self.parts().map(|part| part.version.logical_bytes.unwrap_or(0)).sum();
        let gib = self.row.disk_size.div_ceil(GIB);
        api::Template {
            id: self.row.id,
            name: self.row.name.clone(),
            description: self.row.description.clone(),
            os: self.os.view(),
            apps: self.apps.iter().map(Part::view).collect(),
            platform: self.platform.as_ref().map(Part::view),
            connector_id: self.row.connector_id,
            connector_name: self.connector,
            disk: api::TemplateDisk {
                file_name: Some(self.row.disk_name.clone()).filter(|name| !name.is_empty()),
                format: Some(self.row.format.clone()),
                size_gib: Some(u32::try_from(gib).unwrap_or(u32::MAX)),
            },
            disk_bytes: self.row.disk_size,
            generalize: if self.row.generalize { "generalize" } else { "none" }.into(),
            state: facts.state(),
            has_newer: facts.has_newer,
            actions: view::shown("template", facts.actions()),
            obstacle: facts.obstacle,
            estimate_bytes: estimate,
            task_ids: open.iter().filter(publishes).map(|task| task.id).collect(),
            created_at: self.row.created_at,
            updated_at: self.row.updated_at,
        }
    }
}
