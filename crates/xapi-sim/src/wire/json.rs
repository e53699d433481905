//! JSON-RPC 1.0 and 2.0, told apart by `"jsonrpc": "2.0"`. Integers are numbers in replies and either in calls;
//! batches and calls without an `id` are not understood.

use super::{Call, Malformed};
use crate::failure::Reply;
use crate::value::Value;
use serde_json::{Map, Number, Value as Json, json};

/// What a reply needs to know of its call.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    two: bool,
    id: Json,
}

/// Reads a call. serde_json itself bounds the nesting (128).
pub fn parse(body: &str) -> Result<(Call, Envelope), Malformed> {
    let request: Json =
        serde_json::from_str(body).map_err(|e| Malformed(format!("Yojson__Common.Json_error(\"{e}\")")))?;
    let malformed = |text: &str| Malformed(format!("Jsonrpc.Malformed_method_request(\"{text}\")"));
    let Json::Object(mut request) = request else { return Err(malformed("Invalid request body")) };
    let mut field = |name: &str| {
        request.remove(name).ok_or_else(|| malformed(&format!("Invalid field '{name}' in request body")))
    };
    let id = field("id")?;
    let Json::String(method) = field("method")? else { return Err(malformed("Invalid field 'method'")) };
    let two = field("jsonrpc").is_ok_and(|version| version == "2.0");
    let parameters = match field("params") {
        Ok(Json::Array(items)) => items.into_iter().map(value).collect(),
        Ok(Json::Object(members)) => vec![value(Json::Object(members))],
        Ok(_) => return Err(malformed("Invalid field 'params' in request body")),
        Err(_) => Vec::new(),
    };
    Ok((Call { method, parameters }, Envelope { two, id }))
}

/// Writes the reply to a call.
pub fn reply(envelope: &Envelope, outcome: &Reply) -> String {
    let id = &envelope.id;
    let body = match (outcome, envelope.two) {
        (Ok(value), true) => json!({"jsonrpc": "2.0", "result": json(value), "id": id}),
        (Ok(value), false) => json!({"result": json(value), "error": null, "id": id}),
        (Err(failure), true) => {
            let data = failure.0.get(1..).unwrap_or_default();
            json!({"jsonrpc": "2.0", "error": {"code": 1, "message": failure.code(), "data": data}, "id": id})
        }
        (Err(failure), false) => json!({"result": null, "error": failure.0, "id": id}),
    };
    body.to_string()
}

fn value(json: Json) -> Value {
    match json {
        Json::Null => Value::Void,
        Json::Bool(truth) => Value::Bool(truth),
        Json::Number(number) => {
            number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap_or_default()), Value::Int)
        }
        Json::String(text) => Value::String(text),
        Json::Array(items) => Value::Set(items.into_iter().map(value).collect()),
        Json::Object(members) => {
            Value::Map(members.into_iter().map(|(name, json)| (name, value(json))).collect())
        }
    }
}

fn json(value: &Value) -> Json {
    match value {
        Value::Void => Json::String(String::new()),
        Value::String(text) | Value::Time(text) => Json::String(text.clone()),
        Value::Int(number) | Value::Count(number) => Json::from(*number),
        Value::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Set(items) => Json::Array(items.iter().map(json).collect()),
        Value::Map(members) => Json::Object(
            members.iter().map(|(name, value)| (name.clone(), json(value))).collect::<Map<_, _>>(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn answer(body: &str, outcome: &Reply) -> Json {
        serde_json::from_str(&reply(&parse(body).unwrap().1, outcome)).unwrap()
    }

    #[test]
    fn both_versions_are_answered_in_kind() {
        let one = r#"{"method": "a.b", "params": [1, "x", true, 1.5, {"k": []}], "id": 1}"#;
        let two = r#"{"method": "a.b", "params": [], "id": "i", "jsonrpc": "2.0"}"#;
        let call = parse(one).unwrap().0;
        assert_eq!(call.method, "a.b");
        let map = Value::map([("k", Value::Set(vec![]))]);
        let wanted = vec![Value::Int(1), "x".into(), Value::Bool(true), Value::Float(1.5), map];
        assert_eq!(call.parameters, wanted);

        let failure = Err(Failure::new("CODE", ["p"]));
        assert_eq!(answer(one, &Ok(Value::Void)), json!({"result": "", "error": null, "id": 1}));
        assert_eq!(answer(one, &failure), json!({"result": null, "error": ["CODE", "p"], "id": 1}));
        assert_eq!(answer(two, &Ok(Value::Int(5))), json!({"jsonrpc": "2.0", "result": 5, "id": "i"}));
        let error = json!({"code": 1, "message": "CODE", "data": ["p"]});
        assert_eq!(answer(two, &failure), json!({"jsonrpc": "2.0", "error": error, "id": "i"}));
    }

    #[test]
    fn batches_notifications_and_broken_texts_are_not_understood() {
        for body in [
            "{bad",
            "[]",
            "3",
            r#"[{"method": "a.b", "params": [], "id": 1}]"#,
            r#"{"method": "a.b", "params": []}"#,
            r#"{"method": 3, "params": [], "id": 1}"#,
            &"[".repeat(100_000),
        ] {
            assert!(parse(body).is_err(), "{body}");
        }
        assert_eq!(parse(r#"{"method": "a.b", "id": 0}"#).unwrap().0.parameters, []);
    }
}
