//! `shale image publish`: one image template, or several at once, each by a task of its own.
//!
//! ```text
//!   templates ── all names resolved ──▶ one request for each ──▶ tasks, waited for together ──▶ images
//!                  │ one is wrong            │ refused                │ failed, or did not boot
//!                  └ nothing is begun        └────────┬───────────────┘
//!                                            told with the template's name; the others go on
//! ```

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::layer::path_on_server;
use crate::resolve;
use crate::table::{Cell, Sheet};
use crate::terminal::{Terminal, View};
use crate::units;
use crate::wait::{Waiting, conclude, follow, follow_all};
use shale_api::{Image, ImageCreated, PublishImage, Task, Template};
use uuid::Uuid;

/// What `shale image publish` takes.
#[derive(Debug, clap::Args)]
pub struct Publish {
    /// The templates: names or ids
    #[arg(required = true, value_name = "TEMPLATE")]
    templates: Vec<String>,
    /// Publish to this connector configuration, where that takes images; each template's own when left out
    #[arg(long, value_name = "CONNECTOR")]
    connector: Option<String>,
    /// Do not publish to a connector: the image stays in the repository, to be downloaded
    #[arg(long, conflicts_with = "connector")]
    no_upload: bool,
    /// Write the disk to this folder, or to this file, on the server; of several templates to a folder
    #[arg(long, value_name = "PATH")]
    to: Option<String>,
    /// Start the image once on this server, wait until its SSH port or its login prompt answers, and report
    #[arg(long)]
    boot_and_check: bool,
    /// Where it is started: a connector configuration of the kind local; the only one when left out
    #[arg(long, value_name = "CONNECTOR", requires = "boot_and_check")]
    boot_on: Option<String>,
    /// Why; kept in the audit
    #[arg(long, default_value = "")]
    comment: String,
    #[command(flatten)]
    waiting: Waiting,
}

/// Publishes the templates. One is answered with an object, several with a list.
pub fn run(publish: Publish, client: &Client, terminal: &Terminal) -> Outcome {
    let templates = templates(client, &publish.templates)?;
    let request = request(&publish, client)?;
    match &templates[..] {
        [template] => one(template, request, publish.waiting, client, terminal),
        _ => several(&templates, &request, publish.waiting, client, terminal),
    }
}

/// The templates, each once. All names are looked up before anything is published.
fn templates(client: &Client, names: &[String]) -> Result<Vec<Template>, Failure> {
    let mut found: Vec<Template> = Vec::with_capacity(names.len());
    for name in names {
        let template = resolve::template(client, name)?;
        if found.iter().any(|other| other.id == template.id) {
            return Err(Failure::usage(format!("The image template '{}' is named twice.", template.name)));
        }
        found.push(template);
    }
    Ok(found)
}

/// What is asked of every template; each gets an image id of its own.
fn request(publish: &Publish, client: &Client) -> Result<PublishImage, Failure> {
    let connector_of = |name: &Option<String>| -> Result<Option<Uuid>, Failure> {
        name.as_deref().map(|text| Ok(resolve::connector(client, text)?.id)).transpose()
    };
    Ok(PublishImage {
        image_id: Uuid::now_v7(),
        path: publish.to.as_deref().map(|path| path_on_server(client, path)).transpose()?,
        boot_and_check: publish.boot_and_check,
        connector_id: connector_of(&publish.connector)?,
        upload: publish.no_upload.then_some(false),
        boot_connector_id: connector_of(&publish.boot_on)?,
        comment: publish.comment.clone(),
    })
}

fn begin(client: &Client, template: &Template, request: PublishImage) -> Result<ImageCreated, Failure> {
    client.create(&format!("/templates/{}/publish", template.id), &request)
}

fn one(
    template: &Template,
    request: PublishImage,
    waiting: Waiting,
    client: &Client,
    terminal: &Terminal,
) -> Outcome {
    let created = begin(client, template, request)?;
    let (task, exit) = follow(client, terminal, created.task, waiting)?;
    let created = ended(client, created.image, task);
    terminal.object(&created)?;
    let exit = conclude(client, terminal, &created.task, exit)?;
    // What was to be checked did not hold, though the image is there.
    Ok(if did_not_boot(&created.image).is_some() && exit == Exit::Ok { Exit::TaskFailed } else { exit })
}

