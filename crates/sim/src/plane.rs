//! A packet plane: its subscribers, its event ring, its counters and its verdict ring. All of it is the plane's own
//! memory, so it outlives the engine; only a restart of the plane itself loses it.

mod says;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use model::counters::{CounterSlot, Counters, Totals};
use model::time::{Now, Wall};
use model::verdict::Sentence;

pub(crate) use says::{Limits, Saying, What, Who};
use table::Table;

use crate::oracle::Oracle;
use crate::scenario::{Scenario, Stretch, TERMS};
use crate::seed::Dice;

/// The session that a resync's begin and end are about.
const NOBODY: usize = usize::MAX;

/// Event records that the ring holds.
const RING_RECORDS: u64 = 64;
/// Counter slots of a plane: some for each subscriber, for a slot is kept until the engine has read it, and some besides.
const SLOTS_PER_NAME: usize = 8;
const SLOTS_LEAST: usize = 1024;
/// Verdicts that the plane leaves unread at most.
pub(crate) const VERDICTS_MAX: usize = 8;

/// One packet plane.
pub(crate) struct Plane {
    dice: Dice,
    /// What decides of limits and IPv6 addresses, where there are any.
    limits: Option<Dice>,
    /// Its place among the planes.
    number: usize,
    pub(crate) name: String,
    /// Which memory it has.
    pub(crate) epoch: u64,
    /// Events that the engine has not consumed.
    ring: VecDeque<Saying>,
    pub(crate) produced: u64,
    pub(crate) consumed: u64,
    /// Events that found no room in the ring.
    backlog: VecDeque<(usize, What)>,
    slots: Vec<Slot>,
    /// What stands in them, for the engine to read.
    table: Table,
    slots_max: usize,
    /// Sessions by their names.
    live: BTreeMap<Vec<u8>, Live>,
    /// Whose each counter slot is or was, and in which memory.
    whose: HashMap<(u32, u32), (usize, u64)>,
    /// Verdicts that it has not read.
    pub(crate) verdicts: VecDeque<Said>,
    tells_time: bool,
    dual_stack: bool,
    domains: Vec<String>,
    /// So few that several subscribers have the same.
    has_few_addresses: bool,
    stretch: Stretch,
    /// No subscriber comes any more.
    pub(crate) closing: bool,
    /// It does not obey every cut: some subscribers stay until they go by themselves.
    pub(crate) disobeys: Option<Dice>,
    /// Events that found the ring full.
    pub(crate) waited: u64,
}

/// A verdict in the plane's memory.
pub(crate) struct Said {
    /// Whose counter slot it names, and whether the plane knows that still.
    pub(crate) incarnation: usize,
    pub(crate) is_remembered: bool,
    pub(crate) name: Vec<u8>,
    pub(crate) sentence: Sentence,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    counters: Counters,
    used: bool,
    /// Free again when so much of the ring is consumed: the engine is still to read the last count.
    held_until: Option<u64>,
}

/// A subscriber who is online, or waits to be let in.
struct Live {
    incarnation: usize,
    who: Who,
    counters: CounterSlot,
    at: Option<Wall>,
    admitted: bool,
    /// Octets a second, about.
    rate: u64,
}

impl Plane {
    pub(crate) fn new(number: usize, scenario: &Scenario, mut dice: Dice) -> Plane {
        let slots_max = SLOTS_LEAST + SLOTS_PER_NAME * scenario.names_per_plane;
        let limits = scenario.has_terms.then(|| dice.beside(TERMS));
        let epoch = 1 + dice.below(1 << 40);
        Plane {
            limits,
            number,
            name: format!("vpp{number}"),
            epoch,
            ring: VecDeque::new(),
            produced: 0,
            consumed: 0,
            backlog: VecDeque::new(),
            slots: Vec::new(),
            table: Table::new(epoch, slots_max),
            slots_max,
            live: BTreeMap::new(),
            whose: HashMap::new(),
            verdicts: VecDeque::new(),
            tells_time: dice.chance(30),
            dual_stack: dice.chance(50),
            domains: scenario.domains.clone(),
            has_few_addresses: scenario.is_ordered(),
            stretch: scenario.stretch,
            closing: false,
            disobeys: None,
            waited: 0,
            dice,
        }
    }

    /// The event at this position of the ring, or the first behind it.
    pub(crate) fn next(&self, position: u64) -> Option<&Saying> {
        self.ring.get(self.ring.partition_point(|saying| saying.position < position))
    }

    /// The engine will not read again what lies before `position`.
    pub(crate) fn consume(&mut self, position: u64) {
        while self.ring.front().is_some_and(|saying| saying.end <= position) {
            self.ring.pop_front();
        }
        self.consumed = position;
        for (index, slot) in (0..).zip(&mut self.slots) {
            if slot.held_until.is_some_and(|until| until <= position) {
                *slot = Slot::default();
                self.table.free(index);
            }
        }
        self.fill_ring();
    }

