//! Samples of many sessions, in the octets of one record. Most of what the ledger writes are these, so they are short: a
//! session of which a sample is told with others takes about 24 octets.
//!
//! ```text
//! entry         switches 1, epoch if it is another, sequence, moment if it is another, v4, v6 if not all zero,
//!               interim failures if not zero
//! switches      another epoch 1, another moment 2, v6 4, interim failures 8
//! epoch         number
//! sequence      difference
//! moment        difference, nanoseconds
//! v4, v6        each four numbers: in octets, in packets, out octets, out packets
//! failures      number
//!
//! another       than the entry before has; before the first, everything is zero
//! difference    to the entry before, modulo 2⁶⁴, as a number: 0, −1, 1, −2, 2, … are 0, 1, 2, 3, 4, …
//! number        1–9 octets, little-endian. As many zeros as the first has at its low end, 0–8, so many octets follow. Behind
//!               those zeros and the one that ends them stands the number; behind eight zeros nothing of it, and then all of it
//! ```
//!
//! Every sample has one such form: numbers are as short as they can be, and nothing is said that goes without saying.

use crate::counters::{Counters, Totals};
use crate::ids::SessionSerial;
use crate::record::Sampled;
use crate::time::Mono;

const OTHER_EPOCH: u8 = 1;
const OTHER_MOMENT: u8 = 2;
const HAS_V6: u8 = 4;
const HAS_FAILURES: u8 = 8;
const SWITCHES: u8 = OTHER_EPOCH | OTHER_MOMENT | HAS_V6 | HAS_FAILURES;

const NUMBER_LEN_MAX: usize = 9;
/// Switches; epoch, sequence and moment; counters; failures.
const ENTRY_LEN_MAX: usize = 1 + (3 + 8 + 1) * NUMBER_LEN_MAX;

/// Samples of sessions that are not cut, at least one, in the octets of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Samples<'a> {
    octets: &'a [u8],
    count: usize,
    epoch: u32,
}

impl<'a> Samples<'a> {
    /// At most so many octets in one record.
    pub const LEN_MAX: usize = 4080;

    /// From the octets of a record; `None` if they are not what [`SamplesWriter`] writes.
    pub fn from_octets(octets: &'a [u8]) -> Option<Samples<'a>> {
        let mut entries = Entries { rest: octets, before: BEFORE };
        let (mut count, mut epoch) = (0, 0);
        while !entries.rest.is_empty() {
            epoch = entries.entry()?.serial.epoch.max(epoch);
            count += 1;
        }
        (count > 0 && octets.len() <= Self::LEN_MAX).then_some(Samples { octets, count, epoch })
    }

    /// What octets say that are good. Of others, what stands before the first that are not.
    pub fn read(octets: &'a [u8]) -> impl Iterator<Item = Sampled> + 'a {
        Entries { rest: octets, before: BEFORE }
    }

    /// As a record holds them.
    pub fn octets(self) -> &'a [u8] {
        self.octets
    }

    /// How many there are.
    pub fn count(self) -> usize {
        self.count
    }

    /// The highest epoch of a session that is named.
    pub fn epoch(self) -> u32 {
        self.epoch
    }

    /// Each of them, in the order in which they were written.
    pub fn iter(self) -> impl Iterator<Item = Sampled> + 'a {
        Samples::read(self.octets)
    }
}

/// What an entry is told by its difference to.
#[derive(Clone, Copy, Debug)]
struct Before {
    serial: SessionSerial,
    at: Mono,
}

const BEFORE: Before = Before { serial: SessionSerial { epoch: 0, sequence: 0 }, at: Mono::ZERO };

impl From<&Sampled> for Before {
    fn from(sampled: &Sampled) -> Before {
        Before { serial: sampled.serial, at: sampled.at }
    }
}

/// No more fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Writes one sample behind the other into octets of the caller.
#[derive(Debug)]
pub struct SamplesWriter<'a> {
    octets: &'a mut [u8],
    len: usize,
    count: usize,
    epoch: u32,
    before: Before,
}

impl<'a> SamplesWriter<'a> {
    /// Into `octets`, of which the first [`Samples::LEN_MAX`] are used.
    pub fn new(octets: &'a mut [u8]) -> SamplesWriter<'a> {
        let len = octets.len().min(Samples::LEN_MAX);
        SamplesWriter { octets: &mut octets[..len], len: 0, count: 0, epoch: 0, before: BEFORE }
    }

    /// Writes one more. Whoever is cut has a record of its own, and must not be handed in.
    ///
    /// # Errors
    ///
    /// [`Full`]: it does not fit, and nothing was written.
    pub fn push(&mut self, sampled: &Sampled) -> Result<(), Full> {
        assert!(sampled.cut.is_none(), "who is cut is told of alone");
        let mut entry = Entry { octets: [0; ENTRY_LEN_MAX], len: 1 };
        entry.write(sampled, self.before);
        let room = self.octets.get_mut(self.len..self.len + entry.len).ok_or(Full)?;
        room.copy_from_slice(&entry.octets[..entry.len]);
        self.len += entry.len;
        self.count += 1;
        self.epoch = self.epoch.max(sampled.serial.epoch);
        self.before = sampled.into();
        Ok(())
    }

    /// All that were written; `None` if there are none.
    pub fn finish(self) -> Option<Samples<'a>> {
        let SamplesWriter { octets, len, count, epoch, .. } = self;
        (count > 0).then(|| Samples { octets: &octets[..len], count, epoch })
    }
}

