//! The shortcuts: made of their layout, and opened.
//!
//! A shortcut, by Microsoft's published format (MS-SHLLINK):
//!
//! ```text
//!  header 76 bytes   what follows (flags), icon's number, how the window shows
//!  target            as the desktop names it: computer, drive, folders, file
//!  texts             description, folder to start in, arguments, icon's file: count of characters, UTF-16
//!  extra             the target's path once more, with its variables; a size of 0 ends it
//! ```

use crate::wine::{PROGRAM, wine};
use std::fs;
use std::path::Path;

/// Flags: a target, description, folder, arguments, icon; all in UTF-16; a path with variables; as administrator.
const FLAGS: u32 = 0x1 | 0x4 | 0x10 | 0x20 | 0x40 | 0x80 | 0x200 | 0x2000;
/// Where Windows keeps the picture of a power switch, and its number there.
const ICON: (&str, u32) = (r"%SystemRoot%\System32\shell32.dll", 27);

const SHORTCUTS: &[(&str, &str, &str)] = &[
    (
        "Shutdown For Finalize.lnk",
        "Checks that nothing is outstanding in this packaging machine, and shuts it down for finalize",
        "--pause",
    ),
    (
        "Expedite NGen.lnk",
        "Runs queued native image generation in the foreground, then checks what is outstanding",
        "--expedite --check --pause",
    ),
];

fn text(text: &str) -> Vec<u8> {
    let units: Vec<u16> = text.encode_utf16().collect();
    [units.len() as u16].iter().chain(&units).flat_map(|unit| unit.to_le_bytes()).collect()
}

/// One step of the way to the target: its size, itself.
fn step(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16 + 2).to_le_bytes(), bytes].concat()
}

/// A folder or file: kind, size and time that are not told, attributes, name, to an even length.
fn entry(kind: u8, attributes: u16, name: &str) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(attributes.to_le_bytes());
    bytes.extend(name.bytes().chain([0]));
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    step(&bytes)
}

fn target() -> Vec<u8> {
    // {20D04FE0-3AEA-1069-A2D8-08002B30309D}: the computer.
    let computer = [
        0x1f, 0x50, 0xe0, 0x4f, 0xd0, 0x20, 0xea, 0x3a, 0x69, 0x10, 0xa2, 0xd8, 0x08, 0x00, 0x2b, 0x30, 0x30,
        0x9d,
    ];
    let mut drive = vec![0x2f];
    drive.extend(b"C:\\");
    drive.resize(23, 0);
    let (folders, file) = PROGRAM.trim_start_matches(r"C:\").rsplit_once('\\').unwrap();
    let mut target = [step(&computer), step(&drive)].concat();
    folders.split('\\').for_each(|folder| target.extend(entry(0x31, 0x10, folder)));
    target.extend(entry(0x32, 0x20, file));
    target.extend([0, 0]);
    [&(target.len() as u16).to_le_bytes()[..], &target].concat()
}

/// The target's path in one byte and in two bytes a character.
fn path() -> Vec<u8> {
    let mut block = [0x314_u32.to_le_bytes(), 0xa000_0001_u32.to_le_bytes()].concat();
    block.extend(PROGRAM.bytes());
    block.resize(8 + 260, 0);
    block.extend(PROGRAM.encode_utf16().flat_map(u16::to_le_bytes));
    block.resize(0x314, 0);
    block
}

fn shortcut(description: &str, arguments: &str) -> Vec<u8> {
    let mut bytes = 76_u32.to_le_bytes().to_vec();
    // {00021401-0000-0000-C000-000000000046}: a shortcut.
    bytes.extend([0x01, 0x14, 0x02, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46]);
    bytes.extend(FLAGS.to_le_bytes());
    bytes.extend(0x20_u32.to_le_bytes());
    bytes.resize(56, 0);
    bytes.extend(ICON.1.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.resize(76, 0);
    bytes.extend(target());
    for part in [description, r"C:\Program Files\Shale", arguments, ICON.0] {
        bytes.extend(text(part));
    }
    bytes.extend(path());
    bytes.extend([0; 4]);
    bytes
}

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("files").join(name)
}

#[test]
fn the_shortcuts_are_what_their_layout_says() {
    for (name, description, arguments) in SHORTCUTS {
        assert!(
            fs::read(file(name)).unwrap() == shortcut(description, arguments),
            "{name} is not made of its layout"
        );
    }
}

#[test]
fn the_icon_shuts_down_and_the_menus_entry_only_expedites_and_checks() {
    let mut wine = wine();
    for (name, shuts_down) in [("Expedite NGen.lnk", false), ("Shutdown For Finalize.lnk", true)] {
        let desktop = wine.path("users/Public/Desktop");
        fs::create_dir_all(&desktop).unwrap();
        fs::copy(file(name), desktop.join(name)).unwrap();
        let _ = fs::remove_file(wine.path("ProgramData/Shale/integrity.json"));
        let place = format!(r"C:\users\Public\Desktop\{name}");
        let ended = wine.system("start").args(["/wait", &place]).output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{name}: {ended:?}");
        assert_eq!(wine.report()["shutting_down"], shuts_down, "{name}");
    }
    wine.turn_off();
}
