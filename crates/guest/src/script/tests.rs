//! Runs in a machine that is not there: each start of it is one call.

use super::*;
use crate::catalogue::Code;
use crate::facts::{Facts, LinuxFacts, NgenQueue, RunOnce, WindowsFacts};
use crate::report::{Kind, System};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

/// A machine that wants so many restarts, and notes what is done to it.
struct Stand {
    folder: tempfile::TempDir,
    wants_restarts: Cell<u32>,
    /// What is found, where it is a Windows; what NGen does in the foreground takes the last away.
    windows: RefCell<Vec<WindowsFacts>>,
    done: RefCell<Vec<&'static str>>,
    port: Rc<RefCell<Vec<u8>>>,
}

struct Port(Rc<RefCell<Vec<u8>>>);

impl io::Write for Port {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stand {
    fn new(script: &str, on_failure: OnFailure) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cd = folder.path().join("cd");
        fs::create_dir(&cd).unwrap();
        let on_restart = OnRestart::Restart;
        let orders = Orders { run: "one".to_owned(), script: "setup.sh".to_owned(), on_failure, on_restart };
        fs::write(cd.join(ORDERS), serde_json::to_vec(&orders).unwrap()).unwrap();
        fs::write(cd.join("setup.sh"), script).unwrap();
        fs::write(cd.join("data"), "attached").unwrap();
        let (wants_restarts, windows, done, port) = Default::default();
        Self { folder, wants_restarts, windows, done, port }
    }

    fn start(&self) -> Exit {
        run(self, &self.folder.path().join("cd")).unwrap()
    }

    /// What it was done to since this was asked last.
    fn done(&self) -> Vec<&'static str> {
        self.done.take()
    }

    fn lines(&self) -> Vec<Line> {
        let on_disk = fs::read(self.folder.path().join("state").join(RECORD)).unwrap();
        assert_eq!(on_disk, *self.port.borrow(), "the port and the disk tell the same");
        Lines::default().take(&on_disk)
    }

    fn output(&self) -> String {
        let text = |line| match line {
            Line::Output { text } => text,
            _ => String::new(),
        };
        self.lines().into_iter().map(text).collect()
    }

    fn ended(&self) -> (Outcome, Option<i32>, String) {
        match self.lines().pop() {
            Some(Line::Ended { outcome, exit_code, text }) => (outcome, exit_code, text),
            other => panic!("it has not ended: {other:?}"),
        }
    }
}

impl Machine for Stand {
    fn permits(&self) -> bool {
        true
    }
    fn system(&self) -> System {
        System { kind: Kind::Linux, name: "Linux".to_owned(), build: "1".to_owned() }
    }
    fn report_path(&self) -> PathBuf {
        self.folder.path().join("state/integrity.json")
    }
    fn caution(&self) -> Option<&'static str> {
        None
    }
    fn look(&self) -> Facts {
        if let Some(facts) = self.windows.borrow().last() {
            return Facts::Windows(facts.clone());
        }
        let left = self.wants_restarts.get();
        let marks = (left > 0).then(|| "/run/reboot-required".to_owned());
        Facts::Linux(LinuxFacts { reboot_marks: marks.into_iter().collect(), ..Default::default() })
    }
    fn expedite(&self, say: &mut dyn FnMut(&str)) -> Result<(), Failure> {
        self.done.borrow_mut().push("expedite");
        say("Compiling assembly");
        match self.windows.borrow_mut().pop() {
            Some(_) => Ok(()),
            None => Err(Failure::new("ngen.exe could not be run", io::Error::other("it is gone"))),
        }
    }
    fn remove_ghosts(&self, say: &mut dyn FnMut(&str)) -> Vec<String> {
        say("The unused network adapter e1000 could not be removed");
        Vec::new()
    }
    fn shut_down(&self) -> Result<(), Failure> {
        self.done.borrow_mut().push("shut down");
        Ok(())
    }
    fn pause(&self, _: Duration) {}
}

