//! How calls and replies look on the wire: XML-RPC and both JSON-RPCs.
//!
//! ```text
//!   body ──xml::parse──▶ Call ──(the rest of the simulator)──▶ Reply ──xml::reply──▶ body
//!        ──json::parse─▶                                            ──json::reply─▶
//! ```

pub mod json;
pub mod xml;

use crate::value::Value;

/// A call as it came: nothing is known yet of its types.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// `Class.message` or `Async.Class.message`.
    pub method: String,
    /// Parameters, the session first where the method has one. Integers may still be strings.
    pub parameters: Vec<Value>,
}

/// A body that is no call: the server answers such with HTTP 500 and this text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);
