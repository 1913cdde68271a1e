//! Record → octets.

use std::net::{IpAddr, SocketAddr};

use model::counters::{Counters, Totals};
use model::ids::SessionSerial;
use model::record::{Bill, Closed, Opened, Record, Sampled, Started, TakenOver};
use model::settings::PinnedScheme;
use model::time::Now;

use super::{
    BILL_LEN_FIXED, CLOSED_LEN, COUNTERS_LEN, KIND_ACCEPTED, KIND_ACKNOWLEDGED, KIND_BILLED, KIND_CLOSED, KIND_LEN,
    KIND_OPENED, KIND_SAMPLED, KIND_START_FAILED, KIND_STARTED, NOW_LEN, OPENED_LEN_FIXED, RECORD_LEN_MAX, SERIAL_LEN,
};

/// The record does not fit: into the octets handed in, into [`RECORD_LEN_MAX`], or one of its texts into its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the record is too long")
    }
}

impl std::error::Error for TooLong {}

/// How many octets [`encode`] will write.
pub fn encoded_len(record: &Record<'_>) -> usize {
    KIND_LEN
        + match record {
            Record::Started(_) => 4 + 16 + NOW_LEN + 16,
            Record::Opened(opened) => opened_len(opened),
            Record::Accepted(_) => SERIAL_LEN + 8 + 1,
            Record::StartFailed(_) => SERIAL_LEN + 1,
            Record::Sampled(_) => SERIAL_LEN + 8 + COUNTERS_LEN + 2,
            Record::Closed(_) => CLOSED_LEN,
            Record::Acknowledged(_) => SERIAL_LEN,
            Record::Billed(bill) => BILL_LEN_FIXED - OPENED_LEN_FIXED + opened_len(&bill.opened),
        }
}

fn opened_len(opened: &Opened<'_>) -> usize {
    OPENED_LEN_FIXED
        + opened.plane.len()
        + opened.session.len()
        + opened.domain.len()
        + opened.group.len()
        + opened.attributes.len()
}

/// Writes the record to the front of `out` and says how long it is.
///
/// # Errors
///
/// [`TooLong`]; then `out` holds nothing of use.
pub fn encode(record: &Record<'_>, out: &mut [u8]) -> Result<usize, TooLong> {
    let len = encoded_len(record);
    if len > RECORD_LEN_MAX {
        return Err(TooLong);
    }
    let mut writer = Writer { rest: out.get_mut(..len).ok_or(TooLong)? };
    match record {
        Record::Started(started) => writer.started(started),
        Record::Opened(opened) => {
            writer.put([KIND_OPENED]);
            writer.opened(opened)?;
        }
        Record::Accepted(accepted) => {
            writer.put([KIND_ACCEPTED]);
            writer.serial(accepted.serial);
            writer.put(accepted.at.as_nanos().to_le_bytes());
            writer.put([u8::from(accepted.keep_accounting)]);
        }
        Record::StartFailed(failed) => {
            writer.put([KIND_START_FAILED]);
            writer.serial(failed.serial);
            writer.put([failed.zero_stop as u8]);
        }
        Record::Sampled(sampled) => writer.sampled(sampled),
        Record::Closed(closed) => {
            writer.put([KIND_CLOSED]);
            writer.closed(closed);
        }
        Record::Acknowledged(acknowledged) => {
            writer.put([KIND_ACKNOWLEDGED]);
            writer.serial(acknowledged.serial);
        }
        Record::Billed(bill) => writer.bill(bill)?,
    }
    assert!(writer.rest.is_empty(), "encoded_len agrees with encode");
    Ok(len)
}

/// Writes from front to back. Never runs out, for `encode` made the room.
struct Writer<'a> {
    rest: &'a mut [u8],
}

