//! What dpkg, apt and debconf know of packages. Files of `/var/lib/dpkg/info` are a package's own and need no rule.
//!
//! Rules:
//! - [`Packages`], `/var/lib/dpkg/status` and others of paragraphs: a package (of one architecture) is as the layer left it if
//!   the layer installed, upgraded, removed or configured it, else as it is below. A package that both changed is told: its
//!   files come from the layer, too, so that the list is true, but what depends on it should be looked at (`dpkg --audit`).
//! - [`Questions`], of debconf: the same by a question's name.
//! - [`Diversions`]: three lines each (what is diverted, to where, by which package), known by the first.
//! - [`Overrides`], of owners and modes: known by the path, which is the fourth field to the end.

use std::collections::BTreeSet;

use shale_disk::{Error, ErrorKind, Result};

use super::records::{Form, Records, lines, put_by};

/// Paragraphs known by `Package` and `Architecture`.
pub struct Packages;

impl Form for Packages {
    const NAME: &'static str = "dpkg-packages";

    fn parse(&self, file: &[u8]) -> Result<Records> {
        paragraphs(file, |paragraph| {
            let package = field(paragraph, b"Package:")?;
            Some([package, field(paragraph, b"Architecture:").unwrap_or_default()].join(&b':'))
        })
    }

    fn print(&self, records: &Records) -> Vec<u8> {
        print_paragraphs(records)
    }
}

/// Paragraphs known by `Name`.
pub struct Questions;

impl Form for Questions {
    const NAME: &'static str = "debconf-questions";

    fn parse(&self, file: &[u8]) -> Result<Records> {
        paragraphs(file, |paragraph| field(paragraph, b"Name:").map(<[u8]>::to_vec))
    }

    fn print(&self, records: &Records) -> Vec<u8> {
        print_paragraphs(records)
    }
}

/// `/var/lib/dpkg/diversions`.
pub struct Diversions;

impl Form for Diversions {
    const NAME: &'static str = "dpkg-diversions";

    fn parse(&self, file: &[u8]) -> Result<Records> {
        let lines: Vec<&[u8]> = file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let (diversions, rest) = lines.as_chunks::<3>();
        if !rest.is_empty() {
            return Err(Error::new(ErrorKind::Corrupt, "dpkg's list of diversions is cut off"));
        }
        Ok(diversions.iter().map(|diversion| (diversion[0].to_vec(), diversion.join(&b'\n'))).collect())
    }
}

/// `/var/lib/dpkg/statoverride`.
pub struct Overrides;

impl Form for Overrides {
    const NAME: &'static str = "dpkg-overrides";

    fn parse(&self, file: &[u8]) -> Result<Records> {
        Ok(lines(file, |line| line.splitn(4, |byte| *byte == b' ').last().unwrap_or_default().to_vec()))
    }
}

/// Packages of the list `status` that need one which is not in it, and which `difference` (of another layer) would bring: the two
/// names.
pub fn lacking(status: &[u8], difference: &[u8]) -> Result<Vec<(String, String)>> {
    let there = Packages.parse(status)?;
    let brought = put_by(difference)?;
    let names = |records: &Records| -> BTreeSet<Vec<u8>> {
        records.iter().flat_map(|(_, text)| provided(text)).collect()
    };
    let (there_names, brought_names) = (names(&there), names(&brought));
    let mut lacking = Vec::new();
    for (_, paragraph) in &there {
        let lines: Vec<&[u8]> = paragraph.split(|byte| *byte == b'\n').collect();
        let needs = [&b"Depends:"[..], b"Pre-Depends:"].into_iter().filter_map(|name| field(&lines, name));
        for need in needs.flat_map(|needs| needs.split(|byte| *byte == b',')) {
            let alternatives: Vec<Vec<u8>> = need.split(|byte| *byte == b'|').map(bare).collect();
            let found = alternatives.iter().find(|name| brought_names.contains(*name));
            if let (Some(found), false) = (found, alternatives.iter().any(|name| there_names.contains(name)))
            {
                let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
                lacking.push((text(field(&lines, b"Package:").unwrap_or_default()), text(found)));
            }
        }
    }
    Ok(lacking)
}

/// The name of an installed package, and what it stands for.
fn provided(paragraph: &[u8]) -> Vec<Vec<u8>> {
    let lines: Vec<&[u8]> = paragraph.split(|byte| *byte == b'\n').collect();
    if !field(&lines, b"Status:").is_some_and(|status| status.ends_with(b" installed")) {
        return Vec::new();
    }
    let provides = field(&lines, b"Provides:").unwrap_or_default();
    let provides = provides.split(|byte| *byte == b',').filter(|name| !name.is_empty());
    field(&lines, b"Package:").into_iter().chain(provides).map(bare).collect()
}

