//! Disks as machines leave them, made by the file systems' own tools, and what finalize finds outstanding on them.

mod hive;
mod linux;
mod made;
mod windows;
