//! Single questions and orders about network interfaces, by rtnetlink: who is at the other end of each, and that one be set down.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use kernel::netlink::{Family, NetlinkSocket, Received};
use plane::netlink::{self, Body};

use crate::run::sweep::links::{DUMPS_MAX, Hearing};

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
        .map(drop)
    }

    /// Who is at the other end of each interface that has somebody there, and whether the dump was whole: one that addresses have
    /// changed under may lack some.
    fn peers(&mut self) -> io::Result<(Vec<(u32, Ipv4Addr)>, bool)> {
        let request = netlink::dump_addresses(self.next());
        let mut peers = Vec::new();
        let asked = self.ask(&request, |body| match body {
            Body::NewAddress(address) => {
                peers.extend(address.peer.map(|peer| (address.index, peer)));
                None
            }
            Body::Done(errno) | Body::Answer(errno) => Some(answer(*errno)),
            _ => None,
        });
        if asked.is_err() {
            // A socket on which a dump broke off takes no other one.
            self.socket = NetlinkSocket::open(Family::Route, BUFFER)?;
        }
        Ok((peers, asked?))
    }

    fn next(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    /// Asks, and hands on what is answered until `take` says how it went. `false`: what was dumped changed meanwhile.
    fn ask(&mut self, request: &[u8], mut take: impl FnMut(&Body<'_>) -> Option<io::Result<()>>) -> io::Result<bool> {
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
                    return done.map(|()| is_whole);
                }
            }
        }
    }
}

fn answer(errno: i32) -> io::Result<()> {
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}

/// Who is at the other end of interfaces, as the kernel tells. Of an interface with several there it is one of them.
pub(crate) struct Peers {
    group: NetlinkSocket,
    door: LinkDoor,
    room: Box<[u8]>,
    hearing: Hearing,
    /// What the group has told and is not taken in.
    told: Vec<Told>,
    known: HashMap<u32, Ipv4Addr>,
    news: Vec<(u32, Ipv4Addr)>,
}

/// Somebody at the other end of an interface came, or went.
enum Told {
    Come(u32, Ipv4Addr),
    Gone(u32, Ipv4Addr),
}

impl Peers {
    /// Listens, and asks who is there. While addresses change that may not be told whole: the rest comes with [`Peers::hear`].
    pub(crate) fn open() -> io::Result<Peers> {
        Peers::with_buffer(BUFFER)
    }

    fn with_buffer(octets: usize) -> io::Result<Peers> {
        let group = NetlinkSocket::open(Family::Route, octets)?;
        group.join(netlink::GROUP_IPV4_ADDRESS)?;
        let mut peers = Peers {
            group,
            door: LinkDoor::open()?,
            room: vec![0; netlink::DATAGRAM_BYTES_MAX].into_boxed_slice(),
            hearing: Hearing::new(),
            told: Vec::new(),
            known: HashMap::new(),
            news: Vec::new(),
        };
        peers.hear()?;
        Ok(peers)
    }

    /// Who is at the other end of this interface.
    pub(crate) fn of(&self, index: u32) -> Option<Ipv4Addr> {
        self.known.get(&index).copied()
    }

    /// When [`Peers::hear`] is to be called, whatever comes.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.hearing.due()
    }

    /// Takes in what the kernel has told, and asks for what it could not tell.
    ///
    /// # Errors
    /// What the system says; what is known stays as it was, and the next one asks again.
    pub(crate) fn hear(&mut self) -> io::Result<()> {
        self.hear_out()?;
        self.take_told();
        if !self.hearing.wants_dump() {
            return Ok(());
        }
        let asked = self.ask_all();
        self.hearing.tried();
        asked
    }

    /// Who has appeared since this was last asked, in order.
    pub(crate) fn take(&mut self) -> Vec<(u32, Ipv4Addr)> {
        std::mem::take(&mut self.news)
    }

    /// Reads what the group has told so far.
    fn hear_out(&mut self) -> io::Result<()> {
        loop {
            let octets = match self.group.receive(&mut self.room)? {
                Received::Nothing => return Ok(()),
                Received::Lost => {
                    self.hearing.lost();
                    continue;
                }
                Received::Datagram(octets) => octets,
            };
            for message in netlink::messages(&self.room[..octets]) {
                let told = match message.map(|message| message.body) {
                    Ok(Body::NewAddress(address)) => address.peer.map(|peer| Told::Come(address.index, peer)),
                    Ok(Body::DelAddress(address)) => address.peer.map(|peer| Told::Gone(address.index, peer)),
                    Ok(Body::Overrun) | Err(_) => {
                        self.hearing.lost();
                        None
                    }
                    Ok(_) => None,
                };
                self.told.extend(told);
            }
        }
    }

    fn take_told(&mut self) {
        for told in std::mem::take(&mut self.told) {
            match told {
                Told::Come(index, peer) => self.learn(index, peer),
                Told::Gone(index, peer) if self.of(index) == Some(peer) => drop(self.known.remove(&index)),
                Told::Gone(..) => {}
            }
        }
    }

    fn learn(&mut self, index: u32, peer: Ipv4Addr) {
        if self.known.insert(index, peer) != Some(peer) {
            self.news.push((index, peer));
        }
    }

    /// Whom a dump names is there, unless the group, which was read behind it, says otherwise. Whom it does not name stays known until
    /// one is whole.
    fn ask_all(&mut self) -> io::Result<()> {
        for _ in 0..DUMPS_MAX {
            let losses = self.hearing.losses();
            let (dump, is_whole) = self.door.peers()?;
            self.hear_out()?;
            let is_sound = self.hearing.losses() == losses;
            if is_sound {
                let named: HashSet<(u32, Ipv4Addr)> = dump.iter().copied().collect();
                if is_whole {
                    self.known.retain(|index, peer| named.contains(&(*index, *peer)));
                    self.hearing.caught_up();
                }
                for (index, peer) in dump {
                    if !self.of(index).is_some_and(|known| named.contains(&(index, known))) {
                        self.learn(index, peer);
                    }
                }
            }
            self.take_told();
            if is_sound && is_whole {
                break;
            }
        }
        Ok(())
    }
}

impl AsFd for Peers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }
}

#[cfg(test)]
mod tests;
