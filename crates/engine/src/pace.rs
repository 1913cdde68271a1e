//! How fast requests may follow each other to one server, as the operator says (`speed-limit`, BEHAVIOUR.md 5.1).

use std::time::Duration;

use model::time::Mono;

/// How many requests may be sent in some seconds: they follow each other evenly, a hundredth of them at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Nanoseconds from one to the next.
    interval_ns: u64,
    /// How far ahead of that they may be.
    slack_ns: u64,
    /// When the next one would leave if all were even.
    next: Mono,
}

impl Pace {
    /// At most `count` in any `seconds`, both at least 1.
    pub(crate) fn new(count: u32, seconds: u32) -> Pace {
        let burst = u64::from((count / 100).max(1));
        let interval_ns = u64::from(seconds) * 1_000_000_000;
        let interval_ns = interval_ns.div_ceil(u64::from(count) - (burst - 1));
        Pace { interval_ns, slack_ns: interval_ns * (burst - 1), next: Mono::ZERO }
    }

    /// When the next one may leave.
    pub(crate) fn due(&self) -> Mono {
        Mono::from_nanos(self.next.as_nanos().saturating_sub(self.slack_ns))
    }

    /// One has left.
    pub(crate) fn handle_sent(&mut self, now: Mono) {
        self.next = self.next.max(now).plus(Duration::from_nanos(self.interval_ns));
    }

    /// The other's pace from now on.
    pub(crate) fn change(&mut self, other: Pace) {
        *self = Pace { next: self.next, ..other };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_holds_in_any_of_its_times() {
        for (count, seconds) in [(1, 1), (7, 3), (100, 1), (250, 2), (65_535, 1), (65_535, 3_600)] {
            let mut pace = Pace::new(count, seconds);
            let (mut now, mut times) = (Mono::from_nanos(5), Vec::new());
            for _ in 0..3 * u64::from(count) {
                now = now.max(pace.due());
                times.push(now.as_nanos());
                pace.handle_sent(now);
            }
            let length = u64::from(seconds) * 1_000_000_000;
            let most =
                (0..times.len()).map(|first| times[first..].partition_point(|time| time - times[first] < length));
            let most = most.max().unwrap();
            assert!(most <= count as usize, "{count} in {seconds} s: {most}");
            assert!(most * 100 >= count as usize * 95, "{count} in {seconds} s: {most}");
        }
    }
}
