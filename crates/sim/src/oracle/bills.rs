//! Where bills go: what was written of them, which files they are in, which are sent once more.

use std::collections::{BTreeMap, BTreeSet};

use ledger::bill::{BillName, Manifest};
use ledger::card::CardFound;
use ledger::frame;
use ledger::keeper::{Alarm, OVERFLOW_MAX, ResetRefused};
use ledger::pool::BillBook;
use ledger::recover::RecoveryError;
use ledger::transfer::Upload;
use ledger::verify::bill_file;
use model::counters::{Counters, Totals};
use model::ids::{BillId, SessionSerial};
use model::record::{Bill, BillStore, Delivered, Departure, Record};

use super::Oracle;
use super::book::{Book, Over};
use crate::driver::{Command, Memory};
use crate::trace::text;

/// What is known of bills.
#[derive(Default)]
pub(super) struct Bills {
    /// The session of every bill that was ever written; it may have been lost unsynced.
    sessions: BTreeMap<BillId, SessionSerial>,
    numbers: BTreeMap<SessionSerial, Vec<BillId>>,
    /// Files that were begun, by name.
    begun: BTreeMap<String, Vec<u8>>,
    /// Files that the server has, by bill; and whether they say that another server may have it.
    delivered: BTreeMap<BillId, Vec<(String, Delivered)>>,
    /// Files that were given up: their bills may go into others.
    abandoned: BTreeSet<String>,
    /// Names of files that were begun, by number.
    names: BTreeMap<u64, String>,
    /// Bills that an operator threw away with the card.
    thrown_away: BTreeSet<BillId>,
    pub(super) tallies: BTreeMap<&'static str, u64>,
}

/// A bill that is sent once more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replaying {
    id: BillId,
    pub(super) was_sent: bool,
    pub(super) answered: bool,
}

/// Where a bill is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Whereabouts {
    pub(super) id: BillId,
    in_pool: bool,
    on_card: bool,
    files: usize,
    /// What the pool or the card says of it, or the last file.
    says: Option<Delivered>,
    pub(super) departed: Option<(BillStore, Departure)>,
}

impl Whereabouts {
    fn is_somewhere(&self) -> bool {
        self.in_pool || self.on_card || self.files > 0 || self.departed.is_some()
    }

    /// It is in one place, and its departure says the same.
    fn is_sound(&self) -> bool {
        self.files <= 1
            && match self.departed {
                // What is in the pool and on the card was cut off while it was moved.
                None => self.in_pool && self.files == 0,
                Some((BillStore::Cache, Departure::Moved)) => !self.in_pool && self.on_card && self.files == 0,
                // The card follows the ledger.
                Some((_, Departure::Transferred)) => !self.in_pool && self.files > 0,
                Some((_, Departure::Replayed | Departure::Dropped)) => {
                    !self.in_pool && !self.on_card && self.files == 0
                }
                Some((BillStore::Cfcard, Departure::Reset)) => !self.in_pool && self.files == 0,
                Some(_) => false,
            }
    }
}

/// The records of one write, by the format that `ledger::segment` describes: two blocks of header before the first
/// batch of a segment; in a batch, 40 octets, and frames of an 8-octet head and a record, padded to words.
fn records_of(write: &[u8]) -> Vec<&[u8]> {
    const MAGIC: &[u8] = b"tgb1";
    let batch = if write.starts_with(MAGIC) { Some(write) } else { write.get(1024..) };
    let Some(batch) = batch.filter(|batch| batch.starts_with(MAGIC)) else { return Vec::new() };
    let count = u32::from_le_bytes([batch[28], batch[29], batch[30], batch[31]]);
    let (mut at, mut records) = (40, Vec::new());
    for _ in 0..count {
        let len = usize::from(u16::from_le_bytes([batch[at], batch[at + 1]]));
        records.push(&batch[at + 8..at + 8 + len]);
        at += (8 + len).next_multiple_of(8);
    }
    records
}

