//! The accounting server: answers every request, and remembers what it was told about each Acct-Session-Id. When the
//! schedule says so it fails as servers do: in the middle of its work it still hears, but answers no more; then it is
//! gone; and at last it is back on the same port.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use kernel::datapath::{BindSpec, Choice, Completion, Datapath, Limits, SocketIndex};
use model::counters::Totals;
use wire::radius::attribute::{Type, acct_status_type, as_u32};
use wire::radius::authenticator::verify_request;
use wire::radius::server::respond;
use wire::radius::{Code, PACKET_SIZE_MAX, Packet};

use super::schedule::Schedule;
use super::settings::SECRET;
use super::stage::Stage;
use crate::args::DatapathArg;
use crate::exit::Failure;

/// The kernel's buffers, octets: more than one engine has under way.
const SOCKET_BUFFER: u32 = 4 << 20;
/// The longest wait.
const NAP: Duration = Duration::from_millis(20);
/// How long the server waits for the wave of Stops, in the middle of which it falls silent.
const WAVE_PATIENCE: Duration = Duration::from_millis(500);
/// How long the silent server still hears.
const DEAF_AFTER: Duration = Duration::from_millis(300);

/// What the server was told about one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// The life that Class names.
    pub(super) life: Option<u32>,
    pub(super) started: bool,
    pub(super) interims: u32,
    /// The totals of the first Stop.
    pub(super) stopped: Option<Totals>,
    /// Whether a later Stop said something else.
    pub(super) contradicted: bool,
}

/// What the server was told, by Acct-Session-Id.
pub(super) type Hearsay = HashMap<Box<[u8]>, Heard>;

/// The server, bound.
pub(super) struct Server {
    datapath: Datapath,
    socket: Option<SocketIndex>,
    address: SocketAddr,
    schedule: Schedule,
    heard: Hearsay,
    failing: Failing,
}

/// How far the failure has come.
#[derive(Clone, Copy, Debug)]
enum Failing {
    NotYet,
    /// It answers until the wave of Stops is under way.
    Soon {
        stops_before: u32,
    },
    /// It hears and does not answer, until then.
    Silent {
        until: Duration,
    },
    /// Its socket is closed.
    Gone,
    /// It was, and is not any more.
    Over,
}

impl Server {
    /// Binds a port that the kernel chooses.
    pub(super) fn bind(datapath: DatapathArg, schedule: Schedule) -> Result<Server, Failure> {
        let choice = match datapath {
            DatapathArg::Auto => Choice::Auto,
            DatapathArg::IoUring => Choice::IoUring,
            DatapathArg::Epoll => Choice::Epoll,
        };
        let limits = Limits { sockets: 4, watches: 0, ..Limits::default() };
        let mut datapath = Datapath::open(choice, limits)
            .map_err(|error| Failure::failed(format!("no datapath for the server: {error}")))?
            .datapath;
        let cannot = |error| Failure::failed(format!("the server cannot bind a port of the loopback: {error}"));
        let socket = datapath.bind(at((Ipv4Addr::LOCALHOST, 0).into())).map_err(cannot)?;
        let address = datapath.local_addr(socket).map_err(cannot)?;
        let heard = HashMap::with_capacity(schedule.lives() as usize);
        Ok(Server { datapath, socket: Some(socket), address, schedule, heard, failing: Failing::NotYet })
    }

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the play is over, and gives what it heard.
    pub(super) fn run(mut self, stage: &Stage) -> Hearsay {
        let mut stops = 0;
        while !stage.has_ended() {
            self.follow_the_schedule(stage, stops);
            if self.socket.is_none() {
                std::thread::sleep(NAP);
            }
            let room = self.datapath.transmit_room() > 0;
            // A wait that fails is tried again: the engine's requests run out meanwhile, as with any sick server.
            let _ = self.datapath.submit_and_wait(Some(if room { NAP } else { Duration::ZERO }));
            stops += self.serve();
        }
        self.heard
    }

