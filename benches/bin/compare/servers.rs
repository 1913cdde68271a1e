//! The servers that everybody is held against, each a process of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use benches::Place;
use benches::Program;

/// Known to both sides, and to nobody that matters.
pub(crate) const SECRET: &str = "a-secret-for-benches-only";

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// RADIUS over UDP, datagram by datagram.
    Plain,
    /// RADIUS over UDP, with segmentation and receive offload.
    Batching,
    /// RADIUS over TLS.
    Tls,
    /// TACACS+ accounting.
    Tacacs,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    /// Where a server over TLS has put its CA.
    pub(crate) ca: PathBuf,
    pub(crate) program: Program,
}

impl Server {
    /// # Errors
    /// It does not become ready.
    pub(crate) fn start(place: &Arc<Place>, kind: Kind) -> Result<Server> {
        let (address, ca) = (free_address()?, place.path("ca.pem"));
        let name = match kind {
            Kind::Plain => "sink",
            Kind::Batching => "batching_sink",
            Kind::Tls => "tls_sink",
            Kind::Tacacs => "tacacs_sink",
        };
        let mut command = place.program(name);
        command.arg(address.to_string());
        if kind == Kind::Tls {
            command.arg(&ca)
        } else {
            command.arg(SECRET)
        };
        let mut program = Program::start(place, &mut command)?;
        program.await_line("sink ready", PATIENCE)?;
        Ok(Server { kind, address, ca, program })
    }
}

/// Free for datagrams and for connections, a moment ago.
fn free_address() -> Result<SocketAddr> {
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
}
