use super::*;
use model::counters::{CounterSlot, Counters, Totals};
use model::ids::BillId;
use model::record::{Acknowledged, Bill, BillReason, Delivered, TakenOver, ZeroStop};
use model::settings::PinnedScheme;
use model::time::{Mono, Now};

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
    Sampled { serial: serial(sequence), at: Mono::from_nanos(6), counters: Counters::ZERO, interim_failures }
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
        opened: opened(1, b"new"),
        accepted: Some(accepted(1)),
        start_failed: None,
        sampled: Some(sampled(1, 2)),
        closed: None,
    };
    assert_eq!(state.sessions().collect::<Vec<_>>(), [expected]);
}

#[test]
fn a_closed_session_is_owed_a_stop_until_it_is_acknowledged_or_billed() {
    let failed = StartFailed { serial: serial(1), zero_stop: ZeroStop::Acknowledged };
    let up = [Record::Opened(opened(1, b"")), Record::StartFailed(failed), Record::Closed(closed(1))];
    let state = replay(&up);
    let session = state.session(serial(1)).unwrap();
    assert_eq!((session.start_failed, session.closed), (Some(failed), Some(closed(1))));

    let acknowledged = Record::Acknowledged(Acknowledged { serial: serial(1) });
    let state = replay(&[&up[..], &[acknowledged]].concat());
    assert_eq!((state.session_count(), state.bills().len()), (0, 0));

    let state = replay(&[&up[..], &[bill(1)]].concat());
    assert_eq!((state.session_count(), state.bills().len()), (0, 1));
    let found = state.bills()[0];
    assert_eq!((found.id, found.in_octets, found.out_octets), (BillId { epoch: 1, sequence: 1 }, 200, 2000));
}

#[test]
fn records_of_unknown_sessions_are_counted_and_a_bill_stands_alone() {
    let state = replay(&[
        Record::Accepted(accepted(8)),
        Record::Sampled(sampled(8, 0)),
        Record::Closed(closed(8)),
        Record::Acknowledged(Acknowledged { serial: serial(8) }),
        bill(9),
    ]);
    assert_eq!((state.unknown_sessions(), state.session_count(), state.bills().len()), (4, 0, 1));
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
    assert!(state.arena.len() < 40 << 20, "60 MB were written, {} are kept", state.arena.len());
    assert_eq!(state.session(serial(0)).unwrap().opened, opened(0, &attributes));
}

#[test]
fn a_session_takes_what_the_headers_say() {
    let entry = size_of::<(SessionSerial, u32)>() + 1;
    // The index is kept at most seven eighths full.
    assert!((200..=230).contains(&(size_of::<Session>() + entry * 8 / 7)), "{}", size_of::<Session>());
    assert_eq!(size_of::<BillRef>(), 64);
}
