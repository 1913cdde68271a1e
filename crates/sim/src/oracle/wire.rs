//! What leaves towards the servers, and what comes back.

use std::net::SocketAddr;
use std::time::Duration;

use model::counters::Counters;
use model::domain::{QuotaAction, TrafficUnit};
use model::ids::SessionSerial;
use model::settings::{ObjectName, RadiusGroup, StartFail};
use model::time::{Mono, Now};
use wire::radius::attribute::acct_status_type::{INTERIM_UPDATE, START, STOP};
use wire::radius::authenticator::{verify_request, verify_response};
use wire::radius::{Code, Packet};

use super::bills::Replaying;
use super::{Oracle, as_sent, is_within, seconds_since};
use crate::network::Datagram;
use crate::plane::Limits;
use crate::server::Said;
use crate::trace::{Trace, text};

/// One identifier of one source port, and what it is used for.
pub(super) struct Attempt {
    pub(super) serial: SessionSerial,
    pub(super) life: u32,
    pub(super) server: SocketAddr,
    /// It sends a bill once more.
    pub(super) is_replay: bool,
    pub(super) authenticator: [u8; 16],
    pub(super) octets: Vec<u8>,
    pub(super) status: u32,
    pub(super) last: Mono,
    pub(super) transmissions: u8,
    pub(super) timeout: Duration,
    /// It leaves so often at most.
    pub(super) most: u8,
    pub(super) answered: Option<Mono>,
}

/// What one that left before was when it left again.
pub(super) struct Again {
    is_same: bool,
    is_due: bool,
    is_open: bool,
    count: u8,
}

/// An accounting request that leaves, and whose it is.
pub(super) struct Leaving<'a> {
    pub(super) packet: Packet<'a>,
    pub(super) said: Said,
    pub(super) serial: SessionSerial,
    pub(super) id: String,
}

impl Attempt {
    /// A datagram leaves for the first time; `status` and `is_replay` are of no account to most.
    pub(super) fn new(serial: SessionSerial, life: u32, to: SocketAddr, packet: &Packet<'_>, now: Mono) -> Attempt {
        Attempt {
            serial,
            life,
            server: to,
            is_replay: false,
            authenticator: *packet.authenticator(),
            octets: packet.octets().to_vec(),
            status: 0,
            last: now,
            transmissions: 1,
            timeout: Duration::ZERO,
            most: u8::MAX,
            answered: None,
        }
    }

    /// It leaves once more.
    pub(super) fn leaves_again(&mut self, now: Mono, to: SocketAddr, octets: &[u8]) -> Again {
        let (is_same, is_due) = (self.octets == octets && self.server == to, now >= self.last.plus(self.timeout));
        (self.last, self.transmissions) = (now, self.transmissions + 1);
        Again { is_same, is_due, is_open: self.answered.is_none(), count: self.transmissions }
    }

    /// The wait for its reply is over, one way or the other.
    pub(super) fn has_ended(&self, now: Mono) -> bool {
        self.answered.is_some() || now >= self.last.plus(self.timeout)
    }

    /// Nobody can take a late reply for another request's.
    pub(super) fn is_free(&self, now: Mono, life: u32) -> bool {
        let quarantine = self.timeout.max(Duration::from_secs(5));
        self.answered.is_some() || now >= self.last.plus(self.timeout + quarantine) || self.life != life
    }
}

/// What was sent of one session.
#[derive(Default)]
pub(super) struct Sent {
    starts: u32,
    interims: u32,
    pub(super) stops: u32,
    /// In this life.
    pub(super) stops_now: u32,
    /// In this life.
    starts_now: u32,
    interims_now: u32,
    pub(super) current: Option<(SocketAddr, u8)>,
    /// Datagrams that sent its bill once more.
    pub(super) replays: u32,
    pub(super) replay: Option<Replaying>,
    /// A shard has said that a server acknowledged one.
    pub(super) replay_recorded: bool,
    pub(super) start_answered: bool,
    pub(super) stop_answered: bool,
    stop: Option<(Counters, u32, u32, u32)>,
    /// When the last datagram left.
    left: Mono,
    zero_stops: Vec<SocketAddr>,
    zero_stop_life: u32,
    /// Event time and session time of the last interim, which are one transaction's own.
    interim: Option<(u32, u32)>,
    /// When that was, first of all its datagrams.
    interim_left: Option<Mono>,
    interim_counters: Counters,
    /// What the last interim said that was answered in this life.
    reported: Option<Counters>,
    ticks: Ticks,
    /// The address that the last Start or interim told, and whether it has ever changed.
    framed_ip: Option<u32>,
    has_moved: bool,
    interim_answered: bool,
    /// Interims in a row that were not answered, the last one not among them.
    streak: u32,
    /// The engine may count otherwise: it was restarted, or a reply came as it gave up.
    pub(super) unsure: bool,
    /// The last interim may be one that was tried again.
    may_be_resent: bool,
    /// The last interim that was surely answered.
    pub(super) sure_since: Option<Mono>,
}

