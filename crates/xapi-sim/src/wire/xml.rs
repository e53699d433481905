//! XML-RPC. Strings are bare in `<value>`, integers are strings, and what a call gives is wrapped in
//! `{Status, Value | ErrorDescription}`, but for `system.listMethods`.

use super::{Call, Malformed};
use crate::failure::Reply;
use crate::value::{Record, Value};
use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::Event;

/// Deepest nesting of elements: the deepest value the XenAPI takes needs about twenty.
const DEPTH: usize = 100;

/// Reads a `<methodCall>`.
pub fn parse(body: &str) -> Result<Call, Malformed> {
    let root = Element::parse(body)?;
    root.is("methodCall")?;
    let [method, params] = root.children.as_slice() else { return Err(wrong("methodCall", &root)) };
    method.is("methodName")?;
    params.is("params")?;
    let parameters = params.children.iter().map(|param| {
        param.is("param")?;
        param.only_child()?.value()
    });
    Ok(Call { method: method.text.trim().to_owned(), parameters: parameters.collect::<Result<_, _>>()? })
}

/// Writes the reply to a call.
pub fn reply(method: &str, outcome: &Reply) -> String {
    let value = match outcome {
        Ok(listed) if method == "system.listMethods" => listed.clone(),
        Ok(value) => Value::map([("Status", "Success".into()), ("Value", value.clone())]),
        Err(failure) => Value::map([
            ("Status", "Failure".into()),
            ("ErrorDescription", Value::strings(failure.0.clone())),
        ]),
    };
    let mut body = String::from(r#"<?xml version="1.0"?><methodResponse><params><param>"#);
    write(&mut body, &value);
    body.push_str("</param></params></methodResponse>");
    body
}

/// The text that a task keeps as its result.
pub fn task_result(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value);
    text
}

fn write(out: &mut String, value: &Value) {
    out.push_str("<value>");
    match value {
        Value::Void => {}
        Value::String(text) => out.push_str(&escape(text)),
        Value::Int(number) => out.push_str(&format!("{number}")),
        Value::Count(number) => out.push_str(&format!("<i4>{number}</i4>")),
        Value::Float(number) => out.push_str(&format!("<double>{number}</double>")),
        Value::Bool(truth) => out.push_str(&format!("<boolean>{}</boolean>", u8::from(*truth))),
        Value::Time(time) => out.push_str(&format!("<dateTime.iso8601>{time}</dateTime.iso8601>")),
        Value::Set(items) => {
            out.push_str("<array><data>");
            items.iter().for_each(|item| write(out, item));
            out.push_str("</data></array>");
        }
        Value::Map(members) => {
            out.push_str("<struct>");
            for (name, value) in members {
                out.push_str(&format!("<member><name>{}</name>", escape(name)));
                write(out, value);
                out.push_str("</member>");
            }
            out.push_str("</struct>");
        }
    }
    out.push_str("</value>");
}

/// An element with the text that stands directly in it.
#[derive(Debug, Default)]
struct Element {
    name: String,
    text: String,
    children: Vec<Self>,
}

impl Element {
    /// Reads a document: its one root element.
    fn parse(body: &str) -> Result<Self, Malformed> {
        let mut reader = Reader::from_str(body);
        let mut open: Vec<Self> = Vec::new();
        loop {
            let ended = match reader.read_event().map_err(|e| malformed(&e))? {
                Event::Start(tag) if open.len() < DEPTH => {
                    open.push(Self::named(tag.name().0));
                    continue;
                }
                Event::Start(_) => return Err(malformed(&"nested too deeply")),
                Event::Empty(tag) => Self::named(tag.name().0),
                Event::End(_) => open.pop().ok_or_else(|| malformed(&"close_tag"))?,
                Event::Eof => return Err(malformed(&"unexpected end of input")),
                event => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&text(&event)?);
                    }
                    continue;
                }
            };
            match open.last_mut() {
                Some(parent) => parent.children.push(ended),
                None => return Ok(ended),
            }
        }
    }

    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    fn is(&self, name: &str) -> Result<(), Malformed> {
        if self.name == name { Ok(()) } else { Err(wrong(name, self)) }
    }

    fn only_child(&self) -> Result<&Self, Malformed> {
        match self.children.as_slice() {
            [child] => Ok(child),
            _ => Err(wrong("one element", self)),
        }
    }

    /// Reads a `<value>`.
    fn value(&self) -> Result<Value, Malformed> {
        self.is("value")?;
        if self.children.is_empty() {
            return Ok(Value::string(&self.text));
        }
        let typed = self.only_child()?;
        let number = typed.text.trim();
        let bad = || Malformed(format!("Xmlrpc.Parse_error({}, {number:?})", typed.name));
        Ok(match typed.name.as_str() {
            "string" | "base64" => Value::string(&typed.text),
            "int" | "i4" | "i8" => Value::Int(number.parse().map_err(|_| bad())?),
            "double" => Value::Float(number.parse().map_err(|_| bad())?),
            "boolean" if number == "0" => Value::Bool(false),
            "boolean" if number == "1" => Value::Bool(true),
            "dateTime.iso8601" => Value::Time(number.to_owned()),
            "nil" => Value::Void,
            "array" => {
                let data = typed.only_child()?;
                data.is("data")?;
                Value::Set(data.children.iter().map(Self::value).collect::<Result<_, _>>()?)
            }
            "struct" => Value::Map(typed.members()?),
            _ => return Err(bad()),
        })
    }

    fn members(&self) -> Result<Record, Malformed> {
        let member = |member: &Self| {
            let [name, value] = member.children.as_slice() else { return Err(wrong("member", member)) };
            name.is("name")?;
            Ok((name.text.clone(), value.value()?))
        };
        self.children.iter().map(member).collect()
    }
}

