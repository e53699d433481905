//! Comparing what was recorded with what is answered now: both are read into JSON, and names that differ from run to run
//! (references, UUIDs, addresses, instants, event tokens) are matched with each other.

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::Event;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Reads a body: XML-RPC or JSON into a value, anything else as text.
pub fn decode(body: &str) -> Value {
    match body.as_bytes().first() {
        Some(b'{') => serde_json::from_str(body).unwrap(),
        Some(b'<') if body.starts_with("<?xml") => xml(body),
        _ => json!(body),
    }
}

/// Reads an XML-RPC document. Typed values become `{"<type>": text}`, so that a string never equals a number.
fn xml(body: &str) -> Value {
    let mut reader = Reader::from_str(body);
    // Name, text and children of every open element; a child is its element's name and value.
    let mut open = vec![(String::new(), String::new(), Vec::<(String, Value)>::new())];
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => open.push((tag.name().0.to_owned(), String::new(), Vec::new())),
            Event::Text(text) => open.last_mut().unwrap().1 += &text,
            Event::GeneralRef(entity) => {
                open.last_mut().unwrap().1 += &unescape(&format!("&{};", &*entity)).unwrap();
            }
            Event::End(_) => {
                let (name, text, children) = open.pop().unwrap();
                let value = element(&name, text, children);
                open.last_mut().unwrap().2.push((name, value));
            }
            Event::Eof => return open.pop().unwrap().2.pop().unwrap().1,
            _ => {}
        }
    }
}

fn element(name: &str, text: String, mut children: Vec<(String, Value)>) -> Value {
    match name {
        "struct" => {
            let members = children
                .into_iter()
                .map(|(_, member)| (member["name"].as_str().unwrap().to_owned(), member["value"].clone()));
            Value::Object(members.collect())
        }
        "member" => Value::Object(children.into_iter().collect::<Map<_, _>>()),
        "data" | "params" => Value::Array(children.into_iter().map(|(_, value)| value).collect()),
        "value" | "array" | "param" | "methodResponse" if !children.is_empty() => children.remove(0).1,
        "value" | "name" => Value::String(text),
        _ => json!({ format!("<{name}>"): text }),
    }
}

/// Which recorded name stands for which of now.
#[derive(Default)]
pub struct Names {
    pub known: BTreeMap<String, String>,
}

/// A piece of a text.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    /// A name that differs from run to run; the first letter of its kind and itself.
    Name(char, &'a str),
    Letter(char),
}

/// The length of a name at the start of a text, and its kind.
fn name_at(text: &str) -> Option<(char, usize)> {
    const KINDS: [(char, &str); 4] = [
        ('u', "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
        ('t', "dddddddd'T'dd:dd:dd'Z'"),
        ('k', "dddddddddddddddddddd,dddddddddddddddddddd"),
        ('m', "xx:xx:xx:xx:xx:xx"),
    ];
    KINDS.into_iter().find_map(|(kind, pattern)| {
        let pattern = pattern.replace('\'', "");
        let fits = |(wanted, found): (char, char)| match wanted {
            'x' => found.is_ascii_hexdigit(),
            'd' => found.is_ascii_digit(),
            other => found == other,
        };
        let long_enough = text.chars().count() >= pattern.len();
        (long_enough && pattern.chars().zip(text.chars()).all(fits)).then_some((kind, pattern.len()))
    })
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = match name_at(rest) {
            Some((kind, length)) => {
                found.push(Piece::Name(kind, &rest[..length]));
                length
            }
            None => {
                found.push(Piece::Letter(letter));
                letter.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    found
}

impl Names {
    /// A recorded text with its names as they are now. Instants stay.
    pub fn now(&self, recorded: &str) -> String {
        let piece = |piece: Piece| match piece {
            Piece::Name(_, name) => self.known.get(name).cloned().unwrap_or_else(|| name.to_owned()),
            Piece::Letter(letter) => letter.to_string(),
        };
        pieces(recorded).into_iter().map(piece).collect()
    }

    /// Whether two texts say the same; learns names that are new.
    fn same(&mut self, recorded: &str, now: &str) -> bool {
        let (old, new) = (pieces(recorded), pieces(now));
        old.len() == new.len()
            && old.into_iter().zip(new).all(|pair| match pair {
                (Piece::Name('t', _), Piece::Name('t', _)) => true,
                (Piece::Name(kind, old), Piece::Name(other, new)) => {
                    kind == other && self.known.entry(old.to_owned()).or_insert_with(|| new.to_owned()) == new
                }
                (old, new) => old == new,
            })
    }

    /// Where two values differ: a path, what was recorded, what is now. `left_out` names fields that are not compared.
    pub fn differences(&mut self, path: &str, old: &Value, new: &Value, left_out: &[&str]) -> Vec<String> {
        match (old, new) {
            (Value::String(old), Value::String(new)) if self.same(old, new) => Vec::new(),
            (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
                let pairs = old.iter().zip(new).enumerate();
                pairs
                    .flat_map(|(at, (old, new))| {
                        self.differences(&format!("{path}[{at}]"), old, new, left_out)
                    })
                    .collect()
            }
            (Value::Object(old), Value::Object(new)) => {
                let mut found = Vec::new();
                for (name, old) in old.iter().filter(|(name, _)| !left_out.contains(&name.as_str())) {
                    let path = format!("{path}.{name}");
                    match new.get(&self.now(name)) {
                        Some(new) => found.extend(self.differences(&path, old, new, left_out)),
                        None => found.push(format!("{path} is missing")),
                    }
                }
                let known = |name: &String| old.keys().any(|old| self.now(old) == *name);
                found.extend(
                    new.keys().filter(|name| !known(name)).map(|name| format!("{path}.{name} is new")),
                );
                found
            }
            (old, new) if old == new => Vec::new(),
            _ => vec![format!("{path}: recorded {old}, now {new}")],
        }
    }
}

/// Where two values are of different types, records of objects being alike whatever they are called. Empty sets and maps
/// are like any other.
pub fn shape(path: &str, old: &Value, new: &Value) -> Vec<String> {
    match (old, new) {
        (Value::Array(old), Value::Array(new)) => {
            let pair = old.first().zip(new.first());
            pair.map(|(old, new)| shape(&format!("{path}[]"), old, new)).unwrap_or_default()
        }
        (Value::Object(old), Value::Object(new)) => {
            let is_by_reference =
                |map: &Map<String, Value>| map.keys().all(|name| name.starts_with("OpaqueRef:"));
            if is_by_reference(old) || is_by_reference(new) {
                let pair = old.values().next().zip(new.values().next());
                return pair.map(|(old, new)| shape(&format!("{path}{{}}"), old, new)).unwrap_or_default();
            }
            // Only records have a UUID: what other maps hold is the pool's affair.
            let is_record = ["uuid", "Status", "events", "task"].iter().any(|name| old.contains_key(*name));
            if !is_record {
                return Vec::new();
            }
            let missing = old
                .keys()
                .filter(|name| !new.contains_key(*name))
                .map(|name| format!("{path}.{name} is missing"));
            let added = new
                .keys()
                .filter(|name| !old.contains_key(*name))
                .map(|name| format!("{path}.{name} is new"));
            let both = old.iter().filter_map(|(name, old)| Some((name, old, new.get(name)?)));
            let within = both.flat_map(|(name, old, new)| shape(&format!("{path}.{name}"), old, new));
            missing.chain(added).chain(within).collect()
        }
        (old, new) if std::mem::discriminant(old) == std::mem::discriminant(new) => Vec::new(),
        _ => vec![format!("{path}: recorded {old}, now {new}")],
    }
}
