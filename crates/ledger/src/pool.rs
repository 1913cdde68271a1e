//! The bill pool: which bills there are, in the order they were made, and how full that is (BEHAVIOUR.md section 7). The
//! bills themselves stay in the log; the pool knows their places, and only of bills that are durable.
//!
//! While the pool is disabled a given-up Stop is *unbilled*: it waits in the same order, is not shown as a bill, and
//! becomes one when the pool is enabled (owner's decision 10).
//!
//! **Full**: the bill is not taken, and [`Taken::Overflow`] hands it back, for the CF card. As long as nothing takes it
//! there, the caller [drops](Pool::drop_bill) it: counted, with its octets, and alarmed. Its record stays in the
//! log, so a bill that was dropped is found again by a restart that meets a larger or an emptier pool.

use std::collections::VecDeque;

use model::ids::BillId;
use model::record::Bill;
use model::report::{BillStoreInformation, LocalBillInformation};
use model::settings::LocalAaaServer;

use crate::segment::Place;

/// A durable bill: its name, its place, and what it accounts for.
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
}

impl BillRef {
    /// The bill that stands at `place`.
    pub fn new(bill: &Bill<'_>, place: Place) -> BillRef {
        let total = bill.closed.counters.v4.plus(bill.closed.counters.v6);
        BillRef { id: bill.id, place, in_octets: total.in_octets, out_octets: total.out_octets }
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

/// Something that an operator must hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolAlarm {
    /// The pool has reached its threshold. Raised once per crossing.
    NearlyFull {
        /// Bills that still find room.
        bills_free: u64,
        /// Bills that would find room at the threshold.
        threshold_free: u64,
    },
    /// Bills were dropped since this was last said.
    Dropped(Dropped),
}

/// The bills there are.
#[derive(Debug, Default)]
pub struct Pool {
    is_enabled: bool,
    capacity: usize,
    threshold_percent: u8,
    /// In the order they were made, which is the order of their ids.
    bills: VecDeque<BillRef>,
    /// The same, of Stops that were given up while the pool was disabled.
    unbilled: VecDeque<BillRef>,
    /// The newest bill that was handed in.
    newest: BillId,
    /// The threshold was told and the fill has not fallen below it since.
    is_threshold_told: bool,
    dropped: Dropped,
    dropped_told: Dropped,
}

/// Bills that found no room anywhere.
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
            std::mem::swap(&mut self.bills, &mut self.unbilled);
            self.unbilled.extend(self.bills.drain(..));
        }
    }

    /// A bill has become durable, or was found by recovery.
    pub fn handle_durable(&mut self, bill: BillRef) -> Taken {
        if bill.id <= self.newest {
            if let Some(known) = find(&mut self.bills, bill.id).or_else(|| find(&mut self.unbilled, bill.id)) {
                *known = bill;
            }
            return Taken::Known;
        }
        self.newest = bill.id;
        if !self.is_enabled {
            self.unbilled.push_back(bill);
            return Taken::Unbilled;
        }
        if self.bills.len() >= self.capacity {
            return Taken::Overflow(bill);
        }
        self.bills.push_back(bill);
        Taken::Held
    }

    /// The next thing to tell the operator; to be asked after every change.
    pub fn poll_alarm(&mut self) -> Option<PoolAlarm> {
        let is_reached = self.is_threshold_reached();
        let was_told = std::mem::replace(&mut self.is_threshold_told, is_reached);
        if is_reached && !was_told {
            return Some(PoolAlarm::NearlyFull {
                bills_free: self.capacity.saturating_sub(self.bills.len()) as u64,
                threshold_free: self.capacity.saturating_sub(self.threshold_count()) as u64,
            });
        }
        if self.dropped_told != self.dropped {
            self.dropped_told = self.dropped;
            return Some(PoolAlarm::Dropped(self.dropped));
        }
        None
    }

    /// An overflowing bill found no room elsewhere either.
    pub fn drop_bill(&mut self, bill: &BillRef) {
        self.dropped.bills += 1;
        self.dropped.octets = self.dropped.octets.saturating_add(bill.octets());
    }

    /// The bills from number `start` on, counted from 0 in age order.
    pub fn bills(&self, start: usize) -> impl Iterator<Item = &BillRef> {
        self.bills.iter().skip(start)
    }

    /// How many bills there are.
    pub fn bill_count(&self) -> usize {
        self.bills.len()
    }

    /// Given-up Stops that are no bills, because the pool is disabled, in age order.
    pub fn unbilled(&self) -> impl Iterator<Item = &BillRef> {
        self.unbilled.iter()
    }

    /// Octets of both directions that no bill accounts for: those of the unbilled and the dropped.
    pub fn octets_unaccounted(&self) -> u64 {
        self.unbilled.iter().map(BillRef::octets).fold(self.dropped.octets, u64::saturating_add)
    }

    /// Bills that found no room anywhere.
    pub fn dropped(&self) -> Dropped {
        self.dropped
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
        let room = self.capacity.saturating_sub(self.bills.len()).min(self.unbilled.len());
        self.bills.extend(self.unbilled.drain(..room));
    }
}

fn find(bills: &mut VecDeque<BillRef>, id: BillId) -> Option<&mut BillRef> {
    let index = bills.binary_search_by_key(&id, |bill| bill.id).ok()?;
    bills.get_mut(index)
}

#[cfg(test)]
mod tests;
