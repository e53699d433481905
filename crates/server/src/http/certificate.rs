//! `/certificate`: what the server shows by HTTPS.

use super::answer::{Answer, Body};
use crate::app::App;
use crate::requests::{self, Actor};
use crate::tls;
use axum::extract::State;
use axum::{Extension, Json};
use shale_api::{Certificate, ReplaceCertificate};

/// Show the server's certificate.
#[utoipa::path(get, path = "/certificate", tag = "system", operation_id = "show_certificate",
    responses((status = 200, body = Certificate)))]
pub async fn show(State(app): State<App>) -> Answer<Json<Certificate>> {
    Ok(Json(tls::shown(&app.world.place)?))
}

/// Replace the server's certificate, at once: new connections get the new one.
#[utoipa::path(put, path = "/certificate", tag = "system", operation_id = "replace_certificate",
    request_body = ReplaceCertificate, responses((status = 200, body = Certificate)))]
pub async fn replace(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Body(new): Body<ReplaceCertificate>,
) -> Answer<Json<Certificate>> {
    Ok(Json(requests::replace_certificate(&app, &actor, new).await?))
}
