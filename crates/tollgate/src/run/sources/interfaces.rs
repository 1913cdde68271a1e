//! `session-source interfaces`: a network interface whose name matches the pattern is a session for as long as it is set up.
//!
//! The session is called `NAME#INDEX`, for a name comes again and an index hardly. Its user is called as the interface is, which is
//! also its NAS-Port-Id; whoever is at the other end of the line is its Framed-IP-Address, as soon as that is known. With `details`
//! the fields of a plane script's `up` in `DIRECTORY/NAME.json` come before these; the file is read when the interface comes up.
//!
//! What an interface had counted before it was set up is not the session's. It goes when the interface is set down or is gone; the
//! kernel then tells what it had counted to its end. An interface that is deleted is set down first, so the end of the session
//! waits for [`SETTLE`], should that come.
//!
//! A session that was refused, or is to be cut, has its interface set down; that needs CAP_NET_ADMIN.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::counters::Counters;
use model::verdict::Sentence;
use plane::OwnedVerdict;
use plane::links::{Link, LinkNews};
use serde_json::{Map, Value};

use super::desk::Desk;
use super::link_door::{LinkDoor, Peers};
use super::pattern;
use super::source_plane::Fault;
use super::{Teller, Wanted};
use crate::run::sweep::Sweep;
use crate::run::sweep::links::Links;

/// How long after an interface was set down its session ends, unless it is gone before.
const SETTLE: Duration = Duration::from_millis(100);
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
    /// What interfaces said that are not set up: a session begins there.
    bases: HashMap<u32, Counters>,
    /// The greatest index that was ever seen: what is above it is new.
    highest: u32,
}

struct User {
    session: String,
    /// It was set down, and its session ends then.
    ends: Option<Instant>,
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
            bases: HashMap::new(),
            highest: 0,
        })
    }

    /// An interface is there, or has changed. `base`: where a session begins that was up before anybody looked.
    fn here(&mut self, link: &Link, base: Option<Counters>, desk: &mut Desk) -> Result<(), Fault> {
        let is_ours = link.hardware != LOOPBACK && pattern::matches(&self.pattern, &link.name);
        let reading = self.links.reading(link.index).map(|reading| reading.counters);
        match (self.users.get_mut(&link.index), link.up) {
            (Some(user), false) => {
                user.ends.get_or_insert_with(|| Instant::now() + SETTLE);
                Ok(())
            }
            (Some(User { ends: None, .. }), true) => Ok(()),
            (Some(_), true) => {
                self.finish(link.index, reading, desk)?;
                self.come_up(link, reading, desk)
            }
            (None, false) => {
                self.bases.insert(link.index, reading.unwrap_or(Counters::ZERO));
                Ok(())
            }
            (None, true) if is_ours => {
                let base = self.bases.remove(&link.index).or(base);
                self.come_up(link, base, desk)
            }
            (None, true) => Ok(()),
        }
    }

    /// An interface that nobody saw before it was set up is new, and all that it counts is the session's.
    fn come_up(&mut self, link: &Link, base: Option<Counters>, desk: &mut Desk) -> Result<(), Fault> {
        let said = self.said_of(link, desk);
        let session = format!("{}#{}", link.name, link.index);
        let base = base.unwrap_or(Counters::ZERO);
        self.users.insert(link.index, User { session: session.clone(), ends: None });
        match desk.up(&session, said, None, Some(base)) {
            Err(Fault::Refused(problem)) => {
                desk.note(&format!("{}: {problem}", link.name));
                Ok(())
            }
            done => done.map(drop),
        }
    }

    fn said_of(&mut self, link: &Link, desk: &mut Desk) -> Map<String, Value> {
        let mut said = Map::new();
        said.insert("user".to_owned(), link.name.as_str().into());
        said.insert("nas_port_id".to_owned(), link.name.as_str().into());
        if link.hardware == ETHERNET && link.address.len() == 6 {
            let mac: Vec<String> = link.address.iter().map(|octet| format!("{octet:02x}")).collect();
            said.insert("mac".to_owned(), mac.join(":").into());
        }
        if let Err(error) = self.peers.take() {
            desk.note(&format!("addresses of interfaces cannot be read: {error}"));
        }
        if let Some(peer) = self.peers.of(link.index) {
            said.insert("framed_ip".to_owned(), peer.to_string().into());
        }
        let Some(directory) = &self.details else { return said };
        let file = directory.join(format!("{}.json", link.name));
        let read = std::fs::read(&file).map_err(|error| (error.kind() != io::ErrorKind::NotFound, error.to_string()));
        match read.and_then(|text| serde_json::from_slice(&text).map_err(|error| (true, error.to_string()))) {
            Ok(Value::Object(details)) => said.extend(details),
            Ok(_) => desk.note(&format!("{} holds no JSON object", file.display())),
            Err((true, error)) => desk.note(&format!("{}: {error}", file.display())),
            Err((false, _)) => {}
        }
        said
    }

    /// The session of an interface is over, with what the interface says last.
    fn finish(&mut self, index: u32, last: Option<Counters>, desk: &mut Desk) -> Result<(), Fault> {
        let Some(user) = self.users.remove(&index) else { return Ok(()) };
        // One that was refused is over already.
        if !desk.plane.live().contains_key(&user.session) {
            return Ok(());
        }
        desk.down_with(&user.session, LOST_CARRIER, (index, last)).map(drop)
    }

    fn gone(&mut self, index: u32, last: Option<Counters>, desk: &mut Desk) -> Result<(), Fault> {
        self.bases.remove(&index);
        self.finish(index, last, desk)
    }

    fn take(&mut self, news: LinkNews, desk: &mut Desk) -> Result<(), Fault> {
        match news {
            LinkNews::Here(link) => {
                self.note_highest(link.index, desk);
                self.here(&link, None, desk)
            }
            LinkNews::Gone { link, reading } => self.gone(link.index, reading.map(|reading| reading.counters), desk),
        }
    }

    fn note_highest(&mut self, index: u32, desk: &Desk) {
        if index > self.highest {
            self.highest = index;
            desk.plane.remember_highest(index);
        }
    }

    /// Interfaces that were set down a while ago.
    fn end_settled(&mut self, desk: &mut Desk) -> Result<(), Fault> {
        let now = Instant::now();
        let ended = |(index, user): (&u32, &User)| user.ends.is_some_and(|ends| ends <= now).then_some(*index);
        let ended: Vec<u32> = self.users.iter().filter_map(ended).collect();
        for index in ended {
            let told = self.links.reading(index).map(|reading| reading.counters);
            // Asked once more: packets that were on their way are counted by now.
            let last = self.door.counted(index).ok().map_or(told, |last| Some(last.most(told.unwrap_or(last))));
            self.bases.insert(index, last.unwrap_or(Counters::ZERO));
            self.finish(index, last, desk)?;
        }
        Ok(())
    }
}

