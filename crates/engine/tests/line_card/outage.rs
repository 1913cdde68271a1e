//! A server that comes back after ten minutes, and bears 3,000 requests a second.

use std::time::Duration;

use crate::card::{Bears, Card, WAY, settings};

const SESSIONS: usize = 100_000;
/// What a server's socket holds by default.
const ROOM: usize = 250;

fn online(bears: Bears) -> Card {
    let mut card = Card::new(7, SESSIONS + SESSIONS / 2, &settings());
    card.server(Some(Bears::near(50_000, 4_096)));
    for number in 0..SESSIONS {
        card.up(number);
        if number % 100 == 0 {
            card.pass(Duration::from_millis(5));
        }
    }
    card.pass(Duration::from_secs(70));
    card.server(Some(bears));
    card
}

#[test]
fn after_an_outage_the_server_is_asked_as_much_as_it_bears_and_the_end_is_foretold() {
    let bears = Bears::near(3_000, ROOM);
    let mut card = online(bears);
    card.pass(Duration::from_secs(30));
    card.server(None);
    // Half of the subscribers go while nobody answers, and their Stops wait.
    for tenth in 0..600 {
        card.pass(Duration::from_secs(1));
        for number in tenth * SESSIONS / 1_200..(tenth + 1) * SESSIONS / 1_200 {
            card.down(number);
        }
    }
    let (waiting, foretold) = card.backlog();
    assert!(waiting > SESSIONS as u64 / 2 - 1_000, "{waiting} wait");
    assert_eq!(foretold, None, "nothing comes");
    card.server(Some(bears));
    let dropped_before = card.dropped;
    wait_for_the_first_answers(&mut card);
    card.pass(Duration::from_secs(5));
    let began = card.now.mono;
    let (waiting, foretold) = card.backlog();
    let foretold = foretold.unwrap();
    let from = card.seconds.len();
    let mut took = 0;
    while card.backlog().0 > 100 {
        card.pass(Duration::from_secs(1));
        took += 1;
        assert!(took < 600, "{:?}", card.backlog());
    }
    let busy: Vec<u32> = card.seconds[from..].iter().map(|second| second.answered).take(took).collect();
    let mean = busy.iter().sum::<u32>() / u32::try_from(busy.len()).unwrap();
    println!(
        "{waiting} waited, foretold {foretold} s, took {took} s, {mean} answered a second, at most {} of {ROOM} waited, {} dropped",
        card.most_waiting,
        card.dropped - dropped_before
    );
    assert!(card.now.mono > began);
    assert!(foretold.abs_diff(took as u64) * 5 <= took as u64, "foretold {foretold} s, took {took} s");
    assert!(u64::from(mean) * 100 >= 95 * bears.per_second, "{mean} a second");
    assert!(card.most_waiting < ROOM && card.dropped == dropped_before, "{} waited", card.most_waiting);
    // Nothing is lost: every Stop was answered, and no bill was made.
    assert_eq!((card.bills(), card.shard.report().stops_unacknowledged), (0, 0));
    assert_eq!(card.shard.report().sessions, SESSIONS as u64 / 2);
}

/// Until somebody finds out that the server is back: it is Down, and probed.
fn wait_for_the_first_answers(card: &mut Card) {
    let mut waited = 0;
    while card.backlog().1.is_none() {
        card.pass(Duration::from_secs(1));
        waited += 1;
        assert!(waited < 60, "the server answers, and nobody has noticed");
    }
}

#[test]
fn a_log_in_has_its_verdict_while_a_hundred_thousand_stops_drain() {
    let bears = Bears::near(3_000, ROOM);
    let mut card = online(bears);
    card.server(None);
    for number in 0..SESSIONS {
        card.down(number);
        if number % 1_000 == 0 {
            card.pass(Duration::from_millis(10));
        }
    }
    card.pass(Duration::from_secs(60));
    assert!(card.shard.report().stops_unacknowledged > SESSIONS as u64 - 100);
    card.server(Some(bears));
    wait_for_the_first_answers(&mut card);
    let mut slowest = Duration::ZERO;
    for number in SESSIONS..SESSIONS + 200 {
        let (began, admitted) = (card.now.mono, card.admitted);
        card.up(number);
        while card.admitted == admitted {
            card.pass(Duration::from_millis(1));
        }
        slowest = slowest.max(card.now.mono.since(began));
        card.pass(Duration::from_millis(20));
    }
    let waiting = card.backlog().0;
    println!("the slowest of 200 log-ins had its verdict after {slowest:?}; {waiting} Stops still wait");
    assert!(waiting > 0 && slowest <= WAY + Duration::from_millis(50), "{slowest:?}, {waiting}");
}
