//! Who says that the machine wants a restart.
//!
//! | sign | left by |
//! |---|---|
//! | `/run/reboot-required`, `.pkgs` names the packages | Debian's and Ubuntu's packages |
//! | `/run/reboot-needed` | openSUSE's zypper |
//! | `/run/ostree/staged-deployment` | rpm-ostree, bootc |
//! | `/system-update`, `/etc/system-update` | PackageKit, dnf: systemd.offline-updates(7) |
//! | `needrestart -b -k`: `NEEDRESTART-KSTA: 2` or `3` | needrestart, README.batch.md |
//! | `needs-restarting -r` says "Reboot is required" | dnf-plugins-core |

use super::Look;
use super::root::Root;
use crate::facts::LinuxFacts;

const MARKS: &[&str] = &["/run/reboot-required", "/run/reboot-needed", "/run/ostree/staged-deployment"];
const PACKAGES: &str = "/run/reboot-required.pkgs";
const STAGED: &[&str] = &["/system-update", "/etc/system-update"];

pub(super) fn gather(root: &Root, facts: &mut LinuxFacts) {
    facts.reboot_marks = MARKS.iter().filter(|mark| root.has(mark)).map(|mark| (*mark).to_owned()).collect();
    if !facts.reboot_marks.is_empty() {
        let packages = root.text(PACKAGES).unwrap_or_default();
        let mut packages: Vec<_> = packages.lines().map(|line| format!("for {}", line.trim())).collect();
        packages.sort();
        packages.dedup();
        facts.reboot_marks.extend(packages);
    }
    lying(root, facts);
    if let Some(ended) = root.run("needrestart", &["-b", "-k"])
        && let Some(advice) = needrestart(&ended.output)
    {
        facts.reboot_advice.push(advice);
    }
    if let Some(ended) = root.run("needs-restarting", &["-r"])
        && ended.output.contains("Reboot is required")
    {
        facts.reboot_advice.push("needs-restarting: core libraries or services were updated".to_owned());
    }
}

/// What the disk tells.
pub(super) fn lying(files: &dyn Look, facts: &mut LinuxFacts) {
    facts.staged_updates =
        STAGED.iter().filter(|link| files.has(link)).map(|link| (*link).to_owned()).collect();
}

/// What needrestart says of the kernel; nothing if the newest one runs or it cannot tell.
fn needrestart(output: &str) -> Option<String> {
    let field = |name: &str| output.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let meaning = match field("NEEDRESTART-KSTA:")? {
        "2" => "the kernel has a compatible upgrade",
        "3" => "the kernel has an upgrade",
        _ => return None,
    };
    let expected = field("NEEDRESTART-KEXP:").map(|release| format!(" to {release}"));
    Some(format!("needrestart: {meaning}{}", expected.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needrestart_is_understood() {
        let output = |state: u8| {
            format!(
                "NEEDRESTART-VER: 3.6\nNEEDRESTART-KCUR: 6.1.0-30\nNEEDRESTART-KEXP: 6.1.0-31\nNEEDRESTART-KSTA: {state}\n"
            )
        };
        assert_eq!(needrestart(&output(0)), None);
        assert_eq!(needrestart(&output(1)), None);
        assert_eq!(
            needrestart(&output(2)).unwrap(),
            "needrestart: the kernel has a compatible upgrade to 6.1.0-31"
        );
        assert_eq!(needrestart(&output(3)).unwrap(), "needrestart: the kernel has an upgrade to 6.1.0-31");
        assert_eq!(needrestart("needrestart: not found"), None);
    }
}
