//! Octets of many records in large pieces of memory, with their removal counted and, when it pays, made good.
//!
//! Memory that comes fresh from the system is paid for a page at a time, by whoever touches it first. So an arena goes on in
//! memory that a segment was read into, where it is given some: another thread has touched that already.

use std::hint::black_box;
use std::num::NonZeroU64;

/// Octets that only become more.
#[derive(Debug, Default)]
pub(super) struct Arena {
    /// Filled one after the other. None grows; only the last one has room.
    chunks: Vec<Vec<u8>>,
    /// Memory for the chunk after the last.
    spare: Option<Vec<u8>>,
    /// Octets in all chunks.
    len: usize,
    /// Octets that no slot names any more.
    removed: usize,
}

/// A chunk has no more octets, so that a place in it has 24 bits.
const CHUNK_LEN_MAX: usize = 1 << 24;
/// Octets of a chunk for which there is no memory that was in use.
const CHUNK_LEN: usize = 1 << 20;

/// Some octets in an arena, at least one: the chunk in the high 24 bits, where in it in the next 24, how many in the low 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(NonZeroU64);

impl Slot {
    fn new(chunk: usize, at: usize, len: usize) -> Slot {
        let len = u16::try_from(len).expect("a record ends below 2^12");
        assert!(chunk < 1 << 24 && at < CHUNK_LEN_MAX, "chunks of 2^20 octets and more reach beyond all memory");
        NonZeroU64::new((chunk as u64) << 40 | (at as u64) << 16 | u64::from(len))
            .map(Slot)
            .expect("a record has a kind")
    }

    fn chunk(self) -> usize {
        usize::try_from(self.0.get() >> 40).expect("24 bits")
    }

    fn range(self) -> std::ops::Range<usize> {
        let at = usize::try_from(self.0.get() >> 16).expect("it is in memory") % CHUNK_LEN_MAX;
        at..at + self.len()
    }

    fn len(self) -> usize {
        let [low, high, ..] = self.0.get().to_le_bytes();
        usize::from(u16::from_le_bytes([low, high]))
    }
}

impl Arena {
    /// Below this an arena is never worth compacting.
    const REMOVED_LEAST: usize = 16 << 20;

    pub(super) fn insert(&mut self, octets: &[u8]) -> Slot {
        if self.chunks.last().is_none_or(|chunk| room(chunk) < octets.len()) {
            self.chunks.push(self.spare.take().unwrap_or_else(|| Vec::with_capacity(CHUNK_LEN)));
        }
        let number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[number];
        let slot = Slot::new(number, chunk.len(), octets.len());
        chunk.extend_from_slice(octets);
        self.len += octets.len();
        slot
    }

    /// Memory that was in use, to go on in; what the arena has no need of comes back. One piece is enough: it takes what a
    /// segment of its length can add.
    pub(super) fn take_memory(&mut self, mut memory: Vec<u8>) -> Option<Vec<u8>> {
        if self.spare.is_some() || memory.capacity() < CHUNK_LEN {
            return Some(memory);
        }
        memory.clear();
        self.spare = Some(memory);
        None
    }

    /// Puts octets in the place of others, where they are if they are as many.
    pub(super) fn replace(&mut self, slot: &mut Option<Slot>, octets: &[u8]) {
        match *slot {
            Some(old) if old.len() == octets.len() => {
                self.chunks[old.chunk()][old.range()].copy_from_slice(octets);
            }
            old => {
                old.into_iter().for_each(|old| self.remove(old));
                *slot = Some(self.insert(octets));
            }
        }
    }

    pub(super) fn get(&self, slot: Slot) -> &[u8] {
        &self.chunks[slot.chunk()][slot.range()]
    }

    /// Brings the octets of these slots into the cache. Nothing depends on what is read, so that the processor waits for
    /// many of them at once.
    pub(super) fn touch(&self, slots: impl Iterator<Item = Slot>) {
        const LINE: usize = 64;
        black_box(slots.fold(0, |any, slot| {
            let octets = self.get(slot);
            let last = octets.last().copied().unwrap_or(0);
            octets.iter().step_by(LINE).fold(any ^ last, |any, octet| any ^ octet)
        }));
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        self.removed += slot.len();
    }

    #[cfg(test)]
    pub(super) fn octets_kept(&self) -> usize {
        self.len
    }

    /// Whether more than half is not named any more.
    pub(super) fn is_sparse(&self) -> bool {
        self.removed >= Arena::REMOVED_LEAST && self.removed > self.len / 2
    }

    /// Keeps what `slots`, which must be all of them, name.
    pub(super) fn compact<'a>(&mut self, slots: impl Iterator<Item = &'a mut Slot>) {
        let kept = Arena { spare: self.spare.take(), ..Arena::default() };
        let old = std::mem::replace(self, kept);
        for slot in slots {
            *slot = self.insert(old.get(*slot));
        }
    }
}

/// Octets that a chunk still takes.
fn room(chunk: &Vec<u8>) -> usize {
    chunk.capacity().min(CHUNK_LEN_MAX) - chunk.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of many lengths over several chunks, some in memory that was in use; half are removed, and the rest kept.
    #[test]
    fn every_record_stays_what_it_was() {
        let mut arena = Arena::default();
        let record = |number: usize| vec![u8::try_from(number % 251).unwrap(); 1 + number * 37 % 4000];
        let mut slots = Vec::new();
        for number in 0..5_000 {
            slots.push((number, arena.insert(&record(number))));
            if number % 500 == 0 {
                let _ = arena.take_memory(vec![0xFF; 3 << 20]);
            }
        }
        assert!(arena.chunks.len() > 3);
        let check = |arena: &Arena, slots: &[(usize, Slot)]| {
            slots.iter().for_each(|(number, slot)| assert_eq!(arena.get(*slot), record(*number)));
        };
        check(&arena, &slots);
        slots.retain(|(number, slot)| {
            let kept = number % 2 == 0;
            if !kept {
                arena.remove(*slot);
            }
            kept
        });
        arena.compact(slots.iter_mut().map(|(_, slot)| slot));
        let kept: usize = slots.iter().map(|(number, _)| record(*number).len()).sum();
        assert_eq!(arena.octets_kept(), kept);
        check(&arena, &slots);
    }

    #[test]
    fn one_piece_of_memory_is_kept_and_small_ones_are_not() {
        let mut arena = Arena::default();
        assert_eq!(arena.take_memory(vec![1; 100]), Some(vec![1; 100]));
        assert_eq!(arena.take_memory(vec![1; CHUNK_LEN]), None);
        assert!(arena.take_memory(vec![1; CHUNK_LEN]).is_some());
    }
}