/// The value of a field in a line of a file.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = line.split_once(&format!("\"{name}\":"))?;
    match behind.strip_prefix('"') {
        Some(text) => text.split('"').next(),
        None => behind.split([',', '}']).next(),
    }
}

impl Oracle {
    /// A write to the ledger was asked for.
    pub(crate) fn written(&mut self, write: &[u8]) {
        let records = records_of(write);
        self.written.extend(records.iter().map(|octets| octets.to_vec()));
        for octets in records.into_iter().filter(|octets| frame::is_of_the_book(octets)) {
            let bill = match frame::decode(octets) {
                Ok(Record::Billed(bill)) => bill,
                Ok(Record::TransferBegun(begun)) => {
                    self.bills.names.insert(begun.number, begun.file.to_owned());
                    continue;
                }
                // One whose server has it is told of twice: in the file, and where its bills go then.
                Ok(Record::TransferAbandoned(abandoned)) => {
                    self.bills.abandoned.extend(self.bills.names.get(&abandoned.number).cloned());
                    continue;
                }
                Ok(_) => continue,
                Err(_) => {
                    self.violate("every record is one", format!("{octets:?}"));
                    continue;
                }
            };
            let (id, serial) = (bill.id, bill.opened.serial);
            let known = self.bills.sessions.insert(id, serial);
            self.require(known.is_none_or(|known| known == serial), "a bill's number names one bill", || {
                format!("{id:?}: {known:?} and {serial:?}")
            });
            if known.is_none() {
                self.bills.numbers.entry(serial).or_default().push(id);
                self.tally("bills", 1);
            }
        }
    }

    /// Whether there ever was a bill of this number.
    pub(crate) fn was_written(&self, id: BillId) -> bool {
        self.bills.sessions.contains_key(&id)
    }

    /// The operator hears of something.
    pub(crate) fn alarm(&mut self, alarm: &Alarm) {
        let word = match alarm {
            Alarm::TransferFail { .. } => "alarms: transfer fails",
            Alarm::TransferAbandoned { file, .. } => {
                self.bills.abandoned.insert(file.clone());
                "files abandoned"
            }
            Alarm::CardFailing(_) => "alarms: card fails",
            Alarm::BillUnreadable { .. } => {
                self.require(!self.disk_is_well, "a disk that works is read", || format!("{alarm}"));
                "bills unreadable"
            }
            _ => return,
        };
        self.tally(word, 1);
    }

    /// An operator has typed something.
    pub(crate) fn commanded(&mut self, command: &Command, done: bool) {
        if done {
            self.tally(command.word(), 1);
        }
    }

    /// The card was reset: these bills were on it, and so many were thrown away.
    pub(crate) fn card_reset(&mut self, there: &[BillId], outcome: Result<u64, ResetRefused>) {
        let count = outcome.unwrap_or_default();
        self.require(count <= there.len() as u64, "a reset says how many bills are lost", || {
            format!("{count} of {there:?}")
        });
        if count > 0 {
            self.bills.thrown_away.extend(there);
        }
    }

    /// Bills that went with a reset that nobody asked for.
    pub(super) fn lost_without_order(&self, book: &BillBook) -> Vec<BillId> {
        let resets = book.departures().runs().filter(|run| run.departure == Departure::Reset);
        let ids = resets.flat_map(|run| {
            (run.first.sequence..run.first.sequence + run.count).map(move |sequence| BillId { sequence, ..run.first })
        });
        ids.filter(|id| !self.bills.thrown_away.contains(id)).collect()
    }

    /// Whether a bill that waits says that nobody has it, though a server may, or the bill server in a file that was given
    /// up.
    pub(super) fn hides_a_copy(&self, book: &Book, places: &[Whereabouts]) -> bool {
        let was_sent = book.sent.stops + book.sent.replays > 0;
        let waits = |place: &Whereabouts| {
            let left = place.departed.is_some_and(|way| way != (BillStore::Cache, Departure::Moved));
            (place.in_pool || place.on_card) && !left
        };
        let may_be_there = |place: &Whereabouts| was_sent || self.bills.delivered.contains_key(&place.id);
        places.iter().any(|place| waits(place) && may_be_there(place) && place.says == Some(Delivered::No))
    }

