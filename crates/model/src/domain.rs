//! What a domain and its RADIUS group say of one subscriber: what is counted, how that is reported, when accounting begins,
//! and what happens when a quota is used up (BEHAVIOUR.md sections 4 and 5.1).

use crate::counters::{Counters, Totals};
use crate::event::Access;
use crate::settings::{OptionalAttributes, UserNameFormat};
use crate::time::Mono;

/// What a session takes of its domain and its group at log-in, beside the scheme; later changes touch later sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Terms {
    /// Which directions are counted.
    pub flow: FlowStatistic,
    /// Whether the address families are told apart.
    pub dual_stack: DualStack,
    /// What octets are counted in.
    pub traffic_unit: TrafficUnit,
    /// Whether its Start waits for addresses.
    pub start_delay: Option<StartDelay>,
    /// An IPv4 address alone ends that wait.
    pub ipv4_starts: bool,
    /// In packets User-Name ends before the domain. The session has it whole all the same.
    pub without_domain: bool,
    /// What packets do without. The session has it all the same.
    pub left_out: OptionalAttributes,
}

impl Terms {
    /// The user's name as packets say it.
    pub fn user_name<'a>(&self, name: &'a [u8]) -> &'a [u8] {
        let format = if self.without_domain { UserNameFormat::WithoutDomain } else { UserNameFormat::Original };
        format.apply(name)
    }

    /// What counters look like in requests: families together or apart, octets in their unit and rounded down. Packets
    /// have no unit.
    #[must_use]
    pub fn reported(&self, counters: &Counters) -> Counters {
        let counters = match self.dual_stack {
            DualStack::Separate => *counters,
            DualStack::Identical => Counters { v4: counters.v4.plus(counters.v6), v6: Totals::default() },
        };
        let shift = self.traffic_unit.shift();
        let scaled = |totals: Totals| Totals {
            in_octets: totals.in_octets >> shift,
            out_octets: totals.out_octets >> shift,
            ..totals
        };
        Counters { v4: scaled(counters.v4), v6: scaled(counters.v6) }
    }
}

/// `flow-statistic`: which directions are counted; both by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowStatistic {
    /// What the subscriber sends.
    pub up: bool,
    /// What it receives.
    pub down: bool,
}

impl Default for FlowStatistic {
    fn default() -> FlowStatistic {
        FlowStatistic { up: true, down: true }
    }
}

impl FlowStatistic {
    /// The counters without what is not counted.
    #[must_use]
    pub fn of(self, counters: Counters) -> Counters {
        let of = |totals: Totals| Totals {
            in_octets: if self.up { totals.in_octets } else { 0 },
            in_packets: if self.up { totals.in_packets } else { 0 },
            out_octets: if self.down { totals.out_octets } else { 0 },
            out_packets: if self.down { totals.out_packets } else { 0 },
        };
        Counters { v4: of(counters.v4), v6: of(counters.v6) }
    }
}

/// `accounting dual-stack`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DualStack {
    /// IPv6 has attributes of its own.
    #[default]
    Separate = 0,
    /// One sum of both families.
    Identical = 1,
}

/// `radius-server traffic-unit`: what octets are counted in on the wire. A unit is 1,024 of the next smaller one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TrafficUnit {
    /// Octets.
    #[default]
    Byte = 0,
    /// 1,024 octets.
    Kbyte = 1,
    /// 1,048,576 octets.
    Mbyte = 2,
    /// 1,073,741,824 octets.
    Gbyte = 3,
}

impl TrafficUnit {
    /// All of them.
    pub const ALL: [TrafficUnit; 4] = [TrafficUnit::Byte, TrafficUnit::Kbyte, TrafficUnit::Mbyte, TrafficUnit::Gbyte];

    /// The word in the command.
    pub const fn as_str(self) -> &'static str {
        match self {
            TrafficUnit::Byte => "byte",
            TrafficUnit::Kbyte => "kbyte",
            TrafficUnit::Mbyte => "mbyte",
            TrafficUnit::Gbyte => "gbyte",
        }
    }

    const fn shift(self) -> u32 {
        10 * self as u32
    }
}

/// `accounting-start-delay`: the Start, and the subscriber with it, waits until both an IPv4 and an IPv6 address are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StartDelay {
    /// For so long at most, seconds, 1–300.
    pub seconds: u16,
    /// Who has waited in vain is refused; otherwise accounting begins then.
    pub offline: bool,
    /// Who waits.
    pub user_types: UserTypes,
}

/// Which subscribers a delay is for, by how they are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserTypes(u8);

impl Default for UserTypes {
    /// PPP over Ethernet and over L2TP (BEHAVIOUR.md section 4).
    fn default() -> UserTypes {
        UserTypes::NONE.with(Access::Pppoe).with(Access::L2tp)
    }
}

