//! The server that authenticated a user is asked first: `master-backup [ strict | sequence ]*` of BEHAVIOUR.md 5.3, played.

use std::net::SocketAddr;

use model::event::Subscriber;
use model::settings::{Algorithm, LimitedServers, RadiusLimits};

use crate::groups::each_minute;
use crate::scene::{Scene, group, server};

#[test]
fn row_5_3_prefers_who_authenticated_unless_strict() {
    for (strict, asked) in [(false, 2), (true, 1)] {
        let mut settings = each_minute(3);
        group(&mut settings).strict = strict;
        let scene = Scene::new(&settings).up_by("a", 1, 2).pass(60).down("a").pass(1);
        scene.sees(&format!(
            "0 admit a opened
             0 start a to {asked}
             60 interim a to {asked}
             60 stop a to {asked}"
        ));
    }
}

#[test]
fn row_5_3_sequence_is_the_order_that_holds_anyway() {
    let mut settings = each_minute(3);
    group(&mut settings).sequence = true;
    let scene = Scene::new(&settings).up_by("a", 1, 2).up("b", 2).pass(1);
    scene.sees("0 admit a opened\n0 admit b opened\n0 start a to 2\n0 start b to 1");
}

#[test]
fn row_5_3_a_preferred_server_that_does_not_answer_gives_way_to_the_order() {
    let mut settings = each_minute(3);
    settings.radius_health.dead_count = 3;
    let scene = Scene::new(&settings).silence(3).up_by("a", 1, 3).pass(61).sees(
        "0 admit a opened
         0 start a to 3
         5 start a to 3
         10 start a to 3
         15 server down
         15 start a to 1",
    );
    let mut scene = scene.pass(20).sees("75 interim a to 1").wake(3).pass(180);
    let seen = scene.seen();
    assert!(seen.contains("135 interim a to 1") && seen.contains("255 interim a to 3"), "preferred again: {seen}");
}

#[test]
fn row_5_3_who_is_no_accounting_server_is_not_preferred() {
    let settings = each_minute(2);
    let mut scene = Scene::new(&settings);
    scene = scene.up_by("a", 1, 9).pass(1).sees("0 admit a opened\n0 start a to 1");
    // A commit makes it one.
    let mut another = settings.clone();
    group(&mut another).accounting[1].address = server(9);
    scene.commit(&another).pass(60).sees("60 interim a to 9");
}

#[test]
fn row_5_3_loading_share_knows_no_preference() {
    let mut settings = each_minute(2);
    group(&mut settings).algorithm = Algorithm::LoadingShare;
    for (member, weight) in group(&mut settings).accounting.iter_mut().zip([1, 0]) {
        member.weight = weight;
    }
    Scene::new(&settings).up_by("a", 1, 2).pass(1).sees("0 admit a opened\n0 start a to 1");
}

#[test]
fn row_5_3_another_authentication_is_another_preference() {
    let scene = Scene::new(&each_minute(3)).up_by("a", 1, 2).pass(1);
    let mut scene = scene.sees("0 admit a opened\n0 start a to 2");
    let auth_server = Some(server(3).ip());
    scene.stage.update("a", Subscriber { auth_server, ..Subscriber::default() });
    scene.pass(60).sees("60 interim a to 3");
}

#[test]
fn row_5_3_after_a_restart_the_plane_says_it_again() {
    let settings = each_minute(2);
    let scene = Scene::new(&settings).up_by("a", 1, 2).pass(60);
    let scene = scene.sees("0 admit a opened\n0 start a to 2\n60 interim a to 2");
    let scene = scene.restart(2, &settings, &[("a", 1)]).pass(60);
    let scene = scene.sees("60 admit a known\n120 interim a to 1");
    scene.announce_by("a", 1, 2).pass(60).sees("120 admit a known\n180 interim a to 2");
}

#[test]
fn row_5_3_a_preferred_server_without_room_holds_up_its_own_users_only() {
    let mut settings = each_minute(2);
    let only = LimitedServers { ip: Some(server(2).ip()), vpn: None, port: None };
    settings.radius_limits.insert(only, RadiusLimits { pending: Some(1), speed: None });
    // Forty users of the silent second server stand before one of the first.
    let mut scene = Scene::new(&settings).silence(2);
    for number in 0..40 {
        scene = scene.up_by(&format!("u{number}"), number, 2);
    }
    let mut scene = scene.up("other", 60).pass(3);
    let seen = scene.seen();
    assert!(seen.contains("0 start other to 1"), "{seen}");
    assert_eq!(seen.matches(" to 2").count(), 1, "one has the only place: {seen}");
    assert_eq!(seen.matches(" to 1").count(), 1, "the others wait for the server that they prefer: {seen}");
}

/// It is one server to the user, whatever the port.
#[test]
fn row_5_3_a_preferred_server_has_room_at_another_port() {
    let mut settings = each_minute(3);
    let second = SocketAddr::new(server(2).ip(), 1814);
    group(&mut settings).accounting[2].address = second;
    let only = LimitedServers { ip: Some(server(2).ip()), vpn: None, port: Some(1813) };
    settings.radius_limits.insert(only, RadiusLimits { pending: Some(1), speed: None });
    let scene = Scene::new(&settings).silence(2).up_by("a", 1, 2).up_by("b", 2, 2).up_by("c", 3, 2).pass(1);
    let asked: Vec<SocketAddr> = scene.sent.iter().map(|asked| asked.to).collect();
    assert_eq!(asked, [server(2), second, second]);
}
