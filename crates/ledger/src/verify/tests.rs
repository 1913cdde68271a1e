use super::*;
use crate::bill::{Bill, BillFile};
use crate::log::{LogBounds, Request};
use crate::recover::Life;
use model::counters::{CounterSlot, Counters, Totals};
use model::domain::{Allowance, Terms};
use model::ids::SessionSerial;
use model::record::{BillReason, Closed, Delivered, Opened, Record, TakenOver, ZeroStop};
use model::settings::PinnedScheme;
use model::time::{Mono, Now, Wall};

fn record(id: BillId) -> model::record::Bill<'static> {
    let serial = SessionSerial { epoch: 7, sequence: id.sequence };
    let v4 = Totals { in_octets: (5 << 32) + 1, out_octets: 1000, ..Totals::default() };
    let v6 = Totals { in_octets: 7, out_octets: 6 << 32, ..Totals::default() };
    model::record::Bill {
        id,
        reason: BillReason::StopUnanswered,
        delivered: Delivered::No,
        zero_stop: ZeroStop::Unknown,
        server: None,
        nas_address: None,
        opened: Opened {
            serial,
            taken_over: TakenOver::default(),
            plane: "vpp0",
            session: b"s\n1",
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
            attributes: b"\x01\x0dal\n\n\tA = 1,",
        },
        closed: Closed {
            serial,
            taken_over: TakenOver::default(),
            at: Now { mono: Mono::ZERO, wall: Wall::from_millis(1_795_000_009_250) },
            cause: 1,
            session_time_s: 9,
            counters: Counters { v4, v6 },
        },
    }
}

fn id(sequence: u64) -> BillId {
    BillId { epoch: 7, sequence }
}

const FORMATS: [Format; 3] = [Format::Detail, Format::Csv, Format::Json];

fn file(format: Format, sequences: impl IntoIterator<Item = u64>) -> (String, Manifest) {
    let mut file = BillFile::new(format, "BNG1");
    for sequence in sequences {
        file.push(&Bill::new("BNG1", record(id(sequence)))).unwrap();
    }
    file.finish("bills.lam", Wall::from_millis(0))
}

#[test]
fn a_file_that_is_as_it_was_made_has_no_fault() {
    for format in FORMATS {
        for count in [0, 1, 3] {
            let (text, manifest) = file(format, 1..=count);
            let verdict = bill_file(text.as_bytes(), &manifest);
            assert_eq!((verdict.bills, verdict.faults), (count, vec![]), "{format:?}");
            assert_eq!(verdict.octets.in_octets, count * ((5 << 32) + 1));
            assert_eq!(verdict.octets.v6_out_octets, count * (6 << 32));
        }
    }
}

#[test]
fn a_lost_line_is_seen_in_every_way_there_is() {
    for format in FORMATS {
        let (_, manifest) = file(format, 1..=3);
        let (text, _) = file(format, [1, 3]);
        let faults = bill_file(text.as_bytes(), &manifest).faults;
        assert!(faults.contains(&FileFault::Sha256));
        assert!(faults.contains(&FileFault::Count { expected: 3, found: 2 }));
        assert!(faults.iter().any(|fault| matches!(fault, FileFault::Octets { .. })));
        let gap = FileFault::Gap(Gap { first: id(2), count: 1 });
        assert_eq!(faults.contains(&gap), format != Format::Detail);
    }
}

