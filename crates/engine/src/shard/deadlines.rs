//! What time alone brings about for one session. It has one timer, which is set to whatever comes first: its next interim,
//! the end of its Session-Timeout or time quota, a look at what it has moved, the end of the wait for addresses; and when
//! it is cut, the end of the wait for its Down and nothing else.
//!
//! No other file sets that timer: what changes one of these moments calls [`Shard::arm`] afterwards.

use std::time::Duration;

use arrayvec::ArrayVec;
use model::counters::CounterSource;
use model::domain::Allowance;
use model::time::{Mono, Now};

use super::Shard;
use crate::phase::{last_due, next_interim};
use crate::session::{Flags, Lane, NONE, Slot, State};

/// Sessions that fall due in one call: what they are read and written in lies in the core's own cache until their packets are
/// written.
pub(super) const DUE_MAX: usize = 256;
/// How many sessions before its turn the memory of one is asked for.
pub(super) const AHEAD: u32 = 16;

impl Shard {
    /// Sets the session's timer to whatever comes first, or takes it away.
    pub(super) fn arm(&mut self, slot: Slot) {
        match self.next_due(slot) {
            Some(at) => self.timers.set(slot, at),
            None => self.timers.cancel(slot),
        }
    }

    fn next_due(&self, slot: Slot) -> Option<Mono> {
        let session = self.session(slot);
        if session.is_down() || session.flags.has(Flags::PROVISIONAL) {
            return None;
        }
        let next = Some(session.next_interim).filter(|&at| at != Mono::ZERO);
        if session.flags.has(Flags::CUT) {
            return next;
        }
        match session.state {
            State::Starting => self.delay_due(slot).into_iter().chain(self.silence_due(slot)).min(),
            State::NotAccounted | State::Accounting | State::StartFailed => {
                next.into_iter().chain(self.quota_due(slot)).chain(self.silence_due(slot)).min()
            }
            State::Free | State::Refused | State::Stopping | State::Parked | State::Replaying | State::Ending => None,
        }
    }

    /// Timers of sessions that have fired. The memory of each is asked for before its turn, first the session, then what is found by
    /// way of it: waiting for that one after the other would be most of the work.
    ///
    /// Whoever is due is served when enough others are, or has waited for them: what the worker woke for is no reason to serve
    /// them one by one.
    pub(super) fn sessions_are_due(&mut self, now: Now, counters: &impl CounterSource) {
        if self.timers.next_expiry().is_none_or(|at| at > now.mono) {
            return;
        }
        let mut due = ArrayVec::<Slot, DUE_MAX>::new();
        while !due.is_full()
            && let Some(slot) = self.timers.expire(now.mono)
        {
            self.table.prefetch(slot);
            due.push(slot);
        }
        for step in 0..due.len() + AHEAD as usize {
            if let Some(&slot) = due.get(step) {
                self.fetch_counters(slot, counters);
                self.table.blobs.prefetch(self.session(slot).blob);
            }
            if let Some(&slot) = step.checked_sub(AHEAD as usize).and_then(|turn| due.get(turn)) {
                self.session_is_due(slot, now, counters);
            }
        }
    }

    /// Asks for the memory of what a session has counted; its own is there.
    pub(super) fn fetch_counters(&self, slot: Slot, counters: &impl CounterSource) {
        let session = self.session(slot);
        counters.prefetch(session.plane, session.counters);
    }

    /// The session's timer has fired.
    fn session_is_due(&mut self, slot: Slot, at: Now, counters: &impl CounterSource) {
        let session = self.session(slot);
        if session.is_down() {
            return;
        }
        if session.flags.has(Flags::CUT) {
            self.cut_is_overdue(slot, at, counters);
            return;
        }
        if self.silence_may_end(slot, at) {
            return;
        }
        let session = self.session(slot);
        let interim_is_due = session.next_interim != Mono::ZERO && session.next_interim <= at.mono;
        if interim_is_due && session.state == State::Accounting {
            self.interim_is_due(slot, at.mono, counters);
        }
        if let Some(again) = self.delay_may_end(slot, at.mono, counters) {
            self.timers.set(slot, again);
            return;
        }
        self.quota_may_end(slot, at, counters);
        self.arm(slot);
    }

    fn interim_is_due(&mut self, slot: Slot, now: Mono, counters: &impl CounterSource) {
        let session = self.session(slot);
        let idle = session.lane == Lane::Out && session.request == NONE;
        // The schedule keeps its phase whatever the last interim took (BEHAVIOUR.md 3.3, rule 6).
        let scheduled = session.next_interim.plus(Duration::from_secs(session.interim_s.into()));
        self.session_mut(slot).next_interim = next_interim(scheduled, self.session(slot).interim_s, now);
        // The interim may wait, be skipped, or find the last one still unanswered: the walk that left the sample
        // to it does not come back in time.
        self.sample_now(slot, now, counters);
        let idle = idle || self.session(slot).lane == Lane::Rest;
        if idle && !self.is_skipped(slot, now) {
            self.tick(slot, now);
            let waits = self.session(slot).lane == Lane::Interim;
            self.session_mut(slot).flags.put(Flags::SCHEDULED, waits);
        }
    }

    /// An interim leaves that was waiting in its lane. Those that an event has asked for are not late.
    pub(super) fn note_lateness(&mut self, slot: Slot, now: Mono) {
        let session = self.session(slot);
        if session.flags.has(Flags::SCHEDULED) && session.interim_s > 0 {
            let due = last_due(session.next_interim, session.interim_s, self.account(slot).queued);
            self.lateness.add(now.since(due));
        }
    }

    /// Whether nothing has been counted since the last report under `traffic` (BEHAVIOUR.md 3.3, rule 5), or its NAS has reported nothing since; or the time quota
    /// is so nearly used up that what follows from that will tell (3.2, `no-send remain-time`).
    fn is_skipped(&self, slot: Slot, now: Mono) -> bool {
        let scheme = self.contracts.get(self.session(slot).contract).scheme;
        let quota_at = self.annex(slot).allowance.quota_at;
        let remains = Duration::from_secs(scheme.no_send_remain_s.into());
        let nearly_used_up =
            !remains.is_zero() && quota_at != Allowance::NEVER && now < quota_at && quota_at.since(now) <= remains;
        let has_no_news = self.reported(slot).is_some_and(|reported| !reported.is_news);
        nearly_used_up || has_no_news || scheme.interim_traffic && !self.has_counted(slot)
    }
}
