//! The job, against a machine that is not there.

use super::*;
use crate::facts::{NgenQueue, WindowsFacts};
use crate::report::Kind;
use std::cell::{Cell, RefCell};

/// Shows these facts one after the other, the last again and again, and notes what is done to it.
struct Stand {
    facts: Vec<WindowsFacts>,
    looked: Cell<usize>,
    done: RefCell<Vec<String>>,
    paused: RefCell<Vec<u64>>,
    permits: bool,
    refuses: bool,
    folder: tempfile::TempDir,
}

fn stand(facts: Vec<WindowsFacts>) -> Stand {
    let folder = tempfile::tempdir().unwrap();
    let (looked, done, paused) = Default::default();
    Stand { facts, looked, done, paused, permits: true, refuses: false, folder }
}

impl Stand {
    fn note(&self, what: &str) {
        self.done.borrow_mut().push(what.to_owned());
    }

    fn report(&self) -> Report {
        serde_json::from_slice(&std::fs::read(self.report_path()).unwrap()).unwrap()
    }

    fn run(&self, line: &str) -> (Exit, String) {
        let words = line.split_whitespace().map(str::to_owned);
        let Ok(crate::arguments::Command::Run(arguments)) = crate::arguments::read(words) else {
            panic!("{line}");
        };
        let mut out = Vec::new();
        let exit = run(self, &arguments, &mut out).unwrap_or(Exit::Failed);
        (exit, String::from_utf8(out).unwrap())
    }
}

impl Machine for Stand {
    fn permits(&self) -> bool {
        self.permits
    }
    fn system(&self) -> System {
        System { kind: Kind::Windows, name: "Windows".to_owned(), build: "1".to_owned() }
    }
    fn report_path(&self) -> PathBuf {
        self.folder.path().join("integrity.json")
    }
    fn caution(&self) -> Option<&'static str> {
        Some("Checking pauses it.")
    }
    fn look(&self) -> Facts {
        let at = self.looked.replace(self.looked.get() + 1);
        self.note("look");
        Facts::Windows(self.facts[at.min(self.facts.len() - 1)].clone())
    }
    fn expedite(&self, say: &mut dyn FnMut(&str)) -> Result<(), Failure> {
        self.note("expedite");
        say("compiling");
        Ok(())
    }
    fn remove_ghosts(&self, say: &mut dyn FnMut(&str)) -> Vec<String> {
        self.note("remove");
        say("e1000 could not be removed");
        vec!["vmxnet3".to_owned()]
    }
    fn shut_down(&self) -> Result<(), Failure> {
        self.note("shut down");
        if self.refuses { Err(Failure::new("no", io::Error::other("refused"))) } else { Ok(()) }
    }
    fn pause(&self, time: Duration) {
        self.note(if time == INTERVAL { "pause" } else { "longer pause" });
        self.paused.borrow_mut().push(time.as_secs());
    }
}

fn clean() -> WindowsFacts {
    WindowsFacts::default()
}

fn installing() -> WindowsFacts {
    WindowsFacts { installer_mutex: true, ..clean() }
}

fn rebooting() -> WindowsFacts {
    WindowsFacts { update_exe_volatile: 1, ..clean() }
}

#[test]
fn a_clean_machine_is_shut_down_after_its_adapters_are_removed_and_the_report_says_so() {
    let machine = stand(vec![clean()]);
    let (exit, told) = machine.run("");
    assert_eq!(exit, Exit::Clean);
    assert_eq!(*machine.done.borrow(), ["remove", "look", "shut down"]);
    assert!(told.contains("finalizing is allowed. The machine is shutting down."), "{told}");
    assert!(
        told.contains("Removed the unused network adapter vmxnet3.") && told.contains("Checking pauses it.")
    );
    let report = machine.report();
    assert_eq!((report.outcome, report.shutting_down, report.next), (Outcome::Clean, true, None));
    assert_eq!(report.removed, ["vmxnet3"]);
}

#[test]
fn a_machine_with_something_outstanding_is_not_shut_down() {
    for (facts, exit, message) in [
        (
            installing(),
            Exit::Wait,
            "An MSI install operation is in progress - please check the Packaging Machine.",
        ),
        (
            rebooting(),
            Exit::Restart,
            "A post-installation reboot is pending - please check and reboot the Packaging Machine.",
        ),
        (
            WindowsFacts { ngen_flags: vec!["flag".to_owned()], ..clean() },
            Exit::Act,
            "A Microsoft ngen operation is needed.",
        ),
    ] {
        let machine = stand(vec![facts]);
        let (got, told) = machine.run("");
        assert_eq!(got, exit);
        assert!(told.contains("Finalizing is BLOCKED.") && told.contains(message), "{told}");
        assert_eq!(*machine.done.borrow(), ["remove", "look"]);
        let report = machine.report();
        assert_eq!((report.outcome, report.shutting_down), (Outcome::Blocked, false));
    }
}

