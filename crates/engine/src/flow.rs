//! How fast a group's work comes and goes, and so when what waits will have gone.
//!
//! Both are counted over the last five full seconds: long enough that a burst is not taken for the rule, and short enough that
//! the first answers after an outage tell something.

use model::time::Mono;

const SECONDS: usize = 5;

/// What came and went in one group of one shard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flow {
    /// The second of the newest entry.
    second: u64,
    /// By second; the newest is not full yet.
    came: [u32; SECONDS + 1],
    went: [u32; SECONDS + 1],
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

    /// What came and went in the five seconds before this one, each.
    pub(crate) fn recent(&self, now: Mono) -> (u32, u32) {
        let mut then = *self;
        let newest = then.turn(now);
        let sum = |counts: &[u32]| counts.iter().sum::<u32>() - counts[newest];
        (sum(&then.came), sum(&then.went))
    }

    fn turn(&mut self, now: Mono) -> usize {
        let second = now.as_nanos() / 1_000_000_000;
        let length = self.came.len() as u64;
        let from = (self.second + 1).max((second + 1).saturating_sub(length));
        for passed in from..=second {
            let index = index(passed);
            (self.came[index], self.went[index]) = (0, 0);
        }
        self.second = self.second.max(second);
        index(self.second)
    }
}

fn index(second: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "below six")]
    let index = (second % (SECONDS as u64 + 1)) as usize;
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
