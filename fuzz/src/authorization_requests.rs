//! Any attributes in requests of an authorization server that knows its secret, and any datagrams of one that does not: what is
//! forged is counted and changes nothing, every request that is believed has one signed answer, and the same one when it comes again.
//!
//! Each request is three octets (kind, identifier, octets of attributes) and its attributes.

use std::net::SocketAddr;
use std::time::Duration;

use engine::authorization::{Arrived, Authorization, Conclusion, Judgement, Order, Token};
use model::settings::{AuthorizationServer, Secret, Settings};
use wire::radius::authenticator::{Unsigned, sign_request, verify_response};
use wire::radius::{Code, Encoder, PACKET_SIZE_MAX, Packet};

use crate::stage::{Carrier, SECRET, SERVER, Stage};

/// Octets of the attributes of these requests are doubled so often at most, so that long packets come too.
const DOUBLINGS: u8 = 4;

/// Runs it on one input.
pub fn check(input: &[u8]) {
    let mut stage = Stage::new(Carrier::Datagrams);
    for session in [b"a", b"b"] {
        stage.up(session, b"user");
    }
    stage.turn();
    let mut judge = Authorization::new(stage.now.mono);
    judge.configure(&settings());
    let mut rest = input;
    while let [kind, identifier, length, tail @ ..] = rest {
        let (attributes, behind) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = behind;
        let _ = hear(&mut judge, &mut stage, attributes);
        let Some(mut octets) = request(*kind, *identifier, attributes) else { continue };
        let sessions = stage.shard.report();
        if kind & 0x80 != 0 {
            octets[4] ^= 1;
            assert_eq!(hear(&mut judge, &mut stage, &octets), None, "what is forged is not answered");
            assert_eq!(stage.shard.report(), sessions);
            continue;
        }
        let answer = hear(&mut judge, &mut stage, &octets);
        if let Some(answer) = &answer {
            let (asked, answer) = (Packet::parse(&octets).expect("encoded"), Packet::parse(answer).expect("our own"));
            assert_eq!(verify_response(&answer, asked.authenticator(), SECRET), Ok(()));
            let own = [1, 2].map(|step| Code(asked.code().0 + step));
            assert!(own.contains(&answer.code()) && answer.identifier() == asked.identifier());
        }
        let after = stage.shard.report();
        assert_eq!(hear(&mut judge, &mut stage, &octets), answer, "the same answer, when it comes again");
        assert_eq!(stage.shard.report(), after, "and nothing is done twice");
        stage.turn();
        stage.pass(Duration::from_millis(u64::from(kind & 0x70) * 10));
    }
    stage.finish();
}

fn settings() -> Settings {
    let mut settings = Settings { sysname: "BNG1".to_owned(), ..Settings::default() };
    let shared_key = Some(Secret::new(SECRET.to_vec(), String::new()));
    let server = AuthorizationServer { shared_key, ack_reserved_s: 300, ..AuthorizationServer::default() };
    settings.radius_authorization.servers.insert(SERVER.into(), server);
    settings
}

fn request(kind: u8, identifier: u8, attributes: &[u8]) -> Option<Vec<u8>> {
    let code = if kind & 1 == 0 { Code::DISCONNECT_REQUEST } else { Code::COA_REQUEST };
    let mut room = [0; PACKET_SIZE_MAX];
    let mut encoder = Encoder::packet(&mut room, code, identifier);
    for _ in 0..1 << ((kind >> 1 & 7) % (DOUBLINGS + 1)) {
        encoder.raw(attributes);
    }
    let packet = encoder.finish().ok()?;
    sign_request(&mut Unsigned { packet, secret: SECRET, message_authenticator: false });
    Some(packet.to_vec())
}

/// What the box answers, when its only shard has obeyed.
fn hear(judge: &mut Authorization, stage: &mut Stage, octets: &[u8]) -> Option<Vec<u8>> {
    let from = SocketAddr::new(SERVER, 40_000);
    let arrived = Arrived { from, vpn: None, to: SocketAddr::from(([0, 0, 0, 0], 3799)), octets };
    match judge.handle_datagram(stage.now, &arrived) {
        Judgement::Ask(token, order) => obey(judge, stage, token, order),
        Judgement::Reply(answer) => Some(answer.into()),
        Judgement::Nothing => None,
    }
}

/// A shard weighs an order and then obeys it; a deed is not done in more steps than these.
fn obey(judge: &mut Authorization, stage: &mut Stage, token: Token, mut order: Order) -> Option<Vec<u8>> {
    for _ in 0..2 {
        stage.shard.handle_order(stage.now, token, &order);
        stage.turn();
        let (of, outcome) = stage.shard.poll_outcome().expect("a shard that was asked has an answer");
        assert_eq!(of, token);
        match judge.handle_outcomes(stage.now, token, &[outcome]) {
            Conclusion::Ask(next) => order = next,
            Conclusion::Reply(_, answer) => return Some(answer.into()),
            Conclusion::Nothing => return None,
        }
    }
    unreachable!("it was weighed and obeyed")
}
