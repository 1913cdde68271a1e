//! Records and octets, both ways.

mod support;

use std::net::{IpAddr, SocketAddr};

use ledger::frame::{self, DecodeError, RECORD_LEN_MAX, TooLong};
use model::counters::{CounterSlot, Counters, Totals};
use model::ids::{BillId, SessionSerial};
use model::record::{
    Accepted, Acknowledged, Bill, BillReason, Closed, Delivered, Opened, Record, Sampled, StartFailed, Started,
    TakenOver, ZeroStop,
};
use model::settings::{AccountingMode, InterimFail, InterimFailPolicy, PinnedScheme, StartFail};
use model::time::{Mono, Now, Wall};
use proptest::prelude::*;
use support::records;

#[test]
fn the_longest_session_fits() {
    let attributes = [0x19; 13 * 255 + 160];
    let name = "n".repeat(64);
    let mut bill = records::bill(1, 1);
    bill.opened = Opened {
        plane: &name[..32],
        session: &[b's'; 64],
        domain: &name,
        group: &name[..32],
        ..records::opened(1, &attributes)
    };
    let octets = records::octets(&Record::Billed(bill));
    assert!(octets.len() <= RECORD_LEN_MAX);
    assert_eq!(frame::decode(&octets), Ok(Record::Billed(bill)));
}

#[test]
fn what_is_too_long_is_refused() {
    let check = |record: &Record<'_>, room: usize| frame::encode(record, &mut vec![0; room]);
    let small = records::acknowledged(1);
    assert_eq!(check(&small, 13), Ok(13));
    assert_eq!(check(&small, 12), Err(TooLong));
    let long_name = "n".repeat(256);
    let opened = Opened { domain: &long_name, ..records::opened(1, b"") };
    assert_eq!(check(&Record::Opened(opened), RECORD_LEN_MAX), Err(TooLong));
    let attributes = [1; RECORD_LEN_MAX];
    assert_eq!(check(&Record::Opened(records::opened(1, &attributes)), 2 * RECORD_LEN_MAX), Err(TooLong));
}

#[test]
fn a_bill_is_numbered_in_place_and_nothing_else_is() {
    let id = BillId { epoch: 7, sequence: 42 };
    let mut octets = records::octets(&Record::Billed(records::bill(1, 1)));
    frame::number_bill(&mut octets, id);
    assert_eq!(frame::decode(&octets), Ok(Record::Billed(Bill { id, ..records::bill(1, 1) })));

    let mut octets = records::octets(&records::acknowledged(1));
    frame::number_bill(&mut octets, id);
    assert_eq!(frame::decode(&octets), Ok(records::acknowledged(1)));
}

#[test]
fn octets_that_are_no_record_are_refused_by_name() {
    let good = records::octets(&Record::Billed(records::bill(1, 1)));
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: DecodeError| {
        let mut octets = good.clone();
        change(&mut octets);
        assert_eq!(frame::decode(&octets), Err(expected));
    };
    check(&|octets| octets.clear(), DecodeError::Truncated);
    check(&|octets| octets.truncate(octets.len() - 1), DecodeError::Truncated);
    check(&|octets| octets.push(0), DecodeError::Trailing);
    check(&|octets| octets[0] = 0, DecodeError::UnknownKind(0));
    check(&|octets| octets[0] = 99, DecodeError::UnknownKind(99));
    let reason_at = 1 + 4 + 8;
    check(&|octets| octets[reason_at] = 0, DecodeError::BadValue);
    let server_at = reason_at + 3;
    check(&|octets| octets[server_at] = 5, DecodeError::BadValue);
    check(&|octets| octets[server_at] = 0, DecodeError::BadValue);
    let plane_at = good.windows(4).position(|window| window == b"vpp0").unwrap();
    check(&|octets| octets[plane_at] = 0xFF, DecodeError::BadText);
}

#[derive(Clone, Debug)]
struct Texts {
    plane: String,
    session: Vec<u8>,
    domain: String,
    group: String,
    attributes: Vec<u8>,
}

prop_compose! {
    fn texts()(
        plane in "[a-z]{0,32}", session in prop::collection::vec(any::<u8>(), 0..=64), domain in "\\PC{0,16}",
        group in "[a-z]{0,32}", attributes in prop::collection::vec(any::<u8>(), 0..=3000),
    ) -> Texts {
        Texts { plane, session, domain, group, attributes }
    }
}

prop_compose! {
    fn serials()(epoch: u32, sequence: u64) -> SessionSerial { SessionSerial { epoch, sequence } }
}

prop_compose! {
    fn nows()(mono: u64, wall: u64) -> Now {
        Now { mono: Mono::from_nanos(mono), wall: Wall::from_millis(wall) }
    }
}

prop_compose! {
    fn taken_overs()(plane_epoch: u64, ring: u16, position: u64) -> TakenOver {
        TakenOver { plane_epoch, ring, position }
    }
}

prop_compose! {
    fn counters()(n: [u64; 8]) -> Counters {
        let totals = |n: &[u64]| {
            Totals { in_octets: n[0], in_packets: n[1], out_octets: n[2], out_packets: n[3] }
        };
        Counters { v4: totals(&n[..4]), v6: totals(&n[4..]) }
    }
}

