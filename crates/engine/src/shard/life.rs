//! A session's life: what follows from the end of a transaction, from a Down, and from durability.

use model::marks::{self, Mark};
use model::record::BillReason;
use model::settings::AccountingMode;
use model::time::Mono;
use model::verdict::CutBy;

use super::restore::NAS_REBOOT;
use super::{Notice, Shard};
use crate::journal::Step;
use crate::phase::first_interim;
use crate::policy::{
    AfterInterim, AfterStart, AfterStop, Kind, Outcome, after_interim, after_start, after_stop, waits_for_start,
};
use crate::session::{Flags, Lane, NONE, Owed, Slot, State};

impl Shard {
    /// Does what the session's state and flags now allow. Asking too often does no harm: a session that waits in
    /// a lane, or has a request out, is left alone.
    pub(super) fn settle(&mut self, slot: Slot, now: Mono) {
        self.make_way(slot, now);
        let session = self.session(slot);
        if session.request != NONE || session.lane != Lane::Out {
            return;
        }
        let flags = session.flags;
        match session.state {
            State::Starting if flags.has(Flags::OPENED_DURABLE) && !flags.has(Flags::DELAYED) => {
                let scheme = self.contracts.get(session.contract).scheme;
                let waits = waits_for_start(scheme.start_fail, scheme.shadow) && !flags.has(Flags::DOWN);
                self.fall_due(slot, if waits { Lane::Start } else { Lane::Admitted }, now);
            }
            State::Accounting if flags.has(Flags::DOWN) => {
                self.session_mut(slot).state = State::Stopping;
                self.annex_mut(slot).resends_left = self.groups[usize::from(self.group_of(slot))].stop_resend;
                self.counts.stops_unacknowledged += 1;
                self.settle(slot, now);
            }
            State::Accounting if flags.has(Flags::INTERIM_DUE) && !flags.has(Flags::CUT) => {
                self.session_mut(slot).flags.put(Flags::INTERIM_DUE, false);
                self.fall_due(slot, Lane::Interim, now);
            }
            State::Stopping if flags.has(Flags::CLOSED_DURABLE) => self.fall_due(slot, Lane::Stop, now),
            State::StartFailed if flags.has(Flags::DOWN) => self.bill(slot, BillReason::StartFailed),
            State::StartFailed if flags.has(Flags::START_FAILED_DURABLE) && !flags.has(Flags::ZERO_STOP_DONE) => {
                self.fall_due(slot, Lane::Stop, now);
            }
            State::Refused if flags.has(Flags::ZERO_STOP_DONE) => {
                self.session_mut(slot).state = State::Ending;
                self.release(slot);
            }
            State::Refused if flags.has(Flags::REFUSED_DURABLE) => self.fall_due(slot, Lane::Stop, now),
            State::Ending => self.release(slot),
            State::Free
            | State::NotAccounted
            | State::Starting
            | State::Accounting
            | State::StartFailed
            | State::Refused
            | State::Stopping
            | State::Parked
            | State::Replaying => {}
        }
    }

    /// A transaction has ended; its request is closed already.
    pub(super) fn transaction_ended(&mut self, slot: Slot, kind: Kind, outcome: Outcome, now: Mono) {
        if outcome == Outcome::Acknowledged {
            let group = usize::from(self.group_of(slot));
            self.groups[group].flow.handle_went(now);
        }
        match kind {
            Kind::Start if self.session(slot).state == State::Accounting => self.queued_start_ended(slot, outcome, now),
            Kind::Start => self.start_ended(slot, outcome, now),
            Kind::Interim if self.session(slot).flags.has(Flags::INTERIM_QUEUED) => {
                self.queued_interim_ended(slot, outcome, now);
            }
            Kind::Interim => self.interim_ended(slot, outcome, now),
            Kind::Stop => self.stop_ended(slot, outcome, now),
            Kind::ZeroStop => {
                let acknowledged = outcome == Outcome::Acknowledged;
                let flags = &mut self.session_mut(slot).flags;
                flags.set(Flags::ZERO_STOP_DONE);
                flags.put(Flags::ZERO_STOP_ACKNOWLEDGED, acknowledged);
                if acknowledged && self.session(slot).state == State::StartFailed {
                    self.owe(slot, Owed::StartFailed);
                }
            }
        }
        self.settle(slot, now);
    }

    fn start_ended(&mut self, slot: Slot, outcome: Outcome, now: Mono) {
        let scheme = self.contracts.get(self.session(slot).contract).scheme;
        let down = self.session(slot).is_down();
        let force = self.groups[usize::from(self.group_of(slot))].send_force;
        match after_start(outcome, scheme.start_fail, scheme.shadow, force, down) {
            after @ (AfterStart::Account | AfterStart::KeepAccounting | AfterStart::WouldRefuse) => {
                if after == AfterStart::WouldRefuse {
                    marks::hit(Mark::WouldRefuse);
                    self.counts.would_refuse += 1;
                    self.notice(Notice::WouldRefuse(self.session(slot).serial.parts()));
                }
                let session = self.session_mut(slot);
                session.state = State::Accounting;
                session.flags.put(Flags::START_KEPT, after != AfterStart::Account);
                self.beginning_mut(slot).accounting = now;
                if after == AfterStart::Account {
                    // A Start tells that nothing has been counted.
                    self.note_reported(slot, 0);
                }
                self.owe(slot, Owed::Accepted);
                if !down {
                    self.arm_first_interim(slot, now);
                }
                if !down && outcome == Outcome::Unanswered {
                    self.queue_start(slot, now);
                }
            }
            AfterStart::StopAtOnce => {
                self.session_mut(slot).state = State::StartFailed;
                self.owe(slot, Owed::StartFailed);
                self.arm(slot);
            }
            AfterStart::Refuse => {
                self.counts.refused += 1;
                self.end(slot, Owed::Acknowledged);
            }
            AfterStart::RefuseAndStop => {
                marks::hit(Mark::RefusedWithStop);
                self.counts.refused += 1;
                self.end(slot, Owed::Acknowledged);
                self.session_mut(slot).state = State::Refused;
            }
        }
    }

