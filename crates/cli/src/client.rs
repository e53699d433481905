//! The server's HTTP API as calls: send, read the answer or the problem, ask again where that is safe.
//!
//! One connection per request. A request that carries an id made here, and every GET, is sent again when the
//! connection breaks: the server answers a repeated id as it answered the first time.

use crate::address::{Address, data_dir};
use crate::failure::{Exit, Failure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shale_api::{Code, Page, Problem};
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;
use ureq::http::{Method, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// The largest JSON answer that is read.
const MAX_ANSWER: u64 = 64 << 20;
/// The longest page that the server gives.
const MAX_PAGE: usize = 1000;
/// Pauses before a request is sent again.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_millis(1000)];
/// How long a silent server is waited for. Streams carry a heartbeat every 15 seconds.
const SILENCE: Duration = Duration::from_secs(120);
/// The same where files are put into a machine: they are written as a CD, and sent to a pool, before there is an answer.
const LONG_SILENCE: Duration = Duration::from_secs(3600);

/// Where the server is and how to show who we are, as the command line and the environment say.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// `--server`, else `SHALE_SERVER`.
    pub server: Option<String>,
    /// `SHALE_TOKEN`.
    pub token: Option<String>,
    /// `--token-file`.
    pub token_file: Option<PathBuf>,
    /// `--ca`.
    pub ca: Option<PathBuf>,
    /// What to write before a command that is suggested, so that it reaches the same server.
    pub command: String,
}

/// A server.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    address: Address,
    base: String,
    token: Option<String>,
    command: String,
}

impl Client {
    /// Prepares to talk to the server that `access` names. Nothing is sent yet.
    pub fn new(access: Access) -> Result<Self, Failure> {
        let address = match &access.server {
            Some(text) => Address::parse(text)?,
            None => Address::default_here()?,
        };
        let (agent, base, token) = match &address {
            Address::Unix(path) => (socket_agent(path.clone())?, "http://localhost".into(), None),
            Address::Https(url) => {
                let token = token(&access)?;
                (https_agent(access.ca.clone())?, url.clone(), Some(token))
            }
        };
        Ok(Self { agent, address, base, token, command: access.command })
    }

    /// Whether the server's files are this computer's files.
    pub fn is_here(&self) -> bool {
        matches!(self.address, Address::Unix(_))
    }

    /// Where the console is. By the socket, its address is not known: it is where the server listens unless told otherwise.
    pub fn console(&self) -> &str {
        match &self.address {
            Address::Unix(_) => "https://localhost:8443",
            Address::Https(url) => url,
        }
    }

    /// A command for people to run next, as they would type it for the same server.
    pub fn command(&self, rest: &str) -> String {
        format!("{} {rest}", self.command)
    }

