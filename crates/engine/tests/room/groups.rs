//! Groups of servers, a configuration that changes while requests are out, life and death, and choice: the rows of
//! BEHAVIOUR.md 5.1 to 5.4, played. Each test bears the number of its section.

use std::collections::BTreeSet;
use std::time::Duration;

use engine::News;
use model::event::Subscriber;
use model::ids::BillId;
use model::settings::{
    Algorithm, InterfaceName, Interim, InterimSpelling, IntervalUnit, ObjectName, OptionalAttribute, RadiusServer,
    Secret, Settings, Source, StartFail, UserNameFormat,
};
use wire::radius::attribute::{Attributes, Type, VendorAttributes};
use wire::radius::authenticator::verify_request;

use crate::scene::{Scene, group, plain, scheme, server};
use crate::stage::{Kept, SECRET, bill};

/// So many servers; an interim every minute.
pub(crate) fn each_minute(servers: u8) -> Settings {
    let mut settings = plain(servers);
    let scheme = scheme(&mut settings);
    scheme.interim = Some(Interim {
        value: 60,
        unit: IntervalUnit::Second,
        traffic: false,
        hash: false,
        spelling: InterimSpelling::Interval,
    });
    settings
}

/// The same, and a log-in whose Start fails is refused.
fn refusing(servers: u8) -> Settings {
    let mut settings = each_minute(servers);
    scheme(&mut settings).start_fail = StartFail::Offline;
    settings
}

/// The same without the server of this number.
fn without(settings: &Settings, number: u8) -> Settings {
    let mut settings = settings.clone();
    group(&mut settings).accounting.retain(|member| member.address != server(number));
    settings
}

/// The same, and nothing is bound to the group any more, which is gone.
fn without_group(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    settings.radius_groups.clear();
    for domain in settings.domains.values_mut() {
        domain.radius_group = None;
    }
    settings
}

fn with_weights(settings: &mut Settings, weights: &[u8]) {
    group(settings).algorithm = Algorithm::LoadingShare;
    for (member, weight) in group(settings).accounting.iter_mut().zip(weights) {
        member.weight = *weight;
    }
}

#[test]
fn row_5_1_user_name_with_and_without_domain() {
    for (format, expected) in [
        (UserNameFormat::DomainIncluded, "alice@isp"),
        (UserNameFormat::Original, "alice@isp"),
        (UserNameFormat::WithoutDomain, "alice"),
    ] {
        let mut settings = plain(1);
        group(&mut settings).user_name = format;
        let name = |scene: &Scene| {
            let packet = scene.sent.last().unwrap();
            String::from_utf8_lossy(packet.packet().find(Type::USER_NAME).unwrap()).into_owned()
        };
        let mut scene = Scene::new(&settings).up("alice", 1).pass(1);
        assert_eq!(name(&scene), expected, "{format:?}");
        let changed = Subscriber { user: Some(b"alice@isp"), framed_ip: Some([9; 4].into()), ..Subscriber::default() };
        scene.stage.update("alice", changed);
        let scene = scene.pass(1);
        assert_eq!((name(&scene), scene.sent.len()), (expected.to_owned(), 2), "{format:?}");
    }
}

#[test]
fn row_5_1_disabled_attributes_are_left_out_of_every_packet() {
    let mut settings = plain(1);
    let kinds = |scene: &Scene| -> Vec<u8> {
        scene.sent.last().unwrap().packet().attributes().map(|attribute| attribute.kind.0).collect()
    };
    let subscriber = Subscriber { mac: Some([2, 0, 0, 0, 0, 1]), nas_port: Some(7), ..Subscriber::default() };
    for without in [&[][..], &[OptionalAttribute::NasPort, OptionalAttribute::CallingStationId]] {
        group(&mut settings).disabled_attributes = without.iter().copied().collect();
        let mut scene = Scene::new(&settings);
        scene.stage.up_with("a", 1, subscriber);
        let mut scene = scene.pass(1);
        let has = |scene: &Scene| [Type::NAS_PORT, Type::CALLING_STATION_ID].map(|kind| kinds(scene).contains(&kind.0));
        assert_eq!(has(&scene), [without.is_empty(); 2]);
        // A changed MAC address would be told in Calling-Station-Id too.
        scene
            .stage
            .update("a", Subscriber { mac: Some([2, 0, 0, 0, 0, 2]), framed_ip: Some([9; 4].into()), ..subscriber });
        let scene = scene.pass(1).down("a").pass(1);
        assert_eq!(has(&scene), [without.is_empty(); 2]);
    }
}

