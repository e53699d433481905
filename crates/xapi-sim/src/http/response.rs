//! Replies in the words and headers of the real server, which differ from one kind of reply to another.

/// A page that says what is wrong. The connection ends with it.
pub fn page(status: u16, extra: &str) -> String {
    let (reason, text) = match status {
        400 => ("Bad Request", None),
        401 => ("Unauthorised", Some("HTTP 401 unauthorised</h1>Please check your credentials and retry.")),
        403 => ("Forbidden", Some("HTTP 403 forbidden</h1>Access to the requested resource is forbidden.")),
        404 => ("Not Found", None),
        413 => ("Payload Too Large", None),
        501 => (
            "Method not implemented",
            Some("HTTP 501 method not implemented</h1>Please check your client software and retry."),
        ),
        _ => ("Service Unavailable", None),
    };
    let Some(text) = text else {
        return format!(
            "HTTP/1.1 {status} {reason}\r\nConnection: close\r\nCache-Control: no-cache, no-store\r\n{extra}\r\n"
        );
    };
    html(status, reason, &format!("<html><body><h1>{text}</body></html>"), extra)
}

/// The page of what the server did not foresee, with what happened in the words of its own language.
pub fn failed_page(happened: &str) -> String {
    let body = format!(
        "<html><body><h1>HTTP 500 internal server error</h1>An unexpected error occurred; please wait a while and try \
         again. If the problem persists, please contact your support representative.<h1> Additional information </h1>\
         {}</body></html>",
        escaped(happened)
    );
    html(500, "Internal Error", &body, "")
}

fn html(status: u16, reason: &str, body: &str, extra: &str) -> String {
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-length: {}\r\ncontent-type: text/html\r\nconnection: close\r\n\
         cache-control: no-cache, no-store\r\n{extra}\r\n{body}",
        body.len()
    )
}

/// A reply to a call.
pub fn rpc(content_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: keep-alive\r\ncache-control: no-cache, no-store\r\n\
         content-type: {content_type}\r\nAccess-Control-Allow-Origin: *\r\n\
         Access-Control-Allow-Headers: X-Requested-With\r\n\r\n{body}",
        body.len()
    )
}

/// The reply to OPTIONS.
pub const OPTIONS: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\
    cache-control: no-cache, no-store\r\nAccess-Control-Allow-Origin: *\r\n\
    Access-Control-Allow-Headers: X-Requested-With\r\nAccess-Control-Allow-Methods: PUT\r\n\r\n";

/// The head of a transfer that begins. How it ends only its task tells.
pub fn transfer_head(task: &str, content_type: &str, disposition: Option<&str>) -> String {
    let disposition = disposition
        .map(|name| format!("content-disposition: attachment; filename=\"{name}\"\r\n"))
        .unwrap_or_default();
    format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: no-cache, no-store\r\ntask-id: {task}\r\n\
         content-type: {content_type}\r\n{disposition}\r\n"
    )
}

/// Text within HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_the_words_of_the_real_server() {
        let page = page(403, "");
        assert!(page.starts_with("HTTP/1.1 403 Forbidden\r\ncontent-length: 99\r\n"), "{page}");
        let failed = failed_page("Failure(\"x\")");
        assert!(
            failed.ends_with("<h1> Additional information </h1>Failure(&quot;x&quot;)</body></html>"),
            "{failed}"
        );
    }
}
