//! Messages that every class has: what they do follows from their names and the table of fields.

use super::Request;
use crate::database::Filter;
use crate::facts::{Class, Field, Kind, Message};
use crate::failure::{Failure, Reply};
use crate::value::{Record, Value};

/// What a message does, taken from its name.
enum Action<'a> {
    GetAll,
    GetAllRecords,
    GetAllWhere,
    GetAllRecordsWhere,
    GetRecord,
    GetByUuid,
    GetByNameLabel,
    Get(&'a Field),
    Set(&'a Field),
    AddTo(&'a Field),
    RemoveFrom(&'a Field),
}

fn action<'a>(class: &'a Class, message: &Message) -> Option<Action<'a>> {
    let field = |prefix: &str| message.name.strip_prefix(prefix).and_then(|name| class.field(name));
    let many = |field: &&Field| matches!(field.kind, Kind::Set(_) | Kind::Map(_));
    Some(match message.name.as_str() {
        "get_all" => Action::GetAll,
        "get_all_records" => Action::GetAllRecords,
        "get_all_where" => Action::GetAllWhere,
        "get_all_records_where" => Action::GetAllRecordsWhere,
        "get_record" => Action::GetRecord,
        "get_by_uuid" => Action::GetByUuid,
        "get_by_name_label" => Action::GetByNameLabel,
        _ => match message.parameters.len() {
            1 => Action::Get(field("get_")?),
            2 if field("set_").is_some() => Action::Set(field("set_")?),
            3 => Action::AddTo(field("add_to_").filter(many)?),
            2 => match field("add_").filter(many) {
                Some(field) => Action::AddTo(field),
                None => Action::RemoveFrom(field("remove_from_").or(field("remove_")).filter(many)?),
            },
            _ => return None,
        },
    })
}

/// Whether the message is one of these.
pub(super) fn knows(class: &Class, message: &Message) -> bool {
    message.with_session && action(class, message).is_some()
}

/// Carries it out.
pub(super) fn run(class: &Class, message: &Message, request: &Request) -> Reply {
    let name = class.name.as_str();
    let Some(action) = action(class, message) else {
        return Err(Failure::new("MESSAGE_METHOD_UNKNOWN", [&format!("{name}.{}", message.name)]));
    };
    let mut db = request.pool.db();
    let self_ = request.text(0);
    let records = |filter: &Filter| {
        let matching = db.all(name).filter(|(_, record)| filter.matches(record));
        let record =
            |(reference, record): (&str, &Record)| (reference.to_owned(), Value::Map(record.clone()));
        matching.map(record).collect::<Record>()
    };
    let references = |records: Record| Ok(Value::strings(records.into_keys()));
    match action {
        Action::GetAll => references(records(&Filter::Constant(true))),
        Action::GetAllRecords => Ok(Value::Map(records(&Filter::Constant(true)))),
        Action::GetAllWhere => references(records(&Filter::parse(self_)?)),
        Action::GetAllRecordsWhere => Ok(Value::Map(records(&Filter::parse(self_)?))),
        Action::GetRecord => Ok(Value::Map(db.get(name, self_)?.clone())),
        Action::GetByUuid => db.by_uuid(name, self_).map(Value::String),
        Action::GetByNameLabel => Ok(Value::strings(db.with(name, "name_label", self_))),
        Action::Get(field) => db.field(name, self_, &field.name).cloned(),
        Action::Set(field) => db.set(name, self_, &field.name, request.value(1)).map(|()| Value::Void),
        Action::AddTo(field) => {
            let mut value = db.field(name, self_, &field.name)?.clone();
            add(&mut value, request)
                .map_err(|key| Failure::new("MAP_DUPLICATE_KEY", [name, &field.name, self_, &key]))?;
            db.set(name, self_, &field.name, value).map(|()| Value::Void)
        }
        Action::RemoveFrom(field) => {
            let mut value = db.field(name, self_, &field.name)?.clone();
            match &mut value {
                Value::Map(members) => drop(members.remove(request.text(1))),
                Value::Set(items) => items.retain(|item| *item != request.value(1)),
                _ => {}
            }
            db.set(name, self_, &field.name, value).map(|()| Value::Void)
        }
    }
}

/// Adds a member to a map, which must not have it, or an item to a set. Fails with the key.
fn add(value: &mut Value, request: &Request) -> Result<(), String> {
    let first = request.value(1);
    match value {
        Value::Map(members) if members.contains_key(first.text()) => return Err(first.text().to_owned()),
        Value::Map(members) => drop(members.insert(first.text().to_owned(), request.value(2))),
        Value::Set(items) if !items.contains(&first) => items.push(first),
        _ => {}
    }
    Ok(())
}
