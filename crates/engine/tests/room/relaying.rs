//! Sessions that a NAS reports: what it says is told on as it was said, once, and not before it is durable.

use std::net::Ipv4Addr;
use std::time::Duration;

use engine::{Disconnected, NasGone, NotTaken, RelayRules, Report, Reported, Taken};
use model::report::UserSelector;
use model::settings::{DisconnectFail, RelayInterim, StartFail};
use model::time::{Mono, Now, Wall};
use model::verdict::{Reason, Sentence};
use wire::radius::Encoder;
use wire::radius::accounting::{Nas, Usage};
use wire::radius::attribute::{Type, acct_status_type};

use crate::stage::{Asked, BOOT, PLANE, Setup, Stage, at};

const CLIENT: &str = "relay 192.0.2.1";

fn rules(interim: RelayInterim, silence: u8) -> RelayRules {
    RelayRules { interim, silence, disconnect_fail: DisconnectFail::Keep }
}

fn stage_with(setup: Setup, rules: RelayRules) -> Stage {
    let mut stage = Stage::new(1, at(1_000_000), setup);
    stage.shard.handle_relay_client(stage.now.mono, PLANE, CLIENT, Some(rules));
    stage
}

fn stage() -> Stage {
    stage_with(Setup::default(), rules(RelayInterim::Follow, 3))
}

/// A stage on which these sessions have begun, and their Starts were answered.
fn stage_of(sessions: &[&str]) -> Stage {
    let mut stage = stage();
    for session in sessions {
        says(&mut stage, session, Reported::Start, 0, Usage::default());
    }
    moment(&mut stage, true);
    stage
}

/// What the NAS calls itself, and the session.
fn run(session: &str, more: &[u8]) -> Vec<u8> {
    let mut room = [0; 200];
    let mut run = Encoder::run(&mut room);
    run.bytes(Type::NAS_IDENTIFIER, b"bras1")
        .bytes(Type::ACCT_SESSION_ID, session.as_bytes())
        .bytes(Type::USER_NAME, session.as_bytes())
        .raw(more);
    run.finish().unwrap().to_vec()
}

fn octets(low: u32, gigawords: Option<u32>) -> Usage {
    Usage { in_octets: Some(low), in_gigawords: gigawords, ..Usage::default() }
}

/// The NAS reports this now, so many seconds after the session began.
fn says(stage: &mut Stage, session: &str, what: Reported, seconds: u32, usage: Usage) -> Taken {
    says_late(stage, session, what, seconds, usage, 0).unwrap()
}

/// The same, and it has tried for so long.
fn says_late(
    stage: &mut Stage,
    session: &str,
    what: Reported,
    seconds: u32,
    usage: Usage,
    delay_s: u64,
) -> Result<Taken, NotTaken> {
    let attributes = run(session, &[]);
    let mono = Mono::from_nanos(stage.now.mono.as_nanos() - delay_s * 1_000_000_000);
    let report = Report {
        session: session.as_bytes(),
        what,
        at: stage.now.at(mono),
        stamp: None,
        session_time_s: Some(seconds),
        usage,
        user: session.as_bytes(),
        domain: Some(b"isp"),
        attributes: &attributes,
    };
    stage.shard.handle_report(stage.now, PLANE, &report)
}

fn of_kind(asked: &[Asked], status: u32) -> Vec<&Asked> {
    asked.iter().filter(|asked| asked.status() == status).collect()
}

/// A moment in which the server answers, or does not.
fn moment(stage: &mut Stage, answers: bool) -> Vec<Asked> {
    stage.run(Duration::from_millis(20), answers)
}

