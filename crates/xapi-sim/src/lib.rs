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
