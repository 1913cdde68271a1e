//! A store lives through crashes at every write and sync, torn and reordered sectors, failing syncs, a full disk. After
//! each: every announced record is there, none is invented, nothing is called damaged, and the log goes on.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may fail loudly, and its numbers are small"
)]

mod support;

use std::collections::VecDeque;

use ledger::frame;
use ledger::log::{DiskFault, Full, Log, LogBounds, OperationId, Request};
use model::ids::BillId;
use model::record::Record;
use model::time::Mono;
use support::disk::Disk;
use support::{Dice, life, records, recover};

/// What must be true of the store.
#[derive(Default)]
struct Reference {
    /// Record number i + 1, as it was last given that number.
    appended: Vec<Vec<u8>>,
    /// Announced as durable.
    announced: usize,
    lives: u32,
}

impl Reference {
    fn check(&mut self, read: &[(u64, Vec<u8>)], context: &str) {
        assert!(read.len() >= self.announced, "{context}: {} announced, {} read", self.announced, read.len());
        for (index, (sequence, octets)) in read.iter().enumerate() {
            assert_eq!(*sequence, index as u64 + 1, "{context}: sequence numbers are dense");
            assert_eq!(Some(octets), self.appended.get(index), "{context}: record {sequence} is the one appended");
        }
        // What was not read was never announced; its numbers will be given again.
        self.appended.truncate(read.len());
    }

    fn append(&mut self, log: &mut Log, octets: &[u8], bills: &mut u64) -> Result<(), Full> {
        let sequence = log.append(octets)?;
        let mut octets = octets.to_vec();
        if frame::is_bill(&octets) {
            *bills += 1;
            frame::number_bill(&mut octets, BillId { epoch: self.lives, sequence: *bills });
        }
        assert_eq!(sequence, self.appended.len() as u64 + 1);
        self.appended.push(octets);
        Ok(())
    }
}

enum End {
    Killed,
    PowerCut,
}

/// One life on the disk: recovers, checks, appends until the crash.
fn live(disk: &mut Disk, reference: &mut Reference, dice: &mut Dice, context: &str) -> End {
    let segments = disk.segments();
    let segments = segments.iter().map(|(number, octets)| (*number, octets.as_slice()));
    let (recovered, start) = recover(segments).expect("no later release");
    assert!(!recovered.report.is_damaged(), "{context}: {:?}", recovered.report);
    reference.check(&recovered.state.0, context);
    assert_eq!(recovered.epoch_last + 1, start.epoch());

    let segment_len = 1024 + 5120 * (1 + dice.below(4));
    let bounds = LogBounds::new(segment_len, 5120).expect("within bounds");
    let (mut log, started) = start.begin(life(u64::from(reference.lives)), bounds);
    // An epoch may come again when nothing of its life became durable.
    reference.lives = started.epoch;
    reference.appended.push(records::octets(&Record::Started(started)));
    assert_eq!(log.started_at(), reference.appended.len() as u64);

    let mut now = Mono::from_nanos(1);
    let mut under_way: VecDeque<(OperationId, Owned)> = VecDeque::new();
    let mut bills = 0;
    // Many lives end while their first writes are under way.
    let steps = if dice.chance(40) { dice.below(8) } else { dice.below(120) };
    let trouble = if dice.chance(40) { dice.below(60) } else { 0 };
    for step in 0..steps {
        for _ in 0..dice.below(6) {
            let attributes = vec![dice.next() as u8; usize::try_from(dice.below(3000)).unwrap()];
            let record = match dice.below(4) {
                0 => records::octets(&Record::Billed(records::bill(step, dice.below(1000)))),
                1 => records::octets(&Record::Opened(records::opened(step, &attributes))),
                _ => records::octets(&Record::Sampled(records::sampled(step, dice.below(1000)))),
            };
            if reference.append(&mut log, &record, &mut bills).is_err() {
                break;
            }
        }
        while let Some(operation) = log.poll_operation() {
            under_way.push_back((operation.id, Owned::from(operation.request)));
        }
        assert!(under_way.len() <= 2, "one write or sync, and one segment in the making");
        if under_way.len() == 2 && dice.chance(50) {
            under_way.rotate_left(1);
        }
        if dice.chance(80)
            && let Some((id, request)) = under_way.pop_front()
        {
            let outcome = perform(disk, &request, dice, trouble);
            log.handle_completed(id, outcome, now);
        }
        reference.announced = usize::try_from(log.durable_through()).unwrap();
        check_bills(&mut log, disk, reference);
        if log.poll_timeout().is_some_and(|_| dice.chance(70)) {
            now = log.poll_timeout().unwrap();
            log.handle_timeout(now);
        }
    }
    // What is under way may have been done, and nobody was told.
    for (_, request) in under_way {
        if dice.chance(50) {
            let _ = perform(disk, &request, dice, trouble);
        }
    }
    if dice.chance(50) { End::Killed } else { End::PowerCut }
}

