//! Sessions that a NAS reports by RADIUS (INTERFACES.md section 5). Each client of the relay is a plane whose events are its
//! requests: what they say of time and counters is the NAS's own, and is told on as it was said.
//!
//! A request is a *report*: that a session begins, what it has counted, that it ends. It may have come before, with another
//! identifier; it may be the first word of a session; it may be older than what is known. Whatever it is, the records that it
//! leads to are owed when [`Shard::handle_report`] returns, and when all that is owed is durable it may be answered.
//!
//! **What a report changes.** Attributes: all of them, if any differs. Counters: they only grow; of a NAS that says no gigawords
//! they turn over; one that falls has begun again. Time: an interim or a Stop that leaves for a server carries Event-Timestamp
//! and Acct-Session-Time of the report that it tells, and an Acct-Delay-Time that grows as it waits.
//!
//! **Full:** no slot or no room for the attributes: [`NotTaken::NoRoom`], and the request is not answered.

use std::net::IpAddr;
use std::time::Duration;

use model::counters::Counters;
use model::event::Subscriber;
use model::ids::{PLANE_SESSION_MAX, PlaneIndex};
use model::settings::{AccountingMode, DisconnectFail, RelayClient, RelayInterim};
use model::time::{Mono, Now, Wall};
use model::verdict::CutBy;
use wire::radius::accounting::{Nas, Usage};

use super::cut::CAUGHT_UP;
use super::intake::{Ending, NAS_ERROR};
use super::planes::LOST_SERVICE;
use super::{Notice, Shard};
use crate::attributes;
use crate::journal::Step;
use crate::relayed::usage::{Told, read_usage};
use crate::relayed::{Afterwards, Event, Relayed, octets_of};
use crate::serial::Serial;
use crate::session::{Flags, Lane, NO_EVENT, Owed, Slot, State};

/// The shortest interval that is believed, where a session's silence is measured by it.
const INTERVAL_LEAST: Duration = Duration::from_secs(30);
/// The interval of a session that has not told two interims is as long as that of others of its NAS, and at least this.
const INTERVAL_OF_OTHERS: Duration = Duration::from_secs(600);
/// And where there are no others, this.
const INTERVAL_UNKNOWN: Duration = Duration::from_secs(3600);
/// A session that may be for ever silent is looked at again after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(600);
/// A Start that comes again so soon is the same, whatever its Event-Timestamp: some NAS stamp a request whenever they send it.
const SAME_START: Duration = Duration::from_secs(60);
/// What a session says of its own time may be wrong by so much.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);
/// A NAS that knows no such session is given so long for a Stop that may be on its way.
const FORGOTTEN: Duration = Duration::from_secs(30);
/// A NAS that has agreed to log a session out is given so long for its Stop.
const LEAVING: Duration = Duration::from_secs(300);

/// What a shard knows of a relay client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayRules {
    /// When servers are told.
    pub interim: RelayInterim,
    /// Intervals of silence that end a session; 0: none do.
    pub silence: u8,
    /// What becomes of a session that is not logged out.
    pub disconnect_fail: DisconnectFail,
}

impl From<&RelayClient> for RelayRules {
    fn from(client: &RelayClient) -> RelayRules {
        let RelayClient { interim, silence, disconnect_fail, .. } = *client;
        RelayRules { interim, silence, disconnect_fail }
    }
}

/// What is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// The session begins.
    Start,
    /// It goes on.
    Interim,
    /// It has ended, with this Acct-Terminate-Cause.
    Stop(u8),
}

/// A request about one session, as far as it matters to its accounting.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What the session is called within its plane, 1–64 octets.
    pub session: &'a [u8],
    /// What is reported.
    pub what: Reported,
    /// When that was so: Event-Timestamp, or arrival minus delay; on the measuring clock always the latter.
    pub at: Now,
    /// Event-Timestamp.
    pub stamp: Option<u32>,
    /// Acct-Session-Time, seconds; `None`: it does not say.
    pub session_time_s: Option<u32>,
    /// What was counted.
    pub usage: Usage,
    /// User-Name.
    pub user: &'a [u8],
    /// The domain that the client is configured for.
    pub domain: Option<&'a [u8]>,
    /// The attributes that are passed on.
    pub attributes: &'a [u8],
}

