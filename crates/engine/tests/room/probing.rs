//! Probes of servers that are Down: `state-recovery-detect` of BEHAVIOUR.md 5.2, played.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use engine::{Birth, Limits, News, Received, Shard, TransmitBatch};
use model::report::ServerReport;
use model::settings::{RecoveryDetect, Settings};
use wire::radius::Code;
use wire::radius::attribute::Type;
use wire::radius::authenticator::verify_request;

use crate::groups::each_minute;
use crate::scene::{Scene, server};
use crate::stage::{Asked, SECRET, Table, at, name_hash};

/// Servers that are Down after three packets, for hours unless a probe ends it.
fn probed(servers: u8, user: Option<&str>, threshold: u8) -> Settings {
    let mut settings = each_minute(servers);
    settings.radius_health.dead_count = 3;
    settings.radius_health.dead_time_min = 600;
    settings.radius_health.recover_count_invalid = true;
    let user = user.map(str::to_owned);
    settings.radius_recovery.accounting = Some(RecoveryDetect { user, interval_s: 20, threshold });
    settings
}

/// One user; the first server falls silent and is Down at 70.
fn with_a_dead_server(settings: &Settings) -> Scene {
    let scene = Scene::new(settings).up("a", 1).pass(1).silence(1).pass(75);
    scene.sees(
        "0 admit a opened
         0 start a to 1
         60 interim a to 1
         65 interim a to 1
         70 interim a to 1
         75 server down
         75 interim a to 2",
    )
}

/// What was said of server 1 itself, with its second.
fn of_server_1(seen: &str) -> Vec<(f64, String)> {
    let of_it = |text: &str| text.starts_with("server") || text.ends_with("to 1") && !text.contains(" a ");
    let lines = seen.lines().map(|line| line.split_once(' ').unwrap());
    lines.filter(|(_, text)| of_it(text)).map(|(at, text)| (at.parse().unwrap(), text.to_owned())).collect()
}

fn report(scene: &Scene) -> ServerReport {
    scene.stage.shard.report().servers.into_iter().find(|report| report.path == server(1).into()).unwrap()
}

fn probes(scene: &Scene) -> Vec<&Asked> {
    scene.sent.iter().filter(|sent| sent.packet().code() == Code::STATUS_SERVER).collect()
}

#[test]
fn row_5_2_status_server_probe() {
    let mut scene = with_a_dead_server(&probed(2, None, 1)).pass(200).wake(1).pass(100);
    let told = of_server_1(&scene.seen());
    let times: Vec<f64> = told.iter().filter(|(_, text)| text == "status-server to 1").map(|(at, _)| *at).collect();
    assert!((93.0..=97.0).contains(&times[0]), "{told:?}");
    for pair in times.windows(2) {
        assert!((17.9..=22.1).contains(&(pair[1] - pair[0])), "20 s, and a tenth of it: {told:?}");
    }
    let spread: BTreeSet<u64> = times.windows(2).map(|pair| ((pair[1] - pair[0]) * 10.0) as u64).collect();
    assert!(spread.len() > 3, "they are not all the same: {told:?}");
    let (last, up) = (times.last().unwrap(), told.last().unwrap());
    assert_eq!((up.1.as_str(), up.0), ("server up", *last), "the first that is answered, and no more after it");
    assert!(*last < 300.0, "long before the dead-time");
    let report = report(&scene);
    assert_eq!((report.probes as usize, report.probe_responses), (times.len(), 1));
    assert_eq!((report.responses, report.starts + report.interims), (3, 4), "the interims at 300 and 360");
    assert!(scene.sent.last().unwrap().to == server(1) && report.round_trip_ns == 0);
    let probes = probes(&scene);
    assert!(probes.iter().all(|probe| verify_request(&probe.packet(), SECRET).is_ok()));
    assert!(probes.iter().all(|probe| probe.packet().find(Type::NAS_IDENTIFIER) == Some(b"BNG1")));
    let authenticators: BTreeSet<_> = probes.iter().map(|probe| *probe.packet().authenticator()).collect();
    assert_eq!(authenticators.len(), probes.len(), "each is of its own");
}

