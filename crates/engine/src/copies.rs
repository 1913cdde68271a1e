//! The second stream of a session's accounting, to the servers of another group (`accounting-copy`, BEHAVIOUR.md 4).
//!
//! **In:** what became due for the first servers. **Out:** the same to the copy's, with retries of its own: three transmissions,
//! five seconds apart, to one server. What is lost by all three ends the copying of that user with one Stop.
//!
//! ```text
//!            Start or later due              three misses: a Stop is owed
//!   Idle ──────────────────────▶ Running ─────────────────────────────────▶ Running ── Stop ended ──▶ Over
//!                                   └───────── the session's own Stop is owed ────────────┘
//! ```
//!
//! **Never** does it delay or judge the first stream: it takes what places the first one leaves, and at most half of the
//! requests. What has waited for a place for a minute has missed. **Full** it cannot be: each session waits once, for what is
//! newest. A session's slot is given back when its copy is over as well, some two minutes later at the most; and at once when
//! somebody comes for whom there is no other. Nothing of it is durable: after a restart each copy goes on with what is due next.
//!
//! Memory, taken with a configuration that asks for copies: 16 octets for each session slot, 24 in each such group, and 8
//! for those that have ended.

use std::collections::VecDeque;
use std::time::Duration;

use model::time::Mono;

use crate::policy::Kind;
use crate::session::{NONE, Slot};

/// Transmissions of one packet.
pub(crate) const TRANSMISSIONS: u8 = 3;
/// Wait after each of them.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
/// Wait for a place on a server.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where the copying of a session stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing was due yet.
    #[default]
    Idle,
    Running,
    /// Its Stop has had its transaction.
    Over,
}

/// The copy of one session.
#[derive(Clone, Copy, Debug)]
struct Copy {
    /// The request that is out, or [`NONE`].
    request: u32,
    /// How many sessions have had the slot before: who is taken for one of them is another.
    turn: u32,
    state: State,
    /// Stands in its group's line.
    waits: bool,
    start: bool,
    interim: bool,
    stop: Option<Kind>,
}

impl Copy {
    const IDLE: Copy =
        Copy { request: NONE, turn: 0, state: State::Idle, waits: false, start: false, interim: false, stop: None };

    /// What goes out next. A Start that nobody has had says nothing that the Stop does not.
    fn next(&self) -> Option<Kind> {
        self.stop
            .or(self.start.then_some(Kind::Start))
            .or(self.interim.then_some(Kind::Interim))
            .filter(|_| self.state == State::Running)
    }
}

/// Sessions that wait for a place on a copy server, first come first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(VecDeque<Waiting>);

#[derive(Clone, Copy, Debug)]
struct Waiting {
    slot: Slot,
    turn: u32,
    since: Mono,
}

/// All copies of a shard.
#[derive(Default)]
pub(crate) struct Copies {
    /// By slot, as far as there are any.
    copies: Vec<Copy>,
    /// Slots, with their turns, of sessions that are over but for their copies, in that order.
    ended: VecDeque<(Slot, u32)>,
    /// Requests that are out.
    out: u32,
}

impl Copies {
    /// Takes the memory for so many sessions.
    pub(crate) fn reserve(&mut self, sessions: usize) {
        self.copies.reserve(sessions.saturating_sub(self.copies.len()));
        self.ended.reserve(sessions.saturating_sub(self.ended.len()));
    }

    fn get(&self, slot: Slot) -> &Copy {
        self.copies.get(slot as usize).unwrap_or(&Copy::IDLE)
    }

    fn get_mut(&mut self, slot: Slot) -> &mut Copy {
        let index = slot as usize;
        if self.copies.len() <= index {
            self.copies.resize(index + 1, Copy::IDLE);
        }
        &mut self.copies[index]
    }

    /// This became due for the session's first servers.
    pub(crate) fn handle_due(&mut self, slot: Slot, kind: Kind) {
        let copy = self.get_mut(slot);
        match copy.state {
            State::Over => return,
            State::Idle => copy.state = State::Running,
            State::Running => {}
        }
        match kind {
            Kind::Start => copy.start = true,
            Kind::Interim => copy.interim = true,
            Kind::Stop | Kind::ZeroStop => copy.stop = copy.stop.or(Some(kind)),
        }
    }

    /// The session ends, perhaps without a Stop to its first servers; `kind`: what the copy's would be. Of a log-in that was
    /// refused before its Start left, nothing is told.
    pub(crate) fn handle_end(&mut self, slot: Slot, kind: Kind) {
        match *self.get(slot) {
            Copy { state: State::Running, start: true, .. } if kind == Kind::ZeroStop => {
                self.get_mut(slot).state = State::Over;
            }
            Copy { state: State::Running, turn, .. } => {
                self.handle_due(slot, kind);
                self.ended.push_back((slot, turn));
            }
            Copy { state: State::Idle | State::Over, .. } => {}
        }
        // What has ended in its time need not be remembered.
        while self.ended.front().is_some_and(|&(slot, turn)| !self.is_pending(slot, turn)) {
            self.ended.pop_front();
        }
    }

