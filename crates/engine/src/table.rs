//! The session table: slots taken at start, found by slot or by (plane, the plane's own name), and linked into
//! the lanes that they wait in.

use lanes::prefetch;
use model::counters::{Counters, Totals};
use model::ids::PlaneIndex;
use model::record::{Sampled, TakenOver};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::hint::black_box;

use crate::annex::{Annex, AnnexRef, Annexes};
use crate::attributes::split;
use crate::blob::{BlobRef, Blobs};
use crate::names::Names;
use crate::origins::{OriginRef, Origins};
use crate::session::{Account, Beginning, Flags, Lane, NONE, Session, Slot, State};

/// Average octets of name and attributes that a session may have before the table is full of them.
const BLOB_OCTETS_MEAN: usize = 288;
/// As many as most of them have, beside what they share with others.
const BLOB_OCTETS_USUAL: usize = 112;

/// Sessions, as many as were counted out at start.
pub(crate) struct Table {
    pub(crate) sessions: Vec<Session>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) beginnings: Vec<Beginning>,
    annexes: Annexes,
    /// What was counted of IPv6, of those who have counted any: memory that nobody has written in takes nothing of the box.
    counted_v6: Vec<[u64; 4]>,
    pub(crate) blobs: Blobs,
    names: Names,
    origins: Origins,
    hash_key: [u8; 16],
    /// Room for the hashes of some names.
    hashes: Vec<u64>,
    free: Slot,
    used: usize,
    capacity: usize,
}

impl Table {
    /// For `capacity` sessions. `hash_key` keeps a plane from choosing names that collide.
    pub(crate) fn new(capacity: usize, hash_key: [u8; 16]) -> Table {
        Table {
            sessions: Vec::with_capacity(capacity),
            accounts: Vec::with_capacity(capacity),
            beginnings: Vec::with_capacity(capacity),
            annexes: Annexes::new(capacity),
            counted_v6: vec![[0; 4]; capacity],
            blobs: Blobs::new(capacity.saturating_mul(BLOB_OCTETS_MEAN)),
            names: Names::new(capacity),
            origins: Origins::new(),
            hash_key,
            hashes: Vec::new(),
            free: NONE,
            used: 0,
            capacity,
        }
    }

    /// Touches the memory of so many sessions, which is that of those that come first. Only before the table begins.
    pub(crate) fn make_ready(&mut self, sessions: usize) {
        assert!(self.used == 0 && sessions <= self.capacity, "no session is in the way");
        self.sessions.resize(sessions, Session::FREE);
        self.accounts.resize(sessions, Account::FREE);
        self.beginnings.resize(sessions, Beginning::NONE);
        self.blobs.make_ready(sessions * BLOB_OCTETS_USUAL);
    }

    /// The memory of so many sessions has been touched, before the table begins.
    pub(crate) fn ready(&self) -> usize {
        self.sessions.len()
    }

    /// An empty table with this key, however much of its memory is ready.
    pub(crate) fn begin(mut self, hash_key: [u8; 16]) -> Table {
        self.sessions.clear();
        self.accounts.clear();
        self.beginnings.clear();
        Table { hash_key, ..self }
    }

    /// Slots in use.
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// Sessions that are found by their names: those that are online, and who has been refused and is there still.
    pub(crate) fn named(&self) -> u64 {
        self.names.len() as u64
    }

    /// Slots in all.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Every slot that was ever used; look at the state before believing it.
    pub(crate) fn slots(&self) -> std::ops::Range<Slot> {
        #[expect(clippy::cast_possible_truncation, reason = "the wheel refuses more owners than 32 bits")]
        let end = self.sessions.len() as Slot;
        0..end
    }

    /// Takes a slot for a session with this name and these attributes; `None` when slots or octets have run out.
    pub(crate) fn insert(&mut self, plane: PlaneIndex, name: &[u8], attributes: &[u8]) -> Option<Slot> {
        let session = Session { plane, state: State::Starting, ..Session::FREE };
        self.place(&session, &Account::FREE, name, attributes)
    }

    /// The same for a session of which more is known. Its blob is made here.
    pub(crate) fn place(
        &mut self,
        session: &Session,
        account: &Account,
        name: &[u8],
        attributes: &[u8],
    ) -> Option<Slot> {
        if self.used == self.capacity {
            return None;
        }
        let session = Session { blob: self.blobs.store(name, split(attributes))?, ..*session };
        self.used += 1;
        if self.free == NONE {
            let slot = self.slots().end;
            self.sessions.push(session);
            self.accounts.push(*account);
            self.beginnings.push(Beginning::NONE);
            return Some(slot);
        }
        let slot = self.free;
        self.free = self.sessions[slot as usize].next;
        self.sessions[slot as usize] = session;
        self.accounts[slot as usize] = *account;
        self.beginnings[slot as usize] = Beginning::NONE;
        Some(slot)
    }

