//! Contents of disks to a pool and from it, by HTTP.
//!
//! ```text
//!   PUT /import_raw_vdi    an empty one first: a host that does not see the storage sends us to one that does (302)
//!   GET /export_raw_vdi    goes to the end of the connection
//! ```
//!
//! `200 OK` means nothing: it is sent before the host has begun. Only the end of the transfer's task tells.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use shale_disk::Watch;

use super::address::Address;
use super::cleanup;
use super::http::{Connection, Head, broken, with_query};
use super::pool::{Access, Pool};
use super::sparse;
use super::task::Transfer;
use crate::{Error, ErrorKind, Result, Tag};

/// Hosts that one may be sent to in turn.
const REDIRECTS: usize = 3;
/// How long the task of a transfer that broke may take to tell why.
const REASON_PATIENCE: Duration = Duration::from_secs(5);

/// What is exported.
#[derive(Clone, Copy)]
pub(super) struct Export<'a> {
    /// The disk's reference.
    pub vdi: &'a str,
    /// `vhd` or `raw`.
    pub format: &'a str,
    /// Only what differs from this disk.
    pub base: Option<&'a str>,
    /// Whether all is wanted, so that the task's end counts.
    pub whole: bool,
}

/// Sends a sparse body (see [`sparse`]) of `length` bytes into a disk; `write` writes it.
pub(super) fn import(
    pool: &Pool,
    vdi: &str,
    tag: &Tag,
    length: u64,
    watch: Watch,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let host = find_host(pool, vdi, tag)?;
    cleanup::await_detached(pool, vdi)?;
    let transfer = Transfer::begin(pool, "Shale sends a disk", tag)?;
    let access = pool.access()?;
    let target = import_target(&access, vdi, &transfer.task);
    let mut connection = Connection::open(&host, &pool.trust)?;
    connection.ask("PUT", &target, Some(length)).map_err(|e| broken(&host, e))?;
    let sent = write(&mut connection).and_then(|()| connection.flush().map_err(|e| broken(&host, e)));
    if let Err(e) = sent {
        return Err(if e.kind() == ErrorKind::Stopped { e } else { reason(&transfer, e) });
    }
    let head = connection.answer().map_err(|e| reason(&transfer, broken(&host, e)))?;
    if head.status != 200 {
        return Err(reason(&transfer, unexpected(&host, &head)));
    }
    transfer.wait("the upload of a disk", watch)
}

/// Reads an export; `read` takes its body.
pub(super) fn export<T>(
    pool: &Pool,
    what: Export,
    tag: &Tag,
    watch: Watch,
    read: impl FnOnce(&mut dyn Read) -> Result<T>,
) -> Result<T> {
    let transfer = Transfer::begin(pool, "Shale reads a disk", tag)?;
    let mut host = transfer_address(pool, &pool.access()?.host.host);
    for _ in 0..REDIRECTS {
        let access = pool.access()?;
        let mut query =
            vec![("session_id", access.session.as_str()), ("vdi", what.vdi), ("format", what.format)];
        query.extend(what.base.map(|base| ("base", base)));
        query.push(("task_id", &transfer.task));
        let mut connection = Connection::open(&host, &pool.trust)?;
        let asked = connection.ask("GET", &with_query("/export_raw_vdi", &query), None);
        let head =
            asked.and_then(|()| connection.answer()).map_err(|e| reason(&transfer, broken(&host, e)))?;
        match head.status {
            200 => {
                let got = read(&mut connection).map_err(|e| {
                    // Of what happened on this side the pool knows nothing.
                    let is_ours =
                        matches!(e.kind(), ErrorKind::Stopped | ErrorKind::Full | ErrorKind::Damaged);
                    if is_ours { e } else { reason(&transfer, e) }
                })?;
                if what.whole {
                    drop(connection);
                    transfer.wait("the reading of a disk", watch)?;
                }
                return Ok(got);
            }
            302 => host = redirect(pool, &host, &head)?,
            401 => {
                pool.forget(&access.session);
                return Err(unexpected(&host, &head));
            }
            _ => return Err(reason(&transfer, unexpected(&host, &head))),
        }
    }
    Err(Error::new(ErrorKind::Io, "the pool's hosts send each other the transfer of a disk"))
}

