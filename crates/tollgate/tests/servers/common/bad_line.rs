//! A line between the daemon and one server on which datagrams get lost, come late, come twice and pass each other, both
//! ways, as a fixed seed has it.
//!
//! In comes what clients send to [`BadLine::port`]; out goes what is left of it, to the server from one port for each client,
//! and back. Whatever the line carries it does not look at. Full, with so many datagrams under way or clients served, it loses
//! what is more; what it carries in all and how long it lives is bounded, so that no test leaves one behind.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::Notify;

use super::{Random, seconds};

/// Datagrams under way.
const UNDER_WAY_MAX: usize = 8_192;
/// Source ports of its clients.
const CLIENTS_MAX: usize = 256;
/// Datagrams in all.
const CARRIED_MAX: u64 = 4_000_000;
const LIFE_MAX: Duration = seconds(900);
const DATAGRAM_MAX: usize = 4_096;

/// What befalls a datagram, each way.
#[derive(Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) seed: u64,
    /// Of a thousand so many are lost,
    pub(crate) lost: usize,
    /// and so many of the others come twice.
    pub(crate) doubled: usize,
    /// Each is late by anything up to this, so that they pass each other.
    pub(crate) late: Duration,
}

impl Weather {
    /// Nothing does, until the line is cut.
    pub(crate) const FINE: Weather = Weather { seed: 0, lost: 0, doubled: 0, late: Duration::ZERO };

    /// Of a thousand so many are lost; one in twenty comes twice, and all are late by up to 80 ms.
    pub(crate) fn bad(seed: u64, lost: usize) -> Weather {
        Weather { seed, lost, doubled: 50, late: Duration::from_millis(80) }
    }
}

/// What became of datagrams, both ways together.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// They came.
    pub(crate) taken: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    /// They arrived behind one that came after them.
    pub(crate) passed: u64,
}

/// The line. Dropped, it is gone.
pub(crate) struct BadLine {
    port: u16,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    is_cut: AtomicBool,
    under_way: AtomicUsize,
    end: Notify,
    counts: Mutex<Carried>,
}

impl BadLine {
    /// A line that ends at this port of 127.0.0.1.
    pub(crate) fn lay(server: u16, weather: Weather) -> BadLine {
        let front = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = front.local_addr().unwrap().port();
        front.set_nonblocking(true).unwrap();
        let state = Arc::new(State::default());
        let theirs = state.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let front = Arc::new(UdpSocket::from_std(front).unwrap());
                let ways = [0, 1].map(|way| Arc::new(Way::new(2 * weather.seed + way)));
                let server = SocketAddr::from((Ipv4Addr::LOCALHOST, server));
                let line = Line { weather, state: theirs.clone(), front, server, ways };
                tokio::select! {
                    () = line.work() => {}
                    () = theirs.end.notified() => {}
                    () = tokio::time::sleep(LIFE_MAX) => {}
                }
            });
        });
        BadLine { port, state, thread: Some(thread) }
    }

    /// Where the server seems to be.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on nothing arrives, either way, not even what is under way.
    pub(crate) fn cut(&self) {
        self.state.is_cut.store(true, Ordering::Relaxed);
    }

    /// It is as it was before it was cut.
    pub(crate) fn mend(&self) {
        self.state.is_cut.store(false, Ordering::Relaxed);
    }

    /// What it has carried.
    pub(crate) fn end(mut self) -> Carried {
        self.finish();
        std::mem::take(&mut self.state.counts.lock().unwrap())
    }

    fn finish(&mut self) {
        self.state.end.notify_one();
        if let Some(thread) = self.thread.take() {
            // What made it panic stands in the test's output.
            let _ = thread.join();
        }
    }
}

impl Drop for BadLine {
    fn drop(&mut self) {
        self.finish();
    }
}

/// One way of a line.
struct Way {
    random: Mutex<Random>,
    /// Datagrams that came, and the newest of those that arrived.
    taken: AtomicU64,
    arrived: AtomicU64,
}

impl Way {
    fn new(seed: u64) -> Way {
        Way { random: Mutex::new(Random::new(seed)), taken: AtomicU64::new(0), arrived: AtomicU64::new(0) }
    }
}

struct Line {
    weather: Weather,
    state: Arc<State>,
    front: Arc<UdpSocket>,
    server: SocketAddr,
    ways: [Arc<Way>; 2],
}

