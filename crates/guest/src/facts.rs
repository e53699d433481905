//! What was found on a machine, before anyone says what it means. Gathering fills these in; `decide` reads them.

/// What was found, by the kind of system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// On Linux.
    Linux(LinuxFacts),
    /// On Windows.
    Windows(WindowsFacts),
}

/// Facts that were asked for and not got.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unasked {
    /// What: a file, a program, a registry key.
    pub what: String,
    /// Why not.
    pub why: String,
}

/// A file system and its space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Where it is mounted: `/`, `C:\`.
    pub name: String,
    /// Its size, in bytes.
    pub size: u64,
    /// What is free, in bytes.
    pub free: u64,
}

/// An installed kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Its release, as `uname -r` tells it.
    pub release: String,
    /// What there is to start it; unknown where its files do not bear its release.
    pub boot: Option<BootFiles>,
}

/// What there is to start a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFiles {
    /// Whether there is an initramfs for it.
    pub initramfs: bool,
    /// Whether the boot loader's menu names it; unknown where there is no menu that can be read.
    pub in_menu: Option<bool>,
}

/// A lock that some process holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The file.
    pub path: String,
    /// Who holds it, where that is known: `apt-get (1234)`.
    pub holder: Option<String>,
}

/// How far cloud-init is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CloudInit {
    /// Not installed, or not enabled on this machine.
    #[default]
    Absent,
    /// At work, in the stage of this name.
    Running(String),
    /// Done, with these errors.
    Done(Vec<String>),
}

/// What was found on a Linux machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinuxFacts {
    /// Marks of a wanted restart (`/run/reboot-required`, …), with the packages that want it.
    pub reboot_marks: Vec<String>,
    /// What programs said who know whether a restart is wanted (needrestart, needs-restarting).
    pub reboot_advice: Vec<String>,
    /// The release of the running kernel.
    pub running_kernel: Option<String>,
    /// The kernels installed.
    pub kernels: Vec<Kernel>,
    /// Links that make the next start install an update.
    pub staged_updates: Vec<String>,
    /// Held locks of package managers.
    pub package_locks: Vec<Lock>,
    /// The held lock of unattended upgrades.
    pub unattended_upgrade: Option<Lock>,
    /// Packages in between, with their state: `nginx (half-configured)`; unfinished journals.
    pub unfinished_packages: Vec<String>,
    /// cloud-init.
    pub cloud_init: CloudInit,
    /// Programs at work that write boot files: `update-initramfs (1234)`.
    pub boot_writers: Vec<String>,
    /// Half-written boot files.
    pub boot_leftovers: Vec<String>,
    /// Jobs in systemd's queue: `apt-daily.service start running`.
    pub systemd_jobs: Vec<String>,
    /// Units of systemd that failed.
    pub failed_units: Vec<String>,
    /// The file systems on disks.
    pub volumes: Vec<Volume>,
    /// What could not be asked.
    pub unasked: Vec<Unasked>,
}

/// What `ngen queue status` said in a framework's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NgenQueue {
    /// The framework's folder.
    pub folder: String,
    /// The state it told: `stopped`, `running`, `started and paused`, …
    pub state: String,
}

/// An entry that runs once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOnce {
    /// The registry key.
    pub key: String,
    /// The value's name.
    pub name: String,
    /// The command.
    pub command: String,
}

/// What was found on a Windows machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WindowsFacts {
    /// Keys and values that are there only until the next restart: of servicing, Windows Update, joins of a domain.
    pub reboot_marks: Vec<String>,
    /// `PendingFileRenameOperations`: pairs of a file and what becomes of it (nothing: it is deleted).
    pub renames: Vec<(String, String)>,
    /// `UpdateExeVolatile`: not 0 while an update waits for a restart.
    pub update_exe_volatile: u32,
    /// The computer's name now, and the one it has after a restart.
    pub names: Option<(String, String)>,
    /// Devices of disks and their controllers that want a restart.
    pub restarting_devices: Vec<String>,
    /// Windows Installer's mutex exists.
    pub installer_mutex: bool,
    /// Windows Installer's key of the installation in progress exists.
    pub installer_key: bool,
    /// `msiexec.exe` runs, and not as the service: somebody started it.
    pub installer_client: bool,
    /// The names of all processes, in small letters.
    pub processes: Vec<String>,
    /// What the queues of the native image generator said.
    pub ngen_queues: Vec<NgenQueue>,
    /// Flags of the native image generator that say that there is work.
    pub ngen_flags: Vec<String>,
    /// What runs once at the next logon.
    pub run_once: Vec<RunOnce>,
    /// Signs of a feature update.
    pub feature_update: Vec<String>,
    /// The path of `SMSCFG.INI`, if it is there.
    pub sms_configuration: Option<String>,
    /// The management client's service starts with the machine.
    pub sms_client: bool,
    /// The boot volume is protected by BitLocker.
    pub bitlocker: bool,
    /// The domain that the machine is a member of.
    pub domain: Option<String>,
    /// It is not known whether the machine is for a platform layer, which may be a member of a domain.
    pub may_be_platform_layer: bool,
    /// Network adapters that are registered and not there.
    pub ghost_adapters: Vec<String>,
    /// The system's volume.
    pub volumes: Vec<Volume>,
    /// What could not be asked.
    pub unasked: Vec<Unasked>,
}
