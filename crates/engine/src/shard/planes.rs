//! The packet planes as the shard knows them: whether they are linked, and where a resync stands.

use std::collections::VecDeque;
use std::time::Duration;

use model::counters::{CounterSlot, CounterSource, Counters};
use model::event::EventOrigin;
use model::ids::{PlaneIndex, RELAY_PLANE};
use model::marks::{self, Mark};
use model::record::{Heard, TakenOver};
use model::time::{Mono, Now};

use super::Shard;
use super::history::{HeardBefore, History, Share};
use super::intake::Ending;
use super::relaying::RelayRules;
use crate::session::{Flags, NO_EVENT, Slot, State};

/// Acct-Terminate-Cause *Lost Service* (RFC 2866 section 5.10).
pub(super) const LOST_SERVICE: u8 = 3;

/// One packet plane.
#[derive(Clone, Debug)]
struct Plane {
    name: String,
    /// Which memory its positions count in.
    epoch: u64,
    /// Since when it is linked.
    linked: Option<Mono>,
    /// It announces nobody in a new memory: whom it brings up is new.
    new_start: bool,
    /// Its counters have 32 bits.
    narrow: bool,
    /// When its link was lost, or the engine started without it.
    lost: Mono,
    /// The bit that sessions of the present round of resync carry.
    round: bool,
    resyncing: bool,
    /// How many event rings it has, and those that have said the end of the present round, a bit each.
    rings: u16,
    ended: u64,
    /// The present round, or a part of it, was read again after a crash.
    stale: bool,
    /// What earlier lives took over, and how far this one has come.
    history: History,
    /// For each ring, the position behind the last event that this life took.
    handled: Vec<u64>,
    /// When events of it were last left unread.
    events_left: Option<Mono>,
    /// Sessions that are provisional, and the rings of their events.
    provisional: Vec<(u16, Slot)>,
    /// It is a relay client, and this is what to do with its sessions.
    relay: Option<RelayRules>,
    /// Seconds between two reports of a session of it, as far as they are alike; 0: not known.
    gap_s: u32,
    /// Sessions of it that were silent for too long.
    silent: u64,
    /// Sessions of it that are online.
    online: u64,
}

impl Plane {
    /// The greatest position of a ring that an earlier life took over.
    fn newest_taken_over(&self, ring: u16) -> Option<u64> {
        self.history.newest(self.epoch, ring)
    }

    /// The memory whose positions this life counts in; `None` before the plane has linked.
    fn known_epoch(&self) -> Option<u64> {
        (self.epoch != 0).then_some(self.epoch)
    }
}

/// Whether an event was there before. A ring is read from what was consumed, so a crash and a lost link bring
/// events again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It was not, as far as is known.
    New,
    /// This life took it.
    Again,
    /// An earlier life took it over: what it says is in the ledger.
    TakenOver,
}

/// All planes that were ever linked in this life, or own a session.
pub(super) struct Planes {
    items: Vec<Plane>,
    grace: Duration,
    /// Whose events are this shard's.
    share: Share,
    session_hash: fn(&[u8]) -> u64,
}

impl Planes {
    pub(super) fn new(share: Share, session_hash: fn(&[u8]) -> u64) -> Planes {
        Planes { items: Vec::new(), grace: Duration::ZERO, share, session_hash }
    }

    pub(super) fn name(&self, plane: PlaneIndex) -> &str {
        self.items.get(usize::from(plane.0)).map_or("", |plane| &plane.name)
    }

    pub(super) fn epoch(&self, plane: PlaneIndex) -> u64 {
        self.items.get(usize::from(plane.0)).map_or(0, |plane| plane.epoch)
    }

    /// Sessions of a lost plane outlive it by so long; zero: for ever.
    pub(super) fn set_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    /// The bit that a session carries which is announced now, or has just come up.
    pub(super) fn round(&self, plane: PlaneIndex) -> bool {
        self.items.get(usize::from(plane.0)).is_some_and(|plane| plane.round)
    }

    /// When events of this plane were last left unread.
    pub(super) fn events_left(&self, plane: PlaneIndex) -> Option<Mono> {
        self.items.get(usize::from(plane.0)).and_then(|plane| plane.events_left)
    }

