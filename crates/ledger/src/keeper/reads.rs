//! Reading bills back: a few at a time, a bounded number in each turn, so that records of shards never wait for them.

use std::collections::VecDeque;
use std::time::Duration;

use model::ids::BillId;
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

/// A read that failed is tried again so often, each time twice as much later, up to sixteen seconds: a disk that fails for some
/// minutes costs no bill. What it brings, if it is not what was written, is believed at once.
const ATTEMPTS_MAX: u8 = 16;
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_DOUBLINGS: u8 = 5;

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

/// Reads that are wanted.
#[derive(Default)]
pub(super) struct Reads {
    wanted: VecDeque<ReadFor>,
    budget: u32,
    paused_until: Option<Mono>,
}

impl Reads {
    pub(super) fn refill(&mut self) {
        self.budget = TURN_MAX;
    }

    pub(super) fn resume(&mut self, now: Mono) {
        self.paused_until = self.paused_until.filter(|until| *until > now);
    }

    pub(super) fn paused_until(&self) -> Option<Mono> {
        self.paused_until
    }

    /// Whether more is wanted than this turn allows.
    pub(super) fn is_exhausted(&self) -> bool {
        self.budget == 0 && !self.wanted.is_empty() && self.paused_until.is_none()
    }

    pub(super) fn poll(&mut self) -> Option<ReadFor> {
        if self.budget == 0 || self.paused_until.is_some() {
            return None;
        }
        let what_for = self.wanted.pop_front()?;
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
        self.reads.wanted.push_back(ReadFor { why, id, place, area, attempts: 0, generation });
        true
    }

    pub(super) fn take_read(&mut self, mut what_for: ReadFor, outcome: Result<&[u8], DiskFault>, now: Now) {
        let ReadFor { area, id, place, .. } = what_for;
        if area == Area::Card && what_for.generation != self.card.generation() {
            return;
        }
        match outcome {
            Err(_) if what_for.attempts < ATTEMPTS_MAX => {
                what_for.attempts += 1;
                let pause = PAUSE * (1 << (what_for.attempts - 1).min(PAUSE_DOUBLINGS));
                self.reads.paused_until = Some(now.mono.plus(pause));
                self.reads.wanted.push_back(what_for);
            }
            Err(fault) if area == Area::Card => self.close_card(CardFault::Disk(fault), now),
            Err(_) => self.unreadable(what_for),
            Ok(frame) => {
                let delivered = self.bill(store_of(area), id).map(|bill| bill.delivered);
                let record = place.record(frame).and_then(|octets| match frame::decode(octets) {
                    Ok(Record::Billed(bill)) if bill.id == id => Some(bill),
                    _ => None,
                });
                match (record, delivered) {
                    (Some(bill), Some(delivered)) => self.deliver(what_for, with(bill, delivered)),
                    (None, Some(_)) => self.unreadable(what_for),
                    // It has left meanwhile.
                    (_, None) => self.unread(what_for),
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

    /// The bill's record is not what was written, or cannot be read for good.
    fn unreadable(&mut self, what_for: ReadFor) {
        let ReadFor { area, id, place, .. } = what_for;
        let is_known = match self.bill_mut(store_of(area), id) {
            Some(bill) => std::mem::replace(&mut bill.hindrance, Hindrance::Unreadable) == Hindrance::Unreadable,
            None => true,
        };
        if !is_known {
            self.alarms.push_back(Alarm::BillUnreadable { area, id });
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
