//! A large SOFTWARE hive, as programs of an office make it, and the same after one more was installed.

use std::path::Path;

use shale_volume::hive::{Hive, Key, Value};

#[path = "../../tests/hives/mod.rs"]
mod hives;

/// Keys in each key of a level: 40 × 250 × 20 below it, as classes and interfaces of COM are, with three values each.
const LEVELS: [usize; 3] = [40, 250, 20];
/// What is written at 2024-01-01.
const WRITTEN: u64 = 133_485_408_000_000_000;

/// Writes the hive; with `installed` also what one program more brings, and changes.
pub fn make(installed: bool, to: &Path) {
    let mut hive = Hive::open(hives::empty(5)).expect("a hive");
    let root = hive.root().expect("a root");
    fill(&mut hive, root, "Class", &LEVELS);
    if installed {
        let vendor = key(&mut hive, root, "Vendor");
        (0..200).for_each(|number| entry(&mut hive, vendor, &format!("Product {number}")));
        let changed = hive.subkey(root, &"Class 7".into()).expect("a key").expect("Class 7");
        (0..100).for_each(|number| value(&mut hive, changed, &format!("Handler {number}"), "Vendor.Handler"));
    }
    std::fs::write(to, hive.into_bytes().expect("a hive")).expect("the hive is written");
}

fn fill(hive: &mut Hive, parent: Key, name: &str, levels: &[usize]) {
    let Some((count, below)) = levels.split_first() else { return entry(hive, parent, "InprocServer32") };
    for number in 0..*count {
        let made = key(hive, parent, &format!("{name} {number}"));
        fill(hive, made, name, below);
    }
}

fn entry(hive: &mut Hive, parent: Key, name: &str) {
    let made = key(hive, parent, name);
    value(hive, made, "", r"C:\Program Files\Common Files\Vendor Shared\Component\implementation.dll");
    value(hive, made, "ThreadingModel", "Both");
    value(
        hive,
        made,
        "Assembly",
        "Vendor.Component.Interop, Version=15.0.0.0, Culture=neutral, PublicKeyToken=71e9bce111e9429c",
    );
}

fn key(hive: &mut Hive, parent: Key, name: &str) -> Key {
    hive.add_key(parent, &name.into(), &[], WRITTEN).expect("a key")
}

fn value(hive: &mut Hive, key: Key, name: &str, text: &str) {
    hive.set_value(key, &Value::text(name, text)).expect("a value");
}
