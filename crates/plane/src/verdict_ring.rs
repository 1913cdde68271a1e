//! Verdicts through a ring of records: every shard writes, the plane reads.
//!
//! ```text
//!   0 position + 1, written last      8 sentence  9 reason  10 octets of the name  11… zero
//!  16 slot      20 generation, 0 = not said
//!  24 the session's name, up to 64 octets, filled up with zeros                     88… not used
//! ```
//!
//! A shard takes the next position from a counter in the engine's own memory, writes the record, and writes its first
//! word last; the plane reads a record when that word is the position it waits for, plus one. So shards need no lock, and
//! the plane needs no producer position. A shard takes a position only while the ring has room.
//!
//! An engine that dies between taking and writing leaves a gap; the next one begins at the first gap and clears what was
//! written behind it. No verdict is lost by that: who is not admitted announces itself again in the resync.

use std::sync::Arc;

use lanes::sync::{AtomicU64, Ordering};
use model::counters::CounterSlot;
use model::ids::PLANE_SESSION_MAX;
use model::verdict::{Reason, Sentence, Verdict};

use crate::layout::{LinkError, POSITION_MAX, RingPlace};
use crate::region::{Memory, Region};
use crate::words::{self, WORD};

/// Words before the name.
const NAME_WORD: usize = 3;

/// Words of a record that mean something.
const RECORD_WORDS: usize = NAME_WORD + PLANE_SESSION_MAX / WORD;

/// Why a verdict was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictError {
    /// The ring has no room until the plane has read more. The verdict stays with the engine.
    Full,
    /// The plane claims to have read what was never written: the link is to be closed.
    Hostile,
}

/// Writes verdicts to one plane. Any number of shards may have one.
#[derive(Debug)]
pub struct VerdictWriter<M> {
    region: Arc<Region<M>>,
}

impl<M> Clone for VerdictWriter<M> {
    fn clone(&self) -> VerdictWriter<M> {
        VerdictWriter { region: Arc::clone(&self.region) }
    }
}

impl<M: AsRef<[AtomicU64]>> VerdictWriter<M> {
    pub(crate) fn new(region: Arc<Region<M>>) -> VerdictWriter<M> {
        VerdictWriter { region }
    }

    /// Writes a verdict. Ask [`Region::plane_needs_kick`] afterwards, once for a batch.
    ///
    /// # Errors
    ///
    /// [`VerdictError`]; nothing was written then.
    ///
    /// # Panics
    ///
    /// When the session's name has more than 64 octets: no event that was accepted has.
    pub fn push(&self, verdict: &Verdict<'_>) -> Result<(), VerdictError> {
        let record = compose(verdict);
        let position = self.region.take_verdict_position()?;
        let words = self.region.memory().words();
        let place = self.region.memory().layout().verdict_ring();
        let at = place.record(position);
        for (word, value) in words[at + 1..].iter().zip(record) {
            word.store(value, Ordering::Relaxed);
        }
        // Release: the rest of the record is seen by whoever sees this word.
        words[at].store(position + 1, Ordering::Release);
        Ok(())
    }
}

impl<M: AsRef<[AtomicU64]>> Region<M> {
    pub(crate) fn verdicts_have_room(&self) -> bool {
        // A hostile position counts as room: the shard stays awake, tries again and learns it.
        !matches!(self.verdict_position(), Ok(None))
    }

    /// The next position, or `None` while the ring is full.
    fn verdict_position(&self) -> Result<Option<u64>, VerdictError> {
        let place = self.memory().layout().verdict_ring();
        // The plane's position first: an honest plane has read only what was taken before, so the counter that is read
        // behind it is not smaller.
        let consumed = self.memory().words()[place.consumed].load(Ordering::Acquire);
        let next = self.verdicts_reserved.0.load(Ordering::Relaxed);
        match next.checked_sub(consumed) {
            Some(waiting) if waiting < place.records => Ok(Some(next)),
            // More than a ring full: the plane's position ran backwards, or other shards took positions meanwhile.
            Some(_) => Ok(None),
            None => Err(VerdictError::Hostile),
        }
    }

    fn take_verdict_position(&self) -> Result<u64, VerdictError> {
        loop {
            let next = self.verdict_position()?.ok_or(VerdictError::Full)?;
            // Another shard that took this position made progress; there are at most as many rounds as shards.
            let taken = self.verdicts_reserved.0.compare_exchange(next, next + 1, Ordering::Relaxed, Ordering::Relaxed);
            if taken.is_ok() {
                return Ok(next);
            }
        }
    }
}

