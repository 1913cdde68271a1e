//! What the packets of a group carry (BEHAVIOUR.md 5.1).

/// What User-Name says; a session keeps it from log-in on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserNameFormat {
    /// The name as the plane says it, with its domain if it has one.
    #[default]
    DomainIncluded,
    /// The same: the plane knows what the user typed, and says that.
    Original,
    /// Nothing from the last `@` on.
    WithoutDomain,
}

impl UserNameFormat {
    /// The name that is sent for this one. A name that would be empty stays whole.
    pub fn apply(self, name: &[u8]) -> &[u8] {
        match (self, name.iter().rposition(|octet| *octet == b'@')) {
            (UserNameFormat::WithoutDomain, Some(at)) if at > 0 => &name[..at],
            _ => name,
        }
    }

    /// As displays show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            UserNameFormat::DomainIncluded => "Domain-included",
            UserNameFormat::Original => "Original",
            UserNameFormat::WithoutDomain => "Domain-excluded",
        }
    }
}

/// An attribute that the packets of a group can do without; a session keeps it from log-in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OptionalAttribute {
    /// Attribute 50.
    AcctMultiSessionId,
    /// Attribute 31.
    CallingStationId,
    /// 26-26.
    HwConnectId,
    /// 26-138.
    HwDomainName,
    /// 26-60.
    HwIpHostAddress,
    /// 26-59.
    HwStartupTimeStamp,
    /// Attribute 5.
    NasPort,
    /// Attribute 87.
    NasPortId,
}

/// Some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OptionalAttributes(u8);

impl OptionalAttributes {
    /// None of them.
    pub const NONE: OptionalAttributes = OptionalAttributes(0);

    /// And this one.
    #[must_use]
    pub const fn with(self, attribute: OptionalAttribute) -> OptionalAttributes {
        OptionalAttributes(self.0 | OptionalAttributes::bit(attribute))
    }

    /// Whether it is among them.
    pub const fn has(self, attribute: OptionalAttribute) -> bool {
        self.0 & OptionalAttributes::bit(attribute) != 0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As a record holds them.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From a record; every octet means something.
    pub const fn from_bits(bits: u8) -> OptionalAttributes {
        OptionalAttributes(bits)
    }

    const fn bit(attribute: OptionalAttribute) -> u8 {
        match attribute {
            OptionalAttribute::AcctMultiSessionId => 1,
            OptionalAttribute::CallingStationId => 2,
            OptionalAttribute::HwConnectId => 4,
            OptionalAttribute::HwDomainName => 8,
            OptionalAttribute::HwIpHostAddress => 16,
            OptionalAttribute::HwStartupTimeStamp => 32,
            OptionalAttribute::NasPort => 64,
            OptionalAttribute::NasPortId => 128,
        }
    }
}

impl FromIterator<OptionalAttribute> for OptionalAttributes {
    fn from_iter<I: IntoIterator<Item = OptionalAttribute>>(attributes: I) -> OptionalAttributes {
        attributes.into_iter().fold(OptionalAttributes::NONE, OptionalAttributes::with)
    }
}

impl OptionalAttribute {
    /// All, in the order of their names.
    pub const ALL: [OptionalAttribute; 8] = [
        OptionalAttribute::AcctMultiSessionId,
        OptionalAttribute::CallingStationId,
        OptionalAttribute::HwConnectId,
        OptionalAttribute::HwDomainName,
        OptionalAttribute::HwIpHostAddress,
        OptionalAttribute::HwStartupTimeStamp,
        OptionalAttribute::NasPort,
        OptionalAttribute::NasPortId,
    ];

    /// The name in commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            OptionalAttribute::AcctMultiSessionId => "acct-multi-session-id",
            OptionalAttribute::CallingStationId => "calling-station-id",
            OptionalAttribute::HwConnectId => "hw-connect-id",
            OptionalAttribute::HwDomainName => "hw-domain-name",
            OptionalAttribute::HwIpHostAddress => "hw-ip-host-address",
            OptionalAttribute::HwStartupTimeStamp => "hw-startup-time-stamp",
            OptionalAttribute::NasPort => "nas-port",
            OptionalAttribute::NasPortId => "nas-port-id",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_what_follows_the_last_at() {
        for (name, without) in [("a@isp", "a"), ("a@b@isp", "a@b"), ("a", "a"), ("@isp", "@isp"), ("a@", "a")] {
            assert_eq!(UserNameFormat::WithoutDomain.apply(name.as_bytes()), without.as_bytes(), "{name}");
            assert_eq!(UserNameFormat::DomainIncluded.apply(name.as_bytes()), name.as_bytes());
        }
    }

    #[test]
    fn optional_attributes_survive_their_bits() {
        for bits in 0..=u8::MAX {
            let some = OptionalAttributes::from_bits(bits);
            let each = OptionalAttribute::ALL.into_iter().filter(|attribute| some.has(*attribute));
            assert_eq!(each.clone().collect::<OptionalAttributes>().bits(), bits);
            assert_eq!((each.count(), some.is_empty()), (bits.count_ones() as usize, bits == 0));
        }
    }
}
