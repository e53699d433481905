//! Where distributions put the firmware that QEMU runs.

use std::path::{Path, PathBuf};

/// OVMF: the code, which all machines share, and the variables, of which each machine has a copy. The two must
/// be of one build. Debian 12 has all of these, Ubuntu 24.04 only the first.
const UEFI: &[(&str, &str)] = &[
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
];

/// SeaBIOS. QEMU finds it by itself; this is for the test of the host.
const BIOS: &[&str] = &["/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/bios-256k.bin"];

/// What a UEFI machine starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Uefi {
    /// Read-only, shared.
    pub(super) code: PathBuf,
    /// The variables as they are in a new machine.
    pub(super) new_variables: PathBuf,
}

/// The host's UEFI firmware, if there is one.
pub(super) fn uefi() -> Option<Uefi> {
    let pair = UEFI.iter().find(|(code, vars)| Path::new(code).is_file() && Path::new(vars).is_file())?;
    Some(Uefi { code: pair.0.into(), new_variables: pair.1.into() })
}

/// The host's PC BIOS, if there is one.
pub(super) fn bios() -> Option<&'static Path> {
    BIOS.iter().map(Path::new).find(|p| p.is_file())
}
