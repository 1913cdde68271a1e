//! Single questions and orders about network interfaces, by rtnetlink: who is at the other end of each, and that one be set down.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use kernel::netlink::{Family, NetlinkSocket, Received};
use plane::netlink::{self, Body};

/// Octets of answers that wait.
const BUFFER: usize = 1 << 20;
/// How often a dump is begun again that was not told whole.
const DUMPS_MAX: u32 = 4;
/// How long the kernel may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A socket for questions, each of which is answered before the next.
pub(crate) struct LinkDoor {
    socket: NetlinkSocket,
    sequence: u32,
    room: Box<[u8]>,
}

impl LinkDoor {
    pub(crate) fn open() -> io::Result<LinkDoor> {
        let room = vec![0; netlink::DATAGRAM_BYTES_MAX].into_boxed_slice();
        Ok(LinkDoor { socket: NetlinkSocket::open(Family::Route, BUFFER)?, sequence: 0, room })
    }

    /// Sets an interface down.
    ///
    /// # Errors
    /// There is no such interface, the daemon may not do that (CAP_NET_ADMIN), or what the system says.
    pub(crate) fn set_down(&mut self, index: u32) -> io::Result<()> {
        let request = netlink::set_down(self.next(), index);
        self.ask(&request, |body| match body {
            Body::Answer(errno) => Some(answer(*errno)),
            _ => None,
        })
    }

    /// Who is at the other end of each interface that has one there. A dump that addresses have changed under may lack one.
    fn peers(&mut self) -> io::Result<HashMap<u32, Ipv4Addr>> {
        for _ in 1..DUMPS_MAX {
            match self.dump_peers() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                peers => return peers,
            }
        }
        self.dump_peers()
    }

    fn dump_peers(&mut self) -> io::Result<HashMap<u32, Ipv4Addr>> {
        let request = netlink::dump_addresses(self.next());
        let mut peers = HashMap::new();
        self.ask(&request, |body| match body {
            Body::NewAddress(address) => {
                peers.extend(address.peer.map(|peer| (address.index, peer)));
                None
            }
            Body::Done(errno) | Body::Answer(errno) => Some(answer(*errno)),
            _ => None,
        })?;
        Ok(peers)
    }

    fn next(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    /// Asks, and hands on what is answered until `take` says how it went.
    fn ask(&mut self, request: &[u8], mut take: impl FnMut(&Body<'_>) -> Option<io::Result<()>>) -> io::Result<()> {
        self.socket.send(request)?;
        let mut is_whole = true;
        loop {
            let octets = match self.socket.receive(&mut self.room)? {
                Received::Datagram(octets) => octets,
                Received::Lost => return Err(io::ErrorKind::OutOfMemory.into()),
                Received::Nothing if self.socket.wait(PATIENCE)? => continue,
                Received::Nothing => return Err(io::ErrorKind::TimedOut.into()),
            };
            for message in netlink::messages(&self.room[..octets]) {
                let message = message.map_err(|_| io::ErrorKind::InvalidData)?;
                if message.sequence != self.sequence {
                    continue;
                }
                is_whole &= !message.interrupted;
                if let Some(done) = take(&message.body) {
                    return if is_whole { done } else { done.and(Err(io::ErrorKind::Interrupted.into())) };
                }
            }
        }
    }
}

fn answer(errno: i32) -> io::Result<()> {
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}

/// Who is at the other end of interfaces, as the kernel tells.
pub(crate) struct Peers {
    group: NetlinkSocket,
    door: LinkDoor,
    room: Box<[u8]>,
    known: HashMap<u32, Ipv4Addr>,
    news: Vec<(u32, Ipv4Addr)>,
}

impl Peers {
    pub(crate) fn open() -> io::Result<Peers> {
        let group = NetlinkSocket::open(Family::Route, BUFFER)?;
        group.join(netlink::GROUP_IPV4_ADDRESS)?;
        let room = vec![0; netlink::DATAGRAM_BYTES_MAX].into_boxed_slice();
        let mut peers = Peers { group, door: LinkDoor::open()?, room, known: HashMap::new(), news: Vec::new() };
        peers.ask_all()?;
        Ok(peers)
    }

    /// Who is at the other end of this interface.
    pub(crate) fn of(&self, index: u32) -> Option<Ipv4Addr> {
        self.known.get(&index).copied()
    }

    /// Takes in what the kernel has told.
    ///
    /// # Errors
    /// What the system says; what is known stays as it was.
    pub(crate) fn hear(&mut self) -> io::Result<()> {
        loop {
            let octets = match self.group.receive(&mut self.room)? {
                Received::Nothing => return Ok(()),
                Received::Lost => {
                    self.ask_all()?;
                    continue;
                }
                Received::Datagram(octets) => octets,
            };
            for message in netlink::messages(&self.room[..octets]).flatten() {
                match message.body {
                    Body::NewAddress(address) => {
                        if let Some(peer) = address.peer
                            && self.known.insert(address.index, peer) != Some(peer)
                        {
                            self.news.push((address.index, peer));
                        }
                    }
                    Body::DelAddress(address) if self.known.get(&address.index).copied() == address.peer => {
                        self.known.remove(&address.index);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Who has appeared since this was last asked, in order.
    pub(crate) fn take(&mut self) -> Vec<(u32, Ipv4Addr)> {
        std::mem::take(&mut self.news)
    }

    fn ask_all(&mut self) -> io::Result<()> {
        let known = self.door.peers()?;
        let is_new = |(index, peer): &(&u32, &Ipv4Addr)| self.known.get(index) != Some(peer);
        self.news.extend(known.iter().filter(is_new).map(|(index, peer)| (*index, *peer)));
        self.known = known;
        Ok(())
    }
}

impl AsFd for Peers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }
}
