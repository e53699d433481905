//! Our tool in a system that has one already: the one that we left in its version, or one that somebody put there.

use crate::made::{Image, program};
use crate::{linux, windows};
use shale_server::installed::{put_into, taken_out};
use shale_server::tools::Tools;
use shale_volume::placed::read;
use std::fs;

const LINUX: &str = "usr/local/bin/shutdown-for-finalize";
const WINDOWS: &str = "Program Files/Shale/shutdown-for-finalize.exe";

/// The system of `base` after the tool of a server, which has this content, was put into it.
fn with_tool(base: &Image, content: &str) -> Image {
    let server = tempfile::tempdir().unwrap();
    for path in ["guest/linux/shutdown-for-finalize", "guest/windows/shutdown-for-finalize.exe"] {
        let path = server.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let tools = Tools::beside(&server.path().join("shaled"));
    let image = copy(base);
    image.change(|changes| put_into(&program(), changes, &tools).unwrap());
    image
}

fn copy(base: &Image) -> Image {
    let image = Image::empty(0);
    fs::copy(base.path(), image.path()).unwrap();
    image
}

/// What is at a path in the version that is made of a machine with this disk, whose version was `base`.
fn in_version(now: &Image, base: &Image, path: &str) -> Option<Vec<u8>> {
    let scratch = tempfile::tempdir().unwrap();
    let size = now.disk().size();
    let all = std::iter::once(0..size).collect();
    let taken = taken_out(&program(), (now.disk(), base.disk()), all, scratch.path()).unwrap();
    let version = copy(now);
    version.take(&*taken);
    read(&program(), &version.disk(), path, 100).unwrap()
}

#[test]
fn our_tool_that_was_left_in_a_version_is_replaced_and_gone_from_the_next() {
    for (path, base) in [(LINUX, linux::system().ext4()), (WINDOWS, windows::system("", "", "").ntfs())] {
        let left = with_tool(&base, "the tool of last year");
        assert_eq!(in_version(&left, &base, path), None, "it is taken out where it was put");
        let machine = with_tool(&left, "the tool");
        let there = read(&program(), &machine.disk(), path, 100).unwrap();
        assert_eq!(there.as_deref(), Some(&b"the tool"[..]));
        assert_eq!(in_version(&machine, &left, path), None, "{path}");
    }
}

#[test]
fn a_tool_that_somebody_put_there_stays_as_it_is() {
    let base = linux::system().write(&format!("/{LINUX}"), "theirs").ext4();
    let machine = with_tool(&base, "the tool");
    let there = read(&program(), &machine.disk(), LINUX, 100).unwrap();
    assert_eq!(there.as_deref(), Some(&b"theirs"[..]));
    assert_eq!(in_version(&machine, &base, LINUX), there);
}
