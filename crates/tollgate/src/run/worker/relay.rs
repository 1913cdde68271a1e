//! A worker's end of the relay: the socket that NAS speak to, the one that Disconnect-Requests leave from, and the rings to the
//! other workers. What is believed and what is answered is judged in [`engine::relay`].
//!
//! **Full:** no transmit slot is free: responses and Disconnect-Requests wait for the next round.

use std::net::SocketAddr;
use std::time::Duration;

use arrayvec::ArrayVec;
use engine::Shard;
use engine::relay::{Arrived, Handover, Relay};
use kernel::datapath::{BindSpec, Datapath, SocketIndex};
use model::ids::PlaneIndex;
use model::report::RelayReport;
use model::time::{Mono, Now};
use model::verdict::{Reason, Sentence};

use crate::run::relay::{Listen, Neighbour, Neighbours, RelaySetup};

/// The kernel's buffers of the socket that Disconnect-Requests leave from, octets.
const DISCONNECT_BUFFER: u32 = 1 << 20;
/// Requests are taken together that come within so long behind the last ones: each sync of the disk costs as much as some
/// hundred of them. One that comes alone does not wait.
const GATHER: Duration = Duration::from_millis(2);
/// Requests of another worker that are taken before the rest of the loop has its turn.
const HANDED_MAX: usize = 512;

/// Everything that a worker has of the relay.
pub(crate) struct RelayDoor {
    relay: Relay,
    listen: Option<SocketIndex>,
    /// Where it is bound to.
    local: Option<SocketAddr>,
    disconnect: Option<SocketIndex>,
    neighbours: Neighbours,
    received: Received,
    /// When the last requests were taken.
    taken: Mono,
    overflow: u64,
    overflow_seen: u32,
    /// Nothing is taken while the ledger is behind; so many requests were not.
    is_gated: bool,
    untaken: u64,
}

/// Datagrams copied together, so that their authenticators are computed together.
struct Received {
    octets: Vec<u8>,
    entries: Vec<(SocketAddr, usize, bool)>,
}

/// What another worker is handed.
impl Handover for Neighbours {
    fn hand_over(&mut self, shard: u16, head: &[u8], packet: &[u8]) -> bool {
        let Some(Some(Neighbour { ring, is_told, .. })) = self.to.get_mut(usize::from(shard)) else { return false };
        let Some(mut grant) = ring.reserve(head.len() + packet.len()) else { return false };
        let (front, back) = grant.split_at_mut(head.len());
        front.copy_from_slice(head);
        back.copy_from_slice(packet);
        grant.commit();
        *is_told = false;
        true
    }
}

impl RelayDoor {
    pub(crate) fn new(relay: Relay, neighbours: Neighbours) -> RelayDoor {
        let octets = Vec::with_capacity(engine::BATCH_MAX * kernel::datapath::RECEIVE_MAX);
        let received = Received { octets, entries: Vec::with_capacity(engine::BATCH_MAX) };
        RelayDoor {
            relay,
            listen: None,
            local: None,
            disconnect: None,
            neighbours,
            received,
            taken: Mono::ZERO,
            overflow: 0,
            overflow_seen: 0,
            is_gated: false,
            untaken: 0,
        }
    }

    /// Takes a configuration; the sentence says what is wrong with it.
    pub(super) fn configure(
        &mut self,
        setup: RelaySetup,
        now: Now,
        shard: &mut Shard,
        datapath: &mut Datapath,
    ) -> Option<String> {
        let mut problem = None;
        if let Listen::Replace(socket) = setup.listen {
            self.note_overflow(datapath);
            for old in [self.listen.take(), self.disconnect.take()].into_iter().flatten() {
                datapath.close(old);
            }
            (self.local, self.overflow_seen) = (None, 0);
            if let Some((local, bound)) = socket {
                match datapath.adopt(bound) {
                    Ok(socket) => (self.listen, self.local) = (Some(socket), Some(local)),
                    Err(error) => problem = Some(format!("NAS are not listened to on {local}: {error}")),
                }
            }
        }
        let asks = setup.clients.iter().any(|client| client.settings.disconnect_port.is_some());
        if let Some(local) = self.local.filter(|_| asks && self.disconnect.is_none()) {
            let (local, buffer) = (SocketAddr::new(local.ip(), 0), DISCONNECT_BUFFER);
            let spec = BindSpec { local, device: None, receive_buffer: buffer, send_buffer: buffer };
            match datapath.bind(spec) {
                Ok(socket) => self.disconnect = Some(socket),
                Err(error) => problem = Some(format!("no port for Disconnect-Requests: {error}")),
            }
        }
        self.relay.configure(now, shard, &setup.clients);
        problem
    }

    /// Whether the ledger is behind, and planes keep their events.
    pub(super) fn gate(&mut self, is_gated: bool) {
        self.is_gated = is_gated;
    }

    /// Whether the socket is one of the relay's.
    pub(super) fn is_its(&self, socket: SocketIndex) -> bool {
        Some(socket) == self.listen || Some(socket) == self.disconnect
    }