/// Every bill is announced only when durable, and stands where it is said to stand.
fn check_bills(log: &mut Log, disk: &Disk, reference: &Reference) {
    while let Some(bill) = log.poll_bill() {
        let segment = disk.segment(bill.place.segment);
        let at = bill.place.offset as usize;
        let record = bill.place.record(&segment[at..at + usize::from(bill.place.len)]).expect("its frame is good");
        let Ok(Record::Billed(found)) = frame::decode(record) else { panic!("it is a bill") };
        assert_eq!(found.id, bill.id);
        assert_ne!(bill.id, BillId::default());
        assert!(reference.appended[..reference.announced].iter().any(|appended| appended == record));
    }
}

enum Owned {
    Create { segment: u64, len: u64 },
    Write { segment: u64, offset: u64, bytes: Vec<u8> },
    Sync { segment: u64 },
}

impl From<Request<'_>> for Owned {
    fn from(request: Request<'_>) -> Owned {
        match request {
            Request::CreateSegment { segment, len } => Owned::Create { segment, len },
            Request::Write { segment, offset, bytes } => Owned::Write { segment, offset, bytes: bytes.to_vec() },
            Request::Sync { segment } => Owned::Sync { segment },
        }
    }
}

fn perform(disk: &mut Disk, request: &Owned, dice: &mut Dice, trouble: u64) -> Result<(), DiskFault> {
    let fails = dice.chance(trouble);
    match request {
        Owned::Create { segment, len } => {
            // A failed attempt leaves a file that is too short, or none.
            if fails && dice.chance(50) {
                disk.create(*segment, dice.below(*len));
            }
            if fails {
                return Err(DiskFault::NoSpace);
            }
            disk.create(*segment, *len);
        }
        Owned::Write { segment, offset, bytes } => {
            let written = if fails { bytes.len() / 1024 * 512 } else { bytes.len() };
            disk.write(*segment, *offset, &bytes[..written]);
            if fails {
                return Err(DiskFault::Io);
            }
        }
        Owned::Sync { segment } => {
            if fails {
                disk.fail_sync(*segment);
                return Err(DiskFault::Io);
            }
            disk.sync(*segment);
        }
    }
    Ok(())
}

#[test]
fn every_announced_record_survives_any_crash() {
    let seeds: u64 = std::env::var("CRASH_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(400);
    let mut announced = 0;
    let mut syncs = 0;
    for seed in 0..seeds {
        let mut dice = Dice(seed);
        let mut disk = Disk::default();
        let mut reference = Reference::default();
        for number in 0..2 + dice.below(8) {
            let context = format!("seed {seed}, life {number}");
            if let End::PowerCut = live(&mut disk, &mut reference, &mut dice, &context) {
                disk.cut_power(&mut dice);
            }
        }
        announced += reference.announced;
        syncs += disk.syncs;
    }
    assert!(announced > 0 && syncs > 0, "the test wrote something");
}
