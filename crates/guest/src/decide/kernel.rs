//! Which of two kernel releases is the newer: digits compare as numbers, the rest as text, as boot loaders sort them.

use std::cmp::Ordering;

/// Compares two releases, such as `6.1.0-9-amd64` and `6.1.0-31-amd64`.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (parts(a), parts(b));
    loop {
        match (a.next().unwrap_or(Part::End), b.next().unwrap_or(Part::End)) {
            (Part::End, Part::End) => return Ordering::Equal,
            (a, b) if a != b => return a.cmp(&b),
            _ => {}
        }
    }
}

/// In their order: `6.8.0-rc7`, `6.8.0`, `6.8.0-generic`, `6.8.0-45-generic`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Candidate,
    End,
    Text(&'a str),
    /// By length without leading zeros, then by digits: numbers of any length.
    Number(usize, &'a str),
}

/// The runs of digits and of letters; what stands between them only separates.
fn parts(release: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = release;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        let first = rest.chars().next()?;
        let digits = first.is_ascii_digit();
        let end =
            rest.find(|c: char| !c.is_alphanumeric() || c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        let number = part.trim_start_matches('0');
        Some(match part {
            "rc" => Part::Candidate,
            _ if digits => Part::Number(number.len(), number),
            _ => Part::Text(part),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn releases_sort_as_people_read_them() {
        let sorted = [
            "4.18.0-553.el8.x86_64",
            "5.14.0-427.13.1.el9_4.x86_64",
            "5.14.0-427.31.1.el9_4.x86_64",
            "5.15.0-9-generic",
            "5.15.0-101-generic",
            "6.1.0-9-amd64",
            "6.1.0-31-amd64",
            "6.8.0-rc7",
            "6.8.0",
            "6.8.0-generic",
            "6.8.0-45-generic",
            "6.10.3-arch1-1",
            "6.10.3-arch1-2",
        ];
        for (place, a) in sorted.iter().enumerate() {
            for (other, b) in sorted.iter().enumerate() {
                assert_eq!(compare(a, b), place.cmp(&other), "{a} and {b}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_order_is_one(a in "[0-9acr.-]{0,8}", b in "[0-9acr.-]{0,8}", c in "[0-9acr.-]{0,8}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
        }
    }
}
