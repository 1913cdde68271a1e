//! A line between the daemon and the server, on which datagrams get lost, both ways, when it is told to lose some.
//!
//! What comes at its port goes to the server, from one socket for each client, and back. One thread carries all; what it cannot
//! hold, the kernel drops, as on any line.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::Result;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Datagrams of one socket before the others have their turn.
const TURN: usize = 64;
const DATAGRAM_MAX: usize = 4096;
/// Source ports of a server are this many at most.
const CLIENTS_MAX: usize = 256;
/// How often it looks whether it is to end, milliseconds.
const LOOK_MS: u8 = 100;

#[derive(Default)]
struct State {
    lost_permille: AtomicU32,
    carried: AtomicU64,
    lost: AtomicU64,
    ends: AtomicBool,
}

/// Ends with this value.
pub(crate) struct Line {
    port: u16,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    /// To this port of the loopback.
    ///
    /// # Errors
    /// No socket is to be had.
    pub(crate) fn lay(server: u16) -> Result<Line> {
        let front = socket()?;
        let (port, state) = (front.local_addr()?.port(), Arc::new(State::default()));
        let mut carrier = Carrier {
            front,
            server: SocketAddr::from((Ipv4Addr::LOCALHOST, server)),
            clients: HashMap::new(),
            backs: Vec::new(),
            dice: 0x9e37_79b9_7f4a_7c15,
            state: state.clone(),
        };
        let thread = std::thread::spawn(move || {
            while !carrier.state.ends.load(Ordering::Relaxed) {
                // A round that fails is one on which nothing arrives.
                let _ = carrier.round();
            }
        });
        Ok(Line { port, state, thread: Some(thread) })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on so many of a thousand, each way.
    pub(crate) fn lose(&self, permille: u32) {
        self.state.lost_permille.store(permille, Ordering::Relaxed);
    }

    /// How many it has lost, and carried.
    pub(crate) fn finish(mut self) -> (u64, u64) {
        self.end();
        (self.state.lost.load(Ordering::Relaxed), self.state.carried.load(Ordering::Relaxed))
    }

    fn end(&mut self) {
        self.state.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.end();
    }
}

struct Carrier {
    front: UdpSocket,
    server: SocketAddr,
    clients: HashMap<SocketAddr, usize>,
    /// A client, and the socket that stands for it.
    backs: Vec<(SocketAddr, UdpSocket)>,
    dice: u64,
    state: Arc<State>,
}

impl Carrier {
    fn round(&mut self) -> Result<()> {
        let sockets = std::iter::once(&self.front).chain(self.backs.iter().map(|(_, back)| back));
        let mut watched: Vec<_> = sockets.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut watched, PollTimeout::from(LOOK_MS))?;
        let ready: Vec<bool> = watched.iter().map(|watched| watched.any().unwrap_or(false)).collect();
        if ready[0] {
            self.there()?;
        }
        for (number, _) in ready[1..].iter().enumerate().filter(|(_, ready)| **ready) {
            self.back(number);
        }
        Ok(())
    }

    fn there(&mut self) -> Result<()> {
        let mut octets = [0; DATAGRAM_MAX];
        for _ in 0..TURN {
            let (length, client) = match self.front.recv_from(&mut octets) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => continue,
            };
            if self.is_lost() {
                continue;
            }
            if let Some(number) = self.number_of(client)? {
                // A server that is away is a line that loses.
                let _ = self.backs[number].1.send(&octets[..length]);
            }
        }
        Ok(())
    }

    fn back(&mut self, number: usize) {
        let mut octets = [0; DATAGRAM_MAX];
        for _ in 0..TURN {
            match self.backs[number].1.recv(&mut octets) {
                Ok(length) if !self.is_lost() => {
                    let _ = self.front.send_to(&octets[..length], self.backs[number].0);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The server's port was closed when something came.
                Err(_) => {}
            }
        }
    }

    fn number_of(&mut self, client: SocketAddr) -> Result<Option<usize>> {
        if let Some(number) = self.clients.get(&client) {
            return Ok(Some(*number));
        }
        if self.backs.len() == CLIENTS_MAX {
            return Ok(None);
        }
        let back = socket()?;
        back.connect(self.server)?;
        self.backs.push((client, back));
        self.clients.insert(client, self.backs.len() - 1);
        Ok(Some(self.backs.len() - 1))
    }

    /// Throws the dice (xorshift) for one more datagram.
    fn is_lost(&mut self) -> bool {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        let lost = (self.dice >> 16) % 1000 < u64::from(self.state.lost_permille.load(Ordering::Relaxed));
        let count = if lost { &self.state.lost } else { &self.state.carried };
        count.fetch_add(1, Ordering::Relaxed);
        lost
    }
}

fn socket() -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    benches::hold_much(&socket)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_carries_both_ways_and_loses_what_it_is_told_to() -> Result<()> {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let line = Line::lay(server.local_addr()?.port())?;
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        client.connect((Ipv4Addr::LOCALHOST, line.port()))?;
        for socket in [&server, &client] {
            socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        }
        let mut octets = [0; 8];
        client.send(b"there")?;
        let (length, from) = server.recv_from(&mut octets)?;
        assert_eq!(&octets[..length], b"there");
        server.send_to(b"back", from)?;
        let length = client.recv(&mut octets)?;
        assert_eq!(&octets[..length], b"back");
        line.lose(1000);
        client.send(b"gone")?;
        server.set_read_timeout(Some(Duration::from_millis(300)))?;
        assert!(server.recv_from(&mut octets).is_err());
        assert_eq!(line.finish(), (1, 2));
        Ok(())
    }
}
