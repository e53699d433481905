//! Compiles the C of `shale-files` with all checks and counters for the targets `files_ext` and `files_ntfs`, and links it, and the
//! two libraries it calls, to these only. Needs clang: what counts steps has to fit libFuzzer.

use std::path::{Path, PathBuf};

fn main() {
    let folder = Path::new("../crates/volume/c");
    let sources = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut sources: Vec<PathBuf> =
        sources.filter(|path| path.extension().is_some_and(|e| e == "c")).collect();
    sources.sort();
    for changed in [folder, Path::new("c")] {
        println!("cargo:rerun-if-changed={}", changed.display());
    }
    let mut build = cc::Build::new();
    build.compiler("clang").std("c11").define("_GNU_SOURCE", None).opt_level(1);
    build.flag("-g").flag("-fno-omit-frame-pointer").cargo_metadata(false);
    build.clone().flag("-fno-sanitize=all").file("c/child.c").compile("child");
    // What C leaves undefined is a trap. Structures of file systems lie at odd places, which every processor here takes.
    build
        .flag("-fsanitize=address,fuzzer-no-link,undefined")
        .flag("-fno-sanitize=alignment")
        .flag("-fsanitize-trap=undefined");
    build
        .define("_exit", "child_exit")
        .flag("-include")
        .flag("c/section.h")
        .files(sources)
        .compile("shalefiles");
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    for target in ["files_ext", "files_ntfs"] {
        for argument in ["child", "shalefiles"].map(|name| format!("{out}/lib{name}.a")) {
            println!("cargo:rustc-link-arg-bin={target}={argument}");
        }
        for library in ["ext2fs", "com_err", "ntfs-3g"] {
            println!("cargo:rustc-link-arg-bin={target}=-l{library}");
        }
    }
}
