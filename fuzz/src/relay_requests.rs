//! Any attributes in requests of a relay client that knows its secret, and any datagrams of one that does not: nothing panics, what
//! is forged changes nothing, every answer is to something that was asked, and every record and bill that comes of it reads back.
//!
//! Each request is three octets (kind, identifier, octets of attributes) and its attributes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use engine::relay::{Arrived, ClientPlane, Handover, Relay};
use engine::{Birth, Limits, Shard};
use model::counters::{CounterSlot, CounterSource, Counters};
use model::ids::PlaneIndex;
use model::settings::{RelayClient, Secret, Settings};
use model::time::{Mono, Now, Wall};
use wire::radius::authenticator::{Unsigned, sign_request, verify_response};
use wire::radius::{Code, Encoder, PACKET_SIZE_MAX, Packet, Type};

use crate::bills::Bills;

const SECRET: &[u8] = b"secret";
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Alone;

impl Handover for Alone {
    fn hand_over(&mut self, _: u16, _: &[u8], _: &[u8]) -> bool {
        unreachable!("there is one shard")
    }
}

struct NoCounters;

impl CounterSource for NoCounters {
    fn read(&self, _: PlaneIndex, _: CounterSlot) -> Option<Counters> {
        None
    }
}

fn now(seconds: u64) -> Now {
    Now {
        mono: Mono::from_nanos((1000 + seconds) * 1_000_000_000),
        wall: Wall::from_millis(1_795_000_000_000 + seconds * 1000),
    }
}

fn request(kind: u8, identifier: u8, attributes: &[u8]) -> Option<Vec<u8>> {
    let mut room = [0; PACKET_SIZE_MAX];
    let mut encoder = Encoder::packet(&mut room, Code::ACCOUNTING_REQUEST, identifier);
    let status = [1, 2, 3, 7, 8].get(usize::from(kind) % 6).copied();
    if let Some(status) = status {
        encoder.u32(Type::ACCT_STATUS_TYPE, status);
    }
    encoder.raw(attributes);
    let packet = encoder.finish().ok()?;
    sign_request(&mut Unsigned { packet, secret: SECRET, message_authenticator: false });
    Some(packet.to_vec())
}

/// Runs it on one input.
pub fn check(input: &[u8]) {
    let birth = Birth {
        epoch: 1,
        key: [7; 16],
        started: now(0).wall,
        shard: 0,
        shard_count: 1,
        session_hash: |name| name.len() as u64,
    };
    let mut shard = Shard::new(birth, Limits { sessions: 8, requests: 16 }, now(0).mono);
    shard.configure(&Settings::default());
    let mut relay = Relay::new([9; 16], 0, 1, birth.session_hash);
    let settings = RelayClient::new(Secret::new(SECRET.to_vec(), String::new()));
    relay.configure(now(0), &mut shard, &[ClientPlane { address: CLIENT, plane: PlaneIndex(0), settings }]);

    let mut bills = Bills::new();
    let (mut rest, mut asked, mut seconds) = (input, Vec::<Vec<u8>>::new(), 0);
    while let [kind, identifier, length, tail @ ..] = rest {
        let (attributes, behind) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = behind;
        seconds += 7;
        let Some(mut octets) = request(*kind, *identifier, attributes) else { continue };
        let is_forged = kind & 0x80 != 0;
        if is_forged {
            octets[4] ^= 1;
        }
        let from = SocketAddr::new(CLIENT, 1024 + u16::from(kind & 1));
        let arrived = [
            Arrived { from, octets: &octets, truncated: false },
            // The same attributes as a datagram of their own.
            Arrived { from, octets: attributes, truncated: false },
        ];
        let before = shard.report().sessions;
        let old: Vec<u64> = octets_of(&shard, now(seconds));
        relay.handle_datagrams(now(seconds), &mut shard, &arrived, &mut Alone);
        if is_forged {
            assert_eq!((shard.report().sessions, octets_of(&shard, now(seconds))), (before, old));
        } else {
            asked.push(octets);
        }
        shard.handle_timeout(now(seconds), &NoCounters);
        while relay.poll_timeout().is_some_and(|at| at <= now(seconds).mono) {
            relay.handle_timeout(now(seconds), &mut shard);
        }
        while let Some(record) = shard.poll_record() {
            bills.take(&record);
        }
        assert!(shard.has_told_all());
        relay.mark(shard.record_count());
        shard.handle_durable(now(seconds), shard.record_count());
        relay.handle_durable(shard.record_count(), &mut Alone);
        while let Some((to, answer)) = relay.poll_answer(shard.record_count()) {
            assert_eq!(to.ip(), CLIENT);
            let answer = Packet::parse(answer).expect("our own packets are well-formed");
            let is_of = |asked: &Vec<u8>| {
                // Attributes that are none make a packet that is none.
                let Ok(asked) = Packet::parse(asked) else { return false };
                verify_response(&answer, asked.authenticator(), SECRET) == Ok(())
            };
            assert!(asked.iter().any(is_of), "nobody asked for that");
        }
        while shard.poll_verdict().is_some() {}
    }
    bills.finish();
}

fn octets_of(shard: &Shard, now: Now) -> Vec<u64> {
    shard.access_users(now, &NoCounters, 8).iter().map(|user| user.counters.v4.in_octets).collect()
}
