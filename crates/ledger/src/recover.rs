//! What a store says after a crash. Nothing is appended before it was read: only [`Recovery::finish`] makes a
//! [`LogStart`], and only that makes a [`Log`].
//!
//! Segments come in the order of their numbers, each whole; records go to a [`RecordSink`] in the order of their
//! sequence numbers. Whatever is not as it should be is a [`Finding`], and every finding is one of these cases:
//!
//! | case | what is met | what causes it | what is kept |
//! |---|---|---|---|
//! | **A** clean end | zeros, or the segment's end, after a whole batch | any stop between two writes | everything |
//! | **B** torn tail | blocks of zeros inside the last batch, and nothing valid after it | a power cut during a write: the batch was never promised | its frames before the first missing one |
//! | **C** hole | zeros, and valid batches after them | a disk that acknowledged a sync it had not done | everything around the hole |
//! | **D** damage | octets whose checksum is wrong, and no torn write explains them; a batch that was written again without them | rot, a bad block, a foreign hand; a file cut short | every frame whose own checksum is right |
//! | **E** foreign | a segment of another store, another number, an older epoch, another past; a number that no log comes to | a directory put together from two; a file of that name | nothing; the file stays |
//! | **F** missing | sequence numbers that no segment has, after a clean end or from the base on | a lost or deleted file | everything else |
//! | **G** header | one copy of a segment's header, or both, unreadable, and batches behind | rot; a torn first write | everything; the oldest segment of all needs one copy |
//! | **H** again | a segment that begins with the last batch of the one before | a failed sync; every restart | the later copy; what it lacks from the earlier |
//! | **I** unused | a segment of zeros | it was made ahead of its need | nothing to keep; its number is used again |
//! | **J** undecodable | a record that is not one though its checksum is right | a fault of ours | every other record |
//!
//! C, D, E, F and J are damage ([`RecoveryReport::is_damaged`]); the number of records lost to each is exact where a
//! later record exists. They are named at every recovery that meets them, and their segments stay as they are: a damaged one
//! until nobody needs what is left in it, a foreign one until its neighbours go; then the file is renamed, not removed. A record
//! of another release is none of these: recovery refuses the store, for what it cannot read it would forget.
//!
//! [`Recovered::segments`] names the segments that are the store's own. Only they may say where a store's records begin: a
//! foreign header's numbers mean nothing here.
//!
//! **The last batch is never trusted.** The next batch is written only after a batch's sync, so every batch but the last
//! is known to be on the disk. The last may be in the page cache only: the process may have been killed between
//! write and sync, or after a sync that failed. So its records are *carried*: they are taken for true, and the new
//! life writes them again, with the same sequence numbers, to a new segment, before anything else. Nothing is ever
//! appended to a segment of an earlier life. What cannot be read of it is not carried, and the records behind it move up; if that
//! is damage, the first copy tells it at every later start as well.
//!
//! **The base.** Segments are deleted oldest first, up to the record that anybody still needs; each new segment's header
//! tells which one that is. So a store may begin anywhere up to the base of its newest header, and nothing is missing;
//! it begins later, and what lies between is case F, to the record. Within the store every number counts as before.
//!
//! **What is checked, and when.** A record that recovery hands on decodes: `frame::check` gives the verdict of
//! `frame::decode` on each, so case J is found here and not when a session is handed out. The records of which there are
//! millions are judged by their lengths and the few octets that can be wrong, and decoded when somebody looks at them.
//!
//! **With two threads.** Most of the time goes into checksums, which nothing depends on but the octets themselves: a
//! [`CheckedSegment`] has them computed ahead, wherever the caller likes, and [`Recovery::checked_segment`] takes it in.
//!
//! Memory: one batch, beside what the sink keeps.

mod checked;
mod scan;
mod tail;

use model::record::{Record, Started};
use model::time::Now;

use self::checked::Segment;
use self::scan::Stopped;
use self::tail::Tail;
use crate::frame::{self, DecodeError};
use crate::log::{Beginning, Log, LogBounds};
use crate::segment::{NUMBER_END, Place, SEGMENT_FIRST, Span, StoreId};

pub use self::checked::CheckedSegment;
pub use self::tail::Stored;

/// An engine start has a number of at most six hex digits (BEHAVIOUR.md 8.2).
pub const EPOCH_MAX: u32 = 0xFF_FFFF;

