//! The card as the keeper sees it: opened, settled against the ledger, written to, given up when anything fails, and opened
//! again later, at first after a second and then more and more seldom.
//!
//! | on the card and | is |
//! |---|---|
//! | free in the pool | moved: the pool's copy departs |
//! | claimed, or in a file, in the pool | the pool's: the card's copy departs |
//! | said by the ledger to have been moved | the card's |
//! | said by the ledger to be gone another way | gone: the card's copy departs |
//! | unknown to the ledger | the card's: a bill is never thrown away for want of a record |

mod open;
mod settle;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use model::ids::BillId;
use model::record::{BillStore, Record, Started};
use model::time::{Mono, Now};
use sha2::{Digest, Sha256};

use super::compaction::{Compaction, Next};
use super::own;
use super::reads::Why;
use super::segments::Segments;
use super::{Alarm, Area, CardFault, Keeper};
use crate::card::{CardFound, CardOwner, OpenCard, change};
use crate::log::{DiskFault, Log, LogBounds};
use crate::pool::{BillState, Shelf};
use crate::recover::{Life, RecoveryError, RecoveryReport};

/// Bills settled in one step.
const SETTLE_MAX: usize = 4096;
/// Bills on the way to the card.
pub(super) const MOVING_MAX: usize = 256;
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// The card.
pub(super) struct CardSide {
    bounds: Option<LogBounds>,
    key: [u8; 16],
    owner: CardOwner,
    state: State,
    /// Counts openings: what was asked of an earlier one is void.
    generation: u64,
    failures: u32,
    is_told: bool,
    /// Bills that were on it when it was last seen.
    bills_seen: usize,
    /// What was found in its place lacks the bills that were moved to it.
    is_missing: bool,
    /// Damaged places that were told of.
    damage_told: usize,
}

enum State {
    Absent,
    Closed {
        retry_at: Mono,
    },
    Wanted,
    Opening,
    Open(Box<Open>),
    /// Files are removed, the newest first, from the second number down to the first.
    Wiping {
        from: u64,
        next: u64,
        is_asked: bool,
    },
}

struct Open {
    card: OpenCard,
    life: Life,
    segments: Segments,
    waiting: VecDeque<CardOwn>,
    /// What is to happen when the log is durable through a number.
    marks: VecDeque<(u64, Mark)>,
    newest: u64,
    compaction: Compaction,
    /// How far bills have been settled; `None`: all of them.
    settled: Option<BillId>,
    /// Bills whose reset is on the way to the ledger.
    resetting: BTreeSet<BillId>,
}

enum CardOwn {
    Record(Box<[u8]>),
    /// Out of the pool.
    Move(BillId, Box<[u8]>),
    /// Told again.
    Copy(BillId, Box<[u8]>),
    /// When what was told before is durable, the ledger says that this file is abandoned.
    Abandon(u64),
}

#[derive(Clone, Copy)]
enum Mark {
    Moved(BillId),
    Abandoned(u64),
}

impl CardSide {
    pub(super) fn new(bounds: Option<LogBounds>, started: &Started) -> CardSide {
        CardSide {
            bounds,
            key: started.key,
            owner: digest(b"card owner", &started.key, &[]),
            state: if bounds.is_some() { State::Wanted } else { State::Absent },
            generation: 0,
            failures: 0,
            is_told: false,
            bills_seen: 0,
            is_missing: false,
            damage_told: 0,
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self.state, State::Absent)
    }

    /// Whether it is known not to work.
    pub(super) fn is_failing(&self) -> bool {
        self.is_absent() || self.failures > 0
    }

    /// Whether bills may be moved to it and read from it.
    pub(super) fn is_ready(&self) -> bool {
        match &self.state {
            State::Open(open) => open.card.is_settled() && open.settled.is_none() && open.resetting.is_empty(),
            _ => false,
        }
    }

    /// Whether bills that were moved to it are not there, nor anything else.
    pub(super) fn is_missing(&self) -> bool {
        self.is_missing
    }

    pub(super) fn shelf(&self) -> Option<&Shelf> {
        match &self.state {
            State::Open(open) => Some(&open.card.shelf),
            _ => None,
        }
    }

    pub(super) fn shelf_mut(&mut self) -> Option<&mut Shelf> {
        match &mut self.state {
            State::Open(open) => Some(&mut open.card.shelf),
            _ => None,
        }
    }

    pub(super) fn bill_count(&self) -> usize {
        self.shelf().map_or(self.bills_seen, Shelf::len)
    }

