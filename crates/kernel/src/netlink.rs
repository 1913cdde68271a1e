//! Netlink sockets (netlink(7)): datagrams to the kernel and from it, and the groups in which it tells what happens.
//!
//! For threads that may wait; nothing here allocates. Datagrams of other processes are passed over.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::sockopt;

/// Which part of the kernel is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Interfaces, addresses, routes and what is counted there.
    Route,
}

/// What was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// So many octets at the beginning of the room.
    Datagram(usize),
    /// Nothing is there now.
    Nothing,
    /// Datagrams were lost, for the socket's buffer was full, or one was longer than the room. What is received from now
    /// on is newer than what was lost.
    Lost,
}

/// A netlink socket in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct NetlinkSocket {
    socket: Socket,
}

impl NetlinkSocket {
    /// A socket with room for `buffer` octets that wait to be received; less, where the process may not have as much.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn open(family: Family, buffer: usize) -> io::Result<NetlinkSocket> {
        let protocol = match family {
            Family::Route => libc::NETLINK_ROUTE,
        };
        let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(Protocol::from(protocol)))?;
        socket.set_nonblocking(true)?;
        let octets = libc::c_int::try_from(buffer).unwrap_or(libc::c_int::MAX);
        // Only an administrator may go beyond the system's limit.
        if sockopt::set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, octets).is_err() {
            socket.set_recv_buffer_size(buffer)?;
        }
        bind(&socket)?;
        Ok(NetlinkSocket { socket })
    }

    /// Receives also what the kernel tells this group.
    ///
    /// # Errors
    /// When there is no such group, or it is not for this process.
    pub fn join(&self, group: u32) -> io::Result<()> {
        sockopt::set(&self.socket, libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, group.cast_signed())
    }

    /// Sends one datagram to the kernel.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram).map(drop)
    }

    /// Receives one datagram of the kernel into `room`. Never waits.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn receive(&self, room: &mut [u8]) -> io::Result<Received> {
        loop {
            // SAFETY: all zeros is an address of family AF_UNSPEC.
            let mut sender: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
            let mut length = ADDRESS_BYTES;
            // SAFETY: the room is writable for its length, and so is the address; both outlive the call, which keeps no
            // pointer to them. With MSG_TRUNC the whole length is told and no more than the room is written.
            let received = unsafe {
                libc::recvfrom(
                    self.socket.as_raw_fd(),
                    room.as_mut_ptr().cast(),
                    room.len(),
                    libc::MSG_TRUNC,
                    (&raw mut sender).cast(),
                    &raw mut length,
                )
            };
            match usize::try_from(received) {
                Ok(_) if sender.nl_pid != KERNEL => {}
                Ok(octets) if octets > room.len() => return Ok(Received::Lost),
                Ok(octets) => return Ok(Received::Datagram(octets)),
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::WouldBlock => return Ok(Received::Nothing),
                    error if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(Received::Lost),
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        }
    }

    /// Waits until there is something to receive; `false` when there was nothing for so long.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn wait(&self, longest: Duration) -> io::Result<bool> {
        let mut question = libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let longest = libc::c_int::try_from(longest.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: one pollfd of this frame, which the call does not keep.
        match unsafe { libc::poll(&raw mut question, 1, longest) } {
            -1 => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
                error => Err(error),
            },
            ready => Ok(ready > 0),
        }
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The kernel's own port.
const KERNEL: u32 = 0;

#[expect(clippy::cast_possible_truncation, reason = "twelve octets")]
const ADDRESS_BYTES: libc::socklen_t = size_of::<libc::sockaddr_nl>() as libc::socklen_t;

/// Gives the socket a port that the kernel chooses, and the kernel as the one that it sends to.
fn bind(socket: &Socket) -> io::Result<()> {
    // SAFETY: all zeros is an address; the family is set below.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::sa_family_t::try_from(libc::AF_NETLINK).unwrap_or_default();
    let at = (&raw const address).cast();
    // SAFETY: an open descriptor and one address of this frame with its length, which both calls read before they return.
    let status = unsafe {
        match libc::bind(socket.as_raw_fd(), at, ADDRESS_BYTES) {
            0 => libc::connect(socket.as_raw_fd(), at, ADDRESS_BYTES),
            failed => failed,
        }
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    /// A request for the interface with the index 1, which is the loopback everywhere: its header, and `struct ifinfomsg`.
    fn loopback_please() -> Vec<u8> {
        let header = [&32_u32.to_ne_bytes()[..], &18_u16.to_ne_bytes(), &1_u16.to_ne_bytes(), &[7, 0, 0, 0], &[0; 4]];
        [header.concat(), vec![0; 4], 1_u32.to_ne_bytes().to_vec(), vec![0; 8]].concat()
    }

    fn receive(socket: &NetlinkSocket, room: &mut [u8]) -> Received {
        assert!(socket.wait(PATIENCE).unwrap());
        socket.receive(room).unwrap()
    }

    #[test]
    fn a_question_is_answered() {
        let socket = NetlinkSocket::open(Family::Route, 1 << 16).unwrap();
        let mut room = [0; 8192];
        assert_eq!(socket.receive(&mut room).unwrap(), Received::Nothing);
        assert!(!socket.wait(Duration::ZERO).unwrap());
        socket.send(&loopback_please()).unwrap();
        let Received::Datagram(octets) = receive(&socket, &mut room) else { panic!("no answer") };
        assert_eq!((room[4], room[8], octets > 32), (16, 7, true));
    }

    #[test]
    fn a_datagram_that_finds_no_room_is_a_loss() {
        let socket = NetlinkSocket::open(Family::Route, 1 << 16).unwrap();
        socket.send(&loopback_please()).unwrap();
        assert_eq!(receive(&socket, &mut [0; 100]), Received::Lost);
    }

    #[test]
    fn a_buffer_that_is_full_is_a_loss_and_then_over() {
        let socket = NetlinkSocket::open(Family::Route, 1).unwrap();
        // Every answer waits in the buffer, until one finds it full.
        for _ in 0..100 {
            let _ = socket.send(&loopback_please());
        }
        let mut lost = 0;
        let mut room = [0; 8192];
        loop {
            match socket.receive(&mut room).unwrap() {
                Received::Nothing => break,
                Received::Lost => lost += 1,
                Received::Datagram(_) => {}
            }
        }
        assert_eq!(lost, 1);
    }

    #[test]
    fn what_another_process_says_is_passed_over() {
        let (socket, stranger) = (
            NetlinkSocket::open(Family::Route, 1 << 16).unwrap(),
            NetlinkSocket::open(Family::Route, 1 << 16).unwrap(),
        );
        // SAFETY: all zeros is an address, which the call fills in.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        let mut length = ADDRESS_BYTES;
        // SAFETY: an open descriptor, and one address of this frame with its length.
        let status =
            unsafe { libc::getsockname(socket.socket.as_raw_fd(), (&raw mut address).cast(), &raw mut length) };
        assert_eq!(status, 0);
        let message = loopback_please();
        // SAFETY: octets and one address of this frame.
        unsafe {
            libc::sendto(
                stranger.socket.as_raw_fd(),
                message.as_ptr().cast(),
                message.len(),
                0,
                (&raw const address).cast(),
                ADDRESS_BYTES,
            )
        };
        assert_eq!(socket.receive(&mut [0; 8192]).unwrap(), Received::Nothing);
    }

    #[test]
    fn a_group_that_is_not_there_cannot_be_joined() {
        let socket = NetlinkSocket::open(Family::Route, 1 << 16).unwrap();
        socket.join(1).unwrap();
        assert!(socket.join(u32::MAX >> 1).is_err());
    }
}
