//! The timer wheel: one timer for each of a fixed number of owners, at 4 bytes an entry.
//!
//! ```text
//!   near:  4,096 slots of one tick (4 ms)       0 … 16 s ahead
//!   far:   4,096 slots of 4,096 ticks           16 s … 18 h ahead, moved to near as their turn comes
//!   slot → chunk → chunk → …      a chunk is one cache line: 15 owners and a link
//! ```
//!
//! `due[owner]` is the truth; an entry in a slot is only a hint to look there. Setting a timer writes `due` and
//! leaves a hint; cancelling or moving it later leaves the old hint behind, which is dropped when its slot comes
//! and `due` disagrees. So nothing is ever unlinked, firing touches two dense arrays in order, and a longer span
//! than the wheel's is a hint in the last far slot that finds itself early and moves on.
//!
//! Whoever waits for the next timer wakes for many at once: [`Wheel::next_expiry`] lets the first wait for others as long as
//! [`GATHER`], but not when they are a message's worth before that. With few timers a second there are few wakes, and each has its
//! message full; with many, short ticks keep what is served together in the core's own cache, and the servers see no gusts.
//!
//! Owners are in no order, so `due` and whatever the caller keeps of them are cache misses, one after the other, unless they
//! are asked for before their turn. A chunk names fifteen owners at once: while it is fired, `due` is fetched for all of the
//! next one. A caller does the same for what it keeps by taking some owners before it serves any of them.
//!
//! **Full:** chunks are counted out for every owner at start; when stale hints use them up, a sweep
//! rebuilds the slots without them. There is no allocation after [`Wheel::new`].

use std::time::Duration;

use lanes::prefetch;
use model::marks::{self, Mark};
use model::time::Mono;

/// How long one tick is. Timers fire at the end of the tick that they fall into, never early.
pub const TICK: Duration = Duration::from_nanos(TICK_NANOS);

/// How late a timer may fire whose owner sleeps until [`Wheel::next_expiry`].
pub const GATHER: Duration = TICK.saturating_mul(GATHER_TICKS);

/// So many timers are waited for no longer: a message's worth of requests.
const ENOUGH: u32 = 64;

const TICK_NANOS: u64 = 4_000_000;
const GATHER_TICKS: u32 = 5;
const SLOT_BITS: u32 = 12;
const SLOT_COUNT: usize = 1 << SLOT_BITS;
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;
const CHUNK_OWNERS: usize = 15;
const CHUNK_FULL: u32 = 15;
const NONE: u32 = u32::MAX;
/// `due` of an owner without a timer. No tick has this number: see [`Wheel::tick_of`].
const IDLE: u32 = 0;

/// One cache line: a link and the owners of one slot.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Chunk {
    next: u32,
    owners: [u32; CHUNK_OWNERS],
}

const _: () = assert!(size_of::<Chunk>() == 64);

/// The head of a slot's chain: its newest chunk, how many owners stand in it, and how many full chunks are behind it.
#[derive(Clone, Copy)]
struct Slot {
    head: u32,
    fill: u32,
    behind: u32,
}

const EMPTY: Slot = Slot { head: NONE, fill: 0, behind: 0 };

impl Slot {
    /// How many hints there are.
    fn count(&self) -> u32 {
        self.behind * CHUNK_FULL + self.fill
    }
}

/// Timers for owners `0 .. capacity`, at most one each.
pub struct Wheel {
    due: Vec<u32>,
    slots: Vec<Slot>,
    occupied: Vec<u64>,
    chunks: Vec<Chunk>,
    free: u32,
    /// The tick that is being fired; every earlier one has been. Tick `n` ends at `origin + (n − 1) · TICK`.
    cursor: u32,
    origin: Mono,
}

impl Wheel {
    /// Timers for `capacity` owners, starting at `now`. Takes about 9 bytes for each owner that is ever used.
    ///
    /// # Panics
    /// When `capacity` does not leave the number that stands for "no owner" free.
    pub fn new(capacity: usize, now: Mono) -> Wheel {
        assert!(capacity < NONE as usize, "an owner is a 32-bit number");
        // Every owner once, an unfinished chunk in every slot of both levels, and room for stale hints.
        let chunk_count = (capacity + capacity / 8).div_ceil(CHUNK_OWNERS) + 2 * SLOT_COUNT + 16;
        Wheel {
            due: vec![IDLE; capacity],
            slots: vec![EMPTY; 2 * SLOT_COUNT],
            occupied: vec![0; 2 * SLOT_COUNT / 64],
            chunks: Vec::with_capacity(chunk_count),
            free: NONE,
            cursor: 1,
            origin: now,
        }
    }

    /// Sets `owner`'s timer to fire at `at`, or in the next tick when that has passed. Replaces an earlier one.
    pub fn set(&mut self, owner: u32, at: Mono) {
        let due = self.tick_of(at);
        if self.due[owner as usize] == due {
            return;
        }
        self.due[owner as usize] = due;
        self.hint(owner, due);
    }

