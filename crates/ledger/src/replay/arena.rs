//! Octets of many records in one piece of memory, with their removal counted and, when it pays, made good.

use std::hint::black_box;
use std::num::NonZeroU64;

/// A growing run of octets.
#[derive(Debug, Default)]
pub(super) struct Arena {
    octets: Vec<u8>,
    /// Octets that no slot names any more.
    removed: usize,
}

/// Some octets in an arena, at least one: where in the high 48 bits, how many in the low 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(NonZeroU64);

impl Slot {
    fn new(at: usize, len: usize) -> Slot {
        let len = u16::try_from(len).expect("a record ends below 2^12");
        NonZeroU64::new((at as u64) << 16 | u64::from(len)).map(Slot).expect("a record has a kind")
    }

    fn range(self) -> std::ops::Range<usize> {
        let at = usize::try_from(self.0.get() >> 16).expect("it is in memory");
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
        let slot = Slot::new(self.octets.len(), octets.len());
        self.octets.extend_from_slice(octets);
        slot
    }

    /// Puts octets in the place of others, where they are if they are as many.
    pub(super) fn replace(&mut self, slot: &mut Option<Slot>, octets: &[u8]) {
        match *slot {
            Some(old) if old.len() == octets.len() => self.octets[old.range()].copy_from_slice(octets),
            old => {
                old.into_iter().for_each(|old| self.remove(old));
                *slot = Some(self.insert(octets));
            }
        }
    }

    pub(super) fn get(&self, slot: Slot) -> &[u8] {
        &self.octets[slot.range()]
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
    pub(super) fn len(&self) -> usize {
        self.octets.len()
    }

    /// Whether more than half is not named any more.
    pub(super) fn is_sparse(&self) -> bool {
        self.removed >= Arena::REMOVED_LEAST && self.removed > self.octets.len() / 2
    }

    /// Keeps what `slots`, which must be all of them, name.
    pub(super) fn compact<'a>(&mut self, slots: impl Iterator<Item = &'a mut Slot>) {
        let kept = Arena { octets: Vec::with_capacity(self.octets.len() - self.removed), removed: 0 };
        let old = std::mem::replace(self, kept);
        for slot in slots {
            *slot = self.insert(old.get(*slot));
        }
    }
}
