//! Verdicts on their way to the planes. A session keeps its own until the plane's ring has room; a subscriber that
//! got no session has one in a short queue, and while that is full no further event is taken.

use std::collections::VecDeque;

use model::counters::CounterSlot;
use model::ids::{PLANE_SESSION_MAX, PlaneIndex};
use model::verdict::{Reason, Sentence, Verdict};

use super::Shard;
use crate::journal::Step;
use crate::session::Slot;

const REFUSAL_COUNT_MAX: usize = 1024;

/// A verdict on a subscriber that has no session.
#[derive(Clone, Copy)]
struct Refusal {
    plane: PlaneIndex,
    sentence: Sentence,
    reason: Reason,
    counters: CounterSlot,
    name: [u8; PLANE_SESSION_MAX],
    name_length: u8,
}

impl Refusal {
    fn name(&self) -> &[u8] {
        &self.name[..usize::from(self.name_length)]
    }
}

/// The queue of such verdicts.
pub(super) struct Refusals {
    queue: VecDeque<Refusal>,
    polled: Option<Refusal>,
}

impl Refusals {
    pub(super) fn new() -> Refusals {
        Refusals { queue: VecDeque::with_capacity(REFUSAL_COUNT_MAX), polled: None }
    }

    pub(super) fn is_full(&self) -> bool {
        self.queue.len() == REFUSAL_COUNT_MAX
    }
}

impl Shard {
    /// The next verdict, to be copied before the next call. Poll only when every plane's ring has room for one, or
    /// be ready to keep it.
    pub fn poll_verdict(&mut self) -> Option<Verdict<'_>> {
        self.let_leave();
        if let Some(refusal) = self.refusals.queue.pop_front() {
            let refusal = self.refusals.polled.insert(refusal);
            return Some(Verdict {
                plane: refusal.plane,
                session: refusal.name(),
                counters: refusal.counters,
                sentence: refusal.sentence,
                reason: refusal.reason,
            });
        }
        let slot = self.verdicts.pop()?;
        let (sentence, reason) = self.session_mut(slot).verdict.take()?;
        self.leaving = Some(slot);
        self.note(slot, self.latest.mono, Step::Verdict { sentence, reason });
        let session = self.session(slot);
        let (plane, counters) = (session.plane, session.counters);
        Some(Verdict { plane, session: self.table.blobs.name(session.blob), counters, sentence, reason })
    }

    /// Gives a verdict on a session. One that still waits is replaced: the newer one is true.
    pub(super) fn pronounce(&mut self, slot: Slot, sentence: Sentence, reason: Reason) {
        if self.session_mut(slot).verdict.replace((sentence, reason)).is_none() {
            self.verdicts.push(slot);
        }
    }

    /// Takes back the verdict that waits still: the subscriber has gone, and it would be taken for one on the next
    /// session of that name.
    pub(super) fn withdraw_verdict(&mut self, slot: Slot) {
        if self.session_mut(slot).verdict.take().is_some() {
            self.verdicts.remove(slot);
        }
    }

    /// Takes back what waits still for a subscriber who was refused: it is announced once more, and this time there is room for it.
    pub(super) fn withdraw_refusals(&mut self, plane: PlaneIndex, name: &[u8]) {
        self.refusals.queue.retain(|refusal| refusal.plane != plane || refusal.name() != name);
    }

    /// Refuses a subscriber that has no session. `counters`: as its Up has them, if that could be read.
    pub(super) fn refuse(&mut self, plane: PlaneIndex, name: &[u8], counters: CounterSlot, reason: Reason) {
        self.counts.refused += 1;
        self.pronounce_on_nobody(plane, name, counters, (Sentence::Refuse, reason));
    }

    /// Gives a verdict on a subscriber that has no session.
    pub(super) fn pronounce_on_nobody(
        &mut self,
        plane: PlaneIndex,
        name: &[u8],
        counters: CounterSlot,
        (sentence, reason): (Sentence, Reason),
    ) {
        let mut refusal = Refusal { plane, sentence, reason, counters, name: [0; PLANE_SESSION_MAX], name_length: 0 };
        let length = name.len().min(PLANE_SESSION_MAX);
        refusal.name[..length].copy_from_slice(&name[..length]);
        #[expect(clippy::cast_possible_truncation, reason = "at most PLANE_SESSION_MAX")]
        {
            refusal.name_length = length as u8;
        }
        self.refusals.queue.push_back(refusal);
    }
}
