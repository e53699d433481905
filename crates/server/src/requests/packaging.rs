//! What a packaging machine is made from: checked, ordered, and written down for the task.
//!
//! ```text
//!   making a version of     the machine has                                  is compared with
//!   OS layer                base version (+ platform layer)                  base version
//!   platform layer          OS version + its own base version                OS version
//!   app layer               OS version + prerequisites + its own base        OS version + prerequisites
//!                           version (+ platform layer)                       (+ platform layer)
//! ```
//!
//! App layers lie in the order in which they were created, the newest on top; the platform layer is above all of them.

use super::rule;
use crate::app::App;
use crate::catalog::{ConnectorRow, LayerRow, Tx, VersionRow, now};
use crate::composition::{Composition, Part};
use crate::error::{Error, Result};
use crate::jobs::{AddVersionInput, Makes};
use shale_api::{LayerKind, PackagingDisk, VersionState};
use shale_model::{Civil, MachineName};
use shale_volume::exclude::Family;
use uuid::Uuid;

/// A version that is to be made in a packaging machine.
pub(super) struct Wanted<'a> {
    /// The JSON pointer of the fields below in the request.
    pub at: &'static str,
    /// The layer it will belong to.
    pub layer: &'a LayerRow,
    /// Whether the layer is made by the same request.
    pub new_layer: bool,
    /// Id, name, description.
    pub version: (Uuid, &'a str, &'a str),
    /// The layer's version that it is made from.
    pub base: Option<&'a VersionRow>,
    /// The OS version that the machine runs (platform and app layers).
    pub os_version_id: Option<Uuid>,
    /// The platform layer's version that the machine has besides.
    pub platform_version_id: Option<Uuid>,
    /// Versions of app layers that the machine has besides.
    pub prerequisites: &'a [Uuid],
    /// Where the machine runs.
    pub connector_id: Uuid,
    /// Max layer size.
    pub gib: Option<u32>,
    /// The packaging disk.
    pub disk: &'a PackagingDisk,
    /// Of which systems the script is that does the work, if one does.
    pub script: Option<Family>,
    /// The stamp of the tools that are put into its system, if there are any.
    pub tools: Option<String>,
}

/// A version and its layer.
struct Member {
    version: VersionRow,
    layer: LayerRow,
}

impl Member {
    fn name(&self) -> String {
        self.version.name_in(&self.layer)
    }
}

/// What a machine is made of.
struct Parts {
    /// Below all.
    os: VersionRow,
    /// Above it, the lowest first; not the layer itself.
    apps: Vec<Member>,
    /// On top.
    platform: Option<Member>,
}

