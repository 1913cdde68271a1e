//! Datagrams that travel as one message: taken whole (UDP_GRO of udp(7)) and sent to be cut apart (UDP_SEGMENT).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};

/// What one call of [`receive`] has brought.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Octets of all datagrams.
    pub length: usize,
    /// Octets of each, but perhaps of the last.
    pub segment: usize,
    /// Who sent them.
    pub from: SocketAddr,
}

/// Has a socket take what one sender sent as one message as one.
///
/// # Errors
/// The kernel does not know how (before Linux 5.0).
pub fn gather(socket: &impl AsFd) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::UdpGroSegment, &true)?)
}

/// Has a socket hold some ten thousand datagrams that nobody has taken yet, where this process may; what the system allows
/// otherwise.
///
/// # Errors
/// Those of setsockopt(2).
pub fn hold_much(socket: &impl AsFd) -> io::Result<()> {
    const OCTETS: usize = 16 << 20;
    let forced = setsockopt(socket, sockopt::RcvBufForce, &OCTETS);
    Ok(forced.or_else(|_| setsockopt(socket, sockopt::RcvBuf, &OCTETS))?)
}

/// Waits for a message.
///
/// # Errors
/// Those of recvmsg(2).
pub fn receive(socket: &UdpSocket, room: &mut [u8]) -> io::Result<Message> {
    let mut control = nix::cmsg_space!(i32);
    let mut rooms = [IoSliceMut::new(room)];
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut rooms, Some(&mut control), MsgFlags::empty())?;
    let length = message.bytes;
    let segment = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::UdpGroSegments(segment) => usize::try_from(segment).ok(),
        _ => None,
    });
    let from = message.address.and_then(|address| match address.as_sockaddr_in() {
        Some(four) => Some(SocketAddr::from((four.ip(), four.port()))),
        None => address.as_sockaddr_in6().map(|six| SocketAddr::from((six.ip(), six.port()))),
    });
    let from = from.ok_or(io::ErrorKind::InvalidData)?;
    Ok(Message { length, segment: segment.unwrap_or(length).max(1), from })
}

/// Sends datagrams of `segment` octets each, of which the last may be shorter.
///
/// # Errors
/// Those of sendmsg(2).
pub fn send(socket: &UdpSocket, to: SocketAddr, octets: &[u8], segment: u16) -> io::Result<()> {
    let cut = [ControlMessage::UdpGsoSegments(&segment)];
    let control = if octets.len() > usize::from(segment) { &cut[..] } else { &[] };
    let to = SockaddrStorage::from(to);
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(octets)], control, MsgFlags::empty(), Some(&to))?;
    Ok(())
}
