//! An event as records of 256 octets.
//!
//! ```text
//! first record                                        each of up to 15 more
//!   0 head word                                         0 head word (index 1, 2, …)
//!   8 hash of the session's name, 0 without one         8 body, 248 octets more
//!  16 body, its first 240 octets
//!
//! head word     0 version   1 kind    2 index   3 count (1–16)
//!               4 octets of the body (16 bits)  6 lap of the first record (its position / records
//!                                                 of the ring, low 16 bits)
//! body          fields without gaps:  tag (8 bits)  length (8 bits)  value
//! ```
//!
//! Numbers are little-endian, addresses in the order of the network. The session's name comes first; any other order is
//! free. A tag below 128 that the engine does not know makes it refuse the event, one from 128 on is passed over, so a
//! later version can say more without being misunderstood. Only Class may come more than once.
//!
//! Every record carries its own head word, so that after a malformed one the next event is found again and no octet of
//! a subscriber's name is ever taken for a head.

mod decode;
mod encode;
mod field;

pub use decode::decode;
pub(crate) use decode::session_of;
pub use encode::{EncodeError, Encoded, encode};
pub use field::Tag;

use crate::layout::{RECORD_BYTES, RECORDS_MIN, VERSION};
use crate::words::WORD;

/// The most records of one event.
pub const EVENT_RECORDS_MAX: usize = RECORDS_MIN as usize;

/// Octets of a body in the first record.
pub const FIRST_BODY_BYTES: usize = RECORD_BYTES - 2 * WORD;

/// Octets of a body in each following record.
pub const NEXT_BODY_BYTES: usize = RECORD_BYTES - WORD;

/// The longest body.
pub const BODY_BYTES_MAX: usize = FIRST_BODY_BYTES + (EVENT_RECORDS_MAX - 1) * NEXT_BODY_BYTES;

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A subscriber came online.
    Up = 1,
    /// Something has changed.
    Update = 2,
    /// A subscriber went offline.
    Down = 3,
    /// The plane lost a session's counters.
    Reset = 4,
    /// All live sessions will now be announced.
    ResyncBegin = 5,
    /// All live sessions have been announced.
    ResyncEnd = 6,
}

impl Kind {
    /// From the number in a head word.
    pub const fn from_u8(value: u8) -> Option<Kind> {
        Some(match value {
            1 => Kind::Up,
            2 => Kind::Update,
            3 => Kind::Down,
            4 => Kind::Reset,
            5 => Kind::ResyncBegin,
            6 => Kind::ResyncEnd,
            _ => return None,
        })
    }

    /// Whether the event is about one session.
    pub const fn has_session(self) -> bool {
        !matches!(self, Kind::ResyncBegin | Kind::ResyncEnd)
    }
}

/// The head word of a record, as it was read: nothing in it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) version: u8,
    pub(crate) kind: u8,
    pub(crate) index: u8,
    pub(crate) count: u8,
    pub(crate) body_bytes: u16,
    pub(crate) lap: u16,
}

impl Head {
    /// The head of an event's first record, in a certain lap of its ring.
    ///
    /// # Panics
    ///
    /// When the body is longer than 16 records hold; `encode` makes none that is.
    pub(crate) fn first(kind: Kind, body_bytes: usize, lap: u16) -> Head {
        assert!(body_bytes <= BODY_BYTES_MAX, "an event of more than 16 records");
        let count = u8::try_from(records_for(body_bytes)).unwrap_or(u8::MAX);
        let body_bytes = u16::try_from(body_bytes).unwrap_or(u16::MAX);
        Head { version: RECORD_VERSION, kind: kind as u8, index: 0, count, body_bytes, lap }
    }

    /// The head of the event's record with this index.
    pub(crate) fn at_index(self, index: u8) -> Head {
        Head { index, ..self }
    }

    #[inline]
    pub(crate) fn from_word(word: u64) -> Head {
        let [version, kind, index, count, body_low, body_high, lap_low, lap_high] = word.to_le_bytes();
        let body_bytes = u16::from_le_bytes([body_low, body_high]);
        Head { version, kind, index, count, body_bytes, lap: u16::from_le_bytes([lap_low, lap_high]) }
    }

    #[inline]
    pub(crate) fn to_word(self) -> u64 {
        let [body_low, body_high] = self.body_bytes.to_le_bytes();
        let [lap_low, lap_high] = self.lap.to_le_bytes();
        let Head { version, kind, index, count, .. } = self;
        u64::from_le_bytes([version, kind, index, count, body_low, body_high, lap_low, lap_high])
    }
}

/// The version in every head word.
pub(crate) const RECORD_VERSION: u8 = VERSION.to_le_bytes()[0];

/// Records that a body takes.
#[inline]
pub(crate) const fn records_for(body_bytes: usize) -> usize {
    1 + body_bytes.saturating_sub(FIRST_BODY_BYTES).div_ceil(NEXT_BODY_BYTES)
}

/// The hash of a session's name that a plane puts beside it: 64-bit FNV-1a, with 0 replaced by 1. The engine uses it to
/// pass over other shards' events, and computes it again for its own.
pub fn session_hash(name: &[u8]) -> u64 {
    let hash = name.iter().fold(FNV_OFFSET, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(FNV_PRIME));
    if hash == 0 { 1 } else { hash }
}

/// The offset basis of 64-bit FNV-1a.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// The prime of 64-bit FNV-1a.
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        // Vectors of the FNV authors.
        assert_eq!(session_hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(session_hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(session_hash(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn records_for_bodies() {
        for (body_bytes, records) in [(0, 1), (240, 1), (241, 2), (488, 2), (489, 3), (BODY_BYTES_MAX, 16)] {
            assert_eq!(records_for(body_bytes), records, "{body_bytes}");
        }
    }

    #[test]
    fn a_head_survives_its_word() {
        let head = Head::first(Kind::Down, 300, 0x2345);
        assert_eq!(head.to_word(), 0x2345_012c_0200_0301);
        assert_eq!(Head::from_word(head.to_word()), head);
    }
}
