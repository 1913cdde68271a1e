//! BEHAVIOUR.md 4 and 5.6: how long a subscriber may stay, how much it may move, and what happens then.

use std::time::Duration;

use model::domain::QuotaOut;
use model::event::Subscriber;
use model::settings::{AccountingMode, IntervalUnit, Settings, StartFail};
use model::verdict::{Reason, Sentence};
use wire::radius::attribute::{Type, acct_status_type};

use crate::scene::{Scene, domain, plain, scheme};
use crate::stage::{Stage, at};
use crate::vectors::interval;

fn timeout(seconds: u32) -> Subscriber<'static> {
    Subscriber { session_timeout: Some(seconds), ..Subscriber::default() }
}

fn time(seconds: u64) -> Subscriber<'static> {
    Subscriber { time_quota: Some(seconds), ..Subscriber::default() }
}

fn volume(octets: u64) -> Subscriber<'static> {
    Subscriber { volume_quota: Some(octets), ..Subscriber::default() }
}

fn with(quota_out: QuotaOut) -> Settings {
    let mut settings = plain(1);
    domain(&mut settings).quota_out = quota_out;
    settings
}

fn redirect(stop_accounting: bool) -> Settings {
    with(QuotaOut::Redirect { url: "http://pay.example/".to_owned(), stop_accounting })
}

const BEGUN: &str = "0 admit a opened\n0 start a to 1\n";

#[test]
fn session_timeout_runs_out() {
    let scene = Scene::new(&plain(1)).up_as("a", 1, timeout(100)).pass(101);
    let scene = scene.sees(&format!("{BEGUN}100 cut a session-timeout")).down("a").pass(1);
    assert_eq!(scene.last(Type::ACCT_TERMINATE_CAUSE), Some(5));
    assert_eq!(scene.last(Type::SESSION_TIMEOUT), Some(100));
    scene.sees("101 stop a to 1");
}

#[test]
fn session_timeout_0_is_refused() {
    Scene::new(&plain(1)).up_as("a", 1, timeout(0)).pass(10).sees("0 refuse a session-timeout");
}

/// It counts from the event that says it (decision of the page: remaining seconds).
#[test]
fn a_new_session_timeout_counts_from_then() {
    let scene = Scene::new(&plain(1)).up_as("a", 1, timeout(100)).pass(50).updates("a", timeout(200)).pass(201);
    scene.sees(&format!("{BEGUN}250 cut a session-timeout"));
}

/// One timer, and each of its purposes in its time.
#[test]
fn interims_a_timeout_and_a_quota_do_not_disturb_each_other() {
    let mut settings = with(QuotaOut::SendRealtimeAccounting);
    scheme(&mut settings).interim = interval(60, IntervalUnit::Second, false);
    let subscriber = Subscriber { time_quota: Some(100), ..timeout(150) };
    let scene = Scene::new(&settings).up_as("a", 1, subscriber).pass(181);
    scene.sees(&format!(
        "{BEGUN}60 interim a to 1
         100 interim a to 1
         120 interim a to 1
         150 interim a to 1
         180 interim a to 1"
    ));
}

#[test]
fn quota_out_offline() {
    let scene = Scene::new(&plain(1)).up_as("a", 1, time(60)).pass(80);
    let scene = scene.sees(&format!("{BEGUN}60 cut a quota-out")).down("a").pass(1);
    assert_eq!(scene.last(Type::ACCT_TERMINATE_CAUSE), Some(5));
}

#[test]
fn quota_out_online() {
    let scene = Scene::new(&with(QuotaOut::Online)).up_as("a", 1, time(60)).pass(1_000);
    scene.sees(&format!("{BEGUN}60 quota out"));
}

#[test]
fn quota_out_redirect() {
    let settings = redirect(false);
    let scene = Scene::new(&settings).up_as("a", 1, time(60)).pass(100);
    let scene = scene.sees(&format!("{BEGUN}60 redirect a quota-out\n60 quota out"));
    // A new life says so once more, and it ends as any other.
    let scene = scene.restart(2, &settings, &[("a", 1)]).pass(10);
    let scene = scene.sees("100 redirect a quota-out\n100 quota out").down("a").pass(1);
    scene.sees("110 stop a to 1");
}

