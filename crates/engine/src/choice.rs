//! Which server of a group a transaction asks (BEHAVIOUR.md 5.3).
//!
//! A transaction remembers the servers that have had it, by their number in the shard: a configuration that changes the
//! group meanwhile takes nothing from it. Choosing is a walk over at most 16 members, for each transaction and each
//! server that it goes on to; a draw is a keyed hash, so that nothing is kept between two of them.

use std::net::IpAddr;

use model::settings::Algorithm;
use model::time::Mono;

use crate::group::Member;
use crate::server::{Server, Standing};

/// Whom a group would ask now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The member at this position, which has room.
    Member(usize),
    /// There is one, but it has no room now.
    Wait,
    /// There is none left to ask.
    Exhausted,
}

/// The servers that a transaction has asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tried {
    servers: [u16; Tried::MAX],
    count: u8,
}

impl Tried {
    /// As many as a group has. Only a transaction whose group is changed under it again and again asks more servers, and
    /// it has failed then.
    const MAX: usize = model::settings::RadiusGroup::SERVER_COUNT_MAX;

    /// One more has had it.
    pub(crate) fn add(&mut self, server: u16) {
        if let Some(free) = self.servers.get_mut(usize::from(self.count)) {
            *free = server;
            self.count += 1;
        }
    }

    /// It may have it once more.
    pub(crate) fn remove(&mut self, server: u16) {
        if let Some(place) = self.servers[..usize::from(self.count)].iter().position(|other| *other == server) {
            self.servers.copy_within(place + 1..usize::from(self.count), place);
            self.count -= 1;
        }
    }

    /// How many.
    pub(crate) fn count(&self) -> u8 {
        self.count
    }

    /// Whether this one has.
    pub(crate) fn has(&self, server: u16) -> bool {
        self.servers[..usize::from(self.count)].contains(&server)
    }

    fn is_full(&self) -> bool {
        usize::from(self.count) == Tried::MAX
    }
}

/// The server with this address, when a group has it, it is Up and it has not been asked: `None` otherwise. One server may have
/// several ports: it is waited for when none of them is free.
pub(crate) fn prefer(
    members: &[Member],
    servers: &[Server],
    tried: &Tried,
    address: IpAddr,
    now: Mono,
) -> Option<Choice> {
    let is_it =
        |member: &Member| servers[usize::from(member.server)].path.address.ip() == address && !tried.has(member.server);
    let members = members.iter().enumerate().filter(|(_, member)| !tried.is_full() && is_it(member));
    let mut preferred = None;
    for (position, member) in members {
        match servers[usize::from(member.server)].standing(now) {
            Standing::Free => return Some(Choice::Member(position)),
            Standing::Full => preferred = Some(Choice::Wait),
            Standing::OnTrial | Standing::Down => {}
        }
    }
    preferred
}

/// Chooses. `draw` gives a number below the one that it is given, always the same for the same transaction. `walks`: it goes on
/// from one to the next even while all are Down (owner's decision 9).
pub(crate) fn choose(
    (algorithm, walks): (Algorithm, bool),
    members: &[Member],
    servers: &[Server],
    tried: &Tried,
    now: Mono,
    draw: impl Fn(u64) -> u64,
) -> Choice {
    if tried.is_full() {
        return Choice::Exhausted;
    }
    let standing = |member: &Member| servers[usize::from(member.server)].standing(now);
    let untried = |member: &Member| !tried.has(member.server);
    let up = |member: &Member| untried(member) && matches!(standing(member), Standing::Free | Standing::Full);
    let free = |member: &Member| standing(member) == Standing::Free;
    match pick(algorithm, members, up, free, &draw) {
        Pick::None => {}
        found => return found.choice(),
    }
    // One that is on trial is waited for.
    if members.iter().any(|member| untried(member) && standing(member) == Standing::OnTrial) {
        return Choice::Wait;
    }
    // All are Down. A transaction that has asked nobody probes one, with a window of one (owner's decision 5). One without source
    // ports, or without a connection, cannot be asked.
    let reached = |member: &Member| untried(member) && servers[usize::from(member.server)].is_reached();
    if members.is_empty() || tried.count > 0 && !(walks && members.iter().any(reached)) {
        return Choice::Exhausted;
    }
    let idle = |member: &Member| servers[usize::from(member.server)].in_flight == 0;
    pick(algorithm, members, reached, idle, &draw).choice()
}

