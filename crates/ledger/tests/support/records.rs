//! Records, and their octets.

use ledger::frame;
use model::counters::{Counters, Totals};
use model::domain::{Allowance, Terms};
use model::ids::{BillId, SessionSerial};
use model::record::{Acknowledged, Bill, BillReason, Closed, Delivered, Opened, Record, Sampled, TakenOver, ZeroStop};
use model::settings::PinnedScheme;

use super::at;

pub(crate) fn octets(record: &Record<'_>) -> Vec<u8> {
    let mut out = vec![0; frame::RECORD_LEN_MAX];
    let len = frame::encode(record, &mut out).expect("it fits");
    out.truncate(len);
    out
}

pub(crate) fn serial(sequence: u64) -> SessionSerial {
    SessionSerial { epoch: 1, sequence }
}

pub(crate) fn counters(octets: u64) -> Counters {
    let v4 = Totals { in_octets: octets, in_packets: octets / 100, out_octets: 10 * octets, out_packets: octets / 10 };
    Counters { v4, v6: Totals::default() }
}

pub(crate) fn opened(sequence: u64, attributes: &[u8]) -> Opened<'_> {
    Opened {
        serial: serial(sequence),
        taken_over: TakenOver { plane_epoch: 3, ring: 1, position: sequence },
        plane: "vpp0",
        session: b"s1",
        domain: "isp",
        group: "g1",
        scheme: PinnedScheme::default(),
        interim_s: 600,
        terms: Terms::default(),
        allowance: Allowance::default(),
        session_timeout_s: 86_400,
        at: at(sequence),
        counters: Default::default(),
        baseline: Counters::ZERO,
        attributes,
    }
}

pub(crate) fn closed(sequence: u64, octets: u64) -> Closed {
    Closed {
        serial: serial(sequence),
        taken_over: TakenOver { plane_epoch: 3, ring: 1, position: 1000 + sequence },
        at: at(sequence + 9),
        cause: 1,
        session_time_s: 9,
        counters: counters(octets),
    }
}

pub(crate) fn sampled(sequence: u64, octets: u64) -> Sampled {
    Sampled {
        serial: serial(sequence),
        at: at(sequence).mono,
        counters: counters(octets),
        interim_failures: 0,
        cut: None,
    }
}

pub(crate) fn bill(sequence: u64, octets: u64) -> Bill<'static> {
    Bill {
        id: BillId::default(),
        reason: BillReason::StopUnanswered,
        delivered: Delivered::Unknown,
        zero_stop: ZeroStop::Unknown,
        server: Some(([127, 0, 0, 1], 1813).into()),
        nas_address: Some([127, 0, 0, 1].into()),
        opened: opened(sequence, b"\x01\x0balice@isp"),
        closed: closed(sequence, octets),
    }
}

pub(crate) fn acknowledged(sequence: u64) -> Record<'static> {
    Record::Acknowledged(Acknowledged { serial: serial(sequence) })
}
