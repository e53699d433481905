//! Whether this host can run guests by its CPU (KVM) or must translate them (TCG).
//!
//! A `/dev/kvm` that opens proves nothing: on some virtual hosts it is there without the CPU's help, and guests
//! hang in it. KVM is used only where the CPU's flags also show `vmx` (Intel) or `svm` (AMD).

use std::fs;

use super::Accelerator;
use crate::{Error, ErrorKind, Result};

/// What was chosen, and why, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// KVM, else TCG.
    pub(super) is_kvm: bool,
    /// Why.
    pub(super) reason: String,
}

/// What this host offers.
struct Host {
    /// `vmx` or `svm`, where the CPU has it.
    cpu_flag: Option<&'static str>,
    /// Whether `/dev/kvm` opens for us, else why not.
    device: std::result::Result<(), String>,
}

/// Chooses for this host.
pub(super) fn choose(wanted: Accelerator) -> Result<Choice> {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let device = fs::File::options().read(true).write(true).open("/dev/kvm");
    let host = Host { cpu_flag: cpu_flag(&cpus), device: device.map(drop).map_err(|e| e.to_string()) };
    decide(wanted, &host)
}

fn cpu_flag(cpuinfo: &str) -> Option<&'static str> {
    let flags = cpuinfo.lines().find_map(|l| l.strip_prefix("flags")?.trim_start().strip_prefix(':'))?;
    ["vmx", "svm"].into_iter().find(|flag| flags.split_ascii_whitespace().any(|f| f == *flag))
}

fn decide(wanted: Accelerator, host: &Host) -> Result<Choice> {
    let usable = match (host.cpu_flag, &host.device) {
        (Some(flag), Ok(())) => Ok(format!("KVM: the CPU has {flag} and /dev/kvm opens")),
        (Some(flag), Err(why)) => Err(format!("the CPU has {flag}, but /dev/kvm does not open: {why}")),
        (None, Ok(())) => {
            Err("the CPU's flags show neither vmx nor svm; the /dev/kvm that is there is not to be trusted"
                .into())
        }
        (None, Err(_)) => Err("the CPU's flags show neither vmx nor svm, and /dev/kvm does not open".into()),
    };
    match (wanted, usable) {
        (Accelerator::Tcg, _) => {
            Ok(Choice { is_kvm: false, reason: "TCG, as the configuration says".to_owned() })
        }
        (_, Ok(reason)) => Ok(Choice { is_kvm: true, reason }),
        (Accelerator::Auto, Err(why)) => Ok(Choice { is_kvm: false, reason: format!("TCG, no KVM: {why}") }),
        (Accelerator::Kvm, Err(why)) => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the configuration asks for KVM, which this host does not have: {why}; choose auto or tcg"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kvm_takes_both_the_cpu_flag_and_the_device() {
        let table = [
            (Some("vmx"), Ok(()), true),
            (Some("svm"), Err("Permission denied".to_owned()), false),
            (None, Ok(()), false),
            (None, Err("No such file or directory".to_owned()), false),
        ];
        for (cpu_flag, device, is_kvm) in table {
            let host = Host { cpu_flag, device };
            assert_eq!(decide(Accelerator::Auto, &host).unwrap().is_kvm, is_kvm);
            assert_eq!(decide(Accelerator::Kvm, &host).is_ok(), is_kvm);
            assert!(!decide(Accelerator::Tcg, &host).unwrap().is_kvm);
        }
    }

    #[test]
    fn flags_are_whole_words_of_the_flags_line() {
        assert_eq!(cpu_flag("model name\t: x\nflags\t\t: fpu svm lm\n"), Some("svm"));
        assert_eq!(cpu_flag("flags\t\t: fpu vmx_ept\n"), None);
        assert_eq!(cpu_flag("model name\t: vmx\nflags\t\t: fpu\n"), None);
        assert_eq!(cpu_flag(""), None);
    }
}
