//! RADIUS through connections (RFC 6613, RFC 6614, owner's decision 15): each request once, other connections when one ends.

use std::net::SocketAddr;

use engine::{Boot, StreamEnd};
use model::settings::{AccountingOn, ObjectName, RadiusGroup, RadiusServer, RadiusTls, Secret, Settings};
use wire::radius::attribute::Type;

use crate::scene::{domain, group, plain, server};
use crate::stage::SECRET;
use crate::streams::{Peer, Play};

/// So many servers over TLS, R = 3 and S = 5 s.
fn settings(servers: u8) -> Settings {
    let mut settings = plain(0);
    let tls = RadiusTls { ca: "/ca.pem".to_owned(), cert: None, key: None, server_name: None };
    group(&mut settings).accounting = (1..=servers)
        .map(|number| RadiusServer {
            shared_key: Some(Secret::new(SECRET.to_vec(), String::new())),
            tls: Some(tls.clone()),
            ..RadiusServer::new(server(number))
        })
        .collect();
    group(&mut settings).source_ports = 4;
    settings
}

fn first() -> SocketAddr {
    server(1)
}

#[test]
fn requests_share_a_connection_that_stays() {
    let play = Play::new(&settings(1)).up("a", 0).pass(1).down("a").pass(1).up("b", 1).pass(1);
    play.sees(
        "0 admit a opened
         0 connected to 1
         0 start a to 1
         1 stop a to 1
         2 admit b opened
         2 start b to 1",
    );
}

#[test]
fn decision_15_a_request_is_sent_once_and_the_connection_is_closed_behind_its_wait() {
    let play = Play::new(&settings(2)).peer(first(), Peer::Silent).up("a", 0).pass(20);
    play.sees(
        "0 admit a opened
         0 connected to 1
         0 start a to 1
         15 closed to 1
         15 connected to 2
         15 start a to 2",
    );
}

#[test]
fn decision_15_what_was_out_on_a_connection_that_ends_is_sent_on_the_next() {
    let play = Play::new(&settings(1)).peer(first(), Peer::Silent).up("a", 0).up("b", 1).pass(5);
    let play = play.peer(first(), Peer::Answers).cut_connections(StreamEnd::Reset);
    let mut play = play.pass(10);
    let seen = play.seen();
    assert_eq!((seen.matches("start a to 1").count(), seen.matches("start b to 1").count()), (2, 2), "{seen}");
    assert!(!seen.contains("down"), "{seen}");
    let identifiers: Vec<u8> = play.sent.iter().map(|asked| asked.octets[1]).collect();
    let delays: Vec<Option<u32>> = play.sent.iter().map(|asked| asked.u32(Type::ACCT_DELAY_TIME)).collect();
    assert!(delays[2] > delays[0], "{delays:?} {identifiers:?}");
}

#[test]
fn a_server_that_closes_on_every_request_is_given_up() {
    for peer in [Peer::Closes, Peer::Garbage] {
        let mut play = Play::new(&settings(2)).peer(first(), peer).up("a", 0).pass(60);
        let seen = play.seen();
        assert!(seen.matches("start a to 1").count() <= 4, "{peer:?}: {seen}");
        assert!(seen.contains("start a to 2"), "{peer:?}: {seen}");
    }
}

#[test]
fn one_that_cannot_be_reached_leaves_the_next_at_once() {
    let mut play = Play::new(&settings(2)).peer(first(), Peer::Refuses).up("a", 0).pass(1);
    let seen = play.seen();
    assert!(seen.contains("0 1 down") && seen.contains("0 start a to 2"), "{seen}");
}

/// A box on the way that cuts the connection which has just answered may cut the handshake of the next as well.
#[test]
fn one_that_has_just_answered_is_called_once_more_before_it_is_down() {
    for peer in [Peer::TearsDown, Peer::HangsUp] {
        let play = Play::new(&settings(1)).up("a", 0).pass(1);
        let play = play.peer(first(), peer).cut_connections(StreamEnd::Reset).down("a").pass(0);
        let mut play = play.peer(first(), Peer::Answers).pass(5);
        let seen = play.seen();
        assert!(seen.contains("by 1") && seen.contains("stop a to 1") && !seen.contains("down\n"), "{peer:?}: {seen}");
        // And no more than once.
        let mut play = play.peer(first(), peer).cut_connections(StreamEnd::Reset).up("b", 1).pass(5);
        let seen = play.seen();
        assert_eq!((seen.matches("by 1").count() >= 2, seen.matches("1 down").count()), (true, 1), "{peer:?}: {seen}");
    }
}

#[test]
fn what_was_out_on_it_does_not_wait_for_that_when_there_is_another() {
    let play = Play::new(&settings(2)).up("a", 0).pass(1).peer(first(), Peer::Silent).down("a").pass(1);
    let play = play.peer(first(), Peer::TearsDown).cut_connections(StreamEnd::Reset).pass(0);
    let mut play = play.peer(first(), Peer::Lost).pass(10);
    let seen = play.seen();
    assert!(seen.contains("2 torn down by 1") && seen.contains("2 stop a to 2"), "{seen}");
}

