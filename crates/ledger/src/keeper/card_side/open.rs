//! A card that is open: its log is written, and its segments are compacted.

use std::borrow::Cow;

use model::record::{Bill, Delivered, Record};

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
                NotedRecord::Other(octets) => {
                    if let Ok(record) = frame::decode(&octets) {
                        change(&mut self.card.shelf, &record);
                    }
                }
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
                CardOwn::Record(record) | CardOwn::Move(_, record) => Some(Cow::Borrowed(&**record)),
                CardOwn::Copy(id, record) => {
                    let bill = self.card.find(*id).filter(|bill| !bill.is_leaving);
                    bill.map(|bill| as_delivered(record, bill.delivered))
                }
                CardOwn::Abandon(number) => {
                    self.marks.push_back((self.newest, Mark::Abandoned(*number)));
                    None
                }
            };
            if let Some(record) = record {
                match self.card.log(&self.life, bounds).append(&record) {
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
            let is_calm = self.is_calm();
            let next = self.compaction.next(&Compacted {
                segments: &self.segments,
                shelves: &[&self.card.shelf],
                is_kept: &|_| false,
                is_calm,
                is_settled: self.waiting.is_empty() && self.newest <= durable,
            });
            match next {
                Next::Base(first) => self.log(bounds).set_base(first),
                _ => return next,
            }
        }
    }
}

/// A bill that was read to be told again, and what is known of its delivery by now.
fn as_delivered(record: &[u8], delivered: Delivered) -> Cow<'_, [u8]> {
    match frame::decode(record) {
        Ok(Record::Billed(bill)) if bill.delivered != delivered => {
            Cow::Owned(own::octets(&Record::Billed(Bill { delivered, ..bill })).into_vec())
        }
        _ => Cow::Borrowed(record),
    }
}
