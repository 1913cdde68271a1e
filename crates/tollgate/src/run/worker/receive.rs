//! Replies on their way from the datapath to the shard.

use std::net::SocketAddr;

use arrayvec::ArrayVec;
use engine::{PortId, Received, Shard};
use model::time::Now;

/// Datagrams copied together, so that their authenticators are computed together.
pub(super) struct ReceiveBatch {
    octets: Vec<u8>,
    entries: Vec<Entry>,
}

struct Entry {
    port: PortId,
    from: SocketAddr,
    length: usize,
    truncated: bool,
}

impl Default for ReceiveBatch {
    fn default() -> ReceiveBatch {
        ReceiveBatch {
            octets: Vec::with_capacity(engine::BATCH_MAX * kernel::datapath::RECEIVE_MAX),
            entries: Vec::with_capacity(engine::BATCH_MAX),
        }
    }
}

impl ReceiveBatch {
    pub(super) fn clear(&mut self) {
        self.octets.clear();
        self.entries.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() == engine::BATCH_MAX
    }

    pub(super) fn push(&mut self, port: PortId, from: SocketAddr, octets: &[u8], truncated: bool) {
        self.octets.extend_from_slice(octets);
        self.entries.push(Entry { port, from, length: octets.len(), truncated });
    }

    pub(super) fn hand_over(&self, shard: &mut Shard, now: Now) {
        let mut rest = &self.octets[..];
        let mut datagrams: ArrayVec<Received<'_>, { engine::BATCH_MAX }> = ArrayVec::new();
        for entry in &self.entries {
            let (octets, tail) = rest.split_at(entry.length);
            rest = tail;
            datagrams.push(Received { port: entry.port, from: entry.from, octets, truncated: entry.truncated });
        }
        shard.handle_datagrams(now, &datagrams);
    }
}
