//! A single-producer single-consumer ring that carries frames of bytes of any length.
//!
//! ```text
//!            tail                              head (published)     write (committed, not yet published)
//!             ▼                                  ▼                    ▼
//!   ┌────────┬────────┬──────────┬──────┬───────┬──────┬──────┬──────┬───────────┬─────────┐
//!   │  free  │ length │ payload… │ length│ …    │ length│ …          │   free    │ padding │
//!   └────────┴────────┴──────────┴──────┴───────┴──────┴──────┴──────┴───────────┴─────────┘
//!            ◀── the consumer's ────────────────▶◀── the producer's ─────────────▶
//! ```
//!
//! A frame is one header word (the payload's length; `PADDING` for the unused end of a lap) and the payload, filled up
//! to whole words. A frame is contiguous, so both sides work on a plain slice. Positions are octets counted since the
//! ring was made; they never wrap.
//!
//! **Who owns what.** Octets in `tail..head` are the consumer's, all others the producer's. `head` moves only by the
//! producer's release store and `tail` only by the consumer's; each side acquires the other's, keeps a copy of it, and
//! looks again only when the copy says that nothing is left. The two positions stand in cache lines of their own.
//!
//! **Batches.** [`Grant::commit`] does not publish: the consumer sees nothing before [`Producer::publish`]. In the same
//! way [`Consumer::release`] hands space back in portions of an eighth of the ring, and whatever is left as soon as the
//! consumer finds the ring empty, so that a waiting producer always gets it.
//!
//! **Comes in, goes out:** octets. **Never:** an allocation after [`ring`], a look into a payload, a lock.
//! **Full:** [`Producer::reserve`] says `None`; nothing is dropped. **Memory:** the capacity and 640 octets.

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::sync::{AtomicU64, Line, Ordering, Traces};

/// Octets of a word, and of a frame's header.
const WORD: usize = 8;

/// The header word of the unused end of a lap. No payload is that long.
const PADDING: u64 = u64::MAX;

/// The smallest ring: two frames of three words each.
const CAPACITY_MIN: usize = 64;

/// Makes a ring of `capacity_bytes` octets, headers included.
///
/// # Panics
///
/// When the capacity is not a power of two or is below 64.
pub fn ring(capacity_bytes: usize) -> (Producer, Consumer) {
    assert!(capacity_bytes.is_power_of_two() && capacity_bytes >= CAPACITY_MIN, "capacity: a power of two, 64 or more");
    let words = capacity_bytes / WORD;
    let shared = Arc::new(Shared {
        head: Line(AtomicU64::new(0)),
        tail: Line(AtomicU64::new(0)),
        words: (0..words).map(|_| UnsafeCell::new(0)).collect(),
        traces: Traces::new(words),
    });
    let producer = Producer { shared: Arc::clone(&shared), write: 0, published: 0, tail_seen: 0 };
    let consumer = Consumer { shared, read: 0, peeked: 0, released: 0, head_seen: 0 };
    (producer, consumer)
}

/// The side that fills frames.
#[derive(Debug)]
pub struct Producer {
    shared: Arc<Shared>,
    /// Where the next frame begins.
    write: u64,
    /// What `head` says.
    published: u64,
    /// The last value of `tail` that was looked at.
    tail_seen: u64,
}

/// The side that reads frames.
#[derive(Debug)]
pub struct Consumer {
    shared: Arc<Shared>,
    /// Where the next frame begins.
    read: u64,
    /// Octets of the frame that was looked at; 0: none was since the last release.
    peeked: u64,
    /// What `tail` says.
    released: u64,
    /// The last value of `head` that was looked at.
    head_seen: u64,
}

/// Room for one frame. Dropping it without a commit gives the room back.
pub struct Grant<'a> {
    producer: &'a mut Producer,
    /// Octets of padding before the frame.
    padding: usize,
    /// Payload octets asked for.
    len: usize,
}

