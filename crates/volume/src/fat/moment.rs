//! Times of FAT: to two seconds, from 1980 to 2107, of a clock whose zone is not told and is taken for UTC, as Linux does it.
//!
//! ```text
//!   date   yyyyyyym mmmddddd  from 1980     0: there is none
//!   time   hhhhhmmm mmmsssss  in two seconds
//! ```

use crate::files::Moment;

const DAY: i64 = 86_400;
/// Days from 1970 to 1980, and to 2108.
const FIRST: i64 = 3652;
const BEHIND: i64 = 50_403;

/// A moment from a date, a time and hundredths of a second (0 to 199). No date, or one that cannot be: the beginning of 1970.
pub(super) fn moment(date: u16, time: u16, hundredths: u8) -> Moment {
    let (year, month, day) = (1980 + i64::from(date >> 9), i64::from(date >> 5 & 15), i64::from(date & 31));
    let (hour, minute, second) = (i64::from(time >> 11), i64::from(time >> 5 & 63), i64::from(time & 31) * 2);
    let days = days_of(year, month, day);
    if date_of(days) != (year, month, day) || hour > 23 || minute > 59 || second > 59 || hundredths > 199 {
        return Moment::default();
    }
    let seconds = days * DAY + hour * 3600 + minute * 60 + second + i64::from(hundredths / 100);
    Moment { seconds, nanoseconds: u32::from(hundredths % 100) * 10_000_000 }
}

/// Date, time and hundredths of a moment; the nearest that there are. The beginning of 1970 is no date.
pub(super) fn stamp(moment: Moment) -> (u16, u16, u8) {
    if moment == Moment::default() {
        return (0, 0, 0);
    }
    let seconds = moment.seconds.clamp(FIRST * DAY, BEHIND * DAY - 1);
    let (year, month, day) = date_of(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    let date = (year - 1980) << 9 | month << 5 | day;
    let time = (second / 3600) << 11 | (second / 60 % 60) << 5 | (second % 60 / 2);
    let hundredths = second % 2 * 100 + i64::from(moment.nanoseconds / 10_000_000).min(99);
    (date as u16, time as u16, hundredths as u8)
}

/// Days from 1970 on of a date of the Gregorian calendar, years counted from March: Howard Hinnant, "chrono-compatible low-level
/// date algorithms".
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The other way round: year, month and day.
fn date_of(days: i64) -> (i64, i64, i64) {
    let (era, of_era) = ((days + 719_468).div_euclid(146_097), (days + 719_468).rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_that_are_known_are_told() {
        let known =
            [((1980, 1, 1), FIRST), ((2000, 2, 29), 11_016), ((2108, 1, 1), BEHIND), ((2038, 1, 19), 24_855)];
        for ((year, month, day), days) in known {
            assert_eq!(days_of(year, month, day), days);
            assert_eq!(date_of(days), (year, month, day));
        }
        assert_eq!(moment(2 << 5 | 30, 0, 0), Moment::default(), "there is no 30 February");
        assert_eq!(moment(0, 0, 0), Moment::default());
        let early = Moment { seconds: -5, nanoseconds: 0 };
        assert_eq!(stamp(early), (1 << 5 | 1, 0, 0));
    }

    proptest! {
        #[test]
        fn every_time_survives(seconds in FIRST * DAY..BEHIND * DAY, hundredths in 0u32..100) {
            let at = Moment { seconds, nanoseconds: hundredths * 10_000_000 };
            let (date, time, fine) = stamp(at);
            prop_assert_eq!(moment(date, time, fine), at);
            prop_assert_eq!(stamp(moment(date, time, fine)), (date, time, fine));
        }
    }
}