#[test]
fn a_session_first_heard_of_by_an_interim_has_no_start_of_ours() {
    let mut stage = stage();
    assert_eq!(says(&mut stage, "a", Reported::Interim, 600, octets(7, None)), Taken::Joined);
    stage.transmit();
    assert!(stage.asked.is_empty(), "nothing leaves before the session is durable");
    let asked = moment(&mut stage, true);
    let [interim] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(interim.status(), acct_status_type::INTERIM_UPDATE);
    for (kind, expected) in [(Type::ACCT_SESSION_TIME, 600), (Type::ACCT_INPUT_OCTETS, 7)] {
        assert_eq!(interim.u32(kind), Some(expected), "{kind:?}");
    }
    // What it is called is its NAS's affair.
    assert_eq!(interim.packet().find(Type::NAS_IP_ADDRESS), None);
    assert_eq!(interim.packet().find(Type::NAS_IDENTIFIER), Some(&b"bras1"[..]));
    let born = stage.only_live().born.at.wall;
    assert_eq!(born.as_millis(), BOOT + 1_000_000 - 600_000, "it began when the NAS says");
    assert_eq!(says(&mut stage, "b", Reported::Stop(1), 5, octets(9, None)), Taken::Joined);
    let asked = moment(&mut stage, true);
    assert_eq!(
        of_kind(&asked, acct_status_type::STOP).len(),
        asked.len(),
        "and neither has one that has ended: {asked:?}"
    );
}

#[test]
fn an_interim_says_what_was_true_and_how_long_ago_that_is() {
    let mut stage = stage_of(&["a"]);
    stage.pass(Duration::from_secs(60));
    says_late(&mut stage, "a", Reported::Interim, 55, octets(500, None), 5).unwrap();
    // The server is away, then answers.
    let first = moment(&mut stage, false);
    assert_eq!(first[0].u32(Type::ACCT_DELAY_TIME), Some(5));
    stage.run(Duration::from_secs(30), false);
    says_late(&mut stage, "a", Reported::Stop(1), 85, octets(700, None), 0).unwrap();
    stage.pass(Duration::from_secs(7));
    let asked = stage.run(Duration::from_secs(200), true);
    let stop = of_kind(&asked, acct_status_type::STOP)[0];
    let at = 1_000_020 + 60_000 + 20 + 30_000;
    let expected_wall = ((BOOT + at) / 1000) as u32;
    let wall = stop.u32(Type::EVENT_TIMESTAMP).unwrap();
    assert!(wall.abs_diff(expected_wall) <= 1, "{wall} {expected_wall}");
    assert!(stop.u32(Type::ACCT_DELAY_TIME).unwrap() >= 7);
    assert_eq!((stop.u32(Type::ACCT_SESSION_TIME), stop.u32(Type::ACCT_INPUT_OCTETS)), (Some(85), Some(700)));
}

#[test]
fn counters_turn_over_where_no_gigawords_are_said_and_begin_again_where_they_are() {
    let total = |reports: &[(u32, Option<u32>)]| {
        let mut stage = stage_of(&["a"]);
        let mut seconds = 0;
        for &(low, gigawords) in reports {
            seconds += 60;
            stage.pass(Duration::from_secs(60));
            says(&mut stage, "a", Reported::Interim, seconds, octets(low, gigawords));
        }
        stage.shard.access_users(stage.now, &stage.table, 1)[0].counters.v4.in_octets
    };
    assert_eq!(total(&[(4_000_000_000, None), (100, None)]), (1 << 32) + 100);
    assert_eq!(total(&[(4_000_000_000, Some(1)), (100, Some(2))]), (2 << 32) + 100);
    // The NAS lost its counters: what it had told stands.
    assert_eq!(total(&[(1000, Some(3)), (50, Some(0)), (70, Some(0))]), (3 << 32) + 1070);
    // Gigawords are said when there are some.
    assert_eq!(total(&[(4_000_000_000, None), (100, Some(1)), (200, Some(1))]), (1 << 32) + 200);
    assert_eq!(total(&[(100, Some(1)), (200, None)]), (1 << 32) + 300);
}

