//! Transfers over a link that loses, doubles and delays datagrams, against a model of a server that keeps to RFC 1350 and
//! RFC 1123. Whatever the link does, a put that ends well has stored the very octets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use model::time::Mono;
use proptest::prelude::*;

use super::super::packet::{self, Packet};
use super::super::{Failure, Outcome, Transfer, Tuning};

const REQUESTED: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 69);
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 2_000);
const SERVER_PATIENCE: Duration = Duration::from_millis(700);

/// How the model takes options.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Grants,
    Ignores,
    Refuses,
}

/// A server with one file, stop and wait.
struct Server {
    manner: Manner,
    file: Vec<u8>,
    block_size: usize,
    block: u64,
    is_reading: bool,
    is_begun: bool,
    /// What it sent last, and when it sends that again.
    last: Vec<u8>,
    again_at: Option<Mono>,
}

impl Server {
    fn new(manner: Manner, file: &[u8]) -> Server {
        Server {
            manner,
            file: file.to_vec(),
            block_size: 512,
            block: 0,
            is_reading: false,
            is_begun: false,
            last: Vec::new(),
            again_at: None,
        }
    }

    fn handle(&mut self, now: Mono, octets: &[u8]) -> Option<Vec<u8>> {
        match octets[1] {
            1 | 2 => self.request(now, octets),
            _ => match Packet::parse(octets).unwrap() {
                Packet::Data { block, octets } if !self.is_reading => self.store(block, octets),
                Packet::Ack { block } if self.is_reading && u64::from(block) == self.block % 65_536 => self.next(now),
                Packet::Error(_) => {
                    self.again_at = None;
                    None
                }
                Packet::Data { .. } | Packet::Ack { .. } | Packet::OptionAck(_) => None,
            },
        }
    }

    fn request(&mut self, now: Mono, octets: &[u8]) -> Option<Vec<u8>> {
        let words: Vec<&[u8]> = octets[2..].split(|octet| *octet == 0).collect();
        let size = words.iter().position(|word| *word == b"blksize").map(|at| words[at + 1].to_vec());
        if matches!(self.manner, Manner::Refuses) && size.is_some() {
            return Some(vec![0, 5, 0, 8, 0]);
        }
        // A second copy of the request would begin a second transfer, on another port, that the client refuses.
        if self.is_begun {
            return None;
        }
        self.is_begun = true;
        self.is_reading = octets[1] == 1;
        if !self.is_reading {
            self.file.clear();
        }
        match (size, self.manner) {
            (Some(size), Manner::Grants) => {
                self.block_size = std::str::from_utf8(&size).unwrap().parse().unwrap();
                self.last = [&[0, 6][..], b"blksize\0", &size, b"\0"].concat();
                self.again_at = Some(now.plus(SERVER_PATIENCE));
            }
            _ if self.is_reading => return self.next(now),
            _ => {
                self.last = vec![0, 4, 0, 0];
                self.again_at = Some(now.plus(SERVER_PATIENCE));
            }
        }
        Some(self.last.clone())
    }

    fn store(&mut self, block: u16, octets: &[u8]) -> Option<Vec<u8>> {
        if u64::from(block) == (self.block + 1) % 65_536 {
            self.file.extend_from_slice(octets);
            self.block += 1;
            self.again_at = None;
        }
        let mut ack = Vec::new();
        packet::write_ack(&mut ack, u16::try_from(self.block % 65_536).unwrap());
        self.last.clone_from(&ack);
        Some(ack)
    }

    fn next(&mut self, now: Mono) -> Option<Vec<u8>> {
        self.again_at = None;
        let begin = usize::try_from(self.block).unwrap() * self.block_size;
        if begin > self.file.len() {
            return None;
        }
        self.block += 1;
        let end = (begin + self.block_size).min(self.file.len());
        self.last.clear();
        packet::write_data(&mut self.last, u16::try_from(self.block % 65_536).unwrap(), &self.file[begin..end]);
        self.again_at = Some(now.plus(SERVER_PATIENCE));
        Some(self.last.clone())
    }
}

/// Datagrams under way, by the moment of their arrival. Each fate is used once; a link without fates is a good one.
struct Link {
    fates: std::vec::IntoIter<u8>,
    arrivals: BTreeMap<(Mono, u64), (bool, Vec<u8>)>,
    sent: u64,
}

impl Link {
    fn send(&mut self, now: Mono, to_server: bool, octets: &[u8]) {
        let fate = self.fates.next().unwrap_or(u8::MAX);
        // Two delays of up to 1.6 s: longer than a timeout, so datagrams overtake each other.
        let late = Duration::from_millis(u64::from(fate) * 20);
        let delays: &[Duration] = match fate {
            0..=39 => &[],
            40..=79 => &[Duration::from_millis(1), late],
            80..=119 => &[late],
            _ => &[Duration::from_millis(1)],
        };
        for delay in delays {
            self.sent += 1;
            self.arrivals.insert((now.plus(*delay), self.sent), (to_server, octets.to_vec()));
        }
    }
}

