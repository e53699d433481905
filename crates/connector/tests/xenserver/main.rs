//! The `xenserver` connector against a simulated pool: what it makes there, and what it does when something goes wrong;
//! and, with a guest that boots there, the conformance suite.

mod bench;
mod cds;
mod changes;
#[path = "../conformance/mod.rs"]
mod conformance;
mod facts;
#[path = "../guest/mod.rs"]
mod guest;
mod guests;
mod images;
mod machines;
mod outside;
mod pools;
mod tests_and_choices;
mod uploads;
