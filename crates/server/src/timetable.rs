//! When a schedule is due: its words, and the next moment they name. Pure.
//!
//! ```text
//!   every day 22:00                      each day
//!   every monday, thursday 22:00         each of these days of the week ("and" serves as well as a comma)
//!   every second tuesday 22:00           the second Tuesday of each month (first … fourth, last)
//!   every 15th 22:00                     that day of each month that has it
//!   every last day 22:00                 the last day of each month
//! ```
//!
//! Words in any case; times of 24 hours, in the schedule's own time zone. A time that a clock change leaves out is an hour later; one
//! that comes twice is the first of the two.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::fmt;

/// How many days are looked at for the next one: the 29th of February may be eight years away.
const DAYS: u32 = 366 * 9;

/// What is said of words that are none.
const GRAMMAR: &str = "say 'every day 22:00', 'every monday, thursday 22:00', 'every second tuesday 22:00' (of each month; first to \
                       fourth, last), 'every 15th 22:00' or 'every last day 22:00'";

/// When something is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    days: Days,
    at: Time,
}

/// On which days.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    Every,
    Weekly(Vec<Weekday>),
    /// 1 to 4, or -1 for the last one of each month.
    Nth(i8, Weekday),
    /// 1 to 31.
    Monthly(i8),
    LastOfMonth,
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

const ORDINALS: [(&str, i8); 5] = [("first", 1), ("second", 2), ("third", 3), ("fourth", 4), ("last", -1)];

fn weekday(word: &str) -> Option<Weekday> {
    WEEKDAYS.iter().find(|(name, _)| *name == word).map(|(_, day)| *day)
}

fn ordinal(word: &str) -> Option<i8> {
    ORDINALS.iter().find(|(name, _)| *name == word).map(|(_, nth)| *nth)
}

impl Timetable {
    /// Reads the words above.
    ///
    /// # Errors
    ///
    /// What is not understood, and what is: a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).ok_or_else(|| format!("'{text}' is not understood: {GRAMMAR}."))
    }

    fn read(text: &str) -> Option<Self> {
        let text = text.to_lowercase().replace(',', " ");
        let words: Vec<&str> = text.split_whitespace().filter(|word| *word != "and").collect();
        let ["every", days @ .., time] = &words[..] else { return None };
        Some(Self { days: Days::read(days)?, at: read_time(time)? })
    }

    /// The first moment after `after` that it names; none in a calendar without such days.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut date = after.to_zoned(zone.clone()).date();
        for _ in 0..DAYS {
            if self.days.has(date) {
                let moment = zone.to_zoned(date.to_datetime(self.at)).ok()?.timestamp();
                if moment > after {
                    return Some(moment);
                }
            }
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }
}

/// `22:00`: hours of one or two digits, minutes of two.
fn read_time(word: &str) -> Option<Time> {
    let (hour, minute) = word.split_once(':')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i8>().ok())?;
    if !(1..=2).contains(&hour.len()) || minute.len() != 2 {
        return None;
    }
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

impl Days {
    fn read(words: &[&str]) -> Option<Self> {
        match words {
            ["day"] => Some(Self::Every),
            ["last", "day"] => Some(Self::LastOfMonth),
            [nth, day] if ordinal(nth).is_some() => Some(Self::Nth(ordinal(nth)?, weekday(day)?)),
            [day] if day.starts_with(|c: char| c.is_ascii_digit()) => {
                let number = ["st", "nd", "rd", "th"].iter().find_map(|end| day.strip_suffix(end))?;
                number.parse().ok().filter(|day| (1..=31).contains(day)).map(Self::Monthly)
            }
            [_, ..] => {
                let mut days: Vec<Weekday> = words.iter().map(|word| weekday(word)).collect::<Option<_>>()?;
                days.sort_by_key(|day| day.to_monday_zero_offset());
                days.dedup();
                Some(Self::Weekly(days))
            }
            [] => None,
        }
    }

    fn has(&self, date: Date) -> bool {
        match self {
            Self::Every => true,
            Self::Weekly(days) => days.contains(&date.weekday()),
            Self::Nth(-1, day) => date.weekday() == *day && date.day() > date.days_in_month() - 7,
            Self::Nth(nth, day) => date.weekday() == *day && (date.day() - 1) / 7 + 1 == *nth,
            Self::Monthly(day) => date.day() == *day,
            Self::LastOfMonth => date.day() == date.days_in_month(),
        }
    }
}

impl fmt::Display for Timetable {
    /// The words, in one form for all that mean the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |day: &Weekday| WEEKDAYS[day.to_monday_zero_offset() as usize].0;
        let days = match &self.days {
            Days::Every => "day".to_owned(),
            Days::Weekly(days) => days.iter().map(name).collect::<Vec<_>>().join(", "),
            Days::Nth(nth, day) => {
                let nth = ORDINALS.iter().find(|(_, number)| number == nth).map_or("", |(word, _)| word);
                format!("{nth} {}", name(day))
            }
            Days::Monthly(day) => {
                let end = match day {
                    1 | 21 | 31 => "st",
                    2 | 22 => "nd",
                    3 | 23 => "rd",
                    _ => "th",
                };
                format!("{day}{end}")
            }
            Days::LastOfMonth => "last day".to_owned(),
        };
        write!(f, "every {days} {:02}:{:02}", self.at.hour(), self.at.minute())
    }
}

