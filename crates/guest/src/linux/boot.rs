//! Kernels, and whether everything is written that starts them.
//!
//! ```text
//!  /boot/vmlinuz-R, /lib/modules/R/vmlinuz                        the kernel of release R
//!  /boot/initrd.img-R (Debian) initramfs-R.img (Fedora) initrd-R (openSUSE)   its initramfs
//!  /boot/grub/grub.cfg, /boot/grub2/grub.cfg                      GRUB's menu, names R …
//!  /boot/loader/entries/*.conf                                    … or reads these, which name R
//!  initrd.img-R.new, grub.cfg.new                                 half written
//! ```

use super::Look;
use super::root::Root;
use crate::facts::{BootFiles, Kernel, LinuxFacts};
use std::collections::BTreeSet;

const MENUS: &[&str] = &["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"];
const ENTRIES: &str = "/boot/loader/entries";
/// Most that is read of a menu, or of one of its entries, and of all of them: many times what they have. What is left out names no kernel.
const MENU: u64 = 1 << 20;
const ALL_ENTRIES: usize = 4 << 20;
/// Programs that write boot files, as the kernel shortens their names.
const WRITERS: &[&str] =
    &["update-initramf", "mkinitramfs", "dracut", "mkinitcpio", "grub-mkconfig", "grub2-mkconfig"];

pub(super) fn gather(root: &Root, facts: &mut LinuxFacts) {
    let running = root.text("/proc/sys/kernel/osrelease").map(|release| release.trim().to_owned());
    facts.running_kernel = running.filter(|release| !release.is_empty());
    lying(root, facts);
    facts.boot_writers = root
        .processes()
        .into_iter()
        .filter(|(name, _)| WRITERS.contains(&name.as_str()))
        .map(|(name, pid)| format!("{name} ({pid})"))
        .collect();
}

/// What the disk tells.
pub(super) fn lying(files: &dyn Look, facts: &mut LinuxFacts) {
    let names = files.names("/boot");
    let menu = menu(files);
    let boot_files = |release: &str| BootFiles {
        initramfs: ["initrd.img-R", "initramfs-R.img", "initrd-R", "initrd-R.img"]
            .iter()
            .any(|name| names.contains(&name.replace('R', release))),
        in_menu: menu.as_ref().map(|menu| menu.contains(release)),
    };
    let in_boot = in_boot(&names);
    let releases: BTreeSet<_> = in_boot.iter().cloned().chain(with_modules(files)).collect();
    facts.kernels = releases
        .into_iter()
        .map(|release| Kernel { boot: in_boot.contains(&release).then(|| boot_files(&release)), release })
        .collect();
    facts.boot_leftovers = names
        .iter()
        .filter(|name| name.starts_with("init") && name.ends_with(".new"))
        .map(|name| format!("/boot/{name}"))
        .chain(MENUS.iter().map(|menu| format!("{menu}.new")).filter(|file| files.has(file)))
        .collect();
}

/// The releases of the kernels in `/boot`. Those of rescue are copies of the one that installed the system; what has no
/// number (`vmlinuz-linux`) bears no release.
fn in_boot(files: &[String]) -> BTreeSet<String> {
    let releases =
        files.iter().filter_map(|name| name.strip_prefix("vmlinuz-").or(name.strip_prefix("vmlinux-")));
    releases
        .filter(|release| release.starts_with(|c: char| c.is_ascii_digit()))
        .filter(|release| !release.contains("rescue") && !release.ends_with(".old"))
        .map(str::to_owned)
        .collect()
}

/// The releases of the kernels that lie with their modules: packages bring them there, something else copies them.
fn with_modules(files: &dyn Look) -> Vec<String> {
    let mut releases = files.names("/lib/modules");
    releases.retain(|release| files.has(&format!("/lib/modules/{release}/vmlinuz")));
    releases
}

/// All that the boot menu says, if it is there and names kernels by their releases: one that a person wrote may start
/// `/vmlinuz`, a link.
fn menu(files: &dyn Look) -> Option<String> {
    let mut menu = MENUS.iter().find_map(|path| files.text_up_to(path, MENU))?;
    for entry in files.names(ENTRIES).iter().filter(|name| name.ends_with(".conf")) {
        if menu.len() > ALL_ENTRIES {
            break;
        }
        menu += &files.text_up_to(&format!("{ENTRIES}/{entry}"), MENU).unwrap_or_default();
    }
    ["vmlinuz-", "vmlinux-", "blscfg"].iter().any(|word| menu.contains(word)).then_some(menu)
}
