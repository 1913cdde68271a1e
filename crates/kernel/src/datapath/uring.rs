//! The io_uring engine: one ring, registered descriptors, multishot receive into shared buffers, sends in batches.
//!
//! **Requests and their end.** Every submission is counted in `in_flight` and ends with exactly one completion that does
//! not announce more. Until then the kernel may use what the request points to: a slot of the [`Outbox`], the group of
//! the [`Inbox`], a registered descriptor. So a slot is finished, a socket's or watch's number is free again, and on drop
//! the memory is unmapped, only after that completion. If on drop the kernel's last word does not come, the memory is
//! leaked: a leak is harmless.
//!
//! **Numbers.** A request carries what it is, the number of its socket, watch or slot, and that number's generation, so
//! that a late completion of a closed socket does not touch the one that has the number now.
//!
//! **Receiving** stops when the buffers are used up, or for the kernel's own reasons; then it is armed anew with the next
//! submission. Datagrams meanwhile wait in the socket.

mod inbox;
mod setup;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use io_uring::types::{CancelBuilder, Fixed, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use socket2::Socket;

use super::outbox::{Outbox, Outcome};
use super::{BindSpec, Completion, Counts, Limits, NotQueued, OpenError, SocketIndex, WatchIndex, address, socket};
use crate::waker::Waker;
use inbox::Inbox;

/// How long a drop waits for the kernel to let go of the buffers.
const DROP_PATIENCE: Duration = Duration::from_secs(1);

/// What a request is, in the upper octet of its user data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Receive,
    Send,
    Watch,
    Cancel,
}

/// The identity of a request, as 64 bits of user data: kind, generation, number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag {
    kind: Kind,
    generation: u32,
    number: u16,
}

impl Tag {
    fn to_user_data(self) -> u64 {
        (self.kind as u64) << 56 | u64::from(self.generation) << 16 | u64::from(self.number)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each field is cut out of the word")]
    fn from_user_data(word: u64) -> Tag {
        let kind = match word >> 56 {
            0 => Kind::Receive,
            1 => Kind::Send,
            2 => Kind::Watch,
            _ => Kind::Cancel,
        };
        Tag { kind, generation: (word >> 16) as u32, number: word as u16 }
    }
}

/// A number that a socket or watch may have, and what the kernel still does for it.
#[derive(Debug)]
struct Place<Descriptor> {
    /// Its holder. `None`: free, or closing while requests of the last holder are in flight.
    holder: Option<Descriptor>,
    /// Counts the holders.
    generation: u32,
    /// The receive or poll is in flight.
    armed: bool,
    /// Requests in flight that use the registered descriptor.
    in_flight: u32,
    /// The descriptor is in the ring's table.
    registered: bool,
    /// 32-bit count of what a socket's full buffer dropped, as last seen.
    overflow: u32,
}

impl<Descriptor> Place<Descriptor> {
    fn unused() -> Self {
        Place { holder: None, generation: 0, armed: false, in_flight: 0, registered: false, overflow: 0 }
    }

