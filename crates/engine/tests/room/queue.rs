//! The queue of Stops that no server acknowledged (BEHAVIOUR.md 5.5).

use std::collections::{BTreeMap, BTreeSet};

use model::settings::{CacheRounds, CacheWarning, InterimFailPolicy, Settings, StartFail};

use crate::groups::each_minute;
use crate::scene::{Scene, group, plain, scheme};

/// One server, and so many tries more for each Stop.
fn resending(times: u16) -> Settings {
    let mut settings = plain(1);
    group(&mut settings).stop_resend = times;
    settings
}

/// These are online, and then the server is silent and they go, a second after each other.
fn outage(settings: &Settings, names: &[&str]) -> Scene {
    let mut scene = Scene::new(settings);
    for (slot, name) in (1..).zip(names) {
        scene = scene.up(name, slot);
    }
    scene = scene.pass(1).silence(1);
    scene.seen();
    for name in names {
        scene = scene.down(name).pass(1);
    }
    scene
}

#[test]
fn row_5_5_a_stop_rests_longer_after_each_try() {
    let mut scene = outage(&resending(7), &["a"]).pass(2_000);
    let seen = scene.seen();
    let stops = seen.lines().filter(|line| line.contains("stop a")).step_by(3);
    let begun: Vec<&str> = stops.filter_map(|line| line.split([' ', '.']).next()).collect();
    let begun: Vec<u64> = begun.into_iter().filter_map(|second| second.parse().ok()).collect();
    // Fifteen seconds for a transaction, then half a minute, and twice as much, up to ten minutes, a tenth more or less.
    let rests: Vec<u64> = begun.windows(2).map(|pair| pair[1] - pair[0] - 15).collect();
    assert_eq!(rests.len(), 6, "{seen}");
    for (rest, length) in rests.iter().zip([30, 60, 120, 240, 480, 600]) {
        assert!((length * 9 / 10..=length * 11 / 10 + 1).contains(rest), "{length}: {rest}\n{seen}");
    }
}

#[test]
fn row_5_5_what_failed_together_is_not_tried_again_together() {
    let names: Vec<String> = (0..10).map(|number| format!("u{number}")).collect();
    let mut settings = resending(7);
    settings.radius_health.dead_count = 65_535;
    let mut scene = Scene::new(&settings);
    for (slot, name) in (1..).zip(&names) {
        scene = scene.up(name, slot);
    }
    scene = scene.pass(1).silence(1);
    scene.seen();
    for name in &names {
        scene = scene.down(name);
    }
    scene = scene.pass(20);
    scene.seen();
    let mut scene = scene.pass(30);
    let seen = scene.seen();
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    for line in seen.lines().filter(|line| line.contains("stop u")) {
        let mut words = line.split(' ');
        let (at, name) = (words.next().unwrap(), words.nth(1).unwrap());
        first.entry(name).or_insert(at);
    }
    let seconds: BTreeSet<&str> = first.values().copied().collect();
    assert!(first.len() == 10 && seconds.len() >= 3, "RFC 5080 section 2.2.1, RAND: {seconds:?}\n{seen}");
}

#[test]
fn row_5_5_a_server_that_comes_back_ends_all_rests() {
    let scene = outage(&resending(7), &["a", "b", "c"]).pass(36);
    let mut scene = scene.pass(100);
    assert!(scene.seen().contains("server down"));
    // The next try would be far away; a log-in finds that the server is back.
    scene = scene.wake(1).up("d", 4).pass(10);
    let seen = scene.seen();
    let stops: Vec<&str> = seen.lines().filter(|line| line.contains("stop")).collect();
    assert!(seen.contains("server up") && stops.len() == 3, "{seen}");
    assert!(scene.stage.shard.queued_stops(9).is_empty());
}

#[test]
fn row_5_5_no_bill_is_made_while_a_stop_waits() {
    let mut scene = outage(&resending(3), &["a"]).pass(250);
    assert!(!scene.seen().contains("bill"));
    let queued = scene.stage.shard.queued_stops(9);
    assert_eq!((queued.len(), queued[0].resend_times, queued[0].user.as_str()), (1, 2, "a@isp"));
    let mut scene = scene.pass(30);
    assert!(scene.seen().ends_with("bill stop-unanswered\n"));
    assert!(scene.stage.shard.queued_stops(9).is_empty());
}

#[test]
fn row_5_5_cache_keep_packet_gives_up_nothing() {
    let mut settings = resending(1);
    settings.radius_cache.keep_packets = true;
    let mut scene = outage(&settings, &["a"]).pass(5_000);
    assert!(!scene.seen().contains("bill"));
    let mut scene = scene.wake(1).pass(700);
    assert!(scene.stage.shard.queued_stops(9).is_empty() && !scene.seen().contains("bill"));
}

