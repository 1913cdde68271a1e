//! `session-source directory`: a JSON file for each session, written under another name and renamed in.
//!
//! Only names that end in `.json` are files of sessions. A file holds one object with the fields of a plane script's `up`; its
//! session is called as the file is, without the ending, unless `session` says otherwise. That it is there is the session's Up,
//! that what it says has changed an Update, and a count where it gives octets; that it has gone is the Down, with the `cause` that
//! it said last.
//!
//! The kernel tells of changes (inotify(7)), and the directory is walked through now and then all the same, and whenever the kernel
//! had too much to tell: nothing depends on a message. A file that makes no sense changes nothing until it does; a directory that
//! cannot be read ends nobody.
//!
//! A session that is to be cut, or was refused, is told of in a file beside its own, `NAME.json.verdict`, which goes with it.
//! Whoever runs the sessions does as it says and removes the session's file.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use model::verdict::Sentence;
use plane::OwnedVerdict;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use serde_json::{Map, Value};

use super::desk::Desk;
use super::source_plane::Fault;
use super::{Teller, verdict_line};
use crate::script::{self, At, Line, Op};

/// How often the directory is walked through, whatever the kernel tells.
const RESCAN: Duration = Duration::from_secs(30);
/// Octets of a file.
const FILE_MAX: u64 = 64 << 10;
const ENDING: &str = ".json";

/// A directory that is watched.
pub(crate) struct Directory {
    path: PathBuf,
    watch: OwnedFd,
    /// Files by their names.
    files: HashMap<String, Known>,
    rescan: Instant,
}

/// A file as it was read last.
struct Known {
    stamp: Stamp,
    /// What it said when it made sense last; `None`: it never has.
    content: Option<Content>,
}

struct Content {
    session: String,
    said: Map<String, Value>,
    cause: u8,
    /// The session was refused, and is not asked for again.
    refused: bool,
}

