//! Sessions by what authorization servers call them: Acct-Session-Id, User-Name, addresses and prefixes.
//!
//! An ordered set of (hash, slot). Sessions of one name stand side by side, so a name that many share costs no more than any
//! other; what stands under a hash is looked at before it is believed. It is kept only while an authorization server is
//! configured, and made with the first order: a walk over the table. **Memory:** about 12 octets for each name of a session,
//! of which it has three to six; taken as sessions come, on the ordinary heap.

use std::collections::BTreeSet;

use wire::radius::Type;
use wire::radius::attribute::{Attribute, Attributes};

use super::Shard;
use crate::authorization::{LOOKED_UP, Order, is_meant};
use crate::identity::Key;
use crate::session::{Flags, Slot};

/// The index.
#[derive(Debug, Default)]
pub(super) enum Lookup {
    /// Nobody asks.
    #[default]
    Off,
    /// To be made when somebody asks.
    Wanted,
    /// As the table is.
    Made(BTreeSet<(u32, Slot)>),
}

impl Lookup {
    /// Whether somebody may ask from now on.
    pub(super) fn set(&mut self, is_wanted: bool) {
        match self {
            Lookup::Off if is_wanted => *self = Lookup::Wanted,
            Lookup::Wanted | Lookup::Made(_) if !is_wanted => *self = Lookup::Off,
            Lookup::Off | Lookup::Wanted | Lookup::Made(_) => {}
        }
    }

    /// Sessions have come that it was not told of.
    pub(super) fn forget(&mut self) {
        if matches!(self, Lookup::Made(_)) {
            *self = Lookup::Wanted;
        }
    }
}

/// The hash of a name; `None`: nobody is looked for by such.
fn hash_of(key: &Key, attribute: &Attribute<'_>) -> Option<u32> {
    if !LOOKED_UP.contains(&attribute.kind) {
        return None;
    }
    // A prefix may be written in several ways.
    Some(match attribute.kind {
        Type::FRAMED_IPV6_PREFIX | Type::DELEGATED_IPV6_PREFIX => {
            let prefix = attribute.as_prefix()?;
            let mut octets = [prefix.length; 17];
            octets[..16].copy_from_slice(&prefix.address.octets());
            key.name(attribute.kind.0, &octets)
        }
        kind => key.name(kind.0, attribute.value),
    })
}

fn hashes<'a>(key: &'a Key, run: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
    Attributes::of_run(run).filter_map(|attribute| hash_of(key, &attribute))
}

impl Shard {
    /// The slot is found by its name in the plane, and by those in the index.
    pub(super) fn enlist(&mut self, slot: Slot) {
        self.table.enlist(slot);
        self.index(slot);
    }

    /// The slot is found no more.
    pub(super) fn delist(&mut self, slot: Slot) {
        self.table.delist(slot);
        self.unindex(slot);
        if self.session(slot).flags.has(Flags::LINGERS) {
            self.session_mut(slot).flags.put(Flags::LINGERS, false);
            self.lingering -= 1;
        }
    }

    /// To be called when a session's attributes are new …
    pub(super) fn index(&mut self, slot: Slot) {
        if let Lookup::Made(set) = &mut self.lookup {
            let run = self.table.blobs.attributes(self.table.sessions[slot as usize].blob);
            set.extend(hashes(&self.key, run).map(|hash| (hash, slot)));
        }
    }

    /// … and this before they change.
    pub(super) fn unindex(&mut self, slot: Slot) {
        if let Lookup::Made(set) = &mut self.lookup {
            let run = self.table.blobs.attributes(self.table.sessions[slot as usize].blob);
            for hash in hashes(&self.key, run) {
                set.remove(&(hash, slot));
            }
        }
    }

    /// The online sessions that an order means.
    pub(super) fn meant_by(&mut self, order: &Order) -> Vec<Slot> {
        if !matches!(self.lookup, Lookup::Made(_)) {
            self.make_index();
        }
        let of_kind = |kind| order.conditions.iter().find(|(other, _)| *other == kind);
        let Some((kind, value)) = LOOKED_UP.into_iter().find_map(of_kind) else { return Vec::new() };
        let attribute = Attribute { kind: *kind, value };
        let (Lookup::Made(set), Some(hash)) = (&self.lookup, hash_of(&self.key, &attribute)) else { return Vec::new() };
        let found = set.range((hash, Slot::MIN)..=(hash, Slot::MAX)).map(|&(_, slot)| slot);
        let run = |slot: Slot| self.table.blobs.attributes(self.session(slot).blob);
        found.filter(|&slot| self.is_online(slot) && is_meant(order, run(slot))).collect()
    }

    fn make_index(&mut self) {
        let mut all: Vec<(u32, Slot)> = Vec::new();
        for slot in self.table.slots().filter(|&slot| self.is_up(slot)) {
            let run = self.table.blobs.attributes(self.session(slot).blob);
            all.extend(hashes(&self.key, run).map(|hash| (hash, slot)));
        }
        self.lookup = Lookup::Made(all.into_iter().collect());
    }
}
