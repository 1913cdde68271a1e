//! BEHAVIOUR.md 4, 5.1 and 8.1: what of a subscriber is counted, and how it is written.

use std::net::Ipv6Addr;

use model::counters::{Counters, Totals};
use model::domain::{DualStack, FlowStatistic, TrafficUnit};
use model::event::{Prefix, Subscriber};
use model::settings::{IntervalUnit, Settings};
use wire::radius::attribute::{Type, as_u32, huawei};
use wire::radius::{Packet, VendorType};

use crate::scene::{Scene, domain, group, plain, scheme};
use crate::stage::Kept;
use crate::vectors::interval;

const V4: Totals = Totals { in_octets: 5_000, in_packets: 5, out_octets: (3 << 32) + 7_000, out_packets: 7 };
const V6: Totals = Totals { in_octets: 600, in_packets: 6, out_octets: (1 << 32) + 800, out_packets: 8 };
const BOTH: Counters = Counters { v4: V4, v6: V6 };

fn each_minute() -> Settings {
    let mut settings = plain(1);
    scheme(&mut settings).interim = interval(60, IntervalUnit::Second, false);
    settings
}

/// The counters as a packet carries them; `None`: no attribute says them.
fn said(packet: &Packet<'_>) -> (Totals, Option<Totals>) {
    let number = |kind| u64::from(packet.find(kind).and_then(as_u32).unwrap());
    let vendor = |kind: VendorType| {
        let found = packet.vendor_attributes().find(|attribute| attribute.kind == kind);
        found.and_then(|attribute| as_u32(attribute.value)).map(u64::from)
    };
    let v4 = Totals {
        in_octets: number(Type::ACCT_INPUT_GIGAWORDS) << 32 | number(Type::ACCT_INPUT_OCTETS),
        in_packets: number(Type::ACCT_INPUT_PACKETS),
        out_octets: number(Type::ACCT_OUTPUT_GIGAWORDS) << 32 | number(Type::ACCT_OUTPUT_OCTETS),
        out_packets: number(Type::ACCT_OUTPUT_PACKETS),
    };
    let v6 = vendor(huawei::ACCT_IPV6_INPUT_OCTETS).map(|low| Totals {
        in_octets: vendor(huawei::ACCT_IPV6_INPUT_GIGAWORDS).unwrap() << 32 | low,
        in_packets: vendor(huawei::ACCT_IPV6_INPUT_PACKETS).unwrap(),
        out_octets: vendor(huawei::ACCT_IPV6_OUTPUT_GIGAWORDS).unwrap() << 32
            | vendor(huawei::ACCT_IPV6_OUTPUT_OCTETS).unwrap(),
        out_packets: vendor(huawei::ACCT_IPV6_OUTPUT_PACKETS).unwrap(),
    });
    (v4, v6)
}

/// Plays an interim and a Stop, and expects both to say this. The ledger has the octets that count, whatever the wire says.
#[track_caller]
fn check(settings: &Settings, counted: Counters, expected: (Totals, Option<Totals>)) {
    let mut scene = Scene::new(settings).up("a", 1).counts(1, BOTH).pass(61);
    assert_eq!(said(&scene.sent.last().unwrap().packet()), expected, "the interim");
    scene.stage.down_with("a", 1, Some(BOTH));
    let scene = scene.pass(1);
    assert_eq!(said(&scene.sent.last().unwrap().packet()), expected, "the Stop");
    let closed = scene.stage.records.iter().find_map(|record| match record {
        Kept::Closed(closed) => Some(closed.counters),
        _ => None,
    });
    assert_eq!(closed, Some(counted));
}

#[test]
fn flow_statistic_masks_a_direction() {
    let mut settings = each_minute();
    domain(&mut settings).flow_statistic = FlowStatistic { up: true, down: false };
    let up = |totals: Totals| Totals { out_octets: 0, out_packets: 0, ..totals };
    check(&settings, Counters { v4: up(V4), v6: up(V6) }, (up(V4), Some(up(V6))));
    domain(&mut settings).flow_statistic = FlowStatistic { up: false, down: false };
    check(&settings, Counters::ZERO, (Totals::default(), None));
}

