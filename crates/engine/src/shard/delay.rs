//! `accounting-start-delay`: a session's Start, and the word that lets the subscriber in, wait until both an IPv4 and an
//! IPv6 address are known (BEHAVIOUR.md section 4). The event of the Start is the Up all the same, and so is where the
//! session's time begins. Whoever waits and goes has not been accounted for: nothing is sent and no bill is made.
//!
//! Whether a session waits is told in any life by what the ledger has anyway: its terms, its attributes, and where it is
//! accounted for all the same in the end, a sample that was taken behind the wait. Nothing follows from the end of a
//! wait before that is durable: a crash would bring the session back as one that waits, and refuse whom it has admitted.
//! An event that may have come in time is waited for where it may lie unread.

use std::time::Duration;

use model::counters::CounterSource;
use model::settings::AccountingMode;
use model::time::Mono;

use super::Shard;
use super::cut::CAUGHT_UP;
use crate::attributes;
use crate::session::{Flags, Owed, Slot, State};

/// A plane that is away is looked for again after so long.
const AWAY: Duration = Duration::from_secs(5);

/// The cause in the `closed` record of a session whose accounting had not begun. No Stop has it.
pub(super) const NEVER_BEGUN: u8 = 0;

impl Shard {
    /// A session has just come up: does its Start wait?
    pub(super) fn delay(&mut self, slot: Slot) {
        let waits = self.session(slot).state == State::Starting && self.waits_for_addresses(slot);
        self.session_mut(slot).flags.put(Flags::DELAYED, waits);
    }

    /// The same for one of an earlier life, in this boot of the box or in another.
    pub(super) fn restore_delay(&mut self, slot: Slot) {
        self.delay(slot);
        if self.has_waited(slot) {
            self.session_mut(slot).flags.put(Flags::DELAYED, false);
        }
    }

    fn waits_for_addresses(&self, slot: Slot) -> bool {
        let session = self.session(slot);
        let contract = self.contracts.get(session.contract);
        // Its NAS has told all that it will.
        if session.flags.has(Flags::RELAYED) {
            return false;
        }
        let Some(delay) = contract.terms.start_delay.filter(|_| contract.scheme.mode != AccountingMode::None) else {
            return false;
        };
        let run = self.table.blobs.attributes(session.blob);
        let (v4, v6) = attributes::families(run);
        let is_known = v4 && (v6 || contract.terms.ipv4_starts);
        !is_known && delay.user_types.has(attributes::access(run))
    }

    /// When the wait of a session is over, if the domain has it wait.
    fn wait_ends(&self, slot: Slot) -> Option<Mono> {
        let session = self.session(slot);
        let delay = self.contracts.get(session.contract).terms.start_delay?;
        Some(session.opened.plus(Duration::from_secs(delay.seconds.into())))
    }

    /// Whether the session is accounted for although addresses are missing, as its last sample tells.
    pub(super) fn has_waited(&self, slot: Slot) -> bool {
        !self.refuses_late(slot) && self.wait_ends(slot).is_some_and(|end| self.account(slot).sampled >= end)
    }

    fn refuses_late(&self, slot: Slot) -> bool {
        let delay = self.contracts.get(self.session(slot).contract).terms.start_delay;
        delay.is_some_and(|delay| delay.offline)
    }

    /// When time ends the wait of a session; `None`: it does not wait, or only for the ledger.
    pub(super) fn delay_due(&self, slot: Slot) -> Option<Mono> {
        let session = self.session(slot);
        let waits = session.state == State::Starting
            && session.flags.has(Flags::DELAYED)
            && self.waits_for_addresses(slot)
            && !self.has_waited(slot);
        self.wait_ends(slot).filter(|_| waits)
    }

    /// Whoever has waited for too long is refused, or accounted for with what is known. `Some`: it is looked at then once
    /// more.
    pub(super) fn delay_may_end(&mut self, slot: Slot, now: Mono, counters: &impl CounterSource) -> Option<Mono> {
        if self.delay_due(slot).is_none_or(|end| end > now) {
            return None;
        }
        if !self.refuses_late(slot) {
            self.sample_now(slot, now, counters);
            self.account_mut(slot).sampled = now;
            self.owe(slot, Owed::Sampled);
            return None;
        }
        let again = self.waits_on_for_addresses(slot, now);
        if again.is_none() {
            self.counts.refused += 1;
            self.end(slot, Owed::Acknowledged);
        }
        again
    }

    /// How long addresses are waited for once more: they may lie in the ring unread, or the plane is away or has been back
    /// for so short a time that nothing was read. One that stays away takes its sessions with it when its grace ends.
    fn waits_on_for_addresses(&self, slot: Slot, now: Mono) -> Option<Mono> {
        let plane = self.session(slot).plane;
        let Some(since) = self.planes.linked_since(plane) else { return Some(now.plus(AWAY)) };
        let read = if self.events_lie_unread(plane, now) { now } else { since };
        Some(read.plus(CAUGHT_UP)).filter(|&until| until > now)
    }

    /// Something of the session has become durable. If that is all that ended its wait, it waits no more.
    pub(super) fn delay_is_over(&mut self, slot: Slot) {
        let (session, account) = (self.session(slot), self.account(slot));
        let waits = session.state == State::Starting && session.flags.has(Flags::DELAYED);
        if !waits || session.flags.has(Flags::CUT) || account.awaited > 0 {
            return;
        }
        let has_addresses = !account.records.has(Owed::Opened) && !self.waits_for_addresses(slot);
        if has_addresses || !account.records.has(Owed::Sampled) && self.has_waited(slot) {
            self.session_mut(slot).flags.put(Flags::DELAYED, false);
            self.arm(slot);
        }
    }

    /// The subscriber has gone: nothing is told of one whose Start still waited. False: it did not.
    pub(super) fn ends_unaccounted(&mut self, slot: Slot) -> bool {
        let session = self.session(slot);
        if session.state != State::Starting || !session.flags.has(Flags::DELAYED) {
            return false;
        }
        self.annex_mut(slot).cause = NEVER_BEGUN;
        self.owe(slot, Owed::Closed);
        self.end(slot, Owed::Acknowledged);
        true
    }
}
