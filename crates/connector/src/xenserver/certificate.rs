//! The public key in a certificate of any age. Source: RFC 5280 §4.1.
//!
//! ```text
//!   Certificate    SEQUENCE { to be signed │ algorithm │ signature }
//!   to be signed   SEQUENCE { [0] version? │ serial │ algorithm │ issuer │ validity │ subject │ public key │ … }
//! ```
//!
//! TLS libraries refuse certificates of version 1, which older hosts made for themselves. One that is trusted by its
//! fingerprint needs nothing of what version 3 brought: only its key must sign the handshake.

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
/// Serial, algorithm, issuer, validity, subject.
const BEFORE_KEY: usize = 5;

/// The public key (SubjectPublicKeyInfo) in a certificate in DER.
pub(super) fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let (outer, _) = element(certificate, SEQUENCE)?;
    let (mut rest, _) = element(content(outer)?, SEQUENCE).map(|(signed, _)| (content(signed), ()))?;
    if let Some((_, after)) = element(rest?, VERSION) {
        rest = Some(after);
    }
    for _ in 0..BEFORE_KEY {
        rest = Some(rest?.split_at_checked(length(rest?)?)?.1);
    }
    element(rest?, SEQUENCE).map(|(key, _)| key)
}

/// The first element, if it is of this kind, and what follows it.
fn element(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    if *bytes.first()? != kind { None } else { bytes.split_at_checked(length(bytes)?) }
}

/// What is in an element.
fn content(element: &[u8]) -> Option<&[u8]> {
    element.get(head(element)?.0..)
}

/// Bytes of the first element with its head.
fn length(bytes: &[u8]) -> Option<usize> {
    let (head, content) = head(bytes)?;
    head.checked_add(content)
}

/// Bytes of an element's head, and of its content.
fn head(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = *bytes.get(1)?;
    if first < 0x80 {
        return Some((2, first.into()));
    }
    // Certificates are shorter than 16 MiB.
    let count = usize::from(first & 0x7f);
    let digits = bytes.get(2..2 + count).filter(|_| (1..=3).contains(&count))?;
    Some((2 + count, digits.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn the_key_is_the_one_that_openssl_finds_in_certificates_of_version_1_and_3() {
        let folder = tempfile::tempdir().unwrap();
        let script = "openssl req -new -newkey rsa:2048 -nodes -keyout key -subj /CN=xen1 -out request &&
            openssl x509 -req -in request -signkey key -out v1 && openssl req -x509 -key key -subj /CN=xen1 -out v3 &&
            openssl pkey -in key -pubout -outform DER -out public";
        let made = Command::new("sh").args(["-ec", script]).current_dir(&folder).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let expected = std::fs::read(folder.path().join("public")).unwrap();
        for name in ["v1", "v3"] {
            let der = CertificateDer::from_pem_file(folder.path().join(name)).unwrap();
            assert_eq!(public_key(&der), Some(expected.as_slice()), "{name}");
            // Cut or spoilt anywhere, it is refused or read, and never read past its end.
            for end in 0..der.len() {
                public_key(&der[..end]);
                let mut spoilt = der.to_vec();
                spoilt[end] ^= 0xff;
                public_key(&spoilt);
            }
        }
    }
}
