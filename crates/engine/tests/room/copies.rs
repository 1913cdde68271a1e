//! `accounting-copy`: a second stream with retries of its own, which never delays the first (BEHAVIOUR.md 4).

use model::settings::{
    AccountingScheme, Domain, LimitedServers, ObjectName, RadiusGroup, RadiusLimits, RadiusServer, Secret, Settings,
    StartFail,
};
use wire::radius::attribute::Type;

use crate::groups::each_minute;
use crate::scene::{Scene, domain, plain, scheme, server};
use crate::stage::SECRET;

/// A group of this name, with the server of this number.
fn copy_group(settings: &mut Settings, name: &str, number: u8) -> ObjectName {
    let shared_key = Some(Secret::new(SECRET.to_vec(), String::new()));
    let accounting = vec![RadiusServer { shared_key, ..RadiusServer::new(server(number)) }];
    let name = ObjectName::from(name);
    settings.radius_groups.insert(name.clone(), RadiusGroup { accounting, ..RadiusGroup::default() });
    name
}

/// Server 1 has the accounting, server 2 the copies; an interim each minute.
fn copied() -> Settings {
    let mut settings = each_minute(1);
    let copies = copy_group(&mut settings, "copies", 2);
    domain(&mut settings).accounting_copy = Some(copies);
    settings
}

#[test]
fn copy_of_every_packet_with_what_the_first_says() {
    let scene = Scene::new(&copied()).up("a", 1).count(1, 0).pass(30).count(1, 500).pass(40).sees(
        "0 admit a opened
         0 start a to 1
         0 start a to 2
         60 interim a to 1
         60 interim a to 2",
    );
    assert_eq!(scene.last(Type::ACCT_INPUT_OCTETS), Some(500));
    let scene = scene.down_with("a", 1, Some(900)).pass(10).sees(
        "70 stop a to 1
         70 stop a to 2",
    );
    let [one, other] = scene.sent.last_chunk().unwrap();
    assert_eq!(one.session_id(), other.session_id());
    for kind in [Type::ACCT_INPUT_OCTETS, Type::ACCT_SESSION_TIME, Type::ACCT_TERMINATE_CAUSE, Type::EVENT_TIMESTAMP] {
        assert_eq!(one.u32(kind), other.u32(kind), "{kind:?}");
    }
    assert_eq!(scene.stage.shard.report().sessions, 0, "slots come back");
}

#[test]
fn copy_has_its_own_retries_and_ends_after_three_misses() {
    let scene = Scene::new(&copied()).silence(2).up("a", 1).pass(75).sees(
        "0 admit a opened
         0 start a to 1
         0 start a to 2
         5 start a to 2
         10 start a to 2
         15 copy given up
         15 stop a to 2
         20 stop a to 2
         25 stop a to 2
         60 interim a to 1",
    );
    // It is not begun again for this user, whatever comes.
    let scene = scene.wake(2).pass(60).sees("120 interim a to 1");
    let scene = scene.down("a").pass(5).sees("135 stop a to 1");
    assert_eq!(scene.stage.shard.report().copies_given_up, 1);
    scene.up("b", 2).pass(1).sees(
        "140 admit b opened
         140 start b to 1
         140 start b to 2",
    );
}

#[test]
fn copy_that_is_lost_once_is_repeated() {
    let scene = Scene::new(&copied()).silence(2).up("a", 1).pass(7).wake(2).pass(63).sees(
        "0 admit a opened
         0 start a to 1
         0 start a to 2
         5 start a to 2
         10 start a to 2
         60 interim a to 1
         60 interim a to 2",
    );
    let repeated: Vec<_> = scene.sent.iter().filter(|asked| asked.to == server(2)).take(3).collect();
    assert!(repeated.windows(2).all(|pair| pair[0].packet().octets() == pair[1].packet().octets()), "the same octets");
}

