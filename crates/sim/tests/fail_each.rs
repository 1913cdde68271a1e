//! Operations that fail once, each in every way that it has, in a world that is small; `sim --fail-each` does it with whole ones.

use std::collections::BTreeMap;

use sim::{Fails, Knobs, Struck, World};

/// Every operation from the first on, so many at a step; what failed, by kind.
fn fail(seed: u64, killed_after: Option<u64>, step: usize) -> BTreeMap<&'static str, u64> {
    let mut failed = BTreeMap::new();
    for number in (1..).step_by(step) {
        for way in 0.. {
            let fails = Some(Fails { number, way, killed_after });
            let knobs = Knobs { minutes: Some(1), sessions: Some(2), fails, ..Knobs::default() };
            let outcome = World::new(seed, knobs, false).run();
            assert!(outcome.violation.is_none(), "seed {seed}, {fails:?}: {:?}", outcome.violation);
            let Some(Struck { what, ways }) = outcome.struck else { return failed };
            *failed.entry(what).or_default() += 1;
            if way + 1 == ways {
                break;
            }
        }
    }
    failed
}

#[test]
fn operations_fail_one_by_one_until_none_is_left() {
    let failed = fail(1, None, 7);
    for what in ["writing", "syncing", "sending"] {
        assert!(failed.get(what).is_some_and(|count| *count > 1), "no {what}: {failed:?}");
    }
}

#[test]
fn recovery_fails_one_by_one_until_none_is_left() {
    for killed_after in [20, 41] {
        let failed = fail(1, Some(killed_after), 1);
        for what in ["reading a segment", "creating a segment", "writing", "syncing"] {
            assert!(failed.contains_key(what), "no {what}: {failed:?}");
        }
    }
}
