//! An accounting server over TLS (RFC 6614) that answers packet by packet, a record for each, and remembers nothing: what
//! benches hold RADIUS over TLS against. It shows a certificate of a CA that it makes for the occasion, and demands none.
//!
//! `tls_sink ADDRESS:PORT CA-FILE` writes its CA, runs until it is ended, and prints one line when it is ready.
#![expect(clippy::print_stdout, reason = "a program for scripts")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};
use wire::radius::Packet;
use wire::radius::server::respond;

/// RFC 6614 section 2.3.
const SECRET: &[u8] = b"radsec";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(ca)) = (arguments.next(), arguments.next()) else {
        return Err("usage: tls_sink ADDRESS:PORT CA-FILE".into());
    };
    let address: SocketAddr = address.parse()?;
    let config = config(address, &ca)?;
    let listener = TcpListener::bind(address)?;
    println!("sink ready on {address}");
    for stream in listener.incoming() {
        let (stream, connection) = (stream?, ServerConnection::new(config.clone())?);
        // A client that went away is no reason to stop.
        std::thread::spawn(move || serve(stream, connection).map_err(|error| error.to_string()));
    }
    Ok(())
}

fn config(address: SocketAddr, ca: &str) -> Result<Arc<ServerConfig>, Box<dyn Error>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    std::fs::write(ca, issuer.pem())?;
    let key = KeyPair::generate()?;
    let cert = CertificateParams::new(vec![address.ip().to_string()])?.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    Ok(Arc::new(config))
}

fn serve(mut stream: TcpStream, mut connection: ServerConnection) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    connection.set_buffer_limit(None);
    let mut received = Vec::new();
    while connection.read_tls(&mut stream)? > 0 {
        let arrived = connection.process_new_packets()?.plaintext_bytes_to_read();
        let start = received.len();
        received.resize(start + arrived, 0);
        connection.reader().read_exact(&mut received[start..])?;
        let used = answer(&received, &mut connection)?;
        received.drain(..used);
        while connection.wants_write() {
            connection.write_tls(&mut stream)?;
        }
    }
    Ok(())
}

/// Answers the whole packets at the beginning: how many octets they are.
fn answer(received: &[u8], connection: &mut ServerConnection) -> Result<usize, Box<dyn Error>> {
    let (mut used, mut room) = (0, [0; 4096]);
    while let &[_, _, high, low, ..] = &received[used..] {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(octets) = received.get(used..used + length) else { break };
        let packet = Packet::parse(octets).map_err(|error| format!("no RADIUS packet: {error}"))?;
        let reply = respond(&packet, SECRET, &mut room).map_err(|error| format!("no reply: {error}"))?;
        connection.writer().write_all(reply)?;
        used += length;
    }
    Ok(used)
}