    fn is_free(&self) -> bool {
        self.holder.is_none() && self.in_flight == 0 && !self.registered
    }
}

/// Something for `next`, in the order of completion.
#[derive(Clone, Copy, Debug)]
enum Ready {
    Datagram { socket: u16, generation: u32, buffer: u16, length: usize },
    TransmitFailed { socket: u16, generation: u32, to: SocketAddr, datagrams: u16, error: super::TransmitError },
    Woken { watch: u16, generation: u32 },
}

/// Datagrams over io_uring. The ring is declared first, and so dropped before the memory that it was told of.
pub struct Uring {
    ring: IoUring,
    inbox: ManuallyDrop<Inbox>,
    outbox: ManuallyDrop<Outbox>,
    sockets: Vec<Place<Socket>>,
    watches: Vec<Place<Waker>>,
    /// Sockets and watches to arm, and places to cancel, with the next submission. A number may stand here in vain.
    to_arm: VecDeque<(Kind, u16)>,
    to_cancel: VecDeque<(Kind, u16)>,
    ready: VecDeque<Ready>,
    ready_max: usize,
    /// The buffer lent by the last `next`.
    lent: Option<u16>,
    /// The ring is enabled, and tied to the thread that did it.
    enabled: bool,
    in_flight: u32,
    counts: Counts,
}

// SAFETY: the raw pointers inside (the layout's null pointers, the mappings' bases) lead to memory that this value alone
// owns, whatever thread it is on. That an enabled ring refuses other threads is an error of its calls, not a danger.
unsafe impl Send for Uring {}

impl Uring {
    /// Sets up a ring; the caller has checked the limits.
    pub(super) fn open(limits: Limits) -> Result<Uring, OpenError> {
        let ring = setup::ring(&limits)?;
        let outbox = Outbox::new(limits.transmit_slots, limits.sockets, limits.coalesce)?;
        let inbox = Inbox::register(&ring.submitter(), limits.receive_buffers)?;
        let places = usize::from(limits.sockets) + usize::from(limits.watches);
        let ready_max = usize::from(limits.receive_buffers) + usize::from(limits.transmit_slots) + places;
        Ok(Uring {
            ring,
            inbox: ManuallyDrop::new(inbox),
            outbox: ManuallyDrop::new(outbox),
            sockets: (0..limits.sockets).map(|_| Place::unused()).collect(),
            watches: (0..limits.watches).map(|_| Place::unused()).collect(),
            to_arm: VecDeque::with_capacity(2 * places),
            to_cancel: VecDeque::with_capacity(2 * places),
            ready: VecDeque::with_capacity(ready_max),
            ready_max,
            lent: None,
            enabled: false,
            in_flight: 0,
            counts: Counts::default(),
        })
    }

    pub(super) fn bind(&mut self, spec: BindSpec) -> io::Result<SocketIndex> {
        let number = free_place(&self.sockets)?;
        let socket = socket::open(&spec)?;
        self.ring.submitter().register_files_update(number.into(), &[socket.as_raw_fd()])?;
        hold(&mut self.sockets[usize::from(number)], socket);
        self.outbox.open_lane(number);
        self.to_arm.push_back((Kind::Receive, number));
        Ok(SocketIndex(number))
    }

    pub(super) fn local_addr(&self, socket: SocketIndex) -> io::Result<SocketAddr> {
        let holder = self.sockets.get(socket.number()).and_then(|place| place.holder.as_ref());
        socket::local_address(holder.ok_or(io::ErrorKind::NotFound)?)
    }

    pub(super) fn close(&mut self, socket: SocketIndex) {
        let Some(place) = self.sockets.get_mut(socket.number()) else { return };
        if place.holder.take().is_some() {
            self.outbox.close_lane(socket.0);
            if place.in_flight > 0 {
                self.to_cancel.push_back((Kind::Receive, socket.0));
            }
            self.unregister_if_done(Kind::Receive, socket.0);
        }
    }

    pub(super) fn watch(&mut self, waker: &Waker) -> io::Result<WatchIndex> {
        let number = free_place(&self.watches)?;
        let waker = waker.try_clone()?;
        let position = self.position(Kind::Watch, number);
        self.ring.submitter().register_files_update(position, &[std::os::fd::AsFd::as_fd(&waker).as_raw_fd()])?;
        hold(&mut self.watches[usize::from(number)], waker);
        self.to_arm.push_back((Kind::Watch, number));
        Ok(WatchIndex(number))
    }

    pub(super) fn unwatch(&mut self, watch: WatchIndex) {
        let Some(place) = self.watches.get_mut(watch.number()) else { return };
        if place.holder.take().is_some() {
            if place.in_flight > 0 {
                self.to_cancel.push_back((Kind::Watch, watch.0));
            }
            self.unregister_if_done(Kind::Watch, watch.0);
        }
    }

