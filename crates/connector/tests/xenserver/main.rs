//! The `xenserver` connector against a simulated pool without guests: what it makes there, and what it does when
//! something goes wrong. With guests: `tests/conforms.rs`.

mod bench;
mod changes;
mod faults;
mod machines;
mod pools;
mod sweep;
mod tests_and_choices;
mod uploads;
