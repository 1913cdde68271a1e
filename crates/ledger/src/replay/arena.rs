//! Octets of many records in one piece of memory, with their removal counted and, when it pays, made good.

/// A growing run of octets.
#[derive(Debug, Default)]
pub(super) struct Arena {
    octets: Vec<u8>,
    /// Octets that no slot names any more.
    removed: usize,
}

/// Some octets in an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    at: u64,
    len: u16,
}

impl Arena {
    /// Below this an arena is never worth compacting.
    const REMOVED_LEAST: usize = 16 << 20;

    pub(super) fn insert(&mut self, octets: &[u8]) -> Slot {
        let slot =
            Slot { at: self.octets.len() as u64, len: u16::try_from(octets.len()).expect("a record ends below 2^12") };
        self.octets.extend_from_slice(octets);
        slot
    }

    pub(super) fn get(&self, slot: Slot) -> &[u8] {
        let at = usize::try_from(slot.at).expect("it is in memory");
        &self.octets[at..at + usize::from(slot.len)]
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        self.removed += usize::from(slot.len);
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
