//! Every kind of task under every fault: whatever happens, and whenever, a task's result is whole or nothing of it is
//! there, and nothing else is touched.
//!
//! The sweep is generated (`shale_task::sweep`): errors before and after an effect, crashes, panics, lost replies,
//! cancels, at every step and every undo, alone and in pairs. What is written here is only what each kind is asked,
//! and what a request does before. A kind without an entry fails the test.

mod bench;
mod layers;
mod orphans;
mod platform;
mod scripts;

use bench::{Bench, CONNECTOR, FIRST, LAYER, SECOND, id};
use platform::SIZE;
use serde::Serialize;
use serde_json::Value;
use shale_connector::Firmware;
use shale_guest::script::{OnFailure, OnRestart, Orders};
use shale_model::{ImageState, VersionEvent, VersionState};
use shale_server::catalog::{ImageRow, VersionRow, now};
use shale_server::composition::Composition;
use shale_server::jobs::{
    self, AddVersionInput, CheckInput, CollectInput, DeleteLayerInput, DeleteVersionInput, Doomed,
    ExportInput, FINALIZE, FinalizeOrder, ImportInput, Makes, PublishInput, Run, VerifyInput,
};
use shale_server::kit;
use shale_server::world::World;
use shale_task::sweep::{Answer, Pairs, Report, Subject, sweep};
use shale_task::{Drive, Ending, Event, Journal, Kind, MemoryJournal, Runner, WallClock};
use shale_volume::exclude::Family;

use std::cell::Cell;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

/// The version, and the layer, that a task makes.
const NEW: Uuid = id(0x21);
const NEW_LAYER: Uuid = id(0x20);
/// A version with files in it.
const SYSTEM: Uuid = id(0x31);

/// One way to ask for a kind of task.
struct Job {
    kind: &'static str,
    /// What the world must have besides.
    prepare: fn(&Bench),
    /// What the request does in the transaction that makes the task; it records the `reserve` step if so.
    request: Option<fn(&Bench)>,
    input: fn(&Bench) -> Value,
    pairs: Pairs,
}

impl Job {
    fn new(kind: &'static str, input: fn(&Bench) -> Value, pairs: Pairs) -> Self {
        Self { kind, prepare: |_| {}, request: None, input, pairs }
    }

    fn prepared(self, prepare: fn(&Bench)) -> Self {
        Self { prepare, ..self }
    }

    fn requested(self, request: fn(&Bench)) -> Self {
        Self { request: Some(request), ..self }
    }
}

fn json(input: impl Serialize) -> Value {
    serde_json::to_value(input).unwrap()
}

/// How each kind is asked for.
fn jobs_of(kind: &str) -> Vec<Job> {
    match kind {
        "import_os_layer" => vec![Job::new("import_os_layer", import, Pairs::Every(7)).requested(|bench| {
            bench.add_layer(NEW_LAYER, "New");
            bench.add_editing(NEW_LAYER, NEW, "1.0", None);
        })],
        "add_version" => versions_by_hand_and_script().into_iter().chain(layers::jobs()).collect(),
        "export_version" => vec![
            Job::new("export_version", |bench| export(bench, "raw", false), Pairs::Every(7)),
            Job::new("export_version", |bench| export(bench, "raw", true), Pairs::Every(13)),
            Job::new("export_version", |bench| export(bench, "qcow2", true), Pairs::Every(7))
                .prepared(|bench| fs::write(bench.path("out/image"), "what was there").unwrap()),
        ],
        "publish_image" => vec![
            Job::new("publish_image", |bench| publish(bench, false, true), Pairs::Every(17))
                .prepared(published_before)
                .requested(|bench| reserve_image(bench, false)),
            Job::new("publish_image", |bench| publish(bench, true, false), Pairs::Every(97))
                .prepared(|bench| bench.add_system(LAYER, SYSTEM))
                .requested(|bench| reserve_image(bench, true)),
        ],
        "verify_version" => vec![
            Job::new("verify_version", verify, Pairs::Every(3)),
            Job::new("verify_version", verify, Pairs::Every(3))
                .prepared(|bench| happen(bench, FIRST, VersionEvent::Damaged)),
        ],
        "delete_version" => vec![
            Job::new(
                "delete_version",
                |_| json(DeleteVersionInput { versions: vec![doomed(FIRST)] }),
                Pairs::Every(7),
            )
            .requested(|bench| happen(bench, FIRST, VersionEvent::DeleteAsked)),
        ],
        "delete_layer" => vec![Job::new("delete_layer", delete_layer, Pairs::Every(7)).requested(|bench| {
            happen(bench, FIRST, VersionEvent::DeleteAsked);
            happen(bench, SECOND, VersionEvent::DeleteAsked);
        })],
        "check_repository" => {
            vec![Job::new("check_repository", |_| json(CheckInput { read_data: true }), Pairs::Every(3))]
        }
        "collect_garbage" => vec![
            Job::new(
                "collect_garbage",
                |_| json(CollectInput { dry_run: false, grace_hours: Some(0) }),
                Pairs::Every(3),
            )
            .prepared(leave_garbage),
        ],
        other => panic!("the kind '{other}' is not swept: say here how it is asked for"),
    }
}

