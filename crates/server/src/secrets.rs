//! Secrets in connector configurations: sealed in the catalog, open only on the way to the connector, never shown.
//!
//! ```text
//!   request  "password": "…"  ──seal──▶  catalog  "password": {"sealed": "<nonce, text, tag in hex>"}
//!                                           │──open──▶ connector  "password": "…"
//!                                           └──hide──▶ views      (left out; its name stands in `secrets`)
//! ```
//!
//! ChaCha20-Poly1305 with a key of the data directory's own (`seal.key`, 0600). A sealed text is bound to its
//! configuration and field: moved elsewhere, it does not open. A copy of the catalog alone gives no secret away.

use crate::error::{Error, Result};
use crate::place::write_secret;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde_json::{Map, Value, json};
use shale_connector::Input;
use std::path::Path;
use uuid::Uuid;

/// Bytes of the key.
const KEY: usize = 32;
/// What stands in the catalog in place of a secret.
const SEALED: &str = "sealed";

/// Seals and opens secrets with a data directory's key.
pub struct Secrets {
    key: LessSafeKey,
}

impl Secrets {
    /// With the key in the file `path`; made where there is none.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let bytes = random::<KEY>()?.to_vec();
                write_secret(path, &bytes)?;
                bytes
            }
            Err(e) => return Err(Error::unavailable(format!("{} cannot be read", path.display())).because(e)),
        };
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| {
            Error::unavailable(format!(
                "{} is no key of {KEY} bytes: put the right one back from a backup",
                path.display()
            ))
        })?;
        Ok(Self { key: LessSafeKey::new(key) })
    }

    /// The settings with their secrets sealed, fit for the catalog. What is sealed already stays so.
    pub fn seal(&self, connector: Uuid, kind: &str, mut settings: Value) -> Result<Value> {
        let Value::Object(map) = &mut settings else { return Ok(settings) };
        for name in secret_fields(kind) {
            match map.get(name) {
                Some(Value::String(text)) => {
                    let sealed = self.seal_text(&bound_to(connector, name), text)?;
                    map.insert(name.to_owned(), json!({ SEALED: sealed }));
                }
                // Anything else would be quoted in an error, and so in the log.
                Some(other) if other.get(SEALED).is_none() => {
                    return Err(Error::field(
                        &format!("/settings/{name}"),
                        format!("The {name} must be text."),
                    ));
                }
                _ => {}
            }
        }
        Ok(settings)
    }

    /// The settings as the connector needs them.
    pub fn open(&self, connector: Uuid, kind: &str, settings: &Value) -> Result<Value> {
        let mut settings = settings.clone();
        let Value::Object(map) = &mut settings else { return Ok(settings) };
        for name in secret_fields(kind) {
            if let Some(sealed) = map.get(name).and_then(|value| value.get(SEALED)).and_then(Value::as_str) {
                let text = self.open_text(&bound_to(connector, name), sealed).ok_or_else(|| {
                    let text =
                        format!("The stored {name} cannot be opened with this server's key: set it again.");
                    Error::unavailable(text)
                })?;
                map.insert(name.to_owned(), Value::String(text));
            }
        }
        Ok(settings)
    }

    fn seal_text(&self, context: &str, text: &str) -> Result<String> {
        let nonce = random::<NONCE_LEN>()?;
        let mut bytes = text.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut bytes)
            .map_err(|_| Error::internal("a secret could not be sealed"))?;
        Ok(nonce.iter().chain(&bytes).map(|byte| format!("{byte:02x}")).collect())
    }

    fn open_text(&self, context: &str, sealed: &str) -> Option<String> {
        let digits = sealed.as_bytes().chunks(2);
        let bytes: Option<Vec<u8>> =
            digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect();
        let mut bytes = bytes?;
        let nonce = Nonce::try_assume_unique_for_key(bytes.get(..NONCE_LEN)?).ok()?;
        let open = self.key.open_within(nonce, Aad::from(context), &mut bytes, NONCE_LEN..).ok()?;
        String::from_utf8(open.to_vec()).ok()
    }
}

/// The settings without their secrets, for everyone to see, and the names of those that are set.
pub fn hide(kind: &str, mut settings: Value) -> (Value, Vec<String>) {
    let Value::Object(map) = &mut settings else { return (settings, Vec::new()) };
    let set = take_secrets(kind, map).into_iter().map(|(name, _)| name).collect();
    (settings, set)
}

/// Refuses `settings` that use a secret of `stored` for somebody else than it was given for: whoever may change an
/// address would read the password there.
pub fn same_recipient(kind: &str, settings: &Value, stored: &Value) -> Result<()> {
    let Some(changed) =
        shale_connector::told_to(kind).iter().find(|name| settings.get(**name) != stored.get(**name))
    else {
        return Ok(());
    };
    let is_old = |name: &&str| {
        settings.get(*name).is_some_and(|s| s.get(SEALED).is_some() && Some(s) == stored.get(*name))
    };
    match secret_fields(kind).find(is_old) {
        None => Ok(()),
        Some(name) => {
            let text = format!("Give the {name} again: it was given for another {changed}.");
            Err(Error::field(&format!("/settings/{name}"), text))
        }
    }
}

/// The settings, with those secrets of `stored` that they do not mention: what is tried before it is stored need not
/// tell a password again, as long as it goes to the same recipient.
pub fn with_stored(kind: &str, mut settings: Value, stored: &Value) -> Value {
    if let (Value::Object(map), Value::Object(stored)) = (&mut settings, stored) {
        for (name, value) in take_secrets(kind, &mut stored.clone()) {
            map.entry(name).or_insert(value);
        }
    }
    settings
}

fn take_secrets(kind: &str, map: &mut Map<String, Value>) -> Vec<(String, Value)> {
    secret_fields(kind).filter_map(|name| Some((name.to_owned(), map.remove(name)?))).collect()
}

fn secret_fields(kind: &str) -> impl Iterator<Item = &'static str> {
    let fields = shale_connector::fields(kind).unwrap_or_default();
    fields.iter().filter(|field| field.input == Input::Secret).map(|field| field.name)
}

fn bound_to(connector: Uuid, field: &str) -> String {
    format!("connector {connector} {field}")
}

/// Random bytes from the system.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::unavailable("the system gives no random numbers").because(e.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_opens_only_with_its_key_and_where_it_belongs() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::load(&folder.path().join("a")).unwrap();
        let sealed = secrets.seal_text("here", "s3cret é").unwrap();
        assert!(!sealed.contains("s3cret"));
        assert_ne!(sealed, secrets.seal_text("here", "s3cret é").unwrap(), "no two are alike");
        let again = Secrets::load(&folder.path().join("a")).unwrap();
        assert_eq!(again.open_text("here", &sealed).as_deref(), Some("s3cret é"));
        assert_eq!(again.open_text("there", &sealed), None);
        let other = Secrets::load(&folder.path().join("b")).unwrap();
        assert_eq!(other.open_text("here", &sealed), None);
        for spoilt in ["", "0", "zz", &sealed[..20], &sealed[..sealed.len() - 2]] {
            assert_eq!(again.open_text("here", spoilt), None, "{spoilt}");
        }
    }

    #[test]
    fn a_spoilt_key_is_refused_and_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, b"short").unwrap();
        assert!(Secrets::load(&path).err().unwrap().detail.contains("no key of 32 bytes"));
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
    }
}
