//! How fast a group's work comes and goes, and so when what waits will have gone.
//!
//! Both are counted over the last [`GroupReport::SECONDS`] full seconds.

use model::report::GroupReport;
use model::time::Mono;

/// A second each, and the newest one, which is not full yet.
#[expect(clippy::cast_possible_truncation, reason = "a handful")]
const ENTRIES: usize = GroupReport::SECONDS as usize + 1;

/// What came and went in one group of one shard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flow {
    /// The second of the newest entry.
    second: u64,
    /// By second.
    came: [u32; ENTRIES],
    went: [u32; ENTRIES],
}

impl Flow {
    /// A session has something new to tell.
    pub(crate) fn handle_came(&mut self, now: Mono) {
        let index = self.turn(now);
        self.came[index] += 1;
    }

    /// A server has acknowledged something.
    pub(crate) fn handle_went(&mut self, now: Mono) {
        let index = self.turn(now);
        self.went[index] += 1;
    }

    /// What came and went in the full seconds before this one, each.
    pub(crate) fn recent(&self, now: Mono) -> (u32, u32) {
        let mut then = *self;
        let newest = then.turn(now);
        let sum = |counts: &[u32]| counts.iter().sum::<u32>() - counts[newest];
        (sum(&then.came), sum(&then.went))
    }

    fn turn(&mut self, now: Mono) -> usize {
        let second = now.as_nanos() / 1_000_000_000;
        let from = (self.second + 1).max((second + 1).saturating_sub(ENTRIES as u64));
        for passed in from..=second {
            let index = index(passed);
            (self.came[index], self.went[index]) = (0, 0);
        }
        self.second = self.second.max(second);
        index(self.second)
    }
}

fn index(second: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "below their number")]
    let index = (second % ENTRIES as u64) as usize;
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_five_full_seconds_are_counted() {
        let at = |millis: u64| Mono::from_nanos(millis * 1_000_000);
        let mut flow = Flow::default();
        for millis in (100_000..110_000).step_by(10) {
            flow.handle_came(at(millis));
            if millis % 100 == 0 {
                flow.handle_went(at(millis));
            }
        }
        assert_eq!(flow.recent(at(109_990)), (500, 50));
        assert_eq!(flow.recent(at(110_000)), (500, 50));
        assert_eq!(flow.recent(at(112_500)), (300, 30));
        assert_eq!(flow.recent(at(115_000)), (0, 0));
        flow.handle_came(at(1_000_000));
        assert_eq!((flow.recent(at(1_000_500)), flow.recent(at(1_001_500))), ((0, 0), (1, 0)));
    }
}
