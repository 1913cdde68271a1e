//! Paths that a commit leaves: their sockets close when nothing out from them can be answered any more, their places are taken
//! again, and nobody hears of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use engine::{News, Notice, PortId, Search, Searched};
use model::settings::{InterfaceName, RadiusServer, ServerPath, Settings};

use crate::scene::{Scene, group, plain, server};
use crate::stage::Stage;

/// These settings with requests that come from this interface.
fn through(settings: &Settings, interface: &str) -> Settings {
    let mut changed = settings.clone();
    group(&mut changed).source = InterfaceName::new(interface);
    changed
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A worker's sockets, by the shard's number of the port.
#[derive(Default)]
struct Sockets {
    open: BTreeMap<PortId, ServerPath>,
    ports: BTreeSet<PortId>,
}

impl Sockets {
    /// Binds what is missing and closes what is not used any more; a socket that is there is not bound again.
    fn serve(&mut self, stage: &mut Stage) {
        while let Some(port) = stage.shard.poll_unused_port() {
            assert!(self.open.remove(&port).is_some(), "{port:?} is closed and was not open");
        }
        let unbound: Vec<_> = stage.shard.unbound_ports().collect();
        for (port, path) in unbound {
            assert_eq!(self.open.insert(port, path), None, "{port:?} is bound twice");
            self.ports.insert(port);
            stage.shard.handle_bound(path, IpAddr::from([192, 0, 2, 1]));
        }
    }
}

#[test]
fn a_thousand_commits_that_change_the_source_need_no_more_sockets_than_two() {
    let mut settings = plain(2);
    group(&mut settings).source_ports = 2;
    // The scene binds what is missing at first; so do we, to know its numbers.
    let mut stage = Stage::with(1, crate::stage::at(100_000), &plain(0), 64).linked(1, 0);
    let mut sockets = Sockets::default();
    let mut most = 0;
    for commit in 0..1_000 {
        stage.shard.configure(&through(&settings, &format!("if{}", commit % 7)));
        sockets.serve(&mut stage);
        let name = format!("u{commit}");
        stage.up(&name, commit % 32);
        stage.run(seconds(1), true);
        stage.down(&name);
        stage.run(seconds(1), true);
        sockets.serve(&mut stage);
        most = most.max(sockets.open.len());
        assert_eq!(stage.shard.report().servers.len(), 2);
    }
    assert!(sockets.open.len() == 4 && most <= 8 && sockets.ports.len() <= 8, "{most} at once, {:?}", sockets.ports);
    let bills = stage.records.iter().filter(|record| matches!(record, crate::stage::Kept::Billed { .. })).count();
    assert_eq!(bills, 0, "every Start and every Stop was answered over the path of its time");
}

#[test]
fn servers_that_come_and_go_take_each_others_places() {
    let settings = plain(1);
    let mut stage = Stage::with(1, crate::stage::at(100_000), &plain(0), 64).linked(1, 0);
    let mut sockets = Sockets::default();
    for commit in 0..200_u8 {
        let mut changed = settings.clone();
        let other = RadiusServer::new(([198, 51, 100, commit], 1813).into());
        group(&mut changed).accounting =
            vec![RadiusServer { shared_key: group(&mut changed).accounting[0].shared_key.clone(), ..other }];
        stage.shard.configure(&changed);
        sockets.serve(&mut stage);
        stage.up(&format!("u{commit}"), 1);
        stage.run(seconds(1), true);
        stage.down(&format!("u{commit}"));
        stage.run(seconds(1), true);
        sockets.serve(&mut stage);
    }
    let ports = usize::from(group(&mut settings.clone()).source_ports);
    assert!(sockets.ports.len() <= 2 * ports, "{} ports", sockets.ports.len());
}

#[test]
fn a_path_that_was_left_keeps_its_sockets_while_a_reply_may_come() {
    let settings = plain(1);
    let mut stage = Stage::with(1, crate::stage::at(100_000), &plain(0), 64).linked(1, 0);
    let mut sockets = Sockets::default();
    stage.shard.configure(&settings);
    sockets.serve(&mut stage);
    let ports = sockets.open.len();
    for name in ["a", "b"] {
        stage.up(name, 1);
    }
    let asked = stage.run(seconds(1), false);
    assert_eq!(asked.len(), 2);
    stage.shard.configure(&through(&settings, "if1"));
    sockets.serve(&mut stage);
    assert_eq!(sockets.open.len(), 2 * ports, "the old ones are needed still");
    stage.run(seconds(3), false);
    // One is answered late, and that is the answer.
    stage.reply(&asked[0]);
    assert_eq!(stage.shard.report().discards.unknown_identifier, 0);
    // The other has had its last datagram; its identifier rests for five seconds when the wait is over.
    stage.run(seconds(5), true);
    sockets.serve(&mut stage);
    assert_eq!(sockets.open.len(), 2 * ports, "a reply to it may come");
    stage.run(seconds(2), true);
    sockets.serve(&mut stage);
    assert_eq!(sockets.open.len(), ports);
    // Who comes back has the same ports, with new sockets.
    stage.shard.configure(&settings);
    sockets.serve(&mut stage);
    stage.run(seconds(1), true);
    sockets.serve(&mut stage);
    assert_eq!((sockets.open.len(), sockets.ports.len()), (ports, 2 * ports));
}

#[test]
fn nobody_hears_of_the_life_and_death_of_a_path_that_was_left() {
    let mut settings = plain(1);
    settings.radius_health.dead_count = 3;
    settings.radius_health.dead_interval_s = 0;
    let names = ["a", "b", "c", "d"];
    let ups = |scene: Scene| (1..).zip(names).fold(scene, |scene, (slot, name)| scene.up(name, slot));
    let mut scene = ups(Scene::new(&settings).silence(1)).pass(1).commit(&through(&settings, "if1"));
    let told = std::iter::from_fn(|| scene.stage.shard.poll_notice()).collect::<Vec<_>>();
    assert_eq!(told, [Notice::PathLeft(server(1).into())]);
    let mut scene = scene.pass(30);
    let seen = scene.seen();
    // The new path has its own.
    assert!(seen.matches("server down").count() <= 1, "{seen}");
    // What another shard hears too late is not believed, and who comes back is known by nothing.
    let (now, path) = (scene.stage.now.mono, server(1).into());
    scene.stage.shard.handle_server_news(now, path, News::Down);
    let mut scene = scene.wake(1).commit(&settings).pass(1);
    let servers = scene.stage.shard.report().servers;
    assert!(servers.iter().any(|known| known.path == path && known.up), "{servers:?}");
    let told = std::iter::from_fn(|| scene.stage.shard.poll_notice()).collect::<Vec<_>>();
    assert!(!told.iter().any(|notice| matches!(notice, Notice::Server(..))), "{told:?}");
}

#[test]
fn a_story_names_no_server_that_was_never_asked() {
    let two = plain(2);
    let mut stage = Stage::with(1, crate::stage::at(100_000), &two, 64).linked(1, 0);
    stage.up("a", 1);
    // The first server is silent, and the second answers.
    let mut id = Vec::new();
    for _ in 0..40 {
        stage.turn();
        for asked in std::mem::take(&mut stage.asked) {
            id = asked.session_id();
            if asked.to == server(2) {
                stage.reply(&asked);
            }
        }
        stage.pass(seconds(1));
    }
    // The first is taken out, its sockets close, and another comes in its place.
    let mut changed = two.clone();
    group(&mut changed).accounting.remove(0);
    stage.shard.configure(&changed);
    stage.run(seconds(60), true);
    while stage.shard.poll_unused_port().is_some() {}
    let shared_key = group(&mut changed).accounting[0].shared_key.clone();
    let other = RadiusServer { shared_key, ..RadiusServer::new(([198, 51, 100, 7], 1813).into()) };
    group(&mut changed).accounting.push(other);
    stage.shard.configure(&changed);
    let Searched::Found(found) = stage.shard.search(&mut Search::new(&id), 64) else { panic!("it is online") };
    let story = stage.shard.story(stage.now, &stage.table, found);
    assert!(story.steps.iter().any(|step| step.event.starts_with("Start not acknowledged")), "{story:?}");
    let asked = story.steps.iter().filter_map(|step| step.server).map(|path| path.address);
    assert!(asked.into_iter().all(|address| address == server(2)), "{story:?}");
    assert!(matches!(stage.shard.search(&mut Search::new(b"nobody"), 64), Searched::Nowhere));
}
