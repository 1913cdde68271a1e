//! `session-source socket`: lines of the plane script on a Unix socket, each answered when it is durable.
//!
//! ```text
//!   {"op":"up","session":"s1","user":"alice@isp"}  ─▶
//!                                                  ◀─  {"session":"s1","taken":true}
//!                                                  ◀─  {"session":"s1","verdict":"admit","reason":"opened","at":…}
//! ```
//!
//! A connection hears the verdicts on sessions that it has spoken of, until [`VERDICT_PATIENCE`] after their end, and with
//! `{"op":"listen"}` those on all, beginning with what still stands. A cut stands until the session goes or comes up anew. Answers
//! come in the order of the lines, and a verdict behind the answer to what it is about. Who has said its last word is answered to
//! the end, and hears for [`VERDICT_PATIENCE`] at most the verdicts on whom it has brought up.
//!
//! **Full:** [`CONNECTIONS_MAX`] at once, and more wait to be accepted. A line has [`LINE_MAX`] octets at most. Who has
//! [`WAITING_MAX`] octets of answers to come that are not durable is not read on until they are. Who does not read [`UNREAD_MAX`]
//! octets of answers is disconnected: its sessions stay.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kernel::seqpacket::BindError;
use model::verdict::{Reason, Sentence};
use plane::OwnedVerdict;
use serde_json::{Map, Value, json};

use super::desk::Desk;
use super::source_plane::{Fault, Position};
use super::{Teller, verdict_line};
use crate::script::{self, At, Op};

/// Connections at once.
const CONNECTIONS_MAX: usize = 256;
/// Octets of a line.
const LINE_MAX: usize = 64 << 10;
/// Octets of answers that wait for whoever does not read them.
const UNREAD_MAX: usize = 1 << 20;
/// Octets of answers that wait for the ledger. When they have it they are all sent at once, which is not to be too much.
const WAITING_MAX: usize = UNREAD_MAX / 2;
/// How long a connection that has said its last word waits for verdicts on whom it has brought up, and any for those on a session
/// that is over.
const VERDICT_PATIENCE: Duration = Duration::from_secs(10);
/// How often sessions that are over are looked through.
const LOOK_THROUGH: Duration = Duration::from_secs(1);

/// The socket.
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    connections: Vec<Connection>,
    /// Verdicts that still stand: somebody is to be logged out who is there.
    standing: HashMap<String, Vec<u8>>,
    /// Sessions that are over, and since when: connections remember them for a while.
    over: HashMap<String, Instant>,
    looked_through: Instant,
    durable: Position,
}

struct Connection {
    stream: UnixStream,
    /// What was read and not taken.
    lines: Lines,
    /// There may be lines among that: they wait until answers are durable.
    held_back: bool,
    /// Answers, each with what has to be durable before; and how many octets they have.
    answers: VecDeque<(Position, Vec<u8>)>,
    waiting: usize,
    /// What the peer has not read yet.
    unsent: Vec<u8>,
    /// Whom it has spoken of.
    sessions: HashSet<String>,
    /// Whom it has brought up and of whom no verdict has come yet.
    unjudged: HashSet<String>,
    listens: bool,
    /// Since when it has nothing more to say.
    ended: Option<Instant>,
    broken: bool,
}

