//! Events in order, rings full, records malformed, planes hostile.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::fixture::{self, EPOCH, OwnedEvent, SMALL, Words, any_event, down, engine, plane, up};
use crate::layout::{Geometry, PAGE_BYTES, RING_CONTROL_BYTES};
use crate::record::{EncodeError, session_hash};
use crate::region::PlaneReader;

fn everyone(_: u64) -> bool {
    true
}

/// The next event of ring 0 as text, for tables.
fn told(reader: &mut PlaneReader<Words>, scratch: &mut EventScratch) -> String {
    match reader.rings_mut()[0].next_event(scratch, everyone) {
        Ok(Next::Nothing) => "nothing".to_owned(),
        Ok(Next::Event(Delivery { position, end, event })) => {
            let name = |session| String::from_utf8_lossy(session).into_owned();
            match event {
                PlaneEvent::Up(up) => format!("{position}..{end} up {}", name(up.session)),
                PlaneEvent::Down(down) => format!("{position}..{end} down {}", name(down.session)),
                other => format!("{position}..{end} {other:?}"),
            }
        }
        Ok(Next::Refused(Refused { position, end, why, session })) => {
            let whose = session.map(|session| format!(" of {}", String::from_utf8_lossy(session))).unwrap_or_default();
            format!("{position}..{end} refused {}{whose}", why.as_str())
        }
        Err(error) => format!("{error:?}"),
    }
}

/// Where word `word` of record `record` of ring 0 stands.
fn record_word(record: usize, word: usize) -> usize {
    (PAGE_BYTES + RING_CONTROL_BYTES + record * 256) / WORD + word
}

const PRODUCED_WORD: usize = PAGE_BYTES / WORD;

#[test]
fn events_come_out_in_order_and_leave_when_durable() {
    let (words, memory) = plane(SMALL);
    let mut writer = memory.event_writers().remove(0);
    let region = engine(&words, 1);
    let mut reader = region.reader(0).unwrap();
    let mut scratch = EventScratch::default();
    let long = [b'x'; 250];
    writer.write(&up(b"s1", b"alice")).unwrap();
    writer.write(&up(b"s2", &long)).unwrap();
    writer.write(&down(b"s1")).unwrap();
    for line in ["0..1 up s1", "1..3 up s2", "3..4 down s1", "nothing"] {
        assert_eq!(told(&mut reader, &mut scratch), line);
    }
    assert!(!writer.taken_over());
    reader.rings_mut()[0].publish_consumed(3);
    assert_eq!(writer.consumed(), 3);
    reader.rings_mut()[0].publish_consumed(4);
    assert!(writer.taken_over());
}

#[test]
fn a_full_ring_keeps_the_event_with_the_plane_until_it_is_durable() {
    let (words, memory) = plane(SMALL);
    let mut writer = memory.event_writers().remove(0);
    let region = engine(&words, 1);
    let mut reader = region.reader(0).unwrap();
    let mut scratch = EventScratch::default();
    for _ in 0..16 {
        writer.write(&down(b"s")).unwrap();
    }
    assert_eq!(writer.write(&down(b"s")), Err(SendError::Full));
    while told(&mut reader, &mut scratch) != "nothing" {}
    assert_eq!(writer.write(&down(b"s")), Err(SendError::Full), "read, but not durable");
    reader.rings_mut()[0].publish_consumed(1);
    assert_eq!(writer.write(&up(b"s", &[7; 253])), Err(SendError::Full), "two records");
    assert_eq!(writer.write(&down(b"s")), Ok(()));
    assert_eq!(told(&mut reader, &mut scratch), "16..17 down s");
}

#[test]
fn what_was_not_durable_is_delivered_again() {
    let (words, memory) = plane(SMALL);
    let mut writer = memory.event_writers().remove(0);
    let mut scratch = EventScratch::default();
    for session in [b"s1", b"s2", b"s3"] {
        writer.write(&down(session)).unwrap();
    }
    let mut reader = engine(&words, 1).reader(0).unwrap();
    while told(&mut reader, &mut scratch) != "nothing" {}
    reader.rings_mut()[0].publish_consumed(1);
    let mut reader = engine(&words, 2).reader(1).unwrap();
    assert_eq!(told(&mut reader, &mut scratch), "1..2 down s2");
}

