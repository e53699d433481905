//! A simulated pool, a connector to it, and a disk that machines start from.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shale_connector::{Changes, Connector, Firmware, MachineSpec, Origin, Power, Result, ServeCommand, Tag};
use shale_disk::{Content, Disk, Extent, FileDisk, extents};
use xapi_sim::{Config, Fault, Rule, Sim};

/// A disk is sent to a host a second time when the first time was to find the host.
pub const UPLOAD: &str = "PUT /import_raw_vdi";
pub const EXPORT: &str = "GET /export_raw_vdi";

pub fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

pub fn id(last: u32) -> Tag {
    Tag::parse(&format!("0198b2c4-0000-7000-8000-{last:012}")).unwrap()
}

/// A simulated pool and a folder for a connector.
pub struct Bench {
    // Before its folder: the pool saves its state when it ends.
    pub sim: Sim,
    pub folder: tempfile::TempDir,
    pub tag: Tag,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path().join("pool"));
        change(&mut config);
        Self { sim: Sim::start(config).unwrap(), folder, tag: id(100) }
    }

    /// Settings that fit, by HTTPS, with the certificate pinned.
    pub fn settings(&self) -> Value {
        json!({
            "address": self.sim.tls_url(),
            "user": "root",
            "password": "password",
            "fingerprint": self.fingerprint(),
            "template": "Packaging (BIOS)",
            "storage_repository": "Shared storage",
        })
    }

    /// SHA-256 of the pool's certificate, as `openssl` tells it.
    pub fn fingerprint(&self) -> String {
        let pem = self.folder.path().join("certificate.pem");
        std::fs::write(&pem, self.sim.certificate()).unwrap();
        let told = std::process::Command::new("openssl")
            .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
            .arg(pem)
            .output()
            .unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        told.trim().split_once('=').unwrap().1.to_owned()
    }

    pub fn connect_with(&self, change: impl FnOnce(&mut Value)) -> Box<dyn Connector> {
        let mut settings = self.settings();
        change(&mut settings);
        shale_connector::open("xenserver", &settings, &self.folder.path().join("connector")).unwrap()
    }

    pub fn connect(&self) -> Box<dyn Connector> {
        self.connect_with(|_| {})
    }

    /// A disk of 64 MiB: some data at its start, in the middle, and in its last sector.
    pub fn disk(&self) -> TestDisk {
        TestDisk::new(
            &self.folder,
            "origin.raw",
            64 << 20,
            &[(0, 300_000, 1), (20 << 20, 5 << 20, 2), ((64 << 20) - 512, 512, 3)],
        )
    }

    /// Makes disk and machine.
    pub fn make(&self, connector: &dyn Connector, disk: &TestDisk) -> Result<String> {
        let spec = spec(disk.disk.size());
        let how = connector.ensure_disk(&self.tag, &spec, &disk.origin(1), &go_on)?;
        connector.ensure_machine(&self.tag, &spec)?;
        Ok(how)
    }

    /// All disks on the pool: (reference, name, whether it is a snapshot).
    pub fn disks(&self) -> Vec<(String, String, bool)> {
        let text = |record: &xapi_sim::value::Record, field: &str| {
            record.get(field).map_or("", |v| v.text()).to_owned()
        };
        let all = self.sim.all("VDI").into_iter();
        all.map(|(vdi, record)| {
            let is_snapshot = record.get("is_a_snapshot").is_some_and(|v| v.is_true());
            (vdi, text(&record, "name_label"), is_snapshot)
        })
        .collect()
    }

    /// The packaging disk on the pool.
    pub fn packaging_disk(&self) -> String {
        let mut found = self.disks().into_iter().filter(|(_, name, snapshot)| name == "tiny" && !snapshot);
        found.next().unwrap().0
    }

    /// The base disks on the pool.
    pub fn base_disks(&self) -> Vec<String> {
        let bases = self.disks().into_iter().filter(|(_, name, _)| name.starts_with("Shale base"));
        bases.map(|(vdi, _, _)| vdi).collect()
    }

    /// The bytes of a disk on the pool.
    pub fn bytes(&self, vdi: &str) -> Vec<u8> {
        std::fs::read(self.sim.disk_file(vdi).unwrap()).unwrap()
    }

    /// Writes into a machine's disk as its guest would.
    pub fn guest_writes(&self, offset: u64, bytes: &[u8]) {
        let file = self.sim.disk_file(&self.packaging_disk()).unwrap();
        File::options().write(true).open(file).unwrap().write_all_at(bytes, offset).unwrap();
    }

    /// The machine's reference.
    pub fn machine(&self) -> String {
        self.sim.named("VM", "tiny")
    }

    /// Lets disks be read by NBD.
    pub fn add_nbd(&self) {
        let purpose = xapi_sim::value::Value::strings(["nbd"]);
        self.sim.set("network", &self.sim.network(), "purpose", purpose);
    }

    pub fn fault(&self, call: &str, nth: u32, fault: Fault) {
        self.sim.fault(Rule { call: call.into(), nth, times: 1, fault });
    }

    /// Waits until the pool has done what was asked of it: a call that was repeated may do its work later.
    pub fn settle(&self) {
        let deadline = Instant::now() + Duration::from_secs(240);
        let is_pending = |task: &xapi_sim::value::Record| task["status"].text() == "pending";
        while self.sim.all("task").values().any(is_pending) {
            assert!(Instant::now() < deadline, "tasks that do not end: {:?}", self.sim.all("task"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Nothing of ours is on the pool but base disks, sessions and what tasks the pool itself forgets.
    pub fn is_clean(&self, connector: &dyn Connector) {
        assert!(connector.inventory().unwrap().is_empty());
        let disks = self.disks();
        assert!(disks.iter().all(|(_, name, _)| name.starts_with("Shale base")), "{disks:?}");
        let of_ours = self.sim.all("VM").into_values().filter(|vm| {
            vm.get("name_label")
                .is_some_and(|name| name.text() == "tiny" || name.text().starts_with("shale "))
        });
        assert_eq!(of_ours.count(), 0);
        let transfers = self.sim.all("task").into_values();
        let transfers =
            transfers.filter(|task| task.get("name_label").is_some_and(|n| n.text().starts_with("Shale ")));
        assert_eq!(transfers.count(), 0, "transfers leave no task");
    }
}

pub fn spec(disk_size: u64) -> MachineSpec {
    MachineSpec { name: "tiny".into(), disk_size, firmware: Firmware::Bios }
}

/// A disk to start from, and its bytes.
pub struct TestDisk {
    pub path: PathBuf,
    pub disk: FileDisk,
}

impl TestDisk {
    /// A sparse file with stretches of bytes: (offset, length, seed).
    pub fn new(folder: &tempfile::TempDir, name: &str, size: u64, parts: &[(u64, usize, u32)]) -> Self {
        let path = folder.path().join(name);
        let file = File::create(&path).unwrap();
        file.set_len(size).unwrap();
        for (offset, length, seed) in parts {
            file.write_all_at(&noise(*length, *seed), *offset).unwrap();
        }
        Self { disk: FileDisk::open(&path).unwrap(), path }
    }

    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }

    pub fn origin(&self, number: u32) -> Origin<'_> {
        Origin { id: id(number), disk: &self.disk, since: &|_| None, total: &|_| {}, serve: no_command() }
    }
}

/// What differs between two files: where both are the same, a hole.
pub struct Difference<'a> {
    pub old: Vec<u8>,
    pub new: &'a TestDisk,
}

