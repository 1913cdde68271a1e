//! What the ledger is told of each session. A fact is *polled* when the shard hands its record out, and durable when
//! the log says so; after a crash only what recovery reads is a fact at all.

use ledger::frame;
use ledger::recover::Recovered;
use model::ids::{BillId, SessionSerial};
use model::record::{Accepted, Bill, Closed, Delivered, Opened, Record, StartFailed, TakenOver, ZeroStop};
use model::settings::PinnedScheme;
use model::time::{Mono, Now};

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
    pub(super) group: String,
    pub(super) interim_s: u32,
    pub(super) opened_at: Now,
    opened_durable: bool,
    pub(super) accepted: Option<Kept<Accepted>>,
    pub(super) start_failed: Option<Kept<StartFailed>>,
    pub(super) closed: Option<Kept<Closed>>,
    /// When `closed` was polled in this life.
    pub(super) closed_polled: Option<Mono>,
    pub(super) over: Option<Kept<Over>>,
    /// In how many lives it was told of.
    pub(super) lives: u32,
    pub(super) sent: Sent,
}

/// What an appended record says, as far as its durability matters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fact {
    Nothing,
    Opened(SessionSerial),
    Accepted(SessionSerial),
    StartFailed(SessionSerial),
    Closed(SessionSerial),
    Over(SessionSerial),
}

impl Book {
    pub(super) fn is_opened_durable(&self) -> bool {
        self.opened_durable
    }

