//! BEHAVIOUR.md 4, `accounting-start-delay`.

use model::domain::{StartDelay, UserTypes};
use model::event::{Access, Subscriber};
use model::settings::Settings;
use wire::radius::attribute::Type;

use crate::scene::{Scene, domain, plain};
use crate::stage::{Kept, PLANE, Stage};

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

#[test]
fn start_delay_waits_for_both() {
    for (first, second) in [(v4(), v6()), (v6(), v4())] {
        let scene = Scene::new(&delayed(true)).up("a", 1).pass(5).updates("a", first).pass(5);
        let scene = scene.sees("").updates("a", second).pass(100);
        assert_eq!(scene.last(Type::ACCT_DELAY_TIME), Some(10), "the event is the Up");
        scene.sees("10 admit a opened\n10 start a to 1");
    }
    let both = Subscriber { framed_ip: v4().framed_ip, ..v6() };
    Scene::new(&delayed(true)).up_as("a", 1, both).pass(100).sees("0 admit a opened\n0 start a to 1");
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
    let asked = stage.run(std::time::Duration::from_secs(60), true);
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
