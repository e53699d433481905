//! Every call of a whole life goes wrong once, in every way: the list of calls is what an undisturbed life makes, so
//! that none is forgotten. After the fault the caller goes on, gives up (a cancelled task), or crashes and comes back.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use shale_connector::{Connector, Origin, Power, Result, Tag};
use shale_disk::Disk;
use xapi_sim::{Fault, Rule};

#[allow(dead_code, reason = "the other tests of this connector use the rest")]
#[path = "xenserver/bench.rs"]
mod bench;

use bench::{Bench, Difference, TestDisk, go_on, id, no_command, spec, whole};

/// How often a step is tried, as a task does.
const TRIES: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    GoesOn,
    GivesUp,
    Crashes,
}

const CALLERS: [Caller; 3] = [Caller::GoesOn, Caller::GivesUp, Caller::Crashes];

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    /// A machine that is worked in, and goes.
    Machine,
    /// An image, which stays once it is whole.
    Image,
}

/// What there is on the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    /// As little as there can be.
    Bare,
    /// Disks are read by NBD, changes by changed blocks.
    Nbd,
    /// An older base disk, of which the difference is known.
    Older,
}

const SCENES: [Scene; 3] = [Scene::Bare, Scene::Nbd, Scene::Older];

/// The origin that the older base disk is.
fn older_id() -> Tag {
    id(2)
}

fn older_disk(bench: &Bench) -> TestDisk {
    TestDisk::new(&bench.folder, "older.raw", 8 << 20, &[(0, 300_000, 1), (4 << 20, 5000, 3)])
}

impl Scene {
    fn set(self, bench: &Bench) {
        match self {
            Self::Bare => {}
            Self::Nbd => bench.add_nbd(),
            Self::Older => {
                let (connector, older) = (bench.connect(), older_disk(bench));
                connector.ensure_disk(&id(99), &spec(8 << 20), &older.origin(2), &go_on).unwrap();
                connector.remove(&id(99)).unwrap();
            }
        }
    }
}

fn faults() -> [Fault; 5] {
    let error = || vec!["INTERNAL_ERROR".to_owned(), "the database is away".to_owned()];
    [
        Fault::Refuse,
        Fault::LoseReply,
        Fault::ErrorBefore(error()),
        Fault::ErrorAfter(error()),
        Fault::SessionLost(0),
    ]
}

fn small_disk(bench: &Bench) -> TestDisk {
    TestDisk::new(&bench.folder, "small.raw", 8 << 20, &[(0, 300_000, 1), ((8 << 20) - 512, 512, 2)])
}

/// A life, and who lives it.
struct Life<'a> {
    bench: &'a Bench,
    connector: Box<dyn Connector>,
    caller: Caller,
    scene: Scene,
    made: Made,
}

/// The life was given up.
struct GivenUp;

