//! A CD made of files: ISO 9660 with Joliet, one folder, as every guest reads it without help.
//!
//! ```text
//!   sector 0   system area, empty                 each sector 2,048 bytes
//!         16   primary volume descriptor          plain names: SETUP001.EXE;1
//!         17   supplementary, of Joliet           names as they are, in UCS-2: setup for Windows.exe;1
//!         18   end of the descriptors
//!      19-22   path tables: primary and Joliet, each little- and big-endian
//!         23   the folder, primary; the folder, Joliet
//!          …   the files, each from a sector's start; one of 4 GiB or more is several extents
//! ```
//!
//! Numbers stand twice in most places, little- and big-endian. Sources: ECMA-119 (ISO 9660), Joliet Specification 1.0.

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes of a sector.
const SECTOR: u64 = 2048;
/// Sector of the first folder.
const FOLDERS: u32 = 23;
/// Largest extent: a length is 32 bits, and all but the last must fill their sectors.
const EXTENT: u64 = 0xffff_f800;
/// Longest Joliet name, in UCS-2 characters, with its version.
const NAME: usize = 64;
/// What the guest shows as the CD's name.
const LABEL: &str = "SHALE-TOOLS";
/// Most files on one CD: their plain names are told apart by three digits.
pub const MOST: usize = 999;

/// Flags of a folder's entry.
const IS_FOLDER: u8 = 0x02;
const GOES_ON: u8 = 0x80;

/// A file that goes on the CD.
pub struct Source {
    /// Its name; no two are alike.
    pub name: String,
    /// Where its bytes are.
    pub path: PathBuf,
    /// From where on.
    pub offset: u64,
    /// How many.
    pub size: u64,
}

