//! What a plan makes of a few changes.

use super::*;
use crate::files::{Attributes, Entry, Facts, Moment, Stream};
use crate::known::Known;

fn item(kind: Kind, mode: u16, body: Body) -> Change {
    let facts = Facts { mode, ..Facts::default() };
    Change::Put(Item { kind, facts, attributes: Attributes::new(), body })
}

fn file(byte: u8) -> Change {
    item(Kind::File, 0o644, Body::New(streams(byte)))
}

fn streams(byte: u8) -> Streams {
    let digest = [byte; 32];
    let content =
        Content { size: 1, ranges: std::iter::once(0..1).collect(), compressed: false, digest, offset: 0 };
    Streams::from([(Vec::new(), content)])
}

fn folder() -> Change {
    item(Kind::Folder, 0o755, Body::New(Streams::new()))
}

fn delta(changes: &[(&str, Change)]) -> Delta {
    delta_of(Known::Ext, changes)
}

fn ntfs(changes: &[(&str, Change)]) -> Delta {
    delta_of(Known::Ntfs, changes)
}

fn delta_of(kind: Known, changes: &[(&str, Change)]) -> Delta {
    let changes = changes.iter().map(|(path, change)| (path.as_bytes().to_vec(), change.clone())).collect();
    let delta = Delta { kind, changes, was: BTreeMap::new() };
    delta.check().unwrap();
    delta
}

fn base(paths: &[(&str, Kind)]) -> Tree {
    let entry = |kind: &Kind| Entry {
        node: 1,
        kind: kind.clone(),
        facts: Facts::default(),
        links: 1,
        attributes: Attributes::new(),
        streams: vec![Stream { name: Vec::new(), size: 1 }],
    };
    Tree(paths.iter().map(|(path, kind)| (path.as_bytes().to_vec(), entry(kind))).collect())
}

fn told(plan: &Plan) -> Vec<(&str, usize)> {
    plan.changes.iter().map(|(path, planned)| (std::str::from_utf8(path).unwrap(), planned.layer)).collect()
}

fn why(plan: &Plan) -> Vec<(&str, usize, Why)> {
    let told = |conflict: &'_ Conflict| (conflict.loser, conflict.why);
    plan.conflicts.iter().map(|c| (std::str::from_utf8(&c.path).unwrap(), told(c).0, told(c).1)).collect()
}

/// What is planned for the content of an entry.
fn body(plan: &Plan, path: &[u8]) -> Body {
    match &plan.changes[path].change {
        Change::Put(item) => item.body.clone(),
        Change::Removed => panic!("it goes"),
    }
}

#[test]
fn the_higher_layer_wins_and_the_loss_is_told_unless_both_say_the_same() {
    let low = delta(&[("a", file(1)), ("b", file(2)), ("c", file(3))]);
    let high = delta(&[("b", file(2)), ("c", file(4))]);
    let plan = plan(&[&low, &high], &Tree::default());
    assert_eq!(told(&plan), [("a", 0), ("b", 1), ("c", 1)]);
    assert_eq!(why(&plan), [("c", 0, Why::BothChange)]);
}

#[test]
fn folders_are_merged() {
    let low = delta(&[("d", folder()), ("d/low", file(1))]);
    let high = delta(&[("d", item(Kind::Folder, 0o755, Body::Kept)), ("d/high", file(2))]);
    let plan = plan(&[&low, &high], &Tree::default());
    assert_eq!(told(&plan), [("d", 1), ("d/high", 1), ("d/low", 0)]);
    assert!(plan.conflicts.is_empty());
    let Change::Put(made) = &plan.changes[&b"d"[..]].change else { panic!() };
    assert_eq!(made.body, Body::New(Streams::new()), "somebody must make the folder");
}

#[test]
fn a_removal_yields_to_what_a_higher_layer_puts_below_it() {
    let low = delta(&[("d", Change::Removed), ("e", Change::Removed)]);
    let high = delta(&[("d/new", file(1))]);
    let plan = plan(&[&low, &high], &base(&[("d", Kind::Folder), ("e", Kind::File)]));
    assert_eq!(told(&plan), [("d/new", 1), ("e", 0)]);
    assert_eq!(why(&plan), [("d", 0, Why::StillNeeded)]);
}

#[test]
fn what_is_in_a_folder_that_a_higher_layer_removes_or_replaces_goes() {
    for change in [Change::Removed, file(9)] {
        let low = delta(&[("d", folder()), ("d.x", file(1)), ("d/a", file(1)), ("d/b", file(2))]);
        let plan = plan(&[&low, &delta(&[("d", change)])], &base(&[("d", Kind::Folder)]));
        assert_eq!(told(&plan), [("d", 1), ("d.x", 0)]);
        assert_eq!(why(&plan)[..2], [("d/a", 0, Why::FolderReplaced), ("d/b", 0, Why::FolderReplaced)]);
    }
}

