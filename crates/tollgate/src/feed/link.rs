//! The plane's end of the link: one memory, one event ring, and a socket that is brought back when the engine goes.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kernel::seqpacket::{self, Stream};
use kernel::shared_memory::SharedMemory;
use kernel::waker::Waker;
use model::counters::{CounterSlot, Counters};
use model::event::PlaneEvent;
use plane::doorbell::PlaneBell;
use plane::hello::{Answer, Hello, WELCOME_BYTES, Welcome};
use plane::layout::Layout;
use plane::region::Memory;
use plane::{CounterWriter, EventWriter, Geometry, OwnedVerdict, SendError, VerdictReader};

use crate::exit::Failure;

/// Sessions that can be up at once.
const SLOTS: u32 = 1 << 20;
/// Event records of 256 octets.
const RECORDS: u32 = 1 << 16;
/// Verdicts that may wait to be read.
const VERDICTS: u32 = 1 << 14;
/// Pause between two tries to reach the engine.
const RETRY: Duration = Duration::from_millis(200);

/// A packet plane's end of the link.
pub(super) struct Link {
    path: PathBuf,
    hello: Hello,
    descriptors: [OwnedFd; 3],
    events: EventWriter<SharedMemory>,
    counters: CounterWriter<SharedMemory>,
    verdicts: VerdictReader<SharedMemory>,
    bell: PlaneBell<SharedMemory>,
    engine: Waker,
    stream: Option<Stream>,
    next_try: Instant,
    free: Vec<u32>,
    slots_used: u32,
}

/// What became of the link since it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// As before.
    Same,
    /// It stands again: the engine waits to hear which sessions are live.
    Linked,
}

impl Link {
    /// Makes the memory. The engine need not be there yet.
    pub(super) fn new(path: &Path, name: &str) -> Result<Link, Failure> {
        let cannot =
            |what: &dyn std::fmt::Display| Failure::failed(format!("the link's memory cannot be made: {what}"));
        let geometry = Geometry { rings: 1, records: RECORDS, slots: SLOTS, dual_stack: true, verdicts: VERDICTS };
        let mut epoch = [0; 8];
        kernel::random::fill(&mut epoch).map_err(|error| cannot(&error))?;
        let epoch = u64::from_le_bytes(epoch) | 1;
        let layout = Layout::new(geometry, epoch).map_err(|error| cannot(&error))?;
        let length = layout.bytes();
        let shared = SharedMemory::create(length).map_err(|error| cannot(&error))?;
        let descriptor = shared.as_fd().try_clone_to_owned().map_err(|error| cannot(&error))?;
        let bell = || Waker::new().map_err(|error| cannot(&error));
        let (engine, own) = (bell()?, bell()?);
        let engine_descriptor = engine.as_fd().try_clone_to_owned().map_err(|error| cannot(&error))?;
        let memory = Arc::new(Memory::format(shared, geometry, epoch).map_err(|error| cannot(&error))?);
        let events = memory.event_writers().pop().expect("one ring was asked for");
        let hello = Hello::new(name, epoch, length as u64)
            .ok_or_else(|| Failure::usage("--plane needs 1 to 32 printable characters without spaces"))?;
        Ok(Link {
            path: path.to_owned(),
            hello,
            descriptors: [descriptor, engine_descriptor, own.into()],
            events,
            counters: CounterWriter::new(memory.clone()),
            verdicts: VerdictReader::new(memory.clone()),
            bell: PlaneBell::new(memory),
            engine,
            stream: None,
            next_try: Instant::now(),
            free: Vec::new(),
            slots_used: 0,
        })
    }

    /// Sees whether the engine is still there, and tries to reach it when it is not. A refusal that trying again
    /// cannot cure ends the play.
    pub(super) fn look(&mut self) -> Result<Look, Failure> {
        if let Some(stream) = &self.stream {
            let is_gone = match stream.recv_with_fds(&mut [0; 64], 0) {
                Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
                // Nothing is said after WELCOME but goodbye.
                Ok(_) => true,
            };
            if is_gone {
                self.stream = None;
            }
            return Ok(Look::Same);
        }
        if Instant::now() < self.next_try {
            return Ok(Look::Same);
        }
        self.next_try = Instant::now() + RETRY;
        let Ok(stream) = seqpacket::connect(&self.path) else { return Ok(Look::Same) };
        let [memory, engine, plane] = &self.descriptors;
        let said = stream.send_with_fds(&self.hello.encode(), &[memory.as_fd(), engine.as_fd(), plane.as_fd()]);
        let mut room = [0; WELCOME_BYTES];
        let heard = said.and_then(|()| stream.recv_with_fds(&mut room, 0));
        let Ok((length, _)) = heard else { return Ok(Look::Same) };
        match Welcome::decode(&room[..length]).map(|welcome| welcome.answer) {
            Some(Answer::Accepted) => {
                stream.set_nonblocking(true).map_err(|error| Failure::failed(format!("the link fails: {error}")))?;
                self.stream = Some(stream);
                Ok(Look::Linked)
            }
            // The engine may not have noticed yet that an earlier link is gone, or is about to stop.
            Some(Answer::NameTaken | Answer::ShuttingDown) | None => Ok(Look::Same),
            Some(answer) => Err(Failure::failed(format!("the engine refused the plane: {}", answer.as_str()))),
        }
    }

    /// Whether the link stands.
    pub(super) fn is_linked(&self) -> bool {
        self.stream.is_some()
    }

    /// Says something; false: the ring is full, and the event must be said again later.
    pub(super) fn say(&mut self, event: &PlaneEvent<'_>) -> Result<bool, Failure> {
        match self.events.write(event) {
            Ok(()) => {
                if self.bell.engine_needs_kick() {
                    self.engine.wake();
                }
                Ok(true)
            }
            Err(SendError::Full) => Ok(false),
            Err(SendError::Event(error)) => {
                Err(Failure::usage(format!("an event does not fit into the link: {error:?}")))
            }
        }
    }

    /// A counter slot with zero totals.
    pub(super) fn take_slot(&mut self) -> Result<CounterSlot, Failure> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots_used += 1;
            self.slots_used - 1
        });
        self.counters.renew(slot).ok_or_else(|| Failure::failed(format!("more than {SLOTS} sessions are up at once")))
    }

    /// The same slot in a new generation: its counters were lost.
    pub(super) fn renew_slot(&mut self, slot: CounterSlot) -> CounterSlot {
        self.counters.renew(slot.slot).unwrap_or(slot)
    }

    /// The session's totals.
    pub(super) fn count(&mut self, slot: CounterSlot, counters: Counters) {
        self.counters.store(slot, counters);
    }

    /// The slot's session is gone; its final totals went with its Down.
    pub(super) fn give_slot_back(&mut self, slot: CounterSlot) {
        self.counters.free(slot.slot);
        self.free.push(slot.slot);
    }

    /// The next verdict.
    pub(super) fn poll_verdict(&mut self) -> Option<OwnedVerdict> {
        let verdict = self.verdicts.poll_verdict();
        if verdict.is_some() && self.bell.engine_wants_room() {
            self.engine.wake();
        }
        verdict
    }

    /// Whether everything that was said is durable on the engine's side.
    pub(super) fn is_taken_over(&self) -> bool {
        self.events.taken_over()
    }
}
