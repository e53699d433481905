//! Whatever is damaged is named exactly, with what it costs; and reading it never gives wrong bytes.

mod disks;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use disks::{Changed, Image, VersionIds, files, keep_going, new_version, only_pack, read_all};
use proptest::prelude::*;
use shale_store::{BLOCK, ErrorKind, Object, Report, Repository, VersionId};

const B: u64 = BLOCK as u64;

/// Two disks of 8 blocks that share blocks 2 to 7, in a pack each.
struct Two {
    folder: tempfile::TempDir,
    repository: Repository,
    v1: VersionId,
    v2: VersionId,
    first_pack: std::path::PathBuf,
}

fn two() -> Two {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    let mut ids = VersionIds::default();
    let (v1, v2) = (ids.next(), ids.next());
    let image = Image::noise(8 * BLOCK, 3);
    repository.save(new_version(v1, None, &image, 1), &image, keep_going()).unwrap();
    let first_pack = only_pack(folder.path());
    let change = disks::Change { at: 0.0, length: 2 * BLOCK, fill: Some(9) };
    let child = Changed::new(&image, &[change], 0);
    repository.save(new_version(v2, Some(v1), &child, 1), &child, keep_going()).unwrap();
    Two { folder, repository, v1, v2, first_pack }
}

fn only(range: std::ops::Range<u64>) -> Vec<std::ops::Range<u64>> {
    Vec::from_iter(std::iter::once(range))
}

fn check(repository: &Repository) -> Report {
    repository.check(true, keep_going()).unwrap()
}

fn flip(path: &Path, offset: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
}

#[test]
fn a_sound_repository_has_no_findings() {
    let two = two();
    let report = check(&two.repository);
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.versions, report.packs), (2, 2));
    // 8 blocks of noise, one of nines (twice the same), and two map pages.
    assert_eq!(report.frames, 8 + 1 + 2);
    assert!(report.bytes > 8 * B);
}

#[test]
fn a_flipped_bit_in_a_block_is_named_with_both_versions_that_need_it() {
    let two = two();
    // Frames begin at byte 16; noise is stored as it is: this is block 3.
    flip(&two.first_pack, 16 + 3 * B + 77);
    let report = check(&two.repository);
    assert_eq!(report.findings.len(), 1);
    let finding = &report.findings[0];
    let Object::Frame { offset, .. } = finding.object else { panic!("{:?}", finding.object) };
    assert_eq!(u64::from(offset), 16 + 3 * B);
    let range = 3 * B..4 * B;
    assert_eq!(finding.affected.len(), 2);
    assert!(
        finding.affected.values().all(|ranges| *ranges == std::slice::from_ref(&range)),
        "{:?}",
        finding.affected
    );

    let version = two.repository.version(two.v2).unwrap();
    let mut buf = vec![0; BLOCK];
    version.read_at(&mut buf, 2 * B).unwrap();
    let error = version.read_at(&mut buf, 3 * B).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(error.to_string().contains(&format!("version {} cannot be read at byte {}", two.v2, 3 * B)));
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("of pack"), "{cause}");
    assert_eq!(version.read_frame(3, &mut buf).unwrap_err().kind(), ErrorKind::Damaged);
    assert_eq!(version.verify(keep_going()).unwrap_err().kind(), ErrorKind::Damaged);
}

#[test]
fn a_missing_pack_is_named_with_the_ranges_that_are_lost() {
    let two = two();
    fs::remove_file(&two.first_pack).unwrap();
    let repository = Repository::open(two.folder.path()).unwrap();
    let report = check(&repository);
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    let finding = &report.findings[0];
    let name = two.first_pack.file_stem().unwrap().to_str().unwrap();
    assert_eq!(finding.object.to_string(), format!("pack {name}"));
    assert_eq!(finding.problem, "it is missing");
    // The map page of v1 is gone too, so all of it; v2 has its own page.
    assert_eq!(finding.affected[&two.v1], only(0..8 * B));
    assert_eq!(finding.affected[&two.v2], only(2 * B..8 * B));

    // To save the same disk again mends it.
    let image = Image::noise(8 * BLOCK, 3);
    repository.save(new_version(two.v1, None, &image, 2), &image, keep_going()).unwrap();
    assert!(read_all(&repository.version(two.v1).unwrap()) == image.bytes);
    assert_eq!(read_all(&repository.version(two.v2).unwrap())[2 * BLOCK..], image.bytes[2 * BLOCK..]);
}

