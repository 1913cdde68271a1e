//! Ports of 127.0.0.1 for servers that a test starts. Tests run side by side, each in a process of its own, and a port that one of
//! them has only looked at is still free for another: so it is taken in the name of the test, until that ends.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below those that the kernel gives out by itself, so that a port stays free while its server is away.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port of 127.0.0.1, of UDP and of TCP, that nobody has and that no other test is given while this one runs.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    static TAKEN: Mutex<Vec<UnixDatagram>> = Mutex::new(Vec::new());
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap();
    let (port, taken) = (0..COUNT)
        .map(|_| FIRST + (start + NEXT.fetch_add(7, Ordering::Relaxed) % COUNT) % COUNT)
        .find_map(|port| Some((port, take(port)?)))
        .expect("a port of 127.0.0.1 is free");
    TAKEN.lock().unwrap().push(taken);
    port
}

/// It is taken as long as this socket is there, whose name has the network namespace in common with the port and with nobody else.
fn take(port: u16) -> Option<UnixDatagram> {
    let name = SocketAddr::from_abstract_name(format!("tollgate-test-port-{port}")).unwrap();
    let taken = UnixDatagram::bind_addr(&name).ok()?;
    let place = (Ipv4Addr::LOCALHOST, port);
    (UdpSocket::bind(place).is_ok() && TcpListener::bind(place).is_ok()).then_some(taken)
}

#[test]
fn a_port_is_given_once() {
    let port = free_port();
    assert!(take(port).is_none(), "another test asks for it while nobody listens there");
    let other = loop {
        let port = free_port();
        if let Some(free) = take(port + 1) {
            break (port + 1, free);
        }
    };
    drop(other.1);
    let _server = UdpSocket::bind((Ipv4Addr::LOCALHOST, other.0)).unwrap();
    assert!(take(other.0).is_none(), "somebody listens there who did not ask");
}
