//! Where everything stands in a plane's memory. `include/tollgate_plane.h` says the same in C, and a test compares them.
//!
//! ```text
//!      0 ┌───────────────────────────────────────────────────────────────────────────────────────────┐
//!        │ header, 64-bit little-endian words                                                        │
//!        │    0 magic "TOLLGATE"       8 version             16 plane epoch      24 region octets    │
//!        │   32 event rings           40 records per ring    48 counter slots    56 octets per slot  │
//!        │   64 verdict records       72 hash (1: FNV-1a-64) 80 offset of rings  88 octets per ring  │
//!        │   96 offset of verdicts   104 offset of counters  112… zero                               │
//!        │ 1024 engine waiting: a bit per shard   1032 engine wants verdict room                     │
//!        │ 1152 plane waiting                                                                        │
//!   4096 ├───────────────────────────────────────────────────────────────────────────────────────────┤
//!        │ event ring 0      0 produced (the plane's)                                                │
//!        │                 128 consumed (the engine's)                                               │
//!        │                 256 records of 256 octets                                                 │
//!        ├─ … event ring N ──────────────────────────────────────────────────────────────────────────┤
//!        │ verdict ring    128 consumed (the plane's)                                                │
//!        │                 256 records of 128 octets                                                 │
//!        ├───────────────────────────────────────────────────────── at a multiple of 4096 ───────────┤
//!        │ counter slots of 64 octets (one address family) or 128 (two)                              │
//!        │    0 generation, 0 = free (low half); the last one used (high half)                       │
//!        │    8 in octets   16 in packets   24 out octets   32 out packets       v4, or both         │
//!        │   40 in octets   48 in packets   56 out octets   64 out packets       v6                  │
//!        └───────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The plane writes the header once, before it shows the memory to anybody. Positions (`produced`, `consumed`) count
//! records since the memory was made; the record at position *p* stands at *p* modulo the ring's size. Record formats
//! are drawn in [`record`](crate::record) and [`verdict_ring`](crate::verdict_ring).
//!
//! The engine believes five numbers of the header, within their ranges, and computes the rest.

use std::fmt;

use lanes::sync::{AtomicU64, Ordering};

use crate::words::WORD;

/// The one version of the link that this build speaks: the memory's layout, the records and the handshake.
pub const VERSION: u32 = 1;

/// The first word of the memory, `TOLLGATE`.
pub const MAGIC: u64 = u64::from_le_bytes(*b"TOLLGATE");

/// The hash of session names: 64-bit FNV-1a.
pub const HASH_FNV1A: u64 = 1;

/// Octets of the header, and what the counter table is aligned to.
pub const PAGE_BYTES: usize = 4096;

/// Octets of an event record.
pub const RECORD_BYTES: usize = 256;

/// Octets of a verdict record.
pub const VERDICT_BYTES: usize = 128;

/// Octets before the first record of a ring.
pub const RING_CONTROL_BYTES: usize = 256;

/// Where a ring's producer position stands in its control octets.
pub const PRODUCED: usize = 0;

/// Where a ring's consumer position stands in its control octets.
pub const CONSUMED: usize = 128;

/// Where the shards say that they sleep.
pub const ENGINE_WAITING: usize = 1024;

/// Where the engine says that it has verdicts which found no room.
pub const ENGINE_WANTS_ROOM: usize = ENGINE_WAITING + WORD;

/// Where the plane says that it sleeps.
pub const PLANE_WAITING: usize = 1152;

/// The most event rings, which are plane workers.
pub const RINGS_MAX: u32 = 64;

/// The fewest records of an event ring: the longest event.
pub const RECORDS_MIN: u32 = 16;

/// The most records of an event ring and of a verdict ring.
pub const RECORDS_MAX: u32 = 1 << 20;

/// The most counter slots.
pub const SLOTS_MAX: u32 = 1 << 24;

/// The most readers of a plane's events, which are shards.
pub const READERS_MAX: u16 = 64;

/// A position that no honest ring reaches: a billion records a second for 292 years.
pub const POSITION_MAX: u64 = 1 << 63;

