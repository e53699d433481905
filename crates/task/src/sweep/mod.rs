//! Faults.

/// Thrown (with [`std::panic::resume_unwind`]) to play a process that dies here and now: the runner does not catch it.
#[derive(Clone, Copy, Debug)]
pub struct Crash;