    pub(super) fn is_closed_durable(&self) -> bool {
        self.closed.is_some_and(|closed| closed.durable)
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
            Record::Opened(opened) => self.owed_opened(opened),
            Record::Accepted(accepted) => self.owed_accepted(accepted),
            Record::StartFailed(failed) => {
                if let Some(book) = self.book(failed.serial, "start-failed") {
                    book.start_failed = Some(Kept { fact: *failed, durable: false });
                }
            }
            Record::Closed(closed) => self.owed_closed(closed, now),
            Record::Acknowledged(acknowledged) => self.owed_acknowledged(acknowledged.serial),
            Record::Billed(bill) => self.owed_billed(bill),
            _ => {}
        }
    }

    /// The log took a record.
    pub(crate) fn appended(&mut self, sequence: u64, octets: &[u8]) {
        let fact = frame::decode(octets).map_or(Fact::Nothing, |record| fact_of(&record));
        let expected = self.appended.len() as u64 + 1;
        // The records that recovery carried over, and `started`, were appended by the log itself.
        if sequence > expected {
            self.appended.resize(usize::try_from(sequence - 1).unwrap_or_default(), (Vec::new(), Fact::Nothing));
        }
        self.require(sequence >= expected, "the log numbers records once", || format!("record {sequence}"));
        self.appended.push((octets.to_vec(), fact));
    }

    /// The log announces.
    pub(crate) fn durable_through(&mut self, through: u64) {
        for sequence in self.durable_through..through {
            let index = usize::try_from(sequence).unwrap_or_default();
            if let Some(&(_, fact)) = self.appended.get(index) {
                self.make_durable(fact);
            }
        }
        self.durable_through = self.durable_through.max(through);
    }

    /// A new life has read the store.
    pub(crate) fn recovered(&mut self, recovered: &Recovered<Memory>) {
        self.lives += 1;
        let damaged = recovered.report.is_damaged();
        self.require(!damaged, "a crash damages nothing that was promised", || format!("{:?}", recovered.report));
        let records = &recovered.state.records;
        let read = records.len() as u64;
        let announced = self.durable_through;
        self.require(read >= announced, "what was announced as durable survives", || {
            format!("{announced} records were announced, {read} read")
        });
        for (index, (sequence, octets)) in records.iter().enumerate() {
            let place = *sequence == index as u64 + 1;
            self.require(place, "the log numbers records once", || format!("record {sequence} at {index}"));
            let known = self.appended.get(index).is_none_or(|(known, _)| known.is_empty() || is_same(known, octets));
            self.require(known, "a record is read as it was written", || format!("record {sequence}"));
        }
        self.remember(records);
    }

    /// What recovery told is on the disk again.
    pub(crate) fn settled(&mut self) {}

    /// Takes the records for all that is known.
    fn remember(&mut self, records: &[(u64, Vec<u8>)]) {
        for book in self.books.values_mut() {
            (book.opened_durable, book.accepted, book.start_failed) = (false, None, None);
            (book.closed, book.closed_polled, book.over) = (None, None, None);
        }
        self.appended.clear();
        for (_, octets) in records {
            let Ok(record) = frame::decode(octets) else { continue };
            match &record {
                Record::Opened(opened) => self.owed_opened(opened),
                Record::Accepted(accepted) => self.with(accepted.serial, |book| {
                    book.accepted = Some(Kept { fact: *accepted, durable: true });
                }),
                Record::StartFailed(failed) => self.with(failed.serial, |book| {
                    book.start_failed = Some(Kept { fact: *failed, durable: true });
                }),
                Record::Closed(closed) => self.with(closed.serial, |book| {
                    book.closed = Some(Kept { fact: *closed, durable: true });
                }),
                Record::Acknowledged(over) => self.with(over.serial, |book| {
                    book.over = Some(Kept { fact: Over::Acknowledged, durable: true });
                }),
                Record::Billed(bill) => self.with(bill.opened.serial, |book| {
                    book.over = Some(Kept { fact: over_of(bill), durable: true });
                }),
                _ => {}
            }
            let fact = fact_of(&record);
            self.make_durable(fact);
            self.appended.push((octets.clone(), fact));
        }
        // A session whose `opened` did not survive never was; nothing about it has left.
        let forgotten: Vec<_> =
            self.books.values().filter(|book| !book.opened_durable).map(|book| book.serial).collect();
        for serial in forgotten {
            if let Some(book) = self.books.remove(&serial) {
                let silent = !book.sent.anything();
                self.require(silent, "nothing leaves before `opened` is durable", || {
                    text(&book.session_id).into_owned()
                });
                self.by_session_id.remove(&book.session_id);
            }
        }
        for book in self.books.values_mut().filter(|book| book.over.is_none()) {
            book.lives += 1;
            book.sent.new_life();
        }
        self.forget_newest();
    }

    /// Which session a name means is what the ledger remembers.
    fn forget_newest(&mut self) {
        self.newest.clear();
        let live = self.books.values().filter(|book| book.closed.is_none() && book.over.is_none());
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

    fn make_durable(&mut self, fact: Fact) {
        let keep = |book: &mut Book| match fact {
            Fact::Opened(_) => book.opened_durable = true,
            Fact::Accepted(_) => book.accepted.iter_mut().for_each(|kept| kept.durable = true),
            Fact::StartFailed(_) => book.start_failed.iter_mut().for_each(|kept| kept.durable = true),
            Fact::Closed(_) => book.closed.iter_mut().for_each(|kept| kept.durable = true),
            Fact::Over(_) => book.over.iter_mut().for_each(|kept| kept.durable = true),
            Fact::Nothing => {}
        };
        match fact {
            Fact::Nothing => {}
            Fact::Opened(serial)
            | Fact::Accepted(serial)
            | Fact::StartFailed(serial)
            | Fact::Closed(serial)
            | Fact::Over(serial) => self.with(serial, keep),
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
        if let Some(book) = self.books.get(&serial) {
            let same = book.session_id == session_id && book.scheme == opened.scheme && book.group == opened.group;
            self.require(same, "a session keeps its id and its scheme", || format!("{serial:?}"));
            return;
        }
        let key = (opened.plane.to_owned(), opened.taken_over.plane_epoch, opened.taken_over.position);
        let Some(&incarnation) = self.said.get(&key) else {
            self.violate("a session comes from an Up", format!("{serial:?} from {key:?}"));
            return;
        };
        // Who was refused, and is announced all the same, gets another.
        let other = self.books_of(incarnation).find(|book| book.over.is_none() || book.closed.is_some());
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
            group: opened.group.to_owned(),
            interim_s: opened.interim_s,
            opened_at: opened.at,
            opened_durable: false,
            accepted: None,
            start_failed: None,
            closed: None,
            closed_polled: None,
            over: None,
            lives: 1,
            sent: Sent::default(),
        };
        self.books.insert(serial, book);
    }

    fn owed_accepted(&mut self, accepted: &Accepted) {
        let Some(book) = self.book(accepted.serial, "accepted") else { return };
        book.accepted = Some(Kept { fact: *accepted, durable: false });
        let believed = accepted.keep_accounting || book.sent.start_answered;
        let id = text(&book.session_id).into_owned();
        self.require(believed, "invalid replies change nothing", || format!("the Start of {id}"));
    }

    fn owed_closed(&mut self, closed: &Closed, now: Mono) {
        let Some(book) = self.book(closed.serial, "closed") else { return };
        let same = book.closed.is_none_or(|before| before.fact == *closed);
        (book.closed, book.closed_polled) = (Some(Kept { fact: *closed, durable: false }), Some(now));
        let (incarnation, id) = (book.incarnation, text(&book.session_id).into_owned());
        self.require(same, "a session closes once", || id.clone());
        let plane = format!("vpp{}", self.incarnations[incarnation].plane);
        let event = (plane, closed.taken_over.plane_epoch, closed.taken_over.position);
        if closed.taken_over.plane_epoch != 0 && closed.taken_over.ring & TakenOver::IMPLIED == 0 {
            let meant = self.said.get(&event) == Some(&incarnation);
            self.require(meant, "a Down closes the session that went down", || format!("{id}, #{incarnation}"));
        }
        let truth = &self.incarnations[incarnation];
        let (counted, vanished) = (truth.counted, truth.vanished);
        let exact = !vanished && !truth.counters_lost;
        // Who was refused may be announced again by a ring that is read anew; it leaves as it came, with nothing counted.
        let gone = truth.gone.is_some() || vanished || truth.turned_away;
        let cause = vanished || truth.turned_away || truth.gone.is_none_or(|cause| cause == closed.cause);
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
        let believed = book.closed.is_none() || book.sent.stop_answered;
        let id = text(&book.session_id).into_owned();
        self.require(believed, "invalid replies change nothing", || format!("the Stop of {id}"));
    }

    fn owed_billed(&mut self, bill: &Bill<'_>) {
        let Some(book) = self.book(bill.opened.serial, "billed") else { return };
        book.over = Some(Kept { fact: over_of(bill), durable: false });
        let same = book.closed.is_some_and(|closed| closed.fact == bill.closed)
            && session_id(bill.opened.attributes) == book.session_id;
        let id = text(&book.session_id).into_owned();
        self.require(same, "a bill says what the Stop would have said", || id);
    }
}

/// The same record; a bill's id was given as it was appended.
fn is_same(appended: &[u8], read: &[u8]) -> bool {
    if !frame::is_bill(appended) {
        return appended == read;
    }
    let (mut appended, mut read) = (appended.to_vec(), read.to_vec());
    frame::number_bill(&mut appended, BillId::default());
    frame::number_bill(&mut read, BillId::default());
    appended == read
}

fn fact_of(record: &Record<'_>) -> Fact {
    match record {
        Record::Opened(opened) => Fact::Opened(opened.serial),
        Record::Accepted(accepted) => Fact::Accepted(accepted.serial),
        Record::StartFailed(failed) => Fact::StartFailed(failed.serial),
        Record::Closed(closed) => Fact::Closed(closed.serial),
        Record::Acknowledged(acknowledged) => Fact::Over(acknowledged.serial),
        Record::Billed(bill) => Fact::Over(bill.opened.serial),
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
