//! Hives: the files that the registry of Windows is kept in.
//!
//! ```text
//!   file ──open──▶ Hive ──find, subkeys, values──▶ what an examination asks
//!     ▲  replay     │ ▲
//!     │ (dirty)     │ └─ set_value, add_key, remove_key …   in place: what is not touched stays byte for byte
//!     └─into_bytes──┘
//!
//!   difference(origin, now) ──bytes, docs/formats/registry-changes.md──▶ merge(onto, difference)
//! ```
//!
//! A hive is a tree of keys, each with a security descriptor, maybe a class, and values. [`Hive::open`] checks all of it, so
//! that a cycle or a pointer to nowhere is found before anything is believed. Reading and changing check again what they
//! touch: a wrong byte ends in an error, never in a panic. Nothing here reads a clock.

mod cells;
mod changes;
mod check;
mod difference;
mod edit;
mod exclude;
mod list;
mod log;
mod marvin;
mod merge;
pub(crate) mod name;
mod read;
mod room;
mod value;
mod value_list;

pub use difference::difference;
pub use exclude::{Exclusions, Which};
pub use merge::merge;
pub use name::Name;
pub use value::{Value, kind};

use std::borrow::Cow;
use std::collections::BTreeMap;

use shale_disk::{Error, Result};

use cells::Cells;

/// Bytes of stack for [`check::DEPTH`] levels: four times what a build without optimisation takes.
const STACK: usize = 16 << 20;

/// A hive, all of it in memory: in the bytes it was opened from, which are not copied until something is changed.
pub struct Hive<'b> {
    cells: Cells<'b>,
    /// Security cells, and how many keys have each.
    security: BTreeMap<u32, u32>,
    /// Every list of keys is in the order that a search counts on.
    in_order: bool,
    /// What changing needs; `None`: nothing was changed.
    edits: Option<edit::Edits>,
}

/// A key of a hive. It means nothing to another hive, nor after the key was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u32);

impl<'b> Hive<'b> {
    /// The hive in a file's bytes. One that is dirty is refused: its logs have what is missing ([`Hive::replay`]).
    pub fn open(bytes: impl Into<Cow<'b, [u8]>>) -> Result<Self> {
        let cells = Cells { bytes: bytes.into() };
        check::base_block(&cells.bytes)?;
        check::clean(&cells.bytes)?;
        let found = check::tree(&cells)?;
        Ok(Self { cells, security: found.security, in_order: found.in_order, edits: None })
    }
}

/// Does what goes as deep as a hive's keys, each level a few calls, on a stack that is large enough for it.
fn deep<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("hive".to_owned()).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, work);
        let thread =
            thread.map_err(|e| Error::io("a thread to compare registry hives cannot be started", e))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
