//! Where the octets of a source's sessions are counted: in the events that tell of them, or in counters that are swept.
//!
//! A sweep reads all sessions at once. Between sweeps a session is read when it comes up, for what its counters say then is not its
//! own, and when it goes, for the last octets.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use model::counters::Counters;
use plane::sweep::{Reading, Subject};

use super::link_door::LinkDoor;
use super::register::Entry;
use super::source_plane::{Recounted, SourcePlane, person_of};
use super::tally::Tally;
use crate::run::sweep::Sweep;
use crate::run::sweep::links::Links;
use crate::script::Person;

/// Who counts the octets of a source's sessions.
pub(crate) enum Counting {
    /// Whoever tells of them.
    Events,
    /// The kernel, which is asked now and then.
    Swept(Box<Sweeper>),
}

/// By what a session is found in swept counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FoundBy {
    /// The interface that its NAS-Port-Id names.
    Interface,
    /// Its IPv4 address, and its IPv6 prefix.
    Address,
}

/// Swept counters.
pub(crate) struct Sweeper {
    sweep: Swept,
    /// Answers for single interfaces, which a sweep would ask for all.
    door: Option<LinkDoor>,
    found_by: FoundBy,
    interval: Duration,
    next: Instant,
    followed: HashMap<String, Followed>,
}

/// What was read for sessions, a place for each of their tallies.
type Readings = HashMap<String, [Option<Reading>; 2]>;

/// What is swept.
enum Swept {
    Links(Box<Links>),
    Map(Box<dyn Sweep>),
}

impl Swept {
    /// The number of the interface of this name, as far as the kernel was heard.
    fn index(&self, name: &str) -> Option<u32> {
        match self {
            Swept::Links(links) => links.index(name),
            Swept::Map(_) => None,
        }
    }

    /// Hears the kernel out.
    fn keep_up(&mut self) -> Result<(), String> {
        match self {
            Swept::Links(links) => links.wait(Duration::ZERO).map(drop).map_err(|error| error.to_string()),
            Swept::Map(_) => Ok(()),
        }
    }

    fn source(&mut self) -> &mut dyn Sweep {
        match self {
            Swept::Links(links) => &mut **links,
            Swept::Map(map) => &mut **map,
        }
    }
}

/// The counters of one session, one for each of its tallies.
#[derive(Clone, Copy, Debug, Default)]
struct Followed {
    counters: [Option<Counter>; 2],
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    subject: Subject,
    /// Of its last reading in this life.
    last: Option<Reading>,
    /// It is gone, and was read to its end.
    ended: bool,
}

impl Counter {
    fn of(subject: Subject) -> Counter {
        Counter { subject, last: None, ended: false }
    }

    /// What a tally calls these counters by, in any life.
    fn number(&self) -> u32 {
        match self.subject {
            Subject::Interface(index) => index,
            Subject::V4(_) | Subject::V6(_) => 0,
        }
    }
}

impl Sweeper {
    /// The statistics of network interfaces.
    pub(crate) fn of_interfaces(interval: Duration) -> Result<Sweeper, String> {
        let links = Links::open().map_err(|error| error.to_string())?;
        let door = LinkDoor::open().map_err(|error| format!("interfaces cannot be asked: {error}"))?;
        Ok(Sweeper::new(Swept::Links(Box::new(links)), FoundBy::Interface, interval).with_door(door))
    }

    /// A map by addresses.
    pub(crate) fn of_map(map: Box<dyn Sweep>, interval: Duration) -> Sweeper {
        Sweeper::new(Swept::Map(map), FoundBy::Address, interval)
    }

    fn new(sweep: Swept, found_by: FoundBy, interval: Duration) -> Sweeper {
        let next = Instant::now() + interval;
        Sweeper { sweep, door: None, found_by, interval, next, followed: HashMap::new() }
    }

    fn with_door(self, door: LinkDoor) -> Sweeper {
        Sweeper { door: Some(door), ..self }
    }

    /// What the interface of one session has counted by now; `None` where only a sweep can tell.
    fn ask(&mut self, session: &str) -> Option<Counters> {
        let counter = self.followed.get(session)?.counters[0].filter(|counter| !counter.ended)?;
        let Subject::Interface(index) = counter.subject else { return None };
        self.door.as_mut()?.counted(index).ok()
    }

    fn subjects_of(&self, person: &Person) -> [Option<Subject>; 2] {
        match self.found_by {
            FoundBy::Interface => {
                [person.nas_port_id().and_then(|name| self.sweep.index(name)).map(Subject::Interface), None]
            }
            FoundBy::Address => {
                let (address, prefix) = person.addresses();
                [address.filter(|address| *address != Ipv4Addr::UNSPECIFIED).map(Subject::V4), prefix.map(Subject::V6)]
            }
        }
    }

