//! The link as a script needs it: the plane client, with failures in the words of a command.

use std::path::Path;
use std::time::Duration;

use model::counters::{CounterSlot, Counters};
use model::event::PlaneEvent;
use plane::client::{LinkState, Options, PlaneClient};
use plane::hello::Answer;
use plane::{Geometry, OwnedVerdict, SendError};

use crate::exit::Failure;

/// One event ring, sessions of both families: as much as a script is likely to need.
const GEOMETRY: Geometry = Geometry { rings: 1, records: 1 << 16, slots: 1 << 20, dual_stack: true, verdicts: 1 << 14 };

/// A packet plane's end of the link.
pub(super) struct Link {
    client: PlaneClient,
    is_linked: bool,
    /// What the engine answered last, when it refused.
    refusal: Option<Answer>,
}

/// What became of the link since it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// As before, or lost.
    Same,
    /// It stands again: the engine waits to hear which sessions are live.
    Linked,
}

impl Link {
    /// Makes the memory. The engine need not be there yet. `new_start`: no session lives on from an earlier play.
    pub(super) fn new(path: &Path, name: &str, new_start: bool) -> Result<Link, Failure> {
        let mut client =
            PlaneClient::create(&Options { name, geometry: GEOMETRY }).map_err(|error| match error.kind() {
                std::io::ErrorKind::InvalidInput => {
                    Failure::usage("--plane needs 1 to 32 printable characters without spaces")
                }
                _ => Failure::failed(format!("the link's memory cannot be made: {error}")),
            })?;
        if new_start {
            client.start_anew();
        }
        client.connect(path);
        Ok(Link { client, is_linked: false, refusal: None })
    }

    /// Sees whether the engine is still there, and tries to reach it when it is not. A refusal that trying again
    /// cannot cure ends the play.
    pub(super) fn look(&mut self) -> Result<Look, Failure> {
        let state = self.client.poll_connect();
        self.is_linked = matches!(state, LinkState::Fresh | LinkState::Up);
        match state {
            LinkState::Fresh => {
                self.refusal = None;
                Ok(Look::Linked)
            }
            LinkState::Up | LinkState::Down | LinkState::Greeting => Ok(Look::Same),
            LinkState::Refused(welcome) => match welcome.answer {
                // The engine may not have noticed yet that an earlier link is gone, or is about to stop.
                Answer::Accepted | Answer::NameTaken | Answer::ShuttingDown => {
                    self.refusal = Some(welcome.answer);
                    Ok(Look::Same)
                }
                answer => Err(Failure::failed(format!("the engine refused the plane: {}", answer.as_str()))),
            },
        }
    }

    /// Why the engine does not take the plane now, as far as it said so.
    pub(super) fn refusal(&self) -> Option<Answer> {
        self.refusal
    }

    /// Whether the link stands.
    pub(super) fn is_linked(&self) -> bool {
        self.is_linked
    }

    /// Waits until the engine has something to say, and at most for `timeout`.
    pub(super) fn wait(&mut self, timeout: Duration) {
        self.client.wait(timeout);
    }

    /// Says something; false: the ring is full, and the event must be said again later.
    pub(super) fn say(&mut self, event: &PlaneEvent<'_>) -> Result<bool, Failure> {
        match self.client.send(0, event) {
            Ok(()) => Ok(true),
            Err(SendError::Full) => Ok(false),
            Err(SendError::Event(error)) => {
                Err(Failure::usage(format!("an event does not fit into the link: {error:?}")))
            }
        }
    }

    /// A counter slot with zero totals.
    pub(super) fn take_slot(&mut self) -> Result<CounterSlot, Failure> {
        self.client.alloc_slot().ok_or_else(too_many)
    }

    /// A counter slot with zero totals for a session whose counters were lost. The old one still has to be given back.
    pub(super) fn take_slot_after(&mut self, old: CounterSlot) -> Result<CounterSlot, Failure> {
        self.client.alloc_slot_after(old).ok_or_else(too_many)
    }

    /// The session's totals.
    pub(super) fn count(&mut self, slot: CounterSlot, counters: Counters) {
        self.client.counters().store(slot, counters);
    }

    /// The slot's session is gone; its final totals went with its Down.
    pub(super) fn give_slot_back(&mut self, slot: CounterSlot) {
        self.client.free_slot(slot);
    }

    /// The next verdict.
    pub(super) fn poll_verdict(&mut self) -> Option<OwnedVerdict> {
        self.client.poll_verdict()
    }

    /// Whether everything that was said is durable on the engine's side.
    pub(super) fn is_taken_over(&self) -> bool {
        self.client.taken_over()
    }
}

fn too_many() -> Failure {
    Failure::failed(format!("more than {} sessions are up at once", GEOMETRY.slots))
}
