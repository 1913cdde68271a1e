//! Worlds that last. What a seed makes of minutes lasts for hours: sessions, the pauses between faults and how long they stay.
//! Intervals of which something hangs for each session, interims, samples and counts, lengthen by sixty at most, into an hour.
//! So a world has many session-days for the work that it is, and timers that are far away; its rules are the same.

use std::time::Duration;

use super::Scenario;

/// Intervals lengthen so many times at most.
const INTERVALS_MAX: u64 = 60;
/// Everything else does.
const TIMES_MAX: u64 = 1000;

/// How many times longer things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch(u64);

impl Default for Stretch {
    fn default() -> Stretch {
        Stretch(1)
    }
}

impl Stretch {
    /// As near to this as is possible.
    pub(crate) fn new(times: u64) -> Stretch {
        Stretch(times.clamp(1, TIMES_MAX))
    }

    /// A while.
    pub(crate) fn of(self, while_: Duration) -> Duration {
        while_ * u32::try_from(self.0).unwrap_or(1)
    }

    /// A while in seconds.
    pub(crate) fn of_s(self, seconds: u32) -> u32 {
        seconds.saturating_mul(u32::try_from(self.0).unwrap_or(1))
    }

    /// An interval.
    pub(crate) fn of_interval(self, interval: Duration) -> Duration {
        Stretch(self.0.min(INTERVALS_MAX)).of(interval)
    }

    /// An interval in seconds.
    pub(crate) fn of_interval_s(self, seconds: u32) -> u32 {
        Stretch(self.0.min(INTERVALS_MAX)).of_s(seconds)
    }
}

impl Scenario {
    /// Everything lasts longer; the time with faults too, unless that is given.
    pub(super) fn lengthen(&mut self, stretch: Stretch, with_trouble: bool) {
        self.stretch = stretch;
        self.pace_s *= stretch.0;
        if with_trouble {
            self.trouble = stretch.of(self.trouble);
        }
        let interval = |seconds: u16| u16::try_from(stretch.of_interval_s(seconds.into())).unwrap_or(u16::MAX);
        self.settings.checkpoint_interval_s = interval(self.settings.checkpoint_interval_s);
        for interim in self.settings.schemes.values_mut().filter_map(|scheme| scheme.interim.as_mut()) {
            interim.value = interval(interim.value);
        }
    }
}
