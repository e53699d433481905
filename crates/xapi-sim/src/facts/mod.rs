//! What the XenAPI is: classes, their fields, messages and enumerations, made from its published data model by
//! `scripts/make-facts`. Everything the simulator serves is checked against this table.

mod kind;

pub use kind::Kind;

use crate::value::Value;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What one may do, from least to most: a role may do all that those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look, and make tasks.
    ReadOnly,
    /// Start and stop VMs, see their consoles.
    VmOperator,
    /// Make and delete VMs and disks.
    VmAdmin,
    /// Snapshot VMs, scan storage.
    VmPowerAdmin,
    /// Everything but users, roles and what opens the pool.
    PoolOperator,
    /// Everything.
    PoolAdmin,
}

impl Role {
    /// Every role, least first.
    pub const ALL: [Self; 6] = [
        Self::ReadOnly,
        Self::VmOperator,
        Self::VmAdmin,
        Self::VmPowerAdmin,
        Self::PoolOperator,
        Self::PoolAdmin,
    ];

    /// Its name in the XenAPI.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::VmOperator => "vm-operator",
            Self::VmAdmin => "vm-admin",
            Self::VmPowerAdmin => "vm-power-admin",
            Self::PoolOperator => "pool-operator",
            Self::PoolAdmin => "pool-admin",
        }
    }

    /// The role of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// One parameter of a message.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it takes.
    pub kind: Kind,
    /// Whether a call must give it.
    pub required: bool,
}

/// A message of a class: what a client calls.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its name without the class.
    pub name: String,
    /// The least role that may call it; anyone may if there is none.
    pub role: Option<Role>,
    /// What it gives, in the words of the data model.
    pub result: String,
    /// Its parameters without the session.
    pub parameters: Vec<Parameter>,
    /// Whether the first parameter of a call is a session.
    pub with_session: bool,
}

/// A field of a class.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Whether `set_…` changes it with no more ado.
    pub writable: bool,
    /// Whether a create call gives it.
    pub in_constructor: bool,
    /// What it holds in an object that nobody said anything else of.
    pub default: Value,
}

/// A class of objects.
#[derive(Clone, Debug, Default)]
pub struct Class {
    /// Its name, in the case the API uses.
    pub name: String,
    /// Its fields in the order of a record.
    pub fields: Vec<Field>,
    /// Its messages by name.
    pub messages: BTreeMap<String, Message>,
    /// The fields that a create call must give, in the order they are looked for.
    pub needed: Vec<String>,
}

impl Class {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// The table.
#[derive(Debug, Default)]
pub struct Facts {
    /// Classes by name.
    pub classes: BTreeMap<String, Class>,
    /// Names of classes that are not served: a server counts their objects all the same.
    pub others: Vec<String>,
    /// The values of each enumeration.
    pub enums: BTreeMap<String, Vec<String>>,
}

impl Facts {
    /// The table that is built in.
    pub fn get() -> &'static Self {
        static FACTS: OnceLock<Facts> = OnceLock::new();
        FACTS.get_or_init(|| Self::parse(include_str!("../../data/facts.tsv")))
    }

    /// The message that a call such as `VM.start` names.
    pub fn message(&self, method: &str) -> Option<(&Class, &Message)> {
        let (class, message) = method.split_once('.')?;
        let class = self.classes.get(class)?;
        Some((class, class.messages.get(message)?))
    }

    /// A class the simulator keeps objects of. The names are those of the built-in table, so it is always there;
    /// an unknown one is an empty class.
    pub fn class(&self, name: &str) -> &Class {
        static NONE: OnceLock<Class> = OnceLock::new();
        self.classes.get(name).unwrap_or_else(|| NONE.get_or_init(Class::default))
    }

    fn parse(table: &str) -> Self {
        let mut facts = Self::default();
        let mut class = Class::default();
        for line in table.lines() {
            let mut columns = line.split('\t');
            let (what, name) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
            let rest: Vec<&str> = columns.collect();
            match what {
                "class" => {
                    let ended =
                        std::mem::replace(&mut class, Class { name: name.to_owned(), ..Class::default() });
                    facts.classes.insert(ended.name.clone(), ended);
                }
                "others" => facts.others.extend([name].iter().chain(&rest).map(|&name| name.to_owned())),
                "field" => class.fields.push(field(name, &rest)),
                "message" => drop(class.messages.insert(name.to_owned(), message(name, &rest))),
                "constructor" => class.needed.extend([name].iter().chain(&rest).map(|&name| name.to_owned())),
                _ => drop(facts.enums.insert(name.to_owned(), rest.iter().map(|&v| v.to_owned()).collect())),
            }
        }
        facts.classes.insert(class.name.clone(), class);
        facts.classes.remove("");
        for class in facts.classes.values_mut() {
            class.needed.retain(|name| !name.is_empty());
        }
        facts
    }
}

fn field(name: &str, columns: &[&str]) -> Field {
    let column = |at: usize| columns.get(at).copied().unwrap_or_default();
    let kind = Kind::parse(column(0));
    Field {
        name: name.to_owned(),
        default: kind.default(column(2)),
        kind,
        writable: column(1) == "RW",
        in_constructor: column(1) != "RO/runtime",
    }
}

fn message(name: &str, columns: &[&str]) -> Message {
    let column = |at: usize| columns.get(at).copied().unwrap_or_default();
    let parameter = |text: &&str| {
        let (name, kind) = text.split_once(':').unwrap_or((text, "string"));
        let required = !name.ends_with('?');
        Parameter { name: name.trim_end_matches('?').to_owned(), kind: Kind::parse(kind), required }
    };
    let mut parameters: Vec<_> = columns.iter().skip(2).map(parameter).collect();
    let with_session = parameters.first().is_some_and(|first| first.name == "session_id");
    if with_session {
        parameters.remove(0);
    }
    Message {
        name: name.to_owned(),
        role: Role::named(column(0)),
        result: column(1).to_owned(),
        parameters,
        with_session,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_a_create_call_needs_and_who_may_make_it() {
        let facts = Facts::get();
        let vdi = facts.class("VDI");
        assert_eq!(vdi.needed, ["SR", "virtual_size", "type", "sharable", "read_only", "other_config"]);
        let (_, create) = facts.message("VDI.create").unwrap();
        assert_eq!((create.role, create.with_session), (Some(Role::VmAdmin), true));
        assert_eq!(create.parameters[0].kind, Kind::Record("VDI".to_owned()));
        let (_, login) = facts.message("session.login_with_password").unwrap();
        let required: Vec<_> = login.parameters.iter().map(|p| p.required).collect();
        assert_eq!((login.with_session, required), (false, vec![true, true, false, false]));
    }

    #[test]
    fn every_kind_of_the_table_is_understood_and_every_enumeration_known() {
        let facts = Facts::get();
        let fields = facts.classes.values().flat_map(|class| class.fields.iter().map(|field| &field.kind));
        let parameters = facts.classes.values().flat_map(|class| class.messages.values());
        let parameters = parameters.flat_map(|message| message.parameters.iter().map(|p| &p.kind));
        for kind in fields.chain(parameters) {
            if let Kind::Enum(name) = kind.innermost() {
                assert!(facts.enums.contains_key(name), "{name}");
            }
        }
        assert!(facts.classes.len() > 20);
    }
}
