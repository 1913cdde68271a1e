//! Slots in a line, first come first served, each at most once; with room for all, taken at start.
//!
//! Whenever it is empty it begins at its front again: a short line stays in memory that is in the cache, and does not come round
//! to all that it has.

use std::collections::VecDeque;

use crate::session::Slot;

pub(crate) struct Line(VecDeque<Slot>);

impl Line {
    /// With room for so many.
    pub(crate) fn new(capacity: usize) -> Line {
        Line(VecDeque::with_capacity(capacity))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whose turn it is.
    pub(crate) fn first(&self) -> Option<Slot> {
        self.0.front().copied()
    }

    /// Who has its turn behind so many others.
    pub(crate) fn behind(&self, others: usize) -> Option<Slot> {
        self.0.get(others).copied()
    }

    pub(crate) fn push(&mut self, slot: Slot) {
        self.0.push_back(slot);
    }

    /// Lets the first go.
    pub(crate) fn pop(&mut self) -> Option<Slot> {
        let slot = self.0.pop_front();
        if self.0.is_empty() {
            self.0.clear();
        }
        slot
    }

    /// Takes one out, wherever it stands.
    pub(crate) fn remove(&mut self, slot: Slot) {
        self.0.retain(|&other| other != slot);
    }
}
