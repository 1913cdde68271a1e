//! The bill pool: which bills there are, in the order they were made, and how full that is (BEHAVIOUR.md section 7). The
//! bills themselves stay in the log; the pool knows their places, and only of bills that are durable.
//!
//! While the pool is disabled a given-up Stop is *unbilled*: it waits in the same order, is not shown as a bill, and
//! becomes one when the pool is enabled (owner's decision 10).
//!
//! **Full**: the bill is not taken, and [`Taken::Overflow`] hands it back. The keeper tells the log that it was dropped, which
//! counts it with its octets, and raises an alarm. Where bills may wait for the card or the server, room is meant with what the keeper
//! allows beyond the capacity ([`BillBook::settings`]).

mod book;
mod departures;
mod shelf;

use model::ids::BillId;
use model::record::{Bill, BillReason, BillStore, Delivered};
use model::report::{BillStoreInformation, LocalBillInformation};
use model::settings::{AccountingMode, LocalAaaServer};

pub use self::book::{BillBook, OpenTransfer, Snapshot};
pub use self::departures::{DepartedRun, DepartedTotal, Departures, RUN_COUNT_MAX};
pub(crate) use self::shelf::Shelf;
use crate::segment::Place;

/// A durable bill: its name, its place, what it accounts for, and what is being done with it. 64 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillRef {
    /// Its name.
    pub id: BillId,
    /// Where its record stands.
    pub place: Place,
    /// Octets from the subscriber, both families.
    pub in_octets: u64,
    /// Octets to the subscriber, both families.
    pub out_octets: u64,
    /// Why it was made.
    pub reason: BillReason,
    /// Whether a server may have it; newer than what its record says.
    pub delivered: Delivered,
    /// What is being done with it.
    pub state: BillState,
    /// A record that takes it out of the store, or ends its claim, is on the way to the disk.
    pub(crate) is_leaving: bool,
    /// What keeps it from being sent.
    pub(crate) hindrance: Hindrance,
    /// How its session was accounted for: files have bills of one method.
    pub(crate) method: AccountingMode,
}

const _: () = assert!(size_of::<BillRef>() == 64);

/// What is being done with a bill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BillState {
    /// Nothing.
    #[default]
    Free,
    /// It is replayed to an accounting server.
    Claimed,
    /// It is in a file on its way to the bill server.
    InTransfer,
    /// This life has taken it, to be moved to the card or to be put into a file; no record says so yet.
    Taken,
}

/// What keeps a bill from being sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hindrance {
    #[default]
    None,
    /// No detail entry can be made of it, for it does not fit into one packet.
    NoPacket,
    /// Its disk has not brought its record for some minutes; it is tried again later.
    Unread,
    /// Its record is not what was written, or was not brought for a day.
    Unreadable,
}

impl Hindrance {
    /// Whether the bill is left out, whatever is done with others.
    pub(crate) fn is_unread(self) -> bool {
        matches!(self, Hindrance::Unread | Hindrance::Unreadable)
    }
}

impl BillRef {
    /// The bill that stands at `place`.
    pub fn new(bill: &Bill<'_>, place: Place) -> BillRef {
        let total = bill.closed.counters.v4.plus(bill.closed.counters.v6);
        BillRef {
            id: bill.id,
            place,
            in_octets: total.in_octets,
            out_octets: total.out_octets,
            reason: bill.reason,
            delivered: bill.delivered,
            state: BillState::Free,
            is_leaving: false,
            hindrance: Hindrance::None,
            method: bill.opened.scheme.mode,
        }
    }

    /// Octets in both directions.
    pub fn octets(&self) -> u64 {
        self.in_octets.wrapping_add(self.out_octets)
    }
}

/// What became of a bill that was handed to the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is in the pool.
    Held,
    /// The pool is disabled; it waits.
    Unbilled,
    /// The pool is full; it was not taken.
    Overflow(BillRef),
    /// It was handed in before. Recovery tells the bills of the last batch, and the log tells them again when they have
    /// been carried into a new segment. If the pool has it, it now has its new place.
    Known,
}

/// The bills there are.
#[derive(Debug, Default)]
pub struct Pool {
    is_enabled: bool,
    capacity: usize,
    threshold_percent: u8,
    /// In the order they were made, which is the order of their ids.
    bills: Shelf,
    /// The same, of Stops that were given up while the pool was disabled.
    unbilled: Shelf,
    /// Of the pool, of the card.
    dropped: [Dropped; 2],
}

/// Bills of a store that found no room anywhere, or were given up because it does not bring them any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many.
    pub bills: u64,
    /// Octets that they account for, both directions.
    pub octets: u64,
}

impl Pool {
    /// An empty pool.
    pub fn new(settings: &LocalAaaServer) -> Pool {
        let mut pool = Pool::default();
        pool.settings(settings);
        pool
    }

