//! One connection: what it has said and was not taken, and what it is to be told when that is durable.

use std::collections::{HashSet, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::VERDICT_PATIENCE;
use crate::run::sources::source_plane::Position;

/// Octets of a line.
const LINE_MAX: usize = 64 << 10;
/// Octets of answers that wait for whoever does not read them; somebody who reads may be owed more for a while.
const UNREAD_MAX: usize = 1 << 20;
/// How long somebody who is owed more may take none of them.
const STALL_MAX: Duration = Duration::from_secs(5);
/// Octets of answers that wait for anybody: verdicts on all sessions that a source can have.
const UNSENT_MAX: usize = 16 << 20;
/// Octets of answers that wait for the ledger. When they have it they are all sent at once, which is not to be too much.
const WAITING_MAX: usize = UNREAD_MAX / 2;

/// A connection.
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    /// What was read and not taken.
    pub(super) lines: Lines,
    /// There may be lines among that: they wait until answers are durable.
    pub(super) held_back: bool,
    /// Answers, each with what has to be durable before; and how many octets they have.
    pub(super) answers: VecDeque<(Position, Vec<u8>)>,
    waiting: usize,
    /// What the peer has not read yet.
    pub(super) unsent: Vec<u8>,
    /// When it took something last, or was owed nothing.
    took: Instant,
    /// Whom it has spoken of.
    pub(super) sessions: HashSet<String>,
    /// Whom it has brought up and of whom no verdict has come yet.
    pub(super) unjudged: HashSet<String>,
    pub(super) listens: bool,
    /// Since when it has nothing more to say.
    pub(super) ended: Option<Instant>,
    broken: bool,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Connection {
        Connection {
            stream,
            lines: Lines::default(),
            held_back: false,
            answers: VecDeque::new(),
            waiting: 0,
            unsent: Vec::new(),
            took: Instant::now(),
            sessions: HashSet::new(),
            unjudged: HashSet::new(),
            listens: false,
            ended: None,
            broken: false,
        }
    }

    /// Reads what has come, up to a line and a half.
    pub(super) fn read(&mut self) {
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
    pub(super) fn next_line(&mut self) -> Option<Vec<u8>> {
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
    pub(super) fn is_crowded(&self) -> bool {
        self.waiting > WAITING_MAX
    }

    pub(super) fn answer(&mut self, position: Position, what: &Value) {
        self.queue(position, format!("{what}\n").into_bytes());
    }

    pub(super) fn queue(&mut self, position: Position, line: Vec<u8>) {
        self.waiting += line.len();
        self.answers.push_back((position, line));
    }

    /// Tells what is durable.
    pub(super) fn write(&mut self, through: Position) {
        while self.answers.front().is_some_and(|(position, _)| *position <= through) {
            let Some((_, answer)) = self.answers.pop_front() else { break };
            self.waiting -= answer.len();
            self.unsent.extend(answer);
        }
        let mut sent = 0;
        while sent < self.unsent.len() && !self.broken {
            match self.stream.write(&self.unsent[sent..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.broken = true,
            }
        }
        self.unsent.drain(..sent);
        if sent > 0 || self.unsent.is_empty() {
            self.took = Instant::now();
        }
        let is_stalled = self.unsent.len() > UNREAD_MAX && self.took.elapsed() > STALL_MAX;
        self.broken |= is_stalled || self.unsent.len() > UNSENT_MAX;
    }

    pub(super) fn is_over(&self) -> bool {
        let said_all = self.lines.length() == 0 && self.answers.is_empty() && self.unsent.is_empty();
        let has_ended = self.ended.is_some_and(|ended| self.unjudged.is_empty() || ended.elapsed() > VERDICT_PATIENCE);
        self.broken || said_all && has_ended
    }
}

/// Octets that were read and not taken: lines, and the beginning of one.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) octets: Vec<u8>,
    /// Where the next line begins.
    begin: usize,
    /// No line ends between there and here.
    searched: usize,
}

impl Lines {
    /// How many octets there are.
    pub(super) fn length(&self) -> usize {
        self.octets.len() - self.begin
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        // Who always has one more line waiting would otherwise keep all that it ever said.
        if self.begin > LINE_MAX {
            self.octets.drain(..self.begin);
            (self.begin, self.searched) = (0, self.searched - self.begin);
        }
        self.octets.extend_from_slice(octets);
    }

    /// The next line, without its end. What was taken is cleared away when there is none, and not at every line.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
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
    pub(super) fn rest(&mut self) -> Option<Vec<u8>> {
        let Lines { mut octets, begin, .. } = std::mem::take(self);
        let rest = octets.split_off(begin);
        (!rest.is_empty()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KIBI: usize = 1 << 10;

    /// A connection to which so much is owed, and its peer.
    fn owed(octets: usize) -> (Connection, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        let mut connection = Connection::new(ours);
        for _ in 0..octets / KIBI {
            connection.queue(0, vec![b'x'; KIBI]);
        }
        connection.write(0);
        (connection, theirs)
    }

    fn read_some(peer: &mut UnixStream) -> usize {
        peer.read(&mut vec![0; 64 * KIBI]).unwrap_or(0)
    }

    fn long_ago() -> Instant {
        Instant::now().checked_sub(2 * STALL_MAX).unwrap()
    }

    #[test]
    fn somebody_who_reads_is_told_everything() {
        let (mut connection, mut peer) = owed(3 * UNREAD_MAX);
        let mut read = 0;
        while read < 3 * UNREAD_MAX {
            connection.took = long_ago();
            // All that was on its way: there is room for more.
            while let more @ 1.. = read_some(&mut peer) {
                read += more;
            }
            connection.write(0);
            assert!(!connection.is_over(), "{read} octets are read");
        }
        assert!(connection.unsent.is_empty());
    }

    #[test]
    fn somebody_who_does_not_read_is_sent_away() {
        let (mut connection, mut peer) = owed(UNREAD_MAX / 2);
        connection.took = long_ago();
        connection.write(0);
        assert!(!connection.is_over(), "so much may wait for ever");
        connection.queue(0, vec![b'x'; UNREAD_MAX]);
        while let 1.. = read_some(&mut peer) {}
        connection.write(0);
        assert!(!connection.is_over(), "it has read until now");
        connection.took = long_ago();
        connection.write(0);
        assert!(connection.is_over());
    }

    #[test]
    fn nobody_is_owed_without_bounds() {
        let (connection, _peer) = owed(UNSENT_MAX - KIBI);
        assert!(!connection.is_over());
        let (connection, _peer) = owed(UNSENT_MAX + UNREAD_MAX);
        assert!(connection.is_over());
    }

    proptest! {
        /// However they were cut on the way, and whenever they are taken.
        #[test]
        fn lines_are_the_same_however_they_arrive(
            text in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200),
            pieces in prop::collection::vec((1..40_usize, 0..4_usize), 1..60),
        ) {
            let (mut lines, mut taken, mut rest) = (Lines::default(), Vec::new(), &text[..]);
            for (length, takes) in pieces.into_iter().cycle() {
                let (piece, behind) = rest.split_at(rest.len().min(length));
                lines.push(piece);
                taken.extend(std::iter::from_fn(|| lines.next()).take(takes));
                rest = behind;
                prop_assert_eq!(lines.length(), text.len() - rest.len() - taken.iter().map(|line| line.len() + 1).sum::<usize>());
                if rest.is_empty() {
                    break;
                }
            }
            taken.extend(std::iter::from_fn(|| lines.next()));
            taken.extend(lines.rest());
            let mut whole: Vec<Vec<u8>> = text.split(|octet| *octet == b'\n').map(<[u8]>::to_vec).collect();
            whole.pop_if(|last| last.is_empty());
            prop_assert_eq!(taken, whole);
        }
    }
}
