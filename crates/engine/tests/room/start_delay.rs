//! BEHAVIOUR.md 4, `accounting-start-delay`.

use std::time::Duration;

use model::domain::{StartDelay, UserTypes};
use model::event::{Access, Subscriber};
use model::settings::Settings;
use model::time::{Mono, Now, Wall};
use model::verdict::Sentence;
use wire::radius::attribute::{Type, acct_status_type};

use crate::scene::{Scene, domain, plain};
use crate::stage::{BOOT, Kept, Live, PLANE, Stage};

fn delayed(offline: bool) -> Settings {
    let mut settings = plain(1);
    let delay = StartDelay { seconds: 30, offline, user_types: UserTypes::default() };
    domain(&mut settings).start_delay = Some(delay);
    settings
}

fn v4() -> Subscriber<'static> {
    Subscriber { framed_ip: Some([10, 0, 0, 1].into()), ..Subscriber::default() }
}

fn v6() -> Subscriber<'static> {
    Subscriber { framed_ipv6_address: Some("2001:db8::1".parse().unwrap()), ..Subscriber::default() }
}

fn both() -> Subscriber<'static> {
    Subscriber { framed_ip: v4().framed_ip, ..v6() }
}

#[test]
fn start_delay_waits_for_both() {
    for (first, second) in [(v4(), v6()), (v6(), v4())] {
        let scene = Scene::new(&delayed(true)).up("a", 1).pass(5).updates("a", first).pass(5);
        let scene = scene.sees("").updates("a", second).pass(100);
        assert_eq!(scene.last(Type::ACCT_DELAY_TIME), Some(10), "the event is the Up");
        scene.sees("10 admit a opened\n10 start a to 1");
    }
    Scene::new(&delayed(true)).up_as("a", 1, both()).pass(100).sees("0 admit a opened\n0 start a to 1");
}

#[test]
fn start_delay_expires_online() {
    let scene = Scene::new(&delayed(false)).up_as("a", 1, v4()).pass(100);
    let scene = scene.sees("30 admit a opened\n30 start a to 1").updates("a", v6()).pass(1);
    scene.sees("100 interim a to 1");
}

#[test]
fn start_delay_expires_offline() {
    let scene = Scene::new(&delayed(true)).up_as("a", 1, v4()).pass(100);
    assert!(scene.stage.live().is_empty());
    scene.sees("30 refuse a start-delay");
}

#[test]
fn start_delay_ipv4_immediately() {
    let mut settings = delayed(true);
    domain(&mut settings).ipv4_starts = true;
    let scene = Scene::new(&settings).up("a", 1).pass(5).updates("a", v4()).pass(5).updates("a", v6()).pass(100);
    scene.sees("5 admit a opened\n5 start a to 1\n10 interim a to 1");
    // The other way round both are waited for.
    let scene = Scene::new(&settings).up_as("a", 1, v6()).pass(5).sees("").updates("a", v4()).pass(1);
    scene.sees("5 admit a opened\n5 start a to 1");
}

#[test]
fn start_delay_user_types() {
    let types = [("p", Access::Pppoe), ("i", Access::Ipoe), ("l", Access::L2tp), ("s", Access::Static)];
    let named = UserTypes::NONE.with(Access::Ipoe).with(Access::Static);
    for (user_types, expected) in [(UserTypes::default(), ["i", "s"]), (named, ["p", "l"])] {
        let mut settings = delayed(true);
        domain(&mut settings).start_delay = Some(StartDelay { seconds: 30, offline: true, user_types });
        let mut scene = Scene::new(&settings);
        for (slot, (name, access)) in types.into_iter().enumerate() {
            let subscriber = Subscriber { access: Some(access), ..Subscriber::default() };
            scene = scene.up_as(name, u32::try_from(slot).unwrap(), subscriber);
        }
        let started: Vec<String> = scene.pass(5).sent.iter().map(|asked| asked.user()).collect();
        assert_eq!(started, expected, "{user_types:?}");
    }
}

