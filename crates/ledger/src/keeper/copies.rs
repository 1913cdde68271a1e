//! Telling again what stands in the oldest segment of a store, so that the segment may go: which bill is the next.

use model::ids::BillId;

use crate::pool::{BillRef, Hindrance, Shelf};

/// Bills looked at in one step.
const SCAN_MAX: usize = 4096;

/// A walk over the bills of one segment, in the order of ids.
#[derive(Default)]
pub(crate) struct Copies {
    segment: Option<u64>,
    /// The shelf that is walked, and how far.
    at: (usize, BillId),
    is_reading: bool,
    /// The last step ended because it was long enough.
    has_more: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyStep {
    /// Nothing now: a bill is being read, or the next step goes on looking.
    Busy,
    /// This bill is to be read and told again.
    Read(BillId),
    /// This bill cannot be read.
    Lost(BillRef),
    /// Every bill was looked at.
    Done,
}

impl Copies {
    pub(crate) fn segment(&self) -> Option<u64> {
        self.segment
    }

    pub(crate) fn begin(&mut self, segment: u64) {
        *self = Copies { segment: Some(segment), ..Copies::default() };
    }

    pub(crate) fn end(&mut self) {
        *self = Copies::default();
    }

    pub(crate) fn has_more(&self) -> bool {
        self.has_more
    }

    /// The bill that was asked for was read, or cannot be.
    pub(crate) fn handle_read(&mut self) {
        self.is_reading = false;
    }

    pub(crate) fn step(&mut self, shelves: &[&Shelf]) -> CopyStep {
        self.has_more = false;
        let Some(segment) = self.segment else { return CopyStep::Done };
        if self.is_reading {
            return CopyStep::Busy;
        }
        let mut looked_at = 0;
        while let Some(shelf) = shelves.get(self.at.0) {
            if shelf.standing(segment).bills > 0 {
                for bill in shelf.iter_behind(self.at.1) {
                    self.at.1 = bill.id;
                    if bill.place.segment == segment && !bill.is_leaving {
                        if bill.hindrance == Hindrance::Unreadable {
                            return CopyStep::Lost(*bill);
                        }
                        self.is_reading = true;
                        return CopyStep::Read(bill.id);
                    }
                    looked_at += 1;
                    if looked_at == SCAN_MAX {
                        self.has_more = true;
                        return CopyStep::Busy;
                    }
                }
            }
            self.at = (self.at.0 + 1, BillId::default());
        }
        CopyStep::Done
    }
}
