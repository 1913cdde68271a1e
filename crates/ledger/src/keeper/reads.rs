//! Reading bills back: a few at a time, a bounded number in each turn, so that records of shards never wait for them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use model::ids::BillId;
use model::marks::{self, Mark};
use model::record::{Bill, BillStore, Delivered, Record, Returned};
use model::time::{Mono, Now};

use super::own::{self, Own};
use super::{Alarm, Area, CardFault, Keeper};
use crate::frame;
use crate::log::DiskFault;
use crate::pool::Hindrance;
use crate::segment::Place;

/// Reads in one turn of the caller's loop.
const TURN_MAX: u32 = 64;

/// A read of the ledger that failed is tried again so often, each time twice as much later, up to sixteen seconds. Then the
/// bill is left out for an hour, and only when that has gone on for a day it is given up: a disk that fails for hours costs no
/// bill. What it brings, if it is not what was written, is believed at once. A card is closed at its first failure.
const ATTEMPTS_MAX: u8 = 16;
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_DOUBLINGS: u8 = 5;
const LEFT_OUT: Duration = Duration::from_hours(1);
const GIVEN_UP: Duration = Duration::from_hours(24);

/// What a bill is read for.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadFor {
    pub(super) why: Why,
    pub(super) id: BillId,
    pub(super) place: Place,
    pub(super) area: Area,
    attempts: u8,
    /// Of the card, when it is read there.
    generation: u64,
}

