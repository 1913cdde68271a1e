//! Where a session is, by its serial: found in one or two places in memory, and many at a time.
//!
//! ```text
//! slots     hash 32 │ number + 1 32       a power of two of them, at most five eighths in use; 0: free
//! entries   key │ value                   by number, without gaps except for those removed
//! ```
//!
//! A slot stands at the hash of its key or, when others are there, behind them. It holds the whole hash, so the table grows and
//! shrinks without a look at the keys. Serials are our own: nobody chooses them to collide.

use std::hint::black_box;

use crate::frame::SessionKey;

/// Values by session. Memory: 13 to 26 octets a session, beside its key and the value.
#[derive(Clone, Debug)]
pub struct SessionIndex<T> {
    slots: Vec<u64>,
    /// How many slots are in use.
    used: usize,
    entries: Vec<Entry<T>>,
    /// Numbers of removed entries that may be given again.
    free: Vec<u32>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry<T> {
    pub(super) key: SessionKey,
    pub(super) value: T,
}

/// A key, hashed, and the octets that say it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashed {
    key: SessionKey,
    hash: u32,
}

impl From<SessionKey> for Hashed {
    #[inline]
    fn from(key: SessionKey) -> Hashed {
        let model::ids::SessionSerial { epoch, sequence } = key.serial();
        // A serial that was given has 24 and 36 bits. The factor is 2^128 divided by the golden ratio, odd; both halves of
        // the product together depend on every bit.
        let number = sequence ^ u64::from(epoch) << 40;
        let product =
            u128::from(number ^ 0xD1B5_4A32_D192_ED03).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let [_, _, _, _, a, b, c, d, .., e, f, g, h] = product.to_le_bytes();
        Hashed { key, hash: u32::from_le_bytes([a, b, c, d]) ^ u32::from_le_bytes([e, f, g, h]) }
    }
}

impl<T> Default for SessionIndex<T> {
    fn default() -> SessionIndex<T> {
        SessionIndex { slots: vec![0; SessionIndex::<T>::SLOTS_LEAST], used: 0, entries: Vec::new(), free: Vec::new() }
    }
}

impl<T> SessionIndex<T> {
    const SLOTS_LEAST: usize = 64;

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// The number of a key's entry, made with `value` if there is none.
    pub fn insert(&mut self, key: SessionKey, value: impl FnOnce() -> T) -> u32 {
        self.insert_hashed(key.into(), value)
    }

    /// The number of a key's entry.
    pub fn find(&self, key: SessionKey) -> Option<u32> {
        self.find_hashed(key.into())
    }

    /// An entry that was made, removed or not.
    pub fn get(&self, number: u32) -> Option<&T> {
        self.entries.get(number as usize).map(|entry| &entry.value)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.entries.get_mut(number as usize).map(|entry| &mut entry.value)
    }

    pub(super) fn key(&self, number: u32) -> Option<SessionKey> {
        self.entries.get(number as usize).map(|entry| entry.key)
    }

    /// Every entry that was made, removed or not, so many at a time.
    pub(super) fn blocks(&self, len: usize) -> impl Iterator<Item = &[Entry<T>]> {
        self.entries.chunks(len)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().map(|entry| &mut entry.value)
    }

    /// Brings the slots of these keys into the cache, and then their entries, of which `read` reads some. Nothing depends on
    /// what is read, so that the processor waits for many of them at once.
    pub(super) fn touch(&self, keys: impl Iterator<Item = Hashed> + Clone, read: impl Fn(&T) -> u32) {
        let mask = self.mask();
        black_box(keys.clone().fold(0, |any, key| any ^ self.slots[key.hash as usize & mask]));
        black_box(keys.fold(0, |any, key| {
            // Nearly always the right one; if not, nothing is wrong.
            let number = number_of(self.slots[key.hash as usize & mask]);
            any ^ self.entries.get(number as usize).map_or(0, |entry| entry.key.serial().epoch ^ read(&entry.value))
        }));
    }