impl Host for Stand {
    fn port(&self) -> Option<Box<dyn io::Write>> {
        Some(Box::new(Port(self.port.clone())))
    }
    fn command(&self, script: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command.arg(script);
        command
    }
    fn restart(&self) -> Result<(), Failure> {
        self.done.borrow_mut().push("restart");
        self.wants_restarts.set(self.wants_restarts.get().saturating_sub(1));
        Ok(())
    }
}

#[test]
fn a_script_that_ends_well_shuts_the_machine_down_and_leaves_the_report() {
    let stand = Stand::new("cat data; echo wrong >&2; cat \"$SHALE_FILES/data\"", OnFailure::StayOn);
    assert_eq!(stand.start(), Exit::Clean);
    assert_eq!(stand.done(), ["shut down"]);
    assert_eq!(stand.output(), "attachedwrong\nattached");
    assert_eq!(stand.ended().0, Outcome::Done);
    let report: Report = serde_json::from_slice(&fs::read(stand.report_path()).unwrap()).unwrap();
    assert!(report.shutting_down);
    // Somebody starts the machine again: it stays on, and nothing is run twice.
    assert_eq!((stand.start(), stand.done()), (Exit::Clean, vec![]));
}

#[test]
fn a_machine_without_orders_says_so_unless_its_run_has_ended() {
    let stand = Stand::new("true", OnFailure::StayOn);
    assert_eq!(without_orders(&stand, "no CD").unwrap(), Exit::Act);
    assert_eq!(stand.ended(), (Outcome::Failed, None, "no CD".to_owned()));
    // Somebody hears it.
    assert!(stand.done().is_empty());

    let stand = Stand::new("exit 7", OnFailure::StayOn);
    assert_eq!(stand.start(), Exit::Act);
    let told = stand.lines();
    // The CD was taken away, and the machine restarted by who mends it.
    assert_eq!(without_orders(&stand, "no CD").unwrap(), Exit::Clean);
    assert_eq!((stand.lines(), stand.done()), (told, vec![]));
}

#[test]
fn a_run_that_the_disk_does_not_keep_is_told_as_failed() {
    let stand = Stand::new("true", OnFailure::PowerOff);
    // It lies where a file is to be written.
    fs::create_dir_all(stand.folder.path().join("state/run.json.new")).unwrap();
    assert!(run(&stand, &stand.folder.path().join("cd")).is_err());
    assert_eq!(stand.done(), ["shut down"]);
    let (outcome, _, text) = stand.ended();
    assert_eq!(outcome, Outcome::Failed);
    assert!(text.contains("how far the run is cannot be kept"), "{text}");
}

#[test]
fn a_script_that_fails_leaves_the_machine_as_it_is_or_powers_it_off() {
    for (on_failure, done) in [(OnFailure::StayOn, vec![]), (OnFailure::PowerOff, vec!["shut down"])] {
        let stand = Stand::new("echo so far; exit 7", on_failure);
        assert_eq!((stand.start(), stand.done()), (Exit::Act, done));
        assert_eq!(stand.output(), "so far\n");
        let (outcome, code, text) = stand.ended();
        assert_eq!((outcome, code), (Outcome::Failed, Some(7)));
        assert!(text.contains("exit code 7"), "{text}");
        assert!(!stand.report_path().exists(), "nothing says that it may be finalized");
    }
}

#[test]
fn the_machine_is_restarted_as_often_as_the_checks_ask_and_the_script_runs_once() {
    let stand = Stand::new("echo once", OnFailure::StayOn);
    stand.wants_restarts.set(3);
    for _ in 0..3 {
        assert_eq!((stand.start(), stand.done()), (Exit::Restart, vec!["restart"]));
    }
    assert_eq!((stand.start(), stand.done()), (Exit::Clean, vec!["shut down"]));
    assert_eq!(stand.output(), "once\n");
}

#[test]
fn a_machine_that_is_heard_powers_off_to_be_powered_on_again() {
    let stand = Stand::new("exit 194", OnFailure::StayOn);
    let path = stand.folder.path().join("cd").join(ORDERS);
    let orders =
        Orders { on_restart: OnRestart::PowerOff, ..Orders::read(path.parent().unwrap()).unwrap().unwrap() };
    fs::write(path, serde_json::to_vec(&orders).unwrap()).unwrap();
    assert_eq!((stand.start(), stand.done()), (Exit::Restart, vec!["shut down"]));
    assert!(matches!(stand.lines().pop(), Some(Line::Restarting { restarts: 1, .. })));
}

