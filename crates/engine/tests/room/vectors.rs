//! The worked vectors of BEHAVIOUR.md section 12, played; each test bears the number of its vector.

use std::time::Duration;

use model::settings::{Interim, InterimFail, InterimFailPolicy, InterimSpelling, IntervalUnit, Settings, StartFail};
use wire::radius::attribute::Type;

use crate::scene::{Scene, group, plain, scheme};
use crate::stage::Asked;

pub(crate) fn interval(value: u16, unit: IntervalUnit, hash: bool) -> Option<Interim> {
    Some(Interim { value, unit, hash, traffic: false, spelling: InterimSpelling::Interval })
}

/// One server; an interim every minute; this policy.
pub(crate) fn each_minute(max_times: u8, policy: InterimFailPolicy) -> Settings {
    let mut settings = plain(1);
    *scheme(&mut settings) = model::settings::AccountingScheme {
        interim: interval(60, IntervalUnit::Second, false),
        interim_fail: InterimFail { max_times, policy },
        ..Default::default()
    };
    settings
}

pub(crate) fn start_fails(policy: StartFail) -> Settings {
    let mut settings = each_minute(3, InterimFailPolicy::Online);
    scheme(&mut settings).start_fail = policy;
    settings
}

#[test]
fn vector_1_an_interval_of_100_minutes_ticks_at_6000_and_12000() {
    let mut settings = plain(1);
    scheme(&mut settings).interim = interval(100, IntervalUnit::Minute, false);
    Scene::new(&settings).up("a", 1).pass(12_001).sees(
        "0 admit a opened
         0 start a to 1
         6000 interim a to 1
         12000 interim a to 1",
    );
}

#[test]
fn vector_2_with_hash_the_first_tick_lies_in_30_to_60_and_then_every_30() {
    let mut settings = plain(1);
    scheme(&mut settings).interim = interval(30, IntervalUnit::Second, true);
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let mut scene = Scene::new(&settings);
    for (name, slot) in names.into_iter().zip(1..) {
        scene = scene.up(name, slot);
    }
    let scene = scene.pass(200);
    let mut firsts = Vec::new();
    for name in names {
        let times: Vec<_> = scene.sent.iter().filter(|asked| asked.user() == name).map(|asked| asked.at).collect();
        let (start, ticks) = times.split_first().unwrap();
        let first = ticks[0].since(*start);
        assert!((Duration::from_secs(30)..=Duration::from_secs(60)).contains(&first), "{name}: {first:?}");
        assert!(ticks.windows(2).all(|two| two[1].since(two[0]) == Duration::from_secs(30)), "{name}: {ticks:?}");
        firsts.push(first);
    }
    firsts.sort();
    firsts.dedup();
    assert_eq!(firsts.len(), names.len(), "everyone has a phase of its own");
}

/// `interim interval 10` (minutes), and what the authentication server says.
#[test]
fn vector_3_attribute_85_of_59_60_3932100_and_3932101() {
    let mut settings = plain(1);
    scheme(&mut settings).interim = interval(10, IntervalUnit::Minute, false);
    for (said, expected) in [(59, 600), (60, 60), (3_932_100, 3_932_100), (3_932_101, 600)] {
        let scene = Scene::new(&settings).up_with_interval("a", 1, said).pass(expected - 1);
        assert_eq!(scene.sent.len(), 1, "{said}: the Start");
        let scene = scene.pass(2);
        assert_eq!(scene.sent.len(), 2, "{said}: and an interim at {expected}");
    }
}

#[test]
fn vector_4_with_three_times_online_the_fourth_failure_is_told_and_an_answer_clears() {
    let scene = Scene::new(&each_minute(3, InterimFailPolicy::Online)).up("a", 1).pass(59);
    let scene = scene.sees("0 admit a opened\n0 start a to 1").silence(1);
    let mut scene = scene.pass(240);
    let seen = scene.seen();
    let told: Vec<&str> = seen.lines().filter(|line| line.ends_with("interims failed")).collect();
    assert_eq!(told, ["255 interims failed"], "{seen}");
    let scene = scene.wake(1).pass(300).silence(1);
    let mut scene = scene.pass(300);
    let seen = scene.seen();
    let told = seen.lines().filter(|line| line.ends_with("interims failed")).count();
    assert_eq!(told, 1, "the answers began the count anew: {seen}");
}

#[test]
fn vector_5_with_one_time_offline_the_second_failure_in_a_row_cuts() {
    let settings = each_minute(1, InterimFailPolicy::Offline);
    let scene = Scene::new(&settings).up("a", 1).pass(59).sees("0 admit a opened\n0 start a to 1");
    // Fail, ok, fail, ok: nobody is cut.
    let scene = scene.silence(1).pass(30).wake(1).pass(60).silence(1).pass(60).wake(1).pass(60);
    let scene = scene.sees(
        "60 interim a to 1
         65 interim a to 1
         70 interim a to 1
         120 interim a to 1
         180 interim a to 1
         185 interim a to 1
         190 interim a to 1
         240 interim a to 1",
    );
    scene.silence(1).pass(120).sees(
        "300 interim a to 1
         305 interim a to 1
         310 interim a to 1
         360 interim a to 1
         365 interim a to 1
         370 interim a to 1
         375 cut a interim-failed",
    );
}