    /// Takes `owner`'s timer away.
    pub fn cancel(&mut self, owner: u32) {
        self.due[owner as usize] = IDLE;
    }

    /// Whether `owner` has a timer.
    pub fn is_set(&self, owner: u32) -> bool {
        self.due[owner as usize] != IDLE
    }

    /// Fires one timer that is due at `now`: takes it away and returns its owner. Call until `None`.
    pub fn expire(&mut self, now: Mono) -> Option<u32> {
        loop {
            let slot = (self.cursor & SLOT_MASK) as usize;
            while let Some(owner) = self.pop(slot) {
                let due = self.due[owner as usize];
                if due == self.cursor {
                    self.due[owner as usize] = IDLE;
                    return Some(owner);
                }
            }
            // Asked anew each time: `rebase` may have renumbered the ticks.
            let limit = self.elapsed_ticks(now);
            if self.cursor >= limit {
                return None;
            }
            self.advance(limit);
        }
    }

    /// When [`Wheel::expire`] is best called next; `None` when no timer is set. No timer is later then than [`GATHER`]. It may be
    /// early (a stale hint, a far slot).
    pub fn next_expiry(&self) -> Option<Mono> {
        let near = self.next_occupied(0, self.cursor & SLOT_MASK).map(|ahead| self.gather(ahead));
        let turn_left = u64::from(SLOT_MASK - (self.cursor & SLOT_MASK)) + 1;
        let far_slot = (self.cursor >> SLOT_BITS).wrapping_add(1) & SLOT_MASK;
        let far = self.next_occupied(SLOT_COUNT, far_slot).map(|turns| turn_left + (u64::from(turns) << SLOT_BITS));
        let ahead = match (near, far) {
            (None, None) => return None,
            (Some(ticks), None) | (None, Some(ticks)) => ticks,
            (Some(near), Some(far)) => near.min(far),
        };
        Some(Mono::from_nanos(self.origin.as_nanos() + (u64::from(self.cursor) - 1 + ahead).saturating_mul(TICK_NANOS)))
    }

    /// The first timers stand so many ticks ahead of the cursor: how many ticks ahead enough of them have come, or the time to
    /// gather ends, which begins anew every [`GATHER`] whoever waits.
    fn gather(&self, first: u32) -> u64 {
        let (mut ahead, mut count) = (first, 0);
        loop {
            let tick = self.cursor + ahead;
            count += self.slots[(tick & SLOT_MASK) as usize].count();
            if count >= ENOUGH || (tick - 1).is_multiple_of(GATHER_TICKS) {
                return ahead.into();
            }
            ahead += 1;
        }
    }

    /// The first tick that ends at or after `at` and has not been fired. [`Wheel::rebase`] keeps all in 32 bits;
    /// what lies three months ahead fires early and is set again by its owner.
    fn tick_of(&self, at: Mono) -> u32 {
        let nanos = at.as_nanos().saturating_sub(self.origin.as_nanos());
        let tick = nanos.div_ceil(TICK_NANOS).saturating_add(1);
        u32::try_from(tick).unwrap_or(NONE).max(self.cursor)
    }

    /// The last tick that has ended at `now`.
    fn elapsed_ticks(&self, now: Mono) -> u32 {
        let ticks = now.as_nanos().saturating_sub(self.origin.as_nanos()) / TICK_NANOS + 1;
        u32::try_from(ticks).unwrap_or(NONE)
    }

    /// Moves the cursor to the next tick that may hold something, and not beyond `limit`.
    fn advance(&mut self, limit: u32) {
        let turn_end = self.cursor | SLOT_MASK;
        let next = self.next_occupied(0, (self.cursor + 1) & SLOT_MASK).map_or(NONE, |ahead| self.cursor + 1 + ahead);
        if next <= turn_end && next <= limit {
            self.cursor = next;
            self.begin_slot();
        } else if turn_end < limit {
            self.cursor = turn_end + 1;
            self.cascade();
            self.rebase();
        } else {
            self.cursor = limit;
        }
    }

    /// The cursor has come to a slot: asks for what is read first in it and in the next one, and for what the one behind that begins
    /// with. Where it came from the slot before, its own was asked for there, and is near; where it has skipped some, it was not.
    fn begin_slot(&self) {
        let head = |ahead: u32| self.slots[((self.cursor + ahead) & SLOT_MASK) as usize].head;
        for slot in [head(0), head(1)] {
            if let Some(chunk) = self.chunks.get(slot as usize) {
                self.fetch_due(chunk);
            }
        }
        self.fetch_after(head(0));
        self.fetch(head(2));
    }

    /// Hands the owners of the far slot whose turn has come to the near slots.
    fn cascade(&mut self) {
        let turn = self.cursor >> SLOT_BITS;
        let slot = SLOT_COUNT + (turn & SLOT_MASK) as usize;
        // What is hinted again lands in another slot: near, or far beyond this turn.
        while let Some(owner) = self.pop(slot) {
            let due = self.due[owner as usize];
            if due == self.cursor {
                marks::hit(Mark::TimerAtWrap);
            }
            if due != IDLE {
                self.hint(owner, due);
            }
        }
    }

