//! The end of a comparison (RFC 1350 section 6): the last ACK may be lost, and the server then sends the last block again.

use std::net::SocketAddr;

use model::time::Mono;

use super::packet::{self, Packet};

/// Answers the last block again until its time is over. It has the verbs of a transfer, and no outcome: all that was
/// wanted is known.
#[derive(Debug)]
pub struct Dally {
    peer: SocketAddr,
    block: u16,
    until: Mono,
    is_due: bool,
}

impl Dally {
    pub(super) fn new(peer: SocketAddr, block: u16, until: Mono) -> Dally {
        Dally { peer, block, until, is_due: false }
    }

    /// Takes what arrived at the socket of the comparison.
    pub fn handle_datagram(&mut self, from: SocketAddr, octets: &[u8]) {
        let packet = Packet::parse(octets);
        self.is_due |= from == self.peer && matches!(packet, Ok(Packet::Data { block, .. }) if block == self.block);
    }

    /// The next datagram, appended to `out`, and where it goes.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<SocketAddr> {
        if !std::mem::take(&mut self.is_due) {
            return None;
        }
        packet::write_ack(out, self.block);
        Some(self.peer)
    }

    /// When the socket may be closed.
    pub fn until(&self) -> Mono {
        self.until
    }
}
