//! Slots in a line, first come first served, each at most once; with room for all, taken at start.
//!
//! ```text
//!   head ─▶ block ─▶ block ─▶ … ─▶ tail      a block is one cache line: 15 slots and a link
//! ```
//!
//! The block that was left last is the next one that is taken. So a line needs memory for as many as stand in it at once: one that
//! is short stays in the cache, and does not come round to all that it has, even if it is never empty.

use crate::session::{NONE, Slot};

const BLOCK_SLOTS: usize = 15;

#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Block {
    next: u32,
    slots: [Slot; BLOCK_SLOTS],
}

const _: () = assert!(size_of::<Block>() == 64);

pub(crate) struct Line {
    blocks: Vec<Block>,
    /// Blocks that were left, linked.
    free: u32,
    /// The block of the first, and its place there.
    head: u32,
    gone: usize,
    /// The block of the last, and how many places of it have been taken.
    tail: u32,
    come: usize,
    length: usize,
}

impl Line {
    /// With room for so many.
    pub(crate) fn new(capacity: usize) -> Line {
        // The first block and the last may be full but for one.
        let blocks = Vec::with_capacity(capacity.div_ceil(BLOCK_SLOTS) + 2);
        Line { blocks, free: NONE, head: NONE, gone: 0, tail: NONE, come: BLOCK_SLOTS, length: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Whose turn it is.
    pub(crate) fn first(&self) -> Option<Slot> {
        self.blocks.get(self.head as usize).map(|block| block.slots[self.gone])
    }

    /// Who has its turn behind so many others, fewer than a block has.
    pub(crate) fn behind(&self, others: usize) -> Option<Slot> {
        if others >= self.length {
            return None;
        }
        let (block, place) = (self.blocks.get(self.head as usize)?, self.gone + others);
        match block.slots.get(place) {
            Some(&slot) => Some(slot),
            None => self.blocks.get(block.next as usize)?.slots.get(place - BLOCK_SLOTS).copied(),
        }
    }

    pub(crate) fn push(&mut self, slot: Slot) {
        if self.come == BLOCK_SLOTS {
            self.add_block();
        }
        self.blocks[self.tail as usize].slots[self.come] = slot;
        self.come += 1;
        self.length += 1;
    }

    /// Lets the first go.
    pub(crate) fn pop(&mut self) -> Option<Slot> {
        let slot = self.first()?;
        self.gone += 1;
        self.length -= 1;
        if self.length == 0 {
            self.leave_head();
            (self.head, self.tail, self.come) = (NONE, NONE, BLOCK_SLOTS);
        } else if self.gone == BLOCK_SLOTS {
            self.leave_head();
        }
        Some(slot)
    }

    /// Takes one out, wherever it stands.
    pub(crate) fn remove(&mut self, slot: Slot) {
        for _ in 0..self.length {
            if let Some(other) = self.pop().filter(|&other| other != slot) {
                self.push(other);
            }
        }
    }

    fn add_block(&mut self) {
        let block = if let Some(left) = self.blocks.get(self.free as usize) {
            std::mem::replace(&mut self.free, left.next)
        } else {
            self.blocks.push(Block { next: NONE, slots: [NONE; BLOCK_SLOTS] });
            u32::try_from(self.blocks.len() - 1).expect("fewer than slots")
        };
        match self.blocks.get_mut(self.tail as usize) {
            Some(tail) => tail.next = block,
            None => (self.head, self.gone) = (block, 0),
        }
        (self.tail, self.come) = (block, 0);
    }

    fn leave_head(&mut self) {
        let left = self.head;
        let next = std::mem::replace(&mut self.blocks[left as usize].next, self.free);
        self.free = left;
        (self.head, self.gone) = (next, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const SLOTS: u32 = 100;

    proptest! {
        #[test]
        fn first_come_first_served(steps in prop::collection::vec((0..4u8, 0..SLOTS), 1..2000)) {
            let mut line = Line::new(SLOTS as usize);
            let room = line.blocks.capacity();
            let mut model: VecDeque<Slot> = VecDeque::new();
            for (what, slot) in steps {
                match what {
                    0 | 1 if !model.contains(&slot) => {
                        line.push(slot);
                        model.push_back(slot);
                    }
                    2 => {
                        line.remove(slot);
                        model.retain(|&other| other != slot);
                    }
                    _ => prop_assert_eq!(line.pop(), model.pop_front()),
                }
                prop_assert_eq!(line.first(), model.front().copied());
                prop_assert_eq!((line.len(), line.is_empty()), (model.len(), model.is_empty()));
                for others in 0..BLOCK_SLOTS {
                    prop_assert_eq!(line.behind(others), model.get(others).copied());
                }
            }
            prop_assert_eq!(line.blocks.capacity(), room);
        }
    }

    /// One comes as one goes, and the line is never empty.
    #[test]
    fn a_short_line_does_not_come_round() {
        let mut line = Line::new(1 << 20);
        let room = line.blocks.capacity();
        (0..40).for_each(|slot| line.push(slot));
        for slot in 40..100_000 {
            line.push(slot);
            assert_eq!(line.pop(), Some(slot - 40));
        }
        assert!(line.blocks.len() <= 5);
        let whole = 1 << 20;
        (100_000..whole).for_each(|slot| line.push(slot));
        (0..99_960).for_each(|slot| line.push(slot));
        assert_eq!((line.len(), line.first()), (whole as usize, Some(99_960)));
        assert_eq!(line.blocks.capacity(), room);
    }
}