    /// The first interim lies at the session's own phase, counted from the end of the Start (BEHAVIOUR.md 3.3,
    /// rule 4).
    pub(super) fn arm_first_interim(&mut self, slot: Slot, base: Mono) {
        let session = self.session(slot);
        if session.flags.has(Flags::CUT) {
            return;
        }
        if session.interim_s == 0 {
            self.arm(slot);
            return;
        }
        let hash = self.contracts.get(session.contract).scheme.interim_hash;
        let due = first_interim(&self.key, session.serial.parts(), session.interim_s, hash, base);
        self.session_mut(slot).next_interim = due;
        self.arm(slot);
    }

    fn interim_ended(&mut self, slot: Slot, outcome: Outcome, now: Mono) {
        let scheme = self.contracts.get(self.session(slot).contract).scheme;
        let failures = self.account(slot).interim_failures;
        let (failures, after) = after_interim(outcome, scheme.interim_fail, scheme.shadow, failures);
        if self.account(slot).interim_failures != failures {
            self.account_mut(slot).interim_failures = failures;
            self.owe_sample(slot);
        }
        if self.session(slot).is_down() {
            return;
        }
        match after {
            AfterInterim::GoOn => {}
            AfterInterim::Report => self.notice(Notice::InterimFailed(self.session(slot).serial.parts())),
            AfterInterim::WouldCut => {
                marks::hit(Mark::WouldCut);
                self.counts.would_cut += 1;
                self.notice(Notice::WouldCut(self.session(slot).serial.parts()));
            }
            AfterInterim::Cut => self.cut_by_policy(slot, CutBy::InterimFail, now),
        }
        if outcome == Outcome::Unanswered {
            self.queue_interim(slot, now);
        }
    }

    fn stop_ended(&mut self, slot: Slot, outcome: Outcome, now: Mono) {
        if self.session(slot).flags.has(Flags::REPLAY) {
            self.replay_ended(slot, outcome);
            return;
        }
        self.let_starts_go(slot);
        let is_radius = self.groups[usize::from(self.group_of(slot))].method == AccountingMode::Radius;
        let kept = is_radius && self.queue.keeps() && self.session(slot).flags.has(Flags::QUEUED);
        match after_stop(outcome, self.annex(slot).resends_left, kept) {
            AfterStop::End => {
                self.counts.stops_unacknowledged -= 1;
                self.leave_queue(slot);
                self.end(slot, Owed::Acknowledged);
            }
            AfterStop::Park => {
                let annex = self.annex_mut(slot);
                annex.resends_left = annex.resends_left.saturating_sub(1);
                self.session_mut(slot).state = State::Parked;
                self.note(slot, now, Step::Rests);
                self.rest(slot, now);
            }
            AfterStop::Bill => self.give_up_stop(slot, BillReason::StopUnanswered),
        }
    }

    /// A Stop is not tried again: a bill stands for it.
    pub(super) fn give_up_stop(&mut self, slot: Slot, reason: BillReason) {
        self.counts.stops_unacknowledged -= 1;
        self.leave_queue(slot);
        let annex = self.annex(slot);
        let rebooted = annex.cause == NAS_REBOOT && annex.closed.mono == Mono::ZERO;
        if rebooted {
            marks::hit(Mark::StopOfEarlierBootBilled);
        }
        self.bill(slot, if rebooted { BillReason::Rebooted } else { reason });
    }

    fn bill(&mut self, slot: Slot, reason: BillReason) {
        self.note(slot, self.latest.mono, Step::Billed);
        self.annex_mut(slot).bill = Some(reason);
        self.counts.bills_made += 1;
        self.end(slot, Owed::Billed);
    }

    /// The session is over with this record.
    pub(super) fn end(&mut self, slot: Slot, last: Owed) {
        self.note_gone(slot);
        self.timers.cancel(slot);
        self.end_copy(slot);
        let session = self.session_mut(slot);
        session.state = State::Ending;
        if !session.is_down() && !session.flags.has(Flags::LINGERS) {
            session.flags.set(Flags::LINGERS);
            self.lingering += 1;
        }
        self.owe(slot, last);
    }

    /// Frees the slot of a session that is over, when nothing of it is on the way any more.
    pub(super) fn release(&mut self, slot: Slot) {
        let account = self.account(slot);
        let session = self.session(slot);
        if session.state != State::Ending
            || !account.records.is_empty()
            || account.awaited > 0
            || session.verdict.is_some()
            || !self.copies.is_over(slot)
        {
            return;
        }
        assert!(session.request == NONE && session.lane == Lane::Out, "a session that is over waits for nothing");
        assert!(!session.flags.has(Flags::SAMPLE_DUE), "a sample is told before the last record");
        let contract = session.contract;
        if session.flags.has(Flags::REPLAY) {
            self.counts.replays -= 1;
        }
        self.delist(slot);
        if self.session(slot).flags.has(Flags::BASELINE) {
            self.baselines.remove(&slot);
        }
        self.contracts.release(contract);
        self.copies.forget(slot);
        self.table.remove(slot);
    }
}
