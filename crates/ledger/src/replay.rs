//! The records of a store, folded into what a new life must know: who is online, whose Stop is owed, which bills there
//! are, and what each plane's event rings have already been heard to say.
//!
//! **Where a session is.** Its `opened` or `checkpointed`, and its `closed`, stay the octets that they were, in one arena; what its
//! newest sample says stands beside its key. All of it is decoded when somebody looks at the session. A session takes its
//! records and about 150 octets more, and a million of them need a few dozen allocations: the arena goes on in memory that
//! segments were read into.
//!
//! **How a batch is taken in.** First the session of every record in it is looked up, then every record is applied. Each look-up
//! waits for memory, and so does each session; apart, many of them wait at the same time. A record with samples of many sessions
//! is taken in likewise, when its turn has come.
//!
//! **A log that begins in the middle.** When the front of the log has been deleted, records may speak of a session whose `opened`
//! is gone. They are *explained* when the session is said again whole later, which replaces all that was known, or when it
//! is over: then nobody needs it. What is never explained is what damage has left, and is counted
//! ([`Replay::unknown_sessions`]).

mod arena;
mod heard;
mod index;
mod live;
mod rings;

use model::ids::SessionSerial;
use model::record::{Accepted, Announced, Checkpointed, Heard, Record, Sampled, StartFailed, Started};
use model::time::{Mono, Now, Wall};

use self::arena::Arena;
use self::heard::HeardRings;
use self::live::{Session, Sessions, Start};
use self::rings::Rings;
use crate::frame::{self, SessionKey};
use crate::pool::BillBook;
use crate::recover::{RecordBatch, RecordSink, Stored};
use crate::segment::Place;

pub use self::index::SessionIndex;

/// Sessions that are handed out together: their octets are waited for at once, and stay in the cache so long.
const BLOCK: usize = 32;

/// A session that is online, or whose Stop is owed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LiveSession<'a> {
    /// All that was said of it, as one record would say it. If it has a `closed`, its Stop is owed; if not, it is online.
    pub whole: Checkpointed<'a>,
    /// When it was last sampled, on the wall: its Up's moment, and what passed since then on the box's own clock. The wall clock may
    /// have been set meanwhile. `None` without a sample.
    pub sampled_at: Option<Wall>,
    /// The box's boot in which its newest `opened`, `checkpointed` or `sampled` was written; `None` when the `started` of that
    /// life is not in the store.
    pub boot_id: Option<[u8; 16]>,
}

impl LiveSession<'_> {
    /// When the session was last heard of in an earlier boot of the box, on that boot's wall clock: at its last sample, or at
    /// its Up. `None`: the box runs in the same boot. `boot_last` is the boot of the store's last life
    /// ([`Recovered::boot_id`](crate::recover::Recovered)), for a session whose own is not known.
    pub fn rebooted(&self, boot_last: Option<[u8; 16]>, boot_now: [u8; 16]) -> Option<Wall> {
        let boot = self.boot_id.or(boot_last)?;
        (boot != boot_now).then(|| self.sampled_at.unwrap_or(self.whole.opened.at.wall))
    }
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
    sessions: Sessions,
    arena: Arena,
    book: BillBook,
    rings: Rings,
    heard: HeardRings,
    /// The newest of each server.
    announced: Vec<Announced>,
    booted: Option<[u8; 16]>,
    /// Engine starts, by epoch.
    lives: Vec<Started>,
    /// The session of each record of a batch.
    found: Vec<u32>,
    /// The samples of one record, and their sessions.
    samples: Vec<Sampled>,
    sampled: Vec<u32>,
}

impl Replay {
    /// Nothing has happened.
    pub fn new() -> Replay {
        Replay::default()
    }

    /// Sessions that are online, or whose Stop is owed.
    pub fn session_count(&self) -> usize {
        self.sessions.count()
    }

