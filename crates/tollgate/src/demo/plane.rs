//! The packet plane: sessions come, move octets and go, as the schedule says. What it counts is the truth that
//! everything else is held against.

use std::fmt::Write;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kernel::shared_memory::SharedMemory;
use kernel::waker::Waker;
use model::counters::{CounterSlot, Counters, Totals};
use model::event::{Access, ClassList, Down, PlaneEvent, Subscriber, Up};
use model::verdict::Sentence;
use plane::doorbell::PlaneBell;
use plane::layout::Layout;
use plane::region::Memory;
use plane::{CounterWriter, EventWriter, Geometry, Region, SendError, VerdictReader};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::schedule::Schedule;
use super::settings::NAME;
use super::stage::Stage;
use crate::exit::Failure;
use crate::run::Engine;
use crate::run::link::LinkEvent;
use crate::run::messages::WorkerMessage;

/// The memory's epoch; any number but 0.
const EPOCH: u64 = 1;
const RECORDS: u32 = 1 << 15;
/// How often the plane looks at everything.
const TICK: Duration = Duration::from_millis(2);
/// Every counter moves once in so many ticks.
const SWEEP_TICKS: usize = 100;
/// Events of one kind in one tick, so that verdicts and counters have their turn.
const EVENTS_MAX: usize = 1024;
/// Acct-Terminate-Cause *User Request* (RFC 2866 section 5.10).
const USER_REQUEST: u8 = 1;

/// One session of the plane.
#[derive(Clone, Copy, Debug, Default)]
struct Life {
    /// What it has moved.
    totals: Totals,
    admitted: bool,
    state: State,
    slot: CounterSlot,
    /// When its counters last moved, milliseconds of the play.
    moved_ms: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// It has not come, or waits for its verdict.
    #[default]
    Outside,
    Online,
    /// It has gone, or was refused.
    Over,
}

/// The plane and its link.
pub(super) struct Plane {
    schedule: Schedule,
    events: EventWriter<SharedMemory>,
    counters: CounterWriter<SharedMemory>,
    verdicts: VerdictReader<SharedMemory>,
    bell: PlaneBell<SharedMemory>,
    engine_bell: Arc<Waker>,
    /// Says when the engine closes the link.
    closed: UnboundedReceiver<&'static str>,
    lives: Vec<Life>,
    /// Lives that have come, and that have gone.
    come: u32,
    gone: u32,
    /// Where the next sweep begins.
    sweep: usize,
}

impl Plane {
    /// Makes the plane's memory and links it, as the handshake on the socket would.
    pub(super) fn link(engine: &Engine, schedule: Schedule) -> Result<Plane, Failure> {
        let cannot = |error: &dyn std::fmt::Debug| Failure::failed(format!("the plane cannot link: {error:?}"));
        let slots = schedule.lives();
        let geometry = Geometry { rings: 1, records: RECORDS, slots, dual_stack: false, verdicts: RECORDS };
        let bytes = Layout::new(geometry, EPOCH).map_err(|error| cannot(&error))?.bytes();
        let ours = SharedMemory::create(bytes).map_err(|error| cannot(&error))?;
        let descriptor = ours.as_fd().try_clone_to_owned().map_err(|error| cannot(&error))?;
        let memory = Arc::new(Memory::format(ours, geometry, EPOCH).map_err(|error| cannot(&error))?);
        let theirs = SharedMemory::map(descriptor, bytes).map_err(|error| cannot(&error))?;
        let region = Region::open(theirs, EPOCH, 1).map_err(|error| cannot(&error))?;
        let engine_bell = Arc::new(Waker::new().map_err(|error| cannot(&error))?);
        let plane_bell = Arc::new(Waker::new().map_err(|error| cannot(&error))?);
        let plane = engine.planes.borrow_mut().index(NAME).ok_or_else(|| cannot(&"too many planes"))?;
        let (close, closed) = unbounded_channel();
        for worker in &engine.workers {
            worker.tell(WorkerMessage::Link(LinkEvent::Linked {
                plane,
                name: NAME.into(),
                epoch: EPOCH,
                new_start: false,
                narrow: false,
                region: region.clone(),
                engine_bell: engine_bell.clone(),
                plane_bell: plane_bell.clone(),
                close: close.clone(),
            }));
        }
        let lives = vec![Life::default(); slots as usize];
        let events = memory.event_writers().pop().ok_or_else(|| cannot(&"no ring"))?;
        Ok(Plane {
            events,
            counters: CounterWriter::new(memory.clone()),
            verdicts: VerdictReader::new(memory.clone()),
            bell: PlaneBell::new(memory),
            engine_bell,
            closed,
            lives,
            come: 0,
            gone: 0,
            sweep: 0,
            schedule,
        })
    }

    /// Plays until every session has gone and the engine has taken that over; gives what each that was let in has
    /// moved, by the numbers of the lives.
    pub(super) fn run(mut self, stage: &Stage) -> Vec<Option<Totals>> {
        while !stage.has_ended() && self.closed.try_recv().is_err() {
            let now = stage.elapsed();
            self.hear_verdicts(stage, now);
            self.come(now);
            self.go(stage, now);
            self.move_octets(now);
            if self.bell.engine_needs_kick() {
                self.engine_bell.wake();
            }
            if self.gone == self.schedule.lives() && self.events.taken_over() {
                stage.all_gone.store(true, Ordering::Release);
                break;
            }
            std::thread::sleep(TICK);
        }
        self.lives.iter().map(|life| life.admitted.then_some(life.totals)).collect()
    }

