//! Samples: every session's counters, into the ledger, once in `accounting checkpoint-interval`. So a power cut loses at
//! most what was counted in one.
//!
//! A cursor walks over the table, one round per interval, as time allows: no session has a timer for it. Nobody waits
//! for a sample. A session whose next interim comes due before its last sample is an interval old is left to that: it is
//! sampled when the interim is due, sent or not. Samples reach the ledger many in one record, see
//! [`gathering`](super::gathering).

use std::time::Duration;

use model::counters::{CounterSource, Counters};
use model::time::{Mono, Now};

use super::Shard;
use super::deadlines::AHEAD;
use crate::session::{Flags, Lane, Slot, State};

/// Time between two steps of the cursor, as far as it is not behind.
pub(super) const PACE: Duration = Duration::from_millis(20);
/// A step waits so long for a worker that wakes for something else.
const PATIENCE: Duration = Duration::from_millis(40);
/// Slots that one step looks at.
const STEP_MAX: u32 = 4096;

/// Where the round stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampling {
    interval: Duration,
    cursor: Slot,
    /// When the round began, and the last step was made.
    began: Mono,
    stepped: Mono,
    /// The last step left something undone that was due.
    is_behind: bool,
}

impl Sampling {
    pub(super) fn new(now: Mono) -> Sampling {
        Sampling { interval: Duration::from_secs(60), cursor: 0, began: now, stepped: now, is_behind: false }
    }

