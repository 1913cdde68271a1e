//! Records and octets, both ways.

mod support;

use std::net::{IpAddr, SocketAddr};

use ledger::frame::{self, DecodeError, RECORD_LEN_MAX, TooLong};
use model::counters::{CounterSlot, Counters, Totals};
use model::domain::{Allowance, DualStack, FlowStatistic, StartDelay, Terms, TrafficUnit, UserTypes};
use model::ids::{BillId, SessionSerial};
use model::record::{
    Accepted, Acknowledged, Announced, Announcement, Bill, BillReason, BillRun, BillRuns, BillStore, Booted,
    Checkpointed, Claimed, Closed, Delivered, Departed, Departure, Heard, Opened, Record, Returned, Sampled,
    StartFailed, Started, TakenOver, TransferAbandoned, TransferBegun, ZeroStop,
};
use model::samples::{Samples, SamplesWriter};
use model::settings::{
    AccountingMode, BillFormat, InterfaceName, InterimFail, InterimFailPolicy, OptionalAttribute, OptionalAttributes,
    PinnedScheme, ServerPath, StartFail,
};
use model::time::{Mono, Now, Wall};
use model::verdict::CutBy;
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

/// Octets as text: pairs of hexadecimal digits, blanks where they help.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|digit| !digit.is_whitespace()).collect();
    let pair = |pair: &[char]| pair.iter().filter_map(|digit| digit.to_digit(16)).fold(0, |high, low| 16 * high + low);
    digits.chunks(2).map(|digits| u8::try_from(pair(digits)).expect("two digits")).collect()
}

/// A record and its octets, both ways; every shorter piece is refused, and so is a longer one.
fn check_vector(record: &Record<'_>, text: &str) {
    let expected = hex(text);
    let octets = records::octets(record);
    assert_eq!(octets, expected, "{record:?}");
    assert_eq!(frame::decode(&expected), Ok(*record));
    for len in 0..expected.len() {
        assert_eq!(frame::decode(&expected[..len]), Err(DecodeError::Truncated), "{record:?} cut to {len}");
    }
    let longer = [&expected[..], &[0]].concat();
    assert_eq!(frame::decode(&longer), Err(DecodeError::Trailing), "{record:?} and one more");
}

/// Engine start, first number and count of each run.
type Runs<'r> = &'r [(u32, u64, u32)];

fn runs_of(runs: Runs<'_>) -> Vec<u8> {
    let mut octets = Vec::new();
    for &(epoch, sequence, count) in runs {
        BillRun { first: BillId { epoch, sequence }, count }.push_to(&mut octets);
    }
    octets
}

#[test]
fn records_of_bills_and_rings_stand_on_the_disk_as_documented() {
    let runs = runs_of(&[(1, 2, 3), (2, 1, 1)]);
    let bills = BillRuns::from_octets(&runs).expect("they ascend");
    let run_text = "2000  01000000 0200000000000000 03000000  02000000 0100000000000000 01000000";
    let id = BillId { epoch: 7, sequence: 258 };

    let heard = Heard { plane: "vpp0", plane_epoch: 9, ring: 3, through: 4096, shard: 1, shard_count: 4 };
    check_vector(&Record::Heard(heard), "0a 0900000000000000 0300 0010000000000000 0100 0400 04 76707030");
    let server = ServerPath::from(SocketAddr::from(([192, 0, 2, 7], 1813)));
    let boot_id = *b"a boot of a box!";
    let announced = Announced { server, boot_id, state: Announcement::Told };
    let octets = "11 04 c0000207 000000000000000000000000 1507 00000000 6120626f6f74206f66206120626f7821 02";
    check_vector(&Record::Announced(announced), &format!("{octets} 00"));
    let server = ServerPath { vpn: InterfaceName::new("aaa"), ..server };
    check_vector(&Record::Announced(Announced { server, ..announced }), &format!("{octets} 03 616161"));
    check_vector(&Record::Booted(Booted { boot_id }), "12 6120626f6f74206f66206120626f7821");
    let begun = TransferBegun {
        number: 5,
        store: BillStore::Cfcard,
        file: "f.csv",
        format: BillFormat::ALL[0],
        nas: "bng",
        created: Wall::from_millis(256),
        bills,
        size: 1000,
        sha256: [0xAB; 32],
    };
    let format = format!("{:02x}", BillFormat::ALL[0] as u8);
    check_vector(
        &Record::TransferBegun(begun),
        &format!(
            "0b 0500000000000000 02 {format} 0001000000000000 e803000000000000 {} 05 03 662e637376 626e67 {run_text}",
            "ab".repeat(32)
        ),
    );
    let abandoned = TransferAbandoned { number: 5, may_be_there: true };
    check_vector(&Record::TransferAbandoned(abandoned), "0c 0500000000000000 01");
    let departed = Departed {
        store: BillStore::Cache,
        departure: Departure::Reset,
        transfer: 0,
        at: Wall::from_millis(1),
        bills,
        in_octets: 16,
        out_octets: 32,
    };
    check_vector(
        &Record::Departed(departed),
        &format!("0d 01 04 0000000000000000 0100000000000000 1000000000000000 2000000000000000 {run_text}"),
    );
    check_vector(&Record::Claimed(Claimed { id }), "0e 07000000 0201000000000000");
    check_vector(&Record::Returned(Returned { id, was_sent: true }), "0f 07000000 0201000000000000 01");
}

