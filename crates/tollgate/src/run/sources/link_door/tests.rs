use super::*;
use crate::run::sweep::fixture::{Namespace, wait_until};
use crate::run::sweep::links::churn::while_it_changes;

/// Gives `ip` many lines.
fn batch(namespace: &Namespace, lines: &[String]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines.concat()).unwrap();
    namespace.ip(&format!("-batch {}", file.path().display()));
}

fn address(net: usize, device: &str) -> String {
    format!("address add 10.{}.{}.1 peer 10.{0}.{1}.2/32 dev {device}\n", net / 250, net % 250)
}

fn peer(net: usize) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from([10, u8::try_from(net / 250).unwrap(), u8::try_from(net % 250).unwrap(), 2]))
}

#[test]
fn who_stays_is_known_while_other_addresses_come_and_go() {
    const MANY: usize = 4_000;
    let bng = Namespace::new();
    batch(&bng, &["first", "many", "changing", "last"].map(|name| format!("link add {name} type ifb\n")));
    batch(&bng, &[address(1, "first"), address(2, "last")]);
    batch(&bng, &(0..MANY).map(|number| address(1_000 + number, "many")).collect::<Vec<_>>());
    let of = ["first", "last", "changing"].map(|name| bng.index(name));
    let change = [address(3, "changing"), address(3, "changing").replace(" add ", " delete ")].concat();
    let mut peers = while_it_changes(&bng, &change, || {
        for _ in 0..3 {
            let peers = bng.within(|| Peers::open().unwrap());
            assert_eq!([of[0], of[1]].map(|index| peers.of(index)), [peer(1), peer(2)]);
        }
        bng.within(|| Peers::open().unwrap())
    });
    wait_until("a whole dump", || {
        peers.hear().unwrap();
        peers.due().is_none()
    });
    assert_eq!(of.map(|index| peers.of(index)), [peer(1), peer(2), None]);
}

#[test]
fn who_was_not_heard_is_asked_for() {
    let bng = Namespace::new();
    batch(&bng, &["stays", "changes", "goes", "many"].map(|name| format!("link add {name} type ifb\n")));
    let of = ["stays", "changes", "goes"].map(|name| bng.index(name));
    batch(&bng, &[address(1, "stays"), address(2, "changes"), address(3, "goes")]);
    // Room for a handful of messages.
    let mut peers = bng.within(|| Peers::with_buffer(4096).unwrap());
    peers.take();
    batch(&bng, &(0..100).map(|number| address(1_000 + number, "many")).collect::<Vec<_>>());
    let gone = [address(2, "changes"), address(3, "goes")].map(|line| line.replace(" add ", " delete "));
    batch(&bng, &[gone.concat(), address(4, "changes")]);
    peers.hear().unwrap();
    assert_eq!(peers.hearing.losses(), 1);
    assert_eq!((of.map(|index| peers.of(index)), peers.due()), ([peer(1), peer(4), None], None));
    assert_eq!(peers.take().iter().rfind(|(index, _)| *index == of[1]), Some(&(of[1], peer(4).unwrap())));
}
