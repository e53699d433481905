//! What must hold at the end of every scenario.

use super::Case;
use super::fault::{Call, Fault, Trace};
use crate::decide::{Ending, OnFailure, Rule};
use crate::event::{Event, Retry};

/// Everything that must not be, one sentence each.
pub(super) fn violations(rules: &[Rule], case: &Case, before: &str, after: &str) -> Vec<String> {
    let mut found = Vec::new();
    ending(rules, case, before, after, &mut found);
    trace(rules, case, &mut found);
    found
}

fn ending(rules: &[Rule], case: &Case, before: &str, after: &str, found: &mut Vec<String>) {
    let canceled = case.trace.iter().any(|entry| matches!(entry, Trace::Canceled { .. }));
    match &case.ending {
        None => found.push("The task does not end.".into()),
        Some(Ending::Done) => {
            if case.snapshot != after {
                found.push(differs("It is done, and not all of it is there", after, &case.snapshot));
            }
            if canceled {
                found.push("It is done although a cancel was honoured.".into());
            }
            if failed_for_good(rules, case) {
                found.push("It is done although a step had failed for good.".into());
            }
        }
        Some(Ending::Failed { why }) => {
            if case.snapshot != before {
                found.push(differs("It failed, and something is left of it", before, &case.snapshot));
            }
            if canceled {
                found.push("It failed although a cancel was honoured first.".into());
            }
            let undoes =
                |f: &Fault| rules.iter().any(|r| r.name == f.step && r.on_failure == OnFailure::Undo);
            let told_to = case.fired.iter().any(|f| f.call == Call::Run && f.is_for_good() && undoes(f));
            if !told_to && tries_suffice(rules, case) {
                found.push(format!("It failed although every fault was one that passes: {why}"));
            }
        }
        Some(Ending::Canceled) => {
            if case.snapshot != before {
                found.push(differs("It was cancelled, and something is left of it", before, &case.snapshot));
            }
            if !canceled {
                found.push("It was cancelled although no cancel was honoured.".into());
            }
        }
        Some(Ending::Stuck { why, left }) => {
            if left.is_empty() {
                found.push(format!("It is stuck and names nothing that is left: {why}"));
            }
            if !may_be_stuck(rules, case) {
                found.push(format!("It is stuck although every fault was one that passes: {why}"));
            }
        }
    }
}

fn differs(what: &str, expected: &str, found: &str) -> String {
    format!("{what}.\n  expected: {expected}\n  found:    {found}")
}

/// A step failed for good, the log knows it, and the rule is to undo.
fn failed_for_good(rules: &[Rule], case: &Case) -> bool {
    case.log.iter().any(|event| match event {
        Event::Failed { step, retry, .. } if retry.is_never() => {
            let i = rules.iter().position(|rule| rule.name == step);
            let is_undone = |i: usize| *retry == Retry::TurnBack || rules[i].on_failure == OnFailure::Undo;
            i.is_some_and(|i| is_undone(i) && !behind_last_word(rules, i))
        }
        _ => false,
    })
}

fn behind_last_word(rules: &[Rule], step: usize) -> bool {
    rules[..step].iter().any(|rule| rule.last_word)
}

/// Whether every step has more tries than there are faults.
fn tries_suffice(rules: &[Rule], case: &Case) -> bool {
    rules.iter().all(|rule| rule.tries.min(rule.undo_tries) as usize > case.fired.len())
}

fn may_be_stuck(rules: &[Rule], case: &Case) -> bool {
    let refused = |f: &Fault| {
        let step = rules.iter().position(|rule| rule.name == f.step);
        f.is_for_good() && (f.call == Call::Undo || step.is_some_and(|i| behind_last_word(rules, i)))
    };
    case.fired.iter().any(refused) || !tries_suffice(rules, case)
}

/// The order of what was really called, whatever the log says.
fn trace(rules: &[Rule], case: &Case, found: &mut Vec<String>) {
    let mut turned = false;
    let mut ran = vec![false; rules.len()];
    let mut undone = vec![false; rules.len()];
    let mut lowest = rules.len();
    for (n, entry) in case.trace.iter().enumerate() {
        match entry {
            Trace::Canceled { .. } => turned = true,
            Trace::StrayAnswerTaken => found.push("An answer was taken that nobody had asked for.".into()),
            Trace::Called(Call::Run, i) => {
                // A cancel may strike as a try begins: that try goes on, and sees it.
                let begun = n > 0 && case.trace[n - 1] == Trace::Canceled { during: Some(*i) };
                if turned && !begun {
                    found.push(format!("The step '{}' ran after the task had turned back.", rules[*i].name));
                }
                ran[*i] = true;
            }
            Trace::Called(Call::Undo, i) => {
                turned = true;
                if *i > lowest {
                    found.push(format!("The step '{}' was undone after one below it.", rules[*i].name));
                }
                lowest = *i;
                undone[*i] = true;
            }
        }
    }
    if matches!(case.ending, Some(Ending::Failed { .. } | Ending::Canceled)) {
        for (_, rule) in rules.iter().enumerate().filter(|(i, _)| ran[*i] && !undone[*i]) {
            found.push(format!("The step '{}' ran and was never undone.", rule.name));
        }
    }
    let most = rules.iter().map(|rule| rule.tries + rule.undo_tries).sum::<u32>() as usize + super::DRIVES;
    if case.trace.len() > most {
        found.push(format!("{} calls were made: tries are not capped.", case.trace.len()));
    }
}