#[test]
fn what_a_session_took_at_log_in_stands_on_the_disk_as_documented() {
    let terms = Terms {
        flow: FlowStatistic { up: true, down: false },
        dual_stack: DualStack::Identical,
        traffic_unit: TrafficUnit::Mbyte,
        start_delay: Some(StartDelay { seconds: 300, offline: true, user_types: UserTypes::default() }),
        ipv4_starts: true,
        without_domain: true,
        left_out: OptionalAttributes::NONE.with(OptionalAttribute::CallingStationId).with(OptionalAttribute::NasPortId),
    };
    let allowance = Allowance { timeout_at: Mono::from_nanos(5), quota_at: Mono::from_nanos(6), volume: 7 };
    let scheme = PinnedScheme { no_send_remain_s: 258, ..PinnedScheme::default() };
    let opened = Opened { scheme, terms, allowance, ..records::opened(1, b"") };
    let octets = records::octets(&Record::Opened(opened));
    let at = 1 + 12 + 18 + 10;
    let expected = "0201  3e 02 2c01 05 82  0500000000000000 0600000000000000 0700000000000000";
    assert_eq!(octets[at..at + 32], hex(expected));
    assert_eq!(frame::decode(&octets), Ok(Record::Opened(opened)));
    // Each of these would be read as something that encodes otherwise, or as nothing at all.
    for (place, value) in [(2, 0x7e), (3, 4), (6, 0), (6, 16)] {
        let mut octets = octets.clone();
        octets[at + place] = value;
        assert_eq!(frame::decode(&octets), Err(DecodeError::BadValue), "{value} at {place}");
    }
    let mut undelayed = octets;
    undelayed[at + 4..at + 6].fill(0);
    assert_eq!(frame::decode(&undelayed), Err(DecodeError::BadValue), "who is delayed, and for no time");
}

