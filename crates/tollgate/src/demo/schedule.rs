//! When what happens, as fractions of the play. A *life* is one session: a subscriber who leaves and comes back has
//! two. Lives are numbered in the order in which they come, and go in the same order.
//!
//! ```text
//!   0          1/3      0.46            outage ends     0.8         1
//!   ├─ coming ──┼─ flowing ┼─── outage ───┼─ recovering ──┼─ leaving ─┤ draining
//!                          └ some leave ──┘ and come back ┘
//! ```

use std::ops::Range;
use std::time::Duration;

/// One subscriber in so many leaves in the middle of the play and comes back.
const RETURNING: u32 = 25;
/// Half of them leave within this time: a wave.
const WAVE: Duration = Duration::from_millis(50);
/// The server is silent for at least as long as a request waits for its reply.
const OUTAGE: Range<Duration> = Duration::from_secs(3)..Duration::from_secs(30);

/// The play.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    subscribers: u32,
    returning: u32,
    /// When all are online.
    pub(super) all_online: Duration,
    /// While the server does not answer.
    pub(super) outage: Range<Duration>,
    /// When all begin to leave.
    pub(super) leaving: Duration,
    /// When the last has left.
    pub(super) end: Duration,
}

/// What the play is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Coming,
    Flowing,
    Outage,
    Recovering,
    Leaving,
    Draining,
}

impl Phase {
    /// In words.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Phase::Coming => "subscribers come online",
            Phase::Flowing => "traffic flows, interims report it",
            Phase::Outage => "the server is silent, Stops become bills",
            Phase::Recovering => "the server is back, work goes on",
            Phase::Leaving => "subscribers go offline",
            Phase::Draining => "the last Stops are on their way",
        }
    }
}

impl Schedule {
    /// `seconds` is 10 or more.
    pub(super) fn new(subscribers: u32, seconds: u32) -> Schedule {
        let end = Duration::from_secs(seconds.into());
        let silent = (end / 4).clamp(OUTAGE.start, OUTAGE.end);
        let fails = end * 46 / 100;
        Schedule {
            subscribers,
            returning: subscribers / RETURNING,
            all_online: end / 3,
            outage: fails..fails + silent,
            leaving: end * 4 / 5,
            end,
        }
    }

    /// Who comes at all.
    pub(super) fn subscribers(&self) -> u32 {
        self.subscribers
    }

    /// Sessions over the whole play.
    pub(super) fn lives(&self) -> u32 {
        self.subscribers + self.returning
    }

    /// Whose life it is.
    pub(super) fn subscriber(&self, life: u32) -> u32 {
        life.checked_sub(self.subscribers).unwrap_or(life)
    }

    /// When a life begins; later ones begin no earlier.
    pub(super) fn comes_at(&self, life: u32) -> Duration {
        match life.checked_sub(self.subscribers) {
            None => spread(&(Duration::ZERO..self.all_online), life, self.subscribers),
            Some(again) => {
                // Soon enough for an interim before they leave again.
                let soon = self.outage.end + (self.leaving - self.outage.end) / 4;
                spread(&(self.outage.end..soon), again, self.returning)
            }
        }
    }

    /// When a life ends; later ones end no earlier.
    pub(super) fn goes_at(&self, life: u32) -> Duration {
        let wave = self.wave();
        let Range { start, end } = self.outage.clone();
        if life < wave {
            spread(&(start..start + WAVE), life, wave)
        } else if life < self.returning {
            spread(&(start + WAVE..end), life - wave, self.returning - wave)
        } else {
            spread(&(self.leaving..self.end), life - self.returning, self.lives() - self.returning)
        }
    }

    /// So many Stops of the wave are answered, at least, before the server falls silent.
    pub(super) fn stops_before_silence(&self) -> u32 {
        (self.wave() / 4).min(64)
    }

    /// How many leave at once as the outage begins.
    fn wave(&self) -> u32 {
        self.returning / 2
    }

    /// The interim interval, seconds: short enough that every session has one before it leaves.
    pub(super) fn interim_s(&self) -> u16 {
        u16::try_from(self.end.as_secs() / 10).unwrap_or(u16::MAX)
    }

    /// What the play is about so long after its beginning.
    pub(super) fn phase(&self, elapsed: Duration) -> Phase {
        let ends = [
            (self.all_online, Phase::Coming),
            (self.outage.start, Phase::Flowing),
            (self.outage.end, Phase::Outage),
            (self.leaving, Phase::Recovering),
            (self.end, Phase::Leaving),
        ];
        ends.into_iter().find(|(end, _)| elapsed < *end).map_or(Phase::Draining, |(_, phase)| phase)
    }
}

/// The moment of one of `count` that are spread evenly.
fn spread(over: &Range<Duration>, index: u32, count: u32) -> Duration {
    over.start + (over.end - over.start) * index / count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_come_and_go_in_their_order_and_end_after_they_began() {
        for (subscribers, seconds) in [(1, 10), (30, 10), (2000, 10), (10_000, 20), (777, 3600)] {
            let schedule = Schedule::new(subscribers, seconds);
            let mut last = (Duration::ZERO, Duration::ZERO);
            for life in 0..schedule.lives() {
                let now = (schedule.comes_at(life), schedule.goes_at(life));
                assert!(now.0 < now.1, "life {life} of {subscribers}");
                assert!(now.0 >= last.0 && now.1 >= last.1, "life {life} of {subscribers}");
                assert!(now.1 <= schedule.end);
                last = now;
            }
        }
    }

    #[test]
    fn a_subscriber_who_comes_back_had_left() {
        let schedule = Schedule::new(1000, 20);
        for life in schedule.subscribers()..schedule.lives() {
            let before = schedule.subscriber(life);
            assert!(schedule.goes_at(before) < schedule.comes_at(life));
        }
    }

    #[test]
    fn phases_follow_each_other() {
        for seconds in [10, 20, 60, 3600] {
            let schedule = Schedule::new(100, seconds);
            let mut phases: Vec<Phase> = (0..=seconds * 100)
                .map(|hundredth| schedule.phase(Duration::from_millis(u64::from(hundredth) * 10)))
                .collect();
            phases.dedup();
            use Phase::{Coming, Draining, Flowing, Leaving, Outage, Recovering};
            assert_eq!(phases, [Coming, Flowing, Outage, Recovering, Leaving, Draining], "{seconds} s");
        }
    }
}
