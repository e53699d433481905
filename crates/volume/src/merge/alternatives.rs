//! Alternatives of Debian, `/var/lib/dpkg/alternatives/<name>`: which programs can stand for a name, such as `editor`.
//!
//! ```text
//!   auto                    or manual
//!   /usr/bin/editor         the link
//!   editor.1.gz             a slave's name, and
//!   /usr/share/man/…        its link; others; an empty line
//!   /bin/nano               a choice,
//!   40                      its priority,
//!   /usr/share/man/…        and its file for each slave, or an empty line; others; an empty line
//! ```
//!
//! Rule: the state and link, each slave and each choice is a record. What the slaves of a choice are is kept by their names,
//! so that lists with other slaves fit together. Which choice a link in `/etc/alternatives` leads to is the higher layer's: two that
//! differ are told.

use std::collections::BTreeMap;

use shale_disk::{Error, ErrorKind, Result};

use super::records::{Form, Records};

/// One such list.
pub struct Alternatives;

/// Choices, slaves and slaves of a choice at most.
const MOST: usize = 4096;
/// First byte of a key: in this order they are in a file.
const HEAD: u8 = 0;
const SLAVE: u8 = 1;
const CHOICE: u8 = 2;

impl Form for Alternatives {
    const NAME: &'static str = "alternatives";

    /// The record of a choice is its path, priority, and for each of its slaves that has a file: name, tab, file.
    fn parse(&self, file: &[u8]) -> Result<Records> {
        let key = |kind: u8, name: &[u8]| [&[kind], name].concat();
        let mut lines = file.split(|byte| *byte == b'\n');
        let mut records = Records::new();
        let Some(state) = lines.next().filter(|state| !state.is_empty()) else { return Ok(records) };
        let mut next = || lines.next().ok_or_else(cut_off);
        records.push((key(HEAD, b""), [state, next()?].join(&b'\n')));
        let mut slaves = Vec::new();
        loop {
            let slave = next()?;
            if slave.is_empty() {
                break;
            }
            records.push((key(SLAVE, slave), [slave, next()?].join(&b'\n')));
            slaves.push(slave);
        }
        loop {
            let choice = next()?;
            if choice.is_empty() {
                break;
            }
            let mut record = vec![choice.to_vec(), next()?.to_vec()];
            for slave in &slaves {
                let file = next()?;
                if !file.is_empty() {
                    record.push([slave, file].join(&b'\t'));
                }
            }
            records.push((key(CHOICE, choice), record.join(&b'\n')));
            if records.len() > MOST {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "a list of alternatives has too many of them",
                ));
            }
        }
        Ok(records)
    }

    fn print(&self, records: &Records) -> Vec<u8> {
        let sorted: BTreeMap<_, _> = records.iter().map(|(key, record)| (key, record)).collect();
        let of = |kind: u8| {
            sorted.iter().filter(move |(key, _)| key.first() == Some(&kind)).map(|(_, record)| &record[..])
        };
        let Some(head) = of(HEAD).next() else { return Vec::new() };
        let mut lines = vec![head];
        lines.extend(of(SLAVE));
        lines.push(b"");
        for choice in of(CHOICE) {
            let mut fields = choice.split(|byte| *byte == b'\n');
            lines.extend(fields.by_ref().take(2));
            let files: BTreeMap<&[u8], &[u8]> = fields.filter_map(slave_of).collect();
            let names = of(SLAVE).filter_map(|slave| slave.split(|byte| *byte == b'\n').next());
            lines.extend(names.map(|name| files.get(name).copied().unwrap_or_default()));
        }
        lines.extend([&b""[..], b""]);
        lines.join(&b'\n')
    }
}

/// Name and file of a slave of a choice.
fn slave_of(field: &[u8]) -> Option<(&[u8], &[u8])> {
    let tab = field.iter().position(|byte| *byte == b'\t')?;
    Some((&field[..tab], &field[tab + 1..]))
}

fn cut_off() -> Error {
    Error::new(ErrorKind::Corrupt, "a list of alternatives is cut off")
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::super::records::tests::merged;
    use super::*;

    const NANO: &str = "/bin/nano\n40\n/man/nano\n";
    const VIM: &str = "/bin/vim\n30\n/man/vim\n";
    const HEAD: &str = "auto\n/usr/bin/editor\neditor.1.gz\n/man/editor\n\n";

    #[test]
    fn choices_of_all_layers_are_there() {
        let origin = format!("{HEAD}{NANO}\n");
        let (layer, onto) = (format!("{HEAD}{NANO}{VIM}\n"), format!("{HEAD}/bin/ed\n-10\n\n{NANO}\n"));
        let (list, both) = merged(&Alternatives, &origin, &layer, &onto);
        assert_eq!((list, both), (format!("{HEAD}/bin/ed\n-10\n\n{NANO}{VIM}\n"), vec![]));
        assert_eq!(merged(&Alternatives, "", &layer, "").0, layer);
        assert_eq!(merged(&Alternatives, &layer, "", &layer).0, "");
        assert_eq!(merged(&Alternatives, &origin, &layer, &origin).0, layer);
    }

    #[test]
    fn a_slave_that_only_one_side_has_is_empty_for_the_others_choices() {
        let bare = "auto\n/usr/bin/editor\n\n/bin/ed\n-10\n\n";
        let (list, both) = merged(&Alternatives, "", &format!("{HEAD}{VIM}\n"), bare);
        assert_eq!((list, both), (format!("{HEAD}/bin/ed\n-10\n\n{VIM}\n"), vec![]));
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let whole = format!("{HEAD}{NANO}\n");
        assert!(Alternatives.difference(whole.as_bytes(), b"", None).is_ok());
        assert!(Alternatives.difference(&whole.as_bytes()[..whole.len() - 4], b"", None).is_err());
    }
}
