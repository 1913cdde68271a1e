use super::*;
use model::counters::{CounterSlot, Counters, Totals};
use model::domain::{Allowance, Terms};
use model::ids::BillId;
use model::record::{Acknowledged, Bill, BillReason, Closed, Delivered, Opened, Sampled, TakenOver, ZeroStop};
use model::samples::{Samples, SamplesWriter};
use model::settings::PinnedScheme;
use model::time::Now;
use proptest::prelude::*;

fn serial(sequence: u64) -> SessionSerial {
    SessionSerial { epoch: 1, sequence }
}

fn opened(sequence: u64, attributes: &[u8]) -> Opened<'_> {
    Opened {
        serial: serial(sequence),
        taken_over: TakenOver { plane_epoch: 3, ring: 1, position: 10 * sequence },
        plane: "vpp0",
        session: b"s",
        domain: "isp",
        group: "",
        scheme: PinnedScheme::default(),
        interim_s: 0,
        terms: Terms::default(),
        allowance: Allowance::default(),
        session_timeout_s: 0,
        at: Now::default(),
        counters: CounterSlot::default(),
        baseline: Counters::ZERO,
        attributes,
    }
}

fn closed(sequence: u64) -> Closed {
    let v4 = Totals { in_octets: 100, out_octets: 1000, ..Totals::default() };
    Closed {
        serial: serial(sequence),
        taken_over: TakenOver { plane_epoch: 3, ring: 2, position: 10 * sequence },
        at: Now::default(),
        cause: 1,
        session_time_s: 9,
        counters: Counters { v4, v6: v4 },
    }
}

fn bill(sequence: u64) -> Record<'static> {
    Record::Billed(Bill {
        id: BillId { epoch: 1, sequence },
        reason: BillReason::StopUnanswered,
        delivered: Delivered::No,
        zero_stop: ZeroStop::Unknown,
        server: None,
        nas_address: None,
        opened: opened(sequence, b""),
        closed: closed(sequence),
    })
}

fn replay(records: &[Record<'_>]) -> Replay {
    let mut replay = Replay::new();
    for (index, record) in records.iter().enumerate() {
        let mut octets = vec![0; frame::RECORD_LEN_MAX];
        let len = frame::encode(record, &mut octets).unwrap();
        replay.record(index as u64 + 1, Place::new(1, 512 * index, len, 0), record, &octets[..len]);
    }
    replay
}

fn accepted(sequence: u64) -> Accepted {
    Accepted { serial: serial(sequence), at: Mono::from_nanos(5), keep_accounting: false }
}

fn sampled(sequence: u64, interim_failures: u16) -> Sampled {
    Sampled { serial: serial(sequence), at: Mono::from_nanos(6), counters: Counters::ZERO, interim_failures, cut: None }
}

#[test]
fn a_session_is_what_was_last_said_of_it() {
    let state = replay(&[
        Record::Opened(opened(1, b"old")),
        Record::Accepted(accepted(1)),
        Record::Sampled(sampled(1, 1)),
        Record::Sampled(sampled(1, 2)),
        Record::Opened(opened(1, b"new")),
    ]);
    let expected = LiveSession {
        whole: Checkpointed {
            opened: opened(1, b"new"),
            accepted: Some(accepted(1)),
            start_failed: None,
            sampled: Some(sampled(1, 2)),
            closed: None,
        },
        sampled_at: Some(Wall::from_millis(0)),
        boot_id: None,
    };
    assert_eq!(state.sessions().collect::<Vec<_>>(), [expected]);
}

#[test]
fn a_closed_session_is_owed_a_stop_until_it_is_acknowledged_or_billed() {
    let failed = StartFailed { serial: serial(1), zero_stop: ZeroStop::Acknowledged };
    let up = [Record::Opened(opened(1, b"")), Record::StartFailed(failed), Record::Closed(closed(1))];
    let state = replay(&up);
    let session = state.session(serial(1)).unwrap().whole;
    assert_eq!((session.start_failed, session.closed), (Some(failed), Some(closed(1))));

    let acknowledged = Record::Acknowledged(Acknowledged { serial: serial(1) });
    let state = replay(&[&up[..], &[acknowledged]].concat());
    assert_eq!((state.session_count(), state.book().pool().bill_count()), (0, 0));

    let state = replay(&[&up[..], &[bill(1)]].concat());
    assert_eq!((state.session_count(), state.book().pool().bill_count()), (0, 1));
    let found = *state.book().pool().bills(0).next().unwrap();
    assert_eq!((found.id, found.in_octets, found.out_octets), (BillId { epoch: 1, sequence: 1 }, 200, 2000));
}

fn checkpointed(sequence: u64, attributes: &[u8]) -> Checkpointed<'_> {
    Checkpointed {
        opened: opened(sequence, attributes),
        accepted: Some(accepted(sequence)),
        start_failed: None,
        sampled: Some(sampled(sequence, 3)),
        closed: None,
    }
}

