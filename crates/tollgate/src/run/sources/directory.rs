//! `session-source directory`: a JSON file for each session, written under another name and renamed in.
//!
//! Only names that end in `.json` are files of sessions. A file holds one object with the fields of a plane script's `up`; its
//! session is called as the file is, without the ending, unless `session` says otherwise. That it is there is the session's Up,
//! that what it says has changed an Update, and a count where it gives octets; that it has gone, or names another session, is the
//! Down, with the `cause` that it said last. A field that is not said any more stays as it was said.
//!
//! The kernel tells of changes (inotify(7)), and the directory is walked through now and then all the same, and whenever the kernel
//! had too much to tell: nothing depends on a message. A file that makes no sense, or is no regular file, changes nothing until it
//! does; a directory that cannot be read ends nobody.
//!
//! **Who speaks for a session.** One file; a second one that names it is told of at the desk and waits until the first has gone.
//! So files that are there are read before anything is said, and those that have gone are looked at last: a file that was renamed is
//! there under its new name, and takes over a session that goes on. What ends is said before what begins.
//!
//! **What is tried again.** A session that could not be told of, because there was no room for it or the register did not take it,
//! at the next walk. One that was refused, or redirected and accounted for no more, stays down until its file goes or says something
//! else of the subscriber; what it has counted is nothing else.
//!
//! A session that is to be cut, or was refused, is told of in a file beside its own, `NAME.json.verdict`, which goes with it, and
//! when the session comes up after all. Whoever runs the sessions does as it says and removes the session's file.

mod claims;

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::verdict::{Reason, Sentence};
use plane::OwnedVerdict;
use rustix::fs::OFlags;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use serde_json::{Map, Value};

use super::desk::Desk;
use super::small_file::{self, Found, Stamp};
use super::source_plane::Fault;
use super::{Teller, verdict_line};
use crate::script::{self, At, Op};
use claims::{Claim, Content, News};

/// How often the directory is walked through, whatever the kernel tells.
const RESCAN: Duration = Duration::from_secs(30);
const ENDING: &str = ".json";
/// A verdict before it has its name. No session's file is called so.
const NEW_VERDICT: &str = ".verdict.new";

/// A directory that is watched.
pub(crate) struct Directory {
    path: PathBuf,
    watch: OwnedFd,
    /// Files by their names.
    files: HashMap<String, Known>,
    /// Sessions that files name.
    claims: HashMap<String, Claim>,
    /// Sessions that are to be told of in the next turn, though no file has changed.
    anew: BTreeSet<String>,
    rescan: Instant,
}

/// A file as it was read last.
#[derive(Default)]
struct Known {
    /// `None`: it is read again, whatever it looks like.
    stamp: Option<Stamp>,
    /// What it said when it made sense last; `None`: it never has.
    content: Option<Content>,
}

/// What the kernel has told.
#[derive(Default)]
struct Changes {
    names: BTreeSet<String>,
    /// A file had one of these names and has another one now, perhaps.
    are_renamed: bool,
    /// More has changed than could be told.
    are_lost: bool,
}