    pub(super) fn transmit_room(&self) -> usize {
        self.outbox.room()
    }

    pub(super) fn transmit(&mut self, socket: SocketIndex, to: SocketAddr, bytes: &[u8]) -> Result<(), NotQueued> {
        self.outbox.push(socket.0, to, bytes)
    }

    pub(super) fn submit_and_wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.give_back();
        self.enable()?;
        let started = Instant::now();
        let was_full = self.outbox.room() == 0;
        let mut wait = if self.ready.is_empty() { timeout } else { Some(Duration::ZERO) };
        loop {
            self.queue_requests()?;
            self.enter(wait)?;
            self.reap();
            // Sends complete at once and in silence; they alone are no reason to return.
            let has_passed = wait.is_some_and(|wait| started.elapsed() >= wait);
            if has_passed || !self.ready.is_empty() || (was_full && self.outbox.room() > 0) {
                return Ok(());
            }
            wait = timeout.map(|timeout| timeout.saturating_sub(started.elapsed()));
        }
    }

    pub(super) fn next(&mut self) -> Option<Completion<'_>> {
        self.give_back();
        loop {
            match self.ready.pop_front()? {
                Ready::Datagram { socket, generation, buffer, length } => {
                    if self.sockets[usize::from(socket)].holds(generation) && self.admit(socket, buffer, length) {
                        self.lent = Some(buffer);
                        return self.datagram(socket, buffer, length);
                    }
                    self.inbox.give(buffer);
                }
                Ready::TransmitFailed { socket, generation, to, datagrams, error } => {
                    if self.sockets[usize::from(socket)].holds(generation) {
                        let socket = SocketIndex(socket);
                        return Some(Completion::TransmitFailed { socket, to, datagrams, error });
                    }
                }
                Ready::Woken { watch, generation } => {
                    if self.watches[usize::from(watch)].holds(generation) {
                        return Some(Completion::Woken { watch: WatchIndex(watch) });
                    }
                }
            }
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Counts a datagram; `false` when the buffer does not hold one as it should.
    fn admit(&mut self, socket: u16, buffer: u16, length: usize) -> bool {
        let Some(message) = self.inbox.read(buffer, length) else { return false };
        if address::decode(message.name_data()).is_none() {
            return false;
        }
        if let Some(overflow) = address::overflow(message.control_data()) {
            let seen = &mut self.sockets[usize::from(socket)].overflow;
            self.counts.receive_overflow += socket::growth(seen, overflow);
        }
        self.counts.truncated += u64::from(message.is_payload_truncated());
        self.counts.datagrams_in += 1;
        true
    }

    /// The datagram of a buffer that `admit` has accepted.
    fn datagram(&self, socket: u16, buffer: u16, length: usize) -> Option<Completion<'_>> {
        let message = self.inbox.read(buffer, length)?;
        let from = address::decode(message.name_data())?;
        let truncated = message.is_payload_truncated();
        let bytes = self.inbox.payload(buffer, length);
        Some(Completion::Datagram { socket: SocketIndex(socket), from, bytes, truncated })
    }

    /// Ends the loan of the last datagram.
    fn give_back(&mut self) {
        if let Some(buffer) = self.lent.take() {
            self.inbox.give(buffer);
        }
    }

    /// Ties the ring to this thread, once.
    fn enable(&mut self) -> io::Result<()> {
        if !self.enabled {
            self.ring.submitter().register_enable_rings()?;
            self.enabled = true;
        }
        Ok(())
    }

    /// Puts everything that waits for a submission into the submission queue.
    fn queue_requests(&mut self) -> io::Result<()> {
        while let Some((kind, number)) = self.to_cancel.pop_front() {
            let criteria = CancelBuilder::fd(Fixed(self.position(kind, number))).all();
            let tag = Tag { kind: Kind::Cancel, generation: 0, number };
            self.push(opcode::AsyncCancel2::new(criteria).build(), tag)?;
        }
        while let Some((kind, number)) = self.to_arm.pop_front() {
            self.arm(kind, number)?;
        }
        while let Some(slot) = self.outbox.pop() {
            self.send(slot)?;
        }
        Ok(())
    }

