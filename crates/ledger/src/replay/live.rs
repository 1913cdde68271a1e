//! The sessions themselves: found by the octets of a record, changed, ended, and their places used again.

use hashbrown::HashMap;
use model::record::{Sampled, ZeroStop};
use model::time::Mono;

use super::arena::Slot;
use super::index::{Entry, Hashed, SessionIndex};
use crate::frame::{self, SAMPLE_LEN, SessionKey};

/// No session.
const NONE: u32 = u32::MAX;

/// What is known of one session; its records are in the arena.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    /// The life that wrote its newest `opened`, `checkpointed` or sample. One boot's clock goes through all of its lives.
    pub(super) life: u32,
    /// Its newest `opened` or `checkpointed`; `None` of one that is not there yet, or is over.
    pub(super) whole: Option<Slot>,
    /// Its `closed`, when newer than `whole`, or when that is an `opened`.
    pub(super) closed: Option<Slot>,
    pub(super) start: Start,
    /// When its Start was accepted.
    pub(super) start_at: Mono,
    pub(super) is_over: bool,
    pub(super) has_sample: bool,
    /// What its newest `sampled` says, likewise; samples are most of a log and come in any order, so they stand where the session
    /// is looked at anyway.
    pub(super) sample: [u8; SAMPLE_LEN],
}

impl Session {
    /// Its records in the arena.
    pub(super) fn slots(&self) -> [Option<Slot>; 2] {
        [self.whole, self.closed]
    }

    /// Keeps what a sample says, in the form of a `sampled` record.
    pub(super) fn keep_sample(&mut self, sample: [u8; SAMPLE_LEN]) {
        self.sample = sample;
        self.has_sample = true;
    }
}

/// What became of a session's Start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// What its `checkpointed` says; nothing, when it has none.
    AsWhole,
    Accepted {
        keep_accounting: bool,
    },
    Failed(ZeroStop),
}

const NEW: Session = Session {
    life: 0,
    whole: None,
    closed: None,
    start: Start::AsWhole,
    start_at: Mono::ZERO,
    is_over: false,
    has_sample: false,
    sample: [0; SAMPLE_LEN],
};

/// All sessions, and records of others.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// Those that are over leave a place free.
    all: SessionIndex<Session>,
    /// Places to be used again from the next batch on: numbers that were found for records of this one still mean what they
    /// meant.
    freed: Vec<u32>,
    /// The keys of a batch.
    keys: Vec<Option<Hashed>>,
    /// Records of sessions that are not known.
    unknown: HashMap<SessionKey, u64>,
    explained: u64,
}

impl Sessions {
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Those that are known, and places of others, so many at a time.
    pub(super) fn blocks(&self, len: usize) -> impl Iterator<Item = &[Entry<Session>]> {
        self.all.blocks(len)
    }

    pub(super) fn get(&self, key: SessionKey) -> Option<&Session> {
        self.all.get(self.all.find(key)?)
    }

    /// The number of the session that each record of a batch speaks of. One that makes a session known gets it a place.
    pub(super) fn find<'r>(&mut self, records: impl Iterator<Item = &'r [u8]> + Clone, found: &mut Vec<u32>) {
        self.keys.clear();
        self.keys.extend(records.clone().map(|record| frame::session_key(record).map(Hashed::from)));
        self.touch();
        let (all, keys) = (&mut self.all, &self.keys);
        found.clear();
        found.extend(keys.iter().zip(records).map(|(key, record)| match *key {
            Some(key) if frame::is_whole(record) => all.insert_hashed(key, || NEW),
            Some(key) => all.find_hashed(key).unwrap_or(NONE),
            None => NONE,
        }));
    }

    /// The number of the session that each of these samples speaks of.
    pub(super) fn find_sampled(&mut self, samples: &[Sampled], found: &mut Vec<u32>) {
        self.keys.clear();
        self.keys.extend(samples.iter().map(|sampled| Some(Hashed::from(SessionKey::from(sampled.serial)))));
        self.touch();
        let numbers = self.keys.iter().flatten().map(|key| self.all.find_hashed(*key).unwrap_or(NONE));
        found.clear();
        found.extend(numbers);
    }

    fn touch(&self) {
        self.all.touch(self.keys.iter().copied().flatten(), |session| {
            let [first, .., last] = session.sample;
            session.life ^ u32::from(session.whole.is_some()) ^ u32::from(first ^ last)
        });
    }

    /// A session that is known.
    pub(super) fn live_mut(&mut self, number: u32) -> Option<&mut Session> {
        self.all.get_mut(number).filter(|session| session.whole.is_some())
    }

    /// The session that a record makes known, once more if it was over, and whatever was said of it before is explained.
    pub(super) fn revive(&mut self, number: u32) -> &mut Session {
        let (is_known, was_over) =
            self.all.get(number).map_or((false, false), |session| (session.whole.is_some(), session.is_over));
        if !is_known && !self.unknown.is_empty() {
            let records = self.all.key(number).and_then(|key| self.unknown.remove(&key));
            self.explained += records.unwrap_or(0);
        }
        if was_over {
            self.freed.retain(|freed| *freed != number);
            self.all.put_back(number);
        }
        let session = self.all.get_mut(number).expect("it was found in this batch");
        session.is_over = false;
        session
    }

    /// It is over; its slots. `None`: it was not known.
    pub(super) fn end(&mut self, number: u32) -> Option<[Option<Slot>; 2]> {
        let session = self.live_mut(number)?;
        let slots = session.slots();
        *session = Session { is_over: true, ..NEW };
        self.all.remove(number);
        self.freed.push(number);
        Some(slots)
    }

    pub(super) fn end_batch(&mut self) {
        self.all.release(&mut self.freed);
    }

    /// Every slot that is in use.
    pub(super) fn slots(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.all.values_mut().flat_map(|session| [&mut session.whole, &mut session.closed]).flatten()
    }

    /// A record speaks of a session that is not known.
    pub(super) fn count_unknown(&mut self, record: &[u8]) {
        if let Some(key) = frame::session_key(record) {
            self.count_unknown_key(key);
        }
    }

    /// So does one that speaks of many.
    pub(super) fn count_unknown_key(&mut self, key: SessionKey) {
        *self.unknown.entry(key).or_default() += 1;
    }

    /// A session that is not known is over: nothing that was said of it matters, nor do `records` that say it now.
    pub(super) fn explain(&mut self, record: &[u8], records: u64) {
        let before = frame::session_key(record).and_then(|key| self.unknown.remove(&key));
        self.explained += before.unwrap_or(0) + records;
    }

    pub(super) fn unknown(&self) -> u64 {
        self.unknown.values().sum()
    }

    pub(super) fn explained(&self) -> u64 {
        self.explained
    }
}
