//! One session source as a packet plane: its sessions, their counter slots, and what is said of them on the link.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use model::counters::{CounterSlot, Counters};
use model::event::{Down, PlaneEvent, Up, Update};
use model::time::Wall;
use plane::client::{Options, PlaneClient};
use plane::{Geometry, OwnedVerdict, SendError};
use serde_json::{Map, Value};

use super::register::{Entry, Gone, Register};
use super::tally::Tally;
use crate::script::{self, Op, Person, Told};

/// One ring, and sessions of both families.
const GEOMETRY: Geometry = Geometry { rings: 1, records: 1 << 13, slots: SLOTS, dual_stack: true, verdicts: 1 << 13 };
/// Sessions that are up at once.
const SLOTS: u32 = if cfg!(test) { 16 } else { 1 << 16 };
/// How long the source sleeps at most while it waits for room, or for the ledger.
const NAP: Duration = Duration::from_millis(20);
/// Acct-Terminate-Cause *NAS Error*: the session came up again.
const NAS_ERROR: u8 = 9;

/// Why something was not said.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The source is to end.
    Stopped,
    /// What was asked for makes no sense or does not fit.
    Refused(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Stopped => out.write_str("the source is being stopped"),
            Fault::Refused(why) => out.write_str(why),
        }
    }
}

fn refused<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Refused(why.into()))
}

/// A session that is up.
#[derive(Debug)]
pub(crate) struct Live {
    /// What is known of it; the register has it, but for what [`SourcePlane::take`] has changed since.
    pub(crate) entry: Entry,
    /// Who it is.
    pub(crate) person: Person,
    slot: CounterSlot,
    /// Something in its tallies has changed beside the readings, and the register does not have it yet.
    unwritten: bool,
    /// The readings that the register has.
    kept: [Option<Counters>; 2],
}

impl Live {
    /// As the register has it.
    fn new(entry: Entry, person: Person, slot: CounterSlot) -> Live {
        let kept = entry.read();
        Live { entry, person, slot, unwritten: false, kept }
    }

    /// The register has all of it.
    fn is_kept(&mut self) {
        (self.unwritten, self.kept) = (false, self.entry.read());
    }
}

#[cfg(test)]
impl Live {
    /// What the engine may see.
    pub(crate) fn slot(&self) -> CounterSlot {
        self.slot
    }
}

/// How far has been said, or is durable.
pub(crate) type Position = u64;

/// The plane.
pub(crate) struct SourcePlane {
    client: PlaneClient,
    register: Register,
    live: HashMap<String, Live>,
    /// Sessions whose Down is not durable yet, in the order of their Downs.
    leaving: VecDeque<(Position, String)>,
    leaving_names: HashSet<String>,
    /// Verdicts that came while something else was waited for.
    heard: VecDeque<OwnedVerdict>,
    stop: Arc<AtomicBool>,
}

impl SourcePlane {
    /// A plane of this name, and the sessions that an earlier life has left.
    ///
    /// # Errors
    /// The memory or the register cannot be had.
    pub(crate) fn open(
        name: &str,
        directory: &Path,
        boot_id: &[u8; 16],
        stop: Arc<AtomicBool>,
    ) -> io::Result<(SourcePlane, Vec<Entry>)> {
        let client = PlaneClient::create(&Options { name, geometry: GEOMETRY })?;
        let (register, entries, _) = Register::open(directory, boot_id)?;
        let plane = SourcePlane {
            client,
            register,
            live: HashMap::new(),
            leaving: VecDeque::new(),
            leaving_names: HashSet::new(),
            heard: VecDeque::new(),
            stop,
        };
        Ok((plane, entries))
    }

    /// The plane's end of the link, for whoever introduces it to the workers.
    pub(crate) fn client(&self) -> &PlaneClient {
        &self.client
    }

    /// Who is up.
    pub(crate) fn live(&self) -> &HashMap<String, Live> {
        &self.live
    }