/// Versions of an OS layer, alone in their machines.
fn versions_by_hand_and_script() -> [Job; 3] {
    [
        Job::new("add_version", add_version, Pairs::Every(17))
            .requested(|bench| bench.add_editing(LAYER, NEW, "1.2", Some(FIRST))),
        // One that ends well; one that fails, whose machine a person then finalizes.
        Job::new("add_version", |bench| by_script(bench, false), Pairs::Every(97))
            .prepared(|bench| bench.add_system(LAYER, SYSTEM))
            .requested(|bench| reserve_script(bench, "done")),
        Job::new("add_version", |bench| by_script(bench, false), Pairs::Every(97))
            .prepared(|bench| bench.add_system(LAYER, SYSTEM))
            .requested(|bench| reserve_script(bench, "failed")),
    ]
}

fn import(bench: &Bench) -> Value {
    let file = bench.path("disk.raw");
    json(ImportInput {
        layer_id: NEW_LAYER,
        version_id: NEW,
        file,
        upload_id: None,
        format: None,
        drop_free_space: true,
    })
}

fn add_version(_: &Bench) -> Value {
    json(AddVersionInput {
        version_id: NEW,
        base_version_id: FIRST,
        connector_id: CONNECTOR,
        machine_name: "machine".into(),
        disk_size: SIZE,
        firmware: Firmware::Bios,
        compositions: Vec::new(),
        makes: Makes::Disk,
        new_layer: None,
        unattended: None,
    })
}

/// A version that a script makes, in a machine that tells on its port how that ended.
fn by_script(bench: &Bench, discard: bool) -> Value {
    let os = bench.change(async |tx| Ok(VersionRow::get(tx, SYSTEM).await?.unwrap()));
    let composition = Composition::new(&os, &[], os.virtual_bytes).unwrap().with_starter(Family::Linux, "");
    json(AddVersionInput {
        version_id: NEW,
        base_version_id: composition.id,
        connector_id: CONNECTOR,
        machine_name: "machine".into(),
        disk_size: os.virtual_bytes,
        firmware: Firmware::Bios,
        compositions: vec![composition],
        makes: Makes::DiskWithoutTools { against: SYSTEM },
        new_layer: None,
        unattended: Some(Run { script: "setup.sh".into(), discard, minutes: 60 }),
    })
}

/// What the request does for a script, and what comes of the script in the machine.
fn reserve_script(bench: &Bench, outcome: &'static str) {
    bench.add_editing(LAYER, NEW, "1.2", Some(SYSTEM));
    let orders = Orders {
        run: NEW.to_string(),
        script: "setup.sh".into(),
        on_failure: OnFailure::StayOn,
        on_restart: OnRestart::PowerOff,
    };
    let place = &bench.world().place;
    kit::Staged::kit(&place.runs(), &orders, b"true", &[]).unwrap().put(&place.kit(NEW)).unwrap();
    bench.platform.scripts_end(outcome);
}

fn export(bench: &Bench, format: &str, overwrite: bool) -> Value {
    json(ExportInput { version_id: FIRST, format: format.into(), path: bench.path("out/image"), overwrite })
}

/// An image of the small Linux, which is written to a file and booted, or put together and sent to a platform.
fn publish(bench: &Bench, generalize: bool, is_written: bool) -> Value {
    let os = bench.change(async |tx| Ok(VersionRow::get(tx, SYSTEM).await?.unwrap()));
    let disk = Composition::new(&os, &[], os.virtual_bytes).unwrap();
    json(PublishInput {
        image_id: NEW,
        template_id: id(0x40),
        name: "Desk-2026-01-02_03-04-05".into(),
        composition: if generalize { disk.generalized("") } else { disk },
        format: "raw".into(),
        path: is_written.then(|| bench.path("out/image")),
        firmware: Firmware::Bios,
        boot: is_written.then_some(CONNECTOR),
        connector_id: generalize.then_some(CONNECTOR),
    })
}

