//! The entry on a Linux desktop.

use std::path::Path;
use std::process::Command;

#[test]
fn the_desktop_entry_is_a_valid_one() {
    let entry = Path::new(env!("CARGO_MANIFEST_DIR")).join("files/shutdown-for-finalize.desktop");
    let judged =
        Command::new("desktop-file-validate").arg(entry).output().expect("desktop-file-validate runs");
    assert!(judged.status.success() && judged.stdout.is_empty(), "{judged:?}");
}
