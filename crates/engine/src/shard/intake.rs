//! What a packet plane says, turned into sessions.

use std::time::Duration;

use model::counters::{CounterSlot, CounterSource, Counters};
use model::event::{Down, EventOrigin, PlaneEvent, Reset, Subscriber, Up, Update};
use model::ids::{PLANE_SESSION_MAX, PlaneIndex, SessionSerial};
use model::marks::{self, Mark};
use model::record::TakenOver;
use model::settings::{AccountingMode, DEFAULT_DOMAIN};
use model::time::{Mono, Now, Wall};
use model::verdict::{CutBy, Reason, Sentence};

use super::planes::Delivery;
use super::{Busy, Shard};
use crate::attributes::{self, SessionBirth};
use crate::blob::BlobRef;
use crate::identity::{Place, SEQUENCE_COUNT, session_id};
use crate::journal::Step;
use crate::serial::Serial;
use crate::session::{Flags, Lane, NONE, Owed, Slot, State};

/// Acct-Terminate-Cause *NAS Error*: a session that came up again without having gone down (INTERFACES.md section 3).
pub(super) const NAS_ERROR: u8 = 9;
/// Acct-Terminate-Cause *NAS Request*, where the plane does not say why.
pub(crate) const NAS_REQUEST: u8 = 10;
/// Acct-Interim-Interval is believed within these bounds (BEHAVIOUR.md 3.3, rule 2).
const INTERIM_INTERVAL: std::ops::RangeInclusive<u32> = 60..=3_932_100;

/// How a session ends.
pub(super) struct Ending {
    pub(super) cause: u8,
    /// Final totals over all generations.
    pub(super) counters: Counters,
    /// Event time, where the plane knows it.
    pub(super) at: Option<Wall>,
    /// Of one that a NAS reports: when, and after how many seconds, by its own word.
    pub(super) told: Option<(Now, u32)>,
    pub(super) taken_over: TakenOver,
}

impl Shard {
    /// Whether no event can be taken now: too many verdicts on refused subscribers wait.
    pub fn is_busy(&self) -> bool {
        self.refusals.is_full()
    }

    /// Takes one event. `Err(Busy)`: nothing was taken, and the same event must come again later.
    pub fn handle_event(
        &mut self,
        now: Now,
        origin: EventOrigin,
        event: PlaneEvent<'_>,
        counters: &impl CounterSource,
    ) -> Result<(), Busy> {
        self.let_leave();
        if self.refusals.is_full() {
            return Err(Busy);
        }
        match self.planes.recognise(origin, name_in(&event)) {
            Delivery::Again => {
                marks::hit(Mark::EventAgain);
                return Ok(());
            }
            Delivery::TakenOver => {
                marks::hit(Mark::EventTakenOver);
                self.drop_provisional(origin.plane, name_in(&event));
                self.note_announced(origin, &event);
            }
            Delivery::New => self.take(now, origin, event, counters),
        }
        self.handle_ring_read(origin.plane, origin.ring, origin.position + 1);
        Ok(())
    }

    /// Events of all planes stay unread: the ledger is behind. Of one: [`handle_plane_events_left`](Self::handle_plane_events_left).
    pub fn handle_events_left(&mut self, now: Mono) {
        self.events_left = Some(now);
    }

    /// An event about this session made no sense. If it was to bring a subscriber online, the plane must not wait for ever.
    pub fn handle_malformed(&mut self, plane: PlaneIndex, session: &[u8]) {
        self.counts.malformed += 1;
        let is_known = self.table.find(plane, session).is_some();
        if !is_known && !self.refusals.is_full() {
            self.refuse(plane, session, CounterSlot::default(), Reason::Malformed);
        }
    }

