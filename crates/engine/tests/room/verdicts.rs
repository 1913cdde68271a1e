//! Subscribers that are cut: who, why, and what becomes of their accounting.

use std::net::IpAddr;

use model::ids::PlaneIndex;
use model::report::UserSelector;
use model::settings::{AccountingMode, AccountingScheme, CutBrake, Domain, InterimFailPolicy, ObjectName, StartFail};
use wire::radius::attribute::Type;

use crate::scene::{Scene, group, scheme, server};
use crate::vectors::{each_minute, start_fails};

fn user(name: &str) -> UserSelector {
    UserSelector::UserName(format!("{name}@isp"))
}

#[test]
fn a_cut_survives_a_restart() {
    let settings = each_minute(1, InterimFailPolicy::Offline);
    let mut scene = Scene::new(&settings).up("a", 1).pass(59).silence(1).pass(80);
    scene.seen();
    let scene = scene.wake(1).restart(2, &settings, &[("a", 1)]).pass(10);
    let scene = scene.sees("139 cut a interim-failed").down_with("a", 1, None).pass(1).sees("149 stop a to 1");
    assert_eq!(scene.last(Type::ACCT_TERMINATE_CAUSE), Some(9));
}

#[test]
fn a_manual_cut_survives_a_restart_with_its_own_reason() {
    let settings = each_minute(3, InterimFailPolicy::Online);
    let scene = Scene::new(&settings).up("a", 1).pass(10).cut(&user("a"), 1).pass(1);
    let scene = scene.sees("0 admit a opened\n0 start a to 1\n10 cut a cut-by-operator");
    let scene = scene.restart(2, &settings, &[("a", 1)]).pass(1).sees("11 cut a cut-by-operator");
    let scene = scene.down_with("a", 1, None).pass(1).sees("12 stop a to 1");
    assert_eq!(scene.last(Type::ACCT_TERMINATE_CAUSE), Some(6));
}

/// A checkpoint says it as well as the record that it replaces.
#[test]
fn a_cut_is_in_the_checkpoint() {
    let settings = each_minute(3, InterimFailPolicy::Online);
    let scene = Scene::new(&settings).up("a", 1).pass(10).cut(&user("a"), 1).pass(1);
    let whole = scene.stage.live().into_values().next().unwrap();
    assert_eq!(whole.sampled.unwrap().cut, Some(model::verdict::CutBy::Operator));
}

#[test]
fn a_plane_that_does_not_answer_a_cut() {
    let settings = each_minute(1, InterimFailPolicy::Offline);
    let mut scene = Scene::new(&settings).up("a", 1).pass(59).silence(1).pass(80).wake(1).count(1, 4711);
    let seen = scene.seen();
    assert_eq!(seen.lines().last(), Some("135 cut a interim-failed"), "{seen}");
    let scene = scene.pass(100).sees("165 stop a to 1");
    assert_eq!(scene.last(Type::ACCT_TERMINATE_CAUSE), Some(9));
    assert_eq!(scene.last(Type::ACCT_INPUT_OCTETS), Some(4711));
    assert_eq!(scene.stage.shard.report().cuts_unanswered, 1);
    // Its Down may still come, and is nobody's.
    let scene = scene.down_with("a", 1, None).pass(100).sees("");
    assert!(scene.stage.live().is_empty());
}

/// Its Stop has told the octets that its counters begin with: a session that began now would tell them once more.
#[test]
fn who_stays_in_spite_of_a_cut_is_cut_again_when_it_is_announced() {
    let settings = each_minute(3, InterimFailPolicy::Online);
    let scene = Scene::new(&settings).up("a", 1).pass(10).cut(&user("a"), 1).count(1, 4711).pass(31);
    let scene = scene.sees(
        "0 admit a opened
         0 start a to 1
         10 cut a cut-by-operator
         40 stop a to 1",
    );
    assert_eq!(scene.last(Type::ACCT_INPUT_OCTETS), Some(4711));
    let scene = scene.announce_by("a", 1, 1).pass(1).sees("41 cut a cut-by-operator");
    assert!(scene.stage.live().is_empty());
    // Whoever comes with other counters is somebody else.
    scene.down_with("a", 1, None).up("a", 2).pass(1).sees("42 admit a opened\n42 start a to 1");
}

