//! The workers' TCP connections: many, non-blocking, served in turns beside a [`crate::datapath`].
//!
//! A worker's loop is:
//!
//! ```text
//! look()                                     what has become ready, after the datapath says that there is something
//! while let Some(event) = next()             connected, octets, written, ended
//! while work:   write(stream, octets)        copied and queued
//! flush()                                    queues leave as far as the sockets take them: one system call each
//! while let Some(event) = next()             how much was taken
//! sleep, unless has_more()
//! ```
//!
//! **Comes in:** where to connect, octets to write. **Goes out:** [`StreamEvent`]s, octets in the order in which they came
//! and in pieces of any size. **Never:** where a message ends, when to try again, how long to wait: that is the caller's.
//!
//! **Sleep.** [`Streams`] is a descriptor of its own (an epoll in which all sockets stand), which is readable when there
//! is something for [`Streams::look`]; [`crate::datapath::Datapath::watch_descriptor`] lets it end a worker's wait.
//!
//! **The end of a stream** is told once, behind all that was received and can still be read, and gives its number back.
//! A peer that has closed its half is at its end: what is queued towards it is dropped. [`Streams::close`] drops what is
//! queued as well, and tells nothing; what the socket has taken still leaves.
//!
//! **Fairness.** A turn reads at most 64 KiB of a stream; more waits for the next [`Streams::look`], behind the others.
//!
//! **Full:** a queue takes a write whole or not at all ([`NotTaken::Full`]). What nobody reads waits in the socket, and TCP
//! slows its sender down. No free number: [`Streams::connect`] refuses with `QuotaExceeded`.
//!
//! **Memory**, in octets: `streams` × 128, `queue` more for each that was ever in use at a time, of which only touched pages are
//! resident, and 16 KiB to read into; the kernel's buffers besides. One descriptor for each stream and one for all. Nothing is
//! allocated but by [`Streams::connect`], for a number that is used for the first time.

mod cause;
mod connection;
mod queue;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};

pub use cause::EndCause;
use connection::Connection;
use queue::Queue;

/// Readiness taken over by one system call.
const EVENTS: usize = 256;
/// Octets read at once, into the room that all streams share.
const READ_OCTETS: usize = 16 * 1024;
/// Octets read of one stream in its turn.
const TURN_OCTETS: usize = 64 * 1024;

/// How many streams there are at most; fixed when they are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Streams at a time.
    pub streams: u16,
    /// Octets that wait in one stream at most.
    pub queue: usize,
}

/// Where to connect, and from where.
#[derive(Clone, Copy, Debug)]
pub struct ConnectSpec<'a> {
    /// The own address; `None`: the one that the system takes.
    pub local: Option<IpAddr>,
    /// The device that everything comes in and leaves through, whatever the routing table says: a VRF (SO_BINDTODEVICE of
    /// socket(7)). `None`: any.
    pub device: Option<&'a str>,
    /// The peer.
    pub to: SocketAddr,
}

/// A stream; void once it has ended or was closed, and the number may then come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamIndex(u16);

impl StreamIndex {
    /// Its number, below [`StreamLimits::streams`]; for tables beside the streams.
    pub fn number(self) -> usize {
        usize::from(self.0)
    }
}

/// Something that happened to a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum StreamEvent<'room> {
    /// The peer has accepted it.
    Connected(StreamIndex),
    /// Octets came in: at least one. The room is used again at the next call.
    Octets(StreamIndex, &'room [u8]),
    /// The socket has taken so many octets of the queue.
    Written(StreamIndex, usize),
    /// It is over; the index is void from now on.
    Ended(StreamIndex, EndCause),
}

/// Why a write was refused. Nothing was queued; the caller keeps its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// The queue has no room for all of them: flush and try again.
    Full,
    /// The stream has ended, or is about to tell so.
    Closed,
}

/// What the streams have done since they were opened. All only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Streams that were connected.
    pub connected: u64,
    /// Streams that ended by themselves, connected or not.
    pub ended: u64,
    /// Octets handed to the caller.
    pub octets_in: u64,
    /// Octets that sockets took.
    pub octets_out: u64,
    /// Times that a socket did not take all that was queued for it.
    pub blocked: u64,
}

/// A number that a stream may have, with its memory.
#[derive(Debug)]
struct Place {
    connection: Option<Connection>,
    queue: Queue,
}