    pub(super) fn is_new_start(&self, plane: PlaneIndex) -> bool {
        self.items.get(usize::from(plane.0)).is_some_and(|plane| plane.new_start)
    }

    pub(super) fn is_narrow(&self, plane: PlaneIndex) -> bool {
        self.items.get(usize::from(plane.0)).is_some_and(|plane| plane.narrow)
    }

    pub(super) fn is_resyncing(&self, plane: PlaneIndex) -> bool {
        self.items.get(usize::from(plane.0)).is_some_and(|plane| plane.resyncing)
    }

    /// Recognises an event about this session, and from now on has it as taken. An event about all sessions is never taken
    /// for one that was heard: what it begins or ends has to be gone through again.
    pub(super) fn recognise(&mut self, origin: EventOrigin, name: &[u8]) -> Delivery {
        let hash = (!name.is_empty()).then(|| (self.session_hash)(name));
        let Some(plane) = self.items.get_mut(usize::from(origin.plane.0)) else { return Delivery::New };
        let ring = usize::from(origin.ring);
        if plane.handled.len() <= ring {
            plane.handled.resize(ring + 1, 0);
        }
        if origin.position < plane.handled[ring] {
            return Delivery::Again;
        }
        plane.handled[ring] = origin.position + 1;
        let Plane { history, epoch, .. } = plane;
        let heard = hash.is_some_and(|hash| history.was_heard(*epoch, origin.ring, origin.position, hash));
        let [said, gone] = [origin.ring, origin.ring | TakenOver::GONE]
            .map(|ring| history.has_taken_over(*epoch, ring, origin.position));
        if heard || said || gone { Delivery::TakenOver } else { Delivery::New }
    }

    /// Whether an earlier life closed a session because of this Up, and did not come to open the new one.
    pub(super) fn was_implied(&self, origin: EventOrigin) -> bool {
        let plane = self.items.get(usize::from(origin.plane.0));
        let ring = origin.ring | TakenOver::IMPLIED;
        plane.is_some_and(|plane| plane.history.has_taken_over(plane.epoch, ring, origin.position))
    }

    /// Sessions that are provisional.
    pub(super) fn provisional_count(&self) -> u64 {
        self.items.iter().map(|plane| plane.provisional.len() as u64).sum()
    }

    /// Whether a session waits to be told to the ledger.
    pub(super) fn has_provisional(&self) -> bool {
        self.items.iter().any(|plane| !plane.provisional.is_empty())
    }

    /// Whether an earlier life took over something behind this event, and so perhaps the end of what it begins.
    pub(super) fn is_history(&self, origin: EventOrigin) -> bool {
        let plane = self.items.get(usize::from(origin.plane.0));
        plane.and_then(|plane| plane.newest_taken_over(origin.ring)).is_some_and(|newest| origin.position < newest)
    }

    /// Since when the plane is there to hear a verdict; `None`: it is not.
    pub(super) fn linked_since(&self, plane: PlaneIndex) -> Option<Mono> {
        self.items.get(usize::from(plane.0)).and_then(|plane| plane.linked)
    }

    /// Whether it is a relay client, or was one.
    pub(super) fn is_relay(&self, plane: PlaneIndex) -> bool {
        self.name(plane).starts_with(RELAY_PLANE)
    }

    /// What to do with sessions of a relay client; `None`: it is none, or not any more.
    pub(super) fn relay(&self, plane: PlaneIndex) -> Option<&RelayRules> {
        self.items.get(usize::from(plane.0))?.relay.as_ref()
    }

    /// Seconds between two reports of a session of this client; 0: not known.
    pub(super) fn gap(&self, plane: PlaneIndex) -> u32 {
        self.items.get(usize::from(plane.0)).map_or(0, |item| item.gap_s)
    }

    /// Two interims of a session of this client came so many seconds one after the other. The longest counts, and is forgotten slowly.
    pub(super) fn note_gap(&mut self, plane: PlaneIndex, gap_s: u32) {
        if let Some(item) = self.items.get_mut(usize::from(plane.0)) {
            item.gap_s = gap_s.max(item.gap_s - item.gap_s / 256);
        }
    }

