//! Bills in the order of their ids, in chunks: found by binary search, put in and taken out anywhere in short time, and
//! cheapest at either end, where nearly all of it happens. A bill takes the octets of its [`BillRef`] and little more.

use std::collections::{BTreeMap, VecDeque};

use model::ids::BillId;
use model::record::{BillRun, Delivered};

use super::BillRef;

/// Bills of one store.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// None is empty.
    chunks: VecDeque<VecDeque<BillRef>>,
    len: usize,
    /// By segment: bills whose records stand in it, and the octets of their frames.
    standing: BTreeMap<u64, Standing>,
}

/// What stands in a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) bills: u64,
    pub(crate) octets: u64,
}

const CHUNK_LEN: usize = 512;

impl Shelf {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The newest one.
    pub(crate) fn last(&self) -> Option<&BillRef> {
        self.chunks.back()?.back()
    }

    pub(crate) fn get(&self, id: BillId) -> Option<&BillRef> {
        let (chunk, index) = self.locate(id);
        self.chunks.get(chunk)?.get(index.ok()?)
    }

    /// To change anything but its id and its place.
    pub(crate) fn get_mut(&mut self, id: BillId) -> Option<&mut BillRef> {
        let (chunk, index) = self.locate(id);
        self.chunks.get_mut(chunk)?.get_mut(index.ok()?)
    }

    /// Puts it in its place; one of that id must not be there.
    pub(crate) fn insert(&mut self, bill: BillRef) {
        self.stand(&bill);
        self.len += 1;
        // Most come in order.
        if let Some(last) = self.chunks.back_mut()
            && last.back().is_none_or(|last| last.id < bill.id)
        {
            if last.len() < CHUNK_LEN {
                last.push_back(bill);
                return;
            }
        } else if !self.chunks.is_empty() {
            return self.insert_within(bill);
        }
        let mut chunk = VecDeque::with_capacity(CHUNK_LEN);
        chunk.push_back(bill);
        self.chunks.push_back(chunk);
    }

    fn insert_within(&mut self, bill: BillRef) {
        let (mut at, index) = self.locate(bill.id);
        let mut index = index.expect_err("a bill is put in once");
        let chunk = &mut self.chunks[at];
        if chunk.len() >= CHUNK_LEN {
            let half = CHUNK_LEN / 2;
            let mut behind = VecDeque::with_capacity(CHUNK_LEN);
            behind.extend(chunk.drain(half..));
            self.chunks.insert(at + 1, behind);
            if index > half {
                at += 1;
                index -= half;
            }
        }
        self.chunks[at].insert(index, bill);
    }

    pub(crate) fn remove(&mut self, id: BillId) -> Option<BillRef> {
        let (at, index) = self.locate(id);
        let chunk = self.chunks.get_mut(at)?;
        let bill = chunk.remove(index.ok()?)?;
        self.len -= 1;
        if chunk.is_empty() {
            self.chunks.remove(at);
        } else if chunk.len() < CHUNK_LEN / 4 && self.chunks.get(at + 1).is_some_and(|next| next.len() < CHUNK_LEN / 2)
        {
            let next = self.chunks.remove(at + 1).unwrap_or_default();
            self.chunks[at].extend(next);
        }
        self.unstand(&bill);
        Some(bill)
    }

    pub(crate) fn pop_front(&mut self) -> Option<BillRef> {
        let id = self.chunks.front()?.front()?.id;
        self.remove(id)
    }

