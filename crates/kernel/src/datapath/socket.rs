//! Making a UDP socket as the datapath wants it.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

use super::BindSpec;
use crate::sockopt;

/// A bound, unconnected UDP socket, closed in children, that reports what its full receive buffer has dropped.
///
/// It blocks when asked to do so without `MSG_DONTWAIT`: an io_uring would otherwise fail a request at once where it
/// should wait for the socket. Nothing in this crate calls a blocking one directly.
///
/// `shares`: others of ours may be bound to the same address and port, and what comes in goes to one of them by its sender
/// (SO_REUSEPORT of socket(7)).
pub(super) fn open(spec: &BindSpec<'_>, shares: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(spec.local), Type::DGRAM, Some(Protocol::UDP))?;
    if spec.local.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    sockopt::set(&socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
    socket.set_reuse_port(shares)?;
    set_buffer(&socket, spec.receive_buffer, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF)?;
    set_buffer(&socket, spec.send_buffer, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)?;
    socket.bind_device(spec.device.map(str::as_bytes))?;
    socket.bind(&spec.local.into())?;
    Ok(socket)
}

/// Datagrams of one sender and one length may come as one message (UDP_GRO of udp(7)); a kernel that does not know how hands over
/// one by one.
pub(super) fn gather(socket: &Socket) {
    let _ = sockopt::set(socket, libc::SOL_UDP, libc::UDP_GRO, 1);
}

/// The address that `socket` is bound to.
pub(super) fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Growth of a 32-bit count that the kernel lets wrap.
pub(super) fn growth(seen: &mut u32, now: u32) -> u64 {
    let more = now.wrapping_sub(*seen);
    *seen = now;
    more.into()
}

/// Sets a buffer size beyond the system's bound where this process may, within it otherwise.
fn set_buffer(socket: &Socket, octets: u32, forced: libc::c_int, ordinary: libc::c_int) -> io::Result<()> {
    if octets == 0 {
        return Ok(());
    }
    let value = libc::c_int::try_from(octets).unwrap_or(libc::c_int::MAX);
    sockopt::set(socket, libc::SOL_SOCKET, forced, value)
        .or_else(|_| sockopt::set(socket, libc::SOL_SOCKET, ordinary, value))
}