impl Sent {
    pub(super) fn anything(&self) -> bool {
        self.starts + self.interims + self.stops > 0 || !self.zero_stops.is_empty()
    }

    /// When the last datagram left.
    pub(super) fn left(&self) -> Mono {
        self.left
    }

    /// The interval is another.
    pub(super) fn forget_phase(&mut self) {
        self.ticks.phases.clear();
    }

    pub(super) fn new_life(&mut self) {
        self.current = None;
        (self.starts_now, self.interims_now, self.stops_now) = (0, 0, 0);
        // A sample is not waited for: before the plane is back, an older one may be all that is known.
        self.interim_counters = Counters::ZERO;
        self.reported = None;
        self.unsure = true;
    }

    /// Interims in a row that were not answered.
    pub(super) fn failures(&self) -> u32 {
        self.streak + u32::from(self.interim.is_some() && !self.interim_answered)
    }
}

/// What is known of the moments at which a session's interims are due.
#[derive(Default)]
struct Ticks {
    /// The interim that follows an acknowledged Start at once has left.
    updated: bool,
    /// Where in the interval they lie. Two places, where a slow disk has held that interim back until the first tick: one of
    /// them is not a tick's.
    phases: Vec<u64>,
}

impl Ticks {
    /// An interim leaves at this place in the interval, nanoseconds; by how much it is late, unless it is in time or may be the
    /// one that follows the Start.
    fn late(&mut self, offset: u64, interval: u64, hash: bool, follows_start: bool) -> Option<u64> {
        const SLACK: u64 = 300_000_000;
        if self.phases.is_empty() {
            self.phases.push(if hash { offset } else { 0 });
        }
        let behind = |phase: u64| (offset + interval - phase) % interval.max(1);
        let is_near = |phase: u64| behind(phase) < SLACK || interval - behind(phase) < SLACK;
        if self.phases.iter().any(|&phase| is_near(phase)) {
            self.phases.retain(|&phase| is_near(phase));
            return None;
        }
        if !follows_start {
            return Some(behind(self.phases[0]));
        }
        self.updated = true;
        if hash {
            self.phases.push(offset);
        }
        None
    }
}

impl Oracle {
    /// A datagram leaves the engine.
    pub(crate) fn leaves(&mut self, now: Now, from: SocketAddr, to: SocketAddr, octets: &[u8], trace: &mut Trace) {
        let datagram = Datagram { from, to, octets: octets.to_vec() };
        if self.probe_leaves(now, from, to, octets, trace)
            || self.announcement_leaves(now, &datagram, trace)
            || self.copy_leaves(now, from, to, octets, trace)
        {
            return;
        }
        let Some(Leaving { packet, said, serial, id }) = self.read_leaving(octets) else { return };
        let key = (from, packet.identifier());
        let word = said.kind();
        trace.say(format_args!("{word} of {id} leaves {}/{} to {to}", key.0.port(), key.1));
        let group = self.group_of(serial);
        let before = self.attempts.get_mut(&key).filter(|attempt| attempt.authenticator == *packet.authenticator());
        let again = before.map(|attempt| (attempt.leaves_again(now.mono, to, octets), attempt.most));
        self.check_interim_is_due(now.mono, serial);
        if let Some((again, most)) = &again {
            self.check_again(again, *most, &id);
        } else {
            self.check_signature(&packet, &said, to, &group, &id);
            self.check_free(now, key, serial, &id);
            match said.status {
                START => {
                    self.check_told(to);
                    self.start_leaves(now, serial, &said, &id);
                }
                INTERIM_UPDATE => self.interim_leaves(now, serial, &said, &id),
                STOP => self.stop_leaves(now, serial, &said, to, &id),
                _ => self.violate("every datagram is an accounting request", id.clone()),
            }
            let is_replay = self.books.get(&serial).is_some_and(|book| book.sent.replay.is_some());
            let timeout = Duration::from_secs(group.timeout_s.into());
            let attempt = Attempt::new(serial, self.lives, to, &packet, now.mono);
            let most = group.retransmit;
            let attempt = Attempt { is_replay, status: said.status, timeout, most, ..attempt };
            self.attempts.insert(key, attempt);
            if let Some(book) = self.books.get_mut(&serial) {
                book.sent.current = Some(key);
            }
        }
        if let Some(book) = self.books.get_mut(&serial) {
            book.sent.left = now.mono;
        }
        // A Start that had no turn yet still has its first datagram.
        let first = self
            .books
            .get(&serial)
            .is_some_and(|book| again.is_none() && said.status == START && book.sent.starts_now == 1);
        if said.status != STOP && !first {
            let down = self.books.get(&serial).and_then(|book| book.closed_polled);
            self.require(down.is_none_or(|down| down >= now.mono), "a Down ends what its Stop will tell", || {
                format!("{word} of {id}")
            });
        }
    }

