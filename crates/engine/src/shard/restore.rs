//! Sessions of an earlier life, as the ledger remembers them. They go on where they were: no second Start, the same
//! phase, the same totals (DESIGN.md section 4).

use std::time::Duration;

use arrayvec::ArrayVec;
use model::counters::Counters;
use model::domain::{Allowance, QuotaAction, Terms};
use model::ids::PlaneIndex;
use model::marks::{self, Mark};
use model::record::{Checkpointed, Closed, Opened, ZeroStop};
use model::settings::{ObjectName, PinnedScheme};
use model::time::{Mono, Now, Wall};

use super::Shard;
use super::delay::NEVER_BEGUN;
use crate::contract::Contract;
use crate::phase::{first_interim, next_interim};
use crate::serial::Serial;
use crate::session::{Account, Flags, NO_EVENT, Owed, Session, Slot, State};

/// A session as the ledger remembers it.
#[derive(Clone, Copy, Debug)]
pub struct Restored<'a> {
    /// Where it came up.
    pub plane: PlaneIndex,
    /// All that is known of it.
    pub whole: Checkpointed<'a>,
    /// The box was booted since it came up: the time of its last sample, or of its Up where there is none, on the wall of
    /// that boot. If it was online, it ended with that.
    pub rebooted: Option<Wall>,
}

/// What a session took at log-in, as the ledger says it, and what the shard has made of it.
struct Pinned<'a> {
    scheme: &'a PinnedScheme,
    terms: &'a Terms,
    group: &'a str,
    domain: &'a str,
    contract: u16,
}

/// The session found no slot: the shard is smaller than the one that it lived in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSlot;

/// Acct-Terminate-Cause *NAS Reboot* (RFC 2866 section 5.10): an extension of the vendor's list.
pub(super) const NAS_REBOOT: u8 = 11;
/// So long after the start a group's Starts wait for its Stops of an earlier boot (DESIGN.md section 4).
pub(super) const OLD_STOPS_FIRST: Duration = Duration::from_secs(30);
/// Sessions that are found by their names together.
pub const RESTORE_BATCH: usize = 64;