    /// Reads an object.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.repeatable(Method::GET, path, None::<&()>)
    }

    /// Makes an object whose id was made here.
    pub fn create<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.repeatable(Method::POST, path, Some(body))
    }

    /// Asks for something to be done.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.once(&Method::POST, path, Some(body))
    }

    /// Changes an object.
    pub fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.once(&Method::PATCH, path, Some(body))
    }

    /// Puts something in place of what is there.
    pub fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.once(&Method::PUT, path, Some(body))
    }

    /// Sends a part of a file, which begins at `offset`.
    pub fn append<T: DeserializeOwned>(&self, path: &str, offset: u64, part: Vec<u8>) -> Result<T, Failure> {
        let headers = [("content-type", "application/octet-stream"), ("upload-offset", &offset.to_string())];
        let response = self.send(&Method::PATCH, path, Some(part), &headers);
        let response = response.map_err(|e| self.unreachable(&e))?;
        self.read(path, response)
    }

    /// Deletes an object.
    pub fn delete<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.once(&Method::DELETE, path, Some(body))
    }

    /// Reads a list page by page, at most `limit` items.
    pub fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: Option<usize>,
    ) -> Result<Vec<T>, Failure> {
        let mut items: Vec<T> = Vec::new();
        if limit == Some(0) {
            return Ok(items);
        }
        let mut page_token: Option<String> = None;
        loop {
            let left = limit.map(|limit| (limit - items.len()).min(MAX_PAGE).to_string());
            let mut pairs = query.to_vec();
            pairs.extend(left.as_deref().map(|left| ("limit", left)));
            pairs.extend(page_token.as_deref().map(|token| ("page_token", token)));
            let page: Page<T> = self.get(&with_query(path, &pairs))?;
            items.extend(page.items);
            if let Some(limit) = limit {
                items.truncate(limit);
            }
            // A page token that does not move would never end.
            let moved = page.next_page_token.is_some() && page.next_page_token != page_token;
            if !moved || limit.is_some_and(|limit| items.len() >= limit) {
                return Ok(items);
            }
            page_token = page.next_page_token;
        }
    }

    /// Opens a stream: a download, or events.
    pub fn open(&self, path: &str, headers: &[(&str, &str)]) -> Result<Response<Body>, Failure> {
        let response = self.send(&Method::GET, path, None, headers).map_err(|e| self.unreachable(&e))?;
        self.accept(path, response)
    }

    /// Any request; the answer's text, whatever it is, or the problem.
    pub fn raw(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<String, Failure> {
        let bytes = body.map(Value::to_string).map(String::into_bytes);
        let headers: &[_] = if bytes.is_some() { &[("content-type", "application/json")] } else { &[] };
        let response = self.send(method, path, bytes, headers).map_err(|e| self.unreachable(&e))?;
        read_text(self.accept(path, response)?)
    }

    fn repeatable<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        for pause in PAUSES {
            match self.once(&method, path, body) {
                Err(failure) if failure.unreachable && failure.exit == Exit::Failed => sleep(pause),
                other => return other,
            }
        }
        self.once(&method, path, body)
    }

    fn once<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        let bytes = body
            .map(serde_json::to_vec)
            .transpose()
            .map_err(|e| Failure::new(Exit::Failed, format!("cannot write the request: {e}")))?
            // Where nothing is said, nobody may read: a server that answers first would hang up on us while we write.
            .filter(|bytes| bytes != b"{}");
        let headers: &[_] = if bytes.is_some() { &[("content-type", "application/json")] } else { &[] };
        let response = self.send(method, path, bytes, headers).map_err(|e| self.unreachable(&e))?;
        self.read(path, response)
    }

    /// The object in an answer.
    fn read<T: DeserializeOwned>(&self, path: &str, response: Response<Body>) -> Result<T, Failure> {
        let text = read_text(self.accept(path, response)?)?;
        let text = if text.trim().is_empty() { "null" } else { &text };
        serde_json::from_str(text).map_err(|e| {
            Failure::new(
                Exit::Failed,
                format!("{} sent an answer to {path} that is not understood: {e}", self.address),
            )
            .hint(format!("compare `{}` with `shale --version`", self.command("api GET /version")))
        })
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Result<Response<Body>, ureq::Error> {
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}/api/v1{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match body {
            Some(bytes) if method == Method::PUT => {
                let request = self.agent.configure_request(request.body(bytes)?);
                self.agent.run(request.timeout_per_read(Some(LONG_SILENCE)).build())
            }
            Some(bytes) => self.agent.run(request.body(bytes)?),
            // Without a length, "nothing" is a chunk written after the head, to a server that may have answered and gone.
            None if method == Method::POST => self.agent.run(request.body(Vec::new())?),
            None => self.agent.run(request.body(())?),
        }
    }

    /// The answer if it is one, else the problem.
    fn accept(&self, path: &str, response: Response<Body>) -> Result<Response<Body>, Failure> {
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(response);
        }
        let text = read_text(response)?;
        Err(match serde_json::from_str::<Problem>(&text) {
            Ok(problem) => self.refusal(path, problem),
            Err(_) => {
                Failure::new(exit_of_status(status), format!("{} answered HTTP {status}.", self.address))
            }
        })
    }

    fn refusal(&self, path: &str, problem: Problem) -> Failure {
        let noun = noun_of(path);
        let hint = match problem.code {
            Code::Unauthenticated => Some(
                "make a token with `shale token create`, or take the server's own, `token` in its data directory: use \
                 --token-file or SHALE_TOKEN"
                    .into(),
            ),
            Code::NotFound | Code::Exists => noun.map(|noun| self.command(&format!("{noun} list"))),
            Code::NotAllowed => noun.map(|noun| format!("{} says what is possible now", self.command(&format!("{noun} show")))),
            Code::Busy => problem.task_id.map(|id| self.command(&format!("task watch {id}"))),
            Code::Internal => problem.request_id.as_ref().map(|id| format!("please report this with request {id}")),
            Code::Invalid
            | Code::Unsupported
            | Code::Unavailable
            | Code::Forbidden
            | Code::TooMany
            | Code::Conflict => None,
        };
        let text = if problem.detail.is_empty() { problem.title } else { problem.detail };
        Failure { exit: problem.code.into(), text, fields: problem.errors, hint, unreachable: false }
    }

    /// Why there was no answer.
    fn unreachable(&self, error: &ureq::Error) -> Failure {
        let text = format!("cannot reach the server at {}: {error}", self.address);
        let mut failure = match error {
            ureq::Error::Io(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                Failure::new(Exit::Auth, text).hint("run this as the user that runs the server, or as root")
            }
            error if is_distrust(error) => Failure::new(Exit::Auth, text).hint(
                "give the server's certificate (`tls/cert.pem` in its data directory) with --ca or SHALE_CA",
            ),
            _ => Failure::new(Exit::Failed, text)
                .hint("is it running (`shale serve`)? name another one with --server or SHALE_SERVER"),
        };
        failure.unreachable = true;
        failure
    }
}

