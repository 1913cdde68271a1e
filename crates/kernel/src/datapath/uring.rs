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
//! **A message** is one datagram, or many of one sender that the kernel has put together; it is told datagram by datagram, and its
//! buffer is the kernel's again behind the last.
//!
//! **Receiving** stops when the buffers are used up, or for the kernel's own reasons; then it is armed anew with the next
//! submission. Datagrams meanwhile wait in the socket.

mod inbox;
mod opened;
mod place;
mod setup;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use io_uring::types::{CancelBuilder, Fixed, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use socket2::Socket;

use super::outbox::{Outbox, Outcome};
use super::watched::Watched;
use super::{
    Completion, Counts, GATHER, Limits, NotQueued, OpenError, RECEIVE_MAX, SocketIndex, WatchIndex, address, socket,
};
use inbox::Inbox;
use opened::Opened;
use place::{Kind, Place, Seat, Tag};
pub(crate) use setup::REGISTERED_LATER;

/// How long a drop waits for the kernel to let go of the buffers.
const DROP_PATIENCE: Duration = Duration::from_secs(1);

/// Messages of one wait, and the datagrams in them.
#[derive(Clone, Copy, Debug, Default)]
struct Arrivals {
    messages: usize,
    datagrams: usize,
}

impl Arrivals {
    /// How many datagrams a message has, at least one.
    fn of_each(self) -> usize {
        (self.datagrams / self.messages.max(1)).max(1)
    }
}

/// Something for `next`, in the order of completion.
#[derive(Clone, Copy, Debug)]
enum Ready {
    Message { socket: u16, generation: u32, buffer: u16, length: usize },
    TransmitFailed { socket: u16, generation: u32, to: SocketAddr, datagrams: u16, error: super::TransmitError },
    Woken { watch: u16, generation: u32 },
}

/// Datagrams over io_uring. The ring is declared first, and so dropped before the memory that it was told of.
pub struct Uring {
    ring: IoUring,
    inbox: ManuallyDrop<Inbox>,
    outbox: ManuallyDrop<Outbox>,
    sockets: Vec<Place<Socket>>,
    watches: Vec<Place<Watched>>,
    /// Sockets and watches to arm, and places to cancel, with the next submission. A number may stand here in vain.
    to_arm: VecDeque<Seat>,
    to_cancel: VecDeque<Seat>,
    ready: VecDeque<Ready>,
    /// What the last wait has brought.
    arrivals: Arrivals,
    ready_max: usize,
    /// The message that the last `next` has told of, with what is left of it.
    opened: Option<Opened>,
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
        // Last, for what was registered until here is not asked for again. Linux has had this since 5.10, and every kernel that
        // has the rest has it.
        setup::restrict(&ring).map_err(setup::missing)?;
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
            arrivals: Arrivals::default(),
            ready_max,
            opened: None,
            enabled: false,
            in_flight: 0,
            counts: Counts::default(),
        })
    }

    pub(super) fn adopt(&mut self, socket: Socket) -> io::Result<SocketIndex> {
        let number = place::free_number(&self.sockets)?;
        let seat = Seat::Socket(number);
        socket::gather(&socket);
        self.ring.submitter().register_files_update(self.position(seat), &[socket.as_raw_fd()])?;
        self.sockets[usize::from(number)].hold(socket);
        self.outbox.open_lane(number);
        self.to_arm.push_back(seat);
        Ok(SocketIndex(number))
    }

    pub(super) fn local_addr(&self, socket: SocketIndex) -> io::Result<SocketAddr> {
        let holder = self.sockets.get(socket.number()).and_then(|place| place.holder.as_ref());
        socket::local_address(holder.ok_or(io::ErrorKind::NotFound)?)
    }

    pub(super) fn overflow(&self, socket: SocketIndex) -> u32 {
        self.sockets.get(socket.number()).map_or(0, |place| place.overflow)
    }

    pub(super) fn close(&mut self, socket: SocketIndex) {
        let Some(place) = self.sockets.get_mut(socket.number()) else { return };
        if place.holder.take().is_some() {
            self.outbox.close_lane(socket.0);
            self.leave(Seat::Socket(socket.0));
        }
    }

    pub(super) fn watch(&mut self, watched: Watched) -> io::Result<WatchIndex> {
        let number = place::free_number(&self.watches)?;
        let seat = Seat::Watch(number);
        self.ring.submitter().register_files_update(self.position(seat), &[watched.as_fd().as_raw_fd()])?;
        self.watches[usize::from(number)].hold(watched);
        self.to_arm.push_back(seat);
        Ok(WatchIndex(number))
    }

    pub(super) fn unwatch(&mut self, watch: WatchIndex) {
        let Some(place) = self.watches.get_mut(watch.number()) else { return };
        if place.holder.take().is_some() {
            self.leave(Seat::Watch(watch.0));
        }
    }

    pub(super) fn transmit_room(&self) -> usize {
        self.outbox.room()
    }

    pub(super) fn transmit(&mut self, socket: SocketIndex, to: SocketAddr, bytes: &[u8]) -> Result<(), NotQueued> {
        self.outbox.push(socket.0, to, bytes)
    }

    pub(super) fn submit_and_wait(&mut self, timeout: Option<Duration>, together: usize) -> io::Result<()> {
        self.enable()?;
        let started = Instant::now();
        let was_full = self.outbox.room() == 0;
        let timeout = if self.ready.is_empty() && self.opened.is_none() { timeout } else { Some(Duration::ZERO) };
        // What is there by then is handed over; what comes first later may wait as long once more.
        let mut gather_until = if together > 1 { GATHER } else { Duration::ZERO };
        let mut was_late = false;
        // The kernel counts messages: so many datagrams as the last ones had, the next are taken to have.
        let expected = std::mem::take(&mut self.arrivals).of_each();
        loop {
            self.queue_requests()?;
            let passed = started.elapsed();
            let gathers = passed < gather_until;
            let wait = timeout.map(|timeout| timeout.saturating_sub(passed));
            let (wait, least) = match gathers {
                true => {
                    let missing = together.saturating_sub(self.arrived());
                    (Some(wait.unwrap_or(GATHER).min(gather_until - passed)), missing.div_ceil(expected).max(1))
                }
                false => (wait, 1),
            };
            let was_interrupted = self.enter(wait, least)? == Entered::Interrupted;
            self.reap();
            let passed = started.elapsed();
            // Sends complete at once and in silence; they alone are no reason to return.
            let has_passed = timeout.is_some_and(|timeout| passed >= timeout);
            let has_room = was_full && self.outbox.room() > 0;
            if has_passed || was_interrupted || has_room || self.arrived() >= together {
                return Ok(());
            }
            if self.ready.is_empty() || passed < gather_until {
                continue;
            }
            if gathers || was_late {
                return Ok(());
            }
            (gather_until, was_late) = (passed + GATHER, true);
        }
    }

    pub(super) fn next(&mut self) -> Option<Completion<'_>> {
        loop {
            if let Some(datagram) = self.next_of_message() {
                return self.datagram(datagram);
            }
            match self.ready.pop_front()? {
                Ready::Message { socket, generation, buffer, length } => {
                    self.opened = self.open_message(socket, generation, buffer, length);
                    if self.opened.is_none() {
                        self.inbox.give(buffer);
                    }
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

    /// The socket itself, to provoke the kernel.
    #[cfg(test)]
    pub(super) fn socket(&self, socket: SocketIndex) -> Option<&Socket> {
        self.sockets[socket.number()].holder.as_ref()
    }

    /// Looks at a message that has come in; `None` when its socket has gone, or the buffer does not hold one as it should.
    fn open_message(&mut self, socket: u16, generation: u32, buffer: u16, length: usize) -> Option<Opened> {
        let place = &mut self.sockets[usize::from(socket)];
        let received = self.inbox.read(buffer, length).filter(|_| place.holds(generation))?;
        let from = address::decode(received.name)?;
        if let Some(overflow) = address::overflow(received.control) {
            self.counts.receive_overflow += socket::growth(&mut place.overflow, overflow);
        }
        self.counts.messages_in += 1;
        Some(Opened { socket, generation, buffer, length, from, segments: received.segments() })
    }

    /// Where the next datagram of the message stands that is told of, and whether its end is missing. Behind the last one, or
    /// when the socket is closed meanwhile, the buffer is the kernel's again.
    fn next_of_message(&mut self) -> Option<(Range<usize>, bool)> {
        let opened = self.opened.as_mut()?;
        let is_wanted = self.sockets[usize::from(opened.socket)].holds(opened.generation);
        if let Some((mut range, mut truncated)) = opened.segments.next().filter(|_| is_wanted) {
            if range.len() > RECEIVE_MAX {
                (range.end, truncated) = (range.start + RECEIVE_MAX, true);
            }
            self.counts.truncated += u64::from(truncated);
            self.counts.datagrams_in += 1;
            return Some((range, truncated));
        }
        self.give_back();
        None
    }

    /// A datagram of the message that is told of.
    fn datagram(&self, (range, truncated): (Range<usize>, bool)) -> Option<Completion<'_>> {
        let opened = self.opened.as_ref()?;
        let bytes = &self.inbox.read(opened.buffer, opened.length)?.message[range];
        Some(Completion::Datagram { socket: SocketIndex(opened.socket), from: opened.from, bytes, truncated })
    }

    /// How much of what is expected together is there.
    fn arrived(&self) -> usize {
        self.ready.len() + self.arrivals.datagrams - self.arrivals.messages
    }

    /// Ends the loan of the last message.
    fn give_back(&mut self) {
        if let Some(opened) = self.opened.take() {
            self.inbox.give(opened.buffer);
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
        while let Some(seat) = self.to_cancel.pop_front() {
            let criteria = CancelBuilder::fd(Fixed(self.position(seat))).all();
            self.push(opcode::AsyncCancel2::new(criteria).build(), Tag::CANCEL)?;
        }
        while let Some(seat) = self.to_arm.pop_front() {
            self.arm(seat)?;
        }
        while let Some(slot) = self.outbox.pop() {
            self.send(slot)?;
        }
        Ok(())
    }

    /// Starts receiving on a socket, or polling a watch, unless it is gone or armed already.
    fn arm(&mut self, seat: Seat) -> io::Result<()> {
        let descriptor = Fixed(self.position(seat));
        match seat {
            Seat::Socket(number) => {
                let place = &mut self.sockets[usize::from(number)];
                if place.wants_arming() {
                    let tag = Tag { kind: Kind::Receive, generation: place.arm(), number };
                    let receive = opcode::RecvMsgMulti::new(descriptor, self.inbox.layout(), inbox::GROUP);
                    self.push(receive.build(), tag)?;
                }
            }
            Seat::Watch(number) => {
                let place = &mut self.watches[usize::from(number)];
                if place.wants_arming() {
                    let tag = Tag { kind: Kind::Watch, generation: place.arm(), number };
                    let poll = opcode::PollAdd::new(descriptor, libc::POLLIN.unsigned_abs().into());
                    self.push(poll.build(), tag)?;
                }
            }
        }
        Ok(())
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

    /// Submits, and waits for so many completions. A zero wait makes no system call when there is nothing to do.
    fn enter(&mut self, wait: Option<Duration>, least: usize) -> io::Result<Entered> {
        let queue = self.ring.submission();
        let queued = u32::try_from(queue.len()).unwrap_or(u32::MAX);
        let has_work = queue.taskrun() || queue.cq_overflow();
        drop(queue);
        let may_wait = wait != Some(Duration::ZERO) && self.ring.completion().is_empty();
        if queued == 0 && !has_work && !may_wait {
            return Ok(Entered::Done);
        }
        let least = if may_wait { u32::try_from(least).unwrap_or(u32::MAX) } else { 0 };
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
        let entered = unsafe { self.ring.submitter().enter(queued, least, flags.bits(), Some(&arguments)) };
        match entered {
            Ok(_) => Ok(Entered::Done),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Entered::Interrupted),
            Err(error) if is_passing(&error) => Ok(Entered::Done),
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
        let Tag { generation, number: socket, .. } = tag;
        if let (Some(buffer), Ok(length)) = (cqueue::buffer_select(entry.flags()), usize::try_from(entry.result())) {
            self.ready.push_back(Ready::Message { socket, generation, buffer, length });
            self.arrivals.messages += 1;
            self.arrivals.datagrams +=
                self.inbox.read(buffer, length).map_or(1, |received| received.segments().count_all());
        }
        if is_final {
            match -entry.result() {
                libc::ENOBUFS => self.counts.receive_starved += 1,
                errno if errno > 0 && errno != libc::ECANCELED => self.counts.receive_errors += 1,
                _ => {}
            }
            self.sockets[usize::from(socket)].disarm();
            self.to_arm.push_back(Seat::Socket(socket));
            self.unregister_if_left(Seat::Socket(socket));
        }
    }

    fn sent(&mut self, tag: Tag, result: i32) {
        let Tag { generation, number: slot, .. } = tag;
        let socket = self.outbox.socket(slot);
        self.sockets[usize::from(socket)].in_flight -= 1;
        match self.outbox.finish(slot, (result < 0).then_some(-result)) {
            Outcome::Sent(datagrams) => {
                self.counts.messages_out += 1;
                self.counts.datagrams_out += u64::from(datagrams);
            }
            Outcome::Uncoalesced => self.counts.coalescing_refused += 1,
            Outcome::Failed { socket, to, datagrams, error } => {
                self.counts.transmit_failures += u64::from(datagrams);
                self.ready.push_back(Ready::TransmitFailed { socket, generation, to, datagrams, error });
            }
        }
        self.unregister_if_left(Seat::Socket(socket));
    }

    fn rung(&mut self, tag: Tag, result: i32) {
        let Tag { generation, number: watch, .. } = tag;
        let place = &mut self.watches[usize::from(watch)];
        place.disarm();
        if place.holds(generation) && result >= 0 {
            self.counts.system_calls += 1;
            // Drained before it is told and before it is armed again: a ring from now on is seen by the next poll.
            if place.holder.as_ref().is_some_and(Watched::is_heard) {
                self.ready.push_back(Ready::Woken { watch, generation });
            }
        }
        self.to_arm.push_back(Seat::Watch(watch));
        self.unregister_if_left(Seat::Watch(watch));
    }

    /// Ends what the kernel does for a seat whose holder has just gone.
    fn leave(&mut self, seat: Seat) {
        let in_flight = match seat {
            Seat::Socket(number) => self.sockets[usize::from(number)].in_flight,
            Seat::Watch(number) => self.watches[usize::from(number)].in_flight,
        };
        if in_flight > 0 {
            self.to_cancel.push_back(seat);
        }
        self.unregister_if_left(seat);
    }

    /// Takes the descriptor of a seat out of the ring's table when its holder is gone and the kernel is done with it; the
    /// number is free then. Until then the ring keeps the descriptor open, and a socket its port.
    fn unregister_if_left(&mut self, seat: Seat) {
        let is_left = match seat {
            Seat::Socket(number) => self.sockets[usize::from(number)].is_left(),
            Seat::Watch(number) => self.watches[usize::from(number)].is_left(),
        };
        if !is_left {
            return;
        }
        // It does not fail for a position inside the table; if it did, the number would stay in use.
        if self.ring.submitter().register_files_update(self.position(seat), &[-1]).is_ok() {
            match seat {
                Seat::Socket(number) => self.sockets[usize::from(number)].registered = false,
                Seat::Watch(number) => self.watches[usize::from(number)].registered = false,
            }
        }
    }

    /// Where a seat stands in the ring's table of descriptors.
    fn position(&self, seat: Seat) -> u32 {
        match seat {
            Seat::Socket(number) => number.into(),
            Seat::Watch(number) => u32::from(number) + u32::try_from(self.sockets.len()).unwrap_or(u32::MAX),
        }
    }

    /// Cancels everything and waits until the kernel has let go of it; `false` when it did not in time.
    fn cancel_all(&mut self) -> bool {
        let deadline = Instant::now() + DROP_PATIENCE;
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        if self.in_flight > 0 && self.push(cancel, Tag::CANCEL).is_err() {
            return false;
        }
        while self.in_flight > 0 {
            let patience = deadline.saturating_duration_since(Instant::now());
            if patience.is_zero() || self.enter(Some(patience), 1).is_err() {
                return false;
            }
            self.ready.clear();
            self.reap();
        }
        true
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        if !self.cancel_all() {
            // The kernel may still write to a buffer or read a slot: both stay mapped for good.
            return;
        }
        // Nothing uses the group any more, whether or not the kernel forgets it now.
        let _ = self.ring.submitter().unregister_buf_ring(inbox::GROUP);
        // SAFETY: no request is in flight, so the kernel has no use of either; this is the only place that drops them
        // and nothing reads them afterwards, as `self` ends here.
        unsafe {
            ManuallyDrop::drop(&mut self.inbox);
            ManuallyDrop::drop(&mut self.outbox);
        }
    }
}

impl fmt::Debug for Uring {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Uring")
            .field("in_flight", &self.in_flight)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// How a system call came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entered {
    Done,
    Interrupted,
}

/// Whether an error of entering heals by itself: the time is over, a signal, completions to be taken first, no memory for
/// requests just now. What was not submitted stays in the queue.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapath::BindSpec;
    use crate::waker::Waker;
    use std::net::Ipv4Addr;

    #[test]
    fn the_kernel_lets_go_of_everything() {
        let local = (Ipv4Addr::LOCALHOST, 0).into();
        let spec = BindSpec { local, device: None, receive_buffer: 0, send_buffer: 0 };
        for waits in 0..4 {
            let mut engine = match Uring::open(Limits::default()) {
                Ok(engine) => engine,
                Err(error) => return println!("skipped: {error}"),
            };
            let waker = Waker::new().unwrap();
            engine.watch(Watched::bell(&waker).unwrap()).unwrap();
            let sockets = [(); 50].map(|()| engine.adopt(socket::open(&spec, false).unwrap()).unwrap());
            let to = engine.local_addr(sockets[0]).unwrap();
            for _ in 0..waits {
                sockets.iter().for_each(|socket| engine.transmit(*socket, to, &[0; 100]).unwrap());
                waker.wake();
                engine.submit_and_wait(Some(Duration::ZERO), 1).unwrap();
                engine.next();
            }
            assert_eq!(engine.in_flight > 0, waits > 0);
            assert!(engine.cancel_all());
            assert_eq!(engine.in_flight, 0);
            assert_eq!(engine.outbox.room(), usize::from(Limits::default().transmit_slots));
        }
    }

    #[test]
    fn a_ring_refuses_what_this_engine_never_asks_for() {
        let mut engine = match Uring::open(Limits::default()) {
            Ok(engine) => engine,
            Err(error) => return println!("skipped: {error}"),
        };
        engine.submit_and_wait(Some(Duration::ZERO), 1).unwrap();
        let path = c"/proc/self/status";
        let nobody = io_uring::types::Fd(-1);
        let file = Fixed(0);
        let refused = [
            opcode::Nop::new().build(),
            opcode::OpenAt::new(nobody, path.as_ptr()).build(),
            opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0).build(),
            opcode::Close::new(nobody).build(),
            opcode::UringCmd16::new(file, 0).build(),
            // An operation that is its own, with a flag that is not: it would run in another context.
            opcode::PollAdd::new(file, 1).build().flags(squeue::Flags::ASYNC),
            opcode::PollAdd::new(file, 1).build().flags(squeue::Flags::IO_LINK),
        ];
        for (number, entry) in refused.into_iter().enumerate() {
            // SAFETY: the path outlives the request, which has ended before the next one begins; nothing else points anywhere.
            unsafe { engine.ring.submission().push(&entry) }.unwrap();
            assert_eq!(engine.ring.submit_and_wait(1).unwrap(), 1);
            let ended = engine.ring.completion().next().unwrap();
            assert_eq!(ended.result(), -libc::EACCES, "request {number}");
        }
        let submitter = engine.ring.submitter();
        let refused = |asked: io::Result<()>| asked.unwrap_err().raw_os_error();
        assert_eq!(refused(submitter.register_personality().map(drop)), Some(libc::EACCES));
        assert_eq!(refused(submitter.unregister_files()), Some(libc::EACCES));
        assert_eq!(refused(submitter.register_probe(&mut io_uring::Probe::new())), Some(libc::EACCES));
        // It cannot be made wider afterwards.
        assert!(setup::restrict(&engine.ring).is_err());
    }
}
