//! A request as octets: the session's own attributes as its group told them at log-in, the source's, copied as they are, and
//! the few that differ from packet to packet (BEHAVIOUR.md 8.1).

use model::counters::{Counters, Totals};
use model::domain::Terms;
use model::time::{Mono, Now};
use wire::radius::Code;
use wire::radius::attribute::{Type, acct_status_type, acct_terminate_cause, huawei};
use wire::radius::encode::Encoder;

use crate::policy::Kind;
use crate::request::Request;
use crate::run::Run;

/// What a session and its server have in every packet.
pub(crate) struct Constant<'a> {
    /// The session's own attributes.
    pub(crate) own: Run<'a>,
    /// Those of the source.
    pub(crate) nas: &'a [u8],
    /// What the user is called, what counters look like, and what is left out.
    pub(crate) terms: &'a Terms,
    /// Acct-Terminate-Cause, of a Stop.
    pub(crate) cause: u8,
}

/// Writes the request into `room`, which holds the longest packet, and returns its length. The authenticators are
/// computed later, many at once.
pub(crate) fn encode(room: &mut [u8], identifier: u8, request: &Request, constant: &Constant<'_>, now: Now) -> usize {
    let Constant { own, nas, terms, cause } = *constant;
    let mut packet = Encoder::packet(room, Code::ACCOUNTING_REQUEST, identifier);
    let status = match request.kind {
        Kind::Start => acct_status_type::START,
        Kind::Interim => acct_status_type::INTERIM_UPDATE,
        Kind::Stop | Kind::ZeroStop => acct_status_type::STOP,
    };
    // The delay is fixed with the first datagram to this server; the copies that follow are the same octets. What happened
    // before the box was booted can only be measured on the wall.
    let delay = match request.event.mono {
        Mono::ZERO => now.wall.as_millis().saturating_sub(request.event.wall.as_millis()) / 1000,
        event => now.mono.since(event).as_secs(),
    };
    packet
        .raw_on(terms, own.shared)
        .raw_on(terms, own.own)
        .raw(nas)
        .u32(Type::ACCT_STATUS_TYPE, status)
        .u32(Type::ACCT_DELAY_TIME, u32::try_from(delay).unwrap_or(u32::MAX))
        .u32(Type::EVENT_TIMESTAMP, request.event.wall.event_timestamp());
    match request.kind {
        Kind::Start => {}
        Kind::Interim => counters(&mut packet, request.session_time_s, &terms.reported(&request.counters)),
        Kind::Stop => {
            counters(&mut packet, request.session_time_s, &terms.reported(&request.counters));
            packet.u32(Type::ACCT_TERMINATE_CAUSE, cause.into());
        }
        Kind::ZeroStop => {
            counters(&mut packet, 0, &Counters::ZERO);
            packet.u32(Type::ACCT_TERMINATE_CAUSE, acct_terminate_cause::NAS_ERROR);
        }
    }
    if request.message_authenticator {
        packet.message_authenticator();
    }
    packet.finish().expect("a session's own attributes leave room for the others").len()
}

fn counters(packet: &mut Encoder<'_>, session_time_s: u32, counters: &Counters) {
    let Totals { in_octets, in_packets, out_octets, out_packets } = counters.v4;
    packet
        .u32(Type::ACCT_SESSION_TIME, session_time_s)
        .u64(Type::ACCT_INPUT_OCTETS, Type::ACCT_INPUT_GIGAWORDS, in_octets)
        .u64(Type::ACCT_OUTPUT_OCTETS, Type::ACCT_OUTPUT_GIGAWORDS, out_octets)
        .u32(Type::ACCT_INPUT_PACKETS, low(in_packets))
        .u32(Type::ACCT_OUTPUT_PACKETS, low(out_packets));
    if counters.v6 != Totals::default() {
        let Totals { in_octets, in_packets, out_octets, out_packets } = counters.v6;
        packet
            .vendor_u32(huawei::ACCT_IPV6_INPUT_OCTETS, low(in_octets))
            .vendor_u32(huawei::ACCT_IPV6_OUTPUT_OCTETS, low(out_octets))
            .vendor_u32(huawei::ACCT_IPV6_INPUT_PACKETS, low(in_packets))
            .vendor_u32(huawei::ACCT_IPV6_OUTPUT_PACKETS, low(out_packets))
            .vendor_u32(huawei::ACCT_IPV6_INPUT_GIGAWORDS, high(in_octets))
            .vendor_u32(huawei::ACCT_IPV6_OUTPUT_GIGAWORDS, high(out_octets));
    }
}

/// What the attribute carries: the low 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are meant")]
fn low(value: u64) -> u32 {
    value as u32
}

/// The gigawords.
fn high(value: u64) -> u32 {
    (value >> 32) as u32
}
