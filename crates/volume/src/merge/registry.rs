//! Hives of the registry of Windows: put together key by key and value by value, as [`crate::hive`] says.
//!
//! Rule: a hive that a layer changed is never the layer's whole, since it would hide what the operating system and all other layers
//! have in it. A hive that is dirty is replayed from its logs first; where that cannot be, nothing is done at all. A hive that is
//! new in a layer, such as that of a user who was added, is the layer's.

use std::borrow::Cow;

use shale_disk::Result;

use super::{Merged, Rule, Terms};
use crate::hive::{self, Exclusions, Hive, Which};

/// A hive.
pub struct Registry(pub Which);

impl Rule for Registry {
    fn name(&self) -> &'static str {
        match self.0 {
            Which::System => "registry-system",
            Which::Software => "registry-software",
            Which::Components => "registry-components",
            Which::Drivers => "registry-drivers",
            Which::User => "registry-user",
        }
    }

    /// Two states of a hive are in memory at once when a layer is made, and one when layers are put together: docs/benchmarks.md.
    fn limit(&self) -> u64 {
        256 << 20
    }

    fn needs_origin(&self) -> bool {
        true
    }

    fn is_never_whole(&self) -> bool {
        true
    }

    fn logs(&self) -> &'static [&'static str] {
        &[".LOG1", ".LOG2"]
    }

    fn replay(&self, file: Vec<u8>, logs: &[Option<Vec<u8>>]) -> Result<Vec<u8>> {
        let log = |number: usize| logs.get(number).and_then(Option::as_deref);
        Hive::replay(file, log(0), log(1))?.into_bytes()
    }

    fn difference(&self, origin: &[u8], now: &[u8], without: Option<&str>) -> Result<Vec<u8>> {
        let without = match without {
            Some(more) => Exclusions::shipped(self.0)?.with(self.0, more)?,
            None => Exclusions::default(),
        };
        hive::difference(origin, now, &without)
    }

    fn merge(&self, onto: Cow<[u8]>, difference: &[u8], terms: &mut Terms) -> Result<Merged> {
        let (bytes, both) = hive::merge(onto, difference, terms.only_known)?;
        Ok(Merged { bytes, both })
    }
}