/// Whether TLS failed. What fails in the handshake comes wrapped as an I/O error.
fn is_distrust(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Rustls(_) => true,
        ureq::Error::Io(e) => e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()),
        _ => false,
    }
}

/// `path?a=b&c=d` with the values encoded.
pub fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut out = path.to_owned();
    for (i, (name, value)) in pairs.iter().enumerate() {
        out.push(if i == 0 { '?' } else { '&' });
        out.push_str(&format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
    }
    out
}

/// The command-line noun for what a path names.
fn noun_of(path: &str) -> Option<&'static str> {
    let kind = path.trim_start_matches('/').split(['/', '?']).next()?;
    ["layer", "version", "machine", "task", "connector", "user", "token", "upload"]
        .into_iter()
        .find(|noun| kind.strip_suffix('s') == Some(noun))
}

fn exit_of_status(status: u16) -> Exit {
    match status {
        401 | 403 => Exit::Auth,
        404 | 410 => Exit::NotFound,
        409 | 412 => Exit::Conflict,
        400 | 413 | 415 | 422 => Exit::Usage,
        _ => Exit::Failed,
    }
}

fn read_text(mut response: Response<Body>) -> Result<String, Failure> {
    let mut text = String::new();
    response
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER)
        .reader()
        .read_to_string(&mut text)
        .map_err(|e| Failure { unreachable: true, ..Failure::io("the server's answer broke off", &e) })?;
    Ok(text)
}

fn config() -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_idle_connections(0)
        .proxy(None)
        .user_agent(concat!("shale/", env!("CARGO_PKG_VERSION")))
        .accept("application/json, application/problem+json, */*")
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_per_read(Some(SILENCE))
}

#[cfg(unix)]
fn socket_agent(path: PathBuf) -> Result<Agent, Failure> {
    use crate::unix::{NoNames, UnixConnector};
    Ok(Agent::with_parts(config().build(), UnixConnector { path }, NoNames))
}

#[cfg(not(unix))]
fn socket_agent(_: PathBuf) -> Result<Agent, Failure> {
    Err(Failure::usage("Unix sockets are not for this system: use --server https://host:port."))
}

fn https_agent(ca: Option<PathBuf>) -> Result<Agent, Failure> {
    let path = ca.or_else(|| Some(data_dir()?.join("tls/cert.pem"))).ok_or_else(|| {
        Failure::new(Exit::Auth, "No certificate is given for the server: use --ca FILE or set SHALE_CA.")
    })?;
    let pem = fs::read(&path).map_err(|e| {
        Failure::new(Exit::Auth, format!("cannot read the server's certificate {}: {e}", path.display()))
            .hint("give it with --ca FILE or SHALE_CA; the server keeps it as `tls/cert.pem` in its data directory")
    })?;
    let certificates: Vec<Certificate<'static>> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(Failure::new(Exit::Auth, format!("{} holds no certificate (PEM).", path.display())));
    }
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&certificates))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Ok(config().https_only(true).tls_config(tls).build().new_agent())
}

fn token(access: &Access) -> Result<String, Failure> {
    let file = access.token_file.clone();
    if let (None, Some(token)) = (&file, &access.token) {
        return Ok(token.trim().to_owned());
    }
    let path = file.or_else(|| Some(data_dir()?.join("token"))).ok_or_else(|| {
        Failure::new(
            Exit::Auth,
            "No token is given for the server: use --token-file FILE or set SHALE_TOKEN.",
        )
    })?;
    let text = fs::read_to_string(&path).map_err(|e| {
        Failure::new(Exit::Auth, format!("cannot read the token file {}: {e}", path.display()))
            .hint("use --token-file FILE or set SHALE_TOKEN")
    })?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values_are_encoded() {
        assert_eq!(
            with_query("/layers", &[("kind", "os"), ("name", "Win 11 & more?")]),
            "/layers?kind=os&name=Win%2011%20%26%20more%3F"
        );
        assert_eq!(with_query("/layers", &[]), "/layers");
    }

    #[test]
    fn an_answer_that_is_no_problem_still_has_its_exit_code() {
        let table = [
            (401, Exit::Auth),
            (404, Exit::NotFound),
            (409, Exit::Conflict),
            (422, Exit::Usage),
            (502, Exit::Failed),
        ];
        for (status, exit) in table {
            assert_eq!(exit_of_status(status), exit);
        }
    }

    #[test]
    fn a_path_names_a_noun_of_the_command_line() {
        assert_eq!(noun_of("/layers/0199/versions"), Some("layer"));
        assert_eq!(noun_of("/tasks?state=done"), Some("task"));
        assert_eq!(noun_of("/repository"), None);
    }
}