#[test]
fn what_comes_again_or_late_changes_nothing() {
    let mut stage = stage();
    for expected in [Taken::News, Taken::Again] {
        assert_eq!(says(&mut stage, "a", Reported::Start, 0, Usage::default()), expected);
    }
    moment(&mut stage, true);
    stage.pass(Duration::from_secs(120));
    for expected in [Taken::News, Taken::Again] {
        assert_eq!(says(&mut stage, "a", Reported::Interim, 120, octets(50, None)), expected);
    }
    assert_eq!(says(&mut stage, "a", Reported::Interim, 60, octets(20, None)), Taken::Stale);
    assert_eq!(of_kind(&moment(&mut stage, true), acct_status_type::INTERIM_UPDATE).len(), 1);
    for expected in [Taken::News, Taken::Again, Taken::Again] {
        assert_eq!(says(&mut stage, "a", Reported::Stop(1), 130, octets(60, None)), expected);
    }
    assert_eq!(of_kind(&moment(&mut stage, true), acct_status_type::STOP).len(), 1);
    assert_eq!(
        says(&mut stage, "a", Reported::Stop(1), 130, octets(60, None)),
        Taken::Again,
        "it is over and forgotten"
    );
    assert_eq!(says(&mut stage, "a", Reported::Interim, 120, octets(50, None)), Taken::Stale);
    assert_eq!(moment(&mut stage, true).len(), 0);
}

/// The NAS gives a name again whose Stop, and whose new Start, nobody heard.
#[test]
fn a_name_that_is_used_again_is_another_session() {
    let mut stage = stage_of(&["a"]);
    stage.pass(Duration::from_secs(600));
    says(&mut stage, "a", Reported::Interim, 600, octets(5000, None));
    moment(&mut stage, true);
    stage.pass(Duration::from_secs(600));
    // It began ten seconds ago.
    assert_eq!(says(&mut stage, "a", Reported::Interim, 10, octets(8, None)), Taken::Joined);
    let asked = moment(&mut stage, true);
    let [stop] = of_kind(&asked, acct_status_type::STOP)[..] else { panic!("{asked:?}") };
    assert_eq!((stop.u32(Type::ACCT_SESSION_TIME), stop.u32(Type::ACCT_INPUT_OCTETS)), (Some(600), Some(5000)));
    let [interim] = of_kind(&asked, acct_status_type::INTERIM_UPDATE)[..] else { panic!("{asked:?}") };
    assert_eq!(interim.u32(Type::ACCT_INPUT_OCTETS), Some(8));
}

#[test]
fn a_server_is_told_every_so_often_if_there_is_news() {
    let mut stage = stage_with(Setup::default(), rules(RelayInterim::Every(900), 0));
    says(&mut stage, "a", Reported::Start, 0, Usage::default());
    let mut asked = moment(&mut stage, true);
    for minute in 1..=60 {
        asked.extend(stage.run(Duration::from_secs(60), true));
        // The NAS falls silent for the last half hour.
        if minute <= 30 {
            says(&mut stage, "a", Reported::Interim, minute * 60, octets(minute, None));
        }
    }
    let interims = of_kind(&asked, acct_status_type::INTERIM_UPDATE);
    let said: Vec<u32> = interims.iter().filter_map(|asked| asked.u32(Type::ACCT_SESSION_TIME)).collect();
    assert_eq!(said.len(), 3, "{said:?}: twice while it spoke, and what it said last");
    assert_eq!(said[2], 1800);
    let delay = interims[0].u32(Type::ACCT_DELAY_TIME).unwrap();
    assert!(delay <= 60, "what is told was true {delay} s ago");
}

#[test]
fn silence_ends_a_session_with_its_last_word_unless_the_interval_is_not_known() {
    let mut stage = stage_of(&["a", "b"]);
    for minute in 1..=3 {
        stage.run(Duration::from_secs(60), true);
        says(&mut stage, "a", Reported::Interim, minute * 60, octets(minute, None));
    }
    stage.run(Duration::from_secs(1), true);
    let asked = stage.run(Duration::from_secs(170), true);
    assert!(of_kind(&asked, acct_status_type::STOP).is_empty(), "{asked:?}");
    let asked = stage.run(Duration::from_secs(20), true);
    let [stop] = of_kind(&asked, acct_status_type::STOP)[..] else { panic!("{asked:?}") };
    let said =
        [Type::ACCT_TERMINATE_CAUSE, Type::ACCT_SESSION_TIME, Type::ACCT_INPUT_OCTETS].map(|kind| stop.u32(kind));
    assert_eq!((stop.session_id(), said), (b"a".to_vec(), [Some(3), Some(180), Some(3)]));
    // The other has told no interval of its own: it is given as long as any usual one takes.
    let asked = stage.run(Duration::from_secs(1300), true);
    assert!(asked.is_empty(), "{asked:?}");
    let asked = stage.run(Duration::from_secs(700), true);
    assert_eq!(of_kind(&asked, acct_status_type::STOP).len(), 1, "{asked:?}");
}

