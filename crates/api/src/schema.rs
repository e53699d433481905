//! Schemas of the model's words. The model knows nothing of HTTP, so what its types look like on the wire is said
//! here; the test holds the two together.

#![allow(dead_code, reason = "only the schemas are used")]

use serde::Serialize;
use utoipa::ToSchema;

/// What a layer holds.
#[derive(Serialize, ToSchema)]
#[schema(as = LayerKind)]
#[serde(rename_all = "snake_case")]
pub enum LayerKindSchema {
    /// An operating system and its patches.
    Os,
    /// Hypervisor tools, provisioning and broker agents, drivers.
    Platform,
    /// One or more applications.
    App,
}

/// Where a version is in its life.
#[derive(Serialize, ToSchema)]
#[schema(as = VersionState)]
#[serde(rename_all = "snake_case")]
pub enum VersionStateSchema {
    /// Being made: imported, or its packaging machine is set up.
    Editing,
    /// Its packaging machine is ready: a person works in it.
    Finalizable,
    /// What was changed in the packaging machine is checked and taken.
    Finalizing,
    /// Complete and immutable: can be a base, can be exported.
    Deployable,
    /// It cannot be used: damage was found, or deleting it failed half-way.
    Broken,
    /// Being removed.
    Deleting,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LayerKind, VersionState};

    #[test]
    fn the_schemas_have_the_models_words() {
        let kinds = [
            (LayerKindSchema::Os, LayerKind::Os),
            (LayerKindSchema::Platform, LayerKind::Platform),
            (LayerKindSchema::App, LayerKind::App),
        ];
        for (schema, model) in kinds {
            assert_eq!(serde_json::to_value(schema).unwrap(), serde_json::to_value(model).unwrap());
        }
        let states = [
            (VersionStateSchema::Editing, VersionState::Editing),
            (VersionStateSchema::Finalizable, VersionState::Finalizable),
            (VersionStateSchema::Finalizing, VersionState::Finalizing),
            (VersionStateSchema::Deployable, VersionState::Deployable),
            (VersionStateSchema::Broken, VersionState::Broken),
            (VersionStateSchema::Deleting, VersionState::Deleting),
        ];
        for (schema, model) in states {
            assert_eq!(serde_json::to_value(schema).unwrap(), serde_json::to_value(model).unwrap());
        }
    }
}
