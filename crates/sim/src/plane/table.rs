//! The counters of one memory, kept and read as a plane and an engine do: the same table, with the same rules of whose a slot is.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use model::counters::{CounterSlot, Counters};
use plane::region::Memory;
use plane::{CounterTable, CounterWriter, Geometry, Region};

type Words = Arc<[AtomicU64]>;

/// Octets before the counters: the header, one event ring and the verdict ring, both as small as they may be.
const BEFORE_COUNTERS: usize = 32 << 10;
/// Octets of a slot of two families.
const SLOT: usize = 128;

/// A plane's counters.
pub(super) struct Table {
    writer: CounterWriter<Words>,
    reader: CounterTable<Words>,
}

impl Table {
    /// A fresh memory with so many slots. Its generations begin at another number than those of the memory before.
    pub(super) fn new(epoch: u64, slots: usize) -> Table {
        let slots = u32::try_from(slots).unwrap_or(u32::MAX);
        let geometry = Geometry { rings: 1, records: 16, slots, dual_stack: true, verdicts: 16 };
        let octets = BEFORE_COUNTERS + slots as usize * SLOT;
        let words: Words = (0..octets / size_of::<AtomicU64>()).map(|_| AtomicU64::new(0)).collect();
        let epoch = (epoch & 0xf_ffff) << 44 | 1;
        let memory = Memory::format(Arc::clone(&words), geometry, epoch).expect("a memory of this size");
        let region = Region::open(words, epoch, 1).expect("what was formatted is opened");
        Table { writer: CounterWriter::new(Arc::new(memory)), reader: region.counters() }
    }

    /// Gives a slot to a session: its counters are zero, and its generation is one that the slot never had.
    pub(super) fn renew(&self, slot: usize) -> CounterSlot {
        let slot = u32::try_from(slot).ok().and_then(|slot| self.writer.renew(slot));
        slot.expect("a plane has slots for all of its subscribers")
    }

    /// Takes a slot from its session.
    pub(super) fn free(&self, slot: u32) {
        self.writer.free(slot);
    }

    /// A session has counted so much.
    pub(super) fn store(&self, slot: CounterSlot, counters: Counters) {
        self.writer.store(slot, counters);
    }

    /// What an engine reads.
    pub(super) fn read(&self, slot: CounterSlot) -> Option<Counters> {
        self.reader.read(slot)
    }
}
