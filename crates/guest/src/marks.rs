//! Where Windows keeps the signs of what is outstanding: keys and values of its registry, below `HKEY_LOCAL_MACHINE`. The
//! same for a machine that runs and for the hives on its disk.

/// Keys that are there only until the next restart.
pub const KEYS: &[&str] = &[
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending",
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootInProgress",
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\PackagesPending",
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired",
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\PostRebootReporting",
    r"SOFTWARE\Microsoft\ServerManager\CurrentRebootAttempts",
];
/// Values that are there only until the next restart: those of a machine that joins or leaves a domain.
pub const VALUES: &[(&str, &str)] = &[
    (r"SYSTEM\CurrentControlSet\Services\Netlogon", "JoinDomain"),
    (r"SYSTEM\CurrentControlSet\Services\Netlogon", "AvoidSpnSet"),
];
/// Has the values of [`RENAMES`].
pub const SESSION: &str = r"SYSTEM\CurrentControlSet\Control\Session Manager";
/// What is renamed or deleted when the session manager starts: texts in pairs.
pub const RENAMES: &[&str] = &["PendingFileRenameOperations", "PendingFileRenameOperations2"];
/// Has the keys `ActiveComputerName` and `ComputerName`, each with a value `ComputerName`.
pub const NAMES: &str = r"SYSTEM\CurrentControlSet\Control\ComputerName";
/// What runs once at the next logon.
pub const RUN_ONCE: &[&str] = &[
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\RunOnce",
    r"SOFTWARE\Wow6432Node\Microsoft\Windows\CurrentVersion\RunOnce",
];

/// Has the value `UpdateExeVolatile`.
pub const UPDATES: &str = r"SOFTWARE\Microsoft\Updates";
/// Is there while Windows Installer changes the machine.
pub const INSTALLER: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\InProgress";
/// Has the value `SystemSetupInProgress`.
pub const SETUP: &str = r"SYSTEM\Setup";
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

/// What the session manager renames when it starts: texts in pairs, the second empty where the file is deleted.
#[must_use]
pub fn pairs(texts: &[String]) -> Vec<(String, String)> {
    let pairs = texts.chunks(2).map(|pair| (pair[0].clone(), pair.get(1).cloned().unwrap_or_default()));
    pairs.filter(|(from, _)| !from.is_empty()).collect()
}
