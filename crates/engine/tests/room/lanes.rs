//! Who goes first when more waits than a server may be asked: owner's decision 7 (BEHAVIOUR.md), played with one request at a
//! time.

use model::settings::{Domain, LimitedServers, ObjectName, RadiusLimits, Settings, StartFail};

use crate::scene::{Scene, group, plain, scheme};

/// One server that is asked one thing at a time. In the domain `isp` everybody goes online at once, in `waits` by the Start.
fn one_at_a_time() -> Settings {
    let mut settings = plain(1);
    group(&mut settings).stop_resend = 9;
    let scheme = scheme(&mut settings).clone();
    settings.schemes.insert(ObjectName::from("waits"), scheme);
    settings.schemes.get_mut(&ObjectName::from("waits")).unwrap().start_fail = StartFail::Offline;
    let radius_group = Some(ObjectName::from("radius"));
    let domain = Domain { accounting_scheme: Some(ObjectName::from("waits")), radius_group, ..Domain::default() };
    settings.domains.insert(ObjectName::from("waits"), domain);
    let all = LimitedServers { ip: None, vpn: None, port: None };
    settings.radius_limits.insert(all, RadiusLimits { pending: Some(1), speed: None });
    settings
}

/// These come, into slots from this one on.
fn come(scene: Scene, domain: &str, names: &[String], slot: u32) -> Scene {
    (slot..).zip(names).fold(scene, |scene, (slot, name)| scene.up_in(domain, name, slot))
}

fn names(prefix: char, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}

fn requests(scene: &mut Scene) -> Vec<String> {
    let seen = scene.seen();
    let words = seen.lines().filter_map(|line| line.strip_suffix(" to 1")?.split_once(' '));
    words.map(|(_, request)| request.to_owned()).collect()
}

#[test]
fn decision_7_a_start_is_first_when_a_verdict_waits_for_it_and_behind_fresh_stops_otherwise() {
    let scene = come(Scene::new(&one_at_a_time()), "isp", &names('a', 4), 1);
    let mut scene = scene.pass(1);
    assert_eq!(requests(&mut scene).len(), 4);
    scene = come(scene, "isp", &names('b', 4), 10);
    scene = names('a', 4).iter().fold(scene, |scene, name| scene.down(name));
    scene = come(scene, "waits", &names('c', 4), 20).pass(1);
    // One place in four is a Stop's, and one in eight that of a Start that nobody waits for: of these places each lane has one here.
    let expected =
        ["start c0", "stop a0", "start b0", "start c1", "start c2", "stop a1", "start c3", "stop a2", "stop a3"];
    let sent = requests(&mut scene);
    assert_eq!(sent[..9], expected, "{sent:?}");
    assert_eq!(sent[9..], ["start b1", "start b2", "start b3"]);
}

#[test]
fn decision_7_in_shadow_no_verdict_waits_for_a_start() {
    let settings = one_at_a_time();
    let mut shadow = settings.clone();
    shadow.schemes.get_mut(&ObjectName::from("waits")).unwrap().shadow = true;
    for (settings, first) in [(&settings, "start c0"), (&shadow, "stop a0")] {
        let mut scene = come(Scene::new(settings), "isp", &names('a', 4), 1).pass(1);
        scene.seen();
        scene = names('a', 4).iter().fold(scene, |scene, name| scene.down(name));
        let mut scene = come(scene, "waits", &names('c', 4), 10).pass(1);
        // Who goes online in any case, in shadow, waits for no server.
        assert_eq!(requests(&mut scene)[0], first);
    }
}

#[test]
fn decision_7_neither_an_old_backlog_nor_a_storm_of_log_ins_starves_the_other() {
    let settings = one_at_a_time();
    let mut scene = come(Scene::new(&settings), "isp", &names('a', 16), 1).pass(1).silence(1);
    scene = names('a', 16).iter().fold(scene, |scene, name| scene.down(name)).pass(70);
    // One of them may be out as the probe.
    assert!(scene.stage.shard.queued_stops(64).len() >= 15);
    scene = come(scene, "isp", &names('b', 16), 20);
    scene = come(scene, "waits", &names('c', 16), 40);
    scene.seen();
    let mut scene = scene.wake(1).pass(10);
    let sent = requests(&mut scene);
    assert!(sent.len() >= 47, "{sent:?}");
    // Those who wait have their four places of eight, and the fresh Stops' two, for there are none; the others have one each.
    let first = |kind: &str| sent[..24].iter().filter(|request| request.starts_with(kind)).count();
    let shares = [first("start c"), first("start b"), first("stop a")];
    assert!(shares[0] >= 15 && shares[1] >= 2 && shares[2] >= 2, "{shares:?} of {sent:?}");
}
