//! A XenServer that is not there: it speaks the real wire protocol, for tests and try-outs.
//!
//! ```text
//!   http ──▶ wire ──▶ rpc ──▶ calls ──┬──▶ database     objects, events
//!     │               facts, fault    ├──▶ storage      what lies in disks
//!     └──────▶ transfers ─────────────┴──▶ machine      VMs as QEMU processes
//!                 └─▶ transfer, console, nbd            bytes in and out
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`facts`] | the XenAPI as a table: classes, fields, messages, parameters, roles |
//! | [`wire`] | XML-RPC and JSON-RPC |
//! | [`http`] | connections, TLS, requests, replies |
//! | [`rpc`] | from a call to its reply: count, session, types, role |
//! | [`calls`] | what each message does |
//! | [`database`] | all objects, their relations, what changed since when |
//! | [`transfers`] | disks and consoles over HTTP, with the real server's traps |
//! | [`storage`], [`transfer`], [`machine`], [`console`], [`nbd`] | disks and machines; they know no call |
//! | [`fault`] | what is to go wrong |
//! | [`pool`], [`seed`], [`sim`] | what the hosts share, the pool at the first start, all of it running |
//!
//! `xapi-sim --listen 127.0.0.1:8080 --tls 8443 --state FOLDER` starts one: the coordinator there, the other host on the
//! same ports of 127.0.0.2 (`--member`). `root` and one user for each role (`read-only` … `pool-admin`) log in with
//! `password`. Everything is kept in the folder; remove it to begin anew. `--faults FILE` makes things go wrong:
//!
//! ```json
//! [{ "call": "Async.VM.start", "nth": 2, "fault": "lose_reply" },
//!  { "call": "PUT /import_raw_vdi", "times": 3, "fault": { "cut": 1048576 } }]
//! ```
//!
//! VMs run in QEMU, off the raw files of their disks; `other_config:xapi-sim:forward=2222:22` of a VM leads a port of this
//! host into the guest. In tests, [`Sim::start`] runs a whole pool in the process, on any free ports, without QEMU unless
//! asked for.
//!
//! What a real pool would say differently: a host that left is gone, it does not become a pool of its own; the
//! certificate is one for all hosts; ports are in every URL, since no simulator should need 80 and 443.
//!
//! It is judged by recordings of a real server, by the published data model and by clients that others wrote, and it
//! shares no code with any client of ours. What it must not be used for: anything that has to be kept.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod calls;
pub mod clock;
mod config;
pub mod console;
pub mod database;
mod exports;
pub mod facts;
pub mod failure;
pub mod fault;
pub mod http;
pub mod machine;
pub mod nbd;
pub mod pool;
pub mod rpc;
mod save;
pub mod seed;
mod sim;
pub mod storage;
mod tls;
pub mod transfer;
pub mod transfers;
pub mod value;
pub mod wire;

pub use config::{Config, User};
pub use fault::{Fault, Rule};
pub use seed::names;
pub use sim::{Error, Result, Sim};
