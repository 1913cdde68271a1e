//! A card that is open: its log is written, and its segments are compacted.

use model::record::{Record, Started};
use model::time::Now;

use super::{CardOwn, MOVING_MAX, Mark, Open};
use crate::card::{change, enter};
use crate::frame;
use crate::keeper::compaction::{Compacted, Next};
use crate::keeper::own;
use crate::log::{Log, LogBounds, NotedRecord};

impl Open {
    pub(super) fn log(&mut self, bounds: LogBounds) -> &mut Log {
        self.card.log(&self.life, bounds)
    }

    pub(super) fn take_log_events(&mut self) {
        let Some(log) = &mut self.card.log else { return };
        while let Some(begun) = log.poll_segment() {
            self.segments.handle_begun(begun, Vec::new());
        }
        while let Some(noted) = log.poll_noted() {
            match noted.what {
                NotedRecord::Billed(bill) => {
                    // What was carried may be gone already.
                    if noted.sequence > log.started_at() || self.card.shelf.get(bill.id).is_some() {
                        enter(&mut self.card.shelf, bill);
                    }
                }
                NotedRecord::Other(octets) => match frame::decode(&octets) {
                    Ok(Record::Started(_)) if noted.sequence >= log.started_at() => {
                        self.card.started = noted.place.segment;
                    }
                    Ok(record) => change(&mut self.card.shelf, &record),
                    Err(_) => {}
                },
            }
        }
        // A fault ends this opening, so there is none to tell.
        while log.poll_alarm().is_some() {}
    }

    pub(super) fn take_marks(&mut self) -> Vec<Mark> {
        let durable = self.card.log.as_ref().map_or(0, Log::durable_through);
        let count = self.marks.iter().take_while(|(sequence, _)| *sequence <= durable).count();
        self.marks.drain(..count).map(|(_, mark)| mark).collect()
    }

    pub(super) fn flush(&mut self, bounds: LogBounds) {
        while let Some(own) = self.waiting.pop_front() {
            let record = match &own {
                CardOwn::Record(record) | CardOwn::Move(_, record) => Some(record),
                CardOwn::Copy(id, record) => self.card.find(*id).filter(|bill| !bill.is_leaving).map(|_| record),
                CardOwn::Abandon(number) => {
                    self.marks.push_back((self.newest, Mark::Abandoned(*number)));
                    None
                }
            };
            if let Some(record) = record {
                match self.card.log(&self.life, bounds).append(record) {
                    Ok(sequence) => self.newest = sequence,
                    Err(_) => {
                        self.waiting.push_front(own);
                        return;
                    }
                }
            }
            if let CardOwn::Move(id, _) = own {
                self.marks.push_back((self.newest, Mark::Moved(id)));
            }
        }
    }

    /// Whether there is room for more copies.
    pub(super) fn is_calm(&self) -> bool {
        self.waiting.len() <= MOVING_MAX
    }

    /// As the ledger's compaction, without sources. What is left to be done.
    pub(super) fn compact(&mut self, bounds: LogBounds) -> Next {
        loop {
            let durable = self.card.log.as_ref().map_or(0, Log::durable_through);
            let (is_calm, started) = (self.is_calm(), self.card.started);
            let next = self.compaction.next(&Compacted {
                segments: &self.segments,
                shelves: &[&self.card.shelf],
                is_kept: &|segment| segment == started,
                is_calm,
                is_settled: self.waiting.is_empty() && self.newest <= durable,
            });
            match next {
                Next::Base(first) => self.log(bounds).set_base(first),
                Next::Tell(segment) if segment == started => {
                    let started = Started { epoch: 0, boot_id: [0; 16], at: Now::default(), key: self.life.fresh_key };
                    self.waiting.push_back(CardOwn::Record(own::octets(&Record::Started(started))));
                    return next;
                }
                _ => return next,
            }
        }
    }
}