/// DESIGN.md section 3, rule 9: a commit and an update change nothing, nor does a new life; the next log-in has what is new.
#[test]
fn row_5_1_what_packets_leave_out_is_the_session_s_own() {
    let calling = |scene: &Scene| {
        let value = scene.sent.last().unwrap().packet().find(Type::CALLING_STATION_ID)?.to_vec();
        Some(String::from_utf8(value).unwrap())
    };
    let mac = |last| Subscriber { mac: Some([2, 0, 0, 0, 0, last]), ..Subscriber::default() };
    let without = |is_out: bool| {
        let mut settings = each_minute(1);
        let out = is_out.then_some(OptionalAttribute::CallingStationId);
        group(&mut settings).disabled_attributes = out.into_iter().collect();
        settings
    };
    for was_out in [false, true] {
        let said = |is_out: bool, last| (!is_out).then(|| format!("02-00-00-00-00-0{last}"));
        let (before, after) = (without(was_out), without(!was_out));
        let scene = Scene::new(&before).up_as("a", 1, mac(1)).pass(1);
        assert_eq!(calling(&scene), said(was_out, 1));
        let scene = scene.commit(&after).updates("a", mac(2)).moves("a", [10, 0, 0, 7]).pass(1);
        assert_eq!((calling(&scene), scene.sent.len()), (said(was_out, 2), 2));
        let shown = scene.stage.shard.access_users(scene.stage.now, &scene.stage.table, 1);
        assert_eq!(shown[0].mac, mac(2).mac, "what is left out is known all the same");
        let scene = scene.restart(2, &after, &[("a", 1)]).pass(1).down("a").pass(1);
        assert_eq!((calling(&scene), scene.sent.len()), (said(was_out, 2), 3));
        let scene = scene.up_as("b", 2, mac(3)).pass(1);
        assert_eq!(calling(&scene), said(!was_out, 3));
    }
}

/// A bill has what its packets did without, and a Stop that is sent once more does without it again.
#[test]
fn row_5_1_what_packets_leave_out_is_in_bills_but_not_in_replays() {
    let mut settings = plain(1);
    group(&mut settings).disabled_attributes = OptionalAttribute::ALL.into_iter().collect();
    let all = Subscriber {
        mac: Some([2, 0, 0, 0, 0, 1]),
        framed_ip: Some([10, 0, 0, 1].into()),
        nas_port: Some(7),
        nas_port_id: Some(b"slot=0"),
        multi_session_id: Some(b"multi"),
        ..Subscriber::default()
    };
    let kinds = |run: Attributes<'_>| -> Vec<u8> { run.map(|attribute| attribute.kind.0).collect() };
    let scene = Scene::new(&settings).up_as("a", 1, all).pass(1);
    let live = scene.stage.only_live();
    let mut scene = scene.down("a").pass(1);
    let stop = scene.sent.last().unwrap().clone();
    let own = [5, 31, 50, 87];
    let opened = live.born.opened();
    let kept = kinds(Attributes::of_run(opened.attributes));
    assert!(own.iter().all(|kind| kept.contains(kind)), "{kept:?}");
    let vendor = |attributes: Attributes<'_>| VendorAttributes::of(attributes).count();
    // HW-Connect-Id, HW-Domain-Name, HW-IP-Host-Address and HW-Startup-Time-Stamp; the product is the source's.
    assert_eq!(vendor(Attributes::of_run(opened.attributes)), 5);
    let mut commit = settings.clone();
    group(&mut commit).disabled_attributes = BTreeSet::new();
    scene = scene.commit(&commit);
    let closed = scene.stage.records.iter().find_map(|record| match record {
        Kept::Closed(closed) => Some(*closed),
        _ => None,
    });
    scene
        .stage
        .shard
        .replay_bill(scene.stage.now, BillId { epoch: 1, sequence: 1 }, &bill(&live, closed.unwrap()))
        .unwrap();
    let scene = scene.pass(1);
    assert_eq!(scene.sent.len(), 3);
    for packet in [stop.packet(), scene.sent.last().unwrap().packet()] {
        assert!(kinds(packet.attributes()).iter().all(|kind| !own.contains(kind)), "{packet:?}");
        assert_eq!(vendor(packet.attributes()), 2, "HW-User-MAC and HW-Product-ID");
    }
}

