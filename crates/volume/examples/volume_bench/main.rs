//! Measures layers: made and applied, on images of file systems. `scripts/bench volume` runs it.
//!
//! ```text
//!   volume_bench capture BASE NOW DELTA      the layer that NOW has more than BASE
//!   volume_bench apply BASE DELTA FOLDER     puts it on BASE: what is written lies in FOLDER, and is durable at the end
//!   volume_bench write BASE DELTA FOLDER     composes both, and then writes what came out into BASE
//!   volume_bench diff BASE DELTA FOLDER      puts it on BASE, and measures making a layer of that again
//!   volume_bench entries BASE COUNT FOLDER   makes COUNT files in one folder of BASE, lists and removes them
//!   volume_bench memory BASE DELTA FOLDER    composes both, makes a layer of that again, and measures the memory of each
//!   volume_bench hive FILE before|after      a large registry hive, and the same after a program was installed
//! ```
//!
//! `diff` and `memory` print lines of figures, divided by tabs: name, figure, unit, basis, most or least, limit.

mod hive;
mod memory;

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
use shale_volume::compose::{Layer, compose};
use shale_volume::files::{Attributes, Facts, Files, Kind, Making, New, Program};
use shale_volume::plan::plan;
use shale_volume::stored::Stored;
use shale_volume::tree::Tree;

const GO_ON: Watch<'static> = &|_| ControlFlow::Continue(());
/// What the kernel counts the time of processes in, by second.
const TICKS: f64 = 100.0;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(|word| Path::new(word.as_str())).collect::<Vec<_>>()[..] {
        [what, file, when] if what == Path::new("hive") => hive::make(when == Path::new("after"), file),
        [what, base, now, delta] if what == Path::new("capture") => {
            capture(open(base), open(now), None, delta);
        }
        [what, base, delta, folder] => {
            let put = || put(open(base), delta, folder);
            match what.to_str() {
                Some("apply") => {
                    // What is measured ends when it is on the disk; without a name, it goes with the last who has it open.
                    let changes = put();
                    sync(folder);
                    drop(changes);
                }
                Some("write") => write(&composed(open(base), delta, folder), base),
                Some("diff") => diff(open(base), &put(), folder),
                Some("entries") => entries(open(base), &delta.to_string_lossy(), folder),
                Some("memory") => memory(open(base), delta, folder),
                _ => usage(),
            }
        }
        _ => usage(),
    }
}

fn usage() {
    panic!(
        "usage: volume_bench capture BASE NOW DELTA | apply|write|diff|memory BASE DELTA FOLDER | entries BASE COUNT FOLDER | hive FILE before|after"
    );
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

/// As [`put`], with files that are put together, as the server does it.
fn composed(base: Arc<dyn Disk>, delta: &Path, folder: &Path) -> Arc<Changes> {
    let changes = Arc::new(Changes::new(base, folder).expect("room for changes"));
    let layer = Layer { name: "the layer".to_owned(), delta: open(delta) };
    compose(&program(), &changes, &[layer], GO_ON).expect("it is composed");
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
}

fn memory(base: Arc<dyn Disk>, delta: &Path, folder: &Path) {
    let (changes, most) = memory::peak(|| composed(base.clone(), delta, folder));
    println!("memory, applying\t{most}\tMB\t300\t<=\t1");
    let (now, changed) = (Arc::new(changes.disk()), written(&changes));
    let (_, most) = memory::peak(|| capture(base, now, Some(&changed), &folder.join("again.delta")));
    println!("memory, diff\t{most}\tMB\t300\t<=\t1");
}

/// What one folder with many entries costs: to be made, listed, and emptied in the other order.
fn entries(base: Arc<dyn Disk>, count: &str, folder: &Path) {
    let count: usize = count.parse().expect("a count");
    let changes = Arc::new(Changes::new(base, folder).expect("room for changes"));
    let open =
        || Files::open_to_write(&program(), changes.clone(), 0..changes.size()).expect("a file system");
    let timed = |what: &str, work: &dyn Fn(&mut Files)| {
        let (mut files, began) = (open(), processor_time());
        work(&mut files);
        files.close().expect("the file system is whole");
        println!("{what} {count} entries of one folder\t{:.2} s of processor", processor_time() - began);
    };
    let name = |number: usize| format!("an entry with number {number}").into_bytes();
    let parent = |files: &mut Files| {
        let found =
            files.folder(files.root()).expect("the root").into_iter().find(|(name, _)| name == b"many");
        found.expect("the folder").1.node
    };
    timed("make", &|files| {
        let parent = files.make(Making { parent: files.root(), name: b"many", kind: &Kind::Folder });
        let (parent, facts, none) = (parent.expect("a folder"), Facts::default(), Attributes::new());
        for numbers in (0..count).collect::<Vec<_>>().chunks(64) {
            let names: Vec<Vec<u8>> = numbers.iter().map(|number| name(*number)).collect();
            let new = |name| New {
                making: Making { parent, name, kind: &Kind::File },
                streams: Vec::new(),
                facts: &facts,
                attributes: &none,
            };
            files.make_all(&names.iter().map(|name| new(name)).collect::<Vec<_>>()).expect("files");
        }
    });
    timed("list", &|files| {
        let parent = parent(files);
        assert_eq!(files.folder(parent).expect("its entries").len(), count);
    });
    timed("remove", &|files| {
        let parent = parent(files);
        for number in (0..count).rev() {
            files.remove(parent, &name(number)).expect("a file to remove");
        }
    });
}

/// Seconds of processor of this process and those it waited for, in programs and the kernel.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields: Vec<f64> = stat.split(' ').map(|field| field.parse().unwrap_or(0.0)).collect();
    fields[13..17].iter().sum::<f64>() / TICKS
}
