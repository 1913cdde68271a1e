//! What the ledger is told of each session. A fact is *polled* when the shard hands its record out, and durable when
//! the log says so; after a crash only what recovery reads is a fact at all.

use std::net::SocketAddr;
use std::time::Duration;

use ledger::frame;
use ledger::recover::Recovered;
use ledger::replay::LiveSession;
use model::domain::Terms;
use model::event::Access;
use model::ids::SessionSerial;
use model::record::{
    Accepted, Announcement, Bill, BillReason, Checkpointed, Closed, Delivered, Opened, Record, Sampled, StartFailed,
    TakenOver, ZeroStop,
};
use model::settings::{ObjectName, PinnedScheme};
use model::time::{Mono, Now};
use model::verdict::CutBy;

use super::boots::{NAS_REBOOT, Samples, learn};
use super::orders::Ordered;
use super::wire::Sent;
use super::{Oracle, is_within};
use crate::driver::Memory;
use crate::trace::{Trace, text};

/// A fact, and whether it is durable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kept<T> {
    pub(super) fact: T,
    pub(super) durable: bool,
}

/// How a session is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Over {
    Acknowledged,
    Billed { delivered: Delivered, zero_stop: ZeroStop },
}

/// What is known of one session's records.
pub(super) struct Book {
    pub(super) serial: SessionSerial,
    pub(super) incarnation: usize,
    pub(super) session_id: Vec<u8>,
    pub(super) scheme: PinnedScheme,
    pub(super) terms: Terms,
    pub(super) group: String,
    pub(super) domain: ObjectName,
    pub(super) interim_s: u32,
    pub(super) opened_at: Now,
    /// In which boot of the box it came, and in which it ended.
    pub(super) boot: usize,
    pub(super) closed_boot: usize,
    /// In which life it ended.
    closed_life: u32,
    pub(super) samples: Samples,
    opened_durable: bool,
    /// The last recovery told of it.
    opened_read: bool,
    /// Its `opened` record has both an IPv4 and an IPv6 address.
    has_both: Option<Kept<()>>,
    pub(super) accepted: Option<Kept<Accepted>>,
    pub(super) start_failed: Option<Kept<StartFailed>>,
    /// Who has it cut, and whether that is durable.
    pub(super) cut: Option<CutBy>,
    pub(super) cut_durable: bool,
    pub(super) closed: Option<Kept<Closed>>,
    /// When `closed` was polled in this life.
    pub(super) closed_polled: Option<Mono>,
    pub(super) over: Option<Kept<Over>>,
    /// In how many lives it was told of.
    pub(super) lives: u32,
    pub(super) sent: Sent,
    pub(super) ordered: Ordered,
}

/// What an appended record says, as far as its durability matters.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fact {
    Nothing,
    /// And whether both an IPv4 and an IPv6 address are known.
    Opened(SessionSerial, bool),
    Accepted(SessionSerial),
    StartFailed(SessionSerial),
    Closed(SessionSerial),
    Sampled(SessionSerial, Mono, Option<CutBy>),
    SampledMany(Vec<(SessionSerial, Mono)>),
    Over(SessionSerial),
    Announced(SocketAddr, Announcement),
}

impl Book {
    pub(super) fn is_opened_durable(&self) -> bool {
        self.opened_durable
    }

    pub(super) fn is_closed_durable(&self) -> bool {
        self.closed.is_some_and(|closed| closed.durable)
    }

    /// Whether it went while its Start waited for addresses: then nothing is told of it.
    pub(super) fn is_never_begun(&self) -> bool {
        let says_so = self.closed.is_some_and(|closed| closed.fact.cause == 0);
        says_so && self.terms.start_delay.is_some() && !self.sent.anything()
    }

    /// Whether its Start need not wait, or not any more, as a later life would know.
    pub(super) fn has_waited(&self) -> bool {
        let waits = self.terms.start_delay.filter(|delay| delay.user_types.has(Access::Pppoe));
        let has_both = self.has_both.is_some_and(|kept| kept.durable);
        let Some(delay) = waits.filter(|_| !has_both && !self.terms.ipv4_starts) else { return true };
        let end = self.opened_at.mono.plus(Duration::from_secs(delay.seconds.into()));
        !delay.offline && self.samples.latest() >= end
    }