/// While the ledger is behind, what a plane says stays in its ring: the Down of whom it was to cut may be there.
#[test]
fn a_down_that_lies_unread_is_waited_for() {
    let settings = each_minute(3, InterimFailPolicy::Online);
    let mut scene = Scene::new(&settings).up("a", 1).pass(10).cut(&user("a"), 1).pass(29);
    scene.seen();
    for _ in 0..100 {
        let now = scene.stage.now.mono;
        scene.stage.shard.handle_events_left(now);
        scene = scene.pass(1);
    }
    scene.down_with("a", 1, None).pass(40).sees("139 stop a to 1");
}

/// A plane that says more than is read, and for ever, keeps nobody waiting but its own.
#[test]
fn a_down_that_lies_unread_is_its_own_plane_s() {
    for (plane, stop) in [(crate::stage::PLANE, "70 stop a to 1"), (PlaneIndex(1), "40 stop a to 1")] {
        let settings = each_minute(3, InterimFailPolicy::Online);
        let mut scene = Scene::new(&settings).up("a", 1).pass(10).cut(&user("a"), 1);
        scene.stage.shard.handle_plane_linked(scene.stage.now.mono, PlaneIndex(1), "flooding", 7, 1);
        let mut scene = scene.pass(29);
        scene.seen();
        for _ in 0..30 {
            let now = scene.stage.now.mono;
            scene.stage.shard.handle_plane_events_left(now, plane);
            scene = scene.pass(1);
        }
        scene.pass(40).sees(stop);
    }
}

/// It announces its sessions, and hears the verdict once more, before it has said nothing for too long.
#[test]
fn a_plane_that_has_just_come_back_has_its_time() {
    let settings = each_minute(3, InterimFailPolicy::Online);
    let mut scene = Scene::new(&settings).up("a", 1).pass(10).cut(&user("a"), 1).pass(1);
    scene.seen();
    let now = scene.stage.now.mono;
    scene.stage.shard.handle_plane_lost(now, crate::stage::PLANE, &scene.stage.table);
    let mut scene = scene.pass(28);
    scene.stage = scene.stage.linked(1, 50);
    scene.pass(10).down_with("a", 1, None).pass(1).sees("49 stop a to 1");
}

/// Whoever cannot hear is waited for.
#[test]
fn a_plane_that_is_away_is_told_when_it_is_back() {
    let settings = each_minute(3, InterimFailPolicy::Online);
    let mut scene = Scene::new(&settings).up("a", 1).pass(10);
    scene.seen();
    let now = scene.stage.now.mono;
    scene.stage.shard.handle_plane_lost(now, crate::stage::PLANE, &scene.stage.table);
    let mut scene = scene.cut(&user("a"), 1).pass(100);
    scene.seen();
    scene.stage = scene.stage.linked(1, 50);
    scene.stage.resync(&[("a", 1)]);
    scene.pass(40).sees("110 cut a cut-by-operator\n140 stop a to 1");
}

#[test]
fn cut_access_user_by_name_address_session_and_id() {
    let settings = each_minute(3, InterimFailPolicy::Online);
    let scene = Scene::new(&settings).up("a", 1).up("b", 2).up("c", 3).up("d", 4).moves("b", [10, 0, 0, 2]).pass(1);
    let users = scene.stage.shard.access_users(scene.stage.now, &scene.stage.table, 9);
    let find = |name: &str| users.iter().find(|user| user.plane_session == name).unwrap();
    let address = |address: [u8; 4]| UserSelector::Address(IpAddr::from(address));
    let (session, id) = (find("c").session_id.clone(), find("d").serial);
    let mut scene = scene;
    scene.seen();
    let scene = scene.cut(&user("x"), 0).cut(&address([10, 0, 0, 3]), 0).cut(&UserSelector::SessionId("x".into()), 0);
    let scene = scene.cut(&user("a"), 1).cut(&user("a"), 0).cut(&address([10, 0, 0, 2]), 1);
    let scene = scene.cut(&UserSelector::SessionId(session), 1).cut(&UserSelector::UserId(id), 1).pass(1);
    scene.sees(
        "1 cut a cut-by-operator
         1 cut b cut-by-operator
         1 cut c cut-by-operator
         1 cut d cut-by-operator",
    );
}

