//! Record → octets.

use std::net::{IpAddr, SocketAddr};

use model::counters::{Counters, Totals};
use model::domain::{Allowance, DualStack, Terms};
use model::ids::{BillId, SessionSerial};
use model::record::{
    Announced, Bill, BillRuns, Checkpointed, Closed, Departed, Heard, Opened, Record, Sampled, Started, TakenOver,
    TransferBegun,
};
use model::samples::Samples;
use model::settings::{InterfaceName, PinnedScheme};
use model::time::Now;

use super::{
    ANNOUNCED_LEN_FIXED, BILL_ID_LEN, BILL_LEN_FIXED, CLOSED_LEN, DEPARTED_LEN_FIXED, HAS_ACCEPTED, HAS_CLOSED,
    HAS_SAMPLED, HAS_START_FAILED, HEARD_LEN_FIXED, KIND_ACCEPTED, KIND_ACKNOWLEDGED, KIND_ANNOUNCED, KIND_BILLED,
    KIND_BOOTED, KIND_CHECKPOINTED, KIND_CLAIMED, KIND_CLOSED, KIND_DEPARTED, KIND_HEARD, KIND_LEN, KIND_OPENED,
    KIND_RETURNED, KIND_SAMPLED, KIND_SAMPLED_MANY, KIND_START_FAILED, KIND_STARTED, KIND_TRANSFER_ABANDONED,
    KIND_TRANSFER_BEGUN, NOW_LEN, OPENED_LEN_FIXED, RECORD_LEN_MAX, SAMPLE_LEN, SAMPLED_MANY_LEN_FIXED,
    SCHEME_SEND_UPDATE, SCHEME_SHADOW, SCHEME_TRAFFIC, SERIAL_LEN, TERMS_DELAY_OFFLINE, TERMS_DOWN_UNCOUNTED,
    TERMS_IDENTICAL, TERMS_IPV4_STARTS, TERMS_UP_UNCOUNTED, TERMS_WITHOUT_DOMAIN, TRANSFER_BEGUN_LEN_FIXED,
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
            Record::Sampled(_) => SERIAL_LEN + SAMPLE_LEN,
            Record::SampledMany(samples) => SAMPLED_MANY_LEN_FIXED + samples.octets().len(),
            Record::Closed(_) => CLOSED_LEN,
            Record::Acknowledged(_) => SERIAL_LEN,
            Record::Billed(bill) => BILL_LEN_FIXED - OPENED_LEN_FIXED + opened_len(&bill.opened),
            Record::Checkpointed(checkpointed) => checkpointed_len(checkpointed),
            Record::Heard(heard) => HEARD_LEN_FIXED + heard.plane.len(),
            Record::TransferBegun(begun) => {
                TRANSFER_BEGUN_LEN_FIXED + begun.file.len() + begun.nas.len() + begun.bills.octets().len()
            }
            Record::TransferAbandoned(_) => 8 + 1,
            Record::Departed(departed) => DEPARTED_LEN_FIXED + departed.bills.octets().len(),
            Record::Claimed(_) => BILL_ID_LEN,
            Record::Returned(_) => BILL_ID_LEN + 1,
            Record::Announced(announced) => ANNOUNCED_LEN_FIXED + vpn(announced).len(),
            Record::Booted(_) => 16,
        }
}

/// The VRF of the server, empty for none.
fn vpn(announced: &Announced) -> &str {
    announced.server.vpn.as_ref().map_or("", InterfaceName::as_str)
}