    pub(super) fn is_over_durable(&self) -> bool {
        self.over.is_some_and(|over| over.durable)
    }
}

impl Oracle {
    /// A shard hands out a record.
    pub(crate) fn owed(&mut self, record: &Record<'_>, now: Mono, trace: &mut Trace) {
        let fact = fact_of(record);
        trace.say(format_args!("record {fact:?}"));
        match record {
            Record::Opened(opened) => {
                let is_told_again = self.books.contains_key(&opened.serial);
                self.owed_opened(opened);
                if is_told_again {
                    self.terms_told(opened);
                }
            }
            Record::Checkpointed(Checkpointed { opened, .. }) => {
                self.with(opened.serial, |book| book.ordered.checkpointed(opened));
            }
            Record::Accepted(accepted) => self.owed_accepted(accepted),
            Record::StartFailed(failed) => {
                if let Some(book) = self.book(failed.serial, "start-failed") {
                    book.start_failed = Some(Kept { fact: *failed, durable: false });
                }
            }
            Record::Sampled(sampled) => {
                self.check_disconnect(sampled.serial, sampled.cut);
                self.owed_sampled(sampled, now);
            }
            Record::SampledMany(samples) => samples.iter().for_each(|sampled| {
                self.check_told_together(&sampled);
                self.owed_sampled(&sampled, now);
            }),
            Record::Announced(announced) => self.owed_announced(announced),
            Record::Closed(closed) => {
                self.check_interim_was_due(closed);
                self.owed_closed(closed, now);
            }
            Record::Acknowledged(acknowledged) => self.owed_acknowledged(acknowledged.serial),
            Record::Billed(bill) => self.owed_billed(bill),
            Record::Departed(_) | Record::Returned(_) => self.owed_outcome(record),
            _ => {}
        }
    }

    /// The log took a record of a shard.
    pub(crate) fn appended(&mut self, source: u16, octets: &[u8]) {
        let fact = frame::decode(octets).map_or(Fact::Nothing, |record| fact_of(&record));
        let source = usize::from(source);
        self.appended.resize_with(self.appended.len().max(source + 1), Default::default);
        self.appended[source].0.push(fact);
    }

    /// The log announces, in a shard's own numbers.
    pub(crate) fn durable_through(&mut self, source: u16, through: u64) {
        let through = usize::try_from(through).unwrap_or(usize::MAX);
        let Some((facts, announced)) = self.appended.get_mut(usize::from(source)) else {
            return self.require(through == 0, "what is durable was appended", || format!("{through} of {source}"));
        };
        let (count, before) = (facts.len(), *announced);
        let new: Vec<Fact> = facts.iter().take(through).skip(before).cloned().collect();
        *announced = through.max(before);
        new.iter().for_each(|fact| self.make_durable(fact));
        self.require(through <= count && through >= before, "what is durable was appended", || {
            format!("{through} after {before} of {count}, shard {source}")
        });
    }

    /// A new life has read the store.
    pub(crate) fn recovered(&mut self, recovered: &Recovered<Memory>) {
        self.lives += 1;
        self.probes.new_life();
        self.copies.new_life(self.lives);
        let damaged = recovered.report.is_damaged();
        self.require(!damaged, "a crash damages nothing that was promised", || format!("{:?}", recovered.report));
        let unknown = recovered.state.replay.unknown_sessions();
        self.require(unknown == 0, "nothing is forgotten before its session was written again", || {
            format!("{unknown} records of unknown sessions")
        });
        let records = &recovered.state.records;
        for pair in records.windows(2) {
            self.require(pair[0].0 + 1 == pair[1].0, "the log numbers records once", || {
                format!("record {} after {}", pair[1].0, pair[0].0)
            });
        }
        for (sequence, octets) in records {
            let known = self.read.get(sequence).is_none_or(|known| known == octets);
            self.require(known, "a record is read as it was", || format!("record {sequence}"));
            let was_written = self.written.contains(octets);
            self.require(was_written, "what is read was written", || format!("record {sequence}: {octets:?}"));
        }
        self.remember(records);
        self.settle_replays(&recovered.state);
        self.check_memory(&recovered.state);
        self.check_samples(&recovered.state);
        self.check_bills_remembered(recovered.state.replay.book());
        self.just_read = records.iter().cloned().collect();
    }

