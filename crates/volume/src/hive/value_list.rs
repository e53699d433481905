//! Values that are lists, which many layers add to: put together entry by entry.
//!
//! | value | entries |
//! |---|---|
//! | `PATH`, `PATHEXT`, `PSModulePath` of the machine and of users | between semicolons |
//! | the order of network providers | between commas |
//! | filters of a class of devices; packages of the security authority; services of a group | texts |
//!
//! An entry is the same whatever its case, and with or without a `\` at its end. What the layer took away goes, what is there
//! stays in its order, what the layer added in front of all it had found comes in front, the rest behind. A list that was not
//! there was empty. Text has variables (`%…%`) in it where either has.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::exclude::fits;
use super::name::Name;
use super::read::CURRENT;
use super::value::{Value, kind};

/// What parts the entries, by a pattern as those of [`super::exclude`].
const LISTS: &[(&str, char)] = &[
    (r"Environment\PATH", ';'),
    (r"Environment\PATHEXT", ';'),
    (r"Environment\PSModulePath", ';'),
    (r"CurrentControlSet\Control\Session Manager\Environment\PATH", ';'),
    (r"CurrentControlSet\Control\Session Manager\Environment\PATHEXT", ';'),
    (r"CurrentControlSet\Control\Session Manager\Environment\PSModulePath", ';'),
    (r"CurrentControlSet\Control\NetworkProvider\Order\ProviderOrder", ','),
    (r"CurrentControlSet\Control\NetworkProvider\HwOrder\ProviderOrder", ','),
    (r"CurrentControlSet\Control\Class\*\UpperFilters", '\0'),
    (r"CurrentControlSet\Control\Class\*\LowerFilters", '\0'),
    (r"CurrentControlSet\Control\Lsa\Authentication Packages", '\0'),
    (r"CurrentControlSet\Control\Lsa\Notification Packages", '\0'),
    (r"CurrentControlSet\Control\Lsa\Security Packages", '\0'),
    (r"Microsoft\Windows NT\CurrentVersion\Svchost\*", '\0'),
];

static PATTERNS: LazyLock<Vec<(Vec<Name>, u16)>> = LazyLock::new(|| {
    let names = |pattern: &str| pattern.split('\\').map(|name| Name::from(name).folded()).collect();
    LISTS.iter().map(|(pattern, parting)| (names(pattern), *parting as u16)).collect()
});

/// What parts the entries of a value that is such a list; `None`: it is none. `path` are the names of the keys down to its own.
pub(super) fn parting(path: &[Name], value: &Name) -> Option<u16> {
    let mut path = [path, std::slice::from_ref(value)].concat();
    if path[0].folded().to_string().starts_with("CONTROLSET") {
        path[0] = CURRENT.into();
    }
    PATTERNS.iter().find(|(pattern, _)| fits(pattern, &path)).map(|(_, parting)| *parting)
}

/// Whether a value's data is such a list. One without a byte is empty.
pub(super) fn is_list(value: &Value, parting: u16) -> bool {
    let is_kind = match parting {
        0 => value.kind == kind::TEXTS,
        _ => [kind::TEXT, kind::EXPANDED_TEXT].contains(&value.kind),
    };
    is_kind && value.data.len().is_multiple_of(2)
}

/// What a layer made a list of that was not there.
pub(super) fn empty(like: &Value) -> Value {
    Value { data: Vec::new(), ..like.clone() }
}

/// What the layer made of `was`, done to what is `there`.
pub(super) fn merged(was: &Value, layer: &Value, there: &Value, parting: u16) -> Value {
    let [old, new, mut list] = [was, layer, there].map(|value| entries(value, parting));
    let (before, wanted) = (known(&old), known(&new));
    list.retain(|entry| wanted.contains(&entry.known_as) || !before.contains(&entry.known_as));
    let present = known(&list);
    let is_added = |entry: &&Entry| !before.contains(&entry.known_as) && !present.contains(&entry.known_as);
    let first_known = new.iter().position(|entry| before.contains(&entry.known_as)).unwrap_or(0);
    let (front, behind) = new.split_at(first_known);
    let all = front.iter().filter(is_added).chain(&list).chain(behind.iter().filter(is_added));
    let mut units = all.map(|entry| &entry.units[..]).collect::<Vec<_>>().join(&parting);
    if parting == 0 && !units.is_empty() {
        units.push(0);
    }
    units.push(0);
    let expanded = [layer.kind, there.kind].contains(&kind::EXPANDED_TEXT);
    Value {
        name: there.name.clone(),
        kind: if expanded { kind::EXPANDED_TEXT } else { layer.kind },
        data: units.into_iter().flat_map(u16::to_le_bytes).collect(),
    }
}