    /// Makes the slot findable by its name.
    pub(crate) fn enlist(&mut self, slot: Slot) {
        let Table { sessions, blobs, names, hash_key, .. } = self;
        let hash_of = |slot: &Slot| {
            let session = &sessions[*slot as usize];
            hash(hash_key, session.plane, blobs.name(session.blob))
        };
        names.insert(hash_of(&slot), slot, hash_of);
    }

    /// The same for some at once: the places of all of them in memory are waited for together.
    pub(crate) fn enlist_all(&mut self, slots: &[Slot]) {
        let hash_of = |slot: Slot| {
            let session = &self.sessions[slot as usize];
            hash(&self.hash_key, session.plane, self.blobs.name(session.blob))
        };
        self.hashes.clear();
        self.hashes.extend(slots.iter().map(|&slot| hash_of(slot)));
        // What is looked for does not matter: nothing of it is found.
        black_box(self.hashes.iter().filter(|&&hash| self.names.find(hash, |_| false).is_some()).count());
        let Table { sessions, blobs, names, hash_key, hashes, .. } = self;
        for (&slot, &own) in slots.iter().zip(hashes.iter()) {
            names.insert(own, slot, |&slot| {
                let session = &sessions[slot as usize];
                hash(hash_key, session.plane, blobs.name(session.blob))
            });
        }
    }

    /// Asks for the memory of a session that is served soon.
    pub(crate) fn prefetch(&self, slot: Slot) {
        prefetch::read(&self.sessions[slot as usize]);
        prefetch::read(&self.accounts[slot as usize]);
    }

    /// What the session has counted over all generations, as last read.
    pub(crate) fn counted(&self, slot: Slot) -> Counters {
        let account = &self.accounts[slot as usize];
        let v6 = match self.sessions[slot as usize].flags.has(Flags::COUNTS_V6) {
            true => {
                let [in_octets, in_packets, out_octets, out_packets] = self.counted_v6[slot as usize];
                Totals { in_octets, in_packets, out_octets, out_packets }
            }
            false => Totals::default(),
        };
        Counters { v4: account.counted_v4, v6 }
    }

    /// What the ledger is told of that.
    pub(crate) fn sampled(&self, slot: Slot) -> Sampled {
        let (session, account) = (&self.sessions[slot as usize], &self.accounts[slot as usize]);
        Sampled {
            serial: session.serial.parts(),
            at: account.sampled,
            counters: self.counted(slot),
            interim_failures: account.interim_failures,
            cut: account.cut,
        }
    }

    /// It was read again.
    pub(crate) fn set_counted(&mut self, slot: Slot, Counters { v4, v6 }: Counters) {
        let account = &mut self.accounts[slot as usize];
        account.counted_v4 = v4;
        let flags = &mut self.sessions[slot as usize].flags;
        if v6 != Totals::default() {
            flags.set(Flags::COUNTS_V6);
        }
        if flags.has(Flags::COUNTS_V6) {
            self.counted_v6[slot as usize] = [v6.in_octets, v6.in_packets, v6.out_octets, v6.out_packets];
        }
    }

    /// The last event that its `opened` record tells of.
    pub(crate) fn opened_by(&self, slot: Slot) -> TakenOver {
        self.origins.event(self.accounts[slot as usize].origin, self.beginnings[slot as usize].opened_by)
    }

    /// It tells of this one now.
    pub(crate) fn set_opened_by(&mut self, slot: Slot, event: TakenOver) {
        let held = self.origins.hold(event);
        self.beginnings[slot as usize].opened_by = event.position;
        let account = &mut self.accounts[slot as usize];
        self.origins.release(std::mem::replace(&mut account.origin, held));
    }

    /// What the session has beside its account.
    pub(crate) fn annex(&self, slot: Slot) -> &Annex {
        self.annexes.get(self.accounts[slot as usize].annex)
    }

    /// The same, to be written in.
    pub(crate) fn annex_mut(&mut self, slot: Slot) -> &mut Annex {
        self.annexes.get_mut(&mut self.accounts[slot as usize].annex)
    }

