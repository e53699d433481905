//! Files for a machine: a CD is made of them and put into its drive.
//!
//! ```text
//!   tools ────┐
//!   uploads ──┼─▶ cds/<version>/cd.iso ─▶ connector ─▶ the machine's drive
//!   old CD ───┘   cds/<version>/files.json    what of people's is on it, and where
//! ```
//!
//! Files that are on the CD already are taken from it, so that adding one does not mean to send the others again.

use super::uploads::usable;
use super::{Actor, audit, permitted};
use crate::app::App;
use crate::catalog::{ConnectorRow, UploadRow, VersionRow};
use crate::cd::{self, Source};
use crate::error::{Error, Result};
use crate::kit;
use crate::place::write_secret;
use crate::tools::Tools;
use crate::view::Scene;
use serde::{Deserialize, Serialize};
use shale_api::{Machine, MachineFile, MachineFiles};
use shale_connector::{Connector, Tag};
use shale_disk::Watch;
use shale_model::{MachineFacts, Power};
use std::collections::HashSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use uuid::Uuid;

/// A file on a CD, as `files.json` has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct OnCd {
    id: Uuid,
    name: String,
    size: u64,
    /// Where it begins.
    offset: u64,
}

/// What is on a machine's CD.
pub fn machine_files(app: &App, id: Uuid) -> Result<Vec<MachineFile>> {
    let shown = |file: OnCd| MachineFile { id: file.id, name: file.name, size: file.size };
    Ok(read(&app.world.place.cd(id))?.into_iter().map(shown).collect())
}

fn read(folder: &Path) -> Result<Vec<OnCd>> {
    let path = folder.join("files.json");
    let bytes = match fs::read(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => {
            other.map_err(|e| Error::unavailable(format!("{} cannot be read", path.display())).because(e))?
        }
    };
    serde_json::from_slice(&bytes)
        .map_err(|e| Error::unavailable(format!("{} cannot be understood", path.display())).because(e))
}

/// Gives a machine files in place of those that it has.
pub async fn put_machine_files(app: &App, actor: &Actor, id: Uuid, wanted: MachineFiles) -> Result<Machine> {
    // One CD at a time: each is written to the disk whole.
    let _alone = app.cds.lock().await;
    let mut tx = app.world.catalog.read().await?;
    let version = VersionRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("machine", id))?;
    let (Some(name), Some(connector)) = (version.machine_name.clone(), version.connector_id) else {
        return Err(Error::not_found("machine", id));
    };
    let facts =
        MachineFacts { name: name.clone(), power: Power::Unknown, version: version.state, no_cd: None };
    permitted(&facts.actions(), "attach_files")?;
    let row = ConnectorRow::get(&mut tx, connector).await?;
    let row = row.ok_or_else(|| Error::not_found("connector configuration", connector))?;
    let folder = app.world.place.cd(id);
    let known = read(&folder)?;
    let mut files = Vec::new();
    for &file in &wanted.upload_ids {
        files.push(match known.iter().find(|known| known.id == file) {
            Some(known) => (
                file,
                Source {
                    name: known.name.clone(),
                    path: folder.join("cd.iso"),
                    offset: known.offset,
                    size: known.size,
                },
            ),
            None => {
                let path = usable(app, &mut tx, file, "/upload_ids").await?;
                let row =
                    UploadRow::get(&mut tx, file).await?.ok_or_else(|| Error::not_found("upload", file))?;
                (file, Source { name: row.name, path, offset: 0, size: row.size })
            }
        });
    }
    drop(tx);
    told_apart(&files)?;
    let world = app.world.clone();
    let given = tokio::task::spawn_blocking(move || {
        let connector = world.connector(&row)?;
        let tag = Tag::parse(&id.to_string()).map_err(refused)?;
        let go_on = |_| ControlFlow::Continue(());
        give(connector.as_ref(), &tag, &folder, &files, &world.tools, &go_on)
    });
    given.await.map_err(|e| Error::internal("making a CD failed").because(e))??;
    used_up(app, actor, &version, &name, &wanted).await
}

/// The uploads have served their purpose.
async fn used_up(
    app: &App,
    actor: &Actor,
    version: &VersionRow,
    name: &str,
    wanted: &MachineFiles,
) -> Result<Machine> {
    let mut tx = app.world.catalog.begin().await?;
    for &upload in &wanted.upload_ids {
        UploadRow::delete(&mut tx, upload).await?;
    }
    audit(&mut tx, actor, "attach_files", ("version", version.id, name), &wanted.comment).await?;
    tx.commit().await?;
    for &upload in &wanted.upload_ids {
        let _ = fs::remove_file(app.world.place.upload(upload));
        app.feed.publish("upload", upload, true);
    }
    app.feed.publish("machine", version.id, false);
    let mut tx = app.world.catalog.read().await?;
    let machine = Scene::read(&mut tx).await?.machine(app, &mut tx, version).await?;
    machine.ok_or_else(|| Error::not_found("machine", version.id))
}