/// One entry that is being written.
struct Entry {
    octets: [u8; ENTRY_LEN_MAX],
    len: usize,
}

impl Entry {
    fn write(&mut self, sampled: &Sampled, before: Before) {
        let Sampled { serial, at, counters, interim_failures, .. } = *sampled;
        let mut switches = 0;
        if serial.epoch != before.serial.epoch {
            switches |= OTHER_EPOCH;
            self.number(serial.epoch.into());
        }
        self.number(difference(serial.sequence, before.serial.sequence));
        if at != before.at {
            switches |= OTHER_MOMENT;
            self.number(difference(at.as_nanos(), before.at.as_nanos()));
        }
        self.totals(counters.v4);
        if counters.v6 != Totals::default() {
            switches |= HAS_V6;
            self.totals(counters.v6);
        }
        if interim_failures > 0 {
            switches |= HAS_FAILURES;
            self.number(interim_failures.into());
        }
        self.octets[0] = switches;
    }

    fn totals(&mut self, Totals { in_octets, in_packets, out_octets, out_packets }: Totals) {
        for number in [in_octets, in_packets, out_octets, out_packets] {
            self.number(number);
        }
    }

    fn number(&mut self, number: u64) {
        let len = number_len(number);
        let room = &mut self.octets[self.len..self.len + NUMBER_LEN_MAX];
        if len < NUMBER_LEN_MAX {
            room[..8].copy_from_slice(&((number << 1 | 1) << (len - 1)).to_le_bytes());
        } else {
            room[0] = 0;
            room[1..].copy_from_slice(&number.to_le_bytes());
        }
        self.len += len;
    }
}

/// Entries that are being read.
struct Entries<'a> {
    rest: &'a [u8],
    before: Before,
}

impl Entries<'_> {
    #[inline]
    fn entry(&mut self) -> Option<Sampled> {
        let (&switches, rest) = self.rest.split_first()?;
        if switches & !SWITCHES != 0 {
            return None;
        }
        self.rest = rest;
        let Before { mut serial, mut at } = self.before;
        if switches & OTHER_EPOCH != 0 {
            let epoch = u32::try_from(self.number()?).ok()?;
            serial.epoch = (epoch != serial.epoch).then_some(epoch)?;
        }
        serial.sequence = behind(serial.sequence, self.number()?);
        if switches & OTHER_MOMENT != 0 {
            let passed = self.number().filter(|passed| *passed > 0)?;
            at = Mono::from_nanos(behind(at.as_nanos(), passed));
        }
        let v4 = self.totals()?;
        let v6 = match switches & HAS_V6 {
            0 => Totals::default(),
            _ => self.totals().filter(|v6| *v6 != Totals::default())?,
        };
        let interim_failures = match switches & HAS_FAILURES {
            0 => 0,
            _ => u16::try_from(self.number()?).ok().filter(|failures| *failures > 0)?,
        };
        let sampled = Sampled { serial, at, counters: Counters { v4, v6 }, interim_failures, cut: None };
        self.before = Before::from(&sampled);
        Some(sampled)
    }

    #[inline]
    fn totals(&mut self) -> Option<Totals> {
        Some(Totals {
            in_octets: self.number()?,
            in_packets: self.number()?,
            out_octets: self.number()?,
            out_packets: self.number()?,
        })
    }

    #[inline]
    fn number(&mut self) -> Option<u64> {
        let len = self.rest.first()?.trailing_zeros() as usize + 1;
        let number = match self.rest.first_chunk() {
            Some(octets) if len < NUMBER_LEN_MAX => behind_zeros(*octets, len),
            _ => self.number_near_end(len)?,
        };
        self.rest = self.rest.get(len..)?;
        (number_len(number) == len).then_some(number)
    }

    /// One of the longest, or one near the end.
    #[cold]
    fn number_near_end(&self, len: usize) -> Option<u64> {
        let octets = self.rest.get(..len)?;
        let mut room = [0; 8];
        if len == NUMBER_LEN_MAX {
            room.copy_from_slice(&octets[1..]);
            return Some(u64::from_le_bytes(room));
        }
        room[..len].copy_from_slice(octets);
        Some(behind_zeros(room, len))
    }
}

impl Iterator for Entries<'_> {
    type Item = Sampled;

    #[inline]
    fn next(&mut self) -> Option<Sampled> {
        let sampled = self.entry();
        if sampled.is_none() {
            self.rest = &[];
        }
        sampled
    }
}

/// The number of `len` octets, at most 8, at the front.
#[inline]
fn behind_zeros(octets: [u8; 8], len: usize) -> u64 {
    u64::from_le_bytes(octets) << (64 - 8 * len) >> (64 - 7 * len)
}

/// How many octets a number takes: seven bits in each, and from 57 bits on all that there are.
#[inline]
fn number_len(number: u64) -> usize {
    let bits = 64 - (number | 1).leading_zeros() as usize;
    bits.div_ceil(7).min(NUMBER_LEN_MAX)
}

fn difference(to: u64, from: u64) -> u64 {
    let difference = to.wrapping_sub(from);
    difference << 1 ^ if difference >> 63 == 0 { 0 } else { u64::MAX }
}

#[inline]
fn behind(from: u64, difference: u64) -> u64 {
    from.wrapping_add(difference >> 1 ^ (difference & 1).wrapping_neg())
}

#[cfg(test)]
mod tests;
