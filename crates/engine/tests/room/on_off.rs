//! Accounting-On and -Off (BEHAVIOUR.md 5.6, owner's decision 8, DESIGN.md section 4): once in a boot of the box, before any
//! Start, never at a restart.

use engine::Ceasing;
use model::record::{Announced, Announcement};
use model::settings::{AccountingOn, Domain, ObjectName, RadiusGroup, Settings, StartFail};
use wire::radius::attribute::{Type, acct_status_type};

use crate::scene::{Scene, group, plain, scheme, server};
use crate::stage::Kept;

const BOOT: [u8; 16] = *b"a boot of a box!";

/// So many servers that are told.
fn telling(servers: u8, accounting_on: AccountingOn) -> Settings {
    let mut settings = plain(servers);
    group(&mut settings).accounting_on = accounting_on;
    settings
}

fn begin(mut scene: Scene, is_new_boot: bool, announced: &[Announced]) -> Scene {
    scene.stage.shard.begin_announcing(scene.stage.now, BOOT, is_new_boot, announced);
    scene
}

/// The first life in a boot.
fn booted(settings: &Settings) -> Scene {
    begin(Scene::new(settings), true, &[])
}

/// What the ledger was told of servers; what is told again is left out.
fn announced(scene: &Scene) -> Vec<(u8, Announcement)> {
    let of = |record: &Kept| match record {
        Kept::Announced(Announced { server: to, state, .. }) => {
            (1..9).find(|number| server(*number) == *to).map(|number| (number, *state))
        }
        _ => None,
    };
    let mut all: Vec<_> = scene.stage.records.iter().filter_map(of).collect();
    all.dedup();
    all
}

#[test]
fn accounting_on_goes_before_the_first_start() {
    let scene = booted(&telling(1, AccountingOn::Enabled)).up("a", 1).pass(60).sees(
        "0 admit a opened
         0 on to 1
         0 on acknowledged
         0 starts may go
         0 start a to 1",
    );
    let on = &scene.sent[0];
    assert_eq!(on.status(), acct_status_type::ACCOUNTING_ON);
    assert_eq!(on.packet().find(Type::NAS_IDENTIFIER), Some(&b"BNG1"[..]));
    assert_eq!(on.packet().find(Type::NAS_IP_ADDRESS), Some(&[192, 0, 2, 1][..]));
    assert_eq!(on.u32(Type::ACCT_DELAY_TIME), Some(0));
    assert!(on.packet().find(Type::EVENT_TIMESTAMP).is_some() && on.packet().find(Type::USER_NAME).is_none());
    assert_ne!(on.session_id(), scene.sent[1].session_id());
    assert_eq!(announced(&scene), [(1, Announcement::Due), (1, Announcement::Told)]);
}

#[test]
fn each_server_of_the_group_is_told_once() {
    booted(&telling(2, AccountingOn::Wait)).pass(60).sees(
        "0 on to 1
         0 on to 2
         0 on acknowledged
         0 on acknowledged
         0 starts may go
         0 starts may go",
    );
}

#[test]
fn without_wait_the_start_follows_the_first_transmission() {
    booted(&telling(1, AccountingOn::Enabled)).silence(1).up("a", 1).pass(4).sees(
        "0 admit a opened
         0 on to 1
         0 starts may go
         0 start a to 1",
    );
}

#[test]
fn with_wait_the_start_waits_for_the_answer() {
    let scene = booted(&telling(1, AccountingOn::Wait)).silence(1).up("a", 1).pass(7).sees(
        "0 admit a opened
         0 on to 1
         5 on to 1",
    );
    scene.wake(1).pass(10).sees(
        "10 on to 1
         10 on acknowledged
         10 starts may go
         10 start a to 1",
    );
}

/// R transmissions, S seconds apart; then the log-ins have waited long enough, and nothing follows.
#[test]
fn a_server_that_does_not_answer_is_no_outage_of_customers() {
    let mut settings = telling(1, AccountingOn::Wait);
    scheme(&mut settings).start_fail = StartFail::Offline;
    let scene = booted(&settings).silence(1).up("a", 1).pass(14).sees(
        "0 on to 1
         5 on to 1
         10 on to 1",
    );
    scene.wake(1).pass(1000).sees(
        "15 on given up
         15 starts may go
         15 start a to 1
         15 admit a start-accepted",
    );
}

#[test]
fn a_restart_tells_nothing() {
    let settings = telling(2, AccountingOn::Wait);
    begin(Scene::new(&settings), false, &[]).up("a", 1).pass(10).sees(
        "0 admit a opened
         0 start a to 1",
    );
    let told = |number| Announced { server: server(number), boot_id: BOOT, state: Announcement::Told };
    begin(Scene::new(&settings), false, &[told(1), told(2)]).up("a", 1).pass(10).sees(
        "0 admit a opened
         0 start a to 1",
    );
}

