//! Records that the keeper itself writes. They wait here, in order, until the log takes them; a copy is looked at once
//! more before it goes, for a record behind the one that ends what it tells of would bring it back.

use std::collections::VecDeque;

use model::ids::BillId;
use model::record::{BillRun, BillStore, Claimed, Departed, Departure, Record};
use model::time::Wall;

use super::Keeper;
use crate::frame::{self, RECORD_LEN_MAX};
use crate::pool::BillRef;
use crate::transfer::runs_of;

/// Something to be written.
pub(super) enum Own {
    Record(Box<[u8]>),
    /// A bill's record, again.
    Bill(BillId, Box<[u8]>),
    /// The beginning of a file, again.
    Transfer(u64),
    /// A claim, again.
    Claim(BillId),
}

/// What waits, and what was taken.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Own>,
    /// The log's number of the newest own record.
    newest: u64,
    /// Of what waits, so many come first, and are durable before anything else is done.
    first: usize,
    /// The log's number of the last of those that were taken.
    first_through: u64,
}

/// While more wait, nothing new is begun.
const CALM_MAX: usize = 64;

impl Outbox {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn push(&mut self, own: Own) {
        self.waiting.push_back(own);
    }

    /// Whether what comes first is durable.
    pub(super) fn has_begun(&self, durable_through: u64) -> bool {
        self.first == 0 && self.first_through <= durable_through
    }

    /// Whether there is room for more of one's own.
    pub(super) fn is_calm(&self) -> bool {
        self.waiting.len() <= CALM_MAX
    }

    /// Whether everything that was told is durable.
    pub(super) fn is_settled(&self, durable_through: u64) -> bool {
        self.waiting.is_empty() && self.newest <= durable_through
    }
}

/// A record in octets.
pub(super) fn octets(record: &Record<'_>) -> Box<[u8]> {
    let mut out = [0; RECORD_LEN_MAX];
    let len = frame::encode(record, &mut out).expect("what was read, or is made of runs, is not too long");
    out[..len].into()
}

/// Runs of ids in octets: the first of each, and how many.
pub(super) fn run_octets(runs: &[(BillId, u64)]) -> Vec<u8> {
    let mut octets = Vec::new();
    for (first, count) in runs {
        let count = u32::try_from(*count).expect("a store has fewer than 2^32 bills");
        BillRun { first: *first, count }.push_to(&mut octets);
    }
    octets
}

impl Keeper {
    /// Has a record written, behind everything told before.
    pub(super) fn tell(&mut self, record: &Record<'_>) {
        self.book.mark_leaving(record);
        if let Record::Departed(departed) = record
            && departed.store == BillStore::Cfcard
            && let Some(shelf) = self.card.shelf_mut()
        {
            for id in departed.bills.ids() {
                if let Some(bill) = shelf.get_mut(id) {
                    bill.is_leaving = true;
                }
            }
        }
        self.own.push(Own::Record(octets(record)));
    }

    /// Has a record written that ends nothing, because it was told before.
    pub(super) fn tell_quietly(&mut self, record: &Record<'_>) {
        self.own.push(Own::Record(octets(record)));
    }

    /// Has a record written with the beginning of this life, before any other is told.
    pub(super) fn tell_first(&mut self, record: &Record<'_>) {
        self.tell_quietly(record);
        self.own.first += 1;
    }

    /// Tells that bills left a store, in as many records as it takes. `bills` ascend: id, octets in, octets out.
    pub(super) fn tell_departed(
        &mut self,
        store: BillStore,
        departure: Departure,
        bills: &[(BillId, u64, u64)],
        at: Wall,
    ) {
        let ids: Vec<BillId> = bills.iter().map(|bill| bill.0).collect();
        let mut done = 0;
        while done < ids.len() {
            let (octets, taken) = runs_of(&ids[done..]);
            let told = &bills[done..done + taken];
            let bills = model::record::BillRuns::from_octets(&octets).expect("ids ascend");
            self.tell(&Record::Departed(Departed {
                store,
                departure,
                transfer: 0,
                at,
                bills,
                in_octets: told.iter().fold(0, |sum, bill| sum.saturating_add(bill.1)),
                out_octets: told.iter().fold(0, |sum, bill| sum.saturating_add(bill.2)),
            }));
            done += taken;
        }
    }

    /// A bill found no room anywhere, or its store does not bring it any more.
    pub(super) fn drop_bill(&mut self, store: BillStore, bill: &BillRef, at: Wall) {
        let bills = [(bill.id, bill.in_octets, bill.out_octets)];
        self.tell_departed(store, Departure::Dropped, &bills, at);
    }

    /// Hands the log what it takes.
    pub(super) fn flush(&mut self) {
        while let Some(own) = self.own.waiting.front() {
            let record = match own {
                Own::Record(record) => Some(record.clone()),
                Own::Bill(id, record) => {
                    self.book.pool.get(*id).filter(|bill| !bill.is_leaving).map(|_| record.clone())
                }
                Own::Transfer(number) => {
                    let open = self.book.transfers.get(number).filter(|open| !open.is_ending);
                    open.map(|open| octets(&Record::TransferBegun(open.record())))
                }
                Own::Claim(id) => {
                    let claim = self.book.claims.get(id).filter(|claim| !claim.is_ending);
                    claim.map(|_| octets(&Record::Claimed(Claimed { id: *id })))
                }
            };
            if let Some(record) = record {
                let Ok(sequence) = self.log.append(&record) else { return };
                self.own.newest = sequence;
                if self.own.first > 0 {
                    self.own.first -= 1;
                    self.own.first_through = sequence;
                }
            }
            self.own.waiting.pop_front();
        }
    }
}
