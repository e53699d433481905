//! What starts the script of an unattended machine: a unit of systemd, or a service of Windows, in the disk that it starts from,
//! taken out again before the disk becomes a version.
//!
//! ```text
//!   composition ── put_into ─┬─ Linux ────▶ shale-run.service ─▶ start ─▶ mounts the CD ─▶ shutdown-for-finalize --run-script
//!                            └─ Windows ──▶ registry: shale-run ─▶ shale-run.exe (the tool) ─▶ finds the CD by its name
//!   machine's disk ── take_out ──▶ neither of them, nor what the run left on the disk
//! ```
//!
//! The script and its files are on the CD, so that one disk serves every run. docs/decisions/0014 tells why so.

use crate::installed::rewritten;
use crate::tools::Tools;
use shale_disk::{Disk, Error, ErrorKind, Result};
use shale_volume::changes::Changes;
use shale_volume::exclude::Family;
use shale_volume::files::Program;
use shale_volume::placed::{self, Placed, What};
use shale_volume::services::{self, Service};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// What the machine runs once it is up. `simple`: the start of the machine does not wait for it, or it would find itself among
/// what is not done. A shutdown that it asks for must not end it before it has told so.
const UNIT: &str = "\
[Unit]
Description=Run the script of an unattended Shale version
After=network-online.target
Wants=network-online.target

[Service]
Type=simple
ExecStart=/bin/sh /var/lib/shutdown-for-finalize/start
KillMode=process

[Install]
WantedBy=multi-user.target
";

/// Finds the CD by its name, or where drives are: the system may know its drives only a moment after this is started. Where it finds
/// none, nothing else can tell so.
const START: &str = "\
#!/bin/sh
# Runs what is on the CD SHALE-TOOLS.
cd=/run/shale-tools
mkdir -p $cd
tries=60
while [ $tries -gt 0 ]; do
    for device in /dev/disk/by-label/SHALE-TOOLS /dev/sr0 /dev/sr1; do
        [ -x $cd/shutdown-for-finalize ] && exec $cd/shutdown-for-finalize --run-script=$cd
        [ -b $device ] && mount -t iso9660 -o ro $device $cd && { [ -x $cd/shutdown-for-finalize ] || umount $cd; }
    done
    tries=$((tries - 1))
    sleep 1
done
text='The machine found no CD SHALE-TOOLS, on which its script is.'
line='{\"line\":\"ended\",\"outcome\":\"failed\",\"exit_code\":null,\"text\":\"'$text'\"}'
echo \"$line\" >/var/lib/shutdown-for-finalize/run.jsonl
# Where nobody listens, it is read from the disk of a machine that is off.
echo \"$line\" >/dev/ttyS1 || systemctl poweroff
exit 1
";

/// What Windows starts.
const SERVICE: Service = Service {
    name: "shale-run",
    title: "Run the script of an unattended Shale version",
    command: r"%SystemRoot%\shale-run.exe --service",
};

/// All that decides what a disk with it is, but for the tool.
pub const PARTS: [&str; 5] = [UNIT, START, SERVICE.name, SERVICE.title, SERVICE.command];

const UNIT_PATH: &str = "etc/systemd/system/shale-run.service";
const WANTED: &str = "etc/systemd/system/multi-user.target.wants/shale-run.service";
const START_PATH: &str = "var/lib/shutdown-for-finalize/start";
const PROGRAM: &str = "Windows/shale-run.exe";

/// All files that are there for the run, or left by it, but for the tool's report: that tells of the version.
const LEFT: [&str; 8] = [
    UNIT_PATH,
    WANTED,
    START_PATH,
    PROGRAM,
    RECORDS[0],
    RECORDS[1],
    "var/lib/shutdown-for-finalize/run.json",
    "ProgramData/Shale/run.json",
];

/// Where a run keeps its record, on Linux and on Windows.
const RECORDS: [&str; 2] = ["var/lib/shutdown-for-finalize/run.jsonl", "ProgramData/Shale/run.jsonl"];
/// Most that is read of it.
const RECORD_LIMIT: u64 = 16 << 20;

/// Where systemd is.
const SYSTEMD: [&str; 2] = ["usr/lib/systemd/systemd", "lib/systemd/systemd"];

/// Of which operating systems scripts of this name are.
pub fn family_of(script: &str) -> Family {
    let is_windows =
        |ending: &&str| script.rsplit_once('.').is_some_and(|(_, found)| found.eq_ignore_ascii_case(ending));
    if ["ps1", "cmd", "bat"].iter().any(is_windows) { Family::Windows } else { Family::Linux }
}

