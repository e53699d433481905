//! Schedules: versions that scripts make by themselves, again and again.

use crate::{Action, PackagingDisk, Unattended};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A schedule: when, of which layer, and what the versions are made of.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Schedule {
    /// Id.
    pub id: Uuid,
    /// Unique.
    pub name: String,
    /// When it is due: `every second tuesday 22:00`.
    pub when: String,
    /// The time zone of that time, by its name in the IANA database.
    pub time_zone: String,
    /// Whether it runs by itself.
    pub enabled: bool,
    /// When it is due next, while it is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_at: Option<String>,
    /// The layer that gets the versions.
    pub layer_id: Uuid,
    /// That layer's name.
    pub layer_name: String,
    /// What the versions are made of; left out where it cannot be read, so that the schedule can only be changed and deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<ScheduledVersion>,
    /// Files that lie beside the script.
    pub files: Vec<String>,
    /// What became of the last run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<ScheduleRun>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// What may be done with it now.
    pub actions: Vec<Action>,
}

/// What became of a run.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScheduleRun {
    /// When it was due.
    pub at: String,
    /// `refused` or `missed` where it was not begun; else the state of its task.
    #[schema(schema_with = crate::words::run_outcome)]
    pub outcome: String,
    /// Why it was not begun, or how its task failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The version that it made, or makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<Uuid>,
    /// The task that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<Uuid>,
}

/// What the versions of a schedule are made of: as for one that is added by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduledVersion {
    /// The versions' names: `{date}` and `{time}` stand for when it was due. A name that is taken gets a number.
    pub name: String,
    /// Their description.
    #[serde(default)]
    pub description: String,
    /// Max Layer Size in GiB, thin; 100 when left out (or the base version's size when that is larger).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_layer_size_gib: Option<u32>,
    /// The OS version that the packaging machine runs (platform and app layers); the newest deployable one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version_id: Option<Uuid>,
    /// Versions of app layers that must be there first (app layers); the base version's when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prerequisite_version_ids: Option<Vec<Uuid>>,
    /// Connector configuration: where the packaging machine runs.
    pub connector_id: Uuid,
    /// Platform layer version with tools and drivers: the machine has it, the new version does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_version_id: Option<Uuid>,
    /// The packaging disk.
    pub packaging_disk: PackagingDisk,
    /// The script that makes them. Uploads are used up when the schedule is stored, and kept with it.
    pub unattended: Unattended,
}

/// Make a schedule.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSchedule {
    /// Made by the client (UUIDv7); repeating the request is safe.
    pub id: Uuid,
    /// 1 to 100 characters, unique.
    pub name: String,
    /// When it is due: `every day 22:00`, `every monday, thursday 22:00`, `every second tuesday 22:00` (of each month; `first` to
    /// `fourth`, `last`), `every 15th 22:00`, `every last day 22:00`.
    pub when: String,
    /// The time zone of that time, by its name in the IANA database.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// Whether it runs by itself.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The layer that gets the versions.
    pub layer_id: Uuid,
    /// What they are made of.
    pub version: ScheduledVersion,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn yes() -> bool {
    true
}

/// Run a schedule now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunSchedule {
    /// The id of the version that it makes, made by the client (UUIDv7); repeating the request is safe.
    pub id: Uuid,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// Change a schedule; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditSchedule {
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it is due from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Another time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Whether it runs by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What versions are made of from now on; with uploads, their files replace those that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<ScheduledVersion>,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}