    /// What recovery told is on the disk for certain: before, another record might have come in the place of one.
    pub(crate) fn settled(&mut self) {
        self.read = std::mem::take(&mut self.just_read);
        for book in self.books.values_mut() {
            book.opened_durable = true;
            book.has_both.iter_mut().for_each(|kept| kept.durable = true);
            book.accepted.iter_mut().for_each(|kept| kept.durable = true);
            book.start_failed.iter_mut().for_each(|kept| kept.durable = true);
            book.closed.iter_mut().for_each(|kept| kept.durable = true);
            book.cut_durable = book.cut.is_some();
            book.over.iter_mut().for_each(|kept| kept.durable = true);
            book.ordered.settled();
        }
    }

    /// Forgets what was never durable, and takes the records for the rest.
    fn remember(&mut self, records: &[(u64, Vec<u8>)]) {
        for book in self.books.values_mut() {
            book.has_both = book.has_both.filter(|kept| kept.durable);
            book.accepted = book.accepted.filter(|kept| kept.durable);
            book.start_failed = book.start_failed.filter(|kept| kept.durable);
            book.closed = book.closed.filter(|kept| kept.durable);
            book.cut = book.cut.filter(|_| book.cut_durable);
            book.over = book.over.filter(|kept| kept.durable);
            (book.closed_polled, book.opened_read) = (None, false);
            book.samples.forget();
        }
        self.appended.clear();
        for (_, octets) in records {
            if let Ok(record) = frame::decode(octets) {
                self.remember_record(&record);
            }
        }
        // A session whose `opened` did not survive never was; nothing about it has left.
        let forgotten: Vec<_> = self
            .books
            .values()
            .filter(|book| !book.opened_durable && !book.opened_read)
            .map(|book| book.serial)
            .collect();
        for serial in forgotten {
            if let Some(book) = self.books.remove(&serial) {
                let silent = !book.sent.anything();
                self.require(silent, "nothing leaves before `opened` is durable", || {
                    text(&book.session_id).into_owned()
                });
                self.by_session_id.remove(&book.session_id);
            }
        }
        let mut wrong = None;
        for book in self.books.values_mut() {
            match book.ordered.begin_life() {
                Ok(interim_s) => book.interim_s = interim_s,
                Err(told) => _ = wrong.get_or_insert(format!("{}: {told}", text(&book.session_id))),
            }
            if book.over.is_none() {
                book.lives += 1;
                book.sent.new_life();
            }
            book.sent.current = None;
        }
        self.require(wrong.is_none(), "what was changed stays changed", || wrong.unwrap_or_default());
        self.forget_newest();
    }