#[test]
fn gaps_disorder_and_wrong_ends_are_named() {
    for format in FORMATS {
        // The file is as it was made; the bills in it are not all there.
        let (text, manifest) = file(format, [1, 2, 5]);
        let gap = Gap { first: id(if format == Format::Detail { 2 } else { 3 }), count: 2 };
        let verdict = bill_file(text.as_bytes(), &manifest);
        assert_eq!((verdict.faults, verdict.elsewhere), (vec![], vec![gap]), "bills in other hands are no fault");
        let other = Manifest { sha256: [0; 32], ..manifest };
        let verdict = bill_file(text.as_bytes(), &other);
        assert_eq!((verdict.faults, verdict.elsewhere), (vec![FileFault::Sha256, FileFault::Gap(gap)], vec![]));

        let (text, manifest) = file(format, [1, 2, 2]);
        let fault = if format == Format::Detail { FileFault::Ends } else { FileFault::Order(id(2)) };
        assert_eq!(bill_file(text.as_bytes(), &manifest).faults, [fault]);

        let (text, manifest) = file(format, [3, 4]);
        let wrong = Manifest { first_id: Some(id(4)), ..manifest };
        assert_eq!(bill_file(text.as_bytes(), &wrong).faults, [FileFault::Ends]);
    }
}

#[test]
fn a_changed_octet_is_seen() {
    for format in FORMATS {
        let (text, manifest) = file(format, 1..=2);
        let text = text.into_bytes();
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 0x20;
            assert!(bill_file(&changed, &manifest).faults.contains(&FileFault::Sha256));
        }
        let cut = &text[..text.len() - 3];
        let faults = bill_file(cut, &manifest).faults;
        if format != Format::Csv {
            assert!(faults.iter().any(|fault| matches!(fault, FileFault::Malformed { .. })), "{format:?} {faults:?}");
        }
    }
}

#[test]
fn files_one_behind_the_other_show_the_gap_between_them() {
    let mut ids = Ids::default();
    for id in [id(3), id(4), id(7), BillId { epoch: 8, sequence: 1 }, BillId { epoch: 9, sequence: 2 }] {
        ids.push(id);
    }
    assert_eq!(ids.gaps(), [Gap { first: id(5), count: 2 }]);
    let before = |epoch, count| Gap { first: BillId { epoch, sequence: 1 }, count };
    assert_eq!(ids.gaps_from_one(), [before(7, 2), Gap { first: id(5), count: 2 }, before(9, 1)]);
}

/// A store with five bills, one batch each, in one segment.
fn store() -> (Vec<u8>, Vec<usize>) {
    let (_, start) = Recovery::new(BillBook::new()).finish().unwrap();
    let life = Life { boot_id: [0; 16], at: Now::default(), fresh_store: [1; 16], fresh_key: [2; 16] };
    let (mut log, _) = start.begin(life, LogBounds::new(65_536, 5120).unwrap());
    let mut octets = vec![0; 65_536];
    let mut places = Vec::new();
    for _ in 0..6 {
        while let Some(operation) = log.poll_operation() {
            if let Request::Write { offset, bytes, .. } = operation.request {
                let offset = usize::try_from(offset).unwrap();
                octets[offset..offset + bytes.len()].copy_from_slice(bytes);
                places.push(offset);
            }
            let id = operation.id;
            log.handle_completed(id, Ok(()), Mono::ZERO);
        }
        let mut room = [0; 1000];
        let len = crate::frame::encode(&Record::Billed(record(BillId::default())), &mut room).unwrap();
        log.append(&room[..len]).unwrap();
    }
    (octets, places)
}

fn check(octets: &[u8]) -> StoreVerdict {
    let mut check = StoreCheck::new();
    check.segment(1, octets);
    check.finish().unwrap()
}

#[test]
fn a_store_is_sound_or_says_what_it_lacks() {
    let (octets, places) = store();
    let verdict = check(&octets);
    assert!(verdict.is_sound(), "{verdict:?}");
    assert_eq!((verdict.bills, verdict.octets.in_octets), (5, 5 * ((5 << 32) + 1 + 7)));

    // The first batch holds the start, the third the second bill.
    let mut damaged = octets.clone();
    damaged[places[2] + 100] ^= 1;
    let verdict = check(&damaged);
    assert!(!verdict.is_sound());
    assert_eq!((verdict.bills, verdict.report.records_lost), (4, 1));
    assert_eq!(verdict.gaps, [Gap { first: BillId { epoch: 1, sequence: 2 }, count: 1 }]);
}
