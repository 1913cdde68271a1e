//! Any fields in the events of a plane, from the body of a record to the bill: what the link reads is taken or refused, every
//! record can be written down and read back, every packet is well-formed, and the files of the bills that come of it are complete.
//!
//! Each event is three octets (kind, session, octets of the body) and its body behind the session's name.

use std::time::Duration;

use model::counters::{Counters, Totals};
use model::event::PlaneEvent;
use plane::record::{BODY_BYTES_MAX, Kind, Tag, decode, encode, session_hash};

use crate::stage::{Carrier, Stage};

/// Runs it on one input.
pub fn check(input: &[u8]) {
    let mut stage = Stage::new(Carrier::Datagrams);
    let mut rest = input;
    while let [kind, session, length, tail @ ..] = rest {
        let (fields, behind) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = behind;
        match kind % 8 {
            6 => stage.count(counters(fields)),
            7 => stage.pass(Duration::from_secs(u64::from(*session) * u64::from(*length))),
            kind => handle(&mut stage, kind, *session, fields),
        }
        stage.turn();
    }
    // Nobody answers: what has ended and is given up becomes a bill.
    for session in 0..4 {
        handle(&mut stage, 2, session, &[]);
    }
    for _ in 0..4 {
        stage.pass(Duration::from_secs(60));
        stage.turn();
    }
    assert!(stage.shard.report().sessions <= stage.shard.report().session_capacity);
    stage.finish();
}

/// One of four sessions says this.
fn handle(stage: &mut Stage, kind: u8, session: u8, fields: &[u8]) {
    const KINDS: [Kind; 6] = [Kind::Up, Kind::Update, Kind::Down, Kind::Reset, Kind::ResyncBegin, Kind::ResyncEnd];
    let kind = KINDS[usize::from(kind) % KINDS.len()];
    let name = [b'a' + session % 4];
    let is_of_one = !matches!(kind, Kind::ResyncBegin | Kind::ResyncEnd);
    let head: &[u8] = if is_of_one { &[Tag::Session as u8, 1, name[0]] } else { &[] };
    let hash = if is_of_one { session_hash(&name) } else { 0 };
    let body = [head, fields].concat();
    let Ok(event) = decode(kind, hash, &body) else {
        stage.shard.handle_malformed(model::ids::PlaneIndex(0), &name);
        return;
    };
    reads_back(&event);
    stage.event(event);
}

/// What was read, written again, is read the same.
fn reads_back(event: &PlaneEvent<'_>) {
    let mut room = [0; BODY_BYTES_MAX];
    let encoded = encode(event, &mut room).expect("what was read can be written");
    assert_eq!(decode(encoded.kind, encoded.hash, encoded.body).as_ref(), Ok(event));
}

/// Up to eight numbers.
fn counters(octets: &[u8]) -> Counters {
    let mut numbers = [0; 8];
    for (number, octets) in numbers.iter_mut().zip(octets.chunks(8)) {
        let mut whole = [0; 8];
        whole[..octets.len()].copy_from_slice(octets);
        *number = u64::from_le_bytes(whole);
    }
    let [a, b, c, d, e, f, g, h] = numbers;
    Counters { v4: Totals::from_fields([a, b, c, d]), v6: Totals::from_fields([e, f, g, h]) }
}
