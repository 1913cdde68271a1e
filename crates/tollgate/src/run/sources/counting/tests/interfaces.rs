//! Sessions that name the interface by which they are counted, in a network namespace with real packets.

use super::*;
use crate::run::sweep::fixture::{Kind, Line, Namespace, V4};

fn swept(namespace: &Namespace) -> Counting {
    Counting::Swept(Box::new(namespace.within(|| Sweeper::of_interfaces(Duration::ZERO).unwrap())))
}

fn up(life: &mut Life, session: &str, port: &str) {
    life.desk.up(session, fields(json!({"user": "u", "nas_port_id": port})), None, None).unwrap();
}

/// An interface with a neighbour who is there for whoever sends.
fn interface(namespace: &Namespace, name: &str, net: u8) {
    namespace.ip(&format!("link add name {name} type veth peer name peer{net}"));
    for name in [name, &format!("peer{net}")] {
        namespace.ip(&format!("link set dev {name} up"));
    }
    namespace.ip(&format!("address add 10.9.{net}.1/24 dev {name}"));
    namespace.ip(&format!("neighbour replace 10.9.{net}.2 lladdr 02:00:00:00:00:09 dev {name}"));
}

/// Sends over it; what the interface has sent by then.
fn send(namespace: &Namespace, name: &str, net: u8) -> u64 {
    namespace.within(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        for _ in 0..100 {
            socket.send_to(&[7; 1_000], format!("10.9.{net}.2:9000")).unwrap();
        }
    });
    let sent = namespace.counted(name).out_octets;
    assert!(sent >= 100_000, "{sent}");
    sent
}

#[test]
fn an_interface_that_was_lent_to_another_namespace_is_counted_once() {
    let (place, line, other) = (tempfile::tempdir().unwrap(), Line::new(Kind::Macvlan), Namespace::new());
    let mut life = Life::of(place.path(), swept(&line.bng));
    up(&mut life, SESSION, "line");
    line.exchange(V4, 50);
    life.desk.sweep();
    let before = life.total();
    line.bng.ip(&format!("link set line netns {}", other.name));
    life.desk.sweep();
    assert_eq!(life.total(), before);
    other.ip(&format!("link set line netns {}", line.bng.name));
    life.desk.sweep();
    life.desk.sweep();
    let counted = line.bng.counted("line");
    assert!(life.total() <= counted.in_octets + counted.out_octets, "{} {counted:?}", life.total());
}

#[test]
fn an_interface_that_came_while_a_commit_was_on_its_way_is_counted_once() {
    let (place, bng) = (tempfile::tempdir().unwrap(), Namespace::new());
    let mut life = Life::of(place.path(), Counting::Told);
    let opened_by_the_commit = swept(&bng);
    interface(&bng, "wan", 9);
    up(&mut life, SESSION, "wan");
    let sent = send(&bng, "wan", 9);
    life.desk.count(SESSION, told(sent)).unwrap();
    life.desk.count_by(opened_by_the_commit);
    life.desk.sweep();
    assert_eq!(life.total(), sent);
}

#[test]
fn an_update_that_was_said_and_not_followed_brings_nothing_of_another_interface() {
    let (place, bng) = (tempfile::tempdir().unwrap(), Namespace::new());
    interface(&bng, "wana", 1);
    interface(&bng, "wanb", 2);
    let sent = send(&bng, "wanb", 2);
    let mut life = Life::of(place.path(), swept(&bng));
    up(&mut life, SESSION, "wana");
    life.desk.sweep();
    // Ended before the counters were followed.
    life.desk.plane.update(SESSION, fields(json!({"nas_port_id": "wanb"})), None).unwrap();
    drop(life);
    let mut life = Life::of(place.path(), swept(&bng));
    assert_eq!(life.total(), 0);
    let sent = send(&bng, "wanb", 2) - sent;
    life.desk.sweep();
    assert_eq!(life.total(), sent);
}