#[test]
fn quota_out_redirect_stop_accounting() {
    let scene = Scene::new(&redirect(true)).up_as("a", 1, time(60)).count(1, 70).pass(61).down("a").pass(1);
    assert_eq!((scene.last(Type::ACCT_TERMINATE_CAUSE), scene.input_octets()), (Some(5), 70));
    assert!(scene.stage.live().is_empty());
    let scene = scene.sees(&format!("{BEGUN}60 redirect a accounting-stopped\n60 quota out\n61 stop a to 1"));
    scene.pass(100).sees("");
}

#[test]
fn quota_out_send_realtime() {
    let scene = Scene::new(&with(QuotaOut::SendRealtimeAccounting)).up_as("a", 1, time(60)).count(1, 70).pass(1_000);
    assert_eq!(scene.input_octets(), 70);
    scene.sees(&format!("{BEGUN}60 interim a to 1"));
}

/// The domain leads nobody elsewhere any more when the time is up.
#[test]
fn a_session_timeout_runs_out_for_who_was_led_elsewhere() {
    let both = Subscriber { volume_quota: Some(100), ..timeout(120) };
    let scene = Scene::new(&redirect(false)).up_as("a", 1, both).count(1, 100).pass(60);
    let mut scene = scene.sees(&format!("{BEGUN}0 redirect a quota-out\n0 quota out")).commit(&plain(1));
    scene = scene.pass(61).sees("120 cut a session-timeout").down("a").pass(1);
    assert_eq!(scene.last(Type::ACCT_TERMINATE_CAUSE), Some(5));
}

/// It is told again, and that is all.
#[test]
fn a_session_timeout_leads_elsewhere_once() {
    let both = Subscriber { session_timeout: Some(100), ..time(60) };
    let scene = Scene::new(&redirect(false)).up_as("a", 1, both).pass(1_000);
    let scene = scene.sees(&format!(
        "{BEGUN}60 redirect a quota-out
         60 quota out
         100 redirect a quota-out
         100 quota out"
    ));
    // A new one counts anew.
    scene.updates("a", Subscriber { time_quota: Some(5_000), ..timeout(50) }).pass(51).sees(
        "1050 redirect a quota-out
         1050 quota out",
    );
}

/// The ledger does not know yet that accounting runs: the server hears of the quota when it does.
#[test]
fn quota_out_send_realtime_waits_for_the_ledger() {
    let mut scene = Scene::new(&with(QuotaOut::SendRealtimeAccounting)).up_as("a", 1, time(60));
    let stage = &mut scene.stage;
    stage.hand_out(usize::MAX);
    stage.make_durable(stage.records.len() as u64);
    stage.transmit();
    assert_eq!(stage.answer().len(), 1, "the Start");
    stage.pass(Duration::from_secs(61));
    stage.shard.handle_timeout(stage.now, &stage.table);
    stage.transmit();
    assert!(stage.asked.is_empty(), "an interim before `accepted`");
    let scene = scene.pass(1);
    assert_eq!(scene.last(Type::ACCT_STATUS_TYPE), Some(acct_status_type::INTERIM_UPDATE));
}

/// That of the domain as it is now, not as it was at log-in.
#[test]
fn quota_out_is_that_of_the_present_domain() {
    let scene = Scene::new(&plain(1)).up_as("a", 1, time(60)).pass(30).commit(&with(QuotaOut::Online)).pass(100);
    scene.sees(&format!("{BEGUN}60 quota out"));
}

#[test]
fn a_volume_is_used_up() {
    let scene = Scene::new(&plain(1)).up_as("a", 1, volume(1_000)).count(1, 400).pass(100);
    let mut scene = scene.sees(BEGUN).count(1, 1_000).pass(11);
    let seen = scene.seen();
    let (at, what) = seen.trim().split_once(' ').unwrap();
    assert_eq!(what, "cut a quota-out");
    assert!((100.0..=110.1).contains(&at.parse::<f64>().unwrap()), "{seen}");
}