    /// Takes other settings. Bills above a smaller capacity stay. A pool that is disabled makes its bills unbilled again; one
    /// that is enabled takes the unbilled ones as far as there is room, the rest stays unbilled until there is.
    pub fn settings(&mut self, settings: &LocalAaaServer) {
        self.capacity = usize::try_from(settings.cache.capacity).unwrap_or(usize::MAX);
        self.threshold_percent = settings.cache.alarm_threshold;
        self.is_enabled = settings.pool_enabled;
        if self.is_enabled {
            self.fill_up();
        } else {
            while let Some(bill) = self.bills.pop_front() {
                self.unbilled.insert(bill);
            }
        }
    }

    /// The record of a bill that is held stands somewhere else now. False: none is held.
    pub(crate) fn place_again(&mut self, bill: &BillRef) -> bool {
        self.bills.place_again(bill) || self.unbilled.place_again(bill)
    }

    /// Takes a bill that is not held while there are fewer than `room`.
    pub(crate) fn take(&mut self, bill: BillRef, room: usize) -> Taken {
        if !self.is_enabled {
            self.unbilled.insert(bill);
            return Taken::Unbilled;
        }
        if self.bills.len() >= room {
            return Taken::Overflow(bill);
        }
        self.bills.insert(bill);
        Taken::Held
    }

    /// A bill, or a Stop that is none because the pool is disabled.
    pub(crate) fn get(&self, id: BillId) -> Option<&BillRef> {
        self.bills.get(id).or_else(|| self.unbilled.get(id))
    }

    pub(crate) fn get_mut(&mut self, id: BillId) -> Option<&mut BillRef> {
        self.bills.get_mut(id).or_else(|| self.unbilled.get_mut(id))
    }

    /// A bill has left. What waited for room takes its place.
    pub(crate) fn remove(&mut self, id: BillId) -> Option<BillRef> {
        let bill = self.bills.remove(id).or_else(|| self.unbilled.remove(id));
        if self.is_enabled {
            self.fill_up();
        }
        bill
    }

    /// Bills, then Stops that are none.
    pub(crate) fn shelves(&self) -> [&Shelf; 2] {
        [&self.bills, &self.unbilled]
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bills left as dropped.
    pub(crate) fn count_dropped(&mut self, store: BillStore, bills: u64, octets: u64) {
        let dropped = &mut self.dropped[usize::from(store == BillStore::Cfcard)];
        dropped.bills += bills;
        dropped.octets = dropped.octets.saturating_add(octets);
    }

    /// The bills from number `start` on, counted from 0 in age order.
    pub fn bills(&self, start: usize) -> impl Iterator<Item = &BillRef> {
        self.bills.iter_from_number(start)
    }

    /// How many bills there are.
    pub fn bill_count(&self) -> usize {
        self.bills.len()
    }

    /// Given-up Stops that are no bills, because the pool is disabled, in age order.
    pub fn unbilled(&self) -> impl Iterator<Item = &BillRef> {
        self.unbilled.iter()
    }

    /// The first of them behind `id`.
    pub fn unbilled_behind(&self, id: BillId) -> Option<&BillRef> {
        self.unbilled.iter_behind(id).next()
    }

    /// Octets of both directions that no bill accounts for: those of the unbilled and the dropped.
    pub fn octets_unaccounted(&self) -> u64 {
        let dropped = self.dropped.iter().map(|dropped| dropped.octets);
        self.unbilled.iter().map(BillRef::octets).chain(dropped).fold(0, u64::saturating_add)
    }

    /// Bills that found no room anywhere, or were given up because their store does not bring them any more.
    pub fn dropped(&self, store: BillStore) -> Dropped {
        self.dropped[usize::from(store == BillStore::Cfcard)]
    }

    /// The bill at which the pool is nearly full: floor(capacity × per cent / 100) (BEHAVIOUR.md 7.3).
    pub fn threshold_count(&self) -> usize {
        usize::try_from(self.capacity as u64 * u64::from(self.threshold_percent) / 100).unwrap_or(usize::MAX)
    }

    /// Whether the pool is nearly full.
    pub fn is_threshold_reached(&self) -> bool {
        self.is_enabled && self.bills.len() >= self.threshold_count()
    }

    /// For `display local-bill information`.
    pub fn information(&self) -> LocalBillInformation {
        LocalBillInformation {
            cache: BillStoreInformation {
                bills: self.bills.len() as u64,
                capacity: self.capacity as u64,
                alarm_threshold_percent: self.threshold_percent,
            },
            unbilled: self.unbilled.len() as u64,
            octets_unaccounted: self.octets_unaccounted(),
            ..LocalBillInformation::default()
        }
    }

    fn fill_up(&mut self) {
        while self.bills.len() < self.capacity
            && let Some(bill) = self.unbilled.pop_front()
        {
            self.bills.insert(bill);
        }
    }
}

#[cfg(test)]
mod tests;
