//! From facts to findings: what is outstanding, and whether the machine may be shut down. Pure.
//!
//! | severity | the machine is | mended by |
//! |---|---|---|
//! | blocks | kept on | waiting, a restart, or somebody who acts |
//! | warns | shut down all the same | somebody who acts, if they care |

mod kernel;
mod linux;
mod windows;

use crate::catalogue::{Code, Remedy, Severity};
use crate::facts::{Facts, Unasked, Volume};
use serde::{Deserialize, Serialize};

/// Most details that a finding tells; the rest is counted.
const DETAILS: usize = 20;
/// Longest detail, in characters.
const DETAIL_LENGTH: usize = 400;
/// A volume is nearly full when less than this is free …
const LITTLE_BYTES: u64 = 2 << 30;
/// … and less than this share of it.
const LITTLE_PERCENT: u64 = 5;

/// Something that is outstanding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub code: Code,
    /// Whether it stands in the way.
    pub severity: Severity,
    /// What makes it go away.
    pub remedy: Remedy,
    /// What is outstanding: one sentence, always the same for a code.
    pub message: String,
    /// What to do about it: always the same for a code.
    pub advice: String,
    /// What it was seen by: files, keys, programs.
    pub details: Vec<String>,
}

impl Finding {
    /// What the catalogue says of a code, with what it was seen by; no details, no finding.
    pub fn of(code: Code, details: impl IntoIterator<Item = String>) -> Option<Self> {
        let mut all = details.into_iter();
        let mut details: Vec<String> = all.by_ref().take(DETAILS).map(|detail| shortened(&detail)).collect();
        if details.is_empty() {
            return None;
        }
        let more = all.count();
        if more > 0 {
            details.push(format!("and {more} more"));
        }
        let entry = code.entry();
        Some(Self {
            code,
            severity: entry.severity,
            remedy: entry.remedy,
            message: entry.message.to_owned(),
            advice: entry.advice.to_owned(),
            details,
        })
    }

    /// Adds what another finding of the same code was seen by, as far as there is room for it.
    pub fn join(&mut self, other: Self) {
        self.details.extend(other.details);
        if self.details.len() > DETAILS {
            self.details.truncate(DETAILS);
            self.details.push("and more".to_owned());
        }
    }
}

/// What is outstanding, gravest first. Nothing of it is told twice.
#[must_use]
pub fn decide(facts: &Facts) -> Vec<Finding> {
    let mut found = Findings::default();
    match facts {
        Facts::Linux(facts) => linux::decide(facts, &mut found),
        Facts::Windows(facts) => windows::decide(facts, &mut found),
    }
    found.0.sort_by_key(|finding| finding.code.place());
    found.0
}

/// Whether something stands in the way of finalizing.
#[must_use]
pub fn blocked(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Blocks)
}

/// What is to be done next about what blocks: wait while something runs, since restarting would interrupt it; then act,
/// since a person who acts often causes the restart; then restart. Nothing if nothing blocks.
#[must_use]
pub fn next_remedy(findings: &[Finding]) -> Option<Remedy> {
    let blocking = || findings.iter().filter(|finding| finding.severity == Severity::Blocks);
    [Remedy::Wait, Remedy::Act, Remedy::Restart]
        .into_iter()
        .find(|remedy| blocking().any(|finding| finding.remedy == *remedy))
}

/// The findings as they come together.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    /// Adds what the details tell of; no details, no finding.
    fn add(&mut self, code: Code, details: impl IntoIterator<Item = String>) {
        self.0.extend(Finding::of(code, details));
    }

    /// Makes a finding one that is only worth knowing.
    fn soften(&mut self, code: Code) {
        self.0.iter_mut().filter(|one| one.code == code).for_each(|one| one.severity = Severity::Warns);
    }

    fn unasked(&mut self, unasked: &[Unasked]) {
        self.add(Code::NotChecked, unasked.iter().map(|one| format!("{}: {}", one.what, one.why)));
    }

    fn volumes(&mut self, volumes: &[Volume]) {
        let full = volumes.iter().filter(|volume| nearly_full(volume));
        self.add(
            Code::DiskNearlyFull,
            full.map(|volume| {
                format!("{}: {} MiB of {} MiB are free", volume.name, volume.free >> 20, volume.size >> 20)
            }),
        );
    }
}

/// Names come from the machine's files and may be long or hold control characters, which a terminal would obey.
fn shortened(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(DETAIL_LENGTH).collect()
}

