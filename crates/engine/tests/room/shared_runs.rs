//! What sessions say alike is kept once: nobody sees that in a packet, whoever comes back, changes or goes.

use model::event::{Access, Subscriber};
use model::settings::Settings;
use wire::radius::attribute::{Attribute, Attributes, Type, acct_status_type};

use crate::groups::each_minute;
use crate::scene::Scene;
use crate::stage::{Asked, Stage, at};

fn subscriber() -> Subscriber<'static> {
    Subscriber {
        framed_ip: Some([100, 64, 0, 7].into()),
        mac: Some([2, 0, 0, 0, 0, 7]),
        access: Some(Access::Ipoe),
        ..Subscriber::default()
    }
}

/// The last interim of this user.
#[track_caller]
fn last_interim(scene: &Scene, user: &str) -> Asked {
    let is_its = |asked: &&Asked| asked.status() == acct_status_type::INTERIM_UPDATE && asked.user() == user;
    scene.sent.iter().rfind(is_its).unwrap().clone()
}

/// All of a packet but its identifier and its authenticator.
fn attributes(asked: &Asked) -> &[u8] {
    &asked.octets[20..]
}

fn one(settings: &Settings) -> Scene {
    Scene::new(settings).up_as("a", 1, subscriber()).up_as("b", 2, subscriber()).pass(70)
}

/// Two lives of the same session, one of them interrupted, say the same at the same time.
#[test]
fn a_restored_session_has_octet_for_octet_the_same_packet() {
    let settings = each_minute(1);
    let calm = one(&settings).pass(60);
    let mut later = settings.clone();
    later.sysname = "RENAMED".to_owned();
    let restarted = one(&settings).restart(2, &later, &[("a", 1), ("b", 2)]).pass(60);
    for user in ["a", "b"] {
        let (expected, found) = (last_interim(&calm, user), last_interim(&restarted, user));
        assert_eq!(expected.at, found.at);
        assert_eq!(attributes(&found), attributes(&expected), "{user}");
    }
    let run = calm.stage.live().into_values().next().unwrap().born.attributes;
    assert_eq!(run, restarted.stage.live().into_values().next().unwrap().born.attributes);
    assert!(attributes(&last_interim(&restarted, "a")).starts_with(&run));
}

/// Whatever order an earlier release wrote its attributes in is the order of the session's packets.
#[test]
fn attributes_of_another_order_keep_it() {
    let settings = each_minute(1);
    let mut live = one(&settings).stage.live().into_values().next().unwrap();
    let run = std::mem::take(&mut live.born.attributes);
    let mut told: Vec<Attribute<'_>> = Attributes::of_run(&run).collect();
    for turns in 0..told.len() {
        told.rotate_left(1);
        live.born.attributes = told.iter().flat_map(octets).collect();
        let mut stage = Stage::with(2, at(200_000), &settings, 4);
        stage.restore(&live, None).unwrap();
        let scene = Scene::of(stage).pass(60);
        assert!(attributes(scene.sent.last().unwrap()).starts_with(&live.born.attributes), "after {turns} turns");
    }
}

fn octets(attribute: &Attribute<'_>) -> Vec<u8> {
    [&[attribute.kind.0, u8::try_from(attribute.value.len() + 2).unwrap()], attribute.value].concat()
}

/// One of two who say the same comes to be attached in another way, and goes.
#[test]
fn what_changes_of_one_session_changes_of_no_other() {
    let settings = each_minute(1);
    let calm = one(&settings).pass(60);
    let l2tp = Subscriber { access: Some(Access::L2tp), ..Subscriber::default() };
    let changed = one(&settings).updates("a", l2tp).pass(60);
    let (before, after) = (last_interim(&calm, "a"), last_interim(&changed, "a"));
    assert_eq!((before.u32(Type::FRAMED_PROTOCOL), after.u32(Type::FRAMED_PROTOCOL)), (None, Some(1)));
    let expected = last_interim(&calm, "b");
    assert_eq!(attributes(&last_interim(&changed, "b")), attributes(&expected));
    let gone = one(&settings).down("a").pass(1).up_as("c", 3, l2tp).pass(59);
    let found = last_interim(&gone, "b");
    assert_eq!((found.at, attributes(&found)), (expected.at, attributes(&expected)));
}