    /// Whether so much of what was read before `position` is not consumed that there may be no room for more.
    pub(crate) fn is_crowded(&self, position: u64) -> bool {
        position.saturating_sub(self.consumed) >= RING_RECORDS / 2
    }

    /// Whether the engine has consumed all that was ever said.
    pub(crate) fn is_quiet(&self) -> bool {
        self.ring.is_empty() && self.backlog.is_empty()
    }

    /// A subscriber who is online: its name and address.
    pub(crate) fn somebody(&self, dice: &mut Dice) -> Option<(Vec<u8>, u32)> {
        let live = (!self.live.is_empty()).then(|| dice.index(self.live.len()))?;
        self.live.values().nth(live).map(|live| (live.who.user.clone(), live.who.framed_ip.to_bits()))
    }

    /// Whether nobody is online.
    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// What stands in a slot.
    pub(crate) fn read(&self, slot: CounterSlot) -> Option<Counters> {
        self.table.read(slot)
    }

    /// Everybody moves some octets. More than 2³³ of them where a subscriber is that fast. Returns how many moved some.
    pub(crate) fn count(&mut self, now: Now, oracle: &mut Oracle) -> u32 {
        let mut up = 0;
        for live in self.live.values().filter(|live| live.admitted) {
            let Totals { in_octets, in_packets, out_octets, out_packets } =
                Totals { in_octets: live.rate / 9, in_packets: 1, out_octets: live.rate, out_packets: 2 };
            let more = |dice: &mut Dice| Totals {
                in_octets: dice.below(in_octets + 1),
                in_packets: dice.below(in_packets + 10),
                out_octets: dice.below(out_octets + 1),
                out_packets: dice.below(out_packets + 10),
            };
            let v4 = more(&mut self.dice);
            let v6 = if self.dual_stack { more(&mut self.dice) } else { Totals::default() };
            let counted = Counters { v4, v6 };
            let slot = &mut self.slots[live.counters.slot as usize];
            slot.counters = slot.counters.plus(counted);
            self.table.store(live.counters, slot.counters);
            oracle.counted(now.mono, live.incarnation, counted);
            up += 1;
        }
        up
    }

    /// The subscriber of this name does something; says when it does the next thing.
    pub(crate) fn act(&mut self, now: Now, name: &[u8], pace: u64, oracle: &mut Oracle) -> Duration {
        let dice = &mut self.dice;
        match self.live.get(name) {
            None if self.closing => return Duration::from_secs(3600),
            None => self.up(now, name, oracle),
            Some(_) if self.closing => self.down(now, name, oracle),
            Some(live) => match dice.below(20) {
                0 => self.reset(name, oracle),
                1..=3 => self.update(name, oracle),
                4 => self.up(now, name, oracle),
                5..=9 => self.down(now, name, oracle),
                // Some give up before they are let in.
                10 if !live.admitted => self.down(now, name, oracle),
                _ => {}
            },
        }
        self.dice.seconds(1, pace)
    }

    /// Reads the verdicts.
    pub(crate) fn read_verdicts(&mut self, now: Now, oracle: &mut Oracle) {
        while let Some(Said { incarnation, is_remembered, name, sentence }) = self.verdicts.pop_front() {
            // A verdict on an earlier session of this name was known by its counter slot, and means nothing. One on a
            // session that the plane does not have crossed its end, perhaps in an announcement: it is told again.
            let Some(live) = self.live.get_mut(&name) else {
                if matches!(sentence, Sentence::Admit | Sentence::Redirect | Sentence::Cut) {
                    let down = What::Down { name, cause: 9, totals: Some(Counters::ZERO), at: None };
                    self.say(incarnation, down, oracle);
                }
                continue;
            };
            if incarnation != live.incarnation || !is_remembered {
                continue;
            }
            match sentence {
                Sentence::Admit | Sentence::Redirect => {
                    live.admitted = true;
                    oracle.let_in(live.incarnation);
                }
                Sentence::Refuse => {
                    oracle.turned_away(live.incarnation);
                    let slot = live.counters;
                    self.live.remove(&name);
                    self.release(slot);
                }
                Sentence::Cut if self.disobeys.as_mut().is_some_and(|dice| dice.chance(40)) => {
                    oracle.stays(live.incarnation);
                }
                Sentence::Cut => self.end(now, &name, 10, oracle),
            }
        }
    }

    /// All live sessions are announced; to be called after linking.
    pub(crate) fn announce(&mut self, oracle: &mut Oracle) {
        self.say(NOBODY, What::ResyncBegin, oracle);
        let all: Vec<_> = self
            .live
            .iter()
            .map(|(name, live)| {
                let (who, counters, at) = (live.who.clone(), live.counters, live.at);
                let up = What::Up { name: name.clone(), who, counters, at, replaces: None };
                (live.incarnation, up)
            })
            .collect();
        for (incarnation, up) in all {
            self.say(incarnation, up, oracle);
        }
        self.say(NOBODY, What::ResyncEnd, oracle);
    }

