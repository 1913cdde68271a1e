//! Who wakes whom. Each side says in a word of the memory that it is about to sleep; the other side looks at that word
//! after it has published something, and only then makes the system call that writes the eventfd.
//!
//! ```text
//!   sleeper                               the other side
//!     waiting = 1                           publish
//!     fence                                 fence
//!     look again; something there: stay     waiting? then waiting = 0 and write the eventfd
//!     sleep on the eventfd
//! ```
//!
//! Both fences are sequentially consistent: a store before one of them and a load behind it cannot pass each other, so
//! at least one side sees the other. Either the sleeper finds what was published, or it is woken.
//!
//! **The engine's eventfd** is shared by all shards and is never read: each shard polls it edge-triggered (`EPOLLET`, or a
//! multishot poll), so that every write wakes every shard that sleeps. **The plane's eventfd** is read by the one thread
//! that waits.
//!
//! A hostile plane can keep the engine awake or let it sleep on; a shard therefore never sleeps longer than its next
//! timer, and looks into the rings whenever it is awake.

use std::sync::Arc;

use lanes::sync::{AtomicU64, Ordering, fence};

use crate::layout::{ENGINE_WAITING, ENGINE_WANTS_ROOM, PLANE_WAITING};
use crate::region::{Memory, PlaneReader, Region};
use crate::words::WORD;

impl<M: AsRef<[AtomicU64]>> PlaneReader<M> {
    /// Says that this shard is about to sleep. `false`: something came meanwhile, and the shard stays awake. After
    /// `true`, and after sleeping, comes [`awake`](Self::awake). `verdicts_wait`: wake it also when a verdict that found
    /// no room would find some.
    #[must_use]
    pub fn about_to_sleep(&self, verdicts_wait: bool) -> bool {
        let words = self.region.memory().words();
        words[ENGINE_WAITING / WORD].fetch_or(1 << self.reader, Ordering::Relaxed);
        if verdicts_wait {
            words[ENGINE_WANTS_ROOM / WORD].store(1, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
        let came = self.rings.iter().any(|ring| ring.has_more()) || (verdicts_wait && self.region.verdicts_have_room());
        if came {
            self.awake();
        }
        !came
    }

    /// Says that this shard needs no waking.
    pub fn awake(&self) {
        self.region.memory().words()[ENGINE_WAITING / WORD].fetch_and(!(1 << self.reader), Ordering::Relaxed);
    }
}

impl<M: AsRef<[AtomicU64]>> Region<M> {
    /// Whether the plane's eventfd has to be written. Asked once after a batch of verdicts and consumed positions.
    #[must_use]
    pub fn plane_needs_kick(&self) -> bool {
        take(&self.memory().words()[PLANE_WAITING / WORD])
    }
}

/// The plane's side of both bells.
#[derive(Debug)]
pub struct PlaneBell<M> {
    memory: Arc<Memory<M>>,
}

impl<M> Clone for PlaneBell<M> {
    fn clone(&self) -> PlaneBell<M> {
        PlaneBell { memory: Arc::clone(&self.memory) }
    }
}

impl<M: AsRef<[AtomicU64]>> PlaneBell<M> {
    /// A bell on this memory.
    pub fn new(memory: Arc<Memory<M>>) -> PlaneBell<M> {
        PlaneBell { memory }
    }

    /// Whether the engine's eventfd has to be written, asked after events were written.
    #[must_use]
    pub fn engine_needs_kick(&self) -> bool {
        take(&self.memory.words()[ENGINE_WAITING / WORD])
    }

    /// Whether the engine's eventfd has to be written, asked after verdicts were read.
    #[must_use]
    pub fn engine_wants_room(&self) -> bool {
        take(&self.memory.words()[ENGINE_WANTS_ROOM / WORD])
    }

    /// Says that the plane is about to sleep; it must look at verdicts and consumed positions again before it does.
    pub fn about_to_sleep(&self) {
        self.memory.words()[PLANE_WAITING / WORD].store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Says that the plane needs no waking.
    pub fn awake(&self) {
        self.memory.words()[PLANE_WAITING / WORD].store(0, Ordering::Relaxed);
    }
}

/// Whether somebody waits; who asks first, wakes.
fn take(waiting: &AtomicU64) -> bool {
    fence(Ordering::SeqCst);
    waiting.load(Ordering::Relaxed) != 0 && waiting.swap(0, Ordering::AcqRel) != 0
}