impl Wanted<'_> {
    fn field(&self, name: &str, why: impl std::fmt::Display) -> Error {
        Error::field(&format!("{}/{name}", self.at), why)
    }

    /// The row of the version, and what its task must know.
    pub(super) async fn prepared(&self, tx: &mut Tx) -> Result<(VersionRow, AddVersionInput)> {
        let connector = ConnectorRow::get(tx, self.connector_id)
            .await?
            .ok_or_else(|| self.field("connector_id", "There is no such connector configuration."))?;
        rule(
            &format!("{}/packaging_disk/file_name", self.at),
            shale_model::packaging_disk_file_name(&self.disk.file_name),
        )?;
        self.format(&connector)?;
        let parts = self.parts(tx).await?;
        let size = shale_model::layer_size(self.gib, parts.os.virtual_bytes)
            .map_err(|invalid| self.field("max_layer_size_gib", invalid))?
            .next_multiple_of(shale_connector::disk_unit(&connector.kind));
        let version = self.row(&parts, size);
        let mut input = AddVersionInput {
            version_id: version.id,
            base_version_id: parts.os.id,
            connector_id: connector.id,
            machine_name: version.machine_name.clone().unwrap_or_default(),
            disk_size: size,
            firmware: version.starts_by(),
            compositions: Vec::new(),
            makes: Makes::Disk,
            new_layer: self.new_layer.then_some(self.layer.id),
            unattended: None,
        };
        self.compose(&parts, &mut input)?;
        Ok((version, input))
    }

    /// The format of the packaging disk: what the connector takes.
    fn format(&self, connector: &ConnectorRow) -> Result<()> {
        let formats: &[&str] = match connector.kind.as_str() {
            "local" => &["qcow2"],
            _ => &["vhd", "raw"],
        };
        match self.disk.format.as_deref() {
            Some(format) if !formats.contains(&format) => {
                let text = format!(
                    "The connector '{}' takes packaging disks in the format {}, not {format}.",
                    connector.name,
                    formats.join(" or ")
                );
                Err(self.field("packaging_disk/format", text))
            }
            _ => Ok(()),
        }
    }

    async fn parts(&self, tx: &mut Tx) -> Result<Parts> {
        let os = match (self.layer.kind, self.base) {
            (LayerKind::Os, Some(base)) => {
                if self.os_version_id.is_some() {
                    return Err(self.field("os_version_id", "An OS layer's base version is its OS version."));
                }
                base.clone()
            }
            _ => self.os(tx).await?,
        };
        let apps = self.apps(tx).await?;
        let platform = match self.platform_version_id {
            None => None,
            Some(_) if self.layer.kind == LayerKind::Platform => {
                let text = "A platform layer is made without another platform layer: leave it out.";
                return Err(self.field("platform_version_id", text));
            }
            Some(id) => Some(self.member(tx, id, LayerKind::Platform, "platform_version_id").await?),
        };
        Ok(Parts { os, apps, platform })
    }

    /// The OS layer that all parts belong to.
    fn os_layer(&self) -> Uuid {
        self.layer.os_layer_id.unwrap_or(self.layer.id)
    }

    async fn os(&self, tx: &mut Tx) -> Result<VersionRow> {
        let wanted = match self.os_version_id {
            Some(id) => Some(id),
            None => {
                let marks = VersionRow::marks(tx, self.os_layer()).await?;
                shale_model::default_base(marks.iter().map(|mark| (mark.id, mark.state)))
            }
        };
        let Some(id) = wanted else {
            return Err(self.field("os_version_id", "The OS layer has no deployable version."));
        };
        let os = self.member(tx, id, LayerKind::Os, "os_version_id").await?;
        Ok(os.version)
    }

    /// The version `id`, which must be a deployable one of a layer of this kind and of the same OS layer.
    async fn member(&self, tx: &mut Tx, id: Uuid, kind: LayerKind, field: &str) -> Result<Member> {
        let no_such =
            || self.field(field, format!("There is no version {id} of a layer of the kind {kind}."));
        let version = VersionRow::get(tx, id).await?.ok_or_else(no_such)?;
        let layer = LayerRow::get(tx, version.layer_id).await?.ok_or_else(no_such)?;
        if layer.kind != kind {
            return Err(no_such());
        }
        let member = Member { version, layer };
        if member.layer.os_layer_id.unwrap_or(member.layer.id) != self.os_layer() {
            let text = format!("'{}' belongs to another OS layer: choose one of the same.", member.name());
            return Err(self.field(field, text));
        }
        if member.version.state != VersionState::Deployable {
            let text = format!("'{}' is {}: choose a deployable one.", member.name(), member.version.state);
            return Err(self.field(field, text));
        }
        Ok(member)
    }

    /// The prerequisites, and theirs, the lowest first.
    async fn apps(&self, tx: &mut Tx) -> Result<Vec<Member>> {
        const FIELD: &str = "prerequisite_version_ids";
        if self.layer.kind != LayerKind::App && !self.prerequisites.is_empty() {
            return Err(self.field(FIELD, "Only app layers have prerequisites."));
        }
        let mut found: Vec<Member> = Vec::new();
        let mut wanted = self.prerequisites.to_vec();
        while let Some(id) = wanted.pop() {
            if found.iter().any(|member| member.version.id == id) {
                continue;
            }
            let member = self.member(tx, id, LayerKind::App, FIELD).await?;
            if member.layer.id == self.layer.id {
                return Err(self.field(FIELD, "A layer is no prerequisite of itself."));
            }
            if let Some(other) = found.iter().find(|other| other.layer.id == member.layer.id) {
                let text =
                    format!("'{}' and '{}' are of one layer: choose one.", other.name(), member.name());
                return Err(self.field(FIELD, text));
            }
            wanted.extend(&member.version.prerequisites);
            found.push(member);
        }
        found.sort_by(|a, b| a.layer.age().cmp(&b.layer.age()));
        Ok(found)
    }

    fn row(&self, parts: &Parts, size: u64) -> VersionRow {
        let at = now();
        let (id, name, description) = self.version;
        let machine = MachineName { disk: self.disk.file_name.clone(), made: civil_now() };
        VersionRow {
            id,
            layer_id: self.layer.id,
            name: name.to_owned(),
            description: description.to_owned(),
            state: VersionState::Editing,
            base_version_id: self.base.map(|base| base.id),
            os_version_id: (self.layer.kind != LayerKind::Os).then_some(parts.os.id),
            platform_version_id: self.platform_version_id,
            prerequisites: self.prerequisites.to_vec(),
            connector_id: Some(self.connector_id),
            machine_name: Some(machine.to_string()),
            firmware: parts.os.firmware.clone(),
            virtual_bytes: size,
            logical_bytes: None,
            added_bytes: None,
            digest: None,
            created_at: at.clone(),
            updated_at: at,
        }
    }

    /// Which disks are put together, what the machine starts from, and what is made of it.
    fn compose(&self, parts: &Parts, input: &mut AddVersionInput) -> Result<()> {
        let size = input.disk_size;
        let composition = |apps: Vec<(&VersionRow, String)>, top: Option<(&VersionRow, String)>| {
            let layers: Vec<_> = apps.into_iter().chain(top).collect();
            Composition::new(&parts.os, &layers, size)
        };
        let apps = || parts.apps.iter().map(|member| (&member.version, member.name())).collect::<Vec<_>>();
        let platform = parts.platform.as_ref().map(|member| (&member.version, member.name()));
        let own = self.base.map(|base| (base, base.name_in(self.layer)));
        let (machine, against) = match self.layer.kind {
            LayerKind::Os if platform.is_none() => {
                if self.script.is_some() {
                    let machine = self.to_start_from(composition(Vec::new(), None)?);
                    input.base_version_id = machine.id;
                    input.makes = Makes::DiskWithoutTools { against: parts.os.id };
                    input.compositions.push(machine);
                } else {
                    self.compose_bare(&parts.os, input)?;
                }
                return Ok(());
            }
            LayerKind::Os => {
                let Some((version, name)) = platform else { return Ok(()) };
                let part = Part { version_id: version.id, name: name.clone() };
                let against = composition(Vec::new(), None)?;
                input.makes = Makes::DiskWithout { against: against.id, platform: part };
                (composition(Vec::new(), Some((version, name)))?, against)
            }
            LayerKind::Platform => (composition(apps(), own)?, composition(apps(), None)?),
            LayerKind::App => {
                let below = parts.apps.iter().filter(|other| other.layer.age() < self.layer.age()).count();
                let mut all = apps();
                all.splice(below..below, own);
                (composition(all, platform.clone())?, composition(apps(), platform)?)
            }
        };
        let machine = self.to_start_from(machine);
        let against = if self.layer.kind == LayerKind::Os { against } else { self.tooled(against) };
        if self.layer.kind != LayerKind::Os {
            input.makes = Makes::Delta { against: against.id };
        }
        input.base_version_id = machine.id;
        if against != machine {
            input.compositions.push(against);
        }
        input.compositions.push(machine);
        Ok(())
    }
}