/// The disk of the image is in the repository already: it was published before.
fn published_before(bench: &Bench) {
    bench.add_system(LAYER, SYSTEM);
    let input: PublishInput = serde_json::from_value(publish(bench, false, false)).unwrap();
    put_together(bench, input.composition);
}

/// A composition is in the repository: an image of it was published.
fn put_together(bench: &Bench, composition: Composition) {
    let mut input = publish(bench, false, false);
    input["composition"] = json(composition);
    let journal = Arc::new(MemoryJournal::default());
    jobs::reserved().iter().for_each(|event| journal.append("task", event).unwrap());
    let runner = Runner::new(journal, Arc::new(WallClock), Arc::new(()));
    let driven = runner.drive("task", &kind_of("publish_image"), bench.world(), &input).unwrap();
    assert!(matches!(driven, Drive::Ended(Ending::Done)), "{driven:?}");
}

fn reserve_image(bench: &Bench, generalize: bool) {
    let os = bench.change(async |tx| Ok(VersionRow::get(tx, SYSTEM).await?.unwrap()));
    let input: PublishInput = serde_json::from_value(publish(bench, generalize, !generalize)).unwrap();
    let row = ImageRow {
        id: NEW,
        name: input.name,
        template_id: input.template_id,
        template_name: "Desk".into(),
        task_id: id(0x41),
        composition_id: input.composition.id,
        parts: vec![],
        format: input.format,
        path: input.path,
        connector_id: input.connector_id,
        firmware: os.firmware,
        disk_size: os.virtual_bytes,
        state: ImageState::Publishing,
        report: Default::default(),
        created_at: now(),
        updated_at: now(),
    };
    bench.change(async |tx| row.insert(tx).await);
}

fn verify(bench: &Bench) -> Value {
    let digest = bench.change(async |tx| Ok(VersionRow::get(tx, FIRST).await?.unwrap().digest.unwrap()));
    json(VerifyInput { version_id: FIRST, digest })
}

fn doomed(id: Uuid) -> Doomed {
    Doomed { id, state: VersionState::Deployable }
}

fn delete_layer(_: &Bench) -> Value {
    json(DeleteLayerInput { layer_id: LAYER, versions: vec![doomed(FIRST), doomed(SECOND)] })
}

fn happen(bench: &Bench, version: Uuid, event: VersionEvent) {
    bench.change(async |tx| VersionRow::happen(tx, version, event).await);
}

/// A version that was removed, and marked as garbage by an earlier collection: this one deletes it.
fn leave_garbage(bench: &Bench) {
    bench.store(id(0x99), 0x99);
    let repository = &bench.world().repository;
    repository.remove_version(id(0x99).into()).unwrap();
    let options = shale_store::GcOptions {
        now: std::time::SystemTime::now(),
        grace: std::time::Duration::ZERO,
        dry_run: false,
    };
    repository.gc(&options, &|_| std::ops::ControlFlow::Continue(())).unwrap();
}

/// The kind of this name, as the product registers it.
fn kind_of(name: &str) -> Kind<World> {
    jobs::kinds().into_iter().find(|kind| kind.name() == name).unwrap()
}

/// A job, and the world it is asked for in, of which every scenario gets a copy.
struct Swept {
    job: Job,
    template: Bench,
    /// Somebody read what was outstanding in a machine, and mended it.
    mended: AtomicBool,
}

impl Swept {
    fn new(job: Job) -> Self {
        let template = Bench::new();
        (job.prepare)(&template);
        Self { job, template, mended: AtomicBool::new(false) }
    }
}

/// A world in which one task runs.
struct Scene {
    bench: Bench,
    /// The person finalized before the machine was off, and was told so.
    hasty: Cell<bool>,
}

impl Subject for Swept {
    type World = World;
    type Place = Scene;

    fn kind(&self) -> Kind<World> {
        kind_of(self.job.kind)
    }

    fn fresh(&self) -> Scene {
        Scene { bench: self.template.copy(), hasty: Cell::new(false) }
    }

