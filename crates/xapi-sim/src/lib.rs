//! A XenServer that is not there: it speaks the real wire protocol, for tests and try-outs.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod facts;
pub mod failure;
pub mod machine;
pub mod nbd;
pub mod storage;
pub mod transfer;
pub mod value;
pub mod wire;
