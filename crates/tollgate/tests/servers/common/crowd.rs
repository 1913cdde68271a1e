//! A packet plane in the test's own process: it lives through the death of any daemon, and knows what it counted.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use model::counters::{CounterSlot, Counters};
use model::event::{Down, Subscriber, Up};
use model::verdict::{Reason, Sentence};
use plane::client::{LinkState, Options, PlaneClient};
use plane::{Geometry, SendError};

use super::{Random, Site, Totals, wait_until};

/// Two plane workers; room for everything that is said while no daemon is there.
const GEOMETRY: Geometry = Geometry { rings: 2, records: 1 << 14, slots: 4096, dual_stack: false, verdicts: 4096 };

/// How often octets are moved and sessions come and go, unless a test wants it otherwise.
pub(crate) const TICK: Duration = Duration::from_millis(10);

const COMING_AND_GOING: u8 = 0;
const GOING: u8 = 1;
const GONE: u8 = 2;

/// How a crowd behaves.
#[derive(Clone, Copy)]
pub(crate) struct Habits<'a> {
    /// Subscriber lines; about half of them have a session at any moment.
    pub(crate) lines: usize,
    /// Log-ins and log-outs a second, together.
    pub(crate) pace: u32,
    /// How often octets are moved, and sessions come and go.
    pub(crate) tick: Duration,
    /// Sessions belong to these in turn.
    pub(crate) domains: &'a [&'a str],
    /// The first session's number; the user of session 7 is `s7` of its domain.
    pub(crate) first: usize,
    /// The plane's name of a session is its line's, so that it comes again; otherwise it is the user's.
    pub(crate) names_come_again: bool,
}

/// What the plane knows of one session.
pub(crate) struct Life {
    pub(crate) user: String,
    /// The daemon said that it may go online.
    pub(crate) admitted: bool,
    /// It logged out.
    pub(crate) gone: bool,
    /// What was counted when: the first entry is its begin, the last one its end.
    pub(crate) history: Vec<(Instant, Totals)>,
}

impl Life {
    pub(crate) fn totals(&self) -> Totals {
        self.history.last().map_or_else(Totals::default, |(_, totals)| *totals)
    }

    /// From its begin to the last time that something was counted, its end or just before.
    pub(crate) fn lasted(&self) -> Duration {
        let [first, last] = [self.history.first(), self.history.last()].map(|entry| entry.map(|(at, _)| *at));
        last.zip(first).map_or(Duration::ZERO, |(last, first)| last.duration_since(first))
    }

    /// What was counted until then.
    pub(crate) fn totals_at(&self, moment: Instant) -> Totals {
        let until = self.history.partition_point(|(at, _)| *at <= moment);
        until.checked_sub(1).map_or_else(Totals::default, |last| self.history[last].1)
    }
}

/// The plane at work. Dropped, it is gone with its memory.
pub(crate) struct Crowd {
    order: Arc<AtomicU8>,
    thread: Option<JoinHandle<Vec<Life>>>,
}

impl Crowd {
    pub(crate) fn start(site: &Site, habits: &Habits<'_>) -> Crowd {
        let order = Arc::new(AtomicU8::new(COMING_AND_GOING));
        let mut plane = Plane::new(site.link(), habits);
        let orders = Arc::clone(&order);
        Crowd { order, thread: Some(std::thread::spawn(move || plane.work(&orders))) }
    }

    /// Everybody logs out, and all of it is taken over.
    pub(crate) fn finish(mut self, patience: Duration) -> Vec<Life> {
        self.order.store(GOING, Ordering::Relaxed);
        let thread = self.thread.take().unwrap();
        wait_until("everything that the plane said is taken over", patience, || thread.is_finished());
        thread.join().unwrap()
    }

    /// The plane vanishes with its memory.
    pub(crate) fn vanish(mut self) -> Vec<Life> {
        self.order.store(GONE, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.order.store(GONE, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Whoever drops it has failed already.
            let _ = thread.join();
        }
    }
}

struct Plane {
    client: PlaneClient,
    random: Random,
    pace: u32,
    tick: Duration,
    domains: Vec<String>,
    first: usize,
    names_come_again: bool,
    lines: Vec<Option<Online>>,
    lives: Vec<Life>,
    /// Slots whose last totals the daemon reads itself, so that they are not used again before it has.
    unread: Vec<CounterSlot>,
    announce: bool,
}

struct Online {
    name: String,
    life: usize,
    slot: CounterSlot,
}

impl Plane {
    fn new(link: PathBuf, habits: &Habits<'_>) -> Plane {
        let mut client = PlaneClient::create(&Options { name: "crowd", geometry: GEOMETRY }).unwrap();
        client.connect(link);
        Plane {
            client,
            random: Random::new(habits.first as u64),
            pace: habits.pace,
            tick: habits.tick,
            domains: habits.domains.iter().map(|domain| (*domain).to_owned()).collect(),
            first: habits.first,
            names_come_again: habits.names_come_again,
            lines: (0..habits.lines).map(|_| None).collect(),
            lives: Vec::new(),
            unread: Vec::new(),
            announce: false,
        }
    }

