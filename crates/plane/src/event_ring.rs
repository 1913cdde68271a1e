//! Events through a ring of records: one plane worker writes, every shard reads.
//!
//! ```text
//!              consumed            cursor of shard 0   cursor of shard 1      produced
//!                 ▼                       ▼                  ▼                   ▼
//!   ─ free ───────┬───────────────────────┬──────────────────┬───────────────────┬─── free ─
//!                 │ read, not yet durable │     being read by each on its own    │
//! ```
//!
//! A shard reads every event of every ring and handles those of its own sessions; it runs ahead with a cursor of its
//! own. `consumed`, which the plane sees, is the least position that all shards have published, and a shard publishes a
//! position when everything before it that is its own is durable. So an event leaves the ring when nobody needs it again,
//! and after a crash the ring is read anew from there.

mod cursor;
mod writer;

use std::sync::Arc;

use lanes::sync::{AtomicU64, Ordering};
use model::event::PlaneEvent;

pub(crate) use cursor::SharedCursor;
pub use writer::{EventWriter, SendError};

use crate::layout::{LinkError, POSITION_MAX, RingPlace};
use crate::record::{BODY_BYTES_MAX, EVENT_RECORDS_MAX, FIRST_BODY_BYTES, Head, Kind, NEXT_BODY_BYTES, RECORD_VERSION};
use crate::record::{decode, records_for, session_of};
use crate::refusal::{Malformed, Refused};
use crate::region::Region;
use crate::words::{self, WORD};

/// Room for the private copy of one event, made once by whoever reads.
#[derive(Debug)]
pub struct EventScratch([u8; BODY_BYTES_MAX]);

impl Default for EventScratch {
    fn default() -> EventScratch {
        EventScratch([0; BODY_BYTES_MAX])
    }
}

/// What stands next in a ring.
#[expect(clippy::large_enum_variant, reason = "returned once per event and taken apart at once")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next<'a> {
    /// Nothing for this reader.
    Nothing,
    /// An event.
    Event(Delivery<'a>),
    /// Something that is no event; the ring is read on behind it.
    Refused(Refused<'a>),
}

/// An event and where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delivery<'a> {
    /// Its first record.
    pub position: u64,
    /// The first record behind it: what may be published as consumed when the event is durable.
    pub end: u64,
    /// What it says.
    pub event: PlaneEvent<'a>,
}

/// One shard's view of one event ring.
#[derive(Debug)]
pub struct EventRing<M> {
    region: Arc<Region<M>>,
    place: RingPlace,
    ring: u16,
    reader: u16,
    /// Where this reader reads next.
    cursor: u64,
    /// What this reader has published.
    published: u64,
    /// The last value of `produced` that was believed.
    produced_seen: u64,
}

impl<M: AsRef<[AtomicU64]>> EventRing<M> {
    pub(crate) fn new(region: Arc<Region<M>>, ring: u16, reader: u16) -> EventRing<M> {
        let place = region.memory().layout().event_ring(ring);
        let start = region.cursor(ring).published();
        EventRing { region, place, ring, reader, cursor: start, published: start, produced_seen: start }
    }

    /// Which of the plane's rings it is.
    pub fn ring(&self) -> u16 {
        self.ring
    }

    /// Where this reader reads next: what may be published when nothing before it waits to become durable.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Whether something was produced that this reader has not read.
    pub fn has_more(&self) -> bool {
        self.words()[self.place.produced].load(Ordering::Acquire) != self.cursor
    }

    /// Whether so much of the ring waits to be published, by this reader or another, that the plane may find no room in it.
    pub fn is_crowded(&self) -> bool {
        self.cursor.saturating_sub(self.region.cursor(self.ring).published()) >= self.place.records / 2
    }

