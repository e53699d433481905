//! The head of a request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Most headers of a request.
const HEADERS: usize = 64;

/// The head of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The method, as sent.
    pub method: String,
    /// The path without the query; a slash at its end is dropped.
    pub path: String,
    /// What follows the path, as sent: for a redirection.
    pub raw_query: String,
    /// The query, decoded. A name without a value has an empty one.
    pub query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    /// Whether the client speaks HTTP/1.0.
    pub is_old: bool,
}

impl Request {
    /// Reads a head that ends with a blank line.
    pub fn parse(head: &[u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        if !parsed.parse(head).ok()?.is_complete() {
            return None;
        }
        let target = parsed.path?;
        let (path, raw_query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = raw_query.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        };
        let header = |header: &httparse::Header| {
            (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).trim().to_owned())
        };
        Some(Self {
            method: parsed.method?.to_owned(),
            path: if path.len() > 1 { path.trim_end_matches('/') } else { path }.to_owned(),
            raw_query: raw_query.to_owned(),
            query: pairs.map(pair).collect(),
            headers: parsed.headers.iter().map(header).collect(),
            is_old: parsed.version == Some(0),
        })
    }

    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the query, or else a cookie.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let query = self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
        query.or_else(|| {
            let cookies = self.header("cookie")?.split([';', '&']);
            let pairs = cookies.filter_map(|cookie| cookie.trim().split_once('='));
            pairs.filter(|(found, _)| *found == name).map(|(_, value)| decoded(value)).next()
        })
    }

    /// The length of the body, if the client says one.
    pub fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// User and password of HTTP's basic authentication.
    pub fn credentials(&self) -> Option<(String, String)> {
        let (scheme, coded) = self.header("authorization")?.split_once(' ')?;
        let text = String::from_utf8(STANDARD.decode(coded.trim()).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        scheme.eq_ignore_ascii_case("basic").then(|| (user.to_owned(), password.to_owned()))
    }

    /// Whether the connection ends with this request.
    pub fn closes(&self) -> bool {
        let said = self.header("connection").unwrap_or_default().to_ascii_lowercase();
        said.contains("close") || (self.is_old && !said.contains("keep-alive"))
    }
}

/// Resolves `%2F` and `+`.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (byte, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(resolved)) => {
                out.push(resolved);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_taken_apart() {
        let head = b"PUT /import_raw_vdi/?vdi=OpaqueRef%3Ax&chunked&a=b+c%zz HTTP/1.1\r\nCookie: session_id=S; x=y\r\n\
            Content-Length: 5\r\nAuthorization: Basic cm9vdDpwYTpzcw==\r\n\r\n";
        let request = Request::parse(head).unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/import_raw_vdi"));
        assert_eq!(request.parameter("vdi").unwrap(), "OpaqueRef:x");
        assert_eq!(request.parameter("chunked").unwrap(), "");
        assert_eq!(request.parameter("a").unwrap(), "b c%zz");
        assert_eq!(request.parameter("session_id").unwrap(), "S");
        assert_eq!(request.parameter("nonesuch"), None);
        assert_eq!(request.content_length(), Some(5));
        assert_eq!(request.credentials().unwrap(), ("root".to_owned(), "pa:ss".to_owned()));
        assert!(!request.closes());
        assert!(Request::parse(b"GET / HTTP/1.0\r\n\r\n").unwrap().closes());
    }

    #[test]
    fn what_is_no_head_is_refused() {
        assert_eq!(Request::parse(b"\r\n\r\n"), None);
        assert_eq!(Request::parse(b"GET\r\n\r\n"), None);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000));
        assert_eq!(Request::parse(many.as_bytes()), None);
    }
}
