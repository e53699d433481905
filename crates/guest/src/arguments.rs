//! The command line: a handful of words, read by hand, since the program is to be small.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How long `--wait` waits where no time is said.
const WAIT: Duration = Duration::from_secs(2 * 60 * 60);

/// What `--help` prints.
pub const HELP: &str = "\
Checks that nothing is outstanding in this packaging machine, and shuts it down for finalize.

Usage: shutdown-for-finalize [--check] [--json] [--wait[=TIME]] [--expedite]

      --check        Only report: do not shut down, change nothing but the report on the disk
      --json         Print the report as JSON, and nothing else
      --wait[=TIME]  While something runs that will end by itself, wait for it: at most so long
                     (90s, 30m, 2h) [default: 2h]
      --expedite     Windows: first run queued native image generation (NGen) in the foreground
      --pause        Wait for Enter at the end, so that a window stays open
      --run-script=FOLDER
                     Run the script of an unattended version from the CD in FOLDER, restart the machine where that is
                     needed, and shut it down for finalize; nothing else may be said with it
  -h, --help         Print this
  -V, --version      Print the version

Exit codes:
  0  nothing is outstanding; the machine shuts down, unless --check was said
  1  something is outstanding that somebody has to do
  2  the command line is wrong
  3  the tool failed: the machine could not be shut down, or the report not be written
  4  the tool needs an administrator (root)
  5  something is outstanding that a restart of the machine mends
  6  something is outstanding that runs and will end: wait, or --wait longer

The report is left on the disk: docs/formats/integrity-report.md.
";

/// What the command line asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    /// Only report.
    pub check: bool,
    /// Print JSON only.
    pub json: bool,
    /// Wait at most so long for what ends by itself.
    pub wait: Option<Duration>,
    /// First run the native image generator in the foreground.
    pub expedite: bool,
    /// Wait for Enter at the end.
    pub pause: bool,
    /// Run the script on the CD that is in this folder, and nothing else.
    pub script: Option<PathBuf>,
    /// The folder that is taken for `/`: for tests, so not in the help.
    pub root: Option<PathBuf>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The job.
    Run(Arguments),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// Be the service of Windows that starts a script: nothing that people call, so not in the help.
    #[cfg(windows)]
    Service,
    /// Be the service of Windows that starts Sysprep once: likewise.
    #[cfg(windows)]
    Sysprep,
}

/// A command line that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misuse(String);

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; see shutdown-for-finalize --help", self.0)
    }
}

impl std::error::Error for Misuse {}

/// Reads the words after the program's name.
///
/// # Errors
///
/// A word that is unknown, or a time that is none.
pub fn read(words: impl IntoIterator<Item = String>) -> Result<Command, Misuse> {
    let mut arguments = Arguments::default();
    for word in words {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), None),
        };
        match (name, value) {
            ("-h" | "--help", None) => return Ok(Command::Help),
            ("-V" | "--version", None) => return Ok(Command::Version),
            #[cfg(windows)]
            ("--service", None) => return Ok(Command::Service),
            #[cfg(windows)]
            ("--sysprep", None) => return Ok(Command::Sysprep),
            ("--check", None) => arguments.check = true,
            ("--json", None) => arguments.json = true,
            ("--expedite", None) => arguments.expedite = true,
            ("--pause", None) => arguments.pause = true,
            ("--wait", None) => arguments.wait = Some(WAIT),
            ("--wait", Some(time)) => arguments.wait = Some(duration(time)?),
            ("--run-script", Some(folder)) if !folder.is_empty() => arguments.script = Some(folder.into()),
            ("--root", Some(folder)) if cfg!(unix) => arguments.root = Some(folder.into()),
            _ => return Err(Misuse(format!("'{word}' is not known"))),
        }
    }
    let alone =
        Arguments { script: arguments.script.clone(), root: arguments.root.clone(), ..Default::default() };
    if arguments.script.is_some() && arguments != alone {
        return Err(Misuse("'--run-script' goes with nothing else".to_owned()));
    }
    Ok(Command::Run(arguments))
}

/// A time: a number of seconds, or of the unit that follows it.
fn duration(text: &str) -> Result<Duration, Misuse> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        _ => 0,
    };
    let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    match seconds.filter(|_| unit > 0) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err(Misuse(format!("'{text}' is no time; say 90s, 30m or 2h"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Result<Command, Misuse> {
        read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn each_word_is_understood() {
        let all = Arguments {
            check: true,
            json: true,
            wait: Some(Duration::from_secs(1800)),
            expedite: true,
            pause: true,
            script: None,
            root: None,
        };
        assert_eq!(words("--check --json --wait=30m --expedite --pause"), Ok(Command::Run(all)));
        assert_eq!(words(""), Ok(Command::Run(Arguments::default())));
        assert_eq!(words("--check --help"), Ok(Command::Help));
        assert_eq!(words("-V"), Ok(Command::Version));
    }

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        for (text, seconds) in [("0", 0), ("90", 90), ("90s", 90), ("30m", 1800), ("2h", 7200)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "h", "1d", "-1", "1.5h", "2h30m", "99999999999999999999", "9999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_and_the_help_named() {
        for line in ["--force", "-c", "check", "--check=yes", "--help=me"] {
            let refusal = words(line).unwrap_err().to_string();
            assert!(refusal.contains(line) && refusal.contains("--help"), "{refusal}");
        }
    }

    #[test]
    fn a_script_is_run_from_one_folder_and_goes_with_nothing_else() {
        let script = Some(PathBuf::from("/run/shale-tools"));
        let expected = Arguments { script, ..Default::default() };
        assert_eq!(words("--run-script=/run/shale-tools"), Ok(Command::Run(expected)));
        for line in ["--run-script", "--run-script=", "--run-script=/x --check", "--json --run-script=/x"] {
            assert!(words(line).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_word_makes_it_panic(line in prop::collection::vec(".*", 0..4)) {
            let _ = read(line);
        }
    }
}