impl Producer {
    /// The longest payload that ever fits.
    pub fn len_max(&self) -> usize {
        // A frame of at most half a lap finds room in an empty ring wherever the last one ended: either before the
        // end of the lap, or, when that is too near, from the beginning up to where the padding starts.
        self.shared.capacity() / 2 - WORD
    }

    /// Room for a payload of `len` octets, or `None` while the ring is too full. The octets hold whatever an earlier
    /// frame left there.
    ///
    /// # Panics
    ///
    /// When `len` is more than [`len_max`](Self::len_max): no waiting would ever help.
    #[inline]
    pub fn reserve(&mut self, len: usize) -> Option<Grant<'_>> {
        assert!(len <= self.len_max(), "a frame that never fits");
        let frame = frame_bytes(len);
        let to_end = self.shared.capacity() - self.shared.offset(self.write);
        let padding = if frame > to_end { to_end } else { 0 };
        if !self.has_room(padding + frame) {
            return None;
        }
        let payload = self.shared.offset(self.write + padding as u64) + WORD;
        self.shared.traces.write(payload / WORD, frame / WORD - 1);
        Some(Grant { producer: self, padding, len })
    }

    /// Shows every committed frame to the consumer.
    #[inline]
    pub fn publish(&mut self) {
        if self.published != self.write {
            // Release: what was written into the frames is seen by whoever sees the new head.
            self.shared.head.0.store(self.write, Ordering::Release);
            self.published = self.write;
        }
    }

    /// Octets not in use at this moment, headers and the end of the lap included. A reservation of `len` surely
    /// succeeds with `2 × (len + 16)` of them.
    pub fn free_bytes(&mut self) -> usize {
        self.tail_seen = self.shared.tail.0.load(Ordering::Acquire);
        self.shared.capacity() - self.in_use()
    }

    #[inline]
    fn has_room(&mut self, bytes: usize) -> bool {
        let capacity = self.shared.capacity();
        if capacity - self.in_use() >= bytes {
            return true;
        }
        // Acquire: the consumer has done with the octets before the tail that is seen here.
        self.tail_seen = self.shared.tail.0.load(Ordering::Acquire);
        capacity - self.in_use() >= bytes
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "at most the capacity, a usize")]
    fn in_use(&self) -> usize {
        (self.write - self.tail_seen) as usize
    }
}

/// Frames that were committed are not lost with the producer.
impl Drop for Producer {
    fn drop(&mut self) {
        self.publish();
    }
}

impl Grant<'_> {
    /// Puts the whole frame behind those committed before.
    #[inline]
    pub fn commit(self) {
        let len = self.len;
        self.commit_len(len);
    }

    /// Puts the first `len` octets as a frame behind those committed before.
    ///
    /// # Panics
    ///
    /// When `len` is more than was reserved.
    #[inline]
    pub fn commit_len(self, len: usize) {
        assert!(len <= self.len, "more than was reserved");
        let producer = self.producer;
        if self.padding > 0 {
            let at = producer.shared.offset(producer.write);
            // SAFETY: `reserve` found `padding` octets from `write` on to be the producer's and to end with the lap,
            // so `at` is a word of ours inside the buffer.
            unsafe { producer.shared.write_header(at, PADDING) };
            producer.write += self.padding as u64;
        }
        let at = producer.shared.offset(producer.write);
        // SAFETY: `reserve` found the frame's octets, header first, to be the producer's and contiguous from `at` on.
        unsafe { producer.shared.write_header(at, len as u64) };
        producer.write += frame_bytes(len) as u64;
    }

    #[inline]
    fn payload(&self) -> *mut u8 {
        let frame = self.producer.shared.offset(self.producer.write + self.padding as u64);
        // SAFETY: `reserve` found a whole frame of header and `len` octets from `frame` on before the end of the buffer.
        unsafe { self.producer.shared.base().add(frame + WORD) }
    }
}

impl Deref for Grant<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the octets were initialised by `ring`, lie inside the buffer, and belong to the producer until the
        // frame is published, which needs `&mut Producer`, which this grant holds.
        unsafe { std::slice::from_raw_parts(self.payload(), self.len) }
    }
}