#[test]
fn row_5_5_pending_limit_optimize_does_not_count_a_try_that_found_no_place() {
    for (optimize, bills) in [(false, 8), (true, 0)] {
        let mut settings = resending(2);
        settings.radius_health.dead_count = 3;
        settings.radius_cache.pending_limit_optimize = optimize;
        // While the server is Down one probes it, in turn, and the others find no place; nobody has had two tries yet.
        let mut scene = outage(&settings, &["a", "b", "c", "d", "e", "f", "g", "h", "i"]).pass(140);
        let queued = scene.stage.shard.report().stops_queued;
        let seen = scene.seen();
        assert_eq!(seen.matches("bill").count(), bills, "optimize {optimize}: {queued}\n{seen}");
    }
}

#[test]
fn row_5_5_cache_resend_packet_sends_all_now() {
    let mut scene = outage(&resending(7), &["a", "b"]).pass(50);
    scene = scene.pass(30);
    scene.seen();
    let mut scene = scene.wake(1).resend_queued(2).pass(1);
    let seen = scene.seen();
    assert_eq!(seen.matches("stop").count(), 2, "{seen}");
    scene.resend_queued(0);
}

#[test]
fn row_5_5_k_users_every_s_seconds() {
    let mut settings = resending(9);
    settings.radius_cache.rounds = Some(CacheRounds { users: 2, seconds: 100 });
    let mut scene = outage(&settings, &["a", "b", "c", "d", "e"]).pass(25).wake(1);
    scene.seen();
    let mut scene = scene.pass(300);
    let seen = scene.seen();
    let stops: Vec<&str> = seen.lines().filter(|line| line.contains("stop")).collect();
    assert_eq!(stops.len(), 5, "{seen}");
    let seconds: Vec<&str> = stops.iter().filter_map(|line| line.split(' ').next()).collect();
    assert!(seconds[0] == seconds[1] && seconds[2] == seconds[3] && seconds[1] != seconds[2], "{seen}");
}

#[test]
fn row_5_5_full_throws_out_who_has_rested_longest_and_a_bill_stands_for_it() {
    let mut settings = resending(9);
    settings.radius_cache.packets = 2;
    let mut scene = outage(&settings, &["a", "b", "c"]).pass(20);
    let seen = scene.seen();
    assert_eq!(seen.matches("bill queue-dropped").count(), 1, "{seen}");
    let users: Vec<String> = scene.stage.shard.queued_stops(9).into_iter().map(|stop| stop.user).collect();
    assert_eq!(users, ["b@isp", "c@isp"]);
    let report = scene.stage.shard.report();
    assert_eq!((report.stops_queued, report.stops_dropped, report.stops_unacknowledged), (2, 1, 2));
}

#[test]
fn row_5_5_the_memory_threshold_leaves_room_for_log_ins() {
    let mut settings = resending(9);
    settings.radius_cache.memory_threshold = 50;
    // 64 slots, so the queue takes 32 of them.
    let names: Vec<String> = (0..40).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut scene = outage(&settings, &names);
    assert!(scene.seen().contains("bill queue-dropped"));
    assert!(scene.stage.shard.report().stops_queued <= 32);
}

#[test]
fn row_5_5_the_warning_has_a_hysteresis() {
    let mut settings = resending(9);
    settings.radius_cache.packets = 4;
    settings.radius_cache.warning = Some(CacheWarning { upper: 75, lower: 25 });
    let mut scene = outage(&settings, &["a", "b", "c", "d"]).pass(20);
    let seen = scene.seen();
    assert_eq!(seen.matches("queue").count(), 1, "{seen}");
    assert!(seen.contains("queue fills: 3 of 4"));
    let mut scene = scene.wake(1).pass(100);
    let seen = scene.seen();
    assert_eq!(seen.matches("queue").count(), 1, "{seen}");
    assert!(seen.contains("queue drains: 1 of 4"));
}

#[test]
fn row_5_5_a_reset_makes_bills_of_what_waits() {
    let scene = outage(&resending(9), &["a", "b"]).pass(20).reset_queued(Some(2), 0).reset_queued(Some(1), 2);
    let mut scene = scene.pass(1).reset_queued(None, 0);
    let seen = scene.seen();
    assert_eq!(seen.matches("bill queue-dropped").count(), 2, "{seen}");
    assert_eq!(scene.stage.shard.report().stops_unacknowledged, 0);
}