/// What a stream that may be read has.
enum Read {
    Octets(usize),
    Ended(EndCause),
    /// For now all was read.
    Nothing,
    /// Its turn is over, and more is there.
    TurnOver,
}

/// One worker's streams.
#[derive(Debug)]
pub struct Streams {
    poll: Poll,
    events: Events,
    places: Vec<Place>,
    /// Those that are connected or written to and did not tell.
    news: VecDeque<u16>,
    /// Those to read, each once.
    readable: VecDeque<u16>,
    /// How many of them, from the front, have their turn before the next look.
    turns: usize,
    /// How much the first of them may still read in its turn.
    allowance: usize,
    /// Those with something queued that their socket may take.
    writing: VecDeque<u16>,
    room: Box<[u8]>,
    queue_octets: usize,
    counts: StreamCounts,
}

impl Streams {
    /// Makes room for streams.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn open(limits: StreamLimits) -> io::Result<Streams> {
        let list = || VecDeque::with_capacity(limits.streams.into());
        Ok(Streams {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            places: (0..limits.streams).map(|_| Place { connection: None, queue: Queue::unused() }).collect(),
            news: list(),
            readable: list(),
            turns: 0,
            allowance: TURN_OCTETS,
            writing: list(),
            room: vec![0; READ_OCTETS].into_boxed_slice(),
            queue_octets: limits.queue,
            counts: StreamCounts::default(),
        })
    }

    /// Begins to connect. How it goes is told later; until then it may be written to.
    ///
    /// # Errors
    /// What [`EndCause::of`] classifies; `QuotaExceeded` when [`StreamLimits::streams`] are in use. No stream is there then.
    pub fn connect(&mut self, spec: ConnectSpec<'_>) -> io::Result<StreamIndex> {
        let free = self.places.iter().position(|place| place.connection.is_none());
        let number = free.and_then(|place| u16::try_from(place).ok()).ok_or(io::ErrorKind::QuotaExceeded)?;
        let connection = Connection::open(&spec)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = Token(number.into());
        self.poll.registry().register(&mut SourceFd(&connection.descriptor()), token, interest)?;
        let place = &mut self.places[usize::from(number)];
        place.queue.begin(self.queue_octets);
        place.connection = Some(connection);
        Ok(StreamIndex(number))
    }

    /// Closes a stream, of which nothing is told any more. A void one is left alone.
    pub fn close(&mut self, stream: StreamIndex) {
        let Some(place) = self.places.get_mut(stream.number()) else { return };
        place.queue.clear();
        // Closing the descriptor takes it out of the epoll as well; nobody else has it.
        let Some(connection) = place.connection.take() else { return };
        let number = stream.0;
        if connection.is_listed.news {
            self.news.retain(|listed| *listed != number);
        }
        if connection.is_listed.writing {
            self.writing.retain(|listed| *listed != number);
        }
        if let Some(position) = self.readable.iter().position(|listed| *listed == number) {
            self.readable.remove(position);
            self.turns -= usize::from(position < self.turns);
            if position == 0 {
                self.allowance = TURN_OCTETS;
            }
        }
    }

    /// Copies octets behind those that are queued; they leave with [`Streams::flush`], at the earliest when it is connected.
    ///
    /// # Errors
    /// [`NotTaken`]; nothing has changed then.
    pub fn write(&mut self, stream: StreamIndex, octets: &[u8]) -> Result<(), NotTaken> {
        let place = self.places.get_mut(stream.number()).ok_or(NotTaken::Closed)?;
        let connection = place.connection.as_mut().filter(|connection| connection.failure.is_none());
        let connection = connection.ok_or(NotTaken::Closed)?;
        if !place.queue.push(octets) {
            return Err(NotTaken::Full);
        }
        if connection.may_write {
            list(&mut self.writing, &mut connection.is_listed.writing, stream.0);
        }
        Ok(())
    }

    /// Offers what is queued to the sockets that may take it.
    pub fn flush(&mut self) {
        while let Some(number) = self.writing.pop_front() {
            let Place { connection: Some(connection), queue } = &mut self.places[usize::from(number)] else { continue };
            connection.is_listed.writing = false;
            if queue.is_empty() {
                continue;
            }
            let taken = connection.write(queue);
            self.counts.octets_out += taken as u64;
            self.counts.blocked += u64::from(!queue.is_empty() && connection.failure.is_none());
            if taken > 0 {
                list(&mut self.news, &mut connection.is_listed.news, number);
            }
            if connection.failure.is_some() {
                queue.clear();
                list(&mut self.readable, &mut connection.is_listed.readable, number);
            }
        }
    }

    /// Takes over what has become ready, and gives every stream that may be read its next turn. Waits for nothing.
    ///
    /// # Errors
    /// None that a caller could heal: descriptors were closed behind our back.
    pub fn look(&mut self) -> io::Result<()> {
        loop {
            match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            let mut seen = 0;
            for event in &self.events {
                seen += 1;
                let Token(number) = event.token();
                let Some(Place { connection: Some(connection), queue }) = self.places.get_mut(number) else { continue };
                let Ok(number) = u16::try_from(number) else { continue };
                if connection.become_ready(event) {
                    self.counts.connected += 1;
                    list(&mut self.news, &mut connection.is_listed.news, number);
                }
                if connection.may_write && !queue.is_empty() {
                    list(&mut self.writing, &mut connection.is_listed.writing, number);
                }
                if connection.may_read(event) {
                    list(&mut self.readable, &mut connection.is_listed.readable, number);
                }
            }
            if seen < EVENTS {
                break;
            }
        }
        self.turns = self.readable.len();
        Ok(())
    }

    /// The next thing that happened, `None` when all was told that this look and the last flush have shown. Octets are valid
    /// until the next call.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend its room")]
    pub fn next(&mut self) -> Option<StreamEvent<'_>> {
        while let Some(&number) = self.news.front() {
            if let Some(connection) = &mut self.places[usize::from(number)].connection {
                if std::mem::take(&mut connection.tells_connected) {
                    return Some(StreamEvent::Connected(StreamIndex(number)));
                }
                let written = std::mem::take(&mut connection.written);
                if written > 0 {
                    return Some(StreamEvent::Written(StreamIndex(number), written));
                }
                connection.is_listed.news = false;
            }
            self.news.pop_front();
        }
        while self.turns > 0 {
            let &number = self.readable.front()?;
            let stream = StreamIndex(number);
            match self.read(number) {
                Read::Octets(count) => return Some(StreamEvent::Octets(stream, &self.room[..count])),
                Read::Ended(cause) => {
                    self.counts.ended += 1;
                    self.close(stream);
                    return Some(StreamEvent::Ended(stream, cause));
                }
                Read::Nothing => self.end_turn(),
                Read::TurnOver => {
                    self.end_turn();
                    if let Some(connection) = &mut self.places[usize::from(number)].connection {
                        list(&mut self.readable, &mut connection.is_listed.readable, number);
                    }
                }
            }
        }
        None
    }

    /// Whether something is left that needs no waiting: another [`Streams::look`] should come before the caller sleeps.
    pub fn has_more(&self) -> bool {
        !self.news.is_empty() || !self.readable.is_empty()
    }

    /// How many streams are there, connected or not.
    pub fn len(&self) -> usize {
        self.places.iter().filter(|place| place.connection.is_some()).count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was done so far.
    pub fn counts(&self) -> StreamCounts {
        self.counts
    }

    /// Reads once of the stream whose turn it is.
    fn read(&mut self, number: u16) -> Read {
        let Some(connection) = &mut self.places[usize::from(number)].connection else { return Read::Nothing };
        if self.allowance == 0 {
            return Read::TurnOver;
        }
        let room = self.allowance.min(READ_OCTETS);
        match connection.read(&mut self.room[..room]) {
            None => Read::Nothing,
            Some(Err(cause)) => Read::Ended(cause),
            Some(Ok(count)) => {
                self.allowance -= count;
                self.counts.octets_in += count as u64;
                Read::Octets(count)
            }
        }
    }

    /// The next in the list has its turn.
    fn end_turn(&mut self) {
        self.allowance = TURN_OCTETS;
        self.turns -= 1;
        if let Some(number) = self.readable.pop_front()
            && let Some(connection) = &mut self.places[usize::from(number)].connection
        {
            connection.is_listed.readable = false;
        }
    }
}

impl AsFd for Streams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        Registry::as_fd(self.poll.registry())
    }
}

/// Puts a stream into a list in which it does not stand yet.
fn list(list: &mut VecDeque<u16>, is_listed: &mut bool, number: u16) {
    if !std::mem::replace(is_listed, true) {
        list.push_back(number);
    }
}
