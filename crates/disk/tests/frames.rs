//! Compressed qcow2 out of stored frames, judged by qemu-img.

mod judge;

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use judge::{assert_same, edge_samples, noise, qemu_img, raw_sample, text};
use proptest::prelude::*;
use shale_disk::qcow2::{Frame, Frames, export_frames};
use shale_disk::{ErrorKind, Result, SparseFile, Stream, open};

const CLUSTER: usize = 64 << 10;

/// What a repository would hold.
#[derive(Default)]
struct Stored(BTreeMap<u64, Vec<u8>>);

impl Stored {
    fn add(&mut self, cluster: u64, content: &[u8]) {
        let mut whole = content.to_vec();
        whole.resize(CLUSTER, 0);
        let frame = zstd::bulk::compress(&whole, 1).unwrap();
        self.0.insert(cluster, if frame.len() < CLUSTER { frame } else { whole });
    }

    fn of(raw: &Path) -> Self {
        let disk = open(raw).unwrap().disk;
        let mut stored = Self::default();
        for extent in shale_disk::extents(&*disk).map(|e| e.unwrap()) {
            if extent.content != shale_disk::Content::Data {
                continue;
            }
            for cluster in
                extent.offset / CLUSTER as u64..(extent.offset + extent.length).div_ceil(CLUSTER as u64)
            {
                let offset = cluster * CLUSTER as u64;
                let mut content = vec![0; CLUSTER.min((disk.size() - offset) as usize)];
                disk.read_at(&mut content, offset).unwrap();
                stored.add(cluster, &content);
            }
        }
        stored
    }
}

impl Frames for Stored {
    fn frame(&self, cluster: u64) -> Result<Frame> {
        Ok(match self.0.get(&cluster) {
            None => Frame::Hole,
            Some(bytes) if bytes.len() == CLUSTER => Frame::Raw,
            Some(bytes) => Frame::Compressed { len: bytes.len() as u32 },
        })
    }
    fn read_frame(&self, cluster: u64, buf: &mut Vec<u8>) -> Result<()> {
        buf.clone_from(&self.0[&cluster]);
        Ok(())
    }
    fn skip_holes(&self, cluster: u64) -> Result<u64> {
        Ok(self.0.range(cluster..).next().map_or(u64::MAX, |(c, _)| *c))
    }
}

fn written(size: u64, frames: &Stored, path: &Path) {
    let told = AtomicU64::new(0);
    let mut sink = SparseFile::new(File::create(path).unwrap()).unwrap();
    export_frames(size, frames, &mut sink, &|n| {
        told.fetch_add(n, Ordering::Relaxed);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(told.into_inner(), frames.0.len() as u64 * CLUSTER as u64);
    qemu_img(&["check", "-q", "-f", "qcow2", text(path)]);
}

#[test]
fn frames_become_an_image_that_qemu_checks_and_reads_the_same() {
    for (name, size, pieces) in edge_samples() {
        let dir = tempfile::tempdir().unwrap();
        let raw = raw_sample(dir.path(), name, size, &pieces);
        let image = dir.path().join("image.qcow2");
        written(size, &Stored::of(&raw), &image);
        qemu_img(&["compare", "-q", "-f", "qcow2", "-F", "raw", text(&image), text(&raw)]);
        assert_same(&*open(&image).unwrap().disk, &raw);
    }
}

#[test]
fn a_frame_that_is_not_as_long_as_it_said_is_refused() {
    struct Liar;
    impl Frames for Liar {
        fn frame(&self, _: u64) -> Result<Frame> {
            Ok(Frame::Compressed { len: 100 })
        }
        fn read_frame(&self, _: u64, buf: &mut Vec<u8>) -> Result<()> {
            *buf = vec![1; 99];
            Ok(())
        }
    }
    let error = export_frames(1 << 20, &Liar, &mut Stream(std::io::sink()), &|_| ControlFlow::Continue(()))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any mix of noise, text and holes.
    #[test]
    fn any_mix_of_clusters_is_read_back(kinds in proptest::collection::vec(0u8..4, 1..200), tail in 1u64..128) {
        let dir = tempfile::tempdir().unwrap();
        let size = (kinds.len() as u64 - 1) * CLUSTER as u64 + tail * 512;
        let mut stored = Stored::default();
        let mut expected = vec![0; kinds.len() * CLUSTER];
        for (cluster, kind) in kinds.iter().enumerate() {
            let mut content = match kind {
                0 => continue,
                1 => noise(cluster as u64, CLUSTER),
                2 => vec![b'a'; CLUSTER],
                _ => noise(cluster as u64, 999).into_iter().cycle().take(CLUSTER).collect(),
            };
            let inside = CLUSTER.min(size as usize - cluster * CLUSTER);
            content[inside..].fill(0);
            stored.add(cluster as u64, &content);
            expected[cluster * CLUSTER..][..CLUSTER].copy_from_slice(&content);
        }
        expected.truncate(size as usize);
        let image = dir.path().join("image.qcow2");
        written(size, &stored, &image);
        let disk = open(&image).unwrap().disk;
        let mut got = vec![1; size as usize];
        disk.read_at(&mut got, 0).unwrap();
        prop_assert!(got == expected);
    }
}
