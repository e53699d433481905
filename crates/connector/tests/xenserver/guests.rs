//! The conformance suite, with a guest that boots in the simulated pool; and on a real host, where there is one.

use std::os::unix::net::UnixStream;

use serde_json::Value;
use shale_connector::{
    Changes, Check, Connector, Firmware, MachineSpec, Observed, Origin, Power, Result, Tag,
};
use shale_disk::Watch;
use xapi_sim::Sim;

use crate::bench::Bench;
use crate::{conformance, guest};

/// A connector that sees what only the simulator's keeper can: the guest's serial port, its process, its tools.
struct Watched<'a> {
    connector: Box<dyn Connector>,
    sim: &'a Sim,
    machines: std::path::PathBuf,
}

impl Connector for Watched<'_> {
    fn kind(&self) -> &'static str {
        self.connector.kind()
    }
    fn test(&self) -> Vec<Check> {
        self.connector.test()
    }
    fn inventory(&self) -> Result<Vec<Tag>> {
        self.connector.inventory()
    }
    fn ensure_disk(&self, tag: &Tag, spec: &MachineSpec, origin: &Origin, watch: Watch) -> Result<String> {
        self.connector.ensure_disk(tag, spec, origin, watch)
    }
    fn ensure_machine(&self, tag: &Tag, spec: &MachineSpec) -> Result<()> {
        self.connector.ensure_machine(tag, spec)
    }
    fn power_on(&self, tag: &Tag) -> Result<()> {
        self.connector.power_on(tag)
    }
    fn shut_down(&self, tag: &Tag) -> Result<()> {
        let vm = self.sim.named("VM", &self.connector.observe(tag)?.name);
        self.sim.install_tools(&vm);
        self.connector.shut_down(tag)
    }
    fn power_off(&self, tag: &Tag) -> Result<()> {
        self.connector.power_off(tag)
    }
    fn observe(&self, tag: &Tag) -> Result<Observed> {
        let mut seen = self.connector.observe(tag)?;
        if seen.power != Power::Absent {
            let vm = &self.sim.all("VM")[&self.sim.named("VM", &seen.name)];
            seen.serial_log = Some(self.machines.join(vm["uuid"].text()).join("serial.log"));
            seen.pid = u32::try_from(vm["domid"].int()).ok();
        }
        Ok(seen)
    }
    fn open_screen(&self, tag: &Tag) -> Result<UnixStream> {
        self.connector.open_screen(tag)
    }
    fn open_changes(&self, tag: &Tag, watch: Watch) -> Result<Changes> {
        self.connector.open_changes(tag, watch)
    }
    fn remove(&self, tag: &Tag) -> Result<()> {
        self.connector.remove(tag)
    }
}

fn conforms(firmware: Firmware, has_nbd: bool) {
    let bench = Bench::with(|config| config.machines = true);
    if has_nbd {
        bench.add_nbd();
    }
    let template = if firmware == Firmware::Uefi { "Packaging (UEFI)" } else { "Packaging (BIOS)" };
    let scripts = conformance::scripts();
    let scripts: Vec<(&str, &[u8])> = scripts.iter().map(|(name, text)| (*name, text.as_slice())).collect();
    let disk = guest::make_disk(bench.folder.path(), &scripts);
    let serve = guest::serve_command(bench.folder.path(), &disk);
    let connect = || -> Box<dyn Connector + '_> {
        let connector = bench.connect_with(|s| {
            s["template"] = template.into();
            s["memory_mib"] = 256.into();
        });
        Box::new(Watched { connector, sim: &bench.sim, machines: bench.folder.path().join("pool/machines") })
    };
    conformance::run(&connect, &bench.tag, &disk, serve, firmware);
    bench.is_clean(&*bench.connect());
}

#[test]
fn a_bios_machine_conforms_with_changed_blocks_by_nbd() {
    conforms(Firmware::Bios, true);
}

#[test]
fn a_uefi_machine_conforms_with_vhd_differences() {
    conforms(Firmware::Uefi, false);
}

/// The settings of a real pool, if the environment tells one: `XAPI_URL`, `XAPI_USER`, `XAPI_PASSWORD`, `XAPI_SR`,
/// `XAPI_TEMPLATE`, and `XAPI_FINGERPRINT` where its certificate is not signed by a known authority.
fn real_pool() -> Option<Value> {
    let told = |name: &str| std::env::var(name).unwrap_or_default();
    let url = std::env::var("XAPI_URL").ok()?;
    Some(serde_json::json!({
        "address": url,
        "allow_plain_http": url.starts_with("http://"),
        "user": told("XAPI_USER"),
        "password": told("XAPI_PASSWORD"),
        "fingerprint": told("XAPI_FINGERPRINT"),
        "template": told("XAPI_TEMPLATE"),
        "storage_repository": told("XAPI_SR"),
    }))
}

/// Where no guest can be relied on, the suite writes into the disk itself: a pool takes sparse uploads into any disk
/// that no machine uses. Runs on a real pool if the environment tells one, else on the simulated one.
#[test]
fn a_machine_conforms_whose_disk_is_written_from_outside() {
    let bench = Bench::new();
    let settings = real_pool().unwrap_or_else(|| bench.settings());
    let folder = bench.folder.path().join("connector");
    let connect = || shale_connector::open("xenserver", &settings, &folder).unwrap();
    let disk = bench.disk();
    let random = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    let tag = Tag::parse(random.trim()).unwrap();
    conformance::run_without_guest(&connect, &tag, &disk.path, &|offset, bytes| {
        crate::outside::write(&settings, &tag, offset, bytes);
    });
    connect().trim(&|_| false).unwrap();
    connect().disconnect();
}
