//! How often a plane announces its sessions. Each time, those that it did not announce are looked for among all that there
//! are, and everybody else waits for that walk.

use std::time::Duration;

use model::time::Mono;

/// Resyncs of a plane in [`PAUSE`]. Behind the last of them nothing more is read from it until that time is over: what it
/// says then stays in its rings.
const AT_ONCE: usize = 2;
const PAUSE: Duration = Duration::from_secs(1);

/// The ends of resyncs that a plane has said lately.
#[derive(Debug, Default)]
pub(super) struct Resyncs {
    since: Option<Mono>,
    ends: usize,
    too_many: bool,
}

impl Resyncs {
    /// One ring of so many has said the end of a resync; it ends when all have.
    pub(super) fn note(&mut self, rings: usize, now: Mono) {
        if self.since.is_none_or(|since| now.since(since) >= PAUSE) {
            (self.since, self.ends) = (Some(now), 0);
        }
        self.ends += 1;
        self.too_many = self.ends >= AT_ONCE * rings;
    }

    /// Whether nothing is read from the plane now.
    pub(super) fn look(&mut self, now: Mono) -> bool {
        self.too_many &= self.since.is_some_and(|since| now.since(since) < PAUSE);
        self.too_many
    }

    /// The same, as it was when that was last looked at.
    pub(super) fn are_too_many(&self) -> bool {
        self.too_many
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_third_resync_within_a_second_is_left_in_the_ring() {
        let mut resyncs = Resyncs::default();
        resyncs.note(1, at(0));
        assert!(!resyncs.look(at(0)));
        resyncs.note(1, at(10));
        assert!(resyncs.are_too_many() && resyncs.look(at(999)));
        assert!(!resyncs.look(at(1000)) && !resyncs.are_too_many());
    }

    #[test]
    fn every_ring_says_its_part() {
        let mut resyncs = Resyncs::default();
        let told = [(); 8].map(|()| {
            resyncs.note(4, at(5));
            resyncs.are_too_many()
        });
        assert_eq!(told, [false, false, false, false, false, false, false, true]);
    }

    #[test]
    fn now_and_then_is_not_too_often() {
        let mut resyncs = Resyncs::default();
        for second in 0..9 {
            resyncs.note(1, at(1001 * second));
            assert!(!resyncs.look(at(1001 * second)));
        }
    }
}
