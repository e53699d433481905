//! The order of names as people read them: numbers in them by their value, so that 1.9 comes before 1.10.
//!
//! A collation of the database, `by_number`. (PostgreSQL has it: ICU's `und-u-kn-true`.) Names that read the same differ by their characters,
//! so that every name has one place, and a page can go on after it.

use std::cmp::Ordering;

/// How the collation is called in SQL.
pub(super) const BY_NUMBER: &str = "by_number";

/// The order of two names.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while !left.is_empty() && !right.is_empty() {
        let order = match (number(left), number(right)) {
            (Some((one, rest)), Some((other, more))) => {
                (left, right) = (rest, more);
                one.len().cmp(&other.len()).then_with(|| one.cmp(other))
            }
            _ => {
                let (mut one, mut other) = (left.chars(), right.chars());
                let order = one.next().cmp(&other.next());
                (left, right) = (one.as_str(), other.as_str());
                order
            }
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// The digits that a text begins with, without leading zeros, and the rest.
fn number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (end > 0).then(|| (digits.trim_start_matches('0'), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_ordered_by_their_value_whatever_their_length() {
        let long = format!("v{}", "9".repeat(60));
        let ordered =
            ["", "0", "00", "1.9", "1.010", "1.10", "1.10 b", "2", "10", "a", "v2", "v10", &long, "ä1"];
        for (i, a) in ordered.iter().enumerate() {
            for (j, b) in ordered.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} and {b}");
            }
        }
    }
}