    /// Each of them, in the order in which the log first told of them; but one that came when another was over stands in the
    /// other's place. The same store gives the same order.
    pub fn sessions(&self) -> impl Iterator<Item = LiveSession<'_>> {
        self.sessions.blocks(BLOCK).flat_map(|block| {
            self.arena.touch(block.iter().flat_map(|entry| entry.value.slots()).flatten());
            block.iter().filter_map(|entry| self.live(entry.key, &entry.value))
        })
    }

    /// One of them.
    pub fn session(&self, serial: SessionSerial) -> Option<LiveSession<'_>> {
        self.sessions.get(serial.into()).and_then(|session| self.live(serial.into(), session))
    }

    /// What the records say of bills, for whoever goes on with it; what is left says nothing.
    pub fn take_book(&mut self) -> BillBook {
        std::mem::take(&mut self.book)
    }

    /// What the records say of bills.
    pub fn book(&self) -> &BillBook {
        &self.book
    }

    /// What was taken over from each plane's rings, as far back as a ring can reach.
    pub fn taken_over(&self) -> impl Iterator<Item = RingPosition<'_>> {
        self.rings.positions(&self.heard)
    }

    /// How far each ring has been heard, by each shard that ever was one of so many. All of them count: what a shard of three
    /// has taken over stays taken over when there are four.
    pub fn heard(&self) -> impl Iterator<Item = Heard<'_>> {
        self.heard.iter()
    }

    /// What each server was last told of the accounting of the box.
    pub fn announced(&self) -> &[Announced] {
        &self.announced
    }

    /// The boot of the box that was last said to have begun.
    pub fn booted(&self) -> Option<[u8; 16]> {
        self.booted
    }

    /// The engine starts that the store tells of, by epoch.
    pub fn lives(&self) -> &[Started] {
        &self.lives
    }

    /// Records that spoke of a session which nothing before made known and nothing behind explained.
    pub fn unknown_sessions(&self) -> u64 {
        self.sessions.unknown()
    }

    /// Records that spoke of a session whose `opened` is gone, and that nobody needs: later it was said again whole, or
    /// it is over.
    pub fn explained_records(&self) -> u64 {
        self.sessions.explained()
    }

    fn know(&mut self, life: &Started) {
        if let Err(index) = self.lives.binary_search_by_key(&life.epoch, |known| known.epoch) {
            self.lives.insert(index, *life);
        }
    }

    fn life(&self, life: u32) -> Option<&Started> {
        let index = self.lives.binary_search_by_key(&life, |started| started.epoch).ok()?;
        self.lives.get(index)
    }

    /// `None` of one that is over.
    fn live(&self, key: SessionKey, session: &Session) -> Option<LiveSession<'_>> {
        let serial = key.serial();
        let mut whole = decoded(self.arena.get(session.whole?));
        match session.start {
            Start::AsWhole => {}
            Start::Accepted { keep_accounting } => {
                whole.accepted = Some(Accepted { serial, at: session.start_at, keep_accounting });
                whole.start_failed = None;
            }
            Start::Failed(zero_stop) => {
                whole.accepted = None;
                whole.start_failed = Some(StartFailed { serial, zero_stop });
            }
        }
        if session.has_sample {
            whole.sampled = frame::decode_sample(serial, &session.sample);
        }
        if let Some(slot) = session.closed
            && let Ok(Record::Closed(closed)) = frame::decode(self.arena.get(slot))
        {
            whole.closed = Some(closed);
        }
        let life = self.life(session.life);
        Some(LiveSession {
            whole,
            sampled_at: whole.sampled.map(|sampled| later(whole.opened.at, sampled.at)),
            boot_id: life.map(|started| started.boot_id),
        })
    }

    /// Takes in records in their order. They were checked, or decoded.
    fn take<'r>(&mut self, records: impl Iterator<Item = Stored<'r>> + Clone, life: u32) {
        let mut found = std::mem::take(&mut self.found);
        self.sessions.find(records.clone().map(|stored| stored.octets), &mut found);
        for (stored, session) in records.zip(&found) {
            self.apply(&stored, *session, life);
        }
        self.found = found;
        self.sessions.end_batch();
        if self.arena.is_sparse() {
            let slots = self.sessions.slots();
            self.arena.compact(slots);
        }
    }

    fn apply(&mut self, Stored { place, octets, .. }: &Stored<'_>, found: u32, life: u32) {
        match octets.first().copied() {
            Some(frame::KIND_OPENED) => self.handle_opened(octets, found, life),
            Some(frame::KIND_CHECKPOINTED) => self.handle_checkpointed(octets, found, life),
            Some(frame::KIND_SAMPLED) => self.handle_sampled(octets, found, life),
            Some(frame::KIND_SAMPLED_MANY) => self.handle_sampled_many(octets, life),
            Some(frame::KIND_ACCEPTED | frame::KIND_START_FAILED) => self.handle_started(octets, found),
            Some(frame::KIND_CLOSED) => self.handle_closed(octets, found),
            Some(frame::KIND_ACKNOWLEDGED) => self.handle_over(octets, found),
            _ => self.handle_other(*place, octets, found),
        }
    }

    fn handle_opened(&mut self, octets: &[u8], found: u32, life: u32) {
        self.take_over(octets);
        self.unfold(found);
        let session = self.sessions.revive(found);
        session.life = life;
        self.arena.replace(&mut session.whole, octets);
    }

    /// Whatever was known of it is replaced.
    fn handle_checkpointed(&mut self, octets: &[u8], found: u32, life: u32) {
        self.take_over(octets);
        let session = self.sessions.revive(found);
        if let Some(slot) = session.closed.take() {
            self.arena.remove(slot);
        }
        session.has_sample = false;
        session.start = Start::AsWhole;
        session.life = life;
        self.arena.replace(&mut session.whole, octets);
        // Only one whose Stop is owed has taken over a second event.
        if frame::has_closed(octets)
            && let Some(closed) = decoded(octets).closed
            && let Some(plane) = frame::plane(octets)
        {
            self.rings.take_over(plane, closed.taken_over);
        }
    }

    fn handle_sampled(&mut self, octets: &[u8], found: u32, life: u32) {
        match self.sessions.live_mut(found) {
            Some(session) => {
                session.life = life;
                frame::sample(octets).into_iter().for_each(|sample| session.keep_sample(*sample));
            }
            None => self.sessions.count_unknown(octets),
        }
    }

    fn handle_sampled_many(&mut self, octets: &[u8], life: u32) {
        self.samples.clear();
        self.samples.extend(frame::samples(octets));
        self.sessions.find_sampled(&self.samples, &mut self.sampled);
        for (sampled, found) in self.samples.iter().zip(&self.sampled) {
            match self.sessions.live_mut(*found) {
                Some(session) => {
                    session.life = life;
                    session.keep_sample(frame::encode_sample(sampled));
                }
                None => self.sessions.count_unknown_key(sampled.serial.into()),
            }
        }
    }

    fn handle_started(&mut self, octets: &[u8], found: u32) {
        let Some(session) = self.sessions.live_mut(found) else {
            self.sessions.count_unknown(octets);
            return;
        };
        if let Some((at, keep_accounting)) = frame::accepted(octets) {
            session.start = Start::Accepted { keep_accounting };
            session.start_at = at;
        } else if let Ok(Record::StartFailed(failed)) = frame::decode(octets) {
            session.start = Start::Failed(failed.zero_stop);
        }
    }

    fn handle_closed(&mut self, octets: &[u8], found: u32) {
        let taken_over = frame::taken_over(octets).unwrap_or_default();
        let Some(session) = self.sessions.live_mut(found) else {
            self.rings.take_over_of_some_plane(taken_over);
            self.sessions.count_unknown(octets);
            return;
        };
        self.arena.replace(&mut session.closed, octets);
        if let Some(whole) = session.whole
            && let Some(plane) = frame::plane(self.arena.get(whole))
        {
            self.rings.take_over(plane, taken_over);
        }
    }

    fn handle_over(&mut self, octets: &[u8], found: u32) {
        match self.sessions.end(found) {
            Some(slots) => slots.into_iter().flatten().for_each(|slot| self.arena.remove(slot)),
            None => self.sessions.explain(octets, 1),
        }
    }

    /// What is said of bills, rings and engine starts is rare, and decoded.
    fn handle_other(&mut self, place: Place, octets: &[u8], found: u32) {
        let Ok(record) = frame::decode(octets) else { return };
        match &record {
            Record::Started(started) => self.know(started),
            Record::Heard(heard) => self.heard.hear(heard),
            Record::Announced(announced) => {
                self.announced.retain(|known| known.server != announced.server);
                self.announced.push(*announced);
            }
            Record::Booted(booted) => self.booted = Some(booted.boot_id),
            Record::Billed(bill) => {
                // A bill is complete in itself: its session may be unknown, it counts all the same, and what its Up
                // and Down took over is in it.
                self.rings.take_over(bill.opened.plane, bill.opened.taken_over);
                self.rings.take_over(bill.opened.plane, bill.closed.taken_over);
                match self.sessions.end(found) {
                    Some(slots) => slots.into_iter().flatten().for_each(|slot| self.arena.remove(slot)),
                    None => self.sessions.explain(octets, 0),
                }
                self.book.apply(place, &record);
            }
            _ => {
                self.book.apply(place, &record);
            }
        }
    }

    fn take_over(&mut self, octets: &[u8]) {
        if let Some(taken_over) = frame::taken_over(octets)
            && let Some(plane) = frame::plane(octets)
        {
            self.rings.take_over(plane, taken_over);
        }
    }

    /// An `opened` replaces how a session began and nothing else: what only its `checkpointed` says is kept beside it.
    fn unfold(&mut self, found: u32) {
        let Some(session) = self.sessions.live_mut(found) else { return };
        let Some(whole) = session.whole.filter(|slot| frame::is_checkpointed(self.arena.get(*slot))) else { return };
        let mut room = [0; 256];
        let checkpointed = decoded(self.arena.get(whole));
        let (accepted, failed) = (checkpointed.accepted, checkpointed.start_failed);
        let (sampled, closed) = (checkpointed.sampled, checkpointed.closed);
        if let (Start::AsWhole, Some(accepted)) = (session.start, accepted) {
            session.start = Start::Accepted { keep_accounting: accepted.keep_accounting };
            session.start_at = accepted.at;
        }
        if let (Start::AsWhole, Some(failed)) = (session.start, failed) {
            session.start = Start::Failed(failed.zero_stop);
        }
        if let (false, Some(sampled)) = (session.has_sample, sampled) {
            session.keep_sample(frame::encode_sample(&sampled));
        }
        if let (None, Some(closed)) = (session.closed, closed)
            && let Ok(len) = frame::encode(&Record::Closed(closed), &mut room)
        {
            self.arena.replace(&mut session.closed, &room[..len]);
        }
    }
}

