//! Layers of Windows: hives of the registry are put together, in NTFS that its own tools judge, and read by hivex.

mod hives;
mod made;

use made::guest::{captured, composed, edit, layer, machine, taken_away};
use made::{Image, MIB, Made, content, go_on};
use shale_disk::ErrorKind;
use shale_volume::capture::layer_of;
use shale_volume::hive::{Hive, Name, Value};
use shale_volume::tree::Tree;

const SOFTWARE: &str = "Windows/System32/config/SOFTWARE";

/// The hive with text set: a key, a slash, a name.
fn set(hive: &[u8], values: &[(&str, &str)]) -> Vec<u8> {
    let mut hive = Hive::open(hive.to_vec()).unwrap();
    for (path, text) in values {
        let (path, name) = path.split_once('/').unwrap();
        let mut key = hive.root().unwrap();
        for name in path.split('\\') {
            let name = Name::from(name);
            key = match hive.subkey(key, &name).unwrap() {
                Some(key) => key,
                None => hive.add_key(key, &name, &hives::descriptor(544), 0x01d5_0000_0000_0000).unwrap(),
            };
        }
        hive.set_value(key, &Value::text(name, text)).unwrap();
    }
    hive.into_bytes().unwrap()
}

fn windows(software: &[u8]) -> Image {
    let image = Image::new(Made::Ntfs, 24 * MIB, None);
    edit(&image, |guest| {
        guest.fill(SOFTWARE, software, 0);
        guest.put("Windows/System32/kernel32.dll", "kernel");
    });
    image
}

/// What a machine makes of the hive.
fn with(os: &Image, before: &[u8], values: &[(&str, &str)]) -> Image {
    machine(os, |guest| guest.fill(SOFTWARE, &set(before, values), 0))
}

fn software(image: &Image) -> Vec<u8> {
    hive(image, SOFTWARE)
}

/// The bytes of a hive.
fn hive(image: &Image, path: &str) -> Vec<u8> {
    let mut files = image.open();
    let tree = Tree::read(&mut files, go_on()).unwrap();
    let entry = tree.0[path.as_bytes()].clone();
    content(&mut files, &entry, b"")
}

#[test]
fn what_two_layers_did_to_the_registry_is_done_to_a_newer_one() {
    let first = set(&hives::empty(5), &[("Vendor/Setting", "as it comes"), ("Windows/Version", "1")]);
    let os = windows(&first);
    let one = with(&os, &first, &[("One/Path", "C:\\One"), ("Vendor/Setting", "one's")]);
    let two = with(&os, &first, &[("Two/Path", "C:\\Two"), ("Vendor/Setting", "two's")]);
    let newer = windows(&set(&first, &[("Windows/Version", "2")]));
    let layers = [layer("one", &os, &one), layer("two", &os, &two)];
    let (image, told) = composed(&newer, &layers);
    let exported = hives::exported(&software(&image));
    for path in ["\\Windows]", "\\One]", "\\Two]", "\\Vendor]"] {
        assert!(exported.contains(path), "{path}: {exported}");
    }
    let hive = Hive::open(software(&image)).unwrap();
    let text = |key: &str, name: &str| hive.value(key, name).unwrap().unwrap().as_text().unwrap();
    assert_eq!(text("Windows", "Version"), "2");
    assert_eq!(text("Vendor", "Setting"), "two's");
    assert_eq!(told.conflicts.len(), 1, "{:?}", told.conflicts);
    assert!(told.conflicts[0].text.contains("Vendor\\Setting"), "{:?}", told.conflicts);
    let (again, _) = composed(&image, &layers[1..]);
    assert!(software(&again) == software(&image), "a second time changes no byte");
}

#[test]
fn the_platforms_part_of_the_registry_is_left_out_of_a_version() {
    let first = set(&hives::empty(5), &[("Windows/Version", "1")]);
    let os = windows(&first);
    let platform = layer("tools", &os, &with(&os, &first, &[("Agent/State", "new")]));
    let (given, _) = composed(&os, std::slice::from_ref(&platform));
    let now = with(&given, &software(&given), &[("Agent/State", "ran"), ("Windows/Version", "2")]);
    let (image, done) = taken_away(&os, &platform, &given, &now);
    let hive = Hive::open(software(&image)).unwrap();
    assert_eq!(hive.value("Windows", "Version").unwrap().unwrap().as_text().unwrap(), "2");
    assert!(!hive.exists("Agent").unwrap());
    assert!(done.conflicts.is_empty(), "{:?}", done.conflicts);
}

/// Hives of users, those of all who come later included.
const ANN: &str = "Users/Ann/NTUSER.DAT";
const ANNS_CLASSES: &str = "Users/Ann/AppData/Local/Microsoft/Windows/UsrClass.dat";
const BOB: &str = "Users/Bob/NTUSER.DAT";
const CAY: &str = "Users/Cay/NTUSER.DAT";
const LATER: &str = "Windows/System32/config/DEFAULT";
/// The packages of drivers.
const DRIVERS: &str = "Windows/System32/config/DRIVERS";