fn acknowledged(sequence: u64) -> Record<'static> {
    Record::Acknowledged(Acknowledged { serial: serial(sequence) })
}

type Known = (bool, bool, Option<u16>, bool);

/// What is known of a session: accepted, its Start failed, interim failures of its sample, closed.
fn known(state: &Replay, sequence: u64) -> Option<Known> {
    let session = state.session(serial(sequence))?.whole;
    assert_eq!(session.opened.serial, serial(sequence));
    let failures = session.sampled.map(|sampled| sampled.interim_failures);
    Some((session.accepted.is_some(), session.start_failed.is_some(), failures, session.closed.is_some()))
}

#[test]
fn a_session_said_again_whole_is_that_and_what_follows() {
    let failed = StartFailed { serial: serial(1), zero_stop: ZeroStop::Unknown };
    let whole = Record::Checkpointed(checkpointed(1, b"whole"));
    let bare = Record::Checkpointed(Checkpointed { accepted: None, sampled: None, ..checkpointed(1, b"bare") });
    let ended = Record::Checkpointed(Checkpointed { closed: Some(closed(1)), ..checkpointed(1, b"ended") });
    let (up, again) = (Record::Opened(opened(1, b"up")), Record::Opened(opened(1, b"again")));
    let (yes, no, sample) =
        (Record::Accepted(accepted(1)), Record::StartFailed(failed), Record::Sampled(sampled(1, 7)));
    let down = Record::Closed(closed(1));
    let cases: [(&[Record<'_>], &[u8], Option<Known>); 11] = [
        (&[whole], b"whole", Some((true, false, Some(3), false))),
        (&[bare], b"bare", Some((false, false, None, false))),
        (&[ended], b"ended", Some((true, false, Some(3), true))),
        (&[up, no, sample, down, whole], b"whole", Some((true, false, Some(3), false))),
        (&[up, yes, sample, bare], b"bare", Some((false, false, None, false))),
        (&[whole, sample], b"whole", Some((true, false, Some(7), false))),
        (&[whole, no, down], b"whole", Some((false, true, Some(3), true))),
        (&[whole, again], b"again", Some((true, false, Some(3), false))),
        (&[ended, again, sample], b"again", Some((true, false, Some(7), true))),
        (&[whole, sample, again], b"again", Some((true, false, Some(7), false))),
        (&[up, acknowledged(1), whole], b"whole", Some((true, false, Some(3), false))),
    ];
    for (number, (records, attributes, expected)) in cases.iter().enumerate() {
        // In one batch, and each record in one of its own.
        for state in [replay(records), replay_as_one(records)] {
            assert_eq!(known(&state, 1), *expected, "case {number}");
            let session = state.session(serial(1)).unwrap().whole;
            assert_eq!(&session.opened.attributes, attributes, "case {number}");
            assert_eq!((state.session_count(), state.sessions().count()), (1, 1), "case {number}");
            assert_eq!(state.unknown_sessions(), 0, "case {number}");
        }
    }
}

/// All records in one batch.
fn replay_as_one(records: &[Record<'_>]) -> Replay {
    replay_octets(&records.iter().map(encoded).collect::<Vec<_>>())
}

fn encoded(record: &Record<'_>) -> Vec<u8> {
    let mut room = vec![0; frame::RECORD_LEN_MAX];
    let len = frame::encode(record, &mut room).unwrap();
    room[..len].to_vec()
}

fn replay_octets(octets: &[Vec<u8>]) -> Replay {
    let mut replay = Replay::new();
    let stored = octets.iter().enumerate().map(|(index, octets)| Stored {
        sequence: index as u64 + 1,
        place: Place::new(1, 512 * index, octets.len(), 0),
        octets,
    });
    replay.take(stored, 0);
    replay
}

#[test]
fn what_is_said_of_unknown_sessions_is_explained_or_counted() {
    let (yes, sample, down) =
        (Record::Accepted(accepted(8)), Record::Sampled(sampled(8, 0)), Record::Closed(closed(8)));
    let whole = Record::Checkpointed(checkpointed(8, b""));
    // (records, never explained, explained, sessions, bills)
    let cases: [(&[Record<'_>], u64, u64, usize, usize); 9] = [
        (&[yes, sample], 2, 0, 0, 0),
        (&[down], 1, 0, 0, 0),
        (&[yes, sample, whole], 0, 2, 1, 0),
        (&[whole, yes, sample], 0, 0, 1, 0),
        (&[sample, down, acknowledged(8)], 0, 3, 0, 0),
        (&[acknowledged(8)], 0, 1, 0, 0),
        (&[sample, bill(8)], 0, 1, 0, 1),
        (&[bill(8)], 0, 0, 0, 1),
        (&[whole, acknowledged(8), sample], 1, 0, 0, 0),
    ];
    for (number, (records, unknown, explained, sessions, bills)) in cases.iter().enumerate() {
        for state in [replay(records), replay_as_one(records)] {
            let counts = (
                state.unknown_sessions(),
                state.explained_records(),
                state.session_count(),
                state.book().pool().bill_count(),
            );
            assert_eq!(counts, (*unknown, *explained, *sessions, *bills), "case {number}");
        }
    }
}

#[test]
fn a_bill_that_is_written_again_is_one_bill() {
    let state = replay(&[bill(1), bill(2), bill(1)]);
    let places: Vec<_> = state.book().pool().bills(0).map(|bill| (bill.id.sequence, bill.place.offset)).collect();
    assert_eq!(places, [(1, 1024), (2, 512)]);
}

#[test]
fn every_word_on_a_ring_counts_and_the_furthest_of_each_shard() {
    let heard = |ring, shard, shard_count, through| {
        Record::Heard(Heard { plane: "vpp0", plane_epoch: 3, ring, through, shard, shard_count })
    };
    let other = Record::Heard(Heard { plane: "vpp1", plane_epoch: 3, ring: 0, through: 1, shard: 0, shard_count: 2 });
    let state = replay(&[
        heard(0, 0, 2, 10),
        heard(0, 1, 2, 20),
        heard(0, 0, 2, 30),
        heard(0, 0, 2, 25),
        heard(1, 0, 2, 5),
        heard(0, 0, 3, 40),
        other,
    ]);
    let mut found: Vec<_> =
        state.heard().map(|heard| (heard.plane, heard.ring, heard.shard, heard.shard_count, heard.through)).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("vpp0", 0, 0, 2, 30),
            ("vpp0", 0, 0, 3, 40),
            ("vpp0", 0, 1, 2, 20),
            ("vpp0", 1, 0, 2, 5),
            ("vpp1", 0, 0, 2, 1)
        ]
    );
}

#[test]
fn an_event_of_an_unknown_session_counts_for_every_plane_it_may_be_of() {
    let heard = Heard { plane: "vpp0", plane_epoch: 3, ring: 0, through: 1, shard: 0, shard_count: 2 };
    let state = replay(&[Record::Closed(closed(7)), acknowledged(7), Record::Heard(heard)]);
    let positions: Vec<_> = state.taken_over().map(|r| (r.plane, r.plane_epoch, r.ring, r.position)).collect();
    assert_eq!(positions, [("vpp0", 3, 2, 70)]);
}

#[test]
fn a_sample_has_its_moment_on_the_wall_as_the_up_saw_it() {
    let moment =
        |mono_ms: u64, wall_ms| Now { mono: Mono::from_nanos(mono_ms * 1_000_000), wall: Wall::from_millis(wall_ms) };
    let started = |epoch, mono_ms, wall_ms| {
        let at = moment(mono_ms, wall_ms);
        Record::Started(Started { epoch, boot_id: [u8::try_from(epoch).unwrap(); 16], at, key: [0; 16] })
    };
    let up =
        |sequence, mono_ms, wall_ms| Record::Opened(Opened { at: moment(mono_ms, wall_ms), ..opened(sequence, b"") });
    let at = |sequence, mono_ms| Record::Sampled(Sampled { at: moment(mono_ms, 0).mono, ..sampled(sequence, 0) });
    let records = [
        started(4, 1_000, 50_000),
        up(1, 2_000, 51_000),
        at(1, 3_000),
        // The clock was set back between the engine's start and the Up.
        up(2, 2_500, 1_500),
        at(2, 4_500),
        // Another engine start in the same boot.
        started(5, 6_000, 90_000),
        at(2, 9_500),
        up(3, 9_000, 93_000),
    ];
    let state = replay(&records);
    let found = [1, 2, 3].map(|sequence| state.session(serial(sequence)).unwrap().sampled_at.map(Wall::as_millis));
    assert_eq!(found, [Some(52_000), Some(8_500), None]);
    assert_eq!(state.lives().iter().map(|started| started.epoch).collect::<Vec<_>>(), [4, 5]);
}

#[test]
fn every_event_that_was_taken_over_is_known() {
    let other = TakenOver { plane_epoch: 4, ring: 1, position: 1 };
    let state = replay(&[
        Record::Opened(opened(2, b"")),
        Record::Opened(opened(1, b"")),
        Record::Opened(Opened { taken_over: other, ..opened(3, b"") }),
        Record::Opened(Opened { taken_over: TakenOver::default(), plane: "none", ..opened(4, b"") }),
        Record::Closed(closed(1)),
        bill(7),
    ]);
    let mut positions: Vec<_> = state.taken_over().map(|r| (r.plane, r.plane_epoch, r.ring, r.position)).collect();
    positions.sort_unstable();
    assert_eq!(
        positions,
        [
            ("vpp0", 3, 1, 10),
            ("vpp0", 3, 1, 20),
            ("vpp0", 3, 1, 70),
            ("vpp0", 3, 2, 10),
            ("vpp0", 3, 2, 70),
            ("vpp0", 4, 1, 1),
        ]
    );
}

#[test]
fn memory_follows_the_sessions_that_are_left() {
    let attributes = [1; 3000];
    let mut records = vec![Record::Opened(opened(0, &attributes))];
    for sequence in 1..20_000 {
        records.push(Record::Opened(opened(sequence, &attributes)));
        records.push(Record::Acknowledged(Acknowledged { serial: serial(sequence) }));
    }
    let state = replay(&records);
    let kept = state.arena.octets_kept();
    assert!(kept < 40 << 20, "60 MB were written, {kept} are kept");
    assert_eq!(state.session(serial(0)).unwrap().whole.opened, opened(0, &attributes));
}

#[test]
fn a_session_takes_what_the_headers_say() {
    let entry = size_of::<(SessionKey, Session)>();
    // Slots of eight octets, between five sixteenths and five eighths in use.
    let (least, most) = (entry + 8 * 8 / 5, entry + 16 * 8 / 5);
    assert!((60..=160).contains(&least) && most <= 160, "{least} to {most}");
    assert_eq!(size_of::<crate::pool::BillRef>(), 64);
}

/// What happens to a few sessions.
#[derive(Clone, Debug)]
enum Step {
    Up(u64),
    Whole(u64),
    Down(u64),
    Over(u64),
    /// Each with so many failures.
    Samples(Vec<(u64, u16)>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..6u64).prop_map(Step::Up),
        1 => (0..6u64).prop_map(Step::Whole),
        1 => (0..6u64).prop_map(Step::Down),
        1 => (0..6u64).prop_map(Step::Over),
        4 => prop::collection::vec((0..6u64, any::<u16>()), 1..8).prop_map(Step::Samples),
    ];
    prop::collection::vec(step, 0..30)
}

/// The steps as records: samples together, or each in a record of its own.
fn told(steps: &[Step], together: bool) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for step in steps {
        match step {
            Step::Up(sequence) => records.push(encoded(&Record::Opened(opened(*sequence, b"")))),
            Step::Whole(sequence) => records.push(encoded(&Record::Checkpointed(checkpointed(*sequence, b"w")))),
            Step::Down(sequence) => records.push(encoded(&Record::Closed(closed(*sequence)))),
            Step::Over(sequence) => records.push(encoded(&acknowledged(*sequence))),
            Step::Samples(samples) => {
                let samples = samples.iter().map(|(sequence, failures)| sampled(*sequence, *failures));
                if together {
                    let mut room = [0; Samples::LEN_MAX];
                    let mut writer = SamplesWriter::new(&mut room);
                    samples.for_each(|sampled| writer.push(&sampled).unwrap());
                    records.push(encoded(&Record::SampledMany(writer.finish().unwrap())));
                } else {
                    records.extend(samples.map(|sampled| encoded(&Record::Sampled(sampled))));
                }
            }
        }
    }
    records
}

proptest! {
    #[test]
    fn samples_told_together_are_as_good_as_one_by_one(steps in steps()) {
        let [one_by_one, together] = [false, true].map(|together| told(&steps, together));
        let in_one_batch = [replay_octets(&one_by_one), replay_octets(&together)];
        let records: Vec<_> = together.iter().map(|octets| frame::decode(octets).unwrap()).collect();
        let [expected, found] = &in_one_batch;
        for state in [found, &replay(&records)] {
            for sequence in 0..6 {
                prop_assert_eq!(state.session(serial(sequence)), expected.session(serial(sequence)));
            }
            let counts = |state: &Replay| (state.unknown_sessions(), state.explained_records(), state.session_count());
            prop_assert_eq!(counts(state), counts(expected));
        }
    }
}