impl DerefMut for Grant<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; and `&mut self` is the only way to them, so no other slice of them lives.
        unsafe { std::slice::from_raw_parts_mut(self.payload(), self.len) }
    }
}

impl fmt::Debug for Grant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Consumer {
    /// The oldest published frame that was not released, or `None` when there is none.
    #[inline]
    pub fn peek(&mut self) -> Option<&[u8]> {
        loop {
            if self.read == self.head_seen && !self.look_for_more() {
                return None;
            }
            let at = self.shared.offset(self.read);
            // SAFETY: `read` is before a head that was acquired, so a header word of the producer's stands at `at`, and
            // the producer leaves it alone until `tail` has passed it.
            let header = unsafe { self.shared.read_header(at) };
            if header == PADDING {
                self.read += (self.shared.capacity() - at) as u64;
                continue;
            }
            let len = payload_len(header);
            self.peeked = frame_bytes(len) as u64;
            self.shared.traces.read((at + WORD) / WORD, frame_bytes(len) / WORD - 1);
            // SAFETY: as above for the whole frame, which the producer keeps inside the buffer; `release` needs
            // `&mut self`, so the slice is gone before the octets are handed back.
            return Some(unsafe { std::slice::from_raw_parts(self.shared.base().add(at + WORD), len) });
        }
    }

    /// Has done with the frame that [`peek`](Self::peek) showed. A frame that nobody looked at is not released: a
    /// second call, or one after `peek` said `None`, does nothing.
    #[inline]
    pub fn release(&mut self) {
        self.read += std::mem::take(&mut self.peeked);
        if self.read - self.released >= (self.shared.capacity() / 8) as u64 {
            self.publish();
        }
    }

    /// Hands all released octets back to the producer now, not in portions.
    #[inline]
    pub fn publish(&mut self) {
        if self.released != self.read {
            // Release: our reads of the frames are over before the producer may see the new tail and overwrite them.
            self.shared.tail.0.store(self.read, Ordering::Release);
            self.released = self.read;
        }
    }

    /// Octets published and not yet released, headers and padding included; 0 when there is no frame.
    #[expect(clippy::cast_possible_truncation, reason = "at most the capacity, a usize")]
    pub fn available(&mut self) -> usize {
        self.head_seen = self.shared.head.0.load(Ordering::Acquire);
        (self.head_seen - self.read) as usize
    }

    #[cold]
    fn look_for_more(&mut self) -> bool {
        // Acquire: the frames before the head that is seen here were written completely.
        self.head_seen = self.shared.head.0.load(Ordering::Acquire);
        if self.read == self.head_seen {
            self.publish();
            return false;
        }
        true
    }
}

/// What both sides hold.
struct Shared {
    head: Line<AtomicU64>,
    tail: Line<AtomicU64>,
    words: Box<[UnsafeCell<u64>]>,
    traces: Traces,
}

// SAFETY: `words` is what keeps `Shared` from being `Sync`. It is touched only through one `Producer` and one `Consumer`
// (neither can be cloned), each on its own part, and parts change hands by a release store that the other side acquires.
unsafe impl Sync for Shared {}

