//! `shale version export -O`, `shale image download`: a disk image as it streams from the server, into a file or to stdout.
//!
//! A file is written under a name of its own beside its place, holes left out, and put in place when it is whole and
//! on disk: a download that breaks off leaves nothing.

use crate::client::{Client, with_query};
use crate::failure::{Exit, Failure, Outcome};
use crate::interrupt::{Leaves, guard};
use crate::terminal::Terminal;
use crate::units;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use uuid::Uuid;

/// Bytes read at a time; a run of zeros this long becomes a hole.
const BLOCK: usize = 64 << 10;

/// Downloads the disk at `path` of the API as `format` to `file`, or to stdout for `-`.
pub fn disk(
    client: &Client,
    terminal: &Terminal,
    path: &str,
    format: &str,
    file: &str,
    overwrite: bool,
) -> Outcome {
    let target = Path::new(file);
    if file == "-" && io::stdout().is_terminal() {
        return Err(Failure::usage(
            "A disk image is not for a terminal: send stdout to a file or a program.",
        ));
    }
    if file != "-" && !overwrite && target.symlink_metadata().is_ok() {
        return Err(Failure::new(Exit::Conflict, format!("'{file}' exists already."))
            .hint("use --overwrite, or another name"));
    }
    let started = Instant::now();
    let response = client.open(&with_query(path, &[("format", format)]), &[])?;
    let bar = bar(terminal, response.body().content_length());
    let mut body = bar.wrap_read(response.into_body().into_reader());
    let copied = if file == "-" {
        copy(&mut body, &mut io::stdout().lock(), Write::write_all)?
    } else {
        into_file(&mut body, target)?
    };
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64().max(0.001);
    let rate = units::bytes((copied as f64 / seconds) as u64);
    terminal.note(&format!("{} in {seconds:.1} s ({rate}/s)", units::bytes(copied)));
    Ok(Exit::Ok)
}

fn bar(terminal: &Terminal, total: Option<u64>) -> ProgressBar {
    if terminal.quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let template = match total {
        Some(_) => "▕{bar:24}▏ {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
        None => "{spinner} {binary_bytes}, {binary_bytes_per_sec}",
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn into_file(body: &mut impl Read, path: &Path) -> Result<u64, Failure> {
    let failed = |what: &str, e: io::Error| Failure::io(format!("cannot {what} '{}'", path.display()), &e);
    let part = part_of(path)?;
    let _guard = guard(Leaves::File(part.clone()));
    let file =
        OpenOptions::new().write(true).create_new(true).open(&part).map_err(|e| failed("create", e))?;
    let written = fill(body, file)
        .and_then(|size| fs::rename(&part, path).map_err(|e| failed("put in place", e)).map(|()| size));
    match written {
        Ok(size) => {
            sync_directory(path).map_err(|e| failed("make durable", e))?;
            Ok(size)
        }
        Err(failure) => {
            // What failed is told; that the rest of it could not be removed would only hide it.
            let _ = fs::remove_file(&part);
            Err(failure)
        }
    }
}

fn fill(body: &mut impl Read, mut file: File) -> Result<u64, Failure> {
    let size = copy(body, &mut file, write_or_skip)?;
    let failed = |e| Failure::io("cannot write the disk image", &e);
    file.set_len(size).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(size)
}

/// Copies block by block and counts. Reading and writing fail with different words.
fn copy<W>(
    body: &mut impl Read,
    out: &mut W,
    write: impl Fn(&mut W, &[u8]) -> io::Result<()>,
) -> Result<u64, Failure> {
    let mut block = vec![0; BLOCK];
    let mut size = 0;
    loop {
        let mut filled = 0;
        while filled < BLOCK {
            match body.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Failure::io("the download broke off", &e)),
            }
        }
        write(out, &block[..filled]).map_err(|e| Failure::io("cannot write the disk image", &e))?;
        size += filled as u64;
        if filled < BLOCK {
            return Ok(size);
        }
    }
}

/// Writes data; leaves a hole for a block of zeros.
fn write_or_skip(file: &mut File, block: &[u8]) -> io::Result<()> {
    if block.iter().all(|&byte| byte == 0) {
        file.seek(SeekFrom::Current(block.len() as i64)).map(drop)
    } else {
        file.write_all(block)
    }
}

/// A name beside `path` that nothing else has.
fn part_of(path: &Path) -> Result<PathBuf, Failure> {
    let name = path
        .file_name()
        .ok_or_else(|| Failure::usage(format!("'{}' is not a file name.", path.display())))?;
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(format!(".{}.part", Uuid::now_v7().simple()));
    Ok(path.with_file_name(part))
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Breaks<'a>(&'a [u8]);

    impl Read for Breaks<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { self.0.read(buf) }
        }
    }

    #[test]
    fn a_download_is_what_was_sent_with_its_zeros_as_holes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.raw");
        let mut data = vec![0; 5 * BLOCK + 3];
        data[2 * BLOCK] = 7;
        assert_eq!(into_file(&mut data.as_slice(), &path).unwrap(), data.len() as u64);
        assert_eq!(fs::read(&path).unwrap(), data);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        #[cfg(unix)]
        assert!(std::os::unix::fs::MetadataExt::blocks(&path.metadata().unwrap()) * 512 < data.len() as u64);
    }

    #[test]
    fn a_download_that_breaks_off_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.raw");
        let failure = into_file(&mut Breaks(&[1; 3 * BLOCK]), &path).unwrap_err();
        assert!(failure.text.starts_with("the download broke off"), "{}", failure.text);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
