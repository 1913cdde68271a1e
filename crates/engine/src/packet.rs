//! A request as octets: the session's own attributes and the source's, copied as they are, and the few that differ
//! from packet to packet (BEHAVIOUR.md 8.1).

use model::counters::{Counters, Totals};
use model::time::Now;
use wire::radius::attribute::{huawei, kind, status_type};
use wire::radius::encode::Encoder;

use crate::policy::Kind;
use crate::request::Request;

/// Writes the request into `room`, which holds the longest packet, and returns its length. The authenticators are
/// computed later, many at once.
pub(crate) fn encode(
    room: &mut [u8],
    identifier: u8,
    request: &Request,
    own: &[u8],
    nas: &[u8],
    cause: u8,
    now: Now,
) -> usize {
    let mut packet = Encoder::accounting_request(room, identifier);
    packet.raw(own);
    packet.raw(nas);
    packet.u32(kind::ACCT_STATUS_TYPE, match request.kind {
        Kind::Start => status_type::START,
        Kind::Interim => status_type::INTERIM_UPDATE,
        Kind::Stop | Kind::ZeroStop => status_type::STOP,
    });
    // Fixed with the first datagram to this server; the copies that follow are the same octets.
    let delay = now.mono.since(request.event.mono).as_secs();
    packet.u32(kind::ACCT_DELAY_TIME, u32::try_from(delay).unwrap_or(u32::MAX));
    packet.u32(kind::EVENT_TIMESTAMP, request.event.wall.event_timestamp());
    match request.kind {
        Kind::Start => {}
        Kind::Interim => counters(&mut packet, request.session_time_s, &request.counters),
        Kind::Stop => {
            counters(&mut packet, request.session_time_s, &request.counters);
            packet.u32(kind::ACCT_TERMINATE_CAUSE, cause.into());
        }
        Kind::ZeroStop => {
            counters(&mut packet, 0, &Counters::ZERO);
            packet.u32(kind::ACCT_TERMINATE_CAUSE, NAS_ERROR);
        }
    }
    if request.message_authenticator {
        packet.message_authenticator();
    }
    packet.finish()
}

/// Acct-Terminate-Cause of the Stop that ends accounting while the subscriber stays.
const NAS_ERROR: u32 = 9;

fn counters(packet: &mut Encoder<'_>, session_time_s: u32, counters: &Counters) {
    packet.u32(kind::ACCT_SESSION_TIME, session_time_s);
    let Totals { in_octets, in_packets, out_octets, out_packets } = counters.v4;
    packet.u32(kind::ACCT_INPUT_OCTETS, low(in_octets));
    packet.u32(kind::ACCT_OUTPUT_OCTETS, low(out_octets));
    packet.u32(kind::ACCT_INPUT_GIGAWORDS, high(in_octets));
    packet.u32(kind::ACCT_OUTPUT_GIGAWORDS, high(out_octets));
    packet.u32(kind::ACCT_INPUT_PACKETS, low(in_packets));
    packet.u32(kind::ACCT_OUTPUT_PACKETS, low(out_packets));
    if counters.v6 != Totals::default() {
        let Totals { in_octets, in_packets, out_octets, out_packets } = counters.v6;
        packet.vendor_u32(huawei::ID, huawei::ACCT_IPV6_INPUT_OCTETS, low(in_octets));
        packet.vendor_u32(huawei::ID, huawei::ACCT_IPV6_OUTPUT_OCTETS, low(out_octets));
        packet.vendor_u32(huawei::ID, huawei::ACCT_IPV6_INPUT_PACKETS, low(in_packets));
        packet.vendor_u32(huawei::ID, huawei::ACCT_IPV6_OUTPUT_PACKETS, low(out_packets));
        packet.vendor_u32(huawei::ID, huawei::ACCT_IPV6_INPUT_GIGAWORDS, high(in_octets));
        packet.vendor_u32(huawei::ID, huawei::ACCT_IPV6_OUTPUT_GIGAWORDS, high(out_octets));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are what the attribute carries")]
fn low(value: u64) -> u32 {
    value as u32
}

fn high(value: u64) -> u32 {
    (value >> 32) as u32
}
