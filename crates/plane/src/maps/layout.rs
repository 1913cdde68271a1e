//! What an operator declares of a map, held against what the map is.

use std::error::Error;
use std::fmt;
use std::net::Ipv6Addr;

use model::counters::Totals;
use model::event::Prefix;

use crate::sweep::Subject;

/// Octets of the longest key.
pub(super) const KEY_BYTES_MAX: usize = 16;

/// What the entries of a map mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Whose an entry is.
    pub key: Key,
    /// Where its numbers stand.
    pub values: Values,
}

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// An IPv4 address as on the wire: 4 octets.
    V4,
    /// An IPv6 prefix of this length, 1–128, as on the wire: 16 octets of which the bits behind it are zero; or its first
    /// 8 octets, where it is no longer than 64.
    V6 {
        /// Bits of the prefix: 128 is a single address.
        length: u8,
    },
    /// An interface's index: 4 octets in the byte order of the machine.
    Interface,
}

/// Where the numbers stand: octets from the beginning of a value. Each is a 64-bit number in the byte order of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    /// Octets that the subscriber sent.
    pub in_octets: u32,
    /// Packets that it sent; `None` where the program does not count them.
    pub in_packets: Option<u32>,
    /// Octets that it received.
    pub out_octets: u32,
    /// Packets that it received.
    pub out_packets: Option<u32>,
}

/// What a map says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Octets of a key.
    pub key_bytes: usize,
    /// Octets of one value.
    pub value_bytes: usize,
    /// How many values an entry has where each possible CPU has its own; `None` where all of them share one.
    pub cpus: Option<usize>,
}

/// Why a map does not have the layout that was declared of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// A key of another size.
    Key {
        /// Octets of the map's.
        map: usize,
    },
    /// A number that ends behind the value.
    Value {
        /// Where it was to begin.
        at: u32,
        /// Octets of the map's value.
        map: usize,
    },
    /// An IPv6 prefix of no bits, or of more than 128.
    Length(u8),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::Key { map } => write!(out, "its keys have {map} octets, and such keys have not"),
            Mismatch::Value { at, map } => {
                write!(out, "its values have {map} octets, and a number of 8 octets was to begin at {at}")
            }
            Mismatch::Length(length) => write!(out, "an IPv6 prefix has 1 to 128 bits, and not {length}"),
        }
    }
}

impl Error for Mismatch {}

impl Shape {
    /// Octets of all values of one entry, as the kernel hands them out.
    pub fn entry_value_bytes(&self) -> usize {
        self.cpus.unwrap_or(1) * self.stride()
    }

    /// Octets from one CPU's value to the next one's.
    fn stride(&self) -> usize {
        if self.cpus.is_none() { self.value_bytes } else { self.value_bytes.next_multiple_of(8) }
    }
}

impl Layout {
    /// Whether a map of this shape can be read like this.
    ///
    /// # Errors
    /// [`Mismatch`], which names what differs.
    pub fn check(&self, shape: Shape) -> Result<(), Mismatch> {
        let fits = match self.key {
            Key::V4 | Key::Interface => shape.key_bytes == 4,
            Key::V6 { length } if !(1..=128).contains(&length) => return Err(Mismatch::Length(length)),
            Key::V6 { length } => shape.key_bytes == 16 || shape.key_bytes == 8 && length <= 64,
        };
        if !fits {
            return Err(Mismatch::Key { map: shape.key_bytes });
        }
        let numbers = [Some(self.values.in_octets), self.values.in_packets];
        let others = [Some(self.values.out_octets), self.values.out_packets];
        match numbers.into_iter().chain(others).flatten().find(|at| end_of(*at) > shape.value_bytes) {
            Some(at) => Err(Mismatch::Value { at, map: shape.value_bytes }),
            None => Ok(()),
        }
    }

    /// The key of the entry that counts for a subject; `None` where no such entry can be. An address is counted by the entry
    /// of the prefix that it belongs to; a prefix that is shorter than the map's has no entry of its own.
    pub(super) fn key_of(&self, subject: Subject) -> Option<[u8; KEY_BYTES_MAX]> {
        let mut key = [0; KEY_BYTES_MAX];
        match (self.key, subject) {
            (Key::V4, Subject::V4(address)) => key[..4].copy_from_slice(&address.octets()),
            (Key::Interface, Subject::Interface(index)) => key[..4].copy_from_slice(&index.to_ne_bytes()),
            (Key::V6 { length }, Subject::V6(Prefix { address, length: own })) if own >= length => {
                key = prefix_of(address, length);
            }
            _ => return None,
        }
        Some(key)
    }

    /// The sum over all values of one entry.
    pub(super) fn totals(&self, shape: Shape, values: &[u8]) -> Totals {
        let mut sum = Totals::default();
        for value in values.chunks_exact(shape.stride().max(1)) {
            let number = |at: u32| number_at(value, at);
            sum = sum.plus(Totals {
                in_octets: number(self.values.in_octets),
                in_packets: self.values.in_packets.map_or(0, number),
                out_octets: number(self.values.out_octets),
                out_packets: self.values.out_packets.map_or(0, number),
            });
        }
        sum
    }
}

