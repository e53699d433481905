//! A disk read at any place, by NBD: where a network of the pool has that purpose.
//! Its server is read-only and has no word for what is empty.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::thread;

use serde_json::json;
use shale_disk::nbd::client::{Client, Handshake};

use super::pool::{Pool, held};
use super::record::{self, NbdPlace, Network};
use super::stream::{Stream, dial};
use super::trust::{Fingerprint, Trust};
use crate::{Error, ErrorKind, Result};

/// Connections at once: one waits for the storage while another is on the way.
const CONNECTIONS: usize = 4;
/// Bytes that a connection fetches before it takes the next part.
const PART: u64 = 8 << 20;
/// Pieces that wait to be taken.
const WAITING: usize = 8;

/// The network that disks are served on, and whether that is encrypted; none when the pool has none, or only one in
/// the clear while transfers are to be encrypted. A pool refuses to have both.
pub(super) fn network(pool: &Pool) -> Result<Option<(Network, bool)>> {
    let networks: BTreeMap<String, Network> = record::all(pool.call("network.get_all_records", &[])?)?;
    let found = networks.into_values().find_map(|network| {
        let has = |purpose: &str| network.purpose.iter().any(|p| p == purpose);
        let encrypted = has("nbd");
        (encrypted || has("insecure_nbd")).then_some((network, encrypted))
    });
    Ok(found.filter(|(_, encrypted)| *encrypted || !pool.settings.https_transfers))
}

/// Where a disk is served; empty when the pool has no network for it. Those that are in the clear have no certificate:
/// the pool names one all the same.
pub(super) fn places(pool: &Pool, vdi: &str) -> Result<Vec<NbdPlace>> {
    let Some((_, encrypted)) = network(pool)? else { return Ok(Vec::new()) };
    let mut places: Vec<NbdPlace> = record::one(pool.call("VDI.get_nbd_info", &[json!(vdi)])?)?;
    for place in places.iter_mut().filter(|_| !encrypted) {
        place.cert.clear();
    }
    Ok(places)
}

/// A connection to a disk.
pub(super) struct Reader(Client<Stream>);

impl Reader {
    /// Connects to the first place that answers.
    pub fn open(places: &[NbdPlace]) -> Result<Self> {
        let mut last = Error::new(ErrorKind::Unsupported, "no network of the pool has the purpose 'nbd'");
        for place in places {
            match Self::open_at(place) {
                Ok(reader) => return Ok(reader),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    fn open_at(place: &NbdPlace) -> Result<Self> {
        let failed = |e| {
            let what = format!("the disk cannot be read by NBD from '{}'", place.address);
            Error::new(ErrorKind::Io, format!("{what}: {}", without_session(&e, &place.exportname)))
        };
        let port = u16::try_from(place.port).map_err(|e| {
            Error::new(ErrorKind::Io, format!("the pool serves NBD on port {}", place.port)).with_source(e)
        })?;
        let tcp = dial(&place.address, port)?;
        // The certificate came over a trusted connection.
        let client = match Fingerprint::of_pem(&place.cert) {
            None if !place.cert.is_empty() => {
                let what = format!("the certificate of the NBD server at '{}' cannot be read", place.address);
                return Err(Error::new(ErrorKind::Io, what));
            }
            None => Handshake::begin(Stream::Plain(tcp)).and_then(|shake| shake.open(&place.exportname)),
            Some(certificate) => {
                let trust = Trust::new(&[certificate])?;
                let encrypt = |tcp| {
                    Stream::begin_tls(tcp, &place.address, &trust).map_err(|e| {
                        let what = "the NBD server cannot be trusted";
                        shale_disk::Error::new(shale_disk::ErrorKind::Io, what).with_source(e)
                    })
                };
                Handshake::begin(tcp)
                    .and_then(|shake| shake.start_tls(encrypt))
                    .and_then(|s| s.open(&place.exportname))
            }
        };
        client.map(Self).map_err(failed)
    }

    /// Bytes of the disk.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Reads ranges; `take` is given where, and the bytes there.
    pub fn read(
        &mut self,
        ranges: &[Range<u64>],
        take: impl FnMut(u64, &[u8]) -> shale_disk::Result<()>,
    ) -> Result<()> {
        self.0
            .read_many(ranges.iter().cloned(), take)
            .map_err(|e| Error::disk("the disk cannot be read by NBD", e))
    }
}

/// What went wrong. A server may repeat the export's name, in which the session is as good as a password.
fn without_session(e: &shale_disk::Error, export: &str) -> String {
    let session = export.split_once("session_id=").map_or(export, |(_, session)| session);
    let text = std::error::Error::source(e).map_or_else(|| e.to_string(), |cause| format!("{e}: {cause}"));
    if session.is_empty() { text } else { text.replace(session, "…") }
}

/// Reads ranges over several connections. `take` is given where, and the bytes there, in any order.
pub(super) fn read_all(
    places: &[NbdPlace],
    ranges: &[(u64, u64)],
    mut take: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let parts: Vec<Range<u64>> =
        ranges.iter().flat_map(|(start, length)| parts(*start, start + length)).collect();
    let wanted = CONNECTIONS.min(parts.len());
    let left = Mutex::new(parts.into_iter());
    let (give, given) = sync_channel::<Result<(u64, Vec<u8>)>>(WAITING);
    thread::scope(|scope| {
        for _ in 0..wanted {
            let (give, left) = (give.clone(), &left);
            scope.spawn(move || {
                if let Err(e) = fetch(places, left, &give) {
                    // Nobody waits for it once another one has failed.
                    let _ = give.send(Err(e));
                }
            });
        }
        drop(give);
        // Taken by value: when this ends early, the threads find nobody to give to, and end.
        for piece in given {
            let (offset, bytes) = piece?;
            take(offset, &bytes)?;
        }
        Ok(())
    })
}

/// Fetches parts as long as there are any.
fn fetch(
    places: &[NbdPlace],
    left: &Mutex<std::vec::IntoIter<Range<u64>>>,
    give: &std::sync::mpsc::SyncSender<Result<(u64, Vec<u8>)>>,
) -> Result<()> {
    let mut reader = Reader::open(places)?;
    let next = || held(left).next();
    while let Some(part) = next() {
        reader.read(&[part], |offset, bytes| {
            give.send(Ok((offset, bytes.to_vec()))).map_err(|_| {
                shale_disk::Error::new(shale_disk::ErrorKind::Stopped, "nobody wants it any more")
            })
        })?;
    }
    Ok(())
}

fn parts(start: u64, end: u64) -> impl Iterator<Item = Range<u64>> {
    let mut at = start;
    std::iter::from_fn(move || {
        let stop = ((at / PART + 1) * PART).min(end);
        let part = at..stop;
        at = stop;
        (!part.is_empty()).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_in_an_exports_name_is_not_in_what_is_told() {
        let said = "the NBD server refuses; it says: no export /1234?session_id=OpaqueRef:secret here";
        let error = shale_disk::Error::new(shale_disk::ErrorKind::Unsupported, said);
        let told = without_session(&error, "/1234?session_id=OpaqueRef:secret");
        assert!(told.contains("/1234") && !told.contains("secret"), "{told}");
    }

    #[test]
    fn ranges_are_fetched_in_parts_that_cover_them_once() {
        let found: Vec<_> = parts(PART - 512, 2 * PART + 1).collect();
        assert_eq!(found, [PART - 512..PART, PART..2 * PART, 2 * PART..2 * PART + 1]);
        assert_eq!(parts(5, 5).count(), 0);
    }
}