#[test]
fn a_session_written_again_whole_stands_on_the_disk_as_documented() {
    let opened = records::opened(1, b"\x01\x03a");
    let tail = |record: &Record<'_>, skipped: usize| records::octets(record)[skipped..].to_vec();
    let serial = records::serial(1);
    let accepted = Accepted { serial, at: Mono::from_nanos(77), keep_accounting: true };
    let start_failed = StartFailed { serial, zero_stop: ZeroStop::Acknowledged };
    let (sampled, closed) = (records::sampled(1, 5), records::closed(1, 6));
    let none = Checkpointed { opened, accepted: None, start_failed: None, sampled: None, closed: None };
    let (of_accepted, of_failed) =
        (tail(&Record::Accepted(accepted), 13), tail(&Record::StartFailed(start_failed), 13));
    let (of_sampled, of_closed) = (tail(&Record::Sampled(sampled), 13), tail(&Record::Closed(closed), 1));
    let cases: [(Checkpointed<'_>, u8, Vec<&[u8]>); 5] = [
        (none, 0, vec![]),
        (Checkpointed { accepted: Some(accepted), ..none }, 1, vec![&of_accepted]),
        (Checkpointed { start_failed: Some(start_failed), ..none }, 2, vec![&of_failed]),
        (Checkpointed { sampled: Some(sampled), closed: Some(closed), ..none }, 12, vec![&of_sampled, &of_closed]),
        (
            Checkpointed { accepted: Some(accepted), sampled: Some(sampled), closed: Some(closed), ..none },
            13,
            vec![&of_accepted, &of_sampled, &of_closed],
        ),
    ];
    for (session, what, parts) in cases {
        let expected = [&[9, what][..], &tail(&Record::Opened(opened), 1), &parts.concat()].concat();
        let text: String = expected.iter().map(|octet| format!("{octet:02x}")).collect();
        check_vector(&Record::Checkpointed(session), &text);
    }
}

#[test]
fn samples_of_many_sessions_stand_on_the_disk_as_documented() {
    let v4 = Totals { in_octets: 1, in_packets: 200, out_octets: 0, out_packets: 3 };
    let v6 = Totals { out_packets: 1, ..Totals::default() };
    let plain = Sampled {
        serial: SessionSerial { epoch: 2, sequence: 10 },
        at: Mono::from_nanos(1),
        counters: Counters { v4, v6: Totals::default() },
        interim_failures: 0,
        cut: None,
    };
    let next = Sampled { serial: SessionSerial { epoch: 2, sequence: 9 }, ..plain };
    let last =
        Sampled { at: Mono::ZERO, counters: Counters { v4: Totals::default(), v6 }, interim_failures: 256, ..next };
    let mut room = [0; 64];
    let mut writer = SamplesWriter::new(&mut room);
    [plain, next, last].iter().for_each(|sampled| writer.push(sampled).expect("there is room"));
    let text = "13 1d00 \
        03 05 29 05 03 2203 01 07 \
        00 03 03 2203 01 07 \
        0e 01 03 01 01 01 01 01 01 01 03 0204";
    check_vector(&Record::SampledMany(writer.finish().expect("three")), &text.replace(' ', ""));
}

#[test]
fn records_of_later_kinds_with_impossible_values_are_refused() {
    let whole = Checkpointed {
        opened: records::opened(1, b""),
        accepted: None,
        start_failed: Some(StartFailed { serial: records::serial(1), zero_stop: ZeroStop::Unknown }),
        sampled: None,
        closed: Some(records::closed(1, 1)),
    };
    let heard = Heard { plane: "p", plane_epoch: 1, ring: 1, through: 1, shard: 0, shard_count: 1 };
    let abandoned = Record::TransferAbandoned(TransferAbandoned { number: 1, may_be_there: false });
    let runs = runs_of(&[(1, 5, 2)]);
    let departed = Departed {
        store: BillStore::Cache,
        departure: Departure::Moved,
        transfer: 1,
        at: Wall::from_millis(1),
        bills: BillRuns::from_octets(&runs).expect("one run"),
        in_octets: 0,
        out_octets: 0,
    };
    let returned = Record::Returned(Returned { id: BillId { epoch: 1, sequence: 1 }, was_sent: false });
    let closed_at = records::octets(&Record::Checkpointed(whole)).len()
        - records::octets(&Record::Closed(records::closed(1, 1))).len()
        + 1;
    // (record, octet, value, error)
    let cases = [
        (Record::Checkpointed(whole), 1, 16, DecodeError::BadValue), // nothing is called so
        (Record::Checkpointed(whole), 1, 1 | 2 | 8, DecodeError::BadValue), // accepted and failed
        (Record::Checkpointed(whole), closed_at, 9, DecodeError::BadValue), // another session has ended
        (Record::Heard(heard), 1 + 8 + 2 + 8, 1, DecodeError::BadValue), // the second shard of one
        (Record::Heard(heard), 1 + 8 + 2 + 8 + 4 + 1, 0xFF, DecodeError::BadText),
        (abandoned, 9, 2, DecodeError::BadValue),
        (Record::Departed(departed), 1, 3, DecodeError::BadValue), // no such store
        (Record::Departed(departed), 2, 0, DecodeError::BadValue), // no such departure
        (Record::Departed(departed), 1 + 1 + 1 + 32, 15, DecodeError::Trailing), // no whole run, and one octet left
        (Record::Departed(departed), 1 + 1 + 1 + 32 + 2 + 12, 0, DecodeError::BadValue), // a run of none
        (returned, 13, 9, DecodeError::BadValue),
    ];
    for (record, at, value, expected) in cases {
        let mut octets = records::octets(&record);
        octets[at] = value;
        let found = frame::decode(&octets);
        // A length that cuts a run is a bad value before it leaves something behind.
        let expected = if expected == DecodeError::Trailing { DecodeError::BadValue } else { expected };
        assert_eq!(found, Err(expected), "{record:?} with {value} at {at}");
    }
}

#[test]
fn runs_of_bills_ascend() {
    let last = u64::MAX;
    let cases: [(Runs<'_>, bool); 12] = [
        (&[], true),
        (&[(1, 1, 1)], true),
        (&[(1, 1, 2), (1, 3, 1)], true),  // side by side
        (&[(1, 1, 2), (1, 4, 1)], true),  // with a gap
        (&[(1, 9, 2), (2, 1, 1)], true),  // a later engine start begins anew
        (&[(1, 1, 0)], false),            // none
        (&[(1, 1, 2), (1, 2, 1)], false), // one twice
        (&[(1, 3, 1), (1, 1, 1)], false), // descending
        (&[(2, 1, 1), (1, 9, 1)], false), // of an earlier start
        (&[(1, last, 1)], false),         // no number follows it
        (&[(1, last - 1, 1)], true),
        (&[(1, last - 1, 1), (2, 1, 1)], true),
    ];
    for (runs, is_good) in cases {
        let octets = runs_of(runs);
        let read = BillRuns::from_octets(&octets);
        assert_eq!(read.is_some(), is_good, "{runs:?}");
        if let Some(read) = read {
            let found: Vec<_> = read.iter().map(|run| (run.first.epoch, run.first.sequence, run.count)).collect();
            assert_eq!(found, runs);
            assert_eq!(read.count(), runs.iter().map(|(.., count)| u64::from(*count)).sum::<u64>());
        }
    }
    let many: Vec<_> = (0..=200).map(|number| (1, 1 + 2 * number, 1)).collect();
    assert!(BillRuns::from_octets(&runs_of(&many[..200])).is_some());
    assert!(BillRuns::from_octets(&runs_of(&many)).is_none(), "201 runs are too many");
    assert!(BillRuns::from_octets(&runs_of(&many[..1])[..15]).is_none(), "an octet is missing");
}

#[test]
fn the_longest_lists_of_bills_fit() {
    let many: Vec<_> = (0..200).map(|number| (1, 1 + 2 * number, 1)).collect();
    let runs = runs_of(&many);
    let name = "n".repeat(255);
    let begun = TransferBegun {
        number: u64::MAX,
        store: BillStore::Cache,
        file: &name,
        format: BillFormat::ALL[0],
        nas: &name,
        created: Wall::from_millis(1),
        bills: BillRuns::from_octets(&runs).expect("200 runs"),
        size: u64::MAX,
        sha256: [1; 32],
    };
    let octets = records::octets(&Record::TransferBegun(begun));
    assert_eq!(frame::decode(&octets), Ok(Record::TransferBegun(begun)));
}

#[derive(Clone, Debug)]
struct Texts {
    plane: String,
    session: Vec<u8>,
    domain: String,
    group: String,
    attributes: Vec<u8>,
    file: String,
    /// Runs of bills.
    bills: Vec<u8>,
    /// Samples of many sessions.
    samples: Vec<u8>,
}

prop_compose! {
    fn texts()(
        plane in "[a-z]{0,32}", session in prop::collection::vec(any::<u8>(), 0..=64), domain in "\\PC{0,16}",
        group in "[a-z]{0,32}", attributes in prop::collection::vec(any::<u8>(), 0..=3000),
        file in "[a-z.-]{0,80}", bills in bill_runs(), samples in samples_of_many(),
    ) -> Texts {
        Texts { plane, session, domain, group, attributes, file, bills, samples }
    }
}

prop_compose! {
    /// Samples of at least one session, as many as fit.
    fn samples_of_many()(
        samples in prop::collection::vec((serials(), any::<u64>(), counters(), any::<u16>()), 1..60),
    ) -> Vec<u8> {
        let mut room = [0; Samples::LEN_MAX];
        let mut writer = SamplesWriter::new(&mut room);
        for (serial, at, counters, interim_failures) in samples {
            let sampled = Sampled { serial, at: Mono::from_nanos(at), counters, interim_failures, cut: None };
            if writer.push(&sampled).is_err() {
                break;
            }
        }
        writer.finish().map_or(Vec::new(), |samples| samples.octets().to_vec())
    }
}

prop_compose! {
    /// Runs in ascending order, at most 200.
    fn bill_runs()(
        steps in prop::collection::vec((prop::bool::weighted(0.1), 0u64..1000, 1u32..1000), 0..=200),
    ) -> Vec<u8> {
        let mut octets = Vec::new();
        let mut end = BillId { epoch: 1, sequence: 1 };
        for (is_later_start, gap, count) in steps {
            if is_later_start {
                end = BillId { epoch: end.epoch + 1, sequence: 1 };
            }
            let first = BillId { sequence: end.sequence + gap, ..end };
            BillRun { first, count }.push_to(&mut octets);
            end = BillId { sequence: first.sequence + u64::from(count), ..end };
        }
        octets
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
        interim_s: u32, interim_hash: bool, interim_traffic: bool, send_update: bool, shadow: bool, max_times: u8,
        no_send_remain_s: u16,
        policy in prop::sample::select(vec![InterimFailPolicy::Online, InterimFailPolicy::Offline]),
    ) -> PinnedScheme {
        PinnedScheme {
            mode, start_fail, interim_s, interim_hash, interim_traffic, send_update, shadow, no_send_remain_s,
            interim_fail: InterimFail { max_times, policy },
        }
    }
}

prop_compose! {
    fn all_terms()(
        up: bool, down: bool, dual_stack in prop::sample::select(vec![DualStack::Separate, DualStack::Identical]),
        traffic_unit in prop::sample::select(TrafficUnit::ALL.to_vec()), ipv4_starts: bool, without_domain: bool,
        left_out: u8,
        start_delay in prop::option::of((1u16.., any::<bool>(), 1u8..=15)),
    ) -> Terms {
        let start_delay = start_delay.map(|(seconds, offline, types)| StartDelay {
            seconds, offline, user_types: UserTypes::from_bits(types).expect("somebody"),
        });
        let left_out = OptionalAttributes::from_bits(left_out);
        let flow = FlowStatistic { up, down };
        Terms { flow, dual_stack, traffic_unit, start_delay, ipv4_starts, without_domain, left_out }
    }
}

prop_compose! {
    fn allowances()(timeout_at: u64, quota_at: u64, volume: u64) -> Allowance {
        Allowance { timeout_at: Mono::from_nanos(timeout_at), quota_at: Mono::from_nanos(quota_at), volume }
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
        terms in all_terms(), allowance in allowances(), session_timeout_s: u32, at in nows(), slot: u32, generation: u32, baseline in counters(),
    ) -> Opened<'static> {
        Opened {
            serial, taken_over, plane: "", session: b"", domain: "", group: "", scheme, terms, allowance, interim_s,
            session_timeout_s, at, counters: CounterSlot { slot, generation }, baseline, attributes: b"",
        }
    }
}

fn servers() -> impl Strategy<Value = Option<SocketAddr>> {
    prop::option::of((any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from))
}

fn cuts() -> impl Strategy<Value = Option<CutBy>> {
    prop::sample::select(vec![None, Some(CutBy::InterimFail), Some(CutBy::Operator), Some(CutBy::Disconnect)])
}

fn zero_stops() -> impl Strategy<Value = ZeroStop> {
    prop::sample::select(vec![ZeroStop::Unknown, ZeroStop::Acknowledged])
}

prop_compose! {
    /// A bill whose texts are empty.
    fn bills()(
        epoch: u32, sequence: u64, zero_stop in zero_stops(), server in servers(),
        nas_address in prop::option::of(any::<IpAddr>()), closed in closeds(),
        opened in openeds(), delivered in prop::sample::select(vec![Delivered::No, Delivered::Unknown]),
        reason in prop::sample::select(vec![
            BillReason::StopUnanswered, BillReason::StartFailed, BillReason::QueueDropped, BillReason::Rebooted]),
    ) -> Bill<'static> {
        Bill { id: BillId { epoch, sequence }, reason, delivered, zero_stop, server, nas_address, opened, closed }
    }
}