    /// Bills on the way to it.
    pub(super) fn moving(&self) -> usize {
        match &self.state {
            State::Open(open) => {
                open.waiting.iter().filter(|own| matches!(own, CardOwn::Move(..))).count() + open.marks.len()
            }
            _ => 0,
        }
    }

    pub(super) fn log_mut(&mut self) -> Option<&mut Log> {
        match &mut self.state {
            State::Open(open) => open.card.log.as_mut(),
            _ => None,
        }
    }

    pub(super) fn poll_open(&mut self) -> bool {
        let wanted = matches!(self.state, State::Wanted);
        if wanted {
            self.state = State::Opening;
        }
        wanted
    }

    pub(super) fn poll_removal(&mut self) -> Option<(u64, bool)> {
        match &mut self.state {
            State::Open(open) => open.segments.poll_removal(),
            _ => None,
        }
    }

    pub(super) fn handle_removed(&mut self) {
        if let State::Open(open) = &mut self.state {
            open.segments.handle_removed(true);
        }
    }

    pub(super) fn poll_wipe(&mut self) -> Option<u64> {
        match &mut self.state {
            State::Wiping { next, is_asked, .. } if !*is_asked => {
                *is_asked = true;
                Some(*next)
            }
            _ => None,
        }
    }

    pub(super) fn handle_wiped(&mut self) {
        if let State::Wiping { from, next, is_asked } = &mut self.state {
            *is_asked = false;
            if *next > *from {
                *next -= 1;
            } else {
                self.state = State::Wanted;
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        match &self.state {
            State::Closed { retry_at } => Some(*retry_at),
            _ => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Mono) {
        if let State::Closed { retry_at } = self.state
            && retry_at <= now
        {
            self.state = State::Wanted;
        }
    }

    /// Tries at once what is to be tried later.
    pub(super) fn try_at_once(&mut self) {
        if let State::Closed { .. } = self.state {
            self.state = State::Wanted;
        }
    }

    pub(super) fn has_more(&self) -> bool {
        match &self.state {
            State::Open(open) => {
                let copies = open.compaction.copies.has_more() && open.is_calm();
                copies || (open.settled.is_some() && open.card.is_settled())
            }
            _ => false,
        }
    }

    pub(super) fn damage(&mut self, segment: u64) {
        if let State::Open(open) = &mut self.state {
            open.segments.damage(segment);
        }
    }

    fn push(&mut self, own: CardOwn) {
        if let State::Open(open) = &mut self.state {
            open.waiting.push_back(own);
        }
    }

    pub(super) fn move_here(&mut self, id: BillId, record: Box<[u8]>) {
        self.push(CardOwn::Move(id, record));
    }

    /// Tells something of bills on the card.
    pub(super) fn tell(&mut self, record: &Record<'_>) {
        if let State::Open(open) = &mut self.state
            && let Record::Returned(_) = record
        {
            // Copies that are made from now on are to say so.
            change(&mut open.card.shelf, record);
        }
        self.push(CardOwn::Record(own::octets(record)));
    }

    /// Has the ledger told that a file is abandoned, once what the card was told before is durable.
    pub(super) fn abandon(&mut self, number: u64) {
        self.push(CardOwn::Abandon(number));
    }

    pub(super) fn handle_copy(&mut self, id: BillId, record: Box<[u8]>) {
        self.push(CardOwn::Copy(id, record));
        self.handle_no_copy();
    }

    pub(super) fn handle_no_copy(&mut self) {
        if let State::Open(open) = &mut self.state {
            open.compaction.copies.handle_read();
        }
    }

    /// These bills will be reset. What was on the way to the card stays in the pool.
    pub(super) fn begin_reset(&mut self, bills: impl Iterator<Item = BillId>) {
        if let State::Open(open) = &mut self.state {
            open.waiting.clear();
            open.marks.clear();
            open.resetting = bills.collect();
        }
    }

    fn life(&self, at: Now) -> Life {
        let moment = [at.mono.as_nanos(), at.wall.as_millis(), self.generation].map(u64::to_le_bytes).concat();
        Life { boot_id: [0; 16], at, fresh_store: digest(b"card store", &self.key, &moment), fresh_key: self.owner }
    }
}

impl Keeper {
    pub(super) fn take_card(&mut self, outcome: Result<Result<CardFound, RecoveryError>, DiskFault>, now: Now) {
        let Some(bounds) = self.card.bounds else { return };
        let found = match outcome {
            Err(fault) => return self.close_card(CardFault::Disk(fault), now),
            Ok(Err(_)) => return self.close_card(CardFault::OtherRelease, now),
            Ok(Ok(found)) if found.owner.is_some_and(|owner| owner != self.card.owner) => {
                return self.close_card(CardFault::Foreign, now);
            }
            Ok(Ok(found)) if found.is_blank() && self.bills_due_on_card().next().is_some() => {
                return self.close_card(CardFault::Missing, now);
            }
            Ok(Ok(found)) => found,
        };
        self.card.generation += 1;
        self.card.is_missing = false;
        self.tell_damage(&found.report);
        let damaged = found.report.damaged_segments();
        let card = OpenCard::new(found);
        let segments = Segments::new(&card.segments, damaged, 0);
        let mut open = Open {
            card,
            life: self.card.life(now),
            segments,
            waiting: VecDeque::new(),
            marks: VecDeque::new(),
            newest: 0,
            compaction: Compaction::default(),
            settled: Some(BillId::default()),
            resetting: BTreeSet::new(),
        };
        for transfer in self.book.transfers.values().filter(|open| open.store == BillStore::Cfcard) {
            for id in transfer.bills().ids() {
                if let Some(bill) = open.card.shelf.get_mut(id) {
                    bill.state = BillState::InTransfer;
                }
            }
        }
        // After a failure the card is used again when it takes a write.
        if open.card.has_carried() || self.card.failures > 0 {
            open.log(bounds);
        }
        self.card.state = State::Open(Box::new(open));
    }

    /// The card cannot be used as it stands.
    pub(super) fn close_card(&mut self, fault: CardFault, now: Now) {
        let wait = RETRY_FIRST.saturating_mul(1 << self.card.failures.min(6)).min(RETRY_MAX);
        self.leave_open(State::Closed { retry_at: now.mono.plus(wait) });
        self.card.failures += 1;
        self.card.is_missing = fault == CardFault::Missing;
        if !std::mem::replace(&mut self.card.is_told, true) {
            self.alarms.push_back(Alarm::CardFailing(fault));
        }
    }

    /// The card is not open any more: nothing comes of what was on the way to it or from it.
    fn leave_open(&mut self, next: State) {
        self.card.bills_seen = self.card.bill_count();
        self.card.state = next;
        self.card.generation += 1;
        self.cancel_moves();
        self.ship_without_card();
    }

    /// Damage on the card, when there is more of it than was told.
    fn tell_damage(&mut self, report: &RecoveryReport) {
        let damage = || report.findings.iter().filter(|finding| finding.case.is_damage());
        let told = std::mem::replace(&mut self.card.damage_told, damage().count());
        if let Some(first) = damage().next().copied().filter(|_| self.card.damage_told > told) {
            let findings = self.card.damage_told;
            self.alarms.push_back(Alarm::CardDamaged { findings, records_lost: report.records_lost, first });
        }
    }

    pub(super) fn advance_card(&mut self, now: Now) {
        let Some(bounds) = self.card.bounds else { return };
        let is_begun = self.is_begun();
        let State::Open(open) = &mut self.card.state else { return };
        open.take_log_events();
        let marks = open.take_marks();
        if open.card.is_settled() && self.card.failures > 0 {
            self.card.failures = 0;
            if std::mem::take(&mut self.card.is_told) {
                self.alarms.push_back(Alarm::CardHealed);
            }
        }
        if !is_begun || !open.card.is_settled() {
            return;
        }
        self.take_marks(&marks, now.wall);
        self.settle_card(now.wall);
        let State::Open(open) = &mut self.card.state else { return };
        if open.settled.is_none() {
            match open.compact(bounds) {
                Next::Read(id) => {
                    self.read(Why::Copy, Area::Card, id);
                }
                Next::Lost(bill) => self.drop_bill(BillStore::Cfcard, &bill, now.wall),
                Next::Nothing | Next::Base(_) | Next::Tell(_) => {}
            }
        }
    }

    /// Hands the card's log what it takes.
    pub(super) fn flush_card(&mut self) {
        if let (Some(bounds), State::Open(open)) = (self.card.bounds, &mut self.card.state)
            && open.card.is_settled()
        {
            open.flush(bounds);
        }
    }
}

fn digest(purpose: &[u8], key: &[u8; 16], more: &[u8]) -> [u8; 16] {
    let digest = Sha256::new().chain_update(purpose).chain_update(key).chain_update(more).finalize();
    let mut out = [0; 16];
    out.copy_from_slice(&digest[..16]);
    out
}
