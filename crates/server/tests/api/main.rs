//! The API as clients see it: every endpoint, its refusals, hostile disks, full disks. Every answer is held against the
//! contract (`schema`). Machines are real ones that have nothing to boot; what their guests would write is written
//! into their overlays.

mod access;
mod bad_disks;
mod certificate;
mod connectors;
mod doors;
mod events;
mod examined;
mod full_disks;
mod generalized;
#[path = "../examine/hive.rs"]
mod hive;
mod layered;
mod layering;
mod layers;
mod lists;
mod machine_files;
mod process;
mod rest;
mod retention;
mod roles;
mod schedules;
mod schema;
mod screen;
mod service;
mod templates;
mod tools;
mod uploads;
mod versions;
