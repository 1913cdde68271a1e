//! The power goes at every moment of a store's life: between any two things that were asked of the disk or confirmed by it. Each
//! time several draws of what is left are recovered, and: every announced record is there, none is invented, nothing is called
//! damaged, and a new life appends and announces.
//!
//! `TOLLGATE_TEST_FULL=1` makes the store larger and the draws more.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may fail loudly, and its numbers are small"
)]

mod support;

use std::collections::VecDeque;

use ledger::log::{Log, LogBounds, OperationId, Request};
use model::record::{Accepted, Checkpointed, Heard, Record};
use model::time::Mono;
use support::tape::{Asked, Moment, Tape, Wound};
use support::{Dice, life, records, recover};

/// What had been promised when a moment had come.
#[derive(Clone, Copy)]
struct Promise {
    /// Which list of records.
    list: usize,
    /// So many of it had been appended.
    appended: usize,
    /// And so many announced as durable.
    announced: usize,
}

/// A store's life on the tape.
#[derive(Default)]
struct Story {
    tape: Tape,
    /// One for each moment.
    promises: Vec<Promise>,
    /// The records by number, of each life: what an earlier life did not write is not in the next one's.
    lists: Vec<Vec<Vec<u8>>>,
    announced: usize,
}

impl Story {
    /// `lives` lives, killed one after the other, that tell of so many sessions each.
    fn new(lives: u64, sessions: u64) -> Story {
        let mut story = Story { lists: vec![Vec::new()], ..Story::default() };
        let mut dice = Dice(1);
        for number in 0..lives {
            story.live(number, sessions, &mut dice);
        }
        story
    }

    fn live(&mut self, number: u64, sessions: u64, dice: &mut Dice) {
        let mut wound = Wound::default();
        (0..self.tape.0.len()).for_each(|moment| wound.forward(&self.tape, moment));
        let segments = wound.kill();
        let (recovered, start) = recover(segments.iter().map(|(number, octets)| (*number, octets.as_ref()))).unwrap();
        let mut list: Vec<Vec<u8>> = recovered.state.0.into_iter().map(|(_, octets)| octets).collect();
        assert!(self.lists[self.lists.len() - 1].starts_with(&list), "a killed process loses what it had not written");
        let (mut log, started) = start.begin(life(number), LogBounds::new(64 << 10, 8192).unwrap());
        list.push(records::octets(&Record::Started(started)));
        self.lists.push(list);

        let mut under_way = VecDeque::new();
        for sequence in number * sessions..(number + 1) * sessions {
            for record in session(sequence, dice) {
                while log.append(&record).is_err() {
                    self.step(&mut log, &mut under_way, dice);
                }
                self.lists.last_mut().unwrap().push(record);
            }
            // Batches of one to some twenty sessions.
            if dice.chance(30) {
                self.step(&mut log, &mut under_way, dice);
            }
        }
    }

    /// Asks for what the log wants, and confirms one thing that was asked for.
    fn step(&mut self, log: &mut Log, under_way: &mut VecDeque<(OperationId, usize)>, dice: &mut Dice) {
        while let Some(operation) = log.poll_operation() {
            under_way.push_back((operation.id, self.tape.ask(Asked::from(operation.request))));
            self.promise();
        }
        // Making a segment takes long, or not.
        if under_way.len() == 2 && dice.chance(60) {
            under_way.rotate_left(1);
        }
        if let Some((id, asked)) = under_way.pop_front() {
            self.tape.confirm(asked);
            log.handle_completed(id, Ok(()), Mono::ZERO);
            self.announced = self.announced.max(log.durable_through() as usize);
            self.promise();
        }
    }

    fn promise(&mut self) {
        let list = self.lists.len() - 1;
        self.promises.push(Promise { list, appended: self.lists[list].len(), announced: self.announced });
    }

