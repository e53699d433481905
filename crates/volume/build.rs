//! Compiles the C of the program `shale-files` and links it, and the two libraries it calls, to that program only.

fn main() {
    let sources = [
        "wire",
        "device",
        "serve",
        "ext",
        "ext_disk",
        "ext_folder",
        "ext_write",
        "ext_grow",
        "ntfs",
        "ntfs_disk",
        "ntfs_write",
        "ntfs_grow",
    ];
    for name in sources {
        println!("cargo:rerun-if-changed=c/{name}.c");
    }
    for name in ["wire", "files", "ext", "ntfs"] {
        println!("cargo:rerun-if-changed=c/{name}.h");
    }
    cc::Build::new()
        .files(sources.map(|name| format!("c/{name}.c")))
        .std("c11")
        .define("_GNU_SOURCE", None)
        .flag("-fstack-protector-strong")
        .flag_if_supported("-D_FORTIFY_SOURCE=2")
        .opt_level(2)
        .extra_warnings(true)
        .warnings_into_errors(true)
        .cargo_metadata(false)
        .compile("shalefiles");
    let folder = std::env::var("OUT_DIR").unwrap_or_default();
    println!("cargo:rustc-link-arg-bins={folder}/libshalefiles.a");
    for library in ["ext2fs", "com_err", "ntfs-3g"] {
        println!("cargo:rustc-link-arg-bins=-l{library}");
    }
}