    /// What was read is durable when it stands on the disk again.
    fn remember_record(&mut self, record: &Record<'_>) {
        match record {
            Record::Opened(opened) => {
                self.owed_opened(opened);
                self.with(opened.serial, |book| {
                    book.opened_read = true;
                    book.ordered.read(opened);
                    learn(&mut book.samples, record);
                });
            }
            Record::Sampled(sampled) => self.with(sampled.serial, |book| {
                learn(&mut book.samples, record);
                book.cut = sampled.cut.or(book.cut);
            }),
            Record::SampledMany(samples) => samples.iter().for_each(|sampled| {
                self.with(sampled.serial, |book| learn(&mut book.samples, &Record::Sampled(sampled)));
            }),
            Record::Checkpointed(checkpointed) => {
                let Checkpointed { opened, accepted, start_failed, sampled, closed } = checkpointed;
                self.owed_opened(opened);
                self.with(opened.serial, |book| {
                    book.opened_read = true;
                    book.ordered.read(opened);
                    learn(&mut book.samples, record);
                    book.cut = sampled.and_then(|sampled| sampled.cut).or(book.cut);
                    accepted.iter().for_each(|fact| read(&mut book.accepted, *fact));
                    start_failed.iter().for_each(|fact| read(&mut book.start_failed, *fact));
                    closed.iter().for_each(|fact| read(&mut book.closed, *fact));
                });
            }
            Record::Accepted(accepted) => self.with(accepted.serial, |book| read(&mut book.accepted, *accepted)),
            Record::StartFailed(failed) => self.with(failed.serial, |book| read(&mut book.start_failed, *failed)),
            Record::Closed(closed) => self.with(closed.serial, |book| read(&mut book.closed, *closed)),
            Record::Acknowledged(over) => self.with(over.serial, |book| read(&mut book.over, Over::Acknowledged)),
            Record::Billed(bill) => self.with(bill.opened.serial, |book| {
                // A bill that is told again may say `unknown` by now.
                if book.over.is_none_or(|over| over.fact == Over::Acknowledged) {
                    read(&mut book.over, over_of(bill));
                }
            }),
            _ => {}
        }
    }

    /// A new life knows every session that lives, and what was durable of it; and no other.
    fn check_memory(&mut self, memory: &Memory) {
        let mut wrong = None;
        let mut known = 0;
        for LiveSession { whole: session, .. } in memory.replay.sessions() {
            let serial = session.opened.serial;
            let Some(book) = self.books.get(&serial) else {
                wrong.get_or_insert((serial, "nobody knows it".to_owned()));
                continue;
            };
            known += 1;
            let facts = (
                book.accepted.map(|kept| kept.fact),
                book.start_failed.map(|kept| kept.fact),
                book.closed.map(|kept| kept.fact),
            );
            let told = (session.accepted, session.start_failed, session.closed);
            if book.over.is_some() {
                wrong.get_or_insert((serial, format!("{}: is over, and lives", text(&book.session_id))));
            } else if facts != told || session_id(session.opened.attributes) != book.session_id {
                let id = text(&book.session_id);
                wrong.get_or_insert((serial, format!("{id}: {facts:?} was durable, {told:?} is known")));
            }
        }
        let living = self.books.values().filter(|book| book.over.is_none()).count();
        if living != known {
            wrong.get_or_insert((SessionSerial::default(), format!("{living} sessions live, {known} are known")));
        }
        self.require(wrong.is_none(), "a new life knows what was durable", || format!("{wrong:?}"));
    }

    /// Which session a name means is what the ledger remembers.
    fn forget_newest(&mut self) {
        self.newest.clear();
        let boot = self.boots.current();
        let is_live = |book: &&Book| book.boot == boot && book.closed.is_none() && book.over.is_none();
        let live = self.books.values().filter(is_live);
        for book in live {
            let truth = &self.incarnations[book.incarnation];
            let newest = self.newest.entry((truth.plane, truth.name.clone())).or_default();
            *newest = (*newest).max(book.incarnation);
        }
    }

    fn with(&mut self, serial: SessionSerial, change: impl FnOnce(&mut Book)) {
        if let Some(book) = self.books.get_mut(&serial) {
            change(book);
        }
    }

    fn make_durable(&mut self, fact: &Fact) {
        let keep = |book: &mut Book| match fact {
            Fact::Opened(_, has_both) => {
                book.opened_durable = true;
                book.has_both =
                    book.has_both.map(|Kept { fact, durable }| Kept { fact, durable: durable || *has_both });
                book.ordered.make_durable();
            }
            Fact::Accepted(_) => book.accepted.iter_mut().for_each(|kept| kept.durable = true),
            Fact::StartFailed(_) => book.start_failed.iter_mut().for_each(|kept| kept.durable = true),
            Fact::Closed(_) => book.closed.iter_mut().for_each(|kept| kept.durable = true),
            Fact::Over(_) => book.over.iter_mut().for_each(|kept| kept.durable = true),
            Fact::Sampled(_, at, cut) => {
                book.samples.make_durable(*at);
                book.cut_durable |= cut.is_some();
            }
            Fact::Nothing | Fact::SampledMany(_) | Fact::Announced(..) => {}
        };
        match fact {
            Fact::Nothing => {}
            Fact::Announced(server, state) => self.announcing.make_durable(*server, *state),
            Fact::SampledMany(samples) => {
                for (serial, at) in samples {
                    self.with(*serial, |book| book.samples.make_durable(*at));
                }
            }
            Fact::Opened(serial, _)
            | Fact::Accepted(serial)
            | Fact::StartFailed(serial)
            | Fact::Closed(serial)
            | Fact::Sampled(serial, ..)
            | Fact::Over(serial) => self.with(*serial, keep),
        }
    }