    fn take(&mut self, now: Now, origin: EventOrigin, event: PlaneEvent<'_>, counters: &impl CounterSource) {
        if let Some(slot) = self.table.find(origin.plane, name_in(&event)) {
            if self.predates(origin, slot) {
                marks::hit(Mark::EventPredatesSession);
                self.note_announced(origin, &event);
                return;
            }
            if self.is_refused(slot, &event) {
                return;
            }
        }
        match event {
            PlaneEvent::Up(up) => self.up(now, origin, &up, counters),
            PlaneEvent::Update(update) => self.update(now, origin, &update, counters),
            PlaneEvent::Down(down) => self.down(now, origin, &down, counters),
            PlaneEvent::Reset(reset) => self.reset(now, origin, reset, counters),
            PlaneEvent::ResyncBegin => self.resync_begins(origin),
            PlaneEvent::ResyncEnd => self.resync_ends(now, origin, counters),
        }
    }

    /// A session that is known by this event or a later one is announced by it all the same.
    fn note_announced(&mut self, origin: EventOrigin, event: &PlaneEvent<'_>) {
        if let PlaneEvent::Up(up) = event
            && let Some(slot) = self.table.find(origin.plane, up.session)
        {
            let round = self.planes.round(origin.plane);
            self.session_mut(slot).flags.put(Flags::ROUND, round);
        }
    }

    /// Whether the event is about a session that was refused and whose verdict is on its way. The subscriber's leaving
    /// or coming again makes it needless.
    fn is_refused(&mut self, slot: Slot, event: &PlaneEvent<'_>) -> bool {
        if !matches!(self.session(slot).state, State::Ending | State::Refused) {
            return false;
        }
        let another = match event {
            PlaneEvent::Up(up) => up.counters.generation == 0 || up.counters != self.session(slot).counters,
            PlaneEvent::Down(_) => true,
            _ => false,
        };
        let another = another || matches!(event, PlaneEvent::Up(_)) && self.has_refused(slot);
        if another {
            marks::hit(Mark::ComesWhileRefused);
            self.delist(slot);
            self.withdraw_verdict(slot);
            self.session_mut(slot).flags.set(Flags::DOWN);
            self.release(slot);
        }
        !another
    }

    /// The plane has taken the verdict, though the slot is not given back yet.
    fn has_refused(&self, slot: Slot) -> bool {
        self.session(slot).flags.has(Flags::REFUSED_DURABLE) && self.session(slot).verdict.is_none()
    }

    fn up(&mut self, now: Now, origin: EventOrigin, up: &Up<'_>, counters: &impl CounterSource) {
        if up.session.is_empty() || up.session.len() > PLANE_SESSION_MAX {
            self.refuse(origin.plane, up.session, up.counters, Reason::Malformed);
            return;
        }
        if let Some(slot) = self.table.find(origin.plane, up.session) {
            if self.is_announcement(origin, slot, up.counters) {
                self.announced(origin, slot, up, now.mono);
                return;
            }
            if self.session(slot).flags.has(Flags::PROVISIONAL) && self.planes.was_implied(origin) {
                marks::hit(Mark::ImpliedByEarlierLife);
                self.forget_provisional(slot);
            } else {
                let counters = self.read_on(slot, counters).unwrap_or(self.table.counted(slot));
                let taken_over = self.taken_over(origin);
                marks::hit(Mark::UpImpliesDown);
                let taken_over = TakenOver { ring: taken_over.ring | TakenOver::IMPLIED, ..taken_over };
                self.close(slot, now, &Ending { cause: NAS_ERROR, counters, at: up.at, told: None, taken_over });
            }
        }
        self.open(now, origin, up);
    }

    /// Whether an Up tells of the session that is known, and not of a new one. Within a resync it does; but a ring that is
    /// read again may begin in the middle of one. A new session has other counters; and after the loss of its memory
    /// a plane announces before it says anything else.
    fn is_announcement(&self, origin: EventOrigin, slot: Slot, counters: CounterSlot) -> bool {
        let same = counters.generation != 0 && counters == self.session(slot).counters;
        let is_of_old = self.is_known_of_old(origin, slot) && !self.planes.is_new_start(origin.plane);
        self.planes.is_resyncing(origin.plane) || same || is_of_old
    }

