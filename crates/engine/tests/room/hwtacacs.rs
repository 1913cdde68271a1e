//! Accounting by HWTACACS (BEHAVIOUR.md section 6, RFC 8907), through connections that stand, break and never come to be.

use std::net::SocketAddr;

use engine::StreamEnd;
use model::settings::{
    AccountingMode, HwtacacsRank, HwtacacsServer, HwtacacsTemplate, ObjectName, Secret, Settings, StartFail,
};

use crate::scene::{domain, scheme};
use crate::stage::{SECRET, Setup, settings as radius};
use crate::streams::{Peer, Play, Record};

fn server(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 100 + number], 49))
}

/// So many servers, in mux-mode or not; a Stop is not tried again.
fn settings(servers: u8, mux_mode: bool) -> Settings {
    let mut settings = radius(Setup::default());
    let mut template = HwtacacsTemplate {
        shared_key: Some(Secret::new(SECRET.to_vec(), String::new())),
        ..HwtacacsTemplate::default()
    };
    for (rank, number) in HwtacacsRank::ALL.into_iter().zip(1..=servers) {
        let server = HwtacacsServer { address: server(number), vpn: None, shared_key: None, mux_mode };
        template.accounting[rank as usize] = Some(server);
    }
    settings.hwtacacs.templates.insert(ObjectName::from("t"), template);
    settings.hwtacacs.stop_resend = None;
    scheme(&mut settings).mode = Some(AccountingMode::Hwtacacs);
    domain(&mut settings).hwtacacs_template = Some(ObjectName::from("t"));
    settings
}

fn template(settings: &mut Settings) -> &mut HwtacacsTemplate {
    settings.hwtacacs.templates.get_mut(&ObjectName::from("t")).unwrap()
}

fn with_interims(mut settings: Settings, seconds: u16) -> Settings {
    let interim = radius(Setup { interim_s: seconds, ..Setup::default() });
    let interim = interim.schemes[&ObjectName::from("scheme")].interim;
    scheme(&mut settings).interim = interim;
    settings
}

#[test]
fn section_6_a_session_is_told_from_start_to_stop() {
    let settings = with_interims(settings(1, false), 60);
    let play = Play::new(&settings).up("a", 0).pass(1).count(0, 5000).pass(60).down("a").pass(1);
    let play = play.sees(
        "0 admit a opened
         0 connected to 1
         0 start a to 1
         0 closed to 1
         60 connected to 1
         60 interim a to 1
         60 closed to 1
         61 connected to 1
         61 stop a to 1
         61 closed to 1",
    );
    let records: Vec<Record> = play.sent.iter().map(|asked| Record::read(&asked.octets)).collect();
    let [start, interim, stop] = &records[..] else { panic!("{}", records.len()) };
    let task = start.argument("task_id").unwrap();
    assert!(task.starts_with("BNG1"), "{task}");
    let began = start.argument("start_time").unwrap().to_owned();
    for record in &records {
        assert_eq!((record.argument("task_id"), record.argument("start_time")), (Some(task), Some(&began[..])));
        assert_eq!(record.fields[0], "a@isp");
        assert_eq!((record.argument("service"), record.argument("protocol")), (Some("ppp"), Some("ip")));
    }
    assert_eq!(start.argument("elapsed_time"), None);
    assert_eq!((interim.argument("elapsed_time"), interim.argument("bytes_in")), (Some("60"), Some("5000")));
    assert_eq!((stop.argument("elapsed_time"), stop.argument("bytes_in")), (Some("61"), Some("5000")));
    assert_eq!((stop.argument("disc-cause"), stop.argument("bytes_out")), (Some("1"), Some("0")));
    let ended: u64 = stop.argument("stop_time").unwrap().parse().unwrap();
    assert_eq!(ended, began.parse::<u64>().unwrap() + 61);
}

#[test]
fn old_daemons_get_watchdog_alone() {
    let mut settings = with_interims(settings(1, false), 60);
    template(&mut settings).watchdog_alone = true;
    let mut play = Play::new(&settings).up("a", 0).pass(61);
    assert!(play.seen().contains("watchdog a to 1"));
}

#[test]
fn many_requests_share_one_connection_in_mux_mode() {
    let mut play = Play::new(&settings(1, true));
    for number in 0..200_u32 {
        play = play.up(&format!("u{number}"), number);
    }
    play = play.pass(5);
    assert_eq!((play.connections, play.sent.len()), (1, 200), "{}", play.seen());
    assert_eq!(play.open.len(), 1, "it stays open");
    for number in 0..200_u32 {
        play = play.down(&format!("u{number}"));
    }
    play = play.pass(5);
    assert_eq!((play.connections, play.sent.len()), (1, 400));
    assert!(play.stage.live().is_empty());
}

