//! Signing in over real HTTPS: the first administrator, sessions, users, tokens, and who is slowed down.

use crate::process::{Process, Told};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use uuid::Uuid;

const PASSWORD: &str = "correct horse battery";

/// Somebody with a browser: the cookie and what it must repeat.
#[derive(Clone)]
pub struct Browser {
    pub cookie: String,
    pub csrf: String,
}

impl Browser {
    /// Takes up the session that an answer opened.
    #[track_caller]
    fn of(told: Told) -> Self {
        assert_eq!(told.status, 201, "{told:?}");
        let set = told.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        let (cookie, rules) = set.split_once(';').unwrap();
        for rule in ["path=/", "secure", "httponly", "samesite=strict"] {
            assert!(rules.split(';').any(|found| found.trim() == rule), "{set}");
        }
        assert!(!rules.contains("domain"), "{set}");
        let cookie = format!("Cookie: {}", cookie.replace("__host-", "__Host-"));
        Self { cookie, csrf: format!("X-Shale-CSRF: {}", told.json["csrf"].as_str().unwrap()) }
    }

    fn sign_in(server: &Process, name: &str, password: &str) -> Self {
        Self::of(server.ask("POST", "/session", &[], Some(&json!({ "name": name, "password": password }))))
    }

    pub fn ask(&self, server: &Process, method: &str, path: &str, body: Option<&Value>) -> Told {
        server.ask(method, path, &[&self.cookie, &self.csrf], body)
    }
}

/// A server whose administrator is ada, and her browser.
fn set_up() -> (tempfile::TempDir, Process, Browser) {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(&folder.path().join("data"));
    let code = server.setup_code.clone().unwrap();
    let order = json!({ "code": code, "name": "Ada", "password": PASSWORD });
    let ada = Browser::of(server.ask("POST", "/setup", &[], Some(&order)));
    (folder, server, ada)
}

/// A user that ada makes, signed in.
fn user(server: &Process, ada: &Browser, name: &str, role: &str) -> (String, Browser) {
    let id = Uuid::now_v7().to_string();
    let order = json!({ "id": id, "name": name, "role": role, "password": PASSWORD });
    ada.ask(server, "POST", "/users", Some(&order)).expect(201);
    (id, Browser::sign_in(server, name, PASSWORD))
}

#[test]
fn there_is_no_default_password_and_only_the_printed_code_makes_the_first_administrator() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let first = Process::start(&data);
    let session = first.ask("GET", "/session", &[], None).expect(200);
    assert_eq!((&session["setup_needed"], &session["user"]), (&json!(true), &Value::Null));
    for (name, password) in [("admin", "admin"), ("administrator", ""), ("root", "shale")] {
        let order = json!({ "name": name, "password": password });
        first.ask("POST", "/session", &[], Some(&order)).refused(401, "unauthenticated");
    }
    first.ask("GET", "/layers", &[], None).refused(401, "unauthenticated");
    let old = first.setup_code.clone().unwrap();
    drop(first);

    let server = Process::start(&data);
    let code = server.setup_code.clone().unwrap();
    assert_ne!(old, code, "each start has its own");
    let order = |code: &str, password: &str| json!({ "code": code, "name": "Ada", "password": password });
    for wrong in [old.as_str(), "", "AAAA-AAAA"] {
        let problem =
            server.ask("POST", "/setup", &[], Some(&order(wrong, PASSWORD))).refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/code");
    }
    let problem = server.ask("POST", "/setup", &[], Some(&order(&code, "short"))).refused(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/password");
    let token = format!("Authorization: Bearer {}", server.token());
    let shown = server.ask("POST", "/setup/code", &[&token], None).expect(200);
    assert_eq!(shown["code"], json!(code));
    server.ask("POST", "/setup/code", &[], None).refused(401, "unauthenticated");

    let ada = Browser::of(server.ask("POST", "/setup", &[], Some(&order(&code, PASSWORD))));
    let session = ada.ask(&server, "GET", "/session", None).expect(200);
    assert_eq!(
        (&session["setup_needed"], &session["user"]["role"]),
        (&json!(false), &json!("administrator"))
    );
    let again = order(&code, PASSWORD);
    server.ask("POST", "/setup", &[], Some(&again)).refused(409, "not_allowed");
    server.ask("POST", "/setup/code", &[&token], None).refused(409, "not_allowed");
    drop(server);
    assert_eq!(Process::start(&data).setup_code, None);
}

