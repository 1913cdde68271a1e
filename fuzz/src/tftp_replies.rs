//! Whatever a TFTP server sends while a file is put to it, or read from it for comparison: the transfer comes to an end, sends no
//! packet more often than it may, answers nobody in the wrong place, and is told *stored* or *same* by nothing but blocks.
//!
//! The first octet says which way the file goes and how long it is. Then each datagram is two octets (from where and what before, octets)
//! and its octets.

use std::net::SocketAddr;
use std::time::Duration;

use ledger::tftp::packet::{BLOCK_SIZE_DEFAULT, BLOCK_SIZE_MIN, Packet};
use ledger::tftp::{Outcome, Transfer, Tuning};
use model::time::Mono;

const FILE: [u8; 600] = [0x5a; 600];
const TUNING: Tuning = Tuning { block_size: 16, timeout_s: 2, patience: Duration::from_secs(1), transmissions: 3 };

/// Who may be meant by an octet: the port that was asked, the port that answers, another one, another box.
fn sender(what: u8) -> SocketAddr {
    let (box_, port) = [(9, 69), (9, 2000), (9, 2001), (8, 2000)][usize::from(what & 3)];
    SocketAddr::from(([192, 0, 2, box_], port))
}

struct Play<'a> {
    transfer: Transfer<'a>,
    now: Mono,
    /// The packet that was sent last, and how often in a row.
    last: (Vec<u8>, u8),
}

impl Play<'_> {
    fn transmit(&mut self) {
        let (mut out, mut count) = (Vec::new(), 0);
        while let Some(to) = self.transfer.poll_transmit(self.now, &mut out) {
            assert!(
                to.ip() == sender(0).ip() || out[..4] == [0, 5, 0, 5],
                "a stranger hears that nobody knows it: {out:?}"
            );
            assert!(out.len() <= 4 + usize::from(BLOCK_SIZE_DEFAULT) && count < 3);
            count += 1;
            // DATA only; an ACK may be asked for again and again.
            if out[..2] == [0, 3] {
                self.last.1 = if self.last.0 == out { self.last.1 + 1 } else { 1 };
                self.last.0.clone_from(&out);
                assert!(self.last.1 <= TUNING.transmissions, "sent too often");
            }
            out.clear();
        }
    }
}

/// Runs it on one input.
pub fn check(input: &[u8]) {
    let _ = Packet::parse(input);
    let Some((first, mut rest)) = input.split_first() else { return };
    let is_put = first & 1 == 0;
    let file = &FILE[..usize::from(first >> 1) * 4];
    let make = if is_put { Transfer::put } else { Transfer::compare };
    let transfer = make(sender(0), "bills.lam", file, TUNING).expect("a good name");
    let mut play = Play { transfer, now: Mono::from_nanos(1_000_000_000), last: (Vec::new(), 0) };
    let (mut acknowledged, mut told) = (0, 0);
    play.transmit();
    while let [what, length, tail @ ..] = rest {
        let (octets, behind) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = behind;
        if what & 4 != 0 {
            play.now = play.now.plus(Duration::from_secs(u64::from(what >> 3)));
            play.transfer.handle_timeout(play.now);
            play.transmit();
        }
        match Packet::parse(octets) {
            Ok(Packet::Ack { .. }) => acknowledged += 1,
            Ok(Packet::Data { octets, .. }) => told += octets.len(),
            _ => {}
        }
        let before = play.transfer.outcome();
        play.transfer.handle_datagram(sender(*what), octets);
        play.transmit();
        assert!(before.is_none() || play.transfer.outcome() == before, "an end is one");
    }
    match play.transfer.outcome() {
        Some(Ok(Outcome::Stored)) => {
            assert!(
                is_put && acknowledged > file.len() / usize::from(BLOCK_SIZE_DEFAULT),
                "each block was acknowledged"
            );
        }
        Some(Ok(Outcome::Same)) => assert!(!is_put && told >= file.len()),
        Some(Ok(Outcome::Shorter { octets })) => assert!(!is_put && octets < file.len() && told >= octets),
        Some(Ok(Outcome::Different)) => assert!(!is_put),
        Some(Err(_)) => {}
        None => comes_to_an_end(play),
    }
}

/// Nobody speaks any more.
fn comes_to_an_end(mut play: Play<'_>) {
    for _ in 0..=TUNING.transmissions {
        let Some(at) = play.transfer.poll_timeout() else { break };
        play.now = at;
        play.transfer.handle_timeout(at);
        play.transmit();
    }
    assert!(play.transfer.outcome().is_some(), "it waits for ever");
    let _ = play.transfer.dally(play.now);
    const { assert!(TUNING.block_size >= BLOCK_SIZE_MIN) };
}
