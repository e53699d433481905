//! NBD with and without TLS: our server read by QEMU and by our client, our client reading QEMU's server.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use shale_disk::nbd::client::{Client, Handshake};
use shale_disk::{Disk, Error, FileDisk};
use uuid::Uuid;
use xapi_sim::nbd::Server;

const SIZE: u64 = 24 << 20;

/// An authority and a server's certificate for 127.0.0.1, and a disk, in a folder.
struct Fixture {
    folder: tempfile::TempDir,
    authority: CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: KeyPair,
    raw: PathBuf,
    vdi: Uuid,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issuer_key = KeyPair::generate().unwrap();
        let mut issuer = CertificateParams::new(Vec::new()).unwrap();
        issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        issuer.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = issuer.self_signed(&issuer_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = server.signed_by(&key, &Issuer::new(issuer, issuer_key)).unwrap();
        // The names that QEMU looks for.
        for (name, text) in [
            ("ca-cert.pem", authority.pem()),
            ("server-cert.pem", certificate.pem()),
            ("server-key.pem", key.serialize_pem()),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let raw = folder.path().join("disk.raw");
        let content: Vec<u8> = (0..SIZE as u32).map(|i| (i / 509).wrapping_mul(i % 7) as u8).collect();
        fs::write(&raw, content).unwrap();
        Self {
            folder,
            authority: authority.der().clone(),
            certificate: certificate.der().clone(),
            key,
            raw,
            vdi: Uuid::new_v4(),
        }
    }

    /// Our server, which gives the disk to one session.
    fn serve(&self, is_encrypted: bool) -> Server {
        let tls = is_encrypted.then(|| {
            let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
            let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
            let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
            Arc::new(config.with_single_cert(vec![self.certificate.clone()], key).unwrap())
        });
        let (vdi, raw) = (self.vdi, self.raw.clone());
        let find = move |asked: Uuid, session: &str| {
            let is_known = asked == vdi && session == "OpaqueRef:good";
            is_known.then(|| Arc::new(FileDisk::open(&raw).unwrap()) as Arc<dyn Disk>)
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Server::start(listener, tls, Box::new(find)).unwrap()
    }

    fn export(&self) -> String {
        format!("/{}?session_id=OpaqueRef:good", self.vdi)
    }

    /// Shakes hands as a client that trusts the authority.
    fn encrypt(&self, plain: TcpStream) -> shale_disk::Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, plain);
        stream.conn.complete_io(&mut stream.sock).map_err(|e| Error::io("cannot encrypt", e))?;
        Ok(stream)
    }

    fn assert_reads<S: Read + Write>(&self, mut client: Client<S>) {
        assert_eq!(client.size(), SIZE);
        let mut bytes = vec![0; SIZE as usize];
        client.read(&mut bytes, 0).unwrap();
        assert!(bytes == fs::read(&self.raw).unwrap());
        client.leave();
    }

