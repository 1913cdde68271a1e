//! Lines of a plane script, as session sources and `tollgate feed` read them: each is refused in words, or says an event that the link
//! carries as it is, and counts no less than it says.

use model::counters::{CounterSlot, Counters, Totals};
use model::event::{Down, PlaneEvent, Up, Update};
use model::ids::PLANE_SESSION_MAX;
use plane::record::{BODY_BYTES_MAX, decode, encode};
use serde_json::{Map, Value};

use crate::script::{self, At, Line, Op};

const BEFORE: Totals = Totals { in_octets: 100, in_packets: 100, out_octets: 1 << 40, out_packets: 1 << 40 };

/// Runs it on one input.
pub fn check(input: &[u8]) {
    for line in String::from_utf8_lossy(input).lines() {
        let read = script::read(line);
        // A file of a session source is read in two steps. What it says twice it says once more, and that stands.
        if let Ok(object) = serde_json::from_str::<Map<String, Value>>(line) {
            let in_two = script::read_object(object);
            assert!(in_two.is_ok() || read.is_err(), "{line}");
            in_two.iter().for_each(|read| holds(read, line));
        }
        match read {
            Ok(read) => holds(&read, line),
            Err(why) => assert!(!why.is_empty() && !why.contains(char::is_control), "{line}: {why}"),
        }
    }
}

fn holds(line: &Line, text: &str) {
    assert!(line.session.len() <= PLANE_SESSION_MAX);
    if let At::Offset(at) = line.at {
        assert!((0.0..=1e9).contains(&at), "{text}");
    }
    let session = line.session.as_bytes();
    match &line.op {
        Op::Up(person) => {
            assert!(
                person.nas_port_id().is_none_or(|name| !name.is_empty()) && person.addresses().0.is_none_or(|_| true)
            );
            let counters = CounterSlot { slot: 1, generation: 1 };
            carries(&PlaneEvent::Up(Up { session, subscriber: person.subscriber(), counters, at: None }), text);
        }
        Op::Update(person) => {
            carries(&PlaneEvent::Update(Update { session, changed: person.subscriber(), at: None }), text)
        }
        Op::Down { cause } => {
            let totals = line.counted.map(|told| told.over(Counters::ZERO));
            carries(&PlaneEvent::Down(Down { session, cause: *cause, totals, at: None }), text);
        }
        Op::Count(told) => {
            let after = told.over(Counters { v4: BEFORE, v6: BEFORE });
            // Nothing told of it: as it was. And what is told, is.
            assert_eq!(told.over(after), after, "said again it says no more: {text}");
        }
        Op::Reset | Op::Resync => {}
    }
}

/// The link takes what the script has let through.
fn carries(event: &PlaneEvent<'_>, text: &str) {
    let mut room = [0; BODY_BYTES_MAX];
    let encoded = encode(event, &mut room).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    assert_eq!(decode(encoded.kind, encoded.hash, encoded.body).as_ref(), Ok(event), "{text}");
}
