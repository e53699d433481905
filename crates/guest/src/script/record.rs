//! What happens in a run, line by line: JSON, each line whole. The format is `docs/formats/run-record.md`.

use crate::decide::Finding;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The file's name, beside the report.
pub const RECORD: &str = "run.jsonl";
/// Most bytes of a line; a reader takes no longer one.
pub const LINE_LIMIT: usize = 64 << 10;
/// Most bytes of output in one line.
const OUTPUT: usize = 4 << 10;
/// Most output that is told, in bytes; of the rest only the end.
const OUTPUT_LIMIT: u64 = 4 << 20;
/// How much of the end.
const TAIL: usize = 16 << 10;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// The run begins, or goes on after a restart.
    Began {
        /// Which run.
        run: String,
        /// The script's name.
        script: String,
        /// Which start of the machine, from 1.
        start: u32,
    },
    /// What the script printed.
    Output {
        /// The text; what was no UTF-8 is replaced.
        text: String,
    },
    /// What the checks say while they go on.
    Note {
        /// For people.
        text: String,
    },
    /// What was outstanding.
    Checked {
        /// When, by the machine's clock.
        at: jiff::Timestamp,
        /// The findings, gravest first.
        findings: Vec<Finding>,
    },
    /// The machine restarts.
    Restarting {
        /// Why.
        text: String,
        /// How often it has.
        restarts: u32,
    },
    /// All is over.
    Ended {
        /// How.
        outcome: Outcome,
        /// The script's exit code, where it has one.
        exit_code: Option<i32>,
        /// What happened, for people.
        text: String,
    },
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Well: the machine shuts down.
    Done,
    /// Not well.
    Failed,
}

/// Where a run's lines go.
pub struct Record {
    file: File,
    /// Gone once it did not take a line: nobody is there.
    port: Option<Box<dyn Write>>,
    /// Output that is no whole line yet.
    pending: Vec<u8>,
    told: u64,
    /// The end of the output that is not told.
    tail: Vec<u8>,
}

impl Record {
    /// A record in this folder, which is made: a new one, or the one that is there goes on.
    ///
    /// # Errors
    ///
    /// The file system's.
    pub fn open(folder: &Path, is_new: bool, port: Option<Box<dyn Write>>) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(RECORD);
        if is_new && path.exists() {
            fs::remove_file(&path)?;
        }
        let file = File::options().create(true).append(true).open(path)?;
        let told = file.metadata()?.len();
        Ok(Self { file, port, pending: Vec::new(), told, tail: Vec::new() })
    }

    /// Tells a line; it is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// The file system's.
    pub fn line(&mut self, line: &Line) -> io::Result<()> {
        self.put(line)?;
        self.file.sync_data()
    }

    fn put(&mut self, line: &Line) -> io::Result<()> {
        // A disk that is full keeps nobody from hearing it.
        let kept = write_line(&mut self.file, line);
        if self.port.as_mut().is_some_and(|port| write_line(port, line).is_err()) {
            self.port = None;
        }
        kept
    }

    /// Tells what is said meanwhile, as far as there is room: NGen lists every assembly. On the disk with the next line that is told.
    ///
    /// # Errors
    ///
    /// The file system's.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        if self.told >= OUTPUT_LIMIT {
            return Ok(());
        }
        self.told += text.len() as u64;
        self.put(&Line::Note { text: text.to_owned() })
    }

    /// Tells what the script printed, whole lines at once where they are short.
    ///
    /// # Errors
    ///
    /// The file system's.
    pub fn output(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        while !self.pending.is_empty() {
            let window = &self.pending[..self.pending.len().min(OUTPUT)];
            let end = match window.iter().rposition(|byte| *byte == b'\n') {
                Some(at) => at + 1,
                None if window.len() == OUTPUT => OUTPUT,
                None => break,
            };
            let piece: Vec<u8> = self.pending.drain(..end).collect();
            self.piece(&piece)?;
        }
        Ok(())
    }

    fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.told >= OUTPUT_LIMIT {
            self.tail.extend_from_slice(piece);
            let more = self.tail.len().saturating_sub(TAIL);
            self.tail.drain(..more);
            return Ok(());
        }
        self.told += piece.len() as u64;
        self.put(&Line::Output { text: String::from_utf8_lossy(piece).into_owned() })
    }

    /// Tells what is left: the script has ended.
    ///
    /// # Errors
    ///
    /// The file system's.
    pub fn flush_output(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.pending);
        if !rest.is_empty() {
            self.piece(&rest)?;
        }
        let tail = std::mem::take(&mut self.tail);
        if !tail.is_empty() {
            let left_out = "\n... (more than 4 MiB of output; this is its end)\n".to_owned();
            self.put(&Line::Output { text: left_out })?;
            for piece in tail.chunks(OUTPUT) {
                self.put(&Line::Output { text: String::from_utf8_lossy(piece).into_owned() })?;
            }
        }
        self.file.sync_data()
    }
}

/// Shows on a port what was found in a machine just now. It may be lost: nobody need be there.
pub fn show(port: Option<Box<dyn Write>>, findings: &[Finding]) {
    if let Some(mut port) = port {
        let line = Line::Checked { at: jiff::Timestamp::now(), findings: findings.to_vec() };
        let _ = write_line(&mut port, &line);
    }
}

/// Writes a line, at once. Findings that make it too long are left out: they are on the disk, in the report.
pub(super) fn write_line(out: &mut dyn Write, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    if text.len() >= LINE_LIMIT {
        text = serde_json::to_vec(&Line::Note { text: "Something too long to be told here.".to_owned() })?;
    }
    text.push(b'\n');
    out.write_all(&text)
}

/// Lines that come in pieces, taken apart again. What is no line of ours is passed over: a guest may write anything.
#[derive(Debug, Default)]
pub struct Lines {
    pending: Vec<u8>,
    /// The rest of a line that is too long is still to come.
    overlong: bool,
}

impl Lines {
    /// Takes more bytes in; answers the lines that are whole now.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.pending.extend_from_slice(part);
            if part.last() == Some(&b'\n') {
                let is_cut = std::mem::take(&mut self.overlong);
                if !is_cut {
                    lines.extend(serde_json::from_slice(self.pending.trim_ascii()).ok());
                }
                self.pending.clear();
            } else if self.pending.len() > LINE_LIMIT {
                self.overlong = true;
                self.pending.clear();
            }
        }
        lines
    }
}
