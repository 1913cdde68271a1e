//! One session source as a packet plane: its sessions, their counter slots, and what is said of them on the link.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use model::counters::CounterSlot;
use model::event::{Down, PlaneEvent, Reset, Up, Update};
use model::time::Wall;
use plane::client::{Options, PlaneClient};
use plane::{Geometry, OwnedVerdict, SendError};
use serde_json::{Map, Value};

use super::register::{Entry, Gone, Register};
use super::tally::{Tally, leave_past};
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
    /// As it is in the register.
    pub(crate) entry: Entry,
    /// Who it is.
    pub(crate) person: Person,
    slot: CounterSlot,
    /// The engine reads the slot: what the session has counted is known.
    published: bool,
}

#[cfg(test)]
impl Live {
    /// What the engine sees: the slot, and its totals where they are published.
    pub(crate) fn seen(&self) -> (CounterSlot, Option<model::counters::Counters>) {
        (self.slot, self.published.then(|| self.entry.total()))
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
    /// Verdicts that came while something else was waited for.
    heard: VecDeque<OwnedVerdict>,
    stop: Arc<AtomicBool>,
}

impl SourcePlane {
    /// A plane of this name, and the sessions that an earlier life has left; false where none of this boot has run.
    ///
    /// # Errors
    /// The memory or the register cannot be had.
    pub(crate) fn open(
        name: &str,
        directory: &Path,
        boot_id: &[u8; 16],
        stop: Arc<AtomicBool>,
    ) -> io::Result<(SourcePlane, Vec<Entry>, bool)> {
        let client = PlaneClient::create(&Options { name, geometry: GEOMETRY })?;
        let (register, entries, was_there) = Register::open(directory, boot_id)?;
        let (live, leaving, heard) = (HashMap::new(), VecDeque::new(), VecDeque::new());
        Ok((SourcePlane { client, register, live, leaving, heard, stop }, entries, was_there))
    }

    /// The plane's end of the link, for whoever introduces it to the workers.
    pub(crate) fn client(&self) -> &PlaneClient {
        &self.client
    }

    /// Who is up.
    pub(crate) fn live(&self) -> &HashMap<String, Live> {
        &self.live
    }

