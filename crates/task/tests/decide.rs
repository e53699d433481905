//! What the decision makes of logs, right and wrong ones.

use proptest::prelude::*;
use serde_json::{Value, json};
use shale_task::{
    Ending, Event, Next, OnFailure, RETRY, Retry, Rule, State, StepState, next, state, summary,
};

const TRIES: u32 = 3;

fn rule(name: &'static str) -> Rule {
    Rule { name, tries: TRIES, undo_tries: TRIES, last_word: false, on_failure: OnFailure::Undo }
}

/// Three steps: `a` and `b`, the commit `c`, and `d`, which tidies up behind it. `b` asks when it fails.
fn rules() -> Vec<Rule> {
    vec![
        rule("a"),
        Rule { on_failure: OnFailure::Ask, ..rule("b") },
        Rule { last_word: true, ..rule("c") },
        rule("d"),
    ]
}

/// Writes a log as words: `+a` started (`+a2` its second try), `.a` done, `-a` failed for now, `!a` failed for good,
/// `^a` failed for good and nobody is asked, `?a` waits, `yes` a signal, `retry`, `cancel`, `<a` undo started, `>a` undone, `~a` undo failed for now, `#a` for good.
fn log(words: &str) -> Vec<Event> {
    words.split_whitespace().map(event).collect()
}

fn event(word: &str) -> Event {
    let (sign, rest) = word.split_at(1);
    let step = rest.trim_end_matches(char::is_numeric).to_owned();
    let attempt = rest[step.len()..].parse().unwrap_or(1);
    let why = || format!("{step} is broken.");
    match (word, sign) {
        ("yes", _) => Event::Signaled { signal: "yes".into(), data: json!(1) },
        ("retry", _) => Event::Signaled { signal: RETRY.into(), data: Value::Null },
        ("cancel", _) => Event::CancelAsked { by: "ann".into() },
        (_, "+") => Event::Started { step, attempt },
        (_, ".") => Event::Done { output: json!(step), step },
        (_, "-") => Event::Failed { why: why(), step, retry: Retry::Later },
        (_, "!") => Event::Failed { why: why(), step, retry: Retry::Never },
        (_, "^") => Event::Failed { why: why(), step, retry: Retry::TurnBack },
        (_, "?") => Event::Waiting { step, needs: json!("help") },
        (_, "<") => Event::UndoStarted { step, attempt },
        (_, ">") => Event::UndoDone { step },
        (_, "~") => Event::UndoFailed { why: why(), step, retry: Retry::Later },
        (_, "#") => Event::UndoFailed { why: why(), step, retry: Retry::Never },
        (_, "%") => Event::Progressed { step, done_bytes: 1, total_bytes: None, note: None },
        _ => panic!("no such word: {word}"),
    }
}

/// A decision in a word or two.
fn shown(next: Next) -> String {
    let name = |step: usize| rules()[step].name;
    match next {
        Next::Run { step, attempt } => format!("run {} {attempt}", name(step)),
        Next::Undo { step, attempt } => format!("undo {} {attempt}", name(step)),
        Next::Ask { step, why } => format!("ask {}: {why}", name(step)),
        Next::Wait { step } => format!("wait {}", name(step)),
        Next::End(Ending::Done) => "done".into(),
        Next::End(Ending::Failed { why }) => format!("failed: {why}"),
        Next::End(Ending::Canceled) => "canceled".into(),
        Next::End(Ending::Stuck { why, left }) => format!("stuck with {}: {why}", left.join(",")),
    }
}

