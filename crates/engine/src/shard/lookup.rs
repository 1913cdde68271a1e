//! Sessions by what authorization servers call them: Acct-Session-Id, User-Name, addresses and prefixes.
//!
//! A set of [`Chains`] for each of these. Sessions of one name stand in one chain, where each comes and goes without a look at
//! the others, so a name that a million share costs a log-in no more than any other; what stands in a chain is looked at before
//! it is believed. It is kept only while an authorization server is configured. Log-ins and log-outs keep it up from then on;
//! those who are online already are found by a walk over the table, [`STEP`] slots in each round, and orders that come meanwhile
//! wait for its end. **Memory:** 12 octets for each kind of name that sessions have, of which there are three to six; taken whole
//! when the first server is configured, and touched as sessions come. **Full:** it cannot be; as many orders wait as the judge
//! lets out.

use std::collections::VecDeque;

use model::domain::Terms;
use model::settings::UserNameFormat;
use model::time::{Mono, Now};
use wire::radius::Type;
use wire::radius::attribute::Attribute;

use super::Shard;
use crate::authorization::{LOOKED_UP, Order, Token, is_meant};
use crate::blob::BlobRef;
use crate::chains::Chains;
use crate::identity::Key;
use crate::run::Run;
use crate::session::{Flags, Slot};

/// Slots that one step of the walk looks at: some hundred microseconds.
const STEP: u32 = 1024;

/// What a session is called, in the order of [`LOOKED_UP`]. It has one name of each kind at most.
type Names<'a> = [Option<Attribute<'a>>; LOOKED_UP.len()];

/// The index; `None`: nobody asks.
#[derive(Default)]
pub(super) struct Lookup(Option<Box<Index>>);

struct Index {
    /// One for each of [`LOOKED_UP`].
    chains: [Chains; LOOKED_UP.len()],
    /// The walk has come to this slot; `None`: to its end.
    walk: Option<Slot>,
    /// Orders that wait for that.
    waiting: VecDeque<(Token, Order)>,
}

impl Lookup {
    /// Whether somebody may ask from now on. Gives back the orders that are not obeyed any more.
    fn set(&mut self, is_wanted: bool, slots: usize) -> VecDeque<(Token, Order)> {
        match &mut self.0 {
            Some(_) if is_wanted => VecDeque::new(),
            None if is_wanted => {
                let chains = std::array::from_fn(|_| Chains::new(slots));
                self.0 = Some(Box::new(Index { chains, walk: Some(0), waiting: VecDeque::new() }));
                VecDeque::new()
            }
            _ => self.0.take().map(|index| index.waiting).unwrap_or_default(),
        }
    }

    /// Sessions have come that it was not told of.
    pub(super) fn begin_walk(&mut self) {
        if let Some(index) = &mut self.0 {
            index.walk = Some(0);
        }
    }

    fn is_walking(&self) -> bool {
        self.0.as_ref().is_some_and(|index| index.walk.is_some())
    }
}

