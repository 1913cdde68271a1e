//! BEHAVIOUR.md 3.2 and 3.3: what the scheme says of interims, and for whom; each test bears the number of its row.

use model::settings::{AccountingMode, InterimFailPolicy, IntervalUnit, Settings};

use crate::scene::{Scene, plain, scheme};
use crate::vectors::{each_minute, interval};

/// One server; an interim in so many seconds.
fn each(seconds: u16) -> Settings {
    let mut settings = plain(1);
    scheme(&mut settings).interim = interval(seconds, IntervalUnit::Second, false);
    settings
}

#[test]
fn row_3_2_mode_none_sends_nothing_and_bills_nothing() {
    let mut settings = each(60);
    scheme(&mut settings).mode = Some(AccountingMode::None);
    let scene = Scene::new(&settings).silence(1).up("a", 1).pass(1_000).down("a").pass(1_000);
    scene.sees("0 admit a not-accounted");
}

#[test]
fn row_3_2_interim_fail_without_max_times_is_3() {
    let mut settings = each(60);
    scheme(&mut settings).interim_fail.policy = InterimFailPolicy::Offline;
    let mut scene = Scene::new(&settings).up("a", 1).pass(1).silence(1).pass(270);
    let seen = scene.seen();
    assert_eq!(seen.lines().last(), Some("255 cut a interim-failed"), "{seen}");
}

#[test]
fn row_3_2_send_update_after_an_accepted_start_only() {
    let mut settings = each(60);
    scheme(&mut settings).send_update = true;
    Scene::new(&settings).up("a", 1).pass(121).sees(
        "0 admit a opened
         0 start a to 1
         0 interim a to 1
         60 interim a to 1
         120 interim a to 1",
    );
    let mut kept = crate::vectors::start_fails(model::settings::StartFail::OnlineKeepAccounting);
    scheme(&mut kept).send_update = true;
    Scene::new(&kept).silence(1).up("a", 1).pass(20).wake(1).pass(60).sees(
        "0 admit a opened
         0 start a to 1
         5 start a to 1
         10 start a to 1
         75 interim a to 1",
    );
}

/// That one counts as any other.
#[test]
fn row_3_2_an_update_that_fails_is_a_failure() {
    let mut settings = each_minute(1, InterimFailPolicy::Offline);
    scheme(&mut settings).send_update = true;
    let scene = Scene::new(&settings).answer_starts_only().up("a", 1).pass(100);
    scene.sees(
        "0 admit a opened
         0 start a to 1
         0 interim a to 1
         5 interim a to 1
         10 interim a to 1
         60 interim a to 1
         65 interim a to 1
         70 interim a to 1
         75 cut a interim-failed",
    );
}

#[test]
fn row_3_3_1_interval_0_still_reports_an_address_change() {
    let scene = Scene::new(&plain(1)).up("a", 1).pass(500).moves("a", [10, 0, 0, 1]).pass(500);
    scene.sees(
        "0 admit a opened
         0 start a to 1
         500 interim a to 1",
    );
}

#[test]
fn row_3_3_2_a_sane_85_runs_where_the_scheme_is_off_and_an_insane_one_does_not() {
    let scene = Scene::new(&plain(1)).up_with_interval("a", 1, 300).up_with_interval("b", 2, 59).pass(601);
    scene.sees(
        "0 admit a opened
         0 admit b opened
         0 start a to 1
         0 start b to 1
         300 interim a to 1
         600 interim a to 1",
    );
}

#[test]
fn row_3_3_2_85_beats_the_scheme_and_keeps_hash_and_traffic() {
    let mut settings = each(1_000);
    let interim = scheme(&mut settings).interim.as_mut().unwrap();
    (interim.hash, interim.traffic) = (true, true);
    let scene = Scene::new(&settings).up_with_interval("a", 1, 60).count(1, 5).pass(1_000);
    let ticks: Vec<u64> = scene.sent.iter().map(|asked| asked.at.as_millis() - 100_000).collect();
    assert_eq!(ticks.len(), 2, "a Start, and one interim with what was counted: {ticks:?}");
    assert!((60_000..=120_100).contains(&ticks[1]) && ticks[1] != 60_000, "{ticks:?}");
}

