//! Everything that may be found, in the machine or on its disk, in one table: its code, how grave it is, what mends it, and the words for people.
//!
//! Where administrators of such machines know a message by heart, it is that message, letter by letter.

use serde::{Deserialize, Serialize};

/// Whether a finding stands in the way of finalizing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; the machine is shut down all the same.
    Warns,
    /// The machine is not shut down.
    Blocks,
}

/// What makes a finding go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Time: something runs and will end.
    Wait,
    /// A restart of the machine.
    Restart,
    /// Something that a person or a script does.
    Act,
}

/// What was found. The names are part of the report's format and never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Drivers of the boot disk were changed and are not loaded yet.
    DriversRebootPending,
    /// An installation ends only with a restart.
    RebootPending,
    /// Windows Installer is at work.
    MsiInProgress,
    /// Windows installs or removes parts of itself.
    ServicingInProgress,
    /// The native image generator is at work, or paused with work left.
    NgenInProgress,
    /// The native image generator was given work and has not begun.
    NgenNeeded,
    /// Commands are to run once, at the next logon.
    RunOncePending,
    /// A feature update of Windows is staged or under way.
    FeatureUpdateStaged,
    /// The identity of a management client lies on the disk.
    SmsConfigurationPresent,
    /// The boot volume is encrypted.
    BitlockerOn,
    /// Network adapters are registered that the machine no longer has.
    GhostAdapters,
    /// A kernel newer than the running one is installed.
    NewerKernelInstalled,
    /// An offline update is to be installed by the next start.
    OfflineUpdateStaged,
    /// A package manager is at work.
    PackagesInProgress,
    /// Unattended upgrades are at work.
    UnattendedUpgradeInProgress,
    /// Packages are half installed or half configured.
    PackagesUnfinished,
    /// cloud-init is at work.
    CloudInitRunning,
    /// cloud-init ended with errors.
    CloudInitFailed,
    /// The initramfs or the boot loader's menu is being written.
    BootFilesInProgress,
    /// The initramfs or the boot loader's menu does not know the newest kernel.
    BootFilesPending,
    /// systemd has jobs in its queue.
    SystemdJobsQueued,
    /// Units of systemd have failed.
    SystemdUnitsFailed,
    /// A file system has little space left.
    DiskNearlyFull,
    /// Shutdown For Finalize was never run in this machine.
    ToolNotRun,
    /// The system was changed after Shutdown For Finalize had checked it.
    ToolRunOutdated,
    /// A file system was in use when the machine was powered off.
    FileSystemUnclean,
    /// Windows hibernates, or was shut down with fast start-up.
    SystemHibernated,
    /// A file system asks to be checked.
    DiskCheckNeeded,
    /// Partitions are gone that the machine started with.
    PartitionsLost,
    /// Partitions are there that the machine did not start with.
    PartitionsAdded,
    /// Nothing is left that starts the system.
    BootLoaderGone,
    /// A volume is encrypted that was not.
    VolumeEncrypted,
    /// The operating system is not found where it was.
    SystemNotFound,
    /// The machine is a member of a domain.
    DomainJoined,
    /// The disk holds nothing that can be examined.
    NotExamined,
    /// A package manager's list that is not read from the disk, and nobody asked in the machine.
    PackagesNotRead,
    /// Something could not be asked.
    NotChecked,
}

/// What the table says of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Which.
    pub code: Code,
    /// Whether it stands in the way.
    pub severity: Severity,
    /// What makes it go away.
    pub remedy: Remedy,
    /// What is outstanding: one sentence.
    pub message: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

const fn entry(
    code: Code,
    severity: Severity,
    remedy: Remedy,
    message: &'static str,
    advice: &'static str,
) -> Entry {
    Entry { code, severity, remedy, message, advice }
}

