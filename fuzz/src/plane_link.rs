//! A plane that writes any word of its memory at any time: the header, the positions, the records, the verdict ring, the
//! counters. The engine opens the memory or refuses it by name, reads events or closes the link, never reads on for ever,
//! and says verdicts while the plane moves what it claims to have read.
//!
//! The input is a list of steps of ten octets: what is written or done, where, and a value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::counters::CounterSlot;
use model::ids::PlaneIndex;
use model::verdict::{Reason, Sentence, Verdict};
use plane::layout::{CONSUMED, Layout, PAGE_BYTES, RECORD_BYTES, RING_CONTROL_BYTES};
use plane::region::Memory;
use plane::{EventScratch, Geometry, Next, PlaneReader, Region};

const RECORDS: u64 = 16;
const GEOMETRY: Geometry = Geometry { rings: 2, records: RECORDS as u32, slots: 4, dual_stack: true, verdicts: 16 };
const EPOCH: u64 = 1;
const WORD: usize = 8;
const STEP_BYTES: usize = 10;
/// Words of a ring of events.
const RING_WORDS: usize = (RING_CONTROL_BYTES + RECORDS as usize * RECORD_BYTES) / WORD;

type Words = Arc<[AtomicU64]>;

fn memory() -> Words {
    let bytes = Layout::new(GEOMETRY, EPOCH).expect("within bounds").bytes();
    let words: Words = (0..bytes / WORD).map(|_| AtomicU64::new(0)).collect();
    Memory::format(Arc::clone(&words), GEOMETRY, EPOCH).expect("long enough");
    words
}

/// The engine's half, as long as the link stands.
struct Engine {
    region: Arc<Region<Words>>,
    readers: Vec<PlaneReader<Words>>,
    scratch: EventScratch,
}

impl Engine {
    fn open(words: &Words) -> Option<Engine> {
        let region = Region::open(Arc::clone(words), EPOCH, 2).ok()?;
        let readers = (0..2).filter_map(|shard| region.reader(shard)).collect();
        Some(Engine { region, readers, scratch: EventScratch::default() })
    }

    /// Reads what there is, and takes it over. False: the link is closed.
    fn read(&mut self) -> bool {
        for (shard, reader) in (0u64..).zip(&mut self.readers) {
            for ring in reader.rings_mut() {
                // At most a ring full was produced, and each step leads on.
                for _ in 0..=RECORDS {
                    let before = ring.cursor();
                    match ring.next_event(&mut self.scratch, |hash| hash % 2 == shard) {
                        Ok(Next::Nothing) => break,
                        Ok(Next::Event(_) | Next::Refused(_)) => assert!(ring.cursor() > before),
                        Err(_) => return false,
                    }
                }
                ring.publish_consumed(ring.cursor());
            }
            let _ = reader.about_to_sleep(true);
            reader.awake();
        }
        true
    }

    fn say(&self, session: &[u8]) -> bool {
        let (sentence, reason) = (Sentence::Admit, Reason::Opened);
        let verdict = Verdict { plane: PlaneIndex(0), session, counters: CounterSlot::default(), sentence, reason };
        !matches!(self.region.verdicts().push(&verdict), Err(plane::VerdictError::Hostile))
    }
}

/// Runs it on one input.
pub fn check(input: &[u8]) {
    let words = memory();
    let mut engine = Engine::open(&words);
    for step in input.chunks_exact(STEP_BYTES) {
        let (what, place) = (step[0], usize::from(step[1]));
        let value = step[2..].try_into().map(u64::from_le_bytes).expect("eight octets are left");
        let ring = PAGE_BYTES / WORD + usize::from(what & 1) * RING_WORDS;
        let verdicts = PAGE_BYTES / WORD + 2 * RING_WORDS;
        match what >> 1 & 7 {
            0 => words[place % 16].store(value, Ordering::Relaxed),
            1 => words[ring].store(value, Ordering::Relaxed),
            2 => words[ring + CONSUMED / WORD].store(value, Ordering::Relaxed),
            3 => words[verdicts + CONSUMED / WORD].store(value, Ordering::Relaxed),
            4 => words[(place << 8 | usize::from(step[2])) % words.len()].store(value, Ordering::Relaxed),
            // As an honest plane: so many records more.
            5 => drop(words[ring].fetch_add(value % (RECORDS + 1), Ordering::Relaxed)),
            6 => {
                let session = &step[..place % STEP_BYTES];
                if engine.as_ref().is_some_and(|engine| !engine.say(session)) {
                    engine = None;
                }
            }
            _ if engine.is_none() => engine = Engine::open(&words),
            _ => {
                if engine.as_mut().is_some_and(|engine| !engine.read()) {
                    engine = None;
                }
                if let Some(engine) = &engine {
                    let slot = CounterSlot { slot: u32::from(step[1]), generation: step[2].into() };
                    let _ = engine.region.counters().read(slot);
                }
            }
        }
    }
}