    /// The card was read.
    pub(crate) fn card_read(&mut self, found: &Result<CardFound, RecoveryError>) {
        match found {
            Ok(found) => {
                let damaged = found.report.is_damaged();
                self.require(!damaged, "a crash damages nothing that was promised", || {
                    format!("card: {:?}", found.report)
                });
            }
            Err(error) => self.violate("the card can be read", error.to_string()),
        }
    }

    /// A file leaves for the bill server.
    pub(crate) fn uploads(&mut self, upload: &Upload) {
        let name = &upload.name;
        let known = self.bills.begun.insert(name.clone(), upload.octets.clone());
        let same = known.as_ref().is_none_or(|known| *known == upload.octets);
        self.require(same, "a file's name fixes its octets", || name.clone());
        if known.is_some() {
            self.tally("uploads again", 1);
            return;
        }
        let Ok(manifest) = Manifest::parse(&upload.manifest) else {
            return self.violate("a file has a manifest", name.clone());
        };
        let faults = bill_file(&upload.octets, &manifest).faults;
        self.require(faults.is_empty() && manifest.file == *name, "a file is what its manifest says", || {
            format!("{name}: {faults:?}")
        });
        for line in String::from_utf8_lossy(&upload.octets).lines() {
            let Some((id, _)) = self.read_line(line) else {
                return self.violate("a file says what bills say", format!("{name}: {line}"));
            };
            let replaying = self.bills.sessions.get(&id).and_then(|serial| self.books.get(serial));
            let replaying = replaying.is_some_and(|book| book.sent.replay.is_some());
            self.require(!replaying, "one thing at a time is done to a bill", || format!("{name}: {id:?}"));
        }
    }

    /// One line of a file, if it says what was accounted.
    fn read_line(&self, line: &str) -> Option<(BillId, Delivered)> {
        let id = BillName::parse(field(line, "id")?)?.id;
        let book = self.books.get(self.bills.sessions.get(&id)?)?;
        let closed = book.closed?.fact;
        let number = |name: &str| field(line, name)?.parse::<u64>().ok();
        let totals = |prefix: &str| {
            let number = |name: &str| number(&format!("{prefix}{name}"));
            Some(Totals {
                in_octets: number("in_octets")?,
                in_packets: number("in_packets")?,
                out_octets: number("out_octets")?,
                out_packets: number("out_packets")?,
            })
        };
        let delivered = match field(line, "delivered")? {
            "no" => Delivered::No,
            "unknown" => Delivered::Unknown,
            _ => return None,
        };
        let has_left = book.sent.stops + book.sent.replays > 0;
        let same = field(line, "session")?.as_bytes() == book.session_id
            && Counters { v4: totals("")?, v6: totals("v6_")? } == closed.counters
            && number("session_time")? == u64::from(closed.session_time_s)
            && (delivered == Delivered::Unknown || !has_left);
        same.then_some((id, delivered))
    }

    /// The bill server has a file. `known`: what it had under that name.
    pub(crate) fn delivered(&mut self, upload: &Upload, known: Option<&[u8]>) {
        if let Some(known) = known {
            let same = known == upload.octets;
            return self.require(same, "a file's name fixes its octets", || upload.name.clone());
        }
        self.tally("files delivered", 1);
        for line in String::from_utf8_lossy(&upload.octets).lines() {
            let Some((id, delivered)) = self.read_line(line) else { continue };
            let files = self.bills.delivered.entry(id).or_default();
            files.push((upload.name.clone(), delivered));
            let names = format!("{files:?}");
            let standing = files.iter().filter(|(name, _)| !self.bills.abandoned.contains(name)).count();
            let told = standing <= 1 && (files.len() == 1 || delivered == Delivered::Unknown);
            self.require(told, "a bill is in one file", || format!("{id:?}: {names}"));
        }
    }

