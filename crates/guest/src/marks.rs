//! Where Windows keeps the signs of what is outstanding: keys and values of its registry, below `HKEY_LOCAL_MACHINE`. The
//! same for a machine that runs and for the hives on its disk.
//!
//! Where each comes from: *cm* is what Configuration Manager's setup looks at ("Prerequisite checks", *Pending system restart*), *os* what
//! Microsoft says elsewhere of the part of Windows that sets it, *adm* what administrators of such machines look at (the tables of
//! adamtheautomator.com "pending reboot registry", salt's `win_system`, PSWindowsUpdate). A mark that outlives the restart on a healthy
//! machine would keep it from ever being finalized, so one is left out on purpose: `…\WindowsUpdate\Auto Update\PostRebootReporting`
//! (*adm*) is what Windows Update has yet to report *after* the restart, and stays for good where its service is off, as it is in
//! images; before the restart `RebootRequired` is there, too.

/// Keys that are there only until the next restart. Of servicing (*os*: "Component Based Servicing" and its log; *cm* names the first):
/// the first two are volatile or taken away while Windows starts; the third has the packages that the start finishes, and is left after
/// that only by a servicing that failed, whose system is not to become a layer. Of Windows Update (*cm*). Of Server Manager, which
/// counts its restarts while it installs a role (*adm*; nothing public says that it stays after the last).
pub const KEYS: &[&str] = &[
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending",
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootInProgress",
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\PackagesPending",
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired",
    r"SOFTWARE\Microsoft\ServerManager\CurrentRebootAttempts",
];
/// Values that are there only until the next restart: Server Manager's, as *cm* has it, and those of a machine that joins or leaves a
/// domain (*adm*).
pub const VALUES: &[(&str, &str)] = &[
    (r"SOFTWARE\Microsoft\ServerManager", "CurrentRebootAttempts"),
    (r"SYSTEM\CurrentControlSet\Services\Netlogon", "JoinDomain"),
    (r"SYSTEM\CurrentControlSet\Services\Netlogon", "AvoidSpnSet"),
];
/// Has the values of [`RENAMES`].
pub const SESSION: &str = r"SYSTEM\CurrentControlSet\Control\Session Manager";
/// What is renamed or deleted when the session manager starts: texts in pairs (*os*: `MoveFileEx`, `MOVEFILE_DELAY_UNTIL_REBOOT`; *cm*
/// names the first).
pub const RENAMES: &[&str] = &["PendingFileRenameOperations", "PendingFileRenameOperations2"];
/// Has the keys `ActiveComputerName` and `ComputerName`, each with a value `ComputerName`.
pub const NAMES: &str = r"SYSTEM\CurrentControlSet\Control\ComputerName";
/// What runs once at the next logon (*os*: "Run and RunOnce Registry Keys").
pub const RUN_ONCE: &[&str] = &[
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\RunOnce",
    r"SOFTWARE\Wow6432Node\Microsoft\Windows\CurrentVersion\RunOnce",
];

/// Has the value `UpdateExeVolatile` (*os*: KB 832475).
pub const UPDATES: &str = r"SOFTWARE\Microsoft\Updates";
/// Is there while Windows Installer changes the machine.
pub const INSTALLER: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\InProgress";
/// Has the value `SystemSetupInProgress`.
pub const SETUP: &str = r"SYSTEM\Setup";
/// Has the value `ImageState`: how far Windows Setup, or Sysprep, brought this Windows.
/// <https://learn.microsoft.com/windows-hardware/manufacture/desktop/windows-setup-states>
pub const IMAGE_STATE: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Setup\State";
/// How the value begins of a Windows that Sysprep has generalized, and that was not started since.
pub const GENERALIZED: &str = "IMAGE_STATE_GENERALIZE_RESEAL_TO_";
/// Services of the native image generator, and below each the keys and values that are not 0 while there is work.
pub const NGEN_SERVICES: &[&str] = &[
    r"SOFTWARE\Microsoft\.NETFramework\v2.0.50727\NGenService",
    r"SOFTWARE\Wow6432Node\Microsoft\.NETFramework\v2.0.50727\NGenService",
];
/// Below each of [`NGEN_SERVICES`].
pub const NGEN_FLAGS: &[(&str, &str)] = &[("ListenedState", "RootstoreDirty"), ("State", "PendingUpdate")];
/// Has the value `BootStatus`: not 0 where the boot volume is protected.
pub const BITLOCKER: &str = r"SYSTEM\CurrentControlSet\Control\BitLockerStatus";
/// The management client's service.
pub const SMS_CLIENT: &str = r"SYSTEM\CurrentControlSet\Services\CcmExec";
/// The start type of a service that does not start.
pub const DISABLED: u32 = 4;
/// Has the values `ProductName`, `CurrentBuild`, `UBR`.
pub const VERSION: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion";
/// Where the report is left, below the drive of Windows.
pub const REPORT: &str = r"ProgramData\Shale\integrity.json";

/// The service that starts Sysprep in a machine of a generalized image, and takes itself out before.
pub const SYSPREP_SERVICE: &str = "shale-sysprep";
/// Where that tells what it did, below the drive of Windows.
pub const SYSPREP_LOG: &str = r"ProgramData\Shale\sysprep.log";

/// What the session manager renames when it starts: texts in pairs, the second empty where the file is deleted.
#[must_use]
pub fn pairs(texts: &[String]) -> Vec<(String, String)> {
    let pairs = texts.chunks(2).map(|pair| (pair[0].clone(), pair.get(1).cloned().unwrap_or_default()));
    pairs.filter(|(from, _)| !from.is_empty()).collect()
}
