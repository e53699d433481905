//! A script's process: both of its outputs as one stream, read while it runs.

use std::io::{self, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How often the process is looked at.
const ROUND: Duration = Duration::from_millis(100);
/// How long output may come after the end: of programs that the script left in the background.
const AFTER: Duration = Duration::from_secs(1);
/// The same, of one that never stops printing.
const AFTER_ALL: Duration = Duration::from_secs(60);

/// Runs a command to its end; tells what it prints. A telling that fails ends nothing: the process is waited for.
pub(super) fn run(
    mut command: Command,
    output: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<ExitStatus> {
    let (mut reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // It holds the pipe's other end.
    drop(command);
    let (sender, receiver) = mpsc::sync_channel::<Vec<u8>>(16);
    thread::spawn(move || {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    let status = loop {
        match receiver.recv_timeout(ROUND) {
            Ok(bytes) => drop(output(&bytes)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break child.wait()?,
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
    };
    let ended = Instant::now();
    while ended.elapsed() < AFTER_ALL
        && let Ok(bytes) = receiver.recv_timeout(AFTER)
    {
        let _ = output(&bytes);
    }
    Ok(status)
}
