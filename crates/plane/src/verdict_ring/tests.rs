//! Verdicts in order, rings full, engines that died, planes hostile.

use super::*;
use crate::fixture::{SMALL, engine, plane, verdict};

/// How many records the small memory's verdict ring has.
const RECORDS: usize = 16;

#[test]
fn a_verdict_arrives_as_it_was_said() {
    let (words, memory) = plane(SMALL);
    let region = engine(&words, 1);
    let writer = region.verdicts();
    let mut reader = VerdictReader::new(memory);
    assert_eq!(reader.poll_verdict(), None);
    let long = [b'x'; 64];
    let slot = CounterSlot { slot: 4, generation: 9 };
    let cut = (Sentence::Cut, Reason::NoDomain);
    writer.push(&Verdict { counters: slot, sentence: cut.0, reason: cut.1, ..verdict(&long) }).unwrap();
    writer.push(&verdict(b"s2")).unwrap();
    let first = reader.poll_verdict().unwrap();
    assert_eq!((first.sentence, first.reason, first.slot), (Sentence::Cut, Reason::NoDomain, Some(slot)));
    assert_eq!(first.session(), long);
    let other = CounterSlot { generation: 8, ..slot };
    assert!(first.is_on(&[other, slot]) && !first.is_on(&[other]), "another session has the name");
    let second = reader.poll_verdict().unwrap();
    assert_eq!((second.sentence, second.slot, second.session()), (Sentence::Admit, None, &b"s2"[..]));
    assert!(second.is_on(&[other]), "the engine has not heard of any slot");
    assert_eq!(reader.poll_verdict(), None);
}

#[test]
fn a_full_ring_keeps_the_verdict_with_the_engine() {
    let (words, memory) = plane(SMALL);
    let region = engine(&words, 1);
    let writers = [region.verdicts(), region.verdicts()];
    let mut reader = VerdictReader::new(memory);
    for lap in 0..3 {
        for index in 0..RECORDS {
            writers[index % 2].push(&verdict(&[lap, 1])).unwrap();
        }
        assert_eq!(writers[lap as usize % 2].push(&verdict(b"late")), Err(VerdictError::Full));
        assert!(!region.verdicts_have_room());
        for _ in 0..RECORDS {
            assert_eq!(reader.poll_verdict().unwrap().session(), [lap, 1]);
        }
        assert!(region.verdicts_have_room());
    }
}

#[test]
fn the_next_engine_writes_behind_what_waits_and_over_what_is_torn() {
    let (words, memory) = plane(SMALL);
    let mut reader = VerdictReader::new(memory);
    let first = engine(&words, 1);
    for name in [b"s0", b"s1", b"s2", b"s3"] {
        first.verdicts().push(&verdict(name)).unwrap();
    }
    assert_eq!(reader.poll_verdict().unwrap().session(), b"s0");
    // The engine died while it wrote the third.
    let place = first.memory().layout().verdict_ring();
    words[place.record(2)].store(0, Ordering::Relaxed);
    let second = engine(&words, 1);
    second.verdicts().push(&verdict(b"n2")).unwrap();
    assert_eq!(reader.poll_verdict().unwrap().session(), b"s1");
    assert_eq!(reader.poll_verdict().unwrap().session(), b"n2");
    assert_eq!(reader.poll_verdict(), None);
    for lap in 0..2 * RECORDS {
        second.verdicts().push(&verdict(b"on")).unwrap();
        assert!(reader.poll_verdict().is_some(), "{lap}");
    }
}

#[test]
fn a_plane_that_reads_what_was_not_written_is_hostile() {
    let (words, _) = plane(SMALL);
    let region = engine(&words, 1);
    let consumed = region.memory().layout().verdict_ring().consumed;
    region.verdicts().push(&verdict(b"s")).unwrap();
    words[consumed].store(2, Ordering::Relaxed);
    assert_eq!(region.verdicts().push(&verdict(b"s")), Err(VerdictError::Hostile));
    assert!(region.verdicts_have_room(), "the shard does not sleep over it");
}

#[test]
fn a_verdict_that_is_not_known_is_passed_over() {
    let (words, memory) = plane(SMALL);
    let region = engine(&words, 1);
    for name in [b"s0", b"s1", b"s2", b"s3"] {
        region.verdicts().push(&verdict(name)).unwrap();
    }
    let place = region.memory().layout().verdict_ring();
    // Sentence 9; reason 99; a name of 65 octets.
    for (record, numbers) in [[9, 1, 2, 0], [1, 99, 2, 0], [1, 1, 65, 0]].into_iter().enumerate() {
        words[place.record(record as u64) + 1].store(u64::from(u32::from_le_bytes(numbers)), Ordering::Relaxed);
    }
    let mut reader = VerdictReader::new(memory);
    assert_eq!(reader.poll_verdict().unwrap().session(), b"s3");
}
