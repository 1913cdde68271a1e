//! Single questions and orders about network interfaces, by rtnetlink: what one has counted by now, who is at its other end, and
//! that it be set down.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use kernel::netlink::{Family, NetlinkSocket, Received};
use model::counters::Counters;
use plane::netlink::{self, Body};
use plane::sweep::Subject;

/// Octets of answers that wait.
const BUFFER: usize = 1 << 20;
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

    /// What an interface has counted by now.
    ///
    /// # Errors
    /// There is no such interface, or what the system says.
    pub(crate) fn counted(&mut self, index: u32) -> io::Result<Counters> {
        let request = netlink::get_link(self.next(), index);
        let mut counted = None;
        self.ask(&request, |body| match body {
            Body::NewLink(link) if link.index == index => {
                counted = link.totals;
                Some(Ok(()))
            }
            Body::Answer(errno) => Some(answer(*errno)),
            _ => None,
        })?;
        counted.map(|totals| Subject::Interface(index).counters(totals)).ok_or_else(|| io::ErrorKind::NotFound.into())
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

    /// Who is at the other end of each interface that has one there.
    fn peers(&mut self) -> io::Result<HashMap<u32, Ipv4Addr>> {
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
        loop {
            let octets = match self.socket.receive(&mut self.room)? {
                Received::Datagram(octets) => octets,
                Received::Lost => return Err(io::ErrorKind::OutOfMemory.into()),
                Received::Nothing if self.socket.wait(PATIENCE)? => continue,
                Received::Nothing => return Err(io::ErrorKind::TimedOut.into()),
            };
            for message in netlink::messages(&self.room[..octets]) {
                let message = message.map_err(|_| io::ErrorKind::InvalidData)?;
                if message.sequence == self.sequence
                    && let Some(done) = take(&message.body)
                {
                    return done;
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
}

impl Peers {
    pub(crate) fn open() -> io::Result<Peers> {
        let group = NetlinkSocket::open(Family::Route, BUFFER)?;
        group.join(netlink::GROUP_IPV4_ADDRESS)?;
        let mut door = LinkDoor::open()?;
        let known = door.peers()?;
        Ok(Peers { group, door, room: vec![0; netlink::DATAGRAM_BYTES_MAX].into_boxed_slice(), known })
    }

    /// Who is at the other end of this interface.
    pub(crate) fn of(&self, index: u32) -> Option<Ipv4Addr> {
        self.known.get(&index).copied()
    }

    /// Takes what the kernel has told; gives back who has appeared.
    ///
    /// # Errors
    /// What the system says; what is known stays as it was.
    pub(crate) fn take(&mut self) -> io::Result<Vec<(u32, Ipv4Addr)>> {
        let mut new = Vec::new();
        loop {
            let octets = match self.group.receive(&mut self.room)? {
                Received::Nothing => return Ok(new),
                Received::Lost => {
                    let known = self.door.peers()?;
                    let is_new = |(index, peer): &(&u32, &Ipv4Addr)| self.known.get(index) != Some(peer);
                    new.extend(known.iter().filter(is_new).map(|(index, peer)| (*index, *peer)));
                    self.known = known;
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
                            new.push((address.index, peer));
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
}

impl AsFd for Peers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }
}
