//! The hives of a Windows whose registry is Wine's, put together and taken apart by hivex.
//!
//! | Wine | hive |
//! |---|---|
//! | `system.reg`: `Software` | `windows/system32/config/SOFTWARE` |
//! | `system.reg`: `System`; its `CurrentControlSet` | `windows/system32/config/SYSTEM`; `ControlSet001` |
//! | `user.reg`, but for the next | `users/<name>/NTUSER.DAT` |
//! | `user.reg`: `Software\Classes` | `users/<name>/AppData/Local/Microsoft/Windows/UsrClass.dat` |
//! | `userdef.reg` | `windows/system32/config/DEFAULT` |
//!
//! Other keys of the machine (`Hardware`) Wine makes when it starts. hivex knows no mark for keys that are links: they are
//! known by their value, and marked again for Wine.

use super::registry::Registry;
use crate::programs::run;
use std::fs;
use std::path::{Path, PathBuf};

const SET: (&str, &str) = ("CurrentControlSet", "ControlSet001");
const CLASSES: &str = r"Software\Classes";

/// The registry of a Windows, as its hives have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hives {
    pub software: Registry,
    pub system: Registry,
    pub user: Registry,
    pub classes: Registry,
    pub default: Registry,
}

/// Where the hives are on the drive, in the order of [`Hives::all`].
pub fn places(user: &str) -> [String; 5] {
    let config = |name: &str| format!("windows/system32/config/{name}");
    let of_user = |name: &str| format!("users/{user}/{name}");
    let classes = of_user("AppData/Local/Microsoft/Windows/UsrClass.dat");
    [config("SOFTWARE"), config("SYSTEM"), of_user("NTUSER.DAT"), classes, config("DEFAULT")]
}

impl Hives {
    /// In the order of their places.
    pub fn all(&self) -> [&Registry; 5] {
        [&self.software, &self.system, &self.user, &self.classes, &self.default]
    }

    /// Does to `onto` what became of these, whose `now` it is.
    pub fn done(&self, now: &Self, onto: &mut Self) {
        let Self { software, system, user, classes, default } = onto;
        let all = [software, system, user, classes, default];
        for ((was, now), onto) in self.all().iter().zip(now.all()).zip(all) {
            was.done(now, onto);
        }
    }

    /// What the files of Wine in a folder say.
    pub fn of_wine(folder: &Path) -> Self {
        let file = |name: &str| Registry::of_wine(&fs::read_to_string(folder.join(name)).unwrap());
        let (machine, user) = (file("system.reg"), file("user.reg"));
        Self {
            software: machine.below("Software", None),
            system: machine.below("System", Some(SET)),
            classes: user.below(CLASSES, None),
            user: user.without(CLASSES),
            default: file("userdef.reg"),
        }
    }

    /// Writes the files of Wine into a folder.
    pub fn to_wine(&self, folder: &Path) {
        let mut machine = Registry::default();
        machine.put("Software", self.software.clone(), None);
        machine.put("System", self.system.clone(), Some((SET.1, SET.0)));
        let mut user = self.user.clone();
        user.put(CLASSES, self.classes.clone(), None);
        for (name, registry) in [("system", &machine), ("user", &user), ("userdef", &self.default)] {
            fs::write(folder.join(format!("{name}.reg")), registry.to_wine()).unwrap();
        }
    }

    /// What hivexregedit reads in the hives of a drive.
    pub fn read(drive: &Path, user: &str) -> Self {
        let [software, system, user, classes, default] =
            places(user).map(|place| exported(&drive.join(place)));
        Self { software, system, user, classes, default }
    }

    /// Has hivexregedit do to the hives of a drive what became of them since they were read. A hive that is not there is made.
    pub fn write(&self, drive: &Path, user: &str, was: &Self) {
        for ((place, now), was) in places(user).iter().zip(self.all()).zip(was.all()) {
            let (hive, changes) = (drive.join(place), was.changes(now));
            if !hive.exists() {
                make_empty(&hive);
            }
            merge(&hive, &changes);
        }
    }
}

fn exported(hive: &Path) -> Registry {
    Registry::of_regedit(&run("hivexregedit", &["--export", text(hive), r"\"]))
}

fn merge(hive: &Path, changes: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), changes).unwrap();
    run("hivexregedit", &["--merge", text(hive), text(file.path())]);
}

/// A hive that Windows made, emptied.
fn make_empty(hive: &Path) {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/volume/tests/hives/offreg.xz");
    fs::create_dir_all(hive.parent().unwrap()).unwrap();
    let unpacked = std::process::Command::new("xz").arg("-dc").arg(real).output().unwrap();
    fs::write(hive, unpacked.stdout).unwrap();
    let mut empty = Registry::default();
    empty.key("");
    merge(hive, &exported(hive).changes(&empty));
    assert!(exported(hive).0.keys().all(|path| path.0.is_empty()));
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What hivexsh says about the value of a key.
#[track_caller]
pub fn value(hive: &Path, key: &str, name: &str) -> String {
    let script = tempfile::NamedTempFile::new().unwrap();
    fs::write(script.path(), format!("cd {key}\nlsval {name}\n")).unwrap();
    run("hivexsh", &["-f", text(script.path()), text(hive)]).trim().to_owned()
}

/// The only user's folder in `users`.
pub fn user_of(drive: &Path) -> String {
    let folders = fs::read_dir(drive.join("users")).unwrap().map(|entry| entry.unwrap().path());
    let mut users: Vec<PathBuf> = folders.filter(|path| !path.ends_with("Public")).collect();
    assert_eq!(users.len(), 1, "{users:?}");
    users.remove(0).file_name().unwrap().to_str().unwrap().to_owned()
}