#[test]
fn a_machine_that_wants_restarts_without_end_has_failed() {
    let stand = Stand::new("true", OnFailure::StayOn);
    stand.wants_restarts.set(100);
    for _ in 0..MOST_RESTARTS {
        assert_eq!(stand.start(), Exit::Restart);
    }
    assert_eq!(stand.start(), Exit::Act);
    let text = stand.ended().2;
    assert!(text.contains("was restarted 5 times"), "{text}");
}

fn ngen_needed() -> WindowsFacts {
    WindowsFacts { ngen_flags: vec!["RootstoreDirty".to_owned()], ..Default::default() }
}

fn ngen_paused() -> WindowsFacts {
    let queue = NgenQueue { folder: "v4".to_owned(), state: "started and paused".to_owned() };
    WindowsFacts { ngen_queues: vec![queue], ..Default::default() }
}

#[test]
fn ngen_that_is_needed_or_paused_is_done_in_the_foreground_and_the_run_ends_well() {
    for facts in [ngen_needed(), ngen_paused()] {
        let stand = Stand::new("true", OnFailure::StayOn);
        stand.windows.replace(vec![facts]);
        assert_eq!((stand.start(), stand.done()), (Exit::Clean, vec!["expedite", "shut down"]));
        let told = |text: &str| stand.lines().contains(&Line::Note { text: text.to_owned() });
        assert!(told("Compiling assembly"));
        assert!(told("The unused network adapter e1000 could not be removed"), "and that stops nothing");
    }
}

#[test]
fn ngen_that_is_needed_again_and_again_fails_the_run_with_its_advice() {
    let stand = Stand::new("true", OnFailure::StayOn);
    stand.windows.replace(vec![ngen_needed(); 9]);
    assert_eq!((stand.start(), stand.done()), (Exit::Act, vec!["expedite", "expedite"]));
    assert!(stand.ended().2.contains("A Microsoft ngen operation is needed."), "{:?}", stand.ended());
}

#[test]
fn ngen_is_not_begun_while_an_installation_may_give_it_more_work() {
    let stand = Stand::new("true", OnFailure::StayOn);
    stand.windows.replace(vec![WindowsFacts { installer_mutex: true, ..ngen_needed() }]);
    assert_eq!((stand.start(), stand.done()), (Exit::Act, vec![]));
}

#[test]
fn run_once_entries_fail_the_run_at_once_and_the_script_is_told_to_do_what_they_say() {
    let entry = RunOnce { key: "K".to_owned(), name: "setup".to_owned(), command: "setup.exe /q".to_owned() };
    let stand = Stand::new("true", OnFailure::StayOn);
    let reboot = vec!["RebootPending".to_owned()];
    let facts = WindowsFacts { run_once: vec![entry], reboot_marks: reboot, ..Default::default() };
    stand.windows.replace(vec![facts]);
    assert_eq!((stand.start(), stand.done()), (Exit::Act, vec![]), "no restart helps");
    let text = stand.ended().2;
    for part in ["A RunOnce script is outstanding", "nobody does here", r"K\setup: setup.exe /q"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("log on as an administrator"), "{text}");
}

#[test]
fn a_script_can_ask_to_be_run_again_after_a_restart() {
    let stand = Stand::new("echo pass $SHALE_PASS; [ $SHALE_PASS = 2 ] || exit 194", OnFailure::StayOn);
    assert_eq!(stand.start(), Exit::Restart);
    assert_eq!(stand.start(), Exit::Clean);
    assert_eq!(stand.output(), "pass 1\npass 2\n");
}

#[test]
fn a_machine_that_went_off_while_the_script_ran_has_failed_and_runs_nothing_again() {
    let stand = Stand::new("echo again", OnFailure::StayOn);
    let place = stand.folder.path().join("state");
    Progress { phase: Phase::Script, passes: 1, ..Progress::new("one") }.write(&place).unwrap();
    assert_eq!(stand.start(), Exit::Act);
    assert_eq!(stand.output(), "");
    assert!(stand.ended().2.contains("exit code 194"));
}