    /// A shard takes a bill, to send its Stop once more.
    pub(crate) fn replay_begins(&mut self, id: BillId, bill: &Bill<'_>) {
        self.tally("replays", 1);
        let serial = bill.opened.serial;
        let files = self.bills.delivered.get(&id).map_or(0, Vec::len);
        let known = self.bills.sessions.get(&id) == Some(&serial);
        let same = self.books.get(&serial).is_some_and(|book| self.is_same_end(book, &bill.closed));
        let Some(book) = self.books.get_mut(&serial).filter(|_| known) else {
            return self.violate("a replay is of a bill", format!("{id:?}"));
        };
        let billed = book.over.is_some_and(|over| over.durable && over.fact != Over::Acknowledged);
        let free = book.sent.replay.is_none() && !book.sent.replay_recorded;
        book.sent.replay = Some(Replaying { id, was_sent: false, answered: false });
        let told = files == 0 || bill.delivered == Delivered::Unknown;
        self.require(billed && same, "a replay says what its bill says", || format!("{id:?}"));
        self.require(free && told, "one thing at a time is done to a bill", || format!("{id:?}"));
    }

    /// A shard says what came of it.
    pub(super) fn owed_outcome(&mut self, record: &Record<'_>) {
        let (id, was_sent) = match record {
            Record::Departed(departed) => (departed.bills.ids().next().unwrap_or_default(), None),
            Record::Returned(returned) => (returned.id, Some(returned.was_sent)),
            _ => return,
        };
        let serial = self.bills.sessions.get(&id).copied().unwrap_or_default();
        let Some(book) = self.books.get_mut(&serial) else { return };
        let replay = book.sent.replay.take();
        book.sent.replay_recorded = was_sent.is_none();
        let right = replay.is_some_and(|replay| {
            replay.id == id && was_sent.map_or(replay.answered, |was_sent| was_sent == replay.was_sent)
        });
        self.require(right, "invalid replies change nothing", || format!("replay of {id:?}: {replay:?}, {record:?}"));
        if was_sent.is_none() {
            self.tally("replays acknowledged", 1);
        }
    }

    pub(super) fn tally(&mut self, what: &'static str, more: u64) {
        *self.bills.tallies.entry(what).or_default() += more;
    }

    /// What happened to bills, by kind.
    pub(crate) fn tallies(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.bills.tallies.iter().map(|(what, count)| (*what, *count))
    }

    /// Where a session's bills are: more than one may have been written when the first was lost unsynced.
    pub(super) fn whereabouts(&self, book: &Book, bills: &Found) -> Vec<Whereabouts> {
        let ids = self.bills.numbers.get(&book.serial).into_iter().flatten();
        let all = ids.map(|id| {
            let files = self.bills.delivered.get(id).map_or(&[][..], |files| &files[..]);
            let stored = bills.pool.get(id).or(bills.card.get(id)).copied();
            Whereabouts {
                id: *id,
                in_pool: bills.pool.contains_key(id),
                on_card: bills.card.contains_key(id),
                files: files.iter().filter(|(name, _)| !self.bills.abandoned.contains(name)).count(),
                says: stored.or(files.last().map(|(_, says)| *says)),
                departed: bills.departed.get(id).copied(),
            }
        });
        all.filter(Whereabouts::is_somewhere).collect()
    }

    /// A bill was dropped though something might have taken it: it could not be read.
    pub(super) fn is_dropped_unread(&self, places: &[Whereabouts]) -> bool {
        let dropped = |place: &Whereabouts| place.departed == Some((BillStore::Cache, Departure::Dropped));
        !self.may_drop() && places.iter().any(dropped)
    }

    /// Without a card for what the pool has no room for, or with more bills than pool and card and their overflow take.
    fn may_drop(&self) -> bool {
        self.may_drop || self.bills.numbers.len() > OVERFLOW_MAX
    }