/// Takes records as they are read.
pub trait RecordSink {
    /// One record: its sequence number, where it stands, what it says, and the octets that say so.
    fn record(&mut self, sequence: u64, place: Place, record: &Record<'_>, octets: &[u8]);

    /// Those of one batch. What is here hands them to [`record`](RecordSink::record) one by one; who has no need of every
    /// record decoded overrides it.
    fn records(&mut self, batch: &RecordBatch<'_>) {
        for Stored { sequence, place, octets } in batch.iter() {
            if let Ok(record) = frame::decode(octets) {
                self.record(sequence, place, &record, octets);
            }
        }
    }

    /// Memory as long as a segment, whose octets nobody needs any more, for the sink to keep records in. What it has no need of
    /// comes back; here that is all.
    fn take_memory(&mut self, memory: Vec<u8>) -> Option<Vec<u8>> {
        Some(memory)
    }
}

/// The records of one batch. Each was checked, none was decoded.
pub struct RecordBatch<'a> {
    tail: &'a Tail<'a>,
    life: Option<&'a Started>,
}

impl RecordBatch<'_> {
    /// Each, in the order of their sequence numbers.
    pub fn iter(&self) -> impl Iterator<Item = Stored<'_>> + Clone {
        self.tail.stored()
    }

    /// The engine start in whose life they were written first; `None`: not known. It says which clock their [`Mono`] moments
    /// are of.
    ///
    /// [`Mono`]: model::time::Mono
    pub fn life(&self) -> Option<&Started> {
        self.life
    }
}

/// The letters of the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Case {
    /// A
    CleanEnd,
    /// B
    TornTail,
    /// C
    Hole,
    /// D
    Damage,
    /// E
    Foreign,
    /// F
    Missing,
    /// G
    Header,
    /// H
    Again,
    /// I
    Unused,
    /// J
    Undecodable,
}

impl Case {
    /// The letter in the table.
    pub const fn letter(self) -> char {
        match self {
            Case::CleanEnd => 'A',
            Case::TornTail => 'B',
            Case::Hole => 'C',
            Case::Damage => 'D',
            Case::Foreign => 'E',
            Case::Missing => 'F',
            Case::Header => 'G',
            Case::Again => 'H',
            Case::Unused => 'I',
            Case::Undecodable => 'J',
        }
    }

    /// Whether the store is not what was promised.
    pub const fn is_damage(self) -> bool {
        match self {
            Case::Hole | Case::Damage | Case::Foreign | Case::Missing | Case::Undecodable => true,
            Case::CleanEnd | Case::TornTail | Case::Header | Case::Again | Case::Unused => false,
        }
    }
}

/// One case met, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub case: Case,
    /// The segment's number.
    pub segment: u64,
    /// The first octet in it.
    pub offset: u64,
    /// How many octets.
    pub len: u64,
    /// Records that were promised and are gone, as far as can be known.
    pub records_lost: u64,
}

/// What recovery met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments handed in.
    pub segments: u64,
    /// Records given to the sink.
    pub records: u64,
    /// Records that were promised and are gone, as far as can be known.
    pub records_lost: u64,
    /// Every case met, in order of place.
    pub findings: Vec<Finding>,
}

impl RecoveryReport {
    /// Whether the store is not what was promised.
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| finding.case.is_damage())
    }

    /// The numbers of the segments that have some damage.
    pub fn damaged_segments(&self) -> Vec<u64> {
        self.findings.iter().filter(|finding| finding.case.is_damage()).map(|finding| finding.segment).collect()
    }

    fn add(&mut self, finding: Finding) {
        self.records_lost = self.records_lost.saturating_add(finding.records_lost);
        self.findings.push(finding);
    }
}

/// Why the store is not opened. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryError {
    /// Another release has written to it: the segment is of another version, or a record in it of a kind unknown here.
    OtherRelease {
        /// The first such segment.
        segment: u64,
    },
    /// The engine has been started [`EPOCH_MAX`] times on it; session ids would repeat.
    EpochsExhausted,
}

impl std::fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RecoveryError::OtherRelease { segment } => {
                write!(f, "segment {segment} was written by another release, in a format that this one does not read")
            }
            RecoveryError::EpochsExhausted => f.write_str("the store has seen as many starts as it can number"),
        }
    }
}

impl std::error::Error for RecoveryError {}

/// A segment of the store that an earlier life wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldSegment {
    /// Its number.
    pub number: u64,
    /// The first record in it; where that cannot be read, the first one that the segments before it lack.
    pub first: u64,
    /// Its length in octets.
    pub len: u64,
}

/// What a store says.
#[derive(Debug, PartialEq, Eq)]
pub struct Recovered<S> {
    /// What the sink made of the records.
    pub state: S,
    /// The last engine start; 0: none yet.
    pub epoch_last: u32,
    /// The key of session ids and phases; `None` before the first start.
    pub key: Option<[u8; 16]>,
    /// The box's boot id at the last start.
    pub boot_id: Option<[u8; 16]>,
    /// The segments that belong to the store, in order, whatever is left in them; no foreign and no unused one.
    pub segments: Vec<OldSegment>,
    /// What was met.
    pub report: RecoveryReport,
}

