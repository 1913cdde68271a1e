//! `session-source socket`: lines of the plane script on a Unix socket, each answered when it is durable.
//!
//! ```text
//!   {"op":"up","session":"s1","user":"alice@isp"}  ─▶
//!                                                  ◀─  {"session":"s1","taken":true}
//!                                                  ◀─  {"session":"s1","verdict":"admit","reason":"opened","at":…}
//! ```
//!
//! A connection hears the verdicts on sessions that it has spoken of, and with `{"op":"listen"}` those on all, beginning with what
//! still stands, for as long as it keeps its own half open. Answers come in the order of the lines, and a verdict behind the answer to what it is about. Who has said its last
//! word is answered to the end; that takes a hook no longer than the ledger does.
//!
//! **Full:** [`CONNECTIONS_MAX`] at once, and more wait to be accepted. A line has [`LINE_MAX`] octets at most. Who does not read
//! [`UNREAD_MAX`] octets of answers is disconnected: its sessions stay.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kernel::seqpacket::BindError;
use model::verdict::Sentence;
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
/// How long a connection that has said its last word waits for verdicts on whom it has brought up.
const VERDICT_PATIENCE: Duration = Duration::from_secs(10);

/// The socket.
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    connections: Vec<Connection>,
    /// Verdicts that still stand: somebody is to be logged out who is there.
    standing: HashMap<String, Vec<u8>>,
    durable: Position,
}

struct Connection {
    stream: UnixStream,
    /// What was read of the next line.
    unread: Vec<u8>,
    /// Answers, each with what has to be durable before.
    answers: VecDeque<(Position, Vec<u8>)>,
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
        let (connections, standing) = (Vec::new(), HashMap::new());
        Ok(Socket { listener, path: path.to_owned(), connections, standing, durable: 0 })
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
                connection.answers.push_back((0, verdict.clone()));
            }
            return Ok(());
        }
        let session = object.get("session").cloned().unwrap_or_default();
        match say(object, desk) {
            Ok((session, is_up, position)) => {
                connection.sessions.insert(session.clone());
                if is_up {
                    connection.unjudged.insert(session.clone());
                }
                self.standing.remove(&session);
                connection.answer(position, &json!({ "session": session, "taken": true }));
            }
            Err(Fault::Refused(error)) => {
                connection.answer(0, &json!({ "session": session, "taken": false, "error": error }));
            }
            Err(Fault::Stopped) => return Err(Fault::Stopped),
        }
        Ok(())
    }
}

/// Does what a line says: about whom, whether it brings somebody up, and what has to be durable before it is answered.
fn say(object: Map<String, Value>, desk: &mut Desk) -> Result<(String, bool, Position), Fault> {
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
    Ok((line.session, matches!(line.op, Op::Up(_)), position))
}

impl Teller for Socket {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let listener = (self.connections.len() < CONNECTIONS_MAX).then(|| self.listener.as_fd());
        let speaking = self.connections.iter().filter(|connection| connection.ended.is_none());
        listener.into_iter().chain(speaking.map(|connection| connection.stream.as_fd())).collect()
    }

    fn turn(&mut self, desk: &mut Desk) -> Result<(), Fault> {
        self.accept();
        for at in 0..self.connections.len() {
            for line in self.connections[at].read() {
                self.take(at, &line, desk)?;
            }
        }
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
                connection.answers.push_back((0, line.clone()));
            }
        }
        if verdict.sentence == Sentence::Cut {
            self.standing.insert(session, line);
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

    /// Whoever does not read, or waits for a verdict, is looked after now and then.
    fn due(&self) -> Option<Instant> {
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
            unread: Vec::new(),
            answers: VecDeque::new(),
            unsent: Vec::new(),
            sessions: HashSet::new(),
            unjudged: HashSet::new(),
            listens: false,
            ended: None,
            broken: false,
        }
    }

    /// The lines that have come. One without an end is a line when nothing follows it.
    fn read(&mut self) -> Vec<Vec<u8>> {
        let mut room = [0; 16 << 10];
        while self.ended.is_none() && !self.broken && self.unread.len() <= LINE_MAX {
            match self.stream.read(&mut room) {
                Ok(0) => self.ended = Some(Instant::now()),
                Ok(length) => self.unread.extend_from_slice(&room[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.broken = true,
            }
        }
        let mut lines = Vec::new();
        while let Some(end) = self.unread.iter().position(|octet| *octet == b'\n') {
            lines.push(self.unread.drain(..=end).collect());
        }
        if self.unread.len() > LINE_MAX {
            let error = format!("a line has more than {LINE_MAX} octets; nothing behind it is read");
            self.answer(0, &json!({ "taken": false, "error": error }));
            self.unread.clear();
            self.ended = Some(Instant::now());
        }
        if self.ended.is_some() && !self.unread.is_empty() {
            lines.push(std::mem::take(&mut self.unread));
        }
        lines
    }

    fn answer(&mut self, position: Position, what: &Value) {
        self.answers.push_back((position, format!("{what}\n").into_bytes()));
    }

    /// Tells what is durable.
    fn write(&mut self, through: Position) {
        while self.answers.front().is_some_and(|(position, _)| *position <= through) {
            self.unsent.extend(self.answers.pop_front().map(|(_, answer)| answer).unwrap_or_default());
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
        let said_all = self.answers.is_empty() && self.unsent.is_empty();
        let has_ended = self.ended.is_some_and(|ended| self.unjudged.is_empty() || ended.elapsed() > VERDICT_PATIENCE);
        self.broken || said_all && has_ended
    }
}