impl Life<'_> {
    /// A step, tried again as a task does.
    fn step<T>(&mut self, step: impl Fn(&dyn Connector) -> Result<T>) -> std::result::Result<T, GivenUp> {
        let mut told = Vec::new();
        for _ in 0..TRIES {
            match step(&*self.connector) {
                Ok(done) => return Ok(done),
                Err(e) => told.push(e),
            }
            match self.caller {
                Caller::GoesOn => {}
                Caller::GivesUp => return Err(GivenUp),
                Caller::Crashes => self.connector = self.bench.connect(),
            }
        }
        panic!("tried in vain: {told:?}")
    }

    fn live(&mut self, disk: &TestDisk) -> std::result::Result<(), GivenUp> {
        let (bench, tag, scene) = (self.bench, &self.bench.tag, self.scene);
        let older = older_disk(bench).bytes();
        let since = |asked: &Tag| -> Option<Box<dyn Disk + '_>> {
            let is_known = scene == Scene::Older && *asked == older_id();
            is_known.then(|| Box::new(Difference { old: older.clone(), new: disk }) as Box<dyn Disk>)
        };
        let origin =
            || Origin { id: id(1), disk: &disk.disk, since: &since, total: &|_| {}, serve: no_command() };
        if self.made == Made::Image {
            self.step(|c| c.publish(tag, &spec(8 << 20), &origin(), &go_on))?;
            assert!(bench.bytes(&bench.packaging_disk()) == disk.bytes());
            assert!(self.step(|c| c.claimed(tag))?.is_none());
            // What was lost on the way may end only now; the image is whole whatever the sweep does.
            self.settle();
            for tag in self.step(|c| c.inventory())? {
                self.step(|c| c.remove(&tag))?;
            }
            self.step(|c| c.trim(&|_| true))?;
            assert!(bench.bytes(&bench.packaging_disk()) == disk.bytes());
            return Ok(());
        }
        self.step(|c| {
            c.ensure_disk(tag, &spec(8 << 20), &origin(), &go_on)?;
            c.ensure_machine(tag, &spec(8 << 20))
        })?;
        self.step(|c| c.power_on(tag))?;
        let seen = self.step(|c| c.observe(tag))?;
        assert_eq!((seen.power, seen.was_powered_on), (Power::Running, true));
        // A start whose reply was lost may be done only now, for the second time; no guest is off again before that.
        self.settle_calls("Async.");
        bench.guest_writes(4096, &[0xab; 4096]);
        bench.sim.guest_powers_off(&bench.machine());
        let changes = self.step(|c| c.open_changes(tag, &go_on))?;
        let mut expected = disk.bytes();
        expected[4096..8192].fill(0xab);
        assert!(whole(&disk.bytes(), &changes) == expected, "{}", changes.how);
        Ok(())
    }

    /// Until the pool has done what nobody waits for any more.
    fn settle(&self) {
        self.settle_calls("");
    }

    /// The same, of tasks whose name begins so: those of calls have the call's.
    fn settle_calls(&self, name: &str) {
        let pending = |task: &xapi_sim::value::Record| {
            task["status"].text() == "pending" && task["name_label"].text().starts_with(name)
        };
        let deadline = Instant::now() + Duration::from_secs(240);
        while Instant::now() < deadline {
            if !self.bench.sim.all("task").values().any(pending) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("tasks that do not end: {:?}", self.bench.sim.all("task"));
    }

    /// Lives, and leaves nothing.
    fn run(mut self, disk: &TestDisk) {
        // Given up or done: the end is the same.
        let _ = self.live(disk);
        let tag = &self.bench.tag;
        if self.caller == Caller::GivesUp {
            self.caller = Caller::GoesOn;
        }
        assert!(self.step(|c| c.remove(tag)).is_ok());
        self.bench.sim.clear_faults();
        self.settle();
        // What a lost reply hid, or what the pool did only afterwards, is found by the sweep.
        for tag in self.connector.inventory().unwrap() {
            self.connector.remove(&tag).unwrap();
        }
        self.connector.trim(&|_| true).unwrap();
        self.bench.is_clean(&*self.connector);
        let bases = self.bench.base_disks();
        let mut origins = vec![disk.bytes()];
        origins.extend((self.scene == Scene::Older).then(|| older_disk(self.bench).bytes()));
        assert!(bases.len() <= origins.len(), "{:?}", self.bench.disks());
        for base in bases {
            assert!(origins.contains(&self.bench.bytes(&base)), "a base disk that is not the origin");
        }
    }
}

/// How many calls an undisturbed life makes.
fn undisturbed(made: Made, scene: Scene) -> u32 {
    let bench = Bench::new();
    let disk = small_disk(&bench);
    scene.set(&bench);
    let before = bench.sim.calls();
    Life { bench: &bench, connector: bench.connect(), caller: Caller::GoesOn, scene, made }.run(&disk);
    bench.sim.calls() - before
}

#[test]
fn whatever_call_goes_wrong_with_a_machine_and_however_it_ends_right_or_leaves_nothing() {
    sweep(Made::Machine);
}

#[test]
fn whatever_call_goes_wrong_with_an_image_and_however_it_is_whole_or_leaves_nothing() {
    sweep(Made::Image);
}

fn sweep(made: Made) {
    let calls = SCENES.map(|scene| undisturbed(made, scene));
    assert!(calls.iter().all(|calls| *calls > 50), "{calls:?} calls are no whole life");
    let most = calls.into_iter().max().unwrap();
    let next = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed) + 1;
                    if nth > most {
                        return;
                    }
                    for (i, fault) in faults().into_iter().enumerate() {
                        let caller = CALLERS[(nth as usize + i) % CALLERS.len()];
                        // All scenes meet all faults and callers, but not each at each call.
                        let scene = (nth as usize / CALLERS.len() + i) % SCENES.len();
                        if nth <= calls[scene] {
                            one(made, nth, fault, caller, SCENES[scene]);
                        }
                    }
                }
            });
        }
    });
}

fn one(made: Made, nth: u32, fault: Fault, caller: Caller, scene: Scene) {
    let bench = Bench::new();
    let disk = small_disk(&bench);
    let story = format!("{made:?}, call {nth}: {fault:?}, the caller {caller:?}, {scene:?}");
    scene.set(&bench);
    bench.sim.fault(Rule { call: "*".into(), nth, times: 1, fault });
    let life = Life { bench: &bench, connector: bench.connect(), caller, scene, made };
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| life.run(&disk)));
    if let Err(panic) = lived {
        eprintln!("{story}");
        std::panic::resume_unwind(panic);
    }
}
