//! Octet counters, kept by the plane and read by the engine in place.
//!
//! A slot's generation says whose counters it holds; 0 says nobody's. The plane changes it like this:
//!
//! ```text
//!   generation = 0 │ fence │ totals = 0 │ release │ generation = the next one
//! ```
//!
//! and the engine reads generation, totals, fence, generation: only when both are the session's own are the totals its
//! own. Totals are plain aligned 64-bit stores, each whole; octets and packets of one moment may differ by a few packets.

use std::sync::Arc;

use lanes::prefetch;
use lanes::sync::{AtomicU64, Ordering, fence};
use model::counters::{CounterSlot, CounterSource, Counters, Totals};
use model::ids::PlaneIndex;

use crate::region::Memory;

/// The engine's view of a plane's counters.
#[derive(Debug)]
pub struct CounterTable<M> {
    memory: Arc<Memory<M>>,
}

impl<M> Clone for CounterTable<M> {
    fn clone(&self) -> CounterTable<M> {
        CounterTable { memory: Arc::clone(&self.memory) }
    }
}

impl<M: AsRef<[AtomicU64]>> CounterTable<M> {
    pub(crate) fn new(memory: Arc<Memory<M>>) -> CounterTable<M> {
        CounterTable { memory }
    }

    /// What the slot holds, or `None` when there is no such slot or it carries another generation.
    #[inline]
    pub fn read(&self, slot: CounterSlot) -> Option<Counters> {
        let at = self.memory.layout().counter_slot(slot.slot)?;
        let words = &self.memory.words()[at..];
        let is_ours = |order: Ordering| low(words[0].load(order)) == slot.generation;
        if slot.generation == 0 || !is_ours(Ordering::Acquire) {
            return None;
        }
        let v4 = load(&words[V4..]);
        let v6 = if self.memory.layout().geometry.dual_stack { load(&words[V6..]) } else { Totals::default() };
        // Acquire: a total of the next owner cannot be seen above without its generation being seen below.
        fence(Ordering::Acquire);
        is_ours(Ordering::Relaxed).then_some(Counters { v4, v6 })
    }

    /// Asks for the memory of a slot that will be read soon.
    #[inline]
    pub fn prefetch(&self, slot: CounterSlot) {
        let Some(at) = self.memory.layout().counter_slot(slot.slot) else { return };
        let words = &self.memory.words()[at..];
        prefetch::read(&words[0]);
        if self.memory.layout().geometry.dual_stack {
            prefetch::read(&words[V6]);
        }
    }
}

/// The tables of all linked planes, by their numbers.
#[derive(Debug)]
pub struct CounterTables<M> {
    tables: Vec<Option<CounterTable<M>>>,
}

impl<M> Default for CounterTables<M> {
    fn default() -> CounterTables<M> {
        CounterTables { tables: Vec::new() }
    }
}

impl<M> CounterTables<M> {
    /// A plane's table came, or went with `None`.
    pub fn set(&mut self, plane: PlaneIndex, table: Option<CounterTable<M>>) {
        let index = usize::from(plane.0);
        if self.tables.len() <= index {
            self.tables.resize_with(index + 1, || None);
        }
        self.tables[index] = table;
    }
}

impl<M: AsRef<[AtomicU64]>> CounterSource for CounterTables<M> {
    fn read(&self, plane: PlaneIndex, slot: CounterSlot) -> Option<Counters> {
        self.tables.get(usize::from(plane.0))?.as_ref()?.read(slot)
    }

    fn prefetch(&self, plane: PlaneIndex, slot: CounterSlot) {
        if let Some(Some(table)) = self.tables.get(usize::from(plane.0)) {
            table.prefetch(slot);
        }
    }
}

/// The plane's side. A slot has one writer at a time; different slots may have different threads.
#[derive(Debug)]
pub struct CounterWriter<M> {
    memory: Arc<Memory<M>>,
}

