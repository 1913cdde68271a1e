//! The append machine: records in, writes and syncs out, and one number that grows.
//!
//! # For the caller's loop
//!
//! - **in**: [`append`](Log::append) as many records as the ring has. Each is told its sequence number.
//! - **out**: [`poll_operation`](Log::poll_operation) until it says `None`; do what it asks, and say how it went with
//!   [`handle_completed`](Log::handle_completed). One write or sync is under way at a time, and what is appended
//!   meanwhile makes the next batch. Beside it there may be one [`Request::CreateSegment`], which takes long and stops nothing.
//! - **time**: [`poll_timeout`](Log::poll_timeout) says when to call [`handle_timeout`](Log::handle_timeout). Calling
//!   it too early, or without need, does nothing.
//! - **what for**: [`durable_through`](Log::durable_through); after each completion, [`poll_segment`](Log::poll_segment),
//!   [`poll_noted`](Log::poll_noted) and [`poll_alarm`](Log::poll_alarm) until `None`.
//!
//! The first record of a life is its `started`, appended by [`LogStart::begin`](crate::recover::LogStart::begin);
//! before it come the records that recovery could not prove to be on the disk. So once
//! [`durable_through`](Log::durable_through) has reached [`started_at`](Log::started_at), everything that recovery told
//! stands on the disk, and the epoch may be used. Nothing that was recovered may be acted upon before.
//!
//! ```text
//!            a batch is there            created               written           synced: durable
//!   Idle ──────────────────────▶ Segment ───────▶ Write ─────────────▶ Sync ──────────────────▶ Idle
//!     └──────── there is room in the segment ──────▶│                    │
//!                                    ▲              └───────┬────────────┘
//!                                    └── after a while ── failed: the segment is abandoned
//! ```
//!
//! **A failed write or sync.** The segment is trusted no more: no second sync, for a kernel may drop the pages and
//! call the next sync a success. What was durable in it stays; the batch is written again, from memory, to another
//! segment, with the same sequence numbers, by which recovery knows it again. That goes on until the disk heals.
//!
//! **Full**: the open batch has no room while the other one is under way or failing. [`append`](Log::append) refuses,
//! the record stays in the ring, and the shards stop freeing sessions. Memory: two batches of
//! the length that [`LogBounds`] allows, whatever the disk does.

mod batch;
mod spare;

use std::collections::VecDeque;
use std::time::Duration;

use model::ids::BillId;
use model::marks::{self, Mark};
use model::record::{Record, Started};
use model::time::Mono;

use self::batch::{Batch, Sealed};
use self::spare::Spare;
use crate::frame::{self, RECORD_LEN_MAX};
use crate::pool::BillRef;
use crate::segment::{
    BATCH_HEAD_LEN, BATCH_LEN_MAX, BLOCK, LIFE_LEN, Place, SEGMENT_HEAD_LEN, SEGMENT_LEN_MAX, SegmentHead, StoreId,
    frame_len,
};

/// How large segments and batches are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBounds {
    segment_len: u64,
    batch_len_max: usize,
}

/// The bounds contradict each other, or the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadBounds;

impl Default for LogBounds {
    /// Segments of 16 MiB, batches of at most 1 MiB.
    fn default() -> LogBounds {
        LogBounds { segment_len: 16 << 20, batch_len_max: BATCH_LEN_MAX }
    }
}

impl LogBounds {
    /// No batch is bounded more tightly, in octets: the longest record, and the `started` of a life, fit.
    pub const BATCH_LEN_LEAST: usize = (BATCH_HEAD_LEN + frame_len(RECORD_LEN_MAX)).next_multiple_of(BLOCK) + BLOCK;

    /// Both in octets, multiples of [`BLOCK`]; a segment has room for its header and one batch.
    ///
    /// # Errors
    ///
    /// [`BadBounds`] otherwise.
    pub const fn new(segment_len: u64, batch_len_max: usize) -> Result<LogBounds, BadBounds> {
        let possible = batch_len_max >= LogBounds::BATCH_LEN_LEAST
            && batch_len_max <= BATCH_LEN_MAX
            && batch_len_max.is_multiple_of(BLOCK)
            && segment_len.is_multiple_of(BLOCK as u64)
            && segment_len >= (SEGMENT_HEAD_LEN + batch_len_max) as u64
            && segment_len <= SEGMENT_LEN_MAX;
        if possible { Ok(LogBounds { segment_len, batch_len_max }) } else { Err(BadBounds) }
    }
}

