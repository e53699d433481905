//! The pool's database: every object of every class, in memory, with the memory of what changed that events need.
//!
//! ```text
//!   class ──▶ reference ──▶ Object { record, created, modified }     generation: one more at each change
//!                           Gone   { created, deleted }              what a follower must be told is no more
//! ```
//!
//! The many side of a relation (`VM.VBDs`) is kept by the database itself when the one side (`VBD.VM`) changes.

mod change;
mod filter;
mod relations;

pub use change::{Change, Operation, Token};
pub use filter::Filter;

use crate::facts::Facts;
use crate::failure::{Failure, Reply};
use crate::value::{NULL, Record, Value};
use relations::RELATIONS;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use uuid::Uuid;

/// Deletions that followers can still be told of. A follower that is further behind misses some.
const REMEMBERED: usize = 10_000;

/// A reference to a new object.
pub fn new_reference() -> String {
    format!("OpaqueRef:{}", Uuid::new_v4())
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Object {
    record: Record,
    created: u64,
    modified: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Gone {
    class: String,
    reference: String,
    created: u64,
    deleted: u64,
}

/// All objects.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Database {
    generation: u64,
    objects: BTreeMap<String, BTreeMap<String, Object>>,
    gone: VecDeque<Gone>,
}

impl Database {
    /// How often anything changed.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Adds an object and gives its reference. Fields that `record` lacks have their defaults.
    pub fn insert(&mut self, class: &str, record: Record) -> String {
        let reference = new_reference();
        self.insert_as(class, &reference, record);
        reference
    }

    /// [`Database::insert`] with a reference that was already told to somebody.
    pub fn insert_as(&mut self, class: &str, reference: &str, mut given: Record) {
        let uuid = given.get("uuid").map_or("", Value::text);
        if uuid.is_empty() {
            given.insert("uuid".to_owned(), Value::string(Uuid::new_v4().to_string()));
        }
        let mut record = Record::new();
        for field in &Facts::get().class(class).fields {
            let value = given.remove(&field.name).unwrap_or_else(|| field.default.clone());
            record.insert(field.name.clone(), value);
        }
        self.generation += 1;
        let object = Object { record: record.clone(), created: self.generation, modified: self.generation };
        self.objects.entry(class.to_owned()).or_default().insert(reference.to_owned(), object);
        for relation in RELATIONS.iter().filter(|relation| relation.from == class) {
            let target = record.get(relation.field).map_or(NULL, Value::text).to_owned();
            self.relate(relation.to, &target, relation.set, reference, true);
        }
    }

    /// The record of an object.
    pub fn get(&self, class: &str, reference: &str) -> Reply<&Record> {
        let object = self.objects.get(class).and_then(|objects| objects.get(reference));
        object.map(|object| &object.record).ok_or_else(|| Failure::handle(class, reference))
    }

    /// Whether the object exists.
    pub fn has(&self, class: &str, reference: &str) -> bool {
        self.get(class, reference).is_ok()
    }

    /// One field of an object.
    pub fn field(&self, class: &str, reference: &str, field: &str) -> Reply<&Value> {
        let value = self.get(class, reference)?.get(field);
        value.ok_or_else(|| {
            Failure::internal(&format!("Db_exn.DBCache_NotFound(\"missing field\", \"{field}\")"))
        })
    }

    /// The text of a field of an object: a string, a reference, an enumeration.
    pub fn text(&self, class: &str, reference: &str, field: &str) -> Reply<String> {
        Ok(self.field(class, reference, field)?.text().to_owned())
    }

    /// Changes a field. Nothing happens, and nobody is told, when it is so already.
    pub fn set(&mut self, class: &str, reference: &str, field: &str, value: impl Into<Value>) -> Reply<()> {
        let (old, value) = (self.field(class, reference, field)?.clone(), value.into());
        if old == value {
            return Ok(());
        }
        for relation in RELATIONS.iter().filter(|r| r.from == class && r.field == field) {
            self.relate(relation.to, old.text(), relation.set, reference, false);
            self.relate(relation.to, value.text(), relation.set, reference, true);
        }
        self.change(class, reference, |record| drop(record.insert(field.to_owned(), value)));
        Ok(())
    }

    /// Changes a field that nobody follows: it is no change to anybody but who reads it.
    pub fn note(&mut self, class: &str, reference: &str, field: &str, value: Value) {
        let object = self.objects.get_mut(class).and_then(|objects| objects.get_mut(reference));
        if let Some(object) = object {
            object.record.insert(field.to_owned(), value);
        }
    }

    /// Tells followers that an object changed although it did not.
    pub fn touch(&mut self, class: &str, reference: &str) -> Reply<()> {
        self.get(class, reference)?;
        self.change(class, reference, |_| {});
        Ok(())
    }

    /// Removes an object, if it exists.
    pub fn remove(&mut self, class: &str, reference: &str) {
        let Some(object) = self.objects.get_mut(class).and_then(|objects| objects.remove(reference)) else {
            return;
        };
        self.generation += 1;
        let (class, reference) = (class.to_owned(), reference.to_owned());
        for relation in RELATIONS.iter().filter(|relation| relation.from == class) {
            let target = object.record.get(relation.field).map_or(NULL, Value::text).to_owned();
            self.relate(relation.to, &target, relation.set, &reference, false);
        }
        self.gone.push_back(Gone { class, reference, created: object.created, deleted: self.generation });
        if self.gone.len() > REMEMBERED {
            self.gone.pop_front();
        }
    }

    /// All objects of a class.
    pub fn all(&self, class: &str) -> impl Iterator<Item = (&str, &Record)> {
        let objects = self.objects.get(class).into_iter().flatten();
        objects.map(|(reference, object)| (reference.as_str(), &object.record))
    }

    /// References to the objects of a class with this text in a field.
    pub fn with(&self, class: &str, field: &str, text: &str) -> Vec<String> {
        let matching =
            self.all(class).filter(|(_, record)| record.get(field).is_some_and(|v| v.text() == text));
        matching.map(|(reference, _)| reference.to_owned()).collect()
    }

    /// The object of this UUID.
    pub fn by_uuid(&self, class: &str, uuid: &str) -> Reply<String> {
        let found = self.with(class, "uuid", uuid).pop();
        found.ok_or_else(|| Failure::new("UUID_INVALID", [class, uuid]))
    }

    fn change(&mut self, class: &str, reference: &str, change: impl FnOnce(&mut Record)) {
        let object = self.objects.get_mut(class).and_then(|objects| objects.get_mut(reference));
        if let Some(object) = object {
            self.generation += 1;
            object.modified = self.generation;
            change(&mut object.record);
        }
    }

    /// Adds `member` to the set of references on the many side, or takes it out.
    fn relate(&mut self, class: &str, reference: &str, set: &str, member: &str, add: bool) {
        if reference == NULL {
            return;
        }
        self.change(class, reference, |record| {
            if let Some(Value::Set(items)) = record.get_mut(set) {
                items.retain(|item| item.text() != member);
                if add {
                    items.push(Value::string(member));
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk_of(db: &Database, vbd: &str) -> String {
        db.text("VBD", vbd, "VDI").unwrap()
    }

    #[test]
    fn the_many_side_of_a_relation_follows_the_one_side() {
        let mut db = Database::default();
        let (a, b) = (db.insert("VDI", Record::new()), db.insert("VDI", Record::new()));
        let vbd = db.insert("VBD", Record::from([("VDI".to_owned(), Value::string(&a))]));
        assert_eq!(disk_of(&db, &vbd), a);
        assert_eq!(db.field("VDI", &a, "VBDs").unwrap().items(), [Value::string(&vbd)]);
        db.set("VBD", &vbd, "VDI", b.as_str()).unwrap();
        assert_eq!(db.field("VDI", &a, "VBDs").unwrap().items(), []);
        assert_eq!(db.field("VDI", &b, "VBDs").unwrap().items(), [Value::string(&vbd)]);
        db.remove("VBD", &vbd);
        assert_eq!(db.field("VDI", &b, "VBDs").unwrap().items(), []);
        assert_eq!(db.get("VBD", &vbd).unwrap_err(), Failure::handle("VBD", &vbd));
    }

    #[test]
    fn setting_what_is_so_already_is_no_change() {
        let mut db = Database::default();
        let vdi = db.insert("VDI", Record::new());
        let before = db.generation();
        db.set("VDI", &vdi, "name_label", "").unwrap();
        assert_eq!(db.generation(), before);
        db.set("VDI", &vdi, "name_label", "x").unwrap();
        assert_eq!(db.generation(), before + 1);
        assert_eq!(db.set("VDI", &vdi, "nonesuch", "x").unwrap_err().code(), "INTERNAL_ERROR");
    }
}
