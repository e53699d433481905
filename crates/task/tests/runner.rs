//! The runner among threads: cancels, signals, pauses, progress, a journal that fails.

use serde_json::{Value, json};
use shale_task::sweep::Crash;
use shale_task::{
    CancelAnswer, Clock, Context, Drive, Ending, Event, Journal, JournalError, Kind, MemoryJournal, Observer,
    OnFailure, Outcome, Progress, Retry, Runner, SignalError, State, Step, StepError, state,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

type Run = Box<dyn Fn(&Context) -> Result<Outcome, StepError> + Send + Sync>;
type Undo = Box<dyn Fn(&Context) -> Result<(), StepError> + Send + Sync>;

/// A step made of closures.
struct Act {
    name: &'static str,
    run: Run,
    undo: Undo,
    last_word: bool,
    on_failure: OnFailure,
}

impl Step<()> for Act {
    fn name(&self) -> &'static str {
        self.name
    }
    fn run(&self, _: &(), cx: &Context) -> Result<Outcome, StepError> {
        (self.run)(cx)
    }
    fn undo(&self, _: &(), cx: &Context) -> Result<(), StepError> {
        (self.undo)(cx)
    }
    fn last_word(&self) -> bool {
        self.last_word
    }
    fn on_failure(&self) -> OnFailure {
        self.on_failure
    }
    fn tries(&self) -> u32 {
        3
    }
    fn undo_tries(&self) -> u32 {
        3
    }
    fn ask(&self, _: &(), cx: &Context, why: &str) -> Value {
        json!(format!("{} needs you: {why}", cx.task()))
    }
}

fn act(
    name: &'static str,
    run: impl Fn(&Context) -> Result<Outcome, StepError> + Send + Sync + 'static,
) -> Act {
    let undo = Box::new(|_: &Context| Ok(()));
    Act { name, run: Box::new(run), undo, last_word: false, on_failure: OnFailure::Undo }
}

fn done(_: &Context) -> Result<Outcome, StepError> {
    Ok(Outcome::Done(Value::Null))
}

fn kind(steps: Vec<Act>) -> Kind<()> {
    Kind::new("test", steps.into_iter().map(|step| Box::new(step) as Box<dyn Step<()>>).collect())
}

/// Notes every pause; returns when `until` holds, or at once if it need not.
#[derive(Default)]
struct TestClock {
    pauses: Mutex<Vec<(u64, bool)>>,
    wait_for_cancel: AtomicBool,
    asleep: AtomicBool,
}

impl Clock for TestClock {
    fn sleep(&self, d: Duration, until: &dyn Fn() -> bool) {
        self.asleep.store(true, Ordering::SeqCst);
        while self.wait_for_cancel.load(Ordering::SeqCst) && !until() {
            thread::yield_now();
        }
        self.pauses.lock().unwrap().push((d.as_secs(), until()));
    }
}

struct Bench {
    runner: Arc<Runner>,
    journal: Arc<MemoryJournal>,
    clock: Arc<TestClock>,
}

impl Bench {
    fn new() -> Self {
        Self::observed(Arc::new(()))
    }

    fn observed(observer: Arc<dyn Observer>) -> Self {
        let (journal, clock) = (Arc::new(MemoryJournal::default()), Arc::new(TestClock::default()));
        let runner = Arc::new(Runner::new(journal.clone(), clock.clone(), observer));
        Self { runner, journal, clock }
    }

    fn drive(&self, kind: &Kind<()>) -> Drive {
        self.runner.drive("t", kind, &(), &json!({"size": 7})).unwrap()
    }

    fn log(&self) -> Vec<Event> {
        self.journal.log("t").unwrap()
    }
}

fn failed(why: &str) -> Drive {
    Drive::Ended(Ending::Failed { why: why.into() })
}