impl Report<'_> {
    fn event(&self) -> Event {
        let [one, other] = [self.usage.in_octets, self.usage.out_octets].map(Option::unwrap_or_default);
        let octets = u64::from(one) << 32 | u64::from(other);
        Event { stamp: self.stamp, session_time_s: self.session_time_s.unwrap_or_default(), octets }
    }

    /// When the session began, by its own word; just now, if it does not say.
    fn began(&self) -> Now {
        let lasted = u64::from(self.session_time_s.unwrap_or_default());
        // Zero stands for another boot's clock.
        let mono = self.at.mono.as_nanos().saturating_sub(lasted * 1_000_000_000).max(1);
        let wall = self.at.wall.as_millis().saturating_sub(lasted * 1000);
        Now { mono: Mono::from_nanos(mono), wall: Wall::from_millis(wall) }
    }
}

/// What a report was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// News.
    News,
    /// News of a session whose Start was not heard.
    Joined,
    /// It had come before.
    Again,
    /// Less than what is known.
    Stale,
}

/// Why a report was not taken. It is not answered, and the NAS asks again, or another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// The domain is not configured.
    NoDomain,
    /// There is no room for the session or its attributes, or nobody is let in any more.
    NoRoom,
}

/// What a NAS said to a Disconnect-Request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disconnected {
    /// The subscriber is logged out; its Stop follows.
    Agreed,
    /// There is no such session.
    Unknown,
    /// It does not do it, does not answer, or was never asked because it takes no such requests.
    Failed,
}

impl Shard {
    /// A relay client is configured as the plane of this number; `None`: not any more, and its sessions end with the grace of
    /// planes. To be told again after each [`Shard::configure`].
    pub fn handle_relay_client(&mut self, now: Mono, plane: PlaneIndex, name: &str, rules: Option<RelayRules>) {
        self.relayed.make_room(self.table.capacity());
        self.relay_client(now, plane, name, rules);
    }

    /// A client has reported something. What that leads to is in the records of this shard when [`Shard::has_told_all`] says so.
    ///
    /// # Errors
    /// [`NotTaken`]: nothing has changed.
    pub fn handle_report(&mut self, now: Now, plane: PlaneIndex, report: &Report<'_>) -> Result<Taken, NotTaken> {
        self.let_leave();
        let is_whole = !report.session.is_empty() && report.session.len() <= PLANE_SESSION_MAX;
        if !is_whole || report.attributes.len() > attributes::RUN_MAX {
            return Err(NotTaken::NoRoom);
        }
        if let Some(slot) = self.table.find(plane, report.session) {
            if matches!(self.session(slot).state, State::Ending | State::Refused) {
                // It was refused, and is online all the same.
                self.set_aside(slot);
            } else {
                return self.next_report(now, slot, report);
            }
        }
        self.first_report(now, plane, report)
    }

    /// A NAS behind this client has started, or is about to go: its sessions have ended, which by their attributes are its own.
    /// Looks at some slots from `cursor` on, 0 at first, and gives the next one; `None`: all were looked at.
    pub fn handle_nas_gone(&mut self, now: Now, plane: PlaneIndex, gone: &NasGone<'_>, cursor: u32) -> Option<u32> {
        self.let_leave();
        let end = self.table.slots().end.min(cursor.saturating_add(NAS_GONE_STEP));
        for slot in cursor..end {
            let session = self.session(slot);
            let is_live = session.plane == plane && session.flags.has(Flags::RELAYED) && self.is_up(slot);
            // Who came up since is one of the NAS's new sessions.
            let is_older = is_live && session.opened < gone.at.mono;
            if is_older && gone.nas.is_part_of(&Nas::of(self.run(slot).attributes())) {
                let row = *self.relayed.get(slot);
                let at = if row.at.mono > gone.at.mono { row.at } else { gone.at };
                self.end_relayed(slot, now, gone.cause, (at, row.last.session_time_s), false);
            }
        }
        (end < self.table.slots().end).then_some(end)
    }

