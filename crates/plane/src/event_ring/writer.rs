//! A plane worker's side of an event ring.

use std::sync::Arc;

use lanes::sync::{AtomicU64, Ordering};
use model::event::PlaneEvent;

use crate::layout::RingPlace;
use crate::record::{BODY_BYTES_MAX, EncodeError, Encoded, FIRST_BODY_BYTES, Head, NEXT_BODY_BYTES};
use crate::record::{encode, records_for};
use crate::region::Memory;
use crate::words;

/// Why an event was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The ring has no room until the engine has made more events durable. The event stays with the plane.
    Full,
    /// The event cannot be said; trying again does not help.
    Event(EncodeError),
}

/// Writes events into one ring. There is one per ring.
#[derive(Debug)]
pub struct EventWriter<M> {
    memory: Arc<Memory<M>>,
    place: RingPlace,
    produced: u64,
    consumed_seen: u64,
    body: Box<[u8; BODY_BYTES_MAX]>,
}

impl<M: AsRef<[AtomicU64]>> EventWriter<M> {
    /// Goes on where the ring's last writer stopped.
    pub(crate) fn new(memory: Arc<Memory<M>>, ring: u16) -> EventWriter<M> {
        let place = memory.layout().event_ring(ring);
        let position = |word: usize| memory.words()[word].load(Ordering::Acquire);
        let (produced, consumed_seen) = (position(place.produced), position(place.consumed));
        EventWriter { memory, place, produced, consumed_seen, body: Box::new([0; BODY_BYTES_MAX]) }
    }

    /// Writes an event and publishes it. Afterwards the engine may have to be woken; see
    /// [`PlaneBell`](crate::doorbell::PlaneBell).
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing was written then.
    pub fn write(&mut self, event: &PlaneEvent<'_>) -> Result<(), SendError> {
        let Encoded { kind, hash, body } = encode(event, &mut self.body).map_err(SendError::Event)?;
        let count = records_for(body.len()) as u64;
        if !has_room(&self.memory, self.place, self.produced, &mut self.consumed_seen, count) {
            return Err(SendError::Full);
        }
        let words = self.memory.words();
        let head = Head::first(kind, body.len(), self.place.lap(self.produced));
        let at = self.place.record(self.produced);
        words[at].store(head.to_word(), Ordering::Relaxed);
        words[at + 1].store(hash, Ordering::Relaxed);
        let (first, rest) = body.split_at(body.len().min(FIRST_BODY_BYTES));
        words::store(words, at + 2, first);
        for (index, part) in (1u8..).zip(rest.chunks(NEXT_BODY_BYTES)) {
            let at = self.place.record(self.produced + u64::from(index));
            words[at].store(head.at_index(index).to_word(), Ordering::Relaxed);
            words::store(words, at + 1, part);
        }
        self.produced += count;
        // Release: the records are seen by whoever sees the new position.
        words[self.place.produced].store(self.produced, Ordering::Release);
        Ok(())
    }

    /// Whether every event that was written is durable.
    pub fn taken_over(&self) -> bool {
        self.consumed() == self.produced
    }

    /// How far the engine has come.
    pub fn consumed(&self) -> u64 {
        self.memory.words()[self.place.consumed].load(Ordering::Acquire)
    }
}

/// Room for `count` records. A consumer position that cannot be makes the ring look full.
fn has_room<M: AsRef<[AtomicU64]>>(
    memory: &Memory<M>,
    place: RingPlace,
    produced: u64,
    consumed_seen: &mut u64,
    count: u64,
) -> bool {
    let room =
        |consumed: u64| place.records.checked_sub(produced.wrapping_sub(consumed)).is_some_and(|free| free >= count);
    if room(*consumed_seen) {
        return true;
    }
    // Acquire: the engine has read what stood before the position that is seen here.
    *consumed_seen = memory.words()[place.consumed].load(Ordering::Acquire);
    room(*consumed_seen)
}
