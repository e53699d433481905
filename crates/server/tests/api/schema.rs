//! Answers against the contract: what the server sends is what `openapi.json` says, no more and no less.
//!
//! Knows the few words of JSON Schema that the document uses, and fails on any other, so that a rule is never passed
//! over. Stricter than JSON Schema in one way: a property that the document does not name is a mistake.

use serde_json::Value;
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(shale_server::http::document()).unwrap());

/// Whether the contract says that `method path` may be answered so; what is wrong if not.
pub fn check(method: &str, path: &str, status: u16, kind: &str, body: &[u8]) -> Result<(), String> {
    let Some(operation) = operation(method, path) else { return Ok(()) };
    let exact = &operation["responses"][status.to_string()];
    let class = &operation["responses"][format!("{}XX", status / 100)];
    let answer = resolved(if exact.is_null() { class } else { exact });
    if answer.is_null() {
        return Err(format!("the status {status} is not in the contract"));
    }
    let Some(content) = answer["content"].as_object() else {
        return if body.is_empty() { Ok(()) } else { Err("a body where the contract has none".into()) };
    };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let Some(content) = content.get(kind) else {
        return Err(format!("the type {kind} is not in the contract"));
    };
    if !kind.ends_with("json") {
        return Ok(());
    }
    let value: Value = serde_json::from_slice(body).map_err(|e| format!("not JSON: {e}"))?;
    fits(&value, &content["schema"], "")
}

/// Whether a value fits the schema of this name.
pub fn fits_named(value: &Value, name: &str) -> Result<(), String> {
    fits(value, &DOCUMENT["components"]["schemas"][name], "")
}

/// The operation of a path of the API; none for what is outside it. A path or method that does not exist has none.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path: Vec<&str> = path.split('?').next()?.split('/').collect();
    let paths = DOCUMENT["paths"].as_object()?;
    let matches = |template: &str| {
        let template: Vec<&str> = template.split('/').collect();
        template.len() == path.len() && template.iter().zip(&path).all(|(t, p)| t.starts_with('{') || t == p)
    };
    // A path that is named in full comes before one with a parameter.
    let fitting = paths.iter().filter(|(template, _)| matches(template));
    let (_, item) = fitting.min_by_key(|(template, _)| template.matches('{').count())?;
    item.get(method.to_lowercase())
}

fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(&reference[1..]).unwrap(),
        None => value,
    }
}

fn fits(value: &Value, schema: &'static Value, at: &str) -> Result<(), String> {
    let schema = resolved(schema);
    let rules = schema.as_object().ok_or("a schema that is no object")?;
    for (rule, wanted) in rules {
        let kept = match rule.as_str() {
            "type" => has_type(value, wanted),
            "enum" => wanted.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|n| n >= wanted.as_f64().unwrap()),
            "format" => has_format(value, wanted.as_str().unwrap()),
            "oneOf" => {
                let ways: Vec<_> =
                    wanted.as_array().unwrap().iter().map(|way| fits(value, way, at)).collect();
                if let Some(Err(why)) = ways.iter().find(|_| ways.iter().all(Result::is_err)) {
                    return Err(why.clone());
                }
                ways.iter().filter(|way| way.is_ok()).count() == 1
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    fits(item, wanted, &format!("{at}/{i}"))?;
                }
                true
            }
            "properties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    let member_schema =
                        wanted.get(name).ok_or_else(|| format!("{at}/{name} is not in the contract"))?;
                    fits(member, member_schema, &format!("{at}/{name}"))?;
                }
                true
            }
            "required" => {
                wanted.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "description" | "additionalProperties" | "title" => true,
            other => return Err(format!("{at}: this check does not know the word {other}")),
        };
        if !kept {
            return Err(format!("{at}: {value} breaks {rule}: {wanted}"));
        }
    }
    Ok(())
}

fn has_type(value: &Value, wanted: &Value) -> bool {
    let is = |name: &str| match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("no type of JSON: {other}"),
    };
    match wanted {
        Value::Array(names) => names.iter().any(|name| is(name.as_str().unwrap())),
        name => is(name.as_str().unwrap()),
    }
}

fn has_format(value: &Value, format: &str) -> bool {
    let Some(text) = value.as_str() else { return true };
    format != "uuid" || uuid::Uuid::parse_str(text).is_ok()
}

#[test]
fn the_check_sees_what_is_missing_unknown_and_of_the_wrong_type() {
    let good = serde_json::json!({ "name": "shaled", "version": "1", "api": "v1" });
    assert_eq!(fits_named(&good, "ServerInfo"), Ok(()));
    for (change, told) in [
        (serde_json::json!({ "name": "shaled", "version": "1" }), "required"),
        (serde_json::json!({ "name": "shaled", "version": 1, "api": "v1" }), "type"),
        (serde_json::json!({ "name": "shaled", "version": "1", "api": "v1", "more": 1 }), "/more"),
    ] {
        let why = fits_named(&change, "ServerInfo").unwrap_err();
        assert!(why.contains(told), "{why}");
    }
}
