//! BEHAVIOUR.md 3.4: what counts as a failure of real-time accounting, and what does not.

use model::settings::{InterimFailPolicy, Settings};
use wire::radius::attribute::Type;

use crate::scene::{Scene, group, plain, scheme};
use crate::stage::Asked;
use crate::vectors::each_minute;

/// The second failure in a row cuts.
fn strict() -> Settings {
    each_minute(1, InterimFailPolicy::Offline)
}

/// The line that tells of the cut.
fn cut_in(scene: &mut Scene) -> Option<String> {
    let seen = scene.seen();
    seen.lines().find(|line| line.contains("cut")).map(str::to_owned)
}

#[test]
fn row_3_4_a_failure_is_a_transaction_over_all_servers() {
    let mut settings = plain(2);
    *scheme(&mut settings) = strict().schemes.remove(&model::settings::ObjectName::from("scheme")).unwrap();
    let scene = Scene::new(&settings).up("a", 1).pass(59).silence(1).silence(2).pass(100);
    let interims = scene.sent.iter().filter(|asked| asked.u32(Type::ACCT_SESSION_TIME).is_some()).count();
    let mut scene = scene;
    assert_eq!(cut_in(&mut scene).as_deref(), Some("150 cut a interim-failed"), "at the end of the second");
    assert_eq!(interims, 12, "two transactions of three transmissions to each of two servers");
}

#[test]
fn row_3_4_an_answer_of_the_second_server_is_an_answer() {
    let mut settings = plain(2);
    *scheme(&mut settings) = strict().schemes.remove(&model::settings::ObjectName::from("scheme")).unwrap();
    let mut scene = Scene::new(&settings).up("a", 1).pass(59).silence(1).pass(2_000);
    assert_eq!(cut_in(&mut scene), None);
}

#[test]
fn row_3_4_unsent_with_all_down_or_no_server_is_a_failure() {
    // No server: each tick fails at once.
    let mut none = strict();
    let scene = Scene::new(&none).up("a", 1).pass(1);
    group(&mut none).accounting.clear();
    let mut scene = scene.commit(&none).pass(200);
    assert_eq!(cut_in(&mut scene).as_deref(), Some("120 cut a interim-failed"));
    // All Down: what finds no place within R × S has failed unsent. The subscribers are many, and the probe is one.
    let mut scene = Scene::new(&strict());
    let names: Vec<String> = (0..20).map(|number| format!("s{number}")).collect();
    for (name, slot) in names.iter().zip(1..) {
        scene = scene.up(name, slot);
    }
    let mut scene = scene.pass(59).silence(1).pass(300);
    let seen = scene.seen();
    assert!(seen.contains("server down"), "{seen}");
    assert_eq!(seen.lines().filter(|line| line.ends_with("interim-failed")).count(), 20, "{seen}");
    let last: Vec<&Asked> = scene.sent.iter().filter(|asked| asked.at.as_millis() >= 100_000 + 119_000).collect();
    assert!(last.len() <= 12, "one at a time as the probe: {}", last.len());
}

#[test]
fn row_3_4_a_late_reply_changes_nothing() {
    let mut scene = Scene::new(&strict()).up("a", 1).pass(59).silence(1).pass(30);
    let late = scene.sent.last().unwrap().clone();
    scene.stage.reply(&late);
    let mut scene = scene.pass(100);
    assert_eq!(cut_in(&mut scene).as_deref(), Some("135 cut a interim-failed"));
    assert_eq!(scene.stage.shard.report().discards.unknown_identifier, 1);
}

#[test]
fn row_3_4_starts_and_other_sessions_do_not_count() {
    // The other's answered Starts and interims lie between the failures of this one.
    let scene = Scene::new(&strict()).up("a", 1).pass(59).silence(1).pass(20).wake(1).up("b", 2).pass(20);
    let mut scene = scene.silence(1).pass(50);
    assert_eq!(cut_in(&mut scene).as_deref(), Some("135 cut a interim-failed"));
}

#[test]
fn row_3_4_failures_survive_a_restart() {
    let settings = strict();
    let scene = Scene::new(&settings).up("a", 1).pass(59).silence(1).pass(30);
    let mut scene = scene.restart(2, &settings, &[("a", 1)]).silence(1).pass(100);
    assert_eq!(cut_in(&mut scene).as_deref(), Some("135 cut a interim-failed"));
}

#[test]
fn row_3_4_a_cut_ends_with_cause_9_whatever_the_plane_says() {
    for cause in [0, 1, 6, 10] {
        let scene = Scene::new(&strict()).up("a", 1).pass(59).silence(1).pass(80).wake(1);
        let scene = scene.count(1, 77).down_with("a", cause, None).pass(1);
        assert_eq!(scene.last(Type::ACCT_TERMINATE_CAUSE), Some(9));
        assert_eq!(scene.last(Type::ACCT_INPUT_OCTETS), Some(77));
    }
}

/// Even where its link was lost meanwhile.
#[test]
fn row_3_4_a_cut_session_s_bill_says_9() {
    let settings = strict();
    let scene = Scene::new(&settings).up("a", 1).pass(59).silence(1).pass(80).down_with("a", 1, None).pass(100);
    let closed = scene.stage.records.iter().find_map(|record| match record {
        crate::stage::Kept::Billed { closed, .. } => Some(*closed),
        _ => None,
    });
    assert_eq!(closed.unwrap().cause, 9);
}
