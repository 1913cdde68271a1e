//! Alarms of fill: each once per crossing, armed again when the fill falls below the threshold.
//!
//! A store that has reached its threshold and whose bills have a way out is transferred *instead of* alarmed (BEHAVIOUR.md 7.4);
//! but when the last sixteenth is reached the alarm comes all the same, so that nothing is ever dropped without one
//! while there was still room.

use model::record::BillStore;

use super::{Alarm, Keeper};

/// What was told.
#[derive(Default)]
pub(super) struct Told {
    thresholds: [bool; 2],
    dropped: [u64; 2],
}

impl Told {
    /// Bills that earlier lives have dropped were told by them.
    pub(super) fn new(dropped: [u64; 2]) -> Told {
        Told { dropped, ..Told::default() }
    }
}

/// The fill at which the alarm comes whatever is being done.
fn last_call(capacity: u64) -> u64 {
    capacity - (capacity / 16).max(1).min(capacity)
}

impl Keeper {
    pub(super) fn raise_alarms(&mut self) {
        let pool = &self.book.pool;
        let fill = Fill {
            store: BillStore::Cache,
            count: if pool.is_enabled() { pool.bill_count() as u64 } else { 0 },
            capacity: pool.capacity() as u64,
            threshold: pool.threshold_count() as u64,
        };
        self.raise_threshold(fill);
        let card = &self.settings.cfcard;
        let fill = Fill {
            store: BillStore::Cfcard,
            count: self.card.bill_count() as u64,
            capacity: u64::from(card.capacity),
            threshold: card.threshold_count(),
        };
        self.raise_threshold(fill);
        for (told, store) in self.told.dropped.iter_mut().zip([BillStore::Cache, BillStore::Cfcard]) {
            let dropped = self.book.pool.dropped(store).bills;
            if dropped > *told {
                *told = dropped;
                self.alarms.push_back(Alarm::BillDropped { store, dropped });
            }
        }
    }

    fn raise_threshold(&mut self, fill: Fill) {
        let Fill { store, count, capacity, threshold } = fill;
        let is_reached = count >= threshold && count > 0;
        let is_last_call = count > 0 && count >= last_call(capacity);
        let is_due = (is_reached && self.is_stuck(store)) || is_last_call;
        let told = &mut self.told.thresholds[usize::from(store == BillStore::Cfcard)];
        if is_due && !*told {
            *told = true;
            self.alarms.push_back(Alarm::ReachThreshold {
                store,
                bills_free: capacity.saturating_sub(count),
                threshold_free: capacity.saturating_sub(threshold),
            });
        } else if !is_reached && !is_last_call {
            *told = false;
        }
    }
}

#[derive(Clone, Copy)]
struct Fill {
    store: BillStore,
    count: u64,
    capacity: u64,
    threshold: u64,
}
