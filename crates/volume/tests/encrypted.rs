//! Files that Windows encrypted for an account (EFS): they stop nothing where they are what they were, and are never taken for what
//! they are not. ntfs-3g writes them as a backup program does; ntfsinfo, ntfsfix and sleuthkit look at what becomes of them.

mod made;

use std::fs::File;
use std::sync::Arc;

use made::guest::{captured, composed, copy, edit, layer, taken_away};
use made::{Image, MIB, Made, changed_blocks, go_on, info, output, program, record, run};
use shale_disk::ErrorKind;
use shale_volume::capture::layer_of;
use shale_volume::changes::Changes;
use shale_volume::compose::compose;
use shale_volume::tree::Tree;

const SECRET: &str = "Profiles/me/secret.txt";
/// What begins as an ordinary file, of a form that can become an encrypted one.
const PLAIN: &str = "Profiles/me/plain.txt";

/// The words of scripts. `encrypt` says of a file that its bytes are encrypted ones: whole sectors, and behind them how many bytes
/// of the last one do not count.
const WORDS: &str = r#"set -e
ntfs-3g -o efs_raw,no_detach "$0" "$1" &
until mountpoint -q "$1"; do kill -0 $!; sleep 0.02; done
cd "$1"
keys() { printf 0x5400000000000000%02x $1; printf '%0150d' 0; }
encrypt() { setfattr -n system.ntfs_efsinfo -v "$(keys ${2:-1})" "$1"; }
bytes() { yes "$2" | head -c 8192 >"$1"; printf '\1\0' >>"$1"; }
secret() { bytes "$1" "$2"; encrypt "$1" $3; }
"#;

/// Has ntfs-3g change an image, and waits until it has written everything.
fn windows(image: &Image, script: &str) {
    let drive = image.folder.path().join("drive");
    std::fs::create_dir_all(&drive).unwrap();
    let script = format!("{WORDS}{script}\ncd /; umount \"$1\"; wait");
    let (path, drive) = (image.path(), drive.to_str().unwrap().to_owned());
    run("unshare", &["--mount", "sh", "-c", &script, path.to_str().unwrap(), &drive]);
    image.judge();
}

fn os() -> Image {
    let image = Image::new(Made::Ntfs, 24 * MIB, None);
    edit(&image, |guest| guest.put("Windows/System32/kernel32.dll", "kernel"));
    windows(
        &image,
        "mkdir -p Profiles/me marked; secret Profiles/me/secret.txt one; bytes Profiles/me/plain.txt two; encrypt marked",
    );
    image
}

fn machine(os: &Image, script: &str) -> Image {
    let now = copy(os);
    windows(&now, script);
    now
}

/// What lies on the disk as the content of a file.
fn raw(image: &Image, path: &str) -> Vec<u8> {
    output("icat", &["-f", "ntfs", image.path().to_str().unwrap(), &record(image, path)]).stdout
}

/// Whether it, or for a folder what is new in it, is encrypted.
fn is_encrypted(image: &Image, path: &str) -> bool {
    let told = info(image, path);
    // Of the record itself; what lies in a folder is told behind it.
    told.lines().find(|line| line.contains("File attributes:")).unwrap().contains("ENCRYPTED")
}

/// Why no layer is made of it.
fn refusal(os: &Image, now: &Image) -> String {
    let changed = changed_blocks(os, now);
    let file = File::create(now.folder.path().join("layer")).unwrap();
    let made = layer_of(&program(), os.disk(), now.disk(), Some(&changed), "", file, go_on());
    let e = made.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
    e.to_string()
}

#[test]
fn one_that_is_what_it_was_is_in_no_layer_and_stays_where_it_is() {
    let os = os();
    let now = machine(&os, "echo new >Profiles/me/new.txt");
    let (layer, told) = captured("layer", &os, &now, "");
    assert_eq!((told.bytes, told.notes), (4, vec![]));
    let (image, preview) = composed(&os, &[layer]);
    assert_eq!(preview.conflicts.len(), 0);
    assert!(is_encrypted(&image, SECRET) && raw(&image, SECRET) == raw(&os, SECRET));
    assert_eq!(raw(&image, "Profiles/me/new.txt"), b"new\n");
}