#[test]
fn until_the_server_agrees_there_is_one_request_on_a_connection() {
    let mut play = Play::new(&settings(1, true)).peer(server(1), Peer::Silent).up("a", 0).up("b", 1).up("c", 2).pass(4);
    let seen = play.seen();
    assert_eq!(seen.matches("start").count(), 1, "{seen}");
    let mut play = Play::new(&settings(1, true)).peer(server(1), Peer::AnswersOnce);
    for number in 0..50_u32 {
        play = play.up(&format!("u{number}"), number);
    }
    play = play.pass(5);
    assert_eq!((play.connections, play.sent.len()), (50, 50), "one that does not agree has one each");
    assert_eq!(play.open.len(), 0);
}

#[test]
fn section_6_1_the_primary_fails_and_comes_back_after_the_quiet_time() {
    let settings = settings(2, false);
    let play = Play::new(&settings).peer(server(1), Peer::Refuses).up("a", 0).pass(1);
    let play = play.sees(
        "0 admit a opened
         0 refused by 1
         0 1 down
         0 connected to 2
         0 start a to 2
         0 closed to 2",
    );
    let play = play.peer(server(1), Peer::Answers).up("b", 1).pass(300);
    let play = play.sees(
        "1 admit b opened
         1 connected to 2
         1 start b to 2
         1 closed to 2
         300 connected to 1",
    );
    // The quiet time is over, and the primary answers again.
    let mut play = play.up("c", 2).pass(1);
    let seen = play.seen();
    assert!(seen.contains("start c to 1") && seen.contains("1 up"), "{seen}");
}

#[test]
fn nobody_waits_for_a_primary_that_is_tried_out_again() {
    let play = Play::new(&settings(2, false)).peer(server(1), Peer::Refuses).up("a", 0).pass(1);
    let mut play = play.peer(server(1), Peer::Lost).pass(300).up("b", 1).pass(1);
    let seen = play.seen();
    assert!(seen.contains("calling 1") && seen.contains("301 start b to 2"), "{seen}");
    let mut play = play.pass(6).up("c", 2).pass(1);
    let seen = play.seen();
    assert!(seen.contains("start c to 2") && !seen.contains("calling 1"), "its trial has failed: {seen}");
}

#[test]
fn section_6_1_without_a_quiet_time_the_primary_waits_for_the_standby_to_fail() {
    let mut settings = settings(2, false);
    template(&mut settings).quiet_min = 0;
    let play = Play::new(&settings).peer(server(1), Peer::Refuses).up("a", 0).pass(1).peer(server(1), Peer::Answers);
    let mut play = play.pass(10_000).up("b", 1).pass(1);
    assert!(play.seen().contains("start b to 2"));
    let mut play = play.peer(server(2), Peer::Refuses).up("c", 2).pass(20);
    let seen = play.seen();
    assert!(seen.contains("2 down") && seen.contains("start c to 1"), "{seen}");
}

#[test]
fn section_6_1_a_silent_server_is_left_after_the_response_timeout() {
    let play = Play::new(&settings(2, false)).peer(server(1), Peer::Silent).up("a", 0).pass(6);
    play.sees(
        "0 admit a opened
         0 connected to 1
         0 start a to 1
         5 1 down
         5 closed to 1
         5 connected to 2
         5 start a to 2
         5 closed to 2",
    );
}

#[test]
fn one_that_cannot_be_called_is_left_after_the_response_timeout() {
    let mut play = Play::new(&settings(2, false)).peer(server(1), Peer::Lost).up("a", 0).pass(6);
    let seen = play.seen();
    assert!(seen.contains("5 1 down") && seen.contains("5 start a to 2"), "{seen}");
}

#[test]
fn section_6_1_a_link_that_breaks_leads_to_the_standby_at_once() {
    let play = Play::new(&settings(2, false)).peer(server(1), Peer::Closes).up("a", 0).pass(1);
    play.sees(
        "0 admit a opened
         0 connected to 1
         0 start a to 1
         0 1 down
         0 connected to 2
         0 start a to 2
         0 closed to 2",
    );
}