fn checkpointed_len(checkpointed: &Checkpointed<'_>) -> usize {
    let parts = [
        (checkpointed.accepted.is_some(), 8 + 1),
        (checkpointed.start_failed.is_some(), 1),
        (checkpointed.sampled.is_some(), SAMPLE_LEN),
        (checkpointed.closed.is_some(), CLOSED_LEN),
    ];
    let following: usize = parts.iter().map(|&(is_there, len)| if is_there { len } else { 0 }).sum();
    1 + opened_len(&checkpointed.opened) + following
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
        Record::SampledMany(samples) => writer.sampled_many(*samples)?,
        Record::Closed(closed) => {
            writer.put([KIND_CLOSED]);
            writer.closed(closed);
        }
        Record::Acknowledged(acknowledged) => {
            writer.put([KIND_ACKNOWLEDGED]);
            writer.serial(acknowledged.serial);
        }
        Record::Billed(bill) => writer.bill(bill)?,
        Record::Checkpointed(checkpointed) => writer.checkpointed(checkpointed)?,
        Record::Heard(heard) => writer.heard(heard)?,
        Record::TransferBegun(begun) => writer.transfer_begun(begun)?,
        Record::TransferAbandoned(abandoned) => {
            writer.put([KIND_TRANSFER_ABANDONED]);
            writer.put(abandoned.number.to_le_bytes());
            writer.put([u8::from(abandoned.may_be_there)]);
        }
        Record::Departed(departed) => writer.departed(departed)?,
        Record::Claimed(claimed) => {
            writer.put([KIND_CLAIMED]);
            writer.bill_id(claimed.id);
        }
        Record::Announced(announced) => {
            writer.put([KIND_ANNOUNCED]);
            writer.server(Some(announced.server.address));
            writer.put(announced.boot_id);
            writer.put([announced.state as u8]);
            let vpn = vpn(announced);
            writer.put([u8::try_from(vpn.len()).map_err(|_| TooLong)?]);
            writer.text(vpn.as_bytes());
        }
        Record::Booted(booted) => {
            writer.put([KIND_BOOTED]);
            writer.put(booted.boot_id);
        }
        Record::Returned(returned) => {
            writer.put([KIND_RETURNED]);
            writer.bill_id(returned.id);
            writer.put([u8::from(returned.was_sent)]);
        }
    }
    assert!(writer.rest.is_empty(), "encoded_len agrees with encode");
    Ok(len)
}

