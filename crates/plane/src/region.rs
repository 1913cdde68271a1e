//! A plane's memory as a whole: checked when it is opened, and then handed out in parts.

use std::sync::Arc;

use lanes::sync::{AtomicU64, Line, Ordering};

use crate::event_ring::{EventRing, EventWriter, SharedCursor};
use crate::layout::{Geometry, Layout, LinkError, POSITION_MAX, READERS_MAX, RingPlace};
use crate::{CounterTable, VerdictWriter};

/// Words that two processes share, and the private copy of where things stand in them.
#[derive(Debug)]
pub struct Memory<M> {
    words: M,
    layout: Layout,
}

impl<M: AsRef<[AtomicU64]>> Memory<M> {
    /// Makes a plane's memory out of fresh words, all zero.
    ///
    /// # Errors
    ///
    /// [`LinkError::Geometry`], [`LinkError::Epoch`], or [`LinkError::Short`] when there are too few words.
    pub fn format(words: M, geometry: Geometry, epoch: u64) -> Result<Memory<M>, LinkError> {
        let layout = Layout::new(geometry, epoch)?;
        layout.write(words.as_ref())?;
        Ok(Memory { words, layout })
    }

    /// Opens a memory that somebody made.
    ///
    /// # Errors
    ///
    /// Any [`LinkError`] but `HostileIndex`.
    pub fn open(words: M) -> Result<Memory<M>, LinkError> {
        let layout = Layout::read(words.as_ref())?;
        Ok(Memory { words, layout })
    }

    /// Where things stand.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        self.words.as_ref()
    }

    /// The plane's writers, one per event ring. Each ring must have one writer only.
    pub fn event_writers(self: &Arc<Self>) -> Vec<EventWriter<M>> {
        (0..self.ring_count()).map(|ring| EventWriter::new(Arc::clone(self), ring)).collect()
    }

    /// How far the engine has come in a ring.
    ///
    /// # Panics
    ///
    /// When there is no such ring.
    pub fn consumed(&self, ring: u16) -> u64 {
        self.words()[self.layout.event_ring(ring).consumed].load(Ordering::Acquire)
    }

    /// How far the plane has come in a ring.
    ///
    /// # Panics
    ///
    /// When there is no such ring.
    pub fn produced(&self, ring: u16) -> u64 {
        self.words()[self.layout.event_ring(ring).produced].load(Ordering::Acquire)
    }

    /// Whether every event of every ring is durable.
    pub fn taken_over(&self) -> bool {
        (0..self.ring_count()).all(|ring| self.consumed(ring) == self.produced(ring))
    }

    pub(crate) fn ring_count(&self) -> u16 {
        u16::try_from(self.layout.geometry.rings).unwrap_or(u16::MAX)
    }
}

/// The engine's half of one plane's link, shared by all shards.
#[derive(Debug)]
pub struct Region<M> {
    memory: Arc<Memory<M>>,
    cursors: Box<[SharedCursor]>,
    /// Verdict positions given out to shards.
    pub(crate) verdicts_reserved: Line<AtomicU64>,
    /// A bit per reader that was handed out.
    readers_out: AtomicU64,
    readers: u16,
}

impl<M: AsRef<[AtomicU64]>> Region<M> {
    /// Opens the memory that came with a HELLO of this epoch, for this many shards. Every ring is read on from where its
    /// events were durable; events behind that are delivered again, and recognised by their position. A memory has one region at a time: the
    /// one before must no longer be used.
    ///
    /// # Errors
    ///
    /// Any [`LinkError`]: what the plane passed is not used.
    ///
    /// # Panics
    ///
    /// When `readers` is 0 or more than [`READERS_MAX`].
    pub fn open(words: M, epoch: u64, readers: u16) -> Result<Arc<Region<M>>, LinkError> {
        assert!((1..=READERS_MAX).contains(&readers), "1 to 64 readers");
        let memory = Memory::open(words)?;
        if memory.layout.epoch != epoch {
            return Err(LinkError::Epoch);
        }
        let cursors = (0..memory.ring_count())
            .map(|ring| Ok(SharedCursor::new(readers, start_of(memory.words(), memory.layout.event_ring(ring))?)))
            .collect::<Result<_, LinkError>>()?;
        let first_free = crate::verdict_ring::recover(memory.words(), memory.layout.verdict_ring())?;
        Ok(Arc::new(Region {
            memory: Arc::new(memory),
            cursors,
            verdicts_reserved: Line(AtomicU64::new(first_free)),
            readers_out: AtomicU64::new(0),
            readers,
        }))
    }

    /// The view of one shard, or `None` when it is out already or there is no such shard.
    pub fn reader(self: &Arc<Self>, reader: u16) -> Option<PlaneReader<M>> {
        if reader >= self.readers || self.readers_out.fetch_or(1 << reader, Ordering::AcqRel) & (1 << reader) != 0 {
            return None;
        }
        let rings = (0..self.memory.ring_count()).map(|ring| EventRing::new(Arc::clone(self), ring, reader)).collect();
        Some(PlaneReader { region: Arc::clone(self), rings, reader })
    }

    /// The plane's counters.
    pub fn counters(&self) -> CounterTable<M> {
        CounterTable::new(Arc::clone(&self.memory))
    }

    /// The way back to the plane; every shard may have one.
    pub fn verdicts(self: &Arc<Self>) -> VerdictWriter<M> {
        VerdictWriter::new(Arc::clone(self))
    }

    /// The memory.
    pub fn memory(&self) -> &Memory<M> {
        &self.memory
    }

    pub(crate) fn cursor(&self, ring: u16) -> &SharedCursor {
        &self.cursors[usize::from(ring)]
    }
}

/// One shard's view of one plane: a reader of each event ring.
#[derive(Debug)]
pub struct PlaneReader<M> {
    pub(crate) region: Arc<Region<M>>,
    pub(crate) rings: Box<[EventRing<M>]>,
    pub(crate) reader: u16,
}

impl<M> PlaneReader<M> {
    /// The rings, in the order of their numbers.
    pub fn rings(&self) -> &[EventRing<M>] {
        &self.rings
    }

    /// The rings, to read from.
    pub fn rings_mut(&mut self) -> &mut [EventRing<M>] {
        &mut self.rings
    }

    /// What it is a view of.
    pub fn region(&self) -> &Arc<Region<M>> {
        &self.region
    }
}

/// Where a ring is read on: what was consumed, if that can be.
fn start_of(words: &[AtomicU64], place: RingPlace) -> Result<u64, LinkError> {
    let consumed = words[place.consumed].load(Ordering::Acquire);
    let produced = words[place.produced].load(Ordering::Acquire);
    match produced.checked_sub(consumed) {
        Some(waiting) if waiting <= place.records && produced <= POSITION_MAX => Ok(consumed),
        _ => Err(LinkError::HostileIndex),
    }
}
