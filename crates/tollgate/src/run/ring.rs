//! The way of a record: from a shard's worker, through its bill ring, to the writer; and the number that comes back.

use std::sync::Arc;

use crossbeam::sync::{Parker, Unparker};
use kernel::waker::Waker;
use lanes::doze::Doze;
use lanes::growing::Growing;

/// Wakes the writer, at the price of one load while it is awake.
#[derive(Clone)]
pub(crate) struct WriterBell {
    doze: Arc<Doze>,
    unparker: Unparker,
}

impl WriterBell {
    pub(crate) fn ring(&self) {
        if self.doze.must_be_woken() {
            self.unparker.unpark();
        }
    }
}

/// The writer's own end of the bell.
pub(crate) struct WriterSleep {
    doze: Arc<Doze>,
    parker: Parker,
}

impl WriterSleep {
    pub(crate) fn new() -> WriterSleep {
        WriterSleep { doze: Arc::default(), parker: Parker::new() }
    }

    pub(crate) fn bell(&self) -> WriterBell {
        WriterBell { doze: self.doze.clone(), unparker: self.parker.unparker().clone() }
    }

    /// Sleeps unless `has_work` finds something, and at most for `timeout`.
    pub(crate) fn sleep(&self, timeout: std::time::Duration, has_work: impl FnOnce() -> bool) {
        self.doze.lie_down();
        if !has_work() {
            self.parker.park_timeout(timeout);
        }
        self.doze.get_up();
    }
}

/// What the writer holds of one shard.
pub(crate) struct ShardEnd {
    pub(crate) ring: lanes::ring::Consumer,
    /// Records that are durable: the writer says so.
    pub(crate) durable: Arc<Growing>,
    /// The first record that anybody still needs ([`engine::Shard::needed_from`]): the worker says so.
    pub(crate) needed: Arc<Growing>,
    pub(crate) worker: Arc<Waker>,
}
