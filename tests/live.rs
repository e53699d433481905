//! What is outstanding in a machine that runs: the list that Shutdown For Finalize makes in it is the one that the command line and the
//! API show. The guest is a small one, half configured; the tool in it is the real one, from its CD.

use serde_json::Value;
use shale_tests::{Desk, tiny_system};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A boot takes some 10 s where guests are translated and the host is otherwise idle.
const PATIENCE: Duration = Duration::from_secs(240);

/// A package is half configured, the tool looks; once the machine is given the file `go`, it is mended and the tool looks again.
const RUN: &str = r#"
mkdir -p usr etc var/lib/dpkg && echo ID=tiny >etc/os-release
package() { printf 'Package: nginx\nStatus: install ok %s\n\n' "$1" >var/lib/dpkg/status; }
cd_in() { mount -t iso9660 -o ro,iocharset=utf8 /dev/sr0 /mnt; }
look() { until cd_in; do sleep 1; done; /mnt/shutdown-for-finalize --root=/disk --check; umount /mnt; }
modprobe -a ata_piix sr_mod isofs nls_utf8
mkdir -p /mnt dev && mount -o bind /dev dev
until [ -e /mnt/shutdown-for-finalize ]; do cd_in || sleep 1; done
umount /mnt
package half-configured
look
until cd_in && [ -e /mnt/go ]; do umount /mnt; sleep 1; done
umount /mnt
package installed
look
"#;

/// A desk with a packaging machine at work in such a guest.
fn desk() -> Desk {
    tiny_system::build_tool();
    let desk = Desk::new();
    desk.ends(0, &["connector", "edit", "local", "--set", "memory_mib=192", "--set", "accelerator=tcg"]);
    let run = desk.folder.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::write(run.join("1"), RUN).unwrap();
    let disk = desk.path("tiny.raw");
    let maker = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest/make-tiny-disk.sh");
    assert!(Command::new(maker).args([&disk, "bios"]).arg(&run).status().unwrap().success());
    desk.ends(0, &["layer", "import", "Tiny", "--version", "1.0", "--file", &disk]);
    let add = ["version", "add", "Tiny", "1.1", "--connector", "local", "--disk", "day", "--size", "1"];
    desk.ends(7, &add);
    desk
}

/// What `shale machine check` says once it ends with this exit code.
fn checked(desk: &Desk, exit: i32) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told = desk.shale(&["machine", "check", "Tiny", "1.1", "-o", "json"]);
        if told.exit == exit {
            return serde_json::from_str(&told.out).unwrap();
        }
        let serial = desk.shale(&["machine", "serial", "Tiny", "1.1"]).out;
        assert!(Instant::now() < deadline, "it does not end with {exit}: {told:#?}\n{serial}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn what_the_tool_finds_in_a_machine_that_runs_is_the_list_that_everybody_sees() {
    let desk = desk();
    let unknown = desk.shale(&["machine", "check", "Tiny", "1.1"]);
    assert!(unknown.exit == 1 || unknown.out.contains("has told nothing there yet"), "{unknown:#?}");

    let found = checked(&desk, 1);
    let codes: Vec<&str> =
        found["findings"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(
        (&found["result"], &codes[..]),
        (&"blocked".into(), &["packages_unfinished"][..]),
        "{found:#}"
    );
    assert_eq!(found["findings"][0]["details"], serde_json::json!(["nginx (half-configured)"]));
    assert!(found["text"].as_str().unwrap().contains("one thing that stands in the way"), "{found:#}");
    let machine = desk.json(&["machine", "show", "Tiny", "1.1"]);
    assert_eq!(machine["power"], "running");
    let path = format!("/machines/{}/check", machine["id"].as_str().unwrap());
    let by_api: Value = serde_json::from_str(&desk.ends(0, &["api", "GET", &path]).out).unwrap();
    assert_eq!(by_api, found, "one list, and when it was made");
    let told = desk.ends(1, &["machine", "check", "Tiny", "1.1"]).out;
    let finding = &found["findings"][0];
    for text in [&finding["message"], &finding["details"][0], &found["text"]] {
        assert!(told.contains(text.as_str().unwrap()), "{text} is not in: {told}");
    }

    let go = desk.path("go");
    fs::write(&go, "mended\n").unwrap();
    desk.ends(0, &["machine", "attach", "Tiny", "1.1", "--file", &go]);
    let clean = checked(&desk, 0);
    assert_eq!(
        (&clean["result"], &clean["findings"]),
        (&"clean".into(), &serde_json::json!([])),
        "{clean:#}"
    );
    assert!(clean["checked_at"].as_str() > found["checked_at"].as_str(), "{clean:#}");
}