    /// Counts a session by what it says of itself now.
    fn follow(&mut self, session: &str, person: &Person) {
        let subjects = self.subjects_of(person);
        let followed = self.followed.entry(session.to_owned()).or_default();
        for (counter, subject) in followed.counters.iter_mut().zip(subjects) {
            if counter.map(|counter| counter.subject) != subject {
                *counter = subject.map(Counter::of);
            }
        }
    }

    /// Reads these sessions. What was counted by somebody who is gone is read first.
    fn read<'a>(&mut self, sessions: impl Iterator<Item = &'a str>) -> Result<Readings, String> {
        let mut asked: Vec<(String, usize, Subject)> = Vec::new();
        for session in sessions {
            let Some(followed) = self.followed.get(session) else { continue };
            let counters = followed.counters.iter().enumerate();
            let counters =
                counters.filter_map(|(part, counter)| Some((part, counter.filter(|counter| !counter.ended)?)));
            asked.extend(counters.map(|(part, counter)| (session.to_owned(), part, counter.subject)));
        }
        let subjects: Vec<Subject> = asked.iter().map(|(_, _, subject)| *subject).collect();
        let mut readings = vec![None; subjects.len()];
        let swept = self.sweep.source().sweep(&subjects, &mut readings).map_err(|error| error.to_string());
        let mut all = Readings::new();
        for ended in self.sweep.source().take_ended() {
            for (session, followed) in &mut self.followed {
                for (part, counter) in followed.counters.iter_mut().enumerate() {
                    if let Some(counter) =
                        counter.as_mut().filter(|counter| counter.subject == ended.subject && !counter.ended)
                    {
                        counter.ended = true;
                        all.entry(session.clone()).or_default()[part] = Some(ended.reading);
                    }
                }
            }
        }
        swept?;
        for ((session, part, _), reading) in asked.into_iter().zip(readings) {
            let of_session = all.entry(session).or_default();
            of_session[part] = of_session[part].or(reading);
        }
        Ok(all)
    }

    /// Puts readings into the tallies of sessions; says how many were not found.
    fn apply(&mut self, read: Readings, plane: &mut SourcePlane) -> u64 {
        let mut missing = 0;
        for (session, readings) in read {
            let Some(followed) = self.followed.get_mut(&session) else { continue };
            if readings == [None; 2] {
                missing += 1;
                continue;
            }
            plane.sample(&session, |tallies| {
                let mut begun_again = false;
                for ((counter, reading), tally) in followed.counters.iter_mut().zip(readings).zip(tallies) {
                    let (Some(counter), Some(reading)) = (counter, reading) else { continue };
                    if counter.last.is_some_and(|last| last.generation != reading.generation) {
                        tally.begin_again();
                        begun_again = true;
                    }
                    begun_again |= tally.take(counter.number(), reading.counters);
                    counter.last = Some(reading);
                }
                begun_again
            });
        }
        missing
    }

    /// Sessions whose interface is gone may have another one by now.
    fn look_for_others(&mut self, plane: &SourcePlane) {
        if self.found_by != FoundBy::Interface {
            return;
        }
        for (session, live) in plane.live() {
            let of_session = self.followed.get(session).and_then(|followed| followed.counters[0]);
            if of_session.is_none_or(|counter| counter.ended)
                && let Some(index) = live.person.nas_port_id().and_then(|name| self.sweep.index(name))
            {
                let counter = Counter::of(Subject::Interface(index));
                self.followed.entry(session.clone()).or_default().counters[0] = Some(counter);
            }
        }
    }
}

impl Counting {
    /// A session comes up: what it has counted, which is nothing. `base`: what its counters say now, where that is known.
    pub(crate) fn begin(
        &mut self,
        session: &str,
        person: &Person,
        base: Option<Counters>,
    ) -> Result<[Tally; 2], String> {
        let Counting::Swept(sweeper) = self else { return Ok(Default::default()) };
        sweeper.sweep.keep_up()?;
        sweeper.follow(session, person);
        let base = base.filter(|_| sweeper.found_by == FoundBy::Interface).or_else(|| sweeper.ask(session));
        let readings = match base {
            Some(_) => Ok([None; 2]),
            None => sweeper.read([session].into_iter()).map(|read| read.get(session).copied().unwrap_or_default()),
        };
        let followed = sweeper.followed.entry(session.to_owned()).or_default();
        let mut tallies: [Tally; 2] = Default::default();
        let known = readings.as_ref().copied().unwrap_or_default();
        for ((tally, counter), reading) in tallies.iter_mut().zip(&mut followed.counters).zip(known) {
            let Some(counter) = counter else { continue };
            counter.last = reading;
            let stands = base.or(reading.map(|reading| reading.counters)).unwrap_or(Counters::ZERO);
            *tally = Tally::from_here(counter.number(), stands);
        }
        readings.map(|_| tallies)
    }