    /// What a Disconnect-Request for a session has come to.
    pub fn handle_disconnected(&mut self, now: Now, plane: PlaneIndex, session: &[u8], outcome: Disconnected) {
        self.let_leave();
        let Some(slot) = self.table.find(plane, session) else { return };
        if !self.session(slot).flags.has(Flags::CUT) || self.session(slot).is_down() {
            return;
        }
        let keeps = self.planes.relay(plane).is_some_and(|rules| rules.disconnect_fail == DisconnectFail::Keep);
        match outcome {
            Disconnected::Agreed | Disconnected::Unknown => {
                let patience = if outcome == Disconnected::Agreed { LEAVING } else { FORGOTTEN };
                self.relayed.get_mut(slot).is_leaving = true;
                self.wait_for_down(slot, now.mono.plus(patience));
            }
            Disconnected::Failed if keeps => self.forgive(slot, now.mono),
            Disconnected::Failed => {
                self.counts.cuts_unanswered += 1;
                self.end_as_reported(slot, now, NAS_ERROR);
            }
        }
    }

    /// The attributes of a session that a Disconnect-Request names it by.
    pub fn attributes_of(&self, plane: PlaneIndex, session: &[u8], run: &mut Vec<u8>) -> bool {
        let Some(slot) = self.table.find(plane, session) else { return false };
        self.run(slot).join(run);
        true
    }

    /// Sessions of this client that are online, and that were silent for too long.
    pub fn relayed_sessions(&self, plane: PlaneIndex) -> (u64, u64) {
        (self.planes.online(plane), self.planes.silent(plane))
    }

    fn set_aside(&mut self, slot: Slot) {
        self.delist(slot);
        self.withdraw_verdict(slot);
        self.session_mut(slot).flags.set(Flags::DOWN);
        self.release(slot);
    }

    /// A session that is not known.
    fn first_report(&mut self, now: Now, plane: PlaneIndex, report: &Report<'_>) -> Result<Taken, NotTaken> {
        let hash = self.table.hash_of(plane, report.session);
        let (is_start, is_stop) = (report.what == Reported::Start, matches!(report.what, Reported::Stop(_)));
        let began = report.began().mono;
        match self.relayed.judge(hash, now.mono, (&report.event(), began), is_start, is_stop) {
            Afterwards::Again => Ok(Taken::Again),
            Afterwards::Stale => Ok(Taken::Stale),
            Afterwards::New => self.join(now, plane, report),
        }
    }

    /// A session that is new, whatever is said of it first.
    fn join(&mut self, now: Now, plane: PlaneIndex, report: &Report<'_>) -> Result<Taken, NotTaken> {
        let slot = self.open_relayed(now, plane, report)?;
        match report.what {
            Reported::Start => return Ok(Taken::News),
            Reported::Interim => self.tell_on(slot, now.mono),
            Reported::Stop(cause) => self.stop_relayed(slot, now, cause, report),
        }
        Ok(Taken::Joined)
    }

