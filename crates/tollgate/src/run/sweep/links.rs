//! The counters of network interfaces, by rtnetlink: one dump for each sweep, and between them what the kernel tells of
//! interfaces that come, change and go. The last message about an interface has its final statistics, so that a session
//! ends with every octet.

#[cfg(test)]
pub(crate) mod churn;
mod hearing;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use kernel::netlink::{Family, NetlinkSocket, Received};
use model::counters::Totals;
use plane::links::{Link, LinkNews, LinkTable};
use plane::netlink::{self, Body};
use plane::sweep::{Ended, Reading, Subject};
use rustix::io::Errno;

use super::{Sweep, SweepError};
pub(crate) use hearing::{DUMPS_MAX, Hearing};

/// Octets of what may wait to be heard: the ends of some ten thousand interfaces at once.
const GROUP_BUFFER: usize = 64 << 20;
/// Octets of the pieces of a dump that wait; the kernel writes the next one when there is room.
const DUMP_BUFFER: usize = 1 << 20;
/// How long the kernel may take for one piece of a dump.
const PIECE: Duration = Duration::from_secs(10);
/// An interface that is asked for by itself costs about as much as so many in a dump.
const QUESTION_COST: usize = 12;

/// The interfaces of one network namespace: that of the thread that opened this.
///
/// All of them are the first news; after that there is news of each that came, changed or went. News are to be taken after
/// every [`Links::wait`] and every sweep, by [`Links::take_news`] or by [`Sweep::take_ended`], whichever suits.
///
/// While [`Links::is_behind`] holds, somebody may be there who was not told of yet, or be gone. News of them come when they are
/// known, for every [`Links::wait`] sees to it that the kernel is asked again.
pub(crate) struct Links {
    group: NetlinkSocket,
    dumps: NetlinkSocket,
    sequence: u32,
    room: Box<[u8]>,
    statistics: Vec<(u32, Totals)>,
    table: LinkTable,
    hearing: Hearing,
}

impl Links {
    /// Hears of interfaces from now on, and asks for those that are there.
    pub(crate) fn open() -> Result<Links, SweepError> {
        Links::with_buffer(GROUP_BUFFER)
    }

    fn with_buffer(octets: usize) -> Result<Links, SweepError> {
        let mut links = Links::listen(octets)?;
        links.catch_up()?;
        Ok(links)
    }

    /// As if no dump had told anything, and the next one were due then.
    #[cfg(test)]
    pub(crate) fn open_behind(due: Instant) -> Result<Links, SweepError> {
        let mut links = Links::listen(GROUP_BUFFER)?;
        links.set_due(due);
        Ok(links)
    }

    #[cfg(test)]
    pub(crate) fn set_due(&mut self, due: Instant) {
        self.hearing.set_due(due);
    }

    fn listen(octets: usize) -> Result<Links, SweepError> {
        let tried = |error| SweepError { tried: "listen to what the kernel says of interfaces", error };
        let group = NetlinkSocket::open(Family::Route, octets).map_err(tried)?;
        group.join(netlink::GROUP_LINK).map_err(tried)?;
        Ok(Links {
            group,
            dumps: dump_socket().map_err(tried)?,
            sequence: 0,
            room: vec![0; netlink::DATAGRAM_BYTES_MAX].into_boxed_slice(),
            statistics: Vec::new(),
            table: LinkTable::new(),
            hearing: Hearing::new(),
        })
    }

    /// Waits until the kernel tells something, and takes it in; `false` when it was silent for so long.
    pub(crate) fn wait(&mut self, longest: Duration) -> Result<bool, SweepError> {
        let tried = |error| SweepError { tried: "wait for what the kernel says of interfaces", error };
        let is_told = self.group.wait(longest).map_err(tried)?;
        if is_told || self.hearing.wants_dump() {
            self.catch_up()?;
        }
        Ok(is_told)
    }

    /// Whether a whole dump is still needed: one that is not here may be there, and one that is here be gone.
    pub(crate) fn is_behind(&self) -> bool {
        self.hearing.is_behind()
    }

