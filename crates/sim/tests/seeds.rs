//! A few worlds, under the checks of a debug build.

use sim::{Knobs, World};

fn knobs() -> Knobs {
    Knobs { minutes: None, sessions: None }
}

#[test]
fn thirty_two_worlds_break_no_rule() {
    let mut sessions = 0;
    for seed in 0..32 {
        let outcome = World::new(seed, knobs(), false).run();
        assert!(outcome.violation.is_none(), "seed {seed}: {:?}", outcome.violation);
        sessions += outcome.sessions;
    }
    assert!(sessions > 1_000, "the worlds are inhabited: {sessions}");
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