#[test]
fn row_5_1_the_form_of_the_user_name_is_the_session_s_own() {
    let with = |format| {
        let mut settings = each_minute(1);
        group(&mut settings).user_name = format;
        settings
    };
    let (whole, cut) = (with(UserNameFormat::DomainIncluded), with(UserNameFormat::WithoutDomain));
    for (before, after, expected, of_the_next) in [(&whole, &cut, "a@isp", "b"), (&cut, &whole, "a", "b@isp")] {
        let name = |scene: &Scene| {
            let packet = scene.sent.last().unwrap();
            String::from_utf8_lossy(packet.packet().find(Type::USER_NAME).unwrap()).into_owned()
        };
        let renamed = |last| Subscriber {
            user: Some(b"a@isp"),
            framed_ip: Some([10, 0, 0, last].into()),
            ..Subscriber::default()
        };
        let scene = Scene::new(before).up("a", 1).pass(1).commit(after).updates("a", renamed(1)).pass(1);
        assert_eq!((name(&scene).as_str(), scene.sent.len()), (expected, 2));
        let scene = scene.restart(2, after, &[("a", 1)]).updates("a", renamed(2)).pass(1).down("a").pass(1);
        assert_eq!(name(&scene), expected);
        assert_eq!(name(&scene.up("b", 2).pass(1)), of_the_next);
    }
}

fn shown(scene: &Scene) -> Vec<std::net::SocketAddr> {
    scene.stage.shard.report().servers.iter().map(|server| server.path.address).collect()
}

#[test]
fn row_5_4_a_changed_secret_leaves_alone_what_is_out() {
    let settings = refusing(1);
    let mut changed = settings.clone();
    group(&mut changed).accounting[0].shared_key = Some(Secret::new(b"another".to_vec(), String::new()));
    let scene = Scene::new(&settings).silence(1).up("a", 1).pass(7).commit(&changed).pass(5).wake(1);
    // The server, too, has the new secret for what is new, and takes the old one for what is old.
    let scene = scene.sees(
        "0 start a to 1
         5 start a to 1
         10 start a to 1",
    );
    let starts = &scene.sent;
    assert!(starts.iter().all(|start| verify_request(&start.packet(), SECRET).is_ok()), "as they were signed");
    let last = starts.last().unwrap().clone();
    let mut scene = scene;
    scene.stage.reply(&last);
    let scene = scene.pass(1).sees("12 admit a start-accepted").pass(60);
    let interim = scene.sent.last().unwrap();
    assert!(verify_request(&interim.packet(), b"another").is_ok(), "what is new is signed with the new one");
}

#[test]
fn row_5_4_a_removed_server_still_answers_what_it_was_asked() {
    let settings = refusing(2);
    let scene = Scene::new(&settings).silence(1).up("a", 1).pass(2).sees("0 start a to 1");
    let mut scene = scene.commit(&without(&settings, 1));
    let start = scene.sent[0].clone();
    scene.stage.reply(&start);
    scene.pass(61).sees(
        "2 admit a start-accepted
         62 interim a to 2",
    );
}