    /// When [`Links::wait`] is to be called, whatever comes.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.hearing.due()
    }

    /// What happened since this was last asked, in order.
    pub(crate) fn take_news(&mut self) -> Vec<LinkNews> {
        self.table.take_news()
    }

    /// The index of the interface that has this name.
    pub(crate) fn index(&self, name: &str) -> Option<u32> {
        self.table.index(name)
    }

    /// The interface with this index.
    pub(crate) fn link(&self, index: u32) -> Option<&Link> {
        self.table.link(index)
    }

    /// The greatest index that an interface ever had here.
    pub(crate) fn highest(&self) -> u32 {
        self.table.highest()
    }

    /// What an interface had counted when it was last swept or told of.
    pub(crate) fn reading(&self, index: u32) -> Option<Reading> {
        self.table.reading(index)
    }

    /// Brings the table up to what the kernel has told; where it could not be heard out, by dumps.
    fn catch_up(&mut self) -> Result<(), SweepError> {
        let tried = |error| SweepError { tried: "ask the kernel for its interfaces", error };
        self.hear_out().map_err(tried)?;
        if !self.hearing.wants_dump() {
            return Ok(());
        }
        let asked = self.ask_for_links();
        self.hearing.tried();
        asked.map_err(tried)
    }

    fn ask_for_links(&mut self) -> io::Result<()> {
        for _ in 0..DUMPS_MAX {
            let losses = self.hearing.losses();
            self.table.dump_begins();
            let dumped = self.dump_links().and_then(|dump| self.hear_out().map(|()| dump));
            if dumped.is_err() || self.hearing.losses() != losses {
                self.table.dump_ends();
            }
            let (links, is_whole) = dumped?;
            if self.hearing.losses() != losses {
                continue;
            }
            let unread = self.table.unread_ends();
            self.table.handle_links(links, is_whole);
            let unread = self.table.unread_ends() - unread;
            if unread > 0 {
                tracing::warn!(
                    interfaces = unread,
                    "interfaces ended unheard: their last octets are those of the last sweep"
                );
            }
            if is_whole {
                self.hearing.caught_up();
                break;
            }
        }
        Ok(())
    }

    /// One dump of all statistics, and what the group told meanwhile.
    pub(crate) fn read_statistics(&mut self) -> Result<(), SweepError> {
        let read = self.ask_for_statistics();
        if read.is_err() {
            self.table.dump_ends();
        }
        read
    }

    fn ask_for_statistics(&mut self) -> Result<(), SweepError> {
        let tried = |error| SweepError { tried: "read the statistics of the interfaces", error };
        for _ in 0..DUMPS_MAX {
            self.catch_up()?;
            let losses = self.hearing.losses();
            self.table.dump_begins();
            // Whoever is missing keeps its last reading, and nobody is said to be gone by this, whole or not.
            self.dump_statistics().map_err(tried)?;
            self.hear_out().map_err(tried)?;
            if self.hearing.losses() == losses {
                self.table.handle_statistics(&self.statistics);
                return Ok(());
            }
        }
        Err(tried(io::Error::other("they come and go faster than can be heard")))
    }

    /// Asks for each of a few.
    fn read_each(&mut self, subjects: &[Subject]) -> Result<(), SweepError> {
        let tried = |error| SweepError { tried: "ask an interface for its statistics", error };
        self.catch_up()?;
        for subject in subjects {
            let Subject::Interface(index) = *subject else { continue };
            if self.table.link(index).is_none() {
                continue;
            }
            let losses = self.hearing.losses();
            self.table.dump_begins();
            let counted = self.ask_link(index).and_then(|counted| self.hear_out().map(|()| counted));
            if counted.is_err() {
                self.table.dump_ends();
            }
            let counted = counted.map_err(tried)?;
            if self.hearing.losses() != losses {
                // The answer may be of another interface, which has the index now.
                return self.read_statistics();
            }
            self.table.handle_statistics(counted.map(|counted| (index, counted)).as_slice());
        }
        Ok(())
    }

    /// What an interface has counted; `None`: there is none.
    fn ask_link(&mut self, index: u32) -> io::Result<Option<Totals>> {
        let sequence = self.next_sequence();
        self.dumps.send(&netlink::get_link(sequence, index))?;
        let mut counted = None;
        let answered = answers(&self.dumps, &mut self.room, sequence, |body| match body {
            Body::NewLink(link) if link.index == index => {
                counted = link.totals;
                Reads::Over
            }
            _ => Reads::On,
        });
        match answered {
            Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => Ok(None),
            Err(error) => {
                self.dumps = dump_socket()?;
                Err(error)
            }
            Ok(_) => Ok(counted),
        }
    }

    /// Reads what the group has told so far.
    fn hear_out(&mut self) -> io::Result<()> {
        loop {
            match self.group.receive(&mut self.room)? {
                Received::Nothing => return Ok(()),
                Received::Lost => self.hearing.lost(),
                Received::Datagram(octets) => {
                    for message in netlink::messages(&self.room[..octets]) {
                        match message {
                            Ok(message) if message.body == Body::Overrun => self.hearing.lost(),
                            Ok(message) => self.table.handle_told(&message.body),
                            Err(_) => self.hearing.lost(),
                        }
                    }
                }
            }
        }
    }

    /// All interfaces, and whether the dump was whole.
    fn dump_links(&mut self) -> io::Result<(Vec<Link>, bool)> {
        let mut links = Vec::new();
        let sequence = self.next_sequence();
        let is_whole = self.dump(sequence, &netlink::dump_links(sequence), |body| {
            if let Body::NewLink(message) = body {
                links.push(message.link());
            }
            Reads::On
        })?;
        Ok((links, is_whole))
    }

    fn dump_statistics(&mut self) -> io::Result<bool> {
        let mut statistics = std::mem::take(&mut self.statistics);
        statistics.clear();
        let sequence = self.next_sequence();
        let dumped = self.dump(sequence, &netlink::dump_statistics(sequence), |body| {
            if let Body::Statistics { index, totals } = body {
                statistics.push((index, totals));
            }
            Reads::On
        });
        self.statistics = statistics;
        dumped
    }

    /// Asks, and hands on what is answered up to the end of the dump. `false`: it was interrupted.
    fn dump(&mut self, sequence: u32, request: &[u8], take: impl FnMut(Body<'_>) -> Reads) -> io::Result<bool> {
        let dumped = self.dumps.send(request).and_then(|()| answers(&self.dumps, &mut self.room, sequence, take));
        if dumped.is_err() {
            // A socket on which a dump broke off takes no other one.
            self.dumps = dump_socket()?;
        }
        dumped
    }

    fn next_sequence(&mut self) -> u32 {
        // What nobody asked for has the number 0.
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }
}

