//! Counters as they are read: over all generations, and never less than before.
//!
//! A plane that loses its counters says so, with a new generation ([`Shard::read`] adds what the old ones counted). One
//! that does not say so is caught when a field is less than it was: then its counters began again at zero, and what was
//! last read becomes the baseline.

use model::counters::{CounterSource, Counters};

use super::{Notice, Shard};
use crate::session::{Flags, Owed, Slot, State, serial};

impl Shard {
    /// What the session has counted up to now, over all generations; `None` when its slot cannot be read.
    pub(super) fn read(&self, slot: Slot, counters: &impl CounterSource) -> Option<Counters> {
        let session = self.session(slot);
        let read = counters.read(session.plane, session.counters)?;
        let last = self.account(slot).sample;
        let total = read.plus(self.baseline(slot));
        Some(if total.falls_below(last) { read.plus(last) } else { total })
    }

    /// The same for what goes on from here: if the counters fell, what they began again from is kept.
    pub(super) fn read_on(&mut self, slot: Slot, counters: &impl CounterSource) -> Option<Counters> {
        let session = self.session(slot);
        let read = counters.read(session.plane, session.counters)?;
        let last = self.account(slot).sample;
        let total = read.plus(self.baseline(slot));
        if !total.falls_below(last) {
            return Some(total);
        }
        self.counts.counter_regressions += 1;
        self.notice(Notice::CountersFell(serial(self.session(slot), self.account(slot))));
        self.begin_generation(slot, last);
        let session = self.session(slot);
        if session.state != State::NotAccounted && !session.flags.has(Flags::PROVISIONAL) {
            self.owe(slot, Owed::Opened);
        }
        Some(read.plus(last))
    }

    /// Counters of the session begin at zero, and this was counted before.
    pub(super) fn begin_generation(&mut self, slot: Slot, counted: Counters) {
        self.baselines.insert(slot, counted);
        self.session_mut(slot).flags.set(Flags::BASELINE);
    }

    /// Whether something has been counted, by the last sample, since the last report that was acknowledged; or none was.
    pub(super) fn has_counted(&self, slot: Slot) -> bool {
        let account = self.account(slot);
        account.sample.sum() != account.reported
    }
}