#[test]
fn later_steps_see_the_input_and_what_earlier_ones_made() {
    let bench = Bench::new();
    let kind = kind(vec![
        act("one", |cx| {
            let input: std::collections::HashMap<String, u32> = cx.input_as()?;
            Ok(Outcome::Done(json!(input["size"] + 1)))
        }),
        act("two", |cx| {
            assert_eq!((cx.task(), cx.attempt(), cx.signal()), ("t", 1, None));
            assert!(cx.output_as::<String>("one").is_err() && cx.output_as::<u32>("two").is_err());
            Ok(Outcome::Done(json!(cx.output_as::<u32>("one")? * 2)))
        }),
    ]);
    assert_eq!(bench.drive(&kind), Drive::Ended(Ending::Done));
    assert_eq!(bench.log().last(), Some(&Event::Done { step: "two".into(), output: json!(16) }));
    assert_eq!(bench.drive(&kind), Drive::Ended(Ending::Done), "driving what has ended changes nothing");
    assert_eq!(bench.log().len(), 4);
}

#[test]
fn a_waiting_task_holds_no_thread_and_goes_on_with_the_answer() {
    let bench = Bench::new();
    let kind = kind(vec![
        act("ask", |cx| match cx.signal() {
            None => Ok(Outcome::Wait(json!("say something"))),
            Some(("finalize", data)) => Ok(Outcome::Done(data.clone())),
            Some((other, _)) => Ok(Outcome::Wait(json!(format!("not {other}")))),
        }),
        act("after", |cx| {
            assert_eq!(cx.signal(), None, "an answer is for the step that asked");
            done(cx)
        }),
    ]);
    let rules = kind.rules();
    let refused = bench.runner.signal("t", &rules, "finalize", json!(0));
    assert!(matches!(refused, Err(SignalError::NotWaiting(State::Pending))));
    assert_eq!(bench.drive(&kind), Drive::Waiting(json!("say something")));
    assert!(!bench.runner.is_running("t"));
    bench.runner.signal("t", &rules, "nonsense", Value::Null).unwrap();
    assert_eq!(bench.drive(&kind), Drive::Waiting(json!("not nonsense")));
    bench.runner.signal("t", &rules, "finalize", json!(5)).unwrap();
    let again = bench.runner.signal("t", &rules, "finalize", json!(6)).unwrap_err();
    assert_eq!(again.to_string(), "The task does not wait for an answer now: it is pending.");
    assert_eq!(bench.drive(&kind), Drive::Ended(Ending::Done));
    assert!(bench.log().contains(&Event::Done { step: "ask".into(), output: json!(5) }));
    assert!(bench.runner.signal("t", &rules, "finalize", json!(7)).is_err());
}

