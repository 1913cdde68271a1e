//! The box was booted: old sessions end with what the ledger last knew, and their Stops go first.

use std::time::Duration;

use model::record::{BillReason, Closed, Delivered, TakenOver};
use model::settings::StartFail;
use model::time::{Mono, Now, Wall};
use wire::radius::attribute::{Type, acct_status_type};

use crate::stage::{Asked, BOOT, Kept, Live, Setup, Stage, at, moved};

/// A session that came up, was accepted and counted, as the ledger knows it after `seconds`.
fn grown(setup: Setup, seconds: u64, answers: bool) -> Live {
    let mut stage = Stage::new(1, at(100_000), setup).linked(1, 0);
    stage.up("a", 1);
    stage.run(Duration::from_secs(seconds), answers);
    stage.table.set(1, moved(7_000_000));
    stage.run(Duration::from_secs(61), answers);
    stage.only_live()
}

/// The next boot: its clock has begun anew, an hour of wall time has passed.
fn rebooted() -> Now {
    Now { mono: Mono::from_nanos(20_000_000_000), wall: Wall::from_millis(BOOT + 3_600_000) }
}

/// When the session was sampled, on the wall of its boot.
fn last_wall(live: &Live) -> Wall {
    let at = live.sampled.map_or(live.born.at.mono, |sampled| sampled.at);
    Wall::from_millis(live.born.at.wall.as_millis() + at.since(live.born.at.mono).as_millis() as u64)
}

fn stops(asked: &[Asked]) -> Vec<&Asked> {
    asked.iter().filter(|asked| asked.status() == acct_status_type::STOP).collect()
}

#[test]
fn an_online_session_ends_with_its_last_sample() {
    let live = grown(Setup::default(), 30, true);
    let last = last_wall(&live);
    let mut stage = Stage::new(2, rebooted(), Setup::default());
    stage.restore(&live, Some(last)).unwrap();
    stage.transmit();
    assert!(stage.asked.is_empty(), "no Stop before `closed` is durable");
    let asked = stage.run(Duration::from_secs(1), true);
    let lasted = (last.as_millis() - live.born.at.wall.as_millis()) / 1000;
    let closed = Closed {
        serial: live.born.serial,
        taken_over: TakenOver::default(),
        at: Now { mono: Mono::ZERO, wall: last },
        cause: 11,
        session_time_s: lasted as u32,
        counters: moved(7_000_000),
    };
    assert_eq!(stage.records.first(), Some(&Kept::Closed(closed)));
    assert_eq!(stage.records.last(), Some(&Kept::Over(live.born.serial)));
    let [stop] = stops(&asked)[..] else { panic!("{asked:?}") };
    for (kind, expected) in [
        (Type::ACCT_TERMINATE_CAUSE, 11),
        (Type::EVENT_TIMESTAMP, last.event_timestamp()),
        (Type::ACCT_SESSION_TIME, closed.session_time_s),
        (Type::ACCT_INPUT_OCTETS, 7_000_000),
        (Type::ACCT_DELAY_TIME, ((BOOT + 3_600_000 - last.as_millis()) / 1000) as u32),
    ] {
        assert_eq!(stop.u32(kind), Some(expected), "{kind:?}");
    }
}

#[test]
fn without_a_sample_it_ends_where_it_began() {
    let mut first = Stage::new(1, at(100_000), Setup::default()).linked(1, 0);
    first.up("a", 1);
    first.run(Duration::from_secs(5), true);
    let live = first.only_live();
    assert_eq!(live.sampled, None);
    let mut stage = Stage::new(2, rebooted(), Setup::default());
    stage.restore(&live, Some(live.born.at.wall)).unwrap();
    let asked = stage.run(Duration::from_secs(1), true);
    let [stop] = stops(&asked)[..] else { panic!("{asked:?}") };
    assert_eq!(stop.u32(Type::ACCT_SESSION_TIME), Some(0));
    assert_eq!(stop.u32(Type::EVENT_TIMESTAMP), Some(live.born.at.wall.event_timestamp()));
}