impl Socket {
    /// Binds the socket, for its owner only.
    pub(crate) fn open(path: &Path) -> Result<Socket, String> {
        let shown = path.display();
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|error| format!("{shown} cannot be made: {error}"))?;
        }
        let listener = kernel::seqpacket::listen_stream(path, 0o600).map_err(|error| match error {
            BindError::InUse => format!("another process answers on {shown}"),
            BindError::NotASocket => format!("{shown} is there and is no socket"),
            BindError::Io(error) => format!("{shown} cannot be listened on: {error}"),
        })?;
        listener.set_nonblocking(true).map_err(|error| format!("{shown} cannot be listened on: {error}"))?;
        Ok(Socket {
            listener,
            path: path.to_owned(),
            connections: Vec::new(),
            standing: HashMap::new(),
            over: HashMap::new(),
            looked_through: Instant::now(),
            durable: 0,
        })
    }

    fn accept(&mut self) {
        while self.connections.len() < CONNECTIONS_MAX {
            let Ok((stream, _)) = self.listener.accept() else { return };
            if stream.set_nonblocking(true).is_ok() {
                self.connections.push(Connection::new(stream));
            }
        }
    }

    /// One line of a connection.
    fn take(&mut self, at: usize, line: &[u8], desk: &mut Desk) -> Result<(), Fault> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let connection = &mut self.connections[at];
        let object: Map<String, Value> = match serde_json::from_slice(line) {
            Ok(object) => object,
            Err(error) => {
                connection.answer(self.durable, &json!({ "taken": false, "error": error.to_string() }));
                return Ok(());
            }
        };
        if object.get("op").and_then(Value::as_str) == Some("listen") {
            connection.listens = true;
            connection.answer(0, &json!({ "listening": true, "sessions": desk.plane.live().len() }));
            for verdict in self.standing.values() {
                connection.queue(0, verdict.clone());
            }
            return Ok(());
        }
        let session = object.get("session").cloned().unwrap_or_default();
        match say(object, desk) {
            Ok((session, said, position)) => {
                connection.sessions.insert(session.clone());
                match said {
                    Said::Up => {
                        connection.unjudged.insert(session.clone());
                        self.over.remove(&session);
                        self.standing.remove(&session);
                    }
                    Said::Down => {
                        self.over.insert(session.clone(), Instant::now());
                        self.standing.remove(&session);
                    }
                    Said::More => {}
                }
                connection.answer(position, &json!({ "session": session, "taken": true }));
            }
            Err(Fault::Refused(error)) => {
                connection.answer(0, &json!({ "session": session, "taken": false, "error": error }));
                // An `up` that fails may have ended who was up by that name.
                let name = session.as_str().filter(|name| !desk.plane.live().contains_key(*name));
                if let Some(name) = name.filter(|name| self.is_spoken_of(name)) {
                    self.over.entry(name.to_owned()).or_insert_with(Instant::now);
                }
            }
            Err(Fault::Stopped) => return Err(Fault::Stopped),
        }
        Ok(())
    }

    fn is_spoken_of(&self, session: &str) -> bool {
        self.connections.iter().any(|connection| connection.sessions.contains(session))
    }

    /// Forgets who has been over for so long that no verdict is on its way any more.
    fn forget_over(&mut self, desk: &Desk) {
        if self.looked_through.elapsed() < LOOK_THROUGH {
            return;
        }
        self.looked_through = Instant::now();
        let Socket { over, connections, .. } = self;
        over.retain(|session, since| {
            if since.elapsed() < VERDICT_PATIENCE {
                return true;
            }
            if !desk.plane.live().contains_key(session) {
                for connection in connections.iter_mut() {
                    connection.sessions.remove(session);
                    connection.unjudged.remove(session);
                }
            }
            false
        });
    }
}

/// What a line has said of its session.
enum Said {
    Up,
    Down,
    More,
}

/// Does what a line says: about whom, what that was, and what has to be durable before it is answered.
fn say(object: Map<String, Value>, desk: &mut Desk) -> Result<(String, Said, Position), Fault> {
    let line = script::read_object(object.clone()).map_err(Fault::Refused)?;
    let at = match line.at {
        At::Wall(at) => Some(at),
        At::Once | At::Offset(_) => None,
    };
    let session = &line.session;
    let position = match &line.op {
        Op::Up(_) => desk.up(session, object, at, None)?,
        Op::Update(_) => desk.update(session, object, at)?,
        Op::Count(counters) => desk.count(session, *counters).map(|()| 0)?,
        Op::Down { cause } => {
            if let Some(totals) = line.counted {
                desk.count(session, totals)?;
            }
            desk.down(session, *cause, at)?
        }
        Op::Reset => desk.reset(session).map(|()| 0)?,
        Op::Resync => {
            let why = "a session source remembers its sessions: there is nothing to announce";
            return Err(Fault::Refused(why.to_owned()));
        }
    };
    let said = match line.op {
        Op::Up(_) => Said::Up,
        Op::Down { .. } => Said::Down,
        Op::Update(_) | Op::Count(_) | Op::Reset | Op::Resync => Said::More,
    };
    Ok((line.session, said, position))
}