/// The few numbers that a plane chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Event rings, one per plane worker, 1–64.
    pub rings: u32,
    /// Records of each event ring, a power of two, 16–1,048,576.
    pub records: u32,
    /// Counter slots, 1–16,777,216.
    pub slots: u32,
    /// Whether the slots tell IPv4 and IPv6 apart, and take 128 octets instead of 64.
    pub dual_stack: bool,
    /// Records of the verdict ring, a power of two, 16–1,048,576.
    pub verdicts: u32,
}

/// Why a plane's memory is not, or no longer, believed. The link is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// The memory does not begin as a plane's memory does.
    Magic,
    /// The memory has another version.
    Version {
        /// What the plane speaks.
        plane: u64,
        /// What this engine speaks.
        engine: u32,
    },
    /// The memory's epoch is 0, or not the one that HELLO said.
    Epoch,
    /// A number is outside its range, or an offset is not what the numbers give.
    Geometry,
    /// The memory is shorter than its numbers need.
    Short,
    /// A position moved in a way that no honest plane's does.
    HostileIndex,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Magic => f.write_str("not a packet plane's memory"),
            LinkError::Version { plane, engine } => {
                write!(f, "the plane speaks version {plane} of the link, this engine version {engine}")
            }
            LinkError::Epoch => f.write_str("the memory's epoch is not the plane's"),
            LinkError::Geometry => f.write_str("a number in the memory's header is out of range"),
            LinkError::Short => f.write_str("the memory is shorter than its header says"),
            LinkError::HostileIndex => f.write_str("a ring position moved as none can"),
        }
    }
}

impl std::error::Error for LinkError {}

/// Where the parts stand, in words from the beginning of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The numbers that everything is computed from.
    pub geometry: Geometry,
    /// Random per memory, never 0.
    pub epoch: u64,
    rings: usize,
    ring_stride: usize,
    verdicts: usize,
    counters: usize,
    slot_stride: usize,
    total: usize,
}

/// Where one ring stands, in words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingPlace {
    pub(crate) produced: usize,
    pub(crate) consumed: usize,
    pub(crate) first_record: usize,
    pub(crate) record_words: usize,
    /// A power of two.
    pub(crate) records: u64,
}

impl RingPlace {
    /// How often the ring was filled before `position`, in the 16 bits that a head word carries.
    #[inline]
    pub(crate) fn lap(&self, position: u64) -> u16 {
        let [low, high, ..] = (position >> self.records.trailing_zeros()).to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// The first word of the record at `position`.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "masked to less than the number of records, a u32")]
    pub(crate) fn record(&self, position: u64) -> usize {
        self.first_record + (position & (self.records - 1)) as usize * self.record_words
    }
}

impl Layout {
    /// Computes every place from the numbers.
    ///
    /// # Errors
    ///
    /// [`LinkError::Geometry`] when a number is outside its range, [`LinkError::Epoch`] when the epoch is 0.
    pub fn new(geometry: Geometry, epoch: u64) -> Result<Layout, LinkError> {
        geometry.check()?;
        if epoch == 0 {
            return Err(LinkError::Epoch);
        }
        // The ranges keep the sum below 2³⁵.
        let rings = PAGE_BYTES;
        let ring_stride = RING_CONTROL_BYTES + geometry.records as usize * RECORD_BYTES;
        let verdicts = rings + geometry.rings as usize * ring_stride;
        let verdicts_end = verdicts + RING_CONTROL_BYTES + geometry.verdicts as usize * VERDICT_BYTES;
        let counters = verdicts_end.next_multiple_of(PAGE_BYTES);
        let slot_stride = geometry.slot_bytes();
        let total = (counters + geometry.slots as usize * slot_stride).next_multiple_of(PAGE_BYTES);
        Ok(Layout {
            geometry,
            epoch,
            rings: rings / WORD,
            ring_stride: ring_stride / WORD,
            verdicts: verdicts / WORD,
            counters: counters / WORD,
            slot_stride: slot_stride / WORD,
            total: total / WORD,
        })
    }

