//! One connection: making its socket, and the calls that carry octets.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use mio::event::Event;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::queue::Queue;
use super::{ConnectSpec, EndCause};
use crate::sockopt;

/// Silence after which the peer is probed, how often, and how many probes are not answered.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10)).with_retries(3);
/// How long octets that left may stay unacknowledged; probes too.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// A socket and how far it has come.
#[derive(Debug)]
pub(super) struct Connection {
    socket: Socket,
    is_connected: bool,
    /// That it is connected is still to be told.
    pub(super) tells_connected: bool,
    /// Octets that the socket has taken and that are still to be told.
    pub(super) written: usize,
    /// Whether the socket may take octets; it did not at the last try otherwise.
    pub(super) may_write: bool,
    /// Why it failed, as connecting or writing has shown; told behind what can still be read.
    pub(super) failure: Option<EndCause>,
    /// It stands in the list of those that have something to tell, to read, or to write.
    pub(super) is_listed: Listed,
}

/// The lists that a connection stands in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Listed {
    pub(super) news: bool,
    pub(super) readable: bool,
    pub(super) writing: bool,
}

impl Connection {
    /// Begins to connect.
    pub(super) fn open(spec: &ConnectSpec<'_>) -> io::Result<Connection> {
        let socket = Socket::new(Domain::for_address(spec.to), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_keepalive(&KEEPALIVE)?;
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        socket.bind_device(spec.device.map(str::as_bytes))?;
        if let Some(local) = spec.local {
            bind(&socket, local)?;
        }
        match socket.connect(&spec.to.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        Ok(Connection {
            socket,
            is_connected: false,
            tells_connected: false,
            written: 0,
            may_write: false,
            failure: None,
            is_listed: Listed::default(),
        })
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Takes readiness over; `true` when it says that the peer has accepted.
    pub(super) fn become_ready(&mut self, event: &Event) -> bool {
        let was_connected = self.is_connected;
        if !self.is_connected && self.failure.is_none() {
            match self.socket.take_error() {
                Ok(Some(error)) | Err(error) => self.failure = Some(EndCause::of(&error)),
                Ok(None) => self.is_connected = self.socket.peer_addr().is_ok(),
            }
            self.tells_connected = self.is_connected;
        }
        self.may_write |= self.is_connected && event.is_writable();
        self.is_connected && !was_connected
    }

    /// Whether readiness, or what it has shown, gives something to read: an end too.
    pub(super) fn may_read(&self, event: &Event) -> bool {
        event.is_readable() || event.is_read_closed() || event.is_error() || self.failure.is_some()
    }

    /// Reads once into `room`. `None`: nothing is there for now. An end comes when all was read.
    pub(super) fn read(&mut self, room: &mut [u8]) -> Option<Result<usize, EndCause>> {
        if !self.is_connected {
            return self.failure.map(Err);
        }
        loop {
            return match (&self.socket).read(room) {
                Ok(0) => Some(Err(self.failure.unwrap_or(EndCause::Closed))),
                Ok(count) => Some(Ok(count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.failure.map(Err),
                Err(error) => Some(Err(self.failure.unwrap_or(EndCause::of(&error)))),
            };
        }
    }

    /// Offers the socket all that waits, once.
    pub(super) fn write(&mut self, queue: &mut Queue) -> usize {
        let taken = loop {
            match self.socket.send_vectored_with_flags(&queue.pieces(), libc::MSG_NOSIGNAL) {
                Ok(taken) => break taken,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break 0,
                Err(error) => {
                    self.failure = Some(EndCause::of(&error));
                    break 0;
                }
            }
        };
        queue.take(taken);
        // A socket that takes less than it is offered is full (epoll(7)), and tells when it is not any more.
        self.may_write = queue.is_empty();
        self.written += taken;
        taken
    }

    /// The socket itself, to provoke the kernel.
    #[cfg(test)]
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }
}

/// Binds to a source address. The port is drawn when it is known where to, so that one port may lead to several servers.
fn bind(socket: &Socket, local: IpAddr) -> io::Result<()> {
    if local.is_ipv4() {
        sockopt::set(socket, libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
    }
    socket.bind(&SocketAddr::new(local, 0).into())
}