prop_compose! {
    fn schemes()(
        mode in prop::sample::select(vec![AccountingMode::None, AccountingMode::Radius]),
        start_fail in prop::sample::select(
            vec![StartFail::Online, StartFail::OnlineKeepAccounting, StartFail::Offline]),
        interim_s: u32, interim_hash: bool, max_times: u8,
        policy in prop::sample::select(vec![InterimFailPolicy::Online, InterimFailPolicy::Offline]),
    ) -> PinnedScheme {
        PinnedScheme { mode, start_fail, interim_s, interim_hash, interim_fail: InterimFail { max_times, policy } }
    }
}

prop_compose! {
    fn closeds()(
        serial in serials(), taken_over in taken_overs(), at in nows(), cause: u8, session_time_s: u32,
        counters in counters(),
    ) -> Closed {
        Closed { serial, taken_over, at, cause, session_time_s, counters }
    }
}

prop_compose! {
    /// An `opened` whose texts are empty.
    fn openeds()(
        serial in serials(), taken_over in taken_overs(), scheme in schemes(), interim_s: u32,
        session_timeout_s: u32, at in nows(), slot: u32, generation: u32, baseline in counters(),
    ) -> Opened<'static> {
        Opened {
            serial, taken_over, plane: "", session: b"", domain: "", group: "", scheme, interim_s,
            session_timeout_s, at, counters: CounterSlot { slot, generation }, baseline, attributes: b"",
        }
    }
}

fn servers() -> impl Strategy<Value = Option<SocketAddr>> {
    prop::option::of((any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from))
}

fn zero_stops() -> impl Strategy<Value = ZeroStop> {
    prop::sample::select(vec![ZeroStop::Unknown, ZeroStop::Acknowledged])
}

prop_compose! {
    /// A bill whose texts are empty.
    fn bills()(
        epoch: u32, sequence: u64, zero_stop in zero_stops(), server in servers(), closed in closeds(),
        opened in openeds(), delivered in prop::sample::select(vec![Delivered::No, Delivered::Unknown]),
        reason in prop::sample::select(vec![
            BillReason::StopUnanswered, BillReason::StartFailed, BillReason::QueueDropped, BillReason::Rebooted]),
    ) -> Bill<'static> {
        Bill { id: BillId { epoch, sequence }, reason, delivered, zero_stop, server, opened, closed }
    }
}

/// Records without texts.
fn plain() -> impl Strategy<Value = Record<'static>> {
    prop_oneof![
        (any::<u32>(), any::<[u8; 16]>(), nows(), any::<[u8; 16]>())
            .prop_map(|(epoch, boot_id, at, key)| Record::Started(Started { epoch, boot_id, at, key })),
        (serials(), any::<u64>(), any::<bool>()).prop_map(|(serial, at, keep_accounting)| {
            Record::Accepted(Accepted { serial, at: Mono::from_nanos(at), keep_accounting })
        }),
        (serials(), zero_stops())
            .prop_map(|(serial, zero_stop)| Record::StartFailed(StartFailed { serial, zero_stop })),
        (serials(), any::<u64>(), counters(), any::<u16>()).prop_map(|(serial, at, counters, interim_failures)| {
            Record::Sampled(Sampled { serial, at: Mono::from_nanos(at), counters, interim_failures })
        }),
        closeds().prop_map(Record::Closed),
        serials().prop_map(|serial| Record::Acknowledged(Acknowledged { serial })),
        openeds().prop_map(Record::Opened),
        bills().prop_map(Record::Billed),
    ]
}

/// The same record with its texts.
fn with_texts<'a>(record: Record<'static>, texts: &'a Texts) -> Record<'a> {
    let fill = |opened: Opened<'static>| Opened {
        plane: &texts.plane,
        session: &texts.session,
        domain: &texts.domain,
        group: &texts.group,
        attributes: &texts.attributes,
        ..opened
    };
    match record {
        Record::Opened(opened) => Record::Opened(fill(opened)),
        Record::Billed(bill) => Record::Billed(Bill { opened: fill(bill.opened), ..bill }),
        other => other,
    }
}

proptest! {
    #[test]
    fn a_record_comes_back_as_it_went(record in plain(), texts in texts()) {
        let record = with_texts(record, &texts);
        let octets = records::octets(&record);
        prop_assert_eq!(octets.len(), frame::encoded_len(&record));
        prop_assert_eq!(frame::decode(&octets), Ok(record));
    }

    #[test]
    fn octets_that_decode_encode_to_themselves(octets in prop::collection::vec(any::<u8>(), 0..600), kind in 0u8..10) {
        let mut octets = octets;
        if let Some(first) = octets.first_mut() { *first = kind; }
        if let Ok(record) = frame::decode(&octets) {
            prop_assert_eq!(records::octets(&record), octets);
        }
    }

    #[test]
    fn a_changed_octet_never_panics_and_never_goes_unseen(
        record in plain(), texts in texts(), at: prop::sample::Index, bits in 1u8..,
    ) {
        let record = with_texts(record, &texts);
        let mut octets = records::octets(&record);
        let at = at.index(octets.len());
        octets[at] ^= bits;
        if let Ok(other) = frame::decode(&octets) {
            prop_assert_ne!(other, record);
            prop_assert_eq!(records::octets(&other), octets);
        }
    }
}
