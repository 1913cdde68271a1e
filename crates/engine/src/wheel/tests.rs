use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn millis(millis: u64) -> Mono {
    Mono::from_nanos(millis * 1_000_000)
}

#[derive(Clone, Debug)]
enum Step {
    Set { owner: u32, ahead_ms: u64 },
    Cancel { owner: u32 },
    Pass { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let ahead = prop_oneof![0..200u64, 0..100_000u64, 0..1_000_000_000u64];
    let pass = prop_oneof![0..50u64, 0..70_000u64, 0..100_000_000u64];
    prop_oneof![
        4 => (0..40u32, ahead).prop_map(|(owner, ahead_ms)| Step::Set { owner, ahead_ms }),
        1 => (0..40u32).prop_map(|owner| Step::Cancel { owner }),
        3 => pass.prop_map(|ms| Step::Pass { ms }),
    ]
}

proptest! {
    /// Held against a map of owner → moment: fires all that is due, never early, at most a tick late; and whoever waits as told is as late as gathering may make it.
    #[test]
    fn agrees_with_a_map(begin in 0..u64::MAX / 4, steps in prop::collection::vec(step(), 1..200)) {
        let mut now = Mono::from_nanos(begin);
        let mut wheel = Wheel::new(40, now);
        let mut oracle: BTreeMap<u32, Mono> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Set { owner, ahead_ms } => {
                    let at = now.plus(Duration::from_millis(ahead_ms));
                    wheel.set(owner, at);
                    oracle.insert(owner, at);
                }
                Step::Cancel { owner } => {
                    wheel.cancel(owner);
                    oracle.remove(&owner);
                }
                Step::Pass { ms } => {
                    now = now.plus(Duration::from_millis(ms));
                    while let Some(owner) = wheel.expire(now) {
                        let at = oracle.remove(&owner);
                        prop_assert!(at.is_some_and(|at| at <= now), "{owner} fired at {now:?}, set for {at:?}");
                    }
                    for (owner, at) in &oracle {
                        prop_assert!(at.plus(TICK) > now, "{owner} is late at {now:?}, set for {at:?}");
                    }
                }
            }
            if let Some(earliest) = oracle.values().min() {
                let next = wheel.next_expiry();
                prop_assert!(next.is_some_and(|next| next < earliest.plus(GATHER).max(now.plus(GATHER))), "{next:?} for {earliest:?}");
            }
        }
    }
}

#[test]
fn stale_hints_are_swept_and_nothing_is_lost() {
    let mut wheel = Wheel::new(100, Mono::ZERO);
    for round in 0..5_000 {
        for owner in 0..100 {
            wheel.set(owner, millis(1_000_000 + round * 100 + u64::from(owner)));
        }
    }
    let mut fired = Vec::new();
    while let Some(owner) = wheel.expire(millis(2_000_000)) {
        fired.push(owner);
    }
    fired.sort_unstable();
    assert_eq!(fired, (0..100).collect::<Vec<_>>());
    assert_eq!(wheel.next_expiry(), None);
}

#[test]
fn the_count_of_ticks_begins_again() {
    let day = Duration::from_secs(86_400);
    let mut wheel = Wheel::new(2, Mono::ZERO);
    let mut now = Mono::ZERO;
    wheel.set(1, now.plus(day * 3));
    for _ in 0..300 {
        now = now.plus(day * 3);
        assert_eq!(wheel.expire(now), Some(1), "at {now:?}");
        assert_eq!(wheel.expire(now), None);
        wheel.set(1, now.plus(day * 3));
    }
}

#[test]
fn a_million_timers_take_at_most_ten_bytes_each() {
    let capacity = 1_000_000;
    let wheel = Wheel::new(capacity, Mono::ZERO);
    let bytes = wheel.due.capacity() * 4 + wheel.chunks.capacity() * 64 + wheel.slots.capacity() * size_of::<Slot>();
    assert!(bytes <= capacity * 10, "{bytes}");
}

/// Timers at these moments, in milliseconds from a start that lies on a tick: when they are waited for together.
#[test]
fn few_are_gathered_and_many_are_not_kept_waiting() {
    let next = |moments: &[u64]| {
        let mut wheel = Wheel::new(moments.len(), Mono::ZERO);
        (0..).zip(moments).for_each(|(owner, &at)| wheel.set(owner, millis(at)));
        wheel.next_expiry().unwrap()
    };
    assert_eq!(next(&[101]), millis(120), "it waits for others, of which there are none");
    assert_eq!(next(&[101, 104, 109, 130]), millis(120));
    assert_eq!(next(&[120]), millis(120));
    assert_eq!(next(&[104; 64]), millis(104), "a message is full");
    assert_eq!(next(&[[102; 40], [107; 40]].concat()), millis(108));
    assert_eq!(next(&[[102; 40], [123; 40]].concat()), millis(120));
    assert_eq!(next(&[104; 63]), millis(120));
    assert_eq!(next(&[1000; 1000]), millis(1000));
    assert_eq!(next(&[16_375; 3]), millis(16_380));
}