/// Runs to the end, and says how it ended.
fn run(transfer: &mut Transfer<'_>, server: &mut Server, fates: Vec<u8>) -> Result<Outcome, Failure> {
    let mut link = Link { fates: fates.into_iter(), arrivals: BTreeMap::new(), sent: 0 };
    let mut now = Mono::ZERO;
    loop {
        let mut out = Vec::new();
        while let Some(to) = transfer.poll_transmit(now, &mut out) {
            assert!(to == PEER || (to == REQUESTED && out[1] <= 2), "{to} {out:?}");
            link.send(now, true, &out);
            out.clear();
        }
        if let Some(outcome) = transfer.outcome() {
            return outcome;
        }
        let arrival = link.arrivals.first_key_value().map(|((at, _), _)| *at);
        now = [transfer.poll_timeout(), server.again_at, arrival].into_iter().flatten().min().unwrap();
        transfer.handle_timeout(now);
        if server.again_at.is_some_and(|at| at <= now) {
            server.again_at = Some(now.plus(SERVER_PATIENCE));
            link.send(now, false, &server.last.clone());
        }
        while let Some(first) = link.arrivals.first_entry().filter(|first| first.key().0 <= now) {
            let (to_server, octets) = first.remove();
            if !to_server {
                transfer.handle_datagram(PEER, &octets);
            } else if let Some(answer) = server.handle(now, &octets) {
                link.send(now, false, &answer);
            }
        }
    }
}

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![Just(Manner::Grants), Just(Manner::Ignores), Just(Manner::Refuses)]
}

fn tuning() -> Tuning {
    Tuning { block_size: 16, timeout_s: 1, patience: Duration::from_millis(500), transmissions: 40 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_put_stores_the_very_octets(
        octets in proptest::collection::vec(any::<u8>(), 0..1200),
        fates in proptest::collection::vec(any::<u8>(), 0..200),
        manner in manner(),
    ) {
        let mut server = Server::new(manner, b"older");
        let mut transfer = Transfer::put(REQUESTED, "f", &octets, tuning()).unwrap();
        prop_assert_eq!(run(&mut transfer, &mut server, fates), Ok(Outcome::Stored));
        prop_assert!(server.file == octets);
    }

    #[test]
    fn a_comparison_tells_what_is_stored(
        octets in proptest::collection::vec(any::<u8>(), 0..1200),
        cut in 0usize..1200,
        change in proptest::option::of(0usize..1200),
        fates in proptest::collection::vec(any::<u8>(), 0..200),
        manner in manner(),
    ) {
        let mut stored = octets[..cut.min(octets.len())].to_vec();
        if let Some(octet) = change.and_then(|at| stored.get_mut(at)) {
            *octet ^= 1;
        }
        let expected = if stored == octets {
            Outcome::Same
        } else if octets.starts_with(&stored) {
            Outcome::Shorter { octets: stored.len() }
        } else {
            Outcome::Different
        };
        let mut server = Server::new(manner, &stored);
        let mut transfer = Transfer::compare(REQUESTED, "f", &octets, tuning()).unwrap();
        prop_assert_eq!(run(&mut transfer, &mut server, fates), Ok(expected));
    }

    #[test]
    fn a_hopeless_link_ends_in_a_timeout(losses in 0usize..60, manner in manner()) {
        let octets = [7; 400];
        let mut server = Server::new(manner, b"");
        let few = Tuning { transmissions: 3, ..tuning() };
        let mut transfer = Transfer::put(REQUESTED, "f", &octets, few).unwrap();
        let mut fates = vec![u8::MAX; losses];
        fates.extend(vec![0; 1000]);
        let outcome = run(&mut transfer, &mut server, fates);
        prop_assert!(octets.starts_with(&server.file));
        prop_assert!(outcome == Err(Failure::TimedOut) || (outcome == Ok(Outcome::Stored) && server.file == octets));
    }

    #[test]
    fn no_datagram_makes_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..64), operation in 0u8..8) {
        let mut transfer = Transfer::compare(REQUESTED, "f", &[1; 40], tuning()).unwrap();
        let mut out = Vec::new();
        for datagram in [octets.clone(), [&[0, operation][..], &octets].concat(), vec![0, 6], octets] {
            transfer.handle_datagram(PEER, &datagram);
            while transfer.poll_transmit(Mono::ZERO, &mut out).is_some() {}
        }
    }
}