impl Teller for Interfaces {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.links.as_fd(), self.peers.as_fd()]
    }

    /// Of an interface that was set up before anybody looked, only what it counts from now on is a session's; unless it is known
    /// to be new since the last life.
    fn begin(&mut self, desk: &mut Desk) -> Result<(), Fault> {
        if let Err(error) = self.links.sweep(&[], &mut []) {
            desk.note(&error.to_string());
        }
        self.highest = desk.plane.recall_highest();
        let is_first = self.highest == 0;
        let sessions: Vec<String> = desk.plane.live().keys().cloned().collect();
        for session in sessions {
            let index = session.rsplit_once('#').and_then(|(_, index)| index.parse().ok()).unwrap_or(0);
            self.users.insert(index, User { session, ends: None });
            match self.links.link(index).map(|link| link.up) {
                Some(true) => {}
                Some(false) => {
                    let last = self.links.reading(index).map(|reading| reading.counters);
                    self.finish(index, last, desk)?;
                }
                None => self.finish(index, None, desk)?,
            }
        }
        let known = self.highest;
        for news in self.links.take_news() {
            let LinkNews::Here(link) = news else { continue };
            self.note_highest(link.index, desk);
            let reading = self.links.reading(link.index).map(|reading| reading.counters);
            let base = if is_first || link.index <= known { reading } else { None };
            self.here(&link, base, desk)?;
        }
        Ok(())
    }

    fn turn(&mut self, desk: &mut Desk) -> Result<(), Fault> {
        if let Err(error) = self.links.wait(Duration::ZERO) {
            desk.note(&error.to_string());
        }
        for news in self.links.take_news() {
            self.take(news, desk)?;
        }
        match self.peers.take() {
            Err(error) => desk.note(&format!("addresses of interfaces cannot be read: {error}")),
            Ok(new) => {
                for (index, peer) in new {
                    let Some(user) = self.users.get(&index) else { continue };
                    let changed = Map::from_iter([("framed_ip".to_owned(), Value::from(peer.to_string()))]);
                    let is_told = desk.plane.live().get(&user.session).is_some_and(|live| {
                        live.entry.said.get("framed_ip") == changed.get("framed_ip")
                            || self.details_say_it(&live.entry.said)
                    });
                    if !is_told && let Err(Fault::Stopped) = desk.update(&user.session, changed, None) {
                        return Err(Fault::Stopped);
                    }
                }
            }
        }
        self.end_settled(desk)
    }

    fn hear(&mut self, verdict: &OwnedVerdict, desk: &mut Desk) -> Result<(), Fault> {
        if !matches!(verdict.sentence, Sentence::Refuse | Sentence::Cut) {
            return Ok(());
        }
        let session = String::from_utf8_lossy(verdict.session()).into_owned();
        let index = self.users.iter().find(|(_, user)| user.session == session).map(|(index, _)| *index);
        if let Some(index) = index
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
        self.users.values().filter_map(|user| user.ends).min()
    }
}

impl Interfaces {
    /// An address that the details gave stays.
    fn details_say_it(&self, said: &Map<String, Value>) -> bool {
        self.details.is_some() && said.contains_key("framed_ip")
    }
}
