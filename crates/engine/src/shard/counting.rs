//! Counters as they are read: over all generations, and never less than before.
//!
//! A plane that loses its counters says so, with a new generation ([`Shard::read`] adds what the old ones counted). One
//! that does not say so is caught when a field is less than it was: then its counters began again at zero, and what was
//! last read becomes the baseline.
//!
//! A plane whose counters have 32 bits says so when it links; in them, less than before means that they have turned over,
//! once since the last sample. So they have to be read more often than they turn over.

use model::counters::{CounterSource, Counters};

use super::{Notice, Shard};
use crate::session::{Flags, Owed, Slot, State};

impl Shard {
    /// What these counters of its present generation come to, over all generations; in a plane whose counters have 32 bits,
    /// over all turns as well. Without the directions that its domain does not count.
    pub(super) fn total(&self, slot: Slot, read: Counters) -> Counters {
        let session = self.session(slot);
        let read = self.contracts.get(session.contract).terms.flow.of(read);
        let baseline = self.baseline(slot);
        if self.planes.is_narrow(session.plane) {
            return self.table.counted(slot).plus(read.turned_since(self.table.counted(slot).minus(baseline)));
        }
        read.plus(baseline)
    }

    /// What the session has counted up to now, over all generations; `None` when its slot cannot be read.
    pub(super) fn read(&self, slot: Slot, counters: &impl CounterSource) -> Option<Counters> {
        let session = self.session(slot);
        let read = counters.read(session.plane, session.counters)?;
        let last = self.table.counted(slot);
        let total = self.total(slot, read);
        Some(if total.falls_below(last) { self.counted_anew(slot, read, last) } else { total })
    }

    /// The same for what goes on from here: if the counters fell, what they began again from is kept.
    pub(super) fn read_on(&mut self, slot: Slot, counters: &impl CounterSource) -> Option<Counters> {
        let session = self.session(slot);
        let read = counters.read(session.plane, session.counters)?;
        let last = self.table.counted(slot);
        let total = self.total(slot, read);
        if !total.falls_below(last) {
            return Some(total);
        }
        self.counts.counter_regressions += 1;
        self.notice(Notice::CountersFell(self.session(slot).serial.parts()));
        self.begin_generation(slot, last);
        let session = self.session(slot);
        if session.state != State::NotAccounted && !session.flags.has(Flags::PROVISIONAL) {
            self.owe(slot, Owed::Opened);
        }
        Some(self.counted_anew(slot, read, last))
    }

    fn counted_anew(&self, slot: Slot, read: Counters, last: Counters) -> Counters {
        self.contracts.get(self.session(slot).contract).terms.flow.of(read).plus(last)
    }

    /// Counters of the session begin at zero, and this was counted before.
    pub(super) fn begin_generation(&mut self, slot: Slot, counted: Counters) {
        self.baselines.insert(slot, counted);
        self.session_mut(slot).flags.set(Flags::BASELINE);
    }

    /// Whether something has been counted, by the last sample, since the last report that was acknowledged; or none was.
    pub(super) fn has_counted(&self, slot: Slot) -> bool {
        self.table.counted(slot).sum() != self.annex(slot).reported
    }

    /// A report that says so much was acknowledged. Few ask for that: those whose interims wait for traffic.
    pub(super) fn note_reported(&mut self, slot: Slot, sum: u64) {
        if self.contracts.get(self.session(slot).contract).scheme.interim_traffic {
            self.annex_mut(slot).reported = sum;
        }
    }
}
