//! An operating system's disk with layers on it: planned, shown, and then written beside the disk.
//!
//! ```text
//!   OS disk ──os_volume──▶ its files ─┐            ┌─▶ Preview    who wins, conflicts, sizes: for people
//!   layers, the lowest first ─────────┴──▶ Plan ───┤
//!                                                  └─▶ Changes    written over the disk, which stays as it is
//! ```

use std::sync::Arc;

use shale_disk::{Disk, Error, ErrorKind, Result, Watch};

use crate::apply::{Contents, apply};
use crate::changes::Changes;
use crate::delta::Delta;
use crate::files::{Files, Program};
use crate::os::{OsVolume, os_volume};
use crate::plan::{Plan, of_spelled};
use crate::preview::told;
pub use crate::preview::{Action, Clash, Line, Preview, Share, Warning};
use crate::spelling::spelled;
use crate::stored::Stored;
use crate::together::{Together, put_together};
use crate::tree::Tree;

/// A version of a layer, to be put on an operating system.
#[derive(Clone)]
pub struct Layer {
    /// What people call it; texts name it so.
    pub name: String,
    /// Its delta, as [`crate::capture::layer_of`] stored it.
    pub delta: Arc<dyn Disk>,
}

/// What `layers`, the lowest first, would make of the operating system on `disk`. Nothing is written.
pub fn preview(program: &Program, disk: Arc<dyn Disk>, layers: &[Layer], watch: Watch) -> Result<Preview> {
    let os = os_volume(program, &disk)?;
    let mut opened = Opened::open(&os, layers)?;
    let mut files = Files::open(program, disk.clone(), os.range.clone())?;
    let base = Tree::read(&mut files, watch)?;
    let (plan, together) = opened.planned(&mut files, &base)?;
    let preview = opened.told(&*disk, &mut files, os, &base, &plan, &together)?;
    files.close()?;
    Ok(preview)
}

/// Puts `layers`, the lowest first, on the operating system that `changes` shows (a disk that may have been grown in it
/// before). Read the result as [`Changes::disk`]; `watch` is told the bytes that are written. After an error `changes` is to be
/// thrown away; the disk below is never touched.
pub fn compose(program: &Program, changes: &Arc<Changes>, layers: &[Layer], watch: Watch) -> Result<Preview> {
    let disk: Arc<dyn Disk> = Arc::new(changes.disk());
    let os = os_volume(program, &disk)?;
    let mut opened = Opened::open(&os, layers)?;
    let mut files = Files::open_to_write(program, changes.clone(), os.range.clone())?;
    let base = Tree::read(&mut files, watch)?;
    let (plan, mut together) = opened.planned(&mut files, &base)?;
    let preview = opened.told(&*disk, &mut files, os, &base, &plan, &together)?;
    let mut contents = opened.contents();
    contents.push(&mut together.made);
    apply(&mut files, &base, &plan, &mut contents, watch)
        .and_then(|()| files.close())
        .map_err(|e| about_room(e, &preview))?;
    Ok(preview)
}

fn about_room(e: Error, preview: &Preview) -> Error {
    if e.kind() != ErrorKind::Full {
        return e;
    }
    let mib = preview.layers.iter().map(|layer| layer.written).sum::<u64>() >> 20;
    let text = format!(
        "the operating system's volume has no room for its layers, which bring {mib} MiB: use a larger disk"
    );
    Error::new(ErrorKind::Full, text).with_source(e)
}

/// Layers whose deltas were read.
struct Opened<'a> {
    layers: &'a [Layer],
    deltas: Vec<Delta>,
    stored: Vec<Stored>,
}

impl<'a> Opened<'a> {
    /// Refuses a layer of another family.
    fn open(os: &OsVolume, layers: &'a [Layer]) -> Result<Self> {
        let mut opened = Self { layers, deltas: Vec::new(), stored: Vec::new() };
        for layer in layers {
            let (delta, stored) = layer.open(os)?;
            opened.deltas.push(delta);
            opened.stored.push(stored);
        }
        Ok(opened)
    }

    fn contents(&mut self) -> Vec<&mut dyn Contents> {
        self.stored.iter_mut().map(|stored| stored as &mut dyn Contents).collect()
    }

    /// The plan, in which every file is put together.
    fn planned(&mut self, files: &mut Files, base: &Tree) -> Result<(Plan, Together)> {
        if let Some(spelled) = spelled(&self.deltas.iter().collect::<Vec<_>>(), base) {
            self.deltas = spelled;
        }
        let mut plan = of_spelled(&self.deltas.iter().collect::<Vec<_>>(), base);
        let together = put_together(&mut plan, files, base, &mut self.contents(), false)?;
        Ok((plan, together))
    }

    fn told(
        &self,
        disk: &dyn Disk,
        files: &mut Files,
        os: OsVolume,
        base: &Tree,
        plan: &Plan,
        together: &Together,
    ) -> Result<Preview> {
        let layers: Vec<_> = self.layers.iter().zip(&self.deltas).zip(&self.stored).collect();
        let layers: Vec<_> = layers
            .into_iter()
            .map(|((layer, delta), stored)| (&layer.name[..], delta, stored.digest))
            .collect();
        told(disk, files, os, &layers, base, plan, together)
    }
}

impl Layer {
    /// The delta and its content, if it is of the family of `os`.
    pub(crate) fn open(&self, os: &OsVolume) -> Result<(Delta, Stored)> {
        let (delta, stored) = Stored::open(self.delta.clone()).map_err(|e| {
            Error::new(e.kind(), format!("the layer '{}' cannot be read", self.name)).with_source(e)
        })?;
        if delta.kind != os.known {
            let text = format!(
                "the layer '{}' was made on {}, and this operating system is {} on {}: a layer fits only the OS layer that it was made with",
                self.name, delta.kind, os.family, os.known
            );
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        Ok((delta, stored))
    }
}