impl Wanted<'_> {
    /// The same disk, as a machine starts from it: with what runs a script, or with the tools.
    fn to_start_from(&self, disk: Composition) -> Composition {
        match self.script {
            Some(family) => disk.with_starter(family, self.tools.as_deref().unwrap_or_default()),
            None => self.tooled(disk),
        }
    }

    /// The same disk with the tools in its system. What a delta is made against has them, too: nothing of them differs.
    fn tooled(&self, disk: Composition) -> Composition {
        match &self.tools {
            // Where a script does the work, what starts it brings the tool.
            Some(stamp) if self.script.is_none() => disk.with_tools(stamp),
            _ => disk,
        }
    }

    /// An OS version as it is, with the tools.
    fn compose_bare(&self, os: &VersionRow, input: &mut AddVersionInput) -> Result<()> {
        if self.tools.is_some() {
            let machine = self.tooled(Composition::new(os, &[], os.virtual_bytes)?);
            input.base_version_id = machine.id;
            input.makes = Makes::DiskWithoutTools { against: os.id };
            input.compositions.push(machine);
        }
        Ok(())
    }
}

/// The stamp of the server's tools: all of them are read, so that it is asked for before a transaction begins.
pub(super) async fn stamp(app: &App) -> Result<Option<String>> {
    let cannot = |e| {
        Error::unavailable("Shutdown For Finalize, beside the server's program, cannot be read.").because(e)
    };
    let world = app.world.clone();
    let stamp = tokio::task::spawn_blocking(move || world.tools.stamp()).await;
    stamp.map_err(|e| Error::internal("reading the tools failed").because(e))?.map_err(cannot)
}

fn civil_now() -> Civil {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    Civil {
        year: now.year().clamp(1, 9999) as u16,
        month: now.month() as u8,
        day: now.day() as u8,
        hour: now.hour() as u8,
        minute: now.minute() as u8,
        second: now.second() as u8,
        millisecond: now.millisecond() as u16,
    }
}
