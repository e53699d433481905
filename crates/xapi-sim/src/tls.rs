//! The certificate that all hosts of the pool show, made at the first start.

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// A certificate as text, and what serves it.
pub struct Identity {
    /// As PEM.
    pub certificate: String,
    /// For HTTPS and NBD.
    pub server: Arc<ServerConfig>,
}

/// Reads the certificate from the state folder; makes it where there is none.
pub fn identity(state: &Path, hosts: &[IpAddr]) -> io::Result<Identity> {
    let (certificate, key) = (state.join("certificate.pem"), state.join("key.pem"));
    if !certificate.exists() || !key.exists() {
        let names: Vec<_> = hosts.iter().map(IpAddr::to_string).chain(["localhost".to_owned()]).collect();
        let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        fs::write(&key, made.signing_key.serialize_pem())?;
        fs::write(&certificate, made.cert.pem())?;
    }
    let (text, key) = (fs::read_to_string(&certificate)?, fs::read(&key)?);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder.with_no_client_auth().with_single_cert(
                chain.map_err(|_| rustls::Error::General("no certificate".to_owned()))?,
                key,
            )
        })
        .map_err(io::Error::other)?;
    Ok(Identity { certificate: text, server: Arc::new(server) })
}
