//! The code that makes the first administrator: whoever reads what the server prints is the one who installed it.

use crate::error::{Error, Result};
use crate::secrets::random;
use jiff::{SignedDuration, Timestamp};

/// Letters and digits that are not taken for one another.
const LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/// How long it is taken.
const VALID: SignedDuration = SignedDuration::from_mins(30);

/// A code of 40 bits, which is plenty for half an hour of slowed guesses.
#[derive(Clone)]
pub struct SetupCode {
    /// As it is shown: `K7QF-2MZP`.
    pub text: String,
    /// Until when it is taken.
    pub expires_at: Timestamp,
}

impl SetupCode {
    /// A new one, from now on.
    pub(super) fn new() -> Result<Self> {
        let mut text: String =
            random::<8>()?.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
        text.insert(4, '-');
        let expires_at = Timestamp::now().checked_add(VALID);
        let expires_at = expires_at.map_err(|e| Error::internal("the clock is at its end").because(e))?;
        Ok(Self { text, expires_at })
    }

    pub(super) fn is_valid(&self) -> bool {
        Timestamp::now() < self.expires_at
    }

    /// Whether somebody typed this code, in whatever case, with or without its dash.
    pub(super) fn fits(&self, typed: &str) -> bool {
        let plain = |text: &str| -> Vec<u8> {
            text.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_uppercase()).collect()
        };
        super::same(&plain(typed), &plain(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_fits_as_people_type_it_until_its_time_is_over() {
        let mut code = SetupCode::new().unwrap();
        assert_eq!((code.text.len(), code.text.as_bytes()[4]), (9, b'-'));
        let sloppy = format!(" {}", code.text.to_lowercase().replace('-', " "));
        assert!(code.fits(&sloppy) && code.fits(&code.text));
        for wrong in ["", "0000-0000", &code.text[..8]] {
            assert!(!code.fits(wrong), "{wrong}");
        }
        assert!(code.is_valid());
        code.expires_at = Timestamp::now();
        assert!(!code.is_valid());
        assert_ne!(SetupCode::new().unwrap().text, code.text);
    }
}
