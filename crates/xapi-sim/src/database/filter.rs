//! The expressions of `get_all_records_where`: `field "is_a_template" = "true" and not (field "uuid" = "…")`.
//!
//! ```text
//!   or   := and { "or" and }
//!   and  := not { "and" not }
//!   not  := "not" not | "(" or ")" | "true" | "false" | term "=" term
//!   term := "field" string | string
//! ```

use crate::failure::{Failure, Reply};
use crate::value::{Record, Value};

/// A parsed expression.
#[derive(Debug)]
pub enum Filter {
    /// Every object, or none.
    Constant(bool),
    /// Both terms have the same text.
    Equal(Term, Term),
    /// The opposite.
    Not(Box<Filter>),
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// One of them or both.
    Or(Box<Filter>, Box<Filter>),
}

/// One side of a comparison.
#[derive(Debug)]
pub enum Term {
    /// The text of a field.
    Field(String),
    /// A text.
    Literal(String),
}

/// Most words of an expression, which bounds its depth.
const WORDS: usize = 200;

impl Filter {
    /// Reads an expression.
    pub fn parse(text: &str) -> Reply<Self> {
        let wrong = || Failure::new("INVALID_VALUE", [text, "Failure(\"lexing: empty token\")"]);
        let words = words(text).filter(|words| words.len() <= WORDS).ok_or_else(wrong)?;
        let mut reader = Reader { words: &words };
        let filter = reader.or().ok_or_else(wrong)?;
        if reader.words.is_empty() { Ok(filter) } else { Err(wrong()) }
    }

    /// Whether the object is one of those asked for.
    pub fn matches(&self, record: &Record) -> bool {
        match self {
            Self::Constant(truth) => *truth,
            Self::Equal(left, right) => left.text(record) == right.text(record),
            Self::Not(inner) => !inner.matches(record),
            Self::And(left, right) => left.matches(record) && right.matches(record),
            Self::Or(left, right) => left.matches(record) || right.matches(record),
        }
    }
}

impl Term {
    fn text(&self, record: &Record) -> Option<String> {
        match self {
            Self::Literal(text) => Some(text.clone()),
            // Fields of groups are written with two underscores too: name__label.
            Self::Field(name) => Some(match record.get(&name.replace("__", "_"))? {
                Value::Int(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                Value::Bool(truth) => truth.to_string(),
                other => other.text().to_owned(),
            }),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Word {
    Name(String),
    Text(String),
    Sign(char),
}

fn words(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' => {
                let length = rest[1..].find(first)?;
                words.push(Word::Text(rest[1..=length].to_owned()));
                length + 2
            }
            '(' | ')' | '=' => {
                words.push(Word::Sign(first));
                1
            }
            'a'..='z' => {
                let length = rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len());
                words.push(Word::Name(rest[..length].to_owned()));
                length
            }
            _ => return None,
        };
        rest = rest[length..].trim_start();
    }
    Some(words)
}

struct Reader<'a> {
    words: &'a [Word],
}

impl Reader<'_> {
    fn take(&mut self) -> Option<&Word> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn name(&mut self, name: &str) -> bool {
        let found = matches!(self.words.first(), Some(Word::Name(found)) if found == name);
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn sign(&mut self, sign: char) -> Option<()> {
        (*self.take()? == Word::Sign(sign)).then_some(())
    }

    fn or(&mut self) -> Option<Filter> {
        let mut left = self.and()?;
        while self.name("or") {
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        Some(left)
    }

    fn and(&mut self) -> Option<Filter> {
        let mut left = self.not()?;
        while self.name("and") {
            left = Filter::And(Box::new(left), Box::new(self.not()?));
        }
        Some(left)
    }

    fn not(&mut self) -> Option<Filter> {
        if self.name("not") {
            return Some(Filter::Not(Box::new(self.not()?)));
        }
        if self.name("true") {
            return Some(Filter::Constant(true));
        }
        if self.name("false") {
            return Some(Filter::Constant(false));
        }
        if self.words.first() == Some(&Word::Sign('(')) {
            self.sign('(')?;
            let inner = self.or()?;
            self.sign(')')?;
            return Some(inner);
        }
        let left = self.term()?;
        self.sign('=')?;
        Some(Filter::Equal(left, self.term()?))
    }

    fn term(&mut self) -> Option<Term> {
        let field = self.name("field");
        match self.take()? {
            Word::Text(text) if field => Some(Term::Field(text.clone())),
            Word::Text(text) => Some(Term::Literal(text.clone())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(filter: &str) -> bool {
        let record = Record::from([
            ("name_label".to_owned(), "x".into()),
            ("is_a_template".to_owned(), true.into()),
            ("size".to_owned(), 5.into()),
        ]);
        Filter::parse(filter).unwrap().matches(&record)
    }

    #[test]
    fn expressions_choose_by_the_text_of_fields() {
        assert!(matches(r#"field "is_a_template" = "true""#));
        assert!(matches(r#"field "name__label" = "x" and field "size" = "5""#));
        assert!(matches(r#"not (field "name_label"="y") and (false or true)"#));
        assert!(!matches(r#"field "name_label" = "y" or field "nonesuch" = "x""#));
    }

    #[test]
    fn nonsense_is_refused_and_so_is_what_is_too_long() {
        for text in ["nonsense (", "", "field \"a\"", "field = \"a\"", "(true", "true true", "\"open", "é"] {
            assert_eq!(Filter::parse(text).unwrap_err().code(), "INVALID_VALUE", "{text}");
        }
        assert!(Filter::parse(&"(".repeat(100_000)).is_err());
        let wanted = Failure::new("INVALID_VALUE", ["nonsense (", "Failure(\"lexing: empty token\")"]);
        assert_eq!(Filter::parse("nonsense (").unwrap_err(), wanted);
    }
}
