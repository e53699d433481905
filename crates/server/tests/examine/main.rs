//! Disks as machines leave them, made by the file systems' own tools, and what finalize finds outstanding on them and
//! leaves out of them.

mod boot;
mod hive;
mod left;
mod linux;
#[path = "../../../volume/tests/made/logfile.rs"]
mod logfile;
mod made;
mod marks;
mod tool;
mod windows;
