//! A connection to a host: TCP, with TLS or without.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::address::Address;
use super::trust::Trust;
use crate::{Error, ErrorKind, Result};

/// How long a host may take to accept a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How long a host may be silent, or not take what is sent, before it is given up.
pub(super) const SILENCE: Duration = Duration::from_secs(120);

/// A connection.
pub(super) enum Stream {
    /// In the clear.
    Plain(TcpStream),
    /// With TLS.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connects; a host that is not trusted is refused before anything is sent to it.
    pub fn connect(address: &Address, trust: &Trust) -> Result<Self> {
        let tcp = dial(&address.host, address.port)?;
        if address.tls { Self::begin_tls(tcp, &address.host, trust) } else { Ok(Self::Plain(tcp)) }
    }

    /// TLS over a connection, up to the end of its handshake.
    pub fn begin_tls(mut tcp: TcpStream, host: &str, trust: &Trust) -> Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(|e| {
            Error::new(ErrorKind::Unsupported, format!("'{host}' is no name of a host")).with_source(e)
        })?;
        let mut tls = ClientConnection::new(trust.client(), name)
            .map_err(|e| Error::new(ErrorKind::Unsupported, "TLS cannot be set up").with_source(e))?;
        tls.complete_io(&mut tcp).map_err(|e| refusal(host, trust, e))?;
        Ok(Self::Tls(Box::new(StreamOwned::new(tls, tcp))))
    }

    /// The socket below.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.sock,
        }
    }

    /// Sets how long the host may be silent.
    pub fn set_silence(&self, silence: Duration) -> io::Result<()> {
        self.tcp().set_read_timeout(Some(silence))
    }
}

/// Connects by TCP to the first of the host's addresses that answers.
pub(super) fn dial(host: &str, port: u16) -> Result<TcpStream> {
    let failed = |e: io::Error| Error::io(format!("the host '{host}', port {port}, cannot be reached"), e);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs().map_err(failed)? {
        match TcpStream::connect_timeout(&address, CONNECT_PATIENCE) {
            Ok(tcp) => {
                let set = tcp.set_nodelay(true).and_then(|()| tcp.set_write_timeout(Some(SILENCE)));
                set.and_then(|()| tcp.set_read_timeout(Some(SILENCE))).map_err(failed)?;
                return Ok(tcp);
            }
            Err(e) => last = e,
        }
    }
    Err(failed(last))
}

/// Why TLS was not begun.
fn refusal(host: &str, trust: &Trust, error: io::Error) -> Error {
    let is_certificate = |e: &rustls::Error| matches!(e, rustls::Error::InvalidCertificate(_));
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    if !inner.is_some_and(is_certificate) {
        return Error::io(format!("TLS with the host '{host}' failed"), error);
    }
    let seen = trust.refused().map_or_else(String::new, |seen| seen.to_string());
    let why = match trust.is_pinned() {
        true => "is not the one that was confirmed: it was changed, or somebody stands in between",
        false => "is not signed by an authority that this server trusts",
    };
    let what = format!(
        "the certificate of the host '{host}' {why}; its SHA-256 fingerprint is {seen}; compare it on the host's \
         console with: openssl x509 -noout -fingerprint -sha256 -in /etc/xensource/xapi-ssl.pem"
    );
    Error::new(ErrorKind::Unsupported, what).with_source(error)
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = match self {
            Self::Plain(tcp) => tcp.read(buf),
            Self::Tls(tls) => match tls.read(buf) {
                // Hosts close without TLS's farewell. Whoever reads knows by other means where the end is.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                other => other,
            },
        };
        read.map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::TimedOut, "the host is silent"),
            _ => e,
        })
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(buf),
            Self::Tls(tls) => tls.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}