/// What a life was to tell and did not tell to its end, the next one tells: no Start has left since. What was told in another
/// boot is another's.
#[test]
fn a_life_that_died_before_it_told_leaves_it_to_the_next() {
    let settings = telling(2, AccountingOn::Wait);
    let of = |number, boot_id, state| Announced { server: server(number), boot_id, state };
    let announced = [of(1, BOOT, Announcement::Due), of(2, BOOT, Announcement::Told)];
    begin(Scene::new(&settings), false, &announced).up("a", 1).pass(10).sees(
        "0 admit a opened
         0 on to 1
         0 on acknowledged
         0 starts may go
         0 start a to 1",
    );
    let other = [of(1, [0; 16], Announcement::Told), of(2, [0; 16], Announcement::Told)];
    let mut scene = begin(Scene::new(&settings), true, &other).pass(10);
    assert_eq!(scene.seen().matches("on acknowledged").count(), 2);
}

#[test]
fn a_group_that_does_not_ask_for_it_is_not_held() {
    booted(&telling(1, AccountingOn::Disabled)).up("a", 1).pass(1).sees(
        "0 admit a opened
         0 start a to 1",
    );
}

/// Typed while users are online, it takes effect with the next boot of the box.
#[test]
fn a_commit_tells_nothing() {
    let scene = booted(&plain(1)).up("a", 1).pass(1);
    scene.commit(&telling(1, AccountingOn::Wait)).up("b", 2).pass(1).sees(
        "0 admit a opened
         0 start a to 1
         1 admit b opened
         1 start b to 1",
    );
}

/// A group that does not ask for it reports to the same server: its Starts would be closed by what follows them.
#[test]
fn accounting_on_goes_before_the_starts_of_every_group_of_the_server() {
    let mut settings = telling(1, AccountingOn::Wait);
    let plain = RadiusGroup { accounting_on: AccountingOn::Disabled, ..group(&mut settings).clone() };
    settings.radius_groups.insert(ObjectName::from("plain"), plain);
    let radius_group = Some(ObjectName::from("plain"));
    let other = Domain { radius_group, ..settings.domains[&ObjectName::from("isp")].clone() };
    settings.domains.insert(ObjectName::from("other"), other);
    booted(&settings).silence(1).up_in("other", "a", 1).pass(2).wake(1).pass(8).sees(
        "0 admit a opened
         0 on to 1
         5 on to 1
         5 on acknowledged
         5 starts may go
         5 start a to 1",
    );
}

/// Who has gone while its Start or an interim was out owes its Stop still.
#[test]
fn shutdown_waits_for_whoever_owes_something() {
    let mut scene = booted(&telling(1, AccountingOn::Enabled)).pass(1).silence(1).up("a", 1).pass(1).down("a");
    assert_eq!(scene.stage.shard.shut_down(scene.stage.now), Ceasing { online: 0, owing: 1 });
    scene = scene.pass(3);
    assert_eq!(scene.stage.shard.shut_down(scene.stage.now), Ceasing { online: 0, owing: 1 });
    scene = scene.wake(1).pass(30);
    assert_eq!(scene.stage.shard.shut_down(scene.stage.now), Ceasing::default());
}

/// A server that was to be told that accounting begins is told once that it has ceased, and nothing behind that.
#[test]
fn shutdown_overtakes_what_was_to_be_told() {
    let mut scene = booted(&telling(1, AccountingOn::Wait)).silence(1).pass(2);
    scene.seen();
    scene.stage.shard.shut_down(scene.stage.now);
    scene.stage.shard.announce_off(scene.stage.now);
    let scene = scene.wake(1).pass(60).sees(
        "2 off to 1
         2 off acknowledged",
    );
    assert_eq!(announced(&scene).last(), Some(&(1, Announcement::Off)));
}

#[test]
fn shutdown_stops_every_session_and_then_tells() {
    let mut scene = booted(&telling(1, AccountingOn::Enabled)).up("a", 1).pass(1);
    scene.seen();
    assert_eq!(scene.stage.shard.shut_down(scene.stage.now), Ceasing { online: 1, owing: 0 });
    scene = scene.pass(1).sees("1 cut a shutting-down").down("a").pass(1).sees("2 stop a to 1");
    assert_eq!(scene.last(Type::ACCT_TERMINATE_CAUSE), Some(7), "Admin-Reboot");
    assert_eq!(scene.stage.shard.shut_down(scene.stage.now), Ceasing::default());
    scene.stage.shard.announce_off(scene.stage.now);
    assert_eq!(scene.stage.shard.told_off(), None);
    scene = scene.up("b", 2).pass(10).sees(
        "3 refuse b shutting-down
         3 off to 1
         3 off acknowledged",
    );
    assert_eq!(scene.stage.shard.told_off(), Some((1, 0)));
    let off = Announced { server: server(1), boot_id: BOOT, state: Announcement::Off };
    assert_eq!(announced(&scene).last(), Some(&(1, Announcement::Off)));
    // Who is let in after that is told of first.
    begin(Scene::new(&telling(1, AccountingOn::Enabled)), false, &[off]).up("a", 1).pass(1).sees(
        "0 admit a opened
         0 on to 1
         0 on acknowledged
         0 starts may go
         0 start a to 1",
    );
}