#[test]
fn every_users_hives_are_put_together_and_those_of_a_new_user_are_the_layers() {
    let first = hives::imported(
        &hives::empty(5),
        "[\\App]\n\"Gone\"=\"1\"\n\"Stays\"=\"1\"\n\n[\\App\\Old]\n\"x\"=\"1\"\n\n[\\Environment]\n\"Path\"=\"C:\\\\Own\"\n",
    );
    let os = windows(&hives::empty(5));
    let os = machine(&os, |guest| {
        [ANN, ANNS_CLASSES, BOB, LATER].iter().for_each(|path| guest.fill(path, &first, 0));
    });
    // What hivexregedit makes of hives in a machine.
    let changed = |changes: &[(&str, &str)]| {
        machine(&os, |guest| {
            changes.iter().for_each(|(path, text)| guest.fill(path, &hives::imported(&first, text), 0));
        })
    };
    let one = changed(&[
        (ANN, "[-\\App\\Old]\n\n[\\App]\n\"Gone\"=-\n\n[\\Environment]\n\"Path\"=\"C:\\\\Own;C:\\\\One\"\n"),
        (ANNS_CLASSES, "[\\.one]\n@=\"One\"\n"),
        (CAY, "[\\One]\n\"of\"=\"Cay\"\n"),
    ]);
    let two = changed(&[
        (ANN, "[\\Two]\n\"x\"=\"2\"\n\n[\\Environment]\n\"Path\"=\"C:\\\\Own;C:\\\\Two\"\n"),
        (ANNS_CLASSES, "[\\.two]\n@=\"Two\"\n"),
        (BOB, "[\\App]\n\"Stays\"=\"2\"\n"),
        (LATER, "[-\\App]\n"),
    ]);
    let newer = changed(&[(ANN, "[\\Newer]\n\"x\"=\"3\"\n"), (BOB, "[\\Newer]\n")]);
    let (image, told) = composed(&newer, &[layer("one", &os, &one), layer("two", &os, &two)]);
    assert!(told.conflicts.is_empty(), "{:?}", told.conflicts);
    for (path, changes) in [
        (
            ANN,
            "[-\\App\\Old]\n\n[\\App]\n\"Gone\"=-\n\n[\\Two]\n\"x\"=\"2\"\n\n[\\Newer]\n\"x\"=\"3\"\n\n[\\Environment]\n\"Path\"=\"C:\\\\Own;C:\\\\One;C:\\\\Two\"\n",
        ),
        (ANNS_CLASSES, "[\\.one]\n@=\"One\"\n\n[\\.two]\n@=\"Two\"\n"),
        (BOB, "[\\App]\n\"Stays\"=\"2\"\n\n[\\Newer]\n"),
        (CAY, "[\\One]\n\"of\"=\"Cay\"\n"),
        (LATER, "[-\\App]\n"),
    ] {
        let there = hive(&image, path);
        let expected = hives::exported(&hives::imported(&first, changes));
        assert_eq!(hives::exported(&there), expected, "{path}");
        assert_eq!(hives::described(&there).len(), hives::counted(&there).0, "{path}");
    }
}

#[test]
fn drivers_of_several_layers_are_all_known() {
    let package = |name: &str| format!("[\\DriverPackages\\{name}.inf]\n\"Version\"=\"1\"\n\n");
    let first = hives::imported(&hives::empty(5), &format!("[\\DriverPackages]\n\n{}", package("disk")));
    let os = windows(&hives::empty(5));
    let os = machine(&os, |guest| guest.fill(DRIVERS, &first, 0));
    let with =
        |name: &str| machine(&os, |guest| guest.fill(DRIVERS, &hives::imported(&first, &package(name)), 0));
    let layers = ["video", "network"].map(|name| layer(name, &os, &with(name)));
    let (image, told) = composed(&with("newer"), &layers);
    let all = ["newer", "video", "network"].map(package).concat();
    let there = hives::exported(&hive(&image, DRIVERS));
    assert_eq!(there, hives::exported(&hives::imported(&first, &all)));
    assert!(told.conflicts.is_empty(), "{:?}", told.conflicts);
}

#[test]
fn an_administrator_can_leave_out_keys() {
    let first = set(&hives::empty(5), &[("Windows/Version", "1")]);
    let os = windows(&first);
    let now = with(&os, &first, &[("App\\Cache/Last", "x"), ("App/Path", "C:\\App")]);
    let (layer, _) = captured("app", &os, &now, "[SOFTWARE]\nkeys = ['App\\Cache']");
    let hive = Hive::open(software(&composed(&os, &[layer]).0)).unwrap();
    assert!(hive.exists("App").unwrap() && !hive.exists("App\\Cache").unwrap());
}

#[test]
fn what_is_only_in_a_hives_logs_counts_and_a_dirty_hive_without_them_is_refused() {
    let os = windows(&hives::real("recovered"));
    let log = |number: u8| format!("{}.log{number}", SOFTWARE.to_lowercase());
    let now = machine(&os, |guest| {
        guest.fill(SOFTWARE, &hives::real("dirty"), 0);
        let config = guest.folder("Windows/System32/config");
        for number in [1, 2] {
            let name = log(number).rsplit('/').next().unwrap().to_owned();
            guest.fill(
                &format!("Windows/System32/config/{name}"),
                &hives::real(&format!("dirty.LOG{number}")),
                0,
            );
            assert_eq!(guest.folder("Windows/System32/config"), config);
        }
    });
    let capture = |base: &Image, now: &Image| {
        let file = tempfile::tempfile().unwrap();
        layer_of(&made::program(), base.disk(), now.disk(), None, "", file, go_on())
    };
    let made = capture(&os, &now).unwrap();
    assert_eq!(made.bytes, 0, "with its logs it is what it was: {made:?}");
    let torn = machine(&os, |guest| guest.fill(SOFTWARE, &hives::real("dirty"), 0));
    let e = capture(&os, &torn).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Corrupt);
    assert!(std::error::Error::source(&e).unwrap().to_string().contains("shut it down"), "{e}");
}