    /// Goes on with the sessions of an earlier life: ends those that were to end, and announces the others with what the register says
    /// that they have counted. Gives back what is wrong with those that cannot be announced: they end as they were sampled last, and the
    /// others go on.
    ///
    /// # Errors
    /// The source is to end.
    pub(crate) fn restore(&mut self, entries: Vec<Entry>) -> Result<Vec<String>, Fault> {
        let mut problems = Vec::new();
        let (gone, alive): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| entry.gone.is_some());
        for entry in gone {
            let Some(gone) = &entry.gone else { continue };
            let (session, at) = (entry.session.as_bytes(), gone.at.map(Wall::from_millis));
            self.say(&PlaneEvent::Down(Down { session, cause: gone.cause, totals: Some(entry.total()), at }))?;
            self.leaves(entry.session);
        }
        let slots = alive.iter().map(|entry| entry.slot).collect();
        self.client.keep_slots(&slots);
        self.say(&PlaneEvent::ResyncBegin)?;
        for entry in alive {
            let session = entry.session.clone();
            match self.announce(entry) {
                Ok(()) => {}
                Err(Fault::Stopped) => return Err(Fault::Stopped),
                Err(Fault::Refused(why)) => {
                    self.register.remove(&session);
                    problems.push(format!("session {session} of an earlier life cannot go on: {why}"));
                }
            }
        }
        self.say(&PlaneEvent::ResyncEnd)?;
        Ok(problems)
    }

    /// Says that a session of an earlier life is up. Its slot and generation are those of before, by which the engine knows that
    /// what it has counted goes on.
    fn announce(&mut self, entry: Entry) -> Result<(), Fault> {
        let slot = CounterSlot { slot: entry.slot, generation: entry.generation };
        let person = match person_of(&entry.session, entry.said.clone()) {
            Ok(person) => person,
            Err(why) => {
                self.client.free_unpublished(slot);
                return refused(why);
            }
        };
        self.client.counters().publish(slot, entry.total());
        let (name, at) = (entry.session.clone(), entry.at.map(Wall::from_millis));
        let up = Up { session: name.as_bytes(), subscriber: person.subscriber(), counters: slot, at };
        let said = self.say(&PlaneEvent::Up(up));
        if matches!(said, Err(Fault::Refused(_))) {
            self.client.free_slot(slot);
            return said;
        }
        self.live.insert(name, Live::new(entry, person, slot));
        said
    }

    /// A subscriber came online; if it was, it has gone and come again.
    pub(crate) fn up(
        &mut self,
        session: &str,
        mut said: Map<String, Value>,
        person: Person,
        at: Option<Wall>,
        (interface, tallies): (Option<u32>, [Tally; 2]),
    ) -> Result<Position, Fault> {
        said.retain(|key, _| !is_about_the_line(key));
        if self.live.contains_key(session) {
            self.down(session, NAS_ERROR, at)?;
        }
        // A name stands for one session at a time, in the register as well.
        while self.leaving_names.contains(session) {
            self.pause()?;
        }
        let Some(slot) = self.client.alloc_slot() else { return refused(too_many()) };
        let mut entry = Entry {
            stamp: 0,
            session: session.to_owned(),
            said,
            interface,
            at: at.map(Wall::as_millis),
            slot: slot.slot,
            generation: slot.generation,
            tallies,
            gone: None,
        };
        self.client.counters().store(slot, entry.total());
        let written = self.write(&mut entry);
        if written.is_err() {
            self.client.free_slot(slot);
        }
        written?;
        let up = Up { session: session.as_bytes(), subscriber: person.subscriber(), counters: slot, at };
        let said = self.say(&PlaneEvent::Up(up));
        self.live.insert(session.to_owned(), Live::new(entry, person, slot));
        if matches!(said, Err(Fault::Refused(_))) {
            self.forget(session);
        }
        said.map(|()| self.client.said(0))
    }

    /// Something that was said of a session has changed.
    pub(crate) fn update(
        &mut self,
        session: &str,
        mut changed: Map<String, Value>,
        at: Option<Wall>,
    ) -> Result<Position, Fault> {
        changed.retain(|key, _| !is_about_the_line(key));
        let change = change_of(session, changed.clone()).map_err(Fault::Refused)?;
        let Some(live) = self.live.get(session) else { return refused("no such session is up") };
        let mut before = live.entry.clone();
        let mut entry = before.clone();
        entry.said.extend(changed);
        let person = person_of(session, entry.said.clone()).map_err(Fault::Refused)?;
        // Written down first: the next life says what stands in the register.
        let update = PlaneEvent::Update(Update { session: session.as_bytes(), changed: change.subscriber(), at });
        let said = self.write(&mut entry).and_then(|()| self.say(&update));
        match said {
            Ok(()) => {}
            Err(Fault::Stopped) => return Err(Fault::Stopped),
            Err(Fault::Refused(why)) => {
                self.write(&mut before)?;
                return refused(why);
            }
        }
        if let Some(live) = self.live.get_mut(session) {
            (live.entry, live.person) = (entry, person);
            live.is_kept();
        }
        Ok(self.client.said(0))
    }

    /// Totals came with an event. Nobody says them again, so they count when they are written down.
    pub(crate) fn count(&mut self, session: &str, told: Told) -> Result<(), Fault> {
        self.change(session, |tally| {
            tally.take(told.over(tally.last().unwrap_or_default()));
        })
    }

    /// The counters that events tell begin again at zero.
    pub(crate) fn reset(&mut self, session: &str) -> Result<(), Fault> {
        self.change(session, Tally::begin_again)
    }

    fn change(&mut self, session: &str, change: impl FnOnce(&mut Tally)) -> Result<(), Fault> {
        let Some(live) = self.live.get(session) else { return refused("no such session is up") };
        let mut entry = live.entry.clone();
        change(&mut entry.tallies[0]);
        self.write(&mut entry)?;
        if let Some(live) = self.live.get_mut(session) {
            live.entry = entry;
            live.is_kept();
        }
        self.publish(session);
        Ok(())
    }

    /// Totals were read where they are kept. `take` puts them into the tallies, and says whether anything has changed beside the readings.
    /// The engine sees them when they are written down: by [`keep_all`](Self::keep_all), or with the session's Down.
    pub(crate) fn take(&mut self, session: &str, take: impl FnOnce(&mut [Tally; 2]) -> bool) {
        if let Some(live) = self.live.get_mut(session) {
            live.unwritten |= take(&mut live.entry.tallies);
        }
    }

    /// Writes down what was taken of all sessions, and shows it to the engine. `highest`: the greatest index of an interface.
    ///
    /// # Errors
    /// What the disk says; the engine sees what it saw before, and the next time may go well.
    pub(crate) fn keep_all(&mut self, highest: u32) -> Result<(), String> {
        let failed = |error: io::Error| format!("readings cannot be written down in the state directory: {error}");
        let mut kept = Ok(());
        for live in self.live.values_mut().filter(|live| live.unwritten) {
            match self.register.write(&mut live.entry) {
                Ok(()) => live.is_kept(),
                // The others go on.
                Err(error) => kept = Err(failed(error)),
            }
        }
        let readings = self.live.values().map(|live| match live.unwritten {
            true => (&live.entry, live.kept),
            false => (&live.entry, live.entry.read()),
        });
        self.register.write_readings(highest, readings).map_err(failed)?;
        for live in self.live.values_mut().filter(|live| !live.unwritten) {
            live.is_kept();
            self.client.counters().store(live.slot, live.entry.total());
        }
        kept
    }

    /// As [`keep_all`](Self::keep_all), of one session.
    pub(crate) fn keep(&mut self, session: &str) -> Result<(), String> {
        let Some(live) = self.live.get_mut(session) else { return Ok(()) };
        self.register
            .write(&mut live.entry)
            .map_err(|error| format!("session {session} cannot be written down: {error}"))?;
        live.is_kept();
        self.publish(session);
        Ok(())
    }

    /// The greatest index that an interface had when an earlier life has swept last; 0: none has.
    pub(crate) fn swept_highest(&self) -> u32 {
        self.register.swept_highest()
    }

    /// A subscriber went offline. Its totals are final.
    pub(crate) fn down(&mut self, session: &str, cause: u8, at: Option<Wall>) -> Result<Position, Fault> {
        let Some(Live { mut entry, slot, .. }) = self.live.remove(session) else {
            return refused("no such session is up");
        };
        entry.gone = Some(Gone { cause, at: at.map(Wall::as_millis) });
        if let Err(fault) = self.write(&mut entry) {
            // Killed now, the next life ends it as one that is not announced, with what was sampled last.
            tracing::warn!(session, "{fault}");
            self.register.remove(session);
        }
        let totals = Some(entry.total());
        let said = self.say(&PlaneEvent::Down(Down { session: session.as_bytes(), cause, totals, at }));
        self.client.free_slot(slot);
        self.leaves(entry.session);
        said.map(|()| self.client.said(0))
    }

    /// The Down of a session was said.
    fn leaves(&mut self, session: String) {
        self.leaving_names.insert(session.clone());
        self.leaving.push_back((self.client.said(0), session));
    }

    /// The session was refused: nobody has to say that it is gone.
    pub(crate) fn forget(&mut self, session: &str) {
        if let Some(live) = self.live.remove(session) {
            self.client.free_slot(live.slot);
            self.register.remove(session);
        }
    }

    /// The greatest index of an interface that any life of this boot has seen; 0: none has.
    pub(crate) fn recall_highest(&self) -> u32 {
        self.register.highest()
    }

    /// Remembers it.
    pub(crate) fn remember_highest(&self, index: u32) {
        self.register.set_highest(index);
    }

    /// The next verdict; none on a session that had the name of one that is up.
    pub(crate) fn poll_verdict(&mut self) -> Option<OwnedVerdict> {
        loop {
            let verdict = self.heard.pop_front().or_else(|| self.client.poll_verdict())?;
            let name = std::str::from_utf8(verdict.session()).unwrap_or_default();
            if self.live.get(name).is_none_or(|live| verdict.is_on(&[live.slot])) {
                return Some(verdict);
            }
        }
    }

    /// How far everything that was said is durable; whoever is gone by then is forgotten.
    pub(crate) fn durable(&mut self) -> Position {
        let durable = self.client.durable(0);
        while self.leaving.front().is_some_and(|(position, _)| *position <= durable) {
            if let Some((_, session)) = self.leaving.pop_front() {
                self.leaving_names.remove(&session);
                self.register.remove(&session);
            }
        }
        durable
    }

    /// Sleeps until the engine has something to say, one of these can be read, or the time is over.
    pub(crate) fn wait(&mut self, others: &[BorrowedFd<'_>], timeout: Duration) {
        if self.heard.is_empty() {
            self.client.wait_beside(others, timeout);
        }
    }

    /// Waits until everything that was said is durable, and at most so long.
    pub(crate) fn settle(&mut self, patience: Duration) {
        let until = Instant::now() + patience;
        while !self.client.taken_over() && Instant::now() < until {
            self.hear();
            self.client.wait(NAP);
        }
        self.durable();
    }

    fn publish(&self, session: &str) {
        if let Some(live) = self.live.get(session) {
            self.client.counters().store(live.slot, live.entry.total());
        }
    }

    fn write(&self, entry: &mut Entry) -> Result<(), Fault> {
        self.register.write(entry).map_err(|error| {
            Fault::Refused(format!("the session cannot be written down in the state directory: {error}"))
        })
    }

    /// Says an event, however long the ring is full.
    fn say(&mut self, event: &PlaneEvent<'_>) -> Result<(), Fault> {
        loop {
            match self.client.send(0, event) {
                Ok(()) => return Ok(()),
                Err(SendError::Full) => self.pause()?,
                Err(SendError::Event(error)) => {
                    return refused(format!("the session does not fit into one event: {error:?}"));
                }
            }
        }
    }

    /// Waits for the engine, verdicts being heard meanwhile.
    fn pause(&mut self) -> Result<(), Fault> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Fault::Stopped);
        }
        self.hear();
        self.client.wait(NAP);
        self.durable();
        Ok(())
    }

    fn hear(&mut self) {
        while let Some(verdict) = self.client.poll_verdict() {
            self.heard.push_back(verdict);
        }
    }
}

fn too_many() -> String {
    format!("{} sessions of this source are up at once", GEOMETRY.slots)
}

/// Whether a field of a line is about the line, and not about the subscriber.
pub(crate) fn is_about_the_line(key: &str) -> bool {
    matches!(key, "op" | "session" | "at" | "cause")
}

/// Who a session is, from what was said of it.
pub(crate) fn person_of(session: &str, said: Map<String, Value>) -> Result<Person, String> {
    parse("up", session, said)
}

fn change_of(session: &str, changed: Map<String, Value>) -> Result<Person, String> {
    parse("update", session, changed)
}

fn parse(op: &str, session: &str, mut said: Map<String, Value>) -> Result<Person, String> {
    said.insert("op".to_owned(), op.into());
    said.insert("session".to_owned(), session.into());
    match script::read_object(said)?.op {
        Op::Up(person) | Op::Update(person) => Ok(*person),
        other => Err(format!("no subscriber is told of: {other:?}")),
    }
}
