//! A card that is open: its log is written, and its segments are compacted.

use model::record::{Record, Started};
use model::time::Now;

use super::{CardOwn, MOVING_MAX, Mark, Open};
use crate::card::{change, enter};
use crate::frame;
use crate::keeper::copies::CopyStep;
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

    /// As the ledger's compaction, without sources. A bill to be read again, if there is one.
    pub(super) fn compact(&mut self, bounds: LogBounds) -> CopyStep {
        loop {
            let Some(old) = self.segments.old(self.freed) else { return CopyStep::Busy };
            let Some((next, first)) = self.segments.next(old.oldest) else { return CopyStep::Busy };
            let is_kept = |segment| self.card.shelf.standing(segment).bills > 0 || self.card.started == segment;
            if !(old.oldest..next).any(is_kept) {
                self.freed = next - 1;
                self.log(bounds).set_base(first);
                self.copies.end();
                continue;
            }
            if self.copies.segment() != Some(old.oldest) {
                if old.octets <= 2 * self.card.shelf.standing_before(old.window).octets {
                    return CopyStep::Busy;
                }
                self.copies.begin(old.oldest);
            }
            if self.waiting.len() > MOVING_MAX {
                return CopyStep::Busy;
            }
            let step = self.copies.step(&[&self.card.shelf]);
            if step != CopyStep::Done {
                return step;
            }
            let durable = self.card.log.as_ref().map_or(0, Log::durable_through);
            if !self.waiting.is_empty() || self.newest > durable {
                return CopyStep::Busy;
            }
            if self.card.started == old.oldest {
                let started = Started { epoch: 0, boot_id: [0; 16], at: Now::default(), key: self.life.fresh_key };
                self.waiting.push_back(CardOwn::Record(own::octets(&Record::Started(started))));
                return CopyStep::Busy;
            }
            self.copies.begin(old.oldest);
            return CopyStep::Busy;
        }
    }
}
