//! The relay before a shard that has no room: what it cannot take it does not answer, and takes when there is room again.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use engine::relay::{Arrived, ClientPlane, Handover, Relay};
use model::ids::PlaneIndex;
use model::report::RelayCounts;
use model::settings::{RelayClient, Secret};
use wire::radius::attribute::{Attribute, Type};
use wire::radius::authenticator::{Unsigned, sign_request};
use wire::radius::{Code, Encoder, Packet};

use crate::stage::{SECRET, Setup, Stage, at, name_hash};

const GREEDY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

/// There is one shard.
struct Nobody;

impl Handover for Nobody {
    fn hand_over(&mut self, shard: u16, _: &[u8], _: &[u8]) -> bool {
        panic!("shard {shard} is not there")
    }
}

/// An Accounting-Request of this Acct-Status-Type.
fn request(identifier: u8, status: u8, session: &str) -> Vec<u8> {
    let mut room = [0; 200];
    let mut encoder = Encoder::packet(&mut room, Code::ACCOUNTING_REQUEST, identifier);
    let said: [(Type, &[u8]); 3] = [
        (Type::ACCT_STATUS_TYPE, &[0, 0, 0, status]),
        (Type::ACCT_SESSION_ID, session.as_bytes()),
        (Type::USER_NAME, b"alice@isp"),
    ];
    for (kind, value) in said {
        encoder.attribute(Attribute { kind, value });
    }
    let packet = encoder.finish().unwrap();
    sign_request(&mut Unsigned { packet, secret: SECRET, message_authenticator: false });
    packet.to_vec()
}

struct Scene {
    stage: Stage,
    relay: Relay,
}

impl Scene {
    /// With so many slots.
    fn new(sessions: usize) -> Scene {
        let mut stage = Stage::new(1, at(1_000_000), Setup { sessions, ..Setup::default() });
        let mut relay = Relay::new([7; 16], 0, 1, name_hash);
        let settings = RelayClient::new(Secret::new(SECRET.to_vec(), String::new()));
        let clients = [GREEDY, OTHER].into_iter().zip([1, 2].map(PlaneIndex));
        let clients = clients.map(|(address, plane)| ClientPlane { address, plane, settings: settings.clone() });
        relay.configure(stage.now, &mut stage.shard, &clients.collect::<Vec<_>>());
        Scene { stage, relay }
    }

    /// Whether the request is answered when the disk and the server had their time.
    fn is_answered(&mut self, from: IpAddr, octets: &[u8]) -> bool {
        let from = SocketAddr::new(from, 2000);
        let arrived = Arrived { from, octets, truncated: false };
        self.relay.handle_datagrams(self.stage.now, &mut self.stage.shard, &[arrived], &mut Nobody);
        self.stage.run(Duration::from_millis(20), true);
        self.relay.mark(self.stage.shard.record_count());
        let answer = self.relay.poll_answer(self.stage.durable);
        answer.is_some_and(|(to, answer)| {
            let answer = Packet::parse(answer).unwrap();
            assert_eq!((to, answer.code(), answer.identifier()), (from, Code::ACCOUNTING_RESPONSE, octets[1]));
            true
        })
    }

    fn counts(&self, client: usize) -> RelayCounts {
        self.relay.report_counts(&self.stage.shard).clients[client].counts
    }
}

#[test]
fn a_client_that_has_used_up_the_slots_costs_others_no_request() {
    let mut scene = Scene::new(4);
    let taken = (0..9).filter(|&number| scene.is_answered(GREEDY, &request(number, 1, &format!("g{number}"))));
    assert_eq!(taken.count(), 4);
    let start = request(1, 1, "o1");
    assert!(!scene.is_answered(OTHER, &start), "so its NAS keeps it");
    assert!(scene.is_answered(GREEDY, &request(20, 3, "g0")), "who is online goes on");
    // The very same octets are no duplicate of what was not taken.
    assert!(scene.is_answered(GREEDY, &request(21, 2, "g0")));
    assert!(scene.is_answered(OTHER, &start));
    let counts = [0, 1].map(|client| scene.counts(client)).map(|counts| (counts.sessions, counts.no_room));
    assert_eq!(counts, [(3, 5), (1, 1)]);
}
