//! Which scenarios to run: every fault at every call, alone and in pairs.

use super::Pairs;
use super::fault::{Call, Fault, What};
use crate::decide::Rule;
use crate::event::Retry::{Later, Never};

/// What can go wrong at a run.
const RUN: [What; 13] = [
    What::ErrorBefore(Later),
    What::ErrorBefore(Never),
    What::ErrorAfter(Later),
    What::ErrorAfter(Never),
    What::CrashBefore,
    What::CrashAfter,
    What::Panic,
    What::CancelBefore,
    What::CancelAfter,
    What::StraySignal,
    What::StartNotRecorded,
    What::OutcomeNotRecorded,
    What::OutcomeReplyLost,
];

/// What can go wrong at an undo.
const UNDO: [What; 12] = [
    What::ErrorBefore(Later),
    What::ErrorBefore(Never),
    What::ErrorAfter(Later),
    What::ErrorAfter(Never),
    What::CrashBefore,
    What::CrashAfter,
    What::Panic,
    What::CancelBefore,
    What::StraySignal,
    What::StartNotRecorded,
    What::OutcomeNotRecorded,
    What::OutcomeReplyLost,
];

/// A kind's calls that faults can happen to.
pub(super) struct Scenarios<'a> {
    pub rules: &'a [Rule],
    /// Steps that a run without faults calls; the request may have done others itself.
    pub ran: Vec<&'static str>,
    /// Steps that wait in a run without faults.
    pub waited: Vec<&'static str>,
}

impl Scenarios<'_> {
    /// Every single fault. One in an undo comes with a reason to turn back: each of [`Scenarios::reasons`] in turn.
    pub fn singles(&self) -> Vec<Vec<Fault>> {
        let mut all = Vec::new();
        for fault in self.faults(1) {
            match fault.call {
                Call::Run => all.push(vec![fault]),
                Call::Undo => all.extend(self.reasons().into_iter().map(|reason| vec![reason, fault])),
            }
        }
        all
    }

    /// Every pair of faults, at the first call of two steps or at the first and second call of one.
    pub fn pairs(&self, which: Pairs) -> Vec<Vec<Fault>> {
        let every = match which {
            Pairs::None => return Vec::new(),
            Pairs::Every(n) => n.max(1),
            Pairs::All => 1,
        };
        let first = self.faults(1);
        let second = self.faults(2);
        let mut all = Vec::new();
        for (i, a) in first.iter().enumerate() {
            all.extend(first[i + 1..].iter().map(|b| vec![*a, *b]));
            let again = second.iter().filter(|b| b.step == a.step && b.call == a.call);
            all.extend(again.map(|b| vec![*a, *b]));
        }
        all.into_iter().step_by(every).map(|pair| self.with_reason(pair)).collect()
    }

    fn faults(&self, nth: u32) -> Vec<Fault> {
        let mut all = Vec::new();
        for rule in self.rules {
            let at = |call| move |what: &What| Fault { step: rule.name, call, nth, what: *what };
            if self.ran.contains(&rule.name) {
                all.extend(RUN.iter().map(at(Call::Run)));
            }
            all.extend(UNDO.iter().map(at(Call::Undo)));
            if self.waited.contains(&rule.name) {
                all.extend([What::CancelWaiting].iter().map(at(Call::Run)));
            }
        }
        all
    }

    /// A fault in an undo never strikes in a task that does not turn back.
    fn with_reason(&self, mut pair: Vec<Fault>) -> Vec<Fault> {
        let undo = pair.iter().any(|f| f.call == Call::Undo);
        let turns = pair.iter().any(|f| f.call == Call::Run && f.turns_back());
        if undo && !turns {
            pair.extend(self.reasons().first());
        }
        pair
    }

    /// Faults that make a task turn back as late as it can: a cancel in the last step in which one is honoured, and a
    /// last word that fails after its effect.
    fn reasons(&self) -> Vec<Fault> {
        let last_word = self.rules.iter().position(|rule| rule.last_word);
        let last = last_word.unwrap_or(self.rules.len());
        let cancel = last.checked_sub(1).map(|i| (self.rules[i].name, What::CancelAfter));
        let fail = last_word.map(|i| (self.rules[i].name, What::ErrorAfter(Never)));
        let fault = |(step, what)| Fault { step, call: Call::Run, nth: 1, what };
        cancel.into_iter().chain(fail).filter(|(step, _)| self.ran.contains(step)).map(fault).collect()
    }
}