    fn open_relayed(&mut self, now: Now, plane: PlaneIndex, report: &Report<'_>) -> Result<Slot, NotTaken> {
        if self.announcing.is_shut() {
            return Err(NotTaken::NoRoom);
        }
        let subscriber = Subscriber { user: Some(report.user), domain: report.domain, ..Subscriber::default() };
        let contract = self.contract_of(&subscriber).ok_or(NotTaken::NoDomain)?;
        let slot = self.slot_for(plane, report.session, report.attributes).ok_or(NotTaken::NoRoom)?;
        let serial = self.coming_serial();
        self.next_sequence += 1;
        self.contracts.share(contract);
        let scheme = self.contracts.get(contract).scheme;
        let is_start = report.what == Reported::Start;
        let interval = match self.planes.relay(plane).map(|rules| rules.interim) {
            Some(RelayInterim::Every(seconds)) => seconds,
            _ => 0,
        };
        let began = if is_start { report.at } else { report.began() };
        let session = self.session_mut(slot);
        session.serial = Serial::new(serial).expect("starts and sessions are counted within its digits");
        session.opened = began.mono;
        session.contract = contract;
        session.interim_s = interval;
        session.flags.set(Flags::RELAYED);
        self.enlist(slot);
        self.beginning_mut(slot).opened = began.wall;
        self.account_mut(slot).sampled = began.mono;
        self.table.set_opened_by(slot, NO_EVENT);
        let row = self.relayed.begin(slot);
        row.is_online = true;
        row.heard = now.mono;
        row.started = report.stamp.filter(|_| is_start).unwrap_or_default();
        self.planes.note_online(plane, true);
        self.note(slot, now.mono, Step::Up);
        self.note_report(slot, now.mono, report);
        if scheme.mode == AccountingMode::None {
            self.session_mut(slot).state = State::NotAccounted;
            self.arm(slot);
            return Ok(slot);
        }
        self.owe(slot, Owed::Opened);
        if is_start {
            self.arm(slot);
        } else {
            // Its Start is another server's affair, or came to nobody.
            self.session_mut(slot).state = State::Accounting;
            self.beginning_mut(slot).accounting = now.mono;
            self.owe(slot, Owed::Accepted);
            self.arm_first_interim(slot, now.mono);
        }
        Ok(slot)
    }

    /// A session that is known.
    fn next_report(&mut self, now: Now, slot: Slot, report: &Report<'_>) -> Result<Taken, NotTaken> {
        if self.is_another(slot, now.mono, report) {
            let plane = self.session(slot).plane;
            self.end_as_reported(slot, now, NAS_ERROR);
            return self.join(now, plane, report);
        }
        let row = *self.relayed.get(slot);
        let is_stale = |last: Event| {
            let stamps = report.stamp.zip(last.stamp).is_some_and(|(stamp, last)| stamp < last);
            stamps || report.session_time_s.is_some_and(|seconds| seconds < last.session_time_s)
        };
        match report.what {
            Reported::Start => {
                self.relayed.get_mut(slot).heard = now.mono;
                return Ok(Taken::Again);
            }
            Reported::Interim if report.event().is_interim(&row.last) => {
                self.relayed.get_mut(slot).heard = now.mono;
                return Ok(Taken::Again);
            }
            Reported::Interim if is_stale(row.last) => return Ok(Taken::Stale),
            Reported::Interim | Reported::Stop(_) => {}
        }
        self.take_attributes(slot, report.attributes)?;
        if report.what == Reported::Interim {
            self.learn_interval(slot, report);
        }
        self.note_report(slot, now.mono, report);
        match report.what {
            Reported::Stop(cause) => self.stop_relayed(slot, now, cause, report),
            _ => {
                // When it has been silent for too long is another time now.
                self.arm(slot);
                self.tell_on(slot, now.mono);
            }
        }
        Ok(Taken::News)
    }

    /// Whether a report under the name of this session is of a later one: its NAS has given the name again, and the Stop, or the new
    /// Start as well, was not heard.
    fn is_another(&self, slot: Slot, now: Mono, report: &Report<'_>) -> bool {
        let row = self.relayed.get(slot);
        if report.what == Reported::Start {
            let is_its = report.stamp.is_none_or(|stamp| row.started == stamp || row.started == 0);
            let comes_again = row.interims == 0 && now < self.session(slot).opened.plus(SAME_START);
            return !is_its && !comes_again;
        }
        // It began after the other one was last heard of.
        let has_lasted = Duration::from_secs(row.last.session_time_s.into()) > CLOCKS_DIFFER;
        report.session_time_s.is_some() && has_lasted && report.began().mono > row.at.mono.plus(CLOCKS_DIFFER)
    }