/// Refuses files that a guest, which may not tell small letters from large ones, would take for one.
fn told_apart(files: &[(Uuid, Source)]) -> Result<()> {
    if files.len() + 2 > cd::MOST {
        return Err(Error::field("/upload_ids", format!("A CD takes at most {} files.", cd::MOST - 2)));
    }
    if let Some((_, file)) = files.iter().find(|(_, file)| Tools::has(&file.name)) {
        let text = format!("'{}' is on the CD already: leave it out.", file.name);
        return Err(Error::field("/upload_ids", text));
    }
    let mut seen = HashSet::new();
    match files.iter().find(|(_, file)| !seen.insert(file.name.to_lowercase())) {
        None => Ok(()),
        Some((_, file)) => {
            let text = format!("Two files are named '{}': rename one, or leave it out.", file.name);
            Err(Error::field("/upload_ids", text))
        }
    }
}

fn refused(e: shale_connector::Error) -> Error {
    match e.kind() {
        shale_connector::ErrorKind::Unsupported => {
            Error::unsupported("The machine cannot have a CD.").because(e)
        }
        _ => Error::unavailable("The machine did not take the CD.").because(e),
    }
}

/// Gives a machine that was just made the CD with the tools. Answers what a person should know, where it cannot have one.
pub fn give_tools(
    connector: &dyn Connector,
    tag: &Tag,
    folder: &Path,
    tools: &Tools,
    watch: Watch,
) -> Result<Option<String>> {
    // A CD that is there has the tools, and maybe what somebody attached since.
    if tools.folder().is_none() || folder.join("files.json").exists() {
        return Ok(None);
    }
    match give(connector, tag, folder, &[], tools, watch) {
        Err(e) if e.code == shale_api::Code::Unsupported => {
            let _ = fs::remove_dir_all(folder);
            Ok(Some("The platform has no CD for it: copy Shutdown For Finalize into the machine.".to_owned()))
        }
        other => other.map(|()| None),
    }
}

/// Gives a machine that was just made the CD with the tools, and with the script and files in the folder `kit` beside the folder of the
/// CD.
pub fn give_kit(
    connector: &dyn Connector,
    tag: &Tag,
    (folder, kit): (&Path, &Path),
    tools: &Tools,
    watch: Watch,
) -> Result<()> {
    if folder.join("files.json").exists() {
        return Ok(());
    }
    let files: Vec<_> = kit::sources(kit)?.into_iter().map(|file| (Uuid::now_v7(), file)).collect();
    give(connector, tag, folder, &files, tools, watch)
}

/// Makes the CD and has the connector put it in. What was there stays when that fails.
fn give(
    connector: &dyn Connector,
    tag: &Tag,
    folder: &Path,
    files: &[(Uuid, Source)],
    tools: &Tools,
    watch: Watch,
) -> Result<()> {
    let tools = tools.on_cd();
    if files.is_empty() && tools.is_empty() {
        connector.set_cd(tag, None, watch).map_err(refused)?;
        let _ = fs::remove_dir_all(folder);
        return Ok(());
    }
    let cannot = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::StorageFull => {
            Error::unavailable("The server's disk is full: make room, then try again.")
                .with_status(507)
                .because(e)
        }
        _ => Error::unavailable(format!("A CD cannot be made in {}.", folder.display())).because(e),
    };
    fs::create_dir_all(folder).map_err(cannot)?;
    let new = folder.join("cd.iso.new");
    let sources: Vec<&Source> = files.iter().map(|(_, source)| source).chain(&tools).collect();
    let put_in = cd::write(&new, &sources)
        .map_err(cannot)
        .and_then(|offsets| connector.set_cd(tag, Some(&new), watch).map_err(refused).map(|()| offsets));
    let offsets = put_in.inspect_err(|_| drop(fs::remove_file(&new)))?;
    fs::rename(&new, folder.join("cd.iso")).map_err(cannot)?;
    let on_cd = files.iter().zip(offsets).map(|((id, source), offset)| OnCd {
        id: *id,
        name: source.name.clone(),
        size: source.size,
        offset,
    });
    let list = serde_json::to_vec(&on_cd.collect::<Vec<_>>());
    let list = list.map_err(|e| Error::internal("what is on a CD cannot be written").because(e))?;
    write_secret(&folder.join("files.json"), &list)
}
