//! `session-source interfaces`: a network interface whose name matches the pattern is a session for as long as it is set up.
//!
//! The session is called `NAME#INDEX`, for a name comes again and an index hardly. Its user is called as the interface is, which is
//! also its NAS-Port-Id; whoever is at the other end of the line is its Framed-IP-Address, as soon as that is known. With `details`
//! the fields of a plane script's `up` in `DIRECTORY/NAME.json` come before these; the file is read when the interface comes up.
//!
//! What an interface had counted before it was set up, or before its name matched, is not the session's. It goes when the interface is set down or is gone; the
//! kernel then tells what it had counted to its end. An interface that is deleted is set down first, so the end of the session
//! waits for [`SETTLE`], should that come.
//!
//! While interfaces come and go, the kernel may not tell of all of them at once ([`Links::is_behind`]). A session of an earlier life
//! whose interface was not told of stays until it is known that there is none; and an interface that is told of then may have counted
//! for a long time, so that nobody has what it had counted before.
//!
//! A session that was refused, or is to be cut, has its interface set down; that needs CAP_NET_ADMIN.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::counters::Counters;
use model::verdict::Sentence;
use plane::OwnedVerdict;
use plane::links::{Link, LinkNews};
use plane::sweep::{Reading, Subject};
use serde_json::{Map, Value};

use super::counting::Port;
use super::desk::Desk;
use super::link_door::{LinkDoor, Peers};
use super::pattern;
use super::small_file::{self, Found};
use super::source_plane::Fault;
use super::{Teller, Wanted};
use crate::run::sweep::Sweep;
use crate::run::sweep::links::Links;

/// How long after an interface was set down its session ends, unless it is gone before.
const SETTLE: Duration = Duration::from_millis(100);
/// When a session that could not be brought up is tried again.
const AGAIN: Duration = Duration::from_secs(30);
/// Acct-Terminate-Cause *Lost Carrier*.
const LOST_CARRIER: u8 = 2;
/// ARPHRD_ETHER and ARPHRD_LOOPBACK.
const ETHERNET: u16 = 1;
const LOOPBACK: u16 = 772;

/// The interfaces of the daemon's network name space.
pub(crate) struct Interfaces {
    pattern: String,
    details: Option<PathBuf>,
    links: Links,
    peers: Peers,
    door: LinkDoor,
    /// Interfaces that are sessions.
    users: HashMap<u32, User>,
    /// Interfaces that are none.
    idle: HashMap<u32, Idle>,
    /// Interfaces that are to be sessions and could not be brought up.
    waiting: HashMap<u32, Waiting>,
    /// Those of an earlier life that were not told of yet.
    unseen: HashSet<u32>,
    /// The greatest index that was ever seen: what is above it is new, if the others were all known.
    highest: u32,
    /// What the next life is to remember of it.
    remembered: u32,
    /// Whether all interfaces were known in the turn before; and ever in this life.
    was_whole: bool,
    ever_whole: bool,
}

struct User {
    session: String,
    /// It was set down, and its session ends then.
    ends: Option<Instant>,
    /// Its address is that of its details, whoever is at the other end.
    has_own_address: bool,
}

struct Idle {
    up: bool,
    /// What it said when it was told of last. While it is down that does not change.
    counted: Option<Counters>,
}

struct Waiting {
    base: Option<Counters>,
    again: Instant,
}

impl Interfaces {
    pub(crate) fn open(pattern: &str, details: Option<&Path>) -> Result<Interfaces, String> {
        let cannot = |error: io::Error| format!("interfaces cannot be listened to: {error}");
        Ok(Interfaces {
            pattern: pattern.to_owned(),
            details: details.map(Path::to_owned),
            links: Links::open().map_err(|error| error.to_string())?,
            peers: Peers::open().map_err(cannot)?,
            door: LinkDoor::open().map_err(cannot)?,
            users: HashMap::new(),
            idle: HashMap::new(),
            waiting: HashMap::new(),
            unseen: HashSet::new(),
            highest: 0,
            remembered: 0,
            was_whole: false,
            ever_whole: false,
        })
    }