    /// What is wrong with where they are.
    pub(super) fn misplaced(&self, book: &Book, places: &[Whereabouts]) -> Option<String> {
        let [place] = places else { return Some(format!("{}: {places:?}", text(&book.session_id))) };
        let dropped = place.departed == Some((BillStore::Cache, Departure::Dropped));
        let replayed = place.departed == Some((BillStore::Cache, Departure::Replayed));
        // One that a failing disk cannot read is given up when its segment goes, whatever is being done with it.
        let given_up = dropped && !self.disk_is_well && place.files <= 1;
        let right = (place.is_sound() || given_up)
            && (!dropped || self.may_drop() || given_up)
            && replayed == book.sent.replay_recorded;
        (!right).then(|| format!("{}: {place:?}", text(&book.session_id)))
    }

    /// Every durable bill is still told of.
    pub(super) fn check_bills_remembered(&mut self, book: &BillBook) {
        for open in book.transfers() {
            self.bills.abandoned.remove(&open.file);
        }
        let lost = self.lost_without_order(book);
        self.require(lost.is_empty(), "a reset is an operator's", || format!("{lost:?}"));
        let found = Found::new(book, None);
        let in_files = book.transfers().flat_map(|open| open.bills().ids());
        let busy: BTreeSet<BillId> = book.claims().chain(in_files).collect();
        let hiding: Vec<String> = self
            .books
            .values()
            .filter(|book| self.bills.numbers.contains_key(&book.serial))
            .filter(|book| {
                let mut places = self.whereabouts(book, &found);
                places.retain(|place| !busy.contains(&place.id));
                self.hides_a_copy(book, &places)
            })
            .map(|book| text(&book.session_id).into_owned())
            .collect();
        self.require(hiding.is_empty(), "a bill that was sent says so", || hiding.join(", "));
        let lost: Vec<String> = self
            .books
            .values()
            .filter(|book| book.over.is_some_and(|over| over.durable && over.fact != Over::Acknowledged))
            .filter(|book| {
                let places = self.whereabouts(book, &found);
                !places.iter().any(|place| place.in_pool || place.departed.is_some())
            })
            .map(|book| text(&book.session_id).into_owned())
            .collect();
        self.require(lost.is_empty(), "a bill is never forgotten", || lost.join(", "));
    }

    /// A replay's outcome that did not survive is not known.
    pub(super) fn settle_replays(&mut self, memory: &Memory) {
        let departures = memory.replay.book().departures();
        let is_replayed = |id: &BillId| departures.find(*id) == Some((BillStore::Cache, Departure::Replayed));
        for book in self.books.values_mut() {
            let ids = self.bills.numbers.get(&book.serial);
            book.sent.replay = None;
            book.sent.replay_recorded = ids.is_some_and(|ids| ids.iter().any(is_replayed));
        }
    }
}

/// Every bill that a store tells of.
pub(super) struct Found {
    pool: BTreeMap<BillId, Delivered>,
    card: BTreeMap<BillId, Delivered>,
    departed: BTreeMap<BillId, (BillStore, Departure)>,
}

impl Found {
    pub(super) fn new(book: &BillBook, card: Option<&CardFound>) -> Found {
        let pool = book.pool().bills(0).chain(book.pool().unbilled()).map(|bill| (bill.id, bill.delivered));
        let card = card.into_iter().flat_map(CardFound::bills).map(|bill| (bill.id, bill.delivered));
        let mut departed = BTreeMap::new();
        for run in book.departures().runs() {
            let ids = run.first.sequence..run.first.sequence + run.count;
            let way = (run.store, run.departure);
            departed.extend(ids.map(|sequence| (BillId { sequence, ..run.first }, way)));
        }
        Found { pool: pool.collect(), card: card.collect(), departed }
    }

    /// Bills of sessions that nobody has heard of.
    pub(super) fn strangers<'a>(&'a self, oracle: &'a Oracle) -> impl Iterator<Item = BillId> + 'a {
        let ids: BTreeSet<BillId> = self.pool.keys().chain(self.card.keys()).copied().collect();
        ids.into_iter().filter(|id| !oracle.bills.sessions.contains_key(id))
    }
}
