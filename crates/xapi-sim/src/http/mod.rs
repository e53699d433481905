//! The web server of a host: HTTP/1.1 on plain sockets, a thread for each connection, because what the real one does
//! wrong on the wire must be done here too.
//!
//! ```text
//!   listener ──▶ connection ──▶ request ─┬─ POST …                 ──▶ rpc
//!                  (TLS or not)          ├─ PUT /import_raw_vdi    ──▶ transfers
//!                                        ├─ GET /export_raw_vdi    ──▶ transfers
//!                                        └─ CONNECT /console       ──▶ a VM's screen
//! ```

mod connection;
mod listener;
mod request;
mod response;
mod routes;

pub use connection::Connection;
pub use listener::{Connections, Listener};
pub use request::Request;
pub use response::{escaped, failed_page, page, transfer_head};