/// Whatever the interval, and wherever in it the engine starts again, no session that speaks is taken for a silent one.
#[test]
fn whoever_speaks_in_its_interval_is_not_silent() {
    for interval in [60_u64, 300, 720, 900, 1800, 3600] {
        for restarted_after in [None, Some(5), Some(50), Some(interval - 1)] {
            let mut stage = stage();
            says(&mut stage, "a", Reported::Start, 0, Usage::default());
            // An address became known: an interim out of turn.
            stage.run(Duration::from_secs(8), true);
            says(&mut stage, "a", Reported::Interim, 8, octets(8, None));
            // And another session that came and went.
            says(&mut stage, "b", Reported::Start, 0, Usage::default());
            stage.run(Duration::from_secs(2), true);
            says(&mut stage, "b", Reported::Stop(1), 2, octets(1, None));
            let mut lasted = 10;
            for turn in 1..=6_u64 {
                let next = turn * interval;
                if let Some(after) = restarted_after.filter(|_| turn == 3) {
                    stage.run(Duration::from_secs(after), true);
                    lasted += after;
                    stage = restarted(&stage);
                }
                stage.run(Duration::from_secs((next - lasted.min(next)).max(1)), true);
                lasted = next;
                let taken = says(&mut stage, "a", Reported::Interim, next as u32, octets(next as u32, None));
                let alive = stage.shard.access_users(stage.now, &stage.table, 9).len();
                assert!(
                    taken == Taken::News && alive == 1,
                    "{interval} s, restarted after {restarted_after:?}, turn {turn}"
                );
            }
        }
    }
}

/// The engine starts again, in the same boot of the box.
fn restarted(stage: &Stage) -> Stage {
    let live: Vec<_> = stage.live().into_values().collect();
    let mut next = Stage::new(2, stage.now, Setup::default());
    let rules = rules(RelayInterim::Follow, 3);
    next.shard.handle_relay_client(next.now.mono, PLANE, CLIENT, Some(rules));
    live.iter().for_each(|live| next.restore(live, None).unwrap());
    next.shard.handle_relay_client(next.now.mono, PLANE, CLIENT, Some(rules));
    next
}

/// Stops that no server took outlive the engine, and so does that they were answered, whether a session is online or none.
#[test]
fn stops_that_come_again_behind_a_restart_are_known() {
    let mut stage = stage_of(&["a", "b", "c"]);
    stage.pass(Duration::from_secs(60));
    for session in ["a", "b", "c"] {
        says(&mut stage, session, Reported::Stop(1), 60, octets(5, None));
    }
    moment(&mut stage, false);
    let mut stage = restarted(&stage);
    for session in ["a", "b", "c"] {
        assert_eq!(says(&mut stage, session, Reported::Stop(1), 60, octets(5, None)), Taken::Again, "{session}");
    }
    let asked = moment(&mut stage, true);
    assert_eq!(of_kind(&asked, acct_status_type::STOP).len(), 3, "{asked:?}");
}

/// Where the scheme does no accounting a session leaves at once, and the next of its name is its own NAS's.
#[test]
fn a_session_that_is_not_accounted_for_makes_way_for_the_next_of_its_name() {
    let mut settings = crate::stage::settings(Setup::default());
    crate::scene::scheme(&mut settings).mode = Some(model::settings::AccountingMode::None);
    let mut stage = Stage::with(1, at(1_000_000), &settings, 64);
    let other = model::ids::PlaneIndex(1);
    let rules = rules(RelayInterim::Follow, 3);
    stage.shard.handle_relay_client(stage.now.mono, other, CLIENT, Some(rules));
    for (seconds, stamp) in [(0, 500), (90, 600)] {
        stage.pass(Duration::from_secs(seconds));
        let attributes = run("a", &[]);
        let report = Report {
            session: b"a",
            what: Reported::Start,
            at: stage.now,
            stamp: Some(stamp),
            session_time_s: None,
            usage: Usage::default(),
            user: b"a",
            domain: Some(b"isp"),
            attributes: &attributes,
        };
        assert!(stage.shard.handle_report(stage.now, other, &report).is_ok());
        moment(&mut stage, true);
    }
    assert_eq!(stage.shard.relayed_sessions(other), (1, 0));
    let rows = stage.shard.access_users(stage.now, &stage.table, 9);
    assert_eq!(rows.iter().map(|row| row.plane.as_str()).collect::<Vec<_>>(), [CLIENT]);
}

