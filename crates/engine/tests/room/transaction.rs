//! BEHAVIOUR.md 5.1 and 5.4: one transaction, its secret, its octets, its time, and how many there may be at once.

use std::time::Duration;

use model::settings::{LimitedServers, RadiusLimits, Secret, Settings, SpeedLimit, StartFail};
use wire::radius::attribute::Type;
use wire::radius::authenticator::verify_request;

use crate::scene::{Scene, group, plain, scheme, server};
use crate::stage::Asked;

fn limited(limits: RadiusLimits) -> Settings {
    let mut settings = plain(1);
    settings.radius_limits.insert(LimitedServers { ip: None, vpn: None, port: None }, limits);
    settings
}

fn ups(mut scene: Scene, count: u32) -> Scene {
    for number in 0..count {
        scene = scene.up(&format!("u{number}"), number);
    }
    scene
}

/// Those to the server of this number.
fn to(scene: &Scene, number: u8) -> Vec<&Asked> {
    scene.sent.iter().filter(|asked| asked.to == server(number)).collect()
}

#[test]
fn row_5_1_own_key_beats_the_group_s() {
    let mut settings = plain(2);
    group(&mut settings).shared_key = Some(Secret::new(b"of the group".to_vec(), String::new()));
    group(&mut settings).accounting[1].shared_key = None;
    let scene = Scene::new(&settings).silence(1).silence(2).up("a", 1).pass(29);
    for (number, secret) in [(1, crate::stage::SECRET), (2, b"of the group")] {
        let asked = to(&scene, number);
        assert_eq!(asked.len(), 3, "server {number}");
        assert!(asked.iter().all(|asked| verify_request(&asked.packet(), secret).is_ok()), "server {number}");
    }
}

#[test]
fn row_5_1_retransmit_and_timeout_are_obeyed_at_every_value() {
    for retransmit in 1..=5 {
        for timeout_s in [3, 5, 25] {
            let mut settings = plain(1);
            (group(&mut settings).retransmit, group(&mut settings).timeout_s) = (retransmit, timeout_s);
            scheme(&mut settings).start_fail = StartFail::Offline;
            let mut scene = Scene::new(&settings).silence(1).up("a", 1).pass(200);
            let times: Vec<_> = scene.sent.iter().map(|asked| asked.at).collect();
            assert_eq!(times.len(), usize::from(retransmit));
            // Timers may be late by a few milliseconds.
            let apart = Duration::from_secs(timeout_s.into());
            let punctual = apart..apart + Duration::from_millis(50);
            let is_punctual = times.windows(2).all(|two| punctual.contains(&two[1].since(two[0])));
            assert!(is_punctual, "{retransmit} × {timeout_s} s: {times:?}");
            let end = u32::from(retransmit) * u32::from(timeout_s);
            assert!(scene.seen().ends_with(&format!("{end} refuse a start-failed\n")), "{retransmit} × {timeout_s} s");
        }
    }
}

#[test]
fn row_5_1_pending_limit_bounds_what_is_out() {
    let settings = limited(RadiusLimits { pending: Some(2), speed: None });
    let scene = ups(Scene::new(&settings).silence(1), 40).pass(4);
    assert_eq!(scene.sent.len(), 2);
    let scene = scene.wake(1).pass(2);
    let starts: Vec<_> = to(&scene, 1).iter().map(|asked| asked.session_id()).collect();
    let unique: std::collections::BTreeSet<_> = starts.iter().collect();
    assert_eq!(unique.len(), 40, "and nobody is forgotten");
}

#[test]
fn row_5_1_speed_limit_bounds_the_rate() {
    let settings = limited(RadiusLimits { pending: None, speed: Some(SpeedLimit { count: 4, seconds: 2 }) });
    let scene = ups(Scene::new(&settings), 40).pass(30);
    let times: Vec<u64> = scene.sent.iter().map(|asked| asked.at.as_millis()).collect();
    assert_eq!(times.len(), 40);
    for (index, first) in times.iter().enumerate() {
        let within = times[index..].iter().take_while(|time| **time < first + 2_000).count();
        assert!(within <= 5, "{within} in two seconds from {first} on: {times:?}");
    }
}

#[test]
fn row_5_2_dead_count_and_dead_interval() {
    // Three in a row are enough only when more than five seconds lie between the first and the last of them.
    for (apart_s, expected) in [(0, "server down"), (1, "server down")] {
        let mut settings = plain(1);
        settings.radius_health.dead_count = 3;
        settings.radius_health.dead_interval_s = 5;
        group(&mut settings).retransmit = 1;
        let mut scene = Scene::new(&settings).silence(1);
        for (name, slot) in [("a", 1), ("b", 2), ("c", 3)] {
            scene = scene.up(name, slot).pass(apart_s);
        }
        let mut scene = scene.pass(5);
        assert!(!scene.seen().contains(expected), "three within {} s", 2 * apart_s);
        let mut scene = scene.up("d", 4).pass(6).up("e", 5).pass(6);
        assert!(scene.seen().contains(expected), "the fourth or fifth is late enough");
    }
}

#[test]
fn row_5_4_transmissions_to_one_server_are_the_same_octets_and_the_next_server_has_its_own() {
    let mut settings = plain(2);
    scheme(&mut settings).start_fail = StartFail::Offline;
    let scene = Scene::new(&settings).silence(1).silence(2).up("a", 1).pass(31);
    let [first, second] = [to(&scene, 1), to(&scene, 2)];
    for one in [&first, &second] {
        assert_eq!(one.len(), 3);
        assert!(one.windows(2).all(|two| two[0].packet().octets() == two[1].packet().octets()));
        assert!(one.windows(2).all(|two| two[0].port == two[1].port));
    }
    let of = |asked: &[&Asked], kind| asked[0].u32(kind);
    assert_ne!(first[0].packet().authenticator(), second[0].packet().authenticator());
    assert_eq!(of(&first, Type::ACCT_DELAY_TIME), Some(0));
    assert_eq!(of(&second, Type::ACCT_DELAY_TIME), Some(15), "raised once, with the first datagram to the next server");
    assert_eq!(of(&first, Type::EVENT_TIMESTAMP), of(&second, Type::EVENT_TIMESTAMP), "the event was when it was");
}

/// Waiting for a place in a full window is neither success nor failure (owner's decision 5).
#[test]
fn row_3_4_waiting_in_the_window_is_neither() {
    let mut settings = limited(RadiusLimits { pending: Some(1), speed: None });
    scheme(&mut settings).start_fail = StartFail::Offline;
    // The first of them has the only place, and the others wait longer than a transaction lasts.
    let mut scene = ups(Scene::new(&settings).silence(1), 3).pass(14).wake(1).pass(10);
    let seen = scene.seen();
    assert_eq!(seen.matches("refuse").count(), 1, "{seen}");
    assert_eq!(seen.matches("admit").count(), 2, "{seen}");
}
