//! The simulator's time, which a test can move on.

use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How the XenAPI writes an instant.
const FORMAT: &str = "%Y%m%dT%H:%M:%SZ";

/// A clock that runs like the host's, ahead of it by what was added.
#[derive(Debug, Default)]
pub struct Clock {
    ahead: AtomicI64,
}

impl Clock {
    /// Seconds since 1970.
    pub fn seconds(&self) -> i64 {
        Timestamp::now().as_second().saturating_add(self.ahead.load(Ordering::Relaxed))
    }

    /// Now, as the XenAPI writes it.
    pub fn now(&self) -> String {
        text(self.seconds())
    }

    /// Makes it later.
    pub fn advance(&self, by: Duration) {
        self.ahead.fetch_add(i64::try_from(by.as_secs()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

fn text(seconds: i64) -> String {
    let instant = Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_secs(seconds));
    instant.unwrap_or(Timestamp::UNIX_EPOCH).strftime(FORMAT).to_string()
}

/// Seconds since 1970 of an instant as the XenAPI writes it; 0 if it is none.
pub fn seconds(text: &str) -> i64 {
    let time = jiff::civil::DateTime::strptime(FORMAT, text);
    let instant = time.and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC));
    instant.map_or(0, |instant| instant.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_and_read_in_one_form() {
        assert_eq!(text(0), "19700101T00:00:00Z");
        assert_eq!(text(1_795_359_263), "20261122T14:54:23Z");
        assert_eq!(seconds("20261122T14:54:23Z"), 1_795_359_263);
        assert_eq!(seconds("garbage"), 0);
    }

    #[test]
    fn a_moved_clock_is_ahead() {
        let clock = Clock::default();
        let before = clock.seconds();
        clock.advance(Duration::from_secs(7200));
        assert!(clock.seconds() >= before + 7200);
    }
}