/// The time zone of this name in the IANA database: `UTC`, `Europe/Berlin`.
///
/// # Errors
///
/// A name that there is not: a sentence.
pub fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| {
        format!("'{name}' is no time zone that this host knows: say one such as UTC or Europe/Berlin.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn due(words: &str, zone_name: &str, after: &str, count: usize) -> Vec<String> {
        let (table, zone) = (Timetable::parse(words).unwrap(), zone(zone_name).unwrap());
        let mut at: Timestamp = after.parse().unwrap();
        let mut found = Vec::new();
        for _ in 0..count {
            at = table.next(at, &zone).unwrap();
            found.push(at.to_string());
        }
        found
    }

    #[test]
    fn each_form_names_its_days() {
        // The 23rd of November 2026 is a Monday.
        let after = "2026-11-23T22:00:00Z";
        for (words, expected) in [
            ("every day 22:00", ["2026-11-24", "2026-11-25", "2026-11-26"]),
            ("every Monday and Thursday 22:00", ["2026-11-26", "2026-11-30", "2026-12-03"]),
            ("every thursday, monday 22:00", ["2026-11-26", "2026-11-30", "2026-12-03"]),
            ("every second Tuesday 22:00", ["2026-12-08", "2027-01-12", "2027-02-09"]),
            ("every first tuesday 22:00", ["2026-12-01", "2027-01-05", "2027-02-02"]),
            ("every last friday 22:00", ["2026-11-27", "2026-12-25", "2027-01-29"]),
            ("every 31st 22:00", ["2026-12-31", "2027-01-31", "2027-03-31"]),
            ("every last day 22:00", ["2026-11-30", "2026-12-31", "2027-01-31"]),
        ] {
            let expected: Vec<_> = expected.iter().map(|day| format!("{day}T22:00:00Z")).collect();
            assert_eq!(due(words, "UTC", after, 3), expected, "{words}");
        }
        assert_eq!(due("every 29th 1:00", "UTC", "2027-02-01T00:00:00Z", 1), ["2027-03-29T01:00:00Z"]);
    }

    #[test]
    fn a_time_is_that_of_its_zone_and_a_clock_change_neither_drops_nor_doubles_it() {
        assert_eq!(
            due("every day 02:30", "Europe/Berlin", "2026-03-28T00:00:00Z", 3),
            ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"],
            "on the 29th there is no 02:30: it is 03:30"
        );
        assert_eq!(
            due("every day 02:30", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
            "on the 25th there are two: it is the first"
        );
    }

    #[test]
    fn what_is_not_understood_is_refused_with_what_is() {
        for words in [
            "",
            "every",
            "22:00",
            "every day",
            "every day 24:00",
            "every day 22:0",
            "every day +2:00",
            "every fifth tuesday 22:00",
            "every other tuesday 22:00",
            "every second 22:00",
            "every 0th 22:00",
            "every 32nd 22:00",
            "every second tuesday monday 22:00",
            "each day 22:00",
        ] {
            let why = Timetable::parse(words).unwrap_err();
            assert!(why.contains("every second tuesday 22:00"), "{why}");
        }
        assert!(zone("Mars/Olympus").is_err());
    }

    proptest! {
        #[test]
        fn no_words_make_it_panic(words in ".{0,60}") {
            let _ = Timetable::parse(&words);
        }

        #[test]
        fn what_it_says_of_itself_means_the_same(day in 1i8..=31, nth in 0usize..5, weekday in 0usize..7, hour in 0i8..24) {
            let (nth, weekday) = (ORDINALS[nth].0, WEEKDAYS[weekday].0);
            for words in [format!("every {nth} {weekday} {hour}:05"), format!("every {weekday} {hour}:05")] {
                let table = Timetable::parse(&words).unwrap();
                prop_assert_eq!(Timetable::parse(&table.to_string()).unwrap(), table);
            }
            let table = Timetable { days: Days::Monthly(day), at: Time::new(hour, 5, 0, 0).unwrap() };
            prop_assert_eq!(Timetable::parse(&table.to_string()).unwrap(), table);
        }

        #[test]
        fn the_next_moment_is_always_later(seconds in 0i64..4_000_000_000, nth in 0usize..5, weekday in 0usize..7) {
            let words = format!("every {} {} 02:30", ORDINALS[nth].0, WEEKDAYS[weekday].0);
            let after = Timestamp::from_second(seconds).unwrap();
            let next = Timetable::parse(&words).unwrap().next(after, &zone("Europe/Berlin").unwrap()).unwrap();
            prop_assert!(next > after && next.duration_since(after) < jiff::SignedDuration::from_hours(24 * 64));
        }
    }
}