impl<M> Clone for CounterWriter<M> {
    fn clone(&self) -> CounterWriter<M> {
        CounterWriter { memory: Arc::clone(&self.memory) }
    }
}

impl<M: AsRef<[AtomicU64]>> CounterWriter<M> {
    /// A writer on this memory.
    pub fn new(memory: Arc<Memory<M>>) -> CounterWriter<M> {
        CounterWriter { memory }
    }

    /// Gives a slot to a session, or a new generation to the session that has it: all totals are zero, and the
    /// generation is one that the slot did not have before. `None`: there is no such slot.
    pub fn renew(&self, slot: u32) -> Option<CounterSlot> {
        let words = self.slot(slot)?;
        let last = high(words[0].load(Ordering::Relaxed));
        // A memory's generations begin at a number that depends on its epoch, so that a slot of a plane that lost its
        // memory is not taken for the slot of before.
        let last = if last == 0 { high(self.memory.layout().epoch) } else { last };
        let generation = last.checked_add(1).unwrap_or(1);
        self.free(slot);
        for word in &words[V4..=self.totals()] {
            word.store(0, Ordering::Relaxed);
        }
        words[0].store(u64::from(generation) << 32 | u64::from(generation), Ordering::Release);
        Some(CounterSlot { slot, generation })
    }

    /// Has the engine read a slot whose session counted in an earlier memory, under the generation of then: the totals are
    /// there before the generation is.
    pub fn publish(&self, slot: CounterSlot, counters: Counters) {
        let Some(words) = self.slot(slot.slot) else { return };
        self.free(slot.slot);
        self.store(slot, counters);
        words[0].store(u64::from(slot.generation) << 32 | u64::from(slot.generation), Ordering::Release);
    }

    /// Takes a slot from its session. The slot may be given away again at once.
    pub fn free(&self, slot: u32) {
        if let Some(words) = self.slot(slot) {
            let last = words[0].load(Ordering::Relaxed) & !u64::from(u32::MAX);
            words[0].store(last, Ordering::Relaxed);
            // Release: whoever sees a total that is stored from now on sees the generation gone.
            fence(Ordering::Release);
        }
    }

    /// Whether a slot has no session.
    pub fn is_free(&self, slot: u32) -> bool {
        self.slot(slot).is_some_and(|words| low(words[0].load(Ordering::Relaxed)) == 0)
    }

    /// Puts a session's totals into its slot. In a memory that does not tell families apart they are summed.
    #[inline]
    pub fn store(&self, slot: CounterSlot, counters: Counters) {
        let Some(words) = self.slot(slot.slot) else { return };
        if self.memory.layout().geometry.dual_stack {
            store(&words[V4..], counters.v4);
            store(&words[V6..], counters.v6);
        } else {
            store(&words[V4..], counters.v4.plus(counters.v6));
        }
    }

    fn slot(&self, slot: u32) -> Option<&[AtomicU64]> {
        self.memory.layout().counter_slot(slot).map(|at| &self.memory.words()[at..])
    }

    /// The last word of a slot that holds a total.
    fn totals(&self) -> usize {
        if self.memory.layout().geometry.dual_stack { V6 + 3 } else { V4 + 3 }
    }
}

/// The word of a slot where the first family's totals begin.
const V4: usize = 1;

/// The word of a slot where the second family's totals begin.
const V6: usize = 5;

#[inline]
fn load(words: &[AtomicU64]) -> Totals {
    let total = |at: usize| words[at].load(Ordering::Relaxed);
    Totals { in_octets: total(0), in_packets: total(1), out_octets: total(2), out_packets: total(3) }
}

