//! `shale image`.

use crate::client::Client;
use crate::download;
use crate::failure::{Exit, Outcome};
use crate::publish::{self, Publish};
use crate::resolve;
use crate::table::{Cell, Sheet};
use crate::terminal::{Terminal, View, actions, word};
use crate::units;
use clap::Subcommand;
use serde_json::Value;
use shale_api::{DeleteImage, Image};

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
    /// Publish image templates: the versions of each become one bootable disk
    Publish(Publish),
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
    /// Delete a layered image, on its platform, too; a file that it was written to stays
    Delete {
        /// Name or id
        image: String,
        /// Leave its machine on the platform that it was published to
        #[arg(long)]
        keep_machine: bool,
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
        Verb::Publish(publish) => return publish::run(publish, client, terminal),
        Verb::Download { image, file, format, overwrite } => {
            let image = resolve::image(client, &image)?;
            let path = format!("/images/{}/disk", image.id);
            let format = format.unwrap_or(image.format);
            return download::disk(client, terminal, &path, &format, &file, overwrite);
        }
        Verb::Delete { image, keep_machine, comment } => {
            let image = resolve::image(client, &image)?;
            let _: Value =
                client.delete(&format!("/images/{}", image.id), &DeleteImage { keep_machine, comment })?;
            terminal.note(&format!("The layered image '{}' is deleted.", image.name));
        }
    }
    Ok(Exit::Ok)
}

/// Where it is besides the repository.
fn places(image: &Image) -> String {
    let platform = image.report.platform.as_ref().map(|at| at.connector_name.clone());
    platform.into_iter().chain(image.path.clone()).collect::<Vec<_>>().join(", ")
}

impl View for Image {
    const COLUMNS: &'static [&'static str] = &["NAME", "STATE", "FORMAT", "DISK", "BOOTED", "MADE", "WHERE"];

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
            places(self).into(),
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
            .maybe(
                "Platform",
                self.report.platform.as_ref().map(|at| format!("{}: {}", at.connector_name, at.place)),
            )
            .maybe("Sent", self.report.platform.as_ref().map(|at| at.text.clone()))
            .with("Report", self.report.note.clone())
            .maybe("Conflicts", Some(self.report.conflicts.join("\n")).filter(|text| !text.is_empty()))
            .maybe("Warnings", Some(self.report.warnings.join("\n")).filter(|text| !text.is_empty()))
            .maybe("Boot", boot.map(|boot| format!("{} ({} s)", boot.text, boot.seconds)))
            .with("Made", units::time(&self.created_at))
            .part("What can be done", actions(&self.actions))
    }
}