    fn work(&mut self, order: &AtomicU8) -> Vec<Life> {
        let (mut tick, mut due) = (Instant::now(), 0.0);
        loop {
            self.look();
            let now = Instant::now();
            let passed = now.duration_since(tick);
            match order.load(Ordering::Relaxed) {
                COMING_AND_GOING if passed >= self.tick => {
                    tick = now;
                    due = (due + passed.as_secs_f64() * f64::from(self.pace)).min(f64::from(self.pace));
                    self.move_octets(now);
                    while due >= 1.0 {
                        due -= 1.0;
                        let line = self.random.below(self.lines.len());
                        self.come_or_go(line, now);
                    }
                }
                COMING_AND_GOING => {}
                GOING => {
                    let everybody = (0..self.lines.len()).filter(|line| self.lines[*line].is_some());
                    for line in everybody.collect::<Vec<_>>() {
                        self.come_or_go(line, now);
                    }
                    if self.lines.iter().all(Option::is_none) && self.client.taken_over() {
                        break;
                    }
                }
                _ => break,
            }
            self.client.wait(self.tick / 2);
        }
        std::mem::take(&mut self.lives)
    }

    /// The link, and what comes over it.
    fn look(&mut self) {
        let state = self.client.poll_connect();
        self.announce |= state == LinkState::Fresh;
        if self.announce && matches!(state, LinkState::Fresh | LinkState::Up) {
            // Without room it is begun anew later.
            self.announce = self.announce_everybody().is_err();
        }
        while let Some(verdict) = self.client.poll_verdict() {
            let name = verdict.session();
            assert!(
                verdict.sentence == Sentence::Admit,
                "{} was not to be {}: {}",
                name.escape_ascii(),
                verdict.sentence.as_str(),
                verdict.reason.as_str()
            );
            let line = self.lines.iter().flatten().find(|online| online.name.as_bytes() == name);
            if let Some(online) = line
                && verdict.is_on(&[online.slot])
                && verdict.reason != Reason::NotAccounted
            {
                self.lives[online.life].admitted = true;
            }
        }
        if self.client.taken_over() {
            self.unread.drain(..).for_each(|slot| self.client.free_slot(slot));
        }
    }

    fn announce_everybody(&mut self) -> Result<(), SendError> {
        self.client.resync_begin()?;
        for (line, online) in self.lines.iter().enumerate() {
            let Some(online) = online else { continue };
            say_up(&mut self.client, line, online, &self.lives[online.life].user)?;
        }
        self.client.resync_end()
    }

    /// A third of the sessions move something.
    fn move_octets(&mut self, now: Instant) {
        for online in self.lines.iter().flatten() {
            if self.random.below(3) > 0 {
                continue;
            }
            let life = &mut self.lives[online.life];
            let mut totals = life.totals();
            let giga = u64::from(self.random.below(200) == 0);
            totals.in_octets += (giga << 32) + self.random.below(5_000) as u64;
            totals.in_packets += 1 + self.random.below(9) as u64;
            totals.out_octets += self.random.below(50_000) as u64;
            totals.out_packets += 1 + self.random.below(40) as u64;
            self.client.counters().store(online.slot, counters(totals));
            life.history.push((now, totals));
        }
    }

    fn come_or_go(&mut self, line: usize, now: Instant) {
        match self.lines[line].take() {
            Some(online) => self.go(line, online),
            None => self.come(line, now),
        }
    }

    fn come(&mut self, line: usize, now: Instant) {
        let Some(slot) = self.client.alloc_slot() else { return };
        let number = self.first + self.lives.len();
        let user = format!("s{number}@{}", self.domains[number % self.domains.len()]);
        let name = if self.names_come_again { format!("line{line}") } else { user.clone() };
        let online = Online { name, life: self.lives.len(), slot };
        match say_up(&mut self.client, line, &online, &user) {
            Ok(()) => {
                let history = vec![(now, Totals::default())];
                self.lives.push(Life { user, admitted: false, gone: false, history });
                self.lines[line] = Some(online);
            }
            Err(SendError::Full) => self.client.free_slot(slot),
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Every fourth one says no totals: the daemon reads the slot.
    fn go(&mut self, line: usize, online: Online) {
        let life = &mut self.lives[online.life];
        let totals = (self.random.below(4) > 0).then(|| counters(life.totals()));
        let down = Down { session: online.name.as_bytes(), cause: 1, totals, at: None };
        match self.client.down(ring(line), down) {
            Ok(()) if totals.is_some() => self.client.free_slot(online.slot),
            Ok(()) => self.unread.push(online.slot),
            // It goes another time.
            Err(SendError::Full) => {
                self.lines[line] = Some(online);
                return;
            }
            Err(error) => panic!("{error:?}"),
        }
        life.gone = true;
    }
}

/// Lines are shared out among the plane's workers.
fn ring(line: usize) -> u16 {
    u16::from(line % 2 == 1)
}

fn say_up(client: &mut PlaneClient, line: usize, online: &Online, user: &str) -> Result<(), SendError> {
    let subscriber = Subscriber { user: Some(user.as_bytes()), ..Subscriber::default() };
    client.up(ring(line), Up { session: online.name.as_bytes(), subscriber, counters: online.slot, at: None })
}

fn counters(totals: Totals) -> Counters {
    let Totals { in_octets, in_packets, out_octets, out_packets } = totals;
    Counters { v4: model::counters::Totals { in_octets, in_packets, out_octets, out_packets }, ..Counters::ZERO }
}
