//! A peer of the plane link that says what it likes: the handshake by hand, and a memory of which it writes any word.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kernel::seqpacket::{self, Stream};
use kernel::shared_memory::SharedMemory;
use kernel::waker::Waker;
use plane::hello::{Answer, Hello, WELCOME_BYTES, Welcome};
use plane::layout::{CONSUMED, Layout, RECORD_BYTES, RING_CONTROL_BYTES};
use plane::region::Memory;
use plane::{EventWriter, Geometry};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::{Random, seconds};

/// How long the daemon may take for anything.
const PATIENCE: Duration = seconds(30);
const WORD: usize = 8;
/// Words of the header, as `plane::layout` draws them.
const RINGS_OFFSET: usize = 80 / WORD;
const RING_BYTES: usize = 88 / WORD;
const VERDICTS_OFFSET: usize = 96 / WORD;
/// Words of the header that mean something.
pub(crate) const HEADER_WORDS: usize = 14;

/// A plane's memory, honest so far.
pub(crate) struct Intruder {
    hello: Hello,
    memory: SharedMemory,
    bells: [Waker; 2],
    geometry: Geometry,
    /// One per ring, for whoever wants to say something sensible.
    pub(crate) writers: Vec<EventWriter<SharedMemory>>,
}

impl Intruder {
    /// With so many rings of so many records, and as many verdicts.
    pub(crate) fn new(name: &str, rings: u32, records: u32) -> Intruder {
        const EPOCH: u64 = 1 << 33 | 7;
        let geometry = Geometry { rings, records, slots: 64, dual_stack: false, verdicts: records };
        let bytes = Layout::new(geometry, EPOCH).unwrap().bytes();
        let memory = SharedMemory::create(bytes).unwrap();
        let again = SharedMemory::map(memory.as_fd().try_clone_to_owned().unwrap(), bytes).unwrap();
        let writers = Arc::new(Memory::format(again, geometry, EPOCH).unwrap()).event_writers();
        let hello = Hello::new(name, EPOCH, bytes as u64).unwrap();
        let bells = [Waker::new().unwrap(), Waker::new().unwrap()];
        Intruder { hello, memory, bells, geometry, writers }
    }

    /// The octets of its HELLO.
    pub(crate) fn hello(&self) -> Vec<u8> {
        self.hello.encode().to_vec()
    }

    /// What goes with them.
    pub(crate) fn descriptors(&self) -> [BorrowedFd<'_>; 3] {
        [self.memory.as_fd(), self.bells[0].as_fd(), self.bells[1].as_fd()]
    }

    /// Every word of its memory.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        self.memory.as_ref()
    }

    fn offset(&self, header: usize) -> usize {
        usize::try_from(self.words()[header].load(Ordering::Relaxed)).unwrap() / WORD
    }

    /// Where it says how far it has come in a ring.
    pub(crate) fn produced(&self, ring: usize) -> &AtomicU64 {
        &self.words()[self.offset(RINGS_OFFSET) + ring * self.offset(RING_BYTES)]
    }

    /// How far the engine has come in a ring.
    pub(crate) fn consumed(&self, ring: usize) -> u64 {
        let control = self.offset(RINGS_OFFSET) + ring * self.offset(RING_BYTES);
        self.words()[control + CONSUMED / WORD].load(Ordering::Acquire)
    }

    /// The head of an event of two records, and nothing behind it.
    pub(crate) fn begin_long_event(&self, ring: usize, position: u64) {
        let records = u64::from(self.geometry.records);
        let first = self.offset(RINGS_OFFSET) + ring * self.offset(RING_BYTES) + RING_CONTROL_BYTES / WORD;
        let at = first + usize::try_from(position % records).unwrap() * RECORD_BYTES / WORD;
        let head = 1 | 1 << 8 | 2 << 24 | 300 << 32 | (position / records) << 48;
        self.words()[at].store(head, Ordering::Relaxed);
    }

    /// Where it says how many verdicts it has read.
    pub(crate) fn verdicts_read(&self) -> &AtomicU64 {
        &self.words()[self.offset(VERDICTS_OFFSET) + CONSUMED / WORD]
    }

    /// A whole ring of random records, half of them with a head that could be one.
    pub(crate) fn scribble(&self, ring: usize, random: &mut Random) {
        let records = usize::try_from(self.geometry.records).unwrap();
        let first = self.offset(RINGS_OFFSET) + ring * self.offset(RING_BYTES) + RING_CONTROL_BYTES / WORD;
        let produced = self.produced(ring).load(Ordering::Relaxed);
        for (number, record) in
            self.words()[first..first + records * RECORD_BYTES / WORD].chunks(RECORD_BYTES / WORD).enumerate()
        {
            for word in record {
                word.store(random.word(), Ordering::Relaxed);
            }
            if random.below(2) == 0 {
                let body = [random.below(240), random.below(4000)][random.below(2)] as u64;
                let count = if body <= 240 { 1 } else { (body - 240).div_ceil(248) + 1 };
                let lap = (produced + number as u64) / records as u64;
                let head = 1 | (1 + random.below(6) as u64) << 8 | count << 24 | body << 32 | lap << 48;
                record[0].store(head, Ordering::Relaxed);
            }
        }
    }

    /// Wakes the engine.
    pub(crate) fn ring(&self) {
        self.bells[0].wake();
    }

    /// Links honestly; `None` when it was refused or not heard.
    pub(crate) fn link(&self, path: &Path) -> Option<Stream> {
        let stream = knock(path, &self.hello(), &self.descriptors())?;
        (answer(&stream)? == Answer::Accepted).then_some(stream)
    }
}

/// Says this to whoever listens there.
pub(crate) fn knock(path: &Path, octets: &[u8], descriptors: &[BorrowedFd<'_>]) -> Option<Stream> {
    let stream = seqpacket::connect(path).ok()?;
    // A peer that has closed already needs no telling.
    stream.send_with_fds(octets, descriptors).ok()?;
    Some(stream)
}

/// What was answered; `None` when the connection was closed instead.
pub(crate) fn answer(stream: &Stream) -> Option<Answer> {
    Some(Welcome::decode(&hear(stream)?)?.answer)
}

/// Waits until the other side closes.
pub(crate) fn until_closed(stream: &Stream) {
    while hear(stream).is_some() {}
}

/// The next message; `None` behind the last.
fn hear(stream: &Stream) -> Option<Vec<u8>> {
    let mut polled = [PollFd::new(stream, PollFlags::IN)];
    let patience = Timespec::try_from(PATIENCE).unwrap();
    assert!(rustix::event::poll(&mut polled, Some(&patience)).unwrap() > 0, "it is neither answered nor closed");
    let mut room = [0; WELCOME_BYTES];
    let (length, _) = stream.recv_with_fds(&mut room, 0).ok()?;
    (length > 0).then(|| room[..length].to_vec())
}