impl Writer<'_> {
    fn put<const N: usize>(&mut self, octets: [u8; N]) {
        self.text(&octets);
    }

    fn text(&mut self, octets: &[u8]) {
        let (here, rest) = std::mem::take(&mut self.rest).split_at_mut(octets.len());
        here.copy_from_slice(octets);
        self.rest = rest;
    }

    fn started(&mut self, started: &Started) {
        self.put([KIND_STARTED]);
        self.put(started.epoch.to_le_bytes());
        self.put(started.boot_id);
        self.now(started.at);
        self.put(started.key);
    }

    fn sampled(&mut self, sampled: &Sampled) {
        self.put([KIND_SAMPLED]);
        self.serial(sampled.serial);
        self.put(sampled.at.as_nanos().to_le_bytes());
        self.counters(&sampled.counters);
        self.put(sampled.interim_failures.to_le_bytes());
    }

    fn bill(&mut self, bill: &Bill<'_>) -> Result<(), TooLong> {
        self.put([KIND_BILLED]);
        self.put(bill.id.epoch.to_le_bytes());
        self.put(bill.id.sequence.to_le_bytes());
        self.put([bill.reason as u8, bill.delivered as u8, bill.zero_stop as u8]);
        self.server(bill.server);
        self.closed(&bill.closed);
        self.opened(&bill.opened)
    }

    fn serial(&mut self, serial: SessionSerial) {
        self.put(serial.epoch.to_le_bytes());
        self.put(serial.sequence.to_le_bytes());
    }

    fn now(&mut self, now: Now) {
        self.put(now.mono.as_nanos().to_le_bytes());
        self.put(now.wall.as_millis().to_le_bytes());
    }

    fn counters(&mut self, counters: &Counters) {
        for Totals { in_octets, in_packets, out_octets, out_packets } in [counters.v4, counters.v6] {
            self.put(in_octets.to_le_bytes());
            self.put(in_packets.to_le_bytes());
            self.put(out_octets.to_le_bytes());
            self.put(out_packets.to_le_bytes());
        }
    }

    fn taken_over(&mut self, taken_over: TakenOver) {
        self.put(taken_over.plane_epoch.to_le_bytes());
        self.put(taken_over.ring.to_le_bytes());
        self.put(taken_over.position.to_le_bytes());
    }

    fn scheme(&mut self, scheme: PinnedScheme) {
        self.put([scheme.mode as u8, scheme.start_fail as u8]);
        self.put(scheme.interim_s.to_le_bytes());
        self.put([u8::from(scheme.interim_hash), scheme.interim_fail.max_times, scheme.interim_fail.policy as u8]);
    }

    /// The flow label of an IPv6 address is not kept: a server is not named by it.
    fn server(&mut self, server: Option<SocketAddr>) {
        let mut address = [0; 16];
        let (family, port, scope) = match server {
            None => (0, 0, 0),
            Some(server) => match server.ip() {
                IpAddr::V4(v4) => {
                    address[..4].copy_from_slice(&v4.octets());
                    (4, server.port(), 0)
                }
                IpAddr::V6(v6) => {
                    address = v6.octets();
                    (6, server.port(), if let SocketAddr::V6(v6) = server { v6.scope_id() } else { 0 })
                }
            },
        };
        self.put([family]);
        self.put(address);
        self.put(u16::to_le_bytes(port));
        self.put(u32::to_le_bytes(scope));
    }

    fn closed(&mut self, closed: &Closed) {
        self.serial(closed.serial);
        self.taken_over(closed.taken_over);
        self.now(closed.at);
        self.put([closed.cause]);
        self.put(closed.session_time_s.to_le_bytes());
        self.counters(&closed.counters);
    }

    fn opened(&mut self, opened: &Opened<'_>) -> Result<(), TooLong> {
        self.serial(opened.serial);
        self.taken_over(opened.taken_over);
        self.scheme(opened.scheme);
        self.put(opened.interim_s.to_le_bytes());
        self.put(opened.session_timeout_s.to_le_bytes());
        self.now(opened.at);
        self.put(opened.counters.slot.to_le_bytes());
        self.put(opened.counters.generation.to_le_bytes());
        self.counters(&opened.baseline);
        let texts = [opened.plane.as_bytes(), opened.session, opened.domain.as_bytes(), opened.group.as_bytes()];
        for text in texts {
            self.put([u8::try_from(text.len()).map_err(|_| TooLong)?]);
        }
        self.put(u16::try_from(opened.attributes.len()).map_err(|_| TooLong)?.to_le_bytes());
        for text in texts {
            self.text(text);
        }
        self.text(opened.attributes);
        Ok(())
    }
}