impl Directory {
    /// Watches a directory, which is made if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Directory, String> {
        let cannot = |error: io::Error| format!("the directory {} cannot be watched: {error}", path.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(cannot)?;
        let watch =
            inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(|error| cannot(error.into()))?;
        let directory = Directory {
            path: path.to_owned(),
            watch,
            files: HashMap::new(),
            claims: HashMap::new(),
            anew: BTreeSet::new(),
            rescan: Instant::now(),
        };
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

    /// What the kernel has told of.
    fn changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        let mut room = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = inotify::Reader::new(&self.watch, &mut room);
        while let Ok(event) = reader.next() {
            let flags = event.events();
            changes.are_lost |= flags.intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED)
                || flags.intersects(ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF);
            let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
            if let Some(name) = name.filter(|name| is_session_file(name)) {
                changes.are_renamed |= flags.contains(ReadFlags::MOVED_FROM);
                changes.names.insert(name);
            }
        }
        changes
    }

    /// Looks at every file, and at those that are not there any more; and tries again what has failed.
    fn scan(&mut self, desk: &mut Desk) -> Result<(), Fault> {
        self.rescan = Instant::now() + RESCAN;
        let mut names = match self.watch_again().and_then(|()| list(&self.path)) {
            Ok(names) => names,
            Err(error) => {
                note_unreadable(&error, desk);
                return Ok(());
            }
        };
        names.extend(self.files.keys().cloned());
        let failed = self.claims.iter().filter(|(_, claim)| claim.failed).map(|(session, _)| session.clone());
        self.anew.extend(failed);
        self.look(names, true, desk)?;
        self.end_lost(desk)
    }

    /// Those of an earlier life whose files went while nobody looked are gone. While a file makes no sense, it may be one of theirs.
    fn end_lost(&self, desk: &mut Desk) -> Result<(), Fault> {
        if self.files.values().any(|known| known.content.is_none()) {
            return Ok(());
        }
        let is_lost = |session: &&String| !self.claims.contains_key(*session);
        let lost: BTreeSet<String> = desk.plane.live().keys().filter(is_lost).cloned().collect();
        lost.iter().try_for_each(|session| end(session, 0, desk))
    }

    /// Looks at these files, and tells what has come of it. `are_renamed`: those that are not there may be so under another name.
    fn look(&mut self, names: BTreeSet<String>, are_renamed: bool, desk: &mut Desk) -> Result<(), Fault> {
        let mut news = News { touched: std::mem::take(&mut self.anew), ..News::default() };
        let mut gone: Vec<String> = Vec::new();
        for name in names {
            let is_there = self.read(&name, &mut news, desk);
            if !is_there && self.files.contains_key(&name) {
                gone.push(name);
            }
        }
        if !gone.is_empty() {
            // Whatever a file was renamed to is in the directory by now.
            let there = if are_renamed { list(&self.path) } else { fs::metadata(&self.path).map(|_| BTreeSet::new()) };
            match there {
                Ok(there) => {
                    gone.retain(|name| !there.contains(name));
                    let new: Vec<String> = there.into_iter().filter(|name| !self.files.contains_key(name)).collect();
                    for name in new {
                        self.read(&name, &mut news, desk);
                    }
                }
                Err(error) => {
                    note_unreadable(&error, desk);
                    gone.clear();
                }
            }
        }
        gone.iter().for_each(|name| self.forget(name, &mut news));
        self.tell(&news, desk)
    }

    /// Reads a file, where it has changed; false: it is gone. What it says is told when all have been read.
    fn read(&mut self, name: &str, news: &mut News, desk: &mut Desk) -> bool {
        let before = self.files.get(name).and_then(|known| known.stamp);
        let (stamp, content) = match small_file::find(&self.path.join(name), before) {
            Ok(Found::Same) => return true,
            Ok(Found::Text(stamp, text)) => (Some(stamp), understand(&text, name)),
            Ok(Found::NoFile(stamp)) => (Some(stamp), Err("it is no regular file".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
            Err(error) => (None, Err(format!("it cannot be read: {error}"))),
        };
        let known = self.files.entry(name.to_owned()).or_default();
        known.stamp = stamp;
        match content {
            Ok(content) => {
                let session = content.session.clone();
                let before = known.content.replace(content);
                if let Some(before) = before.filter(|before| before.session != session) {
                    self.release(&before, name, news);
                }
                news.claim(&mut self.claims, &session, name);
                news.read.insert(name.to_owned());
            }
            Err(problem) => desk.note(&format!("{name}: {problem}")),
        }
        true
    }

    /// A file is gone.
    fn forget(&mut self, name: &str, news: &mut News) {
        match self.files.remove(name).and_then(|known| known.content) {
            Some(content) => self.release(&content, name, news),
            None => drop(fs::remove_file(self.verdict_file(name))),
        }
    }

    /// A file does not speak for a session any more. What was said of the session stays with it, or is settled.
    fn release(&mut self, content: &Content, name: &str, news: &mut News) {
        let verdict = self.verdict_file(name);
        let _ = match news.release(&mut self.claims, content, name) {
            Some(next) => fs::rename(verdict, self.verdict_file(&next)),
            None => fs::remove_file(verdict),
        };
    }

    /// Tells what files have come to say.
    fn tell(&mut self, news: &News, desk: &mut Desk) -> Result<(), Fault> {
        news.ended.iter().try_for_each(|(session, cause)| end(session, *cause, desk))?;
        news.touched.iter().try_for_each(|session| self.tell_of(session, desk))?;
        for name in &news.read {
            let content = self.files.get(name).and_then(|known| known.content.as_ref());
            let Some(session) = content.map(|content| &content.session) else { continue };
            if let Some(claim) = self.claims.get(session).filter(|claim| claim.file != *name) {
                desk.note(&format!("{name}: session {session} is that of {} already", claim.file));
            }
        }
        Ok(())
    }

    /// Tells what the file of one session says.
    fn tell_of(&mut self, session: &str, desk: &mut Desk) -> Result<(), Fault> {
        let Some(claim) = self.claims.get_mut(session) else { return Ok(()) };
        let Some(content) = self.files.get(&claim.file).and_then(|known| known.content.as_ref()) else { return Ok(()) };
        let subscriber = content.subscriber();
        let told = match desk.plane.live().get(session) {
            Some(live) => {
                let changed = difference(&live.entry.said, &subscriber);
                if changed.is_empty() { Ok(()) } else { desk.update(session, changed, None).map(drop) }
            }
            None if claim.over.as_ref() == Some(&subscriber) => Ok(()),
            None => {
                claim.over = None;
                claim.asked = Some(subscriber.clone());
                // What was said before was said of another one.
                let _ = fs::remove_file(self.path.join(verdict_name(&claim.file)));
                desk.up(session, subscriber, content.at, None).map(drop)
            }
        };
        let counted = content.counted.filter(|_| desk.plane.live().contains_key(session));
        let told = told.and_then(|()| counted.map_or(Ok(()), |counted| desk.count(session, counted)));
        claim.failed = matches!(told, Err(Fault::Refused(_)));
        match told {
            Err(Fault::Refused(problem)) => {
                desk.note(&format!("{}: {problem}", claim.file));
                Ok(())
            }
            told => told,
        }
    }

    fn verdict_file(&self, name: &str) -> PathBuf {
        self.path.join(verdict_name(name))
    }

    /// Writes a verdict under a name of its own and renames it: whatever somebody has put under its name, a link or a pipe, is
    /// replaced and not written to.
    fn write_verdict(&self, name: &str, line: &[u8]) -> io::Result<()> {
        let new = self.path.join(NEW_VERDICT);
        // One that an earlier life has left.
        let _ = fs::remove_file(&new);
        let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed();
        let mut file = OpenOptions::new().write(true).create_new(true).custom_flags(flags).open(&new)?;
        file.write_all(line)?;
        fs::rename(&new, self.verdict_file(name))
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
        let Changes { names, are_renamed, are_lost } = self.changes();
        // Two files that are written within a tick of the file system's clock may look alike.
        for name in &names {
            self.files.entry(name.clone()).and_modify(|known| known.stamp = None);
        }
        if are_lost || Instant::now() >= self.rescan { self.scan(desk) } else { self.look(names, are_renamed, desk) }
    }

    fn hear(&mut self, verdict: &OwnedVerdict, desk: &mut Desk) -> Result<(), Fault> {
        let session = String::from_utf8_lossy(verdict.session()).into_owned();
        let Some(claim) = self.claims.get_mut(&session) else { return Ok(()) };
        let Some(content) = self.files.get(&claim.file).and_then(|known| known.content.as_ref()) else { return Ok(()) };
        let asked = claim.asked.take();
        match verdict.sentence {
            Sentence::Admit => return Ok(()),
            Sentence::Redirect => {
                if verdict.reason == Reason::AccountingStopped {
                    claim.over = Some(content.subscriber());
                }
                return Ok(());
            }
            Sentence::Refuse => {
                // What has changed since it was asked was not refused.
                claim.over = asked.or_else(|| Some(content.subscriber()));
                self.anew.insert(session);
            }
            Sentence::Cut => {}
        }
        let file = claim.file.clone();
        if let Err(error) = self.write_verdict(&file, &verdict_line(verdict)) {
            desk.note(&format!("{} cannot be written: {error}", verdict_name(&file)));
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

fn verdict_name(name: &str) -> String {
    format!("{name}.verdict")
}

fn list(directory: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        names.extend(entry?.file_name().into_string().ok().filter(|name| is_session_file(name)));
    }
    Ok(names)
}

fn note_unreadable(error: &io::Error, desk: &mut Desk) {
    desk.note(&format!("the directory cannot be read, and its sessions stay as they are: {error}"));
}

/// Ends a session, if it is up.
fn end(session: &str, cause: u8, desk: &mut Desk) -> Result<(), Fault> {
    if !desk.plane.live().contains_key(session) {
        return Ok(());
    }
    match desk.down(session, cause, None) {
        Err(Fault::Refused(problem)) => {
            desk.note(&format!("session {session}: {problem}"));
            Ok(())
        }
        done => done.map(drop),
    }
}

/// What a file says, which is a line of the plane script.
fn understand(text: &[u8], name: &str) -> Result<Content, String> {
    let said = small_file::object(text)?;
    let mut whole = said.clone();
    whole.entry("op").or_insert_with(|| "up".into());
    whole.entry("session").or_insert_with(|| name[..name.len() - ENDING.len()].into());
    let line = script::read_object(whole)?;
    if !matches!(line.op, Op::Up(_)) {
        return Err("\"op\" must be \"up\" or left out: a file is a session that is up".to_owned());
    }
    let at = match line.at {
        At::Wall(at) => Some(at),
        At::Once | At::Offset(_) => None,
    };
    let cause = said.get("cause").and_then(Value::as_u64).and_then(|cause| u8::try_from(cause).ok()).unwrap_or(0);
    Ok(Content { session: line.session, said, at, counted: line.counted, cause })
}

/// The fields that say something else now, or say it for the first time.
fn difference(before: &Map<String, Value>, now: &Map<String, Value>) -> Map<String, Value> {
    let said_anew = |(key, value): &(&String, &Value)| before.get(*key) != Some(*value);
    now.iter().filter(said_anew).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests;
