//! What is needed stays, what is not goes, and not before its time.

mod disks;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use disks::{Change, Changed, Image, VersionIds, files, keep_going, new_version, only_pack, read_all};
use proptest::prelude::*;
use shale_store::{Action, BLOCK, ErrorKind, GcOptions, Repository, VersionId};

const HOUR: Duration = Duration::from_secs(3600);

fn at(hours: u32) -> GcOptions {
    GcOptions::new(SystemTime::UNIX_EPOCH + HOUR * (500_000 + hours))
}

fn pack_count(repository: &Repository) -> usize {
    files(repository.directory()).iter().filter(|p| p.extension() == Some("pack".as_ref())).count()
}

#[test]
fn an_unused_pack_is_marked_waits_a_day_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    let image = Image::noise(5 * BLOCK, 1);
    let id = VersionIds::default().next();
    repository.save(new_version(id, None, &image, 1), &image, keep_going()).unwrap();
    let pack = only_pack(folder.path());
    let actions = |options: &GcOptions| -> Vec<Action> {
        repository.gc(options, keep_going()).unwrap().plan.packs.iter().map(|pack| pack.action).collect()
    };
    assert_eq!(actions(&at(0)), [Action::Keep]);
    repository.remove_version(id).unwrap();
    assert_eq!(repository.version(id).err().map(|e| e.kind()), Some(ErrorKind::NotFound));
    repository.remove_version(id).unwrap();

    let dry = GcOptions { dry_run: true, ..at(1) };
    assert_eq!(actions(&dry), [Action::Mark]);
    assert_eq!(actions(&dry), [Action::Mark], "a dry run leaves no mark");
    // Without any grace it still does not go in the run that finds it.
    assert_eq!(actions(&GcOptions { grace: Duration::ZERO, ..at(1) }), [Action::Mark]);
    assert_eq!(actions(&at(23)), [Action::Wait]);
    assert_eq!(actions(&GcOptions { dry_run: true, ..at(24) }), [Action::Delete]);
    assert!(pack.exists());
    let collected = repository.gc(&at(24), keep_going()).unwrap();
    assert!(collected.deleted > 5 * BLOCK as u64 && !pack.exists());
    assert_eq!(actions(&at(25)), []);
    assert!(repository.check(true, keep_going()).unwrap().is_sound());
}

#[test]
fn a_marked_pack_that_is_needed_again_stays() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    let image = Image::noise(5 * BLOCK, 1);
    let mut ids = VersionIds::default();
    let id = ids.next();
    repository.save(new_version(id, None, &image, 1), &image, keep_going()).unwrap();
    repository.remove_version(id).unwrap();
    repository.gc(&at(0), keep_going()).unwrap();
    let again = ids.next();
    let saved = repository.save(new_version(again, None, &image, 1), &image, keep_going()).unwrap();
    assert_eq!(saved.new_blocks, 0);
    let plan = repository.gc(&at(48), keep_going()).unwrap().plan;
    assert_eq!(plan.packs[0].action, Action::Unmark);
    assert!(read_all(&repository.version(again).unwrap()) == image.bytes);
}

#[test]
fn a_mostly_dead_pack_is_rewritten_and_a_reader_does_not_notice() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    let mut ids = VersionIds::default();
    let (large, small) = (ids.next(), ids.next());
    let image = Image::noise(20 * BLOCK, 1);
    let part = Image { bytes: image.bytes[..4 * BLOCK].to_vec() };
    repository.save(new_version(large, None, &image, 1), &image, keep_going()).unwrap();
    repository.save(new_version(small, None, &part, 1), &part, keep_going()).unwrap();
    let reader = Repository::open(folder.path()).unwrap().version(small).unwrap();
    repository.remove_version(large).unwrap();
    let before = repository.stats().unwrap();

    let collected = repository.gc(&at(0), keep_going()).unwrap();
    assert_eq!(collected.copied, 4 * BLOCK as u64, "the small version's page is in the second pack");
    assert_eq!(pack_count(&repository), 3);
    let collected = repository.gc(&at(30), keep_going()).unwrap();
    assert!(collected.deleted > 20 * BLOCK as u64);
    assert_eq!(pack_count(&repository), 2);
    let after = repository.stats().unwrap();
    assert!(after.stored < before.stored / 2 && after.needed == before.needed);
    assert!(repository.check(true, keep_going()).unwrap().is_sound());
    assert!(read_all(&reader) == part.bytes, "it knew only the old pack");
}

