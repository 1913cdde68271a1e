//! Bill ids in the order they are met. Within an engine start they are dense, so what is missing is known by number.

use model::ids::BillId;

use super::FileFault;

/// Bills that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first one.
    pub first: BillId,
    /// How many follow each other.
    pub count: u64,
}

/// A run of ids, with what is missing in it.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    first: Option<BillId>,
    last: Option<BillId>,
    disorder: Option<BillId>,
    gaps: Vec<Gap>,
    /// What is missing before the first id of each engine start.
    heads: Vec<Gap>,
}

impl Ids {
    /// The next one. Files may be handed over one behind the other, so that a gap between two files shows too.
    pub fn push(&mut self, id: BillId) {
        let next = match self.last {
            Some(last) if id <= last => {
                self.disorder.get_or_insert(id);
                return;
            }
            Some(last) if last.epoch == id.epoch => last.sequence + 1,
            _ => {
                if id.sequence > 1 {
                    let first = BillId { sequence: 1, ..id };
                    self.heads.push(Gap { first, count: id.sequence - 1 });
                }
                id.sequence
            }
        };
        if id.sequence > next {
            self.gaps.push(Gap { first: BillId { sequence: next, ..id }, count: id.sequence - next });
        }
        self.first.get_or_insert(id);
        self.last = Some(id);
    }

    /// The first one met.
    pub fn first(&self) -> Option<BillId> {
        self.first
    }

    /// The last one in order.
    pub fn last(&self) -> Option<BillId> {
        self.last
    }

    /// The first one that was not behind all before it.
    pub fn disorder(&self) -> Option<BillId> {
        self.disorder
    }

    /// What is missing between ids of one engine start.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The same, and what is missing before the first of each engine start.
    pub fn gaps_from_one(&self) -> Vec<Gap> {
        let mut gaps = [&self.heads[..], &self.gaps].concat();
        gaps.sort_by_key(|gap| gap.first);
        gaps
    }
}

/// What can be said of so many bills from `first` to `last` without their ids: how many are not among them.
pub(super) fn span_gap(first: BillId, last: BillId, count: u64) -> Result<Option<Gap>, FileFault> {
    if last < first {
        return Err(FileFault::Ends);
    }
    if first.epoch != last.epoch {
        return Ok(None);
    }
    let Some(span) = (last.sequence - first.sequence).checked_add(1) else { return Ok(None) };
    match span.cmp(&count) {
        std::cmp::Ordering::Less => Err(FileFault::Ends),
        std::cmp::Ordering::Equal => Ok(None),
        // Which ones is not known; the first possible one is named.
        std::cmp::Ordering::Greater => {
            Ok(Some(Gap { first: BillId { sequence: first.sequence.saturating_add(1), ..first }, count: span - count }))
        }
    }
}