    /// A session of this client was silent for too long.
    pub(super) fn note_silent(&mut self, plane: PlaneIndex) {
        if let Some(item) = self.items.get_mut(usize::from(plane.0)) {
            item.silent += 1;
        }
    }

    /// A session of this client has come online, or has gone.
    pub(super) fn note_online(&mut self, plane: PlaneIndex, comes: bool) {
        if let Some(item) = self.items.get_mut(usize::from(plane.0)) {
            item.online = if comes { item.online + 1 } else { item.online.saturating_sub(1) };
        }
    }

    /// Sessions of this client that are online.
    pub(super) fn online(&self, plane: PlaneIndex) -> u64 {
        self.items.get(usize::from(plane.0)).map_or(0, |item| item.online)
    }

    /// Sessions of this client that were.
    pub(super) fn silent(&self, plane: PlaneIndex) -> u64 {
        self.items.get(usize::from(plane.0)).map_or(0, |item| item.silent)
    }

    /// When the grace of the next lost plane ends.
    pub(super) fn next_timeout(&self) -> Option<Mono> {
        if self.grace.is_zero() {
            return None;
        }
        self.items
            .iter()
            .filter(|plane| plane.linked.is_none() && plane.lost != FOR_GOOD)
            .map(|plane| plane.lost.plus(self.grace))
            .min()
    }
}

/// The memory of a plane that is gone.
struct NoCounters;

impl CounterSource for NoCounters {
    fn read(&self, _: PlaneIndex, _: CounterSlot) -> Option<Counters> {
        None
    }
}

/// A plane has at most 64 rings.
fn ring_bit(ring: u16) -> u64 {
    1 << (ring % 64)
}

/// `lost` of a plane whose sessions have been closed.
const FOR_GOOD: Mono = Mono::from_nanos(u64::MAX);

impl Shard {
    /// A relay client is a plane that is always there, until it is configured no more.
    pub(super) fn relay_client(&mut self, now: Mono, plane: PlaneIndex, name: &str, rules: Option<RelayRules>) {
        let item = self.plane_mut(plane, name);
        match (rules, item.relay.is_some()) {
            (Some(_), _) => item.linked = Some(item.linked.unwrap_or(now)),
            (None, true) => (item.linked, item.lost) = (None, now),
            (None, false) => {}
        }
        item.relay = rules;
    }

    /// Names a plane that has sessions in the ledger but is not linked yet; its grace begins.
    pub fn handle_plane_known(&mut self, now: Mono, plane: PlaneIndex, name: &str, taken_over: Vec<TakenOver>) {
        let item = self.plane_mut(plane, name);
        if item.relay.is_none() {
            item.linked = None;
            item.lost = now;
        }
        item.history.set_taken_over(taken_over);
    }

    /// What an earlier life had heard of a plane; an event before its `through` is not taken again. To be called for each
    /// such record, of any shard of that life, before the plane links.
    pub fn handle_heard(&mut self, plane: PlaneIndex, heard: &Heard<'_>) {
        let share = self.planes.share;
        self.plane_mut(plane, heard.plane).history.add_heard(heard, share);
    }

    /// A plane has linked, with this memory of 1 to 64 event rings.
    pub fn handle_plane_linked(&mut self, now: Mono, plane: PlaneIndex, name: &str, epoch: u64, rings: u16) {
        self.abandon_round(plane);
        let item = self.plane_mut(plane, name);
        item.linked = Some(now);
        (item.rings, item.ended) = (rings, 0);
        item.history.link(epoch, item.epoch != epoch);
        if item.epoch != epoch {
            item.epoch = epoch;
            item.handled.clear();
            self.stayed.forget(plane);
            self.drop_all_provisional(plane);
        }
    }

    /// Whether the plane that has just linked announces its sessions before anything else when its memory is new, or begins
    /// anew: then an Up of a session that is known from an older memory implies that it went down.
    pub fn handle_new_start(&mut self, plane: PlaneIndex, new_start: bool) {
        if let Some(item) = self.planes.items.get_mut(usize::from(plane.0)) {
            item.new_start = new_start;
        }
    }

