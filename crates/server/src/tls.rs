//! The server's own certificate: made at the first start, replaceable by the administrator's while the server runs.
//!
//! ```text
//!   tls/key.pem   ① new key and old key ── ③ new key
//!   tls/cert.pem        ② new certificate             a crash in between leaves a certificate with a key that fits it
//! ```

use crate::error::{Error, Result, chain};
use crate::place::{Place, write_secret};
use axum_server::tls_rustls::RustlsConfig;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use shale_api::{Certificate, ReplaceCertificate};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate that ends within so many days is warned of.
const SOON: i64 = 30;
/// Longest PEM text that is looked at.
const PEM_LIMIT: usize = 256 << 10;

/// What HTTPS shows, once it is served.
#[derive(Default)]
pub struct Tls {
    served: OnceLock<RustlsConfig>,
    /// Held while the files are changed.
    changing: tokio::sync::Mutex<()>,
}

impl Tls {
    /// What HTTPS is to be served with: the certificate in the data directory, which is made where there is none.
    pub fn serve(&self, place: &Place) -> Result<RustlsConfig> {
        let config = config_in(place)?;
        Ok(self.served.get_or_init(|| RustlsConfig::from_config(config)).clone())
    }

    /// Replaces the certificate: new connections get the new one, open ones stay.
    pub async fn replace(&self, place: &Place, new: &ReplaceCertificate) -> Result<Certificate> {
        let (view, config) = accepted(new)?;
        let _alone = self.changing.lock().await;
        let (cert, key) = files(place)?;
        let old = std::fs::read_to_string(&key).unwrap_or_default();
        write_secret(&key, format!("{}\n{old}", new.key.trim()).as_bytes())?;
        write_secret(&cert, new.certificate.as_bytes())?;
        write_secret(&key, new.key.as_bytes())?;
        if let Some(served) = self.served.get() {
            served.reload_from_config(config);
        }
        Ok(view)
    }
}

/// The certificate in the data directory as people see it.
pub fn shown(place: &Place) -> Result<Certificate> {
    let (cert, _) = files(place)?;
    let unusable = |why: &str| Error::unavailable(format!("The certificate {} {why}.", cert.display()));
    let der = CertificateDer::from_pem_file(&cert).map_err(|e| unusable("cannot be read").because(e))?;
    view(&der).ok_or_else(|| unusable("cannot be understood"))
}

/// Files with the certificate and its key; made, for this host's names, where there are none.
fn files(place: &Place) -> Result<(PathBuf, PathBuf)> {
    let (cert, key) = place.tls();
    if cert.exists() && key.exists() {
        return Ok((cert, key));
    }
    let names =
        std::iter::once("localhost".to_owned()).chain(host_name()).chain(["127.0.0.1".into(), "::1".into()]);
    let (made, its_key) = self_signed(names.collect())
        .map_err(|e| Error::internal("a certificate cannot be made").because(e))?;
    write_secret(&key, its_key.as_bytes())?;
    write_secret(&cert, made.as_bytes())?;
    Ok((cert, key))
}