fn nearly_full(volume: &Volume) -> bool {
    volume.free < LITTLE_BYTES && volume.free / LITTLE_PERCENT < volume.size / 100
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{LinuxFacts, WindowsFacts};
    use proptest::prelude::*;

    fn volume(size: u64, free: u64) -> Volume {
        Volume { name: "/".to_owned(), size, free }
    }

    #[test]
    fn a_volume_is_nearly_full_below_a_twentieth_and_two_gibibytes() {
        let gib = 1 << 30;
        assert!(nearly_full(&volume(gib, gib / 25)));
        assert!(!nearly_full(&volume(gib, gib / 10)));
        assert!(!nearly_full(&volume(1000 * gib, 3 * gib)), "3 GiB are enough, however large the disk");
        assert!(nearly_full(&volume(1000 * gib, gib)));
        assert!(nearly_full(&volume(gib, 0)));
        assert!(!nearly_full(&volume(0, 0)), "what has no size is not full");
        assert!(!nearly_full(&volume(u64::MAX, u64::MAX)));
    }

    #[test]
    fn a_clean_machine_has_no_findings() {
        for facts in [Facts::Linux(LinuxFacts::default()), Facts::Windows(WindowsFacts::default())] {
            assert_eq!(decide(&facts), []);
        }
    }

    #[test]
    fn waiting_comes_before_acting_and_acting_before_restarting() {
        let mut found = Findings::default();
        let why = || ["seen".to_owned()];
        found.add(Code::DiskNearlyFull, why());
        assert_eq!((blocked(&found.0), next_remedy(&found.0)), (false, None), "a warning blocks nothing");
        found.add(Code::RebootPending, why());
        assert_eq!((blocked(&found.0), next_remedy(&found.0)), (true, Some(Remedy::Restart)));
        found.add(Code::NgenNeeded, why());
        assert_eq!(next_remedy(&found.0), Some(Remedy::Act));
        found.add(Code::MsiInProgress, why());
        assert_eq!(next_remedy(&found.0), Some(Remedy::Wait));
    }

    #[test]
    fn what_could_not_be_asked_blocks() {
        let unasked = vec![Unasked { what: "systemctl".to_owned(), why: "it did not answer".to_owned() }];
        let linux = Facts::Linux(LinuxFacts { unasked: unasked.clone(), ..Default::default() });
        let windows = Facts::Windows(WindowsFacts { unasked, ..Default::default() });
        for findings in [decide(&linux), decide(&windows)] {
            assert_eq!(findings.len(), 1);
            assert_eq!(findings[0].code, Code::NotChecked);
            assert_eq!(findings[0].details, ["systemctl: it did not answer"]);
            assert!(blocked(&findings));
        }
    }

    #[test]
    fn joined_findings_have_no_more_details_than_one() {
        let finding = |count: usize| {
            Finding::of(Code::NotChecked, (0..count).map(|number| number.to_string())).unwrap()
        };
        for (first, second) in [(1, 1), (1, 19), (20, 1), (1, 20), (20, 20), (90, 90), (21, 1)] {
            let mut joined = finding(first);
            joined.join(finding(second));
            assert!(joined.details.len() <= DETAILS + 1, "{first} and {second}");
            let is_told = joined.details.last().is_some_and(|last| last.contains("more"));
            assert_eq!(is_told, joined.details.len() > DETAILS, "{first} and {second}: {:?}", joined.details);
            assert!(is_told || joined.details.len() == first + second);
        }
    }

    proptest! {
        #[test]
        fn details_are_few_and_short_and_nothing_a_terminal_obeys(
            details in prop::collection::vec(".{0,600}", 1..40),
        ) {
            let mut found = Findings::default();
            found.add(Code::FeatureUpdateStaged, details.clone());
            let told = &found.0[0].details;
            prop_assert_eq!(told.len(), details.len().min(DETAILS + 1));
            prop_assert!(told.iter().all(|detail| detail.chars().count() <= DETAIL_LENGTH));
            prop_assert!(told.iter().all(|detail| !detail.contains(char::is_control)));
        }

        #[test]
        fn more_facts_never_unblock(
            marks in prop::collection::vec("[a-z/]{1,20}", 0..3),
            jobs in prop::collection::vec("[a-z.]{1,20}", 0..3),
            failed in prop::collection::vec("[a-z.]{1,20}", 0..3),
            unfinished in prop::collection::vec("[a-z.]{1,20}", 0..3),
        ) {
            let some = LinuxFacts { reboot_marks: marks, failed_units: failed, ..Default::default() };
            let more = LinuxFacts { systemd_jobs: jobs, unfinished_packages: unfinished, ..some.clone() };
            let (some, more) = (decide(&Facts::Linux(some)), decide(&Facts::Linux(more)));
            prop_assert!(some.iter().all(|finding| more.contains(finding)));
            prop_assert!(!blocked(&some) || blocked(&more));
            prop_assert_eq!(blocked(&more), next_remedy(&more).is_some());
            prop_assert!(more.is_sorted_by_key(|finding| finding.code.place()));
        }
    }
}
