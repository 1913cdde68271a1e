//! The card and the ledger brought into agreement: what was told the one is told the other, and a reset empties both.

use model::ids::BillId;
use model::marks;
use model::record::{BillRuns, BillStore, Delivered, Departed, Departure, Record, TransferAbandoned};
use model::time::Wall;

use super::{CardOwn, Mark, SETTLE_MAX, State};
use crate::keeper::{Keeper, own};
use crate::pool::{BillState, DepartedRun};
use crate::transfer::runs_of;

impl Keeper {
    /// What the card was told is durable there.
    pub(super) fn take_marks(&mut self, marks: &[Mark], at: Wall) {
        let mut moved = Vec::new();
        for mark in marks {
            match mark {
                Mark::Moved(id) => {
                    if let Some(bill) = self.book.pool.get(*id) {
                        moved.push((*id, bill.in_octets, bill.out_octets));
                    }
                }
                Mark::Abandoned(number) => {
                    let number = *number;
                    self.tell(&Record::TransferAbandoned(TransferAbandoned { number, may_be_there: true }));
                }
            }
        }
        moved.sort_unstable();
        self.tell_departed(BillStore::Cache, Departure::Moved, &moved, at);
    }

    /// Brings some of the card's bills into agreement with the ledger.
    pub(super) fn settle_card(&mut self, at: Wall) {
        if !self.own.is_calm() {
            return;
        }
        let State::Open(open) = &mut self.card.state else { return };
        let Some(behind) = open.settled else { return };
        let mut moved = Vec::new();
        let mut gone = Vec::new();
        let mut last = None;
        for bill in open.card.shelf.iter_behind(behind).take(SETTLE_MAX) {
            last = Some(bill.id);
            if bill.is_leaving {
                // The card was told to let it go, so the pool's copy is the only one.
                continue;
            }
            match self.book.pool.get(bill.id) {
                // Also while the record of its end waits for the disk: the copy would go into a file of the card's meanwhile.
                Some(pooled) if matches!(pooled.state, BillState::Claimed | BillState::InTransfer) => {
                    gone.push(bill.id);
                }
                // Moved: settled when that is durable.
                Some(pooled) if pooled.is_leaving => {}
                // That a server may have it must not be forgotten: the pool's copy goes to the card once more.
                Some(pooled) if pooled.delivered != bill.delivered => gone.push(bill.id),
                Some(pooled) if pooled.state == BillState::Free => {
                    marks::hit(marks::Mark::CardSettlesMove);
                    moved.push((bill.id, pooled.in_octets, pooled.out_octets));
                }
                Some(_) => gone.push(bill.id),
                None => match self.book.departures.find(bill.id) {
                    None | Some((BillStore::Cache, Departure::Moved)) => {}
                    Some(_) => gone.push(bill.id),
                },
            }
        }
        open.settled = last;
        while !gone.is_empty() {
            marks::hit(marks::Mark::CardCopyDropped);
            let (octets, taken) = runs_of(&gone);
            gone.drain(..taken);
            let bills = BillRuns::from_octets(&octets).expect("ids ascend");
            self.drop_card_copies(bills, at);
        }
        self.tell_departed(BillStore::Cache, Departure::Moved, &moved, at);
    }

    /// The pool had these bills and they went another way, or it has them still: copies that a move left on the card when
    /// it was cut off are none.
    pub(in crate::keeper) fn drop_card_copies(&mut self, bills: BillRuns<'_>, at: Wall) {
        let (store, departure) = (BillStore::Cfcard, Departure::Moved);
        let departed = Departed { store, departure, transfer: 0, at, bills, in_octets: 0, out_octets: 0 };
        self.card_departed(&Record::Departed(departed));
    }

    /// The ledger says that bills left the card: the card is told.
    pub(in crate::keeper) fn card_departed(&mut self, record: &Record<'_>) {
        let Record::Departed(departed) = record else { return };
        if departed.departure == Departure::Reset && self.card.is_missing {
            // Nothing is missed on it any more.
            self.card.try_at_once();
        }
        let State::Open(open) = &mut self.card.state else { return };
        if departed.departure == Departure::Reset && !open.resetting.is_empty() {
            // An earlier reset may be told again meanwhile.
            for id in departed.bills.ids() {
                open.resetting.remove(&id);
            }
            if open.resetting.is_empty()
                && let Some((from, next)) = open.segments.numbers()
            {
                self.leave_open(State::Wiping { from, next, is_asked: false });
                self.card.bills_seen = 0;
            }
            return;
        }
        // Those told again long after are gone here too.
        let here: Vec<BillId> = departed.bills.iter().flat_map(|run| open.card.shelf.ids_within(run)).collect();
        for id in &here {
            if let Some(bill) = open.card.shelf.get_mut(*id) {
                bill.is_leaving = true;
            }
        }
        if !here.is_empty() {
            self.card.push(CardOwn::Record(own::octets(record)));
        }
    }

    /// Bills that were moved to the card and have not left it, as far as the ledger knows: the first of each run, and how many.
    pub(in crate::keeper) fn bills_due_on_card(&self) -> impl Iterator<Item = (BillId, u64)> {
        let due = |run: &DepartedRun| (run.store, run.departure) == (BillStore::Cache, Departure::Moved);
        self.book.departures.runs().filter(due).map(|run| (run.first, run.count))
    }

    /// The card is gone, and what was on it with it. What its bills accounted for was told when they were moved.
    pub(in crate::keeper) fn give_up_card(&mut self, at: Wall) -> u64 {
        let due: Vec<(BillId, u64)> = self.bills_due_on_card().collect();
        self.card.bills_seen = 0;
        for runs in due.chunks(BillRuns::RUN_COUNT_MAX) {
            let octets = own::run_octets(runs);
            let bills = BillRuns::from_octets(&octets).expect("runs ascend");
            let (store, departure) = (BillStore::Cfcard, Departure::Reset);
            self.tell(&Record::Departed(Departed {
                store,
                departure,
                transfer: 0,
                at,
                bills,
                in_octets: 0,
                out_octets: 0,
            }));
        }
        due.iter().map(|(_, count)| count).sum()
    }

    /// The card's bills in a file that this record abandons, and whether the server may have it.
    pub(in crate::keeper) fn freed_on_card(&self, record: &Record<'_>) -> Vec<(BillId, bool)> {
        let Record::TransferAbandoned(TransferAbandoned { number, may_be_there }) = record else { return Vec::new() };
        match self.book.transfers.get(number) {
            Some(open) if open.store == BillStore::Cfcard => open.bills().ids().map(|id| (id, *may_be_there)).collect(),
            _ => Vec::new(),
        }
    }

    pub(in crate::keeper) fn free_on_card(&mut self, freed: impl Iterator<Item = (BillId, bool)>) {
        let Some(shelf) = self.card.shelf_mut() else { return };
        for (id, may_be_there) in freed {
            if let Some(bill) = shelf.get_mut(id) {
                bill.state = BillState::Free;
                if may_be_there {
                    bill.delivered = Delivered::Unknown;
                }
            }
        }
    }
}