    /// What is said of a session has changed, and with it perhaps where it is counted.
    pub(crate) fn moved(&mut self, session: &str, person: &Person) {
        if let Counting::Swept(sweeper) = self {
            sweeper.follow(session, person);
        }
    }

    /// A session is gone.
    pub(crate) fn forget(&mut self, session: &str) {
        if let Counting::Swept(sweeper) = self {
            sweeper.followed.remove(session);
        }
    }

    /// Reads the counters of sessions that an earlier life has left.
    pub(crate) fn prepare(&mut self, entries: &[Entry]) -> Result<(), String> {
        let Counting::Swept(sweeper) = self else { return Ok(()) };
        for entry in entries.iter().filter(|entry| entry.gone.is_none()) {
            if let Ok(person) = person_of(&entry.session, entry.said.clone()) {
                sweeper.follow(&entry.session, &person);
            }
        }
        let read = sweeper.read(entries.iter().map(|entry| &*entry.session))?;
        for (session, readings) in read {
            let Some(followed) = sweeper.followed.get_mut(&session) else { continue };
            for (counter, reading) in followed.counters.iter_mut().zip(readings) {
                if let Some(counter) = counter {
                    counter.last = reading;
                }
            }
        }
        Ok(())
    }

    /// What such a session has counted by now.
    pub(crate) fn recount(&self, session: &str, tallies: &mut [Tally; 2]) -> Recounted {
        let Counting::Swept(sweeper) = self else { return Recounted::Known };
        let Some(followed) = sweeper.followed.get(session) else { return Recounted::Unknown };
        let mut recounted = Recounted::Unknown;
        for (counter, tally) in followed.counters.iter().zip(tallies.iter_mut()) {
            let Some((counter, reading)) = counter.and_then(|counter| Some((counter, counter.last?))) else { continue };
            if counter.number() != tally.from {
                *tally = Tally::from_here(counter.number(), Counters::ZERO);
                tally.take(counter.number(), reading.counters);
                return Recounted::Others;
            }
            tally.take(counter.number(), reading.counters);
            recounted = Recounted::Known;
        }
        recounted
    }

    /// When the next sweep is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self {
            Counting::Events => None,
            Counting::Swept(sweeper) => Some(sweeper.next),
        }
    }

    /// Reads all sessions, if that is due; says how long it took and how many were not found.
    pub(crate) fn sweep(&mut self, plane: &mut SourcePlane) -> Option<Result<(Duration, u64), String>> {
        let Counting::Swept(sweeper) = self else { return None };
        let began = Instant::now();
        if sweeper.next > began {
            return None;
        }
        sweeper.next = began + sweeper.interval;
        sweeper.look_for_others(plane);
        let read = match sweeper.read(plane.live().keys().map(String::as_str)) {
            Ok(read) => read,
            Err(problem) => return Some(Err(problem)),
        };
        let nowhere = plane.live().keys().filter(|session| !read.contains_key(*session)).count() as u64;
        let missing = sweeper.apply(read, plane);
        Some(Ok((began.elapsed(), nowhere + missing)))
    }

    /// The interface of a session said this last; false where its octets are counted elsewhere.
    pub(crate) fn end(&mut self, session: &str, index: u32, last: Counters, plane: &mut SourcePlane) -> bool {
        match self {
            Counting::Swept(sweeper) if sweeper.found_by == FoundBy::Interface => {
                plane.sample(session, |tallies| tallies[0].take_last(index, last));
                true
            }
            Counting::Swept(_) | Counting::Events => false,
        }
    }

    /// Keeps up with what the kernel tells between sweeps, lest it be lost.
    pub(crate) fn keep_up(&mut self) -> Result<(), String> {
        let Counting::Swept(sweeper) = self else { return Ok(()) };
        sweeper.sweep.keep_up()
    }

    /// Reads one session, for the last time.
    pub(crate) fn read_one(&mut self, session: &str, plane: &mut SourcePlane) -> Result<(), String> {
        let Counting::Swept(sweeper) = self else { return Ok(()) };
        if let Some(last) = sweeper.ask(session) {
            let index = sweeper.followed.get(session).and_then(|followed| followed.counters[0]);
            let number = index.map_or(0, |counter| counter.number());
            plane.sample(session, |tallies| tallies[0].take_last(number, last));
            return Ok(());
        }
        let read = sweeper.read([session].into_iter())?;
        sweeper.apply(read, plane);
        Ok(())
    }
}
