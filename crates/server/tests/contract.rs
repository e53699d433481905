//! The committed `openapi.json` is the contract: what the server says now, and fit to make a client from.

use serde_json::Value;
use std::collections::BTreeSet;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn committed() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi.json");
    std::fs::read_to_string(path).unwrap_or_default()
}

fn document() -> Value {
    serde_json::to_value(shale_server::http::document()).unwrap()
}

/// Every operation as (`get /path`, operation).
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        let methods = METHODS.iter().filter_map(move |method| Some((*method, item.get(method)?)));
        methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    all.collect()
}

#[test]
fn the_committed_contract_is_what_the_server_says() {
    let now = serde_json::to_string_pretty(&shale_server::http::document()).unwrap() + "\n";
    assert!(
        committed() == now,
        "openapi.json is not up to date. run: cargo run -p shale-server -- openapi > openapi.json"
    );
}

#[test]
fn it_is_openapi_3_1_and_says_how_to_sign_in() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let scheme = &document["components"]["securitySchemes"]["bearer"];
    assert_eq!((scheme["type"].as_str(), scheme["scheme"].as_str()), (Some("http"), Some("bearer")));
    assert!(document["security"].as_array().unwrap().iter().any(|way| way.get("bearer").is_some()));
}

#[test]
fn operations_have_ids_of_their_own_that_say_what_they_do() {
    let document = document();
    let tags: BTreeSet<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut seen = BTreeSet::new();
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(seen.insert(id.to_owned()), "{id} twice");
        assert!(id.contains('_') && id == id.to_lowercase(), "{name}: {id} is not a verb and a noun");
        let tag = operation["tags"][0].as_str().unwrap();
        assert!(tags.contains(tag), "{name}: the tag {tag} is not described");
        assert!(
            operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
            "{name} is not described"
        );
    }
    assert!(seen.len() > 30, "{}", seen.len());
}

#[test]
fn whatever_is_refused_is_a_problem() {
    let document = document();
    for (name, operation) in operations(&document) {
        for status in ["4XX", "5XX"] {
            let reference = operation["responses"][status]["$ref"].as_str();
            assert_eq!(reference, Some("#/components/responses/Problem"), "{name} {status}");
        }
    }
    let content = &document["components"]["responses"]["Problem"]["content"];
    assert_eq!(content["application/problem+json"]["schema"]["$ref"], "#/components/schemas/Problem");
    let events = &document["paths"]["/api/v1/events"]["get"]["responses"]["200"]["content"];
    assert_eq!(events["text/event-stream"]["schema"]["$ref"], "#/components/schemas/Event");
}

#[test]
fn every_reference_leads_somewhere_and_every_part_is_used() {
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference} leads nowhere");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        let reference = format!("#/components/schemas/{name}");
        assert!(found.contains(reference.as_str()), "nothing uses {name}");
    }
}
