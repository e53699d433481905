//! The sweep over toy worlds: every shape of a task is right under every pair of faults, and a step that is wrong is
//! found out.

use serde_json::{Value, json};
use shale_task::sweep::{Pairs, Report, Subject, sweep};
use shale_task::{Context, Event, Kind, OnFailure, Outcome, Step, StepError};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// What exists. A task's things are `<task>/<step>`.
type World = Mutex<BTreeSet<String>>;

const NAMES: [&str; 4] = ["one", "two", "three", "four"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Waits {
    No,
    BeforeWork,
    AfterWork,
}

/// What is wrong with a step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    /// Its undo does nothing.
    UndoesNothing,
    /// Every try makes another thing.
    MakesAnother,
    /// Its undo trusts the output of its run, which is lost in a crash.
    UndoTrustsOutput,
    /// Its undo fails when there is nothing to remove.
    UndoWantsSomething,
    /// It refuses what an earlier try of its own has made.
    RefusesItsOwn,
    /// It takes a second try for a first one that worked.
    SkipsOnRetry,
}

#[derive(Clone, Copy)]
struct Toy {
    name: &'static str,
    waits: Waits,
    last_word: bool,
    on_failure: OnFailure,
    flaw: Flaw,
}

impl Toy {
    fn thing(&self, cx: &Context) -> String {
        format!("{}/{}", cx.task(), self.name)
    }
}

impl Step<World> for Toy {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        if self.waits == Waits::BeforeWork && cx.signal().is_none() {
            return Ok(Outcome::Wait(json!({"text": "go on?"})));
        }
        if cx.canceled() {
            return Err(StepError::stopped());
        }
        let mut things = world.lock().unwrap();
        match self.flaw {
            Flaw::MakesAnother => {
                let number = things.len();
                things.insert(format!("{} {number}", self.thing(cx)));
            }
            Flaw::RefusesItsOwn if things.contains(&self.thing(cx)) => {
                return Err(StepError::never("It is there already."));
            }
            Flaw::SkipsOnRetry if cx.attempt() > 1 => {}
            _ => {
                things.insert(self.thing(cx));
            }
        }
        if self.waits == Waits::AfterWork && cx.signal().is_none() {
            return Ok(Outcome::Wait(json!({"text": "look at it"})));
        }
        Ok(Outcome::Done(json!(self.thing(cx))))
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        assert!(!cx.canceled(), "an undo must not be stopped");
        let mut things = world.lock().unwrap();
        match self.flaw {
            Flaw::UndoesNothing => {}
            Flaw::MakesAnother => things.retain(|thing| !thing.starts_with(&self.thing(cx))),
            Flaw::UndoTrustsOutput => {
                if let Some(thing) = cx.output(self.name).and_then(Value::as_str) {
                    things.remove(thing);
                }
            }
            Flaw::UndoWantsSomething if !things.remove(&self.thing(cx)) => {
                return Err(StepError::never("There is nothing to remove."));
            }
            _ => {
                things.remove(&self.thing(cx));
            }
        }
        Ok(())
    }

    fn last_word(&self) -> bool {
        self.last_word
    }

    fn on_failure(&self) -> OnFailure {
        self.on_failure
    }
}

struct Shape(Vec<Toy>);

impl Subject for Shape {
    type World = World;
    type Place = World;

    fn kind(&self) -> Kind<World> {
        let boxed = |toy: &Toy| Box::new(*toy) as Box<dyn Step<World>>;
        Kind::new("toy", self.0.iter().map(boxed).collect())
    }

    fn fresh(&self) -> World {
        Mutex::new(BTreeSet::from(["somebody else's".to_owned()]))
    }

    fn world<'a>(&self, world: &'a World) -> &'a World {
        world
    }

    fn snapshot(&self, world: &World) -> String {
        format!("{:?}", world.lock().unwrap())
    }
}

fn toys(steps: usize) -> Vec<Toy> {
    let toy = |name| Toy {
        name,
        waits: Waits::No,
        last_word: false,
        on_failure: OnFailure::Undo,
        flaw: Flaw::None,
    };
    NAMES[..steps].iter().copied().map(toy).collect()
}

