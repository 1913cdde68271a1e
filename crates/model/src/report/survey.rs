//! What a walk over all sessions finds, for `display accounting health` and `display accounting phase`.

use super::AccountingState;
use crate::time::Wall;

/// What was found. Sessions that came or went meanwhile may or may not be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyReport {
    /// Sessions by state, in the order of [`AccountingState::ALL`].
    pub states: [u64; AccountingState::ALL.len()],
    /// Sessions with interims, by the part of their interval in which they are due: as many parts as there are buckets.
    pub phases: [u64; SurveyReport::PHASES],
    /// When the session ended whose Stop has waited longest for its acknowledgement.
    pub oldest_stop: Option<Wall>,
    /// Octets, both directions and families, of ended sessions whose Stop is neither acknowledged nor a bill.
    pub octets_owed: u64,
}

impl SurveyReport {
    /// Parts of an interval.
    pub const PHASES: usize = 60;

    /// Nothing was found yet.
    pub const EMPTY: SurveyReport = SurveyReport {
        states: [0; AccountingState::ALL.len()],
        phases: [0; SurveyReport::PHASES],
        oldest_stop: None,
        octets_owed: 0,
    };

    /// Adds what another shard has found.
    pub fn add(&mut self, other: &SurveyReport) {
        for (sum, count) in self.states.iter_mut().zip(other.states) {
            *sum += count;
        }
        for (sum, count) in self.phases.iter_mut().zip(other.phases) {
            *sum += count;
        }
        self.oldest_stop = [self.oldest_stop, other.oldest_stop].into_iter().flatten().min();
        self.octets_owed = self.octets_owed.saturating_add(other.octets_owed);
    }

    /// Sessions in this state.
    pub fn count(&self, state: AccountingState) -> u64 {
        self.states[state as usize]
    }
}