#[test]
fn every_situation_has_its_decision() {
    for (words, expected) in [
        ("", "run a 1"),
        ("+a", "run a 2"),
        ("+a .a", "run b 1"),
        ("+a %a .a", "run b 1"),
        ("+a -a", "run a 2"),
        ("+a -a +a2 -a", "run a 3"),
        ("+a -a +a2 -a +a3 -a", "undo a 1"),
        ("+a +a2 +a3", "undo a 1"),
        ("+a !a", "undo a 1"),
        ("+a .a +b ^b", "undo b 1"),
        ("+a .a +b ?b yes +b ^b <b >b <a >a", "failed: b is broken."),
        ("+a .a +b .b +c .c +d ^d", "stuck with d: d is broken."),
        ("+a !a <a >a", "failed: a is broken."),
        // Waiting
        ("+a ?a", "wait a"),
        ("+a ?a yes", "run a 1"),
        ("+a -a +a2 ?a yes", "run a 1"),
        ("+a ?a yes +a -a", "run a 2"),
        ("+a ?a yes +a ?a", "wait a"),
        ("+a ?a cancel", "undo a 1"),
        ("+a ?a cancel <a >a", "canceled"),
        ("+a ?a yes cancel", "undo a 1"),
        ("+a yes", "run a 2"),
        ("yes +a .a yes", "run b 1"),
        // Asking instead of undoing
        ("+a .a +b !b", "ask b: b is broken."),
        ("+a .a +b -b +b2 -b +b3 -b", "ask b: b is broken."),
        ("+a .a +b !b ?b", "wait b"),
        ("+a .a +b !b ?b yes", "run b 1"),
        ("+a .a +b !b ?b cancel", "undo b 1"),
        ("+a .a +b !b cancel", "undo b 1"),
        // Cancelling
        ("cancel", "canceled"),
        ("+a cancel", "undo a 1"),
        ("+a cancel .a", "undo a 1"),
        ("+a cancel -a", "undo a 1"),
        ("+a cancel !a <a >a", "canceled"),
        ("+a cancel ?a", "undo a 1"),
        ("+a cancel ?a yes", "undo a 1"),
        ("+a .a +b .b cancel <b", "undo b 2"),
        ("+a .a +b .b cancel <b >b", "undo a 1"),
        ("+a .a +b .b cancel <b >b <a >a", "canceled"),
        ("+a !a cancel <a >a", "failed: a is broken."),
        ("+a !a <a cancel >a", "failed: a is broken."),
        // The point of no return
        ("+a .a +b .b cancel", "undo b 1"),
        ("+a .a +b .b +c cancel", "run c 2"),
        ("+a .a +b .b +c -c cancel", "run c 2"),
        ("+a .a +b .b +c cancel .c", "run d 1"),
        ("+a .a +b .b +c ?c cancel", "undo c 1"),
        ("+a .a +b .b +c !c", "undo c 1"),
        ("+a .a +b .b +c .c cancel", "run d 1"),
        ("+a .a +b .b +c .c +d cancel .d", "done"),
        ("+a .a +b .b +c .c +d .d cancel", "done"),
        ("+a .a +b .b +c .c +d !d", "stuck with d: d is broken."),
        ("+a .a +b .b +c .c +d !d retry", "run d 1"),
        ("+a .a +b .b +c .c +d !d yes", "stuck with d: d is broken."),
        // Undo that fails
        ("+a !a <a ~a", "undo a 2"),
        ("+a !a <a ~a <a2 ~a <a3 ~a", "stuck with a: a is broken."),
        ("+a .a +b .b cancel <b #b", "stuck with a,b: b is broken."),
        ("+a .a +b .b cancel <b #b yes", "stuck with a,b: b is broken."),
        ("+a .a +b .b cancel <b #b retry", "undo b 1"),
        ("+a .a +b .b cancel <b #b retry <b >b", "undo a 1"),
    ] {
        assert_eq!(shown(next(&rules(), &log(words))), expected, "{words}");
    }
}

#[test]
fn a_try_that_always_kills_the_process_is_given_up_with_that_reason() {
    let crashed = next(&rules(), &log("+a +a2 +a3 <a >a"));
    let why = "The program ended during try 3, the last one: see its own log for the reason.";
    assert_eq!(crashed, Next::End(Ending::Failed { why: why.into() }));
    let stuck = next(&rules(), &log("+a !a <a <a2 <a3"));
    assert_eq!(stuck, Next::End(Ending::Stuck { why: why.into(), left: vec!["a".into()] }));
}

