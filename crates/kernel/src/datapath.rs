//! The workers' datagrams: UDP in batches, over io_uring or, where the kernel has none for us, over epoll.
//!
//! Both engines behave the same; [`Datapath`] is a closed choice between the two. A worker's loop is:
//!
//! ```text
//! while room and work:   transmit(socket, to, bytes)     copied and queued; nothing leaves yet
//! submit_and_wait(timeout)                               everything queued leaves; one system call where possible
//! while let Some(completion) = next()                    what came in, what could not leave, who rang
//! ```
//!
//! Sockets are unconnected, so a datagram is delivered whoever sent it: judging its source is the caller's work.
//! Successful transmits are silent; they free their slot.
//!
//! **Coalescing.** Datagrams of one socket to one destination with one length leave as a single message which the
//! kernel, or the network card, cuts apart (UDP_SEGMENT of udp(7)); a shorter one may close the message. Transmits of
//! other sockets in between do not hinder it. The wire shows no difference. Where a device refuses, the datagrams are
//! sent one by one, and that socket is not tried again ([`Counts::coalescing_refused`]).
//!
//! **Gathering.** Over io_uring, datagrams of one sender and one length that the network card or the kernel has put together
//! come in as one message (UDP_GRO of udp(7)) and are told one by one. epoll asks for each alone.
//!
//! **Order.** Datagrams of one socket leave in the order of their transmits as long as the socket's send buffer has
//! room; no order is promised beyond that, as UDP promises none.
//!
//! **Threads.** A datapath may be opened and bound on one thread and moved to its worker. The first
//! [`Datapath::submit_and_wait`] ties an io_uring to its thread: calls from any other fail from then on, and dropping it
//! on another gives its memory up.

mod address;
mod epoll;
mod missing;
mod outbox;
mod socket;
mod uring;
mod watched;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::Socket;

use crate::waker::Waker;
pub use epoll::Epoll;
pub use missing::Missing;
pub(crate) use uring::REGISTERED_LATER;
pub use uring::Uring;
use watched::Watched;

/// The longest datagram that can be transmitted, in octets: the longest message that the rooms above send.
pub const DATAGRAM_MAX: usize = 4096;

/// The longest datagram that is received whole, in octets; more than [`DATAGRAM_MAX`], so that one too long is seen as
/// such and not mistaken for one cut short.
pub const RECEIVE_MAX: usize = 4540;

/// How long [`Datapath::submit_and_gather`] lets what has come wait for what is to come.
pub const GATHER: Duration = Duration::from_millis(1);

/// Which engine to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// io_uring if the kernel lets us, else epoll with the reason in [`Opened::fallback`].
    #[default]
    Auto,
    /// io_uring or an error.
    IoUring,
    /// epoll, sendmmsg and recvmmsg.
    Epoll,
}

/// How large a datapath is; fixed when it is opened.
///
/// Memory, in octets: `transmit_slots` × 33,026 + `receive_buffers` × 65,680 (epoll: 64 × 4,704 instead), of which only
/// touched pages are resident; the slot used last is used again first, and of a buffer rarely more than the first page.
/// Besides, the rings take 64 per submission and 16 per completion; they and `receive_buffers` × 16, together about 140 KiB
/// with the defaults, count as locked memory for an ordinary user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sockets that can be bound at a time, 1–16,384.
    pub sockets: u16,
    /// Wakers and descriptors that can be watched at a time, 0–4,096.
    pub watches: u16,
    /// Messages that can be queued or under way at a time, 1–16,384. A message is at least one datagram.
    pub transmit_slots: u16,
    /// Messages that can be received between two waits, a power of two up to 32,768. All sockets share them.
    pub receive_buffers: u16,
    /// Whether equal datagrams are coalesced.
    pub coalesce: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { sockets: 256, watches: 16, transmit_slots: 256, receive_buffers: 512, coalesce: true }
    }
}

impl Limits {
    /// Whether every field is in its range.
    fn is_valid(&self) -> bool {
        (1..=16_384).contains(&self.sockets)
            && self.watches <= 4096
            && (1..=16_384).contains(&self.transmit_slots)
            && self.receive_buffers.is_power_of_two()
            && self.receive_buffers <= 32_768
    }
}

/// A datapath, and why it is not the faster one.
#[derive(Debug)]
pub struct Opened {
    /// Ready to bind.
    pub datapath: Datapath,
    /// Set when io_uring was wished for and is missing.
    pub fallback: Option<Fallback>,
}