    /// Starts receiving on a socket, or polling a watch, unless it is gone or armed already.
    fn arm(&mut self, kind: Kind, number: u16) -> io::Result<()> {
        let descriptor = Fixed(self.position(kind, number));
        let (entry, generation) = match kind {
            Kind::Watch => {
                let place = &mut self.watches[usize::from(number)];
                if place.holder.is_none() || place.armed {
                    return Ok(());
                }
                place.begin();
                (opcode::PollAdd::new(descriptor, libc::POLLIN.unsigned_abs().into()).build(), place.generation)
            }
            _ => {
                let place = &mut self.sockets[usize::from(number)];
                if place.holder.is_none() || place.armed {
                    return Ok(());
                }
                place.begin();
                let entry = opcode::RecvMsgMulti::new(descriptor, self.inbox.layout(), inbox::GROUP);
                (entry.build(), place.generation)
            }
        };
        self.push(entry, Tag { kind, generation, number })
    }

    /// Hands a message to the kernel, which owns its slot from then on.
    fn send(&mut self, slot: u16) -> io::Result<()> {
        let place = &mut self.sockets[usize::from(self.outbox.socket(slot))];
        place.in_flight += 1;
        let descriptor = Fixed(self.outbox.socket(slot).into());
        let tag = Tag { kind: Kind::Send, generation: place.generation, number: slot };
        let entry = opcode::SendMsg::new(descriptor, self.outbox.header(slot)).build();
        self.push(entry, tag)
    }

