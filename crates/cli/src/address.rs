//! Where the server is and how to show who we are.
//!
//! | address | who we are |
//! |---|---|
//! | `unix:/path/shaled.sock` | whoever may open the socket (0600) |
//! | `https://host:port` | a bearer token; the server's certificate, or its issuer, is given as a file |
//!
//! A server on this computer keeps its socket, token and certificate in its data directory, which is where they are
//! looked for when nothing else is said.

use crate::failure::Failure;
use std::fmt;
use std::path::PathBuf;

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A unix socket on this computer.
    Unix(PathBuf),
    /// `https://host[:port]` without a slash at the end.
    Https(String),
}

impl Address {
    /// Reads what `--server` or `SHALE_SERVER` says.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(Failure::usage(format!("'{text}' needs an absolute path: unix:/path/shaled.sock.")))
            };
        }
        match text.strip_prefix("https://").map(|rest| rest.trim_end_matches('/')) {
            Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']) => {
                Ok(Self::Https(format!("https://{host}")))
            }
            _ => Err(Failure::usage(format!(
                "'{text}' is not a server's address: use unix:/path/shaled.sock or https://host:port."
            ))),
        }
    }

    /// The socket of the server that runs with the default data directory on this computer.
    pub fn default_here() -> Result<Self, Failure> {
        let none = || Failure::usage("No server is named: use --server URL or set SHALE_SERVER.");
        if cfg!(unix) {
            Ok(Self::Unix(data_dir().ok_or_else(none)?.join("shaled.sock")))
        } else {
            Err(none())
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Https(url) => f.write_str(url),
        }
    }
}

/// The server's data directory, as the server itself finds it: `SHALE_DATA`, else `/var/lib/shale` for root, else
/// `shale` in the user's own data directory.
pub fn data_dir() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("SHALE_DATA").filter(|dir| !dir.is_empty()) {
        return std::path::absolute(dir).ok();
    }
    if is_root() {
        return Some("/var/lib/shale".into());
    }
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/share")))
        .map(|dir| dir.join("shale"))
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_https_urls_are_addresses() {
        assert_eq!(Address::parse("unix:/run/s.sock").unwrap(), Address::Unix("/run/s.sock".into()));
        assert_eq!(Address::parse("unix:///run/s.sock").unwrap(), Address::Unix("/run/s.sock".into()));
        assert_eq!(
            Address::parse("https://shale.example:8443/").unwrap(),
            Address::Https("https://shale.example:8443".into())
        );
    }

    #[test]
    fn plain_http_relative_sockets_and_paths_in_urls_are_refused() {
        for text in ["http://h:1", "unix:s.sock", "https://", "https://h/api", "https://u:p@h", "h:1", ""] {
            assert_eq!(Address::parse(text).unwrap_err().exit, crate::failure::Exit::Usage, "{text}");
        }
    }
}