    /// The slot is no longer found by its name, which another session may now take.
    pub(crate) fn delist(&mut self, slot: Slot) {
        let hash = self.hash_of_slot(slot);
        self.names.remove(hash, slot);
    }

    /// By what the name of a session is found.
    pub(crate) fn hash_of(&self, plane: PlaneIndex, name: &[u8]) -> u64 {
        hash(&self.hash_key, plane, name)
    }

    /// The same of one that is there.
    pub(crate) fn hash_of_slot(&self, slot: Slot) -> u64 {
        let session = &self.sessions[slot as usize];
        hash(&self.hash_key, session.plane, self.blobs.name(session.blob))
    }

    /// The live session of this name.
    pub(crate) fn find(&self, plane: PlaneIndex, name: &[u8]) -> Option<Slot> {
        let same = |&slot: &Slot| {
            let session = &self.sessions[slot as usize];
            session.plane == plane && self.blobs.name(session.blob) == name
        };
        self.names.find(hash(&self.hash_key, plane, name), same)
    }

    /// Keeps other attributes for a session, beside its own; `None` when there is no room. They are either
    /// [adopted](Table::adopt) or released.
    pub(crate) fn store_beside(&mut self, slot: Slot, attributes: &[u8]) -> Option<BlobRef> {
        let old = self.sessions[slot as usize].blob;
        let mut name = [0; model::ids::PLANE_SESSION_MAX];
        let name = {
            let kept = self.blobs.name(old);
            name[..kept.len()].copy_from_slice(kept);
            &name[..kept.len()]
        };
        self.blobs.store(name, split(attributes))
    }

    /// The session has these attributes now.
    pub(crate) fn adopt(&mut self, slot: Slot, attributes: BlobRef) {
        let old = std::mem::replace(&mut self.sessions[slot as usize].blob, attributes);
        self.blobs.release(old);
    }

    /// Gives the slot back. It stands in no lane and is not enlisted any more.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let session = &mut self.sessions[slot as usize];
        assert!(session.state == State::Ending && session.lane == Lane::Out && session.request == NONE);
        self.blobs.release(session.blob);
        let annex = std::mem::replace(&mut self.accounts[slot as usize].annex, AnnexRef::NONE);
        self.annexes.release(annex);
        let origin = std::mem::replace(&mut self.accounts[slot as usize].origin, OriginRef::NONE);
        self.origins.release(origin);
        *session = Session { next: self.free, blob: BlobRef::NONE, ..Session::FREE };
        self.free = slot;
        self.used -= 1;
    }

    /// Puts a session at the end of a queue.
    pub(crate) fn push_back(&mut self, queue: &mut Queue, lane: Lane, slot: Slot) {
        let session = &mut self.sessions[slot as usize];
        assert!(session.lane == Lane::Out);
        session.lane = lane;
        session.prev = queue.tail;
        session.next = NONE;
        match queue.tail {
            NONE => queue.head = slot,
            tail => self.sessions[tail as usize].next = slot,
        }
        queue.tail = slot;
        queue.count += 1;
    }

    /// Takes a session out of the queue that it stands in.
    pub(crate) fn unlink(&mut self, queue: &mut Queue, slot: Slot) {
        let session = &mut self.sessions[slot as usize];
        session.lane = Lane::Out;
        let (prev, next) = (session.prev, session.next);
        match prev {
            NONE => queue.head = next,
            prev => self.sessions[prev as usize].next = next,
        }
        match next {
            NONE => queue.tail = prev,
            next => self.sessions[next as usize].prev = prev,
        }
        queue.count -= 1;
        if prev == NONE && slot != queue.ahead {
            queue.lead = queue.lead.saturating_sub(1);
        } else {
            (queue.ahead, queue.lead) = (NONE, 0);
        }
    }

    /// Goes one session further along a queue whose sessions have waited for so long that they have left the cache, and asks for
    /// the memory of the one behind it. Whoever calls this for each session that leaves meets sessions that are there: the one
    /// that is returned, if it does not stand too far ahead of its turn.
    pub(crate) fn look_ahead(&self, queue: &mut Queue) -> Option<Slot> {
        if queue.lead >= LEAD {
            return None;
        }
        let slot = if queue.ahead == NONE { queue.head } else { queue.ahead };
        let next = self.sessions.get(slot as usize)?.next;
        if next == NONE {
            return None;
        }
        self.prefetch(next);
        queue.ahead = next;
        queue.lead += 1;
        Some(slot)
    }
}