#[test]
fn row_5_4_a_removed_server_that_is_silent_has_had_its_turn() {
    let settings = refusing(2);
    let scene = Scene::new(&settings).silence(1).up("a", 1).pass(2).sees("0 start a to 1");
    scene.commit(&without(&settings, 1)).pass(10).sees(
        "5 start a to 2
         5 admit a start-accepted",
    );
}

#[test]
fn row_5_4_with_every_server_removed_the_wait_goes_on_and_then_it_has_failed() {
    let settings = refusing(2);
    let mut none = settings.clone();
    group(&mut none).accounting.clear();
    let scene = Scene::new(&settings).silence(1).up("a", 1).pass(2).commit(&none).pass(10);
    scene.sees("0 start a to 1\n5 refuse a start-failed");
}

#[test]
fn row_5_4_an_added_server_is_one_more_to_ask() {
    let scene = Scene::new(&refusing(1)).silence(1).up("a", 1).pass(12);
    scene.commit(&refusing(2)).pass(20).sees(
        "0 start a to 1
         5 start a to 1
         10 start a to 1
         15 start a to 2
         15 admit a start-accepted",
    );
}

#[test]
fn row_5_4_an_unrelated_order_of_the_servers_takes_nothing_from_what_is_out() {
    let settings = refusing(3);
    let mut turned = settings.clone();
    group(&mut turned).accounting.reverse();
    let scene = Scene::new(&settings).silence(1).silence(3).up("a", 1).pass(2).commit(&turned);
    // The first has its three, then the order is the new one; nobody is asked twice.
    scene.pass(40).sees(
        "0 start a to 1
         5 start a to 1
         10 start a to 1
         15 start a to 3
         20 start a to 3
         25 start a to 3
         30 start a to 2
         30 admit a start-accepted",
    );
}

#[test]
fn row_5_1_a_removed_group_keeps_its_servers_until_its_last_session_has_ended() {
    let settings = each_minute(2);
    let scene = Scene::new(&settings).up("a", 1).pass(1).up("b", 2).pass(58).sees(
        "0 admit a opened
         0 start a to 1
         1 admit b opened
         1 start b to 1",
    );
    let scene = scene.silence(1).commit(&without_group(&settings)).pass(21).sees(
        "60 interim a to 1
         61 interim b to 1
         65 interim a to 1
         66 interim b to 1
         70 interim a to 1
         71 interim b to 1
         75 interim a to 2
         76 interim b to 2",
    );
    let scene = scene.wake(1).down("a").pass(1).sees("80 stop a to 1");
    assert_eq!(shown(&scene), [server(1), server(2)], "one session is left");
    let scene = scene.down("b").pass(1).sees("81 stop b to 1").pass(1);
    assert_eq!(shown(&scene), [], "without another commit");
}

#[test]
fn row_5_3_deleting_the_master_promotes_the_second() {
    let settings = each_minute(2);
    let scene = Scene::new(&settings).up("a", 1).pass(1).sees("0 admit a opened\n0 start a to 1").silence(1);
    let scene = scene.commit(&without(&settings, 1)).pass(60).sees("60 interim a to 2");
    assert_eq!(shown(&scene), [server(2)]);
    // And when it is there again, it is the first again.
    scene.wake(1).commit(&settings).pass(60).sees("120 interim a to 1");
}

