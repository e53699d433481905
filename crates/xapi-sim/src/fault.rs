//! What is to go wrong, and when: rules that are matched against calls. Deciding only; who carries a call out also
//! carries out its fault.
//!
//! ```text
//!   { "call": "VDI.create", "nth": 2, "times": 1, "fault": { "error_after": ["SR_BACKEND_FAILURE_44", "", "full", ""] } }
//! ```

use serde::{Deserialize, Serialize};

/// What goes wrong with one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The call fails, with this code and these parameters, and nothing is done.
    ErrorBefore(Vec<String>),
    /// It is done, and then it fails.
    ErrorAfter(Vec<String>),
    /// It is done, and the connection ends without a reply.
    LoseReply,
    /// The connection ends and nothing is done.
    Refuse,
    /// It takes this many milliseconds longer.
    Slow(u64),
    /// The connection of a transfer ends after this many bytes of its body.
    Cut(u64),
    /// It is done twice: a request that the network repeated. For calls.
    Twice,
    /// The coordinator is lost before anything is done, and the other host takes over.
    CoordinatorLost,
    /// The session ends: before a call, or after this many bytes of a transfer.
    SessionLost(u64),
    /// The task of the call is deleted while it runs.
    TaskLost,
    /// A transfer out says 200, gives this many bytes, and then the text of an error in place of the rest.
    ErrorInBody(u64),
    /// A transfer in says 200 and its task says success, but only this many bytes were written.
    ShortWrite(u64),
    /// A transfer out gives the whole disk, although only what differs from another was asked for.
    BaseIgnored,
    /// The storage repository counts as full while the call lasts.
    SrFull,
}

/// Which calls, and what goes wrong with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// A method as clients call it (`VDI.create`, `Async.VM.start`), an HTTP request by its method and path
    /// (`PUT /import_raw_vdi`), or `*`.
    pub call: String,
    /// Of the calls that match, the first that goes wrong; 1 is the very first.
    #[serde(default = "one")]
    pub nth: u32,
    /// How many go wrong from that one on; 0 is all.
    #[serde(default = "one")]
    pub times: u32,
    /// What goes wrong.
    pub fault: Fault,
}

fn one() -> u32 {
    1
}

impl Rule {
    /// The next call of this name goes wrong.
    pub fn next(call: &str, fault: Fault) -> Self {
        Self { call: call.to_owned(), nth: 1, times: 1, fault }
    }

    /// Every call of this name goes wrong.
    pub fn always(call: &str, fault: Fault) -> Self {
        Self { call: call.to_owned(), nth: 1, times: 0, fault }
    }
}

/// Rules with how many calls each has seen.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Vec<(Rule, u32)>,
    calls: u32,
}

impl Faults {
    /// Adds a rule, which sees calls from now on.
    pub fn add(&mut self, rule: Rule) {
        self.rules.push((rule, 0));
    }

    /// Forgets every rule.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// How many calls there were since the start.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// What goes wrong with this call: all matching rules count it, the first whose turn it is decides.
    pub fn of(&mut self, call: &str) -> Option<Fault> {
        self.calls = self.calls.saturating_add(1);
        let mut fault = None;
        for (rule, seen) in self.rules.iter_mut().filter(|(rule, _)| rule.call == call || rule.call == "*") {
            *seen = seen.saturating_add(1);
            let last = if rule.times == 0 { u32::MAX } else { rule.nth.saturating_add(rule.times - 1) };
            if (rule.nth..=last).contains(seen) && fault.is_none() {
                fault = Some(rule.fault.clone());
            }
        }
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_strikes_at_its_turn_and_no_other() {
        let mut faults = Faults::default();
        faults.add(Rule { call: "VM.start".to_owned(), nth: 2, times: 2, fault: Fault::Twice });
        faults.add(Rule::always("VM.stop", Fault::LoseReply));
        let struck: Vec<_> = (0..5).map(|_| faults.of("VM.start").is_some()).collect();
        assert_eq!(struck, [false, true, true, false, false]);
        assert_eq!(faults.of("Async.VM.start"), None);
        assert!((0..3).all(|_| faults.of("VM.stop") == Some(Fault::LoseReply)));
    }

    #[test]
    fn rules_are_read_from_a_script() {
        let script = r#"[{"call": "PUT /import_raw_vdi", "fault": {"cut": 100}},
                         {"call": "*", "nth": 3, "times": 0, "fault": "lose_reply"}]"#;
        let rules: Vec<Rule> = serde_json::from_str(script).unwrap();
        assert_eq!(rules[0], Rule::next("PUT /import_raw_vdi", Fault::Cut(100)));
        assert_eq!((rules[1].nth, rules[1].times, &rules[1].fault), (3, 0, &Fault::LoseReply));
    }
}