/// What a new life begins with.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// The box's boot id.
    pub boot_id: [u8; 16],
    /// The moment.
    pub at: Now,
    /// Drawn at random; names the store when this is its first life.
    pub fresh_store: StoreId,
    /// Drawn at random; the key of session ids and phases when the store has none.
    pub fresh_key: [u8; 16],
}

/// The right to append to a store that was read to its end.
#[derive(Debug, PartialEq, Eq)]
pub struct LogStart {
    store: Option<StoreId>,
    segment_next: u64,
    first: u64,
    chain: u32,
    base: u64,
    carried: Vec<Vec<u8>>,
    /// Of the life that wrote them.
    carried_life: Option<Started>,
    epoch: u32,
    key: Option<[u8; 16]>,
}

impl LogStart {
    /// The engine start that [`begin`](LogStart::begin) will record.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The store's name, drawn at its first start; `None` before that.
    pub fn store(&self) -> Option<StoreId> {
        self.store
    }

    /// The same, behind so many engine starts: more than the store knows of, when its newest segments are lost.
    ///
    /// # Errors
    ///
    /// [`RecoveryError::EpochsExhausted`].
    pub fn behind(self, epoch_last: u32) -> Result<LogStart, RecoveryError> {
        if epoch_last >= EPOCH_MAX {
            return Err(RecoveryError::EpochsExhausted);
        }
        Ok(LogStart { epoch: self.epoch.max(epoch_last + 1), ..self })
    }

    /// Records of the last batch, which the new life writes again first.
    pub fn carried_count(&self) -> usize {
        self.carried.len()
    }

    /// Begins a life: a log whose first own record is the [`Started`] that is given back. Its epoch may be used, and what
    /// was recovered acted upon, once the log's [`durable_through`](Log::durable_through) has reached
    /// [`started_at`](Log::started_at).
    pub fn begin(self, life: Life, bounds: LogBounds) -> (Log, Started) {
        let started =
            Started { epoch: self.epoch, boot_id: life.boot_id, at: life.at, key: self.key.unwrap_or(life.fresh_key) };
        let beginning = Beginning {
            store: self.store.unwrap_or(life.fresh_store),
            segment_next: self.segment_next,
            first: self.first,
            chain: self.chain,
            base: self.base,
            carried: self.carried,
            carried_life: self.carried_life,
            started,
        };
        (Log::begin(beginning, bounds), started)
    }
}

/// Reads a store. Create it, hand in every segment there is, finish.
pub struct Recovery<S> {
    sink: S,
    store: Option<StoreId>,
    epoch_last: u32,
    /// The epoch of the last segment's header.
    head_epoch_last: u32,
    key: Option<[u8; 16]>,
    boot_id: Option<[u8; 16]>,
    /// The last batch read: not delivered until the next one shows that it was synced.
    tail: Option<Tail<'static>>,
    /// Where reading stopped short in the last segment.
    stopped: Option<Stopped>,
    /// The next record, and the chain before it, while there is no tail.
    position: Position,
    base: u64,
    /// Where the store begins.
    front: Option<Front>,
    /// The newest segments may have been removed, and with them what told how far back somebody needs records.
    base_may_lack: bool,
    /// Whose records are read: the newest `started` so far.
    life: Option<Started>,
    /// Memory for the frames of a batch.
    spans: Vec<Span>,
    number_last: u64,
    segment_next: u64,
    segments: Vec<OldSegment>,
    refusal: Option<RecoveryError>,
    report: RecoveryReport,
}

/// A place in the sequence of records. The chain is unknown after damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    sequence: u64,
    chain: Option<u32>,
}

/// The first segment that was read, and the first record in it.
#[derive(Clone, Copy, Debug)]
struct Front {
    segment: u64,
    first: u64,
}

impl<S: RecordSink> Recovery<S> {
    /// Nothing read yet.
    pub fn new(sink: S) -> Recovery<S> {
        Recovery {
            sink,
            store: None,
            epoch_last: 0,
            head_epoch_last: 0,
            key: None,
            boot_id: None,
            tail: None,
            stopped: None,
            position: Position { sequence: 1, chain: Some(0) },
            base: 1,
            front: None,
            base_may_lack: false,
            life: None,
            spans: Vec::new(),
            number_last: 0,
            segment_next: SEGMENT_FIRST,
            segments: Vec::new(),
            refusal: None,
            report: RecoveryReport::default(),
        }
    }

    /// Of a store that is emptied from its newest segment on, and may be found half empty: records that are missing in front are
    /// no damage.
    pub(crate) fn of_card(sink: S) -> Recovery<S> {
        Recovery { base_may_lack: true, ..Recovery::new(sink) }
    }

    /// Reads one segment, whole. Numbers only grow from call to call; any octets may be handed in.
    pub fn segment(&mut self, number: u64, octets: &[u8]) {
        self.take_segment(Segment::unchecked(number, octets));
    }

