//! Counters that are swept: which of them count which session, and what is found of them.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use model::counters::Counters;
use plane::sweep::{Reading, Subject};

use super::source_plane::{SourcePlane, Taken};
use super::tally::{Origin, Step, Tally};
use crate::run::sweep::Sweep;
use crate::run::sweep::links::Links;
use crate::script::Person;

/// By what a session is found in swept counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FoundBy {
    /// The interface that it is, or that its NAS-Port-Id names.
    Interface,
    /// Its IPv4 address, and its IPv6 prefix.
    Address,
}

/// Swept counters.
pub(crate) struct Sweeper {
    sweep: Swept,
    pub(super) found_by: FoundBy,
    pub(super) interval: Duration,
    pub(super) next: Instant,
    pub(super) followed: HashMap<String, Followed>,
    /// What was heard of counters at their end, and no tally has yet.
    heard: HashMap<String, [Option<Reading>; 2]>,
}

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

    /// The greatest number that an interface ever had.
    fn highest(&self) -> u32 {
        match self {
            Swept::Links(links) => links.highest(),
            Swept::Map(_) => 0,
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

/// What counts one session: a place for each of its tallies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Followed {
    pub(super) counters: [Option<Counter>; 2],
    /// The greatest number that an interface had when it was looked for last: one above it came later.
    newest: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Counter {
    pub(super) subject: Subject,
    /// Of its last reading in this life.
    generation: Option<u32>,
    /// It is gone, and was read to its end.
    pub(super) ended: bool,
}

impl Counter {
    fn of(subject: Subject) -> Counter {
        Counter { subject, generation: None, ended: false }
    }
}

/// What is found of one of a session's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Found {
    /// It could not be read, or is not told of yet.
    #[default]
    Unknown,
    /// Nothing counts there.
    Absent,
    Read(Reading),
}

/// What is found of sessions.
pub(crate) type Findings = HashMap<String, [Found; 2]>;

impl Sweeper {
    /// The statistics of network interfaces.
    pub(crate) fn of_interfaces(interval: Duration) -> Result<Sweeper, String> {
        let links = Links::open().map_err(|error| error.to_string())?;
        Ok(Sweeper::new(Swept::Links(Box::new(links)), FoundBy::Interface, interval))
    }

    /// A map by addresses.
    pub(crate) fn of_map(map: Box<dyn Sweep>, interval: Duration) -> Sweeper {
        Sweeper::new(Swept::Map(map), FoundBy::Address, interval)
    }

    fn new(sweep: Swept, found_by: FoundBy, interval: Duration) -> Sweeper {
        let next = Instant::now() + interval;
        Sweeper { sweep, found_by, interval, next, followed: HashMap::new(), heard: HashMap::new() }
    }

    /// By what a session is counted; `interface`: it is one.
    pub(super) fn subjects_of(&self, interface: Option<u32>, person: &Person) -> [Option<Subject>; 2] {
        match self.found_by {
            FoundBy::Interface => {
                let index = interface.or_else(|| person.nas_port_id().and_then(|name| self.sweep.index(name)));
                [index.map(Subject::Interface), None]
            }
            FoundBy::Address => {
                let (address, prefix) = person.addresses();
                [address.filter(|address| *address != Ipv4Addr::UNSPECIFIED).map(Subject::V4), prefix.map(Subject::V6)]
            }
        }
    }

    /// Counts a session by these from now on.
    pub(super) fn follow(&mut self, session: &str, subjects: [Option<Subject>; 2]) {
        let followed =
            Followed { counters: subjects.map(|subject| subject.map(Counter::of)), newest: self.sweep.highest() };
        self.followed.insert(session.to_owned(), followed);
        self.heard.remove(session);
    }

    /// A session is gone.
    pub(super) fn forget(&mut self, session: &str) {
        self.followed.remove(session);
        self.heard.remove(session);
    }

    /// Takes in what the kernel has told of counters that are gone. It is kept until the session's tally has it, whoever asked.
    fn hear_ends(&mut self) {
        let ended: HashMap<Subject, Reading> =
            self.sweep.source().take_ended().into_iter().map(|ended| (ended.subject, ended.reading)).collect();
        if ended.is_empty() {
            return;
        }
        for (session, followed) in &mut self.followed {
            for (part, counter) in followed.counters.iter_mut().enumerate() {
                if let Some(counter) = counter.as_mut().filter(|counter| !counter.ended)
                    && let Some(reading) = ended.get(&counter.subject)
                {
                    counter.ended = true;
                    self.heard.entry(session.clone()).or_default()[part] = Some(*reading);
                }
            }
        }
    }

    /// Hears the kernel out.
    pub(super) fn keep_up(&mut self) -> Result<(), String> {
        let kept_up = self.sweep.keep_up();
        self.hear_ends();
        kept_up
    }

    /// Reads these sessions, as far as that is possible; of counters that are gone there is what was heard last.
    pub(super) fn read<'a>(&mut self, sessions: impl Iterator<Item = &'a str>) -> (Findings, Result<(), String>) {
        let mut all = Findings::new();
        let mut asked: Vec<(&str, usize, Subject)> = Vec::new();
        for session in sessions {
            let Some(followed) = self.followed.get(session) else { continue };
            all.insert(session.to_owned(), Default::default());
            let standing = followed.counters.iter().enumerate();
            let standing =
                standing.filter_map(|(part, counter)| Some((part, counter.filter(|counter| !counter.ended)?)));
            asked.extend(standing.map(|(part, counter)| (session, part, counter.subject)));
        }
        let subjects: Vec<Subject> = asked.iter().map(|(.., subject)| *subject).collect();
        let mut readings = vec![None; subjects.len()];
        let swept = match subjects.is_empty() {
            true => Ok(()),
            false => self.sweep.source().sweep(&subjects, &mut readings).map_err(|error| error.to_string()),
        };
        self.hear_ends();
        let is_map = self.found_by == FoundBy::Address;
        for ((session, part, subject), reading) in asked.into_iter().zip(readings) {
            let Some(of_session) = all.get_mut(session) else { continue };
            of_session[part] = match reading {
                Some(reading) => Found::Read(reading),
                None if is_map && self.sweep.source().has_read(subject) => Found::Absent,
                None => Found::Unknown,
            };
        }
        for (session, of_session) in &mut all {
            let heard = self.heard.remove(session).unwrap_or_default();
            let heard = of_session.iter_mut().zip(heard);
            heard.for_each(|(found, heard)| *found = heard.map_or(*found, Found::Read));
        }
        (all, swept)
    }

    /// Puts what was found into the tallies of sessions; says how many nothing counts.
    pub(super) fn apply(&mut self, findings: Findings, plane: &mut SourcePlane) -> u64 {
        let mut missing = 0;
        for (session, found) in findings {
            let Some(followed) = self.followed.get_mut(&session) else { continue };
            missing += u64::from(!found.iter().any(|found| matches!(found, Found::Read(_))));
            plane.sample(&session, |tallies| take(followed, found, tallies));
        }
        missing
    }

    /// Reads one session now.
    pub(super) fn read_now(&mut self, session: &str, plane: &mut SourcePlane) -> Result<(), String> {
        let kept_up = self.keep_up();
        let (findings, read) = self.read([session].into_iter());
        self.apply(findings, plane);
        kept_up.and(read)
    }

    /// Puts what was heard of counters that are gone into the tallies.
    pub(super) fn settle_ends(&mut self, plane: &mut SourcePlane) {
        let found = |reading: Option<Reading>| reading.map_or(Found::Unknown, Found::Read);
        let heard = std::mem::take(&mut self.heard).into_iter();
        self.apply(heard.map(|(session, readings)| (session, readings.map(found))).collect(), plane);
    }

    /// Sessions whose interface is gone, or was not there, may have one by now.
    pub(super) fn look_for_others(&mut self, plane: &mut SourcePlane) {
        if self.found_by != FoundBy::Interface {
            return;
        }
        let mut moved = Vec::new();
        for (session, live) in plane.live().iter().filter(|(_, live)| live.entry.interface.is_none()) {
            let followed = self.followed.get(session).copied().unwrap_or_default();
            let counter = followed.counters[0];
            let index = live.person.nas_port_id().and_then(|name| self.sweep.index(name));
            if let Some(index) = index.filter(|_| counter.is_none_or(|counter| counter.ended)) {
                let comes_again = counter.is_some_and(|counter| counter.subject == Subject::Interface(index));
                moved.push((session.clone(), index, comes_again || index > followed.newest));
            }
        }
        for (session, index, is_new) in moved {
            self.follow(&session, [Some(Subject::Interface(index)), None]);
            // All that one has counted that came after the session is the session's.
            let base = is_new.then_some(Counters::ZERO);
            plane.sample(&session, |tallies| {
                tallies[0].go_on_from(Origin::Interface(index), base);
                Taken::default()
            });
        }
    }
}

