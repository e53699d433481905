//! The nouns of Shale and their rules, pure: nothing here does I/O or reads a clock.
//!
//! ```text
//!   layer    what kinds there are                    size     how large a layer may get
//!   version  states and what may change them         machine  a packaging machine's name
//!   name     what things may be called               message  the sentences people read
//!   action   what may be done with a thing right now, and why the rest may not
//!   role     who may do what                     upload   files on their way to the server
//!   image    templates and what they become
//! ```
//!
//! The server asks these rules before it acts and shows their answers; console and command line only render them.

mod action;
mod image;
mod layer;
mod machine;
pub mod message;
mod name;
mod role;
mod size;
mod upload;
mod version;

pub use action::{
    Action, ConnectorFacts, LayerFacts, MachineFacts, Power, ScheduleFacts, TaskFacts, TaskPhase,
    VersionFacts, permitted,
};
pub use image::{ImageFacts, ImageState, TemplateFacts, TemplateState, image_name};
pub use layer::LayerKind;
pub use machine::{Civil, MachineName};
pub use name::{
    Invalid, Rule, comment, connector_name, description, file_name, layer_name, packaging_disk_file_name,
    password, template_name, token_name, user_name, version_name,
};
pub use role::{
    Need, Role, UserFacts, general_actions, lacking, may_finalize_anyway, may_name_server_files, need,
    within_role,
};
pub use size::{DEFAULT_GIB, GIB, MAX_GIB, MIN_GIB, image_size, layer_size};
pub use upload::UploadFacts;
pub use version::{Refusal, VersionEvent, VersionState, default_base};
