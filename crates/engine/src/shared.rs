//! Runs of attributes that many sessions have alike, each kept once: how subscribers of a domain are attached, what the box is
//! called, when it started.
//!
//! ```text
//!   octets:  place | place | …       one run each, 256 octets at most; memory is touched as places are taken
//!   uses:    how many hold it        0: the place is free
//!   index:   hash of a run → place
//! ```
//!
//! A run is held by each session that begins with it and goes with the last of them. It never changes: a session whose attributes
//! change holds another one.
//!
//! **Full:** [`SharedRuns::hold`] says so, and whoever asked keeps all of it for itself. There is no allocation after
//! [`SharedRuns::new`].

use std::hash::Hasher;

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

/// The longest run that is shared, in octets.
pub(crate) const SHARED_MAX: usize = 256;

/// How many there are at most: some for each domain, for each start of the engine that sessions have outlived.
const PLACES: u16 = 4096;

/// Which of the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SharedRef(u16);

impl SharedRef {
    /// None: an empty run.
    pub(crate) const NONE: SharedRef = SharedRef(u16::MAX);

    /// As it is written into memory.
    pub(crate) const fn to_octets(self) -> [u8; 2] {
        self.0.to_le_bytes()
    }

    /// What was [written](SharedRef::to_octets).
    pub(crate) const fn from_octets(octets: [u8; 2]) -> SharedRef {
        SharedRef(u16::from_le_bytes(octets))
    }
}

/// All of them.
pub(crate) struct SharedRuns {
    octets: Vec<u8>,
    lengths: Vec<u16>,
    uses: Vec<u32>,
    free: Vec<u16>,
    index: HashTable<u16>,
    /// The last one that was held: most often the next one too.
    latest: SharedRef,
}

impl SharedRuns {
    /// None yet.
    pub(crate) fn new() -> SharedRuns {
        let places = usize::from(PLACES);
        SharedRuns {
            octets: vec![0; places * SHARED_MAX],
            lengths: vec![0; places],
            uses: vec![0; places],
            free: (0..PLACES).rev().collect(),
            // Twice the room: what is left behind by runs that went is then always tidied up in place.
            index: HashTable::with_capacity(2 * places),
            latest: SharedRef::NONE,
        }
    }

    /// Holds this run once more, or for the first time; `None`: it is too long, or every place is taken.
    pub(crate) fn hold(&mut self, run: &[u8]) -> Option<SharedRef> {
        if run.is_empty() {
            return Some(SharedRef::NONE);
        }
        let held = if self.get(self.latest) == run { self.latest } else { self.find_or_keep(run)? };
        self.uses[usize::from(held.0)] += 1;
        self.latest = held;
        Some(held)
    }

    /// The run.
    #[inline]
    pub(crate) fn get(&self, held: SharedRef) -> &[u8] {
        match self.lengths.get(usize::from(held.0)) {
            Some(&length) => {
                let at = usize::from(held.0) * SHARED_MAX;
                &self.octets[at..at + usize::from(length)]
            }
            None => &[],
        }
    }

    /// One fewer holds it.
    pub(crate) fn release(&mut self, held: SharedRef) {
        let Some(uses) = self.uses.get_mut(usize::from(held.0)) else { return };
        *uses -= 1;
        if *uses > 0 {
            return;
        }
        let hash = hash(self.get(held));
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == held.0) {
            entry.remove();
        }
        self.lengths[usize::from(held.0)] = 0;
        self.free.push(held.0);
    }

    /// How many are held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    fn find_or_keep(&mut self, run: &[u8]) -> Option<SharedRef> {
        let own = hash(run);
        if let Some(&place) = self.index.find(own, |&place| self.get(SharedRef(place)) == run) {
            return Some(SharedRef(place));
        }
        let length = u16::try_from(run.len()).ok().filter(|_| run.len() <= SHARED_MAX)?;
        let place = self.free.pop()?;
        let at = usize::from(place) * SHARED_MAX;
        self.octets[at..at + run.len()].copy_from_slice(run);
        self.lengths[usize::from(place)] = length;
        let SharedRuns { octets, lengths, index, .. } = self;
        index.insert_unique(own, place, |&other| {
            let at = usize::from(other) * SHARED_MAX;
            hash(&octets[at..at + usize::from(lengths[usize::from(other)])])
        });
        Some(SharedRef(place))
    }
}

/// What runs say comes from the configuration and from the box itself, so nobody chooses what collides.
fn hash(run: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(run);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_kept_once_and_goes_with_the_last_who_holds_it() {
        let mut runs = SharedRuns::new();
        let (a, b) = (runs.hold(b"a run").unwrap(), runs.hold(b"another").unwrap());
        assert_eq!((runs.hold(b"a run"), runs.len()), (Some(a), 2));
        assert_eq!((runs.get(a), runs.get(b)), (&b"a run"[..], &b"another"[..]));
        runs.release(a);
        assert_eq!((runs.get(a), runs.len()), (&b"a run"[..], 2));
        runs.release(a);
        assert_eq!((runs.get(a), runs.len()), (&b""[..], 1));
        // The place is somebody else's now, and nobody finds the old run in it.
        assert_eq!(runs.hold(b"a third"), Some(a));
        assert_ne!(runs.hold(b"a run"), Some(a));
        assert_eq!(runs.get(b), b"another");
    }

    #[test]
    fn no_run_needs_no_place() {
        let mut runs = SharedRuns::new();
        assert_eq!((runs.hold(b""), runs.len()), (Some(SharedRef::NONE), 0));
        assert_eq!(runs.get(SharedRef::NONE), b"");
        runs.release(SharedRef::NONE);
    }

    #[test]
    fn full_and_too_long_is_said_and_room_comes_back() {
        let mut runs = SharedRuns::new();
        let held: Vec<SharedRef> = (0..PLACES).map(|number| runs.hold(&number.to_be_bytes()).unwrap()).collect();
        assert_eq!(runs.hold(b"one more"), None);
        assert_eq!(runs.hold(&7u16.to_be_bytes()), Some(held[7]), "who is there already is held all the same");
        let room = runs.index.allocation_size();
        for (&place, number) in held.iter().zip(0..PLACES) {
            assert_eq!(runs.get(place), number.to_be_bytes());
        }
        runs.release(held[9]);
        assert_eq!(runs.hold(&[0; SHARED_MAX + 1]), None);
        assert_eq!(runs.hold(&[1; SHARED_MAX]), Some(held[9]));
        // Runs come and go for years, and the index never asks for memory.
        for round in 0..100_000_u32 {
            let fleeting = [&[2; 8][..], &round.to_be_bytes()].concat();
            assert_eq!(runs.hold(&fleeting), None);
            runs.release(held[100]);
            let place = runs.hold(&fleeting).unwrap();
            runs.release(place);
            assert_eq!(runs.hold(&100u16.to_be_bytes()), Some(held[100]));
        }
        assert_eq!(runs.index.allocation_size(), room);
    }
}