#[test]
fn row_5_3_master_backup_and_back() {
    let scene = Scene::new(&each_minute(2)).up("a", 1).pass(1).silence(1).pass(195).sees(
        "0 admit a opened
         0 start a to 1
         60 interim a to 1
         65 interim a to 1
         70 interim a to 1
         75 interim a to 2
         120 interim a to 1
         125 interim a to 1
         130 interim a to 1
         135 interim a to 2
         180 interim a to 1
         185 interim a to 1
         190 interim a to 1
         195 interim a to 2",
    );
    // Ten in a row: from now on nobody waits for it, and three minutes later it is tried.
    let scene = scene.pass(60).sees(
        "240 interim a to 1
         245 server down
         245 interim a to 1
         250 interim a to 1
         255 interim a to 2",
    );
    scene.wake(1).pass(240).sees(
        "300 interim a to 2
         360 interim a to 2
         420 interim a to 2
         480 interim a to 1
         480 server up",
    );
}

#[test]
fn row_5_2_after_dead_time_it_is_tried_and_down_again_if_it_fails() {
    let mut settings = each_minute(2);
    settings.radius_health.dead_count = 3;
    settings.radius_health.dead_time_min = 1;
    let scene = Scene::new(&settings).up("a", 1).pass(1).up("b", 2).pass(1);
    let scene = scene.sees(
        "0 admit a opened
         0 start a to 1
         1 admit b opened
         1 start b to 1",
    );
    let scene = scene.silence(1).pass(88).sees(
        "60 interim a to 1
         61 interim b to 1
         65 interim a to 1
         66 interim b to 1
         70 interim a to 1
         71 server down
         71 interim b to 1
         75 interim a to 2
         76 interim b to 2",
    );
    // From 130 on it is assumed to be Up: one tries it, the other does not wait. Nothing is told that was told.
    let scene = scene.pass(120).sees(
        "120 interim a to 2
         121 interim b to 2
         180 interim a to 1
         181 interim b to 2
         185 interim a to 1
         190 interim a to 1
         195 interim a to 2",
    );
    // Down again at 185, so it is tried again from 245 on, and then it answers.
    scene.wake(1).pass(160).sees(
        "240 interim a to 2
         241 interim b to 2
         300 interim a to 1
         300 server up
         301 interim b to 1
         360 interim a to 1
         361 interim b to 1",
    );
}

#[test]
fn row_5_2_a_reply_revives_unless_recover_count_invalid() {
    for invalid in [false, true] {
        let mut settings = each_minute(1);
        settings.radius_health.dead_count = 3;
        settings.radius_health.recover_count_invalid = invalid;
        // Dead at 75; probed at 120, because nobody else is there, and that is answered.
        let scene = Scene::new(&settings).up("a", 1).pass(1).silence(1).pass(89).wake(1);
        let mut scene = scene.sees(
            "0 admit a opened
             0 start a to 1
             60 interim a to 1
             65 interim a to 1
             70 interim a to 1
             75 server down",
        );
        scene = scene.pass(220);
        let told: Vec<String> =
            scene.seen().lines().filter(|line| line.ends_with("server up")).map(str::to_owned).collect();
        let at = if invalid { "300 server up" } else { "120 server up" };
        assert_eq!(told, [at], "the dead-time ends at 255");
    }
}

#[test]
fn row_5_2_fail_rate_ends_what_answers_too_seldom() {
    for (rate, dies) in [(100, false), (60, false), (40, true)] {
        let mut settings = each_minute(2);
        settings.radius_health.dead_count = 3;
        settings.radius_health.fail_rate = rate;
        group(&mut settings).retransmit = 1;
        let mut scene = Scene::new(&settings).up("a", 1).pass(59);
        // Every second interim is not answered.
        for _ in 0..8 {
            scene = scene.silence(1).pass(60).wake(1).pass(60);
        }
        assert_eq!(scene.seen().contains("server down"), dies, "{rate} %");
    }
}

#[test]
fn row_5_2_other_rules_hold_at_once() {
    let mut settings = each_minute(2);
    settings.radius_health.dead_count = 100;
    let scene = Scene::new(&settings).up("a", 1).pass(1).silence(1).pass(200);
    settings.radius_health.dead_count = 10;
    let mut scene = scene.commit(&settings).pass(60);
    assert!(scene.seen().contains("245 server down"));
}

