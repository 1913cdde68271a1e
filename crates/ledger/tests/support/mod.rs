//! What the tests of the ledger share: records to write, a sink that keeps what is read, a disk that crashes.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "each test uses some of it, and may fail loudly"
)]

pub(crate) mod disk;
pub(crate) mod records;
pub(crate) mod scene;
pub(crate) mod tape;

use ledger::recover::{CheckedSegment, Life, RecordSink, Recovered, Recovery, RecoveryError};
use ledger::segment::Place;
use model::record::Record;
use model::time::{Mono, Now, Wall};

/// Keeps every record with its sequence number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Collected(pub Vec<(u64, Vec<u8>)>);

impl RecordSink for Collected {
    fn record(&mut self, sequence: u64, _place: Place, _record: &Record<'_>, octets: &[u8]) {
        self.0.push((sequence, octets.to_vec()));
    }
}

/// Reads segments and keeps their records: both with checksums computed on the way and with checksums computed ahead, which must
/// come to the same.
pub(crate) fn recover<'a>(
    segments: impl IntoIterator<Item = (u64, &'a [u8])>,
) -> Result<(Recovered<Collected>, ledger::recover::LogStart), RecoveryError> {
    let (mut recovery, mut ahead) = (Recovery::new(Collected::default()), Recovery::new(Collected::default()));
    for (number, octets) in segments {
        recovery.segment(number, octets);
        let _ = ahead.checked_segment(CheckedSegment::new(number, octets.to_vec()));
    }
    let (recovered, ahead) = (recovery.finish(), ahead.finish());
    assert_eq!(recovered, ahead);
    recovered
}

/// A life that begins at second `second`.
pub(crate) fn life(second: u64) -> Life {
    Life { boot_id: [7; 16], at: at(second), fresh_store: *b"a store of tests", fresh_key: [9; 16] }
}

/// Second `second` of the box, on a day in 2026.
pub(crate) fn at(second: u64) -> Now {
    Now { mono: Mono::from_nanos(second * 1_000_000_000), wall: Wall::from_millis((1_795_000_000 + second) * 1000) }
}

/// Numbers from a seed (splitmix64).
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0–`end` − 1.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True in `percent` of a hundred throws.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
