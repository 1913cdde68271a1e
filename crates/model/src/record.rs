//! What the ledger remembers. A record is written before the thing it tells of may be seen outside
//! (DESIGN.md section 3, rule 5), and together the records of a session tell its whole life:
//!
//! ```text
//! opened ─┬─ accepted ──┬─ sampled* ─ closed ─┬─ acknowledged
//!         └─ start-failed ┘                   └─ billed
//! ```

use std::net::SocketAddr;

use crate::counters::{CounterSlot, Counters};
use crate::ids::{BillId, SessionSerial};
use crate::settings::PinnedScheme;
use crate::time::{Mono, Now};

/// One fact about one session, or about the engine itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Record<'a> {
    /// The engine started: the first record of every life, durable before anything uses its epoch.
    Started(Started),
    /// A session came up. Written again, with the same serial, when what it says has changed.
    Opened(Opened<'a>),
    /// Its Start was acknowledged.
    Accepted(Accepted),
    /// Its Start was not acknowledged, and it stays online without accounting (`start-fail online`).
    StartFailed(StartFailed),
    /// What it had counted at some moment.
    Sampled(Sampled),
    /// It went down.
    Closed(Closed),
    /// Its Stop was acknowledged, or nothing is owed to a server: the session is over.
    Acknowledged(Acknowledged),
    /// Its Stop was given up: the session is over, and a bill stands for it.
    Billed(Bill<'a>),
}

/// The engine started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// Counts starts on this state directory, from 1.
    pub epoch: u32,
    /// The box's boot id; another one means that [`Mono`] began anew.
    pub boot_id: [u8; 16],
    /// The moment.
    pub at: Now,
    /// The key of session ids and phases, drawn at the first start and the same ever after.
    pub key: [u8; 16],
}

/// The event in a plane's ring that a record took over, so that its second delivery is recognised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenOver {
    /// The plane's epoch: which memory the position counts in. 0: no event stands behind the record.
    pub plane_epoch: u64,
    /// The ring, 0–63; in a `closed` record with [`TakenOver::IMPLIED`] when the event was the next Up of that name,
    /// which has an `opened` record of its own.
    pub ring: u16,
    /// The event's first record in it.
    pub position: u64,
}

impl TakenOver {
    /// Beside the ring: the event did not say that the session went down, but implied it.
    pub const IMPLIED: u16 = 1 << 15;
}

/// A session came up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Opened<'a> {
    /// Its name for life.
    pub serial: SessionSerial,
    /// The event that said so.
    pub taken_over: TakenOver,
    /// The plane's name.
    pub plane: &'a str,
    /// The plane's own name of the session.
    pub session: &'a [u8],
    /// The domain it belongs to.
    pub domain: &'a str,
    /// The RADIUS group that was in force at log-in; empty when the scheme does no accounting.
    pub group: &'a str,
    /// The scheme as it was at log-in.
    pub scheme: PinnedScheme,
    /// The interim interval in force, seconds; 0: none.
    pub interim_s: u32,
    /// Session-Timeout, seconds; 0: none.
    pub session_timeout_s: u32,
    /// When it came up: event time on the wall, arrival on the measuring clock.
    pub at: Now,
    /// Where its counters are.
    pub counters: CounterSlot,
    /// What it had counted in earlier generations of its counters.
    pub baseline: Counters,
    /// Its own attributes as they are on the wire (User-Name, Framed-IP-Address, Acct-Session-Id, …), in order.
    pub attributes: &'a [u8],
}

/// A Start was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Whose.
    pub serial: SessionSerial,
    /// When; the base of the interim phase.
    pub at: Mono,
    /// True when the Start failed and the scheme says `online keep-accounting`: the phase runs, a Start never stood.
    pub keep_accounting: bool,
}

/// A Start was not acknowledged and the session stays online.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartFailed {
    /// Whose.
    pub serial: SessionSerial,
    /// What became of the zero Stop that follows at once.
    pub zero_stop: ZeroStop,
}

/// What became of the Stop with zero counters that plain `start-fail online` sends (owner's decision 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum ZeroStop {
    /// Not known: not sent yet, or sent without a reply.
    #[default]
    Unknown = 0,
    /// A server acknowledged it.
    Acknowledged = 1,
}

/// What a session had counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// Whose.
    pub serial: SessionSerial,
    /// When.
    pub at: Mono,
    /// Since it came up, over all generations.
    pub counters: Counters,
    /// Consecutive interim failures so far, 0–256.
    pub interim_failures: u16,
}

/// A session went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Whose.
    pub serial: SessionSerial,
    /// The event that said so, if an event did.
    pub taken_over: TakenOver,
    /// When: event time on the wall (Event-Timestamp of the Stop), arrival on the measuring clock.
    pub at: Now,
    /// Acct-Terminate-Cause.
    pub cause: u8,
    /// Acct-Session-Time, seconds.
    pub session_time_s: u32,
    /// The final totals.
    pub counters: Counters,
}

/// A session is over and nothing is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Whose.
    pub serial: SessionSerial,
}

/// A session is over and no server acknowledged its Stop. Complete in itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bill<'a> {
    /// Its name; zero until the ledger numbers it.
    pub id: BillId,
    /// Why it was made.
    pub reason: BillReason,
    /// Whether a server may have it all the same.
    pub delivered: Delivered,
    /// For [`BillReason::StartFailed`]: what became of the zero Stop.
    pub zero_stop: ZeroStop,
    /// The server that was last asked.
    pub server: Option<SocketAddr>,
    /// How the session began.
    pub opened: Opened<'a>,
    /// How it ended.
    pub closed: Closed,
}

/// Why a bill was made (INTERFACES.md section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BillReason {
    /// The Stop was not answered by any server.
    StopUnanswered = 1,
    /// The Start was not answered, and `start-fail online` let the subscriber in.
    StartFailed = 2,
    /// The Stop was waiting to be sent again and was thrown out to make room.
    QueueDropped = 3,
    /// The box was booted and the session's Stop was never acknowledged.
    Rebooted = 4,
}

impl BillReason {
    /// The word in bill files.
    pub const fn as_str(self) -> &'static str {
        match self {
            BillReason::StopUnanswered => "stop-unanswered",
            BillReason::StartFailed => "start-failed",
            BillReason::QueueDropped => "queue-dropped",
            BillReason::Rebooted => "rebooted",
        }
    }
}

/// Whether a server may have the Stop that a bill stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Delivered {
    /// It was never sent.
    No = 0,
    /// It was sent; no reply was recorded.
    Unknown = 1,
}

impl Delivered {
    /// The word in bill files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Delivered::No => "no",
            Delivered::Unknown => "unknown",
        }
    }
}
