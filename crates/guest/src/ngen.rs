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

const SERVICE: &str = "The .NET Runtime Optimization Service ";

/// The state that `ngen queue status` told: `stopped`, `running`, `started and paused`, `pause is pending`, …
#[must_use]
pub fn queue_state(output: &str) -> Option<&str> {
    let state = output.lines().rev().find_map(|line| line.trim().strip_prefix(SERVICE))?;
    let state = state.strip_prefix("is ").unwrap_or(state);
    Some(state.trim_end_matches('.'))
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