#[test]
fn each_reader_gets_its_own_and_the_slowest_counts() {
    let (words, memory) = plane(SMALL);
    let mut writer = memory.event_writers().remove(1);
    let region = engine(&words, 2);
    let mut readers = [0, 1].map(|reader| region.reader(reader).unwrap());
    assert!(region.reader(1).is_none() && region.reader(2).is_none());
    let names: Vec<[u8; 2]> = (0..6).map(|digit| [b's', b'0' + digit]).collect();
    writer.write(&PlaneEvent::ResyncBegin).unwrap();
    for name in &names {
        writer.write(&down(name)).unwrap();
    }
    let mut scratch = EventScratch::default();
    for (number, reader) in readers.iter_mut().enumerate() {
        let mine = |hash: u64| hash % 2 == number as u64;
        let ring = &mut reader.rings_mut()[1];
        let mut expected = vec![PlaneEvent::ResyncBegin];
        expected.extend(names.iter().filter(|name| mine(session_hash(*name))).map(|name| down(name)));
        for event in expected {
            let Next::Event(delivery) = ring.next_event(&mut scratch, mine).unwrap() else { panic!("{event:?}") };
            assert_eq!(delivery.event, event);
        }
        assert_eq!(ring.next_event(&mut scratch, mine), Ok(Next::Nothing));
        assert_eq!(ring.cursor(), 7);
    }
    readers[0].rings_mut()[1].publish_consumed(7);
    assert_eq!(writer.consumed(), 0);
    readers[1].rings_mut()[1].publish_consumed(5);
    assert_eq!(writer.consumed(), 5);
    readers[1].rings_mut()[1].publish_consumed(7);
    assert!(writer.taken_over());
}

#[test]
fn events_that_cannot_be_said_are_named() {
    let (_, memory) = plane(SMALL);
    let mut writer = memory.event_writers().remove(0);
    let mut prefix = up(b"s", b"u");
    if let PlaneEvent::Up(up) = &mut prefix {
        up.subscriber.delegated_prefix =
            Some(model::event::Prefix { address: std::net::Ipv6Addr::UNSPECIFIED, length: 129 });
    }
    let mut no_user = up(b"s", b"u");
    if let PlaneEvent::Up(up) = &mut no_user {
        up.subscriber.user = None;
    }
    let mut no_generation = up(b"s", b"u");
    if let PlaneEvent::Up(up) = &mut no_generation {
        up.counters.generation = 0;
    }
    for (event, error) in [
        (down(b""), EncodeError::Session),
        (down(&[7; 65]), EncodeError::Session),
        (up(b"s", b""), EncodeError::FieldSize),
        (up(b"s", &[7; 254]), EncodeError::FieldSize),
        (prefix, EncodeError::FieldSize),
        (no_user, EncodeError::UserMissing),
        (no_generation, EncodeError::Generation),
    ] {
        assert_eq!(writer.write(&event), Err(SendError::Event(error)), "{event:?}");
    }
    assert!(writer.taken_over(), "nothing was written");
}

/// Each row damages a ring that holds `down s1` at 0, an event of three records at 1..4, and `down s3` at 4.
#[test]
fn malformed_records_are_passed_over_by_name() {
    let head = |bytes: [u8; 8]| u64::from_le_bytes(bytes);
    let rows: [(&str, usize, u64, [&str; 3]); 12] = [
        ("version", 0, head([2, 3, 0, 1, 9, 0, 0, 0]), ["0..1 refused version", "1..4", "4..5 down s3"]),
        ("all zero", 0, 0, ["0..1 refused version", "1..4", "4..5 down s3"]),
        ("kind", 0, head([1, 7, 0, 1, 9, 0, 0, 0]), ["0..1 refused kind", "1..4", "4..5 down s3"]),
        ("no record", 0, head([1, 3, 0, 0, 9, 0, 0, 0]), ["0..1 refused count", "1..4", "4..5 down s3"]),
        ("too long", 0, head([1, 3, 0, 255, 255, 255, 0, 0]), ["0..1 refused count", "1..4", "4..5 down s3"]),
        ("other lap", 0, head([1, 3, 0, 1, 9, 0, 1, 0]), ["0..1 refused stale", "1..4", "4..5 down s3"]),
        ("fields cut", 0, head([1, 3, 0, 1, 6, 0, 0, 0]), ["0..1 refused field-overrun of s1", "1..4", "4..5 down s3"]),
        ("no field", 0, head([1, 3, 0, 1, 0, 0, 0, 0]), ["0..1 refused session-missing", "1..4", "4..5 down s3"]),
        ("a hidden head", 1, 0, ["0..1 down s1", "1..4 refused version", "4..5 down s3"]),
        (
            "other record",
            2,
            head([1, 1, 1, 3, 9, 0, 0, 0]),
            ["0..1 down s1", "1..4 refused continuation", "4..5 down s3"],
        ),
        ("an orphan", 1, head([1, 1, 1, 3, 9, 0, 0, 0]), ["0..1 down s1", "1..4 refused orphan", "4..5 down s3"]),
        ("behind the end", 4, head([1, 3, 0, 2, 250, 0, 0, 0]), ["0..1 down s1", "1..4", "4..5 refused truncated"]),
    ];
    for (what, record, word, lines) in rows {
        let (words, memory) = plane(SMALL);
        let mut writer = memory.event_writers().remove(0);
        writer.write(&down(b"s1")).unwrap();
        let mut long = up(b"s2", &[b'x'; 253]);
        if let PlaneEvent::Up(up) = &mut long {
            up.subscriber.domain = Some(&[b'y'; 253]);
        }
        writer.write(&long).unwrap();
        writer.write(&down(b"s3")).unwrap();
        words[record_word(record, 0)].store(word, Ordering::Relaxed);
        let mut reader = engine(&words, 1).reader(0).unwrap();
        let mut scratch = EventScratch::default();
        for line in lines {
            let told = told(&mut reader, &mut scratch);
            assert!(told.starts_with(line), "{what}: {told}, expected {line}");
        }
        assert_eq!(told(&mut reader, &mut scratch), "nothing", "{what}");
    }
}

