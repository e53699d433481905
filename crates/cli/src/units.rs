//! Sizes, durations and times as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A number of bytes in binary units with three significant digits or so: `512 B`, `1.5 GiB`, `210 MiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    // 1023.5 KiB would be written as 1024 KiB.
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 9.95 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

/// Seconds as the two largest units: `42 s`, `3 min 5 s`, `2 h 10 min`.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// An RFC 3339 time in this computer's time zone: `2026-11-22 16:40:05`. What is no time is shown as it is.
pub fn time(text: &str) -> String {
    time_in(text, TimeZone::system())
}

fn time_in(text: &str, zone: TimeZone) -> String {
    match text.parse::<Timestamp>() {
        Ok(stamp) => stamp.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// Seconds between two RFC 3339 times, when both are times and in order.
pub fn seconds_between(start: &str, end: &str) -> Option<u64> {
    let start: Timestamp = start.parse().ok()?;
    let end: Timestamp = end.parse().ok()?;
    u64::try_from(end.as_second() - start.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_never_reach_1024_of_a_unit() {
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (10 * 1024, "10 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "16 EiB"),
        ];
        for (n, text) in table {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn durations_show_two_units() {
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(185), "3 min 5 s");
        assert_eq!(duration(7800), "2 h 10 min");
    }

    #[test]
    fn times_are_local_and_what_is_no_time_is_shown_as_it_is() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(time_in("2026-11-22T22:40:05.123Z", zone.clone()), "2026-11-23 00:40:05");
        assert_eq!(time_in("soon", zone), "soon");
        assert_eq!(seconds_between("2026-11-22T00:00:00Z", "2026-11-22T00:01:05Z"), Some(65));
        assert_eq!(seconds_between("2026-11-22T00:01:05Z", "2026-11-22T00:00:00Z"), None);
    }
}