#[test]
fn a_connection_closed_for_want_of_use_costs_nothing() {
    let play = Play::new(&settings(2, true)).up("a", 0).pass(60).cut_connections(StreamEnd::Closed);
    let mut play = play.up("b", 1).pass(1);
    let seen = play.seen();
    assert!(seen.contains("start b to 1") && !seen.contains("down"), "{seen}");
    // And one that closes while a request is on its way to it is connected to once more.
    let play = play.peer(server(1), Peer::Closes).up("c", 2).pass(1);
    let mut play = play;
    let seen = play.seen();
    assert_eq!(seen.matches("start c to 1").count(), 2, "{seen}");
    assert_eq!(seen.matches("start c to 2").count(), 1, "{seen}");
}

#[test]
fn what_is_no_reply_fails_the_request_by_name() {
    for (peer, said, seconds) in [
        (Peer::OtherKey, Some("garbled"), 1),
        (Peer::Garbage, Some("version"), 1),
        (Peer::Errs, None, 1),
        (Peer::OtherSession, None, 6),
    ] {
        let mut play = Play::new(&settings(2, false)).peer(server(1), peer).up("a", 0).pass(seconds);
        let seen = play.seen();
        assert!(seen.contains("start a to 2"), "{peer:?}: {seen}");
        if let Some(said) = said {
            let line = seen.lines().find(|line| line.contains("1 said: ")).unwrap_or_default();
            assert!(line.contains(said), "{peer:?}: {line}");
        }
        assert_eq!(seen.contains("1 down"), peer != Peer::Errs, "{peer:?}: who says ERROR lives");
        let report = play.stage.shard.report();
        let first = report.servers.iter().find(|report| report.path.address == server(1)).unwrap();
        let counts = (first.refusals, report.discards.bad_authenticator, report.discards.malformed);
        let unknown = report.discards.unknown_identifier;
        let expected = match peer {
            Peer::Errs => ((1, 0, 0), 0),
            Peer::OtherKey => ((0, 1, 0), 0),
            Peer::Garbage => ((0, 0, 1), 0),
            _ => ((0, 0, 0), 1),
        };
        assert_eq!((counts, unknown), expected, "{peer:?}");
    }
}

/// BEHAVIOUR.md section 12, vector 10.
#[test]
fn vector_10_a_stop_is_sent_as_often_as_it_says() {
    for (resend, sends) in [(None, 1), (Some(3), 4), (Some(50), 51), (Some(300), 301)] {
        for peer in [Peer::Silent, Peer::Errs, Peer::Closes] {
            let mut settings = settings(1, false);
            settings.hwtacacs.stop_resend = resend;
            let play = Play::new(&settings).up("a", 0).pass(1).peer(server(1), peer).down("a");
            let mut play = play.pass(11 * 302);
            let seen = play.seen();
            assert_eq!(seen.matches("stop a").count(), sends, "{resend:?} {peer:?}");
            assert_eq!(seen.matches("bill").count(), 1, "{resend:?} {peer:?}: {seen}");
            let stops: Vec<Record> = play.sent[1..].iter().map(|asked| Record::read(&asked.octets)).collect();
            for stop in &stops {
                assert_eq!(stop.arguments, stops[0].arguments, "every one says the same");
            }
        }
    }
}

#[test]
fn decision_9_a_send_walks_to_the_last_and_disable_does_not() {
    let mut settings = settings(3, false);
    settings.hwtacacs.stop_resend = Some(1);
    let silent = |play: Play| (1..=3).fold(play, |play, number| play.peer(server(number), Peer::Errs));
    let mut play = silent(Play::new(&settings).up("a", 0).pass(1)).down("a").pass(60);
    let seen = play.seen();
    let stops: Vec<&str> = seen.lines().filter(|line| line.contains(" stop ")).collect();
    assert_eq!(
        stops,
        ["1 stop a to 1", "1 stop a to 2", "1 stop a to 3", "6 stop a to 1", "6 stop a to 2", "6 stop a to 3"]
    );
    settings.hwtacacs.stop_resend = None;
    let mut play = silent(Play::new(&settings).up("a", 0).pass(1)).down("a").pass(60);
    assert_eq!(play.seen().lines().filter(|line| line.contains(" stop ")).collect::<Vec<_>>(), ["1 stop a to 1"]);
}

#[test]
fn section_6_2_a_new_number_holds_for_what_is_queued() {
    for (resend, sends, bills) in [(None, 2, 1), (Some(2), 3, 1), (Some(5), 6, 1)] {
        let mut settings = settings(1, false);
        settings.hwtacacs.stop_resend = Some(3);
        let play = Play::new(&settings).up("a", 0).pass(1).peer(server(1), Peer::Errs).down("a").pass(7);
        settings.hwtacacs.stop_resend = resend;
        let mut play = play.commit(&settings).pass(600);
        let seen = play.seen();
        assert_eq!((seen.matches("stop a").count(), seen.matches("bill").count()), (sends, bills), "{resend:?} {seen}");
    }
}