/// Puts what was found of one session into its tallies.
pub(super) fn take(followed: &mut Followed, found: [Found; 2], tallies: &mut [Tally; 2]) -> Taken {
    let mut taken = Taken { is_known: followed.counters.iter().any(Option::is_some), ..Taken::default() };
    let parts = followed.counters.iter_mut().zip(found).zip(tallies).zip(&mut taken.begun_again);
    for (((counter, found), tally), begun_again) in parts {
        let Some(counter) = counter else { continue };
        let step = match found {
            Found::Read(reading) if counter.generation.is_some_and(|generation| generation != reading.generation) => {
                tally.begin_again();
                tally.take(reading.counters);
                Step::BegunAgain
            }
            Found::Read(reading) if counter.ended => tally.take_last(reading.counters),
            Found::Read(reading) => tally.take(reading.counters),
            // What comes to be there counts from zero.
            Found::Absent if tally.last().is_none() => tally.take(Counters::ZERO),
            Found::Absent | Found::Unknown => {
                taken.is_known = false;
                Step::On
            }
        };
        if let Found::Read(reading) = found {
            counter.generation = Some(reading.generation);
        }
        taken.has_base |= step == Step::Based;
        *begun_again = step == Step::BegunAgain;
    }
    taken
}

/// The tallies of a session that has counted nothing, by its counters; `base`: what its interface says, if that is known.
pub(super) fn begun(followed: Option<&Followed>, base: Option<Counters>) -> [Tally; 2] {
    let counters = followed.map(|followed| followed.counters).unwrap_or_default();
    counters.map(|counter| match counter.map(|counter| counter.subject) {
        None => Tally::default(),
        Some(subject @ Subject::Interface(_)) => Tally::from_here(subject.into(), base),
        Some(subject) => Tally::from_here(subject.into(), None),
    })
}
