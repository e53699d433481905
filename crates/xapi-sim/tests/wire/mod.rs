//! A client of the simplest kind, for tests that look at what really goes over the wire.
#![allow(dead_code, reason = "each test uses its part")]

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// For an answer: longer than any call here is held, such as the start or the end of a guest.
const PATIENCE: Duration = Duration::from_secs(300);

/// What came back.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub reason: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Sends a request and reads what comes until the connection ends; nothing if it ends without an answer.
pub fn send(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Option<Response> {
    let mut socket = TcpStream::connect(address.trim_start_matches("http://")).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    // The server may have enough before all is sent.
    let _ = socket.write_all((head + "\r\n").as_bytes()).and_then(|()| socket.write_all(body));
    let _ = socket.shutdown(Shutdown::Write);
    let mut all = Vec::new();
    let _ = socket.read_to_end(&mut all);
    parse(&all)
}

fn parse(all: &[u8]) -> Option<Response> {
    let end = all.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.splitn(3, ' ').skip(1);
    Some(Response {
        status: first.next()?.parse().unwrap(),
        reason: first.next().unwrap_or_default().to_owned(),
        headers: lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect(),
        body: all[end + 4..].to_vec(),
    })
}

/// A JSON-RPC session.
pub struct Client {
    pub address: String,
    pub session: String,
}

impl Client {
    /// Logs in; the failure's strings if that is refused.
    pub fn login(address: &str, user: &str) -> Result<Self, Vec<String>> {
        let mut client = Self { address: address.to_owned(), session: String::new() };
        let session = client.raw("session.login_with_password", json!([user, "password", "1.0", "test"]));
        client.session = session.expect("an answer")?.as_str().unwrap().to_owned();
        Ok(client)
    }

    pub fn root(address: &str) -> Self {
        Self::login(address, "root").unwrap()
    }

    fn raw(&self, method: &str, params: Value) -> Option<Result<Value, Vec<String>>> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let length = ("Content-Length".to_owned(), body.len().to_string());
        let reply = send(&self.address, "POST", "/jsonrpc", &[length], body.as_bytes())?.json();
        let Some(error) = reply.get("error") else { return Some(Ok(reply["result"].clone())) };
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let data = error["data"].as_array().unwrap().iter().map(text);
        Some(Err(std::iter::once(text(&error["message"])).chain(data).collect()))
    }

    /// Calls a method; nothing if the connection ends without a reply.
    pub fn attempt(&self, method: &str, params: Value) -> Option<Result<Value, Vec<String>>> {
        let mut all = vec![json!(self.session)];
        all.extend(params.as_array().unwrap().iter().cloned());
        self.raw(method, Value::Array(all))
    }

    /// Calls a method that must work.
    #[track_caller]
    pub fn call(&self, method: &str, params: Value) -> Value {
        self.attempt(method, params)
            .expect("an answer")
            .unwrap_or_else(|failure| panic!("{method}: {failure:?}"))
    }

    /// [`Client::call`], for a result that is a string.
    #[track_caller]
    pub fn text(&self, method: &str, params: Value) -> String {
        self.call(method, params).as_str().unwrap().to_owned()
    }

    /// Calls a method that must fail, and gives why.
    #[track_caller]
    pub fn fail(&self, method: &str, params: Value) -> Vec<String> {
        match self.attempt(method, params).expect("an answer") {
            Ok(value) => panic!("{method} worked: {value}"),
            Err(failure) => failure,
        }
    }

    /// Makes a disk.
    pub fn disk(&self, sr: &str, size: u64) -> String {
        let record = json!({"name_label": "disk", "SR": sr, "virtual_size": size, "type": "user", "sharable": false,
            "read_only": false, "other_config": {}});
        self.text("VDI.create", json!([record]))
    }

    /// Sends a disk's content under a task of its own; gives the response and the ended task.
    pub fn put(&self, query: &str, body: &[u8]) -> (Option<Response>, Value) {
        let length = ("Content-Length".to_owned(), body.len().to_string());
        self.transfer("PUT", "/import_raw_vdi", query, &[length], body)
    }

    /// Fetches a disk's content under a task of its own; gives the response and the ended task.
    pub fn get(&self, query: &str) -> (Option<Response>, Value) {
        self.transfer("GET", "/export_raw_vdi", query, &[], &[])
    }

    fn transfer(
        &self,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> (Option<Response>, Value) {
        let task = self.text("task.create", json!(["transfer", ""]));
        let target = format!("{path}?session_id={}&task_id={task}&{query}", self.session);
        let response = send(&self.address, method, &target, headers, body);
        (response, self.ended(&task))
    }

    /// Waits for a task; nothing if it is gone.
    pub fn ended(&self, task: &str) -> Value {
        let mut token = String::new();
        for _ in 0..30 {
            match self.attempt("task.get_record", json!([task])).expect("an answer") {
                Ok(record) if record["status"] != "pending" && record["status"] != "cancelling" => {
                    return record;
                }
                Ok(_) => {}
                Err(_) => return Value::Null,
            }
            let batch = self.call("event.from", json!([[format!("task/{task}")], token, 10.0]));
            token = batch["token"].as_str().unwrap().to_owned();
        }
        panic!("the task {task} does not end");
    }
}
