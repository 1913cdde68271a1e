//! Who wrote which record: each source counts its own, from 1, and the log counts all of them.

use std::collections::VecDeque;

/// Records of one source that follow each other in the log.
#[derive(Clone, Copy, Debug)]
struct Run {
    sequence: u64,
    count: u64,
    source: usize,
}

/// What each source has written, and how much of it is durable. Memory: 24 octets for each change of source among the
/// records of two batches.
#[derive(Debug)]
pub(crate) struct Sources {
    taken: Vec<u64>,
    durable: Vec<u64>,
    runs: VecDeque<Run>,
}

impl Sources {
    pub(crate) fn new(count: usize) -> Sources {
        Sources { taken: vec![0; count], durable: vec![0; count], runs: VecDeque::new() }
    }

    pub(crate) fn take(&mut self, source: usize, sequence: u64) {
        self.taken[source] += 1;
        match self.runs.back_mut() {
            Some(run) if run.source == source && run.sequence + run.count == sequence => run.count += 1,
            _ => self.runs.push_back(Run { sequence, count: 1, source }),
        }
    }

    pub(crate) fn durable_through(&self, source: usize) -> u64 {
        self.durable[source]
    }

    /// How many records of each source precede this one, which has just become durable.
    pub(crate) fn before(&self, sequence: u64) -> Vec<u64> {
        let mut before = self.durable.clone();
        for run in self.runs.iter().take_while(|run| run.sequence < sequence) {
            before[run.source] += run.count.min(sequence - run.sequence);
        }
        before
    }

    /// Everything up to this record is durable.
    pub(crate) fn settle(&mut self, durable_through: u64) {
        while let Some(run) = self.runs.front_mut()
            && run.sequence <= durable_through
        {
            let count = run.count.min(durable_through + 1 - run.sequence);
            self.durable[run.source] += count;
            run.sequence += count;
            run.count -= count;
            if run.count > 0 {
                return;
            }
            self.runs.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_counts_its_own_records() {
        let mut sources = Sources::new(2);
        for (sequence, source) in (10..).zip([0, 0, 1, 0, 1, 1]) {
            sources.take(source, sequence);
        }
        assert_eq!(sources.before(10), [0, 0]);
        assert_eq!(sources.before(13), [2, 1]);
        sources.settle(11);
        assert_eq!((sources.durable_through(0), sources.durable_through(1)), (2, 0));
        assert_eq!(sources.before(15), [3, 2]);
        sources.settle(15);
        assert_eq!((sources.durable_through(0), sources.durable_through(1)), (3, 3));
    }
}