#[test]
fn the_next_name_of_a_file_brings_its_content_where_the_first_is_lost() {
    let name = || item(Kind::File, 0o644, Body::NameOf(b"a".to_vec()));
    let low = delta(&[("a", file(1)), ("b", name()), ("c", name())]);
    let plan = plan(&[&low, &delta(&[("a", file(2))])], &Tree::default());
    assert_eq!(body(&plan, b"b"), Body::New(streams(1)));
    assert_eq!(body(&plan, b"c"), Body::NameOf(b"b".to_vec()));
}

#[test]
fn the_next_name_of_a_file_brings_its_content_where_the_folder_of_the_first_is_missing() {
    let name = || item(Kind::File, 0o644, Body::NameOf(b"d/a".to_vec()));
    let layer = delta(&[("d/a", file(1)), ("e/b", name()), ("e/c", name())]);
    for there in [&[("e", Kind::Folder)][..], &[("d", Kind::File), ("e", Kind::Folder)]] {
        let plan = plan(&[&layer], &base(there));
        assert_eq!(told(&plan), [("e/b", 0), ("e/c", 0)]);
        assert_eq!(why(&plan), [("d/a", 0, Why::NoFolder)]);
        assert_eq!(body(&plan, b"e/b"), Body::New(streams(1)));
        assert_eq!(body(&plan, b"e/c"), Body::NameOf(b"e/b".to_vec()));
    }
}

#[test]
fn a_change_to_what_is_not_there_is_told_unless_it_brings_all() {
    let filled = |content: Option<Content>| Body::Filled(BTreeMap::from([(Vec::new(), content)]));
    let content = streams(1).remove(&[][..]);
    let delta = delta(&[
        ("gone", Change::Removed),
        ("kept", item(Kind::File, 0, Body::Kept)),
        ("part", item(Kind::File, 0, filled(None))),
        ("whole", item(Kind::File, 0, filled(content))),
    ]);
    let plan = plan(&[&delta], &Tree::default());
    assert_eq!(told(&plan), [("whole", 0)]);
    assert_eq!(why(&plan), [("kept", 0, Why::Missing), ("part", 0, Why::Missing)]);
}

#[test]
fn a_file_is_moved_once_and_only_where_its_old_name_goes() {
    let moved = || item(Kind::File, 0o644, Body::Moved(b"d/a".to_vec()));
    let there = || base(&[("d", Kind::Folder), ("d/a", Kind::File)]);
    let low = delta(&[("d", Change::Removed), ("d/a", Change::Removed), ("low", moved())]);
    let high = delta(&[("d/a", Change::Removed), ("high", moved())]);
    assert_eq!(why(&plan(&[&low], &there())), []);
    let both = plan(&[&low, &high], &there());
    assert_eq!(told(&both), [("d", 0), ("d/a", 1), ("low", 0)]);
    assert_eq!(why(&both), [("high", 1, Why::Missing)]);
    let kept = plan(&[&low, &delta(&[("d/a", item(Kind::File, 0, Body::Kept))])], &there());
    assert_eq!(told(&kept), [("d/a", 1)]);
    assert!(why(&kept).contains(&("low", 0, Why::Missing)));
}

#[test]
fn a_link_with_another_name_may_be_where_a_moved_file_was() {
    let link = |body| item(Kind::Link { target: b"there".to_vec() }, 0o777, body);
    let layer = delta(&[
        ("a", link(Body::New(Streams::new()))),
        ("b", link(Body::NameOf(b"a".to_vec()))),
        ("c", item(Kind::File, 0o644, Body::Moved(b"b".to_vec()))),
    ]);
    let plan = plan(&[&layer], &base(&[("b", Kind::File)]));
    assert_eq!((told(&plan).len(), why(&plan)), (3, vec![]));
}

#[test]
fn a_file_that_a_lower_layer_only_describes_is_moved_where_the_disk_has_it() {
    let low = delta(&[("d/a", item(Kind::File, 0o600, Body::Kept))]);
    let high = delta(&[
        ("d", Change::Removed),
        ("d/a", Change::Removed),
        ("e", item(Kind::File, 0o600, Body::Moved(b"d/a".to_vec()))),
    ]);
    let there = base(&[("d", Kind::Folder), ("d/a", Kind::File)]);
    assert_eq!(told(&plan(&[&low, &high], &there)), [("d", 1), ("d/a", 1), ("e", 1)]);
    for lacking in [&[("d", Kind::Folder)][..], &[("d", Kind::Folder), ("d/a", Kind::Folder)]] {
        let plan = plan(&[&low, &high], &base(lacking));
        assert!(!plan.changes.contains_key(&b"e"[..]), "{lacking:?}");
        assert!(why(&plan).contains(&("e", 1, Why::Missing)), "{lacking:?}");
    }
}

