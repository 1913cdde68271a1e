//! What tests that make network namespaces share: the way into one, and traffic between two sockets. Those of sweeps, inside the
//! crate, and those of the whole daemon include this; how their lines are laid stands there.

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// How long datagrams may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Does something in a namespace. A thread of its own goes there; what it opens stays.
pub(crate) fn within<T: Send>(namespace: &str, open: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(format!("/run/netns/{namespace}")).unwrap();
    let there = || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        open()
    };
    std::thread::scope(|scope| scope.spawn(there).join().unwrap())
}

/// The ends of a line, connected with each other: the BNG's and the subscriber's.
pub(crate) type Sockets = [UdpSocket; 2];

/// Datagrams of many lengths: one of the subscriber's and two for it. An interface may be gone.
pub(crate) fn send_both_ways(round: usize, [bng, subscriber]: &Sockets) {
    let octets = [7; 1_452];
    let _ = subscriber.send(&octets[..round * 37 % 700]);
    let _ = bng.send(&octets[..round * 101 % 1_453]);
    let _ = bng.send(&octets[..round * 211 % 1_453]);
}

/// Takes up what has arrived at either end, and counts it.
pub(crate) fn receive_both_ways(sockets: &Sockets, arrived: &[AtomicU64; 2]) {
    for (socket, arrived) in sockets.iter().zip(arrived) {
        while socket.recv(&mut [0; 1_500]).is_ok() {
            arrived.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Traffic that goes on until it is ended or dropped.
pub(crate) struct Flow {
    state: Arc<FlowState>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct FlowState {
    is_over: AtomicBool,
    /// Datagrams that arrived at the BNG and at the subscriber.
    arrived: [AtomicU64; 2],
}

impl Flow {
    /// It rests so long between any three datagrams. The sockets do not block.
    pub(crate) fn start(sockets: Sockets, rest: Duration) -> Flow {
        let state = Arc::new(FlowState::default());
        let told = state.clone();
        let thread = std::thread::spawn(move || {
            for round in 0.. {
                if told.is_over.load(Ordering::Relaxed) {
                    break;
                }
                send_both_ways(round, &sockets);
                receive_both_ways(&sockets, &told.arrived);
                std::thread::sleep(rest);
            }
        });
        Flow { state, thread: Some(thread) }
    }

    /// Waits until so many datagrams more have arrived at both ends.
    pub(crate) fn wait(&self, more: u64) {
        let (began, before) = (Instant::now(), self.arrived());
        while self.arrived().iter().zip(before).any(|(now, before)| *now < before + more) {
            assert!(began.elapsed() < PATIENCE, "packets do not flow both ways");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// When this returns nothing is on its way. Datagrams that arrived at the BNG's end.
    pub(crate) fn end(mut self) -> u64 {
        self.join();
        self.arrived()[0]
    }

    fn arrived(&self) -> [u64; 2] {
        [0, 1].map(|end: usize| self.state.arrived[end].load(Ordering::Relaxed))
    }

    fn join(&mut self) {
        self.state.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What made it panic stands in the test's output.
            let _ = thread.join();
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.join();
    }
}
