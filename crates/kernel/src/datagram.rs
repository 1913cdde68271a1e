//! A plain UDP socket for whoever reads few datagrams and none in a hurry.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::BorrowedFd;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Binds a socket that does not block, to a device if one is named: then it hears that one only. One for IPv6 leaves the IPv4
/// addresses of its port to others. Sockets of ours stand `beside` it, which may have its port: on another address or device, or
/// on more of them. What comes in is given to the one that is bound to least. Nobody else's may.
///
/// # Errors
/// The address is taken, not this box's, or not allowed; ENODEV: there is no such device.
pub fn bind(local: SocketAddr, device: Option<&str>, beside: &[BorrowedFd<'_>]) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind_device(device.map(str::as_bytes))?;
    // The system asks this of both sockets, and only when one is bound; later they share with nobody.
    let share = |shares| {
        let others = beside.iter().map(|other| SockRef::from(other).set_reuse_address(shares));
        others.chain([socket.set_reuse_address(shares)]).collect::<io::Result<()>>()
    };
    let bound = if beside.is_empty() { Ok(()) } else { share(true) }.and_then(|()| socket.bind(&local.into()));
    if !beside.is_empty() {
        share(false)?;
    }
    bound.map(|()| socket.into())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn both_families_may_have_a_port() {
        let four = bind(SocketAddr::from(([0, 0, 0, 0], 0)), None, &[]).unwrap();
        let port = four.local_addr().unwrap().port();
        let six = bind(SocketAddr::from(([0u16; 8], port)), None, &[]);
        // A box without IPv6 has no such address.
        assert!(six.is_ok() || six.is_err_and(|error| error.kind() != io::ErrorKind::AddrInUse));
        let again = bind(SocketAddr::from(([0, 0, 0, 0], port)), None, &[]);
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(four.recv_from(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn sockets_of_ours_may_share_a_port_and_nobody_else_s() {
        let any = bind(SocketAddr::from(([0, 0, 0, 0], 0)), None, &[]).unwrap();
        let at = SocketAddr::from(([127, 0, 0, 1], any.local_addr().unwrap().port()));
        assert_eq!(bind(at, None, &[]).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let one = bind(at, None, &[any.as_fd()]).unwrap();
        any.send_to(b"x", at).unwrap();
        one.set_nonblocking(false).unwrap();
        assert_eq!(one.recv(&mut [0; 9]).unwrap(), 1, "the one that is bound to less");
        // A stranger that would share has nobody who shares with it.
        let stranger = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        stranger.set_reuse_address(true).unwrap();
        assert_eq!(stranger.bind(&at.into()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let none = bind(at, Some("no-such-device"), &[any.as_fd(), one.as_fd()]);
        assert_eq!(none.unwrap_err().raw_os_error(), Some(libc::ENODEV));
    }
}
