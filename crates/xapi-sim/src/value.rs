//! A value of the XenAPI, as the database keeps it and as calls take and give it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The reference to nothing.
pub const NULL: &str = "OpaqueRef:NULL";

/// The fields of one object, by name.
pub type Record = BTreeMap<String, Value>;

/// One value. References and the names of enumerations are strings, as on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// Nothing: what a call without a result gives.
    Void,
    /// Text, a reference, or one of an enumeration.
    String(String),
    /// A 64-bit integer.
    Int(i64),
    /// A number of references: the one integer that XML-RPC carries as `<i4>`.
    Count(i64),
    /// A floating point number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// An instant, as `20261122T14:37:44Z`.
    Time(String),
    /// Values of one type. The order is not meaningful but kept.
    Set(Vec<Value>),
    /// Values by name.
    Map(Record),
}

impl Value {
    /// A string.
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// The reference to nothing.
    pub fn null() -> Self {
        Self::string(NULL)
    }

    /// A set of strings.
    pub fn strings<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::Set(texts.into_iter().map(Self::string).collect())
    }

    /// A map of anything by name.
    pub fn map<K: Into<String>>(members: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// A map of strings by name.
    pub fn string_map<K: Into<String>, V: Into<String>>(members: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::map(members.into_iter().map(|(name, value)| (name, Self::string(value))))
    }

    /// The text of a string, a reference or an instant; empty for anything else.
    pub fn text(&self) -> &str {
        match self {
            Self::String(text) | Self::Time(text) => text,
            _ => "",
        }
    }

    /// The integer; 0 for anything else.
    pub fn int(&self) -> i64 {
        match self {
            Self::Int(number) | Self::Count(number) => *number,
            _ => 0,
        }
    }

    /// Whether it is `true`.
    pub fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    /// The values of a set; none for anything else.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::Set(items) => items,
            _ => &[],
        }
    }

    /// The member of a map with this name, if this is a map that has one.
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(members) => members.get(name),
            _ => None,
        }
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}
