//! The records of a store, folded into what a new life must know: who is online, whose Stop is owed, which bills there
//! are, and what each plane's event rings have already been heard to say.
//!
//! A session's variable part (its `opened`, and its `closed`) is kept as the octets of the record, in one arena,
//! and decoded again when it is looked at. So a session takes its record and about 220 octets, and a million of them
//! need a handful of allocations.
//!
//! Records of a session that is not known are counted and forgotten: after damage they are all that is left of it.

mod arena;
mod rings;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use model::ids::SessionSerial;
use model::record::{Accepted, Closed, Opened, Record, Sampled, StartFailed};

use self::arena::{Arena, Slot};
use self::rings::Rings;
use crate::frame;
use crate::pool::BillRef;
use crate::recover::RecordSink;
use crate::segment::Place;

/// A session that is online, or whose Stop is owed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LiveSession<'a> {
    /// How it began, as last written.
    pub opened: Opened<'a>,
    /// Its Start was acknowledged, or failed and the scheme keeps accounting.
    pub accepted: Option<Accepted>,
    /// Its Start failed, and it stays online without accounting. Excludes `accepted`.
    pub start_failed: Option<StartFailed>,
    /// What it had counted when it was last sampled, and its interim failures.
    pub sampled: Option<Sampled>,
    /// How it ended; its Stop is owed. `None`: it is online.
    pub closed: Option<Closed>,
}

/// An event of a plane's ring that was taken over. What lies below it need not have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingPosition<'a> {
    /// The plane's name.
    pub plane: &'a str,
    /// Its epoch: which memory the position counts in.
    pub plane_epoch: u64,
    /// The ring.
    pub ring: u16,
    /// The first record of the event.
    pub position: u64,
}

/// The state that records add up to. A [`RecordSink`].
#[derive(Debug, Default)]
pub struct Replay {
    /// In no order, without gaps.
    sessions: Vec<Session>,
    /// Where in `sessions` each one is.
    index: HashMap<SessionSerial, u32>,
    arena: Arena,
    bills: Vec<BillRef>,
    rings: Rings,
    unknown_sessions: u64,
}

#[derive(Debug)]
struct Session {
    serial: SessionSerial,
    opened: Slot,
    closed: Option<Slot>,
    start: Start,
    sampled: Option<Sampled>,
}

/// What became of a session's Start.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// Not known: not sent yet, or sent without a reply.
    Pending,
    Accepted(Accepted),
    Failed(StartFailed),
}

impl Replay {
    /// Nothing has happened.
    pub fn new() -> Replay {
        Replay::default()
    }

