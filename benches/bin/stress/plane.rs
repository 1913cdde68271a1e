//! The packet plane: all subscribers come, move, and go as the schedule has it. What each has moved in the end is the truth that
//! everything else is held against.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use model::counters::{CounterSlot, Counters, Totals};
use model::event::{Down, Subscriber, Up};
use model::verdict::Sentence;
use plane::client::{LinkState, Options, PlaneClient};
use plane::{Geometry, SendError};

use crate::schedule::Schedule;

/// How often the plane looks at everything.
const TICK: Duration = Duration::from_millis(1);
/// Everybody moves once in so many ticks.
const SWEEP: usize = 4000;
/// How long anything may take that waits for the daemon.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs in a thread of its own.
pub(crate) struct Plane {
    thread: JoinHandle<Result<Vec<Totals>>>,
    is_over: Arc<AtomicBool>,
}

impl Plane {
    /// Linked when this returns; the schedule begins now.
    ///
    /// # Errors
    /// The daemon does not link.
    pub(crate) fn start(link: &Path, sessions: u32, schedule: Schedule) -> Result<Plane> {
        let geometry = Geometry { rings: 1, records: 1 << 16, slots: sessions, dual_stack: false, verdicts: 1 << 16 };
        let mut client = PlaneClient::create(&Options { name: "stress", geometry })?;
        client.connect(link);
        let began = Instant::now();
        while client.poll_connect() != LinkState::Fresh {
            ensure!(began.elapsed() < PATIENCE, "the daemon does not link");
            client.wait(Duration::from_millis(20));
        }
        client.announce(0, [], Duration::from_secs(10)).map_err(|error| anyhow!("nobody is announced: {error:?}"))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let noted = is_over.clone();
        let mut card = Card {
            client,
            slots: Vec::with_capacity(sessions as usize),
            truth: Vec::with_capacity(sessions as usize),
            moved: 0,
            gone: 0,
            began: Instant::now(),
            schedule,
        };
        let thread = std::thread::spawn(move || {
            card.live(sessions)?;
            noted.store(true, Ordering::Relaxed);
            Ok(card.truth)
        });
        Ok(Plane { thread, is_over })
    }

    /// Whether everybody has gone, and the daemon has it on its disk.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// # Errors
    /// It has ended before its time; [`Plane::finish`] says why.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(self.is_over() || !self.thread.is_finished(), "the plane has failed");
        Ok(())
    }

    /// What everybody has moved, by number.
    ///
    /// # Errors
    /// It has failed.
    pub(crate) fn finish(self) -> Result<Vec<Totals>> {
        self.thread.join().map_err(|_| anyhow!("the plane has panicked"))?
    }
}

struct Card {
    client: PlaneClient,
    slots: Vec<CounterSlot>,
    /// What each has moved so far.
    truth: Vec<Totals>,
    /// Where the sweep over the counters is.
    moved: usize,
    /// How many have gone, which are the first.
    gone: usize,
    began: Instant,
    schedule: Schedule,
}

impl Card {
    fn live(&mut self, sessions: u32) -> Result<()> {
        let lived = self.all_come(sessions).and_then(|()| self.all_go(sessions));
        if let Err(error) = &lived {
            eprintln!("the plane: {error:#}");
        }
        lived
    }

    fn all_come(&mut self, sessions: u32) -> Result<()> {
        let mut ticked = self.began;
        for number in 0..sessions {
            let counters = self.client.alloc_slot().context("a slot is free")?;
            self.slots.push(counters);
            self.truth.push(Totals::default());
            let (name, user) = (format!("s{number}"), format!("user{number:07}@isp"));
            let subscriber = Subscriber { user: Some(user.as_bytes()), ..Subscriber::default() };
            let up = Up { session: name.as_bytes(), subscriber, counters, at: None };
            self.until_said(|client| client.up(0, up))?;
            if ticked.elapsed() >= TICK {
                self.tick()?;
                ticked = Instant::now();
            }
        }
        Ok(())
    }

    fn all_go(&mut self, sessions: u32) -> Result<()> {
        let mut last = None;
        loop {
            let due = self.schedule.gone(self.began.elapsed(), sessions) as usize;
            while self.gone < due {
                // From here on nothing moves it any more, and the daemon reads what stands there.
                let name = format!("s{}", self.gone);
                let down = Down { session: name.as_bytes(), cause: 1, totals: None, at: None };
                self.until_said(|client| client.down(0, down))?;
                self.gone += 1;
            }
            self.tick()?;
            if self.gone == sessions as usize {
                if self.client.taken_over() {
                    return Ok(());
                }
                ensure!(last.get_or_insert_with(Instant::now).elapsed() < PATIENCE, "not all events are taken over");
            }
            self.client.wait(TICK);
        }
    }

    fn until_said(&mut self, say: impl Fn(&mut PlaneClient) -> Result<(), SendError>) -> Result<()> {
        let began = Instant::now();
        loop {
            match say(&mut self.client) {
                Ok(()) => return Ok(()),
                Err(SendError::Full) => {
                    ensure!(began.elapsed() < PATIENCE, "the daemon takes no events");
                    self.tick()?;
                    self.client.wait(TICK);
                }
                Err(error) => bail!("an event cannot be said: {error:?}"),
            }
        }
    }

    fn tick(&mut self) -> Result<()> {
        self.client.poll_connect();
        while let Some(verdict) = self.client.poll_verdict() {
            let name = String::from_utf8_lossy(verdict.session()).into_owned();
            ensure!(verdict.sentence == Sentence::Admit, "{name} is not let in: {:?}", verdict.reason);
        }
        self.move_some();
        Ok(())
    }

    /// A part of those who are online moves, as much as is due in one tick. Most pass 4 GiB sooner or later.
    fn move_some(&mut self) {
        for _ in 0..self.slots.len().div_ceil(SWEEP) {
            if self.moved >= self.slots.len() {
                self.moved = self.gone;
            }
            let number = self.moved.max(self.gone);
            let Some(totals) = self.truth.get_mut(number) else { break };
            let packets = 1000 + number as u64 % 977;
            totals.in_packets += packets;
            totals.in_octets += packets * 1_013;
            totals.out_packets += 3 * packets;
            totals.out_octets += packets * 90_001;
            let (slot, v4) = (self.slots[number], *totals);
            self.client.counters().store(slot, Counters { v4, ..Counters::ZERO });
            self.moved = number + 1;
        }
    }
}
