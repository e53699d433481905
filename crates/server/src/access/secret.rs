//! Cookies and tokens: random, and kept as digests only.

use crate::error::Result;
use crate::secrets::random;
use ring::{digest as sha, hmac};

/// What a token begins with, so that people and scanners of leaked secrets know it.
const TOKEN: &str = "shale_";

/// 256 random bits, in hex.
pub fn new_secret() -> Result<String> {
    Ok(hex(&random::<32>()?))
}

/// A new token for programs.
pub fn new_token() -> Result<String> {
    Ok(format!("{TOKEN}{}", new_secret()?))
}

/// What is kept of a secret: its SHA-256. No salt and no slow hash: there is nothing to guess in 256 random bits.
pub fn digest(secret: &str) -> String {
    hex(sha::digest(&sha::SHA256, secret.as_bytes()).as_ref())
}

/// What requests of a session must repeat to show that a page of ours made them: a page of another site can have the
/// cookie sent, but not read this.
pub fn csrf_of(secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex(hmac::sign(&key, b"X-Shale-CSRF").as_ref())
}

/// Compares without telling by its time where two texts differ.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_neither_digest_nor_csrf_gives_them_away() {
        let (one, two) = (new_secret().unwrap(), new_secret().unwrap());
        assert_eq!(one.len(), 64);
        assert_ne!(one, two);
        assert_ne!(csrf_of(&one), csrf_of(&two));
        assert_ne!(csrf_of(&one), digest(&one));
        // FIPS 180-2, B.1.
        assert!(digest("abc").starts_with("ba7816bf8f01cfea"));
        assert!(new_token().unwrap().starts_with("shale_"));
        assert!(same(b"ab", b"ab") && !same(b"ab", b"ac") && !same(b"a", b"ab"));
    }
}