    fn world<'a>(&self, scene: &'a Scene) -> &'a World {
        scene.bench.world()
    }

    /// What `verify_version` finds out of a version stays true when the task fails or is cancelled: its mark is not
    /// the task's to undo.
    fn snapshot(&self, scene: &Scene) -> String {
        scene.bench.snapshot(self.job.kind != "verify_version")
    }

    fn request(&self, scene: &Scene) -> Vec<Event> {
        let Some(request) = self.job.request else { return Vec::new() };
        request(&scene.bench);
        jobs::reserved().into()
    }

    fn input(&self, scene: &Scene) -> Value {
        (self.job.input)(&scene.bench)
    }

    /// A person who finalizes while the machine runs, reads why not, and shuts it down; then reads what is outstanding in it,
    /// and mends that.
    fn answer(&self, scene: &Scene, needs: &Value) -> Answer {
        if needs["findings"].as_array().is_some_and(|found| !found.is_empty()) {
            scene.bench.platform.guest_mends(NEW);
            self.mended.store(true, Ordering::Relaxed);
        }
        if scene.bench.platform.is_on(NEW) && !scene.hasty.replace(true) {
            return Answer::Signal(FINALIZE.into(), Value::Null);
        }
        scene.bench.platform.guest_powers_off(NEW);
        // The guests here have no tool that would leave a report on a disk with files.
        let has_no_report = |found: &Value| found["code"] == "tool_not_run";
        if needs["findings"].as_array().is_some_and(|found| found.iter().any(has_no_report)) {
            let order = FinalizeOrder { anyway: true, reason: "There is no tool.".into(), by: "ann".into() };
            return Answer::Signal(FINALIZE.into(), json(order));
        }
        Answer::Signal(FINALIZE.into(), Value::Null)
    }

    fn restart(&self, scene: Scene) -> Scene {
        Scene { bench: scene.bench.restarted(), ..scene }
    }
}

/// Ways in which a kind's tasks must have ended somewhere in its sweep, or the faults did not strike. A deletion begins
/// with its last word: nothing cancels it.
fn ends_in_every_way(report: &Report) {
    let ways: &[&str] = match report.kind {
        "delete_version" | "delete_layer" => &["done", "failed"],
        _ => &["done", "failed", "canceled"],
    };
    for ending in ways {
        assert!(report.endings.contains_key(*ending), "no task {ending}: {report}");
    }
}

#[test]
fn every_kind_of_task_is_whole_or_leaves_nothing_whatever_fails_and_whenever() {
    let kinds: Vec<_> = jobs::kinds().iter().map(Kind::name).collect();
    let jobs = kinds.iter().flat_map(|kind| jobs_of(kind));
    let reports: Vec<Report> = std::thread::scope(|scope| {
        let threads: Vec<_> = jobs
            .map(|job| {
                scope.spawn(move || {
                    let pairs = job.pairs;
                    let swept = Swept::new(job);
                    let report = sweep(&swept, pairs);
                    let is_examined = report.kind == "add_version";
                    assert_eq!(swept.mended.into_inner(), is_examined, "{}", report.kind);
                    report
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for report in &reports {
        println!("{}: {} cases {:?}", report.kind, report.cases, report.endings);
    }
    let found: String = reports.iter().filter(|r| !r.violations.is_empty()).map(Report::to_string).collect();
    assert!(found.is_empty(), "{found}");
    reports.iter().for_each(ends_in_every_way);
}

/// Runs a task that needs nobody.
fn run(bench: &Bench, kind: &str, input: &Value) -> Ending {
    let runner = Runner::new(Arc::new(MemoryJournal::default()), Arc::new(WallClock), Arc::new(()));
    match runner.drive("task", &kind_of(kind), bench.world(), input).unwrap() {
        Drive::Ended(ending) => ending,
        other => panic!("{kind} does not end: {other:?}"),
    }
}

#[test]
fn verifying_marks_what_is_damaged_and_takes_the_mark_off_what_is_whole_again() {
    let bench = Bench::new();
    let state = |bench: &Bench| bench.change(async |tx| Ok(VersionRow::get(tx, FIRST).await?.unwrap().state));
    let input = verify(&bench);
    let manifest = bench.path(&format!("data/repository/versions/{FIRST}.version"));
    let whole = fs::read(&manifest).unwrap();

    let mut spoilt = whole.clone();
    let last = spoilt.len() - 1;
    spoilt[last] ^= 1;
    fs::write(&manifest, spoilt).unwrap();
    assert!(matches!(run(&bench, "verify_version", &input), Ending::Failed { .. }));
    assert_eq!(state(&bench), VersionState::Broken);

    fs::write(&manifest, whole).unwrap();
    assert_eq!(run(&bench, "verify_version", &input), Ending::Done);
    assert_eq!(state(&bench), VersionState::Deployable);
}
