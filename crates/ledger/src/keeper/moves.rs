//! From the pool to the card: the oldest free bills are read one by one, written to the card, and leave the pool when
//! the card's copy is synced.

use std::collections::BTreeSet;

use model::ids::BillId;
use model::marks::{self, Mark};
use model::record::BillRun;
use model::settings::CacheBackupMode;
use model::time::Now;

use super::card_side::MOVING_MAX;
use super::reads::Why;
use super::{Area, Keeper};
use crate::pool::{BillState, Hindrance};

/// Bills that are to be moved.
#[derive(Default)]
pub(super) struct Mover {
    /// How many still.
    left: usize,
    /// The newest one that was looked at.
    behind: BillId,
    reading: Option<BillId>,
    /// A bill that was read, on its way.
    read: Option<(BillId, Box<[u8]>)>,
    /// All that are on their way, until they have left the pool.
    moving: BTreeSet<BillId>,
}

impl Mover {
    pub(super) fn is_busy(&self) -> bool {
        self.left > 0 || self.reading.is_some()
    }

    /// At least so many bills are to be moved, the oldest first.
    pub(super) fn want(&mut self, bills: usize) {
        if self.left == 0 {
            self.behind = BillId::default();
        }
        self.left = self.left.max(bills);
    }

    /// No more are to be moved than those that are on their way.
    pub(super) fn stop(&mut self) {
        self.left = 0;
    }

    /// These bills have left the pool.
    pub(super) fn handle_settled(&mut self, run: BillRun) {
        let end = BillId { sequence: run.first.sequence.saturating_add(u64::from(run.count)), ..run.first };
        let ids: Vec<BillId> = self.moving.range(run.first..end).copied().collect();
        for id in ids {
            self.moving.remove(&id);
        }
    }

    pub(super) fn handle_read(&mut self, id: BillId, record: Box<[u8]>) {
        if self.reading == Some(id) {
            self.reading = None;
            self.read = Some((id, record));
        }
    }
}

impl Keeper {
    /// Bills that the card has room for.
    pub(super) fn card_room(&self) -> usize {
        let capacity = usize::try_from(self.settings.cfcard.capacity).unwrap_or(usize::MAX);
        capacity.saturating_sub(self.card.bill_count()).saturating_sub(self.card.moving())
    }

    /// Everything in the pool is to be moved.
    pub(super) fn move_all(&mut self) {
        self.mover.want(self.book.pool.bill_count());
    }

    pub(super) fn advance_moves(&mut self, _now: Now) {
        let staying = self.book.pool.bill_count().saturating_sub(self.mover.moving.len());
        let excess = staying.saturating_sub(self.book.pool.capacity());
        if excess > 0 && self.settings.cache.backup_mode != CacheBackupMode::None && self.mover.left == 0 {
            self.mover.want(excess);
        }
        if !self.card.is_ready() {
            return;
        }
        if let Some((id, record)) = self.mover.read.take() {
            self.card.move_here(id, record);
        }
        if self.mover.left == 0 || self.mover.reading.is_some() || !self.own.is_calm() {
            return;
        }
        if self.card_room() == 0 {
            self.mover.left = 0;
            return;
        }
        if self.card.moving() >= MOVING_MAX {
            return;
        }
        let [bills, _] = self.book.pool.shelves();
        let is_free = |state, hindrance: Hindrance, is_leaving: bool| {
            state == BillState::Free && !hindrance.is_unread() && !is_leaving
        };
        let found = {
            let mut behind = bills.iter_behind(self.mover.behind);
            behind.find(|bill| is_free(bill.state, bill.hindrance, bill.is_leaving)).map(|bill| bill.id)
        };
        let Some(id) = found else {
            self.mover.left = 0;
            return;
        };
        self.mover.left -= 1;
        self.mover.behind = id;
        self.mover.reading = Some(id);
        self.mover.moving.insert(id);
        self.book.set_state(id, BillState::Taken);
        self.read(Why::Move, Area::Ledger, id);
    }

    /// A bill cannot be read.
    pub(super) fn move_failed(&mut self, id: BillId) {
        if self.mover.reading == Some(id) {
            self.mover.reading = None;
        }
        self.mover.moving.remove(&id);
        self.book.set_state(id, BillState::Free);
    }

    /// What was on the way to the card stays in the pool; it is tried again when the card is back.
    pub(super) fn cancel_moves(&mut self) {
        self.mover.reading = None;
        self.mover.read = None;
        self.mover.behind = BillId::default();
        // Those that are leaving are on the card for certain.
        let book = &mut self.book;
        let before = self.mover.moving.len();
        self.mover.moving.retain(|id| match book.pool.get_mut(*id) {
            Some(bill) if !bill.is_leaving => {
                marks::hit(Mark::MoveCancelled);
                bill.state = BillState::Free;
                false
            }
            found => found.is_some(),
        });
        self.mover.left += before - self.mover.moving.len();
    }
}