#[test]
fn a_truncated_pack_is_named_and_so_is_a_damaged_directory() {
    let two = two();
    let length = fs::metadata(&two.first_pack).unwrap().len();
    let whole = fs::read(&two.first_pack).unwrap();
    let problem = || {
        let report = check(&Repository::open(two.folder.path()).unwrap());
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
        assert_eq!(report.findings[0].affected.len(), 2);
        report.findings[0].problem.clone()
    };
    File::options().write(true).open(&two.first_pack).unwrap().set_len(length - 1).unwrap();
    assert!(problem().contains("truncated"));
    fs::write(&two.first_pack, &whole).unwrap();
    flip(&two.first_pack, length - 100);
    assert!(problem().contains("directory was altered"));
}

#[test]
fn a_damaged_manifest_is_named_and_hides_no_other_version() {
    let two = two();
    let path = two.folder.path().join(format!("versions/{}.version", two.v1));
    flip(&path, 50);
    let report = check(&two.repository);
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].object, Object::Manifest(two.v1));
    assert_eq!(two.repository.version(two.v1).err().map(|e| e.kind()), Some(ErrorKind::Damaged));
    assert_eq!(read_all(&two.repository.version(two.v2).unwrap()).len(), 8 * BLOCK);
}

#[test]
fn a_lost_or_damaged_index_is_rebuilt() {
    let two = two();
    let whole = read_all(&two.repository.version(two.v1).unwrap());
    let index = || files(two.folder.path()).into_iter().filter(|p| p.extension() == Some("idx".as_ref()));
    for path in index() {
        fs::remove_file(path).unwrap();
    }
    let repository = Repository::open(two.folder.path()).unwrap();
    assert!(read_all(&repository.version(two.v1).unwrap()) == whole);
    assert!(check(&repository).is_sound());

    // A flipped bit in the last entry is seen by the check, and by a reader who does not find a block.
    let path = index().next().unwrap();
    let length = fs::metadata(&path).unwrap().len();
    let mut at = length % 52;
    while at < length {
        flip(&path, length - 1 - at);
        at += 52;
    }
    flip(&path, length - 52);
    let report = check(&repository);
    assert!(
        matches!(&report.findings[..], [f] if matches!(f.object, Object::Index(_)) && f.affected.is_empty())
    );
    let repository = Repository::open(two.folder.path()).unwrap();
    assert!(read_all(&repository.version(two.v1).unwrap()) == whole);
}

#[test]
fn without_index_and_pack_the_lost_ranges_are_still_told() {
    let two = two();
    for path in files(two.folder.path()).into_iter().filter(|p| p.extension() == Some("idx".as_ref())) {
        fs::remove_file(path).unwrap();
    }
    fs::remove_file(&two.first_pack).unwrap();
    let report = check(&Repository::open(two.folder.path()).unwrap());
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(report.findings[0].object, Object::Lost);
    assert_eq!(report.findings[0].affected[&two.v2], only(2 * B..8 * B));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any flipped bit or cut anywhere in any file: what is read is right or an error, and what cannot be read is
    /// in the report.
    #[test]
    fn no_damage_gives_wrong_bytes(which in any::<prop::sample::Index>(), at in 0.0..1.0f64, cut in any::<bool>()) {
        let two = two();
        let whole = [two.v1, two.v2].map(|id| read_all(&two.repository.version(id).unwrap()));
        let files: Vec<_> =
            files(two.folder.path()).into_iter().filter(|p| p.parent().unwrap().file_name().unwrap() != "locks").collect();
        let path = which.get(&files);
        let offset = (fs::metadata(path).unwrap().len() as f64 * at) as u64;
        if cut {
            File::options().write(true).open(path).unwrap().set_len(offset).unwrap();
        } else {
            flip(path, offset);
        }
        let repository = Repository::open(two.folder.path()).unwrap();
        let report = check(&repository);
        prop_assert!(!report.is_sound() || path.extension() == Some("idx".as_ref()), "{path:?} at {offset}");
        for (id, whole) in [two.v1, two.v2].into_iter().zip(&whole) {
            let affected = report.findings.iter().any(|f| f.affected.contains_key(&id));
            let Ok(version) = repository.version(id) else {
                prop_assert!(affected);
                continue;
            };
            let mut buf = vec![0; BLOCK];
            for (block, right) in whole.chunks(BLOCK).enumerate() {
                match version.read_at(&mut buf, block as u64 * B) {
                    Ok(()) => prop_assert!(buf == right),
                    Err(_) => prop_assert!(affected, "{path:?} at {offset}: block {block} is not reported"),
                }
            }
        }
    }
}