#[test]
fn a_single_server_is_called_again_and_again() {
    let mut play = Play::new(&settings(1)).peer(first(), Peer::Refuses).up("a", 0).pass(10);
    let seen = play.seen();
    assert!(seen.matches("refused by 1").count() >= 3, "{seen}");
    let mut play = play.peer(first(), Peer::Answers).up("b", 1).pass(40);
    let seen = play.seen();
    assert!(seen.contains("start b to 1") && seen.contains("1 up"), "{seen}");
}

#[test]
fn a_quiet_peer_is_asked_and_a_gone_one_is_left() {
    let play = Play::new(&settings(1)).up("a", 0).pass(70);
    let play = play.sees(
        "0 admit a opened
         0 connected to 1
         0 start a to 1
         30 status-server to 1
         60 status-server to 1",
    );
    let play = play.peer(first(), Peer::Silent).pass(50);
    let play = play.sees(
        "90 status-server to 1
         95 closed to 1",
    );
    let mut play = play.peer(first(), Peer::Answers).down("a").pass(1);
    let seen = play.seen();
    assert!(seen.contains("connected to 1") && seen.contains("stop a to 1") && !seen.contains("down"), "{seen}");
}

#[test]
fn a_server_is_told_on_the_next_connection_what_the_first_has_lost() {
    let mut settings = settings(1);
    group(&mut settings).accounting_on = AccountingOn::Wait;
    let mut play = Play::new(&settings).peer(first(), Peer::Silent);
    let boot = Boot::new([7; 16], None, &[], &settings);
    play.stage.shard.begin_announcing(play.stage.now, &boot);
    let play = play.up("a", 0).pass(2).peer(first(), Peer::Answers).cut_connections(StreamEnd::Reset);
    let mut play = play.pass(3);
    let seen = play.seen();
    assert_eq!(seen.matches(" on to 1").count(), 2, "{seen}");
    assert!(seen.contains("start a to 1"), "{seen}");
}

#[test]
fn who_has_waited_as_long_as_the_first_leaves_a_silent_server_with_it() {
    let mut play = Play::new(&settings(2)).peer(first(), Peer::Silent);
    for number in 0..4 {
        play = play.up(&format!("u{number}"), number);
    }
    let mut play = play.pass(16);
    let seen = play.seen();
    for number in 0..4 {
        assert_eq!(seen.matches(&format!("start u{number} to 1")).count(), 1, "{seen}");
        assert!(seen.contains(&format!("15 start u{number} to 2")), "{seen}");
    }
}

#[test]
fn one_that_is_back_is_tried_though_a_connection_of_the_next_stands() {
    let play = Play::new(&settings(2)).peer(first(), Peer::Refuses).up("a", 0).pass(1);
    let mut play = play.peer(first(), Peer::Answers).pass(190);
    for number in 1..4 {
        play = play.up(&format!("u{number}"), number).pass(10);
    }
    let seen = play.seen();
    assert!(seen.contains("start u3 to 1") && seen.contains("1 up"), "{seen}");
}

#[test]
fn a_connection_of_a_server_that_is_left_is_not_asked_again_and_again() {
    let mut settings = settings(2);
    group(&mut settings).timeout_s = 25;
    let mut play = Play::new(&settings).peer(first(), Peer::Silent).up("a", 0).pass(1);
    group(&mut settings).accounting.remove(0);
    play = play.commit(&settings);
    for _ in 0..70 {
        play = play.pass(1);
        play.stage.turn();
        assert!(play.stage.shard.poll_timeout().unwrap() > play.stage.now.mono, "it would spin");
    }
}

/// Server 1 has the accounting, server 2 the copies.
fn copied() -> Settings {
    let mut settings = settings(2);
    let accounting = vec![group(&mut settings).accounting.remove(1)];
    let copies = RadiusGroup { accounting, ..RadiusGroup::default() };
    settings.radius_groups.insert(ObjectName::from("copies"), copies);
    domain(&mut settings).accounting_copy = Some(ObjectName::from("copies"));
    settings
}

#[test]
fn decision_15_a_copy_is_sent_once_too() {
    let mut play = Play::new(&copied()).peer(server(2), Peer::Silent).up("a", 0).pass(60);
    let seen = play.seen();
    assert_eq!(seen.matches("start a to 2").count(), 1, "{seen}");
    assert!(seen.contains("15 closed to 2"), "{seen}");
}

#[test]
fn a_copy_that_waits_for_another_connection_keeps_no_slot_from_a_log_in() {
    let mut play = Play::new(&copied());
    for number in 0..1024 {
        play = play.up(&format!("u{number}"), number);
    }
    play = play.pass(5).peer(server(2), Peer::Silent);
    for number in 0..1024 {
        play = play.down(&format!("u{number}"));
    }
    play = play.pass(2).peer(server(2), Peer::Lost).cut_connections(StreamEnd::Reset).pass(1);
    play.seen();
    for number in 0..1024 {
        play = play.up(&format!("v{number}"), 2000 + number);
    }
    let mut play = play.pass(30);
    assert_eq!(play.seen().matches("admit").count(), 1024);
}

#[test]
fn nobody_waits_for_the_next_call_of_one_that_is_silent() {
    let mut play = Play::new(&settings(2)).peer(first(), Peer::Silent);
    for number in 0..3 {
        play = play.up(&format!("u{number}"), number).pass(17);
    }
    play.seen();
    // Its connection was closed for the third time: it is called again in two seconds.
    let mut play = play.up("v", 9).pass(1);
    let seen = play.seen();
    assert!(seen.contains("start v to 2"), "{seen}");
}
