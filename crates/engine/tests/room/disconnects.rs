//! Disconnect-Requests to many clients at once: whatever is asked, answered and configured in between, each leaves when it is due,
//! and nobody is woken before.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use engine::relay::{Arrived, ClientPlane, Relay};
use engine::{Report, Reported};
use model::ids::PlaneIndex;
use model::settings::{RelayClient, Secret};
use model::time::Mono;
use model::verdict::{Reason, Sentence};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert_eq, prop_oneof, proptest};
use wire::radius::attribute::Type;
use wire::radius::authorization::answer;
use wire::radius::{Encoder, Packet};

use crate::stage::{SECRET, Setup, Stage, at, name_hash};

const CLIENTS: u8 = 5;
/// Sessions of each.
const SESSIONS: u8 = 3;
const PORT: u16 = 3799;
/// Times that a request is sent, and how long the first waits for its answer.
const TRANSMISSIONS: u32 = 5;
const TIMEOUT: Duration = Duration::from_secs(2);

fn plane(client: u8) -> PlaneIndex {
    PlaneIndex(u16::from(client) + 1)
}

fn address(client: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, client).into()
}

/// A session by its client and number: `c2s1`.
type Who = (u8, u8);

fn name((client, session): Who) -> String {
    format!("c{client}s{session}")
}

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    /// A session is to be logged out.
    Ask(Who),
    /// So many milliseconds pass.
    Pass(u64),
    /// As many as until something is to be done.
    Wait,
    /// Everything that is due leaves.
    Transmit,
    /// What has been sent in vain for the last time is given up.
    GiveUp,
    /// The client answers what it was last asked about the session, if that is out.
    Answer(Who),
    /// These are the clients now, in this order; others of them take no requests.
    Configure(Vec<u8>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = || (0..CLIENTS, 0..SESSIONS);
    let order = Just((0..CLIENTS).collect::<Vec<u8>>()).prop_shuffle();
    let clients = (order, 0..=usize::from(CLIENTS)).prop_map(|(mut order, count)| {
        order.truncate(count);
        order
    });
    let step = prop_oneof![
        4 => who().prop_map(Step::Ask),
        3 => (1..9_000_u64).prop_map(Step::Pass),
        6 => Just(Step::Wait),
        8 => Just(Step::Transmit),
        4 => Just(Step::GiveUp),
        1 => who().prop_map(Step::Answer),
        1 => clients.prop_map(Step::Configure),
    ];
    vec(step, 0..120)
}

/// What is known of a request: how often it has left, when something is to be done about it, and what left last.
#[derive(Clone, Debug)]
struct Out {
    transmissions: u32,
    due: Mono,
    octets: Vec<u8>,
}

struct Scene {
    stage: Stage,
    relay: Relay,
    expected: BTreeMap<Who, Out>,
    /// Clients that take requests.
    asked: Vec<u8>,
}

impl Scene {
    fn new() -> Scene {
        let stage = Stage::new(1, at(1_000_000), Setup::default());
        let relay = Relay::new([7; 16], 0, 1, name_hash);
        let mut scene = Scene { stage, relay, expected: BTreeMap::new(), asked: Vec::new() };
        scene.configure((0..CLIENTS).collect());
        for who in (0..CLIENTS).flat_map(|client| (0..SESSIONS).map(move |session| (client, session))) {
            scene.begin(who);
        }
        scene
    }

    fn configure(&mut self, asked: Vec<u8>) {
        let silent = (0..CLIENTS).filter(|client| !asked.contains(client));
        let clients = asked.iter().copied().chain(silent).map(|client| {
            let disconnect_port = asked.contains(&client).then_some(PORT);
            let settings =
                RelayClient { disconnect_port, ..RelayClient::new(Secret::new(SECRET.to_vec(), String::new())) };
            ClientPlane { address: address(client), plane: plane(client), settings }
        });
        self.relay.configure(self.stage.now, &mut self.stage.shard, &clients.collect::<Vec<_>>());
        self.expected.retain(|(client, _), _| asked.contains(client));
        self.asked = asked;
    }

