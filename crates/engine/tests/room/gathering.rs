//! What is done many at a time, and when it must not be.

use std::time::Duration;

use wire::radius::attribute::acct_status_type;

use crate::stage::{Setup, Stage, at};

fn online(sessions: u32) -> Stage {
    let setup = Setup { interim_s: 60, sessions: sessions as usize + 1, ..Setup::default() };
    let mut stage = Stage::new(1, at(100_000), setup).linked(1, 0);
    for number in 0..sessions {
        stage.up(&format!("s{number}"), number);
    }
    stage.run(Duration::from_secs(5), true);
    stage
}

#[test]
fn replies_are_gathered_while_nobody_waits_for_one() {
    let mut stage = online(40);
    let patient = |stage: &mut Stage| (0..3).map(|_| stage.shard.replies_in_no_hurry()).max().unwrap();
    assert_eq!(patient(&mut stage), 1, "none is out");
    while stage.asked.is_empty() {
        stage.pass(Duration::from_millis(100));
        stage.turn();
    }
    let out = stage.asked.len();
    assert!(out > 1 && patient(&mut stage) == out, "{out} interims");
    let prompt = (0..64).filter(|_| stage.shard.replies_in_no_hurry() == 1).count();
    assert_eq!(prompt, 4, "now and then the round trip is measured");
    // Somebody comes: the ledger is waited for, and then the reply to the Start.
    stage.up("late", 40);
    stage.hand_out(usize::MAX);
    assert_eq!(patient(&mut stage), 1);
    stage.answer();
    stage.turn();
    assert_eq!(stage.asked.iter().filter(|asked| asked.status() == acct_status_type::START).count(), 1);
    assert_eq!(patient(&mut stage), 1);
}

/// All are due in one tick; one call serves some of them, and says that it has to be called again at once.
#[test]
fn many_that_fall_due_together_fall_due_in_several_calls() {
    let mut stage = online(1_000);
    stage.run(Duration::from_secs(65), true);
    stage.pass(Duration::from_secs(60));
    let mut calls = 0;
    while stage.shard.poll_timeout().is_some_and(|due| due <= stage.now.mono) {
        stage.shard.handle_timeout(stage.now, &stage.table);
        stage.shard.sweep(stage.now, &stage.table);
        calls += 1;
        assert!(calls < 100, "it comes to an end");
    }
    assert!(calls >= 3, "{calls} calls");
    let sent = stage.run(Duration::from_secs(20), true);
    assert_eq!(sent.len(), 1_000, "each once");
}
