//! Accounting-On and -Off (BEHAVIOUR.md 5.6, owner's decision 8, DESIGN.md section 4): once in a boot of the box, before any
//! Start, never at a restart.

use engine::{Boot, Ceasing};
use model::record::{Announced, Announcement};
use model::settings::{
    AccountingOn, Domain, InterfaceName, ObjectName, RadiusGroup, RadiusServer, Secret, ServerPath, Settings, StartFail,
};
use model::time::Wall;
use wire::radius::attribute::{Type, acct_status_type};
use wire::radius::authenticator::verify_request;

use crate::scene::{Scene, group, plain, scheme, server};
use crate::stage::{Kept, SECRET, Stage, at};

const BOOT: [u8; 16] = *b"a boot of a box!";

/// So many servers that are told.
fn telling(servers: u8, accounting_on: AccountingOn) -> Settings {
    let mut settings = plain(servers);
    group(&mut settings).accounting_on = accounting_on;
    settings
}

/// This boot, with a ledger that says this of it.
fn boot(settings: &Settings, is_new: bool, announced: &[Announced]) -> Boot {
    Boot::new(BOOT, (!is_new).then_some(BOOT), announced, settings)
}

fn begin_in(mut scene: Scene, boot: &Boot) -> Scene {
    scene.stage.shard.begin_announcing(scene.stage.now, boot);
    scene
}

/// A life in a boot, new or not, of which the ledger says this.
fn life(settings: &Settings, is_new: bool, announced: &[Announced]) -> Scene {
    begin_in(Scene::new(settings), &boot(settings, is_new, announced))
}

/// The first life in a boot.
fn booted(settings: &Settings) -> Scene {
    life(settings, true, &[])
}

/// What the ledger says of a server in this boot.
fn said(number: u8, state: Announcement) -> Announced {
    Announced { server: server(number).into(), boot_id: BOOT, state }
}

/// What the ledger was told of servers beside what it had; what is told again is left out.
fn announced(scene: &Scene) -> Vec<(u8, Announcement)> {
    let of = |record: &Kept| match record {
        Kept::Announced(Announced { server: to, state, .. }) => {
            let number = (1..9).find(|number| server(*number) == to.address);
            number.filter(|_| *state != Announcement::Due).map(|number| (number, *state))
        }
        _ => None,
    };
    let mut all = Vec::new();
    for told in scene.stage.records.iter().filter_map(of) {
        if !all.contains(&told) {
            all.push(told);
        }
    }
    all
}

#[test]
fn accounting_on_goes_before_the_first_start() {
    let scene = booted(&telling(1, AccountingOn::Enabled)).up("a", 1).pass(60).sees(
        "0 admit a opened
         0 starts may go
         0 on to 1
         0 start a to 1
         0 on acknowledged",
    );
    let on = &scene.sent[0];
    assert_eq!(on.status(), acct_status_type::ACCOUNTING_ON);
    assert_eq!(on.packet().find(Type::NAS_IDENTIFIER), Some(&b"BNG1"[..]));
    assert_eq!(on.packet().find(Type::NAS_IP_ADDRESS), Some(&[192, 0, 2, 1][..]));
    assert_eq!(on.u32(Type::ACCT_DELAY_TIME), Some(0));
    assert!(on.packet().find(Type::EVENT_TIMESTAMP).is_some() && on.packet().find(Type::USER_NAME).is_none());
    assert_ne!(on.session_id(), scene.sent[1].session_id());
    assert_eq!(announced(&scene), [(1, Announcement::Told)]);
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
         0 starts may go
         0 on to 1
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
    let told = [said(1, Announcement::Told), said(2, Announcement::Told)];
    for announced in [&[][..], &told] {
        life(&settings, false, announced).up("a", 1).pass(10).sees(
            "0 admit a opened
             0 start a to 1",
        );
    }
}

/// What a life was to tell and did not tell to its end, the next one tells: no Start has left since. What was told in another
/// boot is another's.
#[test]
fn a_life_that_died_before_it_told_leaves_it_to_the_next() {
    let settings = telling(2, AccountingOn::Wait);
    let announced = [said(1, Announcement::Due), said(2, Announcement::Told)];
    life(&settings, false, &announced).up("a", 1).pass(10).sees(
        "0 admit a opened
         0 on to 1
         0 on acknowledged
         0 starts may go
         0 start a to 1",
    );
    let other = [1, 2].map(|number| Announced { boot_id: [0; 16], ..said(number, Announcement::Told) });
    let mut scene = life(&settings, true, &other).pass(10);
    assert_eq!(scene.seen().matches("on acknowledged").count(), 2);
}

