//! BEHAVIOUR.md 3.5: what follows from the Start; each test bears the row's event and policy.

use std::time::Duration;

use model::settings::{AccountingMode, StartFail};
use wire::radius::attribute::Type;

use crate::scene::{Scene, group, scheme};
use crate::vectors::start_fails;

#[test]
fn row_3_5_answered() {
    for policy in [StartFail::Online, StartFail::OnlineKeepAccounting] {
        let scene = Scene::new(&start_fails(policy)).up("a", 1).pass(61).down("a").pass(100);
        scene.sees(
            "0 admit a opened
             0 start a to 1
             60 interim a to 1
             61 stop a to 1",
        );
    }
    Scene::new(&start_fails(StartFail::Offline)).up("a", 1).pass(61).down("a").pass(100).sees(
        "0 start a to 1
         0 admit a start-accepted
         60 interim a to 1
         61 stop a to 1",
    );
}

#[test]
fn row_3_5_offline_refused() {
    let scene = Scene::new(&start_fails(StartFail::Offline)).silence(1).up("a", 1).pass(20).wake(1).pass(500);
    let scene = scene.sees(
        "0 start a to 1
         5 start a to 1
         10 start a to 1
         15 refuse a start-failed",
    );
    assert!(scene.stage.live().is_empty(), "nothing is owed to anybody");
    scene.up("a", 1).pass(1).sees("520 start a to 1\n520 admit a start-accepted");
}

#[test]
fn row_3_5_offline_send_force() {
    let mut settings = start_fails(StartFail::Offline);
    group(&mut settings).send_force = true;
    let scene = Scene::new(&settings).silence(1).count(1, 500).up("a", 1).pass(14).wake(1).pass(100);
    let scene = scene.sees(
        "0 start a to 1
         5 start a to 1
         10 start a to 1
         15 refuse a start-failed
         15 stop a to 1",
    );
    assert_eq!((scene.last(Type::ACCT_INPUT_OCTETS), scene.last(Type::ACCT_SESSION_TIME)), (Some(0), Some(0)));
    assert!(scene.stage.live().is_empty(), "nothing is owed to anybody");
    assert_eq!(scene.stage.shard.report().sessions, 0);
    scene.up("a", 1).pass(1).sees("114 start a to 1\n114 admit a start-accepted");
}

/// It leaves once, and nobody waits for it: neither the subscriber who comes again nor a bill.
#[test]
fn row_3_5_send_force_is_one_transaction_and_is_never_queued_or_billed() {
    let mut settings = start_fails(StartFail::Offline);
    group(&mut settings).send_force = true;
    group(&mut settings).stop_resend = 5;
    let mut scene = Scene::new(&settings).silence(1).up("a", 1).pass(17).up("a", 2).pass(200);
    let seen = scene.seen();
    assert_eq!(seen.matches("refuse a").count(), 2, "{seen}");
    assert_eq!(seen.matches("stop a").count(), 6, "{seen}");
    assert_eq!(seen.matches("bill").count(), 0, "{seen}");
    assert_eq!(scene.stage.shard.report().sessions, 0);
}

/// The plane has taken the verdict, begins anew, and brings the same subscriber with counters that look the same, while the
/// Stop is not over.
#[test]
fn row_3_5_send_force_leaves_nobody_without_a_verdict() {
    let mut settings = start_fails(StartFail::Offline);
    group(&mut settings).send_force = true;
    let mut scene = Scene::new(&settings).silence(1).up("a", 1).pass(17);
    scene.seen();
    scene.stage = scene.stage.linked(2, 0);
    scene.stage.resync(&[]);
    let seen = scene.up("a", 1).pass(100).seen();
    assert_eq!(seen.matches("refuse a").count(), 1, "{seen}");
}

/// The subscriber goes in the moment of the refusal: the slot is given back all the same.
#[test]
fn row_3_5_send_force_to_one_who_goes_before_the_refusal_is_durable() {
    let mut settings = start_fails(StartFail::Offline);
    group(&mut settings).send_force = true;
    let mut scene = Scene::new(&settings).silence(1).up("a", 1).pass(14);
    scene.stage.now.mono = scene.stage.now.mono.plus(Duration::from_millis(1100));
    scene.stage.shard.handle_timeout(scene.stage.now, &scene.stage.table);
    let mut scene = scene.down("a").pass(60);
    let seen = scene.seen();
    assert_eq!(seen.matches("stop a").count(), 3, "{seen}");
    assert_eq!(scene.stage.shard.report().sessions, 0, "{seen}");
}

#[test]
fn row_3_5_online_zero_stop_bill_at_logout() {
    let scene = Scene::new(&start_fails(StartFail::Online)).silence(1).count(1, 500).up("a", 1).pass(14).wake(1);
    let scene = scene.pass(100).sees(
        "0 admit a opened
         0 start a to 1
         5 start a to 1
         10 start a to 1
         15 stop a to 1",
    );
    assert_eq!(scene.last(Type::ACCT_INPUT_OCTETS), Some(0));
    assert_eq!(scene.last(Type::ACCT_SESSION_TIME), Some(0));
    let scene = scene.down("a").pass(100).sees("114 bill start-failed");
    assert_eq!(scene.sent.len(), 4, "no second Stop");
}

#[test]
fn row_3_5_keep_accounting_bills_iff_the_stop_fails_too() {
    let scene = Scene::new(&start_fails(StartFail::OnlineKeepAccounting)).silence(1).up("a", 1).pass(20).down("a");
    scene.pass(100).sees(
        "0 admit a opened
         0 start a to 1
         5 start a to 1
         10 start a to 1
         20 stop a to 1
         25 stop a to 1
         30 stop a to 1
         35 bill stop-unanswered",
    );
}

#[test]
fn row_3_5_mode_none() {
    for policy in [StartFail::Online, StartFail::OnlineKeepAccounting, StartFail::Offline] {
        let mut settings = start_fails(policy);
        scheme(&mut settings).mode = Some(AccountingMode::None);
        let scene = Scene::new(&settings).silence(1).up("a", 1).pass(100).down("a").pass(100);
        scene.sees("0 admit a not-accounted");
    }
}

/// A restart neither starts accounting anew nor sends a second zero Stop.
#[test]
fn row_3_5_start_failed_survives_a_restart() {
    let settings = start_fails(StartFail::Online);
    let scene = Scene::new(&settings).silence(1).up("a", 1).pass(40);
    let mut scene = scene;
    scene.seen();
    let scene = scene.restart(2, &settings, &[("a", 1)]).wake(1).pass(100).down("a").pass(1);
    scene.sees("40 admit a known\n140 bill start-failed");
}
