//! How long a subscriber may stay and how much it may move: Session-Timeout, time quota, volume quota; and what happens
//! then, which its domain says as it is configured at that moment (`quota-out`, BEHAVIOUR.md section 4).
//!
//! A volume is not told by the plane, so it is looked at: when it may be used up at the rate since the last sample, but not
//! more often than each second and not more seldom than every ten. What was moved beyond it in between is accounted for.
//!
//! Before the Start has its outcome, nothing happens; what has run out by then does so as soon as it has one. A policy is
//! obeyed once: what was used up limits no more, until the plane says a new limit. A redirection alone stays in force, and
//! is said again when the session is announced; a Session-Timeout runs out all the same. One that ends the accounting is a cut
//! to the engine: the plane answers with a Down, whatever it does with the subscriber.

use std::time::Duration;

use model::counters::{CounterSource, Counters};
use model::domain::{Allowance, QuotaAction};
use model::event::Subscriber;
use model::time::{Mono, Now};
use model::verdict::{CutBy, Reason, Sentence};

use super::{Notice, Shard};
use crate::session::{Flags, Owed, Slot, State};

/// Between two looks at a volume.
const LOOK_SOONEST: Duration = Duration::from_secs(1);
const LOOK_LATEST: Duration = Duration::from_secs(10);

impl Shard {
    /// Takes the limits that an event tells: from its moment on, and beyond what is counted by then.
    pub(super) fn allow(&mut self, slot: Slot, said: &Subscriber<'_>, from: Mono, counted: Counters) {
        let says = said.session_timeout.is_some() || said.time_quota.is_some() || said.volume_quota.is_some();
        if !says {
            return;
        }
        let annex = self.annex_mut(slot);
        if let Some(timeout) = said.session_timeout {
            annex.session_timeout_s = timeout;
            annex.allowance.timeout_at = from.plus(Duration::from_secs(timeout.into()));
        }
        if let Some(quota) = said.time_quota {
            let end = from.as_nanos().saturating_add(quota.saturating_mul(1_000_000_000));
            annex.allowance.quota_at = Mono::from_nanos(end);
        }
        if let Some(quota) = said.volume_quota {
            annex.allowance.volume = counted.octets().saturating_add(quota);
            annex.look = from;
        }
        let flags = &mut self.session_mut(slot).flags;
        flags.put(Flags::REDIRECTED, false);
        flags.put(Flags::TIMED_OUT, false);
    }

    /// When one of the limits may be reached.
    pub(super) fn quota_due(&self, slot: Slot) -> Option<Mono> {
        let (flags, annex) = (self.session(slot).flags, self.annex(slot));
        let Allowance { timeout_at, quota_at, volume } = annex.allowance;
        let timeout_at = if flags.has(Flags::TIMED_OUT) { Allowance::NEVER } else { timeout_at };
        let quotas_at = match flags.has(Flags::REDIRECTED) {
            true => Allowance::NEVER,
            false if volume == Allowance::ALL => quota_at,
            false => quota_at.min(annex.look),
        };
        Some(timeout_at.min(quotas_at)).filter(|&at| at != Allowance::NEVER)
    }

    pub(super) fn quota_may_end(&mut self, slot: Slot, at: Now, counters: &impl CounterSource) {
        let session = self.session(slot);
        let lives = matches!(session.state, State::NotAccounted | State::Accounting | State::StartFailed);
        if !lives || session.is_down() || self.quota_due(slot).is_none_or(|due| due > at.mono) {
            return;
        }
        let Allowance { timeout_at, quota_at, .. } = self.annex(slot).allowance;
        if timeout_at <= at.mono {
            self.run_out(slot, CutBy::SessionTimeout, at.mono, counters);
        } else if quota_at <= at.mono || self.has_moved_all(slot, at.mono, counters) {
            self.run_out(slot, CutBy::QuotaOut, at.mono, counters);
        }
    }

