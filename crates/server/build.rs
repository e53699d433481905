//! Has the program built again when what it holds has changed: the catalog's migrations, of which a new one would go
//! unnoticed; and the console, except in a debug build, which reads the console's folder as it runs, unless the feature
//! `embed-console` says otherwise.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-env-changed=PROFILE");
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if is_release || std::env::var_os("CARGO_FEATURE_EMBED_CONSOLE").is_some() {
        println!("cargo:rerun-if-changed=../../console/dist");
    }
}
