//! Numbers from a seed (splitmix64): the only source of chance in the simulator.

use std::time::Duration;

/// A stream of numbers that one seed fixes for ever.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The stream of `seed`.
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed ^ 0x5851_F42D_4C95_7F2D)
    }

    /// A stream of its own, so that one part of the world that asks more often leaves the others as they are.
    pub(crate) fn fork(&mut self) -> Dice {
        Dice(self.next())
    }

    /// A stream beside this one, which goes on as if nobody had asked.
    pub(crate) fn beside(&self, salt: u64) -> Dice {
        Dice(self.0 ^ salt)
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0–`end` − 1.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// An index into something of `len` items.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or_default()
    }

    /// `first`–`last`.
    pub(crate) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True in `percent` of a hundred throws.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// True in `permille` of a thousand throws.
    pub(crate) fn rarely(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.index(items.len())]
    }

    /// A whole number of microseconds between these milliseconds.
    pub(crate) fn millis(&mut self, first: u64, last: u64) -> Duration {
        Duration::from_micros(self.between(first * 1000, last * 1000))
    }

    /// A whole number of milliseconds between these seconds.
    pub(crate) fn seconds(&mut self, first: u64, last: u64) -> Duration {
        Duration::from_millis(self.between(first * 1000, last * 1000))
    }
}