/// What was closed before keeps its numbers in any life, and its delay is counted on the wall.
#[test]
fn a_closed_session_keeps_its_record_over_two_boots() {
    let mut first = Stage::new(1, at(100_000), Setup::default()).linked(1, 0);
    first.up("a", 1);
    first.run(Duration::from_secs(10), true);
    first.table.set(1, moved(12));
    first.down("a");
    first.hand_out(usize::MAX);
    let mut live = first.only_live();
    let closed = live.closed.unwrap();
    for (life, start) in [(2, 3_600_000), (3, 7_200_000)] {
        let now = Now { mono: Mono::from_nanos(1_000_000), wall: Wall::from_millis(BOOT + start) };
        let mut stage = Stage::new(life, now, Setup { stop_resend: 9, ..Setup::default() });
        stage.restore(&live, Some(live.born.at.wall)).unwrap();
        stage.turn();
        let [stop] = stops(&stage.asked)[..] else { panic!("{:?}", stage.asked) };
        assert_eq!(stop.u32(Type::EVENT_TIMESTAMP), Some(closed.at.wall.event_timestamp()));
        assert_eq!(stop.u32(Type::ACCT_TERMINATE_CAUSE), Some(1));
        assert_eq!(stop.u32(Type::ACCT_SESSION_TIME), Some(10));
        assert_eq!(stop.u32(Type::ACCT_INPUT_OCTETS), Some(12));
        let delay = (BOOT + start - closed.at.wall.as_millis()) / 1000;
        assert_eq!(stop.u32(Type::ACCT_DELAY_TIME), Some(delay as u32));
        // Its checkpoint says the same, so the next life does too.
        stage.run(Duration::from_secs(200), false);
        let again = stage.only_live();
        let same =
            |closed: &Closed| (closed.serial, closed.at.wall, closed.cause, closed.session_time_s, closed.counters);
        assert_eq!(again.closed.as_ref().map(same), Some(same(&closed)));
        live = again;
    }
}

#[test]
fn bills_say_that_the_box_was_booted() {
    let online = grown(Setup::default(), 30, true);
    let failed = grown(Setup::default(), 30, false);
    assert!(failed.start_failed.is_some());
    for (what, live, reason, delivered) in [
        ("online", &online, BillReason::Rebooted, Delivered::Unknown),
        ("start-failed", &failed, BillReason::StartFailed, Delivered::No),
    ] {
        let mut stage = Stage::new(2, rebooted(), Setup::default());
        stage.restore(live, Some(last_wall(live))).unwrap();
        stage.run(Duration::from_secs(60), false);
        let billed = stage.records.iter().find_map(|record| match record {
            Kept::Billed { reason, delivered, closed, .. } => Some((*reason, *delivered, *closed)),
            _ => None,
        });
        let (is, sent, closed) = billed.unwrap();
        assert_eq!((is, sent), (reason, delivered), "{what}");
        assert_eq!((closed.cause, closed.counters), (11, moved(7_000_000)), "{what}");
        assert!(matches!(stage.records[0], Kept::Closed(_)), "{what}");
        assert_eq!(stage.live().len(), 0);
    }
}

/// When Stop and Start first leave, in seconds after the start.
fn first_sends(answers: bool, setup: Setup) -> (u64, u64) {
    let live = grown(setup, 30, true);
    let mut stage = Stage::new(2, rebooted(), setup);
    stage.restore(&live, Some(last_wall(&live))).unwrap();
    stage = stage.linked(9, 0);
    stage.up("b", 2);
    let start = stage.now.mono;
    let mut first = [None, None];
    for _ in 0..800 {
        let sent = stage.run(Duration::from_millis(50), answers);
        for asked in sent {
            let which = usize::from(asked.status() == acct_status_type::START);
            first[which].get_or_insert(stage.now.mono.since(start).as_secs());
        }
    }
    (first[0].unwrap(), first[1].unwrap())
}

#[test]
fn starts_wait_for_old_stops_but_not_long() {
    // Answered: at once. Unanswered: until the transaction has ended, two waits of three seconds.
    assert_eq!(first_sends(true, Setup::default()), (0, 0));
    assert_eq!(first_sends(false, Setup::default()), (0, 6));
}

#[test]
fn who_comes_up_is_admitted_while_old_stops_are_out() {
    for (start_fail, verdicts) in [(StartFail::Online, 1), (StartFail::Offline, 0)] {
        let setup = Setup { start_fail, ..Setup::default() };
        let live = grown(setup, 30, true);
        let mut stage = Stage::new(2, rebooted(), setup);
        stage.restore(&live, Some(last_wall(&live))).unwrap();
        stage = stage.linked(9, 0);
        stage.up("b", 2);
        stage.hand_out(usize::MAX);
        stage.make_durable(stage.records.len() as u64);
        let given = std::iter::from_fn(|| stage.shard.poll_verdict().map(|_| ())).count();
        assert_eq!(given, verdicts, "{start_fail:?}");
    }
}