/// Puts it into the system that `changes` shows, for scripts of `family`; `now` in seconds since 1970. A system that it could not
/// start in, or that is of another family, is refused.
pub fn put_into(
    program: &Program,
    changes: &Arc<Changes>,
    (family, tools): (Family, &Tools),
    now: i64,
) -> Result<()> {
    placed::put(program, changes, now, |found, changed| match (family, found) {
        (Family::Linux, Family::Linux) => unit(&mut |path| Ok(changed(path)?.is_some())),
        (Family::Windows, Family::Windows) => {
            let tool = tools.for_windows();
            let tool = tool.map_err(|e| Error::io("Shutdown For Finalize for Windows cannot be read", e))?;
            Ok(vec![Placed { path: PROGRAM, mode: 0o755, what: What::File(tool) }])
        }
        (_, Family::Windows) => Err(refused(
            "the operating system is Windows, which runs scripts whose names end in .ps1, .cmd or .bat: give such a script",
        )),
        (_, Family::Linux) => Err(refused(
            "the operating system is Linux, which runs no scripts whose names end in .ps1, .cmd or .bat: give one for Linux, as \
             setup.sh",
        )),
    })?;
    match family {
        Family::Linux => Ok(()),
        Family::Windows => services::put(program, changes, &SERVICE, now),
    }
}

fn refused(text: &str) -> Error {
    Error::new(ErrorKind::Unsupported, text)
}

/// What starts it on Linux.
fn unit(has: &mut dyn FnMut(&str) -> Result<bool>) -> Result<Vec<Placed>> {
    let mut is_there = false;
    for path in SYSTEMD {
        is_there |= has(path)?;
    }
    if !is_there {
        return Err(refused(
            "the operating system has no systemd, which would start the script: add the version without a script",
        ));
    }
    let file = |path, text: &str, mode| Placed { path, mode, what: What::File(text.into()) };
    let link = What::Link("/etc/systemd/system/shale-run.service");
    Ok(vec![
        file(START_PATH, START, 0o755),
        file(UNIT_PATH, UNIT, 0o644),
        Placed { path: WANTED, mode: 0o777, what: link },
    ])
}

/// Takes it, and what the run left, out of the system that `changes` shows. After an error `changes` is to be thrown away.
pub fn take_out(program: &Program, changes: &Arc<Changes>) -> Result<()> {
    placed::take_out(program, changes, &LEFT)?;
    services::take_out(program, changes, SERVICE.name).map(drop)
}

/// The record of a run in the system on `disk`, if it has one.
pub fn record(program: &Program, disk: &Arc<dyn Disk>) -> Result<Option<Vec<u8>>> {
    for path in RECORDS {
        if let Some(record) = placed::read(program, disk, path, RECORD_LIMIT)? {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// The machine's disk `now` without it: what differs from the version without it, as [`crate::installed::taken_out`] tells.
pub fn taken_out(
    program: &Program,
    now: Arc<dyn Disk>,
    touched: Vec<Range<u64>>,
    folder: &Path,
) -> Result<Box<dyn Disk>> {
    rewritten(now, touched, folder, |over| take_out(program, over))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_it_is_ever_part_of_a_layer() {
        let shipped = |family| shale_volume::exclude::Exclusions::shipped(family).unwrap();
        let (linux, windows) = (shipped(Family::Linux), shipped(Family::Windows));
        for path in LEFT {
            let on_windows = path == PROGRAM || path.starts_with("ProgramData/");
            let exclusions = if on_windows { &windows } else { &linux };
            assert!(exclusions.matches(path.as_bytes(), false), "{path}");
        }
        for path in [UNIT_PATH, WANTED, START_PATH, PROGRAM] {
            assert!(LEFT.contains(&path), "{path}");
        }
    }

    #[test]
    fn the_ending_of_a_scripts_name_tells_for_which_system_it_is() {
        for name in ["setup.ps1", "Setup.CMD", "a.b.bat"] {
            assert_eq!(family_of(name), Family::Windows, "{name}");
        }
        for name in ["setup.sh", "setup", "setup.py", "cmd", "setup.ps1.sh"] {
            assert_eq!(family_of(name), Family::Linux, "{name}");
        }
    }

    #[test]
    fn a_system_without_the_cd_says_so_in_a_line_that_is_understood() {
        let made = START.lines().filter(|line| line.starts_with("text=") || line.starts_with("line="));
        let told = "echo \"$line\"";
        assert!(START.contains(&format!("{told} >/dev/ttyS1")));
        let shell = made.chain([told]).collect::<Vec<_>>().join("\n");
        let said = std::process::Command::new("/bin/sh").args(["-c", &shell]).output();
        let lines = shale_guest::script::Lines::default().take(&said.unwrap().stdout);
        assert!(
            matches!(&lines[..], [shale_guest::script::Line::Ended { text, .. }] if text.contains("no CD SHALE-TOOLS")),
            "{lines:?}"
        );
    }

    #[test]
    fn systemd_understands_the_unit() {
        let folder = tempfile::tempdir().unwrap();
        let unit = folder.path().join("shale-run.service");
        std::fs::write(&unit, UNIT).unwrap();
        let judge = std::process::Command::new("systemd-analyze").arg("verify").arg(&unit).output();
        let judge = judge.expect("systemd-analyze is there");
        let said = String::from_utf8_lossy(&judge.stderr);
        let about_it: Vec<&str> = said.lines().filter(|line| line.contains("shale-run")).collect();
        assert!(judge.status.success() && about_it.is_empty(), "{said}");
    }
}