#[test]
fn a_hash_that_is_not_the_name_s_is_refused_by_whom_it_names() {
    let (words, memory) = plane(SMALL);
    memory.event_writers()[0].write(&down(b"s1")).unwrap();
    words[record_word(0, 1)].store(99, Ordering::Relaxed);
    let region = engine(&words, 2);
    let mut scratch = EventScratch::default();
    let mut others = region.reader(0).unwrap();
    assert_eq!(others.rings_mut()[0].next_event(&mut scratch, |hash| hash != 99), Ok(Next::Nothing));
    let mut named = region.reader(1).unwrap();
    assert_eq!(told(&mut named, &mut scratch), "0..1 refused hash of s1");
}

/// Bodies that no writer makes.
#[test]
fn fields_are_checked_by_size_place_and_number() {
    use crate::record::Kind::{Down, Reset, ResyncEnd, Up, Update};
    let session = [1, 2, b's', b'1'];
    let user = [16, 1, b'u'];
    let slot = [3, 8, 1, 0, 0, 0, 1, 0, 0, 0];
    let rows: [(&str, Kind, Vec<u8>, Malformed); 17] = [
        ("nothing", Down, vec![], Malformed::SessionMissing),
        ("not first", Update, [&user[..], &session].concat(), Malformed::SessionMissing),
        ("half a field", Down, [&session[..], &[4]].concat(), Malformed::FieldOverrun),
        ("a long field", Down, [&session[..], &[4, 2, 1]].concat(), Malformed::FieldOverrun),
        ("an empty name", Down, vec![1, 0], Malformed::FieldSize),
        ("a wide cause", Down, [&session[..], &[4, 2, 1, 1]].concat(), Malformed::FieldSize),
        ("a user in a Down", Down, [&session[..], &user].concat(), Malformed::FieldMisplaced),
        ("a cause in an Up", Up, [&session[..], &[4, 1, 1]].concat(), Malformed::FieldMisplaced),
        ("a name in a resync", ResyncEnd, session.to_vec(), Malformed::FieldMisplaced),
        ("two names", Down, [session, session].concat(), Malformed::FieldTwice),
        ("nine classes", Update, [&session[..], &[29, 1, 7].repeat(9)].concat(), Malformed::FieldTwice),
        ("no user", Up, [&session[..], &slot].concat(), Malformed::UserMissing),
        ("no slot", Up, [&session[..], &user].concat(), Malformed::SlotMissing),
        ("no slot either", Reset, session.to_vec(), Malformed::SlotMissing),
        ("generation 0", Reset, [&session[..], &[3, 8, 0, 0, 0, 0, 0, 0, 0, 0]].concat(), Malformed::FieldValue),
        ("access 5", Update, [&session[..], &[27, 1, 5]].concat(), Malformed::FieldValue),
        ("a tag to know", Down, [&session[..], &[127, 1, 5]].concat(), Malformed::FieldUnknown),
    ];
    for (what, kind, body, why) in rows {
        assert_eq!(decode(kind, session_hash(b"s1"), &body), Err(why), "{what}");
    }
    let later = [&session[..], &[128, 1, 5, 255, 0]].concat();
    assert_eq!(
        decode(Down, session_hash(b"s1"), &later),
        Ok(PlaneEvent::Down(model::event::Down { session: b"s1", cause: 0, totals: None, at: None })),
        "tags that may be passed over"
    );
}