/// A certificate of one's own for these names, and its key. The host's name, the second of them, is what people see.
fn self_signed(names: Vec<String>) -> std::result::Result<(String, String), rcgen::Error> {
    let subject = names.get(1).or(names.first()).cloned().unwrap_or_default();
    let mut wanted = rcgen::CertificateParams::new(names)?;
    wanted.distinguished_name = rcgen::DistinguishedName::new();
    wanted.distinguished_name.push(rcgen::DnType::OrganizationName, "Shale");
    wanted.distinguished_name.push(rcgen::DnType::CommonName, subject);
    let key = rcgen::KeyPair::generate()?;
    Ok((wanted.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let plain =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    (plain && name != "localhost").then_some(name)
}

fn config_in(place: &Place) -> Result<Arc<ServerConfig>> {
    let (cert, key) = files(place)?;
    let read = |path: &Path| {
        std::fs::read(path)
            .map_err(|e| Error::unavailable(format!("{} cannot be read", path.display())).because(e))
    };
    let config = config(&read(&cert)?, &read(&key)?).map_err(|why| {
        Error::unavailable(format!("The certificate {} cannot be used: {why}.", cert.display()))
    })?;
    if let Some(warning) = shown(place)?.warning {
        tracing::warn!(warning, "the server's certificate");
    }
    Ok(config)
}

/// The configuration with a certificate and the first of the keys that fits it.
fn config(certificate: &[u8], keys: &[u8]) -> std::result::Result<Arc<ServerConfig>, String> {
    // Others may have installed one; with several in the process, none is the default by itself.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificates: Vec<CertificateDer> = CertificateDer::pem_slice_iter(certificate).flatten().collect();
    let mut why = "there is no private key in it that could be used".to_owned();
    for key in PrivateKeyDer::pem_slice_iter(keys).flatten() {
        let built = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates.clone(), key);
        match built {
            Ok(mut config) => {
                config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
                return Ok(Arc::new(config));
            }
            Err(e) => why = chain(&e),
        }
    }
    Err(why)
}

/// What a person gives in place of the certificate, if it is one with its key.
fn accepted(new: &ReplaceCertificate) -> Result<(Certificate, Arc<ServerConfig>)> {
    for (pointer, text) in [("/certificate", &new.certificate), ("/key", &new.key)] {
        if text.len() > PEM_LIMIT {
            return Err(Error::field(pointer, format!("This is longer than {PEM_LIMIT} bytes.")));
        }
    }
    let wrong = |pointer: &str, text: &str| Error::field(pointer, text);
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(new.certificate.as_bytes()) {
        chain.push(certificate.map_err(|e| wrong("/certificate", &format!("This is not valid PEM: {e}.")))?);
    }
    let first = chain.first().ok_or_else(|| {
        wrong("/certificate", "There is no certificate in this: it must hold -----BEGIN CERTIFICATE-----.")
    })?;
    let view =
        view(first).ok_or_else(|| wrong("/certificate", "The first certificate cannot be understood."))?;
    PrivateKeyDer::from_pem_slice(new.key.as_bytes()).map_err(|_| {
        wrong("/key", "There is no private key in this that is not encrypted: it must hold -----BEGIN PRIVATE KEY-----.")
    })?;
    let config = config(new.certificate.as_bytes(), new.key.as_bytes()).map_err(|why| {
        wrong("/key", &format!("The key does not fit the certificate, or cannot be used: {why}."))
    })?;
    Ok((view, config))
}

/// A certificate as people see it; none when it is none.
fn view(der: &[u8]) -> Option<Certificate> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let time = |seconds| Timestamp::from_second(seconds).ok();
    let validity = parsed.validity();
    let (from, until) = (time(validity.not_before.timestamp())?, time(validity.not_after.timestamp())?);
    let names = parsed.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names).filter_map(name);
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    let pairs: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    Some(Certificate {
        subject: parsed.subject().to_string(),
        names: names.collect(),
        fingerprint: pairs.join(":"),
        not_before: format!("{from:.3}"),
        not_after: format!("{until:.3}"),
        self_made: parsed.subject().as_raw() == parsed.issuer().as_raw(),
        warning: warning(from, until, Timestamp::now()),
    })
}

fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(*bytes).ok()?).to_string()),
            16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(*bytes).ok()?).to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn warning(from: Timestamp, until: Timestamp, now: Timestamp) -> Option<String> {
    let days = until.duration_since(now).as_secs().div_euclid(86_400);
    match () {
        () if until <= now => Some(format!("It expired on {until:.0}: browsers refuse it. Replace it.")),
        () if from > now => {
            Some(format!("It is valid only from {from:.0} on: browsers refuse it until then."))
        }
        () if days < SOON => Some(format!("It expires in {days} days: replace it.")),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned(), "10.0.0.1".into()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn what_is_no_certificate_or_has_another_key_is_refused_by_field() {
        let (certificate, key) = made("shale.example");
        let (_, other) = made("shale.example");
        let order = |certificate: &str, key: &str| ReplaceCertificate {
            certificate: certificate.into(),
            key: key.into(),
            comment: String::new(),
        };
        for (certificate, key, pointer) in [
            ("", key.as_str(), "/certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key, "/certificate"),
            (key.as_str(), &key, "/certificate"),
            (&certificate, "", "/key"),
            (&certificate, &certificate, "/key"),
            (&certificate, &other, "/key"),
            (&" ".repeat(PEM_LIMIT + 1), &key, "/certificate"),
        ] {
            let Err(refused) = accepted(&order(certificate, key)) else { panic!("{pointer}") };
            assert_eq!(refused.fields[0].pointer, pointer, "{}", refused.detail);
        }
        let (view, _) = accepted(&order(&certificate, &key)).unwrap();
        assert_eq!((view.names, view.self_made), (vec!["shale.example".to_owned(), "10.0.0.1".into()], true));
        assert_eq!(view.warning, None);
    }

    #[test]
    fn of_two_keys_the_one_that_fits_is_taken() {
        let ((certificate, key), (_, other)) = (made("a"), made("b"));
        assert!(config(certificate.as_bytes(), format!("{other}\n{key}").as_bytes()).is_ok());
        assert!(config(certificate.as_bytes(), other.as_bytes()).is_err());
    }

    #[test]
    fn one_that_is_over_or_soon_will_be_is_warned_of() {
        let at = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
        for (from, until, told) in [
            (0, 100, None),
            (0, 25, Some("It expires in 15 days")),
            (0, 10, Some("It expired on")),
            (11, 100, Some("It is valid only from")),
        ] {
            let warning = warning(at(from), at(until), at(10));
            match told {
                None => assert_eq!(warning, None),
                Some(told) => {
                    assert!(warning.as_ref().is_some_and(|text| text.starts_with(told)), "{warning:?}")
                }
            }
        }
    }
}