    /// Sessions that are online, or whose Stop is owed.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Each of them, in no order.
    pub fn sessions(&self) -> impl Iterator<Item = LiveSession<'_>> {
        self.sessions.iter().map(|session| self.live(session))
    }

    /// One of them.
    pub fn session(&self, serial: SessionSerial) -> Option<LiveSession<'_>> {
        let index = *self.index.get(&serial)?;
        self.sessions.get(index as usize).map(|session| self.live(session))
    }

    /// Every bill, in the order they were made.
    pub fn bills(&self) -> &[BillRef] {
        &self.bills
    }

    /// What was taken over from each plane's rings, as far back as a ring can reach.
    pub fn taken_over(&self) -> impl Iterator<Item = RingPosition<'_>> {
        self.rings.positions()
    }

    /// Records that spoke of a session which is not known.
    pub fn unknown_sessions(&self) -> u64 {
        self.unknown_sessions
    }

    fn live(&self, session: &Session) -> LiveSession<'_> {
        let Ok(Record::Opened(opened)) = frame::decode(self.arena.get(session.opened)) else {
            unreachable!("it was decoded when it was entered")
        };
        let closed = session.closed.map(|slot| match frame::decode(self.arena.get(slot)) {
            Ok(Record::Closed(closed)) => closed,
            _ => unreachable!("it was decoded when it was entered"),
        });
        let (accepted, start_failed) = match session.start {
            Start::Pending => (None, None),
            Start::Accepted(accepted) => (Some(accepted), None),
            Start::Failed(failed) => (None, Some(failed)),
        };
        LiveSession { opened, accepted, start_failed, sampled: session.sampled, closed }
    }

    fn handle_opened(&mut self, opened: &Opened<'_>, octets: &[u8]) {
        self.rings.take_over(opened.plane, opened.taken_over);
        let slot = self.arena.insert(octets);
        match self.index.entry(opened.serial) {
            Entry::Occupied(entry) => {
                let session = &mut self.sessions[*entry.get() as usize];
                self.arena.remove(std::mem::replace(&mut session.opened, slot));
            }
            Entry::Vacant(entry) => {
                entry.insert(u32::try_from(self.sessions.len()).expect("a store has fewer than 2^32 sessions"));
                self.sessions.push(Session {
                    serial: opened.serial,
                    opened: slot,
                    closed: None,
                    start: Start::Pending,
                    sampled: None,
                });
            }
        }
    }

    fn handle_closed(&mut self, closed: &Closed, octets: &[u8]) {
        let Some(&index) = self.index.get(&closed.serial) else {
            self.unknown_sessions += 1;
            return;
        };
        let session = &mut self.sessions[index as usize];
        if let Some(slot) = session.closed.take() {
            self.arena.remove(slot);
        }
        session.closed = Some(self.arena.insert(octets));
        let slot = session.opened;
        if closed.taken_over.plane_epoch != 0
            && let Ok(Record::Opened(opened)) = frame::decode(self.arena.get(slot))
        {
            self.rings.take_over(opened.plane, closed.taken_over);
        }
    }

    fn handle_over(&mut self, serial: SessionSerial) {
        let Some(index) = self.index.remove(&serial) else {
            self.unknown_sessions += 1;
            return;
        };
        let session = self.sessions.swap_remove(index as usize);
        if let Some(moved) = self.sessions.get(index as usize) {
            self.index.insert(moved.serial, index);
        }
        self.arena.remove(session.opened);
        if let Some(slot) = session.closed {
            self.arena.remove(slot);
        }
        if self.arena.is_sparse() {
            let slots = self
                .sessions
                .iter_mut()
                .flat_map(|session| std::iter::once(&mut session.opened).chain(session.closed.as_mut()));
            self.arena.compact(slots);
        }
    }

    fn change(&mut self, serial: SessionSerial, change: impl FnOnce(&mut Session)) {
        match self.index.get(&serial) {
            Some(index) => change(&mut self.sessions[*index as usize]),
            None => self.unknown_sessions += 1,
        }
    }
}

impl RecordSink for Replay {
    fn record(&mut self, _sequence: u64, place: Place, record: &Record<'_>, octets: &[u8]) {
        match record {
            Record::Started(_) => {}
            Record::Opened(opened) => self.handle_opened(opened, octets),
            Record::Accepted(accepted) => {
                self.change(accepted.serial, |session| session.start = Start::Accepted(*accepted));
            }
            Record::StartFailed(failed) => {
                self.change(failed.serial, |session| session.start = Start::Failed(*failed));
            }
            Record::Sampled(sampled) => {
                self.change(sampled.serial, |session| session.sampled = Some(*sampled));
            }
            Record::Closed(closed) => self.handle_closed(closed, octets),
            Record::Acknowledged(acknowledged) => self.handle_over(acknowledged.serial),
            Record::Billed(bill) => {
                // A bill is complete in itself: its session may be unknown, it counts all the same, and what its Up
                // and Down took over is in it.
                self.rings.take_over(bill.opened.plane, bill.opened.taken_over);
                self.rings.take_over(bill.opened.plane, bill.closed.taken_over);
                if self.index.contains_key(&bill.opened.serial) {
                    self.handle_over(bill.opened.serial);
                }
                self.bills.push(BillRef::new(bill, place));
            }
            Record::Checkpointed(_)
            | Record::Heard(_)
            | Record::TransferBegun(_)
            | Record::TransferAbandoned(_)
            | Record::Departed(_)
            | Record::Claimed(_)
            | Record::Returned(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