    /// Goes on with the sessions of an earlier life: ends those that were to end, and announces the others. `recount` says what
    /// a session has counted by now, where that is known. Gives back what is wrong with those that cannot be announced: they end as
    /// they were sampled last, and the others go on.
    ///
    /// # Errors
    /// The source is to end.
    pub(crate) fn restore(
        &mut self,
        entries: Vec<Entry>,
        mut recount: impl FnMut(&mut Entry) -> Recounted,
    ) -> Result<Vec<String>, Fault> {
        let mut problems = Vec::new();
        let (gone, alive): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| entry.gone.is_some());
        for entry in gone {
            let Some(gone) = &entry.gone else { continue };
            let totals = gone.final_totals.then(|| entry.total());
            let (session, at) = (entry.session.as_bytes(), gone.at.map(Wall::from_millis));
            self.say(&PlaneEvent::Down(Down { session, cause: gone.cause, totals, at }))?;
            self.leaving.push_back((self.client.said(0), entry.session));
        }
        let slots = alive.iter().map(|entry| entry.slot).collect();
        self.client.keep_slots(&slots);
        self.say(&PlaneEvent::ResyncBegin)?;
        for mut entry in alive {
            let recounted = recount(&mut entry);
            let session = entry.session.clone();
            match self.announce(entry, &recounted) {
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

    /// Says that a session of an earlier life is up.
    fn announce(&mut self, mut entry: Entry, recounted: &Recounted) -> Result<(), Fault> {
        let person = person_of(&entry.session, entry.said.clone()).map_err(Fault::Refused)?;
        let mut slot = CounterSlot { slot: entry.slot, generation: entry.generation };
        if matches!(recounted, Recounted::Others) {
            // Counters that are not those of before: the engine keeps what they counted and adds what these do.
            let Some(fresh) = self.client.alloc_slot_after(slot) else { return refused(too_many()) };
            self.client.free_unpublished(slot);
            slot = fresh;
            (entry.slot, entry.generation) = (slot.slot, slot.generation);
        }
        let published = !matches!(recounted, Recounted::Unknown);
        if published {
            self.client.counters().publish(slot, entry.total());
        }
        if matches!(recounted, Recounted::Others) {
            self.write(&entry)?;
        }
        let (name, at) = (entry.session.clone(), entry.at.map(Wall::from_millis));
        let up = Up { session: name.as_bytes(), subscriber: person.subscriber(), counters: slot, at };
        let said = self.say(&PlaneEvent::Up(up));
        if matches!(said, Err(Fault::Refused(_))) {
            self.give_back(slot, published);
            return said;
        }
        self.live.insert(name, Live { entry, person, slot, published });
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
        let mut was_here = false;
        while self.leaving.iter().any(|(_, leaving)| leaving == session) {
            was_here = true;
            self.pause()?;
        }
        if was_here {
            // All that was said of the one before has come by now.
            self.hear();
            self.heard.retain(|verdict| verdict.session() != session.as_bytes());
        }
        let Some(slot) = self.client.alloc_slot() else { return refused(too_many()) };
        let entry = Entry {
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
        let written = self.write(&entry);
        if written.is_err() {
            self.client.free_slot(slot);
        }
        written?;
        let up = Up { session: session.as_bytes(), subscriber: person.subscriber(), counters: slot, at };
        let said = self.say(&PlaneEvent::Up(up));
        self.live.insert(session.to_owned(), Live { entry, person, slot, published: true });
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
        let before = live.entry.clone();
        let mut entry = before.clone();
        entry.said.extend(changed);
        let person = person_of(session, entry.said.clone()).map_err(Fault::Refused)?;
        // Written down first: the next life says what stands in the register.
        let update = PlaneEvent::Update(Update { session: session.as_bytes(), changed: change.subscriber(), at });
        let said = self.write(&entry).and_then(|()| self.say(&update));
        match said {
            Ok(()) => {}
            Err(Fault::Stopped) => return Err(Fault::Stopped),
            Err(Fault::Refused(why)) => {
                self.write(&before)?;
                return refused(why);
            }
        }
        if let Some(live) = self.live.get_mut(session) {
            (live.entry, live.person) = (entry, person);
        }
        Ok(self.client.said(0))
    }

    /// Totals came with an event. They are written down, for nobody says them again.
    pub(crate) fn count(&mut self, session: &str, told: Told) -> Result<(), Fault> {
        let Some(live) = self.live.get_mut(session) else { return refused("no such session is up") };
        let tally = &mut live.entry.tallies[0];
        tally.take(told.over(tally.last().unwrap_or_default()));
        let entry = live.entry.clone();
        self.publish(session);
        self.write(&entry)
    }

    /// The counters that events tell begin again at zero.
    pub(crate) fn reset(&mut self, session: &str) -> Result<(), Fault> {
        let Some(live) = self.live.get_mut(session) else { return refused("no such session is up") };
        live.entry.tallies[0].begin_again();
        let entry = live.entry.clone();
        self.write(&entry)
    }

    /// Totals were read where they are kept; they can be read there again. `change` puts them into the tallies.
    pub(crate) fn sample(&mut self, session: &str, change: impl FnOnce(&mut [Tally; 2]) -> Taken) {
        let Some(live) = self.live.get_mut(session) else { return };
        let mut tallies = live.entry.tallies;
        let taken = change(&mut tallies);
        let is_elsewhere = |part: usize| tallies[part].origin() != live.entry.tallies[part].origin();
        let is_new = [0, 1].map(|part| taken.begun_again[part] || is_elsewhere(part));
        if is_new != [false; 2] && !live.published {
            leave_past(&mut tallies, is_new);
            if let Err(fault) = self.renew(session, tallies) {
                tracing::warn!(session, "the counters of a session cannot be followed: {fault}");
            }
            return;
        }
        let must_be_written = taken.has_base || is_new != [false; 2];
        live.entry.tallies = tallies;
        if must_be_written && let Err(fault) = self.register.write(&live.entry) {
            tracing::warn!(session, "a session whose counters are others now is not in the register: {fault}");
        }
        if live.published || taken.is_known {
            self.publish(session);
        }
    }

    /// What a session of an earlier life had counted is not known here, and what counts it now is something else: the engine keeps
    /// what it knows, and adds what these counters say.
    fn renew(&mut self, session: &str, tallies: [Tally; 2]) -> Result<(), Fault> {
        let Some(live) = self.live.get_mut(session) else { return Ok(()) };
        let old = live.slot;
        let Some(fresh) = self.client.alloc_slot_after(old) else { return refused(too_many()) };
        (live.entry.tallies, live.slot, live.published) = (tallies, fresh, true);
        (live.entry.slot, live.entry.generation) = (fresh.slot, fresh.generation);
        let entry = live.entry.clone();
        self.client.counters().store(fresh, entry.total());
        self.write(&entry)?;
        self.say(&PlaneEvent::Reset(Reset { session: session.as_bytes(), counters: fresh }))?;
        self.client.free_unpublished(old);
        Ok(())
    }

    /// A subscriber went offline. Its totals are final.
    pub(crate) fn down(&mut self, session: &str, cause: u8, at: Option<Wall>) -> Result<Position, Fault> {
        let Some(Live { mut entry, slot, published, .. }) = self.live.remove(session) else {
            return refused("no such session is up");
        };
        let totals = published.then(|| entry.total());
        entry.gone = Some(Gone { cause, at: at.map(Wall::as_millis), final_totals: published });
        if let Err(fault) = self.write(&entry) {
            // Killed now, the next life would end it as one that is not announced, with what was sampled last.
            tracing::warn!(session, "{fault}");
        }
        let said = self.say(&PlaneEvent::Down(Down { session: session.as_bytes(), cause, totals, at }));
        self.give_back(slot, published);
        self.leaving.push_back((self.client.said(0), entry.session));
        said.map(|()| self.client.said(0))
    }

    /// The session was refused: nobody has to say that it is gone.
    pub(crate) fn forget(&mut self, session: &str) {
        if let Some(live) = self.live.remove(session) {
            self.give_back(live.slot, live.published);
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

    /// The next verdict.
    pub(crate) fn poll_verdict(&mut self) -> Option<OwnedVerdict> {
        self.heard.pop_front().or_else(|| self.client.poll_verdict())
    }

    /// How far everything that was said is durable; whoever is gone by then is forgotten.
    pub(crate) fn durable(&mut self) -> Position {
        let durable = self.client.durable(0);
        while self.leaving.front().is_some_and(|(position, _)| *position <= durable) {
            if let Some((_, session)) = self.leaving.pop_front()
                && !self.live.contains_key(&session)
            {
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

    fn publish(&mut self, session: &str) {
        let Some(live) = self.live.get_mut(session) else { return };
        if live.published {
            self.client.counters().store(live.slot, live.entry.total());
        } else {
            self.client.counters().publish(live.slot, live.entry.total());
            live.published = true;
        }
    }

    fn give_back(&mut self, slot: CounterSlot, published: bool) {
        if published {
            self.client.free_slot(slot);
        } else {
            self.client.free_unpublished(slot);
        }
    }

    fn write(&self, entry: &Entry) -> Result<(), Fault> {
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

/// What a reading has changed in the tallies of a session.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    /// All of its counters were read: what it has counted is known.
    pub(crate) is_known: bool,
    /// It is known from now on where the session begins in one of them.
    pub(crate) has_base: bool,
    /// Which of them have begun again.
    pub(crate) begun_again: [bool; 2],
}

/// What is known of the counters of a session of an earlier life.
pub(crate) enum Recounted {
    /// What it has counted.
    Known,
    /// Not yet.
    Unknown,
    /// They are others than those of before, and the tally is theirs alone.
    Others,
}

fn too_many() -> String {
    format!("{} sessions of this source are up at once", GEOMETRY.slots)
}

/// Whether a field of a line is about the line, and not about the subscriber.
fn is_about_the_line(key: &str) -> bool {
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