#[test]
fn a_nas_that_starts_ends_its_sessions_that_began_before() {
    let mut stage = stage_of(&["a", "b"]);
    stage.pass(Duration::from_secs(30));
    let gone = stage.now;
    stage.pass(Duration::from_secs(5));
    says(&mut stage, "c", Reported::Start, 0, Usage::default());
    let mut end = |identifier: &'static [u8]| {
        let nas = Nas { identifier: Some(identifier), ..Nas::default() };
        assert_eq!(stage.shard.handle_nas_gone(stage.now, PLANE, &NasGone { nas, at: gone, cause: 11 }, 0), None);
        let asked = moment(&mut stage, true);
        of_kind(&asked, acct_status_type::STOP).len()
    };
    assert_eq!([end(b"bras2"), end(b"bras1"), end(b"bras1")], [0, 2, 0]);
    let other = Nas { ipv4: Some(Ipv4Addr::LOCALHOST), identifier: Some(b"bras1"), ..Nas::default() };
    assert!(!other.is_part_of(&Nas { identifier: Some(b"bras1"), ..Nas::default() }));
    assert_eq!(stage.live().len(), 1);
}

/// The box was booted, and the NAS was not: its session goes on, with the clock of the new boot.
#[test]
fn a_session_outlives_a_boot_of_the_box() {
    let mut stage = stage_of(&["a"]);
    stage.pass(Duration::from_secs(600));
    says(&mut stage, "a", Reported::Interim, 600, octets(5000, None));
    moment(&mut stage, true);
    let live = stage.only_live();
    let booted = Now { mono: Mono::from_nanos(20_000_000_000), wall: Wall::from_millis(BOOT + 3_600_000) };
    let last = live.born.at.wall.as_millis() + 600_000;
    let revive = |now: Now| {
        let mut stage = Stage::new(2, now, Setup::default());
        stage.shard.handle_relay_client(now.mono, PLANE, CLIENT, Some(rules(RelayInterim::Follow, 3)));
        stage.restore(&live, Some(Wall::from_millis(last))).unwrap();
        stage
    };
    let mut stage = revive(booted);
    assert!(stage.run(Duration::from_secs(5), true).is_empty(), "nothing is told that nobody said");
    assert_eq!(says(&mut stage, "a", Reported::Interim, 2600, octets(6000, None)), Taken::News);
    let asked = moment(&mut stage, true);
    assert_eq!(asked[0].u32(Type::ACCT_SESSION_TIME), Some(2600));
    assert_eq!(says(&mut stage, "a", Reported::Stop(1), 2601, octets(6001, None)), Taken::News);
    let asked = moment(&mut stage, true);
    let stop = of_kind(&asked, acct_status_type::STOP)[0];
    let said = [Type::ACCT_INPUT_OCTETS, Type::ACCT_SESSION_TIME, Type::ACCT_DELAY_TIME].map(|kind| stop.u32(kind));
    assert_eq!(said, [Some(6001), Some(2601), Some(0)]);
    // One that is not heard of again ends with what it had said, as long as that lasted.
    let mut stage = revive(booted);
    says(&mut stage, "b", Reported::Start, 0, Usage::default());
    for minute in 1..=45 {
        stage.run(Duration::from_secs(60), true);
        says(&mut stage, "b", Reported::Interim, minute * 60, octets(minute, None));
    }
    let records = stage.records.iter().filter_map(|record| match record {
        crate::stage::Kept::Closed(closed) => {
            Some((closed.session_time_s, closed.at.wall, closed.counters.v4.in_octets))
        }
        _ => None,
    });
    assert_eq!(records.collect::<Vec<_>>(), [(600, Wall::from_millis(last), 5000)]);
}