/// The log has no room; the record stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Names one operation until it has completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationId(u64);

/// Something that the log asks of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// To be handed back with the outcome.
    pub id: OperationId,
    /// What to do.
    pub request: Request<'a>,
}

/// What the disk is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Make a file of `len` zeros, written out, not merely reserved (ANCHORS.md section 4), and sync it and its directory.
    /// A file of that number is what a failed attempt left, and is replaced.
    CreateSegment {
        /// The segment's number.
        segment: u64,
        /// Its length in octets.
        len: u64,
    },
    /// Write all of it. `offset` and the length are multiples of [`BLOCK`].
    Write {
        /// The segment's number.
        segment: u64,
        /// Where, in octets from the segment's begin.
        offset: u64,
        /// What.
        bytes: &'a [u8],
    },
    /// Make what was written durable (`fdatasync`).
    Sync {
        /// The segment's number.
        segment: u64,
    },
}

/// Why an operation failed, as far as the log cares: it goes on trying either way, and the alarm says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// No space is left.
    NoSpace,
    /// Any other error.
    Io,
}

/// Something that an operator must hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// The disk fails; records wait in memory. Raised once, and again when the fault is another.
    Failing {
        /// The segment that was asked for or is abandoned.
        segment: u64,
        /// What is wrong.
        fault: DiskFault,
    },
    /// The disk works again; nothing was lost.
    Healed,
}

/// The append machine. Made by [`LogStart::begin`](crate::recover::LogStart::begin) and by nothing else, so that no log
/// is written that was not read first.
pub struct Log {
    store: StoreId,
    epoch: u32,
    /// This life's `started` record, and that of the life which wrote what is carried.
    life: [u8; LIFE_LEN],
    carried_life: [u8; LIFE_LEN],
    bounds: LogBounds,
    /// Takes what is appended.
    open: Batch,
    /// Under way; empty when nothing is.
    flying: Batch,
    stage: Stage,
    active: Option<Active>,
    spare: Spare,
    /// The chain after the last durable batch.
    chain: u32,
    durable_through: u64,
    started_at: u64,
    base: u64,
    bill_sequence_next: u64,
    operation_next: u64,
    backoff: Backoff,
    noted: VecDeque<Noted>,
    begun: VecDeque<SegmentBegun>,
    alarms: VecDeque<Alarm>,
}

/// A record that became durable and that tells of bills, or begins the life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Its sequence number.
    pub sequence: u64,
    /// Where it stands.
    pub place: Place,
    /// What it says.
    pub what: NotedRecord,
}

/// What a noted record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotedRecord {
    /// A bill.
    Billed(BillRef),
    /// Something else, in the octets of the record.
    Other(Box<[u8]>),
}

/// A segment whose header is durable, with the first batch in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentBegun {
    /// Its number.
    pub segment: u64,
    /// The first record in it.
    pub first: u64,
    /// The base that its header tells.
    pub base: u64,
    /// Its length in octets.
    pub len: u64,
}

/// Where the batch under way stands. `Some(id)`: asked for; `None`: to be asked for.
#[derive(Clone, Copy)]
enum Stage {
    Idle,
    /// It needs a segment.
    Segment,
    Write(Option<OperationId>, Sealed),
    Sync(Option<OperationId>, Sealed),
    /// It failed and is tried again later.
    Failed,
}

/// The segment that is written to.
#[derive(Clone, Copy)]
struct Active {
    number: u64,
    len: u64,
    /// Where the next batch goes.
    at: u64,
    /// Whether something in it is durable.
    holds: bool,
}

