//! What both sides of a transfer share: the request and its options, the server's port, the timer, the end.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use model::time::Mono;

use super::compare::Compare;
use super::dally::Dally;
use super::packet::{self, ErrorCode, Granted, Packet, Proposed, Request};
use super::put::{Put, low};

/// How patient a transfer is, and what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// The block size that is proposed, octets, 8–65,464. 1,428 fits into an Ethernet frame with room for tunnels.
    pub block_size: u16,
    /// How long the server is asked to wait before it sends a packet again, seconds, 1–255.
    pub timeout_s: u8,
    /// How long the first copy of a packet waits for its answer; each further one waits twice as long, up to 8 times this.
    pub patience: Duration,
    /// Copies of one packet, the first included; at least 1.
    pub transmissions: u8,
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning { block_size: 1_428, timeout_s: 2, patience: Duration::from_secs(1), transmissions: 6 }
    }
}

/// A transfer that came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server has acknowledged every block.
    Stored,
    /// The remote file has the expected octets, and no others.
    Same,
    /// The remote file ends early and is right so far, as a put that was cut off leaves it.
    Shorter {
        /// Its size.
        octets: usize,
    },
    /// The remote file is another one, or a longer one.
    Different,
}

/// A transfer that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server does not answer, or no longer.
    TimedOut,
    /// The server sent an ERROR.
    Refused(ErrorCode),
    /// The server granted options that nobody had asked for (RFC 2347).
    BadOptions,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::TimedOut => f.write_str("no answer"),
            Failure::Refused(code) => write!(f, "refused: {code}"),
            Failure::BadOptions => f.write_str("options were granted that nobody had asked for"),
        }
    }
}

impl std::error::Error for Failure {}

/// A file name that does not fit into a request: it is empty, longer than 255 octets, or holds a zero octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadName;

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no file name for TFTP")
    }
}

impl std::error::Error for BadName {}

/// The longest name that is asked for, octets.
const NAME_LEN_MAX: usize = 255;

/// One file on its way.
#[derive(Debug)]
pub struct Transfer<'a> {
    name: &'a str,
    side: Side<'a>,
    tuning: Tuning,
    /// Where requests go.
    server: SocketAddr,
    /// The port that answered: its transfer id (RFC 1350 section 4).
    peer: Option<SocketAddr>,
    stage: Stage,
    /// The packet that waits is to be sent.
    is_due: bool,
    /// Copies of it that were sent.
    transmissions: u8,
    deadline: Option<Mono>,
    /// Who is to hear that it has no part in this.
    stray: Option<SocketAddr>,
    /// What the server is to hear at the end.
    farewell: Option<ErrorCode>,
}

#[derive(Debug)]
enum Side<'a> {
    Put(Put<'a>),
    Compare(Compare<'a>),
}

/// What a packet of the server does to a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Ignored,
    /// The packet that waits is another one now, and is due.
    Progress,
    /// The packet that waits is due once more; its timer runs on.
    Again,
    /// It is over.
    End(Outcome),
    /// It is over; the packet that waits is the last one, and is due.
    EndAfterLast(Outcome),
    /// It is over, and the server is to be told so.
    Stop(Outcome),
}

/// `Requested` → `Running` → `Ended`, and `Ended` from everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Requested { with_options: bool },
    Running,
    Ended(Result<Outcome, Failure>),
}

