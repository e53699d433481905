//! What becomes of a run by a script where the platform has trouble, and where its machine is not to be kept.

use super::bench::Bench;
use super::{LAYER, NEW, SYSTEM, by_script, kind_of, reserve_script};
use shale_connector::ErrorKind;
use shale_server::jobs;
use shale_task::{Drive, Ending, Event, Journal, MemoryJournal, Runner, WallClock};
use std::fs;
use std::sync::Arc;

/// Runs a script whose machine is discarded when the run fails, from where a log ends; answers how far it came, and the log.
fn driven(bench: &Bench, log: &[Event]) -> (Drive, Vec<Event>) {
    let journal = Arc::new(MemoryJournal::default());
    log.iter().for_each(|event| journal.append("task", event).unwrap());
    let runner = Runner::new(journal.clone(), Arc::new(WallClock), Arc::new(()));
    let drive =
        runner.drive("task", &kind_of("add_version"), bench.world(), &by_script(bench, true)).unwrap();
    (drive, journal.log("task").unwrap())
}

/// Runs such a script from its beginning; answers why it failed.
fn discarded(bench: &Bench) -> String {
    match driven(bench, &jobs::reserved()).0 {
        Drive::Ended(Ending::Failed { why }) => why,
        other => panic!("it does not fail: {other:?}"),
    }
}

#[test]
fn a_script_that_fails_in_a_machine_that_is_not_kept_leaves_its_output_and_nothing_else() {
    let bench = Bench::new();
    bench.add_system(LAYER, SYSTEM);
    let before = bench.snapshot(true);
    reserve_script(&bench, "failed");
    let why = discarded(&bench);
    assert!(why.contains("exit code 7") && why.contains("was deleted"), "{why}");
    assert_eq!(bench.snapshot(true), before);
    let output = fs::read_to_string(bench.world().place.run_output(NEW)).unwrap();
    assert!(output.contains("said by the script"), "{output}");
    assert!(!bench.world().place.kit(NEW).exists(), "script and files are gone");
}

#[test]
fn a_disk_that_cannot_be_read_for_a_moment_is_read_again_before_its_script_has_failed() {
    for (kind, is_for_good) in [(ErrorKind::Timeout, false), (ErrorKind::Damaged, true)] {
        let bench = Bench::new();
        bench.add_system(LAYER, SYSTEM);
        reserve_script(&bench, "mute");
        bench.platform.will_fail([("read", kind)]);
        let why = discarded(&bench);
        assert!(why.contains("went off before its script had ended"), "{kind:?}: {why}");
        assert!(bench.platform.had_trouble(), "{kind:?}: {why}");
        assert_eq!(why.contains("The platform has trouble"), is_for_good, "{kind:?}: {why}");
    }
}

#[test]
fn a_machine_that_does_not_start_again_is_tried_again_or_has_failed_at_once() {
    let bench = Bench::new();
    bench.add_system(LAYER, SYSTEM);
    reserve_script(&bench, "restarting");
    bench.platform.will_fail([("start", ErrorKind::Timeout), ("start", ErrorKind::Full)]);
    let why = discarded(&bench);
    assert!(why.contains("cannot be started again") && bench.platform.had_trouble(), "{why}");
}

#[test]
fn whatever_a_run_fails_of_its_machine_is_discarded_where_that_was_said() {
    let bench = Bench::new();
    bench.add_system(LAYER, SYSTEM);
    let before = bench.snapshot(true);
    reserve_script(&bench, "done");
    // The disk cannot be examined, and never will be.
    bench.platform.will_fail([("read", ErrorKind::Damaged)]);
    let why = discarded(&bench);
    assert!(why.contains("The platform has trouble") && why.contains("was deleted"), "{why}");
    assert_eq!(bench.snapshot(true), before);
}

#[test]
fn a_person_is_asked_where_the_server_ended_at_the_same_step_time_and_again() {
    let bench = Bench::new();
    bench.add_system(LAYER, SYSTEM);
    reserve_script(&bench, "done");
    // As it stands when the examination begins.
    bench.platform.will_fail([("read", ErrorKind::Damaged)]);
    let (_, mut log) = driven(&bench, &jobs::reserved());
    let begins = |event: &Event| matches!(event, Event::Started { step, .. } if step == jobs::EXAMINE);
    log.truncate(log.iter().position(begins).unwrap() + 1);

    let bench = Bench::new();
    bench.add_system(LAYER, SYSTEM);
    reserve_script(&bench, "done");
    log.extend((2..=3).map(|attempt| Event::Started { step: jobs::EXAMINE.into(), attempt }));
    match driven(&bench, &log).0 {
        Drive::Waiting(needs) => {
            let problem = needs["problem"].as_str().unwrap();
            assert!(problem.contains("ended during try 3"), "{needs}");
        }
        other => panic!("nobody is asked: {other:?}"),
    }
}
