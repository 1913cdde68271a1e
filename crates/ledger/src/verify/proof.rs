//! The proof of completeness over the ledger and the card: every bill that was ever numbered is in the pool, on the card, in a
//! file on its way, or departed for a reason that stands in the ledger, a reset included (DESIGN.md section 4).

use std::collections::BTreeMap;

use model::ids::BillId;
use model::record::{BillStore, Departure};

use super::Gap;
use crate::card::CardFound;
use crate::pool::BillBook;

/// Where all bills are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Bills in the pool, those in files on their way and unbilled Stops included.
    pub in_pool: u64,
    /// Bills on the card; without a card, those that the ledger says were moved there.
    pub on_card: u64,
    /// Bills in the pool and on the card: a move was cut off, and the next start settles it.
    pub in_both: u64,
    /// Bills in files that were begun and are not known to have arrived.
    pub in_transfer: u64,
    /// Bills that are gone, by where to.
    pub departed: BTreeMap<Departure, u64>,
    /// Bills that are nowhere, by run.
    pub gaps: Vec<Gap>,
}

impl Proof {
    /// Whether every bill is accounted for.
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }
}

/// Holds the ledger's book, as recovery folded it, and the card against each other. `None`: the card is not at hand, and what the
/// ledger says was moved is taken to be there.
pub fn prove(book: &BillBook, card: Option<&CardFound>) -> Proof {
    let mut proof = Proof::default();
    let mut known: Vec<(BillId, u64)> = Vec::new();
    // By engine start: the number behind the last bill.
    let mut ends: BTreeMap<u32, u64> = BTreeMap::new();
    let mut extend = |first: BillId, count: u64| {
        let end = ends.entry(first.epoch).or_default();
        *end = (*end).max(first.sequence.saturating_add(count));
    };
    for bill in book.pool().bills(0).chain(book.pool().unbilled()) {
        proof.in_pool += 1;
        known.push((bill.id, 1));
        extend(bill.id, 1);
    }
    for bill in card.into_iter().flat_map(CardFound::bills) {
        let is_pooled = known.binary_search(&(bill.id, 1)).is_ok();
        proof.in_both += u64::from(is_pooled);
        // What the ledger says is gone from the card will be gone from it at the next start.
        let is_gone = book.departures().find(bill.id).is_some_and(|way| way != (BillStore::Cache, Departure::Moved));
        proof.on_card += u64::from(!is_pooled && !is_gone);
    }
    known.extend(card.into_iter().flat_map(CardFound::bills).map(|bill| (bill.id, 1)));
    for bill in card.into_iter().flat_map(CardFound::bills) {
        extend(bill.id, 1);
    }
    for run in book.departures().runs() {
        extend(run.first, run.count);
        let is_moved = (run.store, run.departure) == (BillStore::Cache, Departure::Moved);
        if !is_moved {
            *proof.departed.entry(run.departure).or_default() += run.count;
        } else if card.is_none() {
            proof.on_card += run.count;
        }
        if !is_moved || card.is_none() {
            known.push((run.first, run.count));
        }
    }
    proof.in_transfer = book.transfers().map(|open| open.bills().count()).sum();
    known.sort_unstable();
    proof.gaps = gaps(&known, &ends);
    proof
}

fn gaps(known: &[(BillId, u64)], ends: &BTreeMap<u32, u64>) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut rest = known.iter().peekable();
    for (&epoch, &end) in ends {
        let mut next = 1;
        while let Some((first, count)) = rest.next_if(|(first, _)| first.epoch == epoch) {
            if first.sequence > next {
                gaps.push(Gap { first: BillId { epoch, sequence: next }, count: first.sequence - next });
            }
            next = next.max(first.sequence.saturating_add(*count));
        }
        if next < end {
            gaps.push(Gap { first: BillId { epoch, sequence: next }, count: end - next });
        }
    }
    gaps
}
