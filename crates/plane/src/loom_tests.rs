//! Every order of two or three threads' steps that the memory model allows, up to a few preemptions:
//! `RUSTFLAGS="--cfg loom" cargo test -p plane --release --lib`.
//!
//! The rings are nearly full when the threads start, so that few steps reach the interesting places: the last free
//! record, the end of a lap, the record that is written again.

use std::sync::Arc;

use lanes::sync::AtomicU64;
use loom::thread;
use model::counters::{CounterSlot, Counters, Totals};
use model::event::{Down, PlaneEvent};
use model::ids::PlaneIndex;
use model::verdict::{Reason, Sentence, Verdict};

use crate::doorbell::PlaneBell;
use crate::layout::{Geometry, Layout};
use crate::region::{Memory, Region};
use crate::words::WORD;
use crate::{CounterWriter, EventRing, EventScratch, EventWriter, Next, SendError, VerdictError, VerdictReader};

type Words = Arc<[AtomicU64]>;

const GEOMETRY: Geometry = Geometry { rings: 1, records: 16, slots: 1, dual_stack: false, verdicts: 16 };
const EPOCH: u64 = 1 << 32;

fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    builder.check(model);
}

fn memory() -> (Words, Arc<Memory<Words>>) {
    let bytes = Layout::new(GEOMETRY, EPOCH).unwrap().bytes();
    let words: Words = (0..bytes / WORD).map(|_| AtomicU64::new(0)).collect();
    let memory = Arc::new(Memory::format(Arc::clone(&words), GEOMETRY, EPOCH).unwrap());
    (words, memory)
}

fn down(cause: u8) -> PlaneEvent<'static> {
    PlaneEvent::Down(Down { session: b"s", cause, totals: None, at: None })
}

fn write(writer: &mut EventWriter<Words>, event: &PlaneEvent<'_>) {
    while let Err(error) = writer.write(event) {
        assert_eq!(error, SendError::Full);
        thread::yield_now();
    }
}

/// The cause of the next Down.
fn read(ring: &mut EventRing<Words>, scratch: &mut EventScratch) -> u8 {
    loop {
        match ring.next_event(scratch, |_| true).unwrap() {
            Next::Event(delivery) => {
                let PlaneEvent::Down(down) = delivery.event else { panic!("{delivery:?}") };
                return down.cause;
            }
            Next::Nothing => thread::yield_now(),
            Next::Refused(refused) => panic!("{refused:?}"),
        }
    }
}

/// A record is read whole, and written again only when it was consumed.
#[test]
fn events_change_hands() {
    check(3, || {
        let (words, memory) = memory();
        let mut writer = memory.event_writers().remove(0);
        for _ in 0..15 {
            write(&mut writer, &down(0));
        }
        let region = Region::open(words, EPOCH, 1).unwrap();
        let mut reader = region.reader(0).unwrap();
        let mut scratch = EventScratch::default();
        for _ in 0..15 {
            read(&mut reader.rings_mut()[0], &mut scratch);
        }
        let plane = thread::spawn(move || {
            for cause in 1..=3 {
                write(&mut writer, &down(cause));
            }
        });
        let ring = &mut reader.rings_mut()[0];
        ring.publish_consumed(1);
        for cause in 1..=3 {
            assert_eq!(read(ring, &mut scratch), cause);
            ring.publish_consumed(ring.cursor() - 14);
        }
        plane.join().unwrap();
    });
}

/// However two readers' publications meet, in the end the plane sees the least of both.
#[test]
fn the_least_position_is_shown_in_the_end() {
    check(3, || {
        let (words, memory) = memory();
        let mut writer = memory.event_writers().remove(0);
        for _ in 0..3 {
            write(&mut writer, &down(0));
        }
        let region = Region::open(words, EPOCH, 2).unwrap();
        let [first, second] = [(0, [1, 3]), (1, [2, 3])].map(|(number, positions)| {
            let mut reader = region.reader(number).unwrap();
            let mut scratch = EventScratch::default();
            for _ in 0..3 {
                read(&mut reader.rings_mut()[0], &mut scratch);
            }
            move || positions.map(|position| reader.rings_mut()[0].publish_consumed(position))
        });
        let (mut first, mut second) = (first, second);
        let other = thread::spawn(move || second());
        first();
        other.join().unwrap();
        assert_eq!(writer.consumed(), 3);
    });
}

/// A shard that went to sleep over an event is woken.
#[test]
fn no_event_is_slept_over() {
    check(3, || {
        let (words, memory) = memory();
        let mut writer = memory.event_writers().remove(0);
        let bell = PlaneBell::new(memory);
        let region = Region::open(words, EPOCH, 1).unwrap();
        let reader = region.reader(0).unwrap();
        let plane = thread::spawn(move || {
            write(&mut writer, &down(1));
            bell.engine_needs_kick()
        });
        let asleep = reader.about_to_sleep(false);
        let kicked = plane.join().unwrap();
        assert!(kicked || !asleep);
    });
}

