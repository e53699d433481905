//! What the machine starts by itself: systemd's jobs and cloud-init.
//!
//! cloud-init, enabled, leaves `/run/cloud-init/enabled`; it keeps `status.json` while it works (`v1.stage` names the
//! stage, `v1.<stage>.errors` what went wrong) and writes `result.json` when it is done.

use super::Look;
use super::root::Root;
use crate::facts::{CloudInit, LinuxFacts};
use serde_json::Value;

const CLOUD_INIT: &str = "/run/cloud-init";

pub(super) fn gather(root: &Root, facts: &mut LinuxFacts) {
    facts.cloud_init = cloud_init(root);
    if root.has("/run/systemd/system") {
        let own = own_unit(&root.text("/proc/self/cgroup").unwrap_or_default());
        facts.systemd_jobs = jobs(&asked(root, &["list-jobs"]), own.as_deref());
        facts.failed_units = units(&asked(root, &["list-units", "--state=failed", "--full", "--plain"]));
    }
}

fn asked(root: &Root, words: &[&str]) -> String {
    let words: Vec<_> = words.iter().copied().chain(["--no-legend", "--no-pager"]).collect();
    match root.run("systemctl", &words) {
        Some(ended) if ended.code == Some(0) => ended.output,
        Some(ended) => {
            root.note(format!("systemctl {}", words[0]), ended.complaint());
            String::new()
        }
        None => String::new(),
    }
}

/// Lines of a number, a unit, what is done to it, and how far that is. The unit that the tool itself runs in is left out:
/// its job ends only with the tool.
fn jobs(output: &str, own: Option<&str>) -> Vec<String> {
    let jobs = output.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let jobs = jobs.filter(|words| words.len() > 1 && words[0].parse::<u64>().is_ok());
    jobs.filter(|words| Some(words[1]) != own).map(|words| words[1..].join(" ")).collect()
}

fn units(output: &str) -> Vec<String> {
    let names =
        output.lines().filter_map(|line| line.trim_start_matches(['●', '*', ' ']).split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// The unit a process runs in, by its control group: `0::/system.slice/run-u12.service`.
fn own_unit(cgroup: &str) -> Option<String> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    path.rsplit('/').find(|part| part.ends_with(".service")).map(str::to_owned)
}

fn cloud_init(root: &Root) -> CloudInit {
    let file = |name: &str| format!("{CLOUD_INIT}/{name}");
    if root.has(&file("disabled")) || !root.has(&file("enabled")) && !root.has(&file("status.json")) {
        return CloudInit::Absent;
    }
    let status = root.text(&file("status.json")).unwrap_or_default();
    // It is replaced, not rewritten: what is no JSON is a fault of the disk, not of the moment.
    let status: Value = serde_json::from_str(&status).unwrap_or_default();
    let status = &status["v1"];
    if root.has(&file("result.json")) {
        let stages = status.as_object().into_iter().flat_map(|stages| stages.values());
        let errors = stages.filter_map(|stage| stage["errors"].as_array()).flatten();
        return CloudInit::Done(errors.map(|error| error.as_str().unwrap_or("?").to_owned()).collect());
    }
    CloudInit::Running(format!("stage {}", status["stage"].as_str().unwrap_or("not begun")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_lines_that_begin_with_a_number() {
        let output = " 123 apt-daily.service              start running\n1234 run-u5.service start waiting\nNo jobs running.\n\n";
        assert_eq!(jobs(output, None), ["apt-daily.service start running", "run-u5.service start waiting"]);
        assert_eq!(jobs(output, Some("run-u5.service")), ["apt-daily.service start running"]);
        assert_eq!(jobs("No jobs running.\n", None), Vec::<String>::new());
    }

    #[test]
    fn failed_units_are_the_first_words_of_lines_with_or_without_a_dot() {
        let output = "  a.service loaded failed failed A\n● b.service loaded failed failed B\n\n";
        assert_eq!(units(output), ["a.service", "b.service"]);
    }

    #[test]
    fn the_tools_own_unit_is_the_service_it_runs_in() {
        assert_eq!(own_unit("0::/system.slice/run-u12.service\n").as_deref(), Some("run-u12.service"));
        assert_eq!(own_unit("0::/user.slice/user-0.slice/session-1.scope\n"), None);
        assert_eq!(own_unit("12:pids:/x\n"), None);
    }
}