/// Writes a CD. Answers where on it each file begins.
pub fn write(to: &Path, files: &[&Source]) -> io::Result<Vec<u64>> {
    if files.len() > MOST {
        return Err(io::Error::other(format!("a CD takes at most {MOST} files")));
    }
    let layout = Layout::of(files)?;
    let mut out = BufWriter::with_capacity(1 << 20, File::create(to)?);
    out.write_all(&layout.head()?)?;
    for (source, &first) in files.iter().zip(&layout.starts) {
        out.seek(SeekFrom::Start(u64::from(first) * SECTOR))?;
        let mut from = File::open(&source.path)?;
        from.seek(SeekFrom::Start(source.offset))?;
        if io::copy(&mut from.take(source.size), &mut out)? != source.size {
            let text = format!("{} is shorter than it was", source.path.display());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
    }
    let file = out.into_inner().map_err(|e| e.into_error())?;
    file.set_len(u64::from(layout.sectors) * SECTOR)?;
    file.sync_all()?;
    Ok(layout.starts.iter().map(|&first| u64::from(first) * SECTOR).collect())
}

/// Where everything lies.
struct Layout {
    primary: Folder,
    joliet: Folder,
    /// First sector of each file.
    starts: Vec<u32>,
    sectors: u32,
    at: civil::DateTime,
}

impl Layout {
    fn of(files: &[&Source]) -> io::Result<Self> {
        let too_large = || io::Error::other("the files are too large for one CD");
        let at = Timestamp::now().to_zoned(TimeZone::UTC).datetime();
        let mut primary =
            Folder::new(files.iter().enumerate().map(|(i, file)| plain_name(i, &file.name)).collect());
        let mut joliet = Folder::new(joliet_names(files));
        primary.first = FOLDERS;
        primary.sectors = primary.length(files);
        joliet.first = FOLDERS + primary.sectors;
        joliet.sectors = joliet.length(files);
        let mut next = joliet.first + joliet.sectors;
        let mut starts = Vec::new();
        for file in files {
            starts.push(next);
            let sectors = u32::try_from(file.size.div_ceil(SECTOR)).map_err(|_| too_large())?;
            next = next.checked_add(sectors).ok_or_else(too_large)?;
        }
        Ok(Self { primary, joliet, starts, sectors: next, at })
    }

    /// All before the files.
    fn head(&self) -> io::Result<Vec<u8>> {
        let mut head = vec![0; 16 * SECTOR as usize];
        head.extend(self.descriptor(1, &self.primary, 19, text));
        head.extend(self.descriptor(2, &self.joliet, 21, wide_text));
        head.extend(sector(b"\xffCD001\x01".to_vec()));
        for folder in [&self.primary, &self.joliet] {
            for first in [folder.first.to_le_bytes(), folder.first.to_be_bytes()] {
                let parent = if first == folder.first.to_le_bytes() { [1, 0] } else { [0, 1] };
                head.extend(sector([&[1, 0][..], &first, &parent, &[0, 0]].concat()));
            }
        }
        for folder in [&self.primary, &self.joliet] {
            head.extend(folder.records(&self.starts, self.at));
        }
        Ok(head)
    }

    /// A volume descriptor: ECMA-119, 8.4 and 8.5.
    fn descriptor(
        &self,
        kind: u8,
        folder: &Folder,
        tables: u32,
        text: fn(&str, usize) -> Vec<u8>,
    ) -> Vec<u8> {
        let mut out = vec![kind];
        out.extend(b"CD001\x01\x00");
        out.extend(text("", 32));
        out.extend(text(LABEL, 32));
        out.extend([0; 8]);
        out.extend(both32(self.sectors));
        // What says that names are in UCS-2, level 3.
        out.extend(if kind == 2 { b"%/E" } else { b"\0\0\0" });
        out.extend([0; 29]);
        out.extend([both16(1), both16(1), both16(SECTOR as u16)].concat());
        out.extend(both32(10));
        out.extend(tables.to_le_bytes());
        out.extend([0; 4]);
        out.extend((tables + 1).to_be_bytes());
        out.extend([0; 4]);
        out.extend(folder.own_record(0, self.at));
        // Volume set, publisher, preparer, application; then three names of files.
        for length in [128, 128, 128, 128, 37, 37, 37] {
            out.extend(text("", length));
        }
        let made = self.at.strftime("%Y%m%d%H%M%S00").to_string();
        let never = "0000000000000000";
        for time in [&made, &made, never, never] {
            out.extend(time.as_bytes());
            out.push(0);
        }
        out.push(1);
        sector(out)
    }
}

/// The one folder, in one of the two kinds of names.
struct Folder {
    /// Each file's name on the CD, and its length, in the order of the sources.
    names: Vec<Vec<u8>>,
    sizes: Vec<u64>,
    first: u32,
    sectors: u32,
}

impl Folder {
    fn new(names: Vec<Vec<u8>>) -> Self {
        Self { names, sizes: Vec::new(), first: 0, sectors: 0 }
    }

    /// Sectors that its records take; notes the files' lengths.
    fn length(&mut self, files: &[&Source]) -> u32 {
        self.sizes = files.iter().map(|file| file.size).collect();
        let starts = vec![0; files.len()];
        (self.records(&starts, civil::DateTime::default()).len() as u64 / SECTOR) as u32
    }

    /// The folder's own record: `.` and `..`, and in the descriptor.
    fn own_record(&self, name: u8, at: civil::DateTime) -> Vec<u8> {
        record(&[name], self.first, u64::from(self.sectors) * SECTOR, IS_FOLDER, at)
    }

    /// The folder: records by name, none across two sectors.
    fn records(&self, starts: &[u32], at: civil::DateTime) -> Vec<u8> {
        let mut out = Vec::new();
        let mut push = |record: Vec<u8>| {
            let left = SECTOR as usize - out.len() % SECTOR as usize;
            if record.len() > left {
                out.resize(out.len() + left, 0);
            }
            out.extend(record);
        };
        push(self.own_record(0, at));
        push(self.own_record(1, at));
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        order.sort_by(|&a, &b| self.names[a].cmp(&self.names[b]));
        for i in order {
            let (mut first, mut left) = (starts[i], self.sizes[i]);
            loop {
                let flags = if left > EXTENT { GOES_ON } else { 0 };
                let length = left.min(EXTENT);
                push(record(&self.names[i], first, length, flags, at));
                left -= length;
                first = first.wrapping_add((length / SECTOR) as u32);
                if flags == 0 {
                    break;
                }
            }
        }
        sector(out)
    }
}

/// A record of a folder: ECMA-119, 9.1.
fn record(name: &[u8], first: u32, length: u64, flags: u8, at: civil::DateTime) -> Vec<u8> {
    let mut out = vec![0, 0];
    out.extend(both32(first));
    out.extend(both32(length as u32));
    let year = (at.year() - 1900).clamp(0, 255) as u8;
    out.extend([
        year,
        at.month() as u8,
        at.day() as u8,
        at.hour() as u8,
        at.minute() as u8,
        at.second() as u8,
        0,
    ]);
    out.extend([flags, 0, 0]);
    out.extend(both16(1));
    out.push(name.len() as u8);
    out.extend(name);
    if out.len() % 2 == 1 {
        out.push(0);
    }
    out[0] = out.len() as u8;
    out
}

/// A name for guests that know no Joliet: five letters or digits of the file's own, its number, its ending.
fn plain_name(number: usize, name: &str) -> Vec<u8> {
    let plain = |text: &str, most: usize| -> String {
        let letters = text.chars().filter(char::is_ascii_alphanumeric).take(most);
        letters.collect::<String>().to_ascii_uppercase()
    };
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    format!("{}{:03}.{};1", plain(stem, 5), number + 1, plain(ending, 3)).into_bytes()
}

/// The files' own names in UCS-2, shortened where they are longer than Joliet allows.
fn joliet_names(files: &[&Source]) -> Vec<Vec<u8>> {
    let most = NAME - ";1".len();
    let short = |(i, file): (usize, &&Source)| {
        // What Joliet does not allow and names here may have.
        let name = file.name.replace(';', "_");
        let units = |text: &str| text.encode_utf16().count();
        if units(&name) <= most {
            return name;
        }
        let (stem, ending) = match name.rsplit_once('.') {
            Some((stem, ending)) if ending.len() <= 8 => (stem, format!("~{}.{ending}", i + 1)),
            _ => (name.as_str(), format!("~{}", i + 1)),
        };
        let mut stem = stem.to_owned();
        while units(&stem) + units(&ending) > most {
            stem.pop();
        }
        stem + &ending
    };
    let wide = |name: String| (name + ";1").encode_utf16().flat_map(u16::to_be_bytes).collect();
    files.iter().enumerate().map(short).map(wide).collect()
}

/// Text filled up with blanks.
fn text(text: &str, length: usize) -> Vec<u8> {
    let mut out = text.as_bytes().to_vec();
    out.resize(length, b' ');
    out
}

/// The same in UCS-2; an odd length ends in a zero.
fn wide_text(text: &str, length: usize) -> Vec<u8> {
    let mut out: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    while out.len() + 1 < length {
        out.extend([0, b' ']);
    }
    out.resize(length, 0);
    out
}

fn both32(number: u32) -> Vec<u8> {
    [number.to_le_bytes(), number.to_be_bytes()].concat()
}

fn both16(number: u16) -> Vec<u8> {
    [number.to_le_bytes(), number.to_be_bytes()].concat()
}

/// Filled up to whole sectors.
fn sector(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(SECTOR as usize), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn source(folder: &Path, name: &str, bytes: &[u8]) -> Source {
        let path = folder.join(format!("{}.part", std::fs::read_dir(folder).unwrap().count()));
        std::fs::write(&path, bytes).unwrap();
        Source { name: name.into(), path, offset: 0, size: bytes.len() as u64 }
    }

    /// What libarchive reads from a CD: names, or with one of them its content.
    fn bsdtar(arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("bsdtar").env("LC_ALL", "C.UTF-8").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    #[test]
    fn another_reader_finds_every_file_under_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let long = format!("{}.msi", "a rather long name ".repeat(5).trim());
        let mut files = vec![
            source(folder.path(), "Setup für Windows (64 bit).exe", &[7; 5000]),
            source(folder.path(), "empty", b""),
            source(folder.path(), &long, b"long"),
            source(folder.path(), &long.replace(".msi", "2.msi"), b"long too"),
        ];
        // Enough for a folder of several sectors.
        files.extend((0..200).map(|i| source(folder.path(), &format!("file number {i:03}.txt"), &[i; 3])));
        let part = Source { offset: 2, size: 3, ..source(folder.path(), "part", b"abcdefg") };
        files.push(part);
        let cd = folder.path().join("cd.iso");
        let starts = write(&cd, &files.iter().collect::<Vec<_>>()).unwrap();
        let cd = cd.to_str().unwrap();
        let listed = String::from_utf8(bsdtar(&["-tf", cd])).unwrap();
        let names: Vec<&str> = listed.lines().filter(|name| *name != ".").collect();
        assert_eq!(names.len(), files.len(), "{listed}");
        let expected = |name: &str| files.iter().any(|file| file.name == name) || name.contains('~');
        assert!(names.iter().all(|name| expected(name)), "{listed}");
        assert_eq!(
            names.iter().filter(|name| name.contains('~') && name.ends_with(".msi")).count(),
            2,
            "{listed}"
        );
        for (name, content) in [
            ("Setup für Windows (64 bit).exe", vec![7; 5000]),
            ("empty", vec![]),
            ("file number 123.txt", vec![123; 3]),
            ("part", b"cde".to_vec()),
        ] {
            assert_eq!(bsdtar(&["-xOf", cd, name]), content, "{name}");
        }
        let bytes = std::fs::read(cd).unwrap();
        assert_eq!(&bytes[starts[204] as usize..][..3], b"cde");
        assert_eq!(bytes.len() % 2048, 0);
    }

    #[test]
    fn a_file_beyond_four_gib_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.part");
        let size = (4u64 << 30) + 5;
        let mut file = File::create(&path).unwrap();
        file.set_len(size).unwrap();
        file.seek(SeekFrom::Start(size - 5)).unwrap();
        file.write_all(b"at it").unwrap();
        let files = [&Source { name: "large.bin".into(), path, offset: 0, size }];
        let layout = Layout::of(&files).unwrap();
        let records = layout.joliet.records(&layout.starts, layout.at);
        let name: Vec<u8> = "large.bin;1".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(records.windows(name.len()).filter(|part| *part == name).count(), 2, "two extents");
        let listed = folder.path().join("cd.iso");
        // Its head is enough to be listed; writing zeros out would take a minute.
        let out = File::create(&listed).unwrap();
        (&out).write_all(&layout.head().unwrap()).unwrap();
        out.set_len(u64::from(layout.sectors) * SECTOR).unwrap();
        let told = String::from_utf8(bsdtar(&["-tvf", listed.to_str().unwrap()])).unwrap();
        assert!(told.contains(&size.to_string()), "{told}");
    }

    #[test]
    fn no_files_make_an_empty_cd_and_a_source_that_shrank_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let cd = folder.path().join("cd.iso");
        write(&cd, &[]).unwrap();
        bsdtar(&["-tf", cd.to_str().unwrap()]);
        let shrunk = Source { size: 10, ..source(folder.path(), "a", b"abc") };
        assert_eq!(write(&cd, &[&shrunk]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
