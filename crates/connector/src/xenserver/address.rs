//! Where a host is: `[https://]host[:port]`.

use std::fmt;

use crate::{Error, ErrorKind, Result};

/// A host's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    /// HTTPS, or HTTP in the clear.
    pub tls: bool,
    /// Name or IP address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Address {
    /// Reads what a person writes, or a host sends as a `Location`: any path is left out.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            let what = format!("address is {text:?}; it must be a name or an IP address, perhaps with :port");
            Error::new(ErrorKind::Unsupported, what)
        };
        let (tls, rest) = match text.trim() {
            rest if rest.starts_with("http://") => (false, &rest["http://".len()..]),
            rest => (true, rest.strip_prefix("https://").unwrap_or(rest)),
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (host, port) = v6.split_once(']').ok_or_else(wrong)?;
                (host, port.strip_prefix(':'))
            }
            // More than one colon without brackets: IPv6 alone.
            None if authority.matches(':').count() > 1 => (authority, None),
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || !host.chars().all(fits) {
            return Err(wrong());
        }
        let port = match port {
            Some(port) => port.parse().map_err(|_| wrong())?,
            None if tls => 443,
            None => 80,
        };
        Ok(Self { tls, host: host.to_owned(), port })
    }

    /// Another host of the pool, reached the same way.
    pub fn of_host(&self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self.clone() }
    }

    /// `host:port` as in a URL.
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_and_hosts_write_them() {
        let table = [
            ("xen1", "https://xen1:443"),
            (" xen1:8443 ", "https://xen1:8443"),
            ("https://10.0.0.1/", "https://10.0.0.1:443"),
            ("http://10.0.0.1:8080", "http://10.0.0.1:8080"),
            ("https://10.0.0.1/import_raw_vdi?vdi=x", "https://10.0.0.1:443"),
            ("https://xen1?session_id=x", "https://xen1:443"),
            ("[fd00::1]:8443", "https://[fd00::1]:8443"),
            ("fd00::1", "https://[fd00::1]:443"),
        ];
        for (text, expected) in table {
            assert_eq!(Address::parse(text).unwrap().to_string(), expected, "{text}");
        }
        for bad in
            ["", "https://", "xen1:port", "xen1:99999", "u:p@xen1", "xen 1", "[fd00::1", "xen1\r\nX: y"]
        {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
