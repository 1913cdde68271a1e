//! The way between engine and servers: it loses, delays, duplicates, reorders and corrupts; and somebody on it forges.

use std::net::SocketAddr;
use std::time::Duration;

use crate::seed::Dice;

/// One datagram.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) octets: Vec<u8>,
}

/// How bad the way is, in parts of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Badness {
    pub(crate) loss: u64,
    pub(crate) duplication: u64,
    pub(crate) corruption: u64,
    pub(crate) forgery: u64,
    /// Delays reach so many milliseconds; longer ones overtake.
    pub(crate) delay_ms: u64,
}

/// Servers to which the way is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    servers: Vec<SocketAddr>,
    /// What goes to them is lost.
    to: bool,
    /// What comes from them is.
    from: bool,
}

impl Partition {
    /// Some of these servers, perhaps all of them; or none, and the way is whole.
    pub(crate) fn new(dice: &mut Dice, all: &[SocketAddr]) -> Option<Partition> {
        let percent = dice.pick(&[0, 50, 100]);
        let servers: Vec<_> = all.iter().copied().filter(|_| dice.chance(percent)).collect();
        let (to, from) = dice.pick(&[(true, true), (true, false), (false, true)]);
        (!servers.is_empty()).then_some(Partition { servers, to, from })
    }

    fn stops(&self, datagram: &Datagram) -> bool {
        self.to && self.servers.contains(&datagram.to) || self.from && self.servers.contains(&datagram.from)
    }
}

/// The way.
pub(crate) struct Network {
    dice: Dice,
    pub(crate) badness: Badness,
    pub(crate) partition: Option<Partition>,
    /// Replies that were seen on the way, to be played again.
    recorded: Vec<Datagram>,
    pub(crate) counts: Counts,
}

/// What the way did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Datagrams carried.
    pub carried: u64,
    /// Lost.
    pub lost: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Changed on the way.
    pub corrupted: u64,
    /// Lost where the way was cut.
    pub cut_off: u64,
    /// Replies that no server sent.
    pub forged: u64,
}

/// How many replies the forger remembers.
const RECORDED_MAX: usize = 32;

impl Network {
    pub(crate) fn new(dice: Dice) -> Network {
        let badness = Badness { delay_ms: 5, ..Badness::default() };
        Network { dice, badness, partition: None, recorded: Vec::new(), counts: Counts::default() }
    }

    /// What arrives of it, and after how long.
    pub(crate) fn carry(&mut self, datagram: &Datagram) -> Vec<(Duration, Datagram)> {
        let mut arriving = Vec::new();
        self.counts.carried += 1;
        if self.partition.as_ref().is_some_and(|partition| partition.stops(datagram)) {
            self.counts.cut_off += 1;
            return arriving;
        }
        let mut copies = 1;
        if self.dice.rarely(self.badness.loss) {
            self.counts.lost += 1;
            copies = 0;
        } else if self.dice.rarely(self.badness.duplication) {
            self.counts.duplicated += 1;
            copies = 2;
        }
        for _ in 0..copies {
            let mut datagram = datagram.clone();
            if self.dice.rarely(self.badness.corruption) {
                self.counts.corrupted += 1;
                self.corrupt(&mut datagram.octets);
            }
            arriving.push((self.dice.millis(0, self.badness.delay_ms), datagram));
        }
        arriving
    }

    /// What somebody who sees this reply sends to the engine besides.
    pub(crate) fn forge(&mut self, reply: &Datagram) -> Option<(Duration, Datagram)> {
        if !self.dice.rarely(self.badness.forgery) {
            return None;
        }
        self.counts.forged += 1;
        let mut forged = reply.clone();
        match self.dice.below(6) {
            // From elsewhere, though well signed.
            0 => forged.from.set_port(reply.from.port() ^ 1),
            // Another request's identifier.
            1 => forged.octets[1] ^= 1 << self.dice.below(8),
            // Not signed by the server.
            2 => forged.octets[4 + self.dice.index(16)] ^= 1 << self.dice.below(8),
            // Another code.
            3 => forged.octets[0] = self.dice.pick(&[2, 3, 4, 11, 42]),
            // An old reply again, as it was.
            4 if !self.recorded.is_empty() => forged = self.recorded[self.dice.index(self.recorded.len())].clone(),
            // Nonsense of any length.
            _ => {
                let length = self.dice.index(64);
                forged.octets = (0..length).map(|_| self.dice.next().to_le_bytes()[0]).collect();
            }
        }
        if self.recorded.len() == RECORDED_MAX {
            self.recorded.remove(0);
        }
        self.recorded.push(reply.clone());
        Some((self.dice.millis(0, 3000), forged))
    }

    fn corrupt(&mut self, octets: &mut Vec<u8>) {
        match self.dice.below(3) {
            0 => octets.truncate(self.dice.index(octets.len() + 1)),
            1 => octets.push(self.dice.next().to_le_bytes()[0]),
            _ => {
                for _ in 0..self.dice.between(1, 4) {
                    let at = self.dice.index(octets.len());
                    octets[at] ^= 1 << self.dice.below(8);
                }
            }
        }
    }
}
