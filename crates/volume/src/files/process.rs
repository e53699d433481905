//! The process that knows file systems: started, shown a disk, asked, and ended when it does not behave.
//!
//! ```text
//!   ask ──request──▶ process        while it works: 'r' ◀─▶ bytes of the disk · 'w' ──▶ Changes
//!    ▲                  │
//!    └─── 'a' │ 'e' ────┘           silence, too long, nonsense, a crash ──▶ ended, with a text that says so
//! ```

use std::io::{BufReader, ErrorKind as IoKind, Read, Write};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shale_disk::{Disk, Error, ErrorKind, Result, Window};

use super::wire::{ANSWER_LIMIT, Answer, Request, nonsense};
use crate::changes::{Changes, PAGE};
use crate::known::Known;

/// How long it may be silent; it thinks for milliseconds between reads of the disk.
const SILENCE: Duration = Duration::from_secs(20);
/// How long one request may take, without what the disk takes. The longest is the last: all bitmaps of a file system.
const LONGEST: Duration = Duration::from_secs(120);
/// Most bytes of the disk that it asks for, or writes, at once.
const STROKE: usize = 1 << 20;
const TEXT_LIMIT: usize = 4096;
/// Bytes of answers to the requests of one message that are kept.
const ANSWERS_LIMIT: usize = 2 * ANSWER_LIMIT;
/// What it says is read in strokes of this many bytes.
const HEARD: usize = 256 << 10;
/// `main.rs` could not give up its rights; `c/wire.h` has the others.
const NOT_LOCKED: i32 = 5;

/// Where the program `shale-files` is, and how patient one is with it.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    silence: Duration,
    longest: Duration,
    /// Has the last word before it is started.
    prepare: Option<fn(&mut Command)>,
}

impl Program {
    /// The program at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), silence: SILENCE, longest: LONGEST, prepare: None }
    }

    /// Ends it after this much silence instead of 20 seconds.
    pub fn with_patience(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// Ends it when one request takes it longer than this, instead of 120 seconds. What the disk takes does not count.
    pub fn with_longest(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// Has `prepare` change how it is started: a fuzz target puts what it was linked with in its place.
    #[cfg(feature = "fuzz")]
    pub fn prepared(self, prepare: fn(&mut Command)) -> Self {
        Self { prepare: Some(prepare), ..self }
    }

    /// `shale-files` in the folder of the program that runs now.
    pub fn beside_this_one() -> Result<Self> {
        let here = std::env::current_exe().map_err(|e| {
            Error::io("where this program lies cannot be told, and so not where shale-files is", e)
        })?;
        Ok(Self::at(here.parent().unwrap_or(Path::new("/")).join("shale-files")))
    }
}

/// The part of a disk that the process sees, from 0 on.
pub(super) struct Shown {
    pub disk: Arc<dyn Disk>,
    pub changes: Option<Arc<Changes>>,
    pub range: Range<u64>,
    window: Window<Arc<dyn Disk>>,
}

impl Shown {
    pub fn new(disk: Arc<dyn Disk>, changes: Option<Arc<Changes>>, range: Range<u64>) -> Result<Self> {
        let window = Window::new(disk.clone(), range.start, range.end.saturating_sub(range.start))?;
        Ok(Self { disk, changes, range, window })
    }

    pub fn read(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.window.read_at(buffer, offset)
    }

    pub fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= self.window.size());
        match (&self.changes, end) {
            (Some(changes), Some(_)) => changes.write_at(bytes, self.range.start + offset),
            _ => Err(nonsense()),
        }
    }

    /// Whether a range can be lent: it is whole pages of the disk.
    pub fn takes(&self, range: &Range<u64>) -> bool {
        let place = |at: u64| self.range.start.checked_add(at).is_some_and(|at| at.is_multiple_of(PAGE));
        range.end <= self.window.size() && place(range.start) && place(range.end)
    }

    /// See [`Changes::lend`].
    pub fn lend(&self, range: Range<u64>, disk: Arc<dyn Disk>, from: u64) -> Result<()> {
        match &self.changes {
            Some(changes) if range.end <= self.window.size() => {
                changes.lend(self.range.start + range.start..self.range.start + range.end, disk, from)
            }
            _ => Err(nonsense()),
        }
    }
}

