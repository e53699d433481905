//! dpkg's list of packages, `/var/lib/dpkg/status`: a paragraph for each package and architecture.
//!
//! Rule: a package is as the layer left it if the layer installed, upgraded, removed or configured it, else as it is below.
//! A package that both changed is told: its files come from the layer, too, so that the list is true, but what depends on
//! it should be looked at (`dpkg --audit`).

use shale_disk::{Error, ErrorKind, Result};

use super::{Records, three_ways};

/// Longest list that is put together; a desktop's has 4 MB.
const LIMIT: usize = 64 << 20;

/// The list with what the layer did, and the packages (`name:architecture`) that both changed.
pub fn merge(origin: &[u8], layer: &[u8], onto: &[u8]) -> Result<(Vec<u8>, Vec<String>)> {
    let (merged, both) = three_ways(&paragraphs(origin)?, &paragraphs(layer)?, &paragraphs(onto)?);
    let mut bytes = Vec::new();
    for (_, paragraph) in merged {
        bytes.extend(paragraph);
        bytes.extend(b"\n\n");
    }
    Ok((bytes, both.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect()))
}

fn paragraphs(status: &[u8]) -> Result<Records> {
    if status.len() > LIMIT {
        return Err(Error::new(ErrorKind::Unsupported, "dpkg's list of packages is longer than 64 MiB"));
    }
    let mut records = Records::new();
    let mut paragraph: Vec<&[u8]> = Vec::new();
    for line in status.split(|byte| *byte == b'\n').chain([&b""[..]]) {
        if !line.is_empty() {
            paragraph.push(line);
        } else if !paragraph.is_empty() {
            records.push((key(&paragraph)?, paragraph.join(&b'\n')));
            paragraph.clear();
        }
    }
    Ok(records)
}

fn key(paragraph: &[&[u8]]) -> Result<Vec<u8>> {
    let field =
        |name: &[u8]| paragraph.iter().find_map(|line| line.strip_prefix(name)).map(<[u8]>::trim_ascii);
    let text = "dpkg's list of packages has a paragraph without a name";
    let package = field(b"Package:").ok_or_else(|| Error::new(ErrorKind::Corrupt, text))?;
    Ok([package, field(b"Architecture:").unwrap_or_default()].join(&b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(packages: &[(&str, &str)]) -> Vec<u8> {
        let paragraph = |(name, version): &(&str, &str)| {
            format!(
                "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\nDescription: x\n more\n\n"
            )
        };
        packages.iter().map(paragraph).collect::<String>().into_bytes()
    }

    #[test]
    fn what_the_layer_installed_upgraded_and_removed_is_done_to_a_newer_list() {
        let origin = status(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]);
        let layer = status(&[("a", "2"), ("b", "1"), ("d", "1"), ("new", "1")]);
        let onto = status(&[("a", "1"), ("b", "5"), ("c", "1"), ("d", "1"), ("other", "1")]);
        let (merged, both) = merge(&origin, &layer, &onto).unwrap();
        let expected = status(&[("a", "2"), ("b", "5"), ("d", "1"), ("other", "1"), ("new", "1")]);
        assert_eq!(String::from_utf8(merged).unwrap(), String::from_utf8(expected).unwrap());
        assert_eq!(both, Vec::<String>::new());
    }

    #[test]
    fn a_package_that_both_upgraded_is_the_layers_and_is_told() {
        let (merged, both) =
            merge(&status(&[("a", "1")]), &status(&[("a", "2")]), &status(&[("a", "3")])).unwrap();
        assert_eq!((merged, both), (status(&[("a", "2")]), vec!["a:amd64".to_owned()]));
    }

    #[test]
    fn one_package_of_two_architectures_is_two() {
        let foreign = b"Package: a\nArchitecture: i386\nVersion: 1\n\n";
        let both = [&status(&[("a", "1")])[..], foreign].concat();
        assert_eq!(merge(&status(&[("a", "1")]), &both, &status(&[("a", "1")])).unwrap().0, both);
    }

    #[test]
    fn a_paragraph_without_a_name_is_refused() {
        assert!(merge(b"Version: 1\n\n", b"", b"").is_err());
    }
}