/// Nearly used up, it is looked at each second.
#[test]
fn a_volume_that_is_nearly_used_up_is_looked_at_often() {
    let mut settings = plain(1);
    settings.checkpoint_interval_s = 10;
    let mut scene = Scene::new(&settings).up_as("a", 1, volume(1_000_000));
    for second in 0..100 {
        scene = scene.count(1, 20_000 * second).pass(1);
    }
    let seen = scene.seen();
    let (at, what) = seen.lines().nth(2).unwrap().split_once(' ').unwrap();
    assert_eq!(what, "cut a quota-out", "{seen}");
    assert!((50.0..=52.0).contains(&at.parse::<f64>().unwrap()), "{seen}");
}

/// A new volume counts from the event that says it.
#[test]
fn a_new_volume_is_beyond_what_was_moved() {
    let scene = Scene::new(&plain(1)).up_as("a", 1, volume(1_000)).count(1, 900).pass(5);
    let scene = scene.updates("a", volume(500)).count(1, 1_399).pass(50).sees(BEGUN).count(1, 1_400).pass(11);
    assert!(scene.stage.shard.report().cut == 1);
}

#[test]
fn quotas_survive_a_restart() {
    let settings = plain(1);
    let scene = Scene::new(&settings).up_as("a", 1, time(100)).up_as("b", 2, timeout(80));
    let scene = scene.up_as("c", 3, volume(50)).pass(10).restart(2, &settings, &[("a", 1), ("b", 2), ("c", 3)]);
    let mut scene = scene.count(3, 60).pass(1);
    scene.seen();
    let scene = scene.pass(100);
    // Each is cut in its time; a plane that gives no Down is not waited for.
    scene.sees("40 stop c to 1\n80 cut b session-timeout\n100 cut a quota-out\n110 stop b to 1");
}

#[test]
fn who_is_not_accounted_for_is_timed_all_the_same() {
    let mut settings = plain(1);
    scheme(&mut settings).mode = Some(AccountingMode::None);
    let scene = Scene::new(&settings).up_as("a", 1, timeout(100)).pass(101);
    scene.sees("0 admit a not-accounted\n100 cut a session-timeout");
}

#[test]
fn row_3_2_no_send_when_the_time_quota_is_nearly_used() {
    let mut settings = with(QuotaOut::Online);
    scheme(&mut settings).interim = interval(60, IntervalUnit::Second, false);
    scheme(&mut settings).no_send_remain_s = 70;
    let scene = Scene::new(&settings).up_as("a", 1, time(200)).up_as("b", 2, Subscriber::default()).pass(241);
    let of_a: Vec<u64> =
        scene.sent.iter().filter(|asked| asked.user() == "a").map(|asked| asked.at.as_millis()).collect();
    // At 180 only 20 s remain; at 240 none does, for the quota has been used up and limits no more.
    let seconds: Vec<u64> = of_a.iter().map(|at| (at - 100_000) / 1_000).collect();
    assert_eq!(seconds, [0, 60, 120, 240]);
    assert_eq!(scene.sent.iter().filter(|asked| asked.user() == "b").count(), 5);
}

/// To be led elsewhere is to be let in: who waits for its Start is not before a later life would know of the answer.
#[test]
fn nobody_is_led_elsewhere_before_its_start_is_known_to_be_accepted() {
    let mut settings = redirect(false);
    scheme(&mut settings).start_fail = StartFail::Offline;
    let mut stage = Stage::with(1, at(0), &settings, 4).linked(1, 0);
    stage.up_with("a", 1, time(60));
    stage.turn();
    stage.answer();
    stage.hand_out(usize::MAX);
    // The disk is slow: the quota is used up while `accepted` is on its way.
    stage.pass(Duration::from_secs(61));
    stage.shard.handle_timeout(stage.now, &stage.table);
    assert!(stage.shard.poll_verdict().is_none(), "nothing is durable but `opened`");
    stage.turn();
    let verdicts: Vec<_> = stage.verdicts.iter().map(|(_, sentence, reason)| (*sentence, *reason)).collect();
    assert_eq!(verdicts, [(Sentence::Redirect, Reason::QuotaOut)]);
}