/// A running `shale-files`.
pub(super) struct Process {
    pub shown: Shown,
    child: Child,
    /// What it says; requests and bytes of the disk are written past the buffer.
    socket: BufReader<UnixStream>,
    /// Set by the first failure of the process itself.
    ended: bool,
    longest: Duration,
    /// How long the disk took, in all.
    at_disk: Duration,
    buffer: Vec<u8>,
}

impl Process {
    /// Starts it for file systems of this kind.
    pub fn start(program: &Program, shown: Shown, kind: Known) -> Result<Self> {
        let failed = |e| {
            Error::io(
                format!(
                    "'{}' cannot be started: it reads file systems; is it installed?",
                    program.path.display()
                ),
                e,
            )
        };
        let (socket, theirs) = UnixStream::pair().map_err(failed)?;
        socket.set_read_timeout(Some(program.silence)).map_err(failed)?;
        socket.set_write_timeout(Some(program.silence)).map_err(failed)?;
        let mut command = Command::new(&program.path);
        command.args((kind == Known::Fat).then_some("fat")).env_clear().current_dir("/");
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::null());
        program.prepare.inspect(|prepare| prepare(&mut command));
        let child = command.spawn().map_err(failed)?;
        Ok(Self {
            shown,
            child,
            socket: BufReader::with_capacity(HEARD, socket),
            ended: false,
            longest: program.longest,
            at_disk: Duration::ZERO,
            buffer: Vec::new(),
        })
    }

    /// Sends a request and serves the disk until it is answered.
    pub fn ask(&mut self, request: Request) -> Result<Answer> {
        let operation = request.operation();
        let mut answers = self.ask_all(&request.finish()?, 1, operation)?;
        answers.pop().unwrap_or_else(|| Err(nonsense()))
    }

    /// Sends `count` requests at once, and serves the disk until all are answered. `operation` names them where the process
    /// fails. An answer that is too much beside the others is an error.
    pub fn ask_all(&mut self, requests: &[u8], count: usize, operation: u8) -> Result<Vec<Result<Answer>>> {
        if self.ended {
            let text = "the program that reads file systems was ended by an earlier failure";
            return Err(Error::new(ErrorKind::Corrupt, text));
        }
        let mut room = ANSWERS_LIMIT;
        let mut kept = |answer: Answer| match room.checked_sub(answer.length()) {
            Some(left) => {
                room = left;
                Ok(answer)
            }
            None => {
                Err(Error::new(ErrorKind::Unsupported, "its answers are too long to be asked for at once"))
            }
        };
        let answers = self.tell(requests).and_then(|()| {
            let hear = |_| self.hear().map(|answer| answer.and_then(&mut kept));
            (0..count).map(hear).collect()
        });
        answers.map_err(|ended| self.end(ended, operation))
    }

    /// The process hears a message to its end before it does anything, so this cannot wait for itself.
    fn tell(&mut self, requests: &[u8]) -> std::result::Result<(), Ended> {
        self.buffer.clear();
        self.buffer.extend((requests.len() as u32).to_le_bytes());
        self.buffer.extend(requests);
        Ok(self.socket.get_mut().write_all(&self.buffer)?)
    }

    /// The inner result is what the process said; the outer error is that there is no talking to it any more.
    fn hear(&mut self) -> std::result::Result<Result<Answer>, Ended> {
        let (started, at_disk) = (Instant::now(), self.at_disk);
        loop {
            if started.elapsed().saturating_sub(self.at_disk - at_disk) > self.longest {
                return Err(Ended::TooLong);
            }
            let mut head = [0; 5];
            self.socket.read_exact(&mut head)?;
            let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
            let length = (length as usize).checked_sub(1).ok_or(Ended::Nonsense)?;
            match head[4] {
                b'r' => self.serve_read(length)?,
                b'w' => self.serve_write(length)?,
                b'a' => return Ok(Ok(Answer::new(self.take(length, ANSWER_LIMIT)?))),
                b'e' => return Ok(Err(self.take_error(length)?)),
                _ => return Err(Ended::Nonsense),
            }
        }
    }

    fn serve_read(&mut self, length: usize) -> std::result::Result<(), Ended> {
        let mut fields = [0; 12];
        if length != fields.len() {
            return Err(Ended::Nonsense);
        }
        self.socket.read_exact(&mut fields)?;
        let (offset, length) = fields.split_at(8);
        let offset = u64::from_le_bytes(offset.try_into().map_err(|_| Ended::Nonsense)?);
        let length = u32::from_le_bytes(length.try_into().map_err(|_| Ended::Nonsense)?);
        if length as usize > STROKE {
            return Err(Ended::Nonsense);
        }
        self.buffer.resize(4 + length as usize, 0);
        self.buffer[..4].copy_from_slice(&length.to_le_bytes());
        counted(&mut self.at_disk, || self.shown.read(&mut self.buffer[4..], offset))?;
        Ok(self.socket.get_mut().write_all(&self.buffer)?)
    }

    fn serve_write(&mut self, length: usize) -> std::result::Result<(), Ended> {
        let mut offset = [0; 8];
        let length = length.checked_sub(8).filter(|length| *length <= STROKE).ok_or(Ended::Nonsense)?;
        self.socket.read_exact(&mut offset)?;
        self.buffer.resize(length, 0);
        self.socket.read_exact(&mut self.buffer)?;
        counted(&mut self.at_disk, || self.shown.write(&self.buffer, u64::from_le_bytes(offset)))
    }

    fn take(&mut self, length: usize, limit: usize) -> std::result::Result<Vec<u8>, Ended> {
        if length > limit {
            return Err(Ended::Nonsense);
        }
        let mut bytes = vec![0; length];
        self.socket.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn take_error(&mut self, length: usize) -> std::result::Result<Error, Ended> {
        let bytes = self.take(length, TEXT_LIMIT)?;
        let (kind, text) = bytes.split_first().ok_or(Ended::Nonsense)?;
        let kind = match kind {
            1 | 4 => ErrorKind::Corrupt,
            2 | 5 => ErrorKind::Unsupported,
            3 => ErrorKind::Full,
            _ => return Err(Ended::Nonsense),
        };
        Ok(Error::new(kind, String::from_utf8_lossy(text).escape_debug().to_string()))
    }

    /// Ends the process and says why.
    fn end(&mut self, why: Ended, operation: u8) -> Error {
        self.ended = true;
        let killed = !matches!(why, Ended::Gone);
        if killed {
            let _ = self.child.kill();
        }
        let status = self.child.wait();
        let doing = doing(operation);
        match why {
            Ended::Disk(e) => e,
            Ended::Nonsense => nonsense(),
            Ended::Silent | Ended::TooLong => corrupt(format!(
                "the program that reads file systems took too long to {doing} and was ended: the file system is damaged, \
                 or made to mislead; check it with its own tool"
            )),
            Ended::Gone => match status {
                Ok(status) => corrupt(format!("{} while it was to {doing}", gone(status))),
                Err(e) => Error::io("how the program that reads file systems ended cannot be told", e),
            },
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended {
            // Its part is done, or is to be thrown away: nothing it holds is lost.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Has the disk do something, and adds how long that took.
fn counted(at_disk: &mut Duration, work: impl FnOnce() -> Result<()>) -> std::result::Result<(), Ended> {
    let asked = Instant::now();
    let done = work();
    *at_disk += asked.elapsed();
    done.map_err(Ended::Disk)
}

/// Why there is no talking to the process any more.
#[derive(Debug)]
enum Ended {
    Gone,
    Silent,
    TooLong,
    Nonsense,
    Disk(Error),
}

impl From<std::io::Error> for Ended {
    fn from(e: std::io::Error) -> Self {
        match e.kind() {
            IoKind::WouldBlock | IoKind::TimedOut => Self::Silent,
            _ => Self::Gone,
        }
    }
}

fn doing(operation: u8) -> &'static str {
    match operation {
        super::wire::OPEN => "open the file system",
        super::wire::FOLDER => "list a folder",
        super::wire::ENTRY | super::wire::MAP | super::wire::READ => "read a file",
        super::wire::GROW => "grow the file system",
        super::wire::CLOSE => "close the file system",
        _ => "write to the file system",
    }
}

fn gone(status: ExitStatus) -> String {
    let program = "the program that reads file systems";
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!(
            "{program} crashed (signal {signal}): the file system is damaged, check it with its own tool"
        ),
        (_, Some(3)) => format!(
            "{program} needed more memory than it may have: the file system is damaged or unusually large"
        ),
        (_, Some(NOT_LOCKED)) => {
            format!("{program} could not give up its rights and did not begin: the kernel needs seccomp")
        }
        _ => format!("{program} ended ({status})"),
    }
}

fn corrupt(text: String) -> Error {
    Error::new(ErrorKind::Corrupt, text)
}
