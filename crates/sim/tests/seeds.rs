//! A few worlds, under the checks of a debug build.

use std::collections::BTreeMap;

use sim::{Knobs, World};

fn knobs() -> Knobs {
    Knobs::default()
}

#[test]
fn worlds_break_no_rule() {
    let mut sessions = 0;
    let mut happened: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..70 {
        let outcome = World::new(seed, knobs(), false).run();
        assert!(outcome.violation.is_none(), "seed {seed}: {:?}", outcome.violation);
        sessions += outcome.sessions;
        outcome.faults.iter().for_each(|(what, count)| *happened.entry(what).or_default() += count);
    }
    assert!(sessions > 1_000, "the worlds are inhabited: {sessions}");
    for what in [
        "reboots",
        "closed by a reboot",
        "cache backups",
        "cfcard backups",
        "cfcard resets",
        "commits",
        "bills reset",
        "replays",
        "files delivered",
        "disconnects acknowledged",
        "changes acknowledged",
        "answers repeated",
        "orders that mean several",
        "accounting-on",
        "accounting-off",
        "commits of groups",
        "shutdowns to the end",
        "partitions",
        "cut off",
        "servers half dead",
        "servers restarted",
        "servers under another secret",
        "bits rotten at rest",
        "bits rotten when read",
    ] {
        assert!(happened.get(what).is_some_and(|count| *count > 0), "no {what}: {happened:?}");
    }
}

/// Worlds in which a promise of the ledger keeps a bill from being told twice, or octets from being lost.
#[test]
fn worlds_that_need_what_was_promised() {
    for (seed, promise) in [
        (35, "what was on its way to a card that failed is free again"),
        (63, "nobody waits for a sample longer than one checkpoint interval"),
        (65, "a claim that a crash left open comes back as sent"),
        (113, "a claim is durable before the bill is sent"),
        (122, "a file that is given up leaves bills that say so"),
        (163, "what the ledger says is gone from the card is gone"),
        (426, "who was announced once and then no more is not new when that is read again"),
        (801, "a card that a reset had half emptied is not damaged"),
        (830, "a bill that was replayed while the card was read is not the card's"),
        (1027, "a segment says in whose life its records begin"),
        (1420, "a Start of an earlier life waits for Stops of an earlier boot as well"),
        (2189, "an interim that is answered when it is tried again changes nothing about its failure"),
    ] {
        let outcome = World::new(seed, knobs(), false).run();
        assert!(outcome.violation.is_none(), "seed {seed}, {promise}: {:?}", outcome.violation);
        assert!(outcome.sessions > 20, "seed {seed} is inhabited: {}", outcome.sessions);
    }
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in [7, 365] {
        let tell = || {
            let mut world = World::new(seed, knobs(), true);
            let _ = world.run();
            world.trace().to_vec()
        };
        let story = tell();
        assert!(!story.is_empty());
        assert_eq!(story, tell(), "seed {seed}");
    }
}