    /// Reads a header once, word by word, and believes its five numbers if all the rest agrees with them.
    ///
    /// # Errors
    ///
    /// Any [`LinkError`] but `HostileIndex`.
    pub fn read(words: &[AtomicU64]) -> Result<Layout, LinkError> {
        let Some(header) = words.get(..PAGE_BYTES / WORD) else { return Err(LinkError::Short) };
        let mut copy = [0; HEADER_WORDS];
        for (place, word) in copy.iter_mut().zip(header) {
            *place = word.load(Ordering::Relaxed);
        }
        let [magic, version, epoch, _, rings, records, slots, slot_bytes, verdicts, ..] = copy;
        if magic != MAGIC {
            return Err(LinkError::Magic);
        }
        if version != u64::from(VERSION) {
            return Err(LinkError::Version { plane: version, engine: VERSION });
        }
        let narrow = |number: u64| u32::try_from(number).map_err(|_| LinkError::Geometry);
        let geometry = Geometry {
            rings: narrow(rings)?,
            records: narrow(records)?,
            slots: narrow(slots)?,
            dual_stack: slot_bytes == DUAL_SLOT_BYTES as u64,
            verdicts: narrow(verdicts)?,
        };
        let layout = Layout::new(geometry, epoch)?;
        if layout.header() != copy {
            return Err(LinkError::Geometry);
        }
        if words.len() < layout.total {
            return Err(LinkError::Short);
        }
        Ok(layout)
    }

    /// Writes the header into a fresh memory; the magic last.
    ///
    /// # Errors
    ///
    /// [`LinkError::Short`] when the memory has fewer octets than [`bytes`](Self::bytes).
    pub fn write(&self, words: &[AtomicU64]) -> Result<(), LinkError> {
        if words.len() < self.total {
            return Err(LinkError::Short);
        }
        for (word, value) in words.iter().zip(self.header()).rev() {
            word.store(value, Ordering::Release);
        }
        Ok(())
    }

    /// Octets of the whole memory.
    pub const fn bytes(&self) -> usize {
        self.total * WORD
    }

    /// The words of the header that mean something.
    fn header(&self) -> [u64; HEADER_WORDS] {
        let Geometry { rings, records, slots, verdicts, .. } = self.geometry;
        let octets = |words: usize| (words * WORD) as u64;
        [
            MAGIC,
            u64::from(VERSION),
            self.epoch,
            octets(self.total),
            u64::from(rings),
            u64::from(records),
            u64::from(slots),
            octets(self.slot_stride),
            u64::from(verdicts),
            HASH_FNV1A,
            octets(self.rings),
            octets(self.ring_stride),
            octets(self.verdicts),
            octets(self.counters),
        ]
    }

    pub(crate) fn event_ring(&self, ring: u16) -> RingPlace {
        assert!(u32::from(ring) < self.geometry.rings, "a ring that the memory does not have");
        self.ring(self.rings + usize::from(ring) * self.ring_stride, RECORD_BYTES, self.geometry.records)
    }

    pub(crate) fn verdict_ring(&self) -> RingPlace {
        self.ring(self.verdicts, VERDICT_BYTES, self.geometry.verdicts)
    }

    fn ring(&self, control: usize, record_bytes: usize, records: u32) -> RingPlace {
        RingPlace {
            produced: control + PRODUCED / WORD,
            consumed: control + CONSUMED / WORD,
            first_record: control + RING_CONTROL_BYTES / WORD,
            record_words: record_bytes / WORD,
            records: u64::from(records),
        }
    }

    /// The first word of a counter slot, if there is such a slot.
    #[inline]
    pub(crate) fn counter_slot(&self, slot: u32) -> Option<usize> {
        (slot < self.geometry.slots).then(|| self.counters + slot as usize * self.slot_stride)
    }
}

/// Octets of a slot that tells no families apart.
const SINGLE_SLOT_BYTES: usize = 64;

/// Octets of a slot for IPv4 and IPv6.
const DUAL_SLOT_BYTES: usize = 128;

/// Words of the header that mean something.
const HEADER_WORDS: usize = 14;

impl Geometry {
    /// Octets of a counter slot: one or two cache lines.
    pub const fn slot_bytes(&self) -> usize {
        if self.dual_stack { DUAL_SLOT_BYTES } else { SINGLE_SLOT_BYTES }
    }

