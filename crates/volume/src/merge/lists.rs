//! Lists of lines, and `/etc/environment`.
//!
//! Rules:
//! - [`Lines`]: a line is its own record, so lines that layers add are all there, once for each time one file has them.
//! - [`LastField`]: a line is known by its last field (ucf: the configuration file it is about).
//! - [`Environment`]: a line is known by the name of its variable. One whose name ends in `PATH` is a list: it has what is
//!   there, without the entries that the layer took away and with those that it added behind.

use std::collections::BTreeMap;

use shale_disk::Result;

use super::Terms;
use super::records::{Difference, Form, Records, find, joined_list, lines};

/// `/etc/shells` and others where every line stands for itself.
pub struct Lines;

impl Form for Lines {
    const NAME: &'static str = "lines";

    fn parse(&self, file: &[u8]) -> Result<Records> {
        let file = file.strip_suffix(b"\n").unwrap_or(file);
        if file.is_empty() {
            return Ok(Records::new());
        }
        let mut count: BTreeMap<&[u8], u32> = BTreeMap::new();
        let mut key = |line| {
            let count = count.entry(line).or_default();
            *count += 1;
            [line, b"\n", &count.to_be_bytes()[..]].concat()
        };
        Ok(file.split(|byte| *byte == b'\n').map(|line| (key(line), line.to_vec())).collect())
    }
}

/// Lines of fields between blanks, of which the last is what a line is about.
pub struct LastField;

impl Form for LastField {
    const NAME: &'static str = "last-field";

    fn parse(&self, file: &[u8]) -> Result<Records> {
        let last = |line: &[u8]| {
            line.rsplit(u8::is_ascii_whitespace).find(|field| !field.is_empty()).map(<[u8]>::to_vec)
        };
        Ok(lines(file, |line| last(line).unwrap_or_default()))
    }
}

/// `/etc/environment`: `NAME=value`, maybe in quotes.
pub struct Environment;

impl Form for Environment {
    const NAME: &'static str = "environment";

    fn parse(&self, file: &[u8]) -> Result<Records> {
        Ok(lines(file, |line| name(line).to_vec()))
    }

    fn adapt(&self, difference: &mut Difference, onto: &Records, _: &mut Terms) {
        for (key, line) in &mut difference.layer {
            let Some(there) = find(onto, key).filter(|_| key.ends_with(b"PATH")) else { continue };
            let origin = find(&difference.origin, key).map(|line| value(line)).unwrap_or_default();
            let list = joined_list(origin, value(line), value(there), b':');
            let quote: &[u8] = if there.ends_with(b"\"") { b"\"" } else { b"" };
            *line = [&there[..name(there).len()], b"=", quote, &list, quote].concat();
            difference.joined.insert(key.clone());
        }
    }
}

/// The variable of a line; of a comment the whole line.
fn name(line: &[u8]) -> &[u8] {
    match line.iter().position(|byte| *byte == b'=') {
        Some(at) if !line.trim_ascii_start().starts_with(b"#") => &line[..at],
        _ => line,
    }
}

fn value(line: &[u8]) -> &[u8] {
    let value = line.get(name(line).len() + 1..).unwrap_or_default().trim_ascii();
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::super::records::tests::merged;
    use super::*;

    #[test]
    fn lines_of_all_layers_are_there_and_their_order_stays() {
        let (shells, both) = merged(
            &Lines,
            "# shells\n/bin/sh\n\n\n",
            "# shells\n/bin/sh\n\n\n/bin/zsh\n",
            "# shells\n/bin/sh\n\n\n/bin/fish\n",
        );
        assert_eq!(shells, "# shells\n/bin/sh\n\n\n/bin/fish\n/bin/zsh\n");
        assert_eq!(both, Vec::<String>::new());
        assert_eq!(merged(&Lines, "a\nb\n", "b\n", "a\nb\nc\n").0, "b\nc\n");
        assert_eq!(merged(&Lines, "", "b\n", "").0, "b\n");
    }

    #[test]
    fn a_search_path_has_what_every_layer_added_to_it() {
        let origin = "LANG=C\nPATH=\"/bin:/usr/bin\"\n";
        let layer = "LANG=C\nPATH=\"/bin:/opt/b/bin\"\nJAVA_HOME=/j\n";
        let (environment, both) =
            merged(&Environment, origin, layer, "LANG=C\nPATH=\"/bin:/usr/bin:/opt/a/bin\"\n");
        assert_eq!(environment, "LANG=C\nPATH=\"/bin:/opt/a/bin:/opt/b/bin\"\nJAVA_HOME=/j\n");
        assert_eq!(both, Vec::<String>::new());
        let (environment, both) = merged(&Environment, "LANG=C\n", "LANG=de\n", "LANG=fr\n");
        assert_eq!((&environment[..], &both[..]), ("LANG=de\n", &["LANG".to_owned()][..]));
        assert_eq!(merged(&Environment, "", "#PATH=a\n", "#PATH=b\n").0, "#PATH=b\n#PATH=a\n");
    }

    #[test]
    fn what_a_line_is_about_is_there_once() {
        let (hashes, _) =
            merged(&LastField, "1  /etc/a\n", "2  /etc/a\n3  /etc/b\n", "1  /etc/a\n4  /etc/c\n");
        assert_eq!(hashes, "2  /etc/a\n4  /etc/c\n3  /etc/b\n");
    }
}
