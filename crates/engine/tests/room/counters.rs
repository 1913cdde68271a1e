//! Counters that fall although nobody said that they would: nothing is told less than before, and nothing twice.

use model::settings::{InterimFailPolicy, Settings};
use wire::radius::attribute::Type;

use crate::scene::Scene;
use crate::stage::PLANE;
use crate::vectors::each_minute;

fn settings() -> Settings {
    each_minute(3, InterimFailPolicy::Online)
}

fn octets(scene: &Scene) -> u32 {
    scene.last(Type::ACCT_INPUT_OCTETS).unwrap()
}

#[test]
fn a_regress_becomes_a_baseline() {
    let scene = Scene::new(&settings()).up("a", 1).count(1, 1_000).pass(61);
    assert_eq!(octets(&scene), 1_000);
    // They began again at zero, and went on.
    let scene = scene.count(1, 30).pass(60);
    assert_eq!(octets(&scene), 1_030);
    let scene = scene.count(1, 50).pass(60);
    assert_eq!(octets(&scene), 1_050);
    // And once more.
    let scene = scene.count(1, 7).pass(60);
    assert_eq!(octets(&scene), 1_057);
    let scene = scene.count(1, 9).down("a").pass(1);
    assert_eq!(octets(&scene), 1_059);
    assert_eq!(scene.stage.shard.report().counter_regressions, 2);
    let mut scene = scene;
    let seen = scene.seen();
    assert_eq!(seen.lines().filter(|line| line.ends_with("counters fell")).count(), 2, "{seen}");
}

#[test]
fn a_regress_is_healed_in_every_later_life() {
    let settings = settings();
    let scene = Scene::new(&settings).up("a", 1).count(1, 1_000).pass(61).count(1, 30).pass(60);
    let scene = scene.restart(2, &settings, &[("a", 1)]).pass(60);
    assert_eq!(octets(&scene), 1_030);
    let scene = scene.count(1, 40).down("a").pass(1);
    assert_eq!(octets(&scene), 1_040);
}

#[test]
fn no_stop_says_less_than_the_last_sample() {
    for (totals, expected) in [(None, 1_000), (Some(0), 1_000), (Some(990), 1_000), (Some(1_200), 1_200)] {
        let scene = Scene::new(&settings()).up("a", 1).count(1, 1_000).pass(61).down_with("a", 1, totals).pass(1);
        assert_eq!(octets(&scene), expected, "{totals:?}");
    }
}

/// What a display shows is read, not kept.
#[test]
fn a_display_heals_nothing_and_shows_what_is_true() {
    let scene = Scene::new(&settings()).up("a", 1).count(1, 1_000).pass(61).count(1, 30);
    for _ in 0..3 {
        let users = scene.stage.shard.access_users(scene.stage.now, &scene.stage.table, 1);
        assert_eq!(users[0].counters.v4.in_octets, 1_030);
    }
    let scene = scene.pass(60);
    assert_eq!(octets(&scene), 1_030);
}

/// A plane whose counters have 32 bits: they turn over, and the session's do not. What was read last is the measure, in a new
/// life as well; and so are the totals of a Down.
#[test]
fn a_32_bit_source_wraps() {
    const TURN: u64 = 1 << 32;
    let settings = settings();
    let mut scene = Scene::new(&settings);
    scene.stage.shard.handle_narrow(PLANE, true);
    let scene = scene.up("a", 1).count(1, TURN - 100).pass(61);
    assert_eq!(scene.input_octets(), TURN - 100);
    let scene = scene.count(1, 50).pass(60);
    assert_eq!(scene.input_octets(), TURN + 50);
    let mut scene = scene.restart(2, &settings, &[("a", 1)]);
    scene.stage.shard.handle_narrow(PLANE, true);
    let scene = scene.count(1, 40).pass(60);
    assert_eq!(scene.input_octets(), 2 * TURN + 40);
    let scene = scene.down_with("a", 1, Some(30)).pass(1);
    assert_eq!(scene.input_octets(), 3 * TURN + 30);
    assert_eq!(scene.stage.shard.report().counter_regressions, 0);
}