#[test]
fn row_5_2_probe_by_a_test_user() {
    let mut scene = with_a_dead_server(&probed(2, Some("tester"), 1)).pass(60).wake(1).pass(60);
    let told = of_server_1(&scene.seen());
    let words: Vec<&str> = told.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(words[words.len() - 3..], ["start tester to 1", "stop tester to 1", "server up"], "{told:?}");
    assert!(words[..words.len() - 3].iter().all(|word| *word == "start tester to 1") && words.len() > 4, "{told:?}");
    let of_tester: Vec<&Asked> = scene.sent.iter().filter(|sent| sent.user() == "tester").collect();
    assert!(of_tester.iter().all(|sent| verify_request(&sent.packet(), SECRET).is_ok()));
    let sessions: BTreeSet<_> = of_tester.iter().map(|sent| sent.session_id()).collect();
    assert_eq!(sessions.len(), 1, "the session that the server may have begun is the one that ends");
    assert_eq!(of_tester.last().unwrap().u32(Type::ACCT_SESSION_TIME), Some(0));
    let report = report(&scene);
    assert_eq!((report.probe_responses, report.starts, report.stops), (2, 1, 0), "no accounting");
}

#[test]
fn row_5_2_detect_threshold() {
    let mut scene = with_a_dead_server(&probed(2, None, 3)).pass(30).wake(1).pass(30);
    assert!(!scene.seen().contains("server up"), "one or two are not enough");
    scene = scene.silence(1).pass(25).wake(1).pass(100);
    let told = of_server_1(&scene.seen());
    assert_eq!(told.last().unwrap().1, "server up", "{told:?}");
    assert!(told.last().unwrap().0 > 190.0, "the silence began the row anew: {told:?}");
    assert!(report(&scene).up);
}

#[test]
fn row_5_2_a_probe_takes_nothing_from_the_accounting() {
    // The only server: work probes it as well, one request at a time, whatever else is out.
    let mut settings = probed(1, None, 1);
    settings.radius_health.recover_count_invalid = false;
    let scene = Scene::new(&settings).up("a", 1).pass(1).silence(1).pass(118).wake(1).pass(4);
    let mut scene = scene;
    let seen = scene.seen();
    assert!(seen.contains("status-server to 1") && seen.contains("120 interim a to 1\n120 server up"), "{seen}");
    assert!(!scene.pass(30).seen().contains("status-server"), "it is Up");
}

#[test]
fn row_5_2_a_forged_reply_to_a_probe_changes_nothing() {
    let mut scene = with_a_dead_server(&probed(2, None, 1)).pass(23);
    assert!(scene.seen().contains("status-server to 1"));
    let probe = scene.sent.last().unwrap().clone();
    let before = scene.stage.shard.report().discards;
    for octet in [4, 19] {
        let mut reply = scene.stage.reply_to(&probe);
        reply[octet] ^= 1;
        let received = Received { port: probe.port, from: probe.to, octets: &reply, truncated: false };
        scene.stage.shard.handle_datagrams(scene.stage.now, &[received]);
    }
    let after = scene.stage.shard.report().discards;
    assert_eq!(after.bad_authenticator - before.bad_authenticator, 2);
    scene = scene.pass(0);
    assert!(!scene.seen().contains("server up"));
    scene.stage.reply(&probe);
    assert!(scene.pass(0).seen().contains("server up"), "the genuine one does");
}

#[test]
fn row_5_2_without_the_command_the_dead_time_holds_again() {
    let mut settings = probed(2, None, 1);
    let scene = with_a_dead_server(&settings).pass(200);
    settings.radius_recovery.accounting = None;
    settings.radius_health.dead_time_min = 1;
    let mut scene = scene.commit(&settings);
    scene.seen();
    scene = scene.wake(1).pass(60);
    let seen = scene.seen();
    assert!(seen.contains("interim a to 1") && !seen.contains("status-server"), "{seen}");
}

#[test]
fn row_5_2_the_first_shard_asks_for_all() {
    for (shard, expected) in [(0, true), (1, false)] {
        let now = at(100_000);
        let birth = Birth { epoch: 1, key: [7; 16], started: now.wall, shard, shard_count: 2, session_hash: name_hash };
        let mut shard = Shard::new(birth, Limits { sessions: 4, requests: 4 }, now.mono);
        shard.configure(&probed(1, None, 1));
        shard.handle_bound(server(1).into(), IpAddr::from([192, 0, 2, 1]));
        shard.handle_server_news(now.mono, server(1).into(), News::Down);
        let (table, mut batch, mut asked) = (Table::default(), TransmitBatch::default(), false);
        let mut now = now;
        for _ in 0..100 {
            now.mono = now.mono.plus(Duration::from_secs(1));
            shard.handle_timeout(now, &table);
            shard.poll_transmit(now, &table, 64, &mut batch);
            asked |= !batch.is_empty();
        }
        assert_eq!(asked, expected);
    }
}
