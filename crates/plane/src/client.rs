//! A packet plane's half of the link.
//!
//! The client makes the memory, keeps it for as long as it lives, and passes it to the engine again and again. A lost
//! link loses nothing: events wait in their rings, counters go on counting. What a plane needs of other rooms is named
//! here as well, so a plane depends on this crate alone.
//!
//! ```no_run
//! use std::time::Duration;
//! use plane::client::{LinkState, Options, PlaneClient, Subscriber, Up};
//!
//! let mut plane = PlaneClient::create(&Options { name: "plane-0", ..Options::default() })?;
//! plane.connect("/run/tollgate/plane.sock");
//! let slot = plane.alloc_slot().expect("a free slot");
//! let subscriber = Subscriber { user: Some(b"alice@isp"), ..Subscriber::default() };
//! let alice = Up { session: b"s1", subscriber, counters: slot, at: None };
//! let mut is_fresh = false;
//! loop {
//!     is_fresh |= plane.poll_connect() == LinkState::Fresh;
//!     is_fresh = is_fresh && plane.announce(0, [alice], Duration::from_secs(1)).is_err();
//!     while let Some(verdict) = plane.poll_verdict() {
//!         println!("{} {}", verdict.sentence.as_str(), verdict.reason.as_str());
//!     }
//!     plane.wait(Duration::from_millis(100));
//! }
//! # #[expect(unreachable_code)]
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! That loop and a few lines around it are a whole plane: `examples/small_plane.rs`.
//!
//! **Reconnecting** is that loop. [`poll_connect`](PlaneClient::poll_connect) tries again after a pause of 10 ms to 1 s, and says
//! [`Fresh`](LinkState::Fresh) once per connection: then the live sessions are announced, all of them, for the engine ends those
//! of this plane that were not. It ends none before the announcement is whole, and none within `plane-link grace` of
//! losing the link. What was said while there was no link is read first.
//!
//! **Full** ([`SendError::Full`]): the ring has no room until the engine has made more of it durable. Nothing was said; the
//! plane keeps the event and says it again after [`wait`](PlaneClient::wait). A plane that cannot keep events makes its rings as
//! large as the longest outage that it wants to sit through.
//!
//! **Durable:** what was said is in the plane's memory, and outlives the engine; when
//! [`taken_over`](PlaneClient::taken_over) it is on the engine's disk, and outlives both. A verdict to admit comes only when the
//! log-in is on the disk. Counters are state: the engine samples them, and loses what was counted since only when the plane's
//! memory is lost as well; a Down with its totals loses nothing.
//!
//! **Refused** ([`LinkState::Refused`]) says why, and both versions where they differ; it is tried again all the same, so
//! either side may be replaced first.

mod announce;
mod link;
mod memory;

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use model::counters::{CounterSlot, Counters, Totals};
pub use model::event::{Access, Authentic, ClassList, Down, PlaneEvent, Prefix, Reset, Subscriber, Up, Update};
pub use model::time::Wall;
pub use model::verdict::{Reason, Sentence};

pub use crate::event_ring::SendError;
pub use crate::hello::{Answer, Welcome};
pub use crate::layout::Geometry;
pub use crate::verdict_ring::OwnedVerdict;
pub use link::LinkState;
pub use memory::SharedMemory;

use crate::counter_table::CounterWriter;
use crate::doorbell::PlaneBell;
use crate::event_ring::EventWriter;
use crate::hello::{HELLO_DESCRIPTORS, Hello};
use crate::layout::Layout;
use crate::region::Memory;
use crate::verdict_ring::VerdictReader;
use link::Link;

/// What a plane chooses.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The plane's name, 1–32 printable characters; with the session's name it is the session's key for life.
    pub name: &'a str,
    /// Rings and slots.
    pub geometry: Geometry,
}

/// One ring of 4,096 records, 65,536 slots of one family, 4,096 verdicts: 21 MiB of address space.
impl Default for Options<'_> {
    fn default() -> Self {
        let geometry = Geometry { rings: 1, records: 4096, slots: 65_536, dual_stack: false, verdicts: 4096 };
        Options { name: "plane", geometry }
    }
}

