//! `accounting-start-delay`: a session's Start, and the word that lets the subscriber in, wait until both an IPv4 and an
//! IPv6 address are known (BEHAVIOUR.md section 4). The event of the Start is the Up all the same, and so is where the
//! session's time begins. Whoever waits and goes has not been accounted for: nothing is sent and no bill is made.
//!
//! Whether a session waits is not in the ledger: its terms, its attributes and the time of its Up tell it in any life.

use std::time::Duration;

use model::settings::AccountingMode;
use model::time::Mono;

use super::Shard;
use crate::attributes;
use crate::session::{Flags, Owed, Slot, State};

/// The cause in the `closed` record of a session whose accounting had not begun. No Stop has it.
pub(super) const NEVER_BEGUN: u8 = 0;

impl Shard {
    /// A session has just come up: does its Start wait?
    pub(super) fn delay(&mut self, slot: Slot) {
        let waits = self.session(slot).state == State::Starting && self.waits_for_addresses(slot);
        self.session_mut(slot).flags.put(Flags::DELAYED, waits);
    }

    /// The same for one of an earlier life. Where its wait is over, its Start may have left, unless it is to be refused.
    pub(super) fn restore_delay(&mut self, slot: Slot, now: Mono) {
        self.delay(slot);
        let is_over = self.delay_ends(slot).is_some_and(|end| end <= now);
        if is_over && !self.refuses_late(slot) {
            self.session_mut(slot).flags.put(Flags::DELAYED, false);
        }
    }

    fn waits_for_addresses(&self, slot: Slot) -> bool {
        let session = self.session(slot);
        let contract = self.contracts.get(session.contract);
        let Some(delay) = contract.terms.start_delay.filter(|_| contract.scheme.mode != AccountingMode::None) else {
            return false;
        };
        let run = self.table.blobs.attributes(session.blob);
        let (v4, v6) = attributes::families(run);
        let is_known = v4 && (v6 || contract.terms.ipv4_starts);
        !is_known && delay.user_types.has(attributes::access(run))
    }

    /// When the wait of a session ends, if it waits.
    pub(super) fn delay_ends(&self, slot: Slot) -> Option<Mono> {
        let session = self.session(slot);
        let delay = self.contracts.get(session.contract).terms.start_delay;
        let delay = delay.filter(|_| session.flags.has(Flags::DELAYED))?;
        Some(session.opened.plus(Duration::from_secs(delay.seconds.into())))
    }

    /// What is known of the subscriber has changed.
    pub(super) fn addresses_may_be_known(&mut self, slot: Slot, now: Mono) {
        let flags = self.session(slot).flags;
        if flags.has(Flags::DELAYED) && !flags.has(Flags::CUT) && !self.waits_for_addresses(slot) {
            self.end_delay(slot, now);
        }
    }

    /// Whoever has waited for too long is refused, or accounted for with what is known.
    pub(super) fn delay_may_end(&mut self, slot: Slot, now: Mono) {
        let waits = self.session(slot).state == State::Starting;
        if !waits || self.delay_ends(slot).is_none_or(|end| end > now) {
            return;
        }
        if self.refuses_late(slot) {
            self.counts.refused += 1;
            self.end(slot, Owed::Acknowledged);
        } else {
            self.end_delay(slot, now);
        }
    }

    fn refuses_late(&self, slot: Slot) -> bool {
        let delay = self.contracts.get(self.session(slot).contract).terms.start_delay;
        delay.is_some_and(|delay| delay.offline)
    }

    fn end_delay(&mut self, slot: Slot, now: Mono) {
        self.session_mut(slot).flags.put(Flags::DELAYED, false);
        self.arm(slot);
        if self.session(slot).flags.has(Flags::OPENED_DURABLE) {
            self.admit_if_due(slot);
        }
        self.settle(slot, now);
    }

    /// The subscriber has gone: nothing is told of one whose Start still waited. False: it did not.
    pub(super) fn ends_unaccounted(&mut self, slot: Slot) -> bool {
        let session = self.session(slot);
        if session.state != State::Starting || !session.flags.has(Flags::DELAYED) {
            return false;
        }
        self.account_mut(slot).cause = NEVER_BEGUN;
        self.owe(slot, Owed::Closed);
        self.end(slot, Owed::Acknowledged);
        true
    }
}
