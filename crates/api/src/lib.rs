//! Wire types of the HTTP API, shared by the server and the command line.
//!
//! Plain structs: what a field means is said here, what is allowed is decided by the server and comes with each
//! view as [`Action`]s. Conventions (`docs/api.md`): `snake_case`; times are RFC 3339 in UTC; sizes are bytes and end
//! in `_bytes` unless the field says GiB; ids are UUIDv7 made by the client, so that repeating a request is safe;
//! lists are pages; long work is a [`Task`]; errors are [`Problem`]s.

mod access;
mod certificate;
mod connector;
mod finding;
mod image;
mod layer;
mod machine;
mod problem;
mod repository;
mod retention;
mod schedule;
mod task;
mod template;
mod unattended;
mod upload;
mod words;

pub use access::{
    ChangePassword, EditUser, NewToken, NewUser, Session, SetUp, SetupCode, SignIn, SignedIn, Token,
    TokenCreated, User,
};
pub use certificate::{Certificate, ReplaceCertificate};
pub use connector::{
    Check, CheckOutcome, Choice, Connector, ConnectorField, ConnectorKind, ConnectorTest, EditConnector,
    FieldInput, Fix, NewConnector, TryConnector,
};
pub use finding::{CheckResult, FinalizeVersion, Finding, MachineCheck, Remedy, Severity};
pub use image::{
    BootReport, DeleteImage, Image, ImageCreated, ImagePart, ImageReport, PlatformReport, PublishImage,
};
pub use layer::{
    AddVersion, Comment, EditLayer, EditVersion, ExportVersion, ImportSource, Layer, LayerCreated,
    LayerSizes, LayerSort, NewLayer, NewVersion, Packaging, PackagingDisk, Version, VersionCreated,
    VersionSizes,
};
pub use machine::{Machine, MachineFile, MachineFiles, Power};
pub use problem::{Code, FieldError, Problem};
pub use repository::{CheckRepository, CollectGarbage, Doctor, Repository, RepositoryVersion, ServerInfo};
pub use retention::{OldVersion, OldVersions, PruneVersions, PrunedVersion, PrunedVersions, Retention};
pub use schedule::{EditSchedule, NewSchedule, RunSchedule, Schedule, ScheduleRun, ScheduledVersion};
pub use task::{AuditEntry, Event, Needs, Progress, Step, Task, TaskLogEntry};

pub use template::{
    CloneTemplate, EditTemplate, NewTemplate, NewerVersion, Plan, PlanConflict, PlanLayer, PlanPath,
    PlanWarning, Template, TemplateDisk, TemplatePart,
};
pub use unattended::{OnFailure, Script, TaskOutput, Unattended};
pub use upload::{NewUpload, Upload};

pub use shale_model::{ImageState, LayerKind, Role, TemplateState, VersionState};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something that may be done with an object, as the server sees it right now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, PartialEq, Eq)]
pub struct Action {
    /// `add_version`, `finalize`, `cancel`, `edit`, `delete`, `verify`, `export`, `test`, `power_on`, …
    pub name: String,
    /// Whether it would be accepted now.
    pub allowed: bool,
    /// Why not, in a sentence, when it would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One page of a list. Ask again with `page_token` for the next one; no token means that was all.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the order asked for.
    pub items: Vec<T>,
    /// Opaque; give it back as `page_token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}