/// A life that was killed before the ledger had it that the boot has begun has told nobody anything; whatever it left there, the
/// next one begins the boot.
#[test]
fn a_boot_begins_when_the_ledger_has_it() {
    let settings = telling(2, AccountingOn::Enabled);
    let due = [said(1, Announcement::Due), said(2, Announcement::Due)];
    for recorded in [&[][..], &due[..1], &due] {
        let boot = Boot::new(BOOT, Some([0; 16]), recorded, &settings);
        assert_eq!(boot, Boot { id: BOOT, is_new: true, announced: due.to_vec() }, "{recorded:?}");
    }
    let boot = Boot::new(BOOT, Some(BOOT), &due[1..], &settings);
    assert_eq!(boot, Boot { id: BOOT, is_new: false, announced: due[1..].to_vec() });
}

/// The ledger forgets what lies far back, and is told before.
#[test]
fn what_is_known_of_a_boot_is_told_again_before_it_is_forgotten() {
    let settings = telling(2, AccountingOn::Wait);
    let told = [said(1, Announcement::Told), said(2, Announcement::Told)];
    let mut scene = life(&settings, false, &told).pass(1);
    scene.stage.shard.handle_end();
    let records: Vec<_> = scene.pass(1).stage.records;
    let expected = [Kept::Announced(told[0]), Kept::Announced(told[1]), Kept::Booted(BOOT)];
    assert_eq!(records[..3], expected, "{records:?}");
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
        "2 starts may go
         2 off to 1
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
    assert_eq!(announced(&scene).last(), Some(&(1, Announcement::Off)));
    // Who is let in after that is told of first.
    life(&telling(1, AccountingOn::Wait), false, &[said(1, Announcement::Off)]).up("a", 1).pass(1).sees(
        "0 admit a opened
         0 on to 1
         0 on acknowledged
         0 starts may go
         0 start a to 1",
    );
}

/// It was held for a server that no group has told any more; that it is not told in this boot is durable before a Start leaves.
#[test]
fn a_commit_that_takes_a_server_away_lets_starts_go() {
    let mut settings = telling(2, AccountingOn::Wait);
    let held = |settings: &Settings| booted(settings).silence(1).silence(2).up("a", 1).pass(2);
    let both = "0 admit a opened
                0 on to 1
                0 on to 2";
    group(&mut settings).accounting.pop();
    let scene = held(&telling(2, AccountingOn::Wait))
        .sees(both)
        .commit(&settings)
        .pass(2)
        .sees("2 on given up\n2 starts may go");
    assert_eq!(announced(&scene), [(2, Announcement::Told)]);
    scene.wake(1).pass(8).sees(
        "5 on to 1
         5 on acknowledged
         5 starts may go
         5 start a to 1",
    );
    let scene = held(&telling(2, AccountingOn::Wait)).sees(both).commit(&plain(2)).wake(1).pass(2).sees(
        "2 on given up
         2 on given up
         2 starts may go
         2 starts may go
         2 start a to 1",
    );
    assert_eq!(announced(&scene), [(1, Announcement::Told), (2, Announcement::Told)]);
}

/// The ledger has a server that is to be told, and nobody asks for it any more when the next life begins.
#[test]
fn a_server_that_nobody_has_told_any_more_is_not_told_in_this_boot() {
    let due = [said(1, Announcement::Due), said(2, Announcement::Off)];
    let scene = life(&plain(1), false, &due).up("a", 1).pass(9).sees(
        "0 admit a opened
         0 on given up
         0 on given up
         0 starts may go
         0 starts may go
         0 start a to 1",
    );
    assert_eq!(announced(&scene), [(1, Announcement::Told), (2, Announcement::Told)]);
}

/// The server is told with what it understands now, and from where it is asked now. What is out keeps its secret.
#[test]
fn a_commit_while_it_is_held_is_obeyed_by_what_leaves_then() {
    let mut settings = telling(1, AccountingOn::Wait);
    let other = b"another secret";
    let exchange = |settings: &mut Settings| {
        let server = &mut group(settings).accounting[0];
        server.shared_key = Some(Secret::new(other.to_vec(), String::new()));
        server.source = Some(model::settings::Source::Address([192, 0, 2, 77].into()));
    };
    // It waits for old Stops of another shard.
    let stage = Stage::of_shard((0, 2), 1, at(100_000), &settings, 64);
    let boot = boot(&settings, true, &[]);
    let waiting = begin_in(Scene::of(stage), &boot).pass(2).sees("");
    let out = booted(&settings).silence(1).pass(2).sees("0 on to 1");
    exchange(&mut settings);
    group(&mut settings).retransmit = 1;
    let mut waiting = waiting.commit(&settings);
    waiting.stage.shard.handle_old_stops_gone();
    let waiting = waiting.silence(1).pass(6).sees(
        "2 on to 1
         7 on given up
         7 starts may go",
    );
    assert_eq!(verify_request(&waiting.sent[0].packet(), other), Ok(()));
    let out = out.commit(&settings).wake(1).pass(6).sees(
        "5 on to 1
         5 on acknowledged
         5 starts may go",
    );
    assert_eq!(out.sent[0].octets, out.sent[1].octets);
    assert_eq!(verify_request(&out.sent[1].packet(), SECRET), Ok(()));
}