/// The same, and requests to server 1 leave from another address.
fn from_elsewhere(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    group(&mut settings).accounting[0].source = Some(Source::Address([192, 0, 2, 77].into()));
    settings
}

#[test]
fn row_5_1_a_changed_source_leaves_alone_what_is_out() {
    let settings = refusing(1);
    let changed = from_elsewhere(&settings);
    let mut scene = Scene::new(&settings).silence(1).up("a", 1).pass(2).commit(&changed).wake(1);
    assert_eq!(shown(&scene), [server(1); 2], "a request waits for the old one");
    let start = scene.sent[0].clone();
    scene.stage.reply(&start);
    let scene = scene.pass(61).sees(
        "0 start a to 1
         2 admit a start-accepted
         62 interim a to 1",
    );
    assert_ne!(scene.sent[1].port, start.port, "what is new leaves from the new one");
    assert_eq!(shown(&scene), [server(1)]);
}

#[test]
fn row_5_1_a_changed_source_is_tried_by_what_was_not_answered() {
    let settings = refusing(1);
    let scene = Scene::new(&settings).silence(1).up("a", 1).pass(2).commit(&from_elsewhere(&settings)).pass(30);
    let scene = scene.sees(
        "0 start a to 1
         5 start a to 1
         10 start a to 1
         15 start a to 1
         20 refuse a start-failed",
    );
    let ports: Vec<_> = scene.sent.iter().map(|sent| sent.port).collect();
    assert!(ports[0] != ports[1] && ports[1..].iter().all(|port| *port == ports[1]), "{ports:?}");
}

#[test]
fn row_5_1_a_server_in_a_vrf_is_another_server() {
    let mut settings = refusing(2);
    let members = &mut group(&mut settings).accounting;
    members[1] = RadiusServer { vpn: InterfaceName::new("red"), ..members[0].clone() };
    let (plain, red) = (group(&mut settings).accounting[0].clone(), group(&mut settings).accounting[1].clone());
    let mut scene = Scene::new(&settings);
    let paths: Vec<_> = scene.stage.shard.report().servers.iter().map(|server| server.path).collect();
    assert_eq!(paths, [&plain, &red].map(|server| group(&mut settings).path_of(server)));
    let now = scene.stage.now.mono;
    scene.stage.shard.handle_server_news(now, paths[0], News::Down);
    let up = |scene: &Scene| scene.stage.shard.report().servers.iter().map(|server| server.up).collect::<Vec<_>>();
    assert_eq!(up(&scene), [false, true]);
}

#[test]
fn row_5_1_a_server_without_a_source_address_is_counted_and_passed_over() {
    let settings = refusing(2);
    let mut changed = settings.clone();
    group(&mut changed).source = InterfaceName::new("late0");
    let mut scene = Scene::new(&settings);
    let shard = &mut scene.stage.shard;
    shard.configure(&changed);
    let mut unbound: Vec<_> = shard.unbound_ports().map(|(_, server)| server).collect();
    unbound.dedup();
    let paths = [1, 2].map(|number| group(&mut changed).path_of(&RadiusServer::new(server(number))));
    assert_eq!(unbound, paths);
    shard.handle_not_bound(paths[0]);
    shard.handle_bound(paths[1], [192, 0, 2, 1].into());
    let told: Vec<_> = shard.report().servers.iter().map(|server| (server.up, server.no_source_ip_blocks)).collect();
    assert_eq!(told, [(false, 1), (true, 0)]);
    let mut scene = scene.up("a", 1).pass(1).sees("0 start a to 2\n0 admit a start-accepted");
    // Whom no group leads to any more needs no source.
    scene.stage.shard.configure(&settings);
    assert!(scene.stage.shard.unbound_ports().all(|(_, path)| !paths.contains(&path)));
}