    fn is_pending(&self, slot: Slot, turn: u32) -> bool {
        let copy = self.get(slot);
        copy.turn == turn && copy.state == State::Running
    }

    /// The session that has been over for longest, but for its copy; that has ended with this. The request that is out for it.
    pub(crate) fn abandon_oldest(&mut self) -> Option<(Slot, Option<u32>)> {
        loop {
            let (slot, turn) = self.ended.pop_front()?;
            if self.is_pending(slot, turn) {
                let copy = self.get_mut(slot);
                copy.state = State::Over;
                return Some((slot, Some(copy.request).filter(|&request| request != NONE)));
            }
        }
    }

    /// Puts it at the end of its group's line, if something is due and nothing is out.
    pub(crate) fn wait(&mut self, line: &mut Line, slot: Slot, now: Mono) {
        let copy = self.get(slot);
        if copy.next().is_some() && copy.request == NONE && !copy.waits {
            let turn = copy.turn;
            self.get_mut(slot).waits = true;
            line.0.push_back(Waiting { slot, turn, since: now });
        }
    }

    /// Who is first in the line.
    pub(crate) fn first(&self, line: &mut Line) -> Option<(Slot, Kind)> {
        loop {
            let &Waiting { slot, turn, .. } = line.0.front()?;
            let copy = self.get(slot);
            match copy.next().filter(|_| copy.waits && copy.turn == turn) {
                Some(kind) => return Some((slot, kind)),
                // It is over, and another session may have the slot now.
                None => line.0.pop_front(),
            };
        }
    }

    /// Takes out the first, if it has waited for too long.
    pub(crate) fn take_overdue(&mut self, line: &mut Line, now: Mono) -> Option<(Slot, Kind)> {
        self.first(line)?;
        if line.due()? <= now { self.take_first(line) } else { None }
    }

    /// Takes out the first.
    pub(crate) fn take_first(&mut self, line: &mut Line) -> Option<(Slot, Kind)> {
        let (slot, kind) = self.first(line)?;
        line.0.pop_front();
        self.get_mut(slot).waits = false;
        Some((slot, kind))
    }

    /// The first in the line has a request out.
    pub(crate) fn handle_sent(&mut self, line: &mut Line, slot: Slot, kind: Kind, request: u32) {
        self.take_first(line);
        self.out += 1;
        let copy = self.get_mut(slot);
        copy.request = request;
        match kind {
            Kind::Start => copy.start = false,
            Kind::Interim => copy.interim = false,
            Kind::Stop | Kind::ZeroStop => {}
        }
    }

    /// Its request is closed.
    pub(crate) fn handle_closed(&mut self, slot: Slot) {
        self.out -= 1;
        self.get_mut(slot).request = NONE;
    }

    /// What was sent, or waited for too long, has ended. True: by it the copying was given up.
    pub(crate) fn handle_ended(&mut self, slot: Slot, kind: Kind, acknowledged: bool) -> bool {
        let copy = self.get_mut(slot);
        if copy.state == State::Over {
            return false;
        }
        if matches!(kind, Kind::Stop | Kind::ZeroStop) {
            copy.state = State::Over;
            return false;
        }
        let given_up = !acknowledged && copy.stop.is_none();
        if !acknowledged {
            (copy.start, copy.interim) = (false, false);
            copy.stop = copy.stop.or(Some(Kind::Stop));
        }
        given_up
    }

    /// Whether the session's slot may be given back as far as its copy goes.
    pub(crate) fn is_over(&self, slot: Slot) -> bool {
        self.get(slot).state != State::Running
    }

    /// The slot is given back.
    pub(crate) fn forget(&mut self, slot: Slot) {
        if let Some(copy) = self.copies.get_mut(slot as usize) {
            *copy = Copy { turn: copy.turn.wrapping_add(1), ..Copy::IDLE };
        }
    }

    /// Requests that are out.
    pub(crate) fn out(&self) -> u32 {
        self.out
    }
}

impl Line {
    /// Takes the memory for so many.
    pub(crate) fn reserve(&mut self, sessions: usize) {
        self.0.reserve(sessions.saturating_sub(self.0.len()));
    }

    /// How many wait, those included that were gone before their turn came.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// When the first has waited for too long.
    pub(crate) fn due(&self) -> Option<Mono> {
        self.0.front().map(|first| first.since.plus(PATIENCE))
    }
}