fn moved(from: &str) -> Change {
    item(Kind::File, 0o644, Body::Moved(from.as_bytes().to_vec()))
}

#[test]
fn a_name_that_a_lower_layer_spelled_anew_is_one_with_the_old_spelling_above() {
    let there = base(&[("Dir", Kind::Folder), ("Dir/x", Kind::File), ("name", Kind::File)]);
    let low = ntfs(&[
        ("Dir", Change::Removed),
        ("Dir/x", Change::Removed),
        ("Name", file(1)),
        ("dir", folder()),
        ("dir/x", moved("Dir/x")),
        ("name", Change::Removed),
    ]);
    let high = ntfs(&[("Dir/X", file(3)), ("Dir/y", file(2)), ("NAME", file(4))]);
    let both = plan(&[&low, &high], &there);
    let expected =
        [("Dir", 0), ("Dir/x", 0), ("Name", 1), ("dir", 0), ("dir/x", 1), ("dir/y", 1), ("name", 0)];
    assert_eq!(told(&both), expected);
    assert_eq!(why(&both), [("Name", 0, Why::BothChange), ("dir/x", 0, Why::BothChange)]);
    let removed = plan(&[&low, &ntfs(&[("name", Change::Removed)])], &there);
    assert!(!removed.changes.contains_key(&b"Name"[..]), "it is not there, whatever its spelling");
}

#[test]
fn a_name_that_two_layers_spell_anew_is_there_once() {
    let there = base(&[("name", Kind::File)]);
    let spelled = |name| ntfs(&[(name, moved("name")), ("name", Change::Removed)]);
    let put = |plan: &Plan| {
        let put = plan.changes.iter().filter(|(_, planned)| planned.change != Change::Removed);
        put.map(|(path, planned)| (show(path), planned.from.clone())).collect::<Vec<_>>()
    };
    let from = Some(b"name".to_vec());
    let other = plan(&[&spelled("Name"), &spelled("NAME")], &there);
    assert_eq!((put(&other), why(&other)), (vec![("NAME".to_owned(), from.clone())], vec![]));
    let same = plan(&[&spelled("Name"), &spelled("Name")], &there);
    assert_eq!((put(&same), why(&same)), (vec![("Name".to_owned(), from)], vec![]));
    // A newer disk has the new spelling already.
    let done = plan(&[&spelled("Name")], &base(&[("Name", Kind::File)]));
    assert_eq!((put(&done), why(&done)), (vec![("Name".to_owned(), None)], vec![]));
}

#[test]
fn what_a_folder_that_is_spelled_anew_holds_stays_in_it() {
    let there = base(&[("Dir", Kind::Folder), ("Dir/x", Kind::File)]);
    let layer = ntfs(&[("Dir", Change::Removed), ("dir", folder()), ("dir/x", file(1))]);
    let plan = plan(&[&layer], &there);
    assert_eq!((told(&plan), why(&plan)), (vec![("Dir", 0), ("dir", 0), ("dir/x", 0)], vec![]));
}

#[test]
fn in_a_folder_with_case_every_name_is_its_own() {
    let mut there = base(&[("d", Kind::Folder), ("d/A", Kind::File), ("d/a", Kind::File)]);
    let change = ntfs(&[("d/a", file(1))]);
    assert_eq!(told(&plan(&[&change], &there)), [("d/a", 0)]);
    there.0.remove(&b"d/a"[..]);
    assert_eq!(told(&plan(&[&change], &there)), [("d/A", 0)], "it has no case");
    let versions = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    there.0.get_mut(&b"d"[..]).unwrap().attributes.insert(&b"system.ntfs_versions"[..], versions);
    assert_eq!(told(&plan(&[&change], &there)), [("d/a", 0)]);
}