/// The table, in the order in which findings are told.
pub const CATALOGUE: &[Entry] = {
    use Code::*;
    use Remedy::*;
    use Severity::*;
    &[
        entry(
            DriversRebootPending,
            Blocks,
            Restart,
            "A reboot is pending to update drivers on the boot disk - please check and reboot the Packaging Machine.",
            "Restart the machine, log on, and run Shutdown For Finalize again.",
        ),
        entry(
            RebootPending,
            Blocks,
            Restart,
            "A post-installation reboot is pending - please check and reboot the Packaging Machine.",
            "Restart the machine, log on, and run Shutdown For Finalize again.",
        ),
        entry(
            NewerKernelInstalled,
            Blocks,
            Restart,
            "A newer kernel is installed than the one that is running - please reboot the Packaging Machine.",
            "Restart the machine, so that it shows that it starts with the new kernel. Where an older one is chosen on purpose (grubby --set-default, GRUB_DEFAULT), no restart helps: remove the newer one.",
        ),
        entry(
            OfflineUpdateStaged,
            Blocks,
            Restart,
            "An update is staged to be installed while the machine starts - please reboot the Packaging Machine.",
            "Restart the machine and let the update end.",
        ),
        entry(
            FeatureUpdateStaged,
            Blocks,
            Restart,
            "A Windows feature update is staged or in progress - please check and reboot the Packaging Machine.",
            "Let the update end, restarting as often as it asks for; or remove it with Disk Clean-up.",
        ),
        entry(
            RunOncePending,
            Blocks,
            Restart,
            "A RunOnce script is outstanding - please check and reboot the packaging machine.",
            "Restart the machine and log on as an administrator: RunOnce entries run at the logon.",
        ),
        entry(
            MsiInProgress,
            Blocks,
            Wait,
            "An MSI install operation is in progress - please check the Packaging Machine.",
            "Let the installation end, or answer its dialog.",
        ),
        entry(
            ServicingInProgress,
            Blocks,
            Wait,
            "Windows is installing or removing updates or features in the background.",
            "Wait until it is done.",
        ),
        entry(
            NgenInProgress,
            Blocks,
            Wait,
            "A Microsoft NGen operation is in progress in the background.",
            "Wait until it is done, or run it in the foreground: shutdown-for-finalize --expedite. Do not reboot to stop it.",
        ),
        entry(
            NgenNeeded,
            Blocks,
            Act,
            "A Microsoft ngen operation is needed.",
            "Run it in the foreground: shutdown-for-finalize --expedite.",
        ),
        entry(
            PackagesInProgress,
            Blocks,
            Wait,
            "A package operation is in progress - please check the Packaging Machine.",
            "Let it end, or answer its question.",
        ),
        entry(
            UnattendedUpgradeInProgress,
            Blocks,
            Wait,
            "An unattended upgrade is in progress in the background.",
            "Wait until it is done.",
        ),
        entry(
            PackagesUnfinished,
            Blocks,
            Act,
            "A package operation was interrupted: packages are half installed or half configured.",
            "Finish it: dpkg --configure -a && apt-get --fix-broken install, or dnf distro-sync.",
        ),
        entry(
            CloudInitRunning,
            Blocks,
            Wait,
            "cloud-init is still setting the machine up.",
            "Wait until it is done: cloud-init status --wait.",
        ),
        entry(
            BootFilesInProgress,
            Blocks,
            Wait,
            "The initramfs or the boot menu is being written.",
            "Wait until it is done.",
        ),
        entry(
            BootFilesPending,
            Blocks,
            Act,
            "The initramfs or the boot menu is not up to date with the installed kernels.",
            "Write them: update-initramfs -u -k all && update-grub, or dracut --regenerate-all --force && grub2-mkconfig.",
        ),
        entry(
            SystemdJobsQueued,
            Blocks,
            Wait,
            "systemd has jobs waiting or running.",
            "Wait until they are done, or look at them: systemctl list-jobs.",
        ),
        entry(
            SmsConfigurationPresent,
            Blocks,
            Act,
            "Software Center Client is configured to run, but the SMSCFG.INI is still present.",
            "Stop the service CcmExec and delete SMSCFG.INI from the Windows folder, so that each machine gets an identity of its own.",
        ),
        entry(
            BitlockerOn,
            Blocks,
            Act,
            "The boot volume is encrypted with BitLocker: its files cannot be read outside this machine.",
            "Decrypt it: manage-bde -off C:, and wait until manage-bde -status says Fully Decrypted.",
        ),
        entry(
            DomainJoined,
            Blocks,
            Act,
            "The machine is joined to a domain: machines made of it would all be the same member.",
            "Leave the domain, restart the machine, and join in the platform layer instead.",
        ),
        entry(
            ToolNotRun,
            Blocks,
            Act,
            "Shutdown For Finalize was never run in this machine.",
            "Start the machine and run Shutdown For Finalize: it shuts the machine down once nothing is outstanding.",
        ),
        entry(
            ToolRunOutdated,
            Blocks,
            Act,
            "The system was changed after Shutdown For Finalize had checked it.",
            "Start the machine and run Shutdown For Finalize again, as the last thing there.",
        ),
        entry(
            FileSystemUnclean,
            Blocks,
            Restart,
            "A file system was in use when the machine was powered off.",
            "Start the machine and shut it down with Shutdown For Finalize.",
        ),
        entry(
            SystemHibernated,
            Blocks,
            Restart,
            "Windows hibernates, or was shut down with fast start-up.",
            "Start the machine and shut it down with Shutdown For Finalize, or with shutdown /s /t 0.",
        ),
        entry(
            DiskCheckNeeded,
            Blocks,
            Act,
            "A file system must be checked before the layer can be finalized.",
            "Start the machine and let it check its disk: chkdsk C: /f, or e2fsck when it starts.",
        ),
        entry(
            PartitionsLost,
            Blocks,
            Act,
            "Partitions are gone that the machine started with.",
            "Cancel the task and begin again; or finalize anyway if that was the purpose.",
        ),
        entry(
            BootLoaderGone,
            Blocks,
            Act,
            "What starts the system is gone from the disk.",
            "Start the machine from its own disk; if it does not start, mend it: grub-install, or bcdboot C:\\Windows.",
        ),
        entry(
            VolumeEncrypted,
            Blocks,
            Act,
            "A volume is encrypted: its files cannot be read outside this machine.",
            "Decrypt it in the machine, or cancel the task and begin again.",
        ),
        entry(
            SystemNotFound,
            Blocks,
            Act,
            "The operating system is not found on the disk any more, or not alone.",
            "Look at what the details tell; remove a second system's volume, or cancel the task and begin again.",
        ),
        entry(
            NotChecked,
            Blocks,
            Act,
            "Something could not be checked.",
            "Mend what the details tell, or shut the machine down by hand and decide when you finalize.",
        ),
        entry(
            PartitionsAdded,
            Warns,
            Act,
            "Partitions are there that the machine did not start with.",
            "Delete them in the machine if the layer does not need them: one behind the system's keeps it from growing.",
        ),
        entry(
            NotExamined,
            Warns,
            Act,
            "The disk could not be examined: what is outstanding on it is not known.",
            "Run Shutdown For Finalize in the machine before you finalize.",
        ),
        entry(
            PackagesNotRead,
            Warns,
            Act,
            "Whether rpm was at work cannot be told from the disk: its list of packages is not read there.",
            "Run Shutdown For Finalize in the machine, where rpm's locks tell.",
        ),
        entry(
            GhostAdapters,
            Warns,
            Act,
            "Network adapters are registered that the machine no longer has.",
            "Nothing to do: they are removed before the machine is shut down for finalize. One that stays can be removed in Device Manager, among the hidden devices.",
        ),
        entry(
            DiskNearlyFull,
            Warns,
            Act,
            "A disk is nearly full.",
            "Delete what the layer does not need, or make the disk larger.",
        ),
        entry(
            CloudInitFailed,
            Warns,
            Act,
            "cloud-init ended with errors.",
            "Look at them: cloud-init status --long.",
        ),
        entry(
            SystemdUnitsFailed,
            Warns,
            Act,
            "Units of systemd have failed.",
            "Look at them: systemctl --failed. Mend them, or forget them with systemctl reset-failed.",
        ),
    ]
};