    fn check(&self) -> Result<(), LinkError> {
        let ring = |records: u32| records.is_power_of_two() && (RECORDS_MIN..=RECORDS_MAX).contains(&records);
        let good = (1..=RINGS_MAX).contains(&self.rings)
            && ring(self.records)
            && (1..=SLOTS_MAX).contains(&self.slots)
            && ring(self.verdicts);
        if good { Ok(()) } else { Err(LinkError::Geometry) }
    }
}

const _: () = {
    assert!(HEADER_WORDS * WORD <= ENGINE_WAITING && PLANE_WAITING + WORD <= PAGE_BYTES);
    assert!(PAGE_BYTES.is_multiple_of(RECORD_BYTES) && RING_CONTROL_BYTES.is_multiple_of(RECORD_BYTES));
    assert!(CONSUMED - PRODUCED >= 128 && PLANE_WAITING - ENGINE_WAITING >= 128, "no line has two writers");
};

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    const SMALL: Geometry = Geometry { rings: 2, records: 16, slots: 10, dual_stack: true, verdicts: 16 };

    fn memory(layout: &Layout) -> Vec<AtomicU64> {
        let words: Vec<AtomicU64> = (0..layout.bytes() / WORD).map(|_| AtomicU64::new(0)).collect();
        layout.write(&words).unwrap();
        words
    }

    #[test]
    fn what_was_written_is_read() {
        let layout = Layout::new(SMALL, 77).unwrap();
        assert_eq!(Layout::read(&memory(&layout)), Ok(layout));
    }

    #[test]
    fn parts_follow_each_other_without_overlap() {
        let layout = Layout::new(SMALL, 77).unwrap();
        let ring = layout.event_ring(1);
        assert_eq!(layout.event_ring(0).record(15) + ring.record_words, ring.produced);
        assert_eq!(ring.record(31) + ring.record_words, layout.verdict_ring().produced);
        let verdicts = layout.verdict_ring();
        assert!(verdicts.record(15) + verdicts.record_words <= layout.counter_slot(0).unwrap());
        assert!(layout.counter_slot(9).unwrap() + 16 <= layout.total);
        assert_eq!(layout.counter_slot(10), None);
    }

    #[test]
    fn every_wrong_number_of_a_header_is_refused() {
        let layout = Layout::new(SMALL, 77).unwrap();
        for (word, value, error) in [
            (0, 0, LinkError::Magic),
            (1, 2, LinkError::Version { plane: 2, engine: VERSION }),
            (2, 0, LinkError::Epoch),
            (3, 1 << 40, LinkError::Geometry),
            (4, 0, LinkError::Geometry),
            (4, 65, LinkError::Geometry),
            (4, 1 << 32 | 2, LinkError::Geometry),
            (5, 8, LinkError::Geometry),
            (5, 24, LinkError::Geometry),
            (5, 1 << 21, LinkError::Geometry),
            (6, 0, LinkError::Geometry),
            (6, u64::MAX, LinkError::Geometry),
            (7, 96, LinkError::Geometry),
            (8, 17, LinkError::Geometry),
            (9, 2, LinkError::Geometry),
            (10, 8192, LinkError::Geometry),
            (13, 4096, LinkError::Geometry),
        ] {
            let words = memory(&layout);
            words[word].store(value, Ordering::Relaxed);
            assert_eq!(Layout::read(&words), Err(error), "word {word} = {value}");
        }
    }

    #[test]
    fn a_short_memory_is_refused() {
        let layout = Layout::new(SMALL, 77).unwrap();
        let words = memory(&layout);
        assert_eq!(Layout::read(&words[..words.len() - 1]), Err(LinkError::Short));
        assert_eq!(Layout::read(&words[..511]), Err(LinkError::Short));
        assert_eq!(layout.write(&words[..600]), Err(LinkError::Short));
    }
}