#[test]
fn what_is_described_without_its_content_has_the_times_of_what_is_there() {
    let at = |seconds| Moment { seconds, nanoseconds: 0 };
    let mut there = base(&[("a", Kind::File), ("b", Kind::File), ("c", Kind::File)]);
    there.0.values_mut().for_each(|entry| (entry.facts.modified, entry.facts.born) = (at(9), at(8)));
    let timed = |seconds, body| {
        let facts = Facts { mode: 0o600, modified: at(seconds), ..Facts::default() };
        Change::Put(Item { kind: Kind::File, facts, attributes: Attributes::new(), body })
    };
    let changes = [
        ("a", timed(1, Body::Kept)),
        ("b", timed(2, Body::Kept)),
        ("c", Change::Removed),
        ("d", timed(1, Body::Moved(b"c".to_vec()))),
    ];
    let mut layer = delta(&changes);
    let was = Was { size: 1, modified: at(1) };
    layer.was = ["a", "b", "c"].map(|path| (path.as_bytes().to_vec(), was)).into();
    let time = |plan: &Plan, path: &[u8]| match &plan.changes[path].change {
        Change::Put(item) => (item.facts.mode, item.facts.modified.seconds, item.facts.born.seconds),
        Change::Removed => panic!(),
    };
    let newer = plan(&[&layer], &there);
    assert_eq!(time(&newer, b"a"), (0o600, 9, 8), "as the content");
    assert_eq!(time(&newer, b"b"), (0o600, 2, 0), "the layer set it");
    assert_eq!(time(&newer, b"d"), (0o600, 9, 8), "as the content");
    let content = Body::New(streams(7));
    let lower = delta(&[("a", timed(5, content.clone())), ("c", timed(5, content))]);
    let both = plan(&[&lower, &layer], &there);
    assert_eq!((time(&both, b"a").1, time(&both, b"d").1), (5, 5), "as the lower layer's content");
    assert_eq!(both.changes[&b"d"[..]].body_of, 0);
}

#[test]
fn a_file_is_moved_with_the_streams_that_a_lower_layer_changed() {
    let part = || {
        let stream = streams(1).remove(&[][..]);
        item(Kind::File, 0o644, Body::Filled(BTreeMap::from([(Vec::new(), None), (b"s".to_vec(), stream)])))
    };
    let there = base(&[("a", Kind::File)]);
    let movement = ntfs(&[("a", Change::Removed), ("b", moved("a"))]);
    let body = |plan: &Plan| match &plan.changes[&b"b"[..]] {
        Planned { from: Some(from), change: Change::Put(item), .. } if from == b"a" => item.body.clone(),
        planned => panic!("{planned:?}"),
    };
    let Change::Put(expected) = part() else { panic!() };
    let below = plan(&[&ntfs(&[("a", part())]), &movement], &there);
    assert_eq!((body(&below), why(&below)), (expected.body.clone(), vec![]));
    // And where the streams are changed after the file was moved.
    let mut high = ntfs(&[("b", part())]);
    high.was.insert(b"b".to_vec(), Was { size: 1, modified: Moment::default() });
    let above = plan(&[&movement, &high], &there);
    assert_eq!((body(&above), why(&above)), (expected.body, vec![]));
    let lacking = plan(&[&ntfs(&[("a", part())]), &movement], &Tree::default());
    assert!(why(&lacking).contains(&("b", 1, Why::Missing)));
}

#[test]
fn on_ntfs_names_that_differ_in_case_are_one() {
    let first = ntfs(&[("Apps", folder()), ("Apps/Tool.dll", file(1)), ("windows/system32/x.dll", file(2))]);
    let second = ntfs(&[("APPS", folder()), ("APPS/tool.DLL", file(3)), ("APPS/other", file(4))]);
    let there = base(&[("Windows", Kind::Folder), ("Windows/System32", Kind::Folder)]);
    let plan = plan(&[&first, &second], &there);
    let expected = [("Apps", 1), ("Apps/Tool.dll", 1), ("Apps/other", 1), ("Windows/System32/x.dll", 0)];
    assert_eq!(told(&plan), expected);
    assert_eq!(why(&plan), [("Apps/Tool.dll", 0, Why::BothChange)]);
}

#[test]
fn a_layer_that_changes_the_case_of_a_name_does_so() {
    let renamed = ntfs(&[("Name", file(1)), ("name", Change::Removed)]);
    let plan = plan(&[&renamed], &base(&[("name", Kind::File)]));
    assert_eq!(told(&plan), [("Name", 0), ("name", 0)]);
}

#[test]
fn the_first_name_of_a_file_comes_first_in_its_new_spelling_too() {
    let name = |of: &str| item(Kind::File, 0o644, Body::NameOf(of.as_bytes().to_vec()));
    let layer = ntfs(&[("A/x", file(1)), ("B/x", name("A/x")), ("C/x", name("A/x"))]);
    let plan = plan(&[&layer], &base(&[("B", Kind::Folder), ("C", Kind::Folder), ("a", Kind::Folder)]));
    assert_eq!(body(&plan, b"B/x"), Body::New(streams(1)));
    assert_eq!(body(&plan, b"C/x"), Body::NameOf(b"B/x".to_vec()));
    assert_eq!(body(&plan, b"a/x"), Body::NameOf(b"B/x".to_vec()));
}
