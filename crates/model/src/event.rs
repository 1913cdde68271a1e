//! What a packet plane says. Events borrow from the private copy that the link made of them; everything in
//! them was checked for size and shape, nothing for sense.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::counters::{CounterSlot, Counters};
use crate::ids::PlaneIndex;
use crate::time::Wall;

/// Where an event stands, for recognising it when it is delivered again after a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventOrigin {
    /// The plane that said it.
    pub plane: PlaneIndex,
    /// The plane worker's ring.
    pub ring: u16,
    /// The event's first record in that ring, counted from the ring's creation.
    pub position: u64,
}

/// One event of a packet plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PlaneEvent<'a> {
    /// A subscriber came online; or, within a resync, is announced as being online.
    Up(Up<'a>),
    /// Something that `Up` said has changed.
    Update(Update<'a>),
    /// A subscriber went offline.
    Down(Down<'a>),
    /// The plane lost this session's counters; they start again at zero in the new generation.
    Reset(Reset<'a>),
    /// All live sessions will now be announced.
    ResyncBegin,
    /// All live sessions have been announced; any other session of the plane is gone.
    ResyncEnd,
}

/// A subscriber came online.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Up<'a> {
    /// The plane's own name of the session, 1–64 octets.
    pub session: &'a [u8],
    /// Who it is. `user` is always there.
    pub subscriber: Subscriber<'a>,
    /// Where its counters are.
    pub counters: CounterSlot,
    /// When it happened, if the plane knows; otherwise the arrival counts.
    pub at: Option<Wall>,
}

/// Something that `Up` said has changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update<'a> {
    /// The plane's own name of the session.
    pub session: &'a [u8],
    /// Only what changed is there.
    pub changed: Subscriber<'a>,
    /// When it happened, if the plane knows.
    pub at: Option<Wall>,
}

/// A subscriber went offline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Down<'a> {
    /// The plane's own name of the session.
    pub session: &'a [u8],
    /// Acct-Terminate-Cause (RFC 2866 section 5.10), 1–18; 0 where the plane does not say.
    pub cause: u8,
    /// The final totals of all families, since `Up` or the last `Reset`. `None`: read the slot.
    pub totals: Option<Counters>,
    /// When it happened, if the plane knows.
    pub at: Option<Wall>,
}

/// The plane lost this session's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset<'a> {
    /// The plane's own name of the session.
    pub session: &'a [u8],
    /// The slot with its new generation.
    pub counters: CounterSlot,
}

/// Who a subscriber is and what the authentication server said of it. Absent means: not said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Subscriber<'a> {
    /// User-Name (1), 1–253 octets.
    pub user: Option<&'a [u8]>,
    /// The domain it belongs to.
    pub domain: Option<&'a [u8]>,
    /// Framed-IP-Address (8).
    pub framed_ip: Option<Ipv4Addr>,
    /// Framed-IPv6-Prefix (97).
    pub framed_ipv6_prefix: Option<Prefix>,
    /// Delegated-IPv6-Prefix (123).
    pub delegated_prefix: Option<Prefix>,
    /// Framed-IPv6-Address (168).
    pub framed_ipv6_address: Option<Ipv6Addr>,
    /// Framed-Interface-Id (96).
    pub interface_id: Option<u64>,
    /// The subscriber's MAC address.
    pub mac: Option<[u8; 6]>,
    /// Calling-Station-Id (31), 1–253 octets.
    pub calling: Option<&'a [u8]>,
    /// NAS-Port (5).
    pub nas_port: Option<u32>,
    /// NAS-Port-Id (87), 1–253 octets.
    pub nas_port_id: Option<&'a [u8]>,
    /// How it is attached.
    pub access: Option<Access>,
    /// Who authenticated it.
    pub authentic: Option<Authentic>,
    /// Class (25), up to eight, to be echoed unchanged.
    pub class: ClassList<'a>,
    /// Acct-Interim-Interval (85) from the Access-Accept, seconds.
    pub acct_interim_interval: Option<u32>,
    /// Session-Timeout (27), seconds.
    pub session_timeout: Option<u32>,
    /// Seconds that the subscriber may stay online.
    pub time_quota: Option<u64>,
    /// Octets that the subscriber may move.
    pub volume_quota: Option<u64>,
    /// Acct-Multi-Session-Id (50), 1–253 octets.
    pub multi_session_id: Option<&'a [u8]>,
    /// The server that authenticated it.
    pub auth_server: Option<IpAddr>,
}

/// An IPv6 prefix; bits beyond `length` are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// The address with its host bits zero.
    pub address: Ipv6Addr,
    /// 0–128.
    pub length: u8,
}

/// How a subscriber is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Access {
    /// PPP over Ethernet.
    #[default]
    Pppoe = 1,
    /// IP over Ethernet.
    Ipoe = 2,
    /// PPP in L2TP, terminated here.
    L2tp = 3,
    /// A configured user without a log-in.
    Static = 4,
}

/// Acct-Authentic (45, RFC 2866 section 5.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Authentic {
    /// A RADIUS server did.
    #[default]
    Radius = 1,
    /// The box itself did.
    Local = 2,
    /// Some other protocol's server did.
    Remote = 3,
}

/// Up to eight Class attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassList<'a> {
    items: [&'a [u8]; ClassList::MAX],
    count: u8,
}

impl<'a> ClassList<'a> {
    /// As many as a session keeps (BEHAVIOUR.md 8.1).
    pub const MAX: usize = 8;

    /// Adds one of 1–253 octets; false when there are eight already.
    pub fn push(&mut self, class: &'a [u8]) -> bool {
        let Some(place) = self.items.get_mut(usize::from(self.count)) else { return false };
        *place = class;
        self.count += 1;
        true
    }

    /// In the order of arrival.
    pub fn as_slice(&self) -> &[&'a [u8]] {
        &self.items[..usize::from(self.count)]
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}