#[test]
fn a_warning_is_told_and_does_not_stop_the_shutdown() {
    let machine = stand(vec![WindowsFacts { ghost_adapters: vec!["e1000".to_owned()], ..clean() }]);
    let (exit, told) = machine.run("");
    assert_eq!(exit, Exit::Clean);
    assert!(told.contains("Worth knowing:") && told.contains("e1000"), "{told}");
    assert!(machine.done.borrow().contains(&"shut down".to_owned()));
}

#[test]
fn checking_changes_nothing() {
    let machine = stand(vec![clean()]);
    assert_eq!(machine.run("--check").0, Exit::Clean);
    assert_eq!(*machine.done.borrow(), ["look"]);
    assert!(!machine.report().shutting_down);
}

#[test]
fn json_is_the_report_and_nothing_else() {
    let machine = stand(vec![installing()]);
    let (exit, told) = machine.run("--check --json --expedite");
    assert_eq!(exit, Exit::Wait);
    assert_eq!(serde_json::from_str::<Report>(&told).unwrap(), machine.report());
}

#[test]
fn waiting_ends_when_what_runs_has_ended() {
    let machine = stand(vec![installing(), installing(), clean()]);
    let (exit, told) = machine.run("--wait");
    assert_eq!(exit, Exit::Clean);
    assert_eq!(*machine.done.borrow(), ["remove", "look", "pause", "look", "pause", "look", "shut down"]);
    assert_eq!(told.matches("Waiting for:").count(), 1, "the same is told once");
}

#[test]
fn waiting_ends_when_its_time_is_over() {
    let machine = stand(vec![installing()]);
    assert_eq!(machine.run("--wait=25s").0, Exit::Wait);
    assert_eq!(*machine.done.borrow(), ["remove", "look", "pause", "look", "pause", "look", "pause", "look"]);
}

/// NGen with work left that it does when nobody asks.
fn paused() -> WindowsFacts {
    let queue = NgenQueue { folder: "v4".to_owned(), state: "started and paused".to_owned() };
    WindowsFacts { ngen_queues: vec![queue], ..clean() }
}

#[test]
fn ngen_which_pauses_for_each_question_is_asked_ever_more_rarely() {
    let machine = stand(vec![paused(), paused(), paused(), clean()]);
    assert_eq!(machine.run("--wait").0, Exit::Clean);
    assert_eq!(*machine.paused.borrow(), [10, 20, 40]);
    let machine = stand(vec![paused()]);
    assert_eq!(machine.run("--wait=2h").0, Exit::Wait);
    let paused = machine.paused.borrow();
    assert!(paused.len() < 30 && paused.last() == Some(&300), "{paused:?}");
}

#[test]
fn ngen_that_was_expedited_and_has_not_come_to_its_end_is_no_success() {
    let machine = stand(vec![paused()]);
    assert_eq!(machine.run("--expedite").0, Exit::Wait);
    assert_eq!(*machine.done.borrow(), ["expedite", "remove", "look"]);
}

#[test]
fn an_adapter_that_cannot_be_removed_is_said_and_stops_nothing() {
    let machine = stand(vec![WindowsFacts { ghost_adapters: vec!["e1000".to_owned()], ..clean() }]);
    let (exit, told) = machine.run("");
    assert!(told.contains("e1000 could not be removed"), "{told}");
    assert_eq!((exit, machine.report().shutting_down), (Exit::Clean, true));
}

#[test]
fn nothing_is_waited_for_that_time_does_not_mend() {
    let machine = stand(vec![installing(), rebooting(), clean()]);
    assert_eq!(machine.run("--wait").0, Exit::Restart);
    assert_eq!(*machine.done.borrow(), ["remove", "look", "pause", "look"]);
}

#[test]
fn expediting_comes_first() {
    let machine = stand(vec![clean()]);
    let (_, told) = machine.run("--expedite");
    assert_eq!(*machine.done.borrow(), ["expedite", "remove", "look", "shut down"]);
    assert!(told.contains("compiling"));
}

#[test]
fn who_is_no_administrator_is_told_so_and_nothing_is_done() {
    let machine = Stand { permits: false, ..stand(vec![clean()]) };
    let (exit, told) = machine.run("");
    assert_eq!(exit, Exit::NotPermitted);
    assert!(told.contains("administrator"));
    assert!(machine.done.borrow().is_empty() && !machine.report_path().exists());
}

#[test]
fn a_refused_shutdown_is_a_failure_and_the_report_does_not_claim_it() {
    let machine = Stand { refuses: true, ..stand(vec![clean()]) };
    assert_eq!(machine.run("").0, Exit::Failed);
    assert!(!machine.report().shutting_down);
}

#[test]
fn without_a_report_there_is_no_shutdown() {
    let machine = stand(vec![clean()]);
    std::fs::create_dir(machine.report_path()).unwrap();
    assert_eq!(machine.run("").0, Exit::Failed);
    assert_eq!(*machine.done.borrow(), ["remove", "look"]);
}
