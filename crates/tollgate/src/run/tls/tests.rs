//! Handshakes without a network, and files that were made for the test.

#[path = "../../../tests/servers/common/certificates.rs"]
mod certificates;

use std::path::Path;
use std::sync::Arc;

use model::settings::{RadiusGroup, RadiusServer, RadiusTls, ServerPath, Settings};
use model::time::Wall;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion, version};

use super::session::TlsSession;
use super::{Book, TlsClient, cause};
use certificates::Authority;

/// The last year of certificates that do not end during a test.
const FAR_AHEAD: i32 = 2096;

/// Files of a test.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn settings(tls: &RadiusTls) -> (Settings, ServerPath) {
    let server = RadiusServer { tls: Some(tls.clone()), ..RadiusServer::new(([192, 0, 2, 1], 2083).into()) };
    let group = RadiusGroup { accounting: vec![server.clone()], ..RadiusGroup::default() };
    let path = group.path_of(&server);
    let mut settings = Settings::default();
    settings.radius_groups.insert("g1".into(), group);
    (settings, path)
}

fn read(tls: &RadiusTls) -> Result<Arc<super::TlsClients>, Vec<String>> {
    let (clients, problems) = Book::default().read(&settings(tls).0, Wall::from_millis(0));
    if problems.is_empty() { Ok(clients) } else { Err(problems) }
}

fn plain(ca: String) -> RadiusTls {
    RadiusTls { ca, cert: None, key: None, server_name: None }
}

/// A server with this certificate and key, which demands one of `clients` if that is a CA.
fn server(
    versions: &[&'static SupportedProtocolVersion],
    (cert, key): (String, String),
    clients: Option<&Authority>,
) -> ServerConnection {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = CertificateDer::pem_slice_iter(cert.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    ServerConnection::new(Arc::new(builder.with_single_cert(chain, key).unwrap())).unwrap()
}

/// Carries octets between both until neither has any; what the server received in clear.
fn carry(
    session: &mut TlsSession,
    server: &mut ServerConnection,
    plain: &mut Vec<u8>,
) -> Result<Vec<u8>, rustls::Error> {
    let mut received = Vec::new();
    loop {
        let mut towards = Vec::new();
        session.drain(&mut towards);
        let mut rest = &towards[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            if let Ok(state) = server.process_new_packets() {
                let start = received.len();
                received.resize(start + state.plaintext_bytes_to_read(), 0);
                std::io::Read::read_exact(&mut server.reader(), &mut received[start..]).unwrap();
            }
        }
        let mut back = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut back).unwrap();
        }
        // In pieces, as a network may cut them.
        for piece in back.chunks(100) {
            session.take(piece, plain)?;
        }
        if towards.is_empty() && back.is_empty() {
            return Ok(received);
        }
    }
}

fn client(tls: &RadiusTls) -> TlsClient {
    let clients = read(tls).unwrap();
    let client = clients.get(&settings(tls).1).unwrap();
    TlsClient { config: client.config.clone(), name: client.name.clone(), ca: client.ca.clone() }
}

#[test]
fn both_versions_are_spoken_with_and_without_a_certificate_of_ours() {
    let (files, authority, ours) = (Files::new(), Authority::new("theirs"), Authority::new("ours"));
    let ca = files.write("ca.pem", &authority.issuer.pem());
    let (cert, key) = ours.sign(&["bng.example.net"], FAR_AHEAD);
    let own = (Some(files.write("me.pem", &cert)), Some(files.write("me.key", &key)));
    for (versions, expected) in [
        (&[&version::TLS12, &version::TLS13][..], "TLSv1_3"),
        (&[&version::TLS13], "TLSv1_3"),
        (&[&version::TLS12], "TLSv1_2"),
    ] {
        for (names, server_name) in [(["192.0.2.1"], None), (["aaa.example.net"], Some("aaa.example.net".to_owned()))] {
            for demands in [None, Some(&ours)] {
                let (cert, key) = own.clone();
                let tls = RadiusTls { ca: ca.clone(), cert, key, server_name: server_name.clone() };
                let mut session = TlsSession::begin(&client(&tls)).unwrap();
                let mut server = server(versions, authority.sign(&names, FAR_AHEAD), demands);
                let mut plain = Vec::new();
                carry(&mut session, &mut server, &mut plain).unwrap();
                assert!(session.is_established() && !server.is_handshaking());
                assert_eq!(session.version(), expected);
                std::io::Write::write_all(&mut server.writer(), b"reply").unwrap();
                assert_eq!(carry(&mut session, &mut server, &mut plain).unwrap(), b"");
                assert_eq!(plain, b"reply");
                server.send_close_notify();
                let mut back = Vec::new();
                server.write_tls(&mut back).unwrap();
                assert_eq!(session.take(&back, &mut plain), Ok(true));
            }
        }
    }
}

