//! What a RADIUS server puts into connections over TLS: the engine finds the same replies however they arrive, believes those
//! only that are signed for their request, and ends a connection on what is no packet.
//!
//! Each step is three octets (what, which request, octets) and its octets.

use std::time::Duration;

use engine::StreamEnd;
use wire::radius::authenticator::sign_response;
use wire::radius::server::respond;
use wire::radius::{Code, Encoder, PACKET_SIZE_MAX, Packet};

use crate::stage::{Asked, Carrier, SECRET, Stage};

/// Runs it on one input.
pub fn check(input: &[u8]) {
    let (mut whole, mut pieces) = (Stage::new(Carrier::Tls), Stage::new(Carrier::Tls));
    for stage in [&mut whole, &mut pieces] {
        for session in [b"a", b"b", b"c"] {
            stage.up(session, b"user");
        }
        stage.turn();
        stage.turn();
    }
    let (mut rest, mut is_honest) = (input, false);
    while let [what, which, length, tail @ ..] = rest {
        let (octets, behind) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = behind;
        let asked = whole.asked.get(usize::from(*which) % whole.asked.len().max(1)).cloned();
        let (Some(asked), false) = (asked, what % 8 == 7) else {
            let time = Duration::from_secs(u64::from(*which));
            [&mut whole, &mut pieces].into_iter().for_each(|stage| stage.pass(time));
            turn(&mut whole, &mut pieces);
            continue;
        };
        match what % 8 {
            0 => {
                is_honest = true;
                say(&mut whole, &mut pieces, &asked, &honest(&asked), which.max(&1));
            }
            1 => {
                let mut forged = honest(&asked);
                let place = usize::from(*length) % forged.len();
                forged[place] ^= 1 << (which % 8);
                // It may say now that it answers another request, or be cut in another place: no one is answered by that.
                say(&mut whole, &mut pieces, &asked, &forged, which.max(&1));
            }
            2 => {
                is_honest = true;
                if let Some(reply) = reply(&asked, octets) {
                    say(&mut whole, &mut pieces, &asked, &reply, &1);
                }
            }
            3 => {
                for stage in [&mut whole, &mut pieces] {
                    stage.open.remove(&asked.port);
                    stage.shard.handle_stream_end(stage.now.mono, asked.port, StreamEnd::Reset);
                }
            }
            _ => say(&mut whole, &mut pieces, &asked, octets, which.max(&1)),
        }
        turn(&mut whole, &mut pieces);
        if !is_honest {
            let servers = whole.shard.report().servers;
            assert!(servers.iter().all(|server| server.responses + server.probe_responses == 0), "nobody has answered");
        }
    }
    whole.finish();
    pieces.finish();
}

fn turn(whole: &mut Stage, pieces: &mut Stage) {
    whole.turn();
    pieces.turn();
    assert!(whole.asked == pieces.asked, "the same requests leave");
    assert_eq!(whole.open, pieces.open);
    assert_eq!(whole.shard.report(), pieces.shard.report());
}

/// The same octets come in: at once, and so many at a time.
fn say(whole: &mut Stage, pieces: &mut Stage, asked: &Asked, octets: &[u8], most: &u8) {
    if !whole.open.contains(&asked.port) {
        return;
    }
    whole.shard.handle_octets(whole.now, asked.port, octets);
    for piece in octets.chunks(usize::from(*most)) {
        pieces.shard.handle_octets(pieces.now, asked.port, piece);
    }
}

fn honest(asked: &Asked) -> Vec<u8> {
    let packet = Packet::parse(&asked.octets).expect("our own packets are well-formed");
    respond(&packet, SECRET, &mut [0; PACKET_SIZE_MAX]).expect("an answer is no longer than its request").to_vec()
}

/// A signed reply with these attributes; `None`: they are none.
fn reply(asked: &Asked, attributes: &[u8]) -> Option<Vec<u8>> {
    let request = Packet::parse(&asked.octets).expect("our own packets are well-formed");
    let mut room = [0; PACKET_SIZE_MAX];
    let mut encoder = Encoder::packet(&mut room, Code::ACCOUNTING_RESPONSE, request.identifier());
    encoder.raw(attributes);
    let packet = encoder.finish().ok()?;
    sign_response(packet, request.authenticator(), SECRET);
    Some(packet.to_vec())
}
