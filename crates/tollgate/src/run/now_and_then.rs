//! Things that somebody else can make happen as often as he likes, and that are told now and then, lest they fill the log.

use std::time::Duration;

use model::time::Mono;

/// One kind of thing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NowAndThen {
    untold: u64,
    told: Option<Mono>,
}

impl NowAndThen {
    /// The shortest time between two tellings.
    pub(crate) const PAUSE: Duration = Duration::from_secs(10);

    /// It has happened once more. The number is how often since it was last told, when it is to be told now.
    pub(crate) fn note(&mut self, now: Mono) -> Option<u64> {
        self.untold += 1;
        if self.told.is_some_and(|told| now.since(told) < NowAndThen::PAUSE) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_together() {
        let mut thing = NowAndThen::default();
        let at = |seconds: u64| Mono::from_nanos(seconds * 1_000_000_000);
        let told = [0, 1, 9, 10, 11, 30].map(|second| thing.note(at(second)));
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
    }
}
