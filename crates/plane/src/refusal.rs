//! The names of what a plane said wrong, and how often it did.

/// Why an event was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Malformed {
    /// A head word of another version.
    Version,
    /// A kind that is none.
    Kind,
    /// A number of records that is 0, more than 16, or not what the body needs.
    Count,
    /// An event that ends behind what was produced.
    Truncated,
    /// A record in the middle that is not this event's.
    Continuation,
    /// A record that continues an event which did not begin.
    Orphan,
    /// A record of an earlier lap.
    Stale,
    /// A field that ends behind the body.
    FieldOverrun,
    /// A field that is not known and must be.
    FieldUnknown,
    /// A field in an event where it has no meaning.
    FieldMisplaced,
    /// A second field of a kind, or a ninth Class.
    FieldTwice,
    /// A value of the wrong size.
    FieldSize,
    /// A value that means nothing.
    FieldValue,
    /// No session's name at the beginning.
    SessionMissing,
    /// An Up without a user.
    UserMissing,
    /// An Up or Reset without a counter slot.
    SlotMissing,
    /// A hash that is not the session's name's.
    Hash,
}

impl Malformed {
    /// Every reason, in the order of the counters.
    pub const ALL: [Malformed; 17] = [
        Malformed::Version,
        Malformed::Kind,
        Malformed::Count,
        Malformed::Truncated,
        Malformed::Continuation,
        Malformed::Orphan,
        Malformed::Stale,
        Malformed::FieldOverrun,
        Malformed::FieldUnknown,
        Malformed::FieldMisplaced,
        Malformed::FieldTwice,
        Malformed::FieldSize,
        Malformed::FieldValue,
        Malformed::SessionMissing,
        Malformed::UserMissing,
        Malformed::SlotMissing,
        Malformed::Hash,
    ];

    /// A word of lower-case letters and hyphens, for displays and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Malformed::Version => "version",
            Malformed::Kind => "kind",
            Malformed::Count => "count",
            Malformed::Truncated => "truncated",
            Malformed::Continuation => "continuation",
            Malformed::Orphan => "orphan",
            Malformed::Stale => "stale",
            Malformed::FieldOverrun => "field-overrun",
            Malformed::FieldUnknown => "field-unknown",
            Malformed::FieldMisplaced => "field-misplaced",
            Malformed::FieldTwice => "field-twice",
            Malformed::FieldSize => "field-size",
            Malformed::FieldValue => "field-value",
            Malformed::SessionMissing => "session-missing",
            Malformed::UserMissing => "user-missing",
            Malformed::SlotMissing => "slot-missing",
            Malformed::Hash => "hash",
        }
    }
}

/// An event that was refused and passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused<'a> {
    /// Its first record.
    pub position: u64,
    /// Where the ring is read on.
    pub end: u64,
    /// Why.
    pub why: Malformed,
    /// Whose it was, where that much of it is sound; the plane can then be told.
    pub session: Option<&'a [u8]>,
}

/// How often each reason was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals([u64; Malformed::ALL.len()]);

impl Refusals {
    /// One more.
    pub fn count(&mut self, why: Malformed) {
        self.0[why as usize] += 1;
    }

    /// How often this one.
    pub fn of(&self, why: Malformed) -> u64 {
        self.0[why as usize]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_counter_and_word() {
        let mut refusals = Refusals::default();
        for (index, why) in Malformed::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, index);
            assert!(Malformed::ALL[..index].iter().all(|other| other.as_str() != why.as_str()));
            refusals.count(why);
            assert_eq!((refusals.of(why), refusals.total()), (1, index as u64 + 1));
        }
    }
}