/// A shard that went to sleep with a verdict which found no room is woken; so is a plane that waits for it.
#[test]
fn no_verdict_is_slept_over() {
    check(3, || {
        let (words, memory) = memory();
        let region = Region::open(words, EPOCH, 1).unwrap();
        let shard = region.reader(0).unwrap();
        let writer = region.verdicts();
        for _ in 0..16 {
            writer.push(&verdict(b"s")).unwrap();
        }
        let bell = PlaneBell::new(Arc::clone(&memory));
        let mut reader = VerdictReader::new(memory);
        let plane = thread::spawn(move || {
            assert!(reader.poll_verdict().is_some());
            let kicks = bell.engine_wants_room();
            bell.about_to_sleep();
            (kicks, (0..15).all(|_| reader.poll_verdict().is_some()) && !reader.has_more())
        });
        let pushed = writer.push(&verdict(b"t")).is_ok();
        let asleep = !pushed && shard.about_to_sleep(true);
        let plane_kicked = region.plane_needs_kick();
        let (engine_kicked, plane_asleep) = plane.join().unwrap();
        assert!(engine_kicked || !asleep);
        assert!(plane_kicked || !plane_asleep || !pushed);
    });
}

/// Two shards write, the plane reads: nothing is lost, nothing is torn, each shard's order holds.
#[test]
fn verdicts_change_hands() {
    check(2, || {
        let (words, memory) = memory();
        let region = Region::open(words, EPOCH, 1).unwrap();
        let mut reader = VerdictReader::new(memory);
        for _ in 0..15 {
            region.verdicts().push(&verdict(b"0")).unwrap();
        }
        let shards = [&b"a"[..], &b"b"[..]].map(|name| {
            let writer = region.verdicts();
            thread::spawn(move || {
                while let Err(error) = writer.push(&verdict(name)) {
                    assert_eq!(error, VerdictError::Full);
                    thread::yield_now();
                }
            })
        });
        // The second shard waits for the first of these; the rest is read when both are done.
        assert_eq!(reader.poll_verdict().unwrap().session(), b"0");
        for shard in shards {
            shard.join().unwrap();
        }
        let read: Vec<u8> = std::iter::from_fn(|| reader.poll_verdict()).map(|verdict| verdict.session()[0]).collect();
        assert!(read[..14].iter().all(|name| *name == b'0'));
        assert!(read[14..] == *b"ab" || read[14..] == *b"ba", "{read:?}");
    });
}

/// A verdict that the plane sees, it sees whole.
#[test]
fn a_verdict_is_read_whole() {
    check(3, || {
        let (words, memory) = memory();
        let region = Region::open(words, EPOCH, 1).unwrap();
        let mut reader = VerdictReader::new(memory);
        let shard = thread::spawn(move || region.verdicts().push(&verdict(b"s")).unwrap());
        let read = loop {
            match reader.poll_verdict() {
                Some(verdict) => break verdict,
                None => thread::yield_now(),
            }
        };
        assert_eq!((read.sentence, read.reason, read.session()), (Sentence::Admit, Reason::Opened, &b"s"[..]));
        shard.join().unwrap();
    });
}

/// Totals are never read as those of another generation.
#[test]
fn counters_belong_to_their_generation() {
    check(3, || {
        let (words, memory) = memory();
        let writer = CounterWriter::new(memory);
        let before = writer.renew(0).unwrap();
        writer.store(before, counters(1));
        let table = Region::open(words, EPOCH, 1).unwrap().counters();
        let plane = thread::spawn(move || {
            let after = writer.renew(0).unwrap();
            writer.store(after, counters(2));
        });
        let after = CounterSlot { slot: 0, generation: before.generation + 1 };
        assert!(table.read(before).is_none_or(|read| read == counters(1)));
        let later = table.read(after);
        assert!(later.is_none_or(|read| [0, 2].contains(&read.v4.in_octets) && [0, 2].contains(&read.v4.out_packets)));
        plane.join().unwrap();
        assert_eq!((table.read(before), table.read(after)), (None, Some(counters(2))));
    });
}

fn counters(all: u64) -> Counters {
    let v4 = Totals { in_octets: all, in_packets: all, out_octets: all, out_packets: all };
    Counters { v4, v6: Totals::default() }
}

fn verdict(session: &[u8]) -> Verdict<'_> {
    Verdict {
        plane: PlaneIndex(0),
        session,
        counters: CounterSlot::default(),
        sentence: Sentence::Admit,
        reason: Reason::Opened,
    }
}