#[test]
fn row_3_3_3_a_changed_scheme_touches_later_sessions_only() {
    let scene = Scene::new(&each(60)).up("a", 1).pass(1).commit(&each(30)).up("b", 2).pass(61);
    scene.sees(
        "0 admit a opened
         0 start a to 1
         1 admit b opened
         1 start b to 1
         31 interim b to 1
         60 interim a to 1
         61 interim b to 1",
    );
}

#[test]
fn row_3_3_4_base_is_the_end_of_the_start_accepted_or_kept() {
    let scene = Scene::new(&each(60)).silence(1).up("a", 1).pass(7).wake(1).pass(70);
    scene.sees(
        "0 admit a opened
         0 start a to 1
         5 start a to 1
         10 start a to 1
         70 interim a to 1",
    );
}

#[test]
fn row_3_3_5_traffic_skips_counts_nothing_and_compares_with_the_last_acknowledged() {
    let mut settings = each_minute(1, InterimFailPolicy::Offline);
    scheme(&mut settings).interim.as_mut().unwrap().traffic = true;
    let scene = Scene::new(&settings).count(1, 0).up("a", 1).pass(130);
    // Nothing has been counted: nothing leaves.
    let scene = scene.sees("0 admit a opened\n0 start a to 1").count(1, 10).pass(120);
    let scene = scene.sees("180 interim a to 1").count(1, 20).silence(1).pass(70);
    // It failed, so it was not told: the next tick tells it although nothing more has been counted. A skipped tick is no
    // failure and no success.
    let scene = scene.sees("300 interim a to 1\n305 interim a to 1\n310 interim a to 1").wake(1).pass(100);
    let scene = scene.sees("360 interim a to 1").silence(1).pass(300);
    let scene = scene.sees("").count(1, 30).pass(140);
    scene.sees(
        "780 interim a to 1
         785 interim a to 1
         790 interim a to 1
         840 interim a to 1
         845 interim a to 1
         850 interim a to 1
         855 cut a interim-failed",
    );
}

/// What an earlier life reported is not known: the first tick after a restart sends.
#[test]
fn row_3_3_5_after_a_restart_the_first_tick_sends() {
    let mut settings = each(60);
    scheme(&mut settings).interim.as_mut().unwrap().traffic = true;
    let scene = Scene::new(&settings).count(1, 7).up("a", 1).pass(70);
    let scene = scene.sees("0 admit a opened\n0 start a to 1\n60 interim a to 1");
    let scene = scene.restart(2, &settings, &[("a", 1)]).pass(200);
    scene.sees("70 admit a known\n120 interim a to 1");
}

/// An address is told whether traffic has flowed or not.
#[test]
fn row_3_3_5_an_address_change_ignores_traffic() {
    let mut settings = each(60);
    scheme(&mut settings).interim.as_mut().unwrap().traffic = true;
    let scene = Scene::new(&settings).count(1, 0).up("a", 1).pass(70).moves("a", [10, 0, 0, 1]).pass(70);
    scene.sees("0 admit a opened\n0 start a to 1\n70 interim a to 1");
}

#[test]
fn row_3_3_6_retries_do_not_move_the_phase() {
    let scene = Scene::new(&each(60)).up("a", 1).pass(59).silence(1).pass(8).wake(1).pass(120);
    scene.sees(
        "0 admit a opened
         0 start a to 1
         60 interim a to 1
         65 interim a to 1
         70 interim a to 1
         120 interim a to 1
         180 interim a to 1",
    );
}

#[test]
fn row_3_3_6_a_tick_behind_an_unanswered_interim_is_skipped() {
    let mut settings = each(10);
    scheme(&mut settings).interim_fail.max_times = 1;
    let scene = Scene::new(&settings).up("a", 1).pass(9).silence(1).pass(41);
    scene.sees(
        "0 admit a opened
         0 start a to 1
         10 interim a to 1
         15 interim a to 1
         20 interim a to 1
         30 interim a to 1
         35 interim a to 1
         40 interim a to 1
         45 interims failed
         50 interim a to 1",
    );
}

#[test]
fn row_3_3_10_interim_fail_before_any_interval() {
    let mut settings = plain(1);
    scheme(&mut settings).interim_fail.policy = InterimFailPolicy::Offline;
    let scene = Scene::new(&settings).up("a", 1).pass(1).silence(1).pass(10_000);
    scene.sees("0 admit a opened\n0 start a to 1");
}