    fn begin(&mut self, who: Who) {
        let (name, mut room) = (name(who), [0; 200]);
        let mut run = Encoder::run(&mut room);
        run.bytes(Type::ACCT_SESSION_ID, name.as_bytes());
        let report = Report {
            session: name.as_bytes(),
            what: Reported::Start,
            at: self.stage.now,
            stamp: None,
            session_time_s: None,
            usage: wire::radius::accounting::Usage::default(),
            user: name.as_bytes(),
            domain: Some(b"isp"),
            attributes: run.finish().unwrap(),
        };
        assert!(self.stage.shard.handle_report(self.stage.now, plane(who.0), &report).is_ok());
    }

    fn ask(&mut self, who: Who) {
        let sentence = (Sentence::Cut, Reason::CutByOperator);
        let (now, shard) = (self.stage.now, &mut self.stage.shard);
        self.relay.handle_verdict(now, shard, plane(who.0), name(who).as_bytes(), sentence);
        if self.asked.contains(&who.0) {
            self.expected.entry(who).or_insert(Out { transmissions: 0, due: Mono::ZERO, octets: Vec::new() });
        }
    }

    fn wait(&mut self) {
        if let Some(at) = self.relay.poll_timeout() {
            self.stage.pass(at.since(self.stage.now.mono));
        }
    }

    /// Who was asked, in any order.
    fn transmit(&mut self) -> Vec<Who> {
        let mut left = Vec::new();
        while let Some((to, octets)) = self.relay.poll_disconnect(self.stage.now) {
            let said = Packet::parse(octets).unwrap().find(Type::ACCT_SESSION_ID).unwrap();
            let who = *self.expected.keys().find(|&&who| name(who).as_bytes() == said).expect("it was asked for");
            assert_eq!(to, SocketAddr::new(address(who.0), PORT));
            self.expected.get_mut(&who).unwrap().octets = octets.to_vec();
            left.push(who);
        }
        left.sort_unstable();
        left
    }

    /// Who is to be asked now, in the order of their names; they are, from here on.
    fn due(&mut self) -> Vec<Who> {
        let now = self.stage.now.mono;
        let is_due = |out: &Out| out.due <= now && out.transmissions < TRANSMISSIONS;
        let due = self.expected.iter_mut().filter(|(_, out)| is_due(out));
        due.map(|(&who, out)| {
            out.due = now.plus(TIMEOUT * 2_u32.pow(out.transmissions));
            out.transmissions += 1;
            who
        })
        .collect()
    }

    fn give_up(&mut self) {
        let now = self.stage.now;
        self.relay.handle_timeout(now, &mut self.stage.shard);
        self.expected.retain(|_, out| out.due > now.mono || out.transmissions < TRANSMISSIONS);
    }

    fn answer(&mut self, who: Who) {
        let Some(out) = self.expected.get(&who).filter(|out| out.transmissions > 0) else { return };
        let mut room = [0; 200];
        let reply = answer(&Packet::parse(&out.octets).unwrap(), Ok(()), SECRET, &mut room).unwrap();
        let arrived = Arrived { from: (address(who.0), PORT).into(), octets: reply, truncated: false };
        self.relay.handle_disconnect_reply(self.stage.now, &mut self.stage.shard, &arrived);
        self.expected.remove(&who);
    }
}

proptest! {
    #[test]
    fn the_next_time_is_the_least_of_all_clients_and_what_is_due_then_leaves_once(steps in steps()) {
        let mut scene = Scene::new();
        for step in steps {
            match step {
                Step::Ask(who) => scene.ask(who),
                Step::Pass(millis) => scene.stage.pass(Duration::from_millis(millis)),
                Step::Wait => scene.wait(),
                Step::Transmit => prop_assert_eq!(scene.due(), scene.transmit()),
                Step::GiveUp => scene.give_up(),
                Step::Answer(who) => scene.answer(who),
                Step::Configure(clients) => scene.configure(clients),
            }
            prop_assert_eq!(scene.relay.poll_timeout(), scene.expected.values().map(|out| out.due).min());
        }
    }
}
