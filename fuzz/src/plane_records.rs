//! Any octets as the records of an event ring: whatever a hostile plane writes, the engine reads on, names what it
//! refuses, and never reads behind what was produced. The first octet says how many records were produced.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use plane::layout::{Layout, PAGE_BYTES, RECORD_BYTES, RING_CONTROL_BYTES};
use plane::region::Memory;
use plane::{EventScratch, Geometry, Next, Region};

const RECORDS: u32 = 32;
const GEOMETRY: Geometry = Geometry { rings: 1, records: RECORDS, slots: 1, dual_stack: true, verdicts: 16 };
const EPOCH: u64 = 1;
const WORD: usize = 8;

/// A plane's memory with these octets in its ring.
fn memory(records: &[u8], produced: u64) -> Arc<[AtomicU64]> {
    let bytes = Layout::new(GEOMETRY, EPOCH).expect("within bounds").bytes();
    let words: Arc<[AtomicU64]> = (0..bytes / WORD).map(|_| AtomicU64::new(0)).collect();
    Memory::format(Arc::clone(&words), GEOMETRY, EPOCH).expect("long enough");
    let first = (PAGE_BYTES + RING_CONTROL_BYTES) / WORD;
    let ring = &words[first..first + RECORDS as usize * RECORD_BYTES / WORD];
    for (word, octets) in ring.iter().zip(records.chunks(WORD)) {
        let mut value = [0; WORD];
        value[..octets.len()].copy_from_slice(octets);
        word.store(u64::from_le_bytes(value), Ordering::Relaxed);
    }
    words[PAGE_BYTES / WORD].store(produced, Ordering::Relaxed);
    words
}

/// Runs it on one input.
pub fn check(input: &[u8]) {
    let Some((produced, records)) = input.split_first() else { return };
    let produced = u64::from(*produced) % u64::from(RECORDS + 1);
    let region = Region::open(memory(records, produced), EPOCH, 1).expect("a good header and good positions");
    let mut reader = region.reader(0).expect("the only reader");
    let mut scratch = EventScratch::default();
    let ring = &mut reader.rings_mut()[0];
    loop {
        let before = ring.cursor();
        let (position, end) = match ring.next_event(&mut scratch, |_| true).expect("positions are good") {
            Next::Event(delivery) => (delivery.position, delivery.end),
            Next::Refused(refused) => (refused.position, refused.end),
            Next::Nothing => break,
        };
        assert!(position == before && position < end && end <= produced);
    }
    assert_eq!(ring.cursor(), produced);
}