    /// A session that the engine knows is announced in a resync: it goes on.
    fn announced(&mut self, origin: EventOrigin, slot: Slot, up: &Up<'_>, now: Mono) {
        self.note_authenticator(slot, &up.subscriber);
        let round = self.planes.round(origin.plane);
        self.session_mut(slot).flags.put(Flags::ROUND, round);
        if self.is_known_of_old(origin, slot) {
            self.changed(origin, slot);
        }
        // The last word on it, should nobody announce it any more.
        let taken_over = self.taken_over(origin);
        self.table.set_opened_by(slot, taken_over);
        self.move_counters(origin, slot, up.counters);
        let session = self.session(slot);
        if session.flags.has(Flags::CUT) {
            if self.is_cut_for_good(slot) {
                self.pronounce_cut(slot, now);
            }
            return;
        }
        match session.state {
            _ if session.flags.has(Flags::REDIRECTED) => self.pronounce_redirect(slot),
            State::NotAccounted => self.pronounce(slot, Sentence::Admit, Reason::NotAccounted),
            // A verdict is on its way as soon as the `accepted` record allows it.
            State::Accounting if self.waits_for_start(slot) && !session.flags.has(Flags::ACCEPTED_DURABLE) => {}
            State::Accounting | State::StartFailed => self.pronounce(slot, Sentence::Admit, Reason::Known),
            // A verdict is on its way as soon as the `opened` record, or the Start, allows it.
            State::Starting if session.flags.has(Flags::OPENED_DURABLE) => self.admit_if_due(slot),
            State::Starting | State::Free | State::Stopping | State::Parked | State::Replaying => {}
            State::Refused | State::Ending => {}
        }
    }

    fn open(&mut self, now: Now, origin: EventOrigin, up: &Up<'_>) {
        if let Some(by) = self.stayed.find(origin.plane, up.counters) {
            self.pronounce_on_nobody(origin.plane, up.session, up.counters, (by.sentence(), by.reason()));
            return;
        }
        let subscriber = &up.subscriber;
        if self.announcing.is_shut() {
            self.refuse(origin.plane, up.session, up.counters, Reason::ShuttingDown);
            return;
        }
        // Nobody may stay for no time (BEHAVIOUR.md 5.6).
        if subscriber.session_timeout == Some(0) {
            self.refuse(origin.plane, up.session, up.counters, Reason::SessionTimeout);
            return;
        }
        let Some(contract) = self.contract_of(subscriber) else {
            self.refuse(origin.plane, up.session, up.counters, Reason::NoDomain);
            return;
        };
        let serial = self.coming_serial();
        let id = session_id(&self.prefix, Place::of(subscriber), serial, &self.key);
        let domain = self.contracts.get(contract).domain.as_str();
        let mut run = [0; attributes::RUN_MAX];
        let startup = self.birth.started.event_timestamp();
        let birth = SessionBirth { serial, domain, sysname: &self.sysname, startup };
        let Some(length) = attributes::write(&mut run, subscriber, &id, &birth) else {
            self.refuse(origin.plane, up.session, up.counters, Reason::Malformed);
            return;
        };
        let Some(slot) = self.slot_for(origin.plane, up.session, &run[..length]) else {
            self.refuse(origin.plane, up.session, up.counters, Reason::Full);
            return;
        };
        self.withdraw_refusals(origin.plane, up.session);
        self.next_sequence += 1;
        self.contracts.share(contract);
        let scheme = self.contracts.get(contract).scheme;
        let round = self.planes.round(origin.plane);
        let event = moment_of(up.at, now);
        let session = self.session_mut(slot);
        session.serial =
            Serial::new(serial).expect("starts are counted with six hex digits, sessions with six of Base62");
        session.opened = event.mono;
        session.contract = contract;
        session.counters = up.counters;
        session.interim_s = interim_interval(subscriber.acct_interim_interval, scheme.interim_s);
        session.flags.put(Flags::ROUND, round);
        // How it is called follows from what it took.
        self.enlist(slot);
        let taken_over = self.taken_over(origin);
        self.beginning_mut(slot).opened = event.wall;
        self.table.set_opened_by(slot, taken_over);
        self.note(slot, now.mono, Step::Up);
        self.note_authenticator(slot, subscriber);
        self.allow(slot, subscriber, event.mono, Counters::ZERO);
        if scheme.mode == AccountingMode::None {
            self.session_mut(slot).state = State::NotAccounted;
        }
        self.delay(slot);
        if self.planes.is_history(origin) {
            self.hold_provisional(origin, slot);
        } else {
            self.begin_life(slot);
        }
    }