/// The host to send a disk's contents to: asked with nothing but the end of a sparse body, which changes nothing.
fn find_host(pool: &Pool, vdi: &str, tag: &Tag) -> Result<Address> {
    let mut host = transfer_address(pool, &pool.access()?.host.host);
    for _ in 0..REDIRECTS {
        let access = pool.access()?;
        let mut connection = Connection::open(&host, &pool.trust)?;
        // Without one of ours, the host makes a task that stays behind for an hour.
        let asking = Transfer::begin(pool, "Shale asks for the host that sees a disk", tag)?;
        let target = import_target(&access, vdi, &asking.task);
        let head = connection
            .ask("PUT", &target, Some(sparse::END.len() as u64))
            .and_then(|()| connection.write_all(&sparse::END))
            .and_then(|()| connection.flush())
            .and_then(|()| connection.answer())
            .map_err(|e| broken(&host, e))?;
        match head.status {
            200 => {
                // Until it hangs up, the host has the disk in use. How it ended does not matter here.
                let _ = io::copy(&mut connection.take(1 << 16), &mut io::sink());
                return Ok(host);
            }
            302 => host = redirect(pool, &host, &head)?,
            // The session ended between being looked at and now.
            401 => pool.forget(&access.session),
            _ => return Err(reason(&asking, unexpected(&host, &head))),
        }
    }
    Err(Error::new(ErrorKind::Io, "the pool's hosts send each other the transfer of a disk"))
}

fn import_target(access: &Access, vdi: &str, task: &str) -> String {
    let session = ("session_id", access.session.as_str());
    let query = [session, ("vdi", vdi), ("format", "raw"), ("chunked", "true"), ("task_id", task)];
    with_query("/import_raw_vdi", &query)
}

/// How disks travel to and from a host: encrypted, or in the clear if the settings want that.
fn transfer_address(pool: &Pool, host: &str) -> Address {
    let usual = pool.configured().of_host(host);
    match usual.tls && !pool.settings.https_transfers {
        true => Address { tls: false, port: 80, ..usual },
        false => usual,
    }
}

/// Where a host sends us. The session goes only to hosts of the pool.
fn redirect(pool: &Pool, from: &Address, head: &Head) -> Result<Address> {
    let location = head.header("location").unwrap_or_default();
    let to = Address::parse(location).ok().filter(|to| pool.is_member(&to.host));
    let Some(to) = to else {
        let what = format!(
            "the host '{}' sends the transfer of a disk to another one that the pool does not list",
            from.host
        );
        return Err(Error::new(ErrorKind::Unsupported, what));
    };
    // The same way as before, on the port that is told if one is.
    let has_port = location.split_once("://").is_some_and(|(_, rest)| {
        rest.split(['/', '?']).next().is_some_and(|authority| authority.ends_with(&format!(":{}", to.port)))
    });
    let usual = transfer_address(pool, &to.host);
    Ok(if has_port && to.tls == usual.tls { to } else { usual })
}

fn unexpected(host: &Address, head: &Head) -> Error {
    let Head { status, reason, .. } = head;
    let what = format!("the host '{}' refused the transfer of a disk: HTTP {status} {reason}", host.host);
    let kind = if *status == 403 { ErrorKind::Unsupported } else { ErrorKind::Io };
    Error::new(kind, what)
}

/// Why a transfer broke: what its task says, if it says anything soon; else what was seen here.
fn reason(transfer: &Transfer, seen: Error) -> Error {
    let deadline = Instant::now() + REASON_PATIENCE;
    let patience =
        |_| if Instant::now() < deadline { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    match transfer.fate("the transfer of a disk", &patience) {
        Some(told) => told,
        None => seen,
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::super::settings::Settings;
    use super::*;

    fn pool(address: &str, https_transfers: bool) -> Pool {
        let (address, user) = (address.to_owned(), "root".to_owned());
        let settings =
            Settings { address, user, https_transfers, allow_plain_http: true, ..Settings::default() };
        Pool::new(settings, Memory::in_folder(std::path::Path::new("/nonexistent"))).unwrap()
    }

    #[test]
    fn disks_travel_as_the_settings_say() {
        let table = [
            ("https://xen1:8443", true, "https://xen2:8443"),
            ("https://xen1:8443", false, "http://xen2:80"),
            ("http://xen1:8080", true, "http://xen2:8080"),
            ("http://xen1:8080", false, "http://xen2:8080"),
        ];
        for (address, https, expected) in table {
            assert_eq!(transfer_address(&pool(address, https), "xen2").to_string(), expected);
        }
    }

    #[test]
    fn a_redirection_is_followed_to_hosts_of_the_pool_only() {
        let pool = pool("https://xen1:8443", true);
        let from = Address::parse("https://xen1:8443").unwrap();
        let to = |location: &str| {
            redirect(&pool, &from, &Head::with("location", location)).map(|to| to.to_string())
        };
        assert_eq!(to("https://xen1/import_raw_vdi?vdi=1").unwrap(), "https://xen1:8443");
        assert_eq!(to("https://xen1:9443/import_raw_vdi?vdi=1").unwrap(), "https://xen1:9443");
        assert_eq!(
            to("http://xen1/import_raw_vdi").unwrap(),
            "https://xen1:8443",
            "never in the clear unasked"
        );
        for bad in ["https://evil/import_raw_vdi", "https://xen1@evil/", "", "/import_raw_vdi"] {
            assert!(to(bad).is_err(), "{bad}");
        }
    }
}