/// Says in one sentence why epoll is used and what would allow io_uring; for the log.
#[derive(Debug)]
pub struct Fallback {
    /// What stands in the way.
    pub cause: Missing,
}

impl fmt::Display for Fallback {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "using epoll: {}", self.cause)
    }
}

/// Why no datapath could be opened.
#[derive(Debug)]
pub enum OpenError {
    /// io_uring was demanded and is missing.
    IoUring(Missing),
    /// A field of [`Limits`] is out of its range.
    Limits,
    /// Out of memory or descriptors.
    Io(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::IoUring(missing) => missing.fmt(out),
            OpenError::Limits => write!(out, "a limit of the datapath is out of its range"),
            OpenError::Io(error) => write!(out, "the datapath cannot be opened: {error}"),
        }
    }
}

impl Error for OpenError {}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        OpenError::Io(error)
    }
}

/// What to bind.
#[derive(Clone, Copy, Debug)]
pub struct BindSpec<'a> {
    /// The own address; port 0 takes any free one. IPv6 sockets carry IPv6 only.
    pub local: SocketAddr,
    /// The device that everything comes in and leaves through, whatever the routing table says: a VRF (SO_BINDTODEVICE of
    /// socket(7)). `None`: any.
    pub device: Option<&'a str>,
    /// The kernel's receive buffer in octets, 0 for the system's default. Unprivileged, `net.core.rmem_max` bounds it.
    pub receive_buffer: u32,
    /// The kernel's send buffer in octets, 0 for the system's default. Unprivileged, `net.core.wmem_max` bounds it.
    pub send_buffer: u32,
}

/// A socket that is bound and in no datapath yet, for [`Datapath::adopt`].
#[derive(Debug)]
pub struct BoundSocket(Socket);

impl BoundSocket {
    /// So many sockets on one address and port, one for each of as many datapaths. What comes in goes to one of them by its
    /// sender. Nobody else has that port, unless he asks for it in the same moment.
    ///
    /// # Errors
    /// As those of [`Datapath::bind`]: then none is bound.
    pub fn bind_all(spec: &BindSpec<'_>, count: usize) -> io::Result<Vec<BoundSocket>> {
        if count == 1 {
            return Ok(vec![BoundSocket(socket::open(spec, false)?)]);
        }
        // Sockets that share would share with those of another process of this user as well.
        drop(socket::open(spec, false)?);
        (0..count).map(|_| socket::open(spec, true).map(BoundSocket)).collect()
    }
}

/// A bound socket of one datapath; void once closed, and the number may then come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketIndex(u16);

impl SocketIndex {
    /// Its number, below [`Limits::sockets`]; for tables beside the datapath.
    pub fn number(self) -> usize {
        usize::from(self.0)
    }
}

/// A watched waker or descriptor of one datapath; void once unwatched, and the number may then come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchIndex(u16);

impl WatchIndex {
    /// Its number, below [`Limits::watches`]; for tables beside the datapath.
    pub fn number(self) -> usize {
        usize::from(self.0)
    }
}

/// Something that happened.
#[derive(Debug, PartialEq, Eq)]
pub enum Completion<'buffer> {
    /// A datagram came in.
    Datagram {
        /// The socket it came to.
        socket: SocketIndex,
        /// Who sent it, or says so.
        from: SocketAddr,
        /// At most [`RECEIVE_MAX`] octets; the buffer is used again at the next call.
        bytes: &'buffer [u8],
        /// It was longer than [`RECEIVE_MAX`]; `bytes` is its beginning.
        truncated: bool,
    },
    /// Datagrams did not leave. Those that left and were lost later are not known here.
    TransmitFailed {
        /// The socket they were queued on.
        socket: SocketIndex,
        /// Where they were to go.
        to: SocketAddr,
        /// How many: more than one when they were coalesced.
        datagrams: u16,
        /// Why.
        error: TransmitError,
    },
    /// A watched waker rang, once or more often, or a watched descriptor has become readable.
    Woken {
        /// Which.
        watch: WatchIndex,
    },
}

/// Why a datagram did not leave, by what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransmitError {
    /// No route, or the network or neighbour is down: may heal by itself.
    Unreachable,
    /// A firewall rule or security policy of this box forbids it.
    Denied,
    /// Longer than the path or the device takes.
    TooLong,
    /// The kernel has no memory for it, or the device's queue is full: try later.
    NoMemory,
    /// The destination cannot be used from this socket: wrong family, port 0, or a source address that went away.
    Address,
    /// Anything else; with the number of errno(3).
    Other(i32),
}

