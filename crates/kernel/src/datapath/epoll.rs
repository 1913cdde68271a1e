//! The epoll engine: readiness from mio, datagrams in batches by sendmmsg(2) and recvmmsg(2).
//!
//! A socket that has become readable is read by one batch per wait, so that no socket keeps the others or the transmits
//! from their turn; while more may be there it stays on the list and the next wait does not wait. A socket whose send
//! buffer is full keeps its messages queued until it is writable again.

mod batch;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use socket2::Socket;

use super::outbox::{Outbox, Outcome};
use super::watched::Watched;
use super::{
    Completion, Counts, Limits, NotQueued, OpenError, SocketIndex, TransmitError, WatchIndex, address, socket,
};
use batch::{ReceiveBatch, SendBatch};

/// Readiness events taken over by one system call; more wait for the next.
const EVENTS: usize = 256;

/// A bound socket and its readiness.
#[derive(Debug)]
struct Bound {
    socket: Socket,
    /// It stands in the list of sockets to read.
    is_readable: bool,
    /// Its send buffer was full; its lane rests until an event says that it is writable.
    is_blocked: bool,
    /// 32-bit count of what the full receive buffer dropped, as last seen.
    overflow: u32,
}

/// Something for `next` that is no datagram.
#[derive(Clone, Copy, Debug)]
enum Ready {
    TransmitFailed { socket: u16, to: SocketAddr, datagrams: u16, error: TransmitError },
    Woken { watch: u16 },
}

/// Datagrams over epoll.
#[derive(Debug)]
pub struct Epoll {
    poll: Poll,
    events: Events,
    sockets: Vec<Option<Bound>>,
    watches: Vec<Option<Watched>>,
    outbox: Outbox,
    sending: SendBatch,
    receiving: ReceiveBatch,
    /// Sockets to read, each once.
    readable: VecDeque<u16>,
    /// How many of them, from the front, are still to be read before the next wait.
    turns: usize,
    ready: VecDeque<Ready>,
    counts: Counts,
}

impl Epoll {
    /// Makes an epoll; the caller has checked the limits.
    pub(super) fn open(limits: Limits) -> Result<Epoll, OpenError> {
        Ok(Epoll {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            sockets: (0..limits.sockets).map(|_| None).collect(),
            watches: (0..limits.watches).map(|_| None).collect(),
            outbox: Outbox::new(limits.transmit_slots, limits.sockets, limits.coalesce)?,
            sending: SendBatch::new(),
            receiving: ReceiveBatch::new()?,
            readable: VecDeque::with_capacity(limits.sockets.into()),
            turns: 0,
            ready: VecDeque::with_capacity(usize::from(limits.transmit_slots) + usize::from(limits.watches)),
            counts: Counts::default(),
        })
    }

