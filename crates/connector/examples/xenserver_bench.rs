//! Measures the `xenserver` connector against a simulated pool in another process. `scripts/bench xenserver` runs it.
//!
//! ```text
//!   xenserver_bench upload FOLDER          20 GB disk with 2 GB of data, turn about with a bare loop of the same request
//!   xenserver_bench changes FOLDER         100 MB changed on 10 GB and 200 GB: bytes moved, by NBD and as a VHD delta
//!   xenserver_bench pool STATE             the other process
//! ```
//!
//! Lines of figures go to stdout, divided by tabs: name, figure, unit, basis, most or least, limit.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::{Value, json};
use shale_connector::{Connector, Firmware, MachineSpec, Origin, ServeCommand, Tag};
use shale_disk::{Content, Disk, FileDisk, extents};
use xapi_sim::{Config, Sim};

const GB: u64 = 1_000_000_000;
const MIB: u64 = 1 << 20;
/// Bytes of data on the disk that is uploaded.
const DATA: u64 = 2 * GB;
/// Stretches of a MiB that the guest changes, and how far apart they are at least.
const STRETCHES: u64 = 96;
/// Rounds of the upload; the median counts.
const ROUNDS: usize = 3;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["pool", state] => pool(Path::new(state)),
        ["upload", folder] => upload(Path::new(folder)),
        ["changes", folder] => changes(Path::new(folder)),
        _ => panic!("usage: xenserver_bench upload|changes FOLDER"),
    }
}

// --- the pool, in a process of its own ---

/// Serves a pool, and does what its standard input says.
fn pool(state: &Path) {
    let config = Config { sr_size: 1 << 40, tls_port: None, ..Config::new(state) };
    let sim = Sim::start(config).expect("the pool starts");
    println!("{}", sim.url());
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match line.as_str() {
            "change" => {
                let disks = sim.all("VDI");
                let is_disk = |vdi: &xapi_sim::value::Record| {
                    vdi["name_label"].text() == "bench" && !vdi["is_a_snapshot"].is_true()
                };
                let (vdi, record) = disks.iter().find(|(_, vdi)| is_disk(vdi)).expect("a packaging disk");
                let file = sim.disk_file(vdi).expect("its file");
                change(&File::options().write(true).open(file).unwrap(), record["virtual_size"].int() as u64);
                sim.guest_powers_off(&sim.named("VM", "bench"));
            }
            other => panic!("{other}?"),
        }
        println!("done");
    }
    sim.stop();
}

/// Where the guest writes: spread over the disk, at the start of no block of 2 MiB.
fn places(size: u64) -> impl Iterator<Item = u64> {
    let apart = (size - 8 * MIB) / STRETCHES / (64 << 10) * (64 << 10);
    (0..STRETCHES).map(move |i| 4 * MIB + (64 << 10) + i * apart)
}

fn change(file: &File, size: u64) {
    let bytes = noise(MIB as usize, 77);
    for place in places(size) {
        file.write_all_at(&bytes, place).unwrap();
    }
}

struct Pool {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    url: String,
}

