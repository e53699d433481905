//! One door for every format: what a file is, is told by its content; what it stands on, is found and opened too.
//!
//! ```text
//!   path ─▶ FileDisk ─probe─▶ format's reader ─names a base?─▶ same folder? known file? ─▶ open that ─▶ Layered
//! ```
//!
//! A base is named by the image, so by whoever made the image. It is opened only inside the folder of the first
//! image, unless the caller allows more: a hostile image must not get us to read `/etc/shadow` into a layer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{corrupt, unsupported};
use crate::{Disk, Error, FileDisk, Format, Layered, Resized, Result, SECTOR, qcow2};

/// Longest chain of bases.
const MAX_DEPTH: usize = 64;

/// How to open.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Bases and further files may be anywhere, not only in the folder of the image. For images we made ourselves.
    pub allow_outside: bool,
    /// What the file is, instead of finding out. `Some(Raw)` keeps a guest from having its disk taken for qcow2.
    pub format: Option<Format>,
}

/// A disk with all that it stands on.
pub struct Opened {
    /// What the named file is.
    pub format: Format,
    /// What the guest sees.
    pub disk: Arc<dyn Disk>,
    files: Vec<Arc<FileDisk>>,
}

impl Opened {
    /// Errs with [`crate::ErrorKind::Changed`] when any of the files changed since it was opened. Ask after reading.
    pub fn unchanged(&self) -> Result<()> {
        self.files.iter().try_for_each(|f| f.unchanged())
    }

    /// The files that make up the disk; the named one is the first.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|f| f.path())
    }
}

/// Opens a disk of any format we read, with its backing chain, by [`OpenOptions::default`].
pub fn open(path: &Path) -> Result<Opened> {
    OpenOptions::default().open(path)
}

impl OpenOptions {
    /// Opens `path`.
    pub fn open(&self, path: &Path) -> Result<Opened> {
        let mut chain = Chain { options: self, folder: folder_of(path)?, files: Vec::new() };
        let (format, disk) = chain.open(path, self.format.map(Kind::Is).unwrap_or(Kind::Unknown))?;
        Ok(Opened { format, disk, files: chain.files })
    }
}

/// What is known about a file before it is opened.
enum Kind {
    Unknown,
    Is(Format),
}

/// The files opened so far, from the named one down.
struct Chain<'a> {
    options: &'a OpenOptions,
    folder: PathBuf,
    files: Vec<Arc<FileDisk>>,
}

impl Chain<'_> {
    fn open(&mut self, path: &Path, kind: Kind) -> Result<(Format, Arc<dyn Disk>)> {
        let file = Arc::new(FileDisk::open(path)?);
        if file.size() == 0 {
            return Err(corrupt(format!("'{}' is empty: it holds no disk", path.display())));
        }
        if self.files.iter().any(|f| f.is_same_file(&file)) {
            return Err(corrupt(format!(
                "'{}' stands on itself: the chain of bases is a circle",
                path.display()
            )));
        }
        if self.files.len() >= MAX_DEPTH {
            return Err(unsupported(format!("'{}' stands on more than {MAX_DEPTH} files", path.display())));
        }
        self.files.push(file.clone());
        let format = match kind {
            Kind::Is(format) => format,
            Kind::Unknown => crate::probe::probe(&file)?,
        };
        let disk = self.read(file, path, format).map_err(|e| e.about(path))?;
        Ok((format, disk))
    }

    fn read(&mut self, file: Arc<FileDisk>, path: &Path, format: Format) -> Result<Arc<dyn Disk>> {
        match format {
            Format::Raw => Ok(whole_sectors(file)),
            Format::Qcow2 | Format::Qcow2Compressed => {
                let image = qcow2::Qcow2::new(file)?;
                let Some(backing) = image.backing().cloned() else { return Ok(Arc::new(image)) };
                let kind = match backing.format.as_deref() {
                    None => Kind::Unknown,
                    Some(name) => Kind::Is(qemu_format(name)?),
                };
                let base = self.referenced(path, &backing.name)?;
                let (_, base) = self.open(&base, kind)?;
                Ok(Arc::new(Layered::new(image, base)))
            }
            _ => Err(unsupported(format!("{format} is not read"))),
        }
    }

    /// The file that the image at `path` calls `name`, if it may be opened.
    fn referenced(&self, path: &Path, name: &str) -> Result<PathBuf> {
        let file_name = plain_name(name)?;
        let wanted = folder_of(path)?.join(file_name);
        let found = wanted.canonicalize().map_err(|e| {
            Error::io(format!("'{}' stands on '{name}', which cannot be found", path.display()), e)
        })?;
        if !self.options.allow_outside && !found.starts_with(&self.folder) {
            return Err(unsupported(format!(
                "'{}' stands on '{name}', outside its own folder: put both into one folder, or flatten the disk first",
                path.display()
            )));
        }
        Ok(found)
    }
}

/// Cuts what QEMU reads as a protocol; only plain files are followed.
fn plain_name(name: &str) -> Result<&str> {
    let protocol = name.split_once(':').filter(|(p, _)| {
        !p.is_empty() && p.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    });
    match protocol {
        None => Ok(name),
        Some(("file", rest)) if !rest.starts_with("//") => Ok(rest),
        Some((protocol, _)) => Err(unsupported(format!(
            "the disk stands on '{name}': a base by '{protocol}:' is not followed, only files are"
        ))),
    }
}

fn qemu_format(name: &str) -> Result<Format> {
    match name {
        "raw" | "file" => Ok(Format::Raw),
        "qcow2" => Ok(Format::Qcow2),
        "vpc" => Ok(Format::Vhd),
        "vhdx" => Ok(Format::Vhdx),
        "vmdk" => Ok(Format::Vmdk),
        other => Err(unsupported(format!("the base's format '{other}' is not read"))),
    }
}

fn folder_of(path: &Path) -> Result<PathBuf> {
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    folder.canonicalize().map_err(|e| Error::io(format!("cannot find the folder of '{}'", path.display()), e))
}

/// Guests see whole sectors: what a raw file lacks to one reads as zero.
fn whole_sectors(file: Arc<FileDisk>) -> Arc<dyn Disk> {
    match file.size() {
        size if size.is_multiple_of(SECTOR) => file,
        size => Arc::new(Resized::new(file, size.next_multiple_of(SECTOR))),
    }
}
