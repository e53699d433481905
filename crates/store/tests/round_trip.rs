//! What is saved is read back: random disks, random changes, every size, ranges that end anywhere.

mod disks;

use disks::{Changed, Image, VersionIds, keep_going, new_version};
use proptest::prelude::*;
use shale_store::{BLOCK, ErrorKind, Repository, Source, SourceError, What};

/// Reads all of a version in strokes of `stroke` bytes.
fn read_all(version: &shale_store::Version, stroke: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; version.size() as usize];
    let mut at = 0;
    for chunk in bytes.chunks_mut(stroke) {
        version.read_at(chunk, at).expect("it reads");
        at += chunk.len() as u64;
    }
    bytes
}

/// The frames of all blocks, unpacked by zstd itself, one after the other.
fn unpack_frames(version: &shale_store::Version) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut frame = Vec::new();
    for block in 0..version.size().div_ceil(BLOCK as u64) {
        match version.read_frame(block, &mut frame).expect("it reads") {
            None => bytes.resize(bytes.len() + BLOCK, 0),
            Some(info) if info.raw => bytes.extend_from_slice(&frame),
            Some(_) => bytes.extend(zstd::decode_all(frame.as_slice()).expect("one zstd frame")),
        }
        assert_eq!(bytes.len() % BLOCK, 0, "a frame unpacks to exactly one block");
    }
    bytes.truncate(version.size() as usize);
    bytes
}

fn check_extents(version: &shale_store::Version, bytes: &[u8]) {
    let mut at = 0;
    while at < version.size() {
        let (length, data) = version.extent_at(at).expect("it tells");
        assert!(length > 0 && at + length <= version.size());
        let stretch = &bytes[at as usize..(at + length) as usize];
        assert!(data || stretch.iter().all(|b| *b == 0), "a hole holds nothing");
        assert!(!data || stretch.chunks(BLOCK).all(|b| b.iter().any(|b| *b != 0)), "zeros are holes");
        at += length;
    }
}

/// What `disk` says of how it differs from `other` is exactly what the bytes say, block by block.
fn check_difference(disk: &shale_store::Version, other: &shale_store::Version, bytes: &[u8], others: &[u8]) {
    let mut others = others.to_vec();
    others.resize(bytes.len(), 0);
    let mut at = 0;
    while at < disk.size() {
        let (length, differs) = disk.differs_at(other, at).expect("it tells");
        assert!(length > 0 && at + length <= disk.size());
        let range = at as usize..(at + length) as usize;
        for (a, b) in bytes[range.clone()].chunks(BLOCK).zip(others[range].chunks(BLOCK)) {
            assert_eq!(a != b, differs, "at {at}");
        }
        at += length;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_saved_disk_and_its_changed_child_are_read_back(
        image in disks::image(40 * BLOCK),
        changes in disks::changes(),
        grown in 0usize..3 * BLOCK,
        threads in 1usize..4,
        stroke in prop::sample::select(vec![512, 4096, 100_000, 3 << 20]),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::create(folder.path().join("r")).unwrap();
        let mut ids = VersionIds::default();
        let (v1, v2) = (ids.next(), ids.next());
        repository.save(new_version(v1, None, &image, threads), &image, keep_going()).unwrap();

        let child = Changed::new(&image, &changes, grown);
        let saved = repository.save(new_version(v2, Some(v1), &child, threads), &child, keep_going()).unwrap();
        prop_assert!(saved.new_blocks <= child.changed_blocks());

        // Another process, as it were.
        let repository = Repository::open(folder.path().join("r")).unwrap();
        for (id, bytes) in [(v1, &image.bytes), (v2, &child.bytes)] {
            let version = repository.version(id).unwrap();
            prop_assert!(read_all(&version, stroke) == *bytes);
            prop_assert!(unpack_frames(&version) == *bytes);
            check_extents(&version, bytes);
            version.verify(keep_going()).unwrap();
        }
        let (old, new) = (repository.version(v1).unwrap(), repository.version(v2).unwrap());
        check_difference(&new, &old, &child.bytes, &image.bytes);
        if new.size() == old.size() {
            check_difference(&old, &new, &image.bytes, &child.bytes);
        }
        check_difference(&old, &old.clone(), &image.bytes, &image.bytes);
        // The same disk, saved whole and without a parent, is the same disk.
        let whole = Image { bytes: child.bytes.clone() };
        let again = repository.save(new_version(ids.next(), None, &whole, 2), &whole, keep_going()).unwrap();
        prop_assert_eq!(again.digest, saved.digest);
        prop_assert_eq!(again.new_blocks, 0);
    }
}

#[test]
fn saving_the_same_again_changes_nothing_and_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    let image = Image { bytes: vec![7; 3 * BLOCK + 5] };
    let id = VersionIds::default().next();
    let first = repository.save(new_version(id, None, &image, 2), &image, keep_going()).unwrap();
    let second = repository.save(new_version(id, None, &image, 2), &image, keep_going()).unwrap();
    assert_eq!(first.digest, second.digest);
    assert_eq!((first.new_blocks, second.new_blocks), (2, 0));

    let other = Image { bytes: vec![8; 3 * BLOCK + 5] };
    let refused = repository.save(new_version(id, None, &other, 2), &other, keep_going()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Exists);
    assert_eq!(repository.version(id).unwrap().digest(), first.digest);
}

