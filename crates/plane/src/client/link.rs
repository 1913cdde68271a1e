//! The connection to the engine: tried, greeted, up, lost, and tried again.
//!
//! ```text
//!            due: connect, HELLO              WELCOME accepted
//!   Down ─────────────────────────▶ Greeting ──────────────────▶ Up
//!    ▲ ◀───── no socket, refused, closed, no answer in time ──────┤
//!    └───────────────────────── closed ───────────────────────────┘
//! ```

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use crate::hello::{Answer, HELLO_DESCRIPTORS, Hello, WELCOME_BYTES, Welcome};

/// The pause after the first failure; each further one doubles it.
const BACKOFF_MIN: Duration = Duration::from_millis(10);

/// The longest pause.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// How long the engine may take to answer a HELLO.
const WELCOME_PATIENCE: Duration = Duration::from_secs(5);

/// What [`PlaneClient::poll_connect`](super::PlaneClient::poll_connect) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// There is no link; it is tried again after a pause.
    Down,
    /// The engine was greeted and has not answered yet.
    Greeting,
    /// The engine has just accepted: all live sessions are to be announced.
    Fresh,
    /// The link stands.
    Up,
    /// The engine refused, and says why; it is tried again after a pause.
    Refused(Welcome),
}

#[derive(Debug)]
pub(super) struct Link {
    hello: Hello,
    path: Option<PathBuf>,
    stage: Stage,
    backoff: Duration,
}

#[derive(Debug)]
enum Stage {
    /// Tried again at this time; `None`: at once.
    Down {
        retry_at: Option<Instant>,
    },
    Greeting {
        socket: OwnedFd,
        deadline: Instant,
    },
    Up {
        socket: OwnedFd,
    },
}

/// What the socket has to say.
enum Heard {
    Nothing,
    Welcome(Welcome),
    Closed,
}

impl Link {
    pub(super) fn new(hello: Hello) -> Link {
        Link { hello, path: None, stage: Stage::Down { retry_at: None }, backoff: BACKOFF_MIN }
    }

    pub(super) fn set_path(&mut self, path: &Path) {
        self.path = Some(path.to_owned());
        self.stage = Stage::Down { retry_at: None };
    }

    pub(super) fn hello(&self) -> &Hello {
        &self.hello
    }

    pub(super) fn set_new_start(&mut self) {
        self.hello.new_start = true;
    }

    pub(super) fn set_narrow(&mut self) {
        self.hello.narrow = true;
    }

    /// What can be read when something changed.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.stage {
            Stage::Down { .. } => None,
            Stage::Greeting { socket, .. } | Stage::Up { socket } => Some(socket.as_fd()),
        }
    }

    /// The time until `poll` has something to do by itself.
    pub(super) fn time_to_retry(&self, now: Instant) -> Option<Duration> {
        match &self.stage {
            Stage::Down { retry_at } if self.path.is_some() => {
                Some(retry_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now)))
            }
            Stage::Greeting { deadline, .. } => Some(deadline.saturating_duration_since(now)),
            Stage::Down { .. } | Stage::Up { .. } => None,
        }
    }

    pub(super) fn poll(&mut self, descriptors: [BorrowedFd<'_>; HELLO_DESCRIPTORS], now: Instant) -> LinkState {
        if let (Stage::Down { .. }, Some(path), Some(Duration::ZERO)) =
            (&self.stage, &self.path, self.time_to_retry(now))
        {
            match greet(path, &self.hello, descriptors) {
                Ok(socket) => self.stage = Stage::Greeting { socket, deadline: now + WELCOME_PATIENCE },
                Err(_) => return self.down(now),
            }
        }
        match &self.stage {
            Stage::Down { .. } => LinkState::Down,
            Stage::Greeting { socket, deadline } => match hear(socket) {
                Heard::Welcome(welcome) if welcome.answer == Answer::Accepted => self.up(),
                Heard::Welcome(welcome) => {
                    self.down(now);
                    LinkState::Refused(welcome)
                }
                Heard::Nothing if now < *deadline => LinkState::Greeting,
                Heard::Nothing | Heard::Closed => self.down(now),
            },
            Stage::Up { socket } => match hear(socket) {
                Heard::Closed => self.down(now),
                Heard::Nothing | Heard::Welcome(_) => LinkState::Up,
            },
        }
    }

    fn up(&mut self) -> LinkState {
        if let Stage::Greeting { socket, .. } = std::mem::replace(&mut self.stage, Stage::Down { retry_at: None }) {
            self.stage = Stage::Up { socket };
        }
        self.backoff = BACKOFF_MIN;
        LinkState::Fresh
    }

    fn down(&mut self, now: Instant) -> LinkState {
        self.stage = Stage::Down { retry_at: Some(now + self.backoff) };
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        LinkState::Down
    }
}

/// Connects and says HELLO with the descriptors.
fn greet(path: &Path, hello: &Hello, descriptors: [BorrowedFd<'_>; HELLO_DESCRIPTORS]) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HELLO_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    rustix::net::sendmsg(&socket, &[IoSlice::new(&hello.encode())], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(socket)
}

fn hear(socket: &OwnedFd) -> Heard {
    let mut octets = [0; 2 * WELCOME_BYTES];
    match rustix::net::recv(socket, &mut octets[..], RecvFlags::DONTWAIT) {
        Ok((0, _)) => Heard::Closed,
        Ok((read, _)) => Welcome::decode(&octets[..read]).map_or(Heard::Closed, Heard::Welcome),
        Err(Errno::AGAIN | Errno::INTR) => Heard::Nothing,
        Err(_) => Heard::Closed,
    }
}
