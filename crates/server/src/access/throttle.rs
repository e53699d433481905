//! Slows those down who guess passwords, by the name they guess for and by where they come from.
//!
//! ```text
//!   tries in a row   fewer than free   free   free+1   free+2   …
//!   then wait               0           1 s     2 s      4 s    … at most `longest`
//! ```
//!
//! A name's wait is at most a minute, so that nobody can be locked out by others; an address may wait long. A try counts
//! before it is judged, so that many at once are no way around. All is forgotten after an hour of quiet, and at a restart.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// After so long without a try, those before are forgotten.
const QUIET: Duration = Duration::from_secs(3600);
/// Most that are remembered; the ones that were quiet longest go first.
const REMEMBERED: usize = 10_000;

/// What tries are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The user they are for.
    Name(String),
    /// Where they come from; of IPv6, the network that one customer gets.
    Address(IpAddr),
}

impl Key {
    /// The key of a user's name, in whatever case. Its start stands for a name that is longer than any.
    pub fn name(name: &str) -> Self {
        Self::Name(name.to_lowercase().chars().take(128).collect())
    }

    /// The key of an address.
    pub fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
            v4 => v4,
        })
    }

    fn free(&self) -> u32 {
        match self {
            Self::Name(_) => 5,
            Self::Address(_) => 20,
        }
    }

    fn longest(&self) -> Duration {
        match self {
            Self::Name(_) => Duration::from_secs(60),
            Self::Address(_) => Duration::from_secs(900),
        }
    }

    /// How long to wait after so many tries.
    fn pause(&self, tries: u32) -> Duration {
        match tries.checked_sub(self.free()) {
            None => Duration::ZERO,
            Some(over) => Duration::from_secs(1 << over.min(20)).min(self.longest()),
        }
    }
}

struct Tries {
    count: u32,
    last: Instant,
}

/// Counts tries.
#[derive(Default)]
pub struct Throttle {
    tries: Mutex<HashMap<Key, Tries>>,
}

impl Throttle {
    /// Counts a try by all its keys, or says how long to wait before the next one.
    pub fn begin(&self, keys: &[Key], now: Instant) -> Result<(), Duration> {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = |key: &Key| {
            let seen = tries.get(key)?;
            let waited = now.saturating_duration_since(seen.last);
            key.pause(seen.count).checked_sub(waited).filter(|rest| !rest.is_zero())
        };
        if let Some(longest) = keys.iter().filter_map(wait).max() {
            return Err(longest);
        }
        for key in keys {
            if tries.len() >= REMEMBERED && !tries.contains_key(key) {
                let oldest = tries.iter().min_by_key(|(_, seen)| seen.last).map(|(key, _)| key.clone());
                oldest.and_then(|oldest| tries.remove(&oldest));
            }
            let seen = tries.entry(key.clone()).or_insert(Tries { count: 0, last: now });
            if now.saturating_duration_since(seen.last) > QUIET {
                seen.count = 0;
            }
            seen.count = seen.count.saturating_add(1);
            seen.last = now;
        }
        Ok(())
    }

    /// The try with these keys was right: the name is clear; for the address only this one try does not count, since
    /// somebody with a password of their own may still guess those of others.
    pub fn succeeded(&self, keys: &[Key]) {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            match (key, tries.get_mut(key)) {
                (Key::Address(_), Some(seen)) => seen.count = seen.count.saturating_sub(1),
                (Key::Name(_), Some(_)) => drop(tries.remove(key)),
                (_, None) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(name: &str, address: &str) -> [Key; 2] {
        [Key::name(name), Key::address(address.parse().unwrap())]
    }

    #[test]
    fn each_wrong_guess_for_a_name_waits_twice_as_long_up_to_a_minute_from_wherever_it_comes() {
        let throttle = Throttle::default();
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for guess in 0..15 {
            let keys = keys("Ada", &format!("10.0.{guess}.1"));
            while let Err(wait) = throttle.begin(&keys, now) {
                waits.push(wait.as_secs());
                now += wait;
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        assert!(throttle.begin(&keys("ADA", "10.9.9.9"), now).is_err(), "in whatever case");
        assert!(throttle.begin(&keys("bob", "10.9.9.9"), now).is_ok());
        assert!(throttle.begin(&keys("ada", "10.9.9.9"), now + QUIET * 2).is_ok(), "forgotten");
    }

    #[test]
    fn an_address_that_guesses_many_names_waits_and_a_password_of_its_own_does_not_clear_it() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for guess in 0..19 {
            let keys = keys(&format!("user{guess}"), &format!("2001:db8::{guess}"));
            throttle.begin(&keys, now).unwrap();
        }
        let mallory = keys("mallory", "2001:db8::1");
        throttle.begin(&mallory, now).unwrap();
        throttle.succeeded(&mallory);
        throttle.begin(&keys("user21", "2001:db8::2"), now).unwrap();
        assert_eq!(throttle.begin(&keys("user22", "2001:db8::3"), now), Err(Duration::from_secs(1)));
        assert!(throttle.begin(&keys("user22", "2001:db8:0:1::3"), now).is_ok(), "another network");
    }

    #[test]
    fn a_right_password_clears_the_name_and_what_is_remembered_is_bounded() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let ada = keys("ada", "10.0.0.1");
        for _ in 0..3 {
            for _ in 0..4 {
                throttle.begin(&ada[..1], now).unwrap();
            }
            throttle.succeeded(&ada);
        }
        for guess in 0..REMEMBERED * 2 {
            let key = Key::name(&guess.to_string());
            throttle.begin(&[key], now + Duration::from_millis(guess as u64)).unwrap();
        }
        assert_eq!(throttle.tries.lock().unwrap().len(), REMEMBERED);
    }
}
