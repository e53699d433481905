//! The server's certificate.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The certificate that the server shows by HTTPS.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Certificate {
    /// Whom it names.
    pub subject: String,
    /// The names and addresses it is for.
    pub names: Vec<String>,
    /// SHA-256 of it, as `AB:CD:…`.
    pub fingerprint: String,
    /// Valid from (RFC 3339).
    pub not_before: String,
    /// Valid until (RFC 3339).
    pub not_after: String,
    /// Whether its issuer is itself: browsers ask before they trust it.
    pub self_made: bool,
    /// What people should know about it: that it has expired, or soon will.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Replace the certificate, at once and without a restart.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceCertificate {
    /// PEM: the server's certificate first, then those between it and its root.
    pub certificate: String,
    /// PEM: its private key (PKCS#8, PKCS#1 or SEC1), not encrypted.
    pub key: String,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}
