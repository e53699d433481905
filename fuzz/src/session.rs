//! All that is asked of a damaged file system: everything is read, then written to as an input says (`input.rs`).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use shale_disk::{Disk, Result};
use shale_volume::changes::Changes;
use shale_volume::files::{Attributes, Entry, Facts, Files, Filling, Kind, Making};
use shale_volume::known::Known;

use crate::child;
use crate::edits::Damaged;
use crate::images::Image;
use crate::input::{Input, OPERATION};

/// Most entries that are looked at; a circle has more.
const ENTRIES: usize = 400;
/// Most bytes of a stream that are read at once.
const STROKE: u64 = 64 << 10;

/// Does what an input says.
pub fn run(images: &[Arc<Image>], input: &[u8]) {
    let input = Input::read(input);
    let image = &images[usize::from(input.which >> 1) % images.len()];
    let disk = Arc::new(Damaged::new(image.clone(), &input.edits));
    let size = disk.size();
    if matches!(Known::of(&*disk, 0..size), Ok(Known::Fat)) {
        return; // Another program's.
    }
    let program = child::program();
    let opened = if input.which & 1 == 0 {
        Files::open(&program, disk, 0..size)
    } else {
        let changes = Changes::new(disk, Path::new("/tmp")).expect("room for changes");
        Files::open_to_write(&program, Arc::new(changes), 0..size)
    };
    // Errors are fine, and so is a child that the product would have ended.
    if let Ok(files) = opened {
        let mut session = Session { files, found: Vec::new() };
        session.read_all();
        // Nobody writes to what was opened to be read.
        for operation in input.operations.into_iter().filter(|_| input.which & 1 == 1) {
            let _ = session.operate(operation);
        }
        let _ = session.files.close();
    }
    child::judge();
}

struct Found {
    parent: u64,
    name: Vec<u8>,
    entry: Entry,
}

struct Session {
    files: Files,
    found: Vec<Found>,
}

impl Session {
    /// Every folder once, and of every stream its map, its beginning and its end.
    fn read_all(&mut self) {
        let (mut folders, mut seen) = (vec![self.files.root()], BTreeSet::new());
        while let Some(folder) = folders.pop() {
            if self.found.len() > ENTRIES || !seen.insert(folder) {
                continue;
            }
            let listed = self.files.folder(folder).unwrap_or_default();
            let _ = self.read(&listed);
            for (name, entry) in listed {
                if entry.kind == Kind::Folder {
                    folders.push(entry.node);
                }
                self.found.push(Found { parent: folder, name, entry });
            }
        }
    }

    fn read(&mut self, listed: &[(Vec<u8>, Entry)]) -> Result<()> {
        let streams_of = |entry: &'_ Entry| {
            entry.streams.iter().map(|stream| (entry.node, stream.name.clone())).collect::<Vec<_>>()
        };
        let streams: Vec<_> = listed.iter().take(ENTRIES).flat_map(|(_, entry)| streams_of(entry)).collect();
        let asked: Vec<_> = streams.iter().map(|(node, name)| (*node, &name[..])).collect();
        for ((node, name), map) in asked.iter().zip(self.files.maps(&asked)?) {
            let Ok(map) = map else { continue };
            let mut buffer = vec![0; map.size.min(STROKE) as usize];
            let _ = self.files.read(*node, name, &map, 0, &mut buffer);
            let _ = self.files.read(*node, name, &map, map.size - buffer.len() as u64, &mut buffer);
        }
        Ok(())
    }

    /// Node, the folder that names it, its name.
    fn pick(&self, which: u8) -> (u64, u64, &[u8]) {
        match self.found.get(usize::from(which)) {
            Some(found) => (found.entry.node, found.parent, &found.name),
            None => (self.files.root(), self.files.root(), b"lost+found"),
        }
    }

    fn facts(&self, which: u8) -> (Facts, Attributes) {
        let found = self.found.get(usize::from(which));
        found.map(|found| (found.entry.facts, found.entry.attributes.clone())).unwrap_or_default()
    }

    fn operate(&mut self, [what, one, other, how]: [u8; OPERATION]) -> Result<()> {
        let (node, parent, name) = self.pick(one);
        let (name, fresh) = (name.to_vec(), name_of(how));
        let (other_node, other_parent, other_name) = self.pick(other);
        let (other_name, (facts, attributes)) = (other_name.to_vec(), self.facts(other));
        match what % 12 {
            0 | 1 => self.make(node, &fresh, kind_of(other)),
            2 => self.files.link(other_parent, &fresh, node),
            3 => self.files.link(other_node, &fresh, node),
            4 => self.files.remove(parent, &name),
            5 => self.files.describe(node, parent, &facts, &attributes),
            6 => self.fill(node, b"", other, how),
            7 => self.fill(node, b"second", other, how),
            8 => self.files.remove_stream(node, b"second"),
            9 => {
                self.files.remove(other_parent, &other_name)?;
                self.files.link(other_parent, &other_name, node)?;
                self.files.remove(parent, &name)
            }
            10 => self.files.grow().map(drop),
            _ => {
                self.files.folder(node)?;
                self.files.entry(u64::from(other) << (how & 31)).map(drop)
            }
        }
    }

    fn make(&mut self, parent: u64, name: &[u8], kind: Kind) -> Result<()> {
        let node = self.files.make(Making { parent, name, kind: &kind })?;
        let entry = self.files.entry(node)?;
        self.found.push(Found { parent, name: name.to_vec(), entry });
        Ok(())
    }

    fn fill(&mut self, node: u64, stream: &[u8], size: u8, how: u8) -> Result<()> {
        let size = match size & 0xc0 {
            0 => u64::from(size),
            0x40 => u64::from(size & 63) << 12,
            0x80 => u64::from(size & 63) << 15,
            _ => 1 << (size & 63),
        };
        let start = size / 2 / 4096 * 4096;
        let ranges = match how & 3 {
            0 => vec![],
            1 if size < 4 << 20 => vec![start..size],
            _ if size < 4 << 20 => vec![0..size],
            _ => vec![0..4096, start..start + 4096],
        };
        let filling =
            Filling { size, ranges: &ranges, compressed: how & 4 != 0, content: &mut |_, _| Ok(()) };
        self.files.fill(node, stream, filling)
    }
}

fn name_of(how: u8) -> Vec<u8> {
    match how {
        0..8 => vec![b'n'; 255 - usize::from(how)],
        _ => format!("new {how}").into_bytes(),
    }
}

fn kind_of(which: u8) -> Kind {
    match which % 8 {
        0 | 1 => Kind::Folder,
        2 => Kind::Link { target: vec![b'l'; usize::from(which) * 8 + 1] },
        3 => Kind::Characters { major: 1, minor: which.into() },
        4 => Kind::Pipe,
        _ => Kind::File,
    }
}