#[test]
fn copy_goes_on_while_the_first_servers_are_silent() {
    let mut settings = copied();
    scheme(&mut settings).start_fail = StartFail::OnlineKeepAccounting;
    let scene = Scene::new(&settings).silence(1).up("a", 1).pass(62);
    let mut scene = scene;
    let seen = scene.seen();
    assert_eq!(seen.matches("start a to 2").count(), 1, "{seen}");
    let mut scene = scene.pass(20).down("a").pass(5);
    let seen = seen + &scene.seen();
    assert_eq!(seen.matches("interim a to 2").count(), 1, "{seen}");
    assert_eq!(seen.matches("stop a to 2").count(), 1, "{seen}");
    assert_eq!(seen.matches("copy given up").count(), 0, "{seen}");
}

#[test]
fn copy_of_a_log_in_that_is_refused_is_stopped_as_well() {
    let mut settings = copied();
    scheme(&mut settings).start_fail = StartFail::Offline;
    let mut scene = Scene::new(&settings).silence(1).up("a", 1).pass(20);
    let seen = scene.seen();
    assert_eq!(seen.matches("start a to 2").count(), 1, "{seen}");
    assert_eq!(seen.matches("stop a to 2").count(), 1, "{seen}");
    assert_eq!(scene.last(Type::ACCT_SESSION_TIME), Some(0));
    assert_eq!(scene.stage.shard.report().sessions, 0);
}

#[test]
fn copy_server_that_is_dead_delays_nobody() {
    let mut settings = copied();
    settings.schemes.values_mut().for_each(|scheme| scheme.interim = None);
    let mut scene = Scene::new(&settings).silence(2);
    for number in 0..40u32 {
        scene = scene.up(&format!("u{number}"), number);
    }
    scene = scene.pass(1);
    let seen = scene.seen();
    assert_eq!(seen.matches("admit").count(), 40, "{seen}");
    assert_eq!(seen.lines().filter(|line| line.ends_with("to 1")).count(), 40, "{seen}");
    for number in 0..40u32 {
        scene = scene.down(&format!("u{number}"));
    }
    scene = scene.pass(1);
    let seen = scene.seen();
    assert_eq!(seen.lines().filter(|line| line.contains("stop") && line.ends_with("to 1")).count(), 40, "{seen}");
    // Slots come back though nobody ever answers.
    scene = scene.pass(200);
    assert_eq!(scene.stage.shard.report().sessions, 0);
    assert_eq!(scene.stage.shard.poll_timeout(), None, "nothing is left to wait for");
}

/// Who waited in the line of one group has gone, and its slot is another's, who is copied to another group.
#[test]
fn copy_never_goes_to_the_group_of_another_domain() {
    let mut settings = plain(1);
    scheme(&mut settings).start_fail = StartFail::Offline;
    let [one, other, first] = [("one", 2), ("other", 3), ("first", 4)].map(|(name, number)| {
        let group = copy_group(&mut settings, name, number);
        let only = LimitedServers { ip: Some(server(number).ip()), vpn: None, port: None };
        settings.radius_limits.insert(only, RadiusLimits { pending: (number < 4).then_some(1), speed: None });
        group
    });
    domain(&mut settings).accounting_copy = Some(one.clone());
    settings.schemes.insert(ObjectName::from("online"), AccountingScheme::default());
    for (name, copy) in [("stay", one), ("other", other)] {
        let domain = Domain {
            accounting_scheme: Some(ObjectName::from("online")),
            radius_group: Some(first.clone()),
            accounting_copy: Some(copy),
            ..Domain::default()
        };
        settings.domains.insert(ObjectName::from(name), domain);
    }
    let mut scene = Scene::new(&settings).silence(1).silence(2).silence(3);
    scene = scene.up_in("stay", "b1", 1).up_in("stay", "b2", 2).up_in("stay", "b3", 3).pass(2).up("a", 4).pass(14);
    scene = scene.up_in("other", "m1", 5).up_in("other", "m2", 6).pass(2).up_in("other", "n", 7).pass(29);
    let seen = scene.seen();
    assert!(!seen.contains("n to 2"), "{seen}");
}