fn names(run: Run<'_>) -> Names<'_> {
    let mut names: Names<'_> = [None; LOOKED_UP.len()];
    for attribute in run.attributes() {
        if let Some(place) = LOOKED_UP.iter().position(|kind| *kind == attribute.kind) {
            names[place] = Some(attribute);
        }
    }
    names
}

/// The hash of a name.
fn hash_of(key: &Key, attribute: &Attribute<'_>) -> Option<u32> {
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

impl Shard {
    /// Whether authorization servers may ask from now on.
    pub(super) fn configure_lookup(&mut self, is_wanted: bool) {
        for (token, _) in self.lookup.set(is_wanted, self.table.capacity()) {
            self.drop_order(token);
        }
    }

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

    /// To be called before a session that can be found adopts these attributes: names that it loses lead to it no more …
    pub(super) fn unindex_changed(&mut self, slot: Slot, adopted: BlobRef) {
        let Some(index) = &mut self.lookup.0 else { return };
        let old = names(self.table.blobs.attributes(self.table.sessions[slot as usize].blob));
        let new = names(self.table.blobs.attributes(adopted));
        for (chains, (old, new)) in index.chains.iter_mut().zip(old.into_iter().zip(new)) {
            if old != new {
                chains.take(slot);
            }
        }
    }

    /// … and this behind it: those that are new do. Others stay as they are.
    pub(super) fn index(&mut self, slot: Slot) {
        let Some(index) = &mut self.lookup.0 else { return };
        let session = &self.table.sessions[slot as usize];
        let names = names(self.table.blobs.attributes(session.blob));
        let terms = &self.contracts.get(session.contract).terms;
        for (chains, name) in index.chains.iter_mut().zip(names) {
            if let Some(name) = name
                && !chains.has(slot)
                && let Some(hash) = hash_of(&self.key, &as_told(name, terms))
            {
                chains.put(slot, hash);
            }
        }
    }

    fn unindex(&mut self, slot: Slot) {
        let Some(index) = &mut self.lookup.0 else { return };
        let names = names(self.table.blobs.attributes(self.table.sessions[slot as usize].blob));
        for (chains, _) in index.chains.iter_mut().zip(names).filter(|(_, name)| name.is_some()) {
            chains.take(slot);
        }
    }

    /// Goes on with the walk over those who were online before anybody could ask, and obeys who waited for its end.
    pub(super) fn walk_on(&mut self, now: Now) {
        let Some(from) = self.lookup.0.as_ref().and_then(|index| index.walk) else { return };
        let slots = self.table.slots().end;
        let through = slots.min(from.saturating_add(STEP));
        for slot in from..through {
            if self.is_up(slot) {
                self.index(slot);
            }
        }
        let Some(index) = &mut self.lookup.0 else { return };
        index.walk = (through < slots).then_some(through);
        if index.walk.is_none() {
            for (token, order) in std::mem::take(&mut index.waiting) {
                self.take_order(now, token, &order);
            }
        }
    }

    /// When that has something to do.
    pub(super) fn next_walk(&self) -> Option<Mono> {
        self.lookup.is_walking().then_some(self.latest.mono)
    }

    /// Whether the order has to wait for the end of the walk; then it does.
    pub(super) fn waits_for_walk(&mut self, token: Token, order: &Order) -> bool {
        match &mut self.lookup.0 {
            Some(index) if index.walk.is_some() => {
                index.waiting.push_back((token, order.clone()));
                true
            }
            _ => false,
        }
    }

    /// The online sessions that an order means, in the order of their slots. Where nobody may ask any more, none is.
    pub(super) fn meant_by(&self, order: &Order) -> Vec<Slot> {
        let named = LOOKED_UP.iter().enumerate().find_map(|(place, kind)| {
            let (_, value) = order.conditions.iter().find(|(other, _)| other == kind)?;
            Some((place, Attribute { kind: *kind, value }))
        });
        let (Some(index), Some((place, name))) = (&self.lookup.0, named) else { return Vec::new() };
        let mut found: Vec<Slot> = Vec::new();
        // A session stands under the name that is told of it; who gives its whole name means it as well.
        for name in [name, in_form(name, UserNameFormat::WithoutDomain)] {
            let hash = hash_of(&self.key, &name);
            found.extend(hash.into_iter().flat_map(|hash| index.chains[place].of(hash)));
        }
        found.retain(|&slot| {
            let session = self.session(slot);
            self.is_online(slot) && is_meant(order, self.run(slot), &self.contracts.get(session.contract).terms)
        });
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// A name as it is told to servers.
fn as_told<'a>(name: Attribute<'a>, terms: &Terms) -> Attribute<'a> {
    in_form(name, if terms.without_domain { UserNameFormat::WithoutDomain } else { UserNameFormat::Original })
}

/// A name with the user's in this form.
fn in_form(name: Attribute<'_>, format: UserNameFormat) -> Attribute<'_> {
    match name.kind {
        Type::USER_NAME => Attribute { value: format.apply(name.value), ..name },
        _ => name,
    }
}