    /// What the NAS says of the session now is what is told of it from now on.
    fn take_attributes(&mut self, slot: Slot, run: &[u8]) -> Result<(), NotTaken> {
        let known = self.run(slot);
        if run.len() == known.shared.len() + known.own.len() {
            let (shared, own) = run.split_at(known.shared.len());
            if (shared, own) == (known.shared, known.own) {
                return Ok(());
            }
        }
        let attributes = self.table.store_beside(slot, run).ok_or(NotTaken::NoRoom)?;
        self.unindex_changed(slot, attributes);
        self.table.adopt(slot, attributes);
        self.index(slot);
        self.owe_opened(slot);
        Ok(())
    }

    /// The time between two interims of a session is the interval of its NAS, by the NAS's own measure: neither what is lost on the
    /// way nor a restart of ours changes that. The longest is believed, for some interims come out of turn.
    fn learn_interval(&mut self, slot: Slot, report: &Report<'_>) {
        let plane = self.session(slot).plane;
        let row = self.relayed.get_mut(slot);
        row.interims = row.interims.saturating_add(1);
        let Some(seconds) = report.session_time_s else { return };
        row.gap_s = row.gap_s.max(seconds.saturating_sub(row.last.session_time_s));
        // The first may have come out of turn.
        if row.interims > 1 {
            let gap_s = row.gap_s;
            self.planes.note_gap(plane, gap_s);
        }
    }

    /// What a report says is what is known of the session.
    fn note_report(&mut self, slot: Slot, now: Mono, report: &Report<'_>) {
        let total = self.reported_total(slot, &report.usage);
        let opened = self.session(slot).opened;
        self.table.set_counted(slot, total);
        self.account_mut(slot).sampled = report.at.mono.max(opened);
        let row = self.relayed.get_mut(slot);
        row.at = report.at;
        row.heard = now;
        row.last = Event { session_time_s: report.session_time_s.unwrap_or(row.last.session_time_s), ..report.event() };
        row.is_news = report.what != Reported::Start;
        row.is_wide |= report.usage.in_gigawords.is_some() || report.usage.out_gigawords.is_some();
        if report.what != Reported::Start {
            self.owe_sample(slot);
        }
        self.note(slot, now, Step::Reported);
    }

    /// What the NAS has counted of the session, over all turns and new beginnings of its counters.
    fn reported_total(&mut self, slot: Slot, usage: &Usage) -> Counters {
        let counted = self.table.counted(slot);
        let last = counted.minus(self.baseline(slot));
        match read_usage(&last.v4, usage, self.relayed.get(slot).is_wide) {
            Told::Nothing => counted,
            Told::More(v4) => self.total(slot, Counters { v4, ..Counters::ZERO }).most(counted),
            Told::Anew(v4) => {
                self.counts.counter_regressions += 1;
                self.notice(Notice::CountersFell(self.session(slot).serial.parts()));
                self.begin_generation(slot, counted);
                self.owe_opened(slot);
                self.total(slot, Counters { v4, ..Counters::ZERO })
            }
        }
    }

    /// Servers are told of a report, when they are to be told of each.
    fn tell_on(&mut self, slot: Slot, now: Mono) {
        let session = self.session(slot);
        let follows = session.interim_s == 0;
        if !follows || session.flags.has(Flags::CUT) {
            return;
        }
        match session.state {
            State::Accounting => {
                if session.lane == Lane::Interim {
                    return;
                }
                let waits = !session.flags.has(Flags::OPENED_DURABLE) || self.account(slot).records.has(Owed::Accepted);
                if waits {
                    // It follows when that is durable.
                    self.session_mut(slot).flags.set(Flags::INTERIM_DUE);
                } else {
                    self.tick(slot, now);
                }
            }
            State::Starting => self.session_mut(slot).flags.set(Flags::INTERIM_DUE),
            _ => {}
        }
    }

    /// A request has left for another server once more. What its session's NAS has said meanwhile follows it.
    pub(super) fn tell_news_behind(&mut self, request: u32) {
        let slot = self.requests.get(request).session;
        let has_news = self.reported(slot).is_some_and(|reported| reported.is_news);
        if has_news && self.session(slot).interim_s == 0 {
            self.session_mut(slot).flags.set(Flags::INTERIM_DUE);
        }
    }