fn end_of(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX).saturating_add(8)
}

/// Zero behind the end of the value, where a layout that was checked does not look.
fn number_at(value: &[u8], at: u32) -> u64 {
    let from = usize::try_from(at).unwrap_or(usize::MAX);
    value.get(from..).and_then(<[u8]>::first_chunk).copied().map_or(0, u64::from_ne_bytes)
}

fn prefix_of(address: Ipv6Addr, length: u8) -> [u8; KEY_BYTES_MAX] {
    let behind = 128_u32.saturating_sub(length.into());
    let mask = u128::MAX.checked_shl(behind).unwrap_or(0);
    (address.to_bits() & mask).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const VALUES: Values = Values { in_octets: 0, in_packets: Some(8), out_octets: 16, out_packets: Some(24) };

    #[test]
    fn a_map_is_held_against_what_was_declared() {
        let shape = |key_bytes, value_bytes| Shape { key_bytes, value_bytes, cpus: Some(2) };
        let of = |key| Layout { key, values: VALUES };
        let far = Values { out_packets: Some(u32::MAX), ..VALUES };
        for (layout, shape, expected) in [
            (of(Key::V4), shape(4, 32), Ok(())),
            (of(Key::Interface), shape(4, 40), Ok(())),
            (of(Key::V6 { length: 128 }), shape(16, 32), Ok(())),
            (of(Key::V6 { length: 64 }), shape(8, 32), Ok(())),
            (of(Key::V6 { length: 64 }), shape(16, 32), Ok(())),
            (of(Key::V6 { length: 65 }), shape(8, 32), Err(Mismatch::Key { map: 8 })),
            (of(Key::V4), shape(16, 32), Err(Mismatch::Key { map: 16 })),
            (of(Key::Interface), shape(8, 32), Err(Mismatch::Key { map: 8 })),
            (of(Key::V6 { length: 0 }), shape(16, 32), Err(Mismatch::Length(0))),
            (of(Key::V6 { length: 129 }), shape(16, 32), Err(Mismatch::Length(129))),
            (of(Key::V4), shape(4, 31), Err(Mismatch::Value { at: 24, map: 31 })),
            (Layout { key: Key::V4, values: far }, shape(4, 32), Err(Mismatch::Value { at: u32::MAX, map: 32 })),
        ] {
            assert_eq!(layout.check(shape), expected, "{layout:?} {shape:?}");
            if let Err(why) = expected {
                assert!(!why.to_string().is_empty());
            }
        }
    }

    #[test]
    fn a_subject_has_one_key() {
        let key = |key, subject| Layout { key, values: VALUES }.key_of(subject).map(|key| key.to_vec());
        let v6 = |text: &str, length| Subject::V6(Prefix { address: text.parse().unwrap(), length });
        let octets = |text: &str| Some(text.parse::<Ipv6Addr>().unwrap().octets().to_vec());
        let v4 = Subject::V4(Ipv4Addr::new(100, 64, 0, 1));
        assert_eq!(key(Key::V4, v4).unwrap()[..5], [100, 64, 0, 1, 0]);
        assert_eq!(key(Key::Interface, Subject::Interface(7)).unwrap()[..4], 7_u32.to_ne_bytes());
        assert_eq!(key(Key::V6 { length: 128 }, v6("2001:db8::1", 128)), octets("2001:db8::1"));
        assert_eq!(key(Key::V6 { length: 64 }, v6("2001:db8::1", 128)), octets("2001:db8::"));
        assert_eq!(key(Key::V6 { length: 56 }, v6("2001:db8:0:1ff::", 64)), octets("2001:db8:0:100::"));
        assert_eq!(key(Key::V6 { length: 64 }, v6("2001:db8::", 56)), None);
        assert_eq!(key(Key::V4, v6("2001:db8::1", 128)), None);
        assert_eq!(key(Key::V6 { length: 64 }, v4), None);
        assert_eq!(key(Key::Interface, v4), None);
    }

    #[test]
    fn the_values_of_all_cpus_are_one() {
        let shape = Shape { key_bytes: 4, value_bytes: 36, cpus: Some(2) };
        assert_eq!(shape.entry_value_bytes(), 80);
        let numbers: [u64; 10] = [1, 2, 3, 4, u64::MAX, 10, 20, 30, 40, u64::MAX];
        let values: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        let layout = Layout { key: Key::V4, values: VALUES };
        let sum = Totals { in_octets: 11, in_packets: 22, out_octets: 33, out_packets: 44 };
        assert_eq!(layout.totals(shape, &values), sum);
        let no_packets = Values { in_packets: None, out_packets: None, ..VALUES };
        let octets = Totals { in_packets: 0, out_packets: 0, ..sum };
        assert_eq!(Layout { values: no_packets, ..layout }.totals(shape, &values), octets);
        let one = Shape { cpus: None, ..shape };
        assert_eq!((one.entry_value_bytes(), layout.totals(one, &values[..36]).out_packets), (36, 4));
    }
}