impl Disk for Difference<'_> {
    fn size(&self) -> u64 {
        self.new.disk.size()
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> shale_disk::Result<()> {
        self.new.disk.read_at(buf, offset)
    }
    fn extent_at(&self, offset: u64) -> shale_disk::Result<Extent> {
        let length = 4096.min(self.size() - offset);
        let mut now = vec![0; length as usize];
        self.new.disk.read_at(&mut now, offset)?;
        let was = &self.old[offset as usize..][..length as usize];
        let content = match (was == now, now.iter().all(|b| *b == 0)) {
            (true, _) => Content::Hole,
            (false, true) => Content::Zero,
            (false, false) => Content::Data,
        };
        Ok(Extent { offset, length, content })
    }
}

pub fn no_command() -> ServeCommand {
    ServeCommand { program: "/bin/false".into(), args: Vec::new() }
}

/// Bytes that are not zero and do not repeat soon.
pub fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8 | 1
    };
    (0..length).map(|_| next()).collect()
}

/// The stretches of a disk with this content: (offset, length).
pub fn stretches(disk: &dyn Disk, content: Content) -> Vec<(u64, u64)> {
    let all = extents(disk).map(|e| e.unwrap());
    all.filter(|e| e.content == content).map(|e| (e.offset, e.length)).collect()
}

/// The disk as the guest left it: the origin with the changes.
pub fn whole(origin: &[u8], changes: &Changes) -> Vec<u8> {
    let mut bytes = origin.to_vec();
    bytes.resize(changes.disk.size() as usize, 0);
    for extent in extents(&*changes.disk).map(|e| e.unwrap()).filter(|e| e.content != Content::Hole) {
        let range = extent.offset as usize..(extent.offset + extent.length) as usize;
        changes.disk.read_at(&mut bytes[range], extent.offset).unwrap();
    }
    bytes
}

/// Powers the machine on and off, as a guest that works and shuts down.
pub fn run_once(bench: &Bench, connector: &dyn Connector) {
    connector.power_on(&bench.tag).unwrap();
    assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Running);
    bench.sim.guest_powers_off(&bench.machine());
    assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Off);
}