#[test]
fn host_bits_of_a_prefix_are_cleared() {
    let mut body = vec![1, 1, b's', 19, 17];
    body.extend([0xff; 16]);
    body.push(60);
    let Ok(PlaneEvent::Update(update)) = decode(Kind::Update, session_hash(b"s"), &body) else { panic!() };
    let prefix = update.changed.framed_ipv6_prefix.unwrap();
    assert_eq!((prefix.address.to_string(), prefix.length), ("ffff:ffff:ffff:fff0::".to_owned(), 60));
}

#[test]
fn positions_that_no_honest_plane_has_close_the_link() {
    for produced in [17 + 5, 0, u64::MAX, POSITION_MAX + 1] {
        let (words, memory) = plane(SMALL);
        let mut writer = memory.event_writers().remove(0);
        let mut reader = engine(&words, 1).reader(0).unwrap();
        let mut scratch = EventScratch::default();
        for _ in 0..5 {
            writer.write(&down(b"s")).unwrap();
            told(&mut reader, &mut scratch);
        }
        reader.rings_mut()[0].publish_consumed(5);
        words[PRODUCED_WORD].store(produced, Ordering::Relaxed);
        assert_eq!(told(&mut reader, &mut scratch), "HostileIndex", "{produced}");
    }
}

#[test]
fn a_memory_with_impossible_positions_is_not_opened() {
    for (produced, consumed) in [(17, 0), (3, 4), (u64::MAX, u64::MAX), (POSITION_MAX + 1, POSITION_MAX)] {
        let (words, _) = plane(SMALL);
        words[PRODUCED_WORD].store(produced, Ordering::Relaxed);
        words[PRODUCED_WORD + 16].store(consumed, Ordering::Relaxed);
        let opened = Region::open(Arc::clone(&words), EPOCH, 1).map(drop);
        assert_eq!(opened, Err(LinkError::HostileIndex), "{produced} {consumed}");
    }
    let (words, _) = plane(SMALL);
    assert_eq!(Region::open(words, EPOCH + 1, 1).map(drop), Err(LinkError::Epoch));
}

/// A step of the plane or of the engine.
#[derive(Clone, Debug)]
enum Step {
    Write(Box<OwnedEvent>),
    Read,
    Publish,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = any_event().prop_map(|event| Step::Write(Box::new(event)));
    prop::collection::vec(
        prop_oneof![6 => write, 6 => Just(Step::Read), 3 => Just(Step::Publish), 1 => Just(Step::Restart)],
        0..100,
    )
}