#[test]
fn while_somebody_saves_nothing_is_deleted_and_it_is_told_who() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    let mut ids = VersionIds::default();
    let (old, new) = (ids.next(), ids.next());
    let image = Image::noise(4 << 20, 1);
    repository.save(new_version(old, None, &image, 1), &image, keep_going()).unwrap();
    repository.remove_version(old).unwrap();
    repository.gc(&at(0), keep_going()).unwrap();

    let postponed = std::sync::Mutex::new(None);
    let watch = |_| {
        // In the midst of a save, which finds all its blocks in the marked pack.
        let mut postponed = postponed.lock().unwrap();
        if postponed.is_none() {
            *postponed = Some(repository.gc(&at(48), keep_going()).unwrap().postponed.expect("it is busy"));
        }
        std::ops::ControlFlow::Continue(())
    };
    repository.save(new_version(new, None, &image, 1), &image, &watch).unwrap();
    let text = postponed.into_inner().unwrap().unwrap();
    assert!(text.contains(&format!("held by process {}", std::process::id())), "{text}");
    assert!(text.contains(&format!("save of version {new}")), "{text}");
    assert!(read_all(&repository.version(new).unwrap()) == image.bytes);
    assert!(repository.holders().is_empty());
}

#[test]
fn what_was_about_to_become_a_holders_note_goes_with_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    // As processes leave them that are killed between making a note and giving it its name, and as one has it that lives.
    let [dead, alive] =
        ["4000001-15", "4000002-0"].map(|owner| folder.path().join(format!("locks/.{owner}")));
    std::fs::write(&dead, "{").unwrap();
    let owner = std::fs::File::create(&alive).unwrap();
    owner.lock().unwrap();
    repository.gc(&at(0), keep_going()).unwrap();
    assert!(!dead.exists() && alive.exists());
    drop(owner);
    repository.gc(&at(0), keep_going()).unwrap();
    disks::assert_nothing_left(folder.path());
}

#[test]
fn a_damaged_repository_is_not_collected() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    let image = Image::noise(5 * BLOCK, 1);
    let id = VersionIds::default().next();
    repository.save(new_version(id, None, &image, 1), &image, keep_going()).unwrap();
    std::fs::write(folder.path().join(format!("versions/{id}.version")), "gone").unwrap();
    assert_eq!(repository.gc(&at(0), keep_going()).unwrap_err().kind(), ErrorKind::Damaged);
    assert_eq!(pack_count(&repository), 1);
}

#[test]
fn stats_tell_what_is_shared_and_what_is_each_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    let mut ids = VersionIds::default();
    let (v1, v2) = (ids.next(), ids.next());
    let image = Image::noise(10 * BLOCK, 1);
    repository.save(new_version(v1, None, &image, 1), &image, keep_going()).unwrap();
    let change = Change { at: 0.5, length: BLOCK, fill: Some(1) };
    let child = Changed::new(&image, &[change], 0);
    repository.save(new_version(v2, Some(v1), &child, 1), &child, keep_going()).unwrap();
    let stats = repository.stats().unwrap();
    let block = BLOCK as u64;
    assert_eq!((stats.logical, stats.data, stats.unique), (20 * block, 20 * block, 11 * block));
    assert_eq!((stats.versions[0].id, stats.versions[1].id), (v1, v2));
    // One block of noise, and a page.
    assert!(stats.versions[0].own > block && stats.versions[0].own < 2 * block);
    assert!(stats.versions[1].own < block / 2);
    assert_eq!(stats.versions[1].own, stats.versions[1].added);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Versions come and go, collections in between: what is there is whole, and in the end nothing is left.
    #[test]
    fn collections_never_take_what_a_version_needs(
        steps in prop::collection::vec((0u8..3, any::<prop::sample::Index>(), disks::changes()), 1..14),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::create(folder.path()).unwrap();
        let mut ids = VersionIds::default();
        let mut there: BTreeMap<VersionId, Image> = BTreeMap::new();
        let mut hours = 0;
        for (kind, which, changes) in steps {
            let known: Vec<VersionId> = there.keys().copied().collect();
            match kind {
                0 if !known.is_empty() => {
                    let id = which.get(&known);
                    repository.remove_version(*id).unwrap();
                    there.remove(id);
                }
                1 => {
                    hours += 15;
                    repository.gc(&at(hours), keep_going()).unwrap();
                }
                _ => {
                    let parent = (!known.is_empty()).then(|| *which.get(&known));
                    let base = parent.map_or_else(|| Image::noise(12 * BLOCK, 5), |id| there[&id].clone());
                    let id = ids.next();
                    let child = Changed::new(&base, &changes, 0);
                    let image = Image { bytes: child.bytes.clone() };
                    match parent {
                        Some(_) => repository.save(new_version(id, parent, &child, 2), &child, keep_going()).unwrap(),
                        None => repository.save(new_version(id, None, &image, 2), &image, keep_going()).unwrap(),
                    };
                    there.insert(id, image);
                }
            }
            for (id, image) in &there {
                prop_assert!(read_all(&repository.version(*id).unwrap()) == image.bytes);
            }
        }
        let report = repository.check(true, keep_going()).unwrap();
        prop_assert!(report.is_sound(), "{:?}", report.findings);
        for id in there.keys() {
            repository.remove_version(*id).unwrap();
        }
        for hours in [1000, 1030, 1060] {
            repository.gc(&at(hours), keep_going()).unwrap();
        }
        disks::assert_nothing_left(folder.path());
    }
}