    /// Events of this plane stay unread, or unsaid: there are too many for one turn, or what was read still takes up room in
    /// its ring. Other planes' sessions are none the wiser for what it may have said.
    pub fn handle_plane_events_left(&mut self, now: Mono, plane: PlaneIndex) {
        if let Some(item) = self.planes.items.get_mut(usize::from(plane.0)) {
            item.events_left = Some(now);
        }
    }

    /// Whether the counters of the plane that has just linked have 32 bits and begin again at zero behind the last of them.
    pub fn handle_narrow(&mut self, plane: PlaneIndex, narrow: bool) {
        if let Some(item) = self.planes.items.get_mut(usize::from(plane.0)) {
            item.narrow = narrow;
        }
    }

    /// A plane's link was lost. Its sessions go on; they outlive it by `plane-link grace`. `counters` can still read the
    /// plane's memory: what it counted to the end is read now, for it may not come back.
    pub fn handle_plane_lost(&mut self, now: Mono, plane: PlaneIndex, counters: &impl CounterSource) {
        self.abandon_round(plane);
        self.sample_plane(now, plane, counters);
        if let Some(item) = self.planes.items.get_mut(usize::from(plane.0)) {
            item.linked = None;
            item.lost = now;
        }
    }

    fn sample_plane(&mut self, now: Mono, plane: PlaneIndex, counters: &impl CounterSource) {
        for slot in self.table.slots() {
            let session = self.session(slot);
            let counts = matches!(session.state, State::Starting | State::Accounting | State::StartFailed);
            if session.plane != plane || !counts || session.is_down() {
                continue;
            }
            if let Some(read) = self.read_on(slot, counters).filter(|read| *read != self.table.counted(slot)) {
                self.table.set_counted(slot, read);
                self.account_mut(slot).sampled = now;
                self.owe_sample(slot);
            }
        }
    }

    fn plane_mut(&mut self, plane: PlaneIndex, name: &str) -> &mut Plane {
        let index = usize::from(plane.0);
        let unknown = Plane {
            name: String::new(),
            epoch: 0,
            linked: None,
            new_start: false,
            narrow: false,
            lost: FOR_GOOD,
            round: false,
            resyncing: false,
            rings: 1,
            ended: 0,
            stale: false,
            history: History::default(),
            handled: Vec::new(),
            events_left: None,
            provisional: Vec::new(),
            relay: None,
            gap_s: 0,
            silent: 0,
            online: 0,
        };
        if self.planes.items.len() <= index {
            self.planes.items.resize(index + 1, unknown);
        }
        let item = &mut self.planes.items[index];
        if item.name != name {
            name.clone_into(&mut item.name);
        }
        item
    }

    /// All live sessions of the plane will now be announced, in any of its rings; each ring says so.
    pub(super) fn resync_begins(&mut self, origin: EventOrigin) {
        let Some(item) = self.planes.items.get_mut(usize::from(origin.plane.0)) else { return };
        if !item.resyncing {
            item.resyncing = true;
            item.round = !item.round;
            item.ended = 0;
            item.stale = false;
        }
        item.ended &= !ring_bit(origin.ring);
    }

    /// A ring has announced its part. When all have, the sessions that nobody announced are gone.
    ///
    /// A resync that is read again after a crash may begin in the middle, and some sessions have come up behind it;
    /// the plane has linked anew and announces again. Gone all the same are those that its present memory has never
    /// spoken of.
    pub(super) fn resync_ends(&mut self, now: Now, origin: EventOrigin, counters: &impl CounterSource) {
        let history = self.planes.is_history(origin);
        let Some(item) = self.planes.items.get_mut(usize::from(origin.plane.0)) else { return };
        item.ended |= ring_bit(origin.ring);
        item.stale |= history;
        if item.ended.count_ones() < u32::from(item.rings) {
            return;
        }
        let (round, stale, whole) = (item.round, item.stale, item.resyncing);
        (item.resyncing, item.ended) = (false, 0);
        self.close_plane_sessions(now, origin.plane, Some(counters), |shard, slot| {
            let announced = shard.session(slot).flags.has(Flags::ROUND) == round;
            let by = shard.table.opened_by(slot);
            let came_before = by.ring == origin.ring && by.position < origin.position;
            shard.is_known_of_old(origin, slot) || whole && !announced && (!stale || came_before)
        });
        if stale {
            marks::hit(Mark::StaleResyncEnds);
            self.forget_round(origin.plane);
        }
    }