    /// A datagram came in by one of its sockets. Those of NAS are looked into when there are many, or by
    /// [`RelayDoor::take`].
    pub(super) fn receive(&mut self, now: Now, shard: &mut Shard, socket: SocketIndex, arrived: &Arrived<'_>) {
        if Some(socket) == self.disconnect {
            self.relay.handle_disconnect_reply(now, shard, arrived);
            return;
        }
        self.received.octets.extend_from_slice(arrived.octets);
        self.received.entries.push((arrived.from, arrived.octets.len(), arrived.truncated));
        if self.received.entries.len() == engine::BATCH_MAX {
            self.take_received(now, shard);
        }
    }

    /// What came from NAS and from other workers. True: there is more.
    pub(super) fn take(&mut self, now: Now, shard: &mut Shard, datapath: &Datapath) -> bool {
        if self.gathers() && now.mono >= self.taken.plus(GATHER) {
            self.take_received(now, shard);
        }
        self.note_overflow(datapath);
        let mut more = false;
        for place in 0..self.neighbours.from.len() {
            for taken in 0.. {
                if taken == HANDED_MAX {
                    more = true;
                    break;
                }
                // The ring is lent while others are handed what comes of it.
                let Neighbours { to, from } = &mut self.neighbours;
                let mut others = Neighbours { to: std::mem::take(to), from: Vec::new() };
                let handed = from[place].peek().map(|octets| {
                    self.relay.handle_handed(now, shard, octets, &mut others);
                });
                *to = others.to;
                if handed.is_none() {
                    break;
                }
                from[place].release();
            }
        }
        self.relay.handle_timeout(now, shard);
        self.neighbours.tell();
        more
    }

    /// Whether requests wait for others that may come.
    pub(super) fn gathers(&self) -> bool {
        !self.received.entries.is_empty()
    }

    fn take_received(&mut self, now: Now, shard: &mut Shard) {
        self.taken = now.mono;
        if self.is_gated {
            // The ledger is behind: what is not taken is asked again.
            self.untaken += self.received.entries.len() as u64;
            self.received.octets.clear();
            self.received.entries.clear();
            return;
        }
        let mut rest = &self.received.octets[..];
        let mut datagrams: ArrayVec<Arrived<'_>, { engine::BATCH_MAX }> = ArrayVec::new();
        for &(from, length, truncated) in &self.received.entries {
            let (octets, tail) = rest.split_at(length);
            rest = tail;
            datagrams.push(Arrived { from, octets, truncated });
        }
        self.relay.handle_datagrams(now, shard, &datagrams, &mut self.neighbours);
        drop(datagrams);
        self.received.octets.clear();
        self.received.entries.clear();
    }

    fn note_overflow(&mut self, datapath: &Datapath) {
        let Some(listen) = self.listen else { return };
        let seen = datapath.overflow(listen);
        self.overflow += u64::from(seen.wrapping_sub(self.overflow_seen));
        self.overflow_seen = seen;
    }

    /// The shard's records up to this number have everything that was taken.
    pub(super) fn mark(&mut self, through: u64) {
        self.relay.mark(through);
    }

    /// Whether a NAS waits for the disk.
    pub(super) fn waits(&self) -> bool {
        self.relay.waits()
    }

    /// Responses to what is durable, and Disconnect-Requests that are due.
    pub(super) fn transmit(&mut self, now: Now, durable: u64, datapath: &mut Datapath) {
        self.relay.handle_durable(durable, &mut self.neighbours);
        self.neighbours.tell();
        while datapath.transmit_room() > 0
            && let Some((to, octets)) = self.relay.poll_answer(durable)
        {
            // Not queued is as good as lost: the NAS asks again, and is answered then.
            if let Some(listen) = self.listen.filter(|_| !octets.is_empty()) {
                let _ = datapath.transmit(listen, to, octets);
            }
        }
        while datapath.transmit_room() > 0
            && let Some((to, octets)) = self.relay.poll_disconnect(now)
        {
            if let Some(disconnect) = self.disconnect {
                let _ = datapath.transmit(disconnect, to, octets);
            }
        }
    }

    /// Whether the plane of this number is a client.
    pub(crate) fn is_client(&self, plane: PlaneIndex) -> bool {
        self.relay.is_client(plane)
    }

    /// The shard's sentence on a session of a client, which it has just given.
    pub(crate) fn pass(
        &mut self,
        now: Now,
        shard: &mut Shard,
        plane: PlaneIndex,
        session: &[u8],
        sentence: (Sentence, Reason),
    ) {
        self.relay.handle_verdict(now, shard, plane, session, sentence);
    }

    /// When [`RelayDoor::take`] or [`RelayDoor::transmit`] has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        let gathered = self.gathers().then(|| self.taken.plus(GATHER));
        self.relay.poll_timeout().into_iter().chain(gathered).min()
    }

    pub(super) fn report(&self, shard: &Shard) -> RelayReport {
        let report = self.relay.report_counts(shard);
        RelayReport { overflow: self.overflow, crowded: report.crowded + self.untaken, ..report }
    }
}
