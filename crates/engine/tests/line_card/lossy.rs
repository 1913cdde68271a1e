//! Lines that lose datagrams: what is lost is told again in its time, and nobody else waits for it.

use std::time::Duration;

use crate::card::{Bears, Card, settings};

const SESSIONS: usize = 60_000;

/// A storm of log-ins at a server that bears 3,000 a second and answers within 40 ms, with so many of a thousand datagrams lost each
/// way. Gives back how many left, and how many were answered, in each of ten seconds.
fn storm(lost: u64) -> (Card, Vec<(u32, u32)>) {
    let bears = Bears { per_second: 3_000, room: 250, way: Duration::from_millis(40), lost };
    let mut card = Card::new(7, SESSIONS, &settings());
    card.server(Some(bears));
    for number in 0..SESSIONS {
        card.up(number);
    }
    card.pass(Duration::from_secs(10));
    let seconds = card.seconds[1..].iter().map(|second| (second.asked, second.answered)).collect();
    (card, seconds)
}

#[test]
fn over_a_line_that_loses_a_tenth_each_way_a_server_is_asked_nearly_as_much_as_it_bears() {
    for (lost, answered_least) in [(0, 2_900), (10, 2_800), (30, 2_600), (100, 1_800)] {
        let (card, seconds) = storm(lost);
        println!("{lost}: {seconds:?}; {} waited at most, {} dropped", card.most_waiting, card.dropped);
        // The first two seconds find out what the server bears and what the line loses.
        for (second, (asked, answered)) in seconds.iter().enumerate().skip(2).take(7) {
            assert!(*answered >= answered_least, "{answered} answered in second {second}");
            // What leaves is what arrives in the mean: a server with a short queue loses nothing.
            assert!(u64::from(*asked) * (1_000 - lost) <= 3_150 * 1_000, "{asked} asked in second {second}");
        }
        assert!(card.dropped == 0 && card.most_waiting < 250, "{} waited, {} dropped", card.most_waiting, card.dropped);
    }
}