/// What a `sampled` record says beside its serial.
pub(crate) fn encode_sample(sampled: &Sampled) -> [u8; SAMPLE_LEN] {
    let mut sample = [0; SAMPLE_LEN];
    Writer { rest: &mut sample }.sample(sampled);
    sample
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
        self.sample(sampled);
    }

    fn sample(&mut self, sampled: &Sampled) {
        self.put(sampled.at.as_nanos().to_le_bytes());
        self.counters(&sampled.counters);
        self.put(sampled.interim_failures.to_le_bytes());
        self.put([sampled.cut.map_or(0, |by| by as u8)]);
    }

    fn bill_id(&mut self, id: BillId) {
        self.put(id.epoch.to_le_bytes());
        self.put(id.sequence.to_le_bytes());
    }

    fn runs(&mut self, runs: BillRuns<'_>) -> Result<(), TooLong> {
        self.put(u16::try_from(runs.octets().len()).map_err(|_| TooLong)?.to_le_bytes());
        self.text(runs.octets());
        Ok(())
    }

    fn sampled_many(&mut self, samples: Samples<'_>) -> Result<(), TooLong> {
        self.put([KIND_SAMPLED_MANY]);
        self.put(u16::try_from(samples.octets().len()).map_err(|_| TooLong)?.to_le_bytes());
        self.text(samples.octets());
        Ok(())
    }

    fn checkpointed(&mut self, checkpointed: &Checkpointed<'_>) -> Result<(), TooLong> {
        let flag = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
        self.put([KIND_CHECKPOINTED]);
        self.put([flag(checkpointed.accepted.is_some(), HAS_ACCEPTED)
            | flag(checkpointed.start_failed.is_some(), HAS_START_FAILED)
            | flag(checkpointed.sampled.is_some(), HAS_SAMPLED)
            | flag(checkpointed.closed.is_some(), HAS_CLOSED)]);
        self.opened(&checkpointed.opened)?;
        if let Some(accepted) = &checkpointed.accepted {
            self.put(accepted.at.as_nanos().to_le_bytes());
            self.put([u8::from(accepted.keep_accounting)]);
        }
        if let Some(failed) = &checkpointed.start_failed {
            self.put([failed.zero_stop as u8]);
        }
        if let Some(sampled) = &checkpointed.sampled {
            self.sample(sampled);
        }
        if let Some(closed) = &checkpointed.closed {
            self.closed(closed);
        }
        Ok(())
    }

    fn heard(&mut self, heard: &Heard<'_>) -> Result<(), TooLong> {
        self.put([KIND_HEARD]);
        self.put(heard.plane_epoch.to_le_bytes());
        self.put(heard.ring.to_le_bytes());
        self.put(heard.through.to_le_bytes());
        self.put(heard.shard.to_le_bytes());
        self.put(heard.shard_count.to_le_bytes());
        self.put([u8::try_from(heard.plane.len()).map_err(|_| TooLong)?]);
        self.text(heard.plane.as_bytes());
        Ok(())
    }

    fn transfer_begun(&mut self, begun: &TransferBegun<'_>) -> Result<(), TooLong> {
        self.put([KIND_TRANSFER_BEGUN]);
        self.put(begun.number.to_le_bytes());
        self.put([begun.store as u8, begun.format as u8]);
        self.put(begun.created.as_millis().to_le_bytes());
        self.put(begun.size.to_le_bytes());
        self.put(begun.sha256);
        for text in [begun.file, begun.nas] {
            self.put([u8::try_from(text.len()).map_err(|_| TooLong)?]);
        }
        self.text(begun.file.as_bytes());
        self.text(begun.nas.as_bytes());
        self.runs(begun.bills)
    }

    fn departed(&mut self, departed: &Departed<'_>) -> Result<(), TooLong> {
        self.put([KIND_DEPARTED]);
        self.put([departed.store as u8, departed.departure as u8]);
        self.put(departed.transfer.to_le_bytes());
        self.put(departed.at.as_millis().to_le_bytes());
        self.put(departed.in_octets.to_le_bytes());
        self.put(departed.out_octets.to_le_bytes());
        self.runs(departed.bills)
    }

    fn bill(&mut self, bill: &Bill<'_>) -> Result<(), TooLong> {
        self.put([KIND_BILLED]);
        self.bill_id(bill.id);
        self.put([bill.reason as u8, bill.delivered as u8, bill.zero_stop as u8]);
        self.server(bill.server);
        self.address(bill.nas_address);
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
        let switch = |is_on: bool, bit: u8| if is_on { bit } else { 0 };
        self.put([switch(scheme.interim_traffic, SCHEME_TRAFFIC)
            | switch(scheme.send_update, SCHEME_SEND_UPDATE)
            | switch(scheme.shadow, SCHEME_SHADOW)]);
        self.put(scheme.no_send_remain_s.to_le_bytes());
    }

    fn terms(&mut self, terms: Terms) {
        let switch = |is_on: bool, bit: u8| if is_on { bit } else { 0 };
        let delay = terms.start_delay;
        self.put([switch(!terms.flow.up, TERMS_UP_UNCOUNTED)
            | switch(!terms.flow.down, TERMS_DOWN_UNCOUNTED)
            | switch(terms.dual_stack == DualStack::Identical, TERMS_IDENTICAL)
            | switch(delay.is_some_and(|delay| delay.offline), TERMS_DELAY_OFFLINE)
            | switch(terms.ipv4_starts, TERMS_IPV4_STARTS)
            | switch(terms.without_domain, TERMS_WITHOUT_DOMAIN)]);
        self.put([terms.traffic_unit as u8]);
        self.put(delay.map_or(0, |delay| delay.seconds).to_le_bytes());
        self.put([delay.map_or(0, |delay| delay.user_types.bits())]);
        self.put([terms.left_out.bits()]);
    }

    fn allowance(&mut self, allowance: Allowance) {
        self.put(allowance.timeout_at.as_nanos().to_le_bytes());
        self.put(allowance.quota_at.as_nanos().to_le_bytes());
        self.put(allowance.volume.to_le_bytes());
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

    fn address(&mut self, address: Option<IpAddr>) {
        let mut octets = [0; 16];
        let family = match address {
            None => 0,
            Some(IpAddr::V4(v4)) => {
                octets[..4].copy_from_slice(&v4.octets());
                4
            }
            Some(IpAddr::V6(v6)) => {
                octets = v6.octets();
                6
            }
        };
        self.put([family]);
        self.put(octets);
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
        self.terms(opened.terms);
        self.allowance(opened.allowance);
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
