//! What a request carries to find its way back, and the numbers that sockets and watches have in the ring's table.

use std::io;

/// What a request is, in the upper octet of its user data. The number beside it is a socket's, a slot's, a watch's, none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Receive,
    Send,
    Watch,
    Cancel,
}

/// The number of a socket or of a watch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seat {
    Socket(u16),
    Watch(u16),
}

/// The identity of a request, as 64 bits of user data: kind, generation, number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) kind: Kind,
    pub(super) generation: u32,
    pub(super) number: u16,
}

impl Tag {
    /// Cancellations need no telling apart.
    pub(super) const CANCEL: Tag = Tag { kind: Kind::Cancel, generation: 0, number: 0 };

    pub(super) fn to_user_data(self) -> u64 {
        (self.kind as u64) << 56 | u64::from(self.generation) << 16 | u64::from(self.number)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each field is cut out of the word")]
    pub(super) fn from_user_data(word: u64) -> Tag {
        let kind = match word >> 56 {
            0 => Kind::Receive,
            1 => Kind::Send,
            2 => Kind::Watch,
            _ => Kind::Cancel,
        };
        Tag { kind, generation: (word >> 16) as u32, number: word as u16 }
    }
}

/// A number that a socket or watch may have, and what the kernel still does for it.
#[derive(Debug)]
pub(super) struct Place<Descriptor> {
    /// Its holder. `None`: free, or closing while requests of the last holder are in flight.
    pub(super) holder: Option<Descriptor>,
    /// Counts the holders.
    pub(super) generation: u32,
    /// The receive or poll is in flight.
    pub(super) armed: bool,
    /// Requests in flight that use the registered descriptor.
    pub(super) in_flight: u32,
    /// The descriptor is in the ring's table.
    pub(super) registered: bool,
    /// 32-bit count of what a socket's full buffer dropped, as last seen.
    pub(super) overflow: u32,
}

impl<Descriptor> Place<Descriptor> {
    pub(super) fn unused() -> Self {
        Place { holder: None, generation: 0, armed: false, in_flight: 0, registered: false, overflow: 0 }
    }

    /// Takes a registered descriptor in.
    pub(super) fn hold(&mut self, holder: Descriptor) {
        self.holder = Some(holder);
        self.generation = self.generation.wrapping_add(1);
        self.registered = true;
        self.overflow = 0;
    }

    /// Whether the holder of that generation is still there.
    pub(super) fn holds(&self, generation: u32) -> bool {
        self.holder.is_some() && self.generation == generation
    }

    /// Whether the receive or poll of a holder has to be started.
    pub(super) fn wants_arming(&self) -> bool {
        self.holder.is_some() && !self.armed
    }

    /// The receive or poll starts; returns the generation it is for.
    pub(super) fn arm(&mut self) -> u32 {
        self.armed = true;
        self.in_flight += 1;
        self.generation
    }

    /// The receive or poll has ended.
    pub(super) fn disarm(&mut self) {
        self.armed = false;
        self.in_flight -= 1;
    }

    /// Whether the holder is gone, the kernel does nothing for it any more, and only the table still has it.
    pub(super) fn is_left(&self) -> bool {
        self.holder.is_none() && self.in_flight == 0 && self.registered
    }

    pub(super) fn is_free(&self) -> bool {
        self.holder.is_none() && !self.registered
    }
}

/// The lowest free number of a table.
pub(super) fn free_number<Descriptor>(places: &[Place<Descriptor>]) -> io::Result<u16> {
    let number = places.iter().position(Place::is_free).ok_or(io::ErrorKind::QuotaExceeded)?;
    u16::try_from(number).map_err(|_| io::ErrorKind::QuotaExceeded.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::proptest;

    proptest! {
        #[test]
        fn tags_come_back(kind in 0..4_usize, generation: u32, number: u16) {
            let kind = [Kind::Receive, Kind::Send, Kind::Watch, Kind::Cancel][kind];
            let tag = Tag { kind, generation, number };
            assert_eq!(Tag::from_user_data(tag.to_user_data()), tag);
        }
    }
}
