//! A packaging machine's name: `<packaging disk file name>-yyyy-MM-dd_HH-mm-ss.fff`.
//!
//! The time makes it unique and tells people how old a machine is; the form is the one that scripts for the product
//! people know already look for. The caller brings the time (UTC): there is no clock here.

use std::fmt;

/// A civil date and time, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// 1 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59 (60 in a leap second).
    pub second: u8,
    /// 0 to 999.
    pub millisecond: u16,
}

impl fmt::Display for Civil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second, millisecond } = self;
        write!(f, "{year:04}-{month:02}-{day:02}_{hour:02}-{minute:02}-{second:02}.{millisecond:03}")
    }
}

impl Civil {
    /// Length of the written form.
    const LENGTH: usize = "yyyy-MM-dd_HH-mm-ss.fff".len();

    /// Reads `yyyy-MM-dd_HH-mm-ss.fff`; anything else, or a date that no calendar has, is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: &[u8; Self::LENGTH] = text.as_bytes().try_into().ok()?;
        let marks = [(4, b'-'), (7, b'-'), (10, b'_'), (13, b'-'), (16, b'-'), (19, b'.')];
        if marks.iter().any(|(at, mark)| bytes[*at] != *mark) {
            return None;
        }
        let time = Self {
            year: number(&bytes[0..4])?,
            month: number(&bytes[5..7])? as u8,
            day: number(&bytes[8..10])? as u8,
            hour: number(&bytes[11..13])? as u8,
            minute: number(&bytes[14..16])? as u8,
            second: number(&bytes[17..19])? as u8,
            millisecond: number(&bytes[20..23])?,
        };
        time.exists().then_some(time)
    }

    fn exists(&self) -> bool {
        let leap =
            self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u8::from(leap),
            _ => return false,
        };
        self.year >= 1
            && (1..=days).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60
    }
}

/// Decimal digits only; at most four of them.
fn number(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0, |n, digit| digit.is_ascii_digit().then(|| n * 10 + u16::from(digit - b'0')))
}

/// The parts of a packaging machine's name. `Display` writes the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineName {
    /// The packaging disk's file name.
    pub disk: String,
    /// When the machine was asked for, UTC.
    pub made: Civil,
}

impl MachineName {
    /// Takes a name apart; `None` when it is not one of ours.
    pub fn parse(name: &str) -> Option<Self> {
        let split = name.len().checked_sub(Civil::LENGTH)?;
        let (disk, made) = name.split_at_checked(split)?;
        let disk = disk.strip_suffix('-').filter(|disk| !disk.is_empty())?;
        Some(Self { disk: disk.to_owned(), made: Civil::parse(made)? })
    }
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.disk, self.made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_known_name_is_written_and_read() {
        let made =
            Civil { year: 2016, month: 10, day: 18, hour: 15, minute: 29, second: 40, millisecond: 61 };
        let name = MachineName { disk: "My Platform Layer".into(), made };
        assert_eq!(name.to_string(), "My Platform Layer-2016-10-18_15-29-40.061");
        assert_eq!(MachineName::parse("My Platform Layer-2016-10-18_15-29-40.061"), Some(name));
    }

    #[test]
    fn what_is_not_a_machine_name_is_not_taken_for_one() {
        for name in [
            "",
            "-2016-10-18_15-29-40.061",
            "2016-10-18_15-29-40.061",
            "disk_2016-10-18_15-29-40.061",
            "disk-2016-10-18_15-29-40",
            "disk-2016-10-18_15-29-40.06x",
            "disk-2016-13-18_15-29-40.061",
            "disk-2015-02-29_15-29-40.061",
            "disk-1900-02-29_15-29-40.061",
            "disk-2016-04-31_15-29-40.061",
            "disk-2016-10-18_24-29-40.061",
            "disk-2016-10-18 15-29-40.061",
            "disk-+016-10-18_15-29-40.061",
            "ä016-10-18_15-29-40.061",
        ] {
            assert_eq!(MachineName::parse(name), None, "{name:?}");
        }
        assert!(MachineName::parse("disk-2000-02-29_15-29-60.061").is_some());
    }

    proptest! {
        #[test]
        fn every_name_reads_back_as_written(
            disk in "[^/\\\\\\p{Cc}]{1,40}", year in 1u16..=9999, month in 1u8..=12, day in 1u8..=28,
            hour in 0u8..24, minute in 0u8..60, second in 0u8..60, millisecond in 0u16..1000,
        ) {
            let name = MachineName { disk, made: Civil { year, month, day, hour, minute, second, millisecond } };
            prop_assert_eq!(MachineName::parse(&name.to_string()), Some(name));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*") {
            let _ = MachineName::parse(&text);
        }
    }
}