impl Pool {
    fn start(state: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg("pool")
            .arg(state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = process.stdin.take().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let mut pool = Self { process, stdin, stdout, url: String::new() };
        pool.url = pool.line();
        pool
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn tell(&mut self, word: &str) {
        writeln!(self.stdin, "{word}").unwrap();
        assert_eq!(self.line(), "done");
    }

    fn connect(&self, folder: &Path) -> Box<dyn Connector> {
        let settings = json!({
            "address": self.url, "allow_plain_http": true, "https_transfers": false,
            "user": "root", "password": "password", "template": "Packaging (BIOS)",
            "storage_repository": "Shared storage",
        });
        shale_connector::open("xenserver", &settings, folder).unwrap()
    }

    /// Calls the pool itself.
    fn call(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let mut stream = TcpStream::connect(self.host()).unwrap();
        let head = "POST /jsonrpc HTTP/1.1\r\nhost: pool\r\nconnection: close\r\ncontent-length:";
        write!(stream, "{head} {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Gives its network the purpose that changed blocks are read for.
    fn offer_nbd(&self) {
        let session = self.call("session.login_with_password", json!(["root", "password"]));
        let networks = self.call("network.get_all", json!([session]));
        self.call("network.add_purpose", json!([session, networks[0], "nbd"]));
        self.call("session.logout", json!([session]));
    }

    fn host(&self) -> &str {
        self.url.trim_start_matches("http://").trim_end_matches('/')
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// --- measuring ---

/// A disk with data in stretches of 8 MiB.
fn disk(path: &Path, size: u64, data: u64) -> FileDisk {
    let file = File::create(path).unwrap();
    file.set_len(size).unwrap();
    let stretch = 8 * MIB;
    let count = data / stretch;
    let bytes = noise(stretch as usize, 5);
    for i in 0..count {
        let at = (size / count * i) / MIB * MIB;
        file.write_all_at(&bytes, at).unwrap();
    }
    file.sync_all().unwrap();
    FileDisk::open(path).unwrap()
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 32
    });
    words.flat_map(|word| (word as u32 | 1).to_le_bytes()).take(length).collect()
}

fn id(n: u32) -> Tag {
    Tag::parse(&format!("0198b2c4-0000-7000-8000-{n:012}")).unwrap()
}

fn origin(disk: &dyn Disk, n: u32) -> Origin<'_> {
    let serve = ServeCommand { program: "/bin/false".into(), args: Vec::new() };
    Origin { id: id(n), disk, since: &|_| None, total: &|_| {}, serve }
}

fn spec(disk: &dyn Disk) -> MachineSpec {
    MachineSpec { name: "bench".into(), disk_size: disk.size(), firmware: Firmware::Bios }
}

/// The most memory this process had since the last [`forget_memory`], in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

fn forget_memory() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// All bytes that went over this host's own network, both ways.
fn network() -> u64 {
    let all = std::fs::read_to_string("/proc/net/dev").unwrap();
    let line = all.lines().find(|line| line.trim_start().starts_with("lo:")).unwrap();
    line.split_once(':').unwrap().1.split_whitespace().next().unwrap().parse().unwrap()
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn figure(name: &str, figure: f64, unit: &str, basis: f64, sense: &str, limit: f64) {
    println!("{name}\t{figure:.1}\t{unit}\t{basis:.1}\t{sense}\t{limit}");
}

// --- upload ---

fn upload(folder: &Path) {
    let source = disk(&folder.join("upload.raw"), 20 * GB, DATA);
    let mut pool = Pool::start(&folder.join("pool"));
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let pieces: Vec<(u64, u32)> = pieces(&source);
    let bytes: u64 = pieces.iter().map(|(_, length)| u64::from(*length)).sum();
    let mut most = 0;
    for round in 0..ROUNDS {
        forget_memory();
        ours.push(bytes as f64 / upload_once(&pool, folder, &source, bytes, round as u32));
        most = most.max(memory());
        bare.push(bytes as f64 / bare_loop(&pool, source.size(), &pieces));
    }
    let (ours, bare) = (median(ours) / 1e6, median(bare) / 1e6);
    figure("upload of 2 GB on 20 GB", ours, "MB/s", bare, ">=", 0.9);
    figure("upload: memory", most as f64 / 1e6, "MB", 1.0, "<=", 150.0);
    pool.stdin.flush().unwrap();
    std::fs::remove_file(folder.join("upload.raw")).unwrap();
}

/// The data of a disk in the pieces that the connector sends: cut where a MiB ends.
fn pieces(disk: &dyn Disk) -> Vec<(u64, u32)> {
    let mut pieces = Vec::new();
    for extent in extents(disk).map(Result::unwrap).filter(|extent| extent.content == Content::Data) {
        let mut at = extent.offset;
        while at < extent.offset + extent.length {
            let end = (at / MIB * MIB + MIB).min(extent.offset + extent.length);
            pieces.push((at, (end - at) as u32));
            at = end;
        }
    }
    pieces
}

/// Seconds from the first byte to the last that the connector sends of a new base disk.
fn upload_once(pool: &Pool, folder: &Path, source: &FileDisk, bytes: u64, round: u32) -> f64 {
    let connector = pool.connect(&folder.join("connector"));
    let (sent, first, last) = (AtomicU64::new(0), Mutex::new(None), Mutex::new(None));
    let watch = |more: u64| {
        if more > 0 {
            first.lock().unwrap().get_or_insert(Instant::now());
            if sent.fetch_add(more, Ordering::SeqCst) + more >= bytes {
                last.lock().unwrap().get_or_insert(Instant::now());
            }
        }
        ControlFlow::Continue(())
    };
    let tag = id(100 + round);
    connector.ensure_disk(&tag, &spec(source), &origin(source, round), &watch).unwrap();
    connector.remove(&tag).unwrap();
    connector.trim(&|_| false).unwrap();
    connector.disconnect();
    let (first, last) = (first.into_inner().unwrap(), last.into_inner().unwrap());
    (last.expect("all bytes are told") - first.expect("bytes are told")).as_secs_f64()
}

/// Seconds from the first byte to the last of the same request, sent from a buffer.
fn bare_loop(pool: &Pool, size: u64, pieces: &[(u64, u32)]) -> f64 {
    let session = pool.call("session.login_with_password", json!(["root", "password"]));
    let srs = pool.call("SR.get_by_name_label", json!([session, "Shared storage"]));
    let record = json!({
        "name_label": "bare", "name_description": "", "SR": srs[0], "virtual_size": size.to_string(),
        "type": "user", "sharable": false, "read_only": false, "other_config": {}, "xenstore_data": {},
        "sm_config": {}, "tags": [],
    });
    let vdi = pool.call("VDI.create", json!([session, record]));
    let buffer = noise(MIB as usize, 9);
    let body: u64 = pieces.iter().map(|(_, length)| 12 + u64::from(*length)).sum::<u64>() + 12;
    let mut stream = TcpStream::connect(pool.host()).unwrap();
    let (session_text, vdi_text) = (session.as_str().unwrap(), vdi.as_str().unwrap());
    write!(
        stream,
        "PUT /import_raw_vdi?session_id={session_text}&vdi={vdi_text}&format=raw&chunked=true HTTP/1.1\r\n\
         host: pool\r\ncontent-length: {body}\r\n\r\n"
    )
    .unwrap();
    let mut begun = None;
    for (offset, length) in pieces {
        let mut head = offset.to_le_bytes().to_vec();
        head.extend(length.to_le_bytes());
        stream.write_all(&head).unwrap();
        stream.write_all(&buffer[..*length as usize]).unwrap();
        begun.get_or_insert_with(Instant::now);
    }
    let seconds = begun.expect("pieces").elapsed().as_secs_f64();
    stream.write_all(&[0; 12]).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    pool.call("VDI.destroy", json!([session, vdi]));
    pool.call("session.logout", json!([session]));
    seconds
}

// --- what a finalize moves ---

fn changes(folder: &Path) {
    for size in [10 * GB, 200 * GB] {
        for nbd in [true, false] {
            one_change(folder, size, nbd);
        }
    }
}

fn one_change(folder: &Path, size: u64, nbd: bool) {
    let name = format!("{} GB, {}", size / GB, if nbd { "CBT and NBD" } else { "VHD delta" });
    let source = disk(&folder.join("changes.raw"), size, GB / 2);
    let mut pool = Pool::start(&folder.join(format!("pool-{}-{nbd}", size / GB)));
    if nbd {
        pool.offer_nbd();
    }
    let connector = pool.connect(&folder.join(format!("connector-{}-{nbd}", size / GB)));
    let (tag, spec) = (id(100), spec(&source));
    let go_on = |_: u64| ControlFlow::Continue(());
    connector.ensure_disk(&tag, &spec, &origin(&source, 1), &go_on).unwrap();
    connector.ensure_machine(&tag, &spec).unwrap();
    connector.power_on(&tag).unwrap();
    pool.tell("change");

    forget_memory();
    let (begun, before) = (Instant::now(), network());
    let changes = connector.open_changes(&tag, &go_on).unwrap();
    let wanted = if nbd { "NBD" } else { "VHD" };
    assert!(changes.how.contains(wanted), "{}", changes.how);
    let mut buffer = vec![0; MIB as usize];
    for extent in extents(&*changes.disk).map(Result::unwrap).filter(|e| e.content == Content::Data) {
        let mut at = extent.offset;
        while at < extent.offset + extent.length {
            let length = (extent.offset + extent.length - at).min(MIB) as usize;
            changes.disk.read_at(&mut buffer[..length], at).unwrap();
            at += length as u64;
        }
    }
    let how = changes.how.clone();
    drop(changes);
    let (seconds, moved) = (begun.elapsed().as_secs_f64(), network() - before);
    let block = if nbd { 64 << 10 } else { 2 * MIB };
    let mut touched: Vec<u64> = places(size).flat_map(|at| at / block..=(at + MIB - 1) / block).collect();
    touched.dedup();
    let changed = touched.len() as u64 * block;
    figure(&format!("finalize moves, {name}"), moved as f64 / 1e6, "MB", changed as f64 / 1e6, "<=", 1.2);
    figure(&format!("finalize memory, {name}"), memory() as f64 / 1e6, "MB", 1.0, "<=", 150.0);
    eprintln!("{name}: {seconds:.1} s. {how}");
    connector.remove(&tag).unwrap();
    connector.disconnect();
    drop(pool);
    std::fs::remove_file(folder.join("changes.raw")).unwrap();
    std::fs::remove_dir_all(folder.join(format!("pool-{}-{nbd}", size / GB))).unwrap();
}
