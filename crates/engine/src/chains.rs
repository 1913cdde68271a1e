//! Slots by a hash: chains through memory that is taken when they are made, so that nothing that comes, goes or is renamed
//! allocates, moves anybody else or is in the way of the others of its hash.
//!
//! ```text
//!   heads:   hash ─▶ slot ─▶ slot ─▶ …      as many as slots, rounded up to a power of two
//!   links:   of each slot: its neighbours
//! ```
//!
//! A chain is told apart by less than a whole hash: what stands in it is looked at before it is believed. **Memory:** 4 octets for
//! each head and 8 for each slot; the system gives them when they are first touched, which is when a slot is put in.

use crate::session::Slot;

/// No slot. Others are written as their number and one, so that memory that was never touched says this.
const NOBODY: u32 = 0;
/// With the number of a head: the first of its chain stands behind it.
const HEAD: u32 = 1 << 31;

/// The chains.
pub(crate) struct Chains {
    heads: Vec<u32>,
    /// The next of each slot, and what it stands behind: a slot, or a head; [`NOBODY`]: it stands in no chain.
    links: Vec<[u32; 2]>,
}

impl Chains {
    /// For slots below `slots`, at most 2³⁰.
    pub(crate) fn new(slots: usize) -> Chains {
        assert!(slots <= 1 << 30, "a slot and a head are told apart by one bit");
        Chains { heads: vec![NOBODY; slots.next_power_of_two()], links: vec![[NOBODY; 2]; slots] }
    }

    /// Whether the slot stands in a chain.
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.links[slot as usize][1] != NOBODY
    }

    /// Puts a slot that stands in no chain first in that of this hash.
    pub(crate) fn put(&mut self, slot: Slot, hash: u32) {
        let head = self.head(hash);
        let next = std::mem::replace(&mut self.heads[head as usize], slot + 1);
        self.links[slot as usize] = [next, HEAD | head];
        if next != NOBODY {
            self.links[next as usize - 1][1] = slot + 1;
        }
    }

    /// Takes the slot out of the chain that it stands in, if any.
    pub(crate) fn take(&mut self, slot: Slot) {
        let [next, behind] = std::mem::replace(&mut self.links[slot as usize], [NOBODY; 2]);
        match behind {
            NOBODY => return,
            head if head & HEAD != 0 => self.heads[(head & !HEAD) as usize] = next,
            other => self.links[other as usize - 1][0] = next,
        }
        if next != NOBODY {
            self.links[next as usize - 1][1] = behind;
        }
    }

    /// The slots of this hash, and perhaps of others.
    pub(crate) fn of(&self, hash: u32) -> impl Iterator<Item = Slot> + '_ {
        let mut at = self.heads[self.head(hash) as usize];
        std::iter::from_fn(move || {
            let slot = at.checked_sub(1)?;
            at = self.links[slot as usize][0];
            Some(slot)
        })
    }

    fn head(&self, hash: u32) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "there are at most 2^30 heads")]
        let mask = self.heads.len() as u32 - 1;
        hash & mask
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const SLOTS: u32 = 24;

    proptest! {
        /// Few hashes, so that chains are long, and some of them share a head.
        #[test]
        fn a_slot_is_found_by_the_hash_it_was_put_in_with(
            steps in prop::collection::vec((0..SLOTS, prop::option::of(0..40u32)), 1..300)
        ) {
            let mut chains = Chains::new(SLOTS as usize);
            let mut model: BTreeMap<Slot, u32> = BTreeMap::new();
            for (slot, hash) in steps {
                chains.take(slot);
                model.remove(&slot);
                if let Some(hash) = hash {
                    chains.put(slot, hash);
                    model.insert(slot, hash);
                }
                for slot in 0..SLOTS {
                    prop_assert_eq!(chains.has(slot), model.contains_key(&slot));
                }
                for hash in 0..40 {
                    let mut found: Vec<Slot> = chains.of(hash).collect();
                    found.sort_unstable();
                    let expected = model.iter().filter(|(_, own)| (**own ^ hash) & 31 == 0).map(|(slot, _)| *slot);
                    prop_assert_eq!(found, expected.collect::<Vec<_>>());
                }
            }
        }
    }
}