impl Shard {
    /// Takes sessions back; [`RESTORE_BATCH`] at a time is quickest. To be called before the first event, after
    /// [`Shard::configure`].
    ///
    /// # Errors
    /// [`NoSlot`]: the table is full. Of these sessions some may have been taken, and are not found by their names.
    pub fn restore(&mut self, now: Now, sessions: &[Restored<'_>]) -> Result<(), NoSlot> {
        for sessions in sessions.chunks(RESTORE_BATCH) {
            let mut online = ArrayVec::<Slot, RESTORE_BATCH>::new();
            let mut last = None;
            for restored in sessions {
                online.extend(self.restore_one(now, restored, &mut last)?);
            }
            if let Some(Pinned { contract, .. }) = last {
                self.contracts.release(contract);
            }
            self.table.enlist_all(&online);
            self.lookup.begin_walk();
        }
        Ok(())
    }

    /// Gives the slot of one that is online, which is not found by its name yet.
    fn restore_one<'a>(
        &mut self,
        now: Now,
        restored: &'a Restored<'_>,
        last: &mut Option<Pinned<'a>>,
    ) -> Result<Option<Slot>, NoSlot> {
        let Restored { plane, whole: ref restored, rebooted } = *restored;
        let opened = &restored.opened;
        let serial = Serial::new(opened.serial).ok_or(NoSlot)?;
        let contract = self.restore_contract(opened, last).ok_or(NoSlot)?;
        let mut session = Session {
            plane,
            serial,
            opened: opened.at.mono,
            counters: opened.counters,
            interim_s: opened.interim_s,
            contract,
            state: State::Starting,
            ..Session::FREE
        };
        session.flags.set(Flags::OPENED_DURABLE);
        let mut account = Account::FREE;
        if let Some(sampled) = &restored.sampled {
            account.sampled = sampled.at;
            account.interim_failures = sampled.interim_failures;
        }
        let slot = self.table.place(&session, &account, opened.session, opened.attributes).ok_or(NoSlot)?;
        self.beginning_mut(slot).opened = opened.at.wall;
        self.table.set_opened_by(slot, opened.taken_over);
        if let Some(sampled) = &restored.sampled {
            self.table.set_counted(slot, sampled.counters);
        }
        if opened.session_timeout_s != 0 || opened.allowance != Allowance::default() {
            let annex = self.annex_mut(slot);
            (annex.session_timeout_s, annex.allowance) = (opened.session_timeout_s, opened.allowance);
        }
        if opened.baseline != Counters::ZERO {
            // What began a generation may be newer than the last sample.
            let most = self.table.counted(slot).most(opened.baseline);
            if most != self.table.counted(slot) {
                marks::hit(Mark::BaselineBehindSample);
            }
            self.table.set_counted(slot, most);
            self.begin_generation(slot, opened.baseline);
        }
        self.restore_state(slot, restored);
        let is_relayed = self.planes.is_relay(plane);
        if is_relayed && restored.closed.is_none() {
            self.restore_relayed(slot, now, rebooted);
        }
        if restored.closed.is_none() {
            self.restore_delay(slot);
        }
        if let Some(by) = restored.sampled.and_then(|sampled| sampled.cut) {
            self.restore_cut(slot, by);
        }
        match (restored.closed, rebooted) {
            (Some(closed), rebooted) => {
                self.session_mut(slot).flags.put(Flags::RELAYED, is_relayed);
                self.restore_closed(slot, &closed, rebooted.is_some(), now.mono);
                if is_relayed {
                    self.remember_ending(slot, now.mono);
                }
            }
            // The NAS of a relayed session was not booted.
            (None, Some(last)) if !is_relayed => self.close_rebooted(slot, last, now.mono),
            (None, _) => {
                self.resume_phase(slot, now.mono);
                if self.session(slot).flags.has(Flags::START_KEPT) {
                    self.queue_start(slot, now.mono);
                }
                self.settle(slot, now.mono);
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    /// Holds what the session took at log-in. Most have the same as the one before, which is in `last`.
    fn restore_contract<'a>(&mut self, opened: &'a Opened<'_>, last: &mut Option<Pinned<'a>>) -> Option<u16> {
        let Opened { scheme, terms, group, domain, .. } = opened;
        if let Some(known) = last
            && (known.scheme, known.terms, known.group, known.domain) == (scheme, terms, *group, *domain)
        {
            self.contracts.share(known.contract);
            return Some(known.contract);
        }
        let index = if group.is_empty() { super::configure::NO_GROUP } else { self.group_index(scheme.mode, group) };
        // Copies are not durable: whether there are any, the domain says as it is now.
        let current = self.domains.get(domain.to_ascii_lowercase().as_bytes());
        let copy_group = current.map_or(super::configure::NO_GROUP, |&number| self.contracts.get(number).copy_group);
        let contract = Contract {
            scheme: *scheme,
            terms: *terms,
            quota_out: QuotaAction::default(),
            group: index,
            copy_group,
            domain: ObjectName::from(*domain),
        };
        let contract = self.contracts.hold(contract)?;
        // Held once more as long as it stands there.
        self.contracts.share(contract);
        if let Some(before) = last.replace(Pinned { scheme, terms, group, domain, contract }) {
            self.contracts.release(before.contract);
        }
        Some(contract)
    }

    fn restore_state(&mut self, slot: Slot, restored: &Checkpointed<'_>) {
        if let Some(failed) = restored.start_failed {
            let session = self.session_mut(slot);
            session.state = State::StartFailed;
            // The zero Stop had its one transaction, whatever became of it (owner's decision 4).
            session.flags.set(Flags::START_FAILED_DURABLE);
            session.flags.set(Flags::ZERO_STOP_DONE);
            session.flags.put(Flags::ZERO_STOP_ACKNOWLEDGED, failed.zero_stop == ZeroStop::Acknowledged);
        } else if let Some(accepted) = restored.accepted {
            let session = self.session_mut(slot);
            session.state = State::Accounting;
            session.flags.set(Flags::ACCEPTED_DURABLE);
            session.flags.put(Flags::START_KEPT, accepted.keep_accounting);
            self.beginning_mut(slot).accounting = accepted.at;
        }
    }

    /// A session that had gone already owes its Stop. That an earlier life sent it cannot be ruled out.
    fn restore_closed(&mut self, slot: Slot, closed: &Closed, rebooted: bool, now: Mono) {
        self.table.set_counted(slot, closed.counters);
        let annex = self.annex_mut(slot);
        annex.closed = closed.at;
        if rebooted {
            // On another boot's clock; its delay can only be told by the wall.
            annex.closed.mono = Mono::ZERO;
        }
        annex.session_time_s = closed.session_time_s;
        annex.cause = closed.cause;
        annex.closed_by = closed.taken_over;
        let session = self.session_mut(slot);
        session.flags.set(Flags::CLOSED_DURABLE);
        if closed.cause == NEVER_BEGUN {
            marks::hit(Mark::NeverBegunRestored);
            session.flags.set(Flags::DOWN);
            self.end(slot, Owed::Acknowledged);
            return;
        }
        session.flags.set(Flags::STOP_SENT);
        self.go_down(slot, now);
    }

    /// The box was booted, and with it went the plane's memory: the session ended with what the ledger last knew of it. Its
    /// Stop leaves when that is durable, as any other; whose Start waited still has none.
    fn close_rebooted(&mut self, slot: Slot, last: Wall, now: Mono) {
        let lasted = last.as_millis().saturating_sub(self.beginning(slot).opened.as_millis()) / 1000;
        let annex = self.annex_mut(slot);
        annex.closed = Now { mono: Mono::ZERO, wall: last };
        annex.session_time_s = u32::try_from(lasted).unwrap_or(u32::MAX);
        annex.cause = NAS_REBOOT;
        annex.closed_by = NO_EVENT;
        self.session_mut(slot).flags.set(Flags::DOWN);
        if self.ends_unaccounted(slot) {
            return;
        }
        self.owe(slot, Owed::Closed);
        self.go_down(slot, now);
    }

    /// The Stop of a session that is down is owed; one of an earlier boot goes before its group's Starts.
    fn go_down(&mut self, slot: Slot, now: Mono) {
        let session = self.session_mut(slot);
        session.flags.set(Flags::DOWN);
        if session.state == State::Starting {
            // Its Stop tells all that a late Start could.
            session.state = State::Accounting;
        }
        if session.state == State::Accounting && self.annex(slot).closed.mono == Mono::ZERO {
            self.session_mut(slot).flags.set(Flags::OLD_STOP);
            let group = usize::from(self.group_of(slot));
            self.groups[group].hold_starts(now.plus(OLD_STOPS_FIRST));
        }
        self.settle(slot, now);
    }

    /// A Stop of an earlier boot has had its transaction.
    pub(super) fn let_starts_go(&mut self, slot: Slot) {
        if self.session(slot).flags.has(Flags::OLD_STOP) {
            self.session_mut(slot).flags.put(Flags::OLD_STOP, false);
            let group = usize::from(self.group_of(slot));
            self.groups[group].release_starts();
        }
    }

    /// The phase is the same in every life; what was missed is skipped, not fired at once.
    pub(super) fn resume_phase(&mut self, slot: Slot, now: Mono) {
        let session = self.session(slot);
        if session.flags.has(Flags::CUT) {
            self.resume_cut(slot, now);
            return;
        }
        if session.state != State::Accounting || session.interim_s == 0 {
            self.session_mut(slot).next_interim = Mono::ZERO;
            self.arm(slot);
            return;
        }
        let accounting = self.beginning(slot).accounting;
        let serial = session.serial.parts();
        let hash = self.contracts.get(session.contract).scheme.interim_hash;
        let interval = session.interim_s;
        let first = first_interim(&self.key, serial, interval, hash, accounting);
        let next = next_interim(first, interval, now.plus(Duration::from_millis(1)));
        self.session_mut(slot).next_interim = next;
        self.arm(slot);
    }
}