/// Groups hold their Starts as they are now: one that gets the server by a commit holds them too.
#[test]
fn a_group_that_gets_a_server_that_is_to_be_told_holds_its_starts() {
    let mut settings = telling(1, AccountingOn::Wait);
    let mut other = RadiusGroup { accounting_on: AccountingOn::Disabled, ..group(&mut settings).clone() };
    let shared = std::mem::take(&mut other.accounting);
    settings.radius_groups.insert(ObjectName::from("plain"), other);
    let radius_group = Some(ObjectName::from("plain"));
    let domain = Domain { radius_group, ..settings.domains[&ObjectName::from("isp")].clone() };
    settings.domains.insert(ObjectName::from("other"), domain);
    let scene = booted(&settings).silence(1).pass(2).sees("0 on to 1");
    settings.radius_groups.get_mut(&ObjectName::from("plain")).unwrap().accounting = shared;
    scene.commit(&settings).up_in("other", "a", 1).pass(2).wake(1).pass(2).sees(
        "2 admit a opened
         5 on to 1
         5 on acknowledged
         5 starts may go
         5 start a to 1",
    );
}

/// It began while its group had another server, which does not answer.
#[test]
fn a_start_does_not_go_on_to_a_server_that_is_to_be_told_before() {
    let mut settings = telling(2, AccountingOn::Wait);
    let mut other = RadiusGroup { accounting_on: AccountingOn::Disabled, ..group(&mut settings).clone() };
    let told = group(&mut settings).accounting.remove(0);
    other.accounting.truncate(1);
    group(&mut settings).retransmit = 5;
    settings.radius_groups.insert(ObjectName::from("plain"), other);
    let radius_group = Some(ObjectName::from("plain"));
    let domain = Domain { radius_group, ..settings.domains[&ObjectName::from("isp")].clone() };
    settings.domains.insert(ObjectName::from("other"), domain);
    // The group that is told has server 2; the plain one has server 1, and gets server 2.
    let second = group(&mut settings).accounting[0].clone();
    let scene = booted(&settings).silence(1).silence(2).up_in("other", "a", 1).pass(1).sees(
        "0 admit a opened
         0 on to 2
         0 start a to 1",
    );
    settings.radius_groups.get_mut(&ObjectName::from("plain")).unwrap().accounting = vec![told, second];
    scene.commit(&settings).pass(18).wake(2).pass(9).sees(
        "5 on to 2
         5 start a to 1
         10 on to 2
         10 start a to 1
         15 on to 2
         20 on to 2
         20 on acknowledged
         20 starts may go
         20 start a to 2",
    );
}

/// It would close what the others of its group have had: they may share a data base with it.
#[test]
fn a_server_that_a_commit_adds_is_told_with_the_next_boot() {
    let scene = booted(&telling(1, AccountingOn::Wait)).pass(1);
    let settings = telling(2, AccountingOn::Wait);
    let scene = scene.commit(&settings).up("a", 1).pass(1).sees(
        "0 on to 1
         0 on acknowledged
         0 starts may go
         1 admit a opened
         1 start a to 1",
    );
    assert_eq!(announced(&scene), [(1, Announcement::Told)]);
    life(&settings, false, &[said(1, Announcement::Told)]).pass(9).sees("");
    let mut scene = booted(&settings).pass(9);
    assert_eq!(scene.seen().matches("on acknowledged").count(), 2);
}

/// One address in two VRFs is two servers.
#[test]
fn servers_of_one_address_in_two_vrfs_are_told_each() {
    let vpn = InterfaceName::new("aaa");
    let mut settings = telling(1, AccountingOn::Wait);
    let server = group(&mut settings).accounting[0].clone();
    group(&mut settings).accounting.push(RadiusServer { vpn, ..server });
    let plain_path = ServerPath::from(crate::scene::server(1));
    let scene = booted(&settings).silence(1).pass(1).sees("0 on to 1\n0 on to 1");
    let ports: Vec<_> = scene.sent.iter().map(|asked| asked.port).collect();
    assert_ne!(ports[0], ports[1]);
    let due = Announced { server: ServerPath { vpn, ..plain_path }, boot_id: BOOT, state: Announcement::Due };
    let scene = life(&settings, false, &[said(1, Announcement::Told), due]).up("a", 1).pass(1).sees(
        "0 admit a opened
         0 on to 1
         0 on acknowledged
         0 starts may go
         0 start a to 1",
    );
    let last = scene.stage.records.iter().rev().find(|record| matches!(record, Kept::Announced(_)));
    assert_eq!(last, Some(&Kept::Announced(Announced { state: Announcement::Told, ..due })));
}

