//! What `shutdown-for-finalize` knows: which operations may be outstanding in a packaging machine, how they are found,
//! what to say of each.
//!
//! ```text
//!   linux/, windows/  gather ──▶ facts ──▶ decide (pure) ──▶ findings ──▶ report   integrity.json, on the machine's disk
//!                                              ▲                  │
//!                                          catalogue              └─────▶ tool     says it, waits, shuts down
//!                               code, severity, message, advice
//!
//!  script   runs the script of an unattended version, with the same checks, and restarts between
//! ```
//!
//! Facts are what was found and mean nothing yet; findings are what they mean. The decision and the catalogue are the
//! same on every system, so that whoever reads the same facts elsewhere (from a disk, say) comes to the same words.

pub mod arguments;
pub mod catalogue;
pub mod decide;
pub mod facts;
#[cfg(unix)]
pub mod linux;
pub mod marks;
pub mod ngen;
pub mod report;
pub mod script;
pub mod tool;
#[cfg(windows)]
pub mod windows;
