//! What the .NET native image generator prints, read. The same on every system, so that it is tested on every system.
//!
//! `ngen queue status` ends with one of these lines, in English on every Windows:
//!
//! ```text
//! The .NET Runtime Optimization Service is stopped.          all is done
//! The .NET Runtime Optimization Service is running.          … is starting. … is stopping.
//! The .NET Runtime Optimization Service is started and paused.
//! The .NET Runtime Optimization Service pause is pending.    … continue is pending.
//! ```
//!
//! A question is itself foreground activity, for which the service pauses. So questions become rarer, and a service that was asked
//! to make its images is told to continue (`ngen queue continue`, Microsoft's "Native Image Service").

use std::io;
use std::time::Duration;

const SERVICE: &str = "The .NET Runtime Optimization Service ";
/// The state in which all is done.
pub const STOPPED: &str = "stopped";
/// The state in which work is left that nobody does.
const PAUSED: &str = "started and paused";
/// Between two questions, at first …
const SOON: Duration = Duration::from_secs(5);
/// … and in the end: long enough for the service to find the machine idle, and to work.
const SELDOM: Duration = Duration::from_secs(5 * 60);

/// The state that `ngen queue status` told: `stopped`, `running`, `started and paused`, `pause is pending`, …
#[must_use]
pub fn queue_state(output: &str) -> Option<&str> {
    let state = output.lines().rev().find_map(|line| line.trim().strip_prefix(SERVICE))?;
    let state = state.strip_prefix("is ").unwrap_or(state);
    Some(state.trim_end_matches('.'))
}

/// How long to wait for the next question after one that came so long after the one before.
#[must_use]
pub fn rarer(before: Duration) -> Duration {
    (before * 2).clamp(SOON, SELDOM)
}

/// A generator's queue.
pub trait Queue {
    /// The state that it tells.
    ///
    /// # Errors
    ///
    /// It cannot be asked, or tells none.
    fn state(&self) -> io::Result<String>;
    /// Tells its service to go on where it was paused.
    ///
    /// # Errors
    ///
    /// It cannot be told.
    fn resume(&self) -> io::Result<()>;
    /// Lets time pass.
    fn pause(&self, time: Duration);
}

/// Waits until all is done, at most so long; tells the state in the end.
///
/// # Errors
///
/// The queue's.
pub fn await_stopped(queue: &dyn Queue, limit: Duration) -> io::Result<String> {
    let mut state = queue.state()?;
    let (mut waited, mut between) = (Duration::ZERO, Duration::ZERO);
    while state != STOPPED && waited < limit {
        if state == PAUSED {
            queue.resume()?;
        }
        between = rarer(between);
        queue.pause(between);
        waited += between;
        state = queue.state()?;
    }
    Ok(state)
}

/// What the lines of a run in the foreground add up to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// Assemblies that were compiled, or tried.
    pub assemblies: u64,
    /// Those of them that could not be compiled. That is normal: not every assembly can be.
    pub failures: u64,
}

impl Compiled {
    /// Counts a line of output.
    pub fn count(&mut self, line: &str) {
        let line = line.to_ascii_lowercase();
        if line.contains("compiling assembly") {
            self.assemblies += 1;
        } else if line.contains("failed to compile")
            || line.contains("compilation failed")
            || line.contains("error compiling")
        {
            self.failures += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    /// A service that works only while nobody has asked for a minute, or once it is told to continue.
    struct Busy {
        work: Cell<Duration>,
        obeys: bool,
        asked: RefCell<Vec<Duration>>,
        clock: Cell<Duration>,
    }

    fn busy(work: u64, obeys: bool) -> Busy {
        let work = Cell::new(Duration::from_secs(work));
        Busy { work, obeys, asked: RefCell::default(), clock: Cell::default() }
    }

    impl Queue for Busy {
        fn state(&self) -> io::Result<String> {
            self.asked.borrow_mut().push(self.clock.get());
            let state = if self.work.get().is_zero() { STOPPED } else { PAUSED };
            Ok(state.to_owned())
        }
        fn resume(&self) -> io::Result<()> {
            self.work.set(if self.obeys { Duration::ZERO } else { self.work.get() });
            Ok(())
        }
        fn pause(&self, time: Duration) {
            self.clock.set(self.clock.get() + time);
            let worked = time.saturating_sub(Duration::from_secs(60));
            self.work.set(self.work.get().saturating_sub(worked));
        }
    }

    #[test]
    fn a_service_that_pauses_for_each_question_is_asked_more_rarely_until_it_is_done() {
        let queue = busy(120, false);
        assert_eq!(await_stopped(&queue, Duration::from_secs(1800)).unwrap(), "stopped");
        let asked: Vec<_> = queue.asked.borrow().iter().map(Duration::as_secs).collect();
        assert_eq!(asked, [0, 5, 15, 35, 75, 155, 315]);
    }

    #[test]
    fn a_service_that_was_paused_is_told_to_continue() {
        let queue = busy(3600, true);
        assert_eq!(await_stopped(&queue, Duration::from_secs(1800)).unwrap(), "stopped");
        assert_eq!(queue.asked.borrow().len(), 2);
    }

    #[test]
    fn a_service_that_never_ends_is_waited_for_no_longer_than_the_limit_and_told_as_it_is() {
        let queue = busy(1_000_000, false);
        assert_eq!(await_stopped(&queue, Duration::from_secs(1800)).unwrap(), "started and paused");
        assert!(queue.clock.get() < Duration::from_secs(1800) + SELDOM, "{:?}", queue.clock);
        assert!(queue.asked.borrow().len() < 15, "{:?}", queue.asked);
    }

    #[test]
    fn the_state_of_the_queue_is_read() {
        let output = |line: &str| {
            format!(
                "Microsoft (R) CLR Native Image Generator - Version 4.8.4161.0\r\nCopyright (c) …\r\n\r\n{line}\r\n"
            )
        };
        let cases = [
            ("The .NET Runtime Optimization Service is stopped.", Some("stopped")),
            ("The .NET Runtime Optimization Service is running.", Some("running")),
            ("The .NET Runtime Optimization Service is started and paused.", Some("started and paused")),
            ("The .NET Runtime Optimization Service pause is pending.", Some("pause is pending")),
            ("Unrecognized option 'queue'", None),
        ];
        for (line, state) in cases {
            assert_eq!(queue_state(&output(line)), state);
        }
    }

    #[test]
    fn failed_compilations_are_counted_and_are_no_failure_of_the_run() {
        let mut compiled = Compiled::default();
        for line in [
            "1>    Compiling assembly C:\\a.dll (CLR v4.0.30319) ...",
            "2>    Compiling assembly C:\\b.dll (CLR v4.0.30319) ...",
            "2>    Failed to compile: C:\\b.dll",
            "All compilation targets are up to date.",
        ] {
            compiled.count(line);
        }
        assert_eq!(compiled, Compiled { assemblies: 2, failures: 1 });
    }
}
