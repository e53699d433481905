//! Starting and stopping VMs. The state in the database follows the process in QEMU, if there is one.
//!
//! ```text
//!   Halted ─start─▶ Running ◀─unpause/pause─▶ Paused
//!      ▲               │
//!      └── shutdown, or the guest powers itself off
//! ```

use super::{host, vbd, vdi, vm};
use crate::database::Database;
use crate::failure::{Failure, Reply};
use crate::machine::{Drive, Event, Forward, Machine, Settings};
use crate::pool::{Pool, lock};
use crate::rpc::{Handler, Request};
use crate::value::{NULL, Record, Value};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// In a VM's `other_config`: which ports lead into the guest. The one thing that no real server knows.
const FORWARDS: &str = "xapi-sim:forward";
/// How long a guest with tools may take to shut down when it is asked to.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(120);

pub(super) const CALLS: &[(&str, Handler)] = &[
    ("VM.start", |request| start(request, request.text(0), NULL, request.flag(1))),
    ("VM.start_on", |request| start(request, request.text(0), request.text(1), request.flag(2))),
    ("VM.pause", pause),
    ("VM.unpause", unpause),
    ("VM.clean_shutdown", clean_shutdown),
    ("VM.clean_reboot", clean_reboot),
    ("VM.shutdown", |request| clean_shutdown(request).or_else(|_| hard_shutdown(request))),
    ("VM.hard_shutdown", hard_shutdown),
    ("VM.hard_reboot", hard_reboot),
    ("VM.power_state_reset", power_state_reset),
];

/// A running process; the number tells it from an earlier one of the same VM.
pub struct Running {
    number: u64,
    /// The process.
    pub machine: Machine,
}

/// Fails unless the VM is in one of these states (lower case, as failures name them).
pub fn must_be(db: &Database, vm: &str, states: &[&str]) -> Reply<()> {
    let state = db.text("VM", vm, "power_state")?.to_lowercase();
    if states.contains(&state.as_str()) {
        return Ok(());
    }
    Err(Failure::new("VM_BAD_POWER_STATE", [vm, &states.join(", "), &state]))
}

/// Fails if the disk of a device is somebody else's now.
pub fn may_attach(db: &Database, vbd: &str) -> Reply<()> {
    let disk = db.text("VBD", vbd, "VDI")?;
    let writes = db.text("VBD", vbd, "mode")? == "RW";
    vdi::must_have_data(db, &disk)?;
    let others = vdi::attachments(db, &disk);
    if others.iter().any(|other| *other || writes) {
        return Err(Failure::new("VDI_IN_USE", [&disk, "attach"]));
    }
    Ok(())
}

fn start(request: &Request, vm: &str, wished: &str, paused: bool) -> Reply {
    let pool = &request.pool;
    let (devices, srs, affinity) = check(&pool.db(), vm)?;
    let wished = if wished == NULL { &affinity } else { wished };
    let host = host::choose(pool, wished, &srs)?;
    // Devices are attached first: from now on nobody else gets the disks.
    let mut attached = Vec::new();
    for device in &devices {
        let mut db = pool.db();
        let result = may_attach(&db, device).and_then(|()| vbd::set_attached(&mut db, device, true));
        drop(db);
        if let Err(failure) = result {
            detach(&mut pool.db(), &attached);
            return Err(failure);
        }
        attached.push(device.clone());
    }
    let started = if pool.config.machines { launch(pool, vm, paused) } else { Ok(()) };
    if let Err(failure) = started {
        detach(&mut pool.db(), &attached);
        return Err(failure);
    }
    running(pool, vm, &host, paused)?;
    if pool.config.machines && machine(pool, vm).is_none() {
        halted(pool, vm); // it ended before anybody knew that it ran
    }
    Ok(Value::Void)
}

fn detach(db: &mut Database, devices: &[String]) {
    for device in devices {
        let _ = vbd::set_attached(db, device, false); // it was just attached
    }
}

/// Whether a VM may start; its devices with a disk, the SRs of those, and the host it likes.
fn check(db: &Database, vm: &str) -> Reply<(Vec<String>, Vec<String>, String)> {
    if db.field("VM", vm, "is_a_template")?.is_true() {
        return Err(Failure::new("VM_IS_TEMPLATE", [vm, "start"]));
    }
    must_be(db, vm, &["halted"])?;
    let boot = db.field("VM", vm, "HVM_boot_params")?;
    let firmware = boot.member("firmware").map_or("bios", Value::text);
    if !["bios", "uefi"].contains(&firmware) {
        return Err(Failure::invalid_value("HVM_boot_params['firmware']", firmware));
    }
    let mut devices = db.with("VBD", "VM", vm);
    devices.retain(|device| db.text("VBD", device, "VDI").is_ok_and(|disk| disk != NULL));
    let mut srs = Vec::new();
    for device in &devices {
        let disk = db.text("VBD", device, "VDI")?;
        srs.push(db.text("VDI", &disk, "SR")?);
    }
    Ok((devices, srs, db.text("VM", vm, "affinity")?))
}

