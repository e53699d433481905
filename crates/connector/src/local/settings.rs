//! What an administrator may set for machines on this host.

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Field, Firmware, Input, Result};

/// What can be set, for people.
pub const FIELDS: &[Field] = &[
    Field {
        name: "memory_mib",
        label: "Memory (MiB)",
        input: Input::Number,
        required: false,
        default: Some("2048"),
        help: "Memory of each packaging machine, 128 to 1048576.",
    },
    Field {
        name: "cpus",
        label: "CPUs",
        input: Input::Number,
        required: false,
        default: Some("2"),
        help: "CPUs of each packaging machine, 1 to 255.",
    },
    Field {
        name: "accelerator",
        label: "Accelerator",
        input: Input::OneOf(&["auto", "kvm", "tcg"]),
        required: false,
        default: Some("auto"),
        help: "How the guest's instructions run: kvm by the CPU itself, tcg by translation (works anywhere, about ten \
               times slower), auto takes kvm where the host has it.",
    },
    Field {
        name: "firmware",
        label: "Firmware",
        input: Input::OneOf(&["auto", "bios", "uefi"]),
        required: false,
        default: Some("auto"),
        help: "What machines start by: auto is what the disk is made for, and BIOS where it is made for both.",
    },
    Field {
        name: "forward_ssh",
        label: "Forward SSH",
        input: Input::Flag,
        required: false,
        default: Some("true"),
        help: "Whether a free port of 127.0.0.1 on the server leads to the guest's port 22.",
    },
];

/// The configuration of a `local` connector. Every field may be left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Memory of each machine in MiB, 128 to 1048576.
    pub memory_mib: u32,
    /// CPUs of each machine, 1 to 255.
    pub cpus: u32,
    /// How the guest's instructions run.
    pub accelerator: Accelerator,
    /// What machines start by.
    pub firmware: StartsBy,
    /// Whether a free port of 127.0.0.1 leads to the guest's port 22.
    pub forward_ssh: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory_mib: 2048,
            cpus: 2,
            accelerator: Accelerator::Auto,
            firmware: StartsBy::Auto,
            forward_ssh: true,
        }
    }
}

impl Settings {
    /// The settings, if they are within bounds.
    pub(super) fn checked(self) -> Result<Self> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Unsupported, what));
        if !(128..=1 << 20).contains(&self.memory_mib) {
            return wrong(format!("memory_mib is {}; it must be 128 to 1048576", self.memory_mib));
        }
        if !(1..=255).contains(&self.cpus) {
            return wrong(format!("cpus is {}; it must be 1 to 255", self.cpus));
        }
        Ok(self)
    }
}

/// How the guest's instructions run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// KVM where the host truly has it, else TCG.
    Auto,
    /// By the CPU itself; refused where the host does not have it.
    Kvm,
    /// By translation: works anywhere, about ten times slower.
    Tcg,
}

/// What machines start by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartsBy {
    /// What the disk is made for.
    Auto,
    /// BIOS, whatever the disk is made for.
    Bios,
    /// UEFI, whatever the disk is made for.
    Uefi,
}

impl StartsBy {
    /// The firmware of a machine whose disk is made for this one.
    pub(super) fn of(self, disk: Firmware) -> Firmware {
        match self {
            Self::Auto => disk,
            Self::Bios => Firmware::Bios,
            Self::Uefi => Firmware::Uefi,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_told_to_people_are_the_settings_with_their_defaults() {
        let settings = serde_json::to_value(Settings::default()).unwrap();
        let told = FIELDS.iter().map(|f| (f.name.to_owned(), f.default.unwrap().to_owned()));
        let text = |value: &serde_json::Value| value.to_string().trim_matches('"').to_owned();
        let real = settings.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value)));
        let sorted = |all: Vec<(String, String)>| std::collections::BTreeMap::from_iter(all);
        assert_eq!(sorted(told.collect()), sorted(real.collect()));
    }

    #[test]
    fn a_machine_starts_by_what_its_disk_is_made_for_unless_something_else_is_set() {
        for (set, of_bios, of_uefi) in [
            (StartsBy::Auto, Firmware::Bios, Firmware::Uefi),
            (StartsBy::Bios, Firmware::Bios, Firmware::Bios),
            (StartsBy::Uefi, Firmware::Uefi, Firmware::Uefi),
        ] {
            assert_eq!((set.of(Firmware::Bios), set.of(Firmware::Uefi)), (of_bios, of_uefi), "{set:?}");
        }
    }

    #[test]
    fn settings_left_out_get_defaults_and_unknown_or_absurd_ones_are_refused() {
        let settings: Settings = serde_json::from_str("{}").unwrap();
        assert_eq!(settings, Settings::default());
        assert!(serde_json::from_str::<Settings>(r#"{"memory": 5}"#).is_err());
        for bad in [r#"{"memory_mib": 0}"#, r#"{"cpus": 0}"#, r#"{"cpus": 256}"#] {
            let settings: Settings = serde_json::from_str(bad).unwrap();
            assert!(settings.checked().is_err(), "{bad}");
        }
    }
}