impl Teller for Socket {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let listener = (self.connections.len() < CONNECTIONS_MAX).then(|| self.listener.as_fd());
        let speaking =
            self.connections.iter().filter(|connection| connection.ended.is_none() && !connection.is_crowded());
        listener.into_iter().chain(speaking.map(|connection| connection.stream.as_fd())).collect()
    }

    fn turn(&mut self, desk: &mut Desk) -> Result<(), Fault> {
        self.accept();
        for at in 0..self.connections.len() {
            self.connections[at].read();
            while let Some(line) = self.connections[at].next_line() {
                self.take(at, &line, desk)?;
            }
        }
        self.forget_over(desk);
        let live = desk.plane.live();
        self.standing.retain(|session, _| live.contains_key(session));
        Ok(())
    }

    fn hear(&mut self, verdict: &OwnedVerdict, _: &mut Desk) -> Result<(), Fault> {
        let session = String::from_utf8_lossy(verdict.session()).into_owned();
        let line = verdict_line(verdict);
        for connection in &mut self.connections {
            connection.unjudged.remove(&session);
            if connection.listens || connection.sessions.contains(&session) {
                connection.queue(0, line.clone());
            }
        }
        match verdict.sentence {
            Sentence::Cut => drop(self.standing.insert(session, line)),
            Sentence::Refuse => drop(self.over.insert(session, Instant::now())),
            Sentence::Redirect if verdict.reason == Reason::AccountingStopped => {
                self.over.insert(session, Instant::now());
            }
            Sentence::Redirect | Sentence::Admit => {}
        }
        Ok(())
    }

    fn durable(&mut self, through: Position) {
        self.durable = through;
        for connection in &mut self.connections {
            connection.write(through);
        }
        self.connections.retain(|connection| !connection.is_over());
    }

    /// Whoever does not read, or waits for a verdict, is looked after now and then; and lines that can be taken again at once.
    fn due(&self) -> Option<Instant> {
        if self.connections.iter().any(|connection| connection.held_back && !connection.is_crowded()) {
            return Some(Instant::now());
        }
        let waits = |connection: &Connection| connection.ended.is_some() || !connection.unsent.is_empty();
        self.connections.iter().any(waits).then(|| Instant::now() + Duration::from_millis(100))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The next one replaces what may have stayed.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Connection {
    fn new(stream: UnixStream) -> Connection {
        Connection {
            stream,
            lines: Lines::default(),
            held_back: false,
            answers: VecDeque::new(),
            waiting: 0,
            unsent: Vec::new(),
            sessions: HashSet::new(),
            unjudged: HashSet::new(),
            listens: false,
            ended: None,
            broken: false,
        }
    }

    /// Reads what has come, up to a line and a half.
    fn read(&mut self) {
        let mut room = [0; 16 << 10];
        while self.ended.is_none() && !self.broken && !self.is_crowded() && self.lines.length() <= LINE_MAX {
            match self.stream.read(&mut room) {
                Ok(0) => self.ended = Some(Instant::now()),
                Ok(length) => self.lines.push(&room[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.broken = true,
            }
        }
    }

    /// The next line that was read. One without an end is a line when nothing follows it.
    fn next_line(&mut self) -> Option<Vec<u8>> {
        self.held_back = self.is_crowded();
        if self.held_back {
            return None;
        }
        let line = self.lines.next();
        if line.as_ref().map_or(self.lines.length(), Vec::len) > LINE_MAX {
            let error = format!("a line has more than {LINE_MAX} octets; nothing behind it is read");
            self.answer(0, &json!({ "taken": false, "error": error }));
            self.lines = Lines::default();
            self.ended = Some(Instant::now());
            return None;
        }
        line.or_else(|| self.ended.and_then(|_| self.lines.rest()))
    }

    /// Whether so many answers wait for the ledger that nothing more is to be asked.
    fn is_crowded(&self) -> bool {
        self.waiting > WAITING_MAX
    }

    fn answer(&mut self, position: Position, what: &Value) {
        self.queue(position, format!("{what}\n").into_bytes());
    }

    fn queue(&mut self, position: Position, line: Vec<u8>) {
        self.waiting += line.len();
        self.answers.push_back((position, line));
    }

    /// Tells what is durable.
    fn write(&mut self, through: Position) {
        while self.answers.front().is_some_and(|(position, _)| *position <= through) {
            let Some((_, answer)) = self.answers.pop_front() else { break };
            self.waiting -= answer.len();
            self.unsent.extend(answer);
        }
        while !self.unsent.is_empty() && !self.broken {
            match self.stream.write(&self.unsent) {
                Ok(length) => drop(self.unsent.drain(..length)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.broken = true,
            }
        }
        self.broken |= self.unsent.len() > UNREAD_MAX;
    }

    fn is_over(&self) -> bool {
        let said_all = self.lines.length() == 0 && self.answers.is_empty() && self.unsent.is_empty();
        let has_ended = self.ended.is_some_and(|ended| self.unjudged.is_empty() || ended.elapsed() > VERDICT_PATIENCE);
        self.broken || said_all && has_ended
    }
}

/// Octets that were read and not taken: lines, and the beginning of one.
#[derive(Default)]
struct Lines {
    octets: Vec<u8>,
    /// Where the next line begins.
    begin: usize,
    /// No line ends between there and here.
    searched: usize,
}

impl Lines {
    /// How many octets there are.
    fn length(&self) -> usize {
        self.octets.len() - self.begin
    }

    fn push(&mut self, octets: &[u8]) {
        // Who always has one more line waiting would otherwise keep all that it ever said.
        if self.begin > LINE_MAX {
            self.octets.drain(..self.begin);
            (self.begin, self.searched) = (0, self.searched - self.begin);
        }
        self.octets.extend_from_slice(octets);
    }

    /// The next line, without its end. What was taken is cleared away when there is none, and not at every line.
    fn next(&mut self) -> Option<Vec<u8>> {
        let Some(length) = self.octets[self.searched..].iter().position(|octet| *octet == b'\n') else {
            self.octets.drain(..self.begin);
            (self.begin, self.searched) = (0, self.octets.len());
            return None;
        };
        let end = self.searched + length;
        let line = self.octets[self.begin..end].to_vec();
        (self.begin, self.searched) = (end + 1, end + 1);
        Some(line)
    }

    /// What stands behind the last line, if anything does.
    fn rest(&mut self) -> Option<Vec<u8>> {
        let Lines { mut octets, begin, .. } = std::mem::take(self);
        let rest = octets.split_off(begin);
        (!rest.is_empty()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::{Arc, Mutex};

    use model::report::SourceReport;
    use model::settings::{SourceKind, SourcePlace};

    use super::super::counting::Counting;
    use super::super::source_plane::SourcePlane;
    use super::*;

    #[test]
    fn a_connection_forgets_sessions_that_are_over() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("socket");
        let mut socket = Socket::open(&path).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (plane, ..) = SourcePlane::open("stage", &place.path().join("register"), &[1; 16], stop).unwrap();
        let source = SourcePlace { kind: SourceKind::Socket, at: path.display().to_string() };
        let report = Arc::new(Mutex::new(SourceReport::new(source, "stage")));
        let mut desk = Desk::new(plane, Counting::Told, None, report);
        let mut hook = UnixStream::connect(&path).unwrap();
        for name in ["s1", "s2", "s3"] {
            writeln!(hook, "{}", json!({ "op": "up", "session": name, "user": "u" })).unwrap();
        }
        for name in ["s1", "s2", "nobody"] {
            writeln!(hook, "{}", json!({ "op": "down", "session": name })).unwrap();
        }
        socket.turn(&mut desk).unwrap();
        let remembered = |socket: &Socket| (socket.connections[0].sessions.len(), socket.connections[0].unjudged.len());
        assert_eq!((remembered(&socket), socket.over.len()), ((3, 3), 2), "their verdicts may be on the way");
        let long_ago = Instant::now().checked_sub(VERDICT_PATIENCE).unwrap();
        socket.over.values_mut().for_each(|since| *since = long_ago);
        socket.looked_through = long_ago;
        socket.turn(&mut desk).unwrap();
        assert_eq!((remembered(&socket), socket.over.len()), ((1, 1), 0));
    }

    #[test]
    fn lines_are_found_however_they_come() {
        let text = b"one\n\ntwo three\nfour";
        for piece in 1..=text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for octets in text.chunks(piece) {
                lines.push(octets);
                found.extend(std::iter::from_fn(|| lines.next()));
            }
            assert_eq!(found, [&b"one"[..], b"", b"two three"], "in pieces of {piece}");
            assert_eq!(
                (lines.length(), lines.rest(), lines.length(), lines.rest()),
                (4, Some(b"four".to_vec()), 0, None)
            );
        }
    }

    #[test]
    fn lines_that_wait_are_not_lost() {
        let mut lines = Lines::default();
        lines.push(b"one\ntwo\nth");
        assert_eq!(lines.next(), Some(b"one".to_vec()));
        lines.push(b"ree\n");
        assert_eq!((lines.next(), lines.next(), lines.next()), (Some(b"two".to_vec()), Some(b"three".to_vec()), None));
        assert_eq!((lines.length(), lines.octets.len()), (0, 0));
    }
}