    /// A datagram is handed to the engine: if it is the genuine answer to something, that is answered.
    pub(crate) fn reply_handed(&mut self, now: Now, datagram: &Datagram) {
        self.announcement_answered(datagram);
        self.copy_reply_handed(now.mono, datagram);
        let Ok(packet) = Packet::parse(&datagram.octets) else { return };
        let secrets = self.secrets_of(datagram.from);
        let Some(attempt) = self.attempts.get_mut(&(datagram.to, packet.identifier())) else { return };
        if attempt.server != datagram.from
            || attempt.life != self.lives
            || packet.code() != Code::ACCOUNTING_RESPONSE
            || !secrets.iter().any(|secret| verify_response(&packet, &attempt.authenticator, secret).is_ok())
        {
            return;
        }
        let late = now.mono >= attempt.last.plus(attempt.timeout);
        let first = attempt.answered.is_none();
        attempt.answered.get_or_insert(now.mono);
        let (serial, status, is_replay) = (attempt.serial, attempt.status, attempt.is_replay);
        let Some(book) = self.books.get_mut(&serial).filter(|_| first) else { return };
        let is_zero = book.start_failed.is_some();
        match status {
            START => book.sent.start_answered = true,
            STOP if is_replay => book.sent.replay.iter_mut().for_each(|replay| replay.answered = true),
            STOP if !is_zero => book.sent.stop_answered = true,
            INTERIM_UPDATE if late => book.sent.unsure = true,
            INTERIM_UPDATE => {
                (book.sent.interim_answered, book.sent.streak) = (true, 0);
                book.sent.reported = Some(book.sent.interim_counters);
                // The answer to one of the queue is none to its failure (owner's decision 5).
                if !book.sent.may_be_resent {
                    (book.sent.unsure, book.sent.sure_since) = (false, Some(now.mono));
                }
            }
            _ => {}
        }
    }

    pub(super) fn group_of(&self, serial: SessionSerial) -> RadiusGroup {
        let name = self.books.get(&serial).map_or("", |book| &book.group);
        self.settings.radius_groups.get(&ObjectName::from(name)).cloned().unwrap_or_default()
    }