    fn book(&mut self, serial: SessionSerial, record: &str) -> Option<&mut Book> {
        let known = self.books.contains_key(&serial);
        self.require(known, "`opened` comes first", || format!("{record} of {serial:?}"));
        self.books.get_mut(&serial)
    }

    fn owed_opened(&mut self, opened: &Opened<'_>) {
        let serial = opened.serial;
        let session_id = session_id(opened.attributes);
        let both = has_both(opened.attributes).then_some(Kept { fact: (), durable: false });
        if let Some(book) = self.books.get_mut(&serial) {
            book.has_both = book.has_both.or(both);
            let same = book.session_id == session_id && book.scheme == opened.scheme && book.group == opened.group;
            let same = same && book.terms == opened.terms;
            self.require(same, "a session keeps its id and its scheme", || format!("{serial:?}"));
            return;
        }
        let key = (opened.plane.to_owned(), opened.taken_over.plane_epoch, opened.taken_over.position);
        let Some(&incarnation) = self.said.get(&key) else {
            self.violate("a session comes from an Up", format!("{serial:?} from {key:?}"));
            return;
        };
        // Who was refused, and is announced all the same, gets another. So does who stays in spite of a cut when the life that
        // waited for the Down is over, or those counters are.
        let truth = &self.incarnations[incarnation];
        let is_known = |book: &&Book| {
            let has_stayed = truth.stays && book.cut.is_some() && book.closed.is_some();
            let is_forgotten = has_stayed && (book.closed_life < self.lives || truth.counters_lost);
            !is_forgotten && (book.over.is_none() || book.closed.is_some())
        };
        let other = self.books_of(incarnation).find(is_known);
        let other = other.map(|book| text(&book.session_id).into_owned());
        self.require(other.is_none(), "never two ids for one session", || {
            format!("#{incarnation} is {other:?} and {}", text(&session_id))
        });
        let unique = self.by_session_id.insert(session_id.clone(), serial).is_none();
        self.require(unique, "an Acct-Session-Id never repeats", || text(&session_id).into_owned());
        let book = Book {
            serial,
            incarnation,
            session_id,
            scheme: opened.scheme,
            terms: opened.terms,
            group: opened.group.to_owned(),
            domain: ObjectName::from(opened.domain),
            interim_s: opened.interim_s,
            opened_at: opened.at,
            boot: self.boots.current(),
            closed_boot: self.boots.current(),
            closed_life: self.lives,
            samples: Samples::default(),
            opened_durable: false,
            opened_read: false,
            has_both: both,
            accepted: None,
            start_failed: None,
            cut: None,
            cut_durable: false,
            closed: None,
            closed_polled: None,
            over: None,
            lives: 1,
            sent: Sent::default(),
            ordered: Ordered::new(opened),
        };
        self.books.insert(serial, book);
        self.by_incarnation.entry(incarnation).or_default().insert(serial);
    }

    fn owed_accepted(&mut self, accepted: &Accepted) {
        let Some(book) = self.book(accepted.serial, "accepted") else { return };
        book.accepted = Some(Kept { fact: *accepted, durable: false });
        let believed = accepted.keep_accounting || book.sent.start_answered;
        let id = text(&book.session_id).into_owned();
        self.require(believed, "invalid replies change nothing", || format!("the Start of {id}"));
    }