    /// Checks what is left after a power cut, and gives the right to go on.
    fn check(&self, promise: Promise, segments: &[(u64, &[u8])], context: &str, goes_on: bool) {
        let (recovered, start) = recover(segments.iter().copied()).expect(context);
        assert!(!recovered.report.is_damaged(), "{context}: {:?}", recovered.report);
        let read = recovered.state.0;
        let Promise { list, appended, announced } = promise;
        assert!(read.len() >= announced, "{context}: {announced} announced, {} read", read.len());
        assert!(read.len() <= appended, "{context}: {appended} appended, {} read", read.len());
        for (index, (sequence, octets)) in read.iter().enumerate() {
            assert_eq!(*sequence, index as u64 + 1, "{context}: numbers are dense");
            assert_eq!(octets, &self.lists[list][index], "{context}: record {sequence} is the one appended");
        }
        if !goes_on {
            return;
        }
        let mut disk: Vec<(u64, Vec<u8>)> =
            segments.iter().map(|(number, octets)| (*number, octets.to_vec())).collect();
        let (mut log, started) = start.begin(life(99), LogBounds::new(64 << 10, 8192).unwrap());
        let more = [records::octets(&Record::Started(started)), records::octets(&records::acknowledged(7))];
        log.append(&more[1]).unwrap();
        write_through(&mut log, &mut disk);
        assert_eq!(log.waiting(), 0, "{context}: the new life announces");
        assert_eq!(log.durable_through() as usize, read.len() + more.len(), "{context}");
        let segments = disk.iter().map(|(number, octets)| (*number, octets.as_slice()));
        let (again, _) = recover(segments).expect(context);
        assert!(!again.report.is_damaged(), "{context}: {:?}", again.report);
        let expected = read.iter().map(|(_, octets)| octets).chain(&more);
        assert!(again.state.0.iter().map(|(_, octets)| octets).eq(expected), "{context}: the new life is read back");
    }
}

/// Everything that the log asks for is done at once.
fn write_through(log: &mut Log, disk: &mut Vec<(u64, Vec<u8>)>) {
    while let Some(operation) = log.poll_operation() {
        match operation.request {
            Request::CreateSegment { segment, len } => {
                disk.retain(|(number, _)| *number != segment);
                disk.push((segment, vec![0; len as usize]));
                disk.sort_unstable_by_key(|(number, _)| *number);
            }
            Request::Write { segment, offset, bytes } => {
                let (_, octets) = disk.iter_mut().find(|(number, _)| *number == segment).unwrap();
                octets[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
            }
            Request::Sync { .. } => {}
        }
        let id = operation.id;
        log.handle_completed(id, Ok(()), Mono::ZERO);
    }
}

/// What a session's life writes, and how far a ring was heard.
fn session(sequence: u64, dice: &mut Dice) -> Vec<Vec<u8>> {
    // No octet is zero, so that a sector that is missing never looks like a part of a record.
    let attributes = vec![sequence as u8 | 1; dice.below(120) as usize];
    let opened = records::opened(sequence, &attributes);
    let accepted = Accepted { serial: records::serial(sequence), at: Mono::ZERO, keep_accounting: false };
    let sampled = records::sampled(sequence, sequence);
    let whole = Checkpointed {
        opened,
        accepted: Some(accepted),
        start_failed: None,
        sampled: Some(sampled),
        closed: dice.chance(20).then(|| records::closed(sequence, 9)),
    };
    let heard = Heard { plane: "vpp0", plane_epoch: 3, ring: 1, through: sequence, shard: 0, shard_count: 2 };
    let mut said = vec![Record::Opened(opened), Record::Accepted(accepted), Record::Sampled(sampled)];
    match dice.below(4) {
        0 => said.push(Record::Checkpointed(whole)),
        1 => said.extend([Record::Closed(records::closed(sequence, 9)), records::acknowledged(sequence)]),
        2 => said.push(Record::Heard(heard)),
        _ => {}
    }
    said.iter().map(records::octets).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it tells how much was tried in which time; nothing depends on it")]
fn the_power_may_go_at_every_moment() {
    let begin = std::time::Instant::now();
    let is_full = std::env::var_os("TOLLGATE_TEST_FULL").is_some_and(|value| value == "1");
    let (sessions, draws) = if is_full { (1200, 6) } else { (500, 3) };
    let story = Story::new(3, sessions);
    let mut wound = Wound::default();
    let mut dice = Dice(7);
    let (mut cuts, mut stores) = (0, 0);
    for moment in 0..story.tape.0.len() {
        wound.forward(&story.tape, moment);
        let promise = story.promises[moment];
        // Where nothing is open there is nothing to draw.
        let draws = if wound.is_settled() { 1 } else { draws };
        for draw in 0..draws {
            let left = wound.cut(&mut dice);
            let segments: Vec<(u64, &[u8])> = left.iter().map(|(number, octets)| (*number, octets.as_ref())).collect();
            story.check(promise, &segments, &format!("moment {moment}, draw {draw}"), draw == 0);
            stores += 1;
        }
        cuts += 1;
    }
    let writes = story.tape.0.iter().filter(|moment| matches!(moment, Moment::Asked(Asked::Write { .. }))).count();
    assert!(story.announced > sessions as usize && writes > 100, "the store was lived in");
    eprintln!(
        "{} records in {writes} writes: {cuts} cut points, {stores} stores recovered, {:.1} s",
        story.lists.last().map_or(0, Vec::len),
        begin.elapsed().as_secs_f64()
    );
}