#[test]
fn a_session_that_is_not_logged_out_is_accounted_for_as_before() {
    let mut stage = stage_of(&["a"]);
    let selector = UserSelector::SessionId("a".to_owned());
    assert_eq!(stage.shard.cut_access_users(stage.now, &selector), 1);
    moment(&mut stage, true);
    assert_eq!(stage.verdicts.last(), Some(&("a".to_owned(), Sentence::Cut, Reason::CutByOperator)));
    stage.shard.handle_disconnected(stage.now, PLANE, b"a", Disconnected::Failed);
    moment(&mut stage, true);
    assert_eq!(stage.only_live().sampled.unwrap().cut, None, "no later life logs it out");
    stage.pass(Duration::from_secs(60));
    says(&mut stage, "a", Reported::Interim, 60, octets(5, None));
    assert_eq!(moment(&mut stage, true).len(), 1);
    // It agrees, and says no more: then that was its last word.
    assert_eq!(stage.shard.cut_access_users(stage.now, &selector), 1);
    moment(&mut stage, true);
    stage.shard.handle_disconnected(stage.now, PLANE, b"a", Disconnected::Agreed);
    let asked = stage.run(Duration::from_secs(310), true);
    let [stop] = of_kind(&asked, acct_status_type::STOP)[..] else { panic!("{asked:?}") };
    let said =
        [Type::ACCT_TERMINATE_CAUSE, Type::ACCT_SESSION_TIME, Type::ACCT_INPUT_OCTETS].map(|kind| stop.u32(kind));
    assert_eq!(said, [Some(6), Some(60), Some(5)]);
}

/// Nobody asked the NAS yet, or what was asked found no room: it is said again.
#[test]
fn a_cut_is_said_again_until_the_nas_was_asked() {
    let mut stage = stage_of(&["a"]);
    stage.shard.cut_access_users(stage.now, &UserSelector::SessionId("a".to_owned()));
    stage.run(Duration::from_secs(95), true);
    let cuts = stage.verdicts.iter().filter(|(_, sentence, _)| *sentence == Sentence::Cut).count();
    assert_eq!(cuts, 4);
    assert_eq!(stage.live().len(), 1, "and it is accounted for until it is gone");
}

#[test]
fn a_log_in_that_is_refused_later_is_accounted_for_when_its_nas_goes_on() {
    let setup = Setup { start_fail: StartFail::Offline, ..Setup::default() };
    let mut stage = stage_with(setup, rules(RelayInterim::Follow, 3));
    says(&mut stage, "a", Reported::Start, 0, Usage::default());
    stage.run(Duration::from_secs(60), false);
    assert_eq!(stage.verdicts.last(), Some(&("a".to_owned(), Sentence::Refuse, Reason::StartFailed)));
    assert_eq!(says(&mut stage, "a", Reported::Stop(6), 61, octets(9, None)), Taken::Joined);
    let asked = stage.run(Duration::from_secs(200), true);
    assert_eq!(of_kind(&asked, acct_status_type::STOP)[0].u32(Type::ACCT_INPUT_OCTETS), Some(9));
}

#[test]
fn what_cannot_be_taken_changes_nothing() {
    let setup = Setup { sessions: 1, ..Setup::default() };
    let mut stage = stage_with(setup, rules(RelayInterim::Follow, 3));
    says(&mut stage, "a", Reported::Start, 0, Usage::default());
    assert_eq!(says_late(&mut stage, "b", Reported::Start, 0, Usage::default(), 0), Err(NotTaken::NoRoom));
    let long = "x".repeat(65);
    assert_eq!(says_late(&mut stage, &long, Reported::Start, 0, Usage::default(), 0), Err(NotTaken::NoRoom));
    let attributes = run("c", &[]);
    let report = Report {
        session: b"c",
        what: Reported::Start,
        at: stage.now,
        stamp: None,
        session_time_s: Some(0),
        usage: Usage::default(),
        user: b"c",
        domain: Some(b"nowhere"),
        attributes: &attributes,
    };
    assert_eq!(stage.shard.handle_report(stage.now, PLANE, &report), Err(NotTaken::NoDomain));
    assert_eq!(moment(&mut stage, true).len(), 1);
}
