//! The table of roles, held against every operation of the contract: each is tried by each role, and by nobody.

use crate::service::{Service, V1, text};
use axum::body::Body;
use axum::extract::Extension;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use shale_model::{Need, Role};
use shale_server::requests::{Actor, Identity};
use tower::ServiceExt;
use uuid::Uuid;

/// Method, path with the id of nothing, and name of every operation.
fn operations() -> Vec<(String, String, String)> {
    let document = serde_json::to_value(shale_server::http::document()).unwrap();
    let nothing = Uuid::now_v7().to_string();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((
                method.to_uppercase(),
                path.replace("{id}", &nothing),
                text(&operation["operationId"]),
            ));
        }
    }
    assert!(all.len() > 40, "{}", all.len());
    all
}

/// Status and problem of a request as somebody with this role; without one, as nobody.
async fn ask(service: &Service, role: Option<Role>, method: &str, path: &str) -> (u16, Value) {
    let mut router = shale_server::http::router(service.app.clone());
    if let Some(role) = role {
        let identity = Identity::Token(Uuid::nil());
        router = router.layer(Extension(Actor { name: "a test".into(), role, identity }));
    }
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    if status == 200 {
        // A stream has no end.
        return (status, Value::Null);
    }
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_lets_in_whom_the_table_names_and_nobody_else() {
    let service = Service::start().await;
    for (method, path, id) in operations() {
        for role in std::iter::once(None).chain(Role::ALL.map(Some)) {
            let (status, problem) = ask(&service, role, &method, &path).await;
            let refused = match (shale_model::need(&id), role) {
                (Need::Nobody, _) => None,
                (Need::Role(_), None) => Some(401),
                (Need::Role(needed), Some(role)) => (needed > role).then_some(403),
            };
            match refused {
                Some(wanted) => assert_eq!(status, wanted, "{id} as {role:?}: {problem}"),
                None => assert!(!matches!(status, 401 | 403), "{id} as {role:?}: {status} {problem}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_does_not_exist_is_not_told_from_others_to_nobody() {
    let service = Service::start().await;
    let nothing = format!("{V1}/nothing");
    assert_eq!(ask(&service, None, "GET", &nothing).await.0, 401);
    assert_eq!(ask(&service, None, "GET", "/api/openapi.json").await.0, 401);
    assert_eq!(ask(&service, Some(Role::Reader), "GET", &nothing).await.0, 404);
    assert_eq!(ask(&service, Some(Role::Reader), "GET", "/api/openapi.json").await.0, 200);
}

#[test]
fn the_table_names_no_operation_that_does_not_exist() {
    let source = include_str!("../../../model/src/role.rs");
    let part = |from: &str, to: &str| source.split_once(from).unwrap().1.split_once(to).unwrap().0;
    let table =
        format!("{}{}", part("pub fn need(", "_ => Role::Administrator"), part("const GENERAL", "];"));
    let known: Vec<String> = operations().into_iter().map(|(_, _, id)| id).collect();
    let named: Vec<&str> = table.split('"').skip(1).step_by(2).collect();
    assert!(named.len() > 20);
    for name in named {
        assert!(known.iter().any(|id| id == name), "{name} is no operation");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_cannot_read_or_write_files_of_the_servers_host_nor_finalize_anyway() {
    let service = Service::start().await;
    let (_, version) = service.layer("Debian").await;
    let import = crate::service::new_layer("Stolen", std::path::Path::new("/etc/shadow"));
    let export = serde_json::json!({ "format": "raw", "path": service.path("out.raw"), "overwrite": true });
    let export_path = format!("{V1}/versions/{version}/export");
    let anyway = serde_json::json!({ "anyway": true, "reason": "CHG-4711" });
    let anyway_path = format!("{V1}/versions/{version}/finalize");
    for (path, body, needed) in [
        (format!("{V1}/layers"), import, Role::Administrator),
        (export_path, export, Role::Administrator),
        (anyway_path, anyway, Role::Approver),
    ] {
        for role in [Role::Editor, Role::Approver, Role::Administrator] {
            let identity = Identity::Token(Uuid::nil());
            let router = shale_server::http::router(service.app.clone());
            let router = router.layer(Extension(Actor { name: "a test".into(), role, identity }));
            let request = Request::post(&path).header("content-type", "application/json");
            let response = router.oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
            assert_eq!(response.status() == 403, role < needed, "{path} as {role}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_refuse_the_actions_that_the_role_of_the_one_who_asks_would_be_refused() {
    let service = Service::start().await;
    let (layer, version) = service.layer("Debian").await;
    let connector = service.connector().await;
    let views = [
        format!("{V1}/layers/{layer}"),
        format!("{V1}/versions/{version}"),
        format!("{V1}/connectors/{connector}"),
    ];
    for (path, as_editor) in views.iter().zip([true, true, false]) {
        for role in Role::ALL {
            let identity = Identity::Token(Uuid::nil());
            let router = shale_server::http::router(service.app.clone());
            let router = router.layer(Extension(Actor { name: "a test".into(), role, identity }));
            let response = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            let view: Value = serde_json::from_slice(&bytes).unwrap();
            let edit =
                view["actions"].as_array().unwrap().iter().find(|action| action["name"] == "edit").unwrap();
            let allowed = role == Role::Administrator || (role >= Role::Editor && as_editor);
            assert_eq!(edit["allowed"], allowed, "{path} {role}");
            if !allowed {
                assert!(text(&edit["reason"]).contains("needs the role"), "{edit}");
            }
        }
    }
}
