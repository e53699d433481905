//! The .NET Framework's native image generator: what its queue says, and running it in the foreground.
//!
//! ```text
//!  C:\Windows\Microsoft.NET\Framework\v4.0.30319\ngen.exe      Framework64\…      v2.0.50727\…
//!  HKLM\SOFTWARE[\Wow6432Node]\Microsoft\.NETFramework\v2.0.50727\NGenService     of every version
//!      ListenedState  RootstoreDirty   not 0: something was queued since the service last looked
//!      State          PendingUpdate    not 0: images are to be made anew
//! ```

use super::Notes;
use super::calls::interrupts::{Uninterrupted, out_of_reach};
use crate::facts::{NgenQueue, WindowsFacts};
use crate::marks::{NGEN_FLAGS, NGEN_SERVICES};
use crate::ngen::{Compiled, Queue, STOPPED, await_stopped, queue_state};
use crate::tool::Failure;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// Its workers: while they run, its queue needs not be asked, which would pause them.
const WORKER: &str = "mscorsvw.exe";
/// How long a queue is waited for after its work was done in the foreground.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

pub(super) fn gather(folder: &Path, facts: &mut WindowsFacts, notes: &mut Notes) {
    for service in NGEN_SERVICES {
        for (key, name) in NGEN_FLAGS {
            let key = format!(r"{service}\{key}");
            if notes.number(&key, name) != 0 {
                facts.ngen_flags.push(format!(r"{key}\{name}"));
            }
        }
    }
    if facts.processes.iter().any(|name| name == WORKER) {
        return;
    }
    for program in programs(folder) {
        let state = Generator(&program).state();
        let name = format!("{} queue status", program.display());
        if let Some(state) = notes.take(&name, state.map(Some)) {
            let folder = program.parent().unwrap_or(&program).display().to_string();
            facts.ngen_queues.push(NgenQueue { folder, state });
        }
    }
}

/// The generators of all versions, for both word sizes.
pub(super) fn programs(folder: &Path) -> Vec<PathBuf> {
    let mut programs = Vec::new();
    for framework in ["Framework", "Framework64"] {
        // Without the framework there is no folder and nothing to generate.
        let versions =
            fs::read_dir(folder.join("Microsoft.NET").join(framework)).into_iter().flatten().flatten();
        programs.extend(
            versions.map(|version| version.path().join("ngen.exe")).filter(|program| program.is_file()),
        );
    }
    programs.sort();
    programs
}

/// One of them, by its program.
struct Generator<'a>(&'a Path);

impl Queue for Generator<'_> {
    fn state(&self) -> io::Result<String> {
        let ended = out_of_reach(self.0).args(["queue", "status"]).stdin(Stdio::null()).output()?;
        let output = String::from_utf8_lossy(&ended.stdout);
        let state = queue_state(&output).map(str::to_owned);
        state.ok_or_else(|| io::Error::other(format!("it says no state: {}", output.trim())))
    }

    fn resume(&self) -> io::Result<()> {
        out_of_reach(self.0).args(["queue", "continue"]).stdin(Stdio::null()).output().map(|_| ())
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Makes all images that are queued or no longer valid, one generator after the other, and shows what they print. They
/// are not interrupted: an interrupted one leaves images that do not work. Whoever presses Ctrl-C is told so.
pub(super) fn expedite(folder: &Path, say: &mut dyn FnMut(&str)) -> Result<(), Failure> {
    let _uninterrupted = Uninterrupted::begin();
    let programs = programs(folder);
    if programs.is_empty() {
        say("There is nothing to expedite: no .NET Framework is installed.");
    }
    let mut compiled = Compiled::default();
    for program in &programs {
        let failure = |error| Failure::new(format!("{} could not be run", program.display()), error);
        for words in [&["executeQueuedItems"][..], &["update", "/force"]] {
            say(&format!("> {} {}", program.display(), words.join(" ")));
            shown(program, words, say, &mut compiled).map_err(failure)?;
        }
    }
    for program in &programs {
        let failure = |error| Failure::new(format!("{} could not be asked", program.display()), error);
        let state = await_stopped(&Generator(program), PATIENCE).map_err(failure)?;
        say(&format!("{}: The .NET Runtime Optimization Service is {state}", program.display()));
        if state != STOPPED {
            say("It has not come to its end in half an hour, and goes on in the background.");
        }
    }
    if compiled.failures > 0 {
        say(&format!(
            "{} of {} assemblies could not be compiled. That is normal: not every assembly can be.",
            compiled.failures, compiled.assemblies
        ));
    }
    Ok(())
}

/// Runs it to its end, whatever that is: a generator that could not compile something says so by its exit code too.
fn shown(
    program: &Path,
    words: &[&str],
    say: &mut dyn FnMut(&str),
    compiled: &mut Compiled,
) -> io::Result<()> {
    let mut child = out_of_reach(program).args(words).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    if let Some(output) = child.stdout.take() {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            compiled.count(&text);
            say(text.trim_end());
            line.clear();
        }
    }
    child.wait().map(|_| ())
}