#[inline]
fn store(words: &[AtomicU64], totals: Totals) {
    let Totals { in_octets, in_packets, out_octets, out_packets } = totals;
    for (word, total) in words.iter().zip([in_octets, in_packets, out_octets, out_packets]) {
        word.store(total, Ordering::Relaxed);
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low half")]
const fn low(word: u64) -> u32 {
    word as u32
}

#[inline]
const fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::layout::{Geometry, Layout};
    use crate::words::WORD;

    fn table(dual_stack: bool) -> (CounterWriter<Vec<AtomicU64>>, CounterTable<Vec<AtomicU64>>) {
        let geometry = Geometry { rings: 1, records: 16, slots: 4, dual_stack, verdicts: 16 };
        let bytes = Layout::new(geometry, 5).unwrap().bytes();
        let words = (0..bytes / WORD).map(|_| AtomicU64::new(0)).collect();
        let memory = Arc::new(Memory::format(words, geometry, 0x77_0000_0005).unwrap());
        (CounterWriter::new(Arc::clone(&memory)), CounterTable::new(memory))
    }

    fn counters(seed: u64) -> Counters {
        let totals =
            |from| Totals { in_octets: from, in_packets: from + 1, out_octets: from + 2, out_packets: from + 3 };
        Counters { v4: totals(seed), v6: totals(seed * 10) }
    }

    #[test]
    fn both_families_are_read_as_stored() {
        let (writer, table) = table(true);
        let (one, other) = (writer.renew(0).unwrap(), writer.renew(3).unwrap());
        writer.store(one, counters(100));
        writer.store(other, counters(200));
        assert_eq!(table.read(one), Some(counters(100)));
        assert_eq!(table.read(other), Some(counters(200)));
    }

    #[test]
    fn without_families_the_sum_is_read() {
        let (writer, table) = table(false);
        let slot = writer.renew(1).unwrap();
        writer.store(slot, counters(100));
        let sum = counters(100).v4.plus(counters(100).v6);
        assert_eq!(table.read(slot), Some(Counters { v4: sum, v6: Totals::default() }));
    }

    #[test]
    fn a_slot_is_read_only_in_its_generation() {
        let (writer, table) = table(true);
        let before = writer.renew(2).unwrap();
        writer.store(before, counters(1));
        let after = writer.renew(2).unwrap();
        assert_eq!((table.read(before), table.read(after)), (None, Some(Counters::ZERO)));
        assert!(!writer.is_free(2));
        writer.free(2);
        assert!(writer.is_free(2));
        assert_eq!(table.read(after), None);
        assert_eq!(table.read(CounterSlot { slot: 2, generation: 0 }), None);
        assert_ne!(writer.renew(2).unwrap().generation, after.generation);
    }

    #[test]
    fn a_slot_of_an_earlier_memory_is_read_once_its_totals_are_published() {
        let (writer, table) = table(true);
        let slot = CounterSlot { slot: 1, generation: 77 };
        assert_eq!(table.read(slot), None);
        writer.publish(slot, counters(9));
        assert_eq!(table.read(slot), Some(counters(9)));
        writer.store(slot, counters(10));
        assert_eq!(table.read(slot), Some(counters(10)));
        assert_ne!(writer.renew(1).unwrap().generation, slot.generation);
        assert_eq!(table.read(slot), None);
    }

    #[test]
    fn a_slot_that_is_not_there_is_nobody_s() {
        let (writer, table) = table(true);
        assert_eq!(writer.renew(4), None);
        assert_eq!(table.read(CounterSlot { slot: 4, generation: 1 }), None);
        assert_eq!(table.read(CounterSlot { slot: u32::MAX, generation: 1 }), None);
    }

    #[test]
    fn tables_are_found_by_plane() {
        let (writer, one) = table(true);
        let slot = writer.renew(0).unwrap();
        writer.store(slot, counters(7));
        let mut tables = CounterTables::default();
        tables.set(PlaneIndex(3), Some(one));
        assert_eq!(tables.read(PlaneIndex(3), slot), Some(counters(7)));
        assert_eq!(tables.read(PlaneIndex(2), slot), None);
        assert_eq!(tables.read(PlaneIndex(4), slot), None);
        tables.set(PlaneIndex(3), None);
        assert_eq!(tables.read(PlaneIndex(3), slot), None);
    }
}
