//! What the ledger remembers. A record is written before the thing it tells of may be seen outside
//! (DESIGN.md section 3, rule 5), and together the records of a session tell its whole life:
//!
//! ```text
//! opened ─┬─ accepted ──┬─ sampled* ─ closed ─┬─ acknowledged
//!         └─ start-failed ┘                   └─ billed ─┬─ departed: moved to the card, transferred, reset, dropped
//!                                                        └─ claimed ─┬─ departed: replayed
//!                                                                    └─ returned
//! ```
//!
//! At any point a session may be *checkpointed*: written again, whole, so that everything about it that lies before may
//! be forgotten.

use std::net::{IpAddr, SocketAddr};

use crate::counters::{CounterSlot, Counters};
use crate::domain::{Allowance, Terms};
use crate::ids::{BillId, SessionSerial};
use crate::samples::Samples;
use crate::settings::{BillFormat, PinnedScheme, ServerPath};
use crate::time::{Mono, Now, Wall};
use crate::verdict::CutBy;

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
    /// The same of many sessions, none of which is cut.
    SampledMany(Samples<'a>),
    /// It went down.
    Closed(Closed),
    /// Its Stop was acknowledged, or nothing is owed to a server: the session is over.
    Acknowledged(Acknowledged),
    /// Its Stop was given up: the session is over, and a bill stands for it.
    Billed(Bill<'a>),
    /// All there is to know of a session: whatever was said of it before may be forgotten.
    Checkpointed(Checkpointed<'a>),
    /// How far a plane's event ring has been heard.
    Heard(Heard<'a>),
    /// What a server was told, or is to be told, of the accounting of the whole box.
    Announced(Announced),
    /// A boot of the box has begun.
    Booted(Booted),
    /// A file of bills will be transferred: its name and its octets are fixed from here on.
    TransferBegun(TransferBegun<'a>),
    /// The file could not be made again as it was; its bills are free again.
    TransferAbandoned(TransferAbandoned),
    /// Bills have left a store for good.
    Departed(Departed<'a>),
    /// A bill is being replayed to a server; it is not transferable.
    Claimed(Claimed),
    /// No server answered the replay; the bill is free again and `delivered: unknown`.
    Returned(Returned),
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
    /// which has an `opened` record of its own, and with [`TakenOver::GONE`] when it was the last one about the session.
    pub ring: u16,
    /// The event's first record in it.
    pub position: u64,
}

impl TakenOver {
    /// Beside the ring: the event did not say that the session went down, but implied it.
    pub const IMPLIED: u16 = 1 << 15;
    /// Beside the ring: the event did not bring the session down. It was the last that spoke of it, and whoever announces
    /// all sessions later on did not.
    pub const GONE: u16 = 1 << 14;
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
    /// What else it took at log-in.
    pub terms: Terms,
    /// How long it may stay and how much it may move.
    pub allowance: Allowance,
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

/// What a session had counted, and how its interims fare.
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
    /// Who has it cut: it is to be logged out, and only its Down is awaited.
    pub cut: Option<CutBy>,
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
    /// NAS-IP-Address or NAS-IPv6-Address as its requests have it, or would have.
    pub nas_address: Option<IpAddr>,
    /// How the session began.
    pub opened: Opened<'a>,
    /// How it ended.
    pub closed: Closed,
}

/// A session, whole. What a new life restores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checkpointed<'a> {
    /// How it began, as last written.
    pub opened: Opened<'a>,
    /// Its Start was acknowledged, or failed and the scheme keeps accounting.
    pub accepted: Option<Accepted>,
    /// Its Start failed, and it stays online without accounting. Excludes `accepted`.
    pub start_failed: Option<StartFailed>,
    /// What it had counted when it was last sampled, and its interim failures.
    pub sampled: Option<Sampled>,
    /// How it ended; its Stop is owed. `None`: it is online.
    pub closed: Option<Closed>,
}

/// One shard has taken over every event of its own in this ring that lies before `through`. So an event that is delivered
/// again is recognised when the records that told of it have been forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard<'a> {
    /// The plane's name.
    pub plane: &'a str,
    /// The plane's epoch: which memory the position counts in.
    pub plane_epoch: u64,
    /// The ring, 0–63.
    pub ring: u16,
    /// The position behind the last of those events.
    pub through: u64,
    /// Whose events: those of sessions whose hash falls to this shard …
    pub shard: u16,
    /// … of so many.
    pub shard_count: u16,
}

/// How far a server has been told that accounting begins, or ceases (RFC 2866 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The server; the source says nothing, and is left out.
    pub server: ServerPath,
    /// The boot of the box that this is about.
    pub boot_id: [u8; 16],
    /// What it is told.
    pub state: Announcement,
}

/// Accounting has begun in a boot of the box: of every server that is to be told, a record before this one says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booted {
    /// The boot.
    pub boot_id: [u8; 16],
}

/// What a server is told of the accounting of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Announcement {
    /// It is to be told that accounting begins, before any Start.
    Due = 1,
    /// It was told, or was not to be reached: Starts may have left since.
    Told = 2,
    /// It is told that accounting has ceased: before any Start it is to be told that it begins again.
    Off = 3,
}

impl Announcement {
    /// From the number in a record.
    pub const fn from_u8(value: u8) -> Option<Announcement> {
        Some(match value {
            1 => Announcement::Due,
            2 => Announcement::Told,
            3 => Announcement::Off,
            _ => return None,
        })
    }
}