    /// Whether this memory of the plane has not spoken of the session yet.
    pub(super) fn is_known_of_old(&self, origin: EventOrigin, slot: Slot) -> bool {
        self.table.opened_by(slot).plane_epoch != self.planes.epoch(origin.plane)
    }

    /// The link was lost in the middle of a resync.
    fn abandon_round(&mut self, plane: PlaneIndex) {
        if let Some(item) = self.planes.items.get_mut(usize::from(plane.0)).filter(|item| item.resyncing) {
            item.resyncing = false;
            self.forget_round(plane);
        }
    }

    /// A round came to nothing: whoever it announced has to be announced in the next one too.
    fn forget_round(&mut self, plane: PlaneIndex) {
        let round = self.planes.round(plane);
        for slot in self.table.slots() {
            let session = self.session_mut(slot);
            if session.plane == plane {
                session.flags.put(Flags::ROUND, round);
            }
        }
    }

    /// Whether the event was said before the last one that the session is known by: then it is about an earlier session
    /// of that name, or the session has it already.
    pub(super) fn predates(&self, origin: EventOrigin, slot: Slot) -> bool {
        let by = self.table.opened_by(slot);
        (by.plane_epoch, by.ring) == (self.planes.epoch(origin.plane), origin.ring) && origin.position <= by.position
    }

    /// A session that came up by this event may be one that an earlier life has brought to its end: the plane announced
    /// it, the engine had it already and wrote nothing. Its Down, or the next Up of its name, will tell.
    pub(super) fn hold_provisional(&mut self, origin: EventOrigin, slot: Slot) {
        if let Some(item) = self.planes.items.get_mut(usize::from(origin.plane.0)) {
            item.provisional.push((origin.ring, slot));
            self.session_mut(slot).flags.set(Flags::PROVISIONAL);
        }
    }

    /// An earlier life took this event about the name over, so it knew the session: a provisional one never was.
    pub(super) fn drop_provisional(&mut self, plane: PlaneIndex, name: &[u8]) {
        let Some(slot) = self.table.find(plane, name) else { return };
        if self.session(slot).flags.has(Flags::PROVISIONAL) {
            self.forget_provisional(slot);
        }
    }

    /// The plane lost its memory, and with it what would tell. Nobody was let in by this life's word, and whoever is
    /// online will be announced.
    fn drop_all_provisional(&mut self, plane: PlaneIndex) {
        let first = |shard: &Shard| shard.planes.items[usize::from(plane.0)].provisional.first().map(|&(_, slot)| slot);
        while let Some(slot) = first(self) {
            self.forget_provisional(slot);
        }
    }

    pub(super) fn forget_provisional(&mut self, slot: Slot) {
        self.confirm(slot);
        self.delist(slot);
        self.session_mut(slot).state = State::Ending;
        self.release(slot);
    }

    /// Every event of the ring before `through` that is this shard's has been handed in. To be called when a ring has no
    /// more to read: once everything that an earlier life took over has been seen, who is provisional still is real.
    pub fn handle_ring_read(&mut self, plane: PlaneIndex, ring: u16, through: u64) {
        let index = usize::from(plane.0);
        if let Some(item) = self.planes.items.get_mut(index) {
            item.history.note_read(ring, through);
        }
        let waits = |item: &&Plane| item.provisional.iter().any(|&(other, _)| other == ring);
        let Some(item) = self.planes.items.get(index).filter(waits) else { return };
        if item.newest_taken_over(ring).is_some_and(|newest| through <= newest) {
            return;
        }
        while let Some(at) = self.planes.items[index].provisional.iter().position(|&(other, _)| other == ring) {
            let (_, slot) = self.planes.items[index].provisional[at];
            self.confirm(slot);
            self.begin_life(slot);
        }
    }