#[test]
fn vector_6_three_transmissions_five_seconds_apart_fail_after_fifteen() {
    Scene::new(&start_fails(StartFail::Offline)).silence(1).up("a", 1).pass(60).sees(
        "0 start a to 1
         5 start a to 1
         10 start a to 1
         15 refuse a start-failed",
    );
}

#[test]
fn vector_6_two_servers_make_six_packets_and_thirty_seconds() {
    let mut settings = plain(2);
    scheme(&mut settings).start_fail = StartFail::Offline;
    let scene = Scene::new(&settings).silence(1).silence(2).up("a", 1).pass(60);
    let scene = scene.sees(
        "0 start a to 1
         5 start a to 1
         10 start a to 1
         15 start a to 2
         20 start a to 2
         25 start a to 2
         30 refuse a start-failed",
    );
    let octets = |asked: &Asked| (asked.packet().identifier(), *asked.packet().authenticator());
    let (first, second) = scene.sent.split_at(3);
    assert!(first.iter().all(|asked| octets(asked) == octets(&first[0])), "copies for one server are the same");
    assert!(second.iter().all(|asked| octets(asked) == octets(&second[0])), "copies for one server are the same");
    assert_ne!(octets(&first[0]).1, octets(&second[0]).1);
    let delays: Vec<_> = scene.sent.iter().map(|asked| asked.u32(Type::ACCT_DELAY_TIME).unwrap()).collect();
    assert_eq!(delays, [0, 0, 0, 15, 15, 15], "counted anew for each server");
    let events: Vec<_> = scene.sent.iter().map(|asked| asked.u32(Type::EVENT_TIMESTAMP).unwrap()).collect();
    assert!(events.iter().all(|event| event == &events[0]), "the event's time never changes");
}

#[test]
fn vector_7_a_silent_stop_without_resend_is_one_bill_after_fifteen_seconds() {
    let scene = Scene::new(&plain(1)).up("a", 1).pass(10).sees("0 admit a opened\n0 start a to 1");
    scene.silence(1).down("a").pass(100).sees(
        "10 stop a to 1
         15 stop a to 1
         20 stop a to 1
         25 bill stop-unanswered",
    );
}

#[test]
fn vector_7_resend_2_bills_after_two_more_transactions() {
    let mut settings = plain(1);
    group(&mut settings).stop_resend = 2;
    let scene = Scene::new(&settings).up("a", 1).pass(10).sees("0 admit a opened\n0 start a to 1");
    let scene = scene.silence(1).down("a").pass(1_000);
    let stops: Vec<_> = scene.sent.iter().skip(1).collect();
    assert_eq!(stops.len(), 9, "three transactions of three transmissions");
    let identifiers: Vec<u8> = stops.iter().map(|stop| stop.packet().identifier()).collect();
    assert!(identifiers[0] != identifiers[3] && identifiers[3] != identifiers[6], "each with its own identifier");
    let mut scene = scene;
    let seen = scene.seen();
    let bills: Vec<&str> = seen.lines().filter(|line| line.contains("bill")).collect();
    assert!(bills.len() == 1 && seen.lines().last() == Some(bills[0]), "one, and at the end: {seen}");
}

#[test]
fn vector_8_start_fail_online_sends_start_x3_stop_x3_no_interims_and_bills_at_log_out() {
    let scene = Scene::new(&start_fails(StartFail::Online)).silence(1).up("a", 1).pass(600);
    let scene = scene.sees(
        "0 admit a opened
         0 start a to 1
         5 start a to 1
         10 start a to 1
         15 stop a to 1
         20 stop a to 1
         25 stop a to 1",
    );
    scene.down("a").pass(100).sees("600 bill start-failed");
}

#[test]
fn vector_8_keep_accounting_with_the_server_back_sends_interims_and_bills_nothing() {
    let scene = Scene::new(&start_fails(StartFail::OnlineKeepAccounting)).silence(1).up("a", 1).pass(20).wake(1);
    let scene = scene.sees(
        "0 admit a opened
         0 start a to 1
         5 start a to 1
         10 start a to 1",
    );
    scene.pass(120).down("a").pass(100).sees(
        "75 interim a to 1
         135 interim a to 1
         140 stop a to 1",
    );
}

#[test]
fn vector_9_start_fail_offline_refuses_and_sends_no_stop() {
    let scene = Scene::new(&start_fails(StartFail::Offline)).silence(1).up("a", 1).pass(20).wake(1).pass(600);
    scene.sees(
        "0 start a to 1
         5 start a to 1
         10 start a to 1
         15 refuse a start-failed",
    );
}

#[test]
fn vector_9_with_send_force_one_stop_is_sent() {
    let mut settings = start_fails(StartFail::Offline);
    group(&mut settings).send_force = true;
    let scene = Scene::new(&settings).silence(1).up("a", 1).pass(14).wake(1).pass(600);
    scene.sees(
        "0 start a to 1
         5 start a to 1
         10 start a to 1
         15 refuse a start-failed
         15 stop a to 1",
    );
}

#[test]
fn vector_14_12020245692_octets_are_gigawords_2_and_3430311100() {
    let mut scene = Scene::new(&plain(1)).up("a", 1).count(1, 12_020_245_692).pass(10).down("a").pass(1);
    let stop = scene.sent.pop().unwrap();
    assert_eq!(stop.u32(Type::ACCT_INPUT_GIGAWORDS), Some(2));
    assert_eq!(stop.u32(Type::ACCT_INPUT_OCTETS), Some(3_430_311_100));
}