#[test]
fn progress_of_another_run_is_none_of_this_one() {
    let stand = Stand::new("echo new", OnFailure::StayOn);
    let place = stand.folder.path().join("state");
    Progress { phase: Phase::Ended, ..Progress::new("the version before") }.write(&place).unwrap();
    fs::write(place.join(RECORD), "its record\n").unwrap();
    assert_eq!(stand.start(), Exit::Clean);
    assert_eq!(stand.output(), "new\n");
}

#[test]
fn without_orders_nothing_is_done_and_orders_name_no_file_elsewhere() {
    let stand = Stand::new("true", OnFailure::StayOn);
    let orders = stand.folder.path().join("cd").join(ORDERS);
    fs::write(&orders, r#"{"run":"x","script":"../state/evil","on_failure":"stay_on"}"#).unwrap();
    assert!(run(&stand, orders.parent().unwrap()).is_err());
    fs::remove_file(orders).unwrap();
    assert_eq!((stand.start(), stand.done()), (Exit::Clean, vec![]));
}

#[test]
fn what_blocks_and_needs_somebody_fails_the_run_with_its_message() {
    let finding = Finding::of(Code::PackagesUnfinished, ["x".to_owned()]).unwrap();
    let Go::Failed { text, .. } = after_checks(std::slice::from_ref(&finding), &Progress::new("one")) else {
        panic!("it goes on")
    };
    assert!(text.contains(&finding.message), "{text}");
}

#[test]
fn output_without_end_is_cut_and_its_end_told() {
    let script = "head -c 6000000 /dev/zero | tr '\\0' 'x'; echo; echo the very end";
    let stand = Stand::new(script, OnFailure::StayOn);
    assert_eq!(stand.start(), Exit::Clean);
    let output = stand.output();
    assert!(output.len() < 5 << 20, "{}", output.len());
    assert!(output.ends_with("the very end\n") && output.contains("more than 4 MiB"));
}

#[test]
fn a_program_that_a_script_leaves_running_keeps_nobody_waiting() {
    let stand = Stand::new("sleep 600 & echo $! > pid; echo done", OnFailure::StayOn);
    assert_eq!(stand.start(), Exit::Clean);
    let pid = fs::read_to_string(stand.folder.path().join("cd/pid")).unwrap();
    let still_runs = Path::new("/proc").join(pid.trim()).exists();
    Command::new("kill").arg(pid.trim()).status().unwrap();
    assert!(still_runs, "the script's end was not waited for by its child's");
    assert_eq!(stand.output(), "done\n");
}

proptest! {
    #[test]
    fn lines_are_the_same_however_they_are_cut(cuts in prop::collection::vec(1usize..40, 0..40), text in ".{0,60}") {
        let lines = [
            Line::Output { text },
            Line::Restarting { text: "why".to_owned(), restarts: 2 },
            Line::Ended { outcome: Outcome::Done, exit_code: None, text: String::new() },
        ];
        let mut bytes = b"login: no line of ours\r\n".to_vec();
        lines.iter().for_each(|line| record::write_line(&mut bytes, line).unwrap());
        let (mut reader, mut found, mut rest) = (Lines::default(), Vec::new(), &bytes[..]);
        for cut in cuts {
            let (head, tail) = rest.split_at(cut.min(rest.len()));
            found.extend(reader.take(head));
            rest = tail;
        }
        found.extend(reader.take(rest));
        prop_assert_eq!(&found[..], &lines[..]);
    }

    #[test]
    fn nothing_that_a_guest_writes_makes_the_reader_keep_more_than_a_line(pieces in prop::collection::vec(0usize..40_000, 0..12)) {
        let mut reader = Lines::default();
        for length in pieces {
            prop_assert_eq!(reader.take(&vec![b'{'; length]), vec![]);
        }
        reader.take(b"\n");
        prop_assert_eq!(reader.take(b"{\"line\":\"output\",\"text\":\"x\"}\n").len(), 1);
    }
}
