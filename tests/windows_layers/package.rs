//! Programs for Windows, and packages of Windows Installer that bring them.
//!
//! Each has a program, values in the registry, an entry in the start menu, a place in `PATH`; both have the same component
//! with a library, both set the same value, and both add to the same list.

use crate::programs::run;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program, and all but the end of the identities of its package.
pub struct Program {
    pub name: &'static str,
    id: &'static str,
}

pub const ABACUS: Program = Program { name: "Abacus", id: "3f1c2f9e-31d1-4cf4-8f6f-14b50a1d1a" };
pub const SUNDIAL: Program = Program { name: "Sundial", id: "3f1c2f9e-31d1-4cf4-8f6f-14b50a1d1b" };

/// Tables and actions that wixl does not know: the folder comes behind what is in the machine's `PATH`.
const PATH: [&str; 4] = [
    "CREATE TABLE `Environment` (`Environment` CHAR(72) NOT NULL, `Name` CHAR(255) NOT NULL, `Value` CHAR(255), `Component_` CHAR(72) NOT NULL PRIMARY KEY `Environment`)",
    "INSERT INTO `Environment` (`Environment`, `Name`, `Value`, `Component_`) VALUES ('path', '=-*PATH', '[~];[Folder]', 'Program')",
    "INSERT INTO `InstallExecuteSequence` (`Action`, `Sequence`) VALUES ('WriteEnvironmentStrings', 5200)",
    "INSERT INTO `InstallExecuteSequence` (`Action`, `Sequence`) VALUES ('RemoveEnvironmentStrings', 3300)",
];

impl Program {
    /// The package's identity, by which it is uninstalled.
    pub fn product(&self) -> String {
        format!("{{{}01}}", self.id.to_uppercase())
    }

    /// Its place on the drive.
    pub fn place(&self) -> String {
        format!("Program Files/{0}/{0}.exe", self.name)
    }

    /// What it says when it is started.
    pub fn says(&self) -> String {
        format!("{0}: set by {0}, 42\n", self.name)
    }

    /// Its entry in a user's start menu.
    pub fn entry(&self, user: &str) -> String {
        let menu = "AppData/Roaming/Microsoft/Windows/Start Menu/Programs";
        format!("users/{user}/{menu}/Instruments/{}.lnk", self.name)
    }

    /// Builds its package in a folder, where the library of another one is used again.
    pub fn package(&self, folder: &Path) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("windows_layers/package");
        let gcc = |output: String, file: &str, words: &[&str]| {
            let (output, source) = (folder.join(output), source.join(file));
            let files = ["-o", output.to_str().unwrap(), source.to_str().unwrap()];
            run("x86_64-w64-mingw32-gcc", &[&["-O", "-s", "-Wall", "-Werror"][..], words, &files].concat());
        };
        gcc(format!("{}.exe", self.name), "program.c", &[&format!("-DNAME=\"{}\"", self.name)]);
        if !folder.join("scale.dll").exists() {
            gcc("scale.dll".to_owned(), "scale.c", &["-shared"]);
        }
        let package = folder.join(format!("{}.msi", self.name));
        let mut wixl = Command::new("wixl");
        wixl.args([
            "-a",
            "x64",
            "-D",
            &format!("Name={}", self.name),
            "-D",
            &format!("Id={}", self.id),
            "-o",
        ]);
        wixl.arg(&package).arg(source.join("program.wxs"));
        assert!(wixl.current_dir(folder).status().expect("wixl is installed").success());
        for query in PATH {
            run("msibuild", &[package.to_str().unwrap(), "-q", query]);
        }
        package
    }
}