    #[inline]
    pub(super) fn find_hashed(&self, Hashed { key, hash }: Hashed) -> Option<u32> {
        let mask = self.mask();
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if hash_of(slot) == hash && self.entries[number_of(slot) as usize].key == key {
                return Some(number_of(slot));
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    pub(super) fn insert_hashed(&mut self, hashed: Hashed, value: impl FnOnce() -> T) -> u32 {
        if let Some(number) = self.find_hashed(hashed) {
            return number;
        }
        let entry = Entry { key: hashed.key, value: value() };
        let number = match self.free.pop() {
            Some(number) => {
                self.entries[number as usize] = entry;
                number
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("a store has fewer than 2^32 sessions")
            }
        };
        self.enter(hashed.hash, number);
        number
    }

    /// Takes an entry out of the table. Its number is not given again before [`SessionIndex::release`].
    pub(super) fn remove(&mut self, number: u32) {
        let Some(key) = self.key(number) else { return };
        let mask = self.mask();
        let mut at = Hashed::from(key).hash as usize & mask;
        loop {
            match self.slots[at] {
                0 => return,
                slot if number_of(slot) == number => break,
                _ => at = (at + 1) & mask,
            }
        }
        self.used -= 1;
        // Those behind it move up, unless they stand before their own place then.
        let mut behind = (at + 1) & mask;
        while self.slots[behind] != 0 {
            let home = hash_of(self.slots[behind]) as usize & mask;
            if behind.wrapping_sub(home) & mask >= behind.wrapping_sub(at) & mask {
                self.slots[at] = self.slots[behind];
                at = behind;
            }
            behind = (behind + 1) & mask;
        }
        self.slots[at] = 0;
    }

    /// Puts a removed entry, that was not released, back.
    pub(super) fn put_back(&mut self, number: u32) {
        if let Some(key) = self.key(number) {
            self.enter(Hashed::from(key).hash, number);
        }
    }

    /// The numbers of removed entries may be given again.
    pub(super) fn release(&mut self, numbers: &mut Vec<u32>) {
        self.free.append(numbers);
    }

    fn enter(&mut self, hash: u32, number: u32) {
        if (self.used + 1) * 8 > self.slots.len() * 5 {
            let slots = vec![0; 2 * self.slots.len()];
            let old = std::mem::replace(&mut self.slots, slots);
            old.into_iter().filter(|slot| *slot != 0).for_each(|slot| self.place(slot));
        }
        self.place(u64::from(hash) << 32 | (u64::from(number) + 1));
        self.used += 1;
    }

    fn place(&mut self, slot: u64) {
        let mask = self.mask();
        let mut at = hash_of(slot) as usize & mask;
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    fn mask(&self) -> usize {
        self.slots.len() - 1
    }
}

fn hash_of(slot: u64) -> u32 {
    let [_, _, _, _, hash @ ..] = slot.to_le_bytes();
    u32::from_le_bytes(hash)
}

fn number_of(slot: u64) -> u32 {
    let [a, b, c, d, ..] = slot.to_le_bytes();
    u32::from_le_bytes([a, b, c, d]).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hashbrown::HashMap;
    use model::ids::SessionSerial;
    use proptest::prelude::*;

    fn key(number: u16) -> SessionKey {
        SessionSerial { epoch: u32::from(number % 3), sequence: u64::from(number / 3) }.into()
    }

    proptest! {
        /// Whatever is inserted, removed, released and put back: it says what a map says.
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0u8..8, 0u16..600), 0..2000)) {
            let mut index = SessionIndex::default();
            let mut map = HashMap::new();
            let mut removed = Vec::new();
            for (what, number) in steps {
                match what {
                    0..=3 => {
                        let made = index.insert(key(number), || number);
                        prop_assert_eq!(*map.entry(key(number)).or_insert(made), made);
                        prop_assert_eq!(index.get(made), Some(&number));
                    }
                    4 | 5 => {
                        if let Some(made) = map.remove(&key(number)) {
                            index.remove(made);
                            removed.push(made);
                        }
                    }
                    6 => index.release(&mut removed),
                    _ => {
                        let back = removed.pop();
                        if let Some(back) = back && index.find(index.key(back).unwrap()).is_none() {
                            index.put_back(back);
                            map.insert(index.key(back).unwrap(), back);
                        }
                    }
                }
                prop_assert_eq!(index.len(), map.len());
                prop_assert_eq!(index.find(key(number)), map.get(&key(number)).copied());
            }
            for number in 0..600 {
                prop_assert_eq!(index.find(key(number)), map.get(&key(number)).copied());
            }
        }
    }

    #[test]
    fn serials_in_a_row_are_spread() {
        let mut index = SessionIndex::default();
        let mut places = Vec::new();
        for epoch in 1..=4 {
            for sequence in 0..50_000 {
                let hashed = Hashed::from(SessionKey::from(SessionSerial { epoch, sequence }));
                index.insert_hashed(hashed, || ());
                places.push(hashed.hash & 0xFFFF);
            }
        }
        places.sort_unstable();
        places.dedup();
        // Of 65,536 places 200,000 throws leave out about one in twenty-one.
        assert!(places.len() > 60_000, "{}", places.len());
        let longest = index.slots.split(|slot| *slot == 0).map(<[u64]>::len).max();
        assert!(longest < Some(200), "a run of {longest:?}");
    }
}