/// A packet plane. One thread uses it; rings and counters can be given to others.
#[derive(Debug)]
pub struct PlaneClient {
    memory: Arc<Memory<SharedMemory>>,
    memory_fd: OwnedFd,
    bells: Bells,
    link: Link,
    rings: Vec<Option<RingSender>>,
    counters: CounterWriter<SharedMemory>,
    verdicts: VerdictReader<SharedMemory>,
    /// Slots without a session; the next one given out is the last.
    free_slots: Vec<u32>,
    /// How far the engine had come in each ring when `wait` last looked.
    consumed_seen: Vec<u64>,
}

/// One ring, for the thread of a plane worker.
#[derive(Debug)]
pub struct RingSender {
    writer: EventWriter<SharedMemory>,
    bells: Bells,
}

impl RingSender {
    /// Says an event, and wakes the engine if it sleeps.
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing was said then.
    pub fn send(&mut self, event: &PlaneEvent<'_>) -> Result<(), SendError> {
        self.writer.write(event)?;
        if self.bells.bell.engine_needs_kick() {
            self.bells.kick_engine();
        }
        Ok(())
    }
}

impl PlaneClient {
    /// Makes the memory and both eventfds.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the name or a number is outside its range, or what the system says.
    pub fn create(options: &Options<'_>) -> io::Result<PlaneClient> {
        let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let epoch = memory::random_epoch()?;
        let bytes = Layout::new(options.geometry, epoch).map_err(invalid)?.bytes();
        let memory_fd = memory::create(bytes)?;
        let words = SharedMemory::map(&memory_fd, bytes)?;
        let memory = Memory::format(words, options.geometry, epoch).map_err(invalid)?;
        PlaneClient::with(options.name, memory_fd, memory)
    }

    /// Goes on with a memory that another process of this plane made and kept (for example in its service manager).
    /// Counters, generations and waiting events are as they were; each ring and slot still has one writer only.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the memory is not sealed, not a plane's, or of another version, or what the system says.
    pub fn adopt(name: &str, memory_fd: OwnedFd) -> io::Result<PlaneClient> {
        let words = SharedMemory::map(&memory_fd, memory::size(&memory_fd)?)?;
        let memory = Memory::open(words).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        PlaneClient::with(name, memory_fd, memory)
    }

    fn with(name: &str, memory_fd: OwnedFd, memory: Memory<SharedMemory>) -> io::Result<PlaneClient> {
        let hello = Hello::new(name, memory.layout().epoch, memory.layout().bytes() as u64)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let memory = Arc::new(memory);
        let bells = Bells {
            bell: PlaneBell::new(Arc::clone(&memory)),
            engine: Arc::new(memory::eventfd()?),
            plane: Arc::new(memory::eventfd()?),
        };
        let counters = CounterWriter::new(Arc::clone(&memory));
        let slots = memory.layout().geometry.slots;
        let rings = memory.event_writers().into_iter().map(|writer| Some(RingSender { writer, bells: bells.clone() }));
        Ok(PlaneClient {
            rings: rings.collect(),
            free_slots: (0..slots).rev().filter(|slot| counters.is_free(*slot)).collect(),
            consumed_seen: (0..memory.ring_count()).map(|ring| memory.consumed(ring)).collect(),
            verdicts: VerdictReader::new(Arc::clone(&memory)),
            link: Link::new(hello),
            counters,
            bells,
            memory_fd,
            memory,
        })
    }

    /// Says in every HELLO from now on that no session lives on from an earlier memory of this plane; see
    /// [`Hello::new_start`]. Sessions of this memory are announced all the same when a link is lost. To be said before
    /// [`connect`](Self::connect).
    pub fn start_anew(&mut self) {
        self.link.set_new_start();
    }

    /// Says in every HELLO from now on that each counter has 32 bits; see [`Hello::narrow`]. To be said before
    /// [`connect`](Self::connect).
    pub fn count_with_32_bits(&mut self) {
        self.link.set_narrow();
    }