#[test]
fn a_log_that_makes_no_sense_is_stuck_and_says_where() {
    for (words, line, left) in [
        (".a", 1, ""),
        ("+b", 1, "b"),
        ("+a2", 1, "a"),
        ("+a +a", 2, "a"),
        ("+a .a +a", 3, "a"),
        ("+a .b", 2, "a"),
        ("+a .a .a", 3, "a"),
        ("+a ?a +a", 3, "a"),
        ("+a ?a .a", 3, "a"),
        ("+a !a +a2", 3, "a"),
        ("?a", 1, ""),
        ("<a", 1, ""),
        ("+a <b", 2, "a"),
        ("+a .a <a", 3, "a"),
        ("+a cancel +a2", 3, "a"),
        ("+a cancel .a +b", 4, "a,b"),
        ("+a .a +b .b cancel <a", 6, "a,b"),
        ("+a cancel <a >a >a", 5, ""),
        ("+a cancel <a >a <a", 5, ""),
        ("+a cancel <a +a2", 4, "a"),
        ("+a cancel <a #a <a2", 5, "a"),
        ("+a cancel >a", 3, ""),
        ("+a .a +b .b +c .c +d !d <d", 9, "a,b,c,d"),
        ("+nobody", 1, "nobody"),
        ("+a %nobody", 2, "a"),
    ] {
        let found = shown(next(&rules(), &log(words)));
        let start = format!("stuck with {left}: The task's log makes no sense at entry {line}: ");
        assert!(found.starts_with(&start), "{words}: {found}");
        assert_eq!(state(&rules(), &log(words), true), State::Stuck);
    }
    let found = shown(next(&rules(), &log("+nobody")));
    assert!(found.ends_with("this version of the program knows no step 'nobody'."), "{found}");
}

#[test]
fn another_build_with_other_caps_reads_the_log_the_same_way() {
    let strict: Vec<Rule> = rules().into_iter().map(|r| Rule { tries: 1, undo_tries: 1, ..r }).collect();
    let patient: Vec<Rule> = rules().into_iter().map(|r| Rule { tries: 9, undo_tries: 9, ..r }).collect();
    assert_eq!(shown(next(&strict, &log("+a -a +a2"))), shown(next(&rules(), &log("+a !a"))));
    assert_eq!(shown(next(&patient, &log("+a -a +a2 -a +a3 -a <a >a"))), "failed: a is broken.");
    assert_eq!(shown(next(&patient, &log("+a !a <a ~a <a2 ~a <a3 ~a"))), "undo a 4");
}

#[test]
fn the_state_is_derived_from_the_log_and_from_whether_a_thread_has_it() {
    for (words, idle, running) in [
        ("", State::Pending, State::Running),
        ("+a", State::Pending, State::Running),
        ("+a +a2 +a3", State::Pending, State::Running),
        ("+a ?a", State::ActionRequired, State::ActionRequired),
        ("+a cancel", State::Canceling, State::Canceling),
        ("+a ?a cancel", State::Canceling, State::Canceling),
        ("+a .a cancel <a", State::Canceling, State::Canceling),
        ("+a !a <a", State::Pending, State::Running),
        ("+a !a <a cancel", State::Pending, State::Running),
        ("+a !a <a >a", State::Failed, State::Failed),
        ("+a cancel <a >a", State::Canceled, State::Canceled),
        ("+a cancel <a #a", State::Stuck, State::Stuck),
        ("+a cancel <a <a2 <a3", State::Stuck, State::Canceling),
        ("+a .a +b .b +c .c +d .d", State::Done, State::Done),
        ("+a .a +b .b +c .c +d +d2 +d3", State::Stuck, State::Running),
    ] {
        assert_eq!(state(&rules(), &log(words), false), idle, "{words}");
        assert_eq!(state(&rules(), &log(words), true), running, "{words}");
    }
}

#[test]
fn a_summary_shows_every_step() {
    use StepState::*;
    for (words, steps, cancelable) in [
        ("", [Pending, Pending, Pending, Pending], true),
        ("+a", [Running, Pending, Pending, Pending], true),
        ("+a .a +b ?b", [Done, Waiting, Pending, Pending], true),
        ("+a .a +b .b +c", [Done, Done, Running, Pending], false),
        ("+a .a +b .b +c !c <c", [Done, Done, Undoing, Pending], false),
        ("+a .a +b .b +c !c <c >c", [Done, Undoing, Undone, Pending], false),
        ("+a .a +b .b cancel <b #b", [Done, Failed, Pending, Pending], false),
        ("+a .a +b .b cancel <b >b <a >a", [Undone, Undone, Pending, Pending], false),
        ("+a .a +b .b +c .c +d !d", [Done, Done, Done, Failed], false),
        ("+a .a +b .b +c .c +d .d", [Done, Done, Done, Done], false),
    ] {
        let summary = summary(&rules(), &log(words), false);
        let found: Vec<StepState> = summary.steps.iter().map(|s| s.state).collect();
        assert_eq!(found, steps, "{words}");
        assert_eq!(summary.cancelable, cancelable, "{words}");
        assert_eq!(summary.ending.is_some(), summary.state.is_end(), "{words}");
    }
    let waiting = summary(&rules(), &log("+a .a +b ?b"), false);
    assert_eq!(waiting.needs, Some(json!("help")));
    let failed = summary(&rules(), &log("+a -a"), false);
    assert_eq!(failed.steps[0].why.as_deref(), Some("a is broken."));
    assert_eq!(summary(&rules(), &log("+a .a +b .b +c .c +d .d"), false).result, Some(json!("d")));
}