/// Where bills are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum BillStore {
    /// The pool, in the ledger.
    Cache = 1,
    /// The CF card.
    Cfcard = 2,
}

impl BillStore {
    /// The word in commands, alarms and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            BillStore::Cache => "cache",
            BillStore::Cfcard => "cfcard",
        }
    }
}

/// One run of bills of one engine start, `first`, `first` + 1, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillRun {
    /// The first.
    pub first: BillId,
    /// How many, at least 1.
    pub count: u32,
}

/// Runs of bills, in the order of their ids, in the octets of a record: epoch 4, sequence 8, count 4 each, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillRuns<'a>(&'a [u8]);

impl<'a> BillRuns<'a> {
    /// Octets of one run.
    pub const RUN_LEN: usize = 4 + 8 + 4;
    /// At most so many runs in one record.
    pub const RUN_COUNT_MAX: usize = 200;

    /// From the octets of a record; `None` if they are not whole runs in ascending order, or too many.
    pub fn from_octets(octets: &'a [u8]) -> Option<BillRuns<'a>> {
        if !octets.len().is_multiple_of(Self::RUN_LEN) || octets.len() > Self::RUN_COUNT_MAX * Self::RUN_LEN {
            return None;
        }
        let runs = BillRuns(octets);
        let mut end = BillId::default();
        for run in runs.iter() {
            let last = run.first.sequence.checked_add(u64::from(run.count))?;
            if run.count == 0 || run.first < end {
                return None;
            }
            end = BillId { epoch: run.first.epoch, sequence: last };
        }
        Some(runs)
    }

    /// As a record holds them.
    pub fn octets(self) -> &'a [u8] {
        self.0
    }

    /// Each run.
    pub fn iter(self) -> impl Iterator<Item = BillRun> + 'a {
        self.0.chunks_exact(Self::RUN_LEN).map(|octets| {
            let (mut epoch, mut sequence, mut count) = ([0; 4], [0; 8], [0; 4]);
            epoch.copy_from_slice(&octets[..4]);
            sequence.copy_from_slice(&octets[4..12]);
            count.copy_from_slice(&octets[12..]);
            let first = BillId { epoch: u32::from_le_bytes(epoch), sequence: u64::from_le_bytes(sequence) };
            BillRun { first, count: u32::from_le_bytes(count) }
        })
    }

    /// Each bill.
    pub fn ids(self) -> impl Iterator<Item = BillId> + 'a {
        self.iter().flat_map(|run| {
            let BillId { epoch, sequence } = run.first;
            (sequence..sequence + u64::from(run.count)).map(move |sequence| BillId { epoch, sequence })
        })
    }

    /// How many bills.
    pub fn count(self) -> u64 {
        self.iter().map(|run| u64::from(run.count)).sum()
    }
}

impl BillRun {
    /// Writes it behind others.
    pub fn push_to(self, octets: &mut Vec<u8>) {
        octets.extend_from_slice(&self.to_octets());
    }

    /// The octets of this one run.
    pub fn to_octets(self) -> [u8; BillRuns::RUN_LEN] {
        let mut octets = [0; BillRuns::RUN_LEN];
        octets[..4].copy_from_slice(&self.first.epoch.to_le_bytes());
        octets[4..12].copy_from_slice(&self.first.sequence.to_le_bytes());
        octets[12..].copy_from_slice(&self.count.to_le_bytes());
        octets
    }
}

/// A file of bills on its way to the bill server. Every retry, after a crash too, uses this name and these octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferBegun<'a> {
    /// Its number, from 1, never given twice.
    pub number: u64,
    /// Where its bills are.
    pub store: BillStore,
    /// The file's name on the server.
    pub file: &'a str,
    /// How bills are written.
    pub format: BillFormat,
    /// The sysname at that time, which the file names.
    pub nas: &'a str,
    /// When it was begun; the manifest's `created`.
    pub created: Wall,
    /// The bills in it, in their order.
    pub bills: BillRuns<'a>,
    /// Its length in octets.
    pub size: u64,
    /// SHA-256 of its octets.
    pub sha256: [u8; 32],
}

/// A transfer that ended without its file being on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferAbandoned {
    /// The transfer.
    pub number: u64,
    /// Whether the server may have the file, or a part of it: then its bills are `delivered: unknown` from now on.
    pub may_be_there: bool,
}

/// Bills have left a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departed<'a> {
    /// The store.
    pub store: BillStore,
    /// Where to.
    pub departure: Departure,
    /// The transfer that took them; 0: none.
    pub transfer: u64,
    /// When.
    pub at: Wall,
    /// Which.
    pub bills: BillRuns<'a>,
    /// Octets from subscribers that they account for.
    pub in_octets: u64,
    /// Octets to subscribers.
    pub out_octets: u64,
}

/// Why bills are not in a store any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Departure {
    /// A bill server has the whole file.
    Transferred = 1,
    /// From the pool to the card.
    Moved = 2,
    /// An accounting server acknowledged the Stop that was sent for it.
    Replayed = 3,
    /// `local-bill cfcard reset`.
    Reset = 4,
    /// No store had room for it.
    Dropped = 5,
}

impl Departure {
    /// The word in displays and proofs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Departure::Transferred => "transferred",
            Departure::Moved => "moved",
            Departure::Replayed => "replayed",
            Departure::Reset => "reset",
            Departure::Dropped => "dropped",
        }
    }
}

/// A bill is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Which.
    pub id: BillId,
}

/// A replay was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Which bill.
    pub id: BillId,
    /// False: nothing was sent.
    pub was_sent: bool,
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