#[test]
fn a_terabyte_of_holes_costs_nothing_and_grows_by_its_changes() {
    struct Sparse;
    impl Source for Sparse {
        fn size(&self) -> u64 {
            1 << 40
        }
        fn extent_at(&self, offset: u64) -> Result<(u64, What), SourceError> {
            let middle = 1 << 39;
            Ok(match offset {
                o if o < middle => (middle - o, What::Zero),
                o if o < middle + 4096 => (middle + 4096 - o, What::Data),
                o => ((1 << 40) - o, What::Zero),
            })
        }
        fn read_at(&self, buf: &mut [u8], _: u64) -> Result<(), SourceError> {
            buf.fill(1);
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    let id = VersionIds::default().next();
    let saved = repository.save(new_version(id, None, &Sparse, 2), &Sparse, keep_going()).unwrap();
    assert_eq!((saved.new_blocks, saved.zero_blocks), (1, (1 << 24) - 1));
    let version = repository.version(id).unwrap();
    assert_eq!(version.extent_at(0).unwrap(), (1 << 39, false));
    assert_eq!(version.extent_at(1 << 39).unwrap(), (BLOCK as u64, true));
    assert_eq!(version.extent_at((1 << 39) + BLOCK as u64).unwrap(), ((1 << 39) - BLOCK as u64, false));
    assert_eq!(version.differs_at(&version, 0).unwrap(), (1 << 40, false));
}

#[test]
fn the_error_of_a_source_comes_through_and_nothing_is_left() {
    struct Broken;
    impl Source for Broken {
        fn size(&self) -> u64 {
            100 * BLOCK as u64
        }
        fn extent_at(&self, offset: u64) -> Result<(u64, What), SourceError> {
            Ok((self.size() - offset, What::Data))
        }
        fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<(), SourceError> {
            if offset > 50 * BLOCK as u64 {
                return Err("the platter fell off".into());
            }
            buf.fill(offset as u8 | 1);
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    let id = VersionIds::default().next();
    let error = repository.save(new_version(id, None, &Broken, 3), &Broken, keep_going()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    let cause = std::error::Error::source(&error).expect("the source's own error");
    assert_eq!(cause.to_string(), "the platter fell off");
    disks::assert_nothing_left(folder.path());
    assert_eq!(repository.version(id).err().map(|e| e.kind()), Some(ErrorKind::NotFound));
}

#[test]
fn a_stopped_save_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    let image = Image::noise(30 << 20, 1);
    let done = std::sync::atomic::AtomicU64::new(0);
    let stop = |more: u64| {
        let sum = done.fetch_add(more, std::sync::atomic::Ordering::Relaxed) + more;
        if sum > 8 << 20 { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
    };
    let new = new_version(VersionIds::default().next(), None, &image, 2);
    let error = repository.save(new, &image, &stop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopped);
    disks::assert_nothing_left(folder.path());
}

#[test]
fn two_versions_saved_at_once_are_both_whole() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    let images = [Image::noise(10 << 20, 1), Image::noise(10 << 20, 1), Image::noise(9 << 20, 2)];
    let mut ids = VersionIds::default();
    let ids: Vec<_> = images.iter().map(|_| ids.next()).collect();
    std::thread::scope(|scope| {
        for (image, id) in images.iter().zip(&ids) {
            let repository = repository.clone();
            scope.spawn(move || {
                repository.save(new_version(*id, None, image, 2), image, keep_going()).unwrap();
            });
        }
    });
    for (image, id) in images.iter().zip(&ids) {
        assert!(read_all(&repository.version(*id).unwrap(), 1 << 20) == image.bytes);
    }
}

#[test]
fn a_child_smaller_than_its_parent_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    let mut ids = VersionIds::default();
    let (large, small) = (Image::noise(5 * BLOCK, 1), Image::noise(4 * BLOCK, 1));
    let parent = ids.next();
    repository.save(new_version(parent, None, &large, 1), &large, keep_going()).unwrap();
    let new = new_version(ids.next(), Some(parent), &small, 1);
    assert_eq!(repository.save(new, &small, keep_going()).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_feature_that_this_shale_lacks_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::create(folder.path()).unwrap();
    let settings = folder.path().join("repository.json");
    let write = |features: &str| {
        std::fs::write(&settings, format!("{{\"format\": 1, \"features\": {features}}}")).unwrap();
    };
    write(r#"{"incompatible": ["sharded-packs"]}"#);
    let error = Repository::open(folder.path()).err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("\"sharded-packs\""), "{error}");

    write(r#"{"read_only_compatible": ["labels"]}"#);
    let read_only = Repository::open(folder.path()).unwrap();
    let image = Image::noise(BLOCK, 1);
    let new = new_version(VersionIds::default().next(), None, &image, 1);
    let error = read_only.save(new, &image, keep_going()).unwrap_err();
    assert!(error.to_string().contains("\"labels\""), "{error}");

    write(r#"{"compatible": ["notes"]}"#);
    Repository::open(folder.path()).unwrap();
    std::fs::write(&settings, r#"{"format": 2}"#).unwrap();
    assert_eq!(Repository::open(folder.path()).err().map(|e| e.kind()), Some(ErrorKind::Unsupported));
    drop(repository);
}