    pub(super) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval.max(Duration::from_secs(1));
    }

    /// The slots that are due at `now`, of so many.
    fn step(&mut self, now: Mono, slots: u32) -> std::ops::Range<Slot> {
        if now < self.stepped.plus(PACE) && !self.is_behind {
            return self.cursor..self.cursor;
        }
        self.stepped = now;
        if self.cursor >= slots && now >= self.began.plus(self.interval) {
            // A round that took longer than it should is not made up for.
            self.began = self
                .began
                .plus(self.interval)
                .max(Mono::from_nanos(now.as_nanos().saturating_sub(nanos(self.interval))));
            self.cursor = 0;
        }
        let due = u128::from(slots) * now.since(self.began).as_nanos() / u128::from(nanos(self.interval));
        let due = u32::try_from(due).unwrap_or(slots).min(slots);
        let end = due.clamp(self.cursor, self.cursor.saturating_add(STEP_MAX));
        self.is_behind = end < due;
        std::mem::replace(&mut self.cursor, end)..end
    }

    /// When the next slot is due.
    fn next(&self, slots: u32) -> Mono {
        if self.is_behind {
            return self.stepped;
        }
        let slot = if self.cursor >= slots { slots } else { self.cursor + 1 };
        let after = (u128::from(nanos(self.interval)) * u128::from(slot)).div_ceil(u128::from(slots.max(1)));
        let due = Mono::from_nanos(self.began.as_nanos().saturating_add(u64::try_from(after).unwrap_or(u64::MAX)));
        due.max(self.stepped.plus(PATIENCE))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Shard {
    /// Does what the walks over the session table owe to time: samples, checkpoints while the first turn of this life
    /// lasts, and the index of those whom authorization servers may ask for. To be called after [`Shard::handle_timeout`]; too
    /// often does no harm, and each call is short.
    pub fn sweep(&mut self, now: Now, counters: &impl CounterSource) {
        self.let_leave();
        let end = self.table.slots().end;
        for slot in self.sampling.step(now.mono, end) {
            // Those that the next step begins with are asked for as well.
            let [coming, far] = [AHEAD, 2 * AHEAD].map(|ahead| slot + ahead);
            if far < end {
                self.table.prefetch(far);
            }
            if coming < end {
                self.fetch_counters(coming, counters);
            }
            self.sample(slot, now.mono, counters);
        }
        self.pace_checkpoints(now.mono);
        self.walk_on(now);
    }

    /// When [`Shard::sweep`] has something to do.
    pub(super) fn next_sweep(&self) -> Option<Mono> {
        let sampling = (self.table.len() > 0).then(|| self.sampling.next(self.table.slots().end));
        sampling.into_iter().chain(self.next_checkpoint_pace()).chain(self.next_walk()).min()
    }

    fn sample(&mut self, slot: Slot, now: Mono, counters: &impl CounterSource) {
        let session = self.session(slot);
        let counts = matches!(session.state, State::Starting | State::Accounting | State::StartFailed);
        if !counts || session.is_down() || session.flags.has(Flags::PROVISIONAL) {
            return;
        }
        let interims_run = session.state == State::Accounting && !session.flags.has(Flags::CUT);
        let interim_comes = interims_run && session.lane == Lane::Out && session.next_interim != Mono::ZERO;
        let latest = self.account(slot).sampled.plus(self.sampling.interval);
        if interim_comes && session.next_interim >= now && session.next_interim <= latest {
            return;
        }
        self.sample_now(slot, now, counters);
    }

    /// Takes a sample, if the counters can be read.
    pub(super) fn sample_now(&mut self, slot: Slot, now: Mono, counters: &impl CounterSource) {
        if let Some(read) = self.read_on(slot, counters) {
            self.keep_sample(slot, read, now);
        }
    }

    /// The session's counters were read; the ledger learns of it if they tell something new.
    pub(super) fn keep_sample(&mut self, slot: Slot, read: Counters, now: Mono) {
        if self.table.counted(slot) == read {
            return;
        }
        self.table.set_counted(slot, read);
        self.account_mut(slot).sampled = now;
        self.owe_sample(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    /// Plays a walk over `slots` slots that is called when it wants to be, and says when each slot was visited.
    fn walk(slots: u32, interval_s: u64, until_s: u64) -> Vec<Vec<u64>> {
        let mut sampling = Sampling::new(Mono::ZERO);
        sampling.set_interval(Duration::from_secs(interval_s));
        let mut visits = vec![Vec::new(); slots as usize];
        let mut now = Mono::ZERO;
        while now < at(until_s * 1000) {
            for slot in sampling.step(now, slots) {
                visits[slot as usize].push(now.as_millis());
            }
            let next = sampling.next(slots);
            assert!(sampling.is_behind || next > now, "it does not ask to be called at once");
            now = next.max(now.plus(Duration::from_micros(10)));
        }
        visits
    }

    #[test]
    fn every_slot_is_visited_once_in_an_interval() {
        for (slots, interval_s) in [(1, 60), (7, 60), (1000, 1), (50_000, 10), (40_000, 3600)] {
            for (slot, visits) in walk(slots, interval_s, 4 * interval_s + 1).iter().enumerate() {
                assert!(visits.len() >= 3, "slot {slot} of {slots}: {visits:?}");
                for pair in visits.windows(2) {
                    let gap = pair[1] - pair[0];
                    let most = interval_s * 1000 + Mono::ZERO.plus(2 * PACE).as_millis();
                    assert!(gap + 100 >= interval_s * 1000 && gap <= most, "slot {slot} of {slots}: {gap} ms");
                }
            }
        }
    }

    #[test]
    fn work_is_bounded_and_made_up_for() {
        let mut sampling = Sampling::new(Mono::ZERO);
        let slots = 1 << 20;
        let mut seen = 0;
        let now = at(60_000);
        while seen < slots {
            let step = sampling.step(now, slots);
            assert!(!step.is_empty() && step.len() <= STEP_MAX as usize);
            assert_eq!(step.start, seen);
            seen = step.end;
        }
        assert!(sampling.next(slots) > now);
    }

    #[test]
    fn a_few_sessions_do_not_keep_the_worker_awake() {
        let mut sampling = Sampling::new(Mono::ZERO);
        assert_eq!(sampling.step(at(30_000), 1), 0..0);
        assert_eq!(sampling.next(1), at(60_000));
        assert_eq!(sampling.step(at(60_000), 1), 0..1);
        assert_eq!(sampling.next(1), at(60_040), "the next round begins");
    }

    #[test]
    fn a_step_goes_with_what_the_worker_wakes_for() {
        let mut sampling = Sampling::new(Mono::ZERO);
        let slots = 60_000;
        assert_eq!(sampling.step(at(1_000), slots), 0..1_000);
        assert_eq!(sampling.step(at(1_019), slots), 1_000..1_000);
        assert_eq!(sampling.next(slots), at(1_040), "for its own sake");
        assert_eq!(sampling.step(at(1_020), slots), 1_000..1_020);
        assert_eq!(sampling.next(slots), at(1_060));
    }
}
