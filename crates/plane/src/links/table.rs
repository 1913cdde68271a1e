//! All interfaces with their counters.

use std::collections::{HashMap, HashSet};
use std::mem;

use model::counters::Totals;

use super::{Link, LinkNews};
use crate::netlink::Body;
use crate::sweep::{Reading, Subject};

/// The interfaces of a system. It takes what the group and the dumps say, in the order of the module's page; after that it
/// answers for every interface, and has news of those that came, changed or went.
///
/// An interface has one generation for life, and its totals are those of the last dump, or what the group has said since if that
/// is more. By a dump's word a direction falls: where its driver begins again, or where it was counted elsewhere, for a veth
/// counts what it receives at its peer, and has nothing to show for it as soon as the pair is taken apart.
///
/// Some 200 octets for each interface. News wait until they are taken.
#[derive(Debug, Default)]
pub struct LinkTable {
    cells: HashMap<u32, Cell>,
    indices: HashMap<String, u32>,
    /// The greatest index that was ever told of.
    highest: u32,
    /// The last generation that was given away.
    generation: u32,
    /// The number of this sweep.
    sweep: u64,
    news: Vec<LinkNews>,
    /// A dump is on its way.
    is_dumping: bool,
    /// Of which indices the group has told since that dump began, what it said that they had counted, and which of them it has
    /// taken away.
    told: HashMap<u32, Option<Totals>>,
    taken_away: HashSet<u32>,
    unread_ends: u64,
}

#[derive(Debug)]
struct Cell {
    link: Link,
    generation: u32,
    /// What the last dump said, and no less than the group did since.
    counted: Option<Totals>,
    /// The sweep that read it last, 0 when none has.
    swept: u64,
}

impl LinkTable {
    /// No interface yet: a dump of all of them brings them in.
    pub fn new() -> LinkTable {
        LinkTable::default()
    }

    /// The group said this.
    pub fn handle_told(&mut self, body: &Body<'_>) {
        match body {
            Body::NewLink(message) => {
                self.note_told(message.index, message.totals);
                self.insert(message.link(), message.totals);
            }
            Body::DelLink(message) => {
                self.note_told(message.index, None);
                if self.is_dumping {
                    self.taken_away.insert(message.index);
                }
                self.remove(message.index, message.totals);
            }
            Body::NewAddress(_) | Body::DelAddress(_) | Body::Statistics { .. } => {}
            Body::Done(_) | Body::Answer(_) | Body::Overrun | Body::Other => {}
        }
    }

    /// A dump will be asked for now.
    pub fn dump_begins(&mut self) {
        self.dump_ends();
        self.is_dumping = true;
    }

    /// The dump that was asked for will not come to its end. Until the next one there is nothing that the group's word would
    /// have to be held against, so who comes and goes meanwhile is not remembered.
    pub fn dump_ends(&mut self) {
        self.is_dumping = false;
        self.told.clear();
        self.taken_away.clear();
    }

    /// Whatever was read before is of an earlier sweep from now on.
    pub fn sweep_begins(&mut self) {
        self.sweep += 1;
    }

    /// A dump of statistics is complete, and the group is read up to its end.
    pub fn handle_statistics(&mut self, dump: &[(u32, Totals)]) {
        for &(index, totals) in dump.iter().filter(|(index, _)| !self.taken_away.contains(index)) {
            let Some(cell) = self.cells.get_mut(&index) else { continue };
            // What the group has told meanwhile may be newer.
            let told = self.told.get(&index).copied().flatten();
            cell.counted = Some(told.map_or(totals, |told| told.most(totals)));
            cell.swept = self.sweep;
        }
        self.dump_ends();
    }