/// Notes that a VM runs.
fn running(pool: &Pool, vm: &str, host: &str, paused: bool) -> Reply<()> {
    static DOMAINS: AtomicU64 = AtomicU64::new(1);
    let place = pool
        .addresses
        .get(host)
        .map(|at| at.https.map_or_else(|| format!("http://{}", at.http), |https| format!("https://{https}")));
    let now = Value::Time(pool.clock.now());
    let mut db = pool.db();
    let uuid = Uuid::new_v4().to_string();
    let console = [
        ("location", Value::String(format!("{}/console?uuid={uuid}", place.unwrap_or_default()))),
        ("uuid", Value::String(uuid)),
        ("protocol", "rfb".into()),
        ("VM", vm.into()),
    ];
    db.insert("console", console.map(|(name, value)| (name.to_owned(), value)).into());
    for vif in db.with("VIF", "VM", vm) {
        db.set("VIF", &vif, "currently_attached", true)?;
    }
    let metrics = db.text("VM", vm, "metrics")?;
    if db.has("VM_metrics", &metrics) {
        db.set("VM_metrics", &metrics, "start_time", now)?;
    }
    let flags = Value::string_map([("features", ""), ("vendor", "GenuineIntel")]);
    db.set("VM", vm, "last_boot_CPU_flags", flags)?;
    let domain = DOMAINS.fetch_add(1, Ordering::Relaxed);
    db.set("VM", vm, "domid", i64::try_from(domain).unwrap_or(1))?;
    db.set("VM", vm, "resident_on", host)?;
    db.set("VM", vm, "power_state", if paused { "Paused" } else { "Running" })?;
    vm::allow(&mut db, vm);
    Ok(())
}

/// Notes that a VM is off.
pub fn halted(pool: &Pool, vm: &str) {
    let mut db = pool.db();
    if db.text("VM", vm, "power_state").is_ok_and(|state| state != "Halted") {
        let devices = db.with("VBD", "VM", vm);
        detach(&mut db, &devices);
        for vif in db.with("VIF", "VM", vm) {
            let _ = db.set("VIF", &vif, "currently_attached", false); // it was just found
        }
        db.with("console", "VM", vm).iter().for_each(|console| db.remove("console", console));
        let guest = db.text("VM", vm, "guest_metrics").unwrap_or_default();
        db.remove("VM_guest_metrics", &guest);
        let off =
            [("guest_metrics", Value::null()), ("resident_on", Value::null()), ("domid", Value::Int(-1))];
        for (field, value) in off.into_iter().chain([("power_state", "Halted".into())]) {
            let _ = db.set("VM", vm, field, value); // it exists: its state was just read
        }
        vm::allow(&mut db, vm);
    }
}

/// Starts the process of a VM, whose devices are attached.
fn launch(pool: &Arc<Pool>, vm: &str, paused: bool) -> Reply<()> {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let settings = settings(pool, vm, paused)?;
    let (told, name) = (Arc::downgrade(pool), vm.to_owned());
    let tell = move |event| {
        let Some(pool) = told.upgrade() else { return };
        if let Event::Ended(_) = event {
            let mut machines = lock(&pool.machines);
            if machines.get(&name).is_some_and(|running| running.number == number) {
                let ended = machines.remove(&name);
                drop(machines);
                drop(ended);
                halted(&pool, &name);
            }
        }
    };
    // The lock is kept until the machine is listed: what it tells waits for that.
    let mut machines = lock(&pool.machines);
    let machine = Machine::start(settings, tell).map_err(|e| {
        let cause = std::error::Error::source(&e).map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure::internal(&format!("xenopsd internal error: {e}{cause}"))
    })?;
    machines.insert(vm.to_owned(), Arc::new(Running { number, machine }));
    Ok(())
}

