//! Subscribers that the engine logs out: by the policy of their scheme, or because an operator says so.
//!
//! A cut is durable before the plane hears of it, in the session's `sampled` record, so that a restart says it again. From
//! then on only the Down is awaited, and whatever it says, the Stop says why the session was cut. A plane that is linked
//! and gives no Down in [`PATIENCE`] is not waited for: the session ends with what its counters say.

use std::time::Duration;

use model::counters::CounterSource;
use model::ids::PlaneIndex;
use model::marks::{self, Mark};
use model::report::UserSelector;
use model::time::{Mono, Now};
use model::verdict::{CutBy, Sentence};

use super::intake::{Ending, NAS_ERROR};
use super::{Notice, Shard};
use crate::attributes;
use crate::brake::Braked;
use crate::session::{Flags, Lane, Owed, Slot, State};

/// How long a linked plane may take from the verdict to its Down.
const PATIENCE: Duration = Duration::from_secs(30);

/// Planes whose events have not been left unread for so long have been read to the end.
pub(super) const CAUGHT_UP: Duration = Duration::from_secs(1);

impl Shard {
    /// Cuts every subscriber that is meant and is not cut already; says how many. The plane is told when the ledger has it.
    pub fn cut_access_users(&mut self, now: Now, selector: &UserSelector) -> u64 {
        self.let_leave();
        let mut count = 0;
        for slot in self.table.slots() {
            if self.is_online(slot) && self.is_meant(slot, selector) && self.cut(slot, CutBy::Operator, now.mono) {
                count += 1;
            }
        }
        count
    }

    /// So many sessions have a subscriber that can be logged out.
    fn online(&self) -> u64 {
        self.table.named().saturating_sub(self.lingering + self.planes.provisional_count())
    }

    /// Whether the session has a subscriber that can be logged out.
    pub(super) fn is_online(&self, slot: Slot) -> bool {
        self.is_up(slot) && !self.session(slot).flags.has(Flags::PROVISIONAL)
    }

    /// Whether the session has a subscriber, for all that is known.
    pub(super) fn is_up(&self, slot: Slot) -> bool {
        let session = self.session(slot);
        let lives =
            matches!(session.state, State::NotAccounted | State::Starting | State::Accounting | State::StartFailed);
        lives && !session.is_down()
    }

    fn is_meant(&self, slot: Slot, selector: &UserSelector) -> bool {
        let run = self.run(slot);
        match selector {
            UserSelector::UserId(id) => self.session(slot).serial.parts() == *id,
            UserSelector::UserName(name) => attributes::user_name(run) == Some(name.as_bytes()),
            UserSelector::Address(address) => attributes::has_address(run, *address),
            UserSelector::SessionId(id) => attributes::session_id(run) == Some(id.as_bytes()),
        }
    }

    /// A policy has it that the subscriber is to be logged out. Whom the brake holds stays as under `online`.
    pub(super) fn cut_by_policy(&mut self, slot: Slot, by: CutBy, now: Mono) {
        if self.session(slot).flags.has(Flags::CUT) {
            return;
        }
        let online = self.online();
        match self.brake.ask(now, online) {
            Braked::Free => {
                self.cut(slot, by, now);
            }
            Braked::First => {
                self.counts.cuts_held += 1;
                self.notice(Notice::BrakeHolds { online });
            }
            Braked::Held => self.counts.cuts_held += 1,
        }
    }

    /// The brake lets go when nobody was held for its time.
    pub(super) fn let_brake_go(&mut self, now: Mono) {
        if self.brake.handle_timeout(now) {
            self.notice(Notice::BrakeReleased { held: self.counts.cuts_held });
        }
    }

