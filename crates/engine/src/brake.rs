//! The brake: no policy cuts more than a share of the online users within a time (owner's decision 16). One shard
//! measures itself against its own users, of whom it has an even share. What it knows is forgotten at a restart.
//!
//! Cuts are counted in slices of 1/64 of the time, so the memory is bounded; a slice counts until all of it is old enough.

use std::collections::VecDeque;
use std::time::Duration;

use model::settings::CutBrake;
use model::time::Mono;

/// Slices of the time at once.
const SLICE_COUNT: u32 = 64;

/// What the brake says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Braked {
    /// The cut may be.
    Free,
    /// It may not; it is the first that is held.
    First,
    /// It may not, either.
    Held,
}

/// The brake of one shard.
#[derive(Debug, Default)]
pub(crate) struct Brake {
    rule: Option<CutBrake>,
    /// When each slice began, and the cuts in it.
    slices: VecDeque<(Mono, u64)>,
    /// When a cut was held last, while the brake holds.
    held: Option<Mono>,
}

impl Brake {
    /// A commit. The cuts so far count under the new rule as well.
    pub(crate) fn set(&mut self, rule: Option<CutBrake>) {
        self.rule = rule;
    }

    /// Whether it holds cuts now.
    pub(crate) fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// Asks for one cut more, among so many online users. A single cut is always allowed.
    pub(crate) fn ask(&mut self, now: Mono, online: u64) -> Braked {
        let Some(rule) = self.rule else { return Braked::Free };
        let time = Duration::from_secs(rule.seconds.into());
        let slice = time / SLICE_COUNT;
        while self.slices.front().is_some_and(|&(began, _)| began.plus(slice).plus(time) <= now) {
            self.slices.pop_front();
        }
        let cuts: u64 = self.slices.iter().map(|&(_, cuts)| cuts).sum();
        if cuts >= (online * u64::from(rule.percent) / 100).max(1) {
            let first = self.held.replace(now).is_none();
            return if first { Braked::First } else { Braked::Held };
        }
        match self.slices.back_mut().filter(|(began, _)| began.plus(slice) > now) {
            Some((_, cuts)) => *cuts += 1,
            None => self.slices.push_back((now, 1)),
        }
        Braked::Free
    }

    /// When it lets go: the time has passed since it held somebody.
    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        let time = self.rule.map_or(Duration::ZERO, |rule| Duration::from_secs(rule.seconds.into()));
        self.held.map(|held| held.plus(time))
    }

    /// True when it lets go by this.
    pub(crate) fn handle_timeout(&mut self, now: Mono) -> bool {
        let lets_go = self.next_timeout().is_some_and(|end| end <= now);
        if lets_go {
            self.held = None;
        }
        lets_go
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    /// Asks once at each time and says who is free.
    fn asked(percent: u8, seconds: u32, online: u64, times: &[u64]) -> String {
        let mut brake = Brake::default();
        brake.set(Some(CutBrake { percent, seconds }));
        let ask = |&time: &u64| match brake.ask(at(time), online) {
            Braked::Free => '.',
            Braked::First => 'F',
            Braked::Held => 'h',
        };
        times.iter().map(ask).collect()
    }

    #[test]
    fn so_many_are_cut_in_any_period() {
        for (percent, seconds, online, times, expected) in [
            (100, 60, 3, &[0, 0, 0, 0][..], "...F"),
            (10, 60, 25, &[0, 1, 2, 3], "..Fh"),
            // A single one is always allowed, and another when it is old enough.
            (1, 64, 10, &[0, 10, 64, 65, 66], ".Fh.h"),
            (1, 64, 0, &[0, 1], ".F"),
            (50, 64, 4, &[0, 32, 60, 65, 66, 97], "..F.h."),
        ] {
            assert_eq!(asked(percent, seconds, online, times), expected, "{percent} {seconds} {online}");
        }
    }

    #[test]
    fn without_a_rule_everybody_is_free() {
        let mut brake = Brake::default();
        assert!((0..1000).all(|_| brake.ask(at(1), 1) == Braked::Free));
        assert_eq!(brake.next_timeout(), None);
    }

    #[test]
    fn it_lets_go_when_nobody_was_held_for_the_time() {
        let mut brake = Brake::default();
        brake.set(Some(CutBrake { percent: 1, seconds: 60 }));
        brake.ask(at(0), 10);
        assert_eq!(brake.ask(at(5), 10), Braked::First);
        assert_eq!(brake.ask(at(7), 10), Braked::Held);
        assert_eq!(brake.next_timeout(), Some(at(67)));
        assert!(!brake.handle_timeout(at(66)) && brake.holds());
        assert!(brake.handle_timeout(at(67)) && !brake.holds());
        // Switched off, it lets go at once.
        brake.ask(at(68), 10);
        brake.ask(at(69), 10);
        brake.set(None);
        assert!(brake.handle_timeout(at(69)));
    }

    #[test]
    fn its_memory_is_bounded() {
        let mut brake = Brake::default();
        brake.set(Some(CutBrake { percent: 100, seconds: 640 }));
        for second in 0..10_000 {
            brake.ask(at(second), 1_000_000);
        }
        assert!(brake.slices.len() <= 67, "{}", brake.slices.len());
    }
}
