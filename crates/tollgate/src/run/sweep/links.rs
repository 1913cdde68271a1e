//! The counters of network interfaces, by rtnetlink: one dump for each sweep, and between them what the kernel tells of
//! interfaces that come, change and go. The last message about an interface has its final statistics, so that a session
//! ends with every octet.

#[cfg(test)]
pub(crate) mod churn;
mod hearing;
mod questions;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use kernel::netlink::{Family, NetlinkSocket};
use model::counters::Totals;
use plane::links::{Link, LinkNews, LinkTable};
use plane::netlink::{self, Body};
use plane::sweep::{Ended, Reading, Subject};
use rustix::io::Errno;

use super::{Sweep, SweepError};
pub(crate) use hearing::{DUMPS_MAX, Hearing};
pub(crate) use questions::{Questions, Reads};

/// Octets of what may wait to be heard: the ends of some ten thousand interfaces at once.
const GROUP_BUFFER: usize = 64 << 20;
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
    questions: Questions,
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
            questions: Questions::open().map_err(tried)?,
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
            // Whoever is missing was not read, and nobody is said to be gone by this, whole or not.
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
        let mut counted = None;
        let asked = self.questions.ask(
            |number| netlink::get_link(number, index),
            |body| match body {
                Body::NewLink(link) if link.index == index => {
                    counted = link.totals;
                    Reads::Over
                }
                _ => Reads::On,
            },
        );
        match asked {
            Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => Ok(None),
            asked => asked.map(|_| counted),
        }
    }

    /// Reads what the group has told so far.
    fn hear_out(&mut self) -> io::Result<()> {
        self.hearing.hear_out(&self.group, &mut self.room, |body| self.table.handle_told(body))
    }

    /// All interfaces, and whether the dump was whole.
    fn dump_links(&mut self) -> io::Result<(Vec<Link>, bool)> {
        let mut links = Vec::new();
        let is_whole = self.questions.ask(netlink::dump_links, |body| {
            if let Body::NewLink(message) = body {
                links.push(message.link());
            }
            Reads::On
        })?;
        Ok((links, is_whole))
    }

    fn dump_statistics(&mut self) -> io::Result<bool> {
        self.statistics.clear();
        self.questions.ask(netlink::dump_statistics, |body| {
            if let Body::Statistics { index, totals } = body {
                self.statistics.push((index, totals));
            }
            Reads::On
        })
    }
}

impl Sweep for Links {
    fn sweep(&mut self, subjects: &[Subject], readings: &mut [Option<Reading>]) -> Result<(), SweepError> {
        assert_eq!(subjects.len(), readings.len(), "one place for each subject");
        self.table.sweep_begins();
        let read = match subjects.len().saturating_mul(QUESTION_COST) < self.table.len() {
            true => self.read_each(subjects),
            false => self.read_statistics(),
        };
        for (subject, reading) in subjects.iter().zip(readings) {
            *reading = match subject {
                Subject::Interface(index) => self.table.swept(*index),
                Subject::V4(_) | Subject::V6(_) => None,
            };
        }
        read
    }

    /// A dump may leave out one that is there.
    fn has_read(&self, _subject: Subject) -> bool {
        false
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

#[cfg(test)]
mod tests;
