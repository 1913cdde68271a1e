//! When interims are due (BEHAVIOUR.md 3.3, rules 4 and 6).

use std::time::Duration;

use model::ids::SessionSerial;
use model::time::Mono;

use crate::identity::Key;

/// The first interim after `base`, the end of the Start: an interval later, or with `hash` somewhere in [T, 2T].
pub(crate) fn first_interim(key: &Key, serial: SessionSerial, interval_s: u32, hash: bool, base: Mono) -> Mono {
    let interval = Duration::from_secs(interval_s.into());
    base.plus(if hash { key.first_interim(serial, interval) } else { interval })
}

/// The first moment of the schedule `first, first + T, …` after `now`: whatever was missed is skipped, and the
/// phase stays.
pub(crate) fn next_interim(first: Mono, interval_s: u32, now: Mono) -> Mono {
    if first > now {
        return first;
    }
    let interval = u64::from(interval_s) * 1_000_000_000;
    let missed = (now.as_nanos() - first.as_nanos()) / interval + 1;
    Mono::from_nanos(first.as_nanos() + missed * interval)
}

/// The last moment of the schedule that has `next` in it, at or before `at`, which lies before `next`.
pub(crate) fn last_due(next: Mono, interval_s: u32, at: Mono) -> Mono {
    let interval = u64::from(interval_s) * 1_000_000_000;
    let last = next.as_nanos().saturating_sub(interval);
    // It may have waited for longer than an interval.
    let more = match last.saturating_sub(at.as_nanos()) {
        0 => 0,
        behind => behind.div_ceil(interval) * interval,
    };
    Mono::from_nanos(last.saturating_sub(more))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    /// BEHAVIOUR.md section 12, vectors 1 and 2.
    #[test]
    fn ticks_lie_where_the_vectors_say() {
        let key = Key::new([3; 16]);
        let serial = SessionSerial { epoch: 1, sequence: 9 };
        assert_eq!(first_interim(&key, serial, 6000, false, at(10)), at(6010));
        let hashed = first_interim(&key, serial, 30, true, at(10));
        assert!(hashed >= at(40) && hashed <= at(70), "{hashed:?}");
    }

    #[test]
    fn missed_ticks_are_skipped_and_the_phase_stays() {
        for (first, interval, now, expected) in
            [(100, 60, 50, 100), (100, 60, 100, 160), (100, 60, 159, 160), (100, 60, 1000, 1060)]
        {
            assert_eq!(next_interim(at(first), interval, at(now)), at(expected));
        }
    }

    #[test]
    fn what_waits_was_due_at_the_last_moment_before() {
        for (next, at_s, due) in [(160, 100, 100), (160, 130, 100), (220, 100, 100), (220, 159, 100), (220, 160, 160)] {
            assert_eq!(last_due(at(next), 60, at(at_s)), at(due), "{next} {at_s}");
        }
    }
}
