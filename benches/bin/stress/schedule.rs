//! What happens when in a run.

use std::fmt;
use std::time::Duration;

/// Of a thousand datagrams, each way, while the line is bad.
pub(crate) const LOST_PERMILLE: u32 = 100;
/// The longest that FreeRADIUS is held, and is away.
const HELD_MAX: Duration = Duration::from_secs(10);
const AWAY_MAX: Duration = Duration::from_secs(20);
/// Of a thousand subscribers so many go before the end.
pub(crate) const LEAVE_PERMILLE: u32 = 400;

/// The parts of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    time: Duration,
}

/// What is done to FreeRADIUS, the line and the subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Hold,
    LetGo,
    Lose,
    Mend,
    Kill,
    Return,
    AllGo,
}

impl Schedule {
    pub(crate) fn new(time: Duration) -> Schedule {
        Schedule { time }
    }

    fn at(&self, hundredths: u32) -> Duration {
        self.time * hundredths / 100
    }

    /// In their order, from the beginning.
    pub(crate) fn acts(&self) -> [(Duration, Act); 7] {
        let (held, killed) = (self.at(25), self.at(70));
        [
            (held, Act::Hold),
            (held + HELD_MAX.min(self.at(5)), Act::LetGo),
            (self.at(35), Act::Lose),
            (self.at(60), Act::Mend),
            (killed, Act::Kill),
            (killed + AWAY_MAX.min(self.at(10)), Act::Return),
            (self.time, Act::AllGo),
        ]
    }

    /// How many of so many are to have gone by then.
    pub(crate) fn gone(&self, after: Duration, sessions: u32) -> u32 {
        if after >= self.time {
            return sessions;
        }
        let begins = self.at(20);
        let part = after.saturating_sub(begins).as_secs_f64() / (self.time - begins).as_secs_f64();
        let leave = f64::from(sessions) * f64::from(LEAVE_PERMILLE) / 1000.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a 32-bit number")]
        let gone = (leave * part) as u32;
        gone
    }
}

impl Act {
    /// What the act before it has begun.
    pub(crate) fn ends_another(self) -> bool {
        matches!(self, Act::LetGo | Act::Mend | Act::Return)
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Act::Hold => "FreeRADIUS is held",
            Act::LetGo => "it goes on",
            Act::Lose => "the line loses a tenth each way",
            Act::Mend => "the line is mended",
            Act::Kill => "FreeRADIUS is killed",
            Act::Return => "it is back",
            Act::AllGo => "all go",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_follow_each_other() {
        for seconds in [30, 120, 600, 3600] {
            let schedule = Schedule::new(Duration::from_secs(seconds));
            assert!(schedule.acts().is_sorted_by_key(|(at, _)| *at), "{seconds} s");
        }
    }

    #[test]
    fn some_go_evenly_and_the_others_at_the_end() {
        let schedule = Schedule::new(Duration::from_secs(100));
        let gone = [0, 20, 60, 99, 100, 101].map(|second| schedule.gone(Duration::from_secs(second), 1000));
        assert_eq!(gone, [0, 0, 200, 395, 1000, 1000]);
    }
}