fn settings(pool: &Pool, vm: &str, paused: bool) -> Reply<Settings> {
    let db = pool.db();
    let record = db.get("VM", vm)?;
    let text = |field: &str| record.get(field).map_or("", Value::text).to_owned();
    let boot = record.get("HVM_boot_params").cloned().unwrap_or(Value::Void);
    let of = |class: &str, order: &str| {
        let mut all: Vec<_> = db.with(class, "VM", vm);
        all.sort_by_key(|device| db.text(class, device, order).ok().and_then(|n| n.parse::<u32>().ok()));
        all
    };
    let (mut disks, mut cd): (Vec<Drive>, Option<PathBuf>) = (Vec::new(), None);
    for device in of("VBD", "userdevice") {
        let disk = db.text("VBD", &device, "VDI")?;
        if disk == NULL {
            continue;
        }
        let (sr, uuid) = (db.text("VDI", &disk, "SR")?, db.text("VDI", &disk, "uuid")?);
        let uuid = Uuid::parse_str(&uuid).map_err(|_| Failure::new("UUID_INVALID", ["VDI", &uuid]))?;
        let path = pool.repository(&sr)?.path(uuid);
        match db.text("VBD", &device, "type")?.as_str() {
            "CD" => cd = Some(path),
            _ => disks.push(Drive { path, read_only: db.text("VBD", &device, "mode")? == "RO" }),
        }
    }
    let uuid = text("uuid");
    Ok(Settings {
        name: text("name_label"),
        uuid: Uuid::parse_str(&uuid).unwrap_or_default(),
        memory: u64::try_from(record.get("memory_dynamic_max").map_or(0, Value::int)).unwrap_or(0),
        cpus: u32::try_from(record.get("VCPUs_at_startup").map_or(1, Value::int)).unwrap_or(1),
        uefi: boot.member("firmware").map(Value::text) == Some("uefi"),
        disks,
        cd,
        cd_first: boot.member("order").is_some_and(|order| order.text().starts_with('d')),
        nics: of("VIF", "device").iter().filter_map(|vif| db.text("VIF", vif, "MAC").ok()).collect(),
        forwards: forwards(record.get("other_config").and_then(|other| other.member(FORWARDS))),
        folder: pool.config.state.join("machines").join(uuid),
        paused,
    })
}

/// Reads `2222:22,8080:80`: ports of this host that lead to ports of the guest.
fn forwards(told: Option<&Value>) -> Vec<Forward> {
    let pairs = told.map_or("", Value::text).split(',').filter_map(|pair| pair.split_once(':'));
    let ports =
        pairs.filter_map(|(host, guest)| Some((host.trim().parse().ok()?, guest.trim().parse().ok()?)));
    ports.map(|(host, guest)| Forward { host, guest }).collect()
}

fn machine(pool: &Pool, vm: &str) -> Option<Arc<Running>> {
    lock(&pool.machines).get(vm).cloned()
}

/// Does something to the process of a VM, if it has one.
fn with_machine(pool: &Pool, vm: &str, act: impl Fn(&Machine) -> shale_disk::Result<()>) -> Reply<()> {
    let Some(running) = machine(pool, vm) else { return Ok(()) };
    act(&running.machine).map_err(|e| Failure::internal(&format!("xenopsd internal error: {e}")))
}

fn pause(request: &Request) -> Reply {
    change(request, &["running"], "Paused", Machine::pause)
}

fn unpause(request: &Request) -> Reply {
    change(request, &["paused"], "Running", Machine::resume)
}

fn change(
    request: &Request,
    from: &[&str],
    to: &str,
    act: impl Fn(&Machine) -> shale_disk::Result<()>,
) -> Reply {
    let (pool, vm) = (&request.pool, request.text(0));
    must_be(&pool.db(), vm, from)?;
    with_machine(pool, vm, act)?;
    let mut db = pool.db();
    db.set("VM", vm, "power_state", to)?;
    vm::allow(&mut db, vm);
    Ok(Value::Void)
}

fn must_listen(db: &Database, vm: &str) -> Reply<()> {
    must_be(db, vm, &["running"])?;
    let guest = db.text("VM", vm, "guest_metrics")?;
    if db.has("VM_guest_metrics", &guest) { Ok(()) } else { Err(Failure::new("VM_LACKS_FEATURE", [vm])) }
}