#[test]
fn a_session_outlives_the_server_and_ends_when_its_user_signs_out() {
    let (folder, server, ada) = set_up();
    ada.ask(&server, "GET", "/layers", None).expect(200);
    drop(server);
    let server = Process::start(&folder.path().join("data"));
    let session = ada.ask(&server, "GET", "/session", None).expect(200);
    assert_eq!(session["user"]["name"], "Ada");
    let end: Timestamp = session["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(end > Timestamp::now() + SignedDuration::from_hours(11), "{session}");
    assert!(format!("X-Shale-CSRF: {}", session["csrf"].as_str().unwrap()) == ada.csrf);
    let catalog = std::fs::read(folder.path().join("data/catalog.db")).unwrap();
    let secret = ada.cookie.split('=').nth(1).unwrap().as_bytes();
    assert!(!catalog.windows(secret.len()).any(|part| part == secret), "only its digest is kept");

    let gone = ada.ask(&server, "DELETE", "/session", None);
    assert!(gone.head.contains("__host-shale=;") && gone.head.contains("max-age=0"), "{gone:?}");
    gone.expect(204);
    ada.ask(&server, "GET", "/layers", None).refused(401, "unauthenticated");
    let session = ada.ask(&server, "GET", "/session", None).expect(200);
    assert_eq!(session["user"], Value::Null);
}

#[test]
fn another_sites_page_can_do_nothing_with_the_cookie() {
    let (_folder, server, ada) = set_up();
    let order = json!({ "id": Uuid::now_v7(), "name": "second", "kind": "local" });
    for with in [
        vec![ada.cookie.as_str()],
        vec![&ada.cookie, "X-Shale-CSRF: "],
        vec![&ada.cookie, "X-Shale-CSRF: 0000000000000000000000000000000000000000000000000000000000000000"],
        vec![&ada.cookie, &ada.csrf, "Origin: https://elsewhere.example"],
        vec![&ada.cookie, &ada.csrf, "Origin: null"],
    ] {
        server.ask("POST", "/connectors", &with, Some(&order)).refused(403, "forbidden");
        server.ask("DELETE", "/session", &with, None).refused(403, "forbidden");
    }
    let socket = "/machines/01900000-0000-7000-8000-000000000000/screen";
    let upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    let ask = |origin: &str| {
        let own = [ada.cookie.as_str(), origin, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="];
        server.ask("GET", socket, &[&upgrade[..], &own].concat(), None).status
    };
    assert_eq!(ask("Origin: https://elsewhere.example"), 403);
    let own = format!("Origin: {}", server.address);
    assert_eq!(ask(&own), 404);
    server.ask("POST", "/connectors", &[&ada.cookie, &ada.csrf, &own], Some(&order)).expect(201);
}

#[test]
fn guesses_are_slowed_by_name_and_told_when_to_come_back() {
    let (_folder, server, ada) = set_up();
    let guess = |name: &str| {
        server.ask("POST", "/session", &[], Some(&json!({ "name": name, "password": "wrong wrong wrong" })))
    };
    let told: Vec<Told> = (0..5).map(|_| guess("ADA")).collect();
    assert!(told.iter().all(|told| told.status == 401), "{told:?}");
    // The pauses double: however long a guess takes on this machine, one of the next few comes too early. (Not more than that: all
    // come from one address, which is slowed after twenty.)
    let slowed = (0..5).map(|_| guess("ADA")).find(|told| told.status == 429).expect("slowed");
    let wait = slowed.head.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!(wait.parse::<u64>().unwrap() >= 1, "{slowed:?}");
    assert_eq!(slowed.json["code"], "too_many");
    assert_eq!(guess("nobody").status, 401, "another name is not");
    ada.ask(&server, "GET", "/layers", None).expect(200);
    // Unknown users are slowed as well: an answer does not tell who there is.
    assert!((0..9).any(|_| guess("nobody").status == 429));
}

#[test]
fn a_user_is_made_changed_and_deleted_and_the_last_administrator_stays() {
    let (_folder, server, ada) = set_up();
    let (id, eve) = user(&server, &ada, "Eve", "reader");
    let path = format!("/users/{id}");
    eve.ask(&server, "GET", "/layers", None).expect(200);
    let refused = eve.ask(&server, "GET", "/users", None).refused(403, "forbidden");
    assert!(refused["detail"].as_str().unwrap().contains("needs the role administrator"), "{refused}");
    let taken = json!({ "id": Uuid::now_v7(), "name": "EVE", "role": "reader", "password": PASSWORD });
    let problem = ada.ask(&server, "POST", "/users", Some(&taken)).refused(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/name");
    let weak = json!({ "id": Uuid::now_v7(), "name": "bob", "role": "reader", "password": "bob" });
    ada.ask(&server, "POST", "/users", Some(&weak)).refused(422, "invalid");

    // What she may do changes at once.
    ada.ask(&server, "PATCH", &path, Some(&json!({ "role": "administrator" }))).expect(200);
    let all = eve.ask(&server, "GET", "/users", None).expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    ada.ask(&server, "PATCH", &path, Some(&json!({ "role": "editor" }))).expect(200);
    let own = all["items"][0]["id"].as_str().unwrap();
    let problem = ada
        .ask(&server, "PATCH", &format!("/users/{own}"), Some(&json!({ "role": "reader" })))
        .refused(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/role");
    ada.ask(&server, "DELETE", &format!("/users/{own}"), None).refused(409, "not_allowed");

    // A new password ends her sessions; her own change of it keeps the one she is in.
    ada.ask(&server, "PATCH", &path, Some(&json!({ "password": "another long one" }))).expect(200);
    eve.ask(&server, "GET", "/layers", None).refused(401, "unauthenticated");
    let (one, two) = (
        Browser::sign_in(&server, "eve", "another long one"),
        Browser::sign_in(&server, "Eve", "another long one"),
    );
    let wrong = json!({ "old_password": "not this one", "new_password": "a third long one" });
    let problem = one.ask(&server, "PUT", "/session/password", Some(&wrong)).refused(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/old_password");
    let right = json!({ "old_password": "another long one", "new_password": "a third long one" });
    one.ask(&server, "PUT", "/session/password", Some(&right)).expect(204);
    one.ask(&server, "GET", "/layers", None).expect(200);
    two.ask(&server, "GET", "/layers", None).refused(401, "unauthenticated");
    ada.ask(&server, "DELETE", &path, Some(&json!({ "comment": "left" }))).expect(204);
    one.ask(&server, "GET", "/layers", None).refused(401, "unauthenticated");
    let audit = ada.ask(&server, "GET", "/audit", None).expect(200).to_string();
    for told in ["set_up", "sign_in", "create_user", "edit_user", "change_password", "delete_user", "left"] {
        assert!(audit.contains(told), "{told}: {audit}");
    }
    assert!(!audit.contains(PASSWORD) && !audit.contains("third long"));
}

#[test]
fn a_stream_of_events_ends_when_its_user_has_another_role_or_is_gone() {
    let (_folder, server, ada) = set_up();
    let (id, eve) = user(&server, &ada, "Eve", "reader");
    let path = format!("/users/{id}");
    let watch = || {
        let mut stream = Command::new("curl");
        stream.args(["--silent", "--fail", "--no-buffer", "--max-time", "120", "--cacert"]);
        stream.args([&server.certificate(), "--header", &eve.cookie, "--header", "Last-Event-ID: 1"]);
        stream.arg(format!("{}/api/v1/events", server.address)).stdout(Stdio::piped()).spawn().unwrap()
    };
    let ends = |mut stream: Child| {
        // It stands: from so long ago, something was missed.
        let mut lines = BufReader::new(stream.stdout.take().unwrap()).lines().map_while(Result::ok);
        lines.find(|line| line.contains(r#""kind":"reset""#)).expect("a stream");
        move || {
            let told: Vec<String> = lines.filter(|line| line.starts_with("data:")).collect();
            assert!(stream.wait().unwrap().success(), "the server ended it, and not curl's patience");
            told
        }
    };
    let raised = ends(watch());
    // Whether somebody else signs in is not her business.
    user(&server, &ada, "Mallory", "reader");
    ada.ask(&server, "PATCH", &path, Some(&json!({ "role": "editor" }))).expect(200);
    let told = raised();
    assert!(told.iter().all(|line| line.contains(&id)), "{told:?}");
    let gone = ends(watch());
    ada.ask(&server, "DELETE", &path, None).expect(204);
    gone();
}

#[test]
fn a_token_is_shown_once_works_in_its_role_and_is_refused_when_its_time_is_over() {
    let (folder, server, ada) = set_up();
    let order = |name: &str, hours: i64| {
        let end = Timestamp::now() + SignedDuration::from_hours(hours);
        json!({ "id": Uuid::now_v7(), "name": name, "role": "editor", "expires_at": end.to_string() })
    };
    for hours in [-1, 24 * 400] {
        let problem = ada.ask(&server, "POST", "/tokens", Some(&order("ci", hours))).refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/expires_at");
    }
    let wanted = order("ci", 1);
    let made = ada.ask(&server, "POST", "/tokens", Some(&wanted)).expect(201);
    ada.ask(&server, "POST", "/tokens", Some(&wanted)).refused(409, "exists");
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("shale_") && secret.len() == 70, "{secret}");
    let bearer = format!("Authorization: Bearer {secret}");
    server.ask("GET", "/layers", &[&bearer], None).expect(200);
    server.ask("GET", "/tokens", &[&bearer], None).refused(403, "forbidden");
    let session = server.ask("GET", "/session", &[&bearer], None).expect(200);
    assert_eq!((&session["user"]["role"], &session["csrf"]), (&json!("editor"), &Value::Null));
    let listed = ada.ask(&server, "GET", "/tokens", None).expect(200);
    assert!(listed["items"][0]["last_used_at"].is_string());
    assert!(!listed.to_string().contains(secret));
    // A wrong token is not made up for by a cookie.
    server
        .ask("GET", "/layers", &[&ada.cookie, "Authorization: Bearer shale_x"], None)
        .refused(401, "unauthenticated");

    let past = "UPDATE tokens SET expires_at = '2020-01-01T00:00:00.000Z'";
    crate::service::run("sqlite3", &[folder.path().join("data/catalog.db").to_str().unwrap(), past]);
    server.ask("GET", "/layers", &[&bearer], None).refused(401, "unauthenticated");

    let other = ada.ask(&server, "POST", "/tokens", Some(&order("other", 1))).expect(201);
    let bearer = format!("Authorization: Bearer {}", other["secret"].as_str().unwrap());
    server.ask("GET", "/layers", &[&bearer], None).expect(200);
    let path = format!("/tokens/{}", other["token"]["id"].as_str().unwrap());
    ada.ask(&server, "DELETE", &path, None).expect(204);
    server.ask("GET", "/layers", &[&bearer], None).refused(401, "unauthenticated");
}

#[test]
fn a_session_in_which_nothing_happens_ends_and_so_does_an_old_one() {
    let (folder, server, ada) = set_up();
    let catalog = folder.path().join("data/catalog.db");
    let set = |column: &str, hours: i64| {
        let at = Timestamp::now() - SignedDuration::from_hours(hours);
        let sql = format!("UPDATE sessions SET {column} = '{at:.3}'");
        crate::service::run("sqlite3", &[catalog.to_str().unwrap(), &sql]);
    };
    set("seen_at", 11);
    ada.ask(&server, "GET", "/layers", None).expect(200);
    let session = ada.ask(&server, "GET", "/session", None).expect(200);
    let end: Timestamp = session["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(end > Timestamp::now() + SignedDuration::from_hours(11), "it was used: {session}");
    set("created_at", 24 * 7 + 1);
    ada.ask(&server, "GET", "/layers", None).refused(401, "unauthenticated");
    let ada = Browser::sign_in(&server, "ada", PASSWORD);
    set("seen_at", 13);
    ada.ask(&server, "GET", "/layers", None).refused(401, "unauthenticated");
}
