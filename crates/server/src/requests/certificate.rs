//! Replacing the server's certificate.

use super::{Actor, audit, rule};
use crate::app::App;
use crate::error::Result;
use shale_api::{Certificate, ReplaceCertificate};
use uuid::Uuid;

/// Replaces the certificate while the server runs.
pub async fn replace_certificate(app: &App, actor: &Actor, new: ReplaceCertificate) -> Result<Certificate> {
    rule("/comment", shale_model::comment(&new.comment))?;
    let view = app.tls.replace(&app.world.place, &new).await?;
    let mut tx = app.world.catalog.begin().await?;
    let object = ("certificate", Uuid::nil(), view.subject.as_str());
    audit(&mut tx, actor, "replace_certificate", object, &new.comment).await?;
    tx.commit().await?;
    Ok(view)
}