    /// Its record stands somewhere else now. False: there is no such bill.
    pub(crate) fn place_again(&mut self, bill: &BillRef) -> bool {
        let Some(held) = self.get_mut(bill.id) else { return false };
        let before = *held;
        held.place = bill.place;
        if bill.delivered == Delivered::Unknown {
            held.delivered = Delivered::Unknown;
        }
        let after = *held;
        self.unstand(&before);
        self.stand(&after);
        true
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &BillRef> + Clone {
        self.chunks.iter().flatten()
    }

    /// From number `start` on, counted from 0.
    pub(crate) fn iter_from_number(&self, mut start: usize) -> impl Iterator<Item = &BillRef> {
        let mut chunk = 0;
        while let Some(len) = self.chunks.get(chunk).map(VecDeque::len)
            && len <= start
        {
            start -= len;
            chunk += 1;
        }
        self.chunks.range(chunk.min(self.chunks.len())..).flatten().skip(start)
    }

    /// Those behind `id`.
    pub(crate) fn iter_behind(&self, id: BillId) -> impl Iterator<Item = &BillRef> {
        let (chunk, index) = self.locate(id);
        let skipped = index.map_or_else(|index| index, |index| index + 1);
        self.chunks.range(chunk.min(self.chunks.len())..).flatten().skip(skipped)
    }

    /// Those of a run that are here.
    pub(crate) fn ids_within(&self, run: BillRun) -> Vec<BillId> {
        let BillId { epoch, sequence } = run.first;
        let before = BillId { epoch, sequence: sequence.saturating_sub(1) };
        let end = BillId { epoch, sequence: sequence.saturating_add(u64::from(run.count)) };
        let behind = self.iter_behind(before).map(|bill| bill.id).skip_while(|id| *id < run.first);
        behind.take_while(|id| *id < end).collect()
    }

    /// What stands in a segment.
    pub(crate) fn standing(&self, segment: u64) -> Standing {
        self.standing.get(&segment).copied().unwrap_or_default()
    }

    /// What stands in segments before this one.
    pub(crate) fn standing_before(&self, segment: u64) -> Standing {
        self.standing.range(..segment).fold(Standing::default(), |sum, (_, standing)| Standing {
            bills: sum.bills + standing.bills,
            octets: sum.octets + standing.octets,
        })
    }

    /// The chunk that has it or would have it, and where in it.
    fn locate(&self, id: BillId) -> (usize, Result<usize, usize>) {
        let chunk = self.chunks.partition_point(|chunk| chunk.back().is_some_and(|last| last.id < id));
        match self.chunks.get(chunk) {
            Some(found) => (chunk, found.binary_search_by_key(&id, |bill| bill.id)),
            None => (chunk, Err(0)),
        }
    }

    fn stand(&mut self, bill: &BillRef) {
        let standing = self.standing.entry(bill.place.segment).or_default();
        standing.bills += 1;
        standing.octets += u64::from(bill.place.len);
    }

    fn unstand(&mut self, bill: &BillRef) {
        if let Some(standing) = self.standing.get_mut(&bill.place.segment) {
            standing.bills -= 1;
            standing.octets -= u64::from(bill.place.len);
            if standing.bills == 0 {
                self.standing.remove(&bill.place.segment);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::record::BillReason;
    use model::settings::AccountingMode;
    use proptest::prelude::*;

    use super::*;
    use crate::pool::{BillState, Hindrance};
    use crate::segment::Place;

    fn bill(sequence: u64) -> BillRef {
        BillRef {
            id: BillId { epoch: 1, sequence },
            place: Place::new(sequence % 7, 0, 100, 0),
            in_octets: 0,
            out_octets: 0,
            reason: BillReason::StopUnanswered,
            delivered: Delivered::No,
            state: BillState::Free,
            is_leaving: false,
            hindrance: Hindrance::None,
            method: AccountingMode::Radius,
        }
    }

    proptest! {
        /// In any order of coming and going a shelf holds what a set holds, in its order.
        #[test]
        fn a_shelf_is_an_ordered_set(steps in prop::collection::vec((any::<bool>(), 1..3_000_u64, 1..300_u64), 1..60)) {
            let mut shelf = Shelf::default();
            let mut model = BTreeSet::new();
            for (comes, first, count) in steps {
                for sequence in first..first + count {
                    if !comes {
                        let gone = shelf.remove(BillId { epoch: 1, sequence });
                        prop_assert_eq!(gone.is_some(), model.remove(&sequence));
                    } else if model.insert(sequence) {
                        shelf.insert(bill(sequence));
                    }
                }
                prop_assert!(shelf.iter().map(|bill| bill.id.sequence).eq(model.iter().copied()));
                let behind = BillId { epoch: 1, sequence: first };
                prop_assert!(shelf.iter_behind(behind).map(|bill| bill.id.sequence).eq(model.range(first + 1..).copied()));
                let number = model.len() / 2;
                let from_number = shelf.iter_from_number(number).map(|bill| bill.id.sequence);
                prop_assert!(from_number.eq(model.iter().copied().skip(number)));
                let standing = model.iter().filter(|sequence| **sequence % 7 == 3).count() as u64;
                prop_assert_eq!((shelf.len(), shelf.standing(3).bills), (model.len(), standing));
            }
        }
    }
}
