//! The way of a record: from a shard's worker, through its bill ring, to the writer; and the number that comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam::sync::{Parker, Unparker};
use kernel::waker::Waker;

/// *Durable through N* of one shard: the writer stores, the worker loads.
#[derive(Default)]
pub(crate) struct Durable(AtomicU64);

impl Durable {
    pub(crate) fn announce(&self, through: u64) {
        self.0.store(through, Ordering::Release);
    }

    pub(crate) fn through(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The first record of one shard that anybody still needs ([`engine::Shard::needed_from`]): the worker stores, the writer
/// loads.
#[derive(Default)]
pub(crate) struct Needed(AtomicU64);

impl Needed {
    pub(crate) fn announce(&self, from: u64) {
        self.0.store(from, Ordering::Release);
    }

    pub(crate) fn from(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Wakes the writer, at the price of one load while it is awake.
#[derive(Clone)]
pub(crate) struct WriterBell {
    asleep: Arc<AtomicBool>,
    unparker: Unparker,
}

impl WriterBell {
    pub(crate) fn ring(&self) {
        // Pairs with the fence in `WriterSleep::sleep`: either the writer sees what was published before this, or
        // it is seen asleep here.
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            self.unparker.unpark();
        }
    }
}

/// The writer's own end of the bell.
pub(crate) struct WriterSleep {
    asleep: Arc<AtomicBool>,
    parker: Parker,
}

impl WriterSleep {
    pub(crate) fn new() -> WriterSleep {
        WriterSleep { asleep: Arc::default(), parker: Parker::new() }
    }

    pub(crate) fn bell(&self) -> WriterBell {
        WriterBell { asleep: self.asleep.clone(), unparker: self.parker.unparker().clone() }
    }

    /// Sleeps unless `has_work` finds something, and at most for `timeout`.
    pub(crate) fn sleep(&self, timeout: std::time::Duration, has_work: impl FnOnce() -> bool) {
        self.asleep.store(true, Ordering::Relaxed);
        std::sync::atomic::fence(Ordering::SeqCst);
        if !has_work() {
            self.parker.park_timeout(timeout);
        }
        self.asleep.store(false, Ordering::Relaxed);
    }
}

/// What the writer holds of one shard.
pub(crate) struct ShardEnd {
    pub(crate) ring: lanes::ring::Consumer,
    pub(crate) durable: Arc<Durable>,
    pub(crate) needed: Arc<Needed>,
    pub(crate) worker: Arc<Waker>,
}
