//! The files and programs of the machine, under its `/`. What is not there is no error: not every system has everything.
//! What is there and cannot be read, or does not answer, is noted as not asked.

use super::Look;
use crate::facts::Unasked;
use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Most that is kept of what a program prints, in bytes.
const OUTPUT_LIMIT: u64 = 4 << 20;
/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Where programs are. Not the PATH of whoever runs the tool, which runs as root.
const FOLDERS: &[&str] = &["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The machine's `/`.
pub struct Root {
    folder: PathBuf,
    unasked: RefCell<Vec<Unasked>>,
}

/// How a program ended.
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub output: String,
    /// What it complained of.
    pub errors: String,
}

impl Ended {
    /// Its last words, for people.
    pub fn complaint(&self) -> String {
        let words = self.errors.trim().lines().next_back().unwrap_or("it said nothing");
        match self.code {
            Some(code) => format!("exit code {code}: {words}"),
            None => format!("killed: {words}"),
        }
    }
}

impl Root {
    /// This folder as `/`.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), unasked: RefCell::default() }
    }

    /// Where this absolute path is.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path.trim_start_matches('/'))
    }

    /// What could not be asked since this was called last; each once.
    pub fn unasked(&self) -> Vec<Unasked> {
        let mut unasked = self.unasked.take();
        unasked.sort();
        unasked.dedup();
        unasked
    }

    /// Notes that something could not be asked.
    pub fn note(&self, what: impl Into<String>, why: impl ToString) {
        self.unasked.borrow_mut().push(Unasked { what: what.into(), why: why.to_string() });
    }

    /// The value; nothing where there is no such file, and where there is an error, which is noted.
    pub fn there<T>(&self, path: &str, got: io::Result<T>) -> Option<T> {
        match got {
            Ok(value) => Some(value),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
            Err(error) => {
                self.note(path, error);
                None
            }
        }
    }

    /// The name of a process, if it is there: `apt-get (1234)`.
    pub fn process(&self, pid: i32) -> Option<String> {
        let name = fs::read_to_string(self.path(&format!("/proc/{pid}/comm"))).ok()?;
        Some(format!("{} ({pid})", name.trim()))
    }

    /// The processes, by their short names and numbers. They come and go: one that is gone is no error.
    pub fn processes(&self) -> Vec<(String, i32)> {
        let pids = self.names("/proc").into_iter().filter_map(|name| name.parse::<i32>().ok());
        let name = |pid: i32| {
            let name = fs::read_to_string(self.path(&format!("/proc/{pid}/comm"))).ok()?;
            Some((name.trim().to_owned(), pid))
        };
        pids.filter_map(name).collect()
    }

    /// Runs a program of the machine to its end. Nothing if it is not installed; nothing, and a note, if it does not
    /// start or does not end in time.
    pub fn run(&self, program: &str, words: &[&str]) -> Option<Ended> {
        let path =
            FOLDERS.iter().map(|folder| self.path(folder).join(program)).find(|path| path.is_file())?;
        let begun = Command::new(path)
            .args(words)
            .env("LC_ALL", "C")
            .env("PATH", FOLDERS.join(":"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        match begun.and_then(|child| ended(child, PATIENCE)) {
            Ok(ended) => Some(ended),
            Err(error) => {
                self.note(format!("{program} {}", words.join(" ")), error);
                None
            }
        }
    }
}

impl Look for Root {
    fn has(&self, path: &str) -> bool {
        self.there(path, fs::symlink_metadata(self.path(path))).is_some()
    }

    fn text_up_to(&self, path: &str, limit: u64) -> Option<String> {
        let read = || {
            let mut bytes = Vec::new();
            File::open(self.path(path))?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > limit {
                let text = format!("it is larger than {} MiB", limit >> 20);
                return Err(io::Error::new(ErrorKind::FileTooLarge, text));
            }
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        self.there(path, read())
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = self.there(folder, fs::read_dir(self.path(folder)));
        let entries = entries.into_iter().flatten().filter_map(|entry| self.there(folder, entry));
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// Waits for a program and keeps the beginning of what it prints.
fn ended(mut child: Child, patience: Duration) -> io::Result<Ended> {
    let (output, errors) = (kept(child.stdout.take()), kept(child.stderr.take()));
    let deadline = Instant::now() + patience;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::new(ErrorKind::TimedOut, "it did not end in time"));
        }
        thread::sleep(Duration::from_millis(20));
    };
    let text = |kept: thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&kept.join().unwrap_or_default()).into_owned()
    };
    Ok(Ended { code: status.code(), output: text(output), errors: text(errors) })
}

/// Reads a pipe to its end, beside the program, and keeps its beginning.
fn kept(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A broken pipe ends the text; the exit code tells how the program ended.
            let _ = pipe.by_ref().take(OUTPUT_LIMIT).read_to_end(&mut bytes);
            let _ = io::copy(&mut pipe, &mut io::sink());
        }
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let began = shell("exec sleep 1000");
        let error = ended(began, Duration::from_millis(100)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_program_that_prints_without_end_is_read_and_only_its_beginning_kept() {
        let ended = ended(shell("head -c 8388608 /dev/zero; echo sorry >&2; exit 3"), PATIENCE).unwrap();
        assert_eq!(ended.output.len() as u64, OUTPUT_LIMIT);
        assert_eq!(ended.complaint(), "exit code 3: sorry");
    }

    #[test]
    fn what_is_not_there_is_no_error_and_what_cannot_be_read_is_noted_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("etc/folder")).unwrap();
        let root = Root::new(folder.path());
        assert_eq!(root.text("/etc/nothing"), None);
        assert_eq!(root.names("/nowhere"), Vec::<String>::new());
        assert!(root.run("no-such-program", &[]).is_none());
        assert_eq!(root.unasked(), []);
        for _ in 0..2 {
            assert_eq!(root.text("/etc/folder"), None);
        }
        let unasked = root.unasked();
        assert_eq!(unasked.len(), 1);
        assert_eq!(unasked[0].what, "/etc/folder");
        assert_eq!(root.unasked(), []);
    }
}
