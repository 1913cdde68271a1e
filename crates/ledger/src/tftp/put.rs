//! The sender's side of a transfer: which block waits for its acknowledgement.

use super::packet::{self, Packet};
use super::transfer::{Outcome, Step};

/// The file that goes out.
#[derive(Debug)]
pub(super) struct Put<'a> {
    octets: &'a [u8],
    block_size: usize,
    /// Counted from 1, and never wrapped.
    block: u64,
}

impl<'a> Put<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Put<'a> {
        Put { octets, block_size: usize::from(packet::BLOCK_SIZE_DEFAULT), block: 0 }
    }

    pub(super) fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The request was taken: the first block is due.
    pub(super) fn begin(&mut self, block_size: u16) {
        self.block_size = usize::from(block_size);
        self.block = 1;
    }

    pub(super) fn handle(&mut self, packet: Packet<'_>) -> Step {
        match packet {
            Packet::Ack { block } if block == low(self.block) && self.is_last() => Step::End(Outcome::Stored),
            Packet::Ack { block } if block == low(self.block) => {
                self.block += 1;
                Step::Progress
            }
            // An acknowledgement of an earlier block is a copy, or comes late: sending on it would double every packet from
            // here on (RFC 1123 section 4.2.3.1).
            Packet::Ack { .. } | Packet::Data { .. } | Packet::OptionAck(_) | Packet::Error(_) => Step::Ignored,
        }
    }

    /// The packet that waits for its acknowledgement.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        packet::write_data(out, low(self.block), self.content());
    }

    /// A file whose size is a multiple of the block size ends with an empty block.
    fn is_last(&self) -> bool {
        self.content().len() < self.block_size
    }

    fn content(&self) -> &'a [u8] {
        let begin = offset(self.block, self.block_size).min(self.octets.len());
        let end = begin.saturating_add(self.block_size).min(self.octets.len());
        &self.octets[begin..end]
    }
}

/// Where a block begins, octets.
pub(super) fn offset(block: u64, block_size: usize) -> usize {
    usize::try_from(block.saturating_sub(1)).unwrap_or(usize::MAX).saturating_mul(block_size)
}

/// A block's number in a packet.
#[expect(clippy::cast_possible_truncation, reason = "block numbers roll over")]
pub(super) fn low(block: u64) -> u16 {
    block as u16
}
