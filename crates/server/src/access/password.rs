//! Hashes of passwords: argon2id, a few at once.

use crate::error::{Error, Result};
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Memory, passes and lanes: what RFC 9106, section 4, recommends where memory is scarce, in one lane, as two of them
/// share two processors. A guess costs its maker the same 64 MiB.
const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// How many are hashed at once: they take 128 MiB together, however many people sign in.
const AT_ONCE: usize = 2;
/// How long somebody waits for their turn.
const PATIENCE: Duration = Duration::from_secs(20);

/// A hash that no password has, as far as anybody can find out: compared with where there is no such user, so that this
/// takes as long.
const DECOY: &str =
    "$argon2id$v=19$m=65536,t=3,p=1$c2hhbGUgZGVjb3kgc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and compares passwords.
pub struct Passwords {
    turns: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Passwords {
    /// The hash of a password, as a PHC string.
    pub async fn hash(&self, password: String) -> Result<String> {
        self.in_turn(move || hashed(password.as_bytes())).await?
    }

    /// Whether `password` is the one of this hash. Without a hash it is not, after the same time.
    pub async fn fits(&self, password: String, hash: Option<String>) -> Result<bool> {
        let is_real = hash.is_some();
        let hash = hash.unwrap_or_else(|| DECOY.into());
        let fits = self.in_turn(move || compare(&hash, password.as_bytes())).await??;
        Ok(fits && is_real)
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Error::too_many("Many people are signing in right now.", Duration::from_secs(5)));
        };
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|e| Error::internal("a password was not hashed").because(e))
    }
}

fn hasher() -> Result<Argon2<'static>> {
    let parameters = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let parameters =
        parameters.map_err(|e| Error::internal(format!("argon2's parameters are wrong: {e}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

fn hashed(password: &[u8]) -> Result<String> {
    let hash = hasher()?.hash_password(password);
    Ok(hash.map_err(|e| Error::internal(format!("a password cannot be hashed: {e}")))?.to_string())
}

fn compare(hash: &str, password: &[u8]) -> Result<bool> {
    let hash = PasswordHash::new(hash)
        .map_err(|e| Error::internal(format!("the catalog holds an unreadable password hash: {e}")))?;
    Ok(hasher()?.verify_password(password, &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_fits_its_password_only_and_says_how_it_was_made() {
        let passwords = Passwords::default();
        let hash = passwords.hash("four words in row".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("four words in row".into()).await.unwrap(), "salted");
        let cost = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(cost(DECOY), cost(&hash), "an unknown user takes as long");
        assert_eq!(compare(DECOY, b"").ok(), Some(false));
        for (word, known, fits) in [
            ("four words in row", true, true),
            ("Four words in row", true, false),
            ("", true, false),
            ("four words in row", false, false),
        ] {
            let hash = known.then(|| hash.clone());
            assert_eq!(passwords.fits(word.into(), hash).await.unwrap(), fits, "{word} {known}");
        }
        assert!(passwords.fits("x".into(), Some("plain".into())).await.is_err());
    }
}