    /// A slot for a session of this name with these attributes. Who is over but for its copy gives way.
    pub(super) fn slot_for(&mut self, plane: PlaneIndex, name: &[u8], run: &[u8]) -> Option<Slot> {
        let mut slot = self.table.insert(plane, name, run);
        while slot.is_none() && self.abandon_copy() {
            slot = self.table.insert(plane, name, run);
        }
        slot
    }

    /// What the next session is called: [`Shard::next_sequence`] is its number within the shard.
    pub(super) fn coming_serial(&self) -> SessionSerial {
        let number = self.next_sequence * u64::from(self.birth.shard_count) + u64::from(self.birth.shard);
        SessionSerial { epoch: self.birth.epoch, sequence: number % SEQUENCE_COUNT }
    }

    /// Who authenticated the subscriber, if the plane says so. The ledger does not know it: after a restart the plane says it
    /// again.
    fn note_authenticator(&mut self, slot: Slot, said: &Subscriber<'_>) {
        if let Some(address) = said.auth_server {
            self.account_mut(slot).authenticator = self.authenticators.number(address);
        }
    }

    /// The session is real: the ledger is told, or where there is nothing to account for, the plane.
    pub(super) fn begin_life(&mut self, slot: Slot) {
        self.arm(slot);
        if self.session(slot).state == State::NotAccounted {
            self.pronounce(slot, Sentence::Admit, Reason::NotAccounted);
        } else {
            self.owe(slot, Owed::Opened);
        }
    }

    fn update(&mut self, now: Now, origin: EventOrigin, update: &Update<'_>, counters: &impl CounterSource) {
        let Some(slot) = self.table.find(origin.plane, update.session) else {
            self.counts.unknown_session += 1;
            return;
        };
        let Some(attributes) = self.merged(slot, &update.changed) else { return };
        let counted = update.changed.volume_quota.and_then(|_| self.read(slot, counters));
        self.change(now, Some(origin), slot, update, attributes, counted.unwrap_or(self.table.counted(slot)));
    }

    /// A session's attributes with what is said anew, for [`Shard::change`]; `None` when there is no room for them.
    pub(super) fn merged(&mut self, slot: Slot, changed: &Subscriber<'_>) -> Option<BlobRef> {
        let mut run = [0; attributes::RUN_MAX];
        let length = attributes::merge(&mut run, self.run(slot), changed)?;
        self.table.store_beside(slot, &run[..length])
    }

    /// What a session says of itself is new: these are its attributes, and a volume quota counts from what it has `counted`.
    /// The ledger is told, with the event's place if it was an event.
    pub(super) fn change(
        &mut self,
        now: Now,
        origin: Option<EventOrigin>,
        slot: Slot,
        update: &Update<'_>,
        attributes: BlobRef,
        counted: Counters,
    ) {
        let changed = &update.changed;
        let has_moved = !attributes::same_addresses(self.run(slot), self.table.blobs.attributes(attributes));
        self.unindex_changed(slot, attributes);
        self.table.adopt(slot, attributes);
        self.index(slot);
        if changed.acct_interim_interval.is_some() {
            let from_scheme = self.contracts.get(self.session(slot).contract).scheme.interim_s;
            self.session_mut(slot).interim_s = interim_interval(changed.acct_interim_interval, from_scheme);
            self.resume_phase(slot, now.mono);
        }
        self.note_authenticator(slot, changed);
        self.allow(slot, changed, moment_of(update.at, now).mono, counted);
        self.arm(slot);
        match origin {
            Some(origin) => self.changed(origin, slot),
            None => self.owe_opened(slot),
        }
        // A new address is told at once, whatever the interval (BEHAVIOUR.md 3.3, rule 1).
        if has_moved {
            self.report_at_once(slot, now.mono);
        }
    }

