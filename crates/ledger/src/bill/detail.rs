//! A bill as the Stop that no server acknowledged: one complete Accounting-Request in detail text.
//!
//! The session's own attributes stand first, as they were on the wire: the user's name in the form that its group had at log-in,
//! and without what that did without. Acct-Delay-Time is zero and the entry's time is that of the event, so that a detail reader,
//! which adds what has passed since, computes the true delay.

use std::net::IpAddr;

use model::counters::{Counters, Totals};
use model::ids::RELAY_PLANE;
use model::settings::AccountingMode;
use wire::radius::attribute::{Type, acct_status_type, huawei};
use wire::radius::encode::Encoder;

use super::{Bill, NoPacket};

/// As long as the attributes of a packet may be: 4,096 octets less its header (RFC 2866 section 3).
const RUN_LEN_MAX: usize = 4096 - 20;

pub(super) fn write(bill: &Bill<'_>, out: &mut String) -> Result<(), NoPacket> {
    if bill.record.opened.scheme.mode == AccountingMode::Hwtacacs {
        return Err(NoPacket::Hwtacacs);
    }
    let closed = &bill.record.closed;
    let mut room = [0; RUN_LEN_MAX];
    let mut run = Encoder::run(&mut room);
    run.raw_on(&bill.record.opened.terms, bill.record.opened.attributes);
    // Another NAS says who it is.
    let is_relayed = bill.record.opened.plane.starts_with(RELAY_PLANE);
    if bill.subscriber.nas_identifier.is_none() && !is_relayed {
        run.bytes(Type::NAS_IDENTIFIER, bill.nas.as_bytes());
    }
    match bill.record.nas_address {
        Some(IpAddr::V4(address)) => {
            run.ipv4(Type::NAS_IP_ADDRESS, address);
        }
        Some(IpAddr::V6(address)) => {
            run.ipv6(Type::NAS_IPV6_ADDRESS, address);
        }
        None => {}
    }
    run.u32(Type::ACCT_STATUS_TYPE, acct_status_type::STOP)
        .u32(Type::ACCT_DELAY_TIME, 0)
        .u32(Type::EVENT_TIMESTAMP, closed.at.wall.event_timestamp())
        .u32(Type::ACCT_SESSION_TIME, closed.session_time_s);
    counters(&mut run, &bill.record.opened.terms.reported(&closed.counters));
    run.u32(Type::ACCT_TERMINATE_CAUSE, closed.cause.into());
    let run = run.finish().map_err(|_| NoPacket::TooLong)?;
    // Writing to a string does not fail.
    let _ = wire::detail::write_entry(out, closed.at.wall, run);
    Ok(())
}

fn counters(run: &mut Encoder<'_>, counters: &Counters) {
    let Totals { in_octets, in_packets, out_octets, out_packets } = counters.v4;
    run.u64(Type::ACCT_INPUT_OCTETS, Type::ACCT_INPUT_GIGAWORDS, in_octets)
        .u64(Type::ACCT_OUTPUT_OCTETS, Type::ACCT_OUTPUT_GIGAWORDS, out_octets)
        .u32(Type::ACCT_INPUT_PACKETS, low(in_packets))
        .u32(Type::ACCT_OUTPUT_PACKETS, low(out_packets));
    if counters.v6 != Totals::default() {
        let Totals { in_octets, in_packets, out_octets, out_packets } = counters.v6;
        run.vendor_u32(huawei::ACCT_IPV6_INPUT_OCTETS, low(in_octets))
            .vendor_u32(huawei::ACCT_IPV6_OUTPUT_OCTETS, low(out_octets))
            .vendor_u32(huawei::ACCT_IPV6_INPUT_PACKETS, low(in_packets))
            .vendor_u32(huawei::ACCT_IPV6_OUTPUT_PACKETS, low(out_packets))
            .vendor_u32(huawei::ACCT_IPV6_INPUT_GIGAWORDS, high(in_octets))
            .vendor_u32(huawei::ACCT_IPV6_OUTPUT_GIGAWORDS, high(out_octets));
    }
}

/// What a 32-bit attribute carries of it.
#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are meant")]
fn low(value: u64) -> u32 {
    value as u32
}

/// The gigawords.
fn high(value: u64) -> u32 {
    (value >> 32) as u32
}