    /// The session is provisional no more.
    pub(super) fn confirm(&mut self, slot: Slot) {
        self.session_mut(slot).flags.put(Flags::PROVISIONAL, false);
        for item in &mut self.planes.items {
            item.provisional.retain(|&(_, other)| other != slot);
        }
    }

    /// Ends the grace of planes that did not come back.
    pub(super) fn expire_planes(&mut self, now: Now) {
        while self.planes.next_timeout().is_some_and(|next| next <= now.mono) {
            let grace = self.planes.grace;
            let expired =
                |plane: &Plane| plane.linked.is_none() && plane.lost != FOR_GOOD && plane.lost.plus(grace) <= now.mono;
            let Some(index) = self.planes.items.iter().position(expired) else { return };
            self.planes.items[index].lost = FOR_GOOD;
            #[expect(clippy::cast_possible_truncation, reason = "planes are numbered with 16 bits")]
            self.close_plane_sessions(now, PlaneIndex(index as u16), None::<&NoCounters>, |_, _| true);
        }
    }

    /// Ends sessions of a plane with what they counted last.
    fn close_plane_sessions(
        &mut self,
        now: Now,
        plane: PlaneIndex,
        counters: Option<&impl CounterSource>,
        gone: impl Fn(&Shard, Slot) -> bool,
    ) {
        for slot in self.table.slots() {
            let session = self.session(slot);
            let live = !matches!(session.state, State::Free | State::Refused | State::Ending) && !session.is_down();
            if live && session.plane == plane && gone(self, slot) {
                let read = counters.and_then(|counters| self.read_on(slot, counters));
                if self.session(slot).flags.has(Flags::RELAYED) {
                    self.end_as_reported(slot, now, LOST_SERVICE);
                    continue;
                }
                let last = read.unwrap_or(self.table.counted(slot));
                let taken_over = self.last_word(slot);
                self.close(
                    slot,
                    now,
                    &Ending { cause: LOST_SERVICE, counters: last, at: None, told: None, taken_over },
                );
            }
        }
    }

    /// What the present memory of its plane said last about the session. When that is read again after a crash, the session
    /// is known to be over.
    pub(super) fn last_word(&self, slot: Slot) -> TakenOver {
        let (by, plane) = (self.table.opened_by(slot), self.session(slot).plane);
        if by.plane_epoch != self.planes.epoch(plane) {
            return NO_EVENT;
        }
        TakenOver { ring: by.ring | TakenOver::GONE, ..by }
    }

    /// Whether records of an earlier life have to stay because nothing else tells which events it took over.
    pub(super) fn history_is_needed(&self) -> bool {
        let share = self.planes.share;
        self.planes.items.iter().any(|item| item.history.is_needed(item.known_epoch(), share))
    }

    /// How far this life and earlier ones have heard the rings of every plane, as of now.
    pub(super) fn add_heard_so_far(&self, all: &mut VecDeque<(PlaneIndex, HeardBefore)>) {
        let mut add = |plane: PlaneIndex, heard: HeardBefore| {
            let same = |(other, known): &&mut (PlaneIndex, HeardBefore)| {
                *other == plane
                    && (known.plane_epoch, known.ring, known.share) == (heard.plane_epoch, heard.ring, heard.share)
            };
            match all.iter_mut().find(same) {
                Some((_, known)) => known.through = known.through.max(heard.through),
                None => all.push_back((plane, heard)),
            }
        };
        let share = self.planes.share;
        for (plane, item) in (0..).map(PlaneIndex).zip(&self.planes.items) {
            let Plane { history, epoch: plane_epoch, .. } = item;
            for (ring, read) in history.read() {
                // What waits to be told to the ledger was not taken over yet.
                let waiting = item.provisional.iter().filter(|&&(other, _)| other == ring);
                let first = waiting.map(|&(_, slot)| self.table.opened_by(slot).position).min();
                let through = first.map_or(read, |first| read.min(first));
                if through > 0 {
                    add(plane, HeardBefore { plane_epoch: *plane_epoch, ring, through, share });
                }
            }
            history.unread_heard(item.known_epoch()).for_each(|heard| add(plane, heard));
        }
    }
}