impl Shared {
    #[inline]
    fn capacity(&self) -> usize {
        self.words.len() * WORD
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "masked to less than the capacity, a usize")]
    fn offset(&self, position: u64) -> usize {
        (position & (self.capacity() as u64 - 1)) as usize
    }

    #[inline]
    fn base(&self) -> *mut u8 {
        UnsafeCell::raw_get(self.words.as_ptr()).cast()
    }

    /// # Safety
    ///
    /// `at` is a multiple of 8 below the capacity, and its word is the producer's.
    #[inline]
    unsafe fn write_header(&self, at: usize, header: u64) {
        self.traces.write(at / WORD, 1);
        // SAFETY: inside the buffer, aligned and ours, as the caller promises.
        unsafe { self.base().add(at).cast::<u64>().write(header) };
    }

    /// # Safety
    ///
    /// `at` is a multiple of 8 below the capacity, and its word is the consumer's.
    #[inline]
    unsafe fn read_header(&self, at: usize) -> u64 {
        self.traces.read(at / WORD, 1);
        // SAFETY: inside the buffer, aligned and ours, as the caller promises.
        unsafe { self.base().add(at).cast::<u64>().read() }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

/// Octets that a payload of `len` takes with its header.
#[inline]
const fn frame_bytes(len: usize) -> usize {
    WORD + len.next_multiple_of(WORD)
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "written by our own commit from a usize")]
const fn payload_len(header: u64) -> usize {
    header as usize
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn push(producer: &mut Producer, payload: &[u8]) -> bool {
        let Some(mut grant) = producer.reserve(payload.len()) else { return false };
        grant.copy_from_slice(payload);
        grant.commit();
        true
    }

    fn pop(consumer: &mut Consumer) -> Option<Vec<u8>> {
        let frame = consumer.peek()?.to_vec();
        consumer.release();
        Some(frame)
    }

    #[test]
    fn a_frame_is_seen_only_after_publish() {
        let (mut producer, mut consumer) = ring(64);
        assert!(push(&mut producer, b"one"));
        assert_eq!(consumer.peek(), None);
        assert_eq!(consumer.available(), 0);
        producer.publish();
        assert_eq!(consumer.available(), 16);
        assert_eq!(consumer.peek(), Some(&b"one"[..]));
        assert_eq!(pop(&mut consumer).as_deref(), Some(&b"one"[..]));
        assert_eq!(consumer.peek(), None);
    }

    #[test]
    fn an_abandoned_grant_leaves_no_trace() {
        let (mut producer, mut consumer) = ring(64);
        assert!(push(&mut producer, &[1; 16]) && push(&mut producer, &[2; 8]));
        producer.publish();
        assert!(pop(&mut consumer).is_some() && pop(&mut consumer).is_some() && consumer.peek().is_none());
        // 40 octets are written; a payload of 24 has to pad the last 24.
        assert!(producer.reserve(24).is_some());
        assert!(push(&mut producer, &[3; 16]));
        producer.publish();
        assert_eq!(consumer.available(), 24);
        assert_eq!(pop(&mut consumer), Some(vec![3; 16]));
    }

    #[test]
    fn the_longest_frame_fits_an_empty_ring_wherever_it_stands() {
        for before in 0..16 {
            let (mut producer, mut consumer) = ring(128);
            for _ in 0..before {
                assert!(push(&mut producer, b"x"));
                producer.publish();
                assert!(pop(&mut consumer).is_some());
            }
            assert_eq!(consumer.peek(), None);
            let longest = vec![7; producer.len_max()];
            assert!(push(&mut producer, &longest), "after {before} frames");
            producer.publish();
            assert_eq!(pop(&mut consumer), Some(longest));
        }
    }

    #[test]
    fn committing_less_shows_less() {
        let (mut producer, mut consumer) = ring(64);
        let mut grant = producer.reserve(24).unwrap();
        grant[..3].copy_from_slice(b"abc");
        grant.commit_len(3);
        producer.publish();
        assert_eq!(consumer.available(), 16);
        assert_eq!(pop(&mut consumer).as_deref(), Some(&b"abc"[..]));
    }

    #[test]
    fn a_frame_that_nobody_saw_is_not_released() {
        let (mut producer, mut consumer) = ring(64);
        assert_eq!(consumer.peek(), None);
        assert!(push(&mut producer, b"one") && push(&mut producer, b"two"));
        producer.publish();
        consumer.release();
        assert_eq!(consumer.peek(), Some(&b"one"[..]));
        consumer.release();
        consumer.release();
        assert_eq!(consumer.peek(), Some(&b"two"[..]));
    }

    #[test]
    fn a_dropped_producer_loses_nothing() {
        let (mut producer, mut consumer) = ring(64);
        assert!(push(&mut producer, b"last"));
        drop(producer);
        assert_eq!(pop(&mut consumer).as_deref(), Some(&b"last"[..]));
    }

    #[test]
    fn two_threads_keep_order_and_content() {
        let (mut producer, mut consumer) = ring(4096);
        let rounds: u32 = 100_000;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for round in 0..rounds {
                    let len = 4 + (round as usize * 7) % 300;
                    while producer.reserve(len).is_none() {
                        producer.publish();
                        std::thread::yield_now();
                    }
                    let mut grant = producer.reserve(len).unwrap();
                    grant.fill(round.to_le_bytes()[0]);
                    grant[..4].copy_from_slice(&round.to_le_bytes());
                    grant.commit();
                    if round % 16 == 0 {
                        producer.publish();
                    }
                }
            });
            for round in 0..rounds {
                while consumer.peek().is_none() {
                    std::thread::yield_now();
                }
                let frame = consumer.peek().unwrap();
                assert_eq!(frame.len(), 4 + (round as usize * 7) % 300);
                assert_eq!(frame[..4], round.to_le_bytes());
                assert!(frame[4..].iter().all(|octet| *octet == round.to_le_bytes()[0]));
                consumer.release();
            }
        });
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push { payload: Vec<u8>, reserve_more: usize },
        Publish,
        Pop,
        Return,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let payload = prop_oneof![3 => 0..40usize, 1 => 0..=120usize];
        let push = (payload, 0..16usize, any::<u8>())
            .prop_map(|(len, reserve_more, octet)| Step::Push { payload: vec![octet; len], reserve_more });
        prop::collection::vec(
            prop_oneof![4 => push, 2 => Just(Step::Publish), 4 => Just(Step::Pop), 1 => Just(Step::Return)],
            0..200,
        )
    }

    proptest! {
        /// The ring against two queues: what is committed, and what is published.
        #[test]
        fn behaves_as_a_queue(steps in steps()) {
            let (mut producer, mut consumer) = ring(256);
            let mut committed: VecDeque<Vec<u8>> = VecDeque::new();
            let mut published: VecDeque<Vec<u8>> = VecDeque::new();
            for step in steps {
                match step {
                    Step::Push { payload, reserve_more } => {
                        let len = (payload.len() + reserve_more).min(producer.len_max());
                        let free = producer.free_bytes();
                        match producer.reserve(len) {
                            Some(mut grant) => {
                                prop_assert!(free >= frame_bytes(len));
                                grant[..payload.len()].copy_from_slice(&payload);
                                grant.commit_len(payload.len());
                                committed.push_back(payload);
                            }
                            None => prop_assert!(free < 2 * (len + 16)),
                        }
                    }
                    Step::Publish => {
                        producer.publish();
                        published.append(&mut committed);
                    }
                    Step::Pop => prop_assert_eq!(pop(&mut consumer), published.pop_front()),
                    Step::Return => consumer.publish(),
                }
            }
            producer.publish();
            published.append(&mut committed);
            for frame in published {
                prop_assert_eq!(pop(&mut consumer), Some(frame));
            }
            prop_assert_eq!(consumer.peek(), None);
            prop_assert_eq!(producer.free_bytes(), 256);
        }
    }
}

/// `RUSTFLAGS="--cfg loom" cargo test -p lanes --release ring` tries every order.
#[cfg(test)]
#[cfg(loom)]
mod loom_tests {
    use super::*;

    /// Three frames through a ring that holds two, so that the third waits for the first to be released, wraps, and
    /// pads: every hand-over in both directions happens.
    #[test]
    fn frames_change_hands() {
        loom::model(|| {
            let (mut producer, mut consumer) = ring(64);
            let filler = loom::thread::spawn(move || {
                for octet in 1..=3u8 {
                    loop {
                        if let Some(mut grant) = producer.reserve(16) {
                            grant.fill(octet);
                            grant.commit();
                            break;
                        }
                        producer.publish();
                        loom::thread::yield_now();
                    }
                }
                producer.publish();
            });
            for octet in 1..=3u8 {
                loop {
                    if let Some(frame) = consumer.peek() {
                        assert_eq!(frame, [octet; 16]);
                        consumer.release();
                        break;
                    }
                    loom::thread::yield_now();
                }
            }
            filler.join().unwrap();
        });
    }
}