    /// An interim follows, unless what waits to be sent tells all that it could.
    pub(super) fn report_at_once(&mut self, slot: Slot, now: Mono) {
        let session = self.session(slot);
        let is_told = match session.state {
            // Before the ledger is told that accounting runs, a new life would begin with the Start.
            State::Accounting if self.account(slot).records.has(Owed::Accepted) => {
                // It follows when that is durable.
                self.session_mut(slot).flags.set(Flags::INTERIM_DUE);
                return;
            }
            State::Accounting => session.lane == Lane::Interim,
            // A Start that has not left yet tells it.
            State::Starting => session.request == NONE,
            _ => true,
        };
        if !is_told {
            self.session_mut(slot).flags.set(Flags::INTERIM_DUE);
            self.settle(slot, now);
        }
    }

    /// What the event changed is written to the ledger, with its place, so that a second delivery is recognised.
    fn changed(&mut self, origin: EventOrigin, slot: Slot) {
        let taken_over = self.taken_over(origin);
        self.table.set_opened_by(slot, taken_over);
        self.owe_opened(slot);
    }

    pub(super) fn owe_opened(&mut self, slot: Slot) {
        let session = self.session(slot);
        if session.state != State::NotAccounted && !session.flags.has(Flags::PROVISIONAL) {
            self.owe(slot, Owed::Opened);
        }
    }

    fn down(&mut self, now: Now, origin: EventOrigin, down: &Down<'_>, counters: &impl CounterSource) {
        let Some(slot) = self.table.find(origin.plane, down.session) else {
            self.counts.unknown_session += 1;
            return;
        };
        let totals = match down.totals {
            // Less than was read before cannot be all.
            Some(totals) => Some(self.total(slot, totals).most(self.table.counted(slot))),
            None => self.read_on(slot, counters),
        };
        let ending = Ending {
            cause: if down.cause == 0 { NAS_REQUEST } else { down.cause },
            counters: totals.unwrap_or(self.table.counted(slot)),
            at: down.at,
            told: None,
            taken_over: self.taken_over(origin),
        };
        self.close(slot, now, &ending);
    }

    /// The subscriber has gone: its numbers are fixed, and the Stop leaves when they are durable.
    pub(super) fn close(&mut self, slot: Slot, now: Now, ending: &Ending) {
        self.note_gone(slot);
        self.delist(slot);
        self.timers.cancel(slot);
        if self.session(slot).flags.has(Flags::PROVISIONAL) {
            self.confirm(slot);
            self.begin_life(slot);
        }
        self.withdraw_verdict(slot);
        let opened = self.session(slot).opened;
        self.table.set_counted(slot, ending.counters);
        let account = self.account_mut(slot);
        account.sampled = now.mono;
        let cause = account.cut.map_or(ending.cause, CutBy::terminate_cause);
        // Between two times that the plane gave, what it says counts; otherwise the clock that never steps does.
        let lasted = match ending.at {
            Some(at) => Duration::from_millis(at.as_millis().saturating_sub(self.beginning(slot).opened.as_millis())),
            None => now.mono.since(opened),
        };
        let lasted = u32::try_from(lasted.as_secs()).unwrap_or(u32::MAX);
        let (closed, session_time_s) = ending.told.unwrap_or((moment_of(ending.at, now), lasted));
        let annex = self.annex_mut(slot);
        (annex.closed, annex.session_time_s) = (closed, session_time_s);
        annex.cause = cause;
        annex.closed_by = ending.taken_over;
        self.note(slot, now.mono, Step::Down { cause });
        let session = self.session_mut(slot);
        session.flags.put(Flags::INTERIM_DUE, false);
        session.flags.set(Flags::DOWN);
        let (state, lane) = (session.state, session.lane);
        if state == State::NotAccounted {
            session.state = State::Ending;
            self.release(slot);
            return;
        }
        if self.ends_unaccounted(slot) {
            return;
        }
        self.withdraw_queued(slot);
        // Its Stop replaces an interim that has not left yet, and its bill the zero Stop.
        if lane == Lane::Interim || (lane == Lane::Stop && state == State::StartFailed) {
            self.dequeue(slot);
        }
        self.owe(slot, Owed::Closed);
        self.settle(slot, now.mono);
    }

