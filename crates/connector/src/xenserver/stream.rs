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
    use rustls::{CertificateError, Error as Tls};
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<Tls>());
    let is_refused =
        matches!(inner, Some(Tls::InvalidCertificate(CertificateError::ApplicationVerificationFailure)));
    let Some(seen) = trust.refused().filter(|_| is_refused) else {
        return Error::io(format!("TLS with the host '{host}' failed"), error);
    };
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

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write_vectored(bufs),
            Self::Tls(tls) => tls.write_vectored(bufs),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    use super::super::trust::Fingerprint;
    use super::*;

    /// `openssl s_server` with a certificate of version 1, as older hosts made it for themselves.
    struct Host {
        process: Child,
        address: Address,
    }

    impl Host {
        fn start(folder: &Path, version: &str) -> Self {
            let mut process = Command::new("openssl")
                .args(["s_server", "-accept", "127.0.0.1:0", "-cert", "v1", "-key", "key", version])
                .current_dir(folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut told = BufReader::new(process.stdout.take().unwrap()).lines().map(|line| line.unwrap());
            let place = told.find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned)).unwrap();
            // It goes on telling, and must not be stopped by that nobody listens.
            std::thread::spawn(move || told.for_each(drop));
            Self { process, address: Address::parse(&place).unwrap() }
        }
    }

    impl Drop for Host {
        fn drop(&mut self) {
            self.process.kill().unwrap();
            self.process.wait().unwrap();
        }
    }

    #[test]
    fn a_host_with_a_certificate_of_version_1_is_trusted_by_fingerprint_and_by_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let script = "openssl req -new -newkey rsa:2048 -nodes -keyout key -subj /CN=xen1 -out request &&
            openssl x509 -req -in request -signkey key -out v1";
        let made = Command::new("sh").args(["-ec", script]).current_dir(&folder).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let pin = Fingerprint::of_pem(&std::fs::read_to_string(folder.path().join("v1")).unwrap()).unwrap();
        for version in ["-tls1_2", "-tls1_3"] {
            let host = Host::start(folder.path(), version);
            let mut stream = Stream::connect(&host.address, &Trust::new(&[pin]).unwrap()).unwrap();
            stream.write_all(b"hello\n").and_then(|()| stream.flush()).unwrap();
            drop(stream);
            for pins in [vec![], vec![Fingerprint::of(b"another")]] {
                let refused = Stream::connect(&host.address, &Trust::new(&pins).unwrap()).err().unwrap();
                assert_eq!(refused.kind(), ErrorKind::Unsupported, "{version}");
                assert!(refused.to_string().contains(&pin.to_string()), "{version}: {refused}");
            }
        }
    }
}
