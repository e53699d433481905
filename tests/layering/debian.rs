//! A Debian disk that boots by itself, and packages of Debian that are installed in its machines without a network. Both are made
//! once, of packages fetched from a mirror, and kept in `build/layering`.

use crate::programs::run;
use std::path::{Path, PathBuf};

/// What is installed in machines, with all that it needs and the disk has not.
const PACKAGES: &str = "nsd,openbgpd,libevent-2.1-7,libfstrm0,libprotobuf-c1,qemu-guest-agent,libglib2.0-0,libnuma1,\
                        liburing2,less,hello";

/// The disk.
pub struct Debian {
    folder: PathBuf,
}

impl Debian {
    /// Made if it is not there yet.
    pub fn ready() -> Self {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folder = project.join("build/layering");
        std::fs::create_dir_all(&folder).unwrap();
        let debian = Self { folder };
        if !debian.key().exists() {
            let key = debian.key();
            run(
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-C", "a test", "-f", key.to_str().unwrap()],
            );
        }
        let (disk, key) = (debian.disk(), debian.folder.join("key.pub"));
        run(
            project.join("scripts/make-debian-disk").to_str().unwrap(),
            &[
                disk.to_str().unwrap(),
                "--size",
                "4G",
                "--ssh-key",
                key.to_str().unwrap(),
                "--fetch",
                PACKAGES,
            ],
        );
        debian
    }

    /// The disk, raw.
    pub fn disk(&self) -> PathBuf {
        self.folder.join("debian.raw")
    }

    /// The key that lets `root` in.
    pub fn key(&self) -> PathBuf {
        self.folder.join("key")
    }

    /// The file of a package.
    pub fn package(&self, name: &str) -> PathBuf {
        let start = format!("{name}_");
        let files =
            std::fs::read_dir(self.folder.join("debian.raw.debs")).unwrap().map(|file| file.unwrap().path());
        let is_wanted = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().starts_with(&start);
        files.into_iter().find(is_wanted).unwrap_or_else(|| panic!("the package {name} was not fetched"))
    }

    /// A package as its maintainer would patch it: its files are the same but for one more, its version is the next one.
    /// Answers its file, made in `folder`.
    pub fn patched(&self, name: &str, folder: &Path) -> PathBuf {
        let (tree, file) = (folder.join(name), folder.join(format!("{name}_patched.deb")));
        let (tree_text, file_text) = (tree.to_str().unwrap(), file.to_str().unwrap());
        run("dpkg-deb", &["-R", self.package(name).to_str().unwrap(), tree_text]);
        let control = tree.join("DEBIAN/control");
        let text = std::fs::read_to_string(&control).unwrap();
        let version = text.lines().find(|line| line.starts_with("Version: ")).unwrap();
        std::fs::write(&control, text.replace(version, &format!("{version}+patched"))).unwrap();
        std::fs::write(tree.join("usr/share/doc").join(name).join("PATCHED"), "patched\n").unwrap();
        let sums = "cd \"$0\" && find usr -type f -print0 | xargs -0 md5sum >DEBIAN/md5sums";
        run("sh", &["-c", sums, tree_text]);
        run("dpkg-deb", &["-b", "--root-owner-group", "-Znone", tree_text, file_text]);
        file
    }
}
