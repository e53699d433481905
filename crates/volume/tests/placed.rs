//! Files of ours in an operating system: there as they were put, and nothing of them once they are taken out.

mod made;

use std::sync::Arc;

use made::guest::{edit, linux, read, text};
use made::{Image, MIB, Made, program};
use shale_volume::changes::Changes;
use shale_volume::exclude::Family;
use shale_volume::placed::{self, Placed, What, put, take_out};

const UNIT: &str = "etc/systemd/system/ours.service";
const LINK: &str = "etc/systemd/system/multi-user.target.wants/ours.service";

fn windows() -> Image {
    let image = Image::new(Made::Ntfs, 24 * MIB, None);
    edit(&image, |guest| guest.put("Windows/System32/kernel32.dll", "kernel"));
    image
}

fn put_all(image: &Image, things: Vec<Placed>) -> Family {
    let changes = Arc::new(Changes::new(image.disk(), image.folder.path()).unwrap());
    let mut found = None;
    put(&program(), &changes, 1_700_000_000, |family, _| {
        found = Some(family);
        Ok(things)
    })
    .unwrap();
    image.take(&changes);
    image.judge();
    found.unwrap()
}

fn taken_out(image: &Image, paths: &[&str]) -> usize {
    let changes = Arc::new(Changes::new(image.disk(), image.folder.path()).unwrap());
    let gone = take_out(&program(), &changes, paths).unwrap();
    image.take(&changes);
    image.judge();
    gone
}

fn file(path: &'static str, text: &str) -> Placed {
    Placed { path, mode: 0o755, what: What::File(text.into()) }
}

#[test]
fn a_file_and_a_link_are_put_into_linux_and_taken_out_again() {
    let image = linux();
    let link = Placed { path: LINK, mode: 0o777, what: What::Link("/etc/systemd/system/ours.service") };
    assert_eq!(put_all(&image, vec![file(UNIT, "[Unit]\n"), link.clone()]), Family::Linux);
    assert_eq!(text(&image, UNIT), "[Unit]\n");
    let path = image.path().to_str().unwrap().to_owned();
    let link_is = made::run("debugfs", &["-R", &format!("stat /{LINK}"), &path]);
    assert!(link_is.contains("symlink") && link_is.contains(UNIT), "{link_is}");
    let unit_is = made::run("debugfs", &["-R", &format!("stat /{UNIT}"), &path]);
    assert!(unit_is.contains("Mode:  0755") && unit_is.contains("User:     0"), "{unit_is}");
    let beginning = placed::read(&program(), &image.disk(), UNIT, 4).unwrap();
    assert_eq!(beginning.as_deref(), Some(&b"[Uni"[..]));
    assert_eq!(placed::read(&program(), &image.disk(), "etc/systemd", 4).unwrap(), None, "a folder");
    // Once more, in place of the one that is there.
    put_all(&image, vec![file(UNIT, "[Unit]\nDescription=other\n"), link]);
    assert_eq!(text(&image, UNIT), "[Unit]\nDescription=other\n");
    assert_eq!(taken_out(&image, &[UNIT, LINK, "no/such/thing"]), 2);
    assert_eq!((read(&image, UNIT), read(&image, LINK)), (None, None));
    assert_eq!(text(&image, "usr/bin/app"), "version one");
}

#[test]
fn a_folder_goes_with_all_that_is_in_it() {
    let image = linux();
    edit(&image, |guest| {
        guest.put("var/lib/ours/run.json", "{}");
        guest.put("var/lib/ours/more/run.jsonl", "lines");
        guest.put("var/lib/theirs", "stays");
    });
    assert_eq!(taken_out(&image, &["var/lib/ours"]), 1);
    assert_eq!(read(&image, "var/lib/ours/run.json"), None);
    assert_eq!(text(&image, "var/lib/theirs"), "stays");
}

#[test]
fn what_is_put_into_windows_is_found_whatever_the_case_of_its_folders() {
    let image = windows();
    assert_eq!(put_all(&image, vec![file("windows/SYSTEM32/ours.exe", "program")]), Family::Windows);
    assert_eq!(text(&image, "Windows/System32/ours.exe"), "program");
    assert_eq!(taken_out(&image, &["WINDOWS/System32/OURS.exe"]), 1);
    assert_eq!(read(&image, "Windows/System32/ours.exe"), None);
}

#[test]
fn what_lies_where_a_folder_should_be_is_told_and_nothing_is_written() {
    let image = linux();
    let changes = Arc::new(Changes::new(image.disk(), image.folder.path()).unwrap());
    let things = vec![file("usr/bin/app/ours", "x")];
    let error = put(&program(), &changes, 0, |_, _| Ok(things)).unwrap_err();
    assert!(error.to_string().contains("'app' is no folder"), "{error}");
    assert_eq!(text(&image, "usr/bin/app"), "version one");
}