    /// Looks at what the session has moved, and says whether that is its whole volume.
    fn has_moved_all(&mut self, slot: Slot, now: Mono, counters: &impl CounterSource) -> bool {
        let counted = self.read(slot, counters).unwrap_or(self.table.counted(slot)).octets();
        let opened = self.session(slot).opened;
        let rest = self.annex(slot).allowance.volume.checked_sub(counted).filter(|&rest| rest > 0);
        let Some(rest) = rest else { return true };
        let moved = counted.saturating_sub(self.table.counted(slot).octets());
        let behind = now.since(self.account(slot).sampled.max(opened));
        self.annex_mut(slot).look = now.plus(next_look(rest, moved, behind));
        false
    }

    fn run_out(&mut self, slot: Slot, by: CutBy, now: Mono, counters: &impl CounterSource) {
        self.sample_now(slot, now, counters);
        match self.quota_action(slot) {
            QuotaAction::Cut => {
                self.cut(slot, by, now);
            }
            QuotaAction::Tell => {
                self.tell_quota_out(slot);
                self.limit_no_more(slot, by, now);
            }
            QuotaAction::SendInterim => {
                self.limit_no_more(slot, by, now);
                self.report_at_once(slot, now);
            }
            QuotaAction::Redirect => {
                self.tell_quota_out(slot);
                let flags = &mut self.session_mut(slot).flags;
                flags.set(Flags::REDIRECTED);
                flags.put(Flags::TIMED_OUT, by == CutBy::SessionTimeout);
                self.pronounce_redirect(slot);
            }
            QuotaAction::RedirectAndStop => {
                self.tell_quota_out(slot);
                self.cut(slot, CutBy::Redirected, now);
            }
        }
    }

    fn tell_quota_out(&mut self, slot: Slot) {
        self.notice(Notice::QuotaOut(self.session(slot).serial.parts()));
    }

    /// The policy of the domain as it is now; of one that is configured no more, the default.
    fn quota_action(&self, slot: Slot) -> QuotaAction {
        let domain = &self.contracts.get(self.session(slot).contract).domain;
        let now = self.contract_of_domain(domain.as_str().as_bytes());
        now.map_or(QuotaAction::default(), |contract| self.contracts.get(contract).quota_out)
    }

    /// What has been used up limits no more, in a later life either.
    fn limit_no_more(&mut self, slot: Slot, by: CutBy, now: Mono) {
        let allowance = &mut self.annex_mut(slot).allowance;
        match by {
            CutBy::SessionTimeout => allowance.timeout_at = Allowance::NEVER,
            _ if allowance.quota_at <= now => allowance.quota_at = Allowance::NEVER,
            _ => allowance.volume = Allowance::ALL,
        }
        if self.session(slot).state != State::NotAccounted {
            self.owe(slot, Owed::Opened);
        }
    }

    /// Has the plane lead the subscriber elsewhere; a plane that has forgotten it is told again. That lets it in, so who waits for
    /// its Start is led nowhere before a later life would know that the Start was accepted.
    pub(super) fn pronounce_redirect(&mut self, slot: Slot) {
        let session = self.session(slot);
        let is_accepted = session.state != State::Accounting || session.flags.has(Flags::ACCEPTED_DURABLE);
        if is_accepted || !self.waits_for_start(slot) {
            self.pronounce(slot, Sentence::Redirect, Reason::QuotaOut);
        }
    }
}

/// When so much may have been moved, after `moved` in the time behind.
fn next_look(rest: u64, moved: u64, behind: Duration) -> Duration {
    let nanos = (u128::from(rest) * behind.as_nanos()).checked_div(moved.into()).unwrap_or(u128::MAX);
    let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
    Duration::from_nanos(nanos).clamp(LOOK_SOONEST, LOOK_LATEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_looked_at_when_it_may_be_used_up() {
        let seconds = Duration::from_secs;
        for (rest, moved, behind, expected) in [
            (1_000, 0, seconds(60), 10),
            (1_000, 1_000, seconds(0), 1),
            (1_000, 250, seconds(1), 4),
            (1_000, 10, seconds(1), 10),
            (1, u64::MAX, seconds(60), 1),
            (u64::MAX, u64::MAX, seconds(7), 7),
        ] {
            assert_eq!(next_look(rest, moved, behind), seconds(expected), "{rest}, {moved}, {behind:?}");
        }
    }
}
