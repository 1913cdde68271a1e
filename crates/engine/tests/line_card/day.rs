//! Interims keep their phase all day long.

use std::collections::HashMap;
use std::time::Duration;

use engine::wheel::GATHER;
use model::time::Mono;

use crate::card::{Bears, Card, settings};

const SESSIONS: usize = 100;
const INTERVAL: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long the card sleeps at least, whatever is due.
const TURN: Duration = Duration::from_micros(200);

/// The k-th interim of a session leaves k intervals after its first, give or take what a tick is long: neither ticks nor round
/// trips nor samples add up.
#[test]
fn interims_do_not_drift_in_a_day() {
    let mut card = Card::new(3, SESSIONS, &settings());
    card.server(Some(Bears::near(5_000, 4_096)));
    for number in 0..SESSIONS {
        card.up(number);
        card.pass(Duration::from_millis(7));
    }
    card.interims = Some(HashMap::new());
    card.pass(2 * INTERVAL + DAY);
    let interims = card.interims.take().unwrap();
    assert_eq!(interims.len(), SESSIONS);
    let tick = u64::try_from((GATHER + TURN).as_nanos()).unwrap();
    let mut worst = 0;
    for (user, moments) in interims {
        assert!(moments.len() >= 1440, "{} has {} interims", String::from_utf8_lossy(&user), moments.len());
        for (moment, number) in moments.iter().zip(0..) {
            let due = moments[0].plus(INTERVAL * number);
            let astray = moment.as_nanos().abs_diff(due.as_nanos());
            assert!(astray <= tick, "interim {number} of {} is {astray} ns astray", String::from_utf8_lossy(&user));
            worst = worst.max(astray);
        }
    }
    // Held against the schedule itself, which only the engine knows: none is early, none is later than a tick.
    let lateness = card.shard.report().lateness;
    let late_ms = lateness.at_most_ms(1000).unwrap();
    println!(
        "{} interims in {:?}: {worst} ns astray at most, {late_ms} ms late at most",
        lateness.count(),
        card.now.mono.since(Mono::ZERO)
    );
    assert!(lateness.count() >= 1440 * SESSIONS as u64);
    assert!(Duration::from_millis(late_ms) <= GATHER + Duration::from_millis(1), "{late_ms} ms");
}