    /// Says where the engine is; [`poll_connect`](Self::poll_connect) goes there. A link that stands is given up.
    pub fn connect(&mut self, path: impl AsRef<Path>) {
        self.link.set_path(path.as_ref());
    }

    /// Brings the link up, or finds out that it is gone. Never blocks; call it whenever [`wait`](Self::wait) has
    /// returned. After [`LinkState::Fresh`], which comes once per connection, all live sessions have to be announced
    /// between `resync_begin` and `resync_end`, or with [`announce`](Self::announce).
    pub fn poll_connect(&mut self) -> LinkState {
        let descriptors = [self.memory_fd.as_fd(), self.bells.engine.as_fd(), self.bells.plane.as_fd()];
        self.link.poll(descriptors, Instant::now())
    }

    /// Says an event in a ring.
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing was said then.
    ///
    /// # Panics
    ///
    /// When there is no such ring or it was taken.
    pub fn send(&mut self, ring: u16, event: &PlaneEvent<'_>) -> Result<(), SendError> {
        self.rings[usize::from(ring)].as_mut().expect("a ring that was not taken").send(event)
    }

    /// A subscriber came online. Errors and panics as [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn up(&mut self, ring: u16, up: Up<'_>) -> Result<(), SendError> {
        self.send(ring, &PlaneEvent::Up(up))
    }

    /// Something has changed. Errors and panics as [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn update(&mut self, ring: u16, update: Update<'_>) -> Result<(), SendError> {
        self.send(ring, &PlaneEvent::Update(update))
    }

    /// A subscriber went offline. With its totals in the event the slot may be reused at once. Errors and panics as
    /// [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn down(&mut self, ring: u16, down: Down<'_>) -> Result<(), SendError> {
        self.send(ring, &PlaneEvent::Down(down))
    }

    /// The plane lost a session's counters; the slot comes from [`alloc_slot_after`](Self::alloc_slot_after), or from
    /// [`renew_slot`](Self::renew_slot) where the totals are lost with the slot itself. Errors and panics as
    /// [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn reset(&mut self, ring: u16, reset: Reset<'_>) -> Result<(), SendError> {
        self.send(ring, &PlaneEvent::Reset(reset))
    }

    /// Gives a ring to a worker's thread; `None` when it was taken before or does not exist.
    pub fn take_ring(&mut self, ring: u16) -> Option<RingSender> {
        self.rings.get_mut(usize::from(ring))?.take()
    }

    /// A counter slot for a new session, its totals zero; `None` when all are taken.
    pub fn alloc_slot(&mut self) -> Option<CounterSlot> {
        self.free_slots.pop().and_then(|slot| self.counters.renew(slot))
    }

    /// A second slot, its totals zero, for a session whose counters begin again: its generation is another one than
    /// the old slot's, which says so to the engine. The old slot keeps what it counted until the [`reset`](Self::reset)
    /// is taken over, and is then given back. `None` when all are taken.
    pub fn alloc_slot_after(&mut self, old: CounterSlot) -> Option<CounterSlot> {
        let fresh = self.alloc_slot()?;
        if fresh.generation == old.generation { self.counters.renew(fresh.slot) } else { Some(fresh) }
    }

    /// Keeps these slots for sessions that an earlier memory of this plane counted in them and whose counters go on, as the
    /// engine is told by slot and generation being the same. The engine reads nothing in such a slot until its totals are
    /// published ([`CounterWriter::publish`]), which must not be less than those of before. To be said before any slot is
    /// given out, for another session in the slot could have the generation that the engine looks for.
    pub fn keep_slots(&mut self, slots: &HashSet<u32>) {
        self.free_slots.retain(|slot| !slots.contains(slot));
    }

    /// Gives a slot back. Freely after a Down that carried the totals; otherwise only when the Down is taken over.
    pub fn free_slot(&mut self, slot: CounterSlot) {
        if !self.counters.is_free(slot.slot) && slot.slot < self.memory.layout().geometry.slots {
            self.counters.free(slot.slot);
            self.free_slots.push(slot.slot);
        }
    }

    /// Gives a slot back in which nothing was published; see [`keep_slots`](Self::keep_slots).
    pub fn free_unpublished(&mut self, slot: CounterSlot) {
        if self.counters.is_free(slot.slot) && slot.slot < self.memory.layout().geometry.slots {
            self.free_slots.push(slot.slot);
        }
    }

    /// The same slot with zero totals and the next generation, for a [`reset`](Self::reset). What it counted since the
    /// engine last read it is gone.
    pub fn renew_slot(&self, slot: CounterSlot) -> Option<CounterSlot> {
        self.counters.renew(slot.slot)
    }

    /// Where totals are stored; cloned for every worker's thread.
    pub fn counters(&self) -> &CounterWriter<SharedMemory> {
        &self.counters
    }

    /// The engine's next verdict.
    pub fn poll_verdict(&mut self) -> Option<OwnedVerdict> {
        let verdict = self.verdicts.poll_verdict();
        if verdict.is_some() && self.bells.bell.engine_wants_room() {
            self.bells.kick_engine();
        }
        verdict
    }

    /// The position behind everything that was said in a ring.
    ///
    /// # Panics
    ///
    /// When there is no such ring.
    pub fn said(&self, ring: u16) -> u64 {
        self.memory.produced(ring)
    }

    /// The position up to which everything that was said in a ring is durable.
    ///
    /// # Panics
    ///
    /// When there is no such ring.
    pub fn durable(&self, ring: u16) -> u64 {
        self.memory.consumed(ring)
    }

    /// What a HELLO says of this plane, for an engine in the same process.
    pub fn hello(&self) -> &Hello {
        self.link.hello()
    }

    /// What goes with a HELLO, for an engine in the same process: the memory, the engine's bell and the plane's.
    ///
    /// # Errors
    ///
    /// No descriptor is left.
    pub fn descriptors(&self) -> io::Result<[OwnedFd; HELLO_DESCRIPTORS]> {
        let again = |descriptor: &OwnedFd| descriptor.try_clone();
        Ok([again(&self.memory_fd)?, again(&self.bells.engine)?, again(&self.bells.plane)?])
    }

    /// Whether every event of every ring is durable.
    pub fn taken_over(&self) -> bool {
        self.memory.taken_over()
    }

    /// Sleeps until a verdict came, the engine took something over, the link changed, or the time is over; a try to
    /// connect that is due ends it too. Says so by returning, not what it was.
    pub fn wait(&mut self, timeout: Duration) {
        self.wait_beside(&[], timeout);
    }

    /// As [`wait`](Self::wait); it also ends when one of these can be read.
    pub fn wait_beside(&mut self, others: &[BorrowedFd<'_>], timeout: Duration) {
        let timeout = self.link.time_to_retry(Instant::now()).map_or(timeout, |retry| retry.min(timeout));
        self.bells.bell.about_to_sleep();
        if !self.progressed() && !self.verdicts.has_more() {
            let own = [Some(self.bells.plane.as_fd()), self.link.descriptor()];
            let all: Vec<BorrowedFd<'_>> = own.into_iter().flatten().chain(others.iter().copied()).collect();
            memory::wait_for_any(&all, timeout);
            self.progressed();
        }
        self.bells.bell.awake();
        memory::drain(&self.bells.plane);
    }

    /// The memory, to be kept by somebody who outlives this process; see [`adopt`](Self::adopt).
    pub fn memory_fd(&self) -> BorrowedFd<'_> {
        self.memory_fd.as_fd()
    }

    /// Whether the engine came further since this was last asked.
    fn progressed(&mut self) -> bool {
        let mut any = false;
        for (ring, seen) in (0u16..).zip(&mut self.consumed_seen) {
            let consumed = self.memory.consumed(ring);
            any |= consumed != *seen;
            *seen = consumed;
        }
        any
    }
}

/// Both eventfds and the words beside them.
#[derive(Clone, Debug)]
struct Bells {
    bell: PlaneBell<SharedMemory>,
    engine: Arc<OwnedFd>,
    plane: Arc<OwnedFd>,
}

impl Bells {
    fn kick_engine(&self) {
        memory::kick(&self.engine);
    }
}
