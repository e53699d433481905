//! Which hosts are believed to be who they say: by an authority that this server trusts, or by fingerprint.
//!
//! ```text
//!   certificate ─▶ is its SHA-256 pinned, or that of a member told by a trusted host? ─yes─▶ trusted
//!                     └no─▶ nothing is pinned, and an authority signed it for this name? ─yes─▶ trusted
//!                              └no─▶ refused; its fingerprint is told
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::certificate::public_key;
use crate::{Error, ErrorKind, Result};

/// Where systems keep the authorities they trust: Debian and Ubuntu, Red Hat, SUSE, Alpine and BSD.
const AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Self {
        let mut sum = [0; 32];
        sum.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, certificate).as_ref());
        Self(sum)
    }

    /// Of the first certificate in a PEM text.
    pub fn of_pem(text: &str) -> Option<Self> {
        CertificateDer::from_pem_slice(text.as_bytes()).ok().map(|der| Self::of(&der))
    }

    /// 64 hexadecimal digits, divided by colons or not.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            let what =
                format!("{text:?} is no fingerprint: it must be SHA-256, 32 pairs of hexadecimal digits");
            Error::new(ErrorKind::Unsupported, what)
        };
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut sum = [0; 32];
        for (byte, at) in sum.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(sum))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        f.write_str(&pairs.join(":"))
    }
}

/// Why a certificate is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// It was confirmed.
    Pinned,
    /// A host that was trusted told it.
    Member,
    /// An authority signed it.
    Signed,
}

/// Which certificates are trusted; what was last refused.
pub(super) struct Trust {
    verifier: Arc<Verifier>,
    client: Arc<ClientConfig>,
}

impl Trust {
    /// Trusts `pins` only, or what an authority of this system signed when there are none.
    pub fn new(pins: &[Fingerprint]) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let authorities = if pins.is_empty() { authorities(&provider) } else { None };
        let verifier = Arc::new(Verifier {
            pins: pins.iter().copied().collect(),
            members: Mutex::default(),
            passed: Mutex::default(),
            authorities,
            refused: Mutex::default(),
            provider: provider.clone(),
        });
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::new(ErrorKind::Unsupported, "TLS cannot be set up").with_source(e))?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_no_client_auth();
        Ok(Self { verifier, client: Arc::new(client) })
    }

    /// How to begin TLS.
    pub fn client(&self) -> Arc<ClientConfig> {
        self.client.clone()
    }

    /// Trusts the members of the pool, too; a trusted host told their fingerprints.
    pub fn trust_members(&self, members: impl Iterator<Item = Fingerprint>) {
        *held(&self.verifier.members) = members.collect();
    }

    /// The certificate that was last refused.
    pub fn refused(&self) -> Option<Fingerprint> {
        *held(&self.verifier.refused)
    }

    /// The fingerprints that were confirmed, divided by commas.
    pub fn pins(&self) -> String {
        self.verifier.pins.iter().map(Fingerprint::to_string).collect::<Vec<_>>().join(",")
    }

    /// By which rule the last certificate passed.
    pub fn passed(&self) -> Option<Rule> {
        *held(&self.verifier.passed)
    }

    /// Whether certificates are trusted by fingerprint only.
    pub fn is_pinned(&self) -> bool {
        !self.verifier.pins.is_empty()
    }
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// None where the system has no authorities: then no certificate is signed by one.
fn authorities(provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    let own = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let path = own.into_iter().chain(AUTHORITIES.map(Into::into)).find(|path| path.is_file())?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&path));
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().ok()
}

fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    let found = CertificateDer::pem_file_iter(path);
    found.map(|all| all.filter_map(std::result::Result::ok).collect()).unwrap_or_default()
}

#[derive(Debug)]
struct Verifier {
    pins: BTreeSet<Fingerprint>,
    members: Mutex<BTreeSet<Fingerprint>>,
    passed: Mutex<Option<Rule>>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    refused: Mutex<Option<Fingerprint>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let seen = Fingerprint::of(certificate);
        let is_signed = || {
            let authorities = self.authorities.as_ref()?;
            authorities.verify_server_cert(certificate, intermediates, name, ocsp, now).ok()
        };
        let rule = if self.pins.contains(&seen) {
            Some(Rule::Pinned)
        } else if held(&self.members).contains(&seen) {
            Some(Rule::Member)
        } else {
            is_signed().map(|_| Rule::Signed)
        };
        if rule.is_some() {
            *held(&self.passed) = rule;
            return Ok(ServerCertVerified::assertion());
        }
        *held(&self.refused) = Some(seen);
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    // A fingerprint is no secret: only who holds the certificate's key can sign the handshake.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known).or_else(|e| {
            let Some(key) = public_key(certificate).map(SubjectPublicKeyInfoDer::from) else { return Err(e) };
            let key = webpki::RawPublicKeyEntity::try_from(&key).map_err(|_| e.clone())?;
            let fitting = known.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
            let mut algorithms = fitting.flat_map(|(_, algorithms)| *algorithms);
            let is_signed =
                algorithms.any(|by| key.verify_signature(*by, message, signed.signature()).is_ok());
            if is_signed { Ok(HandshakeSignatureValid::assertion()) } else { Err(e) }
        })
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known).or_else(|e| {
            let Some(key) = public_key(certificate).map(SubjectPublicKeyInfoDer::from) else { return Err(e) };
            verify_tls13_signature_with_raw_key(message, &key, signed, known)
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_with_and_without_colons_and_written_as_openssl_does() {
        let of_nothing =
            "E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55";
        assert_eq!(Fingerprint::of(b"").to_string(), of_nothing);
        let plain = of_nothing.replace(':', "").to_lowercase();
        assert_eq!(Fingerprint::parse(&plain).unwrap(), Fingerprint::parse(of_nothing).unwrap());
        for bad in ["", "E3", "é", &of_nothing[1..], &"zz".repeat(32)] {
            assert!(Fingerprint::parse(bad).is_err(), "{bad}");
        }
    }
}
