//! How many octets a record takes in the ledger. The shard weighs what it writes, so that what it writes again stays in
//! proportion; the layout itself is the ledger's, and the simulator holds the two against each other.

use model::record::{Checkpointed, Opened, Record};

const KIND: usize = 1;
const SERIAL: usize = 12;
const NOW: usize = 16;
const MONO: usize = 8;
const COUNTERS: usize = 64;
const BILL_ID: usize = 12;
const SAMPLE: usize = MONO + COUNTERS + 2 + 1;
const CLOSED: usize = SERIAL + 18 + NOW + 1 + 4 + COUNTERS;
const OPENED: usize = SERIAL + 18 + 12 + 6 + 24 + 4 + 4 + NOW + 8 + COUNTERS + 6;

/// The octets of a record that a shard writes. Records of others count as their kind alone.
pub fn record_octets(record: &Record<'_>) -> usize {
    KIND + match record {
        Record::Opened(opened) => opened_octets(opened),
        Record::Accepted(_) => SERIAL + MONO + 1,
        Record::StartFailed(_) => SERIAL + 1,
        Record::Sampled(_) => SERIAL + SAMPLE,
        Record::SampledMany(samples) => 2 + samples.octets().len(),
        Record::Closed(_) => CLOSED,
        Record::Acknowledged(_) => SERIAL,
        Record::Billed(bill) => BILL_ID + 3 + 23 + 17 + CLOSED + opened_octets(&bill.opened),
        Record::Checkpointed(checkpointed) => checkpointed_octets(checkpointed),
        Record::Heard(heard) => 23 + heard.plane.len(),
        Record::Announced(announced) => 23 + 16 + 1 + 1 + announced.server.vpn.map_or(0, |vpn| vpn.as_str().len()),
        Record::Booted(_) => 16,
        Record::Departed(departed) => 36 + departed.bills.octets().len(),
        Record::Returned(_) => BILL_ID + 1,
        Record::Started(_) | Record::TransferBegun(_) | Record::TransferAbandoned(_) | Record::Claimed(_) => 0,
    }
}

fn opened_octets(opened: &Opened<'_>) -> usize {
    OPENED
        + opened.plane.len()
        + opened.session.len()
        + opened.domain.len()
        + opened.group.len()
        + opened.attributes.len()
}

fn checkpointed_octets(checkpointed: &Checkpointed<'_>) -> usize {
    let parts = [
        (checkpointed.accepted.is_some(), MONO + 1),
        (checkpointed.start_failed.is_some(), 1),
        (checkpointed.sampled.is_some(), SAMPLE),
        (checkpointed.closed.is_some(), CLOSED),
    ];
    let following: usize = parts.into_iter().filter(|part| part.0).map(|part| part.1).sum();
    1 + opened_octets(&checkpointed.opened) + following
}
