//! Single questions and orders about network interfaces, by rtnetlink: who is at the other end of each, and that one be set down.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use kernel::netlink::{Family, NetlinkSocket};
use plane::netlink::{self, Body};

use crate::run::sweep::links::{DUMPS_MAX, Hearing, Questions, Reads};

/// Octets of what may wait to be heard.
const BUFFER: usize = 1 << 20;

/// Where single interfaces are asked about and told what to do.
pub(crate) struct LinkDoor {
    questions: Questions,
}

impl LinkDoor {
    pub(crate) fn open() -> io::Result<LinkDoor> {
        Ok(LinkDoor { questions: Questions::open()? })
    }

    /// Sets an interface down.
    ///
    /// # Errors
    /// There is no such interface, the daemon may not do that (CAP_NET_ADMIN), or what the system says.
    pub(crate) fn set_down(&mut self, index: u32) -> io::Result<()> {
        let done = |body: Body<'_>| if body == Body::Answer(0) { Reads::Over } else { Reads::On };
        self.questions.ask(|number| netlink::set_down(number, index), done).map(drop)
    }

    /// Who is at the other end of each interface that has somebody there, and whether the dump was whole: one that addresses have
    /// changed under may lack some.
    fn peers(&mut self) -> io::Result<(Vec<(u32, Ipv4Addr)>, bool)> {
        let mut peers = Vec::new();
        let is_whole = self.questions.ask(netlink::dump_addresses, |body| {
            if let Body::NewAddress(address) = body {
                peers.extend(address.peer.map(|peer| (address.index, peer)));
            }
            Reads::On
        })?;
        Ok((peers, is_whole))
    }
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
        self.hearing.hear_out(&self.group, &mut self.room, |body| {
            self.told.extend(match body {
                Body::NewAddress(address) => address.peer.map(|peer| Told::Come(address.index, peer)),
                Body::DelAddress(address) => address.peer.map(|peer| Told::Gone(address.index, peer)),
                _ => None,
            });
        })
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