    /// The same of a segment whose checksums are known already: the outcome is that of [`segment`](Recovery::segment), always.
    /// Gives the segment's memory back, to be used again, unless the sink keeps records in it from now on.
    pub fn checked_segment(&mut self, segment: CheckedSegment) -> Option<Vec<u8>> {
        self.take_segment((&segment).into());
        self.sink.take_memory(segment.into_octets())
    }

    /// What the sink has made of the records so far.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    fn take_segment(&mut self, segment: Segment<'_>) {
        assert!(segment.number > self.number_last, "segments come in the order of their numbers");
        self.number_last = segment.number;
        self.report.segments += 1;
        if segment.number >= NUMBER_END {
            self.add(Case::Foreign, segment.number, 0, segment.octets.len() as u64, 0);
        } else if self.refusal.is_none() {
            self.read_segment(segment);
        }
    }

    /// All segments have been handed in.
    ///
    /// # Errors
    ///
    /// [`RecoveryError`]: the store must not be appended to.
    pub fn finish(mut self) -> Result<(Recovered<S>, LogStart), RecoveryError> {
        let (first, chain, carried, carried_life) = match self.tail.take() {
            Some(mut tail) => {
                let finding = tail.judge_as_last();
                if finding.case != Case::CleanEnd || self.stopped.is_none() {
                    self.report.add(finding);
                }
                self.deliver(&mut tail);
                let carried = tail.stored().map(|stored| stored.octets.to_vec()).collect();
                (tail.first(), tail.chain_before(), carried, self.life)
            }
            None => (self.position.sequence, self.position.chain.unwrap_or(0), Vec::new(), None),
        };
        self.resolve_stop(None);
        self.resolve_front();
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        if self.epoch_last >= EPOCH_MAX {
            return Err(RecoveryError::EpochsExhausted);
        }
        self.report.findings.sort_by_key(|finding| (finding.segment, finding.offset));
        let start = LogStart {
            store: self.store,
            segment_next: self.segment_next,
            first,
            chain,
            base: self.base,
            carried,
            carried_life,
            epoch: self.epoch_last + 1,
            key: self.key,
        };
        let recovered = Recovered {
            state: self.sink,
            epoch_last: self.epoch_last,
            key: self.key,
            boot_id: self.boot_id,
            segments: self.segments,
            report: self.report,
        };
        Ok((recovered, start))
    }

    /// What lies below the base may have been deleted, and what lies above it may not.
    fn resolve_front(&mut self) {
        if let Some(Front { segment, first }) = self.front.take()
            && first > self.base
            && !self.base_may_lack
        {
            let records_lost = first - self.base;
            self.report.add(Finding { case: Case::Missing, segment, offset: 0, len: 0, records_lost });
        }
    }

    /// A batch that is known to have been synced.
    fn commit(&mut self, mut tail: Tail<'_>) {
        if let Some(finding) = tail.judge_as_synced() {
            self.report.add(finding);
        }
        self.deliver(&mut tail);
        self.spans = tail.into_spans();
    }

    /// Hands its records to the sink, and leaves nothing else in it.
    fn deliver(&mut self, tail: &mut Tail<'_>) {
        if let Some(life) = tail.life() {
            self.learn(life);
        }
        tail.retain(|stored| self.is_record(stored));
        self.sink.records(&RecordBatch { tail, life: self.life.as_ref() });
    }

    /// Whether a good frame holds a record, and what it tells of the store itself.
    fn is_record(&mut self, stored: Stored<'_>) -> bool {
        let Some(epoch) = self.judge(stored) else { return false };
        self.report.records += 1;
        self.epoch_last = self.epoch_last.max(epoch);
        if frame::is_started(stored.octets)
            && let Ok(Record::Started(started)) = frame::decode(stored.octets)
        {
            self.learn(&started);
        }
        true
    }

    /// The highest engine start that the record in a good frame names; `None` when it is no record, which is told.
    fn judge(&mut self, Stored { place, octets, .. }: Stored<'_>) -> Option<u32> {
        match frame::check(octets) {
            Ok(epoch) => return Some(epoch),
            Err(DecodeError::UnknownKind(_)) => {
                self.refusal.get_or_insert(RecoveryError::OtherRelease { segment: place.segment });
            }
            Err(_) => self.report.add(Finding {
                case: Case::Undecodable,
                segment: place.segment,
                offset: u64::from(place.offset),
                len: u64::from(place.len),
                records_lost: 1,
            }),
        }
        None
    }

    fn learn(&mut self, started: &Started) {
        self.key.get_or_insert(started.key);
        if self.life.is_none_or(|life| life.epoch < started.epoch) {
            self.boot_id = Some(started.boot_id);
            self.life = Some(*started);
        }
    }
}