/// What changes when a file is written or replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl Directory {
    /// Watches a directory, which is made if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Directory, String> {
        let cannot = |error: io::Error| format!("the directory {} cannot be watched: {error}", path.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(cannot)?;
        let watch =
            inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(|error| cannot(error.into()))?;
        let directory = Directory { path: path.to_owned(), watch, files: HashMap::new(), rescan: Instant::now() };
        directory.watch_again().map_err(cannot)?;
        fs::read_dir(path).map_err(cannot)?;
        Ok(directory)
    }

    /// A directory that was replaced is watched anew; of one that is watched this changes nothing.
    fn watch_again(&self) -> io::Result<()> {
        let changes = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::MOVED_FROM | WatchFlags::DELETE;
        let flags = changes | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        inotify::add_watch(&self.watch, &self.path, flags)?;
        Ok(())
    }

    /// The names that the kernel has told of; `None`: everything has to be looked at.
    fn changed(&mut self) -> Option<HashSet<String>> {
        let mut names = HashSet::new();
        let mut room = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = inotify::Reader::new(&self.watch, &mut room);
        let mut everything = false;
        while let Ok(event) = reader.next() {
            let flags = event.events();
            everything |= flags.intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED)
                || flags.intersects(ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF);
            names.extend(event.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
        (!everything).then_some(names)
    }

    /// Looks at every file, and at those that are not there any more.
    fn scan(&mut self, desk: &mut Desk) -> Result<(), Fault> {
        self.rescan = Instant::now() + RESCAN;
        let listed = self.watch_again().and_then(|()| list(&self.path));
        let names = match listed {
            Ok(names) => names,
            Err(error) => {
                desk.note(&format!("the directory cannot be read, and its sessions stay as they are: {error}"));
                return Ok(());
            }
        };
        let gone: Vec<String> = self.files.keys().filter(|name| !names.contains(*name)).cloned().collect();
        gone.iter().chain(&names).try_for_each(|name| self.look_at(name, desk))?;
        self.end_lost(desk)
    }

    /// Those of an earlier life whose files went while nobody looked are gone. While a file makes no sense, it may be one of theirs.
    fn end_lost(&self, desk: &mut Desk) -> Result<(), Fault> {
        if self.files.values().any(|known| known.content.is_none()) {
            return Ok(());
        }
        let contents = self.files.values().filter_map(|known| known.content.as_ref());
        let there: HashSet<&str> = contents.map(|content| &*content.session).collect();
        let is_lost = |session: &&String| !there.contains(session.as_str());
        let lost: Vec<String> = desk.plane.live().keys().filter(is_lost).cloned().collect();
        lost.iter().try_for_each(|session| desk.down(session, 0, None).map(drop))
    }

    /// Looks at one file.
    fn look_at(&mut self, name: &str, desk: &mut Desk) -> Result<(), Fault> {
        if !is_session_file(name) {
            return Ok(());
        }
        let path = self.path.join(name);
        let stamp = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                Stamp { inode: metadata.ino(), length: metadata.len(), modified: metadata.modified().ok() }
            }
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.gone(name, desk),
            Err(error) => {
                desk.note(&format!("{name} cannot be read: {error}"));
                return Ok(());
            }
        };
        if self.files.get(name).is_some_and(|known| known.stamp == stamp) {
            return Ok(());
        }
        let content = self.files.remove(name).and_then(|known| known.content);
        let (content, told) = match read(&path, name, stamp.length) {
            Ok((said, line)) => self.told(name, content, &said, &line, desk),
            Err(problem) => (content, Err(Fault::Refused(problem))),
        };
        self.files.insert(name.to_owned(), Known { stamp, content });
        match told {
            Err(Fault::Refused(problem)) => {
                desk.note(&format!("{name}: {problem}"));
                Ok(())
            }
            told => told,
        }
    }

    /// A file says this; what is to be remembered of it, and how it went.
    fn told(
        &self,
        name: &str,
        before: Option<Content>,
        said: &Map<String, Value>,
        line: &Line,
        desk: &mut Desk,
    ) -> (Option<Content>, Result<(), Fault>) {
        let owner = self.files.iter().find(|(other, known)| {
            other.as_str() != name && known.content.as_ref().is_some_and(|content| content.session == line.session)
        });
        if let Some((owner, _)) = owner {
            let problem = format!("session {} is that of {owner} already", line.session);
            return (before, Err(Fault::Refused(problem)));
        }
        let at = match line.at {
            At::Wall(at) => Some(at),
            At::Once | At::Offset(_) => None,
        };
        let cause = said.get("cause").and_then(Value::as_u64).and_then(|cause| u8::try_from(cause).ok()).unwrap_or(0);
        let mut done = Ok(());
        if let Some(before) = before.as_ref().filter(|before| before.session != line.session)
            && desk.plane.live().contains_key(&before.session)
        {
            done = desk.down(&before.session, before.cause, None).map(drop);
        }
        let is_up = desk.plane.live().contains_key(&line.session);
        let was_refused = before.as_ref().is_some_and(|before| before.refused && before.said == *said);
        let content = Content { session: line.session.clone(), said: said.clone(), cause, refused: was_refused };
        let done = done.and_then(|()| match is_up {
            true => {
                let known = desk.plane.live().get(&line.session).map(|live| &live.entry.said);
                let changed = known.map(|known| difference(known, said)).unwrap_or_default();
                if changed.is_empty() { Ok(()) } else { desk.update(&line.session, changed, None).map(drop) }
            }
            false if was_refused => Ok(()),
            false => desk.up(&line.session, without_counters(said), at, None).map(drop),
        });
        let counted = line.counted.filter(|_| desk.plane.live().contains_key(&line.session));
        let done = done.and_then(|()| counted.map_or(Ok(()), |counted| desk.count(&line.session, counted)));
        (Some(content), done)
    }

    fn gone(&mut self, name: &str, desk: &mut Desk) -> Result<(), Fault> {
        let Some(known) = self.files.remove(name) else { return Ok(()) };
        // Whatever was said of it is settled.
        let _ = fs::remove_file(self.verdict_file(name));
        match known.content {
            Some(content) if desk.plane.live().contains_key(&content.session) => {
                desk.down(&content.session, content.cause, None).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn verdict_file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.verdict"))
    }
}

impl Teller for Directory {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.watch.as_fd()]
    }

    fn begin(&mut self, desk: &mut Desk) -> Result<(), Fault> {
        self.scan(desk)
    }

    fn turn(&mut self, desk: &mut Desk) -> Result<(), Fault> {
        match self.changed() {
            Some(names) if Instant::now() < self.rescan => names.iter().try_for_each(|name| self.look_at(name, desk)),
            _ => self.scan(desk),
        }
    }

    fn hear(&mut self, verdict: &OwnedVerdict, desk: &mut Desk) -> Result<(), Fault> {
        if !matches!(verdict.sentence, Sentence::Refuse | Sentence::Cut) {
            return Ok(());
        }
        let session = String::from_utf8_lossy(verdict.session()).into_owned();
        let of_it = |known: &&mut Content| known.session == session;
        let mut contents = self.files.iter_mut().filter_map(|(name, known)| Some((name, known.content.as_mut()?)));
        let Some((name, content)) = contents.find(|(_, content)| of_it(content)) else { return Ok(()) };
        content.refused |= verdict.sentence == Sentence::Refuse;
        let file = self.path.join(format!("{name}.verdict"));
        if let Err(error) = fs::write(&file, verdict_line(verdict)) {
            desk.note(&format!("{} cannot be written: {error}", file.display()));
        }
        Ok(())
    }

    fn due(&self) -> Option<Instant> {
        Some(self.rescan)
    }
}