#[test]
fn one_that_nothing_was_written_into_stops_nothing() {
    let os = os();
    windows(&os, "truncate -s 8194 Profiles/me/empty.txt; encrypt Profiles/me/empty.txt; mkdir kept");
    let told =
        output("ntfsinfo", &["-v", "-F", "/Profiles/me/empty.txt", os.path().to_str().unwrap()]).stdout;
    assert!(String::from_utf8_lossy(&told).contains("Initialized size:\t 0 (0x0)"));
    assert!(is_encrypted(&os, "Profiles/me/empty.txt"));
    let now = machine(&os, "touch Profiles/me/empty.txt; echo new >Profiles/me/new.txt");
    let (_, told) = captured("app", &os, &now, "");
    assert_eq!(told.notes, Vec::<String>::new());
}

#[test]
fn one_that_is_new_or_changed_is_refused_by_its_path_with_what_to_do() {
    let os = os();
    for (script, path) in [
        ("secret Profiles/me/new.txt one", "Profiles/me/new.txt"),
        ("rm Profiles/me/secret.txt; secret Profiles/me/secret.txt two", SECRET),
        // The same bytes, for another account.
        ("rm Profiles/me/secret.txt; secret Profiles/me/secret.txt one 2", SECRET),
        ("encrypt Profiles/me/plain.txt", PLAIN),
    ] {
        let why = refusal(&os, &machine(&os, script));
        let advice = format!("cipher /d \"C:\\{}\"", path.replace('/', "\\"));
        for text in ["EFS", &format!("moved: '/{path}'."), &advice, "run Shutdown For Finalize again"] {
            assert!(why.contains(text), "{script}: '{text}' is not in: {why}");
        }
    }
    let many = refusal(&os, &machine(&os, "for n in 1 2 3 4 5 6 7 8 9; do secret Profiles/$n one; done"));
    assert!(
        many.contains("'/Profiles/1', '/Profiles/2'") && many.contains("'/Profiles/8' and 1 more."),
        "{many}"
    );
}

#[test]
fn one_that_kept_its_times_is_seen_to_be_changed_by_its_blocks() {
    let (os, now) = (os(), os());
    std::fs::copy(os.path(), now.path()).unwrap();
    let mut files = now.open();
    let node = Tree::read(&mut files, go_on()).unwrap().0[SECRET.as_bytes()].node;
    let place = files.map(node, b"").unwrap().pieces[0].physical;
    drop(files);
    let image = File::options().write(true).open(now.path()).unwrap();
    // Behind its end: that, too, is what it was encrypted to.
    std::os::unix::fs::FileExt::write_all_at(&image, b"X", place + 8191).unwrap();
    assert!(refusal(&os, &now).contains(SECRET));
}

#[test]
fn one_is_moved_removed_and_described_anew_without_its_content() {
    let os = os();
    let hidden = "setfattr -n system.ntfs_attrib -v 0x22000000 Profiles/me/secret.txt";
    for (script, path) in [
        ("mv Profiles/me/secret.txt Profiles/moved.txt", Some("Profiles/moved.txt")),
        ("mv Profiles/me Profiles/you", Some("Profiles/you/secret.txt")),
        ("rm Profiles/me/secret.txt", None),
        (hidden, Some(SECRET)),
        // As a program does that defragments: the same bytes, elsewhere.
        (
            "bytes filler three; mv Profiles/me/secret.txt x; rm x; bytes more four; secret Profiles/me/secret.txt one",
            Some(SECRET),
        ),
    ] {
        let now = machine(&os, script);
        let (image, _) = composed(&os, &[layer("layer", &os, &now)]);
        let found = names(&image);
        assert_eq!(
            found.contains("secret.txt") || found.contains("moved.txt"),
            path.is_some(),
            "{script}: {found}"
        );
        let Some(path) = path else { continue };
        assert!(is_encrypted(&image, path) && raw(&image, path) == raw(&os, SECRET), "{script}");
        assert_eq!(info(&image, path).contains("HIDDEN"), script == hidden);
    }
}