    /// Nobody waits for a sample that is told with others: it is of one that is known, is not over, and is not cut.
    fn check_told_together(&mut self, sampled: &Sampled) {
        let book = self.books.get(&sampled.serial);
        let is_plain = book.is_some_and(|book| book.over.is_none() && book.cut.is_none());
        self.require(is_plain, "what is told together is of sessions that live", || format!("{sampled:?}"));
        self.tally("told together", 1);
    }

    /// A cut at the end of a time comes no sooner.
    fn owed_sampled(&mut self, sampled: &Sampled, now: Mono) {
        let Some(book) = self.books.get_mut(&sampled.serial) else { return };
        book.cut = sampled.cut;
        let limits = self.incarnations[book.incarnation].limits;
        let lasted = now.since(book.opened_at.mono).as_secs();
        let early = sampled.cut == Some(CutBy::SessionTimeout)
            && limits.session_timeout.is_none_or(|timeout| lasted < u64::from(timeout));
        self.require(!early, "a Session-Timeout is waited for", || format!("{:?} after {lasted} s", sampled.serial));
    }

    fn owed_closed(&mut self, closed: &Closed, now: Mono) {
        let (boot, life) = (self.boots.current(), self.lives);
        let Some(book) = self.book(closed.serial, "closed") else { return };
        (book.closed_boot, book.closed_life) = (boot, life);
        let same = book.closed.is_none_or(|before| before.fact == *closed);
        (book.closed, book.closed_polled) = (Some(Kept { fact: *closed, durable: false }), Some(now));
        let (incarnation, id) = (book.incarnation, text(&book.session_id).into_owned());
        self.require(same, "a session closes once", || id.clone());
        let book = &self.books[&closed.serial];
        let (ordered_cut, is_late) = (book.ordered.cut(), book.ordered.is_late(now));
        self.require(!is_late, "an interim follows a CoA at once", || id.clone());
        let book = &self.books[&closed.serial];
        let (cut, never_begun) = (book.cut, book.is_never_begun());
        let has_begun = book.has_both.is_some() || book.has_waited();
        self.require(never_begun || has_begun, "who waits and goes is not accounted for", || id.clone());
        let book = &self.books[&closed.serial];
        if book.boot != boot || closed.cause == NAS_REBOOT {
            let right = book.boot != boot
                && self.ends_with_box(book, closed)
                && is_within(&closed.counters, &self.incarnations[incarnation].counted);
            let samples = book.samples;
            self.require(right, "who was online ends with the box as the ledger knows it", || {
                format!("{id}, #{incarnation}: {closed:?}, {samples:?}")
            });
            return self.tally("closed by a reboot", 1);
        }
        let plane = format!("vpp{}", self.incarnations[incarnation].plane);
        let event = (plane, closed.taken_over.plane_epoch, closed.taken_over.position);
        if closed.taken_over.plane_epoch != 0 && closed.taken_over.ring & TakenOver::IMPLIED == 0 {
            let meant = self.said.get(&event) == Some(&incarnation);
            self.require(meant, "a Down closes the session that went down", || format!("{id}, #{incarnation}"));
        }
        let truth = &self.incarnations[incarnation];
        let (counted, vanished) = (truth.counted, truth.vanished);
        // A plane that says nothing of whom it was to cut is not waited for; nor one whose Down lies in the ring unread while the
        // ledger takes nothing more.
        let is_told = closed.taken_over.plane_epoch != 0 && closed.taken_over.ring & TakenOver::GONE == 0;
        let exact = !vanished && !truth.counters_lost && truth.gone.is_some() && (cut.is_none() || is_told);
        // Who was refused may be announced again by a ring that is read anew; it leaves as it came, with nothing counted.
        let gone = truth.gone.is_some() || vanished || truth.turned_away || cut.is_some();
        let cause = match cut {
            Some(by) => closed.cause == by.terminate_cause() || never_begun,
            None if closed.cause == 0 => never_begun,
            None => vanished || truth.turned_away || truth.gone.is_none_or(|cause| cause == closed.cause),
        };
        let promised = ordered_cut.is_none_or(|by| closed.cause == by.terminate_cause() || never_begun);
        self.require(promised, "a Disconnect-ACK is kept", || format!("{id}: {}", closed.cause));
        self.require(gone, "who is online stays online", || format!("{id}, #{incarnation}, cause {}", closed.cause));
        self.require(cause, "a Stop says why", || format!("{id}: {}", closed.cause));
        let right = if exact { closed.counters == counted } else { is_within(&closed.counters, &counted) };
        self.require(right, "totals are what the plane counted", || {
            format!("{id}, #{incarnation}: {:?}, counted {counted:?}", closed.counters)
        });
    }