#[test]
fn the_policies_are_the_same() {
    let mut settings = settings(1, false);
    scheme(&mut settings).start_fail = StartFail::Offline;
    let play = Play::new(&settings).peer(server(1), Peer::Refuses).up("a", 0).pass(6);
    let mut play = play;
    let seen = play.seen();
    assert!(seen.contains("refuse a"), "{seen}");
    assert!(play.stage.live().is_empty());
    let play = Play::new(&settings).up("a", 0).pass(1).peer(server(1), Peer::Refuses);
    let play = play.down("a").pass(60);
    let mut play = play;
    assert!(play.seen().contains("bill stop-unanswered"));
}

#[test]
fn a_server_that_reads_nothing_keeps_no_other_waiting() {
    let mut settings = settings(1, true);
    let mut play = Play::new(&settings);
    for number in 0..100_u32 {
        play = play.up(&format!("u{number}"), number);
    }
    play = play.pass(1).peer(server(1), Peer::Silent);
    for number in 0..100_u32 {
        play = play.down(&format!("u{number}"));
    }
    play = play.pass(12);
    let bills = play.seen().matches("bill").count();
    assert_eq!(bills, 100, "all have failed in time");
    settings.hwtacacs.is_disabled = true;
    let mut play = play.commit(&settings).up("x", 999).pass(1);
    assert!(!play.seen().contains("connected"), "undo hwtacacs enable");
    assert_eq!(play.open.len(), 0);
}

#[test]
fn the_first_that_is_back_is_found_at_once() {
    for back in [1, 2] {
        let play = (1..=2).fold(Play::new(&settings(2, false)), |play, n| play.peer(server(n), Peer::Refuses));
        // Nobody waits: the policy of the Start has acted.
        let mut play = play.up("a", 0).pass(60).peer(server(back), Peer::Answers).pass(5);
        play.seen();
        let mut play = play.up("b", 1).pass(1);
        let seen = play.seen();
        assert!(seen.contains(&format!("start b to {back}")) && seen.contains(&format!("{back} up")), "{seen}");
    }
}

#[test]
fn decision_9_a_send_walks_to_the_last_while_all_are_down_too() {
    let mut settings = settings(2, false);
    settings.hwtacacs.stop_resend = Some(2);
    let play = Play::new(&settings).up("a", 0).pass(1);
    let mut play = (1..=2).fold(play, |play, n| play.peer(server(n), Peer::Silent)).down("a").pass(60);
    let seen = play.seen();
    assert_eq!((seen.matches("stop a to 1").count(), seen.matches("stop a to 2").count()), (3, 3), "{seen}");
}

#[test]
fn one_that_hangs_up_on_every_call_is_left_at_once() {
    for mux_mode in [false, true] {
        let mut play = Play::new(&settings(2, mux_mode)).peer(server(1), Peer::HangsUp).up("a", 0).pass(6);
        let seen = play.seen();
        assert!(seen.contains("0 1 down") && seen.contains("0 start a to 2"), "{seen}");
    }
}

#[test]
fn section_6_1_the_primary_is_tried_again_though_a_connection_of_the_standby_stands() {
    let play = Play::new(&settings(2, true)).peer(server(1), Peer::Refuses).up("a", 0).pass(1);
    let mut play = play.peer(server(1), Peer::Answers).pass(301);
    for number in 1..4 {
        play = play.up(&format!("u{number}"), number).pass(10);
    }
    let seen = play.seen();
    assert!(seen.contains("start u3 to 1") && seen.contains("1 up"), "{seen}");
}

#[test]
fn section_6_2_disable_sends_once_whatever_becomes_of_the_connection() {
    for after in [Peer::Answers, Peer::Refuses] {
        let play = Play::new(&settings(2, true)).up("a", 0).pass(1).peer(server(1), Peer::Closes);
        let mut play = play.down("a");
        play = play.pass(0).peer(server(1), after).pass(60);
        let seen = play.seen();
        let stops: Vec<&str> = seen.lines().filter(|line| line.contains(" stop ")).collect();
        assert_eq!(stops, ["1 stop a to 1"], "{seen}");
        assert_eq!(seen.matches("bill").count(), 1, "{seen}");
    }
}