    /// An interface is there, or has changed; it had counted so much by then. One that is new has counted nothing for anybody else.
    fn here(&mut self, link: &Link, counted: Option<Counters>, is_new: bool, desk: &mut Desk) -> Result<(), Fault> {
        let is_ours = link.up && link.hardware != LOOPBACK && pattern::matches(&self.pattern, &link.name);
        match self.users.get_mut(&link.index) {
            Some(user) if !link.up => {
                user.ends.get_or_insert_with(|| Instant::now() + SETTLE);
                Ok(())
            }
            Some(User { ends: None, .. }) => Ok(()),
            Some(_) => {
                // What the one has counted to its end is not the other's.
                let last = self.finish(link.index, counted, desk)?;
                self.come_up(link, last.or(counted), desk)
            }
            None if is_ours => {
                let base = match (self.waiting.remove(&link.index), self.idle.remove(&link.index)) {
                    (Some(waiting), _) => waiting.base,
                    (None, Some(Idle { up: false, counted: before })) => before.or(counted),
                    (None, None) if is_new => Some(Counters::ZERO),
                    (None, _) => counted,
                };
                self.come_up(link, base, desk)
            }
            None => {
                self.waiting.remove(&link.index);
                self.idle.insert(link.index, Idle { up: link.up, counted });
                Ok(())
            }
        }
    }

    /// `base`: where in the interface's counters its session begins, if that is known.
    fn come_up(&mut self, link: &Link, base: Option<Counters>, desk: &mut Desk) -> Result<(), Fault> {
        let (said, has_own_address) = self.said_of(link, desk);
        let session = format!("{}#{}", link.name, link.index);
        match desk.up(&session, said, None, Some(Port { index: link.index, base })) {
            Err(Fault::Refused(problem)) => {
                desk.note(&format!("{}: {problem}", link.name));
                self.waiting.insert(link.index, Waiting { base, again: Instant::now() + AGAIN });
                Ok(())
            }
            done => {
                self.users.insert(link.index, User { session, ends: None, has_own_address });
                done.map(drop)
            }
        }
    }

    /// What is said of an interface, and whether its details give it an address.
    fn said_of(&mut self, link: &Link, desk: &mut Desk) -> (Map<String, Value>, bool) {
        let mut said = Map::new();
        said.insert("user".to_owned(), link.name.as_str().into());
        said.insert("nas_port_id".to_owned(), link.name.as_str().into());
        if link.hardware == ETHERNET && link.address.len() == 6 {
            let mac: Vec<String> = link.address.iter().map(|octet| format!("{octet:02x}")).collect();
            said.insert("mac".to_owned(), mac.join(":").into());
        }
        self.hear_peers(desk);
        if let Some(peer) = self.peers.of(link.index) {
            said.insert("framed_ip".to_owned(), peer.to_string().into());
        }
        let details = self.details_of(&link.name, desk);
        let has_own_address = details.contains_key("framed_ip");
        said.extend(details);
        (said, has_own_address)
    }

    /// The interface that a session is. One that is over may have left it here.
    fn index_of(&self, session: &str, desk: &Desk) -> Option<u32> {
        match desk.plane.live().get(session) {
            Some(live) => {
                let is_its = |index: &u32| self.users.get(index).is_some_and(|user| user.session == session);
                live.entry.interface.filter(is_its)
            }
            None => self.users.iter().find(|(_, user)| user.session == session).map(|(index, _)| *index),
        }
    }

