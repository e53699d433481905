//! A disk that boots by itself and does what a test wants (`tests/guest/make-tiny-disk.sh` of the project), and
//! waiting for machines.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use shale_connector::{Connector, Observed, Origin, Power, ServeCommand, Tag};
use shale_disk::Disk;

/// A boot takes some 10 s where guests are translated and the host is otherwise idle.
const PATIENCE: Duration = Duration::from_secs(240);

/// Makes the tiny disk in `folder`; `scripts` are what it runs: (name, text), see the script.
pub fn make_disk(folder: &Path, scripts: &[(&str, &[u8])]) -> PathBuf {
    let run = folder.join("run");
    fs::create_dir(&run).unwrap();
    for (name, text) in scripts {
        fs::write(run.join(name), text).unwrap();
    }
    let disk = folder.join("tiny.raw");
    let maker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guest/make-tiny-disk.sh");
    let made = Command::new(maker).arg(&disk).arg("both").arg(&run).status().unwrap();
    assert!(made.success());
    disk
}

/// Serves a raw disk, read-only, with `qemu-nbd`.
pub fn serve_command(folder: &Path, disk: &Path) -> ServeCommand {
    let script = folder.join("serve.sh");
    let text = "#!/bin/sh\n# serve.sh DISK --socket PATH\n\
                exec qemu-nbd --read-only --persistent --shared=8 --format=raw --socket \"$3\" \"$1\"\n";
    fs::write(&script, text).unwrap();
    ServeCommand {
        program: "/bin/sh".into(),
        args: vec![script.to_str().unwrap().into(), disk.to_str().unwrap().into()],
    }
}

/// A disk as what machines start from; nothing is known of how it differs from others.
pub fn origin(disk: &dyn Disk, serve: ServeCommand) -> Origin<'_> {
    let id = Tag::parse("0198b2c4-0000-7000-8000-000000000001").unwrap();
    Origin { id, disk, since: &|_| None, total: &|_| {}, serve }
}

/// Watches a machine until `is_there` says so; fails the test when it takes too long.
pub fn wait_until(
    connector: &dyn Connector,
    tag: &Tag,
    what: &str,
    is_there: impl Fn(&Observed) -> bool,
) -> Observed {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = connector.observe(tag).unwrap();
        if is_there(&seen) {
            return seen;
        }
        let log = said(&seen);
        assert!(Instant::now() < deadline, "waited in vain for: {what}\n{seen:#?}\nserial log:\n{log}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// All that the guest has said on its serial port.
pub fn said(seen: &Observed) -> String {
    let log = seen.serial_log.as_deref().and_then(|path| fs::read(path).ok()).unwrap_or_default();
    String::from_utf8_lossy(&log).into_owned()
}

/// Whether the guest has said this on its serial port.
pub fn has_said(seen: &Observed, text: &str) -> bool {
    said(seen).contains(text)
}

/// Waits until the guest has said this.
pub fn wait_for(connector: &dyn Connector, tag: &Tag, text: &str) -> Observed {
    wait_until(connector, tag, text, |seen| {
        assert!(seen.power.is_on() || has_said(seen, text), "off before it said {text:?}:\n{}", said(seen));
        has_said(seen, text)
    })
}

/// Waits until the machine is off.
pub fn wait_off(connector: &dyn Connector, tag: &Tag) -> Observed {
    wait_until(connector, tag, "off", |seen| seen.power == Power::Off)
}
