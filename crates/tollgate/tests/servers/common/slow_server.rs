//! An accounting server that answers one request after the other, and so many a second.
//!
//! Requests wait in a queue of [`ROOM`], as in a socket of the usual size; what finds no room is lost. It keeps what it has
//! heard about each session's end: whether it was told the same again, and what was moved. A server that gets behind, because
//! its machine had something else to do, makes up for it: what it bears is counted by the clock.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use wire::radius::attribute::{Type, acct_status_type, as_u32};
use wire::radius::server::respond;
use wire::radius::{PACKET_SIZE_MAX, Packet};

use super::SECRET;

/// Requests that wait, each in one of the server's places.
const ROOM: usize = 250;
/// More a second than anybody asks for.
const ANYTHING: u64 = 100_000;
/// The longest sleep.
const NAP: Duration = Duration::from_micros(300);

/// What the server was asked since it was last told to count anew.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Served {
    /// Stops answered; each session's first one only.
    pub(crate) stops: u64,
    /// Input octets of those.
    pub(crate) octets: u64,
    /// Stops that repeat another of their session, and those of them that say something else.
    pub(crate) repeated: u64,
    pub(crate) contradicting: u64,
    /// Requests of any kind that found no room.
    pub(crate) lost: u64,
    /// As many waited at once.
    pub(crate) most_waiting: usize,
    /// Between the first Stop's answer and the last one's.
    pub(crate) first: Option<Instant>,
    pub(crate) last: Option<Instant>,
}

impl Served {
    /// The Stops' share of what the server could answer in that time, per cent.
    pub(crate) fn share(&self, per_second: u64) -> f64 {
        let (Some(first), Some(last)) = (self.first, self.last) else { return 0.0 };
        let borne = last.duration_since(first).as_secs_f64() * per_second as f64 + 1.0;
        100.0 * self.stops as f64 / borne
    }
}

/// The server. Dropped, it is gone.
pub(crate) struct SlowServer {
    pub(crate) port: u16,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    /// 0: it hears, and does not answer.
    per_second: AtomicU64,
    is_over: AtomicBool,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    served: Served,
    /// The input octets of Stops, by Acct-Session-Id.
    stops: HashMap<Box<[u8]>, u64>,
}

impl SlowServer {
    /// One that bears anything.
    pub(crate) fn start() -> SlowServer {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let port = socket.local_addr().unwrap().port();
        let state = Arc::new(State {
            per_second: AtomicU64::new(ANYTHING),
            is_over: AtomicBool::new(false),
            heard: Mutex::default(),
        });
        let serving =
            Serving { socket, state: state.clone(), queue: VecDeque::with_capacity(ROOM), due: Instant::now() };
        SlowServer { port, state, thread: Some(std::thread::spawn(move || serving.work())) }
    }

    /// From now on it bears so much; 0: it hears, and does not answer.
    pub(crate) fn bear(&self, per_second: u64) {
        self.state.per_second.store(per_second, Ordering::Relaxed);
    }

    /// It counts anew.
    pub(crate) fn forget(&self) {
        *self.state.heard.lock().unwrap() = Heard::default();
    }

    pub(crate) fn served(&self) -> Served {
        self.state.heard.lock().unwrap().served
    }
}

impl Drop for SlowServer {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What made it panic stands in the test's output.
            let _ = thread.join();
        }
    }
}

struct Waiting {
    arrived: Instant,
    from: SocketAddr,
    octets: Box<[u8]>,
}

struct Serving {
    socket: UdpSocket,
    state: Arc<State>,
    queue: VecDeque<Waiting>,
    /// When the next answer may leave.
    due: Instant,
}

impl Serving {
    fn work(mut self) {
        while !self.state.is_over.load(Ordering::Relaxed) {
            let per_second = self.state.per_second.load(Ordering::Relaxed);
            self.hear(per_second > 0);
            let now = Instant::now();
            while per_second > 0 && self.due <= now {
                let Some(request) = self.queue.pop_front() else { break };
                self.due = self.due.max(request.arrived) + Duration::from_secs(1) / u32::try_from(per_second).unwrap();
                self.answer(&request);
            }
            let sleep = if self.queue.is_empty() { NAP } else { self.due.saturating_duration_since(now).min(NAP) };
            std::thread::sleep(sleep);
        }
    }

    fn hear(&mut self, answers: bool) {
        let mut room = [0; PACKET_SIZE_MAX];
        while let Ok((length, from)) = self.socket.recv_from(&mut room) {
            let mut heard = self.state.heard.lock().unwrap();
            if answers && self.queue.len() == ROOM {
                heard.served.lost += 1;
            } else if answers {
                self.queue.push_back(Waiting { arrived: Instant::now(), from, octets: room[..length].into() });
                heard.served.most_waiting = heard.served.most_waiting.max(self.queue.len());
            }
        }
    }

    fn answer(&self, request: &Waiting) {
        let packet = Packet::parse(&request.octets).unwrap();
        let number = |kind: Type| packet.find(kind).and_then(as_u32);
        let mut room = [0; PACKET_SIZE_MAX];
        let answer = respond(&packet, SECRET.as_bytes(), &mut room).unwrap();
        // What finds no room is lost, as on any network.
        let _ = self.socket.send_to(answer, request.from);
        if number(Type::ACCT_STATUS_TYPE) != Some(acct_status_type::STOP) {
            return;
        }
        let octets = u64::from(number(Type::ACCT_INPUT_OCTETS).unwrap_or(0));
        let session = packet.find(Type::ACCT_SESSION_ID).expect("every Stop names its session");
        let mut heard = self.state.heard.lock().unwrap();
        let before = heard.stops.insert(session.into(), octets);
        let served = &mut heard.served;
        match before {
            None => {
                served.stops += 1;
                served.octets += octets;
                let now = Instant::now();
                served.first = served.first.or(Some(now));
                served.last = Some(now);
            }
            Some(before) => {
                served.repeated += 1;
                served.contradicting += u64::from(before != octets);
            }
        }
    }
}