fn is_session_file(name: &str) -> bool {
    name.len() > ENDING.len() && name.ends_with(ENDING) && !name.starts_with('.')
}

fn list(directory: &Path) -> io::Result<HashSet<String>> {
    let mut names = HashSet::new();
    for entry in fs::read_dir(directory)? {
        names.extend(entry?.file_name().into_string().ok().filter(|name| is_session_file(name)));
    }
    Ok(names)
}

/// What a file says, and the same as a line of the plane script.
fn read(path: &Path, name: &str, length: u64) -> Result<(Map<String, Value>, Line), String> {
    if length > FILE_MAX {
        return Err(format!("it has more than {FILE_MAX} octets"));
    }
    let text = fs::read(path).map_err(|error| format!("it cannot be read: {error}"))?;
    let mut said: Map<String, Value> = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let mut whole = said.clone();
    whole.entry("op").or_insert_with(|| "up".into());
    whole.entry("session").or_insert_with(|| name[..name.len() - ENDING.len()].into());
    let line = script::read_object(whole)?;
    if !matches!(line.op, Op::Up(_)) {
        return Err("\"op\" must be \"up\" or left out: a file is a session that is up".to_owned());
    }
    // It is no part of an `up`.
    said.remove("op");
    Ok((said, line))
}

/// The fields that say something else now, or say it for the first time.
fn difference(before: &Map<String, Value>, now: &Map<String, Value>) -> Map<String, Value> {
    let said_anew = |(key, value): &(&String, &Value)| {
        !matches!(key.as_str(), "session" | "at" | "cause") && !is_counter(key) && before.get(*key) != Some(*value)
    };
    now.iter().filter(said_anew).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn without_counters(said: &Map<String, Value>) -> Map<String, Value> {
    let stays = |key: &str| !is_counter(key) && key != "cause";
    said.iter().filter(|(key, _)| stays(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn is_counter(key: &str) -> bool {
    key.ends_with("_octets") || key.ends_with("_packets")
}