prop_compose! {
    /// A session written again whole, whose texts are empty.
    fn checkpointeds()(
        opened in openeds(), start in prop::option::of(prop::bool::ANY), at: u64, keep_accounting: bool,
        zero_stop in zero_stops(), sampled in prop::option::of((any::<u64>(), counters(), any::<u16>(), cuts())),
        closed in prop::option::of(closeds()),
    ) -> Checkpointed<'static> {
        let serial = opened.serial;
        let accepted = Accepted { serial, at: Mono::from_nanos(at), keep_accounting };
        Checkpointed {
            opened,
            accepted: (start == Some(true)).then_some(accepted),
            start_failed: (start == Some(false)).then_some(StartFailed { serial, zero_stop }),
            sampled: sampled.map(|(at, counters, interim_failures, cut)| {
                Sampled { serial, at: Mono::from_nanos(at), counters, interim_failures, cut }
            }),
            closed: closed.map(|closed| Closed { serial, ..closed }),
        }
    }
}

fn stores() -> impl Strategy<Value = BillStore> {
    prop::sample::select(vec![BillStore::Cache, BillStore::Cfcard])
}

fn bill_ids() -> impl Strategy<Value = BillId> {
    (any::<u32>(), any::<u64>()).prop_map(|(epoch, sequence)| BillId { epoch, sequence })
}