    fn hear_verdicts(&mut self, stage: &Stage, now: Duration) {
        while let Some(verdict) = self.verdicts.poll_verdict() {
            let Some(life) = life_of(verdict.session()).and_then(|life| self.lives.get_mut(life)) else { continue };
            if life.state != State::Outside {
                continue;
            }
            match verdict.sentence {
                Sentence::Admit => {
                    life.state = State::Online;
                    life.admitted = true;
                    life.moved_ms = millis(now);
                    stage.online.fetch_add(1, Ordering::Relaxed);
                }
                Sentence::Refuse | Sentence::Cut => life.state = State::Over,
                Sentence::Redirect => {}
            }
        }
        if self.bell.engine_wants_room() {
            self.engine_bell.wake();
        }
    }

    fn come(&mut self, now: Duration) {
        let mut names = Names::default();
        for _ in 0..EVENTS_MAX {
            if self.come == self.schedule.lives() || self.schedule.comes_at(self.come) > now {
                return;
            }
            let life = self.come;
            let Some(slot) = self.counters.renew(life) else { return };
            names.set(life, self.schedule.subscriber(life));
            // The number of the life, as an authentication server's Class: it comes back in every request.
            let class = life.to_be_bytes();
            let mut classes = ClassList::default();
            classes.push(&class);
            let [_, b, c, d] = self.schedule.subscriber(life).to_be_bytes();
            let subscriber = Subscriber {
                user: Some(names.user.as_bytes()),
                framed_ip: Some([100, 64 | (b & 63), c, d].into()),
                mac: Some([2, 0, 0, b, c, d]),
                access: Some(Access::Pppoe),
                class: classes,
                ..Subscriber::default()
            };
            let up = Up { session: names.session.as_bytes(), subscriber, counters: slot, at: None };
            match self.events.write(&PlaneEvent::Up(up)) {
                Ok(()) => {}
                Err(SendError::Full) => return,
                Err(SendError::Event(_)) => self.lives[life as usize].state = State::Over,
            }
            self.lives[life as usize].slot = slot;
            self.come += 1;
        }
    }

    fn go(&mut self, stage: &Stage, now: Duration) {
        let mut names = Names::default();
        for _ in 0..EVENTS_MAX {
            if self.gone == self.come || self.schedule.goes_at(self.gone) > now {
                return;
            }
            let number = self.gone;
            match self.lives[number as usize].state {
                // Its verdict is on its way.
                State::Outside => return,
                State::Over => {
                    self.gone += 1;
                    continue;
                }
                State::Online => {}
            }
            self.move_life(number as usize, millis(now));
            names.set(number, number);
            let totals = self.lives[number as usize].totals;
            let down = Down {
                session: names.session.as_bytes(),
                cause: USER_REQUEST,
                // Some planes say the totals, others have them read from the slot: here both.
                totals: number.is_multiple_of(2).then_some(Counters { v4: totals, v6: Totals::default() }),
                at: None,
            };
            if self.events.write(&PlaneEvent::Down(down)).is_err() {
                return;
            }
            self.lives[number as usize].state = State::Over;
            self.gone += 1;
            stage.online.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A part of all counters in each tick.
    fn move_octets(&mut self, now: Duration) {
        let now_ms = millis(now);
        for _ in 0..self.lives.len().div_ceil(SWEEP_TICKS) {
            self.sweep = (self.sweep + 1) % self.lives.len();
            if self.lives[self.sweep].state == State::Online {
                self.move_life(self.sweep, now_ms);
            }
        }
    }

    fn move_life(&mut self, number: usize, now_ms: u64) {
        let life = &mut self.lives[number];
        let took = now_ms.saturating_sub(life.moved_ms);
        life.moved_ms = now_ms;
        let pace = Pace::of(number as u64);
        let noise = scramble(number as u64 ^ now_ms << 32) % 1500;
        let moved = (took * pace.in_octets_ms + noise / 3, took * pace.out_octets_ms + noise);
        let more = Totals {
            in_octets: moved.0,
            in_packets: moved.0.div_ceil(400),
            out_octets: moved.1,
            out_packets: moved.1.div_ceil(1200),
        };
        life.totals = life.totals.plus(more);
        self.counters.store(life.slot, Counters { v4: life.totals, v6: Totals::default() });
    }
}

/// How much a session moves in a millisecond.
struct Pace {
    in_octets_ms: u64,
    out_octets_ms: u64,
}

impl Pace {
    /// Most subscribers move up to 64 Mbit/s; one in fifty moves so much that its octets outgrow 33 bits in seconds.
    fn of(number: u64) -> Pace {
        let drawn = scramble(number);
        let (little, much) = (drawn % 8000, drawn >> 32);
        if number.is_multiple_of(50) {
            Pace { in_octets_ms: 200_000 + little, out_octets_ms: 3_000_000 + much % 1_000_000 }
        } else {
            Pace { in_octets_ms: little / 8, out_octets_ms: little }
        }
    }
}

/// A number that looks drawn, the same in every play (the finaliser of SplitMix64).
fn scramble(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The names of one life, made without allocating anew.
#[derive(Default)]
struct Names {
    session: String,
    user: String,
}

impl Names {
    fn set(&mut self, life: u32, subscriber: u32) {
        self.session.clear();
        self.user.clear();
        // Writing to a String does not fail.
        let _ = write!(self.session, "{life:07}");
        let _ = write!(self.user, "user{subscriber:07}@{NAME}");
    }
}

fn life_of(session: &[u8]) -> Option<usize> {
    std::str::from_utf8(session).ok()?.parse().ok()
}

fn millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}
