//! One session: a hot line that every interim touches, and an account that its end needs.

use model::counters::{CounterSlot, Counters, Totals};
use model::ids::PlaneIndex;
use model::record::TakenOver;
use model::time::{Mono, Wall};
use model::verdict::{CutBy, Reason, Sentence};

use crate::annex::AnnexRef;
use crate::authenticators::Authenticator;
use crate::blob::BlobRef;
use crate::origins::OriginRef;
use crate::serial::Serial;

/// The place of a session in the table.
pub(crate) type Slot = u32;
/// No slot, no request.
pub(crate) const NONE: u32 = u32::MAX;

/// Where a session's accounting stands. Whether the subscriber has gone meanwhile is [`Flags::DOWN`]; what waits or
/// is out for it is `lane` and `request`.
///
/// ```text
///             Start answered, or kept                Down, closed durable        answered
///   Starting ─────────────────────────▶ Accounting ──────────────────────▶ Stopping ─────▶ Ending
///      │ └─ start-fail online ──▶ StartFailed ── Down ─────────── bill ──────────────────────▲ ▲
///      └─── start-fail offline ──── (Refused: send force) ───────────────────────────────────┘  │
///   NotAccounted ── Down ── (gone)                  Stopping ⇄ Parked (resend) ── bill ────────┤
///   Replaying (a bill, no session) ── departed, or returned ───────────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Nobody's.
    #[default]
    Free,
    /// The scheme does no accounting.
    NotAccounted,
    /// Its Start is due, waits or is out; or its `opened` record is not durable yet.
    Starting,
    /// Interims run.
    Accounting,
    /// Its Start failed and it stays online without accounting.
    StartFailed,
    /// Its log-in was refused, and a zero Stop tells of it all the same (`send force`). For the ledger it is over.
    Refused,
    /// Its Stop is due, waits or is out; or its `closed` record is not durable yet.
    Stopping,
    /// Its Stop failed and waits for another try.
    Parked,
    /// A bill whose Stop waits or is out once more.
    Replaying,
    /// Over; the last record is on its way to the ring.
    Ending,
}

/// Facts about a session that are true or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u32);

impl Flags {
    /// Its `opened` record is durable.
    pub(crate) const OPENED_DURABLE: Flags = Flags(1);
    /// Its `closed` record is durable.
    pub(crate) const CLOSED_DURABLE: Flags = Flags(1 << 1);
    /// Its `start-failed` record is durable.
    pub(crate) const START_FAILED_DURABLE: Flags = Flags(1 << 2);
    /// The subscriber has gone.
    pub(crate) const DOWN: Flags = Flags(1 << 3);
    /// A Stop left at least once, in this life or perhaps in an earlier one.
    pub(crate) const STOP_SENT: Flags = Flags(1 << 4);
    /// The zero Stop has had its one transaction.
    pub(crate) const ZERO_STOP_DONE: Flags = Flags(1 << 5);
    /// The zero Stop was acknowledged.
    pub(crate) const ZERO_STOP_ACKNOWLEDGED: Flags = Flags(1 << 6);
    /// The plane shall log it out; [`Account::cut`] says why.
    pub(crate) const CUT: Flags = Flags(1 << 7);
    /// Announced in the plane's present round of resync (compared with the round's own bit).
    pub(crate) const ROUND: Flags = Flags(1 << 8);
    /// Counters of earlier generations stand in the table of baselines.
    pub(crate) const BASELINE: Flags = Flags(1 << 9);
    /// The Start was not acknowledged, but accounting runs (`keep-accounting`, or a Down came first).
    pub(crate) const START_KEPT: Flags = Flags(1 << 10);
    /// It came up by an event that an earlier life may have taken over already; it is told to the ledger when that is
    /// ruled out.
    pub(crate) const PROVISIONAL: Flags = Flags(1 << 11);
    /// Its `accepted` record is durable.
    pub(crate) const ACCEPTED_DURABLE: Flags = Flags(1 << 12);
    /// The log-in was refused, and the record of it is durable.
    pub(crate) const REFUSED_DURABLE: Flags = Flags(1 << 13);
    /// Its Stop tells of an earlier boot of the box, and its group's Starts wait for it.
    pub(crate) const OLD_STOP: Flags = Flags(1 << 14);
    /// No session, but a bill whose Stop is sent once more.
    pub(crate) const REPLAY: Flags = Flags(1 << 15);
    /// An interim is owed at once, out of turn. Only while the session is up.
    pub(crate) const INTERIM_DUE: Flags = Flags(1 << 16);
    /// That it is cut is durable.
    pub(crate) const CUT_DURABLE: Flags = Flags(1 << 17);
    /// What it sent has failed and holds a place of the queue.
    pub(crate) const QUEUED: Flags = Flags(1 << 18);
    /// Its Start is in the queue. Only while accounting runs.
    pub(crate) const START_QUEUED: Flags = Flags(1 << 19);
    /// An interim is in the queue. Only while accounting runs.
    pub(crate) const INTERIM_QUEUED: Flags = Flags(1 << 20);
    /// An interim's time has come while the Start is in the queue: it follows when that is acknowledged.
    pub(crate) const TICK_WAITS: Flags = Flags(1 << 21);
    /// Its Start waits for addresses. Stays when it is refused for that.
    pub(crate) const DELAYED: Flags = Flags(1 << 22);
    /// A quota is used up, and the plane leads the subscriber elsewhere.
    pub(crate) const REDIRECTED: Flags = Flags(1 << 23);
    /// And that was its Session-Timeout, which is obeyed with it.
    pub(crate) const TIMED_OUT: Flags = Flags(1 << 24);
    /// It is over, but its subscriber was not seen to go: it has its name still.
    pub(crate) const LINGERS: Flags = Flags(1 << 25);
    /// Its sample stands among those that are told to the ledger together.
    pub(crate) const SAMPLE_DUE: Flags = Flags(1 << 26);
    /// The interim that waits in its lane is one of the schedule. Only while it stands there.
    pub(crate) const SCHEDULED: Flags = Flags(1 << 27);
    /// It has counted IPv6 as well.
    pub(crate) const COUNTS_V6: Flags = Flags(1 << 28);
    /// A NAS reports it by RADIUS.
    pub(crate) const RELAYED: Flags = Flags(1 << 29);

