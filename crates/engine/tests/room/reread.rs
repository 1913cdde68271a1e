//! A ring that is read again after a crash, from what was consumed, tells the ledger nothing that it knows.

use std::time::Duration;

use model::event::PlaneEvent;
use model::record::TakenOver;

use crate::stage::{Kept, PLANE, PLANE_NAME, Setup, Stage, at};

/// What the plane says, position after position: the subscriber comes up and is announced, and then it is announced no more.
fn say_all(stage: &mut Stage, seconds: u64) {
    stage.up("a", 1);
    stage.event(PlaneEvent::ResyncBegin);
    stage.up("a", 1);
    stage.event(PlaneEvent::ResyncEnd);
    stage.run(Duration::from_secs(seconds), true);
    stage.event(PlaneEvent::ResyncBegin);
    stage.event(PlaneEvent::ResyncEnd);
    stage.run(Duration::from_secs(seconds), true);
}

#[test]
fn who_was_announced_no_more_is_not_new_when_the_announcement_is_read_again() {
    let mut first = Stage::new(1, at(100_000), Setup::default()).linked(1, 0);
    say_all(&mut first, 10);
    let [Kept::Opened(opened), .., Kept::Closed(closed), Kept::Over(over)] = &first.records[..] else {
        panic!("{:?}", first.records)
    };
    assert_eq!((closed.cause, over), (3, &opened.serial), "Lost-Service, and its Stop was answered");
    assert_eq!(closed.taken_over, TakenOver { plane_epoch: 1, ring: TakenOver::GONE, position: 2 });

    let mut second = Stage::new(2, at(200_000), Setup::default());
    let taken_over = vec![opened.taken_over, closed.taken_over];
    second.shard.handle_plane_known(second.now.mono, PLANE, PLANE_NAME, taken_over);
    let mut second = second.linked(1, 0);
    say_all(&mut second, 10);
    assert!(!second.records.iter().any(|record| matches!(record, Kept::Opened(_))), "{:?}", second.records);
    // The next subscriber of that name is one.
    second.up("a", 1);
    second.run(Duration::from_secs(1), true);
    assert!(second.records.iter().any(|record| matches!(record, Kept::Opened(_))), "{:?}", second.records);
}