proptest! {
    /// The ring against a queue of events: read once in order, and again from the last durable one after a restart.
    #[test]
    fn behaves_as_a_queue_that_survives_restarts(steps in steps()) {
        let (words, memory) = plane(Geometry { records: 64, ..SMALL });
        let mut writer = memory.event_writers().remove(0);
        let mut reader = engine(&words, 1).reader(0).unwrap();
        let mut scratch = EventScratch::default();
        let mut waiting: VecDeque<Box<OwnedEvent>> = VecDeque::new();
        let mut read = 0;
        for step in steps {
            match step {
                Step::Write(event) => match writer.write(&event.event()) {
                    Ok(()) => waiting.push_back(event),
                    Err(error) => prop_assert_eq!(error, SendError::Full),
                },
                Step::Read => {
                    match (reader.rings_mut()[0].next_event(&mut scratch, everyone).unwrap(), waiting.get(read)) {
                        (Next::Nothing, None) => {}
                        (Next::Event(delivery), Some(event)) => {
                            prop_assert_eq!(delivery.event, event.event());
                            read += 1;
                        }
                        (next, event) => prop_assert!(false, "{next:?} instead of {event:?}"),
                    }
                }
                Step::Publish => {
                    let ring = &mut reader.rings_mut()[0];
                    ring.publish_consumed(ring.cursor());
                    waiting.drain(..read);
                    read = 0;
                }
                Step::Restart => {
                    reader = engine(&words, 1).reader(0).unwrap();
                    read = 0;
                }
            }
        }
    }

    /// Any words in a ring: every call ends, no call panics, and each moves on until nothing is left.
    #[test]
    fn no_content_of_a_ring_stops_the_engine(
        content in prop::collection::vec(hostile_word(), 16 * 32),
        produced in 0..=16u64,
        skip in any::<u64>(),
    ) {
        let (words, _) = plane(SMALL);
        for (index, value) in content.into_iter().enumerate() {
            words[record_word(0, index)].store(value, Ordering::Relaxed);
        }
        words[PRODUCED_WORD].store(produced, Ordering::Relaxed);
        let mut reader = engine(&words, 1).reader(0).unwrap();
        let mut scratch = EventScratch::default();
        let ring = &mut reader.rings_mut()[0];
        loop {
            let before = ring.cursor();
            let next = ring.next_event(&mut scratch, |hash| hash % 3 != skip % 3).unwrap();
            let (Next::Event(Delivery { position, end, .. }) | Next::Refused(Refused { position, end, .. })) = next else {
                break;
            };
            prop_assert!(before <= position && position < end && end <= produced, "{before} {position} {end}");
        }
        prop_assert_eq!(ring.cursor(), produced);
    }

    /// Any words anywhere, changing while the engine works: it refuses the memory, closes the link, or goes on.
    #[test]
    fn no_memory_stops_the_engine(
        writes in prop::collection::vec((any::<prop::sample::Index>(), hostile_word()), 1..60),
        keep_header in any::<bool>(),
    ) {
        let (words, memory) = plane(SMALL);
        for session in [b"s1", b"s2"] {
            memory.event_writers()[0].write(&up(session, b"user")).unwrap();
        }
        let first = if keep_header { 16 } else { 0 };
        let hostile = |(place, value): &(prop::sample::Index, u64)| {
            let place = first + place.index(words.len() - first);
            words[place].store(*value, Ordering::Relaxed);
        };
        let (before, during) = writes.split_at(writes.len() / 2);
        before.iter().for_each(hostile);
        let Ok(region) = Region::open(Arc::clone(&words), EPOCH, 2) else { return Ok(()) };
        let mut readers = [0, 1].map(|reader| region.reader(reader).unwrap());
        let (verdicts, counters) = (region.verdicts(), region.counters());
        let mut scratch = EventScratch::default();
        for write in during {
            hostile(write);
            for reader in &mut readers {
                let _ = reader.about_to_sleep(true);
                for ring in reader.rings_mut() {
                    // A ring full, and one refusal more per record.
                    for _ in 0..64 {
                        match ring.next_event(&mut scratch, everyone) {
                            Ok(Next::Nothing) | Err(_) => break,
                            Ok(_) => {}
                        }
                    }
                    ring.publish_consumed(ring.cursor());
                }
            }
            let _ = counters.read(model::counters::CounterSlot { slot: 3, generation: 1 });
            let verdict = fixture::verdict(b"s1");
            let _ = verdicts.push(&verdict);
        }
    }

    /// Any body: an event or a name for what is wrong.
    #[test]
    fn no_body_stops_the_decoder(kind in 1..=6u8, body in prop::collection::vec(any::<u8>(), 0..600)) {
        let kind = Kind::from_u8(kind).unwrap();
        let hash = session_of(&body).map_or(0, session_hash);
        let _ = decode(kind, hash, &body);
    }

    /// A body with one octet changed: an event or a name for what is wrong, and the session's name is still found
    /// unless it was the one that changed.
    #[test]
    fn a_changed_octet_is_an_event_or_a_refusal(
        event in any_event(),
        place in any::<prop::sample::Index>(),
        octet in any::<u8>(),
    ) {
        let mut space = [0; BODY_BYTES_MAX];
        let encoded = crate::record::encode(&event.event(), &mut space).unwrap();
        let mut body = encoded.body.to_vec();
        if !body.is_empty() {
            let place = place.index(body.len());
            body[place] = octet;
            let _ = decode(encoded.kind, encoded.hash, &body);
            let name_ends = 2 + usize::from(encoded.body[1]);
            prop_assert!(place < name_ends || session_of(&body) == session_of(encoded.body));
        }
    }
}

/// Words that are nothing, a sound head, a head with some of its octets wrong, or a position.
fn hostile_word() -> impl Strategy<Value = u64> {
    let head = (0..3u8, 0..8u8, 0..4u8, 0..18u8, 0..5000u16, 0..2u16).prop_map(
        |(version, kind, index, count, body_bytes, lap)| {
            Head { version, kind, index, count, body_bytes, lap }.to_word()
        },
    );
    let sound = (1..7u8, 0..700u16).prop_map(|(kind, body_bytes)| {
        let kind = Kind::from_u8(kind).unwrap_or(Kind::Up);
        Head::first(kind, usize::from(body_bytes), 0).to_word()
    });
    let fields = any::<[u8; 8]>().prop_map(|octets| u64::from_le_bytes(octets.map(|octet| octet % 40)));
    prop_oneof![2 => any::<u64>(), 3 => head, 3 => sound, 3 => fields, 1 => 0..40u64, 1 => Just(u64::MAX)]
}