/// Nothing was told of who waited and went, and nothing is.
#[test]
fn start_delay_ends_with_the_subscriber() {
    let scene = Scene::new(&delayed(true)).silence(1).up("a", 1).pass(5).down_with("a", 1, Some(70)).pass(100);
    assert!(scene.stage.live().is_empty());
    scene.sees("");
}

/// Neither does a new life, which finds the end of such a session and not that it is over.
#[test]
fn start_delay_ends_with_the_subscriber_in_a_later_life() {
    let settings = delayed(true);
    let mut scene = Scene::new(&settings).up("a", 1).pass(5);
    scene.stage.down("a");
    scene.stage.hand_out(1);
    let live = scene.stage.only_live();
    assert!(live.closed.is_some());
    let mut stage = Stage::with(2, scene.stage.now, &settings, 64).linked(1, 1_000);
    stage.restore(&live, None).unwrap();
    let asked = stage.run(Duration::from_secs(60), true);
    assert!(asked.is_empty(), "{asked:?}");
    assert!(stage.records.iter().any(|record| matches!(record, Kept::Over(_))), "{:?}", stage.records);
    assert!(stage.shard.access_users(stage.now, &stage.table, 1).is_empty(), "of {PLANE:?}");
}

/// The wait goes on where it was.
#[test]
fn start_delay_survives_a_restart() {
    for (offline, expected) in [(true, "30 refuse a start-delay"), (false, "30 admit a opened\n30 start a to 1")] {
        let settings = delayed(offline);
        let scene = Scene::new(&settings).up_as("a", 1, v4()).pass(10).restart(2, &settings, &[("a", 1)]);
        scene.pass(100).sees(expected);
    }
}

/// What leaves and what is said in one turn with a disk that takes nothing more, and in a later life that begins at `later`
/// with what was durable before.
fn crash_with_a_slow_disk(settings: &Settings, mut scene: Scene, later: u64) -> (usize, Option<Sentence>, Scene) {
    let before = scene.stage.records.len();
    scene.stage.shard.handle_timeout(scene.stage.now, &scene.stage.table);
    scene.stage.hand_out(usize::MAX);
    scene.stage.transmit();
    let verdict = scene.stage.shard.poll_verdict().map(|verdict| verdict.sentence);
    let left = scene.stage.asked.len();
    scene.stage.records.truncate(before);
    scene.stage.pass(Duration::from_secs(later));
    (left, verdict, scene.restart(2, settings, &[("a", 1)]))
}

/// Neither the Start nor the word leaves before the ledger knows the addresses: a later life would refuse who is online.
#[test]
fn start_delay_ends_when_the_addresses_are_durable() {
    let settings = delayed(true);
    let scene = Scene::new(&settings).up("a", 1).pass(5).updates("a", both());
    let (left, verdict, scene) = crash_with_a_slow_disk(&settings, scene, 40);
    assert_eq!((left, verdict), (0, None));
    // The event was not taken over, and is read again.
    scene.updates("a", both()).pass(20).sees("45 admit a opened\n45 start a to 1");
    // A record without them that becomes durable afterwards does not end the wait.
    let mut scene = Scene::new(&settings).up("a", 1);
    scene.stage.hand_out(usize::MAX);
    let through = scene.stage.records.len() as u64;
    scene = scene.updates("a", both());
    scene.stage.make_durable(through);
    scene.stage.transmit();
    assert!(scene.stage.asked.is_empty());
    scene.pass(40).sees("0 admit a opened\n0 start a to 1");
}

/// Addresses that are known and not yet durable when the time is over have come in time.
#[test]
fn start_delay_refuses_nobody_for_a_slow_disk() {
    let mut scene = Scene::new(&delayed(true)).up("a", 1).pass(29).updates("a", both());
    for _ in 0..20 {
        scene.stage.pass(Duration::from_secs(1));
        scene.stage.shard.handle_timeout(scene.stage.now, &scene.stage.table);
    }
    scene.pass(1).sees("49 admit a opened\n49 start a to 1");
}