    /// The plane's process dies and loses its memory. Of the sessions that the engine has heard of, some live on, with
    /// counters that begin anew; a plane that comes back announces them first of all.
    pub(crate) fn lose_memory(&mut self, oracle: &mut Oracle) {
        let mut unheard = self.forget();
        let survival = self.dice.pick(&[0, 50, 100]);
        let live = std::mem::take(&mut self.live);
        for (name, mut live) in live {
            oracle.counters_lost(live.incarnation);
            if !unheard.contains(&live.incarnation) && self.dice.chance(survival) {
                live.counters = self.take_slot(live.incarnation);
                self.live.insert(name, live);
            } else {
                unheard.insert(live.incarnation);
            }
        }
        unheard.into_iter().for_each(|incarnation| oracle.vanished(incarnation));
        self.announce(oracle);
    }

    /// The box is booted: nobody is online, and nothing is left of what was said.
    pub(crate) fn boot(&mut self, oracle: &mut Oracle) {
        self.forget();
        self.live.clear();
        self.announce(oracle);
    }

    /// The ring, the verdicts and the counters are gone. Sessions about which something stood in the ring.
    fn forget(&mut self) -> BTreeSet<usize> {
        self.epoch += 1 + self.dice.below(1000);
        (self.produced, self.consumed) = (0, 0);
        let said = self.ring.drain(..).map(|saying| (saying.incarnation, saying.what)).chain(self.backlog.drain(..));
        let mut unheard = BTreeSet::new();
        for (incarnation, what) in said {
            match what {
                What::Up { replaces, .. } => {
                    unheard.insert(incarnation);
                    unheard.extend(replaces);
                }
                What::Down { .. } => _ = unheard.insert(incarnation),
                _ => {}
            }
        }
        self.verdicts.clear();
        self.slots.clear();
        self.table = Table::new(self.epoch, self.slots_max);
        unheard
    }

    fn up(&mut self, now: Now, name: &[u8], oracle: &mut Oracle) {
        let old = self.live.remove(name);
        let replaces = old.as_ref().map(|old| old.incarnation);
        if let Some(old) = old {
            // An implied down: nobody says the totals, so the slot is kept until the engine has read it.
            oracle.gone(old.incarnation, 9);
            self.slots[old.counters.slot as usize].held_until = Some(u64::MAX);
        }
        let domain = self.dice.index(self.domains.len());
        let number = self.dice.next();
        let who = Who {
            user: [name, b"@", self.domains[domain].as_bytes()].concat(),
            domain: self.dice.chance(50).then(|| self.domains[domain].clone().into_bytes()),
            framed_ip: address(number & if self.has_few_addresses { 0x1f } else { 0xffff }),
            framed_ipv6: self.limits.as_mut().and_then(|dice| dice.chance(50).then(|| ipv6(number))),
            limits: self.limits.as_mut().map(|dice| limits(dice, self.stretch)).unwrap_or_default(),
            mac: [2, 0, 0, 0, 0, number.to_le_bytes()[2]],
            class: (0..self.dice.below(3)).map(|n| vec![n.to_le_bytes()[0]; 8]).collect(),
            acct_interim_interval: self
                .dice
                .chance(10)
                .then(|| self.stretch.of_interval_s(self.dice.pick(&[30, 60, 75]))),
        };
        let at = self.tells_time.then_some(now.wall);
        let incarnation = oracle.came(self.number, name, domain, &who);
        let counters = self.take_slot(incarnation);
        let rate = self.dice.pick(&[1_000, 1_000_000, 1 << 28, 1 << 31]);
        let live = Live { incarnation, who: who.clone(), counters, at, admitted: false, rate };
        self.live.insert(name.to_vec(), live);
        let end = self.say(incarnation, What::Up { name: name.to_vec(), who, counters, at, replaces }, oracle);
        for slot in self.slots.iter_mut().filter(|slot| slot.held_until == Some(u64::MAX)) {
            slot.held_until = Some(end);
        }
    }

    fn down(&mut self, now: Now, name: &[u8], oracle: &mut Oracle) {
        let cause = self.dice.pick(&[1, 2, 4, 5, 6]);
        self.end(now, name, cause, oracle);
    }

    fn end(&mut self, now: Now, name: &[u8], cause: u8, oracle: &mut Oracle) {
        let Some(live) = self.live.remove(name) else { return };
        let totals = self.slots[live.counters.slot as usize].counters;
        let at = self.tells_time.then_some(now.wall);
        oracle.gone(live.incarnation, cause);
        let down = What::Down { name: name.to_vec(), cause, totals: Some(totals), at };
        self.say(live.incarnation, down, oracle);
        self.release(live.counters);
    }

