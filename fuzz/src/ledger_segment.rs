//! Any octets where a segment should be, and any change to a good one: recovery must bear it, invent no record, and call
//! by name what is lost.

use ledger::frame;
use ledger::log::{LogBounds, Request};
use ledger::recover::{Life, RecordSink, Recovery};
use ledger::replay::Replay;
use ledger::segment::Place;
use model::ids::SessionSerial;
use model::record::{Acknowledged, Record};
use model::time::{Mono, Now};

use crate::bill_file;

#[derive(Default)]
struct Collected(Vec<(u64, Vec<u8>)>);

impl RecordSink for Collected {
    fn record(&mut self, sequence: u64, _: Place, _: &Record<'_>, octets: &[u8]) {
        self.0.push((sequence, octets.to_vec()));
    }
}

/// Octets of a segment.
pub(crate) const LEN: usize = 16_384;

/// A segment of several batches.
pub(crate) fn good_segment() -> Vec<u8> {
    let mut room = [0; 64];
    segment((0..120).map(|number| {
        let serial = SessionSerial { epoch: 1, sequence: 100 * (number / 20) + number % 20 };
        let len = frame::encode(&Record::Acknowledged(Acknowledged { serial }), &mut room).expect("it fits");
        room[..len].to_vec()
    }))
}

/// A segment with so many bills.
pub(crate) fn bill_segment(count: u64) -> Vec<u8> {
    let mut room = [0; frame::RECORD_LEN_MAX];
    segment((1..=count).map(|sequence| {
        let bill = Record::Billed(bill_file::bill(sequence, b"\x01\x06user"));
        let len = frame::encode(&bill, &mut room).expect("it fits");
        room[..len].to_vec()
    }))
}

/// A segment with these records, twenty a batch.
fn segment(records: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let (_, start) = Recovery::new(Collected::default()).finish().expect("nothing is wrong with nothing");
    let life = Life { boot_id: [0; 16], at: Now::default(), fresh_store: [1; 16], fresh_key: [2; 16] };
    let (mut log, _) = start.begin(life, LogBounds::new(LEN as u64, 5120).expect("within bounds"));
    let mut segment = vec![0; LEN];
    let records: Vec<Vec<u8>> = records.collect();
    for batch in records.chunks(20) {
        for record in batch {
            // The log refuses what is no bill although it says so.
            let _ = log.append(record);
        }
        while let Some(operation) = log.poll_operation() {
            if let Request::Write { segment: 1, offset, bytes } = operation.request {
                let offset = usize::try_from(offset).expect("it is small");
                segment[offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            let id = operation.id;
            log.handle_completed(id, Ok(()), Mono::ZERO);
        }
    }
    segment
}

/// What the segment says, folded: every session is handed out.
fn replay(segment: &[u8]) {
    let mut recovery = Recovery::new(Replay::new());
    recovery.segment(1, segment);
    if let Ok((recovered, _)) = recovery.finish() {
        assert_eq!(recovered.state.sessions().count(), recovered.state.session_count());
        let _ = (recovered.state.taken_over().count(), recovered.state.heard().count());
    }
}

/// The records of a segment with their sequences, and whether it is called damaged.
#[expect(clippy::type_complexity, reason = "it is taken apart at once")]
fn read(segment: &[u8]) -> Option<(Vec<(u64, Vec<u8>)>, bool)> {
    let mut recovery = Recovery::new(Collected::default());
    recovery.segment(1, segment);
    recovery.finish().ok().map(|(recovered, _)| (recovered.state.0, recovered.report.is_damaged()))
}

/// A good segment whose records are made of the input: a kind that sessions have, and what follows it.
fn stored(input: &[u8]) -> Vec<u8> {
    segment(input.chunks(180).take(20).map(|record| {
        let mut record = record.to_vec();
        // The log reads a bill when it takes it.
        record[0] = if record[0] % 20 == 8 { 9 } else { record[0] % 20 };
        record
    }))
}

/// Runs it on one input.
pub fn check(input: &[u8]) {
    let _ = read(input);
    replay(input);
    replay(&stored(input));
    if let Ok(record) = frame::decode(input) {
        let mut room = [0; frame::RECORD_LEN_MAX];
        let len = frame::encode(&record, &mut room).expect("it came out of as many octets");
        assert_eq!(&room[..len], input);
    }

    // Three octets each: where, and what.
    let good = good_segment();
    let mut changed = good.clone();
    for change in input.chunks_exact(3).take(64) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % LEN;
        changed[at] = change[2];
    }
    let (before, _) = read(&good).expect("it is good");
    let Some((after, is_damaged)) = read(&changed) else { return };
    assert!(after.iter().all(|record| before.contains(record)), "no record is invented");
    assert!(
        after.len() == before.len()
            || is_damaged
            || changed
                .chunks(512)
                .zip(good.chunks(512))
                .any(|(now, then)| { now != then && now.iter().all(|octet| *octet == 0) })
    );
}
