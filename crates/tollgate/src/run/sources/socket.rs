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
//! **Full:** [`CONNECTIONS_MAX`] at once, and more wait to be accepted. A line has 65,536 octets at most. Who has 524,288 octets of
//! answers to come that are not durable is not read on until they are. Who is owed more than 1,048,576 octets of answers and takes
//! none of them for five seconds is disconnected, and so is who is owed more than 16,777,216: its sessions stay.

mod connection;

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
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
use connection::Connection;

/// Connections at once.
const CONNECTIONS_MAX: usize = 256;
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

#[cfg(test)]
mod tests;
