//! What the packets of a group carry (BEHAVIOUR.md 5.1).

/// What User-Name says; fixed at log-in.
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

/// An attribute that a group can do without, and no display or command of ours needs; fixed at log-in.
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
}