    /// The next event whose session's hash is `mine`, and every resync event. The caller's predicate has to give each
    /// hash to exactly one reader; it is called with what the plane says, and the event is refused if that was false.
    ///
    /// Passes over at most one ring full of other readers' events.
    ///
    /// # Errors
    ///
    /// [`LinkError::HostileIndex`] when the producer's position runs backwards or further ahead than the ring is long.
    pub fn next_event<'s>(
        &mut self,
        scratch: &'s mut EventScratch,
        mine: impl Fn(u64) -> bool,
    ) -> Result<Next<'s>, LinkError> {
        let found = loop {
            if self.cursor == self.produced_seen && !self.look_for_more()? {
                return Ok(Next::Nothing);
            }
            let found = self.read_head(self.cursor);
            self.cursor = found.end;
            if found.kind.is_ok_and(|kind| !kind.has_session()) || mine(found.hash) {
                break found;
            }
        };
        let Found { position, end, .. } = found;
        let body = &mut scratch.0[..usize::from(found.head.body_bytes).min(BODY_BYTES_MAX)];
        let copied = found.kind.and_then(|kind| self.copy_body(&found, body).map(|()| kind));
        let body = &*body;
        Ok(match copied.and_then(|kind| decode(kind, found.hash, body)) {
            Ok(event) => Next::Event(Delivery { position, end, event }),
            Err(why) => {
                let session = copied.is_ok().then(|| session_of(body)).flatten();
                Next::Refused(Refused { position, end, why, session })
            }
        })
    }

    /// All of this reader's events before `position` are durable. When all readers have said so, the plane is told; ask
    /// [`Region::plane_needs_kick`] afterwards, once for a batch.
    ///
    /// # Panics
    ///
    /// When `position` was not read yet or lies before what was published: the caller lost count.
    pub fn publish_consumed(&mut self, position: u64) {
        assert!(
            (self.published..=self.cursor).contains(&position),
            "a position that was not read, or published before"
        );
        if position != self.published {
            self.published = position;
            self.region.cursor(self.ring).advance(self.reader, position, &self.words()[self.place.consumed]);
        }
    }

    fn words(&self) -> &[AtomicU64] {
        self.region.memory().words()
    }

    fn look_for_more(&mut self) -> Result<bool, LinkError> {
        // Acquire: the records before the position that is seen here were written completely. An honest plane has seen
        // no more consumed than was published before it moved its own position.
        let produced = self.words()[self.place.produced].load(Ordering::Acquire);
        let consumed = self.region.cursor(self.ring).published();
        if produced < self.produced_seen || produced > POSITION_MAX || produced - consumed > self.place.records {
            return Err(LinkError::HostileIndex);
        }
        self.produced_seen = produced;
        Ok(produced != self.cursor)
    }

    /// Reads the first two words at `position` once and decides where the ring is read on.
    ///
    /// The rule: behind a sound head, the event's records; else the record itself and the up to 15 behind it that call
    /// themselves continuations, but nothing that was not produced. Either is at least one record.
    fn read_head(&self, position: u64) -> Found {
        let at = self.place.record(position);
        let head = Head::from_word(self.words()[at].load(Ordering::Relaxed));
        let hash = self.words()[at + 1].load(Ordering::Relaxed);
        let kind = self.check(head, position);
        let end = match kind {
            Ok(_) => position + u64::from(head.count),
            Err(_) => self.behind_continuations(position),
        };
        Found { position, end, head, hash, kind }
    }

    fn check(&self, head: Head, position: u64) -> Result<Kind, Malformed> {
        if head.version != RECORD_VERSION {
            return Err(Malformed::Version);
        }
        if head.index != 0 {
            return Err(Malformed::Orphan);
        }
        let kind = Kind::from_u8(head.kind).ok_or(Malformed::Kind)?;
        let count = usize::from(head.count);
        if count > EVENT_RECORDS_MAX || count != records_for(usize::from(head.body_bytes)) {
            return Err(Malformed::Count);
        }
        if head.lap != self.place.lap(position) {
            return Err(Malformed::Stale);
        }
        if position + u64::from(head.count) > self.produced_seen {
            return Err(Malformed::Truncated);
        }
        Ok(kind)
    }

    fn behind_continuations(&self, position: u64) -> u64 {
        let limit = self.produced_seen.min(position + EVENT_RECORDS_MAX as u64);
        (position + 1..limit)
            .find(|next| {
                let word = self.words()[self.place.record(*next)].load(Ordering::Relaxed);
                Head::from_word(word).index == 0
            })
            .unwrap_or(limit)
    }

    /// Copies the body out of its records and checks that each record is the event's own.
    fn copy_body(&self, found: &Found, body: &mut [u8]) -> Result<(), Malformed> {
        let (first, rest) = body.split_at_mut(body.len().min(FIRST_BODY_BYTES));
        load_body(self.words(), self.place.record(found.position) + 2, first);
        for (index, part) in (1u8..).zip(rest.chunks_mut(NEXT_BODY_BYTES)) {
            let at = self.place.record(found.position + u64::from(index));
            if self.words()[at].load(Ordering::Relaxed) != found.head.at_index(index).to_word() {
                return Err(Malformed::Continuation);
            }
            load_body(self.words(), at + 1, part);
        }
        Ok(())
    }
}

/// A record that was looked at.
struct Found {
    position: u64,
    end: u64,
    head: Head,
    hash: u64,
    kind: Result<Kind, Malformed>,
}

/// Copies words into octets that need not end with a word.
fn load_body(words: &[AtomicU64], at: usize, out: &mut [u8]) {
    let whole = out.len() - out.len() % WORD;
    let (whole, rest) = out.split_at_mut(whole);
    words::load(words, at, whole);
    if !rest.is_empty() {
        let mut last = [0; WORD];
        words::load(words, at + whole.len() / WORD, &mut last);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