    /// The subscriber is to be logged out. False: that was said before.
    pub(super) fn cut(&mut self, slot: Slot, by: CutBy, now: Mono) -> bool {
        if self.session(slot).flags.has(Flags::CUT) {
            return false;
        }
        self.counts.cut += u64::from(by.sentence() == Sentence::Cut);
        let session = self.session_mut(slot);
        session.next_interim = Mono::ZERO;
        session.flags.set(Flags::CUT);
        session.flags.put(Flags::INTERIM_DUE, false);
        let (opened, state, lane) = (session.opened, session.state, session.lane);
        let account = self.account_mut(slot);
        account.cut = Some(by);
        // A sample that was never taken is what the session began with.
        account.sampled = account.sampled.max(opened);
        self.timers.cancel(slot);
        self.withdraw_queued(slot);
        if lane == Lane::Interim {
            self.dequeue(slot);
        }
        if state == State::NotAccounted {
            self.pronounce_cut(slot, now);
        } else {
            self.owe(slot, Owed::Sampled);
        }
        true
    }

    /// Tells the plane, once more where it has not obeyed, and waits for its Down.
    pub(super) fn pronounce_cut(&mut self, slot: Slot, now: Mono) {
        if let Some(by) = self.account(slot).cut.filter(|_| self.is_online(slot)) {
            self.pronounce(slot, by.sentence(), by.reason());
            self.wait_for_down(slot, now.plus(PATIENCE));
        }
    }

    /// Whether a cut may be told: what is not in the ledger might be forgotten.
    pub(super) fn is_cut_for_good(&self, slot: Slot) -> bool {
        let session = self.session(slot);
        session.flags.has(Flags::CUT_DURABLE) || session.state == State::NotAccounted
    }

    /// A session that an earlier life has cut; its plane will announce it.
    pub(super) fn restore_cut(&mut self, slot: Slot, by: CutBy) {
        self.account_mut(slot).cut = Some(by);
        let flags = &mut self.session_mut(slot).flags;
        flags.set(Flags::CUT);
        flags.set(Flags::CUT_DURABLE);
    }

    /// Waits for the Down of a session that was cut, unless that is waited for already.
    pub(super) fn resume_cut(&mut self, slot: Slot, now: Mono) {
        if self.is_cut_for_good(slot) && self.session(slot).next_interim == Mono::ZERO {
            self.wait_for_down(slot, now.plus(PATIENCE));
        }
    }

    pub(super) fn wait_for_down(&mut self, slot: Slot, until: Mono) {
        self.session_mut(slot).next_interim = until;
        self.arm(slot);
    }

    /// No Down has come: the session ends here, unless there is a reason to wait on.
    pub(super) fn cut_is_overdue(&mut self, slot: Slot, now: Now, counters: &impl CounterSource) {
        if self.session(slot).flags.has(Flags::RELAYED) {
            self.relayed_cut_is_overdue(slot, now);
            return;
        }
        if let Some(until) = self.waits_on_for_down(slot, now.mono) {
            marks::hit(Mark::CutWaitsOn);
            self.wait_for_down(slot, until);
            return;
        }
        marks::hit(Mark::CutUnanswered);
        self.counts.cuts_unanswered += 1;
        let last = self.read_on(slot, counters).unwrap_or(self.table.counted(slot));
        let taken_over = self.last_word(slot);
        let (plane, own) = (self.session(slot).plane, self.session(slot).counters);
        if let Some(by) = self.account(slot).cut {
            self.stayed.note(plane, own, by);
        }
        self.close(slot, now, &Ending { cause: NAS_ERROR, counters: last, at: None, told: None, taken_over });
    }

    /// How long a Down is waited for once more: it may lie in the ring unread; the plane is away, has not taken the verdict, or
    /// has been back for so short a time that it may not have announced the session and heard the verdict again.
    fn waits_on_for_down(&self, slot: Slot, now: Mono) -> Option<Mono> {
        if self.events_lie_unread(self.session(slot).plane, now) {
            return Some(now.plus(CAUGHT_UP));
        }
        let linked = self.planes.linked_since(self.session(slot).plane);
        match linked.filter(|_| self.session(slot).verdict.is_none()) {
            Some(since) => Some(since.plus(PATIENCE)).filter(|&until| until > now),
            None => Some(now.plus(PATIENCE)),
        }
    }

    /// Whether this plane has said something that was not read, as far as can be told.
    pub(super) fn events_lie_unread(&self, plane: PlaneIndex, now: Mono) -> bool {
        let left = self.events_left.max(self.planes.events_left(plane));
        left.is_some_and(|at| now <= at.plus(CAUGHT_UP))
    }
}
