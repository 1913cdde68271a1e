//! How late interims leave, for `display accounting lateness`.

use std::time::Duration;

/// Widths of one millisecond up to here; beyond, each bucket ends at twice the end of the one before.
const FINE_MS: usize = 128;
/// The last bucket ends at more than a day, which is the longest interval, and has whatever is later still.
const COARSE: usize = 20;

/// Interims by how long after the moment of their schedule they left. Adding one is a division by a constant and a count; nothing
/// is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    counts: [u64; Lateness::BUCKETS],
}

impl Default for Lateness {
    fn default() -> Lateness {
        Lateness { counts: [0; Lateness::BUCKETS] }
    }
}

impl Lateness {
    /// So many are told apart: those that left in time, and those that were late by at most so many milliseconds.
    pub const BUCKETS: usize = 1 + FINE_MS + COARSE;

    /// One more interim has left, so late.
    pub fn add(&mut self, late: Duration) {
        self.counts[Lateness::bucket(late)] += 1;
    }

    /// Adds what another shard has counted.
    pub fn merge(&mut self, other: &Lateness) {
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum += count;
        }
    }

    /// Interims that were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// By how many milliseconds so many of a thousand were late at most, rounded up to the end of a bucket; `None`: nothing was
    /// counted.
    pub fn at_most_ms(&self, of_thousand: u64) -> Option<u64> {
        let wanted = (self.count() * of_thousand).div_ceil(1000).max(1);
        let mut sum = 0;
        self.buckets().find_map(|(end, count)| {
            sum += count;
            (sum >= wanted).then_some(end)
        })
    }

    /// The buckets in which there are interims: by how many milliseconds these were late at most, and how many they are.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let ends = (0..).map(Lateness::end_ms).zip(self.counts);
        ends.filter(|(_, count)| *count > 0)
    }

    fn bucket(late: Duration) -> usize {
        let ms = usize::try_from(late.as_nanos().div_ceil(1_000_000)).unwrap_or(usize::MAX);
        if ms <= FINE_MS {
            return ms;
        }
        // 129–256 is the first beyond, 257–512 the second.
        let doublings = (usize::BITS - (ms - 1).leading_zeros() - FINE_MS.trailing_zeros()) as usize;
        (FINE_MS + doublings).min(Lateness::BUCKETS - 1)
    }

    fn end_ms(bucket: usize) -> u64 {
        let doublings = bucket.saturating_sub(FINE_MS);
        (bucket.min(FINE_MS) as u64) << doublings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_where_the_next_begins() {
        for (late_us, end) in [
            (0, 0),
            (1, 1),
            (1_000, 1),
            (1_001, 2),
            (21_000, 21),
            (128_000, 128),
            (128_001, 256),
            (256_000, 256),
            (256_001, 512),
            (86_400_000_000, 134_217_728),
            (864_000_000_000, 134_217_728),
        ] {
            let mut lateness = Lateness::default();
            lateness.add(Duration::from_micros(late_us));
            assert_eq!(lateness.buckets().collect::<Vec<_>>(), [(end, 1)], "{late_us} µs");
        }
        assert_eq!(Lateness::bucket(Duration::MAX), Lateness::BUCKETS - 1);
    }

    #[test]
    fn parts_are_told_by_the_end_of_their_bucket() {
        let mut lateness = Lateness::default();
        assert_eq!((lateness.count(), lateness.at_most_ms(999)), (0, None));
        (0..998).for_each(|_| lateness.add(Duration::from_micros(4_500)));
        let mut other = Lateness::default();
        other.add(Duration::from_millis(21));
        other.add(Duration::from_millis(300));
        lateness.merge(&other);
        assert_eq!([0, 500, 998, 999, 1000].map(|part| lateness.at_most_ms(part)), [5, 5, 5, 21, 512].map(Some));
    }
}
