//! The server's own certificate: made at the first start, replaceable by the administrator's.

use crate::error::{Error, Result};
use crate::place::{Place, write_secret};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::PathBuf;

/// Files with the certificate and its key; made, for this host's names, where there are none.
pub fn certificate(place: &Place) -> Result<(PathBuf, PathBuf)> {
    // Others may have installed one; with several in the process, none is the default by itself.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (cert, key) = place.tls();
    if cert.exists() && key.exists() {
        return Ok((cert, key));
    }
    let names =
        std::iter::once("localhost".to_owned()).chain(host_name()).chain(["127.0.0.1".into(), "::1".into()]);
    let made = rcgen::generate_simple_self_signed(names.collect::<Vec<_>>())
        .map_err(|e| Error::internal("a certificate cannot be made").because(e))?;
    write_secret(&key, made.signing_key.serialize_pem().as_bytes())?;
    write_secret(&cert, made.cert.pem().as_bytes())?;
    Ok((cert, key))
}

/// SHA-256 of the certificate that is shown, as people compare it: `AB:CD:…`.
pub fn fingerprint(place: &Place) -> Result<String> {
    let (cert, _) = certificate(place)?;
    let der = CertificateDer::from_pem_file(&cert).map_err(|e| {
        Error::unavailable(format!("The certificate {} cannot be read.", cert.display())).because(e)
    })?;
    let digest = ring::digest::digest(&ring::digest::SHA256, &der);
    Ok(digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":"))
}

fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let plain =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    (plain && name != "localhost").then_some(name)
}