    /// Whether a NAS that calls itself by this address reports the session.
    pub(super) fn is_reported_by(&self, slot: Slot, address: IpAddr) -> bool {
        let nas = Nas::of(self.run(slot).attributes());
        let is_its = match address {
            IpAddr::V4(address) => nas.ipv4 == Some(address),
            IpAddr::V6(address) => nas.ipv6 == Some(address),
        };
        is_its && self.session(slot).flags.has(Flags::RELAYED)
    }

    /// What an interim tells that leaves now: of a relayed session, the last report.
    pub(super) fn reported(&self, slot: Slot) -> Option<&Relayed> {
        self.session(slot).flags.has(Flags::RELAYED).then(|| self.relayed.get(slot))
    }

    /// The session has ended with its last report.
    pub(super) fn end_as_reported(&mut self, slot: Slot, now: Now, cause: u8) {
        let row = *self.relayed.get(slot);
        self.end_relayed(slot, now, cause, (row.at, row.last.session_time_s), false);
    }

    /// The NAS has said that it is over.
    fn stop_relayed(&mut self, slot: Slot, now: Now, cause: u8, report: &Report<'_>) {
        let session_time_s = self.relayed.get(slot).last.session_time_s;
        self.end_relayed(slot, now, cause, (report.at, session_time_s), true);
    }

    fn end_relayed(&mut self, slot: Slot, now: Now, cause: u8, (at, session_time_s): (Now, u32), by_stop: bool) {
        let row = *self.relayed.get(slot);
        let hash = self.table.hash_of_slot(slot);
        self.relayed.end(hash, now.mono, Event { session_time_s, ..row.last }, row.started, by_stop);
        let counters = self.table.counted(slot);
        let told = Some((at, session_time_s));
        self.close(slot, now, &Ending { cause, counters, at: None, told, taken_over: NO_EVENT });
    }

    /// When a session has been silent for too long; `None`: it may be.
    pub(super) fn silence_due(&self, slot: Slot) -> Option<Mono> {
        let session = self.session(slot);
        if !session.flags.has(Flags::RELAYED) {
            return None;
        }
        let rules = self.planes.relay(session.plane)?;
        let row = self.relayed.get(slot);
        let count = u32::from(rules.silence);
        if count == 0 {
            return None;
        }
        let Some(interval) = self.interval_of(slot) else {
            return Some(row.heard.max(row.looked).plus(LOOK_AGAIN));
        };
        Some(row.heard.plus(interval.saturating_mul(count)).max(row.looked.plus(CAUGHT_UP)))
    }

    /// How often its NAS speaks of the session; `None`: nothing tells.
    fn interval_of(&self, slot: Slot) -> Option<Duration> {
        let row = self.relayed.get(slot);
        if row.interims > 1 && row.gap_s > 0 {
            return Some(Duration::from_secs(row.gap_s.into()).max(INTERVAL_LEAST));
        }
        match self.planes.gap(self.session(slot).plane) {
            0 => (row.interims > 0).then_some(INTERVAL_UNKNOWN),
            of_others => Some(Duration::from_secs(of_others.into()).max(INTERVAL_OF_OTHERS)),
        }
    }

    /// Whoever has been silent for too long has gone. What lies unread may be a word of it.
    pub(super) fn silence_may_end(&mut self, slot: Slot, now: Now) -> bool {
        if self.silence_due(slot).is_none_or(|due| due > now.mono) {
            return false;
        }
        let plane = self.session(slot).plane;
        if self.interval_of(slot).is_none() || self.events_lie_unread(plane, now.mono) {
            self.relayed.get_mut(slot).looked = now.mono;
            return false;
        }
        self.planes.note_silent(plane);
        self.end_as_reported(slot, now, LOST_SERVICE);
        true
    }

    /// The wait for the Stop of a session that was to be logged out is over. Its NAS may not have been asked yet.
    pub(super) fn relayed_cut_is_overdue(&mut self, slot: Slot, now: Now) {
        if !self.relayed.get(slot).is_leaving {
            self.pronounce_cut(slot, now.mono);
            return;
        }
        self.counts.cuts_unanswered += 1;
        self.end_as_reported(slot, now, NAS_ERROR);
    }