/// No socket leads to it, and Starts of its group could go elsewhere.
#[test]
fn a_server_that_cannot_be_spoken_to_holds_nobody() {
    let settings = telling(2, AccountingOn::Wait);
    let absent = |numbers: &[u8]| {
        let mut scene = Scene::new(&telling(0, AccountingOn::Wait));
        scene.stage.absent = numbers.iter().map(|number| server(*number).into()).collect();
        begin_in(scene.commit(&settings), &boot(&settings, true, &[])).up("a", 1)
    };
    let scene = absent(&[2]).pass(60).sees(
        "0 admit a opened
         0 on given up
         0 starts may go
         0 on to 1
         0 on acknowledged
         0 starts may go
         0 start a to 1",
    );
    assert_eq!(announced(&scene), [(2, Announcement::Told), (1, Announcement::Told)]);
    // While no Start could leave, nothing is given up.
    let mut scene = absent(&[1, 2]).pass(10).sees("0 admit a opened");
    scene.stage.absent.clear();
    scene.commit(&settings).pass(2).sees(
        "10 on to 1
         10 on to 2
         10 on acknowledged
         10 on acknowledged
         10 starts may go
         10 starts may go
         10 start a to 1",
    );
    // An Off has nobody to hold, and is not waited for.
    let mut scene = Scene::new(&telling(0, AccountingOn::Wait));
    scene.stage.absent.push(server(1).into());
    let mut scene = scene.commit(&telling(1, AccountingOn::Wait));
    scene.stage.shard.announce_off(scene.stage.now);
    let scene = scene.pass(1).sees("0 off given up");
    assert_eq!(scene.stage.shard.told_off(), Some((0, 1)));
}

/// Two shards of one box, in the first life of a boot.
fn two_shards(settings: &Settings) -> [Scene; 2] {
    let boot = boot(settings, true, &[]);
    [0, 1].map(|shard| begin_in(Scene::of(Stage::of_shard((shard, 2), 1, at(100_000), settings, 64)), &boot))
}

/// The first shard tells when the other has no old Stops left, and the other's Starts wait for that.
#[test]
fn shards_wait_for_each_other() {
    let [first, second] = two_shards(&telling(2, AccountingOn::Wait));
    let mut first = first.up("b", 1).pass(9).sees("0 admit b opened");
    let mut second = second.up("a", 1).pass(9).sees("0 admit a opened\n0 old stops gone");
    first.stage.shard.handle_old_stops_gone();
    first.pass(1).sees(
        "9 on to 1
         9 on to 2
         9 on acknowledged
         9 on acknowledged
         9 starts may go
         9 starts may go
         9 start b to 1",
    );
    second.stage.shard.handle_starts_may_go(server(1).into());
    second = second.pass(1).sees("");
    // The same address in a VRF is another server.
    second.stage.shard.handle_starts_may_go(ServerPath { vpn: InterfaceName::new("aaa"), ..server(2).into() });
    second = second.pass(1).sees("");
    second.stage.shard.handle_starts_may_go(server(2).into());
    second.pass(1).sees("11 start a to 1");
}

/// A shard whose old Stops are not acknowledged is waited for, but not for longer than 30 s.
#[test]
fn old_stops_of_another_shard_go_first_for_thirty_seconds() {
    let settings = telling(1, AccountingOn::Wait);
    let mut before = Scene::new(&settings).up("a", 1).pass(9);
    before.seen();
    let live = before.stage.only_live();
    let [first, second] = two_shards(&settings);
    let mut stage = Stage::of_shard((1, 2), 2, second.stage.now, &settings, 64);
    stage.restore(&live, Some(Wall::from_millis(live.born.at.wall.as_millis()))).unwrap();
    let second = begin_in(Scene::of(stage), &boot(&settings, true, &[])).silence(1).pass(4).sees("0 stop a to 1");
    second.wake(1).pass(2).sees("5 stop a to 1\n5 old stops gone");
    first.pass(31).sees("30 on to 1\n30 on acknowledged\n30 starts may go");
}

/// What was held in another shard for an Accounting-On goes when the ledger has it that accounting has ceased.
#[test]
fn shutdown_lets_go_what_other_shards_hold() {
    let [mut first, _] = two_shards(&telling(1, AccountingOn::Wait));
    first.stage.shard.announce_off(first.stage.now);
    first.pass(1).sees(
        "0 starts may go
         0 off to 1
         0 off acknowledged",
    );
}
