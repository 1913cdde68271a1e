//! Interfaces that are sessions, in a network namespace with real packets, and a kernel that does not tell of all of them at once.

use super::*;
use crate::run::sources::counting::Counting;
use crate::run::sources::fixture::desk;
use crate::run::sources::sweeper::Sweeper;
use crate::run::sweep::fixture::{Namespace, wait_until};
use crate::run::sweep::links::churn::{self, while_it_changes};

/// An interface that is up and has counted something.
fn interface(namespace: &Namespace, net: u8) -> u32 {
    let name = format!("sub{net}");
    namespace.ip(&format!("link add name {name} type veth peer name peer{net}"));
    namespace.ip(&format!("link set dev {name} up"));
    namespace.ip(&format!("link set dev peer{net} up"));
    namespace.ip(&format!("address add 10.9.{net}.1/24 dev {name}"));
    namespace.ip(&format!("neighbour replace 10.9.{net}.2 lladdr 02:00:00:00:00:09 dev {name}"));
    send(namespace, net);
    namespace.index(&name)
}

fn send(namespace: &Namespace, net: u8) {
    namespace.within(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        for _ in 0..100 {
            socket.send_to(&[7; 1_000], format!("10.9.{net}.2:9000")).unwrap();
        }
    });
    assert!(namespace.counted(&format!("sub{net}")).out_octets >= 100_000);
}

/// A life of a source, and its desk.
struct Life {
    source: Interfaces,
    desk: Desk,
}

impl Life {
    fn open(namespace: &Namespace, place: &Path) -> Life {
        namespace.within(|| {
            let counting = Counting::Swept(Box::new(Sweeper::of_interfaces(Duration::ZERO).unwrap()));
            Life { source: Interfaces::open("sub*", None).unwrap(), desk: desk(place, counting).0 }
        })
    }

    fn begin(&mut self) {
        self.source.begin(&mut self.desk).unwrap();
        self.desk.sweep();
    }

    fn turn(&mut self) {
        self.source.turn(&mut self.desk).unwrap();
        self.desk.sweep();
    }

    /// Who is up, with what each has counted.
    fn sessions(&self) -> Vec<(String, u64)> {
        let live = self.desk.plane.live().iter();
        let mut sessions: Vec<(String, u64)> =
            live.map(|(name, live)| (name.clone(), live.entry.total().octets())).collect();
        sessions.sort_unstable();
        sessions
    }

    fn names(&self) -> Vec<String> {
        self.sessions().into_iter().map(|(name, _)| name).collect()
    }
}

#[test]
fn a_session_goes_on_until_it_is_known_that_its_interface_is_gone() {
    let (place, bng) = (tempfile::tempdir().unwrap(), Namespace::new());
    let indices = [1, 2, 3].map(|net| interface(&bng, net));
    let [stays, falls, goes] = [1, 2, 3].map(|net| format!("sub{net}#{}", indices[net - 1]));
    let mut life = Life::open(&bng, place.path());
    life.begin();
    assert_eq!(life.names(), [&*stays, &*falls, &*goes]);
    drop(life);
    bng.ip("link set dev sub2 down");
    bng.ip("link del dev sub3");
    // These come while nobody runs, and one of them says something while they are not known.
    let later = [4, 5].map(|net| interface(&bng, net));
    let mut life = Life::open(&bng, place.path());
    let due = Instant::now() + Duration::from_secs(3_600);
    life.source.links = bng.within(|| Links::open_behind(due).unwrap());
    // As a life leaves it that never knew all.
    life.desk.plane.remember_highest(u32::MAX);
    life.begin();
    bng.ip("link set dev sub4 mtu 1400");
    life.turn();
    let told = format!("sub4#{}", later[0]);
    assert_eq!(life.names(), [&*stays, &*falls, &*goes, &*told]);
    assert_eq!(life.desk.plane.recall_highest(), u32::MAX, "above those that are known may be others");
    assert_eq!(life.source.due(), Some(due));
    life.source.links.set_due(Instant::now());
    let found = format!("sub5#{}", later[1]);
    wait_until("all are known", || {
        life.turn();
        life.names() == [&*stays, &*told, &*found]
    });
    assert!(life.source.due().is_none() && life.source.unseen.is_empty());
    assert!(life.sessions().iter().all(|(_, octets)| *octets < 100_000), "{:?}", life.sessions());
    let highest = life.desk.plane.recall_highest();
    assert!((later[1]..u32::MAX).contains(&highest), "{highest}");
    // What is set up from now on counts from zero.
    let new = format!("sub6#{}", interface(&bng, 6));
    wait_until("the new one is up", || {
        life.turn();
        life.sessions().iter().any(|(name, octets)| *name == new && *octets >= 100_000)
    });
}

#[test]
fn sessions_go_on_in_a_life_that_begins_while_interfaces_come() {
    let (place, bng) = (tempfile::tempdir().unwrap(), Namespace::new());
    let name = format!("sub1#{}", interface(&bng, 1));
    bng.shell("for i in $(seq 400); do echo link add other$i type ifb; done | ip -batch -");
    let mut life = Life::open(&bng, place.path());
    life.begin();
    send(&bng, 1);
    life.desk.sweep();
    drop(life);
    while_it_changes(&bng, churn::INTERFACES, || {
        for _ in 0..2 {
            let mut life = Life::open(&bng, place.path());
            life.begin();
            life.turn();
            assert_eq!(life.names(), [&*name]);
        }
    });
    let mut life = Life::open(&bng, place.path());
    life.begin();
    let (sessions, counted) = (life.sessions(), bng.counted("sub1").out_octets);
    assert!(sessions.len() == 1 && (100_000..counted - 100_000).contains(&sessions[0].1), "{sessions:?} of {counted}");
}