fn departures() -> impl Strategy<Value = Departure> {
    prop::sample::select(vec![
        Departure::Transferred,
        Departure::Moved,
        Departure::Replayed,
        Departure::Reset,
        Departure::Dropped,
    ])
}

/// No bills; [`with_texts`] fills them in.
fn no_bills() -> BillRuns<'static> {
    BillRuns::from_octets(b"").expect("none at all")
}

/// Nothing of one session; [`with_texts`] fills others in.
fn one_sample() -> Samples<'static> {
    Samples::from_octets(&[0, 1, 1, 1, 1, 1]).expect("five zeros")
}

/// What is said of rings, bills and their transfers, without texts.
fn later_kinds() -> impl Strategy<Value = Record<'static>> {
    prop_oneof![
        checkpointeds().prop_map(Record::Checkpointed),
        (any::<[u8; 16]>(), any::<u16>(), any::<[u8; 16]>(), 1..=3_u8).prop_map(|(address, port, boot_id, state)| {
            let vpn = InterfaceName::new(["", "aaa", "fifteen-octets!"][usize::from(port % 3)]);
            let server = ServerPath { vpn, ..ServerPath::from(SocketAddr::from((address, port))) };
            let state = Announcement::from_u8(state).unwrap_or(Announcement::Due);
            Record::Announced(Announced { server, boot_id, state })
        }),
        any::<[u8; 16]>().prop_map(|boot_id| Record::Booted(Booted { boot_id })),
        (any::<u64>(), any::<u16>(), any::<u64>(), any::<u16>(), 1..=u16::MAX).prop_map(
            |(plane_epoch, ring, through, shard, shard_count)| {
                let shard = shard % shard_count;
                Record::Heard(Heard { plane: "", plane_epoch, ring, through, shard, shard_count })
            }
        ),
        (
            any::<u64>(),
            stores(),
            prop::sample::select(BillFormat::ALL.to_vec()),
            any::<u64>(),
            any::<u64>(),
            any::<[u8; 32]>()
        )
            .prop_map(|(number, store, format, created, size, sha256)| {
                let created = Wall::from_millis(created);
                Record::TransferBegun(TransferBegun {
                    number,
                    store,
                    file: "",
                    format,
                    nas: "",
                    created,
                    bills: no_bills(),
                    size,
                    sha256,
                })
            }),
        (any::<u64>(), any::<bool>()).prop_map(|(number, may_be_there)| {
            Record::TransferAbandoned(TransferAbandoned { number, may_be_there })
        }),
        (stores(), departures(), any::<[u64; 4]>()).prop_map(
            |(store, departure, [transfer, at, in_octets, out_octets])| {
                let at = Wall::from_millis(at);
                Record::Departed(Departed { store, departure, transfer, at, bills: no_bills(), in_octets, out_octets })
            }
        ),
        bill_ids().prop_map(|id| Record::Claimed(Claimed { id })),
        (bill_ids(), any::<bool>()).prop_map(|(id, was_sent)| Record::Returned(Returned { id, was_sent })),
    ]
}

