//! The kinds of layers.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a layer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum LayerKind {
    /// An operating system and its patches: every version is a whole disk.
    Os,
    /// Hypervisor tools, provisioning and broker agents, drivers: a delta with the highest priority.
    Platform,
    /// One or more applications: a delta; the newer layer wins over the older.
    App,
}

impl LayerKind {
    /// As it is written in the API and in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Os => "os",
            Self::Platform => "platform",
            Self::App => "app",
        }
    }
}

impl fmt::Display for LayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