impl Sweep for Links {
    fn sweep(&mut self, subjects: &[Subject], readings: &mut [Option<Reading>]) -> Result<(), SweepError> {
        assert_eq!(subjects.len(), readings.len(), "one place for each subject");
        match subjects.len().saturating_mul(QUESTION_COST) < self.table.len() {
            true => self.read_each(subjects)?,
            false => self.read_statistics()?,
        }
        for (subject, reading) in subjects.iter().zip(readings) {
            *reading = match subject {
                Subject::Interface(index) => self.table.reading(*index),
                Subject::V4(_) | Subject::V6(_) => None,
            };
        }
        Ok(())
    }

    fn has_read(&self, subject: Subject) -> bool {
        matches!(subject, Subject::Interface(_)) && !self.is_behind()
    }

    fn take_ended(&mut self) -> Vec<Ended> {
        let ended = |news| match news {
            LinkNews::Gone { link, reading: Some(reading) } => {
                Some(Ended { subject: Subject::Interface(link.index), reading })
            }
            LinkNews::Gone { reading: None, .. } | LinkNews::Here { .. } => None,
        };
        self.table.take_news().into_iter().filter_map(ended).collect()
    }
}

impl AsFd for Links {
    /// Readable when there is something for [`Links::wait`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }
}

fn dump_socket() -> io::Result<NetlinkSocket> {
    NetlinkSocket::open(Family::Route, DUMP_BUFFER)
}

/// Whether more answers are to come.
enum Reads {
    On,
    Over,
}

/// Hands on the answers to one request, up to the end of the dump or the last one that is wanted. `false`: what a dump tells of
/// changed meanwhile, so that it may lack something.
fn answers(
    socket: &NetlinkSocket,
    room: &mut [u8],
    sequence: u32,
    mut take: impl FnMut(Body<'_>) -> Reads,
) -> io::Result<bool> {
    let mut is_whole = true;
    loop {
        let octets = match socket.receive(room)? {
            Received::Datagram(octets) => octets,
            Received::Lost => return Err(io::ErrorKind::OutOfMemory.into()),
            Received::Nothing if socket.wait(PIECE)? => continue,
            Received::Nothing => return Err(io::ErrorKind::TimedOut.into()),
        };
        for message in netlink::messages(&room[..octets]) {
            let message = message.map_err(|_| io::ErrorKind::InvalidData)?;
            if message.sequence != sequence {
                continue;
            }
            is_whole &= !message.interrupted;
            match message.body {
                Body::Done(0) => return Ok(is_whole),
                Body::Done(errno) | Body::Answer(errno) => return Err(io::Error::from_raw_os_error(errno)),
                body => match take(body) {
                    Reads::On => {}
                    Reads::Over => return Ok(is_whole),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
