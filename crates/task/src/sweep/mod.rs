//! The fault sweep: drives a kind of task through every fault at every step, alone and in pairs, and says where it
//! leaves something behind.
//!
//! A kind of task is right when, whatever goes wrong, all of its effects are there or none is, or it is stuck and says
//! so. Nobody writes that test by hand for every kind: give [`sweep`] the kind's steps over a world that can be made
//! anew, and a text of what exists in it, and it does the rest.
//!
//! ```text
//!   for every scenario (one or two faults, each at a call of a step, of its undo, or at an entry of the log):
//!     fresh world; what the request does itself, in its own transaction
//!     drive ─ crash or journal failure ─▶ new runner, same world, same journal ─▶ drive …
//!           ─ waits ─▶ answer it, or cancel ─▶ drive …
//!           ─ ends ─▶ snapshot == the fresh world's, or == that after a run without faults, or stuck for a reason
//! ```
//!
//! ```
//! use serde_json::Value;
//! use shale_task::sweep::{Pairs, Subject, sweep};
//! use shale_task::{Context, Kind, Outcome, Step, StepError};
//! use std::cell::Cell;
//!
//! /// Lights the lamp.
//! struct Light;
//! impl Step<Cell<bool>> for Light {
//!     fn name(&self) -> &'static str {
//!         "light"
//!     }
//!     fn run(&self, lamp: &Cell<bool>, _: &Context) -> Result<Outcome, StepError> {
//!         lamp.set(true);
//!         Ok(Outcome::Done(Value::Null))
//!     }
//!     fn undo(&self, lamp: &Cell<bool>, _: &Context) -> Result<(), StepError> {
//!         lamp.set(false);
//!         Ok(())
//!     }
//! }
//!
//! struct Lamp;
//! impl Subject for Lamp {
//!     type World = Cell<bool>;
//!     type Place = Cell<bool>;
//!     fn kind(&self) -> Kind<Cell<bool>> {
//!         Kind::new("light_the_lamp", vec![Box::new(Light)])
//!     }
//!     fn fresh(&self) -> Cell<bool> {
//!         Cell::new(false)
//!     }
//!     fn world<'a>(&self, lamp: &'a Cell<bool>) -> &'a Cell<bool> {
//!         lamp
//!     }
//!     fn snapshot(&self, lamp: &Cell<bool>) -> String {
//!         format!("lit: {}", lamp.get())
//!     }
//! }
//!
//! sweep(&Lamp, Pairs::All).expect_clean();
//! ```

mod fault;
mod judge;
mod scenario;

pub use fault::{Call, Fault, What};

use crate::decide::{Ending, Rule};
use crate::event::Event;
use crate::journal::{Journal, MemoryJournal};
use crate::runner::{CancelAnswer, Clock, Drive, Runner};
use crate::step::{Kind, Step};
use fault::{FaultyJournal, FaultyStep, Plan, Trace};
use scenario::Scenarios;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

/// Thrown (with [`std::panic::resume_unwind`]) to play a process that dies here and now: the runner does not catch it.
/// A world may throw it too, in the middle of an effect.
#[derive(Clone, Copy, Debug)]
pub struct Crash;

/// What to do with a task that waits.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Send this signal, with this data.
    Signal(String, Value),
    /// Cancel it.
    Cancel,
}

/// A kind of task and the world it is swept in.
pub trait Subject {
    /// What the steps act on.
    type World: ?Sized + 'static;

    /// What holds a world: the world itself, or that and the temporary folder it lies in.
    type Place;

    /// The kind, as the product registers it.
    fn kind(&self) -> Kind<Self::World>;

    /// A world before the task was asked for. Every call makes an equal one.
    fn fresh(&self) -> Self::Place;

    /// The world in a place.
    fn world<'a>(&self, place: &'a Self::Place) -> &'a Self::World;

    /// What exists, as text; equal worlds have equal texts. Leave out what may differ from run to run (times, random
    /// ids), and nothing that the task makes.
    fn snapshot(&self, place: &Self::Place) -> String;

    /// What the request does itself, in the transaction that makes the task, and the events it records then. Nothing
    /// goes wrong here: a transaction is there or not.
    fn request(&self, _place: &Self::Place) -> Vec<Event> {
        Vec::new()
    }

    /// The task's id, the same in every world.
    fn task(&self) -> &str {
        "0190a5a0-0000-7000-8000-000000000001"
    }

    /// What the task is asked to do. Asked for anew by every process, as it would be read from the catalog.
    fn input(&self, _place: &Self::Place) -> Value {
        Value::Null
    }

    /// What a person does when the task waits and needs `needs`: mends the world, and answers. A kind that never
    /// waits needs none.
    fn answer(&self, _place: &Self::Place, _needs: &Value) -> Answer {
        Answer::Signal("go".into(), Value::Null)
    }

    /// What a new process finds of the world of a dead one: what a process holds only in memory is gone.
    fn restart(&self, place: Self::Place) -> Self::Place {
        place
    }
}

/// Which pairs of faults to try besides all single ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// None.
    None,
    /// Every n-th, evenly spread: for worlds that are slow to make.
    Every(usize),
    /// All.
    All,
}

/// Something that must not be.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The faults that led there; none for the run without faults.
    pub faults: Vec<Fault>,
    /// What is wrong.
    pub what: String,
    /// The task's log.
    pub log: Vec<Event>,
}

