//! Types of the data model: read from its words, used to check and convert what clients send.

use super::Facts;
use crate::failure::{Failure, Reply};
use crate::value::{NULL, Record, Value};

/// What a parameter or field may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    String,
    /// A 64-bit integer.
    Int,
    /// A floating point number.
    Float,
    /// True or false.
    Bool,
    /// An instant.
    Time,
    /// One of an enumeration.
    Enum(String),
    /// A reference to an object of a class.
    Ref(String),
    /// The fields of an object of a class.
    Record(String),
    /// A set of one kind.
    Set(Box<Kind>),
    /// A map; keys are strings on the wire whatever the model calls them.
    Map(Box<Kind>),
}

impl Kind {
    /// Reads words such as `(string -> VDI ref set) map`. Words that nothing is served of are strings.
    pub fn parse(words: &str) -> Self {
        if let Some(inner) = words.strip_suffix(" set") {
            return Self::Set(Box::new(Self::parse(inner)));
        }
        if let Some(inner) = words.strip_prefix('(').and_then(|words| words.strip_suffix(") map")) {
            let value = inner.split_once(" -> ").map_or("string", |(_, value)| value);
            return Self::Map(Box::new(Self::parse(value)));
        }
        if let Some(class) = words.strip_suffix(" ref") {
            return Self::Ref(class.to_owned());
        }
        if let Some(class) = words.strip_suffix(" record") {
            return Self::Record(class.to_owned());
        }
        match words.strip_prefix("enum ") {
            Some(name) => Self::Enum(name.to_owned()),
            None => match words {
                "int" => Self::Int,
                "float" => Self::Float,
                "bool" => Self::Bool,
                "datetime" => Self::Time,
                _ => Self::String,
            },
        }
    }

    /// What sets and maps of sets hold in the end.
    pub fn innermost(&self) -> &Self {
        match self {
            Self::Set(inner) | Self::Map(inner) => inner.innermost(),
            other => other,
        }
    }

    /// A value of this kind from the words of the data model, `-` standing for none.
    pub(super) fn default(&self, words: &str) -> Value {
        let unquoted = words.trim_matches('"');
        match self {
            Self::String => Value::string(if words == "-" { "" } else { unquoted }),
            Self::Int => Value::Int(unquoted.parse().unwrap_or_default()),
            Self::Float => Value::Float(unquoted.trim_end_matches('.').parse().unwrap_or_default()),
            Self::Bool => Value::Bool(words == "true"),
            Self::Time => Value::Time("19700101T00:00:00Z".to_owned()),
            Self::Ref(_) => Value::string(NULL),
            Self::Enum(_) => Value::string(if words == "-" { "" } else { unquoted }),
            Self::Set(_) => Value::Set(Vec::new()),
            Self::Map(_) | Self::Record(_) => Value::Map(Record::new()),
        }
    }

    /// What a client sent, as a value of this kind. `name` is the parameter's, for the failure.
    pub fn convert(&self, sent: Value, name: &str) -> Reply {
        let wrong = || Failure::new("FIELD_TYPE_ERROR", [name]);
        Ok(match (self, sent) {
            (Self::String | Self::Ref(_), Value::String(text)) => Value::String(text),
            (Self::Int, Value::Int(number)) => Value::Int(number),
            (Self::Int, Value::String(text)) => Value::Int(text.trim().parse().map_err(|_| wrong())?),
            (Self::Float, Value::Float(number)) => Value::Float(number),
            #[expect(clippy::cast_precision_loss, reason = "a client's timeout or progress, small")]
            (Self::Float, Value::Int(number)) => Value::Float(number as f64),
            (Self::Bool, Value::Bool(truth)) => Value::Bool(truth),
            (Self::Time, Value::Time(text) | Value::String(text)) => Value::Time(text),
            (Self::Enum(kind), Value::String(text)) => {
                let known = Facts::get().enums.get(kind);
                if known.is_some_and(|known| !known.contains(&text)) {
                    return Err(Failure::internal("Failure(\"Unknown tag/contents\")"));
                }
                Value::String(text)
            }
            (Self::Set(inner), Value::Set(items)) => {
                let items = items.into_iter().map(|item| inner.convert(item, name));
                Value::Set(items.collect::<Reply<_>>()?)
            }
            (Self::Map(inner), Value::Map(members)) => {
                let members = members.into_iter().map(|(key, value)| Ok((key, inner.convert(value, name)?)));
                Value::Map(members.collect::<Reply<_>>()?)
            }
            (Self::Record(class), Value::Map(members)) => Value::Map(record(class, members)?),
            _ => return Err(wrong()),
        })
    }
}

/// The fields of a create call, converted; those not of a constructor are ignored, as the real server does.
fn record(class: &str, mut members: Record) -> Reply<Record> {
    let class = Facts::get().class(class);
    if let Some(missing) = class.needed.iter().find(|name| !members.contains_key(*name)) {
        let text = format!("Server_helpers.Dispatcher_FieldNotFound(\"{missing}\")");
        return Err(Failure::internal(&text));
    }
    let mut given = Record::new();
    for field in class.fields.iter().filter(|field| field.in_constructor) {
        if let Some(value) = members.remove(&field.name) {
            given.insert(field.name.clone(), field.kind.convert(value, &field.name)?);
        }
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_kinds() {
        let set = Kind::Set(Box::new(Kind::Ref("VDI".to_owned())));
        assert_eq!(Kind::parse("VDI ref set"), set);
        assert_eq!(Kind::parse("(string -> VDI ref set) map"), Kind::Map(Box::new(set)));
        assert_eq!(Kind::parse("enum vbd_mode"), Kind::Enum("vbd_mode".to_owned()));
        assert_eq!(Kind::parse("VM record"), Kind::Record("VM".to_owned()));
    }

    #[test]
    fn integers_may_be_strings_and_enumerations_are_checked() {
        assert_eq!(Kind::Int.convert("16777216".into(), "n"), Ok(Value::Int(16_777_216)));
        assert_eq!(Kind::Int.convert(Value::Int(3), "n"), Ok(Value::Int(3)));
        assert_eq!(Kind::Int.convert(Value::Bool(true), "n").unwrap_err().code(), "FIELD_TYPE_ERROR");
        let mode = Kind::Enum("vbd_mode".to_owned());
        assert_eq!(mode.convert("RO".into(), "mode"), Ok("RO".into()));
        assert_eq!(mode.convert("XX".into(), "mode").unwrap_err().code(), "INTERNAL_ERROR");
    }

    #[test]
    fn a_create_call_lacking_a_field_is_told_which() {
        let sent =
            Value::map([("SR", "OpaqueRef:x".into()), ("virtual_size", "1".into()), ("type", "user".into())]);
        let failure = Kind::Record("VDI".to_owned()).convert(sent, "args").unwrap_err();
        let text = "Server_helpers.Dispatcher_FieldNotFound(\"sharable\")";
        assert_eq!(failure, Failure::internal(text));
    }
}
