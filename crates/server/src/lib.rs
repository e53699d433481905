//! `shaled`: where all the other crates meet.
//!
//! ```text
//!   http ──▶ requests ──▶ catalog          what is asked: checked by `model`, reserved, launched
//!     │          └─────▶ engine ──▶ jobs   what is done: steps over the `World`, logged before they act
//!     └──▶ view                            what is shown, with everything that may be done
//!   examine                                what is outstanding on the disk of a machine that is off
//!   access                                  who they are that ask
//!   sweep                                  what belongs to nobody goes
//!   tools                                  Shutdown For Finalize comes into machines
//!   tend                                   machines that people work in are looked after
//!   kit, starter, story                    versions that scripts make: what the machine gets, what starts it, what it tells
//!   timetable                              when schedules are due
//! ```

pub mod access;
pub mod app;
pub mod catalog;
mod cd;
pub mod composition;
mod download;
pub mod engine;
pub mod error;
pub mod examine;
pub mod export_disk;
pub mod feed;
pub mod http;
pub mod installed;
pub mod jobs;
pub mod kit;
pub mod place;
pub mod requests;
mod retention;
pub mod secrets;
mod starter;
mod stored;
mod story;
pub mod sweep;
mod sysprep;
pub mod template;
pub mod tend;
mod timetable;
pub mod tls;
pub mod tools;
mod view;
pub mod world;
