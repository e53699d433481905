//! `shale api`: any request, for what has no command of its own.

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::terminal::{Format, Terminal};
use serde_json::Value;
use std::io::Read;
use ureq::http::Method;

/// What `shale api` takes.
#[derive(Debug, clap::Args)]
pub struct Request {
    /// GET, POST, PUT, PATCH or DELETE
    method: String,
    /// Path below /api/v1, with its query
    path: String,
    /// Body as JSON; @FILE reads it from a file, @- from stdin
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
}

/// Sends the request and prints the answer.
pub fn run(request: &Request, client: &Client, terminal: &Terminal) -> Outcome {
    let method: Method = match request.method.to_ascii_uppercase().as_str() {
        name @ ("GET" | "POST" | "PATCH" | "PUT" | "DELETE") => {
            name.parse().map_err(|_| Failure::usage(format!("'{name}' is not a method.")))?
        }
        other => {
            return Err(Failure::usage(format!(
                "'{other}' is not a method: use GET, POST, PUT, PATCH or DELETE."
            )));
        }
    };
    let path = below_base(&request.path)?;
    let body = request.data.as_deref().map(read_body).transpose()?;
    let text = client.raw(&method, &path, body.as_ref())?;
    match serde_json::from_str::<Value>(&text) {
        Ok(value) if terminal.format == Format::Yaml => terminal.report(&value, |_| String::new())?,
        Ok(value) => terminal.print(&format!("{value:#}\n"))?,
        Err(_) => terminal.print(&text)?,
    }
    Ok(Exit::Ok)
}

/// The path below `/api/v1`, whether it was typed with it, without it, or without its slash.
fn below_base(path: &str) -> Result<String, Failure> {
    let rest = path.strip_prefix("/api/v1").unwrap_or(path);
    let path = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    if path.contains(char::is_whitespace) || path.contains("://") {
        return Err(Failure::usage(format!("'{path}' is not a path: use one such as /layers?kind=os.")));
    }
    Ok(path)
}

fn read_body(data: &str) -> Result<Value, Failure> {
    let text = match data.strip_prefix('@') {
        None => data.to_owned(),
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|e| Failure::io("cannot read stdin", &e))?;
            text
        }
        Some(file) => {
            std::fs::read_to_string(file).map_err(|e| Failure::io(format!("cannot read '{file}'"), &e))?
        }
    };
    serde_json::from_str(&text).map_err(|e| Failure::usage(format!("The body is not JSON: {e}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_be_typed_with_or_without_the_base() {
        for path in ["/api/v1/tasks?limit=1", "/tasks?limit=1", "tasks?limit=1"] {
            assert_eq!(below_base(path).unwrap(), "/tasks?limit=1");
        }
        assert!(below_base("https://elsewhere/x").is_err());
    }
}