    /// What the operator says of an interface.
    fn details_of(&self, name: &str, desk: &mut Desk) -> Map<String, Value> {
        let Some(directory) = &self.details else { return Map::new() };
        let file = directory.join(format!("{name}.json"));
        let read = match small_file::find(&file, None) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Map::new(),
            Err(error) => Err(format!("it cannot be read: {error}")),
            Ok(Found::Text(_, text)) => small_file::object(&text),
            Ok(Found::NoFile(_) | Found::Same) => Err("it is no regular file".to_owned()),
        };
        read.unwrap_or_else(|problem| {
            desk.note(&format!("{}: {problem}", file.display()));
            Map::new()
        })
    }

    /// The session of an interface is over, of which this was told last. Gives back what it has said last, where that counts.
    fn finish(&mut self, index: u32, told: Option<Counters>, desk: &mut Desk) -> Result<Option<Counters>, Fault> {
        let Some(user) = self.users.remove(&index) else { return Ok(None) };
        // One that was refused is over already.
        if !desk.plane.live().contains_key(&user.session) {
            return Ok(None);
        }
        desk.down_with(&user.session, LOST_CARRIER, told)
    }

    fn take(&mut self, news: LinkNews, desk: &mut Desk) -> Result<(), Fault> {
        match news {
            LinkNews::Here { link, reading } => {
                // Of one that a dump has found nobody knows since when it is there.
                let is_new = link.index > self.highest && self.was_whole && reading.is_some();
                self.highest = self.highest.max(link.index);
                self.here(&link, counters(reading), is_new, desk)
            }
            LinkNews::Gone { link, reading } => {
                self.idle.remove(&link.index);
                self.waiting.remove(&link.index);
                self.finish(link.index, counters(reading), desk).map(drop)
            }
        }
    }

    /// Remembers how far interfaces are known, for the turn and the life that come next.
    fn remember(&mut self, desk: &Desk) {
        self.was_whole = !self.links.is_behind();
        self.ever_whole |= self.was_whole;
        // Above the greatest index that was seen there may be others, as long as not all have been. Then none is new.
        let highest = if self.ever_whole { self.highest } else { u32::MAX };
        if highest != self.remembered && self.highest != 0 {
            self.remembered = highest;
            desk.plane.remember_highest(highest);
        }
    }

    /// Sessions of an earlier life whose interface was not told of: it is, or there is none.
    fn judge_unseen(&mut self, desk: &mut Desk) -> Result<(), Fault> {
        // What has become of one that is there now was among the news.
        self.unseen.retain(|index| self.links.link(*index).is_none());
        if self.links.is_behind() {
            return Ok(());
        }
        let gone: Vec<u32> = self.unseen.iter().copied().collect();
        for index in gone {
            self.unseen.remove(&index);
            self.finish(index, None, desk)?;
        }
        Ok(())
    }

    /// Interfaces that were set down a while ago.
    fn end_settled(&mut self, desk: &mut Desk) -> Result<(), Fault> {
        let now = Instant::now();
        let ended = |(index, user): (&u32, &User)| user.ends.is_some_and(|ends| ends <= now).then_some(*index);
        let ended: Vec<u32> = self.users.iter().filter_map(ended).collect();
        // Asked once more: packets that were on their way are counted by now.
        let subjects: Vec<Subject> = ended.iter().copied().map(Subject::Interface).collect();
        let mut readings = vec![None; subjects.len()];
        if !ended.is_empty()
            && let Err(error) = self.links.sweep(&subjects, &mut readings)
        {
            desk.note(&error.to_string());
        }
        for (index, reading) in ended.into_iter().zip(readings) {
            // Of one that is gone by now there is news.
            if self.links.link(index).is_none() {
                continue;
            }
            let last = counters(reading.or_else(|| self.links.reading(index)));
            let counted = self.finish(index, last, desk)?.or(last);
            self.idle.insert(index, Idle { up: false, counted });
        }
        Ok(())
    }

    /// Sessions that could not be brought up.
    fn try_again(&mut self, desk: &mut Desk) -> Result<(), Fault> {
        let now = Instant::now();
        let due = |(index, waiting): (&u32, &Waiting)| (waiting.again <= now).then_some(*index);
        let due: Vec<u32> = self.waiting.iter().filter_map(due).collect();
        for index in due {
            let Some(Waiting { base, .. }) = self.waiting.remove(&index) else { continue };
            if let Some(link) = self.links.link(index).cloned() {
                self.come_up(&link, base, desk)?;
            }
        }
        Ok(())
    }

    /// Who is at the other end of sessions that had nobody there, or somebody else.
    fn take_peers(&mut self, desk: &mut Desk) -> Result<(), Fault> {
        self.hear_peers(desk);
        for (index, peer) in self.peers.take() {
            let Some(user) = self.users.get(&index).filter(|user| !user.has_own_address) else { continue };
            let changed = Map::from_iter([("framed_ip".to_owned(), Value::from(peer.to_string()))]);
            let live = desk.plane.live().get(&user.session);
            if live.is_none_or(|live| live.entry.said.get("framed_ip") == changed.get("framed_ip")) {
                continue;
            }
            match desk.update(&user.session, changed, None) {
                Err(Fault::Refused(problem)) => desk.note(&format!("{}: {problem}", user.session)),
                told => drop(told?),
            }
        }
        Ok(())
    }

    fn hear_peers(&mut self, desk: &mut Desk) {
        if let Err(error) = self.peers.hear() {
            desk.note(&format!("addresses of interfaces cannot be read: {error}"));
        }
    }
}

