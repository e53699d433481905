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
use crate::probe::{Kind, probe};
use crate::{
    Disk, Error, FileDisk, Format, Joined, Layered, Memory, Resized, Result, SECTOR, Window, ova, qcow2, vhd,
    vhdx, vmdk,
};

/// Files of one disk: bases and parts.
const MAX_FILES: usize = 64;

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
        let (format, disk) = chain.open(path, self.format.map(kind_of))?;
        Ok(Opened { format, disk, files: chain.files })
    }
}

/// The files opened so far, from the named one down.
struct Chain<'a> {
    options: &'a OpenOptions,
    folder: PathBuf,
    files: Vec<Arc<FileDisk>>,
}

impl Chain<'_> {
    /// Opens a file that is of `kind`, or of the kind that its content tells.
    fn open(&mut self, path: &Path, kind: Option<Kind>) -> Result<(Format, Arc<dyn Disk>)> {
        let file = self.file(path)?;
        if file.size() == 0 {
            return Err(corrupt(format!("'{}' is empty: it holds no disk", path.display())));
        }
        let read = match kind {
            Some(kind) => self.read(file, path, kind),
            None => probe(&file).and_then(|kind| self.read(file, path, kind)),
        };
        read.map_err(|e| e.about(path))
    }

    /// Opens one more file of the chain, which must not be in it already.
    fn file(&mut self, path: &Path) -> Result<Arc<FileDisk>> {
        let file = Arc::new(FileDisk::open(path)?);
        if self.files.iter().any(|f| f.is_same_file(&file)) {
            return Err(corrupt(format!(
                "'{}' stands on itself: the chain of bases is a circle",
                path.display()
            )));
        }
        if self.files.len() >= MAX_FILES {
            return Err(unsupported(format!("'{}' stands on more than {MAX_FILES} files", path.display())));
        }
        self.files.push(file.clone());
        Ok(file)
    }

    fn read(&mut self, file: Arc<FileDisk>, path: &Path, kind: Kind) -> Result<(Format, Arc<dyn Disk>)> {
        Ok(match kind {
            Kind::Raw => (Format::Raw, whole_sectors(file)),
            Kind::Qcow2 => (Format::Qcow2, self.qcow2(file, path)?),
            Kind::Vhd => (Format::Vhd, self.vhd(file, path)?),
            Kind::Vhdx => (Format::Vhdx, Arc::new(vhdx::Vhdx::new(file)?)),
            Kind::Vmdk => (Format::Vmdk, Arc::new(vmdk::Vmdk::new(file)?)),
            Kind::VmdkDescriptor => (Format::Vmdk, self.flat(&vmdk::flat_extents(&file)?, path)?),
            Kind::Ova => {
                let member = ova::disk_member(&file)?;
                let window = Window::new(file, member.offset, member.length)?;
                match probe(&window)? {
                    Kind::Vmdk => (Format::VmdkStream, Arc::new(vmdk::Vmdk::new(window)?)),
                    Kind::Vhd => (Format::Vhd, whole_vhd(vhd::Vhd::new(window)?)?),
                    _ => {
                        return Err(unsupported(format!(
                            "'{}' in the OVA is no disk that is read",
                            member.name
                        )));
                    }
                }
            }
        })
    }

    fn qcow2(&mut self, file: Arc<FileDisk>, path: &Path) -> Result<Arc<dyn Disk>> {
        let image = qcow2::Qcow2::new(file)?;
        let Some(backing) = image.backing().cloned() else { return Ok(Arc::new(image)) };
        // A format that is written down is believed: a raw base must not be probed, as its guest wrote it.
        let kind = backing.format.as_deref().map(qemu_kind).transpose()?;
        let base = self.referenced(path, &backing.name)?;
        let (_, base) = self.open(&base, kind)?;
        Ok(Arc::new(Layered::new(image, base)))
    }

    fn vhd(&mut self, file: Arc<FileDisk>, path: &Path) -> Result<Arc<dyn Disk>> {
        let image = vhd::Vhd::new(file)?;
        let Some(parent) = image.parent().cloned() else { return Ok(Arc::new(image)) };
        // Paths are of the machine that made it: only the file's name can be looked for, beside this one.
        let names = parent.names.iter().filter_map(|n| n.rsplit('/').next()).filter(|n| !n.is_empty());
        let found = names.map(|name| self.referenced(path, name)).find(Result::is_ok);
        let base = found.unwrap_or_else(|| {
            let wanted = parent.names.first().map_or("a parent without name", String::as_str);
            Err(corrupt(format!("'{}' stands on '{wanted}', which is not in its folder", path.display())))
        })?;
        let at = self.files.len();
        let (_, disk) = self.open(&base, Some(Kind::Vhd))?;
        if vhd::Vhd::new(self.files[at].clone())?.uuid() != parent.uuid {
            return Err(corrupt(format!("'{}' is not the parent of '{}'", base.display(), path.display())));
        }
        Ok(Arc::new(Layered::new(image, disk)))
    }

    /// Parts in files of their own, one after the other.
    fn flat(&mut self, extents: &[vmdk::FlatExtent], path: &Path) -> Result<Arc<dyn Disk>> {
        let mut parts: Vec<Arc<dyn Disk>> = Vec::new();
        for extent in extents {
            parts.push(match &extent.file {
                None => Arc::new(Resized::new(Memory(Vec::new()), extent.length)),
                Some((name, offset)) => {
                    let file = self.file(&self.referenced(path, name)?)?;
                    Arc::new(Window::new(file, *offset, extent.length)?)
                }
            });
        }
        Ok(Arc::new(Joined::new(parts)))
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

fn kind_of(format: Format) -> Kind {
    match format {
        Format::Raw => Kind::Raw,
        Format::Qcow2 | Format::Qcow2Compressed => Kind::Qcow2,
        Format::Vhd | Format::VhdFixed => Kind::Vhd,
        Format::Vhdx => Kind::Vhdx,
        Format::Vmdk | Format::VmdkStream => Kind::Vmdk,
    }
}

/// A differencing disk in an archive has no folder in which its parent could be.
fn whole_vhd<S: Disk + 'static>(image: vhd::Vhd<S>) -> Result<Arc<dyn Disk>> {
    match image.parent() {
        None => Ok(Arc::new(image)),
        Some(_) => Err(unsupported("the OVA's disk is a differencing VHD: merge it into its parent first")),
    }
}

/// A format by QEMU's name.
fn qemu_kind(name: &str) -> Result<Kind> {
    match name {
        "raw" | "file" => Ok(Kind::Raw),
        "qcow2" => Ok(Kind::Qcow2),
        "vpc" => Ok(Kind::Vhd),
        "vhdx" => Ok(Kind::Vhdx),
        "vmdk" => Ok(Kind::Vmdk),
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