    fn owed_acknowledged(&mut self, serial: SessionSerial) {
        let Some(book) = self.book(serial, "acknowledged") else { return };
        book.over = Some(Kept { fact: Over::Acknowledged, durable: false });
        let believed = book.closed.is_none() || book.sent.stop_answered || book.is_never_begun();
        let id = text(&book.session_id).into_owned();
        self.require(believed, "invalid replies change nothing", || format!("the Stop of {id}"));
    }

    fn owed_billed(&mut self, bill: &Bill<'_>) {
        let Some(book) = self.book(bill.opened.serial, "billed") else { return };
        book.over = Some(Kept { fact: over_of(bill), durable: false });
        let same = session_id(bill.opened.attributes) == book.session_id;
        let says_why = match (book.start_failed, bill.closed.cause) {
            (Some(_), _) => bill.reason == BillReason::StartFailed,
            (None, NAS_REBOOT) => bill.reason == BillReason::Rebooted,
            // The queue is too small for everybody.
            (None, _) => matches!(bill.reason, BillReason::StopUnanswered | BillReason::QueueDropped),
        };
        let (serial, id) = (book.serial, text(&book.session_id).into_owned());
        let same = same && self.books.get(&serial).is_some_and(|book| self.is_same_end(book, &bill.closed));
        self.require(same, "a bill says what the Stop would have said", || id.clone());
        self.require(says_why, "a bill says why it was made", || format!("{id}: {:?}", bill.reason));
    }
}

/// A fact is read again.
fn read<T: Copy + PartialEq>(kept: &mut Option<Kept<T>>, fact: T) {
    let durable = kept.is_some_and(|known| known.durable && known.fact == fact);
    *kept = Some(Kept { fact, durable });
}

fn fact_of(record: &Record<'_>) -> Fact {
    match record {
        Record::Opened(opened) => Fact::Opened(opened.serial, has_both(opened.attributes)),
        Record::Accepted(accepted) => Fact::Accepted(accepted.serial),
        Record::StartFailed(failed) => Fact::StartFailed(failed.serial),
        Record::Closed(closed) => Fact::Closed(closed.serial),
        Record::Sampled(sampled) => Fact::Sampled(sampled.serial, sampled.at, sampled.cut),
        Record::SampledMany(samples) => {
            Fact::SampledMany(samples.iter().map(|sampled| (sampled.serial, sampled.at)).collect())
        }
        Record::Acknowledged(acknowledged) => Fact::Over(acknowledged.serial),
        Record::Billed(bill) => Fact::Over(bill.opened.serial),
        Record::Announced(announced) => Fact::Announced(announced.server.address, announced.state),
        _ => Fact::Nothing,
    }
}

fn over_of(bill: &Bill<'_>) -> Over {
    Over::Billed { delivered: bill.delivered, zero_stop: bill.zero_stop }
}

fn session_id(attributes: &[u8]) -> Vec<u8> {
    use wire::radius::attribute::{Attributes, Type};
    let mut found = Attributes::of_run(attributes).filter(|attribute| attribute.kind == Type::ACCT_SESSION_ID);
    found.next().map(|attribute| attribute.value.to_vec()).unwrap_or_default()
}

fn has_both(attributes: &[u8]) -> bool {
    use wire::radius::attribute::{Attributes, Type};
    let has = |kind| Attributes::of_run(attributes).any(|attribute| attribute.kind == kind);
    has(Type::FRAMED_IP_ADDRESS) && has(Type::FRAMED_IPV6_ADDRESS)
}