fn index_of(news: &LinkNews) -> u32 {
    match news {
        LinkNews::Here { link, .. } | LinkNews::Gone { link, .. } => link.index,
    }
}

fn counters(reading: Option<Reading>) -> Option<Counters> {
    reading.map(|reading| reading.counters)
}

impl Teller for Interfaces {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.links.as_fd(), self.peers.as_fd()]
    }

    /// Of an interface that was set up before anybody looked, only what it counts from now on is a session's; unless it is known
    /// to be new since the last life.
    fn begin(&mut self, desk: &mut Desk) -> Result<(), Fault> {
        if let Err(error) = self.links.read_statistics() {
            desk.note(&error.to_string());
        }
        let recalled = desk.plane.recall_highest();
        let sessions = desk.plane.live().iter();
        let sessions: Vec<(String, u32)> =
            sessions.map(|(session, live)| (session.clone(), live.entry.interface.unwrap_or(0))).collect();
        for (session, index) in sessions {
            let name = session.rsplit_once('#').map_or("", |(name, _)| name);
            let has_own_address = self.details_of(name, desk).contains_key("framed_ip");
            self.users.insert(index, User { session, ends: None, has_own_address });
            match self.links.link(index).map(|link| link.up) {
                Some(true) => {}
                Some(false) => drop(self.finish(index, counters(self.links.reading(index)), desk)?),
                None if self.links.is_behind() && index != 0 => drop(self.unseen.insert(index)),
                None => drop(self.finish(index, None, desk)?),
            }
        }
        let news = self.links.take_news();
        let last: HashMap<u32, usize> = news.iter().enumerate().map(|(at, news)| (index_of(news), at)).collect();
        for (at, news) in news.into_iter().enumerate() {
            let LinkNews::Here { link, reading } = news else {
                self.take(news, desk)?;
                continue;
            };
            self.highest = self.highest.max(link.index);
            // The last reading is of what was told last: before that the interface may have been another one, or down.
            let is_last = last.get(&link.index) == Some(&at);
            let reading = reading.or_else(|| is_last.then(|| self.links.reading(link.index)).flatten());
            self.here(&link, counters(reading), recalled != 0 && link.index > recalled, desk)?;
        }
        self.remember(desk);
        self.take_peers(desk)
    }

    fn turn(&mut self, desk: &mut Desk) -> Result<(), Fault> {
        if let Err(error) = self.links.wait(Duration::ZERO) {
            desk.note(&error.to_string());
        }
        for news in self.links.take_news() {
            self.take(news, desk)?;
        }
        self.remember(desk);
        self.judge_unseen(desk)?;
        self.take_peers(desk)?;
        self.end_settled(desk)?;
        self.try_again(desk)
    }

    fn hear(&mut self, verdict: &OwnedVerdict, desk: &mut Desk) -> Result<(), Fault> {
        if !matches!(verdict.sentence, Sentence::Refuse | Sentence::Cut) {
            return Ok(());
        }
        let session = String::from_utf8_lossy(verdict.session()).into_owned();
        if let Some(index) = self.index_of(&session, desk)
            && let Err(error) = self.door.set_down(index)
        {
            desk.note(&format!("{session} is to go ({}), and cannot be set down: {error}", verdict.reason.as_str()));
        }
        Ok(())
    }

    fn configure(&mut self, wanted: &Wanted) {
        self.details = wanted.details.as_ref().map(PathBuf::from);
    }

    fn due(&self) -> Option<Instant> {
        let ends = self.users.values().filter_map(|user| user.ends);
        let again = self.waiting.values().map(|waiting| waiting.again);
        ends.chain(again).chain(self.links.due()).chain(self.peers.due()).min()
    }
}

#[cfg(test)]
mod tests;