    /// `qemu-img compare` of the disk behind a server with the file.
    fn qemu_compares(&self, server: &Server, is_encrypted: bool) -> std::process::Output {
        let tls = if is_encrypted { r#","tls-creds":"tls""# } else { "" };
        let image = format!(
            r#"json:{{"driver":"raw","file":{{"driver":"nbd","export":"{}","server":{{"type":"inet","host":"127.0.0.1","port":"{}"}}{tls}}}}}"#,
            self.export(),
            server.address().port()
        );
        let mut command = Command::new("qemu-img");
        command.args(["compare", "-F", "raw"]);
        if is_encrypted {
            let credentials = "tls-creds-x509,id=tls,endpoint=client,verify-peer=on,dir=";
            command.args(["--object", &format!("{credentials}{}", text(self.folder.path()))]);
        }
        command.args([&image, text(&self.raw)]).output().expect("qemu-img runs")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn qemu_reads_our_server_with_and_without_tls() {
    let fixture = Fixture::new();
    for is_encrypted in [false, true] {
        let server = fixture.serve(is_encrypted);
        let compared = fixture.qemu_compares(&server, is_encrypted);
        assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stderr));
    }
}

#[test]
fn a_server_that_demands_tls_gives_nothing_without() {
    let fixture = Fixture::new();
    let server = fixture.serve(true);
    let refused = fixture.qemu_compares(&server, false);
    assert!(!refused.status.success());
    let connect = || Handshake::begin(TcpStream::connect(server.address()).unwrap()).unwrap();
    let error = connect().open(&fixture.export()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("demands encryption"), "{error}");
    let client = connect().start_tls(|plain| fixture.encrypt(plain)).unwrap();
    fixture.assert_reads(client.open(&fixture.export()).unwrap());

    let open = fixture.serve(false);
    let plain = Handshake::begin(TcpStream::connect(open.address()).unwrap()).unwrap();
    assert!(plain.start_tls(|plain| fixture.encrypt(plain)).is_err(), "and one without has none");
}

#[test]
fn a_disk_is_given_to_its_session_only() {
    let fixture = Fixture::new();
    let server = fixture.serve(false);
    let open = |export: &str| {
        Handshake::begin(TcpStream::connect(server.address()).unwrap()).unwrap().open(export).map(|_| ())
    };
    open(&fixture.export()).unwrap();
    let other = Uuid::new_v4();
    for wrong in [
        String::new(),
        format!("/{}", fixture.vdi),
        format!("/{}?session_id=OpaqueRef:bad", fixture.vdi),
        format!("/{other}?session_id=OpaqueRef:good"),
    ] {
        assert!(open(&wrong).unwrap_err().to_string().contains("none of that name"), "{wrong}");
    }
}

#[test]
fn older_clients_choose_by_name_and_writes_are_refused() {
    let fixture = Fixture::new();
    let server = fixture.serve(false);
    let mut client = TcpStream::connect(server.address()).unwrap();
    client.read_exact(&mut [0; 18]).unwrap();
    client.write_all(&[0, 0, 0, 1]).unwrap(); // fixed newstyle, with the 124 zeroes
    let name = fixture.export();
    let option = [b"IHAVEOPT\0\0\0\x01", &(name.len() as u32).to_be_bytes()[..], name.as_bytes()].concat();
    client.write_all(&option).unwrap();
    let mut export = [0; 134];
    client.read_exact(&mut export).unwrap();
    assert_eq!(export[..8], SIZE.to_be_bytes());
    assert_eq!(export[8..10], [0, 3], "read-only");
    let mut ask = |kind: u8, offset: u64, length: u32| {
        client.write_all(&[0x25, 0x60, 0x95, 0x13, 0, 0, 0, kind]).unwrap();
        client.write_all(b"cookie!!").unwrap();
        client.write_all(&offset.to_be_bytes()).unwrap();
        client.write_all(&length.to_be_bytes()).unwrap();
        client.write_all(&vec![1; if kind == 1 { length as usize } else { 0 }]).unwrap();
        let mut reply = [0; 16];
        client.read_exact(&mut reply).unwrap();
        assert_eq!(&reply[8..], b"cookie!!");
        let error = u32::from_be_bytes(reply[4..8].try_into().unwrap());
        let mut data = vec![0; if (kind, error) == (0, 0) { length as usize } else { 0 }];
        client.read_exact(&mut data).unwrap();
        (error, data)
    };
    assert_eq!(ask(1, 0, 70_000).0, 1, "writes are refused, and their data skipped");
    assert_eq!(ask(6, 0, 512).0, 1, "write zeroes");
    assert_eq!(ask(7, 0, 512).0, 22, "block status");
    assert_eq!(ask(0, SIZE - 100, 101).0, 22, "past the end");
    assert_eq!(ask(0, u64::MAX, 100).0, 22, "past all ends");
    assert_eq!(ask(0, 0, 33 << 20).0, 75, "too much at once");
    let (error, data) = ask(0, 1000, 5000);
    assert!(error == 0 && data == fs::read(&fixture.raw).unwrap()[1000..6000]);
}

#[test]
fn the_seventeenth_client_is_turned_away_until_one_leaves() {
    let fixture = Fixture::new();
    let server = fixture.serve(false);
    let connect = || Handshake::begin(TcpStream::connect(server.address()).unwrap());
    let mut clients: Vec<_> = (0..16).map(|_| connect().unwrap().open(&fixture.export()).unwrap()).collect();
    assert!(connect().is_err());
    clients.pop().unwrap().leave();
    let deadline = Instant::now() + Duration::from_secs(240);
    let seated = loop {
        match connect() {
            Ok(client) => break client,
            Err(e) => assert!(Instant::now() < deadline, "nobody has left: {e}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    fixture.assert_reads(seated.open(&fixture.export()).unwrap());
}

#[test]
fn stopping_hangs_up_on_clients() {
    let fixture = Fixture::new();
    let server = fixture.serve(false);
    let stream = TcpStream::connect(server.address()).unwrap();
    let mut client = Handshake::begin(stream).unwrap().open(&fixture.export()).unwrap();
    client.read(&mut [0; 512], 0).unwrap();
    drop(server);
    assert!(client.read(&mut [0; 512], 0).is_err());
}

/// A server's process, ended with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended
        let _ = self.0.wait();
    }
}

#[test]
fn our_client_reads_qemus_server_over_tls() {
    let fixture = Fixture::new();
    // The server is handed the socket: a port that is free now may be another's in a moment, or our own end of a connection.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let credentials =
        format!("tls-creds-x509,id=tls,endpoint=server,verify-peer=off,dir={}", text(fixture.folder.path()));
    let run = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec qemu-nbd --tls-creds tls --read-only --persistent -f raw -x disk \"$@\"";
    let mut shell = Command::new("sh");
    shell
        .args(["-c", run, "sh", "--object", &credentials, text(&fixture.raw)])
        .stdin(OwnedFd::from(listener));
    let _server = Process(shell.spawn().expect("qemu-nbd runs"));
    let stream = TcpStream::connect(address).unwrap();
    let client = Handshake::begin(stream).unwrap().start_tls(|plain| fixture.encrypt(plain)).unwrap();
    fixture.assert_reads(client.open("disk").unwrap());
}
