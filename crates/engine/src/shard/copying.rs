//! Copies of a session's accounting to the servers of another group; see [`crate::copies`].

use model::time::{Mono, Now};

use super::configure::NO_GROUP;
use super::intake::NAS_ERROR;
use super::transmit::TransmitBatch;
use super::{Notice, Shard};
use crate::choice::{Choice, Tried};
use crate::policy::{Kind, Outcome};
use crate::request::Place;
use crate::session::{Flags, Slot, State};

impl Shard {
    fn copy_group(&self, slot: Slot) -> Option<usize> {
        let group = self.contracts.get(self.session(slot).contract).copy_group;
        (group != NO_GROUP).then_some(usize::from(group))
    }

    /// Something became due for the session's first servers.
    pub(super) fn copy(&mut self, slot: Slot, kind: Kind, now: Mono) {
        if let Some(group) = self.copy_group(slot) {
            self.copies.handle_due(slot, kind);
            self.copies.wait(&mut self.groups[group].copies, slot, now);
        }
    }

    /// The session is over, whether its first servers had a Stop or not.
    pub(super) fn end_copy(&mut self, slot: Slot) {
        let Some(group) = self.copy_group(slot) else { return };
        let kind = if self.session(slot).is_down() { Kind::Stop } else { Kind::ZeroStop };
        self.copies.handle_end(slot, kind);
        self.copies.wait(&mut self.groups[group].copies, slot, self.latest.mono);
    }

    /// Copies take the places that are left.
    pub(super) fn transmit_copies(&mut self, now: Now, room: usize, batch: &mut TransmitBatch) {
        for group in 1..self.groups.len() {
            while batch.len() < room && self.requests.has_room_for_copies(self.copies.out()) {
                let Some((slot, kind)) = self.copies.first(&mut self.groups[group].copies) else { break };
                // Whoever is to be told that accounting begins hears that first.
                if self.groups[group].untold && matches!(kind, Kind::Start | Kind::Interim) {
                    break;
                }
                // Nobody hears how a session ended before the ledger has it.
                let session = self.session(slot);
                if kind == Kind::Stop && session.is_down() && !session.flags.has(Flags::CLOSED_DURABLE) {
                    break;
                }
                let number = self.requests.next_number();
                let draw = |range| self.draw(number, 0, range);
                let choice = self.groups[group].choose(&self.servers, &Tried::default(), None, now.mono, draw);
                let member = match choice {
                    Choice::Member(member) => member,
                    Choice::Wait => break,
                    // The group has no server.
                    Choice::Exhausted => {
                        self.copies.take_first(&mut self.groups[group].copies);
                        self.go_on_copying(slot, kind, Outcome::Unanswered, now.mono);
                        continue;
                    }
                };
                if !self.begin_copy(slot, kind, (group, member), now, batch) {
                    break;
                }
            }
        }
    }

    /// False: it found no identifier and waits on.
    fn begin_copy(
        &mut self,
        slot: Slot,
        kind: Kind,
        (group, member): (usize, usize),
        now: Now,
        batch: &mut TransmitBatch,
    ) -> bool {
        let (session, account, annex) = (self.session(slot), self.account(slot), self.annex(slot));
        // What was last told to the first servers, or would have been.
        let sampled = account.sampled.max(session.opened);
        let event = match kind {
            Kind::Start => Now { mono: session.opened, wall: self.beginning(slot).opened },
            Kind::Stop if session.is_down() => annex.closed,
            Kind::Interim | Kind::Stop => self.reported(slot).map_or(now.at(sampled), |reported| reported.at),
            Kind::ZeroStop => now,
        };
        let session_time_s = match kind {
            Kind::Stop if session.is_down() => annex.session_time_s,
            _ => self.reported(slot).map_or_else(
                || u32::try_from(sampled.since(session.opened).as_secs()).unwrap_or(u32::MAX),
                |reported| reported.last.session_time_s,
            ),
        };
        let counters = self.table.counted(slot);
        // Who is online still has its copy stopped because no server took it.
        let cause = if session.is_down() { annex.cause } else { NAS_ERROR };
        #[expect(clippy::cast_possible_truncation, reason = "groups are numbered with 16 bits")]
        let Some(index) = self.requests.open(slot, kind, group as u16, event) else { return false };
        let request = self.requests.get_mut(index);
        (request.is_copy, request.cause) = (true, cause);
        (request.counters, request.session_time_s) = (counters, session_time_s);
        if !self.place(index, member, now, batch) {
            self.requests.close(index);
            return false;
        }
        self.copies.handle_sent(&mut self.groups[group].copies, slot, kind, index);
        true
    }

    /// A copy's request is closed.
    pub(super) fn copy_ended(&mut self, slot: Slot, kind: Kind, outcome: Outcome, now: Mono) {
        self.copies.handle_closed(slot);
        self.go_on_copying(slot, kind, outcome, now);
    }

    /// What has waited for a place for too long has missed.
    pub(super) fn fail_copies(&mut self, now: Mono) {
        for group in 1..self.groups.len() {
            while let Some((slot, kind)) = self.copies.take_overdue(&mut self.groups[group].copies, now) {
                self.go_on_copying(slot, kind, Outcome::Unanswered, now);
            }
        }
    }

    fn go_on_copying(&mut self, slot: Slot, kind: Kind, outcome: Outcome, now: Mono) {
        if self.copies.handle_ended(slot, kind, outcome == Outcome::Acknowledged) {
            self.counts.copies_given_up += 1;
            self.notice(Notice::CopyGivenUp(self.session(slot).serial.parts()));
        }
        if let Some(group) = self.copy_group(slot) {
            self.copies.wait(&mut self.groups[group].copies, slot, now);
        }
        if self.session(slot).state == State::Ending {
            self.release(slot);
        }
    }

    /// Somebody needs a slot: who has been over for longest, but for its copy, gives its own back. False: there is nobody.
    pub(super) fn abandon_copy(&mut self) -> bool {
        let Some((slot, request)) = self.copies.abandon_oldest() else { return false };
        if let Some(index) = request {
            let request = self.requests.get(index);
            let (server, timeout) = (usize::from(request.server), request.timeout);
            match request.place {
                Place::Reply(identifier) | Place::Again(identifier) => {
                    self.again.retain(|&other| other != index);
                    self.end_waiting(index);
                    self.servers[server].given_up(identifier, self.latest.mono, timeout);
                }
                // Its connection has ended, and it waits for another.
                Place::Failover => self.failover.retain(|&other| other != index),
                Place::Free => {}
            }
            self.deadlines.cancel(index);
            self.requests.close(index);
            self.copies.handle_closed(slot);
        }
        self.counts.copies_given_up += 1;
        self.release(slot);
        true
    }

    /// When [`Shard::fail_copies`] has something to do.
    pub(super) fn next_copy_failure(&self) -> Option<Mono> {
        self.groups.iter().filter_map(|group| group.copies.due()).min()
    }
}