    /// Begins the count of ticks again before it leaves 32 bits, every fifty days. The amount is a whole number of
    /// far turns, so every hint stays where it is.
    fn rebase(&mut self) {
        const SHIFT: u32 = 1 << 30;
        const { assert!(SHIFT.is_multiple_of(1 << (2 * SLOT_BITS))) };
        if self.cursor < 2 * SHIFT {
            return;
        }
        for due in &mut self.due {
            *due = due.saturating_sub(SHIFT);
        }
        self.cursor -= SHIFT;
        self.origin = Mono::from_nanos(self.origin.as_nanos() + u64::from(SHIFT) * TICK_NANOS);
    }

    /// Leaves a hint to look at `owner` when `due` comes.
    fn hint(&mut self, owner: u32, due: u32) {
        let slot = if due - self.cursor <= SLOT_MASK {
            (due & SLOT_MASK) as usize
        } else {
            let turn = self.cursor >> SLOT_BITS;
            SLOT_COUNT + ((due >> SLOT_BITS).min(turn + SLOT_MASK) & SLOT_MASK) as usize
        };
        if !self.push(slot, owner) {
            self.sweep();
        }
    }

    /// Builds all slots anew from `due`, without the stale hints.
    fn sweep(&mut self) {
        self.slots.fill(EMPTY);
        self.occupied.fill(0);
        self.chunks.clear();
        self.free = NONE;
        for owner in 0..self.due.len() {
            let due = self.due[owner];
            if due != IDLE {
                #[expect(clippy::cast_possible_truncation, reason = "checked in new")]
                self.hint(owner as u32, due);
            }
        }
    }

    /// False when no chunk is left.
    fn push(&mut self, slot: usize, owner: u32) -> bool {
        let Slot { head, fill, behind } = self.slots[slot];
        if head != NONE && (fill as usize) < CHUNK_OWNERS {
            self.chunks[head as usize].owners[fill as usize] = owner;
            self.slots[slot].fill = fill + 1;
            return true;
        }
        let mut chunk = Chunk { next: head, owners: [NONE; CHUNK_OWNERS] };
        chunk.owners[0] = owner;
        let index = if self.free != NONE {
            let index = self.free;
            self.free = self.chunks[index as usize].next;
            self.chunks[index as usize] = chunk;
            index
        } else if self.chunks.len() < self.chunks.capacity() {
            self.chunks.push(chunk);
            #[expect(clippy::cast_possible_truncation, reason = "fewer chunks than owners and slots")]
            let index = (self.chunks.len() - 1) as u32;
            index
        } else {
            return false;
        };
        self.slots[slot] = Slot { head: index, fill: 1, behind: if head == NONE { 0 } else { behind + 1 } };
        self.occupied[slot / 64] |= 1 << (slot % 64);
        true
    }

    fn pop(&mut self, slot: usize) -> Option<u32> {
        let Slot { head, fill, behind } = self.slots[slot];
        if head == NONE {
            return None;
        }
        let chunk = &mut self.chunks[head as usize];
        let owner = chunk.owners[fill as usize - 1];
        if fill > 1 {
            self.slots[slot].fill = fill - 1;
            return Some(owner);
        }
        let next = chunk.next;
        chunk.next = self.free;
        self.free = head;
        if next == NONE {
            self.slots[slot] = EMPTY;
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        } else {
            self.slots[slot] = Slot { head: next, fill: CHUNK_FULL, behind: behind - 1 };
        }
        self.fetch_after(next);
        Some(owner)
    }

    /// `chunk` is begun: asks for what will be read when its successor is, and for the one after that.
    #[inline]
    fn fetch_after(&self, chunk: u32) {
        let Some(next) = self.chunks.get(chunk as usize).and_then(|chunk| self.chunks.get(chunk.next as usize)) else {
            return;
        };
        self.fetch_due(next);
        self.fetch(next.next);
    }

    #[inline]
    fn fetch_due(&self, chunk: &Chunk) {
        for &owner in &chunk.owners {
            if let Some(due) = self.due.get(owner as usize) {
                prefetch::read(due);
            }
        }
    }

    #[inline]
    fn fetch(&self, chunk: u32) {
        if let Some(chunk) = self.chunks.get(chunk as usize) {
            prefetch::read(chunk);
        }
    }

    /// How many slots from `from` onwards, around the circle of the level at `base`, the first occupied one lies.
    fn next_occupied(&self, base: usize, from: u32) -> Option<u32> {
        const WORDS: usize = SLOT_COUNT / 64;
        let level = &self.occupied[base / 64..base / 64 + WORDS];
        let (first, bit) = (from as usize / 64, from % 64);
        for step in 0..=WORDS {
            let mut word = level[(first + step) % WORDS];
            if step == 0 {
                word &= u64::MAX << bit;
            } else if step == WORDS {
                word &= !(u64::MAX << bit);
            }
            if word != 0 {
                let found = (first + step) * 64 + word.trailing_zeros() as usize;
                return u32::try_from(found - from as usize).ok();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