#[test]
fn whoever_is_online_can_be_cut_in_any_state() {
    // Without accounting: nothing is sent and nothing billed, and the plane is not waited for longer either.
    let mut none = each_minute(3, InterimFailPolicy::Online);
    scheme(&mut none).mode = Some(AccountingMode::None);
    let scene = Scene::new(&none).up("a", 1).pass(1).cut(&user("a"), 1).pass(100);
    let scene = scene.sees("0 admit a not-accounted\n1 cut a cut-by-operator");
    assert_eq!(scene.stage.shard.report().sessions, 0);
    // After a failed Start: the bill at log-out says who cut it.
    let scene = Scene::new(&start_fails(StartFail::Online)).silence(1).up("a", 1).pass(100);
    let mut scene = scene.cut(&user("a"), 1).pass(1).down_with("a", 1, None).pass(1);
    let seen = scene.seen();
    assert!(seen.ends_with("100 cut a cut-by-operator\n101 bill start-failed\n"), "{seen}");
    // While the Start is out: the Stop follows it.
    let scene = Scene::new(&start_fails(StartFail::Online)).silence(1).up("a", 1).pass(1).cut(&user("a"), 1).pass(1);
    scene.wake(1).down_with("a", 1, None).pass(10).sees(
        "0 admit a opened
         0 start a to 1
         1 cut a cut-by-operator
         5 stop a to 1",
    );
}

/// Who waits for the Start's outcome is not let in by it any more.
#[test]
fn who_is_cut_while_waiting_is_not_admitted() {
    let settings = start_fails(StartFail::Offline);
    let scene = Scene::new(&settings).silence(1).up("a", 1).pass(1).cut(&user("a"), 1).pass(1).wake(1).pass(10);
    scene.sees(
        "0 start a to 1
         1 cut a cut-by-operator
         5 start a to 1",
    );
}

/// No interim follows a cut, whatever the session is told meanwhile.
#[test]
fn a_cut_session_sends_no_interims() {
    let settings = each_minute(3, InterimFailPolicy::Online);
    let mut scene = Scene::new(&settings).up("a", 1).pass(50).cut(&user("a"), 1).moves("a", [10, 0, 0, 9]);
    scene.stage.shard.handle_plane_lost(scene.stage.now.mono, crate::stage::PLANE, &scene.stage.table);
    scene.pass(250).sees("0 admit a opened\n0 start a to 1\n50 cut a cut-by-operator");
}

#[test]
fn shadow_cuts_nobody_and_says_whom() {
    let mut settings = each_minute(1, InterimFailPolicy::Offline);
    scheme(&mut settings).shadow = true;
    let mut scene = Scene::new(&settings).up("a", 1).pass(59).silence(1).pass(400);
    let seen = scene.seen();
    assert!(!seen.contains("cut a"), "{seen}");
    let told: Vec<&str> = seen.lines().filter(|line| line.ends_with("would cut")).collect();
    assert_eq!(told, ["135 would cut"], "once in a row of failures: {seen}");
    let mut scene = scene.wake(1).pass(61).silence(1).pass(150);
    let seen = scene.seen();
    assert_eq!(seen.lines().filter(|line| line.ends_with("would cut")).count(), 1, "and once in the next: {seen}");
    assert_eq!(scene.stage.shard.report().would_cut, 2);
}

#[test]
fn shadow_refuses_nobody_and_says_whom() {
    let mut settings = start_fails(StartFail::Offline);
    scheme(&mut settings).shadow = true;
    let scene = Scene::new(&settings).silence(1).up("a", 1).pass(20).wake(1).pass(60);
    let scene = scene.sees(
        "0 admit a opened
         0 start a to 1
         5 start a to 1
         10 start a to 1
         15 would refuse
         75 interim a to 1",
    );
    scene.down("a").pass(1).sees("80 stop a to 1");
}

