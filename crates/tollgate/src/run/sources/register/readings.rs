//! What a sweep has read, in one file for all sessions of a source: octets ↔ readings.
//!
//! ```text
//!   8 stamp: what was written under a greater one is newer     4 the greatest index of an interface
//!   for each session:
//!     1 length of the name, the name, 4 slot, 4 generation, 1 of which tallies there is a reading (bits 0 and 1)
//!     64 for each: octets and packets in, octets and packets out, of IPv4 and of IPv6
//! ```
//!
//! Little-endian. The file is replaced as a whole, so it is there whole or not at all; what makes no sense all the same is
//! not read.

use std::collections::HashMap;

use model::counters::{Counters, Totals};

use super::Entry;

/// What stands in the file.
#[derive(Debug, Default)]
pub(super) struct Readings {
    pub(super) stamp: u64,
    /// The greatest index of an interface at the sweep; 0: none was looked for.
    pub(super) highest: u32,
    sessions: HashMap<String, Read>,
}

#[derive(Debug)]
struct Read {
    slot: u32,
    generation: u32,
    read: [Option<Counters>; 2],
}

impl Readings {
    /// Puts what was read into an entry that was written before.
    pub(super) fn complete(&self, entry: &mut Entry) {
        let is_of_it = |read: &&Read| read.slot == entry.slot && read.generation == entry.generation;
        let Some(read) = self.sessions.get(&entry.session).filter(is_of_it).filter(|_| self.stamp > entry.stamp) else {
            return;
        };
        for (tally, read) in entry.tallies.iter_mut().zip(read.read) {
            read.into_iter().for_each(|read| tally.recall(read));
        }
    }

    /// What a file says; `None`: nothing that makes sense.
    pub(super) fn read(octets: &[u8]) -> Option<Readings> {
        let mut rest = octets;
        let (stamp, highest) = (u64::from_le_bytes(take(&mut rest)?), u32::from_le_bytes(take(&mut rest)?));
        let mut sessions = HashMap::new();
        while !rest.is_empty() {
            let [length] = take(&mut rest)?;
            let (name, behind) = rest.split_at_checked(length.into())?;
            rest = behind;
            let name = str::from_utf8(name).ok()?.to_owned();
            let (slot, generation) = (u32::from_le_bytes(take(&mut rest)?), u32::from_le_bytes(take(&mut rest)?));
            let [parts] = take(&mut rest)?;
            let mut read = [None; 2];
            for (bit, read) in read.iter_mut().enumerate() {
                if parts & 1 << bit == 0 {
                    continue;
                }
                *read = Some(Counters { v4: totals(&mut rest)?, v6: totals(&mut rest)? });
            }
            sessions.insert(name, Read { slot, generation, read });
        }
        Some(Readings { stamp, highest, sessions })
    }
}

/// The file that says this.
pub(super) fn write<'a>(
    stamp: u64,
    highest: u32,
    sessions: impl Iterator<Item = (&'a Entry, [Option<Counters>; 2])>,
) -> Vec<u8> {
    let mut out = [&stamp.to_le_bytes()[..], &highest.to_le_bytes()].concat();
    for (entry, read) in sessions {
        // A name has 64 octets at most.
        let Ok(length) = u8::try_from(entry.session.len()) else { continue };
        out.push(length);
        out.extend_from_slice(entry.session.as_bytes());
        out.extend_from_slice(&entry.slot.to_le_bytes());
        out.extend_from_slice(&entry.generation.to_le_bytes());
        out.push(u8::from(read[0].is_some()) | u8::from(read[1].is_some()) << 1);
        for Counters { v4, v6 } in read.into_iter().flatten() {
            for number in [v4.fields(), v6.fields()].as_flattened() {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
    }
    out
}

fn totals(rest: &mut &[u8]) -> Option<Totals> {
    let mut number = || take(rest).map(u64::from_le_bytes);
    Some(Totals::from_fields([number()?, number()?, number()?, number()?]))
}

fn take<const LENGTH: usize>(rest: &mut &[u8]) -> Option<[u8; LENGTH]> {
    let (taken, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::run::sources::tally::{Origin, Tally};

    fn entry(session: &str, generation: u32) -> Entry {
        let tally = Tally::from_here(Origin::Told, Some(Counters::ZERO));
        Entry {
            stamp: 0,
            session: session.to_owned(),
            said: serde_json::Map::new(),
            interface: None,
            at: None,
            slot: 3,
            generation,
            tallies: [tally; 2],
            gone: None,
        }
    }

    fn counters() -> impl Strategy<Value = Option<Counters>> {
        let totals = || any::<[u64; 4]>().prop_map(Totals::from_fields);
        prop::option::of((totals(), totals()).prop_map(|(v4, v6)| Counters { v4, v6 }))
    }

    /// What a file tells of a session that it was written for.
    fn told(octets: &[u8], session: &str) -> Option<[Option<Counters>; 2]> {
        Readings::read(octets)?.sessions.get(session).map(|read| read.read)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_a_piece_of_it_tells_nothing_else(
            sessions in prop::collection::btree_map("[a-z/]{1,64}", (any::<u32>(), [counters(), counters()]), 0..5),
            cut in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(),
            octet in any::<u8>(),
        ) {
            let entries: Vec<_> = sessions.iter().map(|(name, (generation, read))| (entry(name, *generation), *read)).collect();
            let file = write(7, 9, entries.iter().map(|(entry, read)| (entry, *read)));
            let whole = Readings::read(&file).expect("it was written");
            prop_assert_eq!((whole.stamp, whole.highest, whole.sessions.len()), (7, 9, sessions.len()));
            for (entry, read) in &entries {
                prop_assert_eq!(told(&file, &entry.session), Some(*read));
            }
            let cut = &file[..cut.index(file.len())];
            for (entry, read) in &entries {
                prop_assert!(told(cut, &entry.session).is_none_or(|told| told == *read));
            }
            // A changed one may say another number, and is borne.
            let mut changed = file.clone();
            let at = at.index(changed.len());
            changed[at] = octet;
            if let Some(readings) = Readings::read(&changed) {
                entries.iter().for_each(|(entry, _)| readings.complete(&mut entry.clone()));
            }
        }

        #[test]
        fn any_octets_are_borne(octets in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Some(readings) = Readings::read(&octets) {
                prop_assert!(octets.len() >= 12 + 10 * readings.sessions.len());
            }
        }
    }
}