#[test]
fn row_5_1_down_for_one_group_is_down_for_all() {
    let mut settings = each_minute(2);
    settings.radius_health.dead_count = 3;
    let mut scene = Scene::new(&settings).up("a", 1).pass(1).silence(1).pass(80);
    assert!(scene.seen().contains("server down"));
    // Another group takes the place of the first; the server is the same object.
    let members = settings.radius_groups.remove(&ObjectName::from("radius")).unwrap();
    settings.radius_groups.insert(ObjectName::from("other"), members);
    for domain in settings.domains.values_mut() {
        domain.radius_group = domain.radius_group.as_ref().map(|_| ObjectName::from("other"));
    }
    scene.commit(&settings).up("b", 2).pass(1).sees("81 admit b opened\n81 start b to 2");
}

#[test]
fn row_5_1_down_for_one_shard_is_down_on_every_shard() {
    let mut scene = Scene::new(&each_minute(2));
    let now = scene.stage.now.mono;
    scene.stage.shard.handle_server_news(now, server(1).into(), News::Down);
    let mut scene = scene.up("a", 1).pass(1).sees("0 admit a opened\n0 start a to 2");
    let now = scene.stage.now.mono;
    scene.stage.shard.handle_server_news(now, server(1).into(), News::Up);
    scene.up("b", 2).pass(1).sees("1 admit b opened\n1 start b to 1");
}

/// Ups so many sessions, a few at a time, and counts the Starts for each of the three servers.
fn starts_by_server(settings: &Settings, sessions: u32) -> [u32; 3] {
    let mut scene = Scene::new(settings);
    for number in 0..sessions {
        scene = scene.up(&format!("u{number}"), number % 32);
        scene = scene.pass(0).down(&format!("u{number}")).pass(1);
    }
    let mut counts = [0; 3];
    for start in scene.sent.iter().filter(|sent| sent.status() == 1) {
        counts[(1..=3).position(|number| start.to == server(number)).unwrap()] += 1;
    }
    counts
}

#[test]
fn row_5_3_loading_share_by_weight() {
    let mut settings = plain(3);
    // (weights, what is to be expected of 1,200)
    for (weights, expected) in
        [([1, 2, 3], [200.0, 400.0, 600.0]), ([0, 0, 0], [400.0; 3]), ([0, 1, 1], [0.0, 600.0, 600.0])]
    {
        with_weights(&mut settings, &weights);
        let counts = starts_by_server(&settings, 1_200);
        let terms = counts.iter().zip(expected).filter(|(_, expected)| *expected > 0.0);
        let chi_square: f64 = terms.map(|(&count, expected)| (f64::from(count) - expected).powi(2) / expected).sum();
        println!("weights {weights:?}: {counts:?}, chi-square {chi_square:.2}");
        assert!(chi_square < 15.2, "{weights:?}: {counts:?}; exceeded by chance once in two thousand");
        assert!(counts[0] > 0 || weights[0] == 0, "a weight of 0 beside others gets none");
    }
}

#[test]
fn row_5_3_a_chosen_server_keeps_the_packet_and_then_another_has_it() {
    let mut settings = each_minute(3);
    with_weights(&mut settings, &[1, 1, 1]);
    let scene = Scene::new(&settings).silence(1).silence(2).silence(3).up("a", 1).pass(50);
    let starts: Vec<_> = scene.sent.iter().filter(|sent| sent.status() == 1).collect();
    let asked: Vec<_> = starts.iter().map(|sent| sent.to).collect();
    assert_eq!(asked.len(), 9);
    let mut turns: Vec<_> = asked.chunks(3).map(|turn| turn[0]).collect();
    assert!(asked.chunks(3).all(|turn| turn.iter().all(|to| *to == turn[0])), "three each: {asked:?}");
    turns.sort();
    assert_eq!(turns, [server(1), server(2), server(3)], "each once");
    let gone = starts[8].at.since(starts[0].at);
    assert!(gone < Duration::from_secs(41), "{gone:?}");
}
