//! Which versions of a layer are old: beyond the newest that stay, and of no use to anything.
//!
//! ```text
//!   versions, newest first ─▶ the newest N stay ─▶ what something uses stays, and why ─▶ the rest goes
//! ```

use crate::catalog::{ImageFilter, ImageRow, LayerRow, Tx, VersionRow, Window};
use crate::error::Result;
use crate::view::Scene;
use shale_api::{OldVersion, PrunedVersion, VersionState};

/// Most that can be kept by number.
pub const MOST: u32 = 1000;

/// What becomes of each version of a layer, the newest first, where `keep` of the deployable ones stay.
pub async fn outlook(tx: &mut Tx, scene: &Scene, layer: &LayerRow, keep: u32) -> Result<Vec<PrunedVersion>> {
    let all = Window { after: None, limit: i64::MAX };
    let mut versions = VersionRow::of_layer(tx, layer.id, &all).await?;
    versions.sort_by(|a, b| (&b.created_at, b.id).cmp(&(&a.created_at, a.id)));
    let images = ImageRow::list(tx, &ImageFilter::default(), &all).await?;
    let mut kept = 0;
    let mut told = Vec::new();
    for version in &versions {
        let image = images.iter().find(|image| image.parts.iter().any(|part| part.version_id == version.id));
        let facts = scene.version_facts(layer, version, None, None);
        let (goes, reason) = if kept < keep && version.state == VersionState::Deployable {
            kept += 1;
            (false, format!("It is one of the {keep} newest."))
        } else if let Some(image) = image {
            (false, format!("The layered image '{}' was made of it.", image.name))
        } else {
            match shale_model::permitted(&facts.actions(), "delete") {
                // A broken one that is newer may be mended yet.
                Ok(()) if kept < keep => (false, format!("It is not older than the {keep} newest.")),
                Ok(()) => (true, format!("It is older than the {keep} newest, and nothing uses it.")),
                Err(why) => (false, why),
            }
        };
        told.push(PrunedVersion {
            id: version.id,
            name: version.name.clone(),
            goes,
            reason,
            added_bytes: version.added_bytes.unwrap_or(0),
        });
    }
    Ok(told)
}

/// The versions that a layer's own retention does not keep; none where it has no such rule.
pub async fn old_versions(tx: &mut Tx, scene: &Scene, layer: &LayerRow) -> Result<Vec<OldVersion>> {
    let Some(rule) = layer.retention else { return Ok(Vec::new()) };
    let told = outlook(tx, scene, layer, rule.keep).await?;
    let old =
        |version: PrunedVersion| version.goes.then_some(OldVersion { id: version.id, name: version.name });
    Ok(told.into_iter().filter_map(old).collect())
}