/// A verdict that the plane has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnedVerdict {
    /// What to do.
    pub sentence: Sentence,
    /// Why.
    pub reason: Reason,
    /// The session's slot, as far as the engine has heard of it; `None`: it has not.
    pub slot: Option<CounterSlot>,
    session: [u8; PLANE_SESSION_MAX],
    session_len: u8,
}

impl OwnedVerdict {
    /// The plane's own name of the session.
    pub fn session(&self) -> &[u8] {
        &self.session[..usize::from(self.session_len)]
    }

    /// Whether it is on the session that has this name now, and not on an earlier one that was gone when the engine spoke, or is
    /// gone since. `slots`: those that this session has or has had; one that it had before a Reset may be left out once the Reset
    /// is taken over.
    pub fn is_on(&self, slots: &[CounterSlot]) -> bool {
        self.slot.is_none_or(|slot| slots.contains(&slot))
    }
}

/// Reads verdicts. There is one per memory.
#[derive(Debug)]
pub struct VerdictReader<M> {
    memory: Arc<Memory<M>>,
    place: RingPlace,
    consumed: u64,
}

impl<M: AsRef<[AtomicU64]>> VerdictReader<M> {
    /// Goes on where the last reader stopped.
    pub fn new(memory: Arc<Memory<M>>) -> VerdictReader<M> {
        let place = memory.layout().verdict_ring();
        let consumed = memory.words()[place.consumed].load(Ordering::Acquire);
        VerdictReader { memory, place, consumed }
    }

    /// Whether a verdict waits.
    pub fn has_more(&self) -> bool {
        // Acquire: with the first word of the record the rest of it is seen.
        let first = self.memory.words()[self.place.record(self.consumed)].load(Ordering::Acquire);
        first == self.consumed.wrapping_add(1)
    }

    /// The next verdict. One that this build does not know is passed over.
    pub fn poll_verdict(&mut self) -> Option<OwnedVerdict> {
        while self.has_more() {
            let mut record = [0; (RECORD_WORDS - 1) * WORD];
            words::load(self.memory.words(), self.place.record(self.consumed) + 1, &mut record);
            self.consumed += 1;
            // Release: our reads are over before the engine may write the record again.
            self.memory.words()[self.place.consumed].store(self.consumed, Ordering::Release);
            if let Some(verdict) = read(&record) {
                return Some(verdict);
            }
        }
        None
    }
}

/// Where the next engine begins to write: at the first gap behind what the plane has read. What stands behind the gap is
/// cleared, so that the plane does not read it a lap too early.
pub(crate) fn recover(words: &[AtomicU64], place: RingPlace) -> Result<u64, LinkError> {
    let consumed = words[place.consumed].load(Ordering::Acquire);
    if consumed > POSITION_MAX {
        return Err(LinkError::HostileIndex);
    }
    let lap = consumed..consumed + place.records;
    let written = |position: &u64| words[place.record(*position)].load(Ordering::Relaxed) == position + 1;
    let gap = lap.clone().find(|position| !written(position)).unwrap_or(lap.end);
    for position in gap..lap.end {
        words[place.record(position)].store(0, Ordering::Relaxed);
    }
    Ok(gap)
}

/// The words of a record behind its first.
fn compose(verdict: &Verdict<'_>) -> [u64; RECORD_WORDS - 1] {
    let name = verdict.session;
    assert!(name.len() <= PLANE_SESSION_MAX, "a session's name of more than 64 octets");
    let mut octets = [0; (RECORD_WORDS - 1) * WORD];
    let name_len = u8::try_from(name.len()).unwrap_or(u8::MAX);
    octets[..3].copy_from_slice(&[verdict.sentence as u8, verdict.reason as u8, name_len]);
    octets[8..12].copy_from_slice(&verdict.counters.slot.to_le_bytes());
    octets[12..16].copy_from_slice(&verdict.counters.generation.to_le_bytes());
    octets[16..16 + name.len()].copy_from_slice(name);
    let (words, _) = octets.as_chunks::<WORD>();
    std::array::from_fn(|index| u64::from_le_bytes(words[index]))
}

fn read(record: &[u8; (RECORD_WORDS - 1) * WORD]) -> Option<OwnedVerdict> {
    let [sentence, reason, session_len, ..] = *record;
    let (numbers, session) = record.split_at(2 * WORD);
    let number = |at: usize| Some(u32::from_le_bytes(*numbers.get(at..)?.first_chunk()?));
    let slot = CounterSlot { slot: number(8)?, generation: number(12)? };
    Some(OwnedVerdict {
        sentence: Sentence::from_u8(sentence)?,
        reason: Reason::from_u8(reason)?,
        slot: (slot.generation != 0).then_some(slot),
        session: *session.first_chunk()?,
        session_len: if usize::from(session_len) <= PLANE_SESSION_MAX { session_len } else { return None },
    })
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
