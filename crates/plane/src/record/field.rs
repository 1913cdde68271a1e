//! The fields of a body: their tags, their sizes, and walking over them.

use crate::refusal::Malformed;

/// The tag of a field. The C header names them `TOLLGATE_TAG_…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    /// The plane's name of the session, 1–64 octets, the first field.
    Session = 1,
    /// When it happened, milliseconds since the Unix epoch, 64 bits.
    At = 2,
    /// Slot and generation, 32 bits each.
    CounterSlot = 3,
    /// Acct-Terminate-Cause, 8 bits.
    Cause = 4,
    /// In octets, in packets, out octets, out packets of IPv4 or of both families, 64 bits each.
    TotalsV4 = 5,
    /// The same of IPv6.
    TotalsV6 = 6,
    /// User-Name, 1–253 octets.
    User = 16,
    /// The domain, 1–253 octets.
    Domain = 17,
    /// Framed-IP-Address, 4 octets.
    FramedIp = 18,
    /// Framed-IPv6-Prefix: 16 octets and a length of 8 bits.
    FramedIpv6Prefix = 19,
    /// Delegated-IPv6-Prefix: the same.
    DelegatedPrefix = 20,
    /// Framed-IPv6-Address, 16 octets.
    FramedIpv6Address = 21,
    /// Framed-Interface-Id, 64 bits.
    InterfaceId = 22,
    /// The MAC address, 6 octets.
    Mac = 23,
    /// Calling-Station-Id, 1–253 octets.
    Calling = 24,
    /// NAS-Port, 32 bits.
    NasPort = 25,
    /// NAS-Port-Id, 1–253 octets.
    NasPortId = 26,
    /// [`model::event::Access`], 8 bits.
    Access = 27,
    /// [`model::event::Authentic`], 8 bits.
    Authentic = 28,
    /// Class, 1–253 octets, up to eight times.
    Class = 29,
    /// Acct-Interim-Interval in seconds, 32 bits.
    InterimInterval = 30,
    /// Session-Timeout in seconds, 32 bits.
    SessionTimeout = 31,
    /// Seconds that the subscriber may stay, 64 bits.
    TimeQuota = 32,
    /// Octets that the subscriber may move, 64 bits.
    VolumeQuota = 33,
    /// Acct-Multi-Session-Id, 1–253 octets.
    MultiSessionId = 34,
    /// The server that authenticated the subscriber: 4 octets of IPv4 or 16 of IPv6.
    AuthServer = 35,
}

/// Tags from here on may be passed over by who does not know them.
pub(super) const OPTIONAL_FROM: u8 = 128;

/// The longest text or Class: what fits a RADIUS attribute.
pub(super) const TEXT_MAX: usize = 253;

impl Tag {
    pub(super) const ALL: [Tag; 26] = [
        Tag::Session,
        Tag::At,
        Tag::CounterSlot,
        Tag::Cause,
        Tag::TotalsV4,
        Tag::TotalsV6,
        Tag::User,
        Tag::Domain,
        Tag::FramedIp,
        Tag::FramedIpv6Prefix,
        Tag::DelegatedPrefix,
        Tag::FramedIpv6Address,
        Tag::InterfaceId,
        Tag::Mac,
        Tag::Calling,
        Tag::NasPort,
        Tag::NasPortId,
        Tag::Access,
        Tag::Authentic,
        Tag::Class,
        Tag::InterimInterval,
        Tag::SessionTimeout,
        Tag::TimeQuota,
        Tag::VolumeQuota,
        Tag::MultiSessionId,
        Tag::AuthServer,
    ];

    pub(super) fn from_u8(value: u8) -> Option<Tag> {
        Tag::ALL.into_iter().find(|tag| *tag as u8 == value)
    }

    /// Whether the field describes a subscriber: it belongs into an Up or an Update.
    pub(super) const fn is_subscriber(self) -> bool {
        self as u8 >= Tag::User as u8
    }

    /// The fewest and the most octets of the value.
    pub(super) const fn size(self) -> (usize, usize) {
        match self {
            Tag::Session => (1, model::ids::PLANE_SESSION_MAX),
            Tag::Cause | Tag::Access | Tag::Authentic => (1, 1),
            Tag::FramedIp | Tag::NasPort | Tag::InterimInterval | Tag::SessionTimeout => (4, 4),
            Tag::Mac => (6, 6),
            Tag::At | Tag::CounterSlot | Tag::InterfaceId | Tag::TimeQuota | Tag::VolumeQuota => (8, 8),
            Tag::FramedIpv6Address => (16, 16),
            Tag::AuthServer => (4, 16),
            Tag::FramedIpv6Prefix | Tag::DelegatedPrefix => (17, 17),
            Tag::TotalsV4 | Tag::TotalsV6 => (32, 32),
            Tag::User | Tag::Domain | Tag::Calling | Tag::NasPortId | Tag::Class | Tag::MultiSessionId => (1, TEXT_MAX),
        }
    }
}

/// Walks over the fields of a body: known ones with their values, whose sizes are checked here.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(body: &'a [u8]) -> Fields<'a> {
        Fields { rest: body }
    }

    fn field(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let [tag, length, rest @ ..] = self.rest else { return Err(Malformed::FieldOverrun) };
        let (value, rest) = rest.split_at_checked(usize::from(*length)).ok_or(Malformed::FieldOverrun)?;
        self.rest = rest;
        Ok((*tag, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(Tag, &'a [u8]), Malformed>;

    /// The next field that is known; after an error the walk is over.
    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let known = self.field().and_then(|(number, value)| match Tag::from_u8(number) {
                Some(tag) if (tag.size().0..=tag.size().1).contains(&value.len()) => Ok(Some((tag, value))),
                Some(_) => Err(Malformed::FieldSize),
                None if number >= OPTIONAL_FROM => Ok(None),
                None => Err(Malformed::FieldUnknown),
            });
            match known {
                Ok(None) => {}
                Ok(Some(field)) => return Some(Ok(field)),
                Err(malformed) => {
                    self.rest = &[];
                    return Some(Err(malformed));
                }
            }
        }
        None
    }
}