/// What a sweep found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The kind that was swept.
    pub kind: &'static str,
    /// How many scenarios were run.
    pub cases: usize,
    /// How many of them ended how.
    pub endings: BTreeMap<&'static str, usize>,
    /// What must not be.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Panics with the report when anything was found: for tests.
    pub fn expect_clean(&self) {
        assert!(self.violations.is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let Self { kind, cases, endings, violations } = self;
        writeln!(f, "{kind}: {} violations in {cases} cases ({endings:?})", violations.len())?;
        for Violation { faults, what, log } in violations.iter().take(SHOWN) {
            let faults: Vec<String> = faults.iter().map(Fault::to_string).collect();
            writeln!(f, "\n[{}]\n  {what}", faults.join("; "))?;
            for event in log {
                writeln!(f, "    {event:?}")?;
            }
        }
        Ok(())
    }
}

/// Sweeps a kind of task: all single faults, and pairs as asked.
pub fn sweep<S: Subject>(subject: &S, pairs: Pairs) -> Report {
    let kind = subject.kind();
    let rules = kind.rules();
    let mut report = Report { kind: kind.name(), cases: 0, endings: BTreeMap::new(), violations: Vec::new() };
    let before = subject.snapshot(&subject.fresh());
    let clean = run(subject, &[]);
    let after = clean.snapshot.clone();
    let mut scenarios = vec![Vec::new()];
    let calls = Scenarios { rules: &rules, ran: clean.ran(&rules), waited: clean.waited };
    scenarios.extend(calls.singles());
    scenarios.extend(calls.pairs(pairs));
    for faults in scenarios {
        let case = run(subject, &faults);
        report.cases += 1;
        *report.endings.entry(ending_name(&case)).or_default() += 1;
        for what in judge::violations(&rules, &case, &before, &after) {
            let faults = faults.clone();
            report.violations.push(Violation { faults, what, log: case.log.clone() });
        }
    }
    report
}

fn ending_name(case: &Case) -> &'static str {
    match case.ending {
        None => "endless",
        Some(Ending::Done) => "done",
        Some(Ending::Failed { .. }) => "failed",
        Some(Ending::Canceled) => "canceled",
        Some(Ending::Stuck { .. }) => "stuck",
    }
}

/// What came of one scenario.
struct Case {
    /// `None` when it did not end in [`DRIVES`] drives.
    ending: Option<Ending>,
    snapshot: String,
    log: Vec<Event>,
    /// Every call of a step that was made, and every cancel that was honoured, in order.
    trace: Vec<Trace>,
    /// The faults that happened: some scenarios end before all of theirs can.
    fired: Vec<Fault>,
    /// Steps that waited.
    waited: Vec<&'static str>,
}

impl Case {
    /// The steps that were really run.
    fn ran(&self, rules: &[Rule]) -> Vec<&'static str> {
        let called = |i: &usize| self.trace.contains(&Trace::Called(Call::Run, *i));
        (0..rules.len()).filter(called).map(|i| rules[i].name).collect()
    }
}

/// More drives than any scenario of two faults needs.
const DRIVES: usize = 64;

/// No pause: tries follow each other at once.
struct NoPause;

impl Clock for NoPause {
    fn sleep(&self, _: Duration, _: &dyn Fn() -> bool) {}
}

/// Runs one scenario to its end, with as many processes as it takes.
fn run<S: Subject>(subject: &S, faults: &[Fault]) -> Case {
    let kind = subject.kind();
    let (name, rules) = (kind.name(), kind.rules());
    let plan = Arc::new(Plan::new(faults, subject.task(), rules));
    let wrap = |inner| Box::new(FaultyStep { inner, plan: plan.clone() }) as Box<dyn Step<S::World>>;
    let kind = Kind::new(name, kind.into_steps().into_iter().map(wrap).collect());
    let journal = Arc::new(FaultyJournal { inner: MemoryJournal::default(), plan: plan.clone() });
    let mut place = subject.fresh();
    for event in subject.request(&place) {
        journal.inner.append(subject.task(), &event).expect("a journal in memory does not fail");
    }
    let mut ending = None;
    for _ in 0..DRIVES {
        let runner = Arc::new(Runner::new(journal.clone(), Arc::new(NoPause), Arc::new(())));
        plan.bind(&runner);
        let input = subject.input(&place);
        let drive = || runner.drive(subject.task(), &kind, subject.world(&place), &input);
        match catch_unwind(AssertUnwindSafe(drive)) {
            Ok(Ok(Drive::Ended(end))) => {
                ending = Some(end);
                break;
            }
            Ok(Ok(Drive::Waiting(needs))) => answer(subject, &place, &needs, &plan, &runner),
            Ok(Ok(Drive::Busy)) => break,
            Ok(Err(_)) => place = subject.restart(place),
            Err(payload) if payload.is::<Crash>() => place = subject.restart(place),
            Err(bug) => resume_unwind(bug),
        }
    }
    let log = journal.inner.log(subject.task()).unwrap_or_default();
    let snapshot = subject.snapshot(&place);
    Case { ending, snapshot, log, trace: plan.trace(), fired: plan.fired(), waited: plan.waited() }
}

/// Answers a task that waits, as the plan or the subject says. A journal that fails then is tried again by the next
/// drive, which finds the task waiting still.
fn answer<S: Subject>(subject: &S, place: &S::Place, needs: &Value, plan: &Plan, runner: &Runner) {
    let (task, rules) = (subject.task(), plan.rules());
    let cancel = || {
        if let Ok(CancelAnswer::Honoured) = runner.cancel(task, rules, "sweep") {
            plan.note_cancel(None);
        }
    };
    if plan.cancel_while_waiting() {
        return cancel();
    }
    match subject.answer(place, needs) {
        Answer::Cancel => cancel(),
        Answer::Signal(signal, data) => {
            let taken = runner.signal(task, rules, &signal, data.clone()).is_ok();
            // A second click: it must not be taken for another answer.
            if taken && runner.signal(task, rules, &signal, data).is_ok() {
                plan.note_second_answer();
            }
        }
    }
}
