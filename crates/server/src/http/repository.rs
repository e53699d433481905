//! `/repository`.

use super::answer::{Answer, MaybeBody};
use crate::app::App;
use crate::catalog::{CompositionRow, ImageRow, LayerRow, VersionRow};
use crate::error::Error;
use crate::requests::{self, Actor};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use shale_api::{CheckRepository, CollectGarbage, Repository, RepositoryVersion, Task};
use shale_store::VersionId;
use std::collections::HashSet;
use uuid::Uuid;

/// Show what the repository holds.
#[utoipa::path(get, path = "/repository", tag = "repository", operation_id = "show_repository",
    responses((status = 200, body = Repository)))]
pub async fn show(State(app): State<App>) -> Answer<Json<Repository>> {
    let world = app.world.clone();
    let mut tx = app.world.catalog.read().await?;
    let images = ImageRow::by_composition(&mut tx).await?;
    let compositions = CompositionRow::list(&mut tx).await?.into_iter().map(|row| row.id);
    let passing: HashSet<VersionId> =
        compositions.filter(|id| !images.contains_key(id)).map(VersionId::from).collect();
    drop(tx);
    let not_listed = passing.clone();
    let read = tokio::task::spawn_blocking(move || {
        let stats = world.repository.stats_without(&passing)?;
        let free = rustix::fs::statvfs(world.repository.directory())
            .map(|found| found.f_bavail * found.f_frsize)
            .map_err(|e| {
                let text =
                    format!("the room left in {} is not known", world.repository.directory().display());
                shale_store::Error::io(text, e.into())
            })?;
        Ok::<_, shale_store::Error>((stats, free))
    });
    let read = read.await.map_err(|e| Error::internal("reading the repository failed").because(e))?;
    let (stats, free_bytes) =
        read.map_err(|e| Error::unavailable("The repository did not answer.").because(e))?;
    let mut tx = app.world.catalog.read().await?;
    let (put_together, shares): (Vec<_>, Vec<_>) =
        stats.versions.iter().partition(|share| not_listed.contains(&share.id));
    let mut versions = Vec::with_capacity(shares.len());
    for share in shares {
        let id: Uuid = share.id.into();
        let name = match VersionRow::get(&mut tx, id).await? {
            Some(version) => match LayerRow::get(&mut tx, version.layer_id).await? {
                Some(layer) => version.name_in(&layer),
                None => version.name,
            },
            None => images.get(&id).cloned().unwrap_or_default(),
        };
        versions.push(RepositoryVersion {
            id,
            name,
            logical_bytes: share.data,
            unique_stored_bytes: share.own,
        });
    }
    Ok(Json(Repository {
        place: app.world.repository.directory().to_string_lossy().into_owned(),
        free_bytes,
        logical_bytes: stats.data,
        unique_bytes: stats.unique,
        stored_bytes: stats.stored,
        put_together_bytes: put_together.iter().map(|share| share.own).sum(),
        versions,
    }))
}

/// Check the repository.
#[utoipa::path(post, path = "/repository/check", tag = "repository", operation_id = "check_repository", request_body = Option<CheckRepository>,
    responses((status = 202, body = Task)))]
pub async fn check(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    MaybeBody(order): MaybeBody<CheckRepository>,
) -> Answer<(StatusCode, Json<Task>)> {
    Ok((StatusCode::ACCEPTED, Json(requests::check_repository(&app, &actor, order).await?)))
}

/// Collect what no version needs any more.
#[utoipa::path(post, path = "/repository/gc", tag = "repository", operation_id = "collect_garbage", request_body = Option<CollectGarbage>,
    responses((status = 202, body = Task)))]
pub async fn collect(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    MaybeBody(order): MaybeBody<CollectGarbage>,
) -> Answer<(StatusCode, Json<Task>)> {
    Ok((StatusCode::ACCEPTED, Json(requests::collect_garbage(&app, &actor, order).await?)))
}