struct Entry {
    units: Vec<u16>,
    /// What it has in common with entries that are the same.
    known_as: Name,
}

fn known(entries: &[Entry]) -> BTreeSet<Name> {
    entries.iter().map(|entry| entry.known_as.clone()).collect()
}

fn entries(value: &Value, parting: u16) -> Vec<Entry> {
    let units = value.data.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let text: Vec<u16> = units.take_while(|unit| parting == 0 || *unit != 0).collect();
    let entries = text.split(|unit| *unit == parting).filter(|entry| !entry.is_empty());
    let entry = |units: &[u16]| {
        let bare = units.strip_suffix(&[u16::from(b'\\')]).unwrap_or(units);
        Entry { units: units.to_vec(), known_as: Name::new(bare.into()).folded() }
    };
    entries.map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(was: &str, layer: &str, there: &str, expected: &str) {
        let [was, layer, there] = [was, layer, there].map(|text| Value::text("Path", text));
        assert_eq!(merged(&was, &layer, &there, ';' as u16).as_text().unwrap(), expected);
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
    fn texts_are_put_together_and_end_as_texts_do() {
        let texts = |text: &str| Value { kind: kind::TEXTS, ..Value::text("UpperFilters", text) };
        let together =
            |was: &str, layer: &str, there: &str| merged(&texts(was), &texts(layer), &texts(there), 0);
        assert_eq!(together("a\0", "a\0b\0", "c\0A\0"), texts("c\0A\0b\0"));
        assert_eq!(together("", "b\0", "c\0"), texts("c\0b\0"));
        assert_eq!(together("a\0", "", "a\0"), texts(""), "an empty list is one zero");
        assert_eq!(together("", "", "c\0no end"), texts("c\0no end\0"));
    }

    #[test]
    fn a_list_as_long_as_a_hive_takes_no_longer_than_its_length() {
        let long = |start: u32| (start..start + 50_000).map(|entry| format!("{entry};")).collect::<String>();
        let [one, two] = [0, 50_000].map(|start| Value::text("Path", &long(start)));
        let all = merged(&empty(&one), &two, &one, ';' as u16).as_text().unwrap();
        assert_eq!(all + ";", long(0) + &long(50_000));
    }

    #[test]
    fn a_path_with_variables_stays_one() {
        let plain = Value::text("Path", "C:\\Win");
        let expanded = Value { kind: kind::EXPANDED_TEXT, ..Value::text("Path", "%SystemRoot%") };
        let merged = |layer: &Value, there: &Value| merged(&plain, layer, there, ';' as u16).kind;
        assert_eq!(merged(&plain, &expanded), kind::EXPANDED_TEXT);
        assert_eq!(merged(&expanded, &plain), kind::EXPANDED_TEXT);
        assert_eq!(merged(&plain, &plain), kind::TEXT);
    }

    #[test]
    fn lists_are_known_by_their_place() {
        let path = |path: &str| path.split('\\').map(Name::from).collect::<Vec<_>>();
        for (key, value, expected) in [
            (r"ControlSet001\Control\Session Manager\Environment", "Path", Some(';')),
            (r"CurrentControlSet\control\session manager\environment", "PATHEXT", Some(';')),
            (r"ControlSet001\Control\Session Manager\Environment", "TEMP", None),
            (r"Control\Session Manager\Environment", "Path", None),
            ("Environment", "psmodulepath", Some(';')),
            (r"Software\Environment", "Path", None),
            (r"ControlSet002\Control\NetworkProvider\Order", "ProviderOrder", Some(',')),
            (r"ControlSet001\Control\Class\{1}", "upperfilters", Some('\0')),
            (r"ControlSet001\Control\Class\{1}\0000", "UpperFilters", None),
            (r"Microsoft\Windows NT\CurrentVersion\Svchost", "netsvcs", Some('\0')),
            (r"Microsoft\Windows NT\CurrentVersion\Svchost\netsvcs", "x", None),
        ] {
            let expected = expected.map(|parting| parting as u16);
            assert_eq!(parting(&path(key), &value.into()), expected, "{key} {value}");
        }
        assert_eq!(parting(&[], &"Path".into()), None);
    }

    #[test]
    fn a_list_is_what_it_should_be_by_its_type() {
        let text = Value::text("Path", "a");
        assert!(is_list(&text, ';' as u16) && !is_list(&text, 0));
        assert!(is_list(&Value { kind: kind::TEXTS, ..text.clone() }, 0));
        assert!(!is_list(&Value { data: vec![1], ..text.clone() }, ';' as u16));
        assert!(is_list(&empty(&text), ';' as u16));
    }
}