impl UserTypes {
    /// Nobody.
    pub const NONE: UserTypes = UserTypes(0);
    /// All, with their words in the command, in its order.
    pub const WORDS: [(&'static str, Access); 4] =
        [("ppp", Access::Pppoe), ("ipoe", Access::Ipoe), ("l2tp", Access::L2tp), ("static", Access::Static)];

    /// And these.
    #[must_use]
    pub const fn with(self, access: Access) -> UserTypes {
        UserTypes(self.0 | UserTypes::bit(access))
    }

    /// Whether these are among them.
    pub const fn has(self, access: Access) -> bool {
        self.0 & UserTypes::bit(access) != 0
    }

    /// As a record holds them.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From a record; `None` if nobody is meant, or somebody unknown.
    pub const fn from_bits(bits: u8) -> Option<UserTypes> {
        if bits == 0 || bits > 0b1111 { None } else { Some(UserTypes(bits)) }
    }

    const fn bit(access: Access) -> u8 {
        match access {
            Access::Pppoe => 1,
            Access::Ipoe => 2,
            Access::L2tp => 4,
            Access::Static => 8,
        }
    }
}

/// `quota-out`: what happens when a time or a volume quota is used up, or a Session-Timeout has run out. That of the domain as
/// it is now, not as it was at log-in (BEHAVIOUR.md section 4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum QuotaOut {
    /// The subscriber is logged out.
    #[default]
    Offline,
    /// It stays, and the log says so.
    Online,
    /// The plane leads it elsewhere.
    Redirect {
        /// Where to, 1–200 characters: for the plane, which knows its domains' by itself.
        url: String,
        /// Its accounting ends with that.
        stop_accounting: bool,
    },
    /// It stays, and an interim tells the server at once.
    SendRealtimeAccounting,
}

impl QuotaOut {
    /// What is to be done, without the address.
    pub const fn action(&self) -> QuotaAction {
        match self {
            QuotaOut::Offline => QuotaAction::Cut,
            QuotaOut::Online => QuotaAction::Tell,
            QuotaOut::Redirect { stop_accounting: false, .. } => QuotaAction::Redirect,
            QuotaOut::Redirect { stop_accounting: true, .. } => QuotaAction::RedirectAndStop,
            QuotaOut::SendRealtimeAccounting => QuotaAction::SendInterim,
        }
    }
}

/// What [`QuotaOut`] comes down to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuotaAction {
    /// Log it out.
    #[default]
    Cut,
    /// Say so.
    Tell,
    /// Have the plane lead it elsewhere.
    Redirect,
    /// And end its accounting.
    RedirectAndStop,
    /// Send an interim.
    SendInterim,
}

/// How long a subscriber may stay and how much it may move. What is not limited has the greatest number there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// When its Session-Timeout runs out.
    pub timeout_at: Mono,
    /// When its time quota is used up.
    pub quota_at: Mono,
    /// Octets, both directions and families, since it came up.
    pub volume: u64,
}

impl Allowance {
    /// A moment that never comes.
    pub const NEVER: Mono = Mono::from_nanos(u64::MAX);
    /// A volume that nobody moves.
    pub const ALL: u64 = u64::MAX;
}

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance { timeout_at: Allowance::NEVER, quota_at: Allowance::NEVER, volume: Allowance::ALL }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTED: Counters = Counters {
        v4: Totals { in_octets: 3 << 30 | 5, in_packets: 7, out_octets: 2047, out_packets: 2 },
        v6: Totals { in_octets: 1 << 30, in_packets: 1, out_octets: 1, out_packets: 1 },
    };

    #[test]
    fn octets_are_summed_and_then_scaled_and_packets_are_not_scaled() {
        for (dual_stack, traffic_unit, v4, v6) in [
            (DualStack::Separate, TrafficUnit::Byte, (3 << 30 | 5, 7, 2047, 2), (1 << 30, 1, 1, 1)),
            (DualStack::Separate, TrafficUnit::Kbyte, (3 << 20, 7, 1, 2), (1 << 20, 1, 0, 1)),
            (DualStack::Identical, TrafficUnit::Byte, ((4 << 30) + 5, 8, 2048, 3), (0, 0, 0, 0)),
            (DualStack::Identical, TrafficUnit::Kbyte, (4 << 20, 8, 2, 3), (0, 0, 0, 0)),
            (DualStack::Identical, TrafficUnit::Mbyte, (4 << 10, 8, 0, 3), (0, 0, 0, 0)),
            (DualStack::Separate, TrafficUnit::Gbyte, (3, 7, 0, 2), (1, 1, 0, 1)),
        ] {
            let totals = |(in_octets, in_packets, out_octets, out_packets)| Totals {
                in_octets,
                in_packets,
                out_octets,
                out_packets,
            };
            let terms = Terms { dual_stack, traffic_unit, ..Terms::default() };
            let expected = Counters { v4: totals(v4), v6: totals(v6) };
            assert_eq!(terms.reported(&COUNTED), expected, "{terms:?}");
        }
    }

    #[test]
    fn a_direction_that_is_not_counted_is_zero() {
        for (up, down) in [(true, true), (true, false), (false, true), (false, false)] {
            let Totals { in_octets, in_packets, out_octets, out_packets } = FlowStatistic { up, down }.of(COUNTED).v6;
            assert_eq!((in_octets > 0, in_packets > 0, out_octets > 0, out_packets > 0), (up, up, down, down));
        }
    }

    #[test]
    fn user_types_survive_their_bits() {
        for bits in 0..=u8::MAX {
            let types = UserTypes::from_bits(bits);
            assert_eq!(types.is_some(), (1..=15).contains(&bits));
            assert_eq!(types.map_or(bits, UserTypes::bits), bits);
        }
        let default: Vec<_> = UserTypes::WORDS.into_iter().filter(|word| UserTypes::default().has(word.1)).collect();
        assert_eq!(default, [("ppp", Access::Pppoe), ("l2tp", Access::L2tp)]);
    }
}
