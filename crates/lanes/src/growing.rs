//! A number that only grows, from the one thread that knows it to those that go by it.

use crate::sync::{AtomicU64, Ordering};

/// How far somebody has come. Whoever sees that it has been reached sees everything that was done before it was announced.
#[derive(Debug)]
pub struct Growing(AtomicU64);

impl Default for Growing {
    fn default() -> Growing {
        Growing(AtomicU64::new(0))
    }
}

impl Growing {
    /// Everything up to `reached` is done. One thread says so, and never less than before.
    pub fn announce(&self, reached: u64) {
        self.0.store(reached, Ordering::Release);
    }

    /// How far it is done; 0 before the first was announced.
    pub fn reached(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}
