//! Sessions by the hash of their names.
//!
//! A hash table has a power of two of buckets and fills seven eighths of them, so one table for a million would take the memory
//! of two. Many small tables, each about as full as it can be, take 6 octets a session.
//!
//! **Full** it cannot be: a table that gets more than its share, by a chance that nobody sees in a lifetime, grows.

use hashbrown::HashTable;

use crate::session::Slot;

/// Most entries of one table: seven eighths of 2^14.
const PART_MOST: usize = (1 << 14) / 8 * 7;
/// Entries that a table is meant for: six standard deviations fewer.
const PART: usize = PART_MOST - 6 * 120;

pub(crate) struct Names {
    parts: Vec<HashTable<Slot>>,
    count: usize,
}

impl Names {
    /// For so many names.
    pub(crate) fn new(capacity: usize) -> Names {
        let parts = capacity.div_ceil(PART).max(1);
        let each = if parts == 1 { capacity } else { PART_MOST };
        Names { parts: (0..parts).map(|_| HashTable::with_capacity(each)).collect(), count: 0 }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// One with this hash that is it.
    pub(crate) fn find(&self, hash: u64, is_it: impl FnMut(&Slot) -> bool) -> Option<Slot> {
        self.parts[self.part(hash)].find(hash, is_it).copied()
    }

    /// One more, that is not there yet. `hash_of` tells the others' hashes.
    pub(crate) fn insert(&mut self, hash: u64, slot: Slot, hash_of: impl Fn(&Slot) -> u64) {
        let part = self.part(hash);
        self.parts[part].insert_unique(hash, slot, hash_of);
        self.count += 1;
    }

    /// One fewer, if it is there.
    pub(crate) fn remove(&mut self, hash: u64, slot: Slot) {
        let part = self.part(hash);
        if let Ok(entry) = self.parts[part].find_entry(hash, |&other| other == slot) {
            entry.remove();
            self.count -= 1;
        }
    }

    /// By other bits of the hash than those which the tables go by.
    fn part(&self, hash: u64) -> usize {
        let bits = hash >> 20 & u64::from(u32::MAX);
        usize::try_from((bits * self.parts.len() as u64) >> 32).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spread as the hash of names is.
    fn hash(slot: &Slot) -> u64 {
        let product = u128::from(*slot + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        u64::try_from(product >> 48 & u128::from(u64::MAX)).unwrap()
    }

    #[test]
    fn as_many_as_there_is_room_for_are_found_and_no_table_has_grown() {
        for capacity in [1, 1000, 300_000] {
            let mut names = Names::new(capacity);
            let room: Vec<usize> = names.parts.iter().map(HashTable::capacity).collect();
            let slots = 0..Slot::try_from(capacity).unwrap();
            slots.clone().for_each(|slot| names.insert(hash(&slot), slot, hash));
            assert_eq!(names.len(), capacity);
            assert!(slots.clone().all(|slot| names.find(hash(&slot), |other| *other == slot) == Some(slot)));
            assert_eq!(names.parts.iter().map(HashTable::capacity).collect::<Vec<_>>(), room);
            slots.step_by(2).for_each(|slot| names.remove(hash(&slot), slot));
            assert_eq!((names.len(), names.find(hash(&0), |other| *other == 0)), (capacity / 2, None));
        }
    }
}
