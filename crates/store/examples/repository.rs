//! The repository by hand, without a server: to measure it, and to look into one.
//!
//! ```text
//! repository import <repository> <raw disk> <n> [<parent n>]    versions are numbers here
//! repository update <repository> <raw disk> <n> <parent n> <first byte> <bytes>    only this range changed
//! repository export <repository> <n> <raw disk>
//! repository frames <repository> <n> <file>                     stored frames, back to back
//! repository check | gc | stats <repository>
//! ```

use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use shale_store::{BLOCK, GcOptions, NewVersion, Repository, Source, SourceError, VersionId, What};

/// A raw disk in a file; all of it is data, or only one range of it changed.
struct Raw {
    file: File,
    size: u64,
    changed: Option<(u64, u64)>,
}

impl Source for Raw {
    fn size(&self) -> u64 {
        self.size
    }

    fn extent_at(&self, offset: u64) -> Result<(u64, What), SourceError> {
        if let Some((first, end)) = self.changed {
            return Ok(match offset {
                o if o < first => (first - o, What::Parent),
                o if o < end => (end - o, What::Data),
                o => (self.size - o, What::Parent),
            });
        }
        let seek =
            |whence: fn(u64) -> rustix::fs::SeekFrom| match rustix::fs::seek(&self.file, whence(offset)) {
                Ok(at) => Ok(at.min(self.size)),
                Err(rustix::io::Errno::NXIO) => Ok(self.size),
                Err(e) => Err(e),
            };
        let data = seek(rustix::fs::SeekFrom::Data)?;
        if data > offset {
            return Ok((data - offset, What::Zero));
        }
        Ok((seek(rustix::fs::SeekFrom::Hole)? - offset, What::Data))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<(), SourceError> {
        Ok(self.file.read_exact_at(buf, offset)?)
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["import", folder, disk, n] => import(folder, disk, n, None, None),
        ["import", folder, disk, n, parent] => import(folder, disk, n, Some(parent), None),
        ["update", folder, disk, n, parent, first, bytes] => {
            let first = first.parse()?;
            import(folder, disk, n, Some(parent), Some((first, first + bytes.parse::<u64>()?)))
        }
        ["export", folder, n, disk] => export(folder, n, disk),
        ["frames", folder, n, file] => frames(folder, n, file),
        ["check", folder] => {
            println!("{:#?}", Repository::open(folder)?.check(true, &|_| ControlFlow::Continue(()))?);
            Ok(())
        }
        ["gc", folder] => {
            let options = GcOptions::new(std::time::SystemTime::now());
            println!("{:#?}", Repository::open(folder)?.gc(&options, &|_| ControlFlow::Continue(()))?);
            Ok(())
        }
        ["stats", folder] => {
            println!("{:#?}", Repository::open(folder)?.stats()?);
            Ok(())
        }
        _ => Err("usage: see the top of examples/repository.rs".into()),
    }
}

fn id(n: &str) -> Result<VersionId, std::num::ParseIntError> {
    Ok(VersionId(n.parse::<u128>()?.to_be_bytes()))
}

fn import(folder: &str, disk: &str, n: &str, parent: Option<&str>, changed: Option<(u64, u64)>) -> Outcome {
    let repository = Repository::open_or_create(folder)?;
    let file = File::open(disk)?;
    let size = file.metadata()?.len();
    let threads = std::thread::available_parallelism()?.get();
    let parent = parent.map(id).transpose()?;
    let new = NewVersion { id: id(n)?, parent, size, created: String::new(), threads };
    let saved = repository.save(new, &Raw { file, size, changed }, &|_| ControlFlow::Continue(()))?;
    println!("{saved:?}");
    Ok(())
}

/// All threads take strokes of the disk from one counter and write only what is data.
fn export(folder: &str, n: &str, disk: &str) -> Outcome {
    const STROKE: u64 = 4 << 20;
    let version = Repository::open(folder)?.version(id(n)?)?;
    let file = File::create(disk)?;
    file.set_len(version.size())?;
    let next = AtomicU64::new(0);
    let copy = || -> Result<(), SourceError> {
        let mut buf = vec![0; STROKE as usize];
        loop {
            let mut at = next.fetch_add(STROKE, Ordering::Relaxed);
            let end = (at + STROKE).min(version.size());
            if at >= end {
                return Ok(());
            }
            while at < end {
                let (length, data) = version.extent_at(at)?;
                let length = length.min(end - at);
                if data {
                    let buf = &mut buf[..length as usize];
                    version.read_at(buf, at)?;
                    file.write_all_at(buf, at)?;
                }
                at += length;
            }
        }
    };
    let threads = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(copy)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
    })
    .map_err(|e: SourceError| -> Box<dyn std::error::Error> { e })?;
    file.sync_all()?;
    Ok(())
}

fn frames(folder: &str, n: &str, file: &str) -> Outcome {
    let version = Repository::open(folder)?.version(id(n)?)?;
    let mut out = std::io::BufWriter::with_capacity(1 << 20, File::create(file)?);
    let mut frame = Vec::new();
    for block in 0..version.size().div_ceil(BLOCK as u64) {
        if version.read_frame(block, &mut frame)?.is_some() {
            out.write_all(&frame)?;
        }
    }
    out.flush()?;
    Ok(())
}
