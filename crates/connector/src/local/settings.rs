//! What an administrator may set for machines on this host.

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

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
    /// Whether a free port of 127.0.0.1 leads to the guest's port 22.
    pub forward_ssh: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { memory_mib: 2048, cpus: 2, accelerator: Accelerator::Auto, forward_ssh: true }
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

#[cfg(test)]
mod tests {
    use super::*;

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