    /// A dump of all interfaces is complete, and the group is read up to its end, of which nothing was lost meanwhile. What the
    /// dump names is there. `is_whole`: what it does not name is gone, and its RTM_DELLINK was lost; a dump that was interrupted
    /// may lack somebody who is there.
    pub fn handle_links(&mut self, dump: Vec<Link>, is_whole: bool) {
        if is_whole {
            let named: HashSet<u32> = dump.iter().map(|link| link.index).collect();
            let is_missing = |index: &u32| !named.contains(index) && !self.told.contains_key(index);
            let mut missing: Vec<u32> = self.cells.keys().copied().filter(is_missing).collect();
            missing.sort_unstable();
            for index in missing {
                self.lose(index);
            }
        }
        // What the group says of an index after the dump began is at least as new as the dump.
        for link in dump {
            if self.told.contains_key(&link.index) {
                continue;
            }
            if self.cells.get(&link.index).is_some_and(|cell| !link.may_be(&cell.link)) {
                self.lose(link.index);
            }
            self.insert(link, None);
        }
        self.dump_ends();
    }

    /// What an interface has counted; `None` where there is no such interface, or it was never counted.
    pub fn reading(&self, index: u32) -> Option<Reading> {
        self.cells.get(&index)?.reading()
    }

    /// What this sweep has read of an interface; `None` where it has not.
    pub fn swept(&self, index: u32) -> Option<Reading> {
        self.cells.get(&index).filter(|cell| cell.swept == self.sweep)?.reading()
    }

    /// The interface with this index.
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.cells.get(&index).map(|cell| &cell.link)
    }

    /// The index of the interface that has this name.
    pub fn index(&self, name: &str) -> Option<u32> {
        self.indices.get(name).copied()
    }

    /// How many interfaces there are.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The greatest index that an interface ever had here, 0 before the first. The kernel counts upwards: what comes later has a greater
    /// one, unless who makes it says another.
    pub fn highest(&self) -> u32 {
        self.highest
    }

    /// What happened since this was last asked, in order.
    pub fn take_news(&mut self) -> Vec<LinkNews> {
        mem::take(&mut self.news)
    }

    /// How many interfaces ended while the group was not heard: their final reading is the last one that was swept or told.
    pub fn unread_ends(&self) -> u64 {
        self.unread_ends
    }

    fn note_told(&mut self, index: u32, counted: Option<Totals>) {
        if self.is_dumping {
            let told = self.told.entry(index).or_default();
            *told = told.iter().copied().chain(counted).reduce(Totals::most);
        }
    }

    /// An interface is there and is like this, and has counted so much.
    fn insert(&mut self, link: Link, counted: Option<Totals>) {
        let reading = if let Some(cell) = self.cells.get_mut(&link.index) {
            cell.raise(counted);
            if cell.link == link {
                return;
            }
            // What it had counted when it changed only the group says; a dump finds that later.
            let reading = counted.and_then(|_| cell.reading());
            let before = mem::replace(&mut cell.link, link.clone());
            self.forget_name(&before);
            reading
        } else {
            self.generation += 1;
            let cell = Cell { link: link.clone(), generation: self.generation, counted, swept: 0 };
            let reading = cell.reading();
            self.cells.insert(link.index, cell);
            reading
        };
        self.indices.insert(link.name.clone(), link.index);
        self.highest = self.highest.max(link.index);
        self.news.push(LinkNews::Here { link, reading });
    }

    /// An interface is gone; the group said how much it had counted, or did not.
    fn remove(&mut self, index: u32, last: Option<Totals>) {
        if let Some(mut cell) = self.cells.remove(&index) {
            cell.raise(last);
            self.forget_name(&cell.link);
            let reading = cell.reading();
            self.news.push(LinkNews::Gone { link: cell.link, reading });
        }
    }

    fn lose(&mut self, index: u32) {
        self.unread_ends += 1;
        self.remove(index, None);
    }

    fn forget_name(&mut self, link: &Link) {
        if self.indices.get(&link.name) == Some(&link.index) {
            self.indices.remove(&link.name);
        }
    }
}

impl Cell {
    /// The group's word, which may be older than the last dump's: never less than what is known.
    fn raise(&mut self, totals: Option<Totals>) {
        if let Some(totals) = totals {
            self.counted = Some(self.counted.map_or(totals, |counted| counted.most(totals)));
        }
    }

    fn reading(&self) -> Option<Reading> {
        let counters = Subject::Interface(self.link.index).counters(self.counted?);
        Some(Reading { counters, generation: self.generation })
    }
}

#[cfg(test)]
mod tests;
