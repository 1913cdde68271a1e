//! Interims that are due and do not leave. While nothing hinders it, a session whose accounting runs is heard of once in an
//! interval. What may hinder it is much, so only those are judged of whom that is known: servers answer, the engine takes none of
//! them for dead, and nothing may be left out.

use std::time::Duration;

use model::ids::SessionSerial;
use model::record::Closed;
use model::settings::AccountingMode;
use model::time::Mono;

use super::Oracle;
use super::book::Book;
use crate::scenario::Scenario;
use crate::trace::text;

/// When the last fault has gone, or a server has come back, what was sent in vain is still waited for.
const GRACE: Duration = Duration::from_secs(30);
/// An interim that is due leaves by then; what was to be told before it, at the beginning of a life, included.
const SLACK: Duration = Duration::from_secs(3);

/// Acct-Terminate-Causes (RFC 2866 section 5.10) that planes say, and that nobody is cut with.
const USER_REQUEST: u8 = 1;
const LOST_CARRIER: u8 = 2;
const IDLE_TIMEOUT: u8 = 4;

/// Since when every server answers.
#[derive(Debug)]
pub(super) struct Wellness {
    /// No fault of this world hinders an interim.
    is_always: bool,
    /// Nor does the number of those who come.
    is_roomy: bool,
    /// What a shard decides is told of at once.
    is_told_at_once: bool,
    /// The shards live.
    is_alive: bool,
    /// The last fault has gone.
    healed: Option<Mono>,
}

impl Wellness {
    pub(super) fn new(scenario: &Scenario) -> Wellness {
        Wellness {
            is_always: scenario.is_heard(),
            is_roomy: scenario.is_roomy(),
            is_told_at_once: scenario.is_disk_in_time(),
            is_alive: false,
            healed: None,
        }
    }
}

impl Oracle {
    /// Faults stop.
    pub(crate) fn healed(&mut self, now: Mono) {
        self.wellness.healed = Some(now);
    }

    /// The session has gone as its plane says, and nobody wanted to cut it: until then its interims were not overdue.
    pub(super) fn check_interim_was_due(&mut self, closed: &Closed) {
        let Some(book) = self.books.get(&closed.serial) else { return };
        let gone = self.incarnations[book.incarnation].gone;
        if gone == Some(closed.cause) && [USER_REQUEST, LOST_CARRIER, IDLE_TIMEOUT].contains(&closed.cause) {
            self.check_interim_is_due(closed.at.mono, closed.serial);
        }
    }

    /// The shards live from now on.
    pub(super) fn interims_begin(&mut self) {
        self.wellness.is_alive = true;
    }

    /// The process has died, or was told to end then: until then no interim of those who are online was overdue.
    pub(super) fn interims_died(&mut self, now: Mono) {
        if !std::mem::take(&mut self.wellness.is_alive) || !self.wellness.is_told_at_once {
            return;
        }
        let is_online = |book: &&Book| {
            let truth = &self.incarnations[book.incarnation];
            truth.gone.is_none() && !truth.vanished && !truth.turned_away
        };
        let online: Vec<_> = self.books.values().filter(is_online).map(|book| book.serial).collect();
        online.into_iter().for_each(|serial| self.check_interim_is_due(now, serial));
    }

    /// The session tells something: until now its interims were not overdue.
    pub(super) fn check_interim_is_due(&mut self, now: Mono, serial: SessionSerial) {
        let Some(book) = self.books.get(&serial) else { return };
        let is_overdue = self.interim_due(book).is_some_and(|due| now > due);
        let id = text(&book.session_id).into_owned();
        self.require(!is_overdue, "an interim that is due leaves", || id);
    }

    /// By when the session's next interim leaves; `None`: nobody can say.
    fn interim_due(&self, book: &Book) -> Option<Mono> {
        let accepted = book.accepted.map(|kept| kept.fact).filter(|accepted| !accepted.keep_accounting)?;
        let interval = Duration::from_secs(book.interim_s.into());
        let is_online = book.boot == self.boots.current()
            && book.closed.is_none()
            && book.over.is_none()
            && book.cut.is_none()
            && book.ordered.cut().is_none();
        let tells_always = book.interim_s > 0
            && book.scheme.mode == AccountingMode::Radius
            && !book.group.is_empty()
            && !book.scheme.interim_traffic
            && book.scheme.no_send_remain_s == 0;
        // A server that orders changes may give another interval.
        let is_changed = !self.settings.radius_authorization.servers.is_empty();
        if !is_online || !tells_always || is_changed || !self.wellness.is_roomy || !self.probes.is_nobody_down() {
            return None;
        }
        let well = match self.wellness.healed {
            _ if self.wellness.is_always => Mono::ZERO,
            healed => healed?.plus(GRACE),
        };
        let health = self.health_changed.map_or(Mono::ZERO, |at| at.plus(GRACE));
        // Its last datagram may have been waited for in vain.
        let timeout = Duration::from_secs(self.group_of(book.serial).timeout_s.into());
        let since = book.sent.left().plus(timeout).max(self.boots.began()).max(well).max(health);
        Some(since.plus(interval).max(accepted.at.plus(2 * interval)).plus(SLACK))
    }
}