    fn reset(&mut self, now: Now, origin: EventOrigin, reset: Reset<'_>, counters: &impl CounterSource) {
        let Some(slot) = self.table.find(origin.plane, reset.session) else {
            self.counts.unknown_session += 1;
            return;
        };
        // The old generation may still stand in the slot: then nothing is lost at all.
        if let Some(last) = self.read_on(slot, counters) {
            self.keep_sample(slot, last, now.mono);
        }
        self.move_counters(origin, slot, reset.counters);
    }

    /// The session's counters are elsewhere now. In another generation they began again at zero, so what was last
    /// read becomes the baseline.
    fn move_counters(&mut self, origin: EventOrigin, slot: Slot, counters: CounterSlot) {
        let old = self.session(slot).counters;
        if old == counters {
            return;
        }
        if old.generation != counters.generation {
            let last = self.table.counted(slot);
            self.begin_generation(slot, last);
        }
        self.session_mut(slot).counters = counters;
        self.changed(origin, slot);
    }

    fn taken_over(&self, origin: EventOrigin) -> TakenOver {
        TakenOver { plane_epoch: self.planes.epoch(origin.plane), ring: origin.ring, position: origin.position }
    }

    /// The contract of the domain that the event names, else of the one behind the last `@` of the user name if it
    /// is configured, else of the default domain (INTERFACES.md section 2). `None`: the event names an unknown one.
    pub(super) fn contract_of(&self, subscriber: &Subscriber<'_>) -> Option<u16> {
        if let Some(domain) = subscriber.domain {
            return self.contract_of_domain(domain);
        }
        let user = subscriber.user.unwrap_or_default();
        let suffix = user.iter().rposition(|&c| c == b'@').map(|at| &user[at + 1..]);
        let named = suffix.and_then(|domain| self.contract_of_domain(domain));
        named.or_else(|| self.contract_of_domain(DEFAULT_DOMAIN.as_bytes()))
    }

    pub(super) fn contract_of_domain(&self, domain: &[u8]) -> Option<u16> {
        let mut folded = [0; 64];
        let folded = folded.get_mut(..domain.len())?;
        folded.copy_from_slice(domain);
        folded.make_ascii_lowercase();
        self.domains.get(&*folded).copied()
    }
}

/// The moment of an event that the plane dates: its age is measured, for what is late is so by that much more
/// (owner's decision 3). What lies ahead happens now.
fn moment_of(at: Option<Wall>, now: Now) -> Now {
    let Some(at) = at else { return now };
    let age = Duration::from_millis(now.wall.as_millis().saturating_sub(at.as_millis()));
    let age = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
    // Zero stands for another boot's clock.
    Now { mono: Mono::from_nanos(now.mono.as_nanos().saturating_sub(age).max(1)), wall: at }
}

/// The session that an event is about; empty where it is about all.
fn name_in<'a>(event: &PlaneEvent<'a>) -> &'a [u8] {
    match event {
        PlaneEvent::Up(up) => up.session,
        PlaneEvent::Update(update) => update.session,
        PlaneEvent::Down(down) => down.session,
        PlaneEvent::Reset(reset) => reset.session,
        PlaneEvent::ResyncBegin | PlaneEvent::ResyncEnd => &[],
    }
}

/// The server's interval where it is sane, else the scheme's (BEHAVIOUR.md 3.3, rule 2).
fn interim_interval(from_server: Option<u32>, from_scheme: u32) -> u32 {
    from_server.filter(|interval| INTERIM_INTERVAL.contains(interval)).unwrap_or(from_scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BEHAVIOUR.md section 12, vector 3.
    #[test]
    fn the_server_s_interval_wins_when_sane() {
        for (from_server, expected) in [
            (None, 600),
            (Some(0), 600),
            (Some(59), 600),
            (Some(60), 60),
            (Some(3_932_100), 3_932_100),
            (Some(3_932_101), 600),
        ] {
            assert_eq!(interim_interval(from_server, 600), expected, "{from_server:?}");
        }
    }
}