/// The text an event adds to the element it stands in.
fn text(event: &Event) -> Result<String, Malformed> {
    match event {
        Event::Text(text) => Ok(text.to_string()),
        Event::CData(text) => Ok(text.to_string()),
        Event::GeneralRef(entity) => {
            if let Some(character) = entity.resolve_char_ref().map_err(|e| malformed(&e))? {
                return Ok(character.to_string());
            }
            let known = resolve_predefined_entity(entity);
            known.map(str::to_owned).ok_or_else(|| malformed(&format!("unknown entity {}", &**entity)))
        }
        _ => Ok(String::new()),
    }
}

fn malformed(error: &dyn std::fmt::Display) -> Malformed {
    Malformed(format!("Xmlm.Error({error})"))
}

fn wrong(wanted: &str, found: &Element) -> Malformed {
    Malformed(format!("Xmlrpc.Parse_error({wanted:?}, {:?}, _)", found.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn call(params: &str) -> Result<Call, Malformed> {
        parse(&format!(
            "<?xml version='1.0'?>\n<methodCall>\n<methodName>a.b</methodName>\n<params>{params}</params></methodCall>"
        ))
    }

    #[test]
    fn every_type_is_read_however_it_is_laid_out() {
        let read = call(
            "\n<param>\n<value><struct>\n<member>\n<name>i</name>\n<value><int>7</int></value>\n</member>
             <member><name>s</name><value>a &lt;&amp;&#233; b</value></member>
             <member><name>none</name><value/></member>
             <member><name>list</name><value><array><data>\n<value><boolean>1</boolean></value>
             <value><double>1.5</double></value><value></value></data></array></value></member></struct></value></param>",
        );
        let list = Value::Set(vec![Value::Bool(true), Value::Float(1.5), Value::string("")]);
        let wanted =
            Value::map([("i", Value::Int(7)), ("s", "a <&é b".into()), ("none", "".into()), ("list", list)]);
        assert_eq!(read, Ok(Call { method: "a.b".to_owned(), parameters: vec![wanted] }));
    }

    #[test]
    fn what_is_no_call_is_refused() {
        let deep = "<value><array><data>".repeat(1000);
        for body in [
            "",
            "{}",
            "<methodCall><broken",
            "<methodCall><methodName>a</methodName></methodCall>",
            "<a>&nonesuch;</a>",
            &deep,
        ] {
            assert!(parse(body).is_err(), "{body}");
        }
        assert!(call("<param><value><int>x</int></value></param>").is_err());
        assert!(call("<param><value><boolean>yes</boolean></value></param>").is_err());
    }

    #[test]
    fn a_reply_reads_as_the_real_server_writes_it() {
        let ok = reply("a.b", &Ok(Value::Void));
        assert_eq!(
            ok,
            "<?xml version=\"1.0\"?><methodResponse><params><param><value><struct><member><name>Status</name>\
             <value>Success</value></member><member><name>Value</name><value></value></member></struct></value>\
             </param></params></methodResponse>"
        );
        let failed = reply("a.b", &Err(Failure::new("CODE", ["<x>"])));
        assert!(failed.contains("<value>CODE</value><value>&lt;x&gt;</value>"), "{failed}");
        assert_eq!(task_result(&"OpaqueRef:1".into()), "<value>OpaqueRef:1</value>");
    }
}