/// How long to wait before the disk is tried again: 100 ms, doubled at each failure, at most 5 s.
#[derive(Default)]
struct Backoff {
    failures: u32,
    until: Option<Mono>,
    /// What the operator was told.
    fault: Option<DiskFault>,
    /// The batch under way has failed and is not durable yet.
    batch_failed: bool,
    /// The next segment could not be made; the active one may well have room for hours.
    spare_failed: bool,
}

impl Backoff {
    const FIRST_MS: u64 = 100;
    const MAX_MS: u64 = 5_000;

    fn start(&mut self, now: Mono) {
        let wait = (Backoff::FIRST_MS << self.failures.min(6)).min(Backoff::MAX_MS);
        self.failures += 1;
        self.until = Some(now.plus(Duration::from_millis(wait)));
    }
}

/// What [`LogStart`](crate::recover::LogStart) hands over.
pub(crate) struct Beginning {
    pub(crate) store: StoreId,
    pub(crate) segment_next: u64,
    pub(crate) first: u64,
    pub(crate) chain: u32,
    pub(crate) base: u64,
    pub(crate) carried: Vec<Vec<u8>>,
    /// Of the life that wrote them.
    pub(crate) carried_life: Option<Started>,
    pub(crate) started: Started,
}

/// A life's `started` record.
fn life(started: &Started) -> [u8; LIFE_LEN] {
    let mut octets = [0; LIFE_LEN];
    let len = frame::encode(&Record::Started(*started), &mut octets);
    assert_eq!(len, Ok(LIFE_LEN), "a started record has one length");
    octets
}

impl Log {
    pub(crate) fn begin(beginning: Beginning, bounds: LogBounds) -> Log {
        let Beginning { store, segment_next, first, chain, base, carried, carried_life, started } = beginning;
        let carried_len: usize = carried.iter().map(|record| frame_len(record.len())).sum();
        // What is carried was one batch, perhaps under wider bounds than today's.
        let flying_len_max = (BATCH_HEAD_LEN + carried_len).next_multiple_of(BLOCK).max(bounds.batch_len_max);
        let mut log = Log {
            store,
            epoch: started.epoch,
            life: life(&started),
            carried_life: carried_life.as_ref().map_or([0; LIFE_LEN], life),
            bounds,
            open: Batch::new(bounds.batch_len_max),
            flying: Batch::new(flying_len_max),
            stage: Stage::Idle,
            active: None,
            spare: Spare::new(segment_next),
            chain,
            durable_through: first - 1,
            started_at: 0,
            base,
            bill_sequence_next: 1,
            operation_next: 1,
            backoff: Backoff::default(),
            noted: VecDeque::new(),
            begun: VecDeque::new(),
            alarms: VecDeque::new(),
        };
        log.flying.clear(first);
        for record in carried {
            log.flying.push(&record, BillId::default());
        }
        if !log.flying.is_empty() {
            log.stage = Stage::Segment;
        }
        log.open.clear(log.flying.end());
        log.started_at = log.append(&life(&started)).expect("an empty batch takes a started record");
        log
    }

    /// Takes one record, as [`frame::encode`] made it, and says its sequence number. A bill without an id is given
    /// the next one of this life, from 1 and without gaps.
    ///
    /// # Errors
    ///
    /// [`Full`]: nothing was taken; try again after the next completion.
    pub fn append(&mut self, record: &[u8]) -> Result<u64, Full> {
        if !self.open.has_room(record.len()) {
            return Err(Full);
        }
        let sequence = self.open.end();
        if self.open.push(record, BillId { epoch: self.epoch, sequence: self.bill_sequence_next }) {
            self.bill_sequence_next += 1;
        }
        Ok(sequence)
    }

    /// Every record up to this sequence number is on the disk. Only grows.
    pub fn durable_through(&self) -> u64 {
        self.durable_through
    }

    /// The sequence number of this life's `started`.
    pub fn started_at(&self) -> u64 {
        self.started_at
    }

    /// Records appended and not yet durable.
    pub fn waiting(&self) -> u64 {
        self.open.end() - 1 - self.durable_through
    }

