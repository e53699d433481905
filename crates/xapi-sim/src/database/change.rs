//! What changed since a token: the answer to `event.from`, without its waiting.

use super::Database;
use crate::failure::{Failure, Reply};
use crate::value::{Record, Value};
use std::fmt;

/// Classes whose objects nobody can follow.
const SILENT: &[&str] = &["session", "user", "role"];

/// How far a follower has come: the generation it has seen. `""` is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub u64);

impl Token {
    /// Reads `"%020d,%020d"`; the second number counts messages, which the simulator has none of.
    pub fn parse(text: &str) -> Reply<Self> {
        if text.is_empty() {
            return Ok(Self(0));
        }
        let wrong = || Failure::new("EVENT_FROM_TOKEN_PARSE_FAILURE", [text]);
        let (seen, messages) = text.split_once(',').ok_or_else(wrong)?;
        messages.parse::<u64>().map_err(|_| wrong())?;
        Ok(Self(seen.parse().map_err(|_| wrong())?))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020},{:020}", self.0, 0)
    }
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is new.
    Add,
    /// It changed.
    Mod,
    /// It is no more.
    Del,
}

impl Operation {
    /// Its name in an event.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Mod => "mod",
            Self::Del => "del",
        }
    }
}

/// One object that changed.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// The generation of the change.
    pub generation: u64,
    /// The class, in lower case as in events.
    pub class: String,
    /// Its reference.
    pub reference: &'a str,
    /// What happened.
    pub operation: Operation,
    /// How it is now, unless it is gone.
    pub record: Option<&'a Record>,
}

/// Which objects a follower wants: `vm`, `vm/OpaqueRef:…` or `*`. Unknown classes are none.
fn wanted(filters: &[String], class: &str, reference: &str) -> bool {
    filters.iter().any(|filter| {
        let (kind, one) =
            filter.split_once('/').map_or((filter.as_str(), None), |(kind, one)| (kind, Some(one)));
        (kind == "*" || kind.eq_ignore_ascii_case(class)) && one.is_none_or(|one| one == reference)
    })
}

impl Database {
    /// Everything wanted that changed since the token, oldest change first.
    pub fn changes(&self, since: Token, filters: &[String]) -> Vec<Change<'_>> {
        let mut changes = Vec::new();
        for (class, objects) in self.objects.iter().filter(|(class, _)| !SILENT.contains(&class.as_str())) {
            let newer = objects.iter().filter(|(_, object)| object.modified > since.0);
            for (reference, object) in newer.filter(|(reference, _)| wanted(filters, class, reference)) {
                let operation = if object.created > since.0 { Operation::Add } else { Operation::Mod };
                changes.push(Change {
                    generation: object.modified,
                    class: class.to_lowercase(),
                    reference,
                    operation,
                    record: Some(&object.record),
                });
            }
        }
        let known = self.gone.iter().filter(|gone| gone.deleted > since.0 && gone.created <= since.0);
        for gone in known.filter(|gone| wanted(filters, &gone.class, &gone.reference)) {
            changes.push(Change {
                generation: gone.deleted,
                class: gone.class.to_lowercase(),
                reference: &gone.reference,
                operation: Operation::Del,
                record: None,
            });
        }
        changes.sort_by_key(|change| change.generation);
        changes
    }

    /// How many objects of each class there are, by its name in lower case.
    pub fn counts(&self) -> Record {
        let facts = crate::facts::Facts::get();
        let classes = facts.classes.keys().chain(&facts.others);
        let count = |class: &String| self.objects.get(class).map_or(0, |objects| objects.len());
        let counted =
            classes.map(|class| (class.to_lowercase(), i64::try_from(count(class)).unwrap_or(i64::MAX)));
        counted.map(|(class, count)| (class, Value::Count(count))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(db: &Database, since: Token, filters: &[&str]) -> Vec<(String, &'static str)> {
        let filters: Vec<_> = filters.iter().map(|&filter| filter.to_owned()).collect();
        let changes = db.changes(since, &filters);
        changes.into_iter().map(|change| (change.class, change.operation.name())).collect()
    }

    #[test]
    fn a_follower_is_told_what_is_new_what_changed_and_what_is_gone() {
        let mut db = Database::default();
        let vm = db.insert("VM", Record::new());
        let gone = db.insert("VM", Record::new());
        let seen = Token(db.generation());
        db.set("VM", &vm, "name_label", "x").unwrap();
        db.remove("VM", &gone);
        let vdi = db.insert("VDI", Record::new());
        let unseen = db.insert("VM", Record::new());
        db.remove("VM", &unseen);
        let event = |class: &str, operation| (class.to_owned(), operation);
        let all = [event("vm", "mod"), event("vm", "del"), event("vdi", "add")];
        assert_eq!(told(&db, seen, &["*"]), all);
        assert_eq!(told(&db, seen, &["vdi", "nonesuch"]), [event("vdi", "add")]);
        assert_eq!(told(&db, seen, &[&format!("vm/{vm}")]), [event("vm", "mod")]);
        assert_eq!(told(&db, seen, &[&format!("VDI/{vm}")]), []);
        assert_eq!(told(&db, Token(0), &["vm"]), [event("vm", "add")]);
        assert!(db.changes(Token(db.generation()), &["*".to_owned()]).is_empty());
        db.touch("VDI", &vdi).unwrap();
        assert_eq!(told(&db, Token(db.generation() - 1), &["*"]), [event("vdi", "mod")]);
    }

    #[test]
    fn tokens_are_two_numbers_of_twenty_digits() {
        let token = Token(10_177);
        assert_eq!(token.to_string(), "00000000000000010177,00000000000000000000");
        assert_eq!(Token::parse(&token.to_string()), Ok(token));
        assert_eq!(Token::parse(""), Ok(Token(0)));
        let wrong = Failure::new("EVENT_FROM_TOKEN_PARSE_FAILURE", ["garbage"]);
        assert_eq!(Token::parse("garbage"), Err(wrong));
    }
}