impl Code {
    /// What the table says of it.
    #[must_use]
    pub fn entry(self) -> &'static Entry {
        // A test proves that every code is there; the first row stands in for what cannot be.
        CATALOGUE.iter().find(|entry| entry.code == self).unwrap_or(&CATALOGUE[0])
    }

    /// Where it stands in the table: the order of telling.
    #[must_use]
    pub fn place(self) -> usize {
        CATALOGUE.iter().position(|entry| entry.code == self).unwrap_or(CATALOGUE.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `NotChecked` is the last code: a new one goes before it.
    fn all() -> impl Iterator<Item = Code> {
        let names = [
            "drivers_reboot_pending",
            "reboot_pending",
            "msi_in_progress",
            "servicing_in_progress",
            "ngen_in_progress",
            "ngen_needed",
            "run_once_pending",
            "feature_update_staged",
            "sms_configuration_present",
            "bitlocker_on",
            "ghost_adapters",
            "newer_kernel_installed",
            "offline_update_staged",
            "packages_in_progress",
            "unattended_upgrade_in_progress",
            "packages_unfinished",
            "cloud_init_running",
            "cloud_init_failed",
            "boot_files_in_progress",
            "boot_files_pending",
            "systemd_jobs_queued",
            "systemd_units_failed",
            "disk_nearly_full",
            "tool_not_run",
            "tool_run_outdated",
            "file_system_unclean",
            "system_hibernated",
            "disk_check_needed",
            "partitions_lost",
            "partitions_added",
            "boot_loader_gone",
            "volume_encrypted",
            "system_not_found",
            "domain_joined",
            "not_examined",
            "packages_not_read",
            "not_checked",
        ];
        assert_eq!(names.len(), Code::NotChecked as usize + 1, "a code is missing here");
        names.into_iter().map(|name| serde_json::from_value(name.into()).unwrap())
    }

    #[test]
    fn every_code_stands_in_the_table_once() {
        for code in all() {
            assert_eq!(CATALOGUE.iter().filter(|entry| entry.code == code).count(), 1, "{code:?}");
            assert_eq!(code.entry().code, code);
        }
        assert_eq!(CATALOGUE.len(), all().count());
    }

    /// The first four stand on the page of Unidesk 4.0.8 that administrators of such machines know, the rest in later editions of it.
    #[test]
    fn the_messages_that_people_know_by_heart_are_there_letter_by_letter() {
        for (code, message) in [
            (
                Code::DriversRebootPending,
                "A reboot is pending to update drivers on the boot disk - please check and reboot the Packaging Machine.",
            ),
            (
                Code::RebootPending,
                "A post-installation reboot is pending - please check and reboot the Packaging Machine.",
            ),
            (
                Code::MsiInProgress,
                "An MSI install operation is in progress - please check the Packaging Machine.",
            ),
            (Code::NgenInProgress, "A Microsoft NGen operation is in progress in the background."),
            (
                Code::RunOncePending,
                "A RunOnce script is outstanding - please check and reboot the packaging machine.",
            ),
            (Code::NgenNeeded, "A Microsoft ngen operation is needed."),
            (
                Code::SmsConfigurationPresent,
                "Software Center Client is configured to run, but the SMSCFG.INI is still present.",
            ),
        ] {
            assert_eq!(code.entry().message, message);
            assert_eq!(code.entry().severity, Severity::Blocks);
        }
    }

    #[test]
    fn what_blocks_is_told_before_what_warns() {
        assert!(CATALOGUE.is_sorted_by_key(|entry| std::cmp::Reverse(entry.severity)));
    }

    #[test]
    fn texts_are_sentences() {
        for entry in CATALOGUE {
            for text in [entry.message, entry.advice] {
                assert!(text.ends_with('.') && !text.contains("  ") && !text.contains('\n'), "{text}");
            }
        }
    }
}
