//! Walks over all sessions, some at a time, so that no packet waits for an operator who looks at a million of them.

use model::report::SurveyReport;
use model::time::Mono;

use super::Shard;
use crate::attributes;
use crate::session::{Slot, State};

/// How far a walk is, and what it has found.
#[derive(Clone, Debug)]
pub struct Survey {
    next: Slot,
    found: SurveyReport,
}

impl Default for Survey {
    fn default() -> Survey {
        Survey { next: 0, found: SurveyReport::EMPTY }
    }
}

/// How far the search for a session is.
#[derive(Clone, Debug)]
pub struct Search {
    next: Slot,
    session_id: Box<[u8]>,
}

impl Search {
    /// For the session with this Acct-Session-Id.
    pub fn new(session_id: &[u8]) -> Search {
        Search { next: 0, session_id: session_id.into() }
    }
}

/// A session that a search has found; good until the shard is told something.
#[derive(Clone, Copy, Debug)]
pub struct Found(pub(super) Slot);

/// How a step of a search ends.
#[derive(Clone, Copy, Debug)]
pub enum Searched {
    /// There are more slots to look at.
    GoesOn,
    /// Here it is.
    Found(Found),
    /// There is no such session.
    Nowhere,
}

impl Shard {
    /// Looks at `count` more slots for the session. One that comes up meanwhile may be missed.
    pub fn search(&self, search: &mut Search, count: usize) -> Searched {
        let mut slots = self.table.slots().skip(search.next as usize);
        for slot in slots.by_ref().take(count) {
            search.next += 1;
            if self.is_shown(slot) && attributes::session_id(self.run(slot)) == Some(&search.session_id) {
                return Searched::Found(Found(slot));
            }
        }
        if slots.next().is_none() { Searched::Nowhere } else { Searched::GoesOn }
    }

    /// Looks at `count` more slots; what was found, when there are no more.
    pub fn survey(&self, survey: &mut Survey, count: usize) -> Option<SurveyReport> {
        let mut slots = self.table.slots().skip(survey.next as usize);
        for slot in slots.by_ref().take(count) {
            survey.next += 1;
            self.look_at(slot, &mut survey.found);
        }
        slots.next().is_none().then(|| survey.found.clone())
    }

    fn look_at(&self, slot: Slot, found: &mut SurveyReport) {
        if !self.is_shown(slot) {
            return;
        }
        let session = self.session(slot);
        found.states[self.accounting_state(slot) as usize] += 1;
        if self.has_next_interim(slot) && session.interim_s > 0 {
            found.phases[phase(session.next_interim, session.interim_s)] += 1;
        }
        if matches!(session.state, State::Stopping | State::Parked) {
            let closed = self.annex(slot).closed.wall;
            found.oldest_stop = Some(found.oldest_stop.map_or(closed, |oldest| oldest.min(closed)));
            found.octets_owed = found.octets_owed.saturating_add(self.table.counted(slot).octets());
        }
    }
}

/// In which part of its interval an interim is due.
fn phase(due: Mono, interval_s: u32) -> usize {
    let interval = u128::from(interval_s) * 1_000_000_000;
    let within = u128::from(due.as_nanos()) % interval;
    usize::try_from(within * SurveyReport::PHASES as u128 / interval).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interim_is_due_in_a_part_of_its_interval() {
        for (due_ms, interval_s, part) in
            [(0, 60, 0), (59_999, 60, 59), (60_000, 60, 0), (61_500, 60, 1), (899_999, 900, 59), (450_000, 900, 30)]
        {
            assert_eq!(phase(Mono::from_nanos(due_ms * 1_000_000), interval_s), part, "{due_ms} of {interval_s}");
        }
    }
}