    fn update(&mut self, name: &[u8], oracle: &mut Oracle) {
        let Some(live) = self.live.get_mut(name) else { return };
        let drawn = self.dice.next();
        live.who.framed_ip = if self.has_few_addresses {
            // Not one that it had a moment ago: who moved there and back has nothing to tell.
            address(u64::from(live.who.framed_ip.to_bits() & 0xffff) + 1 + drawn % 3)
        } else {
            // Another one, for certain: an update tells something.
            Ipv4Addr::from_bits(live.who.framed_ip.to_bits() ^ (1 + (drawn % 0xffff) as u32))
        };
        if let Some(dice) = self.limits.as_mut().filter(|_| live.who.framed_ipv6.is_none()) {
            live.who.framed_ipv6 = dice.chance(50).then(|| ipv6(dice.next()));
        }
        oracle.moved(live.incarnation, live.who.framed_ip);
        let (incarnation, framed_ip, framed_ipv6) = (live.incarnation, live.who.framed_ip, live.who.framed_ipv6);
        self.say(incarnation, What::Update { name: name.to_vec(), framed_ip, framed_ipv6 }, oracle);
    }

    fn reset(&mut self, name: &[u8], oracle: &mut Oracle) {
        let Some(live) = self.live.get(name) else { return };
        let (incarnation, old) = (live.incarnation, live.counters);
        oracle.counters_lost(incarnation);
        let counters = self.renew(old.slot as usize, incarnation);
        if let Some(live) = self.live.get_mut(name) {
            live.counters = counters;
        }
        self.say(incarnation, What::Reset { name: name.to_vec(), counters }, oracle);
    }

    fn take_slot(&mut self, incarnation: usize) -> CounterSlot {
        let index = self.slots.iter().position(|slot| !slot.used).unwrap_or(self.slots.len());
        if index == self.slots.len() {
            self.slots.push(Slot::default());
        }
        self.renew(index, incarnation)
    }

    /// The slot is one session's from now on, or in another generation.
    fn renew(&mut self, index: usize, incarnation: usize) -> CounterSlot {
        self.slots[index] = Slot { used: true, ..Slot::default() };
        let slot = self.table.renew(index);
        self.whose.insert((slot.slot, slot.generation), (incarnation, self.epoch));
        slot
    }

    /// Which session is or was counted in this slot; and whether the plane knows that still, and has not lost its memory since.
    pub(crate) fn whose(&self, slot: CounterSlot) -> Option<(usize, bool)> {
        let (incarnation, epoch) = self.whose.get(&(slot.slot, slot.generation))?;
        Some((*incarnation, *epoch == self.epoch))
    }

    fn release(&mut self, slot: CounterSlot) {
        self.slots[slot.slot as usize] = Slot::default();
        self.table.free(slot.slot);
    }

    /// Says it, and lets the oracle know where it stands. The position behind it is known before there is room: what
    /// waits is written in order.
    fn say(&mut self, incarnation: usize, what: What, oracle: &mut Oracle) -> u64 {
        let waiting: u64 = self.backlog.iter().map(|(_, what)| what.records()).sum();
        let position = self.produced + waiting;
        let end = position + what.records();
        oracle.said(&self.name, self.epoch, position, incarnation);
        self.backlog.push_back((incarnation, what));
        self.fill_ring();
        self.waited += u64::from(!self.backlog.is_empty());
        end
    }

    fn fill_ring(&mut self) {
        while let Some((_, what)) = self.backlog.front()
            && self.produced + what.records() - self.consumed <= RING_RECORDS
        {
            let records = what.records();
            let Some((incarnation, what)) = self.backlog.pop_front() else { return };
            let position = self.produced;
            self.produced += records;
            self.ring.push_back(Saying { incarnation, position, end: self.produced, what });
        }
    }

    /// The names that subscribers of this plane have.
    pub(crate) fn names(count: usize) -> BTreeSet<Vec<u8>> {
        (0..count).map(|number| format!("s{number}").into_bytes()).collect()
    }
}

fn limits(dice: &mut Dice, stretch: Stretch) -> Limits {
    Limits {
        session_timeout: dice.chance(10).then(|| stretch.of_s(dice.pick(&[20, 90]))),
        time_quota: dice.chance(10).then(|| stretch.of_s(dice.pick(&[20, 90])).into()),
        volume_quota: dice.chance(10).then(|| dice.pick(&[10_000, 1 << 30])),
    }
}

/// Somebody's address.
fn ipv6(number: u64) -> Ipv6Addr {
    Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(number & 0xffff))
}

fn address(number: u64) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x6440_0000 | u32::try_from(number).unwrap_or_default())
}
