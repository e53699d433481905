//! How much one examination holds in memory at once: how large files and folders are is said by the guest that made them.
//!
//! ```text
//!   Room (512 MiB) ──take──▶ Held: a hive, a package database, a folder's entries ──dropped──▶ there is room again
//! ```

use shale_disk::{Error, ErrorKind, Result};
use std::cell::Cell;
use std::rc::Rc;

/// The hives of a large Windows, with their logs, take half of it.
const ROOM: u64 = 512 << 20;

/// The memory that all which is read for one examination has together.
#[derive(Clone, Debug)]
pub struct Room(Rc<Cell<u64>>);

impl Room {
    /// All of it.
    pub fn new() -> Self {
        Self(Rc::new(Cell::new(ROOM)))
    }

    /// These bytes of it, until they are dropped. Where so many are not left what needs them is not read.
    pub fn take(&self, bytes: u64) -> Result<Held> {
        let left = self.0.get().checked_sub(bytes).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "all that is read of the disk together is larger than 512 MiB")
        })?;
        self.0.set(left);
        Ok(Held { room: self.clone(), bytes })
    }
}

/// A part of the room that is in use.
#[derive(Debug)]
pub struct Held {
    room: Room,
    bytes: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.0.set(self.room.0.get() + self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_leaves_less_room_until_it_is_dropped() {
        let room = Room::new();
        let held = room.take(ROOM - 1).unwrap();
        assert_eq!(room.take(2).unwrap_err().kind(), ErrorKind::Unsupported);
        let last = room.clone().take(1).unwrap();
        drop(held);
        assert!(room.take(ROOM).is_err());
        drop(last);
        assert!(room.take(ROOM).is_ok() && room.take(u64::MAX).is_err());
    }
}