    /// A session that was to be logged out stays online, and is accounted for as before.
    fn forgive(&mut self, slot: Slot, now: Mono) {
        let by = self.account(slot).cut;
        self.withdraw_verdict(slot);
        let flags = &mut self.session_mut(slot).flags;
        flags.put(Flags::CUT, false);
        flags.put(Flags::CUT_DURABLE, false);
        let account = self.account_mut(slot);
        account.cut = None;
        if by == Some(CutBy::InterimFail) {
            // It is counted anew.
            account.interim_failures = 0;
        }
        self.session_mut(slot).next_interim = Mono::ZERO;
        self.owe_sample(slot);
        self.resume_phase(slot, now);
        if self.relayed.get(slot).is_news {
            self.tell_on(slot, now);
        }
    }

    /// A session of an earlier life: what its last report said, as far as the ledger tells. `rebooted`: the clock that it was
    /// measured by has begun again, and this was its wall.
    pub(super) fn restore_relayed(&mut self, slot: Slot, now: Now, rebooted: Option<Wall>) {
        self.relayed.make_room(self.table.capacity());
        self.session_mut(slot).flags.set(Flags::RELAYED);
        let (session, account) = (self.session(slot), self.account(slot));
        let (opened, sampled) = (session.opened, account.sampled.max(session.opened));
        let at = match rebooted {
            Some(wall) => Now { mono: Mono::ZERO, wall },
            None => now.at(sampled),
        };
        // What began before the box was booted can only be measured on the wall.
        let lasted = match rebooted.is_some() || opened == Mono::ZERO {
            true => at.wall.as_millis().saturating_sub(self.beginning(slot).opened.as_millis()) / 1000,
            false => sampled.since(opened).as_secs(),
        };
        let (started, octets) = (self.beginning(slot).opened.event_timestamp(), octets_of(&self.table.counted(slot)));
        let row = self.relayed.begin(slot);
        (row.at, row.heard, row.started, row.is_online) = (at, now.mono, started, true);
        row.last = Event { stamp: None, session_time_s: u32::try_from(lasted).unwrap_or(u32::MAX), octets };
        self.planes.note_online(self.session(slot).plane, true);
        if rebooted.is_some() {
            self.session_mut(slot).opened = Mono::ZERO;
            self.account_mut(slot).sampled = now.mono;
            self.beginning_mut(slot).accounting = now.mono;
            // What is measured by this boot's clock is written down in its terms.
            self.owe(slot, Owed::Opened);
            self.owe_sample(slot);
        }
    }

    /// The session is over, for one reason or another.
    pub(super) fn note_gone(&mut self, slot: Slot) {
        let session = &self.table.sessions[slot as usize];
        if session.flags.has(Flags::RELAYED) && std::mem::take(&mut self.relayed.get_mut(slot).is_online) {
            self.planes.note_online(session.plane, false);
        }
    }

    /// One that has ended owes its Stop still: its NAS may say that once more.
    pub(super) fn remember_ending(&mut self, slot: Slot, now: Mono) {
        let annex = self.annex(slot);
        let event = Event {
            stamp: Some(annex.closed.wall.event_timestamp()),
            session_time_s: annex.session_time_s,
            octets: octets_of(&self.table.counted(slot)),
        };
        let started = self.beginning(slot).opened.event_timestamp();
        let hash = self.table.hash_of_slot(slot);
        self.relayed.make_room(self.table.capacity());
        self.relayed.end(hash, now, event, started, true);
    }
}

/// Slots that [`Shard::handle_nas_gone`] looks at in one call.
const NAS_GONE_STEP: u32 = 4096;

/// That a NAS has started, or is about to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NasGone<'a> {
    /// Which, by what it says of itself.
    pub nas: Nas<'a>,
    /// When.
    pub at: Now,
    /// Acct-Terminate-Cause of its sessions.
    pub cause: u8,
}