fn clean_shutdown(request: &Request) -> Reply {
    let (pool, vm) = (&request.pool, request.text(0));
    must_listen(&pool.db(), vm)?;
    if machine(pool, vm).is_none() {
        halted(pool, vm);
        return Ok(Value::Void);
    }
    with_machine(pool, vm, Machine::press_power_button)?;
    let until = Instant::now() + SHUTDOWN_PATIENCE;
    loop {
        let db = pool.db();
        let seen = db.generation();
        if db.text("VM", vm, "power_state")? == "Halted" {
            return Ok(Value::Void);
        }
        drop(db);
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || pool.is_stopping() {
            return Err(Failure::new("VM_SHUTDOWN_TIMEOUT", [vm, &SHUTDOWN_PATIENCE.as_secs().to_string()]));
        }
        request.progress(0.0)?;
        pool.wait(seen, left);
    }
}

fn clean_reboot(request: &Request) -> Reply {
    let (pool, vm) = (&request.pool, request.text(0));
    must_listen(&pool.db(), vm)?;
    with_machine(pool, vm, Machine::reset).map(|()| Value::Void)
}

fn hard_shutdown(request: &Request) -> Reply {
    let (pool, vm) = (&request.pool, request.text(0));
    must_be(&pool.db(), vm, &["paused", "suspended", "running"])?;
    cut_power(pool, vm);
    Ok(Value::Void)
}

fn cut_power(pool: &Pool, vm: &str) {
    let running = lock(&pool.machines).remove(vm);
    if let Some(running) = running {
        running.machine.power_off();
    }
    halted(pool, vm);
}

fn hard_reboot(request: &Request) -> Reply {
    let (pool, vm) = (&request.pool, request.text(0));
    must_be(&pool.db(), vm, &["paused", "suspended", "running"])?;
    with_machine(pool, vm, Machine::reset)?;
    let mut db = pool.db();
    db.set("VM", vm, "power_state", "Running")?;
    vm::allow(&mut db, vm);
    Ok(Value::Void)
}

fn power_state_reset(request: &Request) -> Reply {
    request.pool.db().get("VM", request.text(0))?;
    cut_power(&request.pool, request.text(0));
    Ok(Value::Void)
}

/// Puts a medium in the drive of a VM that runs, or takes it out.
pub fn change_medium(pool: &Pool, vm: &str, medium: Option<PathBuf>) -> Reply<()> {
    with_machine(pool, vm, |machine| match &medium {
        Some(path) => machine.insert_cd(path),
        None => machine.eject_cd(),
    })
}

/// A machine that stands still; it runs on when this is dropped.
pub struct Hold(Arc<Running>);

impl Drop for Hold {
    fn drop(&mut self) {
        let _ = self.0.machine.resume(); // it may have ended meanwhile
    }
}

/// Makes the machine that runs off a disk stand still, so that the disk can be copied.
pub fn hold(pool: &Pool, vdi: &str) -> Option<Hold> {
    let db = pool.db();
    let vbds = db.with("VBD", "VDI", vdi).into_iter();
    let vms: Vec<_> = vbds.filter_map(|vbd| db.text("VBD", &vbd, "VM").ok()).collect();
    let runs =
        vms.into_iter().find(|vm| db.text("VM", vm, "power_state").is_ok_and(|state| state == "Running"));
    drop(db);
    let running = machine(pool, &runs?)?;
    running.machine.pause().is_ok().then(|| Hold(running))
}

/// Ends every process, when the simulator ends. What the database says of the VMs is how they are found again.
pub fn end_all(pool: &Pool) {
    let all: Vec<_> = std::mem::take(&mut *lock(&pool.machines)).into_values().collect();
    let ending: Vec<_> =
        all.into_iter().map(|running| thread::spawn(move || running.machine.power_off())).collect();
    for thread in ending {
        let _ = thread.join(); // a panic in it was already told
    }
}

/// After a restart no process is there: every VM but control domains is off, nothing else is attached.
pub fn settle(pool: &Pool) {
    let vms: Vec<String> = {
        let db = pool.db();
        let guests = db.all("VM").filter(|(_, vm)| !vm.get("is_control_domain").is_some_and(Value::is_true));
        guests.map(|(vm, _)| vm.to_owned()).collect()
    };
    vms.iter().for_each(|vm| halted(pool, vm));
    let mut db = pool.db();
    let left: Vec<(String, String)> = db
        .all("VBD")
        .filter(|(_, vbd): &(&str, &Record)| vbd.get("currently_attached").is_some_and(Value::is_true))
        .map(|(reference, vbd)| (reference.to_owned(), vbd.get("VDI").map_or(NULL, Value::text).to_owned()))
        .collect();
    for (vbd, disk) in left {
        db.remove("VBD", &vbd);
        let _ = vdi::allow(&mut db, &disk); // the disk may be gone
    }
}
