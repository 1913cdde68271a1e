//! A store that a test damages: segments of 8 KiB, made by one life after the other, in batches of two records of 1,000 octets
//! and more.

use ledger::log::{Log, LogBounds, Request};
use ledger::recover::{Finding, Life, LogStart, RecoveryReport};
use ledger::segment::BLOCK;
use model::record::Record;
use model::time::Mono;

use super::{Collected, life, records, recover};

/// A store: the octets of its segments, and the records it was given.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) segments: Vec<(u64, Vec<u8>)>,
    pub(crate) appended: Vec<Vec<u8>>,
    /// Segment, offset and length of every batch, in octets.
    pub(crate) batches: Vec<(u64, usize, usize)>,
    /// The second in which the next life begins.
    pub(crate) born: u64,
}

impl Scene {
    /// No life yet.
    pub(crate) fn empty() -> Scene {
        Scene { segments: Vec::new(), appended: Vec::new(), batches: Vec::new(), born: 1 }
    }

    /// A first life with so many batches of two records after its `started`.
    pub(crate) fn new(batches: u64) -> Scene {
        let mut scene = Scene::empty();
        scene.live(scene.recover(), batches);
        scene
    }

    /// A life on top of what recovery found.
    pub(crate) fn live(&mut self, start: LogStart, batches: u64) {
        let batches: Vec<Vec<Vec<u8>>> =
            (0..batches).map(|number| vec![opened(2 * number), opened(2 * number + 1)]).collect();
        self.live_as(start, life(self.born), &batches);
    }

    /// A life that writes these records, batch by batch.
    pub(crate) fn live_as(&mut self, start: LogStart, life: Life, batches: &[Vec<Vec<u8>>]) {
        let (mut log, started) = start.begin(life, LogBounds::new(8192, 5120).unwrap());
        self.appended.push(records::octets(&Record::Started(started)));
        self.drain(&mut log);
        for batch in batches {
            for record in batch {
                log.append(record).unwrap();
                self.appended.push(record.clone());
            }
            self.drain(&mut log);
        }
        assert_eq!(log.waiting(), 0, "everything was announced");
    }

    /// What recovery makes of it.
    pub(crate) fn recover(&self) -> LogStart {
        recover(self.segments()).unwrap().1
    }

    pub(crate) fn report(&self) -> RecoveryReport {
        recover(self.segments()).unwrap().0.report
    }

    pub(crate) fn drain(&mut self, log: &mut Log) {
        while let Some(operation) = log.poll_operation() {
            match operation.request {
                Request::CreateSegment { segment, len } => {
                    self.segments.retain(|(number, _)| *number != segment);
                    self.segments.push((segment, vec![0; len as usize]));
                }
                Request::Write { segment, offset, bytes } => {
                    let offset = offset as usize;
                    self.segment(segment)[offset..offset + bytes.len()].copy_from_slice(bytes);
                    let head = if offset == 0 { 2 * BLOCK } else { 0 };
                    self.batches.push((segment, offset + head, bytes.len() - head));
                }
                Request::Sync { .. } => {}
            }
            let id = operation.id;
            log.handle_completed(id, Ok(()), Mono::ZERO);
        }
    }

    pub(crate) fn segment(&mut self, number: u64) -> &mut Vec<u8> {
        &mut self.segments.iter_mut().find(|(found, _)| *found == number).unwrap().1
    }

    /// Octets of a batch.
    pub(crate) fn batch(&mut self, number: usize) -> &mut [u8] {
        let (segment, at, len) = self.batches[number];
        &mut self.segment(segment)[at..at + len]
    }

    /// The segment of a record, counted from 0, of a second life that follows `new(1)`.
    pub(crate) fn segment_of(&self, record: usize) -> u64 {
        // Batches: started; 2 records; the same again; started; 2 records each.
        let batch = if record == 3 { 3 } else { 4 + (record - 4) / 2 };
        self.batches[batch].0
    }

    /// The first segment of a second life that follows `new(9)`.
    pub(crate) fn segment_of_second(&self) -> u64 {
        self.batches[10].0
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.segments.iter().map(|(number, octets)| (*number, octets.as_slice()))
    }

    /// Recovers, and checks the letters found, the records lost, and which records (from 0) were read.
    pub(crate) fn check(&self, letters: &str, lost: u64, read: impl IntoIterator<Item = usize>) -> LogStart {
        let (recovered, start) = recover(self.segments()).unwrap();
        let report = &recovered.report;
        let found: String = report.findings.iter().map(|finding| finding.case.letter()).collect();
        // The segment that was made ahead is there or not; one test looks at it.
        let found = if letters.contains('I') { found } else { found.replace('I', "") };
        assert_eq!(found, letters, "{:#?}", report.findings);
        assert_eq!(report.records_lost, lost, "{:#?}", report.findings);
        let Collected(records) = &recovered.state;
        let sequences: Vec<u64> = records.iter().map(|(sequence, _)| *sequence).collect();
        let expected: Vec<u64> = read.into_iter().map(|index| index as u64 + 1).collect();
        assert_eq!(sequences, expected);
        for (sequence, octets) in records {
            assert_eq!(Some(octets), self.appended.get(*sequence as usize - 1));
        }
        start
    }

    /// New lives on the damaged store are read back whole, whatever the damage, and what is damaged is told to each.
    pub(crate) fn check_goes_on(&self, mut start: LogStart) {
        let (before, _) = recover(self.segments()).unwrap();
        let Collected(mut records) = before.state;
        let mut next = self.clone();
        for number in 1..=3 {
            let appended = next.appended.len();
            next.live(start, 2);
            let (after, start_next) = recover(next.segments()).unwrap();
            assert_eq!(damage(&after.report), damage(&before.report), "{number} starts later");
            let Collected(after) = after.state;
            // A damaged last batch is written again without its gaps, so numbers may move, octets not.
            let expected = records.iter().map(|(_, octets)| octets).chain(&next.appended[appended..]);
            assert!(after.iter().map(|(_, octets)| octets).eq(expected), "{number} starts later");
            (records, start) = (after, start_next);
        }
    }
}

/// What of it is damage.
pub(crate) fn damage(report: &RecoveryReport) -> Vec<Finding> {
    report.findings.iter().filter(|finding| finding.case.is_damage()).copied().collect()
}

/// A record of 1,000 octets and more. Every octet of most of them is unlike zero, so that a missing block never looks like a part of
/// a record.
pub(crate) fn opened(sequence: u64) -> Vec<u8> {
    let attributes = [sequence as u8 | 0x80; 1000];
    records::octets(&Record::Opened(records::opened(sequence, &attributes)))
}