/// A word of a log: any event about any step, sensible or not.
fn words() -> impl Strategy<Value = String> {
    const SIGNS: &[&str] = &["+", ".", "-", "!", "?", "<", ">", "~", "#", "%"];
    let about = (proptest::sample::select(SIGNS), "[abcdx]", 1u32..4)
        .prop_map(|(sign, step, attempt)| format!("{sign}{step}{attempt}"));
    prop_oneof![8 => about, 1 => Just("yes".into()), 1 => Just("retry".into()), 1 => Just("cancel".into())]
}

/// What may happen next to a task that the runner drives, one of a few things chosen by `dice`.
fn follow(log: &[Event], dice: u8) -> Vec<Event> {
    let rules = rules();
    let begin = |step: usize, attempt| Event::Started { step: rules[step].name.into(), attempt };
    let back = |step: usize, attempt| Event::UndoStarted { step: rules[step].name.into(), attempt };
    let sure = |sign: &str, step: usize| event(&format!("{sign}{}", rules[step].name));
    match (next(&rules, log), dice % 6) {
        (Next::End(Ending::Stuck { .. }), 0) => vec![event("retry")],
        (Next::End(_), _) => vec![],
        (Next::Wait { .. }, 0) => vec![event("cancel")],
        (Next::Wait { .. }, _) => vec![event("yes")],
        (Next::Ask { step, .. }, _) => vec![sure("?", step)],
        (Next::Run { step, attempt }, n) => match n {
            0 => vec![begin(step, attempt)],
            1 => vec![begin(step, attempt), event("cancel"), sure(".", step)],
            2 => vec![begin(step, attempt), sure("-", step)],
            3 => vec![begin(step, attempt), sure("?", step)],
            4 => vec![begin(step, attempt), sure("!", step)],
            _ => vec![begin(step, attempt), sure(".", step)],
        },
        (Next::Undo { step, attempt }, n) => match n {
            0 => vec![back(step, attempt)],
            1 => vec![back(step, attempt), sure("#", step)],
            2 => vec![back(step, attempt), sure("~", step)],
            _ => vec![back(step, attempt), sure(">", step)],
        },
    }
}

proptest! {
    #[test]
    fn any_log_gets_an_answer_and_a_broken_one_stays_broken(words in proptest::collection::vec(words(), 0..40)) {
        let mut seen: Vec<Event> = Vec::new();
        let mut broken: Option<Next> = None;
        for word in &words {
            seen.push(event(word));
            let decided = next(&rules(), &seen);
            if let Some(broken) = &broken {
                let Next::End(Ending::Stuck { why, .. }) = broken else { unreachable!() };
                let still = matches!(&decided, Next::End(Ending::Stuck { why: again, .. }) if again == why);
                prop_assert!(still);
            } else if matches!(&decided, Next::End(Ending::Stuck { why, .. }) if why.contains("makes no sense")) {
                broken = Some(decided);
            }
            let _ = summary(&rules(), &seen, true);
            let _ = summary(&rules(), &seen, false);
        }
    }

    #[test]
    fn whatever_the_runner_writes_makes_sense_to_it(dice in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut written: Vec<Event> = Vec::new();
        for die in dice {
            written.extend(follow(&written, die));
            let shown = shown(next(&rules(), &written));
            prop_assert!(!shown.contains("makes no sense"), "{shown}: {written:?}");
        }
    }

    #[test]
    fn a_task_that_only_meets_passing_faults_ends_after_a_bounded_log(dice in proptest::collection::vec(any::<u8>(), 400)) {
        let mut written: Vec<Event> = Vec::new();
        let mut ended = false;
        for die in dice {
            // No questions and no stuck undos retried: those may go on for as long as people like.
            let die = match (next(&rules(), &written), die % 6) {
                (Next::Run { .. }, 3) | (Next::End(_), _) => 5,
                (Next::Wait { .. }, _) => 0,
                (_, n) => n,
            };
            written.extend(follow(&written, die));
            ended = matches!(next(&rules(), &written), Next::End(_));
            if ended {
                break;
            }
        }
        prop_assert!(ended && written.len() < 60, "{}: {written:?}", written.len());
    }
}
