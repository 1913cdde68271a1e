//! Octets and packets. *in* is what the subscriber sent (Acct-Input-*), everywhere.

use crate::ids::PlaneIndex;

/// Totals of one address family since the session came up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Octets that the subscriber sent.
    pub in_octets: u64,
    /// Packets that the subscriber sent.
    pub in_packets: u64,
    /// Octets that the subscriber received.
    pub out_octets: u64,
    /// Packets that the subscriber received.
    pub out_packets: u64,
}

impl Totals {
    /// Field by field, wrapping: totals never come near 2⁶⁴, but a hostile plane may say so.
    #[must_use]
    pub const fn plus(self, other: Totals) -> Totals {
        Totals {
            in_octets: self.in_octets.wrapping_add(other.in_octets),
            in_packets: self.in_packets.wrapping_add(other.in_packets),
            out_octets: self.out_octets.wrapping_add(other.out_octets),
            out_packets: self.out_packets.wrapping_add(other.out_packets),
        }
    }

    const fn minus(self, other: Totals) -> Totals {
        Totals {
            in_octets: self.in_octets.wrapping_sub(other.in_octets),
            in_packets: self.in_packets.wrapping_sub(other.in_packets),
            out_octets: self.out_octets.wrapping_sub(other.out_octets),
            out_packets: self.out_packets.wrapping_sub(other.out_packets),
        }
    }

    const fn turned_since(self, before: Totals) -> Totals {
        const TURN: u64 = u32::MAX as u64;
        let Totals { in_octets, in_packets, out_octets, out_packets } = self.minus(before);
        Totals {
            in_octets: in_octets & TURN,
            in_packets: in_packets & TURN,
            out_octets: out_octets & TURN,
            out_packets: out_packets & TURN,
        }
    }

    /// Octets and packets in, octets and packets out.
    pub const fn fields(self) -> [u64; 4] {
        [self.in_octets, self.in_packets, self.out_octets, self.out_packets]
    }

    /// Totals of what [`fields`](Self::fields) has.
    pub const fn from_fields([in_octets, in_packets, out_octets, out_packets]: [u64; 4]) -> Totals {
        Totals { in_octets, in_packets, out_octets, out_packets }
    }

    /// Field by field, whatever is more.
    #[must_use]
    pub fn most(self, other: Totals) -> Totals {
        Totals {
            in_octets: self.in_octets.max(other.in_octets),
            in_packets: self.in_packets.max(other.in_packets),
            out_octets: self.out_octets.max(other.out_octets),
            out_packets: self.out_packets.max(other.out_packets),
        }
    }
}

/// What one session has moved since it came up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// IPv4, or everything where the plane does not tell the families apart.
    pub v4: Totals,
    /// IPv6, zero where the plane does not tell the families apart.
    pub v6: Totals,
}

impl Counters {
    /// Nothing moved.
    pub const ZERO: Counters = Counters {
        v4: Totals { in_octets: 0, in_packets: 0, out_octets: 0, out_packets: 0 },
        v6: Totals { in_octets: 0, in_packets: 0, out_octets: 0, out_packets: 0 },
    };

    /// Field by field.
    #[must_use]
    pub const fn plus(self, other: Counters) -> Counters {
        Counters { v4: self.v4.plus(other.v4), v6: self.v6.plus(other.v6) }
    }

    /// Field by field, wrapping.
    #[must_use]
    pub const fn minus(self, other: Counters) -> Counters {
        Counters { v4: self.v4.minus(other.v4), v6: self.v6.minus(other.v6) }
    }

    /// How much was counted from `before` to here by counters of 32 bits, each of which has turned over once at most.
    #[must_use]
    pub const fn turned_since(self, before: Counters) -> Counters {
        Counters { v4: self.v4.turned_since(before.v4), v6: self.v6.turned_since(before.v6) }
    }

    /// Octets of both directions and families.
    pub const fn octets(self) -> u64 {
        let Counters { v4, v6 } = self;
        v4.in_octets.wrapping_add(v4.out_octets).wrapping_add(v6.in_octets).wrapping_add(v6.out_octets)
    }

    /// Field by field, whatever is more.
    #[must_use]
    pub fn most(self, other: Counters) -> Counters {
        Counters { v4: self.v4.most(other.v4), v6: self.v6.most(other.v6) }
    }

    /// Whether any field is less than in `other`.
    pub fn falls_below(self, other: Counters) -> bool {
        let less = |one: Totals, other: Totals| one.fields().iter().zip(other.fields()).any(|(&a, b)| a < b);
        less(self.v4, other.v4) || less(self.v6, other.v6)
    }

    /// All fields as one number, which differs whenever counters that only grow have moved.
    pub fn sum(self) -> u64 {
        self.v4.fields().into_iter().chain(self.v6.fields()).fold(0, u64::wrapping_add)
    }
}

/// Where a session's counters are kept: a slot of its plane's counter table, valid while the slot carries this
/// generation. A plane that lost its counters raises the generation; one that reuses a slot does too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CounterSlot {
    /// Index into the table.
    pub slot: u32,
    /// The generation that belongs to this session; 0 is never valid.
    pub generation: u32,
}

/// Counters that can be read at any moment. Implemented by the shared table of a plane and by the simulator.
pub trait CounterSource {
    /// What stands in the slot, or `None` when the plane is gone, the slot does not exist, or it carries another
    /// generation (then the last sample is all that is known).
    fn read(&self, plane: PlaneIndex, slot: CounterSlot) -> Option<Counters>;

    /// The slot will be read soon: its memory may be asked for already. Nothing depends on it.
    fn prefetch(&self, _plane: PlaneIndex, _slot: CounterSlot) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_32_bits_turn_over_field_by_field() {
        const TURN: u64 = 1 << 32;
        for (before, read, moved) in
            [(0, 0, 0), (5, 9, 4), (TURN - 1, 0, 1), (TURN - 1, TURN - 2, TURN - 1), (7 * TURN + 3, 2, TURN - 1)]
        {
            let of = |value| Counters { v6: Totals { out_packets: value, ..Totals::default() }, ..Counters::ZERO };
            assert_eq!(of(read).turned_since(of(before)), of(moved), "{before}, {read}");
        }
    }
}
