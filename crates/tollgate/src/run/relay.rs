//! The relay as the control thread knows it: where NAS speak to, bound before a commit is in force, and which plane each client
//! is. Whatever comes in is the workers', see [`worker::relay`](super::worker).
//!
//! Each worker has a socket of its own on the one address and port. What comes to the wrong one goes through a ring to the one
//! that has the session, so there is one for each two of them.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::relay::ClientPlane;
use kernel::datapath::{BindSpec, BoundSocket};
use kernel::waker::Waker;
use lanes::ring::{Consumer, Producer};
use model::settings::Settings;

use super::link::Planes;

/// The kernel's receive buffer of each worker, octets: some twenty thousand requests, for they come in gusts when NAS start.
const RECEIVE_BUFFER: u32 = 32 << 20;
/// The same of what leaves: responses are short.
const SEND_BUFFER: u32 = 1 << 20;
/// Octets of the ring from one worker to another: some thousand requests.
const RING_OCTETS: usize = 1 << 20;

/// How long a start waits for an address that somebody has. An io_uring lets go of the sockets of a daemon that was killed only
/// when that has ended already and the next one begins.
pub(crate) const START_PATIENCE: Duration = Duration::from_secs(5);
/// The same of a commit. Nobody was killed then; but workers close what the commit before has left, which takes them a few turns, and
/// the way back from a trial must not fail for that. Of anybody else who has the address an operator hears soon.
pub(crate) const COMMIT_PATIENCE: Duration = Duration::from_millis(500);
/// How long until it is tried again.
const TRIED_AGAIN: Duration = Duration::from_millis(50);

/// What a worker is to do about the relay's socket.
pub(crate) enum Listen {
    /// It stays as it is.
    Keep,
    /// It is closed, or replaced by this one.
    Replace(Option<(SocketAddr, BoundSocket)>),
}

/// What one worker is told of the relay.
pub(crate) struct RelaySetup {
    pub(crate) clients: Arc<[ClientPlane]>,
    pub(crate) listen: Listen,
}

/// Sockets that a configuration needs and that are not heard yet, one for each worker.
#[derive(Default)]
pub(crate) struct NewSockets(Option<Vec<Listen>>);

impl NewSockets {
    /// Binds what these settings need, if that differs from what is open. An address that is taken is waited for.
    ///
    /// # Errors
    /// The sentence that says why not.
    pub(crate) async fn bind(
        settings: &Settings,
        open: Option<SocketAddr>,
        workers: usize,
        patience: Duration,
    ) -> Result<NewSockets, String> {
        let listen = settings.relay.listen;
        if listen == open {
            return Ok(NewSockets(None));
        }
        let Some(local) = listen else {
            return Ok(NewSockets(Some((0..workers).map(|_| Listen::Replace(None)).collect())));
        };
        let spec = BindSpec { local, device: None, receive_buffer: RECEIVE_BUFFER, send_buffer: SEND_BUFFER };
        let (began, mut waits) = (Instant::now(), false);
        let bound = loop {
            match BoundSocket::bind_all(&spec, workers) {
                Err(error) if error.kind() == ErrorKind::AddrInUse && began.elapsed() < patience => {
                    if !waits {
                        tracing::warn!("NAS are not listened to on {local} yet: {error}; tried for {patience:?}");
                    }
                    waits = true;
                    tokio::time::sleep(TRIED_AGAIN).await;
                }
                bound => break bound.map_err(|error| format!("NAS cannot be listened to on {local}: {error}"))?,
            }
        };
        Ok(NewSockets(Some(bound.into_iter().map(|socket| Listen::Replace(Some((local, socket)))).collect())))
    }

    /// What each worker is told.
    pub(crate) fn setups(self, settings: &Settings, planes: &mut Planes, workers: usize) -> Vec<RelaySetup> {
        let clients = settings.relay.clients.iter().filter_map(|(&address, client)| {
            // Planes are numbered with 16 bits, and clients are no more than 4,096.
            let plane = planes.index(&ClientPlane::name(address))?;
            Some(ClientPlane { address, plane, settings: client.clone() })
        });
        let clients: Arc<[ClientPlane]> = clients.collect();
        let listens = self.0.unwrap_or_else(|| (0..workers).map(|_| Listen::Keep).collect());
        listens.into_iter().map(|listen| RelaySetup { clients: clients.clone(), listen }).collect()
    }
}

/// One worker's ends of the rings to and from the others, in the order of their numbers; its own place is empty.
#[derive(Default)]
pub(crate) struct Neighbours {
    pub(crate) to: Vec<Option<Neighbour>>,
    pub(crate) from: Vec<Consumer>,
}

/// The way to another worker.
pub(crate) struct Neighbour {
    pub(crate) ring: Producer,
    /// Ends its sleep.
    waker: Arc<Waker>,
    /// It has been shown everything that is in the ring.
    pub(crate) is_told: bool,
}

impl Neighbours {
    /// Shows the others what they were handed.
    pub(crate) fn tell(&mut self) {
        for neighbour in self.to.iter_mut().flatten().filter(|neighbour| !neighbour.is_told) {
            neighbour.ring.publish();
            neighbour.waker.wake();
            neighbour.is_told = true;
        }
    }
}

/// Rings between any two of the workers that these wake.
pub(crate) fn neighbours(wakers: &[Arc<Waker>]) -> Vec<Neighbours> {
    let mut all: Vec<Neighbours> = wakers.iter().map(|_| Neighbours::default()).collect();
    for from in 0..wakers.len() {
        for (to, waker) in wakers.iter().enumerate() {
            if from == to {
                all[from].to.push(None);
                continue;
            }
            let (producer, consumer) = lanes::ring::ring(RING_OCTETS);
            all[from].to.push(Some(Neighbour { ring: producer, waker: waker.clone(), is_told: true }));
            all[to].from.push(consumer);
        }
    }
    all
}