    pub(super) fn adopt(&mut self, socket: Socket) -> io::Result<SocketIndex> {
        let number = free_number(&self.sockets)?;
        let token = Token(number.into());
        self.poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE)?;
        let bound = Bound { socket, is_readable: false, is_blocked: false, overflow: 0 };
        self.sockets[usize::from(number)] = Some(bound);
        self.outbox.open_lane(number);
        Ok(SocketIndex(number))
    }

    pub(super) fn local_addr(&self, socket: SocketIndex) -> io::Result<SocketAddr> {
        let bound = self.sockets.get(socket.number()).and_then(Option::as_ref);
        socket::local_address(&bound.ok_or(io::ErrorKind::NotFound)?.socket)
    }

    pub(super) fn overflow(&self, socket: SocketIndex) -> u32 {
        self.sockets.get(socket.number()).and_then(Option::as_ref).map_or(0, |bound| bound.overflow)
    }

    pub(super) fn close(&mut self, socket: SocketIndex) {
        let Some(bound) = self.sockets.get_mut(socket.number()).and_then(Option::take) else { return };
        // Closing the descriptor takes it out of the epoll as well; nobody else has it.
        drop(bound);
        self.outbox.close_lane(socket.0);
        self.receiving.forget(socket.0);
        if let Some(position) = self.readable.iter().position(|listed| *listed == socket.0) {
            self.readable.remove(position);
            self.turns -= usize::from(position < self.turns);
        }
        self.ready.retain(|ready| !matches!(ready, Ready::TransmitFailed { socket: of, .. } if *of == socket.0));
    }

    pub(super) fn watch(&mut self, watched: Watched) -> io::Result<WatchIndex> {
        let number = free_number(&self.watches)?;
        let token = Token(self.sockets.len() + usize::from(number));
        self.poll.registry().register(&mut SourceFd(&watched.as_fd().as_raw_fd()), token, Interest::READABLE)?;
        self.watches[usize::from(number)] = Some(watched);
        Ok(WatchIndex(number))
    }

    pub(super) fn unwatch(&mut self, watch: WatchIndex) {
        let Some(watched) = self.watches.get_mut(watch.number()).and_then(Option::take) else { return };
        // The bell itself stays open elsewhere, and with it the registration: it has to be taken back by hand. It fails
        // only for a descriptor that is not registered.
        let _ = self.poll.registry().deregister(&mut SourceFd(&watched.as_fd().as_raw_fd()));
        self.ready.retain(|ready| !matches!(ready, Ready::Woken { watch: of } if *of == watch.0));
    }

    pub(super) fn transmit_room(&self) -> usize {
        self.outbox.room()
    }

    pub(super) fn transmit(&mut self, socket: SocketIndex, to: SocketAddr, bytes: &[u8]) -> Result<(), NotQueued> {
        self.outbox.push(socket.0, to, bytes)
    }

    pub(super) fn submit_and_wait(&mut self, timeout: Option<Duration>, _together: usize) -> io::Result<()> {
        let started = Instant::now();
        let was_full = self.outbox.room() == 0;
        loop {
            self.flush();
            let has_room = was_full && self.outbox.room() > 0;
            let has_more = !self.ready.is_empty() || !self.readable.is_empty() || !self.receiving.is_empty();
            let wait = if has_room || has_more {
                Some(Duration::ZERO)
            } else {
                timeout.map(|timeout| timeout.saturating_sub(started.elapsed()))
            };
            let was_interrupted = self.poll_events(wait)?;
            self.turns = self.readable.len();
            let has_passed = timeout.is_some_and(|timeout| started.elapsed() >= timeout);
            let is_ready = has_room || !self.ready.is_empty() || self.turns > 0 || !self.receiving.is_empty();
            if is_ready || has_passed || was_interrupted {
                // A socket that has just become writable is not kept waiting for the next call.
                self.flush();
                return Ok(());
            }
        }
    }

    pub(super) fn next(&mut self) -> Option<Completion<'_>> {
        if let Some(ready) = self.ready.pop_front() {
            return Some(match ready {
                Ready::Woken { watch } => Completion::Woken { watch: WatchIndex(watch) },
                Ready::TransmitFailed { socket, to, datagrams, error } => {
                    Completion::TransmitFailed { socket: SocketIndex(socket), to, datagrams, error }
                }
            });
        }
        loop {
            if let Some(position) = self.receiving.take() {
                let Some(from) = address::decode(self.receiving.name(position)) else { continue };
                let number = self.receiving.socket();
                self.count_datagram(number, position);
                let bytes = self.receiving.datagram(position);
                let truncated = self.receiving.is_truncated(position);
                return Some(Completion::Datagram { socket: SocketIndex(number), from, bytes, truncated });
            }
            self.turns = self.turns.checked_sub(1)?;
            let number = self.readable.pop_front()?;
            self.read(number);
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// The socket itself, to provoke the kernel.
    #[cfg(test)]
    pub(super) fn socket(&self, socket: SocketIndex) -> Option<&Socket> {
        self.sockets[socket.number()].as_ref().map(|bound| &bound.socket)
    }

    /// Counts a datagram, and what its socket has dropped before it.
    fn count_datagram(&mut self, number: u16, position: usize) {
        let overflow = address::overflow(self.receiving.control(position));
        if let (Some(overflow), Some(bound)) = (overflow, &mut self.sockets[usize::from(number)]) {
            self.counts.receive_overflow += socket::growth(&mut bound.overflow, overflow);
        }
        self.counts.truncated += u64::from(self.receiving.is_truncated(position));
        self.counts.datagrams_in += 1;
        self.counts.messages_in += 1;
    }

    /// Fills the receive batch from a socket; it goes to the end of the list when more may be there.
    fn read(&mut self, number: u16) {
        let Some(bound) = &mut self.sockets[usize::from(number)] else { return };
        self.counts.system_calls += 1;
        bound.is_readable = match self.receiving.fill(number, &bound.socket) {
            Ok(is_full) => is_full,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(_) => {
                // The error was the socket's, and reading took it away; what is behind it is read next time.
                self.counts.receive_errors += 1;
                true
            }
        };
        if bound.is_readable {
            self.readable.push_back(number);
        }
    }

    /// Waits for readiness and notes it; `true` when a signal ended the wait.
    fn poll_events(&mut self, wait: Option<Duration>) -> io::Result<bool> {
        self.counts.system_calls += 1;
        match self.poll.poll(&mut self.events, wait) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        }
        for event in &self.events {
            let Token(token) = event.token();
            match self.sockets.get_mut(token) {
                Some(Some(bound)) => {
                    let Ok(number) = u16::try_from(token) else { continue };
                    if event.is_readable() && !bound.is_readable {
                        bound.is_readable = true;
                        self.readable.push_back(number);
                    }
                    if event.is_writable() && bound.is_blocked {
                        bound.is_blocked = false;
                        set_interest(&self.poll, bound, number, Interest::READABLE)?;
                        self.outbox.list_lane(number);
                    }
                }
                Some(None) => {}
                None => {
                    let watch = token - self.sockets.len();
                    let Some(Some(watched)) = self.watches.get(watch) else { continue };
                    self.counts.system_calls += 1;
                    if let (true, Ok(watch)) = (watched.is_heard(), u16::try_from(watch)) {
                        self.ready.push_back(Ready::Woken { watch });
                    }
                }
            }
        }
        Ok(false)
    }

    /// Sends what is queued on every socket that takes it.
    fn flush(&mut self) {
        for _ in 0..self.outbox.lane_count() {
            let Some(number) = self.outbox.take_lane() else { return };
            while self.send_batch(number) {}
        }
    }

    /// Sends one batch of a lane; `false` when the lane is empty or its socket takes no more.
    fn send_batch(&mut self, number: u16) -> bool {
        let Some(bound) = &mut self.sockets[usize::from(number)] else { return false };
        if bound.is_blocked {
            return false;
        }
        self.sending.gather(&mut self.outbox, number);
        if self.sending.is_empty() {
            return false;
        }
        self.counts.system_calls += 1;
        let result = self.sending.send(&bound.socket);
        let (sent_count, errno) = match result {
            Ok(sent_count) => (sent_count, None),
            Err(error) => (0, Some(error.raw_os_error().unwrap_or(libc::EIO))),
        };
        if matches!(errno, Some(libc::EAGAIN)) {
            // Should the interest not be changed, which takes kernel memory, the next flush tries again.
            bound.is_blocked = set_interest(&self.poll, bound, number, Interest::READABLE | Interest::WRITABLE).is_ok();
            self.sending.put_back(&mut self.outbox, 0);
            if bound.is_blocked {
                return false;
            }
            self.outbox.list_lane(number);
            return false;
        }
        // An error is about the first message alone. What the kernel did not come to goes back first, so that a message
        // that is to be sent again takes its place before it.
        let judged_count = sent_count + usize::from(errno.is_some());
        self.sending.put_back(&mut self.outbox, judged_count);
        for position in (0..judged_count).rev() {
            self.finish(self.sending.slot(position), errno);
        }
        true
    }

    /// Ends a message with the kernel's word on it.
    fn finish(&mut self, slot: u16, errno: Option<i32>) {
        match self.outbox.finish(slot, errno) {
            Outcome::Sent(datagrams) => {
                self.counts.messages_out += 1;
                self.counts.datagrams_out += u64::from(datagrams);
            }
            Outcome::Uncoalesced => self.counts.coalescing_refused += 1,
            Outcome::Failed { socket, to, datagrams, error } => {
                self.counts.transmit_failures += u64::from(datagrams);
                self.ready.push_back(Ready::TransmitFailed { socket, to, datagrams, error });
            }
        }
    }
}

/// Changes what readiness of a socket is told.
fn set_interest(poll: &Poll, bound: &Bound, number: u16, interest: Interest) -> io::Result<()> {
    poll.registry().reregister(&mut SourceFd(&bound.socket.as_raw_fd()), Token(number.into()), interest)
}

/// The lowest free number of a table.
fn free_number<Holder>(places: &[Option<Holder>]) -> io::Result<u16> {
    let number = places.iter().position(Option::is_none).ok_or(io::ErrorKind::QuotaExceeded)?;
    u16::try_from(number).map_err(|_| io::ErrorKind::QuotaExceeded.into())
}
