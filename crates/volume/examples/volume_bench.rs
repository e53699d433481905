//! Measures layers: made and applied, on images of file systems. `scripts/bench volume` runs it.
//!
//! ```text
//!   volume_bench capture BASE NOW DELTA      the layer that NOW has more than BASE
//!   volume_bench apply BASE DELTA FOLDER     puts it on BASE: what is written lies in FOLDER, and is durable at the end
//!   volume_bench write BASE DELTA FOLDER     the same, and then writes it into BASE
//!   volume_bench diff BASE DELTA FOLDER      puts it on BASE, and measures making a layer of that again
//! ```
//!
//! `diff` prints lines of figures, divided by tabs: name, figure, unit, basis, most or least, limit.

use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use shale_disk::{Content, Disk, FileDisk, Watch, extents};
use shale_volume::apply::apply;
use shale_volume::capture::{Captured, layer_of};
use shale_volume::changes::Changes;
use shale_volume::files::{Files, Program};
use shale_volume::plan::plan;
use shale_volume::stored::Stored;
use shale_volume::tree::Tree;

const GO_ON: Watch<'static> = &|_| ControlFlow::Continue(());
/// What the kernel counts the time of processes in, by second.
const TICKS: f64 = 100.0;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(|word| Path::new(word.as_str())).collect::<Vec<_>>()[..] {
        [what, base, now, delta] if what == Path::new("capture") => {
            capture(open(base), open(now), None, delta);
        }
        [what, base, delta, folder] => {
            let changes = put(open(base), delta, folder);
            match what.to_str() {
                Some("apply") => sync(folder),
                Some("write") => write(&changes, base),
                Some("diff") => diff(open(base), &changes, folder),
                _ => usage(),
            }
        }
        _ => usage(),
    }
}

fn usage() {
    panic!("usage: volume_bench capture BASE NOW DELTA | apply|write|diff BASE DELTA FOLDER");
}

fn open(path: &Path) -> Arc<dyn Disk> {
    Arc::new(FileDisk::open(path).expect("an image"))
}

/// `shale-files` lies beside the examples' folder.
fn program() -> Program {
    let here = std::env::current_exe().expect("this program");
    let folder = here.ancestors().nth(2).expect("a folder for programs");
    Program::at(folder.join("shale-files"))
}

fn capture(base: Arc<dyn Disk>, now: Arc<dyn Disk>, changed: Option<&[Range<u64>]>, to: &Path) -> Captured {
    let mut options = File::options();
    let file =
        options.read(true).write(true).create(true).truncate(true).open(to).expect("a file for the layer");
    layer_of(&program(), base, now, changed, "", file, GO_ON).expect("a layer")
}

fn put(base: Arc<dyn Disk>, delta: &Path, folder: &Path) -> Arc<Changes> {
    let (delta, mut stored) = Stored::open(open(delta)).expect("a stored layer");
    let changes = Arc::new(Changes::new(base, folder).expect("room for changes"));
    let mut files =
        Files::open_to_write(&program(), changes.clone(), 0..changes.size()).expect("a file system");
    let tree = Tree::read(&mut files, GO_ON).expect("its entries");
    let plan = plan(&[&delta], &tree);
    apply(&mut files, &tree, &plan, &mut [&mut stored], GO_ON).expect("the layer is applied");
    files.close().expect("the file system is whole");
    changes
}

/// Until what lies in `folder`, files without names too, is on the disk.
fn sync(folder: &Path) {
    assert!(Command::new("sync").arg("-f").arg(folder).status().expect("sync").success());
}

fn write(changes: &Changes, base: &Path) {
    let file = File::options().write(true).open(base).expect("the image can be written");
    for range in written(changes) {
        for at in range.clone().step_by(1 << 20) {
            let mut bytes = vec![0; (range.end - at).min(1 << 20) as usize];
            changes.read_at(&mut bytes, at).expect("changes");
            file.write_all_at(&bytes, at).expect("the image is written");
        }
    }
}

fn written(changes: &Changes) -> Vec<Range<u64>> {
    let all = extents(changes).map(|extent| extent.expect("changes"));
    all.filter(|extent| extent.content == Content::Data)
        .map(|extent| extent.offset..extent.offset + extent.length)
        .collect()
}

fn diff(base: Arc<dyn Disk>, changes: &Arc<Changes>, folder: &Path) {
    let changed = written(changes);
    let began = processor_time();
    let captured = capture(base, Arc::new(changes.disk()), Some(&changed), &folder.join("again.delta"));
    let took = processor_time() - began;
    println!(
        "diff of {} MB in {} entries, processor time\t{took:.2}\ts\t5\t<=\t1",
        captured.bytes / 1_000_000,
        captured.entries
    );
    println!("memory, diff and apply\t{}\tMB\t300\t<=\t1", peak());
}

/// Seconds of processor of this process and those it waited for, in programs and the kernel.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields: Vec<f64> = stat.split(' ').map(|field| field.parse().unwrap_or(0.0)).collect();
    fields[13..17].iter().sum::<f64>() / TICKS
}

/// The most memory that this process had, in MB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("kB") / 1000
}
