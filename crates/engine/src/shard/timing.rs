//! What time alone brings about.

use model::counters::CounterSource;
use model::marks::{self, Mark};
use model::time::{Mono, Now};

use super::Shard;
use crate::group::Group;
use crate::journal::Step;
use crate::policy::{Kind, Outcome};
use crate::session::{Lane, NONE, Slot, State};

impl Shard {
    /// Does what is due at `now`: waits that ran out, for replies to requests, copies, probes and Accounting-On, for
    /// addresses and for a place; interims, quotas, rests of parked Stops, quarantines, graces. Safe to call too often. Of sessions
    /// that are due some are left to the next call when they are many, which [`Shard::poll_timeout`] then wants soon: what is
    /// sent meanwhile finds them in the cache. What an interim would say, and what a session ends with, is read from `counters`.
    pub fn handle_timeout(&mut self, now: Now, counters: &impl CounterSource) {
        self.let_leave();
        self.latest = now;
        while let Some(request) = self.deadlines.expire(now.mono) {
            self.reply_is_overdue(request, now.mono);
        }
        self.sessions_are_due(now, counters);
        for server in &mut self.servers {
            server.handle_timeout(now.mono);
        }
        self.tend_streams(now.mono);
        self.end_watches(now.mono);
        self.end_probes(now.mono);
        self.end_announcements(now.mono);
        for group in &mut self.groups {
            group.handle_timeout(now.mono);
        }
        self.fail_unsent(now.mono);
        self.fail_copies(now.mono);
        self.end_rests(now.mono);
        self.forget_groups();
        self.close_left_paths();
        self.let_brake_go(now.mono);
        self.expire_planes(now);
    }

    /// When [`Shard::handle_timeout`] or [`Shard::sweep`] has something to do; `None`: not before something else happens.
    pub fn poll_timeout(&self) -> Option<Mono> {
        let servers = self.servers.iter().filter_map(|server| server.next_timeout(self.latest.mono)).min();
        let groups = (0..self.groups.len()).filter_map(|group| self.next_unsent_failure(group)).min();
        let holds = self.groups.iter().filter_map(Group::next_timeout).min();
        let wheels = [self.deadlines.next_expiry(), self.timers.next_expiry()];
        let timers = [
            servers,
            groups,
            holds,
            self.brake.next_timeout(),
            self.planes.next_timeout(),
            self.next_sweep(),
            self.next_rest_end(),
            self.next_copy_failure(),
            self.next_probe(),
            self.next_announcement(),
        ]
        .into_iter()
        .chain(wheels);
        timers.flatten().min()
    }

    /// Ends a transaction: its request's place is free and its session goes on.
    pub(super) fn close_request(&mut self, index: u32, outcome: Outcome, now: Mono) {
        let request = self.requests.get(index);
        let (session, kind, is_copy) = (request.session, request.kind, request.is_copy);
        if outcome == Outcome::Unanswered {
            self.note(session, now, Step::Failed { kind, is_copy });
        }
        let request = self.requests.get(index);
        if is_copy {
            self.deadlines.cancel(index);
            self.requests.close(index);
            self.copy_ended(session, kind, outcome, now);
            return;
        }
        if kind == Kind::Interim && outcome == Outcome::Acknowledged {
            let reported = request.counters.sum();
            self.note_reported(session, reported);
        }
        self.deadlines.cancel(index);
        self.requests.close(index);
        self.session_mut(session).request = NONE;
        self.transaction_ended(session, kind, outcome, now);
    }

    /// While every server of a group is Down, due work that found no place in time has failed unsent, with its
    /// policy (owner's decision 5). A group without servers fails it at once.
    fn fail_unsent(&mut self, now: Mono) {
        for group in 0..self.groups.len() {
            if self.groups[group].is_idle() {
                continue;
            }
            let Some(down_since) = self.groups[group].down_since(&self.servers) else { continue };
            let patience = self.groups[group].patience();
            for lane in Lane::ORDER {
                // What a failure puts back into a lane is not looked at again: the count is taken before.
                let waiting = lane.index().map_or(0, |index| self.groups[group].lanes[index].count);
                for _ in 0..waiting {
                    let Some(slot) = self.groups[group].first(lane) else { break };
                    if self.account(slot).queued.max(down_since).plus(patience) > now {
                        break;
                    }
                    marks::hit(Mark::FailsUnsent);
                    let kind = self.kind_of(slot);
                    if lane == Lane::Parked && self.queue.forgives_unsent() {
                        marks::hit(Mark::UnsentIsNoTry);
                        let annex = self.annex_mut(slot);
                        annex.resends_left = annex.resends_left.saturating_add(1);
                    }
                    self.dequeue(slot);
                    self.transaction_ended(slot, kind, Outcome::Unanswered, now);
                }
            }
        }
    }

    fn next_unsent_failure(&self, group: usize) -> Option<Mono> {
        let group = &self.groups[group];
        if group.is_idle() {
            return None;
        }
        let down_since = group.down_since(&self.servers)?;
        let heads = Lane::ORDER.into_iter().filter_map(|lane| group.first(lane));
        heads.map(|slot| self.account(slot).queued.max(down_since).plus(group.patience())).min()
    }

    /// What a session that waits in a lane waits to send.
    pub(super) fn kind_of(&self, slot: Slot) -> Kind {
        match self.session(slot).state {
            State::Starting => Kind::Start,
            State::Accounting if self.is_queued_start(slot) => Kind::Start,
            State::Accounting => Kind::Interim,
            State::StartFailed | State::Refused => Kind::ZeroStop,
            State::Stopping | State::Parked | State::Replaying => Kind::Stop,
            State::Free | State::NotAccounted | State::Ending => unreachable!("it has nothing to send"),
        }
    }
}