impl RecordSink for Replay {
    fn record(&mut self, sequence: u64, place: Place, _record: &Record<'_>, octets: &[u8]) {
        let life = self.lives.last().map_or(0, |started| started.epoch);
        self.take(std::iter::once(Stored { sequence, place, octets }), life);
    }

    fn records(&mut self, batch: &RecordBatch<'_>) {
        if let Some(life) = batch.life() {
            self.know(life);
        }
        self.take(batch.iter(), batch.life().map_or(0, |life| life.epoch));
    }

    fn take_memory(&mut self, memory: Vec<u8>) -> Option<Vec<u8>> {
        self.arena.take_memory(memory)
    }
}

/// A moment of the boot in which `from` was, on the wall as it was then.
fn later(from: Now, at: Mono) -> Wall {
    let passed = at.as_millis().saturating_sub(from.mono.as_millis());
    Wall::from_millis(from.wall.as_millis().saturating_add(passed))
}

/// What an `opened` or a `checkpointed` record in the arena says.
fn decoded(octets: &[u8]) -> Checkpointed<'_> {
    match frame::decode(octets) {
        Ok(Record::Checkpointed(session)) => session,
        Ok(Record::Opened(opened)) => {
            Checkpointed { opened, accepted: None, start_failed: None, sampled: None, closed: None }
        }
        _ => unreachable!("it was checked before it was kept"),
    }
}

#[cfg(test)]
mod tests;