    fn follow_the_schedule(&mut self, stage: &Stage, stops: u32) {
        let now = stage.elapsed();
        let outage = &self.schedule.outage;
        self.failing = match self.failing {
            Failing::NotYet if now >= outage.start => Failing::Soon { stops_before: stops },
            Failing::Soon { stops_before }
                if stops - stops_before >= self.schedule.stops_before_silence()
                    || now >= outage.start + WAVE_PATIENCE =>
            {
                stage.serving.store(false, Ordering::Relaxed);
                Failing::Silent { until: now + DEAF_AFTER }
            }
            Failing::Silent { until } if now >= until => {
                if let Some(socket) = self.socket.take() {
                    self.datapath.close(socket);
                }
                Failing::Gone
            }
            Failing::Gone if now >= outage.end => match self.datapath.bind(at(self.address)) {
                Ok(socket) => {
                    self.socket = Some(socket);
                    stage.serving.store(true, Ordering::Relaxed);
                    Failing::Over
                }
                // The old socket may take a moment to go.
                Err(_) => Failing::Gone,
            },
            as_before => as_before,
        };
    }

    /// Takes what came, answers it, and says how many Stops there were.
    fn serve(&mut self) -> u32 {
        let mut stops = 0;
        let mut answer = [0; PACKET_SIZE_MAX];
        while let Some(completion) = self.datapath.next() {
            let Completion::Datagram { socket, from, bytes, truncated: false } = completion else { continue };
            let Ok(request) = Packet::parse(bytes) else { continue };
            if verify_request(&request, SECRET).is_err() {
                continue;
            }
            if request.code() == Code::ACCOUNTING_REQUEST {
                stops += u32::from(remember(&mut self.heard, &request) == Some(acct_status_type::STOP));
            }
            if matches!(self.failing, Failing::Silent { .. } | Failing::Gone) {
                continue;
            }
            if let Ok(answer) = respond(&request, SECRET, &mut answer) {
                // What finds no room is lost, as on any network.
                let _ = self.datapath.transmit(socket, from, answer);
            }
        }
        stops
    }
}

/// Notes what a request tells; gives its Acct-Status-Type. A request that names no session tells nothing.
fn remember(heard: &mut Hearsay, request: &Packet<'_>) -> Option<u32> {
    let status = request.find(Type::ACCT_STATUS_TYPE).and_then(as_u32)?;
    let id = request.find(Type::ACCT_SESSION_ID)?;
    let session = match heard.get_mut(id) {
        Some(session) => session,
        None => heard.entry(id.into()).or_default(),
    };
    session.life = session.life.or_else(|| request.find(Type::CLASS).and_then(as_u32));
    match status {
        acct_status_type::START => session.started = true,
        acct_status_type::INTERIM_UPDATE => session.interims += 1,
        acct_status_type::STOP => {
            let totals = totals(request);
            session.contradicted |= session.stopped.is_some_and(|before| before != totals);
            session.stopped = session.stopped.or(Some(totals));
        }
        _ => {}
    }
    Some(status)
}

fn totals(request: &Packet<'_>) -> Totals {
    let low = |kind: Type| u64::from(request.find(kind).and_then(as_u32).unwrap_or(0));
    Totals {
        in_octets: low(Type::ACCT_INPUT_GIGAWORDS) << 32 | low(Type::ACCT_INPUT_OCTETS),
        in_packets: low(Type::ACCT_INPUT_PACKETS),
        out_octets: low(Type::ACCT_OUTPUT_GIGAWORDS) << 32 | low(Type::ACCT_OUTPUT_OCTETS),
        out_packets: low(Type::ACCT_OUTPUT_PACKETS),
    }
}

fn at(local: SocketAddr) -> BindSpec<'static> {
    BindSpec { local, device: None, receive_buffer: SOCKET_BUFFER, send_buffer: SOCKET_BUFFER }
}
