//! What layers did to lists: any bytes as the list, and any as what was done to it, are merged or refused; and what is
//! made by the rule itself goes through.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shale_volume::known::Known;
use shale_volume::merge::{Terms, rule};

const PATHS: [&[u8]; 10] = [
    b"etc/passwd",
    b"etc/group",
    b"etc/subuid",
    b"etc/shells",
    b"etc/environment",
    b"etc/ld.so.cache",
    b"var/lib/dpkg/status",
    b"var/lib/dpkg/diversions",
    b"var/lib/dpkg/statoverride",
    b"var/lib/dpkg/alternatives/editor",
];

fuzz_target!(|input: (u8, &[u8], &[u8], &[u8])| {
    let (path, origin, now, onto) = input;
    let rule = rule(Known::Ext, PATHS[usize::from(path) % PATHS.len()]).expect("each has one");
    let _ = rule.merge(onto.into(), now, &mut Terms::default());
    if let Ok(difference) = rule.difference(origin, now, None)
        && !difference.is_empty()
    {
        let _ = rule.merge(onto.into(), &difference, &mut Terms::default());
    }
});