/// The names that are in use, as sleuthkit lists them.
fn names(image: &Image) -> String {
    run("fls", &["-f", "ntfs", "-r", "-p", "-u", image.path().to_str().unwrap()])
}

#[test]
fn an_ordinary_file_takes_the_place_of_an_encrypted_one() {
    let os = os();
    for size in [10, 8191] {
        let script = format!("rm Profiles/me/secret.txt; yes open | head -c {size} >Profiles/me/secret.txt");
        let now = machine(&os, &script);
        let (image, _) = composed(&os, &[layer("layer", &os, &now)]);
        assert!(!is_encrypted(&image, SECRET) && !info(&image, SECRET).contains("$EFS"));
        let text = raw(&image, SECRET);
        assert!(text.len() == size && text.starts_with(b"open\nopen\n"));
    }
}

#[test]
fn a_folder_in_which_windows_encrypts_is_an_ordinary_one_in_a_layer_and_stays_marked_in_the_system() {
    let os = os();
    let script = "mkdir Profiles/vault; encrypt Profiles/vault; echo new >Profiles/vault/a.txt; encrypt Profiles/me; echo new >marked/b.txt";
    let (layer, told) = captured("layer", &os, &machine(&os, script), "");
    let noted: Vec<bool> = ["'/Profiles/me'", "'/Profiles/vault'"]
        .iter()
        .zip(&told.notes)
        .map(|(path, note)| note.contains(path))
        .collect();
    assert_eq!((noted, told.notes.len()), (vec![true, true], 2), "{:?}", told.notes);
    let (image, _) = composed(&os, &[layer]);
    assert!(!is_encrypted(&image, "Profiles/vault") && !is_encrypted(&image, "Profiles/me"));
    assert!(is_encrypted(&image, "marked") && !is_encrypted(&image, "marked/b.txt"));
}

#[test]
fn a_layer_writes_nothing_into_one_that_a_newer_system_has_encrypted() {
    let os = os();
    let changed = layer("layer", &os, &machine(&os, "echo more >>Profiles/me/plain.txt"));
    let newer = machine(&os, "encrypt Profiles/me/plain.txt");
    let changes = Arc::new(Changes::new(newer.disk(), newer.folder.path()).unwrap());
    let e = compose(&program(), &changes, &[changed], go_on()).unwrap_err();
    let why = format!("{e}: {}", std::error::Error::source(&e).unwrap());
    assert!(why.contains(PLAIN) && why.contains("encrypted with EFS") && why.contains("cipher /d"), "{why}");
}

#[test]
fn a_version_of_the_system_without_its_platform_layer_has_it_as_it_was() {
    let os = os();
    let platform = layer("platform", &os, &machine(&os, "echo tools >tools.txt"));
    let (given, _) = composed(&os, std::slice::from_ref(&platform));
    let now = machine(&given, "echo new >Profiles/me/new.txt");
    let (image, _) = taken_away(&os, &platform, &given, &now);
    assert!(is_encrypted(&image, SECRET) && raw(&image, SECRET) == raw(&os, SECRET));
    let names = names(&image);
    assert!(names.contains("new.txt") && !names.contains("tools.txt"), "{names}");
}

#[test]
fn its_content_is_not_read() {
    let os = os();
    let mut files = os.open();
    let node = Tree::read(&mut files, go_on()).unwrap().0[SECRET.as_bytes()].node;
    let map = files.map(node, b"").unwrap();
    assert_eq!((map.direct, map.size, map.pieces[0].length), (false, 8191, 8192));
    let e = files.read(node, b"", &map, 0, &mut [0; 100]).unwrap_err();
    assert!(e.to_string().contains("encrypted with EFS"), "{e}");
}