/// Where a pick among some members has led.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pick {
    Member(usize),
    /// It may be asked, and is not free.
    Busy,
    /// None may be asked.
    None,
}

impl Pick {
    fn choice(self) -> Choice {
        match self {
            Pick::Member(position) => Choice::Member(position),
            Pick::Busy | Pick::None => Choice::Wait,
        }
    }
}

fn pick(
    algorithm: Algorithm,
    members: &[Member],
    may: impl Fn(&Member) -> bool,
    free: impl Fn(&Member) -> bool,
    draw: impl Fn(u64) -> u64,
) -> Pick {
    match algorithm {
        Algorithm::MasterBackup => match members.iter().position(may) {
            Some(first) if free(&members[first]) => Pick::Member(first),
            Some(_) => Pick::Busy,
            None => Pick::None,
        },
        Algorithm::LoadingShare => by_weight(members, may, free, draw),
    }
}

/// One of those that may be asked and are free, by weight; all alike when none that may be asked has any. A full server's
/// share goes to the others, so that one that is slow holds nobody up.
fn by_weight(
    members: &[Member],
    may: impl Fn(&Member) -> bool,
    free: impl Fn(&Member) -> bool,
    draw: impl Fn(u64) -> u64,
) -> Pick {
    let asked = members.iter().filter(|member| may(member));
    let (count, weights) = asked.fold((0, 0), |(count, sum), member| (count + 1, sum + u64::from(member.weight)));
    if count == 0 {
        return Pick::None;
    }
    let share = |member: &Member| match weights {
        _ if !may(member) || !free(member) => 0,
        0 => 1,
        _ => u64::from(member.weight),
    };
    let total = members.iter().map(share).sum();
    if total == 0 {
        return Pick::Busy;
    }
    let point = draw(total);
    let mut passed = 0;
    let drawn = members.iter().position(|member| {
        passed += share(member);
        point < passed
    });
    drawn.map_or(Pick::Busy, Pick::Member)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};
    use std::sync::Arc;

    use model::settings::{RadiusHealth, Secret};
    use model::time::Mono;

    use super::*;
    use crate::health::Rules;
    use crate::identity::Key;
    use crate::server::PortId;

    /// How a server of the test stands.
    #[derive(Clone, Copy, PartialEq)]
    enum Is {
        Up,
        Full,
        Trial,
        Tried,
        Down,
        Probed,
        Unbound,
    }
    use Is::{Down, Full, Probed, Trial, Tried as Done, Unbound, Up};

    const LATER: Mono = Mono::from_nanos(1_000_000_000_000);

    type Line = (&'static [(u8, Is)], &'static [usize]);

    fn server(is: Is) -> Server {
        let mut server =
            Server::new(SocketAddr::from(([192, 0, 2, 1], 1813)).into(), Rules::from(&RadiusHealth::default()));
        server.source = (is != Unbound).then_some(IpAddr::from([192, 0, 2, 2]));
        server.add_port(PortId(0));
        if matches!(is, Down | Probed | Trial) {
            for second in 0..10 {
                let now = Mono::from_nanos(second * 1_000_000_000);
                server.unanswered(now, now);
            }
        }
        server.in_flight = match is {
            Full => u32::MAX,
            Probed | Trial => 1,
            Up | Done | Down | Unbound => 0,
        };
        if is == Trial {
            server.handle_timeout(LATER);
        }
        server
    }

    fn group(members: &[(u8, Is)]) -> (Vec<Member>, Vec<Server>, Tried) {
        let mut tried = Tried::default();
        let mut group = Vec::new();
        for (number, &(weight, is)) in (0..).zip(members) {
            let secret = Arc::new(Secret::new(Vec::new(), String::new()));
            group.push(Member { server: number, secret, message_authenticator: false, weight });
            if is == Done {
                tried.add(number);
            }
        }
        (group, members.iter().map(|&(_, is)| server(is)).collect(), tried)
    }

    fn choice(algorithm: Algorithm, members: &[(u8, Is)]) -> Choice {
        let (group, servers, tried) = group(members);
        choose((algorithm, false), &group, &servers, &tried, LATER, |_| 0)
    }

    #[test]
    fn master_backup_asks_the_first_that_is_up() {
        let table: [(&[Is], Choice); 17] = [
            (&[Up, Up], Choice::Member(0)),
            (&[Down, Up], Choice::Member(1)),
            (&[Unbound, Up], Choice::Member(1)),
            (&[Done, Up], Choice::Member(1)),
            (&[Full, Up], Choice::Wait),
            // One on trial has its one request; the others pass it.
            (&[Trial, Up], Choice::Member(1)),
            (&[Trial, Full], Choice::Wait),
            (&[Trial, Down], Choice::Wait),
            (&[Done, Trial], Choice::Wait),
            // None is Up: the first is probed, by those that have asked nobody.
            (&[Down, Down], Choice::Member(0)),
            (&[Probed, Down], Choice::Wait),
            (&[Unbound, Down], Choice::Member(1)),
            (&[Unbound, Unbound], Choice::Wait),
            (&[Done, Down], Choice::Exhausted),
            (&[Done, Done], Choice::Exhausted),
            (&[Done], Choice::Exhausted),
            (&[], Choice::Exhausted),
        ];
        for (number, (members, expected)) in table.into_iter().enumerate() {
            let members: Vec<_> = members.iter().map(|&is| (0, is)).collect();
            assert_eq!(choice(Algorithm::MasterBackup, &members), expected, "line {number}");
        }
    }

    #[test]
    fn who_is_preferred_goes_before_the_order_while_it_is_up() {
        let table: [(&[Is], Option<Choice>); 6] = [
            (&[Up, Up], Some(Choice::Member(1))),
            (&[Up, Full], Some(Choice::Wait)),
            (&[Up, Trial], None),
            (&[Up, Down], None),
            (&[Up, Done], None),
            (&[Up], None),
        ];
        for (number, (members, expected)) in table.into_iter().enumerate() {
            let members: Vec<_> = members.iter().map(|&is| (0, is)).collect();
            let (group, mut servers, tried) = group(&members);
            let address = IpAddr::from([192, 0, 2, 77]);
            if let Some(second) = servers.get_mut(1) {
                second.path.address.set_ip(address);
            }
            assert_eq!(prefer(&group, &servers, &tried, address, LATER), expected, "line {number}");
        }
    }

    /// It has the second port and the third.
    #[test]
    fn who_is_preferred_is_waited_for_when_none_of_its_ports_is_free() {
        let table: [(&[Is; 3], Option<Choice>); 5] = [
            (&[Up, Up, Up], Some(Choice::Member(1))),
            (&[Up, Full, Up], Some(Choice::Member(2))),
            (&[Up, Full, Full], Some(Choice::Wait)),
            (&[Up, Full, Down], Some(Choice::Wait)),
            (&[Up, Down, Up], Some(Choice::Member(2))),
        ];
        for (number, (members, expected)) in table.into_iter().enumerate() {
            let (group, mut servers, tried) = group(&members.map(|is| (0, is)));
            let address = IpAddr::from([192, 0, 2, 77]);
            servers[1..].iter_mut().for_each(|server| server.path.address.set_ip(address));
            assert_eq!(prefer(&group, &servers, &tried, address, LATER), expected, "line {number}");
        }
    }

    #[test]
    fn loading_share_asks_those_that_have_a_share() {
        // (weight and standing of each member, who may be drawn)
        let table: [Line; 13] = [
            (&[(1, Up), (1, Up)], &[0, 1]),
            (&[(0, Up), (0, Up), (0, Up)], &[0, 1, 2]),
            // A weight of 0 beside others gets none, until the others have had their turn or are Down.
            (&[(0, Up), (5, Up)], &[1]),
            (&[(0, Up), (5, Done)], &[0]),
            (&[(0, Up), (5, Down)], &[0]),
            (&[(0, Up), (5, Full)], &[]),
            // What is full leaves its share to the others.
            (&[(9, Full), (1, Up)], &[1]),
            (&[(9, Trial), (1, Up)], &[1]),
            (&[(9, Full), (1, Full)], &[]),
            // None is Up: one by weight among all.
            (&[(3, Down), (0, Down), (1, Down)], &[0, 2]),
            (&[(0, Down), (0, Down)], &[0, 1]),
            (&[(3, Probed), (1, Down)], &[1]),
            (&[(3, Unbound), (1, Probed)], &[]),
        ];
        for (number, (members, expected)) in table.into_iter().enumerate() {
            let (group, servers, tried) = group(members);
            let mut asked = [false; 3];
            for point in 0..20 {
                let draw = |range| point * range / 20;
                match choose((Algorithm::LoadingShare, false), &group, &servers, &tried, LATER, draw) {
                    Choice::Member(position) => asked[position] = true,
                    other => assert!(other == Choice::Wait && expected.is_empty(), "line {number}: {other:?}"),
                }
            }
            let asked: Vec<usize> = (0..3).filter(|&position| asked[position]).collect();
            assert_eq!(asked, expected, "line {number}");
        }
        assert_eq!(choice(Algorithm::LoadingShare, &[(1, Done), (2, Done)]), Choice::Exhausted);
        assert_eq!(choice(Algorithm::LoadingShare, &[(1, Done), (2, Down)]), Choice::Exhausted);
        assert_eq!(choice(Algorithm::LoadingShare, &[]), Choice::Exhausted);
    }

    #[test]
    fn shares_are_as_the_weights_over_many_transactions() {
        let weights = [1_u8, 2, 3, 0, 10];
        let (group, servers, tried) = group(&weights.map(|weight| (weight, Up)));
        let key = Key::new([7; 16]);
        let mut counts = [0_u32; 5];
        for number in 0..160_000 {
            let draw = |range| key.draw(1, 0, number, 0, range);
            let Choice::Member(position) =
                choose((Algorithm::LoadingShare, false), &group, &servers, &tried, LATER, draw)
            else {
                panic!("one is free");
            };
            counts[position] += 1;
        }
        let expected = weights.map(|weight| f64::from(weight) * 10_000.0);
        let terms = counts.iter().zip(expected).filter(|(_, expected)| *expected > 0.0);
        let chi_square: f64 = terms.map(|(&count, expected)| (f64::from(count) - expected).powi(2) / expected).sum();
        println!("{counts:?} of {expected:?}: chi-square {chi_square:.2} at 3 degrees of freedom");
        assert_eq!(counts[3], 0, "no weight, no share");
        // Exceeded by chance once in two thousand.
        assert!(chi_square < 17.73, "{counts:?}: {chi_square}");
    }

    #[test]
    fn a_transaction_ends_when_it_has_asked_as_many_as_a_group_can_have() {
        let (group, servers, _) = group(&[(0, Up)]);
        let mut tried = Tried::default();
        for number in 100..116 {
            assert_eq!(
                choose((Algorithm::MasterBackup, false), &group, &servers, &tried, LATER, |_| 0),
                Choice::Member(0)
            );
            tried.add(number);
        }
        assert_eq!(choose((Algorithm::MasterBackup, false), &group, &servers, &tried, LATER, |_| 0), Choice::Exhausted);
    }
}