fn several(
    templates: &[Template],
    request: &PublishImage,
    waiting: Waiting,
    client: &Client,
    terminal: &Terminal,
) -> Outcome {
    let mut begun = Vec::new();
    let mut failures = Vec::new();
    for (at, template) in templates.iter().enumerate() {
        match begin(client, template, PublishImage { image_id: Uuid::now_v7(), ..request.clone() }) {
            Ok(created) => begun.push((at, created)),
            Err(failure) => failures.push((at, failure)),
        }
    }
    let tasks =
        begun.iter().map(|(at, created)| (templates[*at].name.clone(), created.task.clone())).collect();
    let followed = follow_all(client, terminal, tasks, waiting)?;
    let mut exit = Exit::Ok;
    let mut images = Vec::with_capacity(begun.len());
    for ((at, created), (task, after)) in begun.into_iter().zip(followed) {
        let created = ended(client, created.image, task);
        match (conclude(client, terminal, &created.task, after), did_not_boot(&created.image)) {
            (Err(failure), _) => failures.push((at, failure)),
            (Ok(Exit::Ok), Some(text)) => failures.push((at, Failure::new(Exit::TaskFailed, text))),
            (Ok(other), _) if exit == Exit::Ok => exit = other,
            (Ok(_), _) => {}
        }
        images.push(created);
    }
    terminal.list(&images)?;
    tell(failures, templates).map_or(Ok(exit), Err)
}

/// Tells what went wrong with which template. The exit code is that of the first one, in the order they were named in.
fn tell(mut failures: Vec<(usize, Failure)>, templates: &[Template]) -> Option<Failure> {
    failures.sort_by_key(|(at, _)| *at);
    let exit = failures.first()?.1.exit;
    let mut names = Vec::with_capacity(failures.len());
    for (at, mut failure) in failures {
        let name = &templates[at].name;
        failure.text = format!("{name}: {}", failure.text);
        // When stderr is closed there is only the exit code left to tell.
        let _ = failure.print(&mut std::io::stderr().lock());
        names.push(format!("'{name}'"));
    }
    let text = format!(
        "{} of {} image templates did not become an image as asked: {}.",
        names.len(),
        templates.len(),
        names.join(", ")
    );
    Some(Failure::new(exit, text))
}

/// The image as it is now. After a failed or canceled task it is gone again: what was asked for is still shown.
fn ended(client: &Client, asked: Image, task: Task) -> ImageCreated {
    let image = client.get(&format!("/images/{}", asked.id)).unwrap_or(asked);
    ImageCreated { image, task }
}

/// What was seen of an image that was to be started and did not come up.
fn did_not_boot(image: &Image) -> Option<String> {
    image.report.boot.as_ref().filter(|boot| !boot.came_up).map(|boot| boot.text.clone())
}

impl View for ImageCreated {
    const COLUMNS: &'static [&'static str] =
        &["NAME", "TEMPLATE", "FORMAT", "DISK", "BOOTED", "TASK", "TASK ID"];

    fn id(&self) -> String {
        self.image.id()
    }

    fn name(&self) -> String {
        self.image.name()
    }

    fn row(&self) -> Vec<Cell> {
        let booted = self.image.report.boot.as_ref().map(|boot| if boot.came_up { "yes" } else { "no" });
        vec![
            self.image.name.clone().into(),
            self.image.template_name.clone().into(),
            self.image.format.clone().into(),
            units::bytes(self.image.disk_bytes).into(),
            booted.unwrap_or_default().into(),
            Cell::state(self.task.state.clone()),
            self.task.id.to_string().into(),
        ]
    }

    fn sheet(&self) -> Sheet {
        self.image.sheet().with("Task", format!("{} ({})", self.task.state, self.task.id))
    }
}