    /// The next thing to do, or `None` until something completes, is appended, or times out.
    pub fn poll_operation(&mut self) -> Option<Operation<'_>> {
        if matches!(self.stage, Stage::Idle) && !self.open.is_empty() {
            std::mem::swap(&mut self.open, &mut self.flying);
            self.open.clear(self.flying.end());
            self.stage = Stage::Segment;
        }
        if matches!(self.stage, Stage::Segment) {
            self.place();
        }
        match self.stage {
            Stage::Write(None, sealed) => Some(self.ask_write(sealed)),
            Stage::Sync(None, sealed) => {
                let id = self.operation_id();
                self.stage = Stage::Sync(Some(id), sealed);
                let segment = self.active_segment().number;
                Some(Operation { id, request: Request::Sync { segment } })
            }
            Stage::Idle | Stage::Segment | Stage::Failed | Stage::Write(Some(_), _) | Stage::Sync(Some(_), _) => {
                self.ask_spare()
            }
        }
    }

    /// An operation that was polled has ended.
    pub fn handle_completed(&mut self, id: OperationId, outcome: Result<(), DiskFault>, now: Mono) {
        match (self.stage, outcome) {
            (Stage::Write(Some(asked), sealed), Ok(())) if asked == id => self.stage = Stage::Sync(None, sealed),
            (Stage::Sync(Some(asked), sealed), Ok(())) if asked == id => self.became_durable(sealed),
            (Stage::Write(Some(asked), _) | Stage::Sync(Some(asked), _), Err(fault)) if asked == id => {
                self.abandon(fault, now);
            }
            _ => {
                assert!(self.spare.handle_completed(id, outcome.is_ok()), "an operation completes once");
                self.backoff.spare_failed = outcome.is_err();
                match outcome {
                    Ok(()) => self.heal(),
                    Err(fault) => {
                        marks::hit(Mark::SpareFailed);
                        self.alarm(fault, self.spare.number());
                        self.backoff.start(now);
                    }
                }
            }
        }
    }

    /// When to call [`handle_timeout`](Log::handle_timeout) next.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.backoff.until
    }

    /// Tries the disk again once it is time.
    pub fn handle_timeout(&mut self, now: Mono) {
        if self.backoff.until.is_some_and(|until| until <= now) {
            self.backoff.until = None;
            if matches!(self.stage, Stage::Failed) {
                self.stage = Stage::Segment;
            }
        }
    }

    /// Whether [`append`](Log::append) would take a record of `len` octets now.
    pub fn has_room(&self, len: usize) -> bool {
        self.open.has_room(len)
    }

    /// The next record of those that tell of bills that has become durable. One that recovery told already comes once
    /// more when it is carried into a new segment, with its new place; its number is below
    /// [`started_at`](Log::started_at).
    pub fn poll_noted(&mut self) -> Option<Noted> {
        self.noted.pop_front()
    }

    /// The next bill that has become durable; what else was noted before it is passed over.
    pub fn poll_bill(&mut self) -> Option<BillRef> {
        while let Some(noted) = self.noted.pop_front() {
            if let NotedRecord::Billed(bill) = noted.what {
                return Some(bill);
            }
        }
        None
    }

    /// The next segment that was begun, once its header is durable.
    pub fn poll_segment(&mut self) -> Option<SegmentBegun> {
        self.begun.pop_front()
    }

    /// Nobody needs a record below `base` any more. The next segment's header says so; only when that is
    /// [durable](Log::poll_segment) may what lies below be removed. Never goes back, and never beyond what is durable: no
    /// such number can be right.
    pub fn set_base(&mut self, base: u64) {
        if base <= self.durable_through + 1 {
            self.base = self.base.max(base);
        }
    }

    /// The segment that is written to, and how many octets of it are.
    pub fn active(&self) -> Option<(u64, u64)> {
        self.active.map(|active| (active.number, active.at))
    }

    /// The next thing to tell the operator.
    pub fn poll_alarm(&mut self) -> Option<Alarm> {
        self.alarms.pop_front()
    }

    /// Gives the batch under way a place: in the segment, or in the next one once there is one.
    fn place(&mut self) {
        let len = self.flying.disk_len() as u64;
        // A segment that was just taken is empty, and its header goes out with the batch.
        if self.active.is_none_or(|active| active.at + len > active.len) {
            let Some((number, len)) = self.spare.take() else { return };
            self.active = Some(Active { number, len, at: 0, holds: false });
            assert!(SEGMENT_HEAD_LEN as u64 + self.flying.disk_len() as u64 <= len, "a segment has room for a batch");
        }
        let active = self.active_segment();
        let head = (active.at == 0).then(|| SegmentHead {
            store: self.store,
            number: active.number,
            epoch: self.epoch,
            chain: self.chain,
            first: self.flying.first(),
            base: self.base,
            len: active.len,
            life: if self.flying.first() < self.started_at { self.carried_life } else { self.life },
            writer: self.life,
        });
        self.stage = Stage::Write(None, self.flying.seal(&self.store, active.number, self.chain, head));
    }

    fn ask_write(&mut self, sealed: Sealed) -> Operation<'_> {
        let id = self.operation_id();
        self.stage = Stage::Write(Some(id), sealed);
        let Active { number: segment, at: offset, .. } = self.active_segment();
        Operation { id, request: Request::Write { segment, offset, bytes: self.flying.write(sealed) } }
    }

    /// A segment is made before it is needed: when the active one is half full, or there is none.
    fn ask_spare(&mut self) -> Option<Operation<'_>> {
        let wanted =
            self.active.is_none_or(|active| active.at >= active.len / 2) || matches!(self.stage, Stage::Segment);
        if !wanted || self.backoff.until.is_some() || !self.spare.is_missing() {
            return None;
        }
        let id = self.operation_id();
        let least = (SEGMENT_HEAD_LEN + self.flying.disk_len()) as u64;
        let (segment, len) = self.spare.ask(id, self.bounds.segment_len.max(least));
        Some(Operation { id, request: Request::CreateSegment { segment, len } })
    }

    fn became_durable(&mut self, sealed: Sealed) {
        let active = self.active_segment();
        let batch_at = active.at + if sealed.with_head { SEGMENT_HEAD_LEN as u64 } else { 0 };
        let offset = usize::try_from(batch_at).expect("a segment ends below 2^30");
        if sealed.with_head {
            let Active { number: segment, len, .. } = active;
            self.begun.push_back(SegmentBegun { segment, first: self.flying.first(), base: sealed.base, len });
        }
        self.noted.extend(self.flying.noted(active.number, offset, sealed.seed));
        self.active = Some(Active { at: batch_at + self.flying.disk_len() as u64, holds: true, ..active });
        self.chain = sealed.chain_after;
        self.durable_through = self.flying.end() - 1;
        self.flying.clear(self.flying.end());
        // What was carried may have been one batch under wider bounds.
        self.flying.set_len_max(self.bounds.batch_len_max);
        self.stage = Stage::Idle;
        self.backoff.batch_failed = false;
        self.heal();
    }

    fn heal(&mut self) {
        if self.backoff.fault.is_some() && !self.backoff.batch_failed && !self.backoff.spare_failed {
            marks::hit(Mark::LogHealed);
            self.backoff = Backoff::default();
            self.alarms.push_back(Alarm::Healed);
        }
    }

    fn abandon(&mut self, fault: DiskFault, now: Mono) {
        marks::hit(Mark::BatchAbandoned);
        let active = self.active_segment();
        if !active.holds {
            marks::hit(Mark::SegmentGivenBack);
            self.spare.give_back(active.number);
        }
        self.active = None;
        self.stage = Stage::Failed;
        self.backoff.batch_failed = true;
        self.alarm(fault, active.number);
        self.backoff.start(now);
    }

    fn alarm(&mut self, fault: DiskFault, segment: u64) {
        if self.backoff.fault.replace(fault) != Some(fault) {
            self.alarms.push_back(Alarm::Failing { segment, fault });
        }
    }

    fn active_segment(&self) -> Active {
        self.active.expect("a batch is written to a segment")
    }

    fn operation_id(&mut self) -> OperationId {
        self.operation_next += 1;
        OperationId(self.operation_next)
    }
}

#[cfg(test)]
mod tests;
