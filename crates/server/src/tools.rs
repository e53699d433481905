//! Shutdown For Finalize on its way into packaging machines: on a CD in their drive, and as files of their system.
//!
//! ```text
//!   <folder of shaled>/guest/linux/shutdown-for-finalize          as they are installed
//!                     /guest/windows/shutdown-for-finalize.exe
//!   target/debug/shaled, target/guest/…                           as they are built: one folder up
//!
//!     ├──▶ on_cd         the CD "SHALE-TOOLS" of every machine whose platform can have one, beside the files that people attach
//!     └──▶ in_system     what composing writes into a system; what it writes is excluded from layers (volume's exclude.toml)
//! ```
//!
//! A server without them works: its machines have no CD, and `shale doctor` says which are missing.

use crate::cd::Source;
use shale_volume::exclude::Family;
use shale_volume::placed::{Placed, What};
use std::io;
use std::path::{Path, PathBuf};

/// Below the folder of tools, and on the CD.
const LINUX: (&str, &str) = ("linux", "shutdown-for-finalize");
const WINDOWS: (&str, &str) = ("windows", "shutdown-for-finalize.exe");

/// Where the tools are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tools {
    folder: Option<PathBuf>,
}

impl Tools {
    /// Those beside the server's program.
    pub fn beside(program: &Path) -> Self {
        let here = program.parent().unwrap_or(Path::new("/"));
        let places = [here.join("guest"), here.join("../guest")];
        let has_some = |folder: &PathBuf| [LINUX, WINDOWS].iter().any(|tool| at(folder, *tool).is_file());
        Self { folder: places.into_iter().find(has_some) }
    }

    /// Where they are.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The files for a machine's CD; none where there are no tools.
    pub fn on_cd(&self) -> Vec<Source> {
        let Some(folder) = &self.folder else { return Vec::new() };
        let there = |tool: (&str, &str)| {
            let path = at(folder, tool);
            let size = path.metadata().ok()?.len();
            Some(Source { name: tool.1.to_owned(), path, offset: 0, size })
        };
        [LINUX, WINDOWS].into_iter().filter_map(there).collect()
    }

    /// Whether there is the one that runs scripts in unattended machines of this family.
    pub fn run_scripts(&self, family: Family) -> bool {
        self.folder.as_deref().is_some_and(|folder| at(folder, tool_of(family)).is_file())
    }

    /// The families of systems for which there is none.
    pub fn missing(&self) -> Vec<String> {
        let families = [Family::Linux, Family::Windows].into_iter();
        families.filter(|family| !self.run_scripts(*family)).map(|family| family.to_string()).collect()
    }

    /// The one for Windows.
    pub fn for_windows(&self) -> io::Result<Vec<u8>> {
        let folder = self.folder.as_deref().ok_or(io::ErrorKind::NotFound)?;
        std::fs::read(at(folder, WINDOWS))
    }

    /// Whether a file of this name would hide one of them on the CD, in a guest that may not tell small letters from large.
    pub fn has(name: &str) -> bool {
        [LINUX, WINDOWS].iter().any(|tool| tool.1.eq_ignore_ascii_case(name))
    }

    /// Tells these tools from others: what follows from all that they put into a system. None where there are none.
    pub fn stamp(&self) -> io::Result<Option<String>> {
        let mut hasher = blake3::Hasher::new();
        let mut has_any = false;
        for family in [Family::Linux, Family::Windows] {
            for thing in self.in_system(family)? {
                has_any = true;
                hasher.update(thing.path.as_bytes());
                if let What::File(bytes) = &thing.what {
                    hasher.update(&bytes.len().to_le_bytes());
                    hasher.update(bytes);
                }
            }
        }
        Ok(has_any.then(|| hasher.finalize().to_hex().to_string()))
    }

    /// What belongs into a system: the tool, and what starts it from the desktop. None where there is no tool for it.
    pub fn in_system(&self, family: Family) -> io::Result<Vec<Placed>> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let tool = at(folder, tool_of(family));
        if !tool.is_file() {
            return Ok(Vec::new());
        }
        let bytes = std::fs::read(tool)?;
        let file = |path, bytes: &[u8]| Placed { path, mode: 0o644, what: What::File(bytes.to_vec()) };
        let program = |path| Placed { path, mode: 0o755, what: What::File(bytes) };
        Ok(match family {
            Family::Linux => vec![
                program("usr/local/bin/shutdown-for-finalize"),
                file(
                    "usr/share/applications/shutdown-for-finalize.desktop",
                    include_bytes!("../../guest/files/shutdown-for-finalize.desktop"),
                ),
            ],
            Family::Windows => vec![
                program("Program Files/Shale/shutdown-for-finalize.exe"),
                file(
                    "Users/Public/Desktop/Shutdown For Finalize.lnk",
                    include_bytes!("../../guest/files/Shutdown For Finalize.lnk"),
                ),
                file(
                    "ProgramData/Microsoft/Windows/Start Menu/Programs/Shale/Expedite NGen.lnk",
                    include_bytes!("../../guest/files/Expedite NGen.lnk"),
                ),
            ],
        })
    }
}

fn tool_of(family: Family) -> (&'static str, &'static str) {
    if family == Family::Linux { LINUX } else { WINDOWS }
}

fn at(folder: &Path, (system, name): (&str, &str)) -> PathBuf {
    folder.join(system).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn installed(folder: &Path) -> Tools {
        for (system, name) in [LINUX, WINDOWS] {
            fs::create_dir_all(folder.join("guest").join(system)).unwrap();
            fs::write(folder.join("guest").join(system).join(name), name).unwrap();
        }
        Tools::beside(&folder.join("shaled"))
    }

    #[test]
    fn tools_are_found_beside_the_server_or_where_they_are_built() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Tools::beside(&folder.path().join("shaled")).folder(), None);
        assert!(Tools::beside(Path::new("/nowhere/shaled")).on_cd().is_empty());
        let tools = installed(folder.path());
        let names: Vec<_> = tools.on_cd().iter().map(|file| (file.name.clone(), file.size)).collect();
        assert_eq!(names, [(LINUX.1.to_owned(), 21), (WINDOWS.1.to_owned(), 25)]);
        let built = Tools::beside(&folder.path().join("debug/shaled"));
        assert_eq!(built.on_cd().len(), 0, "no folder 'debug', so nothing above it");
        fs::create_dir(folder.path().join("debug")).unwrap();
        assert_eq!(Tools::beside(&folder.path().join("debug/shaled")).on_cd().len(), 2);
        assert!(tools.missing().is_empty());
        fs::remove_file(folder.path().join("guest/windows").join(WINDOWS.1)).unwrap();
        assert_eq!(built.missing(), ["Linux", "Windows"]);
        assert_eq!(Tools::beside(&folder.path().join("shaled")).missing(), ["Windows"]);
        assert!(Tools::has("Shutdown-For-Finalize.EXE") && !Tools::has("setup.exe"));
    }

    #[test]
    fn what_is_written_into_a_system_is_never_part_of_a_layer() {
        let folder = tempfile::tempdir().unwrap();
        let tools = installed(folder.path());
        for (family, count) in [(Family::Linux, 2), (Family::Windows, 3)] {
            let placed = tools.in_system(family).unwrap();
            assert_eq!(placed.len(), count);
            let exclusions = shale_volume::exclude::Exclusions::shipped(family).unwrap();
            for file in placed {
                assert!(exclusions.matches(file.path.as_bytes(), false), "{}", file.path);
            }
        }
    }
}
