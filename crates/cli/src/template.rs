//! `shale template`.

use crate::client::{Client, with_query};
use crate::failure::{Exit, Failure, Outcome};
use crate::resolve::{self, version_of};
use crate::table::{Cell, Sheet, Table};
use crate::terminal::{Terminal, View, actions, word};
use crate::units;
use clap::Subcommand;
use serde_json::Value;
use shale_api::{
    CloneTemplate, Comment, EditTemplate, LayerKind, NewTemplate, Plan, Template, TemplateDisk, TemplatePart,
};
use uuid::Uuid;

/// The verbs of `shale template`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the image templates
    List,
    /// Show an image template and what can be done with it now
    Show {
        /// Name or id
        template: String,
    },
    /// Make an image template
    Create {
        /// Its name; images are named after it
        name: String,
        /// OS version, as LAYER (its newest deployable one), LAYER/VERSION or a version's id
        #[arg(long, value_name = "LAYER[/VERSION]")]
        os: String,
        /// App version, said likewise; once for each
        #[arg(long, value_name = "LAYER[/VERSION]")]
        app: Vec<String>,
        /// Platform version, said likewise
        #[arg(long, value_name = "LAYER[/VERSION]")]
        platform: Option<String>,
        /// Connector configuration where its images are meant to run: name or id
        #[arg(long, value_name = "CONNECTOR")]
        connector: Option<String>,
        #[command(flatten)]
        disk: Disk,
        /// Take out what makes a machine itself: its id, its keys (Windows: by Sysprep)
        #[arg(long)]
        generalize: bool,
        /// Its description
        #[arg(long, default_value = "")]
        description: String,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Change an image template
    Edit(Box<Edit>),
    /// Make an image template like another one
    Clone {
        /// Name or id
        template: String,
        /// The new one's name
        name: String,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Move every part of an image template to its newest version
    Update {
        /// Name or id
        template: String,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Tell what publishing an image template would come to: which layer wins at every path, conflicts, sizes
    Plan {
        /// Name or id
        template: String,
        /// Only paths with this in them, in whatever case
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// How many paths, at most
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Delete an image template; images that were published of it stay
    Delete {
        /// Name or id
        template: String,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
}

/// The disk of a layered image.
#[derive(Debug, Default, clap::Args)]
pub struct Disk {
    /// What its file is called, without extension; the image's name when left out
    #[arg(long = "disk", value_name = "FILENAME")]
    file_name: Option<String>,
    /// raw, vhd, vhd-fixed, vhdx, vmdk, vmdk-stream, qcow2, qcow2-compressed; qcow2 when left out
    #[arg(long)]
    format: Option<String>,
    /// Its size in GiB, thin; 100, or the OS version's size when that is larger
    #[arg(long, value_name = "GIB")]
    size: Option<u32>,
}

/// What `shale template edit` takes.
#[derive(Debug, clap::Args)]
pub struct Edit {
    /// Name or id
    template: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// New description
    #[arg(long)]
    description: Option<String>,
    /// Another OS version, as LAYER (its newest deployable one), LAYER/VERSION or a version's id
    #[arg(long, value_name = "LAYER[/VERSION]")]
    os: Option<String>,
    /// App version that it has then: once for each, all that are left out go
    #[arg(long, value_name = "LAYER[/VERSION]", conflicts_with = "no_apps")]
    app: Vec<String>,
    /// No app versions
    #[arg(long)]
    no_apps: bool,
    /// Another platform version, said likewise
    #[arg(long, value_name = "LAYER[/VERSION]", conflicts_with = "no_platform")]
    platform: Option<String>,
    /// No platform version
    #[arg(long)]
    no_platform: bool,
    /// Another connector configuration: name or id
    #[arg(long, value_name = "CONNECTOR", conflicts_with = "no_connector")]
    connector: Option<String>,
    /// No connector configuration
    #[arg(long)]
    no_connector: bool,
    #[command(flatten)]
    disk: Disk,
    /// Whether what makes a machine itself is taken out (Windows: by Sysprep): none, generalize
    #[arg(long)]
    generalize: Option<String>,
    /// Why; kept in the audit
    #[arg(long, default_value = "")]
    comment: String,
}

/// Carries out a verb.
pub fn run(verb: Verb, client: &Client, terminal: &Terminal) -> Outcome {
    match verb {
        Verb::List => terminal.list::<Template>(&client.list("/templates", &[], None)?)?,
        Verb::Show { template } => terminal.object(&resolve::template(client, &template)?)?,
        Verb::Create { name, os, app, platform, connector, disk, generalize, description, comment } => {
            let request = NewTemplate {
                id: Uuid::now_v7(),
                name,
                description,
                os_version_id: version_of(client, &os, LayerKind::Os)?.id,
                app_version_ids: resolve::apps(client, &app)?,
                platform_version_id: resolve::wanted(client, platform.as_deref(), LayerKind::Platform)?,
                connector_id: connector
                    .map(|text| resolve::connector(client, &text).map(|found| found.id))
                    .transpose()?,
                disk: disk.whole(),
                generalize: generalize.then(|| "generalize".to_owned()),
                comment,
            };
            terminal.object::<Template>(&client.create("/templates", &request)?)?;
        }
        Verb::Edit(edit) => run_edit(*edit, client, terminal)?,
        Verb::Clone { template, name, comment } => {
            let of = resolve::template(client, &template)?.id;
            let request = CloneTemplate { id: Uuid::now_v7(), name, comment };
            terminal.object::<Template>(&client.create(&format!("/templates/{of}/clone"), &request)?)?;
        }
        Verb::Update { template, comment } => {
            let id = resolve::template(client, &template)?.id;
            let comment = Comment { comment };
            terminal.object::<Template>(&client.post(&format!("/templates/{id}/update"), &comment)?)?;
        }
        Verb::Plan { template, search, limit } => {
            let id = resolve::template(client, &template)?.id;
            let limit = limit.to_string();
            let mut query = vec![("limit", limit.as_str())];
            query.extend(search.as_deref().map(|text| ("search", text)));
            let plan: Plan = client.get(&with_query(&format!("/templates/{id}/plan"), &query))?;
            terminal.object(&plan)?;
        }
        Verb::Delete { template, comment } => {
            let template = resolve::template(client, &template)?;
            let _: Value = client.delete(&format!("/templates/{}", template.id), &Comment { comment })?;
            terminal.note(&format!("The image template '{}' is deleted.", template.name));
        }
    }
    Ok(Exit::Ok)
}

impl Disk {
    fn whole(self) -> TemplateDisk {
        TemplateDisk { file_name: self.file_name, format: self.format, size_gib: self.size }
    }

    /// A disk as it is but for what was said; none when nothing was.
    fn over(self, is: &TemplateDisk) -> Option<TemplateDisk> {
        let said = self.whole();
        (said != TemplateDisk::default()).then(|| TemplateDisk {
            file_name: said.file_name.or_else(|| is.file_name.clone()),
            format: said.format.or_else(|| is.format.clone()),
            size_gib: said.size_gib.or(is.size_gib),
        })
    }
}

fn run_edit(edit: Edit, client: &Client, terminal: &Terminal) -> Result<(), Failure> {
    let template = resolve::template(client, &edit.template)?;
    let apps = resolve::apps(client, &edit.app)?;
    let platform = resolve::wanted(client, edit.platform.as_deref(), LayerKind::Platform)?;
    let connector = edit.connector.map(|text| resolve::connector(client, &text)).transpose()?;
    let request = EditTemplate {
        name: edit.name,
        description: edit.description,
        os_version_id: resolve::wanted(client, edit.os.as_deref(), LayerKind::Os)?,
        app_version_ids: (edit.no_apps || !apps.is_empty()).then_some(apps),
        platform_version_id: (edit.no_platform || platform.is_some()).then_some(platform),
        connector_id: (edit.no_connector || connector.is_some())
            .then_some(connector.map(|connector| connector.id)),
        disk: edit.disk.over(&template.disk),
        generalize: edit.generalize,
        comment: edit.comment,
    };
    terminal.object::<Template>(&client.patch(&format!("/templates/{}", template.id), &request)?)
}

fn part(part: &TemplatePart) -> String {
    let newer = part.newer.as_ref().map(|newer| format!(" (newer: {})", newer.version_name));
    format!("{} / {}{}", part.layer_name, part.version_name, newer.unwrap_or_default())
}

impl View for Template {
    const COLUMNS: &'static [&'static str] =
        &["NAME", "STATE", "OS", "APPS", "PLATFORM", "NEWER", "DESCRIPTION"];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            self.name.clone().into(),
            Cell::state(word(&self.state)),
            format!("{} / {}", self.os.layer_name, self.os.version_name).into(),
            self.apps.len().to_string().into(),
            self.platform.as_ref().map(|part| part.layer_name.clone()).unwrap_or_default().into(),
            if self.has_newer { "yes" } else { "" }.to_owned().into(),
            self.description.clone().into(),
        ]
    }

    fn sheet(&self) -> Sheet {
        let apps: Vec<String> = self.apps.iter().map(part).collect();
        Sheet::default()
            .with("Image template", self.name.clone())
            .with("Id", self.id.to_string())
            .with("State", Cell::state(word(&self.state)))
            .maybe("Why not", self.obstacle.clone())
            .with("Description", self.description.clone())
            .with("OS", part(&self.os))
            .with("Apps", apps.join(", "))
            .maybe("Platform", self.platform.as_ref().map(part))
            .maybe("Connector", self.connector_name.clone())
            .maybe("Disk file", self.disk.file_name.clone())
            .maybe("Format", self.disk.format.clone())
            .with("Disk", units::bytes(self.disk_bytes))
            .with("Generalize", self.generalize.clone())
            .with("Estimate", units::bytes(self.estimate_bytes))
            .with("Changed", units::time(&self.updated_at))
            .part("What can be done", actions(&self.actions))
    }
}

impl View for Plan {
    const COLUMNS: &'static [&'static str] = &["COMPOSITION", "PATHS", "CONFLICTS"];

    fn id(&self) -> String {
        self.composition_id.to_string()
    }

    fn name(&self) -> String {
        self.id()
    }

    fn row(&self) -> Vec<Cell> {
        vec![self.id().into(), self.path_count.to_string().into(), self.conflict_count.to_string().into()]
    }

    fn sheet(&self) -> Sheet {
        let mut layers = Table::new(&["LAYER", "PATHS", "WINS", "BRINGS", "WRITTEN"]);
        for layer in &self.layers {
            layers.row(vec![
                layer.name.clone().into(),
                layer.entries.to_string().into(),
                layer.wins.to_string().into(),
                units::bytes(layer.bytes).into(),
                units::bytes(layer.written_bytes).into(),
            ]);
        }
        let mut notes = Table::new(&["KIND", "TEXT"]);
        for conflict in &self.conflicts {
            notes.row(vec!["conflict".to_owned().into(), conflict.text.clone().into()]);
        }
        for warning in &self.warnings {
            notes.row(vec!["warning".to_owned().into(), warning.text.clone().into()]);
        }
        let mut paths = Table::new(&["PATH", "ACTION", "LAYERS", "SIZE"]);
        for line in &self.paths.items {
            let names = line.layers.iter().filter_map(|at| self.layers.get(*at));
            let names: Vec<&str> = names.map(|layer| layer.name.as_str()).collect();
            paths.row(vec![
                line.path.clone().into(),
                line.action.clone().into(),
                names.join(", ").into(),
                units::bytes(line.bytes).into(),
            ]);
        }
        let known = if self.is_composed { "yes: publishing uses it again" } else { "no" };
        Sheet::default()
            .with("Paths", self.path_count.to_string())
            .with("Conflicts", self.conflict_count.to_string())
            .with("Put together before", known.to_owned())
            .part("Layers", layers)
            .part("What to know", notes)
            .part("Paths", paths)
    }
}