/// Slots of those who have gone, and whose copies nobody answers, are there for who comes.
#[test]
fn copy_keeps_no_slot_from_a_log_in() {
    let mut scene = Scene::new(&copied()).silence(2);
    for number in 0..64u32 {
        scene = scene.up(&format!("u{number}"), number);
    }
    scene = scene.pass(20);
    for number in 0..64u32 {
        scene = scene.down(&format!("u{number}"));
    }
    scene = scene.pass(5);
    scene.seen();
    for number in 0..64u32 {
        scene = scene.up(&format!("v{number}"), 100 + number);
    }
    let mut scene = scene.pass(1);
    let seen = scene.seen();
    assert_eq!((seen.matches("refuse").count(), seen.matches("admit").count()), (0, 64), "{seen}");
    let mut scene = scene.pass(300);
    assert_eq!(scene.stage.shard.report().sessions, 64, "{}", scene.seen());
}

#[test]
fn copy_to_a_group_without_servers_is_given_up_at_once() {
    let mut settings = copied();
    settings.radius_groups.insert(ObjectName::from("copies"), RadiusGroup::default());
    let scene = Scene::new(&settings).up("a", 1).pass(1).down("a").pass(1).sees(
        "0 admit a opened
         0 copy given up
         0 start a to 1
         1 stop a to 1",
    );
    assert_eq!(scene.stage.shard.report().sessions, 0);
}

/// Copying was given up, and its Stop waits for a place, when the subscriber goes: how it ended is not told before the ledger
/// has it.
#[test]
fn copy_tells_no_end_before_the_ledger_has_it() {
    let mut settings = copied();
    let only = LimitedServers { ip: Some(server(2).ip()), vpn: None, port: None };
    settings.radius_limits.insert(only, RadiusLimits { pending: Some(1), speed: None });
    let mut scene = Scene::new(&settings).silence(2).up("a", 1).up("b", 2).pass(17);
    scene.seen();
    // The disk stands still from here on.
    scene.stage.down_with("a", 1, Some(crate::stage::moved(900)));
    scene.stage.down_with("b", 1, Some(crate::stage::moved(900)));
    let copies = |scene: &mut Scene| {
        scene.stage.transmit();
        let asked = std::mem::take(&mut scene.stage.asked);
        asked.into_iter().filter(|asked| asked.to == server(2)).collect::<Vec<_>>()
    };
    for _ in 0..30 {
        scene.stage.pass(std::time::Duration::from_secs(1));
        scene.stage.shard.handle_timeout(scene.stage.now, &scene.stage.table);
        for asked in copies(&mut scene) {
            assert_ne!(asked.u32(Type::ACCT_INPUT_OCTETS), Some(900), "{}", asked.user());
        }
    }
}

/// The plane has taken the verdict, begins anew, and brings the same subscriber with counters that look the same, while the copy
/// of the first attempt is not over.
#[test]
fn copy_leaves_nobody_without_a_verdict() {
    let mut settings = copied();
    scheme(&mut settings).start_fail = StartFail::Offline;
    let mut scene = Scene::new(&settings).silence(1).silence(2).up("a", 1).pass(17);
    scene.seen();
    scene.stage = scene.stage.linked(2, 0);
    scene.stage.resync(&[]);
    let seen = scene.up("a", 1).pass(200).seen();
    assert_eq!(seen.matches("refuse a").count(), 1, "{seen}");
}

#[test]
fn copy_goes_on_after_a_restart_with_what_is_due_next() {
    let settings = copied();
    let mut scene = Scene::new(&settings).up("a", 1).pass(30);
    scene.seen();
    let scene = scene.restart(2, &settings, &[("a", 1)]).pass(40);
    let mut scene = scene;
    let seen = scene.seen();
    assert_eq!(seen.matches("start a").count(), 0, "{seen}");
    assert_eq!(seen.matches("interim a to 2").count(), 1, "{seen}");
    let mut scene = scene.down("a").pass(5);
    assert_eq!(scene.seen().matches("stop a to 2").count(), 1);
}
