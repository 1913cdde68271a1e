//! A plain UDP socket for whoever reads few datagrams and none in a hurry.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// Binds a socket that does not block. One for IPv6 leaves the IPv4 addresses of its port to others.
///
/// # Errors
/// The address is taken, not this box's, or not allowed.
pub fn bind(local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_may_have_a_port() {
        let four = bind(SocketAddr::from(([0, 0, 0, 0], 0))).unwrap();
        let port = four.local_addr().unwrap().port();
        let six = bind(SocketAddr::from(([0u16; 8], port)));
        // A box without IPv6 has no such address.
        assert!(six.is_ok() || six.is_err_and(|error| error.kind() != io::ErrorKind::AddrInUse));
        assert_eq!(bind(SocketAddr::from(([0, 0, 0, 0], port))).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(four.recv_from(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