    /// Reads a request of a session; `None`, and told, when it is none.
    pub(super) fn read_leaving<'a>(&mut self, octets: &'a [u8]) -> Option<Leaving<'a>> {
        let read = Packet::parse(octets).ok().and_then(|packet| Some((packet, Said::read(&packet)?)));
        let Some((packet, said)) = read else {
            self.violate("every datagram is an accounting request", format!("{octets:?}"));
            return None;
        };
        let id = text(&said.session_id).into_owned();
        let Some(&serial) = self.by_session_id.get(&said.session_id) else {
            self.violate("nothing leaves before `opened` is durable", id);
            return None;
        };
        Some(Leaving { packet, said, serial, id })
    }

    /// A server gets so many transmissions of it.
    pub(super) fn check_again(&mut self, again: &Again, most: u8, id: &str) {
        let Again { is_same, is_due, is_open, count } = *again;
        self.require(is_same, "transmissions to one server are the same octets", || id.to_owned());
        self.require(is_due, "each reply is waited for", || id.to_owned());
        self.require(is_open, "what was answered is not sent again", || id.to_owned());
        self.require(count <= most, "a server gets so many transmissions", || format!("{id}: {count}"));
    }

    fn check_signature(&mut self, packet: &Packet<'_>, said: &Said, to: SocketAddr, group: &RadiusGroup, id: &str) {
        let Some(member) = group.accounting.iter().find(|server| server.address == to) else {
            self.violate("a session reports to its own group", format!("{id} to {to}"));
            return;
        };
        let signed = verify_request(packet, self.secret_of(to)).is_ok();
        let authenticated = said.has_message_authenticator == member.message_authenticator;
        self.require(signed, "every request is signed", || id.to_owned());
        self.require(authenticated, "Message-Authenticator is sent where it is configured", || id.to_owned());
    }

    /// The identifier names nothing else, and the session has nothing else out.
    fn check_free(&mut self, now: Now, key: (SocketAddr, u8), serial: SessionSerial, id: &str) {
        let life = self.lives;
        let free = self.attempts.get(&key).is_none_or(|attempt| attempt.is_free(now.mono, life));
        self.require(free, "an identifier names one request at a time", || format!("{id}, {key:?}"));
        let current = self.books.get(&serial).and_then(|book| book.sent.current);
        let current = current.and_then(|key| self.attempts.get(&key)).filter(|attempt| attempt.serial == serial);
        let ended = current.is_none_or(|attempt| attempt.has_ended(now.mono));
        self.require(ended, "a session has one transaction at a time", || id.to_owned());
    }

    fn start_leaves(&mut self, now: Now, serial: SessionSerial, said: &Said, id: &str) {
        self.check_old_stops(now.mono, serial);
        let boot = self.boots.current();
        let Some(book) = self.books.get_mut(&serial) else { return };
        let is_of_now = book.boot == boot;
        book.sent.starts += 1;
        book.sent.starts_now += 1;
        book.sent.framed_ip = said.framed_ip;
        let opened = book.is_opened_durable();
        // Where accounting goes on without its Start, that may be tried again, after interims as well.
        let kept = book.accepted.is_some_and(|accepted| accepted.fact.keep_accounting);
        let open = (book.accepted.is_none() || kept) && book.start_failed.is_none() && book.sent.stops == 0;
        let ordered = kept || book.sent.interims_now == 0;
        let time = said.event_timestamp == book.opened_at.wall.event_timestamp();
        let delay = self.clock_is_set || u64::from(said.delay_s) == seconds_since(now, book.opened_at);
        let waited = book.has_waited();
        self.require(waited, "a Start waits for both addresses", || id.to_owned());
        self.require(opened, "no Start leaves before `opened` is durable", || id.to_owned());
        self.require(is_of_now, "who ended with the box owes a Stop alone", || id.to_owned());
        self.require(open, "no Start for a session whose Start has ended", || id.to_owned());
        self.require(ordered, "Start, interims, Stop: in this order", || id.to_owned());
        self.require(time && delay, "a request says when it was", || format!("{id}: {said:?}"));
    }

    fn interim_leaves(&mut self, now: Now, serial: SessionSerial, said: &Said, id: &str) {
        let boot = self.boots.current();
        let group = self.group_of(serial);
        let patience = Duration::from_secs(u64::from(group.timeout_s)) * u32::from(group.retransmit);
        let Some(book) = self.books.get_mut(&serial) else { return };
        let is_of_now = book.boot == boot;
        let keeps = book.scheme.start_fail == StartFail::OnlineKeepAccounting;
        let sent = &mut book.sent;
        // While no server is Up a Start fails unsent, and the disk that fails as well tells of it later.
        let started =
            sent.starts > 0 || book.accepted.is_some() || keeps && now.mono >= book.opened_at.mono.plus(patience);
        let ordered = sent.stops == 0 && started;
        let failed = book.start_failed.is_some();
        let truth = &self.incarnations[book.incarnation];
        let monotonic = truth.counters_lost || is_within(&sent.interim_counters, &said.counters);
        let within = is_within(&said.counters, &as_sent(&book.terms, &truth.counted));
        // What was answered does not go on to the next server: it is another one of the same second.
        let again = sent.interim == Some((said.event_timestamp, said.session_time_s)) && !sent.interim_answered;
        sent.interims += 1;
        sent.interims_now += 1;
        sent.interim_counters = said.counters;
        self.require(ordered, "Start, interims, Stop: in this order", || id.to_owned());
        self.require(is_of_now, "who ended with the box owes a Stop alone", || id.to_owned());
        self.require(!failed, "no interims after a failed Start", || id.to_owned());
        self.require(monotonic && within, "interims count up", || format!("{id}: {:?}", said.counters));
        if !again {
            self.interim_begins(now, serial, said, id);
        }
    }

    /// The first datagram of an interim, which is not the same interim on its way to the next server.
    fn interim_begins(&mut self, now: Now, serial: SessionSerial, said: &Said, id: &str) {
        self.check_may_fail(serial);
        let Some(book) = self.books.get_mut(&serial) else { return };
        let group = self.settings.radius_groups.get(&ObjectName::from(book.group.as_str()));
        let resends = group.is_some_and(|group| group.interim_resend > 0);
        let (late, cut) = (book.ordered.is_late(now.mono), book.ordered.cut());
        let is_ordered = book.ordered.reports();
        let sent = &mut book.sent;
        // One that nobody answered may be tried again out of turn, and then it is no other one that fails. So may one that has
        // failed unsent while no server was Up.
        let before = sent.interim_left.replace(now.mono).or(book.accepted.map(|accepted| accepted.fact.at));
        let unsent = self.asked_changed.is_some_and(|at| before.is_none_or(|before| at >= before));
        let unanswered = sent.interim.is_some() && !sent.interim_answered;
        let may_be_resent = resends && (unanswered || unsent);
        sent.unsure |= may_be_resent;
        sent.may_be_resent = may_be_resent;
        sent.streak = sent.failures();
        sent.interim = Some((said.event_timestamp, said.session_time_s));
        sent.interim_answered = false;
        let has_moved = std::mem::replace(&mut sent.framed_ip, said.framed_ip) != said.framed_ip;
        sent.has_moved |= has_moved;
        // A new address is told at once; and once more when a crash came before the ledger had it.
        // So does one that tells of a quota which is used up.
        let truth = &self.incarnations[book.incarnation];
        let tells_quota = truth.quota_out == QuotaAction::SendInterim && truth.limits != Limits::default();
        let at_once =
            may_be_resent || tells_quota || has_moved || is_ordered || sent.has_moved && sent.interims_now == 1;
        self.require(!late, "an interim follows a CoA at once", || id.to_owned());
        self.require(cut.is_none(), "who is cut tells nothing but the Stop", || id.to_owned());
        if at_once {
            return;
        }
        let Some(book) = self.books.get_mut(&serial) else { return };
        let sent = &mut book.sent;
        let Some(accepted) = book.accepted else { return };
        let interval = u64::from(book.interim_s) * 1_000_000_000;
        let after = now.mono.since(accepted.fact.at);
        let early = u128::from(interval) > after.as_nanos();
        // In a coarse unit what was moved may not be seen.
        let in_octets = book.terms.traffic_unit == TrafficUnit::Byte;
        let told = in_octets && book.scheme.interim_traffic && sent.reported == Some(said.counters);
        let offset = u64::try_from(after.as_nanos()).unwrap_or_default() % interval.max(1);
        let follows_start = book.scheme.send_update && !accepted.fact.keep_accounting && !sent.ticks.updated;
        if follows_start && (interval == 0 || early || told) {
            sent.ticks.updated = true;
            return self.require(accepted.durable, "no interim before `accepted` is durable", || id.to_owned());
        }
        let late = sent.ticks.late(offset, interval, book.scheme.interim_hash, follows_start && accepted.durable);
        let punctual = late.is_none() || !self.is_punctual;
        self.require(!early, "the first interim lies in [T, 2T]", || format!("{id} after {after:?}"));
        self.require(!told, "`traffic` tells nothing twice", || format!("{id}: {:?}", said.counters));
        self.require(punctual, "interims keep their phase", || {
            format!("{id}: {} ns of {interval} ns late", late.unwrap_or_default())
        });
    }

    fn stop_leaves(&mut self, now: Now, serial: SessionSerial, said: &Said, to: SocketAddr, id: &str) {
        let Some(book) = self.books.get_mut(&serial) else { return };
        if book.over.is_some() && book.closed.is_none() {
            return self.forced_stop_leaves(serial, said, to, id);
        }
        if book.over.is_some() {
            return self.replay_leaves(now, serial, said, id);
        }
        if let Some(failed) = book.start_failed {
            let first = book.sent.zero_stops.is_empty() || book.sent.zero_stop_life == self.lives;
            let once = first && !book.sent.zero_stops.contains(&to);
            book.sent.zero_stops.push(to);
            book.sent.zero_stop_life = self.lives;
            let zero = said.counters == Counters::ZERO && said.session_time_s == 0;
            self.require(failed.durable, "no zero Stop before `start-failed` is durable", || id.to_owned());
            self.require(zero, "the zero Stop has zero counters", || format!("{id}: {said:?}"));
            self.require(once, "the zero Stop is one transaction", || id.to_owned());
            return;
        }
        book.sent.stops += 1;
        book.sent.stops_now += 1;
        let Some(closed) = book.closed.filter(|closed| closed.durable).map(|closed| closed.fact) else {
            self.violate("no Stop leaves before `closed` is durable", id.to_owned());
            return;
        };
        let says = (said.counters, said.session_time_s, said.event_timestamp, said.cause);
        let before = *book.sent.stop.get_or_insert(says);
        let at = closed.at.wall.event_timestamp();
        let expected = (as_sent(&book.terms, &closed.counters), closed.session_time_s, at, u32::from(closed.cause));
        let since = self.books.get(&serial).map(|book| self.delay_since(now, book, &closed));
        let delay = self.clock_is_set || since == Some(said.delay_s.into());
        self.require(says == before, "every Stop of a session says the same", || format!("{id}: {says:?}, {before:?}"));
        self.require(says == expected, "a Stop says what `closed` says", || format!("{id}: {says:?}, {expected:?}"));
        self.require(delay, "a request says when it was", || format!("{id}: {said:?}"));
    }

    /// Who was refused has one zero Stop where the group says so, when the refusal is durable.
    fn forced_stop_leaves(&mut self, serial: SessionSerial, said: &Said, to: SocketAddr, id: &str) {
        let is_forced = self.group_of(serial).send_force;
        let lives = self.lives;
        let Some(book) = self.books.get_mut(&serial) else { return };
        let is_durable = book.over.is_some_and(|over| over.durable);
        let is_first = book.sent.zero_stops.is_empty() || book.sent.zero_stop_life == lives;
        let is_once = is_first && !book.sent.zero_stops.contains(&to);
        book.sent.zero_stops.push(to);
        book.sent.zero_stop_life = lives;
        let is_zero = said.counters == Counters::ZERO && said.session_time_s == 0;
        self.require(is_forced && is_durable, "who is refused owes no Stop", || id.to_owned());
        self.require(is_zero, "the zero Stop has zero counters", || format!("{id}: {said:?}"));
        self.require(is_once, "the zero Stop is one transaction", || id.to_owned());
    }

    /// A bill is sent once more: what its Stop said, with a delay counted on the wall.
    fn replay_leaves(&mut self, now: Now, serial: SessionSerial, said: &Said, id: &str) {
        let Some(book) = self.books.get_mut(&serial) else { return };
        book.sent.replays += 1;
        let replay = book.sent.replay.as_mut();
        let is_begun = replay.is_some();
        replay.into_iter().for_each(|replay| replay.was_sent = true);
        let Some(closed) = book.closed.map(|closed| closed.fact) else { return };
        let says = (said.counters, said.session_time_s, said.event_timestamp, said.cause);
        let at = closed.at.wall.event_timestamp();
        let expected = (as_sent(&book.terms, &closed.counters), closed.session_time_s, at, u32::from(closed.cause));
        let since = self.books.get(&serial).map(|book| self.delay_since(now, book, &closed));
        let is_near = |since: u64| u64::from(said.delay_s).abs_diff(since) <= 1;
        let delay = self.clock_is_set || since.is_some_and(is_near);
        self.require(is_begun, "what is over stays over", || id.to_owned());
        self.require(says == expected, "a Stop says what `closed` says", || format!("{id}: {says:?}, {expected:?}"));
        self.require(delay, "a request says when it was", || format!("{id}: {said:?}"));
    }
}