impl Line {
    async fn work(self) {
        let line = Arc::new(self);
        let mut clients: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
        let mut octets = [0; DATAGRAM_MAX];
        loop {
            // A port that is closed at the other end says so here; the line goes on.
            let Ok((length, client)) = line.front.recv_from(&mut octets).await else { continue };
            if !clients.contains_key(&client) && clients.len() < CLIENTS_MAX {
                let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
                tokio::spawn(line.clone().bring_back(socket.clone(), client));
                clients.insert(client, socket);
            }
            match clients.get(&client) {
                Some(socket) => line.carry(0, socket, line.server, &octets[..length]),
                None => line.state.counts.lock().unwrap().lost += 1,
            }
        }
    }

    async fn bring_back(self: Arc<Line>, socket: Arc<UdpSocket>, client: SocketAddr) {
        let mut octets = [0; DATAGRAM_MAX];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut octets).await else { continue };
            if from == self.server {
                self.carry(1, &self.front, client, &octets[..length]);
            }
        }
    }

    /// Draws a datagram's fate, and sends what is left of it when its time has come.
    fn carry(&self, way: usize, socket: &Arc<UdpSocket>, to: SocketAddr, octets: &[u8]) {
        let way = &self.ways[way];
        let number = way.taken.fetch_add(1, Ordering::Relaxed) + 1;
        let mut random = way.random.lock().unwrap();
        let mut counts = self.state.counts.lock().unwrap();
        counts.taken += 1;
        let is_worn = counts.taken > CARRIED_MAX;
        if random.below(1_000) < self.weather.lost || is_worn {
            counts.lost += 1;
            return;
        }
        let is_doubled = random.below(1_000) < self.weather.doubled;
        counts.doubled += u64::from(is_doubled);
        for _ in 0..1 + usize::from(is_doubled) {
            if self.state.under_way.fetch_add(1, Ordering::Relaxed) >= UNDER_WAY_MAX {
                self.state.under_way.fetch_sub(1, Ordering::Relaxed);
                counts.lost += 1;
                continue;
            }
            let micros = usize::try_from(self.weather.late.as_micros()).unwrap();
            let late = Duration::from_micros(random.below(micros + 1) as u64);
            let (state, socket, way, octets) = (self.state.clone(), socket.clone(), way.clone(), octets.to_vec());
            tokio::spawn(async move {
                if !late.is_zero() {
                    tokio::time::sleep(late).await;
                }
                state.under_way.fetch_sub(1, Ordering::Relaxed);
                let newest = way.arrived.fetch_max(number, Ordering::Relaxed);
                if state.is_cut.load(Ordering::Relaxed) || socket.send_to(&octets, to).await.is_err() {
                    state.counts.lock().unwrap().lost += 1;
                } else if newest > number {
                    state.counts.lock().unwrap().passed += 1;
                }
            });
        }
    }
}

#[test]
fn a_bad_line_loses_doubles_and_mixes_what_it_carries() {
    let server = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let line = BadLine::lay(server.local_addr().unwrap().port(), Weather::bad(1, 100));
    let client = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    client.connect((Ipv4Addr::LOCALHOST, line.port())).unwrap();
    let received = |socket: &std::net::UdpSocket, answer: bool| {
        socket.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
        let (mut octets, mut all) = ([0; 4], Vec::new());
        while let Ok((_, from)) = socket.recv_from(&mut octets) {
            all.push(u32::from_be_bytes(octets));
            if answer {
                socket.send_to(&octets, from).unwrap();
            }
        }
        all
    };
    for number in 0_u32..200 {
        client.send(&number.to_be_bytes()).unwrap();
    }
    let there = received(&server, true);
    let back = received(&client, false);
    for (sent, arrived) in [(200, &there), (there.len(), &back)] {
        let mut distinct = arrived.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert!(
            distinct.len() < sent && arrived.len() > distinct.len() && !arrived.is_sorted(),
            "{arrived:?} of {sent}"
        );
        assert!(distinct.len() * 10 > sent * 7, "{} of {sent}", distinct.len());
    }
    line.cut();
    client.send(&[0; 4]).unwrap();
    assert!(received(&server, true).is_empty());
    line.mend();
    for number in 0_u32..20 {
        client.send(&number.to_be_bytes()).unwrap();
    }
    assert!(received(&server, false).len() > 10);
    let carried = line.end();
    assert!(carried.lost > 10 && carried.doubled > 5 && carried.passed > 20, "{carried:?}");
}
