//! `shale image`.

use crate::client::Client;
use crate::download;
use crate::failure::{Exit, Outcome};
use crate::layer::path_on_server;
use crate::resolve;
use crate::table::{Cell, Sheet};
use crate::terminal::{Terminal, View, actions, word};
use crate::units;
use crate::wait::{Waiting, conclude, follow};
use clap::Subcommand;
use serde_json::Value;
use shale_api::{Comment, Image, ImageCreated, PublishImage};
use uuid::Uuid;

/// The verbs of `shale image`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the layered images, newest first
    List {
        /// Only those of this template: name or id
        #[arg(long)]
        template: Option<String>,
    },
    /// Show a layered image and what can be done with it now
    Show {
        /// Name or id
        image: String,
    },
    /// Publish an image template: its versions become one bootable disk
    Publish {
        /// The template's name or id
        template: String,
        /// Write it to this folder, or to this file, on the server
        #[arg(long, value_name = "PATH")]
        to: Option<String>,
        /// Start it once, wait until its guest is up, and report
        #[arg(long)]
        boot_and_check: bool,
        /// Where it is started: a connector configuration of the kind local; the template's when left out
        #[arg(long, value_name = "CONNECTOR", requires = "boot_and_check")]
        connector: Option<String>,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Download a layered image
    Download {
        /// Name or id
        image: String,
        /// To this file, or to stdout with `-`
        #[arg(short = 'O', long = "download", value_name = "FILE")]
        file: String,
        /// raw, vhd, vhd-fixed, vhdx, vmdk, vmdk-stream, qcow2, qcow2-compressed; the image's own when left out
        #[arg(long)]
        format: Option<String>,
        /// Replace a file that exists
        #[arg(long)]
        overwrite: bool,
    },
    /// Delete a layered image; a file that it was written to stays
    Delete {
        /// Name or id
        image: String,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
}

/// Carries out a verb.
pub fn run(verb: Verb, client: &Client, terminal: &Terminal) -> Outcome {
    match verb {
        Verb::List { template } => {
            let template = template.map(|text| resolve::template(client, &text)).transpose()?;
            let id = template.map(|template| template.id.to_string());
            let query: Vec<(&str, &str)> = id.iter().map(|id| ("template_id", id.as_str())).collect();
            terminal.list::<Image>(&client.list("/images", &query, None)?)?;
        }
        Verb::Show { image } => terminal.object(&resolve::image(client, &image)?)?,
        Verb::Publish { template, to, boot_and_check, connector, comment, waiting } => {
            let id = resolve::template(client, &template)?.id;
            let connector = connector.map(|text| resolve::connector(client, &text)).transpose()?;
            let request = PublishImage {
                image_id: Uuid::now_v7(),
                path: to.map(|path| path_on_server(client, &path)).transpose()?,
                boot_and_check,
                connector_id: connector.map(|connector| connector.id),
                comment,
            };
            return publish(id, &request, client, terminal, waiting);
        }
        Verb::Download { image, file, format, overwrite } => {
            let image = resolve::image(client, &image)?;
            let path = format!("/images/{}/disk", image.id);
            let format = format.unwrap_or(image.format);
            return download::disk(client, terminal, &path, &format, &file, overwrite);
        }
        Verb::Delete { image, comment } => {
            let image = resolve::image(client, &image)?;
            let _: Value = client.delete(&format!("/images/{}", image.id), &Comment { comment })?;
            terminal.note(&format!("The layered image '{}' is deleted.", image.name));
        }
    }
    Ok(Exit::Ok)
}

fn publish(
    template: Uuid,
    request: &PublishImage,
    client: &Client,
    terminal: &Terminal,
    waiting: Waiting,
) -> Outcome {
    let created: ImageCreated = client.create(&format!("/templates/{template}/publish"), request)?;
    let (task, exit) = follow(client, terminal, created.task, waiting)?;
    // After a failed or canceled task the image is gone again: what was asked for is still shown.
    let image: Image = client.get(&format!("/images/{}", created.image.id)).unwrap_or(created.image);
    let is_down = image.report.boot.as_ref().is_some_and(|boot| !boot.came_up);
    let created = ImageCreated { image, task };
    terminal.answer(&created, &created.image, |created| {
        created.image.sheet().with("Task", format!("{} ({})", created.task.state, created.task.id))
    })?;
    let exit = conclude(client, terminal, &created.task, exit)?;
    // What was to be checked did not hold, though the image is there.
    Ok(if is_down && exit == Exit::Ok { Exit::TaskFailed } else { exit })
}

impl View for Image {
    const COLUMNS: &'static [&'static str] = &["NAME", "STATE", "FORMAT", "DISK", "BOOTED", "MADE", "FILE"];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn row(&self) -> Vec<Cell> {
        let booted = self.report.boot.as_ref().map(|boot| if boot.came_up { "yes" } else { "no" });
        vec![
            self.name.clone().into(),
            Cell::state(word(&self.state)),
            self.format.clone().into(),
            units::bytes(self.disk_bytes).into(),
            booted.unwrap_or_default().to_owned().into(),
            units::time(&self.created_at).into(),
            self.path.clone().unwrap_or_default().into(),
        ]
    }

    fn sheet(&self) -> Sheet {
        let parts: Vec<&str> = self.parts.iter().map(|part| part.name.as_str()).collect();
        let boot = self.report.boot.as_ref();
        Sheet::default()
            .with("Layered image", self.name.clone())
            .with("Id", self.id.to_string())
            .with("Template", self.template_name.clone())
            .with("State", Cell::state(word(&self.state)))
            .with("Made of", parts.join(", "))
            .with("Format", self.format.clone())
            .with("Disk", units::bytes(self.disk_bytes))
            .with("Firmware", self.firmware.clone())
            .maybe("File", self.path.clone())
            .with("Report", self.report.note.clone())
            .maybe("Conflicts", Some(self.report.conflicts.join("\n")).filter(|text| !text.is_empty()))
            .maybe("Warnings", Some(self.report.warnings.join("\n")).filter(|text| !text.is_empty()))
            .maybe("Boot", boot.map(|boot| format!("{} ({} s)", boot.text, boot.seconds)))
            .with("Made", units::time(&self.created_at))
            .part("What can be done", actions(&self.actions))
    }
}