#[test]
fn row_5_5_start_resend_goes_on_where_accounting_does_and_before_the_next_interim() {
    let mut settings = each_minute(1);
    group(&mut settings).start_resend = 5;
    scheme(&mut settings).start_fail = StartFail::OnlineKeepAccounting;
    let scene = Scene::new(&settings).silence(1).up("a", 1).pass(52).sees(
        "0 admit a opened
         0 start a to 1
         5 start a to 1
         10 start a to 1
         44 start a to 1
         49 start a to 1",
    );
    // The second try ends at 59 and rests for a minute; the interim of 75 lets it go first.
    let scene = scene.pass(18).sees("54 start a to 1").wake(1).pass(70).sees(
        "75 start a to 1
         75 interim a to 1
         135 interim a to 1",
    );
    scene.down("a").pass(1).sees("140 stop a to 1");
}

#[test]
fn row_5_5_a_queued_start_is_dropped_by_a_down() {
    let mut settings = each_minute(1);
    group(&mut settings).start_resend = 5;
    scheme(&mut settings).start_fail = StartFail::OnlineKeepAccounting;
    let mut scene = Scene::new(&settings).silence(1).up("a", 1).pass(30);
    scene.seen();
    let scene = scene.wake(1).down("a").pass(600).sees("30 stop a to 1");
    assert_eq!(scene.stage.shard.report().stops_queued, 0);
}

#[test]
fn row_5_5_no_start_is_queued_that_has_ended_accounting() {
    for start_fail in [StartFail::Online, StartFail::Offline] {
        let mut settings = each_minute(1);
        group(&mut settings).start_resend = 5;
        scheme(&mut settings).start_fail = start_fail;
        let mut scene = Scene::new(&settings).silence(1).up("a", 1).pass(600);
        assert_eq!(scene.seen().matches("start a").count(), 3, "{start_fail:?}");
    }
}

/// One user, whose interims are tried once more, and who is cut at the second failure in a row.
fn resent_interims() -> Scene {
    let mut settings = each_minute(1);
    group(&mut settings).interim_resend = 1;
    group(&mut settings).retransmit = 4;
    scheme(&mut settings).interim_fail.max_times = 1;
    scheme(&mut settings).interim_fail.policy = InterimFailPolicy::Offline;
    let mut scene = Scene::new(&settings).up("a", 1).pass(50);
    scene.seen();
    scene
}

#[test]
fn row_5_5_interim_resend_is_superseded_by_the_next_tick_and_never_counts() {
    let scene = resent_interims();
    // The tick of 60 fails at 80, rests, and is tried once more at 109: one failure, not two. The tick of 120 comes while that
    // is in flight, and is skipped.
    let scene = scene.silence(1).pass(75).sees(
        "60 interim a to 1
         65 interim a to 1
         70 interim a to 1
         75 interim a to 1
         109 interim a to 1
         114 interim a to 1
         119 interim a to 1
         124 interim a to 1",
    );
    // The second failure is that of 180.
    scene.pass(80).sees(
        "180 interim a to 1
         185 interim a to 1
         190 server down
         190 interim a to 1
         195 interim a to 1
         200 cut a interim-failed",
    );
}

#[test]
fn row_5_5_interim_resend_that_is_answered_never_counts_either() {
    let scene = resent_interims();
    let scene = scene.silence(1).pass(40).sees(
        "60 interim a to 1
         65 interim a to 1
         70 interim a to 1
         75 interim a to 1",
    );
    let scene = scene.wake(1).pass(20).sees("109 interim a to 1");
    // The second failure in a row (owner's decision 5).
    scene.silence(1).pass(35).sees(
        "120 interim a to 1
         125 interim a to 1
         130 interim a to 1
         135 interim a to 1
         140 cut a interim-failed",
    );
}

#[test]
fn row_5_5_an_interim_that_is_due_replaces_one_that_rests() {
    let mut settings = each_minute(1);
    group(&mut settings).interim_resend = 9;
    let mut scene = Scene::new(&settings).up("a", 1).pass(50);
    scene.seen();
    let scene = scene.silence(1).pass(62);
    assert_eq!(scene.stage.shard.report().stops_queued, 1);
    let mut scene = scene.pass(4);
    scene.seen();
    // Resting from 119 on after its second try, it is replaced by the interim of 120, which fails and rests as a new one.
    let scene = scene.pass(26).sees(
        "120 interim a to 1
         125 interim a to 1
         130 interim a to 1",
    );
    let scene = scene.wake(1).pass(60).sees(
        "164 interim a to 1
         180 interim a to 1",
    );
    assert_eq!(scene.stage.shard.report().stops_queued, 0);
}