#[test]
fn a_packet_is_one_record_and_is_written_when_its_record_has_left() {
    let (files, authority) = (Files::new(), Authority::new("theirs"));
    let tls = plain(files.write("ca.pem", &authority.issuer.pem()));
    for version in [&version::TLS12, &version::TLS13] {
        let mut session = TlsSession::begin(&client(&tls)).unwrap();
        let mut server = server(&[version], authority.sign(&["192.0.2.1"], FAR_AHEAD), None);
        let mut handshake = 0;
        // What the handshake makes counts for no packet.
        let mut wire = Vec::new();
        while !session.is_established() {
            session.drain(&mut wire);
            handshake += wire.len();
            let mut rest = &wire[..];
            while !rest.is_empty() {
                server.read_tls(&mut rest).unwrap();
                server.process_new_packets().unwrap();
            }
            wire.clear();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            session.take(&wire, &mut Vec::new()).unwrap();
            wire.clear();
        }
        session.drain(&mut wire);
        handshake += wire.len();
        assert_eq!(session.written(handshake), 0);
        wire.clear();

        let lengths = [20, 300, 4096, 21, 4095];
        let mut records = Vec::new();
        for length in lengths {
            let start = wire.len();
            session.put(&vec![7; length], &mut wire).unwrap();
            records.push(wire.len() - start);
        }
        let mut rest = &wire[..];
        for record in &records {
            // Content type 23, and a length behind type and version (RFC 8446 section 5.1).
            assert_eq!(rest[0], 23);
            assert_eq!(usize::from(u16::from_be_bytes([rest[3], rest[4]])) + 5, *record);
            rest = &rest[*record..];
        }
        assert!(rest.is_empty());
        assert_eq!(session.written(records[0] - 1), 0);
        assert_eq!(session.written(1), 20);
        assert_eq!(session.written(records[1] + records[2] + 1), 300 + 4096);
        assert_eq!(session.written(records[3] + records[4] - 1), 21 + 4095);
        assert_eq!(session.written(0), 0);
    }
}

#[test]
fn what_went_wrong_is_named() {
    let (files, authority, stranger) = (Files::new(), Authority::new("theirs"), Authority::new("strange"));
    let tls = plain(files.write("ca.pem", &authority.issuer.pem()));
    let client = client(&tls);
    let ca = &tls.ca;
    for (certificate, demands, expected) in [
        (stranger.sign(&["192.0.2.1"], FAR_AHEAD), None, format!("its certificate is signed by no CA of {ca}")),
        (
            authority.sign(&["192.0.2.1"], 2001),
            None,
            "its certificate has expired at Dec 31 00:00:00 2001 +00:00".to_owned(),
        ),
        (
            authority.sign(&["aaa.example.net", "192.0.2.2"], FAR_AHEAD),
            None,
            "its certificate is not for 192.0.2.1, but for DnsName(\"aaa.example.net\"), IpAddress(192.0.2.2)"
                .to_owned(),
        ),
        (
            authority.sign(&[], FAR_AHEAD),
            None,
            "its certificate is not for 192.0.2.1, but for nobody (it has no subjectAltName)".to_owned(),
        ),
        (
            authority.sign(&["192.0.2.1"], FAR_AHEAD),
            Some(&stranger),
            "it sent the alert CertificateRequired".to_owned(),
        ),
    ] {
        let mut session = TlsSession::begin(&client).unwrap();
        let mut server = server(&[&version::TLS13], certificate, demands);
        let error = carry(&mut session, &mut server, &mut Vec::new()).unwrap_err();
        assert_eq!(cause(&error, &client), expected);
        let mut alert = Vec::new();
        session.drain(&mut alert);
        assert_eq!(alert.is_empty(), demands.is_some(), "the server is told as well: {expected}");
    }
    let mut session = TlsSession::begin(&client).unwrap();
    let error = session.take(b"HTTP/1.1 400 Bad Request\r\n\r\n", &mut Vec::new()).unwrap_err();
    assert_eq!(cause(&error, &client), "what it speaks is no TLS");
}