impl ReadFor {
    pub(super) fn at(self, place: Place) -> ReadFor {
        ReadFor { place, ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Replay,
    Move,
    File(BillStore),
    /// To be told again.
    Copy,
}

/// A bill that the ledger's disk does not bring.
#[derive(Clone, Copy)]
struct LeftOut {
    since: Mono,
    until: Mono,
}

/// Reads that are wanted, of each area.
#[derive(Default)]
pub(super) struct Reads {
    ledger: VecDeque<ReadFor>,
    card: VecDeque<ReadFor>,
    budget: u32,
    /// The ledger's disk has failed; the card's is closed then.
    paused_until: Option<Mono>,
    left_out: BTreeMap<BillId, LeftOut>,
}

impl Reads {
    pub(super) fn refill(&mut self) {
        self.budget = TURN_MAX;
    }

    pub(super) fn resume(&mut self, now: Mono) {
        self.paused_until = self.paused_until.filter(|until| *until > now);
    }

    /// When something is tried again.
    pub(super) fn resume_at(&self) -> Option<Mono> {
        let left_out = self.left_out.values().map(|left_out| left_out.until);
        left_out.chain(self.paused_until).min()
    }

    /// Whether more is wanted than this turn allows.
    pub(super) fn is_exhausted(&self) -> bool {
        let has_ledger = self.paused_until.is_none() && !self.ledger.is_empty();
        self.budget == 0 && (has_ledger || !self.card.is_empty())
    }

    fn want(&mut self, what_for: ReadFor) {
        match what_for.area {
            Area::Ledger => self.ledger.push_back(what_for),
            Area::Card => self.card.push_back(what_for),
        }
    }

    pub(super) fn poll(&mut self) -> Option<ReadFor> {
        if self.budget == 0 {
            return None;
        }
        let of_ledger = if self.paused_until.is_none() { self.ledger.pop_front() } else { None };
        let what_for = of_ledger.or_else(|| self.card.pop_front())?;
        self.budget -= 1;
        Some(what_for)
    }
}

impl Keeper {
    /// Has a bill read. False: there is none.
    pub(super) fn read(&mut self, why: Why, area: Area, id: BillId) -> bool {
        let store = store_of(area);
        let Some(place) = self.bill(store, id).map(|bill| bill.place) else { return false };
        let generation = self.card.generation();
        self.reads.want(ReadFor { why, id, place, area, attempts: 0, generation });
        true
    }

    /// Bills that were left out long enough have their turn again.
    pub(super) fn resume_reads(&mut self, now: Mono) {
        self.reads.resume(now);
        let due = self.reads.left_out.iter_mut().filter(|(_, left_out)| left_out.until <= now);
        let due: Vec<BillId> = due
            .map(|(id, left_out)| {
                left_out.until = now.plus(LEFT_OUT);
                *id
            })
            .collect();
        for id in due {
            match self.book.pool.get_mut(id) {
                Some(bill) if bill.hindrance == Hindrance::Unread => bill.hindrance = Hindrance::None,
                Some(_) => {}
                None => drop(self.reads.left_out.remove(&id)),
            }
        }
    }

    pub(super) fn take_read(&mut self, mut what_for: ReadFor, outcome: Result<&[u8], DiskFault>, now: Now) {
        let ReadFor { area, id, place, .. } = what_for;
        if area == Area::Card && what_for.generation != self.card.generation() {
            return;
        }
        match outcome {
            Err(fault) if area == Area::Card => self.close_card(CardFault::Disk(fault), now),
            Err(_) if what_for.attempts < ATTEMPTS_MAX => {
                marks::hit(Mark::BillReadAgain);
                what_for.attempts += 1;
                let pause = PAUSE * (1 << (what_for.attempts - 1).min(PAUSE_DOUBLINGS));
                self.reads.paused_until = Some(now.mono.plus(pause));
                self.reads.want(what_for);
            }
            Err(_) => self.leave_out(what_for, now.mono),
            Ok(frame) => {
                let delivered = self.bill(store_of(area), id).map(|bill| bill.delivered);
                let record = place.record(frame).and_then(|octets| match frame::decode(octets) {
                    Ok(Record::Billed(bill)) if bill.id == id => Some(bill),
                    _ => None,
                });
                match (record, delivered) {
                    (Some(bill), Some(delivered)) => {
                        self.was_read(what_for);
                        self.deliver(what_for, with(bill, delivered));
                    }
                    (None, Some(_)) => self.unreadable(what_for),
                    // It has left meanwhile.
                    (_, None) => {
                        marks::hit(Mark::BillLeftMeanwhile);
                        self.unread(what_for);
                    }
                }
            }
        }
    }

    fn deliver(&mut self, ReadFor { why, area, id, .. }: ReadFor, bill: Bill<'_>) {
        match why {
            Why::Replay => self.replays.handle_read(id, &own::octets(&Record::Billed(bill))),
            Why::Move => self.mover.handle_read(id, own::octets(&Record::Billed(bill))),
            Why::File(store) => self.gather(store, bill),
            Why::Copy if area == Area::Ledger => {
                self.own.push(Own::Bill(id, own::octets(&Record::Billed(bill))));
                self.compaction.copies.handle_read();
            }
            Why::Copy => self.card.handle_copy(id, own::octets(&Record::Billed(bill))),
        }
    }

    fn was_read(&mut self, ReadFor { area, id, .. }: ReadFor) {
        if area == Area::Ledger
            && self.reads.left_out.remove(&id).is_some()
            && let Some(bill) = self.book.pool.get_mut(id)
            && bill.hindrance == Hindrance::Unread
        {
            bill.hindrance = Hindrance::None;
        }
    }

    /// The ledger's disk does not bring the bill's record.
    fn leave_out(&mut self, what_for: ReadFor, now: Mono) {
        let id = what_for.id;
        let until = now.plus(LEFT_OUT);
        let is_first = !self.reads.left_out.contains_key(&id);
        let left_out = self.reads.left_out.entry(id).or_insert(LeftOut { since: now, until });
        left_out.until = until;
        if now >= left_out.since.plus(GIVEN_UP) {
            self.reads.left_out.remove(&id);
            return self.unreadable(what_for);
        }
        if let Some(bill) = self.book.pool.get_mut(id) {
            bill.hindrance = Hindrance::Unread;
            if is_first {
                self.alarms.push_back(Alarm::BillUnreadable { area: Area::Ledger, id });
            }
        }
        self.unread(what_for);
    }

    /// The bill's record is not what was written, or cannot be read for good.
    fn unreadable(&mut self, what_for: ReadFor) {
        let ReadFor { area, id, place, .. } = what_for;
        let bill = self.bill_mut(store_of(area), id);
        if let Some(before) = bill.map(|bill| std::mem::replace(&mut bill.hindrance, Hindrance::Unreadable)) {
            if !before.is_unread() {
                self.alarms.push_back(Alarm::BillUnreadable { area, id });
            }
            match area {
                Area::Ledger => self.segments.damage(place.segment),
                Area::Card => self.card.damage(place.segment),
            }
        }
        self.unread(what_for);
    }

    /// Nothing comes of a read.
    fn unread(&mut self, ReadFor { why, area, id, .. }: ReadFor) {
        match why {
            Why::Replay => self.tell(&Record::Returned(Returned { id, was_sent: false })),
            Why::Move => self.move_failed(id),
            Why::File(store) => self.gather_failed(store),
            Why::Copy if area == Area::Ledger => self.compaction.copies.handle_read(),
            Why::Copy => self.card.handle_no_copy(),
        }
    }
}

pub(super) fn store_of(area: Area) -> BillStore {
    match area {
        Area::Ledger => BillStore::Cache,
        Area::Card => BillStore::Cfcard,
    }
}

pub(super) fn area_of(store: BillStore) -> Area {
    match store {
        BillStore::Cache => Area::Ledger,
        BillStore::Cfcard => Area::Card,
    }
}

/// The bill as it is known by now.
fn with(bill: Bill<'_>, delivered: Delivered) -> Bill<'_> {
    Bill { delivered, ..bill }
}