#[test]
fn an_interface_that_gets_the_name_later_brings_nothing_of_its_own() {
    let (place, bng) = (tempfile::tempdir().unwrap(), Namespace::new());
    let mut life = Life::of(place.path(), swept(&bng));
    up(&mut life, SESSION, "ppp5");
    life.desk.sweep();
    interface(&bng, "wanx", 2);
    up(&mut life, "other", "wanx");
    send(&bng, "wanx", 2);
    life.desk.sweep();
    life.desk.down("other", 1, None).unwrap();
    bng.ip("link set dev wanx down");
    bng.ip("link set dev wanx name ppp5");
    life.desk.sweep();
    life.desk.sweep();
    assert_eq!(life.total(), 0);
}

#[test]
fn an_interface_that_has_a_session_is_no_other_one_s() {
    let (place, bng) = (tempfile::tempdir().unwrap(), Namespace::new());
    interface(&bng, "ppp5", 1);
    let mut life = Life::of(place.path(), swept(&bng));
    up(&mut life, SESSION, "ppp5");
    life.desk.sweep();
    let before = life.total();
    // The subscriber comes again, and nobody has said yet that the one before is over.
    bng.ip("link del dev ppp5");
    interface(&bng, "ppp5", 1);
    up(&mut life, "other", "ppp5");
    send(&bng, "ppp5", 1);
    life.desk.sweep();
    assert!(life.desk.plane.live()["other"].entry.total().octets() > 100_000);
    life.desk.down("other", 1, None).unwrap();
    life.desk.sweep();
    assert!(life.total() < before + 1_000, "{before} {}", life.total());
}

#[test]
fn an_update_that_was_not_followed_brings_nothing_of_an_interface_that_is_new() {
    let (place, bng) = (tempfile::tempdir().unwrap(), Namespace::new());
    interface(&bng, "wana", 1);
    let mut life = Life::of(place.path(), swept(&bng));
    up(&mut life, SESSION, "wana");
    life.desk.sweep();
    interface(&bng, "wanb", 2);
    up(&mut life, "other", "wanb");
    send(&bng, "wanb", 2);
    life.desk.down("other", 1, None).unwrap();
    life.desk.plane.update(SESSION, fields(json!({"nas_port_id": "wanb"})), None).unwrap();
    drop(life);
    let life = Life::of(place.path(), swept(&bng));
    assert!(life.total() < 1_000, "{}", life.total());
}

#[test]
fn an_interface_that_goes_while_a_daemon_starts_has_all_that_it_had_counted() {
    let (place, line) = (tempfile::tempdir().unwrap(), Line::new(Kind::Macvlan));
    let mut life = Life::of(place.path(), swept(&line.bng));
    up(&mut life, SESSION, "line");
    let before = line.bng.counted("line");
    line.exchange(V4, 20);
    life.desk.sweep();
    drop(life);
    let counting = swept(&line.bng);
    line.exchange(V4, 30);
    let counted = line.bng.counted("line");
    line.bng.ip("link delete line");
    let life = Life::of(place.path(), counting);
    let octets = |totals: Totals| totals.in_octets + totals.out_octets;
    assert_eq!(life.total(), octets(counted) - octets(before));
}

#[test]
fn an_interface_that_comes_again_counts_from_zero_with_a_restart_between() {
    let (place, bng, mut engine) = (tempfile::tempdir().unwrap(), Namespace::new(), Engine::default());
    interface(&bng, "ppp5", 1);
    let mut life = Life::of(place.path(), swept(&bng));
    up(&mut life, SESSION, "ppp5");
    let mut sent = send(&bng, "ppp5", 1);
    life.desk.sweep();
    engine.read(&life);
    drop(life);
    bng.ip("link del dev ppp5");
    interface(&bng, "ppp5", 1);
    sent += send(&bng, "ppp5", 1);
    let life = Life::of(place.path(), swept(&bng));
    engine.read(&life);
    // Whoever was asked for before the session came is not in its octets.
    assert!((sent - 1_000..=sent).contains(&engine.total()), "{} of {sent}", engine.total());
}