/// How far ahead of its turn a session in a queue is asked for.
const LEAD: u32 = 24;

/// A queue of sessions, linked through them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    /// The first, or [`NONE`].
    pub(crate) head: Slot,
    tail: Slot,
    /// How many.
    pub(crate) count: u32,
    /// The last whose memory was asked for ahead of its turn, or [`NONE`].
    ahead: Slot,
    /// How many stand before that one.
    lead: u32,
}

impl Queue {
    pub(crate) const EMPTY: Queue = Queue { head: NONE, tail: NONE, count: 0, ahead: NONE, lead: 0 };
}

fn hash(key: &[u8; 16], plane: PlaneIndex, name: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write_u16(plane.0);
    hasher.write(name);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(table: &Table, queue: &Queue) -> Vec<Slot> {
        let mut seen = Vec::new();
        let mut slot = queue.head;
        while slot != NONE {
            seen.push(slot);
            slot = table.sessions[slot as usize].next;
        }
        seen
    }

    #[test]
    fn names_are_found_until_they_are_delisted() {
        let mut table = Table::new(4, [1; 16]);
        let plane = PlaneIndex(1);
        let a = table.insert(plane, b"a", b"").unwrap();
        let b = table.insert(plane, b"b", b"").unwrap();
        table.enlist(a);
        table.enlist(b);
        assert_eq!(table.find(plane, b"a"), Some(a));
        assert_eq!(table.find(PlaneIndex(2), b"a"), None);
        table.delist(a);
        assert_eq!(table.find(plane, b"a"), None);
        assert_eq!(table.find(plane, b"b"), Some(b));
    }

    #[test]
    fn slots_run_out_and_come_back() {
        let mut table = Table::new(2, [1; 16]);
        let plane = PlaneIndex(0);
        let a = table.insert(plane, b"a", b"").unwrap();
        assert!(table.insert(plane, b"b", b"").is_some());
        assert_eq!(table.insert(plane, b"c", b""), None);
        table.sessions[a as usize].state = State::Ending;
        table.remove(a);
        assert_eq!(table.insert(plane, b"c", b""), Some(a));
    }

    #[test]
    fn a_queue_keeps_its_order_when_one_leaves() {
        let mut table = Table::new(4, [1; 16]);
        let mut queue = Queue::EMPTY;
        let slots: Vec<_> = (0..4u8).map(|n| table.insert(PlaneIndex(0), &[n], b"").unwrap()).collect();
        for &slot in &slots {
            table.push_back(&mut queue, Lane::Stop, slot);
        }
        table.unlink(&mut queue, slots[1]);
        assert_eq!(order(&table, &queue), [slots[0], slots[2], slots[3]]);
        table.unlink(&mut queue, slots[3]);
        table.unlink(&mut queue, slots[0]);
        assert_eq!(order(&table, &queue), [slots[2]]);
        table.push_back(&mut queue, Lane::Stop, slots[0]);
        assert_eq!(order(&table, &queue), [slots[2], slots[0]]);
        assert_eq!(queue.count, 2);
    }

    #[test]
    fn sessions_of_a_queue_are_asked_for_ahead_of_their_turn_each_once() {
        let mut table = Table::new(100, [1; 16]);
        let mut queue = Queue::EMPTY;
        let slots: Vec<_> = (0..100u8).map(|n| table.insert(PlaneIndex(0), &[n], b"").unwrap()).collect();
        assert_eq!(table.look_ahead(&mut queue), None, "nobody waits");
        for &slot in &slots {
            table.push_back(&mut queue, Lane::Interim, slot);
        }
        let mut asked = Vec::new();
        for &slot in &slots {
            asked.extend((0..2).map_while(|_| table.look_ahead(&mut queue)));
            let ahead = asked.len() - usize::try_from(slot).unwrap();
            assert!(ahead <= LEAD as usize, "{ahead}");
            table.unlink(&mut queue, slot);
        }
        assert_eq!(asked, slots[..99], "there is nobody behind the last");

        // Who leaves from the middle may be the one that was asked for.
        for &slot in &slots {
            table.push_back(&mut queue, Lane::Interim, slot);
        }
        for step in 0..10 {
            table.look_ahead(&mut queue);
            table.unlink(&mut queue, slots[step + 1]);
        }
        assert_eq!(order(&table, &queue).len(), 90);
        assert_eq!(table.look_ahead(&mut queue), Some(slots[0]), "it begins at the front again");
    }
}
