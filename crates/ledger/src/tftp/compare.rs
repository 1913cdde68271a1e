//! The receiver's side of a transfer: the remote file is compared as it comes, and not kept.

use super::packet::{self, Packet};
use super::put::{low, offset};
use super::transfer::{Outcome, Step};

/// The file that comes in, and what it should be.
#[derive(Debug)]
pub(super) struct Compare<'a> {
    expected: &'a [u8],
    block_size: usize,
    /// The last block that arrived in order, counted from 1; 0: none.
    block: u64,
}

impl<'a> Compare<'a> {
    pub(super) fn new(expected: &'a [u8]) -> Compare<'a> {
        Compare { expected, block_size: usize::from(packet::BLOCK_SIZE_DEFAULT), block: 0 }
    }

    /// The request was taken; ACK 0 is due when the server sent its options, and is overtaken when it sent a block.
    pub(super) fn begin(&mut self, block_size: u16) {
        self.block_size = usize::from(block_size);
    }

    pub(super) fn handle(&mut self, packet: Packet<'_>) -> Step {
        match packet {
            Packet::Data { block, octets } if octets.len() <= self.block_size => {
                if block == low(self.block + 1) {
                    self.take(octets)
                } else if block == low(self.block) && self.block > 0 {
                    // The acknowledgement was lost: the sender waits for it, and takes one copy more for nothing.
                    Step::Again
                } else {
                    Step::Ignored
                }
            }
            // The first ACK 0 was lost.
            Packet::OptionAck(_) if self.block == 0 => Step::Again,
            Packet::Data { .. } | Packet::Ack { .. } | Packet::OptionAck(_) | Packet::Error(_) => Step::Ignored,
        }
    }

    fn take(&mut self, octets: &[u8]) -> Step {
        self.block += 1;
        let begin = offset(self.block, self.block_size);
        let end = begin.saturating_add(octets.len());
        if self.expected.get(begin..end) != Some(octets) {
            return Step::Stop(Outcome::Different);
        }
        if octets.len() == self.block_size {
            Step::Progress
        } else if end == self.expected.len() {
            Step::EndAfterLast(Outcome::Same)
        } else {
            Step::EndAfterLast(Outcome::Shorter { octets: end })
        }
    }

    /// The last block that arrived in order.
    pub(super) fn block(&self) -> u64 {
        self.block
    }

    /// The packet that waits for the next block.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        packet::write_ack(out, low(self.block));
    }
}