/// Records without texts.
fn plain() -> impl Strategy<Value = Record<'static>> {
    prop_oneof![
        1 => (any::<u32>(), any::<[u8; 16]>(), nows(), any::<[u8; 16]>())
            .prop_map(|(epoch, boot_id, at, key)| Record::Started(Started { epoch, boot_id, at, key })),
        1 => (serials(), any::<u64>(), any::<bool>()).prop_map(|(serial, at, keep_accounting)| {
            Record::Accepted(Accepted { serial, at: Mono::from_nanos(at), keep_accounting })
        }),
        1 => (serials(), zero_stops())
            .prop_map(|(serial, zero_stop)| Record::StartFailed(StartFailed { serial, zero_stop })),
        1 => (serials(), any::<u64>(), counters(), any::<u16>(), cuts()).prop_map(|(serial, at, counters, interim_failures, cut)| {
            Record::Sampled(Sampled { serial, at: Mono::from_nanos(at), counters, interim_failures, cut })
        }),
        1 => Just(Record::SampledMany(one_sample())),
        1 => closeds().prop_map(Record::Closed),
        1 => serials().prop_map(|serial| Record::Acknowledged(Acknowledged { serial })),
        1 => openeds().prop_map(Record::Opened),
        1 => bills().prop_map(Record::Billed),
        4 => later_kinds(),
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
        Record::Checkpointed(session) => Record::Checkpointed(Checkpointed { opened: fill(session.opened), ..session }),
        Record::Heard(heard) => Record::Heard(Heard { plane: &texts.plane, ..heard }),
        Record::TransferBegun(begun) => {
            Record::TransferBegun(TransferBegun { file: &texts.file, nas: &texts.group, bills: runs(texts), ..begun })
        }
        Record::Departed(departed) => Record::Departed(Departed { bills: runs(texts), ..departed }),
        Record::SampledMany(_) => {
            Record::SampledMany(Samples::from_octets(&texts.samples).expect("they were written so"))
        }
        other => other,
    }
}

fn runs(texts: &Texts) -> BillRuns<'_> {
    BillRuns::from_octets(&texts.bills).expect("they ascend")
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
    fn a_record_that_was_cut_is_none(record in plain(), texts in texts(), at: prop::sample::Index) {
        let octets = records::octets(&with_texts(record, &texts));
        prop_assert!(frame::decode(&octets[..at.index(octets.len())]).is_err());
    }

    #[test]
    fn octets_that_decode_encode_to_themselves(octets in prop::collection::vec(any::<u8>(), 0..600), kind in 0u8..20) {
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
