//! A bill is sent once more: the same Stop, or none that anybody would take for a session's.

use std::time::Duration;

use engine::{NoSlot, Search, Searched};
use model::ids::BillId;
use model::record::{Closed, Departure, Returned};
use model::settings::Settings;
use model::time::Wall;
use wire::radius::attribute::Type;

use crate::stage::{BOOT, Kept, Live, Setup, Stage, at, bill, moved};

const ID: BillId = BillId { epoch: 1, sequence: 41 };

/// A session whose Stop nobody answered.
fn billed() -> (Live, Closed) {
    let mut stage = Stage::new(1, at(100_000), Setup::default()).linked(1, 0);
    stage.up("a", 1);
    stage.run(Duration::from_secs(10), true);
    stage.table.set(1, moved(500));
    stage.down("a");
    stage.hand_out(usize::MAX);
    let live = stage.only_live();
    let closed = live.closed.unwrap();
    (live, closed)
}

/// A later life in which the subscriber `a` is online again.
fn later() -> Stage {
    let mut stage = Stage::new(2, at(1_000_000), Setup { sessions: 2, ..Setup::default() }).linked(2, 0);
    stage.up("a", 1);
    stage.run(Duration::from_secs(1), true);
    stage
}

#[test]
fn the_stop_is_the_bill_s() {
    let (live, closed) = billed();
    let mut stage = later();
    let before = stage.records.len();
    stage.shard.replay_bill(stage.now, ID, &bill(&live, closed)).unwrap();
    stage.turn();
    assert_eq!(stage.asked.len(), 1);
    let stop = stage.asked[0].clone();
    for (kind, expected) in [
        (Type::EVENT_TIMESTAMP, closed.at.wall.event_timestamp()),
        (Type::ACCT_TERMINATE_CAUSE, 1),
        (Type::ACCT_SESSION_TIME, 10),
        (Type::ACCT_INPUT_OCTETS, 500),
        (Type::ACCT_DELAY_TIME, ((stage.now.wall.as_millis() - closed.at.wall.as_millis()) / 1000) as u32),
    ] {
        assert_eq!(stop.u32(kind), Some(expected), "{kind:?}");
    }
    let (report, shown) = (stage.shard.report(), stage.shard.access_users(stage.now, &stage.table, 9));
    assert_eq!((report.sessions, report.stops_unacknowledged), (1, 0), "it is no session");
    assert_eq!(shown.len(), 1);
    let mut search = Search::new(&stop.session_id());
    assert!(matches!(stage.shard.search(&mut search, 1024), Searched::Nowhere));
    stage.pass(Duration::from_secs(2));
    stage.answer();
    stage.turn();
    let departed = Kept::Departed {
        departure: Departure::Replayed,
        ids: vec![ID],
        at: Wall::from_millis(BOOT + 1_003_000),
        octets: (500, 0),
    };
    assert_eq!(stage.records[before..], [departed]);
    assert!(stage.shard.has_answering_server());
}

#[test]
fn what_is_not_answered_returns_after_one_transaction() {
    let (live, closed) = billed();
    let mut stage = later();
    let before = stage.records.len();
    stage.shard.replay_bill(stage.now, ID, &bill(&live, closed)).unwrap();
    let asked = stage.run(Duration::from_secs(120), false);
    assert_eq!(asked.len(), 2, "two transmissions of one transaction");
    assert_eq!(stage.records[before..], [Kept::Returned(Returned { id: ID, was_sent: true })]);
    assert!(!stage.shard.has_answering_server());
    assert_eq!(stage.live().len(), 1, "the subscriber's own session is as it was");
}

#[test]
fn without_a_group_it_returns_at_once() {
    let (live, closed) = billed();
    let mut stage = later();
    stage.down("a");
    stage.run(Duration::from_secs(1), true);
    let before = stage.records.len();
    stage.shard.configure(&Settings::default());
    stage.shard.replay_bill(stage.now, ID, &bill(&live, closed)).unwrap();
    stage.turn();
    assert!(stage.asked.is_empty());
    assert_eq!(stage.records[before..], [Kept::Returned(Returned { id: ID, was_sent: false })]);
}

#[test]
fn a_full_table_takes_none_and_an_ended_replay_frees_its_slot() {
    let (live, closed) = billed();
    let mut stage = later();
    let bill = bill(&live, closed);
    assert_eq!(stage.shard.replay_bill(stage.now, ID, &bill), Ok(()));
    assert_eq!(stage.shard.replay_bill(stage.now, ID, &bill), Err(NoSlot));
    stage.run(Duration::from_secs(1), true);
    assert_eq!(stage.shard.replay_bill(stage.now, ID, &bill), Ok(()));
}

#[test]
fn events_and_resyncs_do_not_find_it() {
    let (live, closed) = billed();
    let mut stage = later();
    stage.shard.replay_bill(stage.now, ID, &bill(&live, closed)).unwrap();
    stage.turn();
    stage.down("a");
    stage.down("");
    stage.run(Duration::from_secs(1), true);
    let over = stage.records.iter().filter(|record| matches!(record, Kept::Over(_))).count();
    let departed = stage.records.iter().filter(|record| matches!(record, Kept::Departed { .. })).count();
    assert_eq!((over, departed), (1, 1));
    assert_eq!(stage.shard.report().sessions, 0);
}