impl<'a> Transfer<'a> {
    /// A transfer that writes `octets` to the server's file `name`.
    ///
    /// # Errors
    ///
    /// [`BadName`]
    pub fn put(server: SocketAddr, name: &'a str, octets: &'a [u8], tuning: Tuning) -> Result<Transfer<'a>, BadName> {
        Transfer::new(server, name, Side::Put(Put::new(octets)), tuning)
    }

    /// A transfer that reads the server's file `name` as far as it is `expected`.
    ///
    /// # Errors
    ///
    /// [`BadName`]
    pub fn compare(
        server: SocketAddr,
        name: &'a str,
        expected: &'a [u8],
        tuning: Tuning,
    ) -> Result<Transfer<'a>, BadName> {
        Transfer::new(server, name, Side::Compare(Compare::new(expected)), tuning)
    }

    fn new(server: SocketAddr, name: &'a str, side: Side<'a>, tuning: Tuning) -> Result<Transfer<'a>, BadName> {
        if name.is_empty() || name.len() > NAME_LEN_MAX || name.contains('\0') {
            return Err(BadName);
        }
        Ok(Transfer {
            name,
            side,
            tuning,
            server,
            peer: None,
            stage: Stage::Requested { with_options: true },
            is_due: true,
            transmissions: 0,
            deadline: None,
            stray: None,
            farewell: None,
        })
    }

    /// The end, once it is known. What [`poll_transmit`](Transfer::poll_transmit) still has must be sent nevertheless.
    pub fn outcome(&self) -> Option<Result<Outcome, Failure>> {
        match self.stage {
            Stage::Ended(outcome) => Some(outcome),
            Stage::Requested { .. } | Stage::Running => None,
        }
    }

    /// When [`handle_timeout`](Transfer::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.deadline
    }

    /// The next datagram, appended to `out`, and where it goes.
    pub fn poll_transmit(&mut self, now: Mono, out: &mut Vec<u8>) -> Option<SocketAddr> {
        if let Some(stray) = self.stray.take() {
            packet::write_error(out, ErrorCode::UnknownTransfer);
            return Some(stray);
        }
        if let Some(code) = self.farewell.take() {
            packet::write_error(out, code);
            return self.peer;
        }
        if !std::mem::take(&mut self.is_due) {
            return None;
        }
        self.write(out);
        if self.outcome().is_none() && self.deadline.is_none() {
            let doublings = u32::from(self.transmissions).min(3);
            self.transmissions = self.transmissions.saturating_add(1);
            self.deadline = Some(now.plus(self.tuning.patience.saturating_mul(1 << doublings)));
        }
        Some(self.peer.unwrap_or(self.server))
    }

    /// Sends what waits again, or gives up, when it is time.
    pub fn handle_timeout(&mut self, now: Mono) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        self.deadline = None;
        if self.transmissions >= self.tuning.transmissions {
            self.end(Err(Failure::TimedOut));
        } else {
            self.is_due = true;
        }
    }

    /// Takes a datagram. One that is no packet, or comes late, changes nothing.
    pub fn handle_datagram(&mut self, from: SocketAddr, octets: &[u8]) {
        let Ok(packet) = Packet::parse(octets) else { return };
        let is_known = match self.peer {
            Some(peer) => from == peer,
            None => from.ip() == self.server.ip(),
        };
        if !is_known {
            // An ERROR is never answered (RFC 1350 section 7).
            if !matches!(packet, Packet::Error(_)) {
                self.stray = Some(from);
            }
            return;
        }
        match self.stage {
            Stage::Requested { with_options } => self.handle_answer(from, packet, with_options),
            Stage::Running => self.handle_running(packet),
            Stage::Ended(_) => {}
        }
    }

    /// The receiver's duty after a comparison that reached the end of the file; `None` when there is none.
    pub fn dally(&self, now: Mono) -> Option<Dally> {
        match (&self.side, self.stage, self.peer) {
            (Side::Compare(compare), Stage::Ended(Ok(Outcome::Same | Outcome::Shorter { .. })), Some(peer)) => {
                // Long enough for the server to ask twice.
                let patience = Duration::from_secs(u64::from(self.tuning.timeout_s) * 2);
                Some(Dally::new(peer, low(compare.block()), now.plus(patience)))
            }
            _ => None,
        }
    }

    fn handle_answer(&mut self, from: SocketAddr, packet: Packet<'_>, with_options: bool) {
        match (&mut self.side, packet) {
            (_, Packet::Error(ErrorCode::OptionsRefused)) if with_options => {
                // From here on as RFC 1350 had it. The answer may have come twice: see the next arm.
                self.stage = Stage::Requested { with_options: false };
                self.progress();
            }
            (_, Packet::Error(ErrorCode::OptionsRefused)) => {}
            (_, Packet::Error(code)) => self.end(Err(Failure::Refused(code))),
            (_, Packet::OptionAck(granted)) => {
                self.peer = Some(from);
                self.take_options(granted, with_options);
            }
            (Side::Put(put), Packet::Ack { block: 0 }) => {
                self.peer = Some(from);
                put.begin(packet::BLOCK_SIZE_DEFAULT);
                self.stage = Stage::Running;
                self.progress();
            }
            (Side::Compare(_), Packet::Data { block: 1, .. }) => {
                self.peer = Some(from);
                self.stage = Stage::Running;
                self.handle_running(packet);
            }
            (_, Packet::Ack { .. } | Packet::Data { .. }) => {}
        }
    }

    fn take_options(&mut self, granted: Granted, with_options: bool) {
        let size = granted.block_size.unwrap_or(packet::BLOCK_SIZE_DEFAULT);
        let is_asked = with_options
            && !granted.has_other
            && granted.block_size.is_none_or(|size| (packet::BLOCK_SIZE_MIN..=self.tuning.block_size).contains(&size))
            && granted.timeout_s.is_none_or(|timeout_s| timeout_s == self.tuning.timeout_s);
        if !is_asked {
            self.farewell = Some(ErrorCode::OptionsRefused);
            return self.end(Err(Failure::BadOptions));
        }
        match &mut self.side {
            Side::Put(put) => put.begin(size),
            Side::Compare(compare) => compare.begin(size),
        }
        self.stage = Stage::Running;
        self.progress();
    }

    fn handle_running(&mut self, packet: Packet<'_>) {
        if let Packet::Error(code) = packet {
            // Options were agreed on, or given up: this speaks of an earlier request, and comes late.
            if code == ErrorCode::OptionsRefused {
                return;
            }
            return self.end(Err(Failure::Refused(code)));
        }
        let step = match &mut self.side {
            Side::Put(put) => put.handle(packet),
            Side::Compare(compare) => compare.handle(packet),
        };
        match step {
            Step::Ignored => {}
            Step::Progress => self.progress(),
            Step::Again => self.is_due = true,
            Step::End(outcome) => self.end(Ok(outcome)),
            Step::EndAfterLast(outcome) => {
                self.end(Ok(outcome));
                self.is_due = true;
            }
            Step::Stop(outcome) => {
                self.end(Ok(outcome));
                self.farewell = Some(ErrorCode::Undefined);
            }
        }
    }

    fn progress(&mut self) {
        self.is_due = true;
        self.transmissions = 0;
        self.deadline = None;
    }

    fn end(&mut self, outcome: Result<Outcome, Failure>) {
        self.stage = Stage::Ended(outcome);
        self.is_due = false;
        self.deadline = None;
    }

    /// The packet that waits for its answer.
    fn write(&self, out: &mut Vec<u8>) {
        let with_options = match self.stage {
            Stage::Requested { with_options } => with_options,
            Stage::Running | Stage::Ended(_) => {
                return match &self.side {
                    Side::Put(put) => put.write(out),
                    Side::Compare(compare) => compare.write(out),
                };
            }
        };
        let (request, size) = match &self.side {
            Side::Put(put) => (Request::Write, Some(put.octets().len() as u64)),
            Side::Compare(_) => (Request::Read, None),
        };
        let Tuning { block_size, timeout_s, .. } = self.tuning;
        let options = with_options.then_some(Proposed { block_size, timeout_s, size });
        packet::write_request(out, request, self.name, options);
    }
}