/// That the wait is over is durable before the Start leaves, where nothing but time has ended it.
#[test]
fn start_delay_expires_online_when_that_is_durable() {
    let settings = delayed(false);
    let mut scene = Scene::new(&settings).up("a", 1).pass(25);
    scene.stage.pass(Duration::from_secs(6));
    let (left, verdict, scene) = crash_with_a_slow_disk(&settings, scene, 40);
    assert_eq!((left, verdict), (0, None));
    scene.pass(1).sees("71 admit a opened\n71 start a to 1");
}

/// A Start that has left without addresses stays so in a later life, which sends it again.
#[test]
fn start_delay_is_over_in_a_later_life() {
    let settings = delayed(false);
    let scene = Scene::new(&settings).silence(1).up("a", 1).pass(32).sees("30 admit a opened\n30 start a to 1");
    let scene = scene.restart(2, &settings, &[("a", 1)]).pass(1);
    scene.sees("32 admit a opened\n32 start a to 1");
}

/// Addresses that came while the engine was away came in time: the ring is read before anybody is refused.
#[test]
fn start_delay_is_over_before_a_restart() {
    let settings = delayed(true);
    for (comes, expected) in [(true, "admit a opened"), (false, "refuse a start-delay")] {
        for (links_after, is_behind) in [(0, false), (0, true), (20, false)] {
            let mut scene = Scene::new(&settings).up("a", 1).pass(25);
            let live = scene.stage.only_live();
            scene.stage.pass(Duration::from_secs(10));
            let mut stage = Stage::with(2, scene.stage.now, &settings, 64);
            stage.restore(&live, None).unwrap();
            stage.run(Duration::from_secs(links_after), true);
            let mut stage = stage.linked(1, 1);
            stage.turn();
            for _ in 0..if is_behind { 60 } else { 0 } {
                stage.shard.handle_events_left(stage.now.mono);
                stage.run(Duration::from_millis(500), true);
            }
            assert!(stage.verdicts.is_empty(), "{:?}", stage.verdicts);
            if comes {
                stage.update("a", both());
            }
            stage.run(Duration::from_secs(6), true);
            let said: Vec<String> = stage
                .verdicts
                .iter()
                .map(|(name, sentence, reason)| format!("{} {name} {}", sentence.as_str(), reason.as_str()))
                .collect();
            assert_eq!(said, [expected], "linked {links_after} s later, behind: {is_behind}");
        }
    }
}

/// The statuses of what a new boot sends about a session, and how many bills it makes.
fn reboot(settings: &Settings, live: &Live, last: Wall) -> (Vec<u32>, usize) {
    let now = Now { mono: Mono::from_nanos(20_000_000_000), wall: Wall::from_millis(BOOT + 3_600_000) };
    let mut stage = Stage::with(2, now, settings, 64).linked(2, 0);
    stage.restore(live, Some(last)).unwrap();
    let asked = stage.run(Duration::from_secs(60), false);
    assert!(stage.live().is_empty(), "{:?}", stage.records);
    assert_eq!(stage.shard.report().sessions, 0);
    let bills = stage.records.iter().filter(|record| matches!(record, Kept::Billed { .. })).count();
    let mut statuses: Vec<u32> = asked.iter().map(|asked| asked.status()).collect();
    statuses.dedup();
    (statuses, bills)
}

/// Whoever waits when the box is booted has not been accounted for; whoever waits no more has.
#[test]
fn start_delay_ends_with_the_box() {
    for (offline, passes, comes, expected) in [
        (true, 5, false, (vec![], 0)),
        (false, 5, false, (vec![], 0)),
        (true, 5, true, (vec![acct_status_type::STOP], 1)),
        (false, 31, false, (vec![acct_status_type::STOP], 1)),
    ] {
        let settings = delayed(offline);
        let mut scene = Scene::new(&settings).silence(1).up("a", 1).pass(passes);
        if comes {
            scene = scene.updates("a", both()).pass(1);
        }
        let live = scene.stage.only_live();
        let is = reboot(&settings, &live, scene.stage.now.wall);
        assert_eq!(is, expected, "offline: {offline}, {passes} s, addresses: {comes}");
    }
}