    pub(crate) fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }

    pub(crate) fn set(&mut self, flag: Flags) {
        self.0 |= flag.0;
    }

    pub(crate) fn put(&mut self, flag: Flags, value: bool) {
        self.0 = if value { self.0 | flag.0 } else { self.0 & !flag.0 };
    }
}

/// What waits to be sent. Each group has a queue for each, and a session stands in one of them at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Lane {
    /// In none.
    #[default]
    Out,
    /// A Start whose outcome a verdict waits for.
    Start,
    /// A Stop that has not been tried, or the zero Stop.
    Stop,
    /// A Start of somebody who is online already.
    Admitted,
    /// What has failed before: most often a Stop.
    Parked,
    /// An interim.
    Interim,
    /// What has failed and is not tried again yet.
    Rest,
}

impl Lane {
    /// How many queues a group has.
    pub(crate) const COUNT: usize = 5;
    /// Those queues, in the order in which they are asked.
    pub(crate) const ORDER: [Lane; Lane::COUNT] =
        [Lane::Start, Lane::Stop, Lane::Admitted, Lane::Parked, Lane::Interim];

    /// The queue's place in its group, if it waits for a place on a server.
    pub(crate) fn index(self) -> Option<usize> {
        match self {
            Lane::Out | Lane::Rest => None,
            Lane::Start | Lane::Stop | Lane::Admitted | Lane::Parked | Lane::Interim => Some(self as usize - 1),
        }
    }
}

/// What every interim touches: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Session {
    /// Its name for life.
    pub(crate) serial: Serial,
    /// When it came up.
    pub(crate) opened: Mono,
    /// When its next interim is scheduled; of one that is cut, how long its Down is waited for. [`Mono::ZERO`]: neither.
    pub(crate) next_interim: Mono,
    pub(crate) counters: CounterSlot,
    /// The interval in force, seconds; 0: none.
    pub(crate) interim_s: u32,
    /// Its name and attributes.
    pub(crate) blob: BlobRef,
    /// The request that is out for it, or [`NONE`].
    pub(crate) request: u32,
    /// Neighbours in its lane.
    pub(crate) prev: Slot,
    pub(crate) next: Slot,
    pub(crate) plane: PlaneIndex,
    /// The contract it took at log-in.
    pub(crate) contract: u16,
    pub(crate) flags: Flags,
    pub(crate) state: State,
    pub(crate) lane: Lane,
    /// The verdict that waits for the plane to take it.
    pub(crate) verdict: Option<(Sentence, Reason)>,
}

const _: () = assert!(size_of::<Session>() == 64);