/// Every place of the last word (or none), every step that waits (or none) before or after its work, every step that
/// asks when it fails (or none).
fn shapes(steps: usize) -> Vec<Shape> {
    let mut all = Vec::new();
    let waits: Vec<Option<(usize, Waits)>> = std::iter::once(None)
        .chain((0..steps).flat_map(|i| [Some((i, Waits::BeforeWork)), Some((i, Waits::AfterWork))]))
        .collect();
    for last_word in std::iter::once(None).chain((0..steps).map(Some)) {
        for wait in &waits {
            for asks in std::iter::once(None).chain((0..steps).map(Some)) {
                let mut shape = toys(steps);
                if let Some(i) = last_word {
                    shape[i].last_word = true;
                }
                if let Some((i, how)) = wait {
                    shape[*i].waits = *how;
                }
                if let Some(i) = asks {
                    shape[i].on_failure = OnFailure::Ask;
                }
                all.push(Shape(shape));
            }
        }
    }
    all
}

/// Sweeps all shapes and says how many cases that was and how they ended.
fn sweep_shapes(steps: usize, pairs: Pairs) -> (usize, BTreeSet<&'static str>) {
    let mut cases = 0;
    let mut endings = BTreeSet::new();
    for shape in shapes(steps) {
        let report = sweep(&shape, pairs);
        report.expect_clean();
        cases += report.cases;
        endings.extend(report.endings.keys());
    }
    (cases, endings)
}

#[test]
fn tasks_of_one_and_two_steps_are_right_under_every_pair_of_faults() {
    let every_ending = BTreeSet::from(["canceled", "done", "failed", "stuck"]);
    for steps in [1, 2] {
        let (cases, endings) = sweep_shapes(steps, Pairs::All);
        assert!(cases > 1_000, "{cases}");
        assert_eq!(endings, every_ending);
    }
}

#[test]
fn tasks_of_three_steps_are_right_under_pairs_of_faults() {
    let (cases, _) = sweep_shapes(3, Pairs::Every(41));
    assert!(cases > 10_000, "{cases}");
}

#[test]
fn tasks_of_four_steps_are_right_under_pairs_of_faults() {
    let (cases, _) = sweep_shapes(4, Pairs::Every(401));
    assert!(cases > 10_000, "{cases}");
}

#[test]
fn a_plain_task_of_four_steps_with_a_commit_is_right_under_every_pair_of_faults() {
    let mut shape = toys(4);
    shape[1].waits = Waits::AfterWork;
    shape[2].last_word = true;
    sweep(&Shape(shape), Pairs::All).expect_clean();
}

/// A task whose first step is done by the request itself.
struct Requested(Shape);

impl Subject for Requested {
    type World = World;
    type Place = (World, &'static str);

    fn kind(&self) -> Kind<World> {
        self.0.kind()
    }

    fn fresh(&self) -> (World, &'static str) {
        (self.0.fresh(), "a folder")
    }

    fn world<'a>(&self, place: &'a (World, &'static str)) -> &'a World {
        &place.0
    }

    fn snapshot(&self, place: &(World, &'static str)) -> String {
        self.0.snapshot(&place.0)
    }

    fn request(&self, place: &(World, &'static str)) -> Vec<Event> {
        place.0.lock().unwrap().insert(format!("{}/one", self.task()));
        let step = || "one".to_owned();
        vec![Event::Started { step: step(), attempt: 1 }, Event::Done { step: step(), output: Value::Null }]
    }
}

#[test]
fn what_the_request_did_itself_is_undone_too() {
    let mut shape = toys(3);
    shape[2].last_word = true;
    let report = sweep(&Requested(Shape(shape.clone())), Pairs::All);
    report.expect_clean();
    assert!(report.endings["canceled"] > 0 && report.endings["failed"] > 0, "{report}");
    shape[0].flaw = Flaw::UndoesNothing;
    let report = sweep(&Requested(Shape(shape)), Pairs::None);
    assert!(!report.violations.is_empty());
}

fn flawed(at: usize, flaw: Flaw) -> Report {
    let mut shape = toys(3);
    shape[at].flaw = flaw;
    shape[2].last_word = true;
    sweep(&Shape(shape), Pairs::None)
}

#[test]
fn a_step_that_is_wrong_is_found_out_by_single_faults_wherever_it_stands() {
    for flaw in [
        Flaw::UndoesNothing,
        Flaw::MakesAnother,
        Flaw::UndoTrustsOutput,
        Flaw::UndoWantsSomething,
        Flaw::RefusesItsOwn,
        Flaw::SkipsOnRetry,
    ] {
        for at in 0..3 {
            let report = flawed(at, flaw);
            assert!(!report.violations.is_empty(), "{flaw:?} at step {at} is not found out");
            assert!(report.violations.iter().all(|v| !v.faults.is_empty()), "{report}");
        }
    }
    flawed(0, Flaw::None).expect_clean();
}