#[test]
fn a_cancel_reaches_the_step_that_runs() {
    let bench = Bench::new();
    let (began, has_begun) = mpsc::channel();
    let undone = Arc::new(AtomicUsize::new(0));
    let count = undone.clone();
    let mut copy = act("copy", move |cx| {
        began.send(()).unwrap();
        let watch = cx.watch(Some(1 << 40));
        while watch(1).is_continue() {
            thread::yield_now();
        }
        assert!(cx.canceled());
        Err(StepError::stopped())
    });
    copy.undo = Box::new(move |cx| {
        assert!(!cx.canceled(), "an undo is not stopped by the cancel that made it necessary");
        count.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let kind = kind(vec![copy]);
    let rules = kind.rules();
    thread::scope(|threads| {
        let driver = threads.spawn(|| bench.drive(&kind));
        has_begun.recv().unwrap();
        assert!(bench.runner.is_running("t"));
        assert_eq!(state(&rules, &bench.log(), true), State::Running);
        assert_eq!(bench.drive(&kind), Drive::Busy);
        let refused = bench.runner.signal("t", &rules, "x", Value::Null);
        assert!(matches!(refused, Err(SignalError::NotWaiting(State::Running))));
        assert_eq!(bench.runner.cancel("t", &rules, "ann").unwrap(), CancelAnswer::Honoured);
        assert_eq!(driver.join().unwrap(), Drive::Ended(Ending::Canceled));
    });
    assert_eq!(undone.load(Ordering::SeqCst), 1);
    assert_eq!(bench.runner.cancel("t", &rules, "ann").unwrap(), CancelAnswer::Ended);
}

#[test]
fn a_cancel_behind_the_point_of_no_return_is_recorded_and_not_honoured() {
    let bench = Bench::new();
    let runner = bench.runner.clone();
    let answers = Arc::new(Mutex::new(Vec::new()));
    let (seen, rules) = (answers.clone(), Arc::new(Mutex::new(Vec::new())));
    let known = rules.clone();
    let mut commit = act("commit", move |cx| {
        let rules = known.lock().unwrap().clone();
        seen.lock().unwrap().push(runner.cancel(cx.task(), &rules, "ann").unwrap());
        assert!(!cx.canceled());
        done(cx)
    });
    commit.last_word = true;
    let kind = kind(vec![act("work", done), commit, act("tidy", done)]);
    *rules.lock().unwrap() = kind.rules();
    assert_eq!(bench.drive(&kind), Drive::Ended(Ending::Done));
    assert_eq!(*answers.lock().unwrap(), [CancelAnswer::TooLate]);
    assert!(bench.log().contains(&Event::CancelAsked { by: "ann".into() }));
}

#[test]
fn a_panic_is_a_failed_try_and_pauses_between_tries_grow() {
    #[derive(Default)]
    struct Failures(Mutex<Vec<String>>);
    impl Observer for Failures {
        fn failed(&self, task: &str, step: &str, error: &StepError) {
            self.0.lock().unwrap().push(format!("{task} {step} {error}"));
        }
    }
    let failures = Arc::new(Failures::default());
    let bench = Bench::observed(failures.clone());
    let kind = kind(vec![act("fragile", |_| panic!("glass"))]);
    assert_eq!(bench.drive(&kind), failed("The program met a bug in itself: glass."));
    assert_eq!(*bench.clock.pauses.lock().unwrap(), [(1, false), (2, false)]);
    let tries = bench.log().iter().filter(|e| matches!(e, Event::Failed { retry: Retry::Later, .. })).count();
    assert_eq!(tries, 3);
    assert_eq!(*failures.0.lock().unwrap(), ["t fragile The program met a bug in itself: glass."; 3]);
}

#[test]
fn a_cancel_ends_a_pause_but_not_one_between_undos() {
    let bench = Bench::new();
    bench.clock.wait_for_cancel.store(true, Ordering::SeqCst);
    let clock = bench.clock.clone();
    let undos = AtomicUsize::new(0);
    let mut flaky = act("flaky", |_| Err(StepError::later("No.")));
    flaky.undo = Box::new(move |_| {
        clock.wait_for_cancel.store(false, Ordering::SeqCst);
        match undos.fetch_add(1, Ordering::SeqCst) {
            0 => Err(StepError::later("No.")),
            _ => Ok(()),
        }
    });
    let kind = kind(vec![flaky]);
    thread::scope(|threads| {
        let driver = threads.spawn(|| bench.drive(&kind));
        while !bench.clock.asleep.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        assert_eq!(bench.runner.cancel("t", &kind.rules(), "ann").unwrap(), CancelAnswer::Honoured);
        assert_eq!(driver.join().unwrap(), Drive::Ended(Ending::Canceled));
    });
    assert_eq!(*bench.clock.pauses.lock().unwrap(), [(1, true), (1, false)]);
}

#[test]
fn progress_goes_to_the_observer_and_rarely_to_the_log() {
    #[derive(Default)]
    struct Seen(Mutex<Vec<Progress>>);
    impl Observer for Seen {
        fn progressed(&self, _: &str, progress: &Progress) {
            self.0.lock().unwrap().push(progress.clone());
        }
    }
    let seen = Arc::new(Seen::default());
    let bench = Bench::observed(seen.clone());
    let kind = kind(vec![act("copy", |cx| {
        cx.note("Copying.");
        let watch = cx.watch(Some(1000));
        (0..1000).for_each(|_| assert!(watch(1).is_continue()));
        done(cx)
    })]);
    assert_eq!(bench.drive(&kind), Drive::Ended(Ending::Done));
    let seen = seen.0.lock().unwrap();
    assert_eq!(seen.len(), 1001);
    assert_eq!(seen[0].note.as_deref(), Some("Copying."));
    assert_eq!((seen[1000].done_bytes, seen[1000].total_bytes), (1000, Some(1000)));
    let log = bench.log();
    let logged: Vec<u64> = log
        .iter()
        .filter_map(|e| match e {
            Event::Progressed { done_bytes, .. } => Some(*done_bytes),
            _ => None,
        })
        .collect();
    assert_eq!(logged, [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
}

#[test]
fn a_step_that_may_not_be_undone_asks_in_its_own_words() {
    let bench = Bench::new();
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = broken.clone();
    let mut take = act("take", move |cx| {
        if is_broken.load(Ordering::SeqCst) { Err(StepError::never("No room.")) } else { done(cx) }
    });
    take.on_failure = OnFailure::Ask;
    take.undo = Box::new(|_| panic!("nothing may be undone"));
    let kind = kind(vec![take]);
    assert_eq!(bench.drive(&kind), Drive::Waiting(json!("t needs you: No room.")));
    assert_eq!(bench.drive(&kind), Drive::Waiting(json!("t needs you: No room.")));
    broken.store(false, Ordering::SeqCst);
    bench.runner.signal("t", &kind.rules(), "finalize", Value::Null).unwrap();
    assert_eq!(bench.drive(&kind), Drive::Ended(Ending::Done));
}

#[test]
fn a_stuck_task_says_what_is_left_and_can_be_tried_again() {
    let bench = Bench::new();
    let refuses = Arc::new(AtomicBool::new(true));
    let refusing = refuses.clone();
    let mut disk = act("disk", |_| Err(StepError::never("No room.")));
    disk.undo = Box::new(move |_| match refusing.load(Ordering::SeqCst) {
        true => Err(StepError::never("The disk is locked.")),
        false => Ok(()),
    });
    let kind = kind(vec![act("name", done), disk, act("machine", done)]);
    let rules = kind.rules();
    let stuck = Ending::Stuck { why: "The disk is locked.".into(), left: vec!["name".into(), "disk".into()] };
    assert_eq!(bench.drive(&kind), Drive::Ended(stuck.clone()));
    assert_eq!(bench.runner.cancel("t", &rules, "ann").unwrap(), CancelAnswer::Ended);
    bench.runner.retry("t", &rules).unwrap();
    assert_eq!(bench.runner.cancel("t", &rules, "ann").unwrap(), CancelAnswer::AlreadyUndoing);
    assert_eq!(bench.drive(&kind), Drive::Ended(stuck));
    refuses.store(false, Ordering::SeqCst);
    bench.runner.retry("t", &rules).unwrap();
    assert_eq!(bench.drive(&kind), failed("No room."));
    assert!(bench.runner.retry("t", &rules).is_err());
}

#[test]
fn a_task_in_its_last_undo_is_not_stuck_yet() {
    let bench = Bench::new();
    let runner = bench.runner.clone();
    let rules = Arc::new(Mutex::new(Vec::new()));
    let known = rules.clone();
    let mut disk = act("disk", |_| Err(StepError::never("No room.")));
    disk.undo = Box::new(move |cx| {
        let refused = runner.retry(cx.task(), &known.lock().unwrap());
        assert!(matches!(refused, Err(SignalError::NotWaiting(State::Running))));
        if cx.attempt() < 3 { Err(StepError::later("Busy.")) } else { Ok(()) }
    });
    let kind = kind(vec![disk]);
    *rules.lock().unwrap() = kind.rules();
    assert_eq!(bench.drive(&kind), failed("No room."));
}

#[test]
fn a_journal_that_fails_comes_back_and_the_task_goes_on_later() {
    struct Full(MemoryJournal, AtomicUsize);
    impl Journal for Full {
        fn append(&self, task: &str, event: &Event) -> Result<(), JournalError> {
            match self.1.fetch_add(1, Ordering::SeqCst) {
                1 => Err(JournalError::new("The log could not be written.").because("disk full")),
                _ => self.0.append(task, event),
            }
        }
        fn log(&self, task: &str) -> Result<Vec<Event>, JournalError> {
            self.0.log(task)
        }
    }
    let journal = Arc::new(Full(MemoryJournal::default(), AtomicUsize::new(0)));
    let runner = Runner::new(journal, Arc::new(TestClock::default()), Arc::new(()));
    let kind = kind(vec![act("one", done)]);
    let error = runner.drive("t", &kind, &(), &Value::Null).unwrap_err();
    assert_eq!(error.to_string(), "The log could not be written.");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "disk full");
    assert!(!runner.is_running("t"));
    assert_eq!(runner.drive("t", &kind, &(), &Value::Null).unwrap(), Drive::Ended(Ending::Done));
}

/// Cancels and signals at every moment of a task that a thread drives: each answer must be kept.
#[test]
fn what_a_cancel_was_answered_is_what_happens() {
    for round in 0..300 {
        let bench = Bench::new();
        let mut commit = act("commit", done);
        commit.last_word = true;
        let wait = act("wait", |cx| match cx.signal() {
            None => Ok(Outcome::Wait(Value::Null)),
            Some(_) => done(cx),
        });
        let kind = kind(vec![act("one", done), wait, act("two", done), commit, act("tidy", done)]);
        let rules = kind.rules();
        let (ending, answer) = thread::scope(|threads| {
            let driver = threads.spawn(|| {
                loop {
                    match bench.drive(&kind) {
                        Drive::Ended(ending) => return ending,
                        // The cancel may come first: then nothing waits any more, and the next drive turns back.
                        Drive::Waiting(_) => drop(bench.runner.signal("t", &rules, "go", Value::Null)),
                        Drive::Busy => unreachable!("one thread drives"),
                    }
                }
            });
            (0..round % 50 * 20).for_each(|_| std::hint::spin_loop());
            let answer = bench.runner.cancel("t", &rules, "ann").unwrap();
            (driver.join().unwrap(), answer)
        });
        match answer {
            CancelAnswer::Honoured => assert_eq!(ending, Ending::Canceled),
            CancelAnswer::TooLate | CancelAnswer::Ended => assert_eq!(ending, Ending::Done),
            CancelAnswer::AlreadyUndoing => unreachable!("nobody else cancels"),
        }
        let log = bench.log();
        let cancel = log.iter().position(|e| matches!(e, Event::CancelAsked { .. }));
        if let (CancelAnswer::Honoured, Some(at)) = (answer, cancel) {
            assert!(!log[at..].iter().any(|e| matches!(e, Event::Started { .. })), "{log:?}");
        }
    }
}

/// Whoever asks drives the task afterwards: either that drive goes on with it, or the one under way does.
#[test]
fn a_cancel_as_the_task_begins_to_wait_is_never_forgotten() {
    for _ in 0..300 {
        let bench = Bench::new();
        let kind = kind(vec![act("wait", |_| Ok(Outcome::Wait(Value::Null)))]);
        let ends = thread::scope(|threads| {
            let driver = threads.spawn(|| bench.drive(&kind));
            while !matches!(bench.log().last(), Some(Event::Waiting { .. })) {
                thread::yield_now();
            }
            let answer = bench.runner.cancel("t", &kind.rules(), "ann").unwrap();
            assert_eq!(answer, CancelAnswer::Honoured);
            [bench.drive(&kind), driver.join().unwrap()]
        });
        assert!(ends.contains(&Drive::Ended(Ending::Canceled)), "{ends:?}");
    }
}

#[test]
fn a_process_that_dies_in_a_step_leaves_only_the_beginning_of_the_try() {
    let bench = Bench::new();
    let kind = kind(vec![act("step", |_| std::panic::resume_unwind(Box::new(Crash)))]);
    let drive = std::panic::AssertUnwindSafe(|| bench.drive(&kind));
    let payload = std::panic::catch_unwind(drive).unwrap_err();
    assert!(payload.is::<Crash>());
    assert_eq!(bench.log(), [Event::Started { step: "step".into(), attempt: 1 }]);
    assert!(!bench.runner.is_running("t"));
}

#[test]
#[should_panic(expected = "the task kind 'test' has two steps named 'same'")]
fn two_steps_of_one_name_are_a_mistake_of_the_programmer() {
    kind(vec![act("same", done), act("same", done)]);
}