#[test]
fn files_that_cannot_be_used_are_named_with_the_cause() {
    let (files, authority) = (Files::new(), Authority::new("theirs"));
    let ca = files.write("ca.pem", &authority.issuer.pem());
    let (cert, key) = authority.sign(&["a.b"], FAR_AHEAD);
    let (_, other_key) = authority.sign(&["a.b"], FAR_AHEAD);
    let cert = files.write("me.pem", &cert);
    let own = |key: String| RadiusTls { ca: ca.clone(), cert: Some(cert.clone()), key: Some(key), server_name: None };
    let damaged = format!("{}\n!!\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----");
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let bare = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (tls, expected) in [
        (plain(files.0.path().join("none").to_str().unwrap().to_owned()), "none cannot be read: No such file"),
        (plain(files.write("empty", "")), "empty holds no certificate in PEM"),
        (plain(files.write("damaged", &damaged)), "damaged is damaged: "),
        (plain(files.write("bare", bare)), "bare holds a certificate that cannot be read: "),
        (own(files.write("other.key", &other_key)), "other.key is not that of the certificate in "),
        (own(files.write("encrypted", encrypted)), "encrypted is encrypted; it must stand in clear"),
        (own(files.write("no.key", "")), "no.key holds no private key in PEM"),
        (RadiusTls { server_name: Some("a b".to_owned()), ..plain(ca.clone()) }, "no certificate can be for a b"),
    ] {
        let problems = read(&tls).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains(expected), "{problems:?}: {expected}");
    }
    assert!(read(&own(files.write("me.key", &key))).is_ok());
}

#[test]
fn what_was_read_before_stays_until_better_is_there() {
    let (files, authority) = (Files::new(), Authority::new("theirs"));
    let tls = plain(files.write("ca.pem", &authority.issuer.pem()));
    let (settings, path) = settings(&tls);
    let mut book = Book::default();
    let config = |clients: &super::TlsClients| clients.get(&path).map(|client| Arc::as_ptr(&client.config));
    let (first, problems) = book.read(&settings, Wall::from_millis(0));
    assert_eq!(problems, Vec::<String>::new());
    std::fs::remove_file(Path::new(&tls.ca)).unwrap();
    let (second, problems) = book.read(&settings, Wall::from_millis(0));
    assert!(problems.len() == 1 && problems[0].ends_with("what was read of it before stays in force"), "{problems:?}");
    assert_eq!(config(&second), config(&first));
    files.write("ca.pem", &Authority::new("another").issuer.pem());
    let (third, problems) = book.read(&settings, Wall::from_millis(0));
    assert_eq!(problems, Vec::<String>::new());
    assert_ne!(config(&third), config(&first));
}

#[test]
fn one_server_has_one_way_to_be_trusted() {
    let (files, authority) = (Files::new(), Authority::new("theirs"));
    let tls = plain(files.write("ca.pem", &authority.issuer.pem()));
    let (mut settings, path) = settings(&tls);
    let mut other = settings.radius_groups[&"g1".into()].clone();
    settings.radius_groups.insert("g2".into(), other.clone());
    assert_eq!(Book::default().read(&settings, Wall::from_millis(0)).1, Vec::<String>::new());
    other.accounting[0].tls = Some(RadiusTls { server_name: Some("a.b".to_owned()), ..tls });
    settings.radius_groups.insert("g2".into(), other);
    let (clients, problems) = Book::default().read(&settings, Wall::from_millis(0));
    assert_eq!(problems.len(), 1);
    assert_eq!(clients.get(&path).unwrap().name.to_str(), "192.0.2.1");
}