/// Who logged in under `shadow` stays under it; who logs in later does not.
#[test]
fn shadow_is_pinned() {
    let mut settings = each_minute(1, InterimFailPolicy::Offline);
    scheme(&mut settings).shadow = true;
    let mut enforced = settings.clone();
    scheme(&mut enforced).shadow = false;
    let scene = Scene::new(&settings).up("a", 1).pass(1).commit(&enforced).up("b", 2).pass(1);
    let mut scene = scene.restart(2, &enforced, &[("a", 1), ("b", 2)]).pass(1);
    scene.seen();
    let mut scene = scene.silence(1).pass(140);
    let seen = scene.seen();
    assert!(seen.contains("would cut") && seen.contains("cut b interim-failed") && !seen.contains("cut a"), "{seen}");
}

#[test]
fn brake_holds_and_alarms() {
    let mut settings = each_minute(1, InterimFailPolicy::Offline);
    settings.cut_brake = Some(CutBrake { percent: 30, seconds: 600 });
    let mut scene = Scene::new(&settings);
    for (name, slot) in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].into_iter().zip(1..) {
        scene = scene.up(name, slot);
    }
    let mut scene = scene.pass(59).silence(1).pass(80);
    let seen = scene.seen();
    assert_eq!(seen.lines().filter(|line| line.ends_with("interim-failed")).count(), 3, "30 of 100: {seen}");
    assert_eq!(seen.lines().filter(|line| line.ends_with("brake holds")).count(), 1, "{seen}");
    let report = scene.stage.shard.report();
    assert_eq!((report.cut, report.cuts_held, report.brake_holds), (3, 7, true));
    // The server is back: who was held stays, and when nobody was held for the time, the brake lets go.
    let mut scene = scene.wake(1).down("a").down("b").down("c").pass(700);
    let seen = scene.seen();
    assert!(!seen.contains("interim-failed"), "{seen}");
    assert_eq!(seen.lines().filter(|line| line.ends_with("brake released")).count(), 1, "{seen}");
}

/// Whoever is refused is not online, though its zero Stop is on the way still.
#[test]
fn brake_counts_who_is_online() {
    let mut settings = each_minute(1, InterimFailPolicy::Offline);
    settings.cut_brake = Some(CutBrake { percent: 30, seconds: 600 });
    // The first server is that of the domain isp, the second that of another, which lets in nobody without it.
    let mut late = group(&mut settings).clone();
    late.accounting[0].address = server(2);
    late.send_force = true;
    let (late_group, strict) = (ObjectName::from("late"), ObjectName::from("strict"));
    settings.radius_groups.insert(late_group.clone(), late);
    let scheme = AccountingScheme { start_fail: StartFail::Offline, ..AccountingScheme::default() };
    settings.schemes.insert(strict.clone(), scheme);
    let domain = Domain { accounting_scheme: Some(strict), radius_group: Some(late_group), ..Domain::default() };
    settings.domains.insert(ObjectName::from("late"), domain);
    let mut scene = Scene::new(&settings);
    for number in 0..10 {
        scene = scene.up(&format!("online{number}"), number);
    }
    scene = scene.pass(59).silence(1).silence(2).pass(60);
    for number in 10..14 {
        scene = scene.up_in("late", &format!("late{number}"), number);
    }
    let mut scene = scene.pass(21);
    let seen = scene.seen();
    assert_eq!(seen.matches("134 refuse late").count(), 4, "{seen}");
    assert_eq!(seen.matches("135 cut online").count(), 3, "30 of 100 of ten: {seen}");
    let shown = scene.stage.shard.access_users(scene.stage.now, &scene.stage.table, 64);
    assert_eq!(shown.len(), 14, "those who were refused have their slots still");
}

/// An operator's word is not braked.
#[test]
fn a_manual_cut_is_not_braked() {
    let mut settings = each_minute(1, InterimFailPolicy::Offline);
    settings.cut_brake = Some(CutBrake { percent: 1, seconds: 600 });
    let scene = Scene::new(&settings).up("a", 1).up("b", 2).pass(1);
    scene.cut(&user("a"), 1).cut(&user("b"), 1);
}