impl Session {
    pub(crate) const FREE: Session = Session {
        serial: Serial::NONE,
        opened: Mono::ZERO,
        next_interim: Mono::ZERO,
        counters: CounterSlot { slot: 0, generation: 0 },
        interim_s: 0,
        blob: BlobRef::NONE,
        request: NONE,
        prev: NONE,
        next: NONE,
        plane: PlaneIndex(0),
        contract: 0,
        flags: Flags(0),
        state: State::Free,
        lane: Lane::Out,
        verdict: None,
    };

    /// Whether the subscriber has gone.
    pub(crate) fn is_down(&self) -> bool {
        self.flags.has(Flags::DOWN)
    }
}

/// No event stands behind a record.
pub(crate) const NO_EVENT: TakenOver = TakenOver { plane_epoch: 0, ring: 0, position: 0 };

/// No report was acknowledged in this life.
pub(crate) const NEVER_REPORTED: u64 = u64::MAX;

/// What a session's records and failures need: one cache line too, which interims touch. When it began, and by what, stands in its
/// [`Beginning`]; what only its end or its limits need, in its [`Annex`].
///
/// [`Annex`]: crate::annex::Annex
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Account {
    /// Counters of IPv4, or of all, over all generations, as last read; see [`Table::counted`](crate::table::Table::counted).
    pub(crate) counted_v4: Totals,
    /// When they were read.
    pub(crate) sampled: Mono,
    /// When it entered its lane.
    pub(crate) queued: Mono,
    /// Of the ring that the event came by which its `opened` record tells of; see [`Beginning::opened_by`].
    pub(crate) origin: OriginRef,
    /// Consecutive interim failures, 0–256.
    pub(crate) interim_failures: u16,
    pub(crate) annex: AnnexRef,
    /// The server that was last asked, or `u16::MAX`.
    pub(crate) server: u16,
    /// Who authenticated it.
    pub(crate) authenticator: Authenticator,
    /// Records that wait for room in the ring.
    pub(crate) records: Records,
    /// Records in the ring whose durability it waits for.
    pub(crate) awaited: u8,
    /// Who has it cut.
    pub(crate) cut: Option<CutBy>,
}

const _: () = assert!(size_of::<Account>() == 64);

impl Account {
    pub(crate) const FREE: Account = Account {
        counted_v4: Counters::ZERO.v4,
        sampled: Mono::ZERO,
        queued: Mono::ZERO,
        origin: OriginRef::NONE,
        interim_failures: 0,
        annex: AnnexRef::NONE,
        server: u16::MAX,
        authenticator: Authenticator::UNKNOWN,
        records: Records::NONE,
        awaited: 0,
        cut: None,
    };
}

/// When a session began, and by what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    /// Event time of Up.
    pub(crate) opened: Wall,
    /// When its accounting began: the base of its phase.
    pub(crate) accounting: Mono,
    /// The last event that its `opened` record tells of, the Up or what has changed since: its position in the ring that it
    /// came by. See [`Table::opened_by`](crate::table::Table::opened_by).
    pub(crate) opened_by: u64,
}

const _: () = assert!(size_of::<Beginning>() == 24);

impl Beginning {
    pub(crate) const NONE: Beginning =
        Beginning { opened: Wall::from_millis(0), accounting: Mono::ZERO, opened_by: NO_EVENT.position };
}

/// A set of records that a session, or a replay, owes to the ledger, emitted in the order of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Records(u8);

/// One kind of record that a session owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Owed {
    Opened = 0,
    Accepted = 1,
    StartFailed = 2,
    Sampled = 3,
    Closed = 4,
    /// The last one; of a replay, that its bill has departed.
    Acknowledged = 5,
    /// The last one; of a replay, that its bill has returned.
    Billed = 6,
}

impl Records {
    pub(crate) const NONE: Records = Records(0);

    const ORDER: [Owed; 7] = [
        Owed::Opened,
        Owed::Accepted,
        Owed::StartFailed,
        Owed::Sampled,
        Owed::Closed,
        Owed::Acknowledged,
        Owed::Billed,
    ];

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn has(self, owed: Owed) -> bool {
        self.0 & 1 << owed as u8 != 0
    }

    pub(crate) fn add(&mut self, owed: Owed) {
        self.0 |= 1 << owed as u8;
    }

    /// Takes out the one that comes first in a session's life.
    pub(crate) fn take_first(&mut self) -> Option<Owed> {
        let owed = Records::ORDER.into_iter().find(|&owed| self.0 & 1 << owed as u8 != 0)?;
        self.0 &= !(1 << owed as u8);
        Some(owed)
    }
}