/// A package's name without version and architecture.
fn bare(name: &[u8]) -> Vec<u8> {
    let name = name.trim_ascii();
    let end = name.iter().position(|byte| matches!(byte, b' ' | b'(' | b':')).unwrap_or(name.len());
    name[..end].to_vec()
}

fn paragraphs(file: &[u8], key: impl Fn(&[&[u8]]) -> Option<Vec<u8>>) -> Result<Records> {
    let mut records = Records::new();
    let mut paragraph: Vec<&[u8]> = Vec::new();
    for line in file.split(|byte| *byte == b'\n').chain([&b""[..]]) {
        if !line.is_empty() {
            paragraph.push(line);
        } else if !paragraph.is_empty() {
            let text = "a list of packages has a paragraph without a name";
            let key = key(&paragraph).ok_or_else(|| Error::new(ErrorKind::Corrupt, text))?;
            records.push((key, paragraph.join(&b'\n')));
            paragraph.clear();
        }
    }
    Ok(records)
}

fn field<'a>(paragraph: &[&'a [u8]], name: &[u8]) -> Option<&'a [u8]> {
    paragraph.iter().find_map(|line| line.strip_prefix(name)).map(<[u8]>::trim_ascii)
}

fn print_paragraphs(records: &Records) -> Vec<u8> {
    records.iter().flat_map(|(_, paragraph)| [paragraph, &b"\n\n"[..]].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::super::records::tests::merged;
    use super::*;

    fn status(packages: &[(&str, &str)]) -> String {
        let paragraph = |(name, version): &(&str, &str)| {
            format!(
                "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\nDescription: x\n more\n\n"
            )
        };
        packages.iter().map(paragraph).collect()
    }

    #[test]
    fn what_the_layer_installed_upgraded_and_removed_is_done_to_a_newer_list() {
        let origin = status(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]);
        let layer = status(&[("a", "2"), ("b", "1"), ("d", "1"), ("new", "1")]);
        let onto = status(&[("a", "1"), ("b", "5"), ("c", "1"), ("d", "1"), ("other", "1")]);
        let expected = status(&[("a", "2"), ("b", "5"), ("d", "1"), ("other", "1"), ("new", "1")]);
        assert_eq!(merged(&Packages, &origin, &layer, &onto), (expected, vec![]));
    }

    #[test]
    fn a_package_that_both_upgraded_is_the_layers_and_is_told() {
        let one = |version| status(&[("a", version)]);
        assert_eq!(
            merged(&Packages, &one("1"), &one("2"), &one("3")),
            (one("2"), vec!["a:amd64".to_owned()])
        );
    }

    #[test]
    fn a_package_that_needs_one_of_another_layer_is_found() {
        let needs = |name: &str, needs: &str| {
            status(&[(name, "1")]).replace("\nVersion", &format!("\nDepends: {needs}\nVersion"))
        };
        let platforms = status(&[("lib", "1"), ("tool", "1")])
            + &status(&[("x", "1")]).replace("Version", "Provides: virtual (= 1)\nVersion");
        let difference = Packages.difference(b"", platforms.as_bytes(), None).unwrap();
        let list = [
            needs("a", "libc6 (>= 2), lib:any (>= 1) | other"),
            needs("b", "tool | c"),
            needs("c", "virtual, unknown"),
        ];
        let found = lacking(list.concat().as_bytes(), &difference).unwrap();
        let found: Vec<_> = found.iter().map(|(a, b)| (&a[..], &b[..])).collect();
        assert_eq!(found, [("a", "lib"), ("c", "virtual")]);
    }

    #[test]
    fn one_package_of_two_architectures_is_two() {
        let both = status(&[("a", "1")]) + "Package: a\nArchitecture: i386\nVersion: 1\n\n";
        let one = status(&[("a", "1")]);
        assert_eq!(merged(&Packages, &one, &both, &one).0, both);
    }

    #[test]
    fn a_paragraph_without_a_name_is_refused() {
        assert!(Packages.difference(b"Version: 1\n\n", b"", None).is_err());
        assert!(Diversions.difference(b"/bin/a\n/bin/b\n", b"", None).is_err());
    }

    #[test]
    fn diversions_and_overrides_of_two_layers_are_both_there() {
        let (a, b) = ("/bin/a\n/bin/a.real\npa\n", "/bin/b\n/bin/b.real\npb\n");
        assert_eq!(merged(&Diversions, "", b, a).0, format!("{a}{b}"));
        assert_eq!(merged(&Diversions, a, "", &format!("{a}{b}")).0, b);
        let (a, b) = ("root root 4755 /bin/a b\n", "root adm 0640 /var/log/x\n");
        assert_eq!(merged(&Overrides, "", b, a).0, format!("{a}{b}"));
        assert_eq!(merged(&Overrides, "", "root root 0 /bin/a b\n", a).1, ["/bin/a b"]);
    }
}