impl TransmitError {
    /// The class of a positive errno.
    fn from_errno(errno: i32) -> TransmitError {
        match errno {
            libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN | libc::EHOSTDOWN => TransmitError::Unreachable,
            libc::EPERM | libc::EACCES => TransmitError::Denied,
            libc::EMSGSIZE => TransmitError::TooLong,
            libc::ENOBUFS | libc::ENOMEM => TransmitError::NoMemory,
            libc::EINVAL | libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL | libc::EDESTADDRREQ => TransmitError::Address,
            other => TransmitError::Other(other),
        }
    }
}

/// Why a transmit was refused. Nothing was queued; the caller keeps its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotQueued {
    /// No slot is free: submit and try again.
    Full,
    /// More than [`DATAGRAM_MAX`] octets.
    TooLong,
    /// The socket is closed.
    Closed,
}

/// What the datapath has done since it was opened. All only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams handed to the caller.
    pub datagrams_in: u64,
    /// Messages that brought them; fewer by what the kernel, or the network card, has gathered.
    pub messages_in: u64,
    /// Datagrams that the kernel took.
    pub datagrams_out: u64,
    /// Messages that carried them; fewer by what was coalesced.
    pub messages_out: u64,
    /// Datagrams reported by [`Completion::TransmitFailed`].
    pub transmit_failures: u64,
    /// Received datagrams longer than [`RECEIVE_MAX`].
    pub truncated: u64,
    /// Messages that the kernel dropped as a socket's receive buffer was full (SO_RXQ_OVFL), each of one datagram or of many that
    /// were put together; learnt from the next that the socket receives.
    pub receive_overflow: u64,
    /// Times that a socket stopped receiving as all receive buffers were in use (ENOBUFS), and was started again.
    pub receive_starved: u64,
    /// Times that a socket stopped receiving with an error and was started again.
    pub receive_errors: u64,
    /// Coalesced messages that were refused and sent datagram by datagram.
    pub coalescing_refused: u64,
    /// System calls on the datagram path.
    pub system_calls: u64,
}

/// One worker's datagrams.
#[derive(Debug)]
pub enum Datapath {
    /// Over io_uring.
    Uring(Box<Uring>),
    /// Over epoll, sendmmsg and recvmmsg.
    Epoll(Box<Epoll>),
}

/// The same call on whichever engine it is.
macro_rules! on_engine {
    ($datapath:expr, $engine:ident => $call:expr) => {
        match $datapath {
            Datapath::Uring($engine) => $call,
            Datapath::Epoll($engine) => $call,
        }
    };
}

impl Datapath {
    /// Opens a datapath of the given size.
    ///
    /// # Errors
    /// With [`Choice::IoUring`] the cause that would otherwise be a fallback; `Io` when memory or descriptors are short.
    pub fn open(choice: Choice, limits: Limits) -> Result<Opened, OpenError> {
        if !limits.is_valid() {
            return Err(OpenError::Limits);
        }
        let cause = match choice {
            Choice::Epoll => None,
            Choice::Auto | Choice::IoUring => match Uring::open(limits) {
                Ok(uring) => return Ok(Opened { datapath: Datapath::Uring(Box::new(uring)), fallback: None }),
                Err(OpenError::IoUring(cause)) if choice == Choice::Auto => Some(cause),
                Err(error) => return Err(error),
            },
        };
        let epoll = Epoll::open(limits)?;
        Ok(Opened { datapath: Datapath::Epoll(Box::new(epoll)), fallback: cause.map(|cause| Fallback { cause }) })
    }