    /// Puts one request into the submission queue, submitting what is there when it is full.
    fn push(&mut self, entry: squeue::Entry, tag: Tag) -> io::Result<()> {
        let entry = entry.user_data(tag.to_user_data());
        self.in_flight += 1;
        loop {
            // SAFETY: what the request points to (an envelope and its slot's bytes, the inbox's layout and group, a
            // place in the table of descriptors) is owned by this value and stays in place until the request's final
            // completion: `reap` frees slots and places only then, and `drop` waits for it or leaks.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return Ok(());
            }
            self.counts.system_calls += 1;
            match self.ring.submit() {
                Ok(0) => return Err(io::ErrorKind::ResourceBusy.into()),
                Ok(_) => {}
                Err(error) if is_passing(&error) => self.reap(),
                Err(error) => return Err(error),
            }
        }
    }

    /// Submits, and waits for one completion. A zero wait makes no system call when there is nothing to do.
    fn enter(&mut self, wait: Option<Duration>) -> io::Result<()> {
        let queue = self.ring.submission();
        let queued = u32::try_from(queue.len()).unwrap_or(u32::MAX);
        let has_work = queue.taskrun() || queue.cq_overflow();
        drop(queue);
        let may_wait = wait != Some(Duration::ZERO) && self.ring.completion().is_empty();
        if queued == 0 && !has_work && !may_wait {
            return Ok(());
        }
        let timespec = Timespec::from(wait.unwrap_or_default());
        let arguments = if wait.is_some() { SubmitArgs::new().timespec(&timespec) } else { SubmitArgs::new() };
        let mut flags = EnterFlags::EXT_ARG | EnterFlags::GETEVENTS;
        if self.ring.params().is_feature_no_iowait() {
            // An idle worker is not a worker that waits for a disk, and should not be shown as one.
            flags |= EnterFlags::NO_IOWAIT;
        }
        self.counts.system_calls += 1;
        // SAFETY: EXT_ARG says that the argument is an `io_uring_getevents_arg`, which `SubmitArgs` is; it and the
        // timespec it points to live in this frame until the call returns. `queued` entries are in the queue, each with
        // the guarantees given to `push`.
        let entered =
            unsafe { self.ring.submitter().enter(queued, may_wait.into(), flags.bits(), Some(&arguments)) };
        match entered {
            Ok(_) => Ok(()),
            Err(error) if is_passing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes completions over, as many as `ready` can hold; the rest stay in the ring.
    fn reap(&mut self) {
        while self.ready.len() < self.ready_max {
            let Some(entry) = self.ring.completion().next() else { return };
            let is_final = !cqueue::more(entry.flags());
            if is_final {
                self.in_flight -= 1;
            }
            let tag = Tag::from_user_data(entry.user_data());
            match tag.kind {
                Kind::Receive => self.received(tag, &entry, is_final),
                Kind::Send => self.sent(tag, entry.result()),
                Kind::Watch => self.rung(tag, entry.result()),
                Kind::Cancel => {}
            }
        }
    }

    fn received(&mut self, tag: Tag, entry: &cqueue::Entry, is_final: bool) {
        if is_final {
            self.sockets[usize::from(tag.number)].end();
            match -entry.result() {
                libc::ENOBUFS => self.counts.receive_starved += 1,
                libc::ECANCELED => {}
                errno if errno > 0 => self.counts.receive_errors += 1,
                _ => {}
            }
            self.to_arm.push_back((Kind::Receive, tag.number));
            self.unregister_if_done(Kind::Receive, tag.number);
        }
        if let (Some(buffer), Ok(length)) = (cqueue::buffer_select(entry.flags()), usize::try_from(entry.result())) {
            let Tag { generation, number: socket, .. } = tag;
            self.ready.push_back(Ready::Datagram { socket, generation, buffer, length });
        }
    }

    fn sent(&mut self, tag: Tag, result: i32) {
        let socket = self.outbox.socket(tag.number);
        self.sockets[usize::from(socket)].in_flight -= 1;
        match self.outbox.finish(tag.number, (result < 0).then_some(-result)) {
            Outcome::Sent(datagrams) => {
                self.counts.messages_out += 1;
                self.counts.datagrams_out += u64::from(datagrams);
            }
            Outcome::Uncoalesced => self.counts.coalescing_refused += 1,
            Outcome::Failed { socket, to, datagrams, error } => {
                self.counts.transmit_failures += u64::from(datagrams);
                let generation = tag.generation;
                self.ready.push_back(Ready::TransmitFailed { socket, generation, to, datagrams, error });
            }
        }
        self.unregister_if_done(Kind::Receive, socket);
    }

    fn rung(&mut self, tag: Tag, result: i32) {
        let place = &mut self.watches[usize::from(tag.number)];
        place.end();
        if place.holds(tag.generation) && result >= 0 {
            self.counts.system_calls += 1;
            if place.holder.as_ref().is_some_and(Waker::drain) {
                self.ready.push_back(Ready::Woken { watch: tag.number, generation: tag.generation });
            }
        }
        self.to_arm.push_back((Kind::Watch, tag.number));
        self.unregister_if_done(Kind::Watch, tag.number);
    }

    /// Takes the descriptor of a place out of the ring's table when its holder is gone and the kernel is done with it;
    /// the number is free then.
    fn unregister_if_done(&mut self, kind: Kind, number: u16) {
        let position = self.position(kind, number);
        let (is_done, registered) = match kind {
            Kind::Watch => self.watches[usize::from(number)].done(),
            _ => self.sockets[usize::from(number)].done(),
        };
        if is_done {
            // It cannot fail for a position inside the table; if it did, the number would stay in use.
            *registered = self.ring.submitter().register_files_update(position, &[-1]).is_err();
        }
    }

    /// Where a socket or watch stands in the ring's table of descriptors.
    fn position(&self, kind: Kind, number: u16) -> u32 {
        match kind {
            Kind::Watch => u32::from(number) + u32::try_from(self.sockets.len()).unwrap_or(u32::MAX),
            _ => number.into(),
        }
    }
}
