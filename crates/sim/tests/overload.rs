//! Worlds that are loaded with one thing beyond all measure: who gives way is whom the manual names (section 4), and no rule is
//! broken by it.

use std::collections::BTreeMap;

use sim::{Knobs, Load, World};

fn happened(seed: u64, knobs: Knobs) -> BTreeMap<&'static str, u64> {
    let outcome = World::new(seed, knobs, false).run();
    assert!(outcome.violation.is_none(), "seed {seed}: {:?}", outcome.violation);
    let mut happened = outcome.faults;
    happened.insert("sessions", outcome.sessions);
    happened
}

#[test]
fn log_ins_that_find_the_ring_full_wait_with_their_plane() {
    for seed in [1, 4] {
        let knobs = Knobs { load: Some(Load::Intake), sessions: Some(100), minutes: Some(1), ..Knobs::default() };
        let happened = happened(seed, knobs);
        assert!(happened["events that waited with their plane"] > 100, "seed {seed}: {happened:?}");
        assert!(happened["sessions"] > 500, "seed {seed}: {happened:?}");
    }
}

#[test]
fn forged_replies_are_shed_by_the_socket_and_believed_by_nobody() {
    let mut shed = 0;
    for seed in [2, 9] {
        let knobs = Knobs { load: Some(Load::Replies), sessions: Some(20), minutes: Some(1), ..Knobs::default() };
        let happened = happened(seed, knobs);
        assert!(happened["forged in a flood"] > 200_000, "seed {seed}: {happened:?}");
        shed += happened["datagrams shed"];
    }
    assert!(shed > 1000, "more came at once than sockets hold: {shed}");
}

#[test]
fn an_hour_without_a_datagram_costs_space_by_the_session_and_not_by_the_minute() {
    for seed in [3, 11] {
        let segments = |minutes| {
            let knobs =
                Knobs { load: Some(Load::Loss), sessions: Some(20), minutes: Some(minutes), ..Knobs::default() };
            let happened = happened(seed, knobs);
            assert!(happened["datagrams lost"] > 20, "seed {seed}: {happened:?}");
            happened["segments at most"]
        };
        let (short, long) = (segments(10), segments(60));
        assert!(long <= 2 * short + 2, "seed {seed}: {short} segments after ten minutes, {long} after an hour");
    }
}

#[test]
fn a_slow_bill_server_keeps_bills_waiting_and_nobody_else() {
    let happened = happened(6, Knobs { load: Some(Load::Bills), sessions: Some(10), ..Knobs::default() });
    assert!(happened["bills"] > 10 && happened["files delivered"] > 0, "{happened:?}");
}