    /// The engine's name, as the command line spells it.
    pub fn engine_name(&self) -> &'static str {
        match self {
            Datapath::Uring(_) => "io-uring",
            Datapath::Epoll(_) => "epoll",
        }
    }

    /// Binds an unconnected UDP socket, which receives from the next wait on.
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable`, `PermissionDenied` and ENODEV (no such device) of the system; `QuotaExceeded` when [`Limits::sockets`] are
    /// bound or still closing.
    pub fn bind(&mut self, spec: BindSpec<'_>) -> io::Result<SocketIndex> {
        let socket = socket::open(&spec, false)?;
        on_engine!(self, engine => engine.adopt(socket))
    }

    /// The same of a socket that another thread has bound.
    ///
    /// # Errors
    /// `QuotaExceeded` when [`Limits::sockets`] are bound or still closing.
    pub fn adopt(&mut self, bound: BoundSocket) -> io::Result<SocketIndex> {
        on_engine!(self, engine => engine.adopt(bound.0))
    }

    /// Messages that the kernel dropped as the socket's receive buffer was full, as far as it has said so; see
    /// [`Counts::receive_overflow`]. Begins at zero again behind 2³² − 1.
    pub fn overflow(&self, socket: SocketIndex) -> u32 {
        on_engine!(self, engine => engine.overflow(socket))
    }

    /// The address that a socket is bound to, with the port that was drawn.
    ///
    /// # Errors
    /// `NotFound` when it is closed.
    pub fn local_addr(&self, socket: SocketIndex) -> io::Result<SocketAddr> {
        on_engine!(self, engine => engine.local_addr(socket))
    }

    /// Closes a socket. What it queued and did not submit is dropped, what it received is no longer reported. Its port is
    /// free at the latest when the next [`Datapath::submit_and_wait`] but one has returned. A closed one is left alone.
    pub fn close(&mut self, socket: SocketIndex) {
        on_engine!(self, engine => engine.close(socket));
    }

    /// Lets `waker` end the wait, from the next wait on. The waker itself may be dropped.
    ///
    /// # Errors
    /// `QuotaExceeded` when [`Limits::watches`] are watched; others when the process has no descriptor left.
    pub fn watch(&mut self, waker: &Waker) -> io::Result<WatchIndex> {
        let watched = Watched::bell(waker)?;
        on_engine!(self, engine => engine.watch(watched))
    }

    /// Lets a descriptor that has become readable end the wait, from the next wait on: an epoll of the caller's, as
    /// [`crate::stream::Streams`] is. Upon [`Completion::Woken`] the caller takes all that is there; with what it leaves, the
    /// next wait may end at once or go on. A handle of our own is
    /// watched; the caller's may be closed.
    ///
    /// # Errors
    /// As those of [`Datapath::watch`].
    pub fn watch_descriptor(&mut self, descriptor: &impl AsFd) -> io::Result<WatchIndex> {
        let watched = Watched::descriptor(descriptor.as_fd())?;
        on_engine!(self, engine => engine.watch(watched))
    }

    /// Takes a watch back. A void one is left alone.
    pub fn unwatch(&mut self, watch: WatchIndex) {
        on_engine!(self, engine => engine.unwatch(watch));
    }

    /// How many transmits will be taken for certain; more if some can be coalesced.
    pub fn transmit_room(&self) -> usize {
        on_engine!(self, engine => engine.transmit_room())
    }

    /// Copies a datagram and queues it; it leaves at the next [`Datapath::submit_and_wait`].
    ///
    /// # Errors
    /// [`NotQueued`]; nothing has changed then.
    pub fn transmit(&mut self, socket: SocketIndex, to: SocketAddr, bytes: &[u8]) -> Result<(), NotQueued> {
        on_engine!(self, engine => engine.transmit(socket, to, bytes))
    }

    /// Submits what is queued, then waits until there is something for [`Datapath::next`], or a transmit slot has become
    /// free when there was none, or `timeout` has passed; without one it may wait for ever, with zero it only looks.
    /// It may return early with nothing, as after a signal. Take all completions before the next call: while some are
    /// left it does not wait.
    ///
    /// # Errors
    /// None that a caller could heal: the thread is another than before, or descriptors were closed behind our back.
    pub fn submit_and_wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        on_engine!(self, engine => engine.submit_and_wait(timeout, 1))
    }

    /// The same for whoever expects `together` things and is in no hurry: what comes waits up to [`GATHER`] for the rest, for
    /// each waking costs as much as several datagrams. Whatever comes is kept waiting, a ringing waker too. epoll does not know
    /// how, and waits for the first.
    ///
    /// # Errors
    /// As those of [`Datapath::submit_and_wait`].
    pub fn submit_and_gather(&mut self, timeout: Option<Duration>, together: usize) -> io::Result<()> {
        on_engine!(self, engine => engine.submit_and_wait(timeout, together.max(1)))
    }

    /// The next thing that happened, `None` when all was told. A datagram's bytes are valid until the next call.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend its buffer")]
    pub fn next(&mut self) -> Option<Completion<'_>> {
        on_engine!(self, engine => engine.next())
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        on_engine!(self, engine => engine.counts())
    }
}
