//! What this computer has to run machines with: firmware, and perhaps KVM.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use shale_disk::{Error, ErrorKind, Result};

use super::Settings;

/// What a machine starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Firmware {
    /// SeaBIOS, which QEMU finds by itself.
    Bios,
    /// OVMF.
    Uefi {
        /// Read-only, shared by all.
        code: PathBuf,
        /// The machine's own.
        variables: PathBuf,
    },
}

/// OVMF's code and the variables of a new machine, of one build, where Debian and Ubuntu put them.
const OVMF: &[(&str, &str)] = &[
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
];

/// The firmware for a machine; its own variables are made when it is started for the first time.
pub(super) fn firmware(settings: &Settings) -> Result<Firmware> {
    if !settings.uefi {
        return Ok(Firmware::Bios);
    }
    let is_there = |(code, new): &&(&str, &str)| Path::new(code).is_file() && Path::new(new).is_file();
    let Some((code, new)) = OVMF.iter().find(is_there) else {
        let what = "the firmware for UEFI machines is missing: install the package ovmf";
        return Err(Error::new(ErrorKind::Unsupported, what));
    };
    let variables = settings.folder.join("efi-variables.fd");
    if !variables.exists() {
        let copied = fs::copy(new, &variables);
        copied.map_err(|e| Error::io(format!("cannot make '{}'", variables.display()), e))?;
    }
    Ok(Firmware::Uefi { code: code.into(), variables })
}

/// Whether KVM works. A `/dev/kvm` that opens proves nothing on some virtual hosts: the processor must help, too.
pub(super) fn has_kvm() -> bool {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    has_virtualization(&cpus) && File::options().read(true).write(true).open("/dev/kvm").is_ok()
}

fn has_virtualization(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_ascii_whitespace().any(|flag| ["vmx", "svm"].contains(&flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_that_tell_virtualization_are_whole_words_of_the_flags_line() {
        assert!(has_virtualization("model name\t: x\nflags\t\t: fpu svm lm\n"));
        assert!(!has_virtualization("flags\t\t: fpu vmx_ept\n"));
        assert!(!has_virtualization("model name\t: vmx\nflags\t\t: fpu\n"));
    }
}