#[test]
fn dual_stack_separate() {
    check(&each_minute(), BOTH, (V4, Some(V6)));
}

#[test]
fn dual_stack_identical() {
    let mut settings = each_minute();
    domain(&mut settings).dual_stack = DualStack::Identical;
    check(&settings, BOTH, (V4.plus(V6), None));
}

/// The octets of the page: 2 gigawords and 3,430,311,100 more.
#[test]
fn vector_14_12020245692_octets_are_gigawords_2_and_3430311100() {
    let scene = Scene::new(&plain(1)).up("a", 1).pass(1).down_with("a", 1, Some(12_020_245_692)).pass(1);
    let said = (scene.last(Type::ACCT_INPUT_GIGAWORDS), scene.last(Type::ACCT_INPUT_OCTETS));
    assert_eq!(said, (Some(2), Some(3_430_311_100)));
}

#[test]
fn row_5_1_traffic_unit_divides_octets_in_requests_and_replayable_bills() {
    let mut settings = each_minute();
    group(&mut settings).traffic_unit = TrafficUnit::Kbyte;
    let scaled =
        |totals: Totals| Totals { in_octets: totals.in_octets / 1024, out_octets: totals.out_octets / 1024, ..totals };
    check(&settings, BOTH, (scaled(V4), Some(scaled(V6))));
}

/// Whatever is configured meanwhile, and in a new life.
#[test]
fn a_session_keeps_what_it_took_at_log_in() {
    let mut settings = each_minute();
    group(&mut settings).traffic_unit = TrafficUnit::Mbyte;
    domain(&mut settings).flow_statistic = FlowStatistic { up: true, down: false };
    let later = each_minute();
    let mut scene = Scene::new(&settings).up("a", 1).counts(1, BOTH).pass(1).commit(&later).up("b", 2).counts(2, BOTH);
    for _ in 0..2 {
        scene = scene.pass(61);
        let of = |user: &str| said(&scene.sent.iter().rev().find(|asked| asked.user() == user).unwrap().packet());
        let expected = Totals { in_octets: 0, in_packets: 5, ..Totals::default() };
        assert_eq!(of("a"), (expected, Some(Totals { in_packets: 6, ..Totals::default() })));
        assert_eq!(of("b"), (V4, Some(V6)));
        scene = scene.restart(2, &later, &[("a", 1), ("b", 2)]);
    }
}

/// RFC 3162, RFC 4818, RFC 6911.
#[test]
fn row_8_1_ipv6_attributes_are_in_every_packet() {
    let address: Ipv6Addr = "2001:db8:9::9".parse().unwrap();
    let prefix = |address: &str, length| Some(Prefix { address: address.parse().unwrap(), length });
    let subscriber = Subscriber {
        interface_id: Some(0x0102_0304_0506_0708),
        framed_ipv6_prefix: prefix("2001:db8:0:1::", 64),
        delegated_prefix: prefix("2001:db8:100::", 40),
        framed_ipv6_address: Some(address),
        ..Subscriber::default()
    };
    let scene = Scene::new(&each_minute()).up_as("a", 1, subscriber).pass(61).down("a").pass(1);
    assert_eq!(scene.sent.len(), 3);
    for asked in &scene.sent {
        let packet = asked.packet();
        assert_eq!(packet.find(Type::FRAMED_INTERFACE_ID), Some(&[1, 2, 3, 4, 5, 6, 7, 8][..]));
        assert_eq!(packet.find(Type::FRAMED_IPV6_PREFIX).map(|value| &value[..2]), Some(&[0, 64][..]));
        assert_eq!(packet.find(Type::DELEGATED_IPV6_PREFIX).map(|value| &value[..2]), Some(&[0, 40][..]));
        assert_eq!(packet.find(Type::FRAMED_IPV6_ADDRESS), Some(&address.octets()[..]));
    }
}
