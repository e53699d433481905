//! Disks as machines leave them, made by the file systems' own tools, and what finalize finds outstanding on them.

mod linux;
mod made;
