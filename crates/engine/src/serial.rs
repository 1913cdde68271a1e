//! A session's name for life in eight octets: the engine start that it was born in above, its number in that start below.

use model::ids::SessionSerial;

const SEQUENCE_BITS: u32 = 40;
const EPOCH_BITS: u32 = 24;

/// The name of a session, or of the bill that is in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Serial(u64);

impl Serial {
    /// Nobody's.
    pub(crate) const NONE: Serial = Serial(0);

    /// `None`: there has been no such start, or no such number in it. Starts are counted with six hex digits, sessions of one
    /// with six Base62 digits, and its bills without gaps.
    pub(crate) fn new(SessionSerial { epoch, sequence }: SessionSerial) -> Option<Serial> {
        let fits = epoch >> EPOCH_BITS == 0 && sequence >> SEQUENCE_BITS == 0;
        fits.then_some(Serial(u64::from(epoch) << SEQUENCE_BITS | sequence))
    }

    /// What was put together.
    pub(crate) fn parts(self) -> SessionSerial {
        let epoch = (self.0 >> SEQUENCE_BITS) as u32;
        SessionSerial { epoch, sequence: self.0 & ((1 << SEQUENCE_BITS) - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::SEQUENCE_COUNT;

    #[test]
    fn every_name_there_can_be_is_kept_whole() {
        let serial = |epoch, sequence| SessionSerial { epoch, sequence };
        for epoch in [0, 1, 0x7f_ffff, 0xff_ffff] {
            for sequence in [0, 1, 1 << 32, SEQUENCE_COUNT - 1, (1 << 40) - 1] {
                let whole = serial(epoch, sequence);
                assert_eq!(Serial::new(whole).map(Serial::parts), Some(whole));
            }
        }
        assert_eq!(Serial::new(serial(0x100_0000, 0)), None);
        assert_eq!(Serial::new(serial(0, 1 << 40)), None);
    }
}
