//! The writer: takes every shard's records from its ring, has them appended and synced, and knows through which of
//! each shard's records everything is durable. Disk operations end later, in any order that the disk likes.

use std::collections::VecDeque;

use ledger::log::{Log, OperationId};
use model::time::Mono;

use super::Wants;
use super::worker::Worker;
use crate::disk::{Disk, Operation};
use crate::oracle::Oracle;
use crate::seed::Dice;

/// Records of one shard that stand in the log: the shard's own number of the last, and the log's.
struct Mark {
    through: u64,
    sequence: u64,
}

#[derive(Default)]
struct Source {
    taken: u64,
    durable: u64,
    marks: VecDeque<Mark>,
    /// The log's number of each of the shard's records.
    sequences: Vec<u64>,
}

/// One life's writer.
pub(super) struct Writer {
    log: Log,
    sources: Vec<Source>,
    under_way: Vec<(u64, OperationId, Operation)>,
    number_next: u64,
    dice: Dice,
}

impl Writer {
    pub(super) fn new(log: Log, shard_count: u16, dice: Dice) -> Writer {
        let sources = (0..shard_count).map(|_| Source::default()).collect();
        Writer { log, sources, under_way: Vec::new(), number_next: 0, dice }
    }

    /// Everything that was recovered is on the disk, and the epoch may be used.
    pub(super) fn has_settled(&self) -> bool {
        self.log.durable_through() >= self.log.started_at()
    }

    /// Through which of its records a shard's are durable.
    pub(super) fn durable(&self, shard: usize) -> u64 {
        self.sources[shard].durable
    }

    /// The first record that some shard still needs, as far as that can be told.
    pub(super) fn needed_from(&self, workers: &[Worker]) -> Option<u64> {
        let mut first = None;
        for (worker, source) in workers.iter().zip(&self.sources) {
            // Nothing was forgotten by a shard whose number is 0, and so by none.
            let before = usize::try_from(worker.shard.needed_from().checked_sub(1)?).unwrap_or(usize::MAX);
            let sequence = source.sequences.get(before).copied();
            first = [first, sequence].into_iter().flatten().min();
        }
        first
    }

    pub(super) fn is_empty(&self) -> bool {
        self.log.waiting() == 0
    }

    /// Once around the writer's loop.
    pub(super) fn run(
        &mut self,
        now: Mono,
        workers: &mut [Worker],
        disk: &mut Disk,
        oracle: &mut Oracle,
        wants: &mut Wants,
    ) {
        self.log.handle_timeout(now);
        self.take_records(workers, oracle);
        while let Some(operation) = self.log.poll_operation() {
            let id = operation.id;
            let operation = Operation::from(operation.request);
            wants.disk.push((now.plus(disk.delay(&operation)), self.number_next));
            self.under_way.push((self.number_next, id, operation));
            self.number_next += 1;
        }
        wants.writer = self.log.poll_timeout().map(|at| at.max(now.plus(std::time::Duration::from_millis(1))));
        while self.log.poll_bill().is_some() {}
        while self.log.poll_alarm().is_some() {}
    }

    /// An operation has ended.
    pub(super) fn completed(&mut self, number: u64, now: Mono, disk: &mut Disk, oracle: &mut Oracle) {
        let Some(at) = self.under_way.iter().position(|(waiting, ..)| *waiting == number) else { return };
        let (_, id, operation) = self.under_way.swap_remove(at);
        let outcome = disk.perform(&operation, now);
        self.log.handle_completed(id, outcome, now);
        let durable = self.log.durable_through();
        oracle.durable_through(durable);
        for source in &mut self.sources {
            while source.marks.front().is_some_and(|mark| mark.sequence <= durable) {
                source.durable = source.marks.pop_front().map_or(source.durable, |mark| mark.through);
            }
        }
    }

    /// The process is gone: what is under way is done in part.
    pub(super) fn die(self, disk: &mut Disk, now: Mono) {
        for (_, _, operation) in self.under_way {
            disk.interrupt(&operation, now);
        }
    }

    fn take_records(&mut self, workers: &mut [Worker], oracle: &mut Oracle) {
        let first = self.dice.index(workers.len().max(1));
        for step in 0..workers.len() {
            let shard = (first + step) % workers.len();
            let source = &mut self.sources[shard];
            while let Some(record) = workers[shard].ring.front() {
                let Ok(sequence) = self.log.append(record) else { break };
                oracle.appended(sequence, record);
                workers[shard].ring.pop_front();
                source.taken += 1;
                source.sequences.push(sequence);
                source.marks.push_back(Mark { through: source.taken, sequence });
            }
        }
    }
}
