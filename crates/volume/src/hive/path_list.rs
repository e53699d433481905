//! Values that are lists of folders, which many layers add to: put together entry by entry.
//!
//! `PATH`, `PATHEXT` and `PSModulePath` of the machine (`Control\Session Manager\Environment` of a control set) and of a user
//! (`Environment`): text, entries between semicolons. An entry is the same whatever its case, and with or without a `\` at
//! its end. What the layer took away goes, what is there stays in its order, what the layer added in front of all it had
//! found comes in front, the rest behind. The text has variables (`%…%`) in it where either has.

use super::name::Name;
use super::value::{Value, kind};

const NAMES: &[&str] = &["PATH", "PATHEXT", "PSModulePath"];
const MACHINE: &[&str] = &["Control", "Session Manager", "Environment"];

/// Whether a value is such a list: `path` are the names of the keys down to its own.
pub(super) fn is_list(path: &[Name], value: &Name) -> bool {
    let is = |keys: &[Name], names: &[&str]| {
        keys.len() == names.len() && keys.iter().zip(names).all(|(key, name)| key.is(name))
    };
    let of_machine = || {
        path.split_first().is_some_and(|(set, rest)| {
            let set = set.folded().to_string();
            (set.starts_with("CONTROLSET") || set == "CURRENTCONTROLSET") && is(rest, MACHINE)
        })
    };
    NAMES.iter().any(|name| value.is(name)) && (is(path, &["Environment"]) || of_machine())
}

/// Whether its data is text as it should be.
pub(super) fn is_text(value: &Value) -> bool {
    [kind::TEXT, kind::EXPANDED_TEXT].contains(&value.kind) && value.data.len().is_multiple_of(2)
}

/// What the layer made of `was`, done to what is `there`.
pub(super) fn merged(was: &Value, layer: &Value, there: &Value) -> Value {
    let (old, new, mut list) = (entries(was), entries(layer), entries(there));
    let has = |list: &[Vec<u16>], entry: &[u16]| list.iter().any(|other| same(other, entry));
    list.retain(|entry| has(&new, entry) || !has(&old, entry));
    let first_known = new.iter().position(|entry| has(&old, entry)).unwrap_or(0);
    let added = |part: &[Vec<u16>], list: &[Vec<u16>]| -> Vec<Vec<u16>> {
        part.iter().filter(|entry| !has(&old, entry) && !has(list, entry)).cloned().collect()
    };
    let (front, behind) = (added(&new[..first_known], &list), added(&new[first_known..], &list));
    let all = [front, list, behind].concat();
    let mut text = all.join(&u16::from(b';'));
    text.push(0);
    let expanded = [layer.kind, there.kind].contains(&kind::EXPANDED_TEXT);
    Value {
        name: there.name.clone(),
        kind: if expanded { kind::EXPANDED_TEXT } else { kind::TEXT },
        data: text.into_iter().flat_map(u16::to_le_bytes).collect(),
    }
}

fn entries(value: &Value) -> Vec<Vec<u16>> {
    let units = value.data.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let text: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    let entries = text.split(|unit| *unit == u16::from(b';')).filter(|entry| !entry.is_empty());
    entries.map(<[u16]>::to_vec).collect()
}

fn same(a: &[u16], b: &[u16]) -> bool {
    let bare =
        |entry: &[u16]| Name::new(entry.strip_suffix(&[u16::from(b'\\')]).unwrap_or(entry).into()).folded();
    bare(a) == bare(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(was: &str, layer: &str, there: &str, expected: &str) {
        let [was, layer, there] = [was, layer, there].map(|text| Value::text("Path", text));
        assert_eq!(merged(&was, &layer, &there).as_text().unwrap(), expected);
    }

    #[test]
    fn what_a_layer_added_to_a_path_is_added_to_the_one_that_is_there() {
        check(r"C:\Win", r"C:\Win;C:\A", r"C:\Win;C:\B", r"C:\Win;C:\B;C:\A");
        check(r"C:\Win", r"C:\J;C:\Win;C:\A", r"C:\Win;C:\B", r"C:\J;C:\Win;C:\B;C:\A");
        check(r"C:\Win;C:\Old", r"C:\Win", r"C:\Win;C:\B;c:\old\", r"C:\Win;C:\B");
        check(r"C:\Win", r"C:\Win;C:\A", r"C:\Win;c:\a\", r"C:\Win;c:\a\");
        check("", r"C:\A;C:\B", r"C:\Win", r"C:\Win;C:\A;C:\B");
    }

    #[test]
    fn a_path_with_variables_stays_one() {
        let plain = Value::text("Path", "C:\\Win");
        let expanded = Value { kind: kind::EXPANDED_TEXT, ..Value::text("Path", "%SystemRoot%") };
        assert_eq!(merged(&plain, &plain, &expanded).kind, kind::EXPANDED_TEXT);
        assert_eq!(merged(&plain, &expanded, &plain).kind, kind::EXPANDED_TEXT);
        assert_eq!(merged(&plain, &plain, &plain).kind, kind::TEXT);
    }

    #[test]
    fn lists_are_those_of_the_machine_and_of_users() {
        let path = |path: &str| path.split('\\').map(Name::from).collect::<Vec<_>>();
        for (key, value, expected) in [
            (r"ControlSet001\Control\Session Manager\Environment", "Path", true),
            (r"CurrentControlSet\control\session manager\environment", "PATHEXT", true),
            (r"ControlSet001\Control\Session Manager\Environment", "TEMP", false),
            (r"Control\Session Manager\Environment", "Path", false),
            ("Environment", "psmodulepath", true),
            (r"Software\Environment", "Path", false),
        ] {
            assert_eq!(is_list(&path(key), &value.into()), expected, "{key} {value}");
        }
    }
}
